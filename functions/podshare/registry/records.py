"""The registry's records: what a person writes, checked and made precise.

A record that breaks a rule is refused with all its problems at once, each naming the field, the value, the
rule and the remedy.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from podshare.policy import rbac
from podshare.policy.rbac import KubernetesRule
from podshare.registry.accounts import Account
from podshare.registry.items import NAME
from podshare.registry.problems import refuse_twice, wrong
from podshare.registry.templates import DISPLAY, FIGURES, refuse_unknown, rendered
from podshare.registry.values import (
    A_NAME,
    LONGEST_PRIORITY_CLASS,
    AccountId,
    Administrator,
    Amount,
    ApiGroup,
    Bucket,
    Description,
    EksCluster,
    EnrollmentName,
    FileSystemId,
    Hash,
    HyperPodCluster,
    InstanceType,
    KmsKey,
    KubernetesGroup,
    KubernetesName,
    KubernetesResource,
    KubernetesVerb,
    Moment,
    ObjectName,
    OrganizationalUnit,
    OtherPrincipal,
    Owner,
    PermissionSet,
    Prefix,
    PrincipalName,
    Quantity,
    Reason,
    RecordName,
    Region,
    RoleName,
    TagKey,
    TagValue,
    TeamName,
    Vpc,
    off,
    text,
    whole_number,
)
from podshare.registry.wording import MISSING, WrongPartError

MOST_MEMBERS = 500
MOST_SERVICE_ACCOUNTS = 100
MOST_CLUSTERS = 10  # of one team
MOST_FILE_SYSTEM_GRANTS = 40  # of one team, on all of its clusters
MOST_LOSSES = 10_000  # of one approval

C = TypeVar("C")  # clusters of a team, or of a template
Q = TypeVar("Q")  # a quota, or a template of one


class _Part(BaseModel):
    """What every part of a record has in common: unknown fields are errors, values do not change."""

    # most functions, most of the time, validate few of these: what is not used is not built at a cold start
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class _Record(_Part):
    schema_version: Annotated[Literal[1], BeforeValidator(whole_number)] = Field(default=1, alias="schema")
    changed_by: Annotated[str, text(None, 2048, 0)] | None = None


class PriorityClass(_Part):
    """A class that tasks may name, and how far ahead its weight puts them (SageMaker PriorityClass)."""

    name: Annotated[str, text(f"^{NAME.pattern}$", LONGEST_PRIORITY_CLASS, meaning=A_NAME)]
    weight: Annotated[int, BeforeValidator(whole_number), Field(ge=0, le=100)]


class Scheduler(_Part):
    """How a cluster's tasks are ordered and its idle compute is shared (SageMaker SchedulerConfig)."""

    description: Description = ""
    priority_classes: Annotated[tuple[PriorityClass, ...], Field(max_length=10)] = ()
    fair_share: bool = True
    idle_resource_sharing: bool = False

    @model_validator(mode="after")
    def _each_class_once(self) -> Self:
        refuse_twice([priority_class.name for priority_class in self.priority_classes], "priority_classes")
        return self


class Cluster(_Record):
    """``cluster#<name>``: a HyperPod cluster orchestrated by EKS, in one account and Region."""

    name: RecordName
    account: AccountId
    region: Region
    eks_cluster: EksCluster
    hyperpod_cluster: HyperPodCluster
    over_commitment: Literal["refuse", "warn"] = "warn"
    scheduler: Scheduler | None = None
    namespace_hardening: Annotated[Literal["off", "report", "enforce"], BeforeValidator(off)] = "off"
    kubernetes_api: bool = True
    administrators: Annotated[tuple[Administrator, ...], Field(max_length=100)] = ()

    def is_same_as(self, other: "Cluster") -> bool:
        """Whether another record is of the same EKS cluster."""
        place = (self.account, self.region, self.eks_cluster)
        return place == (other.account, other.region, other.eks_cluster)


class Dataset(_Record):
    """``dataset#<name>``: a bucket of a data account, or what lies under one prefix of it."""

    name: RecordName
    account: AccountId
    region: Region
    bucket: Bucket
    prefix: Prefix = ""
    kms_key: KmsKey | None = None
    vpc: Vpc | None = None
    data_role: Literal["access_point", "target"] = "access_point"
    other_principals: Annotated[tuple[OtherPrincipal, ...], Field(max_length=100)] = ()

    def holds(self, prefix: str) -> bool:
        """Whether a grant's prefix lies in the dataset; both count from the bucket's root, and none means all of it."""
        return not prefix or prefix.startswith(self.prefix)

    @model_validator(mode="after")
    def _network_of_access_points(self) -> Self:
        if self.vpc and self.data_role == "target":
            raise wrong("restricts access points, which a dataset with data_role target does not have", "vpc")
        return self

    @model_validator(mode="after")
    def _key_beside_the_bucket(self) -> Self:
        if self.kms_key and self.kms_key.split(":")[3:5] != [self.region, self.account]:
            rule = (
                f"must be a key of account {self.account} in {self.region}, as the bucket is: S3 uses "
                "keys of its Region, and podshare cannot grant another account's"
            )
            raise wrong(rule, "kms_key")
        return self


def share_a_role(datasets: Iterable[Dataset]) -> bool:
    """Whether one service account can use all of these: through access points, or one account's by a target role."""
    roles = {dataset.account if dataset.data_role == "target" else "" for dataset in datasets}
    return len(roles) < 2


class Access(StrEnum):
    """What a team's members may do in its namespace: a kind of access, each by an access policy of its own."""

    TRAINING = "training"
    INFERENCE = "inference"
    SPACE = "space"
    VIEW = "view"
    EDIT = "edit"
    ADMIN = "admin"
    NONE = "none"


class DatasetAccess(StrEnum):
    """What a service account may do with a dataset."""

    READ = "read"
    READ_WRITE = "read_write"


class AccountTag(_Part):
    """A tag of an account in AWS Organizations, compared exactly."""

    key: TagKey
    value: TagValue


class Selection(_Part):
    """Accounts of the organization, chosen again at every reconciliation: those of a unit, or those with a tag."""

    organizational_unit: OrganizationalUnit | None = None
    account_tag: AccountTag | None = None
    exclude_accounts: Annotated[tuple[AccountId, ...], Field(max_length=MOST_MEMBERS)] = ()

    @model_validator(mode="after")
    def _one_selector(self) -> Self:
        if self.organizational_unit and self.account_tag:
            raise wrong("excludes organizational_unit: one of them selects", "account_tag")
        return self

    @property
    def selector(self) -> str:
        """What selects, in words; empty where nothing does."""
        if self.organizational_unit:
            return f"organizational unit {self.organizational_unit}"
        return f"account tag {self.account_tag.key}={self.account_tag.value}" if self.account_tag else ""

    def selects(self, account: Account) -> bool:
        """Whether ``account`` is selected now; OUs below the named one count.

        Never the management account: service control policies and service-managed StackSets leave it out (AWS
        Organizations user guide), so that neither the guard rails nor the member role of other accounts are there.
        """
        if not account.takes_part or account.management or account.id in self.exclude_accounts:
            return False
        if self.organizational_unit:
            return self.organizational_unit in account.path
        return self.account_tag is not None and account.tags.get(self.account_tag.key) == self.account_tag.value


class MemberRole(_Part):
    """By which role scientists work: podshare's own, one that is there, or a permission set's."""

    existing_role: RoleName | None = None
    permission_set: PermissionSet | None = None
    trusted_by: tuple[PrincipalName, ...] | None = None

    @model_validator(mode="after")
    def _one_kind_of_role(self) -> Self:
        if self.existing_role and self.permission_set:
            raise wrong("excludes existing_role: scientists use one of them", "permission_set")
        if self.trusted_by is not None and (self.existing_role or self.permission_set):
            raise wrong("says who may assume the role that podshare creates; this role is not podshare's", "trusted_by")
        if self.trusted_by is not None and not self.trusted_by:
            raise wrong("is empty: nobody could assume the role; remove it or name principals", "trusted_by")
        if self.existing_role and self.existing_role.startswith("aws-reserved/"):
            raise wrong("a role of IAM Identity Center is named by its permission_set", "existing_role")
        if self.existing_role and self.existing_role.startswith("aws-service-role/"):
            raise wrong("a service-linked role cannot assume other roles", "existing_role")
        return self

    @property
    def role(self) -> str:
        """What distinguishes this role from an account's others; empty for the one that podshare makes."""
        if self.existing_role:
            return f"/role/{self.existing_role}"
        return f"/permission-set/{self.permission_set}" if self.permission_set else ""


class Membership(MemberRole, Selection):
    """Who works for a team: the scientists of one account, or of every selected one, by exactly one kind of role."""

    account: AccountId | None = None
    expires: Moment | None = None

    @model_validator(mode="after")
    def _account_or_selector(self) -> Self:
        if bool(self.account) == bool(self.selector):
            raise ValueError("needs exactly one of account, organizational_unit and account_tag")
        if self.account and self.exclude_accounts:
            raise wrong(
                "belongs to a selector; a line with a single account has nothing to exclude", "exclude_accounts"
            )
        return self

    @property
    def identity(self) -> str:
        """What distinguishes this line from the team's others: whose accounts, and the role in them."""
        return f"{self.account or self.selector}{self.role}"


Profile = Literal[  # SageMaker API reference, MIGProfileType
    "mig-1g.5gb",
    "mig-1g.10gb",
    "mig-1g.18gb",
    "mig-1g.20gb",
    "mig-1g.23gb",
    "mig-1g.35gb",
    "mig-1g.45gb",
    "mig-1g.47gb",
    "mig-2g.10gb",
    "mig-2g.20gb",
    "mig-2g.35gb",
    "mig-2g.45gb",
    "mig-2g.47gb",
    "mig-3g.20gb",
    "mig-3g.40gb",
    "mig-3g.71gb",
    "mig-3g.90gb",
    "mig-3g.93gb",
    "mig-4g.20gb",
    "mig-4g.40gb",
    "mig-4g.71gb",
    "mig-4g.90gb",
    "mig-4g.93gb",
    "mig-7g.40gb",
    "mig-7g.80gb",
    "mig-7g.141gb",
    "mig-7g.180gb",
    "mig-7g.186gb",
]


class AcceleratorPartition(_Part):
    """A share of accelerators by MIG profile (SageMaker AcceleratorPartitionConfig)."""

    type: Profile
    count: Amount


class QuotaResource(_Part):
    """One line of a compute quota: whole instances, or accelerators, vCPUs, memory or partitions of them."""

    instance_type: InstanceType
    count: Amount | None = None
    accelerators: Amount | None = None
    vcpu: Quantity | None = None
    memory_gib: Quantity | None = None
    accelerator_partition: AcceleratorPartition | None = None

    @model_validator(mode="after")
    def _instances_or_parts(self) -> Self:
        parts = [self.accelerators, self.vcpu, self.memory_gib, self.accelerator_partition]
        if self.count is None and all(part is None for part in parts):
            raise ValueError("needs count, or at least one of accelerators, vcpu, memory_gib, accelerator_partition")
        if self.count is not None and any(part is not None for part in parts):
            raise wrong("means whole instances and excludes accelerators, vcpu, memory_gib and partitions", "count")
        if self.accelerators is not None and self.accelerator_partition is not None:
            raise wrong("excludes accelerators: one of them says how many", "accelerator_partition")
        return self


class Sharing(_Part):
    """How idle compute is lent and borrowed (SageMaker ResourceSharingConfig).

    ``borrow_limit`` is a percentage of the team's own guaranteed quota. The API's model takes 0 to 10,000, its
    documentation also says 1 to 500: what SageMaker itself refuses is reported in the team's status.
    """

    strategy: Literal["Lend", "DontLend", "LendAndBorrow"]
    borrow_limit: Annotated[int, BeforeValidator(whole_number), Field(ge=0, le=10_000)] | None = None
    absolute_borrow_limits: Annotated[tuple[QuotaResource, ...], Field(max_length=15)] = ()

    @model_validator(mode="after")
    def _only_borrowers_have_limits(self) -> Self:
        if self.strategy != "LendAndBorrow" and (self.borrow_limit is not None or self.absolute_borrow_limits):
            at = "absolute_borrow_limits" if self.borrow_limit is None else "borrow_limit"
            raise wrong(f"a team with strategy {self.strategy} does not borrow: remove the borrow limits", at)
        _one_line_per_instance_type(self.absolute_borrow_limits, "absolute_borrow_limits")
        return self


def _one_line_per_instance_type(resources: Iterable[QuotaResource], at: str) -> None:
    seen: set[tuple[str, str | None]] = set()
    for row, resource in enumerate(resources):
        partition = resource.accelerator_partition.type if resource.accelerator_partition else None
        if (resource.instance_type, partition) in seen:
            raise wrong(f"names {resource.instance_type} twice: add the lines up", at, row)
        seen.add((resource.instance_type, partition))


class Quota(_Part):
    """A team's compute quota: all that SageMaker's CreateComputeQuota can express, at most 15 lines."""

    description: Description = ""
    resources: Annotated[tuple[QuotaResource, ...], Field(min_length=1, max_length=15)]
    fair_share_weight: Annotated[int, BeforeValidator(whole_number), Field(ge=0, le=100)] = 0
    sharing: Sharing = Sharing(strategy="LendAndBorrow", borrow_limit=50)
    preempt_team_tasks: Literal["Never", "LowerPriority"] = "LowerPriority"
    active: bool = True

    @model_validator(mode="after")
    def _each_type_once(self) -> Self:
        _one_line_per_instance_type(self.resources, "resources")
        return self


class ClusterQuota(_Part):
    """A cluster that a team works on, and its compute quota there."""

    cluster: RecordName
    quota: Quota


def _quota_with_figures(quota: Mapping[str, Any]) -> Mapping[str, Any]:
    """A quota whose placeholders stand for figures: it is checked with a 1 for each."""
    refuse_unknown(quota, FIGURES, alone=True)
    try:
        Quota.model_validate(rendered(quota, lambda _: "1"))
    except ValidationError as error:
        raise WrongPartError(Quota, error) from None
    return quota


QuotaTemplate = Annotated[Mapping[str, Any], AfterValidator(_quota_with_figures)]


class ClusterQuotaTemplate(_Part):
    """A cluster that the teams of an enrollment work on, and their compute quota there."""

    cluster: RecordName
    quota: QuotaTemplate


def _one_or_several(value: object) -> str:
    return "<several>" if isinstance(value, list | tuple) else "<one>"


def _each_cluster_once(clusters: C) -> C:
    if isinstance(clusters, tuple):
        refuse_twice([line.cluster for line in clusters])
        if not clusters:
            raise ValueError("is an empty list: a team works on at least one")
    return clusters


def _one_quota_for_each_cluster(quota: Q, info: ValidationInfo) -> Q:
    cluster = info.data.get("cluster")
    if isinstance(cluster, str) and quota is None:
        raise PydanticCustomError("missing", f"{MISSING}: a team needs quota.resources")
    if isinstance(cluster, tuple) and quota is not None:
        raise ValueError("belongs to each cluster if a team has several")
    return quota


_One = Annotated[RecordName, Tag("<one>")]
_Several = (Field(max_length=MOST_CLUSTERS), Tag("<several>"))
_OneOrSeveral = (Discriminator(_one_or_several), AfterValidator(_each_cluster_once))
Clusters = Annotated[_One | Annotated[tuple[ClusterQuota, ...], *_Several], *_OneOrSeveral]
ClusterTemplates = Annotated[_One | Annotated[tuple[ClusterQuotaTemplate, ...], *_Several], *_OneOrSeveral]


def _side_by_side(access: Access | tuple[Access, ...]) -> Access | tuple[Access, ...]:
    """What a list of kinds may say: each once, and ``none`` beside no other."""
    if isinstance(access, tuple):
        refuse_twice(access)
        if not access:
            raise ValueError("is an empty list: `none` gives nobody access")
        if Access.NONE in access and len(access) > 1:
            raise ValueError("combines none with other levels: remove none or the others")
    return access


AccessKinds = Annotated[
    Annotated[Access, Tag("<one>")] | Annotated[tuple[Access, ...], Field(max_length=len(Access)), Tag("<several>")],
    Discriminator(_one_or_several),
    AfterValidator(_side_by_side),
]


class DatasetGrant(_Part):
    """A service account's access to a dataset, or to a prefix inside of the dataset's own.

    A service account may have several grants of a dataset; it then has what any of them gives.
    """

    dataset: RecordName
    access: DatasetAccess
    prefix: Prefix = ""
    expires: Moment | None = None

    @property
    def identity(self) -> str:
        """What distinguishes this grant from the service account's others, in the words of its record."""
        return f"{self.dataset} at {self.prefix}" if self.prefix else self.dataset


class ServiceAccount(_Part):
    """A Kubernetes service account of the team's namespace and the data that its pods reach."""

    name: KubernetesName
    datasets: Annotated[tuple[DatasetGrant, ...], Field(max_length=50)] = ()

    @model_validator(mode="after")
    def _each_grant_once(self) -> Self:
        refuse_twice([grant.identity for grant in self.datasets], "datasets")
        if self.name == "default":
            raise wrong("every pod that names no service account runs as `default`: use a name of your own", "name")
        return self


class FileSystemGrant(_Part):
    """A dataset, or a prefix inside of it, as a directory of an FSx for Lustre file system in a cluster's account.

    All pods of the team's namespace may mount it. ``cluster`` is named where the team has several.
    """

    file_system: FileSystemId
    dataset: RecordName
    access: DatasetAccess
    prefix: Prefix = ""
    cluster: RecordName | None = None
    expires: Moment | None = None

    @property
    def identity(self) -> str:
        """What distinguishes this grant from the team's others: its volume claim is named after the dataset."""
        return f"{self.dataset} on {self.cluster}" if self.cluster else self.dataset


def overlap(left: str, right: str) -> bool:
    """Whether one of two directories lies in the other, or is the same."""
    first, second = (f"{path.rstrip('/')}/" for path in (left, right))
    return first.startswith(second) or second.startswith(first)


# not only what Kubernetes takes: a wildcard is refused in words, by the rule


class RbacRule(_Part):
    """One rule of a Kubernetes Role (rbac.authorization.k8s.io/v1, PolicyRule), in the team's own namespace."""

    api_groups: Annotated[tuple[ApiGroup, ...], Field(min_length=1, max_length=10)]
    resources: Annotated[tuple[KubernetesResource, ...], Field(min_length=1, max_length=30)]
    verbs: Annotated[tuple[KubernetesVerb, ...], Field(min_length=1, max_length=8)]
    resource_names: Annotated[tuple[ObjectName, ...], Field(max_length=30)] = ()

    @model_validator(mode="after")
    def _stays_in_the_namespace(self) -> Self:
        if why := rbac.refusal(self.api_groups, self.resources, self.verbs, self.resource_names):
            raise ValueError(why)
        return self


def as_rule(rule: RbacRule) -> KubernetesRule:
    """A rule of a record as it is in a Role, in an order of its own."""
    lists = (rule.api_groups, rule.resources, rule.verbs, rule.resource_names)
    return KubernetesRule(*(tuple(sorted({*listed})) for listed in lists))


class GroupRules(_Part):
    """What one of the team's Kubernetes groups may do in its namespace, beside the access policy."""

    group: KubernetesGroup
    rules: Annotated[tuple[RbacRule, ...], Field(min_length=1, max_length=20)]


Preset = Literal["debug"]
Rbac = Annotated[
    Annotated[Preset, Tag("<one>")] | Annotated[tuple[GroupRules, ...], Field(max_length=10), Tag("<several>")],
    Discriminator(_one_or_several),
]


OnDelete = Literal["delete_work", "keep_work"]
DELETE_WORK: OnDelete = "delete_work"


class Team(_Record):
    """``team#<name>``: who may use how much of which clusters, and which data.

    ``cluster`` is the name of one, whose quota is in ``quota``, or a list of several, each with its own. ``access``
    is one kind or a list of them; ``rbac`` the name of a preset, for all members, or rules for the team's groups.
    """

    name: TeamName
    cluster: Clusters
    members: Annotated[tuple[Membership, ...], Field(max_length=MOST_MEMBERS)]
    quota: Annotated[Quota | None, Field(validate_default=True)] = None
    owner: Owner
    reason: Reason
    access: AccessKinds = Access.TRAINING
    access_role: Literal["per_member", "per_team"] = "per_member"
    service_accounts: Annotated[tuple[ServiceAccount, ...], Field(max_length=MOST_SERVICE_ACCOUNTS)] = ()
    file_systems: Annotated[tuple[FileSystemGrant, ...], Field(max_length=MOST_FILE_SYSTEM_GRANTS)] = ()
    kubernetes_groups: Annotated[tuple[KubernetesGroup, ...], Field(max_length=10)] = ()
    rbac: Rbac = ()
    deletion_protection: bool = False
    on_delete: OnDelete = DELETE_WORK
    expires: Moment | None = None

    _quota_for_each_cluster = field_validator("quota")(_one_quota_for_each_cluster)

    @model_validator(mode="after")
    def _own_groups(self) -> Self:
        refuse_twice(self.kubernetes_groups, "kubernetes_groups")
        refuse_twice([line.group for line in self.rbac_lines], "rbac")
        if foreign := [group for group in self.kubernetes_groups if group.split(":")[1] != self.name]:
            raise wrong(
                f"{', '.join(foreign)}: the groups of a team begin with podshare:{self.name}:", "kubernetes_groups"
            )
        if unknown := sorted({line.group for line in self.rbac_lines} - {*self.kubernetes_groups}):
            raise wrong(f"names {', '.join(unknown)}, which kubernetes_groups does not: nobody is in it", "rbac")
        return self

    @model_validator(mode="after")
    def _everyone_once(self) -> Self:
        refuse_twice([member.identity for member in self.members], "members")
        refuse_twice([account.name for account in self.service_accounts], "service_accounts")
        return self

    @model_validator(mode="after")
    def _each_claim_on_one_cluster(self) -> Self:
        refuse_twice([grant.identity for grant in self.file_systems], "file_systems")
        if isinstance(self.cluster, tuple) and any(grant.cluster is None for grant in self.file_systems):
            raise wrong("names no cluster: a team of several says which each file system belongs to", "file_systems")
        if unknown := sorted({grant.cluster for grant in self.file_systems if grant.cluster} - self.quotas.keys()):
            raise wrong(f"names {', '.join(unknown)}, on which the team has no quota", "file_systems")
        return self

    def file_systems_on(self, cluster: str) -> tuple[FileSystemGrant, ...]:
        """The team's grants through file systems of one of its clusters."""
        return tuple(grant for grant in self.file_systems if grant.cluster in (None, cluster))

    @property
    def access_kinds(self) -> tuple[Access, ...]:
        """Every kind of access that members have; empty for ``none``."""
        kinds = self.access if isinstance(self.access, tuple) else (self.access,)
        return tuple(kind for kind in kinds if kind is not Access.NONE)

    @property
    def rbac_lines(self) -> tuple[GroupRules, ...]:
        """The rules that the record spells out; empty where it names a preset."""
        return self.rbac if isinstance(self.rbac, tuple) else ()

    @property
    def quotas(self) -> Mapping[str, Quota]:
        """The team's compute quota on each of its clusters."""
        if isinstance(self.cluster, tuple):
            return {line.cluster: line.quota for line in self.cluster}
        return {self.cluster: self.quota} if self.quota else {}

    @property
    def namespace(self) -> str:
        """The namespace that SageMaker makes for the team's compute quota, on each of its clusters."""
        return f"hyperpod-ns-{self.name}"

    @property
    def datasets(self) -> frozenset[str]:
        """The names of all datasets that the team has grants for."""
        through_pods = (grant.dataset for account in self.service_accounts for grant in account.datasets)
        return frozenset({*through_pods, *(grant.dataset for grant in self.file_systems)})


def without_access(team: Team) -> Team:
    """The team with its quotas alone: nobody gets in, and nothing reaches data."""
    gone = ("members", "service_accounts", "file_systems", "kubernetes_groups", "rbac")
    return team.model_copy(update=dict.fromkeys(gone, ()))


class TeamTemplate(_Part):
    """The team that an enrollment makes for each account.

    ``${account.id}``, ``${account.name}`` and ``${account.tags.KEY}`` may be in ``owner`` and ``reason``, which are
    for display: an account may rename itself. A tag alone may stand for a whole figure of ``quota``. Nothing else takes
    placeholders: what an account says of itself never decides which dataset, cluster or role it gets.
    """

    cluster: ClusterTemplates
    quota: Annotated[QuotaTemplate | None, Field(validate_default=True)] = None
    owner: Annotated[str, text(None, 256)]
    reason: Reason
    access: AccessKinds = Access.TRAINING
    rbac: Preset | None = None
    service_accounts: Annotated[tuple[ServiceAccount, ...], Field(max_length=MOST_SERVICE_ACCOUNTS)] = ()
    member: MemberRole = MemberRole()

    _quota_for_each_cluster = field_validator("quota")(_one_quota_for_each_cluster)

    @field_validator("owner", "reason")
    @classmethod
    def _display_only(cls, text: str) -> str:
        refuse_unknown(text, DISPLAY)
        return text


class Enrollment(_Record, Selection):
    """``enrollment#<name>``: each account that is selected gets a team of its own, while it is selected."""

    name: EnrollmentName
    team: TeamTemplate

    @model_validator(mode="after")
    def _selects(self) -> Self:
        if not self.selector:
            raise ValueError("needs organizational_unit or account_tag")
        return self


class Approval(_Record):
    """``approval#<team>``: a person agrees that a team loses what one plan, named by its hash, would take from it.

    ``losses`` are those that the person was shown when they ``confirmed`` the write that brings them.
    """

    name: TeamName
    plan: Hash
    owner: Owner
    reason: Reason
    confirmed: Moment | None = None
    losses: Annotated[tuple[Hash, ...], Field(max_length=MOST_LOSSES)] = ()

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if bool(self.confirmed) != bool(self.losses):
            raise ValueError("confirmed and losses must be set together")
        return self


class Block(_Record):
    """``block#<account>``: while it exists the account takes no part in anything, whatever records and tags say."""

    name: AccountId
    reason: Reason
    owner: Owner


class Pause(_Record):
    """``pause#all``: while it exists no new reconciliation begins; deleting it starts them all."""

    name: Literal["all"]
    reason: Reason
    owner: Owner
