"""Writing records: what they refer to is checked first, and what is there already is not written again."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from podshare.domain.acceptance import accept_team
from podshare.domain.records import Dataset, InvalidRecord, Problem, parse, plain
from podshare_cli.connection import Connection
from podshare_cli.documents import Item, kind_of, name_of
from podshare_cli.failures import invalid
from podshare_cli.tables import Registry, State


@dataclass(frozen=True)
class Written:
    """A record and what putting it did: ``created``, ``changed`` or ``unchanged``."""

    item: Item
    result: str

    def as_dict(self) -> dict[str, str]:
        """The record's id and what became of it."""
        return {"id": self.item["id"], "result": self.result}


def put_records(connection: Connection, items: Sequence[Item]) -> Iterator[Written]:
    """Write records one after the other, signed with the caller's ARN; yields each once it is written.

    A record that says what the registry says already is left alone, because rewriting it would start nothing.
    """
    registry = Registry(connection)
    known = registry.get_all(item["id"] for item in items)
    for item in items:
        before = known.get(item["id"])
        if before and _content(before) == _content(item):
            yield Written(item, "unchanged")
            continue
        registry.put({**item, "changed_by": connection.caller})
        yield Written(item, "changed" if before else "created")


def check_references(connection: Connection, items: Sequence[Item]) -> None:
    """Refuse teams that name a cluster or dataset which is neither among ``items`` nor in the registry.

    Raises Failure (exit code 2) with every problem.
    """
    teams = [item for item in items if kind_of(item) == "team"]
    records = _Known(connection, {item["id"]: item for item in items}, teams)
    problems = [problem for team in teams for problem in records.problems(team)]
    if problems:
        many = "1 reference leads" if len(problems) == 1 else f"{len(problems)} references lead"
        raise invalid(f"{many} nowhere; nothing was written", problems=[problem.as_dict() for problem in problems])


def teams_naming(connection: Connection, record_id: str) -> list[str]:
    """The names of the teams whose record names a cluster or dataset."""
    kind, _, name = record_id.partition("#")
    teams = Registry(connection).all_of("team")
    return [name_of(team) for team in teams if name in (_clusters(team) if kind == "cluster" else _datasets(team))]


class _Known:
    """The clusters and datasets that some teams refer to, as they would be once everything is written."""

    def __init__(self, connection: Connection, candidates: Mapping[str, Item], teams: Iterable[Item]) -> None:
        self._state = State(connection)
        self._own_paths = (f"/{connection.prefix}/", f"/{connection.prefix}-system/")
        wanted = {
            f"{kind}#{name}"
            for team in teams
            for kind, names in (("cluster", _clusters(team)), ("dataset", _datasets(team)))
            for name in names
        }
        absent = wanted - candidates.keys()
        self._records = {**Registry(connection).get_all(absent), **candidates} if absent else dict(candidates)

    def problems(self, team: Item) -> tuple[Problem, ...]:
        """What is wrong with a team's references."""
        clusters = [name for name in _clusters(team) if self._exists(f"cluster#{name}")]
        datasets = {name: self._dataset(name) for name in _datasets(team) if self._exists(f"dataset#{name}")}
        return accept_team(team, None, clusters, datasets, self._own_paths).problems

    def _exists(self, record_id: str) -> bool:
        return record_id in self._records or self._state.was_accepted(record_id)

    def _dataset(self, name: str) -> Dataset | None:
        try:
            record = parse(self._records.get(f"dataset#{name}", {}))
        except InvalidRecord:
            return None
        return record if isinstance(record, Dataset) else None


def _content(item: Mapping[str, Any]) -> Any:
    return {name: value for name, value in plain(item).items() if name != "changed_by"}


def _clusters(team: Mapping[str, Any]) -> set[str]:
    name = team.get("cluster")
    return {name} if isinstance(name, str) else set()


def _datasets(team: Mapping[str, Any]) -> set[str]:
    """The datasets that a record names, which need not be acceptable."""
    accounts = team.get("service_accounts")
    rows = [row for row in accounts if isinstance(row, Mapping)] if isinstance(accounts, list) else []
    grants = [grant for row in rows if isinstance(row.get("datasets"), list) for grant in row["datasets"]]
    return {str(grant["dataset"]) for grant in grants if isinstance(grant, Mapping) and "dataset" in grant}
