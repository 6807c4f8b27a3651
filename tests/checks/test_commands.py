"""The commands that people and CI use: the Makefile and .ci/run."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMANDS = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  # fixed arguments
        ["make", "--no-print-directory", *arguments],  # noqa: S607  # whichever make is on PATH, as for a person
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_make_alone_prints_help() -> None:
    """`make` without a target runs nothing, and lists every command that the Makefile has."""
    result = make()

    assert result.returncode == 0
    assert re.findall(r"^  make (\S+) +\S", result.stdout, re.MULTILINE) == COMMANDS
    assert {"setup", "demo", "test", "simulate", "check", "build", "lock", "clean"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_command_exists(command: str) -> None:
    """Every command that the help lists can be run: make knows how to reach it."""
    result = make("--dry-run", command)

    assert result.returncode == 0, result.stderr


def test_commands_are_not_mistaken_for_files() -> None:
    """Every command is phony, so that a folder of that name (tests, build, …) never hides it."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    phony = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)

    assert " ".join(phony).split() == COMMANDS


def test_ci_runs_every_check() -> None:
    """.ci/run leaves out nothing that `make check` runs, simulates what can be replayed, and ends with the tests."""
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    checks = re.search(r"^check: (.*?) ##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    steps = re.search(r"^for step in (.*);", script, re.MULTILINE)

    assert checks is not None
    assert steps is not None
    assert steps[1].split() == ["setup", *checks[1].split(), "simulate", "test"]
    assert re.search(r"^export SEED=\d+$", script, re.MULTILINE)


@pytest.mark.parametrize("python", ["/nowhere/python3", "/usr/bin/false"])
def test_setup_names_the_python_that_it_needs(python: str) -> None:
    """A missing or too old Python ends the setup before anything is touched, and says what to do."""
    before = (ROOT / ".venv").stat().st_mtime_ns

    result = make("--always-make", ".venv/installed", f"PYTHON={python}")

    assert result.returncode != 0
    assert "podshare needs Python 3.11 or newer" in result.stderr
    assert "PYTHON=" in result.stderr
    assert (ROOT / ".venv").stat().st_mtime_ns == before
