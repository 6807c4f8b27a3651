"""What keeps pods from data that is shared already is told at each reconciliation, and nothing is withdrawn for it."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.builders import a_team_item
from tests.scenarios.world import DATA, IMAGES, KMS_KEY, TEXT, VISION, World

READER = [{"name": "trainer", "datasets": [{"dataset": name, "access": "read"} for name in ("imagenet", "scans")]}]
Change = Callable[[World], Callable[[], Any]]


def s3(world: World) -> Any:
    return world.sandbox.client("s3", DATA)


def with_statement(bucket: str = IMAGES, **statement: Any) -> Change:
    """Let the owner add a statement to the policy of a bucket; the change gives the way back."""

    def change(world: World) -> Callable[[], Any]:
        former = s3(world).get_bucket_policy(Bucket=bucket)["Policy"]
        document = json.loads(former)
        document["Statement"].append(
            {"Sid": "Owners", "Principal": "*", "Resource": f"arn:aws:s3:::{bucket}/*"} | statement
        )
        s3(world).put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))
        return lambda: s3(world).put_bucket_policy(Bucket=bucket, Policy=former)

    return change


def made_public(world: World) -> Callable[[], Any]:
    """Let the owner open the bucket to everybody, who then reach it from the owner's account alone."""
    restricted = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "RestrictPublicBuckets": True}

    def block(policies: bool) -> None:
        configuration = {**restricted, "BlockPublicPolicy": policies}
        s3(world).put_public_access_block(Bucket=IMAGES, PublicAccessBlockConfiguration=configuration)

    block(policies=False)
    close = with_statement(Effect="Allow", Action="s3:GetObject")(world)

    def back() -> None:
        close()
        block(policies=True)

    return back


def encrypted_by_aws(world: World) -> Callable[[], Any]:
    def put(**default: str) -> None:
        rule = {"ApplyServerSideEncryptionByDefault": default}
        s3(world).put_bucket_encryption(Bucket=IMAGES, ServerSideEncryptionConfiguration={"Rules": [rule]})

    put(SSEAlgorithm="aws:kms")
    return lambda: put(SSEAlgorithm="AES256")


def key_disabled(world: World) -> Callable[[], Any]:
    kms = world.sandbox.client("kms", DATA)
    kms.disable_key(KeyId=KMS_KEY)
    return lambda: kms.enable_key(KeyId=KMS_KEY)


def key_going(world: World) -> Callable[[], Any]:
    kms = world.sandbox.client("kms", DATA)
    kms.schedule_key_deletion(KeyId=KMS_KEY)

    def back() -> None:
        kms.cancel_key_deletion(KeyId=KMS_KEY)
        kms.enable_key(KeyId=KMS_KEY)

    return back


@pytest.fixture(scope="module", autouse=True)
def team(world: World) -> None:
    """A team that reads both datasets."""
    assert world.put_team("vision", members=[{"account": VISION}], service_accounts=READER)["state"] == "READY"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (made_public, f"the policy of bucket {IMAGES} is public"),
        (with_statement(Effect="Deny", Action="s3:Get*"), f"statement Owners of the policy of bucket {IMAGES} denies"),
        (encrypted_by_aws, f"bucket {IMAGES} is encrypted with the AWS managed key"),
        (key_disabled, f"KMS key {KMS_KEY} is Disabled"),
        (key_going, f"KMS key {KMS_KEY} is PendingDeletion"),
    ],
    ids=["public", "denied", "encrypted by AWS's key", "key disabled", "key pending deletion"],
)
def test_a_condition_that_no_longer_holds_is_told(world: World, change: Change, told: str) -> None:
    """The team is not READY until the owner has mended it; access points and grants stay as they are."""
    before = granted(world)
    back = change(world)
    run = world.reconcile("vision")
    assert run["state"] == "DEGRADED"
    assert any(told in problem["what"] for problem in world.status("vision")["problems"])
    assert granted(world) == before
    back()
    assert world.reconcile("vision")["state"] == "READY", world.status("vision")["problems"]


def test_a_condition_that_podshare_cannot_judge_is_a_note(world: World) -> None:
    """A Deny on a condition is shown with its Sid and condition, and the team stays READY; TLS alone is no news."""
    office = {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
    back = with_statement(Effect="Deny", Action="s3:*", Condition=office)(world)
    assert world.reconcile("vision")["state"] == "READY"
    (note,) = [one for one in world.status("vision")["notes"] if "statement Owners" in one]
    assert '"aws:sourceip": ["10.0.0.0/8"]' in note
    back()
    back = with_statement(Effect="Deny", Action="s3:*", Condition={"Bool": {"aws:SecureTransport": "false"}})(world)
    assert world.reconcile("vision")["state"] == "READY"
    assert not any("statement Owners" in one for one in world.status("vision")["notes"])
    back()


def test_what_a_bucket_denies_is_told_once(world: World) -> None:
    """Two datasets of one bucket are shut out by one statement, which is one note or one problem."""
    both = [{"name": "reader", "datasets": [{"dataset": name, "access": "read"} for name in ("crawl", "drafts")]}]
    world.put(a_team_item("text", members=[{"account": VISION}], service_accounts=both))
    assert world.status("text")["state"] == "READY", world.status("text")
    back = with_statement(
        TEXT, Effect="Deny", Action="s3:*", Condition={"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
    )(world)
    world.reconcile("text")
    (note,) = [one for one in world.status("text")["notes"] if "statement Owners" in one]
    assert TEXT in note
    back()
    back = with_statement(TEXT, Effect="Deny", Action="s3:Get*")(world)
    world.reconcile("text")
    (problem,) = [one["what"] for one in world.status("text")["problems"] if "statement Owners" in one["what"]]
    assert TEXT in problem
    back()


def granted(world: World) -> list[Any]:
    """All access points with their policies, and all grants of the key."""
    s3control = world.sandbox.client("s3control", DATA)
    names = [point["Name"] for point in s3control.list_access_points(AccountId=DATA)["AccessPointList"]]
    policies = [s3control.get_access_point_policy(AccountId=DATA, Name=name)["Policy"] for name in names]
    grants = world.sandbox.client("kms", DATA).list_grants(KeyId=KMS_KEY)["Grants"]
    return [policies, sorted(grant["GrantId"] for grant in grants)]
