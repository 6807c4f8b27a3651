"""What should be there for a team: a pure function of its records.

Revoking is no second path: what a record no longer asks for is not in the result.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from podshare.installation import MANAGED_BY_TAG, TEAM_TAG, Installation
from podshare.kinds import hardening, names
from podshare.kinds.access_entry.shape import AccessEntry
from podshare.kinds.access_point.shape import AccessPoint
from podshare.kinds.base import Key, Kind, Manifest, Resource
from podshare.kinds.bucket_delegation.shape import BucketDelegation
from podshare.kinds.cluster_scheduler_config.shape import ClusterSchedulerConfig
from podshare.kinds.compute_quota.shape import ComputeQuota
from podshare.kinds.facts import ClusterFacts
from podshare.kinds.file_systems import Links
from podshare.kinds.kms_grant.shape import KmsGrant
from podshare.kinds.kubernetes_role.shape import KubernetesRole
from podshare.kinds.kubernetes_role_binding.shape import KubernetesRoleBinding
from podshare.kinds.namespace.shape import Namespace
from podshare.kinds.pod_identity_association.shape import PodIdentityAssociation
from podshare.kinds.role.shape import Role
from podshare.kinds.role_attachment.shape import RoleAttachment
from podshare.kinds.service_account.shape import ServiceAccount
from podshare.policy import policies
from podshare.policy.rbac import KubernetesRule
from podshare.registry.accounts import Account, is_gone, is_out_of_reach
from podshare.registry.membership import Member, members
from podshare.registry.records import (
    Access,
    Dataset,
    DatasetAccess,
    DatasetGrant,
    Preset,
    Quota,
    QuotaResource,
    Team,
    as_rule,
    share_a_role,
    without_access,
)
from podshare.registry.records import ServiceAccount as ServiceAccountRecord

NAMESPACE_POLICIES = {
    Access.TRAINING: "AmazonSagemakerHyperpodTrainingPolicy",
    Access.INFERENCE: "AmazonSagemakerHyperpodInferencePolicy",
    Access.SPACE: "AmazonSagemakerHyperpodSpacePolicy",
    Access.VIEW: "AmazonEKSViewPolicy",
    Access.EDIT: "AmazonEKSEditPolicy",
    Access.ADMIN: "AmazonEKSAdminPolicy",
}
ALL_MEMBERS = "all members"  # share a cluster access role where a team has one
CLUSTER_TAG = "podshare:cluster"
DATASET_TAG = "podshare:dataset"
CLUSTER_POLICY = "AmazonSagemakerHyperpodUserClusterPolicy"
# reads the templates of spaces, which all teams share (SageMaker AI developer guide, "Add users and set up service
# accounts", access entry policies)
TEMPLATE_POLICY = "AmazonSagemakerHyperpodSpaceTemplatePolicy"
TEMPLATE_NAMESPACE = "jupyter-k8s-shared"
# kubectl exec and port-forward ask for `get` where they use WebSockets, since Kubernetes 1.35 for `create` as well
PRESETS: Mapping[Preset, tuple[KubernetesRule, ...]] = {
    "debug": (
        KubernetesRule(
            ("",), ("configmaps",), ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
        ),
        KubernetesRule(("",), ("pods/exec", "pods/portforward"), ("create", "get")),
    ),
}


@dataclass(frozen=True, slots=True)
class _Wish:
    """A team on one of its clusters, with everything that its resources there are computed from."""

    team: Team
    quota: Quota
    members: tuple[Member, ...]
    cluster: ClusterFacts
    datasets: Mapping[str, Dataset]
    installation: Installation

    @property
    def eks_arn(self) -> str:
        return self.cluster.eks_arn(self.installation.partition)

    def tags(self, **more: str) -> dict[str, str]:
        """The organization's own; ownership and cost allocation: whose, by whom, for which part of the record."""
        return {
            **self.installation.resource_tags,
            TEAM_TAG: self.team.name,
            MANAGED_BY_TAG: self.installation.manager,
            "podshare:owner": self.team.owner,
            CLUSTER_TAG: self.cluster.name,
            **{f"podshare:{name.replace('_', '-')}": _tag_value(value) for name, value in more.items()},
        }

    @property
    def labels(self) -> dict[str, str]:
        """Ownership of objects in the cluster."""
        return names.labels(self.installation, self.team.name)

    def role_key(self, account: str, name: str) -> Key:
        return Key(Kind.ROLE, account, "", "", name)


def _tag_value(text: str) -> str:
    """``text`` as a tag can hold it: a role's name may have commas, and with its path be longer (IAM API, Tag)."""
    return text.replace(",", "_")[:256]


def desired(
    team: Team,
    clusters: Iterable[ClusterFacts],
    datasets: Mapping[str, Dataset],
    accounts: Mapping[str, Account],
    installation: Installation,
    *,
    closed: Collection[str] = (),
) -> dict[Key, Resource]:
    """Everything that should be there for ``team`` on those of its clusters that are known.

    ``datasets`` holds the datasets that exist; a grant for one that it lacks is a revoked grant, and so is one for
    data of an account that takes no part any more. ``accounts`` is what is known of the organization's accounts.
    On the clusters in ``closed`` the team has its quota, and nobody has access; on those in accounts that have gone
    it has nothing. Objects of a cluster whose API podshare
    does not use are ``by_hand``.
    """
    present = {name: dataset for name, dataset in datasets.items() if not is_gone(accounts, dataset.account)}
    nobody = without_access(team)
    found: dict[Key, Resource] = {}
    for cluster in sorted(clusters, key=lambda one: one.name):
        quota = team.quotas.get(cluster.name)
        if quota and not is_out_of_reach(accounts, cluster.account):
            here = nobody if cluster.name in closed else team
            wish = _Wish(here, quota, members(here.members, accounts), cluster, present, installation)
            for resource in _on_one_cluster(wish):
                if not cluster.is_out_of_reach(resource.key):
                    found[resource.key] = _shared(found.get(resource.key), resource)
    return found


def by_hand(
    team: Team, cluster: ClusterFacts, datasets: Mapping[str, Dataset], installation: Installation
) -> list[Resource]:
    """The objects of the team that a person applies, because podshare does not use the cluster's API."""
    quota = team.quotas.get(cluster.name)
    wanted = _on_one_cluster(_Wish(team, quota, (), cluster, datasets, installation)) if quota else ()
    return [resource for resource in wanted if cluster.is_out_of_reach(resource.key)]


def manifests(installation: Installation, resources: Iterable[Resource]) -> list[Manifest]:
    """All objects that ``resources`` are, namespaces first."""
    found: list[Manifest] = []
    for resource in sorted(resources, key=lambda one: (not isinstance(one, Namespace), one.key)):
        found.append(resource.manifest())
        if isinstance(resource, Namespace) and resource.network_policy:
            found.append(resource.network_policy_in(installation))
    return found


def _on_one_cluster(wish: _Wish) -> Iterator[Resource]:
    own = (
        _compute_quota(wish),
        *_scheduler_config(wish),
        _namespace(wish),
        *_members(wish),
        *_service_accounts(wish),
        *_kubernetes_roles(wish),
        *_datasets(wish),
        *Links(wish.team, wish.cluster, wish.installation, wish.tags(), wish.labels).to(wish.datasets),
    )
    for resource in own:
        yield replace(resource, cluster=wish.cluster.name)


def _shared(other: Resource | None, resource: Resource) -> Resource:
    """What several clusters of a team ask for: a data scientist role assumes the cluster access roles of them all."""
    if other is None:
        return resource
    if isinstance(other, Role) and isinstance(resource, Role):
        statements = {
            name: [*policies.statements(other.policies[name]), *policies.statements(policy)]
            for name, policy in resource.policies.items()
        }
        clusters = _tag_value(f"{other.tags[CLUSTER_TAG]} {resource.tags[CLUSTER_TAG]}")
        return replace(
            other,
            policies={name: policies.document(*found) for name, found in statements.items()},
            tags={**other.tags, CLUSTER_TAG: clusters},
            cluster="",
        )
    return replace(other, cluster="")


# ---- compute -----------------------------------------------------------------------------------------------


def _compute_quota(wish: _Wish) -> ComputeQuota:
    quota = wish.quota
    return ComputeQuota(
        key=_quota_key(wish),
        tags=wish.tags(),
        why="the team's quota",
        team=wish.team.name,
        resources=quota_lines(quota.resources),
        sharing=_sharing(quota),
        fair_share_weight=quota.fair_share_weight,
        preempt_team_tasks=quota.preempt_team_tasks,
        active=quota.active,
        description=quota.description,
    )


def _quota_key(wish: _Wish) -> Key:
    cluster = wish.cluster
    hyperpod_id = cluster.hyperpod_arn.rpartition("/")[2]
    name = f"{hyperpod_id}/{names.compute_quota(wish.installation, wish.team.name)}"
    return Key(Kind.COMPUTE_QUOTA, cluster.account, cluster.region, cluster.eks_cluster, name)


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


def _scheduler_config(wish: _Wish) -> Iterator[ClusterSchedulerConfig]:
    """The cluster's one, of which each of its teams has a share. It is not the team's: its tags name none."""
    cluster = wish.cluster
    if cluster.scheduler is None:
        return
    hyperpod_id = cluster.hyperpod_arn.rpartition("/")[2]
    name = f"{hyperpod_id}/{names.cluster_scheduler_config(wish.installation)}"
    classes = sorted(cluster.scheduler.priority_classes, key=lambda one: one.name)
    yield ClusterSchedulerConfig(
        key=Key(Kind.CLUSTER_SCHEDULER_CONFIG, cluster.account, cluster.region, cluster.eks_cluster, name),
        tags={
            **wish.installation.resource_tags,
            MANAGED_BY_TAG: wish.installation.manager,
            CLUSTER_TAG: cluster.name,
        },
        why="the cluster's scheduler",
        description=cluster.scheduler.description,
        config={
            "PriorityClasses": [{"Name": one.name, "Weight": one.weight} for one in classes],
            "FairShare": _enabled(cluster.scheduler.fair_share),
            "IdleResourceSharing": _enabled(cluster.scheduler.idle_resource_sharing),
        },
    )


def _namespace(wish: _Wish) -> Namespace:
    cluster = wish.cluster
    return Namespace(
        key=Key(Kind.NAMESPACE, cluster.account, cluster.region, cluster.eks_cluster, wish.team.namespace),
        tags=hardening.labels(wish.team.name, cluster.namespace_hardening),
        why="the team's namespace",
        needs=frozenset({_quota_key(wish)}),
        network_policy=hardening.network_policy(cluster.namespace_hardening),
    )


def _enabled(wanted: bool) -> str:
    return "Enabled" if wanted else "Disabled"


# ---- members -----------------------------------------------------------------------------------------------


def _members(wish: _Wish) -> Iterator[Resource]:
    if not wish.team.access_kinds:
        return
    for who, group in _sharing_a_role(wish):
        access_role = _cluster_access_role(wish, who, group)
        yield access_role
        yield _access_entry(wish, who, access_role)
        for member in group:
            if member.existing_role:
                yield _role_attachment(wish, member, member.existing_role)
            elif not member.permission_set:
                yield _scientist_role(wish, member, access_role)


def _sharing_a_role(wish: _Wish) -> Iterator[tuple[str, tuple[Member, ...]]]:
    """Who has a cluster access role together: each member has one, or all of them the same."""
    if wish.team.access_role == "per_member":
        yield from ((member.identity, (member,)) for member in wish.members)
    elif wish.members:
        yield ALL_MEMBERS, wish.members


def role_holder(team: Team, member: Member) -> str:
    """Whose cluster access role a member assumes, as its name and its tag tell."""
    return ALL_MEMBERS if team.access_role == "per_team" else member.identity


def _cluster_access_role(wish: _Wish, who: str, group: tuple[Member, ...]) -> Role:
    account = wish.cluster.account
    name = names.cluster_access_role(wish.installation, wish.team.name, wish.eks_arn, who)
    principals = {arn for member in group for arn in member_principals(wish.installation, wish.team.name, member)}
    return Role(
        key=wish.role_key(account, name),
        tags=wish.tags(purpose="cluster-access", member=who),
        why=who if who == ALL_MEMBERS else group[0].why,
        trust=policies.trust_in_accounts(wish.installation, {member.account for member in group}, principals),
        closed_trust=policies.trust_nobody(wish.installation, account),
        policies={
            "describe-cluster": policies.may_describe_cluster(
                wish.eks_arn, wish.cluster.hyperpod_arn, wish.installation.role_arn(account, name)
            )
        },
        boundary=wish.installation.boundary_arn(account),
    )


def member_principals(installation: Installation, team: str, member: Member) -> tuple[str, ...]:
    """The ARNs (with ``?`` where IAM Identity Center chooses) of the role by which a member works."""
    roles = f"arn:{installation.partition}:iam::{member.account}:role"
    if member.existing_role:
        return (f"{roles}/{member.existing_role}",)
    if member.permission_set:
        tail = f"AWSReservedSSO_{member.permission_set}_{'?' * 16}"
        home = f"{roles}/aws-reserved/sso.amazonaws.com"
        # the Region stands in the path, except where Identity Center's home is us-east-1
        return (f"{home}/{tail}", f"{home}/{installation.identity_center_region}/{tail}")
    return (installation.role_arn(member.account, names.scientist_role(installation, team)),)


def _access_entry(wish: _Wish, who: str, role: Role) -> AccessEntry:
    cluster = wish.cluster
    kinds = wish.team.access_kinds
    scopes: dict[str, tuple[str, ...]] = {NAMESPACE_POLICIES[kind]: (wish.team.namespace,) for kind in kinds}
    scopes[CLUSTER_POLICY] = ()
    if Access.SPACE in kinds:
        scopes[TEMPLATE_POLICY] = (TEMPLATE_NAMESPACE,)
    return AccessEntry(
        key=Key(
            Kind.ACCESS_ENTRY,
            cluster.account,
            cluster.region,
            cluster.eks_cluster,
            wish.installation.role_arn(cluster.account, role.key.name),
        ),
        tags=wish.tags(member=who),
        why=role.why,
        needs=frozenset({role.key}),
        policies={access_policy_arn(wish.installation.partition, name): scope for name, scope in scopes.items()},
        groups=frozenset({*wish.team.kubernetes_groups, *_rules_of_groups(wish)}),
        username=session_username(wish.installation.partition, cluster.account, role.key.name),
    )


def access_policy_arn(partition: str, name: str) -> str:
    """The ARN of one of EKS's access policies."""
    return f"arn:{partition}:eks::aws:cluster-access-policy/{name}"


def session_username(partition: str, account: str, role: str) -> str:
    """The Kubernetes user name that EKS gives by default: the audit log then names role and session."""
    return f"arn:{partition}:sts::{account}:assumed-role/{role}/{{{{SessionName}}}}"


def _scientist_role(wish: _Wish, member: Member, access_role: Role) -> Role:
    installation, account = wish.installation, member.account
    if member.trusted_by:
        arns = [f"arn:{installation.partition}:iam::{account}:{name}" for name in member.trusted_by]
        trust = policies.trust_in_accounts(installation, [account], arns)
    else:
        trust = policies.trust_whole_account(installation, account)
    access_role_arn = installation.role_arn(wish.cluster.account, access_role.key.name)
    return Role(
        key=wish.role_key(account, names.scientist_role(installation, wish.team.name)),
        tags=wish.tags(purpose="data-scientist"),
        why=member.why,
        trust=trust,
        closed_trust=policies.trust_nobody(installation, account),
        policies={"assume-cluster-access": policies.may_assume(access_role_arn)},
        boundary=installation.boundary_arn(account),
    )


def _role_attachment(wish: _Wish, member: Member, role: str) -> RoleAttachment:
    arn = wish.installation.assume_policy_arn(member.account)
    return RoleAttachment(
        key=Key(Kind.ROLE_ATTACHMENT, member.account, "", role, arn.rpartition("/")[2]),
        why=member.why,
        policy_arn=arn,
    )


# ---- service accounts and data -----------------------------------------------------------------------------


def _service_accounts(wish: _Wish) -> Iterator[Resource]:
    for account in wish.team.service_accounts:
        target = _target_role(wish, account)
        role = _data_access_role(wish, account, target)
        yield role
        yield _service_account(wish, account)
        yield _association(wish, account, role, target)
        if target:
            yield target
        else:
            yield from _kms_grants(wish, account, role)


def _grants(wish: _Wish, account: ServiceAccountRecord) -> dict[str, list[DatasetGrant]]:
    """The account's grants that count, by their dataset.

    An association has one target role: of datasets that cannot share one, those with access points count.
    """
    found: dict[str, list[DatasetGrant]] = {}
    for grant in account.datasets:
        dataset = wish.datasets.get(grant.dataset)
        if dataset and dataset.holds(grant.prefix):
            found.setdefault(grant.dataset, []).append(grant)
    if share_a_role(wish.datasets[name] for name in found):
        return found
    return {name: grants for name, grants in found.items() if wish.datasets[name].data_role != "target"}


def _target_role(wish: _Wish, account: ServiceAccountRecord) -> Role | None:
    """The role in the data account, where its owner wants it there; None where the data have access points."""
    granted = _grants(wish, account)
    used = [wish.datasets[name] for name in granted if wish.datasets[name].data_role == "target"]
    if not used:
        return None
    installation, owner = wish.installation, used[0].account
    data_role = names.data_access_role(installation, wish.team.name, wish.eks_arn, account.name)
    return Role(
        key=wish.role_key(owner, names.target_role(installation, wish.team.name, wish.eks_arn, account.name)),
        tags=wish.tags(purpose="data-target", service_account=account.name),
        why=f"service account {account.name}",
        trust=policies.trust_data_role(
            installation,
            installation.role_arn(wish.cluster.account, data_role),
            wish.eks_arn,
            wish.team.namespace,
            account.name,
        ),
        closed_trust=policies.trust_nobody(installation, owner),
        policies=_dataset_policies(wish, granted),
        boundary=installation.boundary_arn(owner),
        buckets=frozenset((dataset.bucket, dataset.region, dataset.kms_key) for dataset in used),
    )


def _dataset_policies(wish: _Wish, granted: Mapping[str, list[DatasetGrant]]) -> dict[str, policies.Document]:
    return {
        f"dataset-{name}": policies.document(
            *_statements(wish, wish.datasets[name], grants, sid="Objects"),
            *(policies.may_use_key(key, _key_operations(grants)) for key in _key_of(wish.datasets[name])),
        )
        for name, grants in granted.items()
    }


def _data_access_role(wish: _Wish, account: ServiceAccountRecord, target: Role | None) -> Role:
    name = names.data_access_role(wish.installation, wish.team.name, wish.eks_arn, account.name)
    namespace = wish.team.namespace
    return Role(
        key=wish.role_key(wish.cluster.account, name),
        tags=wish.tags(purpose="data-access", service_account=account.name),
        why=f"service account {account.name}",
        trust=policies.trust_pod_identity(wish.cluster.account, wish.eks_arn, namespace, account.name),
        closed_trust=policies.trust_nobody(wish.installation, wish.cluster.account),
        policies=(
            {"assume-target": policies.may_assume(_arn_of(wish, target), policies.CHAIN)}
            if target
            else _dataset_policies(wish, _grants(wish, account))
        ),
        boundary=wish.installation.boundary_arn(wish.cluster.account),
    )


def _arn_of(wish: _Wish, role: Role) -> str:
    return wish.installation.role_arn(role.key.account, role.key.name)


def _service_account(wish: _Wish, account: ServiceAccountRecord) -> ServiceAccount:
    return ServiceAccount(
        key=_namespaced_key(wish, Kind.SERVICE_ACCOUNT, account.name),
        tags=wish.labels,
        why=f"service account {account.name}",
        needs=frozenset({_quota_key(wish)}),
    )


def _association(wish: _Wish, account: ServiceAccountRecord, role: Role, target: Role | None) -> PodIdentityAssociation:
    cluster = wish.cluster
    return PodIdentityAssociation(
        key=Key(
            Kind.POD_IDENTITY_ASSOCIATION,
            cluster.account,
            cluster.region,
            cluster.eks_cluster,
            f"{wish.team.namespace}/{account.name}",
        ),
        tags=wish.tags(service_account=account.name),
        why=f"service account {account.name}",
        needs=frozenset({role.key, *([target.key] if target else [])}),
        role_arn=_arn_of(wish, role),
        target_role_arn=_arn_of(wish, target) if target else None,
    )


def _kms_grants(wish: _Wish, account: ServiceAccountRecord, role: Role) -> Iterator[KmsGrant]:
    """For each key that the account's data are encrypted by: what reading, and where granted writing, needs of it."""
    needed = {
        (key, operation)
        for name, grants in _grants(wish, account).items()
        for key in _key_of(wish.datasets[name])
        for operation in _key_operations(grants)
    }
    for key, operation in sorted(needed):
        _, _, _, region, owner, resource = key.split(":")
        name = names.kms_grant(wish.installation, wish.team.name, role.key.name, operation)
        yield KmsGrant(
            key=Key(Kind.KMS_GRANT, owner, region, resource.removeprefix("key/"), name),
            why=f"service account {account.name}",
            needs=frozenset({role.key}),
            grantees=frozenset({wish.installation.role_arn(wish.cluster.account, role.key.name)}),
            operations=frozenset({operation}),
        )


def _key_of(dataset: Dataset) -> tuple[str, ...]:
    return (dataset.kms_key,) if dataset.kms_key else ()


def _key_operations(grants: Iterable[DatasetGrant]) -> tuple[str, ...]:
    """What S3 asks of KMS for a reader, and for a writer, whose multipart uploads are read too (S3 API reference)."""
    writes = any(grant.access is DatasetAccess.READ_WRITE for grant in grants)
    return ("Decrypt", "GenerateDataKey") if writes else ("Decrypt",)


def _kubernetes_roles(wish: _Wish) -> Iterator[Resource]:
    for group, rules in _rules_of_groups(wish).items():
        why = f"Kubernetes group {group}"
        role = KubernetesRole(
            key=_namespaced_key(wish, Kind.KUBERNETES_ROLE, names.kubernetes_role(wish.installation, group)),
            tags=wish.labels,
            why=why,
            needs=frozenset({_quota_key(wish)}),
            rules=rules,
        )
        yield role
        yield KubernetesRoleBinding(
            key=replace(role.key, kind=Kind.KUBERNETES_ROLE_BINDING),
            tags=wish.labels,
            why=why,
            needs=frozenset({_quota_key(wish), role.key}),
            role=f"Role {role.key.name.partition('/')[2]}",
            subjects=frozenset({f"Group {group}"}),
        )


def _rules_of_groups(wish: _Wish) -> Mapping[str, tuple[KubernetesRule, ...]]:
    """What each group of the team may do beside the access policies; a preset has a group of its own name."""
    if isinstance(preset := wish.team.rbac, str):
        return {names.kubernetes_group(wish.installation, wish.team.name, preset): PRESETS[preset]}
    return {line.group: tuple(sorted({as_rule(rule) for rule in line.rules})) for line in preset}


def _namespaced_key(wish: _Wish, kind: Kind, name: str) -> Key:
    cluster = wish.cluster
    return Key(kind, cluster.account, cluster.region, cluster.eks_cluster, f"{wish.team.namespace}/{name}")


def _datasets(wish: _Wish) -> Iterator[Resource]:
    for name in sorted(wish.team.datasets):
        users = {
            account.name: grants
            for account in wish.team.service_accounts
            if (grants := _grants(wish, account).get(name))
        }
        if users and wish.datasets[name].data_role != "target":
            yield _access_point(wish, wish.datasets[name], users)
            yield _bucket_delegation(wish, wish.datasets[name], users)


_Users = Mapping[str, list[DatasetGrant]]  # of one dataset, by service account


def _access_point(wish: _Wish, dataset: Dataset, users: _Users) -> AccessPoint:
    statements: list[policies.Statement] = []
    roles: set[Key] = set()
    for account, grants in users.items():
        role = names.data_access_role(wish.installation, wish.team.name, wish.eks_arn, account)
        roles.add(wish.role_key(wish.cluster.account, role))
        principal = wish.installation.role_arn(wish.cluster.account, role)
        statements += _statements(wish, dataset, grants, role.rpartition("-")[2], principal)
    return AccessPoint(
        key=Key(Kind.ACCESS_POINT, dataset.account, dataset.region, "", _access_point_name(wish, dataset)),
        tags=wish.tags(dataset=dataset.name),
        why=f"dataset {dataset.name}",
        needs=frozenset(roles),
        bucket=dataset.bucket,
        policy=policies.document(*statements),
        vpc=dataset.vpc,
        kms_key=dataset.kms_key,
    )


def _statements(
    wish: _Wish, dataset: Dataset, grants: Iterable[DatasetGrant], sid: str, principal: str | None = None
) -> Iterator[policies.Statement]:
    """What a service account's grants of a dataset give together; a grant that ends keeps nothing of the others."""
    granted = [(grant.prefix or dataset.prefix, grant.access is DatasetAccess.READ_WRITE) for grant in grants]
    point, bucket = _access_point_arn(wish, dataset), f"arn:{wish.installation.partition}:s3:::{dataset.bucket}"
    return policies.data_statements(
        *((bucket, bucket) if dataset.data_role == "target" else (point, f"{point}/object")),
        reads=[prefix for prefix, _ in granted],
        writes=[prefix for prefix, writes in granted if writes],
        sid=sid,
        principal=principal,
        organization=wish.installation.organization if principal else None,
    )


def _bucket_delegation(wish: _Wish, dataset: Dataset, users: _Users) -> BucketDelegation:
    return BucketDelegation(
        key=Key(
            Kind.BUCKET_DELEGATION,
            dataset.account,
            dataset.region,
            dataset.bucket,
            f"{wish.team.name}/{dataset.name}",
        ),
        why=f"dataset {dataset.name}",
        write=any(grant.access is DatasetAccess.READ_WRITE for grants in users.values() for grant in grants),
    )


def _access_point_name(wish: _Wish, dataset: Dataset) -> str:
    place = f"{dataset.account}/{dataset.region}"
    return names.access_point(wish.installation, wish.team.name, wish.eks_arn, place, dataset.name)


def _access_point_arn(wish: _Wish, dataset: Dataset) -> str:
    name = _access_point_name(wish, dataset)
    return f"arn:{wish.installation.partition}:s3:{dataset.region}:{dataset.account}:accesspoint/{name}"
