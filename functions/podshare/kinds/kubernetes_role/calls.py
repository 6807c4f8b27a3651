"""Roles in a team's namespace: what the team's Kubernetes groups may do there.

The API server lets podshare write a Role that gives more than podshare itself has, because its ClusterRole has
``escalate``; the admission policies in accounts/cluster-rbac.yaml say which, and where.
"""

from podshare.kinds.kubernetes_object import READS, WRITES, create, delete, read, update

__all__ = ["READS", "WRITES", "create", "delete", "read", "update"]
