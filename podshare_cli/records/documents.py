"""Registry records in YAML files: read and checked as a whole, before anything is written."""

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from podshare.registry.items import SIGNATURE, kind_of
from podshare.registry.parsing import MODELS, problems_of
from podshare.registry.problems import Problem
from podshare.registry.sentences import ABSENT, UNKNOWN_FIELD, counted
from podshare.registry.wording import closest
from podshare_cli.failures import invalid
from podshare_cli.records.strict_yaml import Document, Mark, NotReadableError, documents

Item = dict[str, Any]
LocatedProblem = dict[str, Any]
WRITING_ORDER = ("cluster", "dataset", "enrollment", "team")  # what is referred to comes first
STDIN = "-"
_EXAMPLE_NAMES = {"team": "vision", "cluster": "main", "dataset": "imagenet", "enrollment": "science"}
_ACCOUNT_ID = re.compile(r"[0-9]{12}")
_OF_ACCOUNTS = re.compile(r"(.+\.)?(account|exclude_accounts\.[0-9]+)")


@dataclass(frozen=True)
class Written:
    """A record, in the file in which it stands."""

    file: str
    document: Document

    @property
    def item(self) -> Item:
        """The record's fields."""
        return dict(self.document.value)

    def located(self, problem: Problem) -> LocatedProblem:
        """A problem of the record, with its place."""
        at = self.document.place(problem.field, of_field=problem.rule == UNKNOWN_FIELD)
        return _at_mark(problem, self.file, at)


@dataclass(frozen=True)
class Read:
    """The records of some files, in the order in which they are to be written."""

    written: dict[str, Written] = field(default_factory=dict)

    @property
    def items(self) -> list[Item]:
        """The records' fields."""
        items = (written.item for written in self.written.values())
        return sorted(items, key=lambda item: WRITING_ORDER.index(kind_of(item)))

    def located(self, problems: Iterable[Problem]) -> list[LocatedProblem]:
        """Problems of these records, with their places."""
        return [self.written[problem.record].located(problem) for problem in problems]


def read_records(files: Sequence[str], kinds: Iterable[str]) -> Read:
    """The records of all files; ``-`` is standard input. A file without any is nothing to do, which is said.

    Raises Failure (exit code 64) with every problem of every record, and for records of other kinds than ``kinds``.
    """
    read, problems = check_records(files, kinds)
    if problems:
        many = counted(len(problems), "problem")
        raise invalid(f"{many} in {', '.join(map(_shown, files))}; nothing was written", problems=problems)
    return read


def check_records(files: Sequence[str], kinds: Iterable[str]) -> tuple[Read, list[LocatedProblem]]:
    """The valid records of all files, and every problem of the others. A directory is read with all below it.

    A file that is named twice, or by itself and with its directory, is read once.

    Raises Failure (exit code 64) for a file that is not there.
    """
    allowed = tuple(kinds)
    problems: list[LocatedProblem] = []
    read = Read()
    for written in _written(_each_once(path for file in files for path in _files_of(file)), problems):
        record_problems = [*_problems(written, allowed, read)]
        problems += map(written.located, record_problems)
        if not record_problems:
            read.written[written.item["id"]] = written
    return read, problems


def to_yaml(item: Mapping[str, Any]) -> str:
    """A record as a person would write it, to be edited and put again."""
    own = {name: value for name, value in item.items() if name not in ("id", "schema", *SIGNATURE)}
    ordered = {"id": item["id"], "schema": item.get("schema", 1), **own}
    return dumped(ordered)


def dumped(value: Any) -> str:
    """A value as YAML, its fields in their order."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True).removesuffix("...\n")


class _Dumper(yaml.SafeDumper):
    """Quotes what consists of digits: to many YAML readers an account id would be a number without its zeros."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", text, style='"' if text.isdigit() else None)


_Dumper.add_representer(str, _Dumper.represent_text)


def _written(files: Sequence[str], problems: list[LocatedProblem]) -> Iterator[Written]:
    """What is in the files; what is wrong with a whole file is added to ``problems``."""
    for file in files:
        shown, is_empty = _shown(file), True
        try:
            for document in documents(_text(file)):
                is_empty = False
                yield Written(shown, document)
        except NotReadableError as error:
            problem = Problem(shown, error.path, ABSENT, error.rule, error.remedy)
            problems.append(_at_mark(problem, shown, error.mark))
        else:
            if is_empty:
                _report_empty(file)


def _each_once(paths: Iterable[str]) -> list[str]:
    each: dict[str, str] = {}
    for path in paths:
        each.setdefault(path if path == STDIN else str(Path(path).resolve()), path)
    return [*each.values()]


def _report_empty(file: str) -> None:
    from podshare_cli.output import say  # seldom needed

    if file == STDIN:  # most likely the command before it in the pipe has failed
        raise invalid("Standard input is empty.", "Check the command that writes to the pipe.")
    say(f"{file} contains no records: nothing to do.")


def _files_of(file: str) -> list[str]:
    """The file, or the YAML files of a directory and of all below it, without hidden ones."""
    folder = Path(file)
    if file == STDIN or not folder.is_dir():
        return [file]
    paths = yaml_files(folder)
    if not paths:
        _report_empty(file)
    return [str(path) for path in paths]


def yaml_files(folder: Path) -> list[Path]:
    """The YAML files of a directory and of all below it, without hidden ones.

    Raises Failure (exit code 64) for what cannot be read, or is a link to a directory or to nothing: what is passed
    over would look as if its records were gone.
    """
    paths = list[Path]()
    if not folder.is_dir():
        return paths
    for place, folders, files in os.walk(folder, onerror=_refuse_unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (Path(place) / name for name in (*folders, *files) if not name.startswith(".")):
            is_yaml = path.suffix in (".yaml", ".yml")
            if path.is_symlink() and (path.is_dir() or (is_yaml and not path.exists())):
                raise invalid(f"{path} is a link to {_target(path)}.", "Name the directory itself, or remove the link.")
            if is_yaml and path.is_file():
                paths.append(path)
    return sorted(paths)


def _refuse_unreadable(error: OSError) -> None:
    raise invalid(f"{error.filename} cannot be read: {error.strerror}", "Everything below a directory has to be read.")


def _target(path: Path) -> str:
    return "a directory, which is not followed" if path.is_dir() else "nothing"


def _text(file: str) -> str:
    try:
        return sys.stdin.read() if file == STDIN else Path(file).read_text(encoding="utf-8")
    except FileNotFoundError as error:  # most likely a mistyped path
        raise invalid(f"{file} cannot be read: {error.strerror}") from None
    except OSError as error:
        rule = f"cannot be read: {error.strerror}"
        raise NotReadableError(Mark(1, 1), rule, "Let whoever runs this read the file.", "file") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise NotReadableError(Mark(line, 1), "is not text in UTF-8", "Save the file as UTF-8.", "file") from None


def _shown(file: str) -> str:
    return "standard input" if file == STDIN else file


def _at_mark(problem: Problem, file: str, mark: Mark) -> LocatedProblem:
    return {**problem.as_dict(), "file": file, "line": mark.line, "column": mark.column}


def _problems(written: Written, kinds: tuple[str, ...], read: Read) -> Iterator[Problem]:
    record = written.document.value
    if not isinstance(record, dict):
        remedy = f"Write fields, such as `id: {_example_id(kinds)}` first."
        yield Problem(written.file, "record", ABSENT, f"is {_described(record)}, not fields with values", remedy)
        return
    if refused := _refused_id(record, written.file, kinds):
        yield refused
        return
    if other := read.written.get(record["id"]):
        rule = f"{record['id']} is also in {other.file}, line {other.document.place('id').line}"
        yield Problem(record["id"], "id", record["id"], rule, "Keep one of the records.")
    yield from _unquoted_accounts(record["id"], written.document)
    yield from problems_of(record)


def _refused_id(record: Item, file: str, kinds: tuple[str, ...]) -> Problem | None:
    """What is wrong with an id before the rest of the record counts."""
    record_id, likely = record.get("id"), _likely_kind(record, kinds)
    remedy = f"Write KIND#NAME, such as {_example_id((likely,) if likely else kinds)}."
    if "id" not in record:
        return Problem(file, "id", ABSENT, "is missing: each record needs an id", remedy)
    if not isinstance(record_id, str):
        return Problem(file, "id", ABSENT, f"is {_described(record_id)}, not the id of a record", remedy)
    kind, hash_sign, name = record_id.partition("#")
    if not hash_sign:
        remedy = f"Did you mean {likely}#{record_id}?" if likely else remedy
        return Problem(file, "id", record_id, "has no kind: an id is KIND#NAME", remedy)
    if kind in kinds:
        return None
    close = closest(kind, kinds)
    names = " or ".join(f"{kind}#NAME" for kind in kinds)
    remedy = f"Did you mean {close}#{name}?" if close else f"Use {names}."
    rule = "cannot be written by this command" if kind in MODELS else f'"{kind}" is no kind of record'
    return Problem(record_id, "id", record_id, rule, remedy)


def _likely_kind(record: Item, kinds: tuple[str, ...]) -> str:
    """The kind of record that has most of these fields; empty where several have as many."""
    known = {kind: len(record.keys() & MODELS[kind].model_fields.keys()) for kind in kinds}
    most = [kind for kind, number in known.items() if number == max(known.values())]
    return most[0] if len(most) == 1 else ""


def _example_id(kinds: tuple[str, ...]) -> str:
    kind = "team" if "team" in kinds else kinds[0]
    return f"{kind}#{_EXAMPLE_NAMES.get(kind, 'NAME')}"


def _described(value: object) -> str:
    """What a value is that should be something else."""
    match value:
        case None:
            return "empty"
        case list():
            return "a list"
        case dict():
            return "fields with values"
        case str():
            return f'the text "{value}"'
        case _:
            return f"the value {value}"


def _unquoted_accounts(record: str, document: Document) -> Iterator[Problem]:
    for path, text in document.unquoted.items():
        if _ACCOUNT_ID.fullmatch(text) and _OF_ACCOUNTS.fullmatch(path):
            octal = re.fullmatch(r"0[0-7]+", text)
            rule = f"account ids belong in quotes: YAML readers take {text} for {'an octal' if octal else 'a'} number"
            yield Problem(record, path, text, rule, f'Write "{text}".')
