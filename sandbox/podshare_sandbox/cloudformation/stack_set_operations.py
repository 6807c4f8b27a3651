"""One operation of a StackSet on many accounts: how many at once, and how many may fail before it stops.

Sources: StackSetOperationPreferences and StackSetOperation in the CloudFormation API Reference; "StackSets concepts"
in the CloudFormation user guide.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from podshare_sandbox import clock

# what AWS says of each account that an operation did not reach any more
CANCELLED = "Cancelled since failure tolerance has exceeded"


@dataclass(frozen=True)
class Preferences:
    """How an operation goes; what is None is not given, and AWS's default holds: one account, no failure."""

    concurrent_count: int | None = None
    concurrent_percentage: int | None = None
    tolerance_count: int | None = None
    tolerance_percentage: int | None = None
    soft: bool = False

    def tolerated(self, accounts: int) -> int:
        """How many of the accounts may fail before the operation stops; a percentage is rounded down."""
        if self.tolerance_percentage is not None:
            return accounts * self.tolerance_percentage // 100
        return self.tolerance_count or 0

    def concurrency(self, accounts: int, failures: int) -> int:
        """How many accounts are operated on at once after ``failures``; a percentage is rounded down, to one at least.

        STRICT_FAILURE_TOLERANCE, the default, never lets more accounts fail than the tolerance and one more.
        """
        if self.concurrent_percentage is not None:
            most = max(1, accounts * self.concurrent_percentage // 100)
        else:
            most = self.concurrent_count or 1
        return most if self.soft else max(1, min(most, self.tolerated(accounts) + 1 - failures))


@dataclass
class Result:
    """What became of one account: PENDING, RUNNING, SUCCEEDED, FAILED or CANCELLED, and why."""

    status: str = "PENDING"
    reason: str = ""


@dataclass
class Operation:
    """An operation: CREATE, UPDATE or DELETE; QUEUED, RUNNING, SUCCEEDED, FAILED, STOPPING or STOPPED."""

    action: str
    preferences: Preferences = field(default_factory=Preferences)
    retain_stacks: bool = False
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = "RUNNING"
    results: dict[str, Result] = field(default_factory=dict)
    started: datetime = field(default_factory=clock.now)
    ended: datetime | None = None

    def perform(self, accounts: Sequence[str], operate: Callable[[str], str | None], pause: Callable[[], None]) -> None:
        """Operate on the accounts, as many at once as the preferences say, until too many failed or it was stopped.

        ``operate`` returns why it failed, None where it did not; ``pause`` is the time that accounts take which are
        operated on at once.
        """
        self.status = "RUNNING"
        self.results = {account: Result() for account in accounts}
        waiting, failures = list(accounts), 0
        tolerated = self.preferences.tolerated(len(accounts))
        while waiting and failures <= tolerated and self.status == "RUNNING":
            size = self.preferences.concurrency(len(accounts), failures)
            batch, waiting = waiting[:size], waiting[size:]
            for account in batch:
                self.results[account].status = "RUNNING"
            pause()
            failures += sum([self._reach(account, operate) for account in batch])
        for account in waiting:
            self.results[account] = Result("CANCELLED", CANCELLED)
        self._end("FAILED" if failures > tolerated else "SUCCEEDED")

    def _reach(self, account: str, operate: Callable[[str], str | None]) -> bool:
        reason = operate(account)
        self.results[account] = Result("SUCCEEDED") if reason is None else Result("FAILED", reason)
        return reason is not None

    def _end(self, status: str) -> None:
        self.status = "STOPPED" if self.status == "STOPPING" else status
        self.ended = clock.now()
