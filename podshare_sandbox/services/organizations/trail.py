"""What Organizations tells on EventBridge, by way of CloudTrail.

Every changing call, also one that fails, is told on the default bus of the caller's account; what AWS does by itself
(the end of a creation or closure, members that join and depart) in the management account; all in us-east-1. AWS
needs a trail for that, which this organization is taken to have, and is slower.

Sources: "Logging and monitoring in AWS Organizations" (examples of log entries), "Events from AWS services via
CloudTrail" in the EventBridge User Guide, "CloudTrail record contents". Of AccountJoinedOrganization and
AccountDepartedOrganization AWS documents names and the members joinedMethod, joinedTime, departureMethod and
departureTime (API Reference): that they stand in serviceEventDetails, with the account as accountId, is assumed.
"""

import json
import uuid
from datetime import UTC, datetime
from typing import Any

from moto.core.common_types import TYPE_RESPONSE
from moto.core.responses import BaseResponse
from moto.organizations.models import OrganizationsBackend
from moto.organizations.responses import OrganizationsResponse

from podshare_sandbox import authorization, clock, delivery
from podshare_sandbox.authorization import Principal, UnknownAccessKey
from podshare_sandbox.moto_repair import replace

REGION = "us-east-1"
SOURCE = "organizations.amazonaws.com"

_READS = ("Describe", "List")
_FAILED = 400
_HIDDEN = {"email", "accountName"}  # as the documented entry of CreateAccount hides them


def install() -> None:
    """Tell of calls from now on. Raises RuntimeError where moto has lost the hook."""

    def call_action(response: OrganizationsResponse) -> TYPE_RESPONSE:
        answer = BaseResponse.call_action(response)
        operation = response._get_action()
        if operation and not operation.startswith(_READS):
            _tell_call(response, operation, answer)
        return answer

    replace(OrganizationsResponse, "call_action", call_action)


def tell_creation(organization: OrganizationsBackend, status: dict[str, Any]) -> None:
    """CreateAccountResult, of a status as the API describes it."""
    told = {name: value for name, value in status.items() if value is not None}
    _tell_service(organization, "CreateAccountResult", {"createAccountStatus": _in_words_of_the_trail(told)})


def tell_joining(organization: OrganizationsBackend, account: str, method: str) -> None:
    """AccountJoinedOrganization, by the method Created or INVITED, as the API Reference spells them."""
    details = {"accountId": account, "joinedMethod": method, "joinedTime": _moment(clock.now())}
    _tell_service(organization, "AccountJoinedOrganization", details)


def tell_departure(organization: OrganizationsBackend, account: str, method: str) -> None:
    """AccountDepartedOrganization, by the method LEFT, REMOVED or CLEANED."""
    details = {"accountId": account, "departureMethod": method, "departureTime": _moment(clock.now())}
    _tell_service(organization, "AccountDepartedOrganization", details)


def tell_closure(organization: OrganizationsBackend, account: str, requested: datetime) -> None:
    """CloseAccountResult, of a closure that succeeded."""
    times = {"requestedTimestamp": _moment(requested), "completedTimestamp": _moment(clock.now())}
    status = {"accountId": account, "state": "SUCCEEDED", **times}
    _tell_service(organization, "CloseAccountResult", {"closeAccountStatus": status})


def _tell_service(organization: OrganizationsBackend, name: str, details: dict[str, Any]) -> None:
    management = organization.account_id
    by = {
        "userIdentity": {"accountId": management, "invokedBy": SOURCE},
        "sourceIPAddress": SOURCE,
        "userAgent": SOURCE,
    }
    said = {"requestParameters": None, "responseElements": None, "serviceEventDetails": details}
    detail = {**_record(name, management), **by, **said, "eventType": "AwsServiceEvent"}
    _put(management, "AWS Service Event via CloudTrail", detail)


def _tell_call(response: OrganizationsResponse, operation: str, answer: TYPE_RESPONSE) -> None:
    try:
        caller = authorization.identify(response.get_access_key())
    except (UnknownAccessKey, authorization.ExpiredToken):
        return  # CloudTrail has no account to tell
    status, _, body = answer
    result = json.loads(body or "{}")
    failed = {"errorCode": _error_code(result), "errorMessage": _message(result)} if status >= _FAILED else {}
    detail = {
        **_record(operation, caller.account),
        "userIdentity": _identity(caller, response.get_access_key()),
        "sourceIPAddress": "127.0.0.1",
        "userAgent": response.headers.get("User-Agent", ""),
        **failed,
        "requestParameters": _in_words_of_the_trail(json.loads(response.body or "{}")) or None,
        "responseElements": None if failed else _in_words_of_the_trail(result) or None,
        "requestID": str(uuid.uuid4()),
        "eventType": "AwsApiCall",
    }
    _put(caller.account, "AWS API Call via CloudTrail", detail)


def _record(name: str, account: str) -> dict[str, Any]:
    return {
        "eventVersion": "1.08",
        "eventTime": f"{clock.now():%Y-%m-%dT%H:%M:%SZ}",
        "eventSource": SOURCE,
        "eventName": name,
        "awsRegion": REGION,
        "eventID": str(uuid.uuid4()),
        "readOnly": False,
        "managementEvent": True,
        "recipientAccountId": account,
        "eventCategory": "Management",
    }


def _put(account: str, kind: str, detail: dict[str, Any]) -> None:
    delivery.put_event(account, REGION, {"source": "aws.organizations", "detail-type": kind, "detail": detail})


def _identity(caller: Principal, access_key: str) -> dict[str, Any]:
    """ "CloudTrail userIdentity element": of a user or of an assumed role."""
    identity = {
        "type": "AssumedRole" if caller.session else "IAMUser",
        "principalId": caller.user_id,
        "arn": caller.arn,
        "accountId": caller.account,
        "accessKeyId": access_key,
    }
    if caller.session is None:
        return {**identity, "userName": caller.arn.rpartition("/")[2]}
    issuer = {
        "type": "Role",
        "principalId": caller.session.role_id,
        "arn": caller.role_arn,
        "accountId": caller.account,
        "userName": str(caller.role_arn).rpartition("/")[2],
    }
    began = {"creationDate": f"{caller.session.issued_at:%Y-%m-%dT%H:%M:%SZ}", "mfaAuthenticated": "false"}
    return {**identity, "sessionContext": {"sessionIssuer": issuer, "attributes": began}}


def _error_code(result: dict[str, Any]) -> str:
    """CloudTrail shortens the code of a refusal."""
    code = str(result.get("__type", "")).rpartition("#")[2]
    return "AccessDenied" if code == "AccessDeniedException" else code


def _message(result: dict[str, Any]) -> str:
    return str(result.get("message") or result.get("Message") or "")


def _in_words_of_the_trail(value: Any, name: str = "") -> Any:
    """An API's members begin with small letters in CloudTrail; what identifies people is hidden."""
    if isinstance(value, dict):
        return {_small(key): _in_words_of_the_trail(member, _small(key)) for key, member in value.items()}
    if isinstance(value, list):
        return [_in_words_of_the_trail(member) for member in value]
    if name in _HIDDEN:
        return "****"
    if name.endswith("Timestamp"):
        return _moment(value if isinstance(value, datetime) else datetime.fromtimestamp(float(value), UTC))
    return value


def _small(name: str) -> str:
    return name[:1].lower() + name[1:]


def _moment(moment: datetime) -> str:
    """``Sep 16, 2020 9:20:50 PM``."""
    hour = moment.hour % 12 or 12
    return f"{moment:%b} {moment.day}, {moment.year} {hour}:{moment:%M:%S %p}"
