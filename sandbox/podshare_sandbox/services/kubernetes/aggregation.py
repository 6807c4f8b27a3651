"""Aggregated ClusterRoles: their rules are those of the ClusterRoles that they select.

Kubernetes documentation, "Using RBAC Authorization", aggregated ClusterRoles; the controller runs at once.
"""

from typing import Any

from podshare_sandbox.services.kubernetes import selectors
from podshare_sandbox.services.kubernetes.resources import BY_KIND
from podshare_sandbox.services.kubernetes.store import Store

Object = dict[str, Any]

CLUSTER_ROLE = BY_KIND["ClusterRole"]


def settle(store: Store) -> None:
    """Give every aggregated role the rules of its parts, which may be aggregated themselves."""
    aggregated = [role for role in store.of(CLUSTER_ROLE) if role.get("aggregationRule")]
    for _ in aggregated:  # no chain of parts is longer than there are roles
        changed = [_settle_role(store, role) for role in aggregated]
        if not any(changed):
            return


def _settle_role(store: Store, role: Object) -> bool:
    """Whether the role had other rules."""
    rules: list[Object] = []
    for part in store.of(CLUSTER_ROLE):
        if part is not role and _is_part(role, part):
            rules += [rule for rule in part.get("rules") or [] if rule not in rules]
    if role.get("rules") == rules:
        return False
    role["rules"] = rules
    store.put(CLUSTER_ROLE, role)
    return True


def _is_part(role: Object, part: Object) -> bool:
    labels = part["metadata"].get("labels") or {}
    chosen = role["aggregationRule"].get("clusterRoleSelectors") or []
    return any(selectors.selected(selector, labels) for selector in chosen)
