"""The main job: records become working, verified access for two teams, and for nobody else."""

import itertools
import json
import re
from typing import Any

import pytest

from tests.builders import a_team_item
from tests.scenarios.world import DATA, HUB, IMAGES, LANGUAGE, REGION, TEXT, VISION, World, refused

TEAMS = ("vision", "language")
ACCOUNTS = (VISION, LANGUAGE)


@pytest.fixture(scope="module", autouse=True)
def teams(world: World) -> None:
    """Two teams with two accounts each and three datasets."""
    world.put(
        a_team_item(
            "vision",
            service_accounts=[
                {"name": "trainer", "datasets": [{"dataset": "imagenet", "access": "read"}]},
                {
                    "name": "curator",
                    "datasets": [{"dataset": "drafts", "access": "read_write", "prefix": "drafts/vision/"}],
                },
            ],
        ),
        a_team_item(
            "language",
            quota={"resources": [{"instance_type": "ml.g5.12xlarge", "accelerators": 8}]},
            service_accounts=[{"name": "trainer", "datasets": [{"dataset": "crawl", "access": "read"}]}],
        ),
    )


@pytest.mark.parametrize("team", TEAMS)
def test_a_team_becomes_ready_and_verified(world: World, team: str) -> None:
    """READY is said with the time of a verification that held."""
    status = world.status(team)
    assert (status["state"], status["problems"]) == ("READY", [])
    assert status["verified_at"]


def test_no_permission_is_missing(world: World) -> None:
    """No function, member role or machine was refused anything on the way."""
    assert world.denied() == []


@pytest.mark.parametrize(("team", "account"), list(itertools.product(TEAMS, ACCOUNTS)))
def test_a_scientist_submits_jobs_in_the_own_team_only(world: World, team: str, account: str) -> None:
    """Scientist role, cluster access role, EKS token: a PyTorchJob may be created in the own namespace alone."""
    session = world.cluster_access(team, account)
    assert world.may_submit(session, team)
    for other in set(TEAMS) - {team}:
        assert not world.may_submit(session, other)
    assert not world.may(session, "get", "", "secrets", f"hyperpod-ns-{team}")
    assert not world.may(session, "create", "", "namespaces", "")


@pytest.mark.parametrize(("team", "account"), list(itertools.product(TEAMS, ACCOUNTS)))
def test_nobody_takes_the_path_of_another(world: World, team: str, account: str) -> None:
    """A scientist can assume no cluster access role but the own: not the other team's, not the other account's."""
    scientist = world.scientist(team, account)
    for other_team, other_account in itertools.product(TEAMS, ACCOUNTS):
        if (other_team, other_account) != (team, account):
            role = world.cluster_access_role(other_team, other_account)
            assert refused(lambda role=role: world.session(role, scientist))
    assert refused(lambda: world.session(f"arn:aws:iam::{account}:role/podshare-system/podshare-identity", scientist))


def test_the_account_alone_is_not_enough(world: World) -> None:
    """An administrator of a scientist account cannot assume a cluster access role but through the scientist role."""
    admin = world.sandbox.session(VISION, REGION)
    assert refused(lambda: world.session(world.cluster_access_role("vision", VISION), admin))


def test_a_pod_reads_what_is_granted_and_nothing_else(world: World) -> None:
    """Through the access point: list and read the granted prefix; no other prefix, no write, no bucket, no other point."""
    s3 = world.pod("vision", "trainer").client("s3")
    point = world.access_point("vision", "imagenet")
    found = s3.list_objects_v2(Bucket=point, Prefix="imagenet/")["Contents"]
    assert found
    assert s3.get_object(Bucket=point, Key=found[0]["Key"])["Body"].read()
    assert refused(lambda: s3.list_objects_v2(Bucket=point, Prefix="private/"))
    assert refused(lambda: s3.list_objects_v2(Bucket=point))
    assert refused(lambda: s3.get_object(Bucket=point, Key="private/README.md"))
    assert refused(lambda: s3.put_object(Bucket=point, Key="imagenet/new", Body=b""))
    assert refused(lambda: s3.delete_object(Bucket=point, Key=found[0]["Key"]))
    assert refused(lambda: s3.get_object(Bucket=IMAGES, Key=found[0]["Key"]))
    assert refused(lambda: s3.list_objects_v2(Bucket=world.access_point("language", "crawl"), Prefix="crawl/"))


def test_a_pod_writes_where_it_may(world: World) -> None:
    """`read_write` on a prefix puts, reads and deletes there, and nowhere else in the dataset."""
    s3 = world.pod("vision", "curator").client("s3")
    point = world.access_point("vision", "drafts")
    s3.put_object(Bucket=point, Key="drafts/vision/new.txt", Body=b"hello")
    assert s3.get_object(Bucket=point, Key="drafts/vision/new.txt")["Body"].read() == b"hello"
    upload = s3.create_multipart_upload(Bucket=point, Key="drafts/vision/big")["UploadId"]
    s3.abort_multipart_upload(Bucket=point, Key="drafts/vision/big", UploadId=upload)
    s3.delete_object(Bucket=point, Key="drafts/vision/new.txt")
    assert refused(lambda: s3.put_object(Bucket=point, Key="drafts/language/x", Body=b""))
    assert refused(lambda: s3.list_objects_v2(Bucket=point, Prefix="drafts/language/"))


def test_teams_cannot_use_each_others_service_accounts(world: World) -> None:
    """The same service account name in two teams leads to two roles: one team's data stays its own."""
    s3 = world.pod("language", "trainer").client("s3")
    assert s3.list_objects_v2(Bucket=world.access_point("language", "crawl"), Prefix="crawl/")["Contents"]
    assert refused(lambda: s3.list_objects_v2(Bucket=world.access_point("vision", "imagenet"), Prefix="imagenet/"))


@pytest.mark.parametrize("team", TEAMS)
def test_reconciling_again_changes_nothing(world: World, team: str) -> None:
    """A second run makes no mutating call outside of podshare's own table, and ends READY at once."""
    with world.calls() as made:
        again = world.reconcile(team)
    assert made == []
    assert (again["state"], again["summary"]) == ("READY", "READY: nothing to change")


def test_the_same_meaning_plans_nothing(world: World) -> None:
    """Other spellings of numbers, another order, a default spelt out: no change."""
    item = a_team_item(
        "language",
        members=[{"account": LANGUAGE}, {"account": VISION}],
        access="training",
        quota={"resources": [{"accelerators": "8", "instance_type": "ml.g5.12xlarge"}], "fair_share_weight": 0},
        service_accounts=[{"datasets": [{"access": "read", "dataset": "crawl", "prefix": ""}], "name": "trainer"}],
    )
    found = world.plan("language", item)
    assert (found["count"], found["problems"], found["obstacles"]) == (0, [], [])


def test_a_redelivered_event_is_the_same_execution(world: World) -> None:
    """The same record of the stream, delivered again, starts nothing new."""
    before = len(world.executions("vision"))
    executed = next(
        one for one in world.executions("vision") if json.loads(one["input"])["trigger"]["event"] == "registry"
    )
    trigger = json.loads(executed["input"])["trigger"]
    image = {"Keys": {"id": {"S": "team#vision"}}, "ApproximateCreationDateTime": 1.0, "SequenceNumber": "1"}
    record = {
        "eventID": trigger["id"],
        "eventName": trigger["change"],
        "eventSource": "aws:dynamodb",
        "dynamodb": image,
    }
    world.sandbox.client("lambda").invoke(
        FunctionName="podshare-registry-changed", Payload=json.dumps({"Records": [record]}).encode()
    )
    world.sandbox.settle()
    assert len(world.executions("vision")) == before


def test_the_execution_tells_the_story(world: World) -> None:
    """The history alone names the trigger, the plan with each change and why, what became of it, and the outcome."""
    states = world.sandbox.client("stepfunctions")
    done = next(
        one
        for one in world.executions("vision")
        if '"next":"done"' in one.get("output", "") and "create" in one["output"]
    )
    pages = states.get_paginator("get_execution_history").paginate(executionArn=done["executionArn"])
    events = [event for page in pages for event in page["events"]]
    entered = [event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event]
    for state in (
        "LeaseTeam",
        "PlanTeam",
        "ProvideAccess",
        "VerifyTeam",
        "RecordOutcome",
    ):
        assert state in entered
    assert "RevokeAccess" not in entered  # nothing is revoked from a new team
    text = json.dumps(events, default=str)
    assert "member 222222222222" in text
    assert "service account trainer" in text
    assert json.loads(done["input"])["trigger"]["event"] == "registry"


def test_a_foreign_statement_keeps_its_meaning_and_place(world: World) -> None:
    """The bucket's owner finds the own statement where it was; podshare's is one, behind it."""
    statements = world.bucket_statements(IMAGES)
    assert [statement["Sid"] for statement in statements] == ["OwnersAudit", "podshareAccessPoints"]
    assert statements[0]["Action"] == "s3:GetBucketLocation"
    ours = statements[1]
    inside = {"aws:PrincipalOrgID": "o-podshare01", "s3:DataAccessPointAccount": DATA}
    assert ours["Condition"]["StringEquals"] == inside
    assert sorted(ours["Action"]) == ["s3:GetObject", "s3:ListBucket"]


def test_two_grants_in_a_bucket_share_one_statement(world: World) -> None:
    """Two teams' datasets in one bucket: one statement, with the actions that any of them needs."""
    (ours,) = world.bucket_statements(TEXT)
    assert "s3:PutObject" in ours["Action"]


def test_the_organization_closes_the_door(world: World) -> None:
    """Every trust that podshare makes for an account names the organization: it falls when the account leaves."""
    iam = world.sandbox.client("iam", HUB)
    roles = iam.list_roles(PathPrefix="/podshare/")["Roles"]
    trusts = [statement for role in roles for statement in role["AssumeRolePolicyDocument"]["Statement"]]
    people: list[dict[str, Any]] = [statement for statement in trusts if "AWS" in statement["Principal"]]
    assert len(people) == 4
    for statement in people:
        assert statement["Condition"]["StringEquals"]["aws:PrincipalOrgID"] == "o-podshare01"


def test_a_session_keeps_its_name_in_the_cluster(world: World) -> None:
    """The audit log names the person: the Kubernetes user name ends in the session's name."""
    entry = world.sandbox.client("eks", HUB).describe_access_entry(
        clusterName="hyperpod-eks", principalArn=world.cluster_access_role("vision", VISION)
    )["accessEntry"]
    assert entry["username"].endswith("/{{SessionName}}")


def test_every_substitution_is_resolved(world: World) -> None:
    """The deployed machine names functions that exist, and nothing is left to be filled in."""
    states = world.sandbox.client("stepfunctions")
    machine = states.describe_state_machine(stateMachineArn=world.outputs["ReconcileTeamMachine"])
    definition = machine["definition"]
    assert "${" not in definition
    functions = set(re.findall(r"arn:aws:lambda:[^\"]+", definition))
    assert len(functions) == 8
    for arn in functions:
        world.sandbox.client("lambda").get_function(FunctionName=arn)


def test_a_function_reports_in_structured_lines(world: World) -> None:
    """Every line of a function's log names the team and the execution."""
    logs = world.sandbox.client("logs")
    group = "/aws/lambda/podshare-apply-identity"
    lines = [
        json.loads(event["message"])
        for stream in logs.describe_log_streams(logGroupName=group)["logStreams"]
        for event in logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])["events"]
        if event["message"].startswith("{")
    ]
    assert lines
    assert all(line["team"] in TEAMS and line["execution"].startswith("arn:aws:states:") for line in lines)
