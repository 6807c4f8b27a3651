"""The thread in which a cluster's controllers run, and what wakes it."""

import threading

from moto.eks.models import Cluster

from podshare_sandbox.services import eks, sagemaker
from podshare_sandbox.services.kubernetes.api import KubernetesApi
from podshare_sandbox.services.kubernetes.controllers import cron_jobs, jobs, kueue, training
from podshare_sandbox.services.kubernetes.controllers.client import ControllerClient, Timers, controller_of
from podshare_sandbox.services.kubernetes.controllers.cron_jobs import CronJobs
from podshare_sandbox.services.kubernetes.journal import Change, Object
from podshare_sandbox.services.kubernetes.resources import Resource

_WORK = {"Job", "CronJob", "PyTorchJob", "HyperPodPyTorchJob", "Workload"}
# what work that waits may wait for
_CIRCUMSTANCES = {"LocalQueue", "ClusterQueue", "ResourceFlavor", "WorkloadPriorityClass", "Namespace"}
_QUEUES = {"LocalQueue", "ClusterQueue"}  # on which Kueue reports without any work, too
_managers: list["ControllerManager"] = []


class ControllerManager:
    """The controllers of one cluster."""

    def __init__(self, cluster: Cluster, api: KubernetesApi) -> None:
        self.cluster_name = cluster.name
        self._cluster = cluster
        self._api = api
        self._timers = Timers()
        self._cron_jobs = CronJobs()
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._thread: threading.Thread | None = None
        self._changed_queues: set[kueue.Name] = set()  # while there was no work
        self._has_work = self._is_acting = self._is_closed = False
        self._clients = {
            who: ControllerClient(api, *who)
            for who in (
                (jobs.NAMESPACE, jobs.SERVICE_ACCOUNT),
                (cron_jobs.NAMESPACE, cron_jobs.SERVICE_ACCOUNT),
                (kueue.NAMESPACE, kueue.SERVICE_ACCOUNT),
                training.KUBEFLOW,
                training.HYPERPOD,
            )
        }

    @property
    def is_busy(self) -> bool:
        """Whether there is something to do now."""
        return self._thread is not None and (self._is_acting or self._woken.is_set())

    def notice(self, change: Change) -> None:
        """Look at the cluster again if a change concerns work, or what Kueue reports."""
        kind = change.resource.kind
        if kind in _WORK or (kind == "Pod" and _is_of_work(change.object)):
            self._has_work = True
            self.wake()
        elif kind in _CIRCUMSTANCES and self._has_work:
            self.wake()
        elif kind in _QUEUES:
            metadata = change.object["metadata"]
            self._changed_queues.add((kind, metadata.get("namespace", ""), metadata["name"]))
            self.wake()

    def quotas_change(self, eks_cluster_arn: str) -> None:
        """A compute quota is about to change."""
        if eks_cluster_arn == self._cluster.arn and self._has_work:
            self.wake()

    def wake(self) -> None:
        """Look at the cluster again, in a thread that is started where none runs."""
        with self._lock:
            self._woken.set()
            if self._thread is None and not self._is_closed:
                self._thread = threading.Thread(target=self._run, daemon=True, name=f"controllers {self.cluster_name}")
                self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._is_closed = True
        self._woken.set()

    def hold_back(self, resource: Resource, created: Object) -> None:
        """Kueue's webhook, while its add-on is active."""
        if self._has_kueue:
            kueue.hold_back(resource, created)

    def keep_queue(self, resource: Resource, after: Object, before: Object) -> None:
        """Kueue's other webhook."""
        if self._has_kueue:
            kueue.keep_queue(resource, after, before)

    @property
    def _has_kueue(self) -> bool:
        addon = eks.addons(self._cluster).get(sagemaker.TASK_GOVERNANCE_ADDON)
        return addon is not None and addon.status == "ACTIVE"

    def _run(self) -> None:
        try:
            while not self._is_closed:
                self._is_acting = True
                self._woken.clear()
                wait = self._act()
                with self._lock:
                    self._is_acting = False
                    if wait is None and not self._woken.is_set():
                        self._thread = None
                        return
                self._woken.wait(wait)
        finally:
            with self._lock:
                self._is_acting = False
                if self._thread is threading.current_thread():
                    self._thread = None

    def _act(self) -> float | None:
        """Let each controller look at the cluster once; the real seconds until one wants to again."""
        sagemaker.settle_quotas(self._cluster.arn)
        has_kueue = self._has_kueue
        client = self._clients
        with self._api.lock:
            self._timers.begin()
            self._cron_jobs.reconcile(client[cron_jobs.NAMESPACE, cron_jobs.SERVICE_ACCOUNT], self._timers)
            changed, self._changed_queues = self._changed_queues, set()
            if has_kueue and self._has_work:
                kueue.reconcile(client[kueue.NAMESPACE, kueue.SERVICE_ACCOUNT])
            elif has_kueue:
                kueue.count(client[kueue.NAMESPACE, kueue.SERVICE_ACCOUNT], changed)
            jobs.reconcile(client[jobs.NAMESPACE, jobs.SERVICE_ACCOUNT], self._timers)
            training.reconcile_pytorch(client[training.KUBEFLOW], self._timers)
            training.reconcile_hyperpod(client[training.HYPERPOD], self._timers)
            self._has_work = any(self._api.objects(kind) for kind in _WORK)
        quotas = sagemaker.seconds_until_settled(self._cluster.arn) if self._has_work else None
        return min((each for each in (self._timers.wait, quotas) if each is not None), default=None)


def _is_of_work(pod: Object) -> bool:
    return controller_of(pod) is not None or jobs.is_tracked(pod)


def attend(cluster: Cluster, api: KubernetesApi) -> None:
    """Run controllers in a cluster that comes up."""
    made = ControllerManager(cluster, api)
    _managers.append(made)
    api.mutating_webhooks.append(made.hold_back)
    api.validating_webhooks.append(made.keep_queue)
    api.journal.subscribe(made.notice)
    sagemaker.change_listeners.append(made.quotas_change)


def managers() -> list[ControllerManager]:
    """Those of all clusters."""
    return list(_managers)


def close() -> None:
    """End them."""
    for each in _managers:
        each.close()
        sagemaker.change_listeners.remove(each.quotas_change)
    _managers.clear()
