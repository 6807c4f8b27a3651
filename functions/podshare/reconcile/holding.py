"""How many teams may lose access within an hour before a person has to agree."""

import datetime
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from podshare.aws.settings import Settings
from podshare.aws.tables import State
from podshare.kinds.base import Key, Resource
from podshare.kinds.context import Context
from podshare.kinds.observation import Observation
from podshare.reconcile import approvals, blast_radius
from podshare.reconcile.announcing import entry_of, untold
from podshare.reconcile.approvals import Approvals
from podshare.reconcile.notices import MOST_LISTED, TeamHeld, approval_command, held_notice, identity
from podshare.reconcile.organization_accounts import ORGANIZATION, all_users, standing_accounts
from podshare.reconcile.plan import Plan
from podshare.registry.records import Membership
from podshare.registry.sentences import counted

MOST_SHOWN = 100  # keys of what is held back, in the execution's history


@dataclass(frozen=True, slots=True)
class Held:
    """What waits for a person: the hash that an approval names, how many teams have lost access, and what would go."""

    hash: str
    since: str
    limit: int
    losses: tuple[str, ...]
    keys: tuple[Key, ...]

    def as_dict(self, team: str) -> dict[str, Any]:
        """What the status and the audit show."""
        problem = (
            f"plan {self.hash} would revoke {counted(len(self.losses), 'grant')} of team {team}, after "
            f"{counted(self.limit, 'team')} lost access within an hour"
        )
        remedy = f"If this is intended: {approval_command(team, self.hash)}. If not, restore the records."
        fields = {
            "hash": self.hash,
            "since": self.since,
            "count": len(self.losses),
            "losses": [*self.losses[:MOST_LISTED]],
        }
        return {**fields, "what": problem, "remedy": remedy, "keys": [str(key) for key in self.keys[:MOST_SHOWN]]}

    def is_announced(self, team: str) -> bool:
        """Announce it on the hub's default bus; whether the bus has taken it."""
        return not untold([entry_of(held_notice(TeamHeld, team, self.as_dict(team), identity(team, self.hash)))])


def hold_back(
    settings: Settings,
    context: Context,
    proposed: Plan,
    desired: Mapping[Key, Resource],
    observed: Mapping[Key, Observation],
    *,
    gone_clusters: Collection[str],
    lines: Collection[Membership],
) -> tuple[Plan, Held | None]:
    """The plan as it may be carried out now, and what of it waits for a person.

    What was held back once stays so until it is approved or no longer planned, whatever hour it is. ``lines`` are
    those of the team's members.
    """
    team, state = context.team, context.state
    rows = {str(row["part"]): row for row in state.get_parts(f"team#{team}", ["held", approvals.PART])}
    row, agreed = rows.get("held"), Approvals(settings, team, rows.get(approvals.PART, {}))
    losses, gone = _going(settings, team, desired, observed, gone_clusters)
    if not losses:
        agreed.end()
    if not losses or agreed.cover(losses, str(row["since"]) if row else ""):
        if row:
            state.later(state.deleting(f"team#{team}", "held"))
        return proposed, None
    limit = max(settings.most_teams_losing, len(all_users(settings)) * settings.most_percent_losing // 100)
    if row is None and _has_room(state, team, blast_radius.cause(team, losses, observed, lines), limit):
        return proposed, None
    since = str(row["since"]) if row else _now().isoformat()
    digest = blast_radius.digest(losses, since)
    kept = blast_radius.without_losses(proposed, desired, gone)
    keys = tuple({change.key for change in proposed.changes} - {change.key for change in kept.changes})
    held = Held(digest, since, limit, tuple(blast_radius.loss_text(key, observed[key]) for key in losses), keys)
    if row is None or row["hash"] != digest or row.get("untold"):  # announced before it is written down
        state.check()
        is_untold = not held.is_announced(team)  # nothing that may go waits for the bus: the next plan tries again
        state.later(state.putting(f"team#{team}", "held", since=since, hash=digest, untold=is_untold))
    return kept, held


def losses_reported(
    settings: Settings,
    team: str,
    desired: Mapping[Key, Resource],
    observed: Mapping[Key, Observation],
    *,
    gone_clusters: Collection[str],
) -> list[dict[str, str]]:
    """What a plan revokes for good, for a person to confirm: each by its key, and in words."""
    return [
        {"key": str(key), "what": blast_radius.loss_text(key, observed[key])}
        for key in _going(settings, team, desired, observed, gone_clusters)[0]
    ]


def _going(
    settings: Settings,
    team: str,
    desired: Mapping[Key, Resource],
    observed: Mapping[Key, Observation],
    gone_clusters: Collection[str],
) -> tuple[tuple[Key, ...], frozenset[Key]]:
    """What is lost because no record asks for it, and what goes with an account that takes no part any more."""
    if not blast_radius.losses(team, desired, observed, {}):  # most plans take nothing away, and need no account for it
        return (), frozenset()
    accounts = standing_accounts(settings, blast_radius.accounts_of(team, observed) - {""})
    losses = blast_radius.losses(team, desired, observed, accounts, gone_clusters=gone_clusters)
    return losses, blast_radius.departed(team, observed, accounts, gone_clusters=gone_clusters)


def _has_room(state: State, team: str, cause: str | None, limit: int) -> bool:
    """Count that a team loses access within this hour; False if that would be more than ``limit``.

    What one account's tags or place may have brought counts as one for all of its teams, and as many of these may
    lose it: whoever tags or moves an account cannot use up what is there for all.
    """
    if cause is None:
        return _count(state, "losses", team, limit)
    return _count(state, f"losses#{cause}", team, limit) and _count(state, "losses", f"account {cause}", limit)


def _count(state: State, part: str, counted: str, limit: int) -> bool:
    """Count one more in an item; False if that would be more than ``limit`` within this hour.

    One item for all, changed under a condition: a thousand plans at once cannot pass it together.
    """
    hour = _now().strftime("%Y-%m-%dT%H")
    counts = "began = :began AND (size(teams) < :limit OR contains(teams, :counted))"
    begins = "attribute_not_exists(began) OR began < :began"
    values: dict[str, Any] = {"began": hour, "one": {counted}, "limit": limit, "counted": counted}
    for _ in range(2):  # another plan may begin the hour in between
        if state.update(ORGANIZATION, part, "ADD teams :one", counts, **values):
            return True
        if state.update(ORGANIZATION, part, "SET began = :began, teams = :one", begins, began=hour, one={counted}):
            return True
    return False


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
