"""``make simulate SEED=7 RUNS=20``: break podshare on purpose, and print what came of it."""

import argparse
import random
import sys

from tests.simulation.simulator import shortest, simulate

_ATTEMPTS = 12  # to shorten a schedule; each takes a minute or so


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Simulate as asked for; 1 if a rule was broken."""
    parser = argparse.ArgumentParser(prog="make simulate")
    parser.add_argument("--seed", default="", help="replays a simulation; none: a new one")
    parser.add_argument("--runs", default="0", help="schedules; 0: until every call has met a fault")
    given = parser.parse_args()
    seed = int(given.seed or random.randrange(10**6))  # noqa: S311  # a simulation has no secrets
    report = simulate(seed, int(given.runs or 0), _say)
    _say(report.table())
    if report.broken is None:
        return 0
    _say(f"\nA rule is broken, with SEED={seed} RUNS={report.schedules}. {report.violations[0]}\n")
    schedule, told = shortest(report.broken, _ATTEMPTS, _say)
    _say(f"\nSEED={seed}, the shortest schedule that breaks a rule:")
    for fault in sorted(schedule.faults):
        _say(f"  {fault}")
    _say(told or report.violations[0])
    return 1


if __name__ == "__main__":
    sys.exit(main())
