"""Bad days: bad records, absent accounts, foreign things, missing permissions, pauses."""

import json

import pytest

from podshare_cli.sandbox_deployment import PROJECT
from podshare_sandbox.front_door import FrontDoor, Request, Response
from podshare_sandbox.services import sagemaker
from tests.builders import a_team_item
from tests.scenarios.world import CLUSTER, DATA, DATASETS, HUB, LANGUAGE, REGION, VISION, World, refused

MEMBERS = [{"account": VISION}, {"account": LANGUAGE}]
READER = [{"name": "reader", "datasets": [{"dataset": "imagenet", "access": "read"}]}]
STRANGER = "555555555555"  # an account in which the member stack was never deployed


def what(status: dict[str, object]) -> str:
    return json.dumps(status["problems"])


def test_a_bad_record_is_rejected_and_still_removes(world: World) -> None:
    """A typo in one field, a member removed and one added: the removal is done, the addition waits, the reason is told."""
    world.put_team("alpha", members=MEMBERS, service_accounts=READER)
    leaver = world.cluster_access("alpha", LANGUAGE)
    status = world.put_team("alpha", members=[*MEMBERS[:1], {"account": DATA}], owner="", service_accounts=READER)
    assert status["state"] == "REJECTED"
    (problem,) = status["problems"]
    assert (problem["record"], problem["field"]) == ("team#alpha", "owner")
    assert problem["rule"]
    assert problem["remedy"]
    assert refused(lambda: world.may_submit(leaver, "alpha"))
    assert world.may_submit(world.cluster_access("alpha", VISION), "alpha")
    status = world.put_team("alpha", members=MEMBERS, service_accounts=READER)
    assert status["state"] == "READY"
    assert world.may_submit(world.cluster_access("alpha", LANGUAGE), "alpha")


def test_a_cluster_in_use_cannot_be_deleted_away(world: World) -> None:
    """Its record is gone, and nothing changes for the teams that name it."""
    world.put_team("hotel", members=MEMBERS[:1], service_accounts=[])
    with world.calls() as made:
        world.delete("cluster#main")
    assert made == []
    assert world.may_submit(world.cluster_access("hotel", VISION), "hotel")
    world.put(CLUSTER)
    assert world.status("hotel")["state"] == "READY"


def test_a_bad_record_of_a_new_team_touches_nothing(world: World) -> None:
    """A record with an unknown field and an unknown dataset makes nothing at all."""
    with world.calls() as made:
        status = world.put_team("bravo", acces="view", service_accounts=[{"name": "r", "datasets": [{"dataset": "x"}]}])
    assert status["state"] == "REJECTED"
    assert made == []


def test_a_record_of_no_known_kind_is_told_so(world: World) -> None:
    """An id of no kind, and a dataset with a bad bucket, get a status that says what is wrong."""
    world.put({"id": "robot#r2d2"}, {**DATASETS[0], "id": "dataset#bad", "bucket": "No_Such"})
    assert world.state("record", "robot#r2d2")["state"] == "REJECTED"
    assert "bucket" in json.dumps(world.state("record", "dataset#bad"))
    world.delete("robot#r2d2", "dataset#bad")


def test_an_account_that_cannot_be_reached_stops_nobody_else(world: World) -> None:
    """One account that is none of the organization's: the others work, the team is DEGRADED and says which and why."""
    status = world.put_team("charlie", members=[*MEMBERS[:1], {"account": STRANGER}], service_accounts=READER)
    assert status["state"] == "DEGRADED"
    assert STRANGER in what(status)
    assert "is not, or no longer, in the organization" in what(status)
    assert world.may_submit(world.cluster_access("charlie", VISION), "charlie")


def test_what_is_missing_is_told_together(world: World) -> None:
    """Unknown instance type, absent bucket, unknown account: all in one status, and nothing half-made."""
    world.put({**DATASETS[0], "id": "dataset#nowhere", "bucket": "no-such-bucket-333333333333"})
    with world.calls() as made:
        status = world.put_team(
            "delta",
            members=[{"account": STRANGER}],
            quota={"resources": [{"instance_type": "ml.p4d.24xlarge", "count": 1}]},
            service_accounts=[{"name": "r", "datasets": [{"dataset": "nowhere", "access": "read"}]}],
        )
    assert status["state"] == "DEGRADED"
    for reason in ("ml.p4d.24xlarge", "no-such-bucket-333333333333", STRANGER):
        assert reason in what(status)
    assert made == []


def test_what_would_be_too_large_is_refused_before_anything_is_touched(world: World) -> None:
    """A role's policies over IAM's limit: the count, the limit and the remedy, and no call."""
    datasets = [{**DATASETS[0], "id": f"dataset#many-{number}"} for number in range(40)]
    world.put(*datasets)
    grants = [
        {"dataset": f"many-{number}", "access": "read_write", "prefix": f"imagenet/{'x' * 100}/{number}/"}
        for number in range(40)
    ]
    with world.calls() as made:
        status = world.put_team("echo", members=[], service_accounts=[{"name": "greedy", "datasets": grants}])
    assert status["state"] == "DEGRADED"
    assert "the limit is 10,240" in what(status)
    assert made == []


def test_a_bucket_policy_without_room_is_told_before_anything_is_touched(world: World) -> None:
    """The owner's policy leaves less than podshare's statement needs: size, limit and remedy, and the owner's is kept."""
    s3, bucket = world.sandbox.client("s3", DATA), "web-text-333333333333"
    full = [f"arn:aws:s3:::{bucket}/{'x' * 500}/{number}" for number in range(37)]
    audit = {"Sid": "OwnersOwn", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{DATA}:root"}}
    policy = {"Version": "2012-10-17", "Statement": [{**audit, "Action": "s3:GetObject", "Resource": full}]}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    grants = [{"dataset": "imagenet", "access": "read"}, {"dataset": "crawl", "access": "read"}]
    with world.calls() as made:
        status = world.put_team("oscar", members=[], service_accounts=[{"name": "r", "datasets": grants}])
    assert status["state"] == "DEGRADED"
    assert f"the policy of bucket {bucket} would have" in what(status)
    assert "the limit is 20,480" in what(status)
    assert not [call for call in made if bucket in str(call)]
    assert json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"]) == policy
    s3.delete_bucket_policy(Bucket=bucket)
    assert world.reconcile("oscar")["state"] == "READY"
    assert world.reads("oscar", "r", "crawl")


def test_a_record_that_an_older_version_accepted_is_not_guessed_at(world: World) -> None:
    """What counted before breaks a rule of today, and so does what is written: the run says so and changes nothing."""
    world.put_team("quebec", members=MEMBERS[:1], service_accounts=[])
    stored = {**json.loads(world.state("team#quebec", "accepted")["record"]), "access": "owner"}
    world.sandbox.client("dynamodb").update_item(
        TableName="podshare-state",
        Key={"id": {"S": "team#quebec"}, "part": {"S": "accepted"}},
        UpdateExpression="SET #record = :record",
        ExpressionAttributeNames={"#record": "record"},
        ExpressionAttributeValues={":record": {"S": json.dumps(stored)}},
    )
    with world.calls() as made:
        status = world.put_team("quebec", members=[], access="owner", service_accounts=[])
    assert status["state"] == "DEGRADED"
    assert "breaks a rule of this version" in what(status)
    assert made == []
    assert world.may_submit(world.cluster_access("quebec", VISION), "quebec")


def test_a_foreign_role_with_our_name_is_left_alone(world: World) -> None:
    """Somebody's role stands where the scientist role would: it is named, not touched, and the rest goes on."""
    iam = world.sandbox.client("iam", LANGUAGE)
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{LANGUAGE}:root"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam.create_role(RoleName="podshare-foxtrot-scientist", AssumeRolePolicyDocument=document)
    status = world.put_team("foxtrot", members=MEMBERS, service_accounts=READER)
    assert status["state"] == "DEGRADED"
    assert "is not podshare's" in what(status)
    assert world.may_submit(world.cluster_access("foxtrot", VISION), "foxtrot")
    world.delete("team#foxtrot")
    assert iam.get_role(RoleName="podshare-foxtrot-scientist")["Role"]["Path"] == "/"
    assert world.status("foxtrot")["state"] == "DELETED"


def test_a_permission_that_is_taken_away_is_named(world: World) -> None:
    """Without one permission that it uses, the run fails with that permission named; given back, it is repaired."""
    iam = world.sandbox.client("iam", DATA)
    deny = {"Effect": "Deny", "Action": "s3:PutAccessPointPolicy", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    iam.put_role_policy(RoleName="podshare-data", PolicyName="experiment", PolicyDocument=document)
    status = world.put_team("golf", members=MEMBERS[:1], service_accounts=READER)
    assert status["state"] == "DEGRADED"
    assert "s3:PutAccessPointPolicy" in what(status)
    assert world.may_submit(world.cluster_access("golf", VISION), "golf")
    iam.delete_role_policy(RoleName="podshare-data", PolicyName="experiment")
    assert world.reconcile("golf")["state"] == "READY"


def test_a_cluster_that_is_not_ready_is_waited_for(world: World) -> None:
    """An add-on that is missing is told with its remedy, and no quota is asked for that could only fail."""
    with world.without_an_add_on(), world.calls() as made:
        status = world.put_team("india", members=MEMBERS[:1], service_accounts=[])
    assert status["state"] == "DEGRADED"
    assert "eks-pod-identity-agent" in what(status)
    assert made == []


def test_a_pause_stops_new_runs_and_forgets_nothing(world: World) -> None:
    """What is written during a pause, and what is deleted, is done when it ends."""
    assert world.put_team("papa", members=MEMBERS[:1], service_accounts=[])["state"] == "READY"
    leaver = world.cluster_access("papa", VISION)
    world.put({"id": "pause#all", "reason": "moving house", "owner": "priya@example.com"})
    world.put_team("juliet", members=[], service_accounts=[])
    assert world.status("juliet") == {}
    assert json.loads(world.executions("juliet")[0]["output"])["reason"] == "moving house"
    world.delete("team#papa")
    assert world.may_submit(leaver, "papa")
    world.delete("pause#all")
    assert refused(lambda: world.may_submit(leaver, "papa"))
    assert world.status("papa")["state"] == "DELETED"
    assert world.status("juliet")["state"] == "READY"


def test_an_end_of_a_pause_that_comes_again_takes_nothing_from_the_next(world: World) -> None:
    """What was asked for in the next pause waits for its end, also where the end of the former is delivered once more."""
    world.put_team("yankee", members=MEMBERS[:1], service_accounts=[])
    leaver = world.cluster_access("yankee", VISION)
    world.put({"id": "pause#all", "reason": "moving house", "owner": "priya@example.com"})
    world.put_team("yankee", members=[], service_accounts=[])
    image = {"Keys": {"id": {"S": "pause#all"}}, "SequenceNumber": "1", "ApproximateCreationDateTime": 1}
    ended = {"eventID": "the end", "eventName": "REMOVE", "eventSource": "aws:dynamodb", "dynamodb": image}
    for _ in range(2):
        payload = json.dumps({"Records": [ended]})
        answer = world.sandbox.client("lambda").invoke(FunctionName="podshare-registry-changed", Payload=payload)
        assert json.load(answer["Payload"]) == {"batchItemFailures": []}
        world.sandbox.settle()
    assert world.may_submit(leaver, "yankee")
    world.delete("pause#all")
    assert refused(lambda: world.may_submit(leaver, "yankee"))


def test_a_quota_that_cannot_be_made_is_told(world: World) -> None:
    """SageMaker keeps failing: the reason that it gives is in the team's status, and access waits for nobody."""
    for _ in range(200):
        sagemaker.fail_next("CreateComputeQuota", "no capacity for the webhook")
    status = world.put_team("kilo", members=MEMBERS[:1], service_accounts=[])
    assert status["state"] == "DEGRADED"
    assert "no capacity for the webhook" in what(status)
    assert world.may_submit(world.cluster_access("kilo", VISION), "kilo")
    sagemaker.fail_no_more()
    assert world.reconcile("kilo")["state"] == "READY"


def test_the_dry_run_is_the_plan(world: World) -> None:
    """Planning a record that is not written shows what would be done, and changes nothing anywhere."""
    item = a_team_item("lima", members=MEMBERS[:1], service_accounts=READER)
    before = world.sandbox.client("dynamodb").scan(TableName="podshare-state", Select="COUNT")["Count"]
    with world.calls() as made:
        planned = world.plan("lima", item)
    assert made == []
    assert world.sandbox.client("dynamodb").scan(TableName="podshare-state", Select="COUNT")["Count"] == before
    assert planned["count"] > 0
    world.put(item)
    told = json.loads(world.executions("lima")[-1]["output"])
    assert told["state"] == "READY"
    assert f"{planned['count']} create" in told["summary"]


def test_a_dry_run_of_a_deletion_names_what_would_go(world: World) -> None:
    """The plan of a deleted record is all cuts."""
    planned = world.plan("lima", {"id": "team#lima", "deleted": True})
    assert planned["deleted"] is True
    assert planned["grant"] == planned["allocate"] == []
    assert planned["revoke"][0]["stage"] == "cluster_access"


def test_regions_are_kept_apart(world: World) -> None:
    """A dataset whose record names the wrong Region is told so before its bucket is touched."""
    world.put({**DATASETS[0], "id": "dataset#elsewhere", "region": "eu-west-1"})
    grants = [{"name": "r", "datasets": [{"dataset": "elsewhere", "access": "read"}]}]
    status = world.put_team("mike", members=[], service_accounts=grants)
    assert status["state"] == "DEGRADED"
    assert f"is in {REGION}, the dataset's record says eu-west-1" in what(status)


def test_a_bucket_that_its_owner_deleted_is_let_go(world: World) -> None:
    """Bucket and access point are gone without podshare: the team that used them can still be deleted whole."""
    s3, bucket = world.sandbox.client("s3", DATA), f"short-lived-{DATA}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    member = {"BucketNames": f"curated-images-{DATA},web-text-{DATA},{bucket}"}
    world.sandbox.deploy(
        PROJECT / "accounts" / "member.yaml",
        DATA,
        REGION,
        "podshare-member",
        {"HubAccountId": HUB, "OrganizationId": "o-podshare01", **member},
    )
    world.put({"id": "dataset#brief", "account": DATA, "region": REGION, "bucket": bucket})
    grants = [{"name": "r", "datasets": [{"dataset": "brief", "access": "read"}]}]
    assert world.put_team("november", members=[], service_accounts=grants)["state"] == "READY"
    name = world.access_point("november", "brief").rpartition("/")[2]
    world.sandbox.client("s3control", DATA).delete_access_point(AccountId=DATA, Name=name)
    s3.delete_bucket_policy(Bucket=bucket)
    s3.delete_bucket(Bucket=bucket)
    world.delete("team#november")
    assert world.status("november")["state"] == "DELETED"


@pytest.mark.parametrize("function", ["plan-team", "dry-run", "verify-team", "lease-team", "record-outcome"])
def test_a_throttled_table_is_an_error_that_is_retried(
    world: World, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    """What the SDK gives up on has the name by which the state machine tries again, and says what was attempted."""
    stock = FrontDoor.handle

    def handle(door: FrontDoor, request: Request) -> Response:
        if "//dynamodb." not in request.url:
            return stock(door, request)
        return Response(400, {"Content-Type": "application/x-amz-json-1.0"}, b'{"__type": "ThrottlingException"}')

    monkeypatch.setattr(FrontDoor, "handle", handle)
    event = {
        "team": "lima",
        "execution": "e",
        "trigger": {},
        "new_trigger": True,
        "lease": {"fence": 1, "generation": 1},
    }
    answer = world.sandbox.client("lambda").invoke(FunctionName=f"podshare-{function}", Payload=json.dumps(event))
    error = json.loads(answer["Payload"].read())
    assert error["errorType"] == "Retryable"
    assert error["errorMessage"].startswith(f"{function.replace('-', ' ')} lima: ")
