"""What the organization's events lead to: one execution each, from the management account alone."""

import copy
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from podshare_sandbox import delivery
from podshare_sandbox.services.organizations import units
from tests.builders import a_team_item
from tests.scenarios.world import HUB, LANGUAGE, MANAGEMENT, REGION, ROOT, SCIENCE, VISION, Item, World

BUS = f"arn:aws:events:{REGION}:{HUB}:event-bus/podshare-organization"


@pytest.fixture(scope="module", autouse=True)
def teams(world: World) -> None:
    """A team of a unit with two accounts."""
    world.sweep()
    world.put(a_team_item("science", members=[{"organizational_unit": SCIENCE}]))


def an_event(name: str, account: str = MANAGEMENT, **detail: Any) -> Item:
    told = {"eventSource": "organizations.amazonaws.com", "eventName": name, "eventID": f"{name}-{account}", **detail}
    return {
        "source": "aws.organizations",
        "detail-type": "AWS API Call via CloudTrail",
        "account": account,
        "region": "us-east-1",
        "detail": told,
    }


def play(world: World, event: Item, account: str = MANAGEMENT) -> list[Item]:
    """Let CloudTrail tell an event in an account; the lifecycles that followed."""
    before = len(world.lifecycles())
    delivery.put_event(account, "us-east-1", copy.deepcopy(event))
    world.sandbox.settle()
    found = world.lifecycles()
    return found[: len(found) - before]


def test_an_event_reconciles_the_teams_that_it_touches(world: World) -> None:
    """The execution holds the event, the account as it was read afresh, and what it started."""
    (found,) = play(world, an_event("MoveAccount", requestParameters={"accountId": VISION}))
    assert found["status"] == "SUCCEEDED"
    assert found["output"]["accounts"] == [
        {"account": VISION, "name": "vision-lab", "state": "ACTIVE", "path": [ROOT, SCIENCE]}
    ]
    (team,) = found["output"]["teams"]
    assert (team["team"], team["status"]) == ("science", "started")
    started = world.sandbox.client("stepfunctions").describe_execution(executionArn=team["execution"])
    trigger = json.loads(started["input"])["trigger"]
    assert (trigger["event"], trigger["record"], trigger["change"]) == (
        "organization",
        f"account#{VISION}",
        "MoveAccount",
    )


def test_where_no_path_is_told_the_parents_are_asked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Organizations tells ``Paths`` since 2026: without them the way to the root is asked for level by level."""
    monkeypatch.setattr(units, "path_of", lambda _: "")
    event = an_event("MoveAccount", requestParameters={"accountId": VISION}, eventID="without paths")
    (found,) = play(world, event)
    assert found["output"]["accounts"][0]["path"] == [ROOT, SCIENCE]


def test_an_answer_without_a_state_takes_no_account_for_gone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such an answer is asked for again, and never written down: its people keep their access."""
    with monkeypatch.context() as broken:
        broken.setattr(units, "state_of", lambda _: "")
        (found,) = play(world, an_event("MoveAccount", requestParameters={"accountId": VISION}, eventID="no state"))
    assert (found["status"], world.works("science", VISION)) == ("FAILED", True)
    assert world.state("organization", f"account#{VISION}")["state"] == "ACTIVE"


def test_a_redelivered_event_is_the_same_execution(world: World) -> None:
    """CloudTrail delivers at least once: the second delivery, in another envelope, starts nothing."""
    event = an_event("CloseAccount", requestParameters={"accountId": LANGUAGE})
    assert len(play(world, event)) == 1
    assert play(world, event) == []
    assert play(world, {**event, "id": "11111111-2222-3333-4444-555555555555"}) == []


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (an_event("MoveAccount", errorCode="DuplicateAccountException", eventID="a"), "failed with Duplicate"),
        (
            an_event(
                "CreateAccountResult",
                serviceEventDetails={
                    "createAccountStatus": {"state": "FAILED", "failureReason": "EMAIL_ALREADY_EXISTS"}
                },
            ),
            "EMAIL_ALREADY_EXISTS",
        ),
        (an_event("TagResource", requestParameters={"resourceId": SCIENCE}, eventID="b"), "only accounts"),
        (
            an_event("CloseAccount", requestParameters={"accountId": "123456789012"}, eventID="c"),
            "no team and no enrollment uses account 123456789012",
        ),
    ],
    ids=["errorCode", "failed creation", "tag of a unit", "a stranger"],
)
def test_what_concerns_nobody_ends_quietly(world: World, event: Item, reason: str) -> None:
    """Failed calls, failed creations, units and unknown accounts end with the reason in the output, and start nothing."""
    (found,) = play(world, event)
    assert found["status"] == "SUCCEEDED"
    assert reason in found["output"]["reason"]
    assert found["output"]["teams"] == []
    assert world.state("organization", "account#123456789012") == {}


def test_a_rumour_about_an_account_changes_nothing(world: World) -> None:
    """An event is a hint: one that tells of a departure of an account that is there leaves everybody at work."""
    (found,) = play(world, an_event("AccountDepartedOrganization", serviceEventDetails={"accountId": VISION}))
    assert found["output"]["accounts"][0]["state"] == "ACTIVE"
    assert world.works("science", VISION)


def test_events_of_member_accounts_are_taken_if_somebody_forwards_them(world: World) -> None:
    """LeaveOrganization is told in the member's account alone: podshare understands it where an admin lets it in."""
    event = an_event("LeaveOrganization", LANGUAGE, recipientAccountId=LANGUAGE, requestParameters=None, eventID="d")
    assert play(world, event, LANGUAGE) == []  # nobody forwards it by itself
    delivery.put_event(HUB, REGION, event, bus="podshare-organization")
    world.sandbox.settle()
    found = world.lifecycles()[0]
    assert [account["account"] for account in found["output"]["accounts"]] == [LANGUAGE]


@pytest.mark.parametrize("account", [VISION, HUB])
def test_nobody_else_puts_events_on_the_bus(world: World, account: str) -> None:
    """The bus takes events of the organization from the management account alone, and nobody can make one up."""
    client = world.sandbox.client("events", account)
    entry = {"Source": "aws.organizations", "DetailType": "x", "Detail": "{}", "EventBusName": BUS}
    before = len(world.lifecycles())
    try:
        refused = client.put_events(Entries=[entry])["FailedEntryCount"] == 1
    except ClientError as error:
        refused = error.response["Error"]["Code"] in ("AccessDeniedException", "NotAuthorizedForSourceException")
    world.sandbox.settle()
    assert refused
    assert len(world.lifecycles()) == before


def test_an_organization_that_cannot_be_read_is_told(world: World) -> None:
    """Where the role in the management account may not read the execution fails, for the alarm, and nobody loses."""
    iam, role = world.sandbox.client("iam", MANAGEMENT), "podshare-organization"
    (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    policy = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    iam.delete_role_policy(RoleName=role, PolicyName=name)
    (found,) = play(world, an_event("TagResource", requestParameters={"resourceId": VISION}, eventID="e"))
    assert found["status"] == "FAILED"
    assert world.works("science", VISION)
    new = world.put_team("new", members=[{"account": "666666666666"}])
    assert new["state"] == "DEGRADED"
    assert "accounts/management.yaml" in new["problems"][0]["remedy"]
    assert new["changes"] == 0
    iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(policy))
    world.reconcile("new")
    assert world.state("organization", "account#666666666666")["state"] == "DEPARTED"
    assert any("666666666666 is DEPARTED" in note for note in world.plan("new")["notes"])
