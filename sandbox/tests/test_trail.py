"""What CloudTrail tells of calls to IAM, EKS, SageMaker, S3 and KMS."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from podshare_sandbox import Sandbox, delivery, trail
from podshare_sandbox.organization import DATA, EKS_CLUSTER, HUB, HUB_REGION, IMAGES_BUCKET, SCANS_KEY

Event = dict[str, Any]
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{HUB}:root"}, "Action": "sts:AssumeRole"}
        ],
    }
)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """The organization without podshare."""
    with Sandbox(time_scale=0.001) as running:
        yield running


@pytest.fixture
def told(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Event]]:
    """What is put on buses by the trail, which is on during the test."""
    events: list[Event] = []

    def put_event(account: str, region: str, event: Event) -> str:
        events.append({**event, "account": account, "region": region})
        return ""

    monkeypatch.setattr(delivery, "put_event", put_event)
    sandbox.start_trail()
    yield events
    trail.stop()


def the_only(told: list[Event]) -> Event:
    (event,) = told
    detail: Event = event["detail"]
    assert (event["account"], event["region"]) == (detail["recipientAccountId"], detail["awsRegion"])
    assert event["source"] == "aws." + detail["eventSource"].removesuffix(".amazonaws.com")
    return detail


def test_nothing_is_told_before_a_trail_is_started(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a trail EventBridge hears of no call."""
    monkeypatch.setattr(delivery, "put_event", lambda *_: pytest.fail("told without a trail"))
    role = sandbox.client("iam").create_role(RoleName="silent", AssumeRolePolicyDocument=TRUST)["Role"]
    assert role["RoleName"] == "silent"


def test_calls_of_iam_are_told_in_us_east_1(sandbox: Sandbox, told: list[Event]) -> None:
    """Names begin with small letters, documents are text, and a user calls as itself."""
    tags = [{"Key": "a", "Value": "b"}]
    sandbox.client("iam").create_role(RoleName="loud", AssumeRolePolicyDocument=TRUST, Tags=tags)
    sandbox.client("iam").get_role(RoleName="loud")
    detail = the_only(told)
    assert (detail["eventName"], detail["awsRegion"]) == ("CreateRole", "us-east-1")
    assert detail["requestParameters"] == {
        "roleName": "loud",
        "assumeRolePolicyDocument": TRUST,
        "tags": [{"key": "a", "value": "b"}],
    }
    assert detail["responseElements"]["role"]["arn"] == f"arn:aws:iam::{HUB}:role/loud"
    assert detail["userIdentity"]["type"] == "IAMUser"
    assert "errorCode" not in detail


def test_refused_and_failed_calls_are_told_with_their_error(sandbox: Sandbox, told: list[Event]) -> None:
    """``errorCode`` tells that nothing has changed."""
    with pytest.raises(ClientError):
        sandbox.client("iam").delete_role(RoleName="nobody")
    detail = the_only(told)
    assert (detail["eventName"], detail["errorCode"]) == ("DeleteRole", "NoSuchEntity")
    assert detail["responseElements"] is None


def test_an_assumed_role_is_told_with_its_issuer(sandbox: Sandbox, told: list[Event]) -> None:
    """The role stands in sessionIssuer, whatever its session is called."""
    trail.stop()
    iam = sandbox.client("iam")
    arn = iam.create_role(RoleName="tagger", Path="/here/", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    allowed = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iam:TagRole", "Resource": "*"}]}
    iam.put_role_policy(RoleName="tagger", PolicyName="tag", PolicyDocument=json.dumps(allowed))
    keys = sandbox.client("sts").assume_role(RoleArn=arn, RoleSessionName="anything")["Credentials"]
    session = sandbox.session().client(
        "iam",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    trail.start()
    session.tag_role(RoleName="tagger", Tags=[])
    identity = the_only(told)["userIdentity"]
    assert (identity["type"], identity["sessionContext"]["sessionIssuer"]["arn"]) == ("AssumedRole", arn)


def test_parameters_of_eks_are_told_by_the_names_in_the_url(sandbox: Sandbox, told: list[Event]) -> None:
    """The cluster is ``name``, and what stood in the URL is encoded; what stood in the body is not."""
    eks, arn = sandbox.client("eks"), f"arn:aws:iam::{HUB}:role/silent"
    eks.create_access_entry(clusterName=EKS_CLUSTER, principalArn=arn)
    eks.delete_access_entry(clusterName=EKS_CLUSTER, principalArn=arn)
    created, deleted = (event["detail"] for event in told)
    assert created["requestParameters"]["name"] == deleted["requestParameters"]["name"] == EKS_CLUSTER
    assert created["requestParameters"]["principalArn"] == arn
    assert deleted["requestParameters"]["principalArn"] == f"arn%3Aaws%3Aiam%3A%3A{HUB}%3Arole%2Fsilent"
    assert created["responseElements"]["accessEntry"]["principalArn"] == arn
    assert created["awsRegion"] == HUB_REGION


def test_calls_about_buckets_are_told_in_the_buckets_region(sandbox: Sandbox, told: list[Event]) -> None:
    """By the names that CloudTrail has for them, from wherever the call was made; reads and objects are not told."""
    s3 = sandbox.client("s3", DATA)
    policy = s3.get_bucket_policy(Bucket=IMAGES_BUCKET)["Policy"]
    s3.put_object(Bucket=IMAGES_BUCKET, Key="told/nothing", Body=b"")
    s3.put_bucket_policy(Bucket=IMAGES_BUCKET, Policy=policy)
    detail = the_only(told)
    assert (detail["eventName"], detail["awsRegion"]) == ("PutBucketPolicy", HUB_REGION)
    assert detail["requestParameters"]["bucketName"] == IMAGES_BUCKET
    assert detail["requestParameters"]["bucketPolicy"] == json.loads(policy)


def test_calls_about_grants_tell_the_key(sandbox: Sandbox, told: list[Event]) -> None:
    """It stands among the resources, of RetireGrant there alone ("RetireGrant", KMS developer guide); uses are not told."""
    kms, key = sandbox.client("kms", DATA), SCANS_KEY.rpartition("/")[2]
    grantee = {"GranteePrincipal": f"arn:aws:iam::{DATA}:root", "RetiringPrincipal": f"arn:aws:iam::{DATA}:root"}
    ids = [kms.create_grant(KeyId=SCANS_KEY, Name=name, Operations=["Decrypt"], **grantee)["GrantId"] for name in "ab"]
    kms.revoke_grant(KeyId=key, GrantId=ids[0])
    kms.retire_grant(KeyId=SCANS_KEY, GrantId=ids[1])
    kms.encrypt(KeyId=key, Plaintext=b"x")
    details = [event["detail"] for event in told]
    assert [detail["eventName"] for detail in details] == ["CreateGrant", "CreateGrant", "RevokeGrant", "RetireGrant"]
    assert {resource["ARN"] for detail in details for resource in detail["resources"]} == {SCANS_KEY}
    assert details[2]["requestParameters"] == {"keyId": key, "grantId": ids[0]}
    assert (details[3]["requestParameters"], details[3]["additionalEventData"]) == (None, {"grantId": ids[1]})


def test_calls_about_access_points_are_s3s(sandbox: Sandbox, told: list[Event]) -> None:
    """CloudTrail knows S3 Control as s3.amazonaws.com; a refused call is told too."""
    with pytest.raises(ClientError):
        sandbox.client("s3control", DATA).delete_access_point(AccountId=DATA, Name="nothing-here")
    detail = the_only(told)
    assert (detail["eventSource"], detail["eventName"]) == ("s3.amazonaws.com", "DeleteAccessPoint")
    assert (detail["requestParameters"]["name"], detail["errorCode"]) == ("nothing-here", "NoSuchAccessPoint")
