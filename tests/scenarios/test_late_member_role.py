"""Accounts whose member role is late, never comes, or may not be used: nobody else waits for them."""

import json

import pytest

from podshare_sandbox.services import organizations
from tests.builders import a_team_item
from tests.scenarios.world import LANGUAGE, ROOT, SCIENCE, VISION, World, awaited

LIMIT = 3600  # seconds; a test lets them pass
POOL = {"account_tag": {"key": "pool", "value": "shared"}}
SHARED = {"pool": "shared"}


@pytest.fixture(scope="module")
def deployment() -> dict[str, str]:
    """Accounts are parked after an hour."""
    return {"DrainSeconds": "0", "MemberRoleWaitSeconds": str(LIMIT)}


@pytest.fixture(scope="module", autouse=True)
def records(world: World) -> None:
    """A team of whichever account has a tag; two accounts have it."""
    for account in (VISION, LANGUAGE):
        world.organizations.tag_resource(ResourceId=account, Tags=[{"Key": "pool", "Value": "shared"}])
    world.sweep()
    world.put(a_team_item("pool", members=[POOL]))


@pytest.fixture(scope="module")
def late(world: World) -> str:
    """An account that joined and that StackSets do not reach yet."""
    (account,) = world.create_accounts("late-lab", tags=SHARED)
    world.sandbox.hold_stack_sets(account)
    world.move(account, SCIENCE, settle=False)
    world.await_state("pool", "WAITING")
    return account


def test_a_late_member_role_is_waited_for_and_only_what_needs_it(world: World, late: str) -> None:
    """While the role is missing the team says which account waits since when; all that needs no such role is there."""
    (problem,) = world.status("pool")["problems"]
    assert problem["account"] == late
    assert f"account {late} has been waiting for its member role since" in problem["what"]
    assert world.state("organization", f"account#{late}")["waiting_since"]
    role = world.cluster_access_role("pool", late)
    entries = world.sandbox.client("eks").list_access_entries(clusterName="hyperpod-eks")["accessEntries"]
    assert role in entries
    assert world.works("pool", VISION)


def test_no_lease_is_held_by_the_wait_and_it_ends_by_itself(world: World, late: str) -> None:
    """A change is made while the account waits; once the role is there the account is finished without an event."""
    awaited(lambda: "holder" not in world.state("lease", "team#pool"))
    world.put(a_team_item("pool", members=[{**POOL, "exclude_accounts": [LANGUAGE]}]), settle=False)
    awaited(lambda: not world.works("pool", LANGUAGE))
    world.sandbox.release_stack_sets(late)
    world.sandbox.settle()
    assert world.status("pool")["state"] == "READY"
    assert "waiting_since" not in world.state("organization", f"account#{late}")
    assert world.works("pool", late)
    running = [one for one in world.executions("pool") if one["status"] != "SUCCEEDED"]
    assert running == []


@pytest.mark.usefixtures("late")
def test_bad_accounts_keep_nobody_from_being_finished(world: World) -> None:
    """One account never gets its role, one is suspended meanwhile, the SCP of one denies IAM: the fourth one works."""
    denied = world.join("denied-lab")  # its stack is there before the SCP, its tag comes after it
    _deny_iam(world, denied)
    never, suspended, good = world.create_accounts("never-lab", "suspended-lab", "good-lab", tags=SHARED)
    world.sandbox.hold_stack_sets(never)
    world.sandbox.hold_stack_sets(suspended)
    world.organizations.tag_resource(ResourceId=denied, Tags=[{"Key": "pool", "Value": "shared"}])
    for account in (never, suspended, good):
        world.move(account, SCIENCE, settle=False)
    awaited(lambda: world.works("pool", good))
    organizations.suspend(suspended)
    awaited(lambda: "waiting_since" in world.state("organization", f"account#{never}"))
    world.sandbox.advance(LIMIT)
    summary = world.sweep()

    status = world.status("pool")
    assert status["state"] == "DEGRADED"
    told = {problem["account"]: problem["what"] for problem in status["problems"]}
    assert f"account {never} has had no member role since" in told[never]
    assert "service control policy" in told[denied]
    assert suspended not in told
    assert summary["counts"]["degraded"] == 1
    assert summary["accounts"]["waiting"] == 1
    assert {reason["team"] for reason in summary["reasons"]} == {"pool"}
    with pytest.raises(LookupError):
        world.cluster_access_role("pool", suspended)
    assert world.works("pool", good)
    assert world.works("pool", VISION)

    world.sandbox.release_stack_sets(never)
    _allow_iam(world, denied)
    world.sandbox.settle()
    assert world.sweep()["counts"]["repaired"] == 1
    assert world.status("pool")["state"] == "READY"
    assert world.works("pool", never)
    assert world.works("pool", denied)


def _deny_iam(world: World, account: str) -> None:
    world.organizations.enable_policy_type(RootId=ROOT, PolicyType="SERVICE_CONTROL_POLICY")
    deny = {"Effect": "Deny", "Action": ["iam:Create*", "iam:Put*"], "Resource": "*"}
    policy = world.organizations.create_policy(
        Content=json.dumps({"Version": "2012-10-17", "Statement": [deny]}),
        Description="No new roles",
        Name="no-new-roles",
        Type="SERVICE_CONTROL_POLICY",
    )["Policy"]["PolicySummary"]["Id"]
    world.organizations.attach_policy(PolicyId=policy, TargetId=account)


def _allow_iam(world: World, account: str) -> None:
    found = world.organizations.list_policies_for_target(TargetId=account, Filter="SERVICE_CONTROL_POLICY")["Policies"]
    (policy,) = (one["Id"] for one in found if one["Name"] == "no-new-roles")
    world.organizations.detach_policy(PolicyId=policy, TargetId=account)
