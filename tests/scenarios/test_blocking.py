"""A blocked account is cut off everywhere at once, outside of any budget, and nothing but `unblock` lets it in again."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from podshare_cli.application import main
from podshare_sandbox.organization import HUB_REGION
from tests.builders import a_team_item
from tests.scenarios.world import DATA, HUB, LANGUAGE, PLATFORM, SCIENCE, VISION, Item, World, refused

QUOTA = {"resources": [{"instance_type": "ml.g5.12xlarge", "accelerators": 1}]}
BOTH = [{"account": VISION}, {"account": LANGUAGE}]
BY_TAG = {"account_tag": {"key": "pool", "value": "training"}}
READER = [{"name": "trainer", "datasets": [{"dataset": "imagenet", "access": "read"}]}]
OWN = f"own-{LANGUAGE}"
ENROLLMENT: Item = {
    **{"id": "enrollment#own", "schema": 1, **BY_TAG},
    "team": {
        **{"cluster": "main", "owner": "priya@example.com", "reason": "Tries things out"},
        **{"quota": QUOTA, "service_accounts": READER},
    },
}


@pytest.fixture(scope="module")
def deployment() -> dict[str, str]:
    """One team an hour may lose access."""
    return {"DrainSeconds": "0", "MostTeamsLosingAccess": "1", "MostPercentLosingAccess": "0"}


@pytest.fixture(scope="module", autouse=True)
def at_work(world: World) -> Iterator[None]:
    """An account that is named, selected by its tag, and enrolled; the budget is used up, and a team of it is held."""
    world.organizations.tag_resource(ResourceId=LANGUAGE, Tags=[{"Key": "pool", "Value": "training"}])
    world.sandbox.settle()
    assert world.sweep()["status"] == "SUCCEEDED"
    world.put(a_team("shared", BOTH, READER), a_team("tagged", [BY_TAG]), a_team("held", BOTH), a_team("spent", BOTH))
    world.put(ENROLLMENT)
    for name in ("shared", "tagged", "held", "spent", OWN):
        assert world.status(name)["state"] == "READY", world.status(name)
    world.put(a_team("spent", [{"account": VISION}]))
    world.put(a_team("held", [{"account": LANGUAGE}]))
    assert world.status("held")["state"] == "HELD"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in world.sandbox.environment(HUB, HUB_REGION).items():
            patch.setenv(name, value)
        yield


def a_team(name: str, members: list[Item], service_accounts: list[Item] | None = None) -> Item:
    return a_team_item(name, members=members, quota=QUOTA, service_accounts=service_accounts or [])


def gets_in(world: World, name: str, account: str = LANGUAGE) -> bool:
    try:
        return world.may_submit(world.cluster_access(name, account), name)
    except (ClientError, LookupError, PermissionError):
        return False


def quotas(world: World) -> set[str]:
    found = world.sandbox.client("sagemaker", HUB).list_compute_quotas()["ComputeQuotaSummaries"]
    return {quota["Name"] for quota in found if quota["Status"] != "Deleted"}


def block(world: World, account: str, *words: str) -> None:
    assert main(["account", "block", account, "--reason", "keys were stolen", "--yes", *words]) == 0
    world.sandbox.settle()


def unblock(world: World, account: str) -> None:
    assert main(["account", "unblock", account]) == 0
    world.sandbox.settle()


def test_a_block_names_what_it_cuts_and_asks(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever cannot be asked is told the teams, and what the account has, and has to say --yes."""
    assert main(["account", "block", HUB, "--reason", "keys were stolen"]) == 64
    told = capsys.readouterr().err
    assert "shared" in told
    assert "It owns cluster main" in told
    assert world.record(f"block#{HUB}") == {}


def test_a_blocked_account_is_out_everywhere_at_once(world: World) -> None:
    """Named, selected and enrolled, its open sessions are refused although the budget is used up; others stay."""
    teams = ("shared", "tagged", "held", OWN)
    sessions = {name: world.cluster_access(name, LANGUAGE) for name in teams}
    pod = world.pod(OWN, "trainer")
    point = world.access_point(OWN, "imagenet")
    before = {name: world.record(name) for name in ("team#shared", "team#tagged", "enrollment#own")}
    block(world, LANGUAGE)
    for name, session in sessions.items():
        assert refused(lambda name=name, session=session: world.may_submit(session, name)), name
    with pytest.raises(ClientError, match=r"NoSuchAccessPoint|AccessDenied"):
        pod.client("s3").list_objects_v2(Bucket=point, Prefix="imagenet/")
    assert gets_in(world, "shared", VISION)
    assert gets_in(world, "held", VISION), "what was held before is held still"
    assert world.reads("shared")
    assert {name: world.record(name) for name in before} == before


def test_its_teams_say_why_and_by_whom(world: World) -> None:
    """Each team of a blocked account tells of it in its status; none waits for an approval because of it."""
    for name in ("shared", "tagged", OWN):
        assert world.status(name)["state"] == "READY"
        (note,) = (note for note in world.status(name)["notes"] if "is blocked" in note)
        assert f"account {LANGUAGE} is blocked (keys were stolen, by arn:aws:iam::{HUB}:user/admin)" in note


def test_an_enrolled_team_keeps_its_quota(world: World) -> None:
    """Nobody has access to the account's own team, and its compute is there for when the account comes back."""
    assert f"podshare-{OWN}" in quotas(world)


def test_the_list_shows_it(capsys: pytest.CaptureFixture[str]) -> None:
    """`account list` tells who blocked an account and why."""
    capsys.readouterr()
    assert main(["account", "list", "--json"]) == 0
    rows: list[Any] = json.loads(capsys.readouterr().out)
    (blocked,) = (row for row in rows if row["blocked"])
    assert (blocked["account"], blocked["blocked"]["reason"]) == (LANGUAGE, "keys were stolen")


def test_no_event_lets_it_in(world: World) -> None:
    """Tags, moves and sweeps while the account is blocked change nothing, nor does a record that names it."""
    world.organizations.untag_resource(ResourceId=LANGUAGE, TagKeys=["pool"])
    world.organizations.tag_resource(ResourceId=LANGUAGE, Tags=[{"Key": "pool", "Value": "training"}])
    parent = world.organizations.list_parents(ChildId=LANGUAGE)["Parents"][0]["Id"]
    other = PLATFORM if parent != PLATFORM else SCIENCE
    world.move(LANGUAGE, other)
    world.move(LANGUAGE, parent)
    world.put(a_team("late", BOTH))
    world.sweep()
    assert gets_in(world, "late", VISION)
    assert not any(gets_in(world, name) for name in ("shared", "tagged", "held", "late", OWN))


def test_what_joins_blocked_gets_no_team(world: World) -> None:
    """An enrollment begins nothing for an account that was blocked before."""
    (account,) = world.create_accounts("stolen-lab")
    block(world, account)
    world.organizations.tag_resource(ResourceId=account, Tags=[{"Key": "pool", "Value": "training"}])
    world.sandbox.settle()
    assert f"podshare-own-{account}" not in quotas(world)
    assert not gets_in(world, "tagged", account)


def test_unblocking_gives_back_what_records_say(world: World) -> None:
    """Nothing but the block was between the account and its teams."""
    unblock(world, LANGUAGE)
    assert all(gets_in(world, name) for name in ("shared", "tagged", "held", "late", OWN))
    assert world.reads(OWN)


def test_a_blocked_account_of_data_shares_none(world: World) -> None:
    """No pod reads data of a blocked account, people stay, and the access point comes back with it."""
    pod, point = world.pod("shared", "trainer"), world.access_point("shared", "imagenet")
    block(world, DATA)
    with pytest.raises(ClientError, match=r"NoSuchAccessPoint|AccessDenied"):
        pod.client("s3").list_objects_v2(Bucket=point, Prefix="imagenet/")
    with pytest.raises(LookupError):
        world.access_point("shared", "imagenet")
    assert gets_in(world, "shared", VISION)
    unblock(world, DATA)
    assert world.reads("shared")


def test_a_blocked_account_of_a_cluster_lets_nobody_in(world: World) -> None:
    """People and pods of every team are cut there, what runs keeps its quota, and the status says what undoes it."""
    session = world.cluster_access("shared", VISION)
    before = quotas(world)
    block(world, HUB)
    assert refused(lambda: world.may_submit(session, "shared"))
    assert quotas(world) == before
    assert world.status("shared")["state"] == "DEGRADED"
    assert any(f"podshare account unblock {HUB}" in one.get("remedy", "") for one in world.status("shared")["problems"])
    unblock(world, HUB)
    assert world.status("shared")["state"] == "READY"
    assert gets_in(world, "shared", VISION)
