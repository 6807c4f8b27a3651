"""Facts that only AWS knows, and that records are completed with: of clusters, and of file systems."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from podshare.installation import Installation
from podshare.registry.records import Scheduler


@dataclass(frozen=True, slots=True)
class FileSystemFacts:
    """What only AWS knows of a file system, and does not change; but for its capacity, which only grows."""

    file_system: str
    dns_name: str
    mount_name: str
    capacity_gib: int

    def as_dict(self) -> dict[str, Any]:
        """In plain JSON."""
        return asdict(self)

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Self:
        """The reverse of ``as_dict``; the row may hold more."""
        return cls(row["file_system"], row["dns_name"], row["mount_name"], int(row["capacity_gib"]))


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """A cluster record with what only AWS knows: the ARN of its HyperPod cluster, and a team's file systems there."""

    name: str
    account: str
    region: str
    eks_cluster: str
    hyperpod_arn: str
    scheduler: Scheduler | None = None
    namespace_hardening: str = "off"
    kubernetes_api: bool = True
    file_systems: tuple[FileSystemFacts, ...] = ()

    def eks_arn(self, installation: Installation) -> str:
        """The ARN of the EKS cluster."""
        return installation.eks_arn(self.account, self.region, self.eks_cluster)
