"""A team's namespace: SageMaker makes it with the compute quota; podshare labels it, and sees it empty afterwards.

What is left in it when a team has gone would be the next team's of that name, and run with its data: the name stays
reserved until nothing is left but what Kubernetes makes. What can run is deleted, unless the record said to keep it.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from podshare.aws.errors import Terminal, Waiting
from podshare.aws.served_kinds import ServedKind
from podshare.installation import TEAM_LABEL
from podshare.kinds import cleanup, names
from podshare.kinds.base import Key, Kind, Resource
from podshare.kinds.context import Context, as_kind
from podshare.kinds.hardening import HARDENING_LABEL, LABELS, POD_SECURITY_LABELS
from podshare.kinds.kubernetes_object import identity_of
from podshare.kinds.manifests import cleanup_quota
from podshare.kinds.namespace.shape import Namespace
from podshare.kinds.observation import Foreign

READS = frozenset({"eks:DescribeCluster"})
WRITES = frozenset({"eks:DescribeCluster"})
_LOCAL_QUEUE = "count/localqueues.kueue.x-k8s.io"  # SageMaker makes one with the compute quota; nothing runs by it
_OF_OTHERS = "Remove these labels, or let namespace_hardening of the cluster's record be off."


def read(context: Context, key: Key, wanted: Resource | None) -> Namespace | Foreign | None:
    """podshare's labels and its network policy; None if it has neither there.

    One that is wanted and is being deleted is reported as it is, whatever is left of podshare's.
    """
    manifest = context.kubernetes(key).namespace(key.name)
    if manifest is None:
        return None
    labels = dict(manifest["metadata"].get("labels") or {})
    ending = _held_by(manifest) if wanted else ""
    team, identity = labels.get(TEAM_LABEL), identity_of(manifest)
    known = team != context.team and context.remembers(key, identity)
    if team not in (None, context.team) and not known:
        return Foreign(key, f"its label says that it belongs to team {team}")
    if taken := _labels_of_others(labels, wanted.tags if wanted else {}):
        return Foreign(key, f"it has labels of others: {', '.join(taken)}", _OF_OTHERS)
    policy = context.kubernetes(key).get("NetworkPolicy", key.name, names.network_policy(context.installation))
    if team is None and policy is None and not known:
        return None
    own = LABELS if HARDENING_LABEL in labels else {TEAM_LABEL}
    return Namespace(
        key=key,
        identity=identity,
        tags={name: value for name, value in labels.items() if name in own},
        network_policy=policy.get("spec") if policy else None,
        vacating=context.inventory.is_vacating(key),
        ending=ending,
    )


def is_absent(context: Context, key: Key) -> bool:
    """Whether there is no such namespace at all."""
    return context.kubernetes(key).namespace(key.name) is None


def is_of_others(context: Context, key: Key) -> bool:
    """Whether there is such a namespace which podshare has not seen empty: somebody else made it, or has used it."""
    manifest = context.kubernetes(key).namespace(key.name)
    # before 0045 it stood among the team's own rows
    places = ((_freed(context), str(key)), (f"team#{context.team}", f"freed#{key}"))
    freed = {row["namespace_uid"] for place in places if (row := context.state.get(*place))}
    return manifest is not None and manifest["metadata"].get("uid") not in freed


def _held_by(manifest: Mapping[str, Any]) -> str:
    from podshare.aws.kubernetes import held_by  # noqa: PLC0415  # as in Context.kubernetes

    return held_by(manifest)


def _labels_of_others(labels: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    """Labels of Pod Security that podshare would change, although it did not write them."""
    if HARDENING_LABEL in labels or HARDENING_LABEL not in wanted:
        return []
    return [
        f"{name}={labels[name]}" for name in POD_SECURITY_LABELS if labels.get(name) not in (None, wanted.get(name))
    ]


def create(context: Context, wanted: Resource) -> None:
    """Label the namespace. Raises Pending while SageMaker has not made it."""
    namespace = as_kind(Namespace, wanted)
    api = context.kubernetes(wanted.key)
    if namespace.network_policy:
        api.apply(namespace.network_policy_in(context.installation))
    api.label_namespace(wanted.key.name, dict(namespace.tags))


def update(context: Context, observed: Resource, wanted: Resource) -> None:
    """Write what differs. Raises Waiting while the namespace is not empty of a team that was deleted."""
    old, new = as_kind(Namespace, observed), as_kind(Namespace, wanted)
    if old.vacating:
        raise Waiting(f"namespace {old.key.name} is not empty of the team that was deleted")
    if old.network_policy and not new.network_policy:
        context.kubernetes(old.key).delete("NetworkPolicy", old.key.name, names.network_policy(context.installation))
    gone: dict[str, str | None] = dict.fromkeys(old.tags.keys() - new.tags.keys())
    if gone:
        context.kubernetes(old.key).label_namespace(old.key.name, gone)
    create(context, new)


def delete(context: Context, observed: Resource) -> None:
    """Take podshare's resources out of the namespace once it is empty, after the quota. Raises Waiting until then.

    Its ``default`` service account is deleted too: Kubernetes creates it again, and its old tokens are good for
    nothing.
    """
    key = observed.key
    going = {*context.inventory.keys()} - context.desired
    if any(gone.kind is Kind.COMPUTE_QUOTA and gone.container == key.container for gone in going):
        raise Waiting(f"namespace {key.name} stays unchanged until the compute quota is deleted")
    api = context.kubernetes(key)
    if left := _cleaned(context, key):
        raise Waiting(f"namespace {key.name} is not empty: {left}. The team's name is free once nothing is left in it")
    api.delete("ResourceQuota", key.name, names.cleanup_quota(context.installation))
    api.delete("ServiceAccount", key.name, "default")
    api.delete("NetworkPolicy", key.name, names.network_policy(context.installation))
    api.label_namespace(key.name, dict.fromkeys(observed.tags))
    manifest = api.namespace(key.name) or {"metadata": {}}
    uid = manifest["metadata"].get("uid", "")
    context.state.update(_freed(context), str(key), "SET namespace_uid = :uid", None, uid=uid)
    context.inventory.forget(key)  # SageMaker's namespace may stay, and is nobody's now


def _freed(context: Context) -> str:
    """The id of the rows with namespaces that podshare has seen empty: only the function that sees them writes it."""
    return f"freed#{context.team}"


def _cleaned(context: Context, key: Key) -> str:
    """Delete what can run, and return in words what is left; empty if nothing. Nothing can be added meanwhile.

    Raises Waiting while Kubernetes has not counted what there is.
    """
    api = context.kubernetes(key)
    served = api.served()
    hard = cleanup.limits(served)
    api.apply(cleanup_quota(context.installation, key.name, context.team, hard))
    used = _counts(context, key, hard)
    if context.inventory.deletes_work(key):
        running = [kind for kind in cleanup.what_runs(served) if int(used[kind.counted_as])]
        for kind in running:
            api.delete_all(kind, key.name)
        used = _counts(context, key, hard) if running else used
    return ", ".join(filter(None, (cleanup.left(used, _expected(context, key)), *_out_of_count(context, key, served))))


def _counts(context: Context, key: Key, hard: Mapping[str, str]) -> dict[str, str]:
    """How many objects there are, by the names of their counts."""
    quota = context.kubernetes(key).get("ResourceQuota", key.name, names.cleanup_quota(context.installation)) or {}
    used = dict((quota.get("status") or {}).get("used") or {})
    if missing := cleanup.uncounted(hard, used):
        raise Waiting(f"namespace {key.name}: Kubernetes has not counted its {', '.join(missing[: cleanup.SHOWN])} yet")
    return used


def _expected(context: Context, key: Key) -> dict[str, int]:
    """The objects that are nobody's work: what Kubernetes makes in each namespace, and podshare's own."""
    api = context.kubernetes(key)
    has_own = {
        "count/configmaps": api.get("ConfigMap", key.name, "kube-root-ca.crt"),
        "count/serviceaccounts": api.get("ServiceAccount", key.name, "default"),
        "count/networkpolicies.networking.k8s.io": api.get(
            "NetworkPolicy", key.name, names.network_policy(context.installation)
        ),
    }
    return {
        _LOCAL_QUEUE: 1,
        "count/resourcequotas": 1,
        **{name: 1 for name, is_present in has_own.items() if is_present},
    }


def _out_of_count(context: Context, key: Key, served: Iterable[ServedKind]) -> Iterator[str]:
    """What is left of the kinds that no quota counts, because their names are too long."""
    for kind in served:
        if kind.is_out_of_count:
            try:
                count = len(context.kubernetes(key).names_of(kind, key.name))
            except Terminal:
                yield f"perhaps {kind.plural}.{kind.group}, which podshare may not list"
            else:
                if count:
                    yield f"{count} {kind.plural}.{kind.group}"
