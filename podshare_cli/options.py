"""The options that every command has, before or after its name, and how a command is declared.

Only typer is imported here: `podshare --help` starts without boto3, pydantic and rich.
"""

import inspect
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from podshare_cli.failures import interrupted
from podshare_cli.json_option import Commands, completed_arguments

if TYPE_CHECKING:
    from rich.console import RenderableType

    from podshare_cli.aws.connection import Connection
    from podshare_cli.selection import Printed

_PANEL = "Where and how"
_OUTPUT = "Output"
Profile = Annotated[
    str | None,
    typer.Option("--profile", help="The AWS profile to act with (or AWS_PROFILE).", rich_help_panel=_PANEL),
]
Region = Annotated[
    str | None,
    typer.Option("--region", help="The Region that podshare is deployed in (or AWS_REGION).", rich_help_panel=_PANEL),
]
Prefix = Annotated[
    str | None,
    typer.Option("--prefix", help="The prefix of this installation's names (or podshare).", rich_help_panel=_PANEL),
]
Json = Annotated[
    str | None,
    typer.Option(
        "--json",
        metavar="[=FIELDS]",
        help="Print only JSON, for scripts; --json=team,state only these fields of each object.",
        rich_help_panel=_OUTPUT,
        autocompletion=completed_arguments,
    ),
]
Query = Annotated[
    str | None,
    typer.Option(
        "--query",
        metavar="EXPRESSION",
        help="Print what a JMESPath expression selects from the JSON, as in the AWS CLI.",
        rich_help_panel=_OUTPUT,
    ),
]
Jq = Annotated[
    str | None,
    typer.Option(
        "--jq",
        metavar="EXPRESSION",
        help="Print the results of a jq expression over the JSON, as in gh: one a line, strings without quotes.",
        rich_help_panel=_OUTPUT,
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print no progress; only results and errors.", rich_help_panel=_OUTPUT)
]
NoColor = Annotated[
    bool, typer.Option("--no-color", help="Print without colors (or NO_COLOR=1).", rich_help_panel=_OUTPUT)
]
Files = Annotated[
    list[str],
    typer.Argument(metavar="FILE…", help="YAML files with records, or directories of them; - reads standard input."),
]
Yaml = Annotated[bool, typer.Option("--yaml", help="Print YAML that `put` accepts.")]
Reason = Annotated[
    str, typer.Option("--reason", help="Why, kept with the record and shown in the history of its team.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until the run is over, and print how it left the team.")]
WaitForAll = Annotated[
    bool, typer.Option("--wait", help="Wait until the runs of all teams that this affects are over.")
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Leave nothing out: every team, column, name, reason and loss.")
]
RecordFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--file",
        "-f",
        metavar="FILE|DIR",
        help="A YAML file with records, or a directory of them; - reads standard input. May be repeated.",
    ),
]
Prune = Annotated[
    bool,
    typer.Option("--prune", help="Also delete the records that were applied from these files before, and are gone."),
]
DetailedExitCode = Annotated[
    bool,
    typer.Option("--detailed-exitcode", help="Exit with 2 where something would change, with 0 where nothing would."),
]
PriceFile = Annotated[
    Path | None, typer.Option("--prices", metavar="FILE", help="YAML with the price of an hour by instance type.")
]
ProfileOf = Annotated[
    list[str] | None,
    typer.Option("--profile-of", metavar="ID=PROFILE", help="The AWS profile for one account; may be repeated."),
]
AssumeRole = Annotated[
    str | None, typer.Option("--assume-role", metavar="NAME", help="The role to assume in every other account.")
]
_OF_EVERY_COMMAND = (Profile, Region, Prefix, Json, Query, Jq, Quiet, NoColor)  # in the order of the fields of Options


@dataclass(frozen=True)
class Options:
    """What was given of the options that every command has."""

    profile: str | None = None
    region: str | None = None
    prefix: str | None = None
    json_fields: str | None = None  # empty: all fields; None: no JSON, unless query or jq is given
    query: str | None = None
    jq: str | None = None
    quiet: bool = False
    no_color: bool = False

    @cached_property
    def connection(self) -> "Connection":
        """The installation that these options mean."""
        from podshare_cli.aws.connection import DEFAULT_PREFIX, Connection  # boto3 takes its time

        return Connection(self.prefix or DEFAULT_PREFIX, self.profile, self.region)

    @property
    def has_written(self) -> bool:
        """Whether the command may have changed anything."""
        return "connection" in self.__dict__ and self.connection.has_written

    def show(self, data: object, view: "Callable[[], RenderableType] | None" = None) -> None:
        """Print what a command has found on stdout: as JSON, or as its view for people, if it has one for them."""
        if self.as_json:
            self.show_json(data)
        elif view:
            from podshare_cli.folding import text  # rich takes its time
            from podshare_cli.output import stdout

            shown = view()
            stdout().print(text(shown) if isinstance(shown, str) else shown, crop=False)  # long words are whole

    def show_json(self, data: object) -> None:
        """Print what a command has found as JSON, whether or not it was asked for: all of it, or what is selected."""
        from podshare_cli.output import print_json  # rich takes its time

        print_json(data, self._printed)

    @cached_property
    def _printed(self) -> "Printed":
        from podshare_cli.selection import printed_by  # only where JSON is asked for

        return printed_by(self.json_fields or "", self.query, self.jq)

    def require_valid(self) -> None:
        """Refuse what is wrong whatever the command will find. Raises Failure (exit code 64)."""
        if self.as_json:
            _ = self._printed

    @property
    def as_json(self) -> bool:
        """Whether only JSON is printed; what is selected is selected of JSON."""
        return self.json_fields is not None or bool(self.query or self.jq)

    def say(self, text: str) -> None:
        """Report progress on stderr, except to scripts and to those who want none."""
        from podshare_cli.output import say  # rich takes its time

        if not self.is_silent:
            say(text)

    @property
    def is_silent(self) -> bool:
        """Whether no progress is wanted."""
        return self.as_json or self.quiet

    def overridden(self, later: "Options") -> "Options":
        """These options, with those that were given again after the command's name."""
        options = replace(self, **{name: value for name, value in asdict(later).items() if value})
        return options if later.json_fields is None else replace(options, json_fields=later.json_fields)


_in_force = Options()


def in_force() -> Options:
    """The options of the command that runs."""
    return _in_force


def set_in_force(options: Options) -> None:
    """Take ``options`` for the command that is about to run."""
    global _in_force  # noqa: PLW0603  # a process runs one command; typer offers no other way to its error handler
    _in_force = options
    if options.no_color:
        os.environ["NO_COLOR"] = "1"  # read by rich, and by whatever the command calls (no-color.org)


def takes_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the common options; its first parameter receives them as :class:`Options`."""
    own = list(inspect.signature(command).parameters.values())[1:]
    shared = [
        inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=annotation)
        for each, annotation in zip(fields(Options), _OF_EVERY_COMMAND, strict=True)
    ]

    @wraps(flowing(command))
    def with_options(*arguments: Any, **named: Any) -> None:
        given = {each.name: named.pop(each.name) for each in fields(Options)}
        set_in_force(in_force().overridden(Options(**given)))
        in_force().require_valid()
        try:
            command(in_force(), *arguments, **named)
        except KeyboardInterrupt:  # typer would end without a word
            raise interrupted(has_written=in_force().has_written) from None

    parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    with_options.__signature__ = inspect.Signature([*parameters, *shared])  # type: ignore[attr-defined]  # of functions
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in (*parameters, *shared)}
    return with_options


def group(help_text: str) -> typer.Typer:
    """A group of commands, such as ``podshare team``."""
    return Commands(help=help_text, no_args_is_help=True, rich_markup_mode="rich", add_completion=False)


def examples(*lines: str) -> str:
    """The examples at the end of a command's help."""
    return "\n".join(["[bold]Examples[/]", *(f"  [cyan]{escaped(line)}[/]" for line in lines)])


def escaped(line: str) -> str:
    """A line in which rich sees no markup (rich.markup.escape would do, but takes its time to import)."""
    return line.replace("[", r"\[")


def flowing(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command's help flow: typer breaks its lines where the docstring does."""
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    command.__doc__ = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    return command
