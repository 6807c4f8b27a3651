"""From an event of the organization to the teams that it affects."""

from collections.abc import Mapping
from typing import Any

from podshare.aws.settings import Settings
from podshare.kinds import names
from podshare.reconcile.affected_teams import teams_of_account
from podshare.reconcile.organization_accounts import observe
from podshare.reconcile.organization_events import subject_of
from podshare.reconcile.triggers import event_id, execution, start_once, trigger_of
from podshare.registry.accounts import Account

# of one page, each with the input of its run: a state's output may have 256 KiB (Step Functions quotas)
MOST_TEAMS = 100


def organization_changed(settings: Settings, event: Mapping[str, Any]) -> str:
    """Start the lifecycle of the accounts that an event is about; returns the execution.

    An event that comes again is the same execution: CloudTrail's own id of it stays the same.
    """
    name = names.execution(str(event["detail"].get("eventName", "event")), event_id(event))
    return start_once(settings.lifecycle, name, {"event": dict(event)})


def account_changed(settings: Settings, event: Mapping[str, Any], after: str | None = None) -> dict[str, Any]:
    """Read the accounts of an event again, and find which reconciliations to start.

    ``reason`` says why there is nothing to do where that is so. The teams are those behind ``after``, in order, and
    ``MOST_TEAMS`` at most; all of them without it. ``after`` in the answer is the last one's name if there are more.
    """
    subject = subject_of(event)
    accounts = [observe(settings, account, named=False) for account in subject.accounts]
    teams: dict[str, Account] = {}
    for account in accounts:
        teams |= dict.fromkeys(teams_of_account(settings, account), account)
    reason = subject.reason
    if not reason and not teams:
        reason = f"no team and no enrollment uses account {', '.join(subject.accounts)}"
    remaining = sorted(team for team in teams if team > (after or ""))
    page = remaining if after is None else remaining[:MOST_TEAMS]
    return {
        "reason": reason,
        "accounts": [account.as_dict() for account in accounts],
        "teams": [_reconciliation(team, teams[team], event) for team in page],
        "after": page[-1] if len(remaining) > len(page) else "",
    }


def account_read(settings: Settings, account: str) -> dict[str, Any]:
    """Read one account again, as a sweep does, which reconciles every team anyway."""
    return {"reason": "", "accounts": [observe(settings, account).as_dict()], "teams": [], "after": ""}


def _reconciliation(team: str, account: Account, event: Mapping[str, Any]) -> dict[str, Any]:
    name, execution_input = execution(team, trigger_of(event, "organization", f"account#{account.id}"))
    return {"team": team, "name": name, "input": execution_input}
