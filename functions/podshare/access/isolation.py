"""The isolation rules: what must hold between teams, whatever the registry says.

They are compared with what AWS and Kubernetes say is there. Isolation is between teams: within a namespace, whoever
may create pods may use its service accounts.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from podshare.access.effective_access import account_of
from podshare.installation import Installation
from podshare.kinds import names
from podshare.kinds.access_entry.shape import (
    CLUSTER_POLICY,
    TEMPLATE_NAMESPACE,
    TEMPLATE_POLICY,
    AccessEntry,
    access_policy_arn,
)
from podshare.kinds.access_point.shape import AccessPoint
from podshare.kinds.base import Key, Resource
from podshare.kinds.data_repository_association.shape import DataRepositoryAssociation
from podshare.kinds.file_system_delegation.shape import FileSystemDelegation
from podshare.kinds.kms_grant.shape import KmsGrant
from podshare.kinds.kubernetes_role.shape import KubernetesRole
from podshare.kinds.kubernetes_role_binding.shape import KubernetesRoleBinding
from podshare.kinds.persistent_volume.shape import PersistentVolume
from podshare.kinds.persistent_volume_claim.shape import PersistentVolumeClaim
from podshare.kinds.pod_identity_association.shape import PodIdentityAssociation
from podshare.kinds.role.shape import Role
from podshare.policy import policies, rbac
from podshare.policy.policies import Statement


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that does not hold, and of which resource."""

    key: Key
    rule: str
    found: str

    def as_dict(self) -> dict[str, str]:
        return {**asdict(self), "key": str(self.key)}


@dataclass(frozen=True, slots=True)
class Boundaries:
    """What a team's own is: its namespace, its clusters, and the principals by which its members work."""

    team: str
    namespace: str
    cluster_arns: frozenset[str]
    member_principals: Mapping[str, frozenset[str]]
    installation: Installation


def violations(own: Boundaries, observed: Iterable[Resource], desired: Mapping[Key, Resource]) -> list[Violation]:
    """Every isolation rule that ``observed``, all that is there of a team, breaks."""
    broken: list[Violation] = []
    for resource in observed:
        wanted = desired.get(resource.key)
        if wanted is None:
            broken.append(Violation(resource.key, "nothing owned exists outside of what is desired", "still there"))
        broken += [Violation(resource.key, rule, reason) for rule, reason in _broken(own, resource, wanted)]
    return broken


def _broken(own: Boundaries, resource: Resource, wanted: Resource | None) -> Iterator[tuple[str, str]]:
    match resource:
        case AccessEntry():
            yield from _entry(own, resource)
        case Role():
            yield from _trust(own, resource)
        case AccessPoint():
            yield from _access_point(own, resource, wanted)
        case PodIdentityAssociation():
            yield from _association(own, resource)
        case FileSystemDelegation():
            yield from _file_system(resource, wanted)
        case DataRepositoryAssociation():
            yield from _link(own, resource, wanted)
        case PersistentVolume():
            yield from _volume(own, resource, wanted)
        case PersistentVolumeClaim():
            if resource.key.name.partition("/")[0] != own.namespace:
                yield "a volume claim lies in its own team's namespace", resource.key.name
        case KmsGrant():
            yield from _key(own, resource)
        case KubernetesRole():
            yield from _kubernetes_role(own, resource)
        case KubernetesRoleBinding():
            yield from _kubernetes_role_binding(own, resource)


def _entry(own: Boundaries, entry: AccessEntry) -> Iterator[tuple[str, str]]:
    cluster_wide = access_policy_arn(own.installation.partition, CLUSTER_POLICY)
    templates = access_policy_arn(own.installation.partition, TEMPLATE_POLICY)
    for arn, namespaces in entry.policies.items():
        if not namespaces and arn != cluster_wide:
            yield "only the read-only user policy spans the cluster", arn
        shared = {TEMPLATE_NAMESPACE} if arn == templates else set()
        if not {*namespaces} <= {own.namespace} | shared:
            yield "an entry's scope lies in its own team's namespace", f"{arn} on {', '.join(namespaces)}"
    for group in sorted(entry.groups):
        if not group.startswith(f"{own.installation.prefix}:{own.team}:"):
            yield "an entry's groups are its own team's", group
    if not entry.alive:
        yield "an entry belongs to the role that exists now", "the role was created again after its entry"


def _trust(own: Boundaries, role: Role) -> Iterator[tuple[str, str]]:
    for statement in policies.canonical(role.trust):
        if statement["Effect"] != "Allow":
            continue
        principal = statement.get("Principal", {})
        if principal.keys() == {"Service"}:
            yield from _trust_in_pods(own, statement)
        elif principal.keys() == {"AWS"}:
            yield from _trust_in_members(own, role, statement)
        else:
            yield "a trust names accounts or EKS Pod Identity", str(principal)


def _trust_in_pods(own: Boundaries, statement: Statement) -> Iterator[tuple[str, str]]:
    if statement["Principal"]["Service"] != ["pods.eks.amazonaws.com"]:
        yield "a service trust is EKS Pod Identity's", str(statement["Principal"])
    yield from _session_tags(own, statement)


def _session_tags(own: Boundaries, statement: Statement) -> Iterator[tuple[str, str]]:
    tags = statement.get("Condition", {}).get("StringEquals", {})
    clusters = {*tags.get("aws:requesttag/eks-cluster-arn", ())}
    if not clusters or not clusters <= own.cluster_arns:
        yield "a data role's trust requires its own cluster", str(tags)
    if tags.get("aws:requesttag/kubernetes-namespace") != [own.namespace]:
        yield "a data role's trust requires its own namespace", str(tags)
    if len(tags.get("aws:requesttag/kubernetes-service-account", ())) != 1:
        yield "a data role's trust requires one service account", str(tags)


def _trust_in_members(own: Boundaries, role: Role, statement: Statement) -> Iterator[tuple[str, str]]:
    condition = statement.get("Condition", {})
    organization = condition.get("StringEquals", {}).get("aws:principalorgid")
    if organization != [own.installation.organization]:
        yield "a trust falls when its account leaves the organization", str(condition)
    principals = set(condition.get("ArnLike", {}).get("aws:principalarn", ()))
    if role.purpose == "data-target":
        if not principals or not all(_is_data_role(own, arn) for arn in principals):
            yield "a target role trusts the team's own data role", str(condition)
        yield from _session_tags(own, statement)
        return
    for arn in statement["Principal"]["AWS"]:
        account = account_of(arn)
        if arn != own.installation.root_arn(account):
            yield "a trust names an account's root with conditions", arn
        elif role.key.account == account and role.purpose == "data-scientist":
            continue  # the account's own principals, as the account's administrators allow
        elif account not in own.member_principals or not principals:
            yield "a trust names only the team's own members", arn
    if strangers := {arn for arn in principals if not _is_member(own, arn)} - _in_own_account(role, principals):
        yield "a trust names only the team's own members", ", ".join(sorted(strangers))


def _is_member(own: Boundaries, arn: str) -> bool:
    """Whether a principal is a member's; only the account in its ARN can match it (IAM, aws:PrincipalArn)."""
    return arn in own.member_principals.get(account_of(arn), ())


def _in_own_account(role: Role, principals: Iterable[str]) -> set[str]:
    """The principals that a data scientist role may trust besides: those of the account that it is in."""
    is_scientist = role.purpose == "data-scientist"
    return {arn for arn in principals if is_scientist and f"::{role.key.account}:" in arn}


def _access_point(own: Boundaries, point: AccessPoint, wanted: Resource | None) -> Iterator[tuple[str, str]]:
    if not point.public_access_blocked:
        yield "public access is blocked", "a public access block is lifted"
    for statement in policies.canonical(point.policy):
        for arn in _arns(statement.get("Principal", {})):
            if not _is_data_role(own, arn):
                yield "an access point's principals are the team's own data roles", arn
    granted = wanted.policy if isinstance(wanted, AccessPoint) else None
    if point.policy and not policies.same(policies.intersection(point.policy, granted), point.policy):
        yield "an access point's prefixes and actions lie within the grants", policies.text(point.policy)[:400]


def _association(own: Boundaries, association: PodIdentityAssociation) -> Iterator[tuple[str, str]]:
    if association.key.name.partition("/")[0] != own.namespace:
        yield "an association lies in its own team's namespace", association.key.name
    for arn in filter(None, (association.role_arn, association.target_role_arn)):
        if not _is_data_role(own, arn):
            yield "an association gives the team's own data role", arn


def _key(own: Boundaries, grant: KmsGrant) -> Iterator[tuple[str, str]]:
    for arn in sorted(grant.grantees):
        if not _is_data_role(own, arn):
            yield "a key is granted to the team's own data roles", arn


def _file_system(delegation: FileSystemDelegation, wanted: Resource | None) -> Iterator[tuple[str, str]]:
    granted = wanted if isinstance(wanted, FileSystemDelegation) else None
    if granted and ((delegation.write and not granted.write) or not delegation.prefix.startswith(granted.prefix)):
        yield "a bucket admits a file system to what is granted through it", delegation.prefix


def _link(own: Boundaries, link: DataRepositoryAssociation, wanted: Resource | None) -> Iterator[tuple[str, str]]:
    if not link.key.name.startswith(_directory(own)):
        yield "a file system links data into its own team's directory", link.key.name
    granted = wanted if isinstance(wanted, DataRepositoryAssociation) else None
    if granted and not link.repository.startswith(granted.repository):
        yield "a file system links what is granted", link.repository
    if granted and not link.exports <= granted.exports:
        yield "what is granted to read is never exported", ", ".join(sorted(link.exports))


def _volume(own: Boundaries, volume: PersistentVolume, wanted: Resource | None) -> Iterator[tuple[str, str]]:
    if volume.claim.partition("/")[0] != own.namespace:
        yield "a volume is for a claim in its own team's namespace", volume.claim
    if not volume.mounts.startswith(_directory(own)):
        yield "a volume mounts its own team's directory", volume.mounts
    if isinstance(wanted, PersistentVolume) and wanted.is_read_only and not volume.is_read_only:
        yield "what is granted to read is mounted to be read", str(volume.spec.get("mountOptions"))


def _directory(own: Boundaries) -> str:
    return names.file_system_path(own.installation, own.team, "").removesuffix("/")


def _kubernetes_role(own: Boundaries, role: KubernetesRole) -> Iterator[tuple[str, str]]:
    if role.key.name.partition("/")[0] != own.namespace:
        yield "a Kubernetes role lies in its own team's namespace", role.key.name
    for rule in role.rules:
        if why := rbac.refusal(rule.api_groups, rule.resources, rule.verbs, rule.resource_names):
            yield "a Kubernetes role gives nothing that reaches further", why


def _kubernetes_role_binding(own: Boundaries, binding: KubernetesRoleBinding) -> Iterator[tuple[str, str]]:
    if binding.key.name.partition("/")[0] != own.namespace:
        yield "a Kubernetes role lies in its own team's namespace", binding.key.name
    for subject in sorted(binding.subjects):
        if not subject.startswith(f"Group {own.installation.prefix}:{own.team}:"):
            yield "a Kubernetes role is bound to its own team's groups", subject


def _is_data_role(own: Boundaries, arn: str) -> bool:
    """Exact to the end, because one team's name may begin with another's (``vision`` and ``vision-labs``)."""
    role = re.escape(f"role{own.installation.role_path}{own.installation.prefix}-{own.team}-") + "[0-9a-f]{8}"
    return re.fullmatch(rf"arn:[^:]+:iam::[0-9]{{12}}:{role}", arn) is not None


def _arns(principal: Any) -> list[str]:
    return [str(arn) for arns in principal.values() for arn in arns]
