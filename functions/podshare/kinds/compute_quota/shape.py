"""A team's compute quota in a cluster."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from podshare.kinds import names
from podshare.kinds.base import ExecutionRole, Key, Kind, Resource, Stage, calls_of
from podshare.kinds.team_on_cluster import TeamOnCluster
from podshare.registry.records import Quota, QuotaResource


@dataclass(frozen=True, kw_only=True)
class ComputeQuota(Resource):
    """A team's compute quota; ``resources`` and ``sharing`` are in the terms of the SageMaker API.

    ``status`` is ``settled``, ``moving`` while SageMaker works on it, or ``failed`` where it has to be created again.
    """

    execution_role = ExecutionRole.CLUSTER
    revoke_stage = remove_stage = Stage.COMPUTE
    gives = False
    in_namespace = True  # it makes the namespace
    reported_by = calls_of("sagemaker", "CreateComputeQuota UpdateComputeQuota DeleteComputeQuota AddTags DeleteTags")

    team: str
    resources: tuple[Mapping[str, Any], ...]
    sharing: Mapping[str, Any]
    fair_share_weight: int
    preempt_team_tasks: str
    active: bool
    description: str = ""
    status: str = "settled"

    def intersection(self, desired: Self) -> Self | None:
        return self  # capacity is no access: it is raised and lowered in place, never cut

    @classmethod
    def deletion(cls, key: Key) -> str:
        where = f"--region {key.region}"
        query = (
            f"ComputeQuotaSummaries[?Name=='{key.name.rpartition('/')[2]}' && Status!='Deleted'].ComputeQuotaId | [0]"
        )
        query_id = f'aws sagemaker list-compute-quotas {where} --query "{query}" --output text'
        return f"aws sagemaker delete-compute-quota {where} --compute-quota-id $({query_id})"


def desired(on: TeamOnCluster) -> Iterator[ComputeQuota]:
    """The team's quota on the cluster."""
    quota = on.quota
    yield ComputeQuota(
        key=quota_key(on),
        tags=on.tags(),
        why="the team's quota",
        team=on.team.name,
        resources=quota_lines(quota.resources),
        sharing=_sharing(quota),
        fair_share_weight=quota.fair_share_weight,
        preempt_team_tasks=quota.preempt_team_tasks,
        active=quota.active,
        description=quota.description,
    )


def quota_key(on: TeamOnCluster) -> Key:
    """The key of the team's quota, with which SageMaker makes its namespace."""
    hyperpod_id = on.cluster.hyperpod_arn.rpartition("/")[2]
    name = on.quota.name or names.compute_quota(on.installation, on.team.name)
    return on.key(Kind.COMPUTE_QUOTA, f"{hyperpod_id}/{name}")


def quota_lines(resources: Iterable[QuotaResource]) -> tuple[Mapping[str, object], ...]:
    """Quota lines in the terms of the SageMaker API, in an order of their own."""
    return tuple(sorted((_quota_line(resource) for resource in resources), key=str))


def _quota_line(resource: QuotaResource) -> Mapping[str, object]:
    partition = resource.accelerator_partition
    line = {
        "InstanceType": resource.instance_type,
        "Count": resource.count,
        "Accelerators": resource.accelerators,
        "VCpu": resource.vcpu,
        "MemoryInGiB": resource.memory_gib,
        "AcceleratorPartition": partition and {"Type": partition.type, "Count": partition.count},
    }
    return {name: value for name, value in line.items() if value is not None}


def _sharing(quota: Quota) -> Mapping[str, object]:
    sharing: dict[str, object] = {"Strategy": quota.sharing.strategy}
    if quota.sharing.borrow_limit is not None:
        sharing["BorrowLimit"] = quota.sharing.borrow_limit
    if quota.sharing.absolute_borrow_limits:
        sharing["AbsoluteBorrowLimits"] = list(quota_lines(quota.sharing.absolute_borrow_limits))
    return sharing
