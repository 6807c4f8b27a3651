"""``podshare help TOPIC``: what holds for all commands, a page each."""

import inspect
import itertools
from typing import TYPE_CHECKING, Annotated

import typer

from podshare_cli.failures import invalid
from podshare_cli.json_option import Commands
from podshare_cli.options import Options, examples, takes_options

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

app = Commands()

TOPICS: "Mapping[str, tuple[str, str]]" = {
    "environment": (
        "The variables that the command reads",
        """
        AWS_PROFILE, AWS_ACCESS_KEY_ID, ...   the credentials to act with, as boto3 finds them (or --profile)
        AWS_REGION, AWS_DEFAULT_REGION        the Region that podshare is deployed in (or --region)
        AWS_ENDPOINT_URL, AWS_CA_BUNDLE       another place than AWS, such as the sandbox
        HTTPS_PROXY, NO_PROXY                 a proxy on the way to AWS
        AWS_CONFIG_FILE, KUBECONFIG           the files that `podshare connect` writes
        SHELL                                 the shell that `podshare connect --shell` opens
        PODSHARE_SANDBOX                      the sandbox that `podshare sandbox` means (or --name)
        NO_COLOR                              any value: no colors (or --no-color)
        COLUMNS                               the width to print for, instead of the terminal's
        LC_ALL, LC_CTYPE, LANG                plain characters in the locale C
        GITHUB_*, CI_*, GITLAB_USER_LOGIN     who writes a record, from which repository and commit, in a workflow

        The prefix of the installation is not read from the environment: name it with --prefix.
        """,
    ),
    "exit-codes": (
        "How the command ends",
        """
        0     done, or nothing to do
        1     it failed, a change is blocked, or a team is not in the state that was waited for
        2     with --detailed-exitcode: changes are pending
        64    wrong usage, or invalid records; nothing was written
        130   interrupted with Ctrl-C; podshare goes on with what has been written

        `podshare sandbox exec` ends with the exit code of the command that it runs.
        """,
    ),
    "formatting": (
        "Output for people and for scripts",
        """
        Data go to stdout; progress, questions and errors go to stderr.

        --json               one JSON document on stdout, and JSON for errors on stderr: {"error": {"what", "remedy"}}
        --json=FIELDS        only these fields of the object, or of each object of the list; with dots, fields in one
        --query EXPRESSION   what a JMESPath expression selects of the JSON, as in the AWS CLI; it implies --json
        --jq EXPRESSION      each result of a jq expression over the JSON, strings without quotes; it implies --json
        --quiet              no progress
        --no-color           no colors

        In a command that takes no arguments, --json FIELDS is the same as --json=FIELDS. In others, a word after --json
        is an argument: `podshare team status --json vision` shows team vision. The error about an unknown field lists
        the fields. --query and --jq exclude each other; both get the JSON with the fields that --json=FIELDS keeps.

        A wrong expression ends with 64 before anything is done; a field that does not exist, or an expression that does
        not fit the data, with 1 once the command has done its work. --jq needs a library: pip install 'podshare[jq]'

        A terminal with few columns gets tables without the least important columns, or rows as blocks of lines; a pipe
        gets all of them. A terminal that is not UTF-8, or of the locale C (LANG=C), gets plain characters.

          podshare team list --query "[?state != 'READY'].team"
          podshare team list --jq '.[] | select(.state != "READY") | .team'
          podshare team list --json team,state
          podshare plan -f records --json=revocations.who,quotas
        """,
    ),
    "gitops": (
        "Records in a repository",
        """
        podshare validate records --format github          in a pull request: every problem, with file and line
        podshare plan -f records --format markdown         in a pull request: who would gain and lose what
        podshare apply -f records --prune --auto-approve   on merge
        podshare drift --detailed-exitcode                 every night
        podshare export records                            begin with what is in the registry

        Pull requests plan with the managed policy podshare-planner, which can write and start nothing; the protected
        branch applies with podshare-admin. Workflows for GitHub Actions and GitLab CI are in examples/gitops.
        """,
    ),
}
"""Each topic's title and text, of at most 119 characters a line."""

Topic = Annotated[
    str,
    typer.Argument(
        metavar="[TOPIC]",
        help="environment, exit-codes, formatting or gitops; default: a list.",
        autocompletion=lambda incomplete: [topic for topic in TOPICS if topic.startswith(incomplete)],
    ),
]


@app.command("help", epilog=examples("podshare help", "podshare help exit-codes"))
@takes_options
def show_topic(options: Options, topic: Topic = "") -> None:
    """Explain what holds for all commands: the environment, exit codes, and output for scripts."""
    if not topic:
        listed = "\n".join(f"{name:<13} {title}" for name, (title, _) in TOPICS.items())
        options.show({name: title for name, (title, _) in TOPICS.items()})
        _print(options, f"Topics:\n\n{listed}\n\nOf a command: podshare COMMAND --help")
        return
    if topic not in TOPICS:
        raise invalid(f"No help topic {topic}.", f"Topics: {', '.join(TOPICS)}. Of a command: podshare {topic} --help")
    title, text = TOPICS[topic]
    options.show({"topic": topic, "title": title, "text": inspect.cleandoc(text)})
    _print(options, f"{title}\n\n{inspect.cleandoc(text)}")


def _print(options: Options, text: str) -> None:
    if options.as_json:
        return
    from rich.text import Text

    from podshare_cli.folding import Folded
    from podshare_cli.output import stdout

    console = stdout()
    lines = _flowing(text.splitlines()) if console.is_terminal else text.splitlines()
    console.print(Folded((Text(line), Text() if _is_prose(line) else None) for line in lines), crop=False)


def _flowing(lines: "Iterable[str]") -> "Iterable[str]":
    """The lines with those of a paragraph in one."""
    for is_prose, group in itertools.groupby(lines, _is_prose):
        lines_of_kind = [*group]
        yield from [" ".join(lines_of_kind)] if is_prose else lines_of_kind


def _is_prose(line: str) -> bool:
    """Whether a line is neither empty, nor an example or a row of columns."""
    return bool(line) and not line.startswith(" ") and "  " not in line
