"""The objects that podshare wants in a cluster, as Kubernetes takes them: to be applied, or printed for a person."""

from collections.abc import Iterable, Mapping
from typing import Any

from podshare.installation import DISPLAYED_LABEL, MANAGED_BY_LABEL, TEAM_LABEL, Installation
from podshare.kinds import names
from podshare.kinds.shapes import (
    Key,
    KubernetesRole,
    KubernetesRoleBinding,
    Namespace,
    PersistentVolume,
    PersistentVolumeClaim,
    Resource,
    ServiceAccount,
)
from podshare.policy.rbac import KubernetesRule

Manifest = dict[str, Any]
_RBAC = "rbac.authorization.k8s.io"


def place(key: Key) -> tuple[str, str]:
    """The namespace and the name of an object; a volume is in none."""
    namespace, _, name = key.name.rpartition("/")
    return namespace, name


def manifest(resource: Resource) -> Manifest:
    """The object that ``resource`` is in the cluster. Raises TypeError if it is none."""
    match resource:
        case Namespace():
            metadata = {"name": resource.key.name, "labels": dict(sorted(resource.tags.items()))}
            return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
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
        case PersistentVolume():
            spec = {**resource.spec, "capacity": _storage(resource.capacity_gib)}
            return {**_object("v1", "PersistentVolume", resource), "spec": spec}
        case PersistentVolumeClaim():
            spec = {**resource.spec, "resources": {"requests": _storage(resource.capacity_gib)}}
            return {**_object("v1", "PersistentVolumeClaim", resource), "spec": spec}
        case _:
            raise TypeError(f"{resource.key} is no object of Kubernetes")


def manifests(installation: Installation, resources: Iterable[Resource]) -> list[Manifest]:
    """All objects that ``resources`` are, namespaces first."""
    found: list[Manifest] = []
    for resource in sorted(resources, key=lambda one: (not isinstance(one, Namespace), one.key)):
        found.append(manifest(resource))
        if isinstance(resource, Namespace) and resource.network_policy:
            found.append(network_policy(installation, resource))
    return found


def network_policy(installation: Installation, namespace: Namespace) -> Manifest:
    """The network policy of a team's namespace."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {
            "namespace": namespace.key.name,
            "name": names.network_policy(installation),
            "labels": _displayed(names.labels(installation, namespace.tags[TEAM_LABEL])),
        },
        "spec": dict(namespace.network_policy or {}),
    }


def cleanup_quota(installation: Installation, namespace: str, team: str, hard: Mapping[str, str]) -> Manifest:
    """The ResourceQuota by which the objects of a deleted team are counted, and none is added."""
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {
            "namespace": namespace,
            "name": names.cleanup_quota(installation),
            "labels": _displayed(names.labels(installation, team)),
        },
        "spec": {"hard": dict(hard)},
    }


def _object(version: str, kind: str, resource: Resource) -> Manifest:
    namespace, name = place(resource.key)
    within = {"namespace": namespace} if namespace else {}
    metadata = {**within, "name": name, "labels": _displayed(resource.tags)}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def _displayed(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels with the one by which tools show what manages an object."""
    return dict(sorted({**labels, DISPLAYED_LABEL: labels[MANAGED_BY_LABEL]}.items()))


def _storage(gib: int) -> dict[str, str]:
    return {"storage": f"{gib}Gi"}


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
