"""The names of records that there are: for the shell to complete, and for what somebody has mistyped."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import typer

from podshare_cli.failures import Failure
from podshare_cli.options import Options

if TYPE_CHECKING:
    from podshare_cli.aws.connection import Connection


def completing(*kinds: str) -> Callable[[typer.Context, str], list[str]]:
    """What completes the names of a kind's records: those of the installation that the words before it mean.

    Of several kinds, names are completed with their kind before them, but for the ids of accounts.
    """
    return completing_from(
        lambda options: [
            name for kind in kinds for name in _shown(kind, names_of(options.connection, kind), len(kinds))
        ]
    )


def completing_from(names: Callable[[Options], Iterable[str]]) -> Callable[[typer.Context, str], list[str]]:
    """What completes the names that ``names`` finds with the options of the words before it."""

    def complete(context: typer.Context, incomplete: str) -> list[str]:
        before, after = (
            Options(params.get("profile"), params.get("region"), params.get("prefix"))
            for params in (context.find_root().params, context.params)
        )
        try:
            return [name for name in names(before.overridden(after)) if name.startswith(incomplete)]
        except Exception:  # a shell that completes has no place for an error, and goes on without
            return []

    return complete


def _shown(kind: str, names: list[str], kinds: int) -> list[str]:
    return names if kinds == 1 or kind == "account" else [f"{kind}#{name}" for name in names]


def names_of(connection: "Connection", kind: str) -> list[str]:
    """The names of all records of a kind, of teams with those that enrollments have made; or the ids of accounts."""
    from podshare.registry.items import name_of
    from podshare_cli.aws.tables import Registry, State

    if kind == "account":
        return sorted(str(row["account"]) for row in State(connection).accounts())
    names = {name_of(item) for item in Registry(connection).all_of(kind)}
    if kind == "team":
        names |= {name for name, status in State(connection).statuses(kind).items() if status["state"] != "DELETED"}
    return sorted(names)


def likely_meant(connection: "Connection", text: str, *kinds: str) -> str:
    """What somebody who wrote a record's id, or its name alone, likely meant, as a question; empty if none is near."""
    from podshare.registry.wording import closest

    kind, _, name = text.replace("/", "#", 1).rpartition("#")
    asked = [closest(kind, kinds)] if kind else [*kinds]
    kind_by_name = {known: each for each in filter(None, asked) for known in names_of(connection, each)}
    likely = closest(name, kind_by_name)
    return f" Did you mean {kind_by_name[likely]}#{likely}?" if likely else ""


def no_such(options: Options, kind: str, name: str) -> Failure:
    """There is no record of this name; the error names the one that was likely meant."""
    from podshare.registry.wording import closest

    likely = closest(name, names_of(options.connection, kind))
    meant = f" Did you mean {likely}?" if likely else ""
    table, account, region = options.connection.registry_table, options.connection.account, options.connection.region
    message = f"There is no {kind} {name} in {table} (account {account}, {region}).{meant}"
    return Failure(message, f"See `podshare {kind} list`.")
