"""The kinds of which a namespace may hold objects, as an API server reports them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_COUNTED = frozenset({"create", "delete", "list", "watch"})  # what the quota controller asks of a kind that it counts
LONGEST_NAME = 63  # of a qualified name behind the slash (Kubernetes documentation, "Object Names and IDs")

# What Kubernetes makes by itself and nobody runs by: endpoints follow services, which are counted; events and leases
# report what was.
_MADE_BY_KUBERNETES = frozenset(
    {
        ("", "endpoints"),
        ("", "events"),
        ("coordination.k8s.io", "leases"),
        ("discovery.k8s.io", "endpointslices"),
        ("events.k8s.io", "events"),
    }
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
        """Whether objects of it may be left that no quota can count: its name is too long for one."""
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
            for resource in version.get("resources", ()):
                if resource["scope"] == "Namespaced" and resource["resource"] not in seen:
                    seen.add(resource["resource"])
                    kind = resource.get("responseKind", {}).get("kind", "")
                    yield ServedKind(name, version["version"], resource["resource"], kind, frozenset(resource["verbs"]))
