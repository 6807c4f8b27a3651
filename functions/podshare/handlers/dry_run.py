"""Answer people: what a reconciliation would change, and the available capacity. Its role writes nothing."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from podshare.handlers.environment import as_handler, logger, settings
from podshare.reconcile.planning import dry_run
from podshare.reconcile.quota_fit import report


@as_handler
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """``{team, records}`` → the plan if the registry held ``records``; ``{capacity: cluster}`` → who has what."""
    if "capacity" in event:
        return report(settings, str(event["capacity"]))
    plan = dry_run(settings, event["team"], event.get("records", []))
    logger.info("dry run", extra={"changes": plan["count"], "obstacles": plan["obstacles"]})
    return plan
