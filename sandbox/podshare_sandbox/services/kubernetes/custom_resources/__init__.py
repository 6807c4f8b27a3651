"""The definitions of the custom resources that HyperPod's add-ons install, as the apiextensions API serves them.

Their schemas are those of the operators, without descriptions and with the kinds that they take from Kubernetes: see
the files beside this module. They are served, published and explained; objects are not held against them. Making other
definitions is not emulated.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

import yaml

from podshare_sandbox.services.kubernetes import definitions as own
from podshare_sandbox.services.kubernetes.resources import DEFINITION, RESOURCES, Resource

Object = dict[str, Any]

_META = "io.k8s.apimachinery.pkg.apis.meta.v1"
_GENERATED_WITH = "1.33"  # the version of Kubernetes from which the operators have the kinds that they embed
_NUMBER_OR_TEXT = {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}


def name_of(resource: Resource) -> str:
    """The name of a kind's definition in OpenAPI documents: its group backwards, version and kind."""
    return ".".join([*reversed(resource.group.split(".")), resource.version, resource.kind])


@cache
def manifests() -> tuple[Object, ...]:
    """The CustomResourceDefinitions, established as the API server has them once their names are accepted."""
    served = {(each.group, each.version, each.kind): each for each in RESOURCES}
    return tuple(
        _manifest(served[group["group"], group["version"], kind["kind"]], group, kind)
        for group in _groups()
        for kind in group["kinds"]
    )


def _groups() -> Iterator[Object]:
    for file in sorted(resources.files(__name__).iterdir(), key=lambda each: each.name):
        if file.name.endswith(".yaml"):
            yield from yaml.safe_load(file.read_text())


def _manifest(resource: Resource, group: Object, kind: Object) -> Object:
    names = {
        "kind": resource.kind,
        "listKind": f"{resource.kind}List",
        "plural": resource.plural,
        "singular": resource.kind.lower(),
        **({"shortNames": kind["shortNames"]} if "shortNames" in kind else {}),
    }
    columns = kind.get("columns", group["columns"])
    version = {
        "name": resource.version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _schema(kind)},
        **({"additionalPrinterColumns": columns} if columns else {}),
        **({"subresources": {"status": {}}} if resource.has_status else {}),
    }
    accepted = {"type": "NamesAccepted", "status": "True", "reason": "NoConflicts", "message": "no conflicts found"}
    established = {"type": "Established", "status": "True", "reason": "InitialNamesAccepted"}
    return {
        "apiVersion": DEFINITION.api_version,
        "kind": DEFINITION.kind,
        "metadata": {"name": resource.qualified},
        "spec": {
            "group": resource.group,
            "names": names,
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "versions": [version],
            "conversion": {"strategy": "None"},
        },
        "status": {
            "acceptedNames": names,
            "conditions": [accepted, {**established, "message": "the initial names have been accepted"}],
            "storedVersions": [resource.version],
        },
    }


def _schema(kind: Object) -> Object:
    status = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    fields = {"spec": kind["spec"], "status": status} if "spec" in kind else kind["fields"]
    known = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}
    schema: Object = _inlined({"type": "object", "properties": {**known, **fields}})
    return schema | ({"required": kind["required"]} if "required" in kind else {})


def _inlined(schema: Any) -> Any:
    """A schema with what it refers to in place, as structural schemas have it, and without descriptions."""
    if isinstance(schema, list):
        return [_inlined(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    reference = schema.get("$ref")
    if isinstance(reference, str):
        if reference.endswith((".Quantity", ".IntOrString")):
            return dict(_NUMBER_OR_TEXT)
        return _inlined(own.definitions(_GENERATED_WITH)[reference])
    left_out = ("x-kubernetes-patch-merge-key", "x-kubernetes-patch-strategy", own.KINDS)
    return {
        key: _inlined(value)
        for key, value in schema.items()
        if key not in left_out and not (key == "description" and isinstance(value, str))
    }


@cache
def definitions() -> Mapping[str, Object]:
    """The definitions of custom resources and of their lists, as OpenAPI documents have them."""
    found: dict[str, Object] = {}
    for manifest in manifests():
        spec, version = manifest["spec"], manifest["spec"]["versions"][0]
        kind = {"group": spec["group"], "version": version["name"], "kind": spec["names"]["kind"]}
        name = ".".join([*reversed(spec["group"].split(".")), version["name"], kind["kind"]])
        schema = version["schema"]["openAPIV3Schema"]
        properties = {**schema["properties"], "metadata": {"$ref": f"{_META}.ObjectMeta"}}
        found[name] = {**schema, "properties": properties, own.KINDS: [kind]}
        found[f"{name}List"] = {
            "type": "object",
            "required": ["items"],
            "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": {"$ref": f"{_META}.ListMeta"},
                "items": {"type": "array", "items": {"$ref": name}},
            },
            own.KINDS: [{**kind, "kind": f"{kind['kind']}List"}],
        }
    return found
