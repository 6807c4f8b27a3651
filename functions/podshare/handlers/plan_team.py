"""Plan a team for the run that holds its lease."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from podshare.aws.lease import Hold
from podshare.handlers.environment import as_handler, logger, settings
from podshare.reconcile.planning import plan_team
from podshare.reconcile.settling import attempt_of


@as_handler
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """``{team, lease}`` → the plan."""
    lease = event["lease"]
    # an execution that began before an upgrade has no waits
    attempt = attempt_of(event["execution"], event.get("waits", 0))
    plan = plan_team(settings, Hold(event["team"], lease["fence"], lease["generation"]), attempt)
    logger.info("plan", extra={"hash": plan["hash"], "changes": plan["count"], "obstacles": plan["obstacles"]})
    return plan
