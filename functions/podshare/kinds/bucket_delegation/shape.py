"""A team's share in the statement by which a bucket lets access points decide."""

from dataclasses import dataclass, replace
from typing import Self

from podshare.kinds.base import Resource, Stage, Work


@dataclass(frozen=True, kw_only=True)
class BucketDelegation(Resource):
    """A team's share in the statement by which a bucket delegates to podshare's access points.

    ``in_policy`` tells whether the bucket's statement says what all current grants together ask for.
    """

    work = Work.DATA
    cut_stage = remove_stage = Stage.REMAINS
    gives = False  # it lets access points decide, and each access point is looked at
    in_bucket = True
    told_by = frozenset(
        f"s3:{name}"
        for name in (
            "PutBucketPolicy",
            "DeleteBucketPolicy",
            "PutBucketPublicAccessBlock",
            "DeleteBucketPublicAccessBlock",
        )
    )

    write: bool
    in_policy: bool = True

    def common(self, desired: Self) -> Self | None:
        return replace(self, write=self.write and desired.write)
