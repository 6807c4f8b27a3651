"""Rows of the two tables: the ids of those that are no record's, and their attributes as DynamoDB has them.

boto3 is imported with the first row: the command imports this before it knows whether it has to ask AWS.
"""

import datetime
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

from podshare.registry.items import plain

if TYPE_CHECKING:
    from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

Item = dict[str, Any]
LEASES = "lease"  # who reconciles a team: part team#NAME
STATUSES = "status"  # how each team's last run ended: part team#NAME
RECORDS = "record"  # whether a record that is no team's is acceptable: part its id
SWEEP = "sweep"  # what the last sweep found: part summary
UNWRITTEN = "unwritten"  # what the history's bucket has not taken yet: part an object's key
DELETED_RECORD = {"deleted": True}  # in place of a record that was accepted: an invalid one of its name keeps nothing
LONGEST_PART = 1024  # bytes of a sort key (DynamoDB quotas)


@cache
def _serializer() -> "TypeSerializer":
    from boto3.dynamodb.types import TypeSerializer  # noqa: PLC0415  # see above

    return TypeSerializer()


@cache
def _deserializer() -> "TypeDeserializer":
    from boto3.dynamodb.types import TypeDeserializer  # noqa: PLC0415  # see above

    return TypeDeserializer()


def to_item(attributes: Mapping[str, Any]) -> Item:
    """Attributes as DynamoDB takes them; what is None is left out."""
    serialize = _serializer().serialize
    return {name: serialize(_numbers(value)) for name, value in attributes.items() if value is not None}


def from_item(item: Mapping[str, Any]) -> Item:
    """A DynamoDB item as plain Python values."""
    deserialize = _deserializer().deserialize
    return {name: plain(deserialize(value)) for name, value in item.items()}


def moment(seconds: Any) -> str:
    """A moment as rows have it, by its seconds since 1970, as a stream has it."""
    return datetime.datetime.fromtimestamp(float(plain(seconds) or 0), datetime.UTC).isoformat(timespec="seconds")


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
