"""Kueue: work with a queue's label waits until its team's quota has room for it.

HyperPod's add-on runs it with ``manageJobsWithoutQueueName: false``, so that work without the label is left alone
(SageMaker AI Developer Guide, "Setup for SageMaker HyperPod task governance"). Sources: Kueue documentation,
"Workload", "Cluster Queue", "Preemption"; reasons and messages as in Kueue 0.12, which that guide names. Not emulated:
admission checks, topologies, partial admission, fair sharing by weights, and pods or deployments as work.
"""

import datetime
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from podshare_sandbox import clock
from podshare_sandbox.json_copy import json_copy
from podshare_sandbox.services.kubernetes import errors, quantities, selectors
from podshare_sandbox.services.kubernetes.batch import TEMPLATE_LABELS
from podshare_sandbox.services.kubernetes.controllers.client import ControllerClient, controller_of, owner_reference
from podshare_sandbox.services.kubernetes.controllers.conditions import find, is_true, set_condition
from podshare_sandbox.services.kubernetes.controllers.frameworks import FRAMEWORKS, Framework, jobs_of
from podshare_sandbox.services.kubernetes.controllers.quota import Amounts, Assigner, Assignment, PodSet, Queue, Quota
from podshare_sandbox.services.kubernetes.resources import BY_KIND, Resource

Object = dict[str, Any]
Name = tuple[str, str, str]  # of an object: its kind, namespace and name
State = tuple[str, str, str]  # of a condition: its status, reason and message

NAMESPACE, SERVICE_ACCOUNT = "kueue-system", "kueue-controller-manager"
QUEUE_NAME, PRIORITY_CLASS = "kueue.x-k8s.io/queue-name", "kueue.x-k8s.io/priority-class"
JOB_UID, IN_USE = "kueue.x-k8s.io/job-uid", "kueue.x-k8s.io/resource-in-use"
_PAST_SECONDS = "accumulatedPastExexcutionTimeSeconds"  # spelled so in v1beta1 (Kueue API reference, WorkloadStatus)
_LONGEST_NAME = 253
_HASHED = 5


def hold_back(resource: Resource, created: Object) -> None:
    """Kueue's mutating webhook: new work with a queue's label starts suspended."""
    if resource.kind in FRAMEWORKS and _queue_name(created):
        FRAMEWORKS[resource.kind].suspend(created, True)


def keep_queue(resource: Resource, after: Object, before: Object) -> None:
    """Kueue's validating webhook: work changes its queue only while it is suspended. Raises KubernetesError."""
    framework = FRAMEWORKS.get(resource.kind)
    if framework is None or _queue_name(after) == _queue_name(before):
        return
    if not (framework.is_suspended(after) and framework.is_suspended(before)):
        why = f'metadata.labels[{QUEUE_NAME}]: Invalid value: "{_queue_name(after)}": field is immutable'
        told = f'admission webhook "v{resource.kind.lower()}.kb.io" denied the request: {why}'
        raise errors.KubernetesError(403, "Forbidden", told)


def _queue_name(job: Object) -> str:
    return str((job["metadata"].get("labels") or {}).get(QUEUE_NAME, ""))


def reconcile(client: ControllerClient) -> None:
    """A workload for each job of a queue, quota for those that fit, and the jobs as their workloads say."""
    managed = {
        job["metadata"]["uid"]: (framework, job)
        for framework, job in jobs_of(client.list)
        if _queue_name(job) and not _is_part_of_other_work(job)
    }
    workloads = {
        reference["uid"]: each for each in client.list("Workload") if (reference := controller_of(each)) is not None
    }
    for uid, workload in list(workloads.items()):
        if "deletionTimestamp" in workload["metadata"] or uid not in managed:
            _release(client, workload)
            del workloads[uid]
    for uid, (framework, job) in managed.items():
        if uid not in workloads and framework.end(job) is None and "deletionTimestamp" not in job["metadata"]:
            made = _workload(client, framework, job)
            if made:
                workloads[uid] = client.create(made)
    for uid, workload in workloads.items():
        _finish(client, *managed[uid], workload)
    _Scheduler(client, list(workloads.values())).run()
    for uid in workloads:
        framework, job = managed[uid]
        found = client.get("Workload", job["metadata"]["namespace"], workloads[uid]["metadata"]["name"])
        if found:
            _obey(client, framework, job, found)


def _is_part_of_other_work(job: Object) -> bool:
    owner = controller_of(job)
    return owner is not None and owner["kind"] in FRAMEWORKS


def _release(client: ControllerClient, workload: Object) -> None:
    """Let a workload go whose job is gone, or that somebody deletes."""
    if IN_USE in (workload["metadata"].get("finalizers") or ()):
        workload["metadata"]["finalizers"].remove(IN_USE)
        if not workload["metadata"]["finalizers"]:
            del workload["metadata"]["finalizers"]
        client.write(workload)


# ---- workloads --------------------------------------------------------------------------------------------------


def _workload(client: ControllerClient, framework: Framework, job: Object) -> Object | None:
    """The workload of a job; None while the job names a priority class that does not exist."""
    metadata, priority = job["metadata"], 0
    priority_class = (metadata.get("labels") or {}).get(PRIORITY_CLASS)
    if priority_class:
        found = client.get("WorkloadPriorityClass", None, priority_class)
        if found is None:
            return None
        priority = found["value"]
    named = {"priorityClassName": priority_class, "priorityClassSource": "kueue.x-k8s.io/workloadpriorityclass"}
    groups = framework.pod_groups(json_copy(job))
    return {
        "apiVersion": BY_KIND["Workload"].api_version,
        "kind": "Workload",
        "metadata": {
            "name": workload_name(job),
            "namespace": metadata["namespace"],
            "labels": {JOB_UID: metadata["uid"]},
            "ownerReferences": [owner_reference(job)],
            "finalizers": [IN_USE],
        },
        "spec": {
            "active": True,
            "queueName": _queue_name(job),
            "priority": priority,
            **(named if priority_class else {}),
            "podSets": [
                {"name": each.name, "count": each.count, "template": _unmarked(each.template)} for each in groups
            ],
        },
    }


def _unmarked(template: Object) -> Object:
    """A template without the labels by which a job knows its pods."""
    marked = template.get("metadata") or {}
    kept = {key: value for key, value in (marked.get("labels") or {}).items() if key not in TEMPLATE_LABELS}
    return {**template, "metadata": {**marked, "labels": kept}}


def workload_name(job: Object) -> str:
    """Kind, name and the start of a hash (Kueue, GetWorkloadNameForOwnerWithGVK)."""
    kind, name, uid = job["kind"], job["metadata"]["name"], job["metadata"]["uid"]
    group = BY_KIND[kind].group
    digest = hashlib.sha1(f"{kind}\n{group}\n{name}\n{uid}".encode()).hexdigest()  # noqa: S324  # Kueue's own, no secret
    return f"{kind.lower()}-{name}"[: _LONGEST_NAME - _HASHED - 1] + f"-{digest[:_HASHED]}"


def _finish(client: ControllerClient, framework: Framework, job: Object, workload: Object) -> None:
    end = framework.end(job)
    if end is None or is_true(workload, "Finished"):
        return
    succeeded, message = end
    conditions = workload.setdefault("status", {}).setdefault("conditions", [])
    set_condition(conditions, "Finished", "True", reason="Succeeded" if succeeded else "Failed", message=message)
    _release(client, client.write(workload))


def _obey(client: ControllerClient, framework: Framework, job: Object, workload: Object) -> None:
    """Start a job that is admitted, with the node labels of its flavors, and hold back one that is not."""
    if framework.end(job) is not None or "deletionTimestamp" in job["metadata"]:
        return
    admitted = is_true(workload, "Admitted")
    if framework.is_suspended(job) is not admitted:
        return
    if not admitted:
        job = _stop(client, framework, job)
    framework.suspend(job, not admitted)
    flavors = {each["name"]: each.get("flavors") or {} for each in _assignments(workload)} if admitted else {}
    originals = {each["name"]: each["template"] for each in workload["spec"]["podSets"]}
    for group in framework.pod_groups(job):
        pod = group.template.setdefault("spec", {})
        selector = dict((originals[group.name].get("spec") or {}).get("nodeSelector") or {})
        for flavor in set(flavors.get(group.name, {}).values()):
            selector |= _node_labels(client.get("ResourceFlavor", None, flavor))
        pod.pop("nodeSelector", None)
        if selector:
            pod["nodeSelector"] = selector
    client.write(job)


def _stop(client: ControllerClient, framework: Framework, job: Object) -> Object:
    """Suspend a job, and let it be as if it had not started: only then may its node labels go."""
    framework.suspend(job, True)
    job = client.write(job)
    if "startTime" in (job.get("status") or {}):
        del job["status"]["startTime"]
        job = client.write(job)
    return job


def _assignments(workload: Object) -> Sequence[Object]:
    return ((workload.get("status") or {}).get("admission") or {}).get("podSetAssignments") or ()


def _node_labels(flavor: Object | None) -> dict[str, str]:
    return dict(((flavor or {}).get("spec") or {}).get("nodeLabels") or {})


# ---- quota ------------------------------------------------------------------------------------------------------


class _Scheduler:
    """One look at everything that waits for quota."""

    def __init__(self, client: ControllerClient, workloads: list[Object]) -> None:
        self._client = client
        self._workloads = [each for each in workloads if not is_true(each, "Finished")]
        self._flavors = {each["metadata"]["name"]: _node_labels(each) for each in client.list("ResourceFlavor")}
        self._cluster_queues = {each["metadata"]["name"]: each for each in client.list("ClusterQueue")}
        self._local_queues = {
            (each["metadata"]["namespace"], each["metadata"]["name"]): each for each in client.list("LocalQueue")
        }
        self._queues = {name: _queue(each) for name, each in self._cluster_queues.items()}
        for workload in self._workloads:
            holder = _holder(workload)
            if holder in self._queues:
                self._queues[holder].take(_usage(workload))

    def run(self) -> None:
        waiting = [each for each in self._workloads if not is_true(each, "QuotaReserved")]
        for workload in sorted(waiting, key=_order):
            self._schedule(workload)
        self._report()

    def _schedule(self, workload: Object) -> None:
        name = self._queue_of(workload)
        problem = self._problem(workload, name)
        if problem:
            self._refuse(workload, "Inadmissible", problem)
            return
        found = self._attempt(workload, name)
        if found.refusal and found.could_fit:
            found = self._preempt(workload, name) or found
        if found.refusal:
            self._refuse(workload, "Pending", found.refusal)
        else:
            self._admit(workload, name, found)

    def _queue_of(self, workload: Object) -> str:
        key = (workload["metadata"]["namespace"], workload["spec"]["queueName"])
        return str(self._local_queues[key]["spec"]["clusterQueue"]) if key in self._local_queues else ""

    def _problem(self, workload: Object, cluster_queue: str) -> str | None:
        if not cluster_queue:
            return f"LocalQueue {workload['spec']['queueName']} doesn't exist"
        found = self._cluster_queues.get(cluster_queue)
        if found is None:
            return f"ClusterQueue {cluster_queue} doesn't exist"
        if _is_stopped(found):
            return f"ClusterQueue {cluster_queue} is inactive"
        namespace = self._client.get("Namespace", None, workload["metadata"]["namespace"])
        labels = ((namespace or {}).get("metadata") or {}).get("labels") or {}
        selector = found["spec"].get("namespaceSelector")
        if selector is None or not selectors.selected(selector, labels):
            return "Workload namespace doesn't match ClusterQueue selector"
        return None

    def _attempt(self, workload: Object, name: str) -> Assignment:
        return Assigner(self._queues[name], self._cohort(name), self._flavors).assign(_pod_sets(workload))

    def _cohort(self, name: str) -> list[Queue]:
        queue = self._queues[name]
        return [
            each for each in self._queues.values() if each is queue or (queue.cohort and each.cohort == queue.cohort)
        ]

    # ---- preemption ----

    def _preempt(self, workload: Object, name: str) -> Assignment | None:
        """Make room at the cost of as few others as do; None if there is no way.

        What is lent is taken back only for what is within the queue's own quota.
        """
        candidates = self._candidates(workload, name)
        in_queue = [each for each in candidates if each[1] == _IN_QUEUE]
        for considered, within_nominal in ((candidates, True), (in_queue, False)):
            victims = self._victims(workload, name, considered, within_nominal=within_nominal)
            if victims:
                for victim, why in victims:
                    self._evict(victim, workload, why)
                return self._attempt(workload, name)
        return None

    def _victims(
        self, workload: Object, name: str, candidates: list[tuple[Object, str]], *, within_nominal: bool
    ) -> list[tuple[Object, str]]:
        """Those of the candidates without whom the workload fits; their usage is given back."""

        def fits() -> bool:
            found, queue = self._attempt(workload, name), self._queues[name]
            own = all(queue.used(what) + much <= queue.quotas[what].nominal for what, much in found.amounts.items())
            return not found.refusal and (own or not within_nominal)

        victims: list[tuple[Object, str]] = []
        for candidate in candidates:
            self._queues[_holder(candidate[0])].take(_usage(candidate[0]), -1)
            victims.append(candidate)
            if fits():
                break
        needed = []
        for victim in victims:  # give each its place back, unless the workload fits no more
            self._queues[_holder(victim[0])].take(_usage(victim[0]))
            if not fits():
                self._queues[_holder(victim[0])].take(_usage(victim[0]), -1)
                needed.append(victim)
        if fits():
            return needed
        for victim in needed:
            self._queues[_holder(victim[0])].take(_usage(victim[0]))
        return []

    def _candidates(self, workload: Object, name: str) -> list[tuple[Object, str]]:
        """Who may be preempted: borrowers of the cohort first, then lower priorities of the queue; latest first."""
        preemption = self._cluster_queues[name]["spec"].get("preemption") or {}
        cohort = {each.name: each for each in self._cohort(name)}
        found: list[tuple[Object, str]] = []
        for other in self._workloads:
            holder = _holder(other)
            if not is_true(other, "Admitted") or holder not in cohort:
                continue
            if holder == name:
                lower = other["spec"]["priority"] < workload["spec"]["priority"]
                if preemption.get("withinClusterQueue") == "LowerPriority" and lower:
                    found.append((other, _IN_QUEUE))
            elif preemption.get("reclaimWithinCohort") == "Any" and any(map(cohort[holder].borrowed, _usage(other))):
                found.append((other, _IN_COHORT))
        found.sort(key=lambda pair: _order(pair[0]), reverse=True)
        found.sort(key=lambda pair: pair[1] == _IN_QUEUE)
        return found

    def _evict(self, victim: Object, winner: Object, why: str) -> None:
        told = (
            f"Preempted to accommodate a workload (UID: {winner['metadata']['uid']}, "
            f"JobUID: {winner['metadata']['labels'][JOB_UID]}) due to {why}"
        )
        status = victim["status"]
        del status["admission"]
        status[_PAST_SECONDS] = status.get(_PAST_SECONDS, 0) + _seconds_since(find(status["conditions"], "Admitted"))
        for kind, value, reason in (
            ("Evicted", "True", "Preempted"),
            ("Preempted", "True", "InClusterQueue" if why == _IN_QUEUE else "InCohortReclamation"),
            ("Requeued", "True", "Preempted"),
            ("QuotaReserved", "False", "Pending"),
        ):
            set_condition(status["conditions"], kind, value, reason=reason, message=told)
        reason, message = "NoReservation", "The workload has no reservation"
        set_condition(status["conditions"], "Admitted", "False", reason=reason, message=message)
        victim.update(self._client.write(victim))

    # ---- what becomes of a workload ----

    def _refuse(self, workload: Object, reason: str, message: str) -> None:
        conditions = workload.setdefault("status", {}).setdefault("conditions", [])
        set_condition(conditions, "QuotaReserved", "False", reason=reason, message=message)
        workload.update(self._client.write(workload))

    def _admit(self, workload: Object, name: str, found: Assignment) -> None:
        self._queues[name].take(found.amounts)
        status = workload.setdefault("status", {})
        status["admission"] = {
            "clusterQueue": name,
            "podSetAssignments": [_assignment(each, found) for each in _pod_sets(workload)],
        }
        conditions = status.setdefault("conditions", [])
        for kind in ("Evicted", "Preempted"):
            before = find(conditions, kind)
            if before and before["status"] == "True":
                told = f"Previously: {before['message']}"
                set_condition(conditions, kind, "False", reason="QuotaReserved", message=told)
        told = f"Quota reserved in ClusterQueue {name}"
        set_condition(conditions, "QuotaReserved", "True", reason="QuotaReserved", message=told)
        set_condition(conditions, "Admitted", "True", reason="Admitted", message="The workload is admitted")
        workload.update(self._client.write(workload))

    # ---- what the queues tell ----

    def _report(self) -> None:
        for name, cluster_queue in self._cluster_queues.items():
            mine = [each for each in self._workloads if (_holder(each) or self._queue_of(each)) == name]
            _tell(self._client, cluster_queue, mine, _state_of(cluster_queue), self._queues[name])
        for (namespace, name), local_queue in self._local_queues.items():
            mine = [
                each
                for each in self._workloads
                if (each["metadata"]["namespace"], each["spec"]["queueName"]) == (namespace, name)
            ]
            state = _state_of_local(self._cluster_queues.get(local_queue["spec"]["clusterQueue"]))
            _tell(self._client, local_queue, mine, state)


def count(client: ControllerClient, changed: Iterable[Name]) -> None:
    """What Kueue reports of queues that have changed while there is no work."""
    for kind, namespace, name in changed:
        queue = client.get(kind, namespace or None, name)
        if kind == "LocalQueue" and queue is not None:
            cluster_queue = client.get("ClusterQueue", None, queue["spec"]["clusterQueue"])
            _tell(client, queue, [], _state_of_local(cluster_queue))
        elif kind == "ClusterQueue":
            before = find(((queue or {}).get("status") or {}).get("conditions") or [], "Active")
            if queue is not None:
                _tell(client, queue, [], _state_of(queue), _queue(queue))
            if queue is None or before is None or before["status"] != _state_of(queue)[0]:
                for each in client.list("LocalQueue"):
                    if each["spec"]["clusterQueue"] == name:
                        _tell(client, each, [], _state_of_local(queue))


def _tell(
    client: ControllerClient, queue: Object, mine: list[Object], state: State, counted: Queue | None = None
) -> None:
    """Write a queue's status; of a ClusterQueue with what is ``counted`` of its flavors."""
    status = json_copy(queue.get("status") or {})
    active, reason, message = state
    set_condition(status.setdefault("conditions", []), "Active", active, reason=reason, message=message)
    reserving = sum(is_true(each, "QuotaReserved") for each in mine)
    status |= {"pendingWorkloads": len(mine) - reserving, "reservingWorkloads": reserving}
    status["admittedWorkloads"] = sum(is_true(each, "Admitted") for each in mine)
    if counted is not None:
        usage = [
            {"name": flavor, "resources": [_used(counted, flavor, resource) for resource in sorted(resources)]}
            for resources, flavors in counted.groups
            for flavor in flavors
        ]
        status |= {"flavorsReservation": usage, "flavorsUsage": usage}
    client.write({**queue, "status": status})


def _state_of(cluster_queue: Object) -> State:
    """The condition Active with reason and message (Kueue, clusterQueue.inactiveReason)."""
    if _is_stopped(cluster_queue):
        return "False", "Stopped", "Can't admit new workloads: is stopped."
    return "True", "Ready", "Can admit new workloads"


def _state_of_local(cluster_queue: Object | None) -> State:
    """The condition Active of a ClusterQueue's LocalQueue (Kueue, LocalQueueReconciler.Reconcile)."""
    if cluster_queue is None:
        return "False", "ClusterQueueDoesNotExist", "Can't submit new workloads to clusterQueue"
    if _is_stopped(cluster_queue):
        return "False", "ClusterQueueIsInactive", "Can't submit new workloads to clusterQueue"
    return "True", "Ready", "Can submit new workloads to localQueue"


def _seconds_since(admitted: Object | None) -> int:
    """How long a workload has been admitted (Kueue, SyncAdmittedCondition)."""
    if admitted is None:
        return 0
    since = datetime.datetime.fromisoformat(admitted["lastTransitionTime"])
    return int((clock.now() - since).total_seconds())


_IN_QUEUE, _IN_COHORT = "prioritization in the ClusterQueue", "reclamation within the cohort"


def _is_stopped(queue: Object) -> bool:
    return bool(queue["spec"].get("stopPolicy", "None") != "None")


def _holder(workload: Object) -> str:
    """The ClusterQueue whose quota a workload has."""
    return str(((workload.get("status") or {}).get("admission") or {}).get("clusterQueue", ""))


def _order(workload: Object) -> tuple[int, str, int]:
    """Higher priorities first, then those that came earlier."""
    metadata = workload["metadata"]
    return -workload["spec"]["priority"], metadata["creationTimestamp"], int(metadata["resourceVersion"])


def _queue(cluster_queue: Object) -> Queue:
    spec, groups, quotas = cluster_queue["spec"], [], {}
    for group in spec.get("resourceGroups") or ():
        groups.append((group["coveredResources"], [flavor["name"] for flavor in group["flavors"]]))
        for flavor in group["flavors"]:
            for resource in flavor["resources"]:
                limits = (resource.get(limit) for limit in ("borrowingLimit", "lendingLimit"))
                borrowing, lending = (None if each is None else quantities.parse(each) for each in limits)
                nominal = quantities.parse(resource["nominalQuota"])
                quotas[flavor["name"], resource["name"]] = Quota(nominal, borrowing, lending)
    return Queue(cluster_queue["metadata"]["name"], spec.get("cohort"), groups, quotas)


def _pod_sets(workload: Object) -> list[PodSet]:
    return [
        PodSet(each["name"], each["count"], _requests(spec), spec.get("nodeSelector") or {})
        for each in workload["spec"]["podSets"]
        for spec in [each["template"].get("spec") or {}]
    ]


def _requests(pod: Object) -> Mapping[str, Fraction]:
    """What a pod asks for: its containers' sum, or its largest init container; limits where requests are missing."""
    found: dict[str, Fraction] = {}
    for container in pod.get("containers") or ():
        for name, amount in _container_requests(container).items():
            found[name] = found.get(name, Fraction(0)) + amount
    for container in pod.get("initContainers") or ():
        for name, amount in _container_requests(container).items():
            found[name] = max(found.get(name, Fraction(0)), amount)
    return found


def _container_requests(container: Object) -> Mapping[str, Fraction]:
    resources = container.get("resources") or {}
    asked = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {name: quantities.parse(amount) for name, amount in asked.items()}


def _assignment(pod_set: PodSet, found: Assignment) -> Object:
    flavors = found.flavors[pod_set.name]
    usage = {name: pod_set.requests[name] * pod_set.count for name in flavors}
    return {
        "name": pod_set.name,
        "count": pod_set.count,
        "flavors": dict(flavors),
        "resourceUsage": {name: quantities.written(amount, name) for name, amount in usage.items()},
    }


def _usage(workload: Object) -> Amounts:
    found: Amounts = {}
    for each in _assignments(workload):
        for name, amount in each["resourceUsage"].items():
            what = (each["flavors"][name], name)
            found[what] = found.get(what, Fraction(0)) + quantities.parse(amount)
    return found


def _used(queue: Queue, flavor: str, resource: str) -> Object:
    what = (flavor, resource)
    shown = {"total": queue.used(what), "borrowed": queue.borrowed(what)}
    return {"name": resource, **{name: quantities.written(amount, resource) for name, amount in shown.items()}}
