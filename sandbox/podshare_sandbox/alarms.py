"""What CloudWatch's alarms say of a run: each alarm's own definition, held against what the run left behind.

CloudWatch gets no metrics here, so that the data points are derived when an alarm is evaluated:

- metrics in the embedded metric format, from the lines that functions have written to their log groups, as
  CloudWatch does it ("Specification: Embedded metric format");
- ``AWS/States``: executions that ended, by their state machine, at the time at which they did;
- ``AWS/Lambda`` ``Errors``: an invocation whose exception the runtime has logged. Those that timed out or whose process
  ended are not counted, since no line tells of them;
- ``AWS/SQS`` ``ApproximateNumberOfMessagesVisible``: the messages that are in the queue now.

Periods run at the sandbox's scale, like all pauses, and end at the moment of the evaluation. Sources: CloudWatch User
Guide, "Alarm evaluation", "Configuring how CloudWatch alarms treat missing data", "Using metric math"; Step Functions
Developer Guide, "Monitoring Step Functions metrics using CloudWatch".
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.cloudwatch.models import Alarm, cloudwatch_backends
from moto.logs.models import logs_backends
from moto.sqs.models import sqs_backends
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from podshare_sandbox import clock
from podshare_sandbox.organization import HUB, HUB_REGION

OK, ALARM = "OK", "ALARM"
_ENDED = {"ExecutionsFailed": "FAILED", "ExecutionsTimedOut": "TIMED_OUT", "ExecutionsAborted": "ABORTED"}
_STATISTICS: dict[str, Callable[[list[float]], float]] = {
    "Sum": sum,
    "Maximum": max,
    "SampleCount": lambda values: float(len(values)),
}
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": float.__gt__,
    "GreaterThanOrEqualToThreshold": float.__ge__,
    "LessThanThreshold": float.__lt__,
    "LessThanOrEqualToThreshold": float.__le__,
}
_MISSING = {"breaching": True, "notBreaching": False}


@dataclass(frozen=True)
class _Metric:
    """A metric as an alarm names it, and where."""

    account: str
    region: str
    namespace: str
    name: str
    dimensions: Mapping[str, str]


@dataclass(frozen=True)
class _Sample:
    at: datetime
    value: float


@dataclass(frozen=True)
class _Series:
    """One metric's samples with the statistic by which an alarm looks at them."""

    samples: tuple[_Sample, ...]
    statistic: str
    period: timedelta

    def value(self, end: datetime) -> float | None:
        """The data point of the period that ends at ``end``, None where there is none."""
        values = [sample.value for sample in self.samples if end - self.period < sample.at <= end]
        return float(_STATISTICS[self.statistic](values)) if values else None


def state_of(name: str, account: str = HUB, region: str = HUB_REGION, at: datetime | None = None) -> str:
    """OK or ALARM, as the alarm's definition says ``at`` a moment (aware; now, unless told).

    Raises KeyError for an alarm that does not exist, NotImplementedError for what a definition says and is not
    emulated: other statistics, expressions, namespaces and ways to treat missing data.
    """
    backend = cloudwatch_backends[account][region]
    alarm = backend.alarms[name]
    end = at or clock.now()
    queries = list(_queries(alarm, account, region, end))
    period = queries[0].period
    points = [_point(queries, end - period * back) for back in range(int(alarm.evaluation_periods))]
    breaching = sum(_breaches(alarm, point) for point in points)
    return ALARM if breaching >= int(alarm.datapoints_to_alarm or alarm.evaluation_periods) else OK


def alarms(account: str = HUB, region: str = HUB_REGION) -> list[str]:
    """The names of all alarms of an account and Region."""
    return sorted(cloudwatch_backends[account][region].alarms)


def embedded_metrics(account: str = HUB, region: str = HUB_REGION) -> set[str]:
    """The names of all metrics that functions have written to their logs."""
    documents = (_document(line) for _, line in _lines(account, region))
    directives = (one for document in documents for one in _directives(document))
    return {metric["Name"] for directive in directives for metric in directive["Metrics"]}


def _breaches(alarm: Alarm, point: float | None) -> bool:
    if point is None:
        return bool(_supported(_MISSING, alarm.treat_missing_data, f"{alarm.name}: missing data"))
    compare = _supported(_COMPARISONS, alarm.comparison_operator, f"{alarm.name}: comparison")
    return bool(compare(point, float(alarm.threshold)))


def _point(queries: Iterable[_Series], end: datetime) -> float | None:
    """The sum of the metrics that have a data point."""
    values = [value for query in queries if (value := query.value(end)) is not None]
    return sum(values) if values else None


def _queries(alarm: Any, account: str, region: str, at: datetime) -> Iterator[_Series]:
    """The metrics that an alarm is about: its one metric, or all those that its sum is of."""
    if not alarm.metric_data_queries:
        metric = _Metric(account, region, alarm.namespace, alarm.metric_name, _dimensions(alarm.dimensions))
        yield _series(metric, alarm.statistic, alarm.period, at)
        return
    expressions = [query.expression for query in alarm.metric_data_queries if query.expression]
    if expressions != ["SUM(METRICS())"]:
        raise NotImplementedError(f"{alarm.name}: expressions {expressions}")
    for stat in (query.metric_stat for query in alarm.metric_data_queries if query.metric_stat):
        named = stat.metric
        metric = _Metric(account, region, named.namespace, named.metric_name, _dimensions(named.dimensions))
        yield _series(metric, stat.stat, stat.period, at)


def _dimensions(dimensions: Iterable[Any]) -> dict[str, str]:
    return {one.name: one.value for one in dimensions}


def _series(metric: _Metric, statistic: str, period: int, at: datetime) -> _Series:
    _supported(_STATISTICS, statistic, "statistic")
    return _Series(tuple(_samples(metric, at)), statistic, timedelta(seconds=clock.scaled(int(period))))


def _samples(metric: _Metric, at: datetime) -> Iterator[_Sample]:
    match metric.namespace, metric.name:
        case "AWS/States", name if name in _ENDED:
            return _executions(metric, _ENDED[name])
        case "AWS/Lambda", "Errors":
            return _errors(metric)
        case "AWS/SQS", "ApproximateNumberOfMessagesVisible":
            queue = sqs_backends[metric.account][metric.region].get_queue(metric.dimensions["QueueName"])
            return iter((_Sample(at, float(queue.approximate_number_of_messages)),))
    if metric.namespace.startswith("AWS/"):
        raise NotImplementedError(f"metric {metric.name} of {metric.namespace}")
    return _embedded(metric)


def _executions(metric: _Metric, status: str) -> Iterator[_Sample]:
    backend: Any = stepfunctions_parser_backends[metric.account][metric.region]
    for machine in list(backend.state_machines):
        if machine.arn == metric.dimensions["StateMachineArn"]:
            for execution in list(machine.executions):
                if execution.exec_status == status:
                    yield _Sample(_aware(execution.stop_date), 1.0)


def _errors(metric: _Metric) -> Iterator[_Sample]:
    for at, line in _lines(metric.account, metric.region, f"/aws/lambda/{metric.dimensions['FunctionName']}"):
        if line.startswith("[ERROR]"):
            yield _Sample(at, 1.0)


def _embedded(metric: _Metric) -> Iterator[_Sample]:
    for at, line in _lines(metric.account, metric.region):
        yield from (_Sample(at, value) for value in _values(metric, _document(line)))


def _document(line: str) -> Mapping[str, Any]:
    """A line as a document of the embedded metric format, empty where it is none."""
    if '"_aws"' not in line:
        return {}
    with suppress(ValueError):
        document = json.loads(line)
        return document if isinstance(document, dict) else {}
    return {}


def _directives(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = document.get("_aws", {}).get("CloudWatchMetrics", [])
    return found


def _values(metric: _Metric, document: Mapping[str, Any]) -> Iterator[float]:
    for directive in _directives(document):
        named = metric.name in {one["Name"] for one in directive["Metrics"]}
        if named and directive["Namespace"] == metric.namespace and _has_dimensions(metric, directive, document):
            value = document[metric.name]
            yield from map(float, value if isinstance(value, list) else [value])


def _has_dimensions(metric: _Metric, directive: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    """Whether one of the directive's sets of dimensions is the metric's, no smaller and no larger."""
    sets = ({name: str(document.get(name)) for name in names} for names in directive["Dimensions"])
    return any(dimensions == metric.dimensions for dimensions in sets)


def _lines(account: str, region: str, group: str = "") -> Iterator[tuple[datetime, str]]:
    """The lines of one log group, or of all, with the time at which they were written."""
    groups = logs_backends[account][region].groups
    for name in [group] if group else list(groups):
        for stream in list(groups[name].streams.values()) if name in groups else []:
            for event in list(stream.events):
                yield datetime.fromtimestamp(event.timestamp / 1000, UTC), event.message


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _supported(known: Mapping[str, Any], name: str | None, what: str) -> Any:
    if name is None or name not in known:
        raise NotImplementedError(f"{what} {name}")
    return known[name]
