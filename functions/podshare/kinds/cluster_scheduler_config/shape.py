"""The scheduler config of a cluster, of which each of its teams has a share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from podshare.kinds.base import Resource, Stage, Work


@dataclass(frozen=True, kw_only=True)
class ClusterSchedulerConfig(Resource):
    """A team's share in the scheduler config of its cluster, in the terms of the SageMaker API.

    ``status`` is as a compute quota's, or ``absent`` where the share is written down and no config is there.
    """

    work = Work.CLUSTER
    cut_stage = remove_stage = Stage.COMPUTE
    gives = False
    told_by = frozenset(
        f"sagemaker:{name}"
        for name in (
            "CreateClusterSchedulerConfig",
            "UpdateClusterSchedulerConfig",
            "DeleteClusterSchedulerConfig",
            "AddTags",
            "DeleteTags",
        )
    )

    config: Mapping[str, Any]
    description: str = ""
    status: str = "settled"

    def common(self, desired: Self) -> Self | None:
        return self  # the order of tasks is no access: it is changed in place, never cut
