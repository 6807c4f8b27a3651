"""From an item of the registry to the record in it, or to every problem that it has."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from podshare.registry.items import enrolled, plain
from podshare.registry.problems import InvalidRecord, Problem
from podshare.registry.records import Approval, Block, Cluster, Dataset, Enrollment, Pause, Team
from podshare.registry.values import PATTERNS
from podshare.registry.wording import closest, faults

MOST_BYTES = 380_000  # of a record as it is kept once accepted: an item may have 400 KB (DynamoDB quotas)

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


def problems_of(item: Mapping[str, Any]) -> tuple[Problem, ...]:
    """Every problem of a registry item; none if it is a valid record."""
    try:
        parse(item)
    except InvalidRecord as error:
        return error.problems
    return ()


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
