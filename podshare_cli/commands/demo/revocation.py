"""How soon access ends: open sessions are used all the while, until each is refused."""

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from threading import Event
from types import TracebackType

from podshare_cli.commands.demo.attempts import Check, OpenSession

_PAUSE_SECONDS = 0.1


class Attempts:
    """While its context lasts, each open session is used again and again until it is refused."""

    def __init__(self, sessions: Iterable[OpenSession]) -> None:
        self._sessions = list(sessions)
        self._refused_at: dict[int, float] = {}
        self._over = Event()
        self._pool = ThreadPoolExecutor(1)
        self._trying: Future[None] | None = None

    def __enter__(self) -> "Attempts":
        self._trying = self._pool.submit(self._try)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._pool.shutdown()
        if self._trying and kind is None:
            self._trying.result()

    def checks(self, triggered: Mapping[str, float]) -> list[Check]:
        """One last attempt of each session, with the seconds from its team's trigger (monotonic) to its refusal."""
        return [self._last(number, session, triggered) for number, session in enumerate(self._sessions)]

    def _last(self, number: int, session: OpenSession, triggered: Mapping[str, float]) -> Check:
        check = session.attempt()
        refused = self._refused_at.get(number, time.monotonic())
        return replace(check, seconds=refused - triggered[session.team])

    def _try(self) -> None:
        while len(self._refused_at) < len(self._sessions) and not self._over.wait(_PAUSE_SECONDS):
            for number, session in enumerate(self._sessions):
                if number not in self._refused_at and session.attempt().held:
                    self._refused_at[number] = time.monotonic()
