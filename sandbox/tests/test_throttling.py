"""Whoever asks more often than the rates allow is refused, in the words of the service."""

import json
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from podshare_sandbox import Sandbox, throttling
from podshare_sandbox.organization import DATA, HUB, IMAGES_BUCKET, SCIENTISTS
from podshare_sandbox.throttling import ACCOUNT, Bucket, Rate

NEVER = 1e-9  # a second: no bucket is refilled while a test runs
CALLS = """
import boto3, json, sys
from botocore.config import Config
from botocore.exceptions import ClientError
attempts, calls = int(sys.argv[1]), json.loads(sys.argv[2])
for service, operation, parameters, region in calls:
    client = boto3.client(service, region, config=Config(retries={"mode": "standard", "total_max_attempts": attempts}))
    try:
        metadata = getattr(client, operation)(**parameters)["ResponseMetadata"]
        print(json.dumps([metadata["HTTPStatusCode"], "", ""]))
    except ClientError as error:
        answer = error.response
        told = answer["Error"]
        print(json.dumps([answer["ResponseMetadata"]["HTTPStatusCode"], told["Code"], told["Message"]]))
"""
ROLES = ("iam", "list_roles", {}, "us-east-1")
WORDS = [
    ("iam", "list_roles", {}, [400, "Throttling", "Rate exceeded"]),
    ("sts", "get_caller_identity", {}, [400, "Throttling", "Rate exceeded"]),
    ("eks", "list_clusters", {}, [429, "ThrottlingException", "Rate exceeded"]),
    ("sagemaker", "list_clusters", {}, [400, "ThrottlingException", "Rate exceeded"]),
    ("stepfunctions", "list_state_machines", {}, [400, "ThrottlingException", "Rate exceeded"]),
    ("ssm", "describe_parameters", {}, [400, "ThrottlingException", "Rate exceeded"]),
    ("events", "list_rules", {}, [400, "ThrottlingException", "Rate exceeded"]),
    ("kms", "list_keys", {}, [400, "ThrottlingException", "Rate exceeded"]),
    ("scheduler", "list_schedules", {}, [429, "ThrottlingException", "Rate exceeded"]),
    ("s3", "list_objects_v2", {"Bucket": IMAGES_BUCKET}, [503, "SlowDown", "Please reduce your request rate."]),
    ("s3control", "list_access_points", {"AccountId": DATA}, [503, "SlowDown", "Please reduce your request rate."]),
    ("ec2", "describe_vpcs", {}, [503, "RequestLimitExceeded", "Request limit exceeded."]),
    ("organizations", "describe_organization", {}, [400, "TooManyRequestsException", throttling._ORGANIZATIONS]),
]

Call = tuple[str, str, dict[str, Any], str]


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    """An organization."""
    with Sandbox(time_scale=0.02) as started:
        yield started


@pytest.fixture
def sandbox(running: Sandbox) -> Iterator[Sandbox]:
    """An organization that is not throttled, nor is it afterwards."""
    running.set_pace({}, 0.02)
    yield running
    running.set_pace({}, 0.02)


def ask(sandbox: Sandbox, calls: list[Call], account: str = DATA, attempts: int = 1) -> list[list[Any]]:
    """Status, error code and message of each call of a client in another process, which makes them in turn."""
    command = [sys.executable, "-c", CALLS, str(attempts), json.dumps(calls)]
    done = subprocess.run(  # noqa: S603  # a command of a test
        command, env=sandbox.environment(account), capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def codes(answers: list[list[Any]]) -> list[str]:
    """The error codes, empty for what succeeded."""
    return [code for _, code, _ in answers]


def test_a_bucket_takes_its_burst_and_then_its_rate() -> None:
    """A full bucket takes its burst at once, and then as many requests a second as refill it, and never more."""
    bucket = Bucket(Rate(per_second=2, burst=3), now=100.0)
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(100.4), bucket.take(100.5), bucket.take(100.5)] == [False, True, False]
    assert [bucket.take(200.0) for _ in range(4)] == [True, True, True, False]


def test_a_bucket_is_not_drained_by_a_moment_that_has_passed() -> None:
    """Threads may ask in another order than they looked at the clock: nothing is lost, and nothing is gained twice."""
    bucket = Bucket(Rate(per_second=1, burst=1), now=10.0)
    assert [bucket.take(10.0), bucket.take(9.0), bucket.take(11.0), bucket.take(10.5)] == [True, False, True, False]


def test_seconds_are_declared_ones(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox) -> None:
    """At a scale of 0.02 a bucket of one a second is refilled by a fiftieth of a second."""
    at = [1000.0]
    monkeypatch.setattr(throttling, "time", SimpleNamespace(monotonic=lambda: at[0]))
    sandbox.set_pace({}, 0.02, {"iam:*": Rate(per_second=1, burst=1)})
    assert throttling.take("iam:GetRole", HUB, "")
    at[0] += 0.019
    assert not throttling.take("iam:GetRole", HUB, "")
    at[0] += 0.002
    assert throttling.take("iam:GetRole", HUB, "")


def test_nothing_is_throttled_unless_rates_are_given(sandbox: Sandbox) -> None:
    """Without rates, and beside those that are given, a client may ask as often as it can."""
    assert codes(ask(sandbox, [ROLES] * 20)) == [""] * 20
    sandbox.set_pace({}, 0.02, {"iam:GetRole": Rate(NEVER, 1)})
    assert codes(ask(sandbox, [ROLES] * 20)) == [""] * 20


@pytest.mark.parametrize(("service", "operation", "parameters", "words"), WORDS, ids=[row[0] for row in WORDS])
def test_a_service_refuses_in_its_own_words(
    sandbox: Sandbox, service: str, operation: str, parameters: dict[str, Any], words: list[Any]
) -> None:
    """Beyond the burst a client without retries gets the code, status and message of the service."""
    sandbox.set_pace({}, 0.02, {f"{service}:*": Rate(NEVER, 2)})
    first, second, third = ask(sandbox, [(service, operation, parameters, "us-west-2")] * 3)
    assert codes([first, second]) == ["", ""]
    assert third == words


def test_what_was_throttled_had_no_effect(sandbox: Sandbox) -> None:
    """A request that is refused changes nothing, and IAM is not asked about it."""
    sandbox.set_pace({}, 0.02, {"ssm:PutParameter": Rate(NEVER, 1)})
    puts: list[Call] = [
        ("ssm", "put_parameter", {"Name": name, "Value": "1", "Type": "String"}, "us-west-2")
        for name in ("/one", "/two")
    ]
    before = len(sandbox.decisions)
    assert codes(ask(sandbox, puts)) == ["", "ThrottlingException"]
    assert [one.action for one in sandbox.decisions[before:]] == ["ssm:PutParameter"]
    found = sandbox.client("ssm", DATA).describe_parameters()["Parameters"]
    assert [parameter["Name"] for parameter in found] == ["/one"]


def test_each_account_has_a_bucket_of_its_own(sandbox: Sandbox) -> None:
    """What one account asks takes nothing from another."""
    sandbox.set_pace({}, 0.02, {"iam:*": Rate(NEVER, 1, per=ACCOUNT)})
    assert codes(ask(sandbox, [ROLES] * 2)) == ["", "Throttling"]
    assert codes(ask(sandbox, [ROLES] * 2, SCIENTISTS[0])) == ["", "Throttling"]


def test_a_bucket_counts_in_its_region_or_everywhere(sandbox: Sandbox) -> None:
    """A Region has a bucket of its own unless the service counts an account's requests everywhere."""
    regions: list[Call] = [("eks", "list_clusters", {}, region) for region in ("us-west-2", "us-east-1", "us-west-2")]
    sandbox.set_pace({}, 0.02, {"eks:*": Rate(NEVER, 1)})
    assert codes(ask(sandbox, regions)) == ["", "", "ThrottlingException"]
    sandbox.set_pace({}, 0.02, {"eks:*": Rate(NEVER, 1, per=ACCOUNT)})
    assert codes(ask(sandbox, regions)) == ["", "ThrottlingException", "ThrottlingException"]


def test_operations_share_a_bucket_only_where_the_rate_says_so(sandbox: Sandbox) -> None:
    """Each operation that a name stands for has a bucket of its own, unless they share one; the longest name is right."""
    users, keys = ("iam", "list_users", {}, "us-east-1"), ("iam", "list_access_keys", {}, "us-east-1")
    sandbox.set_pace({}, 0.02, {"iam:*": Rate(NEVER, 1)})
    assert codes(ask(sandbox, [ROLES, users, ROLES])) == ["", "", "Throttling"]
    sandbox.set_pace({}, 0.02, {"iam:*": Rate(NEVER, 1, shared=True), "iam:ListAccess*": Rate(NEVER, 1)})
    assert codes(ask(sandbox, [ROLES, users, keys])) == ["", "Throttling", ""]


def test_a_client_that_retries_succeeds_once_the_bucket_is_refilled(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """botocore's standard mode retries what is throttled; each attempt is counted, with its number."""
    moments = iter(range(100))  # a declared second between two questions
    monkeypatch.setattr(throttling, "_now", lambda: float(next(moments)))
    sandbox.set_pace({}, 0.02, {"iam:*": Rate(per_second=0.4, burst=1)})
    assert codes(ask(sandbox, [ROLES, ROLES], attempts=4)) == ["", ""]
    asked = [(one.name, one.attempt, one.throttled) for one in sandbox.requests]
    assert asked == [
        ("iam:ListRoles", 1, False),
        ("iam:ListRoles", 1, True),
        ("iam:ListRoles", 2, True),
        ("iam:ListRoles", 3, False),
    ]


def test_what_the_sandbox_does_itself_is_not_throttled(sandbox: Sandbox) -> None:
    """A client in the sandbox's own process takes nothing from a bucket, and is not refused."""
    sandbox.set_pace({}, 0.02, {"iam:*": Rate(NEVER, 1)})
    for _ in range(3):
        sandbox.client("iam", DATA).list_roles()
    assert codes(ask(sandbox, [ROLES])) == [""]


def test_a_sandbox_begins_with_its_rates() -> None:
    """Rates that nothing could pass, or of a service whose refusal nobody knows, are refused."""
    for rates in (
        {"iam:*": Rate(0, 1)},
        {"iam:*": Rate(1, 0.5)},
        {"iam:*": Rate(1, 1, per="team")},
        {"sqs:*": Rate(1, 1)},
    ):
        with pytest.raises(ValueError, match=next(iter(rates)).replace("*", r"\*")):
            Sandbox(rates=rates)
