"""The objects of one cluster as they are kept: by resource, namespace and name."""

from collections.abc import Iterator
from typing import Any

from podshare_sandbox.services.kubernetes.journal import Journal
from podshare_sandbox.services.kubernetes.resources import Resource

Object = dict[str, Any]
_Key = tuple[str, str]  # namespace and name


class Store:
    """All writes and removals go through :meth:`put` and :meth:`drop`. What is returned is the object itself."""

    def __init__(self) -> None:
        self.journal = Journal()
        self._objects: dict[Resource, dict[_Key, Object]] = {}
        self._owned: dict[tuple[Resource, _Key], Object] = {}
        self._leaving: dict[tuple[Resource, _Key], Object] = {}
        self._touched: set[Resource] = set()

    def find(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """The object, None if there is none. ``namespace`` is empty for what has none."""
        return self._objects.get(resource, {}).get((namespace, name))

    def of(self, resource: Resource, namespace: str = "") -> list[Object]:
        """The objects of a resource by namespace and name, in one namespace or, if it is empty, in all."""
        found = self._objects.get(resource, {})
        return [found[key] for key in sorted(found) if namespace in ("", key[0])]

    def inside(self, namespace: str) -> Iterator[tuple[Resource, Object]]:
        """All objects in a namespace."""
        for resource, found in self._objects.items():
            yield from ((resource, each) for key, each in list(found.items()) if key[0] == namespace)

    def owned(self) -> list[tuple[Resource, Object]]:
        """The objects that have owner references."""
        return [(resource, each) for (resource, _), each in self._owned.items()]

    def leaving(self) -> list[tuple[Resource, Object]]:
        """The objects that were deleted and are still held."""
        return [(resource, each) for (resource, _), each in self._leaving.items()]

    def take_touched(self) -> set[Resource]:
        """The resources of which an object was put or dropped since this was asked last."""
        touched, self._touched = self._touched, set()
        return touched

    def put(self, resource: Resource, state: Object) -> None:
        """Keep a new state of an object, under a new ``resourceVersion``."""
        key = _key(state)
        self.journal.stored(resource, state)
        self._objects.setdefault(resource, {})[key] = state
        self._touched.add(resource)
        for index, field in ((self._owned, "ownerReferences"), (self._leaving, "deletionTimestamp")):
            if state["metadata"].get(field):
                index[resource, key] = state
            else:
                index.pop((resource, key), None)

    def drop(self, resource: Resource, state: Object) -> None:
        """Keep an object no longer."""
        key = _key(state)
        self.journal.removed(resource, state)
        del self._objects[resource][key]
        self._touched.add(resource)
        for index in (self._owned, self._leaving):
            index.pop((resource, key), None)


def _key(state: Object) -> _Key:
    return state["metadata"].get("namespace", ""), state["metadata"]["name"]
