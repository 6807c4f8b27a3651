"""One module per kind of thing that podshare owns, each with read, create, update, delete and its permissions."""

from collections.abc import Mapping
from typing import Protocol

from podshare.kinds.access_entry import calls as access_entry
from podshare.kinds.access_point import calls as access_point
from podshare.kinds.bucket_delegation import calls as bucket_delegation
from podshare.kinds.cluster_scheduler_config import calls as cluster_scheduler_config
from podshare.kinds.compute_quota import calls as compute_quota
from podshare.kinds.context import Context
from podshare.kinds.data_repository_association import calls as data_repository_association
from podshare.kinds.file_system_delegation import calls as file_system_delegation
from podshare.kinds.foreign_subjects import calls as foreign_subjects
from podshare.kinds.kms_grant import calls as kms_grant
from podshare.kinds.kubernetes_role import calls as kubernetes_role
from podshare.kinds.kubernetes_role_binding import calls as kubernetes_role_binding
from podshare.kinds.namespace import calls as namespace
from podshare.kinds.observation import Foreign
from podshare.kinds.persistent_volume import calls as persistent_volume
from podshare.kinds.persistent_volume_claim import calls as persistent_volume_claim
from podshare.kinds.pod_identity_association import calls as pod_identity_association
from podshare.kinds.role import calls as role
from podshare.kinds.role_attachment import calls as role_attachment
from podshare.kinds.service_account import calls as service_account
from podshare.kinds.shapes import Key, Kind, Resource


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
