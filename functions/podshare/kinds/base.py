"""What the shapes of all kinds have in common: one class per kind, equal when nothing needs to change.

``desired`` makes these shapes from records, each kind's ``read`` from what AWS and Kubernetes say; a plan is
the difference. ``intersection`` says what a shape and the desired one both give, which a restriction writes first:
None where the resource cannot be restricted in place and has to be created again.
"""

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import IntEnum, StrEnum
from typing import Any, ClassVar, Self

from podshare.installation import Installation
from podshare.policy import policies
from podshare.policy.rbac import KubernetesRule

Manifest = dict[str, Any]  # an object as Kubernetes takes it


class Kind(StrEnum):
    """The kinds of resources that podshare provisions."""

    COMPUTE_QUOTA = "compute_quota"
    CLUSTER_SCHEDULER_CONFIG = "cluster_scheduler_config"
    ROLE = "role"
    ROLE_ATTACHMENT = "role_attachment"
    SSM_PARAMETER = "ssm_parameter"
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


class ExecutionRole(StrEnum):
    """The kinds of work, each with a function and a role of its own."""

    IDENTITY = "identity"
    CLUSTER = "cluster"
    DATA = "data"
    KUBERNETES = "kubernetes"


class Stage(IntEnum):
    """The order of a revocation: what ends access soonest comes first, running work last."""

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
    """What identifies a resource: its kind, where it is, and its name there.

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
    """One resource that podshare owns.

    ``why`` names for an auditor what wants it, ``needs`` what must be there before it, ``mentions`` whose identity it
    contains: it is written after these, but needs none. ``cluster`` says for which of the team's clusters alone it is,
    empty where for all, ``identity`` what AWS or Kubernetes calls this very resource and no other that takes its name
    later; none of them is part of what is compared.
    """

    key: Key
    tags: Mapping[str, str] = field(default_factory=dict)
    why: str = field(default="", compare=False)
    needs: frozenset[Key] = field(default=frozenset(), compare=False)
    mentions: frozenset[Key] = field(default=frozenset(), compare=False)
    cluster: str = field(default="", compare=False)
    identity: str = field(default="", compare=False)

    execution_role: ClassVar[ExecutionRole]
    revoke_stage: ClassVar[Stage]
    remove_stage: ClassVar[Stage]
    unwanted: ClassVar[str] = "no longer desired"  # why it is deleted where nothing asks for it
    gives: ClassVar[bool]  # whether it gives something by itself: then effective access says what
    is_access: ClassVar[bool] = False  # whether somebody who loses it for good has lost access
    in_bucket: ClassVar[bool] = False  # whether it waits for what keeps podshare from writing a bucket's policy
    in_namespace: ClassVar[bool] = False  # whether it is there when the team has its namespace, before anybody gets in
    in_turn: ClassVar[bool] = False  # whether those of one container are changed one after the other
    object_kind: ClassVar[str] = ""  # what Kubernetes calls it; empty for what is no object of a cluster
    reported_by: ClassVar[frozenset[str]] = frozenset()  # calls of others that accounts/drift.yaml tells the hub of

    def facts(self) -> dict[str, Any]:
        """What is compared, by field, in plain JSON."""
        compared = [item.name for item in fields(self) if item.compare and item.name != "key"]
        return {name: _plain(getattr(self, name)) for name in compared}

    def intersection(self, desired: Self) -> Self | None:
        """What this, as observed, and ``desired`` both give. None if it has to be created again."""
        return self if same(self, desired) else None

    def revoked(self) -> Self | None:
        """This without the access that it gives; None where only its deletion revokes that."""
        return None

    def manifest(self) -> Manifest:
        """The object that it is in the cluster. Raises TypeError if it is none."""
        raise TypeError(f"{self.key} is no object of Kubernetes")

    @classmethod
    def of_object(cls, manifest: Mapping[str, Any], **fields: Any) -> Self:
        """The reverse of ``manifest``: an object as Kubernetes has it; ``fields`` are the fields of all objects."""
        return cls(**fields)

    @classmethod
    def deletion(cls, key: Key) -> str:
        """The command by which a person deletes it, in its account."""
        if cls.object_kind:
            return f"kubectl delete {cls.object_kind.lower()} {_kubectl_arguments(key)}"
        return f"delete {key.kind.replace('_', ' ')} {key.name} in {key.container}"

    @classmethod
    def marking(cls, installation: Installation, key: Key, marks: Mapping[str, str]) -> str:
        """The command that gives it tags or labels; empty for kinds that have none, or whose ARN is a random id."""
        if cls.object_kind:
            pairs = " ".join(f"{name}={shlex.quote(value)}" for name, value in sorted(marks.items()))
            return f"kubectl label {cls.object_kind.lower()} {_kubectl_arguments(key)} {pairs}"
        return ""


def _kubectl_arguments(key: Key) -> str:
    namespace, _, name = key.name.rpartition("/")
    return f"{name} -n {namespace}" if namespace else name


def calls_of(service: str, names: str) -> frozenset[str]:
    """Calls as CloudTrail names them, each with its service."""
    return frozenset(f"{service}:{name}" for name in names.split())


def listed(marks: Mapping[str, str]) -> str:
    """Tags as the AWS CLI takes a list of them."""
    return " ".join(f"Key={name},Value={value}" for name, value in sorted(marks.items()))


def same(left: Resource | None, right: Resource | None) -> bool:
    """Whether two shapes need no change to become each other; compared by meaning, not by spelling."""
    if left is None or right is None:
        return left is right
    return left.facts() == right.facts()


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
