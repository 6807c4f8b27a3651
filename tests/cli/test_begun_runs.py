"""The runs that a write starts, found among all others of the state machine: Step Functions itself, without podshare."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from podshare.kinds import names
from podshare_cli.aws.connection import Connection
from podshare_cli.progress import executions as module
from podshare_cli.progress.executions import Beginnings, Executions
from podshare_cli.progress.live import watch
from podshare_sandbox import Sandbox
from podshare_sandbox.new_accounts import admin_credentials
from podshare_sandbox.organization import HUB
from tests.acting import act_in_the_hub

MANY = 1_050  # more than a page of ListExecutions holds
RECORD = "cluster#main"


@pytest.fixture(scope="module")
def executions() -> Iterator[Executions]:
    """A state machine of podshare's name that ends at once."""
    with Sandbox(time_scale=0.02) as sandbox, pytest.MonkeyPatch.context() as patch:
        keys = admin_credentials(HUB)
        act_in_the_hub(patch, keys.access_key, keys.secret_key)
        trust = {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        role = sandbox.client("iam").create_role(RoleName="machine", AssumeRolePolicyDocument=document)["Role"]["Arn"]
        definition = json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
        machine = {"name": "podshare-reconcile-team", "definition": definition, "roleArn": role}
        sandbox.client("stepfunctions").create_state_machine(**machine)
        yield Executions(Connection())


def start(executions: Executions, team: str, record: str, event: str) -> str:
    """A run of a team as a change of a record starts it."""
    started = executions.connection.client("stepfunctions").start_execution(
        stateMachineArn=executions.connection.machine,
        name=names.execution(team, event),
        input=json.dumps({"team": team, "trigger": {"event": "registry", "record": record}}),
    )
    return started["executionArn"]


@pytest.fixture
def listed(executions: Executions) -> list[str]:
    """Grows with each call of ListExecutions."""
    calls: list[str] = []

    def listing(**_: Any) -> None:
        calls.append("ListExecutions")

    executions.connection.client("stepfunctions").meta.events.register("before-send.sfn.ListExecutions", listing)
    return calls


def test_the_runs_of_all_teams_are_found_by_one_listing(executions: Executions, listed: list[str]) -> None:
    """Of a thousand runs that a write starts each is its team's; what began before, or by another record, is not."""
    teams = [f"team-{number}" for number in range(MANY)]
    start(executions, teams[0], RECORD, "before")
    beginnings = Beginnings(executions)
    assert [beginnings.of(team, [RECORD]) for team in teams[:2]] == [None, None]
    start(executions, teams[0], "dataset#other", "beside")
    begun = {team: start(executions, team, RECORD, "change") for team in teams}
    listed.clear()
    sample = {team: begun[team] for team in (*teams[:3], *teams[-3:])}
    assert {team: beginnings.of(team, [RECORD]) for team in sample} == sample
    assert len(listed) == 2, "two pages of a thousand"


def test_a_team_whose_run_does_not_begin_ends_no_other(executions: Executions, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one is reported with where to look; the others are followed to their ends."""
    beginnings = Beginnings(executions)
    monkeypatch.setattr(module, "BEGIN_SECONDS", -1)
    lost, late = (beginnings.following(team, [RECORD]) for team in ("lost", "late"))
    arn = start(executions, "late", RECORD, "late")
    watch(None, [lost, late], poll_seconds=0.01)
    assert late.arn == arn
    assert late.is_over
    assert (lost.is_over, lost.arn, lost.state) == (True, None, None)
    assert "podshare-registry-changed" in lost.as_dict()["summary"]
