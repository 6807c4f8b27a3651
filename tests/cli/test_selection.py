"""What is printed of the JSON: its fields by --json=FIELDS, and what --query or --jq selects of it."""

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from podshare_cli.application import command, main
from podshare_cli.failures import Failure
from podshare_cli.options import in_force
from podshare_cli.selection import printed_by

TEAMS = [
    {
        "team": "vision",
        "state": "READY",
        "quota": {"count": 4, "type": "p5"},
        "members": [{"account": "2", "role": "r"}],
    },
    {"team": "robots", "state": None, "quota": None, "members": [], "held": True},
]
WRONG = ["--jq", "["]  # refused before the command does anything


def _commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All commands below one, with their paths."""
    found = getattr(command, "commands", {})
    if not found:
        yield path, command
    for name, below in found.items():
        yield from _commands(below, (*path, name))


def _has_json(command: Any) -> bool:
    return any("--json" in parameter.opts for parameter in command.params)


def _needed(command: Any) -> list[str]:
    """A value for each argument and option that a command cannot do without."""
    needed = [each for each in command.params if each.required]
    values = [str(next(iter(each.type_descriptor.choices or ["2026-11-01"]))) for each in needed]
    options = [each.opts[0] if each.param_type_name == "option" else "" for each in needed]
    return [word for pair in zip(options, values, strict=True) for word in pair if word]


WITH_JSON = {path: found for path, found in sorted(_commands(command())) if _has_json(found)}


def printed(data: object, fields: str = "", query: str | None = None, jq: str | None = None) -> list[str]:
    """The texts that are printed of data."""
    return list(printed_by(fields, query, jq)(data))


def selected(data: object, fields: str) -> Any:
    """Data with only these fields."""
    (text,) = printed(data, fields)
    return json.loads(text)


def error(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The error that was printed as JSON; nothing else was printed."""
    captured = capsys.readouterr()
    assert captured.out == ""
    return dict(json.loads(captured.err)["error"])


@pytest.mark.parametrize("path", WITH_JSON, ids=" ".join)
def test_every_command_with_json_takes_fields_and_expressions(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Fields, --query and --jq are options of all of them, and what is wrong is refused before anything is done."""
    words = [*path, *_needed(WITH_JSON[path])]
    for wrong in (WRONG, ["--query", "["], ["--jq", ".", "--query", "@"]):
        assert main([*words, "--json=team,state", *wrong]) == 64
        assert error(capsys)["what"].startswith(wrong[-2])
        assert in_force().json_fields == "team,state"
        assert main(["--json=team,state", *wrong, *words]) == 64
        assert error(capsys)["what"].startswith(wrong[-2])


def test_json_alone_is_the_whole_document(capsys: pytest.CaptureFixture[str]) -> None:
    """Before the command's name and after it, also where a name follows; the later of two decides."""
    assert main(["help", "formatting", "--json"]) == 0
    whole = capsys.readouterr().out
    assert list(json.loads(whole)) == ["topic", "title", "text"]
    for words in (
        ["--json", "help", "formatting"],
        ["help", "--json", "formatting"],
        ["--json=topic", "help", "formatting", "--json"],
    ):
        assert main(words) == 0
        assert capsys.readouterr().out == whole


def test_fields_are_those_of_an_object_or_of_each_of_a_list(capsys: pytest.CaptureFixture[str]) -> None:
    """Only they are printed, in their order; with dots, fields of what is in a field."""
    assert main(["help", "formatting", "--json=title,topic"]) == 0
    title = "Output for people and for scripts"
    assert list(json.loads(capsys.readouterr().out).items()) == [("title", title), ("topic", "formatting")]
    assert selected(TEAMS, "state, team") == [{"state": "READY", "team": "vision"}, {"state": None, "team": "robots"}]
    assert selected(TEAMS, "quota.count,members.account,members.role") == [
        {"quota": {"count": 4}, "members": [{"account": "2", "role": "r"}]},
        {"quota": None, "members": []},
    ]
    assert selected([], "team") == []


def test_a_field_that_only_some_objects_have_is_a_field() -> None:
    """It is kept where it is."""
    assert selected(TEAMS, "team,held") == [{"team": "vision"}, {"team": "robots", "held": True}]


@pytest.mark.parametrize(
    ("fields", "what", "remedy"),
    [
        ("team,stat", "--json: no field stat. Did you mean state?", "Fields: team, state, quota, members, held"),
        ("xyz", "--json: no field xyz.", "Fields: team, state, quota, members, held"),
        ("quota.cont", "--json: no field quota.cont. Did you mean quota.count?", "Fields: quota.count, quota.type"),
        ("members.a.b", "--json: no field members.a.", "Fields: members.account, members.role"),
        ("team.name", "--json: no field team.name.", "There are no fields."),
    ],
)
def test_an_unknown_field_is_an_error_that_lists_the_fields(fields: str, what: str, remedy: str) -> None:
    """It says which was likely meant. The command has done its work, so the exit code is not that of wrong usage."""
    with pytest.raises(Failure) as refused:
        selected(TEAMS, fields)
    assert (refused.value.what, refused.value.remedy, refused.value.exit_code) == (what, remedy, 1)


def test_a_word_after_json_is_fields_only_where_no_argument_can_be(capsys: pytest.CaptureFixture[str]) -> None:
    """Otherwise it is the argument that it always was; an error about it says how fields are written."""
    assert main(["team", "list", "--json", "team,state", *WRONG]) == 64
    assert in_force().json_fields == "team,state"
    assert main(["team", "list", "--json", *WRONG]) == 64
    assert in_force().json_fields == ""
    capsys.readouterr()
    assert main(["help", "--json", "topic,title"]) == 64
    assert error(capsys)["remedy"].endswith(" If these are fields of the JSON: --json=topic,title")
    assert main(["help", "formatting", "--json", "topic"]) == 64
    assert error(capsys)["remedy"].endswith(" If these are fields of the JSON: --json=topic")
    assert main(["help", "--json", "--colour"]) == 64
    assert error(capsys)["remedy"] == "See `podshare help --help`."


def test_the_value_of_another_option_is_not_the_option_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither `--profile --json` nor what follows `--` is touched."""
    assert main(["help", "--query", "--json"]) == 64
    assert "--json=" not in error(capsys)["what"]
    assert main(["help", "--", "--json"]) == 64
    assert "No help topic --json." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("expression", "lines"),
    [
        (".[].team", ["vision", "robots"]),
        (".[].state", ["READY", "null"]),
        (".[0].quota", ['{"count": 4, "type": "p5"}']),
        ("map(.held // false)", ["[false, true]"]),
        (".[].quota.count // empty", ["4"]),
        ("length, .[1].held", ["2", "true"]),
        ('"a\\nb", "é"', ["a\nb", "é"]),
        ("empty", []),
    ],
)
def test_each_result_of_jq_is_printed_by_itself(expression: str, lines: list[str]) -> None:
    """Strings as they are, all else as JSON on one line."""
    assert printed(TEAMS, jq=expression) == lines


def test_jq_means_json_and_is_of_the_fields_that_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    """It gets the JSON as the command would print it; so does --query."""
    assert main(["help", "formatting", "--jq", ".topic"]) == 0
    assert capsys.readouterr().out == "formatting\n"
    assert main(["help", "formatting", "--json=topic", "--jq", "keys[]"]) == 0
    assert capsys.readouterr().out == "topic\n"
    assert main(["help", "formatting", "--json=topic", "--query", "keys(@)"]) == 0
    assert json.loads(capsys.readouterr().out) == ["topic"]


@pytest.mark.parametrize(
    ("expression", "what"),
    [
        ("[", "--jq: syntax error, unexpected end of file at <top-level>, line 1, column 1: [ ^"),
        ("teams", "--jq: teams/0 is not defined at <top-level>, line 1, column 1: teams ^^^^^"),
    ],
)
def test_an_invalid_expression_is_wrong_usage(expression: str, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The error is jq's, in a line, and names where the language is described."""
    assert main(["help", "--jq", expression]) == 64
    assert error(capsys) == {
        "what": what,
        "remedy": "See https://jqlang.org/manual for the language.",
        "problems": [],
    }


@pytest.mark.parametrize("selection", [{"jq": ".team"}, {"query": "length(@[0].held)"}], ids=["jq", "query"])
def test_an_expression_that_does_not_fit_the_data_fails(selection: dict[str, str]) -> None:
    """The command has done its work by then, so the exit code is not that of wrong usage."""
    with pytest.raises(Failure) as failed:
        printed(TEAMS, **selection)
    assert failed.value.exit_code == 1
    assert failed.value.what.startswith(f"--{next(iter(selection))}: ")


def test_without_the_library_the_error_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """jq is optional: where it is missing, everything else works."""
    monkeypatch.setitem(sys.modules, "jq", None)  # Python's own way to say that a module cannot be imported
    assert main(["help", "--jq", "."]) == 64
    assert error(capsys)["what"] == "--jq needs the library jq: pip install 'podshare[jq]'"
    assert main(["help", "--json=formatting", "--query", "formatting"]) == 0
