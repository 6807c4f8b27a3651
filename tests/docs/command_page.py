"""Renders docs/command.md: every command with its arguments, options and examples, read from the command itself."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

from podshare_cli import application
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "command.md"
COMMON = ("profile", "region", "prefix", "json_fields", "query", "jq", "quiet", "no_color")  # what every command takes
INTRODUCTION = """# The command

Every command of `podshare`, as `--help` prints it. This page is written by `make golden` from the command itself.

Every command also takes the options of `podshare` below, before or after its name. Exit codes: 0 done, 1 it failed or a change is blocked, 2 changes are pending (with `--detailed-exitcode`), 64 wrong usage or invalid input, 130 interrupted.
"""


def page() -> str:
    """The whole page."""
    command: Any = application.command()
    return "\n".join([INTRODUCTION, *_index(command), "", *_section(command, "podshare", own_options=True)]) + "\n"


def _index(command: Any) -> Iterator[str]:
    yield "| command | what it does |\n|---|---|"
    for path, leaf in _leaves(command, "podshare"):
        yield f"| [`{path}`](#{path.replace(' ', '-')}) | {_sentence(leaf)} |"


def _leaves(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, child in sorted(getattr(command, "commands", {}).items()):
        if hasattr(child, "commands"):
            yield from _leaves(child, f"{path} {name}")
        else:
            yield f"{path} {name}", child


def _section(command: Any, path: str, *, own_options: bool = False) -> Iterator[str]:
    yield f"## {path}\n\n{_text(command.help)}\n"
    yield from _parameters(command, own_options=own_options)
    yield from _examples(command)
    for name, child in sorted(getattr(command, "commands", {}).items()):
        yield from _section(child, f"{path} {name}")


def _parameters(command: Any, *, own_options: bool) -> Iterator[str]:
    left_out = {"help", *(() if own_options else COMMON)}
    rows = [f"| {_name(each)} | {_cell(each.help)} |" for each in command.params if each.name not in left_out]
    if rows:
        yield "\n".join(["| argument or option | meaning |", "|---|---|", *rows, ""])


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{(parameter.metavar or parameter.name).strip('[]').upper()}`"
    value = "" if parameter.is_flag else f" {(parameter.metavar or parameter.name).upper()}"
    return ", ".join(f"`{name}{value}`" for name in (*parameter.opts, *parameter.secondary_opts))


def _examples(command: Any) -> Iterator[str]:
    lines = [_plain(line).strip() for line in (command.epilog or "").splitlines()[1:]]
    if lines:
        yield "\n".join(["```sh", *lines, "```", ""])


def _sentence(command: Any) -> str:
    return _cell(re.split(r"(?<=\.)\s", _text(command.help), maxsplit=1)[0])


def _text(text: str | None) -> str:
    return _plain(inspect.cleandoc(text or ""))


def _cell(text: str | None) -> str:
    return " ".join(_text(text).split()).replace("|", "\\|")


def _plain(text: str) -> str:
    """Text without rich's markup."""
    return re.sub(r"(?<!\\)\[/?[a-z ]*\]", "", text).replace("\\[", "[")
