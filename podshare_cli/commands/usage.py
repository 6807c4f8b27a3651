"""``podshare usage``: the hours of compute that were guaranteed in a month, and what they cost."""

import datetime
import re
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from podshare_cli.failures import invalid
from podshare_cli.options import Options, takes_options

if TYPE_CHECKING:
    from podshare_cli.history.objects import History
    from podshare_cli.history.quota_hours import Span


class By(StrEnum):
    """Whose hours are added up."""

    TEAM = "team"
    ACCOUNT = "account"
    OWNER = "owner"


@takes_options
def usage(
    options: Options,
    *,
    month: Annotated[
        str, typer.Option("--month", metavar="YYYY-MM", help="The month, in UTC; default: the present one, up to now.")
    ] = "",
    by: Annotated[
        By, typer.Option("--by", help="Whose hours: a team's, an owner's, or (estimated) an account's.")
    ] = By.TEAM,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    prices: Annotated[
        Path | None,
        typer.Option("--prices", metavar="FILE", help="YAML with the price of an hour by instance type."),
    ] = None,
) -> None:
    """Show the quota-hours that were guaranteed to each team in a month, by cluster and instance type.

    They are exact, from the history of who had access: a quota is in force from the run that created or changed it to
    the run that changed or deleted it. An account's hours are an estimate: its equal share among the accounts that had
    access at the time. What was used or borrowed is not measured.
    """
    from podshare_cli.history.objects import History
    from podshare_cli.history.quota_hours import hours
    from podshare_cli.plans.prices import read_prices
    from podshare_cli.views import usage as usage_views

    if as_csv and options.as_json:
        raise invalid("--csv and --json exclude each other.", "Give one of them.")
    since, until = period(month, datetime.datetime.now(datetime.UTC))
    known_prices = read_prices(prices) if prices else {}
    counted = read_spans(History(options.connection), since, until)
    report = usage_views.report(hours(counted, by), counted, by, (since, until), known_prices)
    if as_csv:
        typer.echo(usage_views.csv_text(report), nl=False)
    else:
        options.show(report, lambda: usage_views.table(report))


def period(month: str, now: datetime.datetime) -> tuple[datetime.datetime, datetime.datetime]:
    """When a month begins and ends, or is now; an empty one is the present. Raises Failure (exit code 64) otherwise."""
    text = month or f"{now:%Y-%m}"
    match = re.fullmatch(r"([0-9]{4})-(0[1-9]|1[0-2])", text)
    if not match or match[1] == "0000":
        raise invalid(f"--month: {text} is no month.", "Write a month such as 2026-11.")
    since = datetime.datetime(int(match[1]), int(match[2]), 1, tzinfo=datetime.UTC)
    if since > now:
        raise invalid(f"--month: {text} is in the future.", "Write a month that has begun.")
    next_month = (since + datetime.timedelta(days=31)).replace(day=1)
    return since, min(next_month, now)


def read_spans(history: "History", since: datetime.datetime, until: datetime.datetime) -> "list[Span]":
    """What was in force of all teams in a time, by the history."""
    from podshare_cli.history.quota_hours import settles, spans

    @cache
    def versions_of(record: str) -> list[dict[str, Any]]:
        return [stored.document for stored in history.versions(record)]

    runs_by_team = history.runs_since(since, until, settles)
    return [
        span for team, runs in sorted(runs_by_team.items()) for span in spans(team, runs, versions_of, since, until)
    ]
