"""Following the runs that a write has started, until all teams have come to a state."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from podshare_cli.failures import FAILED, INTERRUPTED, Failure
from podshare_cli.options import Options
from podshare_cli.progress.executions import Beginnings, Executions, Following

SETTLED = ("READY", "ENDED", "DELETED")  # as the records say


class Runs:
    """The runs of teams that a write will start: those that began before it are not among them."""

    def __init__(self, options: Options, record_ids: Mapping[str, Collection[str]]) -> None:
        """``record_ids`` are, for each team, the records of which any may start its run."""
        self._options = options
        self._followings: list[Following] = []
        if record_ids:
            beginnings = Beginnings(Executions(options.connection))
            self._followings = [beginnings.following(team, ids) for team, ids in record_ids.items()]

    def follow(self) -> "Ended":
        """Follow them until all are over."""
        return follow(self._options, self._followings)


@dataclass(frozen=True)
class Ended:
    """Runs that are over."""

    followings: Sequence[Following]

    @property
    def as_dicts(self) -> list[dict[str, Any]]:
        """How each ended, for machines."""
        return [following.as_dict() for following in self.followings]

    @property
    def states(self) -> dict[str, str | None]:
        """The states that they left their teams in."""
        return {following.name: following.state for following in self.followings}

    def require(self, good: Sequence[str] = SETTLED) -> None:
        """Raises Failure unless each team is in one of the ``good`` states."""
        require(self.states, good)


def follow(options: Options, followings: list[Following]) -> Ended:
    """Follow until all are over; Ctrl-C leaves the reconciliations running."""
    if followings:
        from podshare_cli.output import stderr
        from podshare_cli.progress.live import watch

        try:
            watch(None if options.is_silent else stderr(), followings)
        except KeyboardInterrupt:
            raise Failure(
                "You stopped watching; podshare continues.", "See podshare team status.", INTERRUPTED
            ) from None
        for each in followings:
            if each.run.state not in SETTLED:
                options.say(f"{each.run.team}: {each.run.summary}")
    return Ended(followings)


def require(states: Mapping[str, str | None], good: Sequence[str]) -> None:
    """Raises Failure unless each team is in one of the ``good`` states."""
    bad = {team: state for team, state in sorted(states.items()) if state not in good}
    if bad:
        teams = ", ".join(f"{team} is {state or 'not reconciled yet'}" for team, state in bad.items())
        message = f"Not {' or '.join(good)}: {teams}."
        raise Failure(message, f"See why: podshare team status {next(iter(bad))}", FAILED)
