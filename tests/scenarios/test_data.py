"""Data of every kind: several grants of a dataset, keys of one's own, VPCs, and bucket policies that nobody can write."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from podshare_sandbox.services import access_points
from tests.builders import a_team_item
from tests.scenarios.world import CLUSTER, DATA, DATASETS, HUB, IMAGES, KMS_KEY, SCANS, TEXT, Item, World

NOTHING_TO_CHANGE = "READY: nothing to change"


def team(*grants: Item, name: str = "trainer") -> dict[str, Any]:
    return {"members": [], "service_accounts": [{"name": name, "datasets": [*grants]}]}


def grant(dataset: str, access: str = "read", **more: Any) -> Item:
    return {"dataset": dataset, "access": access, **more}


def what(status: Item) -> str:
    return json.dumps(status["problems"])


class Pod:
    """A pod of a team, with the credentials that it once got, at the access point of a dataset."""

    def __init__(self, world: World, team: str, dataset: str) -> None:
        self.s3 = world.pod(team, "trainer").client("s3")
        self.point = world.access_point(team, dataset)

    def reads(self, key: str) -> bool:
        return self._may(self.s3.get_object, Key=key)

    def writes(self, key: str) -> bool:
        return self._may(self.s3.put_object, Key=key, Body=b"x")

    def lists(self, prefix: str) -> bool:
        return self._may(self.s3.list_objects_v2, Prefix=prefix)

    def _may(self, call: Any, **parameters: Any) -> bool:
        try:
            call(Bucket=self.point, **parameters)
        except ClientError as error:
            assert error.response["Error"]["Code"] in ("AccessDenied", "NoSuchAccessPoint", "InvalidAccessKeyId"), error
            return False
        return True


# ---- several grants of one dataset --------------------------------------------------------------------------------


def test_grants_of_one_dataset_come_and_go_one_by_one(world: World) -> None:
    """Together they give what each gives; a running pod keeps what the others still grant when one of them goes."""
    for key in ("drafts/a/x", "drafts/a/in/x", "drafts/b/x"):
        world.sandbox.client("s3", DATA).put_object(Bucket=TEXT, Key=key, Body=b"x")
    wide, inner = grant("drafts", prefix="drafts/a/"), grant("drafts", "read_write", prefix="drafts/a/in/")
    other = grant("drafts", prefix="drafts/b/")
    assert world.put_team("alpha", **team(wide, inner, other))["state"] == "READY"
    pod = Pod(world, "alpha", "drafts")
    assert [pod.reads(key) for key in ("drafts/a/x", "drafts/a/in/x", "drafts/b/x")] == [True, True, True]
    assert [pod.lists(prefix) for prefix in ("drafts/a/", "drafts/b/", "drafts/")] == [True, True, False]
    assert [pod.writes(key) for key in ("drafts/a/in/y", "drafts/a/y", "drafts/b/y")] == [True, False, False]
    assert not pod.reads("drafts/filtering.md")
    assert world.reconcile("alpha")["summary"] == NOTHING_TO_CHANGE
    with world.calls() as made:
        assert world.put_team("alpha", **team(inner, other))["state"] == "READY"
    assert {call.partition(" ")[2] for call in made} == {"s3:PutAccessPointPolicy", "iam:PutRolePolicy"}
    assert [pod.reads(key) for key in ("drafts/a/x", "drafts/a/in/x", "drafts/b/x")] == [False, True, True]
    assert (pod.writes("drafts/a/in/y"), pod.lists("drafts/a/")) == (True, False)
    world.delete("team#alpha")
    assert not pod.reads("drafts/b/x")


# ---- keys of one's own ----------------------------------------------------------------------------------------------


def key_grants(world: World) -> dict[str, str]:
    """What each grant of the key is called at its end, and to whom it is."""
    found = world.sandbox.client("kms", DATA).list_grants(KeyId=KMS_KEY)["Grants"]
    return {one["Name"].rpartition("/")[2]: one["GranteePrincipal"].rpartition("/")[2] for one in found}


SCAN = "scans/2026/patient-0001.dcm"


def test_a_key_is_granted_with_the_data_and_for_no_more(world: World) -> None:
    """Reading needs one grant; writing, in parts too, a second one that comes and goes without touching the first."""
    assert world.put_team("bravo", **team(grant("scans")))["state"] == "READY"
    pod = Pod(world, "bravo", "scans")
    assert (pod.reads(SCAN), pod.writes("scans/new")) == (True, False)
    assert [*key_grants(world)] == ["Decrypt"]
    with world.calls() as made:
        assert world.reconcile("bravo")["summary"] == NOTHING_TO_CHANGE
    assert made == []
    with world.calls() as made:
        assert world.put_team("bravo", **team(grant("scans", "read_write")))["state"] == "READY"
    assert made.count("podshare-data kms:CreateGrant") == 1
    assert not [call for call in made if "Revoke" in call]
    upload = pod.s3.create_multipart_upload(Bucket=pod.point, Key="scans/new")["UploadId"]
    part = pod.s3.upload_part(Bucket=pod.point, Key="scans/new", UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    pod.s3.complete_multipart_upload(Bucket=pod.point, Key="scans/new", UploadId=upload, MultipartUpload=parts)
    assert pod.reads("scans/new")
    world.put_team("bravo", **team(grant("scans")))
    assert [*key_grants(world)] == ["Decrypt"]
    assert (pod.reads(SCAN), pod.writes("scans/new")) == (True, False)


def test_a_grant_that_was_revoked_doubled_or_outlived_its_role_is_mended(world: World) -> None:
    """After one run there is one grant of each name, for the role that exists now, and pods read again."""
    kms, iam = world.sandbox.client("kms", DATA), world.sandbox.client("iam", HUB)
    (found,) = kms.list_grants(KeyId=KMS_KEY)["Grants"]
    kms.revoke_grant(KeyId=KMS_KEY, GrantId=found["GrantId"])
    assert not Pod(world, "bravo", "scans").reads(SCAN)
    assert world.reconcile("bravo")["state"] == "READY"
    assert Pod(world, "bravo", "scans").reads(SCAN)
    wider = {"Operations": ["Decrypt", "Encrypt"], "GranteePrincipal": f"arn:aws:iam::{HUB}:root"}
    kms.create_grant(KeyId=KMS_KEY, Name=found["Name"], **wider)
    assert world.reconcile("bravo")["state"] == "READY"
    role = found["GranteePrincipal"].rpartition("/")[2]
    assert key_grants(world) == {"Decrypt": role}
    for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        iam.delete_role_policy(RoleName=role, PolicyName=policy)
    iam.delete_role(RoleName=role)
    assert world.reconcile("bravo")["state"] == "READY"
    assert Pod(world, "bravo", "scans").reads(SCAN)
    assert len(kms.list_grants(KeyId=KMS_KEY)["Grants"]) == 1


def test_a_grant_goes_with_the_data(world: World) -> None:
    """Without the dataset the key has no grant of podshare's, and a running pod reads nothing of it."""
    pod = Pod(world, "bravo", "scans")
    assert world.put_team("bravo", **team(grant("imagenet")))["state"] == "READY"
    assert key_grants(world) == {}
    assert not pod.reads(SCAN)
    world.delete("team#bravo")
    assert world.leftovers() == []


def test_a_key_that_cannot_be_granted_is_told_before_anything_is_touched(world: World) -> None:
    """A bucket whose key no dataset names, a key that the stack does not list, and one that is disabled."""
    kms, dataset = world.sandbox.client("kms", DATA), DATASETS[-1]
    item = a_team_item("charlie", **team(grant("scans")))
    for key, told in (
        ({}, f"bucket {SCANS} is encrypted with {KMS_KEY}, which no dataset names"),
        ({"kms_key": kms.create_key()["KeyMetadata"]["Arn"]}, "add it to KmsKeyArns"),
    ):
        named = {name: value for name, value in dataset.items() if name != "kms_key"}
        planned = world.plan("charlie", {**named, **key}, item)
        assert told in json.dumps(planned["obstacles"])
        kinds = {change["kind"] for lane in planned["grant"] for wave in lane["waves"] for change in wave["changes"]}
        assert not kinds & {"access_point", "bucket_delegation", "kms_grant"}
    kms.disable_key(KeyId=KMS_KEY.rpartition("/")[2])
    status = world.put_team("charlie", **team(grant("scans"), grant("imagenet")))
    assert f"KMS key {KMS_KEY} is Disabled" in what(status)
    assert world.reads("charlie")
    kms.enable_key(KeyId=KMS_KEY.rpartition("/")[2])
    assert world.reconcile("charlie")["state"] == "READY"
    assert Pod(world, "charlie", "scans").reads(SCAN)
    world.delete("team#charlie")


# ---- buckets as they are --------------------------------------------------------------------------------------------

LAB, OFFICE = "vpc-0123456789abcdef0", "vpc-0fedcba9876543210"


def test_an_access_point_of_a_vpc_answers_there_alone(world: World) -> None:
    """What a dataset's `vpc` says is so after a run: its access point is made anew where the VPC is another."""
    dataset = {**DATASETS[0], "id": "dataset#images"}
    world.put({**dataset, "vpc": LAB})
    assert world.put_team("delta", **team(grant("images")))["state"] == "READY"
    key = "imagenet/train/n01440764_18.jpg"
    assert not Pod(world, "delta", "images").reads(key)
    with access_points.from_vpc(LAB):
        assert Pod(world, "delta", "images").reads(key)
    world.put({**dataset, "vpc": OFFICE})
    assert world.status("delta")["state"] == "READY"
    with access_points.from_vpc(LAB):
        assert not Pod(world, "delta", "images").reads(key)
    with access_points.from_vpc(OFFICE):
        assert Pod(world, "delta", "images").reads(key)
    world.delete("team#delta")


@pytest.mark.parametrize("ownership", ["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"])
@pytest.mark.parametrize("blocked", [True, False])
def test_what_a_bucket_is_set_to_keeps_it_from_nobody(world: World, ownership: Any, blocked: bool) -> None:
    """With every ownership, and all public access blocks on or off, a bucket can be shared; who else owns is told."""
    s3 = world.sandbox.client("s3", DATA)
    s3.put_bucket_ownership_controls(Bucket=IMAGES, OwnershipControls={"Rules": [{"ObjectOwnership": ownership}]})
    blocks = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    s3.put_public_access_block(Bucket=IMAGES, PublicAccessBlockConfiguration=dict.fromkeys(blocks, blocked))
    planned = world.plan("echo", a_team_item("echo", **team(grant("imagenet"))))
    told = [] if ownership == "BucketOwnerEnforced" else [f"bucket {IMAGES} has object ownership {ownership}"]
    notes = [note.partition(":")[0] for note in planned["notes"] if "bucket" in note]
    assert (planned["obstacles"], notes) == ([], told)


def test_another_region_is_told_with_its_cost(world: World) -> None:
    """A dataset in another Region than the cluster's is no error: plan and status say what it costs."""
    far = {**CLUSTER, "id": "cluster#far", "region": "eu-west-1"}
    planned = world.plan("echo", far, a_team_item("echo", cluster="far", **team(grant("imagenet"))))
    assert "dataset imagenet is in us-west-2, cluster far in eu-west-1: each read incurs" in planned["notes"][0]


# ---- a bucket policy that nobody can write --------------------------------------------------------------------------


def former_auditor(world: World) -> Item:
    """A statement for a role of the bucket's account that is then deleted."""
    iam, s3 = world.sandbox.client("iam", DATA), world.sandbox.client("s3", DATA)
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{DATA}:root"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    arn = iam.create_role(RoleName="Auditor", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    statement = {"Sid": "FormerAuditor", "Effect": "Allow", "Principal": {"AWS": arn}, "Action": "s3:ListBucket"}
    statements = [*world.bucket_statements(TEXT), {**statement, "Resource": f"arn:aws:s3:::{TEXT}"}]
    s3.put_bucket_policy(Bucket=TEXT, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
    iam.delete_role(RoleName="Auditor")
    return world.bucket_statements(TEXT)[-1]


def mend(world: World) -> None:
    kept = [statement for statement in world.bucket_statements(TEXT) if statement["Sid"] != "FormerAuditor"]
    s3 = world.sandbox.client("s3", DATA)
    if kept:
        s3.put_bucket_policy(Bucket=TEXT, Policy=json.dumps({"Version": "2012-10-17", "Statement": kept}))
    else:
        s3.delete_bucket_policy(Bucket=TEXT)


def test_a_statement_for_who_is_gone_is_told_and_left_alone(world: World) -> None:
    """Its Sid and principal are told; the other datasets are shared; once the owner has mended it, this one is too."""
    dead = former_auditor(world)
    status = world.put_team("foxtrot", **team(grant("crawl"), grant("imagenet")))
    assert status["state"] == "DEGRADED"
    assert f"statement FormerAuditor names {dead['Principal']['AWS']}" in what(status)
    assert "Ask its owner to take that principal out" in what(status)
    assert world.bucket_statements(TEXT) == [dead]
    assert (world.reads("foxtrot"), world.reads("foxtrot", dataset="crawl")) == (True, False)
    mend(world)
    assert world.reconcile("foxtrot")["state"] == "READY"
    assert world.reads("foxtrot", dataset="crawl")


def test_access_is_cut_though_the_bucket_policy_cannot_be_written(world: World) -> None:
    """A deleted team loses access at once; its statement goes when the owner has mended the policy, and is told until."""
    pod = Pod(world, "foxtrot", "crawl")
    assert pod.reads("crawl/2026/01/segment-00000.jsonl.gz")
    former_auditor(world)
    world.delete("team#foxtrot")
    assert not pod.reads("crawl/2026/01/segment-00000.jsonl.gz")
    status = world.status("foxtrot")
    assert status["state"] == "DEGRADED"
    assert "statement FormerAuditor names" in what(status)
    assert [one["Sid"] for one in world.bucket_statements(TEXT)] == ["podshareAccessPoints", "FormerAuditor"]
    mend(world)
    assert world.reconcile("foxtrot")["state"] == "DELETED"
    assert world.leftovers() == []
