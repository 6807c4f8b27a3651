"""Grants of KMS keys: whom they name, what they are called, and what they allow until they are revoked.

moto takes any text for a principal and makes a new grant each time; and nobody asks its grants. Here a grantee must
exist and is kept by its unique id, a repeated request finds the grant that its name tells, and authorization asks what
a key's grants allow.

Sources: KMS API Reference, CreateGrant, ListGrants and RevokeGrant; KMS Developer Guide, "Grants in AWS KMS", "Quotas".
Assumption: like a policy, a grant keeps the role that it was made for, and ListGrants shows the ARN of one that is
there, and the unique id of one that was deleted.
"""

# operations take their parameters by AWS's names

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from moto.core.exceptions import ServiceException
from moto.kms.models import Grant, Key, kms_backends

from podshare_sandbox import clock, consistency
from podshare_sandbox.authorization import registrations
from podshare_sandbox.moto_extension import Caller, ServiceExtension, page
from podshare_sandbox.services import buckets, key_policies, key_states

MOST_GRANTS = 50_000  # of one key (KMS Developer Guide, "Resource quotas")

_kms = ServiceExtension("kms")


def find(account: str, region: str, key_id: str) -> Key | None:
    """The key with this id, None if there is none."""
    key: Key | None = kms_backends[account][region].keys.get(key_id)
    return key


def _policy(account: str, region: str, resource: str) -> registrations.Document:
    """The key's policy together with its grants; of a key that is not there KMS itself tells."""
    key = find(account, region, resource.removeprefix("key/"))
    if key is None:
        return None
    document = json.loads(key.policy)
    stated = document["Statement"]
    return {**document, "Statement": [*(stated if isinstance(stated, list) else [stated]), *_statements(key)]}


def _refusal(arn: str) -> tuple[str, str] | None:
    region, account, resource = arn.split(":", 5)[3:]
    key = find(account, region, resource.removeprefix("key/"))
    if key is None:
        return "NotFoundException", f"Key '{arn}' does not exist"
    return key_states.refusal(key)


registrations.register("kms", registrations.Service(policy=_policy, refusal=_refusal))


def _statements(key: Key) -> list[dict[str, Any]]:
    """What the key's grants allow by now, as statements of a policy of the key."""
    known = _known(key).all_to("authorization", dict(key.grants))
    return [
        {
            "Effect": "Allow",
            "Principal": {"AWS": grant.grantee_principal},
            "Action": [f"kms:{operation}" for operation in grant.operations],
            "Resource": "*",
            "Condition": {"StringEquals": dict(_constraints(grant))},
        }
        for grant in known.values()
    ]


def _constraints(grant: Grant) -> Iterator[tuple[str, str]]:
    """What an encryption context must hold: that it must hold nothing else is left out, since S3's is one pair."""
    for pairs in (grant.constraints or {}).values():
        yield from ((f"kms:EncryptionContext:{name}", value) for name, value in pairs.items())


def _known(key: Key) -> consistency.Known[Grant]:
    return consistency.Known("kms-grant", key.arn)


def create_grant(
    caller: Caller,
    *,
    KeyId: str,
    GranteePrincipal: str,
    Operations: list[str],
    Name: str | None = None,
    RetiringPrincipal: str | None = None,
    Constraints: dict[str, dict[str, str]] | None = None,
    GrantTokens: list[str] | None = None,  # noqa: ARG001  # the caller's own permissions are known at once
) -> dict[str, Any]:
    """CreateGrant; one that repeats another's name and all else of it returns that grant.

    Errors: NotFoundException, DisabledException, KMSInvalidStateException, InvalidArnException, LimitExceededException.
    """
    key = _key(caller, KeyId)
    key_states.check_usable(key)
    wanted = (Name, _grantee(GranteePrincipal), sorted(Operations), Constraints or {}, RetiringPrincipal)
    same = [grant for grant in key.grants.values() if Name and _facts(grant) == wanted]
    if same:
        return {"GrantId": same[0].id, "GrantToken": same[0].token}
    if len(key.grants) >= MOST_GRANTS:
        raise _kms.error("LimitExceededException", f"{key.arn} has {MOST_GRANTS} grants.")
    grant = key.add_grant(Name or "", wanted[1], sorted(Operations), Constraints or {}, RetiringPrincipal or "")
    vars(grant)["_podshare_issued"] = clock.now()
    _known(key).changed(grant.id, None)
    return {"GrantId": grant.id, "GrantToken": grant.token}


def _facts(grant: Grant) -> tuple[Any, ...]:
    retiring = grant.retiring_principal or None
    return grant.name, grant.grantee_principal, sorted(grant.operations), grant.constraints, retiring


def _grantee(arn: str) -> str:
    principal = buckets.stored_principal(arn) if buckets.is_known_principal(arn, "kms") else None
    if principal is None:
        raise _kms.error("InvalidArnException", f"ARN does not refer to a valid principal: {arn}")
    return principal


def _key(caller: Caller, key_id: str) -> Key:
    if ":alias/" in key_id or key_id.startswith("alias/"):
        raise _kms.error("InvalidArnException", f"Invalid keyId {key_id}")
    key = find(caller.account, caller.region, key_id.rpartition("/")[2])
    if key is None or (key_id.startswith("arn:") and key.arn != key_id):
        raise _no_such(f"Key '{key_id}' does not exist")
    return key


def _no_such(message: str) -> ServiceException:
    return _kms.error("NotFoundException", message)


def list_grants(
    caller: Caller,
    *,
    KeyId: str,
    GrantId: str | None = None,
    GranteePrincipal: str | None = None,
    Limit: int | None = None,
    Marker: str | None = None,
) -> dict[str, Any]:
    """ListGrants, 50 a page unless a limit says otherwise. Errors: NotFoundException, InvalidMarkerException."""
    key = _key(caller, KeyId)
    entries = [_entry(key, grant) for grant in key.grants.values()]
    wanted = {"GrantId": GrantId, "GranteePrincipal": GranteePrincipal}
    asked = [entry for entry in entries if all(value in (None, entry[name]) for name, value in wanted.items())]
    try:
        shown, marker = page(asked, Limit or 50, Marker)
    except ValueError:
        raise _kms.error("InvalidMarkerException", f"Invalid marker: {Marker}") from None
    return {"Grants": shown, "NextMarker": marker, "Truncated": marker is not None}


def _entry(key: Key, grant: Grant) -> Mapping[str, Any]:
    issued: datetime = vars(grant)["_podshare_issued"]
    return {
        "KeyId": key.arn,
        "GrantId": grant.id,
        "Name": grant.name or None,
        "CreationDate": issued,
        "GranteePrincipal": buckets.shown_principal(grant.grantee_principal),
        "RetiringPrincipal": grant.retiring_principal or None,
        "IssuingAccount": f"arn:aws:iam::{key.account_id}:root",
        "Operations": grant.operations,
        "Constraints": grant.constraints or None,
    }


def revoke_grant(caller: Caller, *, KeyId: str, GrantId: str) -> None:
    """RevokeGrant. Errors: NotFoundException for a key or a grant that is not there."""
    key = _key(caller, KeyId)
    grant = key.grants.pop(GrantId, None)
    if grant is None:
        raise _no_such(f"Grant ID {GrantId} not found")
    _known(key).changed(GrantId, grant)


@cache
def install() -> None:
    """Put these operations in the place of moto's, and let policies and states of keys be checked."""
    key_policies.install()
    key_states.install()
    for operation in (create_grant, list_grants, revoke_grant):
        _kms.operation(operation)
