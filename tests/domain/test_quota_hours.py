"""Quota-hours follow from the history: whatever runs did, the hours add up by team, account, owner and time."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podshare.access.effective_access import Access
from podshare.access.history import run_document, version_document
from podshare.registry.lines import version_of
from podshare_cli.commands.usage.command import period
from podshare_cli.failures import Failure
from podshare_cli.history.quota_hours import ACCOUNT, OWNER, TEAM, Hours, Span, VersionsOf, hours, settles, spans
from podshare_cli.plans.prices import Prices
from podshare_cli.views.usage import csv_text, remarks, report
from tests.builders import a_team_item

Item = dict[str, Any]
BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
HUB, OTHER, WEST, EAST = "111111111111", "333333333333", "us-west-2", "us-east-2"
ACCOUNTS = ("222222222222", "444444444444", "555555555555")
P5, G5 = "ml.p5.48xlarge", "ml.g5.12xlarge"
EKS = f"arn:aws:eks:{WEST}:{HUB}:cluster/hyperpod-eks"
pure = settings(max_examples=200, derandomize=True, database=None)


def at(minute: int) -> datetime:
    return BEGIN + timedelta(minutes=minute)


def quota(count: int, instance_type: str = P5) -> Item:
    return {"resources": [{"instance_type": instance_type, "count": count}]}


def change(action: str, place: str = "main-id", account: str = HUB, region: str = WEST, status: str = "done") -> Item:
    key = f"compute_quota|{account}|{region}|eks|{place}/podshare-vision"
    return {
        **{"action": action, "kind": "compute_quota", "account": account, "region": region, "key": key},
        **{"name": f"{place}/podshare-vision", "why": "the team's quota", "status": status},
    }


def run(
    minute: int,
    *changes: Item,
    records: Iterable[Item] = (),
    accounts: Iterable[str] = ACCOUNTS[:1],
    state: str = "READY",
    proven: bool = True,
    team: str = "vision",
) -> Item:
    """The object of a run that ended at a minute."""
    access = [Access(f"arn:aws:iam::{account}:role/scientist", ("use",), EKS, "*") for account in sorted(accounts)]
    access_report = {
        "document": {
            **{"team": team, "read_at": at(minute).isoformat(), "doors": []},
            "access": [{**each.as_dict(), "granted": True} for each in access],
        },
        "grants": [[] for _ in access],
        **{"records": [version_of(record) for record in records], "widened": {}},
    }
    event = {"team": team, "execution": f"arn:{team}-{minute}", "lease": {"fence": minute}, "trigger": {}}
    outcome = {"state": state, "summary": state, "problems": []}
    return run_document(event, outcome, changes, access_report if proven else None, at(minute).isoformat())


def version(minute: int, record: Item, kind: str = "INSERT") -> Item:
    """The object of a version of a record that was written at a minute."""
    return version_document(record, {}, {"kind": kind, "time": at(minute).isoformat(), "sequence": "1"})


def knowing(*versions: Item) -> VersionsOf:
    """Finds these versions by their record."""
    return lambda record: [each for each in versions if each["id"] == record]


def knowing_of(*records: Item) -> VersionsOf:
    """Finds the versions that these records are, written one after the other before all runs."""
    return knowing(*(version(place - 1000, record) for place, record in enumerate(records)))


counts = st.integers(0, 5)
stories = st.dictionaries(  # a team's runs by minute: which quota it wants, whose it is, who has access, how it ended
    st.integers(-100, 1000),
    st.tuples(
        st.none() | st.tuples(counts, counts),
        st.sampled_from(["ada", "ben"]),
        st.sets(st.sampled_from(ACCOUNTS)),
        st.sampled_from(["READY", "READY", "WAITING", "DEGRADED"]),
        st.booleans(),
    ),
    max_size=8,
)
teams = st.fixed_dictionaries(dict.fromkeys(("vision", "language"), stories))
minutes = st.integers(0, 1000)


def history(team: str, story: Mapping[int, Any]) -> tuple[list[Item], VersionsOf]:
    """The runs of a team and its record's versions: each run makes the quota what the version says, or deletes it."""
    versions, runs, before = [], [], False
    for minute, (amounts, owner, accounts, state, proven) in sorted(story.items()):
        if amounts is None:
            versions.append(version(minute, {"id": f"team#{team}"}, "REMOVE"))
            runs.append(run(minute, *[change("delete")] * before, state="DELETED", accounts=[], team=team))
            before = False
            continue
        resources = [
            {"instance_type": P5, "count": amounts[0]},
            {"instance_type": G5, "accelerators": amounts[1]},
        ]
        record = a_team_item(team, owner=owner, quota={"resources": resources})
        versions.append(version(minute, record))
        did = change("update" if before else "create")
        runs.append(run(minute, did, records=[record], accounts=accounts, state=state, proven=proven, team=team))
        before = True
    return runs, knowing(*versions)


def counted(stories_by_team: Mapping[str, Mapping[int, Any]], since: int, until: int) -> list[Span]:
    return [
        span
        for team, story in stories_by_team.items()
        for span in spans(team, *history(team, story), at(since), at(until))
    ]


def totals(sums: Hours) -> dict[tuple[str, str, str], Fraction]:
    """Over whose they are, but for nothing."""
    added: dict[tuple[str, str, str], Fraction] = {}
    for (_, *what), amount in sums.items():
        key = (what[0], what[1], what[2])
        added[key] = added.get(key, Fraction()) + amount
    return {key: amount for key, amount in added.items() if amount}


@pure
@given(teams, minutes, minutes)
def test_totals_are_the_same_by_team_account_and_owner(stories_by_team: Any, one: int, other: int) -> None:
    """No hour is lost or counted twice, whatever it is added up by, and none is negative."""
    known = counted(stories_by_team, min(one, other), max(one, other))
    by_team, by_account, by_owner = (hours(known, by) for by in (TEAM, ACCOUNT, OWNER))
    assert totals(by_team) == totals(by_account) == totals(by_owner)
    assert all(amount >= 0 for sums in (by_team, by_account, by_owner) for amount in sums.values())


@pure
@given(teams, st.sampled_from([TEAM, ACCOUNT, OWNER]), st.lists(minutes, min_size=3, max_size=3).map(sorted))
def test_adjoining_periods_add_up(stories_by_team: Any, by: str, moments: list[int]) -> None:
    """The hours of two periods, one after the other, are those of the whole, for each whose they are."""
    first, second, whole = (
        hours(counted(stories_by_team, since, until), by)
        for since, until in (moments[:2], moments[1:], (moments[0], moments[2]))
    )
    added = {key: first.get(key, Fraction()) + second.get(key, Fraction()) for key in {*first, *second}}
    assert {key: amount for key, amount in added.items() if amount} == {
        key: amount for key, amount in whole.items() if amount
    }


@pure
@given(stories, minutes, minutes)
def test_what_settles_answers_for_the_beginning(story: Any, one: int, other: int) -> None:
    """Runs before the last one that settles are not needed: without them the quotas are the same."""
    since, until = min(one, other), max(one, other)
    runs, versions_of = history("vision", story)
    ended = {each["run"]: datetime.fromisoformat(each["recorded_at"]) for each in runs}
    enough = [ended[each["run"]] for each in runs if settles(each) and ended[each["run"]] < at(since)]
    needed = [each for each in runs if not enough or ended[each["run"]] >= max(enough)]
    assert spans("vision", needed, versions_of, at(since), at(until)) == spans(
        "vision", runs, versions_of, at(since), at(until)
    )


@pure
@given(counts, minutes, minutes)
def test_a_quota_that_never_changes_yields_hours_times_count(count: int, one: int, other: int) -> None:
    """Sweeps in between, and runs that do not end READY, change nothing."""
    record, since, until = a_team_item(quota=quota(count)), min(one, other), max(one, other)
    runs = [run(-50, change("create"), records=[record])]
    runs += [run(minute, records=[record], state=state) for minute, state in ((100, "READY"), (500, "DEGRADED"))]
    known = hours(spans("vision", runs, knowing_of(record), at(since), at(until)), TEAM)
    assert sum(known.values()) == Fraction(until - since, 60) * count


def test_a_change_counts_from_the_run_that_made_it() -> None:
    """Not from the version of the record, nor from a run that failed to make it; a deletion ends it."""
    two, three = a_team_item(quota=quota(2)), a_team_item(quota=quota(3))
    runs = [
        run(0, change("create"), records=[two]),
        run(60, change("update", status="failed"), records=[three], state="DEGRADED"),
        run(120, change("update"), records=[three]),
        run(180, change("delete"), state="WAITING"),
        run(240, state="DELETED"),
    ]
    known = hours(spans("vision", runs, knowing_of(two, three), at(-60), at(600)), TEAM)
    assert known == {("vision", "main", P5, "instances"): 2 * 2 + 3}


def test_a_pass_without_an_access_report_has_the_latest_version() -> None:
    """A run that waits has created the quota of the version that was written before it, not of a later one."""
    record, later = a_team_item(quota=quota(2)), a_team_item(quota=quota(5))
    runs = [run(60, change("create"), state="WAITING", proven=False)]
    known = spans("vision", runs, knowing(version(30, record), version(90, later)), at(0), at(120))
    assert hours(known, TEAM) == {("vision", "main", P5, "instances"): 2}


def test_a_rejected_record_changes_nothing() -> None:
    """What was accepted last goes on to count, and so does its owner."""
    accepted, wrong = a_team_item(quota=quota(2)), a_team_item(quota=quota(9), owner="eve")
    runs = [run(0, change("create"), records=[accepted]), run(60, records=[wrong], state="REJECTED")]
    known = hours(spans("vision", runs, knowing_of(accepted, wrong), at(0), at(120)), OWNER)
    assert known == {("priya@example.com", "main", P5, "instances"): 4}


def test_an_inactive_quota_guarantees_nothing() -> None:
    """It is kept and not enforced; parts of instances count in their units."""
    parts = {"instance_type": G5, "vcpu": 1.5, "accelerator_partition": {"type": "mig-1g.10gb", "count": 3}}
    active = a_team_item(quota={"resources": [parts]})
    inactive = a_team_item(quota={"resources": [parts], "active": False})
    runs = [run(0, change("create"), records=[active]), run(60, change("update"), records=[inactive])]
    known = hours(spans("vision", runs, knowing_of(active, inactive), at(0), at(120)), TEAM)
    assert {key[3]: amount for key, amount in known.items()} == {"vCPU": Fraction(3, 2), "mig-1g.10gb": 3}


def test_each_cluster_has_its_own() -> None:
    """A change is of the cluster in its account and Region; a team that leaves one keeps the other."""
    clusters = [
        {"id": "cluster#main", "account": HUB, "region": WEST},
        {"id": "cluster#east", "account": OTHER, "region": EAST},
    ]
    both = a_team_item(
        quota=..., cluster=[{"cluster": "main", "quota": quota(1)}, {"cluster": "east", "quota": quota(4)}]
    )
    left = a_team_item(quota=quota(1))
    east = ("east-id", OTHER, EAST)
    runs = [
        run(0, change("create", *east), records=[both, *clusters], state="DEGRADED"),
        run(60, change("create"), records=[both, *clusters]),
        run(120, change("delete", *east), records=[left, clusters[0]], state="WAITING"),
    ]
    known = hours(spans("vision", runs, knowing_of(both, left, *clusters), at(0), at(180)), TEAM)
    assert known == {("vision", "east", P5, "instances"): 8, ("vision", "main", P5, "instances"): 2}


def test_a_team_of_an_enrollment_has_its_quota() -> None:
    """Its owner is the enrollment's, with the account where that is a tag; a figure that is a tag is unknown."""
    name = "science-555555555555"
    template = {"cluster": "main", "owner": "${account.tags.owner}", "quota": quota(2)}
    figures = {**template, "quota": {"resources": [{"instance_type": P5, "count": "${account.tags.gpus}"}]}}
    known, tagged = ({"id": "enrollment#science", "team": team} for team in (template, figures))
    runs = [
        run(0, change("create"), records=[known], team=name),
        run(60, change("update"), records=[tagged], team=name),
    ]
    found = spans(name, runs, knowing_of(known, tagged), at(0), at(120))
    assert hours(found, OWNER) == {("${account.tags.owner} of 555555555555", "main", P5, "instances"): 2}
    assert [span.since for span in found if span.lines is None] == [at(60)]


def test_what_the_history_does_not_have_is_unknown() -> None:
    """A record that is older than the history: from the first run on something is in force, and nobody knows what."""
    record = a_team_item()
    (span,) = spans("vision", [run(60, records=[record])], knowing(), at(0), at(120))
    assert (span.lines, span.since, span.until) == (None, at(60), at(120))
    made = report({}, [span], TEAM, (at(0), at(120)), {})
    assert [gap["team"] for gap in made["unknown"]] == ["vision"]
    (remark,) = remarks({**made, "remarks": []})
    assert remark.endswith("vision, 2026-11-01T01:00:00+00:00 to 2026-11-01T02:00:00+00:00: not counted")


def test_prices_multiply_instance_hours() -> None:
    """Parts of instances, and types without a price, have no cost."""
    prices: Prices = {P5: 98.32}
    sums = {("vision", "main", what, unit): Fraction(3) for what, unit in ((P5, "instances"), (P5, "GiB"), (G5, "GiB"))}
    sums["vision", "main", G5, "instances"] = Fraction(1)
    made = report(sums, [], TEAM, (at(0), at(120)), prices)
    costs = {(row["instance_type"], row["unit"]): row["cost"] for row in made["rows"]}
    assert {key: cost for key, cost in costs.items() if cost is not None} == {(P5, "instances"): 294.96}
    assert not any(row["estimated"] for row in made["rows"])


def test_csv_has_a_line_for_each_row() -> None:
    """An account's are marked as estimated, and no owner is a formula to a spreadsheet."""
    sums = {("=cmd", "main", P5, "instances"): Fraction(3, 2)}
    head, line = csv_text(report(sums, [], ACCOUNT, (at(0), at(120)), {})).splitlines()
    assert head == "since,until,account,cluster,instance_type,unit,hours,cost,estimated"
    assert line.endswith(f",'=cmd,main,{P5},instances,1.5,,true")


def test_a_month_is_one_of_utc() -> None:
    """Up to now if it is the present one; the future and what is no month are refused."""
    now = datetime(2026, 12, 31, 12, tzinfo=UTC)
    assert period("", now) == (datetime(2026, 12, 1, tzinfo=UTC), now)
    assert period("2026-02", now) == (datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))
    for text in ("2027-01", "2026-13", "november", "0000-01"):
        with pytest.raises(Failure):
            period(text, now)
