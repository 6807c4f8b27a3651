"""The revocations of a plan that restrict access for good, so that too many at once can wait for a person.

A record that went by mistake looks like one that went on purpose, and an emptied table like a thousand of them. What
podshare repairs, restricts or moves does not count: only resources that give access and that no record wants any more.
"""

from collections.abc import Collection, Iterable, Mapping

from podshare.kinds.access_point.shape import AccessPoint
from podshare.kinds.base import Key, Kind, Resource
from podshare.kinds.bucket_delegation.shape import BucketDelegation
from podshare.kinds.observation import Observation
from podshare.kinds.role.shape import Role
from podshare.kinds.ssm_parameter.shape import SsmParameter
from podshare.reconcile.plan import Action, Change, Plan, fingerprint, only
from podshare.registry.accounts import Account, is_gone
from podshare.registry.items import enrolled
from podshare.registry.records import Membership

_CHANGES = frozenset({Action.RESTRICT, Action.UPDATE})
_TAKES_FOR_GOOD = frozenset({Action.REVOKE, Action.DELETE, Action.DRAIN})


def losses(
    team: str,
    desired: Mapping[Key, Resource],
    observed: Mapping[Key, Observation],
    accounts: Mapping[str, Account],
    *,
    gone_clusters: Collection[str] = (),
) -> tuple[Key, ...]:
    """The resources by which somebody has access that no record asks for any more, all that a run cannot carry too.

    Those of an account that has gone or is blocked, or of a cluster in such an account, are no mistake of a record's:
    the organization, or a person, confirms them.
    """
    gone = departed(team, observed, accounts, gone_clusters=gone_clusters)
    going = (key for key in sorted(observed) if key not in desired and key not in gone)
    return tuple(key for key in going if _gives_access(key, observed))


def departed(
    team: str,
    observed: Mapping[Key, Observation],
    accounts: Mapping[str, Account],
    *,
    gone_clusters: Collection[str] = (),
) -> frozenset[Key]:
    """What goes with an account that takes no part any more: it waits for nobody, whatever else of the team does."""
    own = enrolled(team)
    return frozenset(
        key
        for key in observed
        if (own and is_gone(accounts, own[1]))
        or is_gone(accounts, _whose(key, observed))
        or _cluster_of(key, observed) in gone_clusters
    )


def accounts_of(team: str, observed: Mapping[Key, Observation]) -> set[str]:
    """The accounts whose departure would explain a loss."""
    own = enrolled(team)
    return {_whose(key, observed) for key in observed} | ({own[1]} if own else set())


def without_losses(proposed: Plan, desired: Mapping[Key, Resource], gone: Collection[Key] = ()) -> Plan:
    """The plan without anything that goes for good, or that is changed because something else does.

    What it repairs, restricts and adds elsewhere stays, and so does what goes with an account that has ``gone``.
    """

    def waits(change: Change) -> bool:
        if change.key in gone:
            return False
        return _goes(change, desired) or (change.action in _CHANGES and _serves_others(desired[change.key]))

    return only(proposed, lambda change: not waits(change))


def _serves_others(resource: Resource) -> bool:
    """Whether a resource holds the share of another in what that one gives: a grant's part of a role's policies."""
    if isinstance(resource, Role):
        return resource.purpose != "cluster-access"
    return isinstance(resource, AccessPoint | BucketDelegation | SsmParameter)


def cause(
    team: str, losses: Collection[Key], observed: Mapping[Key, Observation], lines: Collection[Membership]
) -> str | None:
    """The account whose tags or place may have brought the losses by themselves; None where only a record can have.

    An enrolled team is its account's own; of another team an account that a line selects, and none names, loses what
    is for it alone.
    """
    if own := enrolled(team):
        return own[1]
    accounts = {_whose(key, observed) for key in losses}
    account = accounts.pop() if len(accounts) == 1 else ""
    selects = any(line.selector for line in lines) and all(line.account != account for line in lines)
    only_members = all(key.kind is Kind.ACCESS_ENTRY for key in losses)
    return account if account and selects and only_members else None


def digest(keys: Iterable[Key], since: str) -> str:
    """What an approval names: these losses, held back or shown to a person then. It stands for no later ones."""
    return fingerprint("\n".join([since, *sorted(map(str, keys))]))


def fingerprints(keys: Iterable[Key]) -> frozenset[str]:
    """Each loss by itself, as an approval lists them: what a run that was cut off has left is among them."""
    return frozenset(fingerprint(str(key)) for key in keys)


def loss_text(key: Key, resource: Observation) -> str:
    """A loss in the words of the record: who loses what."""
    tags = resource.tags if isinstance(resource, Resource) else {}
    where = f" on cluster {tags['podshare:cluster']}" if "podshare:cluster" in tags else ""
    if "podshare:member" in tags:
        return f"member {tags['podshare:member']}: access{where}"
    if "podshare:dataset" in tags:
        return f"dataset {tags['podshare:dataset']}: every pod{where}"
    if "podshare:service-account" in tags:
        return f"service account {tags['podshare:service-account']}: its data{where}"
    return f"{key.kind.replace('_', ' ')} {key.name} in account {key.account}"


def _goes(change: Change, desired: Mapping[Key, Resource]) -> bool:
    return change.key not in desired and change.action in _TAKES_FOR_GOOD


def _gives_access(key: Key, observed: Mapping[Key, Observation]) -> bool:
    """Whether somebody has access by it: by a target role too, which stands for the access points that it spares."""
    observation = observed.get(key)
    is_target = isinstance(observation, Role) and observation.purpose == "data-target"
    return isinstance(observation, Resource) and (is_target or observation.is_access)


def _cluster_of(key: Key, observed: Mapping[Key, Observation]) -> str | None:
    """The cluster for which a resource was made, as its tag says."""
    observation = observed.get(key)
    return observation.tags.get("podshare:cluster") if isinstance(observation, Resource) else None


def _whose(key: Key, observed: Mapping[Key, Observation]) -> str:
    """The account of the member that a resource is for, as its tag says; of anything else the account that it is in."""
    observation = observed.get(key)
    tags = observation.tags if isinstance(observation, Resource) else {}
    return tags["podshare:member"][:12] if "podshare:member" in tags else key.account
