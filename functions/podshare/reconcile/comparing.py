"""Compare many teams by one reading of their accounts: who is as its last run left it needs no run of its own.

A sweep finds nearly all teams so, and reads what they share once: their accounts' roles, their clusters, their buckets.
The code that plans a run compares, and gets a state in which nothing can be written: what it would write needs a run.
No lease is taken; that a team is as it was is written only if no run has begun since it was read, which is checked with
the writing. See docs/decisions/0075.
"""

import datetime
from collections.abc import Callable, Iterable, Mapping

from podshare.aws.answers import Answers
from podshare.aws.errors import reason_of
from podshare.aws.organizations import describe
from podshare.aws.rows import LEASES, STATUSES, Item
from podshare.aws.settings import Settings
from podshare.aws.tables import ReadOnlySnapshot, WouldWrite
from podshare.kinds.base import Key
from podshare.reconcile.gathering import gather
from podshare.reconcile.observing import reading_context
from podshare.reconcile.outcome import TeamState
from podshare.reconcile.planning import decide, persist
from podshare.reconcile.reading_ahead import decided_with, read_ahead
from podshare.reconcile.recording import confirm
from podshare.reconcile.team_records import read_records
from podshare.reconcile.triggers import trigger_of_sweep
from podshare.registry.sentences import counted

_LEAST_SHARE = 1 / 4  # of a function's time, which has to be left to begin with one more team
_UNANSWERED = ("holder", "look_again")

Differing = dict[str, str]  # why a team needs a run of its own


def compare(
    settings: Settings,
    teams: Iterable[str],
    sweep: Mapping[str, str],
    execution: str,
    seconds_left: Callable[[], float],
) -> Differing:
    """Write down of each team that it is as its last run left it; those that are not so are returned.

    Each of ``teams`` that there was no time for is returned, too.
    """
    comparison, differing = _Comparison(settings, sweep, execution), Differing()
    for team in teams:
        if seconds_left() < settings.function_timeout * _LEAST_SHARE:
            differing[team] = "there was no time left"
            continue
        try:
            comparison.confirm(team)
        except WouldWrite as difference:
            differing[team] = str(difference)
        except Exception as error:  # whatever it is, the team's own run meets it, and reports it
            differing[team] = reason_of(error)
    return differing


class _Comparison:
    """What teams are held against: what AWS and clusters answered for those before them, as of its beginning."""

    def __init__(self, settings: Settings, sweep: Mapping[str, str], execution: str) -> None:
        self._settings, self._sweep, self._execution = settings, sweep, execution
        self._as_of = datetime.datetime.now(datetime.UTC)
        self._answers = Answers(self._as_of)

    def confirm(self, team: str) -> None:
        """Write down that a team is as it was. Raises WouldWrite if it needs a run."""
        settings, state = self._settings, ReadOnlySnapshot(self._settings.state)
        lease = _lease_at_rest(state, team, self._as_of)
        context = reading_context(settings, team, state, self._answers)
        read_ahead(settings, state, team, plans=True)
        records = read_records(settings, state, team)
        gathered = gather(context, records, lambda account: describe(settings, account))
        if gathered.changing:
            raise WouldWrite(f"what was changed has not been read back: {_listed(gathered.changing)}")
        new = (key for key in gathered.desired if gathered.observed.get(key) is None)
        state.get_all(decided_with(team, gathered.facts.values(), new))  # at once
        planned = persist(settings, context, gathered, decide(settings, context, gathered, None), "", failed=())
        if planned["count"]:
            raise WouldWrite(f"{counted(planned['count'], 'change')} planned")
        event = {"team": team, "execution": self._execution, "trigger": trigger_of_sweep(self._sweep, team)}
        confirm(settings, {**event, "lease": lease, "plan": planned}, state)


def _lease_at_rest(state: ReadOnlySnapshot, team: str, as_of: datetime.datetime) -> dict[str, int]:
    """The numbers of a team's lease. Raises WouldWrite if a run has it, is asked for, or has ended since ``as_of``."""
    lease, status = (row or {} for row in _rows(state, team))
    if any(name in lease for name in _UNANSWERED) or lease.get("generation") != status.get("generation"):
        raise WouldWrite("a run is under way, or asked for")
    if status.get("state") != TeamState.READY:
        raise WouldWrite(f"the team is {status.get('state')}")
    if datetime.datetime.fromisoformat(str(status["at"])) >= as_of.replace(microsecond=0):
        raise WouldWrite("a run has ended since the accounts were read")
    return {"fence": int(lease["fence"]), "generation": int(lease["generation"])}


def _rows(state: ReadOnlySnapshot, team: str) -> tuple[Item | None, Item | None]:
    rows = {row["id"]: row for row in state.get_all([(LEASES, f"team#{team}"), (STATUSES, f"team#{team}")])}
    return rows.get(LEASES), rows.get(STATUSES)


def _listed(keys: Iterable[Key]) -> str:
    return ", ".join(sorted(map(str, keys)))
