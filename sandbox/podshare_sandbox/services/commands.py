"""What a container's command does, as far as the sandbox knows the program: a shell's builtins and little more.

Nothing is ever run on this machine. Known are ``true``, ``false``, ``:``, ``echo``, ``sleep``, ``date``, ``hostname``,
``env``, ``printenv``, ``exit`` and ``set``, and lists of them for ``sh -c`` with ``;``, ``&&``, ``||``, variables and
comments. Any other program, and a script with other syntax as a whole, is handed to the container's ``other``.
"""

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from podshare_sandbox import clock

FAILURE, MISUSE = 1, 2
_SHELLS = {"sh", "bash", "/bin/sh", "/bin/bash", "/usr/bin/bash"}
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_REFERENCE = re.compile(r"\$\$|\$\(([\w.-]+)\)")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_SEPARATORS = {";", "&&", "||", "\n"}


class Killed(Exception):  # noqa: N818  # no error: its pod is deleted
    """The container was told to end before its command did."""


@dataclass(frozen=True)
class Container:
    """Where a command runs.

    ``pause`` waits for real seconds, None meaning for ever, and raises :class:`Killed` once the container has to end.
    ``other`` runs a program that is not known here, and returns its exit code.
    """

    hostname: str
    env: Mapping[str, str]
    say: Callable[[str], None]
    pause: Callable[[float | None], None]
    other: Callable[[Sequence[str]], int]


class _Exit(Exception):  # noqa: N818  # no error
    """A script's ``exit``."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class _UnknownSyntaxError(Exception):
    """The script uses what is not emulated."""


def knows(words: Sequence[str]) -> bool:
    """Whether ``run`` can tell the end of a command that starts like this."""
    return bool(words) and words[0] in _PROGRAMS.keys() | _SHELLS


def is_shell(words: Sequence[str]) -> bool:
    """Whether a command is a shell's."""
    return bool(words) and words[0] in _SHELLS


def is_interactive(words: Sequence[str]) -> bool:
    """Whether a command is a shell that reads what to do from its standard input."""
    return is_shell(words) and all(word in ("-i", "-l", "-s", "--login") for word in words[1:])


def converse(lines: Iterable[str], container: Container) -> int:
    """The exit code of a shell that is told line by line what to do. Raises Killed."""
    code = 0
    try:
        for line in lines:
            code = _script(line, container, stops=False, words=["sh", "-c", line])
    except _Exit as end:
        return end.code
    return code


def expanded(words: Sequence[str], env: Mapping[str, str]) -> list[str]:
    """A container's command with ``$(NAME)`` replaced; ``$$`` escapes (Kubernetes API reference, Container)."""

    def value(found: re.Match[str]) -> str:
        return "$" if found[0] == "$$" else env.get(found[1], found[0])

    return [_REFERENCE.sub(value, word) for word in words]


def run(words: Sequence[str], container: Container) -> int:
    """The exit code of a command, once it has ended. Raises Killed."""
    if not words:
        return container.other(words)
    if words[0] in _SHELLS:
        return _shell(words, container)
    program = _PROGRAMS.get(words[0])
    return program(list(words[1:]), container) if program else container.other(words)


def _shell(words: Sequence[str], container: Container) -> int:
    options, script = list(words[1:-1]), words[-1]
    flags = "".join(option.removeprefix("-") for option in options)
    if not options or not flags.endswith("c") or not set(flags) <= set("ceuxl"):
        return container.other(words)
    try:
        return _script(script, container, stops="e" in flags, words=words)
    except _Exit as end:
        return end.code


def _script(script: str, container: Container, *, stops: bool, words: Sequence[str]) -> int:
    """Run a script; one with other syntax is handed over as the ``words`` of which it came. Raises _Exit."""
    try:
        commands = list(_commands(script))
    except _UnknownSyntaxError:
        return container.other(words)
    return _list(commands, container, stops=stops)


def _commands(script: str) -> Iterator[tuple[str, list[str]]]:
    """The simple commands of a script as raw words, each with the separator before it."""
    lexer = shlex.shlex(script, posix=False, punctuation_chars=";&|<>()\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t\r", True, "#"
    try:
        tokens = [part for token in lexer for part in ([*token] if set(token) <= {"\n", ";"} else [token])]
    except ValueError as error:
        raise _UnknownSyntaxError(script) from error
    separator, words = ";", list[str]()
    for token in [*tokens, ";"]:
        if token in _SEPARATORS:
            if words:
                yield separator, words
            separator, words = token, []
        elif _is_unknown(token):
            raise _UnknownSyntaxError(token)
        else:
            words.append(token)


def _is_unknown(token: str) -> bool:
    """Whether a shell would do more with a token than replace its variables: substitution, globs, pipes, assignment."""
    outside = re.sub(r"'[^']*'|\$\{\w+\}", "", token)
    unquoted = re.sub(r'"[^"]*"', "", outside)
    return bool(re.search(r"`|\$\(|\\", outside) or re.search(r"[*?\[\]{}<>|&()]|^\w+=", unquoted))


def _list(commands: list[tuple[str, list[str]]], container: Container, *, stops: bool) -> int:
    """Run commands one after the other: ``&&`` and ``||`` skip, ``set -e`` stops at a failure."""
    code = 0
    for position, (separator, raw) in enumerate(commands):
        if (separator == "&&" and code) or (separator == "||" and not code):
            continue
        words = [_word(each, container.env) for each in raw]
        if words[0] == "exit":
            raise _Exit(code if len(words) == 1 else int(words[1]) & 0xFF if words[1].isdigit() else MISUSE)
        if words[0] == "set":
            stops = stops or any("e" in word for word in words[1:] if word.startswith("-"))
            code = 0
            continue
        code = run(words, container)
        tested = position + 1 < len(commands) and commands[position + 1][0] in ("&&", "||")
        if code and stops and not tested:
            return code
    return code


def _word(raw: str, env: Mapping[str, str]) -> str:
    """A word without its quotes, and with its variables outside of single quotes."""
    parts = re.findall(r"'[^']*'|\"[^\"]*\"|[^'\"]+", raw)
    return "".join(
        part[1:-1]
        if part.startswith("'")
        else _VARIABLE.sub(lambda found: env.get(found[1] or found[2], ""), part.strip('"'))
        for part in parts
    )


# ---- programs ---------------------------------------------------------------------------------------------------


def _true(_: Sequence[str], __: Container) -> int:
    return 0


def _false(_: Sequence[str], __: Container) -> int:
    return FAILURE


def _echo(words: Sequence[str], container: Container) -> int:
    ends = "\n"
    if words and words[0] == "-n":
        words, ends = words[1:], ""
    container.say(" ".join(words) + ends)
    return 0


def _sleep(words: Sequence[str], container: Container) -> int:
    if list(words) in (["infinity"], ["inf"]):
        container.pause(None)
    found = [re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", word) for word in words]
    if not found or not all(found):
        container.say(f"sleep: invalid time interval '{' '.join(words)}'\n")
        return FAILURE
    container.pause(clock.scaled(sum(float(one[1]) * _UNITS[one[2]] for one in found if one)))
    return 0


def _date(_: Sequence[str], container: Container) -> int:
    container.say(f"{clock.now():%a %b %d %H:%M:%S UTC %Y}\n")
    return 0


def _hostname(_: Sequence[str], container: Container) -> int:
    container.say(f"{container.hostname}\n")
    return 0


def _printenv(words: Sequence[str], container: Container) -> int:
    if not words:
        container.say("".join(f"{name}={value}\n" for name, value in container.env.items()))
        return 0
    known = [container.env[word] for word in words if word in container.env]
    container.say("".join(f"{value}\n" for value in known))
    return 0 if len(known) == len(words) else FAILURE


_PROGRAMS: dict[str, Callable[[Sequence[str], Container], int]] = {
    "true": _true,
    "/bin/true": _true,
    ":": _true,
    "false": _false,
    "/bin/false": _false,
    "echo": _echo,
    "/bin/echo": _echo,
    "sleep": _sleep,
    "/bin/sleep": _sleep,
    "date": _date,
    "hostname": _hostname,
    "env": _printenv,
    "printenv": _printenv,
}
