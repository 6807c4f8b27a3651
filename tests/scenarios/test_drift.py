"""Tampering is told by CloudTrail, and heals without anybody starting anything.

Each test waits until all is quiet before the next one tampers. Times are of two busy cores, and without what CloudTrail
and EventBridge take on AWS; pauses run at a fiftieth of real time.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from podshare_cli.sandbox_deployment import deploy_podshare
from podshare_sandbox import Sandbox, delivery, trail
from tests.builders import a_team_item
from tests.scenarios.test_permissions import READER, TAMPERING, granted
from tests.scenarios.world import CLUSTER, DATA, DATASETS, HUB, IMAGES, REGION, VISION, Item, World, awaited

# one of each service: that a run mends every kind is test_permissions' matter, that it begins is this one's
KINDS = (
    "trust opened",
    "entry made cluster admin",
    "access point policy widened",
    "our bucket statement removed",
    "quota changed",
    "scheduler changed",
    "grant of a key revoked",
    "parameter changed",
)
LONG = "a-team-with-a-name-of-its-own"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """An organization with podshare and a trail, one cluster and three datasets."""
    with Sandbox(time_scale=0.02) as sandbox:
        found = World(sandbox)
        found.outputs = deploy_podshare(sandbox, {"DrainSeconds": "0"}, with_drift=True)
        found.put({**CLUSTER, "scheduler": {"priority_classes": [{"name": "training", "weight": 60}]}}, *DATASETS)
        yield found


def triggers(world: World, team: str) -> list[Item]:
    """The triggers of a team's runs that calls have started, newest first."""
    found = [json.loads(execution["input"])["trigger"] for execution in world.executions(team)]
    return [trigger for trigger in found if trigger["event"] == "drift"]


def of_others(world: World, team: str) -> list[Item]:
    return [trigger for trigger in triggers(world, team) if not trigger["id"].startswith("own calls/")]


@pytest.fixture(scope="module", autouse=True)
def team(world: World) -> None:
    """A team with a scientist and a pod that reads."""
    assert world.put_team("vision", members=[{"account": VISION}], service_accounts=READER)["state"] == "READY"


def test_own_calls_lead_to_one_run_that_finds_nothing(world: World) -> None:
    """Onboarding calls AWS fifteen times; after it one run per five minutes looks once more, and changes nothing."""
    windows = [trigger["id"] for trigger in triggers(world, "vision")]
    assert windows
    assert len(windows) == len(set(windows)) <= 2  # the onboarding may lie on both sides of a boundary
    assert all(window.startswith("own calls/") for window in windows)
    runs = world.executions("vision")
    assert {run["status"] for run in runs} == {"SUCCEEDED"}
    # on a slow machine the onboarding still goes on when a window is over, and does that run's work, too
    looked_once_more = [summary_of(run) for run in runs if is_late(run) and summary_of(run)]
    assert set(looked_once_more) <= {"READY: nothing to change"}


@pytest.mark.parametrize("kind", KINDS)
def test_tampering_heals_by_itself(world: World, kind: str, record_property: Callable[[str, object], None]) -> None:
    """The call itself starts the team's run, at once, and the next run by hand finds nothing to do."""
    before = len(of_others(world, "vision"))
    began = time.monotonic()
    TAMPERING[kind](world)
    healed = healing(world, before)
    record_property("seconds from tampering to healed", round(healed - began, 1))
    world.sandbox.settle()
    assert len(of_others(world, "vision")) > before
    with world.calls() as made:
        assert world.reconcile("vision")["summary"] == "READY: nothing to change"
    assert made == []


def healing(world: World, before: int) -> float:
    """When the last run that the tampering has started was over."""

    def is_over() -> bool:
        runs = [run for run in world.executions("vision") if not is_late(run)]
        started = [run for run in runs if json.loads(run["input"])["trigger"]["event"] == "drift"]
        return len(started) > before and all(run["status"] != "RUNNING" for run in runs)

    awaited(is_over)
    return time.monotonic()


def is_late(run: Item) -> bool:
    """Whether a run waits for a window of podshare's own calls to be over."""
    return "pause_seconds" in json.loads(run["input"])


@pytest.fixture
def onboarded(world: World) -> Iterator[str]:
    """A team with a long name, onboarded while no trail told of it, so that no run for its own calls is due."""
    trail.stop()
    readers = [{"name": "reader", "datasets": [{"dataset": "crawl", "access": "read"}]}]
    assert world.put_team(LONG, members=[{"account": VISION}], service_accounts=readers)["state"] == "READY"
    trail.start()
    yield LONG
    world.delete(f"team#{LONG}")


def hijacked(world: World, role: str, account: str) -> Any:
    """A session of a member role whose trust somebody has rewritten, named as podshare names its own."""
    iam = world.sandbox.client("iam", account)
    here = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "sts:AssumeRole"}
    document = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    document["Statement"].append(here)
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(document))
    arn = f"arn:aws:iam::{account}:role/podshare-system/{role}"
    session = world.session(arn, world.sandbox.session(account, REGION), role)
    document["Statement"].remove(here)
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(document))
    return session


def summary_of(run: Item) -> str:
    """What a run came to; empty for one that left its work to another."""
    return str(json.loads(run.get("output", "{}")).get("summary", ""))


def summaries(world: World, team: str) -> list[str]:
    """What each run of a team came to, newest first."""
    return [summary_of(run) for run in world.executions(team)]


def test_a_hijacked_role_of_podshares_own_is_seen(world: World, onboarded: str) -> None:
    """What a member role does behind the registry's back is undone too, after the pause for its own calls."""
    name = world.access_point(onboarded, "crawl").rpartition("/")[2]
    before = world.sandbox.client("s3control", DATA).get_access_point_policy(AccountId=DATA, Name=name)["Policy"]
    s3control = hijacked(world, "podshare-data", DATA).client("s3control")
    s3control.delete_access_point_policy(AccountId=DATA, Name=name)
    world.sandbox.settle()
    found = triggers(world, onboarded)
    assert 1 <= len(found) <= 2  # the mending is a call of its own, perhaps beyond a boundary
    assert all(trigger["id"].startswith("own calls/") for trigger in found)
    assert ":assumed-role/podshare-data/" in found[-1]["by"]
    assert "READY: 1 update" in summaries(world, onboarded)
    after = world.sandbox.client("s3control", DATA).get_access_point_policy(AccountId=DATA, Name=name)["Policy"]
    assert json.loads(after) == json.loads(before)


def test_a_long_name_is_found_by_what_an_access_point_has_room_for(world: World, onboarded: str) -> None:
    """Somebody else's call on its access point starts the team whose whole name does not stand there."""
    name = world.access_point(onboarded, "crawl").rpartition("/")[2]
    world.sandbox.client("s3control", DATA).delete_access_point_policy(AccountId=DATA, Name=name)
    world.sandbox.settle()
    assert [trigger["change"] for trigger in of_others(world, onboarded)] == ["DeleteAccessPointPolicy"]
    assert world.reads(onboarded, "reader", "crawl")


def test_calls_without_end_keep_no_run_from_ending(world: World) -> None:
    """While somebody calls on a role of the team's all the time, a narrowing is carried out, verified and recorded."""
    iam = world.sandbox.client("iam", VISION)
    before = len(of_others(world, "vision"))
    is_over = threading.Event()

    def call_without_end() -> None:
        while not is_over.wait(0.2):
            iam.tag_role(RoleName="podshare-vision-scientist", Tags=[{"Key": "podshare:team", "Value": "vision"}])

    caller = threading.Thread(target=call_without_end)
    caller.start()
    try:
        asked = int(world.state("lease", "team#vision")["generation"])
        world.put(a_team_item("vision", members=[{"account": VISION}], service_accounts=[]), settle=False)
        status = awaited(lambda: world.status("vision"), lambda found: found["generation"] > asked)
        calls = len(of_others(world, "vision")) - before
    finally:
        is_over.set()
        caller.join()
    assert (status["state"], status["generation"]) == ("READY", asked + 1)
    assert calls
    world.sandbox.settle()
    assert world.reconcile("vision")["summary"] == "READY: nothing to change"


def test_what_is_not_podshares_leads_to_nothing(world: World) -> None:
    """Roles, buckets and tags of others, a name like a team's that never was, and a refused call start no run."""
    before = len(triggers(world, "vision"))
    iam, s3 = world.sandbox.client("iam", VISION), world.sandbox.client("s3", DATA)
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{VISION}:root"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    for name in ("Researcher", "podshare-backup", "podshare-nobody-scientist"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)
    s3.create_bucket(Bucket="payroll-333333333333", CreateBucketConfiguration={"LocationConstraint": REGION})
    audit = {**world.bucket_statements(IMAGES)[0], "Resource": "arn:aws:s3:::payroll-333333333333"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [audit]})
    s3.put_bucket_policy(Bucket="payroll-333333333333", Policy=policy)
    with pytest.raises(ClientError):
        iam.delete_role(RoleName="podshare-vision-scientist")  # its policies are in the way
    world.sandbox.settle()
    assert len(triggers(world, "vision")) == before
    assert world.executions("nobody") == []
    assert set_aside(world) == 0


def test_a_redelivered_event_is_the_same_execution(world: World) -> None:
    """CloudTrail delivers at least once: the second delivery, in another envelope, starts nothing."""
    before = len(triggers(world, "vision"))
    asked = {"roleName": "podshare-vision-scientist", "maxSessionDuration": 3600}
    detail = {
        "eventSource": "iam.amazonaws.com",
        "eventName": "UpdateRole",
        "eventID": "once",
        "requestParameters": asked,
    }
    event = {"source": "aws.iam", "detail-type": "AWS API Call via CloudTrail", "detail": detail}
    for _ in range(3):
        delivery.put_event(VISION, "us-east-1", event)
    world.sandbox.settle()
    assert len(triggers(world, "vision")) == before + 1


def test_an_account_of_no_interest_ends_quietly(world: World) -> None:
    """An id of a quota that is gone leads to no team, and nothing is set aside for a person."""
    asked = {"computeQuotaId": "abcdefghijkl"}
    detail = {"eventSource": "sagemaker.amazonaws.com", "eventName": "DeleteComputeQuota", "eventID": "gone"}
    detail |= {"awsRegion": REGION, "recipientAccountId": HUB}
    event = {"source": "aws.sagemaker", "detail-type": "AWS API Call via CloudTrail"}
    delivery.put_event(HUB, REGION, {**event, "detail": {**detail, "requestParameters": asked}})
    world.sandbox.settle()
    assert set_aside(world) == 0


def set_aside(world: World) -> int:
    """How many events wait for a person, in the hub and where they are forwarded from."""
    queues = {(HUB, REGION): ["podshare-resource-changed-failures"]}
    for place in ((HUB, REGION), (HUB, "us-east-1"), (DATA, REGION), (DATA, "us-east-1"), (VISION, "us-east-1")):
        queues.setdefault(place, []).append("podshare-forward-drift-failures")
    found = 0
    for (account, region), names in queues.items():
        sqs = world.sandbox.client("sqs", account, region)
        for name in names:
            url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
            held = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
            found += int(held["Attributes"]["ApproximateNumberOfMessages"])
    return found


def test_what_is_granted_for_this_is_used(world: World) -> None:
    """The function and the forwarding role use each action that they are granted, and nobody was refused."""
    for account, role in ((HUB, "podshare-resource-changed"), (DATA, "podshare-forward-drift")):
        used = {one.action for one in world.sandbox.decisions if one.allowed and f"/{role}" in one.principal}
        assert granted(world, account, role) - used <= {"sqs:SendMessage"}  # for an event that fails again and again
    assert world.denied() == []
