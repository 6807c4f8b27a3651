"""Keep the history of who had access: what a run found and did, and each version of a record.

Nothing waits for it and nothing fails with it: what the bucket does not take is kept in the state table, and the next
sweep writes it again (docs/decisions/0068).
"""

import datetime
import json
from collections.abc import Iterable, Mapping
from typing import Any

from podshare.access.access_report import digest, kept_report, packed, unpacked
from podshare.access.history import (
    OWN_CALLS,
    SCHEMA_VERSION,
    Document,
    body_of,
    run_document,
    run_key,
    version_document,
    version_key,
)
from podshare.aws.errors import reason_of
from podshare.aws.history_bucket import HistoryBucket
from podshare.aws.rows import UNWRITTEN, from_item, moment
from podshare.aws.settings import Settings
from podshare.aws.tables import State
from podshare.reconcile.access_reports import ACCESS_REPORTS
from podshare.reconcile.outcome import Pass

MOST_AT_ONCE = 500  # objects that one sweep makes up for
WRITTEN, UNTAKEN, LOST = "written", "not written", "lost"


def bucket_of(settings: Settings) -> HistoryBucket:
    """The installation's bucket."""
    return HistoryBucket(settings.history_bucket, settings.account)


# ---- runs ------------------------------------------------------------------------------------------------------


def marks(ended: Pass) -> dict[str, Any]:
    """What a team's status keeps so that the next run knows whether it is news."""
    access_report = ended.verification.get("proof", {})
    said = {
        "state": ended.result.state.value,
        "problems": [*ended.result.problems],
        "held": (ended.plan.get("held") or {}).get("hash"),
        "proof": access_report.get("digest"),
        "grants": access_report.get("grants"),
    }
    said_digest = digest(json.loads(json.dumps(said, default=str)))
    return {"schema_version": SCHEMA_VERSION, "fence": ended.fence, "said": said_digest}


def is_news(ended: Pass, now: Mapping[str, Any]) -> bool:
    """Whether a pass has anything to report: what it changed, or that something is otherwise than before.

    The first pass of a sweep's run always has, so that each night proves again who can reach what; that of a run after
    somebody's call, so that the history knows the call; and one that is repeated, because its first attempt may have
    ended before it was written. ``now`` are its marks.
    """
    if ended.results or ended.event.get("error"):
        return True
    if _is_evidence(ended.trigger) and not int(ended.event.get("waits", 0)):
        return True
    before = ended.before.get("history") or {}
    return before.get("said") != now["said"] or before.get("fence") == now["fence"] or "schema_version" not in before


def _is_evidence(trigger: Mapping[str, Any]) -> bool:
    own = str(trigger.get("id", "")).startswith(OWN_CALLS)
    return trigger.get("event") == "sweep" or (trigger.get("event") == "drift" and not own)


def run_entry(state: State, ended: Pass) -> Document:
    """The object of a pass, with the proof that it has left, if that is still the team's latest; empty for none."""
    try:
        report = _access_report(state, ended.team, ended.verification.get("proof", {}).get("digest"))
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        result = ended.result
        outcome = {"state": result.state.value, "summary": result.summary, "problems": result.problems}
        return run_document(ended.event, outcome, ended.results, report, now)
    except Exception:  # whatever it is: the run goes on, and the next sweep proves again
        return {}


def _access_report(state: State, team: str, expected: str | None) -> dict[str, Any] | None:
    row = state.get(ACCESS_REPORTS, f"team#{team}") if expected else None
    report = kept_report(row) if row else None
    return report if report and digest(report["document"]) == expected else None


def keep_run(settings: Settings, document: Document) -> str:
    """Write a run's object, or keep it for the sweep; returns which."""
    return _keep(settings, [(run_key(document), document)]) if document else LOST


# ---- versions of records ---------------------------------------------------------------------------------------


def keep_versions(settings: Settings, records: Iterable[Mapping[str, Any]]) -> str:
    """Write the versions of records in records of the registry's stream, or keep them for the sweep."""
    try:
        documents = [_version(record["dynamodb"], str(record["eventName"])) for record in records]
        return _keep(settings, [(version_key(document), document) for document in documents])
    except Exception:  # whatever it is: a record that nobody can read keeps no other one waiting
        return LOST


def _version(change: Mapping[str, Any], kind: str) -> Document:
    key, after, before = (from_item(change.get(name) or {}) for name in ("Keys", "NewImage", "OldImage"))
    details = {
        "kind": kind,
        "time": moment(change.get("ApproximateCreationDateTime")),
        "sequence": change.get("SequenceNumber", ""),
    }
    return version_document(after or key, before, details)


# ---- writing ---------------------------------------------------------------------------------------------------


def _keep(settings: Settings, documents: Iterable[tuple[str, Document]]) -> str:
    """Write objects; once the bucket has not taken one, it is not asked for the others."""
    bucket, kept, reason = bucket_of(settings), WRITTEN, ""
    for key, document in documents:
        body = body_of(document)
        reason = reason or _untaken(bucket, key, body)
        if reason:
            kept = _keep_for_the_sweep(settings, key, body, reason)
    return kept


def _untaken(bucket: HistoryBucket, key: str, body: str) -> str:
    """Why the bucket has not taken an object; empty if it has."""
    try:
        bucket.add(key, body)
    except Exception as error:  # whatever it is: nothing may fail with the history
        return reason_of(error) or type(error).__name__
    return ""


def _keep_for_the_sweep(settings: Settings, key: str, body: str, reason: str) -> str:
    try:
        State(settings.state).put(UNWRITTEN, key, body=packed(body), reason=reason[:1000])
    except Exception:  # as above; the next sweep's run writes the team's proof again
        return LOST
    return UNTAKEN


def make_up(settings: Settings) -> dict[str, int]:
    """Write what the bucket has not taken so far; returns how many objects were missing, and how many still are."""
    state, bucket = State(settings.state), bucket_of(settings)
    rows = state.query(UNWRITTEN)
    written = 0
    for row in rows[:MOST_AT_ONCE]:
        if _untaken(bucket, str(row["part"]), unpacked(str(row["body"]))):
            break  # the sweep counts it, and the next one tries again
        state.delete(UNWRITTEN, str(row["part"]))
        written += 1
    return {"gaps": len(rows), "left": len(rows) - written}
