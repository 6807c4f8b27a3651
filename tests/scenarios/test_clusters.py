"""A team on several clusters: of the hub's account, and of another, in one Region and in another."""

from typing import Any

import pytest

from podshare_cli.sandbox_deployment import PROJECT, add_cluster
from tests.builders import a_team_item
from tests.scenarios.world import CLUSTER, HUB, SCIENCE, VISION, World, refused

Item = dict[str, Any]
EAST = "us-east-2"
READER = [{"name": "reader", "datasets": [{"dataset": "imagenet", "access": "read"}]}]
TWO = [
    {"cluster": name, "quota": {"resources": [{"instance_type": "ml.g5.12xlarge", "count": 1}]}}
    for name in ("main", "east")
]


def on(*clusters: Item, **fields: Any) -> Item:
    """The record of team vision on these clusters."""
    record = a_team_item("vision", members=[{"account": VISION}], service_accounts=READER, **fields)
    return {**{name: value for name, value in record.items() if name != "quota"}, "cluster": [*clusters]}


@pytest.fixture(scope="module")
def east(world: World) -> str:
    """The account of a second cluster, in Region us-east-2, which the scientists' accounts may use."""
    (account,) = world.create_accounts("compute-east")
    add_cluster(world.sandbox, account, EAST, "east-eks", "east")
    parameters = {"HubAccountId": HUB, "OrganizationId": "o-podshare01", "ClusterAccountIds": f"{HUB},{account}"}
    world.sandbox.deploy_stack_set("podshare-member", PROJECT / "accounts" / "member.yaml", parameters, [SCIENCE])
    place = {"account": account, "region": EAST, "eks_cluster": "east-eks", "hyperpod_cluster": "east"}
    world.put({**CLUSTER, **place, "id": "cluster#east"})
    return account


def quotas(world: World, account: str, region: str) -> list[str]:
    found = world.sandbox.client("sagemaker", account, region).list_compute_quotas()["ComputeQuotaSummaries"]
    return [quota["Name"] for quota in found if quota["Status"] != "Deleted"]


def entries(world: World, account: str, region: str, cluster: str) -> list[str]:
    found = world.sandbox.client("eks", account, region).list_access_entries(clusterName=cluster)["accessEntries"]
    return [arn for arn in found if ":role/podshare/" in arn]


def test_a_team_works_on_both(world: World, east: str) -> None:
    """Quota, entry and service account are on each cluster, and its data come with it, by roles of their own."""
    world.put(on(*TWO))
    assert world.status("vision")["state"] == "READY"
    assert quotas(world, HUB, "us-west-2") == quotas(world, east, EAST) == ["podshare-vision"]
    (here,), (there,) = entries(world, HUB, "us-west-2", "hyperpod-eks"), entries(world, east, EAST, "east-eks")
    scientist = world.scientist("vision", VISION)
    assert world.session(here, scientist)
    assert world.session(there, scientist)
    points = world.sandbox.client("s3control", "333333333333").list_access_points(AccountId="333333333333")
    assert len(points["AccessPointList"]) == 2


def test_nothing_is_left_to_change(world: World, east: str) -> None:
    """A second reconciliation finds both clusters as they should be."""
    with world.calls() as made:
        assert world.reconcile("vision")["summary"] == "READY: nothing to change"
    assert made == []
    assert east


def test_a_cluster_that_cannot_be_read_holds_up_no_other(world: World, east: str) -> None:
    """What the team has on a cluster that is not ready stays, what it adds goes on elsewhere, and the reason is told."""
    world.put(
        {
            "id": "cluster#lost",
            **{name: value for name, value in CLUSTER.items() if name != "id"},
            "account": "333333333333",
        }
    )
    lost = {"cluster": "lost", "quota": TWO[0]["quota"]}
    with_more = [*READER, {"name": "writer", "datasets": [{"dataset": "imagenet", "access": "read_write"}]}]
    world.put({**on(*TWO, lost), "service_accounts": with_more})
    status = world.status("vision")
    assert status["state"] == "DEGRADED"
    assert "cluster lost cannot be read" in str(status["problems"])
    listed = world.sandbox.client("eks", east, EAST).list_pod_identity_associations(clusterName="east-eks")
    assert sorted(one["serviceAccount"] for one in listed["associations"]) == ["reader", "writer"]


@pytest.mark.parametrize("account", ["333333333333", "999999999998"], ids=["without the cluster", "of nobody"])
def test_a_move_to_a_cluster_that_was_never_read_ends_access_on_the_old(world: World, east: str, account: str) -> None:
    """Nobody has access by a record that no longer asks for it; the quotas stay until the new cluster is read."""
    world.put(on(*TWO))
    assert world.status("vision")["state"] == "READY"
    world.put({**CLUSTER, "id": "cluster#mistyped", "account": account})
    world.put(on({**TWO[0], "cluster": "mistyped"}))
    status = world.status("vision")
    assert status["state"] == "DEGRADED"
    assert f"account {account}" in str(status["problems"])
    assert "compute quota podshare-vision stays on cluster" in str(status["problems"])
    assert entries(world, HUB, "us-west-2", "hyperpod-eks") == entries(world, east, EAST, "east-eks") == []
    for place in (HUB, east, VISION):
        assert world.sandbox.client("iam", place).list_roles(PathPrefix="/podshare/")["Roles"] == []
    points = world.sandbox.client("s3control", "333333333333").list_access_points(AccountId="333333333333")
    assert points["AccessPointList"] == []
    assert quotas(world, HUB, "us-west-2") == quotas(world, east, EAST) == ["podshare-vision"]
    assert world.reconcile("vision")["state"] == "DEGRADED"
    world.put(on(*TWO))
    assert world.status("vision")["state"] == "READY"
    world.delete("cluster#mistyped")


def test_a_block_counts_where_a_cluster_was_before_its_record_named_another(world: World, east: str) -> None:
    """A record that names a place that cannot be read keeps who is on the old cluster, but for an account that is blocked."""
    world.put(on(*TWO))
    (there,) = entries(world, east, EAST, "east-eks")
    place = {"region": EAST, "eks_cluster": "east-eks", "hyperpod_cluster": "east", "id": "cluster#east"}
    world.put({**CLUSTER, **place, "account": "333333333333"})  # which has no such cluster
    assert world.status("vision")["state"] == "DEGRADED"
    assert entries(world, east, EAST, "east-eks") == [there]
    block = {"id": f"block#{east}", "schema": 1, "reason": "keys were stolen", "owner": "priya@example.com"}
    world.put(block)
    assert entries(world, east, EAST, "east-eks") == []
    assert world.may_submit(world.cluster_access("vision", VISION), "vision")
    world.delete(block["id"])
    world.put({**CLUSTER, **place, "account": east})
    assert world.status("vision")["state"] == "READY", world.status("vision")


def test_a_typo_in_one_clusters_name_closes_that_one(world: World, east: str) -> None:
    """A bad record that no longer names a cluster ends access there alone; the quota there stays until it is mended."""
    scientist = world.scientist("vision", VISION)
    (there,) = entries(world, east, EAST, "east-eks")
    world.put({**on(TWO[0], {**TWO[1], "cluster": "eats"})})
    assert world.status("vision")["state"] == "REJECTED"
    assert entries(world, east, EAST, "east-eks") == []
    assert refused(lambda: world.session(there, scientist))
    assert quotas(world, east, EAST) == ["podshare-vision"]
    assert world.may_submit(world.cluster_access("vision", VISION), "vision")
    world.put({**on(TWO[0], {**TWO[1], "cluster": "eats"}), "owner": ""})
    assert entries(world, east, EAST, "east-eks") == []


def test_a_cluster_that_is_taken_out_is_left_alone_from_then_on(world: World, east: str) -> None:
    """Everything of the team goes from the one cluster, and all on the other stays."""
    world.put(on(*TWO))
    assert len(entries(world, east, EAST, "east-eks")) == 1
    session = world.cluster_access("vision", VISION)
    world.put(on(TWO[0]))
    assert world.status("vision")["state"] == "READY"
    assert entries(world, east, EAST, "east-eks") == quotas(world, east, EAST) == []
    iam = world.sandbox.client("iam", east)
    assert iam.list_roles(PathPrefix="/podshare/")["Roles"] == []
    assert world.may_submit(session, "vision")
    assert world.reads("vision", "reader")


def test_what_goes_goes_everywhere(world: World, east: str) -> None:
    """A deleted team leaves nothing on any cluster, and nothing is called that podshare may not call."""
    world.put(on(*TWO))
    before = len(world.denied())
    assert len(entries(world, east, EAST, "east-eks")) == 1
    world.delete("team#vision")
    assert world.status("vision")["state"] == "DELETED"
    assert world.leftovers() == []
    assert entries(world, east, EAST, "east-eks") == quotas(world, east, EAST) == []
    assert world.sandbox.client("iam", east).list_roles(PathPrefix="/podshare/")["Roles"] == []
    assert world.denied()[before:] == []


def test_two_clusters_of_one_account(world: World, east: str) -> None:
    """An account shares clusters of two Regions by one set of roles, and what leaves one of them stays on the other."""
    add_cluster(world.sandbox, east, "us-west-2", "west-eks", "west")
    place = {"account": east, "region": "us-west-2", "eks_cluster": "west-eks", "hyperpod_cluster": "west"}
    world.put({**CLUSTER, **place, "id": "cluster#west"})
    before = len(world.denied())
    west = {**TWO[1], "cluster": "west"}
    world.put({**on(TWO[1], west), "id": "team#twins"})
    assert world.status("twins")["state"] == "READY"
    (here,), (there,) = entries(world, east, "us-west-2", "west-eks"), entries(world, east, EAST, "east-eks")
    assert here != there
    world.put({**on(west), "id": "team#twins"})
    assert world.status("twins")["state"] == "READY"
    assert entries(world, east, EAST, "east-eks") == quotas(world, east, EAST) == []
    assert entries(world, east, "us-west-2", "west-eks") == [here]
    assert quotas(world, east, "us-west-2") == ["podshare-twins"]
    assert len(world.denied()) == before
