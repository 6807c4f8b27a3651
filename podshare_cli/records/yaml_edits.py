"""Changing a record in a YAML text, and nothing else of the text: comments, order and spelling stay.

Only the lines of what differs are written again. Where that would not say what the record says, as with aliases, its
whole document is.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

import yaml

from podshare.registry.items import SIGNATURE
from podshare_cli.records.changes import Item, content
from podshare_cli.records.documents import dumped, to_yaml
from podshare_cli.records.strict_yaml import Document, NotReadableError, documents


@dataclass(frozen=True)
class _Edit:
    """Characters of a text, and what replaces them."""

    start: int
    end: int
    text: str


def with_record(text: str, item: Mapping[str, Any]) -> str:
    """The text with its document of the record's id changed to what ``item`` says; unchanged if it says that."""
    before = list(documents(text))
    place = next(number for number, document in enumerate(before) if _id(document) == item["id"])
    target = [_meaning(item if number == place else document.value) for number, document in enumerate(before)]
    node, old = before[place].node, before[place].value
    if _meaning(old) == target[place]:
        return text
    new = {name: value for name, value in target[place].items() if name in old or name != "schema"}
    for edits in (_mapping(text, node, old, new), [_whole(text, node, item)]):
        edited = _applied(text, edits)
        if _meanings(edited) == target:
            return edited
    return "---\n".join(to_yaml(value) for value in target)


def _id(document: Document) -> object:
    return document.value.get("id") if isinstance(document.value, Mapping) else None


def _meaning(value: Any) -> Any:
    return content(value) if isinstance(value, Mapping) else value


def _meanings(text: str) -> list[Any]:
    try:
        return [_meaning(document.value) for document in documents(text)]
    except NotReadableError:
        return []


def _applied(text: str, edits: Iterator[_Edit] | Sequence[_Edit]) -> str:
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end), reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def _whole(text: str, node: yaml.Node, item: Mapping[str, Any]) -> _Edit:
    return _Edit(node.start_mark.index, _end(text, node), to_yaml(item).rstrip("\n"))


def _mapping(text: str, node: yaml.Node, old: Item, new: Item) -> Iterator[_Edit]:
    """What changes the fields of a block mapping; of one in braces the result would not be readable."""
    column = node.start_mark.column
    for key, value in node.value:
        name = key.value
        if name not in new and name not in SIGNATURE:
            yield _Edit(_line_start(text, key.start_mark.index), _line_end(text, _end(text, value)), "")
        elif name in new and old[name] != new[name]:
            yield from _field(text, key, value, old[name], new[name])
    added = {name: value for name, value in new.items() if name not in old}
    if added:
        end = _line_end(text, _end(text, node))
        yield _Edit(end, end, _on_new_line(text, end, _indented(dumped(added), column)))


def _field(text: str, key: yaml.Node, node: yaml.Node, old: Any, new: Any) -> Iterator[_Edit]:
    if _is_block(node, yaml.MappingNode) and isinstance(new, Mapping) and new:
        yield from _mapping(text, node, old, dict(new))
    elif _is_block(node, yaml.SequenceNode) and isinstance(new, list) and new:
        yield from _sequence(text, node, old, new)
    else:
        lines = _indented(dumped({key.value: new}), key.start_mark.column)
        yield _Edit(key.start_mark.index, _end(text, node), lines.strip())


def _sequence(text: str, node: yaml.Node, old: Sequence[Any], new: Sequence[Any]) -> Iterator[_Edit]:
    """What changes the lines of a block sequence: those that both have stay."""
    matcher = SequenceMatcher(None, [*map(_spelled, old)], [*map(_spelled, new)], autojunk=False)
    for operation, first, last, new_first, new_last in matcher.get_opcodes():
        if operation == "replace" and last - first == new_last - new_first:
            for number, value in zip(range(first, last), new[new_first:new_last], strict=True):
                yield from _element(text, node, number, old[number], value)
        elif operation != "equal":
            for gone in node.value[first:last]:
                yield _Edit(_line_start(text, gone.start_mark.index), _line_end(text, _end(text, gone)), "")
            at = (
                _line_start(text, node.value[first].start_mark.index)
                if first < len(old)
                else _line_end(text, _end(text, node))
            )
            lines = "".join(_item_lines(value, node.start_mark.column) for value in new[new_first:new_last])
            yield from [_Edit(at, at, _on_new_line(text, at, lines))] if lines else []


def _element(text: str, node: yaml.Node, number: int, old: Any, new: Any) -> Iterator[_Edit]:
    element = node.value[number]
    if _is_block(element, yaml.MappingNode) and isinstance(new, Mapping) and new:
        yield from _mapping(text, element, old, dict(new))
    else:
        start = _line_start(text, element.start_mark.index)
        yield _Edit(start, _end(text, element), _item_lines(new, node.start_mark.column).rstrip("\n"))


def _item_lines(value: Any, column: int) -> str:
    lines = _indented(dumped(value), column + 2)
    return f"{' ' * column}- {lines.lstrip(' ')}"


def _is_block(node: yaml.Node, kind: type[yaml.CollectionNode]) -> bool:
    return isinstance(node, kind) and not node.flow_style and bool(node.value)


def _spelled(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _indented(text: str, column: int) -> str:
    return "".join(f"{' ' * column}{line}" for line in text.splitlines(keepends=True))


def _on_new_line(text: str, at: int, lines: str) -> str:
    return lines if at == 0 or text[at - 1] == "\n" else f"\n{lines}"


def _end(text: str, node: yaml.Node) -> int:
    """Where what a node says ends: PyYAML counts the comments and blank lines behind a block to it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(text, last[1] if isinstance(last, tuple) else last)
    end = int(node.end_mark.index)
    if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):  # it ends where the next line begins
        return len(text[:end].rstrip())
    return end


def _line_start(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1


def _line_end(text: str, at: int) -> int:
    """Behind the line that ``at`` is in, or right behind which it is."""
    if at and text[at - 1] == "\n":
        return at
    end = text.find("\n", at)
    return len(text) if end < 0 else end + 1
