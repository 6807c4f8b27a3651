"""Watches: the changes of a collection, as they come.

Source: Kubernetes documentation, "Kubernetes API Concepts" (Efficient detection of changes, Watch bookmarks, 410 Gone
responses, Streaming lists).
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from podshare_sandbox.services.kubernetes import errors
from podshare_sandbox.services.kubernetes.api import KubernetesApi
from podshare_sandbox.services.kubernetes.journal import Change, Expired
from podshare_sandbox.services.kubernetes.resources import Resource
from podshare_sandbox.services.kubernetes.selectors import Matcher

Object = dict[str, Any]

_BOOKMARK_SECONDS = 60
_PAUSE_SECONDS = 1  # after which a watch looks whether anybody still listens
_LEAST_SECONDS = (
    1800  # kube-apiserver's --min-request-timeout; a watch without timeoutSeconds lasts up to twice as long
)
_INITIAL_EVENTS_END = "k8s.io/initial-events-end"


@dataclass(frozen=True)
class Watch:
    """What is watched: the objects of a resource, in one namespace or in all, that fit the selectors."""

    api: KubernetesApi
    resource: Resource
    namespace: str
    matches: Matcher
    query: Mapping[str, str]

    def events(self) -> Iterator[Object | None]:
        """The events until the time is over; None where a second has passed without one. Raises 400 at once."""
        revision = self._revision()
        lists_first = not revision or self.query.get("sendInitialEvents") == "true"
        return self._events(revision, lists_first=lists_first)

    def _revision(self) -> int:
        given = self.query.get("resourceVersion") or "0"
        if not given.isdecimal():
            raise errors.bad_request(f'invalid resource version "{given}": strconv.ParseUint: invalid syntax')
        return int(given)

    def _events(self, revision: int, *, lists_first: bool) -> Iterator[Object | None]:
        seconds = int(self.query.get("timeoutSeconds") or 0) or random.uniform(1, 2) * _LEAST_SECONDS  # noqa: S311  # no secret
        end = time.monotonic() + seconds
        wants_bookmarks = self.query.get("allowWatchBookmarks") in ("1", "true")
        if lists_first:
            with self.api.lock:
                revision, there = int(self.api.revision), self.api.list(self.resource, self.namespace)
            yield from ({"type": "ADDED", "object": each} for each in there if self.matches(each))
            if self.query.get("sendInitialEvents") == "true":
                yield self._bookmark(revision, {_INITIAL_EVENTS_END: "true"})
        bookmark_at = time.monotonic() + _BOOKMARK_SECONDS
        while (left := end - time.monotonic()) > 0:
            try:
                changes = self.api.journal.since(revision, min(left, _PAUSE_SECONDS))
            except Expired:
                yield {"type": "ERROR", "object": errors.expired(revision, self.api.revision).status}
                return
            yield from filter(None, map(self._event, changes))
            revision = changes[-1].revision if changes else revision
            if wants_bookmarks and time.monotonic() > bookmark_at:
                bookmark_at += _BOOKMARK_SECONDS
                yield self._bookmark(revision)
            if not changes:
                yield None
        if wants_bookmarks:
            yield self._bookmark(revision)

    def _event(self, change: Change) -> Object | None:
        """What a change is to this watch: what begins to fit the selectors is added, what no longer fits deleted."""
        namespace = change.object["metadata"].get("namespace", "")
        if change.resource != self.resource or self.namespace not in ("", namespace):
            return None
        did = change.before is not None and self.matches(change.before)
        does = change.type != "DELETED" and self.matches(change.object)
        if not did and not does:
            return None
        return {"type": "MODIFIED" if did and does else "ADDED" if does else "DELETED", "object": change.object}

    def _bookmark(self, revision: int, annotations: Mapping[str, str] | None = None) -> Object:
        metadata: Object = {"resourceVersion": str(revision), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = dict(annotations)
        shown = {"kind": self.resource.kind, "apiVersion": self.resource.api_version, "metadata": metadata}
        return {"type": "BOOKMARK", "object": shown}


def pieces(events: Iterator[Object | None], serialize: Callable[[Object], bytes]) -> Iterator[bytes]:
    """The events as they are sent, one a line; nothing where nothing has happened."""
    for event in events:
        yield b"" if event is None else serialize(event) + b"\n"
