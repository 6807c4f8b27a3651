"""What no file of the project may hold."""

import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = [*sorted(ROOT.glob("requirements/*.txt")), ROOT / "functions/requirements.txt"]

# somebody's home, or this very checkout
MACHINE_PATH = re.compile(rf"(?<![\w.])(/home/\w|/Users/\w|/root/|{re.escape(str(ROOT))}/)")


def project_files() -> Iterator[Path]:
    """All files but those that tools made: hidden folders (except .ci) and caches."""
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name == ".ci" or not name.startswith((".", "__pycache__"))]
        yield from (Path(folder, name) for name in files if Path(folder, name) != Path(__file__))


def test_no_file_names_a_path_of_one_machine() -> None:
    """The project works wherever it is cloned."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in project_files()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if MACHINE_PATH.search(line)
    ]

    assert found == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.relative_to(ROOT)))
def test_lock_pins_by_version_and_hash_alone(lock: Path) -> None:
    """Each requirement of a lock has a version and hashes, and no address, so that a mirror can serve it."""
    requirements = re.findall(r"^\S.*(?:\n +--hash.*)*", lock.read_text(encoding="utf-8"), re.MULTILINE)
    requirements = [text for text in requirements if not text.startswith("#")]

    assert requirements
    assert [text for text in requirements if not re.match(r"\S+==\S+.*\\\n +--hash=sha256:", text)] == []
    assert not any("://" in text for text in requirements)


def direct_requirements(lock: Path) -> list[str]:
    """The lines that a lock was made from."""
    beside = lock.with_suffix(".in")
    if beside.exists():
        return beside.read_text(encoding="utf-8").splitlines()
    about, sandbox = (
        tomllib.loads((ROOT / name).read_text(encoding="utf-8"))
        for name in ("pyproject.toml", "sandbox/pyproject.toml")
    )
    included = [line for line in about["dependency-groups"][lock.stem] if isinstance(line, str)]
    return [*about["project"]["dependencies"], *sandbox["project"]["dependencies"], *included]


def test_lambda_runs_what_the_command_is_tested_with() -> None:
    """The versions that ship to Lambda are those of the project's own dependencies."""
    shipped = (ROOT / "functions" / "requirements.in").read_text(encoding="utf-8").split()
    about = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

    assert set(shipped) <= set(about["project"]["dependencies"])


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.relative_to(ROOT)))
def test_lock_holds_what_was_asked_for(lock: Path) -> None:
    """Each direct requirement is locked at the very version that pyproject.toml, or the .in file beside it, names."""
    pinned = re.compile(r"^([\w-]+)(?:\[.*\])?==([\w.]+)", re.MULTILINE)
    asked = set(pinned.findall("\n".join(direct_requirements(lock))))

    assert asked
    assert asked <= set(pinned.findall(lock.read_text(encoding="utf-8")))
