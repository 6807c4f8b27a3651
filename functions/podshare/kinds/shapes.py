"""The shapes of all kinds, and what is desired of those that a team has one of, found in the kinds' own folders."""

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module

from podshare.kinds.base import ExecutionRole, Key, Kind, Resource
from podshare.kinds.facts import ClusterFacts
from podshare.kinds.team_on_cluster import TeamOnCluster


def _shape(kind: Kind) -> type[Resource]:
    """The class in the kind's ``shape.py`` that is named as the kind is: ``RoleAttachment`` for ``role_attachment``."""
    shape: type[Resource] = getattr(_MODULES[kind], kind.title().replace("_", ""))
    return shape


_MODULES = {kind: import_module(f"podshare.kinds.{kind}.shape") for kind in Kind}
SHAPES: Mapping[Kind, type[Resource]] = {kind: _shape(kind) for kind in Kind}
# what a kind's ``desired`` asks for; what depends on others is put together in ``podshare.kinds.desired``
DESIRED: Mapping[Kind, Callable[[TeamOnCluster], Iterable[Resource]]] = {
    kind: module.desired for kind, module in _MODULES.items() if hasattr(module, "desired")
}


def is_by_hand(cluster: ClusterFacts, key: Key) -> bool:
    """Whether ``key`` is an object of this cluster that a person takes care of, because podshare asks no API."""
    place = (cluster.account, cluster.region, cluster.eks_cluster)
    is_object = SHAPES[key.kind].execution_role is ExecutionRole.KUBERNETES
    return is_object and not cluster.kubernetes_api and place == (key.account, key.region, key.container)
