"""Volumes that mount a team's directory of a file system, each for one claim."""

from podshare.kinds.kubernetes_object import READS, WRITES, create, read
from podshare.kinds.volumes import delete, update

__all__ = ["READS", "WRITES", "create", "delete", "read", "update"]
