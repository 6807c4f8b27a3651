"""Records change: what is removed is refused at once, what is added works, and nobody else notices."""

import json

import pytest

from podshare.aws.rows import to_item
from podshare.kinds.team_on_cluster import ALL_MEMBERS
from tests.scenarios.world import (
    CLUSTER,
    DATA,
    DATASETS,
    HUB,
    IMAGES,
    LANGUAGE,
    REGION,
    TEXT,
    VISION,
    World,
    refused,
)

MEMBERS = [{"account": VISION}, {"account": LANGUAGE}]
P5 = "ml.p5.48xlarge"


def quota_of(world: World, team: str) -> dict[str, object]:
    sagemaker = world.sandbox.client("sagemaker", HUB)
    (summary,) = sagemaker.list_compute_quotas(NameContains=f"podshare-{team}")["ComputeQuotaSummaries"]
    found: dict[str, object] = sagemaker.describe_compute_quota(ComputeQuotaId=summary["ComputeQuotaId"])
    return found


def test_a_removed_member_is_refused_and_the_others_notice_nothing(world: World) -> None:
    """The removed member's live session is refused by the cluster; the other's live session goes on unchanged."""
    world.put_team("alpha", members=MEMBERS, service_accounts=[])
    leaver, stayer = world.cluster_access("alpha", LANGUAGE), world.cluster_access("alpha", VISION)
    assert world.may_submit(leaver, "alpha")
    with world.calls() as made:
        status = world.put_team("alpha", members=MEMBERS[:1], service_accounts=[])
    assert status["state"] == "READY"
    assert refused(lambda: world.may_submit(leaver, "alpha"))
    assert refused(lambda: world.scientist("alpha", LANGUAGE))
    assert world.may_submit(stayer, "alpha")
    order = [call.partition(" ")[2] for call in made]
    assert order[0] == "eks:DeleteAccessEntry"


def test_a_raised_quota_is_updated_in_place(world: World) -> None:
    """A larger quota is the same quota in a later version; access is not touched."""
    one = {"resources": [{"instance_type": P5, "count": 1}]}
    world.put_team("bravo", quota=one, members=[], service_accounts=[])
    before = quota_of(world, "bravo")
    with world.calls() as made:
        status = world.put_team(
            "bravo",
            quota={"resources": [{"instance_type": P5, "count": 3}], "fair_share_weight": 7},
            members=[],
            service_accounts=[],
        )
    after = quota_of(world, "bravo")
    assert status["state"] == "READY"
    assert after["ComputeQuotaId"] == before["ComputeQuotaId"]
    assert after["ComputeQuotaTarget"] == {"TeamName": "bravo", "FairShareWeight": 7}
    assert {call.partition(" ")[2] for call in made} == {"sagemaker:UpdateComputeQuota"}


def test_a_narrowed_grant_closes_the_rest_and_keeps_what_stays(world: World) -> None:
    """From read and write of the dataset to reading one prefix: what was wider is refused for a running pod."""
    wide = [{"name": "curator", "datasets": [{"dataset": "imagenet", "access": "read_write"}]}]
    world.put_team("charlie", members=[], service_accounts=wide)
    s3, point = world.pod("charlie", "curator").client("s3"), world.access_point("charlie", "imagenet")
    s3.put_object(Bucket=point, Key="imagenet/val/x", Body=b"1")
    narrow = [{"name": "curator", "datasets": [{"dataset": "imagenet", "access": "read", "prefix": "imagenet/train/"}]}]
    assert world.put_team("charlie", members=[], service_accounts=narrow)["state"] == "READY"
    assert s3.list_objects_v2(Bucket=point, Prefix="imagenet/train/")["Contents"]
    assert refused(lambda: s3.put_object(Bucket=point, Key="imagenet/train/x", Body=b"1"))
    assert refused(lambda: s3.get_object(Bucket=point, Key="imagenet/val/x"))
    assert "s3:PutObject" not in world.bucket_statements(IMAGES)[-1]["Action"]
    world.sandbox.client("s3", DATA).delete_object(Bucket=IMAGES, Key="imagenet/val/x")


def test_a_dataset_that_moves_is_followed(world: World) -> None:
    """After its record names another bucket, pods read there, the old bucket is closed, and its statement gone."""
    grants = [{"name": "reader", "datasets": [{"dataset": "moving", "access": "read"}]}]
    moving = {"id": "dataset#moving", "account": DATA, "region": REGION, "bucket": IMAGES, "prefix": "imagenet/"}
    world.put(moving)
    world.put_team("delta", members=[], service_accounts=grants)
    world.delete("team#charlie")
    world.put({**moving, "bucket": TEXT, "prefix": "crawl/"})
    assert world.status("delta")["state"] == "READY"
    s3, point = world.pod("delta", "reader").client("s3"), world.access_point("delta", "moving")
    assert s3.list_objects_v2(Bucket=point, Prefix="crawl/")["Contents"]
    assert refused(lambda: s3.list_objects_v2(Bucket=point, Prefix="imagenet/"))
    assert [statement["Sid"] for statement in world.bucket_statements(IMAGES)] == ["OwnersAudit"]


def test_a_deleted_dataset_is_a_revocation(world: World) -> None:
    """The grants of a deleted dataset end everywhere; the team stays READY with what it still has."""
    gone = {**DATASETS[0], "id": "dataset#temporary"}
    grants = [
        {"dataset": "temporary", "access": "read"},
        {"dataset": "crawl", "access": "read"},
    ]
    world.put(gone)
    world.put_team("echo", members=[], service_accounts=[{"name": "reader", "datasets": grants}])
    s3, point = world.pod("echo", "reader").client("s3"), world.access_point("echo", "temporary")
    assert s3.list_objects_v2(Bucket=point, Prefix="imagenet/")["Contents"]
    world.delete("dataset#temporary")
    assert world.status("echo")["state"] == "READY"
    with pytest.raises(LookupError):
        world.access_point("echo", "temporary")
    assert s3.list_objects_v2(Bucket=world.access_point("echo", "crawl"), Prefix="crawl/")["Contents"]


@pytest.mark.parametrize("late", [False, True])
def test_a_deleted_dataset_does_not_come_back_by_an_invalid_record(world: World, late: bool) -> None:
    """After its deletion an invalid record of its name grants nothing, also if a plan kept what it had read before."""
    record, name = {**DATASETS[0], "id": "dataset#temporary"}, f"foxtrot-{late}".lower()
    grants = [{"dataset": "temporary", "access": "read"}]
    world.put(record)
    world.put_team(name, members=[], service_accounts=[{"name": "reader", "datasets": grants}])
    world.put({**record, "color": "red"})
    assert world.access_point(name, "temporary")  # a record that is invalid, and was not deleted, revokes nothing
    accepted = world.state("dataset#temporary", "accepted")
    world.delete("dataset#temporary")
    if late:
        world.sandbox.client("dynamodb").put_item(TableName="podshare-state", Item=to_item(accepted))
        world.reconcile(name)
    world.put({**record, "color": "red"})
    assert world.state("record", "dataset#temporary")["state"] == "REJECTED"
    with pytest.raises(LookupError):
        world.access_point(name, "temporary")
    world.put(record)
    assert world.access_point(name, "temporary")
    world.delete(f"team#{name}", "dataset#temporary")


def test_a_protected_team_without_a_record_loses_a_deleted_dataset(world: World) -> None:
    """The registry has nothing that names the dataset any more: the team is started all the same, without a sweep."""
    world.put({**DATASETS[0], "id": "dataset#temporary"})
    grants = [{"dataset": "temporary", "access": "read"}]
    reader = [{"name": "reader", "datasets": grants}]
    world.put_team("india", members=[], service_accounts=reader, deletion_protection=True)
    world.delete("team#india")
    assert world.access_point("india", "temporary")
    world.delete("dataset#temporary")
    with pytest.raises(LookupError):
        world.access_point("india", "temporary")


def test_a_deleted_cluster_takes_no_new_team(world: World) -> None:
    """It stays in force for the teams that are on it; a team that names it from then on is told that it is gone."""
    world.put({**CLUSTER, "id": "cluster#temporary"})
    assert world.put_team("golf", cluster="temporary", members=[], service_accounts=[])["state"] != "REJECTED"
    world.delete("cluster#temporary")
    world.reconcile("golf")
    assert world.status("golf")["state"] != "REJECTED"
    status = world.put_team("hotel", cluster="temporary", members=[], service_accounts=[])
    assert status["state"] == "REJECTED"
    assert "no cluster temporary" in json.dumps(status["problems"])
    world.delete("team#golf", "team#hotel")


def test_an_existing_role_keeps_all_of_its_own(world: World) -> None:
    """podshare attaches its one fixed policy to a role of others, and takes just that away with the last team."""
    iam = world.sandbox.client("iam", VISION)
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{VISION}:root"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam.create_role(RoleName="Researcher", Path="/labs/", AssumeRolePolicyDocument=document)
    iam.put_role_policy(
        RoleName="Researcher",
        PolicyName="own",
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}],
            }
        ),
    )
    member = {"account": VISION, "existing_role": "labs/Researcher"}
    for team in ("foxtrot", "golf"):
        assert world.put_team(team, members=[member], service_accounts=[])["state"] == "READY"
    researcher = world.scientist("foxtrot", VISION, role="labs/Researcher")
    access = world.session(world.cluster_access_role("foxtrot", f"{VISION}/role/labs/Researcher"), researcher)
    assert world.may_submit(access, "foxtrot")
    (attached,) = iam.list_attached_role_policies(RoleName="Researcher")["AttachedPolicies"]
    assert attached["PolicyName"].startswith("podshare-assume-cluster-access-")
    world.delete("team#foxtrot")
    golf = world.session(world.cluster_access_role("golf", f"{VISION}/role/labs/Researcher"), researcher)
    assert world.may_submit(golf, "golf")
    world.delete("team#golf")
    assert iam.list_attached_role_policies(RoleName="Researcher")["AttachedPolicies"] == []
    assert iam.list_role_policies(RoleName="Researcher")["PolicyNames"] == ["own"]


def test_trusted_principals_alone_may_become_scientists(world: World) -> None:
    """With `trusted_by` only those principals of the account may assume the scientist role."""
    iam = world.sandbox.client("iam", LANGUAGE)
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{LANGUAGE}:root"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    may_assume = {"Effect": "Allow", "Action": "sts:*", "Resource": "*"}
    for name in ("Reviewer", "Visitor"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)
        iam.put_role_policy(
            RoleName=name,
            PolicyName="sts",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [may_assume]}),
        )
    world.put_team("hotel", members=[{"account": LANGUAGE, "trusted_by": ["role/Reviewer"]}], service_accounts=[])
    role = f"arn:aws:iam::{LANGUAGE}:role/podshare/podshare-hotel-scientist"
    admin = world.sandbox.session(LANGUAGE, REGION)
    reviewer = world.session(f"arn:aws:iam::{LANGUAGE}:role/Reviewer", admin)
    visitor = world.session(f"arn:aws:iam::{LANGUAGE}:role/Visitor", admin)
    assert world.session(role, reviewer)
    assert refused(lambda: world.session(role, visitor))
    assert refused(lambda: world.session(role, admin))


def test_a_recreated_role_gets_a_living_entry(world: World) -> None:
    """An entry whose role was made anew looks healthy and admits nobody; podshare replaces it."""
    world.put_team("india", members=MEMBERS[:1], service_accounts=[])
    arn = world.cluster_access_role("india", VISION)
    iam, name = world.sandbox.client("iam", HUB), arn.rpartition("/")[2]
    policies = iam.list_role_policies(RoleName=name)["PolicyNames"]
    for policy in policies:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    iam.delete_role(RoleName=name)
    assert world.reconcile("india")["state"] == "READY"
    assert world.may_submit(world.cluster_access("india", VISION), "india")


def test_a_quota_that_failed_is_made_anew(world: World) -> None:
    """SageMaker fails to create the quota once; the run deletes it, makes it again and ends READY."""
    from podshare_sandbox.services import sagemaker  # noqa: PLC0415

    sagemaker.fail_next("CreateComputeQuota", "Kueue webhook did not answer")
    assert world.put_team("juliet", members=[], service_accounts=[])["state"] == "READY"
    assert quota_of(world, "juliet")["Status"] == "Created"


def test_members_may_share_a_role(world: World) -> None:
    """All members work by one role and one entry; who is removed gets no new session, and the others notice nothing."""
    members = [{"account": VISION}, {"account": LANGUAGE}]
    world.put_team("shared", members=members, access_role="per_team", service_accounts=[])
    status = world.status("shared")
    listed = world.sandbox.client("eks", HUB).list_access_entries(clusterName="hyperpod-eks")["accessEntries"]
    entries = [arn for arn in listed if "/podshare-shared-" in arn]
    assert (status["state"], len(entries)) == ("READY", 1)
    assert any("a removed member keeps open sessions" in note for note in status["notes"])
    stays, goes = (world.cluster_access("shared", account, ALL_MEMBERS) for account in (VISION, LANGUAGE))
    with world.calls() as made:
        world.put_team("shared", members=members[:1], access_role="per_team", service_accounts=[])
    assert not [call for call in made if "AccessEntry" in call]
    assert refused(lambda: world.cluster_access("shared", LANGUAGE, ALL_MEMBERS))
    assert world.may_submit(goes, "shared"), "as the note says: EKS looks at the role, not at its trust"
    assert world.may_submit(stays, "shared")
    assert world.may_submit(world.cluster_access("shared", VISION, ALL_MEMBERS), "shared")


def test_no_permission_was_missing(world: World) -> None:
    """Nothing that these changes needed was refused to podshare's own roles."""
    assert world.denied() == []
