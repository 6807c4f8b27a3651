"""Volumes that mount a team's directory of a file system, each for one claim."""

from podshare.kinds.base import Key, Resource
from podshare.kinds.context import Context
from podshare.kinds.kubernetes_object import READS, WRITES, base_fields, create, owned
from podshare.kinds.observation import Foreign
from podshare.kinds.persistent_volume.shape import PersistentVolume
from podshare.kinds.volumes import delete, is_leaving, storage, update

__all__ = ["READS", "WRITES", "create", "delete", "read", "update"]

# of all that Kubernetes reports a volume, for some of which it has defaults
_WRITTEN = ("accessModes", "claimRef", "csi", "mountOptions", "persistentVolumeReclaimPolicy", "volumeMode")
_LEFT_OVER = ("Released", "Failed")  # its claim was deleted, and no other can be bound to it
_BOUND = ("resourceVersion", "uid")  # what Kubernetes writes into claimRef when it binds the claim


def read(context: Context, key: Key, wanted: Resource | None) -> PersistentVolume | Foreign | None:
    """The volume, whatever it mounts."""
    found = owned(context, key)
    if not isinstance(found, dict):
        return found
    spec = {name: value for name, value in found["spec"].items() if name in _WRITTEN}
    if claim := spec.get("claimRef"):
        spec["claimRef"] = {name: value for name, value in claim.items() if name not in _BOUND}
    return PersistentVolume(
        key=key,
        **base_fields(found),
        capacity_gib=storage(found["spec"].get("capacity", {})),
        spec=spec,
        usable=not is_leaving(found) and (found.get("status") or {}).get("phase") not in _LEFT_OVER,
    )
