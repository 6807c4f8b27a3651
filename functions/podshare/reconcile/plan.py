"""The difference between what should be and what is, in the order in which it may be made up.

Revocations come first and in stages, because they cut access; then what is missing is provided in lanes that do not
wait for each other. A dry run shows this very plan, unexecuted.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import zip_longest
from operator import itemgetter
from typing import Any

from podshare.kinds.base import ExecutionRole, Key, Kind, Resource, Stage, same
from podshare.kinds.observation import Blocker, Foreign, Observation, Orphaned, Unreadable
from podshare.kinds.shapes import SHAPES

# of one run: a state's input may have 256 KiB (Step Functions quotas); what does not fit is done by the next run
MOST_CHANGES = 250
MOST_BYTES = 120_000
LONGEST_VALUE = 240
MOST_BLOCKERS = 50  # reported of one team, those that cover the most first
MOST_ORPHANED = 50  # told of one team; the inventory names them all


class Action(StrEnum):
    """What a change does.

    ``cut``, ``narrow`` and ``delete`` only revoke, ``create`` and ``update`` only add. ``drain`` waits for the
    running work of a compute quota that is about to go.
    """

    REVOKE = "cut"
    RESTRICT = "narrow"
    DELETE = "delete"
    DRAIN = "drain"
    CREATE = "create"
    UPDATE = "update"


REVOKING = frozenset({Action.REVOKE, Action.RESTRICT, Action.DELETE})


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that differs, with bounded values; a longer one ends in the hash of the whole."""

    field: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Change:
    """One step: what is done to which resource, and why. It carries identity, not documents."""

    key: Key
    action: Action
    execution_role: str
    why: str
    differs: tuple[Difference, ...] = ()

    @property
    def fingerprint(self) -> str:
        """What stands for it where many are listed."""
        return change_fingerprint({"action": self.action.value, "key": str(self.key)})

    def as_dict(self) -> dict[str, Any]:
        return {
            "action": self.action.value,
            "kind": self.key.kind.value,
            "account": self.key.account,
            "region": self.key.region,
            "name": self.key.name,
            "why": self.why,
            "differs": [{"field": item.field, "from": item.old, "to": item.new} for item in self.differs],
            "work": self.execution_role,
            "key": str(self.key),
        }


Batch = tuple[Change, ...]
Chain = tuple[Batch, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """All changes: revoking ones by stage, providing ones in lanes of waves; ``left`` counts those of later runs."""

    revoke: Mapping[Stage, Batch] = field(default_factory=dict)
    allocate: tuple[Chain, ...] = ()
    grant: tuple[Chain, ...] = ()
    blockers: tuple[Blocker, ...] = ()
    orphaned: tuple[Orphaned, ...] = ()
    left: int = 0

    @property
    def changes(self) -> tuple[Change, ...]:
        """Every change, in the order of their stages and waves."""
        revoking = [change for stage in sorted(self.revoke) for change in self.revoke[stage]]
        providing = [change for chain in (*self.allocate, *self.grant) for batch in chain for change in batch]
        return (*revoking, *providing)

    @property
    def digest(self) -> str:
        """A hash that distinguishes one plan from another."""
        return hashlib.sha256(json.dumps([change.as_dict() for change in self.changes]).encode()).hexdigest()[:16]

    def as_dict(self) -> dict[str, Any]:
        """The plan as the state machine runs it and the command shows it."""
        return {
            "hash": self.digest,
            "count": len(self.changes),
            "left": self.left,
            "revoke": [
                {"stage": stage.name.lower(), "changes": [change.as_dict() for change in self.revoke[stage]]}
                for stage in sorted(self.revoke)
            ],
            "allocate": [_side_by_side({number: chain}) for number, chain in enumerate(self.allocate)],
            # each function is asked once a wave. What needs the namespace stays alone: a compute quota may take minutes
            "grant": [_side_by_side(dict(enumerate(self.grant, len(self.allocate))))] if self.grant else [],
            "obstacles": [blocker.as_dict() for blocker in _reported(self.blockers)],
            "left_behind": [resource.as_dict() for resource in self.orphaned[:MOST_ORPHANED]],
        }


def _reported(blockers: tuple[Blocker, ...]) -> tuple[Blocker, ...]:
    """The first MOST_BLOCKERS; of more the last says how many."""
    if len(blockers) <= MOST_BLOCKERS:
        return blockers
    listed, rest = blockers[: MOST_BLOCKERS - 1], blockers[MOST_BLOCKERS - 1 :]
    waits = all(blocker.waits for blocker in rest)
    return (*listed, Blocker(f"{len(rest)} more resources are blocked", "Fix what is listed first.", waits=waits))


def _side_by_side(chains: Mapping[int, Chain]) -> dict[str, Any]:
    """Chains batch by batch; every change names its own, since one that fails stops no other."""
    about = dict.fromkeys(chain[0][0].why for chain in chains.values())
    batches = zip_longest(*([(number, batch) for batch in chain] for number, chain in chains.items()))
    return {
        "about": "; ".join(about),
        "waves": [
            {
                "changes": [
                    {**change.as_dict(), "lane": number} for number, batch in filter(None, numbered) for change in batch
                ]
            }
            for numbered in batches
        ],
    }


def plan(
    desired: Mapping[Key, Resource],
    observed: Mapping[Key, Observation],
    blockers: Iterable[Blocker] = (),
) -> Plan:
    """What it takes to make ``observed`` equal ``desired``. ``blockers`` withhold additions, never a revocation.

    It may be more than one run can carry: see :func:`carried`.
    """
    environment = tuple(blockers)
    all_blockers = (*environment, *observed_blockers(desired, observed))
    withheld = _withheld(desired, observed, environment)
    revoking = [step for key in sorted(observed) for step in _revoking(desired.get(key), observed[key])]
    revoking.sort(key=itemgetter(0))
    adding = [
        change
        for key, resource in desired.items()
        if key not in withheld and (change := _adding(resource, observed.get(key)))
    ]
    made = {change.key for change in adding if change.action is Action.CREATE}
    adding += _mentioning(desired, observed, made, withheld)
    chains = _chains(adding, desired)
    return Plan(
        revoke=_by_stage(revoking),
        allocate=tuple(chain for chain in chains if _needs_namespace(chain)),
        grant=tuple(chain for chain in chains if not _needs_namespace(chain)),
        blockers=all_blockers,
        orphaned=tuple(observation for observation in observed.values() if isinstance(observation, Orphaned)),
    )


def carried(proposed: Plan, failed: Collection[str] = ()) -> Plan:
    """What one run can carry of a plan: revocations first, in the order of their stages.

    Those whose fingerprints are among ``failed`` have been tried in this run, and come last: whatever refuses them
    keeps nothing else waiting.
    """
    revoking = [change for stage in sorted(proposed.revoke) for change in proposed.revoke[stage]]
    again = [change for change in revoking if change.fingerprint in failed]
    first = [change for change in revoking if change.fingerprint not in failed]
    providing = proposed.changes[len(revoking) :]
    ordered = [*first, *providing, *again]
    fitting = frozenset(ordered[: _fitting(ordered)])
    return replace(only(proposed, fitting.__contains__), left=len(ordered) - len(fitting))


def only(proposed: Plan, stays: Callable[[Change], bool]) -> Plan:
    """The plan without the changes that do not stay."""

    def rest(chains: Iterable[Chain]) -> tuple[Chain, ...]:
        kept = (tuple(filter(None, (tuple(filter(stays, batch)) for batch in chain))) for chain in chains)
        return tuple(filter(None, kept))

    revoke = {stage: tuple(filter(stays, changes)) for stage, changes in proposed.revoke.items()}
    return replace(
        proposed,
        revoke={stage: changes for stage, changes in revoke.items() if changes},
        allocate=rest(proposed.allocate),
        grant=rest(proposed.grant),
    )


def fingerprint(text: str) -> str:
    """What stands for a key, or a change, where many are listed."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def change_fingerprint(change: Mapping[str, Any]) -> str:
    """That of a change, or of a result of one, as a plan's dict has it."""
    return fingerprint(f"{change.get('action')} {change.get('key')}")


def _fitting(changes: Iterable[Change]) -> int:
    """How many of ``changes``, in their order, one run can carry."""
    size = 0
    for count, change in enumerate(changes):
        size += len(json.dumps(change.as_dict()))
        if count >= MOST_CHANGES or size > MOST_BYTES:
            return count
    return MOST_CHANGES


def target_state(action: Action, desired: Resource | None, observed: Resource | None) -> Resource | None:
    """What a change leaves behind, from what is desired and there *now*: None means that nothing does.

    A change that has been overtaken leaves what is there: one that revokes never removes what has become desired
    again, one that adds never adds what no longer is.
    """
    if action not in REVOKING:
        return desired or observed
    if observed is None:
        return None
    if desired:
        return observed.intersection(desired)
    if action is Action.DELETE:
        return None
    return observed.revoked() or observed


def differences(observed: Resource, wanted: Resource) -> tuple[Difference, ...]:
    """The fields in which two shapes of the same resource differ."""
    old, new = observed.facts(), wanted.facts()
    return tuple(
        Difference(name, _bounded(old[name]), _bounded(new[name])) for name in sorted(old) if old[name] != new[name]
    )


def _bounded(value: Any) -> str:
    text = json.dumps(value) if value is not None else "absent"
    if len(text) <= LONGEST_VALUE:
        return text
    return f"{text[: LONGEST_VALUE - 24]}… sha256:{hashlib.sha256(text.encode()).hexdigest()[:12]}"


# ---- revoking -------------------------------------------------------------------------------------------


def _revoking(desired: Resource | None, observed: Observation) -> Iterator[tuple[Stage, Change]]:
    if not isinstance(observed, Resource) or observed == desired:
        return
    if desired is None:
        revoked = observed.revoked()
        if revoked and not same(revoked, observed):
            yield (
                observed.revoke_stage,
                _change(observed, Action.REVOKE, "no longer desired", differences(observed, revoked)),
            )
        if observed.key.kind is Kind.COMPUTE_QUOTA:
            why = "the team's running work ends before its compute quota is deleted"
            yield Stage.RUNNING_WORK, Change(observed.key, Action.DRAIN, ExecutionRole.KUBERNETES, why)
        yield observed.remove_stage, _change(observed, Action.DELETE, observed.unwanted)
        return
    intersection = observed.intersection(desired)
    if intersection is None:
        differs = differences(observed, desired)
        why = f"cannot be changed in place: {', '.join(item.field for item in differs)}"
        yield observed.revoke_stage, _change(observed, Action.DELETE, why, differs)
    elif not same(intersection, observed):
        yield (
            observed.revoke_stage,
            _change(observed, Action.RESTRICT, desired.why, differences(observed, intersection)),
        )


def _change(resource: Resource, action: Action, why: str, differs: tuple[Difference, ...] = ()) -> Change:
    return Change(resource.key, action, resource.execution_role, why, differs)


def _by_stage(steps: Iterable[tuple[Stage, Change]]) -> dict[Stage, Batch]:
    stages: dict[Stage, Batch] = {}
    for stage, change in steps:
        stages[stage] = (*stages.get(stage, ()), change)
    return stages


# ---- providing ---------------------------------------------------------------------------------------------


def _adding(desired: Resource, observed: Observation) -> Change | None:
    if observed is None:
        return _change(desired, Action.CREATE, desired.why)
    if not isinstance(observed, Resource) or observed == desired:
        return None
    kept = observed.intersection(desired)
    if kept is None:
        return _change(desired, Action.CREATE, desired.why)
    if differs := differences(kept, desired):
        return _change(desired, Action.UPDATE, desired.why, differs)
    return None


def _mentioning(
    desired: Mapping[Key, Resource],
    observed: Mapping[Key, Observation],
    made: Collection[Key],
    withheld: Collection[Key],
) -> Iterator[Change]:
    """What contains the identity of a resource that is made now: it is written again, although it is as desired."""
    for key, resource in desired.items():
        observation = observed.get(key)
        is_there = isinstance(observation, Resource) and same(observation, resource)
        if is_there and key not in withheld and not resource.mentions.isdisjoint(made):
            yield _change(resource, Action.UPDATE, resource.why)


def observed_blockers(desired: Mapping[Key, Resource], observed: Mapping[Key, Observation]) -> Iterator[Blocker]:
    """What blocks additions of what was observed: it is not podshare's, or cannot be read."""
    for key, observation in observed.items():
        resource = f"{key.kind.replace('_', ' ')} {key.name} in account {key.account}"
        if isinstance(observation, Foreign) and key in desired:
            yield Blocker(f"{resource} is not podshare's: {observation.found}", observation.remedy)
        elif isinstance(observation, Foreign):
            problem = f"{resource} is no longer wanted, but podshare may not delete it: {observation.found}"
            remedy = f"Check who uses it. If nobody needs it, delete it: {SHAPES[key.kind].deletion(key)}"
            yield Blocker(problem, remedy, account=key.account)
        elif isinstance(observation, Unreadable) and not (observation.no_role and key in desired):
            # what lacks a member role is reported once per account
            remedy = "podshare leaves it unchanged; the next reconciliation tries again."
            yield Blocker(f"{resource} cannot be read: {observation.reason}", remedy)


def _withheld(
    desired: Mapping[Key, Resource], observed: Mapping[Key, Observation], environment: Iterable[Blocker]
) -> set[Key]:
    """What must wait: covered by a blocker of the environment, not ours, unreadable, or in need of such a resource."""
    withheld = {key for key, resource in desired.items() if any(blocker.covers(resource) for blocker in environment)}
    withheld |= {key for key in desired if isinstance(observed.get(key), Foreign | Unreadable)}
    while more := {
        key
        for key, resource in desired.items()
        if key not in withheld
        and any(need in withheld and not isinstance(observed.get(need), Resource) for need in resource.needs)
    }:
        withheld |= more
    return withheld


def _chains(changes: Iterable[Change], desired: Mapping[Key, Resource]) -> list[Chain]:
    """Changes that need each other share a lane, in waves: each wave needs only what the ones before provide."""
    pending = {change.key: change for change in changes}
    needs = {key: (desired[key].needs | desired[key].mentions) & pending.keys() for key in pending}
    depth: dict[Key, int] = {}

    def batch_of(key: Key) -> int:
        if key not in depth:
            depth[key] = 1 + max((batch_of(need) for need in needs[key]), default=-1)
        return depth[key]

    chains = []
    for group in _groups(needs):
        last = max(batch_of(key) for key in group)
        batches = (tuple(pending[key] for key in group if batch_of(key) == batch) for batch in range(last + 1))
        chains.append(tuple(batches))
    return chains


def _groups(needs: Mapping[Key, frozenset[Key]]) -> list[list[Key]]:
    """The connected parts of the graph of needs."""
    group_of: dict[Key, list[Key]] = {}
    for key, needed in needs.items():
        merged = [key]
        for other in {id(group_of[need]): group_of[need] for need in (key, *needed) if need in group_of}.values():
            merged = [*other, *(item for item in merged if item not in other)]
        for need in needed:
            if need not in merged:
                merged.append(need)
        for member in merged:
            group_of[member] = merged
    return list({id(group): group for group in group_of.values()}.values())


def _needs_namespace(chain: Chain) -> bool:
    return any(SHAPES[change.key.kind].in_namespace for batch in chain for change in batch)
