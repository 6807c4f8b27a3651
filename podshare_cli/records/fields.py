"""The fields of the registry's records, as ``podshare explain`` and ``schema`` and docs/registry.md describe them.

All of it comes from the models of :mod:`podshare.registry.records`: types, defaults and limits from pydantic, meanings
from the docstrings below the fields, which no function of podshare reads.
"""

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from podshare.registry import records
from podshare_cli.records.example_records import EXAMPLES

RECORDS: Mapping[str, type[BaseModel]] = {
    "cluster": records.Cluster,
    "dataset": records.Dataset,
    "team": records.Team,
    "enrollment": records.Enrollment,
    "approval": records.Approval,
    "block": records.Block,
    "pause": records.Pause,
}
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_LIMIT_WORDS = {"minimum": "at least {:,}", "maximum": "at most {:,}", "maxLength": "at most {:,} characters"}
_LIMITS = {"ge": "minimum", "le": "maximum"}  # how pydantic calls them behind a validator of one's own

Schema = dict[str, Any]
MODELS = {
    name: model
    for name, model in vars(records).items()
    if inspect.isclass(model) and issubclass(model, BaseModel) and model.__module__ == records.__name__
}


@dataclass(frozen=True)
class RecordField:
    """One field of a record, or of a part of one.

    ``meaning`` is Markdown, as is ``default``, which is empty for a required field. ``holds`` is its type in
    words, ``parts`` are the models of what it holds, if that is more than a value. ``owner`` is the model's name.
    """

    owner: str
    name: str
    required: bool
    default: str
    meaning: str
    holds: str
    parts: tuple[type[BaseModel], ...]

    def as_dict(self) -> dict[str, Any]:
        """The field in plain JSON, its texts without markup."""
        default = {} if self.required else {"default": _value(plain(self.default))}
        about = {"type": self.holds, "meaning": self.text, "example": self.example}
        return {"field": self.name, "required": self.required, **default, **about}

    @property
    def example(self) -> Any:
        """What it says in a record."""
        return _examples()[self.owner, self.name]

    @property
    def text(self) -> str:
        """The meaning without markup."""
        return plain(self.meaning)


def fields_of(model: type[BaseModel]) -> list[RecordField]:
    """The fields of a record or a part, in their order, without a record's own name, which its id has."""
    schema = _schema(model)
    return [
        _field(model, key, field, schema)
        for key, field in model.model_fields.items()
        if not (key == "name" and model in RECORDS.values())
    ]


def _field(model: type[BaseModel], key: str, field: FieldInfo, schema: Schema) -> RecordField:
    name, parts = field.alias or key, dict[str, type[BaseModel]]()
    meaning, _, default = documentation(model, key).partition("\n\nDefault: ")
    return RecordField(
        owner=model.__name__,
        name=name,
        required=field.is_required(),
        default=default or _default(field),
        meaning=" ".join(meaning.split()),
        holds=_type(schema["properties"][name], schema.get("$defs", {}), parts),
        parts=tuple(parts.values()),
    )


def _type(node: Schema, definitions: Mapping[str, Schema], parts: dict[str, type[BaseModel]]) -> str:
    """A JSON Schema in words; models that it refers to are added to ``parts``."""
    if name := str(node.get("$ref", "")).removeprefix("#/$defs/"):
        if name in MODELS:
            parts[name] = MODELS[name]
            return "object"
        return _type(definitions[name], definitions, parts)
    if choices := node.get("anyOf", node.get("oneOf")):
        return ", or ".join(_type(choice, definitions, parts) for choice in choices if choice.get("type") != "null")
    if values := node.get("enum", [node["const"]] if "const" in node else []):
        return f"one of {', '.join(map(str, values))}" if len(values) > 1 else str(values[0])
    if node.get("type") == "array":
        most = f", at most {node['maxItems']:,}" if "maxItems" in node else ""
        return f"list of {_type(node['items'], definitions, parts)}{most}"
    limits = [words.format(node[key]) for key, words in _LIMIT_WORDS.items() if key in node]
    return ", ".join([str(node.get("format", node.get("type", "any"))), *limits])


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return ""
    match value := field.get_default(call_default_factory=True):
        case None | ():
            return "none"
        case "":
            return "empty"
        case bool():
            return f"`{str(value).lower()}`"
        case _:
            return f"`{getattr(value, 'value', value)}`"


def documentation(model: type[BaseModel], field: str) -> str:
    """The docstring below a field, where it is declared; empty where there is none."""
    owners = (owner for owner in model.__mro__ if field in inspect.get_annotations(owner))
    return _docstrings().get((next(owners).__name__, field), "")


@cache
def _docstrings() -> Mapping[tuple[str, str], str]:
    """The docstrings of all fields, by class and field: Python keeps none at run time (PEP 257)."""
    classes = [node for node in ast.parse(inspect.getsource(records)).body if isinstance(node, ast.ClassDef)]
    return {(owner.name, field): text for owner in classes for field, text in _documented(owner)}


def _documented(owner: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, text in zip(owner.body, owner.body[1:], strict=False):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(docstring))):
                yield name, inspect.cleandoc(docstring)


@cache
def _examples() -> Mapping[tuple[str, str], Any]:
    """An example of each field, by the name of its model and its own."""
    examples: dict[tuple[str, str], Any] = {}
    for kind, items in EXAMPLES.items():
        for item in items:
            _add_examples(examples, RECORDS[kind], item)
    return examples


def _add_examples(examples: dict[tuple[str, str], Any], model: type[BaseModel], item: Mapping[str, Any]) -> None:
    for field in fields_of(model):
        if field.name not in item:
            continue
        example = item[field.name]
        examples.setdefault((field.owner, field.name), example)
        inner = example if isinstance(example, list) else [example]
        for part, value in ((part, value) for value in inner if isinstance(value, Mapping) for part in field.parts):
            if value.keys() <= {inner_field.name for inner_field in fields_of(part)}:
                _add_examples(examples, part, value)


# ---- JSON Schema -----------------------------------------------------------------------------------------------


def schema_of(kind: str) -> Schema:
    """The JSON Schema of the records of a kind, as they are in a file: with an id, and no name beside it."""
    model = RECORDS[kind]
    schema = _with_examples(model, _schema(model))
    name = schema["properties"].pop("name")
    pattern = str(name.get("pattern", f"^{name.get('const', '.+')}$")).removeprefix("^")
    record_id = {"type": "string", "pattern": f"^{kind}#{pattern}", "description": f"{kind}#NAME"}
    schema["properties"] = {"id": record_id, **schema["properties"]}
    schema["required"] = ["id", *(field for field in schema["required"] if field != "name")]
    return {"$schema": DIALECT, "title": f"podshare {kind}", **schema}


def schema_of_all() -> Schema:
    """The JSON Schema of any record: its id says which kind's schema counts."""
    each = {kind: schema_of(kind) for kind in RECORDS}
    parts = {name: part for schema in each.values() for name, part in schema.pop("$defs", {}).items()}
    return {
        "$schema": DIALECT,
        "title": "podshare record",
        "type": "object",
        "required": ["id"],
        "properties": {"id": {"type": "string", "pattern": f"^({'|'.join(RECORDS)})#", "description": "KIND#NAME"}},
        "allOf": [
            {
                "if": {"properties": {"id": {"pattern": f"^{kind}#"}}, "required": ["id"]},
                "then": {"$ref": f"#/$defs/{kind}"},
            }
            for kind in RECORDS
        ],
        "$defs": {**parts, **{kind: _without(schema, "$schema") for kind, schema in each.items()}},
    }


def _schema(model: type[BaseModel]) -> Schema:
    """pydantic's schema, with the meaning of each field."""
    schema = model.model_json_schema(by_alias=True)
    for name, part in {**schema.get("$defs", {}), model.__name__: schema}.items():
        for key, field in MODELS[name].model_fields.items() if name in MODELS else ():
            described = part["properties"][field.alias or key]
            if meaning := plain(documentation(MODELS[name], key)):
                described["description"] = meaning
    tidied: Schema = _tidied(schema)
    return tidied


def _with_examples(model: type[BaseModel], schema: Schema) -> Schema:
    """With an example of each field that has no fields of its own."""
    for name, part in {**schema.get("$defs", {}), model.__name__: schema}.items():
        for field in fields_of(MODELS[name]) if name in MODELS else ():
            if not field.parts:
                part["properties"][field.name]["examples"] = [field.example]
    return schema


def _value(text: str) -> str:
    """A default without the marks of code, if it is nothing but a value."""
    return text.strip("`") if re.fullmatch("`[^`]*`", text) else text


def plain(markdown: str) -> str:
    """Markdown as plain text on one line: links have no targets."""
    return " ".join(_LINK.sub(r"\1", markdown).split())


def _tidied(node: Any) -> Any:
    """Portable: limits as JSON Schema calls them, no titles made of names, no patterns of Unicode's properties.

    Validators disagree on the latter (JSON Schema 2020-12, 6.4); podshare itself checks them.
    """
    if isinstance(node, list):
        return [_tidied(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        _LIMITS.get(key, key): _tidied(item)
        for key, item in node.items()
        if not (key == "title" and isinstance(item, str)) and not (key == "pattern" and r"\p{" in str(item).lower())
    }


def _without(schema: Schema, key: str) -> Schema:
    return {name: value for name, value in schema.items() if name != key}
