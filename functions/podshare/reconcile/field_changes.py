"""What changes within a resource, so that a person can read it: documents as what is added to them and removed.

A plan's own differences are bounded, for they are in a state's input; these are a dry run's, and whole.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from podshare.kinds.base import Key, Resource
from podshare.kinds.observation import Observation

_EFFECT, _SID = "Effect", "Sid"
LONGEST = 60  # characters of a value that is shown in a line: of a longer one with parts, each part has its own
# what identifies the elements of a list
_NAMES = ("name", "cluster", "account", "dataset", "instance_type", "InstanceType")
_ELEMENTS = (_SID, _EFFECT, "Principal", "Action", "Resource", "Condition")  # in the order in which they are read


@dataclass(frozen=True, slots=True)
class FieldChange:
    """What is removed from and added to a field; a field with one value has the old one and the new one.

    ``field`` leads to it, through mappings and statements by their names.
    """

    field: str
    removed: tuple[str, ...]
    added: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """In plain JSON."""
        return asdict(self)


def changed_resources(
    keys: Iterable[Key], desired: Mapping[Key, Resource], observed: Mapping[Key, Observation]
) -> dict[str, list[dict[str, Any]]]:
    """The changed fields of those of ``keys`` that are there and stay, and all fields of those that come, by key."""
    both = ((key, observed.get(key), desired.get(key)) for key in dict.fromkeys(keys))
    return {
        str(key): [change.as_dict() for change in changed_fields(old.facts() if old else {}, new.facts())]
        for key, old, new in both
        if (old is None or isinstance(old, Resource)) and new
    }


def changed_fields(old: Mapping[str, Any], new: Mapping[str, Any], path: str = "") -> Iterator[FieldChange]:
    """What differs between two mappings in plain JSON, part by part."""
    for name in sorted(old.keys() | new.keys()):
        yield from _changed(f"{path}{name}", old.get(name), new.get(name))


def _changed(path: str, old: Any, new: Any) -> Iterator[FieldChange]:
    if old == new:
        return
    if _all_are(Mapping, old, new):
        yield from changed_fields(old or {}, new or {}, f"{path}.")
    elif _all_are(list, old, new) and any(map(_is_statement, (*(old or ()), *(new or ())))):
        yield from _changed_statements(path, old or (), new or ())
    elif _all_are(list, old, new):
        yield from _changed_elements(path, old or (), new or ())
    else:
        yield FieldChange(path, _values(old), _values(new))


def _all_are(kind: type, old: Any, new: Any) -> bool:
    return all(value is None or isinstance(value, kind) for value in (old, new))


def _is_statement(value: Any) -> bool:
    return isinstance(value, Mapping) and _EFFECT in value


def _changed_elements(path: str, old: Sequence[Any], new: Sequence[Any]) -> Iterator[FieldChange]:
    """What changes in elements of the same name; others go and come: in a line each, or part by part."""
    name = next((name for name in _NAMES if _is_unique(name, old) and _is_unique(name, new)), None)
    if name is None:
        yield FieldChange(path, *(tuple(map(_text, values)) for values in (_beyond(old, new), _beyond(new, old))))
        return
    former, latter = ({each[name]: each for each in elements} for elements in (old, new))
    for key in latter.keys() & former.keys():
        yield from changed_fields(former[key], latter[key], f"{path}[{key}].")
    gone, come = _beyond([*former], [*latter]), _beyond([*latter], [*former])
    yield from _gone_and_come(path, name, [former[key] for key in gone], [latter[key] for key in come])


def _is_unique(name: str, elements: Sequence[Any]) -> bool:
    """Whether all are mappings with a text of this name, each another one."""
    texts = [each.get(name) for each in elements if isinstance(each, Mapping)]
    return len(elements) == len(texts) == len({*map(str, texts)}) and all(isinstance(text, str) for text in texts)


def _gone_and_come(path: str, name: str, gone: Sequence[Any], come: Sequence[Any]) -> Iterator[FieldChange]:
    """Short elements in a line each, of others each part; ``name`` is the field that identifies them."""
    short = [[_text(value) for value in values if not _has_parts(value)] for values in (gone, come)]
    if any(short):
        yield FieldChange(path, *map(tuple, short))
    for values, is_new in ((gone, False), (come, True)):
        for value in filter(_has_parts, values):
            parts = {field: part for field, part in value.items() if field != name}
            before, after = ({}, parts) if is_new else (parts, {})
            yield from changed_fields(before, after, f"{path}[{value[name]}].")


def _has_parts(value: Any) -> bool:
    """Whether a value is a mapping that is too long for a line."""
    return isinstance(value, Mapping) and len(_text(value)) > LONGEST


def _changed_statements(
    path: str, old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]
) -> Iterator[FieldChange]:
    """Statements that go and come as a whole, and what changes in those that stay: of one Sid, or one most alike."""
    gone = [statement for statement in old if statement not in new]
    come = [statement for statement in new if statement not in old]
    for statement in come:
        former = _former(statement, gone)
        if former is None:
            yield from _statement(path, statement, is_new=True)
        else:
            gone.remove(former)
            yield from changed_fields(former, statement, f"{path}.{_name(statement)}.")
    for statement in gone:
        yield from _statement(path, statement, is_new=False)


def _statement(path: str, statement: Mapping[str, Any], *, is_new: bool) -> Iterator[FieldChange]:
    """A whole statement that comes or goes: in a line, or element by element."""
    if _has_parts(statement):
        elements = {name: value for name, value in statement.items() if name != _SID}
        before, after = ({}, elements) if is_new else (elements, {})
        yield from changed_fields(before, after, f"{path}.{_name(statement)}.")
    else:
        yield FieldChange(path, *(((), (_text(statement),)) if is_new else ((_text(statement),), ())))


def _former(statement: Mapping[str, Any], candidates: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The statement that ``statement`` was: of the same Sid and effect, without a Sid the most alike."""
    alike = [
        candidate
        for candidate in candidates
        if (candidate.get(_EFFECT), candidate.get(_SID)) == (statement.get(_EFFECT), statement.get(_SID))
    ]
    likely = max(alike, key=lambda candidate: _shared(candidate, statement), default=None)
    return likely if likely is not None and (_SID in statement or _shared(likely, statement)) else None


def _shared(left: Mapping[str, Any], right: Mapping[str, Any]) -> int:
    """How many elements two statements have in common, beside the effect that all have."""
    return sum(1 for name in left.keys() - {_EFFECT} if left[name] == right.get(name))


def _name(statement: Mapping[str, Any]) -> str:
    """What a statement is called: by its Sid, else by what it allows."""
    actions = statement.get("Action", statement.get("NotAction", []))
    return str(statement.get(_SID) or "+".join(action.rpartition(":")[2] for action in actions[:2]))


def _beyond(values: Sequence[Any], others: Sequence[Any]) -> list[Any]:
    return [value for value in values if value not in others]


def _values(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return tuple(map(_text, value)) if isinstance(value, list) else (_text(value),)


def _text(value: Any) -> str:
    """A value in words: texts as they are, a mapping by its fields."""
    if isinstance(value, Mapping):
        names = sorted(value, key=lambda name: ([*_ELEMENTS, name].index(name), name))
        return ", ".join(f"{name} {_text(value[name])}" for name in names if value[name] not in (None, [], {}))
    if isinstance(value, list):
        return " ".join(map(_text, value))
    return value if value and isinstance(value, str) else json.dumps(value)
