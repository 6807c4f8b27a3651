"""``podshare account``: the organization's accounts, as podshare last read them."""

import re
from enum import StrEnum
from typing import Annotated

import typer

from podshare_cli.failures import Failure, invalid
from podshare_cli.options import Options, Verbose, WaitForAll, Yes, examples, group, takes_options
from podshare_cli.records.known_names import completing

app = group("Accounts: their state and OU, and the teams with resources in them.")


class AccountState(StrEnum):
    """AWS Organizations' states of an account, and podshare's own for one that is no longer in it."""

    PENDING_ACTIVATION = "PENDING_ACTIVATION"
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    PENDING_CLOSURE = "PENDING_CLOSURE"
    CLOSED = "CLOSED"
    DEPARTED = "DEPARTED"


@app.command(
    "list",
    epilog=examples(
        "podshare account list",
        "podshare account list --state suspended",
        "podshare account list --team vision --jq '.[].account'",
    ),
)
@takes_options
def list_accounts(
    options: Options,
    state: Annotated[
        AccountState | None, typer.Option("--state", case_sensitive=False, help="Only accounts in this state.")
    ] = None,
    team: Annotated[
        str | None,
        typer.Option(
            "--team",
            metavar="NAME",
            help="Only accounts with resources of this team.",
            autocompletion=completing("team"),
        ),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """List the organization's accounts: state, OU, teams, and missing member roles.

    Shows what podshare last read. It reads again on Organizations events and in the nightly sweep.
    """
    from podshare_cli.aws.tables import State
    from podshare_cli.views import account as account_views

    rows = account_views.overview(options.connection)
    rows = [row for row in rows if state in (None, row["state"]) and (team is None or team in row["teams"])]
    listed_at = State(options.connection).listed_at()
    shown = [{**row, "listed_at": listed_at} for row in rows]
    options.show(shown, lambda: account_views.table(rows, listed_at, whole=verbose))


Reason = Annotated[str, typer.Option("--reason", help="The reason, shown in status and audit.")]
Id = Annotated[
    str, typer.Argument(metavar="ID", help="The account's id, 12 digits.", autocompletion=completing("account"))
]


@app.command(
    epilog=examples(
        'podshare account block 222222222222 --reason "keys were stolen"',
        'podshare account block 222222222222 --reason "keys were stolen" --yes',
    )
)
@takes_options
def block(options: Options, account: Id, reason: Reason, wait: WaitForAll = False, yes: Yes = False) -> None:
    """Block an account: revoke all access of its people, and to its data and clusters, in every team at once.

    Records do not change. Only `podshare account unblock` restores access: no tag, move or other record does.
    """
    from podshare_cli.commands import account_blocking

    account_blocking.block(options, _checked(account), reason, wait=wait, yes=yes)


@app.command(epilog=examples("podshare account unblock 222222222222"))
@takes_options
def unblock(options: Options, account: Id) -> None:
    """Unblock an account: restore everything that records and tags grant now."""
    from podshare_cli.commands import account_blocking

    account_blocking.unblock(options, _checked(account))


def _checked(account: str) -> str:
    if not re.fullmatch(r"[0-9]{12}", account):
        raise invalid(f"{account} is no account id.", "An account id has 12 digits.")
    return account


@app.command("get", epilog=examples("podshare account get 222222222222", "podshare account get 222222222222 --json"))
@takes_options
def get_account(options: Options, account: Id) -> None:
    """Show an account, and the status of each team that has resources in it.

    Orphaned resources in an account that has left are listed with each team.
    """
    from podshare_cli.views import account as account_views

    row = account_views.whole(options.connection, _checked(account))
    if row is None:
        raise Failure(
            f"podshare has not seen account {account} in the organization ({options.connection.place}).",
            "If it exists, read the organization again: podshare sweep",
        )
    options.show(row, lambda: account_views.detail(row))
