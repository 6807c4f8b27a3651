"""What a service account's grants of a dataset give, in the terms of S3 and KMS: for roles, access points and keys."""

from collections.abc import Iterable, Iterator, Mapping

from podshare.kinds import names
from podshare.kinds.base import Key, Kind
from podshare.kinds.team_on_cluster import TeamOnCluster
from podshare.policy import policies
from podshare.registry.records import Dataset, DatasetAccess, DatasetGrant

Users = Mapping[str, list[DatasetGrant]]  # of one dataset, by service account


def statements(
    on: TeamOnCluster, dataset: Dataset, grants: Iterable[DatasetGrant], sid: str, principal: str | None = None
) -> Iterator[policies.Statement]:
    """What a service account's grants of a dataset give together; a grant that ends keeps nothing of the others."""
    granted = [(grant.prefix or dataset.prefix, grant.access is DatasetAccess.READ_WRITE) for grant in grants]
    point, bucket = access_point_arn(on, dataset), on.installation.bucket_arn(dataset.bucket)
    return policies.data_statements(
        *((bucket, bucket) if dataset.data_role == "target" else (point, f"{point}/object")),
        reads=[prefix for prefix, _ in granted],
        writes=[prefix for prefix, writes in granted if writes],
        sid=sid,
        principal=principal,
        organization=on.installation.organization if principal else None,
    )


def keys_of(dataset: Dataset) -> tuple[str, ...]:
    """The KMS key that encrypts the dataset, if its record names one."""
    return (dataset.kms_key,) if dataset.kms_key else ()


def key_operations(grants: Iterable[DatasetGrant]) -> tuple[str, ...]:
    """What S3 asks of KMS for a reader, and for a writer, whose multipart uploads are read too (S3 API reference)."""
    writes = any(grant.access is DatasetAccess.READ_WRITE for grant in grants)
    return ("Decrypt", "GenerateDataKey") if writes else ("Decrypt",)


def access_point_name(on: TeamOnCluster, dataset: Dataset) -> str:
    """The name of the team's access point for the dataset."""
    place = f"{dataset.account}/{dataset.region}"
    return names.access_point(on.installation, on.team.name, on.eks_arn, place, dataset.name)


def access_point_key(on: TeamOnCluster, dataset: Dataset) -> Key:
    """The key of the team's access point for the dataset."""
    return Key(Kind.ACCESS_POINT, dataset.account, dataset.region, "", access_point_name(on, dataset))


def access_point_arn(on: TeamOnCluster, dataset: Dataset) -> str:
    """The ARN of the team's access point for the dataset."""
    return on.installation.access_point_arn(dataset.account, dataset.region, access_point_name(on, dataset))
