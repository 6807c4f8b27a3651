"""What work held of a cluster, as Kubernetes' objects show: pure, from what was read before.

A workload of Kueue holds what it was admitted with, from its admission until it finished or was evicted; a pod for
which no workload stands holds what its containers ask for, from its start to its end. Kueue keeps the last admission
alone: of earlier ones it keeps how long they were together, and they count as if they had ended at the last change.

Sources: Kueue API reference, v1beta1 and v1beta2, WorkloadStatus and PodSetAssignment; Kueue, "Topology Aware
Scheduling", for the label of pods; Kubernetes API reference, PodStatus and NodeStatus.
"""

import datetime
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from podshare.registry.items import TEAM_NAMESPACES
from podshare_cli.aws.quantities import quantity
from podshare_cli.history.aws_report import SummaryReport, reported_hours
from podshare_cli.history.creations import Creations, Origin, creator
from podshare_cli.history.quota_hours import TEAM, Span
from podshare_cli.history.used_hours import (
    ACCELERATORS,
    NEURON_CORES,
    Use,
    UsedHours,
    in_accelerators,
    used_hours,
)

Object = Mapping[str, Any]
Moment = datetime.datetime
Amounts = dict[tuple[str, str], Fraction]  # by instance type and unit

INSTANCE_TYPE = "node.kubernetes.io/instance-type"
_NEURON_CORE = "aws.amazon.com/neuroncore"
_WHOLE = ("nvidia.com/gpu", "aws.amazon.com/neurondevice", "aws.amazon.com/neuron")  # whole accelerators
_PARTITION = "nvidia.com/mig-"
# by these Kueue marks the pods of its workloads
_MARKS = ("kueue.x-k8s.io/podset", "kueue.x-k8s.io/managed", "kueue.x-k8s.io/pod-group-name")
_ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True)
class Objects:
    """What was read from a cluster."""

    workloads: Sequence[Object] = ()
    flavors: Sequence[Object] = ()
    pods: Sequence[Object] = ()
    nodes: Sequence[Object] = ()


@dataclass(frozen=True)
class Reading:
    """What was read from the cluster of a record; ``problem`` says why nothing was.

    ``creations`` are those of its audit log; ``without_log`` says why it has none.
    """

    cluster: str
    objects: Objects = Objects()
    has_kueue: bool = True
    problem: str = ""
    creations: Creations = field(default_factory=dict)
    without_log: str = ""


@dataclass(frozen=True)
class Measured:
    """What was used in a time, by the grouping that was asked for, and the guarantees in accelerators.

    ``clusters`` are those of which it is known: what was used of others is unknown.
    """

    hours: UsedHours
    spans: list[Span]
    accelerators: Mapping[str, int]  # of an instance, by its type
    remarks: Sequence[str]
    clusters: frozenset[str]


@dataclass(frozen=True)
class Held:
    """A use, and what was created for it; ``queued`` if Kueue knows it."""

    use: Use
    origin: Origin
    queued: bool


def measure(
    readings: Sequence[Reading],
    teams: Collection[str],
    spans: Iterable[Span],
    period: tuple[Moment, Moment],
    by: str,
    *,
    reports: Mapping[str, SummaryReport],
) -> Measured:
    """What was used of clusters, beside what was guaranteed at the time; AWS's ``reports`` of clusters by their names.

    Of a cluster with a report only the nodes count that were read of it.
    """
    readings = [_nodes_of(each) if each.cluster in reports else each for each in readings]
    counts = accelerators(node for reading in readings for node in reading.objects.nodes)
    turned = in_accelerators(spans, counts)
    all_held = [
        replace(each, use=replace(each.use, member=creator(each.origin, reading.creations)))
        for reading in readings
        for each in held(reading.objects, reading.cluster, teams, period[1])
    ]
    hours = used_hours((each.use for each in all_held), turned, *period, by)
    outside = used_hours((each.use for each in all_held if not each.queued), turned, *period, TEAM)
    for cluster, report in sorted(reports.items()):
        days = [day for day in report.days if day.team in teams]
        hours |= reported_hours(days, cluster, turned, period, by)
    remarks = [
        f"Used hours of cluster {cluster} are of AWS's usage report, which lacks the data of {report.missing} periods."
        for cluster, report in sorted(reports.items())
    ]
    remarks += [
        f"The report of cluster {cluster} is of {report.first} to {report.last}: other days are not counted."
        for cluster, report in sorted(reports.items())
        if not report.covers(*period)
    ]
    known = frozenset({*reports, *(each.cluster for each in readings if not each.problem)})
    guaranteed = {span.cluster for span in turned if span.lines}
    remarks += [
        f"Used hours of cluster {cluster} are unknown: it was not read."
        for cluster in sorted(guaranteed - known - {each.cluster for each in readings})
    ]
    if guaranteed - known:
        remarks.append("Totals of used hours are of the clusters that were read.")
    if {each.cluster for each in readings} - {*reports}:
        remarks.append("Used hours are estimated: only of workloads and pods that the clusters still have.")
    remarks += [f"Cluster {each.cluster} was not read: {each.problem}." for each in readings if each.problem]
    remarks += [f"Cluster {each.cluster} has no Kueue: only its pods count." for each in readings if not each.has_kueue]
    remarks += [
        f"Members of cluster {each.cluster} are unknown: {each.without_log}." for each in readings if each.without_log
    ]
    if total := sum((used.hours for used in outside.values()), Fraction()):
        remarks.append(
            f"{float(total):,.2f} of the used hours are of pods that do not queue, which Kueue does not count."
        )
    return Measured(hours, turned, counts, remarks, known)


def _nodes_of(reading: Reading) -> Reading:
    return Reading(reading.cluster, Objects(nodes=reading.objects.nodes))


def oldest(reading: Reading, period: tuple[Moment, Moment]) -> Moment | None:
    """When the oldest work of teams that held anything in a time was created; None if nothing did."""
    objects = (*reading.objects.workloads, *reading.objects.pods)
    teams = {str(each["metadata"]["namespace"]).removeprefix(TEAM_NAMESPACES) for each in objects}
    since, until = period
    of_teams = held(reading.objects, reading.cluster, teams, until)
    return min(
        (each.origin.created for each in of_teams if each.use.until > since and each.use.since < until), default=None
    )


def held(objects: Objects, cluster: str, teams: Iterable[str], now: Moment) -> list[Held]:
    """What the work of these teams held of a cluster until now."""
    return [*_Reader(objects, cluster, frozenset(teams), now).held()]


def accelerators(nodes: Iterable[Object]) -> dict[str, int]:
    """How many accelerators a node of each type has, where a node shows it; one that is partitioned does not."""
    counts: dict[str, int] = {}
    for node in nodes:
        capacity = node.get("status", {}).get("capacity", {})
        count = max((int(quantity(capacity[name])) for name in _WHOLE if name in capacity), default=0)
        if count or not any(name.startswith(_PARTITION) for name in capacity):
            counts[_type_of(node)] = max(count, counts.get(_type_of(node), 0))
    return {name: count for name, count in counts.items() if name}


def unit_of(resource: str) -> str:
    """In what a resource of Kubernetes counts; empty for one that is no accelerator."""
    if resource in _WHOLE:
        return ACCELERATORS
    if resource.startswith(_PARTITION):
        return resource.removeprefix("nvidia.com/")
    return NEURON_CORES if resource == _NEURON_CORE else ""


def instance_types(flavors: Iterable[Object]) -> dict[str, str]:
    """The instance type of each flavor, by its name; empty where its nodes are chosen otherwise."""
    return {
        str(flavor["metadata"]["name"]): str((flavor.get("spec", {}).get("nodeLabels") or {}).get(INSTANCE_TYPE, ""))
        for flavor in flavors
    }


def _moment(text: object) -> Moment:
    return datetime.datetime.fromisoformat(str(text))


def _type_of(node: Object) -> str:
    return str(node["metadata"].get("labels", {}).get(INSTANCE_TYPE, ""))


@dataclass
class _Reader:
    """One cluster's objects."""

    objects: Objects
    cluster: str
    teams: frozenset[str]
    now: Moment
    _types: dict[str, str] = field(init=False)  # of nodes, by their names
    _flavors: dict[str, str] = field(init=False)  # the types of flavors, by their names
    _devices_of_a_core: dict[str, Fraction] = field(init=False)  # by type

    def __post_init__(self) -> None:
        self._types = {str(node["metadata"]["name"]): _type_of(node) for node in self.objects.nodes}
        self._flavors = instance_types(self.objects.flavors)
        known = accelerators(self.objects.nodes)
        cores = {_type_of(node): node.get("status", {}).get("capacity", {}) for node in self.objects.nodes}
        self._devices_of_a_core = {
            name: Fraction(known[name]) / quantity(capacity[_NEURON_CORE])
            for name, capacity in cores.items()
            if known.get(name) and quantity(capacity.get(_NEURON_CORE, 0))
        }

    def held(self) -> Iterator[Held]:
        for workload in self.objects.workloads:
            team = self._team(workload)
            if team:
                amounts, times = self._of_workload(workload), self._admitted(workload)
                yield from self._held(team, amounts, times, _origin(workload), queued=True)
        owned = {reference["uid"] for each in self.objects.workloads for reference in _owners(each)}
        for pod in self.objects.pods:
            team = self._team(pod)
            if team and not self._is_of_kueue(pod, owned):
                yield from self._held(team, self._of_pod(pod), self._ran(pod), _origin(pod), queued=False)

    def _team(self, namespaced: Object) -> str:
        namespace = str(namespaced["metadata"]["namespace"])
        team = namespace.removeprefix(TEAM_NAMESPACES)
        return team if namespace.startswith(TEAM_NAMESPACES) and team in self.teams else ""

    def _held(
        self, team: str, amounts: Amounts, times: Iterable[tuple[Moment, Moment]], origin: Origin, *, queued: bool
    ) -> Iterator[Held]:
        for since, until in times:
            for (instance_type, unit), amount in amounts.items():
                if amount and since < until:
                    yield Held(Use(team, self.cluster, instance_type, unit, amount, since, until), origin, queued)

    # ---- workloads ----

    def _admitted(self, workload: Object) -> Iterator[tuple[Moment, Moment]]:
        """When it was admitted, the times before the last admission as one."""
        status = workload.get("status", {})
        conditions = {each["type"]: each for each in status.get("conditions", ())}
        if not (admitted := conditions.get("Admitted")):
            return
        changed = _moment(admitted["lastTransitionTime"])
        # v1beta1 spells it so
        past = status.get("accumulatedPastExecutionTimeSeconds") or status.get("accumulatedPastExexcutionTimeSeconds")
        if past:
            created = _moment(workload["metadata"]["creationTimestamp"])
            yield max(created, changed - datetime.timedelta(seconds=int(past))), changed
        if admitted["status"] == "True":
            finished = conditions.get("Finished", {})
            yield changed, _moment(finished["lastTransitionTime"]) if finished.get("status") == "True" else self.now

    def _of_workload(self, workload: Object) -> Amounts:
        """What it is admitted with, or asks for where it is admitted no more."""
        asked = {
            pod_set.get("name", "main"): (
                self._of_containers(pod_set["template"].get("spec", {})),
                Fraction(pod_set.get("count", 1)),
                pod_set["template"].get("spec", {}).get("nodeSelector", {}).get(INSTANCE_TYPE, ""),
            )
            for pod_set in workload.get("spec", {}).get("podSets", ())
        }
        assignments = (workload.get("status", {}).get("admission") or {}).get("podSetAssignments")
        amounts: Amounts = {}
        if assignments is None:
            for resources, count, instance_type in asked.values():
                self._add(amounts, {name: amount * count for name, amount in resources.items()}, instance_type)
            return amounts
        for assignment in assignments:
            if assignment.get("resourceUsage"):
                usage = _accelerators(assignment["resourceUsage"])
            else:
                resources, count, _ = asked.get(assignment.get("name", "main"), ({}, Fraction(), ""))
                usage = {name: amount * assignment.get("count", count) for name, amount in resources.items()}
            for name, amount in usage.items():
                flavor = str(assignment.get("flavors", {}).get(name, ""))
                self._add(amounts, {name: amount}, self._flavors.get(flavor) or (flavor if "." in flavor else ""))
        return amounts

    # ---- pods ----

    def _is_of_kueue(self, pod: Object, owned: set[str]) -> bool:
        """Whether a workload stands for a pod: its job's, its own, or one further up."""
        metadata = pod["metadata"]
        uids = {metadata["uid"], *(reference["uid"] for reference in _owners(pod))}
        return bool(uids & owned) or any(mark in metadata.get("labels", {}) for mark in _MARKS)

    def _ran(self, pod: Object) -> Iterator[tuple[Moment, Moment]]:
        status = pod.get("status", {})
        if not status.get("startTime"):
            return
        if status.get("phase") not in _ENDED:
            yield _moment(status["startTime"]), self.now
            return
        ends = [each.get("state", {}).get("terminated", {}) for each in status.get("containerStatuses", ())]
        texts = [end["finishedAt"] for end in ends if end.get("finishedAt")]
        texts = texts or [each["lastTransitionTime"] for each in status.get("conditions", ())]
        yield _moment(status["startTime"]), max(map(_moment, texts), default=_moment(status["startTime"]))

    def _of_pod(self, pod: Object) -> Amounts:
        spec = pod.get("spec", {})
        amounts: Amounts = {}
        wanted = str(spec.get("nodeSelector", {}).get(INSTANCE_TYPE, ""))
        self._add(amounts, self._of_containers(spec), self._types.get(str(spec.get("nodeName", ""))) or wanted)
        return amounts

    # ---- amounts ----

    @staticmethod
    def _of_containers(spec: Object) -> dict[str, Fraction]:
        """What the containers of a pod ask for: their sum, or the largest of those that run before them."""
        amounts: dict[str, Fraction] = {}
        for container in spec.get("containers", ()):
            for name, amount in _asked(container).items():
                amounts[name] = amounts.get(name, Fraction()) + amount
        for container in spec.get("initContainers", ()):
            for name, amount in _asked(container).items():
                amounts[name] = max(amounts.get(name, Fraction()), amount)
        return amounts

    def _add(self, amounts: Amounts, resources: Mapping[str, Fraction], instance_type: str) -> None:
        for name, amount in resources.items():
            unit, of_one = self._unit(name, instance_type)
            amounts[instance_type, unit] = amounts.get((instance_type, unit), Fraction()) + amount * of_one

    def _unit(self, resource: str, instance_type: str) -> tuple[str, Fraction]:
        """In what a resource counts, and how much of it one is."""
        unit = unit_of(resource)
        share = self._devices_of_a_core.get(instance_type) if unit == NEURON_CORES else None
        return (ACCELERATORS, share) if share else (unit, Fraction(1))


def _asked(container: Object) -> dict[str, Fraction]:
    """The accelerators that a container asks for: its limits, which requests cannot differ from."""
    resources = container.get("resources", {})
    return _accelerators({**resources.get("limits", {}), **resources.get("requests", {})})


def _accelerators(resources: Mapping[str, Any]) -> dict[str, Fraction]:
    """Those of the resources that count."""
    return {name: quantity(amount) for name, amount in resources.items() if unit_of(name)}


def _owners(each: Object) -> Sequence[Object]:
    owners: Sequence[Object] = each["metadata"].get("ownerReferences", ())
    return owners


def _origin(each: Object) -> Origin:
    """What controls an object, or itself."""
    metadata, owners = each["metadata"], _owners(each)
    owner = next((owner for owner in owners if owner.get("controller")), next(iter(owners), None))
    kind, name = (owner["kind"], owner["name"]) if owner else ("Pod", metadata["name"])
    created = _moment(metadata["creationTimestamp"])
    return Origin(f"{str(kind).lower()}s", str(metadata["namespace"]), str(name), created)
