"""The benchmarks' tables fit what they measure, and what was measured last."""

import datetime
import json
import math

import pytest

from benchmarks import costs, large_organization, latencies, least, page, rates, results
from benchmarks.calls import kind_of
from benchmarks.counts import exponent
from benchmarks.figures import FIGURES, PACKAGE
from benchmarks.large_organization import Size, meaning, run_of
from benchmarks.life import record
from benchmarks.planning import plan_all
from podshare_sandbox import throttling
from podshare_sandbox.traffic import Asked


def test_every_operation_has_a_latency() -> None:
    """Each operation that was counted stands in the table of latencies, by itself or by its service."""
    operations = {name for counted in results.kept()["counts"].detail["operations"].values() for name in counted}
    known = latencies.table()
    assert {name for name in operations if name not in known and f"{name.partition(':')[0]}:*" not in known} == set()


def test_every_latency_and_price_has_a_source() -> None:
    """A number in a table says where it comes from, or that it is assumed."""
    rows = [*latencies.table().values(), *costs.table()["prices"].values()]
    assert all(row["source"] for row in rows)


def test_every_rate_has_a_source_that_says_how_much_it_is_worth() -> None:
    """A rate is documented on a page, reported by somebody, or assumed; and the sandbox knows how to refuse beyond it."""
    assert {rates.source(name) for name in rates.table()} == set(rates.SOURCES)
    assert throttling.checked(rates.rates()).keys() == rates.table().keys()


def test_a_share_of_the_rates_lets_each_call_through() -> None:
    """A small share cuts rate and burst, and leaves room for one call."""
    whole, half, least = (rates.rates(share)["iam:Get*"] for share in (1, 0.5, 0.001))
    assert (half.per_second, half.burst, half.per) == (whole.per_second / 2, whole.burst / 2, whole.per)
    assert least.burst == 1


def test_a_thousand_teams_take_as_long_as_the_busiest_account() -> None:
    """The account that is asked most for an operation decides, less what its bucket holds at first."""
    hub, member = (f"arn:aws:sts::{account}:assumed-role/r/s" for account in ("111111111111", "222222222222"))
    asked = [Asked("ssm:PutParameter", hub, 0.0)] * 4 + [Asked("ssm:PutParameter", member, 0.0)] * 2
    (row,) = rates.least_minutes([*asked, Asked("dynamodb:GetItem", hub, 0.0)], teams=2)
    rate = rates.table()["ssm:PutParameter"]
    assert row["per team"] == 2
    assert math.isclose(row["minutes"], (2 * rates.MANY - rate["burst"]) / rate["per_second"] / 60)


def test_every_call_of_the_least_is_counted_as_what_it_is() -> None:
    """What a resource needs at least is a write, what it takes to compare it is a read."""
    writing = {name for calls in least.WRITES.values() for name in calls} | set(least.WRITES_OF_A_BUCKET)
    reading = {name for calls in least.READS.values() for name in calls}
    reading |= {*least.READS_OF_AN_ACCOUNT, *least.READS_OF_A_CLUSTER, *least.READS_OF_A_BUCKET}
    assert {kind_of(name) for name in writing} == {"writes"}
    assert {kind_of(name) for name in reading} == {"reads"}


def test_each_budget_was_measured() -> None:
    """Each figure with a budget has a value in the last results, in its group; the package only where it was built."""
    kept = results.kept()
    wanted = [figure for figure in FIGURES.values() if figure.group != PACKAGE]
    assert [figure.id for figure in wanted if figure.id not in kept[figure.group].values] == []


def test_results_are_kept_as_they_are() -> None:
    """What is written is read back the same."""
    text = results.FILE.read_text(encoding="utf-8")
    assert results.written(results.read(text)) == text


@pytest.mark.parametrize(("totals", "slope"), [({1: 7, 4: 28, 16: 112}, 1.0), ({1: 3, 4: 48, 16: 768}, 2.0)])
def test_the_exponent_is_the_slope_of_the_logarithms(totals: dict[int, int], slope: float) -> None:
    """Calls that grow with the number of teams have 1, those that grow with its square 2."""
    assert math.isclose(exponent(totals), slope)


def test_the_critical_path_is_the_longest_chain() -> None:
    """Of a team it leads from a session over the compute quota to what needs its namespace."""
    seconds, calls = latencies.critical_path(least.resources(record("any")))
    quota = latencies.latency("sts:AssumeRole") + latencies.latency("sagemaker:CreateComputeQuota")
    assert calls[:2] == ["sts:AssumeRole", "sagemaker:CreateComputeQuota"]
    assert seconds > quota


def test_teams_of_the_planning_benchmark_have_nothing_to_do() -> None:
    """Its records are accepted, and their resources as they are there need no change."""
    assert plan_all(teams=20)["seconds"] > 0


def test_an_organization_scales_with_its_teams() -> None:
    """At its usual size it has what the page says; a small one has at least one of each."""
    usual, small = Size(large_organization.TEAMS), Size(5)
    assert (usual.written, usual.enrolled, usual.accounts) == (900, 100, 500)
    assert (usual.datasets, usual.sharing, usual.drifting) == (200, 300, 50)
    assert min(small.enrolled, small.sharing, small.drifting, small.buckets - 1, small.accounts - small.enrolled) >= 1
    assert small.drifting <= small.written


def test_a_run_waits_for_its_lease_until_it_has_it() -> None:
    """A lease that another run has is not yet had: the wait ends with the answer that it is held."""
    began = datetime.datetime(2026, 11, 30, tzinfo=datetime.UTC)

    def event(seconds: int, kind: str, **details: object) -> dict[str, object]:
        return {"type": kind, "timestamp": began + datetime.timedelta(seconds=seconds), **details}

    def left(seconds: int, status: str) -> dict[str, object]:
        details = {"name": "LeaseTeam", "output": json.dumps({"status": status})}
        return event(seconds, "TaskStateExited", stateExitedEventDetails=details)

    started = event(0, "ExecutionStarted", executionStartedEventDetails={"input": '{"team": "vision"}'})
    listed = {"startDate": began, "stopDate": began + datetime.timedelta(seconds=9)}
    assert run_of(listed, [started, left(2, "busy"), left(5, "held")]).lease == 5
    assert run_of(listed, [started, left(2, "left")]).lease is None


def test_a_policy_is_the_same_in_each_spelling() -> None:
    """The order of values, one value beside a list of one, and the case of keys do not matter; values do."""
    before = {"Statement": [{"Effect": "Allow", "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}]}
    after = {"Statement": {"Condition": {"StringEquals": {"aws:principalorgid": ["o-1"]}}, "Effect": "Allow"}}
    wider = {"Statement": {"Condition": {"StringEquals": {"aws:principalorgid": ["o-1", "o-2"]}}, "Effect": "Allow"}}
    assert meaning(before) == meaning(after) != meaning(wider)


def test_what_a_large_organization_needs_has_a_quota() -> None:
    """Each of AWS's quotas that were counted stands in the table that names its limit."""
    assert results.kept()["organization"].detail["needs"].keys() == large_organization.QUOTAS.keys()
    assert "## A large organization" in page.page()
