"""The one statement by which a bucket lets podshare's access points decide."""

from podshare.kinds import bucket_policy, names
from podshare.kinds.base import Key, Resource
from podshare.kinds.bucket_delegation.shape import BucketDelegation
from podshare.kinds.bucket_policy import READS, WRITES
from podshare.kinds.context import Context, as_kind
from podshare.policy.policies import Document

__all__ = ["READS", "WRITES", "create", "delete", "preview", "read", "update"]


def read(context: Context, key: Key, wanted: Resource | None) -> BucketDelegation | None:
    """The team's share, and whether the bucket's statement says what all shares together ask for."""
    share = bucket_policy.share(context, key)
    if share is None:
        return None
    in_policy, drift = bucket_policy.written(context, key, names.delegation_sid(context.installation))
    return BucketDelegation(key=key, write=bool(share["write"]), in_policy=in_policy, drift=drift)


def create(context: Context, wanted: Resource) -> None:
    """Add the team's share, and write the statement."""
    delegation = as_kind(BucketDelegation, wanted)
    bucket_policy.put_share(context, delegation.key, write=delegation.write)


def update(context: Context, observed: Resource, wanted: Resource) -> None:
    """Change the team's share, and write the statement."""
    create(context, wanted)


def preview(context: Context, wanted: BucketDelegation) -> tuple[Document | None, Document]:
    """The bucket's policy as it is, and as it would be with the team's share in it."""
    return bucket_policy.preview(context, wanted.key, {"write": wanted.write})


def delete(context: Context, observed: Resource) -> None:
    """Take back the team's share, and write the statement, which goes with the last share."""
    bucket_policy.drop_share(context, observed.key)
