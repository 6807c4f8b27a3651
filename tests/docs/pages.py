"""The documentation as data: its pages, code blocks, code spans, links and tables."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_SHOWN = re.compile(r"^```sh\n((?:(?!```).*\n)*)```\n\n```text\n((?:(?!```).*\n)*)```$", re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Output:
    """What a page shows below a shell block: what the block's last command prints."""

    command: str
    text: str


@dataclass(frozen=True)
class Page:
    """One Markdown file."""

    path: Path

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))

    @cached_property
    def text(self) -> str:
        """The file as it is."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def prose(self) -> str:
        """The text without its code blocks."""
        return _FENCE.sub("", self.text)

    @property
    def spans(self) -> list[str]:
        """What stands between backticks."""
        return _SPAN.findall(self.prose)

    @property
    def links(self) -> list[str]:
        """The targets of links and pictures."""
        return _LINK.findall(self.prose)

    @property
    def anchors(self) -> set[str]:
        """The anchors that GitHub gives to the headings."""
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in _HEADING.findall(self.prose)}

    def blocks(self, language: str) -> list[str]:
        """The code blocks in a language, without the indentation of the list that they stand in."""
        found = [body for name, body in _FENCE.findall(self.text) if name == language]
        return [
            re.sub(r"^  (?= *\S)", "", body, flags=re.MULTILINE) if body.startswith("  ") else body for body in found
        ]

    @property
    def commands(self) -> Iterator[str]:
        """The lines of shell blocks, continued ones joined, comments left out."""
        for block in self.blocks("sh"):
            yield from _commands(block)

    @property
    def outputs(self) -> list[Output]:
        """What the page shows below its commands."""
        return [Output([*_commands(typed)][-1], text) for typed, text in _SHOWN.findall(self.text)]

    def renew(self, output: Output, text: str) -> None:
        """Show another text below a command, in the file as it is by now."""
        now = self.path.read_text(encoding="utf-8")
        (place,) = (each.span(2) for each in _SHOWN.finditer(now) if [*_commands(each[1])][-1] == output.command)
        self.path.write_text(now[: place[0]] + text + now[place[1] :], encoding="utf-8")

    def section(self, heading: str) -> str:
        """The text below a heading, to the next one of any level."""
        start = re.search(rf"^#+ {re.escape(heading)}$", self.text, re.MULTILINE)
        assert start, f"{self} has no heading {heading!r}"
        end = re.search(r"^#+ ", self.text[start.end() :], re.MULTILINE)
        return self.text[start.end() : start.end() + end.start() if end else None]

    def tables(self, heading: str) -> list[list[list[str]]]:
        """The tables below a heading: rows of cells, without the head."""
        found = re.findall(r"(?:^\|.*\|\n)+", self.section(heading), re.MULTILINE)
        return [[_cells(line) for line in table.splitlines()[2:]] for table in found]

    def table(self, heading: str) -> list[list[str]]:
        """The first table below a heading."""
        return self.tables(heading)[0]


def _commands(block: str) -> Iterator[str]:
    """The lines of a shell block, continued ones joined, comments left out."""
    for line in block.replace("\\\n", " ").splitlines():
        if command := line.partition(" #")[0].strip():
            yield command


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def code(cell: str) -> list[str]:
    """What stands between backticks in a cell."""
    return _SPAN.findall(cell)


README = Page(ROOT / "README.md")
REGISTRY, OPERATIONS, SECURITY, SANDBOX, DEPLOY, UPGRADE, UNINSTALL, LIMITS, ARCHITECTURE, TUTORIAL = (
    Page(ROOT / "docs" / f"{name}.md")
    for name in (
        "registry",
        "operations",
        "security",
        "sandbox",
        "deploy",
        "upgrade",
        "uninstall",
        "limits",
        "architecture",
        "tutorial",
    )
)
BESIDE = [Page(ROOT / name / "README.md") for name in ("events", "examples/gitops")]
DECISIONS = [Page(path) for path in sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))]
ROOT_PAGES = [
    Page(ROOT / f"{name}.md")
    for name in ("README", "CONTRIBUTING", "CHANGELOG", "SECURITY", "sandbox/README", "sandbox/CHANGELOG")
]
PAGES = [*ROOT_PAGES, *map(Page, sorted((ROOT / "docs").glob("*.md"))), *BESIDE, *DECISIONS]
