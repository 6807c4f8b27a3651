"""What a write does to a record: as it was read, and as it will be."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from podshare.registry.items import SIGNATURE, plain

Item = dict[str, Any]
_STATES = ("item", "before")


class Effect(StrEnum):
    """What a plan does to a record."""

    CREATE = "create"
    CHANGE = "change"
    DELETE = "delete"
    TRACK = "track"  # it says the same, and is written with the file that now holds it
    UNCHANGED = "unchanged"


_RESULTS = {
    Effect.CREATE: "created",
    Effect.CHANGE: "changed",
    Effect.DELETE: "deleted",
    Effect.TRACK: "tracked",
    Effect.UNCHANGED: "unchanged",
}


@dataclass(frozen=True)
class RecordChange:
    """What a plan does to one record: ``item`` as it will be, ``before`` as it was read from the registry."""

    record_id: str
    effect: Effect
    item: Item | None = None
    before: Item | None = None

    def as_dict(self) -> dict[str, Any]:
        """The change in plain JSON."""
        return {"id": self.record_id, "effect": self.effect.value, "item": self.item, "before": self.before}

    @property
    def outcome(self) -> dict[str, Any]:
        """What became of which record, for machines."""
        return {"id": self.record_id, "result": self.result}

    @property
    def is_news(self) -> bool:
        """Whether the registry then says something else."""
        return self.effect not in (Effect.TRACK, Effect.UNCHANGED)

    @property
    def result(self) -> str:
        """What became of the record, once it is written."""
        return _RESULTS[self.effect]

    @property
    def is_sound(self) -> bool:
        """Whether the effect is the one that such a record has: what says something new is planned as such."""
        if self.item is None:
            return self.before is not None and self.effect is Effect.DELETE
        effect = writing(self.item, self.before).effect
        return self.effect in ((effect, Effect.TRACK) if effect is Effect.UNCHANGED else (effect,))

    @classmethod
    def of_dict(cls, document: Mapping[str, Any]) -> Self:
        """The reverse of ``as_dict``. Raises TypeError or ValueError for what is none."""
        item, before = (document[name] if document[name] is None else dict(document[name]) for name in _STATES)
        return cls(str(document["id"]), Effect(document["effect"]), item, before)


def content(item: Mapping[str, Any]) -> Item:
    """What a record says, without who wrote it."""
    return {"schema": 1, **{name: value for name, value in plain(item).items() if name not in SIGNATURE}}


def writing(item: Item, before: Item | None) -> RecordChange:
    """The change that writes ``item``; unchanged where the registry says the same."""
    if before is not None and content(before) == content(item):
        return RecordChange(item["id"], Effect.UNCHANGED, plain(item), before)
    return overwriting(item, before)


def overwriting(item: Item, before: Item | None) -> RecordChange:
    """The change that writes ``item``, also where the registry says the same."""
    return RecordChange(item["id"], Effect.CHANGE if before else Effect.CREATE, plain(item), before)


def deleting(before: Item) -> RecordChange:
    """The change that deletes a record."""
    return RecordChange(before["id"], Effect.DELETE, before=before)
