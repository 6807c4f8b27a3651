"""OpenAPI v2 and v3 documents of what the API serves, from which clients learn kinds, fields and options.

Kubernetes documentation, "The Kubernetes API" (OpenAPI interface definition). Both are JSON; a client that takes
protobuf alone is refused.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from werkzeug.http import parse_accept_header

from podshare_sandbox.front_door import Response
from podshare_sandbox.services.kubernetes import custom_resources, definitions, errors
from podshare_sandbox.services.kubernetes.representations import JSON
from podshare_sandbox.services.kubernetes.resources import RESOURCES, Resource

Object = dict[str, Any]

_V2_TYPES = (JSON, "application/com.github.proto-openapi.spec.v2@v1.0+json")
_V3_TYPES = (JSON, "application/com.github.proto-openapi.spec.v3@v1.0+json")
_META = "io.k8s.apimachinery.pkg.apis.meta.v1"
_PATCHES = (
    "application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)  # fmt: skip
_LISTED = (
    "allowWatchBookmarks:boolean", "continue:string", "fieldSelector:string", "labelSelector:string", "limit:integer",
    "resourceVersion:string", "resourceVersionMatch:string", "sendInitialEvents:boolean", "timeoutSeconds:integer",
    "watch:boolean",
)  # fmt: skip
_WRITTEN = ("dryRun:string", "fieldManager:string", "fieldValidation:string")
_DELETED = (
    "dryRun:string", "gracePeriodSeconds:integer", "ignoreStoreReadErrorWithClusterBreakingPotential:boolean",
    "orphanDependents:boolean", "propagationPolicy:string",
)  # fmt: skip
# verb -> method, the action in the operation's extension, and its options
_OPERATIONS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "list": ("get", "list", _LISTED),
    "create": ("post", "post", _WRITTEN),
    "deletecollection": ("delete", "deletecollection", (*_DELETED, *_LISTED)),
    "get": ("get", "get", ()),
    "update": ("put", "put", _WRITTEN),
    "patch": ("patch", "patch", (*_WRITTEN, "force:boolean")),
    "delete": ("delete", "delete", _DELETED),
}
_OF_COLLECTIONS = ("list", "create", "deletecollection")
_OF_OBJECTS = ("get", "update", "patch", "delete")


def response(path: str, version: str, accept: str) -> Response | None:
    """The document at ``path`` on a cluster of Kubernetes ``version``, None if there is none. Raises 406."""
    offered = _V2_TYPES if path == "/openapi/v2" else _V3_TYPES
    accepted = list(parse_accept_header(accept or "*/*"))
    if not any(kind in ("*/*", "application/*", *offered) for kind, _ in accepted):
        raise errors.not_acceptable(offered)
    document = _document(path, version)
    if document is None:
        return None
    return Response(200, {"Content-Type": JSON, "Vary": "Accept", "Etag": f'"{_hash(document)}"'}, document)


@cache
def _document(path: str, version: str) -> bytes | None:
    if path == "/openapi/v2":
        document = _v2(version)
    elif path == "/openapi/v3":
        document = _index(version)
    else:
        served = path.removeprefix("/openapi/v3/")
        group_version = next((each for each in _group_versions() if _root(*each)[1:] == served), None)
        if group_version is None:
            return None
        document = _v3(version, *group_version)
    return json.dumps(document).encode()


def _hash(document: bytes) -> str:
    return hashlib.sha512(document).hexdigest().upper()


def _index(version: str) -> Object:
    paths = {}
    for group_version in _group_versions():
        url = f"/openapi/v3{_root(*group_version)}"
        paths[_root(*group_version)[1:]] = {"serverRelativeURL": f"{url}?hash={_hash(_document(url, version) or b'')}"}
    return {"paths": paths}


def _group_versions() -> list[tuple[str, str]]:
    return list(dict.fromkeys((resource.group, resource.version) for resource in RESOURCES))


def _root(group: str, version: str) -> str:
    return f"/apis/{group}/{version}" if group else f"/api/{version}"


def _info(version: str) -> Object:
    return {"title": "Kubernetes", "version": f"v{version}.0"}


def _v3(version: str, group: str, api_version: str) -> Object:
    served = [each for each in RESOURCES if (each.group, each.version) == (group, api_version)]
    schemas = _schemas(version, served)
    return {
        "openapi": "3.0.0",
        "info": _info(version),
        "paths": dict(path for resource in served for path in _paths(version, resource)),
        "components": {"schemas": {name: _v3_schema(schema) for name, schema in schemas.items()}},
    }


def _v2(version: str) -> Object:
    paths = dict(path for resource in RESOURCES for path in _paths(version, resource))
    schemas = _schemas(version, RESOURCES)
    return {
        "swagger": "2.0",
        "info": _info(version),
        "paths": {path: _v2_item(item) for path, item in paths.items()},
        "definitions": {name: _pointed(schema, "#/definitions/") for name, schema in schemas.items()},
    }


# --- schemas ------------------------------------------------------------------------------------------------------


def _schemas(version: str, served: Iterable[Resource]) -> dict[str, Object]:
    """The schemas of kinds and of their lists, with all to which they refer."""
    known = {**definitions.definitions(version), **custom_resources.definitions()}
    wanted = [name for resource in served for name in (_name(version, resource), _list_name(version, resource))]
    wanted += [f"{_META}.{name}" for name in ("DeleteOptions", "Patch", "Status")]
    found: dict[str, Object] = {}
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = known[name]
            wanted.extend(definitions.references(found[name]))
    return dict(sorted(found.items()))


def _name(version: str, resource: Resource) -> str:
    own = definitions.name_of(version, resource.group, resource.version, resource.kind)
    return own or custom_resources.name_of(resource)


def _list_name(version: str, resource: Resource) -> str:
    return f"{_name(version, resource)}List"


def _pointed(schema: Any, prefix: str) -> Any:
    """A schema whose references point into the document."""
    if isinstance(schema, list):
        return [_pointed(one, prefix) for one in schema]
    if not isinstance(schema, dict):
        return schema
    pointed = {key: _pointed(value, prefix) for key, value in schema.items()}
    if isinstance(schema.get("$ref"), str):
        pointed["$ref"] = prefix + schema["$ref"]
    return pointed


def _v3_schema(schema: Any) -> Any:
    """A schema of OpenAPI v3, where nothing may stand beside a reference."""
    if isinstance(schema, list):
        return [_v3_schema(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    converted = {key: _v3_schema(value) for key, value in schema.items() if key != "$ref" or isinstance(value, dict)}
    if isinstance(schema.get("$ref"), str):
        reference = {"$ref": f"#/components/schemas/{schema['$ref']}"}
        return {"allOf": [reference], **converted} if converted else reference
    return converted


# --- paths --------------------------------------------------------------------------------------------------------


def _paths(version: str, resource: Resource) -> Iterator[tuple[str, Object]]:
    root = _root(resource.group, resource.version)
    name, namespace = _in_path("name"), _in_path("namespace")
    inside, scope = (f"{root}/namespaces/{{namespace}}", [namespace]) if resource.namespaced else (root, [])
    collection = f"{inside}/{resource.plural}"
    if resource.namespaced:
        yield f"{root}/{resource.plural}", _item(version, resource, ("list",), [])
    yield collection, _item(version, resource, _OF_COLLECTIONS, scope)
    yield f"{collection}/{{name}}", _item(version, resource, _OF_OBJECTS, [name, *scope])


def _in_path(name: str) -> Object:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "uniqueItems": True}}


def _item(version: str, resource: Resource, verbs: Iterable[str], parameters: list[Object]) -> Object:
    served = [_OPERATIONS[verb][0] for verb in verbs if verb in resource.verbs]
    operations = (_operation(version, resource, verb) for verb in verbs if verb in resource.verbs)
    return {**dict(zip(served, operations, strict=True)), "parameters": parameters}


def _operation(version: str, resource: Resource, verb: str) -> Object:
    _, action, options = _OPERATIONS[verb]
    answered = _list_name(version, resource) if verb == "list" else _name(version, resource)
    if verb in ("delete", "deletecollection"):
        answered = f"{_META}.Status"
    operation: Object = {
        "operationId": f"{verb}{resource.group.title().replace('.', '')}{resource.version.title()}{resource.kind}",
        "x-kubernetes-action": action,
        definitions.KINDS: {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "parameters": [_option(*option.split(":")) for option in options],
        "responses": {
            "200": {"description": "OK", "content": _content(answered, (JSON,))},
            "401": {"description": "Unauthorized"},
        },
    }
    if verb in ("create", "update"):
        operation["requestBody"] = {"content": _content(_name(version, resource), ("*/*",)), "required": True}
    if verb == "patch":
        operation["requestBody"] = {"content": _content(f"{_META}.Patch", _PATCHES), "required": True}
    if verb in ("delete", "deletecollection"):
        operation["requestBody"] = {"content": _content(f"{_META}.DeleteOptions", ("*/*",))}
    return operation


def _option(name: str, kind: str) -> Object:
    return {"name": name, "in": "query", "schema": {"type": kind, "uniqueItems": True}}


def _content(name: str, media_types: Iterable[str]) -> Object:
    return {media_type: {"schema": {"$ref": f"#/components/schemas/{name}"}} for media_type in media_types}


def _v2_item(item: Object) -> Object:
    """A path of OpenAPI v2, where bodies are parameters."""
    return {
        key: [_v2_parameter(each) for each in value] if key == "parameters" else _v2_operation(value)
        for key, value in item.items()
    }


def _v2_operation(operation: Object) -> Object:
    converted = {key: value for key, value in operation.items() if key != "requestBody"}
    converted["parameters"] = [_v2_parameter(each) for each in operation["parameters"]]
    converted["produces"] = [JSON]
    if body := operation.get("requestBody"):
        converted["consumes"] = list(body["content"])
        schema = _v2_reference(body["content"])
        converted["parameters"].append({"name": "body", "in": "body", "required": "required" in body, "schema": schema})
    converted["responses"] = {
        code: {"description": answer["description"], "schema": _v2_reference(answer["content"])}
        if "content" in answer
        else answer
        for code, answer in operation["responses"].items()
    }
    return converted


def _v2_reference(content: Object) -> Object:
    reference = str(next(iter(content.values()))["schema"]["$ref"])
    return {"$ref": reference.replace("#/components/schemas/", "#/definitions/")}


def _v2_parameter(parameter: Object) -> Object:
    return {**{key: value for key, value in parameter.items() if key != "schema"}, **parameter["schema"]}
