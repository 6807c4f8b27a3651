"""The command's surface: help, exit codes, errors; nothing here talks to AWS."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from podshare_cli.application import command, main


def _commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of all commands below one, such as ("team", "put")."""
    found = getattr(command, "commands", {})
    if not found:
        yield path
    for name, below in found.items():
        yield from _commands(below, (*path, name))


COMMANDS = sorted(_commands(command()))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_examples(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """The help of every command tells what it is for and shows a call of this very command."""
    assert main([*path, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Examples" in text
    assert f"podshare {' '.join(path)}" in text.partition("Examples")[2]


@pytest.mark.parametrize("path", [path for path in COMMANDS if path[0] not in ("sandbox", "demo")], ids=" ".join)
def test_every_command_of_an_installation_takes_the_common_options(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever acts on an installation can be pointed at it, and told to speak JSON, after its name too."""
    main([*path, "--help"])
    text = capsys.readouterr().out
    assert all(option in text for option in ("--profile", "--region", "--prefix", "--json"))


def test_wrong_usage_ends_with_64(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown option is told on stderr, with where to find help."""
    assert main(["team", "list", "--colour"]) == 64
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "--colour" in captured.err
    assert "podshare team list --help" in captured.err


def test_an_error_is_json_when_json_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json a machine reads the failure from stderr, and stdout stays empty."""
    assert main(["team", "get", "--json"]) == 64
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err)["error"]["what"].startswith("Missing")


@pytest.mark.parametrize(
    ("script", "absent"),
    [
        ("main(['--version'])", "boto3 botocore pydantic yaml lightkube rich podshare podshare_sandbox moto"),
        ("main(['--help'])", "boto3 botocore pydantic yaml lightkube podshare podshare_sandbox moto"),
        ("main(['team', '--help'])", "boto3 botocore yaml lightkube podshare podshare_sandbox moto"),
        ("import podshare_cli.team_views", "boto3 botocore pydantic yaml lightkube podshare_sandbox moto"),
    ],
)
def test_a_command_imports_what_it_needs(script: str, absent: str) -> None:
    """Help, version and what lists teams import neither an SDK before AWS is asked, nor what reads records."""
    loaded = f"print({{module.partition('.')[0] for module in sys.modules}} & {set(absent.split())!r})"
    program = f"import sys; from podshare_cli.application import main; {script}; {loaded}"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603  # our own
    assert found.stdout.splitlines()[-1] == "set()"


def test_no_region_tells_how_to_name_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    """Without a Region the command says what to do, and does not show a traceback."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    assert main(["team", "list"]) == 64
    assert "--region" in capsys.readouterr().err


def test_an_unknown_profile_is_wrong_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    """A profile that does not exist is told by its name, with exit code 64."""
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    assert main(["--profile", "platfrom", "team", "list"]) == 64
    assert "platfrom" in capsys.readouterr().err


def test_watching_and_json_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    """A live view is no data."""
    assert main(["team", "status", "--watch", "--json"]) == 64
    assert "--watch" in json.loads(capsys.readouterr().err)["error"]["what"]


def test_a_plan_is_of_names_or_of_files(capsys: pytest.CaptureFixture[str]) -> None:
    """A call that mixes teams and files is refused, because it could mean two things."""
    assert main(["team", "plan", "vision", "team-language.yaml"]) == 64
    assert "team-language.yaml" in capsys.readouterr().err
