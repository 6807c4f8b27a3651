"""``--json``, alone or with fields: typer's options take a value always or never.

``--json=FIELDS`` is always read as fields. A word after ``--json`` is read as fields only in a command that takes no
arguments, where it can be nothing else.
"""

import re
from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

_OPTION = "--json"
_Declared = TypeVar("_Declared", bound=Callable[..., Any])


class Commands(typer.Typer):
    """Commands that may have this option."""

    def command(self, *arguments: Any, **settings: Any) -> Callable[[_Declared], _Declared]:
        """Declare a command, as typer does."""
        return super().command(*arguments, cls=_Command, **settings)


class _Command(TyperCommand):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _with_value(self, args))


class RootGroup(TyperGroup):
    """The group of all commands, whose options are given before a command's name."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The words behind its options."""
        return super().parse_args(ctx, _with_value(self, args))


def _with_value(command: Any, words: list[str]) -> list[str]:
    """Words in which ``--json`` has a value, if the command knows it: without fields an empty one."""
    is_group = isinstance(command, TyperGroup)
    options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    if not any(_OPTION in option.opts for option in options):
        return words
    takes_words = is_group or len(options) < len(command.params)
    valued = {name for option in options if not option.is_flag for name in option.opts} - {_OPTION}
    rest, expanded = deque(words), list[str]()
    while rest and rest[0] != "--" and not (is_group and not rest[0].startswith("-")):
        word = rest.popleft()
        if word == _OPTION:
            has_fields = rest and not takes_words and not rest[0].startswith("-")
            word = f"{_OPTION}={rest.popleft() if has_fields else ''}"
        expanded.append(word)
        if word in valued and rest:
            expanded.append(rest.popleft())
    return [*expanded, *rest]


def hint_of_fields(words: Sequence[str], error: str) -> str:
    """How to write fields, where an error is about the word after ``--json``, which was read as an argument."""
    for word, following in pairwise(words):
        is_value = word == _OPTION and not following.startswith("-")
        if is_value and re.search(rf"(?<![\w-]){re.escape(following)}(?![\w-])", error):
            return f"If these are fields of the JSON: {_OPTION}={following}"
    return ""


def completed_arguments(context: typer.Context, incomplete: str) -> list[str]:
    """What completes the word after ``--json``: an argument, where the command takes one; of fields, nothing."""
    if context.params.get("json_fields") is None:  # the word is the rest of ``--json=``
        return []
    arguments = (each for each in context.command.params if each.param_type_name == "argument")
    first: Any = next((each for each in arguments if each.nargs == -1 or not context.params.get(each.name)), None)
    return [item.value for item in first.shell_complete(context, incomplete)] if first else []
