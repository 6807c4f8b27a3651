"""A plan as a comment of a pull request: the summary first, what is long folded, and no longer than GitHub takes."""

import re
from collections.abc import Iterator, Sequence

from podshare_cli.views.plan import CHANGED, WAITS, Line, Section, View

LONGEST_COMMENT = 65_536  # characters (GitHub refuses a longer body)
_RESERVED = 1_000  # for the sentence on what is left out
_MOST_NAMED = 10
_DIFF_MARKS = {CHANGED: "!", WAITS: " "}  # GitHub colors lines of a diff by +, - and !


def markdown(view: View) -> str:
    """The plan as one comment. What does not fit is left out whole, which its last sentence says."""
    installation = view.plan.installation
    place = f"{installation['prefix']} in account {installation['account']}, {installation['region']}"
    conclusion, *others = view.conclusion()
    header = "; ".join(filter(None, (place, view.isolation)))
    parts = [f"### podshare plan\n\n**{conclusion}** ({header})\n"]
    size, left_out = _size("".join(parts)), list[str]()
    for title, part in (*((line, f"{line}\n") for line in others), *_parts(view)):
        if size + _size(part) > LONGEST_COMMENT - _RESERVED:
            left_out.append(title)
            continue
        parts.append(part)
        size += _size(part)
    return "\n".join([*parts, *_left_out(left_out)])


def _parts(view: View) -> Iterator[tuple[str, str]]:
    """Each part of the comment with its title, the most important first."""
    for section in view.summary():
        if section.lines:
            yield section.title, f"#### {section.title}\n\n{_diff(section.lines)}\n"
    for section in view.details():
        if section.lines:
            yield section.title, _folded(section)


def _folded(section: Section) -> str:
    title = section.title.replace("&", "&amp;").replace("<", "&lt;")
    return f"<details><summary>{title}</summary>\n\n{_diff(section.lines)}\n\n</details>\n"


def _diff(lines: Sequence[Line]) -> str:
    """Lines as a diff, in a fence that none of them ends."""
    text = "\n".join(map(_diff_line, lines))
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}diff\n{text}\n{fence}"


def _diff_line(line: Line) -> str:
    return f"{_DIFF_MARKS.get(line.mark, line.mark)} {'  ' * line.depth}{line.visible}".rstrip()


def _left_out(titles: Sequence[str]) -> Iterator[str]:
    if titles:
        names = ", ".join(title.partition(":")[0] for title in titles[:_MOST_NAMED])
        more = f" and {len(titles) - _MOST_NAMED} more" if len(titles) > _MOST_NAMED else ""
        limit = f"a comment holds {LONGEST_COMMENT:,} characters"
        yield f"Left out, because {limit}: {names}{more}. `podshare plan` prints them in full.\n"


def _size(text: str) -> int:
    """The characters of a part as whoever counts in bytes counts them, with the line that parts it from the next."""
    return len(text.encode()) + 1
