"""What the inventory names is podshare's, whatever has become of its tags and labels; what somebody else made is not."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from podshare.domain.kinds import Key, Kind
from podshare_sandbox.services import kubernetes
from podshare_sandbox.services.kubernetes.resources import BY_KIND
from tests.scenarios.world import EKS_ARN, HUB, LANGUAGE, VISION, Item, World, refused

TEAM, NAMESPACE = "vision", "hyperpod-ns-vision"
GROUP = f"podshare:{TEAM}:operators"
MEMBERS = [{"account": VISION}, {"account": LANGUAGE}]
RULE = {"api_groups": [""], "resources": ["configmaps"], "verbs": ["get"]}
RECORD: Item = {"members": MEMBERS, "kubernetes_groups": [GROUP], "rbac": [{"group": GROUP, "rules": [RULE]}]}
ENTRY = "arn:aws:iam::111111111111:role/podshare/"
OBJECTS = {
    Kind.SERVICE_ACCOUNT: "ServiceAccount",
    Kind.KUBERNETES_ROLE: "Role",
    Kind.KUBERNETES_ROLE_BINDING: "RoleBinding",
}
TAGGED = {Kind.ROLE, Kind.ACCESS_ENTRY, Kind.POD_IDENTITY_ASSOCIATION, Kind.ACCESS_POINT, Kind.COMPUTE_QUOTA}
Tags = dict[str, str]
Change = Callable[[Tags], Tags]

LOST: Change = lambda _: {}  # noqa: E731  # each is a word for what becomes of tags
OTHERS: Change = lambda tags: {**tags, **{name: "language" for name in tags if name.endswith("team")}}  # noqa: E731


def inventory(world: World) -> list[Key]:
    """All that podshare has made for the team."""
    rows = world.sandbox.client("dynamodb").query(
        TableName="podshare-state",
        KeyConditionExpression="id = :id AND begins_with(part, :part)",
        ExpressionAttributeValues={":id": {"S": f"team#{TEAM}"}, ":part": {"S": "resource#"}},
    )["Items"]
    return [Key.parse(row["key"]["S"]) for row in rows]


def retag(world: World, key: Key, change: Change) -> None:
    """Let somebody with rights in the account change the tags of one resource."""
    former, put, take = _tags(world, key)
    changed = change(dict(former))
    if gone := sorted(former.keys() - changed.keys()):
        take(gone)
    if changed:
        put(changed)


def _tags(world: World, key: Key) -> tuple[Tags, Callable[[Tags], Any], Callable[[list[str]], Any]]:
    client = world.sandbox.client
    match key.kind:
        case Kind.ROLE:
            iam = client("iam", key.account)
            return (
                of_list(iam.get_role(RoleName=key.name)["Role"].get("Tags", [])),
                lambda tags: iam.tag_role(RoleName=key.name, Tags=as_list(tags)),
                lambda names: iam.untag_role(RoleName=key.name, TagKeys=names),
            )
        case Kind.ACCESS_ENTRY | Kind.POD_IDENTITY_ASSOCIATION:
            eks = client("eks", key.account)
            arn, tags = _in_eks(eks, key)
            return (
                tags,
                lambda tags: eks.tag_resource(resourceArn=arn, tags=tags),
                lambda names: eks.untag_resource(resourceArn=arn, tagKeys=names),
            )
        case Kind.ACCESS_POINT:
            s3, arn = client("s3control", key.account), f"arn:aws:s3:{key.region}:{key.account}:accesspoint/{key.name}"
            about: Item = {"AccountId": key.account, "ResourceArn": arn}
            return (
                of_list(s3.list_tags_for_resource(**about)["Tags"]),
                lambda tags: s3.tag_resource(**about, Tags=as_list(tags)),
                lambda names: s3.untag_resource(**about, TagKeys=names),
            )
        case _:
            sagemaker = client("sagemaker", key.account)
            quotas = sagemaker.list_compute_quotas()["ComputeQuotaSummaries"]
            arn = next(one["ComputeQuotaArn"] for one in quotas if one["Name"] == key.name.rpartition("/")[2])
            return (
                of_list(sagemaker.list_tags(ResourceArn=arn)["Tags"]),
                lambda tags: sagemaker.add_tags(ResourceArn=arn, Tags=as_list(tags)),
                lambda names: sagemaker.delete_tags(ResourceArn=arn, TagKeys=names),
            )


def _in_eks(eks: Any, key: Key) -> tuple[str, Tags]:
    if key.kind is Kind.ACCESS_ENTRY:
        entry = eks.describe_access_entry(clusterName=key.container, principalArn=key.name)["accessEntry"]
        return entry["accessEntryArn"], entry["tags"]
    namespace, _, name = key.name.partition("/")
    asked = {"clusterName": key.container, "namespace": namespace, "serviceAccount": name}
    (listed,) = eks.list_pod_identity_associations(**asked)["associations"]
    found = eks.describe_pod_identity_association(clusterName=key.container, associationId=listed["associationId"])
    return listed["associationArn"], found["association"]["tags"]


def as_list(tags: Tags) -> list[Any]:
    return [{"Key": name, "Value": value} for name, value in tags.items()]


def of_list(tags: list[Any]) -> Tags:
    return {tag["Key"]: tag["Value"] for tag in tags}


def relabel(key: Key, change: Change) -> None:
    """Let a cluster's admin change the labels of one object."""
    namespace, _, name = key.name.partition("/")
    api = kubernetes.api_of(EKS_ARN)
    found = api.get(OBJECTS[key.kind], namespace, name) or {}
    found["metadata"]["labels"] = change(found["metadata"].get("labels") or {})
    api.replace(BY_KIND[OBJECTS[key.kind]], namespace, found, "kubectl-edit")


def tags_of(world: World) -> dict[str, Tags]:
    tagged = {str(key): _tags(world, key)[0] for key in inventory(world) if key.kind in TAGGED}
    api = kubernetes.api_of(EKS_ARN)
    objects = {str(key): key for key in inventory(world) if key.kind in OBJECTS}
    labels = {
        text: (api.get(OBJECTS[key.kind], *key.name.split("/")) or {})["metadata"]["labels"]
        for text, key in objects.items()
    }
    return {**tagged, **labels}


@pytest.fixture
def team(world: World) -> Iterator[dict[str, Tags]]:
    """The team as it should be, with all its tags and labels."""
    assert world.put_team(TEAM, **RECORD)["state"] == "READY"
    yield tags_of(world)
    world.delete(f"team#{TEAM}")
    assert (world.status(TEAM)["state"], world.leftovers()) == ("DELETED", []), world.status(TEAM)["problems"]


@pytest.mark.parametrize("change", [LOST, OTHERS], ids=["lost", "another team's"])
def test_tags_of_what_is_wanted_are_given_back(world: World, team: dict[str, Tags], change: Change) -> None:
    """Of every kind: nothing is in the way, nobody loses access, and all tags and labels are as they were."""
    for key in inventory(world):
        if key.kind in TAGGED:
            retag(world, key, change)
        elif key.kind in OBJECTS:
            relabel(key, lambda labels: {**labels, "app.kubernetes.io/managed-by": "Helm"})
    assert tags_of(world) != team
    run = world.reconcile(TEAM)
    assert run["state"] == "READY", world.status(TEAM)["problems"]
    left = {text: tags for text, tags in tags_of(world).items() if _owned(tags) != _owned(team[text])}
    assert left == {}
    assert world.works(TEAM, VISION)


def _owned(tags: Tags) -> Tags:
    return {name: value for name, value in tags.items() if name.startswith("podshare")}


@pytest.mark.parametrize("change", [LOST, OTHERS], ids=["lost", "another team's"])
def test_a_removed_member_is_cut_whatever_its_tags_say(world: World, team: dict[str, Tags], change: Change) -> None:  # noqa: ARG001  # it is there
    """A revocation does not look at tags: entry and role go, and the removed member gets in no more."""
    role = world.cluster_access_role(TEAM, VISION)
    live = world.cluster_access(TEAM, VISION)
    assert world.may_submit(live, TEAM)
    for key in inventory(world):
        if key.name.endswith(role.rpartition("/")[2]) and key.kind in TAGGED:
            retag(world, key, change)
    status = world.put_team(TEAM, **{**RECORD, "members": MEMBERS[1:]})
    assert status["state"] == "READY", status["problems"]
    with pytest.raises(PermissionError, match="Unauthorized"):
        world.may_submit(live, TEAM)
    assert refused(lambda: world.scientist(TEAM, VISION))
    entries = world.sandbox.client("eks").list_access_entries(clusterName="hyperpod-eks")["accessEntries"]
    assert role not in entries
    assert role not in [one["Arn"] for one in world.sandbox.client("iam").list_roles()["Roles"]]


def test_a_team_goes_whole_although_all_its_tags_are_lost(world: World, team: dict[str, Tags]) -> None:  # noqa: ARG001  # it is there
    """Nothing of it is left in any account, and nothing waits for a key of the inventory."""
    for key in inventory(world):
        if key.kind in TAGGED:
            retag(world, key, LOST)
    world.delete(f"team#{TEAM}")
    assert (world.status(TEAM)["state"], world.leftovers()) == ("DELETED", [])


def test_an_object_without_labels_is_told_and_goes_with_them(world: World, team: dict[str, Tags]) -> None:  # noqa: ARG001  # as above
    """The cluster's policies keep podshare from what carries none of its labels: the team says which, and what to do."""
    key = next(one for one in inventory(world) if one.kind is Kind.SERVICE_ACCOUNT)
    relabel(key, LOST)
    world.delete(f"team#{TEAM}", settle=False)
    status = awaited(
        world, lambda one: "podshare changes and deletes its own objects only" in json.dumps(one["problems"])
    )
    assert status["state"] != "DELETED"
    assert any("delete service account" in one["what"] and "trainer" in one["what"] for one in status["problems"])
    relabel(key, lambda _: {"podshare/team": TEAM, "podshare/managed-by": "podshare"})
    world.sandbox.settle(240)
    assert world.status(TEAM)["state"] == "DELETED"


def awaited(world: World, holds: Callable[[Item], bool]) -> Item:
    """The team's status once it is so."""
    deadline = time.monotonic() + 120
    while not holds(status := world.status(TEAM)):
        assert time.monotonic() < deadline, status
        time.sleep(0.05)
    return status


def test_what_others_made_under_its_name_stays_and_is_told(world: World, team: dict[str, Tags]) -> None:  # noqa: ARG001  # as above
    """A role that was deleted and made again by somebody else is not podshare's: it is never changed, and never silent."""
    arn = world.cluster_access_role(TEAM, VISION)
    name, iam = arn.rpartition("/")[2], world.sandbox.client("iam")
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    iam.delete_role(RoleName=name)
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{HUB}:root"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam.create_role(RoleName=name, Path="/podshare/", AssumeRolePolicyDocument=document)
    world.reconcile(TEAM)
    status = world.status(TEAM)
    (told,) = [one for one in status["problems"] if one.get("what", "").startswith(f"role {name}")]
    assert "does not carry podshare's tags" in told["what"]
    assert f"aws iam tag-role --role-name {name} --tags Key=podshare:managed-by,Value=podshare@{HUB}" in told["remedy"]

    status = world.put_team(TEAM, **{**RECORD, "members": MEMBERS[1:]})
    assert status["state"] == "DEGRADED"
    (told,) = [one for one in status["problems"] if name in one.get("what", "")]
    assert "is no longer wanted, and podshare may not delete it" in told["what"]
    assert f"aws iam delete-role --role-name {name}" in told["remedy"]
    kept = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]["Statement"]
    assert kept == [trust]
    iam.delete_role(RoleName=name)
    assert world.put_team(TEAM, **RECORD)["state"] == "READY"


def test_objects_of_the_version_before_are_taken_on(world: World, team: dict[str, Tags]) -> None:
    """They carry no label of podshare's own for what manages them, and get it with the next run."""
    for key in inventory(world):
        if key.kind in OBJECTS:
            relabel(key, lambda labels: {name: text for name, text in labels.items() if name != "podshare/managed-by"})
    assert world.reconcile(TEAM)["state"] == "READY"
    assert {text: _owned(tags) for text, tags in tags_of(world).items()} == {
        text: _owned(tags) for text, tags in team.items()
    }
