"""Times that people write: each form that is accepted, and one sentence for whatever is none."""

import datetime

import pytest

from podshare.registry.parsing import problems_of
from podshare_cli.application import main
from podshare_cli.failures import Failure
from podshare_cli.history.moments import moment
from tests.builders import a_team_item


@pytest.mark.parametrize(
    ("text", "seconds"), [("5s", 5), ("90m", 5400), ("24h", 86_400), ("7d", 604_800), ("now", 0), ("0s", 0)]
)
def test_how_long_ago_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    """Seconds, minutes, hours and days count back from now."""
    then = moment(text, "--since")
    ago = datetime.datetime.now(datetime.UTC) - then
    assert seconds <= ago.total_seconds() < seconds + 60


def test_a_time_and_a_day_are_in_utc_unless_they_say_otherwise() -> None:
    """With a zone it is that zone's, turned into UTC, and a day begins at midnight."""
    noon = datetime.datetime(2026, 11, 1, 12, tzinfo=datetime.UTC)
    for text in ("2026-11-01T12:00Z", "2026-11-01T13:00+01:00", "2026-11-01 12:00"):
        assert moment(text, "TIME") == noon
        assert moment(text, "TIME").utcoffset() == datetime.timedelta()  # days of the history are in UTC
    assert moment("2026-11-01", "TIME") == noon - datetime.timedelta(hours=12)


@pytest.mark.parametrize(
    "text", ["yesterday", "5", "5 s", "-5s", "1w", "5S", "", "2026-13-01", "999999d", "0001-01-01T00:00+14:00"]
)
def test_what_is_no_time_is_refused_with_all_that_is_one(text: str) -> None:
    """The sentence names the option, what was written, and every form; a time before the calendar is none either."""
    with pytest.raises(Failure) as refused:
        moment(text, "--since")
    assert refused.value.exit_code == 64
    assert refused.value.what == f"--since: {text!r} is no time."
    assert "2026-11-01T12:00Z" in refused.value.remedy
    assert "5s, 90m, 24h or 7d" in refused.value.remedy


def test_every_option_of_a_time_takes_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """Whichever command is asked, a wrong time is the same sentence."""
    for words in (
        ("drift", "--since", "1w"),
        ("access", "changes", "--since", "1w"),
        ("access", "at", "1w", "of", "x"),
    ):
        assert main([*words]) == 64
        assert "'1w' is no time." in " ".join(capsys.readouterr().err.split())


def test_an_end_is_a_moment_and_no_length_of_time() -> None:
    """A record whose end is `7d` is refused with what an end looks like."""
    (problem,) = problems_of(a_team_item(expires="7d"))
    assert "must be a timestamp like 2027-01-31T18:00:00Z" in problem.rule
    assert "a length of time such as 7d is none" in problem.rule
