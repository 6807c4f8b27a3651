"""How the processes of execution environments are started: forked where that is possible, else each by itself.

A process that imports boto3 and parses its models takes a second of CPU; a fork of one that has done so takes
hundredths. See :mod:`podshare_sandbox.fork_server`, which no other module may import: it is a program of its own.
"""

import atexit
import json
import os
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

_SERVER = Path(__file__).with_name("fork_server.py")
_INHERITED_VARIABLES = ("PATH", "LANG", "TMPDIR")
# read by the interpreter, the dynamic linker or botocore before a fork can set them
_EARLY_VARIABLES = ("PYTHON", "LD_", "HOME")


@dataclass(frozen=True)
class Command:
    """``python -m awslambdaric HANDLER`` in ``folder`` with ``variables`` as its whole environment."""

    handler: str
    folder: Path
    variables: Mapping[str, str]


class Process(Protocol):
    """A started command. Its standard error goes where its output goes."""

    @property
    def stdout(self) -> IO[str] | None:
        """The output; never None here."""

    def wait(self) -> int:
        """The exit status once it has ended, negative for a signal."""

    def kill(self) -> None:
        """Kill it, if it has not ended yet."""


class Processes:
    """Starts commands, by way of the fork server where there may be one, and ends them when it is closed."""

    def __init__(self) -> None:
        self._may_fork = _can_fork()
        self._forked: list[_ForkedProcess] = []
        self._closed = False

    def prepare(self) -> None:
        """Start the fork server, which takes a second to be ready; returns at once."""
        if self._may_fork and not self._closed:
            _fork_server()

    def preload(self, package: str, folder: Path) -> None:
        """Import a pure package of the code in ``folder`` once, for all that is forked for it; returns at once."""
        if self._may_fork and not self._closed:
            with suppress(BrokenPipeError, ConnectionResetError):  # the server has died
                _fork_server().preload(package, folder)

    def start(self, command: Command) -> Process:
        """Start ``command``. Raises OSError if that is impossible, ChildProcessError (one of them) once closed."""
        if self._closed:
            raise ChildProcessError("no process is started any more: the sandbox ends")
        if self._may_fork and not _has_early_variables(command):
            with suppress(BrokenPipeError, ConnectionResetError):  # the server has died
                return self._fork(command)
        return _start_alone(command)

    def _fork(self, command: Command) -> "_ForkedProcess":
        process = _fork_server().start(command)
        self._forked.append(process)
        if self._closed:  # meanwhile
            process.kill()
        return process

    def close(self) -> None:
        """Kill all forks, and start nothing any more."""
        self._closed = True
        for process in self._forked:
            process.kill()


def inherited_variables() -> dict[str, str]:
    """What every process has from this one."""
    return {name: os.environ[name] for name in _INHERITED_VARIABLES if name in os.environ}


def _can_fork() -> bool:
    """Linux only: forks without exec crash in system libraries of macOS (multiprocessing's documentation)."""
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:  # a kernel before 5.3
        return False
    return True


def _has_early_variables(command: Command) -> bool:
    return any(name.startswith(_EARLY_VARIABLES) and name != "PYTHONPATH" for name in command.variables)


def _start_alone(command: Command) -> Process:
    return subprocess.Popen(  # noqa: S603  # the command is this interpreter and a module's name
        [sys.executable, "-m", "awslambdaric", command.handler],
        cwd=command.folder,
        env=dict(command.variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


_starting = threading.Lock()
_server: "_ForkServer | None" = None


def _fork_server() -> "_ForkServer":
    """The fork server, started if there is none: one serves all sandboxes of this process, and ends with it."""
    global _server  # noqa: PLW0603  # one process has one
    with _starting:
        if _server is None or _server.has_ended():
            _server = _ForkServer()
            atexit.register(_server.close)
        return _server


class _ForkServer:
    """The end of the fork server's socket that commands."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  # a program of this package
                [sys.executable, "-P", str(_SERVER), str(theirs.fileno())],
                env=inherited_variables(),
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def start(self, command: Command) -> "_ForkedProcess":
        """Ask for a fork. Raises BrokenPipeError or ConnectionResetError if there is no server any more."""
        name = str(uuid.uuid4())
        output, output_end = os.pipe()
        status, status_end = os.pipe()
        message = {
            "start": name,
            "handler": command.handler,
            "folder": str(command.folder),
            "variables": dict(command.variables),
        }
        process = _ForkedProcess(name, self, open(output, errors="replace"), open(status))  # noqa: PTH123, SIM115
        try:
            socket.send_fds(self._control, [json.dumps(message).encode()], [output_end, status_end])
        except BaseException:
            process.release()
            raise
        finally:
            os.close(output_end)
            os.close(status_end)
        return process

    def preload(self, package: str, folder: Path) -> None:
        """Ask it to import a package. Errors as in ``start``."""
        self._control.send(json.dumps({"import": package, "folder": str(folder)}).encode())

    def kill(self, name: str) -> None:
        """Kill a fork, unless it or the server has ended."""
        with suppress(OSError):
            self._control.send(json.dumps({"kill": name}).encode())

    def has_ended(self) -> bool:
        """Whether it has died."""
        return self._process.poll() is not None

    def close(self) -> None:
        """Let the server kill its forks and end."""
        self._control.close()
        self._process.wait()


class _ForkedProcess:
    """A process that the fork server started."""

    def __init__(self, name: str, server: _ForkServer, output: IO[str], status: IO[str]) -> None:
        self.stdout: IO[str] = output
        self._name = name
        self._server = server
        self._status = status

    def wait(self) -> int:
        """See Process. A server that died cannot tell; it counts as killed."""
        told = self._status.read()
        self.release()
        return int(told) if told else -9

    def kill(self) -> None:
        """See Process."""
        self._server.kill(self._name)

    def release(self) -> None:
        """Close both pipes."""
        self.stdout.close()
        self._status.close()
