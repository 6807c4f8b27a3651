"""What the command prints: text for people, or JSON and nothing else for machines.

Data goes to stdout, everything said along the way to stderr.
"""

import copy
import datetime
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from rich.cells import cell_len
from rich.console import (
    Console,
    ConsoleOptions,
    Group,
    RenderableType,
    RenderResult,
)
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from podshare.registry.sentences import in_words
from podshare_cli import folding
from podshare_cli.failures import Failure
from podshare_cli.folding import folded, trimming
from podshare_cli.selection import Printed

STATE_STYLES = {
    "READY": "bold green",
    "DELETED": "green",
    "ENDED": "green",
    "WAITING": "bold yellow",
    "HELD": "bold yellow",
    "DEGRADED": "bold red",
    "REJECTED": "bold red",
    "FAILED": "bold red",
    "PAUSED": "bold yellow",
    "SWEPT": "bold green",
    "ACTIVE": "green",
    "PENDING_ACTIVATION": "yellow",
    "SUSPENDED": "red",
    "PENDING_CLOSURE": "red",
    "CLOSED": "dim",
    "DEPARTED": "dim",
}


_PIPE_WIDTH = 10_000  # wider than any line
_WIDE_CELL = 24  # what is longer may be folded


class ListTable(Table):
    """A table without lines; where it does not fit into a terminal, the columns that matter least are left out.

    ``expendable`` are the headers of those columns, the first to go first. Where the others do not fit without
    breaking a name in two, each row becomes a block of lines.
    """

    def __init__(self, *headers: str, expendable: Sequence[str] = ()) -> None:
        columns = (Column(header, overflow="fold") for header in headers)
        super().__init__(*columns, box=None, show_header=any(headers), header_style="dim", pad_edge=False)
        self._expendable = expendable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        fitting = copy.copy(self)
        for header in self._expendable:
            if _needed_width(fitting) <= options.max_width:
                break
            kept = (column for column in fitting.columns if column.header != header)
            # the index says which column is the last one, which has no padding
            fitting.columns = [replace(column, _index=index) for index, column in enumerate(kept)]
        if all(isinstance(cell, str) for column in fitting.columns for cell in column.cells):  # no bar among them
            widths = _widths_for_words(fitting, options.max_width)
            if not widths:
                return _blocks(fitting)
            columns = zip(fitting.columns, widths, strict=True)
            fitting.columns = [replace(column, width=width) for column, width in columns]
        return Table.__rich_console__(fitting, console, options)


def _blocks(table: Table) -> RenderResult:
    """Each row as a block of lines, below its first cell, or its first two where that is a mark."""
    headers = [str(column.header) for column in table.columns]
    titles = 2 if any(headers) and not headers[0] else 1
    for row, cells in zip(table.rows, zip(*(column.cells for column in table.columns), strict=True), strict=True):
        style = str(row.style or "")
        if title := " ".join(map(str, filter(None, cells[:titles]))):
            yield folding.text(f"[{style}]{title}[/]" if style else title)
        labelled = zip(headers[titles:], map(str, cells[titles:]), strict=True)
        yield folding.facts(((label, cell) for label, cell in labelled if cell), indent=2, style=style)


def _needed_width(table: Table) -> int:
    """With each cell of a column that is not too long on one line."""
    return sum(min(_WIDE_CELL, max(map(_width, [column.header, *column.cells]))) + 2 for column in table.columns)


def _widths_for_words(table: Table, whole: int) -> Sequence[int]:
    """The widths at which no word of a column is broken, and as much more as there is; none if they do not fit."""
    cells = [[column.header, *column.cells] for column in table.columns]
    longest = [max(map(_width, column)) for column in cells]
    words = [max(map(_word_width, column)) for column in cells]
    widths = [max(word, min(_WIDE_CELL, most)) for word, most in zip(words, longest, strict=True)]
    spare = whole - sum(widths) - 2 * len(widths)
    if spare < 0:
        return ()
    # the columns that lack least get it all, and leave the rest to the others
    order = sorted(range(len(widths)), key=lambda index: longest[index] - widths[index])
    for place, index in enumerate(order):
        more = min(longest[index] - widths[index], spare // (len(order) - place))
        widths[index] += more
        spare -= more
    return widths


def _word_width(cell: RenderableType) -> int:
    return max(map(cell_len, Text.from_markup(cell).plain.split()), default=0) if isinstance(cell, str) else 0


def _width(cell: RenderableType) -> int:
    if not isinstance(cell, str):  # a bar is as long as it may be
        return _WIDE_CELL
    return max(map(cell_len, Text.from_markup(cell).plain.splitlines()), default=0)


def stdout() -> Console:
    """Where data goes. Long lines are folded in a terminal and left whole in a pipe."""
    console = Console(highlight=False, emoji=False)
    return trimming(console if console.is_terminal else Console(highlight=False, emoji=False, width=_PIPE_WIDTH))


def stderr() -> Console:
    """Where progress and errors go."""
    return trimming(Console(stderr=True, highlight=False, emoji=False))


def print_lines(console: Console, lines: Iterable[str | Text]) -> None:
    """Lines of markup, folded in a terminal and left whole in a pipe."""
    for line in lines:
        text = Text.from_markup(line) if isinstance(line, str) else line
        for part in folded(text, console.width) if console.is_terminal else [text]:
            console.print(part, soft_wrap=True)


def plain_lines(text: str) -> Iterable[Text]:
    """The lines of a text without markup."""
    return map(Text, text.splitlines() or [""])


def say(text: str) -> None:
    """Plain text on stderr."""
    print_lines(stderr(), plain_lines(text))


def print_json(data: object, printed: Printed) -> None:
    """What is ``printed`` of data as JSON, on stdout. Raises Failure where a selection does not fit the data."""
    for text in printed(json.loads(json.dumps(data, default=_plain))):
        print(text)  # noqa: T201  # rich would fold and color it


def _plain(value: object) -> object:
    match value:
        case datetime.datetime():
            return value.astimezone(datetime.UTC).isoformat(timespec="seconds")
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case set() | frozenset():
            return sorted(value)
        case _:
            return str(value)


def print_failure(failure: Failure, *, as_json: bool) -> None:
    """Report on stderr what went wrong, to what, and what to do."""
    console = stderr()
    if as_json:
        console.out(json.dumps(failure.as_dict()), highlight=False)
        return
    first, *others = failure.what.splitlines() or [""]
    lines = [f"[bold red]✗[/] {escape(first)}", *map(escape, others)]
    lines += [f"  {escape('. '.join(problem_text(problem)).rstrip())}" for problem in failure.problems]
    lines += [f"  {escape(line)}" for line in failure.remedy.splitlines()]
    print_lines(console, lines)


def stacked(parts: Iterable[RenderableType]) -> Group:
    """Parts one below the other; text is markup."""
    return Group(*(folding.text(part) if isinstance(part, str) else part for part in parts))


def text_with_remedy(what: str, remedy: str) -> str:
    """A problem and what to do, in markup."""
    return f"[bold red]✗[/] {escape(what)}\n  [dim]→[/] {escape(remedy)}"


def state_text(state: str | None) -> str:
    """A team's or account's state in its color; a dash where podshare has not got to it yet."""
    if state is None:
        return "[dim]—[/]"
    return f"[{STATE_STYLES.get(state, 'bold')}]{escape(state)}[/]"


def problem_text(problem: Mapping[str, Any]) -> tuple[str, str]:
    """A problem and its remedy in a line each: of the world outside, or of a record's field, with its place in a file.

    No part of it is ever cut.
    """
    what = in_words(problem)
    place = ":".join(str(problem[name]) for name in ("file", "line", "column") if name in problem)
    return f"{place} {what}" if place else what, str(problem.get("remedy", ""))


def orphaned_text(resource: Mapping[str, Any]) -> str:
    """What nobody can clean any more, because its account has gone; in markup."""
    return f"[yellow]-[/] {escape(str(resource['what']))}\n  [dim]→[/] {escape(str(resource.get('remedy', '')))}"


def utc_text(moment: datetime.datetime) -> str:
    """A moment for a table, to the second, in UTC as everywhere."""
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def ago(moment: str | None) -> str:
    """How long ago something was, in one unit."""
    if not moment:
        return "never"
    past = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(moment)
    seconds = max(0, int(past.total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit} ago"
    return f"{seconds} s ago"
