"""One life of the story, with somebody who looks after every change and holds it against the rules.

A life without faults tells all calls and what every chapter ends in. In any other podshare is started again after each
chapter until all is as it was there; a few times have to be enough.
"""

import datetime
import itertools
import json
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from podshare_cli.sandbox_deployment import PROJECT
from podshare_sandbox import Sandbox
from podshare_sandbox.services import organizations
from tests.copying import copy
from tests.scenarios.world import DATA, HUB, IMAGES, MUTATING, REGION, VISION, World
from tests.simulation import reality, story, strangers, trials
from tests.simulation.faults import Call, Fault, Functions, Weather
from tests.simulation.reality import Facts, Grant, Reality
from tests.simulation.schedules import Schedule
from tests.simulation.story import CHAPTERS, TEAMS, Chapter

MOST_RECONCILIATIONS = 5  # of one chapter in which no fault strikes, until it has to have ended as without faults
_DEPLOYED = ("template.yaml", "functions", "statemachines", "accounts")
# a lease that is left behind is taken over after a function's timeout, in real time: less than an admin may choose
_SHORTEST_TIMEOUT = re.compile(r"(FunctionTimeoutSeconds:\n    Type: Number\n    Default: \d+\n    MinValue:) \d+")
_MACHINE = f"arn:aws:states:{REGION}:{HUB}:stateMachine:podshare-reconcile-team"
_WRITES_OF_ROWS = frozenset(f"dynamodb:{name}Item" for name in ("Put", "Update", "Delete", "ConditionCheck"))
_STATUS = re.compile(r" status team#(?P<team>\S+)")
_SETTLE_SECONDS = 1200  # real ones: a machine with much else to do takes its time
_NOT_ABOUT_ACCESS = ("dynamodb", "logs", "states", "lambda", "sqs", "sts")
_MOST_TOLD = 8
_LAG_SECONDS = 10  # real ones, until what has changed is known everywhere


class Violation(Exception):  # noqa: N818  # what a schedule breaks is no error of the simulator's
    """A rule was broken."""


@dataclass(frozen=True)
class Recording:
    """The story without faults: which calls it makes, how often, and what each chapter ends in."""

    calls: dict[Call, int]
    before: Reality
    ends: dict[str, Reality]


@dataclass(frozen=True)
class Played:
    """What came of a schedule: the calls that were made, what it struck, and the rule that it broke, if any."""

    schedule: Schedule
    made: frozenset[Call]
    struck: tuple[tuple[Call, Fault], ...]
    most_reconciliations: int
    seconds: float
    broken: str = ""


class Stage:
    """A sandbox in which the story is lived through, again and again."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.before = reality.look()
        self._functions = Functions()

    def record(self) -> Recording:
        """Live without faults, after a short life: what is done once and for all, as for accounts never heard of, is done."""
        first, life = (_Life(self.world, Weather(self._functions), None, self.before) for _ in range(2))
        first.live((CHAPTERS[0], CHAPTERS[-1]))
        life.live()
        return Recording(dict(life.weather.made), self.before, life.ends)

    def play(self, schedule: Schedule, recording: Recording) -> Played:
        """Live with faults. The stage is of no further use after a rule was broken."""
        began, broken = time.monotonic(), ""
        life = _Life(self.world, Weather(self._functions, list(schedule.faults)), recording, self.before)
        try:
            life.live()
        except Violation as violation:
            broken = str(violation)
        made, struck = frozenset(life.weather.made), tuple(life.weather.struck)
        return Played(schedule, made, struck, life.most_reconciliations, time.monotonic() - began, broken)


@contextmanager
def copied(project: Path = PROJECT) -> Iterator[Path]:
    """A copy of all that is deployed: who edits podshare meanwhile does not edit what is simulated."""
    with tempfile.TemporaryDirectory(prefix="podshare-simulated-") as folder:
        for name in _DEPLOYED:
            copy(project / name, Path(folder) / name)
        template = Path(folder) / "template.yaml"
        template.write_text(_SHORTEST_TIMEOUT.sub(r"\1 1", template.read_text(encoding="utf-8")), encoding="utf-8")
        yield Path(folder)


@contextmanager
def stage(project: Path, seed: int) -> Iterator[Stage]:
    """A new sandbox with podshare, deployed from a folder, before the first chapter. ``seed`` is of what AWS lags."""
    with pytest.MonkeyPatch.context() as patch, Sandbox(story.TIME_SCALE, lag_seed=seed) as sandbox:
        patch.setattr("podshare_cli.sandbox_deployment.PROJECT", project)
        yield Stage(story.opened(sandbox))


def told_by(rule: Callable[[], Iterable[str]]) -> list[str]:
    """What a rule tells, also that it cannot be asked: where it is, an error would be one of the sandbox's answers."""
    try:
        return [*rule()]
    except Exception as error:  # whatever it is, nothing was judged
        return [f"a rule cannot be asked: {type(error).__name__}: {error}"]


def before_return(account: str, wanted: Mapping[str, Facts], left: Mapping[str, Facts]) -> dict[str, Facts]:
    """What a team has while an account counts as closed that is back: nothing elsewhere that lets its people in.

    In the account is what was ``left`` there: what is published in it may name what others have made anew since.
    """
    inside = f"|{account}|"
    roles = {
        key.rpartition("|")[2]
        for key, facts in wanted.items()
        if key.startswith("role|") and inside not in key and account in json.dumps(facts, default=str)
    }
    elsewhere = {
        key: facts for key, facts in wanted.items() if inside not in key and re.split(r"[|/]", key)[-1] not in roles
    }
    return elsewhere | {key: facts for key, facts in left.items() if inside in key}


class _Life:
    """The story once."""

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
        self._foreign = dict(before.foreign)
        self._given_before = before.grants()
        self._taken: list[str] = []  # names of access points that somebody else has now
        self._opened: dict[strangers.Opened, str] = {}  # since when, by somebody, until an admin closes it
        self._suspended = self._untold = False  # in this chapter
        self._statuses: dict[str, dict[str, Any]] = {team: world.status(team) for team in TEAMS}
        self._judged: set[str] = set()  # teams of which a status READY was held against the rules
        weather.on_call, weather.on_event = self._after_call, self._on_event

    def live(self, chapters: Iterable[Chapter] = CHAPTERS) -> None:
        """Every chapter in turn. Raises Violation."""
        self.weather.functions.start_anew()
        with self.weather.blowing():
            for chapter in chapters:
                self._chapter = chapter
                self._suspended = self._untold = False
                self._allowed = self._grants_of(self.weather.chapter) | self._grants_of(chapter.name)
                self.weather.chapter = chapter.name
                story.write(self.world, chapter, self._look().owned)
                self._until_quiet(chapter)
                self.ends[chapter.name] = self._look()
                self._held(self._remains(chapter))
            self.weather.chapter = ""
        self._held(f"no status of team {team} was judged" for team in self._unjudged())

    def _unjudged(self) -> set[str]:
        """Teams whose writes of READY nobody saw: a rule that looks at none would be kept by all."""
        ready = {team for team in TEAMS for chapter in CHAPTERS if chapter.state_of(team) == "READY"}
        return ready - self._judged if self.recording else set()

    def _look(self) -> Reality:
        return reality.look(self._foreign)

    def _grants_of(self, chapter: str) -> frozenset[Grant]:
        if self.recording is None or not chapter:
            return frozenset()
        return self.recording.ends[chapter].grants()

    def _held(self, broken: Iterable[str]) -> None:
        self._broken += broken
        if self._broken:
            told = list(dict.fromkeys(self._broken))[:_MOST_TOLD]
            raise Violation("\n".join([f"in chapter {self._chapter.name}:", *told]))

    # ---- until quiet ----

    def _until_quiet(self, chapter: Chapter) -> None:
        """Reconcile until all is as it should be. What a rule, a retry or the run itself mends needs nobody.

        A reconciliation that meets a fault may fail; of those that meet none a few have to be enough.
        """
        undisturbed, sweeping = 0, itertools.cycle((True, False))
        self._settle()
        while waiting := self._waiting(chapter):
            if undisturbed == MOST_RECONCILIATIONS:
                told = [f"{team}: {self.world.status(team)}" for team in waiting]
                self._held([f"not as without faults after {undisturbed} reconciliations: {one}" for one in told])
            struck = len(self.weather.struck)
            self._let_leases_run_out()
            self._start_again(chapter, waiting, sweeping=next(sweeping))
            self._settle()
            undisturbed += len(self.weather.struck) == struck
            self.most_reconciliations = max(self.most_reconciliations, undisturbed)

    def _waiting(self, chapter: Chapter) -> list[str]:
        """The teams that are not yet as they should be."""
        waiting = [team for team in TEAMS if self._unfinished(team, chapter)]
        self._held(told for team in TEAMS for told in self._forgotten(team, chapter, unfinished=team in waiting))
        return [*TEAMS] if self._is_suspended() or self._taken or self._opened else waiting

    def _settle(self) -> None:
        try:
            self.world.sandbox.settle(_SETTLE_SECONDS)
        except TimeoutError as error:
            self._held([f"it does not come to rest: {error}", *self._last_steps()])
        self._held([])

    def _last_steps(self) -> Iterator[str]:
        """What the executions that run did last."""
        for one in self._states.list_executions(stateMachineArn=_MACHINE, statusFilter="RUNNING")["executions"]:
            found = self._states.get_execution_history(
                executionArn=one["executionArn"], reverseOrder=True, maxResults=5
            )
            for event in found["events"]:
                details = next((value for name, value in event.items() if name.endswith("Details")), "")
                yield f"{event['timestamp']:%H:%M:%S} {event['type']} {str(details)[:200]}"

    def _start_again(self, chapter: Chapter, teams: Iterable[str], *, sweeping: bool) -> None:
        """What an admin would do. What no event told is for the sweep to find, before what it has found is mended."""
        if self._is_suspended():
            organizations.reinstate(VISION)
        self._give_back()
        self._close_what_is_told()
        if sweeping and (chapter.is_of_accounts or self._suspended or self._untold):
            story.begin_sweep(self.world)
            return
        self._trigger(teams)

    def _is_suspended(self) -> bool:
        return bool(organizations.state_of(VISION) != "ACTIVE")

    def _unfinished(self, team: str, chapter: Chapter) -> bool:
        if self.world.status(team).get("state") != chapter.state_of(team):
            return True
        if self.recording is None:
            return False
        return bool(reality.differences(self._look().of(team), self.recording.ends[chapter.name].of(team)))

    def _forgotten(self, team: str, chapter: Chapter, *, unfinished: bool) -> Iterator[str]:
        """At rest the newest trigger has been answered, unless no event told of it or its run was given up."""
        status, lease = self.world.status(team), self.world.state("lease", f"team#{team}")
        if not self.recording or not lease or "holder" in lease or self._suspended or self._untold:
            return
        answered = status.get("generation") == lease.get("generation")
        wrong = unfinished and status.get("state") == chapter.state_of(team) and not chapter.is_of_accounts
        if (wrong or not answered) and self._ended_well(team):
            what = "an edit" if answered else "a trigger"
            differs = reality.differences(self._look().of(team), self.recording.ends[chapter.name].of(team))
            told = f"{'; '.join(differs[:_MOST_TOLD])}; lease {lease}, status {status}"
            yield f"at rest, and {what} of team {team} is forgotten: {told}"

    def _ended_well(self, team: str) -> bool:
        found = self.world.executions(team)
        return bool(found) and found[0]["status"] == "SUCCEEDED"

    def _let_leases_run_out(self) -> None:
        """At rest nothing happens until the lease of a function that was killed runs out: that time is not waited for."""
        dynamodb = self.world.sandbox.client("dynamodb")
        for row in reality.state():
            if "lease" in (row["id"], row["part"]) and "expires_at" in row:  # of a team, of a document
                dynamodb.update_item(
                    TableName="podshare-state",
                    Key={"id": {"S": row["id"]}, "part": {"S": row["part"]}},
                    UpdateExpression="SET expires_at = :past",
                    ExpressionAttributeValues={":past": {"N": "0"}},
                )

    # ---- the rules, at the end of a chapter ----

    def _remains(self, chapter: Chapter) -> Iterator[str]:
        """What is not as it should be once all is quiet."""
        now = self.ends[chapter.name]
        yield from (f"foreign: {one}" for one in self._foreign_changed(now))
        yield from (f"orphan: {one}" for one in self._orphans(now))
        if reality.people(now) != chapter.people or reality.pods(now) != chapter.pods:
            yield f"people {sorted(reality.people(now) ^ chapter.people)}, pods {sorted(reality.pods(now) ^ chapter.pods)}"
        yield from self._tried(chapter)
        if self.recording:
            wanted = self.recording.ends[chapter.name]
            yield from (f"end: {one}" for one in reality.differences(now.owned, wanted.owned))
        kept = reality.history()
        for row in reality.state():
            if row["id"] == "lease" and "holder" in row:
                yield f"lease of {row['part']} is held by {row['holder']}"
            team = str(row["part"]).removeprefix("team#")
            if row["id"] == "status" and row.get("proof") and row["proof"] not in kept.get(team, ()):
                yield f"history: the last access report of team {team} is not in it: {row['proof']}"

    def _tried(self, chapter: Chapter) -> Iterator[str]:
        """Who gets in although no record lets them in, or the other way round, once AWS has come to know all."""
        expected = (frozenset(story.able(one) for one in chapter.people), chapter.pods, frozenset[str]())
        found: list[frozenset[Any]] = [tried(self.world) for tried in trials.ALL]
        deadline = time.monotonic() + _LAG_SECONDS
        while late := [number for number, one in enumerate(expected) if found[number] != one]:
            if time.monotonic() > deadline:
                told = [str(sorted(map(str, one ^ other))) for one, other in zip(found, expected, strict=True)]
                yield f"tried: people {told[0]}, pods {told[1]}, everybody {told[2]}"
                return
            time.sleep(_LAG_SECONDS / 20)  # another try costs half a second of the processor
            for number in late:
                found[number] = trials.ALL[number](self.world)

    def _foreign_changed(self, now: Reality) -> list[str]:
        """What became of others' things; a door may be closed, which its own rule is about."""
        closed = {opened.key for opened in self._opened if not opened.is_open()}
        there, wanted = (
            {key: facts for key, facts in one.items() if key not in closed} for one in (now.foreign, self._foreign)
        )
        return reality.differences(there, wanted)

    def _orphans(self, now: Reality) -> Iterator[str]:
        """What is owned and not named in the inventory: nobody would ever take it away."""
        named = reality.inventory()
        shared = any(key.startswith(("bucket_delegation|", "file_system_delegation|")) for key in named)
        for key in now.owned:
            if key not in named and not (key.startswith("statement|") and shared) and not key.startswith("schedule|"):
                yield f"{key} is in no inventory"

    # ---- the rules, at every moment ----

    def _after_call(self, call: Call) -> None:
        service, _, name = call.action.partition(":")
        written = _STATUS.search(call.resource) if call.action in _WRITES_OF_ROWS else None
        changes = name.startswith((*MUTATING, "PATCH", "POST", "DELETE")) and "selfsubject" not in call.resource
        if not written and (service in _NOT_ABOUT_ACCESS or not changes):
            return
        with self._looking:
            self._broken += told_by(lambda: self._after_change(call, written["team"] if written else ""))

    def _after_change(self, call: Call, team: str) -> Iterator[str]:
        """What is wrong after a call; ``team`` is the one whose status it wrote, if any."""
        now = self._look()
        yield from self._at_every_moment(now, call)
        if team:
            yield from (f"after {call}, {one}" for one in self._of_status(team, now))

    def _at_every_moment(self, now: Reality, call: Call) -> Iterator[str]:
        for team in TEAMS:
            if (found := now.untagged(team)) != self._slices[team]:
                self._slices[team] = found
                self._changed[team] = datetime.datetime.now(datetime.UTC)
        if self.recording:
            for grant in sorted(now.grants() - self._allowed - self._given_before):
                yield f"after {call}, neither the old nor the new record grants: {' '.join(grant)}"
        yield from self._added_before_cut(now, call)
        yield from (f"after {call}, orphan: {one}" for one in self._orphans(now))
        yield from (f"after {call}, foreign: {one}" for one in self._foreign_changed(now))

    def _added_before_cut(self, now: Reality, call: Call) -> Iterator[str]:
        """Where nothing fails, a team has all of its new access only once it has lost all of its old.

        What lies in an account that is back is cut once podshare has heard so, by an event of its own.
        """
        if not self.recording or self.weather.faults:
            return
        back = tuple(f"{account}|" for account in self._chapter.reinstated)
        for team in TEAMS:
            before, after = (Reality(one, {}).grants() for one in self._before_and_after(team))
            has = Reality(now.of(team), {}).grants()
            old = {grant for grant in has & (before - after) if not any(part.startswith(back) for part in grant)}
            if old and (new := has & (after - before)):
                yield f"after {call}, {' '.join(min(new))} before {' '.join(min(old))} was cut"

    def _before_and_after(self, team: str) -> tuple[dict[str, Any], dict[str, Any]]:
        assert self.recording
        names = [chapter.name for chapter in CHAPTERS]
        place = names.index(self._chapter.name)
        former = self.recording.ends[names[place - 1]] if place else self.recording.before
        return former.of(team), self.recording.ends[self._chapter.name].of(team)

    def _before_return(self, team: str, wanted: Mapping[str, Facts]) -> Iterator[dict[str, Facts]]:
        """What a team may have while podshare has not heard that an account is back: each comes by an event of its own.

        That nothing stays so is a rule of the end of the chapter.
        """
        for account in self._chapter.reinstated:
            left = self.ends[CHAPTERS[CHAPTERS.index(self._chapter) - 1].name].untagged(team)
            yield before_return(account, wanted, left)

    def _of_status(self, team: str, now: Reality) -> Iterator[str]:
        """READY tells the truth, and a verification's time that is not before the last change."""
        status = self.world.status(team)
        if status == self._statuses.get(team):
            return  # the write was refused
        self._statuses[team] = status
        if (self._chapter.name, status.get("state")) in (("removal", "DELETED"), ("onboarding", "READY")):
            yield from (f"{status['state']}, and work is left: {one}" for one in strangers.work_left(team))
        if status.get("state") != "READY" or not self.recording:
            return
        self._judged.add(team)
        ends = [self.recording.ends[one.name].untagged(team) for one in CHAPTERS if one.state_of(team) == "READY"]
        wanted = self.recording.ends[self._chapter.name].untagged(team)
        ends += self._before_return(team, wanted)
        if now.untagged(team) not in ends and not self._suspended:
            yield f"READY, and untrue: {'; '.join(reality.differences(now.untagged(team), wanted))}"
        verified = datetime.datetime.fromisoformat(status.get("verified_at") or "0001-01-01T00:00:00+00:00")
        changed = self._changed.get(team, verified).replace(microsecond=0)
        if verified < changed:
            yield f"READY, verified at {verified}, changed at {changed}"
        for opened, since in self._opened.items() if team == "alpha" else ():
            if verified.isoformat() > since and opened.is_open():
                yield f"READY, verified at {verified}, and {opened.what} since {since}"

    # ---- what happens meanwhile ----

    def _on_event(self, kind: str, call: Call) -> None:
        acts: dict[str, Callable[[], object]] = {
            "never": self._leave_untold,
            "triggered": self._trigger,
            "rewritten": self._rewrite,
            "contested": self._contest,
            "tampered": self._tamper,
            "taken": lambda: self._take(call.resource.rpartition("/")[2]),
            "bound": lambda: self._open(strangers.bind),
            "returned": lambda: self._open(strangers.bind_members),
            "published": lambda: self._open(strangers.publish),
            "shared": lambda: self._open(strangers.share),
            "masked": lambda: self._open(strangers.share_by_pattern),
            "targeted": lambda: self._open(strangers.share_what_target_roles_reach),
            "suspended": self._suspend,
            "aborted": self._abort,
            "redriven": self._redrive,
        }
        thread = threading.Thread(target=acts[kind], daemon=True)
        thread.start()
        thread.join(10)

    def _leave_untold(self) -> None:
        self._untold = True

    def _trigger(self, teams: Iterable[str] = TEAMS) -> None:
        for team in teams:
            given = {"event": "admin", "record": f"team#{team}", "change": "", "by": "", "at": "", "id": ""}
            self._states.start_execution(stateMachineArn=_MACHINE, input=json.dumps({"team": team, "trigger": given}))

    def _rewrite(self) -> None:
        for record in self._chapter.records:
            self.world.delete(record["id"], settle=False)
        self.world.put(*self._chapter.records, settle=False)

    def _contest(self) -> None:
        """Two admins at once: one writes what the team shall not have, and the other has the last word."""
        rival = next((one for one in CHAPTERS if one.name == self._chapter.rival), None)
        if rival:
            self._allowed |= self._grants_of(rival.name)
            self.world.put(*rival.records, *self._chapter.records, settle=False)

    def _tamper(self) -> None:
        """Somebody deletes access entries of team alpha by hand."""
        eks = self.world.sandbox.client("eks", HUB)
        for entry in eks.list_access_entries(clusterName="hyperpod-eks")["accessEntries"]:
            if ":role/podshare/podshare-alpha" in entry:
                eks.delete_access_entry(clusterName="hyperpod-eks", principalArn=entry)

    def _take(self, name: str) -> None:
        """Somebody makes an access point of a name that podshare is about to use."""
        key = f"access_point|{DATA}|{REGION}||{name}"
        with self._looking:
            self.world.sandbox.client("s3control", DATA).create_access_point(AccountId=DATA, Name=name, Bucket=IMAGES)
            self._foreign[key] = reality.look([key]).foreign[key]
        self._taken.append(name)

    def _give_back(self) -> None:
        while self._taken:
            name = self._taken.pop()
            self._foreign.pop(f"access_point|{DATA}|{REGION}||{name}")
            self.world.sandbox.client("s3control", DATA).delete_access_point(AccountId=DATA, Name=name)

    def _open(self, opened_by: Callable[[World], strangers.Opened]) -> None:
        """Somebody lets others in to what team alpha has."""
        with self._looking:
            opened = opened_by(self.world)
            there = reality.look([opened.key])
            self._foreign[opened.key] = there.foreign[opened.key]
            self._given_before |= there.grants()
            self._opened[opened] = datetime.datetime.now(datetime.UTC).isoformat()

    def _close_what_is_told(self) -> None:
        """The admin closes a door once the team's status tells of it, and clears away one that podshare has closed."""
        told = json.dumps(self.world.status("alpha"))
        for opened in [one for one in self._opened if one.told in told or not one.is_open()]:
            if opened.is_open() and not opened.lets_in():
                if self._unfinished(strangers.GUESTS, self._chapter):
                    continue  # whom it lets in has no access of its own yet: it is tried again once that is there
                self._held([f"nobody gets in by what is told: {opened.what}"])
            opened.close()
            del self._opened[opened], self._foreign[opened.key]

    def _suspend(self) -> None:
        """AWS suspends an account, of which no event tells; it is reinstated once all is quiet."""
        if not self._is_suspended():
            self._suspended = True
            organizations.suspend(VISION)

    def _abort(self) -> list[str]:
        stopped = []
        for one in self._states.list_executions(stateMachineArn=_MACHINE, statusFilter="RUNNING")["executions"]:
            with suppress(ClientError):  # it has ended meanwhile
                self._states.stop_execution(executionArn=one["executionArn"])
                stopped.append(str(one["executionArn"]))
        return stopped

    def _redrive(self) -> None:
        for execution in self._abort():
            with suppress(ClientError):
                self._states.redrive_execution(executionArn=execution)

    @property
    def _states(self) -> Any:
        return self.world.sandbox.client("stepfunctions")
