"""The history of who had access, as it is in its bucket, and the present where that is newer."""

import datetime
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from podshare.access.access_report import kept_report, unpacked
from podshare.access.history import RUNS, VERSIONS, access_rows, versions_of
from podshare_cli.aws.connection import Connection
from podshare_cli.aws.tables import GONE, State
from podshare_cli.failures import Failure
from podshare_cli.history.past_access import answering, following, moment_of

_READ_AT_ONCE = 16
_LONGEST_RUN = datetime.timedelta(days=9)  # waits of eight days in all (recording.MOST_WAITS), and passes between them
_DAYS_AFTER = 7  # within which the next proof is looked for: each sweep proves every team again

Document = Mapping[str, Any]

# of what no run has added to the history: the fields of a run's, without what they say
_NO_CAUSE = {
    **dict.fromkeys(("event", "record", "change", "caller", "reason", "commit_id", "id"), ""),
    **dict.fromkeys(("version", "happened_at")),
}


@dataclass(frozen=True)
class Stored:
    """An object of the history: where it is, and what it says; without a ``version`` it is not in the bucket yet."""

    key: str
    version: str
    body: bytes

    @property
    def sha256(self) -> str:
        """The digest of its content."""
        return hashlib.sha256(self.body).hexdigest()

    @property
    def document(self) -> dict[str, Any]:
        """What it says."""
        document: dict[str, Any] = json.loads(self.body)
        return document


@dataclass
class History:
    """The bucket of an installation, read once for each object."""

    connection: Connection
    _read: dict[str, Stored] = field(default_factory=dict)
    _versions: dict[str, list[Stored]] = field(default_factory=dict)

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return f"{self.connection.prefix}-history-{self.connection.account}-{self.connection.region}"

    @cached_property
    def _unwritten(self) -> dict[str, str]:
        """What the bucket has not taken yet, and the next sweep writes."""
        return {key: unpacked(body) for key, body in State(self.connection).unwritten().items()}

    # ---- objects ----

    def keys(self, prefix: str) -> list[str]:
        """The keys that begin so, in their order. Raises Failure where there is no history."""
        client = self.connection.client("s3")
        pages = client.get_paginator("list_objects_v2").paginate(**self._bucket, Prefix=prefix)
        try:
            existing = [str(entry["Key"]) for page in pages for entry in page.get("Contents", [])]
            return sorted({*existing, *(key for key in self._unwritten if key.startswith(prefix))})
        except client.exceptions.NoSuchBucket:
            problem = f"There is no history of who had access ({self.connection.place}): no bucket {self.bucket}."
            raise Failure(problem, "Update the hub's stack, or correct --region, --profile or --prefix.") from None

    def read(self, keys: Iterable[str]) -> list[Stored]:
        """These objects, several at once, in the order of ``keys``."""
        wanted = list(keys)
        self.connection.client("s3")  # its making is not for several threads
        missing = [key for key in dict.fromkeys(wanted) if key not in self._read]
        with ThreadPoolExecutor(_READ_AT_ONCE) as pool:
            self._read |= {stored.key: stored for stored in pool.map(self._get, missing)}
        return [self._read[key] for key in wanted]

    def _get(self, key: str) -> Stored:
        if key in self._unwritten:
            return Stored(key, "", self._unwritten[key].encode())
        answer = self.connection.client("s3").get_object(**self._bucket, Key=key)
        return Stored(key, str(answer.get("VersionId", "")), answer["Body"].read())

    @property
    def _bucket(self) -> Any:
        return {"Bucket": self.bucket, "ExpectedBucketOwner": self.connection.account}

    # ---- runs ----

    def days(self) -> list[str]:
        """The days of which there are runs, the first one first."""
        client = self.connection.client("s3")
        pages = client.get_paginator("list_objects_v2").paginate(**self._bucket, Prefix=RUNS, Delimiter="/")
        try:
            prefixes = {str(entry["Prefix"]) for page in pages for entry in page.get("CommonPrefixes", [])}
            prefixes |= {f"{'/'.join(key.split('/')[:3])}/" for key in self._unwritten if key.startswith(RUNS)}
        except client.exceptions.NoSuchBucket:
            self.keys(RUNS)  # which says so
            raise
        return sorted(prefix.removeprefix(f"{RUNS}date=").rstrip("/") for prefix in prefixes)

    def of_day(self, day: str, team: str = "") -> dict[str, list[str]]:
        """The keys of a day's runs by team, in the order of time; of one team, or of all."""
        prefix = f"{RUNS}date={day}/"
        keys_by_team: dict[str, list[str]] = defaultdict(list)
        for key in self.keys(f"{prefix}team={team}/" if team else prefix):
            keys_by_team[key.removeprefix(f"{prefix}team=").partition("/")[0]].append(key)
        return keys_by_team

    def around(self, moment: datetime.datetime, team: str = "") -> dict[str, list[Document]]:
        """The runs of each team around a moment: back to the proof that answers for it, and on to the next one."""
        days = self.days()
        runs_by_team: dict[str, list[Document]] = defaultdict(list)
        self._back(runs_by_team, [day for day in reversed(days) if day <= moment.date().isoformat()], moment, team)
        last = (moment + datetime.timedelta(days=_DAYS_AFTER)).date().isoformat()
        self._on(runs_by_team, [day for day in days if moment.date().isoformat() <= day <= last], moment, team)
        for name, present in self._present(team):
            runs_by_team[name] = _with_present(runs_by_team[name], present, moment)
        return runs_by_team

    def _back(
        self, runs_by_team: dict[str, list[Document]], days: Iterable[str], moment: datetime.datetime, team: str
    ) -> None:
        open_teams = {team} if team else {*State(self.connection).statuses("team")}
        for day in days:
            for name, keys in self.of_day(day, team).items():
                if answering(runs_by_team[name], moment):
                    continue
                for stored in map(self._object, reversed(keys)):
                    runs_by_team[name].append(stored.document)
                    if answering(runs_by_team[name], moment):
                        break
            if all(answering(runs_by_team[name], moment) for name in open_teams):
                return

    def _on(
        self, runs_by_team: dict[str, list[Document]], days: Iterable[str], moment: datetime.datetime, team: str
    ) -> None:
        for day in days:
            for name, keys in self.of_day(day, team).items():
                for stored in map(self._object, keys):
                    if following(runs_by_team[name], moment):
                        break
                    if stored.document not in runs_by_team[name]:
                        runs_by_team[name].append(stored.document)
            if all(self._is_over(runs, moment) for runs in runs_by_team.values()):
                return

    @staticmethod
    def _is_over(runs: Iterable[Document], moment: datetime.datetime) -> bool:
        known = list(runs)
        last = answering(known, moment)
        return following(known, moment) is not None or (last is not None and last["state"] in GONE)

    def _object(self, key: str) -> Stored:
        return self.read([key])[0]

    def between(self, since: datetime.datetime, until: datetime.datetime, team: str = "") -> list[Stored]:
        """The objects of the runs of these days, of one team or of all."""
        days = [day for day in self.days() if since.date().isoformat() <= day <= until.date().isoformat()]
        return self.read(key for day in days for keys in self.of_day(day, team).values() for key in keys)

    def runs_since(
        self, since: datetime.datetime, until: datetime.datetime, is_enough: Callable[[Document], bool]
    ) -> dict[str, list[Document]]:
        """The runs of each team in a time, and before it back to the last one that is enough to begin with."""
        runs_by_team: dict[str, list[Document]] = defaultdict(list)
        for stored in self.between(since, until):
            runs_by_team[stored.document["team"]].append(stored.document)
        open_teams = {*State(self.connection).statuses("team")}
        for day in reversed([day for day in self.days() if day < since.date().isoformat()]):
            for name, keys in self.of_day(day).items():
                if name not in open_teams:
                    continue
                for stored in map(self._object, reversed(keys)):
                    runs_by_team[name].append(stored.document)
                    if is_enough(stored.document):
                        open_teams.discard(name)
                        break
            if not open_teams:
                break
        return runs_by_team

    def runs_read(self, until: datetime.datetime) -> list[Stored]:
        """The runs that have been read and ended by then: those of a time, and what answers for its beginning."""
        runs = (stored for key, stored in self._read.items() if key.startswith(RUNS))
        return [stored for stored in runs if moment_of(stored.document["recorded_at"]) <= until]

    def of_run(self, run: str, days: Iterable[str]) -> list[Stored]:
        """The objects of a run, one for each of its passes: around the first of these days that has any."""
        for day in days:
            if self._keys_of_run(run, day):
                near = [other for other in self.days() if abs(_date(other) - _date(day)) <= _LONGEST_RUN]
                return self.read(key for other in near for key in self._keys_of_run(run, other))
        return []

    def _keys_of_run(self, run: str, day: str) -> list[str]:
        team = run[:-33] if len(run) > 33 else ""  # a name ends with a hyphen and 32 digits
        return [key for keys in self.of_day(day, team).values() for key in keys if _run_of(key) == run]

    def _present(self, team: str) -> Iterator[tuple[str, Document]]:
        """What the state table knows of who can reach what now; its runs may have added nothing to the history."""
        state = State(self.connection)
        statuses = state.statuses("team")
        for name, row in state.access_reports().items():
            report = kept_report(row)
            if report is None or (team and name != team):
                continue
            document, status = report["document"], statuses.get(name, {})
            yield (
                name,
                {
                    **{"team": name, "run": None, "execution": status.get("execution"), "changes": []},
                    **{"started_at": None, "recorded_at": document["read_at"], "proven_at": document["read_at"]},
                    **{"cause": _NO_CAUSE, "state": status.get("state")},
                    **{"access": access_rows(report), "records": report["records"], "drift": None},
                    "digest": status.get("proof"),
                },
            )

    # ---- versions of records ----

    def versions(self, record: str) -> list[Stored]:
        """The versions of a record that the history has, the oldest first."""
        if record not in self._versions:
            kind, _, name = record.partition("#")
            self._versions[record] = self.read(self.keys(versions_of(kind, name)))
        return self._versions[record]

    def all_versions(self, until: datetime.datetime) -> list[Stored]:
        """The versions of all records until a moment."""
        stored = self.read(self.keys(VERSIONS))
        return [version for version in stored if moment_of(version.document["written_at"]) <= until]


def _date(day: str) -> datetime.date:
    return datetime.date.fromisoformat(day)


def _run_of(key: str) -> str:
    """The run of an object, whose name is between the moment and the number of its pass."""
    return key.rpartition("/")[2].partition("-")[2].rpartition("-")[0]


def _with_present(runs: list[Document], present: Document, moment: datetime.datetime) -> list[Document]:
    """The runs of a team around a moment, and what the state table knows where that is newer.

    A run that found nothing new added nothing to the history: it confirms the proof that says the same.
    """
    last, read_at = answering(runs, moment), moment_of(present["proven_at"])
    if last and last["digest"] == present["digest"]:
        confirmed = {**last, "confirmed_at": present["proven_at"]} if read_at <= moment else last
        return [*(run for run in runs if run is not last), confirmed]
    if read_at <= moment:
        return [*runs, present] if last is None or moment_of(last["proven_at"]) < read_at else runs
    return runs if following(runs, moment) else [*runs, present]
