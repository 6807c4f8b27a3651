"""One account's tags use up one of the hour's budget, in however many teams the account is."""

import pytest

from tests.builders import a_team_item
from tests.scenarios.world import LANGUAGE, VISION, Item, World, refused

QUOTA = {"resources": [{"instance_type": "ml.g5.12xlarge", "accelerators": 1}]}
TAGGED = ("tagged-a", "tagged-b", "tagged-c")
LIMIT = 2


@pytest.fixture(scope="module")
def deployment() -> dict[str, str]:
    """Two teams an hour may lose access."""
    return {"DrainSeconds": "0", "MostTeamsLosingAccess": str(LIMIT), "MostPercentLosingAccess": "0"}


def a_team(name: str, *members: Item) -> Item:
    return a_team_item(name, members=list(members), quota=QUOTA, service_accounts=[])


def test_whoever_tags_an_account_cannot_have_other_teams_held(world: World) -> None:
    """An account in three teams loses its tag: two let it go, the third is held, and another team has its room still."""
    pool = {"Key": "pool", "Value": "training"}
    world.organizations.tag_resource(ResourceId=LANGUAGE, Tags=[pool])
    world.sandbox.settle()
    assert world.sweep()["status"] == "SUCCEEDED"
    by_tag = {"account_tag": {"key": "pool", "value": "training"}}
    world.put(*(a_team(name, by_tag) for name in TAGGED), a_team("named", {"account": VISION}, {"account": LANGUAGE}))
    assert {world.status(name)["state"] for name in (*TAGGED, "named")} == {"READY"}
    sessions = {name: world.cluster_access(name, LANGUAGE) for name in TAGGED}
    session = world.cluster_access("named", LANGUAGE)
    world.organizations.untag_resource(ResourceId=LANGUAGE, TagKeys=["pool"])
    world.sandbox.settle()
    held = [name for name in TAGGED if world.status(name)["state"] == "HELD"]
    assert len(held) == len(TAGGED) - LIMIT
    for name, one in sessions.items():
        assert refused(lambda name=name, one=one: world.may_submit(one, name)) == (name not in held)
    assert world.state("organization", "losses")["teams"] == [f"account {LANGUAGE}"]
    world.put(a_team("named", {"account": VISION}))
    assert world.status("named")["state"] == "READY"
    assert refused(lambda: world.may_submit(session, "named"))
