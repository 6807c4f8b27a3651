"""Bindings of Roles in a team's namespace to the team's Kubernetes groups."""

from podshare.domain.doors import subject_of
from podshare.domain.kinds import Key, KubernetesRoleBinding, Resource
from podshare.domain.plan import Foreign
from podshare.resources.context import Context
from podshare.resources.kubernetes_object import READS, WRITES, common_to, create, delete, owned, update

__all__ = ["READS", "WRITES", "create", "delete", "read", "update"]


def read(context: Context, key: Key, wanted: Resource | None) -> KubernetesRoleBinding | Foreign | None:
    """The binding: its role, and everybody who is bound."""
    found = owned(context, key)
    if not isinstance(found, dict):
        return found
    role = found["roleRef"]
    return KubernetesRoleBinding(
        key=key,
        **common_to(found),
        role=f"{role['kind']} {role['name']}",
        subjects=frozenset(subject_of(subject) for subject in found.get("subjects") or ()),
    )
