"""Moments as people write them: a time with or without its zone, a day, or how long ago."""

import datetime
import re

from podshare_cli.failures import invalid

_LENGTH = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_FORMS = "Write a time such as 2026-11-01T12:00Z, a day such as 2026-11-01, now, or how long ago: 5s, 90m, 24h or 7d."


def moment(text: str, option: str) -> datetime.datetime:
    """``2026-11-01T12:00Z``, ``2026-11-01``, ``now`` or ``7d`` (ago), as a moment in UTC; without a zone it is UTC's.

    Raises Failure (exit code 64) for anything else; ``option`` names it.
    """
    now = datetime.datetime.now(datetime.UTC)
    if text == "now":
        return now
    try:
        if match := _LENGTH.fullmatch(text):
            return now - datetime.timedelta(**{_UNITS[match[2]]: int(match[1])})
        parsed = datetime.datetime.fromisoformat(text)
        parsed = parsed if parsed.tzinfo else parsed.replace(tzinfo=datetime.UTC)
        return parsed.astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        raise invalid(f"{option}: {text!r} is no time.", _FORMS) from None


def since_text(text: str) -> str:
    """A time that ``moment`` takes, as the beginning of a time until now."""
    return f"in the last {text}" if _LENGTH.fullmatch(text) else f"since {text}"


def past_moment(text: str, option: str) -> datetime.datetime:
    """As ``moment``. Raises Failure (exit code 64) for the future as well, of which nobody knows anything."""
    parsed = moment(text, option)
    if parsed > datetime.datetime.now(datetime.UTC):
        raise invalid(f"{option}: {text} is in the future.", "Write a time that has passed.")
    return parsed


def span(since: str, until: str) -> tuple[datetime.datetime, datetime.datetime]:
    """From when until when. Raises Failure (exit code 64) unless the first is before the second, and both have been."""
    began, ended = past_moment(since, "--since"), past_moment(until, "--until")
    if began >= ended:
        raise invalid(f"--since {since} is not before --until {until}.", "Give the earlier time to --since.")
    return began, ended
