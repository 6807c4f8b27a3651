"""Sum up a sweep."""

from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from podshare.handlers.environment import as_handler, logger, metrics, settings
from podshare.reconcile.measuring import oldest_lease
from podshare.reconcile.sweeping import summarize


@metrics.log_metrics
@as_handler
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """``{sweep, listed: {accounts, teams}, execution}`` → ``{at, counts, accounts, reasons, failed, history}``."""
    summary = summarize(settings, event["sweep"], event["execution"], event.get("listed", {}))
    for outcome, count in summary["counts"].items():
        metrics.add_metric(name=f"Sweep{outcome.title().replace('_', '')}", unit=MetricUnit.Count, value=count)
    metrics.add_metric(name="SweepsSummarized", unit=MetricUnit.Count, value=1)
    metrics.add_metric(name="AccountsWaiting", unit=MetricUnit.Count, value=summary["accounts"]["waiting"])
    metrics.add_metric(name="HistoryGaps", unit=MetricUnit.Count, value=summary["history"]["left"])
    metrics.add_metric(name="LeaseHeldSeconds", unit=MetricUnit.Seconds, value=oldest_lease(settings))
    logger.info("sweep", extra={"counts": summary["counts"], "accounts": summary["accounts"]})
    return summary
