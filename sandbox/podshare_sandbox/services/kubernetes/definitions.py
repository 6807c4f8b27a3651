"""The schemas of Kubernetes' own kinds, as its OpenAPI document defines them.

The package kubernetes-validate carries them for each version of Kubernetes, in the dialect of JSON Schema that
validators read; here they are put back into the form in which the API server publishes them.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

Object = dict[str, Any]

_PREFIX = "#/$defs/"
_INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
KINDS = "x-kubernetes-group-version-kind"


@cache
def definitions(version: str) -> Mapping[str, Object]:
    """The definitions of a version such as ``1.33``, by their names. Raises FileNotFoundError for an unknown one."""
    path = f"kubernetes-json-schema/v{version}.0-local/_definitions.json"
    published = json.loads(resources.files("kubernetes_validate").joinpath(path).read_text())["$defs"]
    found = {name: _restored(definition) for name, definition in published.items()}
    for definition in found.values():
        if KINDS in definition:
            for name in ("apiVersion", "kind"):  # the package narrows them to the kind
                definition.get("properties", {}).get(name, {}).pop("enum", None)
    found[_INT_OR_STRING] |= {"type": "string", "format": "int-or-string"}
    found[_QUANTITY] |= {"type": "string"}
    for name in (_INT_OR_STRING, _QUANTITY):
        found[name].pop("oneOf", None)
    return found


@cache
def name_of(version: str, group: str, api_version: str, kind: str) -> str | None:
    """The name of a kind's definition, None for a kind that is not Kubernetes' own."""
    wanted = {"group": group, "version": api_version, "kind": kind}
    return next((name for name, one in definitions(version).items() if one.get(KINDS) == [wanted]), None)


def _restored(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_restored(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    restored = {key: _restored(value) for key, value in schema.items()}
    if isinstance(restored.get("type"), list):
        restored["type"] = next(one for one in restored["type"] if one != "null")
    if isinstance(restored.get("$ref"), str):
        restored["$ref"] = restored["$ref"].removeprefix(_PREFIX)
    return restored


def references(schema: Any) -> Iterator[str]:
    """The names of the definitions that a schema refers to."""
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        for value in schema.values():
            yield from references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from references(value)
