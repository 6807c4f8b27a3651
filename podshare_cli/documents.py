"""Registry records in YAML files: read and checked as a whole, before anything is written."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from podshare.domain.records import InvalidRecord, Problem, parse
from podshare_cli.failures import invalid

Item = dict[str, Any]
WRITING_ORDER = ("cluster", "dataset", "enrollment", "team")  # what is referred to comes first
STDIN = "-"


class _StrictLoader(yaml.SafeLoader):
    """YAML in which a field that is written twice is an error, and a moment is the text that stands there.

    PyYAML would keep the last one in silence, and make a moment without an offset one of some zone.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012  # PyYAML's stubs call it an instance's
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                problem = f"found {key.value!r} twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_records(files: Sequence[str], kinds: Iterable[str]) -> list[Item]:
    """The records of all files, in the order in which they are to be written; ``-`` is standard input.

    Raises Failure (exit code 2) with every problem of every record, and for records of other kinds than ``kinds``.
    """
    allowed = tuple(kinds)
    problems: list[Problem] = []
    items: dict[str, Item] = {}
    for where, document in _documents(files):
        found = list(_problems(where, document, allowed))
        if not found and document["id"] in items:
            found = [Problem(document["id"], "id", document["id"], "is written twice", "Keep one of the records.")]
        problems += found
        if not found:
            items[document["id"]] = document
    if problems:
        many = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        told = [problem.as_dict() for problem in problems]
        raise invalid(f"{many} in {', '.join(map(_shown, files))}; nothing was written", problems=told)
    if not items:
        raise invalid(f"There are no records in {', '.join(map(_shown, files))}.")
    return sorted(items.values(), key=lambda item: WRITING_ORDER.index(kind_of(item)))


def to_yaml(item: Mapping[str, Any]) -> str:
    """A record as a person would write it, to be edited and put again."""
    own = {name: value for name, value in item.items() if name not in ("id", "schema", "changed_by")}
    ordered = {"id": item["id"], "schema": item.get("schema", 1), **own}
    return yaml.safe_dump(ordered, sort_keys=False, allow_unicode=True)


def kind_of(item: Mapping[str, Any]) -> str:
    """The kind of a record, such as ``team``."""
    return str(item["id"]).partition("#")[0]


def name_of(item: Mapping[str, Any]) -> str:
    """The name of a record, such as ``vision``."""
    return str(item["id"]).partition("#")[2]


def _documents(files: Sequence[str]) -> Iterator[tuple[str, Any]]:
    for file in files:
        try:
            documents = list(yaml.load_all(_text(file), Loader=_StrictLoader))  # it is a SafeLoader
        except yaml.YAMLError as error:
            raise invalid(f"{_shown(file)} is not YAML: {error}") from None
        for number, document in enumerate(documents, 1):
            if document is not None:
                yield f"{_shown(file)}, document {number}", document


def _text(file: str) -> str:
    try:
        return sys.stdin.read() if file == STDIN else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise invalid(f"{file} cannot be read: {error}") from None


def _shown(file: str) -> str:
    return "standard input" if file == STDIN else file


def _problems(where: str, document: Any, kinds: tuple[str, ...]) -> Iterator[Problem]:
    if not isinstance(document, dict):
        yield Problem(where, "record", repr(document)[:80], "is no record", "Write fields, `id` first.")
        return
    if not isinstance(document.get("id"), str):
        yield Problem(where, "id", repr(document.get("id")), "is no record's id", f"Use {kinds[-1]}#<name>.")
        return
    if kind_of(document) not in kinds:
        names = " or ".join(f"{kind}#<name>" for kind in kinds)
        yield Problem(document["id"], "id", document["id"], "cannot be written by this command", f"Use {names}.")
        return
    try:
        parse(document)
    except InvalidRecord as error:
        yield from error.problems
