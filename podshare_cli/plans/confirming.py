"""Before a write that revokes access: show who loses what, ask, and approve it with the write.

What is approved are the losses that were shown, team by team: what a run then finds beyond them counts as if nobody
had been asked (docs/decisions/0043).
"""

import datetime
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import typer

from podshare.kinds.base import Key
from podshare.reconcile.blast_radius import digest, fingerprints
from podshare.registry.records import MOST_LOSSES
from podshare_cli.aws.connection import Connection
from podshare_cli.aws.tables import Registry, State
from podshare_cli.failures import Failure, invalid
from podshare_cli.options import Options
from podshare_cli.output import say
from podshare_cli.plans.dry_runs import dry_runs
from podshare_cli.progress.live import counting
from podshare_cli.records.changes import Item, RecordChange, overwriting
from podshare_cli.records.signed import approval

_MOST_SHOWN = 20  # losses of one team
_REASON = "Confirmed with the write"


@dataclass(frozen=True)
class Losses:
    """What a team would lose for good by a write, in words and by its keys; or why that is not known."""

    team: str
    losses: Sequence[Mapping[str, str]] = ()
    unknown: str = ""

    def lines(self, *, whole: bool = False) -> Iterable[str]:
        """The team's losses, one a line: the first of many, or the ``whole`` of them."""
        if self.unknown:
            yield f"Cannot determine what team {self.team} would lose: {self.unknown}"
            return
        yield f"Team {self.team} loses:"
        texts = [*dict.fromkeys(loss["what"] for loss in self.losses)]  # two roles of a service account are one loss
        shown = texts if whole else texts[:_MOST_SHOWN]
        yield from (f"  {text}" for text in shown)
        if more := texts[len(shown) :]:
            yield f"  and {len(more)} more: -v names them"


def losses(
    connection: Connection,
    teams: Iterable[str],
    records: Sequence[Mapping[str, Any]],
    counted: Callable[[int, int], None] = lambda _done, _of: None,
) -> list[Losses]:
    """What each of ``teams`` would lose if the registry held ``records``; those that lose nothing are left out.

    ``counted`` is called with how many teams are planned, and of how many.
    """
    connection.least = "admin"  # who asks is about to write
    state = State(connection)
    known = [team for team in sorted(set(teams)) if state.status(f"team#{team}")]  # of others nothing was ever made
    planned = [losses_of(team, plan) for team, plan in dry_runs(connection, known, records, counted).items()]
    return [team_losses for team_losses in planned if team_losses.losses or team_losses.unknown]


def losses_counted(options: Options, teams: Iterable[str], records: Sequence[Mapping[str, Any]]) -> list[Losses]:
    """The same, while progress counts the teams."""
    with counting(options, "teams planned") as counted:
        return losses(options.connection, teams, records, counted)


def losses_of(team: str, plan: Mapping[str, Any] | Failure) -> Losses:
    """What a team would lose by its plan; unknown where there is none."""
    if isinstance(plan, Failure):
        return Losses(team, unknown=str(plan))
    return Losses(team, plan.get("losses", ()))


def agree(
    options: Options,
    losing: Sequence[Losses],
    deleted: Sequence[str] = (),
    blocked: Sequence[str] = (),
    *,
    yes: bool,
    reason: str = "",
    option: str = "--yes",
    whole: bool = False,
) -> list[RecordChange]:
    """Show what teams would lose by a write, the records it deletes and what of it is blocked, and ask.

    The ``option`` answers; ``whole`` names all losses. Returns the approvals, which belong to that write. Raises
    Failure on a no, and where nobody can be asked.
    """
    revoked = [f"Deletes {record_id}." for record_id in deleted]
    revoked += [line for each in losing for line in each.lines(whole=whole)]
    waiting = [
        "Not all of this can be applied; what is blocked waits until you fix it:",
        *(f"  {line}" for line in blocked),
    ]
    lines = [*revoked, *(waiting if blocked else ())]
    if lines and not yes:
        heading = ["This revokes access."] if revoked else []
        require_terminal("\n".join([*heading, *lines]), option)
    if not (yes and options.as_json):
        for line in lines:
            say(line)
    if lines and not yes and not typer.confirm("Write it?", err=True):
        raise Failure("Nothing was written.")
    teams = [record_id.removeprefix("team#") for record_id in deleted if record_id.startswith("team#")]
    return approvals(options.connection, losing, reason, teams)


def ask(consequence: str, question: str, refused: str) -> None:
    """Ask before ``consequence``. Raises Failure on a no, and where nobody can be asked."""
    require_terminal(consequence)
    say(consequence)
    if not typer.confirm(question, err=True):
        raise Failure(refused)


def require_terminal(consequence: str, option: str = "--yes") -> None:
    """Raises Failure where nobody can be asked about ``consequence``."""
    if not sys.stdin.isatty():
        raise invalid(consequence, f"Not a terminal, so there is no prompt: add {option} to confirm.")


def approvals(
    connection: Connection, losing: Sequence[Losses], reason: str = "", deleted: Iterable[str] = ()
) -> list[RecordChange]:
    """The records by which the caller agrees to just these losses: to be written with what brings them.

    A team that is ``deleted`` and loses nothing gets one too: a record that is gone says neither who nor why.
    """
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    items = [item for each in losing for item in _approval(connection, each, now, reason or _REASON)]
    others = {*deleted} - {each.team for each in losing}
    items += [_deletion(connection, team, now, reason or _REASON) for team in sorted(others)]
    known = Registry(connection).get_all(item["id"] for item in items)
    return [overwriting(item, known.get(item["id"])) for item in items]


def _approval(connection: Connection, losing: Losses, now: str, reason: str) -> Iterable[Item]:
    keys = [Key.parse(loss["key"]) for loss in losing.losses]
    if 0 < len(keys) <= MOST_LOSSES:
        item = approval(connection, losing.team, digest(keys, now), reason)
        yield {**item, "confirmed": now, "losses": sorted(fingerprints(keys))}


def _deletion(connection: Connection, team: str, now: str, reason: str) -> Item:
    """An approval of a deletion alone: no loss has its hash, so that it approves none."""
    itself = digest((), f"deletion of {team} {now}")
    return {**approval(connection, team, itself, reason), "confirmed": now, "losses": [itself]}
