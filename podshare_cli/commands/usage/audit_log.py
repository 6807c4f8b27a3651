"""Reads of a cluster's audit log who has created what in the namespaces of teams, day by day.

Sources: EKS User Guide, "Send control plane logs to CloudWatch Logs"; CloudWatch Logs API reference, FilterLogEvents.
"""

import datetime
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError

from podshare.registry.items import TEAM_NAMESPACES
from podshare_cli.aws.accounts import Accounts
from podshare_cli.failures import Failure
from podshare_cli.history.cluster_work import Reading, oldest
from podshare_cli.history.creations import creations

Moment = datetime.datetime
_STREAMS = "kube-apiserver-audit-"
_CREATED = f'{{ $.responseStatus.code = 201 && $.objectRef.namespace = "{TEAM_NAMESPACES}*" }}'
_HOUR, _DAY = datetime.timedelta(hours=1), datetime.timedelta(days=1)  # work is known to Kueue soon after its creation


def with_creations(
    accounts: Accounts,
    record: Mapping[str, Any],
    reading: Reading,
    period: tuple[Moment, Moment],
    count: Callable[[int, int], None],
) -> Reading:
    """What was read of a cluster, with who has created it. Raises Failure if the log is on and cannot be read.

    ``count`` is called with how many days are done.
    """
    since = oldest(reading, period)
    if reading.problem or since is None:
        return reading
    account, region, name = (str(record[field]) for field in ("account", "region", "eks_cluster"))
    described = accounts.client("eks", account, region).describe_cluster(name=name)["cluster"]
    setups = (described.get("logging") or {}).get("clusterLogging") or ()
    if not any(setup.get("enabled") and "audit" in setup.get("types", ()) for setup in setups):
        return replace(reading, without_log="its audit log is off")
    group, logs = f"/aws/eks/{name}/cluster", accounts.client("logs", account, region)
    try:
        events = list(_events(logs, group, (since - _HOUR, period[1]), count))
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return replace(reading, without_log=f"there is no log group {group}")
        problem = f"The audit log of cluster {reading.cluster} cannot be read: {error}"
        raise Failure(problem, f"You need logs:FilterLogEvents on {group} in account {account}.") from error
    return replace(reading, creations=creations(events))


def _events(
    logs: Any, group: str, period: tuple[Moment, Moment], count: Callable[[int, int], None]
) -> Iterator[Mapping[str, Any]]:
    """The events of creations in teams' namespaces."""
    since, until = period
    days = -(-(until - since) // _DAY)
    for day in range(days):
        begin, end = since + day * _DAY, min(since + (day + 1) * _DAY, until)
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName=group,
            logStreamNamePrefix=_STREAMS,
            startTime=int(begin.timestamp() * 1000),
            endTime=int(end.timestamp() * 1000) - 1,
            filterPattern=_CREATED,
        )
        for page in pages:
            for entry in page["events"]:
                event = _parsed(entry["message"])
                if event.get("kind") == "Event":
                    yield event
        count(day + 1, days)


def _parsed(message: str) -> Mapping[str, Any]:
    try:
        event = json.loads(message)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}
