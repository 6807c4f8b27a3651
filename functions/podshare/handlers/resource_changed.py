"""Start the reconciliation of every team whose resources a call may have touched."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from podshare.handlers.environment import as_handler, logger, settings
from podshare.reconcile.drift import resource_changed


@as_handler
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """An EventBridge event of detail type ``AWS API Call via CloudTrail`` → ``{executions, reason}``."""
    started = resource_changed(settings, event)
    fields = {"event": event["detail"].get("eventName"), "reason": started["reason"]}
    logger.info("resource changed", extra={**fields, "teams": len(started["executions"])})
    for team, execution in started["executions"].items():
        logger.info("reconciliation started", extra={**fields, "team": team, "execution": execution})
    return started
