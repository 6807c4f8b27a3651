"""From an event to executions: an event only says who may have changed."""

import datetime
import json
from collections.abc import Iterable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from podshare.aws.errors import code_of
from podshare.aws.sessions import hub_client
from podshare.aws.settings import Settings
from podshare.aws.tables import Item, Registry, State, from_item
from podshare.domain import names
from podshare.domain.records import PAUSE_ID, Cluster, Dataset, InvalidRecord, Pause, Team, parse, plain

MOST_ATTEMPTS = 5
FIRST_PAUSE_SECONDS = 30


def registry_changed(settings: Settings, record: Mapping[str, Any]) -> list[str]:
    """Start the reconciliations that one record of the registry's stream asks for; returns the teams.

    A cluster or dataset record is also judged, so that its writer sees what is wrong with it before a team uses it.
    """
    change = record["dynamodb"]
    record_id = str(change["Keys"]["id"]["S"])
    kind, _, name = record_id.partition("#")
    image = from_item(change["NewImage"]) if "NewImage" in change else None
    registry = Registry(settings.registry)
    if kind == "team":
        teams = [name]
    elif kind in ("cluster", "dataset"):
        _judge(State(settings.state), record_id, registry.get([record_id]).get(record_id))
        teams = sorted(_users(registry.scan(), kind, name))
    elif kind == "pause":
        teams = [] if image else _paused_teams(State(settings.state))
    else:
        _judge(State(settings.state), record_id, image)
        teams = []
    trigger = {
        "event": "registry",
        "record": record_id,
        "change": record["eventName"],
        "by": str((image or {}).get("changed_by", "")),
        "at": _time(change.get("ApproximateCreationDateTime")),
        "id": record["eventID"],
    }
    for team in teams:
        start(settings, team, trigger)
        if kind == "pause":
            State(settings.state).delete(PAUSE_ID, f"waiting#{team}")
    return teams


def _paused_teams(state: State) -> list[str]:
    """The teams for which something was asked during the pause, deleted ones too."""
    return [str(row["team"]) for row in state.query(PAUSE_ID, "waiting#")]


def start(settings: Settings, team: str, trigger: Mapping[str, Any], attempt: int = 0) -> None:
    """Start a team's reconciliation; the same trigger is the same execution. Each further attempt pauses longer."""
    given = {"team": team, "trigger": dict(trigger), "attempt": attempt}
    if attempt:
        given["pause_seconds"] = FIRST_PAUSE_SECONDS * 2 ** (attempt - 1)
    try:
        hub_client("stepfunctions").start_execution(
            stateMachineArn=settings.machine,
            name=names.execution(_execution_subject(team), f"{trigger['id']}/{attempt}"),
            input=json.dumps(given, sort_keys=True),
        )
    except ClientError as error:
        if code_of(error) != "ExecutionAlreadyExists":  # a redelivered event
            raise


def execution_ended(settings: Settings, detail: Mapping[str, Any]) -> str | None:
    """Start a team again whose execution ended badly; returns the team, or None once it was tried often enough."""
    given = json.loads(detail["input"])
    team, attempt = str(given["team"]), int(given.get("attempt", 0)) + 1
    if attempt >= MOST_ATTEMPTS:
        return None
    trigger = {
        "event": "recovery",
        "record": f"team#{team}",
        "change": detail["status"],
        "by": "",
        "at": _time(detail.get("stopDate", 0) / 1000),
        "id": detail["executionArn"],
    }
    start(settings, team, trigger, attempt)
    return team


def _execution_subject(team: str) -> str:
    """A record's id may hold what an execution's name may not; the input then names the team."""
    return "".join(character if character.isascii() and character.isalnum() else "-" for character in team) or "team"


def _users(items: Iterable[Item], kind: str, name: str) -> Iterable[str]:
    """The teams that name a cluster or dataset, also in records that are not acceptable."""
    for item in filter(_is_team, items):
        uses = item.get("cluster") == name if kind == "cluster" else _mentions(item.get("service_accounts"), name)
        if uses:
            yield str(item["id"]).partition("#")[2]


def _mentions(value: Any, name: str) -> bool:
    if isinstance(value, Mapping):
        return value.get("dataset") == name or any(_mentions(item, name) for item in value.values())
    return isinstance(value, list) and any(_mentions(item, name) for item in value)


def _is_team(item: Item) -> bool:
    return str(item.get("id", "")).startswith("team#")


def _judge(state: State, record_id: str, item: Item | None) -> None:
    """Write whether a record is acceptable, and keep it if it is."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    if item is None:
        state.put(record_id, "status", state="DELETED", at=now, problems=[])
        return
    try:
        found = parse(item)
    except InvalidRecord as error:
        problems = [problem.as_dict() for problem in error.problems]
        state.put(record_id, "status", state="REJECTED", at=now, problems=problems)
        return
    match found:
        case Dataset():
            state.put(record_id, "accepted", record=found.model_dump_json(by_alias=True))
        case Cluster() | Team() | Pause():
            pass  # a cluster is kept by the planner, which knows its HyperPod cluster's ARN
    state.put(record_id, "status", state="ACCEPTED", at=now, problems=[])


def _time(seconds: Any) -> str:
    return datetime.datetime.fromtimestamp(float(plain(seconds) or 0), datetime.UTC).isoformat(timespec="seconds")
