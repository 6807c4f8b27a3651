"""Renders docs/podshare-events.json: a JSON Schema for the detail of each of podshare's events, by its type."""

import json
from typing import Any

from pydantic import TypeAdapter

from podshare.reconcile.notices import TYPES, Notice
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "podshare-events.json"
_DRAFT = "http://json-schema.org/draft-04/schema#"  # the one that EventBridge's schema registry takes


def page() -> str:
    """The whole file."""
    schemas = {kind.detail_type: schema_of(kind) for kind in TYPES}
    return json.dumps({"source": "podshare", "details": schemas}, indent=2, ensure_ascii=False) + "\n"


def schema_of(kind: type[Notice]) -> dict[str, Any]:
    """The schema of a type's detail, in itself complete."""
    schema = TypeAdapter(kind).json_schema(ref_template="#/definitions/{model}")
    for base in kind.__mro__[1:]:  # pydantic describes a class's own fields alone
        if issubclass(base, Notice):
            for name, described in TypeAdapter(base).json_schema()["properties"].items():
                schema["properties"][name] = {**described, **schema["properties"][name]}
    return {"$schema": _DRAFT, **{{"$defs": "definitions"}.get(name, name): value for name, value in schema.items()}}
