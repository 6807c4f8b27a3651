"""Claims in a team's namespace to the volumes that mount the team's directories."""

from podshare.aws.errors import Pending, Waiting
from podshare.kinds import kubernetes_object, volumes
from podshare.kinds.base import Key, Resource
from podshare.kinds.context import Context
from podshare.kinds.kubernetes_object import READS, WRITES, base_fields, owned
from podshare.kinds.observation import Foreign
from podshare.kinds.persistent_volume_claim.shape import PersistentVolumeClaim
from podshare.kinds.volumes import delete, is_leaving, storage

__all__ = ["READS", "WRITES", "create", "delete", "read", "update"]

_WRITTEN = ("accessModes", "storageClassName", "volumeMode", "volumeName")  # as with volumes


def read(context: Context, key: Key, wanted: Resource | None) -> PersistentVolumeClaim | Foreign | None:
    """The claim; one that has lost its volume is of no use."""
    found = owned(context, key)
    if not isinstance(found, dict):
        return found
    return PersistentVolumeClaim(
        key=key,
        **base_fields(found),
        capacity_gib=storage(found["spec"].get("resources", {}).get("requests", {})),
        spec={name: value for name, value in found["spec"].items() if name in _WRITTEN},
        usable=not is_leaving(found) and (found.get("status") or {}).get("phase") != "Lost",
    )


def create(context: Context, wanted: Resource) -> None:
    """Apply the claim. Raises Waiting while there is no namespace: its quota may never come."""
    try:
        kubernetes_object.create(context, wanted)
    except Pending as pending:
        raise Waiting(str(pending)) from pending


def update(context: Context, observed: Resource, wanted: Resource) -> None:
    """Apply it again. Raises Waiting for one that has to go first."""
    volumes.update(context, observed, wanted)
