"""What is wrong with a record, in words for the person who wrote it."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from pydantic_core import PydanticCustomError

from podshare.registry.sentences import sentence

MOST_PROBLEMS = 50  # of one record: with their texts they fit into a state's output (Step Functions quotas, 256 KiB)


@dataclass(frozen=True, slots=True)
class Problem:
    """One rule that a record breaks, in words for the person who wrote it.

    No text is empty or endless, and all of them print: what is not ASCII is spelled out, so that a look-alike shows.
    """

    record: str
    field: str
    value: str
    rule: str
    remedy: str

    def __post_init__(self) -> None:
        for name, longest in _LONGEST.items():
            object.__setattr__(self, name, _legible(getattr(self, name), longest))

    def __str__(self) -> str:
        return f"{self.record}: {sentence(self.as_dict())}. {self.remedy}"

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


_LONGEST = {"record": 120, "field": 300, "value": 120, "rule": 600, "remedy": 600}


def _legible(text: str, longest: int) -> str:
    shown = text if text.isascii() and text.isprintable() else text.encode("unicode_escape").decode("ascii")
    return (shown if len(shown) <= longest else f"{shown[: longest - 3]}...") or "(empty)"


def bounded(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """The first MOST_PROBLEMS; of more the last says how many."""
    listed = tuple(problems)
    if len(listed) <= MOST_PROBLEMS:
        return listed
    more = len(listed) - MOST_PROBLEMS + 1
    rest = Problem(listed[0].record, "record", f"{more:,} more", "more problems exist", "Fix these first.")
    return (*listed[: MOST_PROBLEMS - 1], rest)


class InvalidRecord(Exception):  # noqa: N818  # named for what it is, as the registry's users see it
    """A record that cannot be accepted; ``problems`` holds every reason, or the first of very many."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = bounded(problems)
        super().__init__("\n".join(map(str, self.problems)))


def wrong(rule: str, *at: int | str) -> PydanticCustomError:
    """What is wrong at a place inside of the part of a record that is validated."""
    return PydanticCustomError("rule", "{rule}", {"rule": rule, "at": at})


def refuse_twice(names: Sequence[str], *at: int | str) -> None:
    """Refuse a list, which stands ``at`` a place inside of what is validated, in which a name stands twice."""
    repeated = [row for row, name in enumerate(names) if name in names[:row]]
    if repeated:
        twice = sorted({names[row] for row in repeated})
        raise wrong(f"names {', '.join(twice)} twice", *at, repeated[0])
