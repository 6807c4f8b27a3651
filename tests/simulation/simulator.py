"""Plays schedules of faults, several at a time, until what is promised has been met or a rule is broken.

A schedule that breaks a rule is shortened, fault by fault, as long as it still breaks one.
"""

import copy
import itertools
import multiprocessing
import multiprocessing.connection
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.simulation.faults import Call, Fault
from tests.simulation.life import Played, copied, stage
from tests.simulation.schedules import Coverage, Schedule, dealt, promised, schedules

STAGES = 3  # sandboxes side by side: one more than CI has cores, since each waits a quarter of its time
_MOST_FOLLOW_UPS = 12  # schedules for faults that did not strike, because this time a call was not made

Progress = Callable[[str], None]
Connection = Any  # multiprocessing's own is generic only since Python 3.12


@dataclass
class Report:
    """What has been done, and found."""

    coverage: Coverage
    made: int = 0
    most_reconciliations: int = 0
    seconds: float = 0
    broken: Played | None = None
    missing: list[str] = field(default_factory=list)

    @property
    def schedules(self) -> int:
        """How many schedules have been played."""
        return self.coverage.schedules

    def add(self, played: Played) -> None:
        """What came of one schedule."""
        self.most_reconciliations = max(self.most_reconciliations, played.most_reconciliations)
        self.coverage.add(played.made, played.struck)
        if played.broken:
            self.broken = self.broken or played

    def table(self) -> str:
        """The figures, as the simulator prints them."""
        lines = [f"{kind:<26} {struck:>7} {covered:>15}" for kind, struck, covered in self.coverage.table()]
        rows = {
            "schedules": self.schedules,
            "violations": int(self.broken is not None),
            "most reconciliations after the last fault": self.most_reconciliations,
            "seconds": round(self.seconds),
        }
        return "\n".join([*lines, *(f"{name:<42} {count:>7}" for name, count in rows.items())])


def simulate(seed: int, runs: int, say: Progress) -> Report:
    """Play ``runs`` schedules (0: until what is promised has been met), or as many as it takes to break a rule."""
    began = time.monotonic()
    with _stages(seed) as open_stages:
        recorded: list[dict[Call, int]] = [connection.recv() for connection in open_stages]
        # what is made by chance, such as a call of a run that waited for another's, is in none or one of them
        calls = {call: count for call, count in recorded[0].items() if all(call in other for other in recorded)}
        report = Report(Coverage(frozenset(calls)), sum(calls.values()))
        kinds = len({call.kind for call in calls})
        say(f"seed {seed}: {len(calls)} different calls of {kinds} classes, {report.made} in all")
        faults = [] if runs else promised(calls, seed)
        # where nothing fails, what is new is given only once all of the old is cut: one life is for that rule
        first = itertools.chain([Schedule(())], dealt(faults, calls, seed))
        asked_for = itertools.islice(schedules(calls, seed), runs) if runs else first
        _play(Agenda([*asked_for], faults, seed, report, say), open_stages)
        report.missing = [str(fault) for fault in report.coverage.missing(faults)] if faults else []
    report.seconds = time.monotonic() - began
    return report


@dataclass
class Agenda:
    """What is yet to be played: what was asked for, and after it what of ``faults`` did not strike."""

    waiting: list[Schedule]
    faults: list[Fault]
    seed: int
    report: Report
    say: Progress
    _under_way: list[Schedule] = field(default_factory=list)
    _follow_ups: list[Schedule] = field(default_factory=list)

    def next(self) -> Schedule | None:
        """The next schedule to play; none while nothing is left but what may come of those that are under way."""
        if self.report.broken:
            return None
        schedule = self._with_owed(self.waiting.pop(0)) if self.waiting else self._follow_up()
        self._under_way += [schedule] if schedule else []
        return schedule

    def _with_owed(self, schedule: Schedule) -> Schedule:
        """With what did not strike in those before, where its calls have no fault yet: a life less at the end."""
        calls, owed = {fault.call.first for fault in schedule.faults}, []
        for fault in self._owed(but=schedule) if schedule.faults else ():
            if fault.call not in calls:
                calls.add(fault.call)
                owed.append(fault)
        return Schedule((*schedule.faults, *owed))

    def _follow_up(self) -> Schedule | None:
        if len(self._follow_ups) == _MOST_FOLLOW_UPS:
            return None
        owed = self._owed()
        if owed:
            self._follow_ups.append(max(dealt(owed, (), self.seed), key=lambda one: len(one.faults)))
        return self._follow_ups[-1] if owed else None

    def _owed(self, but: Schedule | None = None) -> list[Fault]:
        """What has not struck, and is in none that may yet strike it."""
        if not self.faults:
            return []
        hoped_for = copy.deepcopy(self.report.coverage)
        for schedule in (*self._under_way, *self.waiting, *([but] if but else [])):
            hoped_for.add((), [(fault.call, fault) for fault in schedule.faults])
        return hoped_for.missing(self.faults)

    def add(self, played: Played) -> None:
        """What came of one. Of few faults, a call that is not made is no matter of others: it is made by chance."""
        self._under_way.remove(played.schedule)
        self.report.add(played)
        self.say(f"schedule {self.report.schedules}: {len(played.struck)} faults, {played.seconds:.0f} s")
        if not self.faults or self.waiting or any(one not in self._follow_ups for one in self._under_way):
            return
        least = 1 if played.schedule in self._follow_ups else 0.5
        for call in sorted(self.report.coverage.leave_out_chance(self.faults, least)):
            self.say(f"made by chance, and promised nothing: {call}")


def _play(agenda: Agenda, open_stages: list[Connection]) -> None:
    """Hand schedules to whichever stage is free. A stage on which a rule was broken plays no more."""
    free, busy = [*open_stages], list[Connection]()
    while True:
        while free and (schedule := agenda.next()):
            busy.append(free.pop())
            busy[-1].send(schedule)
        if not busy:
            return
        ready: list[Any] = multiprocessing.connection.wait(busy)
        for connection in ready:
            agenda.add(connection.recv())
            free.append(connection)
            busy.remove(connection)


@contextmanager
def _stages(seed: int) -> Iterator[list[Connection]]:
    """The other ends of processes that have a stage each: moto holds one organization per process."""
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in range(STAGES)]
    with copied() as project:
        processes = [context.Process(target=_serve, args=(project, seed, theirs)) for _, theirs in pipes]
        try:
            for process, (_, theirs) in zip(processes, pipes, strict=True):
                process.start()
                theirs.close()  # so that the end of the process ends what is received from it
            yield [ours for ours, _ in pipes]
        finally:
            for ours, _ in pipes:
                ours.close()
            for process in processes:
                process.join(30)
                process.kill()


def _serve(project: Path, seed: int, connection: Connection) -> None:
    """Record, and play what comes until nothing more does."""
    with stage(project, seed) as ours:
        recording = ours.record()
        connection.send(recording.calls)
        while True:
            try:
                schedule = connection.recv()
            except EOFError:
                return
            connection.send(ours.play(schedule, recording))


# ---- the shortest that still breaks a rule ---------------------------------------------------------------------


def shortest(schedule: Schedule, seed: int, attempts: int, say: Progress) -> tuple[Schedule, str]:
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
            if broken := _breaks(Schedule(piece), seed):
                say(f"still broken with {len(piece)} of {len(kept)} faults")
                kept, told, parts = piece, broken, 2
                break
        else:
            if length == 1:
                break
            parts = min(len(kept), parts * 2)
    return Schedule(kept), told


def _breaks(schedule: Schedule, seed: int) -> str:
    """The rule that a schedule breaks in a new sandbox; empty if it breaks none."""
    with copied() as project, stage(project, seed) as fresh:
        return fresh.play(schedule, fresh.record()).broken
