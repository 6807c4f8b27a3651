"""Who deleted a record, and why: the record is gone and declares nobody, but the approval written with it does.

Whoever deletes a record with the command confirms what each team loses by that, in the same transaction. The approval
is found by its team and its moment. It is declared, as every record's writer is. The deletion of another record than a
team's by which nobody loses access has none, nor has one with another tool.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self

from podshare.registry.declared import declaration_of
from podshare_cli.aws.connection import Connection
from podshare_cli.aws.tables import Registry
from podshare_cli.progress.executions import Execution
from podshare_cli.records.documents import WRITING_ORDER

_CLOSE = timedelta(seconds=2)  # DynamoDB tells the moment of a transaction in whole seconds


@dataclass(frozen=True)
class Confirmation:
    """A version of an approval: who agreed to what a team loses by a write, for whom, why, and from which commit."""

    record: str
    version: int | None
    by: str
    author: str
    reason: str
    commit: str
    at: str

    def as_dict(self) -> dict[str, Any]:
        """The confirmation for machines."""
        return asdict(self)

    @classmethod
    def of_version(cls, document: Mapping[str, Any]) -> Self | None:
        """As the history has it; None for an approval of a held plan, and for one that was deleted."""
        if not json.loads(document["content"] or "{}").get("confirmed"):
            return None
        return cls(
            record=str(document["id"]),
            version=document["version"],
            by=str(document["writer"] or ""),
            author=str(document["author"] or ""),
            reason=str(document["reason"] or ""),
            commit=str(document["commit_id"] or ""),
            at=str(document["written_at"]),
        )

    @classmethod
    def of_record(cls, item: Mapping[str, Any]) -> Self | None:
        """As the registry has it; None for an approval of a held plan."""
        declared = declaration_of(item)
        if not item.get("confirmed"):
            return None
        return cls(
            record=str(item["id"]),
            version=declared.get("version"),
            by=declared.get("by", ""),
            author=declared.get("author", ""),
            reason=declared.get("reason", ""),
            commit=declared.get("commit", ""),
            at=str(item["confirmed"]),
        )


def is_deletion(cause: Mapping[str, Any]) -> bool:
    """Whether the cause of a run, or its trigger, is that a record was deleted: no pause, block or approval."""
    kind = str(cause.get("record", "")).partition("#")[0]
    return (cause.get("event"), cause.get("change")) == ("registry", "REMOVE") and kind in WRITING_ORDER


def of_deletion(
    cause: Mapping[str, Any], happened_at: object, confirmations: Iterable[Confirmation | None]
) -> Confirmation | None:
    """The one of ``confirmations``, all of one team, that was written with the deletion that started a run.

    ``cause`` is that of a run, or its trigger. None for other causes, and where none was written at that moment.
    """
    if not (is_deletion(cause) and happened_at):
        return None
    then = datetime.fromisoformat(str(happened_at))
    apart = [(abs(datetime.fromisoformat(each.at) - then), each) for each in confirmations if each]
    return min((each for each in apart if each[0] <= _CLOSE), key=lambda each: each[0], default=(None, None))[1]


def with_confirmations(connection: Connection, executions: Iterable[Execution]) -> list[Execution]:
    """Runs, with who deleted a record and why in their triggers: of each team's last deletion that somebody confirmed.

    It goes by the registry, which more people may read than the history.
    """
    runs = [*executions]
    names = {f"approval#{run.team}" for run in runs if is_deletion(run.trigger)}
    approvals = Registry(connection).get_all(names) if names else {}
    last = {name: Confirmation.of_record(item) for name, item in approvals.items()}
    return [_with_confirmation(run, last.get(f"approval#{run.team}")) for run in runs]


def _with_confirmation(run: Execution, last: Confirmation | None) -> Execution:
    confirmation = of_deletion(run.trigger, run.trigger.get("at"), [last])
    if not confirmation:
        return run
    declared = {"by": confirmation.by, "reason": confirmation.reason, "commit": confirmation.commit}
    return replace(run, trigger={**run.trigger, **declared, "declared_in": confirmation.record})
