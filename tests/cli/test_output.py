"""What the command prints fits into the place that it is printed to."""

import io

import pytest
from rich.console import Console

from podshare_cli.output import ListTable

HEADERS = ("team", "state", "members", "why not")


def printed(width: int) -> list[str]:
    """A table as a terminal of this width shows it."""
    table = ListTable(*HEADERS, expendable=("members", "state"))
    table.add_row("[bold]vision[/]", "READY", "222222222222", "account 444444444444 is suspended")
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(table)
    text = console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
    return [line.rstrip() for line in text.splitlines()]


@pytest.mark.parametrize(
    ("width", "headers"),
    [
        (120, HEADERS),
        (60, HEADERS),
        (50, ("team", "state", "why not")),
        (36, ("team", "why not")),
        (20, ("team", "why not")),
    ],
)
def test_columns_that_matter_least_are_left_out_first(width: int, headers: tuple[str, ...]) -> None:
    """A narrow terminal gets fewer columns, the one that says what is wrong last, and no line is too long."""
    lines = printed(width)
    assert [header for header in HEADERS if header in lines[0]] == list(headers)
    assert max(map(len, lines)) <= width
