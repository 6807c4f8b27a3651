"""The organization's part in the demo: an account that comes and goes, and what podshare makes of it, followed live."""

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from podshare_cli.progress.executions import Executions, Following
from podshare_cli.progress.runs import Happening
from podshare_sandbox import Sandbox
from podshare_sandbox.organization import MANAGEMENT, UNITS

if TYPE_CHECKING:
    from types_boto3_stepfunctions import SFNClient
    from types_boto3_stepfunctions.type_defs import ExecutionListItemTypeDef

SCIENCE = next(unit for unit in UNITS if unit.name == "Science")
_PATIENCE_SECONDS = 30.0


def create_account(sandbox: Sandbox, name: str) -> str:
    """Create an account with AWS Organizations; returns its id once it is there. Raises TimeoutError."""
    organizations = _organizations(sandbox)
    asked = organizations.create_account(AccountName=name, Email=f"{name}@example.com")["CreateAccountStatus"]
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        create_account_status = organizations.describe_create_account_status(CreateAccountRequestId=asked["Id"])[
            "CreateAccountStatus"
        ]
        if create_account_status["State"] == "SUCCEEDED":
            return str(create_account_status["AccountId"])
        time.sleep(0.05)
    raise TimeoutError(f"the account {name} was not created within {_PATIENCE_SECONDS:.0f} s")


def move_into_science(sandbox: Sandbox, account: str) -> None:
    """Move an account from the root, where all begin, into the unit Science."""
    organizations = _organizations(sandbox)
    parent = organizations.list_parents(ChildId=account)["Parents"][0]["Id"]
    organizations.move_account(AccountId=account, SourceParentId=parent, DestinationParentId=SCIENCE.id)


def leave(sandbox: Sandbox, account: str) -> None:
    """Let an account leave the organization, as its own admin may."""
    sandbox.client("organizations", account, "us-east-1").leave_organization()


def _organizations(sandbox: Sandbox) -> Any:
    return sandbox.client("organizations", MANAGEMENT, "us-east-1")


class FollowingAccount(Following):
    """The organization's events about an account, and the reconciliation of its team that follows from them.

    ``machine`` is the ARN of the state machine that follows events; its executions in ``reported`` are left out,
    and each reported one is added. WAITING is not the end; ``waits`` is called once when the team has come to that.
    """

    def __init__(
        self,
        executions: Executions,
        machine: str,
        team: str,
        reported: set[str],
        waits: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(executions, team)
        self._reported = reported
        self._waits = waits
        self._machine = machine
        self._patience_ends = time.monotonic() + _PATIENCE_SECONDS

    def poll(self) -> list[Happening]:
        """Look once; what has happened since the last time. Raises TimeoutError if no reconciliation begins."""
        happenings = [self._event(execution) for execution in self._unreported()]
        if self.arn:
            happenings += super().poll()
            if self.state == "WAITING" and self._waits:
                self._waits()
                self._waits = None
        elif time.monotonic() > self._patience_ends:
            raise TimeoutError(f"no event of the organization led to a reconciliation of {self.name}")
        return happenings

    @property
    def doing(self) -> str:
        """What is under way."""
        return super().doing if self.arn else "no event yet"

    @property
    def is_over(self) -> bool:
        """Whether the team has come to a state that lasts."""
        return super().is_over and self.state != "WAITING"

    def _unreported(self) -> "list[ExecutionListItemTypeDef]":
        """The executions that have ended since the last look, the oldest first."""
        page = self._states.list_executions(stateMachineArn=self._machine)
        ended = [execution for execution in page["executions"] if execution["status"] != "RUNNING"]
        return [execution for execution in reversed(ended) if execution["executionArn"] not in self._reported]

    def _event(self, execution: "ExecutionListItemTypeDef") -> Happening:
        self._reported.add(execution["executionArn"])
        described = self._states.describe_execution(executionArn=execution["executionArn"])
        output = json.loads(described.get("output", "{}"))
        for team in output.get("teams", ()):
            if team["team"] == self.name:
                self.arn = self.arn or team["execution"]
        teams = ", ".join(team["team"] for team in output.get("teams", ()))
        name = json.loads(described["input"])["event"]["detail"]["eventName"]
        note = output.get("reason") or f"concerns {teams}"
        return Happening(described["stopDate"], "[cyan]•[/]", f"the organization reports {name}", note)

    @property
    def _states(self) -> "SFNClient":
        return self._executions.connection.client("stepfunctions")
