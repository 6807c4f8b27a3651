"""``podshare approve``: let teams lose what was held back because too many had lost access at once."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from podshare.registry.sentences import counted
from podshare_cli.failures import Failure, exclusive, invalid
from podshare_cli.json_option import Commands
from podshare_cli.options import Options, Verbose, WaitForAll, Yes, examples, takes_options
from podshare_cli.records.known_names import completing

if TYPE_CHECKING:
    from rich.table import Table

app = Commands()

_Held = Mapping[str, Mapping[str, Any]]


@app.command(
    "approve",
    epilog=examples("podshare approve", "podshare approve vision 3f2a9c01b7de", "podshare approve --all --yes"),
)
@takes_options
def approve(
    options: Options,
    team: Annotated[
        str | None, typer.Argument(help="The team that may lose access.", autocompletion=completing("team"))
    ] = None,
    plan: Annotated[str | None, typer.Argument(help="The plan's hash, from the team's status.")] = None,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the audit.")] = "approved by hand",
    every: Annotated[bool, typer.Option("--all", help="Approve all held plans.")] = False,
    wait: WaitForAll = False,
    yes: Yes = False,
    verbose: Verbose = False,
) -> None:
    """Approve a held plan that revokes access. Without TEAM, list held plans.

    An approval is for one plan of one team. podshare plans again, and applies the plan only if it is unchanged.
    """
    from podshare_cli.aws.tables import State

    exclusive(("--all", every), ("TEAM", team))
    held = State(options.connection).held()
    if every:
        if held and not yes:
            _agree(held)
        _write(options, {name: str(row["hash"]) for name, row in held.items()}, reason, wait=wait)
    elif team is None:
        _show(options, held, verbose=verbose)
    else:
        _write(options, {team: _checked(held, team, plan)}, reason, wait=wait)


def _checked(held: _Held, team: str, plan: str | None) -> str:
    if team not in held:
        raise Failure(f"Team {team} has no plan awaiting approval.", "List held plans: podshare approve")
    waiting = str(held[team]["hash"])
    if plan != waiting:
        message = f"Team {team} has plan {waiting} awaiting approval, not {plan or 'a plan without a hash'}."
        raise invalid(message, f"Review it: podshare team status {team}")
    return waiting


def _agree(held: _Held) -> None:
    from podshare_cli.plans.confirming import Losses, ask

    lines = [f"{counted(len(held), 'team')} would lose access:"]
    for name, row in sorted(held.items()):
        losses = [{"what": str(what)} for what in row.get("losses", ())]
        lines += Losses(name, losses).lines() if losses else [f"Team {name} has plan {row['hash']}."]
    ask("\n".join(lines), "Approve them all?", "Nothing was approved.")


def _write(options: Options, plans: Mapping[str, str], reason: str, *, wait: bool) -> None:
    from podshare_cli.progress.following import Runs
    from podshare_cli.records.signed import approval, write

    approved = dict(sorted(plans.items()))
    runs = Runs(options, {team: [f"approval#{team}"] for team in approved if wait})
    for team, plan in approved.items():  # each said at once: a later one may be refused
        write(options.connection, approval(options.connection, team, plan, reason))
        options.say(f"approved: plan {plan} of team {team}")
    if not plans:
        options.say("no plan awaits approval")
    ended = runs.follow()
    options.show({"approved": approved, "teams": ended.as_dicts})
    ended.require()


def _show(options: Options, held: _Held, *, verbose: bool) -> None:
    rows = [
        {"team": name, "plan": row["hash"], "since": row["since"], "losses": [*row.get("losses", ())]}
        for name, row in sorted(held.items())
    ]
    if rows or options.as_json:
        options.show(rows, lambda: _table(rows, whole=verbose))
    else:
        options.say("no plan awaits approval")


def _table(rows: list[dict[str, Any]], *, whole: bool) -> "Table":
    from rich.markup import escape

    from podshare_cli.output import ListTable

    shown = ListTable("team", "plan", "held since", *(("would lose",) if whole else ()))
    for row in rows:
        losses = [escape("\n".join(row["losses"]))] if whole else []
        shown.add_row(escape(row["team"]), row["plan"], row["since"], *losses)
    return shown
