"""Requests on S3 buckets and objects: what they ask, and how access point, bucket and caller decide together.

Sources: Service Authorization Reference for Amazon S3; S3 User Guide, "Required permissions for Amazon S3 API
operations" and "Configuring IAM policies for using access points".
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from moto.s3.models import FakeBucket, FakeDeleteMarker, s3_backends

from podshare_sandbox import consistency
from podshare_sandbox.authorization import catalog, global_keys, policy, registrations
from podshare_sandbox.authorization.authorize import find, request_of, settle
from podshare_sandbox.authorization.call import Check
from podshare_sandbox.authorization.conditions import Values
from podshare_sandbox.authorization.policy import Findings, Outcome, Policy, Verdict
from podshare_sandbox.authorization.principals import Principal
from podshare_sandbox.authorization.registrations import AccessPoint

_ACTIONS = {
    "CompleteMultipartUpload": "PutObject",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "DeleteBucketCors": "PutBucketCORS",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
    "DeleteBucketReplication": "PutReplicationConfiguration",
    "DeleteBucketTagging": "PutBucketTagging",
    "DeleteObjects": "DeleteObject",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetBucketAccelerateConfiguration": "GetAccelerateConfiguration",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetBucketLifecycle": "GetLifecycleConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "GetBucketReplication": "GetReplicationConfiguration",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "ListBuckets": "ListAllMyBuckets",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjectVersions": "ListBucketVersions",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListParts": "ListMultipartUploadParts",
    "PutBucketAccelerateConfiguration": "PutAccelerateConfiguration",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "PutBucketLifecycle": "PutLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "PutBucketReplication": "PutReplicationConfiguration",
    "PutObjectLockConfiguration": "PutBucketObjectLockConfiguration",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "SelectObjectContent": "GetObject",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
}
_VERSIONED = {"GetObject", "GetObjectAcl", "GetObjectTagging", "DeleteObject", "DeleteObjectTagging", "PutObjectAcl"}
_QUERY_KEYS = {"prefix": "s3:prefix", "delimiter": "s3:delimiter", "max-keys": "s3:max-keys"}
_QUERY_KEYS["versionId"] = "s3:versionid"
_HEADER_KEYS = {
    name: f"s3:{name}"
    for name in (
        *("x-amz-acl", "x-amz-copy-source", "x-amz-content-sha256", "x-amz-metadata-directive"),
        *("x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id", "x-amz-storage-class"),
        *("x-amz-grant-read", "x-amz-grant-write", "x-amz-grant-full-control", "x-amz-website-redirect-location"),
    )
}


@dataclass(frozen=True)
class DataRequest:
    """One request to S3: its operation, the bucket or access point that it names, key, query and headers."""

    operation: str
    bucket: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    access_point: AccessPoint | None = None


@dataclass(frozen=True)
class DataCheck:
    """One action on one object (``key``) or on the bucket itself (no key)."""

    action: str
    bucket: str
    key: str
    access_point: AccessPoint | None = None
    context: Mapping[str, Values] = field(default_factory=dict)


def checks(request: DataRequest, deleted_keys: tuple[str, ...] = ()) -> Iterator[DataCheck]:
    """Everything that the request must be allowed. Raises NotImplementedError for an unmapped operation."""
    context = _context(request)
    action = _action(request)
    for key in deleted_keys or (request.key,):
        yield DataCheck(action, request.bucket, key, request.access_point, context)
        if request.headers.get("x-amz-bypass-governance-retention", "").lower() == "true":
            # S3 API reference, DeleteObject: "To use this header, you must have the s3:BypassGovernanceRetention
            # permission"; the same for DeleteObjects and PutObjectRetention
            yield DataCheck("s3:BypassGovernanceRetention", request.bucket, key, request.access_point, context)
    if request.operation in ("GetObject", "HeadObject") and _is_absent(request):
        # S3 API reference, GetObject, "Permissions": only who may list learns that a key is absent; which condition
        # keys that has is not documented, and none of a listing's is taken to be there
        yield DataCheck("s3:ListBucket", request.bucket, "", request.access_point, context)
    for name in _implied_actions(request):
        yield DataCheck(f"s3:{name}", request.bucket, request.key, request.access_point, context)
    if source := request.headers.get("x-amz-copy-source"):
        yield _copy_source(source, context)


def _is_absent(request: DataRequest) -> bool:
    """Whether the bucket is there, and has no current object of the request's key."""
    bucket: Any = find_bucket(request.bucket)
    if bucket is None or "versionId" in request.query:
        return False
    key = bucket.keys.get(request.key)
    return key is None or isinstance(key, FakeDeleteMarker)


def _action(request: DataRequest) -> str:
    name = _ACTIONS.get(request.operation, request.operation)
    if "versionId" in request.query and name in _VERSIONED:
        name = name.replace("Object", "ObjectVersion", 1)
    found = catalog.action("s3", name)
    if found is None:
        raise NotImplementedError(f"authorization of s3:{request.operation}: AWS has no action s3:{name}")
    return found.name


def _implied_actions(request: DataRequest) -> Iterator[str]:
    if request.operation in ("PutObject", "CopyObject", "CreateMultipartUpload"):
        if "x-amz-acl" in request.headers:
            yield "PutObjectAcl"
        if "x-amz-tagging" in request.headers:
            yield "PutObjectTagging"
    if request.operation == "CreateBucket" and "x-amz-acl" in request.headers:
        yield "PutBucketAcl"


def _copy_source(source: str, context: Mapping[str, Values]) -> DataCheck:
    """The object to copy from, named as ``bucket/key`` or as ``<access point ARN>/object/key``."""
    path, _, version = unquote(source).removeprefix("/").partition("?versionId=")
    action = "s3:GetObjectVersion" if version else "s3:GetObject"
    if path.startswith("arn:"):
        bucket, _, key = path.partition("/object/")
    else:
        bucket, _, key = path.partition("/")
    point = registrations.s3.access_point(bucket)
    return DataCheck(action, point.bucket if point else bucket, key, point, context)


def _context(request: DataRequest) -> dict[str, Values]:
    """A listing without a prefix has the key with an empty value: ``StringLike`` with ``*`` matches it."""
    query = {key: request.query[name] for name, key in _QUERY_KEYS.items() if name in request.query}
    if request.operation in ("ListObjects", "ListObjectsV2", "ListObjectVersions"):
        query.setdefault("s3:prefix", "")
    headers = {key: request.headers[name] for name, key in _HEADER_KEYS.items() if name in request.headers}
    signature = {"s3:authtype": "REST-QUERY-STRING" if "X-Amz-Signature" in request.query else "REST-HEADER"}
    signature["s3:signatureversion"] = "AWS4-HMAC-SHA256"
    origin = global_keys.of_client(request.headers.get("user-agent", ""), registrations.s3.source_vpc())
    return {**origin, **signature, **query, **headers}


# --- deciding -----------------------------------------------------------------------------------------------


def authorize(principal: Principal, check: DataCheck, region: str) -> None:
    """Decide one check by all policies that have a say. Raises AccessDenied."""
    if not check.bucket:
        request = request_of(principal, Check(check.action, "*", _bucket_context(check, principal.account, region)))
        settle(principal, request, policy.decide(find(principal, request, ()), check.action, same_account=True))
    elif check.access_point is None:
        _authorize_at_bucket(principal, check, region)
    else:
        _authorize_at_access_point(principal, check, check.access_point)


def _authorize_at_bucket(principal: Principal, check: DataCheck, region: str) -> None:
    owner, policies = _bucket(check.bucket)
    account = owner or principal.account  # of a bucket that does not exist yet S3 itself will tell
    context = _bucket_context(check, account, region)
    if account != principal.account and registrations.s3.restricts_cross_account(check.bucket):
        _refuse(principal, check, context)
    request = request_of(principal, Check(check.action, _bucket_arn(check), context))
    findings = find(principal, request, policies)
    settle(principal, request, policy.decide(findings, check.action, same_account=account == principal.account))


def _authorize_at_access_point(principal: Principal, check: DataCheck, point: AccessPoint) -> None:
    """The access point decides by the usual rules, then the bucket behind it must agree.

    The bucket agrees by its policy (``s3:DataAccessPointAccount`` …) or, within one account, with what the
    caller's identity policies allow on the access point; nobody's explicit deny on either is passed over.
    """
    owner, bucket_policies = _bucket(check.bucket)
    context = {
        **_bucket_context(check, owner, point.region),
        "s3:dataaccesspointarn": point.arn,
        "s3:dataaccesspointaccount": point.account,
        "s3:accesspointnetworkorigin": point.network_origin,
    }
    if principal.account != owner and point.restricts_cross_account:
        _refuse(principal, check, context)
    enforced = point.enforced_policy  # read once: another call may delete it meanwhile
    point_policies = (policy.parse(enforced),) if enforced else ()
    at_point = request_of(principal, Check(check.action, _access_point_arn(check, point), context))
    findings = find(principal, at_point, point_policies)
    outcome = policy.decide(findings, check.action, same_account=principal.account == point.account)
    if outcome.allowed:
        at_bucket = request_of(principal, Check(check.action, _bucket_arn(check), context))
        behind = find(principal, at_bucket, bucket_policies)
        outcome = _bucket_agrees(findings, behind, check.action, same_account=principal.account == owner)
    settle(principal, at_point, outcome)


def _bucket_agrees(at_point: Findings, behind: Findings, action: str, *, same_account: bool) -> Outcome:
    denied = behind.explicit_deny()
    if denied:
        return denied
    if behind.resource >= Verdict.ALLOW or (behind.resource and not same_account):
        return Outcome(True, "allowed")
    if same_account and at_point.identity is Verdict.ALLOW:
        return Outcome(True, "allowed")
    return Outcome(False, f"because no resource-based policy allows the {action} action")


def _refuse(principal: Principal, check: DataCheck, context: Mapping[str, Values]) -> None:
    arn = _access_point_arn(check, check.access_point) if check.access_point else _bucket_arn(check)
    request = request_of(principal, Check(check.action, arn, context))
    settle(principal, request, Outcome(False, "because public access is blocked by RestrictPublicBuckets"))


def find_bucket(name: str) -> FakeBucket | None:
    """The bucket called ``name``, of whichever account."""
    place = s3_backends.bucket_accounts.get(name)
    if place is None:
        return None
    partition, account = place
    return s3_backends[account][partition].buckets.get(name)


def _bucket(name: str) -> tuple[str, tuple[Policy, ...]]:
    """The bucket's account and policy; no account where there is no such bucket."""
    bucket: Any = find_bucket(name)
    if bucket is None:
        return "", ()
    enforced = consistency.Known[bytes]("bucket-policy", "").to("requests", name, bucket.policy)
    return str(bucket.account_id), (policy.parse(_text(enforced)),) if enforced else ()


def _text(document: bytes | str) -> str:
    return document.decode() if isinstance(document, bytes) else document


def _bucket_context(check: DataCheck, owner: str, region: str) -> dict[str, Values]:
    return {
        **check.context,
        **global_keys.of_resource(owner),
        "aws:requestedregion": region,
        "s3:resourceaccount": owner,
    }


def _bucket_arn(check: DataCheck) -> str:
    if check.key:
        return catalog.resource_arn("s3", "object", BucketName=check.bucket, ObjectName=check.key)
    return catalog.resource_arn("s3", "bucket", BucketName=check.bucket)


def _access_point_arn(check: DataCheck, point: AccessPoint) -> str:
    where = {"Region": point.region, "Account": point.account, "AccessPointName": point.name}
    if check.key:
        return catalog.resource_arn("s3", "accesspointobject", **where, ObjectName=check.key)
    return catalog.resource_arn("s3", "accesspoint", **where)
