"""``podshare cluster``, ``dataset`` and ``enrollment``: put, get, list and delete records of one kind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from podshare_cli.options import (
    Files,
    Options,
    Reason,
    Verbose,
    WaitForAll,
    Yaml,
    Yes,
    examples,
    group,
    takes_options,
)
from podshare_cli.records.known_names import completing, no_such

if TYPE_CHECKING:
    from rich.console import RenderableType

    from podshare_cli.plans.confirming import Losses


def _name(kind: str) -> Any:
    """The argument that names a record of a kind."""
    return typer.Argument(metavar="NAME", help="The record's name.", autocompletion=completing(kind))


def _group(
    kind: str, about: str, fields: tuple[str, ...], example: str, file: str, *, writes: str, lists: str
) -> typer.Typer:
    """The commands of a kind, but for deletion.

    ``fields`` are what a list shows; the help names the record ``example`` and the ``file``, and says what else a put
    ``writes`` and a list ``lists``.
    """
    app = group(about)
    a_kind = f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
    example_put = f"podshare {kind} put examples/registry/{file}"

    @app.command("put", help=f"Write {kind} records{writes}", epilog=examples(example_put))
    @takes_options
    def put(
        options: Options,
        files: Files,
        *,
        wait: WaitForAll = False,
        reason: Reason = "",
        yes: Yes = False,
        verbose: Verbose = False,
    ) -> None:
        from podshare_cli.plans import writing
        from podshare_cli.records.references import affected_teams, changed_items

        read = writing.read_to_write(options, files, [kind])
        changes, runs = writing.put(options, files, read, wait=wait, reason=reason, yes=yes, whole=verbose)
        records = []
        for change in changes:
            users = affected_teams(options.connection, changed_items([change]))
            records.append({**change.outcome, "reconciled": users})
            options.say(f"{change.record_id}: {change.result}{_reconciled_text(users)}")
        ended = runs.follow()
        options.show({"records": records, "teams": ended.as_dicts})
        ended.require()

    @app.command("get", help=f"Show {a_kind}'s record.", epilog=examples(f"podshare {kind} get {example} --yaml"))
    @takes_options
    def get(options: Options, name: Annotated[str, _name(kind)], as_yaml: Yaml = False) -> None:
        show_record(options, f"{kind}#{name}", as_yaml=as_yaml)

    @app.command("list", help=f"List the {kind}s, and {lists}.", epilog=examples(f"podshare {kind} list"))
    @takes_options
    def list_records(options: Options, verbose: Verbose = False) -> None:
        from podshare.registry.items import name_of
        from podshare_cli.aws.tables import Registry
        from podshare_cli.records.references import teams_by_record

        items = Registry(options.connection).all_of(kind)
        teams = teams_by_record(options.connection, [str(item["id"]) for item in items])
        rows = [
            {kind: name_of(item), **{name: item.get(name, "") for name in fields}, "teams": teams[str(item["id"])]}
            for item in items
        ]
        options.show(rows, lambda: _table(kind, fields, rows, whole=verbose))

    return app


cluster = _group(
    "cluster",
    "Clusters: the HyperPod clusters that teams share.",
    ("account", "region", "eks_cluster", "hyperpod_cluster"),
    "main",
    "cluster-main.yaml",
    writes="; the teams that use them are reconciled. If anybody would lose access, the command asks.",
    lists="the teams that use each",
)
dataset = _group(
    "dataset",
    "Datasets: buckets, or prefixes of buckets, that teams can be granted.",
    ("account", "region", "bucket", "prefix"),
    "imagenet",
    "datasets.yaml",
    writes="; the teams that use them are reconciled. If anybody would lose access, the command asks.",
    lists="the teams that use each",
)
enrollment = _group(
    "enrollment",
    "Enrollments: one team per account in an OU, or with a tag, for as long as the account matches.",
    ("organizational_unit", "account_tag", "exclude_accounts"),
    "science",
    "enrollment-science.yaml",
    writes=": each selected account gets a team, and loses it when it no longer matches.\n\n"
    "`podshare team plan FILE` shows beforehand what would change. If anybody would lose access, the command asks.",
    lists="the teams that each creates",
)


@cluster.command("delete", epilog=examples("podshare cluster delete main"))
@takes_options
def delete_cluster(
    options: Options,
    name: Annotated[str, _name("cluster")],
    reason: Reason = "",
    yes: Yes = False,  # noqa: ARG001  # as every delete has it; nobody loses access by this one
) -> None:
    """Delete a cluster's record; refused while a team or an enrollment names it. There is no prompt."""
    from podshare_cli.records.changes import deleting
    from podshare_cli.records.references import refuse_used_clusters

    record = require(options, f"cluster#{name}")
    refuse_used_clusters(options.connection, [deleting(record)])
    _delete(options, _Deletion(record), reason)


@dataset.command("delete", epilog=examples("podshare dataset delete drafts", "podshare dataset delete drafts --yes"))
@takes_options
def delete_dataset(
    options: Options,
    name: Annotated[str, _name("dataset")],
    *,
    wait: WaitForAll = False,
    reason: Reason = "",
    yes: Yes = False,
    verbose: Verbose = False,
) -> None:
    """Delete a dataset's record: every team's access to it is revoked."""
    losing = _confirmed(options, f"dataset#{name}", f"These teams lose dataset {name}", yes=yes, verbose=verbose)
    _delete(options, losing, reason, wait=wait)


@enrollment.command(
    "delete", epilog=examples("podshare enrollment delete science", "podshare enrollment delete science --yes")
)
@takes_options
def delete_enrollment(
    options: Options,
    name: Annotated[str, _name("enrollment")],
    *,
    wait: WaitForAll = False,
    reason: Reason = "",
    yes: Yes = False,
    verbose: Verbose = False,
) -> None:
    """Delete an enrollment's record: every team that it created is deleted, with all of its access."""
    consequence = f"These teams are deleted with enrollment {name}"
    losing = _confirmed(options, f"enrollment#{name}", consequence, yes=yes, verbose=verbose)
    _delete(options, losing, reason, wait=wait)


@dataclass(frozen=True)
class _Deletion:
    """A record to delete, the teams that use it, and what they lose."""

    record: dict[str, Any]
    users: Sequence[str] = ()
    losses: "Sequence[Losses]" = ()


def _confirmed(options: Options, record_id: str, consequence: str, *, yes: bool, verbose: bool) -> _Deletion:
    from podshare_cli.plans import confirming
    from podshare_cli.records.references import teams_using

    record = require(options, record_id)
    users = teams_using(options.connection, record_id)
    losing = confirming.losses_counted(options, users, [{"id": record_id, "deleted": True}])
    if users and not yes:
        lost = (line for losses in losing for line in losses.lines(whole=verbose))
        confirming.ask("\n".join([f"{consequence}: {', '.join(users)}.", *lost]), "Delete it?", "Nothing was deleted.")
    return _Deletion(record, users, losing)


def _delete(options: Options, deletion: _Deletion, reason: str, *, wait: bool = False) -> None:
    from podshare_cli.plans import confirming
    from podshare_cli.progress.following import Runs
    from podshare_cli.records import provenance
    from podshare_cli.records.changes import deleting
    from podshare_cli.records.writes import write

    record_id, users = deletion.record["id"], [*deletion.users]
    approvals = confirming.approvals(options.connection, deletion.losses, reason)
    runs = Runs(options, {team: [record_id] for team in users if wait})
    write(options.connection, [*approvals, deleting(deletion.record)], provenance.of_files(reason=reason))
    options.say(f"{record_id}: deleted{_reconciled_text(users)}")
    ended = runs.follow()
    options.show({"id": record_id, "result": "deleted", "reconciled": users, "teams": ended.as_dicts})
    ended.require()


# ---- what the commands share, with those of teams too ----------------------------------------------------------


def show_record(options: Options, record_id: str, *, as_yaml: bool) -> None:
    """Print a record: as YAML that can be put again, as JSON, or as YAML with who wrote it."""
    item = require(options, record_id)
    print_record(options, item, "" if as_yaml else signature_text(item))


def signature_text(item: Mapping[str, Any]) -> str:
    """Who wrote a record last, and why, as they declared it; empty where nobody ever did."""
    from podshare.registry.declared import declaration_of
    from podshare_cli.words import BY_NOBODY_KNOWN

    declared = declaration_of(item)
    written = " ".join(f"{name} {declared[name]}" for name in ("by", "at") if name in declared)
    details = [f"{name} {declared[name]}" for name in ("version", "author", "commit") if name in declared]
    reason = [f"reason: {declared['reason']}"] if "reason" in declared else []
    if not written:
        return f"last changed by {BY_NOBODY_KNOWN}" if item.get("change") else ""
    return ", ".join([f"last written {written}", *details, *reason])


def print_record(options: Options, item: Mapping[str, object], remark: str) -> None:
    """Print a record as JSON, or as YAML with a remark behind it."""
    from rich.text import Text

    from podshare_cli.output import print_lines, stdout
    from podshare_cli.records.documents import to_yaml

    options.show(item)
    if options.as_json:
        return
    console = stdout()
    console.out(to_yaml(item), end="", highlight=False)
    if remark:
        print_lines(console, [Text(f"# {remark}", style="dim")])


def require(options: Options, record_id: str) -> dict[str, Any]:
    """The record. Raises Failure if there is none."""
    from podshare_cli.aws.tables import Registry

    item = Registry(options.connection).get(record_id)
    if item is None:
        kind, _, name = record_id.partition("#")
        raise no_such(options, kind, name)
    return item


def _reconciled_text(teams: list[str]) -> str:
    return f"; reconciles {', '.join(teams)}" if teams else ""


def _table(
    kind: str, fields: tuple[str, ...], rows: list[dict[str, object]], *, whole: bool = False
) -> "RenderableType":
    from rich.markup import escape

    from podshare_cli.output import ListTable

    if not rows:
        return f"No {kind}s. Write one: podshare {kind} put FILE"
    names = (*fields, "teams")
    headers = [name.replace("_", " ") for name in names]
    table = ListTable(kind, *headers, expendable=() if whole else headers[:-1])
    for row in rows:
        table.add_row(f"[bold]{escape(str(row[kind]))}[/]", *(escape(_cell(row[name])) for name in names))
    return table


def _cell(value: object) -> str:
    """A field as a table shows it; the only one with parts is a tag."""
    if isinstance(value, Mapping):
        return f"{value.get('key')}={value.get('value')}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
