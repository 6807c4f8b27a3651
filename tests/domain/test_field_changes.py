"""What changes within a resource, as a person reads it."""

from typing import Any

import pytest

from podshare.kinds.base import Kind
from podshare.kinds.desired import desired
from podshare.reconcile.field_changes import changed_fields, changed_resources
from tests.builders import CLUSTER, INSTALLATION, a_dataset, a_team


def changed(old: Any, new: Any) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    return [(change.field, change.removed, change.added) for change in changed_fields({"it": old}, {"it": new})]


def statement(**elements: Any) -> dict[str, Any]:
    return {"Effect": "Allow", **elements}


@pytest.mark.parametrize(
    ("old", "new", "removed", "added"),
    [
        (1, 2, ("1",), ("2",)),
        (None, "x", (), ("x",)),
        (["a", "b"], ["b", "c"], ("a",), ("c",)),
        ([{"Count": 4, "Type": "p5"}], [{"Count": 6, "Type": "p5"}], ("Count 4, Type p5",), ("Count 6, Type p5",)),
        (True, None, ("true",), ()),
    ],
)
def test_values_and_lists_have_what_goes_and_what_comes(
    old: Any, new: Any, removed: tuple[str, ...], added: tuple[str, ...]
) -> None:
    """What is in both is not repeated; a field that is absent has no value."""
    assert changed(old, new) == [("it", removed, added)]


def test_a_mapping_is_followed_to_what_differs() -> None:
    """The path leads to the part, whatever else the mapping holds."""
    assert changed({"a": {"x": 1, "y": 2}, "b": 3}, {"a": {"x": 1, "y": 4}, "b": 3}) == [("it.a.y", ("2",), ("4",))]


def test_a_statement_with_a_sid_changes_element_by_element() -> None:
    """A prefix more in a statement of two is one line, not the whole document twice."""
    old = [statement(Sid="Read", Action=["s3:GetObject"], Resource=["x/a/*"]), statement(Sid="List", Action=["l"])]
    new = [statement(Sid="Read", Action=["s3:GetObject"], Resource=["x/a/*", "x/b/*"]), old[1]]
    assert changed(old, new) == [("it.Read.Resource", (), ("x/b/*",))]


def test_a_statement_without_a_sid_is_the_most_alike_of_the_former_ones() -> None:
    """A trust gains a principal: what it already said is no change."""
    old = [statement(Action=["sts:AssumeRole"], Principal={"AWS": ["a"]}, Condition={"ArnLike": {"k": ["r"]}})]
    new = [
        statement(Action=["sts:AssumeRole"], Principal={"AWS": ["a", "b"]}, Condition={"ArnLike": {"k": ["r", "s"]}})
    ]
    assert changed(old, new) == [
        ("it.AssumeRole.Condition.ArnLike.k", (), ("s",)),
        ("it.AssumeRole.Principal.AWS", (), ("b",)),
    ]


def test_another_statement_comes_and_goes_as_a_whole() -> None:
    """A Deny is no former Allow, and a statement that shares nothing with another none either."""
    old, new = [{"Effect": "Deny", "Action": ["a"]}], [statement(Sid="New", Action=["a"], Resource=["r"])]
    assert changed(old, new) == [
        ("it", (), ("Sid New, Effect Allow, Action a, Resource r",)),
        ("it", ("Effect Deny, Action a",), ()),
    ]


def test_a_policy_that_is_absent_has_no_statements() -> None:
    """An access point whose policy was removed gets it back statement by statement."""
    assert changed(None, [statement(Sid="Read", Action=["a"])]) == [("it", (), ("Sid Read, Effect Allow, Action a",))]


def test_elements_with_a_name_change_attribute_by_attribute() -> None:
    """A cluster's quota that changes is one line by its path, whatever else the list says of the cluster."""
    quota = {"resources": [{"count": 4, "instance_type": "p5"}]}
    main, spare = {"name": "main", "arn": "a" * 60, "quota": quota}, {"name": "spare", "region": "r"}
    less = {**main, "quota": {"resources": [{"count": 3, "instance_type": "p5"}]}}
    assert changed([main, spare], [spare, less]) == [("it[main].quota.resources[p5].count", ("4",), ("3",))]
    assert changed([spare], [spare, main]) == [
        ("it[main].arn", (), ("a" * 60,)),
        ("it[main].quota.resources", (), ("count 4, instance_type p5",)),
    ]
    assert changed([main, spare], [main]) == [("it", ("name spare, region r",), ())]


def test_elements_of_the_same_name_go_and_come_as_a_whole() -> None:
    """Nothing tells them apart, so that no attribute is shown as if it were of another one."""
    old, new = [{"name": "a", "x": 1}, {"name": "a", "x": 2}], [{"name": "a", "x": 1}, {"name": "a", "x": 3}]
    assert changed(old, new) == [("it", ("name a, x 2",), ("name a, x 3",))]


def test_a_long_statement_comes_element_by_element() -> None:
    """A policy with many prefixes is no text to scroll sideways."""
    resources = [f"arn:aws:s3:::bucket/{number}/*" for number in range(3)]
    assert changed([], [statement(Sid="Read", Action=["a"], Resource=resources)]) == [
        ("it.Read.Action", (), ("a",)),
        ("it.Read.Effect", (), ("Allow",)),
        ("it.Read.Resource", (), tuple(resources)),
    ]


def test_resources_that_stay_have_changed_fields_and_new_ones_all() -> None:
    """What is deleted is told by its action."""
    before, after = (
        desired(team, [CLUSTER], {"imagenet": a_dataset()}, {}, INSTALLATION)
        for team in (a_team(), a_team(members=[{"account": "222222222222"}], access="view"))
    )
    (new,) = (key for key in before if key.kind is Kind.COMPUTE_QUOTA)
    fields = {change["field"]: change["added"] for change in changed_resources([new], before, {})[str(new)]}
    assert fields["resources"] == ("Count 2, InstanceType ml.p5.48xlarge",)
    assert fields["sharing.Strategy"] == ("LendAndBorrow",)
    changes = changed_resources([*before, *after], after, before)
    assert {key.partition("|")[0] for key, fields in changes.items() if fields} == {"access_entry", "ssm_parameter"}
    gone = [key for key in before if key.kind is Kind.ACCESS_ENTRY and key not in after]
    assert len(gone) == 1
    assert str(gone[0]) not in changes
