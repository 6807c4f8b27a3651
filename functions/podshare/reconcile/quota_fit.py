"""Whether a team's quota fits into its cluster beside all others, and who has what there."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from podshare.aws.errors import Retryable, reason_of
from podshare.aws.settings import Settings
from podshare.aws.tables import Registry, Snapshot
from podshare.kinds.base import Key, Resource
from podshare.kinds.compute_quota.shape import ComputeQuota, quota_lines
from podshare.kinds.context import Context
from podshare.kinds.facts import ClusterFacts
from podshare.kinds.observation import LONGEST_TEXT, Blocker
from podshare.reconcile import capacity
from podshare.reconcile.capacity import Allocation, Commitment, OverCommitment
from podshare.reconcile.instance_types import Instance, Instances
from podshare.reconcile.observing import reading_context
from podshare.reconcile.preconditions import ClusterCondition, inspect_cluster
from podshare.reconcile.published_types import published
from podshare.registry.items import kind_of, name_of
from podshare.registry.parsing import parse_team
from podshare.registry.problems import InvalidRecord
from podshare.registry.records import Cluster

CLAIM_SECONDS = 3600  # by then a quota that was let through is made, or is planned again
MOST_TRIES = 5
Claims = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Fit:
    """The blockers and notes of a team's quota: what keeps it from growing, and what there is to know."""

    blockers: tuple[Blocker, ...] = ()
    notes: tuple[str, ...] = ()


def check_fit(
    context: Context,
    cluster: Cluster,
    condition: ClusterCondition,
    desired: Mapping[Key, Resource],
    others: Iterable[Allocation] = (),
    *,
    claim: bool,
) -> Fit:
    """Hold the quota in ``desired`` against the cluster's nodes and all other quotas there.

    Where over-commitment is refused, what is let through is claimed, so that teams that are planned at the same time
    do not get the same nodes: ``claim`` is False for a dry run, which only heeds the claims of others, and what
    ``others`` ask for by the same records. Raises Retryable if others keep claiming in between.
    """
    quota = next(
        (
            resource
            for resource in desired.values()
            if isinstance(resource, ComputeQuota) and resource.cluster == cluster.name
        ),
        None,
    )
    if quota is None or condition.facts is None:
        return Fit()
    wanted = Allocation(quota.team, quota.resources if quota.active else (), quota.sharing)
    refuses = cluster.over_commitment == "refuse"
    # a claim goes once its quota is listed: who reads claims first, and lists afterwards, sees one of the two
    reading = context.as_of_now() if refuses else context
    for _ in range(MOST_TRIES):
        row = context.state.get(_claims_of(condition.facts), "claims") or {}
        try:
            with context.accounts.awaiting(("compute quotas", cluster.name)):
                listed = _allocations(reading, condition.facts)
            claimed = [*others, *_claimed_quotas(row)]
            instances = _instances(context, condition, [*listed, *claimed, wanted], wanted.types)
            guaranteed = _with_claims(listed, claimed, wanted.team, instances)
        except Exception as error:  # whatever it is, the rest of the team does not wait for it
            return _unreadable(cluster, quota, error)
        lacking = wanted.types - condition.nodes.keys()  # `before_adding` reports what is raised there
        over = [
            over_commitment
            for over_commitment in capacity.over_commitments(condition.nodes, guaranteed, wanted, instances)
            if not (over_commitment.raised and over_commitment.commitment.instance_type in lacking)
        ]
        refused = [over_commitment for over_commitment in over if over_commitment.raised] if refuses else []
        unknown = capacity.uncounted(guaranteed, wanted, instances)
        unsure = [name for name, raised in unknown.items() if raised and refuses]
        keeps = refuses and not (refused or unsure or lacking) and _is_raised(wanted, guaranteed, instances)
        if not claim or _claimed(context, condition.facts, row, wanted.team, wanted if keeps else None):
            return Fit(
                (
                    *(_blocker(cluster, quota, over_commitment) for over_commitment in refused),
                    *(_unknown_blocker(cluster, quota, name) for name in unsure),
                ),
                (
                    *(_note(over_commitment) for over_commitment in over if over_commitment not in refused),
                    *(_unknown(cluster, name) for name in unknown if name not in unsure),
                ),
            )
    raise Retryable(f"cluster {cluster.name}: gave up after {MOST_TRIES} concurrent plans of other teams")


def asked_for_beside(team: str, items: Iterable[Mapping[str, Any]]) -> dict[str, list[Allocation]]:
    """What the records of other teams among ``items`` ask of each cluster; invalid ones ask for nothing."""
    allocations: dict[str, list[Allocation]] = {}
    for item in items:
        if kind_of(item) != "team" or name_of(item) == team or item.get("deleted") is True:
            continue
        try:
            other = parse_team(item)
        except InvalidRecord:  # its own plan says so
            continue
        for cluster, quota in other.quotas.items():
            lines = quota_lines(quota.resources) if quota.active else ()
            allocations.setdefault(cluster, []).append(Allocation(other.name, lines, {}))
    return allocations


def forget_claim(context: Context, facts: ClusterFacts, team: str) -> None:
    """A team that has no quota any more claims nothing. Raises Retryable if others keep claiming in between."""
    for _ in range(MOST_TRIES):
        row = context.state.get(_claims_of(facts), "claims")
        if not row or team not in row["teams"] or _claimed(context, facts, row, team, None):
            return
    raise Retryable(f"cluster {facts.name}: gave up after {MOST_TRIES} concurrent updates by other teams")


def report(settings: Settings, name: str) -> dict[str, Any]:
    """Who has what on a cluster; ``problem`` says why it cannot be said."""
    record_id, context = f"cluster#{name}", reading_context(settings, "", Snapshot(settings.state))
    try:
        record = Registry(settings.registry).record(record_id, Cluster)
    except InvalidRecord as error:
        return {"cluster": name, "problem": str(error)}
    if record is None:
        return {"cluster": name, "problem": f"there is no {record_id} in the registry"}
    condition = inspect_cluster(context, record)
    if condition.facts is None:
        return {"cluster": name, "problem": condition.blockers[0].what}
    try:
        listed = _allocations(context, condition.facts)
        instances = published(
            context, condition.facts, {*condition.nodes, *(name for each in listed for name in each.types)}
        )
    except Exception as error:  # as above
        return {"cluster": name, "problem": f"its compute quotas cannot be read: {reason_of(error)}"[:LONGEST_TEXT]}
    return {
        "cluster": name,
        "over_commitment": record.over_commitment,
        "instance_types": capacity.report(capacity.commitments(condition.nodes, listed, instances)),
    }


def _instances(
    context: Context, condition: ClusterCondition, quotas: list[Allocation], types: set[str]
) -> dict[str, Instance]:
    """What the types offer, if that matters: whole instances that fit are counted without it."""
    whole = all("Count" in line for each in quotas for name in types for line in each.lines(name))
    if condition.facts is None or (
        whole and not capacity.over_commitments(condition.nodes, quotas[:-1], quotas[-1], {})
    ):
        return {}
    return published(context, condition.facts, types)


def _allocations(context: Context, facts: ClusterFacts) -> list[Allocation]:
    """What every quota of the cluster guarantees, whoever made it."""
    client = context.accounts.client("sagemaker", facts.account, facts.region)
    pages = client.get_paginator("list_compute_quotas").paginate(ClusterArn=facts.hyperpod_arn)
    listed: Iterable[Mapping[str, Any]] = (summary for page in pages for summary in page["ComputeQuotaSummaries"])
    return [allocation for summary in listed if (allocation := capacity.allocation(summary))]


def _is_raised(wanted: Allocation, existing: Iterable[Allocation], instances: Instances) -> bool:
    before = next((each for each in existing if each.team == wanted.team), Allocation(wanted.team, (), {}))
    wanted, before = wanted.knowing(instances), before.knowing(instances)
    return any(wanted.raises(before, name) for name in wanted.types)


def _blocker(cluster: Cluster, quota: ComputeQuota, over_commitment: OverCommitment) -> Blocker:
    commitment = over_commitment.commitment
    asked, free = commitment.asked_and_free(quota.team)
    problem = (
        f"the quota of {quota.team} would over-commit the cluster by {_by(commitment)}: it asks for {asked:g} of "
        f"{commitment.nodes.lasting} nodes of {commitment.instance_type}, of which {free:g} are free. {commitment}"
    )
    if commitment.will_fit:
        remedy = "Wait: the nodes that it needs have been requested and have not arrived yet."
    else:
        remedy = (
            f"Lower a quota, add nodes, or set `over_commitment: warn` in cluster#{cluster.name}; then reconcile. "
            "The rest of the team is provisioned, and its existing quota stays unchanged."
        )
    return Blocker(problem, remedy, waits=commitment.will_fit, only=str(quota.key))


def _note(over_commitment: OverCommitment) -> str:
    return f"the cluster is over-committed by {_by(over_commitment.commitment)}. {over_commitment.commitment}"[
        :LONGEST_TEXT
    ]


def _unknown(cluster: Cluster, instance_type: str) -> str:
    return (
        f"whether cluster {cluster.name} is over-committed in {instance_type} is unknown: EC2 publishes no data about "
        f"this type in {cluster.region}, so that parts of its instances cannot be counted"
    )[:LONGEST_TEXT]


def _unknown_blocker(cluster: Cluster, quota: ComputeQuota, instance_type: str) -> Blocker:
    remedy = (
        f"Give {quota.team} whole instances of {instance_type} (`count`), or set `over_commitment: warn` in "
        f"cluster#{cluster.name}; then reconcile. The rest of the team is provisioned."
    )
    return Blocker(_unknown(cluster, instance_type), remedy, only=str(quota.key))


def _by(commitment: Commitment) -> str:
    return f"{commitment.in_units(-commitment.free):g} {commitment.unit}"


def _unreadable(cluster: Cluster, quota: ComputeQuota, error: Exception) -> Fit:
    problem = (
        f"cannot check whether the quota of {quota.team} fits: compute quotas cannot be listed: {reason_of(error)}"
    )
    if cluster.over_commitment == "warn":
        return Fit(notes=(problem[:LONGEST_TEXT],))
    remedy = "The quota stays unchanged; the next reconciliation tries again."
    return Fit((Blocker(problem, remedy, only=str(quota.key)),))


# ---- claims -------------------------------------------------------------------------------------------------------


def _claims_of(facts: ClusterFacts) -> str:
    return f"capacity#{facts.hyperpod_arn.rpartition('/')[2]}"


def _with_claims(
    listed: list[Allocation], claims: Iterable[Allocation], team: str, instances: Instances
) -> list[Allocation]:
    """What is guaranteed, and what was let through for other teams and is not there yet."""
    by_team = {each.team: each for each in listed}
    for claimed in claims:
        if claimed.team != team and _is_raised(claimed, listed, instances):
            sharing = by_team[claimed.team].sharing if claimed.team in by_team else {}
            by_team[claimed.team] = replace(claimed, sharing=sharing)
    return list(by_team.values())


def _claimed_quotas(row: Mapping[str, Any]) -> list[Allocation]:
    return [Allocation(team, tuple(claim["resources"]), {}) for team, claim in _live(row).items()]


def _live(row: Mapping[str, Any]) -> Claims:
    return {team: claim for team, claim in row.get("teams", {}).items() if claim["until"] > time.time()}


def _claimed(
    context: Context, facts: ClusterFacts, row: Mapping[str, Any], team: str, wanted: Allocation | None
) -> bool:
    """Write down what is let through for a team, or that nothing is; False if another plan wrote in between."""
    claims = _live(row)
    resources = [dict(line) for line in wanted.resources] if wanted else []
    if claims.get(team, {}).get("resources", []) == resources:
        return True
    claims.pop(team, None)
    if wanted:
        claims[team] = {"resources": resources, "until": int(time.time()) + CLAIM_SECONDS}
    revision = int(row["revision"]) if row else None
    return context.state.replace(_claims_of(facts), "claims", revision, revision=(revision or 0) + 1, teams=claims)
