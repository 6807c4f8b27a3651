"""S3 access points: one per team and dataset."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from podshare.installation import Installation
from podshare.kinds import names
from podshare.kinds.base import ExecutionRole, Key, Resource, Stage, calls_of, listed
from podshare.kinds.data_access import Users, access_point_key, statements
from podshare.kinds.team_on_cluster import TeamOnCluster
from podshare.policy import policies
from podshare.policy.policies import Document
from podshare.registry.records import Dataset


@dataclass(frozen=True, kw_only=True)
class AccessPoint(Resource):
    """A team's access point for a dataset, with its policy. The bucket, network and public access block are fixed.

    ``kms_key`` is the key that the dataset's record names, of which the access point itself knows nothing; ``alias`` is
    the name that S3 gave it, which takes a bucket's place where a tool takes no ARN.
    """

    execution_role = ExecutionRole.DATA
    revoke_stage = Stage.DATA_ACCESS
    remove_stage = Stage.REMAINS
    gives = is_access = in_bucket = True
    reported_by = calls_of(
        "s3",
        "CreateAccessPoint DeleteAccessPoint PutAccessPointPolicy DeleteAccessPointPolicy TagResource UntagResource",
    )

    bucket: str
    policy: Document | None
    vpc: str | None = None
    public_access_blocked: bool = True
    kms_key: str | None = field(default=None, compare=False)
    alias: str = field(default="", compare=False)

    def intersection(self, desired: Self) -> Self | None:
        fixed = ("bucket", "vpc", "public_access_blocked")
        if any(getattr(self, name) != getattr(desired, name) for name in fixed):
            return None
        shared = policies.intersection(self.policy, desired.policy)
        return replace(self, policy=shared if policies.size([shared]) <= policies.ACCESS_POINT_POLICY else None)

    def revoked(self) -> Self | None:
        return replace(self, policy=None)

    @staticmethod
    def identity_of(created: str, alias: str) -> str:
        """What distinguishes an access point from one that takes its name later: it has no id."""
        return f"{created} {alias}".rstrip()

    @staticmethod
    def alias_in(identity: str) -> str:
        """The alias in an identity; empty where S3 gave none, and in those of versions before 0067."""
        return identity.partition(" ")[2]

    @classmethod
    def deletion(cls, key: Key) -> str:
        return f"aws s3control delete-access-point --region {key.region} --account-id {key.account} --name {key.name}"

    @classmethod
    def marking(cls, installation: Installation, key: Key, marks: Mapping[str, str]) -> str:
        where = f"--region {key.region} --account-id {key.account}"
        arn = installation.access_point_arn(key.account, key.region, key.name)
        return f"aws s3control tag-resource {where} --resource-arn {arn} --tags {listed(marks)}"


def access_point(on: TeamOnCluster, dataset: Dataset, users: Users) -> AccessPoint:
    """The access point of the team for a dataset."""
    granted: list[policies.Statement] = []
    roles: set[Key] = set()
    for account, grants in users.items():
        role = names.data_access_role(on.installation, on.team.name, on.eks_arn, account)
        roles.add(on.role_key(on.cluster.account, role))
        principal = on.installation.role_arn(on.cluster.account, role)
        granted += statements(on, dataset, grants, role.rpartition("-")[2], principal)
    return AccessPoint(
        key=access_point_key(on, dataset),
        tags=on.tags(dataset=dataset.name),
        why=f"dataset {dataset.name}",
        needs=frozenset(roles),
        bucket=dataset.bucket,
        policy=policies.document(*granted),
        vpc=dataset.vpc,
        kms_key=dataset.kms_key,
    )
