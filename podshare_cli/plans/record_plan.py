"""What writing records would do: which records change, and what podshare would then do for the affected teams.

One plan over all records, as `podshare plan` shows it and `podshare apply` carries it out. As a document it keeps each
record as it was read from the registry, so that whoever applies it later notices what has changed since.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from podshare.registry.items import kind_of
from podshare.registry.parsing import problems_of
from podshare_cli import words
from podshare_cli.aws.connection import Connection
from podshare_cli.aws.tables import Registry, State
from podshare_cli.failures import Failure, invalid
from podshare_cli.plans import pruning
from podshare_cli.plans.confirming import Losses, losses_of
from podshare_cli.plans.dry_runs import dry_runs
from podshare_cli.records import provenance
from podshare_cli.records.changes import Effect, RecordChange
from podshare_cli.records.documents import WRITING_ORDER, Read, read_records
from podshare_cli.records.provenance import Provenance, last_change
from podshare_cli.records.references import affected_teams, check_references, record_changes, refuse_used_clusters
from podshare_cli.records.writes import changed_since

SCHEMA = 1  # of the document; raised with a change that an older command would misread
_MOST_NAMED = 5  # changes of a team that are new or gone
_REVOKES = frozenset({"cut", "delete", "drain"})

TeamPlan = Mapping[str, Any]  # the answer of a dry run


@dataclass(frozen=True)
class RecordPlan:
    """One plan over all records, in the order in which they are to be written, and for all affected teams.

    ``failures`` are the teams whose plan could not be made, each with why; ``installation`` is whose plan it is.
    ``sources`` are the files of the records, by id, as far as they are in a repository.
    """

    installation: Mapping[str, str]
    at: str = ""  # when it was made
    records: Sequence[RecordChange] = ()
    teams: Mapping[str, TeamPlan] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    provenance: Provenance = field(default_factory=Provenance)
    sources: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def changes(self) -> list[RecordChange]:
        """The records that would be created, changed, deleted, or written with their file."""
        return [record for record in self.records if record.effect is not Effect.UNCHANGED]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do: no record changes, and no team's resources do."""
        return not self.changes and not self.failures and not any(map(count_of, self.teams.values()))

    @cached_property
    def losses(self) -> list[Losses]:
        """What teams would lose for good, for a person to confirm; or that it is not known."""
        plans: dict[str, TeamPlan | Failure] = {**self.teams}
        plans |= {team: Failure(reason) for team, reason in self.failures.items()}
        each = (losses_of(team, plan) for team, plan in sorted(plans.items()))
        return [team_losses for team_losses in each if team_losses.losses or team_losses.unknown]

    @cached_property
    def blocked(self) -> list[dict[str, str]]:
        """What keeps the plan from being carried out whole, but for what podshare waits for: each with its team."""
        return [*_blocked(self.teams, self.failures)]

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """How many records, resources and teams the plan changes, and how."""
        effects = Counter(record.effect.value for record in self.records)
        shared = {key: effect for plan in self.teams.values() for key, effect in effects_of(plan).items()}
        resources = Counter(shared.values())  # teams of a cluster share its scheduler
        later = sum(int(plan.get("left", 0)) for plan in self.teams.values())
        changed = sum(1 for plan in self.teams.values() if count_of(plan))
        return {
            "records": {effect.value: effects[effect.value] for effect in Effect},
            "resources": {**{name: resources[name] for name in ("add", "change", "revoke")}, "later": later},
            "teams": {"changed": changed, "unchanged": len(self.teams) - changed, "failed": len(self.failures)},
        }

    def as_dict(self) -> dict[str, Any]:
        """The plan as a document, in plain JSON."""
        return {
            "schema": SCHEMA,
            "installation": dict(self.installation),
            "at": self.at,
            "counts": self.counts,
            "blocked": self.blocked,
            "losses": [{"team": each.team, **loss} for each in self.losses for loss in each.losses],
            **{name: self._of_all_teams(name) for name in ("gains", "revocations", "quotas")},
            "records": [record.as_dict() for record in self.records],
            "teams": [dict(plan) for plan in self.teams.values()],
            "failures": dict(self.failures),
            "provenance": self.provenance.as_dict(),
            "sources": {record_id: dict(source) for record_id, source in self.sources.items()},
        }

    def _of_all_teams(self, name: str) -> list[dict[str, Any]]:
        return [{"team": team, **row} for team, plan in self.teams.items() for row in plan.get(name, ())]

    @classmethod
    def of_dict(cls, document: Mapping[str, Any]) -> Self:
        """The reverse of ``as_dict``. Raises Failure for a document of another schema."""
        if document.get("schema") != SCHEMA:
            message = f"The plan has schema {document.get('schema')}; this command reads schema {SCHEMA}."
            raise invalid(message, "Make the plan again with this command.")
        return cls(
            installation=dict(document["installation"]),
            at=str(document["at"]),
            records=[RecordChange.of_dict(record) for record in document["records"]],
            teams={str(plan["team"]): _whole(plan) for plan in document["teams"]},
            failures=dict(document["failures"]),
            provenance=Provenance.of_dict(document["provenance"]),
            sources={record_id: dict(source) for record_id, source in document["sources"].items()},
        )

    @classmethod
    def read_from(cls, path: Path) -> Self:
        """The plan in a file that ``podshare plan --out`` wrote. Raises Failure for what is none."""
        try:
            return cls.of_dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise invalid(f"{path} holds no plan: {error}", "Write one: podshare plan --out FILE") from None


def make(
    connection: Connection,
    read: Read,
    deletions: Iterable[str] = (),
    planned: Callable[[int, int], None] = lambda _done, _of: None,
) -> RecordPlan:
    """The plan of writing the records of files, and of deleting those with the ids ``deletions``.

    ``planned`` is called with how many teams are planned, and of how many. Raises Failure (invalid input) for
    references to what neither the files nor the registry have.
    """
    deleted = {*deletions}
    check_references(connection, read, deleted)
    changes = record_changes(connection, read.items, deleted)
    refuse_used_clusters(connection, changes)
    return _of_changes(connection, changes, planned)


def make_of_files(
    connection: Connection,
    files: Sequence[str],
    *,
    prune: bool = False,
    planned: Callable[[int, int], None] = lambda _done, _of: None,
) -> RecordPlan:
    """The plan of writing the records of files; ``prune`` deletes what was applied from them, and is in none now."""
    origin = provenance.of_files(files)
    read = read_records(files, WRITING_ORDER)
    deletions = pruning.deletions(connection, files, read, origin) if prune else []
    plan = make(connection, read, deletions, planned)
    each = {record_id: origin.source(written.file) for record_id, written in read.written.items()}
    sources = {record_id: source for record_id, source in each.items() if source}
    records = [pruning.tracked(record, sources.get(record.record_id)) if prune else record for record in plan.records]
    return replace(plan, records=records, provenance=origin, sources=sources)


def make_again(
    connection: Connection, saved: RecordPlan, planned: Callable[[int, int], None] = lambda _done, _of: None
) -> RecordPlan:
    """A saved plan, made again. Raises Failure if it is not what it was, with what has changed since, and by whom."""
    _refuse_invalid(saved)
    installation = _installation(connection)
    if saved.installation != installation:
        of, here = (", ".join(map(str, each.values())) for each in (saved.installation, installation))
        raise invalid(f"The plan is of another installation ({of}); this is {here}.", "Use its --profile and --region.")
    now = Registry(connection).get_all(record.record_id for record in saved.records)
    differences = [changed_since(record, now.get(record.record_id)) for record in saved.records]
    fresh = saved
    if not any(differences):
        refuse_used_clusters(connection, saved.records)
        fresh = _of_changes(connection, saved.records, planned)
        differences = [*_differences(saved, fresh)]
        differences += _written_since(connection, saved) if differences else []
    if any(differences):
        reasons = "; ".join(filter(None, differences))
        raise Failure(
            f"The plan is out of date, nothing was written: {reasons}.", "Plan again, and review the new plan."
        )
    return replace(fresh, at=saved.at, provenance=saved.provenance, sources=saved.sources)


def _refuse_invalid(saved: RecordPlan) -> None:
    """Refuse what no plan of files has: a document may come from anywhere. Raises Failure (invalid input)."""
    problems: list[dict[str, str]] = []
    times = Counter(record.record_id for record in saved.records)
    for record in saved.records:
        item = record.item or record.before or {}
        is_one = item.get("id") == record.record_id and kind_of(item) in WRITING_ORDER
        if not is_one or times[record.record_id] > 1 or not record.is_sound:
            raise invalid(f"The plan has no valid record {record.record_id}.", "Plan again.")
        problems += [problem.as_dict() for problem in problems_of(record.item)] if record.item else []
    if problems:
        raise invalid("The plan has invalid records; nothing was written.", problems=problems)


def _differences(saved: RecordPlan, fresh: RecordPlan) -> Iterator[str]:
    """Each team whose plan is not what it was, with the changes that are new or gone."""
    for team in sorted({*saved.teams, *saved.failures, *fresh.teams, *fresh.failures}):
        before, after = saved.teams.get(team), fresh.teams.get(team)
        if before and after and before["hash"] == after["hash"]:
            continue
        was, now = ({*map(_named, changes_of(plan))} if plan else set() for plan in (before, after))
        details = [f"also to {name}" for name in sorted(now - was)] + [f"not to {name}" for name in sorted(was - now)]
        details = [fresh.failures[team]] if team in fresh.failures else details[:_MOST_NAMED]
        shown = f" ({', '.join(details)})" if details else ""
        yield f"team {team} has another plan now{shown}"


def _named(change: Mapping[str, Any]) -> str:
    return f"{change['action']} {words.resource(change)}"


def _written_since(connection: Connection, saved: RecordPlan) -> list[str]:
    """The records that were written since the plan was made, and that are not its own."""
    own = {record.record_id for record in saved.records}
    others = [item for item in Registry(connection).all_of(*WRITING_ORDER) if item["id"] not in own]
    return [
        f"{item['id']} was written at {last_change(item)['at']} by {item.get('changed_by')}"
        for item in others
        if str(last_change(item).get("at", "")) >= saved.at
    ]


def make_of_teams(
    connection: Connection,
    teams: Iterable[str],
    candidates: Sequence[Mapping[str, Any]] = (),
    planned: Callable[[int, int], None] = lambda _done, _of: None,
) -> RecordPlan:
    """What reconciling teams would do, by the registry or with ``candidates`` in its place; no record is written."""
    return _with_teams(connection, (), candidates, teams, planned)


def make_as_adopted(
    connection: Connection,
    teams: Iterable[str],
    candidates: Sequence[Mapping[str, Any]],
    planned: Callable[[int, int], None] = lambda _done, _of: None,
) -> RecordPlan:
    """What podshare would do if the registry held ``candidates``, and the teams' compute quotas were handed over."""
    return _with_teams(connection, (), candidates, teams, planned, adopting=True)


def all_teams(connection: Connection) -> list[str]:
    """Every team that a record or an enrollment asks for, or of which something may be left."""
    records = {item["id"].partition("#")[2] for item in Registry(connection).all_of("team")}
    statuses = State(connection).statuses("team")
    return sorted(records | {team for team, status in statuses.items() if status["state"] != "DELETED"})


def candidate(change: RecordChange) -> dict[str, Any]:
    """A record as a dry run takes it."""
    return dict(change.item) if change.item else {"id": change.record_id, "deleted": True}


def teams_affected_by(connection: Connection, changes: Iterable[RecordChange]) -> list[str]:
    """The teams that changed and deleted records affect."""
    changed = [change for change in changes if change.is_news]
    deletions = [change.record_id for change in changed if change.item is None]
    return affected_teams(connection, [change.item for change in changed if change.item], deletions)


def count_of(plan: TeamPlan) -> int:
    """How many changes a team's plan has, with those that one run cannot carry."""
    return int(plan["count"]) + int(plan.get("left", 0))


def changes_of(plan: TeamPlan) -> Iterator[Mapping[str, Any]]:
    """The changes of a team's plan, in its order."""
    yield from (change for stage in plan["revoke"] for change in stage["changes"])
    chains = (*plan["allocate"], *plan["grant"])
    yield from (change for chain in chains for batch in chain["waves"] for change in batch["changes"])


def effects_of(plan: TeamPlan) -> dict[str, str]:
    """What becomes of each resource that a team's plan names, by its key: ``add``, ``change`` or ``revoke``."""
    actions: dict[str, set[str]] = {}
    for change in changes_of(plan):
        actions.setdefault(change["key"], set()).add(change["action"])
    return {key: _effect(names) for key, names in actions.items()}


def _effect(actions: set[str]) -> str:
    if actions <= _REVOKES:
        return "revoke"
    return "add" if actions == {"create"} else "change"


def _of_changes(
    connection: Connection, changes: Sequence[RecordChange], planned: Callable[[int, int], None]
) -> RecordPlan:
    candidates = [candidate(change) for change in changes if change.is_news]
    return _with_teams(connection, changes, candidates, teams_affected_by(connection, changes), planned)


def _installation(connection: Connection) -> dict[str, str]:
    return {"account": connection.account, "region": connection.region, "prefix": connection.prefix}


def _with_teams(
    connection: Connection,
    changes: Sequence[RecordChange],
    candidates: Sequence[Mapping[str, Any]],
    teams: Iterable[str],
    planned: Callable[[int, int], None],
    *,
    adopting: bool = False,
) -> RecordPlan:
    answers = dry_runs(connection, teams, candidates, planned, adopting=adopting)
    return RecordPlan(
        installation=_installation(connection),
        at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        records=changes,
        teams={team: answer for team, answer in answers.items() if not isinstance(answer, Failure)},
        failures={team: str(answer) for team, answer in answers.items() if isinstance(answer, Failure)},
    )


def _whole(plan: TeamPlan) -> TeamPlan:
    """A team's plan in a document. Raises LookupError or TypeError unless it has what plans are compared by."""
    _ = plan["hash"], [_named(change) for change in changes_of(plan)]
    return plan


def _blocked(teams: Mapping[str, TeamPlan], failures: Mapping[str, str]) -> Iterator[dict[str, str]]:
    for team, reason in failures.items():
        yield {"team": team, "what": reason, "remedy": "Fix what the message names, and plan again."}
    for team, plan in teams.items():
        for problem in plan.get("problems", ()):
            yield {"team": team, "what": f"invalid record {problem['record']}", "remedy": problem["remedy"]}
        for blocker in plan["obstacles"]:
            if not blocker.get("waits"):
                yield {"team": team, "what": blocker["what"], "remedy": blocker["remedy"]}
