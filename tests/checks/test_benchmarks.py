"""The benchmarks measure what they say."""

from benchmarks.planning import plan_all


def test_teams_of_the_planning_benchmark_have_nothing_to_do() -> None:
    """Its records are accepted, and their resources as they are there need no change."""
    assert plan_all(teams=20)["seconds"] > 0
