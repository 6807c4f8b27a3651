"""The Kubernetes API of each EKS cluster, as small as the sandbox can use it and as strict as the real one.

Clients reach it through the front door at the cluster's endpoint, with TLS by the cluster's own CA and an EKS token;
the sandbox itself uses :func:`api_of`, which asks nobody. Admission policies and Pod Security are in force; a
NetworkPolicy is kept, and has no effect. Work is run by :mod:`.controllers`, pods by
:mod:`podshare_sandbox.services.containers`. Not emulated: scheduling (every pod is placed at once), pod
subresources but logs and exec, service account tokens, answers in protobuf.
"""

import threading
from collections.abc import Callable
from typing import Protocol

from moto.eks.models import Cluster

from podshare_sandbox.front_door import VirtualHost
from podshare_sandbox.services import eks, sagemaker
from podshare_sandbox.services.kubernetes import task_governance
from podshare_sandbox.services.kubernetes.api import KubernetesApi
from podshare_sandbox.services.kubernetes.endpoint import KubernetesEndpoint
from podshare_sandbox.services.kubernetes.errors import KubernetesError

__all__ = ["KubernetesApi", "KubernetesEndpoint", "KubernetesError", "api_of", "endpoint_of", "install", "publish"]

_API = "_podshare_kubernetes_api"
_lock = threading.RLock()
# called with each cluster and its API when it comes up
api_listeners: list[Callable[[Cluster, KubernetesApi], None]] = []


class Registry(Protocol):
    """Where virtual hosts are registered: the front door."""

    def register(self, virtual_host: VirtualHost) -> None:
        """Serve the hosts of ``virtual_host`` from now on."""


def install() -> None:
    """Begin without listeners; a cluster's API comes up when it is first asked for."""
    api_listeners.clear()


def publish(registry: Registry) -> None:
    """Register the endpoints of all clusters, and of those to come, with the front door."""

    def open_endpoint(cluster: Cluster) -> None:
        registry.register(KubernetesEndpoint(cluster, _api(cluster)))

    for cluster in eks.clusters():
        open_endpoint(cluster)
    eks.cluster_listeners[:] = [open_endpoint]  # a process has one front door; that of an earlier sandbox is closed


def api_of(cluster_arn: str) -> KubernetesApi:
    """The API of a cluster, for the system itself. Raises KeyError if there is no such cluster."""
    return _api(eks.cluster_of(cluster_arn))


def endpoint_of(cluster_arn: str) -> KubernetesEndpoint:
    """The endpoint of a cluster, without a network. Raises KeyError if there is no such cluster."""
    cluster = eks.cluster_of(cluster_arn)
    return KubernetesEndpoint(cluster, _api(cluster))


def _api(cluster: Cluster) -> KubernetesApi:
    with _lock:
        if _API not in cluster.__dict__:
            api = cluster.__dict__[_API] = KubernetesApi()
            for listener in api_listeners:
                listener(cluster, api)
        found: KubernetesApi = cluster.__dict__[_API]
        return found


def _shape_queues(quota: sagemaker.Definition, change: sagemaker.Change) -> None:
    task_governance.shape_queues(api_of(sagemaker.eks_cluster_arn(quota)), quota, change)


def _shape_priorities(config: sagemaker.Definition, change: sagemaker.Change) -> None:
    task_governance.shape_priorities(api_of(sagemaker.eks_cluster_arn(config)), config, change)


sagemaker.effects.update({sagemaker.QUOTA: _shape_queues, sagemaker.SCHEDULER: _shape_priorities})
