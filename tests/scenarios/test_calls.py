"""How many calls a team costs must not grow: writes are exact, all else has an upper bound.

`make bench` measures the same beside budgets and peers (docs/benchmarks.md). Whoever lowers a count lowers its bound here.
"""

from collections.abc import Iterator

import pytest

from benchmarks import least
from benchmarks.counts import REVOKING
from benchmarks.life import PHASES, Phase, organization, record

ONBOARDING, NOTHING, ADDING, REVOKING_ALL = PHASES
# while AWS works on a resource, podshare looks at it again: how often depends on the moment, hence some room
MOST = {
    ONBOARDING: {"reads": 155, "own": 64, "states": 34, "events": 140},
    NOTHING: {"reads": 45, "own": 10, "states": 6, "events": 20},
    ADDING: {"reads": 118, "own": 34, "states": 20, "events": 76},
    REVOKING_ALL: {"reads": 185, "own": 130, "states": 58, "events": 240},
}
WRITES_OF_A_MEMBER = 8  # two roles with a policy each, an entry with two access policies, a parameter


@pytest.fixture(scope="module")
def phases() -> Iterator[dict[str, Phase]]:
    """The life of one team, when the functions are warm."""
    with organization(lambda _: None) as here:
        lived = here.live([record("counted")], [record("counted", here.joined)])
        yield {phase.name: phase for phase in lived}


@pytest.mark.parametrize(("name", "what"), [(name, what) for name, bounds in MOST.items() for what in bounds])
def test_counts_do_not_grow(phases: dict[str, Phase], name: str, what: str) -> None:
    """Reads, podshare's own calls, states and history events of each phase stay within their bounds."""
    phase = phases[name]
    found = phase.events if what == "events" else getattr(phase.calls, what)
    assert found <= MOST[name][what], phase.calls


def test_each_resource_is_written_with_the_fewest_calls(phases: dict[str, Phase]) -> None:
    """An onboarding and a new member make the calls that the APIs force and no more, and nothing to do makes none."""
    assert phases[ONBOARDING].calls.writes == least.writes(least.resources(record("counted")), 1)
    assert phases[ADDING].calls.writes == WRITES_OF_A_MEMBER
    assert phases[NOTHING].calls.writes == 0


def test_one_run_is_enough(phases: dict[str, Phase]) -> None:
    """Each phase of a team alone is one execution."""
    assert {phase.executions for phase in phases.values()} == {1}


def test_the_first_call_of_a_revocation_revokes(phases: dict[str, Phase]) -> None:
    """Nothing is changed in any account before access ends."""
    assert phases[REVOKING_ALL].first_write in REVOKING
