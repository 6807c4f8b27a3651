"""What became of a cluster's objects, change by change: the history that etcd keeps for the API server.

Watches and controllers follow it by ``resourceVersion`` (Kubernetes documentation, "Kubernetes API Concepts",
Efficient detection of changes).
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from podshare_sandbox.json_copy import json_copy
from podshare_sandbox.services.kubernetes.resources import Resource

Object = dict[str, Any]

KEPT = 1000  # changes; a watch that is further behind has to list again


@dataclass(frozen=True)
class Change:
    """One write: ``object`` is the state after it, of a deletion the last one; ``before`` what it replaced, if any."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    resource: Resource
    object: Object
    before: Object | None

    @property
    def revision(self) -> int:
        """The ``resourceVersion`` that the write gave."""
        return int(self.object["metadata"]["resourceVersion"])


class Expired(Exception):  # noqa: N818  # named as the API names it
    """The journal does not reach back that far."""


class Journal:
    """The last changes, in their order. ``revision`` is that of the last one."""

    def __init__(self) -> None:
        self._changes: deque[Change] = deque(maxlen=KEPT)
        self._states: dict[tuple[Resource, str, str], Object] = {}
        self._changed = threading.Condition()
        self._subscribers: list[Callable[[Change], None]] = []
        self.revision = 0

    def stored(self, resource: Resource, state: Object) -> None:
        """Take down that ``state`` is stored, and give it the next revision as its ``resourceVersion``."""
        key = _key(resource, state)
        before = self._states.get(key)
        state["metadata"]["resourceVersion"] = str(self.revision + 1)
        self._states[key] = json_copy(state)
        self._record(Change("MODIFIED" if before else "ADDED", resource, self._states[key], before))

    def removed(self, resource: Resource, state: Object) -> None:
        """Take down that an object is gone, whose last state was ``state``."""
        before = self._states.pop(_key(resource, state))
        last = json_copy(state)
        last["metadata"]["resourceVersion"] = str(self.revision + 1)
        self._record(Change("DELETED", resource, last, before))

    def _record(self, change: Change) -> None:
        with self._changed:
            self.revision = change.revision
            self._changes.append(change)
            self._changed.notify_all()
        for subscriber in self._subscribers:
            subscriber(change)

    def subscribe(self, subscriber: Callable[[Change], None]) -> None:
        """Call ``subscriber`` with every change from now on, in their order; it may not alter the objects.

        It is called by the thread that writes, in the midst of its write: it takes note, and works elsewhere.
        """
        self._subscribers.append(subscriber)

    def since(self, revision: int, timeout: float = 0) -> list[Change]:
        """The changes after ``revision``; waits up to ``timeout`` real seconds for the first. Raises Expired."""
        with self._changed:
            self._changed.wait_for(lambda: self.revision > revision, timeout)
            if revision < self.revision - len(self._changes):
                raise Expired
            return [change for change in self._changes if change.revision > revision]


def _key(resource: Resource, state: Object) -> tuple[Resource, str, str]:
    return resource, state["metadata"].get("namespace", ""), state["metadata"]["name"]
