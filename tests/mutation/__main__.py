"""Change the security core in thousands of small ways, and tell which changes no pure test notices.

mutmut makes the mutants and runs, for each, the tests of ``tests/domain`` that call the changed function. It wants the
package at the top of a folder, so that it works on a copy in ``.mutation/``, which also keeps results between runs:
only mutants of changed functions, or without a result, are tried again, unless modules are named. A mutant that changes
nothing is listed in ``equivalent.yaml`` with the reason; any other that survives is printed.

The tests of bad input are left out: they take as long as all others, and are about records.
"""

import json
import resource
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

CORE = (
    "access.isolation",
    "access.effective_access",
    "kinds.base",
    *(f"kinds.{path.parent.name}.shape" for path in sorted(Path("functions/podshare/kinds").glob("*/shape.py"))),
    "policy.policies",
    "reconcile.blast_radius",
    "reconcile.plan",
    "registry.acceptance",
    "registry.membership",
)
FLOOR_PERCENT = 97.0
MOST_MEMORY = 2 << 30  # bytes of a process: a mutant that never ends ends by it, before it takes the machine's
COPY = Path(".mutation")
EQUIVALENT = Path(__file__).with_name("equivalent.yaml")
_SURVIVED, _NO_TESTS = 0, 33  # mutmut's exit codes of a mutant
_CONFIGURATION = """\
[tool.pytest.ini_options]
addopts = "-q -p no:cacheprovider --tb=no --assert=plain --ignore=tests/domain/test_bad_input.py"

[tool.mutmut]
source_paths = ["podshare"]
only_mutate = [{core}]
also_copy = ["examples", "conftest.py"]
pytest_add_cli_args = ["--hypothesis-profile=mutation"]
pytest_add_cli_args_test_selection = ["tests/domain"]
"""
_PROFILE = """\
from hypothesis import Phase, settings

# the first failure kills a mutant: no shorter example is looked for, and none is remembered
settings.register_profile("mutation", phases=[Phase.explicit, Phase.generate], database=None, deadline=None)
"""


@dataclass(frozen=True, slots=True)
class Survivor:
    """A mutant that no test kills: its function, and the lines that it takes out and puts in."""

    name: str
    removed: str
    added: str

    @property
    def function(self) -> str:
        """Module and function, with its class if it has one."""
        module, _, mangled = self.name.removeprefix("podshare.").rpartition(".")
        return f"{module}.{mangled.rpartition('__mutmut_')[0].replace('xǁ', '').removeprefix('x_').replace('ǁ', '.')}"


def main() -> int:
    """Run the mutants of all modules, or of those that are named; 0 if enough are killed."""
    mutmut, modules = Path(sys.argv[1]).resolve(), sys.argv[2:]
    _copy()
    named = [f"podshare.{module}.*" for module in modules]
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    subprocess.run([mutmut, "run", *named], cwd=COPY, check=True)  # noqa: S603  # the tool that make has installed
    results = dict(_results(modules or CORE))
    survivors = [_survivor(mutmut, name) for name, code in results.items() if code in (_SURVIVED, _NO_TESTS)]
    known = {(one["function"], one["from"], one["to"]) for one in yaml.safe_load(EQUIVALENT.read_text()) or ()}
    unknown = [one for one in survivors if (one.function, one.removed, one.added) not in known]
    return _report(results, len(survivors) - len(unknown), unknown)


def _copy() -> None:
    """Bring the copy up to date; mutmut compares the functions of a file that is newer than its mutants."""
    COPY.mkdir(exist_ok=True)
    shutil.rmtree(COPY / "mutants" / "tests", ignore_errors=True)  # mutmut keeps copies of tests that have gone
    for source, target in (
        ("functions/podshare", "podshare"),
        ("tests/domain", "tests/domain"),
        ("examples", "examples"),
    ):
        shutil.rmtree(COPY / target, ignore_errors=True)
        shutil.copytree(source, COPY / target, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("__init__.py", "builders.py", "conftest.py"):
        shutil.copy2(Path("tests") / name, COPY / "tests" / name)
    (COPY / "conftest.py").write_text(_PROFILE)
    core = ", ".join(f'"podshare/{module.replace(".", "/")}.py"' for module in CORE)
    (COPY / "pyproject.toml").write_text(_CONFIGURATION.format(core=core))


def _results(modules: Iterable[str]) -> Iterator[tuple[str, int]]:
    """The exit code of the tests for each mutant. Raises ValueError if one was not tried."""
    for module in modules:
        found = json.loads((COPY / "mutants/podshare" / f"{module.replace('.', '/')}.py.meta").read_text())
        for name, code in found["exit_code_by_key"].items():
            if code is None:
                raise ValueError(f"{name} was not tried; run make mutation again")
            yield name, code


def _survivor(mutmut: Path, name: str) -> Survivor:
    shown = subprocess.run([mutmut, "show", name], cwd=COPY, check=True, capture_output=True, text=True).stdout  # noqa: S603  # as above
    lines = [line for line in shown.splitlines() if line[:1] in ("-", "+") and line[:3] not in ("---", "+++")]
    changed = {sign: " ".join(line[1:].strip() for line in lines if line[0] == sign) for sign in "-+"}
    return Survivor(name, changed["-"], changed["+"])


def _report(results: dict[str, int], equivalent: int, unknown: list[Survivor]) -> int:
    for one in unknown:
        _say(f"\n{one.function} ({one.name})\n  - {one.removed}\n  + {one.added}")
    modules = Counter(_module_of(name.removeprefix("podshare.")) for name in results)
    left = Counter(_module_of(one.function) for one in unknown)
    _say("")
    for module, count in sorted(modules.items()):
        _say(f"{module:42}{count:6} mutants{left[module]:6} survive and change something")
    changing = len(results) - equivalent
    killed = 100 * (changing - len(unknown)) / changing
    _say(f"\n{len(results)} mutants, {equivalent} of them change nothing; {killed:.1f} % of the others are killed")
    return 0 if killed >= FLOOR_PERCENT else 1


def _module_of(name: str) -> str:
    return next(module for module in CORE if name.startswith(f"{module}."))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
