"""What somebody else does to podshare's resources meanwhile: an account's administrator, or a tool that rewrites labels."""

from collections.abc import Iterable

from podshare.domain.kinds import Key
from tests.scenarios.marks import OBJECTS, TAGGED, Change, Tags, relabel, retag
from tests.scenarios.world import World


def _lost(_: Tags) -> Tags:
    return {}


def _changed(tags: Tags) -> Tags:
    """As if it all were the other team's."""
    others = {"alpha": "beta", "beta": "alpha"}
    return {name: others.get(value, value) for name, value in tags.items()}


def _as_helm_does(labels: Tags) -> Tags:
    return {**labels, "app.kubernetes.io/managed-by": "Helm"}


CHANGES: dict[str, Change] = {"lost": _lost, "changed": _changed}


def take_marks(world: World, keys: Iterable[str], change: str) -> None:
    """Change the tags of everything among ``keys`` that has some, and let Helm write its label on every object."""
    for key in (Key.parse(text) for text in sorted(keys) if text.partition("|")[0] in {*TAGGED, *OBJECTS}):
        if key.kind in TAGGED:
            retag(world, key, CHANGES[change])
        elif key.kind in OBJECTS:
            relabel(key, _as_helm_does)
