"""A team's share in the statements by which a bucket admits a file system."""

from dataclasses import dataclass
from typing import Self

from podshare.kinds.base import ExecutionRole, Stage, calls_of
from podshare.kinds.bucket_share import BucketShare


@dataclass(frozen=True, kw_only=True)
class FileSystemDelegation(BucketShare):
    """A team's share in the statements by which a bucket admits the service-linked role of a file system.

    Cut, it leaves what Amazon FSx needs of the bucket itself, and no object: the association goes after the access.
    """

    execution_role = ExecutionRole.DATA
    revoke_stage = Stage.DATA_ACCESS
    remove_stage = Stage.REMAINS
    gives = in_bucket = in_turn = True
    reported_by = calls_of("s3", "PutBucketPolicy DeleteBucketPolicy")

    account: str
    file_system: str
    prefix: str
    read: bool = True
    write: bool

    def intersection(self, desired: Self) -> Self | None:
        if (self.account, self.prefix) != (desired.account, desired.prefix):
            return None
        return self.rewritten(read=self.read and desired.read, write=self.write and desired.write)

    def revoked(self) -> Self | None:
        return self.rewritten(read=False, write=False)
