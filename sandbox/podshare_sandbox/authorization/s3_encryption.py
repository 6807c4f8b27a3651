"""What a request to S3 needs of the KMS keys of the objects that it reads or writes.

S3 calls KMS in the name of who asks, so that the key's policy and grants, and the caller's own policies, decide.
Sources: S3 User Guide, "Using server-side encryption with AWS KMS keys (SSE-KMS)" (permissions, encryption context,
bucket keys); S3 API Reference, CreateMultipartUpload ("Permissions") and PutBucketEncryption.
"""

from collections.abc import Iterator
from typing import Any

from moto.kms.models import kms_backends
from moto.s3.models import FakeBucket, FakeKey

from podshare_sandbox.authorization import global_keys
from podshare_sandbox.authorization.call import Check
from podshare_sandbox.authorization.conditions import Values
from podshare_sandbox.authorization.principals import Principal
from podshare_sandbox.authorization.s3_data import DataRequest, find_bucket

_READING = {"GetObject", "HeadObject", "SelectObjectContent"}
_WRITING = {"PutObject", "CopyObject", "CreateMultipartUpload"}
_PARTS = {"UploadPart", "UploadPartCopy", "CompleteMultipartUpload"}
_AWS_MANAGED = "alias/aws/s3"


def checks(principal: Principal, request: DataRequest) -> Iterator[Check]:
    """The KMS permissions that the request needs; none where nothing is encrypted by a key of KMS."""
    bucket = find_bucket(request.bucket)
    if bucket is None or not request.key:
        return
    if request.operation in _READING:
        stored = _version(bucket, request)
        if stored is not None and _is_kms(stored.encryption):
            encrypted = _encrypted(bucket, request.key, stored.bucket_key_enabled)
            yield from _use(principal, "Decrypt", bucket, stored.kms_key_id, encrypted)
    elif request.operation in _WRITING | _PARTS:
        # the parts of a multipart upload do not say by which key it began: the bucket's is taken for it
        named, rule = request.headers, (bucket.encryption or {}).get("Rule", {})
        default = rule.get("ApplyServerSideEncryptionByDefault", {})
        algorithm = named.get("x-amz-server-side-encryption") or default.get("SSEAlgorithm")
        key = named.get("x-amz-server-side-encryption-aws-kms-key-id") or default.get("KMSMasterKeyID")
        if _is_kms(algorithm):
            action = "GenerateDataKey" if request.operation in _WRITING else "Decrypt"
            encrypted = _encrypted(bucket, request.key, rule.get("BucketKeyEnabled"))
            yield from _use(principal, action, bucket, key, encrypted)


def _version(bucket: FakeBucket, request: DataRequest) -> FakeKey | None:
    """The object that is read: of a version, if the request names one; none behind a delete marker."""
    wanted = request.query.get("versionId")
    versions = bucket.keys.getlist(request.key, [])
    found = [one for one in versions if str(one.version_id) == wanted] if wanted else versions
    return found[-1] if found and isinstance(found[-1], FakeKey) else None


def _is_kms(algorithm: str | None) -> bool:
    return (algorithm or "").startswith("aws:kms")


def _encrypted(bucket: FakeBucket, key: str, bucket_key: Any) -> str:
    """What S3 puts into the encryption context: the bucket's ARN where a bucket key is used, else the object's."""
    arn = f"arn:aws:s3:::{bucket.name}"
    return arn if str(bucket_key).lower() == "true" else f"{arn}/{key}"


def _use(principal: Principal, action: str, bucket: FakeBucket, kms_key: str | None, encrypted: str) -> Iterator[Check]:
    """One permission on one key.

    Every principal of the bucket's account may use the key that AWS manages there, through S3, and nobody else.
    """
    owner, region = bucket.account_id, bucket.region_name
    if kms_key is None or kms_key.endswith(_AWS_MANAGED):
        if principal.account != owner:
            yield Check(f"kms:{action}", f"arn:aws:kms:{region}:{owner}:{_AWS_MANAGED}", {})
        return
    # a key that is not named by its ARN is one of the account that asks (PutBucketEncryption)
    arn = kms_key if kms_key.startswith("arn:") else _key_of(principal.account, region, kms_key)
    context: dict[str, Values] = {
        **global_keys.on_behalf("s3.amazonaws.com"),
        **global_keys.of_resource(arn.split(":")[4]),
        "aws:requestedregion": region,
        "kms:calleraccount": principal.account,
        "kms:viaservice": f"s3.{region}.amazonaws.com",
        "kms:encryptioncontext:aws:s3:arn": encrypted,
        "kms:encryptioncontextkeys": ("aws:s3:arn",),
    }
    yield Check(f"kms:{action}", arn, context)


def _key_of(account: str, region: str, named: str) -> str:
    backend: Any = kms_backends[account][region]
    key = str(backend.get_key_id_from_alias(named) or "none") if named.startswith("alias/") else named
    return f"arn:aws:kms:{region}:{account}:key/{key}"
