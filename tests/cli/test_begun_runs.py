"""The runs that a write starts, found among all others of the state machine: Step Functions itself, without podshare."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console

from podshare.kinds import names
from podshare_cli.aws.connection import Connection
from podshare_cli.progress import executions as module
from podshare_cli.progress.executions import Beginnings, Executions
from podshare_cli.progress.live import watch
from podshare_cli.views.team import history_table
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


def test_runs_that_changed_nothing_push_out_no_change(executions: Executions) -> None:
    """However often a team is tried again in vain, the latest changes are still among those that are shown."""
    client, machine = executions.connection.client("stepfunctions"), executions.connection.machine

    def run(number: int, **output: Any) -> str:
        data = {"team": "vision", "status": "done", "state": "DEGRADED", **output}
        name = names.execution("vision", f"run {number}")
        return client.start_execution(stateMachineArn=machine, name=name, input=json.dumps(data))["executionArn"]

    changed = run(0, made={"cut": 1})
    for number in range(1, 100):
        run(number, made={})
    run(100, status="left", holder=changed)
    assert [each.arn for each in executions.latest_changes(300) if each.team == "vision"] == [changed]


def test_the_names_of_runs_are_shown_where_all_is(executions: Executions) -> None:
    """`podshare history show` takes a run by its name, which a team's history lists with --verbose."""
    name = start(executions, "named", RECORD, "named").rpartition(":")[2]
    (run,) = executions.of("named", 5)
    console = Console(width=400, record=True, file=io.StringIO())
    console.print(history_table([run], whole=True))
    assert name in console.export_text()
