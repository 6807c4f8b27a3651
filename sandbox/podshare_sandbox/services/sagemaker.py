"""SageMaker HyperPod: clusters, and the compute quotas and scheduler configs of task governance.

moto's clusters have their name where AWS has a 12-character id, forget their orchestrator and answer the wrong
errors; task governance is missing. Here a change of a quota is asynchronous, as it is on AWS: it is computed
from the clock when somebody looks, at SageMaker or at the Kubernetes API (``settle_quotas``). A quota that
becomes Created makes the team's namespace and Kueue queues.

Not emulated: a cluster's own life cycle (it is InService at once, and gone at once), node failures, and the
check of quotas against capacity, which AWS does not document. What DeleteComputeQuota leaves behind is not
documented either: here the queues go and the namespace stays.

Sources: SageMaker API Reference (all operations and limits, as in botocore's model); SageMaker Developer Guide,
"SageMaker HyperPod task governance" with its pages on policies, setup, and troubleshooting.
"""

import ipaddress
import re
import secrets
import string
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from threading import RLock
from typing import Any

from botocore.model import StructureShape
from moto.core.exceptions import ServiceException
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.sagemaker.models import SageMakerModelBackend, sagemaker_backends

from podshare_sandbox import clock, consistency
from podshare_sandbox.authorization import registrations
from podshare_sandbox.authorization.call import Call
from podshare_sandbox.moto_extension import Caller, ServiceExtension, operation_model, page
from podshare_sandbox.services import eks

TASK_GOVERNANCE_ADDON = "amazon-sagemaker-hyperpod-taskgovernance"
CHANGE_SECONDS = {"Creating": 4.0, "Updating": 3.0, "Deleting": 3.0}

_sagemaker = ServiceExtension("sagemaker")
_lock = RLock()
# called with the ARN of the EKS cluster whose quotas or scheduler config are about to change
change_listeners: list[Callable[[str], None]] = []
# what a change that is over makes in its EKS cluster, by kind: the Kubernetes API registers it
effects: dict["Kind", Callable[["Definition", "Change"], None]] = {}

Fields = dict[str, Any]


@dataclass(frozen=True)
class Capacity:
    """What one instance offers."""

    accelerators: int
    vcpu: float
    memory_gib: float
    efa_interfaces: int = 0
    accelerator: str = "nvidia.com/gpu"  # the resource that its device plugin offers


@cache
def capacity(instance_type: str) -> Capacity | None:
    """What an instance of a type such as ``ml.p5.48xlarge`` offers, as EC2 publishes it; None where it does not."""
    described = INSTANCE_TYPES.get(instance_type.removeprefix("ml."))
    if described is None:
        return None
    gpus = (described.get("GpuInfo") or {}).get("Gpus", [])
    devices = (described.get("NeuronInfo") or {}).get("NeuronDevices", [])
    accelerators = sum(each["Count"] for each in (*gpus, *devices))
    return Capacity(
        accelerators,
        described["VCpuInfo"]["DefaultVCpus"],
        described["MemoryInfo"]["SizeInMiB"] / 1024,
        (described["NetworkInfo"].get("EfaInfo") or {}).get("MaximumEfaInterfaces", 0),
        "aws.amazon.com/neurondevice" if devices else "nvidia.com/gpu",
    )


_ANY_ACCOUNT = "123456789012"
_SLICES_PER_ACCELERATOR = 7  # of a GPU under Multi-Instance GPU (NVIDIA MIG User Guide)


def fail_next(operation: str, reason: str) -> None:
    """Let the next change by ``operation`` (``CreateComputeQuota``, …) fail with ``reason``: a sandbox control.

    The call itself succeeds; the change ends as CreateFailed, UpdateFailed or DeleteFailed.
    """
    _failures().setdefault(operation, []).append(reason)


def fail_no_more() -> None:
    """Forget the failures that were asked for and have not come true."""
    _failures().clear()


def _failures() -> dict[str, list[str]]:
    # on some backend, so that moto's reset drops what was not used
    failures: dict[str, list[str]] = _backend(_ANY_ACCOUNT, "us-east-1").__dict__.setdefault("_podshare_failures", {})
    return failures


def _backend(account: str, region: str) -> SageMakerModelBackend:
    return sagemaker_backends[account][region]


def _invalid(message: str) -> ServiceException:
    return _sagemaker.error("ValidationException", message)


def _not_found(what: str) -> ServiceException:
    return _sagemaker.error("ResourceNotFound", f"{what} not found.")


def _conflict(message: str) -> ServiceException:
    return _sagemaker.error("ConflictException", message)


def _new_id() -> str:
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(12))


def _aware(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC)  # moto parses timestamps as UTC without saying so


def _listed(
    items: Iterable[Fields],
    *,
    order: Callable[[Fields], Any],
    descending: bool,
    created: str,
    after: datetime | None,
    before: datetime | None,
    MaxResults: int | None,
    NextToken: str | None,
) -> tuple[list[Fields], str | None]:
    """One page of what was made between ``after`` and ``before``; ``created`` is the member with the time."""
    matching = [
        each
        for each in items
        if (after is None or each[created] > _aware(after)) and (before is None or each[created] < _aware(before))
    ]
    try:
        return page(sorted(matching, key=order, reverse=descending), MaxResults, NextToken)
    except ValueError:
        raise _invalid("Invalid pagination token.") from None


# --- clusters -----------------------------------------------------------------------------------------


@dataclass(eq=False)
class HyperPodCluster:
    """A HyperPod cluster with its instance groups and nodes, all running."""

    arn: str
    cluster_name: str
    request: Fields
    groups: list[Fields]
    nodes: list[Fields]
    tags: list[dict[str, str]]
    created: datetime

    @property
    def eks_cluster_arn(self) -> str | None:
        """The cluster that orchestrates it, None under Slurm."""
        arn: str | None = self.request.get("Orchestrator", {}).get("Eks", {}).get("ClusterArn")
        return arn

    @property
    def summary(self) -> Fields:
        return {
            "ClusterArn": self.arn,
            "ClusterName": self.cluster_name,
            "CreationTime": self.created,
            "ClusterStatus": "InService",
        }


def clusters(account: str, region: str) -> dict[str, HyperPodCluster]:
    """The account's HyperPod clusters in that Region, by name."""
    found: dict[str, Any] = _backend(account, region).clusters  # moto's own place for its own kind of cluster
    return found


def _cluster(caller: Caller, name_or_arn: str) -> HyperPodCluster:
    for cluster in clusters(caller.account, caller.region).values():
        if name_or_arn in (cluster.cluster_name, cluster.arn):
            return cluster
    raise _not_found(f"Cluster with name or arn {name_or_arn}")


def create_cluster(caller: Caller, *, ClusterName: str, **request: Any) -> Fields:
    """CreateCluster, InService at once.

    Errors: ResourceInUse (the name), ValidationException (no instance group, or an EKS cluster that does not
    exist in the caller's account and Region).
    """
    if ClusterName in clusters(caller.account, caller.region):
        raise _sagemaker.error("ResourceInUse", f"Cluster with name {ClusterName} already exists.")
    specifications = request.get("InstanceGroups", [])
    if not specifications:
        raise _invalid("The sandbox needs InstanceGroups: it has no restricted instance groups")
    created = clock.now()
    cluster = HyperPodCluster(
        arn=f"arn:aws:sagemaker:{caller.region}:{caller.account}:cluster/{_new_id()}",
        cluster_name=ClusterName,
        request=request,
        groups=[_group(each) for each in specifications],
        nodes=list(_nodes(specifications, caller.region, created)),
        tags=request.get("Tags", []),
        created=created,
    )
    _check_orchestrator(caller, cluster.eks_cluster_arn)
    clusters(caller.account, caller.region)[ClusterName] = cluster
    return {"ClusterArn": cluster.arn}


def _check_orchestrator(caller: Caller, eks_cluster_arn: str | None) -> None:
    if eks_cluster_arn is None:
        return
    known = {cluster.arn for cluster in eks.clusters()}
    here = eks_cluster_arn.split(":")[3:5] == [caller.region, caller.account]
    if not here or eks_cluster_arn not in known:
        raise _invalid(f"EKS cluster {eks_cluster_arn} does not exist in this account and Region")


def _shape(operation: str, side: str, list_member: str | None = None) -> StructureShape:
    """botocore's shape of an operation's ``input_shape`` or ``output_shape``, or of the items in a list there."""
    shape: Any = getattr(operation_model("sagemaker", operation), side)
    found: StructureShape = shape.members[list_member].member if list_member else shape
    return found


def _in_shape(fields: Fields, shape: StructureShape, source: StructureShape) -> Fields:
    """The members of ``fields`` that ``shape`` describes in the same way as ``source``."""
    return {
        name: value
        for name, value in fields.items()
        if name in shape.members and shape.members[name].name == source.members[name].name
    }


def _group(specification: Fields) -> Fields:
    inputs = _shape("CreateCluster", "input_shape", "InstanceGroups")
    details = _shape("DescribeCluster", "output_shape", "InstanceGroups")
    return {
        **_in_shape(specification, details, inputs),
        "CurrentCount": specification["InstanceCount"],
        "TargetCount": specification["InstanceCount"],
        "Status": "InService",
    }


def _nodes(specifications: list[Fields], region: str, launched: datetime) -> Iterator[Fields]:
    addresses = ipaddress.ip_network("10.0.0.0/16").hosts()
    for specification in specifications:
        types = (specification.get("InstanceRequirements") or {}).get("InstanceTypes", [])
        for _ in range(specification["InstanceCount"]):
            address = str(next(addresses))
            yield {
                "InstanceGroupName": specification["InstanceGroupName"],
                "InstanceId": f"i-{secrets.token_hex(9)[:17]}",
                "InstanceType": specification.get("InstanceType") or types[0],
                "LaunchTime": launched,
                "InstanceStatus": {"Status": "Running"},
                "LifeCycleConfig": specification.get("LifeCycleConfig"),
                "ThreadsPerCore": specification.get("ThreadsPerCore"),
                "PrivatePrimaryIp": address,
                "PrivateDnsHostname": f"ip-{address.replace('.', '-')}.{region}.compute.internal",
                "Placement": {"AvailabilityZone": f"{region}a"},
            }


def describe_cluster(caller: Caller, *, ClusterName: str) -> Fields:
    """DescribeCluster, by name or ARN. Errors: ResourceNotFound."""
    cluster = _cluster(caller, ClusterName)
    outputs = _shape("DescribeCluster", "output_shape")
    inputs = _shape("CreateCluster", "input_shape")
    return {
        "NodeRecovery": "Automatic",
        **_in_shape(cluster.request, outputs, inputs),
        **cluster.summary,
        "InstanceGroups": cluster.groups,
    }


def list_clusters(
    caller: Caller,
    *,
    CreationTimeAfter: datetime | None = None,
    CreationTimeBefore: datetime | None = None,
    MaxResults: int | None = None,
    NameContains: str = "",
    NextToken: str | None = None,
    SortBy: str = "CREATION_TIME",
    SortOrder: str = "Ascending",
    TrainingPlanArn: str | None = None,
) -> Fields:
    """ListClusters, at most 100 a page. No cluster of the sandbox has a training plan."""
    everything = [] if TrainingPlanArn else clusters(caller.account, caller.region).values()
    listed, token = _listed(
        (each.summary for each in everything if NameContains in each.cluster_name),
        order=lambda each: each["ClusterName" if SortBy == "NAME" else "CreationTime"],
        descending=SortOrder == "Descending",
        created="CreationTime",
        after=CreationTimeAfter,
        before=CreationTimeBefore,
        MaxResults=MaxResults,
        NextToken=NextToken,
    )
    return {"ClusterSummaries": listed, "NextToken": token}


def list_cluster_nodes(
    caller: Caller,
    *,
    ClusterName: str,
    CreationTimeAfter: datetime | None = None,
    CreationTimeBefore: datetime | None = None,
    InstanceGroupNameContains: str = "",
    MaxResults: int | None = None,
    NextToken: str | None = None,
    SortBy: str = "CREATION_TIME",
    SortOrder: str = "Ascending",
    IncludeNodeLogicalIds: bool = False,  # noqa: ARG001  # all nodes have instance ids
) -> Fields:
    """ListClusterNodes, at most 100 a page. Errors: ResourceNotFound."""
    shown = _shape("ListClusterNodes", "output_shape", "ClusterNodeSummaries").members
    listed, token = _listed(
        (
            {name: value for name, value in node.items() if name in shown}
            for node in _cluster(caller, ClusterName).nodes
            if InstanceGroupNameContains in node["InstanceGroupName"]
        ),
        order=lambda each: each["InstanceGroupName" if SortBy == "NAME" else "LaunchTime"],
        descending=SortOrder == "Descending",
        created="LaunchTime",
        after=CreationTimeAfter,
        before=CreationTimeBefore,
        MaxResults=MaxResults,
        NextToken=NextToken,
    )
    return {"ClusterNodeSummaries": listed, "NextToken": token}


def describe_cluster_node(
    caller: Caller, *, ClusterName: str, NodeId: str | None = None, NodeLogicalId: str | None = None
) -> Fields:
    """DescribeClusterNode, by instance id. Errors: ResourceNotFound, ValidationException (no node named)."""
    if not NodeId and not NodeLogicalId:
        raise _invalid("Either NodeId or NodeLogicalId must be specified.")
    for node in _cluster(caller, ClusterName).nodes:
        if node["InstanceId"] == NodeId:
            return {"NodeDetails": node}
    raise _not_found(f"Node {NodeId or NodeLogicalId} of cluster {ClusterName}")


def delete_cluster(caller: Caller, *, ClusterName: str) -> Fields:
    """DeleteCluster. Errors: ResourceNotFound, ConflictException (quotas or a scheduler config are left)."""
    cluster = _cluster(caller, ClusterName)
    if any(each.cluster_arn == cluster.arn for kind in KINDS for each in _definitions(caller, kind)):
        raise _conflict(f"Cluster {ClusterName} still has a cluster policy or compute allocations.")
    del clusters(caller.account, caller.region)[cluster.cluster_name]
    return {"ClusterArn": cluster.arn}


# --- what quotas and scheduler configs have in common -------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """A kind of definition of task governance."""

    title: str
    arn_type: str
    members: tuple[str, ...]  # what a request sets, besides name, cluster and tags

    def member(self, suffix: str) -> str:
        """The API's name of a member: ``ComputeQuotaId``, …"""
        return f"{self.title}{suffix}"


QUOTA = Kind(
    "ComputeQuota",
    "compute-quota",
    ("Description", "ComputeQuotaConfig", "ComputeQuotaTarget", "ActivationState"),
)
SCHEDULER = Kind("ClusterSchedulerConfig", "cluster-scheduler-config", ("Description", "SchedulerConfig"))
KINDS = (QUOTA, SCHEDULER)


@dataclass(frozen=True, eq=False)
class Change:
    """A change under way: Creating, Updating or Deleting since some time."""

    doing: str
    before: Fields
    reason_to_fail: str | None
    since: datetime = field(default_factory=clock.now)

    @property
    def is_over(self) -> bool:
        return clock.passed(self.since, CHANGE_SECONDS[self.doing])

    @property
    def seconds_left(self) -> float:
        """Real seconds until it is over."""
        return max(0.0, clock.scaled(CHANGE_SECONDS[self.doing]) - (clock.now() - self.since).total_seconds())

    @property
    def done(self) -> str:
        return self.doing.removesuffix("ing") + "ed"

    @property
    def failed(self) -> str:
        return self.doing.removesuffix("ing") + "eFailed"


@dataclass(eq=False)
class Definition:
    """A compute quota or a cluster scheduler config, in all its versions."""

    kind: Kind
    arn: str
    name: str
    cluster_arn: str
    tags: list[dict[str, str]]
    versions: list[Fields]  # what was asked for, and completed, by each call; the last one holds
    change: Change | None
    created: datetime = field(default_factory=clock.now)
    modified: datetime = field(default_factory=clock.now)
    settled_status: str = ""
    failure: str | None = None

    @property
    def id(self) -> str:
        return self.arn.rpartition("/")[2]

    @property
    def version(self) -> int:
        return len(self.versions)

    @property
    def fields(self) -> Fields:
        return self.versions[-1]

    @property
    def status(self) -> str:
        return self.change.doing if self.change else self.settled_status

    @property
    def team(self) -> str:
        team: str = self.fields["ComputeQuotaTarget"]["TeamName"]
        return team

    def described(self, version: int) -> Fields:
        return {
            **self.versions[version - 1],
            "Name": self.name,
            self.kind.member("Id"): self.id,
            self.kind.member("Arn"): self.arn,
            self.kind.member("Version"): version,
            "Status": self.status,
            "FailureReason": self.failure,
            "ClusterArn": self.cluster_arn,
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
        }


def _store(account: str, region: str, kind: Kind) -> dict[str, Definition]:
    name = f"_podshare_{kind.arn_type}"
    store: dict[str, Definition] = _backend(account, region).__dict__.setdefault(name, {})
    return store


def _definitions(caller: Caller, kind: Kind) -> list[Definition]:
    """The caller's definitions as they are now: changes whose time has passed are done."""
    return _settled(_store(caller.account, caller.region, kind))


def _settled(store: dict[str, Definition]) -> list[Definition]:
    for definition in list(store.values()):
        change = definition.change
        if change and change.is_over:
            _finish(store, definition, change)
    return list(store.values())


def _finish(store: dict[str, Definition], definition: Definition, change: Change) -> None:
    failure = change.reason_to_fail or _unmet_precondition(definition, change)
    if not failure:
        effects[definition.kind](definition, change)  # outside the lock; applying twice does no harm
    with _lock:
        if definition.change is not change:
            return
        definition.change = None
        definition.failure = failure
        definition.settled_status = change.failed if failure else change.done
        if failure and change.doing == "Updating":
            definition.versions[-1] = change.before
        if not failure and change.doing == "Deleting":
            store.pop(definition.id, None)
            known = _known(eks_cluster_arn(definition), definition.kind)
            known.changed(definition.name, replace(definition, change=change))


def _unmet_precondition(definition: Definition, change: Change) -> str | None:
    """Without the add-on a new definition ends as CreateFailed (SageMaker HyperPod CLI, "Setup")."""
    if change.doing != "Creating":
        return None
    addon = eks.addons(eks.cluster_of(eks_cluster_arn(definition))).get(TASK_GOVERNANCE_ADDON)
    return None if addon and addon.status == "ACTIVE" else f"The add-on {TASK_GOVERNANCE_ADDON} is not active."


def eks_cluster_arn(definition: Definition) -> str:
    _, _, _, region, account, _ = definition.cluster_arn.split(":", 5)
    for cluster in clusters(account, region).values():
        if cluster.arn == definition.cluster_arn and cluster.eks_cluster_arn:
            return cluster.eks_cluster_arn
    raise RuntimeError(f"{definition.arn} has no cluster: DeleteCluster refuses while definitions exist")


def _new_change(operation: str, doing: str, before: Fields, name: str = "") -> Change:
    if operation == "CreateComputeQuota" and consistency.fails(name):
        fail_next(operation, "Internal failure.")
    reasons = _failures().get(operation)
    return Change(doing, before, reasons.pop(0) if reasons else None)


def _create(caller: Caller, kind: Kind, request: Fields) -> Fields:
    _definitions(caller, kind)
    with _lock:
        cluster = _governable_cluster(caller, request["ClusterArn"])
        store = _store(caller.account, caller.region, kind)
        for other in store.values():
            if other.cluster_arn == cluster.arn:
                _check_distinct(kind, request, other)
        definition = Definition(
            kind=kind,
            arn=f"arn:aws:sagemaker:{caller.region}:{caller.account}:{kind.arn_type}/{_new_id()}",
            name=request["Name"],
            cluster_arn=cluster.arn,
            tags=request.get("Tags", []),
            versions=[{name: request[name] for name in kind.members if name in request}],
            change=_new_change(f"Create{kind.title}", "Creating", {}, request["Name"]),
        )
        store[definition.id] = definition
        _known(eks_cluster_arn(definition), kind).changed(definition.name, None)
    _tell_of_change(definition)
    return {kind.member("Id"): definition.id, kind.member("Arn"): definition.arn}


def _governable_cluster(caller: Caller, arn: str) -> HyperPodCluster:
    for cluster in clusters(caller.account, caller.region).values():
        if cluster.arn == arn:
            if cluster.eks_cluster_arn is None:
                raise _invalid(f"Cluster {arn} is not orchestrated by Amazon EKS.")
            return cluster
    raise _invalid(f"Cluster with arn {arn} does not exist.")


def _check_distinct(kind: Kind, request: Fields, other: Definition) -> None:
    """One name and one team a cluster has one quota; a cluster has one scheduler config."""
    if kind is SCHEDULER:
        raise _conflict(f"The cluster already has a cluster policy: {other.arn}")
    if request["Name"] == other.name:
        raise _conflict(f"A compute allocation named {other.name} already exists: {other.arn}")
    if request["ComputeQuotaTarget"]["TeamName"] == other.team:
        raise _conflict(f"Team {other.team} already has a compute allocation: {other.arn}")


def _definition(caller: Caller, kind: Kind, definition_id: str) -> Definition:
    for definition in _definitions(caller, kind):
        if definition.id == definition_id:
            return definition
    raise _not_found(f"{kind.title} {definition_id}")


def _describe(caller: Caller, kind: Kind, definition_id: str, version: int | None) -> Fields:
    definition = _definition(caller, kind, definition_id)
    wanted = definition.version if version is None else version
    if not 1 <= wanted <= definition.version:
        raise _not_found(f"Version {wanted} of {kind.title} {definition_id}")
    return definition.described(wanted)


def _check_no_change(definition: Definition) -> None:
    if definition.change:
        raise _conflict(f"{definition.arn} is in status {definition.status}: try again when it is settled.")


def _update(caller: Caller, kind: Kind, request: Fields) -> Fields:
    definition = _definition(caller, kind, request[kind.member("Id")])
    with _lock:
        _check_no_change(definition)
        if request["TargetVersion"] != definition.version:
            raise _conflict(
                f"TargetVersion {request['TargetVersion']} is not the current version {definition.version}."
            )
        if definition.status in ("CreateFailed", "DeleteFailed"):
            raise _conflict(f"{definition.arn} is in status {definition.status}: delete it.")
        fields = definition.fields | {name: request[name] for name in kind.members if name in request}
        if kind is QUOTA and fields["ComputeQuotaTarget"]["TeamName"] != definition.team:
            raise _invalid("The team of a compute allocation cannot be changed.")
        definition.change = _new_change(f"Update{kind.title}", "Updating", definition.fields)
        definition.failure = None
        definition.versions.append(fields)
        definition.modified = clock.now()
    _tell_of_change(definition)
    return {kind.member("Arn"): definition.arn, kind.member("Version"): definition.version}


def _delete(caller: Caller, kind: Kind, definition_id: str) -> None:
    definition = _definition(caller, kind, definition_id)
    with _lock:
        _check_no_change(definition)
        definition.change = _new_change(f"Delete{kind.title}", "Deleting", definition.fields)
        definition.failure = None
        definition.modified = clock.now()
    _tell_of_change(definition)


def _tell_of_change(definition: Definition) -> None:
    for listener in list(change_listeners):
        listener(eks_cluster_arn(definition))


def _known(eks_cluster_arn: str, kind: Kind) -> consistency.Known[Definition]:
    """What is known of a cluster's definitions; its EKS cluster's ARN is the same in every sandbox."""
    return consistency.Known(kind.arn_type, eks_cluster_arn)


def _known_definitions(caller: Caller, kind: Kind) -> Iterator[Definition]:
    """What is listed by now."""
    definitions = _definitions(caller, kind)
    for cluster in list(clusters(caller.account, caller.region).values()):
        now = {each.name: each for each in definitions if each.cluster_arn == cluster.arn}
        yield from _known(cluster.eks_cluster_arn or cluster.arn, kind).all_to("lists", now).values()


def _list(
    caller: Caller,
    kind: Kind,
    summary_list: str,
    *,
    CreatedAfter: datetime | None = None,
    CreatedBefore: datetime | None = None,
    NameContains: str = "",
    Status: str | None = None,
    ClusterArn: str | None = None,
    SortBy: str = "CreationTime",
    SortOrder: str = "Descending",
    NextToken: str | None = None,
    MaxResults: int | None = None,
) -> Fields:
    shown = _shape(f"List{kind.title}s", "output_shape", summary_list).members
    listed, token = _listed(
        (
            {name: value for name, value in each.described(each.version).items() if name in shown}
            for each in _known_definitions(caller, kind)
            if NameContains in each.name and Status in (None, each.status) and ClusterArn in (None, each.cluster_arn)
        ),
        order=lambda each: each[SortBy],
        descending=SortOrder == "Descending",
        created="CreationTime",
        after=CreatedAfter,
        before=CreatedBefore,
        MaxResults=MaxResults,
        NextToken=NextToken,
    )
    return {summary_list: listed, "NextToken": token}


# --- compute quotas -----------------------------------------------------------------------------------


def create_compute_quota(caller: Caller, **request: Any) -> Fields:
    """CreateComputeQuota: Creating for 4 seconds, then Created, or CreateFailed without the add-on.

    There is no client token: a repeated call meets its own name. Errors: ConflictException (name or team is
    taken in the cluster), ValidationException (cluster, resources or sharing).
    """
    target = {"FairShareWeight": 0} | request["ComputeQuotaTarget"]
    return _create(
        caller,
        QUOTA,
        {
            "ActivationState": "Enabled",
            **request,
            "ComputeQuotaTarget": target,
            "ComputeQuotaConfig": _completed(request["ComputeQuotaConfig"]),
        },
    )


def describe_compute_quota(caller: Caller, *, ComputeQuotaId: str, ComputeQuotaVersion: int | None = None) -> Fields:
    """DescribeComputeQuota: more than was sent, as AWS fills in defaults and pro rata values.

    Errors: ResourceNotFound (the quota or the version).
    """
    return _describe(caller, QUOTA, ComputeQuotaId, ComputeQuotaVersion)


def update_compute_quota(caller: Caller, **request: Any) -> Fields:
    """UpdateComputeQuota: Updating for 3 seconds, then Updated; the answer carries the new version.

    After UpdateFailed the content is what it was, under the new version. Errors: ResourceNotFound,
    ConflictException (in transition, stale TargetVersion, CreateFailed), ValidationException.
    """
    if "ComputeQuotaConfig" in request:
        request["ComputeQuotaConfig"] = _completed(request["ComputeQuotaConfig"])
    if "ComputeQuotaTarget" in request:
        request["ComputeQuotaTarget"] = {"FairShareWeight": 0} | request["ComputeQuotaTarget"]
    return _update(caller, QUOTA, request)


def delete_compute_quota(caller: Caller, *, ComputeQuotaId: str) -> None:
    """DeleteComputeQuota: Deleting for 3 seconds, then gone. Errors: ResourceNotFound, ConflictException."""
    _delete(caller, QUOTA, ComputeQuotaId)


def list_compute_quotas(caller: Caller, **filters: Any) -> Fields:
    """ListComputeQuotas with their configuration, newest first unless told, at most 100 a page."""
    return _list(caller, QUOTA, "ComputeQuotaSummaries", **filters)


def _completed(config: Fields) -> Fields:
    """The configuration with what AWS adds to it: defaults, and amounts in proportion to the instance type."""
    sharing = {"Strategy": "LendAndBorrow"} | config.get("ResourceSharingConfig", {})
    strategy = sharing["Strategy"]
    limited = not sharing.keys().isdisjoint({"BorrowLimit", "AbsoluteBorrowLimits"})
    if strategy != "LendAndBorrow" and limited:
        raise _invalid(f"Borrow limits cannot be specified with the resource sharing strategy {strategy}.")
    if strategy == "LendAndBorrow" and not limited:
        sharing["BorrowLimit"] = 50
    completed = {"PreemptTeamTasks": "LowerPriority"} | config | {"ResourceSharingConfig": sharing}
    for holder, name in ((completed, "ComputeQuotaResources"), (sharing, "AbsoluteBorrowLimits")):
        if name in holder:
            _check_resources(holder[name])
            holder[name] = [_filled_in(resource) for resource in holder[name]]
    return completed


def _check_resources(resources: list[Fields]) -> None:
    kinds = [(each["InstanceType"], (each.get("AcceleratorPartition") or {}).get("Type")) for each in resources]
    if len(set(kinds)) < len(kinds):
        raise _invalid("An instance type or accelerator partition is specified more than once.")
    for resource in resources:
        amounts = resource.keys() & {"Accelerators", "VCpu", "MemoryInGiB", "AcceleratorPartition"}
        if "Count" in resource and amounts:
            raise _invalid(f"Count cannot be combined with {', '.join(sorted(amounts))}.")
        if "Accelerators" in resource and "AcceleratorPartition" in resource:
            raise _invalid("Accelerators cannot be combined with AcceleratorPartition.")
        if "Count" not in resource and not amounts:
            raise _invalid(f"No amount is specified for {resource['InstanceType']}.")
        offered = capacity(resource["InstanceType"])
        if offered and not offered.accelerators and amounts & {"Accelerators", "AcceleratorPartition"}:
            raise _invalid(f"{resource['InstanceType']} has no accelerators.")


def _filled_in(resource: Fields) -> Fields:
    offered = capacity(resource["InstanceType"])
    if offered is None or "Count" in resource:
        return resource
    share = _share(resource, offered)
    amounts = {"VCpu": offered.vcpu * share, "MemoryInGiB": offered.memory_gib * share}
    none = {} if "AcceleratorPartition" in resource else {"Accelerators": 0}
    return amounts | none | resource


def _share(resource: Fields, offered: Capacity) -> float:
    """How many instances the amounts are worth, by accelerators, else by vCPU, else by memory."""
    if partition := resource.get("AcceleratorPartition"):
        slices = int(re.findall(r"\d+", partition["Type"])[0])
        return float(partition["Count"] * slices / (_SLICES_PER_ACCELERATOR * offered.accelerators))
    if "Accelerators" in resource:
        return float(resource["Accelerators"] / offered.accelerators)
    if "VCpu" in resource:
        return float(resource["VCpu"] / offered.vcpu)
    return float(resource["MemoryInGiB"] / offered.memory_gib)


def settle_quotas(eks_cluster_arn: str) -> None:
    """Bring the cluster's quotas up to now, so that the Kubernetes API shows their namespaces and queues."""
    _, _, _, region, account, _ = eks_cluster_arn.split(":", 5)
    for kind in KINDS:
        _settled(_store(account, region, kind))


def seconds_until_settled(eks_cluster_arn: str) -> float | None:
    """Real seconds until the first of the changes under way is over; None without any."""
    _, _, _, region, account, _ = eks_cluster_arn.split(":", 5)
    changes = [each.change for kind in KINDS for each in list(_store(account, region, kind).values())]
    return min((change.seconds_left for change in changes if change), default=None)


# --- cluster scheduler configs ------------------------------------------------------------------------


def create_cluster_scheduler_config(caller: Caller, **request: Any) -> Fields:
    """CreateClusterSchedulerConfig, one a cluster: Creating for 4 seconds, then Created, or CreateFailed.

    Errors: ConflictException (the cluster has one), ValidationException (cluster, or a class named twice).
    """
    request["SchedulerConfig"] = _scheduling(request["SchedulerConfig"])
    return _create(caller, SCHEDULER, request)


def _scheduling(config: Fields) -> Fields:
    names = [each["Name"] for each in config.get("PriorityClasses", [])]
    if len(set(names)) < len(names):
        raise _invalid("A priority class is specified more than once.")
    return {"FairShare": "Enabled", "IdleResourceSharing": "Disabled"} | config


def describe_cluster_scheduler_config(
    caller: Caller, *, ClusterSchedulerConfigId: str, ClusterSchedulerConfigVersion: int | None = None
) -> Fields:
    """DescribeClusterSchedulerConfig. Errors: ResourceNotFound (the config or the version)."""
    return _describe(caller, SCHEDULER, ClusterSchedulerConfigId, ClusterSchedulerConfigVersion)


def update_cluster_scheduler_config(caller: Caller, **request: Any) -> Fields:
    """UpdateClusterSchedulerConfig: Updating for 3 seconds, then Updated.

    Errors: ResourceNotFound, ConflictException (in transition, stale TargetVersion), ValidationException.
    """
    if "SchedulerConfig" in request:
        request["SchedulerConfig"] = _scheduling(request["SchedulerConfig"])
    return _update(caller, SCHEDULER, request)


def delete_cluster_scheduler_config(caller: Caller, *, ClusterSchedulerConfigId: str) -> None:
    """DeleteClusterSchedulerConfig. Errors: ResourceNotFound, ConflictException (in transition)."""
    _delete(caller, SCHEDULER, ClusterSchedulerConfigId)


def list_cluster_scheduler_configs(caller: Caller, **filters: Any) -> Fields:
    """ListClusterSchedulerConfigs, newest first unless told, at most 100 a page."""
    return _list(caller, SCHEDULER, "ClusterSchedulerConfigSummaries", **filters)


# --- tags ---------------------------------------------------------------------------------------------

MOST_TAGS = 50


def _tagged(caller: Caller, arn: str) -> Any:
    """The object that keeps the tags of ``arn``: one of this module's, else moto's own."""
    _, _, _, region, account, resource = arn.split(":", 5)
    if (region, account) != (caller.region, caller.account):
        raise _not_found(f"Resource {arn}")
    ours: dict[str, Iterable[HyperPodCluster | Definition]] = {
        "cluster": clusters(account, region).values(),
        **{kind.arn_type: _definitions(caller, kind) for kind in KINDS},
    }
    resource_type = resource.partition("/")[0]
    if resource_type not in ours:
        return _backend(account, region)._get_resource_from_arn(arn)
    for each in ours[resource_type]:
        if each.arn == arn:
            return each
    raise _not_found(f"Resource {arn}")


def add_tags(caller: Caller, *, ResourceArn: str, Tags: list[dict[str, str]]) -> Fields:
    """AddTags, 50 at most; a key that is there gets the new value, where moto adds it twice.

    Errors: ResourceNotFound, ValidationException (too many, or a key twice).
    """
    tagged = _tagged(caller, ResourceArn)
    new = {tag["Key"]: tag["Value"] for tag in Tags}
    if len(new) < len(Tags):
        raise _invalid("Duplicate tag keys found.")
    merged = {tag["Key"]: tag["Value"] for tag in tagged.tags} | new
    if len(merged) > MOST_TAGS:
        raise _invalid(f"The number of tags exceeds the limit of {MOST_TAGS}.")
    tagged.tags = [{"Key": key, "Value": value} for key, value in merged.items()]
    return {"Tags": tagged.tags}


def list_tags(
    caller: Caller, *, ResourceArn: str, NextToken: str | None = None, MaxResults: int | None = None
) -> Fields:
    """ListTags, at most 50 a page. Errors: ResourceNotFound, ValidationException (token)."""
    try:
        tags, token = page(_tagged(caller, ResourceArn).tags, MaxResults, NextToken, largest=MOST_TAGS)
    except ValueError:
        raise _invalid("Invalid pagination token.") from None
    return {"Tags": tags, "NextToken": token}


def delete_tags(caller: Caller, *, ResourceArn: str, TagKeys: list[str]) -> None:
    """DeleteTags; keys that are not there are no error. Errors: ResourceNotFound."""
    tagged = _tagged(caller, ResourceArn)
    tagged.tags = [tag for tag in tagged.tags if tag["Key"] not in TagKeys]


def _tags(call: Call, arn: str) -> dict[str, str]:
    """For authorization; what does not exist has none."""
    if arn.split(":", 5)[5].partition("/")[0] not in ("cluster", "cluster-scheduler-config", "compute-quota"):
        return {}
    caller: Any = call  # the operation asks it for account and Region only
    with suppress(ServiceException):
        return {str(tag["Key"]): str(tag["Value"]) for tag in list_tags(caller, ResourceArn=arn)["Tags"]}
    return {}


registrations.register("sagemaker", registrations.Service(tags=_tags))


@cache
def install() -> None:
    """Put these operations in the place of moto's, and add those that it lacks."""
    for operation in (
        create_cluster,
        describe_cluster,
        list_clusters,
        list_cluster_nodes,
        describe_cluster_node,
        delete_cluster,
        create_compute_quota,
        describe_compute_quota,
        update_compute_quota,
        delete_compute_quota,
        list_compute_quotas,
        create_cluster_scheduler_config,
        describe_cluster_scheduler_config,
        update_cluster_scheduler_config,
        delete_cluster_scheduler_config,
        list_cluster_scheduler_configs,
        add_tags,
        list_tags,
        delete_tags,
    ):
        _sagemaker.operation(operation)
