"""A record is changed in its file, and nothing else of the file is: comments, order and spelling stay."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podshare_cli.records.changes import content
from podshare_cli.records.documents import to_yaml
from podshare_cli.records.strict_yaml import documents
from podshare_cli.records.yaml_edits import with_record

TEXT = """\
# The image models
id: team#vision
cluster: main  # in us-west-2
owner: 'priya@example.com'
reason: Trains the image models

members:
  # the team's own account
  - account: "222222222222"
    access: [view, edit]

  - account: "444444444444"  # language helps
service_accounts:
- name: trainer
  datasets:
  - {dataset: imagenet, access: read}  # for training
# the end
---
id: dataset#imagenet
bucket: images
"""


def vision() -> dict[str, Any]:
    (document, _) = documents(TEXT)
    return dict(copy.deepcopy(document.value))


def changed_lines(item: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The lines that an edit removes, and those that it adds."""
    edited = with_record(TEXT, item)
    before, after = TEXT.splitlines(), edited.splitlines()
    assert content(next(documents(edited)).value) == content(item)
    return [line for line in before if line not in after], [line for line in after if line not in before]


def test_what_says_the_same_stays_as_it_is() -> None:
    """Who wrote a record, and a version of the format that was left out, are no difference."""
    assert with_record(TEXT, {**vision(), "schema": 1, "changed_by": "arn:x", "change": {"version": 3}}) == TEXT


def test_a_value_is_changed_in_its_line() -> None:
    """The comment behind a value, and the quotes of other values, stay."""
    assert changed_lines({**vision(), "cluster": "east"}) == (["cluster: main  # in us-west-2"], ["cluster: east  # in us-west-2"])  # fmt: skip


def test_a_field_comes_behind_the_others() -> None:
    """A new field is added at the end of the record, before what is written behind it."""
    assert changed_lines({**vision(), "expires": "2034-01-31T18:00:00Z"}) == ([], ["expires: '2034-01-31T18:00:00Z'"])
    assert changed_lines({**vision(), "rbac": "debug", "quota": {"count": 2}})[1] == [
        "rbac: debug",
        "quota:",
        "  count: 2",
    ]


def test_a_field_goes_with_its_lines() -> None:
    """The comments around a field stay."""
    item = vision()
    del item["members"]
    removed, added = changed_lines(item)
    assert removed == [
        "members:", "  # the team's own account", '  - account: "222222222222"', "    access: [view, edit]",
        '  - account: "444444444444"  # language helps',
    ]  # fmt: skip
    assert added == []


def test_of_a_list_only_what_differs_is_written_again() -> None:
    """A line more or less leaves the others, with their comments and their indentation."""
    item = vision()
    item["members"].append({"account": "777777777777"})
    assert changed_lines(item) == ([], ['  - account: "777777777777"'])
    del item["members"][0]
    assert changed_lines(item) == (
        ['  - account: "222222222222"', "    access: [view, edit]"], ['  - account: "777777777777"']
    )  # fmt: skip
    item = vision()
    item["members"][0]["access"] = ["admin"]
    assert changed_lines(item) == (["    access: [view, edit]"], ["    access:", "    - admin"])


@pytest.mark.parametrize("style", [">-", ">", "|", "|-", "|+"])
def test_a_text_of_several_lines_is_replaced_alone(style: str) -> None:
    """Comments behind other fields stay, whether it is the last field or is followed by others."""
    before = "id: team#vision  # the team\nowner: priya  # who\n"
    text = f"reason: {style}\n  Trains\n  models\n"
    for spelled in (f"{before}{text}cluster: main  # where\n", f"{before}cluster: main  # where\n{text}"):
        edited = with_record(spelled, {"id": "team#vision", "owner": "priya", "cluster": "main", "reason": "Ends"})
        assert {*edited.splitlines()} == {*f"{before}cluster: main  # where\nreason: Ends".splitlines()}
        gone = with_record(spelled, {"id": "team#vision", "owner": "priya", "cluster": "main"})
        assert gone == f"{before}cluster: main  # where\n"
        more = with_record(edited, {**content(next(documents(edited)).value), "reason": "Ends", "access": "view"})
        assert "# the team" in more
        assert "access: view\n" in more


def test_what_is_in_braces_is_replaced_whole() -> None:
    """A mapping in braces becomes one in lines."""
    item = vision()
    item["service_accounts"][0]["datasets"][0]["access"] = "read_write"
    removed, added = changed_lines(item)
    assert removed == ["  - {dataset: imagenet, access: read}  # for training"]
    assert added == ["  - dataset: imagenet", "    access: read_write  # for training"]


@pytest.mark.parametrize(
    "text",
    [
        "a: &same {account: '222222222222'}\nid: team#x\nmembers: [*same]\nb: *same\n",
        "base: &base\n  x: 1\nid: team#x\nmembers:\n- <<: *base\n  y: 2\n",
        '{"id": "team#x", "members": [{"account": "222222222222"}]}',
        "id: team#x\nmembers: |\n  text\n\n# behind\n",
        "id: team#x\nmembers:\n-\n  account: '222222222222'\n- x\n",
        "id: team#x\nmembers:\n- - a\n  - b\n- x",
    ],
)
def test_other_spellings_say_the_same_at_the_end(text: str) -> None:
    """Where lines cannot be replaced one by one the document is written whole."""
    for members in ([], [{"account": "444444444444"}, "x"], [["b"], "x", "y"], "text", None):
        item = {**next(iter(documents(text))).value, "members": members}
        (document,) = documents(with_record(text, item))
        assert content(document.value) == content(item)


WORDS = st.text("ab #:-'\"|>{}[]&*!%@`,?\n\té0123456789", max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.dictionaries(st.sampled_from(["members", "quota", "owner", "reason"]), VALUES, max_size=4)


@given(RECORDS, RECORDS)
def test_any_record_becomes_any_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Whatever was in the file: afterwards it holds the record, and the other documents as they were."""
    other = "# first\nid: dataset#other\n"
    text = f"{other}---\n# about x\n{to_yaml({'id': 'team#x', **before})}# behind\n"
    edited = with_record(text, {"id": "team#x", **after})
    first, second = documents(edited)
    assert first.value == {"id": "dataset#other"}
    assert content(second.value) == content({"id": "team#x", **after})
    assert edited.startswith(other)
