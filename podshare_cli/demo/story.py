"""The demo's story: two teams come, and an account that gets its own; all are put to the test, and two of them go."""

import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from podshare.domain import names
from podshare.domain.enrollments import team_name
from podshare.domain.installation import Installation
from podshare.domain.records import Dataset, Enrollment, Team, parse, parse_team
from podshare_cli import writing
from podshare_cli.connection import DEFAULT_PREFIX, Connection
from podshare_cli.demo import organization, picture
from podshare_cli.demo.organization import FollowingAccount
from podshare_cli.demo.proofs import Proof, Prover, Reach
from podshare_cli.demo.remains import accounts_own, remains_of
from podshare_cli.documents import WRITING_ORDER, read_records
from podshare_cli.executions import Executions, Following, FollowingSweep
from podshare_cli.output import stdout
from podshare_cli.progress import watch
from podshare_cli.tables import Registry, State
from podshare_sandbox import Sandbox
from podshare_sandbox.organization import HUB, HUB_REGION, ORGANIZATION_ID

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "registry"
LEAVING = "language"
JOINING = "genomics-lab"
_TIME_SCALE = 0.02  # AWS's own waits take a fiftieth of their time; functions take what they take
_LOOK_SECONDS = 0.3
_RESEARCHER, _ANALYST = ("222222222222", "/research/", "LanguageResearcher"), ("444444444444", "/", "Analyst")


def tell(began: float) -> bool:
    """Tell the story on stdout; whether everything was verified and proven. ``began`` is in monotonic seconds."""
    console = stdout()
    with console.status("Starting an AWS organization of five accounts"):
        sandbox = Sandbox(time_scale=_TIME_SCALE).start()
    try:
        with console.status("Deploying podshare: the hub, and a stack in each account"):
            stack = sandbox.deploy_podshare()
        _chapter(console, f"An AWS organization of five accounts, with podshare deployed ({_since(began)})")
        held = _Story(console, sandbox, stack["AccountLifecycleMachine"]).tell()
    finally:
        sandbox.stop()
    mark = "[bold green]✓ everything was verified and proven[/]" if held else "[bold red]✗ it did not hold[/]"
    console.print(f"\n{mark}, in {_since(began)}")
    return held


class _Story:
    """What the chapters share: the sandbox, the records, and the runs so far."""

    def __init__(self, console: Console, sandbox: Sandbox, lifecycle: str) -> None:
        self._console = console
        self._sandbox = sandbox
        self._lifecycle = lifecycle
        self._connection = Connection(session=sandbox.session(HUB, HUB_REGION))
        self._executions = Executions(self._connection)
        self._items = read_records([str(path) for path in sorted(EXAMPLES.glob("*.yaml"))], WRITING_ORDER)
        records = [parse(item) for item in self._items]
        self._teams = {record.name: record for record in records if isinstance(record, Team)}
        self._enrollment = next(record.name for record in records if isinstance(record, Enrollment))
        self._prover = Prover(
            sandbox,
            Installation(DEFAULT_PREFIX, "aws", HUB, HUB_REGION, ORGANIZATION_ID, HUB_REGION),
            {record.name: record for record in records if isinstance(record, Dataset)},
            self._teams,
        )
        self._newcomer = ""  # the account that joins
        self._events: set[str] = set()  # the executions that followed the organization's events so far
        self._runs: list[tuple[str, Following]] = []

    def tell(self) -> bool:
        """All chapters, as far as they come; whether everything held."""
        self._prepare_accounts()
        return self._list_organization() and self._provision() and self._prove() and self._part() and self._account()

    # ---- chapters ------------------------------------------------------------------------------------------

    def _prepare_accounts(self) -> None:
        """The roles that the example records name are the accounts' own: their admins make them, not podshare."""
        account, path, name = _RESEARCHER
        _create_role(self._sandbox.client("iam", account), account, path, name)
        account, path, name = _ANALYST
        iam = self._sandbox.client("iam", account)
        _create_role(iam, account, path, name)
        may_assume = {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Resource": f"arn:aws:iam::{account}:role/podshare/*",
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [may_assume]})
        iam.put_role_policy(RoleName=name, PolicyName="become-data-scientist", PolicyDocument=policy)
        made = " and ".join(f"{path}{name} in {account}" for account, path, name in (_RESEARCHER, _ANALYST))
        self._say(f"The accounts' own admins make the roles that the records name: {made}.")

    def _list_organization(self) -> bool:
        self._say(f"aws organizations create-account --account-name {JOINING} …")
        self._newcomer = organization.create_account(self._sandbox, JOINING)
        self._say("podshare sweep, once: from now on podshare knows the organization's accounts")
        sweep = FollowingSweep(self._executions, self._executions.start_sweep())
        watch(self._console, [sweep], _LOOK_SECONDS)
        return sweep.state == "SWEPT"

    def _provision(self) -> bool:
        unit, account = organization.SCIENCE, self._newcomer
        title = f"An admin writes the records of two teams; the account {JOINING} comes into the unit {unit.name}"
        _chapter(self._console, f"{title}, and nobody writes a record for it")
        self._say(f"podshare team put {EXAMPLES.relative_to(EXAMPLES.parents[1])}/*.yaml --wait")
        writing.check_references(self._connection, self._items)
        known = {team: self._executions.recent(team) for team in self._teams}
        written = [one.item["id"] for one in writing.put_records(self._connection, self._items)]
        self._say(f"written: {', '.join(written)}")
        coming = [Following(self._executions, team, record_ids=[f"team#{team}"], known=known[team]) for team in known]
        self._say(f"aws organizations move-account --account-id {account} --destination-parent-id {unit.id} …")
        # its StackSet is slower than podshare, as on AWS, however busy this machine is
        self._sandbox.hold_stack_sets(account)
        joining = self._following_newcomer(lambda: self._sandbox.release_stack_sets(account))
        organization.move_into_science(self._sandbox, account)
        watch(self._console, [*coming, joining], _LOOK_SECONDS)
        coming.append(joining.following)
        self._runs += zip([f"{name} comes" for name in (*known, JOINING)], coming, strict=True)
        return self._all_are(coming, "READY")

    def _prove(self) -> bool:
        _chapter(self._console, "Who can reach what, proven by doing it with credentials of their own")
        accepted = State(self._connection).accepted(f"team#{self._newcomers_team}") or {}
        self._teams[self._newcomers_team] = parse_team(accepted, made_by_enrollment=True)
        with self._console.status("Assuming roles, asking the cluster, reading and writing data"):
            shown = [self._reaches(team) for team in self._teams.values()]
        for team, (people, pods) in zip(self._teams.values(), shown, strict=True):
            self._console.print(picture.reaches(team, people, pods))
        return all(_hold(people) and _hold(pods) for people, pods in shown)

    def _part(self) -> bool:
        _chapter(self._console, f"The admin deletes team {LEAVING}, and the account {JOINING} leaves the organization")
        going = [self._teams[LEAVING], self._teams[self._newcomers_team]]
        sessions = [session for team in going for session in self._prover.open_sessions(team)]
        known = self._executions.recent(LEAVING)
        self._say(f"aws organizations leave-organization, in {self._newcomer}")
        leaving = self._following_newcomer()
        organization.leave(self._sandbox, self._newcomer)
        self._say(f"podshare team delete {LEAVING} --yes --wait")
        Registry(self._connection).delete(f"team#{LEAVING}")
        deleting = Following(self._executions, LEAVING, record_ids=[f"team#{LEAVING}"], known=known)
        watch(self._console, [deleting, leaving], _LOOK_SECONDS)
        self._runs += [(f"{LEAVING} goes", deleting), (f"{JOINING} goes", leaving.following)]
        if not self._all_are([deleting, leaving.following], "DELETED"):
            return False
        proofs = [
            *(session() for session in sessions),
            *(proof for team in going for proof in self._prover.refused_people(team)),
            *self._nothing_is_left(going),
            self._left_behind(),
            *accounts_own(self._sandbox, _RESEARCHER[0], _RESEARCHER[2]),
            *self._others_notice_nothing(going),
        ]
        for proof in proofs:
            self._console.print(picture.told(proof))
        return all(proof.held for proof in proofs)

    def _account(self) -> bool:
        _chapter(self._console, "The executions that made it so, and the time that each step took")
        self._console.print(picture.timetable(self._runs))
        for title, following in self._runs:
            self._say(f"{title}: {following.arn}")
        return True

    # ---- their parts ---------------------------------------------------------------------------------------

    def _following_newcomer(self, waits: Callable[[], None] | None = None) -> FollowingAccount:
        return FollowingAccount(self._executions, self._lifecycle, self._newcomers_team, self._events, waits)

    @property
    def _newcomers_team(self) -> str:
        return team_name(self._enrollment, self._newcomer)

    def _all_are(self, followings: Sequence[Following], state: str) -> bool:
        bad = [one for one in followings if one.run.state != state]
        for one in bad:
            self._console.print(f"[bold red]✗ {one.run.team}: {escape(one.run.summary)}[/]", soft_wrap=True)
        return not bad

    def _reaches(self, team: Team) -> tuple[list[Reach], list[Reach]]:
        return list(self._prover.people(team)), list(self._prover.pods(team))

    def _nothing_is_left(self, teams: Iterable[Team]) -> Iterator[Proof]:
        state = State(self._connection)
        for team in teams:
            known = (key for key in state.resources(team.name) if f"|{self._newcomer}|" not in key)
            left = [*known, *remains_of(self._sandbox, team.name, DEFAULT_PREFIX)]
            claim = f"nothing of {team.name} is left in any account of the organization"
            yield Proof(claim, not left, ", ".join(left))

    def _left_behind(self) -> Proof:
        role = names.scientist_role(self._prover.installation, self._newcomers_team)
        status = State(self._connection).status(f"team#{self._newcomers_team}") or {}
        told = [thing["what"] for thing in status.get("left_behind", ())]
        claim = f"role {role}, which nobody can clean any more in {self._newcomer}, is listed as left behind"
        return Proof(claim, any(role in what for what in told), str(told))

    def _others_notice_nothing(self, gone: Collection[Team]) -> Iterable[Proof]:
        for team in self._teams.values():
            if team not in gone:
                people, pods = self._reaches(team)
                failed = [proof.claim for reach in (*people, *pods) for proof in reach.proofs if not proof.held]
                claim = f"team {team.name} reaches all that it reached before, and no more"
                yield Proof(claim, not failed, str(failed))

    def _say(self, text: str) -> None:
        self._console.print(f"[dim]{escape(text)}[/]", soft_wrap=True)


def _create_role(iam: Any, account: str, path: str, name: str) -> None:
    """A role that its own account's principals may assume."""
    trusts = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [trusts]})
    iam.create_role(Path=path, RoleName=name, AssumeRolePolicyDocument=trust)


def _hold(reaches: Iterable[Reach]) -> bool:
    return all(proof.held for reach in reaches for proof in reach.proofs)


def _chapter(console: Console, title: str) -> None:
    console.print(f"\n[bold cyan]{escape(title)}[/]")


def _since(began: float) -> str:
    return f"{time.monotonic() - began:.1f} s"
