"""Who had access at a moment, by the history: pure, from the objects of runs and of the versions of records.

Between two proofs the earlier one answers. What may have been otherwise in between is listed as uncertain: calls that
CloudTrail reported, unexpected access that the next proof found, runs that were changing something, and runs without a
proof.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from podshare.access.effective_access import Access, by_pods, in_bucket, in_cluster
from podshare.access.history import OWN_CALLS, access_of
from podshare_cli.access.accounts import may_be_of

Document = Mapping[str, Any]
_BEFORE = "it may have been there before"


def moment_of(text: object) -> datetime:
    """A moment as the history has it."""
    return datetime.fromisoformat(str(text))


# ---- which proof answers ---------------------------------------------------------------------------------------


def is_proven(run: Document) -> bool:
    """Whether a run's object says who could reach what."""
    return run.get("access") is not None and bool(run.get("proven_at"))


def answering(runs: Iterable[Document], moment: datetime) -> Document | None:
    """The proof of a team that answers for a moment: the latest of those until then; None before the first."""
    proven_runs = (run for run in runs if is_proven(run) and moment_of(run["proven_at"]) <= moment)
    return max(proven_runs, key=_order, default=None)


def following(runs: Iterable[Document], moment: datetime) -> Document | None:
    """The first proof of a team after a moment; None if there is none yet."""
    proven_runs = (run for run in runs if is_proven(run) and moment_of(run["proven_at"]) > moment)
    return min(proven_runs, key=_order, default=None)


def _order(run: Document) -> tuple[datetime, datetime]:
    return moment_of(run["proven_at"]), moment_of(run["recorded_at"])


def any_access(_access: str) -> bool:
    """Each of them."""
    return True


def uncertain(runs: Iterable[Document], moment: datetime, is_affected: Callable[[str], bool] = any_access) -> list[str]:
    """What may have been otherwise at a moment than the proof that answers for it says, in words and in order.

    Of what the next proof found, only the access that ``is_affected`` takes; the rest may affect anybody.
    """
    known = sorted(runs, key=lambda run: moment_of(run["recorded_at"]))
    before, after = answering(known, moment), following(known, moment)
    since = moment_of(before["proven_at"]) if before else None
    until = moment_of(after["proven_at"]) if after else None
    texts = [
        *_reported_calls(known, since, moment),
        *_unproven_runs(known, since, moment),
        *(_changes_under_way(after, moment) if after else ()),
        *(_unexpected_since(after, since, is_affected) if after and since else ()),
    ]
    proven = f"the next proof is of {until.isoformat(timespec='seconds')}" if until else "there is no later proof yet"
    return [f"{text}; {proven}" for text in dict.fromkeys(texts)]


def _reported_calls(runs: Sequence[Document], since: datetime | None, moment: datetime) -> Iterator[str]:
    """Calls that CloudTrail reported between the proof that answers and the moment."""
    for run in runs:
        cause = run["cause"]
        if cause["event"] != "drift" or cause["id"].startswith(OWN_CALLS) or not cause["happened_at"]:
            continue
        if _is_between(since, moment_of(cause["happened_at"]), moment):
            caller = cause["caller"] or "somebody"
            yield f"{cause['happened_at']}: {caller} called {cause['change']}, which may have changed access"


def _unproven_runs(runs: Sequence[Document], since: datetime | None, moment: datetime) -> Iterator[str]:
    """Runs that ended between the proof and the moment, and of which no proof is known."""
    for run in runs:
        ended = moment_of(run["recorded_at"])
        if not is_proven(run) and _is_between(since, ended, moment):
            yield f"{run['recorded_at']}: run {run['run']} ended {run['state']} without a proof"


def _changes_under_way(after: Document, moment: datetime) -> Iterator[str]:
    if after.get("changes") and after.get("started_at") and moment_of(after["started_at"]) <= moment:
        yield f"{after['started_at']}: run {after['run']} had begun, and was changing access"


def _unexpected_since(after: Document, since: datetime, is_affected: Callable[[str], bool]) -> Iterator[str]:
    """What the next proof found that nobody granted may have been there at the moment; nothing says since when."""
    drift = after.get("drift") or {}
    unexpected = [(drift["found_at"], access) for access in drift.get("found", ()) if drift.get("found_at")]
    unexpected = unexpected if unexpected and moment_of(drift["found_at"]) > since else []
    unexpected += [(after["proven_at"], _with_behind(row)) for row in after["access"] if not row["granted"]]
    for found_at, access in unexpected:
        if is_affected(access):
            yield f"{found_at}: {access}, which nobody granted, was found; {_BEFORE}"


def _with_behind(row: Document) -> str:
    behind = ", ".join(row.get("behind") or ())  # rows of earlier versions have none
    return f"{access_of(row)}{f' (behind it: {behind})' if behind else ''}"


def _is_between(since: datetime | None, at: datetime, moment: datetime) -> bool:
    return (since is None or since < at) and at <= moment


# ---- who could -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Way:
    """Somebody who could do something, by the proof of a team's run, with the lines of records that gave it."""

    team: str
    access: Access
    granted: bool
    door: bool
    grants: tuple[Document, ...]
    behind: tuple[str, ...] = ()  # who comes by the name of a group, a user or a role


def ways(run: Document) -> list[Way]:
    """Every way in that a proof shows, and what people reach by the pods that they may make."""
    direct = [
        Way(
            run["team"],
            access_of(row),
            bool(row["granted"]),
            bool(row["door"]),
            tuple(row["grants"]),
            tuple(row.get("behind") or ()),
        )
        for row in run["access"]
    ]
    people = [way for way in direct if in_cluster(way.access) and not way.door]
    data = [way for way in direct if in_bucket(way.access) and not way.door]
    return [*direct, *(reached for person in people for way in data for reached in _by_pods(person, way))]


def _by_pods(person: Way, data: Way) -> Iterator[Way]:
    for access in by_pods([person.access], [data.access]):
        grants = tuple({str(sorted(grant.items())): grant for grant in (*person.grants, *data.grants)}.values())
        yield Way(data.team, access, person.granted and data.granted, door=False, grants=grants, behind=person.behind)


def of_account(candidates: Iterable[Way], account: str) -> list[Way]:
    """What the principals of an account could reach, with what anybody could, and what they could by another name."""
    return [way for way in candidates if may_be_of(account, way.access.who, way.behind)]


# ---- granted by whom -------------------------------------------------------------------------------------------


def in_order(versions: Iterable[Document]) -> list[Document]:
    """The versions of a record, the oldest first."""
    return sorted(versions, key=lambda version: (moment_of(version["written_at"]), _number(version["sequence"])))


def _number(sequence: str) -> int:
    return int(sequence) if sequence.isdigit() else 0


def origin(versions: Iterable[Document], line: str, moment: datetime) -> Document | None:
    """The version of a record that wrote a line as it was at a moment; None if no known version has it.

    A line that was removed and written again has its latest writer, and so has one whose end was changed. Of a record
    that is older than its history, the oldest known version answers for the lines that it has.
    """
    writer: Document | None = None
    for version in in_order(versions):
        if moment_of(version["written_at"]) > moment:
            break
        has = any(entry["line"] == line for entry in version["lines"])
        if not has:
            writer = None
        elif writer is None or line in version["added"]:
            writer = version
    return writer


def reason_of(version: Document) -> str:
    """Why a version was written, as its writer declared; else why its record says that the team has what it has."""
    if version.get("reason"):
        return str(version["reason"])
    record = json.loads(version.get("content") or "{}")
    team = record.get("team")  # of an enrollment, the record of its teams
    return str((team if isinstance(team, dict) else record).get("reason") or "")


# ---- changes ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AccessChange:
    """What somebody gained or lost between two proofs of a team: by the run that proved it, and the one ``before``."""

    run: Document
    before: Document
    way: Way
    gained: bool


def changes(runs: Iterable[Document], since: datetime, until: datetime) -> list[AccessChange]:
    """What changed from each proof of a team to the next one, in their order; before the first nobody had any."""
    proven_runs = sorted((run for run in runs if is_proven(run)), key=_order)
    access_changes: list[AccessChange] = []
    last: Document = {}
    before: dict[Access, Way] = {}
    for run in proven_runs:
        now = {way.access: way for way in ways(run)}
        if since <= moment_of(run["proven_at"]) <= until:
            gained = (now[access] for access in sorted(now.keys() - before.keys()))
            lost = (before[access] for access in sorted(before.keys() - now.keys()))
            access_changes += [AccessChange(run, last, way, gained=True) for way in gained]
            access_changes += [AccessChange(run, last, way, gained=False) for way in lost]
        last, before = run, now
    return access_changes
