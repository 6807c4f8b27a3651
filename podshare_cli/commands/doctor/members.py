"""The accounts that take part: their member stacks' versions and parameters, their quotas, and their trails."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from podshare.installation import Installation
from podshare.kinds import limits
from podshare.kinds.access_point import calls as access_point
from podshare.reconcile.preconditions import MEMBER_VERSION, VERSION_TAG
from podshare_cli.aws.accounts import Accounts
from podshare_cli.commands.doctor.findings import Finding, Place, existing
from podshare_cli.commands.doctor.organization import EVENTS_REGION, trail

_STACK = "aws cloudformation deploy --stack-name podshare-member --template-file accounts/member.yaml …"
_SET = "aws cloudformation update-stack-set --stack-set-name podshare-member … (docs/upgrade.md)"


@dataclass
class Part:
    """What an account has to do with podshare: the values that its member stack's parameters must hold."""

    account: str
    needs: dict[str, set[str]] = field(default_factory=dict)
    regions: set[str] = field(default_factory=set)  # of its clusters and buckets, and of its people's clusters

    def need(self, parameter: str, value: str, region: str) -> None:
        """Something of a record needs ``value`` in a parameter."""
        self.needs.setdefault(parameter, set()).add(value)
        self.regions.add(region)


def parts(
    clusters: Iterable[Mapping[str, Any]],
    datasets: Iterable[Mapping[str, Any]],
    members: Iterable[str],
    installation: Installation,
) -> dict[str, Part]:
    """Each account that takes part, by its id, with what the records ask of its member stack."""
    parts_by_account: dict[str, Part] = {}

    def of(account: str) -> Part:
        return parts_by_account.setdefault(account, Part(account))

    cluster_accounts, cluster_regions = set[str](), set[str]()
    for record in clusters:
        account, region = str(record["account"]), str(record["region"])
        arn = installation.eks_arn(account, region, str(record["eks_cluster"]))
        of(account).need("EksClusterArns", arn, region)
        cluster_accounts.add(account)
        cluster_regions.add(region)
    for record in datasets:
        account, region = str(record["account"]), str(record["region"])
        of(account).need("BucketNames", str(record["bucket"]), region)
        if record.get("kms_key"):
            of(account).need("KmsKeyArns", str(record["kms_key"]), region)
        if record.get("data_role") == "target":
            of(account).need("TargetRoles", "true", region)
    for account in members:
        part = of(account)
        part.regions |= cluster_regions
        for cluster_account in cluster_accounts - {installation.account}:
            part.needs.setdefault("ClusterAccountIds", set()).add(cluster_account)
    return parts_by_account


def findings(accounts: Accounts, part: Part) -> Iterator[Finding]:
    """All checks of one account."""
    place = Place(f"account {part.account}")
    if refusal := place.refusal(accounts, part.account):
        yield refusal
        return
    region = next(iter(sorted(part.regions)), accounts.connection.region)
    iam = accounts.client("iam", part.account, region)
    yield from place.made("member stack", lambda: _roles(accounts, place, iam, part))
    yield from place.made("parameters", lambda: _parameters(accounts, place, part))
    yield from place.made("roles", lambda: _room(place, iam))
    for each in sorted(part.regions):
        yield from place.made("access points", lambda each=each: _access_points(accounts, place, part, each))  # type: ignore[misc]  # the default binds it
    for each in sorted({EVENTS_REGION, *part.regions}):
        yield from place.made(
            f"trail in {each}",
            lambda each=each: trail(accounts, place, part.account, each, needed=False),  # type: ignore[misc]
        )


def _roles(accounts: Accounts, place: Place, iam: Any, part: Part) -> Iterator[Finding]:
    prefix = accounts.connection.prefix
    execution_roles = ["read", "identity"]
    execution_roles += ["cluster", "kubernetes"] if "EksClusterArns" in part.needs else []
    execution_roles += ["data"] if "BucketNames" in part.needs else []
    wrong = False
    for name in (f"{prefix}-{execution_role}" for execution_role in execution_roles):
        answer = existing(iam.get_role, RoleName=name)
        if answer is None:
            wrong = True
            yield place.problem("member stack", f"the member role {name} is missing", _STACK)
            continue
        tags = {tag["Key"]: tag["Value"] for tag in answer["Role"].get("Tags", [])}
        if tags.get(VERSION_TAG) != MEMBER_VERSION:
            wrong = True
            message = f"{name} has version {tags.get(VERSION_TAG, 'none')}, this version needs {MEMBER_VERSION}"
            yield place.problem("member stack", message, f"{_STACK} or {_SET}")
    if not wrong:
        yield place.ok("member stack", f"{len(execution_roles)} member roles of version {MEMBER_VERSION}")


def _parameters(accounts: Accounts, place: Place, part: Part) -> Iterator[Finding]:
    """The parameters of the account's member stack, in whichever Region it was deployed."""
    stack = next(_member_stacks(accounts, part), None)
    if stack is None:
        yield place.unknown("parameters", "no member stack was found in the checked Regions", _STACK)
        return
    parameters = {each["ParameterKey"]: each["ParameterValue"] for each in stack["Parameters"]}
    expected = {"HubAccountId": {accounts.connection.account}, "Prefix": {accounts.connection.prefix}, **part.needs}
    wrong = False
    for parameter, values in expected.items():
        missing = sorted(values - {value.strip() for value in parameters.get(parameter, "").split(",")})
        if missing:
            wrong = True
            message = f"{parameter} of stack {stack['StackName']} lacks {', '.join(missing)}"
            yield place.problem("parameters", message, f"{_STACK} {parameter}=…")
    if not wrong:
        yield place.ok("parameters", f"stack {stack['StackName']} has what the records need")


def _member_stacks(accounts: Accounts, part: Part) -> Iterator[Mapping[str, Any]]:
    for region in sorted({accounts.connection.region, *part.regions}):
        pages = accounts.client("cloudformation", part.account, region).get_paginator("describe_stacks").paginate()
        for stack in (stack for page in pages for stack in page["Stacks"]):
            keys = {each["ParameterKey"] for each in stack.get("Parameters", [])}
            if {"HubAccountId", "BucketNames", "EksClusterArns"} <= keys:
                yield stack


def _room(place: Place, iam: Any) -> Iterator[Finding]:
    summary = iam.get_account_summary()["SummaryMap"]
    remedy = "aws service-quotas request-service-quota-increase --service-code iam --quota-code L-FE177D64 …"
    yield place.room("roles", summary["Roles"], summary["RolesQuota"], remedy)


def _access_points(accounts: Accounts, place: Place, part: Part, region: str) -> Iterator[Finding]:
    if "BucketNames" not in part.needs:
        return
    client = accounts.client("s3control", part.account, region)
    present = sum(1 for _ in access_point.all_names(client, part.account))
    remedy = "Ask AWS to raise the S3 quota `Access points`"
    yield place.room(f"access points in {region}", present, limits.ACCESS_POINTS, remedy)
