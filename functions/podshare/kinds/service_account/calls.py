"""Kubernetes service accounts in a team's namespace."""

from podshare.kinds.base import Key, Resource
from podshare.kinds.context import Context
from podshare.kinds.kubernetes_object import READS, WRITES, base_fields, create, delete, owned, update
from podshare.kinds.observation import Foreign
from podshare.kinds.service_account.shape import ServiceAccount

__all__ = ["READS", "WRITES", "create", "delete", "read", "update"]


def read(context: Context, key: Key, wanted: Resource | None) -> ServiceAccount | Foreign | None:
    """The service account and its labels."""
    found = owned(context, key)
    return ServiceAccount(key=key, **base_fields(found)) if isinstance(found, dict) else found
