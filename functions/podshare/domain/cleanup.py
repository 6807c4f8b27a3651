"""What a deleted team leaves in its namespace: how it is counted without being read, and what of it can run.

A ResourceQuota of object counts tells how many objects there are of each kind, and with a limit of none lets nobody
add one (Kubernetes documentation, "Resource Quotas", Quota on object count). So podshare needs no right to list
secrets or anything else. See docs/decisions/0040.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_COUNTED = frozenset({"create", "delete", "list", "watch"})  # what the quota controller asks of a kind that it counts
LONGEST_NAME = 63  # of a qualified name behind the slash (Kubernetes documentation, "Object Names and IDs")
SHOWN = 5

# What Kubernetes makes by itself and nobody runs by: endpoints follow services, which are counted; events and leases
# tell of what was.
_MADE_BY_KUBERNETES = frozenset(
    {
        ("", "endpoints"),
        ("", "events"),
        ("coordination.k8s.io", "leases"),
        ("discovery.k8s.io", "endpointslices"),
        ("events.k8s.io", "events"),
    }
)

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


@dataclass(frozen=True, slots=True)
class ServedKind:
    """A kind of which a namespace may hold objects: where the API server serves it, and what it lets be done."""

    group: str
    version: str
    plural: str
    kind: str
    verbs: frozenset[str]

    @property
    def counted_as(self) -> str:
        """The name of its count in a ResourceQuota; empty if the quota controller cannot count it."""
        name = f"{self.plural}.{self.group}" if self.group else self.plural
        is_counted = self.verbs >= _COUNTED and (self.group, self.plural) not in _MADE_BY_KUBERNETES
        return f"count/{name}" if is_counted and len(name) <= LONGEST_NAME else ""

    @property
    def is_out_of_count(self) -> bool:
        """Whether objects of it may be left, and no quota can tell: its name is too long for one."""
        is_kept = self.verbs >= _COUNTED and (self.group, self.plural) not in _MADE_BY_KUBERNETES
        return is_kept and not self.counted_as


def served_kinds(discovered: Mapping[str, Any]) -> Iterator[ServedKind]:
    """The kinds with namespaces of an APIGroupDiscoveryList, each in the version that its group prefers.

    Kubernetes API reference, apidiscovery.k8s.io/v2: versions are in the order of preference.
    """
    for group in discovered["items"]:
        name = group["metadata"].get("name", "")
        seen = set[str]()
        for version in group["versions"]:
            for one in version.get("resources", ()):
                if one["scope"] == "Namespaced" and one["resource"] not in seen:
                    seen.add(one["resource"])
                    kind = one.get("responseKind", {}).get("kind", "")
                    yield ServedKind(name, version["version"], one["resource"], kind, frozenset(one["verbs"]))


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
    told = [f"{count} {name}" for name, count in sorted(more.items())]
    return ", ".join([*told[:SHOWN], *([f"and objects of {len(told) - SHOWN} other kinds"] if told[SHOWN:] else [])])
