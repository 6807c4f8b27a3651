"""Pods, and the templates of pods (``ValidatePodSpec`` and ``ValidatePodUpdate`` of ``pkg/apis/core/validation``).

Of a pod's fields, those are looked at that say what runs and what it mounts.
"""

from collections.abc import Iterator
from typing import Any

from podshare_sandbox.json_copy import json_copy
from podshare_sandbox.services.kubernetes.field_problems import (
    Problem,
    duplicate,
    forbidden,
    invalid,
    required,
    unsupported,
)
from podshare_sandbox.services.kubernetes.resources import DNS_LABEL, DNS_SUBDOMAIN

Object = dict[str, Any]

_RESTART_POLICIES = ("Always", "Never", "OnFailure")
_CONTAINERS = ("initContainers", "containers")
_UNCHANGING = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def problems(pod: Object, before: Object | None) -> Iterator[Problem]:
    """What is wrong with a pod, or with its change."""
    spec = pod.get("spec") or {}
    yield from spec_problems(spec, "spec")
    if before is not None and _fixed(spec, before["spec"]) != _fixed(before["spec"], spec):
        yield forbidden("spec", _UNCHANGING)


def spec_problems(spec: Object, field: str) -> Iterator[Problem]:
    """What is wrong with the ``spec`` of a pod."""
    if not spec.get("containers"):
        yield required(f"{field}.containers")
    volumes: list[str] = []
    for index, volume in enumerate(spec.get("volumes") or []):
        yield from _name(volume, f"{field}.volumes[{index}]", volumes)
    names: list[str] = []
    for kind in _CONTAINERS:
        for index, container in enumerate(spec.get(kind) or []):
            yield from _container(container, f"{field}.{kind}[{index}]", names, volumes)
    policy = spec.get("restartPolicy", "Always")
    if policy not in _RESTART_POLICIES:
        yield unsupported(f"{field}.restartPolicy", policy, _RESTART_POLICIES)
    account = spec.get("serviceAccountName")
    if account and (why := DNS_SUBDOMAIN.violation(account)):
        yield invalid(f"{field}.serviceAccountName", account, why)


def _name(one: Object, field: str, others: list[str]) -> Iterator[Problem]:
    """A name is a DNS label, and unique; it is added to ``others``."""
    name = one.get("name")
    if not name:
        yield required(f"{field}.name")
    elif why := DNS_LABEL.violation(name):
        yield invalid(f"{field}.name", name, why)
    elif name in others:
        yield duplicate(f"{field}.name", name)
    others.append(name or "")


def _container(container: Object, field: str, names: list[str], volumes: list[str]) -> Iterator[Problem]:
    yield from _name(container, field, names)
    image = container.get("image")
    if not image:
        yield required(f"{field}.image")
    elif image != image.strip():
        yield invalid(f"{field}.image", image, "must not have leading or trailing whitespace")
    paths: list[str] = []
    for index, mount in enumerate(container.get("volumeMounts") or []):
        here = f"{field}.volumeMounts[{index}]"
        if not mount.get("name"):
            yield required(f"{here}.name")
        elif mount["name"] not in volumes:
            yield Problem(f"{here}.name", "FieldValueNotFound", f'Not found: "{mount["name"]}"')
        if not mount.get("mountPath"):
            yield required(f"{here}.mountPath")
        elif mount["mountPath"] in paths:
            yield invalid(f"{here}.mountPath", mount["mountPath"], "must be unique")
        paths.append(mount.get("mountPath") or "")


def _fixed(spec: Object, other: Object) -> Object:
    """What of a pod cannot be changed: all but images, deadlines, and tolerations that are added."""
    fixed: Object = json_copy(spec)
    for kind in _CONTAINERS:
        for container in fixed.get(kind) or ():
            container.pop("image", None)
    fixed.pop("activeDeadlineSeconds", None)
    kept = [one for one in fixed.pop("tolerations", None) or () if one in (other.get("tolerations") or ())]
    return {**fixed, "tolerations": kept}
