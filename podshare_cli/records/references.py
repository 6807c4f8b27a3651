"""Before records are written: what they refer to is checked, and which teams they affect is known."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from podshare.registry.acceptance import accept_team
from podshare.registry.accounts import Account
from podshare.registry.enrollments import team_name, team_of
from podshare.registry.items import clusters_of, datasets_of, enrolled, kind_of, name_of
from podshare.registry.parsing import Record, parse
from podshare.registry.problems import InvalidRecord, Problem
from podshare.registry.records import Cluster, Dataset
from podshare.registry.sentences import counted
from podshare.registry.templates import rendered
from podshare_cli.aws.connection import Connection
from podshare_cli.aws.tables import Registry, State
from podshare_cli.failures import Failure, invalid
from podshare_cli.records.changes import RecordChange, deleting, writing
from podshare_cli.records.documents import WRITING_ORDER, Item, Read

_SOME_ACCOUNT = "000000000000"  # which one does not matter to what a template refers to


def record_changes(connection: Connection, items: Sequence[Item], deletions: Iterable[str] = ()) -> list[RecordChange]:
    """What becomes of each record: written ones in the order of writing, then deletions, what refers to others first.

    A record that says what the registry says is unchanged; what is not there is not deleted.
    """
    deleted = sorted(set(deletions) - {item["id"] for item in items}, key=_deleting_order)
    known = Registry(connection).get_all([*(item["id"] for item in items), *deleted])
    return [
        *(writing(item, known.get(item["id"])) for item in items),
        *(deleting(known[record_id]) for record_id in deleted if record_id in known),
    ]


def _deleting_order(record_id: str) -> tuple[int, str]:
    return -WRITING_ORDER.index(kind_of({"id": record_id})), record_id


def changed_items(changes: Iterable[RecordChange]) -> list[Item]:
    """The records that would say something else than the registry does."""
    return [change.item for change in changes if change.item and change.is_news]


def refuse_used_clusters(connection: Connection, changes: Sequence[RecordChange]) -> None:
    """Refuse to delete a cluster that a team or an enrollment names once these records are written. Raises Failure."""
    clusters = [name_of(change.before) for change in changes if change.before and _deletes_a_cluster(change)]
    if not clusters:
        return
    records = {item["id"]: item for item in Registry(connection).all_of("team", "enrollment")}
    records |= {change.record_id: change.item or {} for change in changes}  # what is deleted names nothing
    for cluster in clusters:
        users = sorted(record_id for record_id, item in records.items() if item and cluster in _clusters(item))
        if users:
            remedy = "Delete these teams and enrollments, or move them to another cluster first."
            raise Failure(f"Cluster {cluster} is used by {', '.join(users)}.", remedy)


def _deletes_a_cluster(change: RecordChange) -> bool:
    return change.item is None and change.record_id.startswith("cluster#")


def check_references(connection: Connection, read: Read, deletions: Iterable[str] = ()) -> None:
    """Refuse teams and enrollments that name a cluster or dataset which neither these records nor the registry have.

    What is among ``deletions`` the registry will not have. So is a second record of one EKS cluster refused.
    Raises Failure (exit code 64) with every problem.
    """
    naming = [item for item in read.items if kind_of(item) in ("team", "enrollment")]
    records = _Known(connection, {item["id"]: item for item in read.items}, naming, {*deletions})
    unlocated = [*_same_clusters(connection, read), *(problem for item in naming for problem in records.problems(item))]
    problems = read.located(unlocated)
    if problems:
        many = counted(len(problems), "problem")
        raise invalid(f"{many} in these records; nothing was written", problems=problems)


def _same_clusters(connection: Connection, read: Read) -> Iterator[Problem]:
    candidates = {item["id"]: item for item in read.items if kind_of(item) == "cluster"}
    registered = {item["id"]: item for item in Registry(connection).all_of("cluster")} if candidates else {}
    known = [cluster for cluster in map(_parsed, {**registered, **candidates}.values()) if isinstance(cluster, Cluster)]
    for record in (cluster for cluster in known if f"cluster#{cluster.name}" in candidates):
        for other in known:
            if other.name != record.name and other.is_same_as(record):
                rule = f"is the EKS cluster of cluster#{other.name} too; a cluster has one record"
                remedy = f"Use cluster {other.name}, or delete cluster#{other.name} first."
                yield Problem(f"cluster#{record.name}", "eks_cluster", record.eks_cluster, rule, remedy)


def affected_teams(connection: Connection, items: Iterable[Item], deletions: Iterable[str] = ()) -> list[str]:
    """The teams that records, written so, and the deletion of others affect.

    They are those written and deleted, those of enrollments, and those that use a cluster or dataset among them.
    """
    written = [*items]
    ids = {*(str(item["id"]) for item in written), *deletions}
    using = [item for item in _all_naming(connection, ids) if _references(item) & ids]
    teams = _names_of("team", (*ids, *(item["id"] for item in using)))
    enrollments = _names_of("enrollment", (*ids, *(item["id"] for item in using)))
    new = {team for item in written if kind_of(item) == "enrollment" for team in enrolled_by(connection, item)}
    return sorted(teams | new | {*teams_enrolled(connection, enrollments)})


def _all_naming(connection: Connection, ids: Iterable[str]) -> list[Item]:
    """The records that may name a cluster or dataset, if any of ``ids`` is one."""
    if not any(record_id.startswith(("cluster#", "dataset#")) for record_id in ids):
        return []
    return Registry(connection).all_of("team", "enrollment")


def _names_of(kind: str, ids: Iterable[str]) -> set[str]:
    return {record_id.partition("#")[2] for record_id in ids if record_id.startswith(f"{kind}#")}


def teams_using(connection: Connection, record_id: str) -> list[str]:
    """The teams whose record, or whose enrollment's, names a cluster or dataset, or that an enrollment has made."""
    return teams_by_record(connection, [record_id])[record_id]


def teams_by_record(connection: Connection, record_ids: Collection[str]) -> dict[str, list[str]]:
    """The teams that use each of some clusters, datasets or enrollments, by one reading of them all."""
    naming = {str(item["id"]): _references(item) for item in _all_naming(connection, record_ids)}
    naming |= {record_id: {record_id} for record_id in record_ids if record_id.startswith("enrollment#")}
    teams = {record_id: [record_id.removeprefix("team#")] for record_id in naming if record_id.startswith("team#")}
    for team in teams_enrolled(connection, _names_of("enrollment", naming)):
        if made_by := enrolled(team):
            teams.setdefault(f"enrollment#{made_by[0]}", []).append(team)
    return {
        record_id: sorted(team for user, named in naming.items() if record_id in named for team in teams.get(user, ()))
        for record_id in record_ids
    }


def enrolled_by(connection: Connection, enrollment: Item) -> list[str]:
    """The teams that an enrollment, if it says ``enrollment``, makes for the accounts that podshare knows."""
    accounts = map(Account.of_row, State(connection).accounts())
    return [
        team_name(name_of(enrollment), account.id)
        for account in accounts
        if team_of(enrollment, account).item is not None
    ]


def teams_enrolled(connection: Connection, enrollments: Iterable[str]) -> list[str]:
    """The teams that enrollments have made, as far as something of them is left."""
    wanted = set(enrollments)
    if not wanted:
        return []
    statuses = State(connection).statuses("team")
    return sorted(
        team
        for team, status in statuses.items()
        if status["state"] != "DELETED" and (made_by := enrolled(team)) and made_by[0] in wanted
    )


class _Known:
    """The clusters and datasets that some records refer to, as they would be once everything is written."""

    def __init__(
        self, connection: Connection, candidates: Mapping[str, Item], naming: Iterable[Item], deleted: Collection[str]
    ) -> None:
        self._deleted = deleted
        self._state = State(connection)
        self._prefix = connection.prefix
        self._own_paths = (f"/{connection.prefix}/", f"/{connection.prefix}-system/")
        wanted = {record_id for item in naming for record_id in _references(item)}
        absent, registry = wanted - candidates.keys(), Registry(connection)
        registered = registry.get_all(absent) if absent else {}
        if absent - registered.keys():  # something like it may have been meant
            registered = {item["id"]: item for item in registry.all_of("cluster", "dataset")}
        left = {record_id: item for record_id, item in registered.items() if record_id not in deleted}
        self._records = {**left, **candidates}

    def problems(self, item: Item) -> tuple[Problem, ...]:
        """What is wrong with the references of a team, or of an enrollment's team."""
        clusters = self._names("cluster", _clusters(item))
        datasets = {name: self._dataset(name) for name in self._names("dataset", _datasets(item))}
        if kind_of(item) == "team":
            return accept_team(item, None, clusters, datasets, self._own_paths, prefix=self._prefix).problems
        problems = accept_team(_some_team(item), None, clusters, datasets, self._own_paths).problems
        return tuple(_of_template(problem, item["id"]) for problem in problems)

    def _names(self, kind: str, named: Iterable[str]) -> set[str]:
        """The records of a kind that there are, or were, as far as they are named or could have been meant."""
        existing = {name_of(item) for item in self._records.values() if kind_of(item) == kind}
        absent = (name for name in {*named} - existing if f"{kind}#{name}" not in self._deleted)
        return existing | {name for name in absent if self._state.was_accepted(f"{kind}#{name}")}

    def _dataset(self, name: str) -> Dataset | None:
        record = _parsed(self._records.get(f"dataset#{name}", {}))
        return record if isinstance(record, Dataset) else None


def _parsed(item: Item) -> Record | None:
    try:
        return parse(item)
    except InvalidRecord:
        return None


def _some_team(enrollment: Item) -> Item:
    """The team of some account by an acceptable enrollment; where a placeholder stands, any figure would do."""
    fields = rendered(enrollment["team"], lambda _: "1")
    members = [{**fields.pop("member", {}), "account": _SOME_ACCOUNT}]
    return {"id": "team#any", "schema": 1, **fields, "members": members}


def _of_template(problem: Problem, record_id: str) -> Problem:
    field = problem.field.replace("members.0", "member")
    return replace(problem, record=record_id, field=f"team.{field}")


def _team_fields(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """A team's fields, or those of the team that an enrollment makes."""
    fields = item.get("team", {}) if kind_of(item) == "enrollment" else item
    return fields if isinstance(fields, Mapping) else {}


def _clusters(item: Mapping[str, Any]) -> set[str]:
    return {*clusters_of(_team_fields(item))}


def _datasets(item: Mapping[str, Any]) -> set[str]:
    return datasets_of(_team_fields(item))


def _references(item: Mapping[str, Any]) -> set[str]:
    """The ids of the clusters and datasets that a team or an enrollment names."""
    return {f"cluster#{name}" for name in _clusters(item)} | {f"dataset#{name}" for name in _datasets(item)}
