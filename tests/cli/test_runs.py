"""Execution histories, as progress tells them."""

import datetime
import json
from typing import Any

import pytest
from rich.text import Text

from podshare_cli.progress.runs import Happening, Run, SweepRun

BEGAN = datetime.datetime(2026, 11, 21, 12, 0, tzinfo=datetime.UTC)
CHANGE = {
    "action": "create",
    "kind": "role",
    "account": "222222222222",
    "name": "podshare-vision-scientist",
    "key": "role|222222222222|||podshare-vision-scientist",
}


class _History:
    """Events with ids and times, one second after the other."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def add(self, kind: str, **details: Any) -> None:
        number = len(self.events) + 1
        self.events.append(
            {"id": number, "type": kind, "timestamp": BEGAN + datetime.timedelta(seconds=number), **details}
        )

    def enter(self, name: str, data: Any = None) -> None:
        self.add("StateEntered", stateEnteredEventDetails={"name": name, "input": json.dumps(data or {})})

    def leave(self, name: str, data: Any = None) -> None:
        self.add("StateExited", stateExitedEventDetails={"name": name, "output": json.dumps(data or {})})


def _told(happenings: list[Happening]) -> list[str]:
    return [Text.from_markup(f"{each.mark} {each.text}").plain for each in happenings]


def test_a_run_tells_its_plan_its_changes_and_its_end() -> None:
    """Each change is one line once it is over, with what asked for it; steps and changes are timed."""
    history, run = _History(), Run("vision")
    history.enter("PlanTeam")
    history.leave("PlanTeam", {"count": 1, "revoke": []})
    history.enter("ApplyProvision", {"work": "identity", "changes": [{**CHANGE, "why": "member 222222222222"}]})
    ended = [{**CHANGE, "status": "done", "detail": "as desired"}]
    history.leave("ApplyProvision", {"results": ended, "again": [], "wait_seconds": 0})
    history.enter("VerifyTeam")
    history.leave("VerifyTeam", {"verified": True, "resources": 14})
    history.add("ExecutionSucceeded", executionSucceededEventDetails={"output": '{"state": "READY", "summary": "s"}'})
    happenings = list(run.take(history.events))
    assert _told(happenings) == [
        "• 1 change planned",
        "✓ create role podshare-vision-scientist in 222222222222",
        "✓ verified: read back 14 resources",
    ]
    assert happenings[1].note == "member 222222222222"
    assert (run.state, run.is_over, run.steps["PlanTeam"].seconds, run.changes[0].seconds) == ("READY", True, 1.0, 1.0)


def test_what_is_under_way_is_said_with_how_far_it_is() -> None:
    """The plan says how many changes there are, so that each is one of so many."""
    history, run = _History(), Run("vision")
    history.leave("PlanTeam", {"count": 2, "revoke": []})
    history.enter("ApplyProvision", {"work": "identity", "changes": [CHANGE]})
    assert [*run.take(history.events)]
    assert run.under_way == "0 of 2 changes: create role podshare-vision-scientist in 222222222222"


def test_a_team_that_is_not_whole_yet_is_told_from_one_that_breaks_a_rule() -> None:
    """What is still to come is no alarm; a broken isolation rule is."""
    history, run = _History(), Run("vision")
    history.leave("VerifyTeam", {"verified": False, "resources": 8, "violations": []})
    history.leave("VerifyTeam", {"verified": False, "resources": 9, "violations": [{"rule": "foreign scope"}]})
    assert _told(run.take(history.events)) == [
        "… not verified: read back 8 resources",
        "✗ not verified: read back 9 resources",
    ]


def test_a_change_under_way_is_shown_until_it_is_over() -> None:
    """What AWS still works on is named together with what it waits for."""
    history, run = _History(), Run("vision")
    history.enter("ApplyProvision", {"work": "identity", "changes": [CHANGE]})
    history.leave("ApplyProvision", {"results": [], "again": [{**CHANGE, "status": "again", "detail": "Creating"}]})
    assert list(run.take(history.events)) == []
    assert list(run.doing.values()) == ["create role podshare-vision-scientist in 222222222222: Creating"]


def test_a_failed_change_tells_why() -> None:
    """The detail of a failure is the note of its line, also where the function failed as a whole and told of none."""
    history, run = _History(), Run("vision")
    history.enter("ApplyProvision", {"work": "identity", "changes": [CHANGE]})
    failed = {"results": [{**CHANGE, "status": "failed", "detail": "Terminal: no such role"}], "again": []}
    history.leave("ApplyProvision", failed)
    history.leave("ProvisionFailed", failed)
    (happening,) = run.take(history.events)
    assert _told([happening])[0].startswith("✗")
    assert happening.note == "Terminal: no such role"


def test_a_run_that_leaves_its_team_names_the_holder() -> None:
    """A second run ends at once; the one that acts is the one to follow."""
    history, run = _History(), Run("vision")
    history.add("ExecutionSucceeded", executionSucceededEventDetails={"output": '{"status": "left", "holder": "arn"}'})
    assert list(run.take(history.events)) == []
    assert (run.holder, run.state) == ("arn", None)


def test_a_pause_ends_a_run() -> None:
    """A paused installation is told as such, with the reason and who paused it."""
    history, run = _History(), Run("vision")
    output = json.dumps({"status": "paused", "reason": "maintenance", "by": "admin"})
    history.add("ExecutionSucceeded", executionSucceededEventDetails={"output": output})
    assert _told(list(run.take(history.events))) == ["… podshare is paused: maintenance (admin)"]
    assert run.state == "PAUSED"


def test_a_wait_for_something_outside_is_an_outcome() -> None:
    """A run that waits for the world is WAITING to its watcher, although its execution goes on, whoever recorded it."""
    outcome = {"state": "WAITING", "summary": "WAITING: role is absent", "next": "wait"}
    for name, data in (("RecordOutcome", outcome), ("PlanTeam", {"count": 0, "outcome": outcome})):
        history, run = _History(), Run("vision")
        history.leave(name, data)
        history.enter("WaitForNextAttempt")
        assert _told(list(run.take(history.events)))[-1] == "… waits: WAITING: role is absent"
        assert (run.state, run.is_over) == ("WAITING", True)


@pytest.mark.parametrize("kind", ["Failed", "TimedOut", "Aborted"])
def test_an_execution_that_ends_badly_is_told_by_its_cause(kind: str) -> None:
    """The Lambda's message is taken out of the JSON around it."""
    history, run = _History(), Run("vision")
    details = {"error": "ClientError", "cause": json.dumps({"errorMessage": "no access", "stackTrace": []})}
    history.add(f"Execution{kind}", **{f"execution{kind}EventDetails": details})
    list(run.take(history.events))
    assert run.state == "FAILED"
    assert run.summary.endswith("ClientError no access")


def test_a_plan_that_was_overtaken_is_no_empty_plan() -> None:
    """PlanTeam also ends by being superseded; that says nothing about what there is to do."""
    history, run = _History(), Run("vision")
    history.enter("PlanTeam")
    history.leave("PlanTeam", {"Error": "Superseded", "Cause": "{}"})
    assert list(run.take(history.events)) == []


def test_data_that_was_cut_off_is_no_error() -> None:
    """Step Functions cuts long inputs and outputs; the step counts all the same."""
    history, run = _History(), Run("vision")
    history.add("StateEntered", stateEnteredEventDetails={"name": "PlanTeam", "input": '{"team": "vis'})
    history.add("StateExited", stateExitedEventDetails={"name": "PlanTeam"})
    list(run.take(history.events))
    assert run.steps["PlanTeam"].seconds == 1.0


def test_a_sweep_tells_how_much_there_is_to_look_at_and_ends_with_its_summary() -> None:
    """Pages of accounts and teams are lines of progress; the output of the last step is the summary."""
    history, run = _History(), SweepRun()
    history.enter("ListAccounts")
    page = {"Payload": {"items": ["111111111111"], "after": "111111111111", "paused": ""}}
    history.add("TaskSucceeded", taskSucceededEventDetails={"output": json.dumps(page)})
    history.enter("ReadAccounts")
    assert _told(list(run.take(history.events))) == ["• 1 account to process, and more to come"]
    assert run.under_way == "reads each account"
    history.enter("ListTeams")
    page = {"Payload": {"items": ["vision", "language"], "after": "", "paused": ""}}
    history.add("TaskSucceeded", taskSucceededEventDetails={"output": json.dumps(page)})
    output = json.dumps({"at": "2026-11-21T12:00:00+00:00", "counts": {"in_sync": 2}})
    history.add("ExecutionSucceeded", executionSucceededEventDetails={"output": output})
    assert _told(list(run.take(history.events[run.last_event :]))) == ["• 2 teams to process"]
    assert (run.state, run.is_over, run.summary["counts"]) == ("SWEPT", True, {"in_sync": 2})


def test_a_sweep_during_a_pause_sweeps_nothing() -> None:
    """Why is told; there is no summary."""
    history, run = _History(), SweepRun()
    history.add("ExecutionSucceeded", executionSucceededEventDetails={"output": '{"paused": "podshare is paused: m"}'})
    assert list(run.take(history.events)) == []
    assert (run.state, run.reason, run.summary) == ("PAUSED", "podshare is paused: m", {})


def test_a_sweep_that_fails_is_told_by_its_cause() -> None:
    """The teams may have been swept all the same; what failed is the execution's own error."""
    history, run = _History(), SweepRun()
    details = {"error": "AccountsNotListed", "cause": '{"errorMessage": "no access"}'}
    history.add("ExecutionFailed", executionFailedEventDetails=details)
    assert list(run.take(history.events)) == []
    assert (run.state, run.reason) == ("FAILED", "the execution failed: AccountsNotListed no access")
