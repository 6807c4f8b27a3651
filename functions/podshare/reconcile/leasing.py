"""Whether an execution may act for its team now."""

from typing import Any

from podshare.aws.lease import AsksFor, Hold, TeamLeases
from podshare.aws.rows import LEASES, STATUSES, Item
from podshare.aws.settings import Settings
from podshare.aws.tables import Registry, State
from podshare.registry.items import PAUSE_ID


def lease(settings: Settings, team: str, execution: str, *, asks_for: AsksFor, waited: bool = False) -> dict[str, Any]:
    """Take the team's lease; ``waited``: after a wait of this execution's, in which others may have run.

    ``held`` with its numbers; ``left`` to a holder that runs and will start over or check again; ``busy`` with seconds
    to wait for a holder that has ended; ``paused`` with the reason, in which case the end of the pause starts the team
    again.
    """
    is_new = False
    if asks_for != "nothing new":
        state, places = State(settings.state), TeamLeases.places(team)
        rows, written = state.get_with_records(places, Registry(settings.registry), [PAUSE_ID])
        if PAUSE_ID in written and (pause := _pause(settings, team, execution)):
            return {"status": "paused", "reason": str(pause.get("reason", "")), "by": str(pause.get("owner", ""))}
        is_new = not rows
    if waited and (other := _taken_over_by(settings, team, execution)):
        return {"status": "left", "holder": other}
    leases = TeamLeases(State(settings.state), settings.function_timeout)
    held = leases.acquire(team, execution, asks_for=asks_for, is_new=is_new)
    if isinstance(held, Hold):
        return {"status": "held", "fence": held.fence, "generation": held.generation}
    if held.wait_seconds is None:
        return {"status": "left", "holder": held.holder}
    return {"status": "busy", "holder": held.holder, "wait_seconds": held.wait_seconds}


def _taken_over_by(settings: Settings, team: str, execution: str) -> str | None:
    """The execution that ran while this one waited, if one did: it waits now, if anything is still waited for."""
    state = State(settings.state)
    last = str((state.get(STATUSES, f"team#{team}") or {}).get("execution", ""))
    holder = str((state.get(LEASES, f"team#{team}") or {}).get("holder", ""))
    return last if last and execution not in (last, holder) else None


def _pause(settings: Settings, team: str, execution: str) -> Item | None:
    """The record that pauses podshare, after writing down that this team waits for its end.

    It is read again after that: a pause that ended in between may have missed the team.
    """
    State(settings.state).put(PAUSE_ID, f"waiting#{team}", team=team, requested_by=execution)
    return Registry(settings.registry).get([PAUSE_ID]).get(PAUSE_ID)
