"""Too much at once waits for a person: an emptied table is a thousand small plans."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from podshare_cli.application import main
from podshare_sandbox.organization import HUB_REGION
from tests.builders import a_team_item
from tests.scenarios.world import HUB, VISION, Item, World, refused

NAMES = tuple(f"team-{number}" for number in range(6))
LIMIT = 2


@pytest.fixture(scope="module")
def deployment() -> dict[str, str]:
    """Two teams an hour may lose access."""
    return {"DrainSeconds": "0", "MostTeamsLosingAccess": str(LIMIT), "MostPercentLosingAccess": "0"}


def a_small_team(name: str) -> Item:
    quota = {"resources": [{"instance_type": "ml.g5.12xlarge", "accelerators": 1}]}
    return a_team_item(name, members=[{"account": VISION}], quota=quota, service_accounts=[])


@pytest.fixture(scope="module", autouse=True)
def emptied(world: World, announced: Any) -> None:  # noqa: ARG001  # the rule listens before it happens
    """Six teams at work, and then a table without them, at the beginning of an hour: in each the count begins again."""
    world.put(*(a_small_team(name) for name in NAMES))
    assert {world.status(name)["state"] for name in NAMES} == {"READY"}
    world.advance_to(datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1))
    world.delete(*(f"team#{name}" for name in NAMES))


def held(world: World) -> list[str]:
    return [name for name in NAMES if world.status(name)["state"] == "HELD"]


def test_only_so_many_teams_lose_access(world: World) -> None:
    """All teams were deleted at once: as many as the limit are, the others stay at work and say what to do."""
    assert len(held(world)) == len(NAMES) - LIMIT
    for name in held(world):
        assert world.may_submit(world.cluster_access(name, VISION), name)
        (problem,) = world.status(name)["problems"]
        digest = world.state(f"team#{name}", "held")["hash"]
        assert problem["remedy"].startswith(f"If this is intended: podshare approve {name} {digest}.")


def test_each_held_team_is_told_once_with_what_it_would_lose(world: World, announced: Any) -> None:
    """An event for each team that is held names the losses and the command; a run that finds nothing new tells none."""
    told = {one["team"]: one for one in announced()}
    assert set(told) == set(held(world))
    for name, event in told.items():
        row = world.state(f"team#{name}", "held")
        assert event["losses"] == [f"member {VISION}: access on cluster main"]
        assert (event["since"], event["approve"]) == (row["since"], f"podshare approve {name} {row['hash']}")
        assert world.status(name)["held"]["losses"] == event["losses"]
    world.reconcile(held(world)[0])
    assert announced() == []


def test_a_held_team_is_shown_with_what_it_waits_for(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`team list` and `team status` show since when, what would be lost, and the command that lets it go."""
    for name, value in world.sandbox.environment(HUB, HUB_REGION).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "400")
    team = held(world)[0]
    digest = world.state(f"team#{team}", "held")["hash"]
    for words in (["team", "list"], ["team", "status", team]):
        assert main(words) == 0
        shown = capsys.readouterr().out
        assert "held since" in shown
        assert f"member {VISION}: access on cluster main" in shown
        assert f"podshare approve {team} {digest}" in shown


def test_a_sweep_does_not_do_it_either(world: World) -> None:
    """What is held stays held, whatever starts a reconciliation, and the sweep counts it."""
    before = held(world)
    assert world.sweep()["counts"]["held"] == len(before)
    assert held(world) == before


def test_an_approval_is_for_one_team_and_one_plan(world: World) -> None:
    """Approved by its hash, a team loses access; another hash, or another team's, approves nothing."""
    first, second = held(world)[:2]
    session = world.cluster_access(first, VISION)
    approval = {"schema": 1, "owner": "priya@example.com", "reason": "The teams have ended"}
    digest = world.state(f"team#{first}", "held")["hash"]
    world.put({"id": f"approval#{second}", "plan": digest, **approval})
    world.put({"id": f"approval#{first}", "plan": "0" * 12, **approval})
    assert {first, second} <= set(held(world))
    world.put({"id": f"approval#{first}", "plan": digest, **approval})
    assert world.status(first)["state"] == "DELETED"
    assert refused(lambda: world.may_submit(session, first))
    assert second in held(world)


def test_a_restored_record_ends_the_wait(world: World) -> None:
    """Whoever writes the record again keeps the team; an approval of before approves no later deletion."""
    name = held(world)[0]
    digest = world.state(f"team#{name}", "held")["hash"]
    world.put(a_small_team(name))
    assert world.status(name)["state"] == "READY"
    assert world.state(f"team#{name}", "held") == {}
    world.put({"id": f"approval#{name}", "plan": digest, "schema": 1, "owner": "p@example.com", "reason": "late"})
    world.delete(f"team#{name}")
    assert world.status(name)["state"] == "HELD"
    assert world.state(f"team#{name}", "held")["hash"] != digest


def test_the_clock_needs_no_approval_and_an_end_in_the_past_does(world: World) -> None:
    """What has ended by itself is revoked whatever the count; a record that is written with its end in the past is held."""
    world.put(a_small_team("clock"), a_small_team("mistake"))
    end = (datetime.now(UTC) + timedelta(minutes=20)).replace(microsecond=0)
    world.put({**a_small_team("clock"), "expires": f"{end:%Y-%m-%dT%H:%M:%SZ}"})
    assert {world.status(name)["state"] for name in ("clock", "mistake")} == {"READY"}
    world.advance_to(end)
    assert world.status("clock")["state"] == "ENDED"
    world.put({**a_small_team("mistake"), "expires": "2020-01-31T18:00:00Z"})
    assert world.status("mistake")["state"] == "HELD"
    assert world.may_submit(world.cluster_access("mistake", VISION), "mistake")
