"""A team's history says who started each run, how podshare knows, and which run did the work."""

import datetime
import io
import time
from typing import Any

import pytest
from rich.console import Console

from podshare_cli.history.confirmations import Confirmation, of_deletion
from podshare_cli.progress.executions import Execution
from podshare_cli.views.team import history_table

BY = "arn:aws:sts::222222222222:assumed-role/Admin/alice"
BEGAN = datetime.datetime(2026, 11, 29, 12, 0, 0, tzinfo=datetime.UTC)
DELETION = {"event": "registry", "change": "REMOVE"}
READY = {"state": "READY", "summary": "READY: 16 create", "made": {"create": 16}}


def run(event: str, output: dict[str, Any], joined: Execution | None = None) -> Execution:
    """A run that ended after five seconds."""
    trigger = {"event": event, "change": "INSERT", "record": "team#vision", "by": BY}
    return Execution(
        "arn:of:run", BEGAN, BEGAN + datetime.timedelta(seconds=5), "SUCCEEDED", trigger, output, "", joined
    )


def row(execution: Execution) -> str:
    """The line of a run, without the header."""
    console = Console(file=io.StringIO(), width=300)
    console.print(history_table([execution]))
    return console.file.getvalue().splitlines()[1]  # type: ignore[attr-defined]  # a StringIO


@pytest.mark.parametrize(
    ("event", "known"),
    [("registry", "declared"), ("admin", "declared"), ("organization", "by CloudTrail"), ("drift", "by CloudTrail")],
)
def test_who_is_named_with_account_and_source(event: str, known: str) -> None:
    """What a record declares is told from what CloudTrail has recorded; names come with their account."""
    assert f"assumed-role/Admin/alice in 222222222222, {known}" in row(run(event, READY))
    assert run(event, READY).as_dict()["proven"] is (known == "by CloudTrail")


def test_a_run_that_joined_another_reports_what_that_one_did() -> None:
    """The change that a person made ends as the run that did its work, which is named."""
    joined = run("registry", {"status": "left", "holder": "arn:of:run"}, run("registry", READY))
    assert (joined.outcome, joined.as_dict()["joined"]) == ("READY", "arn:of:run")
    assert "READY: 16 create, by the run of " in row(joined)
    assert run("registry", {"status": "left"}).outcome == "JOINED"


def test_runs_are_listed_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the command runs, a run has one time: that of records, logs and access reports."""
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    joined = run("registry", {"status": "left", "holder": "arn:of:run"}, run("registry", READY))
    shown = row(joined)
    monkeypatch.undo()
    time.tzset()
    assert shown.startswith("2026-11-29 12:00:00Z")
    assert "by the run of 2026-11-29 12:00:00Z" in shown


def test_a_repaired_drift_says_so() -> None:
    """Only where something was changed: a change that podshare does not undo is no repair."""
    assert "the drift is repaired" in row(run("drift", READY))
    assert "repaired" not in row(run("drift", {**READY, "made": {}}))


@pytest.mark.parametrize(
    ("cause", "seconds", "is_found"),
    [
        ({**DELETION, "record": "dataset#imagenet"}, 0, True),
        ({**DELETION, "record": "team#vision"}, -1, True),
        ({**DELETION, "record": "team#vision"}, 60, False),
        ({**DELETION, "record": "pause#all"}, 0, False),
        ({**DELETION, "record": "team#vision", "change": "MODIFY"}, 0, False),
        ({**DELETION, "record": "team#vision", "event": "drift"}, 0, False),
    ],
)
def test_a_deletion_is_by_whoever_confirmed_it_then(cause: dict[str, str], seconds: int, is_found: bool) -> None:
    """Not by whoever confirmed another write before or after it, and of no other cause than a deletion."""

    def confirmed(at: datetime.datetime) -> Confirmation:
        return Confirmation("approval#vision", 2, BY, "alice@example.com", "It has ended", "1c32fce", at.isoformat())

    then = confirmed(BEGAN + datetime.timedelta(seconds=seconds))
    others = [None, confirmed(BEGAN - datetime.timedelta(hours=1)), confirmed(BEGAN + datetime.timedelta(hours=1))]
    assert of_deletion(cause, BEGAN.isoformat(), [*others, then]) == (then if is_found else None)
    assert of_deletion(cause, None, [then]) is None
