"""Answer people: what a reconciliation would change, and the available capacity. Its role writes nothing."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ValidationError

from podshare.aws.errors import Terminal
from podshare.handlers.environment import as_handler, logger, settings
from podshare.reconcile.planning import dry_run
from podshare.reconcile.quota_fit import report


class _Record(BaseModel):
    """What is wrong in its other fields the registry's own models say."""

    id: str


class _Question(BaseModel):
    team: str
    records: list[_Record] = []
    adopting: bool = False


@as_handler
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """``{team, records}`` → the plan if the registry held ``records``; ``{capacity: cluster}`` → who has what.

    ``adopting``: if the team's compute quotas, which somebody else made, were podshare's besides. Raises Terminal for
    any other question: people ask this function themselves.
    """
    if "capacity" in event:
        return report(settings, str(event["capacity"]))
    _check(event)
    plan = dry_run(settings, event["team"], event.get("records", []), adopting=event.get("adopting", False))
    logger.info("dry run", extra={"changes": plan["count"], "obstacles": plan["obstacles"]})
    return plan


def _check(event: dict[str, Any]) -> None:
    try:
        _Question.model_validate(event)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise Terminal(
            f'{where}: {first["msg"]}. Ask {{"team": NAME, "records": [{{"id": …}}, …]}} or {{"capacity": CLUSTER}}.'
        ) from error
