"""DynamoDB refuses requests that its API reference refuses, in its words.

Sources: DynamoDB API Reference (BatchGetItem, BatchWriteItem, TransactWriteItems, AttributeValue, GetItem); Developer
Guide, "Expression attribute names (aliases)" and "Service, account, and table quotas".
"""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from podshare_sandbox import Sandbox
from podshare_sandbox.organization import HUB

KEY = {"id": {"S": "a"}, "at": {"N": "1"}}


@pytest.fixture(scope="module")
def dynamodb() -> Iterator[Any]:
    """A client with a table ``things``: keys ``id`` and ``at``, and an index on ``owner``."""
    with Sandbox(time_scale=0.02) as sandbox:
        # the client sends what its own validation would keep back
        client = sandbox.session(HUB).client("dynamodb", config=Config(parameter_validation=False))
        client.create_table(
            TableName="things",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": kind}
                for name, kind in (("id", "S"), ("at", "N"), ("owner", "S"))
            ],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "owners",
                    "KeySchema": [{"AttributeName": "owner", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        )
        yield client


def refused(call: Any, message: str, **parameters: Any) -> None:
    with pytest.raises(ClientError) as error:
        call(**parameters)
    assert error.value.response["Error"]["Code"] == "ValidationException"
    assert message in error.value.response["Error"]["Message"]


PLACEHOLDERS = [
    (
        {"ExpressionAttributeNames": {"#a": "a", "#b": "b"}, "ConditionExpression": "attribute_exists(#a)"},
        "Value provided in ExpressionAttributeNames unused in expressions: keys: {#b}",
    ),
    (
        {
            "ExpressionAttributeValues": {":a": {"S": "x"}, ":b": {"S": "x"}},
            "ConditionExpression": "id = :a",
        },
        "Value provided in ExpressionAttributeValues unused in expressions: keys: {:b}",
    ),
    ({"ConditionExpression": "attribute_exists(#a)"}, "attribute name used in the document path is not defined"),
    ({"ConditionExpression": "id = :a"}, "attribute value used in expression is not defined; attribute value: :a"),
    ({"ExpressionAttributeNames": {"#a": "a"}}, "can only be specified when using expressions"),
    ({"ExpressionAttributeValues": {":a": {"S": "x"}}}, "can only be specified when using expressions"),
    (
        {"ExpressionAttributeNames": {}, "ConditionExpression": "attribute_exists(id)"},
        "ExpressionAttributeNames must not be empty",
    ),
    (
        {"ExpressionAttributeNames": {"a": "a"}, "ConditionExpression": "attribute_exists(id)"},
        'ExpressionAttributeNames contains invalid key: Syntax error; key: "a"',
    ),
    (
        {"ExpressionAttributeValues": {"a": {"S": "x"}}, "ConditionExpression": "id = :a"},
        'ExpressionAttributeValues contains invalid key: Syntax error; key: "a"',
    ),
    ({"ConditionExpression": ""}, "Invalid ConditionExpression: The expression can not be empty"),
]


@pytest.mark.parametrize(("expressions", "message"), PLACEHOLDERS)
def test_placeholders_are_defined_and_used(dynamodb: Any, expressions: dict[str, Any], message: str) -> None:
    """Alone and in a transaction ("Expression attribute names (aliases)"; API Reference, ExpressionAttributeValues)."""
    refused(dynamodb.put_item, message, TableName="things", Item=KEY, **expressions)
    refused(dynamodb.delete_item, message, TableName="things", Key=KEY, **expressions)
    put = {"Put": {"TableName": "things", "Item": KEY, **expressions}}
    refused(dynamodb.transact_write_items, message, TransactItems=[put])


KEYS = [
    ({"id": {"S": "a"}}, "The provided key element does not match the schema"),
    ({**KEY, "more": {"S": "x"}}, "The provided key element does not match the schema"),
    ({"id": {"N": "1"}, "at": {"N": "1"}}, "The provided key element does not match the schema"),
    ({"id": {"S": "a"}, "at": {"S": "1"}}, "The provided key element does not match the schema"),
    ({"id": {"S": ""}, "at": {"N": "1"}}, "cannot contain an empty string value. Key: id"),
]


@pytest.mark.parametrize(("key", "message"), KEYS)
def test_a_key_is_the_tables(dynamodb: Any, key: dict[str, Any], message: str) -> None:
    """All attributes of the primary key, of their types, not empty, wherever a key is given (API, GetItem, Key)."""
    refused(dynamodb.get_item, message, TableName="things", Key=key)
    refused(dynamodb.delete_item, message, TableName="things", Key=key)
    refused(dynamodb.update_item, message, TableName="things", Key=key, UpdateExpression="REMOVE a")
    refused(dynamodb.batch_get_item, message, RequestItems={"things": {"Keys": [key]}})
    refused(dynamodb.batch_write_item, message, RequestItems={"things": [{"DeleteRequest": {"Key": key}}]})
    refused(dynamodb.transact_get_items, message, TransactItems=[{"Get": {"TableName": "things", "Key": key}}])
    refused(dynamodb.transact_write_items, message, TransactItems=[{"Delete": {"TableName": "things", "Key": key}}])


ITEMS = [
    ({"id": {"S": "a"}}, "Missing the key at in the item"),
    ({"id": {"N": "1"}, "at": {"N": "1"}}, "Type mismatch for key id expected: S actual: N"),
    ({"id": {"S": ""}, "at": {"N": "1"}}, "cannot contain an empty string value. Key: id"),
    ({**KEY, "owner": {"N": "1"}}, "Type mismatch for Index Key owner Expected: S Actual: N IndexName: owners"),
    ({**KEY, "x": {"N": "one"}}, "cannot be converted to a numeric value"),
    ({**KEY, "x": {"N": "1" * 39}}, "more than 38 significant digits"),
    ({**KEY, "x": {"SS": []}}, "may not be empty"),
    ({**KEY, "x": {"SS": ["a", "a"]}}, "contains duplicates"),
    ({**KEY, "x": {"NS": ["1", "1.0"]}}, "contains duplicates"),
    ({**KEY, "x": {"NULL": False}}, "must have the value of true"),
    ({**KEY, "x": {"M": {"y": {"L": [{"N": ""}]}}}}, "cannot be converted to a numeric value"),
]


@pytest.mark.parametrize(("item", "message"), ITEMS)
def test_an_item_has_its_keys_and_proper_values(dynamodb: Any, item: dict[str, Any], message: str) -> None:
    """Keys of the table and its indexes by type, and values of one kind (API Reference, PutItem, AttributeValue)."""
    refused(dynamodb.put_item, message, TableName="things", Item=item)
    refused(dynamodb.batch_write_item, message, RequestItems={"things": [{"PutRequest": {"Item": item}}]})
    refused(dynamodb.transact_write_items, message, TransactItems=[{"Put": {"TableName": "things", "Item": item}}])


def many(count: int) -> list[dict[str, Any]]:
    return [{"id": {"S": "a"}, "at": {"N": str(number)}} for number in range(count)]


def test_a_batch_has_its_largest_number_of_items(dynamodb: Any) -> None:
    """25 writes or 100 reads, and no item twice (API, BatchWriteItem, BatchGetItem)."""
    put, get = dynamodb.batch_write_item, dynamodb.batch_get_item
    writes = [{"PutRequest": {"Item": item}} for item in many(26)]
    put(RequestItems={"things": writes[:25]})
    refused(put, "length less than or equal to 25", RequestItems={"things": writes})
    refused(put, "contains duplicates", RequestItems={"things": [writes[0], {"DeleteRequest": {"Key": many(1)[0]}}]})
    assert len(get(RequestItems={"things": {"Keys": many(100)}})["Responses"]["things"]) == 25
    refused(get, "length less than or equal to 100", RequestItems={"things": {"Keys": many(101)}})
    refused(get, "contains duplicates", RequestItems={"things": {"Keys": [*many(1), *many(1)]}})


def test_a_transaction_has_something_to_do(dynamodb: Any) -> None:
    """From 1 to 100 items of one operation each (API, TransactWriteItems, TransactGetItems)."""
    write, get = dynamodb.transact_write_items, dynamodb.transact_get_items
    refused(write, "greater than or equal to 1", TransactItems=[])
    refused(get, "greater than or equal to 1", TransactItems=[])
    gets = [{"Get": {"TableName": "things", "Key": key}} for key in many(101)]
    refused(get, "less than or equal to 100", TransactItems=gets)
    both = {"Put": {"TableName": "things", "Item": KEY}, "Delete": {"TableName": "things", "Key": KEY}}
    refused(write, "can only contain one of", TransactItems=[both])
    refused(write, "can only contain one of", TransactItems=[{}])


def test_a_query_compares_keys_with_their_type(dynamodb: Any) -> None:
    """API Reference, Query, KeyConditionExpression: the value is of the key's type and not empty."""
    for value, message in (({"N": "1"}, "does not match schema type"), ({"S": ""}, "cannot contain an empty string")):
        refused(
            dynamodb.query,
            message,
            TableName="things",
            KeyConditionExpression="id = :id",
            ExpressionAttributeValues={":id": value},
        )
