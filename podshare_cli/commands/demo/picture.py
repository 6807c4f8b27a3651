"""Who can reach what, and how long it took: what the demo shows of what it has tried."""

from collections.abc import Iterable, Sequence

from rich.markup import escape
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from podshare.registry.records import Team
from podshare_cli.commands.demo.attempts import Check, CheckedAccess, Question
from podshare_cli.output import state_text
from podshare_cli.progress.executions import Following
from podshare_cli.progress.runs import STEPS


def access_tree(team: Team, people: Iterable[CheckedAccess], pods: Iterable[CheckedAccess]) -> Tree:
    """A team with everything that its people and its pods reach, each claim with its proof."""
    quota = ", ".join(_quota(team))
    tree = Tree(f"[bold]{escape(team.name)}[/]  [dim]on cluster {escape(', '.join(team.quotas))}, {escape(quota)}[/]")
    for title, accesses in (("people", people), ("pods", pods)):
        branch = tree.add(f"[dim]{title}[/]")
        for access in accesses:
            branch.add(escape(access.title)).add(_row_of(access.checks))
    return tree


def check_text(check: Check) -> Text:
    """A proof: green if it held, red with what was found otherwise."""
    if check.held:
        return Text.from_markup(f"[green]✓[/] {escape(check.claim)}")
    return Text.from_markup(f"[bold red]✗ {escape(check.claim)}: {escape(check.found)}[/]")


def answers(checks: Sequence[Check]) -> Table:
    """Each question with the answer that is expected, what was seen, and how long after the trigger at the latest."""
    table = Table("question", "expected", "seen", box=None, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("after the trigger", justify="right")
    for question in Question:
        asked = [check for check in checks if check.question is question]
        if asked:
            table.add_row(escape(question.text), question.expected, _seen(question, asked), _latest(asked))
    return table


def _seen(question: Question, asked: Sequence[Check]) -> Text:
    failed = [check for check in asked if not check.held]
    if not failed:
        return Text.from_markup(f"[green]✓[/] {question.expected}, {len(asked)} of {len(asked)}")
    failures = "; ".join(f"{check.claim}: {check.found}" for check in failed)
    return Text.from_markup(f"[bold red]✗ {len(failed)} of {len(asked)} otherwise: {escape(failures)}[/]")


def _latest(asked: Iterable[Check]) -> str:
    seconds = [check.seconds for check in asked if check.seconds is not None]
    return f"{max(seconds):.1f} s" if seconds else ""


def timetable(runs: Sequence[tuple[str, Following]]) -> Table:
    """The executions, and the seconds that each of their steps took."""
    table = Table("step", box=None, header_style="dim", title_justify="left")
    for title, _ in runs:
        table.add_column(escape(title), justify="right")
    for step in STEPS:
        table.add_row(step, *(_seconds(following, step) for _, following in runs))
    table.add_row("changes", *(str(len(following.run.changes)) for _, following in runs), style="dim")
    table.add_row("outcome", *(state_text(following.run.state) for _, following in runs))
    return table


def _row_of(checks: Iterable[Check]) -> Text:
    return Text("  ").join(check_text(check) for check in checks)


def _seconds(following: Following, step: str) -> str:
    took = following.run.steps.get(step)
    return f"{took.seconds:.2f} s" if took else "[dim]—[/]"


def _quota(team: Team) -> Iterable[str]:
    for line in (line for quota in team.quotas.values() for line in quota.resources):
        if line.count is not None:
            yield f"{line.count} x {line.instance_type}"
        else:
            many = "accelerator" if line.accelerators == 1 else "accelerators"
            yield f"{line.accelerators or 'parts of'} {many} of {line.instance_type}"
