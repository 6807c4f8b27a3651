"""Every command of the command that the pages print, typed as it stands on one sandbox."""

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.docs.newcomer import UP, Shell, served
from tests.docs.outputs import Outputs
from tests.docs.pages import OPERATIONS, README, ROOT, Page
from tests.domain.test_aws_report import REPORT

PAGES = [
    *(
        Page(ROOT / "docs" / f"{name}.md")
        for name in ("command", "records-in-git", "importing", "deploy", "who-had-access", "usage", "data-from-pods")
    ),
    README,
    OPERATIONS,
]
RECORDS_IN_GIT = Page(ROOT / "docs" / "records-in-git.md")
PLAN = "podshare plan -f records --out plan.json"
DRIFT = "podshare drift --detailed-exitcode"
REFUSED, PENDING, ASKS = 1, 2, 64
# what ends otherwise than with 0, and why
ENDS = {
    # these ask a person; nobody can be asked here, and each has an example with --yes, or is in test_confirmed_writes.py
    'podshare account block 222222222222 --reason "keys were stolen"': (ASKS, "add --yes"),
    "podshare dataset delete drafts": (ASKS, "add --yes"),
    "podshare team delete vision --wait": (ASKS, "add --yes"),
    # what they name is an example: no plan has this hash, and the shipped examples still use the cluster
    "podshare approve vision 3f2a9c01b7de": (REFUSED, "no plan awaiting approval"),
    "podshare cluster delete main": (REFUSED, "is used by"),
    # what an example before has changed by hand is what is pending
    "podshare plan -f records --format markdown --out plan.json --detailed-exitcode > comment.md": (
        PENDING,
        "plan.json",
    ),
    DRIFT: (PENDING, "Reality differs from the records"),
    # nothing was set up by hand here: tests/scenarios/test_import.py imports and adopts what was
    "podshare import hyperpod --adopt vision": (REFUSED, "no team vision that was set up by hand"),
    # the digest is an example: the printed one is checked in tests/scenarios/test_who_had_access.py
    f"podshare audit verify october.zip --manifest {'3f2a9c01b7de' * 5}3f2a": (REFUSED, "it was changed"),
    "podshare enrollment delete science --yes": (REFUSED, "no enrollment science"),  # the example before has deleted it
}
# what is not typed, by how it begins, and why
ELSEWHERE = {
    UP: "serves this very sandbox",
    "podshare demo": "a sandbox of its own, played by tests/cli/test_demo.py",
    "podshare report --serve": "serves until it is interrupted, tests/cli/test_report.py",
    "podshare team status vision --watch": "watches until it is interrupted, tests/cli",
    "podshare access probe": "needs pods that run, tests/scenarios/test_access_reports.py",
    "podshare team manifests vision --cluster main |": "for a cluster that podshare does not reach, test_by_hand.py",
    "podshare doctor --assume-role": "the role ReadOnly is yours",
    "podshare audit verify evidence.zip --manifest": "the digest is one that you kept, tests/scenarios/test_who_had_access.py",
    "podshare history show": "the run is an example, tests/scenarios/test_who_had_access.py",
    "podshare connect": "typed by a scientist in their own account, tests/scenarios/test_connect.py",
    "podshare import hyperpod --out records": "writes into a directory without records: below",
}
BEFORE = {
    # a plan ages
    "podshare apply plan.json --auto-approve": PLAN,
    'podshare apply plan.json --auto-approve --reason "Quotas of the third quarter"': PLAN,
    DRIFT: (
        "aws eks delete-access-entry --cluster-name hyperpod-eks"
        " --principal-arn arn:aws:iam::111111111111:role/podshare/podshare-vision-f738d0b5"
    ),
}
LAST = ("delete", "unblock")  # what takes away what the other examples show


def _commands() -> list[str]:
    """The commands of all pages in their order, each once, and those last that take away what others show."""
    typed = dict.fromkeys(command for page in PAGES for command in page.commands if command.startswith("podshare "))
    found = [command for command in typed if not command.startswith(tuple(ELSEWHERE))]
    return sorted(found, key=lambda command: bool({*command.split()[2:3]} & {*LAST}))


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A platform engineer's clone of records, with the shipped examples and profiles for the accounts."""
    home, clone = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("clone")
    for name in ("examples", "events"):
        shutil.copytree(ROOT / name, clone / name)
    for name in ("datasets", "team-vision"):
        shutil.copy(ROOT / "examples" / "registry" / f"{name}.yaml", clone)
    shutil.copy(ROOT / "examples" / "registry" / "cluster-main.yaml", clone / "cluster.yaml")
    shutil.copy(ROOT / "examples" / "usage" / "prices.yaml", clone)
    (clone / "summary.csv").write_text(REPORT)
    (clone / "my_boto3_script.py").write_text("import boto3\nprint(boto3.client('s3').list_buckets()['Buckets'])\n")
    for words in (["init", "-q"], ["remote", "add", "origin", "https://git.example.com/platform/records.git"]):
        subprocess.run(["git", *words], cwd=clone, check=True)  # noqa: S603, S607  # a clone with a remote
    with served(home, clone) as typing:
        yield typing


@pytest.fixture(scope="module")
def admin(shell: Shell) -> Shell:
    """Their shell in podshare's account, opened once with ``podshare sandbox exec``, with profiles of their own."""
    config = Path(shell.environment["HOME"]) / ".aws" / "config"
    opened = _environment(shell, "111111111111")
    return replace(shell, environment={**opened, "AWS_CONFIG_FILE": str(config)})  # exec keeps your profiles out


def test_every_printed_command_works(shell: Shell, admin: Shell, outputs: Outputs) -> None:
    """Each ends as the page says, with 0 unless a reason is given here, and prints what the page shows below it.

    None ends in a traceback. Those come first whose output is shown, while nothing else has changed the records.
    """
    _type(admin, "podshare team put examples/registry/*.yaml --wait")
    a_minute_later = time.monotonic() + 60
    _profiles(shell)
    _type(admin, "podshare export records")
    _edit(shell, RECORDS_IN_GIT)
    commands = _commands()
    assert len(commands) > 100
    wrong = []
    for command in (command for command in commands if command in outputs):
        if " at 1m " in command:
            time.sleep(max(0, a_minute_later - time.monotonic()))
        wrong.append(_ended_wrongly(shell, admin, command, outputs))
    _edit(shell, RECORDS_IN_GIT, "--reverse")
    _type(admin, "podshare team put examples/registry/*.yaml --wait --yes")
    wrong += [_ended_wrongly(shell, admin, command, outputs) for command in commands if command not in outputs]
    assert not any(wrong), "\n\n".join(filter(None, wrong))


def test_what_is_not_typed_is_printed_somewhere() -> None:
    """A reason for leaving a command out, or for its exit code, does not outlive the command."""
    printed = [command for page in PAGES for command in page.commands]
    assert not [start for start in ELSEWHERE if not any(command.startswith(start) for command in printed)]
    assert not ENDS.keys() - {*printed}


def _ended_wrongly(shell: Shell, admin: Shell, command: str, outputs: Outputs) -> str:
    """What is wrong with how a command ended; empty if nothing is."""
    code, words = ENDS.get(command, (0, ""))
    if command in BEFORE:
        _type(admin, BEFORE[command])
    typing = shell if command.startswith("podshare sandbox") else admin
    typed = _without_missing_tools(command)
    ended = typing.see(typed) if command in outputs else typing.type(typed)
    printed = ended.out + ended.err
    outputs.compare(command, printed)
    if ended.code == code and words in printed and "Traceback" not in printed:
        return ""
    return f"{command}\nexit code {ended.code} instead of {code} {words}\n{printed[-1500:]}"


def _without_missing_tools(command: str) -> str:
    """What comes after a pipe may be missing on this machine, and is no command of podshare's."""
    piped = re.fullmatch(r"((?:'[^']*'|[^'])*?) \| (.*)", command)  # a pipe in quotes is jq's
    if piped and not shutil.which(piped[2].split()[0]):
        return piped[1]
    return command


def _edit(shell: Shell, page: Page, *options: str) -> None:
    """Change the records as the page's diffs do."""
    for diff in page.blocks("diff"):
        subprocess.run(["git", "apply", *options], input=diff, text=True, cwd=shell.folder, check=True)  # noqa: S603, S607  # git


def _type(shell: Shell, command: str) -> None:
    ended = shell.type(command)
    assert ended.code == 0, f"{command}\n{ended.out}\n{ended.err}"


def _environment(shell: Shell, account: str) -> dict[str, str]:
    printed = shell.type(f"podshare sandbox exec --account {account} -- env").out
    return dict(line.split("=", 1) for line in printed.splitlines() if "=" in line)


def _profiles(shell: Shell) -> None:
    """The profiles that examples name, with the keys of the sandbox's accounts."""
    config = Path(shell.environment["HOME"]) / ".aws" / "config"
    config.parent.mkdir(exist_ok=True)
    accounts = {"platform": "111111111111", "management": "999999999999", "data": "333333333333"}
    for name, account in {**accounts, "clusters": "444444444444"}.items():
        opened = _environment(shell, account)
        keys = {key.lower(): value for key, value in opened.items() if key.startswith("AWS_") and "_KEY" in key}
        lines = [f"[profile {name}]", *(f"{key} = {value}" for key, value in keys.items())]
        lines += ["region = us-west-2", ""]
        with config.open("a", encoding="utf-8") as file:
            file.write("\n".join(lines))
