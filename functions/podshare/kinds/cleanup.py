"""What a deleted team leaves in its namespace: how it is counted without being read, and what of it can run.

A ResourceQuota of object counts says how many objects there are of each kind, and with a limit of none lets nobody
add one (Kubernetes documentation, "Resource Quotas", Quota on object count). So podshare needs no right to list
secrets or anything else. See docs/decisions/0040.
"""

from collections.abc import Iterable, Mapping

from podshare.aws.served_kinds import ServedKind

SHOWN = 5

# What makes pods, makers before what they make (accounts/cluster-rbac.yaml holds the same kinds to the team's queue)
_MAKE_PODS = (
    ("batch", "cronjobs"),
    ("apps", "deployments"),
    ("apps", "statefulsets"),
    ("apps", "daemonsets"),
    ("apps", "replicasets"),
    ("", "replicationcontrollers"),
    ("ray.io", "raycronjobs"),
    ("ray.io", "rayservices"),
    ("ray.io", "rayjobs"),
    ("ray.io", "rayclusters"),
    ("kubeflow.org", "pytorchjobs"),
    ("kubeflow.org", "mpijobs"),
    ("kubeflow.org", "tfjobs"),
    ("sagemaker.amazonaws.com", "hyperpodpytorchjobs"),
    ("inference.sagemaker.aws.amazon.com", "inferenceendpointconfigs"),
    ("inference.sagemaker.aws.amazon.com", "jumpstartmodels"),
    ("workspace.jupyter.org", "workspaces"),
    ("batch", "jobs"),
    ("kueue.x-k8s.io", "workloads"),
    ("", "pods"),
)


def what_runs(served: Iterable[ServedKind]) -> list[ServedKind]:
    """Of the kinds that are served those that make pods, in the order in which they are deleted."""
    kinds = {(kind.group, kind.plural): kind for kind in served}
    return [kinds[key] for key in _MAKE_PODS if key in kinds]


def limits(served: Iterable[ServedKind]) -> dict[str, str]:
    """``spec.hard`` of a quota that counts every kind, and lets nothing be added."""
    return {name: "0" for kind in served if (name := kind.counted_as)}


def uncounted(limits: Iterable[str], used: Mapping[str, str]) -> list[str]:
    """The kinds that the quota's controller has not counted yet."""
    return sorted(name.removeprefix("count/") for name in limits if name not in used)


def left(used: Mapping[str, str], expected: Mapping[str, int]) -> str:
    """What is left beyond what is ``expected`` by the names of its counts, in words; empty if nothing."""
    more = {
        name.removeprefix("count/"): surplus
        for name, count in used.items()
        if (surplus := int(count) - expected.get(name, 0)) > 0
    }
    counts = [f"{count} {name}" for name, count in sorted(more.items())]
    return ", ".join(
        [*counts[:SHOWN], *([f"and objects of {len(counts) - SHOWN} other kinds"] if counts[SHOWN:] else [])]
    )
