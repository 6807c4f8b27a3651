"""The sandbox's clock: pauses run at a scale, timeouts of tasks do not, and a test may let hours pass in an instant.

``scale`` is the share of real time that a pause takes: 1.0 is real time, 0.02 makes a wait of
five seconds last a tenth of a second. One scale serves the whole process, as one clock does.

:func:`advance` moves the clock of the whole process: ``datetime.now``, ``time.time`` and whatever else asks for the
date, in moto, botocore and tests too, by way of time-machine. Until then nothing is patched. A pause ends as if the
seconds had passed in real time. ``time.monotonic`` is not moved, since timeouts and real sockets go by it; what counts
an advance as time that has passed asks :func:`monotonic`.
"""

import threading
import time
from datetime import UTC, datetime, timedelta

from podshare_sandbox.runtime_client.runtime_client import MovableClock

_LOOK_SECONDS = 0.1  # real seconds after which a pause looks whether the clock was moved

_scale = 1.0
_movable = MovableClock()  # as the processes of functions have one
_moving = threading.Lock()
_never = threading.Event()


def set_scale(scale: float) -> None:
    """Set how long a declared second lasts, in real seconds. Raises ValueError unless it is above zero."""
    global _scale  # noqa: PLW0603  # one process has one clock
    if scale <= 0:
        raise ValueError(f"time scale must be above 0, not {scale}")
    _scale = scale


def scaled(seconds: float) -> float:
    """The real seconds that a pause of ``seconds`` takes here."""
    return seconds * _scale


def now() -> datetime:
    """The time, in UTC; the date is real plus what it was advanced by, only pauses are scaled."""
    return datetime.now(UTC)


def advance(seconds: float) -> None:
    """Move the clock ahead, for all of the process. Raises ValueError where it would not go ahead."""
    if seconds <= 0:
        raise ValueError(f"the clock goes ahead only, not by {seconds} seconds")
    with _moving:
        _movable.follow(_movable.offset + seconds)


def reset() -> None:
    """Go by real time again, as for a new sandbox."""
    with _moving:
        _movable.follow(0)


def offset() -> float:
    """The seconds by which the clock is ahead of real time."""
    return _movable.offset


def monotonic() -> float:
    """``time.monotonic``, and what the clock was advanced by: for durations that an advance makes pass."""
    return time.monotonic() + offset()


def wait(stop: threading.Event, seconds: float | None) -> bool:
    """Wait until ``stop`` is set, or real or advanced ``seconds`` have passed if any are given; whether it is set."""
    if seconds is None:
        return stop.wait()
    end = monotonic() + seconds
    while (left := end - monotonic()) > 0:
        if stop.wait(min(left, _LOOK_SECONDS)):
            return True
    return stop.is_set()


def sleep(seconds: float) -> None:
    """Pause for ``seconds`` at the sandbox's scale."""
    wait(_never, scaled(seconds))


def passed(since: datetime, seconds: float) -> bool:
    """Whether ``seconds``, at the sandbox's scale, have passed since ``since``."""
    return now() - since >= timedelta(seconds=scaled(seconds))
