"""A deleted team: everything is cut, then removed, and what others own means what it meant."""

import json

import pytest
from botocore.exceptions import ClientError

from podshare_sandbox.services import kubernetes
from tests.builders import a_team_item
from tests.scenarios.world import EKS_ARN, IMAGES, LANGUAGE, VISION, Item, World, awaited, refused

MEMBERS = [{"account": VISION}, {"account": LANGUAGE}]
GRANTS = [
    {"name": "trainer", "datasets": [{"dataset": "imagenet", "access": "read"}, {"dataset": "crawl", "access": "read"}]}
]


@pytest.fixture(scope="module")
def deployment() -> dict[str, str]:
    """Work is waited for long enough to see it."""
    return {"DrainSeconds": "10"}


def test_after_deletion_nothing_is_left(world: World) -> None:
    """Two teams come and go: no role, entry, association, access point, statement or quota of podshare's remains."""
    owners = world.bucket_statements(IMAGES)
    world.put(
        a_team_item("vision", members=MEMBERS, service_accounts=GRANTS),
        a_team_item("language", members=MEMBERS[:1]),
    )
    assert [world.status(team)["state"] for team in ("vision", "language")] == ["READY", "READY"]
    session = world.cluster_access("vision", VISION)
    pod = world.pod("vision", "trainer").client("s3")
    point = world.access_point("vision", "imagenet")
    kubernetes.api_of(EKS_ARN).delete("Pod", "hyperpod-ns-vision", "trainer-0")
    with world.calls() as made:
        world.delete("team#vision")
    assert world.status("vision")["state"] == "DELETED"
    assert refused(lambda: world.may_submit(session, "vision"))
    with pytest.raises(ClientError) as gone:
        pod.list_objects_v2(Bucket=point, Prefix="imagenet/")
    assert gone.value.response["Error"]["Code"] in ("AccessDenied", "NoSuchAccessPoint")
    assert world.may_submit(world.cluster_access("language", VISION), "language")
    calls = [call.partition(" ")[2] for call in made]
    order = [call for call in calls if call != "events:PutEvents"]  # announcements follow the last change
    assert order.index("eks:DeleteAccessEntry") < order.index("s3:DeleteAccessPointPolicy")
    assert order.index("s3:DeleteAccessPointPolicy") < order.index("iam:UpdateAssumeRolePolicy")
    assert order.index("iam:UpdateAssumeRolePolicy") < order.index("eks:DeletePodIdentityAssociation")
    assert order.index("eks:DeletePodIdentityAssociation") < order.index("iam:DeleteRole")
    assert order[-1] == "sagemaker:DeleteComputeQuota"
    world.delete("team#language")
    assert world.leftovers() == []
    assert world.bucket_statements(IMAGES) == owners
    assert world.denied() == []


def test_the_quota_stays_while_work_runs_and_access_does_not(world: World) -> None:
    """A pod still runs: access is cut at once, the team waits, no lease is held, and the quota goes with the pod."""
    world.put_team("november", members=MEMBERS[:1], service_accounts=[{"name": "trainer"}])
    session = world.cluster_access("november", VISION)
    world.run_pod("november", "trainer")
    world.delete("team#november", settle=False)
    world.await_state("november", "WAITING")
    assert "1 pod still running (worker-0)" in json.dumps(world.status("november")["problems"])
    assert refused(lambda: world.may_submit(session, "november"))
    assert world.leftovers() == ["podshare-november"]
    assert "holder" not in world.state("lease", "team#november")
    kubernetes.api_of(EKS_ARN).delete("Pod", "hyperpod-ns-november", "worker-0")
    world.sandbox.settle()
    assert world.status("november")["state"] == "DELETED"
    assert world.leftovers() == []


def test_a_name_is_reserved_until_its_namespace_is_empty(world: World) -> None:
    """Work that does not end holds the quota no longer than is set, and the name until nothing is left of the old team."""
    api, namespace = kubernetes.api_of(EKS_ARN), "hyperpod-ns-oscar"
    world.put_team("oscar", members=[], service_accounts=[{"name": "trainer"}], on_delete="keep_work")
    world.run_pod("oscar", "trainer")
    api.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "own", "namespace": namespace}})
    former = (api.get("ServiceAccount", namespace, "default") or {})["metadata"]["uid"]
    world.delete("team#oscar", settle=False)
    told = "1 pods, 1 serviceaccounts"
    awaited(lambda: world.status("oscar"), lambda status: waits(status, told))
    assert world.leftovers() == []
    world.put(a_team_item("oscar", members=MEMBERS[:1], service_accounts=[{"name": "trainer"}]), settle=False)
    awaited(lambda: world.status("oscar"), lambda status: waits(status, "a team of this name was deleted"))
    published = "222222222222 /podshare/teams/oscar"
    assert world.leftovers() == ["arn:aws:iam::222222222222:role/podshare/podshare-oscar-scientist", published]
    assert api.get("ServiceAccount", namespace, "trainer") is None
    world.end_pods("oscar")
    api.delete("ServiceAccount", namespace, "own")
    world.sandbox.settle()
    assert world.status("oscar")["state"] == "READY"
    assert world.may_submit(world.cluster_access("oscar", VISION), "oscar")
    assert (api.get("ServiceAccount", namespace, "default") or {})["metadata"]["uid"] != former
    world.delete("team#oscar")
    assert "podshare/team" not in (api.get("Namespace", None, namespace) or {})["metadata"]["labels"]


def waits(status: Item, why: str) -> bool:
    """Whether a team waits, with ``why`` among its problems."""
    return status.get("state") == "WAITING" and why in json.dumps(status["problems"])


def test_a_team_that_is_wanted_again_meanwhile_keeps_its_quota(world: World) -> None:
    """Deleted and written again while its work runs: the quota never goes, and access comes back."""
    world.put_team("papa", members=MEMBERS[:1], service_accounts=[{"name": "trainer"}])
    quotas = world.sandbox.client("sagemaker").list_compute_quotas(NameContains="podshare-papa")
    world.run_pod("papa", "trainer")
    world.delete("team#papa", settle=False)
    world.await_state("papa", "WAITING")
    world.put_team("papa", members=MEMBERS[:1], service_accounts=[{"name": "trainer"}])
    assert world.status("papa")["state"] == "READY"
    assert world.may_submit(world.cluster_access("papa", VISION), "papa")
    again = world.sandbox.client("sagemaker").list_compute_quotas(NameContains="podshare-papa")
    ids = [[one["ComputeQuotaId"] for one in found["ComputeQuotaSummaries"]] for found in (quotas, again)]
    assert ids[0] == ids[1]


def test_what_was_made_is_removed_also_after_the_inventory_was_lost(world: World) -> None:
    """What a run finds by its names it remembers: a lost state table keeps nobody's access alive."""
    members = [{"account": VISION}, {"account": LANGUAGE}]
    world.put_team("lost", members=members)
    leaver = world.cluster_access("lost", LANGUAGE)
    client = world.sandbox.client("dynamodb")
    rows = client.query(
        TableName="podshare-state",
        KeyConditionExpression="id = :id AND begins_with(part, :part)",
        ExpressionAttributeValues={":id": {"S": "inventory#lost"}, ":part": {"S": "resource#"}},
    )["Items"]
    assert rows
    for row in rows:
        client.delete_item(TableName="podshare-state", Key={"id": row["id"], "part": row["part"]})
    assert world.reconcile("lost")["summary"] == "READY: nothing to change"
    world.put_team("lost", members=members[:1])
    assert refused(lambda: world.may_submit(leaver, "lost"))
    world.delete("team#lost")
    assert world.status("lost")["state"] == "DELETED"
    assert not [thing for thing in world.leftovers() if "podshare-lost-" in thing]
