"""Work that AWS services do by themselves, in threads that are counted until they end."""

import logging
import threading
from collections.abc import Callable
from itertools import count

from podshare_sandbox import clock

logger = logging.getLogger(__name__)


class Closed(Exception):  # noqa: N818  # not an error: the sandbox ends
    """The sandbox was closed while work paused."""


class _Shift:
    """The work of one sandbox, from its start until it is closed."""

    def __init__(self) -> None:
        self.closed = threading.Event()
        self.under_way: dict[int, str] = {}


_shift = _Shift()
_local = threading.local()
_watched: set[Callable[[], list[str]]] = set()
_numbers = count()


def restart() -> None:
    """Begin anew; work of before is given up at its next pause."""
    global _shift  # noqa: PLW0603  # moto is one per process
    _shift.closed.set()
    _shift = _Shift()


def close() -> None:
    """Give up what is under way at its next pause, and start nothing more."""
    _shift.closed.set()
    _shift.under_way.clear()


def run(what: str, work: Callable[[], None]) -> None:
    """Do ``work`` in a thread of its own; ``what`` names it for those who wait."""
    shift, number = _shift, next(_numbers)
    if shift.closed.is_set():
        return
    shift.under_way[number] = what

    def counted() -> None:
        _local.shift = shift
        try:
            work()
        except Closed:
            pass
        except Exception:
            logger.exception("%s ended badly", what)
        finally:
            shift.under_way.pop(number, None)

    threading.Thread(target=counted, daemon=True, name=what).start()


def pause(seconds: float) -> None:
    """Wait ``seconds`` at the sandbox's scale. Raises Closed when the sandbox ends meanwhile."""
    if clock.wait(_local.shift.closed, clock.scaled(seconds)):
        raise Closed


def watch(running: Callable[[], list[str]]) -> None:
    """Let those who wait for the background wait also until ``running`` names nothing; the second time does nothing."""
    _watched.add(running)


def watched() -> list[str]:
    """The names of all that runs by itself elsewhere."""
    return [name for running in list(_watched) for name in running()]


def in_flight() -> list[str]:
    """The names of all work that has not ended."""
    return list(_shift.under_way.values())
