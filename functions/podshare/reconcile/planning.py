"""Plan a team: gather what counts and what is there, decide what has to change, keep what is known of it."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from podshare.access.access_points import described
from podshare.aws.lease import Hold, TeamLeases
from podshare.aws.organizations import describe
from podshare.aws.rows import Item
from podshare.aws.settings import Settings
from podshare.aws.tables import Snapshot, State
from podshare.installation import Installation
from podshare.kinds import limits
from podshare.kinds.base import Key, Manifest, Resource
from podshare.kinds.context import Context
from podshare.kinds.desired import by_hand, manifests
from podshare.kinds.facts import ClusterFacts
from podshare.kinds.hardening import not_verified
from podshare.kinds.observation import Blocker
from podshare.kinds.role.shape import Role
from podshare.kinds.team_on_cluster import ALL_MEMBERS
from podshare.policy import policies
from podshare.reconcile import buckets
from podshare.reconcile.access_changes import AccessChanges, access_changes
from podshare.reconcile.access_reports import keep_access_report, watch
from podshare.reconcile.capacity import Allocation
from podshare.reconcile.cluster_records import of_other_records
from podshare.reconcile.expirations import keep_expirations
from podshare.reconcile.field_changes import changed_resources
from podshare.reconcile.gathering import Clusters, Gathered, gather
from podshare.reconcile.handed_over import end_handing_over, hand_over
from podshare.reconcile.holding import hold_back, losses_reported
from podshare.reconcile.keeping import keep
from podshare.reconcile.observing import answers_may_come, reading_context
from podshare.reconcile.organization_accounts import is_listed, observe
from podshare.reconcile.plan import Action, Plan, carried, plan
from podshare.reconcile.preconditions import (
    ClusterCondition,
    before_adding,
    kept_until_located,
    late_member_roles,
    lost_namespaces,
    other_namespaces,
    other_teams,
    renamed_quotas,
    reserved_names,
    unlocated_compute,
)
from podshare.reconcile.quota_fit import Fit, asked_for_beside, check_fit, forget_claim
from podshare.reconcile.reading_ahead import (
    decided_with,
    forget_reads,
    keep_reads,
    new_on_clusters,
    read_ahead,
    verified_with,
)
from podshare.reconcile.recording import record, status_before
from podshare.reconcile.settling import attempt_of, settled_and_settling, settling_blocker
from podshare.reconcile.team_records import TeamRecords, desired_resources, read_records
from podshare.reconcile.verification import verified
from podshare.registry.accounts import DEPARTED, is_blocked, is_gone
from podshare.registry.records import Cluster
from podshare.registry.sentences import counted


def plan_team(settings: Settings, hold: Hold, event: Mapping[str, Any]) -> dict[str, Any]:
    """The plan for a team as the state machine runs it; ``event`` is what the machine says of the run.

    All that is known of the team is written in one transaction, which checks the lease. With nothing to do it also
    records how the run ended, and gives the lease back. Raises Superseded if the lease is lost.
    """
    # an execution that began before an upgrade has no waits
    attempt = attempt_of(event["execution"], event.get("waits", 0))
    state = Snapshot(settings.state)
    state.guard(TeamLeases(State(settings.state), settings.function_timeout).fence(hold, event["execution"]))
    context = reading_context(settings, hold.team, state)
    read_ahead(settings, state, hold.team, plans=True)
    records = read_records(settings, state, hold.team, also=new_on_clusters)
    gathered = gather(context, records, lambda account: observe(settings, account))
    new = (key for key in gathered.desired if gathered.observed.get(key) is None)
    state.get_all(decided_with(hold.team, gathered.facts.values(), new))  # at once
    decided = decide(settings, context, gathered, attempt)
    if decided.plan.changes:  # some of what follows is announced, or counted for the hour
        state.check()
    failed = event.get("failed", ())  # an execution that began before an upgrade has none
    planned = persist(settings, context, gathered, decided, attempt, failed=failed)
    if planned["count"]:
        hand_over(state, hold, gathered.desired, gathered.records.as_of)
    elif planned["deleted"]:
        end_handing_over(state, hold.team)
        forget_reads(state, hold.team)
    if not planned["deleted"]:
        facts, datasets = gathered.facts.values(), gathered.records.datasets.values()
        more = verified_with(context.installation, hold.team, facts, datasets)
        keep_reads(state, hold.team, more)
    planned["before"] = status_before(state, hold.team)
    planned["may_pass"] = answers_may_come(context)
    if not planned["count"] and "made" in event:  # nor has it this; its machine records what was planned
        outcome = record(settings, {**event, "plan": planned}, state, unless_news=True)
        planned = {**planned, **({"outcome": outcome} if outcome else {})}
    state.flush()
    return planned


def dry_run(settings: Settings, team: str, items: Iterable[Item], *, adopting: bool = False) -> dict[str, Any]:
    """The plan for a team if the registry held ``items``, and were handed its quotas if ``adopting``; writes nothing.

    An item ``{"id": …, "deleted": true}`` stands for a record's deletion. ``manifests`` are the objects that a person
    has to apply, by the cluster whose API podshare does not use; ``access_points`` the names by which pods reach data;
    ``fields`` what changes within each resource that stays, and all of each that comes; ``gains``, ``revocations`` and
    ``quotas`` what becomes of everybody's access.
    """
    records_asked = [*items]
    instead = {str(item["id"]): None if item.get("deleted") is True else item for item in records_asked}
    context = replace(reading_context(settings, team, Snapshot(settings.state)), adopting=adopting)
    written = read_records(settings, context.state, team, instead)
    gathered = gather(context, written, lambda account: describe(settings, account))
    decided = decide(settings, context, gathered, None, asked_for_beside(team, records_asked))
    records = gathered.records
    existing = {key: resource for key, resource in gathered.observed.items() if isinstance(resource, Resource)}
    points = [existing.get(key, resource) for key, resource in gathered.desired.items()]
    blockers = (*decided.plan.blockers, *_likely_mistyped(settings, records, decided.plan))
    foreseen = carried(replace(decided.plan, blockers=blockers))
    verification: dict[str, Any] = {}
    if not foreseen.changes:
        verification, doors = verified(context, records, gathered.facts, gathered.desired, gathered.observed)
        verification |= {"doors": doors.reported, "not_looked_at": [*doors.not_checked]}
    return {
        **_described(context, gathered, foreseen, decided.notes, verification),
        "manifests": _by_hand(records, gathered.facts, context.installation),
        "access_points": described(context.installation, points),
        "fields": changed_resources((change.key for change in foreseen.changes), gathered.desired, gathered.observed),
        **_access_changes(context, gathered).as_dict(),
        "losses": losses_reported(
            settings,
            team,
            gathered.desired,
            gathered.observed,
            gone_clusters=records.gone_clusters | records.shut_clusters,
        ),
    }


def _access_changes(context: Context, gathered: Gathered) -> AccessChanges:
    """What everybody's access becomes, with all that waits for something else."""
    names = {cluster.eks_arn(context.installation): name for name, cluster in gathered.facts.items()}
    return access_changes(gathered.desired, gathered.observed, gathered.records.datasets, names, context.installation)


def _likely_mistyped(settings: Settings, records: TeamRecords, proposed: Plan) -> Iterator[Blocker]:
    """Where access would be revoked, and a selector means nobody: a mistyped id or tag looks like that."""
    for selector in records.idle_selectors if proposed.revoke and is_listed(settings) else ():
        problem = f"{selector} selects no account, and this plan revokes access of other members"
        yield Blocker(problem, "Correct the selector, or remove its line if nobody is to be selected.")


@dataclass(frozen=True, slots=True)
class Decided:
    """What has to change, and what there is to know; ``settled`` and ``settling`` is what was changed lately."""

    plan: Plan
    notes: tuple[str, ...]
    settled: frozenset[Key]
    settling: frozenset[Key]


def decide(
    settings: Settings,
    context: Context,
    gathered: Gathered,
    attempt: str | None,
    beside: Mapping[str, Sequence[Allocation]] | None = None,
) -> Decided:
    """The plan, and its blockers.

    ``attempt`` is None for a dry run. A run claims what only one team, or one record, may have: nodes of a cluster
    that others are planned for at the same time, and the cluster for its record. ``beside`` is what other teams are to
    have of each cluster by the records of the same dry run.
    """
    records, desired, observed, claim = gathered.records, gathered.desired, gathered.observed, attempt is not None
    clusters = {
        name: _of_one_record(settings, context, records.clusters[name], condition, claim=claim)
        for name, condition in gathered.clusters.items()
    }
    blockers, notes = [*gathered.blockers, *_not_in_the_organization(records), *_on_gone_clusters(records)], list[str]()
    if gathered.is_located:
        if records.selects and not is_listed(settings):
            problem = "the organization has not been listed yet, so selectors select no account"
            blockers.append(Blocker(problem, "Run `podshare sweep` once after the deployment."))
        blockers += late_member_roles(settings, records.accounts, desired, observed)
        fits = [*_fits(context, records, clusters, desired, beside or {}, claim=claim)]
        blockers += [blocker for fit in fits for blocker in fit.blockers]
        blockers += other_teams(context, desired, observed)
        blockers += other_namespaces(context, desired, observed, gathered.known)
        blockers += [*reserved_names(desired, observed), *lost_namespaces(context, desired, observed)]
        shut, denials = buckets.denied(context, desired)
        blockers += shut
        notes += [*denials, *buckets.put_back(context, desired), *(note for fit in fits for note in fit.notes)]
        notes += [note for cluster in clusters.values() for note in cluster.notes]
        notes += [*_cluster_notes(records, gathered.facts, context.installation)]
        notes += [*_shared_role_notes(desired.values())]
    settled, settling = (
        settled_and_settling(gathered.changing, desired, observed, attempt) if attempt else (frozenset(), frozenset())
    )
    blockers += map(settling_blocker, sorted(settling))
    # deleting them would end the team's work for a name, or for a cluster's record with a typo
    if gathered.is_located:
        kept = renamed_quotas(desired, observed)
    else:
        kept = unlocated_compute(observed)
        blockers += kept_until_located(kept)
    changing = replace(gathered, observed={key: observed[key] for key in observed if key not in kept})
    return Decided(_plan(context, changing, clusters, blockers), tuple(notes), settled, settling)


def _of_one_record(
    settings: Settings, context: Context, cluster: Cluster, condition: ClusterCondition, *, claim: bool
) -> ClusterCondition:
    if condition.facts is None:
        return condition
    others = of_other_records(settings, context, cluster, condition.facts, claim=claim)
    return replace(condition, blockers=(*condition.blockers, *others))


def _shared_role_notes(desired: Iterable[Resource]) -> Iterator[str]:
    """What it costs that all members share a cluster access role."""
    for role in desired:
        if isinstance(role, Role) and role.why == ALL_MEMBERS:
            size = policies.size([role.trust])
            yield (
                "access_role: per_team: a removed member keeps open sessions for up to an hour; "
                f"the trust policy of {role.key.name} has {size:,} of {limits.TRUST_POLICY:,} characters"
            )


def _cluster_notes(
    records: TeamRecords, facts: Mapping[str, ClusterFacts], installation: Installation
) -> Iterator[str]:
    """What podshare does not see to in the team's clusters."""
    for name in records.in_force.quotas if records.in_force else ():
        if name in facts:
            cluster = facts[name]
            if note := not_verified(name, cluster.namespace_hardening, kubernetes_api=cluster.kubernetes_api):
                yield note
    for name, objects in _by_hand(records, facts, installation).items():
        command = f"podshare team manifests {records.name} --cluster {name} | kubectl apply --server-side -f -"
        yield f"a person has to apply {counted(len(objects), 'object')} (kubernetes_api: false): {command}"


def _by_hand(
    records: TeamRecords, facts: Mapping[str, ClusterFacts], installation: Installation
) -> dict[str, list[Manifest]]:
    """What a person applies in each cluster whose API podshare does not use."""
    if records.in_force is None:
        return {}
    team = records.in_force
    objects = {name: by_hand(team, cluster, records.datasets, installation) for name, cluster in facts.items()}
    return {name: manifests(installation, resources) for name, resources in objects.items() if resources}


def _fits(
    context: Context,
    records: TeamRecords,
    clusters: Clusters,
    desired: Mapping[Key, Resource],
    beside: Mapping[str, Sequence[Allocation]],
    *,
    claim: bool,
) -> Iterator[Fit]:
    """Whether the team's quota on each cluster fits there; a cluster without one is left to others."""
    for name, cluster in clusters.items():
        yield check_fit(context, records.clusters[name], cluster, desired, beside.get(name, ()), claim=claim)
    for name, facts in records.known_facts.items() if claim else ():
        if name not in clusters and not any(resource.cluster == name for resource in desired.values()):
            forget_claim(context, facts, records.name)


def _not_in_the_organization(records: TeamRecords) -> Iterator[Blocker]:
    """A record that names an account which the organization does not have says so until it is fixed."""
    for account in sorted(records.named_accounts & records.accounts.keys()):
        if records.accounts[account].state == DEPARTED:
            problem = f"account {account} is not, or no longer, in the organization"
            remedy = "Correct its id, or remove it from the team's members, or from the dataset's or cluster's record."
            yield Blocker(problem, remedy, account=account)


def _on_gone_clusters(records: TeamRecords) -> Iterator[Blocker]:
    """A team's notes name each of its clusters that nobody may use any more, until it is taken out of its record."""
    wanted = records.in_force.quotas.keys() if records.in_force else set()
    for name in sorted((records.gone_clusters | records.shut_clusters) & wanted):
        account = records.clusters[name].account
        if not is_gone(records.accounts, account):  # an enrolled team's own account is blocked: a note reports it
            continue
        standing = records.accounts[account].standing
        problem = f"cluster {name} is in account {account}, which is {standing}: its access is revoked"
        yield Blocker(problem, _back(records, account), cluster=name)


def _back(records: TeamRecords, account: str) -> str:
    """How a cluster's account takes part again."""
    if is_blocked(records.accounts, account):
        return f"podshare account unblock {account}, or remove the cluster from the team's record."
    return "Remove the cluster from the team's record, or bring the account back."


def _plan(context: Context, gathered: Gathered, each: Clusters, blockers: list[Blocker]) -> Plan:
    """The plan; what it adds is planned only once all of its blockers are known."""
    made = plan(gathered.desired, gathered.observed, blockers)
    adding = [change for chain in (*made.allocate, *made.grant) for batch in chain for change in batch]
    clusters = _alone_or_each(each)
    if not adding:
        # a condition that passes by itself keeps nothing waiting here, and is no news
        lasting = [blocker for cluster in clusters.values() for blocker in cluster.blockers if not blocker.waits]
        data = buckets.unfit_data(context, gathered.desired, ()) if gathered.desired else ()
        return replace(made, blockers=(*made.blockers, *lasting, *data))
    all_blockers = [
        *blockers,
        *(blocker for cluster in clusters.values() for blocker in cluster.blockers),
        *before_adding(
            context, gathered.desired, adding, {name: cluster.nodes.keys() for name, cluster in clusters.items()}
        ),
    ]
    return plan(gathered.desired, gathered.observed, all_blockers)


def _alone_or_each(clusters: Clusters) -> Clusters:
    """What keeps a team's only cluster from being shared keeps all of the team waiting."""
    if len(clusters) != 1:
        return clusters
    return {
        name: replace(condition, blockers=tuple(replace(blocker, cluster="") for blocker in condition.blockers))
        for name, condition in clusters.items()
    }


def persist(
    settings: Settings,
    context: Context,
    gathered: Gathered,
    decided: Decided,
    attempt: str,
    *,
    failed: Collection[str],
) -> dict[str, Any]:
    """Keep what is known of the team now, and return its plan, as far as one run can carry it.

    What counts of the records is kept, what is known to be gone is forgotten, an account whose member role is late is
    marked as waiting, and what takes access from more teams than may lose it in an hour is held back. A plan with
    nothing to do carries its verification: what was just read is what is desired.
    """
    records, desired, observed = gathered.records, gathered.desired, gathered.observed
    for key in decided.settled:
        context.inventory.settle(key)
    for key in decided.settling:
        context.inventory.mark_settling(key, attempt)
    keep(settings, context, gathered, decided.settling)
    if gathered.is_located:
        watch(context, desired, observed, records.as_of.isoformat(timespec="seconds"))
    # what ends by the clock is no mistake of a record's; what a record lets end in the past may be
    expirations, unscheduled = keep_expirations(settings, context.state, records)
    asked = (
        desired_resources(records, gathered.facts, context.installation, but=expirations) if expirations else desired
    )
    allowed, held = hold_back(
        settings,
        context,
        decided.plan,
        asked,
        observed,
        gone_clusters=records.gone_clusters | records.shut_clusters,
        lines=records.team.members if records.team else (),
    )
    # what is held back takes no place of what is not
    final_plan = carried(replace(allowed, blockers=(*allowed.blockers, *unscheduled)), failed)
    verification: dict[str, Any] = {}
    if not final_plan.changes:
        verification, doors = verified(context, records, gathered.facts, desired, observed)
        if gathered.is_located:
            verification = keep_access_report(context, records, desired, observed, verification, doors)
    described_plan = _described(context, gathered, final_plan, decided.notes, verification)
    return {**described_plan, **({"held": held.as_dict(records.name)} if held else {})}


def _described(
    context: Context, gathered: Gathered, proposed: Plan, notes: Iterable[str], verification: Mapping[str, Any]
) -> dict[str, Any]:
    records = gathered.records
    created = [change.key for change in proposed.changes if change.action is Action.CREATE]
    return {
        "team": records.name,
        "deleted": not records.written,
        "ended": records.team is not None and records.in_force is None,
        **proposed.as_dict(),
        "problems": [problem.as_dict() for problem in records.problems],
        "notes": [*records.notes, *notes, *buckets.notes(context, gathered.desired, created)],
        "verification": verification,
    }
