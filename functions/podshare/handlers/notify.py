"""Write one of podshare's events as a message that a person reads."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from podshare.handlers.environment import as_handler, logger, settings
from podshare.reconcile.notifying import notify


@as_handler
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, str]:
    """An event of podshare's -> ``{message}``, the id of the message on the topic."""
    logger.append_keys(event=event["detail-type"], team=event["detail"].get("team", ""))
    message = notify(settings, event["detail-type"], event["detail"])
    logger.info("notified", extra={"message_id": message})
    return {"message": message}
