"""The two tables: the registry, which people write, and the state, which is podshare's own.

Both are read with strong consistency: what is decided from them decides about access.

IAM tells rows of the state apart by their id alone. So what different functions write has different ids, and
template.yaml lets each function write those of its own work (docs/decisions/0045).
"""

import datetime
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from podshare.aws.errors import Retryable, code_of
from podshare.aws.sessions import hub_client
from podshare.domain.kinds import Key, Kind
from podshare.domain.records import DELETE_WORK, plain

Item = dict[str, Any]
LEASES = "lease"  # who reconciles a team: part team#NAME
STATUSES = "status"  # how each team's last run ended: part team#NAME
RECORDS = "record"  # whether a record that is no team's is acceptable: part its id
SWEEP = "sweep"  # what the last sweep found: part summary
LONGEST_PART = 1024  # bytes of a sort key (DynamoDB quotas)
_MOST_KEYS = 100  # of one BatchGetItem (DynamoDB quotas)

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


def to_item(attributes: Mapping[str, Any]) -> Item:
    """Attributes as DynamoDB takes them; what is None is left out."""
    return {name: _serialize(_numbers(value)) for name, value in attributes.items() if value is not None}


def from_item(item: Mapping[str, Any]) -> Item:
    """A DynamoDB item as plain Python values."""
    return {name: plain(_deserialize(value)) for name, value in item.items()}


def _numbers(value: Any) -> Any:
    """DynamoDB takes Decimal, not float."""
    match value:
        case float():
            return Decimal(str(value))
        case Mapping():
            return {name: _numbers(item) for name, item in value.items()}
        case list() | tuple():
            return [_numbers(item) for item in value]
        case _:
            return value


@dataclass(frozen=True, slots=True)
class Registry:
    """The table that people write; podshare only reads it."""

    table: str

    def get(self, ids: Iterable[str]) -> dict[str, Item]:
        """The records with these ids that exist, by id. Raises Retryable if DynamoDB leaves some unanswered."""
        found = _batch_get([(self.table, _record_key(record)) for record in set(ids)])
        return {str(item["id"]): item for item in found[self.table]}

    def scan(self) -> Iterator[Item]:
        """Every record."""
        pages = hub_client("dynamodb").get_paginator("scan").paginate(TableName=self.table, ConsistentRead=True)
        for found in pages:
            yield from map(from_item, found["Items"])


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
        return _batch_get([(self.table, _state_key(*item)) for item in set(items)])[self.table]

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
        return [from_item(item) for found in pages for item in found["Items"]]

    def put(self, item_id: str, part: str, /, **attributes: Any) -> None:
        """Write one item whole."""
        item = to_item({"id": item_id, "part": part, **attributes})
        hub_client("dynamodb").put_item(TableName=self.table, Item=item)

    def put_once(self, item_id: str, part: str, /, **attributes: Any) -> None:
        """Write one item unless it is there."""
        item = to_item({"id": item_id, "part": part, **attributes})
        try:
            hub_client("dynamodb").put_item(
                TableName=self.table, Item=item, ConditionExpression="attribute_not_exists(id)"
            )
        except ClientError as error:
            if code_of(error) != "ConditionalCheckFailedException":
                raise

    def replace(self, item_id: str, part: str, revision: int | None, /, **attributes: Any) -> bool:
        """Write one item whole if it still has this ``revision`` (None: if it is not there); tells whether it had."""
        request: Any = {"TableName": self.table, "Item": to_item({"id": item_id, "part": part, **attributes})}
        if revision is None:
            request["ConditionExpression"] = "attribute_not_exists(id)"
        else:
            request["ConditionExpression"] = "revision = :revision"
            request["ExpressionAttributeValues"] = {":revision": {"N": str(revision)}}
        try:
            hub_client("dynamodb").put_item(**request)
        except ClientError as error:
            if code_of(error) == "ConditionalCheckFailedException":
                return False
            raise
        return True

    def delete(self, item_id: str, part: str) -> None:
        """Remove one item, if it is there."""
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
        try:
            return from_item(hub_client("dynamodb").update_item(**request)["Attributes"])
        except ClientError as error:
            if code_of(error) == "ConditionalCheckFailedException":
                return None
            raise


def read_together(
    registry: Registry, ids: Collection[str], state: State, part: str, of: Collection[str]
) -> tuple[dict[str, Item], dict[str, Item]]:
    """The records with these ``ids``, and the state's ``part`` of each id in ``of``: those that exist, by id.

    One request for a hundred of them. Raises Retryable if DynamoDB leaves some unanswered.
    """
    records = [(registry.table, _record_key(record)) for record in set(ids)]
    found = _batch_get([*records, *((state.table, _state_key(item_id, part)) for item_id in set(of))])
    written, kept = found[registry.table], found[state.table]
    return {str(item["id"]): item for item in written}, {str(item["id"]): item for item in kept}


def _batch_get(wanted: list[tuple[str, Any]]) -> dict[str, list[Item]]:
    """The items with these keys that exist, by table."""
    found: dict[str, list[Item]] = defaultdict(list)
    for start in range(0, len(wanted), _MOST_KEYS):
        request: dict[str, Any] = {}
        for table, key in wanted[start : start + _MOST_KEYS]:
            request.setdefault(table, {"Keys": [], "ConsistentRead": True})["Keys"].append(key)
        response = hub_client("dynamodb").batch_get_item(RequestItems=request)
        if response.get("UnprocessedKeys"):
            raise Retryable(f"{', '.join(request)}: DynamoDB did not answer for all of {len(wanted)} items")
        for table, items in response["Responses"].items():
            found[table] += map(from_item, items)
    return found


def _record_key(record: str) -> dict[str, Any]:
    return {"id": {"S": record}}


def _state_key(item_id: str, part: str) -> dict[str, Any]:
    return {"id": {"S": item_id}, "part": {"S": part}}


def in_inventories(state: State, named: Iterable[tuple[str, Key]]) -> frozenset[Key]:
    """Those of the keys that the inventory of the team beside them has: one request for fifty of them.

    Raises Retryable as ``State.get_parts``.
    """
    teams = [(Inventory(state, team), key) for team, key in named]
    rows = [(item_id, f"resource#{key}") for one, key in teams for item_id in (f"team#{one.team}", one.item_id)]
    return frozenset(Key.parse(str(row["key"])) for row in state.get_all(rows))


@dataclass(frozen=True, slots=True)
class Inventory:
    """What podshare may have made for a team: named before it is made, until its absence has been read back.

    A row is marked as changing from before a change until that is read back: what a killed or overtaken function may
    have done is known of, although AWS tells of it late.
    """

    state: State
    team: str

    @property
    def item_id(self) -> str:
        """The id of all rows of the inventory."""
        return f"inventory#{self.team}"

    def adopt(self) -> None:
        """Move what versions before 0045 kept among the team's own rows, which functions that apply may not write."""
        for row in self._former():
            attributes = {name: value for name, value in row.items() if name not in ("id", "part")}
            self.state.put_once(self.item_id, row["part"], **attributes)
            self.state.delete(row["id"], row["part"])

    def keys(self, prefix: str = "") -> list[Key]:
        """All that was ever begun and is not known to be gone, of those keys that begin with ``prefix``."""
        return [*self.identities(prefix)]

    def identities(self, prefix: str = "") -> dict[Key, str]:
        """As ``keys``, each with the identity that it had when it was last seen with podshare's tags, or empty."""
        rows = (*self._former(prefix), *self.state.query(self.item_id, f"resource#{prefix}"))
        return {Key.parse(str(row["key"])): str(row.get("identity", "")) for row in rows}

    def _former(self, prefix: str = "") -> list[Item]:
        return self.state.query(f"team#{self.team}", f"resource#{prefix}")

    def identity(self, key: Key) -> str:
        """The identity of ``key`` when it was last seen with podshare's tags; empty if it never was."""
        row = self.state.get(self.item_id, f"resource#{key}") or {}
        return str(row.get("identity", ""))

    def name(self, key: Key, identity: str, at: str) -> None:
        """Write down that ``key`` is there, and that this very resource is podshare's."""
        self.state.update(
            self.item_id,
            f"resource#{key}",
            "SET #key = :key, named_at = if_not_exists(named_at, :at), #identity = :identity",
            None,
            names={"#key": "key", "#identity": "identity"},  # reserved words of DynamoDB
            key=str(key),
            at=at,
            identity=identity,
        )

    def begin(self, key: Key, at: str) -> None:
        """Write down that ``key`` is about to be made or changed, until ``settle`` or ``forget``."""
        self.state.update(
            self.item_id,
            f"resource#{key}",
            "SET changing_since = :at, named_at = if_not_exists(named_at, :at), #key = :key REMOVE doubted_in",
            None,
            names={"#key": "key"},  # a reserved word of DynamoDB
            at=at,
            key=str(key),
        )

    def settle(self, key: Key, identity: str = "") -> None:
        """Write down that the last change of ``key`` was read back, as of which resource, or is long enough ago."""
        part, condition = f"resource#{key}", "attribute_exists(changing_since)"
        if identity:
            expression, names = "SET #identity = :identity REMOVE changing_since, doubted_in", {"#identity": "identity"}
            self.state.update(self.item_id, part, expression, condition, names=names, identity=identity)
        else:
            self.state.update(self.item_id, part, "REMOVE changing_since, doubted_in", condition)

    def is_changing(self, key: Key) -> bool:
        """Whether a change of ``key`` was begun and has not been read back since."""
        return "changing_since" in (self.state.get(self.item_id, f"resource#{key}") or {})

    def changing(self) -> dict[Key, Item]:
        """The rows of what was begun to be changed and has not been read back since."""
        rows = self.state.query(self.item_id, "resource#")
        return {Key.parse(str(row["key"])): row for row in rows if "changing_since" in row}

    def doubt(self, key: Key, attempt: str) -> None:
        """Write down in which attempt it was not known first what became of ``key``."""
        expression = "SET doubted_in = :attempt"
        condition = "attribute_exists(changing_since)"
        self.state.update(self.item_id, f"resource#{key}", expression, condition, attempt=attempt)

    def begin_drain(self, key: Key, now: datetime.datetime) -> datetime.datetime:
        """When it was first asked for that the work of this compute quota ends; ``now`` if it is now."""
        row = self.state.update(
            self.item_id,
            f"resource#{key}",
            "SET draining_since = if_not_exists(draining_since, :now)",
            "attribute_exists(id)",
            now=now.isoformat(),
        )
        return datetime.datetime.fromisoformat(str(row["draining_since"])) if row else now

    def look_into(self, key: Key) -> None:
        """Write down that podshare looks into the cluster of this compute quota, also where it knows no namespace."""
        expression = "SET looked_into = :yes"
        self.state.update(self.item_id, f"resource#{key}", expression, "attribute_exists(id)", yes=True)

    def is_looked_into(self, key: Key) -> bool:
        """Whether podshare asks the API of the cluster of this compute quota."""
        if any(one.kind is Kind.NAMESPACE and one.container == key.container for one in self.keys()):
            return True
        return bool((self.state.get(self.item_id, f"resource#{key}") or {}).get("looked_into"))

    def end_drain(self, key: Key, run: str) -> None:
        """Write down that, in this run, the quota may go."""
        self.state.update(self.item_id, f"resource#{key}", "SET drained_in = :run", "attribute_exists(id)", run=run)

    def is_drained(self, key: Key, run: str) -> bool:
        """Whether, in this run, the quota may go."""
        row = self.state.get(self.item_id, f"resource#{key}")
        return row is None or str(row.get("drained_in")) == run

    def vacate(self, namespace: Key, since: str, on_delete: str) -> None:
        """Write down that the team has left its namespace, until ``forget``: nobody is to use it before it is empty.

        ``on_delete`` is what its record says of the work that it leaves.
        """
        expression = (
            "SET vacating_since = if_not_exists(vacating_since, :since), "
            "on_delete = if_not_exists(on_delete, :on_delete)"
        )
        self.state.update(
            self.item_id,
            f"resource#{namespace}",
            expression,
            "attribute_exists(id)",
            since=since,
            on_delete=on_delete,
        )

    def deletes_work(self, namespace: Key) -> bool:
        """Whether what can run in a namespace that was left is deleted: only if the record did not say to keep it."""
        row = self.state.get(self.item_id, f"resource#{namespace}") or {}
        return row.get("on_delete") == DELETE_WORK

    def is_vacating(self, namespace: Key) -> bool:
        """Whether the namespace was left, and was not seen empty since."""
        return "vacating_since" in (self.state.get(self.item_id, f"resource#{namespace}") or {})

    def keep(self, keys: Collection[Key]) -> None:
        """Forget the drains of what is desired again, so that a later deletion waits anew."""
        for row in self.state.query(self.item_id, f"resource#{Kind.COMPUTE_QUOTA}"):
            if "draining_since" in row and Key.parse(str(row["key"])) in keys:
                self.state.update(
                    self.item_id, str(row["part"]), "REMOVE draining_since, drained_in", "attribute_exists(id)"
                )

    def forget(self, key: Key) -> None:
        """Write down that ``key`` is known to be gone."""
        self.state.delete(self.item_id, f"resource#{key}")
