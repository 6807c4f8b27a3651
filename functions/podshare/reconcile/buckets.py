"""What has to hold of buckets and KMS keys before data is shared through them."""

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError

from podshare.aws.errors import code_of, reason_of, remedy_for
from podshare.kinds import bucket_policy, limits
from podshare.kinds.access_point.shape import AccessPoint
from podshare.kinds.base import Key, Kind, Resource
from podshare.kinds.bucket_delegation import calls as bucket_delegation
from podshare.kinds.bucket_delegation.shape import BucketDelegation
from podshare.kinds.context import Context
from podshare.kinds.file_system_delegation import calls as file_system_delegation
from podshare.kinds.file_system_delegation.shape import FileSystemDelegation
from podshare.kinds.kms_grant.shape import KmsGrant
from podshare.kinds.observation import LONGEST_TEXT, Blocker
from podshare.kinds.pod_identity_association.shape import PodIdentityAssociation
from podshare.kinds.role.shape import Role
from podshare.policy.data_conditions import denials

TARGET_ROLES_TAG = "podshare:target-roles"
_AWS_MANAGED = "alias/aws/s3"


def unfit_data(context: Context, desired: Mapping[Key, Resource], adding: Collection[Key]) -> Iterator[Blocker]:
    """Everything about buckets and keys that keeps data from being shared, once for each.

    What is shared already is checked as well: a condition that no longer holds shuts pods out, and nobody would be
    notified. Only policies that are about to be written are checked for ``adding`` alone.
    """
    for role in desired.values():
        if isinstance(role, Role) and role.buckets:
            yield from _target_role(context, role)
    points = [resource for resource in desired.values() if isinstance(resource, AccessPoint)]
    for place in sorted({(point.bucket, point.key.account, point.key.region) for point in points}):
        if unfit := [*_bucket(context, *place)]:
            yield from unfit
        else:
            named = {
                resource.kms_key
                for resource in desired.values()
                if isinstance(resource, AccessPoint) and resource.bucket == place[0]
            }
            clusters = {
                resource.key.account for resource in desired.values() if isinstance(resource, PodIdentityAssociation)
            }
            yield from _encryption(context, *place, named, clusters)
    for delegation in (desired[key] for key in adding):
        if isinstance(delegation, BucketDelegation):
            yield from _bucket_policy(context, delegation)
        if isinstance(delegation, FileSystemDelegation):
            yield from _linked(context, delegation)
    grants = [key for key, resource in desired.items() if isinstance(resource, KmsGrant)]
    for account, region, key in sorted({(grant.account, grant.region, grant.container) for grant in grants}):
        yield from _kms_key(context, account, region, key)


def denied(context: Context, desired: Mapping[Key, Resource]) -> tuple[list[Blocker], list[str]]:
    """What statements of buckets' own policies deny to pods: problems, and notes where a condition decides."""
    blockers, notes = list[Blocker](), list[str]()
    for key in _one_for_each_bucket(desired, Kind.BUCKET_DELEGATION):
        bucket = key.container
        for sid, condition in denials(_policy(context, key), bucket):
            statement = f"statement {sid} of the policy of bucket {bucket}"
            if condition:
                problem = (
                    f"{statement} may deny pods the data, on a condition that podshare does not evaluate: {condition}"
                )
                notes.append(problem[:LONGEST_TEXT])
            else:
                remedy = "Ask the bucket's owner to exempt podshare's access points from it."
                blockers.append(
                    Blocker(f"{statement} denies pods the data, whatever grants they have", remedy, key.account, bucket)
                )
    return blockers, notes


def put_back(context: Context, desired: Iterable[Key]) -> list[str]:
    """What podshare wrote over in buckets' policies and has put back, each bucket once."""
    keys = _one_for_each_bucket(desired, Kind.BUCKET_DELEGATION, Kind.FILE_SYSTEM_DELEGATION)
    return [note for key in keys if (note := bucket_policy.put_back(context, key))]


def _one_for_each_bucket(keys: Iterable[Key], *kinds: Kind) -> list[Key]:
    """A team has a delegation for each dataset, and these share their bucket's policy."""
    return [*{(key.account, key.container): key for key in sorted(keys) if key.kind in kinds}.values()]


def _policy(context: Context, key: Key) -> Mapping[str, Any] | None:
    with contextlib.suppress(Exception):  # without an answer there is nothing to report about it
        return bucket_policy.policy_of(context, key)
    return None


def _bucket(context: Context, bucket: str, account: str, region: str) -> Iterator[Blocker]:
    """A bucket that can be shared: there, in its record's Region, its policy not public.

    One public statement and RestrictPublicBuckets together block all access from other accounts.
    """
    try:
        s3 = context.accounts.client("s3", account, region)
        # us-east-1 is reported as None (S3 API reference, GetBucketLocation)
        location: Mapping[str, object] = s3.get_bucket_location(Bucket=bucket, ExpectedBucketOwner=account)
        where = str(location.get("LocationConstraint") or "us-east-1")
        if where != region:
            problem = f"bucket {bucket} is in {where}, the dataset's record says {region}"
            yield Blocker(problem, "Correct region in the dataset's record.", account, bucket)
            return
        status = s3.get_bucket_policy_status(Bucket=bucket, ExpectedBucketOwner=account)["PolicyStatus"]
    except Exception as error:  # whatever it is, it affects this alone
        if isinstance(error, ClientError) and code_of(error) == "NoSuchBucketPolicy":
            return
        remedy = "Correct the dataset's record, or list the bucket in BucketNames of accounts/member.yaml."
        problem = f"bucket {bucket} of account {account} cannot be read: {reason_of(error)}"
        yield Blocker(problem, remedy_for(error, remedy), account, bucket)
        return
    if status.get("IsPublic"):
        remedy = "Remove the public statement: access points can share the bucket without it."
        yield Blocker(f"the policy of bucket {bucket} is public", remedy, account, bucket)


def _bucket_policy(context: Context, delegation: BucketDelegation | FileSystemDelegation) -> Iterator[Blocker]:
    """A policy that takes podshare's statements; a bucket that cannot be read has its blocker already."""
    with contextlib.suppress(Exception):
        blockers = (
            bucket_delegation.preview(context, delegation)
            if isinstance(delegation, BucketDelegation)
            else file_system_delegation.preview(context, delegation)
        )
        yield from limits.bucket_policy(delegation.key.container, delegation.key.account, *blockers)


def _linked(context: Context, delegation: FileSystemDelegation) -> Iterator[Blocker]:
    """A bucket that Amazon FSx can be let into, which has no key of KMS: its blockers do not affect access points."""
    key = delegation.key
    place = (context, key.container, key.account, key.region)
    blockers = [*_bucket(*place)] or [
        *_encryption(*place, (), {delegation.account}),
        *_bucket_policy(context, delegation),
    ]
    yield from (replace(blocker, account="", bucket="", only=str(key)) for blocker in blockers)


def notes(context: Context, desired: Mapping[Key, Resource], creating: Collection[Key]) -> Iterator[str]:
    """What whoever shares a bucket for the first time should know of it, and what keeps nothing from being shared.

    Objects that other accounts wrote are theirs unless the bucket owns all that is in it (S3 user guide, "Controlling
    ownership of objects"): the bucket's policies, and so access points, say nothing of them.
    """
    points = [point for key in creating if isinstance(point := desired[key], AccessPoint)]
    for bucket, account, region in sorted({(point.bucket, point.key.account, point.key.region) for point in points}):
        with contextlib.suppress(Exception):  # without such a setting, or without an answer, there is nothing to tell
            s3 = context.accounts.client("s3", account, region)
            bucket_ownership_controls = s3.get_bucket_ownership_controls(Bucket=bucket, ExpectedBucketOwner=account)
            owners = {rule["ObjectOwnership"] for rule in bucket_ownership_controls["OwnershipControls"]["Rules"]}
            if owners - {"BucketOwnerEnforced"}:
                ownership = ", ".join(owners)
                yield f"bucket {bucket} has object ownership {ownership}: objects of other owners stay inaccessible"


def _target_role(context: Context, role: Role) -> Iterator[Blocker]:
    """An account whose owner lets roles of its own use its buckets, and buckets that they can use."""
    account, only = role.key.account, str(role.key)
    blockers: list[Blocker] = []
    for bucket, region, key in sorted(role.buckets, key=str):
        place = (context, bucket, account, region)
        blockers += [*_bucket(*place)] or _encryption(*place, {key}, {account})
    with contextlib.suppress(Exception):  # an account without its member role has its blocker already
        if context.accounts.member_tags(account).get(TARGET_ROLES_TAG) != "true":
            problem = f"account {account} allows no target roles for its buckets, which data_role target needs"
            blockers.append(
                Blocker(problem, "Set TargetRoles of accounts/member.yaml to true there, or use access points.")
            )
    yield from (replace(blocker, account="", bucket="", only=only) for blocker in blockers)


def _encryption(  # noqa: PLR0917  # a place, and for whom
    context: Context, bucket: str, account: str, region: str, named: Collection[str | None], users: Collection[str]
) -> Iterator[Blocker]:
    """A bucket whose objects ``users`` can decrypt: by S3's own keys, or by one that the team's datasets name."""
    try:
        s3 = context.accounts.client("s3", account, region)
        bucket_encryption = s3.get_bucket_encryption(Bucket=bucket, ExpectedBucketOwner=account)
        rules = bucket_encryption["ServerSideEncryptionConfiguration"]["Rules"]
    except Exception as error:  # as above
        if isinstance(error, ClientError) and code_of(error) == "ServerSideEncryptionConfigurationNotFoundError":
            return
        problem = f"the encryption of bucket {bucket} of account {account} cannot be read: {reason_of(error)}"
        remedy = remedy_for(error, "Deploy accounts/member.yaml of this version there.")
        yield Blocker(problem, remedy, account, bucket)
        return
    for default in (rule.get("ApplyServerSideEncryptionByDefault") for rule in rules):
        if default is None or not default["SSEAlgorithm"].startswith("aws:kms"):
            continue
        key = default.get("KMSMasterKeyID", _AWS_MANAGED)
        if key.endswith(_AWS_MANAGED):
            if {*users} - {account}:
                problem = f"bucket {bucket} is encrypted with the AWS managed key, which no other account may use"
                yield Blocker(
                    problem, "Encrypt it and its objects with a customer managed key, or with SSE-S3.", account, bucket
                )
        elif key not in named:  # one without an ARN is looked for in the writer's account (PutBucketEncryption)
            remedy = "Name that key in kms_key of the dataset's record, and by its ARN in the bucket's encryption."
            yield Blocker(f"bucket {bucket} is encrypted with {key}, which no dataset names", remedy, account, bucket)


def _kms_key(context: Context, account: str, region: str, key: str) -> Iterator[Blocker]:
    """A key that podshare may grant, and by which S3 can encrypt."""
    arn = f"arn:{context.installation.partition}:kms:{region}:{account}:key/{key}"
    try:
        key_metadata = context.accounts.client("kms", account, region).describe_key(KeyId=key)["KeyMetadata"]
    except Exception as error:  # as above
        problem = f"KMS key {arn} cannot be read: {reason_of(error)}"
        remedy = (
            "Add it to KmsKeyArns of accounts/member.yaml; its key policy must delegate to the account's IAM policies."
        )
        yield Blocker(problem, remedy_for(error, remedy), account, kms_key=arn)
        return
    if key_metadata.get("KeyState") != "Enabled":
        remedy = "Enable it, or correct kms_key in the dataset's record."
        yield Blocker(f"KMS key {arn} is {key_metadata.get('KeyState')}", remedy, account, kms_key=arn)
    if key_metadata.get("KeySpec", "SYMMETRIC_DEFAULT") != "SYMMETRIC_DEFAULT":
        problem = f"KMS key {arn} is {key_metadata.get('KeySpec')}: S3 supports only symmetric keys"
        yield Blocker(problem, "Correct kms_key in the dataset's record.", account, kms_key=arn)
