"""Whom the policies of buckets, access points and keys let in, whoever wrote them, and who is expected to be let in.

What is reported is never less than the truth, as in ``effective_access``: a Deny, a control policy, and a condition
that is not understood could only restrict. See decision record "Doors into data: read every access point, statement
and grant".
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from podshare.access.doors import Door
from podshare.access.effective_access import (
    ANYBODY,
    Access,
    Use,
    account_of,
    in_order,
    includes_principal,
    is_deleted,
    keys_of,
    principals_of,
    uses_of,
)
from podshare.installation import Installation
from podshare.kinds.base import Resource
from podshare.kinds.bucket_share import BucketShare
from podshare.policy import policies
from podshare.policy.policies import Document, Statement

OWNER = "account {}, which owns it"
AT_FIRST = "there when podshare first looked"
# they bind a statement for anybody (S3 user guide, "The meaning of 'public'"); of a network only a narrow one counts
_BINDING = ("aws:principalorgid", "aws:sourcevpce", "aws:sourcevpc", "aws:sourceaccount", "aws:sourceowner")
_BINDING_TOO = ("aws:sourcearn", "aws:userid", "aws:sourceip")
# StringLike knows no parts of an ARN: its ``*`` may stand for colons, which the path of a role may have (IAM API
# reference, CreateRole, "Path"), so that a pattern is of one account only if nothing before that is open. The name of
# an access point has no colons.
_OF_ONE_ACCOUNT = re.compile(r"arn:[^:*?$]+:((iam|sts)::|s3:[^:]*:)\d{12}:.*")
# of a bucket's settings and a key's; whoever has them reads no object and lets nobody in
_HARMLESS = ("s3:getbucket*", "s3:get*configuration")
# whoever may do one of these with a key decrypts by it, or lets others
_DECRYPTING = ("kms:CreateGrant", "kms:Decrypt", "kms:PutKeyPolicy", "kms:ReEncryptFrom")


@dataclass(frozen=True, slots=True)
class Opening:
    """Somebody whom a document lets do something; ``what`` are the keys of objects as a pattern, ``name`` the Sid.

    ``number`` is the statement's place in the document, which identifies one without a Sid.
    """

    who: str
    may: tuple[str, ...]
    what: str
    name: str
    number: int


# ---- whom a document lets in -------------------------------------------------------------------------------


def of_bucket(policy: Document | None, bucket_arn: str) -> Iterator[Opening]:
    """Everybody whom the policy of a bucket lets reach its objects, or change who does."""
    for number, name, statement in _allowing(policy):
        uses = uses_of([statement], bucket_arn, f"{bucket_arn}/")
        for who in sorted(who_of(statement)):
            yield from _opening(who, uses, name, number)


def of_drift(resources: Iterable[Resource], installation: Installation) -> Iterator[Access]:
    """What podshare's own statements give to whom they shall not, because somebody has widened them.

    Access points of the bucket's own account are left out: each of them is read by itself.
    """
    for share in resources:
        if isinstance(share, BucketShare) and share.drift:
            bucket_arn = installation.bucket_arn(share.key.container)
            for opening in of_bucket(share.drift, bucket_arn):
                if not (":accesspoint/" in opening.who and account_of(opening.who) == share.key.account):
                    yield Access(opening.who, opening.may, bucket_arn, opening.what, by=(str(share.key),))


def of_access_point(
    policy: Document | None, arn: str, of_its_bucket: Document | None, bucket_arn: str
) -> Iterator[Opening]:
    """Everybody whom an access point lets in as far as the bucket agrees.

    Whoever is in the account of both needs the access point alone (IAM user guide, "Policy evaluation logic").
    """
    for number, name, statement in _allowing(policy):
        uses = uses_of([statement], arn, f"{arn}/object/")
        for who in sorted(who_of(statement)):
            within = account_of(who) == account_of(arn)
            allowed = uses if within else _both(uses, _through(of_its_bucket, arn, who, bucket_arn))
            yield from _opening(who, allowed, name, number)


def of_key(policy: Document | None) -> Iterator[Opening]:
    """Everybody whom the policy of a key lets decrypt, or let others: it is about that key, whatever it names."""
    for number, name, statement in _allowing(policy):
        actions = [action.lower() for action in statement.get("Action", [ANYBODY])]
        may = tuple(
            operation
            for operation in _DECRYPTING
            if any(policies.covers(action, operation.lower()) for action in actions)
        )
        for who in sorted(who_of(statement)) if may else ():
            yield Opening(who, may, ANYBODY, name, number)


def of_grant(grant: Mapping[str, Any]) -> Iterator[Opening]:
    """Whom a grant of a key lets decrypt, or let others."""
    operations = {f"kms:{operation}" for operation in grant["Operations"]}
    may = tuple(operation for operation in _DECRYPTING if operation in operations)
    service = grant.get("GranteeServicePrincipal")
    who = str(grant.get("GranteePrincipal") or f"service:{service}")
    if may and not is_deleted(who):
        yield Opening(who, may, ANYBODY, str(grant.get("Name") or grant["GrantId"]), 0)


def _allowing(policy: Document | None) -> Iterator[tuple[int, str, Statement]]:
    """Each statement that allows, with its place in the document and its name."""
    for number, statement in enumerate(policies.statements(policy)):
        if statement["Effect"] == "Allow":
            name = str(statement.get("Sid") or f"statement {number + 1}")
            yield number, name, policies.canonical_statement(statement)


def who_of(statement: Statement) -> frozenset[str]:
    """Whom a statement lets in: the principals that it names, or those of them whom its conditions name."""
    conditions = {**keys_of(statement), **_networks(statement)}
    return frozenset(
        principal for who in principals_of(statement) for principal in _restricted(_arn_of(who), conditions)
    )


def _arn_of(who: str) -> str:
    """An account as both services keep it: the ARN of its root."""
    return _root(who) if len(who) == 12 and who.isdigit() else who


def _root(account: str) -> str:
    return f"arn:aws:iam::{account}:root"


def _networks(statement: Statement) -> dict[str, list[str]]:
    listed = statement.get("Condition", {}).get("IpAddress", {}).get("aws:sourceip", [])
    return {"aws:sourceip": listed} if listed and not any(network.endswith("/0") for network in listed) else {}


def _restricted(who: str, conditions: Mapping[str, list[str]]) -> Iterable[str]:
    arns = conditions.get("aws:principalarn", [])
    if who.endswith(":root") and arns and not any(is_public(arn) for arn in arns):
        return [arn for arn in arns if account_of(arn) == account_of(who)]
    if who != ANYBODY:
        return (who,)
    accounts = conditions.get("aws:principalaccount") or conditions.get("kms:calleraccount") or []
    points = conditions.get("s3:dataaccesspointarn") or [
        f"arn:aws:s3:*:{account}:accesspoint/*" for account in conditions.get("s3:dataaccesspointaccount", [])
    ]
    for named in (arns, [_everybody_in(account) for account in accounts], points):
        if named and not any(is_public(principal) for principal in named):
            return named
    bound = ((key, conditions[key]) for key in (*_BINDING, *_BINDING_TOO) if key in conditions)
    fixed = ([f"anybody with {key} {value}" for value in values] for key, values in bound if not _is_open(values))
    return next(fixed, [ANYBODY])


def _everybody_in(account: str) -> str:
    """All principals of an account by themselves: to its root, a statement only lets the account's policies decide."""
    return f"arn:aws:iam::{account}:*"


def _is_open(values: Iterable[str]) -> bool:
    return any(character in value for value in values for character in "*?$")


def is_public(who: str) -> bool:
    """Whether it may be anybody, of any account."""
    return _is_open([who]) and not _OF_ONE_ACCOUNT.fullmatch(who)


def _opening(who: str, uses: Iterable[Use], name: str, number: int) -> Iterator[Opening]:
    """One for each pattern of keys."""
    counted = {
        (verb, keys)
        for verb, keys in uses
        if not any(policies.covers(harmless, verb.lower()) for harmless in _HARMLESS)
    }
    for pattern in sorted({keys for _, keys in counted}):
        may = sorted({verb for verb, keys in counted if keys == pattern}, key=in_order)
        yield Opening(who, tuple(may), pattern, name, number)


def _through(policy: Document | None, point: str, who: str, bucket_arn: str) -> set[Use]:
    """What a bucket lets somebody do who comes through an access point."""
    through = [
        statement
        for _, _, statement in _allowing(policy)
        if _admits(keys_of(statement), point)
        and any(includes_principal(principal, who) for principal in principals_of(statement))
    ]
    return uses_of(through, bucket_arn, f"{bucket_arn}/")


def _admits(conditions: Mapping[str, list[str]], point: str) -> bool:
    asked = {"s3:dataaccesspointarn": point, "s3:dataaccesspointaccount": account_of(point)}
    return all(
        any(policies.covers(pattern, value) for pattern in conditions[key])
        for key, value in asked.items()
        if key in conditions
    )


def _both(ones: Collection[Use], others: Collection[Use]) -> set[Use]:
    """What two documents allow together: of two patterns the narrower, of such that only meet the first."""
    return {
        (_lesser(verb, also), _lesser(keys, within))
        for verb, keys in ones
        for also, within in others
        if policies.overlap(verb.lower(), also.lower()) and policies.overlap(keys, within)
    }


def _lesser(left: str, right: str) -> str:
    return right if policies.covers(left, right) else left


# ---- who is expected ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Share:
    """What a dataset shares, as a pattern of keys, and whom its record names beside podshare's teams."""

    dataset: str
    what: str
    others: tuple[str, ...] = ()


def kept_at_first(doors: Iterable[Door], own_roles: Collection[str]) -> list[dict[str, Any]]:
    """What ``expected_by`` is to take for the owner's own from now on, in plain JSON."""
    accesses = {door.access for door in doors if not is_public(door.principal) and not _may_be_own(door, own_roles)}
    return [access.as_dict() for access in sorted(accesses)]


def expected_by(door: Door, shares: Iterable[Share], at_first: Iterable[Access], own_roles: Collection[str]) -> str:
    """Why a door into data that no team's record grants is as it shall be; empty if nothing says so.

    The account that owns the data could let its own principals in by its IAM policies, which nobody sees: all but
    podshare's roles there (``own_roles``, patterns), which are those of teams. Of the datasets that a door leads to
    each has to expect it: by name, or where it names nobody, by what was there first.
    """
    may_be_own = _may_be_own(door, own_roles)
    if account_of(door.principal) == door.account and not may_be_own:
        return OWNER.format(door.account)
    if is_public(door.principal):
        return ""
    there_first = not may_be_own and any(access.covers(door.access) for access in at_first)
    led_to = [share for share in shares if policies.overlap(share.what, door.what)] or [Share("", ANYBODY)]
    if not all(_names(share, door.principal) if share.others else there_first for share in led_to):
        return ""
    named = sorted({f"dataset#{share.dataset}" for share in led_to if share.others})
    return ", ".join(named) or AT_FIRST


def _may_be_own(door: Door, own_roles: Iterable[str]) -> bool:
    """Whether one of podshare's roles gets in by it: of another account, no statement for all lets them in.

    Their own policies would have to allow it as well (IAM user guide, "Cross-account policy evaluation logic").
    """
    account = account_of(door.principal)
    if account != door.account and door.principal == _everybody_in(account):
        return False
    return any(policies.overlap(door.principal, role) for role in own_roles)


def _names(share: Share, principal: str) -> bool:
    return any(includes_principal(expected, principal) for expected in share.others)
