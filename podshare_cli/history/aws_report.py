"""Used hours as AWS's usage reports for HyperPod have them: pure, from the text of a summary report in CSV.

Each line has the hours of a day, a namespace and an instance type; they are taken as used evenly over the day.

Source: awslabs/sagemaker-hyperpod-usage-report, report_generation, ``CSVReportGenerator.generate_summary_report``.
"""

import csv
import datetime
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from podshare.registry.items import TEAM_NAMESPACES
from podshare_cli.history.quota_hours import Span
from podshare_cli.history.used_hours import ACCELERATORS, NEURON_CORES, Used, UsedHours, shares

_CLUSTER, _RANGE, _MISSING = "Cluster Name: ", "Report Date Range (UTC): ", "Missing data periods"
_ONE_CELL = (_CLUSTER, _RANGE, _MISSING)  # whoever saves a report from a spreadsheet has empty cells behind it
_HEAD = ["Date", "Namespace", "Team", "Type", *["Total", "Allocated", "Borrowed"] * 3]  # Neuron cores, GPUs, vCPUs
_UNITS = ((NEURON_CORES, 5), (ACCELERATORS, 8))  # with the column of what was allocated; borrowed is behind it
_DAY = datetime.timedelta(days=1)


class ReportError(ValueError):
    """What is wrong with a report."""


@dataclass(frozen=True)
class Day:
    """What a team used of an instance type on a day."""

    team: str
    instance_type: str
    unit: str
    begin: datetime.datetime
    used: Used


@dataclass(frozen=True)
class SummaryReport:
    """A report: of which HyperPod cluster, by its name, of which days, and of how many periods the data is missing."""

    hyperpod_cluster: str
    days: Sequence[Day]
    missing: int
    first: datetime.date
    last: datetime.date

    def covers(self, since: datetime.datetime, until: datetime.datetime) -> bool:
        """Whether the report is about every day of a time."""
        return self.first <= since.date() and (until - datetime.timedelta(microseconds=1)).date() <= self.last

    def is_of(self, hyperpod_cluster: str) -> bool:
        """Whether a record's cluster is that of the report; a record may name its ARN."""
        return hyperpod_cluster.rpartition("/")[2] == self.hyperpod_cluster


def parsed(text: str) -> SummaryReport:
    """A summary report. Raises ReportError for anything else."""
    lines = [line.strip().rstrip(",") if line.startswith(_ONE_CELL) else line.strip() for line in text.splitlines()]
    name = next((line.removeprefix(_CLUSTER) for line in lines if line.startswith(_CLUSTER)), "")
    rows = list(csv.reader(lines))
    head = next((number for number, row in enumerate(rows) if [cell.split(" ")[0] for cell in row] == _HEAD), None)
    if not name or head is None:
        raise ReportError("it is no summary report of AWS's in CSV")
    missing = lines.index(_MISSING) + 1 if _MISSING in lines else head
    periods = [line for line in lines[missing:head] if " to " in line]
    days = [day for row in rows[head + 1 :] if row and row[0] != "No Results" for day in _days(row)]
    return SummaryReport(name, days, len(periods), *_range(lines))


def _range(lines: Iterable[str]) -> tuple[datetime.date, datetime.date]:
    text = next((line.removeprefix(_RANGE) for line in lines if line.startswith(_RANGE)), "")
    first, _, last = text.partition(" to ")
    try:
        return datetime.date.fromisoformat(first), datetime.date.fromisoformat(last)
    except ValueError:
        raise ReportError(f"its range of days cannot be read: {text or 'there is none'}") from None


def _days(row: Sequence[str]) -> Iterator[Day]:
    """What a line says of a team's accelerators."""
    try:
        begin = datetime.datetime.strptime(row[0], "%Y-%m-%d").replace(tzinfo=datetime.UTC)
        for unit, column in _UNITS:
            used = Used(_hours(row[column]), _hours(row[column + 1]))
            if used.hours and row[1].startswith(TEAM_NAMESPACES):
                yield Day(row[1].removeprefix(TEAM_NAMESPACES), row[3], unit, begin, used)
    except (ValueError, IndexError, ZeroDivisionError) as error:
        raise ReportError(f"its line {','.join(row)} cannot be read: {error}") from None


def _hours(text: str) -> Fraction:
    if (hours := Fraction(text)) < 0:
        raise ValueError(f"{text} hours")
    return hours


def reported_hours(
    days: Iterable[Day],
    cluster: str,
    spans: Iterable[Span],
    period: tuple[datetime.datetime, datetime.datetime],
    by: str,
) -> UsedHours:
    """The hours of the days that begin in a time, by ``team``, ``account``, ``owner`` or ``member``, who is unknown."""
    spans_by_team: dict[str, list[Span]] = defaultdict(list)
    for span in spans:
        if span.cluster == cluster:
            spans_by_team[span.team].append(span)
    sums: dict[tuple[str, str, str, str], Used] = defaultdict(Used)
    for day in days:
        if period[0] <= day.begin < period[1]:
            for in_force, part in _parts(day, spans_by_team[day.team]):
                for who, share in shares(day.team, in_force, {"": Fraction(1)}, by).items():
                    sums[who, cluster, day.instance_type, day.unit] += day.used.part(part * share)
    return dict(sums)


def _parts(day: Day, spans: Iterable[Span]) -> Iterator[tuple[Span | None, Fraction]]:
    """The quotas in force on a day, each with its part of the time for which there was one; none if there never was."""
    end = day.begin + _DAY
    lengths = [(span, min(span.until, end) - max(span.since, day.begin)) for span in spans]
    within = [(span, length // datetime.timedelta(microseconds=1)) for span, length in lengths if length > _DAY * 0]
    whole = sum(length for _, length in within)
    if not whole:
        yield None, Fraction(1)
    for span, length in within:
        yield span, Fraction(length, whole)
