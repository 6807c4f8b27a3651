"""AWS's summary usage report, as its generator writes it, joined with what was guaranteed."""

from datetime import UTC, datetime
from fractions import Fraction

import pytest

from podshare_cli.history.aws_report import ReportError, parsed, reported_hours
from podshare_cli.history.cluster_work import Objects, Reading, measure
from podshare_cli.history.quota_hours import ACCOUNT, INSTANCES, MEMBER, OWNER, TEAM, Line, Span
from podshare_cli.history.used_hours import Used

P5, TRN = "ml.p5.48xlarge", "ml.trn1.32xlarge"
PERIOD = (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
# as CSVReportGenerator.generate_summary_report writes it (awslabs/sagemaker-hyperpod-usage-report)
REPORT = """Amazon SageMaker HyperPod
Cluster Name: hyperpod
Report Type: Summary Utilization Report
Report Date Generated: 2026-11-30
Report Date Range (UTC): 2026-11-01 to 2026-11-30
Missing data periods
2026-11-03 00:00:00 to 2026-11-03 04:00:00
2026-11-09 10:00:00 to 2026-11-09 11:00:00
,,,Instance,NeuronCore,,,GPU,,,vCPU,,
Date,Namespace,Team,Type,{0},{0},{0}
2026-10-31,hyperpod-ns-vision,vision,ml.p5.48xlarge,0.00,0.00,0.00,99.00,99.00,0.00,9.00,9.00,0.00
2026-11-01,hyperpod-ns-vision,vision,ml.p5.48xlarge,0.00,0.00,0.00,24.50,20.00,4.50,9.00,9.00,0.00
2026-11-02,hyperpod-ns-vision,vision,ml.trn1.32xlarge,6.00,2.00,4.00,0.00,0.00,0.00,9.00,9.00,0.00
2026-11-02,kube-system,-,ml.p5.48xlarge,0.00,0.00,0.00,8.00,8.00,0.00,9.00,9.00,0.00
""".format("Total utilization (hours),Allocated utilization (hours),Borrowed utilization (hours)")


def span(begin: int, end: int, owner: str, *accounts: str) -> Span:
    lines = (Line(P5, INSTANCES, Fraction(1)),)
    since, until = (datetime(2026, 11, 1, hour, tzinfo=UTC) for hour in (begin, end))
    return Span("vision", "main", since, until, lines, owner, frozenset(accounts))


def test_a_report_has_days_of_teams_in_accelerators() -> None:
    """Of the month alone; CPU hours, and namespaces that are no team's, are left out."""
    report = parsed(REPORT)
    assert (report.hyperpod_cluster, report.missing) == ("hyperpod", 2)
    assert report.is_of("arn:aws:sagemaker:us-west-2:111111111111:cluster/hyperpod")
    assert reported_hours(report.days, "main", [], PERIOD, TEAM) == {
        ("vision", "main", P5, "accelerators"): Used(Fraction(20), Fraction(9, 2)),
        ("vision", "main", TRN, "Neuron cores"): Used(Fraction(2), Fraction(4)),
    }


def test_a_day_is_of_those_who_had_the_quota_on_it() -> None:
    """By the time that each had it; of a day without a quota, and for members, nobody is known."""
    spans = [span(0, 6, "ada", "222222222222"), span(6, 8, "ben", "222222222222", "444444444444")]
    days = parsed(REPORT).days
    by = {whose: reported_hours(days, "main", spans, PERIOD, whose) for whose in (TEAM, ACCOUNT, OWNER, MEMBER)}
    assert {key[0]: used.within for key, used in by[OWNER].items() if key[2] == P5} == {"ada": 15, "ben": 5}
    accounts = {"222222222222": Fraction(35, 2), "444444444444": Fraction(5, 2)}
    assert {key[0]: used.within for key, used in by[ACCOUNT].items() if key[2] == P5} == accounts
    assert {key[0] for key in by[MEMBER]} == {""}
    assert len({sum((used.hours for used in sums.values()), Fraction()) for sums in by.values()}) == 1


def test_a_report_takes_the_place_of_what_was_read() -> None:
    """Of a cluster with a report only the nodes count: they say how many accelerators a type has."""
    node = {
        "metadata": {"name": "node-1", "labels": {"node.kubernetes.io/instance-type": P5}},
        "status": {"capacity": {"nvidia.com/gpu": "8"}},
    }
    pod = {
        "metadata": {"name": "alone", "namespace": "hyperpod-ns-vision", "uid": "1", "creationTimestamp": "2026-11-01"},
        "spec": {"nodeName": "node-1", "containers": [{"resources": {"limits": {"nvidia.com/gpu": "8"}}}]},
        "status": {"phase": "Running", "startTime": "2026-11-01T00:00:00Z"},
    }
    reading = Reading("main", Objects(pods=[pod], nodes=[node]))
    measured = measure([reading], {"vision"}, [span(0, 8, "ada")], PERIOD, TEAM, reports={"main": parsed(REPORT)})
    assert measured.hours["vision", "main", P5, "accelerators"] == Used(Fraction(20), Fraction(9, 2))
    assert measured.spans[0].lines == (Line(P5, "accelerators", Fraction(8)),)
    (remark,) = measured.remarks
    assert remark == "Used hours of cluster main are of AWS's usage report, which lacks the data of 2 periods."
    assert measure([], {"language"}, [], PERIOD, TEAM, reports={"main": parsed(REPORT)}).hours == {}


def test_days_that_a_report_is_not_about_are_told() -> None:
    """A report of part of the month, or of another one, must not pass for all that was used."""
    remark = "The report of cluster main is of 2026-11-01 to 2026-11-30: other days are not counted."
    for since, until, told in (
        (*PERIOD, False),
        (datetime(2026, 11, 3, tzinfo=UTC), datetime(2026, 11, 30, 9, tzinfo=UTC), False),
        (datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC), True),
        (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, 1, tzinfo=UTC), True),
    ):
        measured = measure([], {"vision"}, [], (since, until), TEAM, reports={"main": parsed(REPORT)})
        assert (remark in measured.remarks) == told, (since, until)


def test_a_report_that_a_spreadsheet_has_saved_is_read() -> None:
    """Empty cells behind the lines of the head change nothing."""
    saved = "\r\n".join(line + "," * (12 - line.count(",")) for line in REPORT.splitlines())
    assert parsed(saved) == parsed(REPORT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "team,cluster\nvision,main\n",
        REPORT.replace("Cluster Name: ", "Name: "),
        REPORT.replace("24.50,20.00", "24.50,twenty"),
        REPORT.replace("24.50,20.00", "24.50,-20.00"),
        REPORT.replace("Report Date Range (UTC): ", "Range: "),
        REPORT.replace("2026-11-02", "2 November"),
    ],
)
def test_what_is_no_summary_report_is_refused(text: str) -> None:
    """Nothing is guessed of a report in another shape."""
    with pytest.raises(ReportError):
        parsed(text)
