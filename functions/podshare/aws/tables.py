"""The two tables: the registry, which people write, and the state, which is podshare's own.

Both are read with strong consistency: what is decided from them decides about access.

IAM distinguishes rows of the state by their id alone. So what different functions write has different ids, and
template.yaml lets each function write those of its own work (docs/decisions/0045).
"""

import contextlib
import copy
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from botocore.exceptions import ClientError

from podshare.aws.answers import Answers
from podshare.aws.errors import Retryable, Tolerated, code_of
from podshare.aws.rows import Item, from_item, to_item
from podshare.aws.sessions import hub_client

R = TypeVar("R")
Write = Mapping[str, Any]  # a part of a TransactWriteItems, by what it does
_MOST_KEYS = 100  # of one BatchGetItem (DynamoDB quotas)
MOST_WRITES = 100  # of one TransactWriteItems, its conditions among them (DynamoDB quotas)
_CHECK_SECONDS = 1.0  # for which a fence that stood is taken to stand
_TRIES = 4  # of what writes a row that a transaction is writing or checking
_CONFLICT_SECONDS = 0.05

_CONDITION_FAILED = Tolerated("ConditionalCheckFailedException")


@dataclass(frozen=True, slots=True)
class Registry:
    """The table that people write; podshare only reads it."""

    table: str

    def get(self, ids: Iterable[str]) -> dict[str, Item]:
        """The records with these ids that exist, by id. Raises Retryable if DynamoDB leaves some unanswered."""
        rows = _batch_get([(self.table, _record_key(record)) for record in set(ids)])
        return {str(item["id"]): item for item in rows[self.table]}

    def record(self, record_id: str, model: type[R]) -> R | None:
        """One record, parsed; None if there is none. Raises InvalidRecord."""
        from podshare.registry.parsing import parse  # noqa: PLC0415  # pydantic: the command lists items without it

        item = self.get([record_id]).get(record_id)
        record = parse(item) if item else None
        return record if isinstance(record, model) else None

    def scan(self) -> Iterator[Item]:
        """Every record."""
        pages = hub_client("dynamodb").get_paginator("scan").paginate(TableName=self.table, ConsistentRead=True)
        for page in pages:
            yield from map(from_item, page["Items"])


@dataclass(frozen=True, slots=True)
class State:
    """The table that only podshare writes: partition key ``id``, sort key ``part``."""

    table: str

    def get(self, item_id: str, part: str) -> Item | None:
        """One item, or None."""
        response = hub_client("dynamodb").get_item(
            TableName=self.table, Key=_state_key(item_id, part), ConsistentRead=True
        )
        return from_item(response["Item"]) if "Item" in response else None

    def get_parts(self, item_id: str, parts: Iterable[str]) -> list[Item]:
        """Those of the named items that exist. Raises Retryable if DynamoDB leaves some unanswered."""
        return self.get_all((item_id, part) for part in parts)

    def get_all(self, items: Iterable[tuple[str, str]]) -> list[Item]:
        """Those of the items, each by its id and part, that exist. Raises Retryable as ``get_parts``."""
        return self.get_with_records(items, Registry(""), ())[0]

    def get_with_records(
        self, items: Iterable[tuple[str, str]], registry: Registry, ids: Iterable[str]
    ) -> tuple[list[Item], dict[str, Item]]:
        """Those of the items that exist, and those of the records by id: one request for a hundred of them.

        Raises Retryable if DynamoDB leaves some unanswered.
        """
        records = [(registry.table, _record_key(record)) for record in set(ids)]
        read = _batch_get([*records, *((self.table, _state_key(*item)) for item in set(items))])
        return read[self.table], {str(item["id"]): item for item in read[registry.table]}

    def query(self, item_id: str, part_prefix: str = "") -> list[Item]:
        """The items of one id whose part begins with ``part_prefix``, in order."""
        condition, values = "id = :id", {":id": {"S": item_id}}
        if part_prefix:
            condition, values = f"{condition} AND begins_with(part, :part)", {**values, ":part": {"S": part_prefix}}
        pages = (
            hub_client("dynamodb")
            .get_paginator("query")
            .paginate(
                TableName=self.table,
                KeyConditionExpression=condition,
                ExpressionAttributeValues=values,
                ConsistentRead=True,
            )
        )
        return [from_item(item) for page in pages for item in page["Items"]]

    def put(self, item_id: str, part: str, /, **attributes: Any) -> None:
        """Write one item whole."""
        self._begin_write(item_id, part)
        hub_client("dynamodb").put_item(**self.putting(item_id, part, **attributes)["Put"])

    def put_once(self, item_id: str, part: str, /, **attributes: Any) -> None:
        """Write one item unless it is there."""
        self._begin_write(item_id, part)
        item = to_item({"id": item_id, "part": part, **attributes})
        with _CONDITION_FAILED:
            hub_client("dynamodb").put_item(
                TableName=self.table, Item=item, ConditionExpression="attribute_not_exists(id)"
            )

    def replace(self, item_id: str, part: str, revision: int | None, /, **attributes: Any) -> bool:
        """Write one item whole if it still has this ``revision`` (None: if it is not there); says whether it had."""
        self._begin_write(item_id, part)
        request: Any = {"TableName": self.table, "Item": to_item({"id": item_id, "part": part, **attributes})}
        if revision is None:
            request["ConditionExpression"] = "attribute_not_exists(id)"
        else:
            request["ConditionExpression"] = "revision = :revision"
            request["ExpressionAttributeValues"] = {":revision": {"N": str(revision)}}
        with _CONDITION_FAILED:
            hub_client("dynamodb").put_item(**request)
            return True
        return False

    def delete(self, item_id: str, part: str) -> None:
        """Remove one item, if it is there."""
        self._begin_write(item_id, part)
        hub_client("dynamodb").delete_item(TableName=self.table, Key=_state_key(item_id, part))

    def update(
        self,
        item_id: str,
        part: str,
        expression: str,
        condition: str | None,
        /,
        *,
        names: Mapping[str, str] | None = None,
        **values: Any,
    ) -> Item | None:
        """Update one item and return it whole; None if ``condition`` does not hold.

        ``values`` are the expression's values, without their colons; ``names`` its names, with their number signs.
        """
        self._begin_write(item_id, part)
        request = self.updating(item_id, part, expression, condition, names=names, **values)["Update"]
        with _CONDITION_FAILED:
            return from_item(_after_conflicts(request)["Attributes"])
        return None

    def putting(self, item_id: str, part: str, /, **attributes: Any) -> Write:
        """What ``put`` does, as a part of a transaction."""
        return {"Put": {"TableName": self.table, "Item": to_item({"id": item_id, "part": part, **attributes})}}

    def deleting(self, item_id: str, part: str, condition: str | None = None, /, **values: Any) -> Write:
        """What ``delete`` does, as a part of a transaction, if ``condition`` holds."""
        return {"Delete": self._conditional(item_id, part, condition, None, values)}

    def updating(
        self,
        item_id: str,
        part: str,
        expression: str,
        condition: str | None,
        /,
        *,
        names: Mapping[str, str] | None = None,
        **values: Any,
    ) -> Write:
        """What ``update`` does, as a part of a transaction."""
        request = self._conditional(item_id, part, condition, names, values)
        return {"Update": {**request, "UpdateExpression": expression}}

    def checking(self, item_id: str, part: str, condition: str, /, **values: Any) -> Write:
        """A condition that a row has to meet, as a part of a transaction."""
        return {"ConditionCheck": self._conditional(item_id, part, condition, None, values)}

    def write_together(self, writes: Sequence[Write]) -> bool:
        """Write all of ``writes`` at once, or none: False if a condition fails, or others are writing one of the rows.

        ``writes`` are of different rows, and ``MOST_WRITES`` at most.
        """
        for write in writes:
            self._forget(**key_of(write))
        for tries_left in reversed(range(_TRIES)):
            try:
                hub_client("dynamodb").transact_write_items(TransactItems=cast("Any", [*writes]))
            except ClientError as error:
                if code_of(error) != "TransactionCanceledException":
                    raise
                if not (tries_left and _is_in_conflict(error)):
                    return False
                _wait_for_transactions()
            else:
                return True
        return False

    def _conditional(
        self, item_id: str, part: str, condition: str | None, names: Mapping[str, str] | None, values: Mapping[str, Any]
    ) -> dict[str, Any]:
        request: dict[str, Any] = {"TableName": self.table, "Key": _state_key(item_id, part)}
        if condition:
            request["ConditionExpression"] = condition
        if names:
            request["ExpressionAttributeNames"] = names
        if values:
            request["ExpressionAttributeValues"] = to_item({f":{name}": value for name, value in values.items()})
        return request

    def refresh(self, item_id: str) -> None:
        """Read the rows of an id again: here each row is read each time."""

    def later(self, write: Write) -> None:
        """Write a row together with others that are put off, if its condition holds: here nothing is put off."""
        self.write_alone(write)

    def take_put_off(self) -> list[Write]:
        """What was put off, for the caller to write."""
        return []

    def flush(self) -> None:
        """Write what was put off."""

    def write_alone(self, write: Write) -> None:
        """Write one row, unless its condition does not hold."""
        [(kind, request)] = write.items()
        self._begin_write(**key_of(write))
        dynamodb: Any = hub_client("dynamodb")
        with _CONDITION_FAILED:
            {"Put": dynamodb.put_item, "Update": dynamodb.update_item, "Delete": dynamodb.delete_item}[kind](**request)

    def check(self) -> None:
        """Called before anything is done that is no row's: a snapshot asks its fence."""

    def _begin_write(self, item_id: str, part: str) -> None:
        """Every write of one row calls it first: a snapshot asks its fence."""
        self._forget(item_id, part)

    def _forget(self, item_id: str, part: str) -> None:
        """Every write calls it first: what was read of the row counts no more. This reads each row each time."""


@dataclass(frozen=True, slots=True)
class Fence:
    """By what a run proves that it may still write: a transaction's condition, and the row that it is about.

    ``check`` raises Superseded if that row, as it is now, does not meet the condition.
    """

    condition: Write
    place: tuple[str, str]
    check: Callable[[Item], None]


@dataclass(frozen=True, slots=True)
class InventoryReadOnce(State):
    """The state, of which each row of an inventory is read once.

    For those who make changes: what they read of other rows than those that they are changing was written before them.
    """

    _answers: Answers = field(default_factory=Answers, compare=False, repr=False)

    def get(self, item_id: str, part: str) -> Item | None:
        """See State."""
        if not item_id.startswith("inventory#"):
            return State.get(self, item_id, part)
        return self._answers.once((item_id, part), lambda: State.get(self, item_id, part))

    def _forget(self, item_id: str, part: str) -> None:
        """See State."""
        self._answers.forget((item_id, part))


@dataclass(slots=True)
class _Writes:
    """What a snapshot has put off, and the fence that it asks."""

    put_off: dict[tuple[str, str], Write] = field(default_factory=dict)
    fence: Fence | None = None
    checked_at: float = float("-inf")
    lock: Any = field(default_factory=threading.RLock)  # threads read, and what they read may have to be written first


@dataclass(frozen=True, slots=True)
class Snapshot(State):
    """The state as one invocation sees it: what it has read, or queried, it reads again only after it has written it.

    What it writes ``later`` goes into one transaction, with the condition of its fence if it has one; before it writes
    anything else it asks the fence, and every batch that it reads asks it too. Not for leases, which are for others to
    change meanwhile.
    """

    _items: dict[tuple[str, str], Item | None] = field(default_factory=dict, compare=False, repr=False)
    _queries: dict[str, dict[str, list[Item]]] = field(default_factory=dict, compare=False, repr=False)
    _written: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set), compare=False, repr=False)
    _writes: _Writes = field(default_factory=_Writes, compare=False, repr=False)
    _records: dict[tuple[str, str], Item | None] = field(default_factory=dict, compare=False, repr=False)
    _asked: set[tuple[str, str]] = field(default_factory=set, compare=False, repr=False)

    def read_ahead(self, items: Iterable[tuple[str, str]], registry: Registry, ids: Iterable[str]) -> None:
        """Read at once what will be asked for, as far as it can be; the rest is read when it is asked for."""
        with contextlib.suppress(Retryable, ClientError):
            self._read([*items], registry, {*ids})

    @property
    def asked(self) -> tuple[list[tuple[str, str]], list[str]]:
        """The rows that were asked for by their keys and not in a query, and the ids of the records."""
        return sorted(key for key in self._asked if key in self._items), sorted(record for _, record in self._records)

    def guard(self, fence: Fence) -> None:
        """Write from now on only as far as ``fence`` allows it."""
        self._writes.fence = fence

    def refresh(self, item_id: str) -> None:
        """See State."""
        self._queries.pop(item_id, None)
        for place in [place for place in self._items if place[0] == item_id]:
            del self._items[place]

    def check(self) -> None:
        """Ask the fence, unless it was asked a moment ago. Raises Superseded if it has fallen."""
        now = time.monotonic()
        if (fence := self._writes.fence) and now - self._writes.checked_at >= _CHECK_SECONDS:
            fence.check(State.get(self, *fence.place) or {})
            self._writes.checked_at = now

    def later(self, write: Write) -> None:
        """See State."""
        key = key_of(write)
        self._flush_before(key["item_id"], key["part"])
        self._forget(**key)
        self._writes.put_off[key["item_id"], key["part"]] = write

    def take_put_off(self) -> list[Write]:
        """See State."""
        writes = [*self._writes.put_off.values()]
        self._writes.put_off.clear()
        return writes

    def flush(self) -> None:
        """See State. Raises Superseded if the fence has fallen."""
        fence, writes = self._writes.fence, self.take_put_off()
        for start in range(0, len(writes), MOST_WRITES - 1):
            some = writes[start : start + MOST_WRITES - 1]
            if not self.write_together([*([fence.condition] if fence else []), *some]):
                self._writes.checked_at = float("-inf")
                for write in some:  # others are writing one of the rows, have written it later, or took the lease
                    self.write_alone(write)

    def get(self, item_id: str, part: str) -> Item | None:
        """See State."""
        self._asked.add((item_id, part))
        if not self._has(item_id, part):
            self._items[item_id, part] = State.get(self, item_id, part)
        return self._item(item_id, part)

    def get_with_records(
        self, items: Iterable[tuple[str, str]], registry: Registry, ids: Iterable[str]
    ) -> tuple[list[Item], dict[str, Item]]:
        """See State."""
        wanted, records = dict.fromkeys(items), dict.fromkeys(ids)
        self._asked.update(wanted)
        self._read([*wanted], registry, records)
        written = {record: copy.deepcopy(self._records[registry.table, record]) for record in records}
        existing = (self._item(*item) for item in wanted)
        return [item for item in existing if item], {record: item for record, item in written.items() if item}

    def _read(self, items: Collection[tuple[str, str]], registry: Registry, ids: Iterable[str]) -> None:
        """Read what was not read yet."""
        missing = [item for item in items if not self._has(*item)]
        unread = [record for record in ids if (registry.table, record) not in self._records]
        if missing or unread:
            fence, now = self._writes.fence, time.monotonic()
            more = [fence.place] if fence else []
            read, written = State.get_with_records(self, [*missing, *more], registry, unread)
            if fence:
                fence.check(next((item for item in read if (item["id"], item["part"]) == fence.place), {}))
                self._writes.checked_at = now
                read = [item for item in read if (item["id"], item["part"]) != fence.place]
            self._items.update(dict.fromkeys(missing))
            self._items.update({(str(item["id"]), str(item["part"])): item for item in read})
            self._records.update({(registry.table, record): written.get(record) for record in unread})

    def query(self, item_id: str, part_prefix: str = "") -> list[Item]:
        """See State."""
        self._flush_before(item_id, part_prefix, whole=False)
        rows = self._queried(item_id, part_prefix)
        if rows is None or any(part.startswith(part_prefix) for part in self._written[item_id]):
            rows = State.query(self, item_id, part_prefix)
            self._queries[item_id] = {part_prefix: rows}
            self._written[item_id].clear()
        return [copy.deepcopy(row) for row in rows if str(row["part"]).startswith(part_prefix)]

    def _has(self, item_id: str, part: str) -> bool:
        self._flush_before(item_id, part)
        is_queried = part not in self._written[item_id] and self._queried(item_id, part) is not None
        return is_queried or (item_id, part) in self._items

    def _item(self, item_id: str, part: str) -> Item | None:
        if (item_id, part) in self._items:
            return copy.deepcopy(self._items[item_id, part])
        return next((copy.deepcopy(row) for row in self._queried(item_id, part) or () if row["part"] == part), None)

    def _queried(self, item_id: str, part: str) -> list[Item] | None:
        """The rows of a query that also answers for ``part``, or a prefix."""
        queries = self._queries.get(item_id, {})
        return next((rows for prefix, rows in queries.items() if part.startswith(prefix)), None)

    def _flush_before(self, item_id: str, part: str, *, whole: bool = True) -> None:
        """Write what was put off, if the row, or one whose part begins so, is among it."""
        with self._writes.lock:
            rows = (row for key, row in self._writes.put_off if key == item_id)
            if any(row == part if whole else row.startswith(part) for row in rows):
                self.flush()

    def _begin_write(self, item_id: str, part: str) -> None:
        """See State."""
        self.check()
        self._forget(item_id, part)

    def _forget(self, item_id: str, part: str) -> None:
        """See State."""
        self._items.pop((item_id, part), None)
        self._written[item_id].add(part)


class WouldWrite(Exception):  # noqa: N818  # it is no error: who only reads has seen that there is something to do
    """Something would be written, or announced, by somebody who only reads."""


@dataclass(frozen=True, slots=True)
class ReadOnlySnapshot(Snapshot):
    """The state for whoever only reads: what is put off is the caller's to write, anything else raises WouldWrite."""

    def check(self) -> None:
        """See State."""
        raise WouldWrite("something would be announced, or written elsewhere")

    def flush(self) -> None:
        """See State."""
        raise WouldWrite(f"rows would be written: {sorted(self._writes.put_off)}")

    def _begin_write(self, item_id: str, part: str) -> None:
        """See State."""
        raise WouldWrite(f"a row would be written: {item_id} {part}")


def _batch_get(wanted: list[tuple[str, Any]]) -> dict[str, list[Item]]:
    """The items with these keys that exist, by table."""
    by_table: dict[str, list[Item]] = defaultdict(list)
    for start in range(0, len(wanted), _MOST_KEYS):
        request: dict[str, Any] = {}
        for table, key in wanted[start : start + _MOST_KEYS]:
            request.setdefault(table, {"Keys": [], "ConsistentRead": True})["Keys"].append(key)
        response = hub_client("dynamodb").batch_get_item(RequestItems=request)
        if response.get("UnprocessedKeys"):
            raise Retryable(f"{', '.join(request)}: DynamoDB did not answer for all of {len(wanted)} items")
        for table, items in response["Responses"].items():
            by_table[table] += map(from_item, items)
    return by_table


def _after_conflicts(request: Mapping[str, Any]) -> Any:
    """Update an item, once a transaction on it has ended: such take some milliseconds. Raises ClientError."""
    for _ in range(_TRIES - 1):
        try:
            return hub_client("dynamodb").update_item(**request, ReturnValues="ALL_NEW")
        except ClientError as error:
            if code_of(error) != "TransactionConflictException":
                raise
            _wait_for_transactions()
    return hub_client("dynamodb").update_item(**request, ReturnValues="ALL_NEW")


def _is_in_conflict(error: ClientError) -> bool:
    """Whether a transaction was cancelled only because others write, or check, one of its rows."""
    reasons: Any = error.response.get("CancellationReasons", ())
    return {reason.get("Code") for reason in reasons} - {"None"} == {"TransactionConflict"}


def _wait_for_transactions() -> None:
    time.sleep(random.uniform(0, 2 * _CONFLICT_SECONDS))  # noqa: S311  # no secret


def key_of(write: Write) -> dict[str, str]:
    """The ``item_id`` and the ``part`` of the row that a write is about."""
    [(kind, request)] = write.items()
    row = request["Item" if kind == "Put" else "Key"]
    return {"item_id": row["id"]["S"], "part": row["part"]["S"]}


def _record_key(record: str) -> dict[str, Any]:
    return {"id": {"S": record}}


def _state_key(item_id: str, part: str) -> dict[str, Any]:
    return {"id": {"S": item_id}, "part": {"S": part}}
