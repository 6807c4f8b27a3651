"""Bindings of Roles in a team's namespace to the team's Kubernetes groups."""

from collections.abc import Mapping
from typing import Any

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
        subjects=frozenset(_subject(subject) for subject in found.get("subjects") or ()),
    )


def _subject(subject: Mapping[str, Any]) -> str:
    inside = f"{subject['namespace']}/" if subject.get("namespace") else ""
    return f"{subject['kind']} {inside}{subject['name']}"
