"""DynamoDB's validation of requests that moto leaves out: placeholders, batches, transactions, keys and values.

Sources: DynamoDB API Reference (BatchGetItem, BatchWriteItem, TransactWriteItems, AttributeValue); Developer Guide,
"Expression attribute names (aliases)", "Service, account, and table quotas", "Naming rules and data types". The
sentences are DynamoDB's own.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, NoReturn

from moto.dynamodb.exceptions import MockValidationException, ResourceNotFoundException
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler

from podshare_sandbox.moto_repair import repair

MOST_WRITES = 25  # items of a BatchWriteItem
MOST_READS = 100  # items of a BatchGetItem, and of a transaction

Parameters = Mapping[str, Any]
Value = Mapping[str, Any]

_EXPRESSIONS = (
    *("ConditionExpression", "FilterExpression", "KeyConditionExpression", "ProjectionExpression", "UpdateExpression"),
)
_NAME, _VALUE = re.compile(r"#[A-Za-z0-9_]+"), re.compile(r":[A-Za-z0-9_]+")
_COMPARED = re.compile(r"([#\w]+)\s*(?:=|<=|<|>=|>)\s*(:\w+)")
_KINDS = {"S", "N", "B", "SS", "NS", "BS", "M", "L", "NULL", "BOOL"}
_SETS = {"SS": "string", "NS": "number", "BS": "binary"}
_KEY_MISMATCH = "The provided key element does not match the schema"
_MOST_DIGITS = 38
_PART_OF_A_TRANSACTION = ("Put", "Update", "Delete", "ConditionCheck", "Get")


@cache
def install() -> None:
    """Validate before moto acts. Raises RuntimeError where moto has lost a symbol."""
    for name in ("put_item", "get_item", "update_item", "delete_item", "query", "scan"):
        repair(DynamoHandler, name, _checking(_check_one))
    repair(DynamoHandler, "batch_write_item", _checking(_check_writes))
    repair(DynamoHandler, "batch_get_item", _checking(_check_reads))
    for name in ("transact_write_items", "transact_get_items"):
        repair(DynamoHandler, name, _checking(_check_transaction))


def _checking(check: Any) -> Any:
    def make(original: Any) -> Any:
        def operation(handler: DynamoHandler) -> Any:
            check(handler, handler.body)
            return original(handler)

        return operation

    return make


def _refuse(message: str) -> NoReturn:
    raise MockValidationException(message)


def _check_one(handler: DynamoHandler, asked: Parameters) -> None:
    """A request on one table, or a part of a batch or a transaction."""
    _check_placeholders(asked)
    for value in (asked.get("ExpressionAttributeValues") or {}).values():
        _check_value(value)
    table = _table(handler, asked.get("TableName"))
    if table is None:
        return  # moto tells
    if "Item" in asked:
        _check_item(table, asked["Item"])
    if "Key" in asked:
        _check_key(table, asked["Key"])
    if asked.get("KeyConditionExpression"):
        _check_key_condition(table, asked)


def _table(handler: DynamoHandler, name: Any) -> Table | None:
    try:
        return handler.dynamodb_backend.get_table(name) if isinstance(name, str) else None
    except ResourceNotFoundException:
        return None


# --- placeholders -----------------------------------------------------------------------------------------------


def _check_placeholders(asked: Parameters) -> None:
    """Each name and value that is defined is used, and the other way round."""
    expressions = {name: asked[name] for name in _EXPRESSIONS if asked.get(name) is not None}
    for name, text in expressions.items():
        if not text.strip():
            _refuse(f"Invalid {name}: The expression can not be empty;")
    for kind, placeholder, told in (("Names", _NAME, "name"), ("Values", _VALUE, "value")):
        defined = asked.get(f"ExpressionAttribute{kind}")
        used = {name: set(placeholder.findall(text)) for name, text in expressions.items()}
        _check_defined(f"ExpressionAttribute{kind}", defined, placeholder, bool(expressions))
        _check_used(used, set(defined or ()), told)
        unused = sorted(set(defined or ()) - {each for found in used.values() for each in found})
        if unused:
            keys = ", ".join(unused)
            _refuse(f"Value provided in ExpressionAttribute{kind} unused in expressions: keys: {{{keys}}}")


def _check_defined(parameter: str, defined: Any, placeholder: re.Pattern[str], has_expressions: bool) -> None:
    if defined is None:
        return
    if not has_expressions:
        _refuse(f"{parameter} can only be specified when using expressions")
    if not defined:
        _refuse(f"{parameter} must not be empty")
    for key in defined:
        if not placeholder.fullmatch(key):
            _refuse(f'{parameter} contains invalid key: Syntax error; key: "{key}"')


def _check_used(used: Mapping[str, set[str]], defined: set[str], kind: str) -> None:
    for expression, placeholders in used.items():
        for missing in sorted(placeholders - defined):
            where = "the document path" if kind == "name" else "expression"
            _refuse(
                f"Invalid {expression}: An expression attribute {kind} used in {where} is not defined; "
                f"attribute {kind}: {missing}"
            )


# --- keys and values --------------------------------------------------------------------------------------------


def _types(table: Table) -> dict[str, str]:
    """The type of each attribute that is a key of the table or of one of its indexes."""
    return {each["AttributeName"]: each["AttributeType"] for each in table.attr}


def _check_key(table: Table, key: Any) -> None:
    """Source: DynamoDB API Reference, GetItem, Key: all of the attributes of the primary key, of their types."""
    wanted = set(table.table_key_attrs)
    if not isinstance(key, Mapping) or set(key) != wanted:
        _refuse(_KEY_MISMATCH)
    for name, value in key.items():
        _check_value(value)
        if set(value) != {_types(table)[name]}:
            _refuse(_KEY_MISMATCH)
        _check_not_empty(name, value)


def _check_item(table: Table, item: Value) -> None:
    types = _types(table)
    for value in item.values():
        _check_value(value)
    for name in table.table_key_attrs:
        if name not in item:
            _refuse(f"One or more parameter values were invalid: Missing the key {name} in the item")
        _check_type(name, item[name], types[name])
        _check_not_empty(name, item[name])
    for index in [*table.indexes, *table.global_indexes]:
        for name in index.schema_key_attrs:
            if name in item and set(item[name]) != {types[name]}:
                _refuse(
                    "One or more parameter values were invalid: Type mismatch for Index Key "
                    f"{name} Expected: {types[name]} Actual: {next(iter(item[name]))} IndexName: {index.name}"
                )


def _check_type(name: str, value: Value, wanted: str) -> None:
    actual = next(iter(value))
    if actual != wanted:
        _refuse(
            f"One or more parameter values were invalid: Type mismatch for key {name} "
            f"expected: {wanted} actual: {actual}"
        )


def _check_not_empty(name: str, value: Value) -> None:
    kind, content = next(iter(value.items()))
    if kind in {"S", "B"} and not content:
        what = "string" if kind == "S" else "binary"
        _refuse(
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an "
            f"empty {what} value. Key: {name}"
        )


def _check_key_condition(table: Table, asked: Parameters) -> None:
    """A key is compared with values of its own type."""
    names, values, types = (
        asked.get("ExpressionAttributeNames") or {},
        asked["ExpressionAttributeValues"],
        _types(table),
    )
    for named, placeholder in _COMPARED.findall(asked["KeyConditionExpression"]):
        wanted = types.get(names.get(named, named))
        if wanted and set(values[placeholder]) != {wanted}:
            _refuse("One or more parameter values were invalid: Condition parameter type does not match schema type")
        if wanted:
            _check_not_empty(names.get(named, named), values[placeholder])


def _check_value(value: Any) -> None:
    """One kind, with content of that kind. Source: DynamoDB API Reference, AttributeValue."""
    if not isinstance(value, Mapping) or not value or not value.keys() <= _KINDS:
        _refuse("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
    if len(value) > 1:
        _refuse(
            "Supplied AttributeValue has more than one datatypes set, "
            "must contain exactly one of the supported datatypes"
        )
    ((kind, content),) = value.items()
    match kind:
        case "N":
            _check_number(content)
        case "NULL" if content is not True:
            _refuse("One or more parameter values were invalid: Null attribute value types must have the value of true")
        case "SS" | "NS" | "BS":
            _check_set(kind, content)
        case "L":
            for each in content:
                _check_value(each)
        case "M":
            for each in content.values():
                _check_value(each)


def _check_number(text: Any) -> None:
    try:
        number = Decimal(text)
    except (InvalidOperation, TypeError, ValueError):
        _refuse(f"The parameter cannot be converted to a numeric value: {text}")
    if not number.is_finite():
        _refuse(f"The parameter cannot be converted to a numeric value: {text}")
    digits = "".join(map(str, number.as_tuple().digits)).strip("0")
    if len(digits) > _MOST_DIGITS:
        _refuse("Attempting to store more than 38 significant digits in a Number")


def _check_set(kind: str, members: list[Any]) -> None:
    if not members:
        _refuse(f"One or more parameter values were invalid: An {_SETS[kind]} set  may not be empty")
    if kind == "NS":
        for member in members:
            _check_number(member)
    if len({Decimal(each) for each in members} if kind == "NS" else set(members)) < len(members):
        shown = ", ".join(str(member) for member in members)
        _refuse(f"One or more parameter values were invalid: Input collection [{shown}] contains duplicates.")


# --- batches and transactions -----------------------------------------------------------------------------------


def _check_writes(handler: DynamoHandler, asked: Parameters) -> None:
    requests = [(table, one) for table, many in _tables(asked) for one in many]
    _check_count(requests, MOST_WRITES, "BatchWriteItem")
    keys = []
    for name, request in requests:
        if len(request) != 1:
            _refuse(
                "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported"
            )
        ((_kind, content),) = request.items()
        _check_one(handler, {"TableName": name, **content})
        if table := _table(handler, name):
            keys.append((name, _key_of(table, content.get("Item") or content.get("Key") or {})))
    _check_unique(keys)


def _check_reads(handler: DynamoHandler, asked: Parameters) -> None:
    keys = []
    for name, wanted in _tables(asked):
        _check_placeholders(wanted)
        keys += [(name, key) for key in wanted.get("Keys", [])]
    _check_count(keys, MOST_READS, "BatchGetItem")
    for name, key in keys:
        _check_one(handler, {"TableName": name, "Key": key})
    _check_unique((name, repr(sorted(key.items(), key=repr))) for name, key in keys)


def _tables(asked: Parameters) -> Iterator[tuple[str, Any]]:
    requests = asked.get("RequestItems")
    if not requests:
        _refuse(
            "1 validation error detected: Value '{}' at 'requestItems' failed to satisfy constraint: "
            "Member must have length greater than or equal to 1"
        )
    for name, content in requests.items():
        if not (content.get("Keys") if isinstance(content, Mapping) else content):
            _refuse(
                f"1 validation error detected: Value at 'requestItems.{name}.member' failed to satisfy constraint: "
                "Member must have length greater than or equal to 1"
            )
        yield name, content


def _check_count(items: list[Any], most: int, operation: str) -> None:
    if len(items) > most:
        _refuse(f"Too many items requested for the {operation} call")


def _key_of(table: Table, item: Value) -> str:
    return repr([item.get(name) for name in table.table_key_attrs])


def _check_unique(keys: Iterable[tuple[str, str]]) -> None:
    listed = list(keys)
    if len(set(listed)) < len(listed):
        _refuse("Provided list of item keys contains duplicates")


def _check_transaction(handler: DynamoHandler, asked: Parameters) -> None:
    """From one to a hundred items, each with one operation."""
    items = asked.get("TransactItems") or []
    if not 1 <= len(items) <= MOST_READS:
        bound = "greater than or equal to 1" if not items else f"less than or equal to {MOST_READS}"
        _refuse(
            f"1 validation error detected: Value '{[] if not items else '...'}' at 'transactItems' failed to satisfy "
            f"constraint: Member must have length {bound}"
        )
    for item in items:
        parts = [item[name] for name in _PART_OF_A_TRANSACTION if item.get(name)]
        if len(parts) != 1:
            _refuse("TransactItems can only contain one of Check, Put, Update or Delete")
        _check_one(handler, parts[0])
