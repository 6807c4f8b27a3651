"""Read an account again, store what it is, and find the teams that it affects."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from podshare.handlers.environment import as_handler, logger, settings
from podshare.reconcile.lifecycle import account_changed, account_read
from podshare.reconcile.organization_events import subject_of


@as_handler
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """``{event, after}`` or, in a sweep, ``{account}``, and ``execution`` → ``{reason, accounts, teams: […], after}``.

    Without ``after``, as in an execution that began before an upgrade, the teams come in one page.
    """
    if "event" in event:
        logger.append_keys(account=", ".join(subject_of(event["event"]).accounts))
    changed = (
        account_changed(settings, event["event"], event.get("after"))
        if "event" in event
        else account_read(settings, event["account"])
    )
    teams = [team["team"] for team in changed["teams"]]
    logger.info("account read", extra={"found": changed["accounts"], "teams": teams, "reason": changed["reason"]})
    return changed
