"""One reconciliation of a team at a time, and one writer of a shared document at a time.

A team's lease is one item: who holds it, a fencing number that rises with every taking, and a generation that every
trigger raises. The holder gives it back only if the generation is the one that it started from; so a trigger that
finds the lease taken can end, and is not forgotten. One that only requests a check of what is there leaves a mark
instead of a generation: the holder ends what it does before it checks again, so that whoever makes such triggers
without end cannot keep it from ending.
"""

import contextlib
import datetime
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from podshare.aws.errors import Retryable, Superseded, Tolerated
from podshare.aws.rows import LEASES, Item
from podshare.aws.sessions import hub_client
from podshare.aws.tables import Fence, State, Write

_FORGOTTEN = datetime.timedelta(hours=1)


AsksFor = Literal["a new plan", "another look", "nothing new"]


@dataclass(frozen=True, slots=True)
class Hold:
    """A lease that is held: the numbers by which every change proves it."""

    team: str
    fence: int
    generation: int


@dataclass(frozen=True, slots=True)
class Busy:
    """The lease is somebody else's: ``wait_seconds`` until it can be taken over, None while its holder is well."""

    holder: str
    wait_seconds: int | None


@dataclass(frozen=True, slots=True)
class TeamLeases:
    """The leases of all teams. ``function_timeout``: seconds after which a holder's last function must have ended."""

    state: State
    function_timeout: int

    @staticmethod
    def places(team: str) -> tuple[tuple[str, str], ...]:
        """The id and part of the rows that ``acquire`` takes as read: the lease, and that of a version before 0045."""
        return (LEASES, f"team#{team}"), (f"team#{team}", "lease")

    def acquire(self, team: str, execution: str, *, asks_for: AsksFor, is_new: bool = False) -> Hold | Busy:
        """Take the lease for ``execution`` (its ARN), after recording what it requests.

        ``is_new``: none of its ``places`` was there a moment ago. A holder that is running is left alone: it starts
        over, or checks again. One that has ended without giving the lease back is taken over, once its functions must
        have ended too.
        """
        if asks_for == "a new plan" and (taken := self._take_free(team, execution, is_new=is_new)):
            return _held(team, taken)
        self._adopt(team)
        item = self._record_request(team, asks_for)
        for _ in range(5):
            holder = str(item.get("holder", ""))
            if holder and holder != execution and (busy := self._still_busy(holder, item)):
                return busy
            if taken := self._take(team, execution, holder):
                return _held(team, taken)
            item = self._item(team)
        raise Retryable(f"team {team}: the lease changed hands five times while it was being taken")

    def check(self, hold: Hold) -> None:
        """Raise Superseded unless ``hold`` is the newest hold and nothing newer has been asked for."""
        _check(hold, self._item(hold.team))

    def is_held(self, hold: Hold) -> bool:
        """Whether ``hold`` is the newest one, whatever else has been asked for."""
        return int(self._item(hold.team).get("fence", 0)) == hold.fence

    def fence(self, hold: Hold, holder: str = "") -> Fence:
        """By what transactions are held to ``check``, and to ``holder`` still having the lease, if it is named.

        So a planner that has given it back, and is asked again because its reply was lost, plans no changes.
        """
        condition = "fence = :fence AND generation = :generation" + (" AND holder = :holder" if holder else "")
        values = {"fence": hold.fence, "generation": hold.generation, **({"holder": holder} if holder else {})}
        place = LEASES, f"team#{hold.team}"
        check = self.state.checking(*place, condition, **values)
        return Fence(check, place, lambda item: _check(hold, item, holder))

    def release_with(self, hold: Hold, writes: Sequence[Write]) -> bool:
        """Give the lease back and write rows with it, all or nothing: False if a newer trigger came, or it is lost."""
        release = self.state.updating(*_release(hold), fence=hold.fence, generation=hold.generation)
        return self.state.write_together([*writes, release])

    def release(self, hold: Hold) -> bool:
        """Give the lease back; False if a newer trigger came, and the holder has to start over or to check again.

        Raises Superseded if the lease is no longer the caller's.
        """
        if self.state.update(*_release(hold), fence=hold.fence, generation=hold.generation):
            return True
        if not self.is_held(hold):
            raise Superseded(f"team {hold.team}: another execution has taken over")
        item = self._item(hold.team)
        # a repeated call, after a reply that was lost, finds its work done
        return int(item["generation"]) == hold.generation and "holder" not in item

    def _item(self, team: str) -> Item:
        return self.state.get(LEASES, f"team#{team}") or {}

    def _adopt(self, team: str) -> None:
        """Take over the lease of a version before 0045, which kept it elsewhere.

        The fencing number rises: whoever holds it works by the rows of that version, and has to begin again.
        """
        if not self._item(team) and (former := self.state.get(f"team#{team}", "lease")):
            attributes = {name: value for name, value in former.items() if name not in ("id", "part")}
            self.state.put_once(LEASES, f"team#{team}", **{**attributes, "fence": int(former.get("fence", 0)) + 1})

    def _record_request(self, team: str, asks_for: AsksFor) -> Item:
        match asks_for:
            case "a new plan":
                return self.state.update(LEASES, f"team#{team}", "ADD generation :one", None, one=1) or {}
            case "another look":
                return self.state.update(LEASES, f"team#{team}", "SET look_again = :yes", None, yes=True) or {}
            case "nothing new":
                return self._item(team)

    def _take_free(self, team: str, execution: str, *, is_new: bool) -> Item | None:
        """Ask for a new plan and take a lease that is free, or the caller's, at once; None if there is none."""
        is_free = "(attribute_not_exists(holder) OR holder = :execution)"
        condition = is_free if is_new else f"attribute_exists(fence) AND {is_free}"
        return self._set_holder(team, execution, "fence :one, generation :one", condition)

    def _take(self, team: str, execution: str, former: str) -> Item | None:
        condition = "holder = :former" if former else "attribute_not_exists(holder)"
        return self._set_holder(team, execution, "fence :one", condition, **({"former": former} if former else {}))

    def _set_holder(self, team: str, execution: str, raised: str, condition: str, **values: Any) -> Item | None:
        return self.state.update(
            LEASES,
            f"team#{team}",
            f"SET holder = :execution, held_at = :now ADD {raised} REMOVE look_again",
            condition,
            execution=execution,
            now=_now().isoformat(),
            one=1,
            **values,
        )

    def _still_busy(self, holder: str, item: Item) -> Busy | None:
        ended = _ended(holder)
        if ended is None:
            return Busy(holder, None)
        if ended is _UNKNOWN:
            # DescribeExecution is eventually consistent: a young holder may not be known yet
            since = datetime.datetime.fromisoformat(str(item.get("held_at", _now().isoformat())))
            return None if _now() - since > _FORGOTTEN else Busy(holder, self.function_timeout)
        left = ended + datetime.timedelta(seconds=self.function_timeout + 1) - _now()
        return Busy(holder, max(1, round(left.total_seconds()))) if left > datetime.timedelta(0) else None


def _check(hold: Hold, item: Item, holder: str = "") -> None:
    if int(item.get("fence", 0)) != hold.fence:
        raise Superseded(f"team {hold.team}: another execution has taken over")
    if int(item.get("generation", 0)) != hold.generation:
        raise Superseded(f"team {hold.team}: something newer was asked for; this run starts over")
    if holder and item.get("holder") != holder:
        raise Superseded(f"team {hold.team}: the lease was given back; this run starts over")


def _release(hold: Hold) -> tuple[str, str, str, str]:
    """The row of a lease, how it is given back, and on which condition."""
    condition = "fence = :fence AND generation = :generation AND attribute_not_exists(look_again)"
    return LEASES, f"team#{hold.team}", "REMOVE holder, held_at", condition


def _held(team: str, item: Item) -> Hold:
    return Hold(team, int(item["fence"]), int(item["generation"]))


_UNKNOWN = datetime.datetime.min.replace(tzinfo=datetime.UTC)


def _ended(execution: str) -> datetime.datetime | None:
    """When an execution ended; None while it runs."""
    with Tolerated("ExecutionDoesNotExist", "InvalidArn"):
        description = hub_client("stepfunctions").describe_execution(executionArn=execution)
        return description.get("stopDate") if description["status"] not in ("RUNNING", "PENDING_REDRIVE") else None
    return _UNKNOWN


@contextlib.contextmanager
def document_lease(
    state: State, document: str, function_timeout: int, first: Sequence[Write] = ()
) -> Iterator[Callable[[], None]]:
    """Be the only writer of a shared document; yields a check to be called right before the write.

    ``first`` is written with the taking of the lease, and also while somebody else has it.
    The lease outlasts the function that takes it, so that it never has to be guessed whether its holder still acts.
    Raises Retryable while somebody else holds it, and from the check if it has run out.
    """
    holder = uuid.uuid4().hex
    expires = int(time.time()) + function_timeout + 5
    take = state.updating(
        document,
        "lease",
        "SET holder = :holder, expires_at = :expires",
        "attribute_not_exists(holder) OR expires_at < :now OR holder = :holder",  # ours: a reply was lost
        holder=holder,
        expires=expires,
        now=int(time.time()),
    )
    if not state.write_together([*first, take]):
        for write in first:  # whoever has it may read that yet
            state.write_alone(write)
        raise Retryable(f"{document}: somebody else is writing it")

    def check() -> None:
        if time.time() > expires - 5:
            raise Retryable(f"{document}: the lease ran out before the document was written")

    try:
        yield check
    finally:
        state.update(document, "lease", "REMOVE holder, expires_at", "holder = :holder", holder=holder)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
