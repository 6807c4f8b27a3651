"""Records are checked without AWS: every problem of every file, as people, CI and code scanning read them."""

import json
from pathlib import Path
from typing import Any

import pytest

from podshare_cli.application import main

ROBOTS = """id: team#robots
cluster: main
ownr: ada@example.com
reason: "100%, or more"
members: []
quota:
  resources:
  - instance_type: ml.p5.48xlarge
    count: 0x10
"""
MESSAGES = (
    (9, 12, "quota.resources.0.count: must be a whole number"),
    (3, 1, "ownr: unknown field. Did you mean owner?"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of records: a cluster that is valid, and below it a team that is not."""
    (tmp_path / "cluster.yaml").write_text(
        'id: cluster#main\naccount: "111111111111"\nregion: us-west-2\neks_cluster: eks\nhyperpod_cluster: hp\n'
    )
    for place in ("teams", ".git"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "robots.yml").write_text(ROBOTS)
    (tmp_path / "README.md").write_text("no record")
    return tmp_path


def validated(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 64) -> str:
    """What the command prints."""
    capsys.readouterr()
    assert main(["validate", *arguments]) == code
    return str(capsys.readouterr().out)


def test_a_folder_is_checked_with_all_below_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each problem stands with file, line and column; hidden folders and other files are left alone."""
    lines = validated(capsys, str(folder)).splitlines()
    file = folder / "teams" / "robots.yml"
    for line, (row, column, message) in zip(lines, MESSAGES, strict=False):
        assert line.startswith(f"{file}:{row}:{column} {message}")
    assert lines[-1] == "1 valid record, 2 problems"
    assert len(lines) == 3


def test_valid_records_are_counted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a problem the command succeeds."""
    assert validated(capsys, str(folder / "cluster.yaml"), code=0) == "1 valid record, 0 problems\n"


def test_one_file_hides_no_other(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Problems of all files are told in one go, files that are no YAML and no text among them."""
    (folder / "broken.yaml").write_text("id: [")
    (folder / "latin.yaml").write_bytes("id: team#vision\nowner: José\n".encode("latin-1"))
    found = json.loads(validated(capsys, str(folder), "--json"))
    assert found["records"] == ["cluster#main"]
    assert {Path(problem["file"]).name for problem in found["problems"]} == {"broken.yaml", "latin.yaml", "robots.yml"}
    (latin,) = (problem for problem in found["problems"] if problem["file"].endswith("latin.yaml"))
    assert (latin["line"], latin["rule"]) == (2, "is not text in UTF-8")
    assert json.loads(validated(capsys, str(folder), "--format", "json")) == found


def test_github_shows_problems_at_their_lines(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each is a workflow command; what would end one of its parts is escaped.

    GitHub Docs, "Workflow commands for GitHub Actions", "Setting an error message".
    """
    (folder / "teams" / "robots.yml").rename(folder / "teams" / "a,b:c.yml")
    lines = validated(capsys, str(folder), "--format", "github").splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("::error file=")
    assert "a%2Cb%3Ac.yml,line=3,col=1,title=team#robots::ownr: unknown field." in lines[1]


def test_code_scanning_gets_a_log(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A SARIF log names tool, rule, place and message of each problem, and is there without any.

    OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0", 3.13, 3.27, 3.30.
    """
    log: dict[str, Any] = json.loads(validated(capsys, str(folder), "--format", "sarif"))
    (run,) = log["runs"]
    assert (log["version"], run["tool"]["driver"]["name"]) == ("2.1.0", "podshare")
    places = [result["locations"][0]["physicalLocation"]["region"] for result in run["results"]]
    assert [(place["startLine"], place["startColumn"]) for place in places] == [(9, 12), (3, 1)]
    assert {result["ruleId"] for result in run["results"]} == {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    assert all(result["message"]["text"].startswith("team#robots: ") for result in run["results"])
    clean = json.loads(validated(capsys, str(folder / "cluster.yaml"), "--format", "sarif", code=0))
    assert clean["runs"][0]["results"] == []


def test_code_scanning_finds_the_files(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Names of files are URIs, relative to the working directory where they lie below it.

    OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0", 3.4.3 and 3.4.4.
    """
    (folder / "teams" / "robots.yml").rename(folder / "teams" / "a b#c.yml")

    def files() -> set[str]:
        log = json.loads(validated(capsys, str(folder), "--format", "sarif"))
        places = [result["locations"][0]["physicalLocation"] for result in log["runs"][0]["results"]]
        return {place["artifactLocation"]["uri"] for place in places}

    monkeypatch.chdir(folder)
    assert files() == {"teams/a%20b%23c.yml"}
    monkeypatch.chdir(folder / ".git")
    assert files() == {(folder / "teams" / "a b#c.yml").as_uri()}


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistyped path is no empty set of records."""
    assert main(["validate", str(tmp_path / "absent.yaml")]) == 64
    assert "cannot be read" in capsys.readouterr().err
