"""Playing samples of triggers on a sandbox, in AWS's place."""

import datetime
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from podshare.registry.sentences import counted
from podshare_cli.failures import invalid

if TYPE_CHECKING:
    from podshare_sandbox import Sandbox

Sample = Mapping[str, Any]
PATIENCE = 120.0  # real seconds until podshare must be quiet again
_REMEDY = "See events/README.md for what a sample holds."
_ENVELOPE = ("source", "detail-type", "account", "region", "detail")


def play(sandbox: "Sandbox", sample: Sample, name: str) -> dict[str, Any]:
    """Let a sample happen, wait until the sandbox is idle, and return the executions that have begun since.

    ``name`` is the sample's own, such as ``move-account``; a schedule is found by it. ``still`` says what runs on
    after the longest wait. Raises Failure for what is no sample of anything.
    """
    before = {execution["executionArn"] for execution in _executions(sandbox)}
    happened = _let_happen(sandbox, sample, name)
    still = ""
    try:
        sandbox.settle(PATIENCE)
    except TimeoutError as error:
        still = str(error)
    begun = [execution for execution in _executions(sandbox) if execution["executionArn"] not in before]
    reports = [
        _execution_report(sandbox, execution)
        for execution in sorted(begun, key=lambda execution: execution["startDate"])
    ]
    return {"happened": happened, "executions": reports, "still": still}


def keys_of(account: str) -> tuple[str, str]:
    """The access key and secret of an account's administrator. Raises Failure if the sandbox has no such account."""
    from podshare_sandbox.authorization import UnknownAccessKey, UnusableAccount, identify
    from podshare_sandbox.new_accounts import admin_credentials

    key = admin_credentials(account)
    try:
        identify(key.access_key)
    except UnusableAccount:  # it exists; that AWS refuses its calls is for the caller to see
        pass
    except UnknownAccessKey:
        raise invalid(f"The sandbox has no account {account}.") from None
    return key.access_key, key.secret_key


def _let_happen(sandbox: "Sandbox", sample: Sample, name: str) -> str:
    if all(part in sample for part in _ENVELOPE):
        return _event(sample)
    if isinstance(sample.get("Records"), list):
        return _records(sandbox, sample["Records"])
    return _schedule(sandbox, sample, name)


def _event(event: Sample) -> str:
    from podshare_sandbox import delivery

    account, region = str(event["account"]), str(event["region"])
    delivery.put_event(account, region, event)
    return f"{event['source']} reported {event['detail'].get('eventName', event['detail-type'])} in {account}, {region}"


def _records(sandbox: "Sandbox", records: list[Sample]) -> str:
    """Write what a stream's batch reports; the table's stream then reports it by itself."""
    for record in records:
        region, account, table = _table_of(record)
        change, client = record["dynamodb"], sandbox.client("dynamodb", account, region)
        if "NewImage" in change:
            client.put_item(TableName=table, Item=change["NewImage"])
        else:
            client.delete_item(TableName=table, Key=change["Keys"])
    tables = ", ".join(sorted({_table_of(record)[2] for record in records}))
    return f"wrote {counted(len(records), 'change')} to {tables}"


def _table_of(record: Sample) -> tuple[str, str, str]:
    _, _, _, region, account, resource = str(record["eventSourceARN"]).split(":", 5)
    return region, account, resource.split("/")[1]


def _schedule(sandbox: "Sandbox", sample: Sample, name: str) -> str:
    """Fire the schedule of this name, if the sample is what it sends."""
    from podshare_sandbox import delivery

    scheduler = sandbox.client("scheduler")
    schedules = [each for each in scheduler.list_schedules()["Schedules"] if each["Name"].endswith(f"-{name}")]
    if len(schedules) != 1:
        raise invalid(f"{name} holds no event, no records of a stream, and names no schedule.", _REMEDY)
    schedule = scheduler.get_schedule(Name=schedules[0]["Name"])
    if json.loads(schedule["Target"].get("Input", "{}")) != sample:
        raise invalid(
            f"The schedule {schedule['Name']} sends {schedule['Target'].get('Input')}, not what {name} holds."
        )
    delivery.fire_schedule(schedule["Arn"])
    return f"the schedule {schedule['Name']} fired"


def _executions(sandbox: "Sandbox") -> Iterator[dict[str, Any]]:
    """All executions of the hub's state machines."""
    stepfunctions = sandbox.client("stepfunctions")
    for machine in stepfunctions.list_state_machines()["stateMachines"]:
        pages = stepfunctions.get_paginator("list_executions").paginate(stateMachineArn=machine["stateMachineArn"])
        for page in pages:
            yield from page["executions"]


def _execution_report(sandbox: "Sandbox", execution: Mapping[str, Any]) -> dict[str, Any]:
    """One execution and what came of it, in the words of its own output."""
    described = sandbox.client("stepfunctions").describe_execution(executionArn=execution["executionArn"])
    output = json.loads(described.get("output") or "{}")
    came = [str(output[name]) for name in ("summary", "reason", "paused") if output.get(name)]
    if output.get("status") == "left":
        came = ["left to the execution that has the team"]
    stopped: datetime.datetime | None = described.get("stopDate")
    return {
        "machine": described["stateMachineArn"].rpartition(":")[2],
        "execution": described["executionArn"],
        "status": described["status"],
        "seconds": round((stopped - described["startDate"]).total_seconds(), 1) if stopped else None,
        "outcome": came[0] if came else str(described.get("cause") or ""),
    }
