"""The scheduler config of a cluster, of which each of its teams has a share."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from podshare.installation import MANAGED_BY_TAG
from podshare.kinds import names
from podshare.kinds.base import ExecutionRole, Kind, Resource, Stage, calls_of
from podshare.kinds.team_on_cluster import CLUSTER_TAG, TeamOnCluster


@dataclass(frozen=True, kw_only=True)
class ClusterSchedulerConfig(Resource):
    """A team's share in the scheduler config of its cluster, in the terms of the SageMaker API.

    ``status`` is as a compute quota's, or ``absent`` where the share is written down and no config is there.
    """

    execution_role = ExecutionRole.CLUSTER
    revoke_stage = remove_stage = Stage.COMPUTE
    gives = False
    reported_by = calls_of(
        "sagemaker",
        "CreateClusterSchedulerConfig UpdateClusterSchedulerConfig DeleteClusterSchedulerConfig AddTags DeleteTags",
    )

    config: Mapping[str, Any]
    description: str = ""
    status: str = "settled"

    def intersection(self, desired: Self) -> Self | None:
        return self  # the order of tasks is no access: it is changed in place, never cut


def desired(on: TeamOnCluster) -> Iterator[ClusterSchedulerConfig]:
    """The cluster's one, of which each of its teams has a share. It is not the team's: its tags name none."""
    cluster = on.cluster
    if cluster.scheduler is None:
        return
    hyperpod_id = cluster.hyperpod_arn.rpartition("/")[2]
    name = f"{hyperpod_id}/{names.cluster_scheduler_config(on.installation)}"
    classes = sorted(cluster.scheduler.priority_classes, key=lambda priority_class: priority_class.name)
    yield ClusterSchedulerConfig(
        key=on.key(Kind.CLUSTER_SCHEDULER_CONFIG, name),
        tags={
            **on.installation.resource_tags,
            MANAGED_BY_TAG: on.installation.manager,
            CLUSTER_TAG: cluster.name,
        },
        why="the cluster's scheduler",
        description=cluster.scheduler.description,
        config={
            "PriorityClasses": [
                {"Name": priority_class.name, "Weight": priority_class.weight} for priority_class in classes
            ],
            "FairShare": _enabled(cluster.scheduler.fair_share),
            "IdleResourceSharing": _enabled(cluster.scheduler.idle_resource_sharing),
        },
    )


def _enabled(wanted: bool) -> str:
    return "Enabled" if wanted else "Disabled"
