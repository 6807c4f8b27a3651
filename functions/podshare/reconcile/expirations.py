"""What of a team ends: a schedule lets it be reconciled at that moment, and an event says so some days before."""

import datetime
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from podshare.aws.errors import code_of
from podshare.aws.rows import Item
from podshare.aws.sessions import hub_client
from podshare.aws.settings import Settings
from podshare.aws.tables import State
from podshare.kinds import names
from podshare.kinds.observation import Blocker
from podshare.reconcile.announcing import entry_of, untold
from podshare.reconcile.notices import ends_soon_notice
from podshare.reconcile.team_records import TeamRecords
from podshare.registry import expiry
from podshare.registry.expiry import Expiration

_CLOCKS_DIFFER = datetime.timedelta(minutes=1)  # at most: Scheduler's and a function's
_REMEDY = (
    "Let podshare-plan-team create, update and delete schedules; the next reconciliation tries again. Until then what "
    "ends is revoked by the team's next run, the nightly sweep's at the latest."
)
_CHANGING = "changing"  # in place of the moment for which the schedule is made


def keep_expirations(
    settings: Settings, state: State, records: TeamRecords
) -> tuple[frozenset[Expiration], tuple[Blocker, ...]]:
    """Schedule the team's next moment, and announce what ends soon.

    Returns the terms that were known before, and a blocker, which covers nothing, if the schedule cannot be kept: no
    revocation waits for Scheduler or for the event bus, and the next plan tries again.
    Scheduler's clock and ours are not the same: one that has fired shortly before its moment is made again. The row
    says that the schedule changes before it does: if this plan is superseded, the next one makes it as it should be.
    """
    part = (f"team#{records.name}", "terms")
    row = state.get(*part) or {}
    known = _known(row)
    expirations = expiry.expirations(records.team) if records.team else ()
    if not expirations and not row:
        return known, ()
    moment = expiry.next_moment(records.team, records.as_of) if records.team else None
    blockers = _keep_schedule(settings, state, records, row, moment)
    soon = expiry.ending(records.team, records.as_of) if records.team else ()
    announced = {*row.get("announced", ())}
    news = [expiration for expiration in soon if str(expiration) not in announced]
    if news:
        state.check()
        entries = {str(each): entry_of(ends_soon_notice(records.name, each.what, each.at)) for each in news}
        left = untold(entries.values())
        announced |= {text for text, entry in entries.items() if entry not in left}
    if expirations or blockers:
        kept = {
            "terms": [_plain(expiration) for expiration in expirations],
            "announced": [str(expiration) for expiration in soon if str(expiration) in announced],
            "scheduled": _CHANGING if blockers else moment.isoformat() if moment else "",
        }
        if {name: row.get(name) for name in kept} != kept:
            state.later(state.putting(*part, **kept))
    else:
        state.later(state.deleting(*part))
    return known, blockers


def _keep_schedule(
    settings: Settings, state: State, records: TeamRecords, row: Item, moment: datetime.datetime | None
) -> tuple[Blocker, ...]:
    """Change the schedule where it is not for ``moment``; a blocker if Scheduler refuses, whatever it says."""
    scheduled, team = str(row.get("scheduled", "")), records.name
    change: Callable[[], object]
    if moment and scheduled != moment.isoformat():
        _mark_changing(state, row)
        change = partial(_schedule, settings, team, moment)
    elif moment and moment - records.as_of <= _CLOCKS_DIFFER:
        state.check()
        change = partial(_create_schedule, _schedule_of(settings, team, moment, moment + _CLOCKS_DIFFER))
    elif scheduled and not moment:
        _mark_changing(state, row)
        change = partial(_unschedule, settings, team)
    else:
        return ()
    try:
        change()
    except (ClientError, BotoCoreError) as error:
        problem = f"the schedule for what ends next in team {team} cannot be kept: {error}"
        return (Blocker(problem, _REMEDY, only=f"schedule of {team}"),)
    return ()


def _known(row: Item) -> frozenset[Expiration]:
    return frozenset(
        Expiration(datetime.datetime.fromisoformat(str(known_row["ends"])), str(known_row["what"]))
        for known_row in row.get("terms", ())
    )


def _plain(expiration: Expiration) -> Mapping[str, str]:
    return {"what": expiration.what, "ends": expiration.at}


def _mark_changing(state: State, row: Item) -> None:
    """Write down that the schedule is not known, unless nothing is known of it anyway."""
    if row:
        fields = {name: value for name, value in row.items() if name not in ("id", "part")}
        state.put(row["id"], row["part"], **{**fields, "scheduled": _CHANGING})
    else:
        state.check()


def _schedule(settings: Settings, team: str, moment: datetime.datetime) -> None:
    """Let the team be reconciled at ``moment``; Scheduler may take a minute longer (its guide, "Schedule types")."""
    schedule = _schedule_of(settings, team, moment, moment)
    if not _create_schedule(schedule):
        hub_client("scheduler").update_schedule(**schedule)


def _create_schedule(schedule: Any) -> bool:
    """Make a schedule unless there is one of its name; whether there was none."""
    try:
        hub_client("scheduler").create_schedule(**schedule)
    except ClientError as error:
        if code_of(error) != "ConflictException":
            raise
        return False
    return True


def _schedule_of(settings: Settings, team: str, moment: datetime.datetime, at: datetime.datetime) -> dict[str, Any]:
    """What lets the team be reconciled ``at`` a time because of what ends, or is announced, at ``moment``."""
    trigger = {"event": "schedule", "record": f"team#{team}", "change": "", "by": ""}
    trigger |= {"at": moment.isoformat(), "id": f"ends/{moment.isoformat()}"}
    return {
        "Name": names.schedule(settings.installation, team),
        "ScheduleExpression": f"at({at:%Y-%m-%dT%H:%M:%S})",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "ActionAfterCompletion": "DELETE",
        "Target": {
            "Arn": settings.machine,
            "RoleArn": settings.installation.schedule_role_arn,
            "Input": json.dumps({"team": team, "trigger": trigger}),
        },
    }


def _unschedule(settings: Settings, team: str) -> None:
    try:
        hub_client("scheduler").delete_schedule(Name=names.schedule(settings.installation, team))
    except ClientError as error:
        if code_of(error) != "ResourceNotFoundException":
            raise
