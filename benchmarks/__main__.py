"""``python -m benchmarks``: measure, print the budgets, and write docs/benchmarks.md."""

import argparse
import os
import sys
import time
from collections.abc import Callable

from benchmarks import comparison, counts, figures, large_organization, package, page, planning, rates, results, start
from benchmarks.results import Group, Value

_EXAMPLES = """examples:
  python -m benchmarks                           measure everything and write docs/benchmarks.md
  python -m benchmarks --only counts --teams 1   one team's calls alone: half a minute
  python -m benchmarks --only counts --teams 1,4,16,64
  python -m benchmarks --only organization       1,000 teams in 500 accounts: more than an hour
  python -m benchmarks --only organization --teams 60
  python -m benchmarks --json --only planning    the results as JSON
  python -m benchmarks --page                    write the page again from the results of the last run

A part that is not measured keeps its last results, with the date and commit of their own. Part organization is
measured only where it is named.
"""


def main() -> int:
    """Measure as asked for; 0 also where a budget is missed: the page says which and why."""
    given = _arguments()
    os.environ["PYTHONWARNINGS"] = "ignore"
    measured, committed = results.kept(), results.committed()
    for name in given.only or ([] if given.page else _USUAL):
        say, began = _progress(name, quiet=given.json), time.monotonic()
        say("begins")
        circumstances = results.circumstances()
        for group, found in _PARTS[name](given, say).items():
            run = {**circumstances, "seconds": f"{time.monotonic() - began:.0f}"}
            measured[group] = results.compared(found, committed.get(group), run)
            if not given.json:
                _print("\n".join(page.summary({group: measured[group]})))
    if not given.dry_run:
        results.FILE.write_text(results.written(measured), encoding="utf-8")
        page.PAGE.write_text(page.page(), encoding="utf-8")
    _print(results.written(measured) if given.json else f"written: {results.as_path(page.PAGE)}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure what podshare costs, in calls and in time, on the sandbox.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = f"{', '.join(_PARTS)}; may be repeated. Without it all but organization, which takes an hour"
    parser.add_argument("--only", action="append", choices=list(_PARTS), metavar="NAME", help=names)
    teams = f"numbers of teams to count calls of (1,4,16); the size of the organization ({large_organization.TEAMS})"
    parser.add_argument("--teams", default=[], type=_sizes, help=teams)
    parser.add_argument("--peers", default=[1, 10], type=_sizes, help="numbers of teams to compare with peers (1,10)")
    parser.add_argument("--json", action="store_true", help="print the results as JSON, and the progress to stderr")
    parser.add_argument("--page", action="store_true", help="measure nothing, write the page from the last results")
    parser.add_argument("--dry-run", action="store_true", help="write no file")
    return parser.parse_args()


def _sizes(text: str) -> list[int]:
    sizes = [int(size) for size in text.split(",")]
    if not sizes or min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"{text}: numbers of teams, such as 1,4,16")
    return sizes


def _progress(name: str, *, quiet: bool) -> Callable[[str], None]:
    began = time.monotonic()

    def say(what: str) -> None:
        stream = sys.stderr if quiet else sys.stdout
        stream.write(f"{time.monotonic() - began:7.1f} s  {name}: {what}\n")
        stream.flush()

    return say


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _counts(given: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Group]:
    return counts.measure(say, given.teams or [1, 4, 16])


def _peers(given: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Group]:
    return comparison.measure(say, given.peers)


def _rates(_given: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Group]:
    return rates.measure(say)


def _organization(given: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Group]:
    return large_organization.measure(say, max(given.teams, default=large_organization.TEAMS))


def _planning(_given: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Group]:
    say(f"{planning.TEAMS:,} teams are planned in memory")
    found = planning.measure()
    return {figures.PLANNING: Group({f"planning/{what}": Value(found[what]) for what in ("seconds", "megabytes")})}


def _package(_given: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Group]:
    """Of what `make build` has made; without it the last result stays."""
    try:
        found = package.measure()
    except ValueError as absent:
        say(str(absent))
        return {}
    return {figures.PACKAGE: Group({"package/bytes": Value(found["bytes"])})}


def _start(_given: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Group]:
    return {figures.START: Group({"start/ratio": start.measure(say)})}


_PARTS: dict[str, Callable[[argparse.Namespace, Callable[[str], None]], dict[str, Group]]] = {
    "counts": _counts,
    "peers": _peers,
    "rates": _rates,
    "planning": _planning,
    "package": _package,
    "start": _start,
    "organization": _organization,
}
_USUAL = [name for name in _PARTS if name != "organization"]

if __name__ == "__main__":
    sys.exit(main())
