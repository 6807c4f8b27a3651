"""DynamoDB streams to Lambda: event source mappings with filters, batches, retries and partial failures.

moto invokes the function within PutItem, without filters, and then empties the stream. Here a write appends a record
and returns; each mapping reads the stream at its own pace, in lanes (``ParallelizationFactor``) that keep the order of
each item's records. Source: "Using AWS Lambda with Amazon DynamoDB" in the Lambda Developer Guide.
"""

import json
import threading
import uuid
import zlib
from collections import defaultdict, deque
from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from botocore.exceptions import ClientError
from moto.awslambda.exceptions import InvalidParameterValueException
from moto.awslambda.models import EventSourceMapping, LambdaBackend
from moto.awslambda.utils import get_backend as lambda_backend
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.table import StreamRecord, StreamShard
from moto.dynamodb.models.utilities import dynamo_json_dump
from moto.events.models import EventPattern

from podshare_sandbox import clock, functions
from podshare_sandbox.delivery import background, item_writes
from podshare_sandbox.delivery.item_writes import writing
from podshare_sandbox.moto_repair import repair

Record = dict[str, Any]

_LONGEST_PAUSE = 60  # seconds between two attempts
_ENDLESS = -1

_readers: dict[str, "_Reader"] = {}


def install() -> None:
    """Deliver stream records in the background."""
    repair(StreamShard, "add", _appending_only)
    item_writes.install()
    repair(LambdaBackend, "create_event_source_mapping", _starting_to_read)
    repair(LambdaBackend, "update_event_source_mapping", _reading_on)
    repair(LambdaBackend, "delete_event_source_mapping", _ceasing_to_read)
    forget()


def forget() -> None:
    """Drop all readers."""
    _readers.clear()


def _appending_only(_original: Any) -> Any:
    def add(self: StreamShard, old: Any, new: Any) -> None:
        with writing:
            if item_writes.only_puts_keys(self):
                return
            before, after = (item.to_json() if item is not None else None for item in (old, new))
            if before == after:
                return  # a write that changes nothing leaves no record
            view = self.table.stream_specification["StreamViewType"]  # type: ignore[index]  # it has a stream
            name = "INSERT" if old is None else "REMOVE" if new is None else "MODIFY"
            number = len(self.items) + self.starting_sequence_number
            record = StreamRecord(self.table, view, name, old, new, number)
            record.record |= {"awsRegion": self.table.region_name, "eventVersion": "1.1"}
            self.items.append(record)
        for reader in list(_readers.values()):
            if reader.reads(self):
                reader.wake()

    return add


def _starting_to_read(original: Any) -> Any:
    def create_event_source_mapping(self: LambdaBackend, spec: dict[str, Any]) -> EventSourceMapping:
        is_stream = ":dynamodb:" in spec.get("EventSourceArn", "")
        if is_stream:
            _check_permissions(self, spec)
        mapping: EventSourceMapping = original(self, spec)
        if is_stream:
            _readers[mapping.uuid] = _Reader(mapping)
            _readers[mapping.uuid].wake()
        return mapping

    return create_event_source_mapping


def _check_permissions(backend: LambdaBackend, spec: dict[str, Any]) -> None:
    """The function's role reads the stream; Lambda tries it when the mapping is made."""
    arn = spec["EventSourceArn"]
    function = backend.get_function(spec["FunctionName"])
    try:
        client = functions.role_of(function).client("dynamodbstreams", arn.split(":")[3])
        shard = client.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]
        iterator = client.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
        client.get_records(ShardIterator=iterator["ShardIterator"], Limit=1)
        client.list_streams()
    except ClientError as error:
        raise InvalidParameterValueException(
            f"Cannot access stream {arn}. Please ensure the role can perform the GetRecords, GetShardIterator, "
            "DescribeStream, and ListStreams Actions on your stream in IAM."
        ) from error


def _reading_on(original: Any) -> Any:
    def update_event_source_mapping(self: LambdaBackend, uuid: str, spec: dict[str, Any]) -> Any:
        mapping = original(self, uuid, spec)
        if uuid in _readers:
            _readers[uuid].wake()
        return mapping

    return update_event_source_mapping


def _ceasing_to_read(original: Any) -> Any:
    def delete_event_source_mapping(self: LambdaBackend, uuid: str) -> Any:
        _readers.pop(uuid, None)
        return original(self, uuid)

    return delete_event_source_mapping


class _Reader:
    """One mapping's place in its stream, and the lanes that work off what it has read."""

    def __init__(self, mapping: EventSourceMapping) -> None:
        self.mapping = mapping
        region, self._account, resource = mapping.event_source_arn.split(":", 5)[3:]
        self._region, self._table = region, resource.split("/")[1]
        self._lock = threading.Lock()
        self._lanes: dict[int, _Lane] = {}
        self._position = len(self._items()) if mapping.starting_position == "LATEST" else 0

    def reads(self, shard: StreamShard) -> bool:
        """Whether the shard is of this mapping's stream."""
        table = shard.table
        return (table.name, table.region_name, table.account_id) == (self._table, self._region, self._account)

    @property
    def is_active(self) -> bool:
        """Whether the mapping exists and is enabled."""
        return self.mapping.uuid in _readers and bool(self.mapping.enabled)

    def wake(self) -> None:
        """Read what is new and hand it to the lanes."""
        background.run(f"stream {self._table} to {self.mapping.function_arn}", self._read)

    def _read(self) -> None:
        if not self.is_active:
            return
        with self._lock:
            with writing:
                new = self._items()[self._position :]
            self._position += len(new)
            records = [_as_event(one, self.mapping.event_source_arn) for one in new]
            by_lane: dict[int, list[Record]] = defaultdict(list)
            for record in filter(self._wants, records):
                by_lane[self._lane_of(record)].append(record)
            for number, chosen in by_lane.items():
                self._lanes.setdefault(number, _Lane(self)).add(chosen)

    def _items(self) -> list[StreamRecord]:
        shard = dynamodb_backends[self._account][self._region].tables[self._table].stream_shard
        return shard.items if shard else []

    def _wants(self, record: Record) -> bool:
        filters = (self.mapping.filter_criteria or {}).get("Filters", [])
        return not filters or any(EventPattern.load(one["Pattern"]).matches_event(cast(Any, record)) for one in filters)

    def _lane_of(self, record: Record) -> int:
        key = json.dumps(record["dynamodb"]["Keys"], sort_keys=True).encode()
        return zlib.crc32(key) % int(self.mapping.parallelization_factor or 1)


def _as_event(record: StreamRecord, stream_arn: str) -> Record:
    """The record as Lambda passes it to a function: plain JSON, and seconds since the epoch."""
    whole = record.to_json()
    change = dict(whole["dynamodb"])
    created: datetime = change.pop("ApproximateCreationDateTime")
    event: Record = json.loads(dynamo_json_dump({**whole, "dynamodb": change}))
    event["dynamodb"]["ApproximateCreationDateTime"] = int(created.timestamp())
    event["eventSourceARN"] = stream_arn
    return event


class _Lane:
    """Records that are worked off in their order, batch by batch."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader
        self._waiting: deque[tuple[Record, datetime]] = deque()
        self._lock = threading.Lock()
        self._working = False

    def add(self, records: Sequence[Record]) -> None:
        """Queue records, and start working if nobody does."""
        with self._lock:
            self._waiting.extend((record, clock.now()) for record in records)
            if self._working:
                return
            self._working = True
        background.run(f"batches for {self._reader.mapping.function_arn}", self._work)

    def _work(self) -> None:
        mapping = self._reader.mapping
        background.pause(mapping.max_batch_window or 0)
        while batch := self._next_batch(mapping.batch_size):
            _Batch(self._reader, [record for record, _ in batch], batch[0][1]).run()

    def _next_batch(self, size: int) -> list[tuple[Record, datetime]]:
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(size, len(self._waiting)))]
            self._working = bool(batch)
            return batch


class _Batch:
    """Records that go to the function together until they succeed, or are given up."""

    def __init__(self, reader: _Reader, records: Sequence[Record], arrived: datetime) -> None:
        self._reader, self._mapping = reader, reader.mapping
        self._records, self._arrived = list(records), arrived
        self._attempts = 0
        self._unreached = 0  # invocations in a row that did not come to the function

    def run(self) -> None:
        """Invoke, retry from the first failed record, split if asked for, and give up by the mapping's limits."""
        while self._records and self._reader.is_active:
            outcome, reached = self._invoke()
            failed = self._first_failure(outcome)
            if failed is None:
                return
            self._unreached = 0 if reached else self._unreached + 1
            if reached:
                self._attempts = 1 if failed else self._attempts + 1
            self._records = self._records[failed:]
            condition = self._given_up()
            if condition:
                self._discard(condition, outcome)
                return
            if reached and self._mapping.bisect_on_error and not failed and len(self._records) > 1:
                self._split()
                return
            background.pause(min(2 ** ((self._unreached or self._attempts) - 1), _LONGEST_PAUSE))

    def _split(self) -> None:
        """Halves do not count as retries."""
        middle = len(self._records) // 2
        for half in (self._records[:middle], self._records[middle:]):
            _Batch(self._reader, half, self._arrived).run()

    def _invoke(self) -> tuple[functions.Outcome, bool]:
        """What came of it, and whether the batch reached the function.

        Throttles and errors of the service do not count as attempts ("How Lambda processes records from stream and
        queue-based event sources").
        """
        region, account = self._mapping.function_arn.split(":")[3:5]
        payload = json.dumps({"Records": self._records}).encode()
        try:
            function = lambda_backend(account, region).get_function(self._mapping.function_arn)
            return functions.invoke(function, payload), True
        except Exception as error:  # throttled, or the role cannot be assumed: Lambda tries again
            return functions.Outcome(json.dumps({"errorMessage": str(error)}).encode(), failed=True), False

    def _first_failure(self, outcome: functions.Outcome) -> int | None:
        """The index of the first record that failed; None if none did, 0 if all did."""
        if outcome.failed:
            return 0
        if "ReportBatchItemFailures" not in (self._mapping.function_response_types or []):
            return None
        answer = json.loads(outcome.payload or b"null")
        failures = (answer or {}).get("batchItemFailures") if isinstance(answer, dict | None) else [None]
        if not failures:
            return None
        numbers = [record["dynamodb"]["SequenceNumber"] for record in self._records]
        identifiers = [one.get("itemIdentifier") if isinstance(one, dict) else None for one in failures]
        if not all(identifier in numbers for identifier in identifiers):
            return 0  # an identifier that is missing, empty or unknown fails the whole batch
        return min(numbers.index(identifier) for identifier in identifiers)

    def _given_up(self) -> str | None:
        retries, age = self._mapping.max_retry_attempts, self._mapping.max_record_age
        if retries not in {None, _ENDLESS} and self._attempts > int(retries):
            return "RetryAttemptsExhausted"
        if age not in {None, _ENDLESS} and clock.passed(self._arrived, float(age)):
            return "RecordAgeExceeded"
        return None

    def _discard(self, condition: str, outcome: functions.Outcome) -> None:
        """Tell the OnFailure destination where the records are, in the function's role; the records are not sent."""
        destination = ((self._mapping.destination_config or {}).get("OnFailure") or {}).get("Destination")
        if not destination:
            return
        region, account = self._mapping.function_arn.split(":")[3:5]
        function = lambda_backend(account, region).get_function(self._mapping.function_arn)
        functions.role_of(function).send(destination, json.dumps(self._report(condition, outcome)))

    def _report(self, condition: str, outcome: functions.Outcome) -> dict[str, Any]:
        first, last = self._records[0]["dynamodb"], self._records[-1]["dynamodb"]
        response: dict[str, Any] = {"statusCode": 200, "executedVersion": "$LATEST"}
        if outcome.function_error:
            response["functionError"] = outcome.function_error
        return {
            "requestContext": {
                "requestId": str(uuid.uuid4()),
                "functionArn": self._mapping.function_arn,
                "condition": condition,
                "approximateInvokeCount": self._attempts,
            },
            "responseContext": response,
            "version": "1.0",
            "timestamp": f"{clock.now():%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
            "DDBStreamBatchInfo": {
                "shardId": "shardId-00000001541626099285-f35f62ef",
                "startSequenceNumber": first["SequenceNumber"],
                "endSequenceNumber": last["SequenceNumber"],
                "approximateArrivalOfFirstRecord": _arrival(first),
                "approximateArrivalOfLastRecord": _arrival(last),
                "batchSize": len(self._records),
                "streamArn": self._mapping.event_source_arn,
            },
        }


def _arrival(change: Record) -> str:
    return f"{datetime.fromtimestamp(change['ApproximateCreationDateTime'], clock.now().tzinfo):%Y-%m-%dT%H:%M:%SZ}"
