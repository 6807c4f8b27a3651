"""``podshare doctor``: all checks in turn, as a table or as JSON."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from podshare.registry.sentences import counted
from podshare_cli.failures import Failure
from podshare_cli.json_option import Commands
from podshare_cli.options import AssumeRole, Options, ProfileOf, examples, takes_options
from podshare_cli.records.known_names import completing

if TYPE_CHECKING:
    from rich.console import RenderableType

    from podshare_cli.aws.accounts import Accounts
    from podshare_cli.aws.connection import Connection
    from podshare_cli.commands.doctor.findings import Finding
    from podshare_cli.commands.doctor.members import Part

app = Commands()

_SIGNS = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "problem": "[bold red]✗[/]", "unknown": "[dim]?[/]"}


@app.command(
    "doctor",
    epilog=examples(
        "podshare doctor",
        "podshare doctor --assume-role ReadOnly --all",
        "podshare doctor --profile-of 999999999999=management --profile-of 333333333333=data",
        "podshare doctor --assume-role ReadOnly --jq '.[] | select(.status == \"problem\")'",
    ),
)
@takes_options
def doctor(
    options: Options,
    assume_role: AssumeRole = None,
    profile_of: ProfileOf = None,
    account: Annotated[
        list[str] | None,
        typer.Option(
            "--account",
            metavar="ID",
            help="Check only these member accounts; may be repeated.",
            autocompletion=completing("account"),
        ),
    ] = None,
    all_findings: Annotated[bool, typer.Option("--all", help="Show findings that are ok, too.")] = False,
) -> None:
    """Check an environment and every account that takes part, before and after a deployment. Nothing is changed.

    It checks the organization (features, trusted access, trail), the hub (tables, state machines, runtime,
    concurrency, event buses, alarms and their subscribers, the last sweep, denials by policies), each cluster of the
    registry (HyperPod and EKS status, authentication mode, Kubernetes version, endpoint, add-ons, access policies,
    quotas), and each account (member stack's version and parameters, quotas, trails). Each finding says what to run.

    In the hub's account it uses your credentials, in others --assume-role or --profile-of; read permissions such as
    AWS's ReadOnlyAccess suffice. What you may not read is `unknown`. The exit code is 1 if there is a
    problem; warnings and unknown findings leave it 0.
    """
    from podshare_cli.aws.accounts import Accounts, profiles
    from podshare_cli.commands.doctor.findings import Status

    accounts = Accounts(options.connection, assume_role, profiles(profile_of or []))
    results = list(_with_status(_findings(accounts, set(account or ())), quiet=options.is_silent))
    shown = [finding for finding in results if all_findings or finding.status is not Status.OK]
    options.show([finding.as_dict() for finding in results], lambda: _drawn(shown, results))
    problems = [finding for finding in results if finding.status is Status.PROBLEM]
    if problems:
        many, first = counted(len(problems), "problem"), f"{problems[0].where}: {problems[0].what}"
        raise Failure(
            f"{many}, the first: {first}",
            "Run the command in each finding, then run doctor again.",
        )


def _findings(accounts: "Accounts", only: Collection[str]) -> Iterator["Finding"]:
    from podshare.resource_tags import parse
    from podshare_cli.commands.doctor import hub, organization

    connection = accounts.connection
    environment: dict[str, str] | None = {}  # whoever may not read it sees what else there is

    def deployment() -> Iterator["Finding"]:
        nonlocal environment
        environment = hub.environment(connection)
        yield from hub.absent(connection) if environment is None else ()

    yield from hub.PLACE.made("deployment", deployment)
    yield from () if environment is None else hub.findings(connection)
    yield from organization.findings(accounts, environment or {})
    if environment is not None:
        keys = parse(environment.get("PODSHARE_RESOURCE_TAGS", ""))
        yield from hub.PLACE.made("registry", lambda: _of_records(accounts, keys, only))


def _of_records(accounts: "Accounts", tag_keys: Collection[str], only: Collection[str]) -> Iterator["Finding"]:
    """The checks of the registry's records, and of the clusters and accounts that those that are valid name."""
    from podshare.registry.items import kind_of, name_of
    from podshare.registry.parsing import problems_of
    from podshare_cli.aws.tables import Registry
    from podshare_cli.commands.doctor import clusters, hub, members

    valid: dict[str, list[dict[str, Any]]] = {"cluster": [], "dataset": [], "team": []}
    for record in Registry(accounts.connection).all_of(*valid):
        if problems := problems_of(record):
            yield hub.PLACE.warning("records", str(problems[0]), f"podshare {kind_of(record)} get {name_of(record)}")
        else:
            valid[kind_of(record)].append(record)
    for record in valid["cluster"]:
        yield from clusters.findings(accounts, record)
    for part in _parts(accounts.connection, valid, tag_keys).values():
        if not only or part.account in only:
            yield from members.findings(accounts, part)


def _parts(
    connection: "Connection", records: Mapping[str, list[dict[str, Any]]], tag_keys: Collection[str]
) -> dict[str, "Part"]:
    """The accounts that records name, and those that podshare has something in for members that were selected."""
    from podshare_cli.aws.tables import State
    from podshare_cli.commands.doctor.members import parts

    named = [str(member["account"]) for team in records["team"] for member in team["members"] if "account" in member]
    used = [account for account, _ in State(connection).uses()]
    others = {str(record["account"]) for kind in ("cluster", "dataset") for record in records[kind]}
    members = sorted({*named, *(account for account in used if account not in others)})
    parts_by_account = parts(records["cluster"], records["dataset"], members, connection.installation)
    for part in parts_by_account.values():
        part.needs["ResourceTagKeys"] = set(tag_keys)
    return parts_by_account


def _with_status(findings: Iterable["Finding"], *, quiet: bool) -> Iterator["Finding"]:
    """The findings as they come; stderr shows meanwhile what is checked."""
    from podshare_cli.output import stderr

    if quiet:
        yield from findings
        return
    with stderr().status("Checking the hub") as status:
        for finding in findings:
            status.update(f"Checking {finding.where}: {finding.check}")
            yield finding


def _drawn(shown: list["Finding"], results: list["Finding"]) -> "RenderableType":
    """A table of the findings to show, and how many of each status were found."""
    from collections import Counter

    from rich.console import Group
    from rich.markup import escape

    from podshare_cli.output import ListTable

    table = ListTable("", "where", "check", "finding", "run", expendable=("check",))
    for finding in shown:
        row = (finding.where, finding.check, finding.what, finding.run)
        table.add_row(_SIGNS[finding.status], *(escape(cell) for cell in row))
    counts = Counter(str(finding.status) for finding in results)
    summary = ", ".join(f"{counts[name]} {name}" for name in ("problem", "warning", "unknown", "ok"))
    return Group(table, summary) if shown else summary
