"""Data through a role in the account of their owner, instead of through access points."""

import json
from typing import Any

from botocore.exceptions import ClientError

from podshare_cli.sandbox_deployment import PROJECT
from tests.scenarios.world import DATA, DATASETS, HUB, KMS_KEY, SCANS, TEXT, Item, World

DRAFTS, SCANNED = ({**dataset, "data_role": "target"} for dataset in DATASETS[2:])
SCAN = "scans/2026/patient-0001.dcm"


def team(*grants: Item) -> dict[str, Any]:
    return {"members": [], "service_accounts": [{"name": "trainer", "datasets": [*grants]}]}


def may(call: Any, **parameters: Any) -> bool:
    try:
        call(**parameters)
    except ClientError as error:
        assert error.response["Error"]["Code"] in ("AccessDenied", "InvalidAccessKeyId"), error
        return False
    return True


def reads(s3: Any, bucket: str, key: str) -> bool:
    return may(s3.get_object, Bucket=bucket, Key=key)


def target_roles(world: World) -> list[str]:
    """The roles of podshare's in the data account."""
    found = world.sandbox.client("iam", DATA).list_roles(PathPrefix="/podshare/")["Roles"]
    return [str(role["RoleName"]) for role in found]


WRITE = {"dataset": "drafts", "access": "read_write", "prefix": "drafts/alpha/"}
READ = {"dataset": "scans", "access": "read"}


def test_pods_use_buckets_as_a_role_of_their_account(world: World) -> None:
    """A pod reads and writes the bucket itself, under its prefixes, with a key too; there is no access point or grant."""
    world.put(DRAFTS, SCANNED)
    assert world.put_team("alpha", **team(WRITE, READ))["state"] == "READY"
    s3 = world.pod("alpha", "trainer").client("s3")
    assert may(s3.put_object, Bucket=TEXT, Key="drafts/alpha/new", Body=b"x")
    assert [reads(s3, TEXT, key) for key in ("drafts/alpha/new", "drafts/filtering.md")] == [True, False]
    assert [reads(s3, SCANS, key) for key in (SCAN, "reports/2026/patient-0001.pdf")] == [True, False]
    assert [may(s3.list_objects_v2, Bucket=TEXT, Prefix=prefix) for prefix in ("drafts/alpha/", "")] == [True, False]
    assert world.sandbox.client("s3control", DATA).list_access_points(AccountId=DATA)["AccessPointList"] == []
    assert world.sandbox.client("kms", DATA).list_grants(KeyId=KMS_KEY)["Grants"] == []
    assert len(target_roles(world)) == 1
    with world.calls() as made:
        assert world.reconcile("alpha")["summary"] == "READY: nothing to change"
    assert made == []


def test_what_is_narrowed_is_cut_for_running_pods(world: World) -> None:
    """A pod that runs keeps what is still granted, and loses at once what is not; drift is mended."""
    s3 = world.pod("alpha", "trainer").client("s3")
    assert world.put_team("alpha", **team({**WRITE, "access": "read"}, READ))["state"] == "READY"
    assert not may(s3.put_object, Bucket=TEXT, Key="drafts/alpha/more", Body=b"x")
    assert reads(s3, TEXT, "drafts/alpha/new")
    iam, (role,) = world.sandbox.client("iam", DATA), target_roles(world)
    trust = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    everybody = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{HUB}:root"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [everybody]})
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=document)
    assert world.reconcile("alpha")["state"] == "READY"
    assert iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"] == trust


def test_nobody_else_gets_into_the_role(world: World) -> None:
    """Not the hub's administrators, and not another team's pods, whose role may ask for nothing but its own."""
    (role,) = target_roles(world)
    arn = f"arn:aws:iam::{DATA}:role/podshare/{role}"
    assert not may(world.sandbox.client("sts", HUB).assume_role, RoleArn=arn, RoleSessionName="ada")
    assert world.put_team("bravo", **team({"dataset": "imagenet", "access": "read"}))["state"] == "READY"
    assert not may(world.pod("bravo", "trainer").client("sts").assume_role, RoleArn=arn, RoleSessionName="ada")
    world.delete("team#bravo")


def test_one_service_account_has_one_way_to_its_data(world: World) -> None:
    """With a dataset that has access points the record is refused in words, and what it had stays."""
    status = world.put_team("alpha", **team(WRITE, READ, {"dataset": "imagenet", "access": "read"}))
    assert status["state"] == "REJECTED"
    assert (
        "drafts, scans: have data_role target" in f"{status['problems'][0]['value']}: {status['problems'][0]['rule']}"
    )
    assert reads(world.pod("alpha", "trainer").client("s3"), SCANS, SCAN)


def test_the_way_changes_with_the_dataset(world: World) -> None:
    """Back to access points: role and association are made anew, and the role in the data account goes."""
    world.put_team("alpha", **team(READ))
    former = world.pod("alpha", "trainer").client("s3")
    world.put(DATASETS[3])
    assert world.status("alpha")["state"] == "READY"
    assert target_roles(world) == []
    assert not reads(former, SCANS, SCAN)
    assert reads(world.pod("alpha", "trainer").client("s3"), world.access_point("alpha", "scans"), SCAN)
    world.put(SCANNED)
    pod = world.pod("alpha", "trainer").client("s3")
    assert reads(pod, SCANS, SCAN)
    world.delete("team#alpha")
    assert not reads(pod, SCANS, SCAN)
    assert world.leftovers() == []


def test_an_account_that_does_not_let_its_roles_is_told(world: World) -> None:
    """Without TargetRoles in the data account's stack nothing of it is made, and the remedy says what to set."""
    stack = world.sandbox.stack("podshare-member", DATA)
    path = PROJECT / "accounts" / "member.yaml"
    world.sandbox.deploy(path, DATA, "us-west-2", "podshare-member", {**stack.parameters, "TargetRoles": "false"})
    status = world.put_team("charlie", **team(READ))
    assert status["state"] == "DEGRADED"
    assert "Set TargetRoles of accounts/member.yaml to true" in json.dumps(status["problems"])
    assert target_roles(world) == []
    world.sandbox.deploy(path, DATA, "us-west-2", "podshare-member", {**stack.parameters, "TargetRoles": "true"})
    assert world.reconcile("charlie")["state"] == "READY"
    assert reads(world.pod("charlie", "trainer").client("s3"), SCANS, SCAN)
