"""What clients ask over the network is counted, and answered no sooner than the latencies say."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from podshare_sandbox import Sandbox
from podshare_sandbox.organization import DATA, HUB, HUB_REGION, IMAGES_BUCKET

LATENCIES = {"iam:ListRoles": 30.0, "iam:*": 0.0, "s3:*": 20.0, "*": 10.0, "states:EnterState": 15.0}
SCALE = 0.02
CALLS = """
import boto3, sys, time
service, operation, parameters = sys.argv[1], sys.argv[2], eval(sys.argv[3])
client = boto3.client(service)
before = time.monotonic()
getattr(client, operation)(**parameters)
print(time.monotonic() - before)
"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """An organization with latencies."""
    with Sandbox(time_scale=SCALE, latencies=LATENCIES) as running:
        yield running


def ask(sandbox: Sandbox, service: str, operation: str, parameters: dict[str, Any]) -> float:
    """The seconds after which a client in another process has its answer."""
    command = [sys.executable, "-c", CALLS, service, operation, repr(parameters)]
    done = subprocess.run(  # noqa: S603  # a command of a test
        command, env=sandbox.environment(DATA), capture_output=True, text=True, check=True
    )
    return float(done.stdout)


@pytest.mark.parametrize(
    ("name", "call", "parameters", "declared"),
    [
        ("iam:ListRoles", "list_roles", {}, 30.0),
        ("s3:ListObjectsV2", "list_objects_v2", {"Bucket": IMAGES_BUCKET}, 20.0),
        ("s3control:ListAccessPoints", "list_access_points", {"AccountId": DATA}, 10.0),
        ("dynamodb:ListTables", "list_tables", {}, 10.0),
    ],
)
def test_an_answer_comes_no_sooner_than_its_latency(
    sandbox: Sandbox, name: str, call: str, parameters: dict[str, Any], declared: float
) -> None:
    """A client waits for an operation's own latency, else for its service's, else for everybody's, at the scale."""
    before = len(sandbox.requests)
    taken = ask(sandbox, name.partition(":")[0], call, parameters)
    assert taken >= declared * SCALE
    (asked,) = sandbox.requests[before:]
    assert (asked.name, asked.principal) == (name, f"arn:aws:iam::{DATA}:user/admin")


def test_what_the_sandbox_does_itself_is_no_request(sandbox: Sandbox) -> None:
    """A client in the sandbox's own process, such as a test's, neither waits nor counts."""
    before = len(sandbox.requests)
    sandbox.client("iam").list_roles()
    assert sandbox.requests[before:] == []


def test_each_state_that_an_execution_enters_takes_its_latency(sandbox: Sandbox) -> None:
    """A transition is counted, and an execution takes at least the latencies of the states that it enters."""
    iam, states = sandbox.client("iam"), sandbox.client("stepfunctions")
    trust = {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName="machine", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    steps = {"First": {"Type": "Pass", "Next": "Second"}, "Second": {"Type": "Succeed"}}
    definition = json.dumps({"StartAt": "First", "States": steps})
    machine = states.create_state_machine(name="steps", definition=definition, roleArn=role)["stateMachineArn"]
    before, began = len(sandbox.requests), time.monotonic()
    states.start_execution(stateMachineArn=machine)
    sandbox.settle()
    assert time.monotonic() - began >= 2 * LATENCIES["states:EnterState"] * SCALE
    assert [(asked.name, asked.principal) for asked in sandbox.requests[before:]] == [
        ("states:EnterState", f"arn:aws:states:{HUB_REGION}:{HUB}:stateMachine:steps {state}")
        for state in ("First", "Second")
    ]


def test_the_pace_changes_while_the_sandbox_runs(sandbox: Sandbox) -> None:
    """Preparation need not wait: latencies and the scale of time hold from then on, and counting begins again."""
    ask(sandbox, "iam", "list_roles", {})
    sandbox.set_pace({"iam:ListUsers": 50.0}, SCALE)
    try:
        assert sandbox.requests == []
        assert ask(sandbox, "iam", "list_users", {}) >= 50.0 * SCALE
        assert [asked.name for asked in sandbox.requests] == ["iam:ListUsers"]
    finally:
        sandbox.set_pace(LATENCIES, SCALE)


def test_a_latency_is_not_negative() -> None:
    """There is no sandbox with a latency below zero."""
    with pytest.raises(ValueError, match="iam:GetRole"):
        Sandbox(latencies={"iam:GetRole": -0.1})
