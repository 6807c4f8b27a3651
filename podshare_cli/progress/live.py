"""Executions as a person watches them: a line for each step as it happens, and what is under way below."""

import datetime
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.status import Status
from rich.table import Column

from podshare_cli.options import Options
from podshare_cli.output import print_lines, state_text, stderr
from podshare_cli.progress.executions import Followed
from podshare_cli.progress.runs import Happening

F = TypeVar("F", bound=Followed)
_SHOWN_AFTER = 1.0  # seconds: what is over by then needs no progress
_SECONDS_BETWEEN_LINES = 10.0


def watch(
    console: Console | None,
    followings: Sequence[F],
    poll_seconds: float = 1.0,
    ended: Callable[[F], None] = lambda _: None,
) -> None:
    """Follow executions until all are over, reporting on ``console``; None prints nothing.

    ``poll_seconds`` is the pause between two readings of the histories; ``ended`` is called with each as it is over.
    """
    open_ones = [following for following in followings if not following.is_over]
    with Watching(console, followings) if console else nullcontext() as watching:
        while open_ones:
            happened = [(happening, following.name) for following in open_ones for happening in following.poll()]
            if watching:
                watching.show(happened, open_ones)
            for following in open_ones:
                if following.is_over:
                    ended(following)
            open_ones = [following for following in open_ones if not following.is_over]
            time.sleep(poll_seconds if open_ones else 0)


@contextmanager
def counting(options: Options, doing: str) -> Iterator[Callable[[int, int], None]]:
    """Report how many of several are done, if it takes long: a line that moves, or one now and then in a pipe."""
    console = None if options.is_silent else stderr()
    with _moving(console, f"0 {doing}") as status:
        yield _Counter(console, status, doing).count


@contextmanager
def waiting(options: Options, what_for: str) -> Iterator[None]:
    """Say what the command waits for, if it takes long and somebody watches."""
    with _moving(None if options.is_silent else stderr(), what_for):
        yield


@contextmanager
def _moving(console: Console | None, text: str) -> Iterator[Status | None]:
    """A line that moves on a terminal until the end, once a second has passed."""
    if console is None or not console.is_terminal:
        yield None
        return
    status, lock, is_over = console.status(escape(text)), threading.Lock(), threading.Event()

    def begin() -> None:
        with lock:
            if not is_over.is_set():
                status.start()

    timer = threading.Timer(_SHOWN_AFTER, begin)
    timer.daemon = True
    timer.start()
    try:
        yield status
    finally:
        timer.cancel()
        with lock:
            is_over.set()
            status.stop()


class _Counter:
    """How many of several are done."""

    def __init__(self, console: Console | None, status: Status | None, doing: str) -> None:
        self._console, self._status = console, status
        self._doing = doing
        self._due = time.monotonic() + _SHOWN_AFTER

    def count(self, done: int, of: int) -> None:
        """Take note of how many are done, out of all."""
        text = f"{done} of {of} {self._doing}"
        if self._status:
            self._status.update(text)
        elif self._console and time.monotonic() >= self._due:
            self._console.print(text)
            self._due = time.monotonic() + _SECONDS_BETWEEN_LINES


class Watching:
    """The lines and the moving part of several executions."""

    def __init__(self, console: Console, followings: Sequence[Followed]) -> None:
        self._console = console
        self._followings = followings
        self._started = datetime.datetime.now(datetime.UTC)
        self._width = max((len(following.name) for following in followings), default=0)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("[bold]{task.description}[/]"),
            TextColumn("[dim]{task.fields[doing]}[/]", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
            TimeElapsedColumn(),
            console=console,
            expand=True,
            transient=True,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._total: TaskID | None = None
        self._over = 0

    def __enter__(self) -> "Watching":
        self._progress.start()
        self._total = self._progress.add_task("", total=None, doing=f"{self._count} are over") if self._count else None
        for following in self._followings:
            name = following.name
            self._tasks[name] = self._progress.add_task(name.ljust(self._width), total=None, doing="has been requested")
        return self

    @property
    def _count(self) -> str:
        """How many of several are over; empty of a single one."""
        return f"{self._over} of {len(self._followings)}" if len(self._followings) > 1 else ""

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, happened: Sequence[tuple[Happening, str]], polled: Iterable[Followed]) -> None:
        """Show what has happened, with the name of what it happened to, and what is under way now."""
        for happening, name in sorted(happened, key=lambda each: each[0].at):
            self._print(name, happening)
        for following in polled:
            self._show(following)

    def _print(self, name: str, happening: Happening) -> None:
        seconds = max(0.0, (happening.at - self._started).total_seconds())
        note = f"  [dim]{escape(happening.note)}[/]" if happening.note else ""
        line = f"[dim]{seconds:6.1f} s[/]  {name.ljust(self._width)}  {happening.mark} {happening.text}{note}"
        print_lines(self._console, [line])

    def _show(self, following: Followed) -> None:
        task = self._tasks[following.name]
        if following.is_over:
            now = datetime.datetime.now(datetime.UTC)
            self._over += 1
            self._print(following.name, Happening(now, "[bold]=[/]", state_text(following.state), self._count))
            self._progress.remove_task(task)
            if self._total is not None:
                self._progress.update(self._total, doing=f"{self._count} are over")
            return
        self._progress.update(task, doing=escape(following.doing))
