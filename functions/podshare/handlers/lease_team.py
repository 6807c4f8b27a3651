"""Take a team's lease for an execution, unless podshare is paused or another execution acts for the team."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from podshare.handlers.environment import logger, settings
from podshare.reconciliation.leasing import lease


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """``{team, execution, new_trigger, waits}`` → ``{status: held|busy|left|paused, …}``."""
    logger.append_keys(team=event["team"], execution=event["execution"])
    found = lease(
        settings,
        event["team"],
        event["execution"],
        new_trigger=bool(event["new_trigger"]),
        waited=bool(event.get("waits")),
    )
    logger.info("lease", extra=found)
    return found
