"""Whoever reads or lists a team's data by a statement of the bucket's owner is found, however the statement is written.

Statements are generated, and tried on the sandbox, which evaluates them as IAM's documentation says; what podshare reads
in them has to cover whoever got in.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from podshare.access import data_doors
from podshare.access.data_doors import Opening, Share
from podshare.access.doors import Door
from podshare.access.effective_access import includes_principal
from podshare.policy import policies
from tests.domain.test_data_doors import OWN_ROLES
from tests.scenarios.world import DATA, IMAGES, KMS_KEY, LANGUAGE, MANAGEMENT, REGION, Item, World

BUCKET, KEY = f"arn:aws:s3:::{IMAGES}", "imagenet/generated"
STRANGER, OTHER_TEAM = f"arn:aws:iam::{LANGUAGE}:role/eve", f"arn:aws:iam::{DATA}:role/podshare/podshare-other-0a1b2c3d"
# of a key in another account, once the call is allowed: the sandbox decrypts in the key's own account alone
_AUTHORIZED = "NotFoundException"
SHARES = [Share("imagenet", "imagenet/*")]

ACCOUNTS = (LANGUAGE, DATA, MANAGEMENT)
ARNS = (
    *(
        STRANGER,
        OTHER_TEAM,
        f"arn:aws:iam::{LANGUAGE}:root",
        f"arn:aws:iam::{LANGUAGE}*",
        "*:role/eve",
        "arn:aws:iam::*",
    ),
    *(
        f"arn:*:iam::{LANGUAGE}:role/*",
        f"arn:aws:iam::{LANGUAGE}:role/${{aws:PrincipalTag/project}}",
        "arn:aws:iam::*:role/*",
    ),
    *(f"arn:aws:iam::{DATA}:role/*", f"arn:aws:iam::{DATA}:*", f"*{DATA}*", f"arn:aws:iam::{MANAGEMENT}:*"),
)
PRINCIPALS = (
    *("*", {"AWS": "*"}, {"AWS": LANGUAGE}, {"AWS": [STRANGER]}, {"AWS": OTHER_TEAM}),
    *({"AWS": f"arn:aws:iam::{account}:root"} for account in ACCOUNTS),
)
RESOURCES = (
    *(BUCKET, f"{BUCKET}/*", f"{BUCKET}/imagenet/*", f"{BUCKET}/image*", f"{BUCKET}*", "*", "arn:aws:s3:::*"),
    *(f"{BUCKET}/{KEY}", f"{BUCKET}/${{aws:PrincipalTag/project}}/*", f"{BUCKET}/imagene?/*", f"{BUCKET}/other/*"),
)
KEY_ACTIONS = ("kms:Decrypt", "kms:*", "*", "kms:De*", "KMS:decrypt", "kms:Encrypt", "kms:DescribeKey")
ACTIONS = ("s3:GetObject", "s3:Get*", "s3:*", "*", "s3:ListBucket", "s3:List*", "S3:getobject", "s3:PutObject")
COMPARED = {
    "aws:PrincipalArn": ARNS,
    "aws:PrincipalAccount": (*ACCOUNTS, f"{LANGUAGE[:4]}*", "${aws:PrincipalTag/account}"),
    "kms:CallerAccount": (*ACCOUNTS, f"{LANGUAGE[:4]}*"),
    "aws:PrincipalOrgID": ("o-podshare01", "o-other12345"),
    "aws:PrincipalTag/project": ("imagenet", "other", "*"),
    "s3:prefix": ("", "imag", "imagenet/", "imagenet/*", "other/", "${aws:PrincipalTag/project}/*"),
}
OPERATORS = ("StringEquals", "StringLike", "ArnLike", "StringNotEquals", "StringEqualsIfExists", "StringNotLike")


def some(of: Any) -> st.SearchStrategy[Any]:
    """One of these, or a list of some."""
    return st.sampled_from(of) | st.lists(st.sampled_from(of), min_size=1, max_size=2, unique=True)


@st.composite
def conditions(draw: st.DrawFn) -> Item:
    """None to two comparisons."""
    found: Item = {}
    for key in draw(st.lists(st.sampled_from(sorted(COMPARED)), max_size=2, unique=True)):
        found.setdefault(draw(st.sampled_from(OPERATORS)), {})[key] = draw(some(COMPARED[key]))
    return found


@st.composite
def statements(draw: st.DrawFn, actions: Sequence[str], resources: Sequence[str]) -> Item:
    """A statement that allows something, as owners of buckets and keys write them."""
    statement: Item = {"Sid": "Generated", "Effect": "Allow", "Principal": draw(st.sampled_from(PRINCIPALS))}
    statement[draw(st.sampled_from(("Action", "Action", "Action", "NotAction")))] = draw(some(actions))
    statement[draw(st.sampled_from(("Resource", "Resource", "Resource", "NotResource")))] = draw(some(resources))
    condition = draw(conditions())
    return {**statement, **({"Condition": condition} if condition else {})}


@pytest.fixture(scope="module")
def callers(world: World) -> dict[str, boto3.Session]:
    """A stranger whose own policy allows everything, and another team's role in the data's account that has none."""
    for account, name, path in ((LANGUAGE, "eve", "/"), (DATA, "podshare-other-0a1b2c3d", "/podshare/")):
        trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        tags = [{"Key": "project", "Value": "imagenet"}, {"Key": "account", "Value": account}]
        iam = world.sandbox.client("iam", account)
        iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=document, Tags=tags)
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam = world.sandbox.client("iam", LANGUAGE)
    iam.put_role_policy(RoleName="eve", PolicyName="everything", PolicyDocument=json.dumps(everything))
    s3 = world.sandbox.client("s3", DATA)
    s3.put_object(Bucket=IMAGES, Key=KEY, Body=b"x")
    s3.delete_public_access_block(Bucket=IMAGES)  # whoever is public is found too
    accounts = {STRANGER: LANGUAGE, OTHER_TEAM: DATA}
    return {who: world.session(who, world.sandbox.session(account, REGION)) for who, account in accounts.items()}


def uses(s3: Any) -> Iterator[str]:
    """What a caller does with the team's object: read it, see its name."""
    if _succeeds(s3.get_object, Bucket=IMAGES, Key=KEY):
        yield "read"
    asked: list[dict[str, str]] = [{}, *({"Prefix": prefix} for prefix in ("", "imag", "imagenet/"))]
    if any(_succeeds(s3.list_objects_v2, Bucket=IMAGES, **words) for words in asked):
        yield "list"


def _succeeds(call: Any, **asked: Any) -> bool:
    try:
        call(**asked)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        assert code in ("AccessDenied", "AccessDeniedException", _AUTHORIZED)
        return code == _AUTHORIZED
    return True


def is_taken(put: Any, **asked: Any) -> bool:
    """Whether the service takes a policy."""
    try:
        put(**asked)
    except ClientError as error:
        assert error.response["Error"]["Code"] in ("MalformedPolicy", "MalformedPolicyDocumentException")
        return False
    return True


def unexpected(openings: Iterable[Opening], where: str) -> list[Opening]:
    """Whom podshare reports, of everybody whom it reads in a policy."""
    return [opening for opening in openings if not _expected(opening, where)]


def _expected(opening: Opening, where: str) -> str:
    door = Door(
        kind="statement",
        account=DATA,
        region=REGION,
        container="",
        principal=opening.who,
        gives=opening.may,
        where=where,
        what=opening.what,
        written_at=opening.name,
        closed_by="",
    )
    return data_doors.expected_by(door, SHARES, (), OWN_ROLES)


def means(opening: Opening, who: str) -> bool:
    """Whether it is about somebody among others."""
    return includes_principal(opening.who, who) or opening.who.startswith("anybody with")


def gives(opening: Opening, use: str) -> bool:
    """Whether it allows a use, as a verb or by an action, with the team's object."""
    action = {"read": "s3:getobject", "list": "s3:listbucket"}[use]
    does = use in opening.may or any(policies.covers(verb.lower(), action) for verb in opening.may)
    return does and policies.covers(opening.what, KEY)


def test_whoever_gets_into_a_bucket_is_found(
    world: World, callers: dict[str, boto3.Session], record_property: Callable[[str, object], None]
) -> None:
    """Each who reads or lists by a statement is unexpected by what podshare reads in it, with no less than that."""
    owners, got_in = world.sandbox.client("s3", DATA), Counter[tuple[str, str]]()
    clients = {who: session.client("s3") for who, session in callers.items()}

    @settings(max_examples=300)
    @given(statement=statements(ACTIONS, RESOURCES))
    def hold(statement: Item) -> None:
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        if not is_taken(owners.put_bucket_policy, Bucket=IMAGES, Policy=json.dumps(policy)):
            return
        told = unexpected(data_doors.of_bucket(policy, BUCKET), BUCKET)
        for who, use in ((who, use) for who, client in clients.items() for use in uses(client)):
            got_in[who, use] += 1
            assert any(means(opening, who) and gives(opening, use) for opening in told), f"{who} may {use}"

    hold()
    record_property("somebody got into a bucket by a generated statement", got_in.total())
    assert len(got_in) == len(callers) * 2


def test_whoever_decrypts_is_found(
    world: World, callers: dict[str, boto3.Session], record_property: Callable[[str, object], None]
) -> None:
    """The same for the policy of a key."""
    owners, got_in = world.sandbox.client("kms", DATA), Counter[str]()
    asked = {"CiphertextBlob": owners.encrypt(KeyId=KMS_KEY, Plaintext=b"x")["CiphertextBlob"], "KeyId": KMS_KEY}
    before = json.loads(owners.get_key_policy(KeyId=KMS_KEY, PolicyName="default")["Policy"])
    clients = {who: session.client("kms") for who, session in callers.items()}

    @settings(max_examples=150)
    @given(statement=statements(KEY_ACTIONS, ("*",)))
    def hold(statement: Item) -> None:
        policy = {**before, "Statement": [*before["Statement"], statement]}
        place = {"KeyId": KMS_KEY, "PolicyName": "default"}
        if not is_taken(owners.put_key_policy, **place, Policy=json.dumps(policy)):
            return
        told = unexpected(data_doors.of_key(policy), KMS_KEY)
        for who in (who for who, client in clients.items() if _succeeds(client.decrypt, **asked)):
            got_in[who] += 1
            assert any(means(opening, who) and "kms:Decrypt" in opening.may for opening in told), who

    hold()
    record_property("somebody decrypted by a generated statement", got_in.total())
    assert len(got_in) == len(callers)
