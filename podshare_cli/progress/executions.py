"""The reconciliations of teams, and sweeps, as executions of the state machines: start, find, follow."""

import datetime
import json
import re
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice, takewhile
from typing import Any

from podshare.kinds import names
from podshare_cli.aws.connection import Connection
from podshare_cli.progress.callers import is_proven
from podshare_cli.progress.runs import Happening, Run, SweepRun

BEGIN_SECONDS = 90  # a stream's batch is delivered within seconds; the rest is patience
_READ_AT_ONCE = 4
_LISTED = 1_000  # executions of one page, the most (ListExecutions)
_SKEW = datetime.timedelta(minutes=1)  # between the clocks by which AWS says when executions began
_NEWS = 25  # events of one page: what has happened since the last look is few


@dataclass(frozen=True)
class Execution:
    """One run of a team; one that found another run under way left its work to that run, which it ``joined``."""

    arn: str
    started: datetime.datetime
    stopped: datetime.datetime | None
    status: str
    trigger: Mapping[str, Any]
    output: Mapping[str, Any]
    cause: str
    joined: "Execution | None" = None

    @property
    def outcome(self) -> str:
        """The state that the team came to, or how the execution stands."""
        if self.joined:
            return self.joined.outcome
        match self.output.get("status"):
            case "left":  # to a run that Step Functions has forgotten
                return "JOINED"
            case "paused":
                return "PAUSED"
            case _:
                return str(self.output.get("state") or self.status)

    @property
    def summary(self) -> str:
        """What the run did, over all its passes, or why it failed."""
        return self.joined.summary if self.joined else str(self.output.get("summary") or self.cause)

    @property
    def name(self) -> str:
        """Its name, by which the history knows it."""
        return self.arn.rpartition(":")[2]

    @property
    def team(self) -> str:
        """The team, as far as the trigger or the execution's name says it."""
        return str(self.output.get("team") or self.name.rpartition("-")[0])

    def made(self, *actions: str) -> int:
        """How many changes of these actions the run made, in all its passes."""
        counts = self.output.get("made") or {}
        return sum(int(counts.get(action, 0)) for action in actions)

    @property
    def is_proven(self) -> bool:
        """Whether CloudTrail says who started it; of a record's writer podshare knows what the record declares."""
        return is_proven(str(self.trigger.get("event")))

    @property
    def acting(self) -> "Execution":
        """The run that did the work: itself, or the one that it joined."""
        return self.joined or self

    @property
    def has_changed(self) -> bool:
        """Whether anything was changed."""
        return bool(self.acting.output.get("made"))

    def as_dict(self) -> dict[str, Any]:
        """The run for machines."""
        return {
            "execution": self.arn,
            "started": self.started,
            "stopped": self.stopped,
            "trigger": dict(self.trigger),
            "proven": self.is_proven,
            "outcome": self.outcome,
            "summary": self.summary,
            "joined": self.joined.arn if self.joined else None,
        }


@dataclass(frozen=True)
class Executions:
    """The executions of an installation's state machines."""

    connection: Connection
    _succeeded: dict[str, Execution] = field(default_factory=dict, compare=False)  # these stay as they are

    def start(self, team: str) -> str:
        """Reconcile a team now, in the caller's name; returns the execution's ARN."""
        trigger = {
            "event": "admin",
            "record": f"team#{team}",
            "change": "RECONCILE",
            "by": self.connection.caller,
            "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "id": str(uuid.uuid4()),
        }
        started = self.connection.client("stepfunctions").start_execution(
            stateMachineArn=self.connection.machine,
            name=names.execution(team, f"{trigger['id']}/0"),
            input=json.dumps({"team": team, "trigger": trigger, "attempt": 0}, sort_keys=True),
        )
        return started["executionArn"]

    def start_sweep(self) -> str:
        """Sweep all accounts and teams now, in the caller's name; returns the execution's ARN."""
        started = self.connection.client("stepfunctions").start_execution(
            stateMachineArn=self.connection.sweep_machine,
            name=names.execution("sweep", str(uuid.uuid4())),
            input=json.dumps({"by": self.connection.caller}),
        )
        return started["executionArn"]

    def of(self, team: str, most: int) -> list[Execution]:
        """The latest runs of a team, the newest first, each with the run that it joined, if any."""
        return self._all([*islice(self._arns(team), most)])

    def _all(self, arns: Sequence[str], read: Callable[[int, int], None] = lambda _done, _of: None) -> list[Execution]:
        """These runs, several read at once, each with the run that it joined, if any."""
        self.connection.client("stepfunctions")  # its making is not for several threads
        with ThreadPoolExecutor(_READ_AT_ONCE) as pool:
            runs = {}
            read(0, len(arns))
            for run in pool.map(self.describe, arns):
                runs[run.arn] = run
                read(len(runs), len(arns))
        return [replace(run, joined=self._joined(run, runs)) for run in runs.values()]

    def latest_changes(self, most: int) -> list[Execution]:
        """Those of so many latest runs, the newest first, that changed something, run or failed; each costs a call."""
        runs = self._all([item["executionArn"] for item in islice(self.listed(), most)])
        return [run for run in runs if run.output.get("made") or run.status != "SUCCEEDED"]

    def _joined(self, run: Execution, known: Mapping[str, Execution]) -> Execution | None:
        if run.output.get("status") != "left":
            return None
        holder = str(run.output.get("holder", ""))
        client = self.connection.client("stepfunctions")
        try:
            return known.get(holder) or self.describe(holder)
        except (client.exceptions.ExecutionDoesNotExist, client.exceptions.InvalidArn):
            return None

    def since(
        self,
        moment: datetime.datetime,
        teams: Sequence[str] | None = None,
        read: Callable[[int, int], None] = lambda _done, _of: None,
    ) -> list[Execution]:
        """The runs that have begun since then, the newest first; of all teams, or of those named.

        ``read`` is called after each with how many have been read, and of how many.
        """
        recent = takewhile(lambda item: item["startDate"] >= moment, self.listed())
        wanted = (item for item in recent if teams is None or any(_is_of(team, item["name"]) for team in teams))
        return self._all([str(item["executionArn"]) for item in wanted], read)

    def listed(self) -> Iterator[Mapping[str, Any]]:
        """The executions of all teams as Step Functions lists them, the newest first, a page at a time."""
        pages = self.connection.client("stepfunctions").get_paginator("list_executions")
        for page in pages.paginate(stateMachineArn=self.connection.machine, PaginationConfig={"PageSize": _LISTED}):
            yield from page["executions"]

    def changes_of(self, arn: str) -> list[Mapping[str, Any]]:
        """The changes that a run has made, as its history reports them."""
        run = Run("")
        for _ in run.take(self.events_after(arn, 0)):
            pass
        return [change.description for change in run.changes if change.status == "done"]

    def describe(self, arn: str) -> Execution:
        """One execution, with its trigger and what came of it."""
        if arn in self._succeeded:
            return self._succeeded[arn]
        execution = self.connection.client("stepfunctions").describe_execution(executionArn=arn)
        run = Execution(
            arn=arn,
            started=execution["startDate"],
            stopped=execution.get("stopDate"),
            status=execution["status"],
            trigger=json.loads(execution.get("input", "{}")).get("trigger", {}),
            output=json.loads(execution.get("output", "{}")),
            cause=execution.get("cause", ""),
        )
        if run.status == "SUCCEEDED":  # no redrive revives it
            self._succeeded[arn] = run
        return run

    def events_after(self, arn: str, last: int) -> list[Mapping[str, Any]]:
        """The events of an execution's history that came after number ``last``, in their order."""
        history = self.connection.client("stepfunctions").get_paginator("get_execution_history")
        pages = history.paginate(executionArn=arn, reverseOrder=True, PaginationConfig={"PageSize": _NEWS})
        newest_first: Iterator[Mapping[str, Any]] = (event for page in pages for event in page["events"])
        # by number: while events are added, a page may repeat what the one before it has shown
        events = {int(event["id"]): event for event in takewhile(lambda event: int(event["id"]) > last, newest_first)}
        return [events[number] for number in sorted(events)]

    def _arns(self, team: str) -> Iterator[str]:
        return (item["executionArn"] for item in self.listed() if _is_of(team, item["name"]))


class Beginnings:
    """The runs that begin from now on: each listing serves all teams that wait for theirs."""

    def __init__(self, executions: Executions) -> None:
        self._executions = executions
        newest = next(executions.listed(), None)
        self._since = newest["startDate"] - _SKEW if newest else datetime.datetime.min.replace(tzinfo=datetime.UTC)
        self._before = {str(item["executionArn"]) for item in self._recent()}
        self._begun: dict[str, list[str]] = {}  # ARNs by what the names of a team's runs begin with
        self._listings = 0
        self._seen: dict[str, int] = {}  # the listing that a team has seen last

    def of(self, team: str, record_ids: Collection[str]) -> str | None:
        """The run of a team that a change of one of the records has started; None if it has not begun yet."""
        if self._seen.get(team, 0) == self._listings:
            self._list()
        self._seen[team] = self._listings
        runs = map(self._executions.describe, self._begun.get(_beginning(team), ()))
        return next((run.arn for run in runs if run.trigger.get("record") in record_ids), None)

    def following(self, team: str, record_ids: Collection[str]) -> "Following":
        """Follows the run of a team that a change of one of the records is about to start."""
        return Following(self._executions, team, begins=partial(self.of, team, record_ids))

    def _list(self) -> None:
        self._begun, self._listings = {}, self._listings + 1
        for item in self._recent():
            if item["executionArn"] not in self._before:
                self._begun.setdefault(item["name"].rpartition("-")[0], []).append(item["executionArn"])

    def _recent(self) -> Iterator[Mapping[str, Any]]:
        return takewhile(lambda item: item["startDate"] >= self._since, self._executions.listed())


class Followed:
    """An execution that is watched from its beginning until it is over: a team's reconciliation, or a sweep."""

    def __init__(self, executions: Executions, name: str, run: Run | SweepRun, arn: str | None) -> None:
        self.name = name  # at the beginning of its lines
        self.arn = arn
        self.run = run
        self._executions = executions

    def poll(self) -> list[Happening]:
        """Look once; what has happened since the last time."""
        return list(self.run.take(self._executions.events_after(str(self.arn), self.run.last_event)))

    @property
    def doing(self) -> str:
        """What is under way."""
        return self.run.under_way

    @property
    def state(self) -> str | None:
        """How it ended: the state that a team has come to."""
        return self.run.state

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.run.is_over


class Following(Followed):
    """A team's reconciliation, followed from the change of its record.

    ``begins`` says which run it is, once that has begun; or ``arn`` is the run itself. A run that leaves its team to
    another one is followed there. A run that does not begin is over without a state, and its summary says so.
    """

    run: Run

    def __init__(
        self,
        executions: Executions,
        team: str,
        *,
        begins: Callable[[], str | None] = lambda: None,
        arn: str | None = None,
    ) -> None:
        super().__init__(executions, team, Run(team), arn)
        self._begins = begins
        self._patience_ends = time.monotonic() + BEGIN_SECONDS

    def poll(self) -> list[Happening]:
        """Look once; what has happened since the last time."""
        if self.arn is None:
            self.arn = self._begins()
        if self.arn is None:
            self._lose_patience()
            return []
        happenings = super().poll()
        if self.run.holder:
            self.arn, self.run = self.run.holder, Run(self.name)
        return happenings

    def as_dict(self) -> dict[str, Any]:
        """How it ended, for machines."""
        return {"team": self.name, "state": self.state, "summary": self.run.summary, "execution": self.arn}

    def _lose_patience(self) -> None:
        if time.monotonic() > self._patience_ends:
            function = f"{self._executions.connection.prefix}-registry-changed"
            self.run.is_over, self.run.summary = (
                True,
                (
                    f"the record was written, but no run started within {BEGIN_SECONDS} s: check the logs and the "
                    f"dead-letter queue of the function {function}"
                ),
            )


class FollowingSweep(Followed):
    """A sweep, followed until it is over."""

    run: SweepRun

    def __init__(self, executions: Executions, arn: str) -> None:
        super().__init__(executions, "sweep", SweepRun(), arn)


def _is_of(team: str, name: str) -> bool:
    return re.fullmatch(rf"{re.escape(_beginning(team))}-[0-9a-f]{{32}}", name) is not None


def _beginning(team: str) -> str:
    """What the names of a team's runs begin with, before the hyphen and the hash of what started them."""
    return names.execution(team, "").rpartition("-")[0]
