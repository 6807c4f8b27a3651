"""Who reaches a team's data by a statement that is written otherwise than most: told as any other stranger."""

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.builders import a_team_item
from tests.scenarios.test_data_doors import Audit, add_statement, close_problems
from tests.scenarios.world import DATA, IMAGES, KMS_KEY, LANGUAGE, REGION, VISION, World

OUTSIDER = f"arn:aws:iam::{LANGUAGE}:root"
EVE = f"arn:aws:iam::{LANGUAGE}:role/eve"
GRANTED = [{"name": "trainer", "datasets": [{"dataset": "imagenet", "access": "read"}]}]
SCANNING = [{"name": "trainer", "datasets": [{"dataset": name, "access": "read"} for name in ("imagenet", "scans")]}]
ALL = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}


@pytest.fixture(scope="module", autouse=True)
def team(world: World) -> None:
    """A team that reads a bucket, and a role of an account that no record names, whose own policy allows S3."""
    iam = world.sandbox.client("iam", LANGUAGE)
    trust = {"Effect": "Allow", "Principal": {"AWS": OUTSIDER}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    tags = [{"Key": "project", "Value": "imagenet"}]
    iam.create_role(RoleName="eve", AssumeRolePolicyDocument=document, Tags=tags)
    everything = json.dumps({"Version": "2012-10-17", "Statement": [ALL]})
    iam.put_role_policy(RoleName="eve", PolicyName="s3", PolicyDocument=everything)
    world.put(a_team_item("vision", members=[{"account": VISION}], service_accounts=GRANTED))
    assert world.status("vision")["state"] == "READY", world.status("vision")


def eve(world: World) -> Any:
    """The stranger's S3."""
    session: boto3.Session = world.session(EVE, world.sandbox.session(LANGUAGE, REGION))
    return session.client("s3")


def reads(world: World, bucket: str = IMAGES) -> bool:
    """Whether the stranger reads an object that the team alone was granted."""
    key = world.sandbox.client("s3", DATA).list_objects_v2(Bucket=IMAGES, Prefix="imagenet/")["Contents"][0]["Key"]
    try:
        eve(world).get_object(Bucket=bucket, Key=key)
    except ClientError:
        return False
    return True


def lists(world: World, **asked: str) -> bool:
    """Whether the stranger sees the names of the objects that the team alone was granted."""
    try:
        listed = eve(world).list_objects_v2(Bucket=IMAGES, **asked)
    except ClientError:
        return False
    return any(one["Key"].startswith("imagenet/") for one in listed.get("Contents", ()))


def is_told(world: World, audit: Audit) -> None:
    """The team is not READY, the audit fails, and the told command closes the door."""
    assert world.reconcile("vision")["state"] == "DEGRADED"
    assert any(OUTSIDER[:25] in problem["what"] for problem in world.status("vision")["problems"])
    assert any(line["record"] is None for line in audit(1)["doors"])
    close_problems(world)


@pytest.fixture(autouse=True)
def closed(world: World) -> Any:
    """Each test begins and ends without statements of others."""
    yield
    own = [one for one in world.bucket_statements(IMAGES) if one.get("Sid", "").startswith("podshare")]
    policy = json.dumps({"Version": "2012-10-17", "Statement": own})
    world.sandbox.client("s3", DATA).put_bucket_policy(Bucket=IMAGES, Policy=policy)


@pytest.mark.parametrize(
    "pattern", [f"arn:aws:iam::{LANGUAGE}*", "*:role/eve", f"*{LANGUAGE}*", "arn:aws:iam::*", "arn:aws:iam:*:role/eve"]
)
def test_a_pattern_that_spans_colons_hides_nobody(world: World, audit: Audit, pattern: str) -> None:
    """StringLike knows no parts of an ARN: an account that is let in under such a pattern is a stranger."""
    condition = {"StringLike": {"aws:PrincipalArn": pattern}}
    add_statement(world, "Partner", Principal={"AWS": OUTSIDER}, Condition=condition)
    assert reads(world)
    is_told(world, audit)


def test_a_variable_may_stand_for_the_teams_prefix(world: World, audit: Audit) -> None:
    """A resource with a policy variable is whatever the caller's tags make of it."""
    resource = f"arn:aws:s3:::{IMAGES}/${{aws:PrincipalTag/project}}/*"
    add_statement(world, "ByTag", Principal={"AWS": OUTSIDER}, Resource=resource)
    assert reads(world)
    is_told(world, audit)


@pytest.mark.parametrize("prefix", ["", "imag"])
def test_a_shorter_prefix_lists_what_begins_with_it(world: World, audit: Audit, prefix: str) -> None:
    """Whoever may list a prefix sees every key that begins with it, also those of the team."""
    bucket = f"arn:aws:s3:::{IMAGES}"
    condition = {"StringEquals": {"s3:prefix": prefix}}
    listing = {"Action": "s3:ListBucket", "Resource": bucket, "Condition": condition}
    add_statement(world, "Browse", Principal={"AWS": OUTSIDER}, **listing)
    assert lists(world, Prefix=prefix)
    is_told(world, audit)


def test_a_variable_may_stand_for_a_prefix_that_is_listed(world: World, audit: Audit) -> None:
    """The same for the prefixes of a listing."""
    condition = {"StringLike": {"s3:prefix": "${aws:PrincipalTag/project}/*"}}
    listing = {"Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{IMAGES}", "Condition": condition}
    add_statement(world, "Browse", Principal={"AWS": OUTSIDER}, **listing)
    assert lists(world, Prefix="imagenet/")
    is_told(world, audit)


def test_a_variable_in_an_access_points_policy_may_stand_for_the_teams_prefix(world: World, audit: Audit) -> None:
    """The same for an access point of the owner's that podshare's statement lets decide."""
    s3control, name = world.sandbox.client("s3control", DATA), "podshare-by-tag"
    arn = f"arn:aws:s3:{REGION}:{DATA}:accesspoint/{name}"
    s3control.create_access_point(AccountId=DATA, Name=name, Bucket=IMAGES)
    allow = {"Effect": "Allow", "Principal": {"AWS": OUTSIDER}, "Action": "s3:GetObject"}
    allow["Resource"] = f"{arn}/object/${{aws:PrincipalTag/project}}/*"
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    s3control.put_access_point_policy(AccountId=DATA, Name=name, Policy=policy)
    try:
        assert reads(world, arn)
        is_told(world, audit)
    finally:
        s3control.delete_access_point(AccountId=DATA, Name=name)


def test_a_key_shared_with_a_pattern_that_spans_colons_is_told(world: World, audit: Audit) -> None:
    """The policy of a key is read as that of a bucket."""
    kms = world.sandbox.client("kms", DATA)
    before = kms.get_key_policy(KeyId=KMS_KEY, PolicyName="default")["Policy"]
    world.put(a_team_item("vision", members=[{"account": VISION}], service_accounts=SCANNING))
    condition = {"StringLike": {"aws:PrincipalArn": f"arn:aws:iam::{LANGUAGE}*"}}
    allow = {"Effect": "Allow", "Principal": {"AWS": OUTSIDER}, "Action": "kms:Decrypt", "Resource": "*"}
    document = json.loads(before)
    document["Statement"] = [*document["Statement"], {**allow, "Condition": condition}]
    kms.put_key_policy(KeyId=KMS_KEY, PolicyName="default", Policy=json.dumps(document))
    try:
        assert world.reconcile("vision")["state"] == "DEGRADED"
        audit(1)
    finally:
        kms.put_key_policy(KeyId=KMS_KEY, PolicyName="default", Policy=before)
