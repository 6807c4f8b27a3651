"""Answers about the past, for people."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.markup import escape
from rich.padding import Padding

from podshare.registry.sentences import counted
from podshare_cli import words
from podshare_cli.access.reports import Line
from podshare_cli.folding import facts
from podshare_cli.history.answers import Grant, PastAccess, PastChange, PastWay, Subject
from podshare_cli.history.confirmations import Confirmation
from podshare_cli.history.objects import Stored
from podshare_cli.history.past_access import Way, moment_of
from podshare_cli.output import ListTable, stacked, state_text
from podshare_cli.progress import callers
from podshare_cli.views.access import cells_of
from podshare_cli.views.team import trigger_text

_SHOWN_DIGEST = 12


def access_at(answer: PastAccess, subject: Subject) -> RenderableType:
    """Who could, by which grant, and what is uncertain."""
    when = answer.at.isoformat(timespec="seconds")
    parts: list[RenderableType] = [f"[bold]{escape(subject.text)}[/] at {when}"]
    for who, past_ways in _by_whom(answer.ways):
        parts += [who, *_ways_in(past_ways)]
    if not answer.proven_runs and not subject.team:
        parts.append("Nothing is known: there is no proof of any team from before that.")
    elif not answer.ways:
        parts.append("Nobody had access, as far as the history goes.")
    shown_teams = {past.way.team for past in answer.ways} | ({subject.team} if subject.team else set())
    parts += [f"[dim]{escape(text)}[/]" for text in _proven_runs(answer, shown_teams)]
    for team, texts in answer.uncertain.items():
        parts += [f"[yellow]? uncertain[/] {escape(team)}: {escape(text)}" for text in texts]
    return stacked(parts)


def _by_whom(ways: Iterable[PastWay]) -> Iterator[tuple[str, list[PastWay]]]:
    """A heading for each team and who got in, with their ways in."""
    grouped: dict[tuple[str, str], list[PastWay]] = {}
    for past in ways:
        grouped.setdefault((past.way.team, past.way.access.who), []).append(past)
    for (team, _), past_ways in grouped.items():
        who, *_ = _cells(past_ways[0].way)
        yield f"\n[bold]{escape(team)}[/]  {who}", past_ways


def _ways_in(past_ways: Iterable[PastWay]) -> Iterator[RenderableType]:
    """What somebody could do: the ways in that have the same grants as one table below these grants."""
    by_grants: dict[tuple[Grant, ...], list[PastWay]] = {}
    for past in past_ways:
        by_grants.setdefault(past.grants, []).append(past)
    for grants, ways in by_grants.items():
        yield Padding(f"[dim]granted by[/] {_grants_text(grants)}", (0, 0, 0, 2), expand=False)
        shown = ListTable("may", "of", "through")
        for past in ways:
            _, *cells = _cells(past.way)
            shown.add_row(*cells, style="" if past.way.granted else "bold red")
        yield Padding(shown, (0, 0, 0, 4), expand=False)


def _proven_runs(answer: PastAccess, teams: Iterable[str]) -> Iterator[str]:
    """Which run's proof answers for each team."""
    for team in sorted(teams):
        run = answer.proven_runs.get(team)
        if run is None:
            yield f"{team}: there is no proof from before that"
            continue
        by = f"run {run['run']}" if run["run"] else "the present, which no run has added to the history"
        confirmed = f", confirmed at {run['confirmed_at']}" if run.get("confirmed_at") else ""
        yield f"{team}: proven at {run['proven_at']} by {by}{confirmed}, sha256:{str(run['digest'])[:_SHOWN_DIGEST]}"


def changes(past_changes: Iterable[PastChange]) -> RenderableType:
    """What was gained or lost, run by run."""
    by_run: dict[tuple[str, str], list[PastChange]] = {}
    for past in past_changes:
        by_run.setdefault((past.change.way.team, str(past.change.run["proven_at"])), []).append(past)
    parts: list[RenderableType] = []
    for (team, proven_at), past_ones in by_run.items():
        proven = past_ones[0].change.run
        name = f"run {escape(str(proven['run']))}" if proven["run"] else "the present"
        parts.append(f"\n[bold]{escape(team)}[/]  {proven_at}  {name}")
        cause, confirmation = proven["cause"], past_ones[0].confirmation
        by = caller_text(cause, confirmation)
        cause_line = f"[dim]cause[/] {escape(cause_text(cause, confirmation))}{f', by {escape(by)}' if by else ''}"
        parts.append(Padding(cause_line, (0, 0, 0, 2), expand=False))
        shown = ListTable("", "who", "may", "of", "through", "granted by")
        for past in past_ones:
            sign = "[green]+ gained[/]" if past.change.gained else "[red]- lost[/]"
            shown.add_row(sign, *_cells(past.change.way), _grants_text(past.grants))
        parts.append(Padding(shown, (0, 0, 0, 2), expand=False))
    return stacked(parts) if parts else "Nobody gained or lost access."


def run(passes: Iterable[tuple[Stored, Confirmation | None]]) -> RenderableType:
    """All that the history has of a run, pass by pass."""
    return stacked(part for stored, confirmation in passes for part in _pass(stored, confirmation))


def _pass(stored: Stored, confirmation: Confirmation | None) -> Iterator[RenderableType]:
    document = stored.document
    cause = document["cause"]
    yield facts(
        [
            ("run", f"[bold]{escape(document['run'])}[/] of team {escape(document['team'])}"),
            ("cause", escape(cause_text(cause, confirmation))),
            ("by", escape(_caller_and_hint(cause, confirmation) or "—")),
            ("records", escape("\n".join(map(_version_text, document["records"])) or "—")),
            ("plan", _plan_text(document["plan"])),
            ("outcome", f"{state_text(document['state'])}  {escape(document['summary'])}"),
            ("took", _took(document)),
            ("access proven", escape(str(document["proven_at"] or "no"))),
        ]
    )
    for change in document["changes"]:
        yield _change_text(change)
        for each in change["differs"]:
            yield f"    {escape(each['field'])}: {escape(each['before'])} [dim]→[/] {escape(each['after'])}"
    yield from (f"[bold red]✗[/] {escape(problem)}" for problem in document["problems"])
    yield from (f"[bold red]✗[/] {escape(text)}" for text in document["unexpected"])
    yield facts(
        [
            ("execution", escape(document["execution"])),
            ("object", escape(stored.key)),
            ("version", escape(stored.version)),
            ("sha256", stored.sha256),
            ("access report", f"sha256:{document['digest']}" if document["digest"] else "—"),
        ]
    )


def cause_text(cause: Mapping[str, Any], confirmation: Confirmation | None = None) -> str:
    """What started a run, and why."""
    why = {"commit": cause.get("commit_id")}
    if confirmation:
        why = {"commit": confirmation.commit, "reason": confirmation.reason}
    return trigger_text({**cause, **why})


def caller_text(cause: Mapping[str, Any], confirmation: Confirmation | None = None) -> str:
    """Who started a run; of a deletion, whoever confirmed what it takes, as the approval declares."""
    if not confirmation:
        event, caller = str(cause["event"]), str(cause.get("caller") or "")
        return f"{caller}, {callers.known_by(event)}" if caller else callers.unknown(event, str(cause["change"]))
    author = f" for {confirmation.author}" if confirmation.author else ""
    number = f" version {confirmation.version}" if confirmation.version else ""
    return f"{confirmation.by}{author}, as {confirmation.record}{number} declares"


def _caller_and_hint(cause: Mapping[str, Any], confirmation: Confirmation | None) -> str:
    """Who started a run; of a record that declares nobody, also where that is recorded."""
    text = caller_text(cause, confirmation)
    is_unknown = text and not (confirmation or cause.get("caller"))
    return f"{text} ({callers.EVIDENCE})" if is_unknown else text


def _version_text(version: Mapping[str, Any]) -> str:
    number = f" version {version['version']}" if version["version"] else ""
    writer = f"declared by {version['writer']}" if version["writer"] else f"by {words.BY_NOBODY_KNOWN}"
    return f"{version['id']}{number}, {writer}{_why(version)}"


def _why(version: Mapping[str, Any]) -> str:
    return f" ({version['reason']})" if version["reason"] else ""


def _plan_text(plan: Mapping[str, Any]) -> str:
    blockers = f", {len(plan['blockers'])} blocked" if plan["blockers"] else ""
    held = f", held as {escape(plan['held'])}" if plan["held"] else ""
    return f"{counted(plan['planned'], 'change')}{blockers}{held}, hash {escape(str(plan['hash'] or '—'))}"


def _took(document: Mapping[str, Any]) -> str:
    if not document["started_at"]:
        return "—"
    began, ended = moment_of(document["started_at"]), moment_of(document["recorded_at"])
    return f"{(ended - began).total_seconds():.1f} s, from {document['started_at']}"


def _change_text(change: Mapping[str, Any]) -> str:
    sign = "[green]✓[/]" if change["status"] == "done" else f"[bold red]{escape(change['status'])}[/]"
    detail = f": {escape(change['detail'])}" if change["detail"] else ""
    did = f"{words.action(change['action'])} {escape(words.resource(change))}"
    took = "" if change.get("seconds") is None else f" [dim]{change['seconds']} s[/]"
    return f"  {sign} {did} [dim]{escape(change['why'])}[/]{took}{detail}"


def _cells(way: Way) -> Iterator[str]:
    return cells_of(Line(way.team, way.access, way.granted))


def _grants_text(grants: Iterable[Grant]) -> str:
    return escape("\n".join(map(_grant_text, grants)) or "no record")


def _grant_text(grant: Grant) -> str:
    """A grant, who wrote it and why, and until when, in a line."""
    by = f" by {grant.by or words.BY_NOBODY_KNOWN}" if grant.by or grant.is_exact else ""
    author = f" for {grant.author}" if grant.author else ""
    at = f" at {grant.written_at}" if grant.written_at else ""
    remark = "" if grant.is_exact or not grant.by else " (the version that counted)"
    reason = f": {grant.reason}" if grant.reason else ""
    until = f", until {grant.until}" if grant.until else ""
    return f"{grant.record} {grant.line}{by}{author}{at}{remark}{reason}{until}"
