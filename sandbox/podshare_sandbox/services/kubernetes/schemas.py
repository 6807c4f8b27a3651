"""The fields of the kinds that Kubernetes itself defines, with their types: what is unknown, and what cannot be read.

The types are those of lightkube's models, which are made from Kubernetes' OpenAPI document. Kinds of others (Kueue,
Kubeflow, SageMaker) keep every field; their metadata is held against ObjectMeta.
"""

import base64
import binascii
import importlib
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from podshare_sandbox.services.kubernetes import quantities
from podshare_sandbox.services.kubernetes.resources import Resource

Object = dict[str, Any]
Keys = tuple[str | int, ...]

_MODULES = {
    "": "core_v1",
    "apps": "apps_v1",
    "batch": "batch_v1",
    "networking.k8s.io": "networking_v1",
    "rbac.authorization.k8s.io": "rbac_v1",
    "admissionregistration.k8s.io": "admissionregistration_v1",
}
# maps whose values are quantities, bytes, or anything; those of all other maps are texts
_QUANTITIES = {
    "allocatable", "allocatedResources", "capacity", "default", "defaultRequest", "hard", "limits", "max",
    "maxLimitRequestRatio", "min", "overhead", "requests", "used",
}  # fmt: skip
_BYTES = {"Secret": "data", "ConfigMap": "binaryData"}
_ANYTHING = {"fieldsV1", "extra"}
_SCALARS: dict[Any, tuple[type, ...]] = {str: (str,), bool: (bool,), int: (int,), float: (int, float), datetime: (str,)}
_JSON = {str: "string", bool: "bool", int: "number", float: "number", dict: "object", list: "array"}
_GO = {str: "string", bool: "bool", int: "int32", float: "float64", datetime: "v1.Time"}
_QUANTITY_PROBLEM = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


@dataclass(frozen=True)
class Misfit:
    """A field that is not declared, or has a value of another type."""

    keys: Keys
    problem: str
    is_unknown: bool = False

    @property
    def path(self) -> str:
        """The field as messages name it."""
        return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in self.keys)


def misfits(resource: Resource, candidate: Object) -> list[Misfit]:
    """What does not fit the kind of an object, or of a part of one, in the order of its fields."""
    model = _model(resource)
    if model is None:
        metadata = {name: candidate[name] for name in ("metadata",) if candidate.get(name) is not None}
        return list(_of_object(metadata, _metadata_only(), ()))
    found = list(_of_object(candidate, model, ()))
    if not found and (field := _BYTES.get(resource.kind)):
        values = candidate.get(field) or {}
        found = [Misfit((field, key), "illegal base64 data") for key, value in values.items() if not _is_base64(value)]
    return found


def are_known(resource: Resource) -> bool:
    """Whether Kubernetes itself defines the fields of a kind."""
    return _model(resource) is not None


def prune(candidate: Object, unknown: list[Misfit]) -> None:
    """Drop the fields that the kind does not declare, as decoding does."""
    for misfit in unknown:
        inside: Any = candidate
        for key in misfit.keys[:-1]:
            inside = inside[key]
        del inside[misfit.keys[-1]]


@cache
def _model(resource: Resource) -> Any:
    """The model of a kind, None for one that Kubernetes does not define."""
    name = _MODULES.get(resource.group)
    return getattr(importlib.import_module(f"lightkube.models.{name}"), resource.kind) if name else None


def _metadata_only() -> Any:
    """A model that declares what every kind has: of Namespaces, whose metadata alone is looked at."""
    return importlib.import_module("lightkube.models.core_v1").Namespace


@cache
def _fields(model: Any) -> dict[str, Any]:
    """The JSON names of a model's fields, with their types; names that Python keeps for itself end in ``_``."""
    return {name.rstrip("_"): hint for name, hint in typing.get_type_hints(model).items()}


def _of_object(value: Object, model: Any, keys: Keys) -> Iterator[Misfit]:
    declared = _fields(model)
    for name, member in value.items():
        here = (*keys, name)
        if name not in declared:
            yield Misfit(here, f'unknown field "{Misfit(here, "").path[1:]}"', is_unknown=True)
        elif member is not None:
            yield from _of_value(member, declared[name], here)


def _of_value(value: Any, hint: Any, keys: Keys) -> Iterator[Misfit]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        choices = [one for one in arguments if one is not type(None)]
        if len(choices) == 1:
            yield from _of_value(value, choices[0], keys)
        elif not any(_is_scalar(value, one) for one in choices):
            yield _mismatch(value, keys, "intstr.IntOrString")
    elif origin is list:
        yield from _of_list(value, arguments[0], keys)
    elif dict in (hint, origin):
        yield from _of_map(value, keys)
    elif hint in _SCALARS:
        if not _is_scalar(value, hint):
            yield _mismatch(value, keys, _GO[hint])
    elif isinstance(value, dict):
        yield from _of_object(value, hint, keys)
    else:
        yield _mismatch(value, keys, hint.__name__)


def _is_scalar(value: Any, hint: Any) -> bool:
    return isinstance(value, _SCALARS[hint]) and (hint is bool or not isinstance(value, bool))


def _of_list(value: Any, hint: Any, keys: Keys) -> Iterator[Misfit]:
    if not isinstance(value, list):
        yield _mismatch(value, keys, "[]")
        return
    for index, member in enumerate(value):
        yield from _of_value(member, hint, (*keys, index))


def _of_map(value: Any, keys: Keys) -> Iterator[Misfit]:
    if keys[-1] in _ANYTHING:
        return
    if not isinstance(value, dict):
        yield _mismatch(value, keys, "map[string]string")
        return
    for key, member in value.items():
        if keys[-1] in _QUANTITIES:
            if isinstance(member, bool) or not _is_quantity(member):
                yield Misfit((*keys, key), _QUANTITY_PROBLEM)
        elif not isinstance(member, str | None):
            yield _mismatch(member, (*keys, key), "string")


def _is_quantity(value: Any) -> bool:
    try:
        quantities.parse(value)
    except ValueError:
        return False
    return True


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        return False
    return True


def _mismatch(value: Any, keys: Keys, wanted: str) -> Misfit:
    found = _JSON.get(type(value), "value")
    path = Misfit(keys, "").path
    return Misfit(keys, f"json: cannot unmarshal {found} into Go struct field {path} of type {wanted}")
