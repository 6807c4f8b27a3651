"""How teams stand, as data and as tables."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.markup import escape
from rich.text import Text

from podshare.registry.items import PAUSE_ID, clusters_of, datasets_of, enrolled, name_of, part, rows
from podshare.registry.sentences import counted
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
    utc_text,
)
from podshare_cli.progress import callers
from podshare_cli.progress.executions import Execution

Row = dict[str, Any]


def overview(connection: Connection) -> list[Row]:
    """One row for each team that has a record, that an enrollment has made, or of which something may be left."""
    state = State(connection)
    records = {name_of(item): item for item in Registry(connection).all_of("team")}
    statuses = state.statuses("team")
    left = {name for name, status in statuses.items() if status["state"] != "DELETED" or status.get("left_behind")}
    made = state.all_accepted("team") if any(map(enrolled, left)) else {}
    items = {**{name: item for name, item in made.items() if enrolled(name)}, **records}
    return [_row(name, items.get(name), statuses.get(name, {})) for name in sorted(records.keys() | left)]


def status(connection: Connection, team: str) -> Row:
    """All that is known of one team."""
    from podshare_cli.access.ways_in import (
        ways_in,  # it parses records with pydantic, which a list of teams does without
    )

    state, registry, record_id = State(connection), Registry(connection), f"team#{team}"
    item = state.accepted(record_id) if enrolled(team) else registry.get(record_id)
    pause = registry.get(PAUSE_ID)
    team_status = state.status(record_id) or {}
    return {
        **_row(team, item, team_status),
        "paused": {name: pause.get(name) for name in ("reason", "owner")} if pause else None,
        "summary": team_status.get("summary"),
        "problems": team_status.get("problems", []),
        "notes": team_status.get("notes", []),
        "execution": team_status.get("execution"),
        "trigger": team_status.get("trigger"),
        "proof": team_status.get("proof"),
        "ways_in": ways_in(connection, item),
        "access_points": state.access_points(team),
        "resources": sorted(state.resources(team)),
    }


def _row(name: str, item: Mapping[str, Any] | None, status: Mapping[str, Any]) -> Row:
    problems = status.get("problems", [])
    made_by = enrolled(name)
    return {
        "team": name,
        "state": status.get("state"),
        "record": item is not None and not made_by,
        "enrollment": made_by[0] if made_by else None,
        "clusters": [*clusters_of(item or {})],
        "members": [_member(member) for member in rows((item or {}).get("members"))],
        "quota": [*_quotas(item or {})],
        "datasets": sorted(datasets_of(item or {})),
        "at": status.get("at"),
        "verified_at": status.get("verified_at"),
        "reason": problem_text(problems[0])[0] if problems else None,
        "held": status.get("held"),
        "left_behind": status.get("left_behind", []),
    }


def _member(member: Mapping[str, Any]) -> str:
    tag = part(member, "account_tag")
    who = member.get("account") or member.get("organizational_unit") or f"{tag.get('key')}={tag.get('value')}"
    kind = member.get("existing_role") or member.get("permission_set")
    return f"{who}/{kind}" if kind else str(who)


def _quotas(item: Mapping[str, Any]) -> Iterator[str]:
    yield from map(words.quota_line, _lines(item))
    for row in rows(item.get("cluster")):
        yield from (f"{row.get('cluster')}: {words.quota_line(line)}" for line in _lines(row))


def _lines(fields: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return rows(part(fields, "quota").get("resources"))


# ---- for people ------------------------------------------------------------------------------------------------


def table(rows: Iterable[Row], *, whole: bool = False) -> RenderableType:
    """One line for each team: the ``whole`` with all columns, and each member by name."""
    teams = list(rows)
    if not teams:
        return Text("No teams. Write one: podshare team put FILE")
    shown = ListTable(
        *("team", "state", "clusters", "members", "quota", "datasets", "verified", "why not"),
        expendable=() if whole else ("verified", "clusters", "datasets", "members", "quota"),
    )
    for row in teams:
        shown.add_row(
            f"[bold]{escape(row['team'])}[/]",
            f"{state_text(row['state'])}{_origin_text(row)}",
            escape("\n".join(row["clusters"])),
            escape("\n".join(row["members"]) if whole else _members_text(row["members"])),
            escape("\n".join(row["quota"])),
            escape("\n".join(row["datasets"])),
            ago(row["verified_at"]),
            escape(_held_text(row) or row["reason"] or _orphaned_accounts_text(row["left_behind"])),
        )
    return shown


def _origin_text(row: Row) -> str:
    if row["enrollment"]:
        return f" [dim](enrollment {escape(row['enrollment'])})[/]"
    return "" if row["record"] else " [dim](no record)[/]"


def _held_text(row: Row) -> str:
    """Since when what a team would lose waits, what that is, and what lets it go."""
    held = row["held"]
    if not held:
        return ""
    more = int(held["count"]) - len(held["losses"])
    losses = "; ".join([*held["losses"], *([f"{more} more"] if more else [])])
    return f"held since {ago(held['since'])}: {losses}\npodshare approve {row['team']} {held['hash']}"


def _paused_text(pause: Mapping[str, Any]) -> str:
    """Why nothing is done, and what ends that."""
    owner, reason = escape(str(pause["owner"])), escape(str(pause["reason"]))
    return f"[yellow]podshare is paused[/] by {owner}: {reason}\npodshare resume"


def _members_text(members: Iterable[str]) -> str:
    """How many members are named, and the selectors, which may mean many."""
    lines = list(members)
    selectors = [line for line in lines if not line[:12].isdigit()]
    named = len(lines) - len(selectors)
    return "\n".join([*([str(named)] if named or not selectors else []), *selectors])


def _orphaned_accounts_text(resources: Iterable[Mapping[str, Any]]) -> str:
    accounts = sorted({str(resource.get("account")) for resource in resources})
    return f"orphaned resources in {', '.join(accounts)}" if accounts else ""


def detail(row: Row, *, whole: bool = False) -> RenderableType:
    """All that is known of one team; the ``whole`` with the key of each resource."""
    trigger = row["trigger"] or {}
    isolation, notes = words.isolation(map(str, row["notes"]))
    rows = (
        ("state", f"{state_text(row['state'])}{_origin_text(row)}"),
        *((("paused", _paused_text(row["paused"])),) if row["paused"] else ()),
        ("verified", ago(row["verified_at"])),
        *((("isolation", escape(isolation)),) if isolation else ()),
        ("last run", f"{ago(row['at'])}, {escape(trigger_text(trigger))}" if row["at"] else "never"),
        ("execution", escape(row["execution"] or "—")),
        ("summary", escape(row["summary"] or "—")),
        *((("held", escape(_held_text(row))),) if row["held"] else ()),
        ("proof", f"sha256:{row['proof']}" if row["proof"] else "—"),
    )
    parts: list[RenderableType] = [f"[bold]{escape(row['team'])}[/]", facts(rows), *_problems(row["problems"])]
    parts += [f"[yellow]![/] {escape(note)}" for note in notes]
    parts += map(orphaned_text, row["left_behind"])
    if row["ways_in"]:
        parts.append(_ways_in_tree(row["ways_in"]))
    if row["access_points"]:
        parts.append(_access_points_tree(row["access_points"]))
    parts.append(_resources(row["resources"], whole=whole) if row["resources"] else "[dim]nothing is provisioned[/]")
    return stacked(parts)


def _problems(problems: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for problem in problems:
        message, remedy = problem_text(problem)
        record = f"{problem['record']}: " if "record" in problem else ""
        yield text_with_remedy(record + message, remedy)


def _ways_in_tree(ways: Iterable[Mapping[str, str]]) -> Folded:
    branches = []
    for way in ways:
        by = f" [dim]by {escape(way['selector'])}[/]" if way["selector"] else ""
        on = f" [dim]on {escape(way['cluster'])}[/]"
        branches.append((f"{escape(way['role'])} → {escape(way['cluster_access_role'])}{on}{by}", ()))
    return tree("[dim]scientists assume, from the role they work as[/]", branches)


def _access_points_tree(points: Iterable[Mapping[str, str]]) -> Folded:
    lines = [(escape(line), ()) for line in words.access_points(points)]
    return tree("[dim]pods reach data by these names, in the place of a bucket's[/]", lines)


def _resources(keys: Iterable[str], *, whole: bool) -> Folded:
    by_account: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        name = words.resource_of_key(key).rpartition(" in ")[0]
        by_account[key.split("|")[1]].append(f"{name}  {key}" if whole else name)
    branches = [(f"account {account}", [*map(escape, sorted(names))]) for account, names in sorted(by_account.items())]
    number = sum(map(len, by_account.values()))
    return tree(f"[dim]{counted(number, 'resource')}[/]", branches)


def history_table(executions: Iterable[Execution], *, whole: bool = False) -> RenderableType:
    """One line for each run: the ``whole`` with all columns, summaries and names."""
    headers = ("when", "took", "what started it", "who", "outcome", "summary", *(("run",) if whole else ()))
    shown = ListTable(*headers, expendable=() if whole else ("took", "what started it", "who"))
    for execution in executions:
        took = "runs"
        if execution.stopped:
            took = f"{(execution.stopped - execution.started).total_seconds():.1f} s"
        shown.add_row(
            utc_text(execution.started),
            took,
            escape(trigger_text(execution.trigger)),
            escape(caller_text(execution)),
            state_text(execution.outcome),
            escape(_run_text(execution, whole=whole)),
            *((execution.name,) if whole else ()),
        )
    return shown


def caller_text(execution: Execution) -> str:
    """Whoever started a run: name and account of their ARN, and whether CloudTrail or only the record says so."""
    event, change, by = (str(execution.trigger.get(name, "")) for name in ("event", "change", "by"))
    parts = by.split(":", 5)
    if len(parts) < len(("arn", "partition", "service", "region", "account", "name")):
        return parts[-1] or callers.unknown(event, change)
    return f"{parts[5]} in {parts[4]}, {callers.known_by(event)}"


def _run_text(execution: Execution, *, whole: bool) -> str:
    """What a run did: of one that joined another, that run; a drift is repaired."""
    summary = execution.summary if whole else execution.summary.partition("\n")[0][:160]
    if execution.joined:
        return f"{summary}, by the run of {utc_text(execution.joined.started)}"
    is_repaired = execution.trigger.get("event") == "drift" and execution.output.get("made")
    return f"{summary}: the drift is repaired" if is_repaired else summary


def trigger_text(trigger: Mapping[str, Any]) -> str:
    """What started a run, and the reason of whoever wrote the record, in a few words."""
    event = " ".join(str(trigger[name]) for name in ("event", "change", "record") if trigger.get(name))
    commit = f"commit {str(trigger['commit'])[:12]}" if trigger.get("commit") else ""
    why = ", ".join(filter(None, (str(trigger.get("reason", "")), commit)))
    return f"{event}: {why}" if why else event
