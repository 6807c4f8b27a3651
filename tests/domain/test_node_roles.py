"""Who may assume a role of nodes beside services, and how its trust is without them."""

from typing import Any

import pytest

from podshare.access import node_roles

EC2: Any = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
ROOT = "arn:aws:iam::111111111111:root"
PEOPLE: Any = {**EC2, "Principal": {"AWS": ROOT}}
BOTH: Any = {**EC2, "Principal": {"AWS": [ROOT], "Federated": "accounts.google.com", "Service": "ec2.amazonaws.com"}}


@pytest.mark.parametrize(
    ("statements", "strangers", "jq"),
    [
        ([EC2], (), "del()"),
        ([EC2, PEOPLE], (ROOT,), "del(.Statement[1])"),
        ([BOTH], ("accounts.google.com", ROOT), "del(.Statement[0].Principal.AWS, .Statement[0].Principal.Federated)"),
        ([PEOPLE], (ROOT,), ""),
        ([{**EC2, "Effect": "Deny"}, PEOPLE], (ROOT,), ""),
        ([EC2, {**PEOPLE, "Effect": "Deny"}], (), "del()"),
        ([EC2, {**EC2, "Principal": "*"}], ("*",), "del(.Statement[1])"),
    ],
)
def test_whoever_is_no_service_is_a_stranger(statements: list[Any], strangers: tuple[str, ...], jq: str) -> None:
    """The services stay in the trust; of one that names none nothing would be left."""
    trust = {"Version": "2012-10-17", "Statement": statements}
    assert node_roles.strangers(trust) == strangers
    assert node_roles.filter_without_strangers(trust) == jq
