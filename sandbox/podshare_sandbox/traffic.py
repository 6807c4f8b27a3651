"""What clients ask over the network, and how long they wait for the answer.

Each request that comes through the front door is counted by what it asks for, and so are the invocations of functions
and the states that executions enter. With latencies (``begin``) an answer is given no sooner than AWS would give it:
what the sandbox needs for it is part of that time. Latencies are declared seconds, at the sandbox's scale. With rates
a request too many is refused, see :mod:`podshare_sandbox.throttling`.

Names are ``<service>:<operation>`` as botocore spells them (``iam:CreateRole``), ``kubernetes:<method> <resource>`` for
a cluster's API, ``lambda:Invoke`` for what an invocation takes beside the function's own work, ``states:EnterState``.
"""

import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from podshare_sandbox import clock, throttling
from podshare_sandbox.throttling import Rate

INVOKE, ENTER_STATE = "lambda:Invoke", "states:EnterState"
UNNAMED = "unknown:unknown"
_LIMIT = 1_000_000
"""Requests kept; a sandbox that runs for days forgets the oldest."""

_thread = threading.local()


@dataclass(frozen=True)
class Asked:
    """One request: what was asked for, by whom (a role, a user, a Kubernetes user), and when (``time.monotonic``).

    ``attempt`` counts from 1, as the SDK says; ``throttled`` tells that the rates refused it.
    """

    name: str
    principal: str
    at: float
    attempt: int = 1
    throttled: bool = False


_log: deque[Asked] = deque(maxlen=_LIMIT)
_latencies: dict[str, float] = {}


def checked(latencies: Mapping[str, float]) -> dict[str, float]:
    """The latencies. Raises ValueError for one below zero."""
    if wrong := [name for name, seconds in latencies.items() if seconds < 0]:
        raise ValueError(f"latencies must not be below 0: {', '.join(wrong)}")
    return dict(latencies)


def begin(latencies: Mapping[str, float], rates: Mapping[str, Rate] | None = None) -> None:
    """Forget what was asked, and answer from now on with these latencies: seconds by name, ``<service>:*`` or ``*``.

    ``rates`` are those at which requests are taken; without, all are.
    """
    _latencies.clear()
    _latencies.update(latencies)
    throttling.begin(rates or {})
    _log.clear()


def requests() -> list[Asked]:
    """What was asked since the beginning, oldest first."""
    return list(_log)


def latency(name: str) -> float:
    """The declared seconds of an operation: its own, its service's, or everybody's."""
    service = name.partition(":")[0]
    return next((_latencies[one] for one in (name, f"{service}:*", "*") if one in _latencies), 0.0)


def named(name: str, principal: str) -> None:
    """Say what the request asks for that this thread answers; the first to say so is right.

    What a service asks of another one meanwhile, in this process, is no request of the client.
    """
    if _is_unnamed():
        _thread.asked, _thread.principal = name, principal


def admitted(name: str, principal: str, account: str, region: str, attempt: int) -> bool:
    """As ``named``, of an AWS service; whether its rates take the request. What no client has asked is taken."""
    if not _is_unnamed():
        return True
    named(name, principal)
    _thread.attempt, _thread.throttled = attempt, not throttling.take(name, account, region)
    return not _thread.throttled


def _is_unnamed() -> bool:
    """Whether this thread answers a request of which nobody has said yet what it asks for."""
    return getattr(_thread, "asked", None) == ""


@contextmanager
def answering() -> Iterator[None]:
    """Count the request that is answered within this block, which lasts as long as its latency."""
    began = time.monotonic()
    _thread.asked = _thread.principal = ""
    _thread.attempt, _thread.throttled = 1, False
    try:
        yield
    finally:
        name, principal = _thread.asked or UNNAMED, _thread.principal
        _thread.asked = None
        _log.append(Asked(name, principal, began, _thread.attempt, _thread.throttled))
        _wait_until(began + clock.scaled(latency(name)))


def passed(name: str, principal: str) -> None:
    """Count what is no request of a client, an invocation or a transition, and wait as long as it takes."""
    began = time.monotonic()
    _log.append(Asked(name, principal, began))
    _wait_until(began + clock.scaled(latency(name)))


def _wait_until(moment: float) -> None:
    left = moment - time.monotonic()
    if left > 0:
        time.sleep(left)
