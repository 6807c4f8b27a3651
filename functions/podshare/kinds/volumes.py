"""What volumes and claims have in common: what is in use goes last, and its source is never changed.

A claim goes once no pod uses it, and a volume once no claim is bound to it (Kubernetes, "Persistent Volumes", storage
object in use protection).
"""

from podshare.aws.errors import Waiting
from podshare.kinds import kubernetes_object
from podshare.kinds.base import Resource
from podshare.kinds.context import Context
from podshare.kinds.manifests import is_leaving


def update(context: Context, observed: Resource, wanted: Resource) -> None:
    """Apply it again. Raises Waiting for one that has to go before it is created again."""
    if observed.intersection(wanted) is None:
        raise Waiting(f"{_called(observed)} is in use; podshare creates it again once it is deleted")
    kubernetes_object.create(context, wanted)


def delete(context: Context, observed: Resource) -> None:
    """Delete it. Raises Waiting while it is in use, which is no access any more to what was linked."""
    manifest = kubernetes_object.owned(context, observed.key)
    if isinstance(manifest, dict) and is_leaving(manifest):
        raise Waiting(f"{_called(observed)} goes once nothing uses it any more")
    kubernetes_object.delete(context, observed)


def _called(resource: Resource) -> str:
    return f"{resource.key.kind.replace('_', ' ')} {resource.key.name}"
