"""Lives through the story under schedules of faults, and holds every moment of it against the rules.

A run without faults tells all calls and what every chapter ends in. A schedule is faults at some of those calls. After
each chapter podshare is started again until all is as without faults; a few times have to be enough. A schedule that
breaks a rule is shortened, fault by fault, as long as it still breaks one.
"""

import datetime
import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from podshare.aws.tables import from_item
from podshare_sandbox import Sandbox
from tests.scenarios.world import HUB, MUTATING, REGION, Item, World
from tests.simulation import reality, story
from tests.simulation.faults import EVENTS, PLAIN, Call, Fault, Functions, Weather
from tests.simulation.reality import Grant, Reality
from tests.simulation.story import CHAPTERS, TEAMS, Chapter

MOST_RECONCILIATIONS = 8  # of one chapter, until it has to have ended as without faults
SETTLE_SECONDS = 300
_NOT_ABOUT_ACCESS = ("dynamodb", "logs", "states", "lambda", "sqs", "sts")
FAULTS_AT_ONCE = 60
_MOST_TOLD = 6
# SDKs make 4 attempts; a fault that outlasts them reaches podshare itself
_OUTLASTING = 5
# whoever holds a document's lease and is killed keeps it for the function's timeout; so does a run that is aborted
_LEASES = ("bucket#", "role#")

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Schedule:
    """Faults at calls of the story."""

    faults: tuple[Fault, ...]


@dataclass(frozen=True)
class Recording:
    """The story without faults: which calls it makes, how often, and what each chapter ends in."""

    calls: dict[Call, int]
    before: Reality
    ends: dict[str, Reality]


@dataclass
class Report:
    """What has been done, and found."""

    calls: frozenset[Call] = frozenset()
    struck: Counter[str] = field(default_factory=Counter)
    covered: dict[str, set[Call]] = field(default_factory=dict)
    schedules: int = 0
    most_reconciliations: int = 0
    violations: list[str] = field(default_factory=list)
    broken: Schedule | None = None

    def table(self) -> str:
        """The figures, as the simulator prints them."""
        rows = [("fault", "struck", "calls covered")]
        for kind in (*PLAIN, *EVENTS):
            if self.struck[kind]:
                rows.append((kind, str(self.struck[kind]), f"{len(self.covered[kind])} of {len(self.calls)}"))
        hit = set().union(*self.covered.values()) if self.covered else set()
        rows.append(("all", str(self.struck.total()), f"{len(hit)} of {len(self.calls)}"))
        lines = [f"{kind:<14} {struck:>7} {covered:>15}" for kind, struck, covered in rows]
        lines.append(f"schedules {self.schedules}, violations {len(self.violations)}, ")
        lines[-1] += f"most reconciliations of a chapter {self.most_reconciliations}"
        return "\n".join(lines)


class Violation(Exception):  # noqa: N818  # what a schedule breaks is no error of the simulator's
    """A rule was broken."""


class Stage:
    """A sandbox in which the story is lived through, again and again."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.before = reality.look(world)
        self._functions = Functions()

    def record(self) -> Recording:
        """Live without faults, twice: functions that have just started make calls that they never make again."""
        calls: dict[Call, int] = {}
        for _ in range(2):
            life = _Life(self.world, Weather(self._functions), None, self.before)
            life.live()
            calls |= {call: count for call, count in life.weather.made.items() if call.chapter}
        return Recording(calls, self.before, life.ends)

    def play(self, schedule: Schedule, recording: Recording, report: Report) -> None:
        """Live with faults. Raises Violation, after which the stage is of no further use."""
        weather = Weather(self._functions, list(schedule.faults))
        life = _Life(self.world, weather, recording, self.before)
        try:
            life.live()
        finally:
            report.schedules += 1
            report.most_reconciliations = max(report.most_reconciliations, life.most_reconciliations)
            for call, fault in weather.struck:
                report.struck[fault.kind] += 1
                report.covered.setdefault(fault.kind, set()).add(call.first)


@contextmanager
def stage() -> Iterator[Stage]:
    """A new sandbox with podshare, before the first chapter."""
    with Sandbox(time_scale=story.TIME_SCALE) as sandbox:
        yield Stage(story.opened(sandbox))


# ---- one life --------------------------------------------------------------------------------------------------


class _Life:
    """The story once, with somebody who looks after every change."""

    def __init__(self, world: World, weather: Weather, recording: Recording | None, before: Reality) -> None:
        self.world, self.weather, self.recording, self.before = world, weather, recording, before
        self.ends: dict[str, Reality] = {}
        self.most_reconciliations = 0
        self._chapter = CHAPTERS[0]
        self._allowed: frozenset[Grant] = frozenset()
        self._broken: list[str] = []
        self._slices: dict[str, Any] = {team: {} for team in TEAMS}
        self._changed: dict[str, datetime.datetime] = {}
        self._looking = threading.Lock()
        weather.on_call, weather.on_event = self._after_call, self._on_event

    def live(self) -> None:
        """Every chapter in turn. Raises Violation."""
        with self.weather.blowing():
            for chapter in CHAPTERS:
                self._chapter = chapter
                self._allowed = self._grants_of(self.weather.chapter) | self._grants_of(chapter.name)
                self.weather.chapter = chapter.name
                story.write(self.world, chapter)
                self._until_quiet(chapter)
                self.ends[chapter.name] = reality.look(self.world)
                self._held(self._remains(chapter))
            self.weather.chapter = ""

    def _grants_of(self, chapter: str) -> frozenset[Grant]:
        if self.recording is None or not chapter:
            return frozenset()
        return self.recording.ends[chapter].grants()

    def _held(self, broken: Iterable[str]) -> None:
        self._broken += broken
        if self._broken:
            raise Violation(
                "\n".join([f"in chapter {self._chapter.name}:", *list(dict.fromkeys(self._broken))[:_MOST_TOLD]])
            )

    # ---- until quiet ----

    def _until_quiet(self, chapter: Chapter) -> None:
        """Reconcile until all is as it should be. What a rule, a retry or the run itself mends needs nobody."""
        for count in range(1, MOST_RECONCILIATIONS + 1):
            try:
                self.world.sandbox.settle(SETTLE_SECONDS)
            except TimeoutError as error:
                self._held([f"it does not come to rest: {error}"])
            self._held([])
            self.most_reconciliations = max(self.most_reconciliations, count)
            waiting = [team for team in TEAMS if self._unfinished(team, chapter)]
            if not waiting:
                return
            self._await_leases()
            for team in waiting:
                self.world.reconcile(team)
        told = [f"{team}: {self.world.status(team)}" for team in waiting]
        self._held([f"not as without faults after {MOST_RECONCILIATIONS} reconciliations: {one}" for one in told])

    def _unfinished(self, team: str, chapter: Chapter) -> bool:
        if self.world.status(team).get("state") != chapter.state:
            return True
        if self.recording is None:
            return False
        return bool(reality.differences(reality.look(self.world).of(team), self.recording.ends[chapter.name].of(team)))

    def _await_leases(self) -> None:
        """A document's lease outlives its holder, in real seconds: whoever reconciles sooner only finds it taken."""
        taken = [int(row["expires_at"]) for row in self._state() if row["part"] == "lease" and "expires_at" in row]
        time.sleep(max([0.0, *(expires + 1 - time.time() for expires in taken)]))

    # ---- the rules, at the end of a chapter ----

    def _remains(self, chapter: Chapter) -> Iterator[str]:
        """What is not as it should be once all is quiet."""
        now = self.ends[chapter.name]
        yield from (f"foreign: {one}" for one in reality.differences(now.foreign, self.before.foreign))
        yield from (f"orphan: {one}" for one in self._orphans(now))
        if reality.people(now) != chapter.people or reality.pods(now) != chapter.pods:
            yield f"people {sorted(reality.people(now) ^ chapter.people)}, pods {sorted(reality.pods(now) ^ chapter.pods)}"
        if self.recording:
            wanted = self.recording.ends[chapter.name]
            yield from (f"end: {one}" for one in reality.differences(now.owned, wanted.owned))
        for row in self._state():
            if row["part"] == "lease" and "holder" in row and "fence" in row:
                yield f"lease of {row['id']} is held by {row['holder']}"

    def _orphans(self, now: Reality) -> Iterator[str]:
        """What is owned and not named in the inventory: nobody would ever take it away."""
        named = {str(row["key"]) for row in self._state() if str(row["part"]).startswith("resource#")}
        shared = any(key.startswith("bucket_delegation|") for key in named)
        for key in now.owned:
            if key not in named and not (key.startswith("statement|") and shared):
                yield f"{key} is in no inventory"

    def _state(self) -> list[Item]:
        pages = self.world.sandbox.client("dynamodb").get_paginator("scan").paginate(TableName="podshare-state")
        return [from_item(item) for page in pages for item in page["Items"]]

    # ---- the rules, at every moment ----

    def _after_call(self, call: Call) -> None:
        service, _, name = call.action.partition(":")
        is_status = call.resource.endswith(" status") and name == "PutItem"
        changes = name.startswith((*MUTATING, "PATCH", "POST", "DELETE")) and "selfsubject" not in call.resource
        if not is_status and (service in _NOT_ABOUT_ACCESS or not changes):
            return
        with self._looking:
            now = reality.look(self.world)
            self._broken += self._at_every_moment(now, call)
            if is_status:
                self._broken += self._of_status(call.resource.split(" ")[-2].removeprefix("team#"), now)

    def _at_every_moment(self, now: Reality, call: Call) -> Iterator[str]:
        for team in TEAMS:
            if (found := now.of(team)) != self._slices[team]:
                self._slices[team] = found
                self._changed[team] = datetime.datetime.now(datetime.UTC)
        if self.recording:
            for grant in sorted(now.grants() - self._allowed):
                yield f"after {call}, neither the old nor the new record grants: {' '.join(grant)}"
        yield from (f"after {call}, orphan: {one}" for one in self._orphans(now))
        yield from (f"after {call}, foreign: {one}" for one in reality.differences(now.foreign, self.before.foreign))

    def _of_status(self, team: str, now: Reality) -> Iterator[str]:
        """READY tells the truth, and a verification's time that is not before the last change."""
        status = self.world.status(team)
        if status.get("state") != "READY" or not self.recording:
            return
        ends = [self.recording.ends[one.name].of(team) for one in CHAPTERS if one.state == "READY"]
        if now.of(team) not in ends:
            wanted = self.recording.ends[self._chapter.name].of(team)
            yield f"READY, and untrue: {'; '.join(reality.differences(now.of(team), wanted))}"
        verified = datetime.datetime.fromisoformat(status.get("verified_at") or "0001-01-01T00:00:00+00:00")
        changed = self._changed.get(team, verified).replace(microsecond=0)
        if verified < changed:
            yield f"READY, verified at {verified}, changed at {changed}"

    # ---- what happens meanwhile ----

    def _on_event(self, kind: str, call: Call) -> None:
        act = {"triggered": self._trigger, "rewritten": self._rewrite, "aborted": self._abort}[kind]
        thread = threading.Thread(target=act, args=(call,), daemon=True)
        thread.start()
        thread.join(10)

    def _trigger(self, call: Call) -> None:
        for team in TEAMS:
            given = {"event": "admin", "record": f"team#{team}", "change": "", "by": "", "at": "", "id": ""}
            self.world.sandbox.client("stepfunctions").start_execution(
                stateMachineArn=f"arn:aws:states:{REGION}:{HUB}:stateMachine:podshare-reconcile-team",
                input=json.dumps({"team": team, "trigger": given}),
            )

    def _rewrite(self, call: Call) -> None:
        for record in self._chapter.records:
            self.world.delete(record["id"], settle=False)
        self.world.put(*self._chapter.records, settle=False)

    def _abort(self, call: Call) -> None:
        states = self.world.sandbox.client("stepfunctions")
        machine = f"arn:aws:states:{REGION}:{HUB}:stateMachine:podshare-reconcile-team"
        for one in states.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"]:
            with suppress(ClientError):  # it has ended meanwhile
                states.stop_execution(executionArn=one["executionArn"])


# ---- schedules -------------------------------------------------------------------------------------------------


def is_slow(fault: Fault) -> bool:
    """Whether the fault may leave a lease behind, which is waited for in real time: half a minute and more.

    That is a team's if its run ends without giving it back, a document's if its writer cannot give it back.
    """
    call = fault.call
    if fault.kind == "aborted" or (fault.kind == "denied" and call.principal == "podshare-record-outcome"):
        return True
    if any(lease in call.resource for lease in _LEASES) and (fault.kind == "denied" or fault.times > 1):
        return True
    of_document = "Policy" in call.action or call.principal in ("podshare-data", "podshare-apply-data")
    return fault.kind.startswith("killed") and (of_document or any(lease in call.resource for lease in _LEASES))


def every_fault(recording: Recording, seed: int) -> list[Fault]:
    """Each kind of fault at each call, in an order of chance: every call meets one, then every call a second, and so on.

    What has to be waited for in real time comes last. Chance is drawn anew for each fault, so that a call more or less
    in the recording (AWS is looked at as often as it takes) leaves the others' as they are.
    """
    drawn: list[tuple[float, Fault]] = []
    for call, count in recording.calls.items():
        for kind in (*PLAIN, "aborted"):
            chance = random.Random(f"{seed} {call} {kind}")  # noqa: S311  # a simulation has no secrets
            nth = Call(call.chapter, call.principal, call.action, call.resource, chance.randrange(count))
            drawn.append((chance.random(), Fault(nth, kind, chance.choice((1, 1, _OUTLASTING)))))
    drawn.sort()
    ranks: Counter[Call] = Counter()
    ordered: list[tuple[bool, int, float, Fault]] = []
    for place, fault in drawn:
        ordered.append((is_slow(fault), ranks[fault.call.first], place, fault))
        ranks[fault.call.first] += not is_slow(fault)
    return [fault for *_, fault in sorted(ordered)]


def schedules(recording: Recording, seed: int, size: int = FAULTS_AT_ONCE) -> Iterator[Schedule]:
    """All faults, ``size`` of them at a time with one at most at each call, and one event meanwhile; without end."""
    calls = sorted(recording.calls)
    for seed_now in itertools.count(seed):
        waiting = every_fault(recording, seed_now)
        chance = random.Random(seed_now)  # noqa: S311  # as above
        while waiting:
            event = Fault(chance.choice(calls), chance.choice(("triggered", "rewritten")))
            taken = {event.call: event}
            left = []
            for fault in waiting:
                if len(taken) <= size and fault.call.first not in taken:
                    taken[fault.call.first] = fault
                else:
                    left.append(fault)
            waiting = left
            yield Schedule(tuple(taken.values()))


def shortest(schedule: Schedule, attempts: int, say: Progress) -> tuple[Schedule, str]:
    """The schedule with as few faults as still break a rule, and the rule; each attempt takes a sandbox of its own.

    Delta debugging (Zeller): parts of the schedule, and what is left without them, ever smaller.
    """
    kept, told, parts = schedule.faults, "", 2
    while attempts > 0 and len(kept) > 1:
        length = -(-len(kept) // parts)
        pieces = [kept[start : start + length] for start in range(0, len(kept), length)]
        rests = [tuple(one for one in kept if one not in piece) for piece in pieces] if parts > 2 else []
        for piece in [*pieces, *rests][:attempts]:
            attempts -= 1
            if broken := _breaks(Schedule(piece)):
                say(f"still broken with {len(piece)} of {len(kept)} faults")
                kept, told, parts = piece, broken, 2
                break
        else:
            if length == 1:
                break
            parts = min(len(kept), parts * 2)
    return Schedule(kept), told


def _breaks(schedule: Schedule) -> str:
    """The rule that a schedule breaks in a new sandbox; empty if it breaks none."""
    with stage() as fresh:
        recording = fresh.record()
        try:
            fresh.play(schedule, recording, Report())
        except Violation as violation:
            return str(violation)
    return ""


def simulate(seed: int, runs: int, say: Progress) -> Report:
    """Play ``runs`` schedules (0: until every call has met a fault), or as many as it takes to break a rule."""
    with stage() as ours:
        recording = ours.record()
        report = Report(calls=frozenset(recording.calls))
        say(f"seed {seed}: {len(recording.calls)} different calls, {sum(recording.calls.values())} in all")
        runs = runs or -(-len(recording.calls) // FAULTS_AT_ONCE)
        for schedule in itertools.islice(schedules(recording, seed), runs):
            began, struck = time.monotonic(), report.struck.total()
            try:
                ours.play(schedule, recording, report)
            except Violation as violation:
                report.violations.append(str(violation))
                report.broken = schedule
                break
            say(
                f"schedule {report.schedules}: {report.struck.total() - struck} faults, {time.monotonic() - began:.0f} s"
            )
    return report
