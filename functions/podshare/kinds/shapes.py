"""The shapes of what podshare owns: one class per kind, equal when nothing needs to change.

``desired`` makes these shapes from records, each kind's ``read`` from what AWS and Kubernetes say; a plan is
the difference. ``common`` tells what a shape and the desired one both give, which is what a narrowing writes first:
None where the thing cannot be narrowed in place and has to be made anew.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import IntEnum, StrEnum
from typing import Any, ClassVar, Self

from podshare.policy import policies
from podshare.policy.policies import Document
from podshare.policy.rbac import KubernetesRule


class Kind(StrEnum):
    """The kinds of things that podshare provisions."""

    COMPUTE_QUOTA = "compute_quota"
    CLUSTER_SCHEDULER_CONFIG = "cluster_scheduler_config"
    ROLE = "role"
    ROLE_ATTACHMENT = "role_attachment"
    ACCESS_ENTRY = "access_entry"
    NAMESPACE = "namespace"
    SERVICE_ACCOUNT = "service_account"
    KUBERNETES_ROLE = "kubernetes_role"
    KUBERNETES_ROLE_BINDING = "kubernetes_role_binding"
    POD_IDENTITY_ASSOCIATION = "pod_identity_association"
    ACCESS_POINT = "access_point"
    BUCKET_DELEGATION = "bucket_delegation"
    KMS_GRANT = "kms_grant"
    FILE_SYSTEM_DELEGATION = "file_system_delegation"
    DATA_REPOSITORY_ASSOCIATION = "data_repository_association"
    PERSISTENT_VOLUME = "persistent_volume"
    PERSISTENT_VOLUME_CLAIM = "persistent_volume_claim"
    FOREIGN_SUBJECTS = "foreign_subjects"


class Work(StrEnum):
    """The kinds of work, each with a function and a role of its own."""

    IDENTITY = "identity"
    CLUSTER = "cluster"
    DATA = "data"
    KUBERNETES = "kubernetes"


class Stage(IntEnum):
    """The order in which a revocation cuts: what ends access soonest comes first, running work last."""

    CLUSTER_ACCESS = 1
    DATA_ACCESS = 2
    TRUST = 3
    POD_IDENTITY = 4
    CACHED_DATA = 5
    REMAINS = 6
    RUNNING_WORK = 7
    COMPUTE = 8
    NAMESPACE = 9


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """What identifies a thing: its kind, where it is, and its name there.

    ``container`` is what the name is unique in: the EKS cluster, the bucket of a delegation, the role of an
    attachment; empty for what is unique in its account (and Region). ``region`` is empty for IAM.
    """

    kind: Kind
    account: str
    region: str
    container: str
    name: str

    def __str__(self) -> str:
        return "|".join((self.kind, self.account, self.region, self.container, self.name))

    @classmethod
    def parse(cls, text: str) -> Self:
        """The key that ``str`` wrote. Raises ValueError for anything else."""
        kind, account, region, container, name = text.split("|", 4)
        return cls(Kind(kind), account, region, container, name)


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One thing that podshare owns.

    ``why`` tells an auditor what asks for it, ``needs`` what must be there before it, ``cluster`` for which of the
    team's clusters alone it is, empty where for all, ``identity`` what AWS or Kubernetes calls this very resource and
    no other that takes its name later; none of them is part of what is compared.
    """

    key: Key
    tags: Mapping[str, str] = field(default_factory=dict)
    why: str = field(default="", compare=False)
    needs: frozenset[Key] = field(default=frozenset(), compare=False)
    cluster: str = field(default="", compare=False)
    identity: str = field(default="", compare=False)

    work: ClassVar[Work]
    cut_stage: ClassVar[Stage]
    remove_stage: ClassVar[Stage]
    unwanted: ClassVar[str] = "no longer desired"  # why it is deleted where nothing asks for it

    def facts(self) -> dict[str, Any]:
        """What is compared, by field, in plain JSON."""
        compared = [item.name for item in fields(self) if item.compare and item.name != "key"]
        return {name: _plain(getattr(self, name)) for name in compared}

    def common(self, desired: Self) -> Self | None:
        """What this, as observed, and ``desired`` both give. None if it has to be made anew."""
        return self if same(self, desired) else None

    def cut(self) -> Self | None:
        """This without the access that it gives; None where only its deletion takes that away."""
        return None


def same(one: Resource | None, other: Resource | None) -> bool:
    """Whether two shapes need no change to become each other; compared by meaning, not by spelling."""
    if one is None or other is None:
        return one is other
    return one.facts() == other.facts()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        if "Statement" in value:
            return policies.canonical(value)
        return {str(key): _plain(item) for key, item in sorted(value.items())}
    if isinstance(value, KubernetesRule):
        return asdict(value)
    if isinstance(value, tuple | list | frozenset):
        return [_plain(item) for item in (sorted(value) if isinstance(value, frozenset) else value)]
    return value


@dataclass(frozen=True, kw_only=True)
class ComputeQuota(Resource):
    """A team's compute quota; ``resources`` and ``sharing`` are in the terms of the SageMaker API.

    ``status`` is ``settled``, ``moving`` while SageMaker works on it, or ``failed`` where it has to be made anew.
    """

    work = Work.CLUSTER
    cut_stage = remove_stage = Stage.COMPUTE

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


@dataclass(frozen=True, kw_only=True)
class ClusterSchedulerConfig(Resource):
    """A team's share in the scheduler config of its cluster, in the terms of the SageMaker API.

    ``status`` is as a compute quota's, or ``absent`` where the share is written down and no config is there.
    """

    work = Work.CLUSTER
    cut_stage = remove_stage = Stage.COMPUTE

    config: Mapping[str, Any]
    description: str = ""
    status: str = "settled"

    def common(self, desired: Self) -> Self | None:
        return self  # the order of tasks is no access: it is changed in place, never cut


@dataclass(frozen=True, kw_only=True)
class Role(Resource):
    """An IAM role under podshare's path. ``policies`` are its inline policies by name.

    ``buckets`` are those that a target role uses by itself: name, Region, and the KMS key that its dataset names.
    """

    work = Work.IDENTITY
    cut_stage = Stage.TRUST
    remove_stage = Stage.REMAINS

    trust: Document
    policies: Mapping[str, Document]
    boundary: str
    closed_trust: Document = field(compare=False)
    attached: frozenset[str] = frozenset()
    max_session_seconds: int = 3600
    buckets: frozenset[tuple[str, str, str | None]] = field(default=frozenset(), compare=False)

    @property
    def purpose(self) -> str:
        """What it is for, as its tag says."""
        return self.tags.get("podshare:purpose", "")

    def common(self, desired: Self) -> Self | None:
        shared = {
            name: policy
            for name in self.policies.keys() & desired.policies.keys()
            if (policy := policies.common(self.policies[name], desired.policies[name]))
        }
        # two sets of prefixes may have more in common than either has: a cut that AWS refused would leave access alive
        return replace(
            self,
            trust=policies.common(self.trust, desired.trust) or self.closed_trust,
            policies=shared if policies.size(shared.values()) <= policies.INLINE_POLICIES else {},
            attached=self.attached & desired.attached,
            boundary=desired.boundary,
            max_session_seconds=min(self.max_session_seconds, desired.max_session_seconds),
        )

    def cut(self) -> Self | None:
        return replace(self, trust=self.closed_trust, policies={}, attached=frozenset())


@dataclass(frozen=True, kw_only=True)
class RoleAttachment(Resource):
    """The member stack's fixed policy on a role that somebody else made; nothing else of it is touched."""

    work = Work.IDENTITY
    cut_stage = remove_stage = Stage.TRUST

    policy_arn: str


@dataclass(frozen=True, kw_only=True)
class AccessEntry(Resource):
    """A principal's entry to a cluster. ``policies`` maps the ARN of an access policy to its namespaces.

    No namespaces means the cluster scope. An entry that is older than its role is not ``alive``: EKS keeps the
    role's unique id, and the entry then looks healthy while it admits nobody.
    """

    work = Work.CLUSTER
    cut_stage = remove_stage = Stage.CLUSTER_ACCESS

    policies: Mapping[str, tuple[str, ...]]
    groups: frozenset[str]
    username: str
    type: str = "STANDARD"
    alive: bool = True

    def common(self, desired: Self) -> Self | None:
        if not self.alive or self.type != desired.type or self.username != desired.username:
            return None
        shared = {
            arn: scope
            for arn in self.policies.keys() & desired.policies.keys()
            if (scope := _common_scope(self.policies[arn], desired.policies[arn])) is not None
        }
        return replace(self, policies=shared, groups=self.groups & desired.groups)


def _common_scope(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...] | None:
    """Namespaces in both scopes; the cluster scope (empty) holds them all. None where there are none."""
    if not one or not other:
        return one or other
    shared = {
        name for name in (*one, *other) if all(any(policies.covers(wide, name) for wide in s) for s in (one, other))
    }
    return tuple(sorted(shared)) or None


@dataclass(frozen=True, kw_only=True)
class Namespace(Resource):
    """A team's namespace, which SageMaker makes: of podshare's are some labels (in ``tags``) and a network policy.

    One that is ``vacating`` was left by a team that was deleted: it is nobody's until it is empty. ``ending`` tells
    what holds one that somebody has deleted; nothing can be made in it.
    """

    work = Work.KUBERNETES
    cut_stage = remove_stage = Stage.NAMESPACE

    network_policy: Mapping[str, Any] | None = None
    vacating: bool = False
    ending: str = field(default="", compare=False)

    def common(self, desired: Self) -> Self | None:
        return None if self.vacating else self  # what holds a team is no access: it is changed in place


@dataclass(frozen=True, kw_only=True)
class ServiceAccount(Resource):
    """A Kubernetes service account in the team's namespace (labels stand in ``tags``)."""

    work = Work.KUBERNETES
    cut_stage = remove_stage = Stage.REMAINS

    def common(self, desired: Self) -> Self | None:
        return self  # it gives nothing by itself


@dataclass(frozen=True, kw_only=True)
class KubernetesRole(Resource):
    """What a Kubernetes group may do in the team's namespace, beside the access policy (labels stand in ``tags``)."""

    work = Work.KUBERNETES
    cut_stage = Stage.CLUSTER_ACCESS
    remove_stage = Stage.REMAINS

    rules: tuple[KubernetesRule, ...]

    def common(self, desired: Self) -> Self | None:
        kept = tuple(rule for rule in self.rules if any(wide.covers(rule) for wide in desired.rules))
        return replace(self, rules=kept)


@dataclass(frozen=True, kw_only=True)
class KubernetesRoleBinding(Resource):
    """Who has a Role in the team's namespace; ``role`` and ``subjects`` are a kind and a name each."""

    work = Work.KUBERNETES
    cut_stage = remove_stage = Stage.CLUSTER_ACCESS

    role: str
    subjects: frozenset[str]

    def common(self, desired: Self) -> Self | None:
        if self.role != desired.role:
            return None  # Kubernetes lets nobody change a binding's role
        return replace(self, subjects=self.subjects & desired.subjects)


@dataclass(frozen=True, kw_only=True)
class ForeignSubjects(Resource):
    """Whom of other teams the RoleBindings in a team's namespace name, whoever made them; never desired.

    ``bound`` are a binding's name, its role and the subject, the latter two a kind and a name. Deleting it takes these
    subjects out of the bindings, which stay with all others.
    """

    work = Work.KUBERNETES
    cut_stage = remove_stage = Stage.CLUSTER_ACCESS
    unwanted = "no record lets other teams in"

    bound: frozenset[tuple[str, str, str]]


@dataclass(frozen=True, kw_only=True)
class PodIdentityAssociation(Resource):
    """The role that pods of a service account get through EKS Pod Identity."""

    work = Work.CLUSTER
    cut_stage = remove_stage = Stage.POD_IDENTITY

    role_arn: str
    target_role_arn: str | None = None
    session_tags: bool = True

    def common(self, desired: Self) -> Self | None:
        access, wanted = self.facts(), desired.facts()
        access.pop("tags"), wanted.pop("tags")
        return self if access == wanted else None


@dataclass(frozen=True, kw_only=True)
class AccessPoint(Resource):
    """A team's access point for a dataset, with its policy. The bucket, network and public access block are fixed.

    ``kms_key`` is the key that the dataset's record names, of which the access point itself knows nothing; ``alias`` is
    the name that S3 gave it, which takes a bucket's place where a tool takes no ARN.
    """

    work = Work.DATA
    cut_stage = Stage.DATA_ACCESS
    remove_stage = Stage.REMAINS

    bucket: str
    policy: Document | None
    vpc: str | None = None
    public_access_blocked: bool = True
    kms_key: str | None = field(default=None, compare=False)
    alias: str = field(default="", compare=False)

    def common(self, desired: Self) -> Self | None:
        fixed = ("bucket", "vpc", "public_access_blocked")
        if any(getattr(self, name) != getattr(desired, name) for name in fixed):
            return None
        shared = policies.common(self.policy, desired.policy)
        return replace(self, policy=shared if policies.size([shared]) <= policies.ACCESS_POINT_POLICY else None)

    def cut(self) -> Self | None:
        return replace(self, policy=None)


@dataclass(frozen=True, kw_only=True)
class BucketDelegation(Resource):
    """A team's share in the statement by which a bucket delegates to podshare's access points.

    ``in_policy`` tells whether the bucket's statement says what all current grants together ask for.
    """

    work = Work.DATA
    cut_stage = remove_stage = Stage.REMAINS

    write: bool
    in_policy: bool = True

    def common(self, desired: Self) -> Self | None:
        return replace(self, write=self.write and desired.write)


@dataclass(frozen=True, kw_only=True)
class KmsGrant(Resource):
    """A KMS grant that lets a data role perform one operation with a key; it cannot be changed once made.

    One grant for each operation, so that a change of access adds one or takes one away and never has to do both.
    ``constrained`` tells of a condition that podshare does not make.
    """

    work = Work.DATA
    cut_stage = remove_stage = Stage.DATA_ACCESS

    grantees: frozenset[str]
    operations: frozenset[str]
    constrained: bool = False


@dataclass(frozen=True, kw_only=True)
class FileSystemDelegation(Resource):
    """A team's share in the statements by which a bucket admits the service-linked role of a file system.

    Cut, it leaves what Amazon FSx needs of the bucket itself, and no object: the association goes after the access.
    ``in_policy`` is as a bucket delegation's.
    """

    work = Work.DATA
    cut_stage = Stage.DATA_ACCESS
    remove_stage = Stage.REMAINS

    account: str
    file_system: str
    prefix: str
    read: bool = True
    write: bool
    in_policy: bool = True

    def common(self, desired: Self) -> Self | None:
        if (self.account, self.prefix) != (desired.account, desired.prefix):
            return None
        return replace(self, read=self.read and desired.read, write=self.write and desired.write)

    def cut(self) -> Self | None:
        return replace(self, read=False, write=False)


@dataclass(frozen=True, kw_only=True)
class DataRepositoryAssociation(Resource):
    """The link from a directory of a file system (its key's name) to what lies under a prefix of a bucket.

    ``status`` is ``settled``, ``moving``, ``misconfigured`` or ``failed``. Path and repository are fixed.
    """

    work = Work.CLUSTER
    cut_stage = Stage.DATA_ACCESS
    remove_stage = Stage.CACHED_DATA

    repository: str
    imports: frozenset[str]
    exports: frozenset[str]
    status: str = "settled"

    def common(self, desired: Self) -> Self | None:
        return replace(self, exports=self.exports & desired.exports) if self.repository == desired.repository else None


@dataclass(frozen=True, kw_only=True)
class PersistentVolume(Resource):
    """A directory of a file system as a volume for one claim (labels stand in ``tags``).

    ``spec`` is in the terms of Kubernetes, without the capacity, which a file system only gains. ``usable`` tells that
    the volume is neither on its way out nor left over from a claim that was deleted.
    """

    work = Work.KUBERNETES
    cut_stage = remove_stage = Stage.CACHED_DATA

    spec: Mapping[str, Any]
    capacity_gib: int = field(compare=False)
    usable: bool = True

    @property
    def claim(self) -> str:
        """The claim that it is for: namespace and name."""
        found = self.spec.get("claimRef", {})
        return f"{found.get('namespace', '')}/{found.get('name', '')}"

    @property
    def mounts(self) -> str:
        """What is mounted of the file system, a directory that ends with a slash."""
        mount_name: str = self.spec.get("csi", {}).get("volumeAttributes", {}).get("mountname", "")
        return f"/{mount_name.partition('/')[2]}/" if "/" in mount_name else "/"

    @property
    def file_system(self) -> str:
        """The file system in the name by which it is mounted (FSx for Lustre user guide, its DNS name)."""
        dns_name: str = self.spec.get("csi", {}).get("volumeAttributes", {}).get("dnsname", "")
        return dns_name.partition(".")[0]

    @property
    def is_read_only(self) -> bool:
        """Whether nodes mount it so that nobody can write."""
        return "ro" in self.spec.get("mountOptions", ())

    def common(self, desired: Self) -> Self | None:
        fixed = ("accessModes", "claimRef", "csi", "volumeMode")  # of which the first two are a claim's, too
        kept = self.usable and all(self.spec.get(name) == desired.spec.get(name) for name in fixed)
        return replace(self, spec=desired.spec) if kept else None


@dataclass(frozen=True, kw_only=True)
class PersistentVolumeClaim(Resource):
    """The team's claim to a volume (labels stand in ``tags``), which Kubernetes lets nobody change; as a volume's."""

    work = Work.KUBERNETES
    cut_stage = remove_stage = Stage.DATA_ACCESS

    spec: Mapping[str, Any]
    capacity_gib: int = field(compare=False)
    usable: bool = True

    def common(self, desired: Self) -> Self | None:
        return self if self.usable and self.spec == desired.spec else None


SHAPES: Mapping[Kind, type[Resource]] = {
    Kind.COMPUTE_QUOTA: ComputeQuota,
    Kind.CLUSTER_SCHEDULER_CONFIG: ClusterSchedulerConfig,
    Kind.ROLE: Role,
    Kind.ROLE_ATTACHMENT: RoleAttachment,
    Kind.ACCESS_ENTRY: AccessEntry,
    Kind.NAMESPACE: Namespace,
    Kind.SERVICE_ACCOUNT: ServiceAccount,
    Kind.KUBERNETES_ROLE: KubernetesRole,
    Kind.KUBERNETES_ROLE_BINDING: KubernetesRoleBinding,
    Kind.POD_IDENTITY_ASSOCIATION: PodIdentityAssociation,
    Kind.ACCESS_POINT: AccessPoint,
    Kind.BUCKET_DELEGATION: BucketDelegation,
    Kind.KMS_GRANT: KmsGrant,
    Kind.FILE_SYSTEM_DELEGATION: FileSystemDelegation,
    Kind.DATA_REPOSITORY_ASSOCIATION: DataRepositoryAssociation,
    Kind.PERSISTENT_VOLUME: PersistentVolume,
    Kind.PERSISTENT_VOLUME_CLAIM: PersistentVolumeClaim,
    Kind.FOREIGN_SUBJECTS: ForeignSubjects,
}
