"""Accounts that leave their unit and come back: a new member stack, and what the old one left behind is taken over."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.builders import a_team_item, an_enrollment_item
from tests.scenarios.world import LANGUAGE, PLATFORM, SCIENCE, VISION, World

TAGS = {"owner": "rosalind@example.com", "gpus": "2"}
RESEARCHER = "labs/Researcher"


@pytest.fixture(scope="module")
def labs(world: World) -> str:
    """A unit whose accounts' people work by a role that each account made itself."""
    made = world.organizations.create_organizational_unit(Name="Labs", ParentId=SCIENCE)
    unit = str(made["OrganizationalUnit"]["Id"])
    world.put(a_team_item("labs", members=[{"organizational_unit": unit, "existing_role": RESEARCHER}]))
    return unit


@pytest.fixture(scope="module", autouse=True)
def records(world: World) -> None:
    """An enrollment of the unit Science."""
    world.sweep()
    world.put(an_enrollment_item(exclude_accounts=[VISION, LANGUAGE]))


@contextmanager
def paused(world: World, _: str) -> Iterator[None]:
    """podshare does nothing meanwhile: StackSets are faster."""
    world.put({"id": "pause#all", "reason": "StackSets are faster", "owner": "priya@example.com"})
    yield
    world.delete("pause#all")


@contextmanager
def held(world: World, account: str) -> Iterator[None]:
    """StackSets do nothing in the account meanwhile: podshare is faster."""
    world.sandbox.hold_stack_sets(account)
    yield
    world.sandbox.release_stack_sets(account)
    world.sandbox.settle()


def role(world: World, account: str, name: str) -> dict[str, Any]:
    """A role of the account with its boundary; empty if there is none."""
    try:
        found: dict[str, Any] = world.sandbox.client("iam", account).get_role(RoleName=name)["Role"]
    except ClientError:
        return {}
    return found


def boundary(world: World, account: str, name: str) -> str:
    return str(role(world, account, name)["PermissionsBoundary"]["PermissionsBoundaryArn"])


def attached(world: World, account: str, name: str) -> list[str]:
    policies = world.sandbox.client("iam", account).list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    return [policy["PolicyArn"] for policy in policies]


def works_as_researcher(world: World, account: str) -> bool:
    """Whether who has the account's own role submits jobs of team labs."""
    access_role = world.cluster_access_role("labs", f"{account}/role/{RESEARCHER}")
    access = world.session(access_role, world.scientist("labs", account, role=RESEARCHER))
    return world.may_submit(access, "labs")


def member_stack(world: World, account: str) -> dict[str, str]:
    """The outputs of the account's member stack, which is as it should be."""
    instance = world.sandbox.stack_set("podshare-member").instances[account]
    assert (instance.status, instance.reason) == ("CURRENT", "")
    return instance.stack.outputs


def test_an_account_that_podshare_cleaned_works_again(world: World) -> None:
    """Where podshare took its role before the stack went, the account that comes back begins anew."""
    account = world.join("tidy-lab", tags=TAGS)
    team, scientist = f"science-{account}", f"podshare-science-{account}-scientist"
    before = member_stack(world, account)
    with held(world, account):
        world.move(account, PLATFORM)
        assert role(world, account, scientist) == {}
    world.move(account, SCIENCE)

    after = member_stack(world, account)
    assert after["Boundary"] != before["Boundary"]
    status = world.status(team)
    assert (status["state"], status["problems"]) == ("READY", [])
    assert world.works(team, account)
    assert boundary(world, account, scientist) == after["Boundary"]


def test_a_role_that_was_left_behind_is_taken_over(world: World) -> None:
    """Where the stack went first, the role stays, bound as it was; the account that comes back binds it anew."""
    account = world.join("hasty-lab", tags=TAGS)
    team, scientist = f"science-{account}", f"podshare-science-{account}-scientist"
    before = member_stack(world, account)
    with paused(world, account):
        world.move(account, PLATFORM)
        assert account not in world.sandbox.stack_set("podshare-member").instances
    left = {(thing["account"], thing["what"].partition(" in ")[0]) for thing in world.status(team)["left_behind"]}
    assert left == {(account, f"role {scientist}"), (account, f"ssm parameter /podshare/teams/{team}")}
    assert boundary(world, account, scientist) == before["Boundary"]
    world.move(account, SCIENCE)

    after = member_stack(world, account)
    assert after["Boundary"] != before["Boundary"]
    status = world.status(team)
    assert (status["state"], status["problems"], status["left_behind"]) == ("READY", [], [])
    assert world.works(team, account)
    assert boundary(world, account, scientist) == after["Boundary"]


@pytest.mark.parametrize(
    ("faster", "remains"), [(held, False), (paused, True)], ids=["podshare is faster", "StackSets are faster"]
)
def test_a_persons_role_gets_the_new_stacks_policy(
    world: World, labs: str, faster: Callable[[World, str], AbstractContextManager[None]], remains: bool
) -> None:
    """Whichever was faster, a role that people made has one policy in the end: that of the present stack."""
    (account,) = world.create_accounts(f"lab-{faster.__name__}")  # without the tags that the enrollment needs
    statement = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    path, _, name = f"/{RESEARCHER}".rpartition("/")
    world.sandbox.client("iam", account).create_role(RoleName=name, Path=f"{path}/", AssumeRolePolicyDocument=trust)
    world.move(account, labs)
    assert works_as_researcher(world, account)
    before = member_stack(world, account)["AssumeClusterAccessPolicy"]
    assert attached(world, account, name) == [before]
    with faster(world, account):
        world.move(account, PLATFORM)
    assert attached(world, account, name) == ([before] if remains else [])
    world.move(account, labs)

    after = member_stack(world, account)["AssumeClusterAccessPolicy"]
    assert after != before
    assert world.status("labs")["state"] == "READY"
    assert attached(world, account, name) == [after]
    assert works_as_researcher(world, account)


def test_an_earlier_member_stack_is_told_and_holds_up_no_revocation(world: World) -> None:
    """Without the tags nothing is given in the account, and the error says what to deploy; what is there still goes."""
    tags = ["podshare:boundary", "podshare:assume-policy"]
    for name in ("podshare-read", "podshare-identity"):
        world.sandbox.client("iam", VISION).untag_role(RoleName=name, TagKeys=tags)
    status = world.put_team("vision", members=[{"account": VISION}, {"account": LANGUAGE}])
    assert status["state"] == "DEGRADED"
    (problem,) = status["problems"]
    told = f"role/podshare-system/podshare-identity has no tag {tags[0]}. Deploy accounts/member.yaml of this version"
    assert told in json.dumps(problem)
    assert world.works("vision", LANGUAGE)
    world.delete("team#vision")
    assert world.status("vision")["state"] == "DELETED"
