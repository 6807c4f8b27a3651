"""One reconciliation of a team at a time: leases, fences, takeovers, and shared documents."""

import datetime
import json
from typing import Any

import pytest

from podshare.aws.tables import to_item
from podshare.reconcile.handed_over import written
from tests.builders import a_team_item
from tests.scenarios.world import HUB, IMAGES, LANGUAGE, REGION, TEXT, VISION, World, awaited

MACHINE = f"arn:aws:states:{REGION}:{HUB}:stateMachine:podshare-reconcile-team"


def start(world: World, team: str, name: str) -> str:
    trigger = {"event": "admin", "record": f"team#{team}", "change": "", "by": "", "at": "", "id": name}
    given = json.dumps({"team": team, "trigger": trigger})
    started = world.sandbox.client("stepfunctions").start_execution(stateMachineArn=MACHINE, name=name, input=given)
    return str(started["executionArn"])


def apply_cut(world: World, team: str, fence: int, generation: int, key: str) -> dict[str, Any]:
    change = {"action": "delete", "key": key, "account": HUB}
    event = {"team": team, "lease": {"fence": fence, "generation": generation}, "execution": "e", "changes": [change]}
    answer = world.sandbox.client("lambda").invoke(
        FunctionName="podshare-apply-cluster", Payload=json.dumps(event).encode()
    )
    (found,) = json.loads(answer["Payload"].read())["results"]
    return dict(found)


def test_many_triggers_at_once_end_in_one_truth(world: World) -> None:
    """Ten edits and starts within a moment: the last record is what is there, and the lease is free."""
    for count in range(1, 6):
        world.put(
            a_team_item("alpha", quota={"resources": [{"instance_type": "ml.p5.48xlarge", "count": count}]}),
            settle=False,
        )
        start(world, "alpha", f"alpha-by-hand-{count}")
    world.sandbox.settle()
    assert world.status("alpha")["state"] == "READY"
    sagemaker = world.sandbox.client("sagemaker")
    (quota,) = sagemaker.list_compute_quotas(NameContains="podshare-alpha")["ComputeQuotaSummaries"]
    assert quota["ComputeQuotaConfig"]["ComputeQuotaResources"][0]["Count"] == 5
    lease = world.state("lease", "team#alpha")
    assert "holder" not in lease
    assert lease["generation"] >= 10


def test_a_function_that_outlived_its_execution_changes_nothing(world: World) -> None:
    """A change that carries an older fence, or an older generation, is superseded and touches nothing."""
    world.put_team("bravo", members=[{"account": VISION}], service_accounts=[])
    lease = world.state("lease", "team#bravo")
    role = world.cluster_access_role("bravo", VISION)
    key = f"access_entry|{HUB}|{REGION}|hyperpod-eks|{role}"
    with world.calls() as made:
        stale = apply_cut(world, "bravo", int(lease["fence"]) - 1, int(lease["generation"]), key)
        old = apply_cut(world, "bravo", int(lease["fence"]), int(lease["generation"]) - 1, key)
    assert (stale["status"], old["status"]) == ("superseded", "superseded")
    assert made == []


def held_anew(world: World, team: str) -> tuple[int, int]:
    """The numbers of the team's lease under a fence that no function has seen yet."""
    lease = world.state("lease", f"team#{team}")
    fence, generation = int(lease["fence"]) + 10, int(lease["generation"])
    world.sandbox.client("dynamodb").put_item(TableName="podshare-state", Item=to_item({**lease, "fence": fence}))
    return fence, generation


def handed_over(world: World, team: str, fence: int, generation: int, as_of: datetime.datetime) -> None:
    """A plan's row that says that nothing is desired."""
    numbers = {"fence": fence, "generation": generation, "as_of": as_of.isoformat(), "document": written({})}
    item = {"id": f"plan#{team}", "part": "desired", **numbers}
    world.sandbox.client("dynamodb").put_item(TableName="podshare-state", Item=to_item(item))


@pytest.mark.parametrize("row", ["none", "of another hold", "of another generation", "too old", "its own"])
def test_only_a_fresh_plan_of_its_own_hold_counts(world: World, row: str) -> None:
    """Whoever applies a change goes by what its plan hands over; without that, it reads what the records ask for."""
    world.put_team("india", members=[{"account": VISION}], service_accounts=[])
    key = f"access_entry|{HUB}|{REGION}|hyperpod-eks|{world.cluster_access_role('india', VISION)}"
    fence, generation = held_anew(world, "india")
    now = datetime.datetime.now(datetime.UTC)
    world.sandbox.client("dynamodb").delete_item(
        TableName="podshare-state", Key=to_item({"id": "plan#india", "part": "desired"})
    )
    match row:
        case "of another hold":
            handed_over(world, "india", fence - 1, generation, now)
        case "of another generation":
            handed_over(world, "india", fence, generation - 1, now)
        case "too old":
            handed_over(world, "india", fence, generation, now - datetime.timedelta(minutes=2))
        case "its own":
            handed_over(world, "india", fence, generation, now)
    before = len(world.sandbox.decisions)
    applied = apply_cut(world, "india", fence, generation, key)
    read = {one.action for one in world.sandbox.decisions[before:] if "podshare-apply-cluster" in one.principal}
    assert applied["status"] == "done"
    assert applied["detail"] == ("absent" if row == "its own" else "as desired")
    assert ("dynamodb:BatchGetItem" in read) == (row != "its own")
    assert world.reconcile("india")["state"] == "READY"


def test_a_planner_without_the_lease_keeps_nothing(world: World) -> None:
    """A plan that is asked for with an older fence ends before anything is written."""
    world.put_team("hotel", members=[{"account": VISION}], service_accounts=[])
    lease = world.state("lease", "team#hotel")
    overtaken = {"fence": int(lease["fence"]) - 1, "generation": int(lease["generation"])}
    before = len(world.sandbox.decisions)
    answer = world.sandbox.client("lambda").invoke(
        FunctionName="podshare-plan-team",
        Payload=json.dumps({"team": "hotel", "lease": overtaken, "execution": "e"}).encode(),
    )
    assert json.loads(answer["Payload"].read())["errorType"] == "Superseded"
    made = {decision.action for decision in world.sandbox.decisions[before:]}
    assert "dynamodb:Query" in made
    assert made & {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"} == set()


def test_a_planner_that_is_asked_again_plans_nothing_for_a_lease_that_is_free(world: World) -> None:
    """With nothing to do it records and gives the lease back; asked again, it is refused, and the run starts over."""
    world.put_team("kilo", members=[{"account": VISION}], service_accounts=[])
    world.sandbox.client("dynamodb").update_item(
        TableName="podshare-state",
        Key=to_item({"id": "lease", "part": "team#kilo"}),
        UpdateExpression="SET holder = :holder ADD fence :one",
        ExpressionAttributeValues=to_item({":holder": "e", ":one": 1}),
    )
    lease = world.state("lease", "team#kilo")
    event = {"team": "kilo", "lease": {name: int(lease[name]) for name in ("fence", "generation")}, "execution": "e"}

    def plan() -> dict[str, Any]:
        given = json.dumps({**event, "trigger": {}, "waits": 0, "made": {}}).encode()
        answer = world.sandbox.client("lambda").invoke(FunctionName="podshare-plan-team", Payload=given)
        planned: dict[str, Any] = json.loads(answer["Payload"].read())
        return planned

    assert plan()["outcome"]["next"] == "done"
    assert "holder" not in world.state("lease", "team#kilo")
    assert plan()["errorType"] == "Superseded"
    assert world.reconcile("kilo")["state"] == "READY"


def test_a_change_that_was_overtaken_removes_nothing_that_is_desired(world: World) -> None:
    """Even with the newest fence, a deletion of what the record asks for does nothing."""
    world.put_team("charlie", members=[{"account": VISION}], service_accounts=[])
    lease = world.state("lease", "team#charlie")
    key = f"access_entry|{HUB}|{REGION}|hyperpod-eks|{world.cluster_access_role('charlie', VISION)}"
    with world.calls() as made:
        found = apply_cut(world, "charlie", int(lease["fence"]), int(lease["generation"]), key)
    assert (found["status"], made) == ("done", [])


def test_an_execution_that_began_before_the_deployment_goes_on(world: World) -> None:
    """It asks for one change at a time, as version 0.1.0 did, and is answered as it was then."""
    world.put_team("echo", members=[{"account": VISION}], service_accounts=[])
    lease = world.state("lease", "team#echo")
    trust = {"Effect": "Allow", "Principal": {"Service": "pods.eks.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    world.sandbox.client("iam", HUB).create_role(
        RoleName="podshare-echo-foreign", Path="/podshare/", AssumeRolePolicyDocument=document
    )
    hold = {name: int(lease[name]) for name in ("fence", "generation")}
    answers = []
    for name in ("nobody", "foreign"):
        change = {"action": "create", "key": f"role|{HUB}|||podshare-echo-{name}", "account": HUB}
        event = {"team": "echo", "execution": "e", "lease": hold, "change": change}
        invoke = world.sandbox.client("lambda").invoke
        answers.append(invoke(FunctionName="podshare-apply-identity", Payload=json.dumps(event).encode()))
    made, refused = (json.loads(answer["Payload"].read()) for answer in answers)
    assert (made["status"], made["failure"]) == ("done", "")
    assert refused["errorType"] == "Terminal"
    world.sandbox.client("iam", HUB).delete_role(RoleName="podshare-echo-foreign")


def test_what_is_desired_is_read_once_for_a_hold(world: World) -> None:
    """A second change under one hold reads no record again; an edit ends the hold, and what was read with it."""
    world.put_team("delta", members=[{"account": VISION}], service_accounts=[])
    lease = world.state("lease", "team#delta")
    hold = int(lease["fence"]), int(lease["generation"])
    key = f"access_entry|{HUB}|{REGION}|hyperpod-eks|{world.cluster_access_role('delta', VISION)}"
    assert apply_cut(world, "delta", *hold, key)["status"] == "done"
    before = len(world.sandbox.decisions)
    assert apply_cut(world, "delta", *hold, key)["status"] == "done"
    made = [decision.action for decision in world.sandbox.decisions[before:]]
    assert "dynamodb:GetItem" in made
    assert "dynamodb:BatchGetItem" not in made
    world.put_team("delta", members=[], service_accounts=[])
    assert apply_cut(world, "delta", *hold, key)["status"] == "superseded"
    world.put_team("delta", members=[{"account": VISION}], service_accounts=[])
    lease = world.state("lease", "team#delta")
    assert apply_cut(world, "delta", int(lease["fence"]), int(lease["generation"]), key)["status"] == "done"
    assert world.may_submit(world.cluster_access("delta", VISION), "delta")


def test_shared_documents_lose_nothing(world: World) -> None:
    """Four teams write the same two bucket policies at once: every grant works, the owner's statement stays."""
    names = [f"echo-{number}" for number in range(4)]
    datasets = [{"dataset": "imagenet", "access": "read"}, {"dataset": "crawl", "access": "read"}]
    for name in names:
        world.put(a_team_item(name, members=[], service_accounts=[{"name": "r", "datasets": datasets}]), settle=False)
    world.sandbox.settle()
    assert {world.status(name)["state"] for name in names} == {"READY"}
    assert [statement["Sid"] for statement in world.bucket_statements(IMAGES)] == [
        "OwnersAudit",
        "podshareAccessPoints",
    ]
    for name in names:
        s3 = world.pod(name, "r").client("s3")
        assert s3.list_objects_v2(Bucket=world.access_point(name, "crawl"), Prefix="crawl/")["Contents"]
    world.delete(*(f"team#{name}" for name in names[:3]))
    assert len(world.bucket_statements(TEXT)) == 1
    kept = world.pod(names[3], "r").client("s3")
    assert kept.list_objects_v2(Bucket=world.access_point(names[3], "crawl"), Prefix="crawl/")["Contents"]


def test_an_edit_during_a_run_is_not_forgotten(world: World) -> None:
    """A member removed while the team is still being provisioned is gone in the end, and its account left clean."""
    members = [{"account": VISION}, {"account": LANGUAGE}]
    world.put(a_team_item("foxtrot", members=members, service_accounts=[]), settle=False)
    awaited(lambda: "holder" in world.state("lease", "team#foxtrot"))
    world.put(a_team_item("foxtrot", members=members[:1], service_accounts=[]))
    assert world.status("foxtrot")["state"] == "READY"
    with pytest.raises(LookupError):
        world.cluster_access_role("foxtrot", LANGUAGE)
