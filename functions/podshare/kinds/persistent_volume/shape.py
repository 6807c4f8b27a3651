"""Directories of a file system as volumes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from podshare.kinds.base import ExecutionRole, Manifest, Resource, Stage
from podshare.kinds.manifests import gib_of, is_leaving, object_of, storage_of

# of all that Kubernetes reports a volume, for some of which it has defaults
_WRITTEN = ("accessModes", "claimRef", "csi", "mountOptions", "persistentVolumeReclaimPolicy", "volumeMode")
_LEFT_OVER = ("Released", "Failed")  # its claim was deleted, and no other can be bound to it
_BOUND = ("resourceVersion", "uid")  # what Kubernetes writes into claimRef when it binds the claim


@dataclass(frozen=True, kw_only=True)
class PersistentVolume(Resource):
    """A directory of a file system as a volume for one claim (labels are in ``tags``).

    ``spec`` is in the terms of Kubernetes, without the capacity, which a file system only gains. ``usable`` says that
    the volume is neither on its way out nor left over from a claim that was deleted.
    """

    execution_role = ExecutionRole.KUBERNETES
    revoke_stage = remove_stage = Stage.CACHED_DATA
    gives = True
    object_kind = "PersistentVolume"

    spec: Mapping[str, Any]
    capacity_gib: int = field(compare=False)
    usable: bool = True

    @classmethod
    def of_object(cls, manifest: Mapping[str, Any], **fields: Any) -> Self:
        spec = {name: value for name, value in manifest["spec"].items() if name in _WRITTEN}
        if claim := spec.get("claimRef"):
            spec["claimRef"] = {name: value for name, value in claim.items() if name not in _BOUND}
        usable = not is_leaving(manifest) and (manifest.get("status") or {}).get("phase") not in _LEFT_OVER
        return cls(**fields, spec=spec, capacity_gib=gib_of(manifest["spec"].get("capacity", {})), usable=usable)

    @property
    def claim(self) -> str:
        """The claim that it is for: namespace and name."""
        reference = self.spec.get("claimRef", {})
        return f"{reference.get('namespace', '')}/{reference.get('name', '')}"

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

    def intersection(self, desired: Self) -> Self | None:
        fixed = ("accessModes", "claimRef", "csi", "volumeMode")  # of which the first two are a claim's, too
        kept = self.usable and all(self.spec.get(name) == desired.spec.get(name) for name in fixed)
        return replace(self, spec=desired.spec) if kept else None

    def manifest(self) -> Manifest:
        return {**object_of("v1", self), "spec": {**self.spec, "capacity": storage_of(self.capacity_gib)}}
