"""The sandbox's clock: a test moves it, and everything in the process and in functions goes by it."""

import io
import json
import time
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from botocore.exceptions import ClientError

from podshare_sandbox import Sandbox, clock
from sandbox.tests.runtime import eventually

SOURCE = """
import datetime, os, boto3
def handler(event, context):
    boto3.client("sts").get_caller_identity()
    now = datetime.datetime.now(datetime.UTC).isoformat()
    return {"now": now, "pid": os.getpid(), "left": context.get_remaining_time_in_millis()}
"""
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
DAY = 86400.0


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """One sandbox, in which every test goes further ahead."""
    with Sandbox(time_scale=0.5, run_uploaded_code=True) as running:
        yield running


def role(sandbox: Sandbox, name: str, principal: dict[str, str]) -> str:
    """Make a role that may do everything."""
    iam = sandbox.client("iam")
    trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))["Role"]
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=document(EVERYTHING))
    return str(made["Arn"])


def document(statement: dict[str, Any]) -> str:
    """A policy document."""
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def started(sandbox: Sandbox, name: str, wait: dict[str, Any]) -> str:
    """Start an execution that does nothing but wait; its ARN."""
    states = sandbox.client("stepfunctions")
    definition = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", **wait, "End": True}}}
    machine = states.create_state_machine(
        name=name,
        roleArn=role(sandbox, name, {"Service": "states.amazonaws.com"}),
        definition=json.dumps(definition),
    )
    return str(states.start_execution(stateMachineArn=machine["stateMachineArn"])["executionArn"])


def status(sandbox: Sandbox, execution: str) -> str:
    """An execution's status."""
    return str(sandbox.client("stepfunctions").describe_execution(executionArn=execution)["status"])


def test_a_clock_is_real_until_it_is_moved_and_for_the_next_sandbox() -> None:
    """Nothing is patched before the first advance, nor after the sandbox has ended."""
    before = datetime.now(UTC)
    with Sandbox() as first:
        assert not time_machine.escape_hatch.is_travelling()
        first.advance(DAY)
        assert datetime.now(UTC) - before > timedelta(days=1)
    for _ in range(2):
        assert not time_machine.escape_hatch.is_travelling()
        with Sandbox() as second:
            made = second.client("iam").create_user(UserName="dated")["User"]["CreateDate"]
            assert made - before < timedelta(hours=1)


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_clock_goes_ahead_only(sandbox: Sandbox, seconds: int) -> None:
    """As on AWS, no time comes twice."""
    with pytest.raises(ValueError, match="goes ahead only"):
        sandbox.advance(seconds)


def test_what_the_sandbox_keeps_has_the_time_it_was_moved_to(sandbox: Sandbox) -> None:
    """moto's dates and its delays go by the clock: a message that is hidden for a quarter of an hour comes."""
    sqs = sandbox.client("sqs")
    url = sqs.create_queue(QueueName="later")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="late", DelaySeconds=900)
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    before = datetime.now(UTC)
    sandbox.advance(DAY)
    assert sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "late"
    made = sandbox.client("iam").create_user(UserName="tomorrow")["User"]["CreateDate"]
    assert made - before > timedelta(hours=23, minutes=59)


def test_functions_see_the_time_and_their_calls_are_accepted(sandbox: Sandbox) -> None:
    """A warm process follows by seconds; after minutes another one begins, since what it cached has not aged."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("app.py", SOURCE)
    sandbox.client("lambda").create_function(
        FunctionName="dated",
        Role=role(sandbox, "dated-function", {"Service": "lambda.amazonaws.com"}),
        Code={"ZipFile": package.getvalue()},
        Handler="app.handler",
        Runtime="python3.13",
        Timeout=60,
    )

    def invoked() -> dict[str, Any]:
        before = datetime.now(UTC)
        answer = sandbox.client("lambda").invoke(FunctionName="dated", Payload=b"{}")
        found: dict[str, Any] = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, found
        assert before - timedelta(seconds=0.1) < datetime.fromisoformat(found["now"]) < datetime.now(UTC)
        assert 0 < found["left"] <= 60_100
        return found

    first = invoked()
    sandbox.advance(30)
    second = invoked()
    sandbox.advance(30)
    assert invoked()["pid"] == second["pid"] == first["pid"]
    sandbox.advance(DAY)
    assert invoked()["pid"] != first["pid"]


def test_a_session_expires(sandbox: Sandbox) -> None:
    """Credentials live until their moment, and not longer."""
    arn = role(sandbox, "person", {"AWS": "111111111111"})
    found = sandbox.client("sts").assume_role(RoleArn=arn, RoleSessionName="ada", DurationSeconds=3600)["Credentials"]
    session = sandbox.session_of(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])
    sandbox.advance(1800)
    session.client("sts").get_caller_identity()
    sandbox.advance(1801)
    with pytest.raises(ClientError, match="ExpiredToken"):
        session.client("sts").get_caller_identity()


def test_a_schedule_fires_at_its_moment(sandbox: Sandbox) -> None:
    """One whose moment has come, and no other; it is under way when the clock has been moved."""
    sqs, scheduler = sandbox.client("sqs"), sandbox.client("scheduler")
    url = sqs.create_queue(QueueName="scheduled")["QueueUrl"]
    target = {
        "Arn": "arn:aws:sqs:us-west-2:111111111111:scheduled",
        "RoleArn": role(sandbox, "scheduler", {"Service": "scheduler.amazonaws.com"}),
    }
    for name, hours in (("second", 2), ("first", 1)):
        moment = datetime.now(UTC) + timedelta(hours=hours)
        scheduler.create_schedule(
            Name=name,
            ScheduleExpression=f"at({moment:%Y-%m-%dT%H:%M:%S})",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={**target, "Input": name},
            ActionAfterCompletion="DELETE",
        )

    def fired() -> list[str]:
        sandbox.settle()
        found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for one in found:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
        return [one["Body"] for one in found]

    sandbox.advance(1800)
    assert fired() == []
    sandbox.advance(1800)
    assert fired() == ["first"]
    assert [one["Name"] for one in scheduler.list_schedules()["Schedules"]] == ["second"]
    sandbox.advance(3600)
    assert fired() == ["second"]


def test_a_wait_for_a_moment_ends_at_it(sandbox: Sandbox) -> None:
    """A Timestamp is a moment, in UTC: it is not scaled."""
    moment = datetime.now(UTC) + timedelta(hours=5)
    execution = started(sandbox, "waits", {"Timestamp": f"{moment:%Y-%m-%dT%H:%M:%SZ}"})
    sandbox.advance(4 * 3600)
    time.sleep(0.3)  # in which it would come to its end
    assert status(sandbox, execution) == "RUNNING"
    sandbox.advance(3601)
    sandbox.settle()
    assert status(sandbox, execution) == "SUCCEEDED"


def test_a_wait_for_seconds_ends_when_they_have_passed(sandbox: Sandbox) -> None:
    """Ten hours take five at this scale, and are over as soon as the clock has gone as far."""
    execution = started(sandbox, "waits-long", {"Seconds": 36000})

    def is_over() -> bool:
        sandbox.advance(18000)  # again where the execution had not come to its state
        return status(sandbox, execution) == "SUCCEEDED"

    eventually(is_over)


def test_what_happens_in_the_background_pauses_by_the_clock(sandbox: Sandbox) -> None:
    """An account takes hours at this scale, and is there once they have passed."""
    sandbox.set_pace({}, 1000)
    organizations = sandbox.client("organizations", "999999999999", "us-east-1")
    asked = organizations.create_account(AccountName="lab", Email="lab@example.com")["CreateAccountStatus"]["Id"]

    def is_there() -> bool:
        sandbox.advance(DAY)
        found = organizations.describe_create_account_status(CreateAccountRequestId=asked)
        return str(found["CreateAccountStatus"]["State"]) == "SUCCEEDED"

    eventually(is_there)
    sandbox.set_pace({}, 0.5)


def test_what_is_measured_counts_an_advance_or_not(sandbox: Sandbox) -> None:
    """The sandbox's durations do, ``time.monotonic`` does not: timeouts of sockets and tasks are real."""
    before, real, offset = clock.monotonic(), time.monotonic(), clock.offset()
    sandbox.advance(DAY)
    assert clock.monotonic() - before >= DAY
    assert time.monotonic() - real < DAY
    assert clock.offset() - offset == DAY
