"""Read the doors into what a team has of a bucket, and of the keys that encrypt it, whoever made them.

A reader yields everybody whom a document lets in, anywhere in the bucket: which of it leads to what the team was
granted, and who is expected, ``judged`` says. What podshare made is planned and verified by its documents: the team's
own here, that of others by the verification of the team whose inventory names it.
"""

import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from podshare.access import data_doors
from podshare.access.access_report import unpacked
from podshare.access.data_doors import Opening, Share
from podshare.access.doors import Door, is_granted
from podshare.access.effective_access import ANYBODY, Access, in_bucket
from podshare.aws.rows import LEASES
from podshare.kinds import bucket_policy, names
from podshare.kinds.access_point import calls as access_point
from podshare.kinds.access_point.shape import AccessPoint
from podshare.kinds.base import Key, Kind, Resource
from podshare.kinds.context import Context
from podshare.kinds.inventory import in_inventories
from podshare.kinds.kms_grant import calls as kms_grant
from podshare.kinds.kms_grant.shape import KmsGrant
from podshare.kinds.observation import Foreign, Observation, Orphaned
from podshare.kinds.resource_events import access_point_stem
from podshare.kinds.role.shape import Role
from podshare.policy import policies
from podshare.policy.policies import Document
from podshare.reconcile.team_records import TeamRecords
from podshare.registry.records import Dataset

READS = frozenset(
    {"s3:ListAccessPoints", "s3:GetAccessPointPolicy", "s3:GetBucketPolicy", "kms:ListGrants", "kms:GetKeyPolicy"}
)
READERS = 8  # as in the survey
ACCESS_REPORTS = "proof"  # the id under which both functions that work out proofs may write


@dataclass(frozen=True)
class BucketReading:
    """What a reader is given: a bucket, what a team's datasets share of it, and what was observed of the team's own."""

    context: Context
    account: str
    region: str
    bucket: str
    datasets: tuple[Dataset, ...]
    desired: Mapping[Key, Resource]
    observed: Mapping[Key, Observation]

    @property
    def arn(self) -> str:
        """The bucket's ARN."""
        return self.context.installation.bucket_arn(self.bucket)

    @property
    def shares(self) -> list[Share]:
        """What each dataset shares of the bucket."""
        return [
            Share(dataset.name, f"{dataset.prefix}{ANYBODY}", dataset.other_principals) for dataset in self.datasets
        ]

    @property
    def own_roles(self) -> tuple[str, str]:
        """What the roles that podshare makes, and their sessions, look like, in any account."""
        installation = self.context.installation
        sessions = f"arn:{installation.partition}:sts::*:assumed-role/{installation.prefix}-*"
        return installation.role_arn(ANYBODY, ANYBODY), sessions

    @property
    def kms_keys(self) -> list[str]:
        """The ARNs of the keys that the datasets name."""
        return sorted({dataset.kms_key for dataset in self.datasets if dataset.kms_key})

    @property
    def policy(self) -> Document | None:
        """The bucket's policy."""
        return self._policy_and_own[0]

    @property
    def own_statements(self) -> frozenset[int]:
        """The places in the bucket's policy of the statements that say no more than teams ask for."""
        return self._policy_and_own[1]

    @cached_property
    def _policy_and_own(self) -> tuple[Document | None, frozenset[int]]:
        key = self.key(Kind.BUCKET_DELEGATION, self.bucket)
        asked = bucket_policy.asked_statements(self.context, key)
        policy = bucket_policy.policy_of(self.context, key)
        own = {
            number: statement
            for number, statement in enumerate(policies.statements(policy))
            if names.is_own_sid(self.context.installation, str(statement.get("Sid", "")))
        }
        drift = bucket_policy.beyond_asked(self.context, key, own.values(), asked)
        return policy, frozenset(number for number, statement in own.items() if statement not in drift)

    def key(self, kind: Kind, container: str, name: str = "") -> Key:
        """The key of something where the bucket is."""
        return Key(kind, self.account, self.region, container, name)

    def is_own(self, key: Key) -> bool:
        """Whether it is there and this team's."""
        return isinstance(self.observed.get(key), Resource)

    def of_others(self, named: Iterable[tuple[str, Key]]) -> frozenset[Key]:
        """Those that the inventory of another team has, each with one that may: its verification checks them."""
        others = ((team, key) for team, key in named if team != self.context.team)
        return in_inventories(self.context.state, others)

    def door(self, kind: str, opening: Opening, where: str, closed_by: str) -> Door:
        """A door into the bucket, or to a key."""
        return Door(
            kind=kind,
            account=self.account,
            region=self.region,
            container=where.rpartition(":")[2].removeprefix("key/"),
            principal=opening.who,
            gives=opening.may,
            where=where,
            what=opening.what,
            written_at=opening.name,
            closed_by=closed_by,
        )

    def command(self, service: str, *words: str) -> str:
        """A command of the AWS CLI in the bucket's Region."""
        return shlex.join(("aws", service, *words, "--region", self.region))


def bucket_readings(
    context: Context,
    records: TeamRecords,
    desired: Mapping[Key, Resource],
    observed: Mapping[Key, Observation],
    granted: Iterable[Access],
) -> list[BucketReading]:
    """The buckets of which a team was granted something, and has something by now, each once."""
    wheres, buckets = (
        {access.where for access in granted if in_bucket(access)},
        dict[tuple[str, str, str], list[Dataset]](),
    )
    for dataset in records.datasets.values():
        if context.installation.bucket_arn(dataset.bucket) in wheres:
            buckets.setdefault((dataset.account, dataset.region, dataset.bucket), []).append(dataset)
    bucket_list = [
        BucketReading(context, *place, tuple(of), desired, observed) for place, of in sorted(buckets.items())
    ]
    return [reading for reading in bucket_list if _is_begun(reading)]


def _is_begun(reading: BucketReading) -> bool:
    """Whether anything of the team exists, or its existence cannot be determined."""
    there_or_wanted = (*reading.desired.values(), *reading.observed.values())
    resources = (resource for resource in there_or_wanted if isinstance(resource, Resource))
    about = (resource.key for resource in resources if reading.bucket in _buckets_of(resource))
    return any(not isinstance(reading.observed.get(key), Orphaned | None) for key in about)


def _buckets_of(resource: Resource) -> Collection[str]:
    match resource:
        case AccessPoint():
            return (resource.bucket,)
        case Role():  # only of one that is desired it is known
            return {bucket for bucket, _, _ in resource.buckets}
        case _:
            return (resource.key.container,)


# ---- judgement ---------------------------------------------------------------------------------------------


AtFirst = dict[str, list[dict[str, Any]]]
Judged = tuple[dict[Door, str], AtFirst]


def judged(reading: BucketReading, all_doors: Iterable[Door], granted: Collection[Access], *, whole: bool) -> Judged:
    """Those of the doors that lead to what the team was granted, each with why it is expected or ``""``.

    Beside them who reaches each bucket and key that podshare checks for the first time: only if the look is ``whole``
    is it to be kept as what was there first.
    """
    by_place = {place: list[Door]() for place in (reading.arn, *reading.kms_keys)}
    doors, at_first = dict[Door, str](), AtFirst()
    for door in all_doors:
        by_place[door.where].append(door)
    granted = [*granted, *_granted_keys(reading)]
    for place, doors_there in by_place.items():
        row = reading.context.state.get(ACCESS_REPORTS, first_reading(place))
        first = unpacked(str(row["doors"])) if row else _owners(reading, doors_there)
        if row is None and whole:
            at_first[place] = first
        known = [Access.of_dict(row_access) for row_access in first]
        for door in doors_there:
            if _leads_to(reading, door, granted):
                team = f"team#{reading.context.team}" if is_granted(door, granted) else ""
                doors[door] = team or data_doors.expected_by(door, reading.shares, known, reading.own_roles)
    return doors, at_first


def first_reading(place: str) -> str:
    """The part of the row that keeps who reached a bucket or a key when podshare first looked."""
    return f"data#{place}"


def _owners(reading: BucketReading, doors: Iterable[Door]) -> list[dict[str, Any]]:
    """What of the doors may be the owner's own: nothing with a name like podshare's, which no inventory has."""
    installation = reading.context.installation
    strange = (door for door in doors if not names.is_like_own(installation, door.written_at))
    return data_doors.kept_at_first(strange, reading.own_roles)


def _granted_keys(reading: BucketReading) -> Iterator[Access]:
    """What the team's own grants of keys give: others may give its roles the same."""
    for key, resource in reading.desired.items():
        if isinstance(resource, KmsGrant):
            arn = f"arn:{reading.context.installation.partition}:kms:{key.region}:{key.account}:key/{key.container}"
            may = tuple(f"kms:{operation}" for operation in sorted(resource.operations))
            yield from (Access(who, may, arn, ANYBODY) for who in resource.grantees)


def _leads_to(reading: BucketReading, door: Door, granted: Iterable[Access]) -> bool:
    """Whether it gives any of what the team was granted; where an access point of its name leads, nobody else looks."""
    if door.where != reading.arn:
        return True
    own = reading.observed.get(reading.key(Kind.ACCESS_POINT, "", door.written_at))
    return isinstance(own, Foreign) or any(door.access.touches(access) for access in granted)


# ---- readers -----------------------------------------------------------------------------------------------


def access_points(reading: BucketReading) -> Iterator[Door]:
    """Whom every access point on the bucket in its own account lets in; of one elsewhere the bucket's policy says."""
    keys = [reading.key(Kind.ACCESS_POINT, "", name) for name in _listed(reading)]
    not_own = [key for key in keys if not reading.is_own(key)]
    others = _points_of_others(reading, not_own)
    strange = [key for key in not_own if key not in others]
    with ThreadPoolExecutor(READERS) as pool:
        read_policies = pool.map(lambda key: access_point.policy_of(reading.context, key), strange)
    for key, policy in zip(strange, read_policies, strict=True):
        place = ("--account-id", key.account, "--name", key.name)
        command = reading.command("s3control", "delete-access-point-policy", *place)
        arn = reading.context.installation.access_point_arn(key.account, key.region, key.name)
        for opening in data_doors.of_access_point(policy, arn, reading.policy, reading.arn):
            yield reading.door("access point", replace(opening, name=key.name), reading.arn, command)


def _points_of_others(reading: BucketReading, keys: Collection[Key]) -> frozenset[Key]:
    """Those that the inventory of another team has. A name has a short team's whole name, and the beginning of a long
    one."""
    stems = {key: stem for key in keys if (stem := _stem(reading, key))}
    own_of_others = reading.of_others((stem, key) for key, stem in stems.items())
    rest = stems.keys() - own_of_others
    if not rest:
        return own_of_others
    # whoever makes anything has had a lease
    teams = [str(row["part"]).removeprefix("team#") for row in reading.context.state.query(LEASES)]
    by_stem = [(access_point_stem(reading.context.installation, team), team) for team in teams]
    return own_of_others | reading.of_others(
        (team, key) for key in rest for stem, team in by_stem if stem == stems[key]
    )


def _stem(reading: BucketReading, key: Key) -> str:
    """As much of a team's name as the name of its access point has; empty if it is not one of podshare's names."""
    begin = f"{reading.context.installation.prefix}-"
    return key.name.removeprefix(begin).rpartition("-")[0] if key.name.startswith(begin) else ""


def _listed(reading: BucketReading) -> Iterator[str]:
    s3control = reading.context.accounts.client("s3control", reading.account, reading.region)
    return access_point.all_names(s3control, reading.account, reading.bucket)


def bucket_statements(reading: BucketReading) -> Iterator[Door]:
    """Whom each statement of the bucket's policy lets in, but for those that say no more than teams' shares ask for."""
    statements = policies.statements(reading.policy)
    for opening in data_doors.of_bucket(reading.policy, reading.arn):
        if opening.number not in reading.own_statements:
            yield reading.door("bucket statement", opening, reading.arn, _without(reading, opening, len(statements)))


def _without(reading: BucketReading, opening: Opening, count: int) -> str:
    """The command that takes a statement out of the bucket's policy and leaves the others."""
    if count == 1:
        return reading.command("s3api", "delete-bucket-policy", "--bucket", reading.bucket)
    read = reading.command(
        "s3api", "get-bucket-policy", "--bucket", reading.bucket, "--query", "Policy", "--output", "text"
    )
    write = reading.command("s3api", "put-bucket-policy", "--bucket", reading.bucket, "--policy", "file://policy.json")
    return f"{read} | {_deleting(opening)} > policy.json && {write}"


def _deleting(opening: Opening) -> str:
    return shlex.join(("jq", f"del(.Statement[{opening.number}])"))


def key_grants(reading: BucketReading) -> Iterator[Door]:
    """Whom the grants of the datasets' keys let decrypt."""
    for arn in reading.kms_keys:
        keyed_grants = [
            (_in_key(reading, arn, listed_grant), listed_grant)
            for listed_grant in kms_grant.all_of(reading.context, _in_key(reading, arn))
        ]
        others = reading.of_others((team, key) for key, _ in keyed_grants for team in _teams_of_grant(reading, key))
        for key, grant in keyed_grants:
            if not reading.is_own(key) and key not in others:
                command = reading.command("kms", "revoke-grant", "--key-id", arn, "--grant-id", grant["GrantId"])
                yield from (reading.door("key grant", opening, arn, command) for opening in data_doors.of_grant(grant))


def _in_key(reading: BucketReading, arn: str, grant: Mapping[str, Any] | None = None) -> Key:
    return reading.key(Kind.KMS_GRANT, arn.rpartition("/")[2], str((grant or {}).get("Name", "")))


def _teams_of_grant(reading: BucketReading, key: Key) -> Iterable[str]:
    team = names.team_of_grant(reading.context.installation, key.name)
    return (team,) if team else ()


def key_statements(reading: BucketReading) -> Iterator[Door]:
    """Whom the policies of the datasets' keys let decrypt."""
    kms = reading.context.accounts.client("kms", reading.account, reading.region)
    for arn in reading.kms_keys:
        policy = policies.parse(kms.get_key_policy(KeyId=arn, PolicyName="default")["Policy"])
        for opening in data_doors.of_key(policy):
            place = ("--key-id", arn, "--policy-name", "default")
            read = reading.command("kms", "get-key-policy", *place, "--query", "Policy", "--output", "text")
            write = reading.command("kms", "put-key-policy", *place, "--policy", "file://policy.json")
            command = f"{read} | {_deleting(opening)} > policy.json && {write}"
            yield reading.door("key statement", opening, arn, command)


DataReader = Callable[[BucketReading], Iterator[Door]]
IN_DATA: tuple[DataReader, ...] = (access_points, bucket_statements, key_grants, key_statements)
