"""Take a team's lease for an execution, unless podshare is paused or another execution acts for the team."""

from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from podshare.aws.lease import AsksFor
from podshare.handlers.environment import as_handler, logger, metrics, settings
from podshare.reconcile.leasing import lease
from podshare.reconcile.measuring import lease_age


@metrics.log_metrics
@as_handler
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """``{team, execution, trigger, new_trigger, waits}`` → ``{status: held|busy|left|paused, …}``."""
    held = lease(
        settings,
        event["team"],
        event["execution"],
        asks_for=_asks_for(event) if event["new_trigger"] else "nothing new",
        waited=bool(event.get("waits")),
    )
    held_for = 0.0 if held["status"] == "held" else lease_age(settings, event["team"])
    metrics.add_metric(name="LeaseHeldSeconds", unit=MetricUnit.Seconds, value=held_for)
    logger.info("lease", extra=held)
    return held


def _asks_for(event: Mapping[str, Any]) -> AsksFor:
    """A call of AWS changes nothing of what is wanted, all else may.

    The execution's input has no trigger here if it began before an upgrade.
    """
    return "another look" if event.get("trigger", {}).get("event") == "drift" else "a new plan"
