"""What pydantic finds wrong in a record, in podshare's words: one fault is one problem."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sized
from difflib import get_close_matches
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from podshare.registry.items import SIGNATURE
from podshare.registry.sentences import ABSENT, FIELDS, LIST, LONGEST_SHOWN, UNKNOWN_FIELD

MISSING = "is missing"
_NOT_WRITTEN = frozenset({"name", *SIGNATURE})  # fields of a record's model that nobody writes in the record
Path = tuple[int | str, ...]


class Fault(NamedTuple):
    """One rule that a value breaks, and where in the record it stands."""

    path: Path
    value: str
    rule: str
    remedy: str

    @property
    def field(self) -> str:
        """The path in dots, as a person would look for it."""
        return ".".join(map(str, self.path)) or "record"


class WrongPartError(ValueError):
    """What validates a part of a record by itself found it wrong; each fault is reported where it is in that part."""

    def __init__(self, part: type[BaseModel], error: ValidationError) -> None:
        super().__init__(str(error))
        self.part, self.error = part, error


def faults(part: type[BaseModel], error: ValidationError, patterns: Mapping[str, str]) -> Iterator[Fault]:
    """What is wrong in a record, or a part of one. ``patterns`` says in words what the pattern of a text asks for.

    An unknown field that is a missing one, misspelled, is reported as that alone.
    """
    details = [detail for detail in error.errors(include_url=False) if not _counts_lines_that_are_wrong(detail)]
    missing = {_path(detail) for detail in details if detail["type"] == "missing"}
    meant = {path: _meant(part, path, missing) for detail in details if _is_unknown(detail) for path in [_path(detail)]}
    explained = {(*path[:-1], name) for path, name in meant.items()}
    for detail in details:
        path, cause = _path(detail), detail.get("ctx", {}).get("error")
        if isinstance(cause, WrongPartError):
            inner = faults(cause.part, cause.error, patterns)
            yield from (fault._replace(path=path + fault.path) for fault in inner)
        elif _is_unknown(detail):
            name = meant[path]
            remedy = f"Did you mean {name}?" if name else "Remove the field, or correct its spelling."
            yield Fault(path, _shown(detail["input"]), UNKNOWN_FIELD, remedy)
        elif detail["type"] == "missing" and path not in explained:
            rule = MISSING if detail["msg"] == "Field required" else detail["msg"]
            yield Fault(path, ABSENT, rule, "Add the field.")
        elif detail["type"] != "missing":
            inside: Path = detail.get("ctx", {}).get("at", ())
            value = _within(detail["input"], inside)
            yield Fault(
                path + inside, _shown(value), *_rule_and_remedy(detail, str(path[-1]) if path else "record", patterns)
            )


def closest(name: str, names: Iterable[str]) -> str:
    """The one of ``names`` that somebody who wrote ``name`` most likely meant; empty if none is near."""
    return next(iter(get_close_matches(name.lower(), sorted(names), 1)), "")


def _shown(value: object) -> str:
    return _called(value) if isinstance(value, Mapping | list | tuple) else ascii(value)


def _within(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


def _counts_lines_that_are_wrong(detail: ErrorDetails) -> bool:
    """To pydantic a list is too short also without those of its lines that are reported as wrong."""
    return detail["type"] == "too_short" and len(detail["input"]) >= detail["ctx"]["min_length"]


def _is_unknown(detail: ErrorDetails) -> bool:
    return detail["type"] == "extra_forbidden"


def _path(detail: ErrorDetails) -> Path:
    """Without the tags of unions, which nobody has written."""
    return tuple(step for step in detail["loc"] if not str(step).startswith("<"))


def _meant(part: type[BaseModel], path: Path, missing: Collection[Path]) -> str:
    """The field that was meant by an unknown one: rather one that is missing."""
    *parents, name = path
    known = {field.alias or own for own, field in _part_at(part, parents).model_fields.items()}
    known -= frozenset() if parents else _NOT_WRITTEN
    absent = {str(missing_path[-1]) for missing_path in missing if missing_path[:-1] == path[:-1]}
    written = str(name).replace("-", "_")
    return closest(written, known & absent) or closest(written, known)


def _part_at(part: type[BaseModel], path: Iterable[int | str]) -> type[BaseModel]:
    for step in path:
        named = (field for name, field in part.model_fields.items() if step in (name, field.alias))
        part = next((inner for field in named if (inner := _part_in(field.annotation))), part)
    return part


def _part_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_part_in, get_args(annotation))), None)


_DECIMAL = "Write it in decimal digits, such as 10."
_WHOLE = ("must be a whole number; got {got}", _DECIMAL)
_NUMBER = ("must be a number; got {got}", _DECIMAL)
_BOOLEAN = ("must be true or false; got {got}", "Write true or false.")
_CHOICE = ("{quoted} is not a valid {field}; valid are {choices}", "Use one of these.")
_FIELDS = ("must have fields; got {got}", "Write each field on its own indented line.")
_SENTENCES = {  # the rule and the remedy, by the type of pydantic's error
    **dict.fromkeys(("whole_number", "int_type", "int_parsing", "int_parsing_size", "int_from_float"), _WHOLE),
    **dict.fromkeys(("number", "float_type", "float_parsing", "finite_number"), _NUMBER),
    **dict.fromkeys(("bool_type", "bool_parsing"), _BOOLEAN),
    **dict.fromkeys(("enum", "literal_error"), _CHOICE),
    **dict.fromkeys(("model_type", "model_attributes_type", "mapping_type", "dict_type"), _FIELDS),
    "greater_than_equal": ("must be at least {ge:,}; got {got}", "Correct the value."),
    "less_than_equal": ("must be at most {le:,}; got {got}", "Correct the value."),
    "string_type": ("must be text; got {got}", "Put it in quotes if it is text."),
    "string_too_short": ("must have at least {min_length} of its characters; it has {length}", "Lengthen it."),
    "string_too_long": ("must have at most {max_length:,} characters; it has {length:,}", "Shorten it."),
    "too_short": ("must have at least {min_length} in its list; it has {length}", "Add what is missing."),
    "too_long": ("must have at most {max_length:,} in its list; it has {length:,}", "Remove some."),
    "tuple_type": ("must be a list; got {got}", "Write one line for each, beginning with `- `."),
    "string_pattern_mismatch": ("{says}", "Correct the value."),
}


def _rule_and_remedy(detail: ErrorDetails, field: str, patterns: Mapping[str, str]) -> tuple[str, str]:
    """The rule that a value breaks, and the remedy."""
    value, context = detail["input"], detail.get("ctx", {})
    rule = detail["msg"].removeprefix("Value error, ")
    if detail["type"] not in _SENTENCES:
        return rule, str(context.get("remedy", "Correct the value."))
    rule, remedy = _SENTENCES[detail["type"]]
    facts = {
        **context,
        "field": field,
        "got": _called(value),
        "quoted": _quoted(value),
        "choices": str(context.get("expected", "")).replace("'", "").replace(" or ", ", "),
        "says": patterns.get(str(context.get("pattern")), f"must match {context.get('pattern')}"),
        "length": len(value) if isinstance(value, Sized) else 0,
    }
    return rule.format_map(facts), remedy


def _called(value: object) -> str:
    match value:
        case None | True | False:
            return "nothing" if value is None else str(value).lower()
        case str():
            return f"the text {_quoted(value)}"
        case int() | float():
            return f"the number {_shortened(str(value))}"
        case Mapping():
            return FIELDS
        case _:
            return LIST if isinstance(value, list | tuple) else "binary data"


def _quoted(value: object) -> str:
    return f'"{_shortened(value)}"' if isinstance(value, str) else _called(value)


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
