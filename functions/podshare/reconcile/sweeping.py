"""The sweep: every account of the organization and every team, whether or not an event reported them."""

import datetime
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from podshare.aws import organizations
from podshare.aws.rows import LEASES, STATUSES, SWEEP, Item
from podshare.aws.settings import Settings
from podshare.aws.tables import Registry, State
from podshare.reconcile.affected_teams import clusters_by_team
from podshare.reconcile.announcing import announce
from podshare.reconcile.history import make_up
from podshare.reconcile.notices import sweep_notice
from podshare.reconcile.organization_accounts import ORGANIZATION, all_known_accounts, all_users, mark_listed
from podshare.reconcile.outcome import TeamState
from podshare.reconcile.triggers import start, trigger_of_sweep
from podshare.registry.accounts import Account
from podshare.registry.items import PAUSE_ID, is_name
from podshare.registry.sentences import in_words
from podshare.registry.values import LONGEST_TEAM

MOST_ITEMS = 2000  # names in one page: a state's output may have 256 KiB (Step Functions quotas)
GROUP = 20  # teams that are compared by one reading: a function's time has to do for them
MOST_REASONS = 200
LONGEST_REASON = 300

Summary = dict[str, Any]


def page(settings: Settings, listed_kind: str, after: str, *, listed: bool = False) -> dict[str, Any]:
    """The next accounts, or groups of teams, to sweep, those behind ``after`` in order; ``count`` says how many.

    ``paused`` says why there are none. ``listed``: the organization has been listed by now, so that selectors mean
    what they say.
    """
    if pause := Registry(settings.registry).get([PAUSE_ID]).get(PAUSE_ID):
        return {"items": [], "count": 0, "after": "", "paused": f"podshare is paused: {pause.get('reason', '')}"}
    clusters = dict.fromkeys(_accounts(settings), "") if listed_kind == "accounts" else _teams(settings)
    names = [name for name in sorted(clusters) if name > after]
    more = len(names) > MOST_ITEMS
    if listed and not after:
        mark_listed(settings)
    some = names[:MOST_ITEMS]
    return {
        "items": some if listed_kind == "accounts" else _groups(some, clusters),
        "count": len(some),
        "after": some[-1] if more else "",
        "paused": "",
    }


def _groups(teams: Iterable[str], clusters: Mapping[str, str]) -> list[list[str]]:
    """Teams of the same clusters together: these are most of what teams share."""
    ordered = sorted(teams, key=lambda team: (clusters[team], team))
    return [ordered[start : start + GROUP] for start in range(0, len(ordered), GROUP)]


def _accounts(settings: Settings) -> set[str]:
    """Those of the organization, and those that were: one that has gone is found by its absence."""
    return {*organizations.list_accounts(settings), *all_known_accounts(State(settings.state))}


def _teams(settings: Settings) -> dict[str, str]:
    """Those that should be, with their clusters, and those of which something is left, reported by a run or not."""
    left = {
        _team(status)
        for status in _statuses(settings)
        if status.get("state") != TeamState.DELETED or status.get("left_behind")
    }
    return {**dict.fromkeys({*left, *all_users(settings)}, ""), **clusters_by_team(settings)}


def _statuses(settings: Settings) -> list[Item]:
    rows = State(settings.state).query(STATUSES, "team#")
    return [item for item in rows if is_name(_team(item), LONGEST_TEAM)]


def _team(row: Item) -> str:
    return str(row["part"]).partition("#")[2]


def sweep_team(settings: Settings, team: str, sweep: Mapping[str, str], checks: int) -> dict[str, Any]:
    """Start a team's reconciliation at the first check, then return whether it is over.

    It is over when a run that began after the sweep did has written the team's status, and nothing newer is asked for.
    """
    if not checks:
        start(settings, team, trigger_of_sweep(sweep, team))
        return {"team": team, "status": "pending", "outcome": ""}
    state = State(settings.state)
    status, lease = state.get(STATUSES, f"team#{team}") or {}, state.get(LEASES, f"team#{team}") or {}
    newest = "generation" in lease and status.get("generation") == lease["generation"]
    if newest and "holder" not in lease and _since(status, sweep):
        return {"team": team, "status": "done", "outcome": str(status["state"])}
    return {"team": team, "status": "pending", "outcome": ""}


def summarize(settings: Settings, sweep: Mapping[str, str], execution: str, listed: Mapping[str, int]) -> Summary:
    """What the sweep found, written down as the last one's summary.

    ``listed`` counts the accounts and teams that it set out for. ``failed`` says if most of either were not swept,
    and is empty otherwise.
    """
    statuses = _statuses(settings)
    teams = [status for status in statuses if status.get("state") != TeamState.DELETED or status.get("left_behind")]
    results = [(status, _outcome(status, sweep)) for status in teams]
    swept = {_team(status) for status in statuses if _since(status, sweep)}
    unswept = max(0, listed.get("teams", 0) - len(swept))  # also those that have no status yet
    rows = State(settings.state).query(ORGANIZATION, "account#")
    accounts = [Account.of_row(row) for row in rows]
    unread = max(0, listed.get("accounts", 0) - sum(_since(row, sweep) for row in rows))
    counts = Counter(outcome for _, outcome in results)
    counts["unfinished"] = max(counts["unfinished"], unswept)
    missed = {"accounts": unread, "teams": unswept - len(_running(settings) - swept)}  # who runs on was not missed
    summary = {
        "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "counts": {**dict.fromkeys(OUTCOMES, 0), **counts},
        "accounts": {
            **Counter(account.state for account in accounts),
            "waiting": sum(bool(account.waiting_since) for account in accounts),
            "unread": unread,
        },
        "reasons": [reason for status, outcome in results for reason in _reasons(status, outcome)][:MOST_REASONS],
        "failed": _failed(missed, listed),
        "history": make_up(settings),
    }
    State(settings.state).put(SWEEP, "summary", **summary, sweep=sweep["id"], execution=execution)
    announce([sweep_notice(sweep["id"], execution, summary)])
    return summary


def _running(settings: Settings) -> set[str]:
    """The teams that are being reconciled."""
    return {_team(lease) for lease in State(settings.state).query(LEASES) if lease.get("holder")}


def _failed(missed: Mapping[str, int], listed: Mapping[str, int]) -> str:
    """A sentence on what was mostly missed."""
    unswept = [
        f"{missed[listed_kind]} of {total} {listed_kind}"
        for listed_kind, total in listed.items()
        if 2 * missed[listed_kind] > total
    ]
    return f"{' and '.join(unswept)} were not swept: see the Map Run of the execution" if unswept else ""


OUTCOMES = ("in_sync", "repaired", "degraded", "waiting", "held", "rejected", "ended", "deleted", "unfinished")


def _outcome(status: Item, sweep: Mapping[str, str]) -> str:
    if not _since(status, sweep):
        return "unfinished"
    state = str(status["state"])
    if state == TeamState.READY:
        return "repaired" if status.get("changes") else "in_sync"
    return state.lower()


def _reasons(status: Item, outcome: str) -> list[dict[str, str]]:
    team = _team(status)
    if outcome == "unfinished":
        problem = f"its reconciliation had not finished when the sweep ended; last state {status.get('state')}"
        return [{"team": team, "state": outcome, "what": problem, "remedy": f"podshare team status {team}"}]
    problems = [*status.get("problems", ()), *status.get("left_behind", ())]
    return [{"team": team, "state": outcome, **_reason(problem)} for problem in problems]


def _reason(problem: Mapping[str, Any]) -> dict[str, str]:
    return {"what": in_words(problem)[:LONGEST_REASON], "remedy": str(problem.get("remedy", ""))}


def _since(status: Item, sweep: Mapping[str, str]) -> bool:
    """Whether a status was written after the sweep began (its time has fractions of a second, the status' none)."""
    if "at" not in status:
        return False
    began = datetime.datetime.fromisoformat(sweep["at"]).replace(microsecond=0)
    return datetime.datetime.fromisoformat(str(status["at"])) >= began
