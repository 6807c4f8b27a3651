"""The calls of one team, of many, and the first call after each trigger that takes access away."""

import math
from collections import Counter
from collections.abc import Callable, Sequence

from benchmarks import least
from benchmarks.life import PHASES, Organization, Phase, Record, Say, organization, record
from benchmarks.results import Group, Value
from tests.scenarios.world import VISION

REVOKING = frozenset(
    {
        *("eks:DeleteAccessEntry", "eks:DisassociateAccessPolicy", "eks:DeletePodIdentityAssociation"),
        *("s3control:DeleteAccessPointPolicy", "s3control:DeleteAccessPoint"),
        *("iam:UpdateAssumeRolePolicy", "iam:DeleteRolePolicy", "iam:DetachRolePolicy", "iam:DeleteRole"),
    }
)
"""Calls that end access and give none; a trust policy is updated in place only to close it, in these stories."""
COUNTED = ("reads", "writes", "sessions", "own", "states")


def measure(say: Say, sizes: Sequence[int]) -> dict[str, Group]:
    """Let teams live together in each of these numbers; returns the groups counts, growth and revocation."""
    lives: dict[int, list[Phase]] = {}
    with organization(say) as here:
        for size in sorted({1, *sizes}):
            names = [f"t{size}x{number}" for number in range(size)]
            lives[size] = here.live([record(name) for name in names], [record(name, here.joined) for name in names])
        here.sweep()  # which forgets the teams that are gone
        here.put(record("leaver"))
        sweep = here.phase("sweep", 1, here.sweep)
        triggered = _first_calls(here)
    return {
        "counts": _counts([*lives[1], sweep]),
        "growth": _growth(lives),
        "revocation": _revocation([*triggered, *_lost(lives)]),
    }


def _counts(phases: Sequence[Phase]) -> Group:
    keys = least.resources(record("t1x0"))
    values: dict[str, Value] = {}
    for phase in phases:
        calls = phase.calls
        values |= {f"{phase.name}/{what}": Value(getattr(calls, what)) for what in COUNTED}
        values |= {
            f"{phase.name}/{what}": Value(getattr(phase, what)) for what in ("events", "event_bytes", "log_bytes")
        }
    onboarding, nothing = phases[0].calls, phases[1].calls
    writes, reads = least.writes(keys, 1), least.reads(keys)
    values["onboarding/writes ratio"] = Value(onboarding.writes / writes, beside=f"{onboarding.writes} / {writes}")
    values["nothing to do/reads ratio"] = Value(nothing.reads / reads, beside=f"{nothing.reads} / {reads}")
    return Group(values, {"operations": {phase.name: operations(phase) for phase in phases}})


def operations(phase: Phase) -> dict[str, int]:
    """How often each operation was asked for, the most frequent first; a function and a state by what they are."""
    return dict(Counter(asked.name for asked in phase.requests).most_common())


def _growth(lives: dict[int, list[Phase]]) -> Group:
    values: dict[str, Value] = {}
    table: dict[str, dict[str, dict[str, float]]] = {}
    for index, name in enumerate(PHASES):
        totals = {size: phases[index].calls.total for size, phases in lives.items()}
        if len(totals) > 1:
            beside = ", ".join(f"{size}: {total}" for size, total in totals.items())
            values[f"{name}/exponent"] = Value(exponent(totals), beside=beside)
        table[name] = {
            str(size): {what: getattr(phases[index].calls, what) / size for what in COUNTED}
            | {"events": phases[index].events / size}
            for size, phases in lives.items()
        }
    return Group(values, {"per team": table})


def exponent(totals: dict[int, int]) -> float:
    """The slope of a line through the logarithms, by least squares: 1 is proportional."""
    points = [(math.log(size), math.log(total)) for size, total in totals.items()]
    middle_x, middle_y = (sum(axis) / len(points) for axis in zip(*points, strict=True))
    rise = sum((x - middle_x) * (y - middle_y) for x, y in points)
    return float(rise / sum((x - middle_x) ** 2 for x, _ in points))


def _first_calls(here: Organization) -> list[tuple[str, str]]:
    """Take access away in each way, also where the same write gives other access; and the first write after each."""
    both, joined = record("leaver"), here.joined
    grants = both["service_accounts"][0]["datasets"]
    more = [*grants, {"dataset": "crawl", "access": "read"}]
    here.put(_granted(both, more))
    steps: list[tuple[str, Callable[[], None]]] = [
        ("a member is removed", lambda: here.put(_with(_granted(both, more), VISION))),
        ("a member is replaced by another", lambda: here.put(_with(_granted(both, more), joined))),
        ("a grant is removed", lambda: here.put(_with(both, joined))),
        ("a grant is replaced by another", lambda: here.put(_with(_granted(both, more[1:]), joined))),
        ("a dataset is deleted", lambda: here.delete("dataset#crawl")),
        ("the team is deleted", lambda: here.delete(both["id"])),
    ]
    phases = [here.phase(name, 1, act) for name, act in steps]
    return [(phase.name, phase.first_write) for phase in phases]


def _with(one: Record, *accounts: str) -> Record:
    return {**one, "members": [{"account": account} for account in accounts]}


def _granted(one: Record, datasets: Sequence[Record]) -> Record:
    return {**one, "service_accounts": [{"name": "trainer", "datasets": list(datasets)}]}


def _lost(lives: dict[int, list[Phase]]) -> list[tuple[str, str]]:
    return [(f"{size} team(s) deleted at once", phases[-1].first_write) for size, phases in lives.items()]


def _revocation(triggered: Sequence[tuple[str, str]]) -> Group:
    wrong = [name for name, first in triggered if first not in REVOKING]
    beside = f"{len(wrong)} of {len(triggered)}"
    return Group({"first is a revocation": Value(len(wrong), beside=beside)}, {"first calls": dict(triggered)})
