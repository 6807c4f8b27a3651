"""S3 access points: their control operations, their policies, and the way of a data request to the bucket.

moto knows access points without Regions, takes any name for any bucket, and overwrites in silence. Here S3
Control answers as documented, and a data request that names an access point (by ARN, by alias or by host) acts
on the bucket behind it. Who may do so is decided by ``authorization``, which asks what is registered with it.

Sources: S3 API Reference (control operations; "Error responses"); S3 User Guide, "Access points naming rules,
restrictions, and limitations", "Access point compatibility", "Access point aliases", "Managing public access to
access points"; error codes also from AWS's CloudFormation handler of AWS::S3::AccessPoint.
"""

import json
import re
import secrets
import string
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from http import HTTPStatus
from typing import Any

from moto.s3.exceptions import S3ClientError
from moto.s3.models import S3Backend
from moto.s3.responses import S3Response
from moto.s3control.models import S3ControlBackend, s3control_backends

from podshare_sandbox import clock, consistency
from podshare_sandbox.authorization import registrations
from podshare_sandbox.authorization.call import Call
from podshare_sandbox.authorization.s3_data import find_bucket
from podshare_sandbox.moto_extension import Caller, ServiceExtension, page
from podshare_sandbox.moto_repair import replace
from podshare_sandbox.services import buckets

MOST_PER_REGION = 10_000  # of one account (S3 User Guide, restrictions)
MOST_TAGS = 50

_ALIAS_LENGTH = 63
_ALIAS_RANDOM = 34
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,48}[a-z0-9]")
_ARN = re.compile(r"arn:aws:s3:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):accesspoint[/:](?P<name>[a-z0-9-]+)")
_HOST = re.compile(
    r"(?P<name>[a-z0-9-]+)-(?P<account>\d{12})\.s3-accesspoint(?:-fips)?(?:\.dualstack)?"
    r"\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?::\d+)?"
)
_BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")

# Sub-resources of the bucket that are read through an access point; objects are listed without one.
# (S3 User Guide, "Access point compatibility")
_SERVED_READS = {"acl", "cors", "location", "notification", "policy", "uploads", "versions"}
_SUB_RESOURCES = {
    *("accelerate", "acl", "analytics", "cors", "encryption", "intelligent-tiering", "inventory", "lifecycle"),
    *("location", "logging", "metrics", "notification", "object-lock", "ownershipControls", "policy"),
    *("policyStatus", "publicAccessBlock", "replication", "requestPayment", "tagging", "uploads", "versioning"),
    *("versions", "website"),
}

_s3control = ServiceExtension("s3control")
_known_policies = consistency.Known[Any]("access-point-policy", "")


class _Policy(buckets.StoredPolicy):
    """The policy as a document; None where there is none."""

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        shown = super().__get__(owner, kind) if owner else None
        return None if shown is None else json.loads(shown)


@dataclass(eq=False)
class AccessPoint:
    """One access point. ``policy`` shows principals as they exist now: see ``buckets.StoredPolicy``."""

    name: str
    account: str
    region: str
    bucket: str
    bucket_account: str
    vpc: str | None
    public_access_block: dict[str, bool]
    tags: dict[str, str]
    created: datetime = field(default_factory=clock.now)
    alias: str = ""

    policy = _Policy()

    def __post_init__(self) -> None:
        self.alias = _new_alias(self.name)

    @property
    def arn(self) -> str:
        return f"arn:aws:s3:{self.region}:{self.account}:accesspoint/{self.name}"

    @property
    def enforced_policy(self) -> Any:
        """The policy as requests meet it by now."""
        return _known_policies.to("requests", self.arn, self.policy)

    @property
    def network_origin(self) -> str:
        return "VPC" if self.vpc else "Internet"

    @property
    def is_public(self) -> bool:
        """Whether the policy is public; one with a VPC origin never is (S3 User Guide, "Access points")."""
        return not self.vpc and bool(self.policy) and buckets.is_public(self.policy, of_access_point=True)

    @property
    def restricts_cross_account(self) -> bool:
        """Whether RestrictPublicBuckets of the access point, the bucket or an account bars other accounts here.

        The strictest of the settings holds, and a public policy of either the bucket or the access point
        sets it off (S3 User Guide, "Managing public access to access points").
        """
        bucket = find_bucket(self.bucket)
        blocks = buckets.public_access_blocks(bucket) if bucket else ()
        restricts = self.public_access_block["RestrictPublicBuckets"] or any(
            block.restrict_public_buckets for block in blocks
        )
        return restricts and (self.is_public or bool(bucket and buckets.has_public_policy(bucket)))


def find(account: str, region: str, name: str) -> AccessPoint | None:
    """The access point of that account, Region and name."""
    return _access_points(account).get((region, name))


def resolve(host_or_bucket: str) -> AccessPoint | None:
    """The access point that a data request names: an ARN or alias given as bucket, or the request's host."""
    match = _ARN.fullmatch(host_or_bucket) or _HOST.fullmatch(host_or_bucket)
    if match:
        return find(match["account"], match["region"], match["name"])
    if host_or_bucket.endswith("-s3alias"):
        return next((each for each in _all_access_points() if each.alias == host_or_bucket), None)
    return None


def _tags(_: Call, arn: str) -> dict[str, str]:
    point = resolve(arn)
    return point.tags if point else {}


def _access_points(account: str) -> dict[tuple[str, str], AccessPoint]:
    backend: S3ControlBackend = s3control_backends[account]["aws"]
    store: dict[tuple[str, str], AccessPoint] = backend.__dict__.setdefault("_podshare_access_points", {})
    return store


def _known_points(caller: Caller) -> consistency.Known[AccessPoint]:
    return consistency.Known("access-point", f"{caller.account} {caller.region}")


def _all_access_points() -> list[AccessPoint]:
    return [each for account in list(s3control_backends) for each in _access_points(account).values()]


def _new_alias(name: str) -> str:
    """``<start of the name>-<34 random characters>-s3alias``, 63 characters at most."""
    suffix = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(_ALIAS_RANDOM))
    room = _ALIAS_LENGTH - len(f"--{suffix}-s3alias") + 1
    return f"{name[:room].rstrip('-')}-{suffix}-s3alias"


# --- control operations -------------------------------------------------------------------------------


def _no_such_access_point() -> S3ClientError:
    return buckets.error("NoSuchAccessPoint", "The specified accesspoint does not exist", HTTPStatus.NOT_FOUND)


def _invalid(message: str) -> S3ClientError:
    return buckets.error("InvalidRequest", message)


def _check_account(caller: Caller, account: str) -> None:
    """Control operations act on the caller's own account only (S3 User Guide, restrictions)."""
    if account != caller.account:
        raise buckets.access_denied()


def _name_of(name_or_arn: str) -> str:
    """The name in a ``Name`` parameter, which may be an access point's ARN."""
    match = _ARN.fullmatch(name_or_arn)
    return match["name"] if match else name_or_arn


def _get(caller: Caller, account: str, name: str) -> AccessPoint:
    _check_account(caller, account)
    access_point = find(account, caller.region, _name_of(name))
    if access_point is None:
        raise _no_such_access_point()
    return access_point


def create_access_point(
    caller: Caller,
    *,
    AccountId: str,
    Name: str,
    Bucket: str,
    BucketAccountId: str | None = None,
    VpcConfiguration: dict[str, str] | None = None,
    PublicAccessBlockConfiguration: dict[str, bool] | None = None,
    Tags: list[dict[str, str]] | None = None,
    Scope: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """CreateAccessPoint. VPC and public access block never change afterwards; all four blocks are on by default.

    Errors: InvalidRequest (400: name, Scope, bucket of another Region), AccessPointAlreadyOwnedByYou (409),
    NoSuchBucket (404), AccessDenied (403: another account), TooManyAccessPoints (400), InvalidTag (400).
    """
    _check_account(caller, AccountId)
    _check_name(Name)
    if Scope:
        raise _invalid("Scope is supported for access points of directory buckets only")
    if find(AccountId, caller.region, Name):
        raise buckets.error(
            "AccessPointAlreadyOwnedByYou",
            "Your previous request to create the named accesspoint succeeded and you already own it.",
            HTTPStatus.CONFLICT,
        )
    owned = _access_points(AccountId)
    if sum(region == caller.region for region, _ in owned) >= MOST_PER_REGION:
        raise buckets.error("TooManyAccessPoints", "You have attempted to create more access points than allowed")
    access_point = AccessPoint(
        name=Name,
        account=AccountId,
        region=caller.region,
        bucket=Bucket,
        bucket_account=_bucket_owner(caller, Bucket, BucketAccountId or AccountId),
        vpc=(VpcConfiguration or {}).get("VpcId"),
        public_access_block=dict.fromkeys(_BLOCKS, True) | (PublicAccessBlockConfiguration or {}),
        tags=_merged_tags({}, Tags or []),
    )
    owned[caller.region, Name] = access_point
    _known_points(caller).changed(Name, None)
    return {"AccessPointArn": access_point.arn, "Alias": access_point.alias}


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name.endswith("-s3alias"):
        raise _invalid(
            f"Access point name {name} is not valid: 3 to 50 lowercase letters, digits and hyphens, not "
            "beginning or ending with a hyphen, and not ending with -s3alias"
        )


def _bucket_owner(caller: Caller, name: str, account: str) -> str:
    """The bucket's account, if it is the one named and the bucket lies in the call's Region."""
    bucket = find_bucket(name)
    if bucket is None:
        raise buckets.error("NoSuchBucket", "The specified bucket does not exist", HTTPStatus.NOT_FOUND)
    if bucket.account_id != account:
        raise buckets.access_denied()
    if bucket.region_name != caller.region:
        raise _invalid(f"Bucket {name} is not in the Region {caller.region} of the request")
    return account


def get_access_point(caller: Caller, *, AccountId: str, Name: str) -> dict[str, Any]:
    """GetAccessPoint. Errors: NoSuchAccessPoint (404), AccessDenied (403: another account)."""
    found = _get(caller, AccountId, Name)
    hosts = {
        "ipv4": "s3-accesspoint.{}",
        "fips": "s3-accesspoint-fips.{}",
        "fips_dualstack": "s3-accesspoint-fips.dualstack.{}",
        "dualstack": "s3-accesspoint.dualstack.{}",
    }
    return {
        **_summary(found),
        "PublicAccessBlockConfiguration": found.public_access_block,
        "CreationDate": found.created,
        "Endpoints": {kind: f"{host.format(found.region)}.amazonaws.com" for kind, host in hosts.items()},
    }


def _summary(access_point: AccessPoint) -> dict[str, Any]:
    return {
        "Name": access_point.name,
        "Bucket": access_point.bucket,
        "BucketAccountId": access_point.bucket_account,
        "NetworkOrigin": access_point.network_origin,
        "VpcConfiguration": {"VpcId": access_point.vpc} if access_point.vpc else None,
        "AccessPointArn": access_point.arn,
        "Alias": access_point.alias,
        "DataSourceId": f"arn:aws:s3:::{access_point.bucket}",
        "DataSourceType": "S3_BUCKET",
    }


def list_access_points(
    caller: Caller,
    *,
    AccountId: str,
    Bucket: str | None = None,
    NextToken: str | None = None,
    MaxResults: int | None = None,
    DataSourceId: str | None = None,
    DataSourceType: str | None = None,
) -> dict[str, Any]:
    """ListAccessPoints of the account in the call's Region, by name, at most 1,000 a page.

    Errors: InvalidNextToken (400), AccessDenied (403: another account).
    """
    _check_account(caller, AccountId)
    now = {name: each for (region, name), each in _access_points(AccountId).items() if region == caller.region}
    known = _known_points(caller).all_to("lists", now)
    summaries = [_summary(known[name]) for name in sorted(known)]
    wanted = {"Bucket": Bucket, "DataSourceId": DataSourceId, "DataSourceType": DataSourceType}
    listed = [
        summary for summary in summaries if all(value in (None, summary[member]) for member, value in wanted.items())
    ]
    try:
        shown, token = page(listed, MaxResults, NextToken, largest=1000)
    except ValueError:
        raise buckets.error("InvalidNextToken", "The continuation token provided is incorrect") from None
    return {"AccessPointList": shown, "NextToken": token}


def delete_access_point(caller: Caller, *, AccountId: str, Name: str) -> None:
    """DeleteAccessPoint, together with its policy. Errors: NoSuchAccessPoint (404), AccessDenied (403)."""
    access_point = _get(caller, AccountId, Name)
    del _access_points(AccountId)[access_point.region, access_point.name]
    _known_points(caller).changed(access_point.name, access_point)


def put_access_point_policy(caller: Caller, *, AccountId: str, Name: str, Policy: str) -> None:
    """PutAccessPointPolicy, of 20 KB at most.

    Errors: MalformedPolicy (400: see ``buckets.check_policy``), NoSuchAccessPoint (404), AccessDenied (403:
    another account, or a public policy where BlockPublicPolicy is on for the access point, its account, or the
    bucket of the same account).
    """
    access_point = _get(caller, AccountId, Name)
    document = buckets.check_policy(Policy, _kind_in(access_point))
    public = not access_point.vpc and buckets.is_public(document, of_access_point=True)
    if public and _blocks_public_policy(access_point):
        raise buckets.access_denied()
    _known_policies.changed(access_point.arn, access_point.policy)
    access_point.policy = Policy


def _blocks_public_policy(access_point: AccessPoint) -> bool:
    bucket = find_bucket(access_point.bucket)
    own_bucket = bucket if bucket and bucket.account_id == access_point.account else None
    return access_point.public_access_block["BlockPublicPolicy"] or bool(
        own_bucket and buckets.blocks_public_policy(own_bucket)
    )


def _kind_in(access_point: AccessPoint) -> Callable[[str], str | None]:
    def kind_of(resource: str) -> str | None:
        if resource == access_point.arn:
            return "accesspoint"
        return "accesspointobject" if resource.startswith(f"{access_point.arn}/object/") else None

    return kind_of


def get_access_point_policy(caller: Caller, *, AccountId: str, Name: str) -> dict[str, Any]:
    """GetAccessPointPolicy. Errors: NoSuchAccessPointPolicy (404), NoSuchAccessPoint (404), AccessDenied (403)."""
    return {"Policy": json.dumps(_policy_of(_get(caller, AccountId, Name)), separators=(",", ":"))}


def _policy_of(access_point: AccessPoint) -> buckets.Document:
    policy: buckets.Document | None = access_point.policy
    if policy is None:
        raise buckets.error(
            "NoSuchAccessPointPolicy",
            "The specified accesspoint policy does not exist",
            HTTPStatus.NOT_FOUND,
        )
    return policy


def delete_access_point_policy(caller: Caller, *, AccountId: str, Name: str) -> None:
    """DeleteAccessPointPolicy; nothing happens where there is none. Errors: NoSuchAccessPoint (404)."""
    access_point = _get(caller, AccountId, Name)
    _known_policies.changed(access_point.arn, access_point.policy)
    access_point.policy = None


def get_access_point_policy_status(caller: Caller, *, AccountId: str, Name: str) -> dict[str, Any]:
    """GetAccessPointPolicyStatus. Errors: NoSuchAccessPointPolicy (404), NoSuchAccessPoint (404)."""
    access_point = _get(caller, AccountId, Name)
    _policy_of(access_point)
    return {"PolicyStatus": {"IsPublic": access_point.is_public}}


# --- tags ---------------------------------------------------------------------------------------------


def _tagged(caller: Caller, account: str, arn: str) -> AccessPoint:
    match = _ARN.fullmatch(arn)
    if not match:
        raise _invalid(f"The sandbox keeps tags of access points only, not of {arn}")
    if (match["account"], match["region"]) != (account, caller.region):
        raise buckets.access_denied()
    return _get(caller, account, match["name"])


def _merged_tags(present: dict[str, str], tags: list[dict[str, str]]) -> dict[str, str]:
    keys = [tag["Key"] for tag in tags]
    if len(set(keys)) < len(keys):
        raise buckets.error("InvalidTag", "There are duplicate tag keys in your request. Remove them and retry.")
    if any(key.startswith("aws:") for key in keys):
        raise buckets.error("InvalidTag", 'User-defined tag keys can\'t start with "aws:".')
    merged = present | {tag["Key"]: tag["Value"] for tag in tags}
    if len(merged) > MOST_TAGS:
        raise buckets.error("InvalidTag", f"Object tags cannot be greater than {MOST_TAGS}")
    return merged


def tag_resource(caller: Caller, *, AccountId: str, ResourceArn: str, Tags: list[dict[str, str]]) -> None:
    """TagResource, 50 tags at most. Errors: InvalidTag (400), NoSuchAccessPoint (404), AccessDenied (403)."""
    access_point = _tagged(caller, AccountId, ResourceArn)
    access_point.tags = _merged_tags(access_point.tags, Tags)


def untag_resource(caller: Caller, *, AccountId: str, ResourceArn: str, TagKeys: list[str]) -> None:
    """UntagResource; keys that are not there are no error. Errors: NoSuchAccessPoint (404), AccessDenied (403)."""
    access_point = _tagged(caller, AccountId, ResourceArn)
    access_point.tags = {key: value for key, value in access_point.tags.items() if key not in TagKeys}


def list_tags_for_resource(caller: Caller, *, AccountId: str, ResourceArn: str) -> dict[str, Any]:
    """ListTagsForResource. Errors: NoSuchAccessPoint (404), AccessDenied (403)."""
    tags = _tagged(caller, AccountId, ResourceArn).tags
    return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


# --- data requests ------------------------------------------------------------------------------------

_network = threading.local()


@contextmanager
def from_vpc(vpc: str) -> Iterator[None]:
    """Let the requests of this thread come through a gateway endpoint in ``vpc`` meanwhile: the sandbox has no network.

    An access point whose origin is a VPC answers to that one alone (S3 User Guide, "Creating access points restricted
    to a virtual private cloud").
    """
    _network.vpc = vpc
    try:
        yield
    finally:
        _network.vpc = None


def source_vpc() -> str | None:
    """The VPC that this thread's requests come from; None for the internet."""
    found: str | None = getattr(_network, "vpc", None)
    return found


registrations.s3.access_point = resolve
registrations.s3.source_vpc = source_vpc
registrations.register("s3", registrations.Service(tags=_tags))


def _host_of(request: Any) -> str:
    return str(request.headers.get("host", ""))


def _check_access_point(response: S3Response) -> AccessPoint | None:
    """The access point that the request's host or bucket names.

    Raises NoSuchAccessPoint (404) or InvalidAccessPointAliasError (400) for one that does not exist, and
    AccessDenied (403) where only a VPC gets in, from elsewhere.
    """
    written = response.__dict__["_podshare_written_bucket"]
    access_point = resolve(written)
    if access_point is None and _HOST.fullmatch(written):
        raise _no_such_access_point()
    if access_point is None and written.endswith("-s3alias"):
        raise buckets.error("InvalidAccessPointAliasError", "The specified access point alias name is not valid.")
    if access_point and access_point.vpc not in (None, source_vpc()):
        raise buckets.access_denied()
    return access_point


def _check_served(request: Any, query: dict[str, Any]) -> None:
    """Refuse what acts on the bucket itself and is not in the guide's table of access point operations."""
    asked = {name for name in query if name in _SUB_RESOURCES}
    served = {
        "GET": asked <= _SERVED_READS,
        "HEAD": True,
        "POST": "delete" in query,
    }
    if not served.get(request.method, False):
        raise buckets.error(
            "MethodNotAllowed",
            "The specified method is not allowed against this resource.",
            HTTPStatus.METHOD_NOT_ALLOWED,
        )


def _route_data_requests() -> None:
    def bucket_name_of(response: S3Response, request: Any, url: str) -> str:
        host = _host_of(request)
        written = host if _HOST.fullmatch(host) else stock_name(response, request, url) or ""
        response.__dict__["_podshare_written_bucket"] = written
        access_point = resolve(written)
        return access_point.bucket if access_point else written

    def bucket_response(response: S3Response, request: Any, full_url: str) -> Any:
        if _check_access_point(response):
            _check_served(request, response._get_querystring(request, full_url))
        return answer_bucket(response, request, full_url)

    def key_response(response: S3Response, request: Any, full_url: str) -> Any:
        _check_access_point(response)
        return answer_key(response, request, full_url)

    stock_name = replace(S3Response, "parse_bucket_name_from_url", bucket_name_of)
    answer_bucket = replace(S3Response, "_bucket_response", bucket_response)
    answer_key = replace(S3Response, "_key_response", key_response)


def _keep_buckets_with_access_points() -> None:
    """A bucket is not deleted from under its access points (S3 API Reference, "Error responses")."""

    def delete_bucket(backend: S3Backend, bucket_name: str) -> Any:
        if any(each.bucket == bucket_name for each in _all_access_points()):
            raise buckets.error(
                "BucketHasAccessPointsAttached",
                "The bucket you tried to delete has access points attached.",
            )
        return stock(backend, bucket_name)

    stock = replace(S3Backend, "delete_bucket", delete_bucket)


@cache
def install() -> None:
    """Put these operations in the place of moto's, and route data requests through access points."""
    for operation in (
        create_access_point,
        get_access_point,
        list_access_points,
        delete_access_point,
        put_access_point_policy,
        get_access_point_policy,
        delete_access_point_policy,
        get_access_point_policy_status,
        tag_resource,
        untag_resource,
        list_tags_for_resource,
    ):
        _s3control.operation(operation)
    _route_data_requests()
    _keep_buckets_with_access_points()
