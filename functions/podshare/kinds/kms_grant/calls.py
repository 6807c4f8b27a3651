"""Grants of KMS keys: by them a data role reads and writes objects that a key of one's own encrypts.

A grant leaves the key's policy alone, which is its owner's. Its id is AWS's, so that it is found by its name; it has no
tags, and the name says whose it is. It is fixed once it is made, and revoked, not retired: that needs nobody in the
cluster's account.
"""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from podshare.aws.errors import Terminal, Tolerated, code_of, is_absent
from podshare.kinds.base import Key, Resource
from podshare.kinds.context import Context, as_kind
from podshare.kinds.kms_grant.shape import KmsGrant

READS = frozenset({"kms:ListGrants"})
WRITES = frozenset({"kms:CreateGrant", "kms:RevokeGrant"})


def read(context: Context, key: Key, wanted: Resource | None) -> KmsGrant | None:
    """What all grants of this name allow together: a request that was repeated may have made two.

    A grantee that was deleted is shown by its unique id, and not by the ARN of a role that was created again.
    """
    grants = _find(context, key)
    if not grants:
        return None
    return KmsGrant(
        key=key,
        grantees=frozenset(
            grant.get("GranteePrincipal") or grant.get("GranteeServicePrincipal", "") for grant in grants
        ),
        operations=frozenset(operation for grant in grants for operation in grant["Operations"]),
        constrained=any(grant.get("Constraints") for grant in grants),
    )


def create(context: Context, wanted: Resource) -> None:
    """Make the grant; asked again by the same name, KMS answers with the one that is there."""
    grant = as_kind(KmsGrant, wanted)
    (grantee,) = grant.grantees
    operations: Any = sorted(grant.operations)
    kms = context.accounts.client("kms", grant.key.account, grant.key.region)
    kms.create_grant(
        KeyId=grant.key.container,
        GranteePrincipal=grantee,
        Operations=operations,
        Name=grant.key.name,
    )


def update(context: Context, observed: Resource, wanted: Resource) -> None:
    """Never needed: a grant that differs is created again."""


def delete(context: Context, observed: Resource) -> None:
    """Revoke every grant of this name."""
    key = observed.key
    kms = context.accounts.client("kms", key.account, key.region)
    for grant in _find(context, key):
        with Tolerated():
            kms.revoke_grant(KeyId=key.container, GrantId=grant["GrantId"])


def _find(context: Context, key: Key) -> list[Mapping[str, Any]]:
    return [grant for grant in all_of(context, key) if grant.get("Name") == key.name]


def all_of(context: Context, key: Key) -> list[Mapping[str, Any]]:
    """All grants of the key, whoever made them; those of a key that was deleted went with it."""
    kms = context.accounts.client("kms", key.account, key.region)
    try:
        pages = kms.get_paginator("list_grants").paginate(KeyId=key.container, PaginationConfig={"PageSize": 1000})
        return [grant for page in pages for grant in page["Grants"]]
    except ClientError as error:
        if is_absent(error):
            return []
        if code_of(error) == "AccessDeniedException":
            remedy = "add it to KmsKeyArns of accounts/member.yaml, and let its key policy delegate to IAM policies"
            raise Terminal(f"KMS key {key.container} is not open to podshare: {remedy}. {error}") from error
        raise
