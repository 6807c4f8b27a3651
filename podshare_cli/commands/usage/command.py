"""``podshare usage``: the hours of compute that were guaranteed in a month, what they cost, and what was used."""

import datetime
import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from podshare_cli.failures import Failure, exclusive, invalid
from podshare_cli.json_option import Commands
from podshare_cli.options import Options, PriceFile, ProfileOf, examples, takes_options
from podshare_cli.records.known_names import completing

if TYPE_CHECKING:
    from podshare_cli.history.aws_report import SummaryReport
    from podshare_cli.history.cluster_work import Reading
    from podshare_cli.history.objects import History
    from podshare_cli.history.quota_hours import Span

app = Commands()


Period = tuple[datetime.datetime, datetime.datetime]


class By(StrEnum):
    """Whose hours are added up."""

    TEAM = "team"
    ACCOUNT = "account"
    OWNER = "owner"
    MEMBER = "member"


@app.command(
    "usage",
    epilog=examples(
        "podshare usage",
        "podshare usage --month 2026-11 --by owner",
        "podshare usage --month 2026-11 --by account --csv > usage.csv",
        "podshare usage --month 2026-11 --used --prices prices.yaml",
        "podshare usage --month 2026-11 --used --by member",
        "podshare usage --jq '.rows[] | {team, instance_type, hours}'",
    ),
)
@takes_options
def usage(
    options: Options,
    *,
    month: Annotated[
        str, typer.Option("--month", metavar="YYYY-MM", help="The month, in UTC; default: the present one, up to now.")
    ] = "",
    by: Annotated[
        By,
        typer.Option(
            "--by", help="Whose hours: a team's, an owner's, (estimated) an account's, or with --used a member's."
        ),
    ] = By.TEAM,
    used: Annotated[
        bool, typer.Option("--used", help="Read the clusters too, and show what was used and borrowed (estimated).")
    ] = False,
    cluster: Annotated[
        list[str] | None,
        typer.Option(
            "--cluster",
            metavar="NAME",
            help="With --used: read only this cluster; may be repeated.",
            autocompletion=completing("cluster"),
        ),
    ] = None,
    profile_of: ProfileOf = None,
    report_file: Annotated[
        list[Path] | None,
        typer.Option(
            "--report",
            metavar="FILE",
            help="AWS's summary usage report of a cluster (CSV), for what was used there; may be repeated.",
        ),
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, and on stderr what is not counted.")] = False,
    prices: PriceFile = None,
) -> None:
    """Show the quota-hours that were guaranteed to each team in a month, and with --used what was used and borrowed.

    Guaranteed hours are exact, from the history of who had access: a quota is in force from the run that created or
    changed it to the run that changed or deleted it. An account's hours are an estimate: its equal share among the
    accounts that had access at the time.

    With --used, your own credentials, or those of --profile-of, read Kueue's workloads, pods and nodes of each
    cluster. Used hours are an estimate: what the cluster no longer has is not counted. The exit code is 1 if a
    cluster cannot be read. With --by member, the clusters' audit logs say who created the work. With --report, AWS's
    own usage report says what was used of a cluster.
    """
    from podshare_cli.aws.tables import State
    from podshare_cli.history.cluster_work import measure
    from podshare_cli.history.objects import History
    from podshare_cli.history.quota_hours import hours
    from podshare_cli.output import print_lines, stderr
    from podshare_cli.plans.prices import read_prices
    from podshare_cli.views import usage as usage_views

    exclusive(("--csv", as_csv), ("--json", options.as_json))
    if not used and (cluster or profile_of):
        raise invalid("--cluster and --profile-of are about what --used reads.", "Add --used.")
    if not used and by == By.MEMBER:
        raise invalid("--by member: quotas are guaranteed to teams, not to members.", "Add --used for what they used.")
    times = period(month, datetime.datetime.now(datetime.UTC))
    known_prices = read_prices(prices) if prices else {}
    reports = _reports(options, report_file or [])
    readings = _readings(options, cluster or [], profile_of or [], times if by == By.MEMBER else None) if used else []
    counted = read_spans(History(options.connection), *times)
    measured = None
    if used or reports:
        teams = {span.team for span in counted} | {*State(options.connection).statuses("team")}
        measured = measure(readings, teams, counted, times, by, reports=reports)
        counted = measured.spans
    guaranteed = {} if by == By.MEMBER else hours(counted, by)
    report = usage_views.report(guaranteed, counted, by, times, known_prices, measured=measured)
    if as_csv:
        typer.echo(usage_views.csv_text(report), nl=False)
        print_lines(stderr(), usage_views.remarks(report))
    else:
        options.show(report, lambda: usage_views.table(report))
    if problems := _problems(reading for reading in readings if reading.cluster not in reports):
        raise Failure(f"Not every cluster was read. {problems}", "Used hours there are not counted.")


def _reports(options: Options, files: Iterable[Path]) -> "dict[str, SummaryReport]":
    """AWS's usage reports in files, by the name of the cluster. Raises Failure (exit code 64) for anything else."""
    from podshare.registry.items import name_of
    from podshare_cli.aws.tables import Registry
    from podshare_cli.history.aws_report import ReportError, parsed

    reports: dict[str, SummaryReport] = {}
    for file in files:
        try:
            report = parsed(file.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError, ReportError) as error:
            raise invalid(f"--report {file}: {error}", "Write one: run.py --type summary --format csv.") from None
        records = Registry(options.connection).all_of("cluster")
        names = [name_of(item) for item in records if report.is_of(str(item.get("hyperpod_cluster")))]
        if len(names) != 1 or names[0] in reports:
            problem = f"--report {file} is of the HyperPod cluster {report.hyperpod_cluster}"
            raise invalid(
                f"{problem}: one report for each cluster that has a record is needed.", "podshare cluster list"
            )
        reports[names[0]] = report
    return reports


def _readings(
    options: Options, names: Sequence[str], profile_of: list[str], of_members: Period | None
) -> "list[Reading]":
    """What is read of the clusters, with their audit logs of a time where members are asked for.

    Raises Failure if no cluster can be read.
    """
    from podshare.registry.items import name_of
    from podshare_cli.aws.accounts import Accounts, profiles
    from podshare_cli.aws.tables import Registry
    from podshare_cli.commands.usage.audit_log import with_creations
    from podshare_cli.commands.usage.cluster_reading import read_clusters
    from podshare_cli.progress.live import counting

    accounts = Accounts(options.connection, None, profiles(profile_of))
    records = {name_of(item): item for item in Registry(options.connection).all_of("cluster")}
    if unknown := [name for name in names if name not in records]:
        raise invalid(f"There is no cluster {unknown[0]}.", "podshare cluster list shows them.")
    chosen = [record for name, record in sorted(records.items()) if not names or name in names]
    with counting(options, "clusters read") as count:
        readings = read_clusters(accounts, chosen, count)
    if readings and all(reading.problem for reading in readings):
        remedy = "You need eks:DescribeCluster and an access entry that reads workloads, pods and nodes: docs/usage.md."
        raise Failure(f"No cluster can be read. {_problems(readings)}", remedy)
    if of_members is None:
        return readings
    with counting(options, "days of an audit log read") as count:
        return [with_creations(accounts, records[reading.cluster], reading, of_members, count) for reading in readings]


def _problems(readings: "Iterable[Reading]") -> str:
    return " ".join(f"{reading.cluster}: {reading.problem}." for reading in readings if reading.problem)


def period(month: str, now: datetime.datetime) -> Period:
    """When a month begins and ends, or is now; an empty one is the present. Raises Failure (exit code 64) otherwise."""
    text = month or f"{now:%Y-%m}"
    match = re.fullmatch(r"([0-9]{4})-(0[1-9]|1[0-2])", text)
    if not match or match[1] == "0000":
        raise invalid(f"--month: {text} is no month.", "Write a month such as 2026-11.")
    since = datetime.datetime(int(match[1]), int(match[2]), 1, tzinfo=datetime.UTC)
    if since > now:
        raise invalid(f"--month: {text} is in the future.", "Write a month that has begun.")
    next_month = (since + datetime.timedelta(days=31)).replace(day=1)
    return since, min(next_month, now)


def read_spans(history: "History", since: datetime.datetime, until: datetime.datetime) -> "list[Span]":
    """What was in force of all teams in a time, by the history."""
    from podshare_cli.history.quota_hours import settles, spans

    @cache
    def versions_of(record: str) -> list[dict[str, Any]]:
        return [stored.document for stored in history.versions(record)]

    runs_by_team = history.runs_since(since, until, settles)
    return [
        span for team, runs in sorted(runs_by_team.items()) for span in spans(team, runs, versions_of, since, until)
    ]
