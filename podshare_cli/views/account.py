"""The organization's accounts, as data and as tables."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.text import Text

from podshare.registry.declared import declaration_of
from podshare_cli import words
from podshare_cli.aws.connection import Connection
from podshare_cli.aws.tables import Registry, State
from podshare_cli.folding import Folded, facts, tree
from podshare_cli.output import (
    ListTable,
    ago,
    orphaned_text,
    problem_text,
    stacked,
    state_text,
    text_with_remedy,
)

Row = dict[str, Any]
_NEVER_LISTED = "The organization has not been listed yet: podshare sweep"


def overview(connection: Connection) -> list[Row]:
    """One row for each account that podshare has ever read, those that have left the organization too."""
    state = State(connection)
    teams = defaultdict(list)
    for account, team in state.uses():
        teams[account].append(team)
    accounts = state.accounts()
    blocks = Registry(connection).blocks(str(item["account"]) for item in accounts)
    return [_row(item, teams[str(item["account"])], blocks.get(str(item["account"]))) for item in accounts]


def whole(connection: Connection, account: str) -> Row | None:
    """All that is known of one account; None if podshare has never read it."""
    state = State(connection)
    item = state.account(account)
    if item is None:
        return None
    teams = [team for _, team in state.uses(account)]
    return {
        **_row(item, teams, Registry(connection).blocks([account]).get(account)),
        "tags": item.get("tags", {}),
        "at": item.get("at"),
        "revision": item.get("revision"),
        "teams": [_team(account, team, state.status(f"team#{team}") or {}) for team in sorted(teams)],
    }


def _row(item: Mapping[str, Any], teams: Iterable[str], block: Mapping[str, Any] | None) -> Row:
    return {
        "account": item["account"],
        "name": item.get("name"),
        "state": item.get("state"),
        "path": item.get("path", []),
        "teams": sorted(teams),
        "waiting_since": item.get("waiting_since"),
        "blocked": {"reason": block.get("reason"), "by": declaration_of(block).get("by")} if block else None,
    }


def _team(account: str, team: str, status: Mapping[str, Any]) -> Row:
    """How a team stands, and what of it is about the account."""
    about = {
        name: [resource for resource in status.get(name, []) if resource.get("account") == account]
        for name in ("problems", "left_behind")
    }
    return {"team": team, "state": status.get("state"), "at": status.get("at"), **about}


# ---- for people ------------------------------------------------------------------------------------------------


def table(rows: Iterable[Row], listed_at: str | None, *, whole: bool = False) -> RenderableType:
    """One line for each account, and how old the list is; the ``whole`` with all columns."""
    accounts = list(rows)
    listed = f"The organization was last listed {ago(listed_at)}." if listed_at else _NEVER_LISTED
    if not accounts:
        return Text(f"No such accounts. {listed}")
    headers = ("account", "name", "state", "path", "teams", "waiting since")
    shown = ListTable(*headers, expendable=() if whole else ("path", "name", "waiting since"))
    for row in accounts:
        shown.add_row(
            f"[bold]{escape(row['account'])}[/]",
            escape(row["name"] or ""),
            f"{state_text(row['state'])}{_block_text(row)}",
            escape("/".join(row["path"])),
            escape("\n".join(row["teams"])),
            ago(row["waiting_since"]) if row["waiting_since"] else "",
        )
    return Group(shown, Text(listed, style="dim"))


def detail(row: Row) -> RenderableType:
    """All that is known of one account."""
    waiting = f"since {ago(row['waiting_since'])}" if row["waiting_since"] else "no"
    rows = (
        ("name", escape(row["name"] or "—")),
        ("state", f"{state_text(row['state'])}{_block_text(row)}"),
        ("path", escape("/".join(row["path"]) or "—")),
        ("tags", escape("\n".join(f"{key}={value}" for key, value in sorted(row["tags"].items())) or "—")),
        ("read", ago(row["at"])),
        ("waiting for its member role", waiting),
    )
    teams = _teams(row["teams"]) if row["teams"] else "[dim]no team has resources in it[/]"
    return stacked([f"[bold]{escape(row['account'])}[/]", facts(rows), teams])


def _block_text(row: Row) -> str:
    block = row["blocked"]
    if not block:
        return ""
    by = block["by"] or words.BY_NOBODY_KNOWN
    return f" [bold red]blocked[/] {escape(str(block['reason']))}, by {escape(str(by))}"


def _teams(teams: Iterable[Row]) -> Folded:
    branches = []
    for team in teams:
        problems = [text_with_remedy(*problem_text(problem)) for problem in team["problems"]]
        name = f"[bold]{escape(team['team'])}[/] {state_text(team['state'])}"
        branches.append((name, [*problems, *map(orphaned_text, team["left_behind"])]))
    return tree("[dim]teams that have something in it[/]", branches)
