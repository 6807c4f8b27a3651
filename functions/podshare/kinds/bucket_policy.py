"""podshare's own statements in a bucket's policy, which is shared with its owner and among teams.

S3 has no conditional write for it. So each team's share is a row of the state table; what the statements say follows
from all rows, is decided and written inside the bucket's lease, and is read back. Statements of others keep their
meaning and order.
"""

import datetime
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from podshare.aws.errors import ABSENT, Retryable, Terminal, Tolerated, code_of
from podshare.aws.lease import document_lease
from podshare.aws.tables import State, Write
from podshare.installation import Installation
from podshare.kinds import names
from podshare.kinds.base import ExecutionRole, Key
from podshare.kinds.bucket_edits import (
    MOST_WINDOWS,
    REVIVE,
    Edit,
    Window,
    changed,
    digest,
    is_lost,
    others_of,
    unwritable,
)
from podshare.kinds.context import Context
from podshare.policy import policies
from podshare.policy.policies import Document, Statement

READS = frozenset({"s3:GetBucketPolicy"})
WRITES = frozenset({"s3:PutBucketPolicy", "s3:DeleteBucketPolicy"})

_WRITTEN = "written"  # the part of the bucket's row of when podshare wrote
_REPORTED_FOR = datetime.timedelta(days=1)  # what was put back: a sweep tells it at the latest
EDITS = "edits"  # the id under which the function that follows calls may write, and no other

# a team's row: ``write``, and of a file system ``account``, ``file_system``, ``prefix`` and ``read``
Share = Mapping[str, Any]


def share(context: Context, key: Key) -> Share | None:
    """What the team has a share in the statements for."""
    return context.state.get(_document(key), _part(key))


def put_share(context: Context, key: Key, **share: Any) -> None:
    """Add or change the team's share, and write what all shares ask for."""
    _write(context, key, context.state.putting(_document(key), _part(key), **share))


def drop_share(context: Context, key: Key) -> None:
    """Write what the other shares ask for; the row of this one goes once the policy does without it."""
    _write(context, key, without=_part(key))


def written(context: Context, key: Key, sid: str) -> tuple[bool, Document | None]:
    """Whether podshare's statements with Sids that begin so say what all shares ask for, and those that allow more.

    They do not count as written while an edit that podshare overwrote is yet to be put back.
    """
    overwritten, asked = is_overwritten(context, key), asked_statements(context, key)

    def is_of(statement: Statement) -> bool:
        own = str(statement.get("Sid", ""))
        return own.startswith(sid) and names.is_own_sid(context.installation, own)  # an owner's may begin alike

    present, own = ([*filter(is_of, side)] for side in (policies.statements(policy_of(context, key)), asked))
    if policies.same(policies.document(*present), policies.document(*own)):
        return not overwritten, None
    drift = beyond_asked(context, key, present, asked)
    return False, policies.document(*drift) if drift else None


def beyond_asked(
    context: Context, key: Key, present: Iterable[Statement], asked: Iterable[Statement]
) -> list[Statement]:
    """Those of podshare's own statements that allow more than all shares ask for: somebody has widened them.

    ``asked`` was read before the policy. Another team may ask for more, or for less, while that is being read.
    """
    drift = [statement for statement in present if not _is_asked(statement, asked)]
    now = asked_statements(context.as_of_now(), key) if drift else []
    return [statement for statement in drift if not _is_asked(statement, now)]


def _is_asked(statement: Statement, asked: Iterable[Statement]) -> bool:
    return any(own["Sid"] == statement.get("Sid") and policies.is_within(statement, own) for own in asked)


def preview(context: Context, key: Key, share: Share) -> tuple[Document | None, Document]:
    """The bucket's policy as it is, and as it would be with the team's share in it."""
    others = (row for row in _shares(context, key) if row["part"] != _part(key))
    before = policy_of(context, key)
    return before, _merged(context, before, _asked(context, key, [*others, share]))


def asked_statements(context: Context, key: Key) -> list[Statement]:
    """What all teams together ask for in the bucket's policy."""
    return _asked(context, key, _shares(context, key))


def _write(context: Context, key: Key, *first: Write, without: str = "") -> None:
    """Write what all shares ask for, after ``first`` has been written with the taking of the bucket's lease."""
    with document_lease(context.state, _document(key), context.function_timeout, first) as check:
        context.state.refresh(_document(key))  # others may have written until now
        context.state.refresh(EDITS)
        read_ahead(context.state, key.container)
        asked = _asked(context, key, [row for row in _shares(context, key) if row["part"] != without])
        edit, written = _last_edit(context, key), windows(context, key)
        check()
        read_at = _now()  # from here to the write nothing is asked of anybody else: an edit meanwhile is overwritten
        before = policy_of(context, key)
        lost = edit if edit and is_lost(edit, written, context.installation, before) else None
        after = _merged(context, lost.policy if lost else before, asked)
        if not policies.same(before, after):
            _put(context, key, after)
            _keep_window(context, key, read_at, after)
            if lost:
                _keep_put_back(context, key, lost, before)
            if not policies.same(policy_of(context, key), after):
                raise Retryable(f"the policy of bucket {key.container} does not read as it was written")
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
                raise Terminal(f"{unwritable(key.container, dead)} {REVIVE}") from error
            raise
    else:
        s3.delete_bucket_policy(Bucket=key.container, ExpectedBucketOwner=key.account)


def windows(context: Context, key: Key) -> list[Window]:
    """When podshare last read and wrote the bucket's policy; none if the bucket is another account's."""
    row = context.state.get(_document(key), _WRITTEN) or {}
    return [Window(**window) for window in row.get("windows", ())] if row.get("account") == key.account else []


def _keep_window(context: Context, key: Key, read_at: str, policy: Document) -> None:
    window = Window(read_at, _now(), digest(others_of(context.installation, policy)))
    kept = [kept_window.as_dict() for kept_window in (*windows(context, key), window)][-MOST_WINDOWS:]
    expression = "SET windows = :windows, account = :account"
    context.state.update(_document(key), _WRITTEN, expression, None, windows=kept, account=key.account)


def read_ahead(state: State, bucket: str) -> None:
    """Read all that is kept of a bucket at once."""
    state.query(f"bucket#{bucket}")


def is_shared(state: State, bucket: str) -> bool:
    """Whether a team has a share in the bucket's statements."""
    return bool(state.query(f"bucket#{bucket}", "grant#"))


def keep_edit(state: State, edit: Edit) -> None:
    """Keep what somebody else wrote into a policy, unless they are known to have written it again later."""
    attributes = edit.as_dict()
    reserved = {f"#{name}": name for name in attributes}  # words of DynamoDB's are among them
    expression = "SET " + ", ".join(f"#{name} = :{name}" for name in attributes)
    state.update(
        EDITS, edit.bucket, expression, "attribute_not_exists(#at) OR #at <= :at", names=reserved, **attributes
    )


def _last_edit(context: Context, key: Key) -> Edit | None:
    row = context.state.get(EDITS, key.container)
    return Edit.of_dict(row) if row and row["account"] == key.account else None


def is_overwritten(context: Context, key: Key) -> bool:
    """Whether podshare has yet to put back an edit that it wrote over."""
    edit = _last_edit(context, key)
    if edit is None or not (written := windows(context, key)):
        return False
    return is_lost(edit, written, context.installation, policy_of(context, key))


def _keep_put_back(context: Context, key: Key, edit: Edit, over: Document | None) -> None:
    repair = {"by": edit.by, "at": edit.at, "sids": [*changed(context.installation, edit, over)], "put_back_at": _now()}
    context.state.update(_document(key), _WRITTEN, "SET put_back = :put_back", None, put_back=repair)


def put_back(context: Context, key: Key) -> str:
    """What podshare wrote over and has put back within a day, in words; empty if nothing."""
    repair = (context.state.get(_document(key), _WRITTEN) or {}).get("put_back")
    if not repair or datetime.datetime.fromisoformat(repair["put_back_at"]) < _moment() - _REPORTED_FOR:
        return ""
    return (
        f"bucket {key.container} of account {key.account}: podshare wrote its policy over what {repair['by']} wrote at "
        f"{repair['at']} (statements {', '.join(repair['sids'])}), and put it back at {repair['put_back_at']}"
    )


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
        installation.bucket_arn(key.container),
        key.account,
        installation.access_point_arn(key.account, key.region, f"{installation.prefix}-*"),
        organization=installation.organization,
        write=any(share["write"] for share in shares),
    )


def _to_file_system(
    installation: Installation, key: Key, account: str, file_system: str, shares: Iterable[Share]
) -> Iterator[Statement]:
    rows = list(shares)
    return policies.file_system_delegation(
        names.file_system_sid(installation, account, file_system),
        installation.bucket_arn(key.container),
        root_arn=installation.root_arn(account),
        role_arn=installation.file_system_role_arn(account, file_system),
        caller_arn=installation.member_role_arn(account, ExecutionRole.CLUSTER),
        reads=[str(row["prefix"]) for row in rows if row["read"]],
        writes=[str(row["prefix"]) for row in rows if row["write"]],
    )


def policy_of(context: Context, key: Key) -> Document | None:
    """The bucket's whole policy."""
    s3 = context.accounts.client("s3", key.account, key.region)
    with Tolerated(*ABSENT, "NoSuchBucket"):  # its owner deleted it: our statements went with it
        return policies.parse(s3.get_bucket_policy(Bucket=key.container, ExpectedBucketOwner=key.account)["Policy"])
    return None


def _shares(context: Context, key: Key) -> list[Share]:
    return [*context.state.query(_document(key), "grant#")]


def _document(key: Key) -> str:
    return f"bucket#{key.container}"


def _part(key: Key) -> str:
    return f"grant#{key.name}"


def _now() -> str:
    return _moment().isoformat()


def _moment() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
