"""Write down how a run ended, and give the lease back."""

from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from podshare.aws.tables import State
from podshare.handlers.environment import as_handler, metrics, settings
from podshare.handlers.outcome_metrics import report_outcome
from podshare.reconcile.history import WRITTEN
from podshare.reconcile.recording import record


@metrics.log_metrics
@as_handler
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """``{team, execution, trigger, lease, plan, results, verification, error, waits}`` → ``{state, summary, next}``."""
    outcome = record(settings, event, State(settings.state))
    history = outcome.pop("history")
    if history not in ("", WRITTEN):
        metrics.add_metric(name="HistoryUnwritten", unit=MetricUnit.Count, value=1)
    report_outcome(outcome, event.get("plan", {}), event.get("verification", {}), history or "nothing new")
    return outcome
