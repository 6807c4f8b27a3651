"""Whom documents of buckets, access points and keys let in, and who is expected to be let into data."""

import dataclasses
from typing import Any

import pytest

from podshare.access import data_doors
from podshare.access.data_doors import AT_FIRST, Share, expected_by, is_public, kept_at_first
from podshare.access.doors import Door, is_granted
from podshare.access.effective_access import ANYBODY, Access

OWNER, OTHER, THIRD = "333333333333", "444444444444", "555555555555"
BUCKET = "arn:aws:s3:::images"
POINT = f"arn:aws:s3:us-west-2:{OWNER}:accesspoint/feed"
ROLE = f"arn:aws:iam::{OTHER}:role/reader"
TRAINER = "arn:aws:iam::111111111111:role/podshare/podshare-vision-0123abcd"


def root(account: str) -> str:
    return f"arn:aws:iam::{account}:root"


def everybody(account: str) -> str:
    return f"arn:aws:iam::{account}:*"


def allow(**elements: Any) -> dict[str, Any]:
    """A policy that lets another account read all of the bucket, unless told otherwise."""
    read = {"Sid": "Mine", "Effect": "Allow", "Principal": {"AWS": root(OTHER)}, "Action": "s3:GetObject"}
    return {"Statement": [{**read, "Resource": f"{BUCKET}/*", **elements}]}


def who(policy: dict[str, Any]) -> set[str]:
    return {one.who for one in data_doors.of_bucket(policy, BUCKET)}


# ---- whom a document lets in -------------------------------------------------------------------------------


# patterns that may mean somebody of any account: a ``*`` spans colons, and the path of a role may have some
WIDE = (f"arn:aws:iam::{OTHER}*", "*:role/eve", f"*{OTHER}*", "arn:aws:iam::*", f"arn:*:iam::{OTHER}:role/eve")
NAMED = [
    ({"AWS": OTHER}, {}, {root(OTHER)}),
    ({"AWS": [ROLE, root(THIRD)]}, {}, {ROLE, root(THIRD)}),
    ({"Service": "logging.s3.amazonaws.com"}, {}, {"service:logging.s3.amazonaws.com"}),
    ("*", {}, {ANYBODY}),
    ({"AWS": "*"}, {"StringEquals": {"aws:PrincipalAccount": [OTHER]}}, {everybody(OTHER)}),
    ("*", {"StringLike": {"aws:PrincipalAccount": [f"{OTHER[:4]}*"]}}, {ANYBODY}),
    ("*", {"ArnLike": {"aws:PrincipalArn": [ROLE]}}, {ROLE}),
    ("*", {"ArnLike": {"aws:PrincipalArn": ["arn:aws:iam::*:role/reader"]}}, {ANYBODY}),
    ({"AWS": root(OTHER)}, {"ArnLike": {"aws:PrincipalArn": [ROLE, f"{root(THIRD)}"]}}, {ROLE}),
    ({"AWS": root(OTHER)}, {"ArnLike": {"aws:PrincipalArn": ["arn:aws:iam::*:role/reader"]}}, {root(OTHER)}),
    *(({"AWS": root(OTHER)}, {"StringLike": {"aws:PrincipalArn": wide}}, {root(OTHER)}) for wide in WIDE),
    *(("*", {"StringLike": {"aws:PrincipalArn": wide}}, {ANYBODY}) for wide in WIDE),
    (
        {"AWS": root(OTHER)},
        {"StringLike": {"aws:PrincipalArn": f"arn:aws:iam::{OTHER}:role/${{aws:PrincipalTag/team}}"}},
        {f"arn:aws:iam::{OTHER}:role/*"},
    ),
    ({"AWS": ROLE}, {"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3"}}, {ROLE}),
    ("*", {"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3"}}, {"anybody with aws:principalorgid o-a1b2c3"}),
    ("*", {"StringEquals": {"aws:SourceVpce": "vpce-1"}}, {"anybody with aws:sourcevpce vpce-1"}),
    ("*", {"StringLike": {"aws:SourceVpce": "vpce-*"}}, {ANYBODY}),
    ("*", {"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-a1b2c3"}}, {ANYBODY}),
    ("*", {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}, {"anybody with aws:sourceip 192.0.2.0/24"}),
    ("*", {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}, {ANYBODY}),
    ("*", {"StringEquals": {"s3:DataAccessPointAccount": OTHER}}, {f"arn:aws:s3:*:{OTHER}:accesspoint/*"}),
    ("*", {"ArnLike": {"s3:DataAccessPointArn": f"{POINT}*"}}, {f"{POINT}*"}),
    ("*", {"ArnLike": {"s3:DataAccessPointArn": "arn:aws:s3:*:*:accesspoint/*"}}, {ANYBODY}),
    ({"AWS": "AROAIOSFODNN7EXAMPLE1"}, {}, set()),
]


@pytest.mark.parametrize(("principal", "condition", "expected"), NAMED)
def test_a_statement_lets_in_whom_it_names(principal: Any, condition: Any, expected: set[str]) -> None:
    """Principals count as far as conditions narrow them in ways that are understood, and never less than the truth."""
    assert who(allow(Principal=principal, Condition=condition)) == expected


def test_who_is_not_excluded_is_let_in() -> None:
    """NotPrincipal, NotAction and NotResource allow everything that they do not name; a Deny lets nobody in."""
    statement = allow()["Statement"][0]
    without = {name: value for name, value in statement.items() if name != "Principal"}
    assert who({"Statement": [{**without, "NotPrincipal": {"AWS": ROLE}}]}) == {ANYBODY}
    without = {name: value for name, value in statement.items() if name not in ("Action", "Resource")}
    (found,) = data_doors.of_bucket({"Statement": {**without, "NotAction": "s3:X", "NotResource": "x"}}, BUCKET)
    assert (found.may[:3], found.what) == (("list", "read", "write"), "*")
    assert who(allow(Effect="Deny")) == set()


def test_what_reaches_no_object_is_no_door() -> None:
    """A bucket's settings may be read by whom its owner likes; to list objects or to write the policy is a door."""
    settings = ["s3:GetBucketAcl", "s3:GetBucketLocation", "s3:GetLifecycleConfiguration"]
    assert who(allow(Action=settings, Resource=BUCKET)) == set()
    for action in ("s3:ListBucket", "s3:PutBucketPolicy", "s3:GetObjectVersion", "s3:Get*"):
        assert who(allow(Action=action, Resource=[BUCKET, f"{BUCKET}/*"])) == {root(OTHER)}


def test_a_door_tells_keys_and_statement() -> None:
    """Each pattern of keys is told with what may be done there, and the statement by its Sid or its place."""
    policy = allow(Action=["s3:GetObject", "s3:PutObject"], Resource=[f"{BUCKET}/a/*", f"{BUCKET}/b/*"])
    found = [*data_doors.of_bucket(policy, BUCKET)]
    assert [(one.may, one.what, one.name, one.number) for one in found] == [
        (("read", "write"), "a/*", "Mine", 0),
        (("read", "write"), "b/*", "Mine", 0),
    ]
    nameless = {"Statement": [*allow(Effect="Deny")["Statement"], *allow(Sid="")["Statement"]]}
    assert [(one.name, one.number) for one in data_doors.of_bucket(nameless, BUCKET)] == [("statement 2", 1)]
    assert [*data_doors.of_bucket(None, BUCKET)] == []


DELEGATIONS = [
    (allow(Principal="*", Condition={"StringEquals": {"s3:DataAccessPointAccount": OWNER}}), True),
    (allow(Principal="*", Condition={"ArnLike": {"s3:DataAccessPointArn": f"{POINT[:-4]}*"}}), True),
    (allow(Principal="*", Condition={"ArnLike": {"s3:DataAccessPointArn": f"{POINT[:-4]}podshare-*"}}), False),
    (allow(Principal="*", Condition={"StringEquals": {"s3:DataAccessPointAccount": OTHER}}), False),
    (allow(Principal="*", Action="s3:PutObject"), False),
    (allow(Principal="*", Resource=f"{BUCKET}/other/*"), False),
    (allow(), True),
    (allow(Principal={"AWS": root(THIRD)}), False),
    (None, False),
]


@pytest.mark.parametrize(("policy", "opens"), DELEGATIONS)
def test_an_access_point_lets_in_as_far_as_the_bucket_agrees(policy: Any, opens: bool) -> None:
    """Another account needs both documents (S3 user guide, "Configuring IAM policies for using access points")."""
    point = allow(Resource=f"{POINT}/object/train/*", Principal={"AWS": ROLE})
    found = [*data_doors.of_access_point(point, POINT, policy, BUCKET)]
    assert [(one.who, one.may, one.what) for one in found] == ([(ROLE, ("read",), "train/*")] if opens else [])


def test_an_access_point_gives_no_more_than_the_bucket() -> None:
    """Of two patterns the narrower counts, of keys and of actions."""
    point = allow(Resource=f"{POINT}/object/*", Action="s3:*")
    of_bucket = allow(Principal="*", Resource=f"{BUCKET}/a/*", Action=["s3:GetObject", "s3:GetObjectVersion"])
    (found,) = data_doors.of_access_point(point, POINT, of_bucket, BUCKET)
    assert (found.may, found.what) == (("read", "s3:GetObjectVersion"), "a/*")
    (found,) = data_doors.of_access_point({**point, "Statement": point["Statement"]}, POINT, allow(), BUCKET)
    assert (found.may, found.what) == (("read",), "*")


def test_an_access_point_without_a_policy_lets_nobody_else_in() -> None:
    """Within the account of both, the access point's policy suffices; without one nobody is let in by it."""
    assert [*data_doors.of_access_point(None, POINT, allow(Principal="*"), BUCKET)] == []
    point = allow(Resource=f"{POINT}/object/*", Principal={"AWS": root(OWNER)})
    assert [one.who for one in data_doors.of_access_point(point, POINT, None, BUCKET)] == [root(OWNER)]


KEY_ACTIONS = [
    ("kms:Decrypt", ("kms:Decrypt",)),
    ("kms:decrypt", ("kms:Decrypt",)),
    (["kms:ReEncrypt*", "kms:Encrypt"], ("kms:ReEncryptFrom",)),
    ("kms:CreateGrant", ("kms:CreateGrant",)),
    ("kms:*", ("kms:CreateGrant", "kms:Decrypt", "kms:PutKeyPolicy", "kms:ReEncryptFrom")),
    (["kms:Encrypt", "kms:DescribeKey"], None),
]


@pytest.mark.parametrize(("actions", "may"), KEY_ACTIONS)
def test_a_keys_policy_lets_in_who_may_decrypt(actions: Any, may: tuple[str, ...] | None) -> None:
    """Whoever may decrypt, or let others, is told; a key's statement is about the key, whatever it names."""
    found = [*data_doors.of_key(allow(Action=actions, Resource="*"))]
    assert [(one.who, one.may, one.what) for one in found] == ([(root(OTHER), may, "*")] if may else [])


def test_a_keys_policy_may_name_the_callers_account() -> None:
    """kms:CallerAccount narrows anybody to an account (KMS developer guide, "Condition keys")."""
    policy = allow(Principal="*", Action="kms:Decrypt", Condition={"StringEquals": {"kms:CallerAccount": OTHER}})
    assert [one.who for one in data_doors.of_key(policy)] == [everybody(OTHER)]


def test_a_grant_lets_in_its_grantee() -> None:
    """A grant to decrypt is told by its name or id; one of nobody who is there, or to encrypt, is no door."""
    grant = {"GrantId": "abc", "GranteePrincipal": ROLE, "Operations": ["Decrypt", "DescribeKey"]}
    assert [(one.who, one.may, one.name) for one in data_doors.of_grant(grant)] == [(ROLE, ("kms:Decrypt",), "abc")]
    assert [one.name for one in data_doors.of_grant({**grant, "Name": "mine"})] == ["mine"]
    service = {"GrantId": "abc", "GranteeServicePrincipal": "rds.amazonaws.com", "Operations": ["CreateGrant"]}
    assert [one.who for one in data_doors.of_grant(service)] == ["service:rds.amazonaws.com"]
    assert not [*data_doors.of_grant({**grant, "GranteePrincipal": "AROAIOSFODNN7EXAMPLE1"})]
    assert not [*data_doors.of_grant({**grant, "Operations": ["Encrypt"]})]


# ---- who is expected ---------------------------------------------------------------------------------------

DOOR = Door(
    kind="bucket statement",
    account=OWNER,
    region="us-west-2",
    container="images",
    principal=ROLE,
    gives=("read",),
    where=BUCKET,
    what="imagenet/*",
    written_at="Mine",
    closed_by="aws s3api …",
)
SHARES = [Share("imagenet", "imagenet/*")]


OWN_ROLES = ("arn:aws:iam::*:role/podshare/*", "arn:aws:sts::*:assumed-role/podshare-*")


def expected(door: Door = DOOR, shares: list[Share] = SHARES, first: tuple[Door, ...] = ()) -> str:
    return expected_by(door, shares, [Access.of_dict(one) for one in kept_at_first(first, OWN_ROLES)], OWN_ROLES)


def test_nobody_is_expected_unless_something_says_so() -> None:
    """A principal of another account is a stranger, and so is anybody whom a condition binds."""
    assert expected() == ""
    assert expected(dataclasses.replace(DOOR, principal="anybody with aws:principalorgid o-a1b2c3")) == ""
    assert expected(dataclasses.replace(DOOR, principal="service:logging.s3.amazonaws.com")) == ""


def test_the_owners_account_is_expected() -> None:
    """What the owner's account lets its own principals do it could let them by IAM policies that nobody sees."""
    for principal in (root(OWNER), f"arn:aws:iam::{OWNER}:role/pipeline", f"arn:aws:s3:*:{OWNER}:accesspoint/*"):
        assert expected(dataclasses.replace(DOOR, principal=principal)) == f"account {OWNER}, which owns it"


def test_everybody_in_the_owners_account_is_nobody_of_its_own() -> None:
    """A statement for all of the owner's account lets podshare's roles there in by itself; its root lets nobody in."""
    door, delegated = (dataclasses.replace(DOOR, principal=one) for one in (everybody(OWNER), root(OWNER)))
    assert expected(door) == expected(door, first=(delegated, door)) == ""
    assert expected(door, shares=[Share("imagenet", "imagenet/*", (root(OWNER),))]) == "dataset#imagenet"
    assert kept_at_first([door, delegated], OWN_ROLES) == kept_at_first([delegated], OWN_ROLES)


def test_everybody_in_another_account_may_have_been_there_first() -> None:
    """What is for all of another account lets in none of podshare's roles there: their own policies do not allow it."""
    door = dataclasses.replace(DOOR, principal=everybody(OTHER))
    assert len(kept_at_first([door], OWN_ROLES)) == 1
    assert expected(door, first=(door,)) == AT_FIRST


def test_what_was_there_first_is_expected_and_no_more() -> None:
    """The same principal may have as much as at the first look, by any door, and not more, or elsewhere."""
    assert expected(first=(DOOR,)) == AT_FIRST
    assert expected(dataclasses.replace(DOOR, kind="access point", what="imagenet/a/*"), first=(DOOR,)) == AT_FIRST
    for more in ({"what": "*"}, {"gives": ("read", "write")}, {"principal": root(OTHER)}, {"where": f"{BUCKET}2"}):
        assert expected(dataclasses.replace(DOOR, **more), first=(DOOR,)) == ""  # type: ignore[arg-type]  # of the field


def test_a_record_that_names_principals_counts_alone() -> None:
    """A named principal is expected, an account's root stands for all in it, and what was there first is no more."""
    named = [Share("imagenet", "imagenet/*", (root(OTHER),))]
    assert expected(shares=named) == "dataset#imagenet"
    assert expected(shares=[Share("imagenet", "imagenet/*", (root(THIRD),))], first=(DOOR,)) == ""
    assert expected(dataclasses.replace(DOOR, principal=root(THIRD)), shares=named) == ""


def test_each_dataset_that_a_door_leads_to_has_to_expect_it() -> None:
    """A principal whom one dataset names does not get into another in the same bucket."""
    named, other = Share("imagenet", "imagenet/*", (ROLE,)), Share("faces", "faces/*")
    assert expected(shares=[named, other]) == "dataset#imagenet"
    assert expected(dataclasses.replace(DOOR, what="*"), shares=[named, other]) == ""
    wide = dataclasses.replace(DOOR, what="*")
    assert expected(wide, shares=[named, other], first=(wide,)) == "dataset#imagenet"
    assert expected(dataclasses.replace(DOOR, what="else/*"), shares=[named]) == ""


def test_the_public_is_never_expected() -> None:
    """Neither what was there first nor a record lets everybody in."""
    for principal in (ANYBODY, "arn:aws:iam::*:role/reader"):
        public = dataclasses.replace(DOOR, principal=principal)
        assert is_public(principal)
        assert expected(public, [Share("imagenet", "imagenet/*", (principal,))], (public,)) == ""
        assert kept_at_first([public], OWN_ROLES) == []
    assert not is_public("arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1EXAMPLE")


OWN = [
    f"arn:aws:iam::{OWNER}:role/podshare/podshare-language-0123abcd",
    f"arn:aws:iam::{OWNER}:role/*",
    f"arn:aws:sts::{OWNER}:assumed-role/podshare-language-0123abcd/pod",
]


@pytest.mark.parametrize("principal", OWN)
def test_teams_roles_are_nobodys_own(principal: str) -> None:
    """A role that podshare made in the owner's account is a team's: only that team's record lets it in."""
    door = dataclasses.replace(DOOR, principal=principal)
    assert expected(door, first=(door,)) == ""
    assert expected(door, [Share("imagenet", "imagenet/*", (principal,))]) == "dataset#imagenet"


def test_what_the_teams_record_gives_is_granted() -> None:
    """A statement by hand for a role of the team's that gives it no more than its record is no stranger's."""
    granted = [Access("system:serviceaccount:n:a", ("list", "read"), BUCKET, "imagenet/*", through=(TRAINER,))]
    door = dataclasses.replace(DOOR, principal=TRAINER)
    assert is_granted(door, granted)
    assert not is_granted(dataclasses.replace(door, gives=("write",)), granted)
