"""What a bucket's owner writes into its policy while podshare writes it as well is not lost."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from podshare_cli.sandbox_deployment import deploy_podshare
from podshare_sandbox import Sandbox
from podshare_sandbox.front_door import FrontDoor, Request, Response
from tests.builders import a_team_item
from tests.scenarios.world import CLUSTER, DATA, DATASETS, IMAGES, LANGUAGE, VISION, Item, World

READER = [{"name": "trainer", "datasets": [{"dataset": "imagenet", "access": "read"}]}]
WRITER = [{"name": "trainer", "datasets": [{"dataset": "imagenet", "access": "read_write"}]}]
OWNERS = {
    "Sid": "Owners",
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{DATA}:root"},
    "Action": "s3:GetObject",
    "Resource": f"arn:aws:s3:::{IMAGES}/*",
}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """An organization with podshare and a trail, and a team that reads the images' bucket."""
    with Sandbox(time_scale=0.02) as sandbox:
        found = World(sandbox)
        found.outputs = deploy_podshare(sandbox, {"DrainSeconds": "0"}, with_drift=True)
        found.put(CLUSTER, *DATASETS)
        found.put(a_team_item("vision", members=[{"account": VISION}], service_accounts=READER))
        assert found.status("vision")["state"] == "READY", found.status("vision")
        yield found


def write(world: World, statements: list[Item]) -> None:
    """Write the bucket's policy as its owner."""
    document = {"Version": "2012-10-17", "Statement": statements}
    world.sandbox.client("s3", DATA).put_bucket_policy(Bucket=IMAGES, Policy=json.dumps(document))


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[], Any], *, before: bool) -> list[str]:
    """Let the owner act once, right before podshare's next write of the policy takes effect or right after."""
    stock, acted = FrontDoor.handle, list[str]()

    def handle(door: FrontDoor, request: Request) -> Response:
        is_write = request.method == "PUT" and IMAGES in request.url and request.url.endswith("?policy")
        if acted or not is_write:
            return stock(door, request)
        acted.append(request.url)
        if before:
            act()
            return stock(door, request)
        answer = stock(door, request)
        act()
        return answer

    monkeypatch.setattr(FrontDoor, "handle", handle)
    return acted


def sids(world: World) -> set[str]:
    """The statements of the bucket's policy, but for the one that the sandbox's owner has from the start."""
    return {statement["Sid"] for statement in world.bucket_statements(IMAGES)} - {"OwnersAudit"}


def test_a_statement_added_before_podshares_write_is_put_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An edit between podshare's reading and writing is overwritten, is there again soon, and is told."""
    acted = meanwhile(monkeypatch, lambda: write(world, [*world.bucket_statements(IMAGES), OWNERS]), before=True)
    world.put(a_team_item("language", members=[{"account": LANGUAGE}], service_accounts=WRITER))
    assert acted
    assert sids(world) == {"Owners", "podshareAccessPoints"}
    world.reconcile("language")
    told = f"bucket {IMAGES} of account {DATA}: podshare wrote its policy over what arn:aws:iam::{DATA}:"
    (note,) = [one for one in world.status("language")["notes"] if one.startswith(told)]
    assert "(statements Owners), and put it back at " in note
    assert world.reads("language") is world.reads("vision") is True
    assert world.denied() == []


def test_a_statement_removed_before_podshares_write_stays_removed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the owner took out meanwhile does not come back for good, although podshare had read it."""
    without = [one for one in world.bucket_statements(IMAGES) if one["Sid"] != "Owners"]
    acted = meanwhile(monkeypatch, lambda: write(world, without), before=True)
    world.put(a_team_item("language", members=[{"account": LANGUAGE}], service_accounts=READER))
    assert acted
    assert sids(world) == {"podshareAccessPoints"}


def test_an_edit_after_podshares_write_is_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An owner who writes right after podshare, from what was there before, keeps the statement; podshare's is mended."""
    old = world.bucket_statements(IMAGES)
    acted = meanwhile(monkeypatch, lambda: write(world, [*old, OWNERS]), before=False)
    world.put(a_team_item("language", members=[{"account": LANGUAGE}], service_accounts=WRITER))
    assert acted
    assert sids(world) == {"Owners", "podshareAccessPoints"}
    ours = next(one for one in world.bucket_statements(IMAGES) if one["Sid"] == "podshareAccessPoints")
    assert "s3:PutObject" in ours["Action"]
    assert world.status("language")["state"] == "READY", world.status("language")
