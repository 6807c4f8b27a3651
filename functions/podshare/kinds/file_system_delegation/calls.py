"""The statements by which a bucket admits the service-linked role of a file system to what teams have through it."""

from typing import Any

from podshare.kinds import bucket_policy, names
from podshare.kinds.base import Key, Resource
from podshare.kinds.bucket_policy import READS, WRITES
from podshare.kinds.context import Context, as_kind
from podshare.kinds.file_system_delegation.shape import FileSystemDelegation
from podshare.policy.policies import Document

__all__ = ["READS", "WRITES", "create", "delete", "preview", "read", "update"]


def read(context: Context, key: Key, wanted: Resource | None) -> FileSystemDelegation | None:
    """The team's share, and whether the file system's statements say what all shares together ask for."""
    share = bucket_policy.share(context, key)
    if share is None:
        return None
    account, file_system = str(share["account"]), str(share["file_system"])
    sid = names.file_system_sid(context.installation, account, file_system)
    in_policy, drift = bucket_policy.written(context, key, sid)
    return FileSystemDelegation(
        key=key,
        account=account,
        file_system=file_system,
        prefix=str(share["prefix"]),
        read=bool(share["read"]),
        write=bool(share["write"]),
        in_policy=in_policy,
        drift=drift,
    )


def create(context: Context, wanted: Resource) -> None:
    """Add the team's share, and write the statements."""
    delegation = as_kind(FileSystemDelegation, wanted)
    bucket_policy.put_share(context, delegation.key, **_share(delegation))


def update(context: Context, observed: Resource, wanted: Resource) -> None:
    """Change the team's share, and write the statements."""
    create(context, wanted)


def preview(context: Context, wanted: FileSystemDelegation) -> tuple[Document | None, Document]:
    """The bucket's policy as it is, and as it would be with the team's share in it."""
    return bucket_policy.preview(context, wanted.key, _share(wanted))


def delete(context: Context, observed: Resource) -> None:
    """Take back the team's share, and write the statements, which go with the last share of the file system."""
    bucket_policy.drop_share(context, observed.key)


def _share(delegation: FileSystemDelegation) -> dict[str, Any]:
    return {
        "account": delegation.account,
        "file_system": delegation.file_system,
        "prefix": delegation.prefix,
        "read": delegation.read,
        "write": delegation.write,
    }
