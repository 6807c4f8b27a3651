"""Tags of the organization's own: its policies ask for them, podshare gives them to all that it makes, and to nothing else.

Source of the control policy: AWS Organizations User Guide, "Example SCPs for tagging resources".
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from podshare_cli.sandbox_deployment import PROJECT, deploy_podshare
from podshare_sandbox import Sandbox
from podshare_sandbox.organization import FILE_SYSTEM, ORGANIZATION_ID
from podshare_sandbox.services import kubernetes
from tests.scenarios.world import CLUSTER, DATA, DATASETS, EKS_ARN, HUB, REGION, ROOT, SCIENCE, VISION, Item, World

TAGGABLE = [
    "eks:CreateAccessEntry",
    "eks:CreatePodIdentityAssociation",
    "fsx:CreateDataRepositoryAssociation",
    "iam:CreateRole",
    "s3:CreateAccessPoint",
    "sagemaker:CreateClusterSchedulerConfig",
    "sagemaker:CreateComputeQuota",
    "ssm:PutParameter",
]
MANDATORY = {
    "Effect": "Deny",
    "Action": TAGGABLE,
    "Resource": "*",
    "Condition": {"Null": {"aws:RequestTag/CostCenter": "true"}},
}
TEAM: dict[str, Any] = {
    "members": [{"account": VISION}],
    "service_accounts": [{"name": "trainer", "datasets": [{"dataset": "imagenet", "access": "read"}]}],
    "file_systems": [{"file_system": FILE_SYSTEM, "dataset": "crawl", "access": "read"}],
}
SCHEDULER = {"scheduler": {"priority_classes": [{"name": "training", "weight": 90}]}}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """An organization that has podshare without tags of its own, and then denies what lacks a cost center."""
    with Sandbox(time_scale=0.02) as sandbox:
        found = World(sandbox)
        found.outputs = deploy_podshare(sandbox, {"DrainSeconds": "0"}, with_drift=True)
        found.put({**CLUSTER, **SCHEDULER}, *DATASETS)
        kind = "SERVICE_CONTROL_POLICY"
        found.organizations.enable_policy_type(RootId=ROOT, PolicyType=kind)
        document = json.dumps({"Version": "2012-10-17", "Statement": [MANDATORY]})
        made = found.organizations.create_policy(Content=document, Description="", Name="tags", Type=kind)
        found.organizations.attach_policy(PolicyId=made["Policy"]["PolicySummary"]["Id"], TargetId=ROOT)
        yield found


def deploy_hub(world: World, tags: str) -> None:
    world.sandbox.deploy(PROJECT / "template.yaml", HUB, REGION, "podshare", {"ResourceTags": tags})


def deploy_members(world: World, keys: str) -> None:
    path, given = PROJECT / "accounts" / "member.yaml", {"ResourceTagKeys": keys}
    for account in (HUB, DATA):
        world.sandbox.deploy(path, account, REGION, "podshare-member", given)
    shared = {"HubAccountId": HUB, "OrganizationId": ORGANIZATION_ID}
    world.sandbox.deploy_stack_set("podshare-member", path, {**shared, **given}, [SCIENCE])


def pairs(found: Any) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in found}


def tags_of_all(world: World) -> dict[str, dict[str, str]]:
    """The tags of everything that AWS can tag and podshare has made, by what it is."""
    found: dict[str, dict[str, str]] = {}
    for account in (HUB, VISION, DATA):
        iam, ssm = world.sandbox.client("iam", account), world.sandbox.client("ssm", account)
        for parameter in ssm.get_parameters_by_path(Path="/podshare/teams")["Parameters"]:
            listed = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=parameter["Name"])
            found[f"parameter {account} {parameter['Name']}"] = pairs(listed["TagList"])
        for role in iam.list_roles(PathPrefix="/podshare/")["Roles"]:
            found[f"role {role['RoleName']}"] = pairs(iam.list_role_tags(RoleName=role["RoleName"])["Tags"])
    eks, cluster = world.sandbox.client("eks"), {"clusterName": "hyperpod-eks"}
    for arn in eks.list_access_entries(**cluster)["accessEntries"]:
        if ":role/podshare/" in arn:
            found[f"entry {arn}"] = eks.describe_access_entry(**cluster, principalArn=arn)["accessEntry"]["tags"]
    for one in eks.list_pod_identity_associations(**cluster)["associations"]:
        described = eks.describe_pod_identity_association(**cluster, associationId=one["associationId"])
        found[f"association {one['associationId']}"] = described["association"]["tags"]
    sagemaker = world.sandbox.client("sagemaker")
    for quota in sagemaker.list_compute_quotas()["ComputeQuotaSummaries"]:
        found["quota"] = pairs(sagemaker.list_tags(ResourceArn=quota["ComputeQuotaArn"])["Tags"])
    for config in sagemaker.list_cluster_scheduler_configs()["ClusterSchedulerConfigSummaries"]:
        found["scheduler"] = pairs(sagemaker.list_tags(ResourceArn=config["ClusterSchedulerConfigArn"])["Tags"])
    s3control = world.sandbox.client("s3control", DATA)
    for point in s3control.list_access_points(AccountId=DATA)["AccessPointList"]:
        listed = s3control.list_tags_for_resource(AccountId=DATA, ResourceArn=point["AccessPointArn"])
        found[f"access point {point['Name']}"] = pairs(listed["Tags"])
    for link in world.sandbox.client("fsx").describe_data_repository_associations()["Associations"]:
        found[f"link {link['FileSystemPath']}"] = pairs(link["Tags"])
    return found


def own(tags: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if not key.startswith("podshare:")}


def test_without_the_tag_the_team_is_told_of_the_parameter(world: World) -> None:
    """What the organization's policy denies for want of a tag is told with the parameter that gives it."""
    status = world.put_team("vision", **TEAM)
    assert status["state"] == "DEGRADED"
    remedies = {problem["remedy"] for problem in status["problems"] if "in a service control policy" in problem["what"]}
    assert len(remedies) == 1
    assert "parameter ResourceTags" in remedies.pop()
    assert tags_of_all(world) == {}


def test_member_stacks_need_the_keys_first(world: World) -> None:
    """Where a member stack does not let its roles give the hub's tags, the plan says so, and nothing is tried."""
    deploy_hub(world, "CostCenter=42,Owner=ml-platform")
    with world.calls() as made:
        world.reconcile("vision")
    assert made == []
    told = {problem["what"]: problem["remedy"] for problem in world.status("vision")["problems"]}
    what = f"account {DATA}: member role for data may not set the tags CostCenter, Owner"
    assert told[what].endswith("with the hub's keys: ResourceTagKeys=CostCenter,Owner")


def test_with_the_tags_the_team_works(world: World) -> None:
    """All that AWS can tag carries them from its creation, beside podshare's, and nothing in Kubernetes does."""
    deploy_members(world, "CostCenter,Owner")
    begun = len(world.sandbox.decisions)
    world.reconcile("vision")
    assert world.status("vision")["state"] == "READY"
    assert world.works("vision", VISION)
    tags = tags_of_all(world)
    assert {name.split()[0] for name in tags} == {
        *("access", "association", "entry", "link", "parameter", "quota", "role", "scheduler"),
    }
    assert [own(found) for found in tags.values()] == [{"CostCenter": "42", "Owner": "ml-platform"}] * len(tags)
    assert all(found["podshare:managed-by"] == f"podshare@{HUB}" for found in tags.values())
    played = {one.action for one in world.sandbox.decisions[begun:] if one.allowed}
    assert set(TAGGABLE) <= played
    for kind in ("ServiceAccount", "PersistentVolume", "PersistentVolumeClaim", "NetworkPolicy"):
        for made in kubernetes.api_of(EKS_ARN).objects(kind):
            assert "CostCenter" not in (made["metadata"].get("labels") or {})


def changes(plan: Item) -> list[Item]:
    waves = [wave for lane in (*plan["allocate"], *plan["grant"]) for wave in lane["waves"]]
    return [change for stage in (*plan["revoke"], *waves) for change in stage["changes"]]


def test_other_tags_retag_what_is_there(world: World) -> None:
    """A changed tag is a difference like any other: the plan tells it, the run writes it, and nobody loses access.

    One that is no longer named stays where it is, and so do the tags that somebody else gave.
    """
    role = world.cluster_access_role("vision", VISION).rpartition("/")[2]
    iam = world.sandbox.client("iam", HUB)
    iam.tag_role(RoleName=role, Tags=[{"Key": "Reviewed", "Value": "2026"}])
    before = tags_of_all(world)
    deploy_hub(world, "CostCenter=43")
    planned = changes(world.plan("vision"))
    assert len(planned) == len(before)
    assert {change["action"] for change in planned} == {"update"}
    for change in planned:
        (difference,) = change["differs"]
        assert difference["field"] == "tags"
        assert '"CostCenter": "42"' in difference["from"]
        assert '"CostCenter": "43"' in difference["to"]
    assert world.sweep()["status"] == "SUCCEEDED"
    assert world.status("vision")["state"] == "READY"
    assert tags_of_all(world) == {name: {**found, "CostCenter": "43"} for name, found in before.items()}
    assert iam.list_role_tags(RoleName=role)["Tags"].count({"Key": "Reviewed", "Value": "2026"}) == 1
    assert world.reconcile("vision")["summary"] == "READY: nothing to change"


def test_what_podshare_did_not_make_is_never_tagged(world: World) -> None:
    """A person's own role gets podshare's policy and no tag; a resource of others that is in the way keeps its tags."""
    iam = world.sandbox.client("iam", VISION)
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{VISION}:root"}, "Action": "sts:AssumeRole"}
    given = {"AssumeRolePolicyDocument": json.dumps({"Version": "2012-10-17", "Statement": [trust]})}
    theirs = [{"Key": "CostCenter", "Value": "7"}]
    iam.create_role(RoleName="analysts", Tags=theirs, **given)
    iam.create_role(RoleName="podshare-speech-scientist", Path="/podshare/", Tags=theirs, **given)
    members = [{"account": VISION, "existing_role": "analysts"}]
    assert world.put_team("sound", members=members, service_accounts=[])["state"] == "READY"
    assert world.put_team("speech", members=[{"account": VISION}], service_accounts=[])["state"] == "DEGRADED"
    assert iam.list_attached_role_policies(RoleName="analysts")["AttachedPolicies"]
    for role in ("analysts", "podshare-speech-scientist"):
        assert iam.list_role_tags(RoleName=role)["Tags"] == theirs


def test_a_removed_tag_comes_back(world: World) -> None:
    """A tag of the organization's own that somebody takes away or changes is given back by the next run."""
    point = world.access_point("vision", "imagenet")
    s3control = world.sandbox.client("s3control", DATA)
    s3control.untag_resource(AccountId=DATA, ResourceArn=point, TagKeys=["CostCenter"])
    world.reconcile("vision")
    listed = s3control.list_tags_for_resource(AccountId=DATA, ResourceArn=point)["Tags"]
    assert pairs(listed)["CostCenter"] == "43"


def test_no_key_keeps_access_alive(world: World) -> None:
    """Tags that a member stack does not know hold additions back there, and never what takes access away."""
    deploy_hub(world, "CostCenter=43,Project=x")
    assert world.works("vision", VISION)
    status = world.put_team("vision", **{**TEAM, "members": [], "service_accounts": []})
    assert not world.works("vision", VISION)
    assert status["state"] == "DEGRADED"
    told = [problem["what"] for problem in status["problems"]]
    assert f"account {HUB}: member role for cluster may not set the tags Project" in told
    deploy_hub(world, "CostCenter=43")
    world.reconcile("vision")
    assert world.status("vision")["state"] == "READY"


def test_access_ends_as_ever(world: World) -> None:
    """A team with tags of the organization's own is deleted without remains."""
    world.delete("team#vision", "team#sound")
    assert world.status("vision")["state"] == world.status("sound")["state"] == "DELETED"
