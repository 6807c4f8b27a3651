"""Who reaches data that pods use by a target role, and has no record for it, is told as where there are access points."""

import json
from typing import Any

import pytest

from podshare.access.access_report import unpacked
from tests.scenarios.test_data_doors import Audit
from tests.scenarios.test_target_roles import DRAFTS, READ, SCANNED, reads, team
from tests.scenarios.world import DATA, KMS_KEY, LANGUAGE, SCANS, TEXT, Item, World

OUTSIDER = f"arn:aws:iam::{LANGUAGE}:root"
KEY = "drafts/alpha/new"


@pytest.fixture(scope="module", autouse=True)
def teams(world: World) -> None:
    """Two teams that use buckets by roles in the account of their owner, in which one has what the other has not."""
    world.put(DRAFTS, SCANNED)
    own = {"dataset": "drafts", "access": "read", "prefix": "drafts/alpha/"}
    assert world.put_team("vision", **team(own))["state"] == "READY"
    assert world.put_team("language", **team(READ))["state"] == "READY"
    world.sandbox.client("s3", DATA).put_object(Bucket=TEXT, Key=KEY, Body=b"x")


def add_statement(world: World, **statement: Any) -> None:
    """Let the owner of the bucket allow somebody to read all of it."""
    allow = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{TEXT}/*", **statement}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    world.sandbox.client("s3", DATA).put_bucket_policy(Bucket=TEXT, Policy=document)


@pytest.fixture(autouse=True)
def closed(world: World) -> Any:
    """Each test ends without statements of others."""
    yield
    world.sandbox.client("s3", DATA).delete_bucket_policy(Bucket=TEXT)
    assert world.reconcile("vision")["state"] == "READY"


def test_whoever_reaches_the_bucket_is_told(world: World, audit: Audit) -> None:
    """Another account that the bucket's policy lets in is a stranger, whichever way the pods take."""
    add_statement(world, Principal={"AWS": OUTSIDER})
    assert world.reconcile("vision")["state"] == "DEGRADED"
    assert OUTSIDER in json.dumps(world.status("vision")["problems"])
    assert any(line["record"] is None for line in audit(1)["doors"])


def test_whoever_decrypts_is_told(world: World) -> None:
    """The same for a grant of the key."""
    iam, kms = world.sandbox.client("iam", LANGUAGE), world.sandbox.client("kms", DATA)
    allow = {"Effect": "Allow", "Principal": {"AWS": OUTSIDER}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    eve = iam.create_role(RoleName="eve", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    grant = kms.create_grant(KeyId=KMS_KEY, GranteePrincipal=eve, Operations=["Decrypt"])["GrantId"]
    state, problems = world.reconcile("language")["state"], json.dumps(world.status("language")["problems"])
    kms.revoke_grant(KeyId=KMS_KEY, GrantId=grant)
    assert (state, eve in problems) == ("DEGRADED", True)


def test_the_doors_of_the_bucket_were_read(world: World) -> None:
    """What there is at first is kept as the owner's own, so that what comes later is told."""
    places = [world.state("proof", f"data#arn:aws:s3:::{bucket}") for bucket in (TEXT, SCANS)]
    assert [unpacked(str(place["doors"])) for place in places] == [[], []]


INSIDE: list[Item] = [
    {"StringEquals": {"aws:PrincipalAccount": DATA}},
    {"StringEquals": {"aws:PrincipalOrgID": "o-podshare01"}},
]


@pytest.mark.parametrize("condition", INSIDE, ids=["the owner's account", "the organization"])
def test_what_is_for_all_of_an_account_is_for_other_teams_pods(world: World, condition: Item) -> None:
    """A statement that lets everybody of the owner's account in lets other teams' target roles in: no owner's own."""
    pod = world.pod("language", "trainer").client("s3")
    assert not reads(pod, TEXT, KEY)
    add_statement(world, Principal="*", Condition=condition)
    assert reads(pod, TEXT, KEY)
    assert world.reconcile("vision")["state"] == "DEGRADED"
