"""The security model claims nothing without the test that holds it.

A claim is a paragraph, a list or a table, with the sentence that introduces it. It names its tests itself, or in a
paragraph right behind it that begins with "Held by". What podshare does not do, and what others have to, claims nothing.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from tests.docs.pages import PAGES, ROOT, Page

SECURITY = Page(ROOT / "docs/security.md")
# how parts begin that claim nothing: contents, limits, duties of others, facts about AWS and Kubernetes
NO_CLAIMS = (
    "- [Who trusts whom]",
    "These policies have three limits:",
    "What this does not cover:",
    "An access report does not cover:",
    "Not read as doors",
    "Changes in IAM, EKS and S3 take effect within seconds",
)
HELD_BY = "Held by"
_SPAN = re.compile(r"`([^`\n]*::[^`\n]*)`")
_TEST = re.compile(r"(tests/[\w/]+\.py)?::(test_\w+)")


def parts(text: str) -> Iterator[str]:
    """The page's claims: a sentence that ends in a colon belongs to what follows, "Held by" to what is before it."""
    part = ""
    for block in re.split(r"\n{2,}", re.sub(r"^#+ .*$", "", text, flags=re.MULTILINE).strip()):
        if part.endswith(":") or block.startswith(HELD_BY):
            part = f"{part}\n{block}"
        else:
            yield from filter(None, [part])
            part = block
    yield part


def unheld(text: str) -> list[str]:
    """The claims that name no test."""
    return [part for part in parts(text) if not part.startswith(NO_CLAIMS) and not _SPAN.search(part)]


def missing(text: str) -> list[str]:
    """The tests that are named and do not exist; after a test of a file another one of it may stand without the file."""
    found = []
    for block in re.split(r"\n{2,}", text):
        path = ""
        for span in _SPAN.findall(block):
            named = _TEST.fullmatch(span)
            path = named[1] or path if named else ""
            if span.startswith(("tests/", "::")) and not (named and named[2] in functions_in(path)):
                found.append(span)
    return found


@cache
def functions_in(path: str) -> frozenset[str]:
    """The tests in a file; none where there is no such file."""
    file = ROOT / path
    tree = ast.parse(file.read_text(encoding="utf-8") if file.is_file() else "")
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def test_each_claim_names_the_test_that_holds_it() -> None:
    """Who reads a claim finds the test of it, and a claim that nobody tests is not made."""
    assert unheld(SECURITY.text) == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_the_tests_that_are_named_exist(page: Page) -> None:
    """A test that was renamed or removed is named by no page."""
    assert missing(page.text) == []


def test_a_part_that_claims_nothing_is_still_there() -> None:
    """An exception that no part of the page needs any more goes."""
    assert [begin for begin in NO_CLAIMS if not any(part.startswith(begin) for part in parts(SECURITY.text))] == []


@pytest.mark.parametrize(
    ("page", "claims"),
    [
        ("# T\n\nOne.\n\nHeld by `tests/a.py::test_a`.\n\nTwo (`tests/a.py::test_a`).", []),
        ("# T\n\nOne.\n\nTwo (`tests/a.py::test_a`).", ["One."]),
        ("# T\n\nOne.\n\n## S\n\nHeld by `tests/a.py::test_a`.\n\nTwo.", ["Two."]),
        ("# T\n\nAll of:\n\n- a\n- b\n\n| c |\n|---|\n| d |\n\nHeld by `tests/a.py::test_a`.", ["All of:\n- a\n- b"]),
        ("# T\n\nWhat this does not cover:\n\n- a\n\nOne.", ["One."]),
    ],
)
def test_a_claim_without_a_test_is_noticed(page: str, claims: list[str]) -> None:
    """The claim itself, not the section, names its test; what stands in between takes it from no other."""
    assert unheld(page) == claims


@pytest.mark.parametrize(
    ("page", "absent"),
    [
        ("`tests/docs/test_security.py::test_the_tests_that_are_named_exist`", []),
        ("`tests/docs/test_security.py::test_the_tests_that_are_named_exist`, `::test_a_claim_without_a_test_is_noticed`", []),
        ("`tests/docs/test_security.py::test_of_yesterday`", ["tests/docs/test_security.py::test_of_yesterday"]),
        ("`tests/docs/test_no.py::test_a`", ["tests/docs/test_no.py::test_a"]),
        ("`tests/docs/test_security.py::parts`", ["tests/docs/test_security.py::parts"]),
        ("`tests/docs/test_security.py::test_the_tests_that_are_named_exist`\n\n`::test_a_claim_without_a_test_is_noticed`", ["::test_a_claim_without_a_test_is_noticed"]),
        ("`arn:aws:iam::111111111111:root`", []),
    ],
)  # fmt: skip
def test_a_name_that_is_none_is_noticed(page: str, absent: list[str]) -> None:
    """File and function must be there, and a name without its file stands behind one of that file."""
    assert missing(page) == absent
