"""Access that ends by itself: at its moment, by a schedule of its own, and announced before."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from podshare.aws.tables import Snapshot
from podshare.reconcile.expirations import keep_expirations
from podshare.reconcile.team_records import read_records
from tests.builders import a_team_item
from tests.scenarios.test_orderings import SETTINGS
from tests.scenarios.world import HUB, LANGUAGE, REGION, VISION, Item, World, refused

LATER = "2033-01-31T18:00:00Z"


def soon() -> datetime:
    """A moment at which today's sessions, which last an hour, still live."""
    return (datetime.now(UTC) + timedelta(minutes=30)).replace(microsecond=0)


def written(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def schedules(world: World) -> dict[str, Item]:
    """The expressions of the teams' schedules by name."""
    scheduler = world.sandbox.client("scheduler")
    names = [one["Name"] for one in scheduler.list_schedules()["Schedules"] if "-team-" in one["Name"]]
    return {name: scheduler.get_schedule(Name=name)["ScheduleExpression"] for name in names}


def test_a_member_and_a_grant_end_at_their_moment(world: World, announced: Any) -> None:
    """At the moment both are refused, with nobody doing anything; everybody and everything else goes on."""
    grants: list[Item] = [{"dataset": "imagenet", "access": "read"}, {"dataset": "crawl", "access": "read"}]
    members: list[Item] = [{"account": VISION}, {"account": LANGUAGE}]
    world.put_team("alpha", members=members, service_accounts=[{"name": "trainer", "datasets": grants}])
    end = soon()
    members[0]["expires"] = grants[1]["expires"] = written(end)
    status = world.put_team("alpha", members=members, service_accounts=[{"name": "trainer", "datasets": grants}])
    assert status["summary"] == "READY: 2 update"  # when it ends, as it is published in both accounts
    assert schedules(world)["podshare-team-alpha"] == f"at({end:%Y-%m-%dT%H:%M:%S})"
    assert sorted(one["what"] for one in announced()) == [
        "dataset crawl of service account trainer",
        f"member {VISION}",
    ]
    leaver = world.cluster_access("alpha", VISION)
    assert world.may_submit(leaver, "alpha")
    assert world.reads("alpha", "trainer", "crawl")
    world.advance_to(end)
    assert refused(lambda: world.may_submit(leaver, "alpha"))
    assert not world.reads("alpha", "trainer", "crawl")
    assert world.works("alpha", LANGUAGE)
    status = world.status("alpha")
    assert (status["state"], status["trigger"]["event"]) == ("READY", "schedule")
    assert "podshare-team-alpha" not in schedules(world)
    notes = world.plan("alpha", a_team_item("alpha", members=members[:1], service_accounts=[]))["notes"]
    assert f"member {VISION} has ended at {written(end)}" in notes
    assert announced() == []


def test_a_team_ends_and_comes_back_with_more_time(world: World) -> None:
    """The whole team goes, its quota too, and its record stays: with a later end all of it is provided again."""
    world.put_team("bravo", members=[{"account": VISION}])
    session = world.cluster_access("bravo", VISION)
    end = soon()
    assert world.put_team("bravo", members=[{"account": VISION}], expires=written(end))["state"] == "READY"
    world.advance_to(end)
    assert world.status("bravo")["state"] == "ENDED"
    assert refused(lambda: world.may_submit(session, "bravo"))
    quotas = world.sandbox.client("sagemaker").list_compute_quotas(NameContains="podshare-bravo")
    assert quotas["ComputeQuotaSummaries"] == []
    assert world.put_team("bravo", members=[{"account": VISION}], expires=LATER)["state"] == "READY"
    assert world.works("bravo", VISION)


def test_the_schedule_follows_the_record(world: World) -> None:
    """Another end moves the schedule, the same end leaves it alone, no end removes it, and so does the team's deletion."""
    name = "podshare-team-charlie"
    world.put_team("charlie", members=[], service_accounts=[], expires=LATER)
    assert schedules(world)[name] == "at(2033-01-28T18:00:00)"
    before = len(world.sandbox.decisions)
    world.reconcile("charlie")
    assert not [one for one in world.sandbox.decisions[before:] if one.action.startswith("scheduler:")]
    world.put_team("charlie", members=[], service_accounts=[], expires="2034-01-31T18:00:00Z")
    assert schedules(world)[name] == "at(2034-01-28T18:00:00)"
    world.put_team("charlie", members=[], service_accounts=[])
    assert name not in schedules(world)
    assert world.state("team#charlie", "terms") == {}
    world.put_team("charlie", members=[], service_accounts=[], expires=LATER)
    world.delete("team#charlie")
    assert name not in schedules(world)


def test_a_lost_schedule_is_no_more_than_a_late_one(world: World) -> None:
    """Somebody deleted it, and the moment has passed: the next run, by the sweep at the latest, takes the access away."""
    world.put_team("delta", members=[{"account": VISION}], service_accounts=[])
    session = world.cluster_access("delta", VISION)
    end = soon()
    world.put_team("delta", members=[{"account": VISION, "expires": written(end)}], service_accounts=[])
    world.sandbox.client("scheduler").delete_schedule(Name="podshare-team-delta")
    world.advance_to(end)
    assert world.may_submit(session, "delta")
    world.sweep()
    assert refused(lambda: world.may_submit(session, "delta"))
    assert world.denied() == []


@contextmanager
def denied(world: World, action: str) -> Iterator[None]:
    """The planner may not call an action, as by an organization's policy."""
    iam, role = world.sandbox.client("iam"), "podshare-plan-team"
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": action, "Resource": "*"}]}
    iam.put_role_policy(RoleName=role, PolicyName="deny", PolicyDocument=json.dumps(document))
    yield
    iam.delete_role_policy(RoleName=role, PolicyName="deny")


def test_no_revocation_waits_for_a_schedule(world: World) -> None:
    """With Scheduler denied a removed member is out, the team says what is wrong, and the next run makes the schedule."""
    world.put_team("golf", members=[{"account": VISION}, {"account": LANGUAGE}], service_accounts=[])
    leaver = world.cluster_access("golf", VISION)
    with denied(world, "scheduler:*"):
        status = world.put_team("golf", members=[{"account": LANGUAGE, "expires": LATER}], service_accounts=[])
        assert refused(lambda: world.may_submit(leaver, "golf"))
        assert status["state"] == "DEGRADED"
        assert "the schedule for what ends next in team golf cannot be kept" in status["problems"][0]["what"]
    assert world.reconcile("golf")["state"] == "READY"
    assert schedules(world)["podshare-team-golf"] == "at(2033-01-28T18:00:00)"
    last = world.cluster_access("golf", LANGUAGE)
    with denied(world, "scheduler:*"):
        world.delete("team#golf")
        assert refused(lambda: world.may_submit(last, "golf"))
    world.reconcile("golf")
    assert "podshare-team-golf" not in schedules(world)
    assert world.status("golf")["state"] == "DELETED"


def test_no_revocation_waits_for_an_announcement(world: World, announced: Any) -> None:
    """With the bus denied a removed member is out, and what ends soon is announced by the next run, once."""
    world.put_team("hotel", members=[{"account": VISION}, {"account": LANGUAGE}], service_accounts=[])
    leaver = world.cluster_access("hotel", VISION)
    announced()
    with denied(world, "events:PutEvents"):
        ending = [{"account": LANGUAGE, "expires": written(soon())}]
        assert world.put_team("hotel", members=ending, service_accounts=[])["state"] == "READY"
        assert refused(lambda: world.may_submit(leaver, "hotel"))
        assert announced() == []
    world.reconcile("hotel")
    assert [event["what"] for event in announced()] == [f"member {LANGUAGE}"]
    world.reconcile("hotel")
    assert announced() == []


def test_a_schedule_that_fired_before_its_moment_is_made_again(world: World) -> None:
    """Scheduler's clock and a function's differ: a run shortly before the moment leaves a schedule for after it."""
    world.put_team("echo", members=[{"account": VISION}], service_accounts=[])
    session = world.cluster_access("echo", VISION)
    end = soon()
    world.put_team("echo", members=[{"account": VISION, "expires": written(end)}], service_accounts=[])
    world.advance_to(end - timedelta(seconds=50))
    world.sandbox.client("scheduler").delete_schedule(Name="podshare-team-echo")  # as it is once it has fired
    world.reconcile("echo")
    world.advance_to(end + timedelta(minutes=3))
    assert refused(lambda: world.may_submit(session, "echo"))


def test_a_plan_that_keeps_nothing_loses_no_schedule(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan unschedules what an edit let last, and is superseded as the edit is reverted: the next one schedules it."""
    world.put_team("foxtrot", members=[], service_accounts=[], expires=LATER)
    for name, value in world.sandbox.environment(HUB, REGION).items():
        monkeypatch.setenv(name, value)
    snapshot = Snapshot(SETTINGS.state)
    edited = a_team_item("foxtrot", members=[], service_accounts=[])
    keep_expirations(SETTINGS, snapshot, read_records(SETTINGS, snapshot, "foxtrot", {"team#foxtrot": edited}))
    assert "podshare-team-foxtrot" not in schedules(world)
    world.reconcile("foxtrot")
    assert schedules(world)["podshare-team-foxtrot"] == "at(2033-01-28T18:00:00)"


def test_what_is_granted_for_this_is_used(world: World) -> None:
    """The planner makes, moves and removes schedules and hands them a role, announces, and the role starts runs."""
    used = {(one.principal.rpartition("/")[2], one.action) for one in world.sandbox.decisions if one.allowed}
    planner = ("scheduler:CreateSchedule", "scheduler:UpdateSchedule", "scheduler:DeleteSchedule")
    for action in (*planner, "iam:PassRole", "events:PutEvents"):
        assert ("podshare-plan-team", action) in used
    assert ("podshare-team-schedule", "states:StartExecution") in used
