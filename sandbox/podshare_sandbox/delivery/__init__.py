"""Delivery: what AWS brings from one service to another by itself, and in the background.

EventBridge rules, their patterns and schedules (:mod:`.events`, :mod:`.patterns`, :mod:`.schedules`) and DynamoDB
streams with Lambda event source mappings (:mod:`.streams`). moto either delivers within the call that causes the event,
or not at all.

Not emulated: time fires no schedules and rules that recur, :func:`fire_schedule` does; EventBridge archives,
pipes and API destinations; SQS as an event source goes moto's way, within SendMessage.
"""

import time

from podshare_sandbox import functions
from podshare_sandbox.delivery import background, events, patterns, schedules, streams
from podshare_sandbox.delivery.events import listen, put_event
from podshare_sandbox.delivery.schedules import catch_up, fire_schedule

__all__ = ["catch_up", "close", "fire_schedule", "in_flight", "install", "listen", "put_event", "settle"]

_LOOK_PAUSE = 0.02  # real seconds between two looks
_QUIET_LOOKS = 3


def install() -> None:
    """Deliver in the background from now on. Raises RuntimeError where a symbol of moto is gone."""
    background.restart()
    patterns.install()
    events.install()
    streams.install()
    schedules.install()


def close() -> None:
    """Give up what is under way; nothing is delivered any more until :func:`install`."""
    background.close()
    events.forget()
    streams.forget()
    schedules.forget()


def in_flight() -> list[str]:
    """What is being delivered, in words; invocations of functions are among it."""
    invocations = functions.in_flight()
    return [*background.in_flight(), *([f"{invocations} Lambda invocations"] if invocations else [])]


def settle(timeout: float = 600.0) -> None:
    """Wait until nothing is in flight, and nothing that is watched (``background.watch``) runs.

    ``timeout`` is in real seconds; TimeoutError names what still runs then.
    """
    deadline = time.monotonic() + timeout
    quiet = 0
    while quiet < _QUIET_LOOKS:
        busy = [*in_flight(), *background.watched()]
        quiet = 0 if busy else quiet + 1
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {timeout} s still running: {', '.join(busy)}")
        time.sleep(_LOOK_PAUSE)
