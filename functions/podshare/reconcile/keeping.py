"""Keep what is known of a team: the records that count, what is there, and in which accounts."""

import datetime
import json
from collections.abc import Collection
from typing import Any

from podshare.aws.rows import DELETED_RECORD
from podshare.aws.settings import Settings
from podshare.kinds.base import Key, Kind, Resource
from podshare.kinds.compute_quota.shape import ComputeQuota
from podshare.kinds.context import Context
from podshare.kinds.observation import Orphaned, Unreadable
from podshare.kinds.shapes import is_by_hand
from podshare.reconcile.file_system_facts import keep_file_systems
from podshare.reconcile.gathering import Clusters, Gathered
from podshare.reconcile.organization_accounts import begin_waiting, end_waiting, keep_uses
from podshare.reconcile.team_records import TeamRecords
from podshare.registry.records import DELETE_WORK


def keep(settings: Settings, context: Context, gathered: Gathered, settling: Collection[Key]) -> None:
    """Write down all that a plan has found; what is ``settling`` is not forgotten."""
    context.inventory.adopt()
    former = _keep_accepted(context, gathered.records, gathered.clusters)
    context.inventory.keep(gathered.desired)
    _keep_inventory(context, gathered, settling)
    _keep_accounts(settings, context, gathered, former)


def _keep_accepted(context: Context, records: TeamRecords, clusters: Clusters) -> frozenset[str]:
    """Keep what was accepted: it bounds what a later, bad record leaves in force.

    Returns the accounts that the team was last known to have something for. Those that it is about to have something
    for are written down before it has.
    """
    team = f"team#{records.name}"
    former = frozenset(str(account) for account in (context.state.get(team, "accounts") or {}).get("accounts", ()))
    if records.team:
        written = records.team.model_dump_json(by_alias=True)
        _accept(context, records, team, record=written, closed=sorted(records.suspended))
    elif not records.written:
        if last := records.accepted_before.get(team):  # what the record said of its deletion counts after it
            on_delete = json.loads(str(last["record"])).get("on_delete", DELETE_WORK)
            context.state.later(context.state.putting(team, "deletion", on_delete=on_delete))
        context.state.later(context.state.deleting(team, "accepted"))
    for name, cluster in clusters.items():
        if cluster.facts:
            written = records.clusters[name].model_dump_json(by_alias=True)
            arn = cluster.facts.hyperpod_arn
            _accept(context, records, f"cluster#{name}", record=written, hyperpod_arn=arn)
            keep_file_systems(context.state, cluster.facts)
    for name, dataset in records.datasets.items():
        _accept(context, records, f"dataset#{name}", record=dataset.model_dump_json(by_alias=True))
    for record in sorted(records.deleted_datasets):
        _accept(context, records, record, **DELETED_RECORD)
    return former


def _accept(context: Context, records: TeamRecords, record_id: str, **accepted: Any) -> None:
    """Keep what was accepted of a record, unless that is what was read before."""
    before = records.accepted_before.get(record_id, {})
    if {name: value for name, value in before.items() if name not in ("id", "part")} != accepted:
        write = context.state.putting(record_id, "accepted", **accepted)
        # what all teams of a cluster or a dataset write is no part of one team's transaction
        context.state.later(write) if record_id == f"team#{records.name}" else context.state.write_alone(write)


def _keep_inventory(context: Context, gathered: Gathered, settling: Collection[Key]) -> None:
    """Keep what is there, also what was found by its name alone; forget what is gone, or a person's to look after now.

    What is not in the inventory would be looked for no more once nobody asks for it, and give access for ever.
    """
    for key, observation in gathered.observed.items():
        unreachable = any(is_by_hand(cluster, key) for cluster in gathered.facts.values())
        if observation is None and key.kind is Kind.NAMESPACE and not unreachable:
            _mark_inspected(context, gathered, key)
        if unreachable or (observation is None and key not in gathered.desired and key not in settling):
            if key in gathered.known:
                context.inventory.forget(key)
        elif isinstance(observation, Resource) and gathered.known.get(key) != observation.identity:
            context.inventory.name(key, observation.identity, datetime.datetime.now(datetime.UTC).isoformat())


def _mark_inspected(context: Context, gathered: Gathered, namespace: Key) -> None:
    """Write down that what drains may be looked for, also once a namespace that has gone is forgotten."""
    for key, observation in gathered.observed.items():
        if (
            isinstance(observation, ComputeQuota)
            and key.container == namespace.container
            and key not in gathered.desired
        ):
            context.inventory.mark_inspected(key)


def _keep_accounts(settings: Settings, context: Context, gathered: Gathered, former: frozenset[str]) -> None:
    """Keep which accounts the team has something for, and which of them wait for their member role."""
    records, observed = gathered.records, gathered.observed
    now = records.named_accounts | {member.account for member in records.members}
    now |= {key.account for key, observation in observed.items() if observation is not None or key in gathered.desired}
    team = f"team#{records.name}"
    if now != former:
        keep_uses(context.state, records.name, former, now)
        context.state.later(context.state.putting(team, "accounts", accounts=sorted(now)))
    silent = {
        key.account
        for key, observation in observed.items()
        if isinstance(observation, Unreadable) and observation.no_role
    }
    for account in sorted(silent):
        context.state.check()
        begin_waiting(settings, account)
    answering = {
        key.account for key, observation in observed.items() if not isinstance(observation, Unreadable | Orphaned)
    }
    for account in sorted(answering - silent):
        if account in records.accounts and records.accounts[account].waiting_since:
            context.state.check()
            end_waiting(settings, account)
