"""How many of several are done, as progress reports it."""

import io
import threading
from collections.abc import Iterator

import pytest
from rich.console import Console

from podshare_cli.options import Options
from podshare_cli.progress import live


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What progress writes to a pipe; a call of the clock takes four seconds."""
    written, seconds = io.StringIO(), iter(range(0, 10_000, 4))
    monkeypatch.setattr(live, "stderr", lambda: Console(file=written, width=100))
    monkeypatch.setattr(live.time, "monotonic", lambda: float(next(seconds)))
    yield written


def test_what_takes_long_is_counted_now_and_then(pipe: io.StringIO) -> None:
    """In a pipe a line each ten seconds shows that it goes on."""
    with live.counting(Options(), "teams planned") as count:
        for done in range(1, 6):
            count(done, 5)
    assert pipe.getvalue().splitlines() == ["1 of 5 teams planned", "4 of 5 teams planned"]


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_a_terminal_shows_what_is_waited_for_before_anything_is_done(
    monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """Also while the only one of several is under way; what is over soon leaves nothing."""
    screen = io.StringIO()
    monkeypatch.setattr(live, "stderr", lambda: Console(file=screen, width=100, force_terminal=True))
    monkeypatch.setattr(live, "_SHOWN_AFTER", seconds)
    shown = threading.Event()
    monkeypatch.setattr(live.Status, "start", lambda _: shown.set())
    with live.counting(Options(), "teams planned"), live.waiting(Options(), "reading the history"):
        assert shown.wait(60) if seconds == 0 else not shown.is_set()
    assert shown.is_set() is (seconds == 0)


class _Over:
    """An execution that is over at the first look."""

    def __init__(self, name: str) -> None:
        self.name, self.state, self.doing, self.is_over = name, "READY", "", False

    def poll(self) -> list[live.Happening]:
        self.is_over = True
        return []


def test_of_several_teams_it_is_counted_how_many_are_over() -> None:
    """Whoever waits for 48 teams sees how far it is, in a pipe at each end; a single one is not counted."""
    for names, counts in ((("audio", "text", "vision"), ["1 of 3", "2 of 3", "3 of 3"]), (("vision",), [""])):
        written = io.StringIO()
        live.watch(Console(file=written, width=100), [_Over(name) for name in names], 0)  # type: ignore[type-var]  # all that is asked of one
        assert [line.partition("READY")[2].strip() for line in written.getvalue().splitlines() if line] == counts
    screen = io.StringIO()
    with live.Watching(Console(file=screen, width=60, force_terminal=True), [_Over("a"), _Over("b")]):  # type: ignore[list-item]  # as above
        pass
    assert "0 of 2 are over" in screen.getvalue()


@pytest.mark.parametrize("options", [Options(quiet=True), Options(json_fields="")])
def test_who_wants_no_progress_gets_none(pipe: io.StringIO, options: Options) -> None:
    """Scripts, and whoever says --quiet, read results and errors alone."""
    with live.counting(options, "teams planned") as count:
        count(1, 2)
    assert pipe.getvalue() == ""
