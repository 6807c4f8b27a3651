"""podshare beside its peers on the same sandbox, with AWS's latencies and without; and beside its critical path."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks import least
from benchmarks.latencies import critical_path, latencies
from benchmarks.life import PHASES, SCALE, Organization, Phase, Say, organization, record
from benchmarks.peers.running import AwsCommands, Boto3Script, Done, Peer, Terraform, live
from benchmarks.results import Group, Value


@dataclass(frozen=True)
class Entrant:
    """A peer, and how it is measured: with so many ``teams``, one after the other, each of which takes as long as any.

    None: it works on all teams at the same time, as podshare does, and is measured with the largest number alone.
    """

    peer: Peer
    teams: int | None
    modes: tuple[str, ...]


LATENCIES, NONE = "latencies", "no latencies"
PEERS = {
    "boto3": Entrant(Boto3Script(), 3, (LATENCIES, NONE)),
    "aws": Entrant(AwsCommands(), 2, (LATENCIES, NONE)),
    "terraform": Entrant(Terraform(), None, (LATENCIES,)),
}
MODES = {LATENCIES: 1.0, NONE: SCALE}
"""The scale of time: with latencies AWS's own, else waits are short."""
_ROUNDS_OF_ONE = 2


def measure(say: Say, sizes: Sequence[int]) -> dict[str, Group]:
    """Let podshare and each peer do the same work; returns the groups peers and path."""
    values: dict[str, Value] = {}
    table: list[dict[str, str | float]] = []
    path: list[float] = []
    missing = {name: why for name, entrant in PEERS.items() if (why := entrant.peer.prepare())}
    for mode, scale in MODES.items():
        with organization(say, latencies() if mode == LATENCIES else {}, scale) as here:
            ours = {size: _podshare(here, size) for size in sorted({1, *sizes})}
            for name, entrant in PEERS.items():
                if name in missing or mode not in entrant.modes:
                    continue
                teams = entrant.teams or max(sizes)
                say(f"{name}, {mode}: {teams} team{'s' if teams > 1 else ''}")
                compared = ours if entrant.teams else {teams: ours[teams]}
                for done in live(here, entrant.peer, [f"{name}{number}" for number in range(teams)], scale):
                    for size, rounds in compared.items():
                        of_phase = [phase for phase in rounds if phase.name == done.name]
                        values[f"{name}/{size}/{done.name}/{mode}"] = _time_ratio(
                            done, of_phase, one_by_one=bool(entrant.teams)
                        )
                        row: dict[str, str | float] = {"peer": name, "phase": done.name, "teams": size, "mode": mode}
                        table.append({**row, "calls": _calls_ratio(done, of_phase)})
            if mode == LATENCIES:
                path = [phase.seconds for phase in ours[1] if phase.name == PHASES[0]]
    return {"peers": Group(values, {"table": table, "missing": missing}), "path": _path(path)}


def _podshare(here: Organization, size: int) -> list[Phase]:
    rounds = _ROUNDS_OF_ONE if size == 1 else 1
    found: list[Phase] = []
    for round_ in range(rounds):
        names = [f"p{size}r{round_}x{number}" for number in range(size)]
        found += here.live([record(name) for name in names], [record(name, here.joined) for name in names])
    return found


def _time_ratio(done: Done, phases: Sequence[Phase], *, one_by_one: bool) -> Value:
    """How many times as long the peer takes for as many teams, by each of podshare's rounds.

    A peer that takes one team after the other takes for each of many what it took for any that was measured.
    """
    if one_by_one:
        return Value.median([one * phase.teams / phase.seconds for one in done.seconds for phase in phases])
    return Value.median([sum(done.seconds) / phase.seconds for phase in phases])


def _calls_ratio(done: Done, phases: Sequence[Phase]) -> float:
    """The peer's calls per team / podshare's."""
    ours = sum(phase.calls.total for phase in phases) / sum(phase.teams for phase in phases)
    return (done.calls / len(done.seconds)) / ours


def _path(seconds: Sequence[float]) -> Group:
    longest, calls = critical_path(least.resources(record("p1r0x0")))
    value = Value.median([one / longest for one in seconds], beside=f"the path takes {longest:.1f} s")
    return Group({"onboarding/critical path": value}, {"calls": calls})
