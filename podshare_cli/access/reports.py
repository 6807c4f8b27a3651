"""The teams' proofs as podshare keeps them, and what follows from them for one principal or one place."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from podshare.access import access_report as domain
from podshare.access.access_report import Refusal, digest, unpacked
from podshare.access.doors import UNREAD, Door
from podshare.access.effective_access import ANYBODY, Access, by_pods, in_bucket, in_cluster
from podshare.access.history import behind_unexpected
from podshare.installation import Installation
from podshare.kinds.access_entry.shape import CLUSTER_POLICY
from podshare.policy import policies
from podshare_cli.access.accounts import may_be_of
from podshare_cli.aws.connection import Connection
from podshare_cli.aws.tables import GONE, Registry, State
from podshare_cli.failures import invalid


@dataclass(frozen=True)
class Place:
    """Where something is: the ARN of a cluster or a bucket, and a pattern of namespaces or keys in it."""

    where: str
    what: str

    def reached_by(self, access: Access) -> bool:
        """Whether ``access`` reaches any of it."""
        return access.where == self.where and policies.overlap(access.what, self.what)


@dataclass(frozen=True)
class Line:
    """Somebody who may do something, by the proof of a team."""

    team: str
    access: Access
    granted: bool
    behind: tuple[str, ...] = ()  # who comes by the name of a group, a user or a role that no record lets in

    def as_dict(self) -> dict[str, Any]:
        """The line for machines."""
        return {"team": self.team, **self.access.as_dict(), "granted": self.granted}


@dataclass(frozen=True)
class AccessReport:
    """A team's proof, and what was last found that nobody granted, if anything ever was."""

    team: str
    document: Mapping[str, Any]
    drift: Mapping[str, Any]

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """Everybody who may do anything."""
        behind = behind_unexpected(self.document)
        accesses = ((Access.of_dict(row), bool(row["granted"])) for row in self.document["access"])
        return tuple(
            Line(self.team, access, granted, () if granted else behind.get(access, ())) for access, granted in accesses
        )

    @property
    def digest(self) -> str:
        """The hash of what it says."""
        return digest(self.document)

    def as_dict(self) -> dict[str, Any]:
        """The proof for machines."""
        return {**self.document, "digest": self.digest, "widened": dict(self.drift)}

    def with_pods(self, people: Iterable[Line], data: Iterable[Line]) -> Iterator[Line]:
        """What these people reach of these data by pods."""
        reached = {line.access: line.granted for line in data}
        for person in people:
            for access in by_pods([person.access], list(reached)):
                yield Line(self.team, access, person.granted, person.behind)


@dataclass(frozen=True)
class Known:
    """All proofs by team, and the teams that have none yet."""

    access_reports: Mapping[str, AccessReport]
    missing: tuple[str, ...]

    def ages(self) -> dict[str, Any]:
        """When each proof's facts were read, and of which teams nothing is proven."""
        return {
            "read_at": {team: report.document["read_at"] for team, report in sorted(self.access_reports.items())},
            "without_proof": [*self.missing],
        }


def read(connection: Connection) -> Known:
    """Every team's proof."""
    state = State(connection)
    kept = {team: item for team, item in state.access_reports().items() if "document" in item}
    reports = {
        team: AccessReport(team, unpacked(str(item["document"])), item.get("widened") or {})
        for team, item in kept.items()
    }
    teams = {team for team, status in state.statuses("team").items() if status.get("state") not in GONE}
    return Known(reports, tuple(sorted(teams - reports.keys())))


def refusals(known: Known, team: str) -> tuple[Refusal, ...]:
    """What a team and each other have of each other by the latest proofs of both.

    A team's own access report has the others as they were when it was made; a team that came later is here too.
    """
    lines = known.access_reports[team].lines
    others = {name: report.document for name, report in known.access_reports.items() if name != team and report.lines}
    unexpected_access = frozenset(line.access for line in lines if not line.granted)
    return domain.refusals([line.access for line in lines], unexpected_access, others)


# ---- the audit -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AuditLine:
    """A door into a team's namespace or data, and the record that grants it; ``""`` if none does."""

    team: str
    access: Access
    record: str
    behind: tuple[str, ...]
    closed_by: str

    def as_dict(self) -> dict[str, Any]:
        """The line for machines."""
        access = self.access.as_dict()
        return {
            "team": self.team,
            **access,
            "behind": [*self.behind],
            "record": self.record or None,
            "closed_by": self.closed_by or None,
        }


def audit(known: Known, teams: Iterable[str]) -> list[AuditLine]:
    """Every door into the namespaces and data of teams, those that no record grants first."""
    lines = [line for team in teams for line in _audited(known.access_reports[team])]
    return sorted(lines, key=lambda line: (bool(line.record), line.team, line.access))


def unread(report: AccessReport) -> list[str]:
    """What could not be read of a team's doors and resources."""
    rules = [
        violation["what"] for violation in report.document["broken"] if violation["what"].startswith(f"{UNREAD}: ")
    ]
    return [f"{report.team}: {reason}" for reason in (*report.document["unread"], *rules)]


def not_checked(report: AccessReport) -> list[str]:
    """What may let somebody in and is not among the doors; an earlier version's access report does not have it."""
    return [f"{report.team}: {reason}" for reason in report.document.get("not_looked_at", ())]


def _audited(report: AccessReport) -> Iterator[AuditLine]:
    doors = [(Door.of_dict(row), row) for row in report.document.get("doors", ())]
    unexpected = {door.access: door for door, row in doors if not row["expected"]}
    for line in report.lines:
        door = unexpected.get(line.access)
        if line.granted:
            yield AuditLine(report.team, line.access, f"team#{report.team}", (), "")
        elif door is None:
            yield AuditLine(report.team, line.access, "", (), f"podshare team reconcile {report.team}")
        else:
            yield AuditLine(report.team, line.access, "", door.behind, door.closed_by)
    for door, row in doors:
        if row["expected"]:
            record = row.get("record") or f"team#{report.team}"  # an earlier version's proof does not tell it
            yield AuditLine(report.team, door.access, record, door.behind, door.closed_by)


# ---- places ----------------------------------------------------------------------------------------------------


def place_of_url(installation: Installation, url: str) -> Place:
    """A key, or all below a prefix that ends with a slash. Raises Failure for what is no ``s3://BUCKET/…``."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    if not bucket or "*" in url or "?" in url:
        raise invalid(f"{url} has no bucket, or has wildcards.", "Write s3://BUCKET/KEY, or s3://BUCKET/PREFIX/.")
    return Place(installation.bucket_arn(bucket), key if key and not key.endswith("/") else f"{key}*")


def places(connection: Connection) -> dict[str, Place]:
    """Each cluster and dataset of the registry, by its id."""
    places_by_id, installation = {}, connection.installation
    for item in Registry(connection).all_of("cluster", "dataset"):
        if item["id"].startswith("cluster#"):
            arn = installation.eks_arn(*(str(item.get(name)) for name in ("account", "region", "eks_cluster")))
            places_by_id[str(item["id"])] = Place(arn, ANYBODY)
        else:
            bucket_arn = installation.bucket_arn(str(item.get("bucket")))
            places_by_id[str(item["id"])] = Place(bucket_arn, f"{item.get('prefix', '')}*")
    return places_by_id


# ---- questions -------------------------------------------------------------------------------------------------


def who_can(known: Known, verb: str, place: Place) -> list[Line]:
    """Everybody who can do this there, people by their pods too."""
    lines: list[Line] = []
    for report in known.access_reports.values():
        here = [line for line in report.lines if place.reached_by(line.access) and _is(line.access, verb)]
        lines += here
        lines += report.with_pods((line for line in report.lines if in_cluster(line.access)), here)
    return sorted(lines, key=lambda line: (line.team, line.access))


def _is(access: Access, verb: str) -> bool:
    """Whether an access is of this kind; what is no verb of podshare's may be anything."""
    if verb == "use":
        return not _is_every_teams(access)
    return verb in access.may or not {*access.may} <= {"list", "read", "write"}


def _is_every_teams(access: Access) -> bool:
    """Whether it is the right to see nodes and queues, which all members of all teams have."""
    return access.may == (CLUSTER_POLICY,)


def of(known: Known, principal: str) -> list[Line]:
    """All that a principal reaches, or whoever is in it: in clusters, of data, and by its own policies."""
    lines: list[Line] = []
    for report in known.access_reports.values():
        own = [line for line in report.lines if _means(line, principal)]
        lines += own
        lines += report.with_pods(own, (line for line in report.lines if in_bucket(line.access)))
    return sorted(lines, key=lambda line: (line.team, line.access))


def _means(line: Line, principal: str) -> bool:
    access = line.access
    if access.who == ANYBODY:
        return True
    if principal.isdigit():
        return may_be_of(principal, access.who, line.behind)
    return access.is_of(principal) or principal in access.through[:1]


def matrix(known: Known, all_places: Mapping[str, Place]) -> list[dict[str, Any]]:
    """For each team what it may do in each place of the registry, and in buckets that no dataset is about."""
    return [
        {"team": team, "holds": report.document["holds"], "may": _cells(report, all_places)}
        for team, report in sorted(known.access_reports.items())
        if report.lines
    ]


def _cells(report: AccessReport, all_places: Mapping[str, Place]) -> dict[str, list[str]]:
    cells: dict[str, set[str]] = {}
    for line in report.lines:
        access = line.access
        if not (in_bucket(access) or in_cluster(access)) or _is_every_teams(access):
            continue
        names = [name for name, place in all_places.items() if place.reached_by(access)]
        for name in names or [_named(access)]:
            cells.setdefault(name, set()).update(access.may if line.granted else (f"{may}!" for may in access.may))
    return {name: sorted(may) for name, may in sorted(cells.items())}


def _named(access: Access) -> str:
    return f"s3://{access.where.rpartition(':')[2]}/{access.what}" if in_bucket(access) else access.where
