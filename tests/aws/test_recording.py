"""Whether a run goes on, and how long it waits before."""

import pytest

from podshare.reconcile.outcome import Outcome, TeamState
from podshare.reconcile.recording import FIRST_WAIT_SECONDS, LONGEST_RETRY_SECONDS, MOST_RETRIES, _next, _wait_seconds


@pytest.mark.parametrize("waits", range(MOST_RETRIES))
def test_teams_that_failed_together_do_not_try_again_together(waits: int) -> None:
    """What failed for now is tried again by chance, later each time, and never before what was changed has settled."""
    failed = Outcome(TeamState.DEGRADED, "", (), {}, may_pass=True)
    pauses = {_wait_seconds(failed, waits) for _ in range(200)}
    longest = min(LONGEST_RETRY_SECONDS, FIRST_WAIT_SECONDS * 2 ** (waits + 1))
    assert min(pauses) >= FIRST_WAIT_SECONDS
    assert max(pauses) <= longest
    assert len(pauses) > (longest - FIRST_WAIT_SECONDS) / 4


def test_what_waits_for_something_outside_looks_every_minute_at_first() -> None:
    """Ten times a minute, then two minutes, and so on: each team waits for something of its own."""
    waiting = Outcome(TeamState.WAITING, "", (), {}, waits=True)
    assert [_wait_seconds(waiting, waits) for waits in (0, 9, 10, 20, 200)] == [60, 60, 120, 240, 3600]


@pytest.mark.parametrize(
    ("left", "goes_on", "waits", "expected"),
    [
        (True, True, 0, "again"),
        (True, True, MOST_RETRIES, "again"),
        (True, False, 0, "wait"),
        (True, False, MOST_RETRIES, "done"),
        (False, True, 0, "done"),
    ],
)
def test_a_run_goes_on_at_once_only_if_it_gets_on(left: bool, goes_on: bool, waits: int, expected: str) -> None:
    """What one pass cannot carry is planned again at once after a pass that did or tried something new, else later."""
    degraded = Outcome(TeamState.DEGRADED, "", (), {})
    assert _next(degraded, True, waits, left=left, goes_on=goes_on) == expected
