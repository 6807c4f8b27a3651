"""Plan a team: what counts, what is there, what has to change, and what stands in the way."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from podshare.aws.lease import Hold, TeamLeases
from podshare.aws.settings import Settings
from podshare.aws.tables import Item, State
from podshare.domain.desired import ClusterFacts
from podshare.domain.kinds import Key, Resource
from podshare.domain.plan import Observation, Plan, plan
from podshare.reconciliation.preconditions import ClusterCondition, before_adding, inspect_cluster
from podshare.reconciliation.records import TeamRecords, desired_resources, read_records
from podshare.reconciliation.survey import reading_context, survey
from podshare.reconciliation.verification import verified
from podshare.resources.context import Context


def plan_team(settings: Settings, hold: Hold) -> dict[str, Any]:
    """The plan for a team as the state machine runs it.

    What counts of the records is kept, and what is known to be gone is forgotten. A plan with nothing to do carries
    its verification: what was just read is what is desired. Raises Superseded if the lease is lost.
    """
    leases = TeamLeases(State(settings.state), settings.function_timeout)
    context = reading_context(settings, hold.team)
    records = read_records(settings, hold.team)
    cluster = _inspect(context, records)
    leases.check(hold)
    _keep_accepted(context, records, cluster)
    surveyed = _survey(context, records, cluster)
    leases.check(hold)
    context.inventory.keep(surveyed.desired)
    for key, found in surveyed.observed.items():
        if found is None and key not in surveyed.desired:
            context.inventory.forget(key)
    return _described(context, records, surveyed)


def dry_run(settings: Settings, team: str, items: Iterable[Item]) -> dict[str, Any]:
    """The plan for a team if the registry held ``items``; nothing is written.

    An item ``{"id": …, "deleted": true}`` stands for a record's deletion.
    """
    instead = {str(item["id"]): None if item.get("deleted") is True else item for item in items}
    context = reading_context(settings, team)
    records = read_records(settings, team, instead)
    return _described(context, records, _survey(context, records, _inspect(context, records)))


@dataclass(frozen=True, slots=True)
class _Surveyed:
    """What is desired and what is there; both empty where it is not known where a team's things are."""

    cluster: ClusterCondition | None
    facts: ClusterFacts | None
    desired: Mapping[Key, Resource]
    observed: Mapping[Key, Observation]


def _inspect(context: Context, records: TeamRecords) -> ClusterCondition | None:
    return inspect_cluster(context, records.cluster) if records.team and records.cluster else None


def _survey(context: Context, records: TeamRecords, cluster: ClusterCondition | None) -> _Surveyed:
    facts = (cluster.facts if cluster else None) or records.known_facts
    if records.team and facts is None:
        # to plan now would be to revoke everything: nothing is known of where it should be
        return _Surveyed(cluster, None, {}, {})
    desired = desired_resources(records, facts, context.installation)
    return _Surveyed(cluster, facts, desired, survey(context, desired, context.inventory.keys()))


def _plan(context: Context, surveyed: _Surveyed) -> Plan:
    """The plan; what it adds is planned only once all that stands in its way is known."""
    found = plan(surveyed.desired, surveyed.observed)
    adding = [change for lane in (*found.allocate, *found.grant) for wave in lane for change in wave]
    cluster = surveyed.cluster
    if not adding:
        return found if surveyed.facts or not cluster else Plan(obstacles=cluster.obstacles)
    types = cluster.instance_types if cluster else frozenset[str]()
    obstacles = [*(cluster.obstacles if cluster else ()), *before_adding(context, surveyed.desired, adding, types)]
    return plan(surveyed.desired, surveyed.observed, obstacles)


def _keep_accepted(context: Context, records: TeamRecords, cluster: ClusterCondition | None) -> None:
    """Keep what was accepted: it bounds what a later, bad record leaves in force."""
    if records.team:
        context.state.put(f"team#{records.name}", "accepted", record=records.team.model_dump_json(by_alias=True))
    elif not records.written:
        context.state.delete(f"team#{records.name}", "accepted")
    if cluster and cluster.facts and records.cluster:
        context.state.put(
            f"cluster#{records.cluster.name}",
            "accepted",
            record=records.cluster.model_dump_json(by_alias=True),
            hyperpod_arn=cluster.facts.hyperpod_arn,
        )
    for name, dataset in records.datasets.items():
        context.state.put(f"dataset#{name}", "accepted", record=dataset.model_dump_json(by_alias=True))


def _described(context: Context, records: TeamRecords, surveyed: _Surveyed) -> dict[str, Any]:
    found = _plan(context, surveyed)
    verification = (
        {} if found.changes else verified(context, records, surveyed.facts, surveyed.desired, surveyed.observed)
    )
    return {
        "team": records.name,
        "deleted": not records.written,
        **found.as_dict(),
        "problems": [problem.as_dict() for problem in records.problems],
        "notes": list(records.notes),
        "verification": verification,
    }
