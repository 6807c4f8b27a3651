"""Reconciliations and sweeps as their execution histories report them: every step, every change, and how they ended.

Pure: it takes the events of Step Functions' GetExecutionHistory, in their order and as often as new ones come.
The states that it knows are those of ``statemachines/reconcile_team.asl.yaml`` and ``sweep_teams.asl.yaml``.
"""

import datetime
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.markup import escape

from podshare.registry.sentences import counted
from podshare_cli import words

STEPS = (
    "LeaseTeam",
    "PlanTeam",
    "RevokeAccess",
    "ProvideAccess",
    "VerifyTeam",
    "RecordOutcome",
)
_APPLY = frozenset({"ApplyCut", "ApplyProvision"})
_REPORT = _APPLY | {"CutFailed", "ProvisionFailed"}  # the latter for a function that failed as a whole
_ENDS = {
    "ExecutionFailed": "executionFailedEventDetails",
    "ExecutionTimedOut": "executionTimedOutEventDetails",
    "ExecutionAborted": "executionAbortedEventDetails",
}


@dataclass(frozen=True)
class Happening:
    """Something worth a line of progress, in markup."""

    at: datetime.datetime
    mark: str
    text: str
    note: str = ""


@dataclass
class Step:
    """How long one step of a run took, over all its repetitions."""

    seconds: float = 0.0
    entered: datetime.datetime | None = None

    def enter(self, at: datetime.datetime) -> None:
        self.entered = at

    def leave(self, at: datetime.datetime) -> None:
        if self.entered:
            self.seconds += (at - self.entered).total_seconds()
            self.entered = None


@dataclass(frozen=True)
class Change:
    """A change that was made, or could not be, and how long that took in seconds."""

    description: Mapping[str, Any]
    status: str
    seconds: float


@dataclass
class Run:
    """One reconciliation of one team, as far as its history has been taken."""

    team: str
    last_event: int = 0
    steps: dict[str, Step] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    planned: int = 0
    doing: dict[str, str] = field(default_factory=dict)  # what is under way, by the change's key and action
    state: str | None = None
    summary: str = ""
    holder: str = ""  # the execution that acts in this one's place
    is_over: bool = False
    _began: dict[str, tuple[datetime.datetime, str]] = field(default_factory=dict)  # when, and why
    _outcome: Mapping[str, Any] = field(default_factory=dict)

    @property
    def under_way(self) -> str:
        """What is under way, in words."""
        done = f"{min(len(self.changes), self.planned)} of {self.planned} changes" if self.planned else ""
        return ": ".join(filter(None, (done, "; ".join(self.doing.values()))))

    def take(self, events: Iterable[Mapping[str, Any]]) -> Iterator[Happening]:
        """Take further events; yields what is worth showing."""
        for event in events:
            self.last_event = int(event["id"])
            at: datetime.datetime = event["timestamp"]
            if entered := event.get("stateEnteredEventDetails"):
                yield from self._entered(at, entered["name"], _data(entered.get("input")))
            elif left := event.get("stateExitedEventDetails"):
                yield from self._left(at, left["name"], _data(left.get("output")))
            elif event["type"] == "ExecutionSucceeded":
                yield from self._succeeded(at, _data(event.get("executionSucceededEventDetails", {}).get("output")))
            elif event["type"] in _ENDS:
                yield self._ended_badly(at, event["type"], event.get(_ENDS[event["type"]]) or {})

    def _entered(self, at: datetime.datetime, name: str, data: Mapping[str, Any]) -> Iterator[Happening]:
        if name in STEPS:
            self.steps.setdefault(name, Step()).enter(at)
        if name in _APPLY:
            for change in data.get("changes", ()):
                self._began.setdefault(_identity(change), (at, str(change.get("why", ""))))
                self.doing.setdefault(_identity(change), f"{change['action']} {words.resource(change)}")
        elif name == "WaitForFormerHolder":
            yield Happening(at, "[yellow]…[/]", "waits for the functions of an earlier failed run")
        elif name == "WaitForNextAttempt":
            self._end(str(self._outcome.get("state", "WAITING")), str(self._outcome.get("summary", "")))
            yield Happening(at, "[yellow]…[/]", f"waits: {escape(self.summary)}")

    def _left(self, at: datetime.datetime, name: str, data: Mapping[str, Any]) -> Iterator[Happening]:
        if name in self.steps:
            self.steps[name].leave(at)
        if name in _REPORT:
            yield from self._changes_over(at, data.get("results", ()))
            for change in data.get("again", ()):
                self.doing[_identity(change)] = (
                    f"{change['action']} {words.resource(change)}: {change.get('detail', '')}"
                )
        elif name == "PlanTeam" and "count" in data:
            self.planned, self.doing = int(data.get("count", 0)), {}
            yield Happening(at, "[cyan]•[/]", _plan_text(data))
            if "outcome" in data:  # nothing is to be done
                yield from self._recorded(at, data["outcome"])
        elif name == "VerifyTeam" and "verified" in data:
            # without a violation nobody reaches what they may not: something is still to come
            mark = "[green]✓[/]" if data["verified"] else "[red]✗[/]" if data.get("violations") else "[yellow]…[/]"
            verdict = "verified" if data["verified"] else "not verified"
            yield Happening(at, mark, f"{verdict}: read back {counted(data.get('resources', 0), 'resource')}")
        elif name == "RecordOutcome":
            yield from self._recorded(at, data)

    def _recorded(self, at: datetime.datetime, outcome: Mapping[str, Any]) -> Iterator[Happening]:
        self._outcome = outcome
        if outcome.get("next") == "again":
            yield Happening(at, "[cyan]•[/]", "a re-run was requested: starts over")

    def _changes_over(self, at: datetime.datetime, changes: Iterable[Mapping[str, Any]]) -> Iterator[Happening]:
        """Those of ``changes`` that were in progress until now; a batch reports all of its changes when it ends."""
        for change in changes:
            identity, status = _identity(change), str(change.get("status", ""))
            if identity not in self._began:
                continue
            began, why = self._began.pop(identity)
            self.doing.pop(identity, None)
            self.changes.append(Change(change, status, (at - began).total_seconds()))
            mark = {"done": "[green]✓[/]", "waiting": "[yellow]…[/]", "superseded": "[dim]↷[/]"}.get(
                status, "[red]✗[/]"
            )
            # what is revoked has the one reason that nothing asks for it any more
            reason = "" if change["action"] in ("cut", "delete") else why
            note = reason if status == "done" else str(change.get("detail", ""))
            yield Happening(at, mark, f"{words.action(str(change['action']))} {escape(words.resource(change))}", note)

    def _succeeded(self, at: datetime.datetime, data: Mapping[str, Any]) -> Iterator[Happening]:
        match data.get("status"):
            case "left":
                self.holder, self.is_over = str(data.get("holder", "")), True
            case "paused":
                self._end("PAUSED", f"podshare is paused: {data.get('reason', '')} ({data.get('by', '')})")
                yield Happening(at, "[yellow]…[/]", escape(self.summary))
            case _:
                self._end(str(data.get("state", "FAILED")), str(data.get("summary", "")))

    def _ended_badly(self, at: datetime.datetime, kind: str, details: Mapping[str, Any]) -> Happening:
        self._end("FAILED", _end_text(kind, details))
        return Happening(at, "[red]✗[/]", escape(self.summary))

    def _end(self, state: str, summary: str) -> None:
        self.state, self.summary, self.is_over, self.doing = state, summary, True, {}


_SWEEP_DOES = {
    "ListAccounts": "lists the organization's accounts",
    "ReadAccounts": "reads each account",
    "ListTeams": "lists the teams",
    "ReconcileTeams": "reconciles each team",
    "Summarize": "sums up",
}
_SWEEP_FOUND = {"ListAccounts": "account", "ListTeams": "team"}


@dataclass
class SweepRun:
    """One sweep of all accounts and teams, as far as its history has been taken."""

    last_event: int = 0
    under_way: str = ""
    state: str | None = None  # SWEPT, PAUSED or FAILED
    reason: str = ""  # why it is not SWEPT
    summary: Mapping[str, Any] = field(default_factory=dict)
    is_over: bool = False
    _at: str = ""  # the state that it is in

    def take(self, events: Iterable[Mapping[str, Any]]) -> Iterator[Happening]:
        """Take further events; yields what is worth showing."""
        for event in events:
            self.last_event = int(event["id"])
            if entered := event.get("stateEnteredEventDetails"):
                self._at = entered["name"]
                self.under_way = _SWEEP_DOES.get(self._at, self.under_way)
            elif succeeded := event.get("taskSucceededEventDetails"):
                yield from self._listed(event["timestamp"], _data(succeeded.get("output")).get("Payload", {}))
            elif event["type"] == "ExecutionSucceeded":
                self._succeeded(_data(event.get("executionSucceededEventDetails", {}).get("output")))
            elif event["type"] in _ENDS:
                self._end("FAILED", _end_text(event["type"], event.get(_ENDS[event["type"]]) or {}))

    def _listed(self, at: datetime.datetime, page: Mapping[str, Any]) -> Iterator[Happening]:
        if self._at in _SWEEP_FOUND and page.get("items"):
            count = len(page["items"])
            more = ", and more to come" if page.get("after") else ""
            message = f"{counted(count, _SWEEP_FOUND[self._at])} to process{more}"
            yield Happening(at, "[cyan]•[/]", message)

    def _succeeded(self, data: Mapping[str, Any]) -> None:
        if data.get("paused"):
            self._end("PAUSED", str(data["paused"]))
        else:
            self.summary = data
            self._end("SWEPT", "")

    def _end(self, state: str, reason: str) -> None:
        self.state, self.reason, self.is_over, self.under_way = state, reason, True, ""


def _data(text: str | None) -> Mapping[str, Any]:
    """An event's input or output; empty where Step Functions has cut it off."""
    try:
        parsed = json.loads(text or "{}")
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _identity(change: Mapping[str, Any]) -> str:
    return f"{change['action']} {change.get('key', change.get('name'))}"


def _plan_text(plan: Mapping[str, Any]) -> str:
    count = int(plan.get("count", 0))
    revoked = sum(len(stage["changes"]) for stage in plan.get("revoke", []))
    parts = [f"{counted(count, 'change')} planned" if count else "nothing to change"]
    parts += [f"{revoked} revoke{'s' if revoked == 1 else ''} access"] if revoked else []
    for name, many in (("problems", "invalid in the record"), ("obstacles", "blocked")):
        parts += [f"[yellow]{len(plan[name])} {many}[/]"] if plan.get(name) else []
    return ", ".join(parts)


def _end_text(kind: str, details: Mapping[str, Any]) -> str:
    message = f"the execution {kind.removeprefix('Execution').lower()}: {details.get('error', '')}"
    return f"{message} {_cause_text(details.get('cause', ''))}".strip()


def _cause_text(cause: str) -> str:
    """A Lambda's error message out of the JSON that Step Functions puts into a cause."""
    return str(_data(cause).get("errorMessage", cause))[:400]
