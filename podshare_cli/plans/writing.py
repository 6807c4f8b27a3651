"""Write the records of files, once it is confirmed what anybody loses by it."""

from collections.abc import Sequence

from podshare_cli.options import Options
from podshare_cli.plans import confirming
from podshare_cli.progress.following import Runs
from podshare_cli.records import provenance, references, writes
from podshare_cli.records.changes import RecordChange
from podshare_cli.records.documents import Read, read_records


def read_to_write(options: Options, files: Sequence[str], kinds: Sequence[str]) -> Read:
    """The records of files, which refer to what exists. Raises Failure."""
    read = read_records(files, kinds)
    references.check_references(options.connection, read)
    return read


def put(
    options: Options, files: Sequence[str], read: Read, *, wait: bool, reason: str, yes: bool, whole: bool
) -> tuple[list[RecordChange], Runs]:
    """Write the records of ``files`` once their losses are confirmed; the ``whole`` of them is shown, or the first.

    Returns what became of each record, and the runs of all affected teams to ``wait`` for. Raises Failure.
    """
    origin = provenance.of_files(files, reason)
    changes = references.record_changes(options.connection, read.items)
    changed = references.changed_items(changes)
    affected = references.affected_teams(options.connection, changed)
    losing = confirming.losses_counted(options, affected, read.items)
    approvals = confirming.agree(options, losing, yes=yes, reason=reason, whole=whole)
    record_ids = [item["id"] for item in changed]
    runs = Runs(options, {team: record_ids for team in affected if wait})
    writes.write(options.connection, [*approvals, *changes], origin)
    return changes, runs
