"""The two tables: the registry, which people write, and the state, which is podshare's own.

Both are read with strong consistency: what is decided from them decides about access.

IAM distinguishes rows of the state by their id alone. So what different functions write has different ids, and
template.yaml lets each function write those of its own work (docs/decisions/0045).
"""

import copy
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from podshare.aws.errors import Retryable, Tolerated
from podshare.aws.rows import Item, from_item, to_item
from podshare.aws.sessions import hub_client

R = TypeVar("R")
_MOST_KEYS = 100  # of one BatchGetItem (DynamoDB quotas)

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

    def put(self, item_id: str, part: str, /, **attributes: Any) -> Item:
        """Write one item whole; returns what it was before, empty if there was none."""
        self._forget(item_id, part)
        item = to_item({"id": item_id, "part": part, **attributes})
        answer = hub_client("dynamodb").put_item(TableName=self.table, Item=item, ReturnValues="ALL_OLD")
        return from_item(answer.get("Attributes", {}))

    def put_once(self, item_id: str, part: str, /, **attributes: Any) -> None:
        """Write one item unless it is there."""
        self._forget(item_id, part)
        item = to_item({"id": item_id, "part": part, **attributes})
        with _CONDITION_FAILED:
            hub_client("dynamodb").put_item(
                TableName=self.table, Item=item, ConditionExpression="attribute_not_exists(id)"
            )

    def replace(self, item_id: str, part: str, revision: int | None, /, **attributes: Any) -> bool:
        """Write one item whole if it still has this ``revision`` (None: if it is not there); says whether it had."""
        self._forget(item_id, part)
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
        self._forget(item_id, part)
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
        self._forget(item_id, part)
        request: dict[str, Any] = {
            "TableName": self.table,
            "Key": _state_key(item_id, part),
            "UpdateExpression": expression,
            "ReturnValues": "ALL_NEW",
        }
        if condition:
            request["ConditionExpression"] = condition
        if names:
            request["ExpressionAttributeNames"] = names
        if values:
            request["ExpressionAttributeValues"] = to_item({f":{name}": value for name, value in values.items()})
        with _CONDITION_FAILED:
            return from_item(hub_client("dynamodb").update_item(**request)["Attributes"])
        return None

    def _forget(self, item_id: str, part: str) -> None:
        """Every write calls it first: what was read of the row counts no more. This reads each row each time."""


@dataclass(frozen=True, slots=True)
class Snapshot(State):
    """The state as one invocation sees it: what it has read, or queried, it reads again only after it has written it.

    Not for leases, which are for others to change meanwhile.
    """

    _items: dict[tuple[str, str], Item | None] = field(default_factory=dict, compare=False, repr=False)
    _queries: dict[str, dict[str, list[Item]]] = field(default_factory=dict, compare=False, repr=False)
    _written: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set), compare=False, repr=False)

    def get(self, item_id: str, part: str) -> Item | None:
        """See State."""
        if not self._has(item_id, part):
            self._items[item_id, part] = State.get(self, item_id, part)
        return self._item(item_id, part)

    def get_with_records(
        self, items: Iterable[tuple[str, str]], registry: Registry, ids: Iterable[str]
    ) -> tuple[list[Item], dict[str, Item]]:
        """See State."""
        wanted = dict.fromkeys(items)
        missing = [item for item in wanted if not self._has(*item)]
        read, written = State.get_with_records(self, missing, registry, ids)
        self._items.update(dict.fromkeys(missing))
        self._items.update({(str(item["id"]), str(item["part"])): item for item in read})
        existing = (self._item(*item) for item in wanted)
        return [item for item in existing if item], written

    def query(self, item_id: str, part_prefix: str = "") -> list[Item]:
        """See State."""
        rows = self._queried(item_id, part_prefix)
        if rows is None or any(part.startswith(part_prefix) for part in self._written[item_id]):
            rows = State.query(self, item_id, part_prefix)
            self._queries[item_id] = {part_prefix: rows}
            self._written[item_id].clear()
        return [copy.deepcopy(row) for row in rows if str(row["part"]).startswith(part_prefix)]

    def _has(self, item_id: str, part: str) -> bool:
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

    def _forget(self, item_id: str, part: str) -> None:
        """See State."""
        self._items.pop((item_id, part), None)
        self._written[item_id].add(part)


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


def _record_key(record: str) -> dict[str, Any]:
    return {"id": {"S": record}}


def _state_key(item_id: str, part: str) -> dict[str, Any]:
    return {"id": {"S": item_id}, "part": {"S": part}}
