"""The hub: whether podshare is deployed, can run, and is seen to when something goes wrong.

Sources: Lambda developer guide, "Lambda runtimes" and "Lambda quotas"; EventBridge user guide, event buses.
"""

import datetime
import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from podshare.registry.sentences import counted
from podshare_cli.aws.connection import Connection
from podshare_cli.aws.tables import State
from podshare_cli.commands.doctor.findings import Finding, Place, existing
from podshare_cli.history.objects import History

PLACE = Place("hub")
# when AWS ends its support of a runtime ("Lambda runtimes")
_RUNTIMES = {
    "python3.11": datetime.date(2027, 6, 30),
    "python3.12": datetime.date(2028, 10, 31),
    "python3.13": datetime.date(2029, 6, 30),
    "python3.14": datetime.date(2029, 6, 30),
}
_SOON = datetime.timedelta(days=180)
COMFORTABLE = 100  # concurrent executions: a sweep beside several teams' runs
_QUOTA = (
    "aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384 "
    "--desired-value 1000"
)
_ANYBODY = re.compile(r'"Principal": ("\*"|\{"AWS": "\*"\})')
_OVERDUE = datetime.timedelta(hours=26)  # a night's sweep, and two hours
_DEPLOY = "make build && .venv-sam/bin/sam deploy --guided"
_POLICIES = ("service control policy", "resource control policy", "explicit deny")


def environment(connection: Connection) -> dict[str, str] | None:
    """What the hub's functions know of their deployment; None where podshare is not deployed. Raises ClientError."""
    client = connection.client("lambda")
    answer = existing(client.get_function_configuration, FunctionName=connection.plan_function)
    return None if answer is None else dict(answer.get("Environment", {}).get("Variables", {}))


def absent(connection: Connection) -> Iterator[Finding]:
    """What is said of a hub that is not there, and whether one could run here."""
    message = f"podshare is not deployed in account {connection.account}, {connection.region}"
    yield PLACE.unknown("deployment", message, _DEPLOY)
    yield from PLACE.made("concurrency", lambda: _concurrency(connection))


def findings(connection: Connection) -> Iterator[Finding]:
    """All checks of a hub that is deployed."""
    checks: dict[str, Callable[[Connection], Iterator[Finding]]] = {
        "tables": _tables,
        "state machines": _machines,
        "functions": _functions,
        "runtime": _runtime,
        "concurrency": _concurrency,
        "event buses": _buses,
        "failures": _failures,
        "alarms": _alarms,
        "notifications": _notifications,
        "history": _history,
        "sweep": _sweep,
        "refusals": _refusals,
    }
    for name, check in checks.items():
        yield from PLACE.made(name, partial(check, connection))


def _client(connection: Connection, service: str) -> Any:
    session: Any = connection.session  # the stubs know a fixed set of literals only
    return session.client(service)


def _tables(connection: Connection) -> Iterator[Finding]:
    for name in (connection.registry_table, connection.state_table):
        table = _client(connection, "dynamodb").describe_table(TableName=name)["Table"]
        if table["TableStatus"] not in ("ACTIVE", "UPDATING"):
            yield PLACE.problem("tables", f"table {name} is {table['TableStatus']}", _DEPLOY)
        elif not table.get("DeletionProtectionEnabled"):
            remedy = f"aws dynamodb update-table --table-name {name} --deletion-protection-enabled"
            yield PLACE.warning("tables", f"table {name} has no deletion protection", remedy)
        else:
            yield PLACE.ok("tables", f"table {name} is {table['TableStatus']}")


def _machines(connection: Connection) -> Iterator[Finding]:
    for arn in (connection.machine, connection.sweep_machine):
        status = connection.client("stepfunctions").describe_state_machine(stateMachineArn=arn)["status"]
        name = arn.rpartition(":")[2]
        if status == "ACTIVE":
            yield PLACE.ok("state machines", f"{name} is ACTIVE")
        else:
            yield PLACE.problem("state machines", f"{name} is {status}", _DEPLOY)


def _functions(connection: Connection) -> Iterator[Finding]:
    name = connection.dry_run_function
    if existing(connection.client("lambda").get_function_configuration, FunctionName=name) is None:
        missing = f"function {name} is missing: the hub is of an earlier version than this command, which cannot plan"
        yield PLACE.problem("functions", missing, _DEPLOY)
    else:
        yield PLACE.ok("functions", f"{name} answers dry runs")


def _runtime(connection: Connection) -> Iterator[Finding]:
    answer = connection.client("lambda").get_function_configuration(FunctionName=connection.plan_function)
    runtime, today = str(answer.get("Runtime")), datetime.datetime.now(datetime.UTC).date()
    ends = _RUNTIMES.get(runtime)
    if ends is None:
        yield PLACE.warning("runtime", f"{runtime}: this version of podshare does not know when AWS ends its support")
    elif ends - today < _SOON:
        yield PLACE.warning("runtime", f"AWS ends its support of {runtime} on {ends}", _DEPLOY)
    else:
        yield PLACE.ok("runtime", f"{runtime}, supported until {ends}")


def _concurrency(connection: Connection) -> Iterator[Finding]:
    limits = connection.client("lambda").get_account_settings()["AccountLimit"]
    free = limits["UnreservedConcurrentExecutions"]
    if free < COMFORTABLE:
        message = f"{free} functions may run concurrently in this account and Region: sweeps are slow, and runs wait"
        yield PLACE.warning("concurrency", message, _QUOTA)
    else:
        yield PLACE.ok("concurrency", f"{free:,} functions may run concurrently")


def _buses(connection: Connection) -> Iterator[Finding]:
    variables = environment(connection) or {}
    expected = {
        f"{connection.prefix}-organization": variables.get("PODSHARE_MANAGEMENT_ACCOUNT", ""),
        f"{connection.prefix}-drift": variables.get("PODSHARE_ORGANIZATION", ""),
    }
    for name, whose in expected.items():
        policy = _client(connection, "events").describe_event_bus(Name=name).get("Policy") or "{}"
        texts = [json.dumps(statement) for statement in _statements(policy) if statement["Effect"] == "Allow"]
        if not any(whose in text for text in texts):
            yield PLACE.problem("event buses", f"the policy of bus {name} does not admit {whose}", _DEPLOY)
        elif any(_ANYBODY.search(text) and "aws:PrincipalArn" not in text for text in texts):
            message = (
                f"the policy of bus {name} lets anybody put events, past every permissions boundary of this account"
            )
            yield PLACE.problem("event buses", message, _DEPLOY)
        else:
            yield PLACE.ok("event buses", f"bus {name} admits {whose}")


def _statements(policy: str) -> list[Mapping[str, Any]]:
    statements = json.loads(policy).get("Statement", [])
    return statements if isinstance(statements, list) else [statements]


def _failures(connection: Connection) -> Iterator[Finding]:
    sqs = _client(connection, "sqs")
    waiting = {}
    for url in sqs.list_queues(QueueNamePrefix=f"{connection.prefix}-").get("QueueUrls", []):
        names = ["ApproximateNumberOfMessages"]
        count = int(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"][names[0]])
        if count and url.endswith("-failures"):
            waiting[url.rpartition("/")[2]] = count
    for name, count in waiting.items():
        message = f"{count} dead-lettered events in queue {name} were not followed"
        yield PLACE.warning("failures", message, "podshare sweep, then delete the messages")
    if not waiting:
        yield PLACE.ok("failures", "no event was dead-lettered")


def _alarms(connection: Connection) -> Iterator[Finding]:
    pages = _client(connection, "cloudwatch").get_paginator("describe_alarms")
    alarms = [
        alarm
        for page in pages.paginate(AlarmNamePrefix=f"{connection.prefix}-")
        for alarm in (*page.get("MetricAlarms", []), *page.get("CompositeAlarms", []))
    ]
    ringing = sorted(alarm["AlarmName"] for alarm in alarms if alarm["StateValue"] == "ALARM")
    for name in ringing:
        yield PLACE.warning("alarms", f"{name} is in ALARM", f"aws cloudwatch describe-alarms --alarm-names {name}")
    if alarms and not ringing:
        yield PLACE.ok("alarms", f"{counted(len(alarms), 'alarm')}, none in ALARM")
    if not alarms:
        yield PLACE.problem("alarms", "podshare's alarms are missing", _DEPLOY)
    topics = {action for alarm in alarms for action in alarm.get("AlarmActions", []) if ":sns:" in action}
    if not topics:
        message = "no alarm is sent to anybody: AlarmTopicArn is empty"
        yield PLACE.warning("alarm topic", message, "sam deploy --parameter-overrides AlarmTopicArn=ARN")
    for topic in sorted(topics):
        yield from _subscriptions(connection, "alarm topic", topic, PLACE.problem)


def _notifications(connection: Connection) -> Iterator[Finding]:
    """Whether somebody hears of events, where the parameter Notifications is on."""
    partition = connection.installation.partition
    topic = f"arn:{partition}:sns:{connection.region}:{connection.account}:{connection.prefix}-notifications"
    if existing(_client(connection, "sns").get_topic_attributes, TopicArn=topic) is None:
        yield PLACE.ok("notifications", "off: there is no topic")
    else:
        yield from _subscriptions(connection, "notifications", topic, PLACE.warning)


def _subscriptions(
    connection: Connection, check: str, topic: str, finding: Callable[[str, str, str], Finding]
) -> Iterator[Finding]:
    """Who hears of a topic; ``finding`` is how bad it is if nobody does."""
    pages = _client(connection, "sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
    arns = [each["SubscriptionArn"] for page in pages for each in page["Subscriptions"]]
    confirmed = [arn for arn in arns if arn.startswith("arn:")]
    if confirmed:
        yield PLACE.ok(check, f"{len(confirmed)} confirmed subscriptions of {topic}")
    else:
        pending = f", {len(arns)} pending" if arns else ""
        remedy = f"aws sns subscribe --topic-arn {topic} --protocol email --notification-endpoint ADDRESS"
        yield finding(check, f"topic {topic} notifies nobody: no confirmed subscription{pending}", remedy)


def _history(connection: Connection) -> Iterator[Finding]:
    """Whether the bucket retains what is added to it."""
    s3, bucket = _client(connection, "s3"), History(connection).bucket
    try:
        lock = s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucket":
            raise
        yield PLACE.problem("history", f"there is no bucket {bucket}: who had access when is not kept", _DEPLOY)
        return
    retention = lock.get("Rule", {}).get("DefaultRetention")
    if retention:
        days = f"{retention['Days']} days" if retention.get("Days") else f"{retention['Years']} years"
        yield PLACE.ok("history", f"bucket {bucket} retains each object for {days} ({retention['Mode']})")
    else:
        message = f"bucket {bucket} retains nothing: its default retention was removed"
        yield PLACE.problem("history", message, "sam deploy with HistoryLockMode and HistoryRetentionDays")


def _sweep(connection: Connection) -> Iterator[Finding]:
    sweep = State(connection).last_sweep()
    if sweep is None:
        yield PLACE.warning("sweep", "No sweep has completed yet", "podshare sweep")
        return
    at = datetime.datetime.fromisoformat(str(sweep["at"]))
    counts = {name: int(count) for name, count in sweep.get("counts", {}).items()}
    bad = [f"{count} {name}" for name, count in counts.items() if count and name in ("degraded", "held", "rejected")]
    completed = f"completed at {at.isoformat(timespec='minutes')}"
    if datetime.datetime.now(datetime.UTC) - at > _OVERDUE:
        yield PLACE.warning("sweep", f"the last sweep {completed}", "podshare sweep")
    elif bad:
        yield PLACE.warning("sweep", f"teams of the last sweep: {', '.join(bad)}", "podshare sweep --last")
    else:
        yield PLACE.ok("sweep", f"{completed}, all teams in sync")


def _refusals(connection: Connection) -> Iterator[Finding]:
    """Teams that a policy of the organization keeps from being provided, such as one that asks for tags."""
    refused = {
        team: str(problem["what"])
        for team, status in sorted(State(connection).statuses("team").items())
        for problem in status.get("problems", [])
        if any(word in str(problem.get("what", "")).lower() for word in _POLICIES)
    }
    for team, reason in refused.items():
        remedy = f"Exempt podshare's resources in the policy, then run: podshare team reconcile {team}"
        yield PLACE.problem("refusals", f"team {team}: {reason}", remedy)
    if not refused:
        yield PLACE.ok("refusals", "no team is denied by an organization policy")
