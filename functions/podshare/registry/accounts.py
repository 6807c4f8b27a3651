"""The organization's accounts as podshare knows them, and how records select among them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

ACTIVE = "ACTIVE"
DEPARTED = "DEPARTED"  # podshare's own word: the organization says that it has no such account


@dataclass(frozen=True, slots=True)
class Account:
    """An account as AWS Organizations last described it.

    ``state`` is Organizations' (PENDING_ACTIVATION, ACTIVE, SUSPENDED, PENDING_CLOSURE, CLOSED) or DEPARTED; ``path``
    leads from the root to the unit that holds the account. ``waiting_since`` is when its member role was first missed
    (ISO 8601), empty while it is not. ``blocked`` says why and by whom it was blocked, empty while it is not.
    """

    id: str
    name: str = ""
    state: str = ACTIVE
    path: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    management: bool = False
    waiting_since: str = ""
    blocked: str = ""

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Self:
        """The account in a row of the state table."""
        return cls(
            id=str(row["account"]),
            name=str(row.get("name", "")),
            state=str(row["state"]),
            path=tuple(row.get("path", ())),
            tags=row.get("tags", {}),
            management=bool(row.get("management")),
            waiting_since=str(row.get("waiting_since", "")),
        )

    @property
    def takes_part(self) -> bool:
        """Whether its people and its data may be part of a team: while it is active, and nobody has blocked it."""
        return self.state == ACTIVE and not self.blocked

    @property
    def standing(self) -> str:
        """Why it takes no part, in words; its state if it does."""
        return f"blocked ({self.blocked})" if self.blocked else self.state

    def as_dict(self) -> dict[str, object]:
        """How an execution's history reports it."""
        return {"account": self.id, "name": self.name, "state": self.state, "path": list(self.path)}


def is_gone(accounts: Mapping[str, Account], account: str) -> bool:
    """Whether ``account`` is known to take no part. One of which nothing is known is not gone."""
    return account in accounts and not accounts[account].takes_part


def is_blocked(accounts: Mapping[str, Account], account: str) -> bool:
    """Whether somebody has blocked ``account``. podshare can act there as ever, unless it is out of reach as well."""
    return account in accounts and bool(accounts[account].blocked)


def is_unreachable(accounts: Mapping[str, Account], account: str) -> bool:
    """Whether the organization says that ``account`` has gone, so that nothing can be cleaned in it."""
    return account in accounts and accounts[account].state != ACTIVE
