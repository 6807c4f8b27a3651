"""The kinds of work that Kueue manages: how each is held back, what pods it makes, and how it ends.

Sources: Kueue documentation, "Run Workloads"; SageMaker AI Developer Guide, "HyperPod training operator" with Kueue.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from podshare_sandbox.services.kubernetes.controllers.conditions import find, is_true

Object = dict[str, Any]


@dataclass(frozen=True)
class PodGroup:
    """Pods of a job that are alike, as Kueue names and counts them; ``template`` is the job's own, to be changed."""

    name: str
    count: int
    template: Object


@dataclass(frozen=True)
class Framework:
    """One kind of work."""

    kind: str
    run_policy: Callable[[Object], Object]  # where `suspend` stands
    pod_groups: Callable[[Object], list[PodGroup]]
    ends: tuple[str, str]  # the conditions of success and of failure

    def is_suspended(self, job: Object) -> bool:
        """Whether the job is held back."""
        return bool(self.run_policy(job).get("suspend"))

    def suspend(self, job: Object, suspended: bool) -> None:
        """Hold the job back, or let it go."""
        self.run_policy(job)["suspend"] = suspended

    def end(self, job: Object) -> tuple[bool, str] | None:
        """Whether the job has succeeded, and its message, once it has ended."""
        for condition in self.ends:
            if is_true(job, condition):
                found = find(job["status"]["conditions"], condition) or {}
                return condition == self.ends[0], found["message"]
        return None


def _job_pods(job: Object) -> list[PodGroup]:
    spec = job["spec"]
    count = min(spec["parallelism"], spec.get("completions") or spec["parallelism"])
    return [PodGroup("main", count, spec["template"])]


def _replica_pods(job: Object) -> list[PodGroup]:
    specs = job["spec"].get("pytorchReplicaSpecs") or {}
    return [
        PodGroup(role.lower(), specs[role].get("replicas", 1), specs[role].setdefault("template", {}))
        for role in ("Master", "Worker")
        if role in specs
    ]


def _hyperpod_pods(job: Object) -> list[PodGroup]:
    """Spares count for Kueue: they are resources that the job keeps."""
    return [
        PodGroup(each["name"], each.get("replicas", 0) + each.get("spares", 0), each.setdefault("template", {}))
        for each in job["spec"].get("replicaSpecs") or []
    ]


def _spec(job: Object) -> Object:
    spec: Object = job.setdefault("spec", {})
    return spec


def _run_policy(job: Object) -> Object:
    policy: Object = _spec(job).setdefault("runPolicy", {})
    return policy


FRAMEWORKS = {
    each.kind: each
    for each in (
        Framework("Job", _spec, _job_pods, ("Complete", "Failed")),
        Framework("PyTorchJob", _run_policy, _replica_pods, ("Succeeded", "Failed")),
        Framework("HyperPodPyTorchJob", _run_policy, _hyperpod_pods, ("Completed", "Failed")),
    )
}


def jobs_of(kinds: Callable[[str], list[Object]]) -> Iterator[tuple[Framework, Object]]:
    """Every object of these kinds."""
    for kind, framework in FRAMEWORKS.items():
        for job in kinds(kind):
            yield framework, job
