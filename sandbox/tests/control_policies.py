"""An organization in which control policies of one type are enabled, and such policies."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from podshare_sandbox import Sandbox
from podshare_sandbox.organization import MANAGEMENT, ROOT_ID
from sandbox.tests.iam_accounts import policy

FULL_ACCESS = {"SERVICE_CONTROL_POLICY": "p-FullAWSAccess", "RESOURCE_CONTROL_POLICY": "p-RCPFullAWSAccess"}


@contextmanager
def enabled(policy_type: str) -> Iterator[Sandbox]:
    """A sandbox without podshare, whose organization has control policies of a type enabled."""
    with Sandbox(time_scale=0.01) as running:
        running.client("organizations", MANAGEMENT).enable_policy_type(RootId=ROOT_ID, PolicyType=policy_type)
        yield running


@contextmanager
def attached(policy_type: str, management: Any, target: str, *statements: dict[str, Any]) -> Iterator[str]:
    """A control policy that is attached for a while; its id."""
    content, full_access = policy(*statements), FULL_ACCESS[policy_type]
    made = management.create_policy(Name="limit", Description="", Content=content, Type=policy_type)
    policy_id = made["Policy"]["PolicySummary"]["Id"]
    management.attach_policy(PolicyId=policy_id, TargetId=target)
    try:
        yield policy_id
    finally:
        present = management.list_policies_for_target(TargetId=target, Filter=policy_type)["Policies"]
        if full_access not in {one["Id"] for one in present}:
            management.attach_policy(PolicyId=full_access, TargetId=target)
        management.detach_policy(PolicyId=policy_id, TargetId=target)
        management.delete_policy(PolicyId=policy_id)
