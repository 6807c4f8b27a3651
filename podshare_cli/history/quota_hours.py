"""Guaranteed quota-hours, by the history: pure, from the objects of runs and of the versions of records.

A quota is in force from the run that created or changed it, with the lines of the record's version that counted in that
run, until the run that changed or deleted it. A run that ended READY has read all of a team's quotas: nothing before it
matters. All figures are exact fractions.
"""

import datetime
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from podshare.registry.items import enrolled
from podshare.registry.templates import rendered
from podshare_cli.aws.tables import GONE
from podshare_cli.history.past_access import in_order, is_proven, moment_of

Document = Mapping[str, Any]
VersionsOf = Callable[[str], Iterable[Document]]  # the versions of a record that the history has, by its id
Place = tuple[str, str, str]  # a HyperPod cluster: its account, Region and id
Hours = dict[tuple[str, str, str, str], Fraction]  # by whose they are, cluster, instance type and unit

INSTANCES = "instances"
UNITS = {"count": INSTANCES, "accelerators": "accelerators", "vcpu": "vCPU", "memory_gib": "GiB"}
TEAM, ACCOUNT, OWNER, MEMBER = "team", "account", "owner", "member"
_MICROSECOND, _MICROSECONDS_OF_AN_HOUR = datetime.timedelta(microseconds=1), 3_600_000_000


@dataclass(frozen=True, order=True)
class Line:
    """What a quota guarantees of an instance type: instances, or so much of a unit."""

    instance_type: str
    unit: str
    amount: Fraction


@dataclass(frozen=True)
class Span:
    """A time in which a team's quota on a cluster, its owner and the accounts with access stayed as they were.

    ``lines`` is None where the history does not say what the quota was.
    """

    team: str
    cluster: str
    since: datetime.datetime
    until: datetime.datetime
    lines: tuple[Line, ...] | None
    owner: str
    accounts: frozenset[str]

    @property
    def hours(self) -> Fraction:
        """How long it was."""
        return length(self.since, self.until)

    def whose(self, by: str) -> list[str]:
        """Whose hours are counted, in equal shares: the team's, its owner's, or its accounts'; of none is ``""``."""
        if by == ACCOUNT:
            return sorted(self.accounts) or [""]
        return [self.owner if by == OWNER else self.team]


def length(since: datetime.datetime, until: datetime.datetime) -> Fraction:
    """The hours between two moments."""
    return Fraction((until - since) // _MICROSECOND, _MICROSECONDS_OF_AN_HOUR)


def settles(run: Document) -> bool:
    """Whether nothing before a run matters for what is in force after it."""
    return run["state"] in GONE or (run["state"] == "READY" and is_proven(run))


def spans(
    team: str,
    runs: Iterable[Document],
    versions_of: VersionsOf,
    since: datetime.datetime,
    until: datetime.datetime,
) -> list[Span]:
    """What was in force of a team in a time; ``runs`` have the last one before it that settles, if there is one."""
    quotas, spent, last = _InForce(team), list[Span](), since
    for run in sorted(runs, key=lambda run: (moment_of(run["recorded_at"]), run["fence"])):
        now = min(max(moment_of(run["recorded_at"]), since), until)
        spent += quotas.spans(last, now)
        quotas, last = quotas.after(run, versions_of), now
    return [*spent, *quotas.spans(last, until)]


def hours(counted: Iterable[Span], by: str) -> Hours:
    """The hours by ``team``, ``owner`` or ``account``: an account's are its equal share; of no account is ``""``."""
    sums: Hours = defaultdict(Fraction)
    for span in counted:
        for line in span.lines or ():
            shares = span.whose(by)
            for share in shares:
                sums[share, span.cluster, line.instance_type, line.unit] += span.hours * line.amount / len(shares)
    return dict(sums)


# ---- what is in force ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _InForce:
    """A team's quotas by cluster after a run, and whose they are; ``names`` are the clusters by their place."""

    team: str
    quotas: Mapping[str, tuple[Line, ...] | None] = field(default_factory=dict)
    names: Mapping[Place, str] = field(default_factory=dict)
    owner: str = ""
    accounts: frozenset[str] = frozenset()

    def spans(self, since: datetime.datetime, until: datetime.datetime) -> Iterator[Span]:
        if since < until:
            for cluster, lines in self.quotas.items():
                yield Span(self.team, cluster, since, until, lines, self.owner, self.accounts)

    def after(self, run: Document, versions_of: VersionsOf) -> "_InForce":
        """What is in force once a run has ended."""
        if run["state"] in GONE:
            return _InForce(self.team)
        accounts = _accounts(run) if is_proven(run) else self.accounts
        is_named, content = _record(self.team, run, versions_of)
        declared = _declared(content) if content else {}
        names, quotas = self._changed(run, versions_of, declared)
        if settles(run) and is_named:
            quotas = declared if content else dict.fromkeys(quotas or [""])
        owner = _owner(self.team, content) if content else self.owner
        return _InForce(self.team, quotas, names, owner, accounts)

    def _changed(
        self, run: Document, versions_of: VersionsOf, declared: Mapping[str, tuple[Line, ...] | None]
    ) -> tuple[dict[Place, str], dict[str, tuple[Line, ...] | None]]:
        names, quotas = dict(self.names), dict(self.quotas)
        changes = [change for change in run["changes"] if change["kind"] == "compute_quota"]
        changes = [change for change in changes if change["status"] == "done"]
        for change in sorted(changes, key=lambda change: change["action"] != "delete"):  # the others after them
            place = (change["account"], change["region"], change["name"].partition("/")[0])
            if change["action"] == "delete":
                leaving = [name for name in quotas if name not in declared] or [*quotas]
                quotas.pop(_name(place, names, leaving, run, versions_of), None)
            else:
                names[place] = _name(place, names, [*declared], run, versions_of)
                quotas[names[place]] = declared.get(names[place])
        return names, quotas


def _name(
    place: Place, names: Mapping[Place, str], candidates: list[str], run: Document, versions_of: VersionsOf
) -> str:
    """The cluster of these candidates that is in a place; its id where the history does not say which one is."""
    if names.get(place) in candidates:
        return names[place]
    if len(candidates) > 1:
        records = {name: _content(f"cluster#{name}", run, versions_of)[1] or {} for name in candidates}
        candidates = [
            name for name, record in records.items() if (record.get("account"), record.get("region")) == place[:2]
        ]
    return candidates[0] if len(candidates) == 1 else place[2]


def _accounts(run: Document) -> frozenset[str]:
    """The accounts whose people could use a cluster of the team, by its record."""
    rows = (row for row in run["access"] if row["granted"] and not row["door"] and ":eks:" in row["place"])
    return frozenset(row["account"] for row in rows if row["account"])


def _record(team: str, run: Document, versions_of: VersionsOf) -> tuple[bool, Document | None]:
    """The team's record or enrollment as it counted in a run: whether there was one, and what it says if known."""
    if run["state"] == "REJECTED":  # the record's last accepted version goes on to count
        return False, None
    is_named, content = _content(f"team#{team}", run, versions_of)
    enrollment = enrolled(team)
    return (
        _content(f"enrollment#{enrollment[0]}", run, versions_of)
        if enrollment and not is_named
        else (is_named, content)
    )


def _content(record: str, run: Document, versions_of: VersionsOf) -> tuple[bool, Document | None]:
    """A record as it counted in a run: whether it was there, and what it says if known.

    A pass that has no access report names no versions: the last one that was written before its end counts.
    """
    digest = next((version["digest"] for version in run["records"] if version["id"] == record), None)
    if run["records"] and digest is None:
        return False, None
    ended, text = moment_of(run["recorded_at"]), None
    for version in in_order(versions_of(record)):
        if digest == version["digest"] or (digest is None and moment_of(version["written_at"]) <= ended):
            text = version["content"]
    return digest is not None or text is not None, json.loads(text) if text else None


def _declared(content: Document) -> dict[str, tuple[Line, ...] | None]:
    """The quotas that a record declares, by cluster."""
    fields = _team(content)
    clusters = fields.get("cluster")
    if isinstance(clusters, list):
        entries = [entry for entry in clusters if isinstance(entry, Mapping)]
        return {str(entry.get("cluster")): _lines(entry.get("quota")) for entry in entries}
    return {str(clusters): _lines(fields.get("quota"))}


def _lines(quota: Any) -> tuple[Line, ...] | None:
    """A quota's lines: none of one that is inactive, None of one that cannot be read or has an account's tag in it."""
    try:
        if not quota.get("active", True):
            return ()
        return tuple(sorted(line for resource in quota["resources"] for line in _of_resource(resource)))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _of_resource(resource: Document) -> Iterator[Line]:
    instance_type = str(resource["instance_type"])
    for name, unit in UNITS.items():
        if resource.get(name) is not None:
            yield Line(instance_type, unit, Fraction(str(resource[name])))
    if partition := resource.get("accelerator_partition"):
        yield Line(instance_type, str(partition["type"]), Fraction(str(partition["count"])))


def _owner(team: str, content: Document) -> str:
    """The owner that a record declares; where an enrollment's is a tag of the account, the tag and the account."""
    owner, enrollment = str(_team(content).get("owner", "")), enrolled(team)
    if not enrollment:
        return owner
    owner = rendered(owner, lambda fact: enrollment[1] if fact == "account.id" else f"${{{fact}}}")
    return f"{owner} of {enrollment[1]}" if "${" in owner else owner


def _team(content: Document) -> Document:
    """A team's fields, in its own record or in an enrollment."""
    of_enrollment = content.get("team")
    return of_enrollment if isinstance(of_enrollment, Mapping) else content
