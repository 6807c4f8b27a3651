"""A sweep's summary, for people."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.text import Text

from podshare.registry.sentences import counted
from podshare_cli.folding import facts
from podshare_cli.output import ListTable

_STYLES = {
    "in_sync": "green",
    "repaired": "cyan",
    "degraded": "bold red",
    "waiting": "yellow",
    "rejected": "bold red",
    "unfinished": "bold red",
    "deleted": "dim",
}


def summary(sweep: Mapping[str, Any]) -> RenderableType:
    """How many teams and accounts stand how, and the reason of each team that is not in sync."""
    rows = (
        ("sweep of", escape(str(sweep.get("at", "—")))),
        ("teams", _counts_text(sweep.get("counts", {})) or "none"),
        ("accounts", _counts_text(sweep.get("accounts", {})) or "none"),
        *_gaps(sweep.get("history", {})),
    )
    parts: list[RenderableType] = [facts(rows)]
    if reasons := sweep.get("reasons", []):
        shown = ListTable("team", "state", "why", "what to do")
        for reason in reasons:
            shown.add_row(
                f"[bold]{escape(str(reason['team']))}[/]",
                _styled(str(reason.get("state", "")), str(reason.get("state", ""))),
                escape(str(reason.get("what", ""))),
                escape(str(reason.get("remedy", ""))),
            )
        parts += [Text(), shown]
    return Group(*parts)


def _gaps(history: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the history of who had access lacked, if it lacked anything."""
    if not history.get("gaps"):
        return []
    made_up = int(history["gaps"]) - int(history["left"])
    missing = counted(int(history["left"]), "object")
    return [("history", f"[bold red]{missing} missing[/], {made_up} made up for")]


def _counts_text(counts: Mapping[str, Any]) -> str:
    """The counts that are not zero, in markup."""
    return ", ".join(_styled(name, f"{count} {name}") for name, count in counts.items() if count)


def _styled(outcome: str, text: str) -> str:
    return f"[{_STYLES.get(outcome, 'default')}]{escape(text.replace('_', ' ').lower())}[/]"
