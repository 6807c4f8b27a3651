"""The command as a whole: its groups, and how it ends."""

import copy
import itertools
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any

import typer
import typer.main

from podshare_cli.commands import (
    access,
    account,
    apply,
    approve,
    audit,
    capacity,
    drift,
    explain,
    export,
    history,
    pause,
    plan,
    records,
    sweep,
    team,
    validate,
)
from podshare_cli.commands import help as help_topics
from podshare_cli.commands.connect import command as connect
from podshare_cli.commands.demo import command as demo
from podshare_cli.commands.doctor import command as doctor
from podshare_cli.commands.importing import command as importing
from podshare_cli.commands.report import command as report
from podshare_cli.commands.sandbox import command as sandbox
from podshare_cli.commands.usage import command as usage
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
app.add_typer(team.app, name="team")
app.add_typer(records.dataset, name="dataset")
app.add_typer(records.cluster, name="cluster")
app.add_typer(records.enrollment, name="enrollment")
app.add_typer(account.app, name="account")
app.add_typer(access.app, name="access")
app.add_typer(history.app, name="history")
app.add_typer(audit.app, name="audit")
app.command(
    "plan",
    epilog=examples(
        "podshare plan",
        "podshare plan -f records --detailed-exitcode",
        "podshare plan -f records --out plan.json --format markdown > comment.md",
        "podshare plan -f team-vision.yaml --query 'losses[].what'",
    ),
)(plan.plan)
app.command(
    "drift",
    epilog=examples("podshare drift", "podshare drift vision --since 7d", "podshare drift --detailed-exitcode --quiet"),
)(drift.drift)
app.command("sweep", epilog=examples("podshare sweep", "podshare sweep --no-wait", "podshare sweep --last --json"))(
    sweep.sweep
)
app.command(
    "capacity",
    epilog=examples(
        "podshare capacity",
        "podshare capacity --cluster main",
        "podshare capacity --jq '.[].instance_types[] | {instance_type, free, unit}'",
    ),
)(capacity.capacity)
app.command(
    "usage",
    epilog=examples(
        "podshare usage",
        "podshare usage --month 2026-11 --by owner",
        "podshare usage --month 2026-11 --by account --csv > usage.csv",
        "podshare usage --month 2026-11 --used --prices prices.yaml",
        "podshare usage --month 2026-11 --used --by member",
        "podshare usage --jq '.rows[] | {team, instance_type, hours}'",
    ),
)(usage.usage)
app.command(
    "doctor",
    epilog=examples(
        "podshare doctor",
        "podshare doctor --assume-role ReadOnly --all",
        "podshare doctor --profile-of 999999999999=management --profile-of 333333333333=data",
        "podshare doctor --assume-role ReadOnly --jq '.[] | select(.status == \"problem\")'",
    ),
)(doctor.doctor)
app.command(
    "approve",
    epilog=examples("podshare approve", "podshare approve vision 3f2a9c01b7de", "podshare approve --all --yes"),
)(approve.approve)
app.command("export", epilog=examples("podshare export records", "podshare export records --json"))(export.export)
app.command(
    "apply",
    epilog=examples(
        "podshare apply -f records",
        "podshare apply -f records --prune --reason 'Q3 quotas'",
        "podshare apply plan.json --auto-approve",
    ),
)(apply.apply)
app.command(
    "connect",
    epilog=examples(
        "podshare connect --list",
        "podshare connect vision --write-job first-job.yaml",
        "podshare connect vision --check",
        "podshare connect vision --undo",
    ),
)(connect.connect)
app.command("pause", epilog=examples('podshare pause --reason "moving the data account"'))(pause.pause)
app.command("resume", epilog=examples("podshare resume"))(pause.resume)
app.command(
    "explain",
    epilog=examples("podshare explain", "podshare explain team.quota.sharing", "podshare explain dataset --json"),
)(explain.explain)
app.command("schema", epilog=examples("podshare schema > records.json", "podshare schema team"))(explain.schema)
app.command(
    "validate",
    epilog=examples(
        "podshare validate examples/registry",
        "podshare validate records --format github",
        "podshare validate records --format sarif > podshare.sarif",
    ),
)(validate.validate)
app.command(
    "import",
    epilog=examples(
        "podshare import hyperpod",
        "podshare import hyperpod --out records --owner platform@example.com --assume-role ReadOnly",
        "podshare import hyperpod --adopt vision",
    ),
)(importing.import_records)
app.command("report", epilog=examples("podshare report --out report.html", "podshare report --serve"))(report.report)
app.command("help", epilog=examples("podshare help", "podshare help exit-codes"))(help_topics.show_topic)
app.add_typer(sandbox.app, name="sandbox")
app.command("demo", epilog=examples("podshare demo", "podshare demo --verbose"))(demo.demo)


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
    """Share one SageMaker HyperPod cluster among the teams and AWS accounts of an organization.

    It acts with the AWS credentials of the environment or of --profile, in podshare's account and Region. Exit codes:
    0 done, 1 it failed, 2 changes are pending (with --detailed-exitcode), 64 wrong usage or invalid input,
    130 interrupted.
    """
    set_in_force(in_force().overridden(Options(profile, region, prefix, json_fields, query, jq, quiet, no_color)))
    in_force().require_valid()


class _Parts(Mapping[str, Any]):
    """The commands and groups by their names, each built when it is asked for."""

    def __init__(self) -> None:
        self._groups = {group.name: group for group in app.registered_groups}
        self._commands = {single.name: single for single in app.registered_commands}
        self._built: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._built:
            alone = typer.Typer(rich_markup_mode="rich")
            if name in self._groups:
                alone.registered_groups.append(self._groups[name])
            else:
                alone.registered_commands.append(self._commands[name])
            self._built[name] = typer.main.get_group(alone).commands[name]
        return self._built[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name in (*self._commands, *self._groups) if name)

    def __len__(self) -> int:
        return len(self._commands) + len(self._groups)


def command() -> Any:
    """The whole command. To build every part of it would take longer than to build and run one."""
    own = copy.copy(app)
    own.registered_groups, own.registered_commands = [], []
    built: Any = typer.main.get_command(own)
    built.commands = _Parts()
    return built


def main(arguments: list[str] | None = None) -> int:
    """Run the command and report errors in its own words; returns the exit code."""
    use_plain_characters()
    given = sys.argv[1:] if arguments is None else arguments
    # wrong usage is reported before the options are known; what follows `--` is another command's
    own = list(itertools.takewhile(lambda word: word != "--", given))
    is_of_json = any(word.startswith(("--json", "--query", "--jq")) for word in own)
    set_in_force(Options(json_fields="" if is_of_json else None))
    try:
        return int(command()(given, standalone_mode=False, prog_name="podshare") or 0)
    except BrokenPipeError:  # the reader of the output has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return _end(interrupted(), own)
    except Exception as error:
        return _end(error, own)


def _end(error: Exception, words: list[str]) -> int:
    from podshare_cli.output import print_failure  # only once it has gone wrong

    failure = error if isinstance(error, Failure) else _usage_failure(error) or _aws_failure(error)
    if failure is None:
        raise error
    options = in_force()
    if not options.json_fields and (hint := hint_of_fields(words, failure.what)):
        failure = replace(failure, remedy=f"{failure.remedy} {hint}".strip())
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
    return Failure(error.format_message(), f"See `{path} --help`.", INVALID)


def _aws_failure(error: Exception) -> Failure | None:
    options = in_force()
    prefix = options.prefix or "podshare"
    if "connection" not in options.__dict__:
        return explain_failure(error, prefix, "this account")
    return explain_failure(error, prefix, options.connection.place, options.connection.least)
