"""A write that admission is asked about."""

from dataclasses import dataclass
from typing import Any

from podshare_sandbox.services.kubernetes.authentication import KubernetesUser
from podshare_sandbox.services.kubernetes.resources import Resource

Object = dict[str, Any]


@dataclass(frozen=True)
class AdmissionRequest:
    """A write that is about to happen; ``candidate`` is None for a deletion, ``before`` for a creation.

    ``name`` is the request's own: empty where a collection is deleted, or the API server makes the name.
    """

    user: KubernetesUser
    operation: str
    resource: Resource
    namespace: str
    name: str
    candidate: Object | None
    before: Object | None
