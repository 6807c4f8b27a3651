"""IAM refuses what podshare asks of a role: a denial is a denial, and only NoSuchEntity says that there is none."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from botocore.exceptions import ClientError

from tests.builders import a_team_item
from tests.scenarios.world import LANGUAGE, ROOT, VISION, Item, World

TEAM = "vision"
BOTH = [{"account": VISION}, {"account": LANGUAGE}]
SCP = "an explicit deny in a service control policy"


@pytest.fixture(scope="module", autouse=True)
def control_policies(world: World) -> None:
    """The organization has service control policies."""
    world.organizations.enable_policy_type(RootId=ROOT, PolicyType="SERVICE_CONTROL_POLICY")


@contextmanager
def denied(world: World, *actions: str) -> Iterator[None]:
    """The actions are denied in every account but the management account."""
    statement = {"Effect": "Deny", "Action": [*actions], "Resource": "*"}
    made = world.organizations.create_policy(
        Content=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
        Description="",
        Name="-".join(actions).replace(":", "-").replace("*", ""),
        Type="SERVICE_CONTROL_POLICY",
    )
    policy = made["Policy"]["PolicySummary"]["Id"]
    world.organizations.attach_policy(PolicyId=policy, TargetId=ROOT)
    try:
        yield
    finally:
        world.organizations.detach_policy(PolicyId=policy, TargetId=ROOT)


def scientist_roles(world: World) -> list[str]:
    """The roles under podshare's path in the account of the member that goes."""
    roles = world.sandbox.client("iam", LANGUAGE).list_roles(PathPrefix="/podshare/")["Roles"]
    return [role["RoleName"] for role in roles]


def problems(status: Item) -> str:
    return json.dumps(status["problems"])


@pytest.mark.parametrize("read", ["iam:ListRolePolicies", "iam:ListAttachedRolePolicies", "iam:GetRole"])
def test_a_role_that_may_not_be_read_is_not_forgotten(world: World, read: str) -> None:
    """It stays in the inventory and in the status, with the policy that denies it, and goes once it may be read."""
    world.put_team(TEAM, members=BOTH)
    assert scientist_roles(world)
    with denied(world, read, "iam:GetAccountAuthorizationDetails"):
        status = world.put_team(TEAM, members=BOTH[:1])
        assert (status["state"], SCP in problems(status)) == ("DEGRADED", True), status
        assert scientist_roles(world)
    assert (world.reconcile(TEAM)["status"], world.status(TEAM)["state"]) == ("SUCCEEDED", "READY")
    assert scientist_roles(world) == []


@pytest.mark.parametrize("change", ["iam:DeleteRolePolicy", "iam:DeleteRole", "iam:UpdateAssumeRolePolicy"])
def test_a_denial_is_reported_at_once(world: World, change: str) -> None:
    """Nobody waits for a role to become known where a policy says no: one attempt, and what helps."""
    world.put_team(TEAM, members=BOTH)
    before = len(world.sandbox.decisions)
    with denied(world, change):
        status = world.put_team(TEAM, members=BOTH[:1])
    problem = next(one for one in status["problems"] if "podshare-vision-scientist" in one["what"])
    assert SCP in problem["what"], status["problems"]
    assert "did not settle" not in problems(status)
    assert "exempt the roles under /podshare-system/" in problem["remedy"]
    asked = [one for one in world.sandbox.decisions[before:] if one.action == change and not one.allowed]
    assert max(Counter(one.resource for one in asked).values()) <= 2, asked  # its revocation, and its deletion
    assert (world.reconcile(TEAM)["status"], world.status(TEAM)["state"]) == ("SUCCEEDED", "READY")
    assert scientist_roles(world) == []


def test_a_permission_that_is_missing_is_reported_as_such(world: World) -> None:
    """IAM's words for a role that it does not know are its words for one that may not be changed: the role is asked."""
    world.put_team(TEAM, members=BOTH)
    iam = world.sandbox.client("iam", LANGUAGE)
    identity = {"RoleName": "podshare-identity", "PolicyName": "roles"}
    whole = iam.get_role_policy(**identity)["PolicyDocument"]
    lacking = json.loads(json.dumps(whole).replace('"iam:DeleteRolePolicy", ', ""))
    assert lacking != whole
    iam.put_role_policy(**identity, PolicyDocument=json.dumps(lacking))
    world.sandbox.advance(120)
    status = world.put_team(TEAM, members=BOTH[:1])
    assert "no identity-based policy allows the iam:DeleteRolePolicy action" in problems(status)
    assert "did not settle" not in problems(status)
    assert scientist_roles(world)
    iam.put_role_policy(**identity, PolicyDocument=json.dumps(whole))
    assert world.reconcile(TEAM)["status"] == "SUCCEEDED"
    assert scientist_roles(world) == []


def test_a_role_that_goes_meanwhile_has_gone(world: World) -> None:
    """What somebody deletes by hand is absent, although most calls for it are then denied."""
    world.put_team(TEAM, members=BOTH)
    iam, (name,) = world.sandbox.client("iam", LANGUAGE), scientist_roles(world)
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    iam.delete_role(RoleName=name)
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.get_role(RoleName=name)
    world.put(a_team_item(TEAM, members=BOTH[:1]))
    assert world.status(TEAM)["state"] == "READY"
