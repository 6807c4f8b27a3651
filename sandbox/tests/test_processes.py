"""Forked execution environments are what processes of their own would be."""

import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from podshare_sandbox import processes
from podshare_sandbox.processes import Command, Process, Processes

# a module whose import fails ends the runtime client before it asks for any invocation
REPORTING = """
import json, os, signal, sys, threading, time
told = {
    "variables": dict(os.environ), "folder": os.getcwd(), "path": sys.path[:2], "zone": time.tzname[0],
    "input": sys.stdin.read(), "interrupt": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
    "threads": threading.active_count(), "parent": os.getppid(),
    "libraries": [name for name in ("awslambdaric.bootstrap", "aws_lambda_powertools") if name in sys.modules],
    "descriptors": sorted(int(name) for name in os.listdir("/dev/fd")),
}
print(json.dumps(told), flush=True)
os._exit(7)
"""
VARIABLES = {"TZ": ":UTC", "GREETING": "hello", "AWS_REGION": "us-west-2"}
forking = pytest.mark.skipif(sys.platform != "linux", reason="forks need Linux")


@pytest.fixture(scope="module")
def starter() -> Iterator[Processes]:
    """One fork server for all tests here."""
    found = Processes()
    yield found
    found.close()


@pytest.fixture
def runtime_api() -> Iterator[str]:
    """A Runtime API that accepts a connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def _command(folder: Path, source: str, **variables: str) -> Command:
    (folder / "app.py").write_text(source)
    given = {"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1", "PYTHONPATH": str(folder), **VARIABLES, **variables}
    return Command("app.handler", folder, given)


def _output(process: Process) -> str:
    assert process.stdout is not None
    return process.stdout.read()


def _report(starter: Processes, command: Command) -> tuple[dict[str, Any], int]:
    process = starter.start(command)
    return json.loads(_output(process).splitlines()[0]), process.wait()


@forking
def test_a_fork_has_its_own_surroundings_alone(starter: Processes, tmp_path: Path) -> None:
    """Variables, folder, module path, time zone, input and descriptors are the command's; no thread came along."""
    command = _command(tmp_path, REPORTING)
    told, status = _report(starter, command)
    assert status == 7
    assert told["parent"] != os.getpid()
    assert VARIABLES.items() <= told["variables"].items()
    # what the runtime client adds, and the C locale (PEP 538), apart
    assert told["variables"].keys() - command.variables.keys() <= {"LC_CTYPE"}
    assert told["folder"] == str(tmp_path)
    assert told["path"][0] == str(tmp_path)
    assert (told["zone"], told["input"], told["interrupt"], told["threads"]) == ("UTC", "", True, 1)
    assert told["libraries"] == ["awslambdaric.bootstrap"]
    assert told["descriptors"][:3] == [0, 1, 2]
    assert len(told["descriptors"]) <= 4  # one of them lists the others


@forking
def test_two_forks_share_nothing(starter: Processes, tmp_path: Path) -> None:
    """What one fork does to a library's model, the next does not see."""
    source = """
import os, boto3
model = boto3.Session()._session.get_service_model("s3")
print("Spoilt" in model.operation_names, flush=True)
model._service_description["operations"]["Spoilt"] = {}
os._exit(0)
"""
    command = _command(tmp_path, source)
    assert [_output(starter.start(command)).strip() for _ in range(2)] == ["False", "False"]


@forking
def test_pure_code_is_imported_once_and_only_for_its_own_folder(starter: Processes, tmp_path: Path) -> None:
    """Forks of a folder find its package imported and its models built; those of another folder import their own."""
    model = (
        "import os, pydantic\nclass Team(pydantic.BaseModel, defer_build=True):\n    name: str\nPROCESS = os.getpid()\n"
    )
    source = """
import os, pure.models
found = pure.models
print(found.PROCESS == os.getppid(), found.Team.__pydantic_complete__, found.__file__, flush=True)
os._exit(0)
"""
    commands = []
    for name in ("ours", "theirs"):
        folder = tmp_path / name
        (folder / "pure").mkdir(parents=True)
        (folder / "pure" / "__init__.py").touch()
        (folder / "pure" / "models.py").write_text(model)
        commands.append(_command(folder, source))
    starter.preload("pure", tmp_path / "ours")
    told = [_output(starter.start(command)).strip() for command in commands]
    assert told == [f"True True {tmp_path}/ours/pure/models.py", f"False False {tmp_path}/theirs/pure/models.py"]


@forking
def test_code_that_cannot_be_imported_fails_where_it_is_used(starter: Processes, tmp_path: Path) -> None:
    """What is asked to be imported and cannot be keeps no other command from starting."""
    starter.preload("absent", tmp_path)
    assert _output(starter.start(_command(tmp_path, "print('well', flush=True)\nimport os\nos._exit(0)"))) == "well\n"


@forking
def test_what_the_interpreter_reads_first_needs_a_process_of_its_own(starter: Processes, tmp_path: Path) -> None:
    """A variable that a fork could not honour any more is honoured all the same."""
    told, status = _report(starter, _command(tmp_path, REPORTING, PYTHONHASHSEED="0"))
    assert (told["parent"], status) == (os.getpid(), 7)


def test_without_forks_all_is_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where forking is impossible each command is a process of its own."""
    monkeypatch.setattr(processes, "_can_fork", lambda: False)
    told, status = _report(Processes(), _command(tmp_path, REPORTING))
    assert (told["parent"], told["folder"], told["variables"]["GREETING"], status) == (
        os.getpid(),
        str(tmp_path),
        "hello",
        7,
    )


def test_a_killed_process_says_so(starter: Processes, tmp_path: Path, runtime_api: str) -> None:
    """The exit status is the signal's, negative, and killing once more does nothing."""
    process = starter.start(_command(tmp_path, "handler = print", AWS_LAMBDA_RUNTIME_API=runtime_api))
    threading.Timer(0.2, process.kill).start()
    _output(process)
    assert process.wait() == -9
    process.kill()


def test_closing_ends_what_runs(tmp_path: Path, runtime_api: str) -> None:
    """No fork outlives its server, and none is started any more."""
    starter = Processes()
    command = _command(tmp_path, "print('here', flush=True)\nhandler = print", AWS_LAMBDA_RUNTIME_API=runtime_api)
    process = starter.start(command)
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    starter.close()
    if sys.platform == "linux":
        assert process.wait() == -9
    process.kill()
    with pytest.raises(ChildProcessError):
        starter.start(command)
