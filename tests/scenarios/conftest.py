"""A sandbox with podshare deployed, made once for each file of scenarios."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from podshare_cli.application import main
from podshare_cli.sandbox_deployment import deploy_podshare
from podshare_sandbox import Sandbox
from tests.acting import Ended, act_in_the_hub
from tests.scenarios.world import CLUSTER, DATASETS, HUB, REGION, Item, World


@pytest.fixture(scope="module")
def deployment() -> dict[str, str]:
    """The hub stack's parameters; a file of scenarios may have its own. No work is waited for."""
    return {"DrainSeconds": "0"}


@pytest.fixture(scope="module")
def world(deployment: dict[str, str]) -> Iterator[World]:
    """An organization with podshare, one cluster and three datasets."""
    with Sandbox(time_scale=0.02) as sandbox:
        found = World(sandbox)
        found.outputs = deploy_podshare(sandbox, deployment)
        found.put(CLUSTER, *DATASETS)
        yield found


@pytest.fixture(scope="module")
def announced(world: World) -> Iterator[Any]:
    """A rule of the operator's own for what a plan or a proof tells; the details that it has brought to a queue."""
    sqs, events = world.sandbox.client("sqs"), world.sandbox.client("events")
    hidden = {"VisibilityTimeout": "43200"}  # nobody deletes messages: they would come again after half a minute
    url = sqs.create_queue(QueueName="announced", Attributes=hidden)["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{HUB}:announced"
    pattern = {"source": ["podshare"], "detail-type": ["Access Ends Soon", "Proof Failed", "Team Held"]}
    rule = events.put_rule(Name="announced", EventPattern=json.dumps(pattern))["RuleArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    events.put_targets(Rule="announced", Targets=[{"Id": "queue", "Arn": arn}])

    def details() -> list[Item]:
        told = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"])["detail"] for message in told]

    yield details


@pytest.fixture
def call_as_auditor(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Ended]]:
    """Calls the command as somebody with no more than the policy for auditors."""
    iam = world.sandbox.client("iam", HUB)
    if "auditor" not in {user["UserName"] for user in iam.list_users()["Users"]}:
        iam.create_user(UserName="auditor")
        iam.attach_user_policy(
            UserName="auditor", PolicyArn=f"arn:aws:iam::{HUB}:policy/podshare-system/podshare-auditor"
        )
    keys = iam.create_access_key(UserName="auditor")["AccessKey"]
    act_in_the_hub(monkeypatch, keys["AccessKeyId"], keys["SecretAccessKey"])

    def call(*words: str) -> Ended:
        capsys.readouterr()
        code = main([*words])
        return Ended(code, *capsys.readouterr())

    yield call
    iam.delete_access_key(UserName="auditor", AccessKeyId=keys["AccessKeyId"])


@pytest.fixture
def audit(call_as_auditor: Callable[..., Ended]) -> Callable[[int], Item]:
    """Calls the audit as an auditor; it must end with a code."""

    def call(code: int) -> Item:
        ended, shown = call_as_auditor("access", "audit", "vision", "--json"), call_as_auditor("access", "audit")
        assert ended.code == shown.code == code
        assert ("nobody: " in shown.out) is bool(code)
        found: Item = ended.data
        return found

    return call
