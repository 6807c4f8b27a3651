"""What ``--prune`` deletes: records that files of the same place once held, and that no file holds now."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from podshare.registry.sentences import counted
from podshare_cli.aws.connection import Connection
from podshare_cli.aws.tables import Registry
from podshare_cli.failures import invalid
from podshare_cli.records.changes import Effect, RecordChange
from podshare_cli.records.documents import STDIN, WRITING_ORDER, Read
from podshare_cli.records.provenance import Provenance, last_change

Item = dict[str, Any]


def deletions(connection: Connection, files: Sequence[str], read: Read, provenance: Provenance) -> list[str]:
    """The ids of the records to delete: last applied from a file at or below ``files``, and in none of them now.

    Raises Failure (invalid input) where that cannot be known, and where the files hold no record at all.
    """
    places = [_place(file, provenance) for file in files]
    records = Registry(connection).all_of(*WRITING_ORDER)
    gone = [item["id"] for item in records if item["id"] not in read.written and _is_of(item, places, provenance)]
    if gone and not read.written:
        message = (
            f"{', '.join(files)} hold no record, and --prune would delete all {counted(len(gone), 'record')} of them."
        )
        raise invalid(message, "If that is meant, delete the records one by one.")
    return gone


def tracked(change: RecordChange, source: Mapping[str, str] | None) -> RecordChange:
    """A record that says the same, but was not applied from the file that holds it: it is written with that file."""
    if source is None or change.effect is not Effect.UNCHANGED or last_change(change.before).get("source") == source:
        return change
    return replace(change, effect=Effect.TRACK)


def _place(file: str, provenance: Provenance) -> str:
    path = None if file == STDIN else provenance.path(file)
    if path is None or not provenance.repository:
        message = f"--prune cannot know which records are from {file}: it is in no git repository with a remote origin."
        raise invalid(message, "Apply files of a clone, or without --prune.")
    return path


def _is_of(item: Mapping[str, Any], places: Iterable[str], provenance: Provenance) -> bool:
    source = last_change(item).get("source")
    if not isinstance(source, Mapping) or source.get("repository") != provenance.repository:
        return False
    path = str(source.get("path", ""))
    return any(place in (".", path) or path.startswith(f"{place}/") for place in places)
