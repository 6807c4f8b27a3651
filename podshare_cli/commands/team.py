"""``podshare team``: teams, from the record to the proof that it is so."""

import contextlib
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from podshare_cli.failures import Failure, invalid
from podshare_cli.options import Files, Options, Reason, Verbose, Wait, Yaml, Yes, examples, group, takes_options
from podshare_cli.records.known_names import completing, no_such

if TYPE_CHECKING:
    from rich.console import RenderableType

app = group("Teams: write their records, plan changes, follow reconciliations.")

_WATCH_SECONDS = 2
Name = Annotated[
    str, typer.Argument(metavar="NAME", help="The team's name, such as vision.", autocompletion=completing("team"))
]


@app.command(
    epilog=examples(
        "podshare team put examples/registry/*.yaml --wait",
        "podshare team put team-vision.yaml --dry-run",
        "podshare team get vision --yaml | sed 's/count: 4/count: 6/' | podshare team put -",
    )
)
@takes_options
def put(
    options: Options,
    files: Files,
    *,
    wait: Wait = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing; show what would change.")] = False,
    reason: Reason = "",
    yes: Yes = False,
    verbose: Verbose = False,
) -> None:
    """Write the records of teams, of enrollments, and of the clusters and datasets that they name.

    All records are checked first; if one is invalid, none is written. If anybody would lose access, the command lists
    who, and asks; what you confirm is approved with the write. With --wait the exit code is 1 unless every team of the
    files becomes READY, including those of enrollments, and every other that they affect READY, ENDED or DELETED.
    """
    from podshare_cli.plans import writing
    from podshare_cli.progress.following import SETTLED, require
    from podshare_cli.records.documents import WRITING_ORDER
    from podshare_cli.records.references import affected_teams

    read = writing.read_to_write(options, files, WRITING_ORDER)
    if dry_run:
        _show_plans(options, read.items, affected_teams(options.connection, read.items), verbose=verbose)
        return
    teams = _teams_of(options, read.items) if wait else set()
    changes, runs = writing.put(options, files, read, wait=wait, reason=reason, yes=yes, whole=verbose)
    for change in changes:
        options.say(f"{change.record_id}: {change.result}")
    ended = runs.follow()
    options.show({"records": [change.outcome for change in changes], "teams": ended.as_dicts})
    states = ended.states
    for team in sorted(teams - states.keys()):
        states[team] = _state(options, team)
        if not options.as_json:
            _show_status(options, team)
    require({team: states[team] for team in teams}, ["READY"])
    require(states, SETTLED)  # with the teams that the files affect only by a cluster, a dataset or an enrollment


@app.command(epilog=examples("podshare team get vision", "podshare team get vision --yaml > team-vision.yaml"))
@takes_options
def get(options: Options, name: Name, as_yaml: Yaml = False) -> None:
    """Show a team's record, from the registry or as its enrollment creates it."""
    from podshare_cli.aws.tables import State
    from podshare_cli.commands.records import print_record, show_record

    made_by = _enrollment_of(name)
    item = State(options.connection).accepted(f"team#{name}") if made_by else None
    if item:
        origin = f"enrollment#{made_by}"
        remark = f"made by {origin}: change it there"
        print_record(options, {**item, "origin": origin} if options.as_json else item, remark)
    else:
        show_record(options, f"team#{name}", as_yaml=as_yaml)


@app.command(
    "list",
    epilog=examples("podshare team list", "podshare team list --json team,state", "podshare team list --jq '.[].team'"),
)
@takes_options
def list_teams(options: Options, verbose: Verbose = False) -> None:
    """List teams with state, compute and data, and the reason why one is not ready."""
    _show_status(options, None, verbose=verbose)


@app.command(
    epilog=examples(
        "podshare team delete vision --wait", "podshare team delete vision --yes", "podshare team plan vision --delete"
    )
)
@takes_options
def delete(
    options: Options,
    name: Name,
    *,
    wait: Wait = False,
    reason: Reason = "",
    yes: Yes = False,
    verbose: Verbose = False,
) -> None:
    """Delete a team's record: revoke its access at once, drain its running work, then delete all of its resources.

    With --wait the exit code is 1 unless the team becomes DELETED.
    """
    from podshare_cli.aws.tables import Registry
    from podshare_cli.output import say
    from podshare_cli.plans import confirming
    from podshare_cli.progress.following import Runs
    from podshare_cli.records import provenance, writes
    from podshare_cli.records.changes import deleting

    _refuse_enrolled(options, name)
    record = Registry(options.connection).get(f"team#{name}")
    if record is None:
        raise no_such(options, "team", name)
    losing = confirming.losses_counted(options, [name], [{"id": f"team#{name}", "deleted": True}])
    if not yes:
        warning = f"Deletes team {name} and revokes everything it can access."
        confirming.require_terminal(warning)
        for line in (warning, *(line for losses in losing for line in losses.lines(whole=verbose))):
            say(line)
        if typer.prompt(f"Type {name} to go on", default="", show_default=False, err=True).strip() != name:
            raise Failure("The name does not match: nothing was deleted.")
    runs = Runs(options, {name: [f"team#{name}"]} if wait else {})
    approvals = confirming.approvals(options.connection, losing, reason, [name])
    writes.write(options.connection, [*approvals, deleting(record)], provenance.of_files(reason=reason))
    options.say(f"team#{name}: deleted")
    ended = runs.follow()
    options.show({"id": f"team#{name}", "result": "deleted", "teams": ended.as_dicts})
    ended.require(["DELETED"])


@app.command(
    epilog=examples(
        "podshare team plan vision",
        "podshare team plan team-vision.yaml datasets.yaml",
        "podshare team plan vision --delete",
        "podshare team plan vision --jq '.[0].revoke'",
    )
)
@takes_options
def plan(
    options: Options,
    teams_or_files: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME|FILE…",
            help="Teams, or YAML files with candidates; a directory of them is named with a slash.",
            autocompletion=completing("team"),
        ),
    ],
    deleting: Annotated[bool, typer.Option("--delete", help="Show what deleting the teams would do.")] = False,
    verbose: Verbose = False,
) -> None:
    """Show what a reconciliation would change, in order. Changes nothing.

    With files: what it would change if their records were in the registry, for all affected teams. The exit code is 1
    if anything blocks the plan, except what podshare waits for; it is 64 if a record in a file is invalid.
    """
    from podshare_cli.plans.writing import read_to_write
    from podshare_cli.records.documents import WRITING_ORDER
    from podshare_cli.records.references import affected_teams

    files = [each for each in teams_or_files if _is_file(each)]
    if files and len(files) != len(teams_or_files):
        raise invalid("Give names of teams or files, not both.", f"These are files: {', '.join(files)}")
    if files and deleting:
        raise invalid("--delete takes names of teams.", "Name the teams instead of files.")
    if files:
        read = read_to_write(options, files, WRITING_ORDER)
        _show_plans(options, read.items, affected_teams(options.connection, read.items), verbose=verbose)
        return
    for name in teams_or_files:
        require_known(options, name)
        if deleting:
            _refuse_enrolled(options, name)
    _show_plans(
        options,
        [{"id": f"team#{name}", "deleted": True} for name in teams_or_files] if deleting else [],
        teams_or_files,
        verbose=verbose,
    )


@app.command(
    epilog=examples(
        "podshare team manifests vision",
        "podshare team manifests vision --cluster main | kubectl apply --server-side -f -",
    )
)
@takes_options
def manifests(
    options: Options,
    name: Name,
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster",
            metavar="NAME",
            help="The cluster; required if the team has several.",
            autocompletion=completing("cluster"),
        ),
    ] = None,
) -> None:
    """Print the manifests that a person applies for a team where a cluster's record says `kubernetes_api: false`.

    Otherwise podshare applies them automatically, and this prints nothing. With --json: the manifests, and the ARN and
    alias of each access point that the team's pods use.
    """
    import yaml

    from podshare_cli import words
    from podshare_cli.output import say
    from podshare_cli.plans import dry_runs as planning

    require_known(options, name)
    answer = planning.dry_run(options.connection, name, [])
    by_cluster = answer["manifests"]
    if cluster is None and len(by_cluster) > 1:
        where = ", ".join(sorted(by_cluster))
        raise Failure(f"Team {name} has objects in several clusters: {where}.", "Choose one with --cluster.")
    manifests = by_cluster.get(cluster or next(iter(by_cluster), ""), [])
    points = answer["access_points"]
    if options.as_json:
        options.show({"manifests": manifests, "access_points": points})
    elif manifests:
        for line in words.access_points(points):
            typer.echo(f"# {line}")
        typer.echo(yaml.safe_dump_all(manifests, sort_keys=False), nl=False)
    else:
        say(f"There is nothing to apply for team {name}: podshare does it by itself, or the team has no cluster.")


@app.command(
    epilog=examples("podshare team status", "podshare team status vision", "podshare team status vision --watch")
)
@takes_options
def status(
    options: Options,
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="The team; default: all teams.", autocompletion=completing("team")),
    ] = None,
    watching: Annotated[bool, typer.Option("--watch", help="Show it live until Ctrl-C.")] = False,
    verbose: Verbose = False,
) -> None:
    """Show the status of teams: state, verification, problems with remedies, last execution, resources."""
    if watching and options.as_json:
        raise invalid("--watch and --json exclude each other.", "Call it repeatedly with --json instead.")
    if name:
        require_known(options, name)
    if watching:
        _watch_status(options, name, verbose=verbose)
    else:
        _show_status(options, name, verbose=verbose)


@app.command(epilog=examples("podshare team reconcile vision", "podshare team reconcile vision --wait"))
@takes_options
def reconcile(options: Options, name: Name, wait: Wait = False) -> None:
    """Reconcile a team now: repair whatever was changed outside of podshare.

    With --wait the exit code is 1 unless the team becomes READY, or DELETED if no record or enrollment wants it.
    """
    from podshare_cli.progress.executions import Executions, Following
    from podshare_cli.progress.following import follow

    require_known(options, name)
    executions = Executions(options.connection)
    arn = executions.start(name)
    options.say(f"team#{name}: reconciling ({arn})")
    ended = follow(options, [Following(executions, name, arn=arn)] if wait else [])
    options.show({"team": name, "execution": arn, "teams": ended.as_dicts})
    good = "READY" if not wait or _is_wanted(options, name) else "DELETED"
    ended.require([good])


@app.command(epilog=examples("podshare team history vision", "podshare team history vision --last 100 --json"))
@takes_options
def history(
    options: Options,
    name: Name,
    last: Annotated[int, typer.Option("--last", min=1, max=1000, help="How many runs, newest first.")] = 20,
    verbose: Verbose = False,
) -> None:
    """List a team's reconciliations: when, what triggered them, who, and how they ended."""
    from podshare_cli.history.confirmations import with_confirmations
    from podshare_cli.progress.executions import Executions
    from podshare_cli.views import team as team_views

    executions = with_confirmations(options.connection, Executions(options.connection).of(name, last))
    if not executions:
        require_known(options, name)
    options.show(
        [execution.as_dict() for execution in executions], lambda: team_views.history_table(executions, whole=verbose)
    )


# ---- what the commands share ---------------------------------------------------------------------------------


def _teams_of(options: Options, items: "list[dict[str, Any]]") -> set[str]:
    """The teams that records ask for: by their own, or by the enrollments that make them."""
    from podshare.registry.items import kind_of, name_of
    from podshare_cli.records import references

    enrollments = [item for item in items if kind_of(item) == "enrollment"]
    made = (references.enrolled_by(options.connection, item) for item in enrollments)
    return {name_of(item) for item in items if kind_of(item) == "team"}.union(*made)


def _state(options: Options, team: str) -> str | None:
    from podshare_cli.aws.tables import State

    status = State(options.connection).status(f"team#{team}")
    return str(status["state"]) if status else None


def require_known(options: Options, name: str) -> None:
    """Refuse a team that neither the registry nor podshare's state knows."""
    from podshare_cli.aws.tables import Registry

    if Registry(options.connection).get(f"team#{name}") is None and _state(options, name) is None:
        raise no_such(options, "team", name)


def _enrollment_of(name: str) -> str | None:
    """The enrollment that makes the teams of such a name, or None."""
    from podshare.registry.items import enrolled

    origin = enrolled(name)
    return origin[0] if origin else None


def _refuse_enrolled(options: Options, name: str) -> None:
    """Refuse to delete a team that an enrollment makes: it would be made again."""
    from podshare.registry.items import enrolled
    from podshare_cli.aws.tables import Registry

    origin = enrolled(name)
    if origin and Registry(options.connection).get(f"enrollment#{origin[0]}"):
        enrollment, account = origin
        message = f"Team {name} has no record of its own: enrollment {enrollment} makes it for account {account}."
        remedy = (
            f"Put {account} among its exclude_accounts, or delete it whole: podshare enrollment delete {enrollment}"
        )
        raise Failure(message, remedy)


def _is_wanted(options: Options, name: str) -> bool:
    """Whether a record or an enrollment asks for a team; what podshare accepted goes once nothing does."""
    from podshare_cli.aws.tables import Registry, State

    if _enrollment_of(name):
        return State(options.connection).accepted(f"team#{name}") is not None
    return Registry(options.connection).get(f"team#{name}") is not None


def _is_file(name: str) -> bool:
    """Whether an argument names a file rather than a team; a team's name has no dot and no slash."""
    return name == "-" or "." in name or "/" in name


def _show_plans(options: Options, records: "list[dict[str, Any]]", teams: "Iterable[str]", *, verbose: bool) -> None:
    from podshare_cli.commands import plan as planning
    from podshare_cli.plans import record_plan
    from podshare_cli.progress.live import counting

    with counting(options, "teams planned") as planned:
        made = record_plan.make_of_teams(options.connection, teams, records, planned)
    if options.as_json:
        options.show([*made.teams.values()])
    else:
        planning.show(options, made, named=True, verbose=verbose)
    planning.end(made)


def _status(options: Options, name: str | None, *, verbose: bool) -> "tuple[Any, Callable[[], RenderableType]]":
    """The status of a team, or of all, and how it is drawn."""
    from podshare_cli.views import team as team_views

    if name:
        status = team_views.status(options.connection, name)
        return status, lambda: team_views.detail(status, whole=verbose)
    rows = team_views.overview(options.connection)
    return rows, lambda: team_views.table(rows, whole=verbose)


def _show_status(options: Options, name: str | None, *, verbose: bool = False) -> None:
    options.show(*_status(options, name, verbose=verbose))


def _watch_status(options: Options, name: str | None, *, verbose: bool) -> None:
    from rich.live import Live

    from podshare_cli.output import stdout

    def view() -> "RenderableType":
        _, drawn = _status(options, name, verbose=verbose)
        return drawn()

    with Live(view(), console=stdout(), auto_refresh=False) as live, contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(_WATCH_SECONDS)
            live.update(view(), refresh=True)
