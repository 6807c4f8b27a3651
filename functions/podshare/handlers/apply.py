"""Make changes of one kind of work: what the four functions have in common, each of which has rights of its own.

Each has a module of its own too, because a deployment changes a function's code and its handler's name in two steps.
"""

from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from podshare.aws.errors import Terminal
from podshare.handlers.environment import as_handler, logger, settings
from podshare.kinds.base import ExecutionRole
from podshare.reconcile.applying import FunctionBatch, apply


def handler_of(execution_role: ExecutionRole) -> Callable[[dict[str, Any], LambdaContext], dict[str, Any]]:
    """The handler of the function for ``execution_role``."""

    @as_handler
    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        """``{team, lease, changes}`` → ``{results, again, wait_seconds}``: what became of each change, what is left."""
        former = "change" in event  # an execution keeps the definition that it began with: 0.1.0 asked for one change
        batch = FunctionBatch.of({**event, "changes": [event["change"]]} if former else event)
        made = apply(settings, execution_role, batch, lambda: context.get_remaining_time_in_millis() / 1000)
        for change in (*made["results"], *made["again"]):
            _log(change)
        return _as_before(*made["results"], *made["again"]) if former else made

    return handler


def _as_before(change: dict[str, Any]) -> dict[str, Any]:
    """What became of one change, as version 0.1.0 reported it. Raises Terminal for one that failed."""
    if change["status"] == "failed":
        raise Terminal(change["detail"])
    status = "pending" if change["status"] == "again" else change["status"]
    return {**change, "status": status, "failure": change.get("reason", "")}


def _log(change: Mapping[str, Any]) -> None:
    subject = {"change": change["key"], "account": change["account"], "action": change["action"]}
    if change["status"] == "failed":
        logger.warning("failed", extra={**subject, "reason": change["detail"]})
    else:
        logger.info("change", extra={**subject, "status": change["status"], "detail": change.get("detail", "")})
