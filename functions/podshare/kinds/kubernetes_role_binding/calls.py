"""Bindings of Roles in a team's namespace to the team's Kubernetes groups."""

from podshare.kinds.kubernetes_object import READS, WRITES, create, delete, read, update

__all__ = ["READS", "WRITES", "create", "delete", "read", "update"]
