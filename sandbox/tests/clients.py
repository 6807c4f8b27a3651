"""AWS's own clients, in environments of their own (`make` sets them up): tests drive them as users do."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_FOLDER = ROOT / ".venv-clients" / "bin"


def client(name: str) -> str:
    """The path of a client: the one that `make test` installs, else that on PATH; the test is skipped without one."""
    own = _FOLDER / name
    path = str(own) if own.exists() else shutil.which(name)
    if path is None:
        pytest.skip(f"there is no {name}: `make test` installs it in .venv-clients")
    return path


def run(
    command: Sequence[str], environment: Mapping[str, str], folder: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Run a client by its name to its end, in the project's folder."""
    return subprocess.run(  # noqa: S603  # a command of a test
        [client(command[0]), *command[1:]], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
