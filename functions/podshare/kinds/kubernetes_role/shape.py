"""Kubernetes Roles: what a team's groups may do in its namespace."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from podshare.kinds import names
from podshare.kinds.base import ExecutionRole, Kind, Manifest, Resource, Stage
from podshare.kinds.compute_quota.shape import quota_key
from podshare.kinds.manifests import RBAC, object_of
from podshare.kinds.team_on_cluster import TeamOnCluster
from podshare.policy.rbac import KubernetesRule
from podshare.registry.records import Preset, as_rule

# kubectl exec and port-forward ask for `get` where they use WebSockets, since Kubernetes 1.35 for `create` as well
PRESETS: Mapping[Preset, tuple[KubernetesRule, ...]] = {
    "debug": (
        KubernetesRule(
            ("",), ("configmaps",), ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
        ),
        KubernetesRule(("",), ("pods/exec", "pods/portforward"), ("create", "get")),
    ),
}


@dataclass(frozen=True, kw_only=True)
class KubernetesRole(Resource):
    """What a Kubernetes group may do in the team's namespace, beside the access policy (labels are in ``tags``)."""

    execution_role = ExecutionRole.KUBERNETES
    revoke_stage = Stage.CLUSTER_ACCESS
    remove_stage = Stage.REMAINS
    gives = False  # its bindings give what it says
    in_namespace = True
    object_kind = "Role"

    rules: tuple[KubernetesRule, ...]

    def intersection(self, desired: Self) -> Self | None:
        kept = tuple(rule for rule in self.rules if any(wide.covers(rule) for wide in desired.rules))
        return replace(self, rules=kept)

    @classmethod
    def of_object(cls, manifest: Mapping[str, Any], **fields: Any) -> Self:
        return cls(**fields, rules=tuple(sorted({_read_rule(rule) for rule in manifest.get("rules") or ()})))

    def manifest(self) -> Manifest:
        return {**object_of(f"{RBAC}/v1", self), "rules": [_rule(rule) for rule in self.rules]}


def _rule(rule: KubernetesRule) -> Manifest:
    """A rule as it is in a Role (rbac.authorization.k8s.io/v1, PolicyRule)."""
    lists = {
        "apiGroups": rule.api_groups,
        "resources": rule.resources,
        "verbs": rule.verbs,
        "resourceNames": rule.resource_names,
        "nonResourceURLs": rule.non_resource_urls,
    }
    return {name: list(values) for name, values in lists.items() if values}


def _read_rule(rule: Mapping[str, Any]) -> KubernetesRule:
    lists = ("apiGroups", "resources", "verbs", "resourceNames", "nonResourceURLs")
    return KubernetesRule(*(tuple(sorted({*(rule.get(name) or ())})) for name in lists))


def kubernetes_role(on: TeamOnCluster, group: str, rules: tuple[KubernetesRule, ...]) -> KubernetesRole:
    """What a group of the team may do in its namespace."""
    return KubernetesRole(
        key=on.namespaced_key(Kind.KUBERNETES_ROLE, names.kubernetes_role(on.installation, group)),
        tags=on.labels,
        why=f"Kubernetes group {group}",
        needs=frozenset({quota_key(on)}),
        rules=rules,
    )


def rules_of_groups(on: TeamOnCluster) -> Mapping[str, tuple[KubernetesRule, ...]]:
    """What each group of the team may do beside the access policies; a preset has a group of its own name."""
    if isinstance(preset := on.team.rbac, str):
        return {names.kubernetes_group(on.installation, on.team.name, preset): PRESETS[preset]}
    return {line.group: tuple(sorted({as_rule(rule) for rule in line.rules})) for line in preset}
