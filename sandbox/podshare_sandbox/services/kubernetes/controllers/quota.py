"""What of a queue's quota is left, and which workload gets it: Kueue's arithmetic, without a cluster.

A ClusterQueue has a nominal quota of each resource in each flavor. Queues of one cohort lend what they do not use, up
to their ``lendingLimit``, and borrow up to their ``borrowingLimit``. Sources: Kueue documentation, "Cluster Queue",
"Cohort" and "Preemption"; messages as in Kueue's flavor assigner.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from podshare_sandbox.services.kubernetes import quantities

Object = Mapping[str, Any]
FlavorResource = tuple[str, str]  # a flavor and a resource
Amounts = dict[FlavorResource, Fraction]


@dataclass(frozen=True)
class Quota:
    """A queue's quota of one resource in one flavor; a limit that is None does not limit."""

    nominal: Fraction
    borrowing: Fraction | None = None
    lending: Fraction | None = None

    @property
    def kept(self) -> Fraction:
        """What is never lent."""
        return Fraction(0) if self.lending is None else max(Fraction(0), self.nominal - self.lending)


@dataclass(frozen=True)
class PodSet:
    """Pods of a workload that are alike: what one asks for, and where it may run."""

    name: str
    count: int
    requests: Mapping[str, Fraction]
    node_selector: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Queue:
    """A ClusterQueue with what is admitted to it."""

    name: str
    cohort: str | None
    groups: Sequence[tuple[Sequence[str], Sequence[str]]]  # the resources that share flavors, and the flavors in order
    quotas: Mapping[FlavorResource, Quota]
    usage: Amounts = field(default_factory=dict)

    def used(self, what: FlavorResource) -> Fraction:
        """What is in use of one resource."""
        return self.usage.get(what, Fraction(0))

    def borrowed(self, what: FlavorResource) -> Fraction:
        """What is in use beyond the nominal quota; nothing in no cohort (Kueue, Cache.getUsage)."""
        beyond = self.used(what) - self.quotas[what].nominal
        return max(Fraction(0), beyond) if self.cohort else Fraction(0)

    def take(self, amounts: Mapping[FlavorResource, Fraction], sign: int = 1) -> None:
        """Count amounts as used, or with sign -1 as given back."""
        for what, amount in amounts.items():
            self.usage[what] = self.used(what) + sign * amount


@dataclass(frozen=True)
class Assignment:
    """The flavors that each pod set gets, by resource, and the amounts; a reason where it gets none."""

    flavors: Mapping[str, Mapping[str, str]]
    amounts: Mapping[FlavorResource, Fraction]
    refusal: str = ""
    could_fit: bool = True  # once others have ended


def available(queue: Queue, cohort: Iterable[Queue], what: FlavorResource) -> Fraction:
    """What ``queue`` can still take, with what the others of its cohort do not use."""
    quota = queue.quotas[what]
    own = max(Fraction(0), quota.kept - queue.used(what))
    lent = shared = Fraction(0)
    for each in cohort:
        if what in each.quotas:
            lent += each.quotas[what].nominal - each.quotas[what].kept
            shared += max(Fraction(0), each.used(what) - each.quotas[what].kept)
    found = own + lent - shared
    if quota.borrowing is not None:
        found = min(found, quota.nominal + quota.borrowing - queue.used(what))
    return max(Fraction(0), found)


def capacity(queue: Queue, cohort: Iterable[Queue], what: FlavorResource) -> Fraction:
    """What ``queue`` could take if nothing ran."""
    quota = queue.quotas[what]
    offered = (each.quotas[what] for each in cohort if what in each.quotas)
    found = quota.kept + sum((each.nominal - each.kept for each in offered), Fraction(0))
    return found if quota.borrowing is None else min(found, quota.nominal + quota.borrowing)


class Assigner:
    """Finds flavors for the workloads of one queue. ``labels`` are the node labels of each flavor."""

    def __init__(self, queue: Queue, cohort: Sequence[Queue], labels: Mapping[str, Mapping[str, str]]) -> None:
        self._queue = queue
        self._cohort = cohort
        self._labels = labels
        self._taken: Amounts = {}

    def assign(self, pod_sets: Iterable[PodSet]) -> Assignment:
        """Flavors for all pods of one workload: in a resource group each pod set gets the first that has room."""
        self._taken = {}
        flavors: dict[str, dict[str, str]] = {}
        for pod_set in pod_sets:
            flavors[pod_set.name] = {}
            asked = {name: amount * pod_set.count for name, amount in pod_set.requests.items() if amount}
            for resource in asked:
                if not any(resource in resources for resources, _ in self._queue.groups):
                    return _refused(pod_set, [f"resource {resource} unavailable in ClusterQueue"], could_fit=False)
            for resources, offered in self._queue.groups:
                wanted = {name: asked[name] for name in resources if name in asked}
                flavor, refusal = self._flavor(pod_set, wanted, offered)
                if refusal:
                    return refusal
                flavors[pod_set.name] |= dict.fromkeys(wanted, flavor)
                for name, amount in wanted.items():
                    self._taken[flavor, name] = self._before(flavor, name) + amount
        return Assignment(flavors, self._taken)

    def _flavor(
        self, pod_set: PodSet, wanted: Mapping[str, Fraction], offered: Iterable[str]
    ) -> tuple[str, Assignment | None]:
        reasons: list[str] = []
        could_fit = False
        for flavor in offered if wanted else ():
            problems, hopeless = self._problems(flavor, pod_set, wanted)
            if not problems:
                return flavor, None
            reasons += problems
            could_fit = could_fit or not hopeless
        return "", _refused(pod_set, reasons, could_fit=could_fit) if wanted else None

    def _problems(self, flavor: str, pod_set: PodSet, wanted: Mapping[str, Fraction]) -> tuple[list[str], bool]:
        """Why a flavor does not do, and whether it never will."""
        if flavor not in self._labels:
            return [f"flavor {flavor} not found"], True
        if any(pod_set.node_selector.get(key, value) != value for key, value in self._labels[flavor].items()):
            return [f"flavor {flavor} doesn't match node affinity"], True
        problems, hopeless = [], False
        for name, amount in wanted.items():
            before = self._before(flavor, name)
            most = capacity(self._queue, self._cohort, (flavor, name))
            lacking = before + amount - available(self._queue, self._cohort, (flavor, name))
            if before + amount > most:
                shown = [quantities.written(each, name) for each in (before, amount, most)]
                problems.append(
                    f"insufficient quota for {name} in flavor {flavor}, previously considered podsets requests "
                    f"({shown[0]}) + current podset request ({shown[1]}) > maximum capacity ({shown[2]})"
                )
                hopeless = True
            elif lacking > 0:
                more = quantities.written(lacking, name)
                problems.append(f"insufficient unused quota for {name} in flavor {flavor}, {more} more needed")
        return problems, hopeless

    def _before(self, flavor: str, resource: str) -> Fraction:
        """What earlier pod sets of the workload take."""
        return self._taken.get((flavor, resource), Fraction(0))


def _refused(pod_set: PodSet, reasons: Sequence[str], *, could_fit: bool) -> Assignment:
    told = f"couldn't assign flavors to pod set {pod_set.name}: {', '.join(reasons)}"
    return Assignment({}, {}, told, could_fit)
