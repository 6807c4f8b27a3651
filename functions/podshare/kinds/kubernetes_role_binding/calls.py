"""Bindings of Roles in a team's namespace to the team's Kubernetes groups."""

from podshare.kinds.base import Key, Resource
from podshare.kinds.context import Context
from podshare.kinds.kubernetes_object import READS, WRITES, base_fields, create, delete, owned, update
from podshare.kinds.kubernetes_role_binding.shape import KubernetesRoleBinding
from podshare.kinds.observation import Foreign
from podshare.kinds.subjects import subject_of

__all__ = ["READS", "WRITES", "create", "delete", "read", "update"]


def read(context: Context, key: Key, wanted: Resource | None) -> KubernetesRoleBinding | Foreign | None:
    """The binding: its role, and everybody who is bound."""
    found = owned(context, key)
    if not isinstance(found, dict):
        return found
    role = found["roleRef"]
    return KubernetesRoleBinding(
        key=key,
        **base_fields(found),
        role=f"{role['kind']} {role['name']}",
        subjects=frozenset(subject_of(subject) for subject in found.get("subjects") or ()),
    )
