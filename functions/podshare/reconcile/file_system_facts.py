"""What has to hold of file systems before datasets are linked to them, and what only AWS knows of them."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import ClientError

from podshare.aws.errors import Terminal, code_of, reason_of, remedy_for
from podshare.aws.tables import State
from podshare.kinds import limits, names
from podshare.kinds.base import Key, Kind, Resource
from podshare.kinds.context import Context
from podshare.kinds.data_repository_association.calls import associations
from podshare.kinds.data_repository_association.shape import DataRepositoryAssociation
from podshare.kinds.facts import ClusterFacts, FileSystemFacts
from podshare.kinds.file_systems import refusal
from podshare.kinds.observation import LONGEST_TEXT, Blocker
from podshare.registry.records import Dataset, Team, overlap

_LIST_IT = "List it in FileSystemArns of accounts/member.yaml in the cluster's account, or correct the record."


@dataclass(frozen=True, slots=True)
class FileSystems:
    """A cluster with what is known of the file systems that a team's record names, and the notes about them."""

    facts: ClusterFacts
    blockers: tuple[Blocker, ...] = ()
    notes: tuple[str, ...] = ()


def known_file_systems(state: State, cluster: str, team: Team) -> tuple[FileSystemFacts, ...]:
    """What was last learned of the file systems that the team's record names on ``cluster``."""
    parts = {_part(grant.file_system) for grant in team.file_systems_on(cluster)}
    rows = sorted(state.get_parts(f"cluster#{cluster}", parts), key=lambda row: str(row["part"]))
    return tuple(map(FileSystemFacts.of_row, rows))


def keep_file_systems(state: State, facts: ClusterFacts) -> None:
    """Keep what was learned: the functions that apply a change read from it what to mount."""
    for file_system in facts.file_systems:
        place, learned = (f"cluster#{facts.name}", _part(file_system.file_system)), file_system.as_dict()
        row = state.get(*place) or {}
        if {name: row.get(name) for name in learned} != learned:
            state.put(*place, **learned)


def _part(file_system: str) -> str:
    return f"file_system#{file_system}"


def inspect_file_systems(
    context: Context, team: Team, facts: ClusterFacts, subnets: Collection[str], datasets: Mapping[str, Dataset]
) -> FileSystems:
    """Learn of the file systems that ``team`` names on a cluster; ``facts`` holds what is known of them already.

    What keeps one of them, or of the datasets, from being linked keeps nothing else waiting.
    """
    learned = {known_file_system.file_system: known_file_system for known_file_system in facts.file_systems}
    blockers: list[Blocker] = []
    notes: list[str] = []
    zones: dict[str, str] = {}
    for grant in team.file_systems_on(facts.name):
        dataset, only = datasets.get(grant.dataset), _link(context, team, facts, grant.file_system, grant.dataset)
        if dataset and (refused := refusal(grant, dataset, facts)):
            blockers.append(Blocker(*refused, only=only))
            continue
        try:
            described = _described(context, facts, grant.file_system)
        except Exception as error:  # whatever it is, it affects this alone
            if grant.file_system not in learned:  # what is known already was found before: its links report faults
                problem = f"file system {grant.file_system} cannot be read in account {facts.account}, {facts.region}"
                blockers.append(Blocker(f"{problem}: {reason_of(error)}", remedy_for(error, _LIST_IT), only=only))
            continue
        unfit = [replace(blocker, only=only) for blocker in _unfit(grant.file_system, described)]
        blockers += unfit
        if not unfit:
            learned[grant.file_system] = _facts(described)
            notes += _far(context, facts, described, subnets, zones)
    known = tuple(learned[name] for name in sorted(learned))
    return FileSystems(replace(facts, file_systems=known), tuple(blockers), tuple(dict.fromkeys(notes)))


def _link(context: Context, team: Team, facts: ClusterFacts, file_system: str, dataset: str) -> str:
    """The key of the association that a grant asks for: its blockers affect nothing else."""
    path = names.file_system_path(context.installation, team.name, dataset)
    return str(Key(Kind.DATA_REPOSITORY_ASSOCIATION, facts.account, facts.region, file_system, path))


def _described(context: Context, facts: ClusterFacts, file_system: str) -> Mapping[str, Any]:
    client = context.accounts.client("fsx", facts.account, facts.region)
    try:
        return client.describe_file_systems(FileSystemIds=[file_system])["FileSystems"][0]
    except ClientError as error:
        if code_of(error) == "FileSystemNotFound":
            raise Terminal("there is none with this id") from error
        raise


def _facts(described: Mapping[str, Any]) -> FileSystemFacts:
    mount_name = str(described["LustreConfiguration"]["MountName"])
    return FileSystemFacts(
        described["FileSystemId"], described["DNSName"], mount_name, int(described["StorageCapacity"])
    )


def _unfit(name: str, described: Mapping[str, Any]) -> Iterator[Blocker]:
    """Why Amazon FSx links no bucket to a file system (FSx for Lustre user guide, "Linking your file system …")."""
    lustre = described.get("LustreConfiguration", {})
    if described.get("FileSystemType") != "LUSTRE":
        problem = f"{name} is a file system of {described.get('FileSystemType')}, not of Lustre"
        yield Blocker(problem, "Name one of FSx for Lustre.")
    elif described.get("FileSystemTypeVersion", "2.10") == "2.10" or lustre.get("DeploymentType") == "SCRATCH_1":
        problem = (
            f"{name} is of Lustre {described.get('FileSystemTypeVersion', '2.10')}, {lustre.get('DeploymentType')}"
        )
        yield Blocker(
            f"{problem}: it does not support data repository associations", "Name one of 2.12 or newer, not SCRATCH_1."
        )
    elif lustre.get("AutomaticBackupRetentionDays"):
        problem = f"file system {name} has automatic backups, so it does not support data repository associations"
        yield Blocker(problem, "Turn its automatic backups off, or use another file system.")
    elif described.get("Lifecycle") not in ("AVAILABLE", "UPDATING", "MISCONFIGURED"):
        problem = f"file system {name} is {described.get('Lifecycle')}"
        yield Blocker(problem, "Wait until it is AVAILABLE.", waits=described.get("Lifecycle") == "CREATING")


def _far(
    context: Context, facts: ClusterFacts, described: Mapping[str, Any], subnets: Collection[str], zones: dict[str, str]
) -> Iterator[str]:
    """A file system lies in one Availability Zone, and is used from others at a price (FSx for Lustre pricing)."""
    own = {*described.get("SubnetIds", ())}
    if not subnets or not own:
        return
    try:
        unknown = sorted({*subnets, *own} - zones.keys())
        ec2 = context.accounts.client("ec2", facts.account, facts.region)
        unknown_subnets = ec2.describe_subnets(SubnetIds=unknown)["Subnets"] if unknown else []
    except Exception as error:  # as above
        problem = f"cannot check whether {described['FileSystemId']} is in a zone of cluster {facts.name}"
        yield f"{problem}: {reason_of(error)}"[:LONGEST_TEXT]
        return
    zones |= {subnet["SubnetId"]: subnet["AvailabilityZone"] for subnet in unknown_subnets}
    theirs, ours = ({zones[subnet] for subnet in some if subnet in zones} for some in (own, subnets))
    if theirs.isdisjoint(ours):
        where = f"file system {described['FileSystemId']} is in {', '.join(sorted(theirs))}, cluster {facts.name} in"
        yield f"{where} {', '.join(sorted(ours))}: each read incurs inter-zone transfer costs, and takes longer"


def unfit_links(context: Context, desired: Mapping[Key, Resource], adding: Collection[Key]) -> Iterator[Blocker]:
    """Each link among ``adding`` that a file system has no room for, or that overlaps with another one's."""
    wanted = [resource for resource in desired.values() if isinstance(resource, DataRepositoryAssociation)]
    for place in sorted(
        {(link.key.account, link.key.region, link.key.container) for link in wanted if link.key in adding}
    ):
        mine = [link for link in wanted if (link.key.account, link.key.region, link.key.container) == place]
        try:
            present = associations(context, *place)
        except Exception as error:  # as above
            problem = f"the links of file system {place[2]} cannot be read: {reason_of(error)}"
            remedy = remedy_for(error, _LIST_IT)
            yield from (Blocker(problem, remedy, only=str(link.key)) for link in mine)
            continue
        yield from _crowded(place[2], present, [link for link in mine if link.key in adding])


def _crowded(
    file_system: str, existing: Iterable[Mapping[str, Any]], wanted: Iterable[DataRepositoryAssociation]
) -> Iterator[Blocker]:
    """What FSx for Lustre would refuse of ``wanted``, beside what is there ("Linking your file system …")."""
    present = {association["FileSystemPath"]: association["DataRepositoryPath"] for association in existing}
    room = limits.DATA_REPOSITORY_ASSOCIATIONS - len(present)
    for association in wanted:
        if association.key.name in present:  # it is created again, or somebody else's
            continue
        room -= 1
        if room < 0:
            problem = f"file system {file_system} has no room for another link besides {', '.join(sorted(present))}"
            remedy = f"Amazon FSx allows {limits.DATA_REPOSITORY_ASSOCIATIONS}: use another file system."
            yield Blocker(problem, remedy, only=str(association.key))
        for path, repository in present.items():
            if overlap(association.key.name, path) or overlap(association.repository, repository):
                problem = f"file system {file_system} already links {path} to {repository}, and links must not overlap"
                remedy = "Use another file system, or let the pods use the access point."
                yield Blocker(f"{problem}: {association.repository}", remedy, only=str(association.key))
