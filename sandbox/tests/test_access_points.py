"""Access points: control operations answer as documented, data requests act on the bucket behind them."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, ParamValidationError
from moto import mock_aws
from moto.core.models import botocore_stubber

from podshare_sandbox.services import access_points, buckets
from sandbox.tests.eks_accounts import DATA, HUB, REGION, add_administrators, credentials_of
from sandbox.tests.eks_accounts import client as client_of_administrator

BUCKET, OTHER_BUCKET = "web-text-333333333333", "curated-images-333333333333"
NAME = "podshare-vision-0a1b2c3d4e5f"
ARN = f"arn:aws:s3:{REGION}:{DATA}:accesspoint/{NAME}"
HOST = f"{NAME}-{DATA}.s3-accesspoint.{REGION}.amazonaws.com"
EVERY_BLOCK = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)

ClientOf = Callable[..., Any]


@pytest.fixture
def client() -> Iterator[ClientOf]:
    """boto3 clients as an administrator of any account; the data account has two buckets."""
    with mock_aws():
        buckets.install()
        access_points.install()
        add_administrators(DATA, HUB)
        for bucket in (BUCKET, OTHER_BUCKET):
            client_of("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        yield client_of


@pytest.fixture
def control(client: ClientOf) -> Any:
    """S3 Control in the data account."""
    return client("s3control")


def client_of(service: str, account: str = DATA, region: str = REGION) -> Any:
    """A boto3 client as the account's administrator."""
    return client_of_administrator(service, account, region)


def create(control: Any, name: str = NAME, **more: Any) -> dict[str, Any]:
    """Create an access point of the data account."""
    response = control.create_access_point(**({"AccountId": DATA, "Name": name, "Bucket": BUCKET} | more))
    return dict(response)


def statement(**elements: Any) -> dict[str, Any]:
    """A statement of an access point policy that AWS accepts, with ``elements`` changed."""
    return {
        "Sid": "One",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{HUB}:root"},
        "Action": "s3:GetObject",
        "Resource": f"{ARN}/object/crawl/*",
    } | elements


def put_policy(control: Any, *statements: dict[str, Any]) -> None:
    """Write the access point's policy."""
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    control.put_access_point_policy(AccountId=DATA, Name=NAME, Policy=document)


def refusal(call: Callable[[], Any]) -> tuple[str, int]:
    """Code and HTTP status with which a call is refused."""
    with pytest.raises(ClientError) as caught:
        call()
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def get_signed(url: str) -> tuple[int, bytes]:
    """Status and body of a signed GET without an SDK, as the front door hands it in."""
    request = AWSRequest("GET", url, headers={"host": url.split("/")[2]})
    S3SigV4Auth(Credentials(*credentials_of(DATA)), "s3", REGION).add_auth(request)
    answer = botocore_stubber.process_request(request.prepare())
    assert answer is not None
    status, _, body = answer
    return status, body if isinstance(body, bytes) else str(body).encode()


def test_an_access_point_tells_all_about_itself(control: Any) -> None:
    """GetAccessPoint answers what CreateAccessPoint set, with all four blocks on, an alias and endpoints."""
    created = create(control)
    assert created["AccessPointArn"] == ARN
    assert created["Alias"].startswith("podshare-vision-0a1b-")
    assert created["Alias"].endswith("-s3alias")
    assert len(created["Alias"]) <= 63

    found = control.get_access_point(AccountId=DATA, Name=NAME)
    expected = {
        "Name": NAME,
        "Bucket": BUCKET,
        "BucketAccountId": DATA,
        "NetworkOrigin": "Internet",
        "AccessPointArn": ARN,
        "Alias": created["Alias"],
        "PublicAccessBlockConfiguration": EVERY_BLOCK,
        "DataSourceId": f"arn:aws:s3:::{BUCKET}",
    }
    assert {name: found[name] for name in expected} == expected
    assert found["Endpoints"]["ipv4"] == f"s3-accesspoint.{REGION}.amazonaws.com"
    assert found["CreationDate"].tzinfo is not None


def test_settings_of_creation_are_kept(control: Any) -> None:
    """A VPC origin, changed blocks and tags are those of the creation."""
    create(
        control,
        VpcConfiguration={"VpcId": "vpc-1"},
        PublicAccessBlockConfiguration={"BlockPublicPolicy": False},
        Tags=[{"Key": "podshare:team", "Value": "vision"}],
    )
    found = control.get_access_point(AccountId=DATA, Name=NAME)
    assert (found["NetworkOrigin"], found["VpcConfiguration"]) == ("VPC", {"VpcId": "vpc-1"})
    assert found["PublicAccessBlockConfiguration"] == EVERY_BLOCK | {"BlockPublicPolicy": False}
    tags = control.list_tags_for_resource(AccountId=DATA, ResourceArn=ARN)["Tags"]
    assert tags == [{"Key": "podshare:team", "Value": "vision"}]


BAD_NAMES: list[Any] = [
    "ab",
    "x" * 51,
    "Podshare",
    "-podshare",
    "podshare-",
    "pod.share",
    "pod_share",
    "podshare-s3alias",
]


def test_bad_names_are_refused(control: Any) -> None:
    """A name has 3 to 50 lowercase letters, digits and inner hyphens, and does not end like an alias."""
    for name in BAD_NAMES:
        with pytest.raises((ClientError, ParamValidationError)):
            create(control, name)
        assert control.list_access_points(AccountId=DATA)["AccessPointList"] == []


def test_refused_creations_answer_their_codes(client: ClientOf) -> None:
    """A taken name is 409, an absent bucket 404, somebody else's bucket or account 403, another Region 400."""
    control = client("s3control")
    create(control)
    assert refusal(lambda: create(control)) == ("AccessPointAlreadyOwnedByYou", 409)
    assert refusal(lambda: create(control, "new", Bucket="absent-bucket")) == ("NoSuchBucket", 404)
    assert refusal(lambda: create(control, "new", BucketAccountId=HUB)) == ("AccessDenied", 403)
    assert refusal(lambda: create(client("s3control", HUB), "new")) == ("AccessDenied", 403)
    eastern = client("s3control", region="us-east-1")
    assert refusal(lambda: create(eastern, "new")) == ("InvalidRequest", 400)
    assert refusal(lambda: create(control, "new", Scope={"Prefixes": ["a/"]})) == ("InvalidRequest", 400)


def test_another_account_s_bucket_must_be_named_with_its_account(client: ClientOf) -> None:
    """An access point may lie in another account than its bucket, if the request names the bucket's account."""
    hub = client("s3control", HUB)
    request = {"AccountId": HUB, "Name": "foreign", "Bucket": BUCKET}
    assert refusal(lambda: hub.create_access_point(**request)) == ("AccessDenied", 403)
    hub.create_access_point(**request, BucketAccountId=DATA)
    assert hub.get_access_point(AccountId=HUB, Name="foreign")["BucketAccountId"] == DATA


def test_control_operations_stay_within_the_account(client: ClientOf) -> None:
    """Every control operation for another account is refused, whatever the caller's permissions."""
    create(client("s3control"))
    hub = client("s3control", HUB)
    for call in (
        lambda: hub.get_access_point(AccountId=DATA, Name=NAME),
        lambda: hub.list_access_points(AccountId=DATA),
        lambda: hub.delete_access_point(AccountId=DATA, Name=NAME),
        lambda: put_policy(hub, statement()),
        lambda: hub.get_access_point_policy(AccountId=DATA, Name=NAME),
        lambda: hub.delete_access_point_policy(AccountId=DATA, Name=NAME),
        lambda: hub.get_access_point_policy_status(AccountId=DATA, Name=NAME),
        lambda: hub.list_tags_for_resource(AccountId=DATA, ResourceArn=ARN),
    ):
        assert refusal(call) == ("AccessDenied", 403)


def test_absent_access_points_answer_404(control: Any) -> None:
    """Every operation on an access point that does not exist, or lies in another Region, is NoSuchAccessPoint."""
    for call in (
        lambda: control.get_access_point(AccountId=DATA, Name=NAME),
        lambda: control.delete_access_point(AccountId=DATA, Name=NAME),
        lambda: put_policy(control, statement()),
        lambda: control.get_access_point_policy(AccountId=DATA, Name=NAME),
        lambda: control.delete_access_point_policy(AccountId=DATA, Name=NAME),
        lambda: control.get_access_point_policy_status(AccountId=DATA, Name=NAME),
        lambda: control.tag_resource(AccountId=DATA, ResourceArn=ARN, Tags=[]),
    ):
        assert refusal(call) == ("NoSuchAccessPoint", 404)


def test_names_are_unique_within_a_region_only(client: ClientOf) -> None:
    """The same name may be taken once in each Region; each Region sees its own."""
    eastern = client("s3control", region="us-east-1")
    client("s3", region="us-east-1").create_bucket(Bucket="eastern-bucket")
    create(client("s3control"))
    assert create(eastern, Bucket="eastern-bucket")["AccessPointArn"] == ARN.replace(REGION, "us-east-1")
    assert [each["Bucket"] for each in eastern.list_access_points(AccountId=DATA)["AccessPointList"]] == [
        "eastern-bucket"
    ]


def test_lists_are_paged_and_filtered(control: Any) -> None:
    """ListAccessPoints hands out pages of the asked size, by name, and can be limited to a bucket."""
    for number in range(5):
        create(control, f"point-{number}", Bucket=OTHER_BUCKET if number == 3 else BUCKET)
    names: list[str] = []
    token: dict[str, str] | None = {}
    while token is not None:
        page = control.list_access_points(AccountId=DATA, MaxResults=2, **token)
        assert len(page["AccessPointList"]) <= 2
        names += [each["Name"] for each in page["AccessPointList"]]
        token = {"NextToken": page["NextToken"]} if "NextToken" in page else None
    assert names == [f"point-{number}" for number in range(5)]
    of_bucket = control.list_access_points(AccountId=DATA, Bucket=OTHER_BUCKET)
    assert [each["Name"] for each in of_bucket["AccessPointList"]] == ["point-3"]
    assert refusal(lambda: control.list_access_points(AccountId=DATA, NextToken="no")) == (
        "InvalidNextToken",
        400,
    )


def test_deletion_takes_the_policy_along(control: Any) -> None:
    """DeleteAccessPoint works with a policy in place; a new one of the name has another alias and no policy."""
    alias = create(control)["Alias"]
    put_policy(control, statement())
    control.delete_access_point(AccountId=DATA, Name=NAME)
    assert create(control, Bucket=OTHER_BUCKET)["Alias"] != alias
    absent = refusal(lambda: control.get_access_point_policy(AccountId=DATA, Name=NAME))
    assert absent == ("NoSuchAccessPointPolicy", 404)


def test_policies_are_written_read_and_deleted(control: Any) -> None:
    """A policy comes back as it was meant; without one its reads answer 404 and its deletion succeeds."""
    create(control)
    listing = statement(
        Sid="List",
        Action="s3:ListBucket",
        Resource=ARN,
        Condition={"StringLike": {"s3:prefix": ["crawl/*"]}},
    )
    put_policy(control, statement(), listing)
    policy = json.loads(control.get_access_point_policy(AccountId=DATA, Name=NAME)["Policy"])
    assert policy == {"Version": "2012-10-17", "Statement": [statement(), listing]}

    for _ in range(2):
        control.delete_access_point_policy(AccountId=DATA, Name=NAME)
    for call in (control.get_access_point_policy, control.get_access_point_policy_status):
        assert refusal(partial(call, AccountId=DATA, Name=NAME)) == ("NoSuchAccessPointPolicy", 404)


@pytest.mark.parametrize(
    "elements",
    [
        {"Resource": f"arn:aws:s3:::{BUCKET}/*"},
        {"Resource": f"{ARN}-2/object/*"},
        {"Resource": f"{ARN}/crawl/*"},
        {"Resource": ARN},
        {"Action": "s3:ListBucket"},
        {"Action": "s3:Nothing"},
        {"Principal": {"AWS": f"arn:aws:iam::{HUB}:role/absent"}},
        {"Sid": "x" * buckets.LARGEST_POLICY},
    ],
)
def test_malformed_policies_are_refused(control: Any, elements: dict[str, Any]) -> None:
    """An access point's policy is about the access point and its objects, and names principals that exist."""
    create(control)
    assert refusal(lambda: put_policy(control, statement(**elements))) == ("MalformedPolicy", 400)


def test_a_role_made_anew_is_not_the_one_that_was_named(client: ClientOf) -> None:
    """A policy keeps a deleted role as AROA…, and does not take a new role of the name for it."""
    control, iam = client("s3control"), client("iam", HUB)
    trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})

    def make_role() -> str:
        return str(iam.create_role(RoleName="reader", AssumeRolePolicyDocument=document)["Role"]["Arn"])

    create(control)
    arn = make_role()
    put_policy(control, statement(Principal={"AWS": arn}))
    found = access_points.find(DATA, REGION, NAME)
    assert found is not None
    assert found.policy["Statement"][0]["Principal"] == {"AWS": arn}
    iam.delete_role(RoleName="reader")
    make_role()
    dead = found.policy["Statement"][0]["Principal"]
    assert dead["AWS"].startswith("AROA")
    assert refusal(lambda: put_policy(control, statement(Principal=dead))) == ("MalformedPolicy", 400)


def test_public_policies_are_told_and_blocked(control: Any) -> None:
    """A policy for everybody is public even with s3:DataAccessPointArn, and refused while BlockPublicPolicy is on."""
    public = statement(Principal="*", Condition={"ArnLike": {"s3:DataAccessPointArn": ARN}})
    create(control)
    assert refusal(lambda: put_policy(control, public)) == ("AccessDenied", 403)
    put_policy(control, statement())
    status = control.get_access_point_policy_status(AccountId=DATA, Name=NAME)
    assert status["PolicyStatus"]["IsPublic"] is False


def test_a_public_policy_bars_other_accounts(client: ClientOf) -> None:
    """RestrictPublicBuckets with a public policy bars other accounts; the access point's status says so."""
    control, s3 = client("s3control"), client("s3")
    s3.delete_public_access_block(Bucket=BUCKET)
    create(control, PublicAccessBlockConfiguration={"BlockPublicPolicy": False})
    put_policy(control, statement(Principal="*"))
    assert control.get_access_point_policy_status(AccountId=DATA, Name=NAME)["PolicyStatus"]["IsPublic"]
    found = access_points.find(DATA, REGION, NAME)
    assert found is not None
    assert found.restricts_cross_account
    put_policy(control, statement())
    assert not found.restricts_cross_account


def test_tags_are_added_listed_and_removed(control: Any) -> None:
    """TagResource adds and overwrites, UntagResource removes, a key twice or reserved is InvalidTag."""
    create(control)
    target = {"AccountId": DATA, "ResourceArn": ARN}
    control.tag_resource(**target, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    control.tag_resource(**target, Tags=[{"Key": "a", "Value": "3"}])
    control.untag_resource(**target, TagKeys=["b", "never there"])
    assert control.list_tags_for_resource(**target)["Tags"] == [{"Key": "a", "Value": "3"}]
    twice = [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]
    assert refusal(lambda: control.tag_resource(**target, Tags=twice)) == ("InvalidTag", 400)
    reserved = [{"Key": "aws:a", "Value": "1"}]
    assert refusal(lambda: control.tag_resource(**target, Tags=reserved)) == ("InvalidTag", 400)
    many = [{"Key": str(number), "Value": ""} for number in range(50)]
    assert refusal(lambda: control.tag_resource(**target, Tags=many)) == ("InvalidTag", 400)


@pytest.mark.parametrize("way", ["ARN", "alias"])
def test_data_requests_act_on_the_bucket(client: ClientOf, way: str) -> None:
    """Objects are written, read, listed, uploaded in parts and deleted through an access point's ARN or alias."""
    s3 = client("s3")
    created = create(client("s3control"))
    point = created["AccessPointArn"] if way == "ARN" else created["Alias"]
    s3.put_object(Bucket=point, Key="crawl/2026/a b.txt", Body=b"one")
    assert s3.get_object(Bucket=BUCKET, Key="crawl/2026/a b.txt")["Body"].read() == b"one"
    assert s3.get_object(Bucket=point, Key="crawl/2026/a b.txt")["Body"].read() == b"one"
    assert s3.head_object(Bucket=point, Key="crawl/2026/a b.txt")["ContentLength"] == 3

    upload = s3.create_multipart_upload(Bucket=point, Key="crawl/b")["UploadId"]
    part = s3.upload_part(Bucket=point, Key="crawl/b", UploadId=upload, PartNumber=1, Body=b"two")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket=point, Key="crawl/b", UploadId=upload, MultipartUpload=parts)
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=point, Prefix="crawl/", PaginationConfig={"PageSize": 1}
    )
    assert [each["Key"] for page in pages for each in page["Contents"]] == ["crawl/2026/a b.txt", "crawl/b"]

    s3.delete_object(Bucket=point, Key="crawl/b")
    s3.delete_objects(Bucket=point, Delete={"Objects": [{"Key": "crawl/2026/a b.txt"}]})
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET)


def test_another_account_s_request_reaches_the_same_object(client: ClientOf) -> None:
    """A request from another account through the access point acts on the owner's bucket."""
    create(client("s3control"))
    client("s3").put_object(Bucket=BUCKET, Key="crawl/a", Body=b"one")
    put_policy(client("s3control"), statement())
    delegation = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{BUCKET}/*",
        "Condition": {"StringEquals": {"s3:DataAccessPointAccount": DATA}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [delegation]})
    client("s3").put_bucket_policy(Bucket=BUCKET, Policy=policy)
    body = client("s3", HUB).get_object(Bucket=ARN, Key="crawl/a")["Body"]
    assert body.read() == b"one"


def test_what_is_not_an_access_point_s_business_is_refused(client: ClientOf) -> None:
    """The bucket's settings are not changed through an access point, nor those read that the guide leaves out."""
    s3 = client("s3")
    create(client("s3control"))
    alias = client("s3control").get_access_point(AccountId=DATA, Name=NAME)["Alias"]
    assert s3.get_bucket_location(Bucket=alias)["LocationConstraint"] == REGION
    assert s3.head_bucket(Bucket=alias)["ResponseMetadata"]["HTTPStatusCode"] == 200
    versioning = {"Status": "Enabled"}
    for call in (
        lambda: s3.put_bucket_versioning(Bucket=alias, VersioningConfiguration=versioning),
        lambda: s3.delete_bucket_policy(Bucket=alias),
        lambda: s3.get_bucket_encryption(Bucket=alias),
    ):
        assert refusal(call) == ("MethodNotAllowed", 405)


def test_data_requests_of_absent_access_points_fail(client: ClientOf) -> None:
    """An ARN without an access point is NoSuchAccessPoint, an alias without one InvalidAccessPointAliasError."""
    s3 = client("s3")
    assert refusal(lambda: s3.get_object(Bucket=ARN, Key="a")) == ("NoSuchAccessPoint", 404)
    assert refusal(lambda: s3.list_objects_v2(Bucket=ARN)) == ("NoSuchAccessPoint", 404)
    alias = f"nobody-{'a' * 34}-s3alias"
    assert refusal(lambda: s3.get_object(Bucket=alias, Key="a")) == ("InvalidAccessPointAliasError", 400)


def test_a_vpc_access_point_is_closed_to_the_internet(client: ClientOf) -> None:
    """The sandbox has no VPC: nobody gets through an access point with a VPC origin."""
    create(client("s3control"), VpcConfiguration={"VpcId": "vpc-1"})
    client("s3").put_object(Bucket=BUCKET, Key="a", Body=b"one")
    assert refusal(lambda: client("s3").get_object(Bucket=ARN, Key="a")) == ("AccessDenied", 403)


def test_a_bucket_with_access_points_stays(client: ClientOf) -> None:
    """DeleteBucket is refused while an access point is attached."""
    create(client("s3control"))
    refused = refusal(lambda: client("s3").delete_bucket(Bucket=BUCKET))
    assert refused == ("BucketHasAccessPointsAttached", 400)


def test_access_points_are_found_by_every_name(client: ClientOf) -> None:
    """ARN, alias and host lead to one access point, in whatever account; other names lead to none."""
    alias = create(client("s3control"))["Alias"]
    found = access_points.find(DATA, REGION, NAME)
    assert found is not None
    dual_stack = HOST.replace("s3-accesspoint", "s3-accesspoint.dualstack")
    for name in (ARN, alias, HOST, dual_stack):
        assert access_points.resolve(name) is found
    for name in (BUCKET, f"{BUCKET}.s3.{REGION}.amazonaws.com", ARN.replace(DATA, HUB), "x-s3alias"):
        assert access_points.resolve(name) is None
    assert (found.arn, found.bucket, found.bucket_account, found.policy) == (ARN, BUCKET, DATA, None)


def test_the_host_alone_names_the_access_point(client: ClientOf) -> None:
    """A request without an SDK goes to the access point that its host names."""
    create(client("s3control"))
    client("s3").put_object(Bucket=BUCKET, Key="crawl/a", Body=b"one")
    assert get_signed(f"https://{HOST}/crawl/a") == (200, b"one")
