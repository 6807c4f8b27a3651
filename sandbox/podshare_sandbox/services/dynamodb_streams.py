"""DynamoDB Streams' refusals of streams, shards and iterators that are not there, over which moto breaks.

Sources: DynamoDB Streams API Reference, DescribeStream, GetShardIterator, GetRecords (errors). The sentences are
DynamoDB's own.
"""

from functools import cache
from typing import Any, NoReturn

from moto.core.exceptions import ServiceException
from moto.dynamodbstreams.models import DynamoDBStreamsBackend

from podshare_sandbox.moto_extension import ServiceExtension
from podshare_sandbox.moto_repair import repair

_streams = ServiceExtension("dynamodbstreams")


@cache
def install() -> None:
    """Look before moto does. Raises RuntimeError where moto has lost a symbol."""
    repair(DynamoDBStreamsBackend, "_get_table_from_arn", _table)
    repair(DynamoDBStreamsBackend, "get_shard_iterator", _shard_iterator)
    repair(DynamoDBStreamsBackend, "get_records", _records)


def _table(original: Any) -> Any:
    def look(backend: DynamoDBStreamsBackend, arn: str) -> Any:
        known = {table.latest_stream_label: table for table in backend.dynamodb.tables.values()}
        name, _, label = arn.partition("/stream/")
        table = known.get(label) if label else None
        if table is None or table.name != name.rpartition("/")[2]:
            raise _absent(f"Requested resource not found: Stream: {arn} not found")
        return original(backend, arn)

    return look


def _shard_iterator(original: Any) -> Any:
    def look(backend: DynamoDBStreamsBackend, arn: str, shard_id: str, *others: Any) -> Any:
        shard = backend._get_table_from_arn(arn).stream_shard
        if shard is None or shard.id != shard_id:
            raise _absent(f"Requested resource not found: Shard: {shard_id} in Stream: {arn} not found")
        return original(backend, arn, shard_id, *others)

    return look


def _records(original: Any) -> Any:
    def look(backend: DynamoDBStreamsBackend, iterator: str, limit: int) -> Any:
        if iterator not in backend.shard_iterators:
            _refuse("Invalid ShardIterator")
        return original(backend, iterator, limit)

    return look


def _absent(message: str) -> ServiceException:
    return _streams.error("ResourceNotFoundException", message)


def _refuse(message: str) -> NoReturn:
    raise _streams.error("ValidationException", message, 400)
