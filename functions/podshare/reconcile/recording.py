"""Record how a run ended, and give the lease back, or go on."""

import contextlib
import datetime
import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

from podshare.aws.lease import Hold, TeamLeases
from podshare.aws.rows import LEASES, STATUSES, from_item
from podshare.aws.settings import Settings
from podshare.aws.tables import MOST_WRITES, ReadOnlySnapshot, State, WouldWrite, Write, key_of
from podshare.reconcile.access_reports import ACCESS_REPORTS
from podshare.reconcile.announcing import Entry, entry_of, untold
from podshare.reconcile.history import is_news, keep_run, marks, run_entry
from podshare.reconcile.notices import LONGEST_ITEM, MOST_LISTED, notices
from podshare.reconcile.outcome import Outcome, Pass, outcome, results_in
from podshare.reconcile.plan import change_fingerprint

FIRST_WAIT_SECONDS = 60  # after which what was changed counts as settled, see `settling`
LONGEST_RETRY_SECONDS = 600
LONGEST_WAIT_SECONDS = 3600
MOST_RETRIES = 10  # of what failed although it might have passed, such as a lease whose holder was killed
_AT_REST = (
    "fence = :fence AND generation = :generation AND attribute_not_exists(holder) AND attribute_not_exists(look_again)"
)
_AS_BEFORE = ("state", "generation", "problems", "held", "left_behind", "untold")
_COMPARED = ("account", "field", "rule", "value", "what")  # of a problem
MOST_WAITS = 240  # of one execution: eight days in all, more than a drain may take (template.yaml, DrainSeconds)


def record(settings: Settings, event: Mapping[str, Any], state: State, *, unless_news: bool = False) -> dict[str, Any]:
    """Write the team's status, with what ``state`` has put off, and give the lease back.

    The result's ``next`` is ``done``, ``again`` (something newer was asked for, or the run could not carry the whole
    plan) or ``wait`` (for something outside, or for a fault to pass). ``failed`` are the fingerprints of what has not
    been done in this run, for the plan of the next pass to leave to the end.
    The status is written before the lease is given back, so that no later run's status is overwritten by this one.
    The history is written after that, so that nothing waits for it; ``history`` says what became of it, if there was
    news. What happened is announced before; what the bus does not take the status keeps for the next run, so that
    nothing waits for it either. With ``unless_news`` a run that is news is left to whoever writes the history, and the
    result is empty. Raises Superseded if the lease is somebody else's by now.
    """
    team, plan, lease = event["team"], event.get("plan", {}), event["lease"]
    hold = Hold(team, int(lease["fence"]), int(lease["generation"]))
    leases = TeamLeases(State(settings.state), settings.function_timeout)
    verification = event.get("verification") or plan.get("verification") or {}
    results = results_in(event.get("results", []))
    earlier = event.get("made", {})  # an execution that began before an upgrade has none
    result = outcome(plan, results, verification, _reason(event.get("error")), earlier)
    before = plan.get("before")
    if before is None or before["has_untold"]:
        before = state.get(STATUSES, f"team#{team}") or {}
    ended = Pass(event, result, results, verification, before)
    marked = marks(ended)
    is_new = is_news(ended, marked) or bool(before.get("untold"))
    if is_new and unless_news:
        return {}
    left = untold(_entries(ended)) if is_new else []
    tried = frozenset(event.get("failed", ()))
    failed = tried | {change_fingerprint(each) for each in results if each["status"] != "done"}
    waits, status = int(event.get("waits", 0)), _status(state, ended, marked, left)
    entry = run_entry(state, ended) if is_new else None
    try:
        if not (released := _write_and_release(leases, hold, state, status)):
            if leases.is_held(hold):
                state.write_alone(status)
            elif entry is None:
                entry = run_entry(state, ended)
            released = leases.release(hold)
    finally:
        history = "" if entry is None else keep_run(settings, entry)
    return {
        "history": history,
        "team": team,
        "state": result.state.value,
        "summary": result.summary,
        "made": dict(result.made),
        "failed": sorted(failed) if plan.get("left") else [],
        "next": _next(result, released, waits, left=bool(plan.get("left")), goes_on=bool(ended.done) or failed > tried),
        "wait_seconds": _wait_seconds(result, waits),
    }


def confirm(settings: Settings, event: Mapping[str, Any], state: ReadOnlySnapshot) -> str:
    """Write down that a team is as its last run left it, with the proof that ``state`` has put off; for a sweep.

    Returns what became of the history, in which each night proves again who can reach what. Raises WouldWrite if
    anything is otherwise, or if a run has begun since the lease of ``event`` was read.
    """
    team, plan, lease = event["team"], event["plan"], event["lease"]
    before, verification = state.get(STATUSES, f"team#{team}") or {}, plan["verification"]
    ended = Pass(event, outcome(plan, [], verification, ""), [], verification, before)
    marked = marks(ended)
    status = _status(state, ended, marked, [])
    row = from_item(status["Put"]["Item"])
    if entries := _entries(ended):
        raise WouldWrite(f"there is something to report: {', '.join(entry['type'] for entry in entries)}")
    if different := [name for name in _AS_BEFORE if row.get(name) != before.get(name)]:
        raise WouldWrite(f"the status is otherwise: {', '.join(different)}")
    writes = state.take_put_off()
    if others := sorted({key_of(write)["item_id"] for write in writes} - {ACCESS_REPORTS}):
        raise WouldWrite(f"rows would be written: {', '.join(others)}")
    numbers = {"fence": int(lease["fence"]), "generation": int(lease["generation"])}
    at_rest = state.checking(LEASES, f"team#{team}", _AT_REST, **numbers)
    if not state.write_together([at_rest, *writes, status]):
        raise WouldWrite("a run has begun since")
    entry = run_entry(State(settings.state), ended)
    return keep_run(settings, entry)


def status_before(state: State, team: str) -> dict[str, Any]:
    """What a plan hands on of the team's status, which nobody else writes while the run holds the lease.

    ``has_untold`` says whether the status has events that the bus did not take; they are left where they are.
    """
    row = state.get(STATUSES, f"team#{team}") or {}
    problems = [
        {name: str(value)[:LONGEST_ITEM] for name, value in problem.items() if name in _COMPARED}
        for problem in row.get("problems", ())[:MOST_LISTED]
    ]
    kept = {name: row.get(name) for name in ("state", "verified_at", "history")}
    held = (row.get("held") or {}).get("hash")
    return {
        **kept,
        "held": {"hash": held} if held else None,
        "problems": problems,
        "has_untold": bool(row.get("untold")),
    }


def _entries(ended: Pass) -> list[Entry]:
    """The events of a pass, after those that the bus has not taken so far."""
    kept = [Entry(type=str(entry["type"]), detail=str(entry["detail"])) for entry in ended.before.get("untold", ())]
    return [*kept, *map(entry_of, notices(ended))]


def _write_and_release(leases: TeamLeases, hold: Hold, state: State, status: Write) -> bool:
    """Write the status and give the lease back, all or nothing: not if something newer came or the lease is lost."""
    writes = state.take_put_off()
    if len(writes) < MOST_WRITES - 1 and leases.release_with(hold, [*writes, status]):
        return True
    for write in writes:
        state.later(write)
    state.flush()
    return False


def _reason(error: dict[str, str] | None) -> str:
    """What a failed step said, without the stack trace that a function's error carries."""
    if not error:
        return ""
    cause = error.get("Cause", "")
    with contextlib.suppress(ValueError, KeyError, TypeError):  # a cause that is no function's error stays as it is
        cause = json.loads(cause)["errorMessage"]
    return f"{error.get('Error', 'failure')}: {cause}"


def _next(result: Outcome, released: bool, waits: int, *, left: bool, goes_on: bool) -> str:
    """``left``: one run could not carry the whole plan; ``goes_on``: it has done, or tried for the first time, some."""
    if not released or (left and goes_on):
        return "again"
    if result.waits:
        return "wait" if waits < MOST_WAITS else "done"
    return "wait" if (left or result.may_pass) and waits < MOST_RETRIES else "done"


def _wait_seconds(result: Outcome, waits: int) -> int:
    """How long to wait for something outside, or for a fault to pass: then by chance, as teams fail together."""
    if result.waits:
        return min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS << (waits // 10))
    longest = min(LONGEST_RETRY_SECONDS, FIRST_WAIT_SECONDS << (waits + 1))
    return round(random.uniform(FIRST_WAIT_SECONDS, longest))  # noqa: S311  # no secret


def _held(plan: dict[str, Any]) -> dict[str, Any] | None:
    """What waits for a person, as far as a status shows it."""
    held = plan.get("held")
    return {name: held[name] for name in ("hash", "since", "count", "losses")} if held else None


def _status(state: State, ended: Pass, history: Mapping[str, Any], left: Sequence[Entry]) -> Write:
    event, result, verification = ended.event, ended.result, ended.verification
    plan, part = event.get("plan", {}), f"team#{event['team']}"
    verified_at = verification.get("at") if verification.get("verified") else ended.before.get("verified_at")
    row = {
        "state": result.state.value,
        "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "verified_at": verified_at,
        "execution": event["execution"],
        "generation": int(event["lease"]["generation"]),
        "summary": result.summary,
        "problems": list(result.problems),
        "notes": plan.get("notes", []),
        "held": _held(plan),
        "left_behind": plan.get("left_behind", []),
        "changes": int(plan.get("count", 0)),
        "resources": int(verification.get("resources", 0)),
        "proof": verification.get("proof", {}).get("digest"),
        "trigger": event.get("trigger", {}),
        "history": history,
        "untold": [*left],
    }
    return state.putting(STATUSES, part, **row)
