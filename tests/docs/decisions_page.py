"""Renders docs/decisions/README.md: every decision with its date, status and result, read from the decisions."""

import re

from tests.docs.pages import DECISIONS, ROOT, Page

PAGE = ROOT / "docs" / "decisions" / "README.md"
INTRODUCTION = """# Decisions

Why podshare is built as it is: context, decision, consequences, half a page each. This index is written by `make golden` from the decisions themselves. To add one, take the next number, begin like the others (title, `Date:`, `Decided:`), and say in both where one supersedes another.

| number | date | decision | status |
|---|---|---|---|
"""


def page() -> str:
    """The whole page."""
    return INTRODUCTION + "".join(f"{_row(decision)}\n" for decision in DECISIONS)


def date(decision: Page) -> str:
    """The day on which it was taken. Raises ValueError where it names none."""
    return _line(decision, r"^Date: (\d{4}-\d{2}-\d{2})$")


def result(decision: Page) -> str:
    """What was decided, in one sentence. Raises ValueError where it does not say so."""
    sentence = re.split(r"(?<=[.;:]) ", _line(decision, r"^Decided: (.+)$"))[0]
    return sentence.rstrip(".;:")


def _row(decision: Page) -> str:
    number, title = _line(decision, r"^# (\d{4}: .+)$").split(": ", 1)
    superseded = re.search(r"^Superseded by (\[\d{4}\]\([^)]+\))", decision.text, re.MULTILINE)
    status = f"superseded by {superseded[1]}" if superseded else "in force"
    return f"| [{number}]({decision.path.name}) | {date(decision)} | **{title}.** {result(decision)} | {status} |"


def _line(decision: Page, pattern: str) -> str:
    found = re.search(pattern, decision.text, re.MULTILINE)
    if not found:
        raise ValueError(f"{decision} has no line {pattern}")
    return found[1]
