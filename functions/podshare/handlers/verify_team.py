"""Read everything of a team back and compare it with what is desired and the isolation rules."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from podshare.handlers.environment import as_handler, logger, settings
from podshare.reconcile.verification import verify_team


@as_handler
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """``{team}`` → ``{verified, at, resources, violations, differences}``."""
    verification = verify_team(settings, event["team"])
    logger.info("verification", extra={"verified": verification["verified"], "violations": verification["violations"]})
    return verification
