"""``podshare dataset``, ``podshare cluster`` and ``podshare enrollment``: the records beside those of teams."""

# ruff: noqa: PLC0415  # commands import what they need when they run: `podshare --help` needs none of it

import sys
from collections.abc import Mapping
from typing import Annotated

import typer

from podshare_cli.failures import Failure, invalid
from podshare_cli.options import Options, examples, group, takes_options

datasets = group("Datasets: the buckets, or parts of buckets, that teams may be granted.")
clusters = group("Clusters: the HyperPod clusters that teams share.")
enrollments = group("Enrollments: a team of its own for each account of a unit, or with a tag, while it is that.")

Files = Annotated[
    list[str],
    typer.Argument(metavar="FILE…", help="YAML files with records; - is standard input.", show_default=False),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The record's name.", show_default=False)]
Yaml = Annotated[bool, typer.Option("--yaml", help="Print YAML that can be put again.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@datasets.command("put", epilog=examples("podshare dataset put examples/registry/datasets.yaml"))
@takes_options
def put_dataset(options: Options, files: Files, yes: Yes = False) -> None:
    """Write dataset records; the teams that use them are reconciled. If anybody would lose access, it asks."""
    _put(options, files, "dataset", yes=yes)


@clusters.command("put", epilog=examples("podshare cluster put examples/registry/cluster-main.yaml"))
@takes_options
def put_cluster(options: Options, files: Files, yes: Yes = False) -> None:
    """Write cluster records; the teams that use them are reconciled. If anybody would lose access, it asks."""
    _put(options, files, "cluster", yes=yes)


@enrollments.command("put", epilog=examples("podshare enrollment put examples/registry/enrollment-science.yaml"))
@takes_options
def put_enrollment(options: Options, files: Files, yes: Yes = False) -> None:
    """Write enrollment records: each selected account gets a team, and loses it when it no longer matches.

    What would change is told before by `podshare team plan FILE`. If anybody would lose access, it asks.
    """
    _put(options, files, "enrollment", yes=yes)


@datasets.command("get", epilog=examples("podshare dataset get imagenet --yaml"))
@takes_options
def get_dataset(options: Options, name: Name, as_yaml: Yaml = False) -> None:
    """Show a dataset's record."""
    show_record(options, f"dataset#{name}", as_yaml=as_yaml)


@clusters.command("get", epilog=examples("podshare cluster get main --yaml"))
@takes_options
def get_cluster(options: Options, name: Name, as_yaml: Yaml = False) -> None:
    """Show a cluster's record."""
    show_record(options, f"cluster#{name}", as_yaml=as_yaml)


@enrollments.command("get", epilog=examples("podshare enrollment get science --yaml"))
@takes_options
def get_enrollment(options: Options, name: Name, as_yaml: Yaml = False) -> None:
    """Show an enrollment's record."""
    show_record(options, f"enrollment#{name}", as_yaml=as_yaml)


@datasets.command("list", epilog=examples("podshare dataset list"))
@takes_options
def list_datasets(options: Options) -> None:
    """List the datasets, and the teams that use each."""
    _list(options, "dataset", ("account", "region", "bucket", "prefix"))


@clusters.command("list", epilog=examples("podshare cluster list"))
@takes_options
def list_clusters(options: Options) -> None:
    """List the clusters, and the teams that use each."""
    _list(options, "cluster", ("account", "region", "eks_cluster", "hyperpod_cluster"))


@enrollments.command("list", epilog=examples("podshare enrollment list"))
@takes_options
def list_enrollments(options: Options) -> None:
    """List the enrollments, and the teams that each makes."""
    _list(options, "enrollment", ("organizational_unit", "account_tag", "exclude_accounts"))


@datasets.command("delete", epilog=examples("podshare dataset delete drafts", "podshare dataset delete drafts --yes"))
@takes_options
def delete_dataset(options: Options, name: Name, yes: Yes = False) -> None:
    """Delete a dataset's record: every team's access to it is revoked."""
    from podshare_cli.writing import teams_naming

    _require(options, f"dataset#{name}")
    losing = teams_naming(options.connection, f"dataset#{name}")
    _delete(options, f"dataset#{name}", losing, f"These teams lose dataset {name}", yes=yes)


@enrollments.command(
    "delete", epilog=examples("podshare enrollment delete science", "podshare enrollment delete science --yes")
)
@takes_options
def delete_enrollment(options: Options, name: Name, yes: Yes = False) -> None:
    """Delete an enrollment's record: every team that it makes is deleted, with all of its access."""
    from podshare_cli.writing import teams_enrolled

    _require(options, f"enrollment#{name}")
    losing = teams_enrolled(options.connection, [name])
    _delete(options, f"enrollment#{name}", losing, f"These teams end with enrollment {name}", yes=yes)


@clusters.command("delete", epilog=examples("podshare cluster delete main"))
@takes_options
def delete_cluster(options: Options, name: Name) -> None:
    """Delete a cluster's record; refused while a team or an enrollment names it."""
    from podshare_cli.writing import enrollments_naming, teams_naming

    _require(options, f"cluster#{name}")
    remedy = "move them to another cluster, first."
    if users := teams_naming(options.connection, f"cluster#{name}"):
        many = f"{len(users)} team{'s' if len(users) > 1 else ''}"
        told = f"Cluster {name} is used by {many}: {', '.join(users)}."
        raise Failure(told, f"Delete these teams, or the enrollments that make them, or {remedy}")
    if users := enrollments_naming(options.connection, f"cluster#{name}"):
        told = f"Cluster {name} is for the teams of enrollment {', '.join(users)}."
        raise Failure(told, f"Delete these enrollments, or {remedy}")
    _delete(options, f"cluster#{name}", [], "", yes=True)


def show_record(options: Options, record_id: str, *, as_yaml: bool) -> None:
    """Print a record: as YAML that can be put again, as JSON, or as YAML with who wrote it."""
    item = _require(options, record_id)
    writer = item.get("changed_by")
    print_record(options, item, f"last written by {writer}" if writer and not as_yaml else "")


def print_record(options: Options, item: Mapping[str, object], remark: str) -> None:
    """Print a record as JSON, or as YAML with a remark behind it."""
    from podshare_cli.documents import to_yaml
    from podshare_cli.output import print_json, stdout

    if options.as_json:
        print_json(item)
        return
    console = stdout()
    console.out(to_yaml(item), end="", highlight=False)
    if remark:
        console.print(f"# {remark}", style="dim", soft_wrap=True, markup=False)


def _require(options: Options, record_id: str) -> dict[str, object]:
    from podshare_cli.tables import Registry

    item = Registry(options.connection).get(record_id)
    if item is None:
        kind = record_id.partition("#")[0]
        table = options.connection.registry_table
        raise Failure(
            f"There is no {record_id} in {table} ({options.connection.place}).", f"See `podshare {kind} list`."
        )
    return item


def _put(options: Options, files: list[str], kind: str, *, yes: bool) -> None:
    from podshare_cli import confirming
    from podshare_cli.documents import read_records
    from podshare_cli.output import print_json, stderr
    from podshare_cli.writing import check_references, differing, put_records, teams_concerned

    read = read_records(files, [kind])
    check_references(options.connection, read)
    changed = differing(options.connection, read.items)
    concerned = {team for item in changed for team in teams_concerned(options.connection, item)}
    losing = confirming.losses(options.connection, concerned, read.items)
    confirming.agree(options, losing, "Write it?", yes=yes)
    confirming.approve(options.connection, losing)
    written = []
    for one in put_records(options.connection, read.items):
        users = [] if one.result == "unchanged" else teams_concerned(options.connection, one.item)
        written.append({**one.as_dict(), "reconciled": users})
        if not options.as_json:
            told = f"; reconciles {', '.join(users)}" if users else ""
            stderr().print(f"{one.item['id']}: {one.result}{told}", soft_wrap=True, markup=False)
    if options.as_json:
        print_json({"records": written})


def _list(options: Options, kind: str, fields: tuple[str, ...]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from podshare_cli.documents import name_of
    from podshare_cli.output import print_json, stdout
    from podshare_cli.tables import Registry
    from podshare_cli.writing import teams_enrolled, teams_naming

    def teams(item: dict[str, object]) -> list[str]:
        if kind == "enrollment":
            return teams_enrolled(options.connection, [name_of(item)])
        return teams_naming(options.connection, str(item["id"]))

    rows = [
        {kind: name_of(item), **{name: item.get(name, "") for name in fields}, "teams": teams(item)}
        for item in Registry(options.connection).all_of(kind)
    ]
    if options.as_json:
        print_json(rows)
        return
    table = Table(kind, *(name.replace("_", " ") for name in (*fields, "teams")), box=None, header_style="dim")
    for row in rows:
        table.add_row(
            f"[bold]{escape(str(row[kind]))}[/]",
            *(escape(_cell(row[name])) for name in (*fields, "teams")),
        )
    stdout().print(table if rows else f"There are no {kind}s. Write one: podshare {kind} put FILE")


def _cell(value: object) -> str:
    """A field as a table shows it; the only one with parts is a tag."""
    if isinstance(value, Mapping):
        return f"{value.get('key')}={value.get('value')}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _delete(options: Options, record_id: str, users: list[str], what: str, *, yes: bool) -> None:
    """Delete a record; whoever is at a terminal is asked before teams lose something, anybody else must say --yes."""
    from podshare_cli import confirming
    from podshare_cli.output import print_json, stderr
    from podshare_cli.tables import Registry

    losing = confirming.losses(options.connection, users, [{"id": record_id, "deleted": True}])
    if users and not yes:
        told = "\n".join([f"{what}: {', '.join(users)}.", *(line for one in losing for line in one.lines())])
        if not sys.stdin.isatty():
            raise invalid(told, "Say --yes if it is meant.")
        if not typer.confirm(f"{told}\nDelete it?", err=True):
            raise Failure("Nothing was deleted.")
    confirming.approve(options.connection, losing)
    Registry(options.connection).delete(record_id)
    if options.as_json:
        print_json({"id": record_id, "result": "deleted", "reconciled": users})
    else:
        told = f"; reconciles {', '.join(users)}" if users else ""
        stderr().print(f"{record_id}: deleted{told}", soft_wrap=True, markup=False)
