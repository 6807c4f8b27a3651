"""Proves that the simulator sees what it is there to see: podshare with one rule of its own broken, on purpose.

Each mutant is a copy of what is deployed in which one place is changed. It is played under the faults that bring the
change to light, and has to break a rule; podshare as it is breaks none under all of these faults together.
"""

import concurrent.futures
import multiprocessing
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.simulation.faults import Call, Fault
from tests.simulation.life import Played, Recording, copied, stage
from tests.simulation.schedules import OUTLASTING, Schedule

_AT_ONCE = 2
_SEED = 7


@dataclass(frozen=True)
class Place:
    """The first call of the story with these words in it, and what happens there."""

    fault: str
    chapter: str
    principal: str
    action: str
    resource: str = ""
    times: int = 1

    def found_in(self, recording: Recording) -> Fault:
        """The fault at that call. Raises ValueError if the story makes no such call."""
        call = next((call for call in sorted(recording.calls) if self._names(call)), None)
        if call is None:
            raise ValueError(f"the story makes no such call: {self}")
        return Fault(call, self.fault, self.times)

    def _names(self, call: Call) -> bool:
        here = (call.chapter, call.principal, call.action) == (self.chapter, self.principal, self.action)
        return here and self.resource in call.resource


@dataclass(frozen=True)
class Mutant:
    """``edits``: what stands in a file, exactly once, and what stands there instead. ``rule``: words of what it breaks."""

    name: str
    path: str
    edits: tuple[tuple[str, str], ...]
    rule: str
    places: tuple[Place, ...] = ()

    def schedule(self, recording: Recording) -> Schedule:
        """The faults that bring it to light."""
        return Schedule(tuple(place.found_in(recording) for place in self.places))

    def change(self, folder: Path) -> None:
        """Change a copy of the project. Raises ValueError if what is to be changed is not there, exactly once."""
        path = folder / self.path
        text = path.read_text(encoding="utf-8")
        for old, new in self.edits:
            if text.count(old) != 1:
                raise ValueError(f"{self.path} has {text.count(old)} times, not once: {old}")
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")


_RECONCILE, _KINDS = "functions/podshare/reconcile", "functions/podshare/kinds"
_VERIFYING = ("podshare-verify-team", "dynamodb:Query", "inventory#alpha resource#")

MUTANTS = (
    Mutant(
        "grants come before cuts",
        "statemachines/reconcile_team.asl.yaml",
        (
            ("Default: RevokeAccess", "Default: ProvideAccess"),
            (
                'revoked: "{% $states.result %}"\n    Next: ProvideAccess',
                'revoked: "{% $states.result %}"\n    Next: VerifyTeam',
            ),
            (
                'provided: "{% $states.result %}"\n    Next: VerifyTeam',
                'provided: "{% $states.result %}"\n    Next: RevokeAccess',
            ),
        ),
        "was cut",
    ),
    Mutant(
        "what is no longer desired keeps its access point",
        f"{_RECONCILE}/plan.py",
        (
            (
                "    if desired is None:\n        revoked = ",
                "    if desired is None:\n        if observed.key.kind is Kind.ACCESS_POINT:\n            return\n        revoked = ",
            ),
        ),
        "was cut",
    ),
    Mutant(
        "an access point admits to the whole dataset",
        f"{_KINDS}/data_access.py",
        (
            (
                "    granted = [(grant.prefix or dataset.prefix, ",
                "    granted = [(dataset.prefix, ",
            ),
        ),
        "neither the old nor the new record grants",
    ),
    Mutant(
        "verification is skipped",
        f"{_RECONCILE}/outcome.py",
        (
            ('    if not verification.get("verified"):\n        return TeamState.DEGRADED\n', ""),
            (
                '    violations = [item for item in verification.get("violations", [])',
                "    violations = [item for item in ()",
            ),
        ),
        "READY, and untrue",
        # a first run may end as WAITING, with nothing to be untrue about: whichever ends as READY meets it
        (Place("tampered", "onboarding", *_VERIFYING, times=5),),
    ),
    Mutant(
        "a verification's time is that of an earlier one",
        f"{_RECONCILE}/recording.py",
        (
            (
                'verified_at = verification.get("at") if verification.get("verified") else ended.before.get("verified_at")',
                'verified_at = ended.before.get("verified_at") or verification.get("at")',
            ),
        ),
        "READY, verified at",
    ),
    Mutant(
        "what is made is not written down first",
        f"{_RECONCILE}/applying.py",
        (
            ("        marks.begin(key)\n", ""),
            ("        if keys and (moment", "        if not keys and (moment"),
        ),
        "is in no inventory",
    ),
    Mutant(
        "what goes is forgotten before it has gone",
        f"{_RECONCILE}/applying.py",
        (
            (
                "        module.delete(context, observed)\n",
                "        context.inventory.forget(key)\n        module.delete(context, observed)\n",
            ),
        ),
        "is in no inventory",
        (Place("killed_before", "removal", "podshare-identity", "iam:DeleteRole", "alpha", OUTLASTING),),
    ),
    Mutant(
        "a refusal counts as absence",
        "functions/podshare/aws/errors.py",
        (("    return code_of(error) in ABSENT\n", '    return code_of(error) in {*ABSENT, "AccessDenied"}\n'),),
        "is in no inventory",
        (Place("denied", "removal", "podshare-identity", "iam:GetRole", "role/podshare/podshare-alpha"),),
    ),
    Mutant(
        "a lease is given back whatever was asked for meanwhile",
        "functions/podshare/aws/lease.py",
        (('"fence = :fence AND generation = :generation AND', '"fence = :fence AND generation >= :generation AND'),),
        "is forgotten",
        (Place("contested", "change", *_VERIFYING),),
    ),
    Mutant(
        "nobody asks whose a thing is",
        f"{_KINDS}/context.py",
        (
            (
                "        return not self.missing_marks(tags) or self.remembers(key, identity)\n",
                "        return True\n",
            ),
        ),
        "foreign",
        (Place("taken", "onboarding", "podshare-data", "s3:CreateAccessPoint", "podshare-beta"),),
    ),
    Mutant(
        "tags are trusted",
        f"{_KINDS}/context.py",
        (
            (
                "        return not self.missing_marks(tags) or self.remembers(key, identity)\n",
                "        return not self.missing_marks(tags)\n",
            ),
        ),
        "chapter change",
    ),
    Mutant(
        "bindings are not looked at",
        f"{_RECONCILE}/door_readers.py",
        (("    bindings,\n    controllers,\n", "    controllers,\n"),),
        "is let in",
        (Place("bound", "change", *_VERIFYING),),
    ),
    Mutant(
        "buckets behind target roles are not read for doors",
        f"{_RECONCILE}/data_door_readers.py",
        (
            (
                "            return {bucket for bucket, _, _ in resource.buckets}\n",
                "            return ()\n",
            ),
        ),
        "READY, verified at",
        (Place("targeted", "onboarding", *_VERIFYING),),
    ),
    Mutant(
        "a pattern means nobody but the account that it begins with",
        "functions/podshare/access/data_doors.py",
        (
            (
                "    return _is_open([who]) and not _OF_ONE_ACCOUNT.fullmatch(who)\n",
                "    return who == ANYBODY or _is_open([account_of(who)])\n",
            ),
        ),
        "READY, verified at",
        (Place("masked", "change", "podshare-plan-team", "dynamodb:Query", "inventory#alpha resource#"),),
    ),
    Mutant(
        "work that a team leaves is not looked for",
        f"{_KINDS}/namespace/calls.py",
        (("    if left := _cleaned(context, key):\n", '    if left := "":\n'),),
        "DELETED, and work is left",
    ),
    Mutant(
        "what the bucket does not take is lost to the history",
        f"{_RECONCILE}/history.py",
        (("            kept = _keep_for_the_sweep(settings, key, body, reason)\n", "            kept = UNTAKEN\n"),),
        "history: the last access report of team",
        (Place("denied", "change", "podshare-record-outcome", "s3:PutObject", "/team=alpha/", OUTLASTING),),
    ),
    Mutant(
        "the account of a cluster is forgotten",
        f"{_KINDS}/desired.py",
        (("        if quota and not is_unreachable(accounts, cluster.account):\n", "        if quota:\n"),),
        "chapter absence",
    ),
)


def _misjudged(recording: Recording) -> Iterator[Fault]:
    """What the rules once condemned podshare for, wrongly: those whom a door lets in had no access of their own yet."""
    yield Place("bound", "onboarding", "podshare-verify-team", "dynamodb:Query", "team#alpha").found_in(recording)
    for call in sorted(recording.calls):
        if (call.chapter, call.action) == ("onboarding", "iam:CreateRole") and "/podshare-beta-" in call.resource:
            yield Fault(call, "denied")


def prove(say: Callable[[str], None]) -> bool:
    """Whether every mutant breaks its rule, and podshare itself, under all their faults, none."""
    began = time.monotonic()
    with copied() as project:
        with stage(project, _SEED) as ours:
            recording = ours.record()
        faults = {fault.call: fault for mutant in MUTANTS for fault in mutant.schedule(recording).faults}
        faults |= {fault.call: fault for fault in _misjudged(recording)}
        with concurrent.futures.ProcessPoolExecutor(_AT_ONCE, multiprocessing.get_context("spawn")) as pool:
            itself = pool.submit(_played, project, None, Schedule(tuple(faults.values())), recording)
            found = [pool.submit(_played, project, one, one.schedule(recording), recording) for one in MUTANTS]
            broken = itself.result().broken
            say(f"podshare itself ({itself.result().seconds:.0f} s): {broken or 'breaks no rule'}")
            seen = [_is_seen(mutant, one.result(), say) for mutant, one in zip(MUTANTS, found, strict=True)]
    say(f"mutants {len(MUTANTS)}, seen {sum(seen)}, seconds {time.monotonic() - began:.0f}")
    return not broken and all(seen)


def _is_seen(mutant: Mutant, found: Played, say: Callable[[str], None]) -> bool:
    seen = mutant.rule in found.broken
    told = found.broken.replace("\n", " ")[:300] or "breaks no rule"
    say(f"{mutant.name} ({found.seconds:.0f} s): {'' if seen else 'NOT SEEN, '}{told}")
    return seen


def _played(project: Path, mutant: Mutant | None, schedule: Schedule, recording: Recording) -> Played:
    """Play a schedule on a stage of its own, with the mutant in podshare's place."""
    with copied(project) as folder:
        if mutant:
            mutant.change(folder)
        with stage(folder, _SEED) as mutated:
            return mutated.play(schedule, recording)
