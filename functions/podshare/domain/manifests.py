"""The objects that podshare wants in a cluster, as Kubernetes takes them: to be applied, or printed for a person."""

from typing import Any

from podshare.domain.kinds import Key, KubernetesRole, KubernetesRoleBinding, KubernetesRule, Resource, ServiceAccount

Manifest = dict[str, Any]
_RBAC = "rbac.authorization.k8s.io"


def place(key: Key) -> tuple[str, str]:
    """The namespace and the name of an object."""
    namespace, _, name = key.name.partition("/")
    return namespace, name


def manifest(resource: Resource) -> Manifest:
    """The object that ``resource`` is in the cluster. Raises TypeError if it is none."""
    match resource:
        case ServiceAccount():
            return _object("v1", "ServiceAccount", resource)
        case KubernetesRole():
            return {**_object(f"{_RBAC}/v1", "Role", resource), "rules": [rule_of(rule) for rule in resource.rules]}
        case KubernetesRoleBinding():
            kind, _, name = resource.role.partition(" ")
            return {
                **_object(f"{_RBAC}/v1", "RoleBinding", resource),
                "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": name},
                "subjects": [_group(subject) for subject in sorted(resource.subjects)],
            }
        case _:
            raise TypeError(f"{resource.key} is no object of Kubernetes")


def _object(version: str, kind: str, resource: Resource) -> Manifest:
    namespace, name = place(resource.key)
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"namespace": namespace, "name": name, "labels": dict(sorted(resource.tags.items()))},
    }


def rule_of(rule: KubernetesRule) -> Manifest:
    """A rule as it stands in a Role (rbac.authorization.k8s.io/v1, PolicyRule)."""
    lists = {
        "apiGroups": rule.api_groups,
        "resources": rule.resources,
        "verbs": rule.verbs,
        "resourceNames": rule.resource_names,
        "nonResourceURLs": rule.non_resource_urls,
    }
    return {name: list(values) for name, values in lists.items() if values}


def _group(subject: str) -> Manifest:
    """Only groups are ever bound: of what others have bound, a narrowing keeps nothing else."""
    kind, _, name = subject.partition(" ")
    return {"apiGroup": _RBAC, "kind": kind, "name": name}
