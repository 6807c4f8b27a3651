"""Reads of clusters what was used, with the caller's own credentials: Kueue's workloads, pods and nodes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from podshare.registry.items import name_of
from podshare_cli.aws.accounts import Accounts
from podshare_cli.aws.clusters import UnreadableError, kueue_path, listed, opened
from podshare_cli.history.cluster_work import Objects, Reading

Object = Mapping[str, Any]


def read_clusters(accounts: Accounts, records: Sequence[Object], count: Callable[[int, int], None]) -> list[Reading]:
    """What each cluster has; ``count`` is called with how many of them are done."""
    readings = []
    for number, record in enumerate(records, 1):
        readings.append(_reading(accounts, record))
        count(number, len(records))
    return readings


def _reading(accounts: Accounts, record: Object) -> Reading:
    name = name_of(record)
    try:
        cluster = opened(accounts, record)
        kueue = kueue_path(cluster)
        queued = [listed(cluster, f"{kueue}/{kinds}") if kueue else [] for kinds in ("workloads", "resourceflavors")]
        others = [listed(cluster, f"/api/v1/{kinds}") for kinds in ("pods", "nodes")]
    except (UnreadableError, ClientError, BotoCoreError) as error:
        return Reading(name, problem=str(error))
    return Reading(name, Objects(*queued, *others), has_kueue=bool(kueue))
