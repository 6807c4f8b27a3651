"""Lambda functions run in processes of their own, in their own role, and fail as they do on AWS."""

import base64
import http.client
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from podshare_sandbox import clock, delivery, functions
from sandbox.tests.runtime import Runtime, eventually, running_runtime

SOURCE = """
import json, os, sys, time
STARTED = time.time()
def handler(event, context):
    if event == "null":
        return None
    print("event", json.dumps(event))
    for number in range(event.get("lines", 0)):
        print(f"line {number} of {event['word']}")
    if event.get("exit"):
        os._exit(event["exit"])
    if event.get("raise"):
        raise {"ValueError": ValueError, "KeyError": KeyError}[event["raise"]]("no good")
    time.sleep(event.get("sleep", 0))
    if event.get("who"):
        import boto3
        return boto3.client("sts").get_caller_identity()["Arn"]
    return {
        "pid": os.getpid(), "remaining": context.get_remaining_time_in_millis(), "arn": context.invoked_function_arn,
        "memory": context.memory_limit_in_mb, "variable": os.environ.get("GREETING"), "started": STARTED,
        "home": os.environ.get("HOME"), "region": os.environ["AWS_REGION"],
    }
"""


@pytest.fixture(scope="module")
def aws() -> Iterator[Runtime]:
    """One runtime for all tests here; each uses functions of its own where state matters."""
    with running_runtime() as runtime:
        runtime.role("worker", "lambda.amazonaws.com", ["sqs:SendMessage"])
        runtime.function(
            "plain", SOURCE, _role("worker"), Environment={"Variables": {"GREETING": "hello"}}, MemorySize=512
        )
        yield runtime


def _role(name: str) -> str:
    return f"arn:aws:iam::111111111111:role/{name}"


def _invoke(aws: Runtime, name: str, event: Any, **more: Any) -> tuple[Any, str | None]:
    answer = aws.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event), **more)
    return json.loads(answer["Payload"].read() or b"null"), answer.get("FunctionError")


def test_the_context_tells_the_function_its_limits(aws: Runtime) -> None:
    """ARN, memory, variables and the time that is left reach the handler; the person's own home does not."""
    told, error = _invoke(aws, "plain", {})
    assert error is None
    assert told["arn"] == "arn:aws:lambda:us-west-2:111111111111:function:plain"
    assert (told["memory"], told["variable"], told["region"], told["home"]) == ("512", "hello", "us-west-2", None)
    assert 5_000 < told["remaining"] <= 10_000


def test_a_function_acts_in_its_own_role(aws: Runtime) -> None:
    """The process holds the credentials of its role, with the function's name as the session's."""
    assert _invoke(aws, "plain", {"who": True})[0] == "arn:aws:sts::111111111111:assumed-role/worker/plain"


def test_environments_are_reused(aws: Runtime) -> None:
    """Two invocations in a row run in one process."""
    assert _invoke(aws, "plain", {})[0]["pid"] == _invoke(aws, "plain", {})[0]["pid"]


def test_concurrent_invocations_get_environments_of_their_own(aws: Runtime) -> None:
    """While one process is busy, another serves."""
    found: list[int] = []
    event = {"sleep": 0.5}
    threads = [threading.Thread(target=lambda: found.append(_invoke(aws, "plain", event)[0]["pid"])) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 2


def test_a_changed_configuration_starts_anew(aws: Runtime) -> None:
    """No environment outlives the variables that it was started with."""
    aws.function("changing", SOURCE, _role("worker"), Environment={"Variables": {"GREETING": "old"}})
    assert _invoke(aws, "changing", {})[0]["variable"] == "old"
    aws.client("lambda").update_function_configuration(
        FunctionName="changing", Environment={"Variables": {"GREETING": "new"}}
    )
    assert _invoke(aws, "changing", {})[0]["variable"] == "new"


def test_an_exception_is_an_unhandled_error(aws: Runtime) -> None:
    """The class of the exception is the error's type (moto says ``Handled``)."""
    told, error = _invoke(aws, "plain", {"raise": "ValueError"})
    assert (error, told["errorType"], told["errorMessage"]) == ("Unhandled", "ValueError", "no good")


def test_a_process_that_exits_is_reported(aws: Runtime) -> None:
    """An exit in the handler is ``Runtime.ExitError`` with its status, and the next invocation works."""
    told, error = _invoke(aws, "plain", {"exit": 3})
    assert (error, told["errorType"]) == ("Unhandled", "Runtime.ExitError")
    assert told["errorMessage"].endswith("Runtime exited with error: exit status 3")
    assert _invoke(aws, "plain", {})[1] is None


def test_a_timeout_ends_the_process(aws: Runtime) -> None:
    """After the function's own timeout, in real seconds, it is killed and told so."""
    aws.function("slow", SOURCE, _role("worker"), Timeout=1)
    first, _ = _invoke(aws, "slow", {})
    started = time.monotonic()
    told, error = _invoke(aws, "slow", {"sleep": 30})
    assert (error, told["errorType"]) == ("Unhandled", "Sandbox.Timedout")
    assert told["errorMessage"].endswith("Task timed out after 1.00 seconds")
    assert time.monotonic() - started < 30
    assert _invoke(aws, "slow", {})[0]["pid"] != first["pid"]


def test_a_module_that_cannot_be_imported_is_an_error_of_the_function(aws: Runtime) -> None:
    """A bad handler is ``Runtime.ImportModuleError``, without waiting for any timeout."""
    aws.function("broken", SOURCE, _role("worker"), Handler="absent.handler")
    told, error = _invoke(aws, "broken", {})
    assert (error, told["errorType"]) == ("Unhandled", "Runtime.ImportModuleError")
    assert told["errorMessage"] == "Unable to import module 'absent': No module named 'absent'"


def test_a_payload_that_is_not_json_is_refused(aws: Runtime) -> None:
    """Invoke answers 400 InvalidRequestContentException."""
    with pytest.raises(ClientError) as refusal:
        aws.client("lambda").invoke(FunctionName="plain", Payload=b"{no")
    assert refusal.value.response["Error"]["Code"] == "InvalidRequestContentException"


def test_reserved_concurrency_is_a_limit(aws: Runtime) -> None:
    """With none reserved every invocation is throttled with 429."""
    aws.function("throttled", SOURCE, _role("worker"))
    aws.client("lambda").put_function_concurrency(FunctionName="throttled", ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError) as refusal:
        _invoke(aws, "throttled", {})
    assert refusal.value.response["Error"]["Code"] == "TooManyRequestsException"
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429


def test_a_role_that_does_not_trust_lambda_runs_nothing(aws: Runtime) -> None:
    """The trust policy decides before any process starts."""
    aws.role("of-somebody-else", "ec2.amazonaws.com")
    aws.function("untrusted", SOURCE, _role("of-somebody-else"))
    with pytest.raises(ClientError) as refusal:
        _invoke(aws, "untrusted", {})
    assert refusal.value.response["Error"]["Code"] == "AccessDeniedException"


def test_output_goes_to_the_log_group_and_the_log_tail(aws: Runtime) -> None:
    """What the handler prints is in CloudWatch Logs, and the tail holds this invocation's alone."""
    aws.function("talking", SOURCE, _role("worker"))
    _invoke(aws, "talking", {"word": "first"})
    answer = aws.client("lambda").invoke(FunctionName="talking", Payload=b'{"word": "second"}', LogType="Tail")
    assert base64.b64decode(answer["LogResult"]).decode() == 'event {"word": "second"}'
    logged = aws.client("logs").filter_log_events(logGroupName="/aws/lambda/talking")["events"]
    assert [event["message"] for event in logged] == ['event {"word": "first"}', 'event {"word": "second"}']


def test_the_log_tail_has_all_that_was_printed(aws: Runtime) -> None:
    """The reply and the output come by two ways: the tail ends with the last line also where the reply was faster."""
    aws.function("wordy", SOURCE, _role("worker"))
    for count in range(20):
        answer = aws.client("lambda").invoke(
            FunctionName="wordy", Payload=json.dumps({"lines": 1000, "word": count}).encode(), LogType="Tail"
        )
        assert base64.b64decode(answer["LogResult"]).decode().endswith(f"\nline 999 of {count}")


def test_registered_code_is_used_instead_of_the_package(aws: Runtime, tmp_path: Path) -> None:
    """A folder that the deployer registers is the task root, and the working directory."""
    (tmp_path / "app.py").write_text("import os\ndef handler(event, context):\n    return os.getcwd()\n")
    arn = aws.function("from-folder", SOURCE, _role("worker"))
    functions.register_code(arn, tmp_path)
    assert _invoke(aws, "from-folder", {})[0] == str(tmp_path)


def test_a_warmed_function_has_started_before_its_first_invocation(aws: Runtime) -> None:
    """The process is there, but the handler has not run."""
    arn, logs = aws.function("warmed", f"print('begun'){SOURCE}", _role("worker")), aws.client("logs")

    def printed() -> list[str]:
        return [event["message"] for event in logs.filter_log_events(logGroupName="/aws/lambda/warmed")["events"]]

    functions.warm(arn)
    eventually(printed)  # it starts in the background
    invoked = time.time()
    assert _invoke(aws, "warmed", {})[0]["started"] < invoked
    assert eventually(printed, lambda lines: len(lines) > 1) == ["begun", "event {}"]


def test_an_event_is_tried_three_times_and_then_reported(aws: Runtime) -> None:
    """Asynchronous invocations end in the OnFailure destination and in the dead-letter queue."""
    failed_url, failed = aws.queue("failed")
    dead_url, dead = aws.queue("dead")
    aws.function("failing", SOURCE, _role("worker"), DeadLetterConfig={"TargetArn": dead})
    aws.client("lambda").put_function_event_invoke_config(
        FunctionName="failing", DestinationConfig={"OnFailure": {"Destination": failed}}
    )
    event = {"FunctionName": "failing", "Payload": b'{"raise": "KeyError"}'}
    answer = aws.client("lambda").invoke(InvocationType="Event", **event)
    assert answer["StatusCode"] == 202
    delivery.settle()
    (report,) = (json.loads(message["Body"]) for message in aws.messages(failed_url))
    assert report["requestContext"]["condition"] == "RetriesExhausted"
    assert report["requestContext"]["approximateInvokeCount"] == 3
    assert report["requestPayload"] == {"raise": "KeyError"}
    assert report["responsePayload"]["errorType"] == "KeyError"
    (letter,) = aws.messages(dead_url)
    assert json.loads(letter["Body"]) == {"raise": "KeyError"}
    assert letter["MessageAttributes"]["ErrorMessage"]["StringValue"] == "'no good'"
    told = aws.client("lambda").get_function_configuration(FunctionName="failing")
    assert told["DeadLetterConfig"] == {"TargetArn": dead}


def test_expiring_credentials_are_renewed(aws: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment whose credentials end soon serves no more."""
    aws.function("long-lived", SOURCE, _role("worker"))
    first, _ = _invoke(aws, "long-lived", {})
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now.replace(year=now.year + 1))
    assert _invoke(aws, "long-lived", {})[0]["pid"] != first["pid"]


def test_the_stand_in_for_the_native_client_does_the_same(aws: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where awslambdaric's native module is missing, results and errors are no different."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    aws.function("portable", SOURCE, _role("worker"))
    assert _invoke(aws, "portable", {})[1] is None
    told, error = _invoke(aws, "portable", {"raise": "ValueError"})
    assert (error, told["errorType"]) == ("Unhandled", "ValueError")


def test_closing_ends_all_processes(aws: Runtime) -> None:
    """No process is left, and what was running ends at once."""
    aws.function("endless", SOURCE, _role("worker"), Timeout=60)
    outcome: list[Any] = []
    thread = threading.Thread(target=lambda: outcome.append(_invoke(aws, "endless", {"sleep": 50})))
    thread.start()
    time.sleep(0.5)
    functions.close()
    thread.join(5)
    assert outcome[0][1] == "Unhandled"
    functions.install(aws.front_door, run_uploaded_code=True)


def test_a_process_that_waits_hears_nothing_when_its_environment_is_closed() -> None:
    """It is killed where it waits: awslambdaric's native client crashes on an answer that is no invocation.

    Where the connection ends it asks anew, and the address may be another environment's by then.
    """
    runtime_api = functions._RuntimeApi("arn:aws:lambda:us-west-2:111111111111:function:waiting")
    waiting = http.client.HTTPConnection(runtime_api.address, timeout=10)
    waiting.request("GET", "/2018-06-01/runtime/invocation/next")
    runtime_api.await_ready(10)
    runtime_api.close()
    assert waiting.sock is not None
    waiting.sock.settimeout(0.5)
    with pytest.raises(TimeoutError):
        waiting.getresponse()
    waiting.close()


def test_uploaded_code_runs_only_where_the_sandbox_was_told_to(aws: Runtime, tmp_path: Path) -> None:
    """Whoever may upload code would run it as the user; what the project registers runs all the same."""
    (tmp_path / "app.py").write_text("def handler(event, context):\n    return 'registered'\n")
    functions.install(aws.front_door, run_uploaded_code=False)
    try:
        arn = aws.function("uploaded", SOURCE, _role("worker"))
        with pytest.raises(ClientError, match="start it with --run-uploaded-code"):
            aws.client("lambda").invoke(FunctionName="uploaded", Payload=b"{}")
        functions.register_code(arn, tmp_path)
        assert _invoke(aws, "uploaded", {})[0] == "registered"
    finally:
        functions.install(aws.front_door, run_uploaded_code=True)
