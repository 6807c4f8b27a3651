"""Service-managed StackSets with automatic deployment: stacks that follow the accounts of organizational units.

An account that comes below a set's units gets the set's stack, one that goes from there loses it, each some minutes
after AWS Organizations told of it. Where the account is then decides, so a move between two units of one set changes
nothing. The management account gets no stack. An account that has left the organization, or that AWS has suspended,
can no longer be reached: its stack stays as it is. What fails is not tried again, as on AWS.

Sources: "Enable or disable automatic deployments for StackSets in AWS Organizations" and "StackSets status codes" in
the CloudFormation user guide. Accounts that go keep no stack (``RetainStacksOnAccountRemoval`` is false). Not emulated:
the operations of the StackSets API, and their limits.
"""

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podshare_sandbox.authorization import accounts
from podshare_sandbox.cloudformation.errors import StackError, TemplateError
from podshare_sandbox.cloudformation.stack import Stack
from podshare_sandbox.delivery import background

# from the move of an account to its stack's deployment or removal; AWS gives no figure, it takes some minutes
DELAY_SECONDS = 120


@dataclass
class StackInstance:
    """A set's stack in one account.

    ``status`` is CURRENT, OUTDATED where its deployment failed, or INOPERABLE where its removal did; ``reason``
    says why it is not CURRENT.
    """

    stack: Stack
    status: str = "CURRENT"
    reason: str = ""


@dataclass
class StackSet:
    """One template for the accounts of ``organizational_units`` and of all units below; ``instances`` by account."""

    name: str
    template: Path
    parameters: Mapping[str, Any]
    organizational_units: frozenset[str]
    region: str
    instances: dict[str, StackInstance]


class StackSets:
    """The StackSets of the organization that ``management`` manages; ``stack`` makes one by name, account, Region."""

    def __init__(self, management: str, stack: Callable[[str, str, str], Stack]) -> None:
        self._management = management
        self._stack = stack
        self._sets: dict[str, StackSet] = {}
        self._held: set[str] = set()
        self._awaited: set[str] = set()
        self._operating = threading.RLock()  # one operation at a time
        self._noting = threading.Lock()

    def __getitem__(self, name: str) -> StackSet:
        """The set with this name. Raises KeyError."""
        return self._sets[name]

    def __iter__(self) -> Iterator[StackSet]:
        return iter(list(self._sets.values()))

    def deploy(
        self,
        name: str,
        template: Path,
        parameters: Mapping[str, Any],
        organizational_units: Sequence[str],
        region: str,
    ) -> StackSet:
        """Create or update a set and, at once, its stacks in the accounts that are there.

        Raises TemplateError and StackError as a single stack does, at the first account that fails.
        """
        with self._operating:
            before = self._sets.get(name)
            instances = before.instances if before else {}
            self._sets[name] = found = StackSet(
                name, template, parameters, frozenset(organizational_units), region, instances
            )
            for account in self._accounts():
                if account not in self._held and self._is_reachable(account) and self._belongs(found, account):
                    self._put(found, account)
                    if (instance := found.instances[account]).status != "CURRENT":
                        raise StackError(instance.reason)
            return found

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
            for operate, found in self._due(account) if account not in self._held else ():
                operate(found, account)
        with self._noting:
            self._awaited.discard(account)
        self._consider(account)  # it may have moved on meanwhile

    def _due(self, account: str) -> list[tuple[Callable[[StackSet, str], None], StackSet]]:
        """What is to be done in ``account``, removals first."""
        if not self._is_reachable(account):
            return []
        leaves = [one for one in self if self._may_go(one, account)]
        enters = [one for one in self if self._belongs(one, account) and account not in one.instances]
        return [*((self._remove, one) for one in leaves), *((self._put, one) for one in enters)]

    def _may_go(self, found: StackSet, account: str) -> bool:
        instance = found.instances.get(account)
        return instance is not None and instance.status != "INOPERABLE" and not self._belongs(found, account)

    def _put(self, found: StackSet, account: str) -> None:
        instance = found.instances.get(account)
        if instance is None:
            name = f"StackSet-{found.name}-{uuid.uuid4()}"
            instance = found.instances[account] = StackInstance(self._stack(name, account, found.region))
        try:
            instance.stack.deploy(found.template, found.parameters)
            instance.status, instance.reason = "CURRENT", ""
        except (StackError, TemplateError) as error:
            instance.status, instance.reason = "OUTDATED", str(error)

    def _remove(self, found: StackSet, account: str) -> None:
        instance = found.instances[account]
        try:
            instance.stack.delete()
            del found.instances[account]
        except StackError as error:
            instance.status, instance.reason = "INOPERABLE", str(error)

    def _accounts(self) -> list[str]:
        organization = accounts.organization_with(self._management)
        return [str(one.id) for one in list(organization.accounts)] if organization else []

    def _is_reachable(self, account: str) -> bool:
        return accounts.organization_with(account) is not None and accounts.is_usable(account)

    def _belongs(self, found: StackSet, account: str) -> bool:
        organization = accounts.organization_with(account)
        if organization is None or account == self._management:
            return False
        member = next((one for one in list(organization.accounts) if one.id == account), None)
        above = {entity.id for entity in accounts.lineage(organization, member)} if member else set()
        return bool(found.organizational_units & above)
