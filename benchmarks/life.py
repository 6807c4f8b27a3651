"""The life of some teams on the sandbox: onboarding, nothing to do, a change, revocation; and what each took."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from benchmarks.calls import Calls, kind_of
from podshare_cli.sandbox_deployment import deploy_podshare
from podshare_sandbox import Sandbox
from podshare_sandbox.traffic import Asked
from tests.builders import a_team_item
from tests.scenarios.world import CLUSTER, DATASETS, HUB, LANGUAGE, REGION, VISION, World

PHASES = ("onboarding", "nothing to do", "add a member", "revoke")
SCALE = 0.02  # of waits, where time is not what is measured
MACHINE = f"arn:aws:states:{REGION}:{HUB}:stateMachine:podshare-reconcile-team"
_NOTHING_IS_HELD = {"MostTeamsLosingAccess": "1000", "MostPercentLosingAccess": "100"}
_PATIENCE = 600  # seconds of a phase
_LOG_EVENT_BYTES = 26  # that CloudWatch Logs adds to each event (PutLogEvents)

Record = dict[str, Any]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Phase:
    """What one phase took, for all its teams: wall seconds, requests, and the executions' histories."""

    name: str
    teams: int
    seconds: float
    requests: tuple[Asked, ...]
    executions: int
    events: int
    event_bytes: int
    log_bytes: int

    @property
    def calls(self) -> Calls:
        """The calls, counted."""
        return Calls.of(self.requests)

    @property
    def first_write(self) -> str:
        """The first call that changed something in the accounts; empty if none did."""
        ordered = sorted(self.requests, key=lambda asked: asked.at)
        return next((one.name for one in ordered if kind_of(one.name) == "writes"), "")


def start_run(sandbox: Sandbox, team: str) -> None:
    """Reconcile a team as an admin does, without waiting for it."""
    trigger = {"event": "admin", "record": f"team#{team}", "change": "", "by": "", "at": "", "id": ""}
    given = json.dumps({"team": team, "trigger": trigger})
    sandbox.client("stepfunctions").start_execution(stateMachineArn=MACHINE, input=given)


class Organization:
    """A sandbox with podshare deployed and warm, and a third account of scientists."""

    def __init__(self, sandbox: Sandbox, say: Say) -> None:
        self.sandbox = sandbox
        self.world = World(sandbox)
        self._say = say
        say("podshare is being deployed")
        deploy_podshare(sandbox, {"DrainSeconds": "0", **_NOTHING_IS_HELD})
        self.world.put(CLUSTER, *DATASETS)
        self.joined = self.world.join("genomics-lab")
        say("one team comes and goes, so that the functions are warm")
        self.live([record("warm")], changed=[record("warm", self.joined)])

    def live(self, records: Sequence[Record], changed: Sequence[Record]) -> list[Phase]:
        """Let teams live their whole life at the same time, and measure each phase."""
        ids = [one["id"] for one in records]
        return [
            self.phase(PHASES[0], len(ids), lambda: self._put(records, "READY")),
            self.phase(PHASES[1], len(ids), lambda: self._reconcile(ids)),
            self.phase(PHASES[2], len(ids), lambda: self._put(changed, "READY")),
            self.phase(PHASES[3], len(ids), lambda: self._delete(ids)),
        ]

    def phase(self, name: str, teams: int, act: Callable[[], None]) -> Phase:
        """Act, wait until everything is quiet, and tell what it took."""
        self._say(f"{name}: {teams} team{'s' if teams > 1 else ''}")
        known, logged, before = self._executions(), self._log_bytes(), len(self.sandbox.requests)
        began = time.monotonic()
        act()
        seconds = time.monotonic() - began
        requests = tuple(self.sandbox.requests[before:])
        arns = [arn for arn in self._executions() if arn not in known]
        histories = [event for arn in arns for event in self._history(arn)]
        sizes = sum(len(json.dumps(event, default=str)) for event in histories)
        return Phase(name, teams, seconds, requests, len(arns), len(histories), sizes, self._log_bytes() - logged)

    def put(self, *records: Record) -> None:
        """Write records, and wait until everything is quiet."""
        self.world.put(*records, settle=False)
        self.sandbox.settle(_PATIENCE)

    def delete(self, *ids: str) -> None:
        """Delete records, and wait until everything is quiet."""
        self.world.delete(*ids, settle=False)
        self.sandbox.settle(_PATIENCE)

    def sweep(self) -> None:
        """Read all accounts and check all teams, as every night: later than whatever came before."""
        self.world.advance(timedelta(minutes=1))
        self.world.sweep()

    def _put(self, records: Sequence[Record], state: str) -> None:
        self.put(*records)
        self._expect(records, state)

    def _delete(self, ids: Sequence[str]) -> None:
        self.delete(*ids)
        self._expect([{"id": one} for one in ids], "DELETED")

    def _reconcile(self, ids: Sequence[str]) -> None:
        for one in ids:
            start_run(self.sandbox, one.removeprefix("team#"))
        self.sandbox.settle(_PATIENCE)

    def _expect(self, records: Sequence[Mapping[str, Any]], state: str) -> None:
        """Figures of what failed would say nothing. Raises SystemExit."""
        for one in records:
            status = self.world.state("status", one["id"])
            if status.get("state") != state:
                raise SystemExit(f"{one['id']} is not {state}: {status}")

    def _executions(self) -> set[str]:
        pages = self.sandbox.client("stepfunctions").get_paginator("list_executions").paginate(stateMachineArn=MACHINE)
        return {execution["executionArn"] for page in pages for execution in page["executions"]}

    def _history(self, arn: str) -> Iterator[Record]:
        pages = self.sandbox.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=arn)
        yield from (event for page in pages for event in page["events"])

    def _log_bytes(self) -> int:
        logs = self.sandbox.client("logs")
        groups = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
        own = (name for name in groups if "podshare-" in name)
        pages = (page for name in own for page in logs.get_paginator("filter_log_events").paginate(logGroupName=name))
        return sum(len(event["message"]) + _LOG_EVENT_BYTES for page in pages for event in page["events"])


def record(name: str, *more: str) -> Record:
    """A team of two members, or more, with one service account and one dataset; its quota is a vCPU."""
    members = [{"account": account} for account in (VISION, LANGUAGE, *more)]
    quota = {"resources": [{"instance_type": "ml.p5.48xlarge", "vcpu": 1}]}
    return a_team_item(name, members=members, quota=quota)


@contextmanager
def organization(
    say: Say, latencies: Mapping[str, float] | None = None, scale: float = SCALE
) -> Iterator[Organization]:
    """An organization that is ended with this block; ``scale`` holds for what is measured, not for the preparation."""
    with Sandbox(time_scale=SCALE) as sandbox:
        found = Organization(sandbox, say)
        sandbox.set_pace(latencies or {}, scale)
        yield found
