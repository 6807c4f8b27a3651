"""What the manifests of objects have in common, as Kubernetes takes them: to be applied, or printed for a person."""

import re
from collections.abc import Mapping
from typing import Any

from podshare.installation import DISPLAYED_LABEL, MANAGED_BY_LABEL, Installation
from podshare.kinds import names
from podshare.kinds.base import Key, Manifest, Resource

RBAC = "rbac.authorization.k8s.io"


def place(key: Key) -> tuple[str, str]:
    """The namespace and the name of an object; a volume is in none."""
    namespace, _, name = key.name.rpartition("/")
    return namespace, name


def cleanup_quota(installation: Installation, namespace: str, team: str, hard: Mapping[str, str]) -> Manifest:
    """The ResourceQuota by which the objects of a deleted team are counted, and none is added."""
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {
            "namespace": namespace,
            "name": names.cleanup_quota(installation),
            "labels": displayed(names.labels(installation, team)),
        },
        "spec": {"hard": dict(hard)},
    }


def object_of(version: str, resource: Resource) -> Manifest:
    """The beginning of an object's manifest: what and where it is, and whose."""
    namespace, name = place(resource.key)
    within = {"namespace": namespace} if namespace else {}
    metadata = {**within, "name": name, "labels": displayed(resource.tags)}
    return {"apiVersion": version, "kind": resource.object_kind, "metadata": metadata}


def displayed(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels with the one by which tools show what manages an object."""
    return dict(sorted({**labels, DISPLAYED_LABEL: labels[MANAGED_BY_LABEL]}.items()))


def storage_of(gib: int) -> dict[str, str]:
    """So much storage, as volumes and claims name it."""
    return {"storage": f"{gib}Gi"}


def gib_of(quantities: Mapping[str, Any]) -> int:
    """The reverse of ``storage_of``; 0 for storage as others name it, which nothing compares."""
    match = re.fullmatch(r"([0-9]+)Gi", str(quantities.get("storage", "")))
    return int(match[1]) if match else 0


def is_leaving(manifest: Mapping[str, Any]) -> bool:
    """Whether somebody has deleted an object that is still in use."""
    return bool(manifest["metadata"].get("deletionTimestamp"))
