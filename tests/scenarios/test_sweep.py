"""The sweep: whatever no event told is found by it, and it ends in one summary."""

import json
from datetime import timedelta
from typing import Any

import pytest

from podshare_sandbox import delivery
from podshare_sandbox.services import organizations
from tests.builders import a_team_item
from tests.scenarios.world import HUB, LANGUAGE, MANAGEMENT, PLATFORM, SCIENCE, VISION, World, refused

UNIT = {"organizational_unit": SCIENCE}


@pytest.fixture(scope="module", autouse=True)
def teams(world: World) -> None:
    """A team of a unit, and a team with a record that is wrong."""
    world.put(a_team_item("science", members=[UNIT]), a_team_item("wrong", cluster="nowhere"))


def test_selectors_wait_for_the_first_listing(world: World) -> None:
    """Until the organization has been listed once a team that selects is told what to do; then it is provided."""
    status = world.status("science")
    assert status["state"] == "DEGRADED"
    assert "podshare sweep" in status["problems"][0]["remedy"]
    assert world.sweep()["counts"]["repaired"] == 1
    assert world.works("science", VISION)
    assert world.works("science", LANGUAGE)


def test_the_summary_counts_and_gives_reasons(world: World) -> None:
    """The outcome is one summary: how many in sync, repaired, rejected, and why; it is kept as the last one."""
    found = world.sweep()
    assert found["status"] == "SUCCEEDED"
    assert {name: count for name, count in found["counts"].items() if count} == {"in_sync": 1, "rejected": 1}
    assert found["accounts"]["ACTIVE"] == 5
    (reason,) = found["reasons"]
    assert (reason["team"], reason["state"]) == ("wrong", "rejected")
    assert "no cluster " in reason["what"]
    kept = world.state("sweep", "summary")
    assert {name: kept[name] for name in found if name != "status"} == {
        name: value for name, value in found.items() if name != "status"
    }


def test_a_change_by_hand_is_repaired(world: World) -> None:
    """What somebody took away by hand is there again after a sweep."""
    role = world.cluster_access_role("science", VISION)
    world.sandbox.client("eks").delete_access_entry(clusterName="hyperpod-eks", principalArn=role)
    assert not world.works("science", VISION)
    assert world.sweep()["counts"]["repaired"] == 1
    assert world.works("science", VISION)


def test_a_lost_event_is_made_up_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account that moved out while its event was lost loses access with the next sweep, and gets it back likewise."""
    session = world.cluster_access("science", LANGUAGE)
    with monkeypatch.context() as lost:
        lost.setattr(delivery.events, "_offer", lambda *_: None)
        world.move(LANGUAGE, PLATFORM)
    assert world.may_submit(session, "science")
    world.sweep()
    assert refused(lambda: world.may_submit(session, "science"))
    world.move(LANGUAGE, SCIENCE)
    assert world.works("science", LANGUAGE)


def test_the_schedule_starts_a_sweep(world: World) -> None:
    """Every night EventBridge Scheduler starts the same machine."""
    machine = f"arn:aws:states:us-west-2:{HUB}:stateMachine:podshare-sweep-teams"
    states = world.sandbox.client("stepfunctions")
    before = len(states.list_executions(stateMachineArn=machine)["executions"])
    delivery.fire_schedule("podshare-nightly-sweep")
    world.sandbox.settle()
    executions = states.list_executions(stateMachineArn=machine)["executions"]
    assert len(executions) == before + 1
    assert executions[0]["status"] == "SUCCEEDED"
    assert world.status("science")["trigger"]["by"] == "schedule"


def test_a_pause_holds_the_sweep_too(world: World) -> None:
    """While podshare is paused a sweep reads and changes nothing, and says why."""
    world.put({"id": "pause#all", "schema": 1, "reason": "maintenance", "owner": "priya@example.com"})
    found = world.sweep()
    assert found == {"status": "SUCCEEDED", "paused": "podshare is paused: maintenance"}
    world.delete("pause#all")


def test_an_account_that_vanished_is_found_by_its_absence(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account that left without any event is DEPARTED after a sweep, and the others are as they were."""
    account = world.join("lost-lab")
    assert world.works("science", account)
    with monkeypatch.context() as lost:
        lost.setattr(delivery.events, "_offer", lambda *_: None)
        world.organizations.remove_account_from_organization(AccountId=account)
        world.sandbox.settle()
    found = world.sweep()
    assert found["accounts"]["DEPARTED"] == 1
    assert world.state("organization", f"account#{account}")["state"] == "DEPARTED"
    assert world.status("science")["left_behind"][0]["account"] == account
    assert world.works("science", VISION)


def test_a_sweep_that_cannot_list_the_organization_sweeps_the_teams_and_fails(world: World) -> None:
    """Where the organization cannot be read the teams are repaired all the same, and the execution fails for the alarm."""
    role = world.cluster_access_role("science", VISION)
    world.sandbox.client("eks").delete_access_entry(clusterName="hyperpod-eks", principalArn=role)
    iam, name = world.sandbox.client("iam", MANAGEMENT), "podshare-organization"
    policies = {one: iam.get_role_policy(RoleName=name, PolicyName=one) for one in _policies(iam, name)}
    for one in policies:
        iam.delete_role_policy(RoleName=name, PolicyName=one)
    found = world.sweep()
    for one, policy in policies.items():
        iam.put_role_policy(RoleName=name, PolicyName=one, PolicyDocument=json.dumps(policy["PolicyDocument"]))
    assert (found["status"], found["error"]) == ("FAILED", "AccountsNotListed")
    assert world.works("science", VISION)
    assert organizations.state_of(VISION) == "ACTIVE"


@pytest.mark.parametrize(
    ("functions", "cause"),
    [
        (("read-account",), " accounts were not swept"),
        (("compare-teams", "sweep-team"), "2 of 2 teams were not swept"),
    ],
)
def test_a_sweep_in_which_most_failed_has_failed(world: World, functions: tuple[str, ...], cause: str) -> None:
    """Every item's failure is tolerated, so that one stops no other; but a sweep that did nothing does not succeed.

    It is summed up all the same.
    """
    iam, names = world.sandbox.client("iam", HUB), [f"podshare-{function}" for function in functions]
    statement = {"Effect": "Deny", "Action": ["dynamodb:*", "states:*"], "Resource": "*"}
    deny = {"Version": "2012-10-17", "Statement": [statement]}
    world.advance(timedelta(minutes=1))  # a status tells whole seconds: what an earlier sweep wrote must not count
    for name in names:
        iam.put_role_policy(RoleName=name, PolicyName="fault", PolicyDocument=json.dumps(deny))
    try:
        found = world.sweep()
    finally:
        for name in names:
            iam.delete_role_policy(RoleName=name, PolicyName="fault")
    assert (found["status"], found["error"]) == ("FAILED", "MostNotSwept")
    assert cause in found["cause"]
    kept = world.state("sweep", "summary")
    assert cause in kept["failed"]
    assert max(kept["accounts"]["unread"], kept["counts"]["unfinished"]) > 0
    assert world.sweep()["failed"] == ""


def test_the_items_may_be_executions_of_the_labelled_machine(world: World) -> None:
    """Whether Step Functions comes for a Map's items as the machine or as the machine with the Map's label is open.

    The role of the sweep trusts both, and no other machine.
    """
    (trust,) = world.sandbox.client("iam").get_role(RoleName="podshare-sweep-teams")["Role"][
        "AssumeRolePolicyDocument"
    ]["Statement"]
    machine = f"arn:aws:states:us-west-2:{HUB}:stateMachine:podshare-sweep-teams"
    assert trust["Condition"]["ArnLike"] == {"aws:SourceArn": [machine, f"{machine}/*"]}


def _policies(iam: Any, role: str) -> list[str]:
    found: list[str] = iam.list_role_policies(RoleName=role)["PolicyNames"]
    return found
