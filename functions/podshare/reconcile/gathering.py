"""Gather what a plan is made from: what counts, and what is there. Nothing is written but what is known of accounts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from podshare.aws.errors import reason_of, remedy_for
from podshare.aws.rows import Item
from podshare.kinds.base import Key, Kind, Resource
from podshare.kinds.compute_quota import calls as compute_quota
from podshare.kinds.context import Context
from podshare.kinds.facts import ClusterFacts
from podshare.kinds.observation import Blocker, Observation
from podshare.reconcile.file_system_facts import inspect_file_systems
from podshare.reconcile.observing import observe_resources
from podshare.reconcile.preconditions import (
    ClusterCondition,
    inspect_cluster,
)
from podshare.reconcile.team_records import TeamRecords, desired_resources
from podshare.registry.accounts import Account

Clusters = Mapping[str, ClusterCondition]
MOST_UNKNOWN = 20  # accounts that one plan reads from the organization, within a function's time


@dataclass(frozen=True, slots=True)
class Gathered:
    """What counts, what is desired, what is there, and what the inventory knew of it.

    ``changing`` are the inventory's rows of what was not read back after its last change.
    """

    records: TeamRecords
    clusters: Clusters
    blockers: tuple[Blocker, ...]
    facts: Mapping[str, ClusterFacts]
    desired: Mapping[Key, Resource]
    observed: Mapping[Key, Observation]
    known: Mapping[Key, str]
    changing: Mapping[Key, Item]

    @property
    def is_located(self) -> bool:
        """Whether anything is known of a cluster that the record names: else nothing is desired.

        What is observed then is what the team has elsewhere.
        """
        return not self.records.in_force or bool(self.facts.keys() & self.records.in_force.quotas.keys())


def gather(context: Context, written: TeamRecords, read: Callable[[str], Account]) -> Gathered:
    """Everything that is read before it is known whether anything is to be added.

    ``read`` reads an account of which nothing is known yet from the organization.
    """
    records, blockers = _with_unknown_accounts(written, read)
    clusters, linked = _inspect(context, records)
    facts = {
        **records.known_facts,
        **{name: condition.facts for name, condition in clusters.items() if condition.facts},
    }
    desired = desired_resources(records, facts, context.installation)
    known = context.inventory.identities()
    for key in (key for key in desired if key.kind is Kind.COMPUTE_QUOTA):
        compute_quota.read_ahead(context, key)
    observed = observe_resources(context, desired, known, named=records.accounts, facts=facts)
    return Gathered(
        records=records,
        clusters=clusters,
        blockers=(*blockers, *linked),
        facts=facts,
        desired=desired,
        observed=observed,
        known=known,
        changing=context.inventory.changing(),
    )


def _with_unknown_accounts(
    records: TeamRecords, read: Callable[[str], Account]
) -> tuple[TeamRecords, tuple[Blocker, ...]]:
    """The records with the accounts that they name and of which nothing is known yet, read from the organization."""
    unknown = sorted(records.named_accounts - records.accounts.keys())
    accounts, blockers = dict(records.accounts), list[Blocker]()
    for account in unknown[:MOST_UNKNOWN]:
        try:
            accounts[account] = read(account)
        except Exception as error:  # whatever it is, what is known of the other accounts counts
            problem = f"account {account} has never been read, and the organization cannot be read: {reason_of(error)}"
            remedy = "Deploy accounts/management.yaml, or make the hub a delegated administrator (docs/deploy.md)."
            blockers.append(Blocker(problem, remedy_for(error, remedy)))
            break
    if not blockers and unknown[MOST_UNKNOWN:]:
        problem = f"{len(unknown) - MOST_UNKNOWN} of the accounts that the record names have not been read yet"
        blockers.append(
            Blocker(problem, "Wait: each run reads some of them. `podshare sweep` reads all of them.", waits=True)
        )
    return replace(records, accounts=accounts), tuple(blockers)


def _inspect(context: Context, records: TeamRecords) -> tuple[Clusters, tuple[Blocker, ...]]:
    """What AWS says of the team's clusters, and what keeps datasets from being linked to file systems there."""
    team, conditions, blockers = records.in_force, dict[str, ClusterCondition](), list[Blocker]()
    here = records.clusters.keys() - records.gone_clusters  # in a departed account podshare asks for nothing
    for name, cluster in records.clusters.items() if team else ():
        if name not in here:
            continue
        condition = conditions[name] = inspect_cluster(context, cluster)
        if team and condition.facts and team.file_systems_on(name):
            known = records.known_facts[name].file_systems if name in records.known_facts else ()
            facts = replace(condition.facts, file_systems=known)
            inspected = inspect_file_systems(context, team, facts, condition.subnets, records.datasets)
            conditions[name] = replace(condition, facts=inspected.facts, notes=inspected.notes)
            blockers += inspected.blockers
    return conditions, tuple(blockers)
