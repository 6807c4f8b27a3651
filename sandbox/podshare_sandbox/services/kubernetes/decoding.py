"""What a client sends, held against the fields of its kind, as the API server decodes it.

Kubernetes documentation, "API Concepts", field validation. What cannot be read is 400, in a merge patch 422, and 500 in
an apply, which knows no unknown fields either (``patch.go`` of Kubernetes' apiserver).
"""

from typing import Any

from podshare_sandbox.services.kubernetes import errors, schemas
from podshare_sandbox.services.kubernetes.field_problems import Problem
from podshare_sandbox.services.kubernetes.resources import Resource

Object = dict[str, Any]

_MAPS_OF_TEXTS = {"annotations", "binaryData", "data", "labels", "matchLabels", "nodeSelector", "stringData"}


def decode(resource: Resource, body: Object, validation: str) -> list[str]:
    """Prune a whole object; the warnings of unknown fields. ``validation`` is Strict, Warn (as if empty) or Ignore.

    Raises 400 for what cannot be read, and for unknown fields that are not let pass.
    """
    found = schemas.misfits(resource, body)
    for misfit in found:
        if not misfit.is_unknown:
            message = f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}'
            raise errors.bad_request(f"{message}: {misfit.problem}")
    warnings = _pruned(body, found, validation)
    if schemas.are_known(resource):
        _drop_nulls(body)
    return warnings


def _drop_nulls(body: Object) -> None:
    """A null is a field's zero value: an absent field, and in a map of texts the empty one (Go, ``encoding/json``)."""
    for name, value in list(body.items()):
        if value is None:
            del body[name]
        elif isinstance(value, dict):
            if name in _MAPS_OF_TEXTS:
                value.update({key: "" for key, text in value.items() if text is None})
            _drop_nulls(value)
        elif isinstance(value, list):
            for each in value:
                if isinstance(each, dict):
                    _drop_nulls(each)


def decode_patch(resource: Resource, patch: Object, validation: str) -> list[str]:
    """As :func:`decode`, of what a merge patch says. Raises 422 for what cannot be read."""
    found = schemas.misfits(resource, patch)
    for misfit in found:
        if not misfit.is_unknown:
            problem = Problem("patch", "FieldValueInvalid", f"Invalid value: {misfit.problem}")
            raise errors.invalid_fields(Resource("", "v1", "", ""), "", [problem])
    return _pruned(patch, found, validation)


def decode_apply(resource: Resource, manifest: Object) -> None:
    """Raise 500 for an applied configuration that says what its kind does not declare."""
    found = schemas.misfits(resource, manifest)
    if not found:
        return
    metadata = manifest["metadata"]
    name = "/".join(part for part in (metadata.get("namespace"), metadata.get("name")) if part)
    listed = "; ".join(
        f"{misfit.path}: {'field not declared in schema' if misfit.is_unknown else misfit.problem}" for misfit in found
    )
    what = f"({name}; {resource.api_version}, Kind={resource.kind})"
    raise errors.internal(f"failed to create typed patch object {what}: {listed}")


def _pruned(body: Object, found: list[schemas.Misfit], validation: str) -> list[str]:
    if found and validation == "Strict":
        listed = ", ".join(misfit.problem for misfit in found)
        raise errors.bad_request(f"strict decoding error: {listed}")
    schemas.prune(body, found)
    return [] if validation == "Ignore" else [misfit.problem for misfit in found]
