"""What counts for a team now: its records, with what is wrong in them, and what follows from them."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from podshare.aws.errors import Terminal
from podshare.aws.rows import Item
from podshare.aws.settings import Settings
from podshare.aws.tables import Registry, State
from podshare.installation import Installation
from podshare.kinds.base import Key, Resource
from podshare.kinds.desired import desired
from podshare.kinds.facts import ClusterFacts
from podshare.reconcile.file_system_facts import known_file_systems
from podshare.reconcile.organization_accounts import (
    accounts_in,
    all_known_accounts,
    known_accounts,
    place_of,
    with_blocks,
)
from podshare.registry import expiry
from podshare.registry.acceptance import accept_dataset, accept_team
from podshare.registry.accounts import Account, is_blocked, is_gone, is_unreachable
from podshare.registry.enrollments import Enrolled, team_of
from podshare.registry.expiry import Expiration
from podshare.registry.items import block_of, clusters_of, enrolled, is_name, plain, rows
from podshare.registry.lines import version_of
from podshare.registry.membership import Member, members
from podshare.registry.parsing import parse
from podshare.registry.problems import InvalidRecord, Problem
from podshare.registry.records import Cluster, Dataset, Team

R = TypeVar("R", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class TeamRecords:
    """A team's record that counts, with the clusters and the datasets that it refers to.

    ``team`` is None if the record was deleted or never was acceptable; ``written`` says which. ``suspended`` names the
    clusters of it on which nobody has access. ``datasets`` holds those that exist. ``known_facts`` is what was last
    learned of the clusters, of those that anything is known of. ``accounts`` is what is known of the
    accounts that the records name; of all accounts if members are selected. ``as_of`` is when they were read.
    ``accepted_before`` is what the state table has as accepted last, by record, ``versions`` which versions were read.
    """

    name: str
    written: bool
    team: Team | None
    suspended: frozenset[str]
    clusters: Mapping[str, Cluster]
    datasets: Mapping[str, Dataset]
    known_facts: Mapping[str, ClusterFacts]
    accounts: Mapping[str, Account]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    as_of: datetime
    accepted_before: Mapping[str, Item]
    versions: tuple[Mapping[str, Any], ...] = ()
    selected_by: str = ""  # what the enrollment that makes the team selects accounts by, in words

    @property
    def in_force(self) -> Team | None:
        """What of the team's record has not ended; None if there is none, or if the team has."""
        return expiry.in_force(self.team, self.as_of) if self.team else None

    @property
    def deleted_datasets(self) -> frozenset[str]:
        """The ids of those datasets that the records name, were accepted once, and are no longer written."""
        written = {version["id"] for version in self.versions}
        known = {record for record in self.accepted_before if record.startswith("dataset#")}
        return frozenset(known - written)

    @property
    def grants_by(self) -> str:
        """The id of the record that gives the team what it has: its own, or its enrollment's."""
        own = enrolled(self.name)
        ids = {version["id"] for version in self.versions}
        return f"enrollment#{own[0]}" if own and f"team#{self.name}" not in ids else f"team#{self.name}"

    @property
    def members(self) -> tuple[Member, ...]:
        """Everyone who works for the team now."""
        return members(self.in_force.members, self.accounts) if self.in_force else ()

    @property
    def named_accounts(self) -> frozenset[str]:
        """The accounts that the records name, those of members, of data and of clusters."""
        lines = self.team.members if self.team else ()
        datasets = {dataset.account for dataset in self.datasets.values()}
        clusters = {cluster.account for cluster in self.clusters.values()}
        return frozenset(line.account for line in lines if line.account) | datasets | clusters

    @property
    def gone_clusters(self) -> frozenset[str]:
        """The clusters in accounts that have gone: nobody gets in there, and nothing is given there."""
        return frozenset(
            name for name, cluster in self.clusters.items() if is_unreachable(self.accounts, cluster.account)
        )

    @property
    def shut_clusters(self) -> frozenset[str]:
        """The clusters on which nobody has access as long as an account is blocked: theirs, or an enrolled team's own.

        The team keeps its quota and what runs there: that is nobody's access, and could not be given back.
        """
        own = enrolled(self.name)
        if own and is_blocked(self.accounts, own[1]):
            return frozenset(self.clusters)
        return frozenset(name for name, cluster in self.clusters.items() if is_blocked(self.accounts, cluster.account))

    @property
    def selects(self) -> bool:
        """Whether members are selected from the organization's accounts."""
        return self.team is not None and any(line.selector for line in self.team.members)

    @property
    def idle_selectors(self) -> tuple[str, ...]:
        """Those of the team's selectors that select nobody now."""
        lines = self.team.members if self.team else ()
        return tuple(
            line.selector
            for line in lines
            if line.selector and not any(line.selects(account) for account in self.accounts.values())
        )


def desired_resources(
    records: TeamRecords,
    facts: Mapping[str, ClusterFacts],
    installation: Installation,
    but: Collection[Expiration] = (),
) -> dict[Key, Resource]:
    """Everything that should be there for the team: nothing if it has no record, or on clusters that are unknown.

    What has ended is no part of it, but for the terms in ``but``.
    """
    team = expiry.in_force(records.team, records.as_of, but) if records.team else None
    if team is None:
        return {}
    suspended = records.suspended | records.shut_clusters
    return desired(
        *(team, facts.values(), records.datasets, records.accounts, installation),
        suspended=suspended,
        selected_by=records.selected_by,
    )


def read_records(
    settings: Settings,
    state: State,
    name: str,
    instead: Mapping[str, Item | None] | None = None,
    also: Callable[[TeamRecords], Iterable[tuple[str, str]]] = lambda _: (),
) -> TeamRecords:
    """Read what counts for team ``name``.

    ``instead`` replaces records of the registry for a dry run; None stands for a deleted one. ``also`` names rows of
    the state that the caller will ask for, to be read with the accounts.
    """
    return _Reader(settings, Registry(settings.registry), state, instead or {}, also).team(name)


def _accepted(kind: type[R], record: str, stored: Item | None) -> R | None:
    """The record that was accepted last, as the state table keeps it; None if it was deleted since.

    Raises Terminal if this version of podshare would not accept it any more: what it gives is not known then, and
    neither revoked nor added to.
    """
    if stored is None or "record" not in stored:
        return None
    try:
        return kind.model_validate_json(str(stored["record"]))
    except ValidationError as error:
        raise Terminal(
            f"{record}, as accepted before, breaks a rule of this version of podshare: podshare changes nothing. "
            f"Deploy the former version, fix the record, and deploy this version again. {error}"
        ) from error


@dataclass(frozen=True, slots=True)
class _Reader:
    settings: Settings
    registry: Registry
    state: State
    instead: Mapping[str, Item | None]
    also: Callable[[TeamRecords], Iterable[tuple[str, str]]]

    def team(self, name: str) -> TeamRecords:
        enrollment = f"enrollment#{enrollment_and_account[0]}" if (enrollment_and_account := enrolled(name)) else None
        own, team_before = self._with_accepted(filter(None, [f"team#{name}", enrollment]), [f"team#{name}"])
        derived = self._enrolled(name, own)
        # nothing begins for an account that is blocked; what is there stays, without access
        if (
            enrollment_and_account
            and derived
            and not team_before
            and self._read([block_of(enrollment_and_account[1])], [])[0]
        ):
            derived = Enrolled(None)
        item = derived.item if derived else own.get(f"team#{name}")
        last, suspended = _last_team(name, team_before.get(f"team#{name}"))
        asked_for = clusters_of(plain(item or {}))
        named = {*asked_for, *(last.quotas if last else ())}
        names = _datasets_of(item) | (last.datasets if last else frozenset())
        referred = {f"dataset#{dataset}" for dataset in names} | {f"cluster#{name}" for name in named}
        written, accepted_before = self._with_accepted(referred, referred)
        clusters, facts, cluster_notes = _clusters(named, written, accepted_before)
        used_clusters = last.quotas.keys() if last else ()
        # a deleted cluster stays in force for the teams that are on it, and takes no other
        clusters = {
            name: cluster for name, cluster in clusters.items() if name in used_clusters or f"cluster#{name}" in written
        }
        datasets, dataset_notes = _datasets(names, written, accepted_before)
        prefix = self.settings.installation.prefix
        own_paths = (self.settings.installation.role_path, self.settings.installation.system_path)
        accepted = accept_team(
            item, last, clusters, datasets, own_paths, enrolled=derived, suspended=suspended, prefix=prefix
        )
        counting = accepted.record.quotas if accepted.record else asked_for
        in_use = {name: cluster for name, cluster in clusters.items() if name in counting}
        now = datetime.now(UTC)
        if accepted.record:
            facts = {
                cluster_name: self._with_file_systems(facts[cluster_name], accepted.record) for cluster_name in facts
            }
        notes = [*filter(None, map(cluster_notes.get, counting)), *dataset_notes]
        notes += [*_far(accepted.record, in_use.values(), datasets), *_expirations(accepted.record, now)]
        records = TeamRecords(
            name=name,
            written=item is not None,
            team=accepted.record,
            suspended=accepted.suspended,
            clusters=in_use,
            datasets={name: dataset for name, dataset in datasets.items() if dataset},
            known_facts=facts,
            accounts={},
            problems=accepted.problems,
            notes=tuple(notes) if item else (),
            as_of=now,
            accepted_before={**team_before, **accepted_before},
            versions=tuple(version_of(item) for item in {**own, **written}.values()),
            selected_by=derived.selector if derived else "",
        )
        return self._with_accounts(records)

    def _with_file_systems(self, facts: ClusterFacts, team: Team) -> ClusterFacts:
        """With what was learned of the file systems that the team has there."""
        return replace(facts, file_systems=known_file_systems(self.state, facts.name, team))

    def _enrolled(self, name: str, written: Mapping[str, Item]) -> Enrolled | None:
        """What an enrollment makes of the team; None if its name is no enrollment's, or it has a record of its own."""
        enrolled_team = enrolled(name)
        if enrolled_team is None or f"team#{name}" in written:
            return None
        enrollment, account = enrolled_team
        item = written.get(f"enrollment#{enrollment}")
        known = known_accounts(self.state, [account])
        return team_of(item, known[account]) if item and account in known else Enrolled(None)

    def _with_accounts(self, records: TeamRecords) -> TeamRecords:
        named = records.named_accounts | ({own[1]} if (own := enrolled(records.name)) else set())
        known, selected = all_known_accounts(self.state) if records.selects else {}, frozenset[str]()
        if records.team and records.selects:
            lines = [line for line in records.team.members if line.selector]
            selected = frozenset(
                account.id for account in known.values() if any(line.selects(account) for line in lines)
            )
        needed = named | selected | {facts.account for facts in records.known_facts.values()}
        places = {*map(place_of, needed - known.keys())}
        written, rows = self._read(map(block_of, needed), [*places, *self.also(records)])
        read = accounts_in(row for row in rows if (row["id"], row["part"]) in places)
        accounts = with_blocks({**known, **read}, needed, written)
        gone = [
            f"account {account} is {accounts[account].standing}: nobody has access from it or to its clusters, "
            "and its data is shared with nobody"
            for account in sorted(needed)
            if is_gone(accounts, account) and (account in records.named_accounts or accounts[account].blocked)
        ]
        # a record may name another place since, which cannot be read: then what was learned of the former one counts
        standing = {
            name: facts
            for name, facts in records.known_facts.items()
            if not is_gone(accounts, facts.account)
            or (name in records.clusters and records.clusters[name].account == facts.account)
        }
        records = replace(records, accounts=accounts, known_facts=standing)
        idle = (f"{selector} selects no account now" for selector in records.idle_selectors)
        return replace(records, notes=(*records.notes, *gone, *idle))

    def _with_accepted(
        self, records: Iterable[str], accepted: Collection[str]
    ) -> tuple[dict[str, Item], dict[str, Item]]:
        """These records as they are written, and what was accepted of those in ``accepted`` last."""
        written, rows = self._read(records, ((record, "accepted") for record in accepted))
        return written, {str(row["id"]): row for row in rows}

    def _read(self, records: Iterable[str], rows: Iterable[tuple[str, str]]) -> tuple[dict[str, Item], list[Item]]:
        """These records as they are written, and those of the state's rows that exist."""
        ids = list(records)
        asked = [record for record in ids if record not in self.instead]
        existing, written = self.state.get_with_records(rows, self.registry, asked)
        replaced = {record: item for record in ids if (item := self.instead.get(record)) is not None}
        return {**written, **replaced}, existing


def _last_team(name: str, stored: Item | None) -> tuple[Team | None, frozenset[str]]:
    """The team that was accepted last, and on which of its clusters nobody had access."""
    return _accepted(Team, f"team#{name}", stored), frozenset((stored or {}).get("closed", ()))


def _clusters(
    names: Collection[str], written: Mapping[str, Item], accepted_before: Mapping[str, Item]
) -> tuple[dict[str, Cluster], dict[str, ClusterFacts], dict[str, str]]:
    """Each cluster that counts, with what was learned of it last, and its notes."""
    clusters: dict[str, Cluster] = {}
    facts: dict[str, ClusterFacts] = {}
    notes: dict[str, str] = {}
    for name in sorted(names):
        record = f"cluster#{name}"
        cluster, known, notes[name] = _cluster(record, written.get(record), accepted_before.get(record))
        clusters |= {name: cluster} if cluster else {}
        facts |= {name: known} if known else {}
    return clusters, facts, notes


def _cluster(name: str, item: Item | None, stored: Item | None) -> tuple[Cluster | None, ClusterFacts | None, str]:
    """The cluster that counts: a bad or deleted record of one that is in use changes nothing."""
    last = _accepted(Cluster, name, stored)
    facts = cluster_facts(last, str(stored["hyperpod_arn"])) if stored and last and "hyperpod_arn" in stored else None
    if item is None:
        note = f"{name} was deleted while teams use it: it stays in force until no team names it"
        return last, facts, note if last else ""
    try:
        record = parse(item)
    except InvalidRecord as error:
        return last, facts, f"{name} is invalid: {error}"
    return (record if isinstance(record, Cluster) else None), facts, ""


def _datasets(
    names: Collection[str], written: Mapping[str, Item], accepted_before: Mapping[str, Item]
) -> tuple[dict[str, Dataset | None], tuple[str, ...]]:
    """Each dataset that is or was; None for a deleted one."""
    datasets: dict[str, Dataset | None] = {}
    notes: list[str] = []
    for name in sorted(names):
        record = f"dataset#{name}"
        item = written.get(record)
        accepted = accept_dataset(item, None)
        if accepted.record is None:  # only what is gone or bad needs what was accepted before
            if item is None and record not in accepted_before:
                continue
            accepted = accept_dataset(item, _accepted(Dataset, record, accepted_before.get(record)))
            if item is None:
                notes.append(f"{record} was deleted: its grants are revoked")
        notes += [f"{record} is invalid: {problem}" for problem in accepted.problems]
        datasets[name] = accepted.record
    return datasets, tuple(notes)


def cluster_facts(record: Cluster, hyperpod_arn: str) -> ClusterFacts:
    """A cluster record with the ARN that its HyperPod cluster was found to have."""
    return ClusterFacts(
        record.name,
        record.account,
        record.region,
        record.eks_cluster,
        hyperpod_arn,
        scheduler=record.scheduler,
        namespace_hardening=record.namespace_hardening,
        kubernetes_api=record.kubernetes_api,
    )


def _far(team: Team | None, clusters: Iterable[Cluster], datasets: Mapping[str, Dataset | None]) -> Iterator[str]:
    names = sorted(team.datasets) if team else ()
    for cluster, dataset in product(clusters, filter(None, map(datasets.get, names))):
        if dataset.region != cluster.region:
            where = f"dataset {dataset.name} is in {dataset.region}, cluster {cluster.name} in {cluster.region}"
            yield f"{where}: each read incurs inter-Region transfer costs, and takes longer"


def _expirations(team: Team | None, now: datetime) -> Iterator[str]:
    if team:
        yield from (f"{expiration.what} has ended at {expiration.at}" for expiration in expiry.ended(team, now))
        yield from (f"{expiration.what} ends at {expiration.at}" for expiration in expiry.ending(team, now))


def _datasets_of(item: Item | None) -> set[str]:
    """The datasets that a record names, however wrong the rest of it is."""
    fields = plain(item or {})
    lists = [fields.get("file_systems"), *(row.get("datasets") for row in rows(fields.get("service_accounts")))]
    return {grant["dataset"] for grants in lists for grant in rows(grants) if is_name(grant.get("dataset"))}
