"""A cluster in an account that leaves the organization, is closed or is suspended is shared with nobody any more."""

from collections.abc import Callable
from typing import Any

import pytest

from podshare_cli.sandbox_deployment import PROJECT, add_cluster
from podshare_sandbox.services import kubernetes, organizations, pod_identity
from tests.builders import a_team_item
from tests.scenarios.world import CLUSTER, DATA, HUB, REGION, SCIENCE, VISION, Item, World, refused

EAST = "us-east-2"
READER = [{"name": "reader", "datasets": [{"dataset": "imagenet", "access": "read"}]}]


def cluster_in(world: World, name: str) -> str:
    """A second cluster, in an account of its own; the account."""
    (account,) = world.create_accounts(f"compute-{name}")
    add_cluster(world.sandbox, account, EAST, f"{name}-eks", name)
    parameters = {"HubAccountId": HUB, "OrganizationId": "o-podshare01", "ClusterAccountIds": f"{HUB},{account}"}
    world.sandbox.deploy_stack_set("podshare-member", PROJECT / "accounts" / "member.yaml", parameters, [SCIENCE])
    place = {"account": account, "region": EAST, "eks_cluster": f"{name}-eks", "hyperpod_cluster": name}
    world.put({**CLUSTER, **place, "id": f"cluster#{name}"})
    return account


def record(team: str, *clusters: str) -> Item:
    item = a_team_item(team, members=[{"account": VISION}], service_accounts=READER)
    quota = {"resources": [{"instance_type": "ml.g5.12xlarge", "count": 1}]}
    rows = [{"cluster": name, "quota": quota} for name in clusters]
    return {**{name: value for name, value in item.items() if name != "quota"}, "cluster": rows}


def leave(world: World, account: str) -> None:
    world.sandbox.client("organizations", account).leave_organization()


def close(world: World, account: str) -> None:
    world.organizations.close_account(AccountId=account)


def suspend(world: World, account: str) -> None:
    organizations.suspend(account)
    world.sweep()  # AWS tells nobody


def points_of(world: World, team: str) -> list[Item]:
    s3control = world.sandbox.client("s3control", DATA)
    points = s3control.list_access_points(AccountId=DATA)["AccessPointList"]
    return [point for point in points if f"-{team}-" in point["Name"]]


@pytest.mark.parametrize("go", [leave, close, suspend])
def test_what_pods_of_a_gone_cluster_read_is_revoked(world: World, go: Callable[[World, str], None]) -> None:
    """Its data roles reach nothing, podshare changes nothing in the account, and the rest of the team works on."""
    name = f"{go.__name__}ing"
    account = cluster_in(world, name)
    world.put(record("vision", "main", name), record("only", name))
    assert [world.status(team)["state"] for team in ("vision", "only")] == ["READY", "READY"]
    assert len(points_of(world, "vision")) == 2
    role = role_of(world, account)

    go(world, account)
    world.sandbox.settle()
    with world.calls() as made:
        for team in ("vision", "only"):
            world.reconcile(team)
    assert made == []

    assert (len(points_of(world, "vision")), points_of(world, "only")) == (1, [])
    told = {team: world.status(team) for team in ("vision", "only")}
    assert {status["state"] for status in told.values()} == {"DEGRADED"}
    for status in told.values():
        assert any(f"cluster {name} is in account {account}" in one["what"] for one in status["problems"])
    assert not any(role in str(statement) for statement in policies(world))
    assert world.works("vision", VISION, "reader")
    world.put(record("vision", "main"))
    assert world.status("vision")["state"] == "READY", world.status("vision")["problems"]
    world.delete("team#only", "team#vision")


def role_of(world: World, account: str) -> str:
    """The data access role of team only, which pods of the cluster have."""
    roles = world.sandbox.client("iam", account).list_roles(PathPrefix="/podshare/")["Roles"]
    return next(str(one["Arn"]) for one in roles if "-only-" in one["RoleName"] and "pods.eks" in str(one))


def policies(world: World) -> list[Any]:
    s3control = world.sandbox.client("s3control", DATA)
    names = [point["Name"] for point in s3control.list_access_points(AccountId=DATA)["AccessPointList"]]
    return [s3control.get_access_point_policy(AccountId=DATA, Name=name)["Policy"] for name in names]


def test_pods_of_a_gone_cluster_read_nothing_before_podshare_hears_of_it(world: World) -> None:
    """Access points and buckets admit the organization alone: cached credentials of its pods end with the departure."""
    account = cluster_in(world, "early")
    world.put(record("early", "early"))
    assert world.status("early")["state"] == "READY"
    arn = f"arn:aws:eks:{EAST}:{account}:cluster/early-eks"
    spec = {"serviceAccountName": "reader", "containers": [{"name": "main", "image": "training"}]}
    metadata = {"namespace": "hyperpod-ns-early", "name": "worker-0"}
    kubernetes.api_of(arn).apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    keys = pod_identity.credentials_of_pod(arn, "hyperpod-ns-early", "reader", "worker-0")
    kubernetes.api_of(arn).delete("Pod", "hyperpod-ns-early", "worker-0")
    pod = world.sandbox.session_of(keys.access_key, keys.secret_key, keys.token, REGION)
    (point,) = points_of(world, "early")

    def listed() -> list[Any]:
        asked = {"Bucket": point["AccessPointArn"], "Prefix": "imagenet/"}
        return list(pod.client("s3").list_objects_v2(**asked)["Contents"])

    assert listed()
    events = world.sandbox.client("events")
    (rule,) = events.list_rules(EventBusName="podshare-organization")["Rules"]
    events.disable_rule(Name=rule["Name"], EventBusName="podshare-organization")
    try:
        world.sandbox.client("organizations", account).leave_organization()
        assert points_of(world, "early") == [point]
        assert refused(listed)
    finally:
        events.enable_rule(Name=rule["Name"], EventBusName="podshare-organization")
    world.delete("team#early")
