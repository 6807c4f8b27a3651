"""``podshare validate``: whether files hold valid records, without AWS; for people, CI and code scanning."""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from podshare.registry.sentences import counted
from podshare_cli.failures import INVALID
from podshare_cli.json_option import Commands
from podshare_cli.options import Files, Options, examples, takes_options

app = Commands()

_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"
_RULE = "invalid-record"


class Format(StrEnum):
    """How problems are printed."""

    TEXT = "text"
    GITHUB = "github"
    SARIF = "sarif"
    JSON = "json"


@app.command(
    "validate",
    epilog=examples(
        "podshare validate examples/registry",
        "podshare validate records --format github",
        "podshare validate records --format sarif > podshare.sarif",
    ),
)
@takes_options
def validate(
    options: Options,
    files: Files,
    style: Annotated[
        Format,
        typer.Option(
            "--format",
            help="github: annotations of a workflow's run; sarif: a file for code scanning; json: as --json.",
        ),
    ] = Format.TEXT,
) -> None:
    """Check records in files, and print every problem of all of them. Nothing is written, and AWS is not asked.

    What only AWS or other records can say (a bucket that does not exist, a dataset without a record) is checked by
    `podshare team plan`.
    """
    from podshare_cli.records.documents import check_records
    from podshare_cli.records.fields import RECORDS

    read, problems = check_records(files, RECORDS)
    if style is Format.SARIF:
        options.show_json(sarif(problems))
    elif options.as_json or style is Format.JSON:
        options.show_json({"records": sorted(read.written), "problems": problems})
    elif style is Format.GITHUB:
        for line in annotations(problems):
            typer.echo(line)
    else:
        from podshare_cli.output import plain_lines, print_lines, stdout

        for line in _lines(len(read.written), problems):
            print_lines(stdout(), plain_lines(line))
    if problems:
        raise typer.Exit(INVALID)


def _lines(valid: int, problems: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    from podshare_cli.output import problem_text

    yield from (". ".join(problem_text(problem)).rstrip() for problem in problems)
    yield f"{counted(valid, 'valid record')}, {counted(len(problems), 'problem')}"


def _message(problem: Mapping[str, Any]) -> str:
    from podshare.registry.sentences import sentence

    return f"{sentence(problem)}. {problem['remedy']}".strip()


def annotations(problems: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Workflow commands of GitHub Actions ("Workflow commands for GitHub Actions", error messages)."""
    for problem in problems:
        properties = {
            "file": problem["file"], "line": problem["line"], "col": problem["column"], "title": problem["record"]
        }  # fmt: skip
        listed = ",".join(f"{name}={_escaped(str(value), ':,')}" for name, value in properties.items())
        yield f"::error {listed}::{_escaped(_message(problem))}"


def _escaped(text: str, more: str = "") -> str:
    return "".join(f"%{ord(character):02X}" if character in f"%\r\n{more}" else character for character in text)


def sarif(problems: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The problems as a log of the Static Analysis Results Interchange Format, 2.1.0."""
    rule = {"id": _RULE, "shortDescription": {"text": "A record that podshare refuses"}}
    return {
        "$schema": _SARIF,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": {"name": "podshare", "rules": [rule]}}, "results": [*map(_result, problems)]}],
    }


def _result(problem: Mapping[str, Any]) -> dict[str, Any]:
    region = {"startLine": problem["line"], "startColumn": problem["column"]}
    place = {"artifactLocation": {"uri": _uri(str(problem["file"]))}, "region": region}
    message = {"text": f"{problem['record']}: {_message(problem)}"}
    return {"ruleId": _RULE, "level": "error", "message": message, "locations": [{"physicalLocation": place}]}


def _uri(file: str) -> str:
    """A file as code scanning finds it: relative to the working directory, the root of a repository (SARIF, 3.4.3)."""
    path = Path(file).absolute()
    return quote(path.relative_to(Path.cwd()).as_posix()) if path.is_relative_to(Path.cwd()) else path.as_uri()
