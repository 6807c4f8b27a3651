"""``podshare plan``: one plan over the records of files and all teams that they affect, or over all teams."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from podshare_cli.failures import PENDING, Failure, invalid
from podshare_cli.json_option import Commands
from podshare_cli.options import (
    DetailedExitCode,
    Options,
    PriceFile,
    Prune,
    RecordFiles,
    Verbose,
    examples,
    takes_options,
)
from podshare_cli.whole_files import writable, write

if TYPE_CHECKING:
    from podshare_cli.plans.prices import Prices
    from podshare_cli.plans.record_plan import RecordPlan

app = Commands()

_MOST_REASONS = 3  # of a plan that is blocked, in the error at its end


class Format(StrEnum):
    """How a plan is printed."""

    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"


@app.command(
    "plan",
    epilog=examples(
        "podshare plan",
        "podshare plan -f records --detailed-exitcode",
        "podshare plan -f records --out plan.json --format markdown > comment.md",
        "podshare plan -f team-vision.yaml --query 'losses[].what'",
    ),
)
@takes_options
def plan(
    options: Options,
    *,
    files: RecordFiles = None,
    prune: Prune = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="PLAN", callback=writable, help="Also write the plan to this file, as JSON."),
    ] = None,
    style: Annotated[
        Format, typer.Option("--format", help="markdown: a comment of a pull request, within GitHub's limit.")
    ] = Format.TEXT,
    prices: PriceFile = None,
    detailed: DetailedExitCode = False,
    verbose: Verbose = False,
) -> None:
    """Show who would gain and lose what, and what would change. Changes nothing.

    With -f: if the registry held the records of these files, for all teams that they affect, by the clusters, datasets
    and enrollments that change too. Without: what a reconciliation of every team would change now.

    The exit code is 1 if anything blocks the plan, except what podshare waits for, and 64 if a record is invalid.
    """
    from podshare_cli.plans import record_plan
    from podshare_cli.plans.prices import read_prices
    from podshare_cli.progress.live import counting

    known_prices = read_prices(prices) if prices else {}
    if prune and not files:
        raise invalid("--prune takes files with -f.", "For example: podshare plan -f records/ --prune")
    with counting(options, "teams planned") as planned:
        if files:
            made = record_plan.make_of_files(options.connection, files, prune=prune, planned=planned)
        else:
            teams = record_plan.all_teams(options.connection)
            made = record_plan.make_of_teams(options.connection, teams, planned=planned)
    if out:
        write(out, json.dumps(made.as_dict(), indent=2) + "\n")
        options.say(f"The plan is in {out}.")
    show(options, made, style, verbose=verbose, prices=known_prices)
    end(made, detailed=detailed)


def show(
    options: Options,
    made: "RecordPlan",
    style: Format = Format.TEXT,
    *,
    verbose: bool = False,
    named: bool = False,
    prices: "Prices | None" = None,
) -> None:
    """Print a plan: as JSON, or for people; ``named`` are teams that somebody asked for one by one."""
    if options.as_json or style is Format.JSON:
        options.show_json(made.as_dict())
        return
    from podshare_cli.output import print_lines, stdout
    from podshare_cli.views.plan import View, text

    view = View(made, verbose=verbose, named=named, prices=prices or {})
    if style is Format.MARKDOWN:
        from podshare_cli.views.plan_markdown import markdown

        typer.echo(markdown(view), nl=False)
        return
    print_lines(stdout(), text(view))


def blockers(made: "RecordPlan") -> list[str]:
    """What blocks the plan, each blocker once, with its team."""
    return [*dict.fromkeys(f"{blocker['team']}: {blocker['what']}" for blocker in made.blocked)]


def end(made: "RecordPlan", *, detailed: bool = False) -> None:
    """Raise Failure if anything but a wait blocks the plan; with ``detailed`` end with another code if it changes."""
    if reasons := blockers(made):
        more = f"; and {len(reasons) - _MOST_REASONS} more" if len(reasons) > _MOST_REASONS else ""
        first = "; ".join(reasons[:_MOST_REASONS])
        raise Failure(f"Blocked: not all of the plan would be applied: {first}{more}", "The plan lists every blocker.")
    if detailed and not made.is_empty:
        raise typer.Exit(PENDING)
