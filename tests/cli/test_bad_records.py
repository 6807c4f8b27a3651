"""What people get wrong in records, as the command tells it: one problem for one fault, at its place, in its words.

The files are in ``bad_records``; those in ``bad_records/good`` are written before.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from podshare_cli.application import main
from podshare_sandbox import Sandbox
from podshare_sandbox.organization import HUB, HUB_REGION, admin_credentials

FILES = Path(__file__).with_name("bad_records")
GOOD = sorted(str(path) for path in (FILES / "good").iterdir())
MEMBERS = "members.0.account"
ACCESS = "service_accounts.0.datasets.0"


@dataclass(frozen=True)
class Ended:
    """How a call of the command ended."""

    code: int
    out: str
    err: str

    @property
    def problems(self) -> list[dict[str, Any]]:
        """What it told as JSON of the records that were given."""
        found: list[dict[str, Any]] = json.loads(self.err)["error"]["problems"]
        return found


Command = Callable[..., Ended]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """podshare with the good records: team robots is READY."""
    with Sandbox(time_scale=0.02) as running, pytest.MonkeyPatch.context() as patch:
        running.deploy_podshare()
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        keys = admin_credentials(HUB)
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_REGION", HUB_REGION)
        patch.setenv("AWS_ACCESS_KEY_ID", keys.access_key)
        patch.setenv("AWS_SECRET_ACCESS_KEY", keys.secret_key)
        assert main(["team", "put", *GOOD, "--wait"]) == 0
        yield running


@pytest.fixture
def podshare(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Command]:
    """Calls the command beside the files, and sees that nothing was written in the end."""
    monkeypatch.chdir(FILES)

    def call(*words: str) -> Ended:
        capsys.readouterr()
        code = main(list(words))
        return Ended(code, *capsys.readouterr())

    before = _registry(sandbox)
    yield call
    assert _registry(sandbox) == before


def _registry(sandbox: Sandbox) -> list[dict[str, Any]]:
    items = sandbox.client("dynamodb", HUB).scan(TableName="podshare-registry")["Items"]
    return sorted(items, key=lambda item: str(item["id"]))


@pytest.mark.parametrize(
    ("file", "place", "told"),
    [
        ("01-typo-field.yaml", (3, 1, "ownr"), "ownr: unknown field. Did you mean owner?"),
        ("02-typo-nested.yaml", (9, 7, "quota.resources.0.instance-type"), "unknown field. Did you mean instance_type?"),
        ("03-account-11.yaml", (6, 14, MEMBERS), "an account id has twelve digits"),
        ("05-dataset-unknown.yaml", (14, 18, f"{ACCESS}.dataset"), "no dataset fotos. Did you mean photos?"),
        ("07-count-string.yaml", (10, 14, "quota.resources.0.count"), 'must be a whole number; got the text "two"'),
        ("08-account-unquoted0.yaml", (6, 14, MEMBERS), "account ids belong in quotes: YAML readers take 044444444444 for an octal number"),
        ("09-access-enum.yaml", (15, 17, f"{ACCESS}.access"), '"write" is no access; it is one of read, read_write'),
        ("10-cluster-unknown.yaml", (2, 10, "cluster"), "no cluster hpp. Did you mean hp?"),
        ("12-upper.yaml", (1, 5, "id"), "a name has lowercase letters"),
        ("13-id-no-kind.yaml", (1, 5, "id"), "an id is team#NAME. Did you mean team#robots?"),
        ("17-tab.yaml", (3, 1, "YAML"), "tabs cannot indent YAML, line 3"),
        ("19-no-quota.yaml", (1, 1, "quota"), "is missing: a team needs quota.resources"),
        ("23-unquoted.yaml", (6, 14, MEMBERS), 'account ids belong in quotes: YAML readers take 444444444444 for a number. Write "444444444444".'),
    ],
)  # fmt: skip
def test_one_fault_is_one_problem_at_its_place(
    podshare: Command, file: str, place: tuple[int, int, str], told: str
) -> None:
    """File, line, column, whole path, words and remedy; exit code 2, for people and for machines alike."""
    ended = podshare("team", "plan", file, "--json")
    assert ended.code == 2
    (problem,) = ended.problems
    assert (problem["file"], problem["line"], problem["column"], problem["field"]) == (file, *place)
    shown = podshare("team", "plan", file)
    assert shown.code == 2
    (line,) = [line for line in shown.err.splitlines() if file in line and told in line]
    assert line.strip().startswith(f"{file}:{place[0]}:{place[1]} {place[2]}")


def test_json_is_judged_as_yaml_is(podshare: Command) -> None:
    """Each field that a team lacks is a problem of the JSON document, as of one in YAML."""
    ended = podshare("team", "plan", "25.json", "--json")
    assert ended.code == 2
    assert {(one["field"], one["file"], one["line"]) for one in ended.problems} == {
        (field, "25.json", 1) for field in ("members", "owner", "quota", "reason")
    }


def test_the_same_id_in_two_files_is_told_with_both(podshare: Command) -> None:
    """Which of the two counts is open: both are named with their lines."""
    ended = podshare("team", "plan", "14a-dup.yaml", "14b-dup.yaml")
    assert ended.code == 2
    assert "14b-dup.yaml:1:5 id: team#robots is also in 14a-dup.yaml, line 1." in ended.err


def test_an_empty_file_is_nothing_to_do(podshare: Command) -> None:
    """It is said, and is no mistake: `plan` and `put` of it end well."""
    for verb in ("plan", "put"):
        ended = podshare("team", verb, "15-empty.yaml")
        assert ended.code == 0
        assert "15-empty.yaml holds no records: nothing to do." in ended.err
