"""Lines that are too long for a terminal go on below; no word is broken, and no line ends with blanks."""

import re
from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderableType, RenderHook, RenderResult
from rich.segment import Segment
from rich.text import Text

_DEEPER = 4  # of what a long line goes on with
_NARROWEST = 24  # of what a last column goes on in
_COMMAND = r"(?:podshare(?! has | is | was )|aws|kubectl|export)(?: \S+)+"
# what is not broken: a command in backquotes, at the end behind a colon or at the beginning, and any word
_WORD = re.compile(rf"[^\s`]*`[^`]+`\S*|(?<=: ){_COMMAND}(?<!\.)$|^ *{_COMMAND}|\S+")
_COLUMN = re.compile(r"(?<=\S) {2,}(?=\S)")  # what comes before the last column of a line


def folded(line: Text, width: int, hanging: Text | None = None) -> list[Text]:
    """A line, and below it what is too much for the width: behind ``hanging``, by default deeper or in its last column.

    A word or a command to copy that is longer than the width is whole all the same.
    """
    if cell_len(line.plain) <= width:
        return [line]
    column = None if hanging is not None else _COLUMN.search(line.plain)
    if column and column.end() > width - _NARROWEST:
        return [line[: column.start()], *_behind(_below(line), line[column.end() :], width)]
    if column:
        hanging = Text(" " * column.end())
    behind = _below(line) if hanging is None else hanging
    first, *others = _filled(line, width, width - cell_len(behind.plain), len(hanging.plain) if hanging else 0)
    return [first, *(behind + part for part in others)]


def _behind(hanging: Text, line: Text, width: int) -> list[Text]:
    room = width - cell_len(hanging.plain)
    return [hanging + part for part in _filled(line, room, room)]


def _below(line: Text) -> Text:
    """What a line begins with that goes on below this one."""
    return Text(" " * (len(line.plain) - len(line.plain.lstrip(" ")) + _DEEPER))


def _filled(line: Text, first: int, others: int, head: int = 0) -> list[Text]:
    """A line's words on as few lines as they fit on: so much room on the first, and on each other.

    The first word behind a ``head`` of so many characters stays there.
    """
    lines, begin, end = list[Text](), 0, 0
    for word in _WORD.finditer(line.plain):
        if end and word.start() > head and cell_len(line.plain[begin : word.end()]) > (others if lines else first):
            lines.append(line[begin:end])
            begin = word.start()
        end = word.end()
    return [*lines, line[begin:end]]


class Folded:
    """Lines among other renderables, each with what stands before what goes on below it, if not as usual."""

    def __init__(self, lines: Iterable[tuple[Text, Text | None]]) -> None:
        self._lines = [*lines]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line, hanging in self._lines:
            for part in folded(line, options.max_width, hanging):
                part.no_wrap, part.overflow = True, "ignore"
                yield part


def text(markup: str) -> Folded:
    """Lines of markup."""
    return Folded((line, None) for line in Text.from_markup(markup).split("\n", allow_blank=True))


def facts(rows: Iterable[tuple[str, str]], indent: int = 0, style: str = "") -> Folded:
    """Labels and what each is about, in markup."""
    labelled = [*rows]
    width = max((cell_len(label) for label, _ in labelled), default=0)
    below = Text(" " * (indent + width + 2))
    lines = list[tuple[Text, Text | None]]()
    for label, cell in labelled:
        head = Text(" " * indent).append(label.ljust(width), "dim").append("  ")
        for number, part in enumerate(Text.from_markup(cell, style=style).split("\n", allow_blank=True)):
            lines.append(((below if number else head) + part, below))
    return Folded(lines)


def tree(title: str, branches: Sequence[tuple[str, Sequence[str]]]) -> Folded:
    """Branches below a title, each with its leaves; all in markup."""
    return Folded([(Text.from_markup(title), None), *_hung(branches, Text())])


def _hung(branches: Sequence[tuple[str, Sequence[str]]], before: Text) -> Iterable[tuple[Text, Text]]:
    for number, (item, leaves) in enumerate(branches, 1):
        is_last = number == len(branches)
        head, below = (before + Text(guide, "dim") for guide in (("└── ", "    ") if is_last else ("├── ", "│   ")))
        for place, part in enumerate(Text.from_markup(item).split("\n", allow_blank=True)):
            yield (below if place else head) + part, below
        yield from _hung([(leaf, ()) for leaf in leaves], below)


class _Trimmed:
    """What a renderable prints, without blanks at the ends of its lines."""

    def __init__(self, renderable: RenderableType) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        held: list[Segment] = []  # blanks: printed only if something comes after them
        for segment in console.render(self._renderable, options):
            for part in [segment] if segment.control else _parts(segment):
                if not part.control and not part.text.strip(" "):
                    held.append(part)
                    continue
                yield from () if part.text == "\n" else held
                held.clear()
                yield part
        yield from held


def _parts(segment: Segment) -> Iterable[Segment]:
    """Newlines, the blanks before them and at the end, and what is neither, one by one."""
    for part in filter(None, re.split(r"(\n| +(?=\n|$))", segment.text)):
        yield Segment(part, segment.style)


class _Trimming(RenderHook):
    """Lets a console print no blanks at the ends of lines."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """The same, without them."""
        return [_Trimmed(renderable) for renderable in renderables]


def trimming(console: Console) -> Console:
    """The console, which prints no blanks at the ends of lines from now on."""
    console.push_render_hook(_Trimming())
    return console
