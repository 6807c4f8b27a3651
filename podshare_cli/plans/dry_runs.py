"""Dry runs: the plan that podshare itself makes, with candidates in the registry's place."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from podshare.registry.items import enrolled, kind_of
from podshare_cli.aws.connection import Connection
from podshare_cli.failures import Failure

PLANS_AT_ONCE = 4  # half of what a new AWS account runs at once is left to podshare's own runs


def dry_run(
    connection: Connection, team: str, records: Iterable[Mapping[str, Any]], *, adopting: bool = False
) -> dict[str, Any]:
    """The plan for a team if the registry held ``records``; ``{"id": …, "deleted": true}`` deletes one.

    ``adopting``: if the team's compute quotas were handed over besides. Raises Failure if the function that answers
    dry runs fails.
    """
    asked = {"team": team, "records": list(records), **({"adopting": True} if adopting else {})}
    return ask(connection, asked, f"The plan for team {team} failed in")


def dry_runs(
    connection: Connection,
    teams: Iterable[str],
    records: Sequence[Mapping[str, Any]],
    planned: Callable[[int, int], None] = lambda _done, _of: None,
    *,
    adopting: bool = False,
) -> dict[str, dict[str, Any] | Failure]:
    """The plan of each team, or why there is none, several at once.

    ``planned`` is called at the beginning and as each is there, with how many teams are planned, and of how many.
    """
    connection.client("lambda")  # its making is not for several threads

    def plan_or_failure(team: str) -> dict[str, Any] | Failure:
        try:
            return dry_run(connection, team, _counting_for(team, records), adopting=adopting)
        except Failure as failure:  # of one team; what is refused is refused for all
            return failure

    with ThreadPoolExecutor(PLANS_AT_ONCE) as pool:
        running = {pool.submit(plan_or_failure, team): team for team in sorted(set(teams))}
        planned(0, len(running))
        for done, _ in enumerate(as_completed(running), 1):
            planned(done, len(running))
        return {team: future.result() for future, team in running.items()}


def _counting_for(team: str, records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those of ``records`` that may count for a team: all but other enrollments; of other teams, their quotas."""
    made_by = enrolled(team)
    own = {f"team#{team}", f"enrollment#{made_by[0] if made_by else ''}"}
    counting = [record for record in records if record["id"] in own or kind_of(record) not in ("team", "enrollment")]
    others = (record for record in records if record["id"] not in own and kind_of(record) == "team")
    return [*counting, *map(_quota_alone, others)]


def _quota_alone(team: Mapping[str, Any]) -> Mapping[str, Any]:
    """A valid record that asks for the quota and nothing else: a request has at most 6 MB (Lambda quotas)."""
    kept = ("id", "cluster", "quota", "owner", "reason", "deleted")
    return {"members": [], **{name: team[name] for name in kept if name in team}}


def ask(connection: Connection, asked: Mapping[str, Any], failed: str) -> dict[str, Any]:
    """The answer of the function that answers dry runs.

    Raises Failure, which begins with ``failed``, if it fails, or does not answer in time.
    """
    from botocore.exceptions import ReadTimeoutError

    client, payload = connection.client("lambda"), json.dumps(asked, default=str).encode()
    try:
        answer = client.invoke(FunctionName=connection.dry_run_function, Payload=payload)
    except (ReadTimeoutError, client.exceptions.TooManyRequestsException) as error:
        raise Failure(f"{failed} {connection.dry_run_function}, which did not answer in time: {error}") from error
    parsed = json.loads(answer["Payload"].read())
    if answer.get("FunctionError"):
        message = f"{failed} {connection.dry_run_function}: {parsed.get('errorMessage', parsed)}"
        raise Failure(message, f"Its log group is /aws/lambda/{connection.dry_run_function}.")
    return dict(parsed)
