"""Renders examples/notifications/schema-registry.yaml: the schemas of podshare's events for EventBridge's registry."""

import json
from typing import Any

import yaml

from podshare.reconcile.notices import TYPES, Notice
from tests.docs.events_schema import schema_of
from tests.docs.pages import ROOT

PAGE = ROOT / "examples" / "notifications" / "schema-registry.yaml"
_DESCRIPTION = "The schemas of podshare's events, for code bindings and validation. Deploy it in the hub's account."
_TEXT = {"type": "string"}
# Amazon EventBridge User Guide, "AWS service event metadata"
_ENVELOPE: dict[str, Any] = {
    **dict.fromkeys(("version", "id", "account", "region"), _TEXT),
    "time": {"type": "string", "format": "date-time"},
    "resources": {"type": "array", "items": _TEXT},
}


def page() -> str:
    """The whole template."""
    registry = {"Type": "AWS::EventSchemas::Registry", "Properties": {"RegistryName": "podshare"}}
    schemas = {kind.__name__: _resource(kind) for kind in TYPES}
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": _DESCRIPTION,
        "Resources": {"Registry": registry, **schemas},
    }
    return "# written by `make golden` from the types of podshare's events\n" + yaml.safe_dump(
        template, sort_keys=False, width=120
    )


def _resource(kind: type[Notice]) -> dict[str, Any]:
    content = json.dumps(event_schema(kind), separators=(",", ":"))
    properties = {
        "RegistryName": "podshare",
        "SchemaName": schema_name(kind.detail_type),
        "Type": "JSONSchemaDraft4",
        "Content": content,
    }
    return {"Type": "AWS::EventSchemas::Schema", "DependsOn": "Registry", "Properties": properties}


def schema_name(detail_type: str) -> str:
    """The name of an event's schema, as EventBridge names what it discovers."""
    return f"podshare@{detail_type.replace(' ', '')}"


def event_schema(kind: type[Notice]) -> dict[str, Any]:
    """The schema of the whole event as a rule's target gets it."""
    detail = schema_of(kind)
    draft, definitions = detail.pop("$schema"), detail.pop("definitions")
    own = {"source": {"enum": ["podshare"]}, "detail-type": {"enum": [kind.detail_type]}, "detail": detail}
    return {
        "$schema": draft,
        "title": kind.detail_type,
        "type": "object",
        "properties": {**_ENVELOPE, **own},
        "required": [*_ENVELOPE, *own],
        "definitions": definitions,
    }
