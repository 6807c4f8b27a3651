"""podshare's own statements in a bucket's policy, which is shared with its owner and among teams.

S3 has no conditional write for it. So each team's share is a row of the state table; what the statements say follows
from all rows, is decided and written inside the bucket's lease, and is read back. Statements of others keep their
meaning and order.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from podshare.aws.errors import Retryable, Terminal, code_of, is_absent
from podshare.aws.lease import document_lease
from podshare.domain import limits, names, policies
from podshare.domain.installation import Installation
from podshare.domain.kinds import Key, Work
from podshare.domain.policies import Document, Statement
from podshare.resources.context import Context

READS = frozenset({"s3:GetBucketPolicy"})
WRITES = frozenset({"s3:PutBucketPolicy", "s3:DeleteBucketPolicy"})

# a team's row: ``write``, and of a file system ``account``, ``file_system``, ``prefix`` and ``read``
Share = Mapping[str, Any]


def share(context: Context, key: Key) -> Share | None:
    """What the team has a share in the statements for."""
    return context.state.get(_document(key), _part(key))


def put_share(context: Context, key: Key, **share: Any) -> None:
    """Add or change the team's share, and write what all shares ask for."""
    context.state.put(_document(key), _part(key), **share)
    _write(context, key)


def drop_share(context: Context, key: Key) -> None:
    """Write what the other shares ask for; the row of this one goes once the policy does without it."""
    _write(context, key, without=_part(key))


def is_written(context: Context, key: Key, sid: str) -> bool:
    """Whether those statements whose Sids begin with ``sid`` say what all shares together ask for."""
    there, asked = policies.statements(policy_of(context, key)), _asked(context, key, _shares(context, key))
    own = ([one for one in found if str(one.get("Sid", "")).startswith(sid)] for found in (there, asked))
    return policies.same(*(policies.document(*statements) for statements in own))


def preview(context: Context, key: Key, share: Share) -> tuple[Document | None, Document]:
    """The bucket's policy as it is, and as it would be with the team's share in it."""
    others = (row for row in _shares(context, key) if row["part"] != _part(key))
    before = policy_of(context, key)
    return before, _merged(context, before, _asked(context, key, [*others, share]))


@dataclass(frozen=True, slots=True)
class Asked:
    """Who has a share in a bucket's statements, and the Sids of what all shares together ask for."""

    teams: frozenset[str]
    sids: frozenset[str]


def asked_for(context: Context, key: Key) -> Asked:
    """What all teams ask for in the bucket."""
    shares = _shares(context, key)
    teams = frozenset(str(row["part"]).removeprefix("grant#").partition("/")[0] for row in shares)
    return Asked(teams, frozenset(one["Sid"] for one in _asked(context, key, shares)))


def _write(context: Context, key: Key, without: str = "") -> None:
    with document_lease(context.state, _document(key), context.function_timeout) as check:
        shares = [row for row in _shares(context, key) if row["part"] != without]
        before = policy_of(context, key)
        after = _merged(context, before, _asked(context, key, shares))
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
    if not policies.same(policy_of(context, key), policy):
        raise Retryable(f"the policy of bucket {key.container} does not read as it was written")


def _merged(context: Context, before: Document | None, asked: Iterable[Statement]) -> Document:
    """The policy with each of our statements where it stood, or at the end; all others untouched."""
    wanted = {statement["Sid"]: statement for statement in asked}
    merged: list[Statement] = []
    for statement in policies.statements(before):
        if not names.is_own_sid(context.installation, str(statement.get("Sid", ""))):
            merged.append(statement)
        elif own := wanted.pop(statement["Sid"], None):
            merged.append(own)
    return {**(before or {"Version": policies.VERSION}), "Statement": [*merged, *wanted.values()]}


def _asked(context: Context, key: Key, shares: Iterable[Share]) -> list[Statement]:
    """All statements that ``shares`` ask for together."""
    rows = list(shares)
    to_points = [row for row in rows if "file_system" not in row]
    to_file_systems: dict[tuple[str, str], list[Share]] = {}
    for row in rows:
        if "file_system" in row:
            to_file_systems.setdefault((str(row["account"]), str(row["file_system"])), []).append(row)
    statements = [_to_access_points(context.installation, key, to_points)] if to_points else []
    for place in sorted(to_file_systems):
        statements += _to_file_system(context.installation, key, *place, to_file_systems[place])
    return statements


def _to_access_points(installation: Installation, key: Key, shares: Iterable[Share]) -> Statement:
    return policies.delegation(
        names.delegation_sid(installation),
        f"arn:{installation.partition}:s3:::{key.container}",
        key.account,
        f"arn:{installation.partition}:s3:{key.region}:{key.account}:accesspoint/{installation.prefix}-*",
        organization=installation.organization,
        write=any(share["write"] for share in shares),
    )


def _to_file_system(
    installation: Installation, key: Key, account: str, file_system: str, shares: Iterable[Share]
) -> Iterator[Statement]:
    rows = list(shares)
    return policies.file_system_delegation(
        names.file_system_sid(installation, account, file_system),
        f"arn:{installation.partition}:s3:::{key.container}",
        root_arn=installation.root_arn(account),
        role_arn=installation.file_system_role_arn(account, file_system),
        caller_arn=installation.member_role_arn(account, Work.CLUSTER),
        reads=[str(row["prefix"]) for row in rows if row["read"]],
        writes=[str(row["prefix"]) for row in rows if row["write"]],
    )


def policy_of(context: Context, key: Key) -> Document | None:
    """The bucket's whole policy."""
    s3 = context.accounts.client("s3", key.account, key.region)
    try:
        return policies.parse(s3.get_bucket_policy(Bucket=key.container, ExpectedBucketOwner=key.account)["Policy"])
    except ClientError as error:
        if is_absent(error) or code_of(error) == "NoSuchBucket":  # its owner deleted it: our statements went with it
            return None
        raise


def _shares(context: Context, key: Key) -> list[Share]:
    return [*context.state.query(_document(key), "grant#")]


def _document(key: Key) -> str:
    return f"bucket#{key.container}"


def _part(key: Key) -> str:
    return f"grant#{key.name}"
