"""What podshare overwrote when somebody edited a bucket's policy between its reading and its writing of it.

S3 has no conditional write for a bucket's policy (S3 API reference, PutBucketPolicy), and nothing of an edit that was
overwritten is left there. CloudTrail reports the edit with the whole document (S3 user guide, "Amazon S3 CloudTrail
events"), to the second. See decision record 0042.
"""

import datetime
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from podshare.installation import Installation
from podshare.kinds import names
from podshare.kinds.observation import LONGEST_TEXT
from podshare.kinds.resource_events import is_own_caller
from podshare.policy import policies
from podshare.policy.policies import Document, Statement

WRITING = frozenset({"PutBucketPolicy", "DeleteBucketPolicy"})
_TEXTS = ("account", "bucket", "by", "at")
REVIVE = "Ask its owner to take that principal out: podshare changes no statement but its own."
MOST_WINDOWS = 20  # of a bucket: CloudTrail reports a call within minutes, and each team's grant writes once


@dataclass(frozen=True, slots=True)
class Window:
    """From before podshare read a policy until it had written it, with the digest of what it left of others'."""

    read_at: str
    written_at: str
    others: str

    def as_dict(self) -> dict[str, str]:
        """In plain JSON."""
        return {"read_at": self.read_at, "written_at": self.written_at, "others": self.others}


@dataclass(frozen=True, slots=True)
class Edit:
    """A policy as somebody else wrote it; ``policy`` is None where it was deleted."""

    account: str
    bucket: str
    by: str
    at: str
    policy: Document | None

    def as_dict(self) -> dict[str, str]:
        """In plain JSON, the policy as text."""
        return {**{name: getattr(self, name) for name in _TEXTS}, "policy": json.dumps(self.policy)}

    @classmethod
    def of_dict(cls, document: Mapping[str, Any]) -> Self:
        """The reverse of ``as_dict``; what is said beside it is passed over."""
        return cls(**{name: str(document[name]) for name in _TEXTS}, policy=json.loads(document["policy"]))


def edit_in(event: Mapping[str, Any], installation: Installation) -> Edit | None:
    """The edit that a CloudTrail event reports; None if there is none, or it is podshare's own."""
    detail = event.get("detail")
    if not isinstance(detail, Mapping) or detail.get("eventName") not in WRITING or detail.get("errorCode"):
        return None
    asked = detail.get("requestParameters")
    if not isinstance(asked, Mapping) or is_own_caller(detail, installation):
        return None
    policy = asked.get("bucketPolicy") if detail["eventName"] == "PutBucketPolicy" else None
    if detail["eventName"] == "PutBucketPolicy" and not isinstance(policy, Mapping):
        return None
    if not _is_moment(detail.get("eventTime")):
        return None
    identity = detail.get("userIdentity")
    return Edit(
        account=str(event.get("account", "")),
        bucket=str(asked.get("bucketName", "")),
        by=str(identity.get("arn", "somebody")) if isinstance(identity, Mapping) else "somebody",
        at=detail["eventTime"],
        policy=policy,
    )


def _is_moment(text: Any) -> bool:
    """Whether a text is a moment with its time zone, as CloudTrail gives it."""
    try:
        return datetime.datetime.fromisoformat(text).tzinfo is not None
    except (TypeError, ValueError):
        return False


def others_of(installation: Installation, policy: Document | None) -> list[Statement]:
    """The statements of others in a bucket's policy, in order."""
    return [
        statement
        for statement in policies.statements(policy)
        if not names.is_own_sid(installation, str(statement.get("Sid", "")))
    ]


def digest(statements: Iterable[Statement]) -> str:
    """A hash of what statements mean."""
    meaning = policies.canonical(policies.document(*statements))
    return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()


def is_lost(edit: Edit, windows: Iterable[Window], installation: Installation, now: Document | None) -> bool:
    """Whether podshare wrote over an edit, so that ``now`` shows what it wrote, and nobody has written since."""
    present, written = digest(others_of(installation, now)), digest(others_of(installation, edit.policy))
    at = datetime.datetime.fromisoformat(edit.at)
    return present != written and any(window.others == present and _is_within(at, window) for window in windows)


def _is_within(at: datetime.datetime, window: Window) -> bool:
    begin, end = (datetime.datetime.fromisoformat(moment) for moment in (window.read_at, window.written_at))
    return begin.replace(microsecond=0) <= at <= end


def changed(installation: Installation, edit: Edit, now: Document | None) -> tuple[str, ...]:
    """The Sids of the statements in which an edit and the policy as it is differ."""
    sides = [others_of(installation, edit.policy), others_of(installation, now)]
    theirs, ours = (
        {digest([statement]): str(statement.get("Sid", "without a Sid")) for statement in side} for side in sides
    )
    return tuple(sorted({(theirs | ours)[statement_digest] for statement_digest in theirs.keys() ^ ours.keys()}))


def unwritable(bucket: str, dead: Iterable[str]) -> str:
    """Why S3 takes no policy of the bucket any more, whoever writes it."""
    why = f"S3 refuses every policy of bucket {bucket} while one of its statements names who was deleted"
    return f"{why}: {', '.join(dead)}."[:LONGEST_TEXT]
