"""Who reaches what, as tables."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from podshare.access.access_report import Refusal
from podshare.access.effective_access import ANYBODY, ASSUME, Access, in_bucket, in_cluster, in_file_system
from podshare_cli.access.reports import AccessReport, AuditLine, Line
from podshare_cli.output import ListTable, ago, stacked

if TYPE_CHECKING:  # it imports lightkube, which takes its time
    from podshare_cli.access.probing import Result

_WORDS = {  # EKS user guide, "Review access policy permissions"; SageMaker AI developer guide, HyperPod with EKS
    "AmazonSagemakerHyperpodTrainingPolicy": "training jobs, jobs and pods, and logs",
    "AmazonSagemakerHyperpodInferencePolicy": "endpoints, Ray services, pods, and logs",
    "AmazonSagemakerHyperpodSpacePolicy": "spaces",
    "AmazonSagemakerHyperpodSpaceTemplatePolicy": "read templates of spaces",
    "AmazonSagemakerHyperpodUserClusterPolicy": "see nodes, queues and namespaces",
    "AmazonEKSViewPolicy": "read all but secrets",
    "AmazonEKSEditPolicy": "change workloads, read secrets",
    "AmazonEKSAdminPolicy": "change all, roles and their bindings too",
    "AmazonEKSClusterAdminPolicy": "everything, everywhere",
}


def table(lines: Iterable[Line]) -> Table:
    """One line for each way in."""
    shown = ListTable("team", "who", "may", "of", "through")
    for line in lines:
        shown.add_row(escape(line.team), *cells_of(line), style=_style(line))
    return shown


def cells_of(line: Line) -> Iterator[str]:
    """Who may do what where, and through what, in markup."""
    access = line.access
    return map(escape, (_who(access.who), _may(line), _place(access), _through(access)))


def _style(line: Line) -> str:
    return "" if line.granted else "bold red"


def audit(lines: Iterable[AuditLine]) -> Table:
    """One line for each door, with the record that grants it or the command that closes it."""
    shown = ListTable("team", "who", "may", "of", "through", "granted by")
    for line in lines:
        cells = (*cells_of(Line(line.team, line.access, bool(line.record))), line.record or f"nobody: {line.closed_by}")
        shown.add_row(escape(line.team), *cells[:-1], escape(cells[-1]), style="" if line.record else "bold red")
        if line.behind:
            shown.add_row("", escape(f"behind it: {', '.join(map(_who, line.behind))}"), style="dim")
    return shown


def matrix(rows: Iterable[Mapping[str, Any]]) -> RenderableType:
    """Teams by places."""
    shown_rows = list(rows)
    if not shown_rows:
        return Text("No team has access to anything, or no team has an access report yet.")
    columns = sorted({place for row in shown_rows for place in row["may"]})
    shown = ListTable("team", *map(escape, columns))
    for row in shown_rows:
        cells = [
            escape(", ".join(_short(may) for may in row["may"].get(place, []))) or "[dim]-[/]" for place in columns
        ]
        shown.add_row(f"[bold]{escape(row['team'])}[/]{'' if row['holds'] else ' [bold red]✗[/]'}", *cells)
    return shown


def access_report(report: AccessReport, others: Iterable[Refusal]) -> RenderableType:
    """All that a team's proof says, and what it and the other teams' say of each other."""
    document = report.document
    verdict = "[bold green]as granted[/]" if document["holds"] else "[bold red]unexpected access[/]"
    parts = [
        f"[bold]{escape(report.team)}[/]  {verdict}, read {ago(document['read_at'])} ({document['read_at']})",
        f"[dim]sha256:{report.digest}[/]",
        *_problems(document),
        *_section("people", [line for line in report.lines if in_cluster(line.access)]),
        *_section("data", [line for line in report.lines if in_bucket(line.access)]),
        *_section("file systems", [line for line in report.lines if in_file_system(line.access)]),
        *_section("roles", [line for line in report.lines if line.access.may[:1] == (ASSUME,)]),
        *_section("what the roles' own policies allow", [line for line in report.lines if not line.access.where]),
        *_other_teams(list(others)),
        *_drift(report.drift),
    ]
    return stacked(parts)


def _section(heading: str, lines: list[Line]) -> Iterator[RenderableType]:
    yield ""
    yield f"[bold]{heading}[/]" if lines else f"[bold]{heading}[/]: nobody"
    shown = ListTable("", "", "", "")
    for line in lines:
        shown.add_row(*cells_of(line), style=_style(line))
    if lines:
        yield shown


def _problems(document: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"[bold red]✗[/] {escape(violation['what'])}" for violation in document["broken"])
    yield from (f"[yellow]?[/] not read: {escape(reason)}" for reason in document["unread"])
    yield from (f"[yellow]?[/] not checked: {escape(reason)}" for reason in document.get("not_looked_at", ()))


def _other_teams(others: list[Refusal]) -> Iterator[str]:
    """Which teams have nothing of this one's and it nothing of theirs, and what is shared with the others."""
    yield ""
    yield f"[bold]other teams[/]{'' if others else ': no other team has access to anything'}"
    for refusal in others:
        for violation in refusal.broken:
            yield f"[bold red]✗[/] {escape(refusal.team)}: {escape(violation)}"
        if refusal.shared:
            but = "no access between the teams, except for what both were granted:"
            yield (
                f"[green]✓[/] {escape(refusal.team)}: {but}"
                if not refusal.broken
                else "    shared, as both were granted:"
            )
            yield from (f"    {escape(access)}" for access in refusal.shared)
    if apart := [refusal.team for refusal in others if not (refusal.shared or refusal.broken)]:
        yield f"[green]✓[/] no access between the teams: {escape(', '.join(apart))}"


def probed(results: "Iterable[Result]") -> RenderableType:
    """What came of each check."""
    shown = ListTable("", "service account", "tried", "found")
    for result in results:
        mark = "[green]✓[/]" if result.holds else "[bold red]✗[/]"
        shown.add_row(mark, escape(result.service_account), escape(result.check.what), escape(result.found))
    return shown if shown.rows else Text("No service account of the team has data.")


def _drift(drift: Mapping[str, Any]) -> Iterator[str]:
    if not drift:
        return
    # what a run has just found is not reported as revoked before the run has looked again
    done = "revoked" if drift.get("taken_away") else "[bold red]still there[/]"
    yield ""
    yield f"[bold]last unexpected access[/], {ago(drift['at'])}, {done}"
    yield from (f"  {escape(str(access))}" for access in drift["found"])


def _who(who: str) -> str:
    """A principal without what all ARNs have, and an account's root as what it means."""
    if who == "*":
        return "anybody"
    if who.startswith("arn:") and who.endswith(":root"):
        return f"anyone account {who.split(':')[4]} lets assume it"
    if who.startswith("system:serviceaccount:"):
        namespace, name = who.split(":")[2:4]
        return f"all pods in {namespace}" if name == ANYBODY else f"pods as {name} in {namespace}"
    return f"{who.split(':')[4]} {who.split(':')[5]}" if who.startswith("arn:") and who.count(":") >= 5 else who


def _may(line: Line) -> str:
    actions = ", ".join(_short(may) for may in line.access.may)
    return actions if line.granted else f"{actions} (not granted by any record)"


def _short(may: str) -> str:
    name = may.removesuffix("!")
    return _WORDS.get(name, name) + ("!" if may.endswith("!") else "")


def _place(access: Access) -> str:
    if in_bucket(access):
        return f"s3://{access.where.rpartition(':')[2]}/{access.what}"
    if in_file_system(access):
        return f"{access.where.rpartition('/')[2]}:{access.what}"
    if in_cluster(access):
        cluster = access.where.rpartition("/")[2]
        return f"all of {cluster}" if access.what == "*" else f"{access.what} on {cluster}"
    return "every resource" if (access.where or access.what) == ANYBODY else _who(access.where or access.what)


def _through(access: Access) -> str:
    return " → ".join(
        principal.rpartition("/")[2] if principal.startswith("arn:") else _who(principal)
        for principal in access.through
    )
