"""Which accounts an event of AWS Organizations may be about.

An event is a hint: the account is read again whatever the event says of it. So an id is looked for wherever it can
stand, because the shape of the events of 2026 is not documented to the last field, and one id too many does no harm.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_ARN = re.compile(r":account/o-[a-z0-9]+/([0-9]{12})")
_ID = re.compile(r"[0-9]{12}")
_ACCOUNT_KEYS = frozenset({"accountid", "account", "targetaccountid", "memberaccountid"})
_IN_MEMBER_ACCOUNTS = frozenset({"AcceptHandshake", "LeaveOrganization"})
_UNIT = re.compile(r"(ou|r|p)-[0-9a-z-]+")


@dataclass(frozen=True, slots=True)
class Subject:
    """The accounts that an event may be about; without any, ``reason`` says why there is nothing to do."""

    accounts: tuple[str, ...]
    reason: str = ""


def subject_of(event: Mapping[str, Any]) -> Subject:
    """What an EventBridge event with source ``aws.organizations`` may be about."""
    detail = _mapping(event.get("detail"))
    name = str(detail.get("eventName", "an event without a name"))
    if code := detail.get("errorCode"):
        return Subject((), f"{name} failed with {code}: nothing has changed")
    if failure := _failure(_mapping(detail.get("serviceEventDetails"))):
        return Subject((), f"{name} reports a failure, {failure}: nothing has changed")
    accounts = sorted({*_accounts_in(event, detail)})
    if accounts:
        return Subject(tuple(accounts))
    resource = str(_mapping(detail.get("requestParameters")).get("resourceId", ""))
    if _UNIT.fullmatch(resource):
        return Subject((), f"{name} is about {resource}: only accounts and their own tags decide who takes part")
    return Subject((), f"{name} names no account")


def _failure(details: Mapping[str, Any]) -> str:
    """Why the creation or the closure that a service event reports has failed, if it has."""
    for status in details.values():
        if isinstance(status, Mapping) and str(status.get("state", "")).upper() == "FAILED":
            return str(status.get("failureReason", "without a reason"))
    return ""


def _accounts_in(event: Mapping[str, Any], detail: Mapping[str, Any]) -> Iterator[str]:
    for part in ("requestParameters", "responseElements", "serviceEventDetails", "additionalEventData"):
        yield from _ids(detail.get(part))
    yield from _ARN.findall(json.dumps(event, default=str))
    resource = str(_mapping(detail.get("requestParameters")).get("resourceId", ""))
    logged_in, recipient = str(event.get("account", "")), str(detail.get("recipientAccountId", ""))
    if detail.get("eventName") in _IN_MEMBER_ACCOUNTS:
        candidates = {resource, recipient, logged_in}
    else:  # what is logged in the management account is about another one
        candidates = {resource, recipient} - {logged_in}
    yield from filter(_ID.fullmatch, candidates)


def _ids(value: Any, key: str = "") -> Iterator[str]:
    """The values of keys that name an account, and the parties of a handshake."""
    match value:
        case Mapping():
            if str(value.get("type", "")).upper() == "ACCOUNT" and _ID.fullmatch(str(value.get("id", ""))):
                yield str(value["id"])
            for name, item in value.items():
                yield from _ids(item, str(name).lower().replace("_", ""))
        case list() | tuple():
            for item in value:
                yield from _ids(item, key)
        case str() if key in _ACCOUNT_KEYS and _ID.fullmatch(value):
            yield value


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
