"""What of a team ends: a schedule lets it be reconciled at that moment, and an event says so some days before."""

import datetime
import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from podshare.aws.errors import code_of
from podshare.aws.rows import Item
from podshare.aws.sessions import hub_client
from podshare.aws.settings import Settings
from podshare.aws.tables import State
from podshare.kinds import names
from podshare.reconcile.announcing import announce
from podshare.reconcile.notices import ends_soon_notice
from podshare.reconcile.team_records import TeamRecords
from podshare.registry import expiry
from podshare.registry.expiry import Expiration

_CLOCKS_DIFFER = datetime.timedelta(minutes=1)  # at most: Scheduler's and a function's
_CHANGING = "changing"  # in place of the moment for which the schedule is made


def keep_expirations(settings: Settings, state: State, records: TeamRecords) -> frozenset[Expiration]:
    """Schedule the team's next moment, and announce what ends soon; returns the terms that were known before.

    Scheduler's clock and ours are not the same: one that has fired shortly before its moment is made again. The row
    says that the schedule changes before it does: if this plan is superseded, the next one makes it as it should be.
    """
    part = (f"team#{records.name}", "terms")
    row = state.get(*part) or {}
    known = _known(row)
    expirations = expiry.expirations(records.team) if records.team else ()
    if not expirations and not row:
        return known
    moment = expiry.next_moment(records.team, records.as_of) if records.team else None
    scheduled = str(row.get("scheduled", ""))
    if moment and scheduled != moment.isoformat():
        _mark_changing(state, row)
        _schedule(settings, records.name, moment)
    elif moment and moment - records.as_of <= _CLOCKS_DIFFER:
        state.check()
        _create_schedule(_schedule_of(settings, records.name, moment, moment + _CLOCKS_DIFFER))
    elif scheduled and not moment:
        _mark_changing(state, row)
        _unschedule(settings, records.name)
    soon = expiry.ending(records.team, records.as_of) if records.team else ()
    announced = frozenset(row.get("announced", ()))
    news = [expiration for expiration in soon if str(expiration) not in announced]
    if news:
        state.check()
        announce(ends_soon_notice(records.name, expiration.what, expiration.at) for expiration in news)
    if expirations:
        kept = {
            "terms": [_plain(expiration) for expiration in expirations],
            "announced": [str(expiration) for expiration in soon],
            "scheduled": moment.isoformat() if moment else "",
        }
        if {name: row.get(name) for name in kept} != kept:
            state.later(state.putting(*part, **kept))
    else:
        state.later(state.deleting(*part))
    return known


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
