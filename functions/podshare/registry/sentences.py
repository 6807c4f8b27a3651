"""Numbers with their nouns, and a problem of a record in a line: the command prints them without importing pydantic."""

from collections.abc import Mapping
from typing import Any

UNKNOWN_FIELD = "unknown field"
ABSENT, FIELDS, LIST = "absent", "fields", "a list"
NO_VALUES = frozenset({ABSENT, FIELDS, LIST})
LONGEST_SHOWN = 60  # characters of a value inside a sentence


def counted(number: int, noun: str) -> str:
    """So many of something, such as "1 problem"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def sentence(problem: Mapping[str, Any]) -> str:
    """A problem in a line, without its record and remedy; the value once, if it is one that a line can hold."""
    field, value, rule = (str(problem.get(name, "")) for name in ("field", "value", "rule"))
    is_reported = rule == UNKNOWN_FIELD or value in NO_VALUES or value.strip("'")[:LONGEST_SHOWN] in rule
    return f"{field}: {rule}" if is_reported else f"{field} = {value}: {rule}"


def in_words(problem: Mapping[str, Any]) -> str:
    """Any problem in a line: one of a record has field, value and rule, any other says what."""
    return str(problem.get("what") or sentence(problem))
