"""How much of a cluster is guaranteed to whom, what is left, and what is guaranteed twice.

A quota guarantees whole instances, or parts of them: accelerators, partitions of accelerators, vCPUs, memory. All are
counted alike, as shares of one instance, and what a quota leaves out SageMaker fills in pro rata. Nodes are those that
are there and are to stay: neither one that has not come yet nor one that is about to go is anybody's. What an instance
offers is needed for parts of instances only; where EC2 publishes no data about a type, their worth is unknown.

Sources: SageMaker API reference, ComputeQuotaResourceConfig and ClusterInstanceGroupDetails; NVIDIA MIG User Guide,
"Supported MIG profiles".
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from podshare.reconcile.instance_types import Instance, Instances
from podshare.registry.sentences import counted

Line = Mapping[str, Any]

COMPUTE_SLICES = 7  # of an accelerator under MIG, of which a profile's first number takes so many
MEMORY_SLICES = 8  # of its memory
LONGEST_TABLE = 330  # characters of "who has what" in one sentence
_NOTHING_MORE = 1e-6  # sums of shares are not exact
_LEAVING = frozenset({"CreateFailed", "CreateRollbackFailed", "Deleting", "Deleted"})


# ---- what a quota's lines are worth ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Share:
    """A part of the instances of one type, each of what they are made of counted in whole instances."""

    compute: float = 0
    accelerator_memory: float = 0
    vcpu: float = 0
    memory: float = 0

    def __add__(self, other: "Share") -> "Share":
        return Share(*(part + more for part, more in zip(self._parts, other._parts, strict=True)))

    @property
    def _parts(self) -> tuple[float, float, float, float]:
        return self.compute, self.accelerator_memory, self.vcpu, self.memory

    @property
    def instances(self) -> float:
        """How many instances it takes: what is scarcest in them decides."""
        return max(self._parts)

    def exceeds(self, other: "Share") -> bool:
        """Whether it takes more of anything."""
        return any(part > than + _NOTHING_MORE for part, than in zip(self._parts, other._parts, strict=True))


def share(line: Line, instance: Instance | None) -> Share | None:
    """What a line of a quota, in the terms of the SageMaker API, is worth; None where that is unknown.

    ``instance`` is what the line's type offers, None where that is unknown.
    """
    if "Count" in line:
        return Share(*[float(line["Count"])] * 4)
    if instance is None:
        return None
    accelerators = _accelerators(line, instance)
    if accelerators is None:
        return None
    compute, accelerator_memory = accelerators
    vcpu = float(line["VCpu"]) / instance.vcpu if "VCpu" in line else None
    memory = float(line["MemoryInGiB"]) / instance.memory_gib if "MemoryInGiB" in line else None
    rest = min(compute, accelerator_memory) or vcpu or memory or 0.0
    return Share(compute, accelerator_memory, rest if vcpu is None else vcpu, rest if memory is None else memory)


def _accelerators(line: Line, instance: Instance) -> tuple[float, float] | None:
    """Compute and memory of the accelerators in a line; of a partition each counts, and either may be the scarcer."""
    partition = line.get("AcceleratorPartition")
    if not partition:
        whole = float(line.get("Accelerators") or 0)
        if not instance.accelerators:
            return None if whole else (0.0, 0.0)
        return whole / instance.accelerators, whole / instance.accelerators
    profile = re.fullmatch(r"mig-([0-9])g\.([0-9]+)gb", str(partition["Type"]))
    if not (profile and instance.accelerators and instance.accelerator_memory):
        return None
    memory = round(int(profile[2]) * MEMORY_SLICES / instance.accelerator_memory)
    count = float(partition["Count"]) / instance.accelerators
    return count * int(profile[1]) / COMPUTE_SLICES, count * memory / MEMORY_SLICES


def in_words(line: Line) -> str:
    """A line as a person would say it, without what SageMaker filled in."""
    if "Count" in line:
        return counted(line["Count"], "instance")
    if partition := line.get("AcceleratorPartition"):
        return f"{partition['Count']} {partition['Type']}"
    if accelerators := line.get("Accelerators"):
        return counted(accelerators, "accelerator")
    parts = [f"{line['VCpu']:g} vCPUs"] if "VCpu" in line else []
    parts += [f"{line['MemoryInGiB']:g} GiB"] if "MemoryInGiB" in line else []
    return " and ".join(parts) or "0 accelerators"


# ---- nodes and quotas as SageMaker tells them -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Nodes:
    """How many nodes of a type there are, and how many there are to be."""

    current: int = 0
    target: int = 0

    @property
    def lasting(self) -> int:
        """Those that are there and stay: only they can be guaranteed."""
        return min(self.current, self.target)

    def __add__(self, other: "Nodes") -> "Nodes":
        return Nodes(self.current + other.current, self.target + other.target)


def nodes(groups: Iterable[Mapping[str, Any]]) -> dict[str, Nodes]:
    """The nodes of each type in DescribeCluster's instance groups.

    A group of several types says how many there are of each, and not how many there are to be.
    """
    nodes_by_type: dict[str, Nodes] = {}
    for group in groups:
        for name, more in _nodes(group):
            nodes_by_type[name] = nodes_by_type.get(name, Nodes()) + more
    return nodes_by_type


def _nodes(group: Mapping[str, Any]) -> Iterator[tuple[str, Nodes]]:
    if name := group.get("InstanceType"):
        current = int(group.get("CurrentCount", 0))
        yield str(name), Nodes(current, int(group.get("TargetCount", current)))
        return
    for name in (group.get("InstanceRequirements") or {}).get("CurrentInstanceTypes", []):
        yield str(name), Nodes()
    for each in group.get("InstanceTypeDetails") or []:
        count = int(each.get("CurrentCount", 0))
        yield str(each["InstanceType"]), Nodes(count, count)


@dataclass(frozen=True, slots=True)
class Allocation:
    """A team's compute quota: what it guarantees, and how its idle compute is shared.

    ``instances`` is what is known of its types.
    """

    team: str
    resources: tuple[Line, ...]
    sharing: Mapping[str, Any]
    instances: Instances = field(default_factory=dict, compare=False)

    def knowing(self, instances: Instances) -> "Allocation":
        """The same quota, with what its types offer."""
        return replace(self, instances=instances)

    def lines(self, instance_type: str) -> tuple[Line, ...]:
        """What it guarantees of one type."""
        return tuple(line for line in self.resources if line["InstanceType"] == instance_type)

    def share(self, instance_type: str) -> Share:
        """What it guarantees of one type, so far as that is known."""
        return self._sum(self.lines(instance_type))

    def uncounted(self, instance_type: str) -> tuple[Line, ...]:
        """Its lines of one type whose worth is unknown."""
        lines = self.lines(instance_type)
        return tuple(line for line in lines if share(line, self.instances.get(instance_type)) is None)

    def raises(self, before: "Allocation", instance_type: str) -> bool:
        """Whether it guarantees more of a type than ``before``, or something else whose worth is unknown."""
        lines = self.uncounted(instance_type)
        changed = bool(lines) and lines != before.uncounted(instance_type)
        return changed or self.share(instance_type).exceeds(before.share(instance_type))

    @property
    def lends(self) -> bool:
        """Whether others may use what of it is idle."""
        return self.sharing.get("Strategy") in ("Lend", "LendAndBorrow")

    def may_borrow(self, instance_type: str) -> float:
        """How many instances of a type the team may borrow at most."""
        if self.sharing.get("Strategy") != "LendAndBorrow":
            return 0.0
        if limits := self.sharing.get("AbsoluteBorrowLimits"):
            return self._sum(line for line in limits if line["InstanceType"] == instance_type).instances
        return self.share(instance_type).instances * float(self.sharing.get("BorrowLimit", 50)) / 100

    @property
    def types(self) -> set[str]:
        """The instance types that it is about."""
        return {str(line["InstanceType"]) for line in (*self.resources, *self.sharing.get("AbsoluteBorrowLimits", ()))}

    def _sum(self, lines: Iterable[Line]) -> Share:
        worth = (share(line, self.instances.get(str(line["InstanceType"]))) for line in lines)
        return sum((part for part in worth if part), Share())


def allocation(summary: Mapping[str, Any]) -> Allocation | None:
    """A quota as ListComputeQuotas returns it; None for one that guarantees nothing: inactive, failed or leaving."""
    if summary.get("Status") in _LEAVING or summary.get("ActivationState") == "Disabled":
        return None
    config = summary.get("ComputeQuotaConfig", {})
    return Allocation(
        str(summary.get("ComputeQuotaTarget", {}).get("TeamName", "")),
        tuple(config.get("ComputeQuotaResources", ())),
        config.get("ResourceSharingConfig", {}),
    )


# ---- who has what ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Commitment:
    """What of one instance type is guaranteed to whom; ``instance`` is what one offers, None if that is unknown."""

    instance_type: str
    nodes: Nodes
    allocations: tuple[Allocation, ...]
    instance: Instance | None = None

    @cached_property
    def guaranteed(self) -> Share:
        """All guarantees together."""
        return sum((each.share(self.instance_type) for each in self.allocations), Share())

    @property
    def free(self) -> float:
        """How many instances are nobody's; below zero where more are guaranteed than there are."""
        return self.nodes.lasting - self.guaranteed.instances

    def asked_and_free(self, team: str) -> tuple[float, float]:
        """How many instances one team has or asks for, and how many the others leave it."""
        own = tuple(each for each in self.allocations if each.team == team)
        others = tuple(each for each in self.allocations if each.team != team)
        asked = replace(self, allocations=own).guaranteed.instances
        return round(asked, 2), round(max(0.0, replace(self, allocations=others).free), 2)

    @property
    def is_over(self) -> bool:
        """Whether more is guaranteed than there is."""
        return self.free < -_NOTHING_MORE

    @property
    def will_fit(self) -> bool:
        """Whether it would not be so with the nodes that are to come."""
        return self.guaranteed.instances <= self.nodes.target + _NOTHING_MORE

    @property
    def unit(self) -> str:
        """What a person counts: accelerators, or instances where there are none or that is unknown."""
        return "accelerators" if self.instance and self.instance.accelerators else "instances"

    def in_units(self, instances: float) -> float:
        """So many instances, in accelerators where the type has any."""
        accelerators = self.instance.accelerators if self.instance else 0
        return round(instances * (accelerators or 1), 2)

    @property
    def uncounted(self) -> list[str]:
        """The teams with a line whose worth is unknown."""
        return sorted(each.team for each in self.allocations if each.uncounted(self.instance_type))

    def partitions(self) -> Iterator[dict[str, Any]]:
        """Each accelerator partition that somebody has: to whom how many are guaranteed, and how many more would fit.

        Whether a node is partitioned so is decided on the node, and not reported by SageMaker.
        """
        held: dict[str, dict[str, int]] = {}
        for each in self.allocations:
            for line in each.lines(self.instance_type):
                if partition := line.get("AcceleratorPartition"):
                    held.setdefault(str(partition["Type"]), {})[each.team] = int(partition["Count"])
        for profile, teams in sorted(held.items()):
            yield {"type": profile, "teams": teams, "free": self._room_for(profile)}

    def _room_for(self, profile: str) -> int | None:
        partition = {"InstanceType": self.instance_type, "AcceleratorPartition": {"Type": profile, "Count": 1}}
        partition_share = share(partition, self.instance)
        if partition_share is None:
            return None
        left = [self.nodes.lasting - self.guaranteed.compute, self.nodes.lasting - self.guaranteed.accelerator_memory]
        rooms = [
            room / each
            for room, each in zip(left, (partition_share.compute, partition_share.accelerator_memory), strict=True)
            if each
        ]
        return max(0, math.floor(min(rooms, default=0) + _NOTHING_MORE))

    def __str__(self) -> str:
        """Who has what, in a sentence of bounded length."""
        texts = self.in_units
        nodes = f"{self.nodes.current} nodes"
        if self.nodes.target != self.nodes.current:
            nodes += f", {self.nodes.target} asked for"
        total = f"{texts(self.guaranteed.instances):g} of {texts(self.nodes.lasting):g} {self.unit} ({nodes})"
        return f"{self.instance_type}: {total} are guaranteed: {self._table()}"

    def _table(self) -> str:
        rows = sorted(self.allocations, key=lambda each: (-each.share(self.instance_type).instances, each.team))
        held = [(each.team, lines) for each in rows if (lines := each.lines(self.instance_type))]
        words = [f"{team} {' + '.join(map(in_words, lines))}" for team, lines in held]
        table, left = "", len(words)
        for row in words:
            if len(table) + len(row) > LONGEST_TABLE:
                break
            table, left = f"{table}, {row}" if table else row, left - 1
        return f"{table}, and {left} more teams" if left else table


def commitments(
    nodes_by_group: Mapping[str, Nodes], allocations: Iterable[Allocation], instances: Instances
) -> dict[str, Commitment]:
    """Who has what, by instance type; types that quotas name and the cluster lacks are among them."""
    quotas = tuple(sorted((each.knowing(instances) for each in allocations), key=lambda each: each.team))
    types = sorted({*nodes_by_group, *(name for each in quotas for name in each.types)})
    return {
        name: Commitment(
            name,
            nodes_by_group.get(name, Nodes()),
            tuple(each for each in quotas if name in each.types),
            instances.get(name),
        )
        for name in types
    }


@dataclass(frozen=True, slots=True)
class OverCommitment:
    """A type of which more would be guaranteed than there is; ``raised``: by what the team asks for now."""

    commitment: Commitment
    raised: bool


def over_commitments(
    nodes_by_group: Mapping[str, Nodes], allocations: Iterable[Allocation], wanted: Allocation, instances: Instances
) -> list[OverCommitment]:
    """The types that ``wanted``, in the place of its team's present quota, has a part in and that are over-committed.

    What a team lowers or leaves as it is was guaranteed before: it is never ``raised``.
    """
    before, others = _apart(allocations, wanted, instances)
    wanted = wanted.knowing(instances)
    return [
        OverCommitment(commitment, wanted.raises(before, name))
        for name, commitment in commitments(nodes_by_group, [*others, wanted], instances).items()
        if commitment.is_over and wanted.lines(name)
    ]


def uncounted(allocations: Iterable[Allocation], wanted: Allocation, instances: Instances) -> dict[str, bool]:
    """The types of ``wanted`` of which somebody's part is unknown, and whether ``wanted`` asks for more of each."""
    before, others = _apart(allocations, wanted, instances)
    wanted = wanted.knowing(instances)
    return {
        name: wanted.raises(before, name)
        for name in sorted(wanted.types)
        if wanted.lines(name) and any(each.uncounted(name) for each in (*others, wanted))
    }


def _apart(
    allocations: Iterable[Allocation], wanted: Allocation, instances: Instances
) -> tuple[Allocation, list[Allocation]]:
    """The present quota of ``wanted``'s team, and those of the others."""
    by_team = {each.team: each.knowing(instances) for each in allocations}
    before = by_team.pop(wanted.team, Allocation(wanted.team, (), {}, instances))
    return before, list(by_team.values())


def report(by_instance: Mapping[str, Commitment]) -> list[dict[str, Any]]:
    """Who has what, as the command shows it and scripts read it; amounts are in ``unit``."""
    return [
        {
            "instance_type": name,
            "nodes": {"current": commitment.nodes.current, "target": commitment.nodes.target},
            "unit": commitment.unit,
            "capacity": commitment.in_units(commitment.nodes.lasting),
            "guaranteed": commitment.in_units(commitment.guaranteed.instances),
            "free": commitment.in_units(max(0.0, commitment.free)),
            "over_committed": commitment.in_units(max(0.0, -commitment.free)) if commitment.is_over else 0,
            "uncounted": commitment.uncounted,
            "teams": [_row(commitment, each) for each in commitment.allocations],
            "partitions": list(commitment.partitions()),
        }
        for name, commitment in by_instance.items()
    ]


def _row(commitment: Commitment, each: Allocation) -> dict[str, Any]:
    guaranteed = commitment.in_units(each.share(commitment.instance_type).instances)
    return {
        "team": each.team,
        "quota": [in_words(line) for line in each.lines(commitment.instance_type)],
        "guaranteed": guaranteed,
        "lends": guaranteed if each.lends else 0,
        "borrow_limit": commitment.in_units(each.may_borrow(commitment.instance_type)),
    }
