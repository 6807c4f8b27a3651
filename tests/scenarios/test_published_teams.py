"""What a team's people find in their own account: one SSM parameter per team, and who reads it."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.scenarios.world import DATA, HUB, LANGUAGE, REGION, VISION, World

NAME = "/podshare/teams/vision"
READER = [{"name": "trainer", "datasets": [{"dataset": "imagenet", "access": "read"}]}]


def published(world: World, account: str, name: str = NAME) -> dict[str, Any] | None:
    """What an account has of a team, None where it has nothing."""
    try:
        parameter = world.sandbox.client("ssm", account).get_parameter(Name=name)["Parameter"]
    except ClientError as error:
        assert error.response["Error"]["Code"] == "ParameterNotFound"
        return None
    assert parameter["Type"] == "String"
    value: dict[str, Any] = json.loads(parameter["Value"])
    return value


@pytest.fixture(scope="module")
def vision(world: World) -> Iterator[World]:
    """A team with two accounts, of which one brings a role of its own, and a pod that reads."""
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{LANGUAGE}:root"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam = world.sandbox.client("iam", LANGUAGE)
    iam.create_role(RoleName="Researcher", Path="/research/", AssumeRolePolicyDocument=document)
    members = [
        {"account": VISION, "expires": "2030-01-01T00:00:00Z"},
        {"account": LANGUAGE, "existing_role": "research/Researcher"},
    ]
    assert world.put_team("vision", members=members, service_accounts=READER)["state"] == "READY"
    yield world


def test_each_account_has_what_its_people_need(vision: World) -> None:
    """The parameter names the way in, the queue, the quota and the data, with the alias that S3 gave."""
    value = published(vision, VISION)
    assert value is not None
    assert (value["schema"], value["team"], value["owner"]) == (1, "vision", "priya@example.com")
    assert value["namespace"] == "hyperpod-ns-vision"
    (member,) = value["members"]
    assert member == {
        "scientist_role": f"arn:aws:iam::{VISION}:role/podshare/podshare-vision-scientist",
        "until": "2030-01-01T00:00:00Z",
        "roles": {"main": vision.cluster_access_role("vision", VISION)},
    }
    (cluster,) = value["clusters"]
    assert (cluster["name"], cluster["queue"], cluster["region"]) == ("main", "hyperpod-ns-vision-localqueue", REGION)
    points = vision.state("proof", "team#vision")["access_points"]
    assert cluster["datasets"]["imagenet"] == {
        "region": REGION,
        "arn": points[0]["arn"],
        "alias": points[0]["alias"],
    }
    assert cluster["service_accounts"] == {
        "trainer": [{"dataset": "imagenet", "access": "read", "prefix": "imagenet/"}]
    }
    other = published(vision, LANGUAGE)
    assert other is not None
    assert other["members"][0]["existing_role"] == f"arn:aws:iam::{LANGUAGE}:role/research/Researcher"
    assert published(vision, HUB) is published(vision, DATA) is None


def test_nothing_in_it_is_a_secret_or_another_accounts(vision: World) -> None:
    """No account reads how another one's people get in."""
    assert LANGUAGE not in json.dumps(published(vision, VISION))
    assert VISION not in json.dumps(published(vision, LANGUAGE))


def reads(session: boto3.Session, name: str) -> str:
    """The code with which SSM answers a session; empty if it gives the parameter."""
    try:
        session.client("ssm", region_name=REGION).get_parameter(Name=name)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def test_who_works_for_a_team_reads_its_parameter_and_no_other(vision: World) -> None:
    """podshare's own role reads the team's; an existing role, by the fixed policy, what its account has, and nothing else."""
    ssm = vision.sandbox.client("ssm", VISION)
    ssm.put_parameter(Name="/other/secret", Value="x", Type="String")
    ssm.put_parameter(Name="/podshare/teams/robots", Value="{}", Type="String")
    scientist = vision.scientist("vision", VISION)
    assert reads(scientist, NAME) == ""
    assert reads(scientist, "/podshare/teams/robots") == "AccessDeniedException"
    assert reads(scientist, "/other/secret") == "AccessDeniedException"
    researcher = vision.scientist("vision", LANGUAGE, role="research/Researcher")
    assert reads(researcher, NAME) == ""
    listed = researcher.client("ssm", region_name=REGION).get_parameters_by_path(Path="/podshare/teams")
    assert [parameter["Name"] for parameter in listed["Parameters"]] == [NAME]
    assert reads(researcher, "/other/secret") == "AccessDeniedException"
    for name in ("/other/secret", "/podshare/teams/robots"):
        ssm.delete_parameter(Name=name)


def test_a_new_alias_is_published_in_the_run_that_brings_it(vision: World) -> None:
    """An access point that was deleted by hand is created again, and the parameter has its new alias after one run."""
    before = published(vision, VISION)
    name = vision.access_point("vision", "imagenet").rpartition("/")[2]
    vision.sandbox.client("s3control", DATA).delete_access_point(AccountId=DATA, Name=name)
    assert vision.reconcile("vision")["state"] == "READY"
    after = published(vision, VISION)
    assert before is not None
    assert after is not None
    former, new = (value["clusters"][0]["datasets"]["imagenet"]["alias"] for value in (before, after))
    assert former != new
    point = vision.sandbox.client("s3control", DATA).get_access_point(AccountId=DATA, Name=name)
    assert new == point["Alias"]
    with vision.calls() as made:
        assert vision.reconcile("vision")["summary"] == "READY: nothing to change"
    assert made == []


def _forget_aliases(world: World) -> None:
    """Let the inventory be as when a run ended before it had written down what it created."""
    table = world.sandbox.client("dynamodb", HUB)
    rows = table.query(
        TableName="podshare-state",
        KeyConditionExpression="id = :id AND begins_with(part, :part)",
        ExpressionAttributeValues={":id": {"S": "inventory#vision"}, ":part": {"S": "resource#access_point"}},
    )["Items"]
    assert rows
    for row in rows:
        former = {**row, "identity": {"S": row["identity"]["S"].partition(" ")[0]}}
        table.put_item(TableName="podshare-state", Item=former)


def test_an_alias_that_is_missing_is_published_by_one_run(vision: World) -> None:
    """What is published is compared with the access point itself: no run is READY while the alias is missing."""
    ssm, before = vision.sandbox.client("ssm", VISION), published(vision, VISION)
    assert before is not None
    _forget_aliases(vision)
    value = json.loads(json.dumps(before))
    del value["clusters"][0]["datasets"]["imagenet"]["alias"]
    ssm.put_parameter(Name=NAME, Value=json.dumps(value), Type="String", Overwrite=True)
    assert vision.reconcile("vision")["state"] == "READY"
    assert published(vision, VISION) == before


def test_an_alias_that_an_earlier_version_did_not_keep_is_learned(vision: World) -> None:
    """Before, the inventory knew an access point by its date alone: the first run writes the alias all the same."""
    before = published(vision, VISION)
    _forget_aliases(vision)
    vision.sandbox.client("ssm", VISION).delete_parameter(Name=NAME)
    assert vision.reconcile("vision")["state"] == "READY"
    assert published(vision, VISION) == before


def test_who_leaves_the_team_has_no_parameter_any_more(vision: World) -> None:
    """It goes in the run that revokes, with the trust, from that account alone; the rest go with the team."""
    assert vision.put_team("vision", members=[{"account": VISION}], service_accounts=READER)["state"] == "READY"
    assert published(vision, LANGUAGE) is None
    assert published(vision, VISION) is not None
    vision.delete("team#vision")
    assert published(vision, VISION) is None
    assert vision.leftovers() == []
