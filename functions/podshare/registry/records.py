"""The registry's records: what a person writes, checked and made precise.

A record that breaks a rule is refused with all its problems at once, each naming the field, the value, the
rule and the remedy. Limits are those of the AWS APIs that the values reach (SageMaker CreateComputeQuota,
IAM, EKS, S3), so that nothing is refused half way through a provisioning.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
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
from podshare.registry.templates import DISPLAY, FIGURES, refuse_unknown, rendered
from podshare.registry.wording import MISSING, WrongPartError, closest, faults, sentence

PAUSE_ID = "pause#all"
MOST_MEMBERS = 500
MOST_SERVICE_ACCOUNTS = 100
MOST_CLUSTERS = 10  # of one team
MOST_FILE_SYSTEM_GRANTS = 40  # of one team, on all of its clusters
MOST_PROBLEMS = 50  # of one record: with their texts they fit into a state's output (Step Functions quotas, 256 KiB)
MOST_LOSSES = 10_000  # of one approval
MOST_BYTES = 380_000  # of a record as it is kept once accepted: an item may have 400 KB (DynamoDB quotas)
LONGEST_PREFIX = 512
LONGEST_TEAM = 40  # `hyperpod-ns-<team>-localqueue` is a label value, at most 63 characters
LONGEST_PRIORITY_CLASS = 40  # SageMaker API reference, PriorityClass
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_NO_BUCKETS = {
    "--x-s3": "a directory bucket",
    "--xa-s3": "an access point of a directory bucket",
    "-s3alias": "the alias of an access point",
    "--ol-s3": "the alias of an Object Lambda access point",
    ".mrap": "the alias of a Multi-Region Access Point",
    "--table-s3": "a table bucket",
}
_DECIMAL = re.compile(r"(0|[1-9][0-9]*)(\.[0-9]+)?")
_MOMENT = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-9]{2})")
_LONGEST_NUMBER = 419  # bits of 126 digits (DynamoDB quotas, numbers)
DEEPEST = 32  # levels of an attribute (DynamoDB quotas)
_PATTERNS: dict[str, str] = {}  # what the pattern of a text asks for, in words

P = TypeVar("P", bound=BaseModel)
C = TypeVar("C")  # clusters of a team, or of a template
Q = TypeVar("Q")  # a quota, or a template of one


@dataclass(frozen=True, slots=True)
class Problem:
    """One rule that a record breaks, in words for the person who wrote it.

    No text is empty or endless, and all of them print: what is not ASCII is spelled out, so that a look-alike shows.
    """

    record: str
    field: str
    value: str
    rule: str
    remedy: str

    def __post_init__(self) -> None:
        for name, longest in _LONGEST.items():
            object.__setattr__(self, name, _legible(getattr(self, name), longest))

    def __str__(self) -> str:
        return f"{self.record}: {sentence(self.as_dict())}. {self.remedy}"

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


_LONGEST = {"record": 120, "field": 300, "value": 120, "rule": 600, "remedy": 600}


def _legible(text: str, longest: int) -> str:
    shown = text if text.isascii() and text.isprintable() else text.encode("unicode_escape").decode("ascii")
    return (shown if len(shown) <= longest else f"{shown[: longest - 3]}...") or "(empty)"


def bounded(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """The first MOST_PROBLEMS; of more the last tells how many."""
    found = tuple(problems)
    if len(found) <= MOST_PROBLEMS:
        return found
    more = len(found) - MOST_PROBLEMS + 1
    rest = Problem(found[0].record, "record", f"{more:,} more", "these are not all of its problems", "Mend them first.")
    return (*found[: MOST_PROBLEMS - 1], rest)


class InvalidRecord(Exception):  # noqa: N818  # named for what it is, as the registry's users see it
    """A record that cannot be accepted; ``problems`` holds every reason, or the first of very many."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = bounded(problems)
        super().__init__("\n".join(map(str, self.problems)))


def _wrong(rule: str, *at: int | str) -> PydanticCustomError:
    """What is wrong at a place inside of the part of a record that is validated."""
    return PydanticCustomError("rule", "{rule}", {"rule": rule, "at": at})


def _refuse_twice(names: Sequence[str], *at: int | str) -> None:
    """Refuse a list, which stands ``at`` a place inside of what is validated, in which a name stands twice."""
    repeated = [row for row, name in enumerate(names) if name in names[:row]]
    if repeated:
        twice = sorted({names[row] for row in repeated})
        raise _wrong(f"names {', '.join(twice)} twice", *at, repeated[0])


def _no_pattern(text: str) -> str:
    """Wildcards and policy variables would reach policy documents, where they mean more than they say."""
    if found := re.search(r"[*?]|\$\{", text):
        raise ValueError(f"must not contain {found.group()!r}: wildcards and policy variables are refused")
    return text


def _account(value: object) -> object:
    """A YAML reader makes a number of an unquoted account id, and loses leading zeros: 12 digits or nothing.

    With a leading zero, and neither 8 nor 9 in it, it is an octal number to YAML 1.1.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    if len(str(value)) == 12:
        return str(value)
    octal = f"{value:o}".zfill(12)
    likely = f": it stands there as {octal}, if that was read as an octal number" if len(octal) == 12 else ""
    remedy = f"Put the id in quotes, as it is in its file{likely}."
    raise PydanticCustomError("account_id", "must be text of twelve digits; got a number", {"remedy": remedy})


def _off(value: object) -> object:
    """A YAML reader makes False of an unquoted ``off`` (YAML 1.1, Boolean)."""
    return "off" if value is False else value


def _number(value: object) -> object:
    """Plain decimals alone: Python would also take True, nan, 1_0 and white space for numbers, and 010 for 10."""
    if isinstance(value, bool) or (isinstance(value, str) and not _DECIMAL.fullmatch(value)):
        raise PydanticCustomError("number", "is no number")
    return value


def _whole_number(value: object) -> object:
    """The same for what is counted; 2.0 is 2."""
    if isinstance(value, bool) or (isinstance(value, str) and not _DECIMAL.fullmatch(value)):
        raise PydanticCustomError("whole_number", "is no whole number")
    return value


def _moment(value: object) -> object:
    """A moment that means the same to everybody: a date alone, or a time without an offset, does not."""
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        return datetime.fromisoformat(value).astimezone(UTC)
    if isinstance(value, datetime) and value.tzinfo:
        return value.astimezone(UTC)
    raise ValueError("must be a moment like 2027-01-31T18:00:00Z, or with an offset like +01:00 in the place of Z")


def _no_alias(value: object) -> object:
    """A grant is of a key, whatever becomes of the alias by which somebody called it."""
    if isinstance(value, str) and "alias/" in value:
        raise ValueError("names an alias, which may come to mean another key: use the key's ARN")
    return value


def _not_reserved(text: str) -> str:
    """EKS user guide, "Tag basics"."""
    if text.lower().startswith("aws:"):
        raise ValueError("must not begin with 'aws:', which AWS keeps to itself in the values of tags")
    return text


def _general_purpose(bucket: str) -> str:
    """The name of a general purpose bucket, rather than of what merely looks like one.

    S3 user guide, "General purpose bucket naming rules".
    """
    for end, what in _NO_BUCKETS.items():
        if bucket.endswith(end):
            raise ValueError(f"names {what}, by its end {end}: name a general purpose bucket")
    if re.fullmatch(r"([0-9]{1,3}\.){3}[0-9]{1,3}", bucket):
        raise ValueError("is an address; no bucket has the form of one")
    if found := re.match(r"xn--|sthree-|amzn-s3-demo-", bucket):
        raise ValueError(f"begins with {found.group()}, which S3 keeps to itself")
    return bucket


def _directory(prefix: str) -> str:
    """A prefix ends with a slash, so that ``images`` does not open ``images-private/``."""
    if prefix.startswith("/") or "//" in prefix or any(ord(character) < 32 for character in prefix):
        raise ValueError("must not begin with '/', contain '//' or control characters")
    directory = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
    if len(directory) > LONGEST_PREFIX:
        raise ValueError(f"must have at most {LONGEST_PREFIX} characters, the slash at its end among them")
    return directory


def _text(pattern: str | None, most: int, least: int = 1, *, says: str = "") -> StringConstraints:
    """A text of a pattern; ``says`` is what that asks for, to the person who wrote another."""
    if pattern and says:
        _PATTERNS[pattern] = says
    return StringConstraints(pattern=pattern, min_length=least, max_length=most, strict=True)  # bytes are no text


_A_NAME = "a name has lowercase letters, digits and hyphens between them"
_A_TAG = "may have letters, digits, spaces and _ . : / = + - @"
_A_ROLE = "a role is a path and a name, such as research/Trainer, of letters, digits and _ + = , . @ -"
_A_KEY = "a key is named by its ARN, arn:aws:kms:REGION:ACCOUNT:key/ID"
_A_UNIT = "a unit has an id such as ou-pods-science1"
_AN_EKS_CLUSTER = "an EKS cluster's name has letters, digits, hyphens and underscores"
_A_BUCKET = "a bucket's name has 3 to 63 lowercase letters, digits, dots and hyphens"

TAG_VALUE = r"^[\p{L}\p{N}_ .:/=+\-@]*$"  # what every service here accepts as a tag's value
AccountId = Annotated[
    str, BeforeValidator(_account), _text(r"^[0-9]{12}$", 256, says="an account id has twelve digits")
]
Region = Annotated[str, _text(r"^[a-z]{2}(-[a-z]+)+-[0-9]$", 25, says="a Region has a code such as us-west-2")]
RecordName = Annotated[str, _text(f"^{_NAME.pattern}$", 63, says=_A_NAME)]
TeamName = Annotated[str, _text(f"^{_NAME.pattern}$", LONGEST_TEAM, says=_A_NAME)]
# 27: an enrollment's teams are named after it, a hyphen and the account's id
EnrollmentName = Annotated[str, _text(f"^{_NAME.pattern}$", 27, says=_A_NAME)]
OrganizationalUnit = Annotated[  # AWS Organizations API reference, Parent
    str,
    _text(r"^(r-[0-9a-z]{4,32}|ou-[0-9a-z]{4,32}-[a-z0-9]{8,32})$", 68, says=_A_UNIT),
]
TagKey = Annotated[str, _text(TAG_VALUE, 128, says=_A_TAG)]
TagValue = Annotated[str, _text(TAG_VALUE, 256, 0)]
Bucket = Annotated[
    str,
    _text(r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$", 63, 3, says=_A_BUCKET),
    AfterValidator(_general_purpose),
]
Prefix = Annotated[str, _text(None, LONGEST_PREFIX, 0), AfterValidator(_no_pattern), AfterValidator(_directory)]
RoleName = Annotated[str, _text(r"^([A-Za-z0-9_+=,.@-]+/)*[A-Za-z0-9_+=,.@-]{1,64}$", 512, says=_A_ROLE)]
PrincipalName = Annotated[
    str,
    _text(
        r"^(role|user)/([A-Za-z0-9_+=,.@-]+/)*[A-Za-z0-9_+=,.@-]{1,64}$",
        512,
        says="a principal is named as role/PATH/NAME or user/PATH/NAME",
    ),
]
PermissionSet = Annotated[
    str, _text(r"^[A-Za-z0-9_+=,.@-]+$", 32, says="a permission set has letters, digits and _ + = , . @ -")
]
KmsKey = Annotated[
    str,
    BeforeValidator(_no_alias),
    _text(
        r"^arn:aws:kms:[a-z0-9-]+:[0-9]{12}:key/(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$",
        256,
        says=_A_KEY,
    ),
]
# of a compute quota or a scheduler config: anything but control characters (SageMaker API, EntityDescription)
Description = Annotated[str, _text(r"^\P{C}*$", 1024, 0, says="must have no control characters")]
Vpc = Annotated[str, _text(r"^vpc-[0-9a-f]{8,17}$", 21, says="a VPC has an id such as vpc-0123456789abcdef0")]
FileSystemId = Annotated[  # FSx API reference, FileSystemId
    str, _text(r"^fs-[0-9a-f]{8,18}$", 21, says="a file system has an id such as fs-0123456789abcdef0")
]
# a principal's ARN, or a subject of a ClusterRoleBinding: `User NAME`, a group by its name
Administrator = Annotated[str, _text(r"^[^\x00-\x1f]+$", 2048, says="must have no control characters")]
# whom the policies of a bucket and its keys let in, as doors into data name them
_ARN_IN_ONE_ACCOUNT = r"arn:[a-z-]+:[a-z0-9-]+:[^:\x00-\x1f]*:[a-z0-9-]+:[^\x00-\x1f]+"
OtherPrincipal = Annotated[
    str,
    _text(
        rf"^({_ARN_IN_ONE_ACCOUNT}|service:[a-z0-9.-]+|anybody with [^\x00-\x1f]+)$",
        2048,
        says="is a principal as `podshare access audit` shows it, such as arn:aws:iam::444444444444:root",
    ),
]
EksCluster = Annotated[
    str,
    _text(r"^[0-9A-Za-z][A-Za-z0-9_-]*$", 100, says=_AN_EKS_CLUSTER),
]
HyperPodCluster = Annotated[
    str,
    _text(
        r"^(arn:aws:sagemaker:[a-z0-9-]+:[0-9]{12}:cluster/[a-z0-9]{12}|[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62})$",
        256,
        says="a HyperPod cluster is named by its ARN, or by its name of letters, digits and hyphens",
    ),
]
KubernetesName = Annotated[
    str,
    _text(
        r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        63,
        says="a Kubernetes name has lowercase letters and digits, with hyphens and dots between them",
    ),
]
Owner = Annotated[str, _text(TAG_VALUE, 256), AfterValidator(_not_reserved)]
Reason = Annotated[str, _text(None, 1024)]
InstanceType = Annotated[
    str, _text(r"^ml\.[a-z0-9-]+\.[a-z0-9]+$", 64, says="an instance type is one such as ml.g5.12xlarge")
]
Amount = Annotated[int, BeforeValidator(_whole_number), Field(ge=0, le=10_000_000)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
Hash = Annotated[str, _text(r"^[0-9a-f]{12}$", 12, says="a hash has twelve digits, or letters from a to f")]
Quantity = Annotated[float, BeforeValidator(_number), Field(ge=0, le=10_000_000)]


class _Part(BaseModel):
    """What every part of a record has in common: unknown fields are errors, values do not change."""

    # most functions, most of the time, validate few of these: what is not used is not built at a cold start
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class _Record(_Part):
    schema_version: Annotated[Literal[1], BeforeValidator(_whole_number)] = Field(default=1, alias="schema")
    changed_by: Annotated[str, _text(None, 2048, 0)] | None = None


class PriorityClass(_Part):
    """A class that tasks may name, and how far ahead its weight puts them (SageMaker PriorityClass)."""

    name: Annotated[str, _text(f"^{_NAME.pattern}$", LONGEST_PRIORITY_CLASS, says=_A_NAME)]
    weight: Annotated[int, BeforeValidator(_whole_number), Field(ge=0, le=100)]


class Scheduler(_Part):
    """How a cluster's tasks are ordered and its idle compute is shared (SageMaker SchedulerConfig)."""

    description: Description = ""
    priority_classes: Annotated[tuple[PriorityClass, ...], Field(max_length=10)] = ()
    fair_share: bool = True
    idle_resource_sharing: bool = False

    @model_validator(mode="after")
    def _each_class_once(self) -> Self:
        _refuse_twice([one.name for one in self.priority_classes], "priority_classes")
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
    namespace_hardening: Annotated[Literal["off", "report", "enforce"], BeforeValidator(_off)] = "off"
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
            raise _wrong("is the network of access points, of which a dataset with data_role target has none", "vpc")
        return self

    @model_validator(mode="after")
    def _key_beside_the_bucket(self) -> Self:
        if self.kms_key and self.kms_key.split(":")[3:5] != [self.region, self.account]:
            rule = (
                f"must be a key of account {self.account} in {self.region}, as the bucket is: S3 encrypts by "
                "keys of its Region, and podshare may grant no other account's"
            )
            raise _wrong(rule, "kms_key")
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
    """Accounts of the organization, chosen anew at every reconciliation: those of a unit, or those with a tag."""

    organizational_unit: OrganizationalUnit | None = None
    account_tag: AccountTag | None = None
    exclude_accounts: Annotated[tuple[AccountId, ...], Field(max_length=MOST_MEMBERS)] = ()

    @model_validator(mode="after")
    def _one_selector(self) -> Self:
        if self.organizational_unit and self.account_tag:
            raise _wrong("excludes organizational_unit: one of them selects", "account_tag")
        return self

    @property
    def selector(self) -> str:
        """What selects, in words; empty where nothing does."""
        if self.organizational_unit:
            return f"organizational unit {self.organizational_unit}"
        return f"account tag {self.account_tag.key}={self.account_tag.value}" if self.account_tag else ""

    def selects(self, account: Account) -> bool:
        """Whether ``account`` is selected now; units below the named one count.

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
            raise _wrong("excludes existing_role: scientists work by one of them", "permission_set")
        if self.trusted_by is not None and (self.existing_role or self.permission_set):
            raise _wrong("says who may assume the role that podshare makes; this role is not podshare's", "trusted_by")
        if self.trusted_by is not None and not self.trusted_by:
            raise _wrong("is empty: nobody could assume the role; leave it out or name principals", "trusted_by")
        if self.existing_role and self.existing_role.startswith("aws-reserved/"):
            raise _wrong("a role of IAM Identity Center is named by its permission_set", "existing_role")
        if self.existing_role and self.existing_role.startswith("aws-service-role/"):
            raise _wrong("a service-linked role cannot assume other roles", "existing_role")
        return self

    @property
    def role(self) -> str:
        """What tells this role from an account's others; empty for the one that podshare makes."""
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
            raise _wrong("belongs to a selector; a single account is left out by its own line", "exclude_accounts")
        return self

    @property
    def identity(self) -> str:
        """What tells this line from the team's others: whose accounts, and the role in them."""
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
            raise _wrong("means whole instances and excludes accelerators, vcpu, memory_gib and partitions", "count")
        if self.accelerators is not None and self.accelerator_partition is not None:
            raise _wrong("excludes accelerators: one of them says how many", "accelerator_partition")
        return self


class Sharing(_Part):
    """How idle compute is lent and borrowed (SageMaker ResourceSharingConfig).

    ``borrow_limit`` is a percentage of the team's own guaranteed quota. The API's model takes 0 to 10,000, its
    documentation also says 1 to 500: what SageMaker itself refuses is told in the team's status.
    """

    strategy: Literal["Lend", "DontLend", "LendAndBorrow"]
    borrow_limit: Annotated[int, BeforeValidator(_whole_number), Field(ge=0, le=10_000)] | None = None
    absolute_borrow_limits: Annotated[tuple[QuotaResource, ...], Field(max_length=15)] = ()

    @model_validator(mode="after")
    def _only_borrowers_have_limits(self) -> Self:
        if self.strategy != "LendAndBorrow" and (self.borrow_limit is not None or self.absolute_borrow_limits):
            at = "absolute_borrow_limits" if self.borrow_limit is None else "borrow_limit"
            raise _wrong(f"a team with strategy {self.strategy} does not borrow: leave the borrow limits out", at)
        _one_line_per_instance_type(self.absolute_borrow_limits, "absolute_borrow_limits")
        return self


def _one_line_per_instance_type(resources: Iterable[QuotaResource], at: str) -> None:
    seen: set[tuple[str, str | None]] = set()
    for row, resource in enumerate(resources):
        partition = resource.accelerator_partition.type if resource.accelerator_partition else None
        if (resource.instance_type, partition) in seen:
            raise _wrong(f"names {resource.instance_type} twice: add the lines up", at, row)
        seen.add((resource.instance_type, partition))


class Quota(_Part):
    """A team's compute quota: all that SageMaker's CreateComputeQuota can express, at most 15 lines."""

    description: Description = ""
    resources: Annotated[tuple[QuotaResource, ...], Field(min_length=1, max_length=15)]
    fair_share_weight: Annotated[int, BeforeValidator(_whole_number), Field(ge=0, le=100)] = 0
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


def _one_or_several(given: object) -> str:
    return "<several>" if isinstance(given, list | tuple) else "<one>"


def _each_cluster_once(clusters: C) -> C:
    if isinstance(clusters, tuple):
        _refuse_twice([one.cluster for one in clusters])
        if not clusters:
            raise ValueError("is an empty list: a team works on at least one")
    return clusters


def _one_quota_for_each_cluster(quota: Q, info: ValidationInfo) -> Q:
    cluster = info.data.get("cluster")
    if isinstance(cluster, str) and quota is None:
        raise PydanticCustomError("missing", f"{MISSING}: a team needs quota.resources")
    if isinstance(cluster, tuple) and quota is not None:
        raise ValueError("stands beside each cluster where a team has several")
    return quota


_One = Annotated[RecordName, Tag("<one>")]
_Several = (Field(max_length=MOST_CLUSTERS), Tag("<several>"))
_OneOrSeveral = (Discriminator(_one_or_several), AfterValidator(_each_cluster_once))
Clusters = Annotated[_One | Annotated[tuple[ClusterQuota, ...], *_Several], *_OneOrSeveral]
ClusterTemplates = Annotated[_One | Annotated[tuple[ClusterQuotaTemplate, ...], *_Several], *_OneOrSeveral]


def _side_by_side(access: Access | tuple[Access, ...]) -> Access | tuple[Access, ...]:
    """What a list of kinds may say: each once, and ``none`` beside no other."""
    if isinstance(access, tuple):
        _refuse_twice(access)
        if not access:
            raise ValueError("is an empty list: `none` lets nobody in")
        if Access.NONE in access and len(access) > 1:
            raise ValueError("names none beside others: leave out the one or the others")
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
        """What tells this grant from the service account's others, in the words of its record."""
        return f"{self.dataset} at {self.prefix}" if self.prefix else self.dataset


class ServiceAccount(_Part):
    """A Kubernetes service account of the team's namespace and the data that its pods reach."""

    name: KubernetesName
    datasets: Annotated[tuple[DatasetGrant, ...], Field(max_length=50)] = ()

    @model_validator(mode="after")
    def _each_grant_once(self) -> Self:
        _refuse_twice([grant.identity for grant in self.datasets], "datasets")
        if self.name == "default":
            raise _wrong("every pod that names no service account runs as `default`: use a name of your own", "name")
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
        """What tells this grant from the team's others: its volume claim is named after the dataset."""
        return f"{self.dataset} on {self.cluster}" if self.cluster else self.dataset


def overlap(one: str, other: str) -> bool:
    """Whether one of two directories lies in the other, or is the same."""
    first, second = (f"{path.rstrip('/')}/" for path in (one, other))
    return first.startswith(second) or second.startswith(first)


# not only what Kubernetes takes: a wildcard is refused in words, by the rule
_ApiGroup = Annotated[str, _text(r"^[a-z0-9.*-]*$", 253, 0, says="an API group is one such as apps, or empty")]
_KubernetesResource = Annotated[
    str, _text(r"^[a-z0-9.*-]+(/[a-z0-9*-]+)?$", 253, says="a resource is one such as pods, or pods/log")
]
_Verb = Annotated[str, _text(r"^[A-Za-z*]+$", 63, says="a verb is one such as get")]
_ObjectName = Annotated[str, _text(r"^[A-Za-z0-9._:-]+$", 253, says="an object's name has letters, digits and . _ : -")]
KubernetesGroup = Annotated[  # <prefix>:<team>:<name>
    str,
    _text(
        r"^[a-z][a-z0-9]{1,7}:[a-z0-9-]{1,40}:[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$",
        90,
        says="a group is named as podshare:TEAM:NAME, in lowercase letters, digits and hyphens",
    ),
]


class RbacRule(_Part):
    """One rule of a Kubernetes Role (rbac.authorization.k8s.io/v1, PolicyRule), in the team's own namespace."""

    api_groups: Annotated[tuple[_ApiGroup, ...], Field(min_length=1, max_length=10)]
    resources: Annotated[tuple[_KubernetesResource, ...], Field(min_length=1, max_length=30)]
    verbs: Annotated[tuple[_Verb, ...], Field(min_length=1, max_length=8)]
    resource_names: Annotated[tuple[_ObjectName, ...], Field(max_length=30)] = ()

    @model_validator(mode="after")
    def _stays_in_the_namespace(self) -> Self:
        if why := rbac.refusal(self.api_groups, self.resources, self.verbs, self.resource_names):
            raise ValueError(why)
        return self


def as_rule(rule: RbacRule) -> KubernetesRule:
    """A rule of a record as it stands in a Role, in an order of its own."""
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

    ``cluster`` is the name of one, whose quota stands in ``quota``, or a list of several, each with its own. ``access``
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
        _refuse_twice(self.kubernetes_groups, "kubernetes_groups")
        _refuse_twice([line.group for line in self.rbac_lines], "rbac")
        if foreign := [group for group in self.kubernetes_groups if group.split(":")[1] != self.name]:
            raise _wrong(
                f"{', '.join(foreign)}: the groups of a team begin with podshare:{self.name}:", "kubernetes_groups"
            )
        if unknown := sorted({line.group for line in self.rbac_lines} - {*self.kubernetes_groups}):
            raise _wrong(f"names {', '.join(unknown)}, which kubernetes_groups does not: nobody is in it", "rbac")
        return self

    @model_validator(mode="after")
    def _everyone_once(self) -> Self:
        _refuse_twice([member.identity for member in self.members], "members")
        _refuse_twice([account.name for account in self.service_accounts], "service_accounts")
        return self

    @model_validator(mode="after")
    def _each_claim_on_one_cluster(self) -> Self:
        _refuse_twice([grant.identity for grant in self.file_systems], "file_systems")
        if isinstance(self.cluster, tuple) and any(grant.cluster is None for grant in self.file_systems):
            raise _wrong("names no cluster: a team of several says which each file system belongs to", "file_systems")
        if unknown := sorted({grant.cluster for grant in self.file_systems if grant.cluster} - self.quotas.keys()):
            raise _wrong(f"names {', '.join(unknown)}, on which the team has no quota", "file_systems")
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
            return {one.cluster: one.quota for one in self.cluster}
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

    ``${account.id}``, ``${account.name}`` and ``${account.tags.KEY}`` may stand in ``owner`` and ``reason``, which are
    for display: an account may rename itself. A tag alone may stand for a whole figure of ``quota``. Nothing else takes
    placeholders: what an account says of itself never decides which dataset, cluster or role it gets.
    """

    cluster: ClusterTemplates
    quota: Annotated[QuotaTemplate | None, Field(validate_default=True)] = None
    owner: Annotated[str, _text(None, 256)]
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
            raise ValueError("confirmed and losses go together")
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


Record = Cluster | Dataset | Team | Enrollment | Approval | Block | Pause
MODELS: Mapping[str, type[Record]] = {
    "cluster": Cluster,
    "dataset": Dataset,
    "team": Team,
    "enrollment": Enrollment,
    "approval": Approval,
    "block": Block,
    "pause": Pause,
}


def kind_and_name(record_id: str) -> tuple[str, str]:
    """Split ``team#vision`` in two. Raises InvalidRecord for an id of no known kind."""
    kind, _, name = record_id.partition("#")
    if kind not in MODELS or not name:
        kinds = ", ".join(f"{kind}#NAME" for kind in MODELS)
        likely = closest(kind, MODELS) if name else ""
        remedy = f"Did you mean {likely}#{name}?" if likely else f"Use one of {kinds}."
        raise InvalidRecord([Problem(record_id, "id", record_id, "is no record's id: it is KIND#NAME", remedy)])
    return kind, name


def is_name(name: object, longest: int = 63) -> bool:
    """Whether a record can have this name, a team's with ``longest`` 40; of any other there is nothing to look for."""
    return isinstance(name, str) and len(name) <= longest and bool(_NAME.fullmatch(name))


def block_of(account: str) -> str:
    """The id of the record by which an account is blocked."""
    return f"block#{account}"


def enrolled(team: str) -> tuple[str, str] | None:
    """The enrollment and the account that a team's name stands for; None for a team with a record of its own."""
    found = re.fullmatch(r"(.+)-([0-9]{12})", team)
    return (found[1], found[2]) if found else None


def clusters_of(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """The clusters that a team's record names, however wrong the rest of it is."""
    given = fields.get("cluster")
    named = [row.get("cluster") for row in given if isinstance(row, Mapping)] if isinstance(given, list) else [given]
    return tuple(dict.fromkeys(str(name) for name in named if is_name(name)))


def plain(value: Any, depth: int = 0) -> Any:
    """An item as DynamoDB returns it, with ordinary numbers and sorted sets: 2, 2.0 and Decimal('2.00') alike.

    What no item can hold, a number without end or a value below the deepest level, becomes what no field takes.
    """
    if depth > DEEPEST:
        return None
    match value:
        case Decimal() | int() if not isinstance(value, bool):
            return _number_or_text(value)
        case Mapping():
            return {str(key): plain(item, depth + 1) for key, item in value.items()}
        case set() | frozenset():
            return sorted((plain(item, depth + 1) for item in value), key=repr)  # binaries have no order of their own
        case list() | tuple():
            return [plain(item, depth + 1) for item in value]
        case _:
            return value


def _number_or_text(value: Decimal | int) -> int | float | str:
    if isinstance(value, int):  # Python spells no number of more than 4,300 digits
        return value if value.bit_length() <= _LONGEST_NUMBER else "a number of more than 126 digits"
    if not value.is_finite() or value.adjusted() > 125:  # DynamoDB quotas, numbers
        return str(value)
    return int(value) if value == value.to_integral_value() else float(value)


def parse(item: Mapping[str, Any], *, made_by_enrollment: bool = False) -> Record:
    """The record in a registry item (``id`` and its fields). Raises InvalidRecord with every problem found.

    ``made_by_enrollment``: the item was made from an enrollment, whose names no written record may have.
    """
    given = item.get("id", "")
    record_id = given if isinstance(given, str) else _shown(given)
    kind, name = kind_and_name(record_id)
    fields = {key: value for key, value in plain(item).items() if key not in ("id", "name")}
    problems = [*_misplaced_names(record_id, item, made_by_enrollment=made_by_enrollment)]
    try:
        record = MODELS[kind].model_validate({**fields, "name": name})
    except ValidationError as error:
        problems += _problems(record_id, MODELS[kind], error)
    if problems:
        raise InvalidRecord(problems)
    if (size := len(record.model_dump_json(by_alias=True).encode())) > MOST_BYTES:
        rule = f"has {size:,} bytes with all defaults written out, the limit is {MOST_BYTES:,}"
        raise InvalidRecord([Problem(record_id, "record", "too large", rule, "Split it.")])
    return record


def parse_team(item: Mapping[str, Any], *, made_by_enrollment: bool = False) -> Team:
    """The team in a registry item. Raises InvalidRecord, also for a record of another kind."""
    record = parse(item, made_by_enrollment=made_by_enrollment)
    if not isinstance(record, Team):
        raise InvalidRecord([Problem(str(item["id"]), "id", str(item["id"]), "is not a team", "Use team#<name>.")])
    return record


def understood(part: type[P], row: object) -> P | None:
    """The part of a record in ``row``, its unknown fields left out; None where the rest breaks a rule."""
    if not isinstance(row, Mapping):
        return None
    known = {field.alias or name for name, field in part.model_fields.items()}
    try:
        return part.model_validate({name: value for name, value in row.items() if name in known})
    except ValidationError:
        return None


def _misplaced_names(record_id: str, item: Mapping[str, Any], *, made_by_enrollment: bool) -> Iterable[Problem]:
    kind, name = kind_and_name(record_id)
    if "name" in item:
        yield Problem(record_id, "name", _shown(plain(item["name"])), "the name stands in the id", "Remove it.")
    if kind == "team" and enrolled(name) and not made_by_enrollment:
        rule = "names that end in an account's id are for the teams that enrollments make"
        yield Problem(record_id, "id", record_id, rule, "Choose another name.")


def _problems(record_id: str, model: type[Record], error: ValidationError) -> Iterable[Problem]:
    for fault in faults(model, error, _PATTERNS):
        at, value = (fault.field, fault.value) if fault.path != ("name",) else ("id", record_id)
        yield Problem(record_id, at, value, fault.rule, fault.remedy)


def _shown(value: object) -> str:
    return ascii(value)
