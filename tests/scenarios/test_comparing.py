"""A sweep compares teams by one reading of what they share: who is as its last run left it needs no run of its own."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from podshare_sandbox import delivery
from podshare_sandbox.front_door import FrontDoor, Request, Response
from podshare_sandbox.services import kubernetes
from tests.builders import a_team_item
from tests.scenarios.world import EKS_ARN, HUB, LANGUAGE, VISION, Item, World

TEAMS = ("amber", "birch", "cedar")
MEMBERS = [{"account": VISION}, {"account": LANGUAGE}]


@pytest.fixture(scope="module", autouse=True)
def teams(world: World) -> None:
    """Three teams of two accounts on one cluster, each looked at once since all are there."""
    world.put(*map(a_record, TEAMS))


def a_record(team: str, **fields: str) -> Item:
    """A team whose quota is a vCPU."""
    quota = {"resources": [{"instance_type": "ml.p5.48xlarge", "vcpu": 1}]}
    return a_team_item(team, members=MEMBERS, quota=quota, **fields)


@pytest.fixture(autouse=True)
def later(world: World) -> None:
    """A status has whole seconds: what was written before must not count as written since."""
    world.advance(timedelta(minutes=1))


def runs(world: World) -> dict[str, int]:
    """How many executions each team has had."""
    return {team: len(world.executions(team)) for team in TEAMS}


def asked(world: World, since: int) -> Counter[str]:
    """How often podshare's readers made each call."""
    return Counter(call.name for call in world.sandbox.requests[since:] if "podshare-read" in call.principal)


@contextmanager
def denied(world: World, *functions: str) -> Iterator[None]:
    """Functions that may neither read nor write the state."""
    statement = {"Effect": "Deny", "Action": ["dynamodb:*", "states:*"], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam = world.sandbox.client("iam", HUB)
    for function in functions:
        iam.put_role_policy(RoleName=f"podshare-{function}", PolicyName="fault", PolicyDocument=document)
    try:
        yield
    finally:
        for function in functions:
            iam.delete_role_policy(RoleName=f"podshare-{function}", PolicyName="fault")


def test_teams_that_are_as_they_were_are_confirmed_without_runs(world: World) -> None:
    """The status, the proof and the history say that they were looked at; no machine ran for them."""
    before, began = runs(world), {team: world.status(team) for team in TEAMS}
    found = world.sweep()
    assert {name: count for name, count in found["counts"].items() if count} == {"in_sync": 3}
    assert runs(world) == before
    for team in TEAMS:
        status = world.status(team)
        assert (status["state"], status["problems"], status["generation"]) == ("READY", [], began[team]["generation"])
        assert status["verified_at"] > began[team]["verified_at"]
        assert status["trigger"]["event"] == "sweep"
        assert world.state("proof", f"team#{team}")["read_at"] == status["verified_at"]
    sweep = world.status("amber")["execution"].rpartition(":")[2]
    assert sorted(
        team for team in TEAMS for key in history_objects(world) if f"team={team}/" in key and sweep in key
    ) == [*TEAMS]


def history_objects(world: World) -> list[str]:
    """The objects of the history's runs."""
    bucket = f"podshare-history-{HUB}-us-west-2"
    listed = world.sandbox.client("s3", HUB).list_objects_v2(Bucket=bucket, Prefix="runs/v1/")
    return [content["Key"] for content in listed["Contents"]]


def test_what_teams_share_is_read_once(world: World) -> None:
    """The cluster, its entries that are no team's, the bucket, and the roles of an account are asked for once."""
    since = len(world.sandbox.requests)
    world.sweep()
    calls = asked(world, since)
    once = (
        "eks:ListAccessEntries",
        "sagemaker:DescribeCluster",
        "sagemaker:ListComputeQuotas",
        "s3:GetBucketEncryption",
    )
    assert {name: calls[name] for name in once} == dict.fromkeys(once, 1)
    assert calls["iam:GetAccountAuthorizationDetails"] == 3  # accounts
    listed = ("namespaces", "rolebindings", "serviceaccounts")
    assert {name: calls[f"kubernetes:GET {name}"] for name in listed} == dict.fromkeys(listed, 1)
    assert calls["eks:ListPodIdentityAssociations"] == 1
    assert calls["iam:GetRolePolicy"] == calls["iam:ListRolePolicies"] == 0


def test_a_team_that_differs_gets_a_run_of_its_own(world: World) -> None:
    """What somebody changed by hand is repaired by a run; the other teams need none."""
    before, role = runs(world), world.cluster_access_role("birch", VISION)
    world.sandbox.client("eks").delete_access_entry(clusterName="hyperpod-eks", principalArn=role)
    found = world.sweep()
    assert {name: count for name, count in found["counts"].items() if count} == {"in_sync": 2, "repaired": 1}
    assert world.works("birch", VISION)
    assert {team for team, count in runs(world).items() if count > before[team]} == {"birch"}


def test_what_others_bound_in_a_namespace_is_seen(world: World) -> None:
    """What is listed for all namespaces at once tells of each: a stranger's binding keeps its team from READY."""
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "friends", "namespace": "hyperpod-ns-cedar"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "mallory"}],
    }
    api = kubernetes.api_of(EKS_ARN)
    api.apply(binding)
    assert world.sweep()["counts"]["degraded"] == 1
    assert "mallory" in json.dumps(world.status("cedar")["problems"])
    api.delete("RoleBinding", "hyperpod-ns-cedar", "friends")
    world.advance(timedelta(minutes=1))
    assert world.sweep()["counts"]["degraded"] == 0


def test_an_edit_that_no_event_reported_gets_a_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that says something else than what was accepted is reconciled, also where nothing in AWS changes."""
    before = runs(world)
    with monkeypatch.context() as lost:
        lost.setattr(delivery.streams._Lane, "add", lambda *_: None)
        world.put(a_record("cedar", owner="kim@example.com"))
    world.sweep()
    assert runs(world) == {**before, "cedar": before["cedar"] + 1}
    assert "kim@example.com" in world.state("team#cedar", "accepted")["record"]


def test_a_run_that_was_asked_for_is_left_to_the_runs(world: World) -> None:
    """Where a lease says that another look is asked for, nothing is confirmed past it."""
    before = runs(world)
    world.sandbox.client("dynamodb").update_item(
        TableName="podshare-state",
        Key={"id": {"S": "lease"}, "part": {"S": "team#amber"}},
        UpdateExpression="SET look_again = :yes",
        ExpressionAttributeValues={":yes": {"BOOL": True}},
    )
    world.sweep()
    assert runs(world) == {**before, "amber": before["amber"] + 1}


def test_a_trigger_that_comes_meanwhile_has_the_last_word(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for a run between the reading and the writing of a comparison gets it: nothing is confirmed."""
    stock, came = FrontDoor.handle, list[str]()

    def handle(door: FrontDoor, request: Request) -> Response:
        body = request.body.decode(errors="replace")
        writes = request.headers.get("x-amz-target", "").endswith("TransactWriteItems")
        if writes and not came and "podshare-sweep-teams" in body and "team#birch" in body:
            came.append(body)
            raise_generation(world, "birch")
        return stock(door, request)

    before = runs(world)
    monkeypatch.setattr(FrontDoor, "handle", handle)
    world.sweep()
    assert came
    assert runs(world) == {**before, "birch": before["birch"] + 1}
    assert "podshare-reconcile-team" in world.status("birch")["execution"]


def raise_generation(world: World, team: str) -> None:
    """Ask for a run, as an execution does that finds the lease taken."""
    world.sandbox.client("dynamodb").update_item(
        TableName="podshare-state",
        Key={"id": {"S": "lease"}, "part": {"S": f"team#{team}"}},
        UpdateExpression="ADD generation :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )


def test_where_nothing_can_be_compared_each_team_gets_a_run(world: World) -> None:
    """Comparing saves runs, and nothing depends on it: without it the sweep is as it was before."""
    before = runs(world)
    with denied(world, "compare-teams"):
        found = world.sweep()
    assert found["counts"]["in_sync"] == 3
    assert runs(world) == {team: count + 1 for team, count in before.items()}
