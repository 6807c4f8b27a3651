"""``podshare explain`` and ``podshare schema``: what records may say, without AWS."""

import inspect
import json
import textwrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from podshare_cli.failures import Failure
from podshare_cli.json_option import Commands
from podshare_cli.options import Options, examples, takes_options

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import RenderableType

    from podshare_cli.records.fields import RecordField

app = Commands()


def _paths(incomplete: str) -> list[str]:
    """The kinds of records, or the fields at a path, that begin so."""
    from podshare_cli.records.fields import RECORDS, fields_of

    at, dot, begun = incomplete.rpartition(".")
    try:
        parts = _at(at)[1] if dot else ()
    except Failure:
        return []
    names = [field.name for part in parts for field in fields_of(part)] if dot else [*RECORDS]
    return [f"{at}{dot}{name}" for name in dict.fromkeys(names) if name.startswith(begun)]


def _kinds(incomplete: str) -> list[str]:
    from podshare_cli.records.fields import RECORDS

    return [kind for kind in RECORDS if kind.startswith(incomplete)]


Path = Annotated[
    str,
    typer.Argument(metavar="[KIND[.FIELD]...]", help="Such as team.quota.sharing.", autocompletion=_paths),
]
Kind = Annotated[
    str, typer.Argument(metavar="[KIND]", help="One kind of record. Without it, of all kinds.", autocompletion=_kinds)
]


@app.command(
    "explain",
    epilog=examples("podshare explain", "podshare explain team.quota.sharing", "podshare explain dataset --json"),
)
@takes_options
def explain(options: Options, path: Path = "") -> None:
    """Explain a kind of record, or one of its fields: meaning, type, default, an example, and the fields in it.

    Without an argument, list the kinds of records.
    """
    from podshare_cli.records.fields import RECORDS, fields_of  # the models take their time

    if not path:
        kinds = [{"kind": kind, "meaning": _about(model)} for kind, model in RECORDS.items()]
        return options.show(kinds, lambda: _table(kinds))
    field, parts = _at(path)
    inner = [inner_field for part in parts for inner_field in fields_of(part)]
    about = field.as_dict() if field else {"kind": path, "meaning": _about(parts[0])}
    return options.show(
        {**about, "path": path, "fields": [inner_field.as_dict() for inner_field in inner]},
        lambda: _view(path, about, inner),
    )


@app.command("schema", epilog=examples("podshare schema > records.json", "podshare schema team"))
@takes_options
def schema(options: Options, kind: Kind = "") -> None:
    """Print the JSON Schema of records, for editors and checks.

    A YAML file names its schema for editors in a line: `# yaml-language-server: $schema=FILE`.
    """
    from podshare_cli.records.fields import schema_of, schema_of_all

    if kind:
        _model_of(kind)
    options.show_json(schema_of(kind) if kind else schema_of_all())


def _at(path: str) -> "tuple[RecordField | None, tuple[type[BaseModel], ...]]":
    """The field at a path, None for a kind of record, and the models of what is in it."""
    from podshare_cli.records.fields import fields_of

    kind, *names = path.split(".")
    parts: tuple[type[BaseModel], ...] = (_model_of(kind),)
    field, at = None, kind
    for name in names:
        fields = {inner.name: inner for part in parts for inner in fields_of(part)}
        if name not in fields:
            raise _unknown(f"No field {name} in {at}.", name, fields, f"podshare explain {at}")
        field, at = fields[name], f"{at}.{name}"
        parts = field.parts
    return field, parts


def _model_of(kind: str) -> "type[BaseModel]":
    from podshare_cli.records.fields import RECORDS

    if kind not in RECORDS:
        raise _unknown(f"No kind of record {kind}.", kind, RECORDS, "podshare explain")
    return RECORDS[kind]


def _unknown(error: str, name: str, known: Any, listing: str) -> Failure:
    from podshare.registry.wording import closest
    from podshare_cli.failures import INVALID

    likely = closest(name, known)
    meant = f" Did you mean {likely}?" if likely else ""
    return Failure(f"{error}{meant}", f"List what there is: `{listing}`.", INVALID)


def _about(model: "type[BaseModel]") -> str:
    """The first sentence of a model's docstring."""
    text = " ".join(inspect.cleandoc(model.__doc__ or "").partition("\n\n")[0].split())
    return text.partition("``: ")[2] or text


def _view(path: str, about: dict[str, Any], inner: "list[RecordField]") -> "RenderableType":
    from rich.markup import escape

    from podshare_cli.output import stacked

    facts = [f"[bold]{escape(path)}[/]: {escape(about['meaning'])}"]
    if "type" in about:
        facts += [f"type: {escape(about['type'])}", f"default: {escape(about.get('default', 'none: it is required'))}"]
        facts.append(f"example:{escape(_example(path, about['example']))}")
    rows = [
        {
            "field": field.name,
            "default": "required" if field.required else field.as_dict()["default"],
            "meaning": field.text,
        }
        for field in inner
    ]
    return stacked([*facts, *([_table(rows)] if rows else [])])


def _example(path: str, value: Any) -> str:
    """A value on its line, anything with parts as YAML below the field's name."""
    from podshare_cli.records.documents import dumped

    if not isinstance(value, list | dict):
        return f" {json.dumps(value, ensure_ascii=False)}"
    return f"\n{textwrap.indent(dumped({path.rpartition('.')[2]: value}), '  ')}".rstrip()


def _table(rows: list[dict[str, Any]]) -> "RenderableType":
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(*rows[0], box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row.values()))
    return table
