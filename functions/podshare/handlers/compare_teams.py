"""Compare teams of a sweep with one reading of what they share."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from podshare.handlers.environment import as_handler, logger, settings
from podshare.reconcile.comparing import compare


@as_handler
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """``{teams, sweep, execution}`` → ``{differing}``: the teams that need a run of their own."""

    def seconds_left() -> float:
        return context.get_remaining_time_in_millis() / 1000

    differing = compare(settings, event["teams"], event["sweep"], event["execution"], seconds_left)
    logger.info("compared", extra={"teams": len(event["teams"]), "differing": differing})
    return {"differing": [*differing]}
