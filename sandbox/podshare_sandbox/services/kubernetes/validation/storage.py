"""Persistent volumes and claims (``ValidatePersistentVolume…`` of Kubernetes' ``pkg/apis/core/validation``)."""

from collections.abc import Iterator
from typing import Any

from podshare_sandbox.services.kubernetes import quantities
from podshare_sandbox.services.kubernetes.field_problems import (
    Problem,
    forbidden,
    immutable,
    invalid,
    required,
    unsupported,
)
from podshare_sandbox.services.kubernetes.resources import DNS_SUBDOMAIN
from podshare_sandbox.services.kubernetes.validation import label_selectors

Object = dict[str, Any]

_SOURCES = ("csi", "hostPath", "nfs", "local")  # the sandbox's
_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_VOLUME_MODES = ("Block", "Filesystem")
_RECLAIM_POLICIES = ("Delete", "Recycle", "Retain")
_LONGEST_DRIVER = 63


def volume_problems(volume: Object, before: Object | None) -> Iterator[Problem]:
    """What is wrong with a PersistentVolume, or with its change."""
    spec, former = volume.get("spec") or {}, before["spec"] if before else None
    yield from _capacity(spec.get("capacity") or {})
    yield from _access_modes(spec)
    yield from _source(spec)
    yield from _class_and_mode(spec)
    policy = spec.get("persistentVolumeReclaimPolicy")
    if policy and policy not in _RECLAIM_POLICIES:
        yield unsupported("spec.persistentVolumeReclaimPolicy", policy, _RECLAIM_POLICIES)
    if former is None:
        return
    if any(_source_of(spec, name) != _source_of(former, name) for name in _SOURCES):
        yield forbidden("spec.persistentvolumesource", "spec.persistentvolumesource is immutable after creation")
    if spec.get("volumeMode", "Filesystem") != former["volumeMode"]:
        yield immutable("spec.volumeMode", spec["volumeMode"])


def claim_problems(claim: Object, before: Object | None) -> Iterator[Problem]:
    """What is wrong with a PersistentVolumeClaim, or with its change."""
    spec = claim.get("spec") or {}
    yield from _access_modes(spec)
    yield from label_selectors.problems(spec.get("selector") or {}, "spec.selector")
    yield from _class_and_mode(spec)
    size = _size(spec)
    if size is None:
        yield required("spec.resources[storage]")
    else:
        yield from _positive("spec.resources[storage]", size)
    if before is not None and size is not None:
        yield from _changed_claim(spec, before)


def _changed_claim(spec: Object, before: Object) -> Iterator[Problem]:
    former = before["spec"]
    is_bound = (before.get("status") or {}).get("phase") == "Bound"
    fixed, fixed_before = ({**one, "resources": None} if is_bound else one for one in (spec, former))
    if {"volumeMode": "Filesystem", **fixed} != fixed_before:
        detail = (
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
        )
        yield forbidden("spec", detail)
    elif quantities.parse(_size(spec)) < quantities.parse(_size(former)):
        yield forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")


def grows(claim: Object, before: Object | None) -> bool:
    """Whether a claim asks for more than it did."""
    return before is not None and quantities.parse(_size(claim["spec"])) > quantities.parse(_size(before["spec"]))


def _size(spec: Object) -> Any:
    return ((spec.get("resources") or {}).get("requests") or {}).get("storage")


def _capacity(capacity: Object) -> Iterator[Problem]:
    if not capacity:
        yield required("spec.capacity")
    elif list(capacity) != ["storage"]:
        yield unsupported("spec.capacity", capacity, ["storage"])
    else:
        yield from _positive("spec.capacity[storage]", capacity["storage"])


def _positive(field: str, quantity: Any) -> Iterator[Problem]:
    if quantities.parse(quantity) <= 0:
        yield invalid(field, quantity, "must be greater than zero")


def _access_modes(spec: Object) -> Iterator[Problem]:
    modes = spec.get("accessModes") or []
    if not modes:
        yield required("spec.accessModes", "at least 1 access mode is required")
    yield from (unsupported("spec.accessModes", mode, _MODES) for mode in modes if mode not in _MODES)
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        yield forbidden("spec.accessModes", "may not use ReadWriteOncePod with other access modes")


def _class_and_mode(spec: Object) -> Iterator[Problem]:
    name, mode = spec.get("storageClassName"), spec.get("volumeMode")
    if name and (why := DNS_SUBDOMAIN.violation(name)):
        yield invalid("spec.storageClassName", name, why)
    if mode is not None and mode not in _VOLUME_MODES:
        yield unsupported("spec.volumeMode", mode, _VOLUME_MODES)


def _source(spec: Object) -> Iterator[Problem]:
    sources = [name for name in _SOURCES if spec.get(name) is not None]
    if not sources:
        yield required("spec", "must specify a volume type")
    for name in sources[1:]:
        yield forbidden(f"spec.{name}", "may not specify more than 1 volume type")
    if "csi" not in sources:
        return
    driver = spec["csi"].get("driver")
    if not driver:
        yield required("spec.csi.driver")
    elif len(driver) > _LONGEST_DRIVER or (why := DNS_SUBDOMAIN.violation(driver.lower())):
        why = "must be no more than 63 characters" if len(driver) > _LONGEST_DRIVER else why
        yield invalid("spec.csi.driver", driver, str(why))
    if not spec["csi"].get("volumeHandle"):
        yield required("spec.csi.volumeHandle")


def _source_of(spec: Object, name: str) -> Object | None:
    """A source without what means the same as its absence."""
    source = spec.get(name)
    return None if source is None else {key: value for key, value in source.items() if value is not False}
