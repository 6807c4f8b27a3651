"""What teams use, borrow and lend now, from queues as the API reference of Kueue shows them."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podshare_cli.commands.report.lending import Account, Queues, UncountedError, lent, rows

Item = dict[str, Any]
G5, M5 = "ml.g5.12xlarge", "ml.m5.xlarge"
GPU, NEURON, CPU = "nvidia.com/gpu", "aws.amazon.com/neurondevice", "cpu"
FLAVORS = [{"metadata": {"name": "g5"}, "spec": {"nodeLabels": {"node.kubernetes.io/instance-type": G5}}}]
pure = settings(max_examples=300, derandomize=True, database=None)


def queue(
    team: str, nominal: int, total: int, *, cohort: str = "all", lending: int | None = None, beta: int = 1, **more: Any
) -> Item:
    """The queue of a team as Kueue reports it, with GPUs of one flavor."""
    limit = {} if lending is None else {"lendingLimit": str(lending)}
    resources = [{"name": GPU, "nominalQuota": str(nominal), **limit}, {"name": NEURON, "nominalQuota": "0"}]
    groups = [{"coveredResources": [GPU, NEURON], "flavors": [{"name": "g5", "resources": resources}]}]
    used = [
        {"name": GPU, "total": str(total), "borrowed": str(max(0, total - nominal))},
        {"name": NEURON, "total": "0", "borrowed": "0"},
    ]
    return {
        "metadata": {"name": f"hyperpod-ns-{team}-clusterqueue"},
        "spec": {"cohort" if beta == 1 else "cohortName": cohort, "resourceGroups": groups},
        "status": {"flavorsUsage": [{"name": "g5", "resources": used}]},
        **more,
    }


def cohort(name: str, parent: str = "", nominal: int = 0) -> Item:
    """A cohort with a quota of its own, and perhaps a parent."""
    resources = [{"name": GPU, "nominalQuota": str(nominal)}]
    groups = [{"coveredResources": [GPU], "flavors": [{"name": "g5", "resources": resources}]}]
    spec = {"parentName": parent} if parent else {}
    return {"metadata": {"name": name}, "spec": {**spec, **({"resourceGroups": groups} if nominal else {})}}


def figures(*queues: Item, cohorts: tuple[Item, ...] = ()) -> dict[str, tuple[float, ...]]:
    """What each team uses, borrows and lends at least and at most."""
    return {
        row["team"]: (row["used"], row["borrowed"], row["lent_at_least"], row["lent_at_most"])
        for row in rows(Queues(queues, cohorts, FLAVORS))
    }


@pytest.mark.parametrize("beta", [1, 2])
def test_what_one_team_borrows_its_only_lender_has_lent(beta: int) -> None:
    """Kueue says how much is borrowed; with one team that leaves quota idle it is known whose it is."""
    assert figures(queue("vision", 4, 8, beta=beta), queue("language", 4, 0, beta=beta)) == {
        "vision": (8, 4, 0, 0),
        "language": (0, 0, 4, 4),
    }


def test_of_several_lenders_only_bounds_are_known() -> None:
    """Two teams leave 4 each, and 5 are borrowed: either has lent 1 to 4."""
    assert figures(queue("vision", 4, 9), queue("language", 4, 0), queue("speech", 4, 0)) == {
        "vision": (9, 5, 0, 0),
        "language": (0, 0, 1, 4),
        "speech": (0, 0, 1, 4),
    }


def test_what_may_not_be_lent_is_not_lent() -> None:
    """A lending limit bounds what of a team's idle quota others have; other cohorts have nothing of it."""
    assert figures(queue("vision", 4, 6), queue("language", 4, 0, lending=0), queue("speech", 4, 0)) == {
        "vision": (6, 2, 0, 0),
        "language": (0, 0, 0, 0),
        "speech": (0, 0, 2, 2),
    }
    assert figures(queue("vision", 4, 6), queue("language", 4, 0, cohort="other"))["language"] == (0, 0, 0, 0)


def test_a_cohort_lends_too() -> None:
    """Quota that belongs to no queue may be what is borrowed, of a parent's cohort too."""
    borrower, lender = queue("vision", 4, 6), queue("language", 4, 0, cohort="other")
    tree = (cohort("all", "root"), cohort("other", "root"))
    assert figures(borrower, lender, cohorts=tree)["language"] == (0, 0, 2, 2)
    tree = (cohort("all", "root"), cohort("other", "root"), cohort("root", nominal=8))
    assert figures(borrower, lender, cohorts=tree)["language"] == (0, 0, 0, 2)


def test_cohorts_in_a_circle_end() -> None:
    """Kueue calls them inactive; reading them comes to an end all the same."""
    circle = (cohort("all", "other"), cohort("other", "all"))
    assert figures(queue("vision", 4, 4), cohorts=circle)["vision"] == (4, 0, 0, 0)


def test_units_are_those_of_quotas() -> None:
    """Devices are accelerators, partitions their profile, and where there are none, CPUs count."""

    def of(resource: str, total: str) -> list[tuple[str, str, float]]:
        quota = [{"name": resource, "nominalQuota": "8"}, {"name": CPU, "nominalQuota": "96"}]
        used = [{"name": resource, "total": total}, {"name": CPU, "total": "1500m"}]
        flavors = [{"name": M5, "resources": quota}]
        one = queue("vision", 1, 1)
        one["spec"]["resourceGroups"] = [{"coveredResources": [resource, CPU], "flavors": flavors}]
        one["status"]["flavorsUsage"] = [{"name": M5, "resources": used}]
        return [(row["instance_type"], row["unit"], row["used"]) for row in rows(Queues([one], [], []))]

    assert of(NEURON, "2") == [(M5, "accelerators", 2)]
    assert of("nvidia.com/mig-1g.5gb", "3") == [(M5, "mig-1g.5gb", 3)]
    assert of("vpc.amazonaws.com/efa", "0") == [(M5, "vCPU", 1.5)]


def test_a_team_that_has_nothing_has_no_row_and_other_queues_lend_without_one() -> None:
    """Rows are of teams' own queues and of what they have quota or use of."""
    other = queue("x", 8, 0, metadata={"name": "shared"})
    assert figures(queue("idle", 0, 0), queue("vision", 4, 6), other) == {"vision": (6, 2, 0, 0)}


def test_a_queue_that_kueue_has_not_counted_yet_leaves_all_unknown() -> None:
    """Who lends what is not known as long as one account is missing."""
    with pytest.raises(UncountedError, match="hyperpod-ns-vision-clusterqueue"):
        rows(Queues([queue("vision", 4, 0, status={}), queue("language", 4, 0)], [], FLAVORS))
    assert rows(Queues([queue("vision", 4, 0, status={}, spec={"cohort": "all"})], [], FLAVORS)) == []


amounts = st.integers(0, 8)
lenders = st.lists(st.tuples(amounts, amounts), min_size=1, max_size=4)  # idle, and of it lent


@pure
@given(lenders)
def test_what_was_really_lent_is_within_the_bounds(found: list[tuple[int, int]]) -> None:
    """Whoever lent how much of what is borrowed: no bound excludes it, and one lender's bounds are equal."""
    pairs = [(idle, min(idle, of_it)) for idle, of_it in found]
    borrowed = Fraction(sum(of_it for _, of_it in pairs))
    accounts = [Account(f"{number}", "all", "g5", GPU, Fraction(idle)) for number, (idle, _) in enumerate(pairs)]
    borrower = Account("borrower", "all", "g5", GPU, Fraction(), borrowed, borrowed)
    bounds = lent([*accounts, borrower])
    for (idle, of_it), account in zip(pairs, accounts, strict=True):
        least, most = bounds[account]
        assert 0 <= least <= of_it <= most <= idle
    assert bounds[borrower] == (0, 0)
    assert sum(least for least, _ in bounds.values()) <= borrowed <= sum(most for _, most in bounds.values())
    if len(pairs) == 1:
        assert bounds[accounts[0]] == (borrowed, borrowed)


@pure
@given(lenders, st.integers(0, 32))
def test_both_bounds_can_be_reached(found: list[tuple[int, int]], wanted: int) -> None:
    """They are no wider than need be: some share of the same loan has a lender at either end."""
    idle = [Fraction(each) for each, _ in found]
    borrowed = min(Fraction(wanted), sum(idle, Fraction()))
    accounts = [Account(f"{number}", "all", "g5", GPU, each) for number, each in enumerate(idle)]
    bounds = lent([*accounts, Account("borrower", "all", "g5", GPU, Fraction(), borrowed, borrowed)])
    for number, account in enumerate(accounts):
        others = sum(idle, Fraction()) - idle[number]
        assert bounds[account] == (borrowed - min(borrowed, others), min(borrowed, idle[number]))
