"""What task governance makes in the cluster: a quota becomes a ClusterQueue, of one cohort, with types as flavors.

Sources: SageMaker AI Developer Guide, "Compute allocation and prioritization policies"; the ClusterQueue that the
SageMaker HyperPod CLI's walkthrough of task governance shows, for the names of flavors and resources. AWS documents
neither the cohort nor the limits of a queue as Kueue has them: here a team lends all that it does not use, unless it
does not lend, and borrows up to its limit, of which the guide says that it is a percentage of what is its own. Not
emulated: ``IdleResourceSharing`` of what belongs to no team.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from podshare_sandbox.services import sagemaker
from podshare_sandbox.services.kubernetes import quantities
from podshare_sandbox.services.kubernetes.api import KubernetesApi
from podshare_sandbox.services.sagemaker import Change, Definition

Object = dict[str, Any]
Amounts = dict[str, Fraction]

COHORT = "hyperpod"
CPU, MEMORY, EFA = "cpu", "memory", "vpc.amazonaws.com/efa"
RESOURCES = ("aws.amazon.com/neurondevice", CPU, MEMORY, "nvidia.com/gpu", EFA)
_GIB = 1024**3


def _flavors(fields: Object) -> Iterator[Object]:
    """A ResourceFlavor for each instance type of a quota: its nodes are those of the type."""
    for each in fields["ComputeQuotaConfig"].get("ComputeQuotaResources") or ():
        kind = each["InstanceType"]
        yield {
            "apiVersion": "kueue.x-k8s.io/v1beta1",
            "kind": "ResourceFlavor",
            "metadata": {"name": kind},
            "spec": {"nodeLabels": {"node.kubernetes.io/instance-type": kind}},
        }


def cluster_queue(fields: Object) -> Object:
    """What a quota says in the spec of its ClusterQueue."""
    config = fields["ComputeQuotaConfig"]
    sharing = config["ResourceSharingConfig"]
    amounts: dict[str, Amounts] = {}
    for each in config.get("ComputeQuotaResources") or ():
        _add(amounts.setdefault(each["InstanceType"], {}), _amounts(each))
    limits = {each["InstanceType"]: _amounts(each) for each in sharing.get("AbsoluteBorrowLimits") or ()}
    covered = sorted({*RESOURCES, *(name for found in amounts.values() for name in found)})
    groups = [
        {
            "coveredResources": covered,
            "flavors": [
                {"name": kind, "resources": [_resource(name, found, sharing, limits.get(kind)) for name in covered]}
                for kind, found in amounts.items()
            ],
        }
    ]
    preempts = config["PreemptTeamTasks"] == "LowerPriority"
    return {
        "cohort": COHORT,
        "queueingStrategy": "BestEffortFIFO",
        "stopPolicy": "None" if fields["ActivationState"] == "Enabled" else "Hold",
        "preemption": {
            "reclaimWithinCohort": "Any",
            "withinClusterQueue": "LowerPriority" if preempts else "Never",
        },
        **({"resourceGroups": groups} if amounts else {}),
    }


def _resource(name: str, amounts: Amounts, sharing: Object, limits: Amounts | None) -> Object:
    nominal, strategy = amounts.get(name, Fraction(0)), sharing["Strategy"]
    borrowing = Fraction(0)
    if strategy == "LendAndBorrow" and limits is not None:
        borrowing = limits.get(name, Fraction(0))
    elif strategy == "LendAndBorrow":
        borrowing = nominal * sharing.get("BorrowLimit", 0) / 100
        borrowing = borrowing if name == CPU else Fraction(borrowing // 1)  # a device is lent as a whole
    lending = {"lendingLimit": "0"} if strategy == "DontLend" else {}
    shown = {"nominalQuota": nominal, "borrowingLimit": borrowing}
    return {"name": name, **{key: quantities.written(amount, name) for key, amount in shown.items()}, **lending}


def _add(amounts: Amounts, more: Amounts) -> None:
    for name, amount in more.items():
        amounts[name] = amounts.get(name, Fraction(0)) + amount


def _amounts(resource: Object) -> Amounts:
    """What an entry of a quota is worth; of a type that the sandbox does not know only what it spells out."""
    capacity = sagemaker.capacity(resource["InstanceType"])
    if "Count" in resource:
        return {name: amount * resource["Count"] for name, amount in of_instance(capacity).items()}
    found = {CPU: _fraction(resource.get("VCpu", 0)), MEMORY: _fraction(resource.get("MemoryInGiB", 0)) * _GIB}
    if partition := resource.get("AcceleratorPartition"):
        found[f"nvidia.com/{partition['Type']}"] = Fraction(partition["Count"])
    if capacity and resource.get("Accelerators"):
        found[capacity.accelerator] = Fraction(resource["Accelerators"])
        found[EFA] = Fraction(capacity.efa_interfaces * resource["Accelerators"] // capacity.accelerators)
    return found


def of_instance(capacity: sagemaker.Capacity | None) -> Amounts:
    """What one instance offers."""
    if capacity is None:
        return {}
    found = {CPU: _fraction(capacity.vcpu), MEMORY: _fraction(capacity.memory_gib) * _GIB}
    devices = {capacity.accelerator: capacity.accelerators, EFA: capacity.efa_interfaces}
    return found | {name: Fraction(count) for name, count in devices.items() if count}


def _fraction(number: float) -> Fraction:
    return Fraction(number).limit_denominator(1000)


# --- in the cluster ---------------------------------------------------------------------------------------


def shape_queues(api: KubernetesApi, quota: Definition, change: Change) -> None:
    """The team's namespace and queues (Developer Guide, task governance commands; the HyperPod CLI's names)."""
    namespace = f"hyperpod-ns-{quota.team}"
    local_name, cluster_name = f"{namespace}-localqueue", f"{namespace}-clusterqueue"
    if change.doing == "Deleting":
        api.delete("LocalQueue", namespace, local_name)
        api.delete("ClusterQueue", None, cluster_name)
    else:
        api.apply(
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {
                    "name": namespace,
                    "labels": {"sagemaker.amazonaws.com/quota-allocation-id": quota.id},
                },
            }
        )
        for flavor in _flavors(quota.fields):
            api.apply(flavor)
        api.apply(
            {
                "apiVersion": "kueue.x-k8s.io/v1beta1",
                "kind": "ClusterQueue",
                "metadata": {"name": cluster_name},
                "spec": {
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                    "fairSharing": {"weight": str(quota.fields["ComputeQuotaTarget"]["FairShareWeight"])},
                    **cluster_queue(quota.fields),
                },
            }
        )
        api.apply(
            {
                "apiVersion": "kueue.x-k8s.io/v1beta1",
                "kind": "LocalQueue",
                "metadata": {"name": local_name, "namespace": namespace},
                "spec": {"clusterQueue": cluster_name},
            }
        )


def shape_priorities(api: KubernetesApi, config: Definition, change: Change) -> None:
    """One WorkloadPriorityClass ``<class>-priority`` for each priority class of the cluster policy."""
    wanted = {} if change.doing == "Deleting" else _priorities(config.fields)
    for name in _priorities(change.before).keys() - wanted.keys():
        api.delete("WorkloadPriorityClass", None, name)
    for name, weight in wanted.items():
        api.apply(
            {
                "apiVersion": "kueue.x-k8s.io/v1beta1",
                "kind": "WorkloadPriorityClass",
                "metadata": {"name": name},
                "value": weight,
            }
        )


def _priorities(fields: Object) -> dict[str, int]:
    classes = fields.get("SchedulerConfig", {}).get("PriorityClasses", [])
    return {f"{each['Name']}-priority": each["Weight"] for each in classes}
