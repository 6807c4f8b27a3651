"""Whom the ConfigMap aws-auth lets in is read from it strictly: what nobody understands is an error."""

import json

import pytest

from podshare.access import aws_auth

ROLE = "arn:aws:iam::111111111111:role/eve"


def lines(**parts: object) -> list[aws_auth.Line]:
    """The lines of a ConfigMap; JSON is YAML."""
    return [*aws_auth.lines({part: json.dumps(one) for part, one in parts.items()}, "aws")]


def test_every_part_counts() -> None:
    """Roles and users come as their line says, an account's principals under their own ARNs."""
    found = lines(
        mapRoles=[{"rolearn": ROLE, "username": "eve", "groups": ["friends"]}],
        mapUsers=[{"userarn": "arn:aws:iam::111111111111:user/ada"}],
        mapAccounts=["222222222222", 333333333],
    )
    assert [(one.principal, one.username, sorted(one.groups), one.account) for one in found] == [
        (ROLE, "eve", ["friends"], ""),
        ("arn:aws:iam::111111111111:user/ada", "", [], ""),
        ("arn:aws:iam::222222222222:root", "arn:aws:*::222222222222:*", [], "222222222222"),
        ("arn:aws:iam::000333333333:root", "arn:aws:*::000333333333:*", [], "000333333333"),
    ]


@pytest.mark.parametrize(
    ("username", "groups", "reserved"),
    [
        ("eve", ["system:masters"], ("group system:masters",)),
        ("eve", ["friends", "system:authenticated"], ()),
        ("system:node:{{EC2PrivateDNSName}}", ["system:bootstrappers", "system:nodes"], ()),
        ("system:node:{{SessionName}}", [], ("user system:node:{{SessionName}}",)),
        ("eve", ["aws:ops", "amazon:ops", "iam:ops"], ("group amazon:ops", "group aws:ops", "group iam:ops")),
        ("{{SessionName}}", ["{{SessionName}}:masters"], ("group {{SessionName}}:masters",)),
        ("{{AccountID}}:{{SessionName}}", ["{{SessionName}}"], ()),
        ("arn:aws:sts::{{AccountID}}:assumed-role/eve/{{SessionName}}", [], ()),
        (
            "system:kube-scheduler",
            ["eks:service-operations"],
            ("group eks:service-operations", "user system:kube-scheduler"),
        ),
    ],
)
def test_what_is_reserved_leads_everywhere_but_for_nodes(
    username: str, groups: list[str], reserved: tuple[str, ...]
) -> None:
    """Unlike an access entry a line can give what Kubernetes keeps for itself; nodes need some of it."""
    (line,) = lines(mapRoles=[{"rolearn": ROLE, "username": username, "groups": groups}])
    assert line.reserved == reserved


def test_no_node_is_a_user() -> None:
    """What nodes need is theirs where a line names a role; of a user it is reserved as anything else."""
    come = {"username": "system:node:ip-10-0-0-1", "groups": ["system:nodes"]}
    (role,), (user,) = lines(mapRoles=[{"rolearn": ROLE, **come}]), lines(mapUsers=[{"userarn": "arn:x", **come}])
    assert (role.reserved, role.of_nodes) == ((), ("group system:nodes",))
    assert (user.reserved, user.of_nodes) == (("group system:nodes", "user system:node:ip-10-0-0-1"), ())


@pytest.mark.parametrize(
    "data",
    [
        {"mapRoles": "{"},
        {"mapRoles": "rolearn: x"},
        {"mapRoles": "[x]"},
        {"mapUsers": '[{"rolearn": "x"}]'},
        {"mapUsers": '[{"userarn": "x", "groups": [{"a": 1}]}]'},
        {"mapUsers": '[{"userarn": ["x"]}]'},
        {"mapUsers": '[{"userarn": "x", "groups": ["a"], "Groups": ["b"]}]'},
    ],
)
def test_what_nobody_understands_is_an_error(data: dict[str, str]) -> None:
    """Nobody knows whom such a line lets in."""
    with pytest.raises(ValueError, match="ConfigMap aws-auth"):
        [*aws_auth.lines(data, "aws")]


@pytest.mark.parametrize("line", [{"rolearn": ROLE, "Groups": ["system:masters"]}, {"RoleARN": ROLE, "groups": ["x"]}])
def test_fields_count_in_any_case(line: dict[str, object]) -> None:
    """The authenticator takes a field's name in any case (Go, encoding/json, Unmarshal): so does whoever reads it."""
    (found,) = lines(mapRoles=[line])
    assert (found.principal, bool(found.groups)) == (ROLE, True)
