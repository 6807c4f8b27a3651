"""Kubernetes service accounts in a team's namespace."""

from podshare.domain.kinds import Key, Resource, ServiceAccount
from podshare.domain.plan import Foreign
from podshare.resources.context import Context
from podshare.resources.kubernetes_object import READS, WRITES, common_to, create, delete, owned, update

__all__ = ["READS", "WRITES", "create", "delete", "read", "update"]


def read(context: Context, key: Key, wanted: Resource | None) -> ServiceAccount | Foreign | None:
    """The service account and its labels."""
    found = owned(context, key)
    return ServiceAccount(key=key, **common_to(found)) if isinstance(found, dict) else found
