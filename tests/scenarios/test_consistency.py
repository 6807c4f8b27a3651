"""AWS makes changes known late: teams come, change, heal and go all the same, and nobody starts anything again.

Delays are those of ``podshare_sandbox.consistency``, at a fiftieth of real time as all pauses are.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from botocore.exceptions import ClientError

from podshare_cli.sandbox_deployment import deploy_podshare
from podshare_sandbox import Sandbox, clock, consistency
from tests.scenarios.world import CLUSTER, DATASETS, HUB, LANGUAGE, VISION, World, awaited, refused

TRAINER = [{"name": "trainer", "datasets": [{"dataset": "imagenet", "access": "read"}]}]
READER = [{"name": "reader", "datasets": [{"dataset": "crawl", "access": "read"}]}]
LONGEST_DELAY = max(longest for readers in consistency.DELAYS.values() for _, longest in readers.values())


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """An organization in which everything becomes known late, with podshare, a cluster and three datasets."""
    with a_late_world(0.02) as found:
        yield found


@contextmanager
def a_late_world(time_scale: float) -> Iterator[World]:
    with Sandbox(time_scale=time_scale, lag_seed=7) as sandbox:
        found = World(sandbox)
        found.outputs = deploy_podshare(sandbox, {"DrainSeconds": "0"})
        found.put(CLUSTER, *DATASETS)
        yield found


def soon(holds: Callable[[], bool]) -> bool:
    """Whether something comes true by itself, once every delay is over."""
    return awaited(holds)


def inventory(world: World, team: str) -> list[str]:
    rows = world.sandbox.client("dynamodb").query(
        TableName="podshare-state",
        KeyConditionExpression="id = :id AND begins_with(part, :part)",
        ExpressionAttributeValues={":id": {"S": f"inventory#{team}"}, ":part": {"S": "resource#"}},
        ConsistentRead=True,
    )
    return [row["key"]["S"] for row in rows["Items"]]


def succeeded_alone(world: World, team: str, runs: int) -> bool:
    """Whether the team had ``runs`` executions, one for each of its records, and all succeeded."""
    return [execution["status"] for execution in world.executions(team)] == ["SUCCEEDED"] * runs


def test_a_team_is_ready_and_soon_works(world: World) -> None:
    """READY says that AWS has taken everything down; scientists and pods are let in once AWS has made it known."""
    status = world.put_team("vision", members=[{"account": VISION}, {"account": LANGUAGE}], service_accounts=TRAINER)
    assert (status["state"], status["problems"]) == ("READY", [])
    assert succeeded_alone(world, "vision", 1)
    assert soon(lambda: world.works("vision", VISION))
    assert soon(lambda: world.works("vision", LANGUAGE))


def test_what_a_record_no_longer_grants_soon_ends(world: World) -> None:
    """A member and a dataset go, others come: the old grants end by themselves, also where AWS still knows them."""
    gone = world.cluster_access("vision", LANGUAGE)
    status = world.put_team("vision", members=[{"account": VISION}], access="view", service_accounts=READER)
    assert (status["state"], status["problems"]) == ("READY", [])
    assert succeeded_alone(world, "vision", 2)
    assert soon(lambda: refused(lambda: world.may_submit(gone, "vision")))
    assert soon(lambda: world.reads("vision", "reader", "crawl"))
    assert not world.reads("vision", "trainer", "imagenet")


def test_a_role_that_somebody_made_anew_heals(world: World) -> None:
    """Its access entry admits nobody and looks healthy: one reconciliation makes it anew with the role."""
    iam, arn = world.sandbox.client("iam", HUB), world.cluster_access_role("vision", VISION)
    name = arn.rpartition("/")[2]
    with consistency.at_once():
        before = iam.get_role(RoleName=name)["Role"]
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=name, PolicyName=policy)
    iam.delete_role(RoleName=name)
    trust = json.dumps(before["AssumeRolePolicyDocument"])
    iam.create_role(RoleName=name, Path=before["Path"], AssumeRolePolicyDocument=trust, Tags=before["Tags"])
    clock.sleep(LONGEST_DELAY)  # whoever reads sooner is told of the former role
    status = world.reconcile("vision")
    assert status["state"] == "READY", world.status("vision")
    assert soon(lambda: world.may(world.cluster_access("vision", VISION), "list", "", "pods", "hyperpod-ns-vision"))


def test_nothing_is_left_of_a_team_that_goes(world: World) -> None:
    """The inventory is empty and so are all accounts, though lists still show what was there."""
    world.delete("team#vision")
    assert world.status("vision")["state"] == "DELETED"
    assert inventory(world, "vision") == []
    with consistency.at_once():
        assert world.leftovers() == []
    with pytest.raises((ClientError, LookupError)):
        world.scientist("vision", LANGUAGE)
