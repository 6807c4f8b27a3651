"""From an event to executions: an event only says who may have changed."""

import datetime
import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from podshare.aws.errors import code_of
from podshare.aws.rows import DELETED_RECORD, LONGEST_PART, RECORDS, Item, from_item, moment
from podshare.aws.sessions import hub_client
from podshare.aws.settings import Settings
from podshare.aws.tables import Registry, State
from podshare.kinds import names
from podshare.reconcile.affected_teams import teams_of_account, teams_of_record
from podshare.reconcile.organization_accounts import last_seen
from podshare.registry.declared import declaration_of
from podshare.registry.items import PAUSE_ID, is_name
from podshare.registry.parsing import parse
from podshare.registry.problems import InvalidRecord
from podshare.registry.records import Dataset
from podshare.registry.values import LONGEST_TEAM

MOST_ATTEMPTS = 5
FIRST_PAUSE_SECONDS = 30
LONGEST_SIGNED = 2048  # characters of what a trigger repeats from a record
_TRIGGERS_REPEAT = ("by", "reason", "commit", "version")


def registry_changed(settings: Settings, record: Mapping[str, Any]) -> dict[str, str]:
    """Start the reconciliations that one record of the registry's stream asks for; returns their names by team.

    A record that is no team's is also judged, so that its writer sees what is wrong with it before a team uses it.
    """
    change = record["dynamodb"]
    record_id = str(change["Keys"]["id"]["S"])
    kind, _, name = record_id.partition("#")
    image = change.get("NewImage")
    teams: list[str] = []
    if kind in ("team", "approval") and is_name(name, LONGEST_TEAM):
        # one that was confirmed comes with the write that starts its team
        teams = [name] if kind == "team" or (image and "confirmed" not in image) else []
    elif kind in ("cluster", "dataset", "enrollment"):
        teams = teams_of_record(settings, kind, name)
    elif kind == "block":
        teams = teams_of_account(settings, last_seen(settings, name))
    if kind != "team" or not teams:  # a team is judged by its reconciliation
        item = Registry(settings.registry).get([record_id]).get(record_id)
        _judge(State(settings.state), record_id, item, is_new=record["eventName"] != "MODIFY")
    trigger = {
        "event": "registry",
        "record": record_id,
        "change": record["eventName"],
        **_declared(change),
        "at": moment(change.get("ApproximateCreationDateTime")),
        "id": record["eventID"],
    }
    if record_id == PAUSE_ID and not image:
        return _start_waiting(settings, trigger)
    return {team: start(settings, team, trigger) for team in teams}


def _start_waiting(settings: Settings, trigger: Mapping[str, Any]) -> dict[str, str]:
    """Start the teams for which something was asked during the pause, deleted ones too.

    Each request has an execution of its own, and is forgotten unless there is a newer one: the end of a pause may be
    delivered again when the next pause has begun, and what was asked for in that one waits for its end.
    """
    state, started = State(settings.state), dict[str, str]()
    for row in state.query(PAUSE_ID, "waiting#"):
        team, request = str(row["team"]), str(row.get("requested_by", ""))
        name, execution_input = execution(team, {**trigger, "id": f"{trigger['id']}/{request}"})
        start_once(settings.machine, name, {**execution_input, "trigger": dict(trigger)})
        is_same = "requested_by = :request" if request else "attribute_not_exists(requested_by)"
        values = {"request": request} if request else {}
        state.write_alone(state.deleting(PAUSE_ID, str(row["part"]), is_same, **values))
        started[team] = name
    return started


def start(settings: Settings, team: str, trigger: Mapping[str, Any], attempt: int = 0) -> str:
    """Start a team's reconciliation and return its name: the same trigger has the same. Attempts pause ever longer."""
    name, execution_input = execution(team, trigger, attempt)
    start_once(settings.machine, name, execution_input)
    return name


def execution(team: str, trigger: Mapping[str, Any], attempt: int = 0) -> tuple[str, dict[str, Any]]:
    """The name and the input of a team's reconciliation: the same trigger has the same."""
    execution_input: dict[str, Any] = {"team": team, "trigger": dict(trigger), "attempt": attempt}
    if attempt:
        execution_input["pause_seconds"] = FIRST_PAUSE_SECONDS * 2 ** (attempt - 1)
    return names.execution(_execution_subject(team), f"{trigger['id']}/{attempt}"), execution_input


def trigger_of(event: Mapping[str, Any], kind: str, record: str) -> dict[str, Any]:
    """What an execution says about the CloudTrail event that started it: which call, by whom, when."""
    detail = event["detail"]
    identity = detail.get("userIdentity")
    return {
        "event": kind,
        "record": record,
        "change": str(detail.get("eventName", "")),
        "by": str(identity.get("arn", "")) if isinstance(identity, Mapping) else "",
        "at": str(event.get("time", "")),
        "id": event_id(event),
    }


def trigger_of_sweep(sweep: Mapping[str, str], team: str) -> dict[str, str]:
    """What a sweep's runs say of what started them."""
    trigger = {"event": "sweep", "record": f"team#{team}", "change": "", "by": sweep.get("by", "")}
    return {**trigger, "at": sweep["at"], "id": f"sweep/{sweep['id']}"}


def event_id(event: Mapping[str, Any]) -> str:
    """CloudTrail's own id of an event, which stays the same when the event comes again."""
    return str(event["detail"].get("eventID") or event["id"])


def start_once(machine: str, name: str, execution_input: Mapping[str, Any]) -> str:
    """Start the execution of this name unless it was started before; returns its ARN."""
    try:
        hub_client("stepfunctions").start_execution(
            stateMachineArn=machine, name=name, input=json.dumps(execution_input, sort_keys=True)
        )
    except ClientError as error:
        if code_of(error) != "ExecutionAlreadyExists":  # a redelivered event
            raise
    return f"{machine.replace(':stateMachine:', ':execution:')}:{name}"


def execution_ended(settings: Settings, detail: Mapping[str, Any]) -> str | None:
    """Start a team again whose execution failed; returns the team, or None once it was tried often enough."""
    parsed = json.loads(detail["input"])
    team, attempt = str(parsed["team"]), int(parsed.get("attempt", 0)) + 1
    if attempt >= MOST_ATTEMPTS:
        return None
    trigger = {
        "event": "recovery",
        "record": f"team#{team}",
        "change": detail["status"],
        "by": "",
        "at": moment(detail.get("stopDate", 0) / 1000),
        # whoever is redriven may fail once more
        "id": f"{detail['executionArn']}/{detail.get('redriveCount', 0)}",
    }
    start(settings, team, trigger, attempt)
    return team


def _execution_subject(team: str) -> str:
    """A record's id may hold what an execution's name may not; the input then names the team."""
    return "".join(character if character.isascii() and character.isalnum() else "-" for character in team) or "team"


def _judge(state: State, record_id: str, item: Item | None, *, is_new: bool) -> None:
    """Write whether a record is acceptable, and keep it if it is.

    ``is_new``: it is written for the first time, or again, or was deleted. A dataset's former record bounds no new one.
    """
    state_of_record, problems, record = "DELETED", list[dict[str, str]](), None
    if item is not None:
        try:
            state_of_record, record = "ACCEPTED", parse(item)
        except InvalidRecord as error:
            state_of_record, problems = "REJECTED", [problem.as_dict() for problem in error.problems]
    if isinstance(record, Dataset):  # a cluster is kept by the planner, which knows its HyperPod cluster's ARN
        state.put(record_id, "accepted", record=record.model_dump_json(by_alias=True))
    elif is_new and record_id.startswith("dataset#"):
        state.put(record_id, "accepted", **DELETED_RECORD)
    # an id may be longer than a part
    part = record_id.encode()[:LONGEST_PART].decode(errors="ignore")
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    state.put(RECORDS, part, state=state_of_record, at=now, problems=problems)


def _declared(change: Mapping[str, Any]) -> Item:
    """Who wrote a record, which version and why, as the writer declared it with this write; nobody for an edit by hand.

    As far as it can be that: an execution's input has at most 256 KiB (Step Functions quotas).
    """
    image, before = (_readable(change.get(name) or {}) for name in ("NewImage", "OldImage"))
    declared = {"by": "", **declaration_of(image, before)}
    fields = {name: declared[name] for name in _TRIGGERS_REPEAT if name in declared}
    return {name: value[:LONGEST_SIGNED] if isinstance(value, str) else value for name, value in fields.items()}


def _readable(image: Item) -> Item:
    """An image of the stream in plain values; of binary values, which the command never writes, there are none."""
    try:
        return from_item(image)
    except TypeError:
        return {}
