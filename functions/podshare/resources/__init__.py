"""One module per kind of thing that podshare owns, each with read, create, update, delete and its permissions."""

from collections.abc import Mapping
from typing import Protocol

from podshare.domain.kinds import Key, Kind, Resource
from podshare.domain.plan import Foreign
from podshare.resources import (
    access_entry,
    access_point,
    bucket_delegation,
    cluster_scheduler_config,
    compute_quota,
    data_repository_association,
    file_system_delegation,
    foreign_subjects,
    kms_grant,
    kubernetes_role,
    kubernetes_role_binding,
    namespace,
    persistent_volume,
    persistent_volume_claim,
    pod_identity_association,
    role,
    role_attachment,
    service_account,
)
from podshare.resources.context import Context


class KindModule(Protocol):
    """What a kind's module offers. All four are safe to repeat at any time.

    ``read`` tells what is there, in the shape of desired; ``wanted`` only tells which of the fields that AWS fills
    in by itself are podshare's to compare. ``READS`` and ``WRITES`` are the IAM actions that they call.
    """

    READS: frozenset[str]
    WRITES: frozenset[str]

    # positional-only, so that each module may name and narrow its own shape
    def read(self, context: Context, key: Key, wanted: Resource | None, /) -> Resource | Foreign | None: ...
    def create(self, context: Context, wanted: Resource, /) -> None: ...
    def update(self, context: Context, observed: Resource, wanted: Resource, /) -> None: ...
    def delete(self, context: Context, observed: Resource, /) -> None: ...


KINDS: Mapping[Kind, KindModule] = {
    Kind.COMPUTE_QUOTA: compute_quota,
    Kind.CLUSTER_SCHEDULER_CONFIG: cluster_scheduler_config,
    Kind.ROLE: role,
    Kind.ROLE_ATTACHMENT: role_attachment,
    Kind.ACCESS_ENTRY: access_entry,
    Kind.NAMESPACE: namespace,
    Kind.SERVICE_ACCOUNT: service_account,
    Kind.KUBERNETES_ROLE: kubernetes_role,
    Kind.KUBERNETES_ROLE_BINDING: kubernetes_role_binding,
    Kind.POD_IDENTITY_ASSOCIATION: pod_identity_association,
    Kind.ACCESS_POINT: access_point,
    Kind.BUCKET_DELEGATION: bucket_delegation,
    Kind.KMS_GRANT: kms_grant,
    Kind.FILE_SYSTEM_DELEGATION: file_system_delegation,
    Kind.DATA_REPOSITORY_ASSOCIATION: data_repository_association,
    Kind.PERSISTENT_VOLUME: persistent_volume,
    Kind.PERSISTENT_VOLUME_CLAIM: persistent_volume_claim,
    Kind.FOREIGN_SUBJECTS: foreign_subjects,
}
