"""Start a team again whose execution failed, timed out or was aborted."""

import json
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from podshare.handlers.environment import as_handler, logger, settings
from podshare.reconcile.triggers import execution_ended


@as_handler
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """A ``Step Functions Execution Status Change`` → ``{team}``, None once it was tried often enough."""
    logger.append_keys(execution=event["detail"]["executionArn"], team=json.loads(event["detail"]["input"])["team"])
    team = execution_ended(settings, event["detail"])
    logger.info("execution ended", extra={"status": event["detail"]["status"], "again": team is not None})
    return {"team": team}
