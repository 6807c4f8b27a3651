"""DynamoDB writes all or nothing, with one record for each item.

Sources: API Reference, TransactWriteItems ("either all of them succeed or none") and UpdateItem ("adds a new item to the
table if it does not already exist"); Developer Guide, "Change data capture for DynamoDB Streams" (a new item: INSERT).
"""

from typing import Any

import pytest
from moto.dynamodb.exceptions import (
    MockValidationException,
    MultipleTransactionsException,
    TransactionCanceledException,
)
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import Item
from moto.dynamodb.models.table import Table

from podshare_sandbox.delivery import streams

TABLE: dict[str, Any] = {
    "schema": [{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "part", "KeyType": "RANGE"}],
    "attr": [{"AttributeName": name, "AttributeType": "S"} for name in ("id", "part")],
    "throughput": None,
    "global_indexes": None,
    "indexes": None,
    "streams": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    "billing_mode": "PAY_PER_REQUEST",
    "sse_specification": None,
    "tags": [],
    "deletion_protection_enabled": False,
    "warm_throughput": None,
}


@pytest.fixture(name="backend")
def backend_with_twenty_items() -> DynamoDBBackend:
    """A table ``t`` with twenty items under ``a``, and a stream."""
    streams.install()
    backend = DynamoDBBackend("us-west-2", "111111111111")
    backend.create_table("t", **TABLE)
    for part in map(str, range(20)):
        backend.put_item("t", {"id": {"S": "a"}, "part": {"S": part}, "n": {"N": "1"}})
    return backend


def kept(table: Table) -> tuple[list[Any], list[Any]]:
    """All items, and all records of the stream."""
    assert table.stream_shard
    return [item.to_json() for item in table.all_items()], list(table.stream_shard.items)


def named(key: str, part: str) -> dict[str, Any]:
    return {"TableName": "t", "Key": {"id": {"S": key}, "part": {"S": part}}}


def update(key: str, part: str, text: str = "SET n = :two") -> dict[str, Any]:
    values = {"ExpressionAttributeNames": {}, "ExpressionAttributeValues": {":two": {"N": "2"}}}
    return {"Update": {**named(key, part), "UpdateExpression": text, **values}}


WRITES = [
    update("a", "1"),
    update("b", "1"),
    {"Put": {"TableName": "t", "Item": {"id": {"S": "a"}, "part": {"S": "new"}}}},
    {"Delete": named("a", "2")},
]


@pytest.mark.parametrize(
    ("refused", "error"),
    [
        (
            {"ConditionCheck": {**named("a", "3"), "ConditionExpression": "attribute_not_exists(id)"}},
            TransactionCanceledException,
        ),
        ({"Delete": named("a", "1")}, MultipleTransactionsException),
        (update("a", "4", "SET n = :two, m = gone"), MockValidationException),
    ],
)
def test_a_refused_transaction_changes_nothing(backend: DynamoDBBackend, refused: Any, error: type[Exception]) -> None:
    """Items that were changed, made or deleted before the refusal, and the stream, are as they were."""
    table = backend.tables["t"]
    before = kept(table)
    with pytest.raises(error):
        backend.transact_write_items([*WRITES, refused])
    assert kept(table) == before
    assert backend.tables["t"] is table


def test_a_transaction_leaves_one_record_for_each_item(backend: DynamoDBBackend) -> None:
    """An item that an update creates is inserted once, with all that it has."""
    table = backend.tables["t"]
    before = len(kept(table)[1])
    backend.transact_write_items(WRITES)
    records = [record.record for record in kept(table)[1][before:]]
    assert [record["eventName"] for record in records] == ["MODIFY", "INSERT", "INSERT", "REMOVE"]
    assert records[1]["dynamodb"]["NewImage"] == {"id": {"S": "b"}, "part": {"S": "1"}, "n": {"N": "2"}}


def test_a_transaction_copies_what_it_names_alone(backend: DynamoDBBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction in a table of many teams costs what it costs in one of few."""
    copied: set[str] = set()
    stock = Item.__deepcopy__

    def copying(item: Item, memo: dict[int, Any]) -> Item:
        copied.add(item.range_key.value if item.range_key else "")
        return stock(item, memo)

    monkeypatch.setattr(Item, "__deepcopy__", copying)
    backend.transact_write_items(WRITES)
    assert copied == {"1", "2"}


@pytest.mark.parametrize("part", ["1", "absent"])
def test_a_refused_update_changes_nothing(backend: DynamoDBBackend, part: str) -> None:
    """Neither is an item left that it would have created, nor what it did to one before the clause that is refused."""
    before = kept(backend.tables["t"])
    values = {":text": {"S": "x"}, ":two": {"N": "2"}}
    with pytest.raises(MockValidationException):
        backend.update_item("t", named("a", part)["Key"], "SET n = :two ADD m :text", {}, values)
    assert kept(backend.tables["t"]) == before
