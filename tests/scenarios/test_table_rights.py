"""Functions are separate in AWS, and must not meet in their table: what one writes lets nobody in by another."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from podshare.aws.rows import from_item, to_item
from podshare_sandbox import authorization
from tests.builders import a_team_item
from tests.scenarios.world import HUB, LANGUAGE, REGION, VISION, Item, World
from tests.templates.test_table_rights import STATE, kind_of

POOLED = {"account_tag": {"key": "pool", "value": "shared"}}
TABLE = {"TableName": "podshare-state"}


@pytest.fixture(scope="module", autouse=True)
def team(world: World) -> None:
    """A team of one named account, and of whichever account has a tag."""
    world.sweep()
    world.put(a_team_item("pool", members=[{"account": VISION}, POOLED]))
    assert world.works("pool", VISION)


def as_function(world: World, name: str) -> Any:
    """DynamoDB with the credentials of a function."""
    role = f"arn:aws:iam::{HUB}:role/podshare-system/podshare-{name}"
    found = authorization.assume_as_service(role, "lambda.amazonaws.com", session_name="stolen")
    return world.sandbox.session_of(found.access_key, found.secret_key, found.token, REGION).client("dynamodb")


def refused(call: Callable[..., Any], **parameters: Any) -> bool:
    """Whether IAM refuses a call."""
    try:
        call(**parameters, **TABLE)
    except ClientError as error:
        return error.response["Error"]["Code"] == "AccessDeniedException"
    return False


@pytest.mark.parametrize("name", ["apply-kubernetes", "apply-cluster", "apply-data", "apply-identity"])
def test_whoever_holds_a_function_that_applies_tags_no_account(world: World, name: str) -> None:
    """With its credentials nobody writes an account's tags: the next run lets in those whom the organization names."""
    dynamodb = as_function(world, name)
    row = world.state("organization", f"account#{LANGUAGE}")
    assert row["state"] == "ACTIVE"
    written = refused(dynamodb.put_item, Item=to_item({**row, "tags": {"pool": "shared"}}))
    key = to_item({"id": "organization", "part": f"account#{LANGUAGE}"})
    tags = {":tags": {"M": {"pool": {"S": "shared"}}}}
    changed = refused(
        dynamodb.update_item, Key=key, UpdateExpression="SET tags = :tags", ExpressionAttributeValues=tags
    )
    world.reconcile("pool")
    assert not world.works("pool", LANGUAGE)
    assert (written, changed) == (True, True)


@pytest.mark.parametrize("name", ["apply-kubernetes", "lease-team", "record-outcome", "sweep-team", "summarize-sweep"])
def test_whoever_holds_a_function_accepts_no_record(world: World, name: str) -> None:
    """With its credentials nobody writes what was accepted last, by which a record counts while it is not acceptable."""
    row = world.state("team#pool", "accepted")
    wider = row["record"].replace(VISION, LANGUAGE)
    assert wider != row["record"]
    assert refused(as_function(world, name).put_item, Item=to_item({**row, "record": wider}))
    assert world.state("team#pool", "accepted") == row


# ---- rows of the version before -------------------------------------------------------------------------------------


def rows(world: World) -> Iterator[Item]:
    pages = world.sandbox.client("dynamodb").get_paginator("scan").paginate(**TABLE)
    return (from_item(item) for page in pages for item in page["Items"])


def as_before(world: World, team: str) -> None:
    """Put a team's rows where the version before 0045 kept them."""
    dynamodb = world.sandbox.client("dynamodb")
    places = {"lease": "lease", "status": "status"}
    for row in [*rows(world)]:
        if row["id"] == f"inventory#{team}":
            part = row["part"]
        elif row["part"] == f"team#{team}" and row["id"] in places:
            part = places[row["id"]]
        else:
            continue
        dynamodb.put_item(Item=to_item({**row, "id": f"team#{team}", "part": part}), **TABLE)
        dynamodb.delete_item(Key=to_item({"id": row["id"], "part": row["part"]}), **TABLE)


def test_an_upgrade_loses_neither_inventory_nor_lease(world: World) -> None:
    """What the version before wrote down counts: who is no longer wanted is told, and cut, and fences only rise."""
    members = [{"account": VISION}, {"account": LANGUAGE}]
    world.put_team("older", members=members, service_accounts=[])
    leaver = world.cluster_access("older", LANGUAGE)
    assert world.may_submit(leaver, "older")
    fence = int(world.state("lease", "team#older")["fence"])
    as_before(world, "older")
    assert not world.state("lease", "team#older")

    kept = a_team_item("older", members=members[:1], service_accounts=[])
    assert world.plan("older", kept)["count"] > 0
    world.put(kept)
    assert world.status("older")["state"] == "READY"
    assert int(world.state("lease", "team#older")["fence"]) > fence + 1
    with pytest.raises((ClientError, LookupError, PermissionError)):
        world.may_submit(leaver, "older")
    assert {row["part"] for row in rows(world) if row["id"] == "team#older"} == {
        "accepted",
        "accounts",
        "lease",
        "reads",
        "status",
    }
    world.delete("team#older")
    assert world.status("older")["state"] == "DELETED"
    assert not [resource for resource in world.leftovers() if "podshare-older-" in resource]


def test_every_kind_of_row_has_its_rights(world: World) -> None:
    """No row is of a kind whose rights nobody has written down."""
    assert {kind_of(row["id"]) for row in rows(world)} <= STATE.keys()
