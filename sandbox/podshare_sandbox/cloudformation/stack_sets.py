"""Service-managed StackSets: one template for the accounts of organizational units, deployed by operations.

With automatic deployment an account that comes below a set's units gets the set's stack, one that goes from there
loses it, each some minutes after AWS Organizations told of it. Where the account is then decides, so a move between
two units of one set changes nothing. The management account gets no stack. An account that has left the organization,
or that AWS has suspended, can no longer be reached: its stack stays as it is. What fails is not tried again, as on AWS.

Sources: "Enable or disable automatic deployments for StackSets in AWS Organizations" and "StackSets status codes" in
the CloudFormation user guide. Not emulated: several Regions of one set, self-managed permissions.
"""

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from podshare_sandbox.authorization import accounts
from podshare_sandbox.cloudformation import parameters as stack_parameters
from podshare_sandbox.cloudformation import template
from podshare_sandbox.cloudformation.errors import StackError, TemplateError
from podshare_sandbox.cloudformation.stack import Stack
from podshare_sandbox.cloudformation.stack_set_operations import CANCELLED, Operation
from podshare_sandbox.cloudformation.template import Template
from podshare_sandbox.delivery import background

# from the move of an account to its stack's deployment or removal; AWS gives no figure, it takes some minutes
DELAY_SECONDS = 120
# how long an operation takes for the accounts that it operates on at once; AWS gives no figure, it takes a minute
OPERATION_SECONDS = 60


@dataclass
class StackInstance:
    """A set's stack in one account.

    ``status`` is CURRENT, OUTDATED where its deployment failed or was not reached, or INOPERABLE where its removal
    failed; ``reason`` says why it is not CURRENT. ``detail`` is the status of what was done last.
    """

    stack: Stack
    status: str = "OUTDATED"
    reason: str = ""
    detail: str = "PENDING"
    operation: str | None = None


@dataclass
class StackSet:
    """One template for the accounts of ``organizational_units`` and of all units below; ``instances`` by account.

    ``parameters`` are all that the template declares, ``folder`` holds the template's artifacts. ``region`` is None
    until the first instances are made.
    """

    name: str
    body: str
    folder: Path
    parameters: dict[str, str]
    organizational_units: frozenset[str] = frozenset()
    region: str | None = None
    instances: dict[str, StackInstance] = field(default_factory=dict)
    auto_deployment: bool = True
    retain_on_removal: bool = False
    managed_execution: bool = False
    description: str | None = None
    capabilities: list[str] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    id: str = ""
    turn: threading.RLock = field(default_factory=threading.RLock, repr=False)  # one operation at a time

    @property
    def template(self) -> Template:
        """The template, parsed."""
        return template.parse(self.body, self.name)


class StackSets:
    """The StackSets of the organization that ``management`` manages; ``stack`` makes one by name, account, Region."""

    def __init__(self, management: str, stack: Callable[[str, str, str], Stack]) -> None:
        self.management = management
        self.trusted_access = False  # whether AWS Organizations trusts StackSets
        self._stack = stack
        self._sets: dict[str, StackSet] = {}
        self._held: set[str] = set()
        self._awaited: set[str] = set()
        self._operating = threading.RLock()  # one stack at a time
        self._noting = threading.Lock()

    def __getitem__(self, name: str) -> StackSet:
        """The set with this name or id. Raises KeyError."""
        return self._sets[name.partition(":")[0]]

    def __iter__(self) -> Iterator[StackSet]:
        return iter(list(self._sets.values()))

    def __contains__(self, name: str) -> bool:
        return name.partition(":")[0] in self._sets

    def add(self, stack_set: StackSet) -> None:
        """Begin a set, without any stack yet."""
        stack_set.id = f"{stack_set.name}:{uuid.uuid4()}"
        self._sets[stack_set.name] = stack_set

    def remove(self, name: str) -> None:
        """Forget a set that has no stack any more."""
        del self._sets[name.partition(":")[0]]

    def deploy(
        self,
        name: str,
        path: Path,
        given: Mapping[str, Any],
        organizational_units: Sequence[str],
        region: str,
    ) -> StackSet:
        """Create or update a set and, at once, its stacks in the accounts that are there.

        Raises TemplateError and StackError as a single stack does, at the first account that fails.
        """
        self.trusted_access = True
        body, declared = path.read_text(encoding="utf-8"), template.read(path).get("Parameters", {})
        values = stack_parameters.given_or_default(declared, given)
        with self._operating:
            if name not in self:
                self.add(StackSet(name, body, path.resolve().parent, values))
            stack_set = self[name]
            stack_set.body, stack_set.parameters, stack_set.region = body, values, region
            stack_set.organizational_units = frozenset(organizational_units)
            for account in self.members(organizational_units):
                if account not in self._held and self._is_reachable(account):
                    self._put(stack_set, account)
                    if (instance := stack_set.instances[account]).status != "CURRENT":
                        raise StackError(instance.reason)
            return stack_set

    def create_instances(self, stack_set: StackSet, operation: Operation, members: Sequence[str]) -> None:
        """Let an operation deploy the set's stack to accounts, in the background; each is OUTDATED until then."""
        for account in members:
            self._instance(stack_set, account)
        self._operate(stack_set, operation, members, self._put)

    def update_instances(self, stack_set: StackSet, operation: Operation, members: Sequence[str]) -> None:
        """Let an operation deploy the set as it is now to accounts that have its stack, in the background."""
        for instance in stack_set.instances.values():
            instance.status, instance.detail = "OUTDATED", "PENDING"
        self._operate(stack_set, operation, members, self._put)

    def delete_instances(self, stack_set: StackSet, operation: Operation, members: Sequence[str]) -> None:
        """Let an operation remove the set's stack from accounts, in the background."""
        self._operate(stack_set, operation, members, self._leave if operation.retain_stacks else self._remove)

    def _operate(
        self,
        stack_set: StackSet,
        operation: Operation,
        members: Sequence[str],
        on: Callable[[StackSet, str], None],
    ) -> None:
        stack_set.operations.append(operation)

        def operate(account: str) -> str | None:
            """Why the account failed; one that is suspended is passed over, as SKIPPED_SUSPENDED_ACCOUNT."""
            if not self._is_reachable(account):
                stack_set.instances[account].detail = "SKIPPED_SUSPENDED_ACCOUNT"
                return None
            with self._operating:
                on(stack_set, account)
            instance = stack_set.instances.get(account)
            return instance.reason if instance and instance.reason else None

        def work() -> None:
            with stack_set.turn:
                operation.perform(members, operate, lambda: background.pause(OPERATION_SECONDS))
            for account, result in operation.results.items():
                instance = stack_set.instances.get(account)
                if instance and result.status == "CANCELLED":
                    instance.status, instance.detail, instance.reason = "OUTDATED", "CANCELLED", CANCELLED
                if instance:
                    instance.operation = operation.id

        background.run(f"StackSet {stack_set.name}: {operation.action}", work)

    def hold(self, account: str) -> None:
        """Let no stack of any set reach or leave ``account`` until :meth:`release`."""
        self._held.add(account)

    def release(self, account: str) -> None:
        """Let stacks follow ``account`` again; what it missed comes after the usual delay."""
        self._held.discard(account)
        self._consider(account)

    def organization_changed(self) -> None:
        """Some account may have come or gone: let the stacks of those that did follow, after the delay."""
        for account in self._accounts():
            self._consider(account)

    def members(self, units: Sequence[str] | frozenset[str]) -> list[str]:
        """The accounts of units and of the units below, without the management account."""
        return [account for account in self._accounts() if self._is_below(units, account)]

    def _consider(self, account: str) -> None:
        with self._noting:
            if account in self._held | self._awaited or not self._due(account):
                return
            self._awaited.add(account)
        background.run(f"StackSets to {account}", lambda: self._follow(account))

    def _follow(self, account: str) -> None:
        background.pause(DELAY_SECONDS)
        with self._operating:
            # what it leaves before what it enters, so that two sets of one template do not meet
            for operate, stack_set in self._due(account) if account not in self._held else ():
                operate(stack_set, account)
        with self._noting:
            self._awaited.discard(account)
        self._consider(account)  # it may have moved on meanwhile

    def _due(self, account: str) -> list[tuple[Callable[[StackSet, str], None], StackSet]]:
        """What is to be done in ``account``, removals first."""
        if not self._is_reachable(account):
            return []
        automatic = [stack_set for stack_set in self if stack_set.auto_deployment]
        leaves = [stack_set for stack_set in automatic if self._may_go(stack_set, account)]
        enters = [
            stack_set
            for stack_set in automatic
            if stack_set.region
            and account not in stack_set.instances
            and self._is_below(stack_set.organizational_units, account)
        ]
        gone = [(self._leave if stack_set.retain_on_removal else self._remove, stack_set) for stack_set in leaves]
        return [*gone, *((self._put, stack_set) for stack_set in enters)]

    def _may_go(self, stack_set: StackSet, account: str) -> bool:
        instance = stack_set.instances.get(account)
        return (
            instance is not None
            and instance.status != "INOPERABLE"
            and not self._is_below(stack_set.organizational_units, account)
        )

    def _instance(self, stack_set: StackSet, account: str) -> StackInstance:
        if account not in stack_set.instances:
            name = f"StackSet-{stack_set.name}-{uuid.uuid4()}"
            stack_set.instances[account] = StackInstance(self._stack(name, account, str(stack_set.region)))
        return stack_set.instances[account]

    def _put(self, stack_set: StackSet, account: str) -> None:
        instance = self._instance(stack_set, account)
        try:
            instance.stack.deploy_template(stack_set.template, stack_set.folder, stack_set.parameters)
            instance.status, instance.detail, instance.reason = "CURRENT", "SUCCEEDED", ""
        except (StackError, TemplateError) as error:
            instance.status, instance.detail, instance.reason = "OUTDATED", "FAILED", str(error)

    def _remove(self, stack_set: StackSet, account: str) -> None:
        instance = stack_set.instances[account]
        try:
            instance.stack.delete()
            del stack_set.instances[account]
        except StackError as error:
            instance.status, instance.detail, instance.reason = "INOPERABLE", "INOPERABLE", str(error)

    @staticmethod
    def _leave(stack_set: StackSet, account: str) -> None:
        """Take the stack out of the set; it stays in the account, as its own."""
        del stack_set.instances[account]

    def _accounts(self) -> list[str]:
        organization = accounts.organization_with(self.management)
        return [str(member.id) for member in list(organization.accounts)] if organization else []

    def _is_reachable(self, account: str) -> bool:
        return accounts.organization_with(account) is not None and accounts.is_usable(account)

    def _is_below(self, units: Sequence[str] | frozenset[str], account: str) -> bool:
        organization = accounts.organization_with(account)
        if organization is None or account == self.management:
            return False
        member = next((member for member in list(organization.accounts) if member.id == account), None)
        above = {entity.id for entity in accounts.lineage(organization, member)} if member else set()
        return bool(set(units) & above)
