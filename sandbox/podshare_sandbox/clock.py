"""The sandbox's time: waits and asynchronous states run at a scale, timeouts of tasks do not.

``scale`` is the share of real time that a pause takes: 1.0 is real time, 0.02 makes a wait of
five seconds last a tenth of a second. One scale serves the whole process, as one clock does.
"""

import time
from datetime import UTC, datetime, timedelta

_scale = 1.0


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
    """The time, in UTC; the date is real, only pauses are scaled."""
    return datetime.now(UTC)


def sleep(seconds: float) -> None:
    """Pause for ``seconds`` at the sandbox's scale."""
    time.sleep(scaled(seconds))


def passed(since: datetime, seconds: float) -> bool:
    """Whether ``seconds``, at the sandbox's scale, have passed since ``since``."""
    return now() - since >= timedelta(seconds=scaled(seconds))
