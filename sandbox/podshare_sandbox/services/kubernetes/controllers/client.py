"""What a controller does to the cluster, in its own name: admission sees it as on a real cluster."""

import math
from collections.abc import Hashable
from typing import Any

from podshare_sandbox import clock
from podshare_sandbox.services.kubernetes import admission_policies, errors, object_quotas
from podshare_sandbox.services.kubernetes.admission_request import AdmissionRequest
from podshare_sandbox.services.kubernetes.api import Check, KubernetesApi
from podshare_sandbox.services.kubernetes.authentication import KubernetesUser
from podshare_sandbox.services.kubernetes.resources import BY_KIND, Resource

Object = dict[str, Any]

REFUSED_SECONDS = 60  # until a controller tries again what admission has refused


class ControllerClient:
    """The API of a cluster, for the service account that a controller runs as."""

    def __init__(self, api: KubernetesApi, namespace: str, service_account: str) -> None:
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
        self._api = api
        self._user = KubernetesUser(f"system:serviceaccount:{namespace}:{service_account}", groups)
        self._manager = service_account

    def list(self, kind: str) -> list[Object]:
        """Copies of all objects of a kind."""
        return self._api.objects(kind)

    def get(self, kind: str, namespace: str | None, name: str) -> Object | None:
        """A copy of an object, None if there is none."""
        return self._api.get(kind, namespace, name)

    def create(self, manifest: Object) -> Object:
        """Make an object. Raises KubernetesError where admission refuses it, or it exists."""
        resource, namespace = BY_KIND[manifest["kind"]], manifest["metadata"].get("namespace", "")
        check = self._check("CREATE", resource, namespace, None)
        return self._api.create(resource, namespace, manifest, self._manager, check=check)

    def write(self, state: Object) -> Object:
        """Make a stored object what it is to be; status too. What has not changed is not written."""
        resource, metadata = BY_KIND[state["kind"]], state["metadata"]
        namespace = metadata.get("namespace", "")
        before = self._api.get(resource.kind, namespace, metadata["name"])
        if before == state:
            return state
        only_status = before is not None and {**before, "status": None} == {**state, "status": None}
        check = self._check("UPDATE", resource, namespace, before)
        if only_status:  # the status is a resource of its own, of which no policy of the sandbox hears
            return self._api.replace(resource, namespace, state, self._manager)
        return self._api.replace(resource, namespace, state, self._manager, check=check)

    def delete(self, kind: str, namespace: str | None, name: str) -> None:
        """Delete an object; one that is gone is no error."""
        self._api.delete(kind, namespace, name)

    def _check(self, operation: str, resource: Resource, namespace: str, before: Object | None) -> Check:
        def check(candidate: Object) -> None:
            name = candidate["metadata"]["name"]
            request = AdmissionRequest(self._user, operation, resource, namespace, name, candidate, before)
            admission_policies.admit(self._api, request)
            object_quotas.admit(self._api.view, request)

        return check


class Timers:
    """What is due when, at the sandbox's scale; ``wait`` is the real seconds until the next one, None without any."""

    def __init__(self) -> None:
        self._since: dict[Hashable, float] = {}
        self._asked: set[Hashable] = set()
        self._wait = math.inf

    def begin(self) -> None:
        """Begin a pass over everything: what is not asked for in it is forgotten at the next."""
        self._since = {key: since for key, since in self._since.items() if key in self._asked}
        self._asked = set()
        self._wait = math.inf

    def passed(self, key: Hashable, seconds: float) -> bool:
        """Whether ``seconds`` have passed since ``key`` was first asked for; else its time is waited for."""
        self._asked.add(key)
        left = self._since.setdefault(key, clock.monotonic()) + clock.scaled(seconds) - clock.monotonic()
        if left > 0:
            self._wait = min(self._wait, left)
        return left <= 0

    @property
    def wait(self) -> float | None:
        """Real seconds."""
        return None if self._wait == math.inf else self._wait


def owner_reference(owner: Object) -> Object:
    """The reference of a controller to what it makes for an object."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def controller_of(one: Object) -> Object | None:
    """The reference of an object to what controls it."""
    references = one["metadata"].get("ownerReferences") or ()
    return next((each for each in references if each.get("controller")), None)


def by_controller(objects: list[Object]) -> dict[str, list[Object]]:
    """Objects by the uid of what controls them, in the order of their creation."""
    found: dict[str, list[Object]] = {}
    for each in objects:
        if owner := controller_of(each):
            found.setdefault(owner["uid"], []).append(each)
    return found


def is_refusal(error: errors.KubernetesError) -> bool:
    """Whether admission refused what a controller would have made."""
    return error.code in (403, 422)
