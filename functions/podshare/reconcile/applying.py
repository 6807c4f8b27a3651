"""Apply one change: read what is desired and what is there, and converge.

A change that has been overtaken does nothing; one that was done already is done. After every change what is there is
read back. What is desired is read once for the changes that a warm function makes under one hold of the lease, which
is checked before each of them; see docs/decisions/0031.
"""

import dataclasses
import datetime
import time
from collections.abc import Mapping
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
from podshare.aws.sessions import Accounts, changes_guarded_by
from podshare.aws.settings import Settings
from podshare.aws.tables import State
from podshare.kinds.base import Key, Resource, same
from podshare.kinds.context import Context
from podshare.kinds.observation import Foreign
from podshare.kinds.running_work import await_drain
from podshare.kinds.table import KINDS
from podshare.reconcile.plan import Action, goal
from podshare.reconcile.team_records import desired_resources, read_records

_FRESH_SECONDS = 60.0
_known: dict[Hold, tuple[float, Mapping[Key, Resource]]] = {}  # when it was read, what is desired; of one hold at most


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """A change as the state machine hands it over, with the lease under which it is made."""

    hold: Hold
    action: Action
    key: Key

    @classmethod
    def of(cls, event: dict[str, Any]) -> "Step":
        """The step in a function's event."""
        lease, change = event["lease"], event["change"]
        hold = Hold(event["team"], int(lease["fence"]), int(lease["generation"]))
        return cls(hold, Action(change["action"]), Key.parse(change["key"]))


def apply(settings: Settings, work: str, step: Step) -> dict[str, Any]:
    """Make one change and tell what became of it: done, pending, waiting or superseded.

    ``failure`` is what AWS told of an attempt that it could not carry out and that is made anew, else empty. Raises
    Retryable or Terminal if the change failed; the state machine retries the one and records the other.
    """
    failure = ""
    about = f"team {step.hold.team}, account {step.key.account}: {step.action} {step.key.kind} {step.key.name}"
    try:
        leases = TeamLeases(State(settings.state), settings.function_timeout)
        with classified(about), changes_guarded_by(lambda: leases.check(step.hold)):
            leases.check(step.hold)
            status, detail = _converge(settings, work, step)
    except Pending as pending:
        status, detail = "pending", str(pending)
        failure = detail if isinstance(pending, Failed) else ""
    except (Waiting, NoMemberRole) as waiting:  # the next plan tells whether the role is late or will not come back
        status, detail = "waiting", str(waiting)
    except Superseded as superseded:
        status, detail = "superseded", str(superseded)
    return {**_described(step), "status": status, "detail": detail, "failure": failure}


def _converge(settings: Settings, work: str, step: Step) -> tuple[str, str]:
    desired = _desired(settings, step.hold)
    context = _context(settings, work, step, desired)
    if step.action is Action.DRAIN:
        wanted_again = step.key in desired
        return "done", "kept" if wanted_again else await_drain(context, step.key, settings.drain_seconds)
    wanted = desired.get(step.key)
    observed = _read(context, step.key, wanted)
    if isinstance(observed, Foreign):
        raise Terminal(f"{step.key.name} is not podshare's: {observed.found}. podshare leaves it unchanged.")
    target = goal(step.action, wanted, observed)
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
        return KINDS[key.kind].read(context, key, wanted)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise Retryable(reason_of(error)) from error


def _desired(settings: Settings, hold: Hold) -> Mapping[Key, Resource]:
    """What is desired under ``hold``, read anew after a minute: some of it ends by the clock."""
    known = _known.get(hold)
    if known and time.monotonic() - known[0] < _FRESH_SECONDS:
        return known[1]
    read_at, desired = time.monotonic(), _read_desired(settings, hold.team)
    _known.clear()
    _known[hold] = read_at, desired
    return desired


def _read_desired(settings: Settings, team: str) -> Mapping[Key, Resource]:
    records = read_records(settings, team)
    if records.team and not records.known_facts.keys() & records.team.quotas.keys():
        unknown = ", ".join(records.team.quotas)
        raise Terminal(
            f"cluster {unknown} has never been read: refusing to plan, because every resource would look unwanted"
        )
    return desired_resources(records, records.known_facts, settings.installation)


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


def _context(settings: Settings, work: str, step: Step, desired: Mapping[Key, Resource]) -> Context:
    return Context(
        installation=settings.installation,
        team=step.hold.team,
        work=work,
        accounts=Accounts(settings.installation, work),
        state=State(settings.state),
        function_timeout=settings.function_timeout,
        run=str(step.hold.fence),
        desired=frozenset(desired),
    )


def _described(step: Step) -> dict[str, Any]:
    """The change in the execution's history: what was done to which thing."""
    return {
        "action": step.action.value,
        "kind": step.key.kind.value,
        "account": step.key.account,
        "name": step.key.name,
        "key": str(step.key),
    }
