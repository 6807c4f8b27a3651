"""The command's surface: help, exit codes, errors; nothing here talks to AWS."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from podshare_cli.application import command, main
from podshare_cli.commands.help import TOPICS
from podshare_cli.options import in_force
from tests.acting import unread_stdout
from tests.docs.pages import ROOT


def _commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of all commands below one, such as ("team", "put")."""
    found = getattr(command, "commands", {})
    if not found:
        yield path
    for name, below in found.items():
        yield from _commands(below, (*path, name))


COMMANDS = sorted(_commands(command()))
READS_NOTHING = ["--version", "explain", "explain team", "explain --json", "help", "help environment", "schema"]


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
    assert all(
        option in text for option in ("--profile", "--region", "--prefix", "--json", "--query", "--quiet", "--no-color")
    )


@pytest.mark.parametrize(
    "words",
    [
        "team list --query [] --jq .",
        "report --serve --out x.html",
        "import hyperpod --adopt vision --out records",
        "usage --csv --json",
        "sweep --last --no-wait",
        "approve vision --all",
        "connect vision --print --undo",
        "connect --list --cluster main",
        "connect --list --kind Job",
        "connect vision --undo --kind Job",
        "connect vision --check --write-job job.yaml",
    ],
)
def test_what_would_be_ignored_is_refused(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of two options that exclude each other none is used, and the error names both."""
    monkeypatch.chdir(tmp_path)
    assert main(words.split()) == 64
    err = capsys.readouterr().err
    assert "exclude each other" in err
    named = [word for word in words.split() if word.startswith("--")]
    assert all(word in err for word in named)


def test_wrong_usage_ends_with_64(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown option is told on stderr, with where to find help."""
    assert main(["team", "list", "--colour"]) == 64
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "--colour" in captured.err
    assert "podshare team list --help" in captured.err


@pytest.mark.parametrize("words", [[], ["team"]])
def test_without_a_command_there_is_help_and_an_error(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever names no command sees which there are, and why the exit code is 64."""
    assert main(words) == 64
    printed = capsys.readouterr()
    assert "Usage" in printed.out
    assert "No command was given." in printed.err


def test_an_error_is_json_when_json_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json a machine reads the failure from stderr, and stdout stays empty."""
    assert main(["team", "get", "--json"]) == 64
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err)["error"]["what"].startswith("Missing")


_READS_RECORDS = "podshare.registry.parsing podshare.registry.records podshare.kinds podshare.reconcile"


@pytest.mark.parametrize(
    ("script", "absent"),
    [
        ("main(['--version'])", "boto3 botocore pydantic yaml lightkube rich podshare podshare_sandbox moto"),
        ("main(['--help'])", f"boto3 botocore pydantic yaml lightkube {_READS_RECORDS} podshare_sandbox moto"),
        ("main(['team', '--help'])", f"boto3 botocore yaml lightkube {_READS_RECORDS} podshare_sandbox moto"),
        ("import podshare_cli.views.team", "boto3 botocore pydantic yaml lightkube podshare_sandbox moto"),
    ],
)
def test_a_command_imports_what_it_needs(script: str, absent: str) -> None:
    """Help, version and what lists teams import neither an SDK before AWS is asked, nor what reads records."""
    loaded = f"print(sys.modules.keys() & {set(absent.split())!r})"
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


def test_a_query_selects_from_the_json(capsys: pytest.CaptureFixture[str]) -> None:
    """--query is JMESPath, as in the AWS CLI, and means JSON; one that is none is wrong usage, told as JSON."""
    assert main(["help", "--query", "keys(@)[0]"]) == 0
    assert json.loads(capsys.readouterr().out) == "environment"
    assert main(["help", "--query", "a["]) == 64
    assert "--query" in json.loads(capsys.readouterr().err)["error"]["what"]


@pytest.mark.parametrize("topic", TOPICS)
def test_every_topic_has_a_page(topic: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`podshare help` lists the topics, and prints each with its title."""
    assert main(["help"]) == 0
    title = TOPICS[topic][0]
    assert f"{topic.ljust(13)} {title}" in capsys.readouterr().out
    assert main(["help", topic]) == 0
    assert capsys.readouterr().out.startswith(f"{title}\n")


def test_an_unknown_topic_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """The error lists the topics."""
    assert main(["help", "colours"]) == 64
    assert "environment, exit-codes, formatting" in capsys.readouterr().err


def test_a_terminal_without_utf_8_gets_plain_characters() -> None:
    """What an encoding lacks is written plainly on both streams, and ends in no traceback."""
    program = "import sys; from podshare_cli.application import main; print('a → b'); sys.exit(main(['team', 'get']))"
    python = [
        sys.executable,
        "-X",
        "utf8=0",
        "-c",
        f"from podshare_cli.application import main; main(['help']); {program}",
    ]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    ended = subprocess.run(python, capture_output=True, check=False, env=environment)  # noqa: S603  # our own
    assert ended.returncode == 64
    assert b"a -> b" in ended.stdout
    assert ended.stderr.startswith(b"x Missing argument 'NAME'.")


@pytest.mark.parametrize(
    ("locale", "arrow"),
    [
        ({"LANG": "C"}, "->"),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "C"}, "->"),
        ({"LANG": "POSIX"}, "->"),
        ({"LANG": "C", "PYTHONIOENCODING": "utf-8"}, "→"),
        ({"LANG": "C.UTF-8"}, "→"),
        ({}, "→"),
    ],
)
def test_a_terminal_of_the_locale_c_gets_plain_characters(locale: dict[str, str], arrow: str) -> None:
    """Where somebody has set the locale C, and not where none is set, or Python's encoding is."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    terminal, its_end = pty.openpty()
    program = "from podshare_cli.terminal import use_plain_characters; use_plain_characters(); print('a → b')"
    ended = subprocess.run(  # noqa: S603  # our own
        [sys.executable, "-c", program], stdout=its_end, check=True, env={**others, **locale}
    )
    assert ended.returncode == 0
    assert os.read(terminal, 100).decode().strip() == f"a {arrow} b"
    os.close(terminal)
    os.close(its_end)


def test_whoever_interrupts_is_told_what_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C ends any command with 130 and a sentence: of what was written only where something was."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("podshare_cli.records.documents.check_records", interrupt)
    assert main(["validate", "records"]) == 130
    assert capsys.readouterr().err == "✗ Interrupted. No record was written.\n"


def test_the_short_option_for_help_is_the_long_one(capsys: pytest.CaptureFixture[str]) -> None:
    """`-h` prints what `--help` prints, for every command."""
    assert main(["team", "list", "-h"]) == 0
    short = capsys.readouterr().out
    assert main(["team", "list", "--help"]) == 0
    assert capsys.readouterr().out == short


def test_the_version_names_the_commit(capsys: pytest.CaptureFixture[str]) -> None:
    """In a checkout, the commit that is checked out."""
    assert main(["--version"]) == 0
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True, cwd=ROOT).stdout  # noqa: S607
    assert capsys.readouterr().out.rstrip().endswith(f", commit {head[:12]}")


def test_quiet_and_no_color_hold_wherever_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the command's name or after it; no color is told to all that the command calls."""
    monkeypatch.setenv("NO_COLOR", "")
    for words in (["--no-color", "--quiet", "help"], ["help", "--no-color", "-q"]):
        os.environ["NO_COLOR"] = ""
        assert main(words) == 0
        assert (in_force().quiet, in_force().no_color, os.environ["NO_COLOR"]) == (True, True, "1")


@pytest.mark.parametrize("words", [*(f"{' '.join(path)} --help" for path in COMMANDS), *READS_NOTHING])
def test_a_reader_that_has_seen_enough_is_no_error(words: str) -> None:
    """Whatever prints ends with 0 where nobody reads on, and nothing is left that Python could not write at its end."""
    with unread_stdout():
        assert main(words.split()) == 0


@pytest.mark.parametrize(
    ("words", "ends"),
    [("schema --json | true", "0 0"), ("colours 2>&1 | true", "64 0"), ("team get --json 2>&1 | true", "64 0")],
)
def test_a_failure_that_nobody_reads_keeps_its_exit_code(words: str, ends: str) -> None:
    """The shell gets the code of what went wrong, also from a pipe that has lost its reader."""
    script = f"{sys.executable} -m podshare_cli {words}; echo ${{PIPESTATUS[*]}}"
    ended = subprocess.run(["/bin/bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603  # fixed words
    assert (ended.stdout.split("\n")[-2], ended.stderr) == (ends, "")
