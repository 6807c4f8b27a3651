"""Report how a run of a team ended, as figures and as a line of the log."""

from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from podshare.handlers.environment import logger, metrics
from podshare.reconcile.measuring import accounts_given_up, unexpected_access


def report_outcome(
    outcome: Mapping[str, Any], plan: Mapping[str, Any], verification: Mapping[str, Any], history: str
) -> None:
    """Count the team's state, what its plan holds back and cannot do, and the doors that its verification found."""
    metrics.add_metric(name=f"Teams{outcome['state'].title()}", unit=MetricUnit.Count, value=1)
    metrics.add_metric(name="AccountsParked", unit=MetricUnit.Count, value=accounts_given_up(plan))
    metrics.add_metric(name="LossesHeld", unit=MetricUnit.Count, value=plan.get("held", {}).get("count", 0))
    metrics.add_metric(name="UnexpectedAccess", unit=MetricUnit.Count, value=unexpected_access(verification))
    fields = {"state": outcome["state"], "summary": outcome["summary"], "history": history}
    logger.info("outcome", extra=fields)
