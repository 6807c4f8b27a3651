"""What has to hold before anything is added, checked and reported together."""

import datetime
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import ClientError

from podshare.aws.errors import NoMemberRole, code_of, reason_of, remedy_for
from podshare.aws.settings import Settings
from podshare.kinds import limits
from podshare.kinds.access_entry import calls as access_entry
from podshare.kinds.access_point import calls as access_point
from podshare.kinds.base import ExecutionRole, Key, Kind, Resource
from podshare.kinds.compute_quota import calls as compute_quota
from podshare.kinds.compute_quota.shape import ComputeQuota
from podshare.kinds.context import Context, tag_map
from podshare.kinds.facts import ClusterFacts
from podshare.kinds.namespace import calls as namespace
from podshare.kinds.namespace.shape import Namespace
from podshare.kinds.observation import Blocker, Foreign, Observation, Unreadable
from podshare.kinds.pod_identity_association import calls as pod_identity_association
from podshare.kinds.role_attachment import calls as role_attachment
from podshare.reconcile.buckets import unfit_data
from podshare.reconcile.capacity import Nodes, nodes
from podshare.reconcile.file_system_facts import unfit_links
from podshare.reconcile.plan import Action, Change
from podshare.reconcile.team_records import cluster_facts
from podshare.registry.accounts import Account
from podshare.registry.items import namespace_of
from podshare.registry.records import Cluster
from podshare.resource_tags import not_allowed

MEMBER_VERSION = "9"
VERSION_TAG = "podshare:member-version"
TAG_KEYS_TAG = "podshare:resource-tag-keys"
# of Kubernetes' objects AWS knows no tags
_TAGGING = (ExecutionRole.IDENTITY, ExecutionRole.CLUSTER, ExecutionRole.DATA)
ADD_ONS = ("eks-pod-identity-agent", "amazon-sagemaker-hyperpod-taskgovernance")
_MOVING = ("Creating", "Updating", "SystemUpdating", "RollingBack")  # SageMaker API, DescribeCluster
_DEPLOY = "Deploy accounts/member.yaml of this version to the account."


@dataclass(frozen=True, slots=True)
class ClusterCondition:
    """What AWS says of a cluster; ``facts`` is None if its HyperPod cluster could not be found.

    ``subnets`` are those that its nodes may be in.
    """

    facts: ClusterFacts | None
    nodes: Mapping[str, Nodes]
    blockers: tuple[Blocker, ...]
    subnets: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def inspect_cluster(context: Context, record: Cluster) -> ClusterCondition:
    """Find the HyperPod cluster of a record, and everything that keeps it from being shared."""
    try:
        sagemaker = context.accounts.client("sagemaker", record.account, record.region)
        cluster = sagemaker.describe_cluster(ClusterName=record.hyperpod_cluster)
        facts, nodes_by_group = cluster_facts(record, cluster["ClusterArn"]), nodes(cluster.get("InstanceGroups", []))
        subnets = frozenset(_subnets(cluster))
        blockers = [*_hyperpod(context, record, cluster.get("ClusterStatus", ""), _orchestrator(cluster))]
        blockers += _eks(context, record)
    except Exception as error:  # whatever it is: nothing can be shared there, and access is still revoked
        problem = (
            f"cluster {record.name} cannot be read in account {record.account}, {record.region}: {reason_of(error)}"
        )
        remedy = f"Correct cluster#{record.name}, or {_DEPLOY[0].lower()}{_DEPLOY[1:]}"
        blocker = Blocker(problem, remedy_for(error, remedy), cluster=record.name)
        return ClusterCondition(None, {}, (blocker,))
    cluster_blockers = tuple(replace(blocker, cluster=record.name) for blocker in blockers)
    return ClusterCondition(facts, nodes_by_group, cluster_blockers, subnets)


def _subnets(described: Mapping[str, Any]) -> Iterator[str]:
    """A cluster's own, and those of its instance groups that have others."""
    yield from described.get("VpcConfig", {}).get("Subnets", ())
    for group in described.get("InstanceGroups", ()):
        yield from group.get("OverrideVpcConfig", {}).get("Subnets", ())


def _orchestrator(described: Mapping[str, object]) -> str:
    orchestrator = described.get("Orchestrator")
    eks = orchestrator.get("Eks") if isinstance(orchestrator, dict) else None
    return str(eks.get("ClusterArn", "")) if isinstance(eks, dict) else ""


def _hyperpod(context: Context, record: Cluster, status: str, orchestrator: str) -> Iterator[Blocker]:
    if status != "InService":
        problem = f"HyperPod cluster {record.hyperpod_cluster} is {status}, not InService"
        remedy = "Wait until it is, or repair it; then reconcile."
        yield Blocker(problem, remedy, waits=status in _MOVING)
    expected = context.installation.eks_arn(record.account, record.region, record.eks_cluster)
    if orchestrator != expected:
        problem = (
            f"HyperPod cluster {record.hyperpod_cluster} runs on {orchestrator or 'no EKS cluster'}, not on {expected}"
        )
        yield Blocker(problem, f"Correct eks_cluster or hyperpod_cluster in cluster#{record.name}.")


def _eks(context: Context, record: Cluster) -> Iterator[Blocker]:
    eks = context.accounts.client("eks", record.account, record.region)
    cluster = eks.describe_cluster(name=record.eks_cluster)["cluster"]
    mode = cluster.get("accessConfig", {}).get("authenticationMode", "CONFIG_MAP")
    if mode == "CONFIG_MAP":
        remedy = "Switch it to API_AND_CONFIG_MAP (aws eks update-cluster-config; it cannot be undone)."
        yield Blocker(f"EKS cluster {record.eks_cluster} has authentication mode {mode}", remedy)
    if cluster["status"] != "ACTIVE":
        yield Blocker(f"EKS cluster {record.eks_cluster} is {cluster['status']}", "Wait until it is ACTIVE.")
    for add_on in ADD_ONS:
        try:
            addon = eks.describe_addon(clusterName=record.eks_cluster, addonName=add_on)["addon"]
            status = str(addon["status"])
        except ClientError as error:
            if code_of(error) != "ResourceNotFoundException":
                raise
            status = "absent"
        if status not in ("ACTIVE", "UPDATING"):
            remedy = f"Install or repair it: aws eks create-addon --addon-name {add_on}."
            yield Blocker(f"add-on {add_on} of EKS cluster {record.eks_cluster} is {status}", remedy)


def before_adding(
    context: Context,
    desired: Mapping[Key, Resource],
    adding: Iterable[Change],
    instance_types: Mapping[str, Collection[str]],
) -> list[Blocker]:
    """Everything that keeps ``adding`` from being done, for each place that it touches.

    ``instance_types`` are those of each of the team's clusters.
    """
    changes = list(adding)
    blockers = [*limits.sizes(desired.values()), *_unknown_instances(desired.values(), instance_types)]
    blockers += _member_roles(context, changes)
    blockers += _missing_roles(context, changes)
    blockers += unfit_data(context, desired, {change.key for change in changes})
    blockers += unfit_links(context, desired, {change.key for change in changes})
    creating = Counter(
        (change.key.kind, change.key.account, change.key.region) for change in changes if change.action is Action.CREATE
    )
    for place in creating:
        blockers += _crowded(context, desired, {place: creating[place]})
    return blockers


def _unknown_instances(desired: Iterable[Resource], instance_types: Mapping[str, Collection[str]]) -> Iterator[Blocker]:
    for resource in desired:
        if isinstance(resource, ComputeQuota):
            present = instance_types.get(resource.cluster, ())
            borrowed = resource.sharing.get("AbsoluteBorrowLimits", ())
            asked = {str(line["InstanceType"]) for line in (*resource.resources, *borrowed)}
            if unknown := sorted(asked - set(present)):
                problem = f"cluster {resource.cluster} has no {', '.join(unknown)}; it has {', '.join(sorted(present))}"
                remedy = "Correct instance_type in quota.resources, or in absolute_borrow_limits."
                yield Blocker(problem, remedy, cluster=resource.cluster)


def late_member_roles(
    settings: Settings,
    accounts: Mapping[str, Account],
    desired: Mapping[Key, Resource],
    observed: Mapping[Key, Observation],
) -> Iterator[Blocker]:
    """One blocker for each account that could not be asked because it lacks its member role.

    A StackSet makes the role some minutes after an account has joined: it is waited for, and after
    ``member_role_wait`` seconds the account is given up on.
    """
    late = {
        key.account: observation.reason
        for key, observation in observed.items()
        if key in desired and isinstance(observation, Unreadable) and observation.no_role
    }
    now = datetime.datetime.now(datetime.UTC)
    for account, reason in sorted(late.items()):
        since = accounts[account].waiting_since if account in accounts else ""
        began = datetime.datetime.fromisoformat(since) if since else now
        patient = account in accounts and (now - began).total_seconds() < settings.member_role_wait
        since_when = began.isoformat(timespec="seconds")
        if patient:
            problem = f"account {account} has been waiting for its member role since {since_when}: {reason}"
            remedy = "Nothing to do while the StackSet deploys it. The rest of the team is provisioned meanwhile."
        else:
            problem = f"account {account} has had no member role since {since_when}, podshare gave up waiting: {reason}"
            remedy = f"{_DEPLOY} The sweep tries again."
        yield Blocker(problem, remedy, account=account, waits=patient)


def reserved_names(desired: Mapping[Key, Resource], observed: Mapping[Key, Observation]) -> Iterator[Blocker]:
    """One blocker where a team has the name of one that was deleted, whose namespace is not empty yet.

    Whoever comes in would meet the pods and service accounts of those who were there before.
    """
    for key, observation in observed.items():
        if key in desired and isinstance(observation, Namespace) and observation.vacating:
            problem = f"a team of this name was deleted, and its namespace {key.name} is not empty yet"
            remedy = (
                f"Wait, or delete its remaining contents, volume claims included: kubectl delete namespace {key.name}"
            )
            yield Blocker(problem, remedy, account=key.account, waits=True)


def other_teams(
    context: Context, desired: Mapping[Key, Resource], observed: Mapping[Key, Observation]
) -> Iterator[Blocker]:
    """One blocker for each cluster that has a HyperPod team of this name which podshare did not make.

    The namespace follows from the name: the record's members would get into that of the team that is there.
    """
    quotas = [resource for resource in desired.values() if isinstance(resource, ComputeQuota)]
    renamed = {_hyperpod_of(key): key.name.partition("/")[2] for key in renamed_quotas(desired, observed)}
    for quota in quotas:
        cluster = quota.cluster if len(quotas) > 1 else ""
        try:
            others = compute_quota.others_of_team(context, quota)
        except Exception as error:  # as above
            problem = (
                f"cannot check whether cluster {quota.cluster} has a foreign team {quota.team}: {reason_of(error)}"
            )
            remedy = "The next reconciliation tries again."
            # late_member_roles says how long a member role has been waited for
            yield Blocker(problem, remedy, cluster=cluster, waits=isinstance(error, NoMemberRole))
            continue
        if own := renamed.get(_hyperpod_of(quota.key)):
            problem = (
                f"SageMaker cannot rename compute quota {own} of cluster {quota.cluster} to "
                f"{quota.key.name.partition('/')[2]}"
            )
            remedy = f"Write quota.name: {own} again. For a quota of another name, delete the team first."
            yield Blocker(problem, remedy, cluster=cluster)
            others = [name for name in others if name != own]
        if isinstance(observed.get(quota.key), Foreign):
            others.append(quota.key.name.partition("/")[2])
        if others:
            problem = (
                f"cluster {quota.cluster} has a HyperPod team {quota.team} that podshare did not create: compute quota "
                f"{', '.join(sorted(others))} created its namespace {namespace_of(quota.team)}"
            )
            remedy = (
                "Hand it over (podshare import, option --adopt), choose another name for the team, or delete that "
                "quota and the contents of the namespace."
            )
            yield Blocker(problem, remedy, cluster=cluster)


def renamed_quotas(desired: Mapping[Key, Resource], observed: Mapping[Key, Observation]) -> set[Key]:
    """The team's quotas for which its record has another name now, which is not there yet."""
    renamed = {
        _hyperpod_of(key)
        for key, resource in desired.items()
        if isinstance(resource, ComputeQuota) and not isinstance(observed.get(key), ComputeQuota)
    }
    return {
        key
        for key, observation in observed.items()
        if isinstance(observation, ComputeQuota) and key not in desired and _hyperpod_of(key) in renamed
    }


def unlocated_compute(observed: Mapping[Key, Observation]) -> set[Key]:
    """The compute quotas and namespaces of a team whose record names only clusters that were never read."""
    return {
        key
        for key, observation in observed.items()
        if key.kind in (Kind.COMPUTE_QUOTA, Kind.NAMESPACE) and isinstance(observation, Resource)
    }


def kept_until_located(compute: Iterable[Key]) -> Iterator[Blocker]:
    """One blocker for each of them: access is revoked, and what runs there is ended once the new cluster is read."""
    for key in sorted(compute):
        problem = (
            f"{key.kind.replace('_', ' ')} {key.name.rpartition('/')[2]} stays on cluster {key.container}, without "
            "access to it: none of the clusters that the team's record names has been read yet"
        )
        remedy = "Correct the record's cluster, or the cluster's record. It is deleted once a new cluster is read."
        yield Blocker(problem, remedy, only=str(key))


def _hyperpod_of(quota: Key) -> tuple[str, str, str]:
    return quota.account, quota.region, quota.name.partition("/")[0]


def other_namespaces(
    context: Context, desired: Mapping[Key, Resource], observed: Mapping[Key, Observation], known: Collection[Key]
) -> Iterator[Blocker]:
    """One blocker for each namespace that is there before the compute quota by which SageMaker would make it."""
    wanted = [resource for resource in desired.values() if isinstance(resource, Namespace)]
    for resource in wanted:
        is_made = any(observed.get(need) or need in known for need in resource.needs)
        if observed.get(resource.key) or is_made or not _holds(namespace.is_of_others, context, resource.key):
            continue
        problem = (
            f"namespace {resource.key.name} of cluster {resource.cluster} exists, and podshare did not create its team"
        )
        remedy = "Choose another name for the team, or delete the namespace if nothing in it is needed."
        yield Blocker(problem, remedy, cluster=resource.cluster if len(wanted) > 1 else "")


def lost_namespaces(
    context: Context, desired: Mapping[Key, Resource], observed: Mapping[Key, Observation]
) -> Iterator[Blocker]:
    """One blocker for each namespace that somebody has deleted, or is deleting, under its compute quota.

    SageMaker makes it with the quota, and not again.
    """
    for key in desired:
        if key.kind is not Kind.NAMESPACE:
            continue
        observation = observed.get(key)
        if isinstance(observation, Namespace) and observation.ending:
            problem = f"namespace {key.name} is being deleted, and nothing can be created in it"
            remedy = (
                f"Wait until it is deleted. The deletion is blocked by {observation.ending}: finish that, or remove it."
            )
            yield Blocker(problem, remedy, waits=True, namespace=str(key))
            continue
        quota = next((need for need in map(observed.get, desired[key].needs) if isinstance(need, ComputeQuota)), None)
        now = context.as_of_now()  # after the quota was read: SageMaker may just have made the namespace
        if observation is None and quota and quota.status == "settled" and _holds(namespace.is_absent, now, key):
            yield _deleted_under(quota, key)


def _deleted_under(quota: ComputeQuota, namespace: Key) -> Blocker:
    name, region = quota.key.name.partition("/")[2], namespace.region
    query = f"ComputeQuotaSummaries[?Name=='{name}' && Status!='Deleted'].ComputeQuotaId | [0]"
    listed = f'aws sagemaker list-compute-quotas --region {region} --query "{query}" --output text'
    problem = f"compute quota {name} exists, but its namespace {namespace.name} does not: somebody has deleted it"
    remedy = (
        "Delete the quota too, then reconcile: SageMaker creates the namespace with the next one. "
        f"aws sagemaker delete-compute-quota --region {region} --compute-quota-id $({listed})"
    )
    return Blocker(problem, remedy, namespace=str(namespace))


def _holds(question: Callable[[Context, Key], bool], context: Context, key: Key) -> bool:
    try:
        return question(context, key)
    except Exception:  # without an answer it is not known to; reading the namespace says why
        return False


def _member_roles(context: Context, changes: Iterable[Change]) -> Iterator[Blocker]:
    """The member roles that the changes need: there, of this version, and with leave to give the hub's tags."""
    needed = {(change.key.account, "read") for change in changes}
    needed |= {(change.key.account, change.execution_role) for change in changes}
    for account, execution_role in sorted(needed):
        try:
            iam = context.accounts.client("iam", account)
            name = context.installation.member_role_arn(account, execution_role).rpartition("/")[2]
            tags = tag_map(iam.get_role(RoleName=name)["Role"].get("Tags", []))
        except Exception as error:  # as above
            problem = f"account {account}: member role for {execution_role}: {reason_of(error)}"
            yield Blocker(problem, remedy_for(error, _DEPLOY), account=account)
            continue
        if (version := tags.get(VERSION_TAG)) != MEMBER_VERSION:
            problem = f"account {account}: member role for {execution_role} has version {version}"
            problem += f", this hub needs {MEMBER_VERSION}"
            yield Blocker(problem, _DEPLOY, account=account)
        elif execution_role in _TAGGING and (
            missing := not_allowed(context.installation.resource_tags, tags.get(TAG_KEYS_TAG, ""))
        ):
            problem = f"account {account}: member role for {execution_role} may not set the tags {', '.join(missing)}"
            keys = ",".join(context.installation.resource_tags)
            remedy = f"Deploy accounts/member.yaml there with the hub's keys: ResourceTagKeys={keys}"
            yield Blocker(problem, remedy, account=account)


def _missing_roles(context: Context, changes: Iterable[Change]) -> Iterator[Blocker]:
    """The roles that members bring and that are not there, or not at this path."""
    for key in (change.key for change in changes if change.key.kind is Kind.ROLE_ATTACHMENT):
        try:
            role_path_and_name = role_attachment.path_and_name(context, key)
        except Exception as error:  # as above
            problem = f"account {key.account}: cannot check whether the role {key.container} exists: {reason_of(error)}"
            yield Blocker(problem, "The next reconciliation tries again.", only=str(key))
            continue
        if role_path_and_name != key.container:
            likely = f"Did you mean {role_path_and_name}? Else create" if role_path_and_name else "Create"
            remedy = f"{likely} it, or correct existing_role (with its path) in the team's record."
            problem = f"account {key.account} has no role {key.container}"
            yield Blocker(problem, remedy, only=str(key))


def _crowded(
    context: Context, desired: Mapping[Key, Resource], creating: Mapping[tuple[Kind, str, str], int]
) -> list[Blocker]:
    """Places without room for what is about to be made there; one that does not say how much it has is left alone."""
    try:
        return [*limits.counts(creating, _rooms(context, desired, creating))]
    except Exception as error:  # as above
        ((kind, account, _),) = creating
        problem = f"account {account}: cannot check the quota for a {kind.replace('_', ' ')}"
        remedy = "The next reconciliation tries again."
        return [Blocker(f"{problem}: {reason_of(error)}", remedy, account=account)]


def _rooms(
    context: Context, desired: Mapping[Key, Resource], creating: Mapping[tuple[Kind, str, str], int]
) -> Iterator[limits.Room]:
    """How much room is left where something is about to be made."""
    for kind, account, region in creating:
        match kind:
            case Kind.ROLE:
                summary = context.accounts.client("iam", account).get_account_summary()["SummaryMap"]
                remedy = "Ask AWS to raise the IAM quota `Roles per account`."
                yield limits.Room(kind, account, region, summary["Roles"], summary["RolesQuota"], remedy)
            case Kind.ACCESS_ENTRY:
                eks, clusters = (
                    context.accounts.client("eks", account, region),
                    _containers(desired, kind, account, region),
                )
                present = max(len(access_entry.all_principals(eks, name)) for name in clusters)
                remedy = "EKS does not raise this quota: select fewer accounts, or use another cluster."
                yield limits.Room(kind, account, region, present, limits.ACCESS_ENTRIES, remedy)
            case Kind.POD_IDENTITY_ASSOCIATION:
                eks, clusters = (
                    context.accounts.client("eks", account, region),
                    _containers(desired, kind, account, region),
                )
                present = max(pod_identity_association.count(eks, name) for name in clusters)
                remedy = "EKS does not raise this quota: use fewer service accounts."
                yield limits.Room(kind, account, region, present, limits.POD_IDENTITY_ASSOCIATIONS, remedy)
            case Kind.ACCESS_POINT:
                remedy = "Ask AWS to raise the S3 quota `Access points`."
                s3control = context.accounts.client("s3control", account, region)
                present = sum(1 for _ in access_point.all_names(s3control, account))
                yield limits.Room(kind, account, region, present, limits.ACCESS_POINTS, remedy)


def _containers(desired: Mapping[Key, Resource], kind: Kind, account: str, region: str) -> set[str]:
    return {key.container for key in desired if (key.kind, key.account, key.region) == (kind, account, region)}
