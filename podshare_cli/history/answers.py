"""Questions about the past, answered from the history: who could at a moment, what changed, and what a run did."""

import datetime
import json
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from podshare.registry.accounts import Account
from podshare.registry.items import enrolled
from podshare.registry.templates import MissingTag, facts_of, rendered
from podshare_cli.access.accounts import may_be_anybodys, may_be_of
from podshare_cli.access.reports import Place, places
from podshare_cli.aws.connection import Connection
from podshare_cli.aws.tables import Registry, State
from podshare_cli.failures import Failure, invalid
from podshare_cli.history import confirmations, past_access
from podshare_cli.history.confirmations import Confirmation
from podshare_cli.history.objects import History, Stored
from podshare_cli.history.past_access import AccessChange, Way, moment_of
from podshare_cli.progress.callers import is_proven
from podshare_cli.progress.executions import Executions
from podshare_cli.records.known_names import likely_meant

_NEXT_DAY = datetime.timedelta(days=1)

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Subject:
    """What a question is about: a team, an account, or a dataset. ``text`` is how it was asked."""

    kind: str
    name: str

    @property
    def text(self) -> str:
        """The subject in words."""
        return f"{self.kind} {self.name}"

    @property
    def team(self) -> str:
        """The team, if it is one: nothing else has to be read then."""
        return self.name if self.kind == "team" else ""


_NAMED = ("team", "dataset")


def subject_of(connection: Connection, text: str) -> Subject:
    """What is meant: an account's id, ``team#NAME`` or ``dataset#NAME``, or a name that only one of the two has.

    Raises Failure for what is neither, or both: that nobody had access to it would be a misleading answer.
    """
    if match := re.fullmatch(r"(account#)?([0-9]{12})", text):
        return Subject("account", match[2])
    kind, _, name = text.partition("#")
    if (name and kind not in _NAMED) or not text:
        raise invalid(
            f"{text} is no account, team or dataset.", "Such as 222222222222, team#vision or dataset#imagenet."
        )
    named = name or text
    known = [each for each in ([kind] if name else _NAMED) if _was_there(connection, each, named)]
    if not known:
        meant = likely_meant(connection, text, *_NAMED)
        raise invalid(
            f"There is no {kind if name else 'team or dataset'} {named}, and there was none.{meant}",
            "Names that are there: podshare team list, podshare dataset list. An account is named by its id.",
        )
    if len(known) > 1:
        raise invalid(f"{text} is a team and a dataset.", f"Write team#{text} or dataset#{text}.")
    return Subject(known[0], named)


def _was_there(connection: Connection, kind: str, name: str) -> bool:
    """Whether there is or was a record of the name, or a team of an enrollment, which has none."""
    if kind == "team" and name in State(connection).statuses("team"):
        return True
    record = f"{kind}#{name}"
    return bool(Registry(connection).get(record) or History(connection).versions(record))


@dataclass(frozen=True)
class Grant:
    """A line of a record that gave an access, with its end and the version that wrote it, if that is known."""

    record: str
    line: str
    until: str | None
    by: str
    author: str
    reason: str
    version: int | None
    written_at: str | None
    is_exact: bool

    def as_dict(self) -> dict[str, Any]:
        """The grant for machines."""
        return {
            **{"record": self.record, "line": self.line, "until": self.until, "by": self.by, "author": self.author},
            **{"reason": self.reason, "version": self.version, "written_at": self.written_at, "exact": self.is_exact},
        }


@dataclass(frozen=True)
class PastWay:
    """Somebody who could do something, by which run's proof, and by which grants."""

    run: Document
    way: Way
    grants: tuple[Grant, ...]

    def as_dict(self) -> dict[str, Any]:
        """The way in for machines."""
        return {
            **{"team": self.way.team, **self.way.access.as_dict(), "granted": self.way.granted, "door": self.way.door},
            "grants": [grant.as_dict() for grant in self.grants],
            "run": self.run["run"],
        }


@dataclass(frozen=True)
class PastAccess:
    """Who could reach what at a moment, by the proven_runs that answer for it, and what is uncertain of each team."""

    at: datetime.datetime
    proven_runs: Mapping[str, Document]
    ways: tuple[PastWay, ...]
    uncertain: Mapping[str, list[str]]

    def as_dict(self) -> dict[str, Any]:
        """The answer for machines."""
        return {
            "at": self.at.isoformat(timespec="seconds"),
            "access": [way.as_dict() for way in self.ways],
            "uncertain": {team: texts for team, texts in self.uncertain.items() if texts},
            "answered_by": {
                team: {
                    **{name: run.get(name) for name in ("run", "execution", "proven_at", "confirmed_at", "digest")},
                    "state": run.get("state"),
                }
                for team, run in sorted(self.proven_runs.items())
            },
        }


@dataclass(frozen=True)
class PastChange:
    """What somebody gained or lost, the grants that gave it, and who confirmed the deletion that took it."""

    change: AccessChange
    grants: tuple[Grant, ...]
    confirmation: Confirmation | None = None  # of the deletion that started the run

    def as_dict(self) -> dict[str, Any]:
        """The change for machines."""
        run, way = self.change.run, self.change.way
        return {
            **{"at": run["proven_at"], "change": "gained" if self.change.gained else "lost", "team": way.team},
            **way.access.as_dict(),
            **{"granted": way.granted, "grants": [grant.as_dict() for grant in self.grants]},
            **{"run": run["run"], "cause": dict(run["cause"])},
            **{"confirmed": self.confirmation.as_dict() if self.confirmation else None},
            "proven": is_proven(str(run["cause"]["event"])),
        }


def _is_open_to(account: str, who: str) -> bool:
    return may_be_anybodys(who) or may_be_of(account, who)


@dataclass
class Past:
    """What an installation's history answers; each object is read once."""

    history: History

    def access_at(self, at: datetime.datetime, subject: Subject | None) -> PastAccess:
        """Who could reach what of a subject, or what the subject could reach, at a moment; without one, everybody."""
        runs = self.history.around(at, subject.team if subject else "")
        proven_runs = {team: run for team, known in runs.items() if (run := past_access.answering(known, at))}
        ways = [
            PastWay(proven_runs[way.team], way, self._grants(way, proven_runs[way.team]))
            for run in proven_runs.values()
            for way in self._of(subject, past_access.ways(run), run, at)
        ]
        ways.sort(key=lambda past: (past.way.team, past.way.access))
        is_affected = self._affecting(subject, at)
        affected = {way.way.team for way in ways} | ({subject.team} if subject else set())
        texts_by_team = {
            team: past_access.uncertain(known, at, past_access.any_access if team in affected else is_affected)
            for team, known in sorted(runs.items())
        }
        return PastAccess(at, proven_runs, tuple(ways), texts_by_team)

    def changes(self, since: datetime.datetime, until: datetime.datetime, subject: Subject | None) -> list[PastChange]:
        """What somebody gained or lost, in the order of time."""
        team = subject.team if subject else ""
        runs = self.history.around(since, team)
        for stored in self.history.between(since, until + _NEXT_DAY, team):
            document = stored.document
            known = runs.setdefault(document["team"], [])
            if not any(other["run"] == document["run"] and other.get("fence") == document["fence"] for other in known):
                known.append(document)
        access_changes = [change for known in runs.values() for change in past_access.changes(known, since, until)]
        if subject:
            access_changes = [
                change
                for change in access_changes
                if self._of(subject, [change.way], granting := self._granting(change), moment_of(granting["proven_at"]))
            ]
        access_changes.sort(
            key=lambda change: (moment_of(change.run["proven_at"]), change.run["team"], change.way.access)
        )
        return [
            PastChange(change, self._grants(change.way, self._granting(change)), self.confirmation(change.run))
            for change in access_changes
        ]

    def confirmation(self, run: Document) -> Confirmation | None:
        """Who confirmed the deletion that started a run, if one did."""
        cause = run["cause"]
        if confirmations.is_deletion(cause):
            versions = self.history.versions(f"approval#{run['team']}")
            known = [Confirmation.of_version(stored.document) for stored in versions]
            return confirmations.of_deletion(cause, cause["happened_at"], known)
        return None

    def _affecting(self, subject: Subject | None, at: datetime.datetime) -> Callable[[str], bool]:
        """Whether an access in words may be of or in a subject; what leaves that open may be."""
        if subject is None or subject.team:
            return past_access.any_access
        name = subject.name
        if subject.kind == "account":
            return lambda access: name in access or _is_open_to(name, access.partition(" may ")[0])
        buckets = {place.where for place in (*self._places(name, at, {}), *self._former_places(name, at))}
        return lambda access: name in access or any(bucket in access for bucket in buckets)

    @staticmethod
    def _granting(change: AccessChange) -> Document:
        """The run by whose records a gained or lost access was granted: of a lost one that before the run."""
        return change.run if change.gained else change.before

    def _of(self, subject: Subject | None, ways: Iterable[Way], run: Document, at: datetime.datetime) -> list[Way]:
        """What of a run's proof is of a subject, as it was by the records of the run and at a moment."""
        if subject is None:
            return list(ways)
        if subject.kind == "account":
            return past_access.of_account(ways, subject.name)
        if subject.kind == "team":
            return [way for way in ways if way.team == subject.name]
        in_force, former = self._places(subject.name, at, run), self._former_places(subject.name, at)
        return [
            way
            for way in ways
            if any(place.reached_by(way.access) for place in (*in_force, *(() if way.granted else former)))
        ]

    def _places(self, dataset: str, at: datetime.datetime, run: Document) -> list[Place]:
        """Where a dataset was at a moment, and by the version that counted in a run; else where it is."""
        versions = self._dataset_versions(dataset)
        digests = [version["digest"] for version in run.get("records", ()) if version["id"] == f"dataset#{dataset}"]
        counted = [version for version in versions if version["digest"] in digests]
        then = [version for version in versions if moment_of(version["written_at"]) <= at]
        located = [*map(self._place_of, (*counted[-1:], *then[-1:]))]
        current = None if located else self._current_places.get(f"dataset#{dataset}")
        return [current] if current else located

    def _former_places(self, dataset: str, at: datetime.datetime) -> list[Place]:
        """Wherever a dataset had been until a moment: what no record grants any more may be left of any of these."""
        return [
            self._place_of(version)
            for version in self._dataset_versions(dataset)
            if moment_of(version["written_at"]) <= at
        ]

    def _dataset_versions(self, dataset: str) -> list[Document]:
        documents = (stored.document for stored in self.history.versions(f"dataset#{dataset}"))
        return [version for version in past_access.in_order(documents) if version["content"]]

    def _place_of(self, version: Document) -> Place:
        content = json.loads(version["content"])
        bucket_arn = self.history.connection.installation.bucket_arn(content.get("bucket"))
        return Place(bucket_arn, f"{content.get('prefix') or ''}*")

    def _grants(self, way: Way, run: Document) -> tuple[Grant, ...]:
        return tuple(self._grant(grant, run) for grant in way.grants)

    def _grant(self, grant: Document, run: Document) -> Grant:
        """A grant with who wrote its line: exactly, where the history has the record's versions."""
        record, line = str(grant["record"]), str(grant["line"])
        documents = [stored.document for stored in self.history.versions(record)]
        origin = past_access.origin(documents, line, moment_of(run["proven_at"]))
        exact = origin is not None and line in origin["added"]
        if origin is None:  # the version that counted, whoever wrote the line
            origin = next((version for version in run.get("records", ()) if version["id"] == record), {})
        return Grant(
            record=record,
            line=line,
            until=grant.get("until"),
            by=str(origin.get("writer") or ""),
            author=str(origin.get("author") or ""),
            reason=self._reason(origin, str(run["team"])),
            version=origin.get("version"),
            written_at=origin.get("declared_at") or origin.get("written_at") or None,
            is_exact=exact,
        )

    def _reason(self, version: Document, team: str) -> str:
        """Why a version was written, or why the team has what it has; an enrollment says that of each account."""
        reason, own = past_access.reason_of(version), enrolled(team)
        if version.get("reason") or not own or "${" not in reason:
            return reason
        with suppress(MissingTag):
            return str(rendered(reason, facts_of(self._accounts.get(own[1], Account(own[1])))))
        return reason

    @cached_property
    def _current_places(self) -> dict[str, Place]:
        return places(self.history.connection)

    @cached_property
    def _accounts(self) -> dict[str, Account]:
        """The organization's accounts, with the names and tags that they have now, which fill in placeholders."""
        rows = State(self.history.connection).accounts()
        return {account.id: account for account in map(Account.of_row, rows)}

    def run(self, text: str) -> list[Stored]:
        """The objects of a run, by its name or ARN. Raises Failure if it has none."""
        name = text.rpartition(":")[2]
        passes = self.history.of_run(name, self._likely_days(name)) or self.history.of_run(
            name, reversed(self.history.days())
        )
        if not passes:
            problem = f"Run {name} has added nothing to the history: there is no such run, or it found nothing new."
            raise Failure(problem, "Runs of the last 90 days: podshare team history NAME --verbose")
        return passes

    def _likely_days(self, name: str) -> list[str]:
        """The days of a run that Step Functions still knows."""
        executions = Executions(self.history.connection)
        machine = self.history.connection.machine
        client = self.history.connection.client("stepfunctions")
        try:
            run = executions.describe(f"{machine.replace(':stateMachine:', ':execution:')}:{name}")
        except (client.exceptions.ExecutionDoesNotExist, client.exceptions.InvalidArn):
            return []
        began = run.started.astimezone(datetime.UTC).date()
        return [(began + datetime.timedelta(days=days)).isoformat() for days in (0, 1)]
