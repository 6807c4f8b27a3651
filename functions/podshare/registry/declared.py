"""Who wrote a record and why, as its writer declared it: of what that writer wrote, and of nothing since.

Whoever edits an item without the command leaves the former writer's name and reason in it. The command therefore
declares a digest of what it writes, and declares each write again (docs/decisions/0061).
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from podshare.registry.items import SIGNATURE, plain

_LARGEST_VERSION = 10**8  # what a trigger and the history take


def digest_of(record: Mapping[str, Any]) -> str:
    """A digest of what a record says, with its writer and without its last change."""
    content = {name: value for name, value in plain(record).items() if name != "change"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=repr).encode()).hexdigest()


def declaration_of(record: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Who wrote a record (``by``), for whom, why, when and as which version, each where it is declared.

    Empty where nobody has declared to have written what the record says now. ``before`` is what it was before its last
    write, if that is known: what stood in it then was declared of another write.
    """
    fields, former = plain(record), plain(before or {})
    change = _change(fields)
    has_other_content = "digest" in change and change["digest"] != digest_of(fields)
    if has_other_content or not _is_declared_again(fields, former):
        return {}
    names = ("author", "reason", "commit", "at")
    texts = {"by": fields.get("changed_by"), **{name: change.get(name) for name in names}}
    version = _version(fields)
    return {
        **{name: text for name, text in texts.items() if isinstance(text, str) and text},
        **({} if version is None else {"version": version}),
    }


def _is_declared_again(fields: Mapping[str, Any], former: Mapping[str, Any]) -> bool:
    """Whether a write has declared anything of itself; the command raises the version with each."""
    version, former_version = _version(fields), _version(former)
    if version is not None and former_version is not None:
        return version > former_version
    return any(fields.get(name) != former.get(name) for name in SIGNATURE)


def _change(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    change = fields.get("change")
    return change if isinstance(change, Mapping) else {}


def _version(fields: Mapping[str, Any]) -> int | None:
    version = _change(fields).get("version")
    return version if type(version) is int and 0 <= version < _LARGEST_VERSION else None
