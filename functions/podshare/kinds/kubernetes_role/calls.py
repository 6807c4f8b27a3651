"""Roles in a team's namespace: what the team's Kubernetes groups may do there.

The API server lets podshare write a Role that gives more than podshare itself has, because its ClusterRole has
``escalate``; the admission policies in accounts/cluster-rbac.yaml say which, and where.
"""

from collections.abc import Mapping
from typing import Any

from podshare.kinds.base import Key, Resource
from podshare.kinds.context import Context
from podshare.kinds.kubernetes_object import READS, WRITES, base_fields, create, delete, owned, update
from podshare.kinds.kubernetes_role.shape import KubernetesRole
from podshare.kinds.observation import Foreign
from podshare.policy.rbac import KubernetesRule

__all__ = ["READS", "WRITES", "create", "delete", "read", "update"]


def read(context: Context, key: Key, wanted: Resource | None) -> KubernetesRole | Foreign | None:
    """The Role and its rules."""
    found = owned(context, key)
    if not isinstance(found, dict):
        return found
    rules = {_rule(rule) for rule in found.get("rules") or ()}
    return KubernetesRole(key=key, **base_fields(found), rules=tuple(sorted(rules)))


def _rule(rule: Mapping[str, Any]) -> KubernetesRule:
    lists = ("apiGroups", "resources", "verbs", "resourceNames", "nonResourceURLs")
    return KubernetesRule(*(tuple(sorted({*(rule.get(name) or ())})) for name in lists))
