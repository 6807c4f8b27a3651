"""Objects in Kubernetes' protobuf, in which Go clients send Kubernetes' own kinds: ``kubectl create job`` does.

Sources: "Kubernetes Protobuf encoding" of "Kubernetes API Concepts" for the envelope, protobuf's "Encoding" for the
rest. The messages' fields are in ``fields.json``: see :mod:`.__main__`. Answers are JSON always.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from podshare_sandbox.services.kubernetes import errors

Object = dict[str, Any]

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
FIELDS = Path(__file__).with_name("fields.json")
SCALARS = {"string", "bool", "int32", "int64", "bytes", "float64"}
SPECIAL = {"Time", "MicroTime", "Quantity", "IntOrString", "RawExtension", "FieldsV1", "ExtraValue"}
_MAGIC = b"k8s\x00"
_VARINT, _FIXED64, _DELIMITED, _FIXED32 = 0, 1, 2, 5  # wire types


class _MalformedError(Exception):
    """Bytes that are no message of this kind."""


def packages() -> Mapping[str, str]:
    """The packages whose messages are known, with the folders of their Go types."""
    groups = ("admissionregistration", "apps", "authentication", "authorization", "batch", "core", "networking", "rbac")
    return {"meta/v1": "pkg/apis/meta/v1", **{f"{group}/v1": f"{group}/v1" for group in groups}}


def decode(data: bytes) -> Object:
    """The object in an envelope. Raises 400 for what cannot be read, or has fields that are unknown here.

    Raises 415 for kinds that are no messages, which custom resources never are.
    """
    if not data.startswith(_MAGIC):
        raise errors.bad_request("provided data does not appear to be a protobuf message, expected prefix k8s")
    try:
        envelope = dict(_wire(data.removeprefix(_MAGIC)))
        meta = {number: value.decode() for number, value in _wire(envelope.get(1, b""))}
        api_version, kind = meta.get(1, ""), meta.get(2, "")
        return {"apiVersion": api_version, "kind": kind, **_message(_name(api_version, kind), envelope.get(2, b""))}
    except (_MalformedError, ValueError, AttributeError, TypeError) as error:
        raise errors.bad_request(f"the object provided is unrecognized: {error}") from None


def _name(api_version: str, kind: str) -> str:
    group = api_version.rpartition("/")[0]
    name = f"{group.split('.', maxsplit=1)[0] or 'core'}/v1.{kind}"
    for known in (name, f"meta/v1.{kind}"):
        if known in _fields():
            return known
    raise errors.unsupported_media_type(("application/json", "application/yaml"))


@cache
def _fields() -> dict[str, dict[int, tuple[str, str]]]:
    """The JSON names and types of messages' fields by their numbers; a field that is inlined has no name."""
    read = json.loads(FIELDS.read_text())
    return {
        message: {number: ("" if name.startswith("inline ") else name, kind) for name, (number, kind) in fields.items()}
        for message, fields in read.items()
    }


def _wire(data: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a message in their order: number, and an integer or bytes."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _VARINT:
            value, position = _varint(data, position)
            yield number, value
            continue
        if wire_type == _DELIMITED:
            length, position = _varint(data, position)
        else:
            length = {_FIXED64: 8, _FIXED32: 4}.get(wire_type, -1)
        if not 0 <= length <= len(data) - position:
            raise _MalformedError("unexpected end of a protobuf message")
        yield number, data[position : position + length]
        position += length


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data) and shift < 64:
        byte = data[position]
        position, value, shift = position + 1, value | (byte & 0x7F) << shift, shift + 7
        if not byte & 0x80:
            return value, position
    raise _MalformedError("a protobuf integer has no end")


def _message(name: str, data: bytes) -> Object:
    found: Object = {}
    for number, raw in _wire(data):
        if number not in _fields()[name]:
            raise _MalformedError(f"{name} has no field {number} here")
        field, kind = _fields()[name][number]
        if kind.startswith("[]"):
            found.setdefault(field, []).append(_value(kind[2:], raw))
        elif kind.startswith("map:"):
            entry = dict(_wire(raw))
            found.setdefault(field, {})[entry.get(1, b"").decode()] = _value(kind[4:], entry.get(2, _empty(kind[4:])))
        elif not field:
            found |= _value(kind.lstrip("*"), raw)
        elif (value := _value(kind.lstrip("*"), raw)) is not None and (kind.startswith("*") or not _is_zero(value)):
            found[field] = value
    return found


def _empty(kind: str) -> bytes | int:
    return 0 if kind in ("bool", "int32", "int64") else b""


def _is_zero(value: Any) -> bool:
    """Whether JSON leaves a field out that cannot be absent in protobuf: Go's ``omitempty``."""
    return isinstance(value, str | bool | int) and not value


def _value(kind: str, raw: Any) -> Any:
    if kind in SPECIAL:
        return _special(kind, dict(_wire(raw)), raw)
    if kind not in SCALARS:
        return _message(kind, raw)
    if kind == "bytes":
        return base64.b64encode(raw).decode()
    if kind == "string":
        return raw.decode()
    if kind == "bool":
        return bool(raw)
    return raw - (1 << 64) if raw >= 1 << 63 else raw  # negative integers are two's complements of 64 bits


def _special(kind: str, parts: Mapping[int, Any], raw: bytes) -> Any:
    """The kinds that are messages in protobuf and something else in JSON."""
    if kind in ("Time", "MicroTime"):
        seconds = parts.get(1)
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds else None
    if kind == "Quantity":
        return parts.get(1, b"0").decode()
    if kind == "IntOrString":
        return parts.get(3, b"").decode() if parts.get(1) else _value("int32", parts.get(2, 0))
    if kind == "ExtraValue":
        return [one.decode() for _, one in _wire(raw)]
    return json.loads(parts[1]) if parts.get(1) else None
