"""What a bucket's own policy denies to pods that come through an access point, whatever grants it."""

import json
from collections.abc import Iterator

from podshare.policy import policies
from podshare.policy.policies import Document, Statement

_ASKED = ("s3:getobject", "s3:listbucket")  # by every pod that reads
# conditions that pods never meet: they speak TLS, and are in the organization
_NEVER_MET = ({"Bool": {"aws:securetransport": ["false"]}},)


def denials(policy: Document | None, bucket: str) -> Iterator[tuple[str, str]]:
    """The Sid of each statement that denies reading to everybody, with its condition as text, empty without one.

    A statement that names principals is left out: a bucket's owner names podshare's roles only on purpose.
    """
    for statement in policies.canonical(policy):
        if statement["Effect"] == "Deny" and _is_for_all(statement) and _is_about_reading(statement, bucket):
            condition = statement.get("Condition", {})
            if condition not in _NEVER_MET:
                yield statement.get("Sid", "without a Sid"), json.dumps(condition, sort_keys=True) if condition else ""


def _is_for_all(statement: Statement) -> bool:
    return "NotPrincipal" in statement or "*" in statement.get("Principal", {}).get("AWS", ())


def _is_about_reading(statement: Statement, bucket: str) -> bool:
    actions, resources = statement.get("Action"), statement.get("Resource")
    asked = actions is None or any(
        policies.overlap(pattern.lower(), action.lower()) for pattern in actions for action in _ASKED
    )
    within = f"*:s3:::{bucket}*"
    return asked and (resources is None or any(policies.overlap(resource, within) for resource in resources))
