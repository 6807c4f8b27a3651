"""ResourceQuotas of object counts: how many objects of a kind a namespace has, and that it may have no more.

Kubernetes documentation, "Resource Quotas" (Quota on object count): ``count/<resource>.<group>``, ``count/<resource>``
for the core group, custom resources too. The controller counts what can be created, listed, watched and deleted, but
for events (``DefaultIgnoredResources``). Quotas of compute and storage are kept and not enforced.
"""

from collections.abc import Callable
from typing import Any

from podshare_sandbox.services.kubernetes import errors
from podshare_sandbox.services.kubernetes.admission_request import AdmissionRequest
from podshare_sandbox.services.kubernetes.resources import BY_KIND, Resource
from podshare_sandbox.services.kubernetes.store import Store

Object = dict[str, Any]

QUOTA = BY_KIND["ResourceQuota"]
_COUNTED = {"create", "list", "watch", "delete"}


def settle(store: Store) -> None:
    """Count the objects that quotas ask for, as the controller does some moments after each change."""
    for quota in store.of(QUOTA):
        hard = (quota.get("spec") or {}).get("hard") or {}
        used = {key: str(len(store.of(found, quota["metadata"]["namespace"]))) for key in hard if (found := _of(key))}
        status = {"hard": {key: str(value) for key, value in hard.items()}, "used": used}
        if quota.get("status") != status:
            store.put(QUOTA, {**quota, "status": status})


def admit(view: Callable[[str, str], list[Object]], request: AdmissionRequest) -> None:
    """Raise 403 for an object that a quota leaves no room for (admission plugin ResourceQuota).

    ``view`` is the API's, of all objects of a kind in a namespace.
    """
    key = f"count/{request.resource.qualified}"
    for quota in view(QUOTA.kind, request.namespace) if request.namespace else ():
        status = quota.get("status") or {}
        limit, used = status.get("hard", {}).get(key), status.get("used", {}).get(key)
        if request.operation == "CREATE" and used is not None and int(used) >= int(limit):
            name = quota["metadata"]["name"]
            why = f"exceeded quota: {name}, requested: {key}=1, used: {key}={used}, limited: {key}={limit}"
            raise errors.forbidden(request.resource, request.name, why)


def _of(key: str) -> Resource | None:
    """What a key counts, None for one that the controller does not count."""
    for resource in BY_KIND.values():
        if key == f"count/{resource.qualified}" and resource.namespaced and {*resource.verbs} >= _COUNTED:
            return resource
    return None
