"""From a team's lines of members to the accounts that they mean now."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from podshare.registry.accounts import Account, is_gone
from podshare.registry.records import Membership


@dataclass(frozen=True, slots=True)
class Member:
    """The scientists of one account by one kind of role; ``selector`` names what brought the account in.

    ``expires`` is when the line ends that brought it in.
    """

    account: str
    role: str
    existing_role: str | None = None
    permission_set: str | None = None
    trusted_by: tuple[str, ...] | None = None
    selector: str = ""
    expires: datetime | None = None

    @property
    def identity(self) -> str:
        """What distinguishes this member from the team's others: the account and the role in it."""
        return f"{self.account}{self.role}"

    @property
    def why(self) -> str:
        """Why there is something for this member."""
        return f"member {self.identity}{f', by {self.selector}' if self.selector else ''}"


def members(lines: Iterable[Membership], accounts: Mapping[str, Account]) -> tuple[Member, ...]:
    """Everyone who works for a team now.

    A line that names an account counts before one that selects it, and a line before those that follow. An account
    that is known to take no part brings nobody in; one of which nothing is known counts where it is named.
    """
    lines = tuple(lines)
    named = [_member(line, line.account) for line in lines if line.account and not is_gone(accounts, line.account)]
    selected = [
        _member(line, account.id)
        for line in lines
        if line.selector
        for account in sorted(accounts.values(), key=lambda account: account.id)
        if line.selects(account)
    ]
    by_identity: dict[str, Member] = {}
    for member in (*named, *selected):
        by_identity.setdefault(member.identity, member)
    return tuple(by_identity.values())


def _member(line: Membership, account: str) -> Member:
    return Member(
        account, line.role, line.existing_role, line.permission_set, line.trusted_by, line.selector, line.expires
    )
