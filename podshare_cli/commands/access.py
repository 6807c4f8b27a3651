"""``podshare access``: who reaches what, by the proofs that podshare works out from what AWS and Kubernetes say."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from podshare.registry.sentences import counted
from podshare_cli.failures import Failure, invalid
from podshare_cli.options import Options, examples, group, takes_options
from podshare_cli.records.known_names import completing, likely_meant, names_of, no_such

if TYPE_CHECKING:
    from podshare_cli.access.reports import Known, Line, Place

app = group("Access: each team's effective access, as read back from AWS and Kubernetes by its last run.")


Team = Annotated[
    str, typer.Argument(metavar="TEAM", help="The team, such as vision.", autocompletion=completing("team"))
]


class Verb(StrEnum):
    """What somebody can do: with data, or (``use``) with a cluster."""

    LIST = "list"
    READ = "read"
    WRITE = "write"
    USE = "use"


@app.command(
    "who-can",
    epilog=examples(
        "podshare access who-can read dataset#imagenet",
        "podshare access who-can write s3://curated-images-333333333333/imagenet/train/",
        "podshare access who-can use cluster#main",
        "podshare access who-can read dataset#imagenet --jq '.access[].who' | sort -u",
    ),
)
@takes_options
def who_can(
    options: Options,
    verb: Annotated[Verb, typer.Argument(metavar="list|read|write|use")],
    place_name: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="dataset#NAME, s3://BUCKET/KEY or cluster#NAME.",
            autocompletion=completing("dataset", "cluster"),
        ),
    ],
) -> None:
    """Show who can list, read or write data, or use a cluster.

    A key or prefix that ends with a slash includes everything below it; principals with access to a part of it are
    listed with that part. The list includes people who can read only through a pod, because everybody who may create
    pods in a namespace may use its service accounts.
    """
    from podshare_cli.access import reports

    _refuse_other_forms(options, place_name, "cluster" if verb is Verb.USE else "dataset")
    if (verb is Verb.USE) != place_name.startswith("cluster#"):
        raise invalid(
            f"{verb} cannot be used with {place_name}.",
            "Use list, read and write with data, and use with cluster#NAME.",
        )
    place = _place(options, place_name)
    known = reports.read(options.connection)
    _show(options, known, reports.who_can(known, verb, place), f"Nobody can {verb} {place_name}.")


@app.command(
    "of",
    epilog=examples(
        "podshare access of 222222222222",
        "podshare access of arn:aws:iam::222222222222:role/LanguageResearcher",
        "podshare access of system:serviceaccount:hyperpod-ns-vision:trainer",
    ),
)
@takes_options
def of(
    options: Options,
    principal: Annotated[
        str,
        typer.Argument(
            metavar="PRINCIPAL",
            help="An account's id, an ARN, or a service account's user name.",
            autocompletion=completing("account"),
        ),
    ],
) -> None:
    """Show everything that an account's principals, a role, a user or a service account can reach.

    For one of podshare's own roles, it shows what everybody in that role can reach.
    """
    from podshare_cli.access import reports

    is_account = len(principal) == 12 and principal.isdigit()
    if not (is_account or principal.startswith(("arn:", "system:serviceaccount:"))):
        message = f"{principal} is no account, ARN or service account."
        raise invalid(message, "Such as 222222222222, or system:serviceaccount:hyperpod-ns-vision:trainer.")
    known = reports.read(options.connection)
    _show(options, known, reports.of(known, principal), f"{principal} reaches nothing by podshare.")


@app.command("matrix", epilog=examples("podshare access matrix", "podshare access matrix --json"))
@takes_options
def matrix(options: Options) -> None:
    """Show which team can do what in each cluster and with each dataset."""
    from podshare_cli.access import reports
    from podshare_cli.views import access as access_views

    known = reports.read(options.connection)
    rows = reports.matrix(known, reports.places(options.connection))
    options.show({**known.ages(), "teams": rows}, lambda: access_views.matrix(rows))
    _print_age(options, known)


@app.command(
    "proof", epilog=examples("podshare access proof vision", "podshare access proof vision --json > proof-vision.json")
)
@takes_options
def access_report(options: Options, team: Team) -> None:
    """Show a team's access report: its effective access, and any unexpected access.

    The report is from the team's last verification: after its last run, at the latest by the last sweep. It is compared
    with the latest reports of all other teams. `podshare team reconcile TEAM --wait` makes a new one. The exit code is
    1 if there is unexpected access.
    """
    from podshare_cli.access import reports
    from podshare_cli.views import access as access_views

    known = _read(options, team)
    report = known.access_reports[team]
    refusals = reports.refusals(known, team)
    shown = {**report.as_dict(), "latest_refusals": [refusal.as_dict() for refusal in refusals]}
    options.show(shown, lambda: access_views.access_report(report, refusals))
    if not report.document["holds"]:
        raise Failure(f"Team {team} has unexpected access.", "See docs/operations.md, Unexpected access.")


@app.command(
    "audit",
    epilog=examples(
        "podshare access audit",
        "podshare access audit vision",
        "podshare access audit --jq '.doors[] | select(.record == null)'",
    ),
)
@takes_options
def audit(
    options: Options,
    team: Annotated[
        str | None,
        typer.Argument(
            metavar="[TEAM]", help="The team, such as vision; default: all teams.", autocompletion=completing("team")
        ),
    ] = None,
) -> None:
    """Show every door into a team's namespace and data, who is behind it, and which record grants it.

    A door is anything that gives somebody access: access entries, role trusts, bindings, pod identity associations,
    access points and policies, whoever created them. They were read at the team's last verification: after its last
    run, at the latest by the last sweep. `podshare team reconcile TEAM --wait` reads them again. The exit code is 1 if
    no record grants a door, if doors could not be read, or if a team has no access report yet.
    """
    from podshare_cli.access import reports
    from podshare_cli.output import plain_lines, print_lines, stdout
    from podshare_cli.views import access as access_views

    known = _read(options, team)
    teams = [team] if team else sorted(known.access_reports)
    lines = reports.audit(known, teams)
    unread = [reason for name in teams for reason in reports.unread(known.access_reports[name])]
    unseen = [reason for name in teams for reason in reports.not_checked(known.access_reports[name])]
    remarks = {"unread": unread, "not_looked_at": unseen}
    options.show(
        {**known.ages(), "doors": [line.as_dict() for line in lines], **remarks},
        lambda: access_views.audit(lines) if lines else "No doors.",
    )
    if not options.as_json:
        for remark in (*(f"not read: {reason}" for reason in unread), *(f"not checked: {reason}" for reason in unseen)):
            print_lines(stdout(), plain_lines(remark))
    _print_age(options, known)
    if bad := [line for line in lines if not line.record]:
        command = bad[0].closed_by
        raise Failure(
            f"{len(bad)} of {len(lines)} doors are not granted by any record; the first: {bad[0].access}", command
        )
    if unread:
        raise Failure(f"Not all doors were read; the first: {unread[0]}", "podshare team reconcile TEAM --wait")
    if known.missing and not team:
        missing = counted(len(known.missing), "team")
        message = f"No doors were read of {missing} without an access report; the first: {known.missing[0]}"
        raise Failure(message, f"podshare team reconcile {known.missing[0]} --wait")


@app.command(
    "at",
    epilog=examples(
        "podshare access at 2026-11-01T12:00Z of 222222222222",
        "podshare access at 7d of team#vision",
        "podshare access at 2026-11-01 of dataset#imagenet --jq '.access[] | {who, grants}'",
    ),
)
@takes_options
def at(
    options: Options,
    moment: Annotated[
        str, typer.Argument(metavar="TIME", help="2026-11-01T12:00Z, 2026-11-01, now, or how long ago: 90m, 24h, 7d.")
    ],
    of: Annotated[str, typer.Argument(metavar="of")],
    subject: Annotated[
        str,
        typer.Argument(
            metavar="ACCOUNT|TEAM|DATASET",
            help="222222222222, vision, or dataset#imagenet.",
            autocompletion=completing("account", "team", "dataset"),
        ),
    ],
) -> None:
    """Show who could reach a team or a dataset at a moment, or what an account could, by which grant, by whom and why.

    It reads the history of who had access, and the present where that is newer. The access report of a team's last run
    before the moment answers; what may have been different in between is listed as uncertain. "granted by" is whoever
    wrote the line of the record, as the record declares.
    """
    from podshare_cli.history.answers import Past, subject_of
    from podshare_cli.history.moments import past_moment
    from podshare_cli.history.objects import History
    from podshare_cli.progress.live import waiting
    from podshare_cli.views import past as past_views

    if of != "of":
        raise invalid(f"{of} is not expected here.", f"Write podshare access at {moment} of {subject}.")
    then = past_moment(moment, "TIME")
    about = subject_of(options.connection, subject)
    with waiting(options, "reading the history"):
        answer = Past(History(options.connection)).access_at(then, about)
    options.show({"of": about.text, **answer.as_dict()}, lambda: past_views.access_at(answer, about))


@app.command(
    "changes",
    epilog=examples(
        "podshare access changes --since 7d",
        "podshare access changes --since 2026-10-01 --until 2026-11-01 --of 222222222222",
        "podshare access changes --since 24h --jq '.[] | select(.change == \"lost\")'",
    ),
)
@takes_options
def changes(
    options: Options,
    *,
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="From when: 2026-11-01, or 7d.")] = "7d",
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="Until when; default: now.")] = "now",
    subject: Annotated[
        str | None,
        typer.Option(
            "--of",
            metavar="ACCOUNT|TEAM|DATASET",
            help="Only of this account, team or dataset.",
            autocompletion=completing("account", "team", "dataset"),
        ),
    ] = None,
) -> None:
    """Show who gained and who lost which access, when, by which run, and what started it.

    It compares each access report of the history with the one before it.
    """
    from podshare_cli.history.answers import Past, subject_of
    from podshare_cli.history.moments import span
    from podshare_cli.history.objects import History
    from podshare_cli.progress.live import waiting
    from podshare_cli.views import past as past_views

    began, ended = span(since, until)
    about = subject_of(options.connection, subject) if subject else None
    with waiting(options, "reading the history"):
        past_changes = Past(History(options.connection)).changes(began, ended, about)
    options.show([change.as_dict() for change in past_changes], lambda: past_views.changes(past_changes))


@app.command(
    "probe",
    epilog=examples("podshare access probe vision", "podshare access probe vision --service-account trainer --json"),
)
@takes_options
def probe(
    options: Options,
    team: Team,
    service_account: Annotated[
        str | None, typer.Option("--service-account", metavar="NAME", help="Only this service account; default: all.")
    ] = None,
    image: Annotated[
        str, typer.Option("--image", metavar="IMAGE", help="An image of the AWS CLI that the cluster can pull.")
    ] = "public.ecr.aws/aws-cli/aws-cli:latest",
) -> None:
    """Test a team's access from real pods: granted data must be readable, everything else must be refused.

    For each service account with data access, a short-lived pod runs in the team's namespace and is deleted again;
    nothing is written. The team's access report says what must be allowed, all reports say what must be refused. Your
    credentials must belong to the cluster's account, and must be allowed to create, read and delete pods there. The
    exit code is 1 if any attempt has an unexpected result.
    """
    from podshare_cli.access import probing
    from podshare_cli.progress.live import counting
    from podshare_cli.views import access as access_views

    known = _read(options, team)
    names = probing.service_accounts(known, team)
    if service_account and service_account not in names:
        raise Failure(f"Service account {service_account} of team {team} has no data.", f"podshare access proof {team}")
    chosen = [service_account] if service_account else sorted(names)
    results, failures = [], {}
    with counting(options, "service accounts tried") as count:
        for number, name in enumerate(chosen):
            count(number, len(chosen))
            try:
                for result in probing.probe(options.connection, known, team, name, image):
                    results.append(result)  # which stay if a later pod fails
            except Failure as failure:
                failures[name] = failure
    options.show([result.as_dict() for result in results], lambda: access_views.probed(results))
    if failures:
        reasons = " ".join(f"{name}: {failure}" for name, failure in failures.items())
        raise Failure(f"Not every service account could be tried. {reasons}", next(iter(failures.values())).remedy)
    if bad := [result.check.what for result in results if not result.holds]:
        raise Failure(
            f"{len(bad)} of {len(results)} attempts had an unexpected result; the first: {bad[0]}",
            "See the table above.",
        )


def _refuse_other_forms(options: Options, place_name: str, kind: str) -> None:
    """Raises Failure for what is no place; ``kind`` is the kind of record that is likely meant."""
    if not place_name.startswith(("s3://", "dataset#", "cluster#")):
        meant = likely_meant(options.connection, place_name, kind)
        message = f"{place_name} is no dataset, cluster or S3 URL.{meant}"
        raise invalid(message, "Write dataset#NAME, cluster#NAME or s3://BUCKET/.")


def _place(options: Options, place_name: str) -> "Place":
    from podshare_cli.access import reports

    if place_name.startswith("s3://"):
        return reports.place_of_url(options.connection.installation, place_name)
    place = reports.places(options.connection).get(place_name)
    if place is None:
        kind, _, name = place_name.partition("#")
        raise no_such(options, kind, name)
    return place


def _read(options: Options, team: str | None) -> "Known":
    """All access reports. Raises Failure if there is none of ``team``."""
    from podshare_cli.access import reports

    known = reports.read(options.connection)
    if team is not None and team not in known.access_reports:
        if team not in names_of(options.connection, "team"):
            raise no_such(options, "team", team)
        raise Failure(f"Team {team} has no access report yet.", f"podshare team reconcile {team} --wait")
    return known


def _show(options: Options, known: "Known", lines: "list[Line]", nobody: str) -> None:
    from podshare_cli.views import access as access_views

    document = {**known.ages(), "access": [line.as_dict() for line in lines]}
    options.show(document, lambda: access_views.table(lines) if lines else nobody)
    _print_age(options, known)


def _print_age(options: Options, known: "Known") -> None:
    """Report to people how old the oldest of the facts are, and of which teams there are none."""
    from rich.text import Text

    from podshare_cli.output import ago, print_lines, stderr

    if options.is_silent:
        return
    ages, lines = known.ages(), list[Text]()
    if moments := sorted(ages["read_at"].values()):
        age = f"Read back from AWS and Kubernetes; oldest reading {ago(moments[0])}."
        lines.append(Text(age, style="dim"))
    unseen = "Organization control policies may deny access that is shown here; to try it: podshare access probe TEAM"
    lines.append(Text(unseen, style="dim"))
    if known.missing:
        lines.append(Text(f"No access report yet for: {', '.join(known.missing)}", style="yellow"))
    print_lines(stderr(), lines)
