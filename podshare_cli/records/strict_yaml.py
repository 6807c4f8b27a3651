"""YAML read strictly: every value with its place, numbers as plain decimals, and no more than a record can hold.

YAML 1.1, as PyYAML reads it, makes 8 of ``010``, 90 of ``1:30``, 16 of ``0x10``, and a moment without an offset one of
some zone: all of these stay the texts that are there, and the rules of records judge them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from podshare.registry.items import DEEPEST

MOST_CHARACTERS = 400_000  # an item has at most 400 KB (DynamoDB quotas)
_TAG = "tag:yaml.org,2002:"
_INTEGER = r"-?(0|[1-9][0-9]{0,10})"  # an account id has one digit more, and stays text


@dataclass(frozen=True)
class Mark:
    """A line and a column, both counted from 1."""

    line: int
    column: int


@dataclass
class Document:
    """A document's value; where each of its fields and values begins, by its path in dots; and each plain scalar."""

    node: yaml.Node
    value: Any = None
    fields: dict[str, Mark] = field(default_factory=dict)
    values: dict[str, Mark] = field(default_factory=dict)
    unquoted: dict[str, str] = field(default_factory=dict)

    def place(self, path: str, *, of_field: bool = False) -> Mark:
        """Where a value begins, or its field; of what is not there, where that begins which should hold it."""
        marks = self.fields if of_field else self.values
        while path and path not in marks:
            path = path.rpartition(".")[0]
        return marks.get(path) or self.values[""]


class NotReadableError(Exception):
    """A text that is no YAML, or is more than a record can be."""

    def __init__(self, mark: Mark, rule: str, remedy: str, path: str = "YAML") -> None:
        super().__init__(rule)
        self.mark, self.rule, self.remedy, self.path = mark, rule, remedy, path


def documents(text: str) -> Iterator[Document]:
    """The documents of a text, without those in which nothing stands. Raises NotReadableError."""
    try:
        loader = _Loader(text)
    except yaml.reader.ReaderError as error:
        raise _unprintable(text, error) from None
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is not None and node.tag != f"{_TAG}null":
                document = Document(node)
                document.value = _value(loader, document, node, "")
                yield document
    except yaml.YAMLError as error:
        raise _explained(text, error, in_flow=bool(loader.flow_level)) from None
    finally:
        loader.dispose()


class _Loader(yaml.SafeLoader):
    """Nodes whose aliases are measured before anything is expanded."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  # PyYAML's stubs call it an instance's

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._extents: dict[int, tuple[int, int]] = {}  # characters and levels of each node, by its id

    def compose_document(self) -> yaml.Node | None:
        self._extents = {}  # nodes of another document may come to have the same ids
        return super().compose_document()

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        mark, tag = _mark(event.start_mark), getattr(event, "tag", None)
        if tag not in (None, "!"):
            raise NotReadableError(mark, f"the tag {tag} is not read", "Remove it, or put text in quotes.")
        if self._depth > DEEPEST:
            raise NotReadableError(mark, f"nests deeper than {DEEPEST} levels", "No record does.")
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        if not isinstance(event, yaml.AliasEvent):
            self._extents[id(node)] = self._measured(node)
        elif id(node) not in self._extents:
            raise NotReadableError(mark, f"the alias *{event.anchor} stands within itself", "Write its value out.")
        characters, levels = self._extents[id(node)]
        if characters > MOST_CHARACTERS:
            rule = f"has more than {MOST_CHARACTERS:,} characters, its aliases expanded"
            raise NotReadableError(mark, rule, "No record can have as many.")
        if self._depth + levels > DEEPEST + 1:
            raise NotReadableError(mark, f"nests deeper than {DEEPEST} levels, its aliases expanded", "No record does.")
        return node

    def scan_to_next_token(self) -> None:
        """In brackets tabs are white space, as they are in JSON, which PyYAML would refuse."""
        super().scan_to_next_token()
        while self.flow_level and self.peek() == "\t":
            self.forward()
            super().scan_to_next_token()

    def _measured(self, node: yaml.Node | None) -> tuple[int, int]:
        if not isinstance(node, yaml.CollectionNode):
            return len(node.value) + 1 if node else 1, 0
        pairs = isinstance(node, yaml.MappingNode)
        children = [child for pair in node.value for child in pair] if pairs else node.value
        extents = [self._extents[id(child)] for child in children]
        return 1 + sum(size for size, _ in extents), 1 + max((levels for _, levels in extents), default=0)


for _name, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", _INTEGER, "-0123456789"),
    ("float", rf"{_INTEGER}\.[0-9]{{1,10}}", "-0123456789"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", "<"),
):
    _Loader.add_implicit_resolver(f"{_TAG}{_name}", re.compile(f"^(?:{_pattern})$"), [*_first])


def _value(loader: _Loader, document: Document, node: yaml.Node, path: str) -> Any:
    """The value of a node; its place and those of all that is in it are written down."""
    document.values[path] = _mark(node.start_mark)
    if isinstance(node, yaml.MappingNode):
        return _mapping(loader, document, node, path)
    if isinstance(node, yaml.SequenceNode):
        return [_value(loader, document, item, _inside(path, row)) for row, item in enumerate(node.value)]
    if isinstance(node, yaml.ScalarNode) and node.style is None:
        document.unquoted[path] = node.value
    return _scalar(node)


def _scalar(node: yaml.Node) -> Any:
    match node.tag.removeprefix(_TAG):
        case "bool":
            return node.value.lower() == "true"
        case "int":
            return int(node.value)
        case "float":
            return float(node.value)
        case "null":
            return None
        case _:
            return _whole_characters(node)


def _mapping(loader: _Loader, document: Document, node: yaml.MappingNode, path: str) -> dict[str, Any]:
    _refuse_twice(node, path)
    loader.flatten_mapping(node)
    mapping: dict[str, Any] = {}
    for key, value in node.value:
        inside = _inside(path, key.value)
        document.fields[inside] = _mark(key.start_mark)
        mapping[key.value] = _value(loader, document, value, inside)
    return mapping


def _refuse_twice(node: yaml.MappingNode, path: str) -> None:
    """PyYAML would keep the last one in silence, which may be the one that was forgotten."""
    seen: dict[str, Mark] = {}
    for key, _ in node.value:
        mark = _mark(key.start_mark)
        if not isinstance(key, yaml.ScalarNode):
            raise NotReadableError(mark, "a field's name is text", "Write NAME: VALUE.", _inside(path, ""))
        if key.value in seen:
            rule = f"is written twice, first in line {seen[key.value].line}"
            raise NotReadableError(mark, rule, "Keep one of them.", _inside(path, key.value))
        seen[key.value] = mark


def _whole_characters(node: yaml.Node) -> str:
    """JSON escapes a character beyond the first 65,536 as two halves."""
    text = str(node.value)
    try:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        rule = "has half a character, a surrogate without the other one"
        raise NotReadableError(_mark(node.start_mark), rule, "Write the character itself.") from None


def _inside(path: str, step: str | int) -> str:
    return f"{path}.{step}" if path else str(step)


def _mark(mark: yaml.Mark) -> Mark:
    return Mark(mark.line + 1, mark.column + 1)


def _unprintable(text: str, error: yaml.reader.ReaderError) -> NotReadableError:
    before = text[: error.position]
    mark = Mark(before.count("\n") + 1, len(before) - before.rfind("\n"))
    return NotReadableError(
        mark, f"the character U+{ord(text[error.position]):04X} is not allowed in it", "Take it out."
    )


def _explained(text: str, error: yaml.YAMLError, *, in_flow: bool) -> NotReadableError:
    tab = re.search(r"^ *(\t)\s*\S", text, re.MULTILINE)
    if tab and not in_flow:
        line = text.count("\n", 0, tab.start()) + 1
        mark = Mark(line, tab.start(1) - tab.start() + 1)
        return NotReadableError(mark, f"tabs cannot indent YAML, line {line}", "Indent with spaces.")
    at = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    message = " ".join(filter(None, (getattr(error, "context", ""), getattr(error, "problem", ""))))
    return NotReadableError(_mark(at) if at else Mark(1, 1), message or str(error), "Fix the text before it.")
