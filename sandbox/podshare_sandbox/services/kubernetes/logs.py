"""What containers have printed, as ``kubectl logs`` asks for it (Kubernetes API reference, "Pod": log)."""

from collections.abc import Iterator, Mapping
from typing import Any

from podshare_sandbox.services.kubernetes import errors, options
from podshare_sandbox.services.kubernetes.api import KubernetesApi

Object = dict[str, Any]

_PAUSE_SECONDS = 0.2  # of real time, between looking for more
_NOT_EMULATED = ("previous", "sinceSeconds", "sinceTime")


def read(api: KubernetesApi, pod: Object, container: str, query: Mapping[str, str]) -> str | Iterator[bytes]:
    """The log of a container, or with ``follow`` its pieces until the container ends. Raises 400."""
    for name in _NOT_EMULATED:
        if query.get(name) not in (None, "", "false"):
            raise errors.bad_request(f"{name} is not emulated")
    metadata = pod["metadata"]
    key = (metadata["namespace"], metadata["name"], container)
    tail = options.integer(query, "tailLines")
    if options.is_set(query, "follow"):
        return _pieces(api, pod, key, tail, query)
    return _shown(pod, container, _last(api.logs.get(key, ""), tail), query)


def _last(text: str, lines: int | None) -> str:
    return text if lines is None else "".join(text.splitlines(keepends=True)[len(text.splitlines()) - lines :])


def _pieces(
    api: KubernetesApi, pod: Object, key: tuple[str, str, str], tail: int | None, query: Mapping[str, str]
) -> Iterator[bytes]:
    sent = len(api.logs.get(key, "")) - len(_last(api.logs.get(key, ""), tail))
    while True:
        is_over = _is_over(api, pod, key[2])
        revision, text = int(api.revision), api.logs.get(key, "")
        yield _shown(pod, key[2], text[sent:], query).encode()
        sent = len(text)
        if is_over:
            return
        api.journal.since(revision, _PAUSE_SECONDS)


def _is_over(api: KubernetesApi, pod: Object, container: str) -> bool:
    """Whether nothing more will be printed: the container has ended, or its pod is gone."""
    live = api.get("Pod", pod["metadata"]["namespace"], pod["metadata"]["name"])
    if live is None or live["metadata"]["uid"] != pod["metadata"]["uid"]:
        return True
    return "terminated" in _state(live, container)


def _state(pod: Object, container: str) -> Object:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return next((dict(one["state"]) for one in statuses if one["name"] == container), {})


def _shown(pod: Object, container: str, text: str, query: Mapping[str, str]) -> str:
    """The text as asked for; of all lines the time is that at which their container started."""
    limit = options.integer(query, "limitBytes")
    if options.is_set(query, "timestamps"):
        state: Object = next(iter(_state(pod, container).values()), {})
        started = state.get("startedAt", pod["metadata"]["creationTimestamp"])
        text = "".join(f"{started} {line}" for line in text.splitlines(keepends=True))
    return text if limit is None else text.encode()[:limit].decode(errors="ignore")
