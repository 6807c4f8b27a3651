"""S3 access points in data accounts: one per team and dataset, so that grants never share a policy."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from podshare.aws.errors import Tolerated, code_of, is_absent
from podshare.kinds.access_point.shape import AccessPoint
from podshare.kinds.base import Key, Resource, calls_of
from podshare.kinds.context import Context, as_kind, tag_list, tag_map
from podshare.kinds.observation import Foreign
from podshare.policy import policies
from podshare.policy.policies import Document

if TYPE_CHECKING:
    from types_boto3_s3control import S3ControlClient

READS = calls_of("s3", "GetAccessPoint GetAccessPointPolicy ListTagsForResource")
WRITES = calls_of(
    "s3",
    "CreateAccessPoint PutAccessPointPolicy DeleteAccessPointPolicy DeleteAccessPoint TagResource UntagResource",
)
_BLOCKED = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}


def read(context: Context, key: Key, wanted: Resource | None) -> AccessPoint | Foreign | None:
    """The access point and its policy."""
    s3control = context.accounts.client("s3control", key.account, key.region)
    try:
        access_point = s3control.get_access_point(AccountId=key.account, Name=key.name)
        listed = s3control.list_tags_for_resource(AccountId=key.account, ResourceArn=_arn(context, key))
    except ClientError as error:
        if is_absent(error):
            return None
        raise
    tags = tag_map(listed.get("Tags", []))
    created, alias = access_point["CreationDate"].isoformat(), access_point.get("Alias", "")
    identity = AccessPoint.identity_of(created, alias)
    if not context.owns(key, tags, identity) and not context.remembers(key, created):  # as before 0067
        return context.foreign(key, tags)
    return AccessPoint(
        key=key,
        identity=identity,
        tags=context.installation.compared_tags(tags),
        bucket=access_point["Bucket"],
        policy=policy_of(context, key),
        vpc=access_point.get("VpcConfiguration", {}).get("VpcId"),
        public_access_blocked=access_point.get("PublicAccessBlockConfiguration") == _BLOCKED,
        alias=alias,
    )


def create(context: Context, wanted: Resource) -> None:
    """Make the access point and give it its policy.

    All four public access blocks are on unless a request says otherwise (S3 user guide, "Managing public access to
    access points"); naming them would need one more permission. They are read back, and cannot be changed later.
    """
    point = as_kind(AccessPoint, wanted)
    s3control = context.accounts.client("s3control", point.key.account, point.key.region)
    request: Any = {
        "AccountId": point.key.account,
        "Name": point.key.name,
        "Bucket": point.bucket,
        "BucketAccountId": point.key.account,
        "Tags": tag_list(point.tags),
    }
    if point.vpc:
        request["VpcConfiguration"] = {"VpcId": point.vpc}
    try:
        s3control.create_access_point(**request)
    except ClientError as error:
        if code_of(error) != "AccessPointAlreadyOwnedByYou":  # it is there: it is read again, and fixed
            raise
        return
    _put_policy(context, point.key, point.policy)


def update(context: Context, observed: Resource, wanted: Resource) -> None:
    """Write the policy and the tags; all else about an access point is fixed."""
    old, new = as_kind(AccessPoint, observed), as_kind(AccessPoint, wanted)
    if not policies.same(old.policy, new.policy):
        _put_policy(context, new.key, new.policy)
    if old.tags != new.tags:
        s3control = context.accounts.client("s3control", new.key.account, new.key.region)
        arn = _arn(context, new.key)
        if gone := sorted(old.tags.keys() - new.tags.keys()):
            s3control.untag_resource(AccountId=new.key.account, ResourceArn=arn, TagKeys=gone)
        s3control.tag_resource(AccountId=new.key.account, ResourceArn=arn, Tags=tag_list(new.tags))


def delete(context: Context, observed: Resource) -> None:
    """Remove the access point; its policy goes with it."""
    key = observed.key
    s3control = context.accounts.client("s3control", key.account, key.region)
    with Tolerated():
        s3control.delete_access_point(AccountId=key.account, Name=key.name)


def all_names(s3control: "S3ControlClient", account: str, bucket: str = "") -> Iterator[str]:
    """The names of all access points of an account in a Region, or of a bucket; botocore has no paginator."""
    asked: Any = {"AccountId": account, "MaxResults": 1000, **({"Bucket": bucket} if bucket else {})}
    while True:
        page = s3control.list_access_points(**asked)
        yield from (point["Name"] for point in page["AccessPointList"])
        if not page.get("NextToken"):
            return
        asked["NextToken"] = page["NextToken"]


def policy_of(context: Context, key: Key) -> Document | None:
    """The policy of an access point, whoever made it."""
    s3control = context.accounts.client("s3control", key.account, key.region)
    with Tolerated():
        return policies.parse(s3control.get_access_point_policy(AccountId=key.account, Name=key.name)["Policy"])
    return None


def _put_policy(context: Context, key: Key, policy: Document | None) -> None:
    s3control = context.accounts.client("s3control", key.account, key.region)
    if policy:
        s3control.put_access_point_policy(AccountId=key.account, Name=key.name, Policy=policies.text(policy))
        return
    with Tolerated():
        s3control.delete_access_point_policy(AccountId=key.account, Name=key.name)


def _arn(context: Context, key: Key) -> str:
    return context.installation.access_point_arn(key.account, key.region, key.name)
