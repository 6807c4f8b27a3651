"""Whoever reaches a team's data without a record is told, whatever lets them in, until it is closed or named."""

import json
import re
import shlex
from collections.abc import Callable
from typing import Any

import pytest

from podshare.access.access_report import unpacked
from tests.builders import a_team_item
from tests.scenarios.world import DATA, DATASETS, HUB, IMAGES, KMS_KEY, LANGUAGE, REGION, SCANS, VISION, Item, World

OUTSIDER, PARTNER = f"arn:aws:iam::{LANGUAGE}:root", f"arn:aws:iam::{HUB}:role/partner"
DATA_OF_VISION = [
    {"name": "trainer", "datasets": [{"dataset": name, "access": "read"} for name in ("imagenet", "scans")]}
]
Audit = Callable[[int], Item]
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{HUB}:root"}, "Action": "sts:AssumeRole"}],
}


@pytest.fixture(scope="module", autouse=True)
def team(world: World) -> None:
    """A team that reads a bucket which its owner had opened to a partner before, and to a role of the owner's."""
    for account, name in ((HUB, "partner"), (DATA, "pipeline"), (LANGUAGE, "eve")):
        document = json.dumps(TRUST)
        world.sandbox.client("iam", account).create_role(RoleName=name, AssumeRolePolicyDocument=document)
    add_statement(world, "Partner", Principal={"AWS": PARTNER}, Resource=f"arn:aws:s3:::{IMAGES}/imagenet/train/*")
    add_statement(world, "Pipeline", Principal={"AWS": f"arn:aws:iam::{DATA}:role/pipeline"})
    world.put(a_team_item("vision", members=[{"account": VISION}], service_accounts=DATA_OF_VISION))
    assert world.status("vision")["state"] == "READY", world.status("vision")


def run(world: World, command: str) -> None:
    """Run the command that was told, as an admin of the data account: by boto3, and jq's one filter in Python."""
    read, _, rest = command.partition(" | ")
    answer = call(world, shlex.split(read))
    if rest:
        deleted, _, write = rest.partition(" > policy.json && ")
        found = re.fullmatch(r"jq 'del\(\.Statement\[(\d+)\]\)'", deleted)
        assert found
        document = json.loads(answer["Policy"])
        del document["Statement"][int(found[1])]
        call(world, [json.dumps(document) if word == "file://policy.json" else word for word in shlex.split(write)])


def call(world: World, words: list[str]) -> Any:
    """What a command of the AWS CLI does, without what it shows."""
    aws, service, operation, *options = words
    assert aws == "aws"
    given = dict(zip(options[::2], options[1::2], strict=True))
    assert given.pop("--region") == REGION
    assert (given.pop("--query", ""), given.pop("--output", "")) in (("", ""), ("Policy", "text"))
    request = {"".join(word.title() for word in name.split("-")): value for name, value in given.items()}
    client = world.sandbox.client({"s3api": "s3"}.get(service, service), DATA)
    return getattr(client, operation.replace("-", "_"))(**request)


# ---- an owner who opens data by hand ---------------------------------------------------------------------------


def add_statement(world: World, sid: str, **statement: Any) -> None:
    """Add a statement to the policy of the images' bucket, which allows to read its objects unless told otherwise."""
    there = {"Version": "2012-10-17", "Statement": world.bucket_statements(IMAGES)}
    read_all = {"Sid": sid, "Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{IMAGES}/*"}
    there["Statement"] = [*there["Statement"], {**read_all, **statement}]
    world.sandbox.client("s3", DATA).put_bucket_policy(Bucket=IMAGES, Policy=json.dumps(there))


def add_access_point(world: World, name: str, principal: str = OUTSIDER) -> None:
    """Make an access point on the images' bucket by hand that lets somebody read all of it."""
    s3control, arn = world.sandbox.client("s3control", DATA), f"arn:aws:s3:{REGION}:{DATA}:accesspoint/{name}"
    s3control.create_access_point(AccountId=DATA, Name=name, Bucket=IMAGES)
    allow = {
        "Effect": "Allow",
        "Principal": {"AWS": principal},
        "Action": "s3:GetObject",
        "Resource": f"{arn}/object/*",
    }
    document = {"Version": "2012-10-17", "Statement": [allow]}
    s3control.put_access_point_policy(AccountId=DATA, Name=name, Policy=json.dumps(document))


def block_public_access(world: World, *, policies: bool = True) -> None:
    """What the images' bucket refuses of public policies."""
    blocks = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": policies}
    world.sandbox.client("s3", DATA).put_public_access_block(
        Bucket=IMAGES, PublicAccessBlockConfiguration={**blocks, "RestrictPublicBuckets": policies}
    )


def access_point_with_podshares_name(world: World) -> str:
    """One that podshare's statement in the bucket's policy lets decide."""
    add_access_point(world, "podshare-extra")
    return OUTSIDER


def access_point_of_the_owners(world: World) -> str:
    """One that a statement of the owner's lets decide."""
    add_access_point(world, "partner-feed")
    through = {"StringEquals": {"s3:DataAccessPointAccount": DATA}}
    add_statement(world, "OwnPoints", Principal="*", Condition=through)
    return OUTSIDER


def access_points_of_another_account(world: World) -> str:
    """A statement by which another account's access points decide."""
    through = {"StringEquals": {"s3:DataAccessPointAccount": LANGUAGE}}
    add_statement(world, "TheirPoints", Principal="*", Condition=through)
    return f"arn:aws:s3:*:{LANGUAGE}:accesspoint/*"


def statement_for_an_outsider(world: World) -> str:
    """A statement of the bucket's policy that names another account."""
    add_statement(world, "Friends", Principal={"AWS": OUTSIDER})
    return OUTSIDER


def statement_with_podshares_name(world: World) -> str:
    """One with a Sid such as podshare gives, which no team has asked for."""
    add_statement(world, "podshareFileSystem0123abcdRead", Principal={"AWS": OUTSIDER})
    return OUTSIDER


def statement_for_everybody(world: World) -> str:
    """A public statement."""
    block_public_access(world, policies=False)
    add_statement(world, "Public", Principal="*")
    return "*"


def grant_of_the_key(world: World) -> str:
    """A grant by which a role of another account decrypts."""
    eve = f"arn:aws:iam::{LANGUAGE}:role/eve"
    world.sandbox.client("kms", DATA).create_grant(KeyId=KMS_KEY, GranteePrincipal=eve, Operations=["Decrypt"])
    return eve


def statement_of_the_key(world: World) -> str:
    """A statement of the key's policy by which another account decrypts."""
    kms = world.sandbox.client("kms", DATA)
    document = json.loads(kms.get_key_policy(KeyId=KMS_KEY, PolicyName="default")["Policy"])
    allow = {
        "Sid": "Friends",
        "Effect": "Allow",
        "Principal": {"AWS": OUTSIDER},
        "Action": "kms:Decrypt",
        "Resource": "*",
    }
    document["Statement"] = [*document["Statement"], allow]
    kms.put_key_policy(KeyId=KMS_KEY, PolicyName="default", Policy=json.dumps(document))
    return OUTSIDER


DOORS: list[Callable[[World], str]] = [
    access_point_with_podshares_name,
    access_point_of_the_owners,
    access_points_of_another_account,
    statement_for_an_outsider,
    statement_with_podshares_name,
    statement_for_everybody,
    grant_of_the_key,
    statement_of_the_key,
]


@pytest.mark.parametrize("make", DOORS, ids=lambda make: make.__name__)
def test_a_door_into_data_is_told_until_it_is_closed(
    world: World, announced: Any, audit: Audit, make: Callable[[World], str]
) -> None:
    """The team is not READY within a reconciliation, the event names who and how, and the told command ends it."""
    announced()
    who = make(world)
    assert world.reconcile("vision")["state"] == "DEGRADED"
    problems = [one for one in world.status("vision")["problems"] if one["what"].startswith("unexpected access: ")]
    assert problems, world.status("vision")
    told = f"account {DATA}: {who} has "
    assert all(told in one["what"] for one in problems), problems
    assert all(one["remedy"] in one["what"] for one in problems)
    assert any(told in line for event in announced() for line in event["found"])
    assert unpacked(world.state("proof", "team#vision")["document"])["holds"] is False
    assert problems[0]["remedy"] in {line["closed_by"] for line in audit(1)["doors"] if line["record"] is None}
    for command in {one["remedy"] for one in problems}:
        run(world, command)
    block_public_access(world)
    assert world.reconcile("vision")["state"] == "READY", world.status("vision")
    assert all(line["record"] for line in audit(0)["doors"])


def test_what_was_there_first_is_the_owners_own(world: World, audit: Audit) -> None:
    """Who reached the data before podshare looked is expected, and so is the owner's account; the audit tells why."""
    assert world.reconcile("vision")["state"] == "READY", world.status("vision")
    why = {line["who"]: line["record"] for line in audit(0)["doors"] if "333333333333" in line["where"]}
    assert why[PARTNER] == "there when podshare first looked"
    assert why[f"arn:aws:iam::{DATA}:role/pipeline"] == f"account {DATA}, which owns it"
    add_statement(world, "More", Principal={"AWS": PARTNER})
    assert world.reconcile("vision")["state"] == "DEGRADED"
    assert f"{PARTNER} has read in imagenet/train/*" not in json.dumps(world.status("vision")["problems"])
    close_problems(world)


def test_whom_a_dataset_names_is_expected(world: World, audit: Audit) -> None:
    """A principal that the dataset's record names may reach it by any door; the record then counts alone."""
    add_statement(world, "Friends", Principal={"AWS": OUTSIDER})
    imagenet = next(one for one in DATASETS if one["id"] == "dataset#imagenet")
    world.put({**imagenet, "other_principals": [OUTSIDER]})
    status = world.status("vision")
    assert [PARTNER in one["what"] for one in status["problems"]] == [True], status
    world.put({**imagenet, "other_principals": [OUTSIDER, PARTNER]})
    assert world.status("vision")["state"] == "READY", world.status("vision")
    assert {line["who"]: line["record"] for line in audit(0)["doors"]}[OUTSIDER] == "dataset#imagenet"
    world.put(imagenet)
    close_problems(world)


def test_what_another_team_has_is_that_teams(world: World) -> None:
    """Another team's access point, statement and grants on the same bucket and key are no strangers' doors."""
    world.put(a_team_item("language", members=[{"account": LANGUAGE}], service_accounts=DATA_OF_VISION))
    assert world.status("language")["state"] == "READY", world.status("language")
    assert world.reconcile("vision")["state"] == "READY", world.status("vision")


@pytest.mark.parametrize("other", ["language", "language-models-of-proteins"])
def test_what_another_team_is_about_to_have_is_that_teams(world: World, other: str) -> None:
    """A team's access point is no stranger's while its share in the bucket's policy is yet to be made."""
    world.put(a_team_item(other, members=[{"account": LANGUAGE}], service_accounts=DATA_OF_VISION))
    table, place = world.sandbox.client("dynamodb"), {"TableName": "podshare-state"}
    condition = "id = :id AND begins_with(part, :part)"
    values = {":id": {"S": f"bucket#{IMAGES}"}, ":part": {"S": f"grant#{other}/"}}
    (row,) = table.query(**place, KeyConditionExpression=condition, ExpressionAttributeValues=values)["Items"]
    table.delete_item(**place, Key={"id": row["id"], "part": row["part"]})
    assert world.reconcile("vision")["state"] == "READY", world.status("vision")
    world.reconcile(other)


def test_an_access_point_that_no_inventory_names_is_told(world: World) -> None:
    """An access point of podshare's that it knows no more is judged by whom it lets in, not by its name."""
    s3control, arn = world.sandbox.client("s3control", DATA), world.access_point("language", "imagenet")
    name, given = arn.rpartition("/")[2], {"AccountId": DATA, "ResourceArn": arn}
    policy = json.loads(s3control.get_access_point_policy(AccountId=DATA, Name=name)["Policy"])
    policy["Statement"] = [{**policy["Statement"][1], "Principal": {"AWS": OUTSIDER}}]
    tags = [tag["Key"] for tag in s3control.list_tags_for_resource(**given)["Tags"]]
    s3control.untag_resource(**given, TagKeys=tags)
    s3control.put_access_point_policy(AccountId=DATA, Name=name, Policy=json.dumps(policy))
    part = f"resource#access_point|{DATA}|{REGION}||{name}"
    world.sandbox.client("dynamodb").delete_item(
        TableName="podshare-state", Key={"id": {"S": "inventory#language"}, "part": {"S": part}}
    )
    world.delete("team#language")
    assert world.reconcile("vision")["state"] == "DEGRADED"
    (problem,) = world.status("vision")["problems"]
    assert f"{OUTSIDER} has read in imagenet/* of arn:aws:s3:::{IMAGES} by access point {name}" in problem["what"]
    close_problems(world)


def test_what_cannot_be_read_is_told(world: World) -> None:
    """A team is not READY while podshare may not see who reaches its data."""
    iam = world.sandbox.client("iam", DATA)
    deny = {"Effect": "Deny", "Action": ["s3:ListAccessPoints", "kms:GetKeyPolicy"], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    iam.put_role_policy(RoleName="podshare-read", PolicyName="deny", PolicyDocument=document)
    assert world.reconcile("vision")["state"] == "DEGRADED"
    told = [one["what"] for one in world.status("vision")["problems"]]
    for bucket, what in ((IMAGES, "access points"), (SCANS, "access points"), (SCANS, "key statements")):
        assert any(f"doors of bucket {bucket} were not read ({what})" in one for one in told), told
    iam.delete_role_policy(RoleName="podshare-read", PolicyName="deny")
    assert world.reconcile("vision")["state"] == "READY", world.status("vision")


def close_problems(world: World) -> None:
    """Run each command that the team's status tells, until the team is READY."""
    assert all(one["what"].startswith("unexpected access: ") for one in world.status("vision")["problems"])
    for command in {one["remedy"] for one in world.status("vision")["problems"]}:
        run(world, command)
    assert world.reconcile("vision")["state"] == "READY", world.status("vision")
