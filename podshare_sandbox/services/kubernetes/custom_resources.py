"""The custom resources that HyperPod's add-ons and operators install."""

from collections.abc import Mapping
from typing import Any

from podshare_sandbox.services.kubernetes.definitions import KINDS
from podshare_sandbox.services.kubernetes.resources import RESOURCES, Resource

Object = dict[str, Any]
_META = "io.k8s.apimachinery.pkg.apis.meta.v1"


def name_of(resource: Resource) -> str:
    """The name of a kind's definition in OpenAPI documents: its group backwards, version and kind."""
    return ".".join([*reversed(resource.group.split(".")), resource.version, resource.kind])


def definitions() -> Mapping[str, Object]:
    """The definitions of custom resources and of their lists."""
    found = {}
    for resource in RESOURCES:
        if ("." in resource.group and not resource.group.endswith(".k8s.io")) or resource.group.endswith(".x-k8s.io"):
            gvk = {"group": resource.group, "version": resource.version, "kind": resource.kind}
            found[name_of(resource)] = {
                "type": "object",
                "x-kubernetes-preserve-unknown-fields": True,
                "properties": {
                    "apiVersion": {"type": "string"},
                    "kind": {"type": "string"},
                    "metadata": {"$ref": f"{_META}.ObjectMeta"},
                },
                KINDS: [gvk],
            }
            found[name_of(resource) + "List"] = {
                "type": "object",
                "properties": {"items": {"type": "array", "items": {"$ref": name_of(resource)}}},
                KINDS: [{**gvk, "kind": gvk["kind"] + "List"}],
            }
    return found
