"""The teams that teams of enrollments."""

from typing import Any

import pytest

from podshare.registry.acceptance import accept_team
from podshare.registry.accounts import Account
from podshare.registry.enrollments import Enrolled, team_of
from podshare.registry.parsing import parse, parse_team
from podshare.registry.problems import InvalidRecord
from podshare.registry.records import Enrollment, Team
from tests.builders import a_dataset, a_team_item, an_account, an_enrollment_item

ACCOUNT = an_account(tags={"owner": "rosalind@example.com", "gpus": "4"})
DATASETS = {"imagenet": a_dataset()}
FIGURE = "${account.tags.gpus}"


def made(enrolled: Enrolled, last: Team | None = None) -> tuple[Team | None, list[str]]:
    """The team that counts and what is wrong."""
    accepted = accept_team(None, last, ["main", "east"], DATASETS, enrolled=enrolled)
    return accepted.record, [problem.field for problem in accepted.problems]


def a_made_team(account: Account = ACCOUNT) -> Team:
    team, problems = made(team_of(an_enrollment_item(), account))
    assert team is not None, problems
    return team


def test_a_selected_account_gets_the_team_of_the_template() -> None:
    """The team is named after the enrollment and the account, has that account as its only member, and is filled in."""
    team = a_made_team()
    assert team.name == "science-555555555555"
    assert [(line.account, line.role) for line in team.members] == [("555555555555", "")]
    assert (team.owner, team.reason) == ("rosalind@example.com", "The people of genomics-lab")
    assert team.quota.resources[0].accelerators == 4
    assert team.datasets == {"imagenet"}


def on(*clusters: str, figure: str = FIGURE) -> dict[str, Any]:
    """An enrollment whose teams work on these clusters."""
    item = an_enrollment_item()
    quota = {"resources": [{"instance_type": "ml.g5.12xlarge", "accelerators": figure}]}
    fields = {name: value for name, value in item["team"].items() if name != "quota"}
    return {**item, "team": {**fields, "cluster": [{"cluster": name, "quota": quota} for name in clusters]}}


def test_a_template_may_name_several_clusters() -> None:
    """The team works on each of them, with a quota of its own in which the account's figures are filled in."""
    team, problems = made(team_of(on("main", "east"), ACCOUNT))
    assert team is not None, problems
    assert [(name, quota.resources[0].accelerators) for name, quota in team.quotas.items()] == [
        ("main", 4),
        ("east", 4),
    ]


@pytest.mark.parametrize(
    ("cluster", "quota", "told"),
    [
        ([], ..., "at least one"),
        (on("main", "main")["team"]["cluster"], ..., "twice"),
        (on(*(f"c{number}" for number in range(11)))["team"]["cluster"], ..., "at most 10"),
        (on("main")["team"]["cluster"], {"resources": []}, "team.quota"),
        (on("${account.tags.where}")["team"]["cluster"], ..., "team.cluster.0.cluster"),
        (on("main", figure="${account.name}")["team"]["cluster"], ..., "team.cluster.0.quota"),
        ("main", ..., "team.quota"),
    ],
)
def test_a_template_names_each_cluster_once_with_a_quota(cluster: Any, quota: Any, told: str) -> None:
    """A list is held against a team's rules for one, and its placeholders against those of a template."""
    item = on()
    item["team"] |= {"cluster": cluster} | ({} if quota is ... else {"quota": quota})
    with pytest.raises(InvalidRecord, match=told):
        parse(item)


def test_a_typo_in_a_template_s_cluster_closes_that_one() -> None:
    """A bad enrollment that no longer names a cluster ends its teams' access there, and keeps the others'."""
    last, _ = made(team_of(on("main", "east"), ACCOUNT))
    bad = on("main", "eats")
    bad["team"]["colour"] = "blue"
    accepted = accept_team(None, last, ["main", "east"], DATASETS, enrolled=team_of(bad, ACCOUNT))
    assert accepted.problems
    assert accepted.suspended == {"east"}


def test_a_template_may_name_a_preset_and_several_kinds_of_access() -> None:
    """Enrolled teams have no groups of their own making; the preset's group is named after each team."""
    item = an_enrollment_item()
    item["team"] |= {"access": ["training", "space"], "rbac": "debug"}
    parse(item)
    team, problems = made(team_of(item, ACCOUNT))
    assert not problems
    assert team is not None
    assert (team.access, team.rbac) == (("training", "space"), "debug")
    item["team"]["rbac"] = []
    with pytest.raises(InvalidRecord, match="rbac"):
        parse(item)


def test_an_account_that_is_not_selected_has_no_team() -> None:
    """An account outside of the unit, excluded or not active has no team."""
    assert team_of(an_enrollment_item(), an_account(path=("r-pods",))) == Enrolled(None)
    assert team_of(an_enrollment_item(exclude_accounts=[ACCOUNT.id]), ACCOUNT) == Enrolled(None)
    assert team_of(an_enrollment_item(), an_account(state="SUSPENDED")) == Enrolled(None)


def test_a_missing_tag_is_told_and_grants_nothing() -> None:
    """A team whose account lacks a tag that the template needs is rejected; the error names account and tag."""
    enrolled = team_of(an_enrollment_item(), an_account(tags={"owner": "rosalind@example.com"}))
    accepted = accept_team(None, None, ["main"], DATASETS, enrolled=enrolled)
    assert accepted.record is None
    assert 'account 555555555555 has no tag "gpus"' in str(accepted.problems[0])


def test_a_typo_in_the_template_adds_nothing_and_keeps_what_was_granted() -> None:
    """A bad enrollment leaves each team as it was accepted, as far as the enrollment still asks for it."""
    bad = an_enrollment_item()
    bad["team"] = {**bad["team"], "acess": "admin", "service_accounts": []}
    team, problems = made(team_of(bad, ACCOUNT), a_made_team())
    assert team is not None
    assert problems
    assert (team.access, team.members, team.service_accounts) == ("training", a_made_team().members, ())


def test_a_typo_in_the_selector_keeps_nobody_in() -> None:
    """Where it is not plain whom an enrollment selects, its teams keep their quotas and lose all access."""
    team, problems = made(team_of(an_enrollment_item(organizational_unit="Science"), ACCOUNT), a_made_team())
    assert team is not None
    assert problems
    assert (team.members, team.service_accounts) == ((), ())
    assert team.quota == a_made_team().quota


def test_a_bad_enrollment_still_lets_accounts_go() -> None:
    """An account that a bad enrollment plainly does not select has no team."""
    assert team_of(an_enrollment_item(colour="blue"), an_account(path=("r-pods",))).item is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cluster", "${account.tags.cluster}"),
        ("service_accounts", [{"name": "t", "datasets": [{"dataset": "${account.tags.set}", "access": "read"}]}]),
        ("service_accounts", [{"name": "${account.name}"}]),
        ("member", {"existing_role": "${account.tags.role}"}),
        ("quota", {"resources": [{"instance_type": "${account.tags.type}", "count": 1}]}),
        ("quota", {"resources": [{"instance_type": "ml.p5.48xlarge", "count": "${account.name}"}]}),
        ("quota", {"resources": [{"instance_type": "ml.p5.${account.tags.size}", "count": 1}]}),
        ("quota", {"resources": [{"instance_type": "ml.p5.48xlarge", "count": "1${account.tags.more}"}]}),
        ("owner", "${account.email}"),
        ("reason", "${account.name"),
    ],
)
def test_placeholders_stand_only_where_they_do_no_harm(field: str, value: Any) -> None:
    """What an account says of itself reaches no dataset, cluster, role or instance type, and nothing unknown passes."""
    item = an_enrollment_item()
    with pytest.raises(InvalidRecord):
        parse({**item, "team": {**item["team"], field: value}})


def test_an_account_s_name_cannot_break_its_team() -> None:
    """An account may rename itself to anything: its name is shown, with what tags refuse replaced."""
    item = an_enrollment_item()
    item["team"] = {**item["team"], "owner": "${account.name}"}
    odd = an_account(name="<x>${account.id};*", tags=dict(ACCOUNT.tags))
    team, problems = made(team_of(item, odd))
    assert team is not None, problems
    assert team.owner == "_x___account.id___"


def test_nobody_writes_a_team_with_an_enrollment_s_name() -> None:
    """A written team's name does not end in an account's id, so that it is never taken for an enrollment's."""
    with pytest.raises(InvalidRecord, match="teams of enrollments"):
        parse_team(a_team_item("science-555555555555"))


def test_an_enrollment_says_whom_it_selects() -> None:
    """An enrollment without a selector is refused."""
    with pytest.raises(InvalidRecord, match="needs organizational_unit or account_tag"):
        parse(an_enrollment_item(organizational_unit=...))


def test_an_enrollment_leaves_room_for_the_account_s_id() -> None:
    """An enrollment's longest name and an account's id make a team's longest name."""
    assert isinstance(parse(an_enrollment_item("s" * 27)), Enrollment)
    with pytest.raises(InvalidRecord):
        parse(an_enrollment_item("s" * 28))
