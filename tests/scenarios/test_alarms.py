"""Each alarm is fired by the fault that it is for, and is quiet before it; each is evaluated as it is defined.

An alarm's periods run at the sandbox's scale: five minutes last a second and a half here. What its metrics are
derived from stands in ``podshare_sandbox.alarms``.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from podshare_cli.sandbox_deployment import deploy_podshare
from podshare_sandbox import Sandbox, alarms, clock, delivery, functions
from podshare_sandbox.alarms import ALARM, OK
from tests.builders import a_team_item
from tests.scenarios.world import CLUSTER, DATASETS, HUB, MANAGEMENT, REGION, SCIENCE, VISION, World, awaited

SCALE = 0.005
MACHINE = f"arn:aws:states:{REGION}:{HUB}:stateMachine:podshare-reconcile-team"
TEAM = a_team_item("vision", members=[{"account": VISION}], service_accounts=[])
UNIT = a_team_item(
    "unit", members=[{"organizational_unit": SCIENCE, "exclude_accounts": [VISION]}], service_accounts=[]
)

ROOT = Path(__file__).parents[2]
TAMPERED = ROOT / "events" / "drift-iam.json"  # somebody opens the trust of vision's role

fired: set[str] = set()


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """An organization with podshare and one team; accounts are parked soon."""
    with Sandbox(time_scale=SCALE) as sandbox:
        found = World(sandbox)
        found.outputs = deploy_podshare(
            sandbox,
            {
                **{"DrainSeconds": "1", "MemberRoleWaitSeconds": "1", "FunctionTimeoutSeconds": "30"},
                **{"MostTeamsLosingAccess": "1", "MostPercentLosingAccess": "0"},
            },
        )
        parameters = {"HubAccountId": HUB, "HubRegion": REGION}
        sandbox.deploy(ROOT / "accounts" / "drift.yaml", VISION, "us-east-1", "podshare-drift", parameters)
        found.put(CLUSTER, *DATASETS, TEAM)
        yield found


@contextmanager
def denied(world: World, role: str, action: str, account: str = HUB) -> Iterator[None]:
    """Meanwhile one of podshare's roles may not do something that it has to."""
    iam, name = world.sandbox.client("iam", account), f"podshare-{role}"
    deny = {"Effect": "Deny", "Action": action, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    iam.put_role_policy(RoleName=name, PolicyName="fault", PolicyDocument=document)
    try:
        yield
        world.sandbox.settle()
    finally:
        iam.delete_role_policy(RoleName=name, PolicyName="fault")


def has_fired(name: str, since: datetime, account: str = HUB, region: str = REGION) -> bool:
    """Whether an alarm has come into its state at any time; CloudWatch looks once in a period, at least."""
    step = timedelta(seconds=clock.scaled(30))
    looks = max(0, int((clock.now() - since) / step)) + 2
    found = any(alarms.state_of(name, account, region, since + step * look) == ALARM for look in range(looks))
    fired.update({name} if found else ())
    return found


def start(world: World, pause_seconds: int = 0) -> str:
    """Start a run of the team by hand, without waiting for it; its ARN. After a pause, as one that recovers has."""
    trigger = {"event": "admin", "record": "team#vision", "change": "", "by": "", "at": "", "id": ""}
    given = {"team": "vision", "trigger": trigger, "pause_seconds": pause_seconds}
    states = world.sandbox.client("stepfunctions")
    started = states.start_execution(stateMachineArn=MACHINE, input=json.dumps(given))
    return str(started["executionArn"])


def plan(world: World, function: str) -> None:
    """Ask for a plan that nothing comes of."""
    payload = json.dumps({"team": "vision", "execution": "e", "lease": {"fence": 0, "generation": 0}})
    world.sandbox.client("lambda").invoke(FunctionName=f"podshare-{function}", Payload=payload)


def abort(world: World) -> None:
    """Stop a run before it has taken the lease, which a later one would have to wait for."""
    world.sandbox.client("stepfunctions").stop_execution(executionArn=start(world, pause_seconds=600))


def tag_account(world: World) -> None:
    tags = [{"Key": "pool", "Value": f"{time.monotonic()}"}]
    world.organizations.tag_resource(ResourceId=VISION, Tags=tags)


def write_record(world: World) -> None:
    world.put({**TEAM, "reason": f"Trains models, {time.monotonic()}"}, settle=False)


def tamper(_: World) -> None:
    delivery.put_event(HUB, REGION, json.loads(TAMPERED.read_text()), bus="podshare-drift")


def forward(_: World) -> None:
    delivery.put_event(VISION, "us-east-1", json.loads(TAMPERED.read_text()))


def night(_: World) -> None:
    delivery.fire_schedule("podshare-nightly-sweep")


SET_ASIDE: dict[str, tuple[str, str, str, Callable[[World], object]]] = {
    "registry-changed-failures": (HUB, "registry-changed", "states:StartExecution", write_record),
    "execution-ended-failures": (HUB, "execution-ended", "states:StartExecution", abort),
    "organization-changed-failures": (HUB, "organization-changed", "states:StartExecution", tag_account),
    "resource-changed-failures": (HUB, "resource-changed", "states:StartExecution", tamper),
    "nightly-sweep-failures": (HUB, "nightly-sweep", "states:StartExecution", night),
    "forward-drift-failures": (VISION, "forward-drift", "events:PutEvents", forward),
    "forward-events-failures": (MANAGEMENT, "forward-events", "events:PutEvents", tag_account),
}


@pytest.mark.parametrize("name", SET_ASIDE)
def test_what_nobody_will_retry_calls_a_person(world: World, name: str) -> None:
    """A trigger that fails for good is set aside, and the alarm stays until its queue is empty again."""
    account, role, action, trigger = SET_ASIDE[name]
    region = REGION if account == HUB else "us-east-1"
    alarm = f"podshare-{name}"
    assert alarms.state_of(alarm, account, region) == OK
    began = clock.now()
    with denied(world, role, action, account):
        trigger(world)
    assert has_fired(alarm, began, account, region)
    sqs = world.sandbox.client("sqs", account, region)
    sqs.purge_queue(QueueUrl=sqs.get_queue_url(QueueName=alarm)["QueueUrl"])
    assert alarms.state_of(alarm, account, region) == OK


def test_executions_that_end_badly(world: World) -> None:
    """One run that was stopped is enough."""
    awaited(lambda: alarms.state_of("podshare-executions") == OK)
    began = clock.now()
    abort(world)
    world.sandbox.settle()
    assert has_fired("podshare-executions", began)


FAILING: dict[str, tuple[str, Callable[[World], object]]] = {
    "podshare-functions": ("plan-team", lambda world: plan(world, "plan-team")),
    "podshare-dry-runs": ("dry-run", lambda world: plan(world, "dry-run")),
    "podshare-organization-functions": (
        "list-sweep",
        lambda world: world.sandbox.client("stepfunctions").start_execution(
            stateMachineArn=MACHINE.replace("reconcile-team", "sweep-teams")
        ),
    ),
}


@pytest.mark.parametrize("name", FAILING)
def test_functions_that_keep_failing(world: World, name: str) -> None:
    """A function that fails in each of three periods, and not one that fails once."""
    function, call = FAILING[name]
    awaited(lambda: alarms.state_of(name) == OK)
    began = clock.now()
    with denied(world, function, "dynamodb:*"):
        call(world)
        awaited(lambda: call(world), lambda _: has_fired(name, began), pause=0.1)
    assert clock.now() - began > timedelta(seconds=clock.scaled(600))


def test_a_lease_that_is_held_for_too_long(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that hangs with its team's lease is told of by the next one."""
    assert world.reconcile("vision")["state"] == "READY"
    began, released, invoke = clock.now(), threading.Event(), functions.Fleet.invoke

    def hanging(fleet: functions.Fleet, function: Any, payload: bytes) -> functions.Outcome:
        if function.function_name == "podshare-plan-team":
            released.wait(600)
        return invoke(fleet, function, payload)

    monkeypatch.setattr(functions.Fleet, "invoke", hanging)
    holder = start(world)
    awaited(lambda: world.state("lease", "team#vision").get("holder") == holder)
    start(world)
    assert not has_fired("podshare-lease-held", began)
    world.sandbox.advance(2 * 3600)
    began = clock.now()
    start(world)
    awaited(lambda: has_fired("podshare-lease-held", began))
    released.set()
    world.sandbox.settle()
    assert world.reconcile("vision")["state"] == "READY"


def test_a_sweep_that_is_overdue(world: World) -> None:
    """Without a summary for 26 hours, as before the first one; a sweep that is not summed up does not count."""
    day = timedelta(seconds=clock.scaled(26 * 3600))
    assert alarms.state_of("podshare-sweep-overdue") == ALARM
    assert world.sweep()["status"] == "SUCCEEDED"
    assert alarms.state_of("podshare-sweep-overdue") == OK
    with denied(world, "summarize-sweep", "dynamodb:*"):
        last = clock.now()
        assert world.sweep()["status"] == "FAILED"
    assert alarms.state_of("podshare-sweep-overdue", at=last + day * 0.9) == OK
    assert has_fired("podshare-sweep-overdue", last + day)


def test_a_sweep_in_which_most_failed(world: World) -> None:
    """A sweep tolerates each item that fails; where most did its execution fails, and that calls a person."""
    awaited(lambda: alarms.state_of("podshare-executions") == OK)
    began = clock.now()
    with denied(world, "compare-teams", "dynamodb:*"), denied(world, "sweep-team", "states:StartExecution"):
        assert world.sweep()["error"] == "MostNotSwept"
    assert has_fired("podshare-executions", began)


def test_an_account_that_is_waited_for_in_vain(world: World) -> None:
    """An account whose member stack does not come is parked after a while, and that calls a person."""
    began = clock.now()
    world.put(UNIT)
    assert world.status("unit")["state"] == "READY"
    assert not has_fired("podshare-accounts-parked", began)
    (account,) = world.create_accounts("never-lab")
    world.sandbox.hold_stack_sets(account)
    world.move(account, SCIENCE, settle=False)
    awaited(lambda: has_fired("podshare-accounts-parked", began))
    world.sandbox.release_stack_sets(account)
    world.sandbox.settle()
    world.sweep()
    mended = clock.now()
    assert world.reconcile("unit")["state"] == "READY"
    assert not has_fired("podshare-accounts-parked", mended)


def test_a_team_that_waits_for_a_person(world: World) -> None:
    """What a team would lose is held back: that calls a person, with the run and with each sweep, until it is let go."""
    lines = [a_team_item(name, members=[{"account": VISION}], service_accounts=[]) for name in ("one", "other")]
    world.put(*lines)
    began = clock.now()
    assert not has_fired("podshare-teams-held", began)
    world.delete("team#one", "team#other")
    states = {world.status(name)["state"] for name in ("one", "other")}
    assert states == {"DELETED", "HELD"}
    assert has_fired("podshare-teams-held", began)
    awaited(lambda: alarms.state_of("podshare-teams-held") == OK)
    night = clock.now()
    world.sweep()
    assert has_fired("podshare-teams-held", night)


def test_somebody_whom_no_record_lets_in(world: World) -> None:
    """An access entry that somebody makes for the team's namespace calls a person, until it is gone."""
    assert world.reconcile("vision")["state"] == "READY"
    began, eks = clock.now(), world.sandbox.client("eks", HUB)
    assert not has_fired("podshare-unexpected-access", began)
    world.sandbox.client("iam", HUB).create_user(UserName="eve")
    eve = {"clusterName": "hyperpod-eks", "principalArn": f"arn:aws:iam::{HUB}:user/eve"}
    eks.create_access_entry(**eve)
    policy = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy"
    scope = {"type": "namespace", "namespaces": ["hyperpod-ns-vision"]}
    eks.associate_access_policy(**eve, policyArn=policy, accessScope=scope)
    assert world.reconcile("vision")["state"] == "DEGRADED"
    awaited(lambda: has_fired("podshare-unexpected-access", began))
    eks.delete_access_entry(**eve)
    assert world.reconcile("vision")["state"] == "READY"
    awaited(lambda: alarms.state_of("podshare-unexpected-access") == OK)


def test_a_history_that_cannot_be_written(world: World) -> None:
    """Objects that the bucket does not take are counted by each sweep, until one has made up for them."""
    assert world.sweep()["history"]["left"] == 0
    began = clock.now()
    assert not has_fired("podshare-history-gaps", began)
    with denied(world, "record-outcome", "s3:PutObject"), denied(world, "summarize-sweep", "s3:PutObject"):
        world.put({**TEAM, "reason": "Trains models, unwritten"})
        assert world.sweep()["history"]["left"] > 0
        awaited(lambda: has_fired("podshare-history-gaps", began))
    assert world.sweep()["history"]["left"] == 0
    awaited(lambda: alarms.state_of("podshare-history-gaps") == OK)


@pytest.mark.usefixtures("world")
def test_every_alarm_has_been_fired() -> None:
    """No alarm of any stack is without a test of its fault."""
    elsewhere = {*alarms.alarms(MANAGEMENT, "us-east-1"), *alarms.alarms(VISION, "us-east-1")}
    assert {*alarms.alarms(), *elsewhere} == fired


def test_the_dashboard_shows_every_alarm_and_metric(world: World) -> None:
    """All alarms of the hub are on it, and all metrics of podshare's own that the run has emitted."""
    cloudwatch = world.sandbox.client("cloudwatch")
    (dashboard,) = cloudwatch.list_dashboards()["DashboardEntries"]
    body = cloudwatch.get_dashboard(DashboardName=dashboard["DashboardName"])["DashboardBody"]
    widgets = json.loads(body)["widgets"]
    shown = {arn.rpartition(":")[2] for widget in widgets for arn in widget["properties"].get("alarms", [])}
    assert shown == set(alarms.alarms())
    for metric in alarms.embedded_metrics() - {"SweepsSummarized"}:
        assert f'"{metric}"' in body, metric
