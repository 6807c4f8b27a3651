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
from podshare.registry.items import NAME, namespace_of
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
    QuotaName,
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
MOST_VERSIONS = 10_000_000  # of one record
_PRINTABLE = r"^\P{C}*$"
_IS_PRINTABLE = "must have no control characters"

C = TypeVar("C")  # clusters of a team, or of a template
Q = TypeVar("Q")  # a quota, or a template of one


class _Part(BaseModel):
    """What every part of a record has in common: unknown fields are errors, values do not change."""

    # most functions, most of the time, validate few of these: what is not used is not built at a cold start
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class ChangeSource(_Part):
    """The file that a record was applied from."""

    repository: Annotated[str, text(_PRINTABLE, 512, meaning=_IS_PRINTABLE)]
    """the repository without credentials, such as `github.com/example/records`, at most 512 characters"""
    path: Annotated[str, text(_PRINTABLE, 1024, meaning=_IS_PRINTABLE)]
    """the file in it, from its root, at most 1,024 characters"""


class LastChange(_Part):
    """What a record's last write was, as its writer declared it: nothing about access is decided by it."""

    version: Annotated[int, BeforeValidator(whole_number), Field(ge=1, le=MOST_VERSIONS)]
    """how many times the command has written the record since it was created"""
    at: Moment
    """when, a timestamp"""
    reason: Annotated[str, text(_PRINTABLE, 1024, 0, meaning=_IS_PRINTABLE)] = ""
    """why, from `--reason`, at most 1,024 characters"""
    author: Annotated[str, text(_PRINTABLE, 256, 0, meaning=_IS_PRINTABLE)] = ""
    """who made the change, from CI or git, at most 256 characters"""
    commit: Annotated[str, text(_PRINTABLE, 64, 0, meaning=_IS_PRINTABLE)] = ""
    """the commit of the files, at most 64 characters; it ends with `-dirty` if they had uncommitted changes"""
    source: ChangeSource | None = None
    """[the file](#source) that the record was last applied from, by which pruning finds it"""
    digest: Annotated[str, text(r"^[0-9a-f]{64}$", 64, 64, meaning="a digest has 64 hexadecimal digits")] | None = None
    """SHA-256 of what the command wrote. What says something else was changed outside of podshare since, by an unknown
    author
    """


class _Record(_Part):
    schema_version: Annotated[Literal[1], BeforeValidator(whole_number)] = Field(default=1, alias="schema")
    """`1`, the version of this page"""
    changed_by: Annotated[str, text(None, 2048, 0)] | None = None
    """who wrote the record, at most 2,048 characters; the command sets it to your ARN"""
    change: LastChange | None = None
    """[what the last write was](#change); the command sets it. Comparisons of records ignore it"""


class PriorityClass(_Part):
    """A class that tasks may name, and how far ahead its weight puts them (SageMaker PriorityClass)."""

    name: Annotated[str, text(f"^{NAME.pattern}$", LONGEST_PRIORITY_CLASS, meaning=A_NAME)]
    """the class that a task names as `<name>-priority`: lowercase letters, digits and hyphens, at most 40 characters"""
    weight: Annotated[int, BeforeValidator(whole_number), Field(ge=0, le=100)]
    """0 to 100; a greater weight goes first. A task without a class has 0."""


class Scheduler(_Part):
    """How a cluster's tasks are ordered and its idle compute is shared (SageMaker SchedulerConfig)."""

    description: Description = ""
    """the config's description in SageMaker, at most 1,024 characters"""
    priority_classes: Annotated[tuple[PriorityClass, ...], Field(max_length=10)] = ()
    """a list of [classes](#priority_classes), at most 10"""
    fair_share: bool = True
    """idle compute goes to teams by their `fair_share_weight`; with `false`, first come, first served"""
    idle_resource_sharing: bool = False
    """`true`: compute that no quota guarantees is also lent"""

    @model_validator(mode="after")
    def _each_class_once(self) -> Self:
        refuse_twice([priority_class.name for priority_class in self.priority_classes], "priority_classes")
        return self


class Cluster(_Record):
    """``cluster#<name>``: a HyperPod cluster orchestrated by EKS, in one account and Region."""

    name: RecordName
    account: AccountId
    """the cluster's account"""
    region: Region
    """the cluster's Region, such as `us-west-2`, at most 25 characters"""
    eks_cluster: EksCluster
    """the EKS cluster's name, at most 100 characters. Each cluster has one record: the command refuses a second one;
    one written without the command adds nothing for the teams that name it, and revokes nothing.
    """
    hyperpod_cluster: HyperPodCluster
    """the HyperPod cluster's name or ARN; it must run on `eks_cluster`"""
    over_commitment: Literal["refuse", "warn"] = "warn"
    """what happens to a quota that would [guarantee more than the cluster has](operations.md#capacity): `warn` creates
    it and reports it, `refuse` does not create it
    """
    scheduler: Scheduler | None = None
    """how [tasks are prioritized and idle compute is shared](#scheduler), for all teams of the cluster

    Default: none: podshare leaves the scheduling policy unchanged
    """
    namespace_hardening: Annotated[Literal["off", "report", "enforce"], BeforeValidator(off)] = "off"
    """`off`, `report` or `enforce`: how pods are restricted to [their team's namespace](#namespace_hardening)"""
    kubernetes_api: bool = True
    """`false` where podshare cannot reach the cluster's API, for example with a private endpoint: podshare then [asks a
    person](operations.md#without-the-kubernetes-api) to apply the objects inside the cluster
    """
    administrators: Annotated[tuple[Administrator, ...], Field(max_length=100)] = ()
    """up to 100 principals that may access [every namespace of the cluster](security.md#doors): ARNs of access entries,
    `oidc NAME` of an identity provider, and `User NAME` or a group's name in cluster role bindings (`Group NAME` if it
    has a space or begins with `arn:`).
    When set, only this list counts. A user or group counts for whoever had it at podshare's first reading; name others
    who have it too

    Default: everybody with cluster-wide access at podshare's first reading
    """

    def is_same_as(self, other: "Cluster") -> bool:
        """Whether another record is of the same EKS cluster."""
        place = (self.account, self.region, self.eks_cluster)
        return place == (other.account, other.region, other.eks_cluster)


class Dataset(_Record):
    """``dataset#<name>``: a bucket of a data account, or what lies under one prefix of it."""

    name: RecordName
    account: AccountId
    """the account that owns the bucket"""
    region: Region
    """the bucket's Region"""
    bucket: Bucket
    """the name of a general purpose bucket, 3 to 63 characters; directory buckets and access point aliases are not
    allowed. It must be in `BucketNames` of the account's member stack
    """
    prefix: Prefix = ""
    """at most 512 characters including the final slash, counted from the bucket's root; ends with `/`, which is added
    if it is missing, so that `images` does not grant `images-private/`

    Default: empty: the whole bucket
    """
    kms_key: KmsKey | None = None
    """the ARN of the [customer managed KMS key](#customer-managed-keys) that encrypts the objects, of the same account
    and Region; no alias. It must be in `KmsKeyArns` of the account's member stack.
    """
    vpc: Vpc | None = None
    """the id of a VPC (`vpc-…`): the dataset's access points answer only requests from that VPC, through its S3
    endpoint. Not with `data_role: target`.

    Default: none: from anywhere
    """
    data_role: Literal["access_point", "target"] = "access_point"
    """`target`: pods use the bucket as [a role in its account](#roles-in-the-data-account), without an access point"""
    other_principals: Annotated[tuple[OtherPrincipal, ...], Field(max_length=100)] = ()
    """up to 100 principals to which the owner [gives access to the data](security.md#the-owners-own) besides podshare's
    teams, as `podshare access audit` shows them: an ARN of one account (its root means everybody in it), `service:`
    and a service's name, or `anybody with` and a condition. Principals of the data account need no entry. When set,
    only this list counts

    Default: everybody with access at podshare's first reading
    """

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
    """the tag's key, at most 128 characters"""
    value: TagValue
    """its value, at most 256 characters; may be empty"""


class Selection(_Part):
    """Accounts of the organization, chosen again at every reconciliation: those of a unit, or those with a tag."""

    organizational_unit: OrganizationalUnit | None = None
    """the id of an OU (`ou-…`) or of the root (`r-…`): selects the accounts in it and in all OUs below"""
    account_tag: AccountTag | None = None
    """a [tag](#account_tag) that the accounts have in AWS Organizations"""
    exclude_accounts: Annotated[tuple[AccountId, ...], Field(max_length=MOST_MEMBERS)] = ()
    """accounts that the selector excludes, at most 500; only beside a selector"""

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
    """path and name of a role that the account already has, such as `research/LanguageResearcher`; not one of
    podshare's own. podshare attaches the member stack's policy `podshare-assume-cluster-access-<stack id>` to it and
    changes nothing else.
    """
    permission_set: PermissionSet | None = None
    """the name of an IAM Identity Center permission set, at most 32 characters. podshare only trusts its role: the
    permission set must itself allow `sts:AssumeRole`, with an inline policy that allows `sts:AssumeRole`,
    `sts:TagSession` and `sts:SetSourceIdentity` on `arn:aws:iam::111111111111:role/podshare/*`, the cluster's
    account; to read what is published for them also `ssm:GetParameter` and `ssm:GetParametersByPath` on
    `arn:aws:ssm:*:*:parameter/podshare/teams*`. Do not use the member stack's policy: its name differs from account to
    account.
    """
    trusted_by: tuple[PrincipalName, ...] | None = None
    """`role/<path and name>` or `user/<path and name>` of that account: who may assume the role that podshare creates.
    Excludes `existing_role` and `permission_set`.

    Default: everybody whom the account's administrators allow
    """

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
    """the scientists' account. A line has exactly one of this field, `organizational_unit` and `account_tag`."""
    expires: Moment | None = None
    """the [expiration](#expirations) of this line

    Default: never
    """

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
    """a MIG profile that SageMaker knows, such as `mig-1g.5gb`"""
    count: Amount
    """how many"""


class QuotaResource(_Part):
    """One line of a compute quota: whole instances, or accelerators, vCPUs, memory or partitions of them."""

    instance_type: InstanceType
    """such as `ml.p5.48xlarge`; the cluster must have it"""
    count: Amount | None = None
    """whole instances; excludes all fields below"""
    accelerators: Amount | None = None
    """a number of accelerators"""
    vcpu: Quantity | None = None
    """a number of vCPUs"""
    memory_gib: Quantity | None = None
    """memory in GiB"""
    accelerator_partition: AcceleratorPartition | None = None
    """a share of accelerators by MIG profile; excludes `accelerators`"""

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
    """`Lend`, `DontLend` or `LendAndBorrow`"""
    borrow_limit: Annotated[int, BeforeValidator(whole_number), Field(ge=0, le=10_000)] | None = None
    """0 to 10,000 percent of the team's own quota; only with `LendAndBorrow`"""
    absolute_borrow_limits: Annotated[tuple[QuotaResource, ...], Field(max_length=15)] = ()
    """at most 15 lines as in `resources`; only with `LendAndBorrow`"""

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

    name: QuotaName | None = None
    """the quota's name in SageMaker, at most 64 letters, digits and hyphens: of a quota that existed before and that
    [`podshare import`](importing.md) hands over to podshare. Do not change it later: SageMaker cannot rename a quota

    Default: `podshare-` and the team's name
    """
    description: Description = ""
    """the quota's description in SageMaker, at most 1,024 characters"""
    resources: Annotated[tuple[QuotaResource, ...], Field(min_length=1, max_length=15)]
    """1 to 15 [lines](#resources); an instance type (and partition type) at most once"""
    fair_share_weight: Annotated[int, BeforeValidator(whole_number), Field(ge=0, le=100)] = 0
    """0 to 100; a greater weight gets idle compute first"""
    sharing: Sharing = Sharing(strategy="LendAndBorrow", borrow_limit=50)
    """how idle compute is [lent and borrowed](#sharing)

    Default: `LendAndBorrow` with `borrow_limit` 50
    """
    preempt_team_tasks: Literal["Never", "LowerPriority"] = "LowerPriority"
    """`LowerPriority` or `Never`"""
    active: bool = True
    """`false` keeps the quota without enforcing it"""

    @model_validator(mode="after")
    def _each_type_once(self) -> Self:
        _one_line_per_instance_type(self.resources, "resources")
        return self


class ClusterQuota(_Part):
    """A cluster that a team works on, and its compute quota there."""

    cluster: RecordName
    """the name of a cluster record, each at most once"""
    quota: Quota
    """the team's [compute quota](#quota) there"""


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
    """the name of a cluster record, each at most once"""
    quota: QuotaTemplate
    """the teams' [compute quota](#quota) there; a tag alone may stand for a figure"""


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
    """the name of a dataset record"""
    access: DatasetAccess
    """`read` (get and list), or `read_write` (put, delete and multipart uploads as well)"""
    prefix: Prefix = ""
    """**counted from the bucket's root**, like the dataset's own: it must begin with the dataset's prefix
    (`drafts/vision/` of a dataset with `drafts/`)

    Default: the dataset's
    """
    expires: Moment | None = None
    """the [expiration](#expirations) of this grant

    Default: never
    """

    @property
    def identity(self) -> str:
        """What distinguishes this grant from the service account's others, in the words of its record."""
        return f"{self.dataset} at {self.prefix}" if self.prefix else self.dataset


class ServiceAccount(_Part):
    """A Kubernetes service account of the team's namespace and the data that its pods reach."""

    name: KubernetesName
    """a Kubernetes name, at most 63 characters; not `default`, which every pod without a named service account uses"""
    datasets: Annotated[tuple[DatasetGrant, ...], Field(max_length=50)] = ()
    """a list of [grants](#datasets), at most 50"""

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
    """the file system's id (`fs-…`), in the cluster's account and Region and in `FileSystemArns` of its member stack"""
    dataset: RecordName
    """the name of a dataset record, on each cluster at most once"""
    access: DatasetAccess
    """`read`, or `read_write`: written files are exported to the bucket"""
    prefix: Prefix = ""
    """as in [`datasets`](#datasets)

    Default: the dataset's
    """
    cluster: RecordName | None = None
    """the cluster of the file system; required when the team has [several clusters](#cluster)"""
    expires: Moment | None = None
    """the [expiration](#expirations) of this grant

    Default: never
    """

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
    """1 to 10, such as `kubeflow.org`; `""` is the core group"""
    resources: Annotated[tuple[KubernetesResource, ...], Field(min_length=1, max_length=30)]
    """1 to 30, such as `configmaps` or `pods/exec`"""
    verbs: Annotated[tuple[KubernetesVerb, ...], Field(min_length=1, max_length=8)]
    """1 to 8 of `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`"""
    resource_names: Annotated[tuple[ObjectName, ...], Field(max_length=30)] = ()
    """at most 30 names of objects

    Default: all
    """

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
    """one of `kubernetes_groups`"""
    rules: Annotated[tuple[RbacRule, ...], Field(min_length=1, max_length=20)]
    """1 to 20 [rules](#rules)"""


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
    """the name of a cluster record, or a list of 1 to 10 [clusters with a quota each](#cluster)"""
    members: Annotated[tuple[Membership, ...], Field(max_length=MOST_MEMBERS)]
    """a list of [members](#members), at most 500 lines; may be empty"""
    quota: Annotated[Quota | None, Field(validate_default=True)] = None
    """the team's [compute quota](#quota) on the cluster: required with one cluster name; not allowed beside a list,
    where each cluster has its own
    """
    owner: Owner
    """who is responsible for the team, such as a mail address: letters, digits, spaces and `_ . : / = + - @`, at most
    256 characters (it becomes a tag, so it must not begin with `aws:`)
    """
    reason: Reason
    """why the team has this, at most 1,024 characters"""
    access: AccessKinds = Access.TRAINING
    """what members may do in the team's namespace: one of the levels below, or a list of them"""
    access_role: Literal["per_member", "per_team"] = "per_member"
    """`per_team`: all members share [one cluster access role](#one-role-for-all-members)"""
    service_accounts: Annotated[tuple[ServiceAccount, ...], Field(max_length=MOST_SERVICE_ACCOUNTS)] = ()
    """a list of [service accounts](#service_accounts), at most 100"""
    file_systems: Annotated[tuple[FileSystemGrant, ...], Field(max_length=MOST_FILE_SYSTEM_GRANTS)] = ()
    """datasets that the team's pods [mount](#file_systems), at most 40 lines"""
    kubernetes_groups: Annotated[tuple[KubernetesGroup, ...], Field(max_length=10)] = ()
    """at most 10 Kubernetes groups that every member belongs to; each begins with `podshare:<team>:` (with the hub's
    `Prefix`), and its last part has at most 40 lowercase letters, digits and hyphens
    """
    rbac: Rbac = ()
    """what members may do in the team's namespace in addition to `access`: [`debug`](#rbac), or a list of [rules for
    these groups](#rbac); at most 10, each group once
    """
    deletion_protection: bool = False
    """`true`: the team survives the deletion of its record. Deleting the record is then an error in the team's status;
    to delete the team, first set this to `false`.
    """
    on_delete: OnDelete = DELETE_WORK
    """what happens to the work in the team's namespace when the team is deleted and [has
    drained](operations.md#reserved-team-names): `delete_work` deletes everything that can run (jobs of every kind,
    Deployments and similar kinds, spaces, models, pods), `keep_work` leaves it to a person. Secrets, ConfigMaps and
    volume claims are never deleted.
    """
    expires: Moment | None = None
    """the [expiration](#expirations) of the whole team: access, data and quota are revoked, the record stays

    Default: never
    """

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
        """The team's namespace, on each of its clusters."""
        return namespace_of(self.name)

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
    """the name of a cluster record, or a list of 1 to 10 [clusters with a quota each](#cluster)"""
    quota: Annotated[QuotaTemplate | None, Field(validate_default=True)] = None
    """the [compute quota](#quota) on the cluster: required with one cluster name, not allowed beside a list; its
    numbers, and those in the list, may be placeholders
    """
    owner: Annotated[str, text(None, 256)]
    """who is responsible for the team; may contain placeholders"""
    reason: Reason
    """why the team has this, at most 1,024 characters; may contain placeholders"""
    access: AccessKinds = Access.TRAINING
    """what the account's people may do in the namespace"""
    rbac: Preset | None = None
    """only [`debug`](#rbac): an enrolled team has no groups of its own"""
    service_accounts: Annotated[tuple[ServiceAccount, ...], Field(max_length=MOST_SERVICE_ACCOUNTS)] = ()
    """a list of [service accounts](#service_accounts), at most 100"""
    member: MemberRole = MemberRole()
    """[the role](#member) that the account's people use

    Default: the role that podshare creates
    """

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
    """[the record of each account's team](#team)"""

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
    """the plan's hash from the team's status, twelve hexadecimal digits"""
    owner: Owner
    """who approved, as a team's `owner`"""
    reason: Reason
    """why, at most 1,024 characters"""
    confirmed: Moment | None = None
    """when the revocations were confirmed, a timestamp; together with `losses`"""
    losses: Annotated[tuple[Hash, ...], Field(max_length=MOST_LOSSES)] = ()
    """the confirmed revocations: a hash of each, twelve hexadecimal digits, at most 10,000"""

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if bool(self.confirmed) != bool(self.losses):
            raise ValueError("confirmed and losses must be set together")
        return self


class Block(_Record):
    """``block#<account>``: while it exists the account takes no part in anything, whatever records and tags say."""

    name: AccountId
    reason: Reason
    """why, at most 1,024 characters"""
    owner: Owner
    """who blocked it, as a team's `owner`"""


class Pause(_Record):
    """``pause#all``: while it exists no new reconciliation begins; deleting it starts what was asked for meanwhile."""

    name: Literal["all"]
    reason: Reason
    """why, at most 1,024 characters"""
    owner: Owner
    """who paused, as a team's `owner`"""
