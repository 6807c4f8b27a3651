"""Files that are written whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

OWN = 0o600  # for the writer alone


@contextmanager
def replaced(path: Path, mode: int = OWN) -> Iterator[IO[bytes]]:
    """A new file that takes the place of ``path``, with ``mode``, once it is written; of what fails nothing is left.

    Raises OSError.
    """
    with tempfile.NamedTemporaryFile(dir=path.absolute().parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).chmod(mode)
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
