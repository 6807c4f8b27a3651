"""Links from a directory of a file system to a prefix of a bucket."""

from dataclasses import dataclass, replace
from typing import Self

from podshare.kinds.base import ExecutionRole, Resource, Stage


@dataclass(frozen=True, kw_only=True)
class DataRepositoryAssociation(Resource):
    """The link from a directory of a file system (its key's name) to what lies under a prefix of a bucket.

    ``status`` is ``settled``, ``moving``, ``misconfigured`` or ``failed``. Path and repository are fixed.
    """

    execution_role = ExecutionRole.CLUSTER
    revoke_stage = Stage.DATA_ACCESS
    remove_stage = Stage.CACHED_DATA
    gives = False  # it brings data into a directory, which volumes give
    in_turn = True  # a file system takes one change at a time

    repository: str
    imports: frozenset[str]
    exports: frozenset[str]
    status: str = "settled"

    def intersection(self, desired: Self) -> Self | None:
        return replace(self, exports=self.exports & desired.exports) if self.repository == desired.repository else None
