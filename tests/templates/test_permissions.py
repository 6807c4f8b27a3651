"""What the deployed stacks allow: the policies as IAM holds them, and what those who bear them can do."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

import pytest
from botocore.exceptions import ClientError

from podshare import kinds
from podshare.kinds.shapes import SHAPES
from podshare.kinds.table import KINDS
from podshare.policy import policies
from podshare_cli.sandbox_deployment import deploy_podshare
from podshare_sandbox import authorization, delivery
from podshare_sandbox.authorization import catalog
from podshare_sandbox.organization import (
    DATA,
    EKS_CLUSTER,
    HUB,
    HUB_REGION,
    HYPERPOD_CLUSTER,
    IMAGES_BUCKET,
    MANAGEMENT,
    ORGANIZATION_ID,
    SCANS_KEY,
    SCIENTISTS,
    create_cluster,
)
from podshare_sandbox.sandbox import Sandbox
from tests.checks.expanded_template import ROOT

SCIENTIST = SCIENTISTS[0]
ACCOUNTS = (MANAGEMENT, HUB, DATA, *SCIENTISTS)
SYSTEM = "/podshare-system/"
MANAGER = f"podshare@{HUB}"
FUNCTIONS = (
    *("registry-changed", "execution-ended", "lease-team", "plan-team", "verify-team", "record-outcome"),
    *("apply-identity", "apply-cluster", "apply-data", "apply-kubernetes"),
    *("organization-changed", "read-account", "list-sweep", "sweep-team", "summarize-sweep"),
    *("resource-changed", "dry-run", "compare-teams"),
)
MACHINES = ("reconcile-team", "account-lifecycle", "sweep-teams")
MAY_ASSUME = {
    ("plan-team", "read"),
    ("dry-run", "read"),
    ("compare-teams", "read"),
    ("verify-team", "read"),
    ("resource-changed", "read"),
    ("apply-identity", "identity"),
    ("apply-cluster", "cluster"),
    ("apply-data", "data"),
    ("apply-kubernetes", "kubernetes"),
    ("plan-team", "organization"),
    ("dry-run", "organization"),
    ("compare-teams", "organization"),
    ("read-account", "organization"),
    ("list-sweep", "organization"),
}
MEMBER_ROLES = {
    MANAGEMENT: {"organization"},
    HUB: {"read", "identity", "cluster", "kubernetes"},
    DATA: {"read", "identity", "data"},
    **{account: {"read", "identity"} for account in SCIENTISTS},
}
# those that AWS's services assume
SERVICE_ROLES = {
    MANAGEMENT: {"forward-events"},
    HUB: {*FUNCTIONS, *MACHINES, "nightly-sweep", "team-schedule", "forward-drift"},
    **{account: {"forward-drift"} for account in (DATA, *SCIENTISTS)},
}

# IAM quotas, "IAM and STS character limits": characters without white space
TRUST_POLICY, INLINE_POLICIES, MANAGED_POLICY = 2_048, 10_240, 6_144

ANY_EVENT = json.dumps({"account": [{"exists": True}]})
EVERYTHING = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]},
)


@dataclass(frozen=True)
class Statement:
    """A statement and who bears it."""

    bearer: str
    allows: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: dict[str, Any]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """The organization with podshare's stacks."""
    with Sandbox(time_scale=0.001) as running:
        deploy_podshare(running)
        yield running


# --- the policies as IAM holds them -------------------------------------------------------------------------------


def listed(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list) else (value,)


def size(document: Any) -> int:
    return len(json.dumps(document, separators=(",", ":")))


def managed_policies(sandbox: Sandbox, account: str) -> dict[str, Any]:
    """The documents of the stacks' managed policies by their names."""
    iam = sandbox.client("iam", account)
    return {
        policy["PolicyName"]: iam.get_policy_version(PolicyArn=policy["Arn"], VersionId=policy["DefaultVersionId"])[
            "PolicyVersion"
        ]["Document"]
        for policy in iam.list_policies(Scope="Local", PathPrefix=SYSTEM)["Policies"]
    }


def inline_policies(sandbox: Sandbox, account: str, role: str) -> list[Any]:
    iam = sandbox.client("iam", account)
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    return [iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names]


def system_roles(sandbox: Sandbox, account: str) -> list[dict[str, Any]]:
    roles: list[dict[str, Any]] = sandbox.client("iam", account).list_roles(PathPrefix=SYSTEM)["Roles"]
    return roles


def statements(sandbox: Sandbox, account: str) -> Iterator[Statement]:
    """Every statement in every policy of the stacks of ``account``."""
    documents = list(managed_policies(sandbox, account).items())
    for role in system_roles(sandbox, account):
        documents += [(role["RoleName"], one) for one in inline_policies(sandbox, account, role["RoleName"])]
    for bearer, document in documents:
        for one in document["Statement"]:
            yield Statement(
                bearer,
                one["Effect"] == "Allow",
                listed(one.get("Action", [])),
                listed(one.get("Resource", [])),
                one.get("Condition", {}),
            )


def all_statements(sandbox: Sandbox) -> Iterator[Statement]:
    for account in ACCOUNTS:
        yield from statements(sandbox, account)


def action(name: str) -> catalog.Action:
    found = catalog.action(*name.split(":"))
    assert found is not None, f"AWS has no action {name}"
    return found


def test_roles_are_those_of_the_design(sandbox: Sandbox) -> None:
    """An account has the member roles that it needs, and no others: no cluster role without a cluster."""
    for account, works in MEMBER_ROLES.items():
        expected = works | SERVICE_ROLES.get(account, set())
        assert {role["RoleName"] for role in system_roles(sandbox, account)} == {f"podshare-{one}" for one in expected}


def test_every_trust_has_conditions(sandbox: Sandbox) -> None:
    """Each role trusts a service of this account, or named functions of the hub while it is in the organization."""
    for account in ACCOUNTS:
        for role in system_roles(sandbox, account):
            (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
            name, principal, condition = role["RoleName"], statement["Principal"], statement["Condition"]

            assert statement["Action"] == "sts:AssumeRole", name
            if name.removeprefix("podshare-") in SERVICE_ROLES.get(account, set()):
                assert principal.keys() == {"Service"}, name
                assert {key for keys in condition.values() for key in keys} == {"aws:SourceAccount", "aws:SourceArn"}
            else:
                functions = listed(condition["ArnEquals"]["aws:PrincipalArn"])
                assert principal == {"AWS": f"arn:aws:iam::{HUB}:root"}, name
                assert condition["StringEquals"] == {"aws:PrincipalOrgID": ORGANIZATION_ID}, name
                assert all("*" not in function and f"role{SYSTEM}podshare-" in function for function in functions), name


def test_policies_fit(sandbox: Sandbox) -> None:
    """Every document is within IAM's limits, counted without white space."""
    for account in ACCOUNTS:
        for name, document in managed_policies(sandbox, account).items():
            assert size(document) <= MANAGED_POLICY, name
        for role in system_roles(sandbox, account):
            name = role["RoleName"]
            assert size(role["AssumeRolePolicyDocument"]) <= TRUST_POLICY, name
            assert sum(map(size, inline_policies(sandbox, account, name))) <= INLINE_POLICIES, name


@pytest.mark.parametrize(
    ("room", "file_systems"), [(4, {"FileSystemArns": ""}), (2, {})], ids=["alone", "with file systems"]
)
def test_clusters_of_one_account_fit(sandbox: Sandbox, room: int, file_systems: dict[str, str]) -> None:
    """The member stack has room for as many clusters as docs/limits.md says, with the longest keys of tags.

    IAM would refuse a policy that is too long.
    """
    of = f"{HUB_REGION}:{HUB}:cluster"
    many = {
        "EksClusterArns": ",".join(f"arn:aws:eks:{of}/hyperpod-production-{number}" for number in range(room)),
        "HyperPodClusterArns": ",".join(f"arn:aws:sagemaker:{of}/abcdefghijk{number}" for number in range(room)),
        "ResourceTagKeys": ",".join(f"{number}{'k' * 24}" for number in range(10))[:256],
    }
    one = sandbox.stack("podshare-member").parameters
    without = {**one, **file_systems}  # one step at a time: what goes may go after what comes
    for parameters in (without, {**without, **many}, without, one):
        sandbox.deploy(ROOT / "accounts" / "member.yaml", stack_name="podshare-member", parameters=parameters)


def test_actions_are_named(sandbox: Sandbox) -> None:
    """Policies spell out actions that AWS has: a wildcard would grow with AWS, a typing mistake grants nothing.

    But for what Amazon FSx asks for in podshare's name, which AWS tells by wildcards only.
    """
    for statement in all_statements(sandbox):
        for name in statement.actions:
            if name in policies.LINKING and "aws:ViaAWSService" in statement.condition.get("Bool", {}):
                continue
            assert "*" not in name, statement
            action(name)


def test_resources_are_named_where_they_can_be(sandbox: Sandbox) -> None:
    """``*`` as a resource stands only for actions that AWS authorizes on no resource."""
    for statement in all_statements(sandbox):
        if statement.allows and "*" in statement.resources:
            assert not [name for name in statement.actions if action(name).resource_types], statement


def test_condition_keys_are_set_by_aws(sandbox: Sandbox) -> None:
    """A service's condition key is used only with actions for which AWS sets it; otherwise it would never match."""
    for statement in all_statements(sandbox):
        for key in (key.lower() for keys in statement.condition.values() for key in keys):
            of_request = key.startswith(("aws:requesttag/", "aws:resourcetag/")) or not key.startswith("aws:")
            for name in statement.actions if of_request else ():
                assert catalog.knows_key(action(name), key), (name, key)


def test_who_may_assume_roles_stays_in_the_organization(sandbox: Sandbox) -> None:
    """Every hub role that may assume another is denied it wherever AWS does not say that it is in the organization."""
    iam = sandbox.client("iam")
    deny = {
        "Effect": "Deny",
        "Action": "sts:AssumeRole",
        "Resource": "*",
        "Condition": {"StringNotEquals": {"aws:ResourceOrgID": ORGANIZATION_ID}},
    }
    baseline = managed_policies(sandbox, HUB)["podshare-functions"]["Statement"]
    bearers = {one.bearer for one in statements(sandbox, HUB) if one.allows and "sts:AssumeRole" in one.actions}
    assuming = set()
    for role in SERVICE_ROLES[HUB]:
        attached = iam.list_attached_role_policies(RoleName=f"podshare-{role}")["AttachedPolicies"]
        policies = {policy["PolicyName"] for policy in attached}
        if bearers & {f"podshare-{role}", *policies}:
            assuming.add(role)
            assert "podshare-functions" in policies, role

    assert assuming == {function for function, _ in MAY_ASSUME}
    assert deny in [{name: value for name, value in one.items() if name != "Sid"} for one in baseline]


def test_a_departed_account_is_not_entered_although_it_lets_the_hub_in(sandbox: Sandbox) -> None:
    """AWS sends aws:ResourceOrgID for accounts of an organization only (IAM user guide, "aws:ResourceOrgID")."""
    organizations = sandbox.client("organizations", MANAGEMENT)
    request = organizations.create_account(AccountName="departed", Email="departed@example.com")["CreateAccountStatus"]
    sandbox.settle()
    made = organizations.describe_create_account_status(CreateAccountRequestId=request["Id"])["CreateAccountStatus"]
    account = made["AccountId"]
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{HUB}:root"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    for work in {work for _, work in MAY_ASSUME}:
        sandbox.client("iam", account).create_role(
            Path=SYSTEM, RoleName=f"podshare-{work}", AssumeRolePolicyDocument=document
        )

    def entered() -> list[tuple[str, str]]:
        called = {"RoleSessionName": "test"}
        return [
            (name, work)
            for name, work in MAY_ASSUME
            if work != "organization"  # that role is named in the management account alone
            and not denied(
                function(sandbox, name)("sts").assume_role,
                RoleArn=f"arn:aws:iam::{account}:role{SYSTEM}podshare-{work}",
                **called,
            )
        ]

    assert entered() == [pair for pair in MAY_ASSUME if pair[1] != "organization"]
    sandbox.client("organizations", account).leave_organization()
    assert entered() == []


def test_system_path_is_only_read(sandbox: Sandbox) -> None:
    """No member role is allowed anything but reading under the path of the stacks' own roles and policies."""
    for account, works in MEMBER_ROLES.items():
        bearers = {f"podshare-{work}" for work in works}
        for statement in statements(sandbox, account):
            named = any(f"{SYSTEM}" in resource for resource in statement.resources)
            if statement.allows and named and statement.bearer in bearers:
                assert all(name.startswith(("iam:Get", "iam:List")) for name in statement.actions), statement


def test_member_roles_write_only_what_kinds_declare(sandbox: Sandbox) -> None:
    """What a member role may change is what the kinds of things that podshare owns say they change."""
    modules = [import_module(module.name) for module in walk_packages(kinds.__path__, f"{kinds.__name__}.")]
    declared = {name for module in modules for name in getattr(module, "WRITES", ())}
    works = {f"podshare-{work}" for account in MEMBER_ROLES for work in MEMBER_ROLES[account]}
    granted = {
        name
        for statement in all_statements(sandbox)
        if statement.allows and statement.bearer in works
        for name in statement.actions
        if not name.partition(":")[2].startswith(("Get", "List", "Describe"))
    }

    assert granted
    assert granted <= declared


def test_member_roles_may_do_what_kinds_declare(sandbox: Sandbox) -> None:
    """The read role may make the calls by which a kind is read, the role for its work those that change it."""
    granted: dict[str, set[str]] = {}
    for statement in all_statements(sandbox):
        if statement.allows:
            granted.setdefault(statement.bearer, set()).update(statement.actions)

    def lacking(work: str, actions: Iterable[str]) -> list[str]:
        return [one for one in sorted(actions) if not any(fnmatchcase(one, two) for two in granted[f"podshare-{work}"])]

    assert [(kind, found) for kind, one in KINDS.items() if (found := lacking("read", one.READS))] == []
    assert [
        (kind, found) for kind, one in KINDS.items() if (found := lacking(SHAPES[kind].execution_role, one.WRITES))
    ] == []


# --- what those who bear them can do ------------------------------------------------------------------------------

Clients = Callable[[str], Any]


def clients_of(sandbox: Sandbox, credentials: dict[str, str], region: str = HUB_REGION) -> Clients:
    @cache
    def client(service: str) -> Any:
        return sandbox.session().client(  # type: ignore[call-overload]  # boto3's stubs want a literal
            service,
            region_name=region,
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
        )

    return client


def function(sandbox: Sandbox, name: str) -> Clients:
    """The clients of a hub function."""
    role = f"arn:aws:iam::{HUB}:role{SYSTEM}podshare-{name}"
    found = authorization.assume_as_service(role, "lambda.amazonaws.com", session_name="test")
    keys = {"AccessKeyId": found.access_key, "SecretAccessKey": found.secret_key, "SessionToken": found.token}
    return clients_of(sandbox, keys)


def member(sandbox: Sandbox, work: str, account: str, region: str = HUB_REGION) -> Clients:
    """The clients of a member role, as its hub function assumes it."""
    name = next(name for name, its_work in MAY_ASSUME if its_work == work)
    arn = f"arn:aws:iam::{account}:role{SYSTEM}podshare-{work}"
    sts = function(sandbox, name)("sts")
    return clients_of(sandbox, sts.assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"], region)


def denied(call: Callable[..., Any], **parameters: Any) -> bool:
    """Whether IAM refuses a call; any other error is raised."""
    try:
        call(**parameters)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException"):
            return True
        raise
    return False


def trust(account: str = HUB, **principal: str) -> str:
    """Trusts ``account``, or another ``principal`` instead."""
    trusted = principal or {"AWS": f"arn:aws:iam::{account}:root"}
    return document(Principal=trusted, Action="sts:AssumeRole")


def document(**statement: Any) -> str:
    """A policy of one Allow statement."""
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


def stack_policy(sandbox: Sandbox, account: str, tag: str) -> str:
    """What the account's member stack tells in a tag of its roles, such as the ARN of a policy."""
    tags = sandbox.client("iam", account).list_role_tags(RoleName="podshare-identity")["Tags"]
    return next(str(one["Value"]) for one in tags if one["Key"] == tag)


def boundary(sandbox: Sandbox, account: str) -> str:
    return stack_policy(sandbox, account, "podshare:boundary")


def assume_policy(sandbox: Sandbox, account: str) -> str:
    return stack_policy(sandbox, account, "podshare:assume-policy")


def team_role(sandbox: Sandbox, name: str, account: str = HUB) -> str:
    """A role as podshare makes them; its ARN."""
    request = {"RoleName": name, "Path": "/podshare/", "AssumeRolePolicyDocument": trust()}
    role = sandbox.client("iam", account).create_role(**request, PermissionsBoundary=boundary(sandbox, account))["Role"]
    return str(role["Arn"])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_assumes_its_own_member_role_alone(sandbox: Sandbox, name: str) -> None:
    """Each function can assume the member role for its work in any account, and no other."""
    sts = function(sandbox, name)("sts")
    for account, works in MEMBER_ROLES.items():
        for work in works:
            arn = f"arn:aws:iam::{account}:role{SYSTEM}podshare-{work}"
            refused = denied(sts.assume_role, RoleArn=arn, RoleSessionName="test")
            assert refused == ((name, work) not in MAY_ASSUME), (account, work)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_function_writes_the_registry(sandbox: Sandbox, name: str) -> None:
    """What is granted is people's to write: no function can write, change or delete a record."""
    dynamodb = function(sandbox, name)("dynamodb")
    table, key = {"TableName": "podshare-registry"}, {"id": {"S": "team#nobody"}}

    assert denied(dynamodb.put_item, **table, Item=key)
    assert denied(dynamodb.update_item, **table, Key=key)
    assert denied(dynamodb.delete_item, **table, Key=key)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_add_to_the_history_and_no_more(sandbox: Sandbox, name: str) -> None:
    """Four functions add objects, each below its prefix; none reads, lists, hides, deletes or unlocks any."""
    s3, bucket = function(sandbox, name)("s3"), {"Bucket": f"podshare-history-{HUB}-{HUB_REGION}"}
    adding = {adder: {"runs/v1/"} for adder in ("record-outcome", "compare-teams")}
    adding["registry-changed"] = {"records/v1/"}
    adding["summarize-sweep"] = {"runs/v1/", "records/v1/"}
    may = {
        prefix for prefix in ("runs/v1/", "records/v1/", "") if not denied(s3.put_object, **bucket, Key=f"{prefix}a")
    }

    assert may == adding.get(name, set())
    key = {**bucket, "Key": "runs/v1/a"}
    assert denied(s3.get_object, **key)
    assert denied(s3.list_objects_v2, **bucket)
    assert denied(s3.delete_object, **key)
    assert denied(s3.delete_object, **key, VersionId="null", BypassGovernanceRetention=True)
    assert denied(s3.put_object_retention, **key, Retention={})
    assert denied(s3.put_object_lock_configuration, **bucket)
    assert denied(s3.put_bucket_policy, **bucket, Policy="{}")


def test_identity_makes_no_role_without_the_boundary(sandbox: Sandbox) -> None:
    """A role under podshare's path comes with the boundary or not at all; elsewhere none is made."""
    iam = member(sandbox, "identity", SCIENTIST)("iam")
    role = {"RoleName": "podshare-vision-scientist", "Path": "/podshare/", "AssumeRolePolicyDocument": trust(SCIENTIST)}

    assert denied(iam.create_role, **role)
    assert denied(iam.create_role, **role, PermissionsBoundary="arn:aws:iam::aws:policy/AdministratorAccess")
    assert denied(iam.create_role, **{**role, "Path": "/"}, PermissionsBoundary=boundary(sandbox, SCIENTIST))
    assert denied(iam.create_role, **{**role, "Path": SYSTEM}, PermissionsBoundary=boundary(sandbox, SCIENTIST))
    assert not denied(iam.create_role, **role, PermissionsBoundary=boundary(sandbox, SCIENTIST))
    assert not denied(iam.put_role_policy, RoleName=role["RoleName"], PolicyName="own", PolicyDocument=EVERYTHING)
    assert denied(iam.delete_role_permissions_boundary, RoleName=role["RoleName"])


def test_identity_widens_no_role_without_the_boundary(sandbox: Sandbox) -> None:
    """A role that lost its boundary gets no policy, but its trust is cut and its policies go."""
    sandbox.client("iam").create_role(
        RoleName="podshare-lost-0badcafe", Path="/podshare/", AssumeRolePolicyDocument=trust()
    )
    sandbox.client("iam").put_role_policy(
        RoleName="podshare-lost-0badcafe", PolicyName="old", PolicyDocument=EVERYTHING
    )
    iam = member(sandbox, "identity", HUB)("iam")
    role = {"RoleName": "podshare-lost-0badcafe"}

    assert denied(iam.put_role_policy, **role, PolicyName="own", PolicyDocument=EVERYTHING)
    assert not denied(iam.update_assume_role_policy, **role, PolicyDocument=trust())
    assert not denied(iam.delete_role_policy, **role, PolicyName="old")


def test_identity_gives_peoples_roles_one_policy(sandbox: Sandbox) -> None:
    """A role that people made gets the stack's fixed policy and nothing else; podshare's own gets no managed one."""
    sandbox.client("iam", SCIENTIST).create_role(RoleName="researcher", AssumeRolePolicyDocument=trust(SCIENTIST))
    team_role(sandbox, "podshare-text-scientist", SCIENTIST)
    iam = member(sandbox, "identity", SCIENTIST)("iam")
    fixed = assume_policy(sandbox, SCIENTIST)

    assert not denied(iam.attach_role_policy, RoleName="researcher", PolicyArn=fixed)
    assert denied(
        iam.attach_role_policy, RoleName="researcher", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"
    )
    assert denied(iam.update_assume_role_policy, RoleName="researcher", PolicyDocument=trust())
    assert denied(iam.put_role_policy, RoleName="researcher", PolicyName="own", PolicyDocument=EVERYTHING)
    assert denied(iam.attach_role_policy, RoleName="podshare-text-scientist", PolicyArn=fixed)


@pytest.mark.parametrize("suffix", ["", "-of-an-earlier-stack"])
def test_identity_takes_earlier_stacks_policies_and_gives_none(sandbox: Sandbox, suffix: str) -> None:
    """What an earlier stack of the account left behind can be taken from a role, and neither given nor bound to."""
    owner = sandbox.client("iam", SCIENTIST)
    role, path = f"student{suffix}", {"Path": SYSTEM, "PolicyDocument": EVERYTHING}
    owner.create_role(RoleName=role, AssumeRolePolicyDocument=trust(SCIENTIST))
    limit = owner.create_policy(PolicyName=f"podshare-boundary{suffix}", **path)["Policy"]["Arn"]
    earlier = owner.create_policy(PolicyName=f"podshare-assume-cluster-access{suffix}", **path)["Policy"]["Arn"]
    own = owner.create_policy(PolicyName=f"podshare-assume-cluster-access-own{suffix}", PolicyDocument=EVERYTHING)
    iam = member(sandbox, "identity", SCIENTIST)("iam")
    new = {"RoleName": f"podshare-old{suffix}", "Path": "/podshare/", "AssumeRolePolicyDocument": trust(SCIENTIST)}

    assert denied(iam.create_role, **new, PermissionsBoundary=limit)
    assert denied(iam.attach_role_policy, RoleName=role, PolicyArn=earlier)
    for arn in (earlier, own["Policy"]["Arn"]):
        owner.attach_role_policy(RoleName=role, PolicyArn=arn)
    assert not denied(iam.detach_role_policy, RoleName=role, PolicyArn=earlier)
    assert denied(iam.detach_role_policy, RoleName=role, PolicyArn=own["Policy"]["Arn"])


def test_peoples_roles_reach_cluster_access_roles_alone(sandbox: Sandbox) -> None:
    """The fixed policy lets a role ask for what podshare made in a cluster's account, and for nothing elsewhere."""
    arns = {account: team_role(sandbox, "podshare-vision-00000005", account) for account in (HUB, DATA)}
    for account in arns:
        iam = sandbox.client("iam", account)
        iam.update_assume_role_policy(RoleName="podshare-vision-00000005", PolicyDocument=trust(SCIENTIST))
    iam = sandbox.client("iam", SCIENTIST)
    person = iam.create_role(RoleName="analyst", AssumeRolePolicyDocument=trust(SCIENTIST))["Role"]["Arn"]
    fixed = assume_policy(sandbox, SCIENTIST)
    iam.attach_role_policy(RoleName="analyst", PolicyArn=fixed)
    session = sandbox.client("sts", SCIENTIST).assume_role(RoleArn=person, RoleSessionName="ana")["Credentials"]
    sts = clients_of(sandbox, session)("sts")

    assert not denied(sts.assume_role, RoleArn=arns[HUB], RoleSessionName="ana")
    assert denied(sts.assume_role, RoleArn=arns[DATA], RoleSessionName="ana")


def test_identity_cannot_touch_the_member_stack(sandbox: Sandbox) -> None:
    """The roles and policies of the stack itself cannot be changed through it."""
    iam = member(sandbox, "identity", HUB)("iam")
    fixed = assume_policy(sandbox, HUB)

    for role in ("podshare-identity", "podshare-read", "podshare-plan-team"):
        assert not denied(iam.get_role, RoleName=role)
        assert denied(iam.update_assume_role_policy, RoleName=role, PolicyDocument=trust())
        assert denied(iam.attach_role_policy, RoleName=role, PolicyArn=fixed)
        assert denied(iam.delete_role, RoleName=role)
    assert denied(
        iam.create_policy_version, PolicyArn=boundary(sandbox, HUB), PolicyDocument=EVERYTHING, SetAsDefault=True
    )


def test_cluster_lets_in_teams_roles_alone(sandbox: Sandbox) -> None:
    """An access entry is for a role under podshare's path, in no group but a team's, by its own name."""
    eks = member(sandbox, "cluster", HUB)("eks")
    role = team_role(sandbox, "podshare-vision-00000001")
    stranger = sandbox.client("iam").create_role(RoleName="stranger", AssumeRolePolicyDocument=trust())["Role"]["Arn"]
    system = f"arn:aws:iam::{HUB}:role{SYSTEM}podshare-identity"
    entry = {"clusterName": EKS_CLUSTER, "principalArn": role}

    assert denied(eks.create_access_entry, **{**entry, "principalArn": stranger})
    assert denied(eks.create_access_entry, **{**entry, "principalArn": system})
    assert denied(eks.create_access_entry, **entry, type="EC2_LINUX")
    assert denied(eks.create_access_entry, **entry, kubernetesGroups=["podshare:kubernetes"])
    assert denied(eks.create_access_entry, **entry, kubernetesGroups=["podshare:vision:debug", "cluster-admins"])
    assert denied(eks.create_access_entry, **entry, username="someone-else")
    assert not denied(eks.create_access_entry, **entry, kubernetesGroups=["podshare:vision:debug"])
    assert denied(eks.update_access_entry, **entry, kubernetesGroups=["podshare:kubernetes"])
    assert not denied(eks.update_access_entry, **entry, kubernetesGroups=[])


def test_cluster_opens_teams_namespaces_alone(sandbox: Sandbox) -> None:
    """Access policies go to whole, single namespaces of teams, the one that reads templates of spaces to theirs.

    Only the read-only user policy spans the cluster.
    """
    eks = member(sandbox, "cluster", HUB)("eks")
    entry = {"clusterName": EKS_CLUSTER, "principalArn": team_role(sandbox, "podshare-vision-00000002")}
    eks.create_access_entry(**entry)

    def refused(policy: str, *namespaces: str) -> bool:
        scope = {"type": "namespace", "namespaces": list(namespaces)} if namespaces else {"type": "cluster"}
        arn = f"arn:aws:eks::aws:cluster-access-policy/{policy}"
        return denied(eks.associate_access_policy, **entry, policyArn=arn, accessScope=scope)

    assert not refused("AmazonSagemakerHyperpodTrainingPolicy", "hyperpod-ns-vision")
    assert not refused("AmazonEKSEditPolicy", "hyperpod-ns-vision")
    assert not refused("AmazonSagemakerHyperpodUserClusterPolicy")
    for policy in ("Inference", "Space"):
        assert not refused(f"AmazonSagemakerHyperpod{policy}Policy", "hyperpod-ns-vision")
        assert refused(f"AmazonSagemakerHyperpod{policy}Policy", "jupyter-k8s-shared")
    templates = "AmazonSagemakerHyperpodSpaceTemplatePolicy"
    assert not refused(templates, "jupyter-k8s-shared")
    assert refused(templates, "hyperpod-ns-vision")
    assert refused(templates, "jupyter-k8s-shared", "kube-system")
    assert refused(templates, "*")
    assert refused(templates)
    assert refused("AmazonEKSEditPolicy", "kube-system")
    assert refused("AmazonEKSEditPolicy", "hyperpod-ns-vision", "default")
    assert refused("AmazonEKSEditPolicy", "hyperpod-ns-*")
    assert refused("AmazonEKSEditPolicy")
    assert refused("AmazonEKSClusterAdminPolicy")
    assert refused("AmazonEKSClusterAdminPolicy", "hyperpod-ns-vision")
    assert denied(
        eks.associate_access_policy,
        **entry,
        policyArn="arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy",
        accessScope={"type": "namespace"},
    )


def test_cluster_cannot_raise_podshares_own_entries(sandbox: Sandbox) -> None:
    """The access entries of the stack itself are out of the cluster role's reach."""
    eks = member(sandbox, "cluster", HUB)("eks")
    for name in ("podshare-read", "podshare-kubernetes"):
        entry = {"clusterName": EKS_CLUSTER, "principalArn": f"arn:aws:iam::{HUB}:role{SYSTEM}{name}"}
        policy = "arn:aws:eks::aws:cluster-access-policy/AmazonSagemakerHyperpodUserClusterPolicy"
        assert denied(eks.update_access_entry, **entry, kubernetesGroups=["podshare:vision:debug"])
        assert denied(eks.associate_access_policy, **entry, policyArn=policy, accessScope={"type": "cluster"})
        assert denied(eks.delete_access_entry, **entry)


def test_a_cluster_that_is_not_listed_is_out_of_reach(sandbox: Sandbox) -> None:
    """Of the account's clusters only those in the stack's lists are changed or read, by name and by Region."""
    role = team_role(sandbox, "podshare-elsewhere-00000001")
    for name, region in (("other-eks", HUB_REGION), (EKS_CLUSTER, "us-east-2")):
        create_cluster(sandbox.client, HUB, region, name, f"{name}-of-{region}")
        admin, entry = sandbox.client("eks", HUB, region), {"clusterName": name, "principalArn": role}
        admin.create_access_entry(**entry)
        arn = admin.describe_access_entry(**entry)["accessEntry"]["accessEntryArn"]
        place = {"clusterName": name, "namespace": "hyperpod-ns-vision", "serviceAccount": "ours"}
        tags = {"podshare:managed-by": MANAGER}
        made = admin.create_pod_identity_association(**place, roleArn=role, tags=tags)["association"]
        association = {"clusterName": name, "associationId": made["associationId"]}
        (eks, reading) = (member(sandbox, work, HUB, region)("eks") for work in ("cluster", "read"))

        assert denied(eks.create_access_entry, **entry)
        assert denied(eks.update_access_entry, **entry, kubernetesGroups=[])
        assert denied(eks.delete_access_entry, **entry)
        assert denied(eks.tag_resource, resourceArn=arn, tags=tags)
        assert denied(eks.tag_resource, resourceArn=made["associationArn"], tags=tags)
        assert denied(eks.create_pod_identity_association, **place, roleArn=role, tags=tags)
        assert denied(eks.delete_pod_identity_association, **association)
        assert denied(reading.describe_cluster, name=name)
        assert denied(reading.describe_access_entry, **entry)
        assert denied(reading.describe_pod_identity_association, **association)


def test_tags_of_a_creation_pass_whatever_eks_holds_them_against(sandbox: Sandbox) -> None:
    """Not documented: the thing to be made, its cluster, or the operation's path. Each is allowed, with own tags alone."""
    eks, tags = member(sandbox, "cluster", HUB)("eks"), {"podshare:managed-by": MANAGER, "podshare:team": "vision"}
    role = team_role(sandbox, "podshare-vision-00000007")
    entry = {"clusterName": EKS_CLUSTER, "principalArn": role}
    place = {"clusterName": EKS_CLUSTER, "namespace": "hyperpod-ns-vision", "serviceAccount": "tagged"}
    foreign = {**tags, "Name": "vision"}

    assert denied(eks.create_access_entry, **entry, tags=foreign)
    assert denied(eks.create_access_entry, **entry, tags={"podshare:team": "vision"})
    assert denied(eks.create_pod_identity_association, **place, roleArn=role, tags=foreign)
    authorization.clear_decisions()
    eks.create_access_entry(**entry, tags=tags)
    eks.create_pod_identity_association(**place, roleArn=role, tags=tags)
    asked = {one.resource for one in authorization.decisions() if one.action == "eks:TagResource" and one.allowed}
    where = f"arn:aws:eks:{HUB_REGION}:{HUB}:"
    assert asked == {
        f"{where}access-entry/{EKS_CLUSTER}/role/{HUB}/podshare-vision-00000007/*",
        f"{where}podidentityassociation/{EKS_CLUSTER}/*",
        f"{where}cluster/{EKS_CLUSTER}",
        f"{where}/createaccessentry",
        f"{where}/createpodidentityassociation",
    }


TAGGING = {"identity": HUB, "cluster": HUB, "data": DATA}


def known_tags(sandbox: Sandbox, work: str) -> dict[str, Any]:
    """The statement by which a member role keeps to known tags."""
    account = TAGGING[work]
    found = [
        one
        for policy in inline_policies(sandbox, account, f"podshare-{work}")
        for one in policy["Statement"]
        if one["Sid"] == "KeepToKnownTags"
    ]
    (statement,) = found
    return dict(statement)


def test_every_role_that_tags_keeps_to_known_tags(sandbox: Sandbox) -> None:
    """Whatever tags or untags is denied for all other keys, on every resource, in each role that may do it."""
    tags = re.compile(r"^(?!sts:)\w+:((Tag|Untag)\w+|(Add|Remove|Delete)Tags\w*)$")
    for work, account in TAGGING.items():
        statement = known_tags(sandbox, work)
        held = {
            name
            for one in statements(sandbox, account)
            if one.allows and one.bearer == f"podshare-{work}"
            for name in one.actions
            if tags.search(name)
        }
        assert held
        assert set(statement["Action"]) == held
        assert (statement["Effect"], statement["Resource"]) == ("Deny", "*")
        assert statement["Condition"] == {"ForAnyValue:StringNotLike": {"aws:TagKeys": ["podshare:*"]}}
    others = {
        one.bearer
        for account in ACCOUNTS
        for one in statements(sandbox, account)
        if one.allows and any(tags.search(name) for name in one.actions)
    }
    assert others == {f"podshare-{work}" for work in TAGGING}


def test_tags_are_podshares_and_the_configured_ones(sandbox: Sandbox) -> None:
    """Without the parameter a member role gives and takes podshare's tags alone, with it those of its keys too."""
    role = team_role(sandbox, "podshare-vision-0000000a").rpartition("/")[2]
    own, cost = {"podshare:team": "vision"}, {"CostCenter": "42"}
    other = {"Project": "x", "costcenter": "42"}
    quota = sandbox.client("sagemaker").create_compute_quota(
        Name="tagged",
        ClusterArn=sandbox.client("sagemaker").describe_cluster(ClusterName=HYPERPOD_CLUSTER)["ClusterArn"],
        ComputeQuotaConfig={"ComputeQuotaResources": [{"InstanceType": "ml.g5.12xlarge", "Count": 1}]},
        ComputeQuotaTarget={"TeamName": "tagged"},
    )

    def may(tags: dict[str, str]) -> set[bool]:
        listed_tags = [{"Key": key, "Value": value} for key, value in tags.items()]
        iam, data = member(sandbox, "identity", HUB)("iam"), member(sandbox, "data", DATA)("s3control")
        sagemaker = member(sandbox, "cluster", HUB)("sagemaker")
        named = {"AccountId": DATA, "Name": "podshare-tagged", "Bucket": IMAGES_BUCKET, "Tags": listed_tags}
        answers = {
            not denied(iam.tag_role, RoleName=role, Tags=listed_tags),
            not denied(iam.untag_role, RoleName=role, TagKeys=list(tags)),
            not denied(data.create_access_point, **named),
            not denied(sagemaker.add_tags, ResourceArn=quota["ComputeQuotaArn"], Tags=listed_tags),
        }
        if answers == {True}:
            data.delete_access_point(AccountId=DATA, Name="podshare-tagged")
        return answers

    template_path, keys = ROOT / "accounts" / "member.yaml", "ResourceTagKeys"
    assert may(own) == {True}
    assert may({**own, **cost}) == {False}
    for account in (HUB, DATA):
        sandbox.deploy(template_path, account, stack_name="podshare-member", parameters={keys: "CostCenter,Owner"})
    try:
        assert may({**own, **cost}) == {True}
        assert may({**own, **cost, "Owner": "ml-platform"}) == {True}
        for key, value in other.items():
            assert may({**own, **cost, key: value}) == {False}
        (told,) = {stack_policy(sandbox, account, "podshare:resource-tag-keys") for account in (HUB, DATA)}
        assert told == "CostCenter=Owner"
    finally:
        for account in (HUB, DATA):
            sandbox.deploy(template_path, account, stack_name="podshare-member", parameters={keys: ""})
    assert may({**own, **cost}) == {False}


def test_who_tags_at_creation_gives_a_cluster_no_other_tags(sandbox: Sandbox) -> None:
    """What is allowed for creations leaves other clusters, node groups and everybody's tags out of reach."""
    eks, tags = member(sandbox, "cluster", HUB)("eks"), {"podshare:managed-by": MANAGER}
    where = f"arn:aws:eks:{HUB_REGION}:{HUB}:"

    assert denied(eks.tag_resource, resourceArn=f"{where}cluster/{EKS_CLUSTER}", tags={"Environment": "production"})
    assert denied(eks.tag_resource, resourceArn=f"{where}cluster/{EKS_CLUSTER}", tags={**tags, "Environment": "test"})
    assert denied(eks.untag_resource, resourceArn=f"{where}cluster/{EKS_CLUSTER}", tagKeys=["podshare:managed-by"])
    for other in ("cluster/other", f"nodegroup/{EKS_CLUSTER}/workers/a-1", "access-entry/other/role/1/podshare-x/a-1"):
        assert denied(eks.tag_resource, resourceArn=f"{where}{other}", tags=tags), other


def test_quotas_of_other_regions_are_out_of_reach(sandbox: Sandbox) -> None:
    """Quotas and scheduler configs are read and tagged where the clusters of the stack's list are."""
    for work in ("cluster", "read"):
        for region, expected in ((HUB_REGION, False), ("us-east-1", True)):
            sagemaker = member(sandbox, work, HUB, region)("sagemaker")
            for kind in ("compute-quota", "cluster-scheduler-config"):
                arn = f"arn:aws:sagemaker:{region}:{HUB}:{kind}/abcdefghijkl"
                try:
                    assert denied(sagemaker.list_tags, ResourceArn=arn) == expected, (work, arn)
                except ClientError as error:
                    assert not expected, error


def test_cluster_leaves_others_associations_alone(sandbox: Sandbox) -> None:
    """podshare gives pods no role but its own, under its own tag, and deletes only what has the tag."""
    eks = member(sandbox, "cluster", HUB)("eks")
    role = team_role(sandbox, "podshare-vision-00000003")
    place = {"clusterName": EKS_CLUSTER, "namespace": "hyperpod-ns-vision"}
    own, other = {"podshare:managed-by": MANAGER}, {"podshare:managed-by": "podshare@999999999999"}
    foreign = sandbox.client("eks").create_pod_identity_association(**place, serviceAccount="theirs", roleArn=role)
    identity = f"arn:aws:iam::{HUB}:role{SYSTEM}podshare-identity"
    create = eks.create_pod_identity_association

    assert denied(create, **place, serviceAccount="ours", roleArn=role)
    assert denied(create, **place, serviceAccount="ours", roleArn=role, tags=other)
    assert denied(create, **place, serviceAccount="ours", roleArn=identity, tags=own)
    made = create(**place, serviceAccount="ours", roleArn=role, tags=own)["association"]["associationId"]
    delete = eks.delete_pod_identity_association
    assert denied(delete, clusterName=EKS_CLUSTER, associationId=foreign["association"]["associationId"])
    assert not denied(delete, clusterName=EKS_CLUSTER, associationId=made)


def test_cluster_leaves_others_quotas_alone(sandbox: Sandbox) -> None:
    """Quotas are made under podshare's own tag, and only what has it is deleted: a deletion touches running work."""
    sagemaker, admin = member(sandbox, "cluster", HUB)("sagemaker"), sandbox.client("sagemaker")
    quota = {
        "ClusterArn": admin.describe_cluster(ClusterName=HYPERPOD_CLUSTER)["ClusterArn"],
        "ComputeQuotaConfig": {
            "ComputeQuotaResources": [{"InstanceType": "ml.g5.12xlarge", "Count": 1}],
            "ResourceSharingConfig": {"Strategy": "DontLend"},
        },
    }
    names = [{"Name": name, "ComputeQuotaTarget": {"TeamName": name}} for name in ("theirs", "ours")]
    theirs = admin.create_compute_quota(**quota, **names[0])["ComputeQuotaId"]

    assert denied(sagemaker.create_compute_quota, **quota, **names[1])
    tags = [{"Key": "podshare:managed-by", "Value": MANAGER}]
    ours = sagemaker.create_compute_quota(**quota, **names[1], Tags=tags)["ComputeQuotaId"]
    sandbox.advance(30)
    assert denied(sagemaker.delete_compute_quota, ComputeQuotaId=theirs)
    assert not denied(sagemaker.delete_compute_quota, ComputeQuotaId=ours)


def test_cluster_leaves_others_scheduler_configs_alone(sandbox: Sandbox) -> None:
    """A scheduler config is made under podshare's own tag, and only what has it is changed or deleted."""
    sagemaker, admin = member(sandbox, "cluster", HUB)("sagemaker"), sandbox.client("sagemaker")
    cluster = admin.describe_cluster(ClusterName=HYPERPOD_CLUSTER)["ClusterArn"]
    config = {"ClusterArn": cluster, "SchedulerConfig": {"FairShare": "Enabled"}}
    theirs = admin.create_cluster_scheduler_config(Name="theirs", **config)["ClusterSchedulerConfigId"]
    sandbox.advance(30)
    change = {"ClusterSchedulerConfigId": theirs, "TargetVersion": 1}

    assert denied(sagemaker.update_cluster_scheduler_config, **change)
    assert denied(sagemaker.delete_cluster_scheduler_config, ClusterSchedulerConfigId=theirs)
    admin.delete_cluster_scheduler_config(ClusterSchedulerConfigId=theirs)
    sandbox.advance(30)
    assert denied(sagemaker.create_cluster_scheduler_config, Name="ours", **config)
    tags = [{"Key": "podshare:managed-by", "Value": MANAGER}]
    ours = sagemaker.create_cluster_scheduler_config(Name="ours", **config, Tags=tags)["ClusterSchedulerConfigId"]
    sandbox.advance(30)
    assert not denied(sagemaker.delete_cluster_scheduler_config, ClusterSchedulerConfigId=ours)


def test_kubernetes_role_only_finds_the_cluster(sandbox: Sandbox) -> None:
    """In AWS itself the role that speaks to Kubernetes can do nothing else."""
    eks = member(sandbox, "kubernetes", HUB)("eks")

    assert not denied(eks.describe_cluster, name=EKS_CLUSTER)
    assert denied(eks.list_access_entries, clusterName=EKS_CLUSTER)


def test_data_keeps_to_listed_buckets_and_own_access_points(sandbox: Sandbox) -> None:
    """Only the listed buckets' policies and access points of podshare's names are changed, and no object is read."""
    clients = member(sandbox, "data", DATA)
    s3, s3control = clients("s3"), clients("s3control")
    sandbox.client("s3", DATA).create_bucket(
        Bucket="payroll-333333333333", CreateBucketConfiguration={"LocationConstraint": HUB_REGION}
    )
    policy = s3.get_bucket_policy(Bucket=IMAGES_BUCKET)["Policy"]
    point = {"AccountId": DATA, "Bucket": IMAGES_BUCKET}

    assert not denied(s3.put_bucket_policy, Bucket=IMAGES_BUCKET, Policy=policy)
    assert denied(s3.put_bucket_policy, Bucket="payroll-333333333333", Policy=policy)
    assert denied(s3.get_object, Bucket=IMAGES_BUCKET, Key="private/README.md")
    assert denied(s3.list_objects_v2, Bucket=IMAGES_BUCKET)
    assert not denied(s3control.create_access_point, **point, Name="podshare-vision-000000000001")
    assert denied(s3control.create_access_point, **point, Name="finance")


def test_data_grants_listed_keys_to_data_roles_alone(sandbox: Sandbox) -> None:
    """Only listed keys are granted, to roles of podshare's in a cluster's account, for reading and writing objects."""
    kms = member(sandbox, "data", DATA)("kms")
    administrator = sandbox.client("iam", HUB)
    for path, name in (("/podshare/", "podshare-vision-0000000k"), ("/", "podshare-outsider")):
        pods = {"Effect": "Allow", "Principal": {"Service": "pods.eks.amazonaws.com"}, "Action": "sts:AssumeRole"}
        trust = json.dumps({"Version": "2012-10-17", "Statement": [pods]})
        administrator.create_role(Path=path, RoleName=name, AssumeRolePolicyDocument=trust)
    own = {"GranteePrincipal": f"arn:aws:iam::{HUB}:role/podshare/podshare-vision-0000000k", "Operations": ["Decrypt"]}
    unlisted = sandbox.client("kms", DATA).create_key()["KeyMetadata"]["KeyId"]

    assert not denied(kms.create_grant, KeyId=SCANS_KEY, **own)
    assert denied(kms.create_grant, KeyId=unlisted, **own)
    for other in (
        {"GranteePrincipal": f"arn:aws:iam::{HUB}:role/podshare-outsider"},
        {"GranteePrincipal": f"arn:aws:iam::{SCIENTISTS[0]}:role/podshare/podshare-vision-scientist"},
        {"GranteePrincipal": f"arn:aws:iam::{HUB}:root"},
        {"Operations": ["Decrypt", "CreateGrant"]},
    ):
        assert denied(kms.create_grant, KeyId=SCANS_KEY, **{**own, **other}), other
    assert denied(kms.decrypt, KeyId=SCANS_KEY, CiphertextBlob=b"x")
    assert denied(kms.put_key_policy, KeyId=SCANS_KEY, PolicyName="default", Policy="{}")


def test_the_organization_is_only_read(sandbox: Sandbox) -> None:
    """The role in the management account tells of accounts, and can neither change one nor read anything else."""
    clients = member(sandbox, "organization", MANAGEMENT)
    organization = clients("organizations")

    assert not denied(organization.list_accounts)
    assert not denied(organization.describe_account, AccountId=SCIENTIST)
    assert not denied(organization.list_parents, ChildId=SCIENTIST)
    assert not denied(organization.list_tags_for_resource, ResourceId=SCIENTIST)
    assert denied(organization.tag_resource, ResourceId=SCIENTIST, Tags=[{"Key": "pool", "Value": "all"}])
    assert denied(organization.remove_account_from_organization, AccountId=SCIENTIST)
    assert denied(organization.list_policies, Filter="SERVICE_CONTROL_POLICY")
    assert denied(clients("iam").list_roles)


def test_a_function_reads_the_organization_only_through_the_role(sandbox: Sandbox) -> None:
    """The hub's account is a member like any other, unless it is made a delegated administrator."""
    for name in {function for function, work in MAY_ASSUME if work == "organization"}:
        assert denied(function(sandbox, name)("organizations").list_accounts)


def queue_behind(sandbox: Sandbox, bus: str) -> str:
    """The URL of a queue that gets every event of a bus of the hub's."""
    sqs, events = sandbox.client("sqs"), sandbox.client("events")
    url = sqs.create_queue(QueueName=f"{bus}-arrivals")["QueueUrl"]
    arn = f"arn:aws:sqs:{HUB_REGION}:{HUB}:{bus}-arrivals"
    rule = events.put_rule(Name="all", EventBusName=bus, EventPattern=ANY_EVENT)["RuleArn"]
    allowed = {"Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}
    policy = document(**allowed, Condition={"ArnEquals": {"aws:SourceArn": rule}})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    events.put_targets(Rule="all", EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
    return str(url)


def test_the_hubs_bus_admits_the_management_account_alone(sandbox: Sandbox) -> None:
    """An organization event of another account does not arrive, nor another event of the management account."""
    bus = f"arn:aws:events:{HUB_REGION}:{HUB}:event-bus/podshare-organization"
    url = queue_behind(sandbox, "podshare-organization")
    service = trust(Service="events.amazonaws.com")
    for account in (DATA, MANAGEMENT):
        iam = sandbox.client("iam", account)
        role = iam.create_role(RoleName="forwarder", AssumeRolePolicyDocument=service)["Role"]["Arn"]
        iam.put_role_policy(RoleName="forwarder", PolicyName="all", PolicyDocument=EVERYTHING)
        abroad = sandbox.client("events", account, "us-east-1")
        abroad.put_rule(Name="everything", EventPattern=ANY_EVENT)
        abroad.put_targets(Rule="everything", Targets=[{"Id": "hub", "Arn": bus, "RoleArn": role}])
        for source in ("aws.organizations", "aws.health"):
            detail = {"eventName": "Unheard", "eventID": f"{account}-{source}"}
            event = {"source": source, "detail-type": "AWS API Call via CloudTrail", "detail": detail}
            delivery.put_event(account, "us-east-1", event)
    sandbox.settle()

    messages = sandbox.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    arrived = [json.loads(message["Body"]) for message in messages]
    assert [(event["account"], event["source"]) for event in arrived] == [(MANAGEMENT, "aws.organizations")]


def test_the_bus_for_calls_admits_the_forwarding_role_and_six_sources(sandbox: Sandbox) -> None:
    """The member stack's role for it may report calls to the six services, no other role and no other event."""
    bus = f"arn:aws:events:{HUB_REGION}:{HUB}:event-bus/podshare-drift"
    url = queue_behind(sandbox, "podshare-drift")
    iam = sandbox.client("iam", SCIENTIST)
    other = iam.create_role(RoleName="forwarder", AssumeRolePolicyDocument=trust(Service="events.amazonaws.com"))
    iam.put_role_policy(RoleName="forwarder", PolicyName="all", PolicyDocument=EVERYTHING)
    abroad = sandbox.client("events", SCIENTIST, "us-east-1")
    own = f"arn:aws:iam::{SCIENTIST}:role{SYSTEM}podshare-forward-drift"
    for name, role in (("podshare-drift-all", own), ("everything", other["Role"]["Arn"])):
        abroad.put_rule(Name=name, EventPattern=ANY_EVENT)
        abroad.put_targets(Rule=name, Targets=[{"Id": "hub", "Arn": bus, "RoleArn": role}])
    for source in (
        "aws.iam",
        "aws.eks",
        "aws.sagemaker",
        "aws.s3",
        "aws.kms",
        "aws.ssm",
        "aws.health",
        "aws.organizations",
    ):
        detail = {"eventName": "Unheard", "eventID": source}
        event = {"source": source, "detail-type": "AWS API Call via CloudTrail", "detail": detail}
        delivery.put_event(SCIENTIST, "us-east-1", event)
    sandbox.settle()
    mine = {"Source": "aws.iam", "DetailType": "AWS API Call via CloudTrail", "Detail": "{}", "EventBusName": bus}
    assert denied(sandbox.client("events", SCIENTIST).put_events, Entries=[mine])

    messages = sandbox.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    arrived = [json.loads(message["Body"]) for message in messages]
    assert {event["account"] for event in arrived} == {SCIENTIST}
    assert sorted(event["source"] for event in arrived) == [
        "aws.eks",
        "aws.iam",
        "aws.kms",
        "aws.s3",
        "aws.sagemaker",
        "aws.ssm",
    ]


def test_a_boundary_keeps_the_hubs_principals_off_the_bus_for_calls(sandbox: Sandbox) -> None:
    """A team's role, whose boundary is silent, is refused: a bare wildcard principal would pass over the boundary.

    Source: IAM User Guide, "Policy evaluation for requests within a single account".
    """
    bus = f"arn:aws:events:{HUB_REGION}:{HUB}:event-bus/podshare-drift"
    arn = team_role(sandbox, "podshare-vision-00000006")
    session = sandbox.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    entry = {"Source": "aws.iam", "DetailType": "AWS API Call via CloudTrail", "Detail": "{}", "EventBusName": bus}

    assert denied(clients_of(sandbox, session)("events").put_events, Entries=[entry])


def test_an_event_of_the_organization_starts_an_execution(sandbox: Sandbox) -> None:
    """From the management account over both buses, the function and the machine; told twice, it is one execution."""
    machine = f"arn:aws:states:{HUB_REGION}:{HUB}:stateMachine:podshare-account-lifecycle"
    states = sandbox.client("stepfunctions")
    before = len(states.list_executions(stateMachineArn=machine)["executions"])
    request = {"accountId": SCIENTIST, "sourceParentId": "r-pods", "destinationParentId": "ou-pods-science1"}
    detail = {
        "eventSource": "organizations.amazonaws.com",
        "eventName": "MoveAccount",
        "eventID": "0a5e9f2c-7f0a-4d1e-9b1c-1f6f0e8c2a11",
        "requestParameters": request,
        "responseElements": None,
    }
    event = {"source": "aws.organizations", "detail-type": "AWS API Call via CloudTrail", "detail": detail}

    for _ in range(2):
        delivery.put_event(MANAGEMENT, "us-east-1", event)
    sandbox.settle()

    assert len(states.list_executions(stateMachineArn=machine)["executions"]) == before + 1


def test_the_night_starts_a_sweep(sandbox: Sandbox) -> None:
    """Scheduler starts it in its own role, with an input that says so."""
    machine = f"arn:aws:states:{HUB_REGION}:{HUB}:stateMachine:podshare-sweep-teams"
    states = sandbox.client("stepfunctions")

    delivery.fire_schedule("podshare-nightly-sweep")
    sandbox.settle()

    (execution,) = states.list_executions(stateMachineArn=machine)["executions"]
    told = states.describe_execution(executionArn=execution["executionArn"])
    assert json.loads(told["input"]) == {"by": "schedule"}
    assert told["status"] == "SUCCEEDED"


def test_reading_changes_nothing(sandbox: Sandbox) -> None:
    """The role of the planner and the verifier is allowed reading alone, and no objects."""
    for account in ACCOUNTS:
        for statement in statements(sandbox, account):
            if statement.bearer == "podshare-read":
                assert all(name.partition(":")[2].startswith(("Get", "List", "Describe")) for name in statement.actions)
                assert not {"s3:GetObject", "s3:ListBucket"} & set(statement.actions)


def test_the_boundary_holds_a_role_that_allows_everything(sandbox: Sandbox) -> None:
    """Whatever podshare's roles are given, they only assume, describe the cluster, and use podshare's access points."""
    arn = team_role(sandbox, "podshare-vision-00000004")
    iam = sandbox.client("iam")
    iam.put_role_policy(RoleName="podshare-vision-00000004", PolicyName="all", PolicyDocument=EVERYTHING)
    session = sandbox.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    clients = clients_of(sandbox, session)

    assert not denied(clients("eks").describe_cluster, name=EKS_CLUSTER)
    assert denied(clients("eks").list_access_entries, clusterName=EKS_CLUSTER)
    assert denied(clients("iam").list_roles)
    assert denied(clients("dynamodb").scan, TableName="podshare-registry")
    assert denied(clients("s3").list_buckets)
    assert denied(
        clients("sts").assume_role, RoleArn=f"arn:aws:iam::{HUB}:role{SYSTEM}podshare-read", RoleSessionName="test"
    )


# which records each managed policy may write, and what it may start or ask for
PEOPLE: dict[str, tuple[set[str], set[str]]] = {
    "podshare-admin": (
        {"approval#vision", "block#222222222222", "cluster#main", "dataset#crawl", "enrollment#unit", "pause#all", "team#vision"},
        {"reconcile-team", "sweep-teams", "dry-run"},
    ),
    "podshare-operator": ({"approval#vision", "block#222222222222", "pause#all"}, {"reconcile-team", "sweep-teams"}),
    "podshare-planner": (set(), {"dry-run"}),
    "podshare-auditor": (set(), set()),
}  # fmt: skip


@pytest.mark.parametrize("policy", PEOPLE)
def test_people_write_the_registry_never_the_state(sandbox: Sandbox, policy: str) -> None:
    """Admins write every record, operators those that revoke or wait, others none; the state is podshare's own."""
    iam = sandbox.client("iam")
    role = iam.create_role(RoleName=f"{policy}-person", AssumeRolePolicyDocument=trust())["Role"]["Arn"]
    iam.attach_role_policy(RoleName=f"{policy}-person", PolicyArn=f"arn:aws:iam::{HUB}:policy{SYSTEM}{policy}")
    session = sandbox.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    clients = clients_of(sandbox, session)
    dynamodb, states, functions = clients("dynamodb"), clients("stepfunctions"), clients("lambda")
    prefix = f"arn:aws:states:{HUB_REGION}:{HUB}:stateMachine:podshare-"
    records, calls = PEOPLE[policy]

    for table in ("podshare-registry", "podshare-state"):
        assert not denied(dynamodb.scan, TableName=table)
        assert denied(dynamodb.delete_table, TableName=table)
    for machine in MACHINES:
        assert not denied(states.list_executions, stateMachineArn=f"{prefix}{machine}")
        started = {"stateMachineArn": f"{prefix}{machine}", "input": '{"team": "nobody", "trigger": {}}'}
        assert denied(states.start_execution, **started) == (machine not in calls), machine
    for record in PEOPLE["podshare-admin"][0]:
        key = {"id": {"S": record}}
        writes = [
            denied(dynamodb.delete_item, TableName="podshare-registry", Key=key),
            denied(dynamodb.put_item, TableName="podshare-registry", Item=key),
            denied(dynamodb.delete_item, TableName="podshare-registry", Key=key),
        ]
        assert writes == [record not in records] * 3, record
        assert denied(dynamodb.delete_item, TableName="podshare-state", Key={**key, "part": {"S": "status"}})
        assert denied(dynamodb.put_item, TableName="podshare-state", Item={**key, "part": {"S": "status"}})
    other = [{"PutRequest": {"Item": {"id": {"S": name}}}} for name in ("pause#all", "team#vision")]
    assert denied(dynamodb.batch_write_item, RequestItems={"podshare-registry": other}) or policy == "podshare-admin"
    for function_name in FUNCTIONS:
        invoked = {"FunctionName": f"podshare-{function_name}", "Payload": b"{}"}
        assert denied(functions.invoke, **invoked) == (function_name not in calls), function_name
