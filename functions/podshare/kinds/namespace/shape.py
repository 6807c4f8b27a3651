"""A team's namespace."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from podshare.installation import TEAM_LABEL, Installation
from podshare.kinds import hardening, names
from podshare.kinds.base import ExecutionRole, Kind, Manifest, Resource, Stage
from podshare.kinds.compute_quota.shape import quota_key
from podshare.kinds.manifests import displayed
from podshare.kinds.team_on_cluster import TeamOnCluster


@dataclass(frozen=True, kw_only=True)
class Namespace(Resource):
    """A team's namespace, which SageMaker makes: of podshare's are some labels (in ``tags``) and a network policy.

    One that is ``vacating`` was left by a team that was deleted: it is nobody's until it is empty. ``ending`` says
    what holds one that somebody has deleted; nothing can be made in it.
    """

    execution_role = ExecutionRole.KUBERNETES
    revoke_stage = remove_stage = Stage.NAMESPACE
    gives = False
    in_namespace = True
    object_kind = "Namespace"

    network_policy: Mapping[str, Any] | None = None
    vacating: bool = False
    ending: str = field(default="", compare=False)

    def intersection(self, desired: Self) -> Self | None:
        """With the barriers of both: what keeps pods in is put back first, whatever withholds additions."""
        if self.vacating:
            return None
        tags = hardening.stricter(self.tags, desired.tags)
        return replace(self, tags=tags, network_policy=desired.network_policy or self.network_policy)

    def manifest(self) -> Manifest:
        metadata = {"name": self.key.name, "labels": dict(sorted(self.tags.items()))}
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}

    def network_policy_in(self, installation: Installation) -> Manifest:
        """The object of the namespace's network policy."""
        return {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {
                "namespace": self.key.name,
                "name": names.network_policy(installation),
                "labels": displayed(names.labels(installation, self.tags[TEAM_LABEL])),
            },
            "spec": dict(self.network_policy or {}),
        }


def desired(on: TeamOnCluster) -> Iterator[Namespace]:
    """The team's namespace on the cluster."""
    cluster = on.cluster
    yield Namespace(
        key=on.key(Kind.NAMESPACE, on.team.namespace),
        tags=hardening.labels(on.team.name, cluster.namespace_hardening),
        why="the team's namespace",
        needs=frozenset({quota_key(on)}),
        network_policy=hardening.network_policy(cluster.namespace_hardening),
    )
