"""Reads of each cluster what its teams use, borrow and lend at this moment, with the caller's own credentials."""

import datetime
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from podshare.registry.items import name_of
from podshare_cli.aws.accounts import Accounts
from podshare_cli.aws.clusters import UnreadableError, kueue_path, listed, opened
from podshare_cli.aws.kubernetes import Cluster
from podshare_cli.commands.report.lending import Queues, UncountedError, rows

_READ_AT_ONCE = 8  # clusters: one that does not answer takes its time


def read_lending(accounts: Accounts, records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of each cluster its teams' rows with the moment, or the problem: why nothing is known."""
    ways = [(name_of(record), _opened(accounts, record)) for record in records]  # sessions are of one thread
    with ThreadPoolExecutor(_READ_AT_ONCE) as pool:
        return [*pool.map(lambda way: {"cluster": way[0], **_reading(way[1])}, ways)]


def _opened(accounts: Accounts, record: Mapping[str, Any]) -> Cluster | str:
    try:
        return opened(accounts, record)
    except (UnreadableError, ClientError, BotoCoreError) as error:
        return str(error)


def _reading(cluster: Cluster | str) -> dict[str, Any]:
    if isinstance(cluster, str):
        return {"problem": cluster}
    try:
        kueue = kueue_path(cluster)
        if not kueue:
            return {"problem": "it has no Kueue, by which teams lend"}
        queues = Queues(
            listed(cluster, f"{kueue}/clusterqueues"),
            listed(cluster, f"{kueue}/cohorts", is_served=False),
            listed(cluster, f"{kueue}/resourceflavors"),
        )
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        return {"read_at": now, "teams": rows(queues)}
    except UnreadableError as error:
        return {"problem": str(error)}
    except UncountedError as error:
        return {"problem": f"Kueue has not counted its queue {error} yet"}
