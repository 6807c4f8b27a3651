"""EKS access entries: who may enter a cluster, and what they may do there."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from podshare.installation import Installation
from podshare.kinds.base import ExecutionRole, Key, Kind, Resource, Stage, calls_of
from podshare.kinds.kubernetes_role.shape import rules_of_groups
from podshare.kinds.role.shape import Role
from podshare.kinds.team_on_cluster import TeamOnCluster
from podshare.policy import policies
from podshare.registry.records import Access

NAMESPACE_POLICIES = {
    Access.TRAINING: "AmazonSagemakerHyperpodTrainingPolicy",
    Access.INFERENCE: "AmazonSagemakerHyperpodInferencePolicy",
    Access.SPACE: "AmazonSagemakerHyperpodSpacePolicy",
    Access.VIEW: "AmazonEKSViewPolicy",
    Access.EDIT: "AmazonEKSEditPolicy",
    Access.ADMIN: "AmazonEKSAdminPolicy",
}
CLUSTER_POLICY = "AmazonSagemakerHyperpodUserClusterPolicy"
# reads the templates of spaces, which all teams share (SageMaker AI developer guide, "Add users and set up service
# accounts", access entry policies)
TEMPLATE_POLICY = "AmazonSagemakerHyperpodSpaceTemplatePolicy"
TEMPLATE_NAMESPACE = "jupyter-k8s-shared"


@dataclass(frozen=True, kw_only=True)
class AccessEntry(Resource):
    """A principal's entry to a cluster. ``policies`` maps the ARN of an access policy to its namespaces.

    No namespaces means the cluster scope. An entry that is older than its role is not ``alive``: EKS keeps the
    role's unique id, and the entry then looks healthy while it admits nobody.
    """

    execution_role = ExecutionRole.CLUSTER
    revoke_stage = remove_stage = Stage.CLUSTER_ACCESS
    gives = is_access = True
    reported_by = calls_of(
        "eks",
        "CreateAccessEntry UpdateAccessEntry DeleteAccessEntry AssociateAccessPolicy "
        "DisassociateAccessPolicy TagResource UntagResource",
    )

    policies: Mapping[str, tuple[str, ...]]
    groups: frozenset[str]
    username: str
    type: str = "STANDARD"
    alive: bool = True

    def intersection(self, desired: Self) -> Self | None:
        if not self.alive or self.type != desired.type or self.username != desired.username:
            return None
        shared = {
            arn: scope
            for arn in self.policies.keys() & desired.policies.keys()
            if (scope := _scope_intersection(self.policies[arn], desired.policies[arn])) is not None
        }
        return replace(self, policies=shared, groups=self.groups & desired.groups)

    @classmethod
    def deletion(cls, key: Key) -> str:
        where = f"--region {key.region} --cluster-name {key.container}"
        return f"aws eks delete-access-entry {where} --principal-arn {key.name}"

    @classmethod
    def marking(cls, installation: Installation, key: Key, marks: Mapping[str, str]) -> str:
        where, pairs = f"--region {key.region}", ",".join(f"{name}={value}" for name, value in sorted(marks.items()))
        asked = f"{where} --cluster-name {key.container} --principal-arn {key.name}"
        arn = f"aws eks describe-access-entry {asked} --query accessEntry.accessEntryArn --output text"
        return f"aws eks tag-resource {where} --resource-arn $({arn}) --tags {pairs}"


def _scope_intersection(left: tuple[str, ...], right: tuple[str, ...]) -> tuple[str, ...] | None:
    """Namespaces in both scopes; the cluster scope (empty) holds them all. None where there are none."""
    if not left or not right:
        return left or right
    shared = {
        name for name in (*left, *right) if all(any(policies.covers(wide, name) for wide in s) for s in (left, right))
    }
    return tuple(sorted(shared)) or None


def access_entry(on: TeamOnCluster, who: str, role: Role) -> AccessEntry:
    """The entry of a cluster access role to the cluster."""
    kinds = on.team.access_kinds
    scopes: dict[str, tuple[str, ...]] = {NAMESPACE_POLICIES[kind]: (on.team.namespace,) for kind in kinds}
    scopes[CLUSTER_POLICY] = ()
    if Access.SPACE in kinds:
        scopes[TEMPLATE_POLICY] = (TEMPLATE_NAMESPACE,)
    return AccessEntry(
        key=on.key(Kind.ACCESS_ENTRY, on.role_arn(role.key)),
        tags=on.tags(member=who),
        why=role.why,
        needs=frozenset({role.key}),
        policies={access_policy_arn(on.installation.partition, name): scope for name, scope in scopes.items()},
        groups=frozenset({*on.team.kubernetes_groups, *rules_of_groups(on)}),
        username=session_username(on.installation.partition, on.cluster.account, role.key.name),
    )


def access_policy_arn(partition: str, name: str) -> str:
    """The ARN of one of EKS's access policies."""
    return f"arn:{partition}:eks::aws:cluster-access-policy/{name}"


def session_username(partition: str, account: str, role: str) -> str:
    """The Kubernetes user name that EKS gives by default: the audit log then names role and session."""
    return f"arn:{partition}:sts::{account}:assumed-role/{role}/{{{{SessionName}}}}"
