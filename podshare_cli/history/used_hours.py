"""Used and borrowed hours: pure, from what work held of a cluster and from what was guaranteed at the time.

At each instant, what a team holds of an instance type within its guarantee is its own, and the rest is borrowed. Where
the guarantee or the type is unknown, which of the two it is stays undetermined. All figures are exact fractions.
"""

import datetime
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from podshare_cli.history.quota_hours import INSTANCES, MEMBER, TEAM, UNITS, Line, Span, length

ACCELERATORS, NEURON_CORES = UNITS["accelerators"], "Neuron cores"
Moment = datetime.datetime
Place = tuple[str, str, str, str]  # team, cluster, instance type, unit


@dataclass(frozen=True)
class Use:
    """What one piece of work held of an instance type for a time; the type is empty where it is unknown.

    ``member`` is whoever started it, empty where that is unknown.
    """

    team: str
    cluster: str
    instance_type: str
    unit: str
    amount: Fraction
    since: Moment
    until: Moment
    member: str = ""


@dataclass(frozen=True)
class Used:
    """Hours that were used: within the guarantee, borrowed, and of which neither is known."""

    within: Fraction = Fraction()
    borrowed: Fraction = Fraction()
    undetermined: Fraction = Fraction()

    def __add__(self, other: "Used") -> "Used":
        return Used(self.within + other.within, self.borrowed + other.borrowed, self.undetermined + other.undetermined)

    def part(self, share: Fraction) -> "Used":
        """A share of each."""
        return Used(self.within * share, self.borrowed * share, self.undetermined * share)

    @property
    def hours(self) -> Fraction:
        """All of them."""
        return self.within + self.borrowed + self.undetermined


UsedHours = dict[tuple[str, str, str, str], Used]  # by whose they are, cluster, instance type and unit


def in_accelerators(spans: Iterable[Span], accelerators: Mapping[str, int]) -> list[Span]:
    """The same guarantees, with instances turned into accelerators where it is known how many a type has."""

    def turned(line: Line) -> Line:
        count = accelerators.get(line.instance_type, 0)
        return (
            replace(line, unit=ACCELERATORS, amount=line.amount * count) if line.unit == INSTANCES and count else line
        )

    return [span if span.lines is None else replace(span, lines=tuple(map(turned, span.lines))) for span in spans]


def used_hours(uses: Iterable[Use], spans: Iterable[Span], since: Moment, until: Moment, by: str) -> UsedHours:
    """The hours in a time by ``team``, ``account``, ``owner`` or ``member``.

    The owner and the accounts are those of the quota in force, ``""`` where none is; an account's are its equal share,
    a member's the share of what it held.
    """
    uses_by_place: dict[Place, list[Use]] = defaultdict(list)
    for use in uses:
        uses_by_place[use.team, use.cluster, use.instance_type, use.unit].append(use)
    spans_by_cluster: dict[tuple[str, str], list[Span]] = defaultdict(list)
    for span in spans:
        spans_by_cluster[span.team, span.cluster].append(span)
    sums: dict[tuple[str, str, str, str], Used] = defaultdict(Used)
    for place, held in uses_by_place.items():
        for used, in_force, amounts in _pieces(place, held, spans_by_cluster[place[:2]], since, until):
            for who, share in shares(place[0], in_force, amounts, by).items():
                sums[(who, *place[1:])] += used.part(share)
    return dict(sums)


def _pieces(
    place: Place, uses: Iterable[Use], spans: Iterable[Span], since: Moment, until: Moment
) -> Iterator[tuple[Used, Span | None, Mapping[str, Fraction]]]:
    """Times in which nothing changed: what was used, the quota in force, and what each member held."""
    changes: dict[Moment, list[tuple[str, Fraction]]] = defaultdict(list)
    for use in uses:
        begin, end = max(use.since, since), min(use.until, until)
        if begin < end:
            changes[begin].append((use.member, use.amount))
            changes[end].append((use.member, -use.amount))
    in_force = {max(span.since, since): span for span in spans if max(span.since, since) < min(span.until, until)}
    moments = sorted({*changes, *in_force, *(min(span.until, until) for span in in_force.values())})
    held: dict[str, Fraction] = defaultdict(Fraction)
    span: Span | None = None
    for begin, end in itertools.pairwise(moments):
        span = in_force.get(begin, span if span and begin < span.until else None)
        for member, amount in changes.get(begin, ()):
            held[member] += amount
        amounts = {member: amount for member, amount in held.items() if amount}
        if amounts:
            yield (
                _used(sum(amounts.values(), Fraction()), _guaranteed(place, span)).part(length(begin, end)),
                span,
                amounts,
            )


def _guaranteed(place: Place, span: Span | None) -> Fraction | None:
    """What was guaranteed of an instance type; None where that is unknown."""
    _, _, instance_type, unit = place
    lines = [line for line in (span.lines or () if span else ()) if line.instance_type == instance_type]
    if span is None or span.lines is None or not instance_type or any(line.unit == INSTANCES for line in lines):
        return None
    return sum((line.amount for line in lines if line.unit == unit), Fraction())


def _used(amount: Fraction, guaranteed: Fraction | None) -> Used:
    if guaranteed is None:
        return Used(undetermined=amount)
    within = min(amount, guaranteed)
    return Used(within, amount - within)


def shares(team: str, span: Span | None, amounts: Mapping[str, Fraction], by: str) -> Mapping[str, Fraction]:
    """Whose hours they are, in which parts: by the quota in force, or for members by what each held."""
    if by == MEMBER:
        total = sum(amounts.values(), Fraction())
        return {member: amount / total for member, amount in amounts.items()}
    whose = span.whose(by) if span else [team if by == TEAM else ""]
    return {who: Fraction(1, len(whose)) for who in whose}
