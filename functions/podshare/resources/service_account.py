"""Kubernetes service accounts in a team's namespace."""

from podshare.domain.kinds import Key, Resource, ServiceAccount
from podshare.domain.plan import Foreign
from podshare.resources.context import Context

READS = frozenset({"eks:DescribeCluster"})
WRITES = frozenset({"eks:DescribeCluster"})

_MANAGED_BY = "app.kubernetes.io/managed-by"
_TEAM = "podshare/team"


def read(context: Context, key: Key, wanted: Resource | None) -> ServiceAccount | Foreign | None:
    """The service account and its labels."""
    labels = context.kubernetes(key).service_account_labels(*_place(key))
    if labels is None:
        return None
    if labels.get(_MANAGED_BY) != context.installation.prefix or labels.get(_TEAM) != context.team:
        return Foreign(key, "it does not carry podshare's labels")
    return ServiceAccount(key=key, tags={name: labels[name] for name in (_MANAGED_BY, _TEAM)})


def create(context: Context, wanted: Resource) -> None:
    """Apply the service account. Raises Pending while SageMaker has not made the namespace."""
    context.kubernetes(wanted.key).apply_service_account(*_place(wanted.key), dict(wanted.tags))


def update(context: Context, observed: Resource, wanted: Resource) -> None:
    """Apply it again."""
    create(context, wanted)


def delete(context: Context, observed: Resource) -> None:
    """Delete the service account."""
    context.kubernetes(observed.key).delete_service_account(*_place(observed.key))


def _place(key: Key) -> tuple[str, str]:
    namespace, _, name = key.name.partition("/")
    return namespace, name
