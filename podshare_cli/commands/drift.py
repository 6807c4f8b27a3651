"""``podshare drift``: what differs in reality from the records, and what podshare has repaired lately."""

import datetime
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from podshare_cli.json_option import Commands
from podshare_cli.options import DetailedExitCode, Options, Verbose, examples, takes_options
from podshare_cli.records.known_names import completing

if TYPE_CHECKING:
    from podshare_cli.progress.executions import Execution, Executions

app = Commands()

_TRIGGERS = ("drift", "sweep", "admin")  # what finds that somebody else has changed something
_LONGEST = datetime.timedelta(days=90)  # Step Functions forgets executions then


@app.command(
    "drift",
    epilog=examples("podshare drift", "podshare drift vision --since 7d", "podshare drift --detailed-exitcode --quiet"),
)
@takes_options
def drift(
    options: Options,
    teams: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEAM…", help="The teams; default: all teams.", autocompletion=completing("team")),
    ] = None,
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="Report repairs since then: 2026-11-01, 90m, 24h or 7d.")
    ] = "24h",
    detailed: DetailedExitCode = False,
    verbose: Verbose = False,
) -> None:
    """Show what differs in reality from the records, without repairing it, and what podshare has repaired since.

    podshare repairs drift by itself: within minutes where CloudTrail reports calls to it, else with the next sweep.
    What is shown to differ was changed just now, waits for something, or is held.
    """
    from podshare_cli.commands import plan
    from podshare_cli.commands.team import require_known
    from podshare_cli.history.moments import past_moment
    from podshare_cli.output import print_lines, say, stdout
    from podshare_cli.plans import record_plan
    from podshare_cli.progress.executions import Executions
    from podshare_cli.progress.live import counting

    began, earliest = past_moment(since, "--since"), datetime.datetime.now(datetime.UTC) - _LONGEST
    if began < earliest:
        say("Step Functions keeps runs for 90 days. Earlier repairs: `podshare access changes --since TIME`.")
        began, since = earliest, "90d"
    for team in teams or ():
        require_known(options, team)
    with counting(options, "teams read") as planned:
        names = teams or record_plan.all_teams(options.connection)
        made = record_plan.make_of_teams(options.connection, names, planned=planned)
    with counting(options, "runs read") as read:
        repaired = repairs(Executions(options.connection), began, teams, read)
    options.show({"drift": made.as_dict(), "repaired": [repair.as_dict() for repair in repaired]})
    if not options.as_json:
        if not made.is_empty:
            print_lines(stdout(), ["[bold]Reality differs from the records. Repairing it would change:[/]", ""])
        plan.show(options, made, verbose=verbose)
        if not made.is_empty:
            print_lines(stdout(), [""])
        print_lines(stdout(), repair_lines(repaired, since))
    plan.end(made, detailed=detailed)


@dataclass(frozen=True)
class Repair:
    """A run that changed something because a call of somebody else, a sweep or a person had shown that it differs."""

    run: "Execution"
    changes: Sequence[Mapping[str, Any]]

    @property
    def team(self) -> str:
        """The team that was repaired."""
        return str(self.run.acting.output.get("team", ""))

    def as_dict(self) -> dict[str, Any]:
        """The repair for machines: when, what, and by the trigger which call of whom."""
        return {"team": self.team, **self.run.as_dict(), "changes": [*self.changes]}


def repairs(
    executions: "Executions",
    since: datetime.datetime,
    teams: Sequence[str] | None,
    read: Callable[[int, int], None],
) -> list[Repair]:
    """The repairs since then, the newest first; of all teams, or of those named."""
    repairing = (run for run in executions.since(since, teams, read) if _has_repaired(run))
    return [Repair(run, executions.changes_of(run.acting.arn)) for run in repairing]


def _has_repaired(run: "Execution") -> bool:
    """Whether a run repaired drift; podshare's own calls start runs too, and what such a run joined is no repair."""
    from podshare.access.history import OWN_CALLS

    own = str(run.trigger.get("id", "")).startswith(OWN_CALLS)
    return run.trigger.get("event") in _TRIGGERS and run.has_changed and not (own and run.joined)


def repair_lines(repaired: Iterable[Repair], since: str) -> Iterator[str]:
    """The repairs in markup: when and why, and below it what was done."""
    from rich.markup import escape

    from podshare_cli import words
    from podshare_cli.history.moments import since_text
    from podshare_cli.output import state_text, utc_text
    from podshare_cli.views.team import caller_text, trigger_text

    listed = [*repaired]
    yield f"[bold]Repaired {escape(since_text(since))}[/]{'' if listed else ': nothing'}"
    for repair in listed:
        run = repair.run
        when, caller = utc_text(run.started), caller_text(run)
        by = f" by {escape(caller)}" if caller else ""
        yield f"  {when}  {escape(repair.team)}  {escape(trigger_text(run.trigger))}{by}: {state_text(run.outcome)}"
        for change in repair.changes:
            yield f"    {words.action(str(change['action']))} {escape(words.resource(change))}"
