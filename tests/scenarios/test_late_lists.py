"""What was begun a moment before its team was deleted is not forgotten because no list shows it yet."""

from collections.abc import Iterator

import pytest

from podshare_sandbox import consistency
from tests.builders import a_team_item
from tests.scenarios.test_consistency import a_late_world, inventory
from tests.scenarios.world import VISION, World, awaited

LATE = 45.0  # seconds: more than a run takes here, less than a run waits before it looks again


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """An organization in which new compute quotas stand in no list for most of a minute."""
    with pytest.MonkeyPatch.context() as patch, a_late_world(0.1) as found:
        patch.setattr(consistency, "FAILURES", 0.0)
        patch.setitem(consistency.DELAYS["compute-quota"], "lists", (LATE, LATE))
        yield found


def test_a_quota_that_no_list_shows_yet_goes_with_its_team(world: World) -> None:
    """The record is deleted right after CreateComputeQuota: the team waits until the list can be believed."""
    before = len(world.sandbox.decisions)
    world.put(a_team_item("vision", members=[{"account": VISION}], service_accounts=[]), settle=False)
    asked = "sagemaker:CreateComputeQuota"
    awaited(lambda: asked in {one.action for one in world.sandbox.decisions[before:]}, pause=0.02)
    world.delete("team#vision")
    assert world.status("vision")["state"] == "DELETED"
    with consistency.at_once():
        assert world.leftovers() == []
    assert inventory(world, "vision") == []
