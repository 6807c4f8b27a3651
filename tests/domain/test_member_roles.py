"""Who may act as podshare in a cluster by the trust of a member role."""

from typing import Any

import pytest

from podshare.access import member_roles
from tests.builders import INSTALLATION

HUB_ROOT = INSTALLATION.root_arn(INSTALLATION.account)
FUNCTION = INSTALLATION.member_role_arn(INSTALLATION.account, "plan-team")
OTHER = "arn:aws:iam::222222222222:root"


def statement(
    principal: Any = None,
    function: str = FUNCTION,
    organization: str = INSTALLATION.organization,
    effect: str = "Allow",
) -> Any:
    """A statement such as accounts/member.yaml writes."""
    condition = {"StringEquals": {"aws:PrincipalOrgID": organization}, "ArnEquals": {"aws:PrincipalArn": [function]}}
    allowed = {"Effect": effect, "Principal": principal or {"AWS": HUB_ROOT}, "Action": "sts:AssumeRole"}
    return {**allowed, "Condition": condition}


@pytest.mark.parametrize(
    ("strange", "who"),
    [
        (statement({"AWS": OTHER}), OTHER),
        (statement({"AWS": [HUB_ROOT, OTHER]}), OTHER),
        (statement({"Service": "lambda.amazonaws.com"}), "lambda.amazonaws.com"),
        (statement(function=f"{FUNCTION[:-4]}*"), HUB_ROOT),
        (statement(function=f"arn:aws:iam::{INSTALLATION.account}:role/eve"), HUB_ROOT),
        (statement(organization="o-another0001"), HUB_ROOT),
        ({**statement(), "Condition": {}}, HUB_ROOT),
    ],
)
def test_only_what_is_deployed_lets_nobody_else_in(strange: Any, who: str) -> None:
    """A statement lets in the hub's functions, each by its whole name, while the hub is in the organization."""
    trust = {"Version": "2012-10-17", "Statement": [statement(), strange]}
    assert who in member_roles.strangers(INSTALLATION, trust)
    assert member_roles.filter_without_strangers(INSTALLATION, trust) == "del(.Statement[1])"
    alone = {**trust, "Statement": [strange]}
    assert member_roles.filter_without_strangers(INSTALLATION, alone) == ""
    deployed = {**trust, "Statement": [statement(), statement({"AWS": OTHER}, effect="Deny")]}
    assert member_roles.strangers(INSTALLATION, deployed) == ()
