"""Apply changes: read what is desired and what is there of each, and converge.

All changes that one function may make in a wave, or a stage, come in one invocation, and are made side by side. A
change that has been overtaken does nothing; one that was done already is done. After every change what is there is read
back. One that fails, or has to be checked again, keeps no other; see docs/decisions/0057. What is desired is read
once for the changes that a warm function makes under one hold of the lease; see docs/decisions/0031.
"""

import contextlib
import dataclasses
import datetime
import logging
import random
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
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
from podshare.aws.tables import InventoryReadOnce, Snapshot, State, Write
from podshare.kinds import bucket_policy
from podshare.kinds.base import Key, Kind, Resource, same
from podshare.kinds.context import Context
from podshare.kinds.inventory import Inventory
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
_LONGEST_DETAIL = 500  # of each of a plan's changes: together they fit into a state (256 KiB, Step Functions quotas)
_CHECK_SECONDS = 1.0
_MARK_SECONDS = 5.0  # by which a row may be marked before its change begins; a plan takes it for settled after a minute
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


class _Marks:
    """The rows of the inventory that say what is changing: of all changes of an invocation at once, where that can be.

    What is made or changed is marked before anything is, in the transaction that checks the lease; a mark that is older
    when the change begins is made again. What was read back is settled, or forgotten, once all changes have ended.
    """

    def __init__(self, inventory: Inventory) -> None:
        self.read_once = InventoryReadOnce(inventory.state.table)  # for the kinds, which change none of these rows
        self._inventory = inventory
        self._begun: dict[Key, tuple[float, str]] = {}
        self._changed: set[Key] = set()
        self._ended: dict[Key, str | None] = {}

    def begin_together(self, keys: Collection[Key], check: Write) -> float | None:
        """Mark all keys if ``check`` holds; the moment at which it held, None if it did not or others were writing."""
        moment, at = time.monotonic(), _now()
        if not keys or not self._inventory.begin_together(keys, at, check):
            return None
        self._begun = dict.fromkeys(keys, (moment, at))
        return moment

    def begin(self, key: Key) -> None:
        """Mark ``key``, which is changed right after this, unless it was marked a moment ago."""
        moment, _ = self._begun.get(key, (float("-inf"), ""))
        if key in self._changed or time.monotonic() - moment >= _MARK_SECONDS:
            self._inventory.begin(key, _now())
        self._changed.add(key)

    def settle(self, key: Key) -> None:
        """Take the mark away before ``key`` is deleted: it was seen, so that it has gone once it is absent."""
        self._inventory.settle(key)

    def end(self, key: Key, now: Resource | None) -> None:
        """``key`` was read back as it was to be: settled, or gone."""
        self._ended[key] = now.identity if now else None

    def end_together(self) -> bool:
        """Write down all that has ended; False if each has to be written by ``end_alone``."""
        return not self._ended or self._inventory.end_together(self._ended)

    def end_alone(self, key: Key) -> None:
        """Write down what ended of ``key``."""
        if key in self._ended:
            identity = self._ended[key]
            self._inventory.forget(key) if identity is None else self._inventory.settle(key, identity)

    def withdraw(self) -> None:
        """Forget what was marked first by this invocation and then was not made.

        A mark that cannot be taken back is one that a killed function leaves: a later plan checks it.
        """
        for key in self._begun.keys() - self._changed - self._ended.keys():
            with contextlib.suppress(Exception):
                self._inventory.withdraw(key, self._begun[key][1])


def apply(settings: Settings, execution_role: str, batch: FunctionBatch, seconds_left: Callable[[], float]) -> Report:
    """Make changes in parallel, and return the result of each: ``results``, and those to make ``again``.

    A result is a change with its ``status`` (done, waiting, superseded or failed) and ``detail``. A change that AWS
    works on, that may succeed in a moment, or for which too little of the invocation's ``seconds_left`` is left, is
    made again after ``wait_seconds``: ``MOST_CHECKS`` and ``MOST_RETRIES`` times at most.
    """
    state = State(settings.state)
    leases, marks = TeamLeases(state, settings.function_timeout), _Marks(Inventory(state, batch.hold.team))
    lease = _FreshCheck(leases, batch.hold, _begun_at(settings, batch, marks, leases.fence(batch.hold).condition))

    def make(turn: Sequence[Report]) -> list[Report]:
        return [
            _attempt(settings, execution_role, batch.hold, change, marks)
            if seconds_left() > settings.function_timeout / 2
            else {**change, "status": "again"}
            for change in turn
        ]

    with changes_guarded_by(lease), ThreadPoolExecutor(_AT_ONCE) as pool:
        made = [change for turn in pool.map(make, _turns(batch.changes)) for change in turn]
    made = _ended(made, batch.hold, marks)
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


def _begun_at(settings: Settings, batch: FunctionBatch, marks: _Marks, check: Write) -> float:
    """Mark what the batch makes or changes, and that is wanted, while ``check`` holds; the moment at which it held.

    What was attempted before is marked when it is changed again: it may only be waited for. Revocations are marked one
    by one, so that none waits for others.
    """
    first = [change for change in batch.changes if not change.get("looks") and not change.get("retries")]
    keys = {Key.parse(change["key"]) for change in first if Action(change["action"]) in (Action.CREATE, Action.UPDATE)}
    with contextlib.suppress(Exception):  # each change meets it again, and reports it
        if keys and (moment := marks.begin_together(keys & _desired(settings, batch.hold).keys(), check)) is not None:
            return moment
    return float("-inf")


def _ended(made: Sequence[Report], hold: Hold, marks: _Marks) -> list[Report]:
    """The changes once the inventory says what became of them; one that it cannot say it of is made again."""
    marks.withdraw()
    with contextlib.suppress(Exception):  # each change meets it again, and reports it
        if marks.end_together():
            return [*made]
    return [_end_alone(change, hold, marks) if change["status"] == "done" else change for change in made]


def _end_alone(change: Report, hold: Hold, marks: _Marks) -> Report:
    def end() -> tuple[str, str]:
        marks.end_alone(Key.parse(change["key"]))
        return change["status"], change["detail"]

    return _reported(change, hold, end)


def _attempt(settings: Settings, execution_role: str, hold: Hold, change: Report, marks: _Marks) -> Report:
    """The change with what became of it: a final status, or ``again`` with when, how often, and why.

    ``seconds`` count from the first attempt, pauses included.
    """
    step = Step(hold, Action(change["action"]), Key.parse(change["key"]))

    def converge() -> tuple[str, str]:
        ask_guard()
        return _converge(settings, execution_role, step, marks)

    began = float(change.get("began") or time.time())
    return {**_reported(change, hold, converge), "began": began, "seconds": round(time.time() - began, 1)}


def _reported(change: Report, hold: Hold, act: Callable[[], tuple[str, str]]) -> Report:
    """The change with what became of it when this was done for it."""
    key = Key.parse(change["key"])
    about = f"team {hold.team}, account {key.account}: {change['action']} {key.kind} {key.name}"
    try:
        with classified(about):
            status, detail = act()
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
    seen = {"looks": checks, "reason": _bounded(reason), "detail": _bounded(detail)}
    return {**change, **seen, "status": "again", "wait_seconds": CHECK_INTERVAL_SECONDS}


def retry(change: Report, detail: str) -> Report:
    """It may succeed in a moment: it is tried again after a pause that grows, or has failed after the last retry."""
    retries = int(change.get("retries", 0)) + 1
    if retries > MOST_RETRIES:
        return _failed(change, f"Retryable: {detail}")
    # full jitter, as Step Functions has it; chance keeps teams apart that met the same limit
    pause = round(random.uniform(0, min(_LONGEST_PAUSE, 2.0**retries)))  # noqa: S311  # no secret
    seen = {"retries": retries, "detail": _bounded(detail)}
    return {**change, **seen, "status": "again", "wait_seconds": pause}


def _failed(change: Report, detail: str) -> Report:
    return {**change, "status": "failed", "detail": _bounded(detail)}


def _bounded(detail: str) -> str:
    """Beginning and end of what AWS says: the end of a denial names the kind of its policy."""
    half = _LONGEST_DETAIL // 2
    return detail if len(detail) <= _LONGEST_DETAIL else f"{detail[:half]}…{detail[1 - half :]}"


_KEPT = ("action", "kind", "account", "name", "key", "lane", "status", "detail", "seconds")


def _result(change: Report) -> Report:
    """The change in the execution's history: what was done to which resource, and what became of it."""
    return {name: change[name] for name in _KEPT if name in change}


class _FreshCheck:
    """Holds the lease at every change, by one reading of its item a second: several threads change side by side."""

    def __init__(self, leases: TeamLeases, hold: Hold, checked_at: float) -> None:
        self._leases, self._hold = leases, hold
        self._checked_at = checked_at
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


def _converge(settings: Settings, execution_role: str, step: Step, marks: _Marks) -> tuple[str, str]:
    desired = _desired(settings, step.hold)
    context = _context(settings, execution_role, step, desired)
    if step.action is Action.DRAIN:
        wanted_again = step.key in desired
        return "done", "kept" if wanted_again else await_drain(context, step.key, settings.drain_seconds)
    wanted = desired.get(step.key)
    making = dataclasses.replace(context, state=_state_of(settings, step.key, marks))
    observed = _read(making, step.key, wanted)
    if isinstance(observed, Foreign):
        raise Terminal(f"{step.key.name} is not podshare's: {observed.found}. podshare leaves it unchanged.")
    target = target_state(step.action, wanted, observed)
    if same(observed, target):
        if target is None and context.inventory.is_changing(step.key):
            raise Waiting("it may just have been created, and not have settled yet")
        return _settled(marks, step.key, observed)
    try:
        _change(making, step.key, observed, target, marks)
    except ClientError as error:
        if is_absent(error):  # what was made a moment ago may not be known everywhere yet
            raise Pending(f"not settled yet: {error}") from error
        raise
    after = _read(making, step.key, wanted)
    if isinstance(after, Foreign) or not same(after, target):
        raise Pending("requested, and not read back yet")
    return _settled(marks, step.key, after)


def _state_of(settings: Settings, key: Key, marks: _Marks) -> State:
    """The state as the kind of a resource reads it: what is kept of a bucket counts as of when its lease was taken."""
    if key.kind not in (Kind.BUCKET_DELEGATION, Kind.FILE_SYSTEM_DELEGATION):
        return marks.read_once
    state = Snapshot(settings.state)
    bucket_policy.read_ahead(state, key.container)
    return state


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


def _change(context: Context, key: Key, observed: Resource | None, target: Resource | None, marks: _Marks) -> None:
    """Make ``target`` of what is there, and write down beforehand that it is being made or changed."""
    module = KINDS[key.kind]
    if target is not None:
        marks.begin(key)
        if observed is None:
            module.create(context, target)
        else:
            module.update(context, observed, target)
    elif observed is not None:
        marks.settle(key)
        module.delete(context, observed)


def _settled(marks: _Marks, key: Key, now: Resource | None) -> tuple[str, str]:
    marks.end(key, now)
    return "done", "absent" if now is None else "as desired"


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat()


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
