"""The log of every decision: what was used, by whom, and what was refused."""

from collections import deque
from dataclasses import dataclass
from datetime import datetime

_LIMIT = 200_000
"""Decisions kept; a sandbox that runs for days forgets the oldest."""


@dataclass(frozen=True)
class Decision:
    """One answer: whether ``principal`` (role, user or service) may do ``action`` on ``resource``."""

    principal: str
    action: str
    resource: str
    allowed: bool
    reason: str
    at: datetime


_log: deque[Decision] = deque(maxlen=_LIMIT)


def record(decision: Decision) -> None:
    """Append to the log (atomic: deque.append is thread-safe)."""
    _log.append(decision)


def decisions() -> list[Decision]:
    """All decisions since the last clear, oldest first."""
    return list(_log)


def clear_decisions() -> None:
    """Forget all decisions."""
    _log.clear()
