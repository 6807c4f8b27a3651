"""Requests that break their operation's model in one place each, generated from botocore's models.

``violations`` gives the parameters; a client whose own validation is off sends them (``unchecked_client``), and
``answer`` tells what came back: a modelled refusal, acceptance, or something that no SDK can read.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import botocore.exceptions
from botocore.config import Config
from botocore.model import ListShape, MapShape, OperationModel, Shape, StringShape, StructureShape

from podshare_sandbox.moto_extension import python_pattern
from tests.conformance.texts import can_be_found, fitting

_DEEPEST = 4  # levels of nested parameters
_LONGEST = 100_000  # characters that are made up to break a length
_SMALLEST = {"boolean": True, "blob": b"podshare", "timestamp": "2030-01-01T00:00:00Z"}
_NUMBERS = {"integer", "long", "float", "double"}
_ODD = " \u00e9#\u20ac"  # fits few patterns
_TEXT = "podshare-test"


@dataclass(frozen=True)
class Violation:
    """One broken rule: its kind (required, min, max, pattern, enum, type), where, and the whole request."""

    kind: str
    path: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """``status`` of HTTP, None where the connection was cut; ``code`` of the error, empty where there is none."""

    status: int | None
    code: str
    message: str

    @property
    def is_refusal(self) -> bool:
        """A client's error that an SDK can read."""
        return self.status is not None and 400 <= self.status < 500 and bool(self.code) and not self.code.isdigit()

    @property
    def is_readable(self) -> bool:
        """An answer that an SDK understands, be it a fault of the sandbox."""
        return self.status is not None and (self.status < 400 or (bool(self.code) and not self.code.isdigit()))

    @property
    def is_fault(self) -> bool:
        """An error of the sandbox itself; operations that it does not emulate are not counted."""
        return self.status is None or (self.status >= 500 and "NotImplementedError" not in self.message)


def minimal(shape: Shape, depth: int = 0) -> Any:
    """The smallest value of ``shape``: required members alone, lists and maps as short as they may be."""
    limits = shape.metadata
    match shape:
        case StructureShape():
            has_members = not shape.is_document_type and depth <= _DEEPEST
            required = shape.required_members if has_members else []
            value: Any = {name: minimal(shape.members[name], depth + 1) for name in required}
        case ListShape():
            value = [minimal(shape.member, depth + 1)] * max(1, limits.get("min", 0))
        case MapShape():
            value = {minimal(shape.key): minimal(shape.value, depth + 1)}
        case StringShape():
            value = shape.enum[0] if shape.enum else _text(limits)
        case _:
            value = _SMALLEST.get(shape.type_name, limits.get("min", 1))
    return value


def _sizes(limits: Mapping[str, Any]) -> tuple[int, int]:
    return limits.get("min", 0), limits.get("max", _LONGEST)


def _text(limits: Mapping[str, Any]) -> str:
    if "pattern" in limits and can_be_found(limits["pattern"], *(sizes := _sizes(limits))):
        return fitting(limits["pattern"], *sizes)
    text = _TEXT.ljust(limits.get("min", 0), "a")
    return text[: limits.get("max", len(text))]


def violations(operation: OperationModel) -> Iterator[Violation]:
    """All requests of ``operation`` that break one rule of its input each, up to a depth of nested parameters."""
    shape = operation.input_shape
    if shape is None:
        return
    whole = minimal(shape)
    for kind, path, broken in _broken(shape, whole, "", 0):
        yield Violation(kind, path, broken)


def _broken(shape: Shape, value: Any, path: str, depth: int) -> Iterator[tuple[str, str, Any]]:
    if depth > _DEEPEST:
        return
    yield from ((kind, path, wrong) for kind, wrong in _wrong_values(shape, value))
    match shape:
        case StructureShape() if not shape.is_document_type:
            for name in shape.required_members:
                yield (
                    "required",
                    f"{path}.{name}".lstrip("."),
                    {key: each for key, each in value.items() if key != name},
                )
            for name, member in shape.members.items():
                inner = value.get(name, minimal(member, depth + 1)) if isinstance(value, dict) else minimal(member)
                for kind, where, wrong in _broken(member, inner, f"{path}.{name}".lstrip("."), depth + 1):
                    yield kind, where, {**value, name: wrong}
        case ListShape():
            for kind, where, wrong in _broken(shape.member, minimal(shape.member, depth + 1), f"{path}[]", depth + 1):
                yield kind, where, [wrong]
        case MapShape():
            for kind, where, wrong in _broken(shape.value, minimal(shape.value, depth + 1), f"{path}{{}}", depth + 1):
                yield kind, where, {minimal(shape.key): wrong}


def _wrong_values(shape: Shape, value: Any) -> Iterator[tuple[str, Any]]:
    limits = shape.metadata
    match shape:
        case StringShape():
            yield from _wrong_texts(shape, value)
        case ListShape():
            if limits.get("min", 0) > 0:
                yield "min", []
            if limits.get("max", _LONGEST) < 1000:
                yield "max", [minimal(shape.member)] * (limits["max"] + 1)
            if isinstance(shape.member, StructureShape | ListShape | MapShape):  # botocore makes a list of any text
                yield "type", "text"
        case MapShape() | StructureShape():
            yield "type", "text"
    if shape.type_name in _NUMBERS:
        if "min" in limits:
            yield "min", limits["min"] - 1
        if "max" in limits:
            yield "max", limits["max"] + 1
        yield "type", "text"
    if shape.type_name == "boolean":
        yield "type", "text"


def _wrong_texts(shape: StringShape, value: Any) -> Iterator[tuple[str, Any]]:
    limits = shape.metadata
    if limits.get("min", 0) > 0:
        yield "min", "a" * (limits["min"] - 1)
    if limits.get("max", _LONGEST) < _LONGEST:
        yield "max", (value or "a") + "a" * limits["max"]
    if "pattern" in limits and not python_pattern(limits["pattern"]).fullmatch(_ODD):
        yield "pattern", _ODD
    if shape.enum:
        yield "enum", "NO_SUCH_VALUE"
    yield "type", {"no": "text"}


def unchecked_client(session: Any, service: str, **more: Any) -> Any:
    """A client that sends what its own validation would keep back, once."""
    config = Config(parameter_validation=False, retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20)
    return session.client(service, config=config, **more)


def answer(client: Any, operation: str, parameters: Mapping[str, Any]) -> Answer | None:
    """What the sandbox answers; None where botocore cannot put the parameters into a request at all."""
    try:
        response = client._make_api_call(operation, dict(parameters))
    except botocore.exceptions.ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        has_body = client.meta.service_model.operation_model(operation).http["method"] != "HEAD"
        code = error.response["Error"].get("Code", "") if has_body else "NoBody"
        return Answer(status, code, error.response["Error"].get("Message", ""))
    except (botocore.exceptions.HTTPClientError, botocore.parsers.ResponseParserError) as error:
        return Answer(None, type(error).__name__, str(error))
    except Exception:
        return None
    return Answer(response["ResponseMetadata"]["HTTPStatusCode"], "", "")
