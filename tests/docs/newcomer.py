"""A newcomer's shell: a sandbox served in another process, no configuration of AWS, the command and `aws` on PATH."""

import os
import pty
import shlex
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sandbox.tests.clients import client
from tests.acting import Ended

UP = "podshare sandbox up"
_PATIENCE_SECONDS = 120
# a terminal that can neither color nor move its cursor prints plain lines, and folds them at this width
_TERMINAL = {"TERM": "dumb", "COLUMNS": "100", "LINES": "50"}


def on_terminal(command: str, environment: Mapping[str, str], folder: Path) -> Ended:
    """Run one command in a shell of its own, with nobody to ask; what a person sees of it is its output."""
    ours, theirs = pty.openpty()
    flags = termios.tcgetattr(theirs)
    flags[1] &= ~termios.OPOST  # lines end as they are printed, without a carriage return
    termios.tcsetattr(theirs, termios.TCSANOW, flags)
    with subprocess.Popen(  # noqa: S603  # what a page prints
        ["/bin/sh", "-c", command],
        env={**environment, **_TERMINAL},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        seen = b"".join(_read(ours))
    os.close(ours)
    return Ended(process.returncode, seen.decode(), "")


def _read(terminal: int) -> Iterator[bytes]:
    """What is printed, until nobody has the terminal open."""
    with suppress(OSError):  # so does Linux end
        while part := os.read(terminal, 65536):
            yield part


@dataclass(frozen=True)
class Shell:
    """Types commands as they stand, in ``folder``."""

    environment: Mapping[str, str]
    folder: Path

    def type(self, command: str) -> Ended:
        """Run one command in a shell of its own, without a terminal."""
        ended = subprocess.run(  # noqa: S603  # what a page prints
            ["/bin/sh", "-c", command],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def see(self, command: str) -> Ended:
        """Run one command as ``type`` does, on a terminal."""
        return on_terminal(command, self.environment, self.folder)


@contextmanager
def served(home: Path, folder: Path, command: str = UP) -> Iterator[Shell]:
    """Serve a sandbox for a newcomer whose home is ``home`` and who works in ``folder``; end it again."""
    path = os.pathsep.join([str(Path(sys.executable).parent), str(Path(client("aws")).parent), os.environ["PATH"]])
    environment = {"HOME": str(home), "XDG_RUNTIME_DIR": str(home), "PATH": path, "NO_COLOR": "1"}
    up = [*shlex.split(command), "--time-scale", "0.02"]
    with subprocess.Popen(up, env=environment, cwd=folder, stdout=subprocess.DEVNULL) as serving:  # noqa: S603  # ours
        try:
            file, patience_ends = home / "podshare" / "sandbox.json", time.monotonic() + _PATIENCE_SECONDS
            while not file.exists():
                assert serving.poll() is None
                assert time.monotonic() < patience_ends
                time.sleep(0.1)
            yield Shell(environment, folder)
        finally:
            serving.send_signal(signal.SIGINT)
