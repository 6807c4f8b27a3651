"""A team's Kubernetes service accounts."""

from dataclasses import dataclass
from typing import Self

from podshare.kinds.base import ExecutionRole, Kind, Manifest, Resource, Stage
from podshare.kinds.compute_quota.shape import quota_key
from podshare.kinds.manifests import object_of
from podshare.kinds.team_on_cluster import TeamOnCluster
from podshare.registry.records import ServiceAccount as ServiceAccountRecord


@dataclass(frozen=True, kw_only=True)
class ServiceAccount(Resource):
    """A Kubernetes service account in the team's namespace (labels are in ``tags``)."""

    execution_role = ExecutionRole.KUBERNETES
    revoke_stage = remove_stage = Stage.REMAINS
    gives = False
    in_namespace = True
    object_kind = "ServiceAccount"

    def intersection(self, desired: Self) -> Self | None:
        return self  # it gives nothing by itself

    def manifest(self) -> Manifest:
        return object_of("v1", self)


def service_account(on: TeamOnCluster, account: ServiceAccountRecord) -> ServiceAccount:
    """The service account in the team's namespace."""
    return ServiceAccount(
        key=on.namespaced_key(Kind.SERVICE_ACCOUNT, account.name),
        tags=on.labels,
        why=f"service account {account.name}",
        needs=frozenset({quota_key(on)}),
    )
