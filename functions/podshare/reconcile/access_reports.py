"""The proofs of the teams, as the state table keeps them, and what somebody gave behind podshare's back.

Beside its proof a team's row holds what podshare ever granted and what is still there of it. So what a record no longer
asks for is not mistaken for what somebody else gave. A second row has its summary: it is what each run reads of
every other team, and a fifteenth of the first.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from podshare.access.access_points import described
from podshare.access.access_report import (
    LONGEST_TEXT,
    MOST_REPORTED,
    AccessReport,
    beyond,
    digest,
    packed,
    refusals,
    unpacked,
)
from podshare.access.data_doors import of_drift
from podshare.access.effective_access import Access, effective_access
from podshare.access.grants import as_dicts, grants_of
from podshare.aws.rows import Item
from podshare.kinds.base import Key, Resource
from podshare.kinds.context import Context
from podshare.kinds.observation import Observation, Unreadable
from podshare.reconcile.announcing import announce
from podshare.reconcile.door_readers import Found, keep_first_reading
from podshare.reconcile.notices import access_report_failed_notice
from podshare.reconcile.team_records import TeamRecords
from podshare.registry.lines import lines_of

ACCESS_REPORTS = "proof"  # the id of all teams' proofs, so that one query reads them and a role can be held to them
_SUMMARY = "outline#"  # and a team's name: where the summary of its report is
_NOT_LATER = "attribute_not_exists(read_at) OR read_at <= :read_at"


def watch(context: Context, desired: Mapping[Key, Resource], observed: Mapping[Key, Observation], read_at: str) -> None:
    """Write down what somebody gave behind podshare's back, before the run revokes it, and what it is to grant.

    It is announced with the next proof, so that no revocation waits for an event to be accepted. Without a row nothing
    is known of what was granted, and nothing is found. What somebody gave by a statement of podshare's in a bucket's
    policy is a door for the proof, which would come too late for what the run takes back.
    """
    actual, wanted = _actual_and_desired_access(context, desired, observed)
    existing = (observation for observation in observed.values() if isinstance(observation, Resource))
    in_statements = of_drift(existing, context.installation)
    row = context.state.get(ACCESS_REPORTS, _part(context.team))
    known = _granted(row) if row else frozenset({*actual, *wanted})
    changed: dict[str, Any] = {}
    if row is None or beyond(wanted, known):
        changed["granted"] = _packed({*known, *wanted})
    if drift := _text(beyond((*actual, *in_statements), {*known, *wanted})):
        news = {"found": drift[:MOST_REPORTED], "at": read_at, "announced": False}
        changed["widened"] = news
    if changed:
        expression = f"SET {', '.join(f'{name} = :{name}' for name in changed)}"
        context.state.later(context.state.updating(ACCESS_REPORTS, _part(context.team), expression, None, **changed))


def keep_access_report(  # noqa: PLR0917  # what was verified, and of what
    context: Context,
    records: TeamRecords,
    desired: Mapping[Key, Resource],
    observed: Mapping[Key, Observation],
    verification: Mapping[str, Any],
    read_doors: Found,
) -> dict[str, Any]:
    """Keep the proof of what was just read; returns the verification with the proof's summary.

    Announces what podshare never granted, whether it is still there or not. What was granted and is still to be taken
    away makes the proof fail, and is no news. Raises Retryable if the event is not taken.
    """
    actual, wanted = _actual_and_desired_access(context, desired, observed)
    row = context.state.get(ACCESS_REPORTS, _part(context.team)) or {}
    unexpected_access = beyond(actual, wanted)
    keep_first_reading(context, read_doors.spanning, read_doors.at_first)
    doors = read_doors.unexpected
    entered = frozenset(door.access for door in doors)
    report = AccessReport(
        team=context.team,
        read_at=str(verification["at"]),
        access=tuple(sorted({*actual, *entered})),
        unexpected_access=unexpected_access | entered,
        doors=tuple(read_doors.reported),
        not_checked=read_doors.not_checked,
        violations=tuple(verification["violations"]),
        unread=tuple(f"{key}: {item.reason}" for key, item in observed.items() if isinstance(item, Unreadable)),
        refusals=refusals(
            {*actual, *entered},
            unexpected_access | entered,
            _others(context, in_full=bool(unexpected_access | entered)),
        ),
    )
    never_granted = beyond(unexpected_access, _granted(row))
    going = {key for item in unexpected_access - never_granted for key in item.by}
    points = described(
        context.installation, (observation for observation in observed.values() if isinstance(observation, Resource))
    )
    drift = _announced(
        context, row, report, never_granted, ({str(key) for key in desired} - going) | {door.key for door in doors}
    )
    lines = _lines(context, records, desired, report)
    kept = {"grants": packed(lines), "access_points": points, "widened": drift or {}}
    _keep(context, report, {*wanted, *(set(actual) - never_granted)}, kept)
    summary = {**report.summary(), "grants": digest(lines)}
    return {**verification, "verified": verification["verified"] and report.holds, "proof": summary}


def _lines(
    context: Context, records: TeamRecords, desired: Mapping[Key, Resource], report: AccessReport
) -> dict[str, Any]:
    """Which lines of the team's record give each access of a report, in its order, and the versions of the records.

    Of a team that an enrollment makes they are the enrollment's own.
    """
    team = records.in_force
    whys = {str(key): resource.why for key, resource in desired.items()}
    lines = lines_of(team.model_dump(mode="json", by_alias=True)) if team else ()
    arn_of = context.installation.bucket_arn
    places = {name: (arn_of(dataset.bucket), dataset.prefix) for name, dataset in records.datasets.items()}
    granting = [grants_of(access, whys, lines, records.members, places) for access in report.access]
    if records.selected_by:
        granting = [tuple(line.in_enrollment(records.selected_by) for line in given_by) for given_by in granting]
    grants = [as_dicts(records.grants_by, given_by) for given_by in granting]
    return {"grants": grants, "records": [*records.versions]}


def _others(context: Context, *, in_full: bool) -> dict[str, Mapping[str, Any]]:
    """The proofs of all other teams that have anything, as they were worked out last; the summary, where it will do."""
    rows = (row for row in context.state.query(ACCESS_REPORTS, _SUMMARY) if row["part"] != _SUMMARY + context.team)
    summaries = [summary for row in rows if (summary := unpacked(str(row["document"])))["anything"]]
    needed = [_part(summary["team"]) for summary in summaries if in_full or summary["excess"]]
    documents = (unpacked(str(row["document"])) for row in context.state.get_parts(ACCESS_REPORTS, needed))
    return {document["team"]: document for document in (*summaries, *documents)}


def _announced(
    context: Context, row: Item, report: AccessReport, never_granted: Collection[Access], staying: Collection[str]
) -> Mapping[str, Any] | None:
    """What was found last that nobody granted, once it is announced; None if nothing ever was.

    Of the rules that are broken those count that resources break which are ``staying`` as they are.
    """
    last: Mapping[str, Any] | None = row.get("widened") or None
    before = [] if last is None or last["announced"] else [*last["found"]]
    # what is no longer wanted, or gives what it is to give no longer, may break a rule until that is gone
    broken = [
        f"{violation['rule']}: {violation['found']}" for violation in report.violations if violation["key"] in staying
    ]
    current = [*_text(never_granted), *broken]
    announced = [*dict.fromkeys([*before, *current])]
    if not announced:
        return last
    reported = announced[:MOST_REPORTED]
    news = {"found": reported, "at": report.read_at, "taken_away": not current}
    context.state.check()
    announce([access_report_failed_notice(context.team, reported, report.read_at, taken_away=not current)])
    return {**news, "announced": True}


def _text(accesses: Iterable[Access]) -> list[str]:
    return [str(access)[:LONGEST_TEXT] for access in sorted(accesses)]


def _actual_and_desired_access(
    context: Context, desired: Mapping[Key, Resource], observed: Mapping[Key, Observation]
) -> tuple[tuple[Access, ...], tuple[Access, ...]]:
    existing = [resource for resource in observed.values() if isinstance(resource, Resource)]
    keys = {*desired, *(resource.key for resource in existing)}
    return effective_access(existing, keys, context.installation), effective_access(
        [*desired.values()], keys, context.installation
    )


def _part(team: str) -> str:
    return f"team#{team}"


def _granted(row: Mapping[str, Any]) -> frozenset[Access]:
    return (
        frozenset(Access.of_dict(access) for access in unpacked(str(row["granted"])))
        if "granted" in row
        else frozenset()
    )


def _packed(accesses: Iterable[Access]) -> str:
    return packed([access.as_dict() for access in sorted(accesses)])


def _keep(context: Context, report: AccessReport, granted: Iterable[Access], kept: Mapping[str, Any]) -> None:
    """Keep a report and its summary, unless a later reading was kept: a function may outlive its execution."""
    report_row = context.state.updating(
        ACCESS_REPORTS,
        _part(context.team),
        "SET document = :document, granted = :granted, widened = :widened, read_at = :read_at, "
        "grants = :grants, access_points = :access_points",
        _NOT_LATER,
        document=packed(report.as_dict()),
        granted=_packed(granted),
        read_at=report.read_at,
        **kept,
    )
    summary_row = context.state.updating(
        ACCESS_REPORTS,
        _SUMMARY + context.team,
        "SET document = :document, read_at = :read_at",
        _NOT_LATER,
        document=packed(report.summary_for_others()),
        read_at=report.read_at,
    )
    context.state.later(report_row)
    context.state.later(summary_row)
