"""A team's share in the statement by which a bucket lets access points decide."""

from dataclasses import dataclass
from typing import Self

from podshare.kinds.base import ExecutionRole, Key, Kind, Stage, calls_of
from podshare.kinds.bucket_share import BucketShare
from podshare.kinds.data_access import Users
from podshare.kinds.team_on_cluster import TeamOnCluster
from podshare.registry.records import Dataset, DatasetAccess


@dataclass(frozen=True, kw_only=True)
class BucketDelegation(BucketShare):
    """A team's share in the statement by which a bucket delegates to podshare's access points."""

    execution_role = ExecutionRole.DATA
    revoke_stage = Stage.DATA_ACCESS
    remove_stage = Stage.REMAINS
    gives = False  # it lets access points decide, and each access point is checked
    in_bucket = in_turn = True
    reported_by = calls_of(
        "s3",
        "PutBucketPolicy DeleteBucketPolicy PutBucketPublicAccessBlock DeleteBucketPublicAccessBlock",
    )

    write: bool

    def intersection(self, desired: Self) -> Self | None:
        return self.rewritten(write=self.write and desired.write)


def bucket_delegation(on: TeamOnCluster, dataset: Dataset, users: Users) -> BucketDelegation:
    """The team's share in what the bucket delegates."""
    return BucketDelegation(
        key=Key(
            Kind.BUCKET_DELEGATION,
            dataset.account,
            dataset.region,
            dataset.bucket,
            f"{on.team.name}/{dataset.name}",
        ),
        why=f"dataset {dataset.name}",
        write=any(grant.access is DatasetAccess.READ_WRITE for grants in users.values() for grant in grants),
    )
