"""Roles and bindings (``pkg/apis/rbac/validation`` of Kubernetes)."""

from collections.abc import Iterator
from typing import Any

from podshare_sandbox.services.kubernetes.field_problems import Problem, immutable, invalid, required, unsupported
from podshare_sandbox.services.kubernetes.resources import DNS_SUBDOMAIN, PATH_SEGMENT, RBAC, Resource
from podshare_sandbox.services.kubernetes.validation import label_selectors

Object = dict[str, Any]


def role_problems(resource: Resource, role: Object) -> Iterator[Problem]:
    """What is wrong with a Role or a ClusterRole."""
    for index, rule in enumerate(role.get("rules") or []):
        yield from _rule(rule, f"rules[{index}]", resource)
    aggregation = role.get("aggregationRule")
    if aggregation is not None:
        chosen = aggregation.get("clusterRoleSelectors") or []
        if not chosen:
            yield required("aggregationRule.clusterRoleSelectors", "at least one clusterRoleSelector required")
        for index, selector in enumerate(chosen):
            yield from label_selectors.problems(selector, f"aggregationRule.clusterRoleSelectors[{index}]")


def _rule(rule: Object, field: str, resource: Resource) -> Iterator[Problem]:
    if not rule.get("verbs"):
        yield required(f"{field}.verbs", "verbs must contain at least one value")
    urls = rule.get("nonResourceURLs")
    if urls and resource.namespaced:
        yield invalid(f"{field}.nonResourceURLs", urls, "namespaced rules cannot apply to non-resource URLs")
    if urls and any(rule.get(name) for name in ("apiGroups", "resources", "resourceNames")):
        detail = "rules cannot apply to both regular resources and non-resource URLs"
        yield invalid(f"{field}.nonResourceURLs", urls, detail)
    if not urls:
        for name, what in (("apiGroups", "api group"), ("resources", "resource")):
            if not rule.get(name):
                yield required(f"{field}.{name}", f"resource rules must supply at least one {what}")


def fill_in(binding: Object) -> None:
    """Set the API groups that a binding leaves out."""
    role = binding.get("roleRef")
    if role is not None:
        role["apiGroup"] = role.get("apiGroup") or RBAC
    for subject in binding.get("subjects") or []:
        if subject.get("kind") in ("User", "Group"):
            subject["apiGroup"] = subject.get("apiGroup") or RBAC


def binding_problems(resource: Resource, binding: Object, before: Object | None) -> Iterator[Problem]:
    """What is wrong with a RoleBinding or a ClusterRoleBinding."""
    role = binding.get("roleRef") or {}
    if role.get("apiGroup") != RBAC:
        yield unsupported("roleRef.apiGroup", role.get("apiGroup", ""), [RBAC])
    kinds = ("Role", "ClusterRole") if resource.namespaced else ("ClusterRole",)
    if role.get("kind") not in kinds:
        yield unsupported("roleRef.kind", role.get("kind", ""), kinds)
    if not role.get("name"):
        yield required("roleRef.name")
    elif why := PATH_SEGMENT.violation(role["name"]):
        yield invalid("roleRef.name", role["name"], why)
    if before and before["roleRef"] != role:
        yield immutable("roleRef", role, "cannot change roleRef")
    for index, subject in enumerate(binding.get("subjects") or []):
        yield from _subject(subject, f"subjects[{index}]", resource)


def _subject(subject: Object, field: str, resource: Resource) -> Iterator[Problem]:
    name, group, kind = subject.get("name"), subject.get("apiGroup", ""), subject.get("kind")
    if not name:
        yield required(f"{field}.name")
    if kind == "ServiceAccount":
        if name and (why := DNS_SUBDOMAIN.violation(name)):
            yield invalid(f"{field}.name", name, why)
        if group:
            yield unsupported(f"{field}.apiGroup", group, [""])
        if not resource.namespaced and not subject.get("namespace"):
            yield required(f"{field}.namespace")
    elif kind in ("User", "Group"):
        if group != RBAC:
            yield unsupported(f"{field}.apiGroup", group, [RBAC])
    else:
        yield unsupported(f"{field}.kind", kind or "", ["ServiceAccount", "User", "Group"])
