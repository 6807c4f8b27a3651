"""Which faults strike where: drawn from a seed, so that a schedule can be played again."""

import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.scenarios.world import TEXT
from tests.simulation.faults import EVENTS, PLAIN, Call, Fault

# a life with many costs hardly more than one with few: it is the repeated calls and runs that take time
FAULTS_AT_ONCE = 600
# SDKs make 4 attempts; a fault that outlasts them reaches podshare itself
OUTLASTING = 5
# an SDK waits some seconds before it gives up; one that is denied is tried no second time, and a process that is killed
# costs most of a second
_OUTLASTING_SHARES = dict.fromkeys(PLAIN, 0.1) | {"denied": 0, "killed_before": 0.05, "killed_after": 0.05}
_SLOW_EVENTS = ("aborted", "redriven")
_QUICK_EVENTS = tuple(event for event in EVENTS if event not in _SLOW_EVENTS)
_CONCERNING_TEAMS = ("onboarding", "change")  # the chapters in which something else may happen meanwhile

_MOST_BY_CHANCE = 0.02  # share of the recorded calls; where more are made no longer, the story has changed

Kind = tuple[str, str, str]


@dataclass(frozen=True)
class Schedule:
    """Faults at calls of the story."""

    faults: tuple[Fault, ...]


def promised(calls: Mapping[Call, int], seed: int) -> list[Fault]:
    """Faults such that every call meets one, and every class of calls every kind of fault."""
    faults = []
    for kind, members in sorted(_classes(calls).items()):
        chance = _chance(seed, kind)
        chance.shuffle(members)
        kinds = [*members[0].faults]
        chance.shuffle(kinds)
        for number in range(max(len(members), len(kinds))):
            call = members[number % len(members)]
            faults.append(_fault(call, calls[call], kinds[number % len(kinds)], seed))
    return faults


def every_fault(calls: Mapping[Call, int], seed: int) -> list[Fault]:
    """Each kind of fault at each call, in an order of chance."""
    faults = [_fault(call, count, kind, seed) for call, count in calls.items() for kind in call.faults]
    return sorted(faults, key=lambda one: _chance(seed, one).random())


def schedules(calls: Mapping[Call, int], seed: int, size: int = FAULTS_AT_ONCE) -> Iterator[Schedule]:
    """What is promised, then every fault there is, then all again as another seed has it; without end."""
    yield from dealt(promised(calls, seed), calls, seed, size)
    for seed_now in itertools.count(seed):
        yield from dealt(every_fault(calls, seed_now), calls, seed_now, size)


def dealt(faults: Iterable[Fault], calls: Iterable[Call], seed: int, size: int = FAULTS_AT_ONCE) -> Iterator[Schedule]:
    """Schedules of ``size`` faults, at each call one at most, with something else that happens meanwhile.

    All have about as many, and together everything else that may happen. What ends a run without its lease, which is
    waited for, happens in every third.
    """
    waiting = sorted(faults, key=lambda one: _chance(seed, one).random())
    rounds = max([-(-len(waiting) // size), *Counter(one.call.first for one in waiting).values()], default=0)
    hands: list[dict[Call, Fault]] = [{} for _ in range(rounds)]
    for fault in waiting:
        open_hands = [hand for hand in hands if fault.call.first not in hand]
        min(open_hands, key=len)[fault.call.first] = fault
    places = sorted(call for call in calls if call.chapter in _CONCERNING_TEAMS and call.faults is PLAIN)
    for hand, others in zip(hands, _others(hands, places, seed), strict=True):
        yield Schedule((*others, *hand.values()))


def _others(hands: Sequence[Mapping[Call, Fault]], places: Sequence[Call], seed: int) -> list[list[Fault]]:
    """What else happens in each of the schedules: everything in one of them, where there is a place for it."""
    others: list[list[Fault]] = [[] for _ in hands]
    turns = [*enumerate(_QUICK_EVENTS)] if hands else []
    turns += [(number, _SLOW_EVENTS[number // 3 % 2]) for number in range(1, len(hands), 3)]
    for turn, event in turns:
        chance = _chance(seed, turn, event)
        for number in sorted(range(len(hands)), key=lambda one: (one - turn) % len(hands)):
            if free := _places(event, places, hands[number]):
                others[number].append(Fault(chance.choice(free), event))
                break
    return others


def _places(event: str, calls: Iterable[Call], taken: Mapping[Call, Fault]) -> list[Call]:
    """The calls at which something else may happen that meet no fault.

    What is tampered with, or opened, just before a verification is found by it, and a bucket that is made public by
    whoever looks at it; a name is taken just before it is needed.
    """
    free = [call for call in calls if call not in taken]
    if event in ("tampered", "bound", "returned", "shared", "masked", "targeted"):
        return [
            one
            for one in free
            if one.principal == "podshare-verify-team" and one.resource.endswith("inventory#alpha resource#")
        ]
    if event == "published":
        return [one for one in free if one.action == "s3:GetBucketPolicyStatus" and one.resource.endswith(TEXT)]
    return [one for one in free if one.action == "s3:CreateAccessPoint"] if event == "taken" else free


def _classes(calls: Iterable[Call]) -> dict[Kind, list[Call]]:
    found = defaultdict(list)
    for call in sorted(calls):
        found[call.kind].append(call)
    return found


def _fault(call: Call, count: int, kind: str, seed: int) -> Fault:
    """Chance is drawn anew for each: a call more or less in the recording leaves the others' as they are."""
    chance = _chance(seed, call, kind)
    nth = Call(call.chapter, call.principal, call.action, call.resource, chance.randrange(count))
    outlasts = chance.random() < _OUTLASTING_SHARES.get(kind, 0)
    return Fault(nth, kind, OUTLASTING if outlasts else 1)


def _chance(*given: Any) -> random.Random:
    return random.Random(" ".join(map(str, given)))  # noqa: S311  # a simulation has no secrets


# ---- what has been met -----------------------------------------------------------------------------------------


@dataclass
class Coverage:
    """Which calls, and which classes of calls, have met which faults, of those that the story makes every time."""

    calls: frozenset[Call]
    struck: Counter[str] = field(default_factory=Counter)
    met: dict[str, set[Call]] = field(default_factory=lambda: defaultdict(set))
    schedules: int = 0
    _made: list[frozenset[Call]] = field(default_factory=list)  # by each schedule since chance was last left out
    _times: Counter[Call] = field(default_factory=Counter)  # by how many schedules

    def add(self, made: Collection[Call], struck: Sequence[tuple[Call, Fault]]) -> None:
        """The calls that were made while a schedule was played, and what it has struck."""
        self.schedules += 1
        self._made.append(frozenset(made))
        self._times.update(made)
        for call, fault in struck:
            self.struck[fault.kind] += 1
            self.met[fault.kind].add(call.first)

    def leave_out_chance(self, faults: Iterable[Fault], least: float = 0.5) -> frozenset[Call]:
        """Leave out the calls without which ``faults`` are missing and that are by chance; all stay if they are many.

        By chance is what less than the share ``least`` of the latest schedules has made.
        """
        times_made = Counter(call for made in self._made for call in made)
        owed = {fault.call.first for fault in self.missing(faults)}
        rare = frozenset(call for call in owed & self.calls if times_made[call] < len(self._made) * least)
        self._made.clear()
        if len(rare) > len(self.calls) * _MOST_BY_CHANCE:
            return frozenset()
        self.calls -= rare
        return rare

    @property
    def of_calls(self) -> frozenset[Call]:
        """The calls that have met at least one fault."""
        return self.calls.intersection(*[set().union(*self.met.values())])

    @property
    def of_classes(self) -> frozenset[tuple[Kind, str]]:
        """The pairs of a class of calls and a kind of fault that have met."""
        return frozenset((call.kind, kind) for kind, calls in self.met.items() for call in calls) & self.classes

    @property
    def classes(self) -> frozenset[tuple[Kind, str]]:
        """All such pairs that are promised."""
        return frozenset((call.kind, kind) for call in self.calls for kind in call.faults)

    def missing(self, faults: Iterable[Fault]) -> list[Fault]:
        """Those of ``faults`` without which a promise is not kept, at the first of the same calls.

        What a class of calls lacks is owed by those of its calls that were made most often, one fault by each: at one
        call, each would take a schedule of its own.
        """
        unmet = self.calls - self.of_calls
        owed = {Fault(one.call.first, one.kind) for one in faults if one.call.first in unmet}
        pairs = self.classes - self.of_classes - {(one.call.kind, one.kind) for one in owed}
        members = _classes(self.calls)
        for kind, lacking in itertools.groupby(sorted(pairs), key=lambda pair: pair[0]):
            most = max(self._times[call] for call in members[kind])
            often = itertools.cycle(call for call in members[kind] if self._times[call] == most)
            owed |= {Fault(call, fault) for call, (_, fault) in zip(often, lacking, strict=False)}
        return sorted(owed)

    def table(self) -> list[tuple[str, str, str]]:
        """Rows: a fault, how often it struck, how many calls it has met."""
        rows = [("fault", "struck", "calls covered")]
        for kind, count in self.struck.items():
            rows.append((kind, str(count), f"{len(self.met[kind] & self.calls)} of {len(self.calls)}"))
        rows.append(("all", str(self.struck.total()), f"{len(self.of_calls)} of {len(self.calls)}"))
        pairs = f"{len(self.of_classes)} of {len(self.classes)}"
        return [*rows, ("classes of calls, by fault", "", pairs)]
