"""The network on a bad day: every changing call is refused once, or takes effect and its reply is lost.

The faults are put between the functions and AWS, in the sandbox's front door, so that the product and its SDK see what
they would see: a 500 that they try again. Each request, by method, address and content, meets its fault once.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from podshare_sandbox.front_door import FrontDoor, Request, Response
from tests.scenarios.world import LANGUAGE, VISION, World, refused

READING = re.compile(r"(Action=|\.)(Get|List|Describe|Query|Scan|BatchGet|AssumeRole)")
MEMBERS = [{"account": VISION}, {"account": LANGUAGE}]
TWO = [
    {"dataset": "imagenet", "access": "read"},
    {"dataset": "drafts", "access": "read_write", "prefix": "drafts/vision/"},
]


class Network:
    """A way to AWS that loses things; ``met`` holds what met its fault."""

    def __init__(self, *, after_effect: bool) -> None:
        self.after_effect = after_effect
        self.met: dict[str, str] = {}

    def changes(self, request: Request) -> bool:
        """Whether a request of podshare's functions may change something."""
        told = f"{request.headers.get('x-amz-target', '')} {request.body[:200].decode(errors='replace')}"
        return request.method not in ("GET", "HEAD") and not READING.search(told)

    def carry(self, door: FrontDoor, request: Request) -> Response:
        """Answer as AWS would, but for the first time that a changing request comes by."""
        what = f"{request.method} {request.url} {hashlib.sha256(request.body).hexdigest()}"
        if not self.changes(request) or what in self.met:
            return STOCK(door, request)
        self.met[what] = f"{request.method} {request.url}"
        if self.after_effect:
            STOCK(door, request)
        return Response(500, {"Content-Type": "application/json"}, json.dumps({"message": "lost"}).encode())


STOCK = FrontDoor.handle


@contextmanager
def faults(monkeypatch: pytest.MonkeyPatch, *, after_effect: bool) -> Iterator[Network]:
    network = Network(after_effect=after_effect)
    with monkeypatch.context() as patch:

        def handle(door: FrontDoor, request: Request) -> Response:
            return network.carry(door, request)

        patch.setattr(FrontDoor, "handle", handle)
        yield network


@pytest.mark.parametrize("after_effect", [False, True], ids=["refused", "reply lost"])
def test_a_whole_life_survives(world: World, monkeypatch: pytest.MonkeyPatch, after_effect: bool) -> None:
    """Come, change and go with a fault at every changing call: the same end as without, and nothing left behind."""
    name = "lost" if after_effect else "refused"
    with faults(monkeypatch, after_effect=after_effect) as network:
        world.put_team(name, members=MEMBERS, service_accounts=[{"name": "trainer", "datasets": TWO}])
        if world.status(name)["state"] != "READY":
            world.reconcile(name)
        assert world.status(name)["state"] == "READY", json.dumps(world.status(name)["problems"])
        leaver = world.cluster_access(name, LANGUAGE)
        world.put_team(name, members=MEMBERS[:1], service_accounts=[{"name": "trainer", "datasets": TWO[:1]}])
        if world.status(name)["state"] != "READY":
            world.reconcile(name)
        assert world.status(name)["state"] == "READY", json.dumps(world.status(name)["problems"])
    assert refused(lambda: world.may_submit(leaver, name))
    assert world.may_submit(world.cluster_access(name, VISION), name)
    with world.calls() as made:
        assert world.reconcile(name)["summary"] == "READY: nothing to change"
    assert made == []
    with faults(monkeypatch, after_effect=after_effect) as more:
        world.delete(f"team#{name}")
        if world.status(name)["state"] != "DELETED":
            world.reconcile(name)
    assert world.status(name)["state"] == "DELETED", json.dumps(world.status(name)["problems"])
    assert world.leftovers() == []
    touched = " ".join([*network.met.values(), *more.met.values()])
    for service in ("iam", "eks", "sagemaker", "s3-control", "s3", "dynamodb"):
        assert f"{service}." in touched
    assert len(network.met) + len(more.met) > 60
