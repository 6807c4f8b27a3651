"""Reconcile a team within a sweep."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from podshare.handlers.environment import as_handler, logger, settings
from podshare.reconcile.sweeping import sweep_team


@as_handler
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """``{team, sweep, looks, execution}`` → ``{team, status: pending|done, outcome}``."""
    swept = sweep_team(settings, event["team"], event["sweep"], int(event["looks"]))
    logger.info("sweep", extra={"status": swept["status"], "outcome": swept["outcome"]})
    return swept
