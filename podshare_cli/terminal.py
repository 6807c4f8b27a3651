"""Terminals and files that cannot show every character get plain ones in their place, never a traceback."""

import codecs
import sys

_ERRORS = "podshare.plain"
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
            reconfigure(errors=_ERRORS)
