"""A team's Kubernetes service accounts."""

from dataclasses import dataclass
from typing import Self

from podshare.kinds.base import Manifest, Resource, Stage, Work
from podshare.kinds.manifests import object_of


@dataclass(frozen=True, kw_only=True)
class ServiceAccount(Resource):
    """A Kubernetes service account in the team's namespace (labels stand in ``tags``)."""

    work = Work.KUBERNETES
    cut_stage = remove_stage = Stage.REMAINS
    gives = False
    in_namespace = True
    object_kind = "ServiceAccount"

    def common(self, desired: Self) -> Self | None:
        return self  # it gives nothing by itself

    def manifest(self) -> Manifest:
        return object_of("v1", self)
