"""How to reach the sandbox that runs: a small private file that ``sandbox up`` leaves for ``sandbox exec``.

It holds the access keys of the sandbox's administrators, which are worth nothing outside it; the file is the user's
alone all the same, because whoever reads it may act in the user's sandbox.
"""

import json
import os
import socket
import stat
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

MAIN = "sandbox"


@dataclass(frozen=True)
class RunningSandbox:
    """A sandbox as another process sees it.

    ``environment`` is what any process needs to reach it, ``keys`` the access key and secret of each account's
    administrator; on ``control_port`` it answers who knows ``control_key``.
    """

    process: int
    host: str
    port: int
    region: str
    environment: Mapping[str, str]
    keys: Mapping[str, tuple[str, str]]
    control_port: int
    control_key: str
    name: str = MAIN

    @property
    def answers(self) -> bool:
        """Whether it still listens."""
        try:
            with socket.create_connection((self.host, self.port), timeout=2):
                return True
        except OSError:
            return False

    def environment_of(self, key: tuple[str, str], region: str) -> dict[str, str]:
        """All variables for a process that acts with an access key and its secret, its own ones included."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        access_key, secret_key = key
        acting = {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret_key}
        return {**inherited, **self.environment, **acting, "AWS_REGION": region, "AWS_DEFAULT_REGION": region}

    def write(self) -> Path:
        """Leave the file where :meth:`find` looks for it. Raises OSError if there is no place for it."""
        for directory in _directories():
            try:
                _make_private(directory)
                return _write_private(directory / f"{self.name}.json", json.dumps(asdict(self)))
            except OSError:
                continue
        raise OSError("no directory for the sandbox's file: XDG_RUNTIME_DIR, the cache and the temporary one refuse it")

    @classmethod
    def find(cls, name: str = MAIN) -> Self | None:
        """The sandbox of this name that runs now, or None."""
        for directory in _directories():
            if (running := cls._read(directory / f"{name}.json")) and running.answers:
                return running
        return None

    @classmethod
    def _read(cls, path: Path) -> Self | None:
        try:
            about = path.lstat()
            if not stat.S_ISREG(about.st_mode) or about.st_uid != os.getuid():  # somebody else's, in a shared directory
                return None
            parsed = json.loads(path.read_text(encoding="utf-8"))
            keys = {account: (key[0], key[1]) for account, key in parsed.pop("keys").items()}
            return cls(**parsed, keys=keys)
        except (OSError, ValueError, KeyError, TypeError):
            return None


def forget(path: Path) -> None:
    """Remove the file of a sandbox that has ended."""
    path.unlink(missing_ok=True)


def _directories() -> Iterator[Path]:
    """Where the file may be, the best place first (XDG Base Directory Specification; relative paths count as unset)."""
    for name, below in (("XDG_RUNTIME_DIR", "podshare"), ("XDG_CACHE_HOME", "podshare"), ("HOME", ".cache/podshare")):
        base = os.environ.get(name, "")
        if Path(base).is_absolute():
            yield Path(base) / below
    yield Path(tempfile.gettempdir()) / f"podshare-{os.getuid()}"


def _make_private(directory: Path) -> None:
    """Make a directory that is the user's alone. Raises OSError if it is somebody else's, or a link."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    about = directory.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid():
        raise PermissionError(f"{directory} belongs to somebody else")


def _write_private(path: Path, text: str) -> Path:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return path
