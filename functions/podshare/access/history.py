"""What the history of who had access holds: an object for each run that was news, and for each version of a record.

An object is one line of JSON. Its fields are the columns of the Glue tables (template.yaml), so that none of them is a
word of SQL's. A new field may come; one that changes its meaning needs another ``SCHEMA_VERSION`` and another prefix.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from podshare.access.doors import Door
from podshare.access.effective_access import Access, account_of
from podshare.registry.items import plain
from podshare.registry.lines import lines_of, version_of
from podshare.registry.sentences import in_words

SCHEMA_VERSION = 1
RUNS, VERSIONS = "runs/v1/", "records/v1/"
OWN_CALLS = "own calls/"  # how the id of a trigger begins that podshare's own calls are
_LONGEST_NAME = 100  # of a part of a key (S3 takes 1,024 bytes)
_CHANGES = {"INSERT": "created", "MODIFY": "changed", "REMOVE": "deleted"}

Document = dict[str, Any]


def body_of(document: Mapping[str, Any]) -> str:
    """An object's content."""
    return json.dumps(document, separators=(",", ":"), default=str) + "\n"


def run_key(document: Mapping[str, Any]) -> str:
    """Where a run's object is; the same pass of a run has the same, however often it is written."""
    day = str(document["recorded_at"])[:10]
    name = f"{_compact(document['recorded_at'])}-{document['run']}-{document['fence']}.json"
    return f"{RUNS}date={day}/team={_name(document['team'])}/{name}"


def version_key(document: Mapping[str, Any]) -> str:
    """Where a version of a record is: beside the record's others."""
    kind, _, name = str(document["id"]).partition("#")
    return f"{versions_of(kind, name)}{_compact(document['written_at'])}-{document['sequence']}.json"


def versions_of(kind: str, name: str) -> str:
    """Where all versions of a record are."""
    return f"{VERSIONS}kind={_name(kind)}/name={_name(name)}/"


def run_document(
    event: Mapping[str, Any],
    outcome: Mapping[str, Any],
    results: Sequence[Mapping[str, Any]],
    report: Mapping[str, Any] | None,
    recorded_at: str,
) -> Document:
    """A pass of a run: what started it, what it planned and changed, how it ended, and who can reach what since.

    ``report`` has the access report's ``document``, the ``grants`` of its lines and the ``records`` that they are from,
    and what was ``widened``; None if it is not known any more.
    """
    plan, verification = event.get("plan", {}), event.get("verification") or event.get("plan", {}).get("verification")
    summary = (verification or {}).get("proof", {})
    return {
        "schema_version": SCHEMA_VERSION,
        "team": event["team"],
        "run": str(event["execution"]).rpartition(":")[2],
        "fence": int(event["lease"]["fence"]),
        "execution": event["execution"],
        "started_at": event.get("started"),
        "recorded_at": recorded_at,
        "cause": _cause(event.get("trigger", {})),
        "plan": {
            "hash": plan.get("hash"),
            "planned": int(plan.get("count", 0)),
            "postponed": int(plan.get("left", 0)),
            "problems": [in_words(problem) for problem in plan.get("problems", ())],
            "blockers": [in_words(problem) for problem in plan.get("obstacles", ())],
            "notes": [str(note) for note in plan.get("notes", ())],
            "held": (plan.get("held") or {}).get("hash"),
        },
        "changes": _changes(results, event.get("planned", ())),
        "state": outcome["state"],
        "summary": outcome["summary"],
        "problems": [in_words(problem) for problem in outcome["problems"]],
        "verified": bool((verification or {}).get("verified")),
        "proven_at": report["document"]["read_at"] if report else None,
        "digest": summary.get("digest"),
        "holds": summary.get("holds"),
        "records": [*report["records"]] if report else [],
        "access": access_rows(report) if report else None,
        "unexpected": [in_words(problem) for problem in summary.get("broken", ())],
        "drift": _drift(report["widened"]) if report else None,
    }


def version_document(record: Mapping[str, Any], before: Mapping[str, Any], change: Mapping[str, Any]) -> Document:
    """A version of a record: what it says, which of its lines are new, and which are gone.

    ``change`` is the stream's: its ``kind``, its ``time`` and its ``sequence`` number. Of a record that was deleted,
    ``record`` holds the id alone: who did it is not declared anywhere.
    """
    now, then = _lines(record), _lines(before)
    version = version_of(record, before)
    return {
        "schema_version": SCHEMA_VERSION,
        **version,
        "declared_at": version["written_at"] or None,
        "written_at": change["time"],
        "sequence": str(change["sequence"]),
        "change": _CHANGES.get(str(change["kind"]), str(change["kind"])),
        "lines": [{"line": line, "until": until or None} for line, until in now.items()],
        "added": [line for line, until in now.items() if then.get(line) != until],
        "removed": [line for line, until in then.items() if now.get(line) != until],
        "content": json.dumps(plain(record), sort_keys=True, default=repr) if change["kind"] != "REMOVE" else None,
    }


def _lines(record: Mapping[str, Any]) -> dict[str, str]:
    return {line.text: line.until for line in lines_of(record)}


def _cause(trigger: Mapping[str, Any]) -> Document:
    version = trigger.get("version")
    texts = {"event": "event", "record": "record", "change": "change", "caller": "by", "reason": "reason"}
    return {
        **{name: str(trigger.get(field) or "") for name, field in texts.items()},
        "commit_id": str(trigger.get("commit") or ""),
        "version": version if isinstance(version, int) else None,
        "happened_at": str(trigger.get("at") or "") or None,
        "id": str(trigger.get("id") or ""),
    }


def _changes(results: Sequence[Mapping[str, Any]], planned: Sequence[Mapping[str, Any]]) -> list[Document]:
    """What became of each change, with what the plan says of it, which results leave out."""
    known = {(change["key"], change["action"]): change for change in planned}
    return [_change({**known.get((result.get("key"), result.get("action")), {}), **result}) for result in results]


def _change(result: Mapping[str, Any]) -> Document:
    texts = {name: str(result.get(name) or "") for name in ("action", "kind", "account", "region", "name", "why")}
    differs = [
        {"field": str(each.get("field")), "before": str(each.get("from")), "after": str(each.get("to"))}
        for each in result.get("differs", ())
    ]
    outcome = {"status": str(result["status"]), "detail": str(result.get("detail") or "")}
    key = str(result.get("key") or "")  # kind, account, region, what it is in, name
    return {**texts, **outcome, "differs": differs, "seconds": result.get("seconds"), "key": key}


def access_rows(report: Mapping[str, Any]) -> list[Document]:
    """Who could do what, and by which lines of which record; then the doors that an owner keeps open."""
    document = report["document"]
    grants = report["grants"] if len(report["grants"]) == len(document["access"]) else [[] for _ in document["access"]]
    behind = behind_unexpected(document)
    rows = []
    for access_document, lines in zip(document["access"], grants, strict=True):
        access, granted = Access.of_dict(access_document), bool(access_document["granted"])
        rows.append(_row(access, lines if granted else [], () if granted else behind.get(access, ()), granted=granted))
    team = f"team#{document['team']}"
    for row in document.get("doors", ()):
        if row["expected"]:
            door, grant = Door.of_dict(row), {"record": row.get("record") or team, "line": row["kind"], "until": None}
            rows.append({**_row(door.access, [grant], door.behind), "door": True})
    return rows


def behind_unexpected(document: Mapping[str, Any]) -> dict[Access, tuple[str, ...]]:
    """Who is behind the principals of the doors that no record grants."""
    behind: dict[Access, tuple[str, ...]] = {}
    for door in (Door.of_dict(row) for row in document.get("doors", ()) if not row["expected"]):
        behind[door.access] = tuple(sorted({*behind.get(door.access, ()), *door.behind}))
    return behind


def _row(
    access: Access, grants: Sequence[Mapping[str, Any]], behind: Sequence[str] = (), *, granted: bool = True
) -> Document:
    return {
        "who": access.who,
        "account": account_of(access.who),
        "may": [*access.may],
        "place": access.where,
        "what": access.what,
        "through": [*access.through],
        "resources": [*access.by],
        "granted": granted,
        "door": False,
        "grants": [dict(grant) for grant in grants],
        "behind": [*behind],
    }


def access_of(row: Mapping[str, Any]) -> Access:
    """An access, as a row of the history has it."""
    lists = {"may": tuple(row["may"]), "through": tuple(row["through"]), "by": tuple(row["resources"])}
    return Access(who=row["who"], where=row["place"], what=row["what"], **lists)


def _drift(drift: Mapping[str, Any]) -> Document | None:
    """What was found last that nobody granted, and when; it may be gone since."""
    return {"found": [str(access) for access in drift["found"]], "found_at": drift["at"]} if drift else None


def _name(text: object) -> str:
    """A part of a key: what a name may not have, or is too long, becomes a hash, so that no two are the same."""
    name = str(text)
    if re.fullmatch(rf"[A-Za-z0-9._-]{{1,{_LONGEST_NAME}}}", name):
        return name
    return f"={hashlib.sha256(name.encode()).hexdigest()[:32]}"


def _compact(moment: object) -> str:
    """A moment in UTC, as a key has it, in the order of time."""
    return re.sub(r"\+00:00$", "Z", str(moment)).replace("-", "").replace(":", "")
