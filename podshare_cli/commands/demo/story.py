"""The demo's story: two teams come, and an account that gets its own; all are put to the test, and two of them go."""

import os
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from podshare.installation import Installation
from podshare.kinds import names
from podshare.registry.enrollments import team_name
from podshare.registry.parsing import parse, parse_team
from podshare.registry.records import Dataset, Enrollment, Team
from podshare.registry.sentences import counted
from podshare_cli.aws.connection import DEFAULT_PREFIX, Connection
from podshare_cli.aws.tables import Registry, State
from podshare_cli.commands.demo import organization, picture
from podshare_cli.commands.demo.attempts import Check, CheckedAccess, Checker, Question
from podshare_cli.commands.demo.leftovers import accounts_own, leftovers_of
from podshare_cli.commands.demo.organization import FollowingAccount
from podshare_cli.commands.demo.revocation import Attempts
from podshare_cli.commands.report import command as report
from podshare_cli.output import print_lines, stdout
from podshare_cli.progress.executions import Beginnings, Executions, Following, FollowingSweep
from podshare_cli.progress.live import watch
from podshare_cli.records import references, writes
from podshare_cli.records.documents import WRITING_ORDER, read_records
from podshare_cli.records.provenance import Provenance
from podshare_cli.sandbox_deployment import deploy_podshare
from podshare_sandbox import Sandbox
from podshare_sandbox.organization import HUB, HUB_REGION, ORGANIZATION_ID

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "registry"
LEAVING = "language"
JOINING = "genomics-lab"
_TIME_SCALE = 0.02  # AWS's own waits take a fiftieth of their time; functions take what they take
_POLL_SECONDS = 0.3
_INTRODUCTION = (
    "An AWS organization runs in this process, with podshare's real stacks deployed in it. An admin writes the records"
    " of two teams, and an account that joins gets one by its organizational unit. Every access is tried with that"
    " person's or pod's own credentials; then one team is deleted, and the account leaves."
)


def run_demo(began: float, *, verbose: bool) -> bool:
    """Play the story on stdout; whether everything was as expected. ``began`` is in monotonic seconds.

    ``verbose`` prints each step of the executions, and each attempt.
    """
    console = stdout()
    console.print(_INTRODUCTION + "\n")
    with console.status("Starting an AWS organization of five accounts"):
        sandbox = Sandbox(time_scale=_TIME_SCALE).start()
    try:
        with console.status("Deploying podshare: the hub, and a stack in each account"):
            stack = deploy_podshare(sandbox)
        held = _Story(console, sandbox, stack["AccountLifecycleMachine"], began, verbose=verbose).run_demo()
    finally:
        sandbox.stop()
    mark = "[bold green]✓ everything was as expected[/]" if held else "[bold red]✗ not everything was as expected[/]"
    console.print(f"\n{mark}, in {time.monotonic() - began:.1f} s")
    if held and not verbose:
        console.print("podshare demo --verbose shows each step and each attempt")
    return held


@contextmanager
def _clusters_by(url: str) -> Iterator[None]:
    """Reach the sandbox's clusters as a person does."""
    before = os.environ.get("HTTPS_PROXY")
    os.environ["HTTPS_PROXY"] = url
    try:
        yield
    finally:
        del os.environ["HTTPS_PROXY"]
        if before is not None:
            os.environ["HTTPS_PROXY"] = before


class _Story:
    """What the acts share: the sandbox, the records, and the runs so far."""

    def __init__(self, console: Console, sandbox: Sandbox, lifecycle: str, began: float, *, verbose: bool) -> None:
        self._console = console
        self._details = console if verbose else None
        self._began = began
        self._sandbox = sandbox
        self._lifecycle = lifecycle
        self._connection = Connection(session=sandbox.session(HUB, HUB_REGION))
        self._executions = Executions(self._connection)
        self._read = read_records([str(path) for path in sorted(EXAMPLES.glob("*.yaml"))], WRITING_ORDER)
        records = [parse(item) for item in self._read.items]
        self._teams = {record.name: record for record in records if isinstance(record, Team)}
        self._enrollment = next(record.name for record in records if isinstance(record, Enrollment))
        self._checker = Checker(
            sandbox,
            Installation(DEFAULT_PREFIX, "aws", HUB, HUB_REGION, ORGANIZATION_ID, HUB_REGION),
            {record.name: record for record in records if isinstance(record, Dataset)},
            self._teams,
        )
        self._newcomer = ""  # the account that joins
        self._events: set[str] = set()  # the executions that followed the organization's events so far
        self._runs: list[tuple[str, Following]] = []
        self._checks: list[Check] = []

    def run_demo(self) -> bool:
        """All acts, as far as they come; whether everything was as expected."""
        self._act("podshare is deployed in an organization of five accounts")
        ended = self._list_organization() and self._onboard() and self._try_access() and self._offboard()
        if self._details:
            self._account_for_time(self._details)
        if self._checks:
            self._console.print()
            self._console.print(picture.answers(self._checks))
        return ended and all(check.held for check in self._checks)

    # ---- acts ----------------------------------------------------------------------------------------------

    def _list_organization(self) -> bool:
        self._newcomer = organization.create_account(self._sandbox, JOINING)
        self._detail(f"aws organizations create-account --account-name {JOINING} …")
        self._detail("podshare sweep, once: from now on podshare knows the organization's accounts")
        sweep = FollowingSweep(self._executions, self._executions.start_sweep())
        watch(self._details, [sweep], _POLL_SECONDS)
        self._act(f"account {JOINING} is created; a sweep has read every account of the organization")
        return sweep.state == "SWEPT"

    def _onboard(self) -> bool:
        unit, account = organization.SCIENCE, self._newcomer
        began = time.monotonic()
        references.check_references(self._connection, self._read)
        beginnings = Beginnings(self._executions)
        changes = references.record_changes(self._connection, self._read.items)
        writes.write(self._connection, changes, Provenance())
        self._act(f"podshare team put examples/registry/*.yaml: {counted(len(changes), 'record')} written")
        coming = [beginnings.following(team, [f"team#{team}"]) for team in self._teams]
        # its StackSet is slower than podshare, as on AWS, however busy this machine is
        self._sandbox.hold_stack_sets(account)
        joining = self._following_newcomer(lambda: self._sandbox.release_stack_sets(account))
        organization.move_into_science(self._sandbox, account)
        self._act(
            f"aws organizations move-account: {JOINING} comes into unit {unit.name}, where records enroll accounts"
        )
        self._watch([*coming, joining], began, "ready")
        coming.append(joining)
        self._runs += zip([f"{name} comes" for name in (*self._teams, JOINING)], coming, strict=True)
        return self._all_are(coming, "READY")

    def _try_access(self) -> bool:
        accepted = State(self._connection).accepted(f"team#{self._newcomers_team}") or {}
        self._teams[self._newcomers_team] = parse_team(accepted, made_by_enrollment=True)
        with self._console.status("Assuming roles, asking the cluster, reading and writing data"):
            shown = [self._checked_access(team) for team in self._teams.values()]
        for team, (people, pods) in zip(self._teams.values(), shown, strict=True):
            self._checks += [check for access in (*people, *pods) for check in access.checks]
            if self._details:
                self._details.print(picture.access_tree(team, people, pods))
        scientists = sum(len(people) for people, _ in shown)
        grants = sum(len(pods) for _, pods in shown)
        who = f"{counted(scientists, 'scientist')}, and pods with {counted(grants, 'grant')}"
        self._act(f"{who}, tried {counted(len(self._checks), 'call')}")
        self._report()
        return True

    def _report(self) -> None:
        """Write the page of this moment, which outlives the sandbox."""
        file = Path(tempfile.mkdtemp(prefix="podshare-demo-")) / "report.html"
        with _clusters_by(self._sandbox.url):
            report.write(file, self._connection, {})
        self._act(f"podshare report --out {file}: open it in a browser")

    def _offboard(self) -> bool:
        going = [self._teams[LEAVING], self._teams[self._newcomers_team]]
        sessions = [session for team in going for session in self._checker.open_sessions(team)]
        deleting = Beginnings(self._executions).following(LEAVING, [f"team#{LEAVING}"])
        leaving = self._following_newcomer()
        triggered: dict[str, float] = {}
        with Attempts(sessions) as attempts:
            triggered[self._newcomers_team] = time.monotonic()
            organization.leave(self._sandbox, self._newcomer)
            self._act(f"aws organizations leave-organization: {JOINING} leaves")
            triggered[LEAVING] = time.monotonic()
            Registry(self._connection).delete(f"team#{LEAVING}")
            self._act(f"podshare team delete {LEAVING}")
            self._watch([deleting, leaving], triggered[self._newcomers_team], "deleted")
        self._runs += [(f"{LEAVING} goes", deleting), (f"{JOINING} goes", leaving)]
        checks = [
            *attempts.checks(triggered),
            *(check for team in going for check in self._checker.refused_people(team)),
            *self._nothing_is_left(going),
            self._orphaned(),
            *accounts_own(self._sandbox),
            *self._others_notice_nothing(going),
        ]
        self._checks += checks
        if self._details:
            for check in checks:
                self._details.print(picture.check_text(check))
        return self._all_are([deleting, leaving], "DELETED")

    def _account_for_time(self, console: Console) -> None:
        console.print("\nThe executions, and the time that each step took")
        console.print(picture.timetable(self._runs))
        for title, following in self._runs:
            self._detail(f"{title}: {following.arn}")

    # ---- their parts ---------------------------------------------------------------------------------------

    def _watch(self, followings: Sequence[Following], began: float, end: str) -> None:
        """Follow executions until all are over, with a line for each as it ends."""

        def ended(following: Following) -> None:
            self._act(f"  {self._ended(following, time.monotonic() - began, end)}")

        with nullcontext() if self._details else self._console.status("Reconciling"):
            watch(self._details, followings, _POLL_SECONDS, ended)

    def _ended(self, following: Following, seconds: float, end: str) -> str:
        run = following.run
        accounts = {str(change.description["account"]) for change in run.changes}
        state = end if run.state in ("READY", "DELETED") else str(run.state)
        changes = f"{counted(len(run.changes), 'change')} in {counted(len(accounts), 'account')}"
        return f"team {run.team} {state} in {seconds:.1f} s: {changes}"

    def _following_newcomer(self, waits: Callable[[], None] | None = None) -> FollowingAccount:
        return FollowingAccount(self._executions, self._lifecycle, self._newcomers_team, self._events, waits)

    @property
    def _newcomers_team(self) -> str:
        return team_name(self._enrollment, self._newcomer)

    def _all_are(self, followings: Sequence[Following], state: str) -> bool:
        bad = [following for following in followings if following.run.state != state]
        for following in bad:
            print_lines(self._console, [f"[bold red]✗ {following.run.team}: {escape(following.run.summary)}[/]"])
        return not bad

    def _checked_access(self, team: Team) -> tuple[list[CheckedAccess], list[CheckedAccess]]:
        return list(self._checker.people(team)), list(self._checker.pods(team))

    def _nothing_is_left(self, teams: Iterable[Team]) -> Iterator[Check]:
        state = State(self._connection)
        for team in teams:
            known = (key for key in state.resources(team.name) if f"|{self._newcomer}|" not in key)
            left = [*known, *leftovers_of(self._sandbox, team.name, DEFAULT_PREFIX)]
            claim = f"nothing of {team.name} is left in any account of the organization"
            yield Check(Question.LEFTOVERS, claim, not left, ", ".join(left))

    def _orphaned(self) -> Check:
        role = names.scientist_role(self._checker.installation, self._newcomers_team)
        status = State(self._connection).status(f"team#{self._newcomers_team}") or {}
        orphaned = [resource["what"] for resource in status.get("left_behind", ())]
        claim = f"role {role}, which nobody can clean any more in {self._newcomer}, is listed as orphaned"
        return Check(Question.LEFTOVERS, claim, any(role in resource for resource in orphaned), str(orphaned))

    def _others_notice_nothing(self, gone: Collection[Team]) -> Iterable[Check]:
        for team in self._teams.values():
            if team not in gone:
                people, pods = self._checked_access(team)
                failed = [check.claim for access in (*people, *pods) for check in access.checks if not check.held]
                claim = f"team {team.name} reaches all that it reached before, and no more"
                yield Check(Question.OTHERS_KEEP, claim, not failed, str(failed))

    def _act(self, text: str) -> None:
        print_lines(self._console, [f"[dim]{time.monotonic() - self._began:5.1f} s[/]  {escape(text)}"])

    def _detail(self, text: str) -> None:
        if self._details:
            print_lines(self._details, [f"[dim]{escape(text)}[/]"])
