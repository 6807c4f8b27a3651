"""The one statement by which a bucket lets podshare's access points decide.

A bucket policy is shared with its owner and among teams, and S3 has no conditional write for it. So each team's share
is a row of the state table; what the statement says follows from all rows, is decided and written inside the bucket's
lease, and is read back. Statements of others keep their meaning and order.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from podshare.aws.errors import Retryable, Terminal, code_of, is_absent
from podshare.aws.lease import document_lease
from podshare.domain import limits, names, policies
from podshare.domain.kinds import BucketDelegation, Key, Resource
from podshare.domain.policies import Document, Statement
from podshare.resources.context import Context, as_kind

READS = frozenset({"s3:GetBucketPolicy"})
WRITES = frozenset({"s3:PutBucketPolicy", "s3:DeleteBucketPolicy"})


def read(context: Context, key: Key, wanted: Resource | None) -> BucketDelegation | None:
    """The team's share, and whether the bucket's statement says what all shares together ask for."""
    share = context.state.get(_document(key), _share(key))
    if share is None:
        return None
    asked = _statement(context, key, context.state.query(_document(key), "grant#"))
    return BucketDelegation(
        key=key,
        write=bool(share["write"]),
        in_policy=policies.same(_ours(context, _policy(context, key)), policies.document(*([asked] if asked else []))),
    )


def create(context: Context, wanted: Resource) -> None:
    """Add the team's share, and write the statement."""
    delegation = as_kind(BucketDelegation, wanted)
    context.state.put(_document(delegation.key), _share(delegation.key), write=delegation.write)
    _write(context, delegation.key)


def update(context: Context, observed: Resource, wanted: Resource) -> None:
    """Change the team's share, and write the statement."""
    create(context, wanted)


def preview(context: Context, wanted: BucketDelegation) -> tuple[Document | None, Document]:
    """The bucket's policy as it is, and as it would be with the team's share in it."""
    key = wanted.key
    others = (row for row in context.state.query(_document(key), "grant#") if row["part"] != _share(key))
    before = _policy(context, key)
    return before, _merged(context, before, _statement(context, key, [*others, {"write": wanted.write}]))


def delete(context: Context, observed: Resource) -> None:
    """Take back the team's share, and write the statement, which goes with the last share."""
    _write(context, observed.key, without=_share(observed.key))


def _write(context: Context, key: Key, without: str = "") -> None:
    """Write what all shares ask for; the row of the share ``without`` goes once the policy does without it."""
    with document_lease(context.state, _document(key), context.function_timeout) as check:
        shares = [row for row in context.state.query(_document(key), "grant#") if row["part"] != without]
        before = _policy(context, key)
        after = _merged(context, before, _statement(context, key, shares))
        if not policies.same(before, after):
            check()
            _put(context, key, after)
        if without:
            context.state.delete(_document(key), without)


def _put(context: Context, key: Key, policy: Document) -> None:
    s3 = context.accounts.client("s3", key.account, key.region)
    if policies.statements(policy):
        # as short as it is counted
        text = json.dumps(policy, separators=(",", ":"))
        try:
            s3.put_bucket_policy(Bucket=key.container, Policy=text, ExpectedBucketOwner=key.account)
        except ClientError as error:
            if code_of(error) == "MalformedPolicy" and (dead := [*policies.dead_principals(policy)]):
                raise Terminal(f"{limits.unwritable(key.container, dead)} {limits.REVIVE}") from error
            raise
    else:
        s3.delete_bucket_policy(Bucket=key.container, ExpectedBucketOwner=key.account)
    if not policies.same(_policy(context, key), policy):
        raise Retryable(f"the policy of bucket {key.container} does not read as it was written")


def _merged(context: Context, before: Document | None, ours: Statement | None) -> Document:
    """The policy with our statement where it stood, or at the end; all others untouched."""
    sid = names.delegation_sid(context.installation)
    merged: list[Statement] = []
    for statement in policies.statements(before):
        if statement.get("Sid") != sid:
            merged.append(statement)
        elif ours:
            merged.append(ours)
            ours = None
    return {**(before or {"Version": policies.VERSION}), "Statement": [*merged, *([ours] if ours else [])]}


def _statement(context: Context, key: Key, shares: Sequence[Mapping[str, Any]]) -> Statement | None:
    if not shares:
        return None
    partition, prefix = context.installation.partition, context.installation.prefix
    return policies.delegation(
        names.delegation_sid(context.installation),
        f"arn:{partition}:s3:::{key.container}",
        key.account,
        f"arn:{partition}:s3:{key.region}:{key.account}:accesspoint/{prefix}-*",
        write=any(share["write"] for share in shares),
    )


def _ours(context: Context, policy: Document | None) -> Document:
    """The part of the policy that is podshare's."""
    sid = names.delegation_sid(context.installation)
    return policies.document(*(one for one in policies.statements(policy) if one.get("Sid") == sid))


def _policy(context: Context, key: Key) -> Document | None:
    s3 = context.accounts.client("s3", key.account, key.region)
    try:
        policy: Document = json.loads(
            s3.get_bucket_policy(Bucket=key.container, ExpectedBucketOwner=key.account)["Policy"]
        )
    except ClientError as error:
        if is_absent(error) or code_of(error) == "NoSuchBucket":  # its owner deleted it: our statement went with it
            return None
        raise
    return policy


def _document(key: Key) -> str:
    return f"bucket#{key.container}"


def _share(key: Key) -> str:
    return f"grant#{key.name}"
