"""Who created an object of a cluster, by its audit log: pure, from the events that were read before.

Source: Kubernetes documentation, "kube-apiserver Audit Configuration (v1)".
"""

import datetime
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

Moment = datetime.datetime
Creations = Mapping[tuple[str, str, str], Sequence[tuple[Moment, str]]]  # by resource, namespace, name: when, by whom
_CREATED = 201


class Origin(NamedTuple):
    """The object that somebody has created, and when it was there at the latest."""

    resource: str
    namespace: str
    name: str
    created: Moment


def creations(events: Iterable[Mapping[str, Any]]) -> Creations:
    """Who has created which objects; what was only tried does not count."""
    times_by_object: dict[tuple[str, str, str], list[tuple[Moment, str]]] = defaultdict(list)
    for event in events:
        reference, answer = event.get("objectRef", {}), event.get("responseObject", {})
        name = reference.get("name") or answer.get("metadata", {}).get("name")  # of the API server's own making
        if name and _is_creation(event) and not reference.get("subresource"):
            key = str(reference.get("resource")), str(reference.get("namespace")), str(name)
            moment = datetime.datetime.fromisoformat(event["requestReceivedTimestamp"])
            times_by_object[key].append((moment, str(event.get("user", {}).get("username", ""))))
    return {key: sorted(times) for key, times in times_by_object.items()}


def _is_creation(event: Mapping[str, Any]) -> bool:
    """Whether an object came to be: a server-side apply creates, too, and a dry run does not."""
    is_created = event.get("responseStatus", {}).get("code") == _CREATED
    return is_created and event.get("verb") in ("create", "patch") and "dryRun=" not in event.get("requestURI", "")


def creator(origin: Origin, known: Creations) -> str:
    """Who last created an object of the name before it was there; empty where nobody is known to have."""
    latest = origin.created + datetime.timedelta(seconds=1)  # objects have whole seconds
    users = [user for moment, user in known.get(origin[:3], ()) if moment < latest]
    return users[-1] if users else ""
