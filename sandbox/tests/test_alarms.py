"""Alarms are evaluated as they are defined, on what a run has left behind; anything else in a definition is refused."""

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from podshare_sandbox import alarms, clock
from podshare_sandbox.alarms import ALARM, OK
from podshare_sandbox.organization import HUB, HUB_REGION
from podshare_sandbox.sandbox import Sandbox

GROUP = "/aws/lambda/worker"
DIMENSIONS = [{"Name": "service", "Value": "here"}]
TRUST = {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """The organization, with a log stream and in a hundredth of the time."""
    with Sandbox(time_scale=0.01) as running:
        logs = running.client("logs")
        logs.create_log_group(logGroupName=GROUP)
        logs.create_log_stream(logGroupName=GROUP, logStreamName="one")
        yield running


def put(sandbox: Sandbox, name: str, **definition: Any) -> None:
    """An alarm on more than 5, of one period of a minute, unless it is said otherwise."""
    given = {
        "MetricName": name,
        "Namespace": "mine",
        "Dimensions": DIMENSIONS,
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 5,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        **definition,
    }
    sandbox.client("cloudwatch").put_metric_alarm(
        AlarmName=name, **{key: value for key, value in given.items() if value}
    )


def write(sandbox: Sandbox, line: str, at: float = 0) -> None:
    """A line of the function, some seconds ago at the sandbox's scale."""
    moment = time.time() - clock.scaled(at)
    event = {"timestamp": int(moment * 1000), "message": line}
    sandbox.client("logs").put_log_events(logGroupName=GROUP, logStreamName="one", logEvents=[event])


def emit(
    sandbox: Sandbox, metric: str, value: float, *, at: float = 0, service: str = "here", namespace: str = "mine"
) -> None:
    """A metric in the embedded format."""
    directive = {"Namespace": namespace, "Dimensions": [["service"]], "Metrics": [{"Name": metric, "Unit": "Count"}]}
    document = {"_aws": {"Timestamp": 0, "CloudWatchMetrics": [directive]}, "service": service, metric: [value]}
    write(sandbox, json.dumps(document), at)


def test_values_of_one_period_count_together(sandbox: Sandbox) -> None:
    """The statistic is of all values of the period, and of those alone."""
    put(sandbox, "Sums")
    put(sandbox, "Maxima", MetricName="Sums", Statistic="Maximum")
    emit(sandbox, "Sums", 100, at=200)
    emit(sandbox, "Sums", 3)
    assert alarms.state_of("Sums") == OK
    emit(sandbox, "Sums", 3)
    assert alarms.state_of("Sums") == ALARM
    assert alarms.state_of("Maxima") == OK
    assert alarms.state_of("Sums", at=clock.now() + timedelta(seconds=clock.scaled(120))) == OK


def test_other_dimensions_are_another_metric(sandbox: Sandbox) -> None:
    """A value of the same name with another dimension, or in another namespace, does not count."""
    put(sandbox, "Theirs")
    emit(sandbox, "Theirs", 9, service="there")
    emit(sandbox, "Theirs", 9, namespace="theirs")
    assert alarms.state_of("Theirs") == OK
    assert "Theirs" in alarms.embedded_metrics()


def test_as_many_periods_breach_as_are_asked_for(sandbox: Sandbox) -> None:
    """All of them, unless fewer points are asked for."""
    put(sandbox, "All", EvaluationPeriods=3)
    put(sandbox, "Two", MetricName="All", EvaluationPeriods=3, DatapointsToAlarm=2)
    emit(sandbox, "All", 9)
    assert alarms.state_of("Two") == OK
    emit(sandbox, "All", 9, at=60)
    now = clock.now()
    assert (alarms.state_of("All", at=now), alarms.state_of("Two", at=now)) == (OK, ALARM)


def test_missing_data_is_treated_as_the_alarm_says(sandbox: Sandbox) -> None:
    """As breaching or as not breaching; other ways are refused."""
    put(sandbox, "Absent", TreatMissingData="breaching", ComparisonOperator="LessThanThreshold")
    put(sandbox, "Unheard")
    put(sandbox, "Kept", TreatMissingData="ignore")
    assert alarms.state_of("Absent") == ALARM
    assert alarms.state_of("Unheard") == OK
    with pytest.raises(NotImplementedError, match="missing data ignore"):
        alarms.state_of("Kept")


@pytest.mark.parametrize(
    ("name", "definition"),
    [
        ("Mean", {"Statistic": "Average"}),
        ("Instances", {"Namespace": "AWS/EC2", "MetricName": "CPUUtilization"}),
        ("Throttles", {"Namespace": "AWS/Lambda", "MetricName": "Throttles"}),
    ],
)
def test_what_is_not_derived_is_refused(sandbox: Sandbox, name: str, definition: dict[str, Any]) -> None:
    """No alarm is called quiet for want of an emulation."""
    put(sandbox, name, **definition)
    with pytest.raises(NotImplementedError):
        alarms.state_of(name)


def test_an_unhandled_exception_is_an_error_of_its_function(sandbox: Sandbox) -> None:
    """The runtime's line counts, a line of the function's own about an error does not."""
    put(
        sandbox, "Errors", Namespace="AWS/Lambda", Dimensions=[{"Name": "FunctionName", "Value": "worker"}], Threshold=1
    )
    write(sandbox, "[ERROR] ValueError: no")
    write(sandbox, json.dumps({"level": "ERROR", "message": "[ERROR]"}))
    assert alarms.state_of("Errors") == OK
    write(sandbox, "[ERROR] ValueError: no")
    assert alarms.state_of("Errors") == ALARM


def test_messages_are_counted_while_they_are_there(sandbox: Sandbox) -> None:
    """A queue's alarm is quiet again once the queue is empty."""
    sqs = sandbox.client("sqs")
    url = sqs.create_queue(QueueName="aside")["QueueUrl"]
    dimensions = [{"Name": "QueueName", "Value": "aside"}]
    of_queue = {"Namespace": "AWS/SQS", "MetricName": "ApproximateNumberOfMessagesVisible", "Dimensions": dimensions}
    put(sandbox, "Aside", **of_queue, Statistic="Maximum", Threshold=0.5)
    assert alarms.state_of("Aside") == OK
    sqs.send_message(QueueUrl=url, MessageBody="{}")
    assert alarms.state_of("Aside") == ALARM
    sqs.purge_queue(QueueUrl=url)
    assert alarms.state_of("Aside") == OK


def test_executions_count_where_they_ended_badly(sandbox: Sandbox) -> None:
    """A sum of metrics has those of each; an execution that succeeds is none."""
    trust = json.dumps({"Version": "2012-10-17", "Statement": [TRUST]})
    role = sandbox.client("iam").create_role(RoleName="machine", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    states = sandbox.client("stepfunctions")
    for name, end in (("good", "Succeed"), ("bad", "Fail")):
        definition = json.dumps({"StartAt": "End", "States": {"End": {"Type": end}}})
        states.create_state_machine(name=name, definition=definition, roleArn=role)
    arns = {name: f"arn:aws:states:{HUB_REGION}:{HUB}:stateMachine:{name}" for name in ("good", "bad")}
    metrics = [
        {
            "Id": name,
            "ReturnData": False,
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/States",
                    "MetricName": "ExecutionsFailed",
                    "Dimensions": [{"Name": "StateMachineArn", "Value": arn}],
                },
                "Period": 60,
                "Stat": "Sum",
            },
        }
        for name, arn in arns.items()
    ]
    none = dict.fromkeys(("MetricName", "Namespace", "Dimensions", "Statistic", "Period"))
    total = {"Id": "total", "Expression": "SUM(METRICS())"}
    put(sandbox, "Failed", **none, Metrics=[total, *metrics], Threshold=0.5)
    put(sandbox, "Averaged", **none, Metrics=[{**total, "Expression": "AVG(METRICS())"}, *metrics], Threshold=0.5)
    states.start_execution(stateMachineArn=arns["good"])
    sandbox.settle()
    assert alarms.state_of("Failed") == OK
    states.start_execution(stateMachineArn=arns["bad"])
    sandbox.settle()
    assert alarms.state_of("Failed") == ALARM
    with pytest.raises(NotImplementedError, match="AVG"):
        alarms.state_of("Averaged")
