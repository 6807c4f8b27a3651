"""Sessions are what STS makes them: limited, tagged, chained, and ended with their role."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlparse

import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto import mock_aws
from moto.core.models import botocore_stubber

from podshare_sandbox import authorization, clock
from podshare_sandbox.services import iam, sts
from sandbox.tests.iam_accounts import (
    HUB,
    REGION,
    SCIENTIST,
    add_administrators,
    allow,
    assume,
    chain,
    client,
    make_role,
    policy,
    refused,
    session_client,
    trusting,
)


@pytest.fixture(autouse=True)
def accounts() -> Iterator[None]:
    """Accounts with administrators, IAM and STS in force."""
    with mock_aws():
        authorization.install()
        iam.install()
        sts.install()
        add_administrators()
        yield
        clock.reset()
        authorization.uninstall()


def identity(credentials: dict[str, Any]) -> tuple[str, str, str]:
    """What GetCallerIdentity answers: ARN, account, user id."""
    answer = session_client("sts", credentials).get_caller_identity()
    return answer["Arn"], answer["Account"], answer["UserId"]


def test_callers_learn_who_they_are() -> None:
    """GetCallerIdentity names users and sessions, and needs no permission."""
    admin = client("sts").get_caller_identity()
    assert admin["Arn"] == f"arn:aws:iam::{HUB}:user/admin"
    arn = make_role("vision", Path="/team/")
    role_id = client("iam").get_role(RoleName="vision")["Role"]["RoleId"]
    session = f"arn:aws:sts::{HUB}:assumed-role/vision/ann"
    assert identity(assume(arn, RoleSessionName="ann")) == (session, HUB, f"{role_id}:ann")


def test_a_presigned_url_proves_who_signed_it() -> None:
    """An EKS token is a presigned GetCallerIdentity, whose access key stands in the query."""
    found = assume(make_role("vision"))
    request = AWSRequest("GET", "https://sts.us-west-2.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15")
    keys = Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])
    SigV4QueryAuth(keys, "sts", REGION, expires=60).add_auth(request)
    answer = botocore_stubber.process_request(request.prepare())
    assert answer is not None
    assert answer[0] == 200
    assert f"arn:aws:sts::{HUB}:assumed-role/vision/test" in str(answer[2])
    assert "X-Amz-Credential" in urlparse(request.url).query


@pytest.mark.parametrize(
    ("trust", "admitted"),
    [
        (trusting({"AWS": SCIENTIST}), True),
        (trusting({"AWS": f"arn:aws:iam::{SCIENTIST}:root"}), True),
        (trusting({"AWS": f"arn:aws:iam::{SCIENTIST}:user/admin"}), True),
        (trusting({"AWS": "*"}), True),
        (trusting({"AWS": HUB}), False),
        (trusting({"Service": "ec2.amazonaws.com"}), False),
        (trusting({"AWS": SCIENTIST}, "sts:TagSession"), False),
        (
            trusting(
                {"AWS": SCIENTIST},
                Condition={"ArnEquals": {"aws:PrincipalArn": f"arn:aws:iam::{SCIENTIST}:user/admin"}},
            ),
            True,
        ),
        (
            trusting(
                {"AWS": SCIENTIST},
                Condition={"ArnEquals": {"aws:PrincipalArn": f"arn:aws:iam::{SCIENTIST}:role/x"}},
            ),
            False,
        ),
        (trusting({"AWS": SCIENTIST}, Condition={"StringEquals": {"sts:ExternalId": "secret"}}), False),
        (trusting({"AWS": SCIENTIST}, Condition={"StringLike": {"sts:RoleSessionName": "te*"}}), True),
        (trusting({"AWS": SCIENTIST}, Condition={"StringEquals": {"sts:RoleSessionName": "other"}}), False),
        (trusting({"AWS": SCIENTIST}, Condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}}), False),
    ],
)
def test_the_trust_policy_decides(trust: str, admitted: bool) -> None:
    """Another account's administrator gets in exactly where the trust policy says so."""
    arn = make_role("target", trust=trust)
    scientist = client("sts", SCIENTIST)
    if admitted:
        assert chain(scientist, arn)["AccessKeyId"].startswith("ASIA")
    else:
        message = refused(scientist.assume_role, "AccessDenied", 403, RoleArn=arn, RoleSessionName="test")
        who = f"arn:aws:iam::{SCIENTIST}:user/admin"
        assert message == f"User: {who} is not authorized to perform: sts:AssumeRole on resource: {arn}"


def test_an_external_id_is_needed_where_the_trust_asks_for_it() -> None:
    """sts:ExternalId is what the caller sends."""
    condition = {"StringEquals": {"sts:ExternalId": "secret"}}
    arn = make_role("target", trust=trusting({"AWS": SCIENTIST}, Condition=condition))
    assert chain(client("sts", SCIENTIST), arn, ExternalId="secret")["SessionToken"]


def test_the_caller_needs_leave_to_assume_too() -> None:
    """Across accounts the caller's own policies count; within one, naming the role in the trust is enough."""
    nobody = make_role("nobody", account=SCIENTIST)
    target = make_role("target", trust=trusting({"AWS": nobody}))
    session = session_client("sts", assume(nobody, SCIENTIST))
    refused(session.assume_role, "AccessDenied", RoleArn=target, RoleSessionName="s2")
    neighbour = make_role("neighbour", account=SCIENTIST, trust=trusting({"AWS": nobody}))
    assert chain(session, neighbour)["AccessKeyId"]
    client("iam", SCIENTIST).put_role_policy(
        RoleName="nobody", PolicyName="p", PolicyDocument=policy(allow("sts:AssumeRole", target))
    )
    assert chain(session, target)["AccessKeyId"]


def test_an_absent_role_cannot_be_assumed() -> None:
    """A role that does not exist is refused as one that does not trust."""
    absent = f"arn:aws:iam::{SCIENTIST}:role/absent"
    refused(client("sts").assume_role, "AccessDenied", 403, RoleArn=absent, RoleSessionName="s2")


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"RoleSessionName": "a b"}, "regular expression"),
        ({"RoleSessionName": "x" * 65}, "less than or equal to 64"),
        ({"DurationSeconds": 899}, "900"),
        ({"DurationSeconds": 43201}, "less than or equal to 43200"),
        ({"DurationSeconds": 7200}, "exceeds the MaxSessionDuration set for this role"),
        ({"SourceIdentity": "a b"}, "regular expression"),
        ({"Tags": [{"Key": "aws:x", "Value": "1"}]}, "reserved prefix"),
    ],
)
def test_parameters_of_a_session_have_limits(request_: dict[str, Any], message: str) -> None:
    """Names, durations and tags are validated with the code ValidationError."""
    arn = make_role("target", trust=trusting({"AWS": HUB}, "sts:*"))
    request: dict[str, Any] = {"RoleArn": arn, "RoleSessionName": "test", **request_}
    refused(client("sts").assume_role, "ValidationError", 400, message, **request)


def test_a_chained_session_lasts_an_hour_at_most() -> None:
    """A session that assumes a role cannot ask for more than an hour, whatever the role's maximum."""
    first = make_role("first", allow("sts:AssumeRole"))
    second = make_role("second", trust=trusting({"AWS": HUB}), MaxSessionDuration=43200)
    session = session_client("sts", assume(first))
    request: dict[str, Any] = {"RoleArn": second, "RoleSessionName": "s2"}
    refused(session.assume_role, "ValidationError", match="role chaining", DurationSeconds=3601, **request)
    left = chain(session, second, DurationSeconds=3600)["Expiration"] - datetime.now(UTC)
    assert timedelta(minutes=59) < left <= timedelta(hours=1)
    left = assume(second, DurationSeconds=43200)["Expiration"] - datetime.now(UTC)
    assert left > timedelta(hours=11)


def test_a_session_ends_when_it_expires() -> None:
    """After its expiration a session's credentials are refused as expired, in each protocol's words."""
    found = assume(make_role("target", allow("*")), DurationSeconds=900)
    assert session_client("iam", found).list_roles()["Roles"]
    clock.advance(901)
    refused(session_client("iam", found).list_roles, "ExpiredToken", 403)
    refused(session_client("dynamodb", found).list_tables, "ExpiredTokenException", 400)
    refused(session_client("s3", found).list_buckets, "ExpiredToken", 400)


def test_sessions_end_with_their_role_and_stay_ended() -> None:
    """Deleting a role ends its sessions, and a role of the same name does not bring them back."""
    arn = make_role("target", trust=trusting({"AWS": HUB}))
    found = assume(arn)
    client("iam").delete_role(RoleName="target")
    session = session_client("sts", found)
    refused(session.get_caller_identity, "InvalidClientTokenId", 403)
    make_role("target", allow("*"))
    refused(session.get_caller_identity, "InvalidClientTokenId", 403)
    refused(session_client("iam", found).list_roles, "InvalidClientTokenId", 403)


TAGS = [{"Key": "team", "Value": "vision"}]


def test_session_tags_need_leave_of_caller_and_trust() -> None:
    """sts:TagSession is needed on both sides; the tags then stand for the principal's, over its role's."""
    plain = make_role("plain", trust=trusting({"AWS": SCIENTIST}))
    scientist = client("sts", SCIENTIST)
    refused(
        scientist.assume_role, "AccessDenied", match="sts:TagSession", RoleArn=plain, RoleSessionName="s2", Tags=TAGS
    )
    condition = {"StringEquals": {"aws:RequestTag/team": "vision"}}
    trust = trusting({"AWS": SCIENTIST}, "sts:AssumeRole", "sts:TagSession", Condition=condition)
    own = allow("iam:GetRole", f"arn:aws:iam::{HUB}:role/${{aws:PrincipalTag/team}}")
    arn = make_role("tagged", own, trust=trust, Tags=[{"Key": "team", "Value": "none"}])
    make_role("vision")
    refused(scientist.assume_role, "AccessDenied", RoleArn=arn, RoleSessionName="s2")
    session = session_client("iam", chain(scientist, arn, Tags=TAGS))
    assert session.get_role(RoleName="vision")["Role"]["RoleName"] == "vision"
    refused(session.get_role, "AccessDenied", RoleName="tagged")


def test_transitive_tags_pass_through_a_chain() -> None:
    """Transitive tags reach the next session, cannot be set anew there, and others stay behind."""
    first = make_role("first", allow("sts:*"))
    second = make_role("second", trust=trusting({"AWS": HUB}, "sts:AssumeRole", "sts:TagSession"))
    tags = [*TAGS, {"Key": "cost", "Value": "1"}]
    session = session_client("sts", assume(first, Tags=tags, TransitiveTagKeys=["team"]))
    found = chain(session, second, Tags=[{"Key": "own", "Value": "2"}])
    assert authorization.identify(found["AccessKeyId"]).tags == {"team": "vision", "own": "2"}
    request: dict[str, Any] = {"RoleArn": second, "RoleSessionName": "s2"}
    other = [{"Key": "Team", "Value": "other"}]
    refused(session.assume_role, "InvalidParameterValue", match="conflicts with a transitive", Tags=other, **request)
    admin = client("sts").assume_role
    refused(admin, "InvalidParameterValue", match="must be included", TransitiveTagKeys=["team"], **request)
    twice = [*TAGS, {"Key": "TEAM", "Value": "x"}]
    refused(admin, "InvalidParameterValue", match="case insensitive", Tags=twice, **request)


def test_inherited_tags_need_leave_of_the_next_trust() -> None:
    """A role whose trust does not allow sts:TagSession is closed to sessions with transitive tags."""
    first = make_role("first", allow("sts:*"))
    second = make_role("second", trust=trusting({"AWS": HUB}))
    tagged = session_client("sts", assume(first, Tags=TAGS, TransitiveTagKeys=["team"]))
    refused(tagged.assume_role, "AccessDenied", match="sts:TagSession", RoleArn=second, RoleSessionName="s2")
    assert chain(session_client("sts", assume(first, Tags=TAGS)), second)["AccessKeyId"]


def test_a_source_identity_stays() -> None:
    """It needs sts:SetSourceIdentity all along the chain, follows every session, and cannot be changed."""
    actions = ("sts:AssumeRole", "sts:SetSourceIdentity")
    first = make_role("first", allow("sts:*"), trust=trusting({"AWS": HUB}, *actions))
    second = make_role("second", trust=trusting({"AWS": HUB}, *actions))
    closed = make_role("closed", trust=trusting({"AWS": HUB}))
    answer = client("sts").assume_role(RoleArn=first, RoleSessionName="s1", SourceIdentity="ann")
    assert answer["SourceIdentity"] == "ann"
    session = session_client("sts", answer["Credentials"])
    assert session.assume_role(RoleArn=second, RoleSessionName="s2")["SourceIdentity"] == "ann"
    refused(session.assume_role, "AccessDenied", RoleArn=second, RoleSessionName="s2", SourceIdentity="bob")
    match = "sts:SetSourceIdentity"
    refused(session.assume_role, "AccessDenied", match=match, RoleArn=closed, RoleSessionName="s2")


def test_a_session_policy_cuts_down_a_session() -> None:
    """Only what role and session policy both allow is left; managed session policies add to the inline one."""
    managed = client("iam").create_policy(PolicyName="m", PolicyDocument=policy(allow("iam:GetRole")))
    arn = make_role("target", allow("iam:*"))
    request: dict[str, Any] = {"Policy": policy(allow(["iam:ListRoles", "sqs:ListQueues"]))}
    found = assume(arn, **request, PolicyArns=[{"arn": managed["Policy"]["Arn"]}])
    session = session_client("iam", found)
    assert session.list_roles()["Roles"]
    assert session.get_role(RoleName="target")["Role"]["Arn"] == arn
    match = "because no session policy allows the iam:ListUsers action"
    refused(session.list_users, "AccessDenied", match=match)
    refused(session_client("sqs", found).list_queues, "AccessDenied", match="no identity-based policy")


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"Policy": "{"}, "MalformedPolicyDocument"),
        ({"Policy": json.dumps({"Statement": [{"Effect": "Allow", "Action": "s3:*"}]})}, "MalformedPolicyDocument"),
        ({"Policy": policy(allow("s3:*", ["arn:aws:s3:::" + "x" * 2000]))}, "PackedPolicyTooLarge"),
        ({"PolicyArns": [{"arn": f"arn:aws:iam::{HUB}:policy/absent"}]}, "ValidationError"),
    ],
)
def test_a_session_policy_must_be_a_policy(request_: dict[str, Any], code: str) -> None:
    """Session policies obey the grammar and the size limit, and managed ones must exist."""
    arn = make_role("target")
    refused(client("sts").assume_role, code, 400, RoleArn=arn, RoleSessionName="s2", **request_)


def test_any_key_shows_its_account() -> None:
    """GetAccessKeyInfo tells the account of users' and sessions' keys alike."""
    found = assume(make_role("target", account=SCIENTIST), SCIENTIST)
    assert client("sts").get_access_key_info(AccessKeyId=found["AccessKeyId"])["Account"] == SCIENTIST
    refused(client("sts").get_access_key_info, "InvalidClientTokenId", AccessKeyId="AKIAQQQQQQQQQQQQQQQQ")


def test_what_is_not_emulated_is_refused_loudly() -> None:
    """Sessions of users and federation are not pretended."""
    with pytest.raises(NotImplementedError, match="GetSessionToken"):
        client("sts").get_session_token()
