"""Accounts that join: their people work minutes later, without anyone writing a record."""

import pytest

from tests.builders import a_team_item, an_enrollment_item
from tests.scenarios.world import LANGUAGE, PLATFORM, ROOT, SCIENCE, VISION, World

TAGS = {"owner": "rosalind@example.com", "gpus": "4"}
POOLED = {"account_tag": {"key": "pool", "value": "shared"}}


@pytest.fixture(scope="module", autouse=True)
def records(world: World) -> None:
    """An enrollment of the unit Science, and a team of whichever account has a tag, written before anyone joins."""
    world.sweep()
    world.put(
        an_enrollment_item(exclude_accounts=[VISION, LANGUAGE]),
        a_team_item("pool", members=[POOLED], quota={"resources": [{"instance_type": "ml.p5.48xlarge", "count": 1}]}),
    )


def test_an_account_that_joins_an_enrolled_unit_works(world: World) -> None:
    """Created and moved into the unit, an account gets its own team: its scientists assume, submit and read."""
    account = world.join("genomics-lab", tags=TAGS)
    team = f"science-{account}"
    status = world.status(team)
    assert (status["state"], status["problems"]) == ("READY", [])
    assert status["trigger"]["event"] == "organization"
    assert world.works(team, account)
    # nothing is refused but what waits for the StackSet
    assert {one.split()[1] for one in world.denied()} <= {"sts:AssumeRole"}


def test_an_account_that_a_team_selects_works(world: World) -> None:
    """A team's selector brings an account in; the plan names the selector."""
    account = world.join("protein-lab", tags={**TAGS, "pool": "shared"})
    assert world.works("pool", account)
    role = world.cluster_access_role("pool", account).rpartition("/")[2]
    described = world.sandbox.client("iam").get_role(RoleName=role)["Role"]["Description"]
    assert described == f"podshare: team pool, member {account}, by account tag pool=shared"


def test_a_tag_brings_an_account_in_and_its_loss_takes_it_out(world: World) -> None:
    """Tagging an account lets its people in, untagging it lets them out; the others of the team do not notice."""
    other = next(row["account"] for row in world.accounts() if row["name"] == "protein-lab")
    account = world.join("cell-lab", tags=TAGS)
    assert not world.works("pool", account)
    world.organizations.tag_resource(ResourceId=account, Tags=[{"Key": "pool", "Value": "shared"}])
    world.sandbox.settle()
    assert world.works("pool", account)
    world.organizations.untag_resource(ResourceId=account, TagKeys=["pool"])
    world.sandbox.settle()
    assert not world.works("pool", account)
    assert world.works("pool", other)


def test_units_below_count(world: World) -> None:
    """An account in a unit below the enrolled one is enrolled too, and stays so when it moves between the two."""
    below = world.organizations.create_organizational_unit(Name="Genomics", ParentId=SCIENCE)["OrganizationalUnit"]
    account = world.join("sequencing-lab", below["Id"], tags=TAGS)
    team = f"science-{account}"
    assert world.works(team, account)
    made = world.cluster_access_role(team, account)
    world.move(account, SCIENCE)
    assert world.works(team, account)
    assert world.cluster_access_role(team, account) == made


def test_an_account_nobody_selects_is_recorded_and_left_alone(world: World) -> None:
    """An account outside of every selector is known, has no team, and its event ends with the reason."""
    account = world.join("billing", PLATFORM)
    row = world.state("organization", f"account#{account}")
    assert (row["state"], row["path"]) == ("ACTIVE", [ROOT, PLATFORM])
    moved = next(one for one in world.lifecycles() if one["event"]["detail"]["eventName"] == "MoveAccount")
    assert moved["status"] == "SUCCEEDED"
    assert moved["output"]["reason"] == f"no team and no enrollment uses account {account}"


def test_an_account_without_a_tag_that_the_template_needs_is_told(world: World) -> None:
    """A team whose account lacks a tag is rejected and says which; tagging the account mends it."""
    account = world.join("untagged-lab")
    status = world.status(f"science-{account}")
    assert status["state"] == "REJECTED"
    assert f"account {account} has no tag" in status["problems"][0]["rule"]
    tags = [{"Key": key, "Value": value} for key, value in TAGS.items()]
    world.organizations.tag_resource(ResourceId=account, Tags=tags)
    world.sandbox.settle()
    assert world.works(f"science-{account}", account)


def test_a_deleted_enrollment_revokes_its_teams(world: World) -> None:
    """The teams that an enrollment made go with it, and no others."""
    made = [row["account"] for row in world.accounts() if world.works(f"science-{row['account']}", row["account"])]
    assert len(made) >= 4
    world.delete("enrollment#science")
    assert {world.status(f"science-{account}")["state"] for account in made} == {"DELETED"}
    assert world.status("pool")["state"] == "READY"
