"""What people are alarmed by, in figures: leases that are held for long, accounts that cannot be worked in, doors."""

import datetime
from collections.abc import Mapping
from typing import Any

from podshare.access.doors import RULE
from podshare.aws.rows import LEASES, Item
from podshare.aws.settings import Settings
from podshare.aws.tables import State


def lease_age(settings: Settings, team: str) -> float:
    """For how many seconds a team's lease has been held by whoever holds it; 0 while nobody does."""
    return _age(State(settings.state).get(LEASES, f"team#{team}") or {})


def oldest_lease(settings: Settings) -> float:
    """For how many seconds the lease that was taken first has been held, of all teams; 0 if none is."""
    return max(map(_age, State(settings.state).query(LEASES)), default=0.0)


def accounts_given_up(plan: Mapping[str, Any]) -> int:
    """In how many accounts of a team nothing can be done until somebody has fixed their member stack."""
    return len(
        {
            blocker["account"]
            for blocker in plan.get("obstacles", [])
            if blocker.get("account") and not blocker.get("bucket") and not blocker.get("waits")
        }
    )


def unexpected_access(verification: Mapping[str, Any]) -> int:
    """By how many doors somebody gets in whom no record lets in."""
    return sum(1 for violation in verification.get("violations", []) if violation["rule"] == RULE)


def _age(lease: Item) -> float:
    if not lease.get("holder"):
        return 0.0
    held_at = datetime.datetime.fromisoformat(str(lease["held_at"]))
    return (datetime.datetime.now(datetime.UTC) - held_at).total_seconds()
