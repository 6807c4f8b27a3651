"""Writing records: all or none, and each only if it is still as it was read.

What somebody else has written since is reported and never overwritten, whether or not they used the command.
"""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from podshare.aws.rows import from_item, to_item
from podshare.registry.items import kind_of, plain
from podshare.registry.parsing import MODELS
from podshare_cli.aws.connection import Connection
from podshare_cli.aws.tables import Registry
from podshare_cli.failures import Failure
from podshare_cli.records.changes import Effect, Item, RecordChange, content, overwriting
from podshare_cli.records.provenance import Provenance, last_change

Sources = Mapping[str, Mapping[str, str] | None]  # the file of each record, by the record's id
_MOST_ITEMS = 100  # of one TransactWriteItems (DynamoDB quotas)
_MOST_BYTES = 3_500_000  # of 4 MB, for the records and their conditions
_MOST_COMPARED = 100  # attributes of one record: an expression has at most 4 KB (DynamoDB quotas)
_ATTEMPTS = 4
_PAUSE_SECONDS = 0.2


def write(
    connection: Connection, changes: Iterable[RecordChange], provenance: Provenance, sources: Sources | None = None
) -> None:
    """Write and delete the records that change, in their order; up to 100 in one transaction, all or none.

    Raises Failure if a record is not as it was read: then neither it nor anything after it is written.
    """
    written: list[str] = []
    changing = [change for change in changes if change.effect is not Effect.UNCHANGED]
    for batch in _batches(changing):
        signed = {
            change.record_id: _signed(connection, change.item, change.before, provenance, sources or {})
            for change in batch
            if change.item
        }
        _write_batch(Registry(connection), batch, signed, written)
        written += [change.record_id for change in batch]


def write_item(connection: Connection, item: Item, provenance: Provenance) -> None:
    """Write one record, whatever it was before, also if it says what it said. Raises Failure as ``write``."""
    write(connection, [overwriting(item, Registry(connection).get(item["id"]))], provenance)


def changed_since(change: RecordChange, now: Item | None) -> str:
    """Who has changed a record since it was read, when, and which fields; empty if nobody has."""
    if plain(change.before) == plain(now):
        return ""
    if now is None:
        return f"{change.record_id} has been deleted since it was read"
    verb = "changed" if change.before else "created"
    return f"{change.record_id} has been {verb} since it was read{_by_text(change.before, now)}"


def _by_text(before: Item | None, now: Item) -> str:
    declared, former = last_change(now), last_change(before)
    fields = sorted(name for name in now.keys() | (before or {}).keys() if now.get(name) != (before or {}).get(name))
    shown = ", ".join(name for name in fields if name in content(now) or name in content(before or {}))
    fields_text = f" (fields: {shown})" if before and shown else ""
    if not declared or declared == former:
        return f", without this command{fields_text}"
    reason = f", reason: {declared['reason']}" if declared.get("reason") else ""
    return f", by {now.get('changed_by', 'somebody')} at {declared.get('at')}{reason}{fields_text}"


def _write_batch(
    registry: Registry, batch: Sequence[RecordChange], signed: Mapping[str, Item], written: Sequence[str]
) -> None:
    for attempt in range(_ATTEMPTS):
        stored = registry.stored(change.record_id for change in batch)
        _refuse_stale(batch, stored, written)
        if registry.transact([_operation(change, signed, stored.get(change.record_id)) for change in batch]):
            return
        time.sleep(_PAUSE_SECONDS * 2**attempt)
    others = ", ".join(change.record_id for change in batch)
    raise Failure(f"Others are writing the same records: {others}. {_written_text(written)}", "Try again in a moment.")


def _refuse_stale(batch: Iterable[RecordChange], stored: Mapping[str, Item], written: Sequence[str]) -> None:
    now = {record_id: from_item(item) for record_id, item in stored.items()}
    stale = [text for change in batch if (text := changed_since(change, now.get(change.record_id)))]
    if stale:
        remedy = "Nothing of theirs was overwritten. Read the records again, and plan again."
        raise Failure(f"{'; '.join(stale)}. {_written_text(written)}", remedy)


def _written_text(written: Sequence[str]) -> str:
    return f"Written before it: {', '.join(written)}." if written else "Nothing was written."


def _signed(connection: Connection, item: Item, before: Item | None, provenance: Provenance, sources: Sources) -> Item:
    signed = {**content(item), "changed_by": connection.caller}
    return {**signed, "change": provenance.change(signed, before, sources.get(item["id"]))}


def _batches(changes: Sequence[RecordChange]) -> Iterator[list[RecordChange]]:
    batch, size = list[RecordChange](), 0
    for change in changes:
        more = len(json.dumps([change.item, change.before], default=repr))
        if batch and (len(batch) == _MOST_ITEMS or size + more > _MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(change)
        size += more
    if batch:
        yield batch


def _operation(change: RecordChange, signed: Mapping[str, Item], stored: Item | None) -> tuple[str, Item]:
    """A part of a transaction: what it does, and with what; nothing but what is ``stored`` is replaced or deleted."""
    condition = _condition(change.record_id, stored)
    if change.item is None:
        return "Delete", {"Key": {"id": {"S": change.record_id}}, **condition}
    return "Put", {"Item": to_item(signed[change.record_id]), **condition}


def _condition(record_id: str, stored: Item | None) -> dict[str, Any]:
    """Holds while a record is as it is stored, and has none of the fields that records of its kind may also have."""
    if stored is None:
        return {"ConditionExpression": "attribute_not_exists(id)"}
    fields = _fields(record_id)
    compared = sorted(stored.keys() - {"id"}, key=lambda name: (name not in fields, name))[:_MOST_COMPARED]
    absent = sorted(fields - stored.keys())
    equal = [f"#{number} = :{number}" for number in range(len(compared))]
    missing = [f"attribute_not_exists(#{number})" for number in range(len(compared), len(compared) + len(absent))]
    values = {f":{number}": stored[name] for number, name in enumerate(compared)}
    return {
        "ConditionExpression": " AND ".join(["attribute_exists(id)", *equal, *missing]),
        "ExpressionAttributeNames": {f"#{number}": name for number, name in enumerate([*compared, *absent])},
        **({"ExpressionAttributeValues": values} if values else {}),
    }


def _fields(record_id: str) -> set[str]:
    model = MODELS[kind_of({"id": record_id})]
    return {field.alias or name for name, field in model.model_fields.items()} - {"name"}
