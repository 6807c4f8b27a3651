"""The command as a whole: its groups, and how it ends."""

import importlib
import itertools
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any, TextIO

import typer
import typer.main

from podshare_cli.failures import FAILED, INTERRUPTED, INVALID, Failure, interrupted
from podshare_cli.failures import explain as explain_failure
from podshare_cli.json_option import Commands, RootGroup, hint_of_fields
from podshare_cli.options import (
    Jq,
    Json,
    NoColor,
    Options,
    Prefix,
    Profile,
    Query,
    Quiet,
    Region,
    examples,
    flowing,
    in_force,
    set_in_force,
)
from podshare_cli.terminal import use_plain_characters

# modules of podshare_cli.commands by the commands that they declare, and by groups, in the order of the help
_COMMANDS = {
    "plan": "plan",
    "drift": "drift",
    "sweep": "sweep",
    "capacity": "capacity",
    "usage": "usage.command",
    "doctor": "doctor.command",
    "approve": "approve",
    "export": "export",
    "apply": "apply",
    "connect": "connect.command",
    "pause": "pause",
    "resume": "pause",
    "explain": "explain",
    "schema": "explain",
    "validate": "validate",
    "import": "importing.command",
    "report": "report.command",
    "help": "help",
    "demo": "demo.command",
}
_GROUPS = {
    "team": "team:app",
    "dataset": "records:dataset",
    "cluster": "records:cluster",
    "enrollment": "records:enrollment",
    "account": "account:app",
    "access": "access:app",
    "history": "history:app",
    "audit": "audit:app",
    "sandbox": "sandbox.command:app",
}

app = Commands(
    name="podshare",
    cls=RootGroup,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "podshare team put examples/registry/*.yaml --wait",
        "podshare team list --profile platform --region us-west-2",
        "podshare account list",
        "podshare sandbox up",
        "podshare demo",
    ),
)


def _version(asked: bool) -> None:
    if asked:
        from podshare_cli.version import described  # rarely asked

        typer.echo(described())
        raise typer.Exit


@app.callback()
@flowing
def podshare(
    *,
    profile: Profile = None,
    region: Region = None,
    prefix: Prefix = None,
    json_fields: Json = None,
    query: Query = None,
    jq: Jq = None,
    quiet: Quiet = False,
    no_color: NoColor = False,
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Share SageMaker HyperPod clusters among the teams and AWS accounts of an organization.

    It acts with the AWS credentials of the environment or of --profile, in podshare's account and Region. Exit codes:
    0 done, 1 it failed, 2 changes are pending (with --detailed-exitcode), 64 wrong usage or invalid input,
    130 interrupted.
    """
    set_in_force(in_force().overridden(Options(profile, region, prefix, json_fields, query, jq, quiet, no_color)))
    in_force().require_valid()


class _Parts(Mapping[str, Any]):
    """The commands and groups by their names, each imported and built when it is asked for."""

    def __init__(self) -> None:
        self._built: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._built:
            self._built[name] = typer.main.get_group(_declared(name)).commands[name]
        return self._built[name]

    def __iter__(self) -> Iterator[str]:
        return iter((*_COMMANDS, *_GROUPS))

    def __len__(self) -> int:
        return len(_COMMANDS) + len(_GROUPS)


def _declared(name: str) -> typer.Typer:
    """What declares a command or a group of this name."""
    module, _, group = (_COMMANDS.get(name) or _GROUPS[name]).partition(":")
    loaded = importlib.import_module(f"podshare_cli.commands.{module}")
    if not group:
        declared: typer.Typer = loaded.app
        return declared
    alone = Commands()
    alone.add_typer(getattr(loaded, group), name=name)
    return alone


def command() -> Any:
    """The whole command. To import and build every part of it would take longer than to run one."""
    built: Any = typer.main.get_command(app)
    built.commands = _Parts()
    return built


def main(arguments: list[str] | None = None) -> int:
    """Run the command and report errors in its own words; returns the exit code."""
    use_plain_characters()
    streams = (sys.stdout, sys.stderr)
    try:
        code = _ran(sys.argv[1:] if arguments is None else arguments)
    except (BrokenPipeError, SystemExit) as error:
        if BrokenPipeError not in (type(error), type(error.__context__)):
            raise
        code = 0  # the reader of the output has seen enough, as `head` does; rich and typer make it an exit
    _flush(streams)
    return code


def _ran(words: list[str]) -> int:
    # wrong usage is reported before the options are known; what follows `--` is another command's
    own = list(itertools.takewhile(lambda word: word != "--", words))
    is_of_json = any(word.startswith(("--json", "--query", "--jq")) for word in own)
    set_in_force(Options(json_fields="" if is_of_json else None))
    try:
        return int(command()(words, standalone_mode=False, prog_name="podshare") or 0)
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        return _end(interrupted(has_written=in_force().has_written), own)
    except Exception as error:
        return _end(error, own)


def _flush(streams: Iterable[TextIO]) -> None:
    """Write what is not yet written, to nobody where a pipe has lost its reader: at its end, Python would fail."""
    for stream in streams:
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _end(error: Exception, words: list[str]) -> int:
    from podshare_cli.output import print_failure  # only once it has gone wrong

    failure = error if isinstance(error, Failure) else _usage_failure(error) or _aws_failure(error)
    if failure is None:
        raise error
    options = in_force()
    if not options.json_fields and (hint := hint_of_fields(words, failure.what)):
        failure = replace(failure, remedy=f"{failure.remedy} {hint}".strip())
    with suppress(BrokenPipeError, SystemExit):  # nobody reads it
        print_failure(failure, as_json=options.as_json)
    return failure.exit_code


def _usage_failure(error: Exception) -> Failure | None:
    if isinstance(error, typer.Abort):  # at a question: by Ctrl-C, or because the input has ended
        is_interrupted = isinstance(error.__context__, KeyboardInterrupt)
        return Failure("Not confirmed: nothing was done.", exit_code=INTERRUPTED if is_interrupted else FAILED)
    if not hasattr(error, "format_message"):  # what typer raises for wrong usage is reported by its message alone
        return None
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "podshare"
    # without a command typer prints the help, and raises an error that says nothing
    return Failure(error.format_message() or "No command was given.", f"See `{path} --help`.", INVALID)


def _aws_failure(error: Exception) -> Failure | None:
    options = in_force()
    prefix = options.prefix or "podshare"
    if "connection" not in options.__dict__:
        return explain_failure(error, prefix, "this account")
    connection = options.connection
    who = connection.known_caller() if hasattr(error, "response") else ""  # AWS has answered
    return explain_failure(error, prefix, connection.place, connection.least, who)
