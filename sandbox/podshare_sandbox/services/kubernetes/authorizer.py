"""May this user do this: Kubernetes RBAC, and the access policies of the user's access entry.

Either allows; nothing denies. Access policies are EKS's own authorizer behind RBAC, a webhook: whatever lists or
compares *rules* (SelfSubjectRulesReview, the escalation check on role writes) sees RBAC alone, as the EKS user guide
says of ``kubectl auth can-i --list``, and an impersonated user has no access policies.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from podshare_sandbox.services.access_policies import ACCESS_POLICIES, Rule
from podshare_sandbox.services.kubernetes.api import KubernetesApi
from podshare_sandbox.services.kubernetes.authentication import KubernetesUser
from podshare_sandbox.services.kubernetes.resources import BY_KIND

Object = dict[str, Any]


@dataclass(frozen=True)
class Attributes:
    """What is asked for: a verb on a resource, or on a ``path`` that is no resource."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def qualified_resource(self) -> str:
        """The resource as rules name it, with its subresource."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


@dataclass(frozen=True)
class Verdict:
    """The answer, with the grant that allowed."""

    allowed: bool
    reason: str = ""


def authorize(api: KubernetesApi, user: KubernetesUser, attributes: Attributes) -> Verdict:
    """Whether RBAC or an access policy allows it."""
    for rule, source in _rbac_rules(api, user, attributes.namespace):
        if covers(rule, attributes):
            return Verdict(True, f"RBAC: allowed by {source}")
    for rule, source in _access_policy_rules(user, attributes.namespace):
        if covers(rule, attributes):
            return Verdict(True, f"EKS Access Policy: allowed by {source}")
    return Verdict(False)


def covers(rule: Rule, attributes: Attributes) -> bool:
    """Whether one rule allows what is asked for."""
    if not _listed(attributes.verb, rule.verbs):
        return False
    if attributes.path:
        return any(_path_matches(attributes.path, pattern) for pattern in rule.non_resource_urls)
    return (
        _listed(attributes.group, rule.api_groups)
        and (
            _listed(attributes.qualified_resource, rule.resources)
            or (bool(attributes.subresource) and f"*/{attributes.subresource}" in rule.resources)
        )
        and (not rule.resource_names or attributes.name in rule.resource_names)
    )


def _listed(value: str, allowed: tuple[str, ...]) -> bool:
    return "*" in allowed or value in allowed


def _path_matches(path: str, pattern: str) -> bool:
    return path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern


def _access_policy_rules(user: KubernetesUser, namespace: str) -> Iterator[tuple[Rule, str]]:
    if user.entry is None:
        return
    for arn, association in list(user.entry.policies.items()):
        if _in_scope(association["accessScope"], namespace):
            policy = ACCESS_POLICIES[arn]
            yield from ((rule, f"{policy.name} of {user.entry.principal_arn}") for rule in policy.rules)


def _in_scope(scope: Object, namespace: str) -> bool:
    """A scope of namespaces never reaches what has no namespace; ``dev-*`` means all that start with ``dev-``."""
    if scope["type"] == "cluster":
        return True
    return bool(namespace) and any(_path_matches(namespace, pattern) for pattern in scope["namespaces"])


# --- RBAC ---------------------------------------------------------------------------------------------------


def _rbac_rules(api: KubernetesApi, user: KubernetesUser, namespace: str) -> Iterator[tuple[Rule, str]]:
    """The rules that bindings give the user in a namespace, or cluster-wide if it is empty."""
    bindings = api.view("ClusterRoleBinding") + (api.view("RoleBinding", namespace) if namespace else [])
    for binding in bindings:
        inside = binding["metadata"].get("namespace", "")
        if any(_is_subject(subject, user, inside) for subject in binding.get("subjects") or []):
            role = binding["roleRef"]
            source = f'{binding["kind"]} "{binding["metadata"]["name"]}" of {role["kind"]} "{role["name"]}"'
            yield from ((rule, source) for rule in _rules_of(api, role, binding["metadata"].get("namespace")))


def _is_subject(subject: Object, user: KubernetesUser, namespace: str) -> bool:
    """A service account without a namespace is one of the binding's own."""
    if subject["kind"] == "User":
        return bool(subject["name"] == user.username)
    if subject["kind"] == "Group":
        return subject["name"] in user.groups
    return user.username == f"system:serviceaccount:{subject.get('namespace') or namespace}:{subject['name']}"


def _rules_of(api: KubernetesApi, role_ref: Object, namespace: str | None) -> list[Rule]:
    kind = BY_KIND[role_ref["kind"]]
    role = api.find(kind, (namespace or "") if kind.namespaced else "", role_ref["name"])
    return rules_in(role) if role else []


def rules_in(role: Object) -> list[Rule]:
    """The rules of a Role or ClusterRole."""
    return [
        Rule(
            api_groups=tuple(rule.get("apiGroups") or ()),
            resources=tuple(rule.get("resources") or ()),
            verbs=tuple(rule.get("verbs") or ()),
            resource_names=tuple(rule.get("resourceNames") or ()),
            non_resource_urls=tuple(rule.get("nonResourceURLs") or ()),
        )
        for rule in role.get("rules") or []
    ]


def rules_for(api: KubernetesApi, user: KubernetesUser, namespace: str) -> list[Rule]:
    """The rules that SelfSubjectRulesReview shows: those of RBAC."""
    return [rule for rule, _ in _rbac_rules(api, user, namespace)]


def rule_object(rule: Rule) -> Object:
    """A rule as it stands in a Role."""
    members = {
        "apiGroups": rule.api_groups,
        "resources": rule.resources,
        "resourceNames": rule.resource_names,
        "nonResourceURLs": rule.non_resource_urls,
        "verbs": rule.verbs,
    }
    return {name: list(values) for name, values in members.items() if values}
