"""Used hours follow from what work held and what was guaranteed: they add up by team, account, owner, member and time."""

import itertools
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from podshare_cli.history.quota_hours import ACCOUNT, INSTANCES, MEMBER, OWNER, TEAM, Line, Span
from podshare_cli.history.used_hours import ACCELERATORS, Use, Used, UsedHours, in_accelerators, used_hours

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
P5, G5 = "ml.p5.48xlarge", "ml.g5.12xlarge"
pure = settings(max_examples=200, derandomize=True, database=None)


def at(minute: int) -> datetime:
    return BEGIN + timedelta(minutes=minute)


def use(amount: int, since: int, until: int, *, team: str = "vision", member: str = "", kind: str = P5) -> Use:
    return Use(team, "main", kind, ACCELERATORS, Fraction(amount), at(since), at(until), member)


def span(amount: int | None, since: int, until: int, *, team: str = "vision", owner: str = "ada") -> Span:
    lines = None if amount is None else (Line(P5, ACCELERATORS, Fraction(amount)),)
    return Span(team, "main", at(since), at(until), lines, owner, frozenset({"222222222222"}))


def of_team(uses: Iterable[Use], spans: Iterable[Span], until: int = 600) -> Used:
    """What vision used of its own type."""
    return used_hours(uses, spans, at(0), at(until), TEAM).get(("vision", "main", P5, ACCELERATORS), Used())


teams = st.sampled_from(["vision", "language"])
minutes = st.integers(0, 60)
uses = st.lists(
    st.builds(
        lambda team, kind, amount, since, length, member: use(
            amount, since, since + length, team=team, member=member, kind=kind
        ),
        *(teams, st.sampled_from([P5, G5, ""]), st.integers(0, 9), minutes, st.integers(0, 30)),
        st.sampled_from(["", "ada", "ben"]),
    ),
    max_size=8,
)
amounts = st.none() | st.integers(0, 9)
accounts = st.frozensets(st.sampled_from(["222222222222", "444444444444", "555555555555"]))
pieces = st.lists(st.tuples(minutes, amounts, st.sampled_from(["ada", "ben"]), accounts), max_size=5)


def known(pieces_by_team: dict[str, list[Any]]) -> list[Span]:
    """Quotas that follow each other, each until the next one begins; the last one is deleted."""
    spans = []
    for team, found in pieces_by_team.items():
        ordered = sorted({piece[0]: piece for piece in found}.values())
        for (since, amount, owner, has_access), (until, *_) in itertools.pairwise(ordered):
            lines = None if amount is None else (Line(P5, ACCELERATORS, Fraction(amount)),)
            spans.append(Span(team, "main", at(since), at(until), lines, owner, has_access))
    return spans


quotas = st.fixed_dictionaries({"vision": pieces, "language": pieces}).map(known)


def totals(sums: UsedHours) -> dict[tuple[str, str, str], Used]:
    """Over whose they are, but for nothing."""
    added: dict[tuple[str, str, str], Used] = {}
    for (_, *what), used in sums.items():
        key = (what[0], what[1], what[2])
        added[key] = added.get(key, Used()) + used
    return {key: used for key, used in added.items() if used.hours}


@pure
@given(uses, quotas)
def test_totals_are_the_same_whosever_hours_they_are(held: list[Use], spans: list[Span]) -> None:
    """Used is within the quota, borrowed or undetermined, and no part is lost, counted twice or negative."""
    by = {whose: used_hours(held, spans, at(0), at(90), whose) for whose in (TEAM, ACCOUNT, OWNER, MEMBER)}
    assert totals(by[TEAM]) == totals(by[ACCOUNT]) == totals(by[OWNER]) == totals(by[MEMBER])
    parts = [used for sums in by.values() for used in sums.values()]
    assert all(min(used.within, used.borrowed, used.undetermined) >= 0 for used in parts)
    accelerator_minutes = (each.amount * ((each.until - each.since) // timedelta(minutes=1)) for each in held)
    whole = sum(accelerator_minutes, Fraction()) / 60
    assert sum((used.hours for used in by[TEAM].values()), Fraction()) == whole


@pure
@given(uses, quotas, st.sampled_from([TEAM, ACCOUNT, OWNER, MEMBER]), st.lists(minutes, min_size=3, max_size=3))
def test_used_hours_of_adjoining_periods_add_up(held: list[Use], spans: list[Span], by: str, cuts: list[int]) -> None:
    """Those of two periods, one after the other, are those of the whole, for each whose they are."""
    begin, middle, end = sorted(cuts)
    first, second, whole = (
        used_hours(held, spans, at(since), at(until), by)
        for since, until in ((begin, middle), (middle, end), (begin, end))
    )
    added = {key: first.get(key, Used()) + second.get(key, Used()) for key in {*first, *second}}
    assert {key: used for key, used in added.items() if used.hours} == {
        key: used for key, used in whole.items() if used.hours
    }


@pure
@given(uses, quotas)
def test_at_each_minute_what_exceeds_the_guarantee_is_borrowed(held: list[Use], spans: list[Span]) -> None:
    """Counted minute by minute, without regard to what changes when, the result is the same."""
    expected = Used()
    for minute in range(90):
        now = [each for each in held if each.since <= at(minute) < each.until]
        amount = sum((each.amount for each in now if (each.team, each.instance_type) == ("vision", P5)), Fraction())
        quota = next((each for each in spans if each.team == "vision" and each.since <= at(minute) < each.until), None)
        if quota is None or quota.lines is None:
            expected += Used(undetermined=amount / 60)
        else:
            within = min(amount, sum((line.amount for line in quota.lines), Fraction()))
            expected += Used(within / 60, (amount - within) / 60)
    assert of_team(held, spans, 90) == expected


def test_two_jobs_borrow_together() -> None:
    """Each is within the quota of 8, and together they exceed it for the half hour in which both run."""
    used = of_team([use(6, 0, 60), use(6, 30, 90)], [span(8, 0, 600)])
    assert used == Used(within=Fraction(10), borrowed=Fraction(2))


def test_a_quota_that_shrinks_makes_the_same_work_borrow() -> None:
    """From the moment that the history has: not from the work's beginning."""
    used = of_team([use(8, 0, 120)], [span(8, 0, 60), span(2, 60, 600)])
    assert used == Used(within=Fraction(10), borrowed=Fraction(6))


def test_what_no_quota_answers_for_is_undetermined() -> None:
    """Before the history, where it does not say what the quota was, and of an instance type that is not known."""
    held = [use(2, 0, 60), use(2, 60, 120), use(2, 120, 180, kind="")]
    sums = used_hours(held, [span(None, 60, 120), span(8, 120, 600)], at(0), at(600), TEAM)
    assert set(sums.values()) == {Used(undetermined=Fraction(4)), Used(undetermined=Fraction(2))}


def test_members_share_what_is_borrowed_as_they_hold() -> None:
    """Of 12 with a quota of 8, whoever holds 9 has borrowed 3, and whoever holds 3 has borrowed 1."""
    held = [use(9, 0, 60, member="ada"), use(3, 0, 60, member="ben")]
    sums = used_hours(held, [span(8, 0, 60)], at(0), at(60), MEMBER)
    borrowed = {key[0]: used.borrowed for key, used in sums.items()}
    assert borrowed == {"ada": Fraction(3), "ben": Fraction(1)}


def test_an_owner_has_used_what_was_used_in_their_time() -> None:
    """The owner of the version that counted at the time."""
    spans = [span(8, 0, 60, owner="ada"), span(8, 60, 600, owner="ben")]
    sums = used_hours([use(8, 30, 120)], spans, at(0), at(600), OWNER)
    assert {key[0]: used.within for key, used in sums.items()} == {"ada": Fraction(4), "ben": Fraction(8)}


def test_instances_are_turned_into_accelerators() -> None:
    """Where a node tells how many a type has; where none does, what is borrowed is undetermined."""
    lines = (Line(P5, INSTANCES, Fraction(2)), Line(G5, INSTANCES, Fraction(1)))
    instances = Span("vision", "main", at(0), at(60), lines, "ada", frozenset())
    (turned,) = in_accelerators([instances], {P5: 8})
    assert turned.lines == (Line(P5, ACCELERATORS, Fraction(16)), Line(G5, INSTANCES, Fraction(1)))
    sums = used_hours([use(20, 0, 60), use(4, 0, 60, kind=G5)], [turned], at(0), at(60), TEAM)
    assert sums["vision", "main", P5, ACCELERATORS] == Used(Fraction(16), Fraction(4))
    assert sums["vision", "main", G5, ACCELERATORS] == Used(undetermined=Fraction(4))
