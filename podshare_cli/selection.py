"""What is printed of a JSON document: its fields (``--json=FIELDS``), and what ``--query`` or ``--jq`` selects of it.

An expression is compiled before the command runs, so that a wrong one has no effect. Whether fields exist, and whether
an expression fits, only the document shows: the command has done its work by then.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from podshare_cli.failures import Failure, exclusive, invalid

Printed = Callable[[Any], Iterator[str]]
"""The texts that are printed of a document."""
Fields = dict[str, "Fields"]
"""Names of fields, each with those that are kept in it; without any, all of it is kept."""


def printed_by(fields: str, query: str | None, jq: str | None) -> Printed:
    """What prints a document. Raises Failure (exit code 64) for an expression that is wrong by itself."""
    exclusive(("--query", query), ("--jq", jq))
    kept = _fields(fields)
    results = _of_query(query) if query else _of_jq(jq) if jq else _of_document
    return lambda document: results(selected(document, kept))


def _of_document(document: Any) -> Iterator[str]:
    yield json.dumps(document, indent=2)


def _of_query(query: str) -> Printed:
    import jmespath  # type: ignore[import-untyped]  # it has no types; it is seldom needed

    language = "See https://jmespath.org for the language."
    try:
        compiled = jmespath.compile(query)
    except jmespath.exceptions.JMESPathError as error:
        raise invalid(f"--query: {_line(error)}", language) from None

    def results(document: Any) -> Iterator[str]:
        try:
            yield from _of_document(compiled.search(document))
        except jmespath.exceptions.JMESPathError as error:
            raise Failure(f"--query: {_line(error)}", language) from None

    return results


def _of_jq(expression: str) -> Printed:
    """Each result on a line of its own: a string as it is, anything else as JSON."""
    try:
        import jq  # type: ignore[import-not-found, import-untyped, unused-ignore]  # optional, and without types
    except ImportError:
        raise invalid("--jq needs the library jq: pip install 'podshare[jq]'") from None

    language = "See https://jqlang.org/manual for the language."
    try:
        compiled = jq.compile(expression)
    except ValueError as error:
        raise invalid(f"--jq: {_line(error)}", language) from None

    def results(document: Any) -> Iterator[str]:
        try:
            for result in compiled.input_text(json.dumps(document)):
                yield result if isinstance(result, str) else json.dumps(result)
        except ValueError as error:
            raise Failure(f"--jq: {_line(error)}", language) from None

    return results


def _line(error: Exception) -> str:
    """An error's message in a line, without what its library begins and ends with."""
    return " ".join(str(error).split()).removeprefix("jq: error: ").removesuffix(" jq: 1 compile error")


def _fields(text: str) -> Fields:
    fields: Fields = {}
    for path in filter(None, text.split(",")):
        at = fields
        for name in path.strip().split("."):
            at = at.setdefault(name, {})
    return fields


def selected(document: Any, fields: Fields) -> Any:
    """A document with only these fields of its object, or of each object of its list.

    Raises Failure for a field that none of the objects has.
    """
    _require([document], fields, "")
    return _kept(document, fields)


def _kept(value: Any, fields: Fields) -> Any:
    if isinstance(value, list):
        return [_kept(each, fields) for each in value]
    if not (fields and isinstance(value, dict)):
        return value
    return {name: _kept(value[name], inner) for name, inner in fields.items() if name in value}


def _require(values: Sequence[Any], fields: Fields, path: str) -> None:
    """Refuse a field that no object among the values has; without objects, nothing is known about their fields."""
    parts = [*_without_lists(values)]
    objects = [value for value in parts if isinstance(value, dict)]
    known = dict.fromkeys(name for value in objects for name in value)
    for name, inner in fields.items():
        if parts and name not in known:
            raise _unknown(path, name, known)
        _require([value[name] for value in objects if name in value], inner, f"{path}{name}.")


def _without_lists(values: Sequence[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list):
            yield from _without_lists(value)
        elif value is not None:
            yield value


def _unknown(path: str, name: str, known: Iterable[str]) -> Failure:
    from podshare.registry.wording import closest  # it imports pydantic

    likely = closest(name, known)
    meant = f" Did you mean {path}{likely}?" if likely else ""
    listed = ", ".join(f"{path}{each}" for each in known)
    return Failure(f"--json: no field {path}{name}.{meant}", f"Fields: {listed}" if listed else "There are no fields.")
