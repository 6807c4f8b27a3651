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


def keep_expirations(settings: Settings, state: State, records: TeamRecords) -> frozenset[Expiration]:
    """Schedule the team's next moment, and announce what ends soon; returns the terms that were known before.

    A schedule that has fired is made again if it is still needed: Scheduler's clock and ours are not the same.
    """
    part = (f"team#{records.name}", "terms")
    row = state.get(*part) or {}
    known = _known(row)
    expirations = expiry.expirations(records.team) if records.team else ()
    if not expirations and not row:
        return known
    moment = expiry.next_moment(records.team, records.as_of) if records.team else None
    scheduled = str(row.get("scheduled", ""))
    if moment and (scheduled != moment.isoformat() or moment <= records.as_of):
        state.check()
        _schedule(settings, records.name, moment)
    elif scheduled and not moment:
        state.check()
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


def _schedule(settings: Settings, team: str, moment: datetime.datetime) -> None:
    """Let the team be reconciled at ``moment``; Scheduler may take a minute longer (its guide, "Schedule types")."""
    trigger = {"event": "schedule", "record": f"team#{team}", "change": "", "by": ""}
    trigger |= {"at": moment.isoformat(), "id": f"ends/{moment.isoformat()}"}
    scheduler = hub_client("scheduler")
    schedule: Any = {
        "Name": names.schedule(settings.installation, team),
        "ScheduleExpression": f"at({moment:%Y-%m-%dT%H:%M:%S})",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "ActionAfterCompletion": "DELETE",
        "Target": {
            "Arn": settings.machine,
            "RoleArn": settings.installation.schedule_role_arn,
            "Input": json.dumps({"team": team, "trigger": trigger}),
        },
    }
    try:
        scheduler.create_schedule(**schedule)
    except ClientError as error:
        if code_of(error) != "ConflictException":
            raise
        scheduler.update_schedule(**schedule)


def _unschedule(settings: Settings, team: str) -> None:
    try:
        hub_client("scheduler").delete_schedule(Name=names.schedule(settings.installation, team))
    except ClientError as error:
        if code_of(error) != "ResourceNotFoundException":
            raise
