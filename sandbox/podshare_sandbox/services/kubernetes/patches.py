"""Patches of objects: JSON patch (RFC 6902), JSON merge patch (RFC 7386) and strategic merge patch.

The last merges by what the schema of a kind says of its fields: see the Kubernetes page "Update API Objects in Place
Using kubectl patch", and ``strategic-merge-patch.md`` of its community's API machinery.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jsonpatch
from jsonpointer import JsonPointerException

from podshare_sandbox.json_copy import json_copy
from podshare_sandbox.services.kubernetes import definitions, errors
from podshare_sandbox.services.kubernetes.resources import Resource

Object = dict[str, Any]
Patch = Callable[[Object], Object]  # a state, and what the patch makes of it

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
_DIRECTIVE, _RETAIN = "$patch", "$retainKeys"
_ORDER, _DELETE = "$setElementOrder/", "$deleteFromPrimitiveList/"


def media_types(resource: Resource, version: str) -> tuple[str, ...]:
    """The patches that a kind takes: strategic merge needs the schema that Kubernetes' own kinds alone have."""
    strategic = (STRATEGIC_MERGE_PATCH,) if _schema(resource, version) else ()
    return (JSON_PATCH, MERGE_PATCH, *strategic, APPLY_PATCH)


def read(resource: Resource, version: str, media_type: str, body: Any) -> Patch:
    """What a patch does. Raises 415 for a format that the kind does not take, and 400 for what is no patch."""
    if media_type not in media_types(resource, version):
        raise errors.unsupported_media_type(media_types(resource, version))
    if media_type == JSON_PATCH:
        return _json_patch(resource, body)
    if not isinstance(body, dict):
        raise errors.bad_request("the object provided is unrecognized: it is not a mapping")
    schema = _schema(resource, version)
    if media_type == MERGE_PATCH or schema is None:
        return merging(body)
    return _Strategic(definitions.definitions(version)).patch(resource, schema, body)


def merging(body: Object) -> Patch:
    """What a JSON merge patch does: null removes, mappings merge, everything else replaces."""

    def apply(state: Object) -> Object:
        merged: Object = _merged(state, body)
        return merged

    return apply


def _schema(resource: Resource, version: str) -> Object | None:
    name = definitions.name_of(version, resource.group, resource.version, resource.kind)
    return definitions.definitions(version)[name] if name else None


def _rejected(resource: Resource, state: Object, problem: object) -> errors.KubernetesError:
    return errors.invalid(resource, state["metadata"]["name"], "patch", f"Invalid value: {problem}")


def _json_patch(resource: Resource, body: Any) -> Patch:
    try:
        operations = jsonpatch.JsonPatch(body)
    except (jsonpatch.InvalidJsonPatch, JsonPointerException, TypeError) as error:
        raise errors.bad_request(f"error decoding patch: {error}") from None

    def apply(state: Object) -> Object:
        try:
            changed = operations.apply(json_copy(state))
        except (jsonpatch.JsonPatchException, JsonPointerException) as error:
            raise _rejected(resource, state, error) from None
        if not isinstance(changed, dict) or not isinstance(changed.get("metadata"), dict):
            raise _rejected(resource, state, "the patched object has no metadata")
        return changed

    return apply


def _merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return json_copy(patch)
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged


class _MergeError(Exception):
    """A strategic merge patch that does not fit its schema, or contradicts itself."""


class _Strategic:
    """Strategic merge by the definitions of a version of Kubernetes."""

    def __init__(self, known: Mapping[str, Object]) -> None:
        self._definitions = known

    def patch(self, resource: Resource, schema: Object, body: Object) -> Patch:
        """What ``body`` does to objects of a kind."""

        def apply(state: Object) -> Object:
            try:
                return self._merge(json_copy(state), json_copy(body), schema)
            except _MergeError as error:
                raise _rejected(resource, state, error) from None

        return apply

    def _resolved(self, schema: Object) -> Object:
        """A field's schema with what it refers to; what stands beside the reference is of the field."""
        reference = schema.get("$ref")
        return {**self._definitions[reference], **schema} if isinstance(reference, str) else schema

    def _field(self, schema: Object, name: str) -> Object:
        declared = self._resolved(schema)
        inside = declared.get("properties", {}).get(name) or declared.get("additionalProperties")
        return inside if isinstance(inside, dict) else {}

    def _merge(self, target: Object, patch: Object, schema: Object) -> Object:
        directive = patch.pop(_DIRECTIVE, "merge")
        if directive == "replace":
            return patch
        if directive == "delete":
            return {}
        if directive != "merge":
            raise _MergeError(f"Unknown patch type found: {directive}")
        if (kept := patch.pop(_RETAIN, None)) is not None:
            if missing := patch.keys() - {*kept}:
                raise _MergeError(f"{_RETAIN} lacks what the patch sets: {', '.join(sorted(missing))}")
            target = {key: value for key, value in target.items() if key in kept}
        orders = _taken(patch, _ORDER)
        for name, gone in _taken(patch, _DELETE).items():
            target[name] = [one for one in target.get(name) or [] if one not in gone]
        for key, value in patch.items():
            if value is None:
                target.pop(key, None)
            else:
                target[key] = self._value(target.get(key), value, self._field(schema, key))
        for name, order in orders.items():
            if isinstance(target.get(name), list):
                target[name] = _ordered(target[name], order, _merge_key(self._field(schema, name)))
        return target

    def _value(self, before: Any, value: Any, schema: Object) -> Any:
        strategies = schema.get("x-kubernetes-patch-strategy", "").split(",")
        if isinstance(value, dict):
            replaced = "replace" in strategies or not isinstance(before, dict)
            return self._merge({} if replaced else before, value, schema)
        if isinstance(value, list) and "merge" in strategies:
            return self._list(before or [], value, schema)
        return value

    def _list(self, before: list[Any], patch: list[Any], schema: Object) -> list[Any]:
        if not any(isinstance(one, dict) for one in patch):
            return [*before, *(one for one in patch if one not in before)]
        key, items = _merge_key(schema), self._resolved(schema).get("items", {})
        if any(one.get(_DIRECTIVE) == "replace" for one in patch):
            return [one for one in patch if one.get(_DIRECTIVE) != "replace"]
        merged = list(before)
        for one in patch:
            if key not in one:
                raise _MergeError(f"map: {one} does not contain declared merge key: {key}")
            index = next((index for index, there in enumerate(merged) if there.get(key) == one[key]), None)
            if one.get(_DIRECTIVE) == "delete":
                merged = [there for there in merged if there.get(key) != one[key]]
            elif index is None:
                merged.append(self._merge({}, one, items))
            else:
                merged[index] = self._merge(merged[index], one, items)
        return merged


def _merge_key(schema: Object) -> str:
    return str(schema.get("x-kubernetes-patch-merge-key", ""))


def _taken(patch: Object, prefix: str) -> dict[str, list[Any]]:
    """The lists that directives with a prefix carry, by the field that they are for; they leave the patch."""
    found = {key: patch.pop(key) for key in list(patch) if key.startswith(prefix)}
    return {key.removeprefix(prefix): value for key, value in found.items()}


def _ordered(merged: list[Any], order: list[Any], key: str) -> list[Any]:
    """A list in the order that is asked for; what the patch does not know stays before what it stood before."""
    wanted = [one.get(key) if isinstance(one, dict) else one for one in order]

    def name(one: Any) -> Any:
        return one.get(key) if isinstance(one, dict) else one

    known = iter(sorted((one for one in merged if name(one) in wanted), key=lambda one: wanted.index(name(one))))
    return list(_filled(merged, known, lambda one: name(one) in wanted))


def _filled(merged: list[Any], known: Iterator[Any], is_known: Callable[[Any], bool]) -> Iterator[Any]:
    for one in merged:
        yield next(known) if is_known(one) else one
