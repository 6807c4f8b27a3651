"""From an item of the registry to the record in it, or to every problem that it has."""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from podshare.registry.problems import InvalidRecord, Problem
from podshare.registry.records import Approval, Block, Cluster, Dataset, Enrollment, Pause, Team
from podshare.registry.values import NAME, PATTERNS
from podshare.registry.wording import closest, faults

PAUSE_ID = "pause#all"
MOST_BYTES = 380_000  # of a record as it is kept once accepted: an item may have 400 KB (DynamoDB quotas)
_LONGEST_NUMBER = 419  # bits of 126 digits (DynamoDB quotas, numbers)
DEEPEST = 32  # levels of an attribute (DynamoDB quotas)

P = TypeVar("P", bound=BaseModel)
Record = Cluster | Dataset | Team | Enrollment | Approval | Block | Pause
MODELS: Mapping[str, type[Record]] = {
    "cluster": Cluster,
    "dataset": Dataset,
    "team": Team,
    "enrollment": Enrollment,
    "approval": Approval,
    "block": Block,
    "pause": Pause,
}


def kind_and_name(record_id: str) -> tuple[str, str]:
    """Split ``team#vision`` in two. Raises InvalidRecord for an id of no known kind."""
    kind, _, name = record_id.partition("#")
    if kind not in MODELS or not name:
        kinds = ", ".join(f"{kind}#NAME" for kind in MODELS)
        likely = closest(kind, MODELS) if name else ""
        remedy = f"Did you mean {likely}#{name}?" if likely else f"Use one of {kinds}."
        raise InvalidRecord([Problem(record_id, "id", record_id, "is not a record id; use KIND#NAME", remedy)])
    return kind, name


def is_name(name: object, longest: int = 63) -> bool:
    """Whether a record can have this name, a team's with ``longest`` 40; of any other there is nothing to look for."""
    return isinstance(name, str) and len(name) <= longest and bool(NAME.fullmatch(name))


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
    named = (
        [row.get("cluster") for row in written if isinstance(row, Mapping)] if isinstance(written, list) else [written]
    )
    return tuple(dict.fromkeys(str(name) for name in named if is_name(name)))


def datasets_of(fields: Mapping[str, Any]) -> set[str]:
    """The datasets that a team's record names, however wrong the rest of it is."""
    grants = [grant for row in _rows(fields.get("service_accounts")) for grant in _rows(row.get("datasets"))]
    return {str(row["dataset"]) for row in (*_rows(fields.get("file_systems")), *grants) if "dataset" in row}


def _rows(value: object) -> list[Mapping[str, Any]]:
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []


def plain(value: Any, depth: int = 0) -> Any:
    """An item as DynamoDB returns it, with ordinary numbers and sorted sets: 2, 2.0 and Decimal('2.00') alike.

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
        case _:
            return value


def _number_or_text(value: Decimal | int) -> int | float | str:
    if isinstance(value, int):  # Python spells no number of more than 4,300 digits
        return value if value.bit_length() <= _LONGEST_NUMBER else "a number of more than 126 digits"
    if not value.is_finite() or value.adjusted() > 125:  # DynamoDB quotas, numbers
        return str(value)
    return int(value) if value == value.to_integral_value() else float(value)


def parse(item: Mapping[str, Any], *, made_by_enrollment: bool = False) -> Record:
    """The record in a registry item (``id`` and its fields). Raises InvalidRecord with every problem found.

    ``made_by_enrollment``: the item was made from an enrollment, whose names no written record may have.
    """
    written_id = item.get("id", "")
    record_id = written_id if isinstance(written_id, str) else _shown(written_id)
    kind, name = kind_and_name(record_id)
    fields = {key: value for key, value in plain(item).items() if key not in ("id", "name")}
    problems = [*_misplaced_names(record_id, item, made_by_enrollment=made_by_enrollment)]
    try:
        record = MODELS[kind].model_validate({**fields, "name": name})
    except ValidationError as error:
        problems += _problems(record_id, MODELS[kind], error)
    if problems:
        raise InvalidRecord(problems)
    if (size := len(record.model_dump_json(by_alias=True).encode())) > MOST_BYTES:
        rule = f"has {size:,} bytes with all defaults written out, the limit is {MOST_BYTES:,}"
        raise InvalidRecord([Problem(record_id, "record", "too large", rule, "Split it.")])
    return record


def parse_team(item: Mapping[str, Any], *, made_by_enrollment: bool = False) -> Team:
    """The team in a registry item. Raises InvalidRecord, also for a record of another kind."""
    record = parse(item, made_by_enrollment=made_by_enrollment)
    if not isinstance(record, Team):
        raise InvalidRecord([Problem(str(item["id"]), "id", str(item["id"]), "is not a team", "Use team#<name>.")])
    return record


def understood(part: type[P], row: object) -> P | None:
    """The part of a record in ``row``, its unknown fields left out; None where the rest breaks a rule."""
    if not isinstance(row, Mapping):
        return None
    known = {field.alias or name for name, field in part.model_fields.items()}
    try:
        return part.model_validate({name: value for name, value in row.items() if name in known})
    except ValidationError:
        return None


def _misplaced_names(record_id: str, item: Mapping[str, Any], *, made_by_enrollment: bool) -> Iterable[Problem]:
    kind, name = kind_and_name(record_id)
    if "name" in item:
        yield Problem(record_id, "name", _shown(plain(item["name"])), "only the id has the name", "Remove it.")
    if kind == "team" and enrolled(name) and not made_by_enrollment:
        rule = "names that end in an account id are reserved for teams of enrollments"
        yield Problem(record_id, "id", record_id, rule, "Choose another name.")


def _problems(record_id: str, model: type[Record], error: ValidationError) -> Iterable[Problem]:
    for fault in faults(model, error, PATTERNS):
        at, value = (fault.field, fault.value) if fault.path != ("name",) else ("id", record_id)
        yield Problem(record_id, at, value, fault.rule, fault.remedy)


def _shown(value: object) -> str:
    return ascii(value)
