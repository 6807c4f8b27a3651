"""``podshare account block`` and ``unblock``: revoke all access of an account at once, and restore it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from podshare.registry.items import PAUSE_ID
from podshare_cli.aws.tables import Registry, State
from podshare_cli.options import Options
from podshare_cli.plans.confirming import ask
from podshare_cli.progress.following import Runs
from podshare_cli.records.signed import owner_of, write


def block(options: Options, account: str, reason: str, *, wait: bool, yes: bool) -> None:
    """Write the record that blocks an account, once that is confirmed: its teams are reconciled at once."""
    lines = [*_affected_lines(options, account)]
    if not yes:
        ask("\n".join(lines), "Block it?", "Nothing was blocked.")
    connection, record_id = options.connection, f"block#{account}"
    runs = Runs(options, {team: [record_id] for team in _teams(options, account) if wait})
    write(connection, {"id": record_id, "schema": 1, "reason": reason, "owner": owner_of(connection)})
    _say(options, [*lines, f"account {account} is blocked; unblock it: podshare account unblock {account}"])
    ended = runs.follow()
    _show(options, account, blocked=True, teams=ended.as_dicts)
    ended.require()


def unblock(options: Options, account: str) -> None:
    """Take the record away; whatever records and tags give the account now, it has again."""
    was_blocked = Registry(options.connection).delete(f"block#{account}")
    message = f"account {account} is unblocked" if was_blocked else f"account {account} was not blocked"
    _say(options, [message])
    _show(options, account, blocked=False)


def _affected_lines(options: Options, account: str) -> Iterator[str]:
    """What a block affects: the teams that have something for the account, and what they have in it."""
    registry = Registry(options.connection)
    teams = ", ".join(_teams(options, account)) or "none now"
    yield f"Blocks account {account} and revokes all of its access in these teams: {teams}."
    for item in registry.all_of("cluster", "dataset"):
        if item.get("account") == account:
            kind, _, name = str(item["id"]).partition("#")
            lost = (
                "nobody of any team will have access to it" if kind == "cluster" else "no team will have access to it"
            )
            yield f"It owns {kind} {name}: {lost}."
    if State(options.connection).account(account) is None:
        yield f"podshare has never read account {account}: check the id."
    if registry.get(PAUSE_ID):
        yield "podshare is paused: nothing is revoked until `podshare resume`."


def _teams(options: Options, account: str) -> list[str]:
    return sorted({team for _, team in State(options.connection).uses(account)})


def _show(options: Options, account: str, *, blocked: bool, teams: Sequence[Mapping[str, Any]] = ()) -> None:
    shown = {"account": account, "blocked": blocked, "teams": _teams(options, account)}
    options.show({**shown, "ended": teams} if blocked else shown)


def _say(options: Options, lines: Sequence[str]) -> None:
    options.say("\n".join(lines))
