"""Dry runs: the plan that podshare itself makes, with candidates in the registry's place."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from podshare_cli.connection import Connection
from podshare_cli.failures import Failure


def dry_run(connection: Connection, team: str, records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The plan for a team if the registry held ``records``; ``{"id": …, "deleted": true}`` deletes one.

    Raises Failure if the function that plans fails.
    """
    asked = {"team": team, "dry_run": True, "records": list(records)}
    return ask(connection, asked, f"The plan for team {team} failed in")


def ask(connection: Connection, asked: Mapping[str, Any], failed: str) -> dict[str, Any]:
    """The answer of the function that plans. Raises Failure, which begins with ``failed``, if it fails."""
    answer = connection.client("lambda").invoke(
        FunctionName=connection.plan_function, Payload=json.dumps(asked, default=str).encode()
    )
    parsed = json.loads(answer["Payload"].read())
    if answer.get("FunctionError"):
        what = f"{failed} {connection.plan_function}: {parsed.get('errorMessage', parsed)}"
        raise Failure(what, f"Its log group is /aws/lambda/{connection.plan_function}.")
    return dict(parsed)
