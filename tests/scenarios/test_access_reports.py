"""Who reaches what is worked out from what is there, told with every run, and what nobody granted is taken away."""

import json
from typing import Any

import pytest

from podshare.access.access_report import digest, unpacked
from tests.builders import a_team_item
from tests.scenarios.world import DATA, HUB, IMAGES, LANGUAGE, TEXT, VISION, Item, World

READERS = {
    "vision": [{"name": "trainer", "datasets": [{"dataset": "imagenet", "access": "read"}]}],
    "language": [
        {
            "name": "trainer",
            "datasets": [{"dataset": "crawl", "access": "read_write"}, {"dataset": "imagenet", "access": "read"}],
        }
    ],
}


@pytest.fixture(scope="module", autouse=True)
def teams(world: World) -> None:
    """Two teams of an account each, which share a dataset."""
    world.put(
        a_team_item("vision", members=[{"account": VISION}], service_accounts=READERS["vision"]),
        a_team_item("language", members=[{"account": LANGUAGE}], service_accounts=READERS["language"]),
    )
    world.reconcile("vision")  # its proof knows of the other team then, whichever came first


def proof(world: World, team: str) -> Item:
    document: Item = unpacked(world.state("proof", f"team#{team}")["document"])
    return document


def data_of(world: World, team: str) -> set[tuple[str, ...]]:
    """Who may do what with which keys of which bucket."""
    rows = proof(world, team)["access"]
    return {
        (row["who"], " ".join(row["may"]), row["where"].rpartition(":")[2], row["what"])
        for row in rows
        if ":s3:::" in row["where"]
    }


def test_a_proof_tells_who_reaches_what(world: World) -> None:
    """People by role and namespace, pods by bucket and prefix, and what is shared with which team; its hash is told."""
    found, status = proof(world, "vision"), world.status("vision")
    assert (status["state"], found["holds"], found["broken"]) == ("READY", True, [])
    assert status["proof"] == digest(found)
    people = {(row["who"], row["what"]) for row in found["access"] if ":eks:" in row["where"]}
    scientist = f"arn:aws:iam::{VISION}:role/podshare/podshare-vision-scientist"
    assert people == {(scientist, "hyperpod-ns-vision"), (scientist, "*")}
    pod = "system:serviceaccount:hyperpod-ns-{}:trainer"
    assert data_of(world, "vision") == {(pod.format("vision"), "list read", IMAGES, "imagenet/*")}
    assert data_of(world, "language") == {
        (pod.format("language"), "list read write", TEXT, "crawl/*"),
        (pod.format("language"), "list read", IMAGES, "imagenet/*"),
    }
    assert found["refusals"] == [{"team": "language", "shared": [f"{IMAGES}/imagenet/*"], "broken": []}]


def widen_trust(world: World) -> None:
    """Let the other team's account in."""
    name = world.cluster_access_role("vision", VISION).rpartition("/")[2]
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{LANGUAGE}:root"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-podshare01"}},
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    world.sandbox.client("iam", HUB).update_assume_role_policy(RoleName=name, PolicyDocument=document)


def widen_entry(world: World) -> None:
    """Let the team into the other's namespace."""
    world.sandbox.client("eks", HUB).associate_access_policy(
        clusterName="hyperpod-eks",
        principalArn=world.cluster_access_role("vision", VISION),
        policyArn="arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy",
        accessScope={"type": "namespace", "namespaces": ["hyperpod-ns-language"]},
    )


def widen_access_point(world: World) -> None:
    """Let the other team's pods in, by a role that is none of this team's."""
    s3control, arn = world.sandbox.client("s3control", DATA), world.access_point("vision", "imagenet")
    name = arn.rpartition("/")[2]
    policy = json.loads(s3control.get_access_point_policy(AccountId=DATA, Name=name)["Policy"])
    role = world.cluster_access_role("language", LANGUAGE)
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": role},
        "Action": "s3:GetObject",
        "Resource": f"{arn}/object/*",
    }
    policy["Statement"].append(statement)
    s3control.put_access_point_policy(AccountId=DATA, Name=name, Policy=json.dumps(policy))


def test_an_audit_of_all_teams_misses_none(world: World, call_as_auditor: Any) -> None:
    """Of a team without a proof nobody knows the doors: the audit of all teams ends with 1, that of another with 0."""
    assert call_as_auditor("access", "audit").code == 0
    table, key = world.sandbox.client("dynamodb"), {"id": {"S": "proof"}, "part": {"S": "team#language"}}
    row = table.delete_item(TableName="podshare-state", Key=key, ReturnValues="ALL_OLD")["Attributes"]
    ended = call_as_auditor("access", "audit")
    assert ended.code == 1
    assert "language" in ended.err
    assert call_as_auditor("access", "audit", "vision").code == 0
    table.put_item(TableName="podshare-state", Item=row)


def test_what_was_widened_by_hand_is_told_and_taken_away(world: World, announced: Any) -> None:
    """A trust, an entry and an access point: each way in is named, an event tells of it, and the team is READY again."""
    before = proof(world, "vision")
    for widen in (widen_trust, widen_entry, widen_access_point):
        widen(world)
    assert world.reconcile("vision")["state"] == "READY"
    (event,) = announced()
    told = "\n".join(event["found"])
    assert (event["team"], event["taken_away"]) == ("vision", True)
    assert f"arn:aws:iam::{LANGUAGE}:root may assume in" in told
    assert "may AmazonEKSEditPolicy in" in told
    assert "cluster/hyperpod-eks hyperpod-ns-language" in told
    assert f"may read in arn:aws:s3:::{IMAGES}" in told
    after = proof(world, "vision")
    assert (after["holds"], digest(after)) == (True, digest(before))
    assert world.state("proof", "team#vision")["widened"]["found"] == event["found"]
    world.reconcile("vision")
    assert announced() == []


def test_what_cannot_be_taken_away_makes_the_proof_fail(world: World, announced: Any) -> None:
    """The team is DEGRADED and the refusal is told as broken, until it can be taken away."""
    deny = {"Effect": "Deny", "Action": "eks:DisassociateAccessPolicy", "Resource": "*"}
    iam = world.sandbox.client("iam", HUB)
    given = {"RoleName": "podshare-cluster", "PolicyName": "stop"}
    iam.put_role_policy(**given, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    widen_entry(world)
    assert world.reconcile("vision")["state"] == "DEGRADED"
    found = proof(world, "vision")
    (refusal,) = found["refusals"]
    assert found["holds"] is False
    assert "hyperpod-ns-language" in refusal["broken"][0]
    assert [event["taken_away"] for event in announced()] == [False]
    iam.delete_role_policy(**given)
    assert world.reconcile("vision")["state"] == "READY"
    assert proof(world, "vision")["holds"] is True
    assert not world.may_submit(world.cluster_access("vision", VISION), "language")


def test_a_trust_that_is_not_narrowed_yet_is_no_news(world: World, announced: Any) -> None:
    """What podshare granted to an account, and has to take away, makes the proof fail; no event tells of it."""
    members = [{"account": LANGUAGE}, {"account": VISION}]
    fields: Item = {"access_role": "per_team", "service_accounts": []}
    assert world.put_team("shared", members=members, **fields)["state"] == "READY"
    announced()
    world.put({"id": "pause#all", "reason": "a look at it first", "owner": "priya@example.com"})
    world.put_team("shared", members=members[:1], **fields)
    answer = world.sandbox.client("lambda").invoke(FunctionName="podshare-verify-team", Payload=b'{"team": "shared"}')
    found = json.loads(answer["Payload"].read())
    assert (found["verified"], proof(world, "shared")["holds"]) == (False, False)
    assert VISION in json.dumps(found["violations"])
    assert announced() == []
    world.delete("pause#all")
    assert (world.status("shared")["state"], proof(world, "shared")["holds"]) == ("READY", True)
    world.delete("team#shared")


def test_what_is_revoked_is_no_news_and_nobody_is_left_in_the_proof(world: World, announced: Any) -> None:
    """A deleted team's proof holds and names nobody; no event tells of what a record no longer asks for."""
    announced()
    world.delete("team#vision")
    found = proof(world, "vision")
    assert (world.status("vision")["state"], found["access"], found["holds"]) == ("DELETED", [], True)
    world.reconcile("language")
    assert proof(world, "language")["refusals"] == []
    assert announced() == []


def test_only_proofs_are_written_by_the_verifier(world: World) -> None:
    """The function that reads everything back may write nothing else, and no role was refused anything it needs."""
    written = {
        one.resource
        for one in world.sandbox.decisions
        if one.principal.endswith("podshare-verify-team") and one.action == "dynamodb:UpdateItem"
    }
    assert len(written) == 1
    assert {one.split()[1] for one in world.denied()} == {"eks:DisassociateAccessPolicy"}
