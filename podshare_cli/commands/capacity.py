"""``podshare capacity``: what of each cluster is guaranteed to whom, and what is left."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from podshare_cli.failures import Failure
from podshare_cli.json_option import Commands
from podshare_cli.options import Options, examples, takes_options
from podshare_cli.records.known_names import completing

if TYPE_CHECKING:
    from rich.console import RenderableType

    from podshare_cli.aws.connection import Connection

app = Commands()

_WIDTH = 40  # of a bar
Report = Mapping[str, Any]


@app.command(
    "capacity",
    epilog=examples(
        "podshare capacity",
        "podshare capacity --cluster main",
        "podshare capacity --jq '.[].instance_types[] | {instance_type, free, unit}'",
    ),
)
@takes_options
def capacity(
    options: Options,
    cluster: Annotated[
        list[str] | None,
        typer.Option(
            "--cluster",
            metavar="NAME",
            help="Only this cluster; may be repeated.",
            autocompletion=completing("cluster"),
        ),
    ] = None,
) -> None:
    """Show each cluster's capacity: guaranteed to which team, lent, borrowed, and free.

    It compares SageMaker's current compute quotas, including those that podshare does not manage, with the cluster's
    nodes. A team lends what it leaves idle, and borrows up to its limit; what is lent at the moment is in podshare
    report. The exit code is 1 if a cluster cannot be read.
    """
    reports = read_clusters(options.connection, cluster)
    options.show(reports, lambda: _drawn(reports))
    if bad := [f"{report['cluster']}: {report['problem']}" for report in reports if "problem" in report]:
        raise Failure(f"Not every cluster can be read. {' '.join(bad)}", "See podshare cluster list.")


def read_clusters(connection: "Connection", names: Iterable[str] | None = None) -> list[Report]:
    """The capacity of these clusters, by default of all; ``problem`` says why one cannot be read."""
    return [_read(connection, name) for name in names or _clusters(connection)]


def _read(connection: "Connection", name: str) -> Report:
    from podshare_cli.plans.dry_runs import ask

    try:  # the function of dry runs may look into any cluster's account
        return ask(connection, {"capacity": name}, "the cluster could not be read by")
    except Failure as failure:
        return {"cluster": name, "problem": f"{failure} {failure.remedy}".strip()}


def _clusters(connection: "Connection") -> list[str]:
    from podshare.registry.items import name_of
    from podshare_cli.aws.tables import Registry

    return [name_of(item) for item in Registry(connection).all_of("cluster")]


# ---- for people ------------------------------------------------------------------------------------------------


def _drawn(reports: Sequence[Report]) -> "RenderableType":
    """Each cluster's types one after the other, each with a bar for every team."""
    from podshare_cli.output import stacked

    if not reports:
        return "No clusters. Write one: podshare cluster put FILE"
    return stacked(part for report in reports for part in _cluster(report))


def _cluster(report: Report) -> Iterator["RenderableType"]:
    if "problem" in report:
        return
    from rich.markup import escape

    yield f"[bold]{escape(report['cluster'])}[/] [dim](over_commitment: {escape(report['over_commitment'])})[/]"
    for instance_type in report["instance_types"]:
        yield ""
        yield _heading(instance_type)
        yield _bars(instance_type)
        yield from _remarks(instance_type)


def _heading(instance_type: Report) -> str:
    from rich.markup import escape

    nodes = instance_type["nodes"]
    asked = f", {nodes['target']} requested" if nodes["target"] != nodes["current"] else ""
    sums = f"{instance_type['guaranteed']:g} of {instance_type['capacity']:g} {instance_type['unit']} guaranteed"
    over = (
        f" [bold red]over-committed by {instance_type['over_committed']:g}[/]"
        if instance_type["over_committed"]
        else ""
    )
    return f"[bold]{escape(instance_type['instance_type'])}[/]  {nodes['current']} nodes{asked}  {sums}{over}"


def _bars(instance_type: Report) -> "RenderableType":
    """Each team's part of the whole: the bars together fill what is guaranteed."""
    from rich.bar import Bar
    from rich.markup import escape

    from podshare_cli.output import ListTable

    heads = ("team", "", "guaranteed", "lends", "may borrow", "quota")
    shown = ListTable(*heads, expendable=("quota", "lends", "may borrow"))
    size, begin = max(instance_type["capacity"], instance_type["guaranteed"], 1), 0.0
    for team in instance_type["teams"]:
        end = min(size, begin + team["guaranteed"])
        color = "red" if end > instance_type["capacity"] else "green"
        shown.add_row(
            escape(team["team"]),
            Bar(size, begin, end, width=_WIDTH, color=color),
            f"{team['guaranteed']:g}",
            _amount(team["lends"]),
            _amount(team["borrow_limit"]),
            escape(", ".join(team["quota"])),
        )
        begin = end
    shown.add_row(
        "[dim]free[/]",
        Bar(size, begin, begin + instance_type["free"], width=_WIDTH, color="blue"),
        f"{instance_type['free']:g}",
    )
    return shown


def _amount(quantity: float) -> str:
    return f"{quantity:g}" if quantity else "[dim]-[/]"


def _remarks(instance_type: Report) -> Iterator[str]:
    from rich.markup import escape

    for each in instance_type["partitions"]:
        more = "unknown how many more fit" if each["free"] is None else f"{each['free']} more would fit"
        teams = ", ".join(f"{team} {count}" for team, count in _most_first(each["teams"].items()))
        yield f"  {escape(each['type'])}: {escape(teams)}; {more}"
    if instance_type["uncounted"]:
        teams = escape(", ".join(instance_type["uncounted"]))
        yield f"  [yellow]unknown:[/] parts of instances of {teams}: EC2 publishes no data about this type"


def _most_first(counts: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    return sorted(counts, key=lambda each: (-each[1], each[0]))
