"""What a plan hands over is what those who apply it find: every field of every kind."""

import datetime
from dataclasses import fields, replace

import pytest
from hypothesis import given, settings

from podshare.kinds.base import Key, Kind, Resource
from podshare.kinds.shapes import SHAPES
from podshare.reconcile.handed_over import is_fresh, read, written
from podshare.registry.records import Team
from tests.domain.test_kinds import BINDING, INTERSECTIONS
from tests.domain.test_plan import teams, wanted

KIND_OF = {shape: kind for kind, shape in SHAPES.items()}
SAMPLES = [one for _, observed, desired, _ in INTERSECTIONS for one in (observed, desired) if type(one) in KIND_OF]


def in_full(resource: Resource) -> dict[str, object]:
    """All fields, also those that no comparison of resources looks at."""
    return {field.name: getattr(resource, field.name) for field in fields(resource)}


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_is_read_as_it_was_written(kind: Kind) -> None:
    """Whatever shape a resource has, each of its fields is what it was."""
    placed = {
        Key(kind, "111111111111", "us-west-2", "container", f"name-{number}"): sample
        for number, sample in enumerate(SAMPLES)
        if KIND_OF[type(sample)] is kind
    }
    desired = {
        key: replace(sample, key=key, why="member", needs=frozenset({BINDING.key}), cluster="main", identity="id-1")
        for key, sample in placed.items()
    }
    assert desired or kind in (Kind.KUBERNETES_ROLE, Kind.FOREIGN_SUBJECTS)  # see the next test; never desired
    found = read(written(desired))
    assert {key: in_full(one) for key, one in found.items()} == {key: in_full(one) for key, one in desired.items()}


@settings(max_examples=50)
@given(teams)
def test_a_team_is_read_as_it_was_written(team: Team | None) -> None:
    """Whatever a team's record asks for: what is read is what was written."""
    desired = wanted(team)
    found = read(written(desired))
    assert {key: in_full(one) for key, one in found.items()} == {key: in_full(one) for key, one in desired.items()}


def test_it_counts_for_a_minute() -> None:
    """Some of it expires: what is older than a minute is read from the records again."""
    now = datetime.datetime.now(datetime.UTC)
    assert is_fresh(now - datetime.timedelta(seconds=30))
    assert not is_fresh(now - datetime.timedelta(seconds=61))
