"""``podshare dataset`` and ``podshare cluster``: the records that teams refer to."""

# ruff: noqa: PLC0415  # commands import what they need when they run: `podshare --help` needs none of it

import sys
from typing import Annotated

import typer

from podshare_cli.failures import Failure, invalid
from podshare_cli.options import Options, examples, group, takes_options

datasets = group("Datasets: the buckets, or parts of buckets, that teams may be granted.")
clusters = group("Clusters: the HyperPod clusters that teams share.")

Files = Annotated[
    list[str],
    typer.Argument(metavar="FILE…", help="YAML files with records; - is standard input.", show_default=False),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The record's name.", show_default=False)]
Yaml = Annotated[bool, typer.Option("--yaml", help="Print YAML that can be put again.")]


@datasets.command("put", epilog=examples("podshare dataset put examples/registry/datasets.yaml"))
@takes_options
def put_dataset(options: Options, files: Files) -> None:
    """Write dataset records; the teams that use them are reconciled."""
    _put(options, files, "dataset")


@clusters.command("put", epilog=examples("podshare cluster put examples/registry/cluster-main.yaml"))
@takes_options
def put_cluster(options: Options, files: Files) -> None:
    """Write cluster records; the teams that use them are reconciled."""
    _put(options, files, "cluster")


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


@datasets.command("delete", epilog=examples("podshare dataset delete drafts", "podshare dataset delete drafts --yes"))
@takes_options
def delete_dataset(
    options: Options, name: Name, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False
) -> None:
    """Delete a dataset's record: every team's access to it is revoked."""
    from podshare_cli.tables import Registry
    from podshare_cli.writing import teams_naming

    _require(options, f"dataset#{name}")
    losing = teams_naming(options.connection, f"dataset#{name}")
    if losing and not yes:
        if not sys.stdin.isatty():
            raise invalid(f"These teams lose dataset {name}: {', '.join(losing)}.", "Say --yes if it is meant.")
        if not typer.confirm(f"These teams lose dataset {name}: {', '.join(losing)}. Delete it?", err=True):
            raise Failure("Nothing was deleted.")
    Registry(options.connection).delete(f"dataset#{name}")
    _told_deletion(options, f"dataset#{name}", losing)


@clusters.command("delete", epilog=examples("podshare cluster delete main"))
@takes_options
def delete_cluster(options: Options, name: Name) -> None:
    """Delete a cluster's record; refused while a team names it."""
    from podshare_cli.tables import Registry
    from podshare_cli.writing import teams_naming

    _require(options, f"cluster#{name}")
    if users := teams_naming(options.connection, f"cluster#{name}"):
        raise Failure(
            f"Cluster {name} is used by {len(users)} team{'s' if len(users) > 1 else ''}: {', '.join(users)}.",
            "Delete these teams, or move them to another cluster, first.",
        )
    Registry(options.connection).delete(f"cluster#{name}")
    _told_deletion(options, f"cluster#{name}", [])


def show_record(options: Options, record_id: str, *, as_yaml: bool) -> None:
    """Print a record: as YAML that can be put again, as JSON, or as YAML with who wrote it."""
    from podshare_cli.documents import to_yaml
    from podshare_cli.output import print_json, stdout

    item = _require(options, record_id)
    if options.as_json:
        print_json(item)
        return
    console = stdout()
    console.out(to_yaml(item), end="", highlight=False)
    if not as_yaml and item.get("changed_by"):
        console.print(f"[dim]# last written by {item['changed_by']}[/]", soft_wrap=True)


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


def _put(options: Options, files: list[str], kind: str) -> None:
    from podshare_cli.documents import read_records
    from podshare_cli.output import print_json, stderr
    from podshare_cli.writing import put_records, teams_naming

    items = read_records(files, [kind])
    written = []
    for one in put_records(options.connection, items):
        users = [] if one.result == "unchanged" else teams_naming(options.connection, one.item["id"])
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
    from podshare_cli.writing import teams_naming

    registry = Registry(options.connection)
    rows = [
        {
            kind: name_of(item),
            **{name: item.get(name, "") for name in fields},
            "teams": teams_naming(options.connection, str(item["id"])),
        }
        for item in registry.all_of(kind)
    ]
    if options.as_json:
        print_json(rows)
        return
    table = Table(kind, *(name.replace("_", " ") for name in (*fields, "teams")), box=None, header_style="dim")
    for row in rows:
        table.add_row(
            f"[bold]{escape(str(row[kind]))}[/]",
            *(escape(str(row[name])) for name in fields),
            escape(", ".join(row["teams"])),
        )
    stdout().print(table if rows else f"There are no {kind}s. Write one: podshare {kind} put FILE")


def _told_deletion(options: Options, record_id: str, losing: list[str]) -> None:
    from podshare_cli.output import print_json, stderr

    if options.as_json:
        print_json({"id": record_id, "result": "deleted", "reconciled": losing})
    else:
        told = f"; reconciles {', '.join(losing)}" if losing else ""
        stderr().print(f"{record_id}: deleted{told}", soft_wrap=True, markup=False)
