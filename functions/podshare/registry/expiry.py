"""Access that ends by itself: what of a record is in force at a moment, and when that changes next.

A record says when a team, a member or a grant of a dataset ends. Nothing is deleted from it: what has ended is no
longer desired, and comes back if somebody gives it more time.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from podshare.registry.records import DatasetGrant, FileSystemGrant, Membership, Team

WARNING = timedelta(days=3)  # before something ends, an event says so


@dataclass(frozen=True, slots=True, order=True)
class Expiration:
    """Something of a team that ends at a moment; ``what`` names it in the words of its record."""

    ends: datetime
    what: str

    def __str__(self) -> str:
        return f"{self.what} {self.at}"

    @property
    def at(self) -> str:
        """The moment, as records write it."""
        return f"{self.ends:%Y-%m-%dT%H:%M:%SZ}"


def expirations(team: Team) -> tuple[Expiration, ...]:
    """Everything of ``team`` that ends, soonest first."""
    return tuple(sorted(_expirations(team)))


def _expirations(team: Team) -> Iterator[Expiration]:
    if team.expires:
        yield Expiration(team.expires, "the team")
    for member in team.members:
        if member.expires:
            yield Expiration(member.expires, _named(member))
    for account in team.service_accounts:
        for grant in account.datasets:
            if grant.expires:
                yield Expiration(grant.expires, _granted(account.name, grant))
    for link in team.file_systems:
        if link.expires:
            yield Expiration(link.expires, _linked(link))


def _named(member: Membership) -> str:
    return f"member {member.identity}"


def _granted(account: str, grant: DatasetGrant) -> str:
    return f"dataset {grant.identity} of service account {account}"


def _linked(grant: FileSystemGrant) -> str:
    return f"dataset {grant.identity} in file system {grant.file_system}"


def in_force(team: Team, now: datetime, but: Collection[Expiration] = ()) -> Team | None:
    """What of ``team`` has not ended by ``now``; None if the team itself has. The terms in ``but`` end nothing."""

    def lasts(ends: datetime | None, subject: str) -> bool:
        return ends is None or ends > now or Expiration(ends, subject) in but

    if not lasts(team.expires, "the team"):
        return None
    accounts = (
        account.model_copy(
            update={
                "datasets": tuple(
                    grant for grant in account.datasets if lasts(grant.expires, _granted(account.name, grant))
                )
            }
        )
        for account in team.service_accounts
    )
    members = (member for member in team.members if lasts(member.expires, _named(member)))
    links = (link for link in team.file_systems if lasts(link.expires, _linked(link)))
    kept = {"members": tuple(members), "service_accounts": tuple(accounts), "file_systems": tuple(links)}
    return team.model_copy(update=kept)


def ended(team: Team, now: datetime) -> tuple[Expiration, ...]:
    """What of ``team`` has ended."""
    return tuple(expiration for expiration in expirations(team) if expiration.ends <= now)


def ending(team: Team, now: datetime) -> tuple[Expiration, ...]:
    """What of ``team`` ends so soon that its people should know."""
    return tuple(expiration for expiration in expirations(team) if now < expiration.ends <= now + WARNING)


def next_moment(team: Team, now: datetime) -> datetime | None:
    """When something of ``team`` ends next, or has to be announced; None if nothing ever does."""
    moments = [moment for expiration in expirations(team) for moment in (expiration.ends - WARNING, expiration.ends)]
    return min((moment for moment in moments if moment > now), default=None)
