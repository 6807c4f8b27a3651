"""What a person has agreed to: that a team loses the access that was shown to them, once.

An approval names either a plan that is held, or the losses that a confirmed write of a record was to bring. The first
plan that it covers is begun with; from then on it covers what is left of these losses, until nothing is.
"""

import datetime
from collections.abc import Collection
from dataclasses import dataclass

from podshare.aws.rows import Item
from podshare.aws.settings import Settings
from podshare.aws.tables import Registry, State
from podshare.kinds.base import Key
from podshare.reconcile.blast_radius import digest, fingerprints
from podshare.registry.problems import InvalidRecord
from podshare.registry.records import Approval

PART = "approved"  # of a team in the state table: with which approval was begun, and what of it may still go
LIFETIME = datetime.timedelta(hours=1)  # of an approval that nothing was begun with


@dataclass(frozen=True, slots=True)
class Approvals:
    """The approvals of one team; ``begun`` is the row of the state table."""

    settings: Settings
    team: str
    begun: Item

    def cover(self, losses: Collection[Key], held_since: str) -> bool:
        """Whether a person has agreed to these losses; if so, that is begun with."""
        approval = self._record()
        if approval is None:
            return False
        if approval.plan == self.begun.get("plan"):
            return fingerprints(losses) <= {*self.begun["losses"]}
        agreed = _agreed(approval, losses, held_since)
        if not fingerprints(losses) <= agreed:
            return False
        self._keep(approval.plan, agreed)
        return True

    def end(self) -> None:
        """Nothing is lost any more: what was begun with approves nothing that comes later."""
        if self.begun.get("losses"):
            self._keep(str(self.begun["plan"]), ())

    def _keep(self, plan: str, losses: Collection[str]) -> None:
        State(self.settings.state).put(f"team#{self.team}", PART, plan=plan, losses=sorted(losses))

    def _record(self) -> Approval | None:
        try:
            return Registry(self.settings.registry).record(f"approval#{self.team}", Approval)
        except InvalidRecord:
            return None


def _agreed(approval: Approval, losses: Collection[Key], held_since: str) -> frozenset[str]:
    """The losses that a person has agreed to: those that were confirmed of late, or all of the plan that is held."""
    if approval.confirmed:
        is_fresh = abs(datetime.datetime.now(datetime.UTC) - approval.confirmed) <= LIFETIME
        return frozenset(approval.losses) if is_fresh else frozenset()
    is_held = bool(held_since) and approval.plan == digest(losses, held_since)
    return fingerprints(losses) if is_held else frozenset()
