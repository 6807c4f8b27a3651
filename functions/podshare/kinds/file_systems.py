"""Data through file systems: what links a dataset to a directory of FSx for Lustre, and the directory to a team's pods.

A directory of the file system is linked to a prefix of a bucket; a volume mounts that directory alone, and is for one
claim in the team's namespace. The file system itself is somebody else's, and so is all else that is in it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from podshare.kinds import names
from podshare.kinds.base import Key, Kind, Resource
from podshare.kinds.data_repository_association.shape import DataRepositoryAssociation
from podshare.kinds.facts import ClusterFacts, FileSystemFacts
from podshare.kinds.file_system_delegation.shape import FileSystemDelegation
from podshare.kinds.persistent_volume.shape import PersistentVolume
from podshare.kinds.persistent_volume_claim.shape import PersistentVolumeClaim
from podshare.kinds.team_on_cluster import TeamOnCluster
from podshare.registry.records import Dataset, DatasetAccess, FileSystemGrant

CSI_DRIVER = "fsx.csi.aws.com"
EVENTS = frozenset({"NEW", "CHANGED", "DELETED"})  # FSx API reference, AutoImportPolicy and AutoExportPolicy


def refusal(grant: FileSystemGrant, dataset: Dataset, cluster: ClusterFacts) -> tuple[str, str] | None:
    """Why a dataset cannot be had through a file system of a cluster, with a remedy; None if it can."""
    if dataset.region != cluster.region:
        reason = f"dataset {dataset.name} is in {dataset.region}, {grant.file_system} in {cluster.region}"
        return f"{reason}: Amazon FSx imports changes within a Region only", "Use a copy in the cluster's Region."
    if dataset.kms_key:
        reason = f"dataset {dataset.name} is encrypted with a KMS key, and podshare grants keys only to its own roles"
        return reason, "Let the pods use its access point (service_accounts), or encrypt a copy by SSE-S3."
    if dataset.data_role == "target":
        reason = f"dataset {dataset.name} has data_role target: its owner wants the bucket policy unchanged"
        return reason, "Let the pods use its target role (service_accounts), or give it data_role access_point."
    if dataset.vpc:
        reason = f"dataset {dataset.name} is accessible from {dataset.vpc} only, and Amazon FSx uses its own network"
        return reason, "Let the pods use its access point (service_accounts), or take vpc out of the dataset's record."
    return None


def links(on: TeamOnCluster) -> Iterator[Resource]:
    """What the grants ask for; of a file system that is not known yet nothing."""
    known = {facts.file_system: facts for facts in on.cluster.file_systems}
    for grant in on.team.file_systems_on(on.cluster.name):
        dataset, facts = on.datasets.get(grant.dataset), known.get(grant.file_system)
        if dataset and facts and dataset.holds(grant.prefix) and not refusal(grant, dataset, on.cluster):
            delegation = _delegation(on, grant, dataset)
            association = _association(on, grant, dataset, delegation)
            volume = _volume(on, grant, facts, association)
            yield from (delegation, association, volume, _claim(on, volume))


def _delegation(on: TeamOnCluster, grant: FileSystemGrant, dataset: Dataset) -> FileSystemDelegation:
    name = f"{on.team.name}/{dataset.name}/{grant.file_system}"
    return FileSystemDelegation(
        key=Key(Kind.FILE_SYSTEM_DELEGATION, dataset.account, dataset.region, dataset.bucket, name),
        why=f"dataset {dataset.name} in file system {grant.file_system}",
        account=on.cluster.account,
        file_system=grant.file_system,
        prefix=grant.prefix or dataset.prefix,
        write=_writes(grant),
    )


def _association(
    on: TeamOnCluster, grant: FileSystemGrant, dataset: Dataset, delegation: FileSystemDelegation
) -> DataRepositoryAssociation:
    path = names.file_system_path(on.installation, on.team.name, dataset.name)
    cluster = on.cluster
    return DataRepositoryAssociation(
        key=Key(Kind.DATA_REPOSITORY_ASSOCIATION, cluster.account, cluster.region, grant.file_system, path),
        tags=on.tags(dataset=dataset.name),
        why=delegation.why,
        needs=frozenset({delegation.key}),
        repository=f"s3://{dataset.bucket}/{delegation.prefix}",
        imports=EVENTS,
        exports=EVENTS if _writes(grant) else frozenset(),
    )


def _volume(
    on: TeamOnCluster, grant: FileSystemGrant, facts: FileSystemFacts, association: DataRepositoryAssociation
) -> PersistentVolume:
    name = names.persistent_volume(on.installation, on.team.name, on.eks_arn, grant.dataset)
    claim = {"namespace": on.team.namespace, "name": grant.dataset}
    return PersistentVolume(
        key=on.key(Kind.PERSISTENT_VOLUME, name),
        tags=on.labels,
        why=association.why,
        needs=frozenset({association.key}),
        spec=_volume_spec(facts, association.key.name, claim, read_only=not _writes(grant)),
        capacity_gib=facts.capacity_gib,
    )


def _claim(on: TeamOnCluster, volume: PersistentVolume) -> PersistentVolumeClaim:
    shared = {name: volume.spec[name] for name in ("accessModes", "volumeMode")}
    return PersistentVolumeClaim(
        key=on.key(Kind.PERSISTENT_VOLUME_CLAIM, volume.claim),
        tags=on.labels,
        why=volume.why,
        needs=frozenset({volume.key}),
        spec={**shared, "storageClassName": "", "volumeName": volume.key.name},  # of no class: none is provisioned
        capacity_gib=volume.capacity_gib,
    )


def _volume_spec(facts: FileSystemFacts, path: str, claim: Mapping[str, str], *, read_only: bool) -> Mapping[str, Any]:
    """A directory of a file system (AWS FSx CSI driver, "Static provisioning"), for one claim and no other.

    The driver mounts ``<dnsname>@tcp:/<mountname>``, which may go on to a directory (FSx for Lustre user guide,
    "Mounting specific filesets"). The handle only has to be unique: kubelet takes two volumes with one handle for the
    same. A driver does not get a volume's readOnly, but its mount options. What is empty or false the API leaves
    out.
    """
    directory = path.rstrip("/")
    return {
        "accessModes": ["ReadOnlyMany" if read_only else "ReadWriteMany"],
        "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **claim},
        "csi": {
            "driver": CSI_DRIVER,
            "volumeHandle": f"{facts.file_system}{directory}",
            **({"readOnly": True} if read_only else {}),
            "volumeAttributes": {"dnsname": facts.dns_name, "mountname": f"{facts.mount_name}{directory}"},
        },
        "mountOptions": [*(["ro"] if read_only else []), "flock"],
        "persistentVolumeReclaimPolicy": "Retain",
        "volumeMode": "Filesystem",
    }


def _writes(grant: FileSystemGrant) -> bool:
    return grant.access is DatasetAccess.READ_WRITE
