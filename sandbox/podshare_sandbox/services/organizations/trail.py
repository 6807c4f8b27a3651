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
from datetime import UTC, datetime
from typing import Any

from moto.core.common_types import TYPE_RESPONSE
from moto.core.responses import BaseResponse
from moto.organizations.models import OrganizationsBackend
from moto.organizations.responses import OrganizationsResponse

from podshare_sandbox import clock, delivery, trail
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
    details = {"accountId": account, "joinedMethod": method, "joinedTime": trail.moment(clock.now())}
    _tell_service(organization, "AccountJoinedOrganization", details)


def tell_departure(organization: OrganizationsBackend, account: str, method: str) -> None:
    """AccountDepartedOrganization, by the method LEFT, REMOVED or CLEANED."""
    details = {"accountId": account, "departureMethod": method, "departureTime": trail.moment(clock.now())}
    _tell_service(organization, "AccountDepartedOrganization", details)


def tell_closure(organization: OrganizationsBackend, account: str, requested: datetime) -> None:
    """CloseAccountResult, of a closure that succeeded."""
    times = {"requestedTimestamp": trail.moment(requested), "completedTimestamp": trail.moment(clock.now())}
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
    detail = {**trail.record(name, management, SOURCE, REGION), **by, **said, "eventType": "AwsServiceEvent"}
    _put(management, "AWS Service Event via CloudTrail", detail)


def _tell_call(response: OrganizationsResponse, operation: str, answer: TYPE_RESPONSE) -> None:
    caller = trail.caller_of(response)
    if caller is None:
        return
    status, _, body = answer
    result = json.loads(body or "{}")
    detail = trail.call_record(
        operation,
        SOURCE,
        REGION,
        caller,
        response,
        asked=_in_words_of_the_trail(json.loads(response.body or "{}")),
        answered=_in_words_of_the_trail(result),
        error=_error(result) if status >= _FAILED else {},
    )
    _put(caller.account, "AWS API Call via CloudTrail", detail)


def _put(account: str, kind: str, detail: dict[str, Any]) -> None:
    delivery.put_event(account, REGION, {"source": "aws.organizations", "detail-type": kind, "detail": detail})


def _error(result: dict[str, Any]) -> dict[str, str]:
    message = str(result.get("message") or result.get("Message") or "")
    return {"Code": str(result.get("__type", "")).rpartition("#")[2], "Message": message}


def _in_words_of_the_trail(value: Any, name: str = "") -> Any:
    """An API's members begin with small letters in CloudTrail; what identifies people is hidden."""
    if isinstance(value, dict):
        return {trail.small(key): _in_words_of_the_trail(member, trail.small(key)) for key, member in value.items()}
    if isinstance(value, list):
        return [_in_words_of_the_trail(member) for member in value]
    if name in _HIDDEN:
        return "****"
    if name.endswith("Timestamp"):
        return trail.moment(value if isinstance(value, datetime) else datetime.fromtimestamp(float(value), UTC))
    return value
