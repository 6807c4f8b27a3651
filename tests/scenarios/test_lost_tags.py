"""What the inventory names is podshare's, whatever has become of its tags and labels; what somebody else made is not."""

import json
import re
from collections.abc import Iterator

import pytest

from podshare.kinds.base import Key, Kind
from podshare.kinds.table import KINDS
from podshare_sandbox.organization import FILE_SYSTEM
from podshare_sandbox.services import kubernetes
from tests.scenarios.marks import OBJECTS, TAGGED, Change, Tags, relabel, retag, tags_of
from tests.scenarios.world import EKS_ARN, HUB, LANGUAGE, ROOT, VISION, Item, World, awaited, refused

TEAM, NAMESPACE = "vision", "hyperpod-ns-vision"
GROUP = f"podshare:{TEAM}:operators"
MEMBERS = [{"account": VISION}, {"account": LANGUAGE}]
RULE = {"api_groups": [""], "resources": ["configmaps"], "verbs": ["get"]}
RECORD: Item = {"members": MEMBERS, "kubernetes_groups": [GROUP], "rbac": [{"group": GROUP, "rules": [RULE]}]}
WIDE: Item = {
    "members": [{"account": VISION}],
    "service_accounts": [{"name": "trainer", "datasets": [{"dataset": "drafts", "access": "read_write"}]}],
    "file_systems": [{"file_system": FILE_SYSTEM, "dataset": "drafts", "access": "read_write"}],
    "rbac": [{"group": GROUP, "rules": [{**RULE, "verbs": ["get", "create"]}]}],
    "kubernetes_groups": [GROUP],
}
NARROW: Item = {
    **WIDE,
    "access": "view",
    "service_accounts": [{"name": "trainer", "datasets": [{"dataset": "drafts", "access": "read"}]}],
    "file_systems": [{"file_system": FILE_SYSTEM, "dataset": "drafts", "access": "read"}],
    "rbac": RECORD["rbac"],
}
TAGGING = sorted({action for kind in TAGGED for action in KINDS[kind].WRITES if re.search(":(Add)?Tag", action)})
CONTROL_POLICY = "SERVICE_CONTROL_POLICY"
ENTRY = "arn:aws:iam::111111111111:role/podshare/"

LOST: Change = lambda _: {}  # noqa: E731  # each is a word for what becomes of tags
OTHERS: Change = lambda tags: {**tags, **{name: "language" for name in tags if name.endswith("team")}}  # noqa: E731


def inventory(world: World) -> list[Key]:
    """All that podshare has made for the team."""
    rows = world.sandbox.client("dynamodb").query(
        TableName="podshare-state",
        KeyConditionExpression="id = :id AND begins_with(part, :part)",
        ExpressionAttributeValues={":id": {"S": f"inventory#{TEAM}"}, ":part": {"S": "resource#"}},
    )["Items"]
    return [Key.parse(row["key"]["S"]) for row in rows]


def all_tags(world: World) -> dict[str, Tags]:
    return {str(key): tags_of(world, key)[0] for key in inventory(world) if key.kind in TAGGED}


def marks_of(world: World) -> dict[str, Tags]:
    api = kubernetes.api_of(EKS_ARN)
    objects = {str(key): key for key in inventory(world) if key.kind in OBJECTS}
    labels = {
        text: (api.get(OBJECTS[key.kind], *key.name.split("/")) or {})["metadata"]["labels"]
        for text, key in objects.items()
    }
    return {**all_tags(world), **labels}


@pytest.fixture
def team(world: World) -> Iterator[dict[str, Tags]]:
    """The team as it should be, with all its tags and labels."""
    assert world.put_team(TEAM, **RECORD)["state"] == "READY"
    yield marks_of(world)
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
    assert marks_of(world) != team
    run = world.reconcile(TEAM)
    assert run["state"] == "READY", world.status(TEAM)["problems"]
    left = {text: tags for text, tags in marks_of(world).items() if _owned(tags) != _owned(team[text])}
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


def test_what_has_lost_its_tags_is_narrowed_at_once(world: World) -> None:
    """Of every kind whose access can be narrowed: nothing is refused for a tag that is to be given back later.

    Amazon FSx authorizes by the association's tags (accounts/member.yaml), and keeps exporting until it is told.
    """
    assert world.put_team(TEAM, **WIDE)["state"] == "READY", world.status(TEAM)
    for key in inventory(world):
        if key.kind in TAGGED:
            retag(world, key, LOST)
    before = len(world.denied())
    assert world.put_team(TEAM, **NARROW)["state"] == "READY", world.status(TEAM)
    assert world.denied()[before:] == []
    world.delete(f"team#{TEAM}")
    assert (world.status(TEAM)["state"], world.leftovers()) == ("DELETED", []), world.status(TEAM)["problems"]


def test_what_cannot_be_tagged_for_a_while_stays_podshares(world: World) -> None:
    """Of every kind: while it may not be tagged, the identity by which podshare knows it without tags is kept.

    A parameter's is the date of its last change (Systems Manager API Reference, Parameter: LastModifiedDate).
    """
    assert world.put_team(TEAM, **NARROW)["state"] == "READY", world.status(TEAM)
    tags = all_tags(world)
    world.organizations.enable_policy_type(RootId=ROOT, PolicyType=CONTROL_POLICY)
    for number, action in enumerate(TAGGING):
        for key in inventory(world):
            if key.kind in TAGGED:
                retag(world, key, LOST)
        owner = f"owner-{number}@example.com"
        policy = _forbid(world, action)
        try:
            assert world.put_team(TEAM, **NARROW, owner=owner)["state"] != "READY", action
        finally:
            world.organizations.detach_policy(PolicyId=policy, TargetId=ROOT)
        assert world.reconcile(TEAM)["state"] == "READY", (action, world.status(TEAM)["problems"])
        given = {text: {**each, "podshare:owner": owner} for text, each in tags.items()}
        assert all_tags(world) == given, action
    world.delete(f"team#{TEAM}")
    assert (world.status(TEAM)["state"], world.leftovers()) == ("DELETED", []), world.status(TEAM)["problems"]


def _forbid(world: World, action: str) -> str:
    """The service control policy by which no account but the management account does this."""
    statement = {"Effect": "Deny", "Action": action, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    made = world.organizations.create_policy(
        Content=document, Description="", Name=action.replace(":", "-"), Type=CONTROL_POLICY
    )
    policy: str = made["Policy"]["PolicySummary"]["Id"]
    world.organizations.attach_policy(PolicyId=policy, TargetId=ROOT)
    return policy


def test_an_object_without_labels_is_told_and_goes_with_them(world: World, team: dict[str, Tags]) -> None:  # noqa: ARG001  # as above
    """The cluster's policies keep podshare from what carries none of its labels: the team says which, and what to do."""
    key = next(one for one in inventory(world) if one.kind is Kind.SERVICE_ACCOUNT)
    relabel(key, LOST)
    world.delete(f"team#{TEAM}", settle=False)
    status = awaited(
        lambda: world.status(TEAM),
        lambda one: "podshare changes and deletes its own objects only" in json.dumps(one["problems"]),
    )
    assert status["state"] != "DELETED"
    assert any("delete service account" in one["what"] and "trainer" in one["what"] for one in status["problems"])
    relabel(key, lambda _: {"podshare/team": TEAM, "podshare/managed-by": "podshare"})
    world.sandbox.settle()
    assert world.status(TEAM)["state"] == "DELETED"


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
    assert "is no longer wanted, but podshare may not delete it" in told["what"]
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
    assert {text: _owned(tags) for text, tags in marks_of(world).items()} == {
        text: _owned(tags) for text, tags in team.items()
    }
