"""The file by which `sandbox exec` finds the sandbox: private, and found in spite of an odd environment."""

import dataclasses
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from podshare_cli.application import main
from podshare_cli.commands.sandbox.running import RunningSandbox, forget


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without XDG variables, whose home and temporary directory are empty."""
    for name in ("XDG_RUNTIME_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return tmp_path


@pytest.fixture
def running() -> Iterator[RunningSandbox]:
    """Something that listens, as a sandbox would."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield RunningSandbox(
            process=os.getpid(),
            host="127.0.0.1",
            port=server.getsockname()[1],
            region="us-west-2",
            environment={"HTTPS_PROXY": "http://127.0.0.1:1", "AWS_CA_BUNDLE": "/ca.pem"},
            keys={"111111111111": ("AKIAHUB", "secret")},
            control_port=1,  # where nobody listens
            control_key="00",
        )


def test_the_file_is_the_users_alone(home: Path, running: RunningSandbox) -> None:
    """It holds keys: nobody else may read it, nor the directory that it is in."""
    path = running.write()
    assert path == home / "home" / ".cache" / "podshare" / "sandbox.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("value", [None, "", "relative/home"])
def test_without_a_home_the_temporary_directory_serves(
    home: Path, running: RunningSandbox, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    """HOME may be unset, empty or useless, as in a container or a CI job."""
    if value is None:
        monkeypatch.delenv("HOME")
    else:
        monkeypatch.setenv("HOME", value)
    assert running.write() == home / "tmp" / f"podshare-{os.getuid()}" / "sandbox.json"
    assert RunningSandbox.find() == running


def test_a_runtime_directory_that_is_not_there_is_passed_over(
    home: Path, running: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """XDG_RUNTIME_DIR is often inherited by a process that may not use it."""
    blocked = home / "file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(blocked))
    assert running.write().is_relative_to(home / "home")
    assert RunningSandbox.find() == running


def test_a_link_in_a_shared_directory_is_not_followed(
    home: Path, running: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else may have put a link where podshare would write its file."""
    monkeypatch.delenv("HOME")
    (home / "tmp" / f"podshare-{os.getuid()}").symlink_to(home)
    with pytest.raises(OSError, match="no directory"):
        running.write()


@pytest.mark.usefixtures("home")
def test_a_sandbox_that_has_ended_is_not_found(running: RunningSandbox) -> None:
    """A file that was left behind by a killed process does not stand for a sandbox."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    dataclasses.replace(running, port=free).write()
    assert RunningSandbox.find() is None


@pytest.mark.usefixtures("home")
@pytest.mark.usefixtures("home")
def test_sandboxes_with_names_stand_side_by_side(running: RunningSandbox) -> None:
    """Each is found by its own name, and forgetting one leaves the other."""
    second = dataclasses.replace(running, name="second")
    running.write()
    path = second.write()

    assert (RunningSandbox.find(), RunningSandbox.find("second")) == (running, second)
    forget(path)
    assert (RunningSandbox.find(), RunningSandbox.find("second")) == (running, None)


def test_a_broken_file_is_no_sandbox(running: RunningSandbox) -> None:
    """An older version's file, or half a file, is passed over."""
    running.write().write_text('{"process": 1')
    assert RunningSandbox.find() is None


@pytest.mark.usefixtures("home")
def test_a_forgotten_sandbox_is_not_found(running: RunningSandbox) -> None:
    """The file goes with the sandbox."""
    path = running.write()
    forget(path)
    assert not path.exists()
    assert RunningSandbox.find() is None


def test_the_environment_is_the_accounts_and_nobody_elses(
    running: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Profiles, tokens and endpoints of the caller's own AWS do not leak into the sandbox's commands."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.setenv(name, "mine")
    environment = running.environment_of(running.keys["111111111111"], "us-east-1")
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"} & environment.keys()
    assert environment["AWS_ACCESS_KEY_ID"] == "AKIAHUB"
    assert environment["AWS_REGION"] == environment["AWS_DEFAULT_REGION"] == "us-east-1"
    assert environment["PATH"] == os.environ["PATH"]


@pytest.mark.usefixtures("home")
def test_a_parameter_without_a_value_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is started."""
    assert main(["sandbox", "up", "--parameter", "Notifications"]) == 64
    assert "Write NAME=VALUE, such as Notifications=on." in capsys.readouterr().err


@pytest.mark.usefixtures("home")
def test_exec_without_a_sandbox_says_how_to_start_one(capsys: pytest.CaptureFixture[str]) -> None:
    """There is nothing to run the command against."""
    assert main(["sandbox", "exec", "--account", "111111111111", "--", "true"]) == 1
    assert "podshare sandbox up" in capsys.readouterr().err


@pytest.mark.usefixtures("home")
def test_exec_in_an_account_that_is_not_there_names_those_that_are(
    running: RunningSandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistyped account is wrong input."""
    running.write()
    assert main(["sandbox", "exec", "--account", "1", "--", "true"]) == 64
    assert "111111111111" in capsys.readouterr().err


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("text", "told"), [(None, "cannot be read"), ("{", "is not JSON"), ("[]", "contains no event")], ids=str
)
def test_what_holds_no_event_is_not_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, told: str
) -> None:
    """A file that is absent, or no JSON object, is wrong input, told by its name before a sandbox is looked for."""
    file = tmp_path / "sample.json"
    if text is not None:
        file.write_text(text)
    assert main(["sandbox", "send", str(file)]) == 64
    assert f"{file} {told}" in capsys.readouterr().err


@pytest.mark.usefixtures("home")
def test_send_without_a_sandbox_says_how_to_start_one(capsys: pytest.CaptureFixture[str]) -> None:
    """There is nothing to play the sample on."""
    assert main(["sandbox", "send", "events/move-account.json"]) == 1
    assert "podshare sandbox up" in capsys.readouterr().err


@pytest.mark.usefixtures("home")
def test_a_sandbox_that_does_not_answer_is_told_as_such(
    running: RunningSandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its port may be somebody else's by now."""
    running.write()
    assert main(["sandbox", "send", "events/move-account.json"]) == 1
    assert "does not answer" in capsys.readouterr().err


@pytest.mark.usefixtures("home")
def test_exec_of_a_command_that_is_not_there_is_wrong_input(
    running: RunningSandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command's name is told."""
    running.write()
    assert main(["sandbox", "exec", "--account", "111111111111", "--", "no-such-command"]) == 64
    assert "no-such-command" in capsys.readouterr().err
