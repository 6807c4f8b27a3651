"""Events, schedules and stream records reach their targets in the background, as AWS authorises and retries them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.awslambda.models import LambdaFunction

from podshare_sandbox import delivery
from podshare_sandbox.delivery import events
from sandbox.tests.runtime import HUB, OTHER, REGION, Runtime, document, running_runtime, statement

THIRD = "333333333333"

STREAM_ACTIONS = (
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
    "dynamodb:DescribeStream",
    "dynamodb:ListStreams",
    "sqs:SendMessage",
)
# keeps what it was given in a queue, so that tests see batches as the function did
RECORDER = """
import boto3, json, os
def handler(event, context):
    numbers = [record["dynamodb"]["SequenceNumber"] for record in event["Records"]]
    boto3.client("sqs").send_message(QueueUrl=os.environ["QUEUE"], MessageBody=json.dumps(event))
    bad = [n for n, r in zip(numbers, event["Records"]) if r["dynamodb"]["Keys"]["id"]["S"].startswith("bad")]
    if bad and os.environ.get("PARTIAL"):
        return {"batchItemFailures": [{"itemIdentifier": bad[0]}]}
    if bad:
        raise ValueError("poison")
"""
ECHO = """
import boto3, json, os
def handler(event, context):
    boto3.client("sqs").send_message(QueueUrl=os.environ["QUEUE"], MessageBody=json.dumps(event))
"""
PASS = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}


@pytest.fixture(scope="module")
def aws() -> Iterator[Runtime]:
    """One runtime for all tests here; each uses rules, tables and queues of its own."""
    with running_runtime() as runtime:
        yield runtime


def _rule(aws: Runtime, name: str, target: dict[str, Any], account: str = HUB, **more: Any) -> str:
    client = aws.client("events", account)
    pattern = {} if "ScheduleExpression" in more else {"EventPattern": json.dumps({"source": [name]})}
    arn = client.put_rule(Name=name, **pattern, **more)["RuleArn"]
    client.put_targets(Rule=name, Targets=[{"Id": "one", **target}], **_bus(more))
    return str(arn)


def _bus(parameters: dict[str, Any]) -> dict[str, Any]:
    return {"EventBusName": parameters["EventBusName"]} if "EventBusName" in parameters else {}


def _put(aws: Runtime, source: str, detail: dict[str, Any], **more: Any) -> None:
    entry = {"Source": source, "DetailType": "Something", "Detail": json.dumps(detail), **more}
    answer = aws.client("events").put_events(Entries=[entry])
    assert answer["FailedEntryCount"] == 0


def _bodies(aws: Runtime, url: str, account: str = HUB) -> list[Any]:
    return [json.loads(message["Body"]) for message in aws.messages(url, account)]


def _open_queue(aws: Runtime, name: str, rule: str) -> tuple[str, str]:
    url, arn = aws.queue(name)
    aws.open_queue(url, arn, f"arn:aws:events:{REGION}:{HUB}:rule/{rule}")
    return url, arn


# --- rules ---------------------------------------------------------------------------------------------------------


def test_an_event_reaches_a_queue_whole(aws: Runtime) -> None:
    """The envelope has all its members, with the time as text."""
    url, arn = _open_queue(aws, "whole", "whole")
    _rule(aws, "whole", {"Arn": arn})
    _put(aws, "whole", {"a": 1}, Resources=["arn:aws:x:::y"])
    delivery.settle()
    (event,) = _bodies(aws, url)
    assert event.keys() == {
        "version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail"
    }  # fmt: skip
    assert (event["account"], event["region"], event["detail"]) == (HUB, REGION, {"a": 1})
    assert event["time"].endswith("Z")


def test_a_queue_without_a_policy_gets_nothing(aws: Runtime) -> None:
    """EventBridge may send only where the queue's policy lets this rule, and says so in the dead-letter queue."""
    url, arn = aws.queue("closed")
    dead_url, dead = _open_queue(aws, "closed-dead", "closed")
    rule = _rule(aws, "closed", {"Arn": arn, "DeadLetterConfig": {"Arn": dead}})
    _put(aws, "closed", {})
    delivery.settle()
    assert _bodies(aws, url) == []
    (letter,) = aws.messages(dead_url)
    told = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    assert (told["RULE_ARN"], told["TARGET_ARN"], told["ERROR_CODE"]) == (rule, arn, "NO_PERMISSIONS")
    assert json.loads(letter["Body"])["source"] == "closed"


def test_another_rule_may_not_use_the_queues_permission(aws: Runtime) -> None:
    """``aws:SourceArn`` in a queue's policy tells rules apart."""
    url, arn = _open_queue(aws, "tied", "tied")
    _rule(aws, "stranger", {"Arn": arn})
    _put(aws, "stranger", {})
    delivery.settle()
    assert _bodies(aws, url) == []


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ({"Input": '{"fixed": true}'}, {"fixed": True}),
        ({"InputPath": "$.detail.inner"}, {"x": 'say "hi"'}),
        (
            {
                "InputTransformer": {
                    "InputPathsMap": {"x": "$.detail.inner.x", "all": "$.detail", "type": "$.detail-type"},
                    "InputTemplate": '{"bare": <x>, "text": "it is <x>", "object": <all>, "type": <type>}',
                }
            },
            {
                "bare": 'say "hi"',
                "text": 'it is say "hi"',
                "object": {"inner": {"x": 'say "hi"'}},
                "type": "Something",
            },
        ),
    ],
)
def test_a_target_gets_the_input_that_it_asks_for(shape: dict[str, Any], expected: Any) -> None:
    """Fixed input, a part of the event, or a template whose values are quoted as their place needs."""
    event = {"detail-type": "Something", "time": "now", "detail": {"inner": {"x": 'say "hi"'}}}
    assert json.loads(events.input_of(shape, event)) == expected


def test_a_function_needs_its_own_permission(aws: Runtime) -> None:
    """A rule invokes a function only after AddPermission for it."""
    url, _ = aws.queue("invoked")
    role = aws.role("invoked", "lambda.amazonaws.com", ["sqs:SendMessage"])
    function = aws.function("invoked", ECHO, role, Environment={"Variables": {"QUEUE": url}})
    rule = _rule(aws, "invoked", {"Arn": function})
    _put(aws, "invoked", {"n": 1})
    delivery.settle()
    assert _bodies(aws, url) == []
    aws.client("lambda").add_permission(
        FunctionName="invoked",
        StatementId="rule",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=rule,
    )
    _put(aws, "invoked", {"n": 2})
    delivery.settle()
    assert [event["detail"] for event in _bodies(aws, url)] == [{"n": 2}]


def test_a_rule_starts_a_state_machine_in_its_role(aws: Runtime) -> None:
    """The target's role is assumed by EventBridge and needs states:StartExecution; moto raises an error instead."""
    machine = _machine(aws, "started")
    starter = aws.role("starter", "events.amazonaws.com", ["states:StartExecution"])
    _rule(aws, "started", {"Arn": machine, "RoleArn": starter})
    _put(aws, "started", {"n": 1})
    delivery.settle()
    (execution,) = aws.client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]
    told = aws.client("stepfunctions").describe_execution(executionArn=execution["executionArn"])
    assert json.loads(told["input"])["detail"] == {"n": 1}


def test_a_role_without_the_permission_starts_nothing(aws: Runtime) -> None:
    """A refusal is not retried; the event goes to the dead-letter queue."""
    machine = _machine(aws, "refused")
    dead_url, dead = _open_queue(aws, "refused-dead", "refused")
    powerless = aws.role("powerless", "events.amazonaws.com")
    _rule(aws, "refused", {"Arn": machine, "RoleArn": powerless, "DeadLetterConfig": {"Arn": dead}})
    _put(aws, "refused", {})
    delivery.settle()
    assert aws.client("stepfunctions").list_executions(stateMachineArn=machine)["executions"] == []
    (letter,) = aws.messages(dead_url)
    assert letter["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"


def test_a_state_machine_target_without_a_role_is_refused(aws: Runtime) -> None:
    """PutTargets answers ValidationException."""
    machine = _machine(aws, "roleless")
    with pytest.raises(ClientError, match="RoleArn is required") as refusal:
        _rule(aws, "roleless", {"Arn": machine})
    assert refusal.value.response["Error"]["Code"] == "ValidationException"


def _machine(aws: Runtime, name: str) -> str:
    role = aws.role(f"{name}-machine", "states.amazonaws.com")
    answer = aws.client("stepfunctions").create_state_machine(name=name, definition=json.dumps(PASS), roleArn=role)
    return str(answer["stateMachineArn"])


def test_an_event_keeps_its_origin_on_another_accounts_bus(aws: Runtime) -> None:
    """Account, Region, id, time and resources are the sender's; moto drops them."""
    url, arn = _bus_behind_a_queue(aws, "hub")
    forwarder = aws.role("forwarder", "events.amazonaws.com", ["events:PutEvents"], account=OTHER)
    _rule(aws, "abroad", {"Arn": arn, "RoleArn": forwarder}, account=OTHER)
    delivery.put_event(
        OTHER, REGION, {"source": "abroad", "detail-type": "T", "resources": ["r"], "detail": {"n": 1}, "id": "1-2-3"}
    )
    delivery.settle()
    (event,) = _bodies(aws, url)
    assert (event["account"], event["id"], event["resources"]) == (OTHER, "1-2-3", ["r"])


def test_a_bus_refuses_accounts_that_its_policy_does_not_name(aws: Runtime) -> None:
    """The cross-account rule: the sender's role and the bus must both allow it."""
    url, arn = _bus_behind_a_queue(aws, "closed-hub", policy=False)
    forwarder = aws.role("forwarder-2", "events.amazonaws.com", ["events:PutEvents"], account=OTHER)
    _rule(aws, "abroad-2", {"Arn": arn, "RoleArn": forwarder}, account=OTHER)
    delivery.put_event(OTHER, REGION, {"source": "abroad-2", "detail-type": "T", "detail": {}})
    delivery.settle()
    assert _bodies(aws, url) == []


def test_a_bus_may_admit_one_source_alone(aws: Runtime) -> None:
    """``events:source`` in a bus policy is the event's ("Using IAM policy conditions in Amazon EventBridge")."""
    wanted = {"ForAllValues:StringEquals": {"events:source": "wanted"}, "Null": {"events:source": "false"}}
    url, arn = _bus_behind_a_queue(aws, "choosy-hub", condition=wanted)
    forwarder = aws.role("forwarder-3", "events.amazonaws.com", ["events:PutEvents"], account=OTHER)
    for source in ("wanted", "unwanted"):
        _rule(aws, source, {"Arn": arn, "RoleArn": forwarder}, account=OTHER)
        delivery.put_event(OTHER, REGION, {"source": source, "detail-type": "T", "detail": {}})
    delivery.settle()
    assert [event["source"] for event in _bodies(aws, url)] == ["wanted"]


def test_a_bus_can_tell_forwarded_events_from_put_ones(aws: Runtime) -> None:
    """events:eventBusInvocation is true where a rule forwards, false for a direct PutEvents (guide, policy conditions)."""
    for name, forwarded in (("true-hub", "true"), ("false-hub", "false")):
        url, arn = _bus_behind_a_queue(aws, name, condition={"Bool": {"events:eventBusInvocation": forwarded}})
        forwarder = aws.role(f"forwarder-{forwarded}", "events.amazonaws.com", ["events:PutEvents"], account=OTHER)
        _rule(aws, f"abroad-{forwarded}", {"Arn": arn, "RoleArn": forwarder}, account=OTHER)
        delivery.put_event(OTHER, REGION, {"source": f"abroad-{forwarded}", "detail-type": "T", "detail": {}})
        delivery.settle()
        assert len(_bodies(aws, url)) == (forwarded == "true")
        entry = {"Source": "mine", "DetailType": "T", "Detail": "{}", "EventBusName": arn}
        if forwarded == "true":
            with pytest.raises(ClientError, match="AccessDenied"):
                aws.client("events", OTHER).put_events(Entries=[entry])
        else:
            assert aws.client("events", OTHER).put_events(Entries=[entry])["FailedEntryCount"] == 0


def test_an_event_from_another_account_goes_to_no_third(aws: Runtime) -> None:
    """It reaches a second bus of the account that received it ("Sending and receiving events between AWS accounts")."""
    url, arn = _bus_behind_a_queue(aws, "third-hub", account=THIRD, admitted=HUB)
    own_url, own = _bus_behind_a_queue(aws, "second-hub", admitted=HUB)
    _, first = _bus_behind_a_queue(aws, "first-hub")
    inner = aws.role("inner", "events.amazonaws.com", ["events:PutEvents"])
    for name, target in (("abroad", arn), ("within", own)):
        _forward(aws, "first-hub", name, target, inner)
    forwarder = aws.role("forwarder-4", "events.amazonaws.com", ["events:PutEvents"], account=OTHER)
    _rule(aws, "far", {"Arn": first, "RoleArn": forwarder}, account=OTHER)
    delivery.put_event(OTHER, REGION, {"source": "far", "detail-type": "T", "detail": {}})
    delivery.settle()
    assert _bodies(aws, url, THIRD) == []
    assert [event["source"] for event in _bodies(aws, own_url)] == ["far"]


def test_an_event_goes_to_no_third_bus_of_an_account(aws: Runtime) -> None:
    """From the first bus to the second, but no further ("Sending and receiving events between AWS accounts")."""
    urls = {}
    for name in ("bus-2", "bus-3"):
        urls[name], _ = _bus_behind_a_queue(aws, name, admitted=HUB)
    inner = aws.role("chain", "events.amazonaws.com", ["events:PutEvents"])
    bus = f"arn:aws:events:{REGION}:{HUB}:event-bus/"
    _rule(aws, "chained", {"Arn": f"{bus}bus-2", "RoleArn": inner})
    _forward(aws, "bus-2", "on", f"{bus}bus-3", inner)
    delivery.put_event(HUB, REGION, {"source": "chained", "detail-type": "T", "detail": {}})
    delivery.settle()
    assert [event["source"] for event in _bodies(aws, urls["bus-2"])] == ["chained"]
    assert _bodies(aws, urls["bus-3"]) == []


def test_nobody_speaks_for_an_aws_service(aws: Runtime) -> None:
    """PutEvents refuses sources that begin with ``aws.`` (EventBridge API, PutEvents); moto takes them."""
    entry = {"Source": "aws.organizations", "DetailType": "T", "Detail": "{}"}
    answer = aws.client("events").put_events(Entries=[entry, {**entry, "Source": "mine"}])
    assert [one.get("ErrorCode") for one in answer["Entries"]] == ["NotAuthorizedForSourceException", None]
    assert answer["FailedEntryCount"] == 1


@pytest.mark.usefixtures("aws")
def test_services_may_listen_to_a_source() -> None:
    """Whoever listens is called after each event of the source, and of no other."""
    heard: list[str] = []
    delivery.listen("listened", lambda: heard.append("event"))
    for source in ("listened", "other", "listened"):
        delivery.put_event(HUB, REGION, {"source": source, "detail-type": "T", "detail": {}})
    assert heard == ["event"] * 2


def _forward(aws: Runtime, bus: str, name: str, target: str, role: str) -> None:
    """Let a bus hand all its events on to another."""
    events = aws.client("events")
    events.put_rule(Name=name, EventBusName=bus, EventPattern='{"account": [{"exists": true}]}')
    events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "on", "Arn": target, "RoleArn": role}])


def _bus_behind_a_queue(
    aws: Runtime, name: str, *, policy: bool = True, account: str = HUB, admitted: str = OTHER, condition: Any = None
) -> tuple[str, str]:
    bus = aws.client("events", account)
    arn = bus.create_event_bus(Name=name)["EventBusArn"]
    if policy:
        allowed = {**statement("events:PutEvents", resource=arn), "Sid": "other", "Principal": {"AWS": admitted}}
        if condition:
            allowed["Condition"] = condition
        bus.put_permission(EventBusName=name, Policy=json.dumps(document(allowed)))
    url, queue = aws.queue(f"{name}-queue", account)
    rule = bus.put_rule(Name="all", EventBusName=name, EventPattern='{"account": [{"exists": true}]}')["RuleArn"]
    aws.open_queue(url, queue, rule, account)
    bus.put_targets(Rule="all", EventBusName=name, Targets=[{"Id": "one", "Arn": queue}])
    return url, str(arn)


# --- schedules -----------------------------------------------------------------------------------------------------


def test_a_scheduled_rule_fires_when_told(aws: Runtime) -> None:
    """It sends a ``Scheduled Event``, and does not answer to events."""
    url, arn = _open_queue(aws, "nightly", "nightly")
    rule = _rule(aws, "nightly", {"Arn": arn}, ScheduleExpression="rate(1 day)")
    _put(aws, "anything", {})
    delivery.settle()
    assert _bodies(aws, url) == []
    delivery.fire_schedule("nightly")
    delivery.settle()
    (event,) = _bodies(aws, url)
    assert (event["detail-type"], event["source"], event["resources"]) == ("Scheduled Event", "aws.events", [rule])


def test_a_schedule_calls_its_target_in_its_role(aws: Runtime) -> None:
    """EventBridge Scheduler's placeholders are filled; moto stores schedules and never runs them."""
    url, arn = aws.queue("ticks")
    role = aws.role("ticker", "scheduler.amazonaws.com", ["sqs:SendMessage"])
    aws.client("scheduler").create_schedule(
        Name="tick",
        ScheduleExpression="cron(0 3 * * ? *)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": arn, "RoleArn": role, "Input": '{"schedule": "<aws.scheduler.schedule-arn>"}'},
    )
    delivery.fire_schedule("tick")
    delivery.settle()
    assert _bodies(aws, url) == [{"schedule": f"arn:aws:scheduler:{REGION}:{HUB}:schedule/default/tick"}]


@pytest.mark.usefixtures("aws")
def test_an_unknown_schedule_cannot_be_fired() -> None:
    """LookupError names it."""
    with pytest.raises(LookupError, match="no-such"):
        delivery.fire_schedule("no-such")


# --- streams -------------------------------------------------------------------------------------------------------


class Stream:
    """A table with a stream, and a recording function that reads it."""

    def __init__(self, aws: Runtime, name: str, partial: bool = False, **mapping: Any) -> None:
        self.aws, self.name = aws, name
        answer = aws.client("dynamodb").create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        self.arn = answer["TableDescription"]["LatestStreamArn"]
        self.url, _ = aws.queue(f"{name}-seen")
        self.role = aws.role(f"{name}-reader", "lambda.amazonaws.com", STREAM_ACTIONS)
        variables = {"QUEUE": self.url, **({"PARTIAL": "yes"} if partial else {})}
        aws.function(name, RECORDER, self.role, Environment={"Variables": variables})
        self.mapping = mapping

    def read(self) -> str:
        """Make the event source mapping; returns its id."""
        settings = {"StartingPosition": "TRIM_HORIZON", "MaximumRetryAttempts": 2, **self.mapping}
        answer = self.aws.client("lambda").create_event_source_mapping(
            FunctionName=self.name, EventSourceArn=self.arn, **settings
        )
        return str(answer["UUID"])

    def write(self, *keys: str, **attributes: str) -> None:
        """Put an item for each key."""
        for key in keys:
            item = {"id": {"S": key}, **{name: {"S": value} for name, value in attributes.items()}}
            self.aws.client("dynamodb").put_item(TableName=self.name, Item=item)

    def batches(self) -> list[list[str]]:
        """The keys of each batch that the function saw, once all is quiet."""
        delivery.settle()
        return [
            [record["dynamodb"]["Keys"]["id"]["S"] for record in event["Records"]]
            for event in _bodies(self.aws, self.url)
        ]


def test_a_write_does_not_wait_for_its_readers(aws: Runtime) -> None:
    """PutItem returns before the function runs, which gets the record as Lambda shapes it."""
    stream = Stream(aws, "shape")
    stream.read()
    stream.write("a", colour="red")
    assert any("stream shape" in one or ":shape" in one for one in delivery.in_flight())
    stream.write("a", colour="blue")
    delivery.settle()
    records = [record for event in _bodies(aws, stream.url) for record in event["Records"]]
    assert [record["eventName"] for record in records] == ["INSERT", "MODIFY"]
    last = records[-1]
    assert (last["awsRegion"], last["eventSource"], last["eventSourceARN"]) == (REGION, "aws:dynamodb", stream.arn)
    assert last["dynamodb"]["OldImage"] == {"id": {"S": "a"}, "colour": {"S": "red"}}
    assert last["dynamodb"]["NewImage"] == {"id": {"S": "a"}, "colour": {"S": "blue"}}
    assert isinstance(last["dynamodb"]["ApproximateCreationDateTime"], int)
    assert isinstance(last["dynamodb"]["SequenceNumber"], str)


def test_the_stream_stays_readable(aws: Runtime) -> None:
    """Delivery does not empty the stream, and a write that changes nothing leaves no record."""
    stream = Stream(aws, "kept")
    stream.read()
    stream.write("a", "a", "b")
    delivery.settle()
    streams = aws.client("dynamodbstreams")
    shard = streams.describe_stream(StreamArn=stream.arn)["StreamDescription"]["Shards"][0]["ShardId"]
    iterator = streams.get_shard_iterator(StreamArn=stream.arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    records = streams.get_records(ShardIterator=iterator["ShardIterator"])["Records"]
    assert [record["dynamodb"]["Keys"]["id"]["S"] for record in records] == ["a", "b"]


def test_trim_horizon_reads_what_was_written_before(aws: Runtime) -> None:
    """In batches of at most the batch size, in order."""
    stream = Stream(aws, "horizon", BatchSize=2)
    stream.write("a", "b", "c")
    stream.read()
    assert stream.batches() == [["a", "b"], ["c"]]


def test_latest_reads_only_what_is_written_after(aws: Runtime) -> None:
    """A mapping from LATEST skips older records."""
    stream = Stream(aws, "latest", StartingPosition="LATEST")
    stream.write("a")
    stream.read()
    stream.write("b")
    assert stream.batches() == [["b"]]


def test_filters_choose_records(aws: Runtime) -> None:
    """Records that no filter wants never reach the function."""
    pattern = json.dumps({"eventName": ["INSERT"], "dynamodb": {"Keys": {"id": {"S": [{"prefix": "team#"}]}}}})
    stream = Stream(aws, "filtered", FilterCriteria={"Filters": [{"Pattern": pattern}]})
    stream.write("team#a", "cluster#x", "team#b", "team#a")
    stream.read()
    assert stream.batches() == [["team#a", "team#b"]]


def test_a_failing_batch_is_retried_and_then_reported(aws: Runtime) -> None:
    """After MaximumRetryAttempts the destination is told where the records are, and the stream goes on."""
    dead_url, dead = aws.queue("poison-dead")
    stream = Stream(aws, "poison", BatchSize=1, DestinationConfig={"OnFailure": {"Destination": dead}})
    stream.write("bad", "good")
    stream.read()
    assert stream.batches() == [["bad"], ["bad"], ["bad"], ["good"]]
    (report,) = _bodies(aws, dead_url)
    assert report["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert report["requestContext"]["approximateInvokeCount"] == 3
    assert report["DDBStreamBatchInfo"]["batchSize"] == 1
    assert report["DDBStreamBatchInfo"]["streamArn"] == stream.arn
    assert "Records" not in report


def test_a_batch_is_bisected_until_the_poison_is_alone(aws: Runtime) -> None:
    """Halves do not count as retries, and keep the order."""
    stream = Stream(aws, "bisected", BisectBatchOnFunctionError=True, MaximumRetryAttempts=1)
    stream.write("a", "b", "bad", "c")
    stream.read()
    assert stream.batches() == [["a", "b", "bad", "c"], ["a", "b"], ["bad", "c"], ["bad"], ["bad"], ["c"]]


def test_a_partial_failure_is_retried_from_the_first_failed_record(aws: Runtime) -> None:
    """With ReportBatchItemFailures the records before it are done, those after it come again."""
    stream = Stream(aws, "partial", partial=True, FunctionResponseTypes=["ReportBatchItemFailures"])
    stream.write("a", "bad", "b")
    stream.read()
    assert stream.batches() == [["a", "bad", "b"], ["bad", "b"], ["bad", "b"]]


def test_lanes_keep_the_order_of_each_key(aws: Runtime) -> None:
    """With a ParallelizationFactor a poisoned key holds up only its own lane."""
    stream = Stream(aws, "lanes", BatchSize=1, ParallelizationFactor=4)
    for number in "123":
        stream.write("a", "b", "c", n=number)
    stream.read()
    assert sorted(key for batch in stream.batches() for key in batch) == ["a"] * 3 + ["b"] * 3 + ["c"] * 3


def test_a_disabled_mapping_reads_nothing_until_it_is_enabled(aws: Runtime) -> None:
    """Its place in the stream is kept."""
    stream = Stream(aws, "paused", Enabled=False)
    mapping = stream.read()
    stream.write("a")
    assert stream.batches() == []
    aws.client("lambda").update_event_source_mapping(UUID=mapping, Enabled=True)
    assert stream.batches() == [["a"]]


def test_a_deleted_mapping_reads_no_more(aws: Runtime) -> None:
    """Nothing is delivered after DeleteEventSourceMapping."""
    stream = Stream(aws, "deleted")
    aws.client("lambda").delete_event_source_mapping(UUID=stream.read())
    stream.write("a")
    assert stream.batches() == []


def test_a_mapping_needs_the_functions_permission_to_read(aws: Runtime) -> None:
    """CreateEventSourceMapping refuses a role that may not read the stream."""
    stream = Stream(aws, "unreadable")
    aws.client("iam").delete_role_policy(RoleName="unreadable-reader", PolicyName="allowed")
    with pytest.raises(ClientError, match="Please ensure the role can perform") as refusal:
        stream.read()
    assert refusal.value.response["Error"]["Code"] == "InvalidParameterValueException"


def test_a_transaction_that_fails_leaves_no_record(aws: Runtime) -> None:
    """Readers see only what was committed."""
    stream = Stream(aws, "transaction")
    stream.read()
    stream.write("exists")
    put = {"Put": {"TableName": stream.name, "Item": {"id": {"S": "new"}}}}
    clash = {
        "Put": {
            "TableName": stream.name,
            "Item": {"id": {"S": "exists"}, "n": {"S": "2"}},
            "ConditionExpression": "attribute_not_exists(id)",
        }
    }
    with pytest.raises(ClientError, match="TransactionCanceled"):
        aws.client("dynamodb").transact_write_items(TransactItems=[put, clash])
    assert stream.batches() == [["exists"]]


def test_settle_names_what_still_runs(aws: Runtime) -> None:
    """TimeoutError tells the culprit instead of hiding it."""
    role = aws.role("sleeper", "lambda.amazonaws.com")
    aws.function("sleeper", "import time\ndef handler(e, c):\n time.sleep(1)\n", role)
    aws.client("lambda").invoke(FunctionName="sleeper", InvocationType="Event", Payload=b"{}")
    with pytest.raises(TimeoutError, match="Lambda invocations"):
        delivery.settle(0.2)
    delivery.settle()
    assert delivery.in_flight() == []
    assert LambdaFunction.invoke.__module__ == "podshare_sandbox.functions"
