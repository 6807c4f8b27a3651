"""What the API server checks and fills in before it stores an object."""

from collections.abc import Iterator
from typing import Any

from podshare_sandbox.services.kubernetes import batch, errors, pod_security, pods
from podshare_sandbox.services.kubernetes.field_problems import Problem, unsupported
from podshare_sandbox.services.kubernetes.resources import Resource
from podshare_sandbox.services.kubernetes.validation import (
    admission_policies,
    configuration,
    metadata,
    network_policies,
    pod_specs,
    rbac,
    storage,
    training_jobs,
)

Object = dict[str, Any]

_NOT_RESIZABLE = (
    "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"
)


def validate(resource: Resource, candidate: Object, before: Object | None) -> None:
    """Set the defaults of the kind, and raise 422 where the object breaks its rules; ``before`` is what it replaces."""
    _set_defaults(resource, candidate)
    earlier = before["metadata"] if before else None
    found = list(metadata.problems(resource, candidate["metadata"], earlier))
    found += _problems(resource, candidate, before)
    if found:
        raise errors.invalid_fields(resource, candidate["metadata"]["name"], found)
    if resource.kind == "PersistentVolumeClaim" and storage.grows(candidate, before):
        _require_growing_class(resource, candidate)
    batch.validate(resource, candidate, before)
    training_jobs.validate(resource, candidate)
    admission_policies.validate(resource, candidate)


def _set_defaults(resource: Resource, candidate: Object) -> None:
    configuration.fill_in(resource, candidate)
    if resource.kind in ("RoleBinding", "ClusterRoleBinding"):
        rbac.fill_in(candidate)
    if resource.kind == "NetworkPolicy":
        network_policies.fill_in(candidate)
    for name in ("labels", "annotations"):
        if candidate["metadata"].get(name) in ({}, None):
            candidate["metadata"].pop(name, None)


def _problems(resource: Resource, candidate: Object, before: Object | None) -> Iterator[Problem]:
    match resource.kind:
        case "Role" | "ClusterRole":
            yield from rbac.role_problems(resource, candidate)
        case "RoleBinding" | "ClusterRoleBinding":
            yield from rbac.binding_problems(resource, candidate, before)
        case "NetworkPolicy":
            yield from network_policies.problems(candidate)
        case "PersistentVolume":
            yield from storage.volume_problems(candidate, before)
        case "PersistentVolumeClaim":
            yield from storage.claim_problems(candidate, before)
        case "ConfigMap" | "Secret":
            yield from configuration.problems(resource, candidate, before)
        case "Pod":
            yield from pod_specs.problems(candidate, before)
        case "Namespace":
            yield from _pod_security_labels(candidate)


def _pod_security_labels(namespace: Object) -> Iterator[Problem]:
    for key, value in (namespace["metadata"].get("labels") or {}).items():
        allowed = ("latest",) if key.endswith("-version") else pod_security.LEVELS
        if key.startswith(pod_security.LABEL) and value not in allowed:
            yield unsupported(f"metadata.labels[{key}]", value, allowed)


def _require_growing_class(resource: Resource, claim: Object) -> None:
    """Only what a storage class provisioned grows (admission plugin PersistentVolumeClaimResize); here none does."""
    raise errors.forbidden(resource, claim["metadata"]["name"], _NOT_RESIZABLE)


def fill_in(resource: Resource, candidate: Object) -> None:
    """Set what the API server and its controllers set on a new object. A pod runs until it is deleted."""
    if resource.kind == "Namespace":
        candidate["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = candidate["metadata"]["name"]
        candidate["spec"] = {"finalizers": ["kubernetes"]}
        candidate["status"] = {"phase": "Active"}
    if resource.kind == "Pod":
        spec = candidate["spec"]
        account = spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"
        spec["serviceAccountName"] = spec["serviceAccount"] = account
        spec.setdefault("restartPolicy", "Always")
        candidate["status"] = pods.started(candidate)
