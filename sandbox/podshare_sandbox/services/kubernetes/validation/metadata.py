"""What holds for the metadata of every object (``ValidateObjectMeta`` and ``ValidateObjectMetaUpdate``)."""

import re
from collections.abc import Iterator
from typing import Any

from podshare_sandbox.services.kubernetes.field_problems import (
    Problem,
    forbidden,
    immutable,
    invalid,
    too_long,
)
from podshare_sandbox.services.kubernetes.resources import DNS_SUBDOMAIN, PATH_SEGMENT, Resource

Object = dict[str, Any]

MAX_ANNOTATIONS = 256 * 1024  # bytes of all keys and values together
_NAME = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")
_NAME_PROBLEM = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_VALUE_PROBLEM = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


def problems(resource: Resource, metadata: Object, before: Object | None) -> Iterator[Problem]:
    """What is wrong with an object's metadata; ``before`` is that of the object that it replaces."""
    if before is None and (why := resource.names.violation(metadata["name"])):
        yield invalid("metadata.name", metadata["name"], why)
    if before is not None:
        yield from _changes(metadata, before)
    yield from _labels(metadata.get("labels") or {})
    yield from _annotations(metadata.get("annotations") or {})
    yield from _owner_references(metadata.get("ownerReferences") or [])
    yield from _finalizers(metadata.get("finalizers") or [])


def _changes(metadata: Object, before: Object) -> Iterator[Problem]:
    for name in ("name", "namespace", "uid", "creationTimestamp"):
        if metadata.get(name) != before.get(name):
            yield immutable(f"metadata.{name}", metadata.get(name))
    added = [one for one in metadata.get("finalizers") or [] if one not in (before.get("finalizers") or [])]
    if added and "deletionTimestamp" in before:
        listed = " ".join(added)
        detail = f"no new finalizers can be added if the object is being deleted, found new finalizers [{listed}]"
        yield forbidden("metadata.finalizers", detail)


def _labels(labels: Object) -> Iterator[Problem]:
    for key, value in labels.items():
        yield from (invalid("metadata.labels", key, why) for why in key_violations(key))
        yield from (invalid("metadata.labels", value, why) for why in value_violations(value))


def _annotations(annotations: Object) -> Iterator[Problem]:
    for key in annotations:
        yield from (invalid("metadata.annotations", key, why) for why in key_violations(key.lower()))
    if sum(len(f"{key}{value}".encode()) for key, value in annotations.items()) > MAX_ANNOTATIONS:
        yield too_long("metadata.annotations", MAX_ANNOTATIONS)


def key_violations(key: str) -> Iterator[str]:
    """Why something is no qualified name: a name, after a DNS subdomain and a slash if it has one."""
    prefix, slash, name = key.rpartition("/")
    if slash and not prefix:
        yield "prefix part must be non-empty"
    elif slash and (why := DNS_SUBDOMAIN.violation(prefix)):
        yield f"prefix part {why}"
    if not name:
        yield "name part must be non-empty"
    elif len(name) > 63:
        yield "name part must be no more than 63 bytes"
    if not _NAME.fullmatch(name):
        yield _NAME_PROBLEM


def value_violations(value: str) -> Iterator[str]:
    """Why something is no value of a label."""
    if len(value) > 63:
        yield "must be no more than 63 bytes"
    if value and not _NAME.fullmatch(value):
        yield _VALUE_PROBLEM


def _owner_references(references: list[Object]) -> Iterator[Problem]:
    for index, reference in enumerate(references):
        field = f"metadata.ownerReferences[{index}]"
        for name in ("apiVersion", "kind", "name", "uid"):
            if not reference.get(name):
                yield invalid(f"{field}.{name}", reference.get(name, ""), "must not be empty")
        if reference.get("name") and (why := PATH_SEGMENT.violation(reference["name"])):
            yield invalid(f"{field}.name", reference["name"], why)
        if (reference.get("apiVersion"), reference.get("kind")) == ("v1", "Event"):
            yield invalid("metadata.ownerReferences", reference, "is disallowed from being an owner")
    controllers = [reference.get("name") for reference in references if reference.get("controller")]
    if len(controllers) > 1:
        both = " and ".join(map(str, controllers[:2]))
        detail = f'Only one reference can have Controller set to true. Found "true" in references for {both}'
        yield invalid("metadata.ownerReferences", references, detail)


def _finalizers(finalizers: list[str]) -> Iterator[Problem]:
    for index, finalizer in enumerate(finalizers):
        yield from (invalid("metadata.finalizers", finalizer, why) for why in key_violations(finalizer))
        if "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
            detail = "name is neither a standard finalizer name nor is it fully qualified"
            yield invalid(f"metadata.finalizers[{index}]", finalizer, detail)
    if {"orphan", "foregroundDeletion"} <= {*finalizers}:
        detail = "finalizer orphan and foregroundDeletion cannot be both set"
        yield invalid("metadata.finalizers", finalizers, detail)
