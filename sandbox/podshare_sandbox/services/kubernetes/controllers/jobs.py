"""The Job controller: pods for each job, until enough have succeeded or too many have failed.

Sources: Kubernetes documentation, "Jobs" and "Automatic Cleanup for Finished Jobs"; ``pkg/controller/job`` of
Kubernetes for reasons and messages. A pod counts once, when the controller takes its finalizer away.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from podshare_sandbox.json_copy import json_copy
from podshare_sandbox.services.kubernetes import errors
from podshare_sandbox.services.kubernetes.controllers.client import (
    REFUSED_SECONDS,
    ControllerClient,
    Timers,
    by_controller,
    controller_of,
    is_refusal,
    owner_reference,
)
from podshare_sandbox.services.kubernetes.controllers.conditions import find, is_true, now, set_condition

Object = dict[str, Any]

NAMESPACE, SERVICE_ACCOUNT = "kube-system", "job-controller"
TRACKING = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"
BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS = 10, 600
_PROBED = ("lastProbeTime",)


def reconcile(client: ControllerClient, timers: Timers) -> None:
    """Bring every job a step further."""
    pods, jobs = client.list("Pod"), client.list("Job")
    owned = by_controller(pods)
    for job in jobs:
        _Sync(client, timers, job, owned.get(job["metadata"]["uid"], [])).run()
    uids = {job["metadata"]["uid"] for job in jobs}
    for pod in pods:
        if is_tracked(pod) and (controller_of(pod) or {"uid": ""})["uid"] not in uids:  # its job is gone
            _untrack(client, pod)


def is_tracked(pod: Object) -> bool:
    """Whether the controller has not counted a pod yet."""
    return TRACKING in (pod["metadata"].get("finalizers") or ())


def _untrack(client: ControllerClient, pod: Object) -> None:
    pod["metadata"]["finalizers"].remove(TRACKING)
    if not pod["metadata"]["finalizers"]:
        del pod["metadata"]["finalizers"]
    client.write(pod)


def is_finished(job: Object) -> bool:
    """Whether a job has ended, well or not."""
    return is_true(job, "Complete") or is_true(job, "Failed")


class _Sync:
    """One look at one job."""

    def __init__(self, client: ControllerClient, timers: Timers, job: Object, pods: list[Object]) -> None:
        self._client = client
        self._timers = timers
        self._job = job
        self._pods = pods
        self._spec = job["spec"]
        self._uid = job["metadata"]["uid"]
        self._status: Object = json_copy(job.get("status") or {})
        self._conditions: list[Object] = self._status.setdefault("conditions", [])

    def run(self) -> None:
        if is_finished(self._job):
            self._count()
            self._expire()
            return
        if "deletionTimestamp" in self._job["metadata"]:
            self._count()
            return
        self._suspend_or_resume()
        self._count()
        ending = self._ending()
        if ending:
            self._end(*ending)
        elif self._spec.get("suspend"):
            self._stop(self._active())
        else:
            self._make_pods()
        self._write()

    def _write(self) -> None:
        active = self._active()
        counts = {"active": len(active), **{name: self._status.get(name, 0) for name in ("succeeded", "failed")}}
        for name, count in counts.items():  # a count of zero is not shown
            self._status.pop(name, None)
            if count:
                self._status[name] = count
        self._status["ready"] = sum(pod["status"]["phase"] == "Running" for pod in active)
        self._status["terminating"] = sum(_is_terminating(pod) for pod in self._pods)
        self._status["uncountedTerminatedPods"] = {}
        if not self._conditions:
            self._status.pop("conditions", None)
        self._client.write({**self._job, "status": self._status})

    def _active(self) -> list[Object]:
        return [pod for pod in self._pods if _phase(pod) not in ("Succeeded", "Failed") and not _is_terminating(pod)]

    # ---- suspension ----

    def _suspend_or_resume(self) -> None:
        suspended = find(self._conditions, "Suspended")
        if self._spec.get("suspend"):
            if suspended is None or suspended["status"] != "True":
                self._set("Suspended", "True", "JobSuspended", "Job suspended")
                self._status.pop("startTime", None)
        else:
            if suspended and suspended["status"] == "True":
                self._set("Suspended", "False", "JobResumed", "Job resumed")
            self._status.setdefault("startTime", now())

    # ---- counting ----

    def _count(self) -> None:
        """Count the pods that have ended since the last look, and let them go."""
        done = {*_indexes(self._status.get("completedIndexes", ""))}
        over = is_finished(self._job)
        for pod in self._pods:
            phase, terminating = _phase(pod), _is_terminating(pod)
            if not is_tracked(pod):
                continue
            if phase == "Succeeded":
                self._status["succeeded"] = self._status.get("succeeded", 0) + 1
                if self._is_indexed:
                    done.add(_index(pod))
            elif phase == "Failed" or terminating:
                self._status["failed"] = self._status.get("failed", 0) + 1
            elif not over:
                continue
            _untrack(self._client, pod)
        if self._is_indexed:
            self._status["completedIndexes"] = _ranges(done)
            self._status["succeeded"] = len(done)

    @property
    def _is_indexed(self) -> bool:
        return bool(self._spec.get("completionMode") == "Indexed")

    # ---- the end ----

    def _ending(self) -> tuple[str, str, str] | None:
        """The condition that ends the job, with reason and message."""
        target = find(self._conditions, "FailureTarget")
        if target:
            return "Failed", target["reason"], target["message"]
        deadline = self._spec.get("activeDeadlineSeconds")
        started = self._status.get("startTime")
        if deadline and started and self._timers.passed((self._uid, "deadline", started), deadline):
            return "Failed", "DeadlineExceeded", "Job was active longer than specified deadline"
        if self._has_failed_too_often():
            return "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
        succeeded, completions = self._status.get("succeeded", 0), self._spec.get("completions")
        complete = succeeded and not self._active() if completions is None else succeeded >= completions
        if complete or find(self._conditions, "SuccessCriteriaMet"):
            return "Complete", "CompletionsReached", "Reached expected number of succeeded pods"
        return None

    def _has_failed_too_often(self) -> bool:
        limit = self._spec["backoffLimit"]
        if self._status.get("failed", 0) > limit:
            return True
        if self._spec["template"]["spec"].get("restartPolicy") != "OnFailure":
            return False
        restarts = sum(
            container["restartCount"]
            for pod in self._active()
            for container in pod["status"].get("containerStatuses", ())
        )
        return bool(restarts >= limit if limit else restarts > 0)

    def _end(self, kind: str, reason: str, message: str) -> None:
        """Stop what still runs; the job has ended once that has."""
        self._set("SuccessCriteriaMet" if kind == "Complete" else "FailureTarget", "True", reason, message)
        active = self._active()
        if active:
            self._stop(active)
        elif not any(map(is_tracked, self._pods)):
            self._set(kind, "True", reason, message)
            if kind == "Complete":
                self._status["completionTime"] = now()

    def _expire(self) -> None:
        ttl = self._spec.get("ttlSecondsAfterFinished")
        if ttl is not None and self._timers.passed((self._uid, "ttl"), ttl):
            self._client.delete("Job", self._job["metadata"]["namespace"], self._job["metadata"]["name"])

    def _stop(self, pods: Iterable[Object]) -> None:
        for pod in pods:
            self._client.delete("Pod", pod["metadata"]["namespace"], pod["metadata"]["name"])

    # ---- pods ----

    def _make_pods(self) -> None:
        active, succeeded = self._active(), self._status.get("succeeded", 0)
        completions, parallelism = self._spec.get("completions"), self._spec["parallelism"]
        if completions is None:
            wanted = len(active) if succeeded else parallelism
        else:
            wanted = min(parallelism, completions - succeeded)
        if len(active) > wanted:
            self._stop(active[wanted:])
        elif len(active) < wanted and self._may_retry():
            self._create(wanted - len(active))

    def _may_retry(self) -> bool:
        """After failures the next pod waits, each time twice as long, until one succeeds."""
        failures = self._status.get("failed", 0)
        if not failures:
            return True
        delay = min(BACKOFF_SECONDS * 2 ** (failures - 1), LONGEST_BACKOFF_SECONDS)
        return self._timers.passed((self._uid, "backoff", failures), delay)

    def _create(self, count: int) -> None:
        taken = {*_indexes(self._status.get("completedIndexes", "")), *map(_index, self._active())}
        free = (each for each in range(self._spec.get("completions") or 0) if each not in taken)
        for _ in range(count):
            pod = self._pod(next(free) if self._is_indexed else None)
            try:
                self._pods.append(self._client.create(pod))
            except errors.KubernetesError as error:
                if not is_refusal(error):
                    raise
                self._timers.passed((self._uid, "refused", now()), REFUSED_SECONDS)  # it tries again by then
                return

    def _pod(self, index: int | None) -> Object:
        template = json_copy(self._spec["template"])
        metadata, spec = template.get("metadata") or {}, template["spec"]
        name = self._job["metadata"]["name"]
        if index is not None:
            name = f"{name}-{index}"
            metadata["annotations"] = {**(metadata.get("annotations") or {}), INDEX: str(index)}
            metadata["labels"] = {**metadata["labels"], INDEX: str(index)}
            spec.setdefault("hostname", name)
            for container in spec["containers"]:
                container.setdefault("env", []).append({"name": "JOB_COMPLETION_INDEX", "value": str(index)})
        made = {
            "generateName": f"{name}-",
            "namespace": self._job["metadata"]["namespace"],
            "labels": metadata.get("labels") or {},
            **({"annotations": metadata["annotations"]} if metadata.get("annotations") else {}),
            "ownerReferences": [owner_reference(self._job)],
            "finalizers": [TRACKING],
        }
        return {"apiVersion": "v1", "kind": "Pod", "metadata": made, "spec": spec}

    def _set(self, kind: str, status: str, reason: str, message: str) -> None:
        set_condition(self._conditions, kind, status, reason=reason, message=message, also=_PROBED)


def _phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase", "Pending"))


def _is_terminating(pod: Object) -> bool:
    return "deletionTimestamp" in pod["metadata"] and _phase(pod) not in ("Succeeded", "Failed")


def _index(pod: Object) -> int:
    return int((pod["metadata"].get("annotations") or {}).get(INDEX, -1))


def _indexes(ranges: str) -> list[int]:
    """``1,3-5`` as numbers."""
    found: list[int] = []
    for part in filter(None, ranges.split(",")):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def _ranges(indexes: Iterable[int]) -> str:
    """Numbers as ``1,3-5``."""
    found: list[list[int]] = []
    for index in sorted(indexes):
        if found and found[-1][1] == index - 1:
            found[-1][1] = index
        else:
            found.append([index, index])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in found)


def finish_time(job: Object) -> datetime:
    """When a job that has ended did so."""
    ended = find(job["status"]["conditions"], "Complete") or find(job["status"]["conditions"], "Failed")
    return datetime.fromisoformat((ended or {})["lastTransitionTime"])
