"""Key policies: their grammar, their principals, and whether whoever writes one could still change it.

moto takes any text. Sources: KMS Developer Guide, "Key policies in AWS KMS" (elements, size) and "Creating a key
policy"; KMS API Reference, PutKeyPolicy and CreateKey (Policy, BypassPolicyLockoutSafetyCheck).
"""

import json
from typing import Any

from moto.kms.models import Key
from moto.kms.responses import KmsResponse

from podshare_sandbox.authorization import authorize, grammar, policy
from podshare_sandbox.authorization.call import Check
from podshare_sandbox.authorization.principals import UnknownAccessKey, identify
from podshare_sandbox.moto_extension import ServiceExtension
from podshare_sandbox.moto_repair import repair
from podshare_sandbox.services import buckets, service_principals

LONGEST = 32_768  # bytes (KMS Developer Guide, "Resource quotas", "Key policy document size")
_CHANGE = "kms:PutKeyPolicy"

_kms = ServiceExtension("kms")


class _Stored(buckets.StoredPolicy):
    """The policy as text; roles and users are kept by unique id, as in other resource policies."""

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        shown = super().__get__(owner, kind) if owner else None
        return None if shown is None else json.dumps(json.loads(shown), indent=2)


def install() -> None:
    """Check policies when keys get them. Raises RuntimeError where moto has lost a symbol."""
    if "policy" not in Key.__init__.__code__.co_names:  # set on instances: nothing to replace
        raise RuntimeError("moto has no Key.policy any more: mend this repair")
    stored = _Stored()
    stored.__set_name__(Key, "policy")
    setattr(Key, "policy", stored)  # noqa: B010  # an attribute of instances in moto
    repair(KmsResponse, "create_key", _checking)
    repair(KmsResponse, "put_key_policy", _checking)


def _checking(original: Any) -> Any:
    def operation(response: KmsResponse) -> Any:
        text = response._get_param("Policy")
        if text is not None:
            _check(response, text)
        return original(response)

    return operation


def _check(response: KmsResponse, text: Any) -> None:
    if not isinstance(text, str):
        raise _kms.error("ValidationException", "Policy must be text", status=400)
    if len(text.encode()) > LONGEST:
        raise _kms.error("LimitExceededException", f"The key policy is longer than {LONGEST} bytes.")
    try:
        document = grammar.check_key_policy(text)
    except grammar.Malformed as malformed:
        raise _malformed(str(malformed)) from malformed
    known = all(buckets.is_known_principal(name, "kms") for name in grammar.principals(document, "AWS"))
    if not known or not all(map(service_principals.exists, grammar.principals(document, "Service"))):
        raise _malformed("Policy contains a statement with one or more invalid principals.")
    if not _is_true(response._get_param("BypassPolicyLockoutSafetyCheck")) and not _leaves_a_way(response, document):
        raise _malformed("The new key policy will not allow you to update the key policy in the future.")


def _malformed(message: str) -> Any:
    return _kms.error("MalformedPolicyDocumentException", message)


def _is_true(value: Any) -> bool:
    return str(value).lower() == "true"


def _leaves_a_way(response: KmsResponse, document: grammar.Document) -> bool:
    """Whether the caller could call PutKeyPolicy again ("Key policy lockout safety check")."""
    try:
        caller = identify(response.get_access_key())
    except UnknownAccessKey:
        return True  # moto without the sandbox's accounts authorizes nobody, and locks nobody out
    key = str(response._get_param("KeyId") or "new").rpartition("/")[2]
    arn = f"arn:aws:kms:{response.region}:{response.current_account}:key/{key}"
    context = {"aws:requestedregion": response.region, "kms:calleraccount": caller.account}
    request = authorize.request_of(caller, Check(_CHANGE, arn, context))
    findings = authorize.find(caller, request, (policy.parse(document),))
    return policy.decide(findings, _CHANGE, same_account=True, resource_policy_decides=True).allowed
