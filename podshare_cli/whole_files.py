"""Files that are written whole or not at all."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TypeVar

from podshare_cli.failures import Failure, invalid

OptionalPath = TypeVar("OptionalPath", Path, Path | None)

OWN, SHARED = 0o600, 0o666  # a new file's mode, of which the umask takes: for its writer alone, or for others too


@contextmanager
def replaced(path: Path, mode: int = OWN, *, keeps_mode: bool = False) -> Iterator[IO[bytes]]:
    """A new file that takes the place of ``path`` once it is written; of what fails nothing is left.

    A link stays one. It has ``mode``, or that of the file that it replaces. Raises Failure.
    """
    try:
        real = path.resolve()
        with _beside(real, mode) as (partial, file):
            yield file
            file.flush()
            os.fsync(file.fileno())
            if keeps_mode and real.exists():
                os.fchmod(file.fileno(), stat.S_IMODE(real.stat().st_mode))
            partial.replace(real)
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}") from None


def writable(path: OptionalPath) -> OptionalPath:
    """An option's file, as it was named. Raises Failure (wrong usage), before anything is read, if it cannot be one."""
    if path and path.is_dir():
        raise invalid(f"{path} is a folder.", "Name a file in it.")
    if path and path.exists() and (not path.is_file() or _is_stdout(path)):
        raise invalid(f"{path} is no file that can be replaced.", "Name another. --json prints on stdout.")
    if path:
        _try(path, path.resolve().parent)
    return path


def writable_folder(path: OptionalPath) -> OptionalPath:
    """An option's folder, which may be missing so far. Raises Failure (wrong usage) if no file can be written there."""
    if path:
        _try(path, next(folder for folder in (path, *path.absolute().parents) if folder.exists()))
    return path


def _try(path: Path, folder: Path) -> None:
    try:
        with _beside(folder / path.name, OWN):
            pass
    except OSError as error:
        raise invalid(f"{path} cannot be written: {error.strerror}", "Name another.") from None


def write(path: Path, text: str) -> None:
    """Write a text that others may read, in a folder that may be missing so far. Raises Failure."""
    with suppress(OSError):  # without the folder the file cannot be written either
        path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path, SHARED, keeps_mode=True) as file:
        file.write(text.encode())


@contextmanager
def _beside(path: Path, mode: int) -> Iterator[tuple[Path, IO[bytes]]]:
    """A new file in the same folder, which is deleted unless it has been renamed."""
    partial = path.with_name(f".podshare-{os.urandom(8).hex()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield partial, file
    finally:
        partial.unlink(missing_ok=True)


def _is_stdout(path: Path) -> bool:
    """Whether what is printed goes to this file too."""
    with suppress(OSError):  # it is closed
        return os.path.samestat(path.stat(), os.fstat(1))
    return False
