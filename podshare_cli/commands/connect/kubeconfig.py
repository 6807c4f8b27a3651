"""The context that ``connect`` writes into a kubeconfig: the text around it stays, with its comments and order.

kubectl itself would write the whole file again, without comments. Only what is new is inserted: an item in each of the
three lists, and the current context. The context carries, as an extension, what was in the place of what was replaced,
so that it can be put back.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from podshare_cli.failures import Failure

LISTS = ("clusters", "contexts", "users")
_CURRENT = "current-context"
_EXTENSION = "podshare.connect"
_SKELETON = "apiVersion: v1\nkind: Config\n"
_NEW = "new"  # the file was not there, or was empty
_SOME = Path("kubeconfig")


@dataclass(frozen=True)
class Context:
    """How one cluster is entered."""

    name: str
    endpoint: str
    authority: str  # base64 of the certificate of the cluster's own authority
    namespace: str
    command: tuple[str, ...]
    environment: Mapping[str, str]

    def items(self, former: Mapping[str, str]) -> dict[str, dict[str, Any]]:
        """The item of each list."""
        extension = {"name": _EXTENSION, "extension": {"former": json.dumps(dict(former), sort_keys=True)}}
        run: dict[str, Any] = {
            "apiVersion": "client.authentication.k8s.io/v1beta1",
            "command": self.command[0],
            "args": [*self.command[1:]],
            "interactiveMode": "IfAvailable",
            "provideClusterInfo": False,
        }
        if self.environment:
            run["env"] = [{"name": name, "value": value} for name, value in self.environment.items()]
        context = {"cluster": self.name, "namespace": self.namespace, "user": self.name, "extensions": [extension]}
        return {
            "clusters": {
                "name": self.name,
                "cluster": {"server": self.endpoint, "certificate-authority-data": self.authority},
            },
            "contexts": {"name": self.name, "context": context},
            "users": {"name": self.name, "user": {"exec": run}},
        }


def with_context(text: str | None, context: Context, path: Path = _SOME) -> str:
    """The file with the context, and with it as the current one.

    Raises Failure where somebody else has something of its name, or where the file is no kubeconfig.
    """
    known = former_of(text, context.name, path)
    text = without_context(text, context.name, path) if known is not None and text else text
    file = _File(text or "", path)
    for part in LISTS:
        if context.name in file.names(part):
            raise Failure(
                f"{path} has {part[:-1]} {context.name} already, and podshare did not write it.",
                f"Rename or delete it: kubectl config delete-{part[:-1]} {context.name}. Nothing was written.",
            )
    if not (text or "").strip():
        items = context.items({_NEW: text or ""})
        document = {"apiVersion": "v1", "kind": "Config", **{part: [items[part]] for part in LISTS}}
        return _dumped({**document, _CURRENT: context.name})
    former = {part: raw for part in LISTS if (raw := file.replaceable(part)) is not None}
    former[_CURRENT] = file.raw(_CURRENT)
    if not file.text.endswith("\n"):
        former["end"] = ""
    items = context.items(former)
    for part in LISTS:
        file.add(part, items[part])
    file.set(_CURRENT, context.name)
    return file.applied()


def without_context(text: str, name: str, path: Path = _SOME) -> str | None:
    """The file as it would be had the context never been written; None for one that it was alone in."""
    former = former_of(text, name, path)
    if former is None:
        return text
    file = _File(text, path)
    if _NEW in former and all(file.names(part) == [name] for part in LISTS):
        return former[_NEW] or None
    for part in LISTS:
        file.remove(part, name, former.get(part, "[]"))
    before = former.get(_CURRENT, '""')
    file.hand_down(name, before)
    if file.value(_CURRENT) == name:
        file.restore(_CURRENT, before if _names_one_of(before, file, name) else '""')
    restored = file.applied()
    return restored.removesuffix("\n") if "end" in former else restored


def _names_one_of(raw: str, file: "_File", gone: str) -> bool:
    """Whether the former current context is none, or one that is there."""
    value = _value(raw)
    return not value or (value != gone and value in file.names("contexts"))


def former_of(text: str | None, name: str, path: Path = _SOME) -> dict[str, str] | None:
    """What was in the place of what the context replaced; None if podshare wrote no context of this name.

    Raises Failure where the file is no kubeconfig.
    """
    return next((former for owner, former in _formers(_File(text or "", path).document) if owner == name), None)


def contexts_of(text: str | None, path: Path = _SOME) -> list[str]:
    """The names of the contexts that podshare wrote. Raises Failure where the file is no kubeconfig."""
    return [name for name, _ in _formers(_File(text or "", path).document)]


def _formers(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, str]]]:
    """What each context of podshare's has replaced, by the context's name."""
    for item in document.get("contexts") or ():
        context = item.get("context") or {} if isinstance(item, dict) else {}
        for extension in context.get("extensions") or ():
            if isinstance(extension, dict) and extension.get("name") == _EXTENSION:
                yield str(item.get("name")), json.loads(extension["extension"]["former"])


def _scalars(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    """Every single value in a node."""
    if isinstance(node, yaml.ScalarNode):
        yield node
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _scalars(item)
    elif isinstance(node, yaml.MappingNode):
        for _, value in node.value:
            yield from _scalars(value)


def _value(raw: str) -> Any:
    return yaml.safe_load(raw) if raw.strip() else None


def _dumped(value: Any) -> str:
    text: str = yaml.safe_dump(value, sort_keys=False, default_flow_style=False, width=10_000)
    return text


def not_read(message: str) -> Failure:
    """That kubectl reads no such kubeconfig: a context in it would not help."""
    return Failure(message, "Correct it, or name another file by KUBECONFIG. Nothing was written.")


def _problem(document: object) -> str:
    """Why a document is no kubeconfig, as far as that matters here; empty if it is one, or nothing at all."""
    if document is None:
        return ""
    if not isinstance(document, dict):
        return "it is no mapping"
    for field, expected in (("apiVersion", "v1"), ("kind", "Config")):
        if document.get(field) not in (None, "", expected):
            return f"its {field} is {document[field]!r} instead of {expected}"
    for part in LISTS:
        items = document.get(part) or []
        if not isinstance(items, list):
            return f"its {part} are no list"
        if not all(map(_is_named, items)):
            return f"its {part} have an item that is no {part[:-1]} with a name"
    return ""


def _is_named(item: object) -> bool:
    """Whether something of a list has what kubectl takes as its name."""
    return item is None or (isinstance(item, dict) and isinstance(item.get("name") or "", str))


class _File:
    """A kubeconfig's text, and edits of it by the places of its nodes."""

    def __init__(self, text: str, path: Path) -> None:
        self.text, self._path = text, path
        try:
            composed = yaml.compose(text, Loader=yaml.SafeLoader)
            document = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise not_read(f"{path} is no YAML: {' '.join(str(error).split())}") from None
        if problem := _problem(document):
            raise not_read(f"{path} is no kubeconfig: {problem}.")
        root = composed if isinstance(composed, yaml.MappingNode) else None
        self.document: dict[str, Any] = document or {}
        self._is_json = root is not None and bool(root.flow_style)
        self._nodes = {key.value: (key, value) for key, value in root.value} if root is not None else {}
        self._edits: list[tuple[int, int, str]] = []

    def names(self, part: str) -> list[str]:
        """The names in one of the lists."""
        return [str(item.get("name")) for item in self.document.get(part) or () if isinstance(item, dict)]

    def value(self, key: str) -> Any:
        return self.document.get(key)

    def raw(self, key: str) -> str:
        """A value as it is written, with all that is behind its key on the line; empty if there is no such key."""
        if key not in self._nodes:
            return ""
        start, end = self._span(key)
        return self.text[start:end] or " "

    def _span(self, key: str) -> tuple[int, int]:
        """From behind the colon of a key to the end of its value's last line."""
        name, value = self._nodes[key]
        start = self.text.index(":", name.end_mark.index) + 1
        return start, self._line_end(max(start, value.end_mark.index)) if not _is_block(value) else start

    def replaceable(self, part: str) -> str | None:
        """What stands for a list without lines of its own, such as ``[]``; None if it has some, empty if missing."""
        if part not in self._nodes or not _is_block(self._nodes[part][1]):
            return self.raw(part)
        return None

    def add(self, part: str, item: Mapping[str, Any]) -> None:
        """Add an item at the end of a list."""
        if self._is_json:
            self.document[part] = [*(self.document.get(part) or ()), item]
        elif part not in self._nodes:
            self._append(f"{part}:\n{_dumped([item])}")
        elif _is_block(self._nodes[part][1]):
            node = self._nodes[part][1]
            end = self._after(node.value[-1])
            self._edits.append((end, end, self._ended(end) + _indented([item], node.start_mark.column)))
        elif self.document.get(part):
            raise Failure(f"{self._path} has its {part} in one line.", "Write them line by line, then connect.")
        else:
            start, end = self._span(part)
            comment = self.text[start:end].partition("#")
            kept = f" #{comment[2]}" if comment[1] else ""
            self._edits.append((start, end, f"{kept}\n{_dumped([item])}".removesuffix("\n")))

    def remove(self, part: str, name: str, empty: str) -> None:
        """Remove an item; ``empty`` stands for the list if it was the only one."""
        if name not in self.names(part):
            return
        remaining = [item for item in self.document[part] if item.get("name") != name]
        if self._is_json:
            self.document[part] = remaining
            return
        key, node = self._nodes[part]
        if remaining or not _is_block(node):
            index = self.names(part).index(name)
            self._edits.append((self._dash(node, node.value[index]), self._after(node.value[index]), ""))
        elif not empty:
            self._edits.append((key.start_mark.index, self._after(node.value[-1]), ""))
        else:
            start = self.text.index(":", key.end_mark.index) + 1
            self._edits.append((start, self._after(node.value[-1]), f"{empty if empty != ' ' else ''}\n"))

    def set(self, key: str, value: str) -> None:
        """Set a single value."""
        self.document[key] = value
        if self._is_json:
            return
        if key in self._nodes:
            node = self._nodes[key][1]
            start, end = node.start_mark.index, node.end_mark.index
            blank = "" if start and self.text[start - 1] in " \t" else " "
            self._edits.append((start, end, blank + value))
        else:
            self._append(f"{key}: {value}\n")

    def hand_down(self, gone: str, before: str) -> None:
        """Let contexts that were written while ``gone`` was the current one restore what was the current one before."""
        for owner, former in _formers(self.document):
            if owner == gone or _value(former.get(_CURRENT, "")) != gone:
                continue
            was, becomes = (json.dumps(each, sort_keys=True) for each in (former, {**former, _CURRENT: before}))
            if self._is_json:
                self._replace_former(owner, becomes)
                continue
            for node in _scalars(self._nodes["contexts"][1]):
                if node.value == was:
                    text = _dumped(becomes).removesuffix("\n").removesuffix("\n...")
                    self._edits.append((node.start_mark.index, node.end_mark.index, text))

    def _replace_former(self, owner: str, text: str) -> None:
        for item in self.document["contexts"]:
            if item.get("name") == owner:
                for extension in item["context"]["extensions"]:
                    if extension.get("name") == _EXTENSION:
                        extension["extension"]["former"] = text

    def restore(self, key: str, raw: str) -> None:
        """Write a value as ``raw`` has it, or remove its line."""
        if self._is_json:
            self.document[key] = yaml.safe_load(raw) if raw.strip() else None
            if not raw:
                del self.document[key]
            return
        start, end = self._span(key)
        if raw:
            self._edits.append((start, end, raw if raw.startswith(" ") else f" {raw}"))
        else:
            self._edits.append((self._nodes[key][0].start_mark.index, min(end + 1, len(self.text)), ""))

    def applied(self) -> str:
        """The text with all edits."""
        if self._is_json:
            return json.dumps(self.document, indent=2) + "\n"
        text, added = self.text, ""
        for start, end, replacement in sorted(self._edits, key=lambda edit: edit[0], reverse=True):
            text = text[:start] + replacement + text[end:]
        return text + added

    def _append(self, lines: str) -> None:
        end = len(self.text)
        before = [edit for edit in self._edits if edit[0] == end and edit[1] == end]
        if before:  # one after the other, at the same place
            self._edits.remove(before[0])
            self._edits.append((end, end, before[0][2] + lines))
        else:
            self._edits.append((end, end, self._ended(end) + lines))

    def _ended(self, at: int) -> str:
        """What ends the line before a place."""
        return "" if at == 0 or self.text[at - 1] == "\n" else "\n"

    def _line_end(self, at: int) -> int:
        end = self.text.find("\n", at)
        return len(self.text) if end < 0 else end

    def _after(self, item: yaml.Node) -> int:
        """Behind the last line of an item: its node ends where the next one begins, after comments and blank lines."""
        last = len(self.text[: _last(item).end_mark.index].rstrip())
        return min(self._line_end(last) + 1, len(self.text))

    def _dash(self, node: yaml.Node, item: yaml.Node) -> int:
        """The beginning of the line with the dash of an item."""
        line, column = item.start_mark.line, node.start_mark.column
        starts = [0, *(number + 1 for number, character in enumerate(self.text) if character == "\n")]
        while self.text[starts[line] + column] != "-":
            line -= 1
        return starts[line]


def _is_block(node: yaml.Node) -> bool:
    return isinstance(node, yaml.SequenceNode) and not node.flow_style


def _last(node: yaml.Node) -> yaml.Node:
    """The node that ends a node's last line of its own."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style and node.value:
        return _last(node.value[-1][1])
    if _is_block(node) and node.value:
        return _last(node.value[-1])
    return node


def _indented(items: Iterable[Mapping[str, Any]], column: int) -> str:
    return "".join(f"{' ' * column}{line}\n" for line in _dumped([*items]).splitlines())
