"""Plan a team for the run that holds its lease, and end the run if there is nothing to do."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from podshare.aws.lease import Hold
from podshare.handlers.environment import as_handler, logger, metrics, settings
from podshare.handlers.outcome_metrics import report_outcome
from podshare.reconcile.planning import plan_team


@as_handler
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """``{team, lease, execution, trigger, waits, made}`` → the plan, with the ``outcome`` if nothing is to do."""
    lease = event["lease"]
    plan = plan_team(settings, Hold(event["team"], lease["fence"], lease["generation"]), event)
    logger.info("plan", extra={"hash": plan["hash"], "changes": plan["count"], "obstacles": plan["obstacles"]})
    if "outcome" in plan:
        report_outcome(plan["outcome"], plan, plan["verification"], "nothing new")
        metrics.flush_metrics()  # only then are there some: the decorator would warn of none in a line of its own
    return plan
