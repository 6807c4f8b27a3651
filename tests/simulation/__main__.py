"""``make simulate SEED=7 RUNS=20``: break podshare on purpose, and print what came of it."""

import argparse
import random
import sys

from tests.simulation.mutants import prove
from tests.simulation.schedules import Schedule
from tests.simulation.simulator import shortest, simulate

_ATTEMPTS = 12  # to shorten a schedule; each takes a minute or so


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Simulate as asked for; 1 if a rule was broken, or less was met than is promised."""
    parser = argparse.ArgumentParser(prog="make simulate")
    parser.add_argument("--seed", default="", help="replays a simulation; none: a new one")
    parser.add_argument("--runs", default="0", help="schedules; 0: until all that is promised has been met")
    parser.add_argument("--mutants", action="store_true", help="prove instead that broken copies of podshare are seen")
    given = parser.parse_args()
    if given.mutants:
        return int(not prove(_say))
    seed = int(given.seed or random.randrange(10**6))  # noqa: S311  # a simulation has no secrets
    report = simulate(seed, int(given.runs or 0), _say)
    _say(report.table())
    if report.broken:
        _say(f"\nA rule is broken, with SEED={seed} RUNS={report.schedules}. {report.broken.broken}\n")
        _explain(seed, report.broken.schedule, report.broken.broken)
    for fault in () if report.broken else report.missing:
        _say(f"never struck: {fault}")
    return int(bool(report.broken or report.missing))


def _explain(seed: int, broken: Schedule, rule: str) -> None:
    schedule, told = shortest(broken, seed, _ATTEMPTS, _say)
    _say(f"\nSEED={seed}, the shortest schedule that breaks a rule:")
    for fault in sorted(schedule.faults):
        _say(f"  {fault}")
    _say(told or rule)


if __name__ == "__main__":
    sys.exit(main())
