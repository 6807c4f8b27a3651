"""Which accounts a team's lines of members mean."""

from typing import Any

import pytest

from podshare.registry.accounts import Account
from podshare.registry.membership import Member, members
from podshare.registry.problems import InvalidRecord
from tests.builders import BELOW_SCIENCE, ROOT, SCIENCE, a_team, an_account


def brought_in(lines: list[dict[str, Any]], *accounts: Account) -> list[Member]:
    team = a_team(members=lines)
    return list(members(team.members, {account.id: account for account in accounts}))


def ids(found: list[Member]) -> list[str]:
    return [member.account for member in found]


def test_a_unit_brings_in_its_accounts_and_those_below() -> None:
    """An organizational unit means its accounts and those of the units below it, and no others."""
    here = an_account("555555555555")
    below = an_account("666666666666", path=(ROOT, SCIENCE, BELOW_SCIENCE))
    elsewhere = an_account("777777777777", path=(ROOT, "ou-pods-datalake"))
    assert ids(brought_in([{"organizational_unit": SCIENCE}], here, below, elsewhere)) == [
        "555555555555",
        "666666666666",
    ]


def test_a_tag_brings_in_accounts_whose_value_is_exactly_this() -> None:
    """A tag selects by key and value, exactly."""
    yes = an_account("555555555555", tags={"pool": "gpu"})
    no = an_account("666666666666", tags={"pool": "gpu-2"})
    assert ids(brought_in([{"account_tag": {"key": "pool", "value": "gpu"}}], yes, no)) == ["555555555555"]


def test_an_excluded_account_stays_out() -> None:
    """An account that is excluded is not selected, whatever unit it is in."""
    lines = [{"organizational_unit": SCIENCE, "exclude_accounts": ["555555555555"]}]
    assert ids(brought_in(lines, an_account("555555555555"), an_account("666666666666"))) == ["666666666666"]


@pytest.mark.parametrize("state", ["SUSPENDED", "PENDING_CLOSURE", "CLOSED", "PENDING_ACTIVATION", "DEPARTED", "NEW"])
def test_only_active_accounts_take_part(state: str) -> None:
    """An account in any state but ACTIVE brings nobody in, neither selected nor named."""
    gone = an_account("555555555555", state=state)
    assert brought_in([{"organizational_unit": SCIENCE}, {"account": "555555555555"}], gone) == []


def test_a_named_account_of_which_nothing_is_known_counts() -> None:
    """What is not known takes nothing away: an account that was never read stays named."""
    assert ids(brought_in([{"account": "555555555555"}])) == ["555555555555"]


def test_the_management_account_is_never_selected() -> None:
    """No selector brings the management account in; a line of its own does."""
    management = an_account("999999999999", path=(ROOT,), management=True)
    assert brought_in([{"organizational_unit": ROOT}], management) == []
    assert ids(brought_in([{"account": "999999999999"}], management)) == ["999999999999"]


def test_a_named_account_counts_before_a_selected_one() -> None:
    """An account that is named and selected is one member, as its own line says."""
    lines = [{"organizational_unit": SCIENCE}, {"account": "555555555555", "trusted_by": ["role/Analyst"]}]
    (member,) = brought_in(lines, an_account())
    assert member.trusted_by == ("role/Analyst",)
    assert not member.selector


def test_a_selected_member_tells_what_brought_it_in() -> None:
    """The plan names the selector that brought an account in."""
    (member,) = brought_in([{"organizational_unit": SCIENCE, "permission_set": "Research"}], an_account())
    assert member.why == f"member 555555555555/permission-set/Research, by organizational unit {SCIENCE}"


@pytest.mark.parametrize(
    "line",
    [
        {"account": "555555555555", "organizational_unit": SCIENCE},
        {"organizational_unit": SCIENCE, "account_tag": {"key": "a", "value": "b"}},
        {"trusted_by": ["role/Analyst"]},
        {"account": "555555555555", "exclude_accounts": ["666666666666"]},
        {"organizational_unit": "Science"},
    ],
)
def test_a_line_has_one_subject(line: dict[str, Any]) -> None:
    """A line names one account, one unit by its id, or one tag, and excludes only from a selection."""
    with pytest.raises(InvalidRecord):
        a_team(members=[line])
