"""What the page shows, as one JSON document: what podshare has read, SageMaker's quotas, and Kueue's use of them."""

import datetime
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from podshare.access.effective_access import account_of, in_bucket, in_cluster
from podshare.registry.items import kind_of, name_of, part, rows
from podshare_cli.access import reports
from podshare_cli.access.reports import Known, Line, Place
from podshare_cli.aws.tables import Item, Registry
from podshare_cli.history.confirmations import with_confirmations
from podshare_cli.progress.executions import Execution, Executions
from podshare_cli.views import account as account_views
from podshare_cli.views import team as team_views

_PLACES = ("cluster", "dataset")
MOST_RUNS = 60  # of all teams, the latest that changed something
_READ_RUNS = 300  # the latest, of which many may be retries that changed nothing


def read(
    executions: Executions, capacity: Iterable[Mapping[str, Any]], lending: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """Everything that the page shows; ``capacity`` are the reports of the clusters, ``lending`` what is lent there."""
    connection = executions.connection
    known, places = reports.read(connection), reports.places(connection)
    items = Registry(connection).all_of("team", "cluster", "dataset", "enrollment")
    latest = executions.latest_changes(_READ_RUNS)[:MOST_RUNS]
    read_at = {team: report.document["read_at"] for team, report in known.access_reports.items()}
    return {
        "generated": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "installation": {name: getattr(connection, name) for name in ("account", "region", "prefix")},
        "teams": [{**row, "read_at": read_at.get(row["team"])} for row in team_views.overview(connection)],
        "accounts": account_views.overview(connection),
        "places": [
            {"id": str(item["id"]), "account": item.get("account")} for item in items if kind_of(item) in _PLACES
        ],
        "access": [*_accesses(known, places)],
        "unexpected": [
            line.as_dict() for line in reports.audit(known, sorted(known.access_reports)) if not line.record
        ],
        "unread": [text for _, report in sorted(known.access_reports.items()) for text in reports.unread(report)],
        "capacity": [*capacity],
        "lending": [*lending],
        "runs": [_run(run) for run in with_confirmations(connection, latest)],
        "expirations": sorted(expirations(items), key=lambda expiration: str(expiration["at"])),
    }


def _accesses(known: Known, places: Mapping[str, Place]) -> Iterator[dict[str, Any]]:
    """Who of which account may do what in which place of the registry, one entry for each."""
    for team, report in sorted(known.access_reports.items()):
        for line in report.lines:
            if in_cluster(line.access) or in_bucket(line.access):
                yield from _in_places(team, line, places)


def _in_places(team: str, line: Line, places: Mapping[str, Place]) -> Iterator[dict[str, Any]]:
    access = line.access
    for name, place in places.items():
        if place.reached_by(access):
            yield {
                **{"team": team, "who": access.who, "account": account_of(access.who), "place": name},
                **{"may": [*access.may], "what": access.what, "granted": line.granted},
            }


def _run(run: Execution) -> dict[str, Any]:
    took = (run.stopped - run.started).total_seconds() if run.stopped else None
    revoked = run.made("cut", "narrow", "delete")
    return {
        **run.as_dict(),
        **{"team": run.team, "seconds": took, "revoked": revoked, "who": team_views.caller_text(run)},
    }


def expirations(items: Iterable[Item]) -> Iterator[dict[str, Any]]:
    """What ends by itself: teams, members and grants, of records and of enrollments, with the moment."""
    for item in items:
        if kind_of(item) in _PLACES:
            continue
        is_team = kind_of(item) == "team"
        team = name_of(item) if is_team else str(item["id"])
        for ending, at in _ends(item if is_team else part(item, "team")):
            if moment := _in_utc(at):
                yield {"team": team, "what": ending, "at": moment}


def _in_utc(moment: object) -> str:
    """A record's moment as all the page's are, so that they compare as text; empty for one that is none."""
    try:
        return datetime.datetime.fromisoformat(str(moment)).astimezone(datetime.UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError):
        return ""


def _ends(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What ends, and when, of a team's record or of an enrollment's template."""
    if at := content.get("expires"):
        yield "the whole team", at
    for member in rows(content.get("members")):
        if at := member.get("expires"):
            who = member.get("account") or member.get("organizational_unit") or "accounts with a tag"
            yield f"member {who}", at
    for account in rows(content.get("service_accounts")):
        for grant in rows(account.get("datasets")):
            if at := grant.get("expires"):
                yield f"{grant.get('access')} of {grant.get('dataset')} for {account.get('name')}", at
    for grant in rows(content.get("file_systems")):
        if at := grant.get("expires"):
            yield f"{grant.get('access')} of {grant.get('dataset')} by {grant.get('file_system')}", at
