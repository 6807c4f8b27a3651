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
    """The changed fields of those of ``keys`` that are there and stay, by key."""
    both = ((key, observed.get(key), desired.get(key)) for key in dict.fromkeys(keys))
    return {
        str(key): [change.as_dict() for change in changed_fields(old.facts(), new.facts())]
        for key, old, new in both
        if isinstance(old, Resource) and new
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
        yield FieldChange(path, _beyond(old or (), new or ()), _beyond(new or (), old or ()))
    else:
        yield FieldChange(path, _values(old), _values(new))


def _all_are(kind: type, old: Any, new: Any) -> bool:
    return all(value is None or isinstance(value, kind) for value in (old, new))


def _is_statement(value: Any) -> bool:
    return isinstance(value, Mapping) and _EFFECT in value


def _changed_statements(
    path: str, old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]
) -> Iterator[FieldChange]:
    """Statements that go and come as a whole, and what changes in those that stay: of one Sid, or one most alike."""
    gone = [statement for statement in old if statement not in new]
    come = [statement for statement in new if statement not in old]
    for statement in come:
        former = _former(statement, gone)
        if former is None:
            yield FieldChange(path, (), (_text(statement),))
        else:
            gone.remove(former)
            yield from changed_fields(former, statement, f"{path}.{_name(statement)}.")
    yield from (FieldChange(path, (_text(statement),), ()) for statement in gone)


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


def _beyond(values: Sequence[Any], others: Sequence[Any]) -> tuple[str, ...]:
    return tuple(_text(value) for value in values if value not in others)


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
    return value if isinstance(value, str) else json.dumps(value)
