"""Writes of DynamoDB are all or nothing, and each item that they change leaves one record in the table's stream.

Of an update that is refused, moto keeps what it had done by then; an item that an update creates, it puts with its keys
alone first. To undo a transaction it copies the whole table, with all of its stream, for each item: minutes, for the
tables of a hundred teams. Source: API Reference, UpdateItem and TransactWriteItems; Developer Guide, "Change data
capture for DynamoDB Streams".
"""

import copy
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from moto.dynamodb import models
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import StreamShard, Table

from podshare_sandbox.moto_repair import repair

# held while a write may yet undo its records, and while the stream is read
writing = threading.RLock()
_putting_keys: set[StreamShard] = set()


def install() -> None:
    """Write in one piece. Raises RuntimeError where a symbol of moto is gone."""
    repair(models, "copy", _copying_no_table)
    repair(DynamoDBBackend, "transact_write_items", _transacting_in_one_piece)
    repair(DynamoDBBackend, "update_item", _updating_in_one_piece)


def only_puts_keys(shard: StreamShard) -> bool:
    """Whether the record is that of the keys of an item that an update is about to create; true once."""
    if shard not in _putting_keys:
        return False
    _putting_keys.discard(shard)
    return True


def _copying_no_table(_stock: Any) -> Any:
    def deepcopy(value: Any) -> Any:
        return value if isinstance(value, Table) else copy.deepcopy(value)

    return SimpleNamespace(deepcopy=deepcopy)


@dataclass(frozen=True)
class _Before:
    """An item before a write (None if there was none), and the length of its table's stream."""

    table: Table
    hash_key: DynamoType
    range_key: DynamoType | None
    item: Item | None
    records: int

    def put_back(self) -> None:
        if self.table.stream_shard:
            del self.table.stream_shard.items[self.records :]
        items: Any = self.table.items
        under, key = (items, self.hash_key) if self.range_key is None else (items[self.hash_key], self.range_key)
        if self.item is None:
            under.pop(key, None)
        else:
            under[key] = self.item


def _transacting_in_one_piece(stock: Any) -> Any:
    def transact_write_items(self: DynamoDBBackend, transact_items: Sequence[Mapping[str, Any]]) -> None:
        with writing:
            named = [operation for item in transact_items for operation in item.values()]
            before = list(_items_before(self, named))
            try:
                stock(self, transact_items)
            except Exception:
                _put_back(before)
                raise

    return transact_write_items


def _updating_in_one_piece(stock: Any) -> Any:
    def update_item(self: DynamoDBBackend, table_name: str, key: Mapping[str, Any], *args: Any, **named: Any) -> Item:
        with writing:
            before = list(_items_before(self, [{"TableName": table_name, "Key": key}]))
            created = {item.table.stream_shard for item in before if item.item is None and item.table.stream_shard}
            _putting_keys.update(created)
            try:
                updated: Item = stock(self, table_name, key, *args, **named)
            except Exception:
                _put_back(before)
                raise
            finally:
                _putting_keys.difference_update(created)
            return updated

    return update_item


def _items_before(backend: DynamoDBBackend, operations: Sequence[Mapping[str, Any]]) -> Iterator[_Before]:
    """What is no valid operation names no item: moto refuses it before it writes."""
    for operation in operations:
        table = backend.tables.get(str(operation.get("TableName")))
        key = operation.get("Key") or operation.get("Item") or {}
        if table is None or not {*table.table_key_attrs} <= key.keys():
            continue
        hash_key = DynamoType(key[table.hash_key_attr])
        range_key = DynamoType(key[table.range_key_attr]) if table.range_key_attr else None
        records = len(table.stream_shard.items) if table.stream_shard else 0
        yield _Before(table, hash_key, range_key, copy.deepcopy(table.get_item(hash_key, range_key)), records)


def _put_back(before: Sequence[_Before]) -> None:
    # an item that is named twice is put back as it was at first
    for item in before:
        item.put_back()
