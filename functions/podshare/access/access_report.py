"""The proof of a team: who reaches what, and that nobody of another team does, by what AWS and Kubernetes say now.

What podshare meant to grant is worked out by the same evaluation of the documents that it would write, so that
whatever anybody has beyond that is found whoever gave it and however it was spelled.
"""

import base64
import hashlib
import json
import zlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from podshare.access.doors import RULE
from podshare.access.effective_access import ANYBODY, Access, account_of, in_bucket, in_cluster, in_file_system

MOST_REPORTED = 20  # of what is wrong, in an execution's history, in an event and with another team
LONGEST_TEXT = 800  # a door is reported with two or three ARNs and a command


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a team and another one have in common: what both were granted, and what one has of the other's beyond it."""

    team: str
    shared: tuple[str, ...]
    broken: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """In plain JSON."""
        return {"team": self.team, "shared": [*self.shared], "broken": [*self.broken]}


@dataclass(frozen=True, slots=True)
class AccessReport:
    """Who reaches what of a team's.

    ``unexpected_access`` is the part of ``access`` that nobody granted, ``violations`` are the isolation rules that do
    not hold, each with ``key``, ``rule`` and ``found``, ``unread`` is what AWS or Kubernetes did not return, and
    ``doors`` are those that podshare does not know as its own, each with whether it is ``expected``;
    ``not_checked`` is what may let somebody in and is none of them.
    """

    team: str
    read_at: str
    access: tuple[Access, ...]
    unexpected_access: frozenset[Access]
    violations: tuple[Mapping[str, str], ...]
    unread: tuple[str, ...]
    refusals: tuple[Refusal, ...]
    doors: tuple[Mapping[str, Any], ...] = ()
    not_checked: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether nobody has anything that was not granted, as far as the team's own documents say, and all was read.

        What another team's documents give of this team is a refusal that is broken here, and makes that one's proof
        fail.
        """
        return not (self.unexpected_access or self.violations or self.unread)

    @property
    def broken(self) -> list[dict[str, Any]]:
        """Everything that should not be: in words, with the keys of the resources that say so."""
        # a door is reported with the command that closes it
        doors = {violation["key"] for violation in self.violations if violation["rule"] == RULE}
        beyond = [
            {"what": f"{access}, which nobody granted", "keys": [*access.by]}
            for access in sorted(self.unexpected_access)
            if not {*access.by} & doors
        ]
        rules = [
            {"what": f"{violation['rule']}: {violation['found']}", "keys": [violation["key"]]}
            for violation in self.violations
        ]
        return [{**finding, "what": finding["what"][:LONGEST_TEXT]} for finding in (*beyond, *rules)]

    def as_dict(self) -> dict[str, Any]:
        """The document, in plain JSON."""
        return {
            "team": self.team,
            "read_at": self.read_at,
            "holds": self.holds,
            "access": [{**access.as_dict(), "granted": access not in self.unexpected_access} for access in self.access],
            "broken": self.broken,
            "unread": [*self.unread],
            "not_looked_at": [*self.not_checked],
            "doors": [*self.doors],
            "refusals": [refusal.as_dict() for refusal in self.refusals if refusal.shared or refusal.broken],
            "refused": [refusal.team for refusal in self.refusals if not refusal.shared and not refusal.broken],
        }

    def summary_for_others(self) -> dict[str, Any]:
        """As much of the document as another team's refusals need, unless one of the two has what nobody granted."""
        granted = [access for access in self.access if access not in self.unexpected_access]
        data = {Access("", (), access.where, access.what) for access in granted if in_bucket(access)}
        people = {Access(access.who, (), access.where, "") for access in granted if in_cluster(access)}
        return {
            "team": self.team,
            "anything": bool(self.access),
            "excess": bool(self.unexpected_access),
            "access": [{**access.as_dict(), "granted": True} for access in sorted(data | people)],
        }

    def summary(self) -> dict[str, Any]:
        """How an execution and a status report it."""
        people = {access.who for access in self.access if in_cluster(access) and account_of(access.who)}
        data = {access.who for access in self.access if in_bucket(access)}
        return {
            "digest": digest(self.as_dict()),
            "holds": self.holds,
            "enter_clusters": len(people),
            "reach_data": len(data),
            "refusals": len(self.refusals),
            "broken": self.broken[:MOST_REPORTED],
        }


def digest(document: Mapping[str, Any]) -> str:
    """A hash of what a proof says; two of different times that say the same have the same."""
    said = {name: value for name, value in document.items() if name != "read_at"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def packed(data: Any) -> str:
    """JSON data as a state item can hold it: the longest proof has a fiftieth of the item's 400 KB then."""
    return base64.b64encode(zlib.compress(json.dumps(data, separators=(",", ":")).encode())).decode()


def unpacked(text: str) -> Any:
    """The reverse of ``packed``."""
    return json.loads(zlib.decompress(base64.b64decode(text)))


def kept_report(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """An access report as its row keeps it, None for none.

    ``document``, the ``grants`` of its lines and the ``records`` that they are from, and what was ``widened``.
    """
    if "document" not in row:
        return None
    lines = unpacked(str(row["grants"])) if "grants" in row else {"grants": [], "records": []}
    return {"document": unpacked(str(row["document"])), "widened": row.get("widened") or {}, **lines}


def accesses(document: Mapping[str, Any], *, granted: bool) -> frozenset[Access]:
    """The part of a proof's document that was granted, or that was not."""
    return frozenset(Access.of_dict(row) for row in document["access"] if row["granted"] is granted)


def beyond(actual: Iterable[Access], granted: Collection[Access]) -> frozenset[Access]:
    """What of ``actual`` nothing in ``granted`` covers."""
    exact, places = frozenset(granted), defaultdict[str, list[Access]](list)
    for access in exact:
        places[access.where].append(access)
    rest = (access for access in actual if access not in exact)
    return frozenset(access for access in rest if not any(other.covers(access) for other in places[access.where]))


def refusals(
    own: Iterable[Access], unexpected_access: frozenset[Access], others: Mapping[str, Mapping[str, Any]]
) -> tuple[Refusal, ...]:
    """Team by team, what this one and each of ``others`` have in common; those by the documents of their proofs.

    Of a team without unexpected access the summary will do, if this one has none either.
    """
    granted = frozenset(own) - unexpected_access
    return tuple(_refusal(team, granted, unexpected_access, others[team]) for team in sorted(others))


def _refusal(
    team: str, granted: frozenset[Access], unexpected_access: frozenset[Access], other: Mapping[str, Any]
) -> Refusal:
    theirs, beyond_theirs = accesses(other, granted=True), accesses(other, granted=False)
    shared = {*_shared_data(granted, theirs), *_shared_people(granted, theirs)}
    broken = [access for access in unexpected_access if _affects(access, theirs)]
    broken += [access for access in beyond_theirs if _affects(access, granted)]
    return Refusal(
        team, tuple(sorted(shared)), tuple(sorted(str(access)[:LONGEST_TEXT] for access in broken))[:MOST_REPORTED]
    )


def _shared_data(ones: Iterable[Access], others: Collection[Access]) -> Iterator[str]:
    """Data that both teams were granted: nothing else of theirs is in a bucket."""
    places = defaultdict[str, set[str]](set)
    for other in others:
        if in_bucket(other):
            places[other.where].add(other.what)
    for where, keys in {(access.where, access.what) for access in ones if access.where in places}:
        if any(Access("", (), where, keys).touches(Access("", (), where, also)) for also in places[where]):
            yield f"{where.rpartition(':')[2]}/{keys}"


def _shared_people(ones: Iterable[Access], others: Iterable[Access]) -> set[str]:
    """Principals that work for both teams."""
    return _people(ones) & _people(others)


def _people(accesses: Iterable[Access]) -> set[str]:
    return {access.who for access in accesses if in_cluster(access)}


def _affects(unexpected_access: Access, others: Collection[Access]) -> bool:
    """Whether what somebody has beyond what was granted lets another team's in, or reaches what is that team's."""
    account = account_of(unexpected_access.who)
    lets_in = any(account in ("", account_of(access.who)) and unexpected_access.is_of(access.who) for access in others)
    return lets_in or any(unexpected_access.touches(access) for access in others if _is_own_place(access))


def _is_own_place(access: Access) -> bool:
    """A namespace, keys of a bucket or a directory of a file system: what spans a cluster is every team's."""
    return in_bucket(access) or in_file_system(access) or (in_cluster(access) and access.what != ANYBODY)
