"""Plan a team: what counts, what is there, what has to change, and what stands in the way."""

import datetime
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from podshare.access.access_points import described
from podshare.aws.errors import reason_of
from podshare.aws.lease import Hold, TeamLeases
from podshare.aws.organizations import describe
from podshare.aws.settings import Settings
from podshare.aws.tables import Item, State
from podshare.installation import Installation
from podshare.kinds import limits
from podshare.kinds.base import Key, Kind, Manifest, Resource
from podshare.kinds.compute_quota.shape import ComputeQuota
from podshare.kinds.context import Context
from podshare.kinds.desired import by_hand, manifests
from podshare.kinds.facts import ClusterFacts
from podshare.kinds.hardening import not_verified
from podshare.kinds.observation import LONGEST_TEXT, LeftBehind, Observation, Obstacle, Unreadable
from podshare.kinds.role.shape import Role
from podshare.kinds.shapes import is_by_hand
from podshare.kinds.team_on_cluster import ALL_MEMBERS
from podshare.policy import policies
from podshare.reconcile import buckets
from podshare.reconcile.clusters import of_other_records
from podshare.reconcile.doubts import as_obstacle, doubtful
from podshare.reconcile.file_system_facts import inspect_file_systems, keep_file_systems
from podshare.reconcile.holding import hold_back, losses_told
from podshare.reconcile.organization_accounts import begin_waiting, end_waiting, is_listed, keep_uses, observe
from podshare.reconcile.plan import Action, Plan, plan
from podshare.reconcile.preconditions import (
    ClusterCondition,
    before_adding,
    inspect_cluster,
    late_member_roles,
    lost_namespaces,
    other_namespaces,
    other_teams,
    reserved_names,
)
from podshare.reconcile.proving import prove, watch
from podshare.reconcile.quota_fit import Fit, check_fit, forget_claim
from podshare.reconcile.survey import reading_context, survey
from podshare.reconcile.team_records import TeamRecords, desired_resources, read_records
from podshare.reconcile.terms import keep_terms
from podshare.reconcile.verification import verified
from podshare.registry.accounts import DEPARTED, Account, is_blocked, is_gone
from podshare.registry.records import DELETE_WORK

Clusters = Mapping[str, ClusterCondition]
MOST_UNKNOWN = 20  # accounts that one plan reads from the organization, within a function's time


def plan_team(settings: Settings, hold: Hold, attempt: str) -> dict[str, Any]:
    """The plan for a team as the state machine runs it.

    What counts of the records is kept, what is known to be gone is forgotten, an account whose member role is late is
    marked as waiting, and what takes access from more teams than may lose it in an hour is held back. A plan with
    nothing to do carries its verification: what was just read is what is desired.
    ``attempt`` tells the plans of a run apart (:mod:`.doubts`). Raises Superseded if the lease is lost.
    """
    leases = TeamLeases(State(settings.state), settings.function_timeout)
    context = reading_context(settings, hold.team)
    records, obstacles = _with_unknown_accounts(read_records(settings, hold.team), lambda one: observe(settings, one))
    clusters, linked = _inspect(settings, context, records, claim=True)
    leases.check(hold)
    context.inventory.adopt()
    former = _keep_accepted(context, records, clusters)
    surveyed = _survey(settings, context, records, clusters, (*obstacles, *linked), claim=True)
    leases.check(hold)
    context.inventory.keep(surveyed.desired)
    surveyed = _doubted(surveyed, doubtful(context, surveyed.desired, surveyed.observed, attempt))
    _keep_inventory(context, surveyed)
    _keep_accounts(settings, context, records, surveyed, former)
    if surveyed.is_placed:
        watch(context, surveyed.desired, surveyed.observed, records.as_of.isoformat(timespec="seconds"))
    # what ends by the clock is no mistake of a record's; what a record lets end in the past may be
    terms, asked = keep_terms(settings, records), surveyed.desired
    if terms:
        asked = desired_resources(records, surveyed.facts, context.installation, but=terms)
    found, held = hold_back(
        settings,
        hold.team,
        _plan(context, surveyed),
        asked,
        surveyed.observed,
        gone_clusters=records.gone_clusters | records.shut_clusters,
        lines=records.team.members if records.team else (),
    )
    described = _described(context, records, surveyed, found)
    if surveyed.is_placed and not found.changes:
        verification = prove(context, surveyed.desired, surveyed.observed, described["verification"])
        described = {**described, "verification": verification}
    return {**described, **({"held": held.as_dict(hold.team)} if held else {})}


def dry_run(settings: Settings, team: str, items: Iterable[Item]) -> dict[str, Any]:
    """The plan for a team if the registry held ``items``; nothing is written.

    An item ``{"id": …, "deleted": true}`` stands for a record's deletion. ``manifests`` are the objects that a person
    has to apply, by the cluster whose API podshare does not use; ``access_points`` the names by which pods reach data.
    """
    instead = {str(item["id"]): None if item.get("deleted") is True else item for item in items}
    context = reading_context(settings, team)
    written = read_records(settings, team, instead)
    records, obstacles = _with_unknown_accounts(written, lambda account: describe(settings, account))
    clusters, linked = _inspect(settings, context, records, claim=False)
    surveyed = _survey(settings, context, records, clusters, (*obstacles, *linked), claim=False)
    objects = _by_hand(records, surveyed.facts, context.installation)
    there = {key: one for key, one in surveyed.observed.items() if isinstance(one, Resource)}
    points = [there.get(key, one) for key, one in surveyed.desired.items()]
    found = _plan(context, surveyed)
    found = replace(found, obstacles=(*found.obstacles, *_likely_mistyped(settings, records, found)))
    return {
        **_described(context, records, surveyed, found),
        "manifests": objects,
        "access_points": described(context.installation, points),
        "losses": losses_told(
            settings,
            team,
            surveyed.desired,
            surveyed.observed,
            gone_clusters=records.gone_clusters | records.shut_clusters,
        ),
    }


def _likely_mistyped(settings: Settings, records: TeamRecords, found: Plan) -> Iterator[Obstacle]:
    """Where access would be taken away, and a selector means nobody: a mistyped id or tag looks like that."""
    for selector in records.idle_selectors if found.revoke and is_listed(settings) else ():
        what = f"{selector} selects no account, and this plan takes away what others have"
        yield Obstacle(what, "Correct the selector, or take its line out if nobody is meant.")


def _with_unknown_accounts(
    records: TeamRecords, read: Callable[[str], Account]
) -> tuple[TeamRecords, tuple[Obstacle, ...]]:
    """The records with the accounts that they name and of which nothing is known yet, read from the organization."""
    unknown = sorted(records.named_accounts - records.accounts.keys())
    accounts, obstacles = dict(records.accounts), list[Obstacle]()
    for account in unknown[:MOST_UNKNOWN]:
        try:
            accounts[account] = read(account)
        except Exception as error:  # whatever it is, what is known of the other accounts counts
            what = f"nothing is known of account {account}, and the organization cannot be read: {reason_of(error)}"
            remedy = "Deploy accounts/management.yaml, or make the hub a delegated administrator (README)."
            obstacles.append(Obstacle(what[:LONGEST_TEXT], remedy))
            break
    if not obstacles and unknown[MOST_UNKNOWN:]:
        what = f"nothing is known yet of {len(unknown) - MOST_UNKNOWN} of the accounts that the record names"
        obstacles.append(Obstacle(what, "Wait: they are read in turn. `podshare sweep` reads all at once.", waits=True))
    return replace(records, accounts=accounts), tuple(obstacles)


@dataclass(frozen=True, slots=True)
class _Surveyed:
    """What is desired, what is there, and what the inventory knew; all empty where the team is not placed.

    It is not where nothing is known yet of its cluster, which tells where its things would be.
    """

    clusters: Clusters
    facts: Mapping[str, ClusterFacts]
    desired: Mapping[Key, Resource]
    observed: Mapping[Key, Observation]
    known: Mapping[Key, str]
    obstacles: tuple[Obstacle, ...]
    notes: tuple[str, ...] = ()
    doubtful: frozenset[Key] = frozenset()
    is_placed: bool = True


def _doubted(surveyed: _Surveyed, keys: frozenset[Key]) -> _Surveyed:
    return replace(surveyed, obstacles=(*surveyed.obstacles, *map(as_obstacle, sorted(keys))), doubtful=keys)


def _inspect(
    settings: Settings, context: Context, records: TeamRecords, *, claim: bool
) -> tuple[Clusters, tuple[Obstacle, ...]]:
    """What AWS says of the team's clusters, and what keeps datasets from being linked to file systems there."""
    team, found, obstacles = records.in_force, dict[str, ClusterCondition](), list[Obstacle]()
    here = records.clusters.keys() - records.gone_clusters  # in a departed account podshare asks for nothing
    for name, cluster in records.clusters.items() if team else ():
        if name not in here:
            continue
        condition = inspect_cluster(context, cluster)
        if condition.facts:
            others = of_other_records(settings, context, cluster, condition.facts, claim=claim)
            condition = replace(condition, obstacles=(*condition.obstacles, *others))
        found[name] = condition
        if team and condition.facts and team.file_systems_on(name):
            known = records.known_facts[name].file_systems if name in records.known_facts else ()
            facts = replace(condition.facts, file_systems=known)
            looked = inspect_file_systems(context, team, facts, condition.subnets, records.datasets)
            found[name] = replace(condition, facts=looked.facts, notes=looked.notes)
            obstacles += looked.obstacles
    return found, tuple(obstacles)


def _survey(
    settings: Settings,
    context: Context,
    records: TeamRecords,
    clusters: Clusters,
    obstacles: tuple[Obstacle, ...],
    *,
    claim: bool,
) -> _Surveyed:
    facts = {**records.known_facts, **{name: one.facts for name, one in clusters.items() if one.facts}}
    if records.in_force and not facts.keys() & records.in_force.quotas.keys():
        # to plan now would be to revoke everything: nothing is known of where it should be
        return _Surveyed(clusters, {}, {}, {}, {}, obstacles, is_placed=False)
    desired = desired_resources(records, facts, context.installation)
    known = context.inventory.identities()
    observed = survey(settings, context, desired, known, facts)
    if records.selects and not is_listed(settings):
        what = "the organization has not been listed yet: what the selectors mean is not known"
        obstacles = (*obstacles, Obstacle(what, "Run `podshare sweep` once after the deployment."))
    obstacles = (*obstacles, *_not_in_the_organization(records), *_on_gone_clusters(records))
    late = late_member_roles(settings, records.accounts, desired, observed)
    fits = [*_fits(context, records, clusters, desired, claim=claim)]
    obstacles = (*obstacles, *late, *(obstacle for fit in fits for obstacle in fit.obstacles))
    obstacles = (*obstacles, *other_teams(context, desired, observed))
    obstacles = (*obstacles, *other_namespaces(context, desired, observed, known))
    obstacles = (*obstacles, *reserved_names(desired, observed), *lost_namespaces(context, desired, observed))
    shut, told = buckets.denied(context, desired)
    obstacles = (*obstacles, *shut)
    notes = [*told, *buckets.put_back(context, desired), *(note for fit in fits for note in fit.notes)]
    notes += [note for cluster in clusters.values() for note in cluster.notes]
    notes += [*_cluster_notes(records, facts, context.installation), *_shared_role_notes(desired.values())]
    return _Surveyed(clusters, facts, desired, observed, known, obstacles, tuple(notes))


def _shared_role_notes(desired: Iterable[Resource]) -> Iterator[str]:
    """What it costs that all members share a cluster access role."""
    for role in desired:
        if isinstance(role, Role) and role.why == ALL_MEMBERS:
            size = policies.size([role.trust])
            yield (
                "access_role: per_team: who is removed keeps open sessions for up to an hour; "
                f"the trust policy of {role.key.name} has {size:,} of {limits.TRUST_POLICY:,} characters"
            )


def _cluster_notes(
    records: TeamRecords, facts: Mapping[str, ClusterFacts], installation: Installation
) -> Iterator[str]:
    """What podshare does not see to in the team's clusters."""
    for name in records.in_force.quotas if records.in_force else ():
        if name in facts:
            one = facts[name]
            if told := not_verified(name, one.namespace_hardening, kubernetes_api=one.kubernetes_api):
                yield told
    for name, objects in _by_hand(records, facts, installation).items():
        command = f"podshare team manifests {records.name} --cluster {name} | kubectl apply --server-side -f -"
        yield f"{len(objects)} objects are for a person to apply (kubernetes_api: false): {command}"


def _by_hand(
    records: TeamRecords, facts: Mapping[str, ClusterFacts], installation: Installation
) -> dict[str, list[Manifest]]:
    """What a person applies in each cluster whose API podshare does not use."""
    if records.in_force is None:
        return {}
    team = records.in_force
    objects = {name: by_hand(team, one, records.datasets, installation) for name, one in facts.items()}
    return {name: manifests(installation, found) for name, found in objects.items() if found}


def _fits(
    context: Context, records: TeamRecords, clusters: Clusters, desired: Mapping[Key, Resource], *, claim: bool
) -> Iterator[Fit]:
    """Whether the team's quota on each cluster fits there; a cluster without one is left to others."""
    for name, cluster in clusters.items():
        yield check_fit(context, records.clusters[name], cluster, desired, claim=claim)
    for name, facts in records.known_facts.items() if claim else ():
        if name not in clusters and not any(resource.cluster == name for resource in desired.values()):
            forget_claim(context, facts, records.name)


def _not_in_the_organization(records: TeamRecords) -> Iterator[Obstacle]:
    """A record that names an account which the organization does not have says so until it is mended."""
    for account in sorted(records.named_accounts & records.accounts.keys()):
        if records.accounts[account].state == DEPARTED:
            what = f"account {account} is not in the organization, or not any more"
            remedy = "Correct its id, or take it out of the team's members, or the dataset's or cluster's record."
            yield Obstacle(what, remedy, account=account)


def _on_gone_clusters(records: TeamRecords) -> Iterator[Obstacle]:
    """A team is told of each of its clusters that nobody may use any more, until it is taken out of its record."""
    wanted = records.in_force.quotas.keys() if records.in_force else set()
    for name in sorted((records.gone_clusters | records.shut_clusters) & wanted):
        account = records.clusters[name].account
        if not is_gone(records.accounts, account):  # an enrolled team's own account is blocked: a note tells of it
            continue
        standing = records.accounts[account].standing
        what = f"cluster {name} is in account {account}, which is {standing}: its access is revoked"
        yield Obstacle(what[:LONGEST_TEXT], _back(records, account), cluster=name)


def _back(records: TeamRecords, account: str) -> str:
    """How a cluster's account takes part again."""
    if is_blocked(records.accounts, account):
        return f"podshare account unblock {account}, or take the cluster out of the team's record."
    return "Take the cluster out of the team's record, or bring the account back."


def _plan(context: Context, surveyed: _Surveyed) -> Plan:
    """The plan; what it adds is planned only once all that stands in its way is known."""
    found = plan(surveyed.desired, surveyed.observed, surveyed.obstacles)
    adding = [change for lane in (*found.allocate, *found.grant) for wave in lane for change in wave]
    clusters = _alone_or_each(surveyed.clusters)
    if not adding:
        # a condition that passes by itself keeps nothing waiting here, and is no news
        told = [one for cluster in clusters.values() for one in cluster.obstacles if not one.waits]
        data = buckets.unfit_data(context, surveyed.desired, ()) if surveyed.desired else ()
        return replace(found, obstacles=(*found.obstacles, *told, *data))
    obstacles = [
        *surveyed.obstacles,
        *(obstacle for cluster in clusters.values() for obstacle in cluster.obstacles),
        *before_adding(
            context, surveyed.desired, adding, {name: cluster.nodes.keys() for name, cluster in clusters.items()}
        ),
    ]
    return plan(surveyed.desired, surveyed.observed, obstacles)


def _alone_or_each(clusters: Clusters) -> Clusters:
    """What keeps a team's only cluster from being shared keeps all of the team waiting."""
    if len(clusters) != 1:
        return clusters
    return {
        name: replace(one, obstacles=tuple(replace(obstacle, cluster="") for obstacle in one.obstacles))
        for name, one in clusters.items()
    }


def _keep_accepted(context: Context, records: TeamRecords, clusters: Clusters) -> frozenset[str]:
    """Keep what was accepted: it bounds what a later, bad record leaves in force.

    Returns the accounts that the team was last known to have something for. Those that it is about to have something
    for are written down before it has.
    """
    team = f"team#{records.name}"
    former = frozenset(str(account) for account in (context.state.get(team, "accounts") or {}).get("accounts", ()))
    if records.team:
        written = records.team.model_dump_json(by_alias=True)
        context.state.put(team, "accepted", record=written, closed=sorted(records.closed))
    elif not records.written:
        if last := context.state.get(team, "accepted"):  # what the record said of its deletion counts after it
            on_delete = json.loads(str(last["record"])).get("on_delete", DELETE_WORK)
            context.state.put(team, "deletion", on_delete=on_delete)
        context.state.delete(team, "accepted")
    for name, cluster in clusters.items():
        if cluster.facts:
            written = records.clusters[name].model_dump_json(by_alias=True)
            arn = cluster.facts.hyperpod_arn
            context.state.put(f"cluster#{name}", "accepted", record=written, hyperpod_arn=arn)
            keep_file_systems(context.state, cluster.facts)
    for name, dataset in records.datasets.items():
        context.state.put(f"dataset#{name}", "accepted", record=dataset.model_dump_json(by_alias=True))
    return former


def _keep_inventory(context: Context, surveyed: _Surveyed) -> None:
    """Keep what is there, also what was found by its name alone; forget what is gone, or a person's to look after now.

    What is not in the inventory would be looked for no more once nobody asks for it, and give access for ever.
    """
    for key, there in surveyed.observed.items():
        out_of_reach = any(is_by_hand(one, key) for one in surveyed.facts.values())
        if there is None and key.kind is Kind.NAMESPACE and not out_of_reach:
            _look_into(context, surveyed, key)
        if out_of_reach or (there is None and key not in surveyed.desired and key not in surveyed.doubtful):
            context.inventory.forget(key)
        elif isinstance(there, Resource) and surveyed.known.get(key) != there.identity:
            context.inventory.name(key, there.identity, datetime.datetime.now(datetime.UTC).isoformat())


def _look_into(context: Context, surveyed: _Surveyed, namespace: Key) -> None:
    """Write down that what drains may be looked for, also once a namespace that has gone is forgotten."""
    for key, there in surveyed.observed.items():
        if isinstance(there, ComputeQuota) and key.container == namespace.container and key not in surveyed.desired:
            context.inventory.look_into(key)


def _keep_accounts(
    settings: Settings, context: Context, records: TeamRecords, surveyed: _Surveyed, former: frozenset[str]
) -> None:
    """Keep which accounts the team has something for, and which of them wait for their member role."""
    observed = surveyed.observed
    now = records.named_accounts | {member.account for member in records.members}
    now |= {key.account for key, found in observed.items() if found is not None or key in surveyed.desired}
    team = f"team#{records.name}"
    if now != former:
        keep_uses(settings, records.name, former, former | now)
        context.state.put(team, "accounts", accounts=sorted(now))
        keep_uses(settings, records.name, former | now, now)
    silent = {key.account for key, found in observed.items() if isinstance(found, Unreadable) and found.no_role}
    for account in sorted(silent):
        begin_waiting(settings, account)
    answering = {key.account for key, found in observed.items() if not isinstance(found, Unreadable | LeftBehind)}
    for account in sorted(answering - silent):
        if account in records.accounts and records.accounts[account].waiting_since:
            end_waiting(settings, account)


def _described(context: Context, records: TeamRecords, surveyed: _Surveyed, found: Plan) -> dict[str, Any]:
    created = [change.key for change in found.changes if change.action is Action.CREATE]
    verification = (
        {} if found.changes else verified(context, records, surveyed.facts, surveyed.desired, surveyed.observed)
    )
    return {
        "team": records.name,
        "deleted": not records.written,
        "ended": records.team is not None and records.in_force is None,
        **found.as_dict(),
        "problems": [problem.as_dict() for problem in records.problems],
        "notes": [*records.notes, *surveyed.notes, *buckets.notes(context, surveyed.desired, created)],
        "verification": verification,
    }
