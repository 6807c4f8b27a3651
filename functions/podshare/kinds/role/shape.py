"""IAM roles under podshare's path: cluster access, data scientist, data access and target roles."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from podshare.installation import Installation
from podshare.kinds import names
from podshare.kinds.base import ExecutionRole, Key, Resource, Stage, calls_of, listed
from podshare.kinds.data_access import key_operations, keys_of, statements
from podshare.kinds.team_on_cluster import ALL_MEMBERS, TeamOnCluster
from podshare.policy import policies
from podshare.policy.policies import Document
from podshare.registry.membership import Member
from podshare.registry.records import DatasetGrant
from podshare.registry.records import ServiceAccount as ServiceAccountRecord


@dataclass(frozen=True, kw_only=True)
class Role(Resource):
    """An IAM role under podshare's path. ``policies`` are its inline policies by name.

    ``buckets`` are those that a target role uses by itself: name, Region, and the KMS key that its dataset names.
    """

    execution_role = ExecutionRole.IDENTITY
    revoke_stage = Stage.TRUST
    remove_stage = Stage.REMAINS
    gives = True
    reported_by = calls_of(
        "iam",
        "CreateRole DeleteRole UpdateRole UpdateRoleDescription UpdateAssumeRolePolicy PutRolePolicy "
        "DeleteRolePolicy AttachRolePolicy DetachRolePolicy PutRolePermissionsBoundary "
        "DeleteRolePermissionsBoundary TagRole UntagRole",
    )

    trust: Document
    policies: Mapping[str, Document]
    boundary: str
    revoked_trust: Document = field(compare=False)
    attached: frozenset[str] = frozenset()
    max_session_seconds: int = 3600
    buckets: frozenset[tuple[str, str, str | None]] = field(default=frozenset(), compare=False)

    @property
    def purpose(self) -> str:
        """What it is for, as its tag says."""
        return self.tags.get("podshare:purpose", "")

    def intersection(self, desired: Self) -> Self | None:
        shared = {
            name: policy
            for name in self.policies.keys() & desired.policies.keys()
            if (policy := policies.intersection(self.policies[name], desired.policies[name]))
        }
        # two sets of prefixes may have more in common than either has: a cut that AWS refused would leave access alive
        return replace(
            self,
            trust=policies.intersection(self.trust, desired.trust) or self.revoked_trust,
            policies=shared if policies.size(shared.values()) <= policies.INLINE_POLICIES else {},
            attached=self.attached & desired.attached,
            boundary=desired.boundary,
            max_session_seconds=min(self.max_session_seconds, desired.max_session_seconds),
        )

    def revoked(self) -> Self | None:
        return replace(self, trust=self.revoked_trust, policies={}, attached=frozenset())

    @classmethod
    def deletion(cls, key: Key) -> str:
        return f"aws iam delete-role --role-name {key.name}"

    @classmethod
    def marking(cls, installation: Installation, key: Key, marks: Mapping[str, str]) -> str:
        return f"aws iam tag-role --role-name {key.name} --tags {listed(marks)}"


def cluster_access_role(on: TeamOnCluster, who: str, group: tuple[Member, ...]) -> Role:
    """The role that members assume to enter the cluster: one member's, or that of all."""
    account = on.cluster.account
    name = names.cluster_access_role(on.installation, on.team.name, on.eks_arn, who)
    principals = {arn for member in group for arn in member_principals(on.installation, on.team.name, member)}
    return Role(
        key=on.role_key(account, name),
        tags=on.tags(purpose="cluster-access", member=who),
        why=who if who == ALL_MEMBERS else group[0].why,
        trust=policies.trust_in_accounts(on.installation, {member.account for member in group}, principals),
        revoked_trust=policies.trust_nobody(on.installation, account),
        policies={
            "describe-cluster": policies.may_describe_cluster(
                on.eks_arn, on.cluster.hyperpod_arn, on.installation.role_arn(account, name)
            )
        },
        boundary=on.installation.boundary_arn(account),
    )


def member_principals(installation: Installation, team: str, member: Member) -> tuple[str, ...]:
    """The ARNs (with ``?`` where IAM Identity Center chooses) of the role by which a member works."""
    roles = f"arn:{installation.partition}:iam::{member.account}:role"
    if member.existing_role:
        return (f"{roles}/{member.existing_role}",)
    if member.permission_set:
        tail = f"AWSReservedSSO_{member.permission_set}_{'?' * 16}"
        home = f"{roles}/aws-reserved/sso.amazonaws.com"
        # the Region is in the path, except where Identity Center's home is us-east-1
        return (f"{home}/{tail}", f"{home}/{installation.identity_center_region}/{tail}")
    return (installation.role_arn(member.account, names.scientist_role(installation, team)),)


def scientist_role(on: TeamOnCluster, member: Member, access_role: Role) -> Role:
    """The role by which a member's scientists work, in the member's account."""
    installation, account = on.installation, member.account
    if member.trusted_by:
        arns = [f"arn:{installation.partition}:iam::{account}:{name}" for name in member.trusted_by]
        trust = policies.trust_in_accounts(installation, [account], arns)
    else:
        trust = policies.trust_whole_account(installation, account)
    access_role_arn = installation.role_arn(on.cluster.account, access_role.key.name)
    parameter = names.team_parameter(installation, on.team.name)
    return Role(
        key=on.role_key(account, names.scientist_role(installation, on.team.name)),
        tags=on.tags(purpose="data-scientist"),
        why=member.why,
        trust=trust,
        revoked_trust=policies.trust_nobody(installation, account),
        policies={
            "assume-cluster-access": policies.document(
                *policies.statements(policies.may_assume(access_role_arn)),
                policies.may_read_parameter(installation, account, on.cluster.region, parameter),
            )
        },
        boundary=installation.boundary_arn(account),
    )


def data_access_role(on: TeamOnCluster, account: ServiceAccountRecord, target: Role | None) -> Role:
    """The role that the pods of a service account get in the cluster's account."""
    name = names.data_access_role(on.installation, on.team.name, on.eks_arn, account.name)
    namespace = on.team.namespace
    return Role(
        key=on.role_key(on.cluster.account, name),
        tags=on.tags(purpose="data-access", service_account=account.name),
        why=f"service account {account.name}",
        trust=policies.trust_pod_identity(on.cluster.account, on.eks_arn, namespace, account.name),
        revoked_trust=policies.trust_nobody(on.installation, on.cluster.account),
        policies=(
            {"assume-target": policies.may_assume(on.role_arn(target.key), policies.CHAIN)}
            if target
            else _dataset_policies(on, on.grants(account))
        ),
        boundary=on.installation.boundary_arn(on.cluster.account),
    )


def target_role(on: TeamOnCluster, account: ServiceAccountRecord) -> Role | None:
    """The role in the data account, where its owner wants it there; None where the data have access points."""
    granted = on.grants(account)
    used = [on.datasets[name] for name in granted if on.datasets[name].data_role == "target"]
    if not used:
        return None
    installation, owner = on.installation, used[0].account
    data_role = names.data_access_role(installation, on.team.name, on.eks_arn, account.name)
    return Role(
        key=on.role_key(owner, names.target_role(installation, on.team.name, on.eks_arn, account.name)),
        tags=on.tags(purpose="data-target", service_account=account.name),
        why=f"service account {account.name}",
        trust=policies.trust_data_role(
            installation,
            installation.role_arn(on.cluster.account, data_role),
            on.eks_arn,
            on.team.namespace,
            account.name,
        ),
        revoked_trust=policies.trust_nobody(installation, owner),
        policies=_dataset_policies(on, granted),
        boundary=installation.boundary_arn(owner),
        buckets=frozenset((dataset.bucket, dataset.region, dataset.kms_key) for dataset in used),
    )


def _dataset_policies(on: TeamOnCluster, granted: Mapping[str, list[DatasetGrant]]) -> dict[str, policies.Document]:
    return {
        f"dataset-{name}": policies.document(
            *statements(on, on.datasets[name], grants, sid="Objects"),
            *(policies.may_use_key(key, key_operations(grants)) for key in keys_of(on.datasets[name])),
        )
        for name, grants in granted.items()
    }
