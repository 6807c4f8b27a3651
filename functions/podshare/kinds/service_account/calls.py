"""Kubernetes service accounts in a team's namespace."""

from podshare.kinds.kubernetes_object import READS, WRITES, create, delete, read, update

__all__ = ["READS", "WRITES", "create", "delete", "read", "update"]
