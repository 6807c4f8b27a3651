"""A team's running work: deleting its compute quota waits until the work has drained, or long enough."""

import datetime
import json

from podshare.aws.errors import Retryable, Terminal, Waiting
from podshare.kinds.base import Key, Kind
from podshare.kinds.context import Context
from podshare.registry.items import namespace_of
from podshare.registry.records import DELETE_WORK
from podshare.registry.sentences import counted


def await_drain(context: Context, quota: Key, drain_seconds: int) -> str:
    """What was found, once the quota may go. Raises Waiting while pods run and the time is not over.

    The time counts from the first call for this deletion, which the inventory remembers.
    """
    namespace = namespace_of(context.team)
    now = datetime.datetime.now(datetime.UTC)
    since = context.inventory.begin_drain(quota, now)
    seconds = drain_seconds - (now - since).total_seconds()
    running = _running(context, quota, namespace)
    if running and seconds > 0:
        raise Waiting(
            f"namespace {namespace}: {counted(len(running), 'pod')} still running ({', '.join(running[:3])}); "
            f"the compute quota stays for them for up to {round(seconds)} s"
        )
    left = Key(Kind.NAMESPACE, quota.account, quota.region, quota.container, namespace)
    context.inventory.vacate(left, now.isoformat(), _on_delete(context))
    context.inventory.end_drain(quota, context.run)
    return f"{counted(len(running), 'pod')} left running after {drain_seconds} s" if running else "no pods run"


def _on_delete(context: Context) -> str:
    """What the record that was accepted last says of the work that the team leaves."""
    team = f"team#{context.team}"
    accepted = context.state.get(team, "accepted")
    if accepted:
        return str(json.loads(str(accepted["record"])).get("on_delete", DELETE_WORK))
    return str((context.state.get(team, "deletion") or {}).get("on_delete", DELETE_WORK))


def _running(context: Context, quota: Key, namespace: str) -> list[str]:
    """What runs; where podshare does not look into the cluster, something may run for as long as it may at all."""
    if not context.inventory.is_inspected(quota):
        return ["unknown, because podshare does not look into the cluster"]
    try:
        return context.kubernetes(quota).running_pods(namespace)
    except (Retryable, Terminal) as error:
        return [f"unknown, because {error}"]  # a cluster that does not answer holds the quota no longer than work
