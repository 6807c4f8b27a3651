"""Apply changes: read what is desired and what is there of each, and converge.

All changes that one function may make in a wave, or a stage, come in one invocation, and are made side by side. A
change that has been overtaken does nothing; one that was done already is done. After every change what is there is read
back. One that fails, or has to be checked again, keeps no other; see docs/decisions/0057. What is desired is read
once for the changes that a warm function makes under one hold of the lease; see docs/decisions/0031.
"""

import dataclasses
import datetime
import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError

from podshare.aws.errors import (
    Failed,
    NoMemberRole,
    Pending,
    Retryable,
    Superseded,
    Terminal,
    Waiting,
    classified,
    is_absent,
    reason_of,
)
from podshare.aws.lease import Hold, TeamLeases
from podshare.aws.sessions import Accounts, ask_guard, changes_guarded_by
from podshare.aws.settings import Settings
from podshare.aws.tables import State
from podshare.kinds.base import Key, Resource, same
from podshare.kinds.context import Context
from podshare.kinds.observation import Foreign
from podshare.kinds.running_work import await_drain
from podshare.kinds.shapes import SHAPES
from podshare.kinds.table import KINDS, read
from podshare.reconcile.handed_over import Planned, handed_over, is_fresh
from podshare.reconcile.plan import Action, target_state
from podshare.reconcile.team_records import desired_resources, read_records

MOST_CHECKS = 100  # at one change that AWS works on, before it counts as failed
MOST_RETRIES = 10  # of one change that may succeed in a moment
CHECK_INTERVAL_SECONDS = 3
_LONGEST_PAUSE = 20.0  # between two retries
_AT_ONCE = 8
_LONGEST_DETAIL = 1000
_CHECK_SECONDS = 1.0
_known: dict[Hold, Planned] = {}  # of one hold at most
_reading = threading.Lock()

_log = logging.getLogger(__name__)

Report = dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class FunctionBatch:
    """Changes as the state machine hands them over, with the lease under which they are made."""

    hold: Hold
    changes: Sequence[Report]

    @classmethod
    def of(cls, event: Report) -> "FunctionBatch":
        """The batch in a function's event."""
        lease = event["lease"]
        return cls(Hold(event["team"], int(lease["fence"]), int(lease["generation"])), event["changes"])


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One change, with the lease under which it is made."""

    hold: Hold
    action: Action
    key: Key


def apply(settings: Settings, execution_role: str, batch: FunctionBatch, seconds_left: Callable[[], float]) -> Report:
    """Make changes in parallel, and return the result of each: ``results``, and those to make ``again``.

    A result is a change with its ``status`` (done, waiting, superseded or failed) and ``detail``. A change that AWS
    works on, that may succeed in a moment, or for which too little of the invocation's ``seconds_left`` is left, is
    made again after ``wait_seconds``: ``MOST_CHECKS`` and ``MOST_RETRIES`` times at most.
    """
    lease = _FreshCheck(TeamLeases(State(settings.state), settings.function_timeout), batch.hold)

    def make(turn: Sequence[Report]) -> list[Report]:
        return [
            _attempt(settings, execution_role, batch.hold, change)
            if seconds_left() > settings.function_timeout / 2
            else {**change, "status": "again"}
            for change in turn
        ]

    with changes_guarded_by(lease), ThreadPoolExecutor(_AT_ONCE) as pool:
        made = [change for turn in pool.map(make, _turns(batch.changes)) for change in turn]
    again = [change for change in made if change["status"] == "again"]
    return {
        "results": [_result(change) for change in made if change["status"] != "again"],
        "again": again,
        "wait_seconds": max((change.pop("wait_seconds", 0) for change in again), default=0),
    }


def _turns(changes: Iterable[Report]) -> list[list[Report]]:
    """Changes that can be made in parallel; those of a document with one writer at a time follow each other."""
    turns: dict[object, list[Report]] = {}
    for change in changes:
        key = Key.parse(change["key"])
        place = (key.account, key.container) if SHAPES[key.kind].in_turn else change["key"]
        turns.setdefault(place, []).append(change)
    return list(turns.values())


def _attempt(settings: Settings, execution_role: str, hold: Hold, change: Report) -> Report:
    """The change with what became of it: a final status, or ``again`` with when, how often, and why."""
    step = Step(hold, Action(change["action"]), Key.parse(change["key"]))
    about = f"team {hold.team}, account {step.key.account}: {step.action} {step.key.kind} {step.key.name}"
    try:
        with classified(about):
            ask_guard()
            status, detail = _converge(settings, execution_role, step)
    except Pending as pending:
        return check_again(change, str(pending), str(pending) if isinstance(pending, Failed) else "")
    except Retryable as retryable:
        return retry(change, str(retryable))
    except (Waiting, NoMemberRole) as waiting:  # the next plan says whether the role is late or will not come back
        return {**change, "status": "waiting", "detail": str(waiting)}
    except Superseded as superseded:
        return {**change, "status": "superseded", "detail": str(superseded)}
    except Exception as error:  # whatever it is, it keeps no other change
        if not isinstance(error, Terminal):
            _log.exception("%s", about)
        return _failed(change, f"{type(error).__name__}: {error}")
    return {**change, "status": status, "detail": detail}


def check_again(change: Report, detail: str, failure: str) -> Report:
    """AWS works on it, or has not made it known everywhere; ``failure`` is what it could not carry out, if anything."""
    checks, reason = int(change.get("looks", 0)) + 1, failure or str(change.get("reason", ""))
    if checks >= MOST_CHECKS:
        return _failed(change, f"did not settle: {reason or detail}")
    seen = {"looks": checks, "reason": reason[:_LONGEST_DETAIL], "detail": detail[:_LONGEST_DETAIL]}
    return {**change, **seen, "status": "again", "wait_seconds": CHECK_INTERVAL_SECONDS}


def retry(change: Report, detail: str) -> Report:
    """It may succeed in a moment: it is tried again after a pause that grows, or has failed after the last retry."""
    retries = int(change.get("retries", 0)) + 1
    if retries > MOST_RETRIES:
        return _failed(change, f"Retryable: {detail}")
    # full jitter, as Step Functions has it; chance keeps teams apart that met the same limit
    pause = round(random.uniform(0, min(_LONGEST_PAUSE, 2.0**retries)))  # noqa: S311  # no secret
    seen = {"retries": retries, "detail": detail[:_LONGEST_DETAIL]}
    return {**change, **seen, "status": "again", "wait_seconds": pause}


def _failed(change: Report, detail: str) -> Report:
    return {**change, "status": "failed", "detail": detail[:_LONGEST_DETAIL]}


_KEPT = ("action", "kind", "account", "name", "key", "lane", "status", "detail")


def _result(change: Report) -> Report:
    """The change in the execution's history: what was done to which resource, and what became of it."""
    return {name: change[name] for name in _KEPT if name in change}


class _FreshCheck:
    """Holds the lease at every change, by one reading of its item a second: several threads change side by side."""

    def __init__(self, leases: TeamLeases, hold: Hold) -> None:
        self._leases, self._hold = leases, hold
        self._checked_at = float("-inf")
        self._lock = threading.Lock()

    def __call__(self) -> None:
        """Raise Superseded if the lease is lost, or something newer has been asked for."""
        with self._lock:
            now = time.monotonic()
            if now - self._checked_at >= _CHECK_SECONDS:
                self._leases.check(self._hold)
                self._checked_at = now


def _desired(settings: Settings, hold: Hold) -> Mapping[Key, Resource]:
    """What is desired under ``hold``, found once for all threads, and again after a minute: some of it expires.

    Raises Retryable or Terminal if that cannot be determined.
    """
    with _reading:
        known = _known.get(hold)
        if known is None or not is_fresh(known[0]):
            known = handed_over(State(settings.state), hold) or _read_desired(settings, hold.team)
            _known.clear()
            _known[hold] = known
        return known[1]


def _converge(settings: Settings, execution_role: str, step: Step) -> tuple[str, str]:
    desired = _desired(settings, step.hold)
    context = _context(settings, execution_role, step, desired)
    if step.action is Action.DRAIN:
        wanted_again = step.key in desired
        return "done", "kept" if wanted_again else await_drain(context, step.key, settings.drain_seconds)
    wanted = desired.get(step.key)
    observed = _read(context, step.key, wanted)
    if isinstance(observed, Foreign):
        raise Terminal(f"{step.key.name} is not podshare's: {observed.found}. podshare leaves it unchanged.")
    target = target_state(step.action, wanted, observed)
    if same(observed, target):
        if target is None and context.inventory.is_changing(step.key):
            raise Waiting("it may just have been created, and not have settled yet")
        return _settled(context, step.key, observed)
    try:
        _change(context, step.key, observed, target)
    except ClientError as error:
        if is_absent(error):  # what was made a moment ago may not be known everywhere yet
            raise Pending(f"not settled yet: {error}") from error
        raise
    now = _read(context, step.key, wanted)
    if isinstance(now, Foreign) or not same(now, target):
        raise Pending("requested, and not read back yet")
    return _settled(context, step.key, now)


def _read(context: Context, key: Key, wanted: Resource | None) -> Resource | Foreign | None:
    """What is there. Raises Retryable where the answer lacks what it must have."""
    try:
        return read(context, key, wanted)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise Retryable(reason_of(error)) from error


def _read_desired(settings: Settings, team: str) -> Planned:
    records = read_records(settings, State(settings.state), team)
    if records.team and not records.known_facts.keys() & records.team.quotas.keys():
        unknown = ", ".join(records.team.quotas)
        raise Terminal(
            f"cluster {unknown} has never been read: refusing to plan, because every resource would look unwanted"
        )
    return records.as_of, desired_resources(records, records.known_facts, settings.installation)


def _change(context: Context, key: Key, observed: Resource | None, target: Resource | None) -> None:
    """Make ``target`` of what is there, and write down beforehand that it is being made or changed."""
    module = KINDS[key.kind]
    if target is not None:
        context.inventory.begin(key, datetime.datetime.now(datetime.UTC).isoformat())
        if observed is None:
            module.create(context, target)
        else:
            module.update(context, observed, target)
    elif observed is not None:
        context.inventory.settle(key)  # it was seen: once it is absent, it has gone
        module.delete(context, observed)


def _settled(context: Context, key: Key, now: Resource | None) -> tuple[str, str]:
    if now is None:
        context.inventory.forget(key)
        return "done", "absent"
    context.inventory.settle(key, now.identity)
    return "done", "as desired"


def _context(settings: Settings, execution_role: str, step: Step, desired: Mapping[Key, Resource]) -> Context:
    return Context(
        installation=settings.installation,
        team=step.hold.team,
        execution_role=execution_role,
        accounts=Accounts(settings.installation, execution_role),
        state=State(settings.state),
        function_timeout=settings.function_timeout,
        run=str(step.hold.fence),
        desired=frozenset(desired),
    )
