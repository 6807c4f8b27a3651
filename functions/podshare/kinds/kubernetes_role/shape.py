"""Kubernetes Roles: what a team's groups may do in its namespace."""

from dataclasses import dataclass, replace
from typing import Self

from podshare.kinds.base import Manifest, Resource, Stage, Work
from podshare.kinds.manifests import RBAC, object_of
from podshare.policy.rbac import KubernetesRule


@dataclass(frozen=True, kw_only=True)
class KubernetesRole(Resource):
    """What a Kubernetes group may do in the team's namespace, beside the access policy (labels stand in ``tags``)."""

    work = Work.KUBERNETES
    cut_stage = Stage.CLUSTER_ACCESS
    remove_stage = Stage.REMAINS
    gives = False  # its bindings give what it says
    in_namespace = True
    object_kind = "Role"

    rules: tuple[KubernetesRule, ...]

    def common(self, desired: Self) -> Self | None:
        kept = tuple(rule for rule in self.rules if any(wide.covers(rule) for wide in desired.rules))
        return replace(self, rules=kept)

    def manifest(self) -> Manifest:
        return {**object_of(f"{RBAC}/v1", self), "rules": [_rule(rule) for rule in self.rules]}


def _rule(rule: KubernetesRule) -> Manifest:
    """A rule as it stands in a Role (rbac.authorization.k8s.io/v1, PolicyRule)."""
    lists = {
        "apiGroups": rule.api_groups,
        "resources": rule.resources,
        "verbs": rule.verbs,
        "resourceNames": rule.resource_names,
        "nonResourceURLs": rule.non_resource_urls,
    }
    return {name: list(values) for name, values in lists.items() if values}
