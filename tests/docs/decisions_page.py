"""Renders docs/decisions/README.md: every decision with its date, status and result, read from the decisions."""

import re

from tests.docs.pages import DECISIONS, ROOT, Page

PAGE = ROOT / "docs" / "decisions" / "README.md"
_LINK = re.compile(r"\[\d{4}\]\([^)]+\)")
INTRODUCTION = """# Decisions

Why podshare is built as it is: context, decision, consequences, half a page each. This index is written by `make golden` from the decisions themselves. To add one, take the next number, begin like the others (title, `Date:`, `Decided:`), and say in both where one supersedes or amends another ("Superseded by", "Amended by" in the older one).{unused}

| number | date | decision | status |
|---|---|---|---|
"""


def page() -> str:
    """The whole page."""
    introduction = INTRODUCTION.format(unused=_unused())
    return introduction + "".join(f"{_row(decision)}\n" for decision in DECISIONS)


def successors(decision: Page, how: str) -> list[str]:
    """The decisions, as links, that a decision says it is ``how`` (Superseded, Amended) by."""
    line = re.search(rf"^{how} by (.+)$", decision.text, re.MULTILINE)
    return _LINK.findall(line[1]) if line else []


def predecessors(decision: Page, how: str) -> list[str]:
    """The decisions, as links, that a decision says it ``how`` (supersedes, amends)."""
    lists = re.findall(rf"\b{how} ((?:{_LINK.pattern}(?:, | and )?)+)", decision.text, re.IGNORECASE)
    return [link for found in lists for link in _LINK.findall(found)]


def _unused() -> str:
    """The numbers that no decision has, in a sentence."""
    numbers = [int(decision.path.name[:4]) for decision in DECISIONS]
    unused = [f"{number:04}" for number in range(1, max(numbers)) if number not in numbers]
    return f" No decision has the numbers {', '.join(unused[:-1])} and {unused[-1]}." if unused[1:] else ""


def date(decision: Page) -> str:
    """The day on which it was taken. Raises ValueError where it names none."""
    return _line(decision, r"^Date: (\d{4}-\d{2}-\d{2})$")


def result(decision: Page) -> str:
    """What was decided, in one sentence. Raises ValueError where it does not say so."""
    sentence = re.split(r"(?<=[.;:]) ", _line(decision, r"^Decided: (.+)$"))[0]
    return sentence.rstrip(".;:")


def _row(decision: Page) -> str:
    number, title = _line(decision, r"^# (\d{4}: .+)$").split(": ", 1)
    states = {how: ", ".join(successors(decision, how)) for how in ("Superseded", "Amended")}
    status = "; ".join(f"{how.lower()} by {links}" for how, links in states.items() if links) or "in force"
    return f"| [{number}]({decision.path.name}) | {date(decision)} | **{title}.** {result(decision)} | {status} |"


def _line(decision: Page, pattern: str) -> str:
    found = re.search(pattern, decision.text, re.MULTILINE)
    if not found:
        raise ValueError(f"{decision} has no line {pattern}")
    return found[1]
