"""Which accounts the organization's events are about, in every shape that they may have."""

from typing import Any

import pytest

from podshare.reconcile.organization_events import subject_of

MANAGEMENT, ACCOUNT = "999999999999", "555555555555"


def an_event(name: str, account: str = MANAGEMENT, **detail: Any) -> dict[str, Any]:
    return {
        "source": "aws.organizations",
        "account": account,
        "detail": {
            "eventSource": "organizations.amazonaws.com",
            "eventName": name,
            "userIdentity": {"accountId": account, "arn": f"arn:aws:iam::{account}:user/admin"},
            "recipientAccountId": account,
            **detail,
        },
    }


EVENTS = [
    an_event(
        "CreateAccountResult", serviceEventDetails={"createAccountStatus": {"state": "SUCCEEDED", "accountId": ACCOUNT}}
    ),
    an_event(
        "CloseAccountResult", serviceEventDetails={"closeAccountStatus": {"accountId": ACCOUNT, "state": "SUCCEEDED"}}
    ),
    an_event("CloseAccount", requestParameters={"accountId": ACCOUNT}, responseElements=None),
    an_event("MoveAccount", requestParameters={"accountId": ACCOUNT, "destinationParentId": "ou-pods-science1"}),
    an_event("RemoveAccountFromOrganization", requestParameters={"accountId": ACCOUNT}),
    an_event("TagResource", requestParameters={"resourceId": ACCOUNT, "tags": [{"key": "account", "value": "x"}]}),
    an_event("UntagResource", requestParameters={"resourceId": ACCOUNT, "tagKeys": ["pool"]}),
    an_event("LeaveOrganization", ACCOUNT, requestParameters=None),
    an_event(
        "AcceptHandshake",
        ACCOUNT,
        responseElements={
            "handshake": {"parties": [{"type": "ORGANIZATION", "id": "o-x"}, {"type": "ACCOUNT", "id": ACCOUNT}]}
        },
    ),
    # the nesting of the two events of 2026 is not documented: each of these is as likely as the others
    an_event("AccountJoinedOrganization", serviceEventDetails={"accountId": ACCOUNT, "joinedMethod": "INVITED"}),
    an_event("AccountJoinedOrganization", serviceEventDetails={"accountJoined": {"account_id": ACCOUNT}}),
    an_event("AccountDepartedOrganization", additionalEventData={"AccountId": ACCOUNT, "departureMethod": "LEFT"}),
    an_event("AccountDepartedOrganization", recipientAccountId=ACCOUNT),
    {
        **an_event("AccountDepartedOrganization"),
        "resources": [f"arn:aws:organizations::{MANAGEMENT}:account/o-podshare01/{ACCOUNT}"],
    },
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: str(event["detail"]["eventName"]))
def test_the_account_is_found_wherever_it_stands(event: dict[str, Any]) -> None:
    """Each event leads to the account that it is about, and to no other."""
    assert subject_of(event).accounts == (ACCOUNT,)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (
            an_event("MoveAccount", errorCode="AccountNotFoundException", requestParameters={"accountId": ACCOUNT}),
            "failed",
        ),
        (
            an_event(
                "CreateAccountResult",
                serviceEventDetails={
                    "createAccountStatus": {"state": "FAILED", "failureReason": "EMAIL_ALREADY_EXISTS"}
                },
            ),
            "EMAIL_ALREADY_EXISTS",
        ),
        (an_event("TagResource", requestParameters={"resourceId": "ou-pods-science1"}), "ou-pods-science1"),
        (
            an_event("CreateOrganizationalUnit", requestParameters={"name": "Genomics", "parentId": "r-pods"}),
            "no account",
        ),
        ({"source": "aws.organizations", "detail": None}, "no account"),
    ],
    ids=["errorCode", "failed creation", "tag of a unit", "new unit", "nothing"],
)
def test_what_changes_no_account_ends_with_a_reason(event: dict[str, Any], reason: str) -> None:
    """An event of a failure, or about no account, leads nowhere and says why."""
    found = subject_of(event)
    assert found.accounts == ()
    assert reason in found.reason
