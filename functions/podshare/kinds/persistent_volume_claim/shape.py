"""A team's claims to volumes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from podshare.kinds.base import ExecutionRole, Manifest, Resource, Stage
from podshare.kinds.manifests import gib_of, is_leaving, object_of, storage_of

_WRITTEN = ("accessModes", "storageClassName", "volumeMode", "volumeName")  # as with volumes


@dataclass(frozen=True, kw_only=True)
class PersistentVolumeClaim(Resource):
    """The team's claim to a volume (labels are in ``tags``), which Kubernetes lets nobody change; as a volume's."""

    execution_role = ExecutionRole.KUBERNETES
    revoke_stage = remove_stage = Stage.DATA_ACCESS
    gives = False  # the volume says which claim may have it
    object_kind = "PersistentVolumeClaim"

    spec: Mapping[str, Any]
    capacity_gib: int = field(compare=False)
    usable: bool = True

    @classmethod
    def of_object(cls, manifest: Mapping[str, Any], **fields: Any) -> Self:
        requests = manifest["spec"].get("resources", {}).get("requests", {})
        spec = {name: value for name, value in manifest["spec"].items() if name in _WRITTEN}
        usable = not is_leaving(manifest) and (manifest.get("status") or {}).get("phase") != "Lost"
        return cls(**fields, spec=spec, capacity_gib=gib_of(requests), usable=usable)

    def intersection(self, desired: Self) -> Self | None:
        return self if self.usable and self.spec == desired.spec else None

    def manifest(self) -> Manifest:
        spec = {**self.spec, "resources": {"requests": storage_of(self.capacity_gib)}}
        return {**object_of("v1", self), "spec": spec}
