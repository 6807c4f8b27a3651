"""Terminals and files that cannot show every character get plain ones in their place, never a traceback."""

import codecs
import os
import sys

_ERRORS = "podshare.plain"
_ASCII_LOCALES = ("C", "POSIX")
_PLAIN = {
    "✓": "+",
    "✗": "x",
    "✔": "+",
    "✘": "x",
    "→": "->",
    "←": "<-",
    "↷": "~",
    "•": "*",
    "·": ".",
    "…": "...",
    "—": "-",
    "≤": "<=",
    "≥": ">=",
    "█": "#",
    "░": ".",
    "│": "|",
    "─": "-",
    "├": "|",
    "└": "`",
    "╭": "+",
    "╮": "+",
    "╰": "+",
    "╯": "+",
}


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    replaced = (_PLAIN.get(character, "?") for character in error.object[error.start : error.end])
    return "".join(replaced), error.end


def use_plain_characters() -> None:
    """From now on, write a plain character for each that the encoding of stdout or stderr lacks."""
    codecs.register_error(_ERRORS, _plain)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # what replaces a stream, such as a test's, may have none
        if reconfigure:
            reconfigure(errors=_ERRORS, encoding="ascii" if _is_ascii_asked_for() and stream.isatty() else None)


def _is_ascii_asked_for() -> bool:
    """Whether somebody has set the locale C: Python writes UTF-8 there too (PEP 538, 540), which not every terminal is.

    PEP 538 itself sets LC_CTYPE.
    """
    if os.environ.get("PYTHONIOENCODING") or os.environ.get("PYTHONUTF8"):
        return False
    overriding = os.environ.get("LC_ALL", "")
    own = os.environ.get("LC_CTYPE", "")
    coerced = "" if own == "C.UTF-8" and os.environ.get("LANG") in _ASCII_LOCALES else own
    return (overriding or coerced or os.environ.get("LANG", "")) in _ASCII_LOCALES
