"""Bucket policies are refused, shown and judged as S3 does it."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from podshare_sandbox.services import buckets
from sandbox.tests.eks_accounts import DATA, HUB, REGION, add_administrators
from sandbox.tests.eks_accounts import client as client_of_administrator

BUCKET = "web-text-333333333333"
ARN = f"arn:aws:s3:::{BUCKET}"

ClientOf = Callable[..., Any]


@pytest.fixture
def client() -> Iterator[ClientOf]:
    """boto3 clients as an administrator of any account; the data account has a bucket."""
    with mock_aws():
        buckets.install()
        add_administrators(DATA, HUB)
        client_of("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        yield client_of


def client_of(service: str, account: str = DATA, region: str = REGION) -> Any:
    """A boto3 client as the account's administrator."""
    return client_of_administrator(service, account, region)


def statement(**elements: Any) -> dict[str, Any]:
    """A statement of a bucket policy that AWS accepts, with ``elements`` changed; None leaves one out."""
    whole = {
        "Sid": "One",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{HUB}:root"},
        "Action": "s3:GetObject",
        "Resource": f"{ARN}/*",
    } | elements
    return {name: value for name, value in whole.items() if value is not None}


def policy(*statements: dict[str, Any]) -> str:
    """A policy document with these statements."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def put(s3: Any, *statements: dict[str, Any], **more: Any) -> None:
    """Write the bucket's policy."""
    s3.put_bucket_policy(Bucket=BUCKET, Policy=policy(*statements), **more)


def shown(s3: Any) -> list[dict[str, Any]]:
    """The statements of the bucket's policy as S3 answers them."""
    statements = json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"]
    return list(statements)


def make_role(iam: Any, name: str) -> str:
    """The ARN of a new role."""
    trust = policy({"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"})
    return str(iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"])


def refusal(call: Callable[[], Any]) -> tuple[str, int, str]:
    """Code, HTTP status and message with which a call is refused."""
    with pytest.raises(ClientError) as caught:
        call()
    response = caught.value.response
    error = response["Error"]
    return error["Code"], response["ResponseMetadata"]["HTTPStatusCode"], error.get("Message", "")


MALFORMED: list[Any] = [
    ("no json", "Policies must be valid JSON"),
    ("[]", "Policies must be valid JSON"),
    ('{"Version":"2012-10-17","Statement":[],"Statement":[]}', "same element twice"),
    (json.dumps({"Version": "2012-10-17"}), "Missing required field Statement"),
    (json.dumps({"Version": "2020-01-01", "Statement": [statement()]}), "valid version"),
    (json.dumps({"Statement": [statement()], "Owner": "me"}), "Unknown field Owner"),
    (policy(statement(Sid="One"), statement(Sid="One")), "must be unique"),
    (policy(statement(Effect="Maybe")), "Invalid effect"),
    (policy(statement(Principal=None)), "Missing required field Principal"),
    (policy(statement(Action=None)), "Missing required field Action"),
    (policy(statement(Resource=None)), "Missing required field Resource"),
    (policy(statement(Colour="red")), "Unknown field Colour"),
    (policy(statement(Action="s3:GetEverything")), "invalid action"),
    (policy(statement(Action="ec2:RunInstances")), "invalid action"),
    (policy(statement(Action="s3:ListBucket")), "Action does not apply to any resource"),
    (policy(statement(Resource="*")), "invalid resource"),
    (policy(statement(Resource="arn:aws:s3:::other/*")), "invalid resource"),
    (policy(statement(Resource=f"{ARN}-2/*")), "invalid resource"),
    (policy(statement(Principal={"AWS": f"arn:aws:iam::{HUB}:role/absent"})), "Invalid principal"),
    (policy(statement(Principal={"AWS": f"arn:aws:iam::{HUB}:role/*"})), "Invalid principal"),
    (policy(statement(Principal={"AWS": "AROAAAAAAAAAAAAAAAAAA"})), "Invalid principal"),
    (policy(statement(Principal={"Service": "nobody"})), "Invalid principal"),
    (policy(statement(Principal={"People": "all"})), "Invalid principal"),
    (policy(statement(Condition={"StringIs": {"aws:PrincipalArn": "x"}})), "Invalid Condition type"),
    (policy(statement(Condition={"StringEquals": {"s3:Colour": "x"}})), "invalid condition key"),
    (policy(statement(Condition={"StringEquals": {"s3:prefix": "x"}})), "Conditions do not apply"),
    (policy(statement(Sid="x" * buckets.LARGEST_POLICY)), "maximum allowed document size"),
]


def test_malformed_policies_are_refused(client: ClientOf) -> None:
    """PutBucketPolicy takes only documents of the policy grammar, about this bucket, within 20 KB."""
    for document, message in MALFORMED:
        code, status, text = refusal(partial(client("s3").put_bucket_policy, Bucket=BUCKET, Policy=document))
        assert (code, status) == ("MalformedPolicy", 400)
        assert message in text, document[:200]


def test_a_policy_comes_back_with_its_meaning_and_order(client: ClientOf) -> None:
    """S3 answers the statements in their order, single values unwrapped, account ids as root ARNs."""
    audit = statement(Sid="Audit", Principal={"AWS": [DATA]}, Action=["s3:GetBucketLocation"], Resource=[ARN])
    listing = statement(
        Sid="List",
        Principal="*",
        Action=["s3:ListBucket", "s3:ListBucketVersions"],
        Resource=ARN,
        Condition={"StringEquals": {"s3:DataAccessPointAccount": DATA}, "StringLike": {"s3:prefix": "a/*"}},
    )
    put(client("s3"), audit, listing)
    assert shown(client("s3")) == [
        audit
        | {
            "Principal": {"AWS": f"arn:aws:iam::{DATA}:root"},
            "Action": "s3:GetBucketLocation",
            "Resource": ARN,
        },
        listing,
    ]


def test_a_deleted_role_stays_as_its_unique_id(client: ClientOf) -> None:
    """A policy names roles by unique id: one that is deleted shows as AROA…, one made anew is not meant."""
    iam = client("iam", HUB)
    arn = make_role(iam, "reader")
    put(client("s3"), statement(Principal={"AWS": arn}))
    assert shown(client("s3"))[0]["Principal"] == {"AWS": arn}

    iam.delete_role(RoleName="reader")
    dead = shown(client("s3"))[0]["Principal"]["AWS"]
    assert dead.startswith("AROA")

    make_role(iam, "reader")
    assert shown(client("s3"))[0]["Principal"] == {"AWS": dead}


def test_a_dead_principal_in_any_statement_blocks_the_next_write(client: ClientOf) -> None:
    """PutBucketPolicy refuses a document in which a foreign statement names a principal that is gone."""
    iam = client("iam", HUB)
    put(client("s3"), statement(Sid="Foreign", Principal={"AWS": make_role(iam, "reader")}))
    iam.delete_role(RoleName="reader")
    again = [*shown(client("s3")), statement(Sid="Ours")]
    assert refusal(lambda: put(client("s3"), *again)) == ("MalformedPolicy", 400, "Invalid principal in policy")


def test_another_account_may_not_touch_the_policy(client: ClientOf) -> None:
    """Get, Put and DeleteBucketPolicy from an account that does not own the bucket answer 405."""
    s3, other = client("s3"), client("s3", HUB)
    put(s3, statement())
    for call in (
        lambda: put(other, statement()),
        lambda: other.get_bucket_policy(Bucket=BUCKET),
        lambda: other.delete_bucket_policy(Bucket=BUCKET),
    ):
        assert refusal(call)[:2] in {("MethodNotAllowed", 405), ("AccessDenied", 403)}
    assert shown(s3) == [statement()]


def test_absent_policies_answer_their_codes(client: ClientOf) -> None:
    """NoSuchBucketPolicy and NoSuchBucket are 404; deleting a policy that is not there succeeds."""
    s3 = client("s3")
    assert refusal(lambda: s3.get_bucket_policy(Bucket=BUCKET))[:2] == ("NoSuchBucketPolicy", 404)
    assert refusal(lambda: s3.get_bucket_policy_status(Bucket=BUCKET))[:2] == ("NoSuchBucketPolicy", 404)
    assert refusal(lambda: s3.get_bucket_policy(Bucket="absent-bucket"))[:2] == ("NoSuchBucket", 404)
    s3.delete_bucket_policy(Bucket=BUCKET)
    put(s3, statement())
    s3.delete_bucket_policy(Bucket=BUCKET)
    assert refusal(lambda: s3.get_bucket_policy(Bucket=BUCKET))[0] == "NoSuchBucketPolicy"


def test_the_expected_owner_is_honoured(client: ClientOf) -> None:
    """A request that expects another owner of the bucket is refused, for the bucket and for its objects."""
    s3 = client("s3")
    put(s3, statement(), ExpectedBucketOwner=DATA)
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"1", ExpectedBucketOwner=DATA)
    for call in (
        lambda: put(s3, statement(), ExpectedBucketOwner=HUB),
        lambda: s3.get_bucket_policy(Bucket=BUCKET, ExpectedBucketOwner=HUB),
        lambda: s3.get_object(Bucket=BUCKET, Key="a", ExpectedBucketOwner=HUB),
    ):
        assert refusal(call)[:2] == ("AccessDenied", 403)


PUBLIC = statement(Principal="*")
NARROW: list[dict[str, Any]] = [
    {"StringEquals": {"aws:PrincipalOrgID": "o-podshare01"}},
    {"ArnEquals": {"aws:PrincipalArn": f"arn:aws:iam::{HUB}:role/a"}},
    {"ArnLike": {"aws:SourceArn": "arn:aws:sns:us-west-2:111111111111:topic"}},
    {"StringEquals": {"aws:SourceVpc": "vpc-91237329"}},
    {"StringEquals": {"s3:DataAccessPointAccount": [DATA, HUB]}},
    {"ArnLike": {"s3:DataAccessPointArn": f"arn:aws:s3:us-west-2:{DATA}:accesspoint/podshare-*"}},
    {"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "203.0.113.0/24"]}},
    {"StringLike": {"aws:userid": "AROAEXAMPLEID:session"}},
]
WIDE: list[dict[str, Any]] = [
    {},
    {"StringLike": {"aws:SourceVpc": "vpc-*"}},
    {"StringEquals": {"aws:SourceArn": "${aws:PrincipalTag/arn}"}},
    {"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-podshare01"}},
    {"ForAllValues:StringEquals": {"aws:PrincipalOrgID": "o-podshare01"}},
    {"StringNotEquals": {"aws:PrincipalOrgID": "o-other"}},
    {"StringEquals": {"aws:PrincipalTag/team": "a"}},
    {"Bool": {"aws:SecureTransport": "true"}},
    {"ArnLike": {"s3:DataAccessPointArn": "arn:aws:s3:us-west-2:*:accesspoint/podshare-*"}},
    {"IpAddress": {"aws:SourceIp": "0.0.0.0/1"}},
    {"IpAddress": {"aws:SourceIp": "2001:db8::/16"}},
    {"StringLike": {"aws:userid": "AROAEXAMPLEID:*"}},
]


CONDITIONS: list[Any] = [*((each, False) for each in NARROW), *((each, True) for each in WIDE)]


def test_fixed_values_make_a_policy_non_public(client: ClientOf) -> None:
    """A statement for everybody is public unless a condition names fixed values of the documented keys."""
    s3 = client("s3")
    s3.delete_public_access_block(Bucket=BUCKET)
    for condition, is_public in CONDITIONS:
        put(s3, statement(Principal="*", Condition=condition or None))
        assert s3.get_bucket_policy_status(Bucket=BUCKET)["PolicyStatus"]["IsPublic"] is is_public, condition


@pytest.mark.parametrize(
    ("elements", "is_public"),
    [
        ({"Principal": {"AWS": "*"}}, True),
        ({"Principal": {"AWS": f"arn:aws:iam::{HUB}:root"}}, False),
        ({"Principal": {"Service": "cloudtrail.amazonaws.com"}}, False),
        ({"Principal": {"Federated": "graph.facebook.com"}}, True),
        ({"Principal": None, "NotPrincipal": {"AWS": f"arn:aws:iam::{HUB}:root"}}, True),
        ({"Principal": "*", "Effect": "Deny"}, False),
    ],
)
def test_principals_decide_whether_a_policy_is_public(elements: dict[str, Any], is_public: bool) -> None:
    """Fixed principals and denials are never public; everybody, a web identity provider, or all but some are."""
    document = {"Statement": [statement(Sid="Fixed"), statement(**elements)]}
    assert buckets.is_public(document) is is_public


def test_block_public_policy_refuses_public_policies(client: ClientOf) -> None:
    """New buckets are born with all four blocks, so a public policy is refused until they are taken away."""
    s3 = client("s3")
    block = s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]
    assert set(block.values()) == {True}
    assert refusal(lambda: put(s3, PUBLIC))[:2] == ("AccessDenied", 403)

    s3.delete_public_access_block(Bucket=BUCKET)
    absent = refusal(lambda: s3.get_public_access_block(Bucket=BUCKET))
    assert absent[:2] == ("NoSuchPublicAccessBlockConfiguration", 404)
    put(s3, PUBLIC)


def test_every_bucket_is_encrypted(client: ClientOf) -> None:
    """Without a configuration of its own a bucket has SSE-S3 (S3 User Guide, "Setting default server-side encryption")."""
    s3 = client("s3")
    default = [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}]
    assert s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"] == default
    by_key = [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "k"}}]
    s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": by_key})
    (rule,) = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == "k"
    s3.delete_bucket_encryption(Bucket=BUCKET)
    assert s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"] == default


def test_the_account_s_block_holds_for_its_buckets(client: ClientOf) -> None:
    """BlockPublicPolicy of the account refuses a public policy of a bucket that has no block."""
    client("s3").delete_public_access_block(Bucket=BUCKET)
    client("s3control").put_public_access_block(
        AccountId=DATA, PublicAccessBlockConfiguration={"BlockPublicPolicy": True}
    )
    assert refusal(lambda: put(client("s3"), PUBLIC))[:2] == ("AccessDenied", 403)


def test_one_public_statement_bars_other_accounts(client: ClientOf) -> None:
    """RestrictPublicBuckets with a public statement bars all other accounts; without either it does not."""
    s3 = client("s3")
    put(s3, statement())
    assert not buckets.restricts_cross_account(BUCKET)

    restricting = {"BlockPublicPolicy": False, "RestrictPublicBuckets": True}
    s3.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration=restricting)
    put(s3, statement(), PUBLIC | {"Sid": "Public"})
    assert buckets.restricts_cross_account(BUCKET)

    s3.delete_public_access_block(Bucket=BUCKET)
    assert not buckets.restricts_cross_account(BUCKET)
    assert not buckets.restricts_cross_account("absent-bucket")


def test_a_bucket_tells_its_region(client: ClientOf) -> None:
    """GetBucketLocation answers the Region, and nothing for us-east-1."""
    assert client("s3").get_bucket_location(Bucket=BUCKET)["LocationConstraint"] == REGION
    east = client("s3", region="us-east-1")
    east.create_bucket(Bucket="eastern-333333333333")
    assert east.get_bucket_location(Bucket="eastern-333333333333")["LocationConstraint"] is None


def test_a_denial_for_somebody_else_denies_nobody_else(client: ClientOf) -> None:
    """A Deny with a condition or principal does not shut out the owner, as moto's own check would."""
    s3 = client("s3")
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"1")
    put(s3, statement(Effect="Deny", Action="s3:*", Resource=[ARN, f"{ARN}/*"]))
    assert s3.get_object(Bucket=BUCKET, Key="a")["Body"].read() == b"1"


def test_concurrent_writes_leave_one_whole_policy(client: ClientOf) -> None:
    """The last of several concurrent PutBucketPolicy calls wins, whole."""
    s3 = client("s3")
    sids = [f"Writer{number}" for number in range(6)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda sid: put(s3, statement(Sid=sid)), sids))
    assert shown(s3)[0]["Sid"] in sids
