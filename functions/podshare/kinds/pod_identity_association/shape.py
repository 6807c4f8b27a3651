"""EKS Pod Identity associations: which role the pods of a service account get."""

from dataclasses import dataclass
from typing import Self

from podshare.kinds.base import ExecutionRole, Key, Kind, Resource, Stage, calls_of
from podshare.kinds.role.shape import Role
from podshare.kinds.team_on_cluster import TeamOnCluster
from podshare.registry.records import ServiceAccount as ServiceAccountRecord


@dataclass(frozen=True, kw_only=True)
class PodIdentityAssociation(Resource):
    """The role that pods of a service account get through EKS Pod Identity."""

    execution_role = ExecutionRole.CLUSTER
    revoke_stage = remove_stage = Stage.POD_IDENTITY
    gives = is_access = True
    reported_by = calls_of(
        "eks",
        "CreatePodIdentityAssociation UpdatePodIdentityAssociation DeletePodIdentityAssociation TagResource "
        "UntagResource",
    )

    role_arn: str
    target_role_arn: str | None = None
    session_tags: bool = True

    def intersection(self, desired: Self) -> Self | None:
        access, wanted = self.facts(), desired.facts()
        access.pop("tags"), wanted.pop("tags")
        return self if access == wanted else None

    @classmethod
    def deletion(cls, key: Key) -> str:
        cluster = f"--region {key.region} --cluster-name {key.container}"
        namespace, _, name = key.name.partition("/")
        query_id = (
            f"aws eks list-pod-identity-associations {cluster} --namespace {namespace} --service-account {name} "
            "--query associations[0].associationId --output text"
        )
        return f"aws eks delete-pod-identity-association {cluster} --association-id $({query_id})"


def association(
    on: TeamOnCluster, account: ServiceAccountRecord, role: Role, target: Role | None
) -> PodIdentityAssociation:
    """What gives the pods of a service account their role."""
    return PodIdentityAssociation(
        key=on.namespaced_key(Kind.POD_IDENTITY_ASSOCIATION, account.name),
        tags=on.tags(service_account=account.name),
        why=f"service account {account.name}",
        needs=frozenset({role.key, *([target.key] if target else [])}),
        role_arn=on.role_arn(role.key),
        target_role_arn=on.role_arn(target.key) if target else None,
    )
