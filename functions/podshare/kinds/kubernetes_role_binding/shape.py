"""Kubernetes RoleBindings: which group has a Role."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from podshare.kinds.base import ExecutionRole, Kind, Manifest, Resource, Stage
from podshare.kinds.compute_quota.shape import quota_key
from podshare.kinds.kubernetes_role.shape import KubernetesRole
from podshare.kinds.manifests import RBAC, object_of
from podshare.kinds.subjects import subject_of
from podshare.kinds.team_on_cluster import TeamOnCluster


@dataclass(frozen=True, kw_only=True)
class KubernetesRoleBinding(Resource):
    """Who has a Role in the team's namespace; ``role`` and ``subjects`` are a kind and a name each."""

    execution_role = ExecutionRole.KUBERNETES
    revoke_stage = remove_stage = Stage.CLUSTER_ACCESS
    gives = True
    in_namespace = True
    object_kind = "RoleBinding"

    role: str
    subjects: frozenset[str]

    def intersection(self, desired: Self) -> Self | None:
        if self.role != desired.role:
            return None  # Kubernetes lets nobody change a binding's role
        return replace(self, subjects=self.subjects & desired.subjects)

    @classmethod
    def of_object(cls, manifest: Mapping[str, Any], **fields: Any) -> Self:
        role = f"{manifest['roleRef']['kind']} {manifest['roleRef']['name']}"
        return cls(**fields, role=role, subjects=frozenset(map(subject_of, manifest.get("subjects") or ())))

    def manifest(self) -> Manifest:
        kind, _, name = self.role.partition(" ")
        return {
            **object_of(f"{RBAC}/v1", self),
            "roleRef": {"apiGroup": RBAC, "kind": kind, "name": name},
            "subjects": [_group(subject) for subject in sorted(self.subjects)],
        }


def _group(subject: str) -> Manifest:
    """Only groups are ever bound: of what others have bound, a restriction keeps nothing else."""
    kind, _, name = subject.partition(" ")
    return {"apiGroup": RBAC, "kind": kind, "name": name}


def kubernetes_role_binding(on: TeamOnCluster, group: str, role: KubernetesRole) -> KubernetesRoleBinding:
    """What gives a group of the team its Role."""
    return KubernetesRoleBinding(
        key=replace(role.key, kind=Kind.KUBERNETES_ROLE_BINDING),
        tags=on.labels,
        why=role.why,
        needs=frozenset({quota_key(on), role.key}),
        role=f"Role {role.key.name.partition('/')[2]}",
        subjects=frozenset({f"Group {group}"}),
    )
