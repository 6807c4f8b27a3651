"""What the commands of datasets, clusters and enrollments have in common: put, get, list and delete a record."""

# ruff: noqa: PLC0415  # commands import what they need when they run: `podshare --help` needs none of it

import sys
from collections.abc import Mapping
from typing import Annotated

import typer

from podshare_cli.failures import Failure, invalid
from podshare_cli.options import Options

Files = Annotated[
    list[str],
    typer.Argument(metavar="FILE…", help="YAML files with records; - reads standard input.", show_default=False),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The record's name.", show_default=False)]
Yaml = Annotated[bool, typer.Option("--yaml", help="Print YAML that `put` accepts.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


def show_record(options: Options, record_id: str, *, as_yaml: bool) -> None:
    """Print a record: as YAML that can be put again, as JSON, or as YAML with who wrote it."""
    item = require(options, record_id)
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


def require(options: Options, record_id: str) -> dict[str, object]:
    """The record. Raises Failure if there is none."""
    from podshare_cli.admin_tables import Registry

    item = Registry(options.connection).get(record_id)
    if item is None:
        kind = record_id.partition("#")[0]
        table = options.connection.registry_table
        raise Failure(f"No {record_id} in {table} ({options.connection.place}).", f"See `podshare {kind} list`.")
    return item


def put(options: Options, files: list[str], kind: str, *, yes: bool) -> None:
    """Write the records of a kind that files hold; who would lose access is shown and asked about first."""
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


def list_records(options: Options, kind: str, fields: tuple[str, ...]) -> None:
    """Print all records of a kind, with these fields and the teams that use each."""
    from rich.markup import escape
    from rich.table import Table

    from podshare_cli.admin_tables import Registry
    from podshare_cli.documents import name_of
    from podshare_cli.output import print_json, stdout
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
    stdout().print(table if rows else f"No {kind}s. Write one: podshare {kind} put FILE")


def _cell(value: object) -> str:
    """A field as a table shows it; the only one with parts is a tag."""
    if isinstance(value, Mapping):
        return f"{value.get('key')}={value.get('value')}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def delete(options: Options, record_id: str, users: list[str], what: str, *, yes: bool) -> None:
    """Delete a record; whoever is at a terminal is asked before teams lose something, anybody else must say --yes."""
    from podshare_cli import confirming
    from podshare_cli.admin_tables import Registry
    from podshare_cli.output import print_json, stderr

    losing = confirming.losses(options.connection, users, [{"id": record_id, "deleted": True}])
    if users and not yes:
        told = "\n".join([f"{what}: {', '.join(users)}.", *(line for one in losing for line in one.lines())])
        if not sys.stdin.isatty():
            raise invalid(told, "Not a terminal, so there is no prompt: add --yes to confirm.")
        if not typer.confirm(f"{told}\nDelete it?", err=True):
            raise Failure("Nothing was deleted.")
    confirming.approve(options.connection, losing)
    Registry(options.connection).delete(record_id)
    if options.as_json:
        print_json({"id": record_id, "result": "deleted", "reconciled": users})
    else:
        told = f"; reconciles {', '.join(users)}" if users else ""
        stderr().print(f"{record_id}: deleted{told}", soft_wrap=True, markup=False)
