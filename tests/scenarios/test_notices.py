"""Events and notifications: each type is told when it happens, once, in words, and as its schema says."""

import datetime
import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
import yaml

from podshare_sandbox.services import kubernetes
from tests.builders import a_team_item
from tests.docs.event_registry import schema_name
from tests.docs.pages import ROOT
from tests.scenarios.world import EKS_ARN, HUB, LANGUAGE, REGION, SCIENCE, VISION, Item, World, awaited

SCHEMAS = json.loads((ROOT / "docs" / "podshare-events.json").read_text(encoding="utf-8"))["details"]
REGISTRY = yaml.safe_load((ROOT / "examples" / "notifications" / "schema-registry.yaml").read_text(encoding="utf-8"))
EVENTS = {
    one["Properties"]["SchemaName"]: json.loads(one["Properties"]["Content"])
    for one in REGISTRY["Resources"].values()
    if one["Type"] == "AWS::EventSchemas::Schema"
}
BOTH, ONE = [{"account": VISION}, {"account": LANGUAGE}], [{"account": VISION}]
RBAC = "rbac.authorization.k8s.io"
ADA = f"arn:aws:iam::{HUB}:user/ada"

Heard = Callable[[], list[Item]]


@pytest.fixture(scope="module")
def deployment() -> dict[str, str]:
    """Notifications, and one team an hour may lose access."""
    return {
        "DrainSeconds": "0",
        "Notifications": "on",
        "MostTeamsLosingAccess": "1",
        "MostPercentLosingAccess": "0",
        "MemberRoleWaitSeconds": "3600",
    }


@pytest.fixture(scope="module")
def mail(world: World) -> Heard:
    """A queue that is subscribed to the topic; the messages that have come since it was last asked."""
    queue = _queue(world, "mail", "sns.amazonaws.com", world.outputs["NotificationTopic"])
    arn = f"arn:aws:sqs:{REGION}:{HUB}:mail"
    world.sandbox.client("sns").subscribe(TopicArn=world.outputs["NotificationTopic"], Protocol="sqs", Endpoint=arn)
    return lambda: _received(world, queue)


@pytest.fixture(scope="module")
def events(world: World) -> Heard:
    """A rule of the operator's own, for every event; those that have come since it was last asked."""
    name, client = "everything", world.sandbox.client("events")
    rule = client.put_rule(Name=name, EventPattern=json.dumps({"source": ["podshare"]}))["RuleArn"]
    queue = _queue(world, name, "events.amazonaws.com", rule)
    client.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": f"arn:aws:sqs:{REGION}:{HUB}:{name}"}])

    def heard() -> list[Item]:
        found = _received(world, queue)
        for event in found:
            jsonschema.validate(event["detail"], SCHEMAS[event["detail-type"]], jsonschema.Draft4Validator)
            jsonschema.validate(event, EVENTS[schema_name(event["detail-type"])], jsonschema.Draft4Validator)
        return found

    return heard


def _queue(world: World, name: str, service: str, source: str) -> str:
    sqs = world.sandbox.client("sqs")
    url = str(sqs.create_queue(QueueName=name)["QueueUrl"])
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sqs:SendMessage",
        "Resource": f"arn:aws:sqs:{REGION}:{HUB}:{name}",
        "Condition": {"ArnEquals": {"aws:SourceArn": source}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    return url


def _received(world: World, url: str) -> list[Item]:
    sqs, found = world.sandbox.client("sqs"), []
    world.sandbox.settle()
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        for message in messages:
            found.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found


def of(found: list[Item], kind: str) -> list[Item]:
    """The details of one type."""
    return [event["detail"] for event in found if event["detail-type"] == kind]


@pytest.fixture(scope="module", autouse=True)
def ready(world: World, events: Heard, mail: Heard) -> tuple[list[Item], list[Item]]:
    """Two teams that become ready, and what was heard of it."""
    world.put(a_team_item("vision", members=BOTH), a_team_item("language", members=[{"account": LANGUAGE}]))
    return events(), mail()


def test_a_team_that_becomes_ready_is_told_once(world: World, events: Heard, ready: Any) -> None:
    """Becoming READY is news, being READY is none; each event has an id of its own and a link to its run."""
    told = of(ready[0], "Team Ready")
    assert sorted(detail["team"] for detail in told) == ["language", "vision"]
    assert len({detail["id"] for detail in told}) == len(told)
    assert all(":execution:podshare-reconcile-team:" in detail["message"]["link"] for detail in told)
    assert not of(ready[0], "Access Revoked")
    world.reconcile("vision")
    assert events() == []


def test_a_notification_says_what_happened_and_what_to_do(ready: Any) -> None:
    """A message has its subject, the sentence and the link, and attributes by which a subscription filters."""
    message = next(one for one in ready[1] if one["Subject"] == "Team vision is ready")
    assert message["Message"].startswith("Team vision is READY: ")
    assert "https://us-west-2.console.aws.amazon.com/states/" in message["Message"]
    assert message["MessageAttributes"]["detail_type"]["Value"] == "Team Ready"
    assert message["MessageAttributes"]["team"]["Value"] == "vision"


def test_what_is_revoked_is_told_with_who_did_it(world: World, events: Heard, mail: Heard) -> None:
    """A member who is removed is told by the access entry that went, with the writer as the record declares."""
    world.put(a_team_item("vision", members=ONE, changed_by=ADA))
    (told,) = of(events(), "Access Revoked")
    assert (told["team"], told["trigger"], told["by"]) == ("vision", "registry", ADA)
    assert any(
        "access entry" in line and world.cluster_access_role("vision", VISION) not in line
        for line in told["revocations"]
    )
    (message,) = (one["Message"] for one in mail() if one["Subject"] == "Team vision: access was revoked")
    assert f"Started by {ADA}." in message
    # each loss is one line, in the words of a plan for people, although what is revoked is deleted afterwards
    assert len(set(told["revocations"])) == told["count"] == len(told["revocations"])
    assert all(line.startswith(("revoke ", "restrict ", "delete ")) for line in told["revocations"])
    assert sum("access point" in line for line in told["revocations"]) <= 1


def test_what_a_sweep_repairs_is_told_as_drift(world: World, events: Heard) -> None:
    """An access entry that somebody deleted is made again by the sweep, which tells it, and that it is done."""
    eks, role = world.sandbox.client("eks"), world.cluster_access_role("vision", VISION)
    eks.delete_access_entry(clusterName="hyperpod-eks", principalArn=role)
    world.sweep()
    heard = events()
    told = {detail["team"]: detail for detail in of(heard, "Drift Repaired")}
    assert any(role in line for line in told["vision"]["changes"])
    assert "language" not in told
    (done,) = of(heard, "Sweep Done")
    assert done["counts"]["repaired"] == 1


def test_what_a_person_has_repaired_is_told_as_drift(world: World, events: Heard) -> None:
    """Who asks for a reconciliation has not changed what it changes back, and is not said to."""
    eks, role = world.sandbox.client("eks"), world.cluster_access_role("vision", VISION)
    events()
    eks.delete_access_entry(clusterName="hyperpod-eks", principalArn=role)
    world.reconcile("vision")
    (told,) = of(events(), "Drift Repaired")
    assert (told["team"], told["by"], told["call"]) == ("vision", "", "")
    assert any(role in line for line in told["changes"])


def test_a_door_that_no_record_grants_is_told_until_it_is_closed(world: World, events: Heard) -> None:
    """Everybody bound in a namespace is told once with the command that closes it, and so is the team's state."""
    api = kubernetes.api_of(EKS_ARN)
    api.apply(
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "everybody", "namespace": "hyperpod-ns-vision"},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "edit"},
            "subjects": [{"apiGroup": RBAC, "kind": "Group", "name": "system:authenticated"}],
        }
    )
    world.reconcile("vision")
    heard = events()
    (told,) = of(heard, "Unexpected Access")
    assert "kubectl delete rolebinding everybody" in told["doors"][0]
    assert of(heard, "Team Degraded")
    assert of(heard, "Proof Failed")
    world.reconcile("vision")
    assert {event["detail-type"] for event in events()} <= {"Proof Failed"}
    api.delete("RoleBinding", "hyperpod-ns-vision", "everybody")
    world.reconcile("vision")
    assert [detail["team"] for detail in of(events(), "Team Ready")] == ["vision"]


def test_a_wrong_record_is_told(world: World, events: Heard) -> None:
    """A record that is rejected is told with its field, and that it is a record which is wrong."""
    world.put(a_team_item("vision", members=ONE, ownr="ada"))
    (told,) = of(events(), "Team Degraded")
    assert told["state"] == "REJECTED"
    assert "ownr" in told["problems"][0]
    world.put(a_team_item("vision", members=ONE))
    events()


def test_what_ends_soon_is_told(world: World, events: Heard) -> None:
    """A member whose time ends within days is told with the moment, and the field that changes it."""
    ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=2)
    world.put(a_team_item("language", members=[{"account": LANGUAGE, "expires": f"{ends:%Y-%m-%dT%H:%M:%SZ}"}]))
    (told,) = of(events(), "Access Ends Soon")
    assert (told["team"], told["message"]["subject"]) == ("language", "Team language: access ends soon")
    assert told["ends"] in told["message"]["text"]
    assert "set a later `expires`" in json.dumps(told["message"])


def test_an_account_that_is_waited_for_is_told(world: World, events: Heard) -> None:
    """An account without its member stack is told once, while everything else of the team goes on."""
    (account,) = world.create_accounts("late-lab")
    world.sandbox.hold_stack_sets(account)
    world.move(account, SCIENCE, settle=False)
    world.put(a_team_item("vision", members=[*ONE, {"account": account}]), settle=False)
    heard: list[Item] = []

    def hear() -> list[Item]:
        heard.extend(_without_settling(world))
        return of(heard, "Account Waiting")

    awaited(hear)
    assert [detail["account"] for detail in of(heard, "Account Waiting")] == [account]
    world.sandbox.release_stack_sets(account)
    world.sandbox.settle()
    assert not of(events(), "Account Waiting")


def _without_settling(world: World) -> list[Item]:
    sqs = world.sandbox.client("sqs")
    url = sqs.get_queue_url(QueueName="everything")["QueueUrl"]
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    for message in messages:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return [json.loads(message["Body"]) for message in messages]


def test_an_event_that_the_bus_does_not_take_is_told_by_the_next_run(world: World, events: Heard) -> None:
    """With the bus denied a member is out as soon as ever, and the event comes with the next run."""
    iam, role = world.sandbox.client("iam"), "podshare-record-outcome"
    deny = {"Effect": "Deny", "Action": "events:PutEvents", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    events()
    iam.put_role_policy(RoleName=role, PolicyName="deny", PolicyDocument=policy)
    world.put(a_team_item("vision", members=ONE))
    assert world.status("vision")["state"] == "READY"
    assert events() == []
    iam.delete_role_policy(RoleName=role, PolicyName="deny")
    world.reconcile("vision")
    assert of(events(), "Access Revoked")
    world.reconcile("vision")
    assert events() == []


def test_what_waits_for_approval_is_told_by_each_sweep(world: World, events: Heard) -> None:
    """A team that is held is told at once, and by each sweep until somebody approves."""
    world.delete("team#vision", "team#language")
    (held,) = of(events(), "Team Held")
    for _ in range(2):
        world.sweep()
        (told,) = of(events(), "Approval Needed")
        assert {**told, "id": "", "message": ""} == {**held, "id": "", "message": ""}
        assert held["approve"] in told["message"]["remedy"]


def test_nothing_is_set_aside_and_nothing_refused(world: World) -> None:
    """Every message was sent with the rights that the function has."""
    sqs = world.sandbox.client("sqs")
    url = sqs.get_queue_url(QueueName="podshare-notify-failures")["QueueUrl"]
    assert not sqs.receive_message(QueueUrl=url).get("Messages")
    assert not [denied for denied in world.denied() if "podshare-notify" in denied]
