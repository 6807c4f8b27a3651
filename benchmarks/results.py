"""What was measured, as it is kept: a value with its spread, in groups, in ``benchmarks/results.json``."""

import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from podshare_cli.sandbox_deployment import PROJECT

FILE = PROJECT / "benchmarks" / "results.json"


@dataclass(frozen=True)
class Value:
    """A count, or the median of ``of`` ratios from ``low`` to ``high``; ``beside`` says of what."""

    value: float
    low: float | None = None
    high: float | None = None
    of: int = 1
    beside: str = ""
    before: float | None = None

    @classmethod
    def median(cls, values: Sequence[float], beside: str = "") -> Self:
        """The median of several, with their range."""
        return cls(statistics.median(values), min(values), max(values), len(values), beside)


@dataclass(frozen=True)
class Group:
    """The values of a group by the ids of their figures, tables that belong to them, and where they were measured."""

    values: Mapping[str, Value]
    detail: Mapping[str, Any] = field(default_factory=dict)
    run: Mapping[str, str] = field(default_factory=dict)


Results = dict[str, Group]


def read(text: str) -> Results:
    """The results that ``written`` wrote."""
    return {
        name: Group({key: Value(**value) for key, value in group["values"].items()}, group["detail"], group["run"])
        for name, group in json.loads(text).items()
    }


def written(results: Results) -> str:
    """The results as text."""
    return json.dumps({name: asdict(results[name]) for name in sorted(results)}, indent=1, ensure_ascii=False) + "\n"


def kept() -> Results:
    """The results in the working tree; none before the first run."""
    return read(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}


def committed() -> Results:
    """The results of the last commit, which changes are reported against; none where there are none."""
    shown = _git("show", f"HEAD:{as_path(FILE)}")
    return read(shown) if shown else {}


def compared(group: Group, before: Group | None, run: Mapping[str, str]) -> Group:
    """A group with the values that it had before, and how it was measured."""
    old = before.values if before else {}
    values = {
        name: replace(value, before=old[name].value if name in old else None) for name, value in group.values.items()
    }
    return Group(values, group.detail, run)


def circumstances() -> dict[str, str]:
    """Where and when a group was measured, and how busy the machine was: seconds mean little on a busy one."""
    cores = os.cpu_count() or 1
    load = os.getloadavg()[0]
    dirty = " and changes" if _git("status", "--porcelain", "--untracked-files=no", "--", "functions") else ""
    return {
        "date": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
        "commit": (_git("rev-parse", "--short=10", "HEAD").strip() or "unknown") + dirty,
        "machine": f"{platform.system()} {platform.machine()}, {cores} cores, load {load:.1f}",
        "python": sys.version.split()[0],
    }


def _git(*arguments: str) -> str:
    """What git says; nothing where it fails, as outside of a repository."""
    command = ["git", *arguments]
    ended = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)  # noqa: S603  # fixed words
    return ended.stdout if ended.returncode == 0 else ""


def as_path(path: Path) -> str:
    """A file as pages name it."""
    return path.relative_to(PROJECT).as_posix()
