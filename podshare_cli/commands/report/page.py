"""The page as text: one file with its style, its script and its facts in it."""

import json
from pathlib import Path
from string import Template
from typing import Any

_FOLDER = Path(__file__).parent


def page(facts: dict[str, Any], digest: str = "") -> str:
    """The page with these facts; no text in them can end its script.

    With a ``digest`` of the facts it is one that is served: it asks where it came from whether there are others.
    """
    text = json.dumps(facts, default=str, separators=(",", ":")).replace("<", "\\u003c")
    style, script, live = (_file(name) for name in ("page.css", "page.js", "live.js"))
    return Template(_file("page.html")).substitute(
        style=style,
        script=script,
        facts=text,
        policy="; connect-src 'self'" if digest else "",
        live=f'<script data-digest="{digest}">{live}</script>\n' if digest else "",
    )


def _file(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")
