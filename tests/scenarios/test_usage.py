"""Usage: the quota-hours of a team that is created, changed and deleted, as its runs' objects say."""

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest

from podshare_cli.aws.connection import Connection
from podshare_cli.commands.usage.command import read_spans
from podshare_cli.history.objects import History
from podshare_cli.history.quota_hours import ACCOUNT, OWNER, TEAM, hours, spans
from tests.acting import Ended
from tests.builders import a_team_item
from tests.scenarios.test_history import objects, runs
from tests.scenarios.world import LANGUAGE, VISION, Item, World

P5 = "ml.p5.48xlarge"
Call = Callable[..., Ended]


def team(count: int, *accounts: str, owner: str) -> Item:
    members = [{"account": account} for account in accounts]
    quota = {"resources": [{"instance_type": P5, "count": count}]}
    return a_team_item("vision", members=members, owner=owner, quota=quota)


@pytest.fixture(scope="module")
def changing(world: World) -> list[Item]:
    """The runs that changed the quota: two instances for ada, three for ben with another account, then none."""
    world.put(team(2, VISION, owner="ada@example.com"))
    world.put(team(3, VISION, LANGUAGE, owner="ben@example.com"))
    world.delete("team#vision")
    return [
        run
        for run in runs(world)
        if any((each["kind"], each["status"]) == ("compute_quota", "done") for each in run["changes"])
    ]


def test_hours_follow_from_the_runs(world: World, changing: list[Item]) -> None:
    """With the runs ten hours apart: 20 hours of ada's two, 30 of ben's three, shared by those who had access."""
    begin = datetime(2026, 11, 1, tzinfo=UTC)
    ended = [run["recorded_at"] for run in changing]

    def shifted(moment: str, more: int = 0) -> str:
        return (begin + timedelta(hours=10 * (sum(end <= moment for end in ended) - 1) + more)).isoformat()

    known = spans(
        "vision",
        [{**run, "recorded_at": shifted(run["recorded_at"])} for run in runs(world)],
        lambda record: [
            {**each, "written_at": shifted(each["written_at"], 5)}
            for each in objects(world, "records/v1/").values()
            if each["id"] == record
        ],
        begin,
        begin + timedelta(days=30),
    )
    assert hours(known, TEAM) == {("vision", "main", P5, "instances"): 50}
    what = ("main", P5, "instances")
    assert hours(known, OWNER) == {("ada@example.com", *what): 20, ("ben@example.com", *what): 30}
    assert hours(known, ACCOUNT) == {(VISION, *what): 20 + 15, (LANGUAGE, *what): 15}


def test_the_command_counts_the_same(call_as_auditor: Call, changing: list[Item], tmp_path: Any) -> None:
    """For auditors, from the bucket: the time between the runs, to the millisecond; costs by the file's prices."""
    created, changed, deleted = (datetime.fromisoformat(run["recorded_at"]) for run in changing)
    milliseconds = 2 * ((changed - created) // timedelta(milliseconds=1))
    milliseconds += 3 * ((deleted - changed) // timedelta(milliseconds=1))
    expected = float(Fraction(milliseconds, 3_600_000))
    prices = tmp_path / "prices.yaml"
    prices.write_text(f"{P5}: 1000000\n")
    month = f"{created:%Y-%m}"
    answer = call_as_auditor("usage", "--month", month, "--prices", str(prices), "--json").data
    (row,) = answer["rows"]
    assert (row["team"], row["cluster"], row["unit"], row["hours"]) == ("vision", "main", "instances", expected)
    assert row["cost"] == pytest.approx(expected * 1_000_000, abs=0.01)
    assert answer["unknown"] == []
    lines = list(
        csv.DictReader(io.StringIO(call_as_auditor("usage", "--month", month, "--by", "account", "--csv").out))
    )
    assert {line["account"] for line in lines} == {VISION, LANGUAGE}
    assert {line["estimated"] for line in lines} == {"true"}
    assert "ben@example.com" in call_as_auditor("usage", "--by", "owner", "--month", month).out
    assert call_as_auditor("usage", "--month", "2020-01", "--json").data["rows"] == []
    assert call_as_auditor("usage", "--csv", "--json").code == 64


@pytest.mark.usefixtures("call_as_auditor", "changing")
def test_the_last_run_before_answers_for_the_beginning(world: World) -> None:
    """Of a time without runs: a team that is there has its quota all along, and one that was deleted has none."""
    world.put(a_team_item("lasting", members=[{"account": VISION}]))
    since = datetime.now(UTC) + timedelta(days=2)
    known = read_spans(History(Connection()), since, since + timedelta(hours=24))
    assert hours(known, TEAM) == {("lasting", "main", P5, "instances"): 2 * 24}
