"""What validation finds wrong with fields, in the API server's words (``field.Error`` of Kubernetes' apimachinery)."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Problem:
    """A field and what is wrong with it; ``reason`` is that of the cause in a Status."""

    field: str
    reason: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"

    def cause(self) -> dict[str, str]:
        """The problem as a StatusCause."""
        return {"reason": self.reason, "message": self.message, "field": self.field}


def required(field: str, detail: str = "") -> Problem:
    """A field that is missing or empty."""
    return Problem(field, "FieldValueRequired", f"Required value{f': {detail}' if detail else ''}")


def invalid(field: str, value: Any, detail: str) -> Problem:
    """A value that breaks a rule."""
    return Problem(field, "FieldValueInvalid", f"Invalid value: {json.dumps(value)}: {detail}")


def immutable(field: str, value: Any, detail: str = "field is immutable") -> Problem:
    """A value that differs from the one that can never be changed."""
    return invalid(field, value, detail)


def forbidden(field: str, detail: str) -> Problem:
    """A field that may not be set, or not be changed, here."""
    return Problem(field, "FieldValueForbidden", f"Forbidden: {detail}")


def unsupported(field: str, value: Any, supported: Iterable[str]) -> Problem:
    """A value that is none of a list."""
    listed = ", ".join(f'"{one}"' for one in supported)
    return Problem(
        field, "FieldValueNotSupported", f"Unsupported value: {json.dumps(value)}: supported values: {listed}"
    )


def duplicate(field: str, value: Any) -> Problem:
    """A value that is in a list twice."""
    return Problem(field, "FieldValueDuplicate", f"Duplicate value: {json.dumps(value)}")


def too_long(field: str, longest: int) -> Problem:
    """A value with too many bytes."""
    return Problem(field, "FieldValueTooLong", f"Too long: may not be more than {longest} bytes")
