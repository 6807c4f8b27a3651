"""The roles of an account are read at once, where that is less, and what is said of them is what each of them says."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from podshare.aws.roles_ahead import PAGE
from tests.builders import a_team_item
from tests.scenarios.world import HUB, LANGUAGE, VISION, Item, World

AT_ONCE, OF_ONE = "GetAccountAuthorizationDetails", {"GetRole", "ListRolePolicies", "GetRolePolicy"}
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{HUB}:root"}, "Action": "sts:AssumeRole"}
        ],
    }
)
Reads = Callable[[str], Counter[str]]


@pytest.fixture(scope="module", autouse=True)
def team(world: World) -> None:
    """A team with roles in three accounts; in that of language it comes after more roles than a page has."""
    iam = world.sandbox.client("iam", LANGUAGE)
    for number in range(PAGE):
        iam.create_role(RoleName=f"somebody-{number}", AssumeRolePolicyDocument=TRUST)
    world.put(a_team_item("vision", members=[{"account": VISION}, {"account": LANGUAGE}]))
    assert world.status("vision")["state"] == "READY"
    world.plan("vision")  # a function that is warm knows which accounts are not worth it


@pytest.fixture(scope="module")
def role(world: World) -> str:
    """The name of a role in the account that has several."""
    return world.cluster_access_role("vision", VISION).rpartition("/")[2]


@pytest.fixture
def reads(world: World) -> Reads:
    """What the reader asked of IAM in an account since the test began."""
    before = len(world.sandbox.decisions)

    def made(account: str) -> Counter[str]:
        reader = f"arn:aws:sts::{account}:assumed-role/podshare-read/"
        principals = (reader, f"arn:aws:iam::{account}:role/podshare-system/podshare-read")
        decisions = world.sandbox.decisions[before:]
        asked = (one for one in decisions if one.principal.startswith(principals) and one.action.startswith("iam:"))
        return Counter(one.action.partition(":")[2] for one in asked)

    return made


def test_the_roles_of_an_account_are_read_at_once(world: World, reads: Reads) -> None:
    """One call for all of them and one for their sessions, where there are several; one role needs no list."""
    plan = world.plan("vision")
    assert (plan["count"], plan["obstacles"], plan["verification"]["verified"]) == (0, [], True)
    assert reads(HUB) == {AT_ONCE: 1, "ListRoles": 1}
    assert reads(VISION) == {AT_ONCE: 1, "GetRole": 1}


def test_nothing_is_asked_twice(world: World) -> None:
    """Comparison, preconditions, doors and access report share what a plan has read."""
    before = len(world.sandbox.decisions)
    world.plan("vision")
    decisions = [one for one in world.sandbox.decisions[before:] if "podshare-read" in one.principal]
    asked = Counter((one.principal.split(":")[4], one.action, one.resource) for one in decisions)
    assert {question: count for question, count in asked.items() if count > 1} == {}
    assert len(asked) > 30


def test_an_account_with_many_other_roles_is_read_role_by_role(reads: Reads, world: World) -> None:
    """Where as many pages as roles are wanted have none of them, the function does not try again."""
    world.plan("vision")
    asked = reads(LANGUAGE)
    assert asked[AT_ONCE] == asked["ListRoles"] == 0
    assert asked.keys() >= OF_ONE


def open_session(iam: Any, name: str) -> None:
    iam.update_role(RoleName=name, MaxSessionDuration=7200)


def open_trust(iam: Any, name: str) -> None:
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=TRUST)


def lose_a_tag(iam: Any, name: str) -> None:
    iam.untag_role(RoleName=name, TagKeys=["podshare:member"])


def add_a_policy(iam: Any, name: str) -> None:
    allow = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_role_policy(RoleName=name, PolicyName="more", PolicyDocument=document)


def attach_a_policy(iam: Any, name: str) -> None:
    iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")


@pytest.mark.parametrize("change", [open_session, open_trust, lose_a_tag, add_a_policy, attach_a_policy])
def test_whatever_was_changed_by_hand_is_seen(
    world: World, reads: Reads, role: str, change: Callable[[Any, str], None]
) -> None:
    """A role's session, trust, tags and policies are compared as where it is read by itself, and put right."""
    change(world.sandbox.client("iam", HUB), role)
    assert world.plan("vision")["count"] >= 1
    assert reads(HUB) == {AT_ONCE: 1, "ListRoles": 1}
    assert world.reconcile("vision")["state"] == "READY"
    assert world.plan("vision")["count"] == 0


def test_a_role_that_is_in_no_page_is_asked_for_by_itself(world: World, reads: Reads) -> None:
    """Only GetRole says that a role is absent, and then it is made again."""
    iam, name = world.sandbox.client("iam", HUB), world.cluster_access_role("vision", LANGUAGE).rpartition("/")[2]
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    iam.delete_role(RoleName=name)
    plan = world.plan("vision")
    assert any(name in key for key in created(plan))
    assert reads(HUB)["GetRole"] >= 1
    assert world.reconcile("vision")["state"] == "READY"


def created(plan: Item) -> list[str]:
    chains = [chain for stage in ("allocate", "grant") for chain in plan[stage]]
    return [json.dumps(chain) for chain in chains]


def test_an_earlier_member_stack_allows_no_reading_at_once(world: World, reads: Reads) -> None:
    """Its roles are read one by one, nothing is reported, and a warm function does not ask again."""
    deny = {"Effect": "Deny", "Action": "iam:GetAccountAuthorizationDetails", "Resource": "*"}
    given = {"RoleName": "podshare-read", "PolicyName": "earlier"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    world.sandbox.client("iam", VISION).put_role_policy(**given, PolicyDocument=document)
    for _ in range(2):
        plan = world.plan("vision")
        assert (plan["count"], plan["obstacles"], plan["verification"]["verified"]) == (0, [], True)
    asked = reads(VISION)
    assert asked[AT_ONCE] == 1
    assert asked.keys() >= OF_ONE
    world.sandbox.client("iam", VISION).delete_role_policy(**given)
