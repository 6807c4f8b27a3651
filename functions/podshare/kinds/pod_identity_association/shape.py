"""EKS Pod Identity associations: which role the pods of a service account get."""

from dataclasses import dataclass
from typing import Self

from podshare.kinds.base import Key, Resource, Stage, Work


@dataclass(frozen=True, kw_only=True)
class PodIdentityAssociation(Resource):
    """The role that pods of a service account get through EKS Pod Identity."""

    work = Work.CLUSTER
    cut_stage = remove_stage = Stage.POD_IDENTITY
    gives = is_access = True
    told_by = frozenset(
        f"eks:{name}"
        for name in (
            "CreatePodIdentityAssociation",
            "UpdatePodIdentityAssociation",
            "DeletePodIdentityAssociation",
            "TagResource",
            "UntagResource",
        )
    )

    role_arn: str
    target_role_arn: str | None = None
    session_tags: bool = True

    def common(self, desired: Self) -> Self | None:
        access, wanted = self.facts(), desired.facts()
        access.pop("tags"), wanted.pop("tags")
        return self if access == wanted else None

    @classmethod
    def deletion(cls, key: Key) -> str:
        cluster = f"--region {key.region} --cluster-name {key.container}"
        namespace, _, name = key.name.partition("/")
        found = (
            f"aws eks list-pod-identity-associations {cluster} --namespace {namespace} --service-account {name} "
            "--query associations[0].associationId --output text"
        )
        return f"aws eks delete-pod-identity-association {cluster} --association-id $({found})"
