"""Task governance: quotas fit into the cluster they are of, and its scheduling policy is as its record says."""

from collections.abc import Iterator
from typing import Any

import pytest

from podshare_sandbox import traffic
from podshare_sandbox.front_door import FrontDoor, Request, Response
from podshare_sandbox.services import sagemaker
from tests.builders import a_team_item
from tests.scenarios.world import CLUSTER, HUB, VISION, World, awaited

P5 = "ml.p5.48xlarge"
MEMBER = [{"account": VISION}]


def quota(count: int, **sharing: Any) -> dict[str, Any]:
    return {"resources": [{"instance_type": P5, "count": count}], **({"sharing": sharing} if sharing else {})}


def quotas(world: World) -> dict[str, int]:
    """The instances that each quota guarantees, as SageMaker tells."""
    found = world.sandbox.client("sagemaker", HUB).list_compute_quotas()["ComputeQuotaSummaries"]
    return {
        one["ComputeQuotaTarget"]["TeamName"]: one["ComputeQuotaConfig"]["ComputeQuotaResources"][0]["Count"]
        for one in found
    }


@pytest.fixture(scope="module", autouse=True)
def somebodys(world: World) -> None:
    """Two of the cluster's eight nodes are guaranteed by a quota that is not podshare's."""
    world.sandbox.client("sagemaker", HUB).create_compute_quota(**somebodys_quota(world, "somebodys", 2))


def somebodys_quota(world: World, name: str, count: int) -> dict[str, Any]:
    return {
        "Name": name,
        "ClusterArn": world.sandbox.client("sagemaker", HUB).describe_cluster(ClusterName="hyperpod")["ClusterArn"],
        "ComputeQuotaConfig": {
            "ComputeQuotaResources": [{"InstanceType": P5, "Count": count}],
            "ResourceSharingConfig": {"Strategy": "DontLend"},
        },
        "ComputeQuotaTarget": {"TeamName": name},
    }


def test_a_quota_whose_name_changes_stays(world: World) -> None:
    """SageMaker renames none: what runs in it is not drained, and the record's former name is all it takes."""
    assert world.put_team("golf", quota=quota(1), members=MEMBER, service_accounts=[])["state"] == "READY"
    renamed = world.put_team("golf", quota={**quota(1), "name": "other"}, members=MEMBER, service_accounts=[])
    assert renamed["state"] == "DEGRADED"
    assert "cannot rename compute quota podshare-golf of cluster main to other" in str(renamed["problems"])
    assert quotas(world)["golf"] == 1
    assert world.put_team("golf", quota=quota(1), members=MEMBER, service_accounts=[])["state"] == "READY"
    world.delete("team#golf")
    assert "golf" not in quotas(world)


# ---- capacity -----------------------------------------------------------------------------------------------


@pytest.fixture
def guaranteed(world: World) -> Iterator[None]:
    """The cluster refuses over-commitment, and six of its nodes are guaranteed."""
    world.put({**CLUSTER, "over_commitment": "refuse"})
    world.put_team("alpha", quota=quota(4), members=MEMBER, service_accounts=[])
    yield
    world.delete("team#alpha", "team#bravo", "team#charlie")
    cluster = world.sandbox.client("sagemaker", HUB).describe_cluster(ClusterName="hyperpod")["ClusterArn"]
    assert world.state(f"capacity#{cluster.rpartition('/')[2]}", "claims")["teams"] == {}  # written at once by all
    world.put(CLUSTER)


@pytest.mark.usefixtures("guaranteed")
def test_a_quota_that_does_not_fit_is_refused_in_words_and_alone(world: World) -> None:
    """A raise beyond the cluster changes no quota, tells who has what, and keeps nothing else of the team waiting."""
    status = world.put_team("alpha", quota=quota(7), members=[], service_accounts=[])
    assert status["state"] == "DEGRADED"
    (told,) = status["problems"]
    assert "would over-commit the cluster by 8 accelerators" in told["what"]
    assert "72 of 64 accelerators (8 nodes) are guaranteed: alpha 7 instances, somebodys 2 instances" in told["what"]
    assert "over_commitment: warn" in told["remedy"]
    assert quotas(world) == {"alpha": 4, "somebodys": 2}
    with pytest.raises(LookupError):
        world.cluster_access("alpha", VISION)
    lowered = world.put_team("alpha", quota=quota(3), members=[], service_accounts=[])
    assert (lowered["state"], quotas(world)["alpha"]) == ("READY", 3)


@pytest.mark.usefixtures("guaranteed")
def test_a_new_team_that_does_not_fit_waits_for_room(world: World) -> None:
    """Without room a team gets neither quota nor what needs its namespace; once another has gone it gets both."""
    reader = [{"name": "reader", "datasets": [{"dataset": "imagenet", "access": "read"}]}]
    fields: dict[str, Any] = {"quota": quota(3), "members": MEMBER, "service_accounts": reader}
    planned = world.plan("bravo", a_team_item("bravo", **fields))
    assert [one["only"].startswith("compute_quota|") for one in planned["obstacles"]] == [True]
    assert world.put_team("bravo", **fields)["state"] == "DEGRADED"
    assert "bravo" not in quotas(world)
    world.delete("team#alpha")
    assert world.reconcile("bravo")["state"] == "READY"
    assert quotas(world) == {"bravo": 3, "somebodys": 2}
    assert world.works("bravo", VISION, "reader")


@pytest.mark.usefixtures("guaranteed")
def test_a_quota_that_comes_while_a_plan_is_made_counts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quotas are listed after the claims were read, for a claim goes once its quota is listed."""
    client, stock = world.sandbox.client("sagemaker", HUB), FrontDoor.handle
    asked, late = list[str](), dict[str, Any]()

    def handle(door: FrontDoor, request: Request) -> Response:
        response = stock(door, request)
        if request.headers.get("X-Amz-Target") == "SageMaker.ListComputeQuotas":
            asked.append(request.url)
            if len(asked) == 1:
                late.update(client.create_compute_quota(**somebodys_quota(world, "late", 2)))
        return response

    fields: dict[str, Any] = {"quota": quota(2), "members": [], "service_accounts": []}
    with monkeypatch.context() as patch:
        patch.setattr(FrontDoor, "handle", handle)
        plan = world.plan("bravo", a_team_item("bravo", **fields))
    awaited(lambda: client.describe_compute_quota(ComputeQuotaId=late["ComputeQuotaId"])["Status"] != "Creating")
    client.delete_compute_quota(ComputeQuotaId=late["ComputeQuotaId"])
    awaited(lambda: "late" not in quotas(world))
    assert len(asked) == 2
    assert [one["only"].startswith("compute_quota|") for one in plan["obstacles"]] == [True]
    assert "late 2 instances" in str(plan["obstacles"])


@pytest.mark.usefixtures("guaranteed")
def test_parts_of_a_type_that_nobody_publishes_are_told_as_unknown(world: World) -> None:
    """Where over-commitment is refused and EC2 says nothing of a type, parts of it are refused, and whole instances counted."""
    parts = {"resources": [{"instance_type": "ml.p6e-gb200.36xlarge", "accelerators": 2}]}
    status = world.put_team("bravo", quota=parts, members=[], service_accounts=[])
    assert status["state"] == "DEGRADED"
    (told,) = (problem for problem in status["problems"] if "unknown" in problem["what"])
    assert "over-committed in ml.p6e-gb200.36xlarge is unknown: EC2 publishes no data" in told["what"]
    assert "whole instances of ml.p6e-gb200.36xlarge" in told["remedy"]
    assert "bravo" not in quotas(world)
    known = {"resources": [{"instance_type": P5, "accelerators": 8}]}
    assert world.put_team("bravo", quota=known, members=[], service_accounts=[])["state"] == "READY"


@pytest.mark.usefixtures("guaranteed")
def test_teams_at_the_same_time_do_not_get_the_same_nodes(world: World) -> None:
    """Of two teams that are put at once, each with all that is free, exactly one gets it."""
    fields: dict[str, Any] = {"quota": quota(2), "members": [], "service_accounts": []}
    world.put(a_team_item("bravo", **fields), a_team_item("charlie", **fields))
    states = {name: world.status(name)["state"] for name in ("bravo", "charlie")}
    assert sorted(states.values()) == ["DEGRADED", "READY"]
    assert sum(quotas(world).values()) == 8
    winner, loser = sorted(states, key=lambda name: states[name], reverse=True)
    world.delete(f"team#{winner}")
    assert world.reconcile(loser)["state"] == "READY"


def test_where_it_is_not_refused_it_is_told(world: World) -> None:
    """By default an over-committed quota is made, and the plan and the status say who has what, also later."""
    fields: dict[str, Any] = {"quota": quota(9), "members": [], "service_accounts": []}
    assert "by 24 accelerators" in world.plan("delta", a_team_item("delta", **fields))["notes"][0]
    status = world.put_team("delta", **fields)
    assert (status["state"], quotas(world)["delta"]) == ("READY", 9)
    assert "88 of 64 accelerators (8 nodes) are guaranteed: delta 9 instances" in status["notes"][0]
    assert world.reconcile("delta")["summary"] == "READY: nothing to change"
    assert world.status("delta")["notes"] == status["notes"]
    assert world.put_team("delta", **{**fields, "quota": quota(6)})["notes"] == status["notes"][1:]
    world.delete("team#delta")


def test_a_quota_is_described_as_its_record_says(world: World) -> None:
    """The description is written, changed in place, put back after a change by hand, and emptied with the record's."""
    client = world.sandbox.client("sagemaker", HUB)

    def described() -> dict[str, Any]:
        found = client.list_compute_quotas(NameContains="podshare-delta")["ComputeQuotaSummaries"]
        return dict(client.describe_compute_quota(ComputeQuotaId=found[0]["ComputeQuotaId"]))

    fields: dict[str, Any] = {"members": [], "service_accounts": []}
    world.put_team("delta", quota={**quota(1), "description": "Trains image models"}, **fields)
    assert described()["Description"] == "Trains image models"
    told = described()
    client.update_compute_quota(
        ComputeQuotaId=told["ComputeQuotaId"], TargetVersion=told["ComputeQuotaVersion"], Description="by hand"
    )
    assert world.reconcile("delta")["state"] == "READY"
    assert described()["Description"] == "Trains image models"
    world.put_team("delta", quota=quota(1), **fields)
    assert described().get("Description", "") == ""
    world.delete("team#delta")


# ---- the scheduler --------------------------------------------------------------------------------------------

SCHEDULER = {
    "priority_classes": [{"name": "training", "weight": 60}, {"name": "inference", "weight": 90}],
    "fair_share": True,
    "idle_resource_sharing": True,
}
TEAM: dict[str, Any] = {"quota": quota(1), "members": [], "service_accounts": []}


def scheduler(world: World) -> dict[str, Any]:
    """The cluster's scheduler config, as SageMaker tells; empty if there is none."""
    client = world.sandbox.client("sagemaker", HUB)
    listed = client.list_cluster_scheduler_configs()["ClusterSchedulerConfigSummaries"]
    if not listed:
        return {}
    (summary,) = listed
    found: dict[str, Any] = client.describe_cluster_scheduler_config(
        ClusterSchedulerConfigId=summary["ClusterSchedulerConfigId"]
    )
    del found["ResponseMetadata"]
    return found


@pytest.fixture(scope="module")
def scheduling(world: World) -> Iterator[None]:
    """The cluster has a scheduler, which two teams share."""
    world.put({**CLUSTER, "scheduler": SCHEDULER})
    world.put(a_team_item("echo", **TEAM), a_team_item("foxtrot", **TEAM))
    yield
    world.delete("team#echo", "team#foxtrot")
    world.put(CLUSTER)


@pytest.mark.usefixtures("scheduling")
def test_the_clusters_scheduler_is_made_once_for_all_its_teams(world: World) -> None:
    """Two teams that come at once share one config, and a further run finds nothing to do."""
    assert [world.status(team)["state"] for team in ("echo", "foxtrot")] == ["READY", "READY"]
    found = scheduler(world)
    assert found["Status"] == "Created"
    assert found["SchedulerConfig"] == {
        "PriorityClasses": [{"Name": "inference", "Weight": 90}, {"Name": "training", "Weight": 60}],
        "FairShare": "Enabled",
        "IdleResourceSharing": "Enabled",
    }
    with world.calls() as made:
        assert world.reconcile("echo")["summary"] == "READY: nothing to change"
    assert made == []


@pytest.mark.usefixtures("scheduling")
def test_a_changed_scheduler_is_updated_in_place(world: World) -> None:
    """A change of the cluster's record updates the config once, and touches nothing else of its teams."""
    before = scheduler(world)
    with world.calls() as made:
        world.put({**CLUSTER, "scheduler": {**SCHEDULER, "fair_share": False, "description": "Two classes"}})
    after = scheduler(world)
    assert after["Description"] == "Two classes"
    assert (after["ClusterSchedulerConfigId"], after["SchedulerConfig"]["FairShare"]) == (
        before["ClusterSchedulerConfigId"],
        "Disabled",
    )
    assert {call.partition(" ")[2] for call in made} == {"sagemaker:UpdateClusterSchedulerConfig"}
    assert after["ClusterSchedulerConfigVersion"] == before["ClusterSchedulerConfigVersion"] + 1
    assert [world.status(team)["state"] for team in ("echo", "foxtrot")] == ["READY", "READY"]


@pytest.mark.usefixtures("scheduling")
def test_a_scheduler_that_was_changed_by_hand_is_as_the_record_says_again(world: World) -> None:
    """Changed, untagged at podshare's own keys, or deleted: any team's run mends it."""
    client = world.sandbox.client("sagemaker", HUB)
    wanted, found = scheduler(world)["SchedulerConfig"], scheduler(world)
    client.update_cluster_scheduler_config(
        ClusterSchedulerConfigId=found["ClusterSchedulerConfigId"],
        TargetVersion=found["ClusterSchedulerConfigVersion"],
        SchedulerConfig={"PriorityClasses": [{"Name": "mine", "Weight": 100}]},
    )
    assert world.reconcile("echo")["state"] == "READY"
    assert scheduler(world)["SchedulerConfig"] == wanted
    client.delete_cluster_scheduler_config(ClusterSchedulerConfigId=found["ClusterSchedulerConfigId"])
    assert world.reconcile("foxtrot")["state"] == "READY"
    assert scheduler(world)["SchedulerConfig"] == wanted
    assert world.reconcile("echo")["summary"] == "READY: nothing to change"


@pytest.mark.usefixtures("scheduling")
def test_a_scheduler_that_sagemaker_could_not_make_is_made_anew(world: World) -> None:
    """CreateFailed is deleted and asked for again, UpdateFailed is asked for again, in the same run."""
    client = world.sandbox.client("sagemaker", HUB)
    client.delete_cluster_scheduler_config(ClusterSchedulerConfigId=scheduler(world)["ClusterSchedulerConfigId"])
    sagemaker.fail_next("CreateClusterSchedulerConfig", "Kueue webhook did not answer")
    assert world.reconcile("echo")["state"] == "READY"
    assert scheduler(world)["Status"] == "Created"
    sagemaker.fail_next("UpdateClusterSchedulerConfig", "Kueue webhook did not answer")
    world.put({**CLUSTER, "scheduler": SCHEDULER})
    assert scheduler(world)["Status"] == "Updated"
    assert [world.status(team)["state"] for team in ("echo", "foxtrot")] == ["READY", "READY"]


@pytest.mark.usefixtures("scheduling")
@pytest.mark.parametrize("operation", ["DescribeClusterSchedulerConfig", "ListClusterSchedulerConfigs"])
def test_what_goes_between_two_calls_of_a_reading_has_gone(world: World, operation: str) -> None:
    """A resource that one call found and the next did not is read again, and made anew: it is no failure."""
    client = world.sandbox.client("sagemaker", HUB)
    client.delete_cluster_scheduler_config(ClusterSchedulerConfigId=scheduler(world)["ClusterSchedulerConfigId"])
    traffic.begin({f"sagemaker:{operation}": sagemaker.CHANGE_SECONDS["Deleting"]})  # the answer tells what was
    try:
        assert world.reconcile("echo")["state"] == "READY", world.status("echo")["problems"]
    finally:
        traffic.begin({})
    assert scheduler(world)["Status"] == "Created"


@pytest.mark.usefixtures("scheduling")
def test_the_scheduler_goes_with_the_last_team(world: World) -> None:
    """One team less changes nothing; with the last one nothing of the config is left."""
    before = scheduler(world)
    world.delete("team#echo")
    assert (world.status("echo")["state"], scheduler(world)) == ("DELETED", before)
    world.delete("team#foxtrot")
    assert (world.status("foxtrot")["state"], scheduler(world)) == ("DELETED", {})
    assert world.leftovers() == ["somebodys"]


@pytest.mark.usefixtures("scheduling")
def test_a_scheduler_of_somebody_else_is_told_and_left_alone(world: World) -> None:
    """A foreign config is never taken over: the team is told whose it is, and all else of it is provided."""
    client = world.sandbox.client("sagemaker", HUB)
    cluster = client.describe_cluster(ClusterName="hyperpod")["ClusterArn"]
    client.create_cluster_scheduler_config(Name="theirs", ClusterArn=cluster, SchedulerConfig={})
    theirs = scheduler(world)
    status = world.put_team("golf", **TEAM)
    assert status["state"] == "DEGRADED"
    (told,) = status["problems"]
    assert "the cluster's config is theirs" in told["what"]
    assert "take `scheduler` out of the cluster's record" in told["remedy"]
    assert quotas(world)["golf"] == 1
    world.put(CLUSTER)
    assert world.status("golf")["state"] == "READY"
    world.delete("team#golf")
    assert scheduler(world)["ClusterSchedulerConfigId"] == theirs["ClusterSchedulerConfigId"]
    client.delete_cluster_scheduler_config(ClusterSchedulerConfigId=theirs["ClusterSchedulerConfigId"])
