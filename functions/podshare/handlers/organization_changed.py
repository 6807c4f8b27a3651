"""Start the lifecycle of the accounts that an event of AWS Organizations is about."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from podshare.handlers.environment import as_handler, logger, settings
from podshare.reconcile.lifecycle import organization_changed
from podshare.reconcile.organization_events import subject_of


@as_handler
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """An EventBridge event with source ``aws.organizations`` → ``{execution}``."""
    logger.append_keys(account=", ".join(subject_of(event).accounts))
    execution = organization_changed(settings, event)
    logger.info("organization changed", extra={"event": event["detail"].get("eventName"), "execution": execution})
    return {"execution": execution}
