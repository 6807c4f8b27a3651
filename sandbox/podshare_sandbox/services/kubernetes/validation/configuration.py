"""ConfigMaps and Secrets (``ValidateConfigMap…`` and ``ValidateSecret…`` of ``pkg/apis/core/validation``)."""

import base64
import re
from collections.abc import Iterator
from typing import Any

from podshare_sandbox.services.kubernetes.field_problems import Problem, forbidden, immutable, invalid, too_long
from podshare_sandbox.services.kubernetes.resources import Resource

Object = dict[str, Any]

MAX_SIZE = 1024 * 1024  # bytes of all values
_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_KEY_PROBLEM = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  "
    "or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
_FIELDS = {"ConfigMap": ("data", "binaryData"), "Secret": ("data",)}


def fill_in(resource: Resource, candidate: Object) -> None:
    """Write what a Secret says in plain text among its data, and set its type."""
    if resource.kind != "Secret":
        return
    plain = candidate.pop("stringData", None) or {}
    if plain:
        encoded = {key: base64.b64encode(str(text).encode()).decode() for key, text in plain.items()}
        candidate["data"] = {**(candidate.get("data") or {}), **encoded}
    candidate.setdefault("type", "Opaque")


def problems(resource: Resource, candidate: Object, before: Object | None) -> Iterator[Problem]:
    """What is wrong with a ConfigMap or a Secret, or with its change."""
    values = [(field, candidate.get(field) or {}) for field in _FIELDS[resource.kind]]
    for field, each in values:
        yield from (invalid(f"{field}[{key}]", key, why) for key in each if (why := _key_violation(key)))
    for key in set(candidate.get("data") or ()) & set(candidate.get("binaryData") or ()):
        yield invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
    if sum(len(str(value).encode()) for _, each in values for value in each.values()) > MAX_SIZE:
        yield too_long("", MAX_SIZE)
    if before is None:
        return
    if resource.kind == "Secret" and candidate.get("type") != before.get("type"):
        yield immutable("type", candidate.get("type"))
    if before.get("immutable"):
        changed = [field for field, each in values if each != (before.get(field) or {})]
        changed += ["immutable"] if not candidate.get("immutable") else []
        yield from (forbidden(field, "field is immutable when `immutable` is set") for field in sorted(changed))


def _key_violation(key: str) -> str | None:
    if len(key) > 253:
        return "must be no more than 253 bytes"
    if key == ".":
        return "must not be '.'"
    if key.startswith(".."):
        return "must not start with '..'"
    return None if _KEY.fullmatch(key) else _KEY_PROBLEM
