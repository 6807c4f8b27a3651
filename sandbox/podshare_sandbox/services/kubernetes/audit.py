"""The API server's audit log, in CloudWatch Logs while the cluster's logging has ``audit``.

An event for each request of an authenticated user for objects, at the level Metadata, once it is answered. Not
emulated: other levels and stages, watches, and requests of the control plane's own controllers.

Sources: EKS User Guide, "Send control plane logs to CloudWatch Logs"; Kubernetes documentation, "kube-apiserver Audit
Configuration (v1)".
"""

import json
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from moto.eks.models import Cluster
from moto.logs.models import logs_backends

from podshare_sandbox import clock
from podshare_sandbox.services import eks
from podshare_sandbox.services.kubernetes.authentication import KubernetesUser
from podshare_sandbox.services.kubernetes.authorizer import Attributes


@dataclass(frozen=True)
class Answered:
    """A request that was answered: of whom, as whom they acted if as somebody else, and what it was."""

    user: KubernetesUser
    acted_as: KubernetesUser | None
    attributes: Attributes
    version: str
    uri: str
    code: int
    received: datetime

    def event(self) -> dict[str, Any]:
        """The event of the audit log."""
        attributes = self.attributes
        reference = {
            **{"resource": attributes.resource, "namespace": attributes.namespace, "name": attributes.name},
            **{"apiGroup": attributes.group, "apiVersion": self.version, "subresource": attributes.subresource},
        }
        return {
            **{"kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "auditID": str(uuid.uuid4())},
            **{"stage": "ResponseComplete", "requestURI": self.uri, "verb": attributes.verb, "user": self.user.info()},
            **({"impersonatedUser": self.acted_as.info()} if self.acted_as else {}),
            "objectRef": {name: value for name, value in reference.items() if value},
            "responseStatus": {"metadata": {}, "code": self.code},
            "requestReceivedTimestamp": _written(self.received),
            "stageTimestamp": _written(clock.now()),
        }


class AuditLog:
    """The audit log of one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._group = f"/aws/eks/{cluster.name}/cluster"
        self._stream = f"kube-apiserver-audit-{uuid.uuid4().hex}"

    @property
    def is_on(self) -> bool:
        """Whether the cluster writes it."""
        return "audit" in eks.enabled_logs(self._cluster)

    def write(self, answered: Answered) -> None:
        """Note that a request was answered."""
        region, account = self._cluster.arn.split(":")[3:5]
        backend = logs_backends[account][region]
        backend.ensure_log_group(self._group)
        backend.ensure_log_stream(self._group, self._stream)
        at = int(clock.now().timestamp() * 1000)
        backend.put_log_events(self._group, self._stream, [{"timestamp": at, "message": json.dumps(answered.event())}])


def _written(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
