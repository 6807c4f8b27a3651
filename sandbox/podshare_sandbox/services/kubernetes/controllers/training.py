"""The training operators: Kubeflow's for PyTorchJobs, and HyperPod's for HyperPodPyTorchJobs.

Sources: Kubeflow training operator 1.8 for names, labels, conditions and messages of PyTorchJobs. Of the other kind the
SageMaker HyperPod CLI documents the fields, the names of pods, their label and the types of conditions; reasons,
messages, and how often a job starts again (``jobMaxRetryCount`` times) are this sandbox's own. Not emulated: services,
elasticity, spares, log monitoring, and HyperPod's restarts of single processes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from podshare_sandbox.json_copy import json_copy
from podshare_sandbox.services.kubernetes import errors
from podshare_sandbox.services.kubernetes.controllers.client import (
    REFUSED_SECONDS,
    ControllerClient,
    Timers,
    by_controller,
    is_refusal,
    owner_reference,
)
from podshare_sandbox.services.kubernetes.controllers.conditions import find, is_true, now, set_condition

Object = dict[str, Any]

KUBEFLOW = ("kubeflow", "training-operator")
HYPERPOD = ("aws-hyperpod", "hp-training-operator")
MASTER_PORT = 23456
_RETRYABLE = 128  # exit codes from here on are signals: `ExitCode` starts such pods again
_LABEL = "training.kubeflow.org/"
_OVER = ("Succeeded", "Failed")


@dataclass(frozen=True)
class Replica:
    """One pod that a job is to have."""

    group: str
    index: int
    name: str
    template: Object
    restart_policy: str
    labels: dict[str, str]
    env: dict[str, str]


def reconcile_pytorch(client: ControllerClient, timers: Timers) -> None:
    """Bring every PyTorchJob a step further."""
    pods = by_controller(client.list("Pod"))
    for job in client.list("PyTorchJob"):
        _PyTorchSync(client, timers, job, pods.get(job["metadata"]["uid"], [])).run()


def reconcile_hyperpod(client: ControllerClient, timers: Timers) -> None:
    """Bring every HyperPodPyTorchJob a step further."""
    pods = by_controller(client.list("Pod"))
    for job in client.list("HyperPodPyTorchJob"):
        _HyperPodSync(client, timers, job, pods.get(job["metadata"]["uid"], [])).run()


def is_finished(job: Object) -> bool:
    """Whether a job has ended, well or not."""
    return any(is_true(job, kind) for kind in ("Succeeded", "Completed", "Failed"))


class _Sync:
    """One look at one job."""

    success: str
    unset_clean_pod_policy: str
    times_of_updates: tuple[str, ...] = ()  # members of conditions

    def __init__(self, client: ControllerClient, timers: Timers, job: Object, pods: list[Object]) -> None:
        self._client = client
        self._timers = timers
        self._job = job
        self._metadata = job["metadata"]
        self._spec: Object = job.get("spec") or {}
        self._policy: Object = self._spec.get("runPolicy") or {}
        self._pods = {pod["metadata"]["name"]: pod for pod in pods}
        self._status: Object = json_copy(job.get("status") or {})
        self._conditions: list[Object] = self._status.setdefault("conditions", [])
        self._replicas = list(self.replicas())

    def run(self) -> None:
        if "deletionTimestamp" in self._metadata:
            return
        if is_finished(self._job):
            self._clean_up()
            return
        self.set("Created", f"{self._named} is created.")
        if self._policy.get("suspend"):
            self._hold()
        elif self._replicas:
            self._go_on()
        self._client.write({**self._job, "status": self._status})

    @property
    def _named(self) -> str:
        return f"{self._job['kind']} {self._metadata['name']}"

    # ---- what each operator has of its own ----

    def replicas(self) -> Iterator[Replica]:
        """The pods that the job is to have."""
        raise NotImplementedError

    def judge(self) -> None:
        """Conclude from the pods' phases."""
        raise NotImplementedError

    def report(self) -> None:
        """Tell of the pods in the status."""
        raise NotImplementedError

    # ---- suspension ----

    def _hold(self) -> None:
        if not is_true({"status": self._status}, "Suspended"):
            told = f"{self._named} is suspended."
            if find(self._conditions, "Running"):
                self.set("Running", told, "False", reason="Suspended")
            self.set("Suspended", told)
            self._status.pop("startTime", None)
        self._delete(self._pods.values())
        self.report()

    # ---- pods ----

    def _go_on(self) -> None:
        if is_true({"status": self._status}, "Suspended"):
            self.set("Suspended", f"{self._named} is resumed.", "False", reason="Resumed")
        started = self._status.setdefault("startTime", now())
        deadline = self._policy.get("activeDeadlineSeconds")
        if deadline and self._timers.passed((self._metadata["uid"], "deadline", started), deadline):
            self.fail(f"Job {self._metadata['name']} has failed because it was active longer than specified deadline")
            self._delete(self._pods.values())
            return
        try:
            for replica in self._replicas:
                if replica.name not in self._pods:
                    self._pods[replica.name] = self._client.create(self._pod(replica))
        except errors.KubernetesError as error:
            if not is_refusal(error):
                raise
            self._timers.passed((self._metadata["uid"], "refused", now()), REFUSED_SECONDS)  # it tries again by then
        self.report()
        self.judge()

    def _pod(self, replica: Replica) -> Object:
        template = json_copy(replica.template)
        metadata, spec = template.get("metadata") or {}, template["spec"]
        spec["restartPolicy"] = replica.restart_policy
        for container in spec["containers"]:
            given = container.get("env") or []
            names = {each["name"] for each in given}
            own = [{"name": name, "value": value} for name, value in replica.env.items() if name not in names]
            container["env"] = [*given, *own]
        made = {
            "name": replica.name,
            "namespace": self._metadata["namespace"],
            "labels": {**(metadata.get("labels") or {}), **replica.labels},
            **({"annotations": metadata["annotations"]} if metadata.get("annotations") else {}),
            "ownerReferences": [owner_reference(self._job)],
        }
        return {"apiVersion": "v1", "kind": "Pod", "metadata": made, "spec": spec}

    def phases(self, group: str) -> list[str]:
        """The phases of one group's pods; of a pod that is to be made ``Pending``."""
        names = [each.name for each in self._replicas if each.group == group]
        return [self._pods[name]["status"]["phase"] if name in self._pods else "Pending" for name in names]

    def _delete(self, pods: Any) -> None:
        for pod in list(pods):
            self._client.delete("Pod", pod["metadata"]["namespace"], pod["metadata"]["name"])

    # ---- the end ----

    def succeed(self, message: str) -> None:
        """End the job well."""
        self._status["completionTime"] = now()
        self._end_running(message, self.success)
        self.set(self.success, message)

    def fail(self, message: str) -> None:
        """End the job."""
        self._status["completionTime"] = now()
        self._end_running(message, "Failed")
        self.set("Failed", message)

    def _end_running(self, message: str, reason: str) -> None:
        if find(self._conditions, "Running"):
            self.set("Running", message, "False", reason=reason)

    def _clean_up(self) -> None:
        """Delete the pods that the job's policy does not leave, and the job once its time is over."""
        policy = self._policy.get("cleanPodPolicy") or self.unset_clean_pod_policy
        running = [pod for pod in self._pods.values() if pod["status"]["phase"] not in _OVER]
        self._delete({"All": self._pods.values(), "Running": running}.get(policy, ()))
        ttl = self._policy.get("ttlSecondsAfterFinished")
        if ttl is not None and self.expires(ttl) and self._timers.passed((self._metadata["uid"], "ttl"), ttl):
            self._client.delete(self._job["kind"], self._metadata["namespace"], self._metadata["name"])

    def expires(self, ttl: int) -> bool:
        """Whether a time to live is one."""
        return ttl >= 0

    def set(self, kind: str, message: str, status: str = "True", reason: str = "") -> None:
        """Set a condition; its reason begins with the kind of the job."""
        told = f"{self._job['kind']}{reason or kind}"
        set_condition(self._conditions, kind, status, reason=told, message=message, also=self.times_of_updates)


class _PyTorchSync(_Sync):
    """Master and workers; the master's end is the job's."""

    success = "Succeeded"
    unset_clean_pod_policy = "None"
    times_of_updates = ("lastUpdateTime",)

    def replicas(self) -> Iterator[Replica]:
        specs = self._spec.get("pytorchReplicaSpecs") or {}
        world = sum(each.get("replicas", 1) for each in specs.values())
        name, rank = self._metadata["name"], 0
        for role in ("Master", "Worker"):
            spec = specs.get(role) or {"replicas": 0}
            for index in range(spec.get("replicas", 1)):
                lower = role.lower()
                labels = {
                    f"{_LABEL}job-name": name,
                    f"{_LABEL}operator-name": "pytorchjob-controller",
                    f"{_LABEL}replica-index": str(index),
                    f"{_LABEL}replica-type": lower,
                    **({f"{_LABEL}job-role": "master"} if role == "Master" else {}),
                }
                address = f"{name}-{'master' if 'Master' in specs else 'worker'}-0"
                env = {"MASTER_PORT": str(MASTER_PORT), "MASTER_ADDR": address, "WORLD_SIZE": str(world)}
                policy = spec.get("restartPolicy") or "OnFailure"
                yield Replica(
                    role,
                    index,
                    f"{name}-{lower}-{index}",
                    spec["template"],
                    "Never" if policy == "ExitCode" else policy,
                    labels,
                    {"PYTHONUNBUFFERED": "1", **env, "RANK": str(rank)},
                )
                rank += 1

    def judge(self) -> None:
        specs = self._spec["pytorchReplicaSpecs"]
        leader = "Master" if "Master" in specs else "Worker"
        phases = self.phases(leader)
        if "Running" in phases:
            self.set("Running", f"{self._named} is running.")
        if all(phase == "Succeeded" for phase in phases):
            self.succeed(f"{self._named} is successfully completed.")
            return
        for role, spec in specs.items():
            failed = self.phases(role).count("Failed")
            if failed and spec.get("restartPolicy") == "ExitCode" and self._restart(role):
                self.set("Restarting", f"{self._named} is restarting because {failed} {role} replica(s) failed.")
            elif failed:
                self.fail(f"{self._named} is failed because {failed} {role} replica(s) failed.")
                return
        self._heed_backoff_limit()

    def _restart(self, role: str) -> bool:
        """Delete the failed pods that signals have ended; whether those are all."""
        failed = [
            self._pods[each.name]
            for each in self._replicas
            if each.group == role and each.name in self._pods and self._pods[each.name]["status"]["phase"] == "Failed"
        ]
        signalled = [pod for pod in failed if _exit_code(pod) >= _RETRYABLE]
        self._delete(signalled if len(signalled) == len(failed) else ())
        return len(signalled) == len(failed)

    def _heed_backoff_limit(self) -> None:
        limit = self._policy.get("backoffLimit")
        if limit is None:
            return
        restarts = sum(
            each["restartCount"] for pod in self._pods.values() for each in pod["status"].get("containerStatuses", ())
        )
        if restarts >= limit if limit else restarts > 0:
            self.fail(f"Job {self._metadata['name']} has failed because it has reached the specified backoff limit")
            self._delete(self._pods.values())

    def report(self) -> None:
        statuses = {}
        for role in self._spec.get("pytorchReplicaSpecs") or {}:
            phases = self.phases(role)
            counts = {name: phases.count(phase) for name, phase in _COUNTED.items()}
            labels = {"job-name": self._metadata["name"], "operator-name": "pytorchjob-controller"}
            selector = ",".join(
                f"{_LABEL}{key}={value}" for key, value in (labels | {"replica-type": role.lower()}).items()
            )
            statuses[role] = {**{name: count for name, count in counts.items() if count}, "selector": selector}
        self._status["replicaStatuses"] = statuses


_COUNTED = {"active": "Running", "succeeded": "Succeeded", "failed": "Failed"}


class _HyperPodSync(_Sync):
    """Groups of pods that all have to succeed."""

    success = "Completed"
    unset_clean_pod_policy = "All"

    def replicas(self) -> Iterator[Replica]:
        name, rank = self._metadata["name"], 0
        world = sum(each.get("replicas", 0) for each in self._spec.get("replicaSpecs") or ())
        for spec in self._spec.get("replicaSpecs") or ():
            for index in range(spec.get("replicas", 0)):
                env = {"WORLD_SIZE": str(world), "RANK": str(rank)}
                pod_name = f"{name}-{spec['name']}-{index}"
                yield Replica(spec["name"], index, pod_name, spec["template"], "Never", {"HPJob": name}, env)
                rank += 1

    def judge(self) -> None:
        phases = [phase for each in {one.group for one in self._replicas} for phase in self.phases(each)]
        if "Failed" in phases:
            self._retry(phases.count("Failed"))
        elif all(phase == "Succeeded" for phase in phases):
            self.succeed(f"{self._named} is completed.")
        elif "Pending" not in phases:
            self.set("Running", f"{self._named} is running.")

    def _retry(self, failed: int) -> None:
        """Start all pods again, as often as the job allows."""
        restarts = self._status.get("restartCount", 0)
        if restarts >= (self._policy.get("jobMaxRetryCount") or 0):
            self.fail(f"{self._named} has failed because {failed} pods failed.")
            return
        self._status["restartCount"] = restarts + 1
        self._delete(self._pods.values())

    def report(self) -> None:
        references = [
            {"apiVersion": "v1", "kind": "Pod", **{key: pod["metadata"][key] for key in ("name", "namespace", "uid")}}
            for _, pod in sorted(self._pods.items())
        ]
        self._status["jobPods"] = references
        self._status.setdefault("restartCount", 0)

    def expires(self, ttl: int) -> bool:
        """The field's default of 0 is not taken for one: finished jobs stay listed in the CLI's own samples."""
        return ttl > 0


def _exit_code(pod: Object) -> int:
    """The highest exit code of a pod's containers."""
    states = (each["state"].get("terminated") or {} for each in pod["status"].get("containerStatuses", ()))
    return max((int(state.get("exitCode", 0)) for state in states), default=0)
