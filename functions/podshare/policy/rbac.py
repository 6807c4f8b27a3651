"""Which rules a team may be given in its own namespace, beside what its access policy gives.

A Role reaches no other namespace by itself. What is refused are the ways around that: rights over rights, credentials
that outlive the access entry, what holds the namespace in its limits, and what lets the API server or a Service reach
elsewhere (Kubernetes documentation, "Role Based Access Control Good Practices"; CVE-2021-25740). The admission policy
``podshare-roles`` in accounts/cluster-rbac.yaml says the same in CEL, so that nobody who acts as podshare's function
gets further; a test holds the two to each other.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

READING = frozenset({"get", "list", "watch"})
VERBS = READING | {"create", "update", "patch", "delete", "deletecollection"}
OF_NAMED_SECRETS = frozenset({"get", "update", "patch", "delete"})  # RBAC cannot tie the other verbs to names
# what keeps a team to its limits, and the addresses to which Services lead
READ_ONLY_GROUPS = frozenset({"rbac.authorization.k8s.io", "kueue.x-k8s.io"})
READ_ONLY_RESOURCES = frozenset(
    {"namespaces", "resourcequotas", "limitranges", "networkpolicies", "endpoints", "endpointslices"}
)
# whoever may get one of these acts in a pod: before Kubernetes 1.35 that is all a WebSocket takes (its changelog)
ACTING_SUBRESOURCES = frozenset({"attach", "exec", "portforward", "proxy"})
REFUSED_SUBRESOURCES = frozenset({"token", "proxy", "finalize"})


@dataclass(frozen=True, slots=True, order=True)
class KubernetesRule:
    """One rule of a Kubernetes Role: each verb on each resource of each API group; no names means all of them."""

    api_groups: tuple[str, ...]
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    resource_names: tuple[str, ...] = ()
    non_resource_urls: tuple[str, ...] = ()

    def covers(self, other: Self) -> bool:
        """Whether whatever ``other`` gives, this gives too."""
        if self.resource_names and not (other.resource_names and {*other.resource_names} <= {*self.resource_names}):
            return False
        lists = ("api_groups", "resources", "verbs", "non_resource_urls")
        return all({*getattr(other, name)} <= {*getattr(self, name)} for name in lists)


def only_reads(verb: str, resource: str) -> bool:
    """Whether a verb on a resource, a subresource or all of them (``*``) changes nothing and runs nothing."""
    return verb in READING and resource.rpartition("/")[2] not in ACTING_SUBRESOURCES | {"*"}


def refusal(
    api_groups: Collection[str], resources: Collection[str], verbs: Collection[str], resource_names: Collection[str]
) -> str | None:
    """Why nobody may be given a rule; None if a team may be."""
    if any("*" in name for name in (*api_groups, *resources, *verbs)):
        return "names everything (*): spell out groups, resources and verbs"
    if unknown := sorted({*verbs} - VERBS):
        return f"verb {', '.join(unknown)} is refused: a rule takes {', '.join(sorted(VERBS))}"
    if any(resource.partition("/")[0] == "secrets" for resource in resources) and not (
        resource_names and {*verbs} <= OF_NAMED_SECRETS
    ):
        return f"secrets are given by name alone: resource_names, and of verbs {', '.join(sorted(OF_NAMED_SECRETS))}"
    if passing := sorted(name for name in resources if name.partition("/")[2] in REFUSED_SUBRESOURCES):
        return f"{', '.join(passing)} is refused: it makes credentials, or leads out of the namespace"
    if not {*verbs} <= READING and (limits := sorted(_read_only(api_groups, resources))):
        return f"{', '.join(limits)} may only be read: it says what the team may do"
    return None


def _read_only(api_groups: Collection[str], resources: Collection[str]) -> set[str]:
    read_only = {group for group in api_groups if group in READ_ONLY_GROUPS}
    for resource in resources:
        name, _, subresource = resource.partition("/")
        if name in READ_ONLY_RESOURCES or subresource == "status":
            read_only.add(resource)
    return read_only
