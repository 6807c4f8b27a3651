"""Accounts that move out, are suspended, closed or removed, or leave: access ends at once, everywhere."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import boto3
import pytest
from botocore.exceptions import ClientError

from podshare_sandbox.services import organizations
from tests.builders import a_team_item, an_enrollment_item
from tests.scenarios.world import DATA, HUB, LANGUAGE, PLATFORM, REGION, SCIENCE, VISION, World, awaited, refused

TAGS = {"owner": "rosalind@example.com", "gpus": "2"}


@pytest.fixture(scope="module", autouse=True)
def records(world: World) -> None:
    """An enrollment of the unit Science, and a team of two accounts that are not concerned."""
    world.sweep()
    world.put(a_team_item("vision"), an_enrollment_item(exclude_accounts=[VISION, LANGUAGE]))


def move_out(world: World, account: str) -> None:
    world.move(account, PLATFORM, settle=False)


def suspend(world: World, account: str) -> None:
    """AWS suspends an account without an event: the sweep finds it."""
    organizations.suspend(account)
    machine = f"arn:aws:states:{REGION}:{HUB}:stateMachine:podshare-sweep-teams"
    world.sandbox.client("stepfunctions").start_execution(stateMachineArn=machine)


def close(world: World, account: str) -> None:
    world.organizations.close_account(AccountId=account)


def remove(world: World, account: str) -> None:
    world.organizations.remove_account_from_organization(AccountId=account)


def leave(world: World, account: str) -> None:
    world.sandbox.client("organizations", account, "us-east-1").leave_organization()


WAYS = {way.__name__: way for way in (move_out, suspend, close, remove, leave)}


@dataclass
class Departure:
    """An account that went: the live sessions of its people, and how long they were let in after the event."""

    team: str
    scientist: boto3.Session
    pod: boto3.Session
    point: str
    cluster_seconds: float = 0
    data_seconds: float = 0


@pytest.fixture(scope="module")
def departures(world: World) -> dict[str, Departure]:
    """One account for each way to go, all at work in the unit; then each goes its way."""
    accounts = world.create_accounts(*(f"lab-{way}".replace("_", "-") for way in WAYS), tags=TAGS)
    for account in accounts:
        world.move(account, SCIENCE, settle=False)
    world.sandbox.settle()
    gone = {}
    for way, account in zip(WAYS, accounts, strict=True):
        team = f"science-{account}"
        sessions = world.cluster_access(team, account), world.pod(team, "trainer")
        gone[way] = found = Departure(team, *sessions, world.access_point(team, "imagenet"))
        assert world.may_submit(found.scientist, team)
        assert not _no_data(found)
    for way, account in zip(WAYS, accounts, strict=True):
        found, began = gone[way], time.monotonic()
        WAYS[way](world, account)
        awaited(partial(_is_refused, world, found))
        found.cluster_seconds = time.monotonic() - began
        awaited(partial(_no_data, found))
        found.data_seconds = time.monotonic() - began
    world.sandbox.settle()
    return gone


@pytest.mark.parametrize("way", WAYS)
def test_an_account_that_goes_loses_access_at_once(
    world: World,
    departures: dict[str, Departure],
    way: str,
    record_property: Callable[[str, object], None],
) -> None:
    """The cluster refuses a live session and the data a running pod's, and they stay refused."""
    found = departures[way]
    record_property(f"{way}: seconds until the cluster refuses", round(found.cluster_seconds, 1))
    record_property(f"{way}: seconds until the data are refused", round(found.data_seconds, 1))
    assert _is_refused(world, found)
    assert _no_data(found)
    assert world.status(found.team)["state"] == "DELETED"


@pytest.mark.usefixtures("departures")
def test_other_accounts_do_not_notice(world: World) -> None:
    """A team whose accounts stayed reaches all that it reached before, without a failed run."""
    assert world.status("vision")["state"] == "READY"
    assert world.works("vision", VISION)
    assert {one["status"] for one in world.executions("vision")} == {"SUCCEEDED"}


@pytest.mark.parametrize("way", ["suspend", "close", "remove", "leave"])
def test_what_cannot_be_cleaned_is_listed(world: World, departures: dict[str, Departure], way: str) -> None:
    """What lies in an account that has gone is told as left behind, and no execution waits for it."""
    team = departures[way].team
    account = team.removeprefix("science-")
    left = world.status(team)["left_behind"]
    names = (f"role podshare-{team}-scientist", f"ssm parameter /podshare/teams/{team}")
    assert [one["what"].partition(" is orphaned")[0] for one in left] == [
        f"{name} in account {account}" for name in names
    ]
    assert {one["account"] for one in left} == {account}
    states = {"suspend": "SUSPENDED", "close": "CLOSED", "remove": "DEPARTED", "leave": "DEPARTED"}
    assert world.state("organization", f"account#{account}")["state"] == states[way]


def _is_refused(world: World, found: Departure) -> bool:
    return refused(lambda: world.may_submit(found.scientist, found.team))


def _no_data(found: Departure) -> bool:
    try:
        found.pod.client("s3").list_objects_v2(Bucket=found.point, Prefix="imagenet/")
    except ClientError as error:
        return error.response["Error"]["Code"] in ("AccessDenied", "NoSuchAccessPoint", "InvalidAccessKeyId")
    return False


def test_an_account_that_is_reinstated_gets_its_team_back(world: World, departures: dict[str, Departure]) -> None:
    """An account that was suspended and is active again works again, with what was left behind in it taken over."""
    team = departures["suspend"].team
    account = team.removeprefix("science-")
    organizations.reinstate(account)
    world.sweep()
    status = world.status(team)
    assert (status["state"], status["left_behind"]) == ("READY", [])
    assert world.works(team, account)


def test_what_a_suspended_account_brought_to_other_teams_goes_too(world: World) -> None:
    """A named member is cut and its team stays READY; a data account takes its datasets out of the teams; both return."""
    account = world.join("lab-named")  # without the tags that the enrollment needs
    world.put(a_team_item("named", members=[{"account": VISION}, {"account": account}]))
    pod, point = world.pod("vision", "trainer"), world.access_point("vision", "imagenet")
    data = Departure("vision", world.cluster_access("vision", VISION), pod, point)
    organizations.suspend(account)
    organizations.suspend(DATA)
    world.sweep()

    with pytest.raises(LookupError):
        world.cluster_access_role("named", account)
    assert world.may_submit(world.cluster_access("named", VISION), "named")
    assert any(f"account {account} is SUSPENDED" in note for note in world.plan("named")["notes"])
    assert _no_data(data)
    status = world.status("vision")
    assert status["state"] == "READY"
    assert {thing["account"] for thing in status["left_behind"]} == {DATA}
    assert world.may_submit(data.scientist, "vision")

    organizations.reinstate(DATA)
    world.sweep()
    assert world.status("vision")["left_behind"] == []
    assert world.works("vision", VISION)
