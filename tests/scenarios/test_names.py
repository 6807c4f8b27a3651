"""Names of teams: one that somebody else has on the cluster, and one that a deleted team has left."""

import contextlib
import time

import pytest

from podshare_sandbox.services import kubernetes
from tests.builders import a_team_item
from tests.scenarios.world import EKS_ARN, HUB, VISION, World

MEMBERS = [{"account": VISION}]


def team_of_others(world: World, team: str, name: str = "by-hand") -> str:
    """A HyperPod team that an admin of the cluster made, with a pod in its namespace; its quota's id."""
    sagemaker = world.sandbox.client("sagemaker")
    cluster = sagemaker.describe_cluster(ClusterName="hyperpod")["ClusterArn"]
    made = sagemaker.create_compute_quota(
        Name=name,
        ClusterArn=cluster,
        ComputeQuotaConfig={"ComputeQuotaResources": [{"InstanceType": "ml.p5.48xlarge", "Count": 1}]},
        ComputeQuotaTarget={"TeamName": team},
    )
    deadline = time.monotonic() + 60
    while sagemaker.describe_compute_quota(ComputeQuotaId=made["ComputeQuotaId"])["Status"] != "Created":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    kubernetes.api_of(EKS_ARN).run_pod(f"hyperpod-ns-{team}", "theirs", "default")
    return str(made["ComputeQuotaId"])


def remove(world: World, quota: str, team: str) -> None:
    """Remove what ``team_of_others`` made."""
    sagemaker = world.sandbox.client("sagemaker")
    kubernetes.api_of(EKS_ARN).delete("Namespace", None, f"hyperpod-ns-{team}")
    sagemaker.delete_compute_quota(ComputeQuotaId=quota)
    deadline = time.monotonic() + 60
    with contextlib.suppress(sagemaker.exceptions.ResourceNotFound):
        while sagemaker.describe_compute_quota(ComputeQuotaId=quota)["Status"] != "Deleted":
            assert time.monotonic() < deadline
            time.sleep(0.05)


def entries(world: World) -> list[str]:
    eks = world.sandbox.client("eks", HUB)
    listed: list[str] = eks.list_access_entries(clusterName="hyperpod-eks")["accessEntries"]
    return sorted(listed)


@pytest.mark.parametrize("name", ["by-hand", "podshare-whiskey", "Podshare-Whiskey"])
def test_a_team_that_podshare_did_not_make_keeps_its_namespace(world: World, name: str) -> None:
    """A record with the name of somebody's HyperPod team lets nobody in: the plan says so, and what to do."""
    quota = team_of_others(world, "whiskey", name)
    record = a_team_item("whiskey", members=MEMBERS, service_accounts=[{"name": "trainer"}])
    before = entries(world)
    planned = world.plan("whiskey", record)
    told = [one for one in planned["obstacles"] if "HyperPod team whiskey that podshare did not make" in one["what"]]
    assert (planned["count"], len(told), name in str(told)) == (0, 1, True), planned
    assert "Choose another name" in told[0]["remedy"]
    status = world.put_team("whiskey", members=MEMBERS, service_accounts=[{"name": "trainer"}])
    assert status["state"] != "READY", status
    assert entries(world) == before
    assert world.leftovers() == [name]
    remove(world, quota, "whiskey")
    world.delete("team#whiskey")
    assert world.status("whiskey")["state"] == "DELETED"


def test_other_teams_of_the_cluster_are_in_nobodys_way(world: World) -> None:
    """A HyperPod team of another name keeps nothing waiting, whatever its quota is called."""
    quota = team_of_others(world, "whiskey-two", "whiskey")
    status = world.put_team("whiskey", members=MEMBERS, service_accounts=[])
    assert status["state"] == "READY", status
    world.delete("team#whiskey")
    remove(world, quota, "whiskey-two")
