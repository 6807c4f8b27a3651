"""What podshare knows of the organization's accounts, and which teams have something for which of them."""

import datetime
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from podshare.aws import organizations
from podshare.aws.errors import Retryable
from podshare.aws.rows import Item
from podshare.aws.settings import Settings
from podshare.aws.tables import Registry, State
from podshare.kinds.observation import LONGEST_TEXT
from podshare.registry.accounts import DEPARTED, Account
from podshare.registry.declared import declaration_of
from podshare.registry.items import block_of

ORGANIZATION = "organization"
_MOST_TRIES = 5


def observe(settings: Settings, account: str, *, named: bool = True) -> Account:
    """Read an account again and write down what it is; what never was in the organization only if it is ``named``.

    What is written was read after what it replaces had been written, so that of two readers at once the later one's
    answer stays. Raises Retryable if others keep writing; otherwise as ``organizations.describe``.
    """
    state = State(settings.state)
    for _ in range(_MOST_TRIES):
        row = state.get(ORGANIZATION, _part(account)) or {}
        described = organizations.describe(settings, account)
        if described.state == DEPARTED and not row and not named:
            return described
        if state.replace(ORGANIZATION, _part(account), row.get("revision"), **_row(described, row)):
            return described
    raise Retryable(f"account {account}: it was written {_MOST_TRIES} times while it was being read")


def _row(account: Account, former: Item) -> Item:
    # a member role is waited for again where an account has moved: another StackSet may reach it there
    stays = account.takes_part and list(account.path) == former.get("path")
    return {
        **account.as_dict(),
        "tags": dict(account.tags),
        "management": account.management,
        "at": _now(),
        "revision": int(former.get("revision", 0)) + 1,
        "waiting_since": former.get("waiting_since") if stays else None,
    }


def known_accounts(state: State, accounts: Iterable[str]) -> dict[str, Account]:
    """What is known of these accounts; those of which nothing is known are left out."""
    return accounts_in(state.get_all(map(place_of, accounts)))


def all_known_accounts(state: State) -> dict[str, Account]:
    """Every account that was ever seen, those that have departed too."""
    return accounts_in(state.query(ORGANIZATION, "account#"))


def place_of(account: str) -> tuple[str, str]:
    """The id and the part of the state's row on an account."""
    return ORGANIZATION, _part(account)


def accounts_in(rows: Iterable[Item]) -> dict[str, Account]:
    """The accounts in these rows of the state."""
    return {str(row["account"]): Account.of_row(row) for row in rows}


def is_listed(settings: Settings) -> bool:
    """Whether the whole organization was ever listed: before that, selectors would find too few."""
    return State(settings.state).get(ORGANIZATION, "listed") is not None


def mark_listed(settings: Settings) -> None:
    """Write down that the whole organization has been listed."""
    State(settings.state).put(ORGANIZATION, "listed", at=_now())


# ---- accounts that somebody has blocked ------------------------------------------------------------------------


def last_seen(settings: Settings, account: str) -> Account:
    """An account as it was last read, whatever is blocked; by a query, which whoever follows the registry may make."""
    rows = State(settings.state).query(ORGANIZATION, _part(account))
    return accounts_in(rows).get(account, Account(account))


def with_blocks(
    known: Mapping[str, Account], accounts: Iterable[str], written: Mapping[str, Item]
) -> dict[str, Account]:
    """``known`` with what the records ``written`` say of those in ``accounts``: whatever is there blocks.

    An account is blocked where it is read, not where it is written down: what the organization reports about it
    meanwhile changes nothing.
    """
    blocks = {account: written[block_of(account)] for account in accounts if block_of(account) in written}
    return {
        **known,
        **{
            account: replace(known.get(account, Account(account)), blocked=_why(item))
            for account, item in blocks.items()
        },
    }


def standing_accounts(settings: Settings, accounts: Iterable[str]) -> dict[str, Account]:
    """What is known of these accounts, those that are blocked marked."""
    wanted = set(accounts)
    written = Registry(settings.registry).get(map(block_of, wanted))
    return with_blocks(known_accounts(State(settings.state), wanted), wanted, written)


def _why(item: Item) -> str:
    by = declaration_of(item).get("by") or item.get("owner") or "somebody"
    return f"{item.get('reason') or 'no reason given'}, by {by}"[:LONGEST_TEXT]


# ---- member roles that are late --------------------------------------------------------------------------------


def begin_waiting(settings: Settings, account: str) -> None:
    """Write down that an account's member role is missing, since now if it was there before."""
    State(settings.state).update(
        ORGANIZATION,
        _part(account),
        "SET waiting_since = if_not_exists(waiting_since, :now) ADD revision :one",
        "attribute_exists(id)",
        now=_now(),
        one=1,
    )


def end_waiting(settings: Settings, account: str) -> None:
    """Write down that an account has its member role."""
    State(settings.state).update(
        ORGANIZATION, _part(account), "REMOVE waiting_since ADD revision :one", "attribute_exists(waiting_since)", one=1
    )


# ---- which teams have something for which account --------------------------------------------------------------


def users_of(settings: Settings, account: str) -> set[str]:
    """The teams that have something for an account, or have left something behind in it."""
    return {str(row["team"]) for row in State(settings.state).query(ORGANIZATION, f"use#{account}#")}


def all_users(settings: Settings) -> set[str]:
    """The teams that have something for any account."""
    return {str(row["team"]) for row in State(settings.state).query(ORGANIZATION, "use#")}


def keep_uses(state: State, team: str, former: Collection[str], now: Collection[str]) -> None:
    """Write down which accounts a team has something for, so that what becomes of one finds the team."""
    for account in sorted(set(now) - set(former)):
        state.later(state.putting(ORGANIZATION, f"use#{account}#{team}", account=account, team=team))
    for account in sorted(set(former) - set(now)):
        state.later(state.deleting(ORGANIZATION, f"use#{account}#{team}"))


def _part(account: str) -> str:
    return f"account#{account}"


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
