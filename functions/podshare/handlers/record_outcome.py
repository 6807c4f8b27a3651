"""Write down how a run ended, and give the lease back."""

from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from podshare.handlers.environment import as_handler, logger, metrics, settings
from podshare.reconcile.history import WRITTEN
from podshare.reconcile.measuring import accounts_given_up, unexpected_access
from podshare.reconcile.recording import record


@metrics.log_metrics
@as_handler
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """``{team, execution, trigger, lease, plan, results, verification, error, waits}`` → ``{state, summary, next}``."""
    outcome = record(settings, event)
    metrics.add_metric(name=f"Teams{outcome['state'].title()}", unit=MetricUnit.Count, value=1)
    metrics.add_metric(name="AccountsParked", unit=MetricUnit.Count, value=accounts_given_up(event.get("plan", {})))
    losses = event.get("plan", {}).get("held", {}).get("count", 0)
    metrics.add_metric(name="LossesHeld", unit=MetricUnit.Count, value=losses)
    doors = unexpected_access(event.get("verification", {}))
    metrics.add_metric(name="UnexpectedAccess", unit=MetricUnit.Count, value=doors)
    history = outcome.pop("history")
    if history not in ("", WRITTEN):
        metrics.add_metric(name="HistoryUnwritten", unit=MetricUnit.Count, value=1)
    fields = {"state": outcome["state"], "summary": outcome["summary"], "history": history or "nothing new"}
    logger.info("outcome", extra=fields)
    return outcome
