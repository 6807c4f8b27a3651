"""The demo's story: two teams come, are put to the test, and one of them goes."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from podshare.domain.installation import Installation
from podshare.domain.records import Dataset, Team, parse
from podshare_cli import writing
from podshare_cli.connection import DEFAULT_PREFIX, Connection
from podshare_cli.demo import picture
from podshare_cli.demo.proofs import Proof, Prover, Reach
from podshare_cli.demo.remains import accounts_own, remains_of
from podshare_cli.documents import WRITING_ORDER, Item, kind_of, name_of, read_records
from podshare_cli.executions import Executions, Following
from podshare_cli.output import stdout
from podshare_cli.progress import watch
from podshare_cli.tables import Registry, State
from podshare_sandbox import Sandbox
from podshare_sandbox.organization import HUB, HUB_REGION, ORGANIZATION_ID

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "registry"
LEAVING = "language"
_TIME_SCALE = 0.02  # AWS's own waits take a fiftieth of their time; functions take what they take
_LOOK_SECONDS = 0.5
_RESEARCHER, _ANALYST = ("222222222222", "/research/", "LanguageResearcher"), ("444444444444", "/", "Analyst")


def tell(began: float) -> bool:
    """Tell the story on stdout; whether everything was verified and proven. ``began`` is in monotonic seconds."""
    console = stdout()
    with console.status("Starting an AWS organization of five accounts"):
        sandbox = Sandbox(time_scale=_TIME_SCALE).start()
    try:
        with console.status("Deploying podshare: the hub, and a stack in each account"):
            sandbox.deploy_podshare()
        _chapter(console, f"An AWS organization of five accounts, with podshare deployed ({_since(began)})")
        held = _Story(console, sandbox).tell()
    finally:
        sandbox.stop()
    mark = "[bold green]✓ everything was verified and proven[/]" if held else "[bold red]✗ it did not hold[/]"
    console.print(f"\n{mark}, in {_since(began)}")
    return held


class _Story:
    """What the chapters share: the sandbox, the records, and the runs so far."""

    def __init__(self, console: Console, sandbox: Sandbox) -> None:
        self._console = console
        self._sandbox = sandbox
        self._connection = Connection(session=sandbox.session(HUB, HUB_REGION))
        self._executions = Executions(self._connection)
        self._items = read_records([str(path) for path in sorted(EXAMPLES.glob("*.yaml"))], WRITING_ORDER)
        records = [parse(item) for item in self._items]
        self._teams = {record.name: record for record in records if isinstance(record, Team)}
        self._prover = Prover(
            sandbox,
            Installation(DEFAULT_PREFIX, "aws", HUB, HUB_REGION, ORGANIZATION_ID, HUB_REGION),
            {record.name: record for record in records if isinstance(record, Dataset)},
            _neighbors(self._teams),
        )
        self._runs: list[tuple[str, Following]] = []

    def tell(self) -> bool:
        """All chapters, as far as they come; whether everything held."""
        self._prepare_accounts()
        return self._provision() and self._prove() and self._delete() and self._account()

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

    def _provision(self) -> bool:
        _chapter(self._console, "An admin writes the records, and podshare makes them true")
        self._say(f"podshare team put {EXAMPLES.relative_to(EXAMPLES.parents[1])}/*.yaml --wait")
        writing.check_references(self._connection, self._items)
        known = {team: self._executions.recent(team) for team in self._teams}
        written = [one.item["id"] for one in writing.put_records(self._connection, self._items)]
        self._say(f"written: {', '.join(written)}")
        followings = self._follow(self._items, known)
        self._runs += [(f"{one.run.team} comes", one) for one in followings]
        return self._all_are(followings, "READY")

    def _prove(self) -> bool:
        _chapter(self._console, "Who can reach what, proven by doing it with credentials of their own")
        with self._console.status("Assuming roles, asking the cluster, reading and writing data"):
            shown = [self._reaches(team) for team in self._teams.values()]
        for team, (people, pods) in zip(self._teams.values(), shown, strict=True):
            self._console.print(picture.reaches(team, people, pods))
        return all(_hold(people) and _hold(pods) for people, pods in shown)

    def _delete(self) -> bool:
        _chapter(self._console, f"The admin deletes team {LEAVING}")
        self._say(f"podshare team delete {LEAVING} --yes --wait")
        team = self._teams[LEAVING]
        sessions = self._prover.open_sessions(team)
        known = {LEAVING: self._executions.recent(LEAVING)}
        Registry(self._connection).delete(f"team#{LEAVING}")
        followings = self._follow([{"id": f"team#{LEAVING}"}], known)
        self._runs += [(f"{LEAVING} goes", one) for one in followings]
        if not self._all_are(followings, "DELETED"):
            return False
        left = [*State(self._connection).resources(LEAVING), *remains_of(self._sandbox, LEAVING, DEFAULT_PREFIX)]
        proofs = [
            *(session() for session in sessions),
            *self._prover.refused_people(team),
            Proof(f"nothing of {LEAVING} is left in any account", not left, ", ".join(left)),
            *accounts_own(self._sandbox, _RESEARCHER[0], _RESEARCHER[2]),
            *self._others_notice_nothing(),
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

    def _follow(self, items: Iterable[Item], known: Mapping[str, set[str]]) -> list[Following]:
        records = {name_of(item): item["id"] for item in items if kind_of(item) == "team"}
        followings = [
            Following(self._executions, team, record_ids=[records[team]], known=known[team]) for team in known
        ]
        watch(self._console, followings, _LOOK_SECONDS)
        return followings

    def _all_are(self, followings: Sequence[Following], state: str) -> bool:
        bad = [one for one in followings if one.run.state != state]
        for one in bad:
            self._console.print(f"[bold red]✗ {one.run.team}: {escape(one.run.summary)}[/]", soft_wrap=True)
        return not bad

    def _reaches(self, team: Team) -> tuple[list[Reach], list[Reach]]:
        return list(self._prover.people(team)), list(self._prover.pods(team))

    def _others_notice_nothing(self) -> Iterable[Proof]:
        for name, team in self._teams.items():
            if name != LEAVING:
                people, pods = self._reaches(team)
                failed = [proof.claim for reach in (*people, *pods) for proof in reach.proofs if not proof.held]
                yield Proof(f"team {name} reaches all that it reached before, and no more", not failed, str(failed))

    def _say(self, text: str) -> None:
        self._console.print(f"[dim]{escape(text)}[/]", soft_wrap=True)


def _neighbors(teams: Mapping[str, Team]) -> dict[str, Team]:
    """For each team another one, whose things it must not reach."""
    ring = list(teams.values())
    return {team.name: ring[(place + 1) % len(ring)] for place, team in enumerate(ring)}


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
