"""A record as an item, before it is parsed: what its id, its names and its values say by themselves.

Nothing here needs pydantic, so that the command lists records without importing it.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
TEAM_NAMESPACES = "hyperpod-ns-"  # what SageMaker names the namespace of a compute quota's team by
PAUSE_ID = "pause#all"
SIGNATURE = frozenset({"changed_by", "change"})  # the fields that say who wrote a record, not what it says
DEEPEST = 32  # levels of an attribute (DynamoDB quotas)
_LONGEST_NUMBER = 419  # bits of 126 digits (DynamoDB quotas, numbers)


def kind_of(item: Mapping[str, Any]) -> str:
    """The kind of a record, such as ``team``."""
    return str(item["id"]).partition("#")[0]


def name_of(item: Mapping[str, Any]) -> str:
    """The name of a record, such as ``vision``."""
    return str(item["id"]).partition("#")[2]


def is_name(name: object, longest: int = 63) -> bool:
    """Whether a record can have this name, a team's with ``longest`` 40; of any other there is nothing to look for."""
    return isinstance(name, str) and len(name) <= longest and bool(NAME.fullmatch(name))


def namespace_of(team: str) -> str:
    """The namespace that SageMaker makes for a team's compute quota, on each of its clusters."""
    return f"{TEAM_NAMESPACES}{team}"


def block_of(account: str) -> str:
    """The id of the record by which an account is blocked."""
    return f"block#{account}"


def enrolled(team: str) -> tuple[str, str] | None:
    """The enrollment and the account that a team's name stands for; None for a team with a record of its own."""
    match = re.fullmatch(r"(.+)-([0-9]{12})", team)
    return (match[1], match[2]) if match else None


def clusters_of(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """The clusters that a team's record names, however wrong the rest of it is."""
    written = fields.get("cluster")
    named = [row.get("cluster") for row in rows(written)] if isinstance(written, list) else [written]
    return tuple(dict.fromkeys(str(name) for name in named if is_name(name)))


def datasets_of(fields: Mapping[str, Any]) -> set[str]:
    """The datasets that a team's record names, however wrong the rest of it is."""
    grants = [grant for row in rows(fields.get("service_accounts")) for grant in rows(row.get("datasets"))]
    return {str(row["dataset"]) for row in (*rows(fields.get("file_systems")), *grants) if "dataset" in row}


def rows(value: object) -> list[Mapping[str, Any]]:
    """The lines of a list in a record, such as its members; none where nobody knows what it is."""
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []


def part(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A part of a record that has fields of its own, such as its quota; empty where nobody knows what it is."""
    value = fields.get(name)
    return value if isinstance(value, Mapping) else {}


def plain(value: Any, depth: int = 0) -> Any:
    """An item as DynamoDB returns it, with ordinary numbers, bytes and sorted sets: 2, 2.0 and Decimal('2.00') alike.

    What no item can hold, a number without end or a value below the deepest level, becomes what no field takes.
    """
    if depth > DEEPEST:
        return None
    match value:
        case Decimal() | int() if not isinstance(value, bool):
            return _number_or_text(value)
        case Mapping():
            return {str(key): plain(item, depth + 1) for key, item in value.items()}
        case set() | frozenset():
            return sorted((plain(item, depth + 1) for item in value), key=repr)  # binaries have no order of their own
        case list() | tuple():
            return [plain(item, depth + 1) for item in value]
        case _:  # boto3's Binary is no bytes, and str() of it is an error
            return bytes(value) if hasattr(value, "__bytes__") else value


def _number_or_text(value: Decimal | int) -> int | float | str:
    if isinstance(value, int):  # Python spells no number of more than 4,300 digits
        return value if value.bit_length() <= _LONGEST_NUMBER else "a number of more than 126 digits"
    if not value.is_finite() or value.adjusted() > 125:  # DynamoDB quotas, numbers
        return str(value)
    return int(value) if value == value.to_integral_value() else float(value)
