"""The status of a pod: phase, conditions and the states of its containers (Kubernetes API reference, "PodStatus").

Every pod is placed and started at once.
"""

import hashlib
from typing import Any

from podshare_sandbox import clock

Object = dict[str, Any]

_CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
_OF_READINESS = ("Ready", "ContainersReady")


class States:
    """The states of one pod's containers, from its start."""

    def __init__(self, pod: Object) -> None:
        self._names = [each["name"] for each in pod["spec"].get("containers") or ()]
        self._images = {each["name"]: each.get("image", "") for each in pod["spec"].get("containers") or ()}
        self._states: dict[str, Object] = {name: {"running": {"startedAt": _now()}} for name in self._names}
        self._last: dict[str, Object] = {}
        self._restarts: dict[str, int] = dict.fromkeys(self._names, 0)

    def run(self, name: str) -> None:
        """A container runs."""
        self._states[name] = {"running": {"startedAt": _now()}}

    def end(self, name: str, code: int) -> None:
        """A container has ended for good."""
        self._states[name] = self._ended(name, code)

    def back_off(self, name: str, code: int) -> None:
        """A container has ended, and starts again after a while."""
        self._last[name] = self._ended(name, code)
        self._states[name] = {"waiting": {"reason": "CrashLoopBackOff"}}
        self._restarts[name] = self._restarts.get(name, 0) + 1

    def kill(self, code: int) -> None:
        """All containers end that have not."""
        for name, state in self._states.items():
            if "terminated" not in state:
                self.end(name, code)

    def _ended(self, name: str, code: int) -> Object:
        began = self._states[name].get("running", {}).get("startedAt", _now())
        times = {"startedAt": began, "finishedAt": _now()}
        return {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed", **times}}

    def status(self, before: Object, phase: str | None = None) -> Object:
        """The pod's status now; ``phase`` is concluded from the containers unless it is given."""
        states = {name: self._states[name] for name in self._names}
        if phase is None:
            codes = [each["terminated"]["exitCode"] for each in states.values() if "terminated" in each]
            over = len(codes) == len(states)
            phase = ("Failed" if any(codes) else "Succeeded") if over else "Running"
        is_ready = phase == "Running" and all("running" in each for each in states.values())
        why = {} if is_ready else {"reason": "PodCompleted" if phase == "Succeeded" else "ContainersNotReady"}
        conditions = [
            {"type": kind, "status": "True", **_since(before, kind, "True")}
            if is_ready or kind not in _OF_READINESS
            else {"type": kind, "status": "False", **_since(before, kind, "False"), **why}
            for kind in _CONDITIONS
        ]
        return {
            **before,
            "phase": phase,
            "conditions": conditions,
            "containerStatuses": [*map(self._container, states)],
        }

    def _container(self, name: str) -> Object:
        """A container's status, with the fields that the API requires."""
        state, image = self._states[name], self._images[name]
        shown = {"name": name, "image": image, "imageID": "", "restartCount": self._restarts[name], "state": state}
        is_running = "running" in state
        return {**shown, "lastState": self._last.get(name, {}), "ready": is_running, "started": is_running}


def started(pod: Object) -> Object:
    """The status of a pod whose containers have just started."""
    address = int(hashlib.sha256(str(pod["metadata"]).encode()).hexdigest()[:4], 16)
    times = {"startTime": _now(), "podIP": f"10.1.{address // 256}.{address % 256}"}
    return States(pod).status(times)


def _since(before: Object, kind: str, status: str) -> Object:
    """When a condition came to be what it is."""
    known = (each for each in before.get("conditions") or () if (each["type"], each["status"]) == (kind, status))
    return {"lastTransitionTime": next((each["lastTransitionTime"] for each in known), _now())}


def _now() -> str:
    return clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
