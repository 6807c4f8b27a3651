"""The CronJob controller: a job at each time of a schedule.

A cron job's clock starts with its creation, and runs as fast as the sandbox: at a time scale of 0.1 an hour of its
schedule passes in six minutes. Sources: Kubernetes documentation, "CronJob"; ``pkg/controller/cronjob`` of Kubernetes.
"""

import zoneinfo
from datetime import UTC, datetime
from typing import Any

from podshare_sandbox.json_copy import json_copy
from podshare_sandbox.services.kubernetes import batch, errors
from podshare_sandbox.services.kubernetes.controllers import jobs
from podshare_sandbox.services.kubernetes.controllers.client import (
    ControllerClient,
    Timers,
    by_controller,
    is_refusal,
    owner_reference,
)
from podshare_sandbox.services.kubernetes.controllers.conditions import is_true, now

Object = dict[str, Any]

NAMESPACE, SERVICE_ACCOUNT = "kube-system", "cronjob-controller"
SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"


class CronJobs:
    """Remembers for each cron job the last time that was served."""

    def __init__(self) -> None:
        self._served: dict[str, datetime] = {}

    def reconcile(self, client: ControllerClient, timers: Timers) -> None:
        """Make the jobs that are due, and forget old ones."""
        made = by_controller(client.list("Job"))
        cron_jobs = client.list("CronJob")
        self._served = {
            uid: self._served[uid] for each in cron_jobs if (uid := each["metadata"]["uid"]) in self._served
        }
        for cron_job in cron_jobs:
            if "deletionTimestamp" not in cron_job["metadata"]:
                self._sync(client, timers, cron_job, made.get(cron_job["metadata"]["uid"], []))

    def _sync(self, client: ControllerClient, timers: Timers, cron_job: Object, made: list[Object]) -> None:
        spec = cron_job["spec"]
        status: Object = json_copy(cron_job.get("status") or {})
        active = [job for job in made if not jobs.is_finished(job)]
        due = None if spec["suspend"] else self._due(timers, cron_job)
        if due and not (active and spec["concurrencyPolicy"] == "Forbid"):
            if spec["concurrencyPolicy"] == "Replace":
                for job in active:
                    client.delete("Job", job["metadata"]["namespace"], job["metadata"]["name"])
                active = []
            started = self._start(client, cron_job, due)
            active += [started] if started else []
            self._served[cron_job["metadata"]["uid"]] = due
            status["lastScheduleTime"] = now()
        self._forget(client, spec, made)
        if succeeded := [job["status"]["completionTime"] for job in made if is_true(job, "Complete")]:
            status["lastSuccessfulTime"] = max(succeeded)
        status["active"] = [_reference(job) for job in active]
        if not active:
            del status["active"]
        client.write({**cron_job, "status": status})

    def _due(self, timers: Timers, cron_job: Object) -> datetime | None:
        """The latest time that has come and is not served; the next one is waited for."""
        uid, spec = cron_job["metadata"]["uid"], cron_job["spec"]
        began = datetime.fromisoformat(cron_job["metadata"]["creationTimestamp"])
        zone = zoneinfo.ZoneInfo(spec["timeZone"]) if spec.get("timeZone") else UTC
        due = None
        for time in batch.schedule(spec["schedule"], self._served.get(uid, began).astimezone(zone)):
            if not timers.passed((uid, "clock"), (time - began).total_seconds()):
                break
            due = time.astimezone(UTC)
        late = spec.get("startingDeadlineSeconds")
        if due and late is not None and timers.passed((uid, "clock"), (due - began).total_seconds() + late):
            return None
        return due

    def _start(self, client: ControllerClient, cron_job: Object, time: datetime) -> Object | None:
        metadata, template = cron_job["metadata"], json_copy(cron_job["spec"]["jobTemplate"])
        inner = template.get("metadata") or {}
        job = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": f"{metadata['name']}-{int(time.timestamp()) // 60}",
                "namespace": metadata["namespace"],
                "labels": inner.get("labels") or {},
                "annotations": {**(inner.get("annotations") or {}), SCHEDULED: f"{time:%Y-%m-%dT%H:%M:%SZ}"},
                "ownerReferences": [owner_reference(cron_job)],
            },
            "spec": template["spec"],
        }
        try:
            return client.create(job)
        except errors.KubernetesError as error:
            if not is_refusal(error):
                raise
            return None

    def _forget(self, client: ControllerClient, spec: Object, made: list[Object]) -> None:
        for kind, limit in (("Complete", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit")):
            ended = sorted((job for job in made if is_true(job, kind)), key=_age)
            for job in ended[: max(0, len(ended) - spec[limit])]:
                client.delete("Job", job["metadata"]["namespace"], job["metadata"]["name"])


def _age(job: Object) -> tuple[str, str]:
    return job["metadata"]["creationTimestamp"], job["metadata"]["name"]


def _reference(job: Object) -> Object:
    metadata = {name: job["metadata"][name] for name in ("name", "namespace", "resourceVersion", "uid")}
    return {"apiVersion": job["apiVersion"], "kind": job["kind"], **metadata}
