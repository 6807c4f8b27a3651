"""AWS refuses to answer for a while what podshare reads: nothing stays unread, and no access stays, for want of a run."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from podshare_sandbox import throttling
from podshare_sandbox.throttling import ACCOUNT, Rate
from tests.builders import a_team_item
from tests.scenarios.world import DATA, HUB, LANGUAGE, REGION, VISION, World

SCALE = 0.02
NEVER = 1e-9  # a second: an empty bucket stays empty
MEMBERS = [{"account": VISION}, {"account": LANGUAGE}]
READER = [{"name": "reader", "datasets": [{"dataset": "imagenet", "access": "read"}]}]


@contextmanager
def throttled(world: World, *operations: str) -> Iterator[None]:
    """Let AWS refuse every request for these operations."""
    world.sandbox.set_pace({}, SCALE, dict.fromkeys(operations, Rate(NEVER, 1, per=ACCOUNT)))
    for operation, account in itertools.product(operations, (HUB, VISION, LANGUAGE, DATA)):
        throttling.take(operation, account, REGION)  # the one that a bucket holds at first
    try:
        yield
    finally:
        world.sandbox.set_pace({}, SCALE)


@pytest.mark.parametrize("operation", ["s3:GetBucketLocation", "eks:DescribeAddon"])
def test_a_team_whose_readings_are_throttled_becomes_ready_by_itself(world: World, operation: str) -> None:
    """What keeps a plan from being made whole is tried again without a trigger, a person or the sweep."""
    name = operation.partition(":")[2].lower()[-16:]
    with throttled(world, operation):
        world.put(team(name), settle=False)
        world.await_state(name, "DEGRADED")
        assert world.status(name)["problems"][0]["remedy"] == "podshare tries again."
    world.sandbox.settle()
    assert world.status(name)["state"] == "READY"


def test_access_that_could_not_be_read_is_revoked_by_the_run_that_could_not(world: World) -> None:
    """An access point that a throttled plan did not see ends once AWS answers: nobody has to ask again."""
    world.put(team("vega"))
    assert access_points(world, "vega")
    with throttled(world, "s3control:GetAccessPointPolicy", "s3control:GetAccessPoint"):
        world.put({**team("vega"), "service_accounts": []}, settle=False)
        world.await_state("vega", "DEGRADED")
        assert "cannot be read" in str(world.status("vega")["problems"])
        assert access_points(world, "vega")
    world.sandbox.settle()
    assert world.status("vega")["state"] == "READY"
    assert not access_points(world, "vega")


def access_points(world: World, name: str) -> list[str]:
    """The names of a team's access points."""
    listed = world.sandbox.client("s3control", DATA).list_access_points(AccountId=DATA)["AccessPointList"]
    return [point["Name"] for point in listed if f"-{name}-" in point["Name"]]


def team(name: str) -> dict[str, object]:
    """A team of two members with one dataset."""
    return a_team_item(name, members=MEMBERS, service_accounts=READER)
