"""A team's compute quota in a cluster."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from podshare.kinds.base import Key, Resource, Stage, Work


@dataclass(frozen=True, kw_only=True)
class ComputeQuota(Resource):
    """A team's compute quota; ``resources`` and ``sharing`` are in the terms of the SageMaker API.

    ``status`` is ``settled``, ``moving`` while SageMaker works on it, or ``failed`` where it has to be made anew.
    """

    work = Work.CLUSTER
    cut_stage = remove_stage = Stage.COMPUTE
    gives = False
    in_namespace = True  # it makes the namespace
    told_by = frozenset(
        f"sagemaker:{name}"
        for name in ("CreateComputeQuota", "UpdateComputeQuota", "DeleteComputeQuota", "AddTags", "DeleteTags")
    )

    team: str
    resources: tuple[Mapping[str, Any], ...]
    sharing: Mapping[str, Any]
    fair_share_weight: int
    preempt_team_tasks: str
    active: bool
    description: str = ""
    status: str = "settled"

    def common(self, desired: Self) -> Self | None:
        return self  # capacity is no access: it is raised and lowered in place, never cut

    @classmethod
    def deletion(cls, key: Key) -> str:
        where = f"--region {key.region}"
        query = (
            f"ComputeQuotaSummaries[?Name=='{key.name.rpartition('/')[2]}' && Status!='Deleted'].ComputeQuotaId | [0]"
        )
        found = f'aws sagemaker list-compute-quotas {where} --query "{query}" --output text'
        return f"aws sagemaker delete-compute-quota {where} --compute-quota-id $({found})"
