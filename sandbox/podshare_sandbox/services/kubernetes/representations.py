"""In which form an answer is sent: JSON or YAML, the object itself or a view of it.

Source: Kubernetes documentation, "Kubernetes API Concepts" (Alternate representations of resources, Receiving
resources as Tables). There is no protobuf, as of custom resources on a real cluster: a client that asks for nothing
else is refused, so that it falls back to JSON.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header, parse_options_header

from podshare_sandbox.front_door import Response
from podshare_sandbox.services.kubernetes import errors, tables
from podshare_sandbox.services.kubernetes.resources import Resource

Object = dict[str, Any]

JSON, YAML = "application/json", "application/yaml"
_MEDIA_TYPES = (JSON, YAML)
_META = "meta.k8s.io"
_META_VERSIONS = ("v1", "v1beta1")


@dataclass(frozen=True)
class Representation:
    """A media type, and the view of objects that the client wants: ``Table``, ``PartialObjectMetadata`` or none."""

    media_type: str = JSON
    view: str = ""
    view_version: str = ""
    include_object: str = "Metadata"

    def serialize(self, body: Object) -> bytes:
        """The body in the media type."""
        return yaml.safe_dump(body).encode() if self.media_type == YAML else json.dumps(body).encode()

    def of(self, resource: Resource, body: Object) -> Object:
        """The view of an object or a list; a Status is what it is."""
        if body.get("kind") == "Status" and body.get("apiVersion") == "v1":
            return body
        version = f"{_META}/{self.view_version}"
        if self.view == "Table":
            return {**tables.table(resource, body, self.include_object), "apiVersion": version}
        if self.view.startswith("PartialObjectMetadata"):
            return _metadata_of(body, version)
        return body

    def response(self, status: int, body: Object | str) -> Response:
        """An answer with a body; a text is plain."""
        if isinstance(body, str):
            return Response(status, {"Content-Type": "text/plain"}, body.encode())
        return Response(status, {"Content-Type": self.media_type}, self.serialize(body))

    def stream(self, pieces: Iterator[bytes]) -> Response:
        """An answer whose pieces come one after the other."""
        return Response(200, {"Content-Type": self.media_type}, pieces=pieces)

    def watched(self, resource: Resource) -> Callable[[Object], bytes]:
        """How the events of a watch are sent."""
        return lambda event: self.serialize(
            event if event["type"] in ("ERROR", "BOOKMARK") else {**event, "object": self.of(resource, event["object"])}
        )


def negotiate(accept: str, include_object: str = "") -> Representation:
    """The first form in an Accept header that there is. Raises 406 if there is none."""
    for value in parse_accept_header(accept or "*/*", MIMEAccept).values():
        media_type, parameters = parse_options_header(value)
        found = {"*/*": JSON, "application/*": JSON}.get(media_type, media_type)
        view, version = parameters.get("as", ""), parameters.get("v", "")
        if found in _MEDIA_TYPES and (not view or _is_served(view, parameters.get("g", ""), version)):
            return Representation(found, view, version, include_object or "Metadata")
    raise errors.not_acceptable(_MEDIA_TYPES)


def _is_served(view: str, group: str, version: str) -> bool:
    views = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")
    return view in views and group == _META and version in _META_VERSIONS


def _metadata_of(body: Object, version: str) -> Object:
    """Of an object or a list its metadata alone."""
    if "items" in body:
        items = [_metadata_of(item, version) for item in body["items"]]
        return {
            "kind": "PartialObjectMetadataList", "apiVersion": version, "metadata": body["metadata"], "items": items
        }  # fmt: skip
    return {"kind": "PartialObjectMetadata", "apiVersion": version, "metadata": body["metadata"]}
