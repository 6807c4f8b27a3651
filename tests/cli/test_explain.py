"""What records may say, for people and editors: described from the models, and true of the examples."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from podshare.registry.parsing import problems_of
from podshare_cli.application import main
from podshare_cli.records.documents import WRITING_ORDER, read_records
from podshare_cli.records.example_records import EXAMPLES as EXAMPLE_RECORDS
from podshare_cli.records.fields import MODELS, RECORDS, fields_of

EXAMPLES = sorted((Path(__file__).parents[2] / "examples/registry").rglob("*.yaml"))


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """What the command prints as JSON."""
    capsys.readouterr()
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("model", [model for name, model in MODELS.items() if not name.startswith("_")])
def test_every_field_says_what_it_means(model: Any) -> None:
    """A field that is added is explained where it is declared; its name alone explains nothing."""
    assert [field.name for field in fields_of(model) if not field.meaning] == []


def test_every_field_can_be_explained(capsys: pytest.CaptureFixture[str]) -> None:
    """From the kinds on, whatever an explanation lists can be asked for in turn, down to the last field."""
    paths = [row["kind"] for row in asked(capsys, "explain")]
    assert paths == [*RECORDS]
    seen: list[str] = []
    while paths:
        path = paths.pop()
        told = asked(capsys, "explain", path)
        assert told["meaning"], path
        seen.append(path)
        paths += [f"{path}.{field['field']}" for field in told["fields"]]
    assert {"team.quota.sharing.borrow_limit", "cluster.scheduler.priority_classes.weight", "pause.reason"} <= {*seen}


def test_a_field_is_explained_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    """Its meaning, its type with limits, its default, and an example."""
    assert main(["explain", "team.quota.sharing.borrow_limit"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("team.quota.sharing.borrow_limit: 0 to 10,000 percent")
    assert told[1:] == ["type: integer, at least 0, at most 10,000", "default: none", "example: 50"]
    assert main(["explain", "team.quota.sharing"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[2:6] == [
        "default: `LendAndBorrow` with `borrow_limit` 50",
        "example:",
        "  sharing:",
        "    strategy: LendAndBorrow",
    ]


@pytest.mark.parametrize(
    "item", [item for items in EXAMPLE_RECORDS.values() for item in items], ids=lambda item: item["id"]
)
def test_examples_are_valid_records(item: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """What an explanation shows is taken by podshare, and by the schema that editors have."""
    assert [problem.as_dict() for problem in problems_of(item)] == []
    jsonschema.validate(item, asked(capsys, "schema", item["id"].partition("#")[0]))


def test_every_field_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    """In explanations, and in the schema where a field has no fields of its own."""
    paths = [*RECORDS]
    while paths:
        for field in asked(capsys, "explain", path := paths.pop())["fields"]:
            assert field["example"] is not None, path
            paths.append(f"{path}.{field['field']}")
    schema = asked(capsys, "schema", "team")["$defs"]
    assert schema["Sharing"]["properties"]["borrow_limit"]["examples"] == [50]
    assert "examples" not in schema["Quota"]["properties"]["sharing"]


def test_a_required_field_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """A field without a default is told from one whose default is nothing."""
    told = {field["field"]: field for field in asked(capsys, "explain", "team")["fields"]}
    assert (told["owner"]["required"], "default" in told["owner"]) == (True, False)
    assert (told["expires"]["required"], told["expires"]["default"]) == (False, "never")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("tea", ("No kind of record tea. Did you mean team?", "podshare explain")),
        ("team.qota", ("No field qota in team. Did you mean quota?", "podshare explain team")),
        ("team.quota.sharing.zzz", ("No field zzz in team.quota.sharing.", "podshare explain team.quota.sharing")),
        ("team.owner.name", ("No field name in team.owner.", "podshare explain team.owner")),
    ],
)
def test_a_path_that_leads_nowhere_is_an_error(
    path: str, words: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """It says where the path ends, what was likely meant, and how to see what there is."""
    assert main(["explain", path]) == 64
    told = capsys.readouterr().err
    assert words[0] in told
    assert f"`{words[1]}`" in told


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_the_schema_is_true_of_the_examples(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What podshare takes, the schema takes: of its kind, and of any record."""
    for item in read_records([str(example)], WRITING_ORDER).items:
        for schema in (asked(capsys, "schema"), asked(capsys, "schema", item["id"].partition("#")[0])):
            jsonschema.Draft202012Validator(schema).validate(item)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("qota", {}),
        ("access", "root"),
        ("owner", 7),
        ("members", "everybody"),
        ("id", "team#Not A Name"),
        ("cluster", None),
    ],
)
def test_the_schema_refuses_what_podshare_refuses(field: str, value: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """An editor marks unknown fields, unknown words, wrong types, and names that are none."""
    (vision,) = read_records([str(next(path for path in EXAMPLES if path.name == "team-vision.yaml"))], ["team"]).items
    for schema in (asked(capsys, "schema"), asked(capsys, "schema", "team")):
        validator = jsonschema.Draft202012Validator(schema)
        assert validator.is_valid(vision)
        assert not validator.is_valid({**vision, field: value})


@pytest.mark.parametrize("kind", ["", *RECORDS])
def test_the_schema_is_one(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is valid JSON Schema of the dialect that it names, and describes every field."""
    schema = asked(capsys, "schema", *filter(None, [kind]))
    jsonschema.Draft202012Validator.check_schema(schema)
    for part in (schema, *schema.get("$defs", {}).values()):
        for field, described in part.get("properties", {}).items():
            assert described.get("description"), field
