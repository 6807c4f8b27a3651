"""The network on a bad day: every changing call is refused once, denied once, or takes effect and its reply is lost.

The faults are put between the functions and AWS, in the sandbox's front door, so that the product and its SDK see what
they would see. Each request, by method, address and content, meets its fault once.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from podshare_sandbox.front_door import FrontDoor, Request, Response
from tests.scenarios.world import LANGUAGE, VISION, World, refused

READING = re.compile(r"(Action=|\.)(Get|List|Describe|Query|Scan|BatchGet|AssumeRole)")
OWN_TABLE_AND_LOGS = re.compile(r"//(dynamodb|logs|states|sqs)\.")
RUN_TOKEN = re.compile(rb'"clientRequestToken": ?"[^"]*"')  # differs from run to run, the call is the same
MEMBERS = [{"account": VISION}, {"account": LANGUAGE}]
GRANTS = [
    {"dataset": "imagenet", "access": "read"},
    {"dataset": "drafts", "access": "read_write", "prefix": "drafts/vision/"},
]
MOST_RUNS = 6
STOCK = FrontDoor.handle

Fault = Callable[[FrontDoor, Request], Response | None]


def refused_once(_door: FrontDoor, _request: Request) -> Response:
    """A page from something on the way, before AWS heard of it: SDKs try again."""
    return Response(502, {"Content-Type": "text/html"}, b"<html>Bad Gateway</html>")


def reply_lost(door: FrontDoor, request: Request) -> Response:
    """AWS did it, and nobody heard: SDKs try again what is done already."""
    STOCK(door, request)
    return Response(502, {"Content-Type": "text/html"}, b"<html>Bad Gateway</html>")


def denied_once(_door: FrontDoor, request: Request) -> Response | None:
    """A permission is missing for the moment: nobody tries again before the next reconciliation."""
    if OWN_TABLE_AND_LOGS.search(request.url):
        return None
    if "//iam." in request.url or "//s3" in request.url or ".s3" in request.url:
        error = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
        wrapped = b"<ErrorResponse>" + error + b"</ErrorResponse>" if "//iam." in request.url else error
        return Response(403, {"Content-Type": "text/xml"}, wrapped)
    return Response(403, {"x-amzn-errortype": "AccessDeniedException"}, b'{"__type":"AccessDeniedException"}')


def changes(request: Request) -> bool:
    """Whether a request of podshare's functions may change something."""
    told = f"{request.headers.get('x-amz-target', '')} {request.body[:200].decode(errors='replace')}"
    return request.method not in ("GET", "HEAD") and not READING.search(told) and "selfsubject" not in request.url


@contextmanager
def network(monkeypatch: pytest.MonkeyPatch, fault: Fault) -> Iterator[set[str]]:
    """Let every changing request meet ``fault`` once; yields those that did."""
    met: set[str] = set()

    def handle(door: FrontDoor, request: Request) -> Response:
        content = hashlib.sha256(RUN_TOKEN.sub(b"", request.body)).hexdigest()
        what = f"{request.method} {request.url} {content}"
        if not changes(request) or what in met:
            return STOCK(door, request)
        met.add(what)
        return fault(door, request) or STOCK(door, request)

    with monkeypatch.context() as patch:
        patch.setattr(FrontDoor, "handle", handle)
        yield met


def settle(world: World, team: str, state: str) -> None:
    """Reconcile until the team is in ``state``; a few runs have to be enough."""
    for _ in range(MOST_RUNS):
        if world.status(team).get("state") == state:
            return
        world.reconcile(team)
    assert world.status(team)["state"] == state, world.status(team)["summary"]


@pytest.mark.parametrize("fault", [refused_once, reply_lost, denied_once])
def test_a_whole_life_survives(world: World, monkeypatch: pytest.MonkeyPatch, fault: Fault) -> None:
    """Come, change and go with a fault at every changing call: the same end as without, and nothing left behind."""
    team = fault.__name__.replace("_", "-")  # type: ignore[attr-defined]  # it is a function
    with network(monkeypatch, fault) as met:
        world.put_team(team, members=MEMBERS, service_accounts=[{"name": "trainer", "datasets": GRANTS}])
        settle(world, team, "READY")
        leaver = world.cluster_access(team, LANGUAGE)
        world.put_team(team, members=MEMBERS[:1], service_accounts=[{"name": "trainer", "datasets": GRANTS[:1]}])
        settle(world, team, "READY")
    assert refused(lambda: world.may_submit(leaver, team))
    assert world.may_submit(world.cluster_access(team, VISION), team)
    with world.calls() as made:
        assert world.reconcile(team)["summary"] == "READY: nothing to change"
    assert made == []
    with network(monkeypatch, fault) as more:
        world.delete(f"team#{team}")
        settle(world, team, "DELETED")
    assert world.leftovers() == []
    touched = " ".join(met | more)
    for service in ("iam", "eks", "sagemaker", "s3-control", "s3"):
        assert f"{service}." in touched
    assert len(met) + len(more) > 50
