"""What the command prints fits into the place that it is printed to."""

import io

import pytest
from rich.console import Console

from podshare_cli.output import ListTable, print_lines

HEADERS = ("team", "state", "members", "why not")


def printed(width: int) -> list[str]:
    """A table as a terminal of this width shows it."""
    table = ListTable(*HEADERS, expendable=("members", "state"))
    table.add_row("[bold]vision[/]", "READY", "222222222222", "account 444444444444 is suspended")
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(table, crop=False)
    text = console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
    return [line.rstrip() for line in text.splitlines()]


@pytest.mark.parametrize(
    ("width", "headers"),
    [
        (120, HEADERS),
        (60, HEADERS),
        (50, ("team", "state", "why not")),
        (36, ("team", "why not")),
    ],
)
def test_columns_that_matter_least_are_left_out_first(width: int, headers: tuple[str, ...]) -> None:
    """A narrow terminal gets fewer columns, the one that says what is wrong last, and no line is too long."""
    lines = printed(width)
    assert [header for header in HEADERS if header in lines[0]] == list(headers)
    assert max(map(len, lines)) <= width


def test_no_name_is_broken_where_even_the_columns_that_matter_do_not_fit() -> None:
    """Each row is a block of lines then, and a name that is wider than the terminal is whole."""
    words = ["vision", "why not account", "444444444444", "is", "suspended"]
    assert [" ".join(line.split()) for line in printed(20)] == words


def test_no_cell_is_cut_where_columns_are_left_out() -> None:
    """The columns that stay have their whole width, also where one in the middle is left out."""
    table = ListTable("account", "path", "teams", "since", expendable=("path",))
    table.add_row("111111111111", "Root/Science/Platform/Clusters", "theirs\nvision", "3 min ago")
    console = Console(file=io.StringIO(), width=40, force_terminal=True, color_system=None)
    console.print(table)
    lines = [line.split() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]  # a StringIO
    assert lines == [["account", "teams", "since"], ["111111111111", "theirs", "3", "min", "ago"], ["vision"]]


def test_a_table_of_which_all_matters_becomes_blocks_where_it_does_not_fit() -> None:
    """No account's id and no name is broken over lines of a narrow column, and nothing is left out."""
    role = "222222222222 role/podshare-vision-scientist"
    for width, is_table in ((200, True), (60, False)):
        table = ListTable("team", "who", "may", "through", "granted by")
        table.add_row(
            "[bold]vision[/]", role, "training jobs, jobs and pods, and logs", "", "team#vision member 222222222222"
        )
        table.add_row("", "behind it: 444444444444 role/Analyst", style="dim")
        console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
        console.print(table)
        lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]  # a StringIO
        assert max(map(len, lines)) <= width
        assert any(role in line and (is_table or "who" in line) for line in lines)
        assert ("granted by" in lines[0]) is is_table
        assert [line.split() for line in lines if "through" in line] == ([lines[0].split()] if is_table else [])
        assert any("behind it: 444444444444 role/Analyst" in line for line in lines)


@pytest.mark.parametrize(("width", "is_table"), [(200, True), (90, True), (80, False), (60, False)])
def test_a_name_is_not_broken_in_two_to_make_room_for_a_column(width: int, is_table: bool) -> None:
    """Whoever copies it has all of it: a column is as wide as its longest word, or the row is a block."""
    name, data = "podshare-vision-f738d0b5-of-an-account", "s3://images/imagenet/*"
    table = ListTable("may", "of", "through")
    table.add_row("list, read and write", data, f"{name} and pods as trainer")
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(table)
    lines = capture.get().splitlines()
    assert lines[0].split() == ["may", "of", "through"] if is_table else lines[0] == "list, read and write"
    assert any(name in line for line in lines)
    assert any(data in line for line in lines)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_long_line_goes_on_below_between_two_words(is_terminal: bool) -> None:
    """A field's path or a resource's name is whole; a pipe gets the line as it is."""
    line = "    [yellow]~ value.clusters.main.quota.resources: count 4, instance_type ml.p5.48xlarge → count 3[/]"
    console = Console(file=io.StringIO(), width=60, force_terminal=is_terminal, color_system=None)
    print_lines(console, [line, "[bold]short[/]"])
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]  # a StringIO
    if is_terminal:
        assert lines == [
            "    ~ value.clusters.main.quota.resources: count 4,",
            "        instance_type ml.p5.48xlarge → count 3",
            "short",
        ]
    else:
        assert lines == [line.replace("[yellow]", "").replace("[/]", ""), "short"]
