"""Start a team again whose execution failed, timed out or was aborted."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from podshare.handlers.environment import logger, settings
from podshare.reconciliation.triggers import execution_ended


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """A ``Step Functions Execution Status Change`` → ``{team}``, None once it was tried often enough."""
    team = execution_ended(settings, event["detail"])
    logger.info("execution ended", extra={"execution": event["detail"]["executionArn"], "team": team})
    return {"team": team}
