"""What teams use, borrow and lend at one moment, by Kueue's own accounts: pure, from its queues as they were read.

Kueue reports of each queue how much is in use, and how much of that is borrowed, but not from whom. What a queue has
lent is bounded: at most what of its quota is idle and may be lent, at least what the idle quota of the others in its
cohort does not cover. With a single lender both are the same.

Sources: Kueue API reference, ClusterQueueStatus, ResourceUsage, ResourceQuota and CohortSpec, v1beta1 and v1beta2;
SageMaker HyperPod CLI, walkthrough of task governance, for the names of queues.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from podshare.registry.items import TEAM_NAMESPACES
from podshare_cli.aws.quantities import quantity
from podshare_cli.history.cluster_work import instance_types, unit_of
from podshare_cli.history.quota_hours import UNITS

Object = Mapping[str, Any]
Bounds = tuple[Fraction, Fraction]
_QUEUE = "-clusterqueue"  # after the namespace of its team
_CPU = "cpu"


class UncountedError(Exception):
    """Which queue Kueue has not counted yet."""


@dataclass(frozen=True)
class Queues:
    """What was read of a cluster's Kueue."""

    cluster_queues: Sequence[Object]
    cohorts: Sequence[Object]
    flavors: Sequence[Object]


@dataclass(frozen=True)
class Account:
    """One resource of one flavor in a queue, or in a cohort that has quota of its own."""

    holder: str  # empty for a cohort
    pool: str  # those of one pool lend to each other
    flavor: str
    resource: str
    lendable: Fraction  # what is idle and may be lent
    used: Fraction = Fraction()
    borrowed: Fraction = Fraction()
    is_offered: bool = True  # by any quota or limit


def rows(queues: Queues) -> list[dict[str, Any]]:
    """What each team uses, borrows and lends of each instance type. Raises UncountedError."""
    accounts = [*_accounts(queues)]
    bounds, types = lent(accounts), instance_types(queues.flavors)
    by_team: dict[tuple[str, str], list[Account]] = defaultdict(list)
    for account in accounts:
        team = account.holder.removeprefix(TEAM_NAMESPACES).removesuffix(_QUEUE)
        if account.holder == f"{TEAM_NAMESPACES}{team}{_QUEUE}" and (account.is_offered or account.used):
            by_team[team, types.get(account.flavor) or account.flavor].append(account)
    return [
        row for (team, instance_type), own in sorted(by_team.items()) for row in _rows(team, instance_type, own, bounds)
    ]


def lent(accounts: Sequence[Account]) -> dict[Account, Bounds]:
    """What each has lent, at least and at most."""
    borrowed: dict[tuple[str, str, str], Fraction] = defaultdict(Fraction)
    lendable: dict[tuple[str, str, str], Fraction] = defaultdict(Fraction)
    for each in accounts:
        borrowed[each.pool, each.flavor, each.resource] += each.borrowed
        lendable[each.pool, each.flavor, each.resource] += each.lendable
    bounds = {}
    for each in accounts:
        place = each.pool, each.flavor, each.resource
        most = min(each.lendable, borrowed[place])
        bounds[each] = min(most, max(Fraction(), borrowed[place] - (lendable[place] - each.lendable))), most
    return bounds


def _rows(
    team: str, instance_type: str, accounts: Sequence[Account], bounds: Mapping[Account, Bounds]
) -> Iterator[dict[str, Any]]:
    """One for each unit: accelerators where the team has any of this type, CPUs where it has none."""
    units = [(unit_of(each.resource), each) for each in accounts]
    if not any(unit for unit, _ in units):
        units = [(UNITS["vcpu"], each) for each in accounts if each.resource == _CPU]
    for unit in sorted({unit for unit, _ in units if unit}):
        counted = [each for its, each in units if its == unit]
        yield {
            **{"team": team, "instance_type": instance_type, "unit": unit},
            "used": float(sum(each.used for each in counted)),
            "borrowed": float(sum(each.borrowed for each in counted)),
            "lent_at_least": float(sum(bounds[each][0] for each in counted)),
            "lent_at_most": float(sum(bounds[each][1] for each in counted)),
        }


def _accounts(queues: Queues) -> Iterator[Account]:
    roots = _roots(queues.cohorts)
    for queue in queues.cluster_queues:
        name, spec = str(queue["metadata"]["name"]), queue.get("spec", {})
        cohort = str(spec.get("cohortName") or spec.get("cohort") or "")
        pool = f"cohort {roots.get(cohort, cohort)}" if cohort else f"queue {name}"
        usage = {
            (str(flavor["name"]), str(resource["name"])): resource
            for flavor in queue.get("status", {}).get("flavorsUsage") or ()
            for resource in flavor["resources"]
        }
        for flavor, resource in _quotas(spec):
            place = str(flavor["name"]), str(resource["name"])
            if not _counts(place[1]):
                continue
            if place not in usage:
                raise UncountedError(name)
            yield _account(name, pool, place, resource, usage[place])
    for lender in queues.cohorts:
        pool = f"cohort {roots[str(lender['metadata']['name'])]}"
        for flavor, resource in _quotas(lender.get("spec", {})):
            place = str(flavor["name"]), str(resource["name"])
            if _counts(place[1]):
                yield _account("", pool, place, resource, {})


def _quotas(spec: Object) -> Iterator[tuple[Object, Object]]:
    for group in spec.get("resourceGroups") or ():
        for flavor in group["flavors"]:
            for resource in flavor["resources"]:
                yield flavor, resource


def _counts(resource: str) -> bool:
    return resource == _CPU or bool(unit_of(resource))


def _account(holder: str, pool: str, place: tuple[str, str], quota: Object, usage: Object) -> Account:
    nominal, used = quantity(quota.get("nominalQuota", 0)), quantity(usage.get("total", 0))
    lendable = max(Fraction(), nominal - used)
    if quota.get("lendingLimit") is not None:
        lendable = min(lendable, quantity(quota["lendingLimit"]))
    offered = bool(nominal or quantity(quota.get("borrowingLimit") or 0))
    return Account(holder, pool, *place, lendable, used, quantity(usage.get("borrowed", 0)), offered)


def _roots(cohorts: Iterable[Object]) -> dict[str, str]:
    """The cohort at the top of each cohort's tree; of cohorts in a circle any of them."""
    parents = {str(each["metadata"]["name"]): str(each.get("spec", {}).get("parentName") or "") for each in cohorts}
    roots = {}
    for name in parents:
        way = [name]
        while (parent := parents.get(way[-1], "")) and parent not in way:
            way.append(parent)
        roots[name] = min(way) if parent else way[-1]
    return roots
