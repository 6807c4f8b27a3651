"""Change IAM: roles under podshare's path, and its one policy on roles of others."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from podshare.handlers.environment import as_handler, logger, settings
from podshare.kinds.base import Work
from podshare.reconcile.applying import Step, apply


@as_handler
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """``{team, lease, change}`` → the change with its ``status``: done, pending, waiting or superseded."""
    found = apply(settings, Work.IDENTITY, Step.of(event))
    logger.info("change", extra={"action": found["action"], "status": found["status"], "detail": found["detail"]})
    return found
