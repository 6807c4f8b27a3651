"""Every command on a terminal of 60 columns, and into a pipe, against podshare in a sandbox."""

import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from podshare_cli.application import main
from podshare_cli.commands.help import TOPICS
from podshare_cli.sandbox_deployment import deploy_podshare
from podshare_sandbox import Sandbox
from podshare_sandbox.new_accounts import admin_credentials
from podshare_sandbox.organization import HUB
from tests.acting import Ended, act_in_the_hub, unread_stdout
from tests.cli.test_peoples_policies import SPARE_CLUSTER, SPARE_DATASET, leaves
from tests.docs.pages import ROOT

EXAMPLES = ROOT / "examples" / "registry"
BAD_RECORDS = ROOT / "tests" / "cli" / "bad_records"
COLUMNS = 60
CONTROL = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
# how a command to copy begins
COPIED = ("aws ", "kubectl ", "export ", "`", *(f"podshare {path.split()[0]}" for path in leaves()))
# each command as it is called here, in this order
READING = {
    "access at": ["now of 222222222222", "yesterday of 222222222222"],
    "access audit": [""],
    "access changes": ["--since 1d"],
    "access matrix": [""],
    "access of": ["222222222222", "arn:aws:iam::222222222222:role/LanguageResearcher", "nobody"],
    "access probe": ["vision"],
    "access proof": ["vision"],
    "access who-can": ["read dataset#imagenet", "use cluster#main", "read imagenet"],
    "account get": ["222222222222", "999999999999"],
    "account list": [""],
    "approve": ["", "vision 0123456789ab"],
    "audit export": ["--since 1d --out {folder}/pack.zip"],
    "audit verify": ["{folder}/pack.zip"],
    "capacity": ["--cluster main", "--cluster absent"],
    "cluster list": [""],
    "connect": ["--list"],
    "dataset list": [""],
    "doctor": [""],
    "drift": ["vision"],
    "enrollment list": [""],
    "explain": ["", "team", "team.quota.sharing", "team.qouta"],
    "export": ["{folder}/records"],
    "help": ["", *TOPICS, "colours"],
    "history show": ["absent"],
    "plan": ["", "-v", "-f {folder}/blocked.yaml", f"-f {BAD_RECORDS}"],
    "report": ["--out {folder}/report.html"],
    "team history": ["vision"],
    "team list": [""],
    "team plan": ["vision", "vision --delete", "{folder}/blocked.yaml", "{folder}/changed.yaml"],
    "team status": ["", "vision"],
    "usage": ["", "--by account", "--used"],
    "validate": [f"{EXAMPLES}", f"{BAD_RECORDS}"],
}
WRITING = {
    "sweep": ["", "--last"],
    "cluster put": ["{folder}/cluster.yaml"],
    "dataset put": ["{folder}/dataset.yaml"],
    "enrollment put": [f"{EXAMPLES}/enrollment-science.yaml"],
    "team put": ["{folder}/changed.yaml --dry-run", "{folder}/changed.yaml", "{folder}/changed.yaml --yes --wait"],
    "team reconcile": ["vision --wait"],
    "apply": ["-f {folder}/dataset.yaml", "-f {folder}/changed.yaml --auto-approve"],
    "pause": ["--reason tried"],
    "resume": [""],
    "account block": ["222222222222 --reason tried", "222222222222 --reason tried --yes"],
    "account unblock": ["222222222222"],
    "cluster delete": ["main", "spare"],
    "dataset delete": ["imagenet", "imagenet --yes", "absent"],
    "enrollment delete": ["science", "science --yes"],
    "team delete": ["vision", "vision --yes --wait"],
}
ELSEWHERE = {
    "cluster get": "prints a record as it is",
    "dataset get": "prints a record as it is",
    "demo": "plays a sandbox of its own",
    "enrollment get": "prints a record as it is",
    "import": "prints records, and reads a cluster that was set up by hand",
    "sandbox exec": "prints what another command prints",
    "sandbox send": "needs a sandbox that is served",
    "sandbox up": "serves until it is interrupted",
    "schema": "prints JSON alone",
    "team get": "prints a record as it is",
    "team manifests": "prints manifests alone",
}


class Terminal(io.StringIO):
    """What is printed to it goes to a terminal."""

    def isatty(self) -> bool:
        return True


class No(Terminal):
    """Somebody who types n, and is seen to."""

    def readline(self, *_: object) -> str:  # type: ignore[override]  # typeshed: _IOBase reads bytes
        sys.stderr.write("n\n")
        return "n\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Team vision is ready on a sandbox; the folder has records that differ from it."""
    folder = tmp_path_factory.mktemp("records")
    text = (EXAMPLES / "team-vision.yaml").read_text()
    (folder / "changed.yaml").write_text(text.replace("count: 4", "count: 3"))
    (folder / "blocked.yaml").write_text(text.replace("count: 4", "count: 400"))
    (folder / "dataset.yaml").write_text(json.dumps(SPARE_DATASET))
    (folder / "cluster.yaml").write_text(json.dumps(SPARE_CLUSTER))
    with Sandbox(time_scale=0.02) as sandbox, pytest.MonkeyPatch.context() as patch:
        deploy_podshare(sandbox)
        admin = admin_credentials(HUB)
        act_in_the_hub(patch, admin.access_key, admin.secret_key)
        patch.setenv("HTTPS_PROXY", sandbox.url)
        files = [str(EXAMPLES / f"{name}.yaml") for name in ("team-vision", "datasets", "cluster-main")]
        assert main(["team", "put", *files, "--wait", "--json"]) == 0
        yield folder


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """Calls the command on a terminal where somebody answers every question with no."""
    for name, value in (("COLUMNS", str(COLUMNS)), ("LINES", "50"), ("TERM", "xterm-256color")):
        monkeypatch.setenv(name, value)

    def call(*words: str) -> Ended:
        out, err = Terminal(), Terminal()
        for name, stream in (("stdin", No()), ("stdout", out), ("stderr", err)):
            monkeypatch.setattr(sys, name, stream)
        code = main([*words])
        return Ended(code, out.getvalue(), err.getvalue())

    return call


def too_wide(text: str) -> list[str]:
    """The lines that are wider than the terminal, but for one word and commands to copy."""
    lines = [line for raw in text.splitlines() for line in CONTROL.sub("", raw).split("\r")]
    return [line for line in lines if len(line) > COLUMNS and not _is_whole(line.rstrip())]


def _is_whole(line: str) -> bool:
    line = line.lstrip("│├└─•→✗ ").rpartition("  ")[2]  # without a label
    return " " not in line or line.startswith(COPIED)


def test_every_command_is_called() -> None:
    """A new command is tried on a narrow terminal too, or says above why not."""
    assert sorted({*READING, *WRITING, *ELSEWHERE}) == sorted(leaves())


@pytest.mark.parametrize("path", sorted(leaves()))
def test_help_fits_into_a_narrow_terminal(path: str, on_terminal: Callable[..., Ended]) -> None:
    """No line of any command's help is wider than the terminal."""
    ended = on_terminal(*path.split(), "--help")
    assert (ended.code, too_wide(ended.out)) == (0, [])


def test_no_line_in_a_pipe_ends_with_blanks(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who compares or searches what was printed finds no padding of a terminal in it."""
    padded = {}
    for call in (f"{path} {words}".format(folder=folder) for path, calls in READING.items() for words in calls):
        main(call.split())
        captured = capsys.readouterr()
        if lines := [line for line in (captured.out + captured.err).splitlines() if line != line.rstrip()]:
            padded[call] = lines
    assert padded == {}


def test_a_reader_that_has_seen_enough_is_no_error(folder: Path) -> None:
    """Every command that ends with 0 does so where nobody reads what it prints."""
    codes = {}
    for call in (f"{path} {words}".format(folder=folder) for path, calls in READING.items() for words in calls):
        with redirect_stdout(io.StringIO()):
            whole = main(call.split())
        with unread_stdout():
            codes[call] = (whole, main(call.split()))
    assert {call: code for call, (whole, code) in codes.items() if code not in (0, whole)} == {}


def test_every_output_fits_into_a_narrow_terminal(folder: Path, on_terminal: Callable[..., Ended]) -> None:
    """Nothing is wider than the terminal except what cannot be split: tables, plans, progress, questions, errors."""
    wide = {}
    for path, calls in {**READING, **WRITING}.items():
        for words in calls:
            call = f"{path} {words}".format(folder=folder)
            ended = on_terminal(*call.split())
            assert "Traceback" not in ended.err
            if lines := too_wide(ended.out) + too_wide(ended.err):
                wide[call] = lines
    assert wide == {}
