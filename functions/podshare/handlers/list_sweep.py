"""List what a sweep goes through: the organization's accounts, then the teams, page by page."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from podshare.handlers.environment import as_handler, logger, settings
from podshare.reconcile.sweeping import page


@as_handler
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """``{what: accounts|teams, after, listed, execution}`` → ``{items, after, paused}``."""
    listed = page(settings, event["what"], event["after"], listed=bool(event.get("listed")))
    logger.info("page", extra={"what": event["what"], "count": len(listed["items"]), "paused": listed["paused"]})
    return listed
