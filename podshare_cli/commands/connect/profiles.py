"""The AWS profiles that ``connect`` writes, as a block of its own in the AWS CLI's config file.

Everything else in the file stays as it is. The block begins and ends with a comment, and holds in one what was
published when that was last read: by that ``--check`` knows what has ended.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from podshare_cli.failures import Failure

_NOT_ENDED = " (the line before had no end)"
_NEW = " (the file is new)"
_BEGIN = re.compile(
    r"^# >>> (?P<name>\S+) by podshare connect"
    rf"(?P<note>{re.escape(_NOT_ENDED)}|{re.escape(_NEW)})?\r?\n"
    r"# (?P<memory>\{.*\})\r?\n"
    r"(?:.*\n)*?# <<< (?P=name)\r?\n",  # an editor may have changed how lines end
    re.MULTILINE,
)
_SECTION = re.compile(r"^\[\s*(?:profile\s+)?(?P<quote>[\"']?)(?P<name>[^\]\"']+)(?P=quote)\s*\]", re.MULTILINE)


@dataclass(frozen=True)
class Memory:
    """What was published of a team when it was last read, on the day ``read_on``."""

    team: str
    account: str
    region: str
    cluster: str
    owner: str
    until: str = ""
    selector: str = ""
    read_on: str = ""


Sections = Mapping[str, Mapping[str, str]]


def with_block(text: str | None, name: str, memory: Memory, sections: Sections) -> str:
    """The file with the block ``name``, in the place of an earlier one, else at its end.

    Raises Failure where somebody else has a profile of one of the names.
    """
    rest = text or ""
    former = next((match for match in _BEGIN.finditer(rest) if match["name"] == name), None)
    others = rest if former is None else rest[: former.start()] + rest[former.end() :]
    if taken := {match["name"].strip() for match in _SECTION.finditer(others)} & sections.keys():
        raise Failure(
            f"The profile {min(taken)} exists already, and podshare did not write it.",
            "Rename or delete it, then connect again. Nothing was written.",
        )
    if former:
        return rest[: former.start()] + _block(name, former["note"] or "", memory, sections) + rest[former.end() :]
    is_ended = not rest or rest.endswith("\n")
    note = _NEW if text is None else "" if is_ended else _NOT_ENDED
    return rest + ("" if is_ended else "\n") + _block(name, note, memory, sections)


def _block(name: str, note: str, memory: Memory, sections: Sections) -> str:
    lines = [f"# >>> {name} by podshare connect{note}", f"# {_line(memory)}"]
    for profile, settings in sections.items():
        lines += [f"[profile {profile}]", *(f"{key} = {value}" for key, value in settings.items())]
    return "\n".join([*lines, f"# <<< {name}", ""])


def _line(memory: Memory) -> str:
    return json.dumps(asdict(memory), ensure_ascii=True)


def with_memory(text: str, name: str, memory: Memory) -> str:
    """The file with another memory in the block ``name``; all else of it stays."""
    match = next((match for match in _BEGIN.finditer(text) if match["name"] == name), None)
    if match is None:
        return text
    return text[: match.start("memory")] + _line(memory) + text[match.end("memory") :]


def without_block(text: str, name: str) -> str | None:
    """The file as it would be had the block never been written; None for one that it was alone in."""
    match = next((match for match in _BEGIN.finditer(text) if match["name"] == name), None)
    if match is None:
        return text
    before, after = text[: match.start()], text[match.end() :]
    if match["note"] == _NOT_ENDED and not after:
        before = before.removesuffix("\n")
    elif match["note"] and (following := _BEGIN.match(after)) and not following["note"]:  # it has what was said here
        after = after.replace(" by podshare connect\n", f" by podshare connect{match['note']}\n", 1)
    return None if match["note"] == _NEW and not before + after else before + after


def memories(text: str | None) -> Iterator[tuple[str, Memory]]:
    """The blocks of the file by their names; one that somebody has changed beyond recognition is left out."""
    for match in _BEGIN.finditer(text or ""):
        try:
            fields: dict[str, Any] = json.loads(match["memory"])
            yield match["name"], Memory(**fields)
        except (ValueError, TypeError):
            continue
