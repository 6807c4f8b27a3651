"""``podshare apply``: make the registry say what files say, and follow podshare until that is provisioned."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from podshare.registry.sentences import counted
from podshare_cli.failures import invalid
from podshare_cli.json_option import Commands
from podshare_cli.options import Options, Prune, Reason, RecordFiles, Verbose, examples, takes_options

if TYPE_CHECKING:
    from podshare_cli.plans.record_plan import RecordPlan
    from podshare_cli.progress.following import Ended

app = Commands()


@app.command(
    "apply",
    epilog=examples(
        "podshare apply -f records",
        "podshare apply -f records --prune --reason 'Q3 quotas'",
        "podshare apply plan.json --auto-approve",
    ),
)
@takes_options
def apply(
    options: Options,
    plan_file: Annotated[
        Path | None, typer.Argument(metavar="[PLAN]", help="A plan that `podshare plan --out` has written.")
    ] = None,
    *,
    files: RecordFiles = None,
    prune: Prune = False,
    auto_approve: Annotated[bool, typer.Option("--auto-approve", help="Do not ask for confirmation.")] = False,
    reason: Reason = "",
    verbose: Verbose = False,
) -> None:
    """Write the records of files that differ from the registry, all or none, and follow the teams that they affect.

    The plan is shown first. If anybody would lose access, a record is deleted, or something blocks a part of the plan,
    the command lists it, and asks; what you confirm is approved with the write. What is blocked is written too, and
    waits: a revocation never waits for what a record adds. A saved plan is applied only if nothing that it rests
    on has changed.

    Exit codes: 0 if every team of the files is READY, ENDED or DELETED; 1 if not, or if somebody else has changed a
    record; 64 for invalid records.
    """
    from podshare_cli.commands import plan
    from podshare_cli.plans import confirming
    from podshare_cli.progress.following import SETTLED, Runs, require
    from podshare_cli.records import writes

    options.connection.least = "admin"  # also for its plan: it is about to write
    agreed = _plan(options, plan_file, files or [], prune=prune)
    if not options.as_json:
        plan.show(options, agreed, verbose=verbose)
    deleted = [change.record_id for change in agreed.changes if change.item is None]
    blocked = plan.blockers(agreed) if agreed.changes else []
    approvals = confirming.agree(
        options, agreed.losses, deleted, blocked, yes=auto_approve, reason=reason, option="--auto-approve"
    )
    record_ids = [change.record_id for change in agreed.changes]
    runs = Runs(options, dict.fromkeys((*agreed.teams, *agreed.failures), record_ids))
    provenance = replace(agreed.provenance, reason=reason)
    writes.write(options.connection, [*approvals, *agreed.changes], provenance, agreed.sources)
    for change in agreed.changes:
        options.say(f"{change.record_id}: {change.result}")
    ended = runs.follow()
    _report(options, agreed, ended)
    require({**_standing(options, agreed), **ended.states}, SETTLED)


def _plan(options: Options, plan_file: Path | None, files: Sequence[str], *, prune: bool) -> "RecordPlan":
    """The plan to apply: of files, or a saved one that is as it was. Raises Failure."""
    from podshare_cli.plans import record_plan
    from podshare_cli.progress.live import counting

    if bool(files) == bool(plan_file):
        raise invalid("Give files with -f, or a saved plan.", "For example: podshare apply -f records/")
    if prune and plan_file:
        raise invalid("--prune takes files.", "Plan with it: podshare plan -f DIR --prune --out PLAN")
    with counting(options, "teams planned") as planned:
        if plan_file is None:
            return record_plan.make_of_files(options.connection, files, prune=prune, planned=planned)
        saved = record_plan.RecordPlan.read_from(plan_file)
        return record_plan.make_again(options.connection, saved, planned)


def _standing(options: Options, agreed: "RecordPlan") -> dict[str, str | None]:
    """The states of the files' teams whose records say the same: an earlier apply may not have completed."""
    from podshare_cli.aws.tables import State

    kept = [record.record_id for record in agreed.records if not record.is_news]
    teams = [record_id.removeprefix("team#") for record_id in kept if record_id.startswith("team#")]
    statuses = State(options.connection).statuses("team") if teams else {}
    return {team: statuses.get(team, {}).get("state") for team in teams}


def _report(options: Options, agreed: "RecordPlan", ended: "Ended") -> None:
    records = [change.outcome for change in agreed.changes]
    options.show({"plan": agreed.as_dict(), "records": records, "teams": ended.as_dicts})
    if not options.as_json:
        typer.echo(_summary(Counter(change.result for change in agreed.changes), ended.states.values()))


def _summary(results: Mapping[str, int], states: Iterable[str | None]) -> str:
    if not results:
        return "Nothing to apply: the registry says what the files say."
    written = ", ".join(f"{number} {result}" for result, number in results.items())
    teams = ", ".join(f"{counted(number, 'team')} {state}" for state, number in Counter(states).items())
    return f"Applied: {written}{f'; {teams}' if teams else ''}"
