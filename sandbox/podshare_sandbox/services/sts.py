"""STS as strict as AWS: sessions with limits, tags, source identity and session policies, and who the caller is.

moto gives anybody credentials of any role, absent ones too. Whether AssumeRole is allowed at all is decided by
``authorization`` before it runs; here its parameters are held against the role and the calling session.

Sources: STS API Reference; IAM User Guide, "Pass session tags in AWS STS", "Monitor and control actions taken
with assumed roles", "Methods to assume a role" (role chaining).
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import cache
from typing import Any, NoReturn

from moto.core.exceptions import ServiceException
from moto.iam.models import Role, iam_backends
from moto.sts.responses import TokenResponse

from podshare_sandbox import authorization
from podshare_sandbox.authorization import grammar
from podshare_sandbox.authorization.principals import (
    Principal,
    UnknownAccessKey,
    account_of_key,
    default_document,
    role_by_arn,
)
from podshare_sandbox.authorization.sessions import (
    PARTITION,
    Session,
    SessionRequest,
    open_session,
    tags_of,
    transitive_tags,
)
from podshare_sandbox.moto_extension import Caller, ServiceExtension
from podshare_sandbox.moto_repair import replace

DEFAULT_DURATION = 3600
LONGEST_CHAINED_DURATION = 3600
LONGEST_SESSION_POLICY = 2048  # characters
MOST_POLICY_ARNS = 10
MOST_TAGS = 50

_FORBIDDEN = 403
_NOT_EMULATED = (
    *("assume_role_with_saml", "assume_role_with_web_identity", "get_federation_token", "get_session_token"),
)

_sts = ServiceExtension("sts", invalid_parameters="ValidationError")


def assume_role(
    caller: Caller,
    *,
    RoleArn: str,
    RoleSessionName: str,
    DurationSeconds: int = DEFAULT_DURATION,
    Policy: str | None = None,
    PolicyArns: Iterable[Mapping[str, str]] = (),
    Tags: Iterable[Mapping[str, str]] = (),
    TransitiveTagKeys: Iterable[str] = (),
    SourceIdentity: str | None = None,
    ExternalId: str | None = None,  # noqa: ARG001  # a matter of the trust policy, which has been evaluated
    **unsupported: Any,
) -> dict[str, Any]:
    """AssumeRole.

    Errors: AccessDenied (403) for an absent role; ValidationError for a duration above the role's maximum, or
    above an hour in a chain; InvalidParameterValue for tags that clash; MalformedPolicyDocument.
    """
    if unsupported:
        raise NotImplementedError(f"AssumeRole with {', '.join(unsupported)}")
    principal = authorization.identify(caller.access_key)
    role = role_by_arn(RoleArn)
    if role is None:
        raise _denied(principal, RoleArn)
    _check_duration(role, DurationSeconds, principal)
    tags = _tags(list(Tags), list(TransitiveTagKeys), principal)
    inherited = transitive_tags(principal.session)
    documents = _session_policies(role, Policy, PolicyArns)
    session = open_session(
        role,
        SessionRequest(
            name=RoleSessionName,
            duration=timedelta(seconds=DurationSeconds),
            tags={**inherited, **tags},
            transitive_tags=frozenset([*inherited, *TransitiveTagKeys]),
            source_identity=_source_identity(SourceIdentity, principal),
            policies=documents,
        ),
    )
    return _described(session)


def _described(session: Session) -> dict[str, Any]:
    packed = sum(map(len, session.request.policies)) + sum(len(k) + len(v) for k, v in session.request.tags.items())
    return {
        "Credentials": {
            "AccessKeyId": session.access_key,
            "SecretAccessKey": session.secret_key,
            "SessionToken": session.token,
            "Expiration": session.expiration,
        },
        "AssumedRoleUser": {"AssumedRoleId": session.user_id, "Arn": session.arn},
        # AWS packs by an unpublished method; this is the share of the plain text's limit
        "PackedPolicySize": min(100, packed * 100 // LONGEST_SESSION_POLICY) if packed else None,
        "SourceIdentity": session.request.source_identity,
    }


def _denied(principal: Principal, role_arn: str) -> ServiceException:
    message = f"User: {principal.arn} is not authorized to perform: sts:AssumeRole on resource: {role_arn}"
    return _sts.error("AccessDenied", message, _FORBIDDEN)


def _check_duration(role: Role, seconds: int, principal: Principal) -> None:
    if principal.session and seconds > LONGEST_CHAINED_DURATION:
        raise _invalid(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
        )
    if seconds > int(role.max_session_duration or DEFAULT_DURATION):
        raise _invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")


def _invalid(message: str) -> ServiceException:
    return _sts.error("ValidationError", message)


def _clash(message: str) -> ServiceException:
    return _sts.error("InvalidParameterValue", message)


def _tags(entries: list[Mapping[str, str]], transitive: list[str], principal: Principal) -> dict[str, str]:
    keys = [entry["Key"].lower() for entry in entries]
    if len(set(keys)) != len(keys):
        raise _clash("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    if any(key.startswith("aws:") for key in keys):
        raise _invalid("Tag keys may not begin with the reserved prefix aws:")
    inherited = {key.lower() for key in transitive_tags(principal.session)}
    if inherited.intersection(keys):
        raise _clash(
            "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key "
            "from the calling session."
        )
    if not {key.lower() for key in transitive} <= set(keys):
        raise _clash("The specified transitive tag key must be included in the requested tags.")
    if len(inherited) + len(keys) > MOST_TAGS:
        raise _invalid(f"A session may have no more than {MOST_TAGS} tags")
    return tags_of(entries)


def _source_identity(wanted: str | None, principal: Principal) -> str | None:
    """Once set it cannot change, not even in the sessions of further roles."""
    present = principal.session.request.source_identity if principal.session else None
    if wanted and wanted.lower().startswith("aws:"):
        raise _invalid("SourceIdentity may not begin with the reserved prefix aws:")
    if present and wanted and wanted != present:
        raise _sts.error("AccessDenied", "The source identity of the calling session cannot be changed", _FORBIDDEN)
    return wanted or present


def _session_policies(role: Role, text: str | None, arns: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    """The documents of the session policies; the role's own permissions are cut down to what they allow."""
    documents = []
    if text is not None:
        if len(text) > LONGEST_SESSION_POLICY:
            raise _sts.error("PackedPolicyTooLarge", f"Session policy exceeds {LONGEST_SESSION_POLICY} characters")
        documents.append(text)
    managed = [entry["arn"] for entry in arns]
    if len(managed) > MOST_POLICY_ARNS:
        raise _invalid(f"No more than {MOST_POLICY_ARNS} policy ARNs may be specified")
    known = iam_backends[role.account_id][PARTITION].managed_policies
    for arn in managed:
        if arn not in known:
            raise _invalid(f"ARN {arn} is not valid: no such policy in the role's account")
        documents.append(default_document(known[arn]))
    for document in documents:
        _check_document(document)
    return tuple(documents)


def _check_document(text: str) -> None:
    try:
        grammar.check_identity_policy(text)
    except grammar.Malformed as error:
        raise _sts.error("MalformedPolicyDocument", str(error)) from error


def get_caller_identity(caller: Caller) -> dict[str, Any]:
    """GetCallerIdentity: of users and sessions, whose request may also be a presigned URL (as EKS tokens are)."""
    principal = authorization.identify(caller.access_key)
    return {"UserId": principal.user_id, "Account": principal.account, "Arn": principal.arn}


def get_access_key_info(_: Caller, *, AccessKeyId: str) -> dict[str, Any]:
    """GetAccessKeyInfo: the account of any access key. Errors: InvalidClientTokenId (403)."""
    try:
        return {"Account": account_of_key(AccessKeyId)}
    except UnknownAccessKey as unknown:
        message = "The security token included in the request is invalid."
        raise _sts.error("InvalidClientTokenId", message, _FORBIDDEN) from unknown


def _not_emulated(response: TokenResponse) -> NoReturn:
    raise NotImplementedError(f"the sandbox's STS has no {response._get_action()}")


@cache
def install() -> None:
    """Put these operations in the place of moto's. Raises RuntimeError where moto has none of that name."""
    for operation in (assume_role, get_caller_identity, get_access_key_info):
        if not hasattr(TokenResponse, operation.__name__):
            raise RuntimeError(f"moto has no TokenResponse.{operation.__name__} any more: mend this repair")
        _sts.operation(operation)
    for name in _NOT_EMULATED:
        replace(TokenResponse, name, _not_emulated)
