"""Lambda's concurrency: an account's limit and what is reserved of it.

Sources: AWS Lambda Developer Guide, "Understanding Lambda function scaling", "Configuring reserved concurrency for a
function", "How Lambda handles errors and retries with asynchronous invocation", "How Lambda processes records from
stream and queue-based event sources", and the reasons of botocore's model.
"""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from podshare_sandbox import concurrency
from sandbox.tests.runtime import HUB, OTHER, REGION, Runtime, document, eventually, running_runtime, statement

# begins, says so, and waits until it is let go
HELD = """
import os, pathlib, time
def handler(event, context):
    folder = pathlib.Path(os.environ["FOLDER"])
    (folder / f"begun-{event['name']}").touch()
    while not (folder / "go").exists():
        time.sleep(0.01)
    return event["name"]
"""
NEW_ACCOUNT = 10
BELOW = r"UnreservedConcurrentExecution below its minimum value of \[%s\]"


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[Runtime]:
    """A runtime with two functions that wait to be let go."""
    with running_runtime() as runtime:
        worker = runtime.role("worker", "lambda.amazonaws.com")
        for name in ("first", "second"):
            runtime.function(name, HELD, worker, Environment={"Variables": {"FOLDER": str(tmp_path)}})
        yield runtime
        (tmp_path / "go").touch()


def invoke(aws: Runtime, function: str, name: str) -> str:
    answer = aws.client("lambda").invoke(FunctionName=function, Payload=json.dumps({"name": name}).encode())
    return str(json.loads(answer["Payload"].read()))


def begin(aws: Runtime, folder: Path, function: str, name: str) -> threading.Thread:
    """Invoke a function and return once it has begun."""
    thread = threading.Thread(target=invoke, args=(aws, function, name))
    thread.start()
    eventually((folder / f"begun-{name}").exists)
    return thread


def refusal_of(call: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as refusal:
        call()
    told: dict[str, Any] = refusal.value.response
    return told


def test_an_account_runs_no_more_than_its_limit(aws: Runtime, tmp_path: Path) -> None:
    """All functions of an account and Region share its limit; beyond it Invoke answers 429 with the reason."""
    concurrency.set_limit(HUB, REGION, 1)
    running = begin(aws, tmp_path, "first", "a")
    told = refusal_of(lambda: invoke(aws, "second", "b"))
    assert (told["Error"]["Code"], told["ResponseMetadata"]["HTTPStatusCode"]) == ("TooManyRequestsException", 429)
    assert (told["Reason"], told["Type"]) == ("ConcurrentInvocationLimitExceeded", "User")
    (tmp_path / "go").touch()
    running.join()
    assert invoke(aws, "second", "b") == "b"


def test_a_function_runs_no_more_than_is_reserved_for_it(aws: Runtime, tmp_path: Path) -> None:
    """Reserved concurrency is a limit of the function, and nobody else's."""
    aws.client("lambda").put_function_concurrency(FunctionName="first", ReservedConcurrentExecutions=1)
    running = begin(aws, tmp_path, "first", "a")
    told = refusal_of(lambda: invoke(aws, "first", "b"))
    assert told["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    other = begin(aws, tmp_path, "second", "c")
    (tmp_path / "go").touch()
    running.join()
    other.join()


def test_what_is_reserved_is_taken_from_all_others(aws: Runtime, tmp_path: Path) -> None:
    """A function with a reservation neither uses nor leaves what others share."""
    concurrency.set_limit(HUB, REGION, 101)
    aws.client("lambda").put_function_concurrency(FunctionName="first", ReservedConcurrentExecutions=1)
    concurrency.set_limit(HUB, REGION, 2)
    running = [begin(aws, tmp_path, "first", "a"), begin(aws, tmp_path, "second", "b")]
    assert refusal_of(lambda: invoke(aws, "second", "c"))["Reason"] == "ConcurrentInvocationLimitExceeded"
    (tmp_path / "go").touch()
    for thread in running:
        thread.join()


def test_a_hundred_stay_unreserved(aws: Runtime) -> None:
    """A reservation leaves 100 to the other functions; an account with 10 can reserve none."""
    reserve = aws.client("lambda").put_function_concurrency
    reserve(FunctionName="first", ReservedConcurrentExecutions=900)
    with pytest.raises(ClientError, match=BELOW % 100) as refusal:
        reserve(FunctionName="second", ReservedConcurrentExecutions=1)
    assert refusal.value.response["Error"]["Code"] == "InvalidParameterValueException"
    reserve(FunctionName="first", ReservedConcurrentExecutions=0)
    concurrency.set_limit(HUB, REGION, NEW_ACCOUNT)
    with pytest.raises(ClientError, match=BELOW % NEW_ACCOUNT):
        reserve(FunctionName="second", ReservedConcurrentExecutions=1)


def test_the_limits_are_told(aws: Runtime) -> None:
    """GetAccountSettings: 1,000 unless the account has another limit, less what is reserved, and the functions."""
    client = aws.client("lambda")
    client.put_function_concurrency(FunctionName="first", ReservedConcurrentExecutions=5)
    told = client.get_account_settings()
    assert told["AccountLimit"]["ConcurrentExecutions"] == 1000
    assert told["AccountLimit"]["UnreservedConcurrentExecutions"] == 995
    assert told["AccountUsage"]["FunctionCount"] == 2
    concurrency.set_limit(OTHER, REGION, NEW_ACCOUNT)
    limit = aws.client("lambda", OTHER).get_account_settings()["AccountLimit"]
    assert (limit["ConcurrentExecutions"], limit["UnreservedConcurrentExecutions"]) == (NEW_ACCOUNT, NEW_ACCOUNT)


def test_a_throttled_event_waits(aws: Runtime, tmp_path: Path) -> None:
    """An asynchronous invocation that is throttled is tried again for six hours, and that is no attempt."""
    concurrency.set_limit(HUB, REGION, 1)
    running = begin(aws, tmp_path, "first", "a")
    aws.client("lambda").invoke(FunctionName="second", InvocationType="Event", Payload=b'{"name": "later"}')
    (tmp_path / "go").touch()
    running.join()
    eventually((tmp_path / "begun-later").exists)


def test_a_throttled_event_gets_too_old(aws: Runtime, tmp_path: Path) -> None:
    """What is throttled for longer than MaximumEventAgeInSeconds goes to the destination of failures."""
    url, queue = aws.queue("given-up")
    policy = json.dumps(document(statement("sqs:SendMessage", resource=queue)))
    aws.client("iam").put_role_policy(RoleName="worker", PolicyName="send", PolicyDocument=policy)
    aws.client("lambda").put_function_event_invoke_config(
        FunctionName="second", MaximumEventAgeInSeconds=60, DestinationConfig={"OnFailure": {"Destination": queue}}
    )
    concurrency.set_limit(HUB, REGION, 1)
    running = begin(aws, tmp_path, "first", "a")
    aws.client("lambda").invoke(FunctionName="second", InvocationType="Event", Payload=b'{"name": "late"}')
    (message,) = eventually(lambda: aws.messages(url))
    told = json.loads(message["Body"])
    assert told["requestContext"]["condition"] == "EventAgeExceeded"
    assert told["requestPayload"] == {"name": "late"}
    (tmp_path / "go").touch()
    running.join()
