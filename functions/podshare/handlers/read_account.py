"""Read an account afresh, write down what it is, and tell which teams it concerns."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from podshare.aws.errors import classified
from podshare.handlers.environment import logger, settings
from podshare.reconciliation.lifecycle import account_changed, account_read


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """``{event}`` or, in a sweep, ``{account}`` → ``{reason, accounts, teams: [{team, name, input}]}``."""
    with classified(f"read account {event.get('account', 'of an event')}"):
        found = (
            account_changed(settings, event["event"]) if "event" in event else account_read(settings, event["account"])
        )
    logger.info("accounts", extra={"accounts": found["accounts"], "reason": found["reason"]})
    return found
