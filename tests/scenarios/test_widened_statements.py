"""Whoever widens podshare's own statement in a bucket's policy opens a door: it is told, and closed before all else."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from podshare.access.access_report import unpacked
from podshare.aws.rows import to_item
from podshare.policy import policies
from podshare_sandbox.front_door import FrontDoor, Request, Response
from podshare_sandbox.organization import FILE_SYSTEM
from tests.builders import a_team_item
from tests.scenarios.world import DATA, IMAGES, LANGUAGE, VISION, Item, World

OUTSIDER = f"arn:aws:iam::{LANGUAGE}:root"
TO_POINTS = "podshareAccessPoints"
RECORD: Item = {
    "members": [{"account": VISION}],
    "service_accounts": [{"name": "trainer", "datasets": [{"dataset": "imagenet", "access": "read"}]}],
    "file_systems": [{"file_system": FILE_SYSTEM, "dataset": "imagenet", "access": "read"}],
}
Audit = Callable[[int], Item]
Change = Callable[[Item], Item]


@pytest.fixture(scope="module", autouse=True)
def team(world: World) -> None:
    """A team that reads a dataset, through an access point and through a file system."""
    world.put(a_team_item("vision", **RECORD))
    assert world.status("vision")["state"] == "READY", world.status("vision")


def to_an_outsider(statement: Item) -> Item:
    """For another account, without any condition."""
    return {
        **{name: value for name, value in statement.items() if name != "Condition"},
        "Principal": {"AWS": OUTSIDER},
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{IMAGES}/*",
    }


def to_its_account(statement: Item) -> Item:
    """For everybody in the account that it names, and for more than reading."""
    return {**statement, "Principal": {"AWS": OUTSIDER}, "Action": "s3:*", "Condition": {}}


def widen(world: World, change: Change, ending: str) -> str:
    """Widen the statement whose Sid ends so, by hand; the Sid."""
    statements = world.bucket_statements(IMAGES)
    (own,) = (one for one in statements if one["Sid"].startswith("podshare") and one["Sid"].endswith(ending))
    write(world, [change(one) if one is own else one for one in statements])
    return str(own["Sid"])


def write(world: World, statements: list[Item]) -> None:
    document = {"Version": "2012-10-17", "Statement": statements}
    world.sandbox.client("s3", DATA).put_bucket_policy(Bucket=IMAGES, Policy=json.dumps(document))


def told(events: list[Item]) -> list[str]:
    """What the events say that nobody granted."""
    return [line for event in events if "found" in event for line in event["found"]]


@contextmanager
def no_policy_written(world: World) -> Iterator[None]:
    """Somebody denies podshare the bucket's policy."""
    iam = world.sandbox.client("iam", DATA)
    deny = {"Effect": "Deny", "Action": ["s3:PutBucketPolicy", "s3:DeleteBucketPolicy"], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    iam.put_role_policy(RoleName="podshare-data", PolicyName="deny", PolicyDocument=document)
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName="podshare-data", PolicyName="deny")


@pytest.mark.parametrize(("change", "ending"), [(to_an_outsider, "AccessPoints"), (to_its_account, "Read")])
def test_a_widened_statement_is_narrowed_and_told(world: World, announced: Any, change: Change, ending: str) -> None:
    """It says again what teams ask for, and the event names who could reach the data until then."""
    announced()
    before = world.bucket_statements(IMAGES)
    widen(world, change, ending)
    (stage,) = world.plan("vision")["revoke"]
    assert {one["action"] for one in stage["changes"]} == {"narrow"}
    assert world.reconcile("vision")["state"] == "READY", world.status("vision")
    assert world.bucket_statements(IMAGES) == before
    assert any(OUTSIDER in line and IMAGES in line for line in told(announced()))


@pytest.mark.parametrize(("change", "ending"), [(to_an_outsider, "AccessPoints"), (to_its_account, "Read")])
def test_nothing_withholds_what_takes_it_back(world: World, change: Change, ending: str) -> None:
    """What the team waits for withholds additions, and this is a revocation."""
    before = world.bucket_statements(IMAGES)
    with world.without_an_add_on():
        widen(world, change, ending)
        assert world.reconcile("vision")["state"] != "READY"
        assert world.bucket_statements(IMAGES) == before
    assert world.reconcile("vision")["state"] == "READY", world.status("vision")


def test_a_statement_whose_sid_only_begins_like_podshares_is_the_owners(world: World) -> None:
    """It stays, is not narrowed, and keeps the team READY: podshare's own are known by their whole Sids."""
    before = world.bucket_statements(IMAGES)
    archive = {"Sid": f"{TO_POINTS}Archive", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{DATA}:root"}}
    archive |= {"Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{IMAGES}/archive/*"}
    write(world, [*before, archive])
    assert world.reconcile("vision")["summary"] == "READY: nothing to change"
    assert archive in world.bucket_statements(IMAGES)
    write(world, before)


def test_a_statement_that_is_missing_waits_like_any_addition(world: World) -> None:
    """To take podshare's statement away gives nobody anything, so that writing it again adds."""
    before = world.bucket_statements(IMAGES)
    without = [one for one in before if one["Sid"] != TO_POINTS]
    with world.without_an_add_on():
        write(world, without)
        assert world.reconcile("vision")["state"] != "READY"
        assert world.bucket_statements(IMAGES) == without
    assert world.reconcile("vision")["state"] == "READY", world.status("vision")
    assert world.reads("vision")


def test_a_widened_statement_is_a_door_until_it_is_narrowed(world: World, announced: Any, audit: Audit) -> None:
    """Where podshare cannot write the policy, status, report, audit and event say who gets in by its own statement."""
    announced()
    with no_policy_written(world):
        sid = widen(world, to_an_outsider, "AccessPoints")
        assert world.reconcile("vision")["state"] == "DEGRADED"
        problems = [one["what"] for one in world.status("vision")["problems"]]
        door = f"account {DATA}: {OUTSIDER} has read in arn:aws:s3:::{IMAGES} by bucket statement {sid}"
        assert any(door in one for one in problems), [one[:400] for one in problems]
        assert any(OUTSIDER in line for line in told(announced()))
        assert unpacked(world.state("proof", "team#vision")["document"])["holds"] is False
        assert OUTSIDER in {line["who"] for line in audit(1)["doors"] if line["record"] is None}
    assert world.reconcile("vision")["state"] == "READY", world.status("vision")
    assert all(line["record"] for line in audit(0)["doors"])


def test_what_another_team_asks_for_meanwhile_is_no_door(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A share that is added between the reading of the shares and that of the policy makes the statement no wider."""
    before, stock, acted = world.bucket_statements(IMAGES), FrontDoor.handle, list[str]()
    state, row = world.sandbox.client("dynamodb"), {"id": f"bucket#{IMAGES}", "part": "grant#language/imagenet"}

    def handle(door: FrontDoor, request: Request) -> Response:
        if request.method == "GET" and IMAGES in request.url and request.url.endswith("?policy") and not acted:
            acted.append(request.url)
            state.put_item(TableName="podshare-state", Item=to_item({**row, "write": True}))
            write(world, [with_writes(one) if one["Sid"] == TO_POINTS else one for one in before])
        return stock(door, request)

    monkeypatch.setattr(FrontDoor, "handle", handle)
    plan = world.plan("vision")
    assert acted
    assert (plan["revoke"], plan.get("verification", {}).get("violations", [])) == ([], [])
    monkeypatch.undo()
    state.delete_item(TableName="podshare-state", Key=to_item(row))
    write(world, before)


def with_writes(statement: Item) -> Item:
    """podshare's statement as it is once a team may write."""
    return {**statement, "Action": [*statement["Action"], *policies.WRITE_OBJECTS]}
