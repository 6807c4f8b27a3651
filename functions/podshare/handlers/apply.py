"""Make changes of one kind of work; four functions, each with rights of its own, have this handler."""

import os
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from podshare.handlers.environment import as_handler, logger, settings
from podshare.kinds.base import Work
from podshare.reconcile.applying import Batch, apply

WORK = Work(os.environ["WORK"])


@as_handler
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """``{team, lease, changes}`` → ``{results, again, wait_seconds}``: what became of each change, and what is left."""
    made = apply(settings, WORK, Batch.of(event), lambda: context.get_remaining_time_in_millis() / 1000)
    for change in (*made["results"], *made["again"]):
        _log(change)
    return made


def _log(change: Mapping[str, Any]) -> None:
    subject = {"change": change["key"], "account": change["account"], "action": change["action"]}
    if change["status"] == "failed":
        logger.warning("failed", extra={**subject, "reason": change["detail"]})
    else:
        logger.info("change", extra={**subject, "status": change["status"], "detail": change.get("detail", "")})
