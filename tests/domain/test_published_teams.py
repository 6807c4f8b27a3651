"""What is published of a team in an account: one parameter per Region, within what a standard one holds."""

from typing import Any

import pytest

from podshare.kinds.base import Kind, Resource
from podshare.kinds.desired import desired
from podshare.kinds.ssm_parameter.shape import MOST_BYTES, SsmParameter, text, with_aliases, without_aliases
from podshare.registry.accounts import Account
from tests.builders import CLUSTER, INSTALLATION, SCIENCE, a_dataset, a_team, an_account

MEMBER = {"account": "222222222222"}


def parameters(
    team: Any, datasets: dict[str, Any] | None = None, accounts: dict[str, Account] | None = None, selected_by: str = ""
) -> list[SsmParameter]:
    known = {"imagenet": a_dataset()} if datasets is None else datasets
    wanted = desired(team, [CLUSTER], known, accounts or {}, INSTALLATION, selected_by=selected_by)
    found: list[Resource] = [*wanted.values()]
    return [resource for resource in found if isinstance(resource, SsmParameter)]


def test_an_account_has_one_parameter_however_many_members_it_has() -> None:
    """Each kind of member is in it, with its own cluster access role."""
    members = [MEMBER, {**MEMBER, "existing_role": "research/Scientist"}, {**MEMBER, "permission_set": "Data"}]
    (parameter,) = parameters(a_team(members=members))
    assert parameter.key.name == "/podshare/teams/vision"
    kinds = [next(iter(member)) for member in parameter.value["members"]]
    assert kinds == ["scientist_role", "existing_role", "permission_set"]
    assert len({member["roles"]["main"] for member in parameter.value["members"]}) == 3


@pytest.mark.parametrize("changed", [{"members": []}, {"access": "none", "rbac": []}])
def test_where_nobody_gets_in_nothing_is_published(changed: dict[str, Any]) -> None:
    """A team without members, or without access, has no parameter."""
    assert parameters(a_team(**changed)) == []


def test_the_earlier_of_two_ends_counts() -> None:
    """A member ends with its line, at the latest with its team."""
    line = {**MEMBER, "expires": "2027-02-01T00:00:00Z"}
    (parameter,) = parameters(a_team(members=[line], expires="2027-01-01T00:00:00Z"))
    assert parameter.value["members"][0]["until"] == "2027-01-01T00:00:00Z"


def test_what_selected_the_account_is_published() -> None:
    """The unit or tag by which a line, or an enrollment, brought it in: of an account that is named there is none."""
    selected = a_team(members=[{"organizational_unit": SCIENCE}])
    (parameter,) = parameters(selected, accounts={"555555555555": an_account()})
    assert parameter.value["members"][0]["selector"] == f"organizational unit {SCIENCE}"
    assert "selector" not in parameters(a_team(members=[MEMBER]))[0].value["members"][0]
    enrolled = a_team(members=[MEMBER])
    (parameter,) = parameters(enrolled, selected_by="account tag cost-center=research")
    assert parameter.value["members"][0]["selector"] == "account tag cost-center=research"


def test_what_exceeds_a_standard_parameter_is_left_out_and_named() -> None:
    """Datasets go first, then service accounts, and whatever is left fits with all aliases."""
    names = [f"dataset-{number}" for number in range(40)]
    grants = [{"dataset": name, "access": "read"} for name in names]
    (parameter,) = parameters(
        a_team(members=[MEMBER], service_accounts=[{"name": "trainer", "datasets": grants}]),
        {name: a_dataset(name) for name in names},
    )
    assert "datasets" in parameter.value["left_out"]
    aliases = dict.fromkeys(parameter.points, "x" * 63)
    assert len(text(with_aliases(parameter.value, aliases)).encode()) <= MOST_BYTES


def test_aliases_are_taken_out_where_they_are_the_right_ones() -> None:
    """What is read with the aliases that S3 gave is as desired; with any other it differs, and is written again."""
    (parameter,) = parameters(a_team(members=[MEMBER]))
    aliases = dict.fromkeys(parameter.points, "here-s3alias")
    assert aliases
    written = with_aliases(parameter.value, aliases)
    assert without_aliases(written, aliases) == parameter.value
    assert without_aliases(written, dict.fromkeys(aliases, "other-s3alias")) == written != parameter.value
    assert without_aliases(parameter.value, aliases) != parameter.value  # none of them is published


def test_it_is_written_after_the_access_points_that_it_mentions() -> None:
    """It needs none of them: where data is blocked, people still find the cluster."""
    (parameter,) = parameters(a_team(members=[MEMBER]))
    assert {key.kind for key in parameter.mentions} == {Kind.ACCESS_POINT}
    assert parameter.needs == frozenset()
