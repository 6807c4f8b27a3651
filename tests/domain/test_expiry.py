"""Access that ends by itself, as pure functions of a record and a moment."""

from datetime import UTC, datetime, timedelta

import pytest

from podshare.registry.acceptance import accept_team
from podshare.registry.expiry import Expiration, ended, ending, expirations, in_force, next_moment
from podshare.registry.parsing import parse_team
from podshare.registry.problems import InvalidRecord
from podshare.registry.records import Team
from tests.builders import a_dataset, a_team, a_team_item

FIRST, SECOND, THIRD = (datetime(2027, month, 1, 12, tzinfo=UTC) for month in (1, 2, 3))
DATASETS = {"imagenet": a_dataset(), "crawl": a_dataset("crawl")}


def written(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def a_team_that_ends() -> Team:
    """A member ends first, then a grant, then the whole team."""
    grants = [
        {"dataset": "imagenet", "access": "read"},
        {"dataset": "crawl", "access": "read", "expires": written(SECOND)},
    ]
    return a_team(
        members=[{"account": "222222222222", "expires": written(FIRST)}, {"account": "444444444444"}],
        service_accounts=[{"name": "trainer", "datasets": grants}],
        expires=written(THIRD),
    )


def what_is_left(now: datetime) -> tuple[list[str | None], list[str]] | None:
    team = in_force(a_team_that_ends(), now)
    if team is None:
        return None
    return [member.account for member in team.members], sorted(team.datasets)


def test_each_part_ends_at_its_moment() -> None:
    """Until the moment it is in force, from the moment on it is not, and nothing else goes with it."""
    before = timedelta(seconds=1)
    both, one = ["222222222222", "444444444444"], ["444444444444"]
    assert what_is_left(FIRST - before) == (both, ["crawl", "imagenet"])
    assert what_is_left(FIRST) == what_is_left(SECOND - before) == (one, ["crawl", "imagenet"])
    assert what_is_left(SECOND) == what_is_left(THIRD - before) == (one, ["imagenet"])
    assert what_is_left(THIRD) is None


def test_the_next_moment_is_an_end_or_its_warning() -> None:
    """Three days before an end is a moment too; after the last end there is none."""
    team, days = a_team_that_ends(), timedelta(days=3)
    assert next_moment(team, FIRST - timedelta(days=30)) == FIRST - days
    assert next_moment(team, FIRST - days) == FIRST
    assert next_moment(team, FIRST) == SECOND - days
    assert next_moment(team, THIRD) is None
    assert next_moment(a_team(), FIRST) is None


def test_what_ends_soon_and_what_has_ended() -> None:
    """A term is announced from three days before its end, and told as ended afterwards."""
    team = a_team_that_ends()
    assert not ending(team, FIRST - timedelta(days=4))
    assert [str(term) for term in ending(team, FIRST - timedelta(days=1))] == [
        "member 222222222222 2027-01-01T12:00:00Z"
    ]
    assert ended(team, FIRST) == expirations(team)[:1]
    assert ended(team, THIRD) == expirations(team)


def test_a_known_term_can_be_looked_past() -> None:
    """What a plan compares with: the same record as if known terms had not come."""
    team = a_team_that_ends()
    assert in_force(team, THIRD, but=expirations(team)) == team
    other = Expiration(FIRST + timedelta(days=1), "member 222222222222")
    assert in_force(team, FIRST, but=[other]) != team


@pytest.mark.parametrize(
    "bad",
    [
        "2027-01-31",
        "2027-01-31T18:00",
        "31.1.2027",
        "soon",
        "",
        0,
        1_801_000_000,
        True,
        "2027-13-01T00:00:00Z",
        "2027-02-30T00:00:00Z",
        "9999-12-31T23:59:59-14:00",
        "0001-01-01T00:00:00+14:00",
        "2027-01-31T18:00:00Z ",
        "\uff12\uff10\uff12\uff17-01-31T18:00:00Z",
        ["2027-01-31T18:00:00Z"],
    ],
)
def test_a_moment_that_is_none_is_refused(bad: object) -> None:
    """A date, a time without an offset, a number and a look-alike are told with the form that is expected."""
    with pytest.raises(InvalidRecord) as refused:
        parse_team(a_team_item(expires=bad))
    (problem,) = refused.value.problems
    assert problem.field == "expires"
    with pytest.raises(InvalidRecord):
        parse_team(a_team_item(members=[{"account": "222222222222", "expires": bad}]))


def test_every_offset_is_the_same_moment() -> None:
    """The same moment in another zone is no change."""
    one, other = (a_team(expires=text) for text in ("2027-01-31T18:00:00Z", "2027-01-31T19:00+01:00"))
    assert one == other


def narrowed(**fields: object) -> Team:
    """What counts of a bad record, after one that never ended."""
    found = accept_team(a_team_item(**{**fields, "owner": ""}), a_team(), ["main"], DATASETS, ("/podshare/",))
    assert found.problems
    assert found.record is not None
    return found.record


def test_a_bad_record_ends_as_soon_as_it_says() -> None:
    """An end that is written into a record with a mistake counts, for the team, a member and a grant."""
    grants = [{"dataset": "imagenet", "access": "read", "expires": written(SECOND)}]
    record = narrowed(
        expires=written(THIRD),
        members=[{"account": "222222222222", "expires": written(FIRST)}],
        service_accounts=[{"name": "trainer", "datasets": grants}],
    )
    assert [term.ends for term in expirations(record)] == [FIRST, SECOND, THIRD]


def test_a_bad_record_prolongs_nothing() -> None:
    """An end that was accepted stays, though the new record, which has a mistake, names a later one or none."""
    for later in ({"expires": written(THIRD)}, {}):
        item = a_team_item(owner="", **later)
        found = accept_team(item, a_team(expires=written(FIRST)), ["main"], DATASETS, ("/podshare/",))
        assert found.record is not None
        assert found.record.expires == FIRST


def test_an_end_that_nobody_understands_keeps_no_access_alive() -> None:
    """A typo in the team's own end takes its people's access away until it is mended; the quota stays."""
    record = narrowed(expires="next friday")
    assert (record.members, record.service_accounts) == ((), ())
    assert record.quota == a_team().quota
