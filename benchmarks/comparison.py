"""podshare beside its peers on the same sandbox, with AWS's latencies and without; and beside its critical path."""

from collections.abc import Mapping, Sequence

from benchmarks import least
from benchmarks.latencies import critical_path, latencies
from benchmarks.life import PHASES, SCALE, Organization, Phase, Say, organization, record
from benchmarks.peers.running import AwsCommands, Boto3Script, Done, Peer, live
from benchmarks.results import Group, Value

PEERS: Mapping[str, tuple[Peer, int]] = {"boto3": (Boto3Script(), 3), "aws": (AwsCommands(), 1)}
"""Each with the number of teams that it is measured with: it takes one after the other, each as long as any."""
MODES = {"latencies": 1.0, "no latencies": SCALE}
"""The scale of time: with latencies AWS's own, else waits are short."""
_ROUNDS_OF_ONE = 2


def measure(say: Say, sizes: Sequence[int]) -> dict[str, Group]:
    """Let podshare and each peer do the same work; returns the groups peers and path."""
    values: dict[str, Value] = {}
    table: list[dict[str, str | float]] = []
    path: list[float] = []
    for mode, scale in MODES.items():
        with organization(say, latencies() if mode == "latencies" else {}, scale) as here:
            ours = {size: _podshare(here, size) for size in sizes}
            for name, (peer, teams) in PEERS.items():
                if peer.missing:
                    continue
                say(f"{name}, {mode}: {teams} team{'s' if teams > 1 else ''}")
                for done in live(here, peer, [f"{name}{number}" for number in range(teams)], scale):
                    for size, rounds in ours.items():
                        of_phase = [phase for phase in rounds if phase.name == done.name]
                        time = _time_ratio(done, of_phase)
                        values[f"{name}/{size}/{done.name}/{mode}"] = time
                        row: dict[str, str | float] = {"peer": name, "phase": done.name, "teams": size, "mode": mode}
                        table.append({**row, "calls": _calls_ratio(done, of_phase), "seconds": of_phase[0].seconds})
            if mode == "latencies":
                path = [phase.seconds for phase in ours[1] if phase.name == PHASES[0]]
    missing = {name: peer.missing for name, (peer, _) in PEERS.items() if peer.missing}
    return {"peers": Group(values, {"table": table, "missing": missing}), "path": _path(path)}


def _podshare(here: Organization, size: int) -> list[Phase]:
    rounds = _ROUNDS_OF_ONE if size == 1 else 1
    found: list[Phase] = []
    for round_ in range(rounds):
        names = [f"p{size}r{round_}x{number}" for number in range(size)]
        found += here.live([record(name) for name in names], [record(name, here.joined) for name in names])
    return found


def _time_ratio(done: Done, phases: Sequence[Phase]) -> Value:
    """How many times as long the peer takes for as many teams, by each of its teams and each of podshare's rounds."""
    ratios = [one * phase.teams / phase.seconds for one in done.seconds for phase in phases]
    return Value.median(ratios)


def _calls_ratio(done: Done, phases: Sequence[Phase]) -> float:
    """The peer's calls per team / podshare's."""
    ours = sum(phase.calls.total for phase in phases) / sum(phase.teams for phase in phases)
    return (done.calls / len(done.seconds)) / ours


def _path(seconds: Sequence[float]) -> Group:
    longest, calls = critical_path(least.resources(record("p1r0x0")))
    value = Value.median([one / longest for one in seconds], beside=f"the path takes {longest:.1f} s")
    return Group({"onboarding/critical path": value}, {"calls": calls})
