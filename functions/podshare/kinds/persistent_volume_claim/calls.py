"""Claims in a team's namespace to the volumes that mount the team's directories."""

from podshare.aws.errors import Pending, Waiting
from podshare.kinds import kubernetes_object, volumes
from podshare.kinds.base import Resource
from podshare.kinds.context import Context
from podshare.kinds.kubernetes_object import READS, WRITES, read
from podshare.kinds.volumes import delete

__all__ = ["READS", "WRITES", "create", "delete", "read", "update"]


def create(context: Context, wanted: Resource) -> None:
    """Apply the claim. Raises Waiting while there is no namespace: its quota may never come."""
    try:
        kubernetes_object.create(context, wanted)
    except Pending as pending:
        raise Waiting(str(pending)) from pending


def update(context: Context, observed: Resource, wanted: Resource) -> None:
    """Apply it again. Raises Waiting for one that has to go first."""
    volumes.update(context, observed, wanted)
