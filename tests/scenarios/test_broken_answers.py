"""Whatever one reading meets, that thing is unreadable, and everything else of the team is planned as ever.

Proxies, load balancers and networks between podshare and AWS answer by themselves, in any shape; so may AWS on a bad
day. Each shape is sent to every reader of every kind, at each of its calls.
"""

import base64
import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
import trustme

from podshare.aws.roles_ahead import READS
from podshare.kinds import shapes
from podshare.kinds.base import Key, Kind
from podshare.kinds.table import KINDS
from podshare_sandbox.authorization import Decision
from podshare_sandbox.authorization.authorize import decisions
from podshare_sandbox.front_door import FrontDoor, Request, Response
from podshare_sandbox.organization import FILE_SYSTEM
from podshare_sandbox.services import eks
from podshare_sandbox.services.eks import ClusterExtension
from tests.builders import a_team_item
from tests.scenarios.world import CLUSTER, EKS_ARN, HUB, LANGUAGE, REGION, VISION, World

Shape = Callable[[Response], Response]
HTML = {"Content-Type": "text/html"}
READER = "podshare-read"
_STOCK_HANDLE, _STOCK_RECORD = FrontDoor.handle, decisions.record


def closed(_: Response) -> Response:
    raise SystemExit  # ends the connection's thread, and with it the connection


def with_body(text: str) -> Shape:
    return lambda good: Response(200, good.headers, text.encode())


def from_elsewhere(status: int, headers: dict[str, str], body: bytes = b"") -> Shape:
    return lambda _: Response(status, headers, body)


SHAPES: dict[str, Shape] = {
    "503 without Content-Type": from_elsewhere(503, {}),
    "502 in HTML": from_elsewhere(502, HTML, b"<html>Bad Gateway</html>"),
    "504 of nobody": from_elsewhere(504, {"Content-Type": "application/json"}, b"{}"),
    "429 without Content-Type": from_elsewhere(429, {}),
    "429 in text": from_elsewhere(429, {"Content-Type": "text/plain"}, b"slow down"),
    "404 without Content-Type": from_elsewhere(404, {}),
    "404 in HTML": from_elsewhere(404, HTML, b"<html>Not Found</html>"),
    "404 in JSON": from_elsewhere(404, {"Content-Type": "application/json"}, b'{"error": "no route"}'),
    "403 in HTML": from_elsewhere(403, HTML, b"<html>Blocked by policy</html>"),
    "a redirect": from_elsewhere(302, {"Location": "https://login.example.com/"}),
    "200 in HTML": from_elsewhere(200, HTML, b"<html><body>Sign in</body></html>"),
    "200 without a body": from_elsewhere(200, {}),
    "an empty body in JSON": from_elsewhere(200, {"Content-Type": "application/json"}),
    "cut off": lambda good: Response(200, good.headers, good.body[: len(good.body) // 2]),
    "a list": with_body("[]"),
    "null": with_body("null"),
    "a text": with_body('"x"'),
    "nothing in it": lambda good: Response(200, good.headers, b"{}" if good.body[:1] in b"{[" else b"<Response/>"),
    "a closed connection": closed,
}


SERVICES = ("ec2", "eks", "fsx", "iam", "kms", "s3", "sagemaker")  # that are asked in member accounts
GROUP = "podshare:vision:operators"
MEMBERS = [{"account": VISION}, {"account": VISION, "existing_role": "Researcher"}]
SCANS = [{"dataset": "scans", "access": "read"}]
RULES = [{"api_groups": [""], "resources": ["configmaps"], "verbs": ["get"]}]
TEAM = a_team_item(
    "vision",
    members=MEMBERS,
    kubernetes_groups=[GROUP],
    rbac=[{"group": GROUP, "rules": RULES}],
    service_accounts=[{"name": "trainer", "datasets": SCANS}],
    file_systems=[{"file_system": FILE_SYSTEM, "dataset": "crawl", "access": "read"}],
)

# of the cluster's API, what each kind is read by
PATHS: dict[Kind, tuple[str, ...]] = {
    **{kind: (f"{shape.object_kind.lower()}s",) for kind, shape in shapes.SHAPES.items() if shape.object_kind},
    Kind.NAMESPACE: ("namespaces", "networkpolicies"),
    Kind.FOREIGN_SUBJECTS: ("rolebindings",),
}


def calls_of(kind: Kind) -> list[str]:
    """The actions, and the resources of the cluster's API, by which a kind is read."""
    return sorted(KINDS[kind].READS) if kind not in PATHS else [f"kubernetes:{path}" for path in PATHS[kind]]


# of each kind one call is broken at a time
ROUNDS = [{calls_of(kind)[nth] for kind in KINDS if nth < len(calls_of(kind))} for nth in range(4)]
AT_ONCE = READS  # what an account is read by at once: its roles are read one by one then


@dataclass
class Way:
    """Between podshare's functions and AWS: what becomes of the answers to some calls, and which were asked for."""

    shape: Shape | None = None
    calls: frozenset[str] = frozenset()
    by: str = READER
    times: int = 0
    asked: set[str] = field(default_factory=set)
    _thread: threading.local = field(default_factory=threading.local)

    @contextmanager
    def broken(self, shape: Shape, calls: Iterable[str], by: str = READER, times: int = 1_000) -> Iterator[None]:
        """Give the first answers to ``calls`` that the member role ``by`` makes another shape meanwhile."""
        self.shape, self.calls, self.by, self.times = shape, frozenset(calls), by, times
        self.asked.clear()
        yield
        self.shape = None

    def handle(self, door: FrontDoor, request: Request) -> Response:
        self._thread.call = ""
        response = _STOCK_HANDLE(door, request)
        call = self._thread.call
        if ".gr7." in request.host:
            call = f"kubernetes:{urlsplit(request.url).path.split('/')[-2]}"
        self.asked.add(call)
        if self.shape is None or call not in self.calls or not self.times:
            return response
        self.times -= 1
        return self.shape(response)

    def record(self, decision: Decision) -> None:
        _STOCK_RECORD(decision)
        if f":role/podshare-system/{self.by}" in decision.principal:
            self._thread.call = decision.action


@pytest.fixture(scope="module")
def way(world: World) -> Iterator[Way]:
    """A team that has each kind of thing, and the way between it and podshare."""
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{VISION}:root"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    world.sandbox.client("iam", VISION).create_role(RoleName="Researcher", AssumeRolePolicyDocument=document)
    world.put({**CLUSTER, "scheduler": {"priority_classes": [{"name": "training", "weight": 60}]}})
    world.put(TEAM)
    status = world.status("vision")
    assert status["state"] == "READY", status
    found = Way()

    def handle(door: FrontDoor, request: Request) -> Response:
        return found.handle(door, request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FrontDoor, "handle", handle)
        patch.setattr(decisions, "record", found.record)
        yield found


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # a closed connection is one
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("broken", range(len(ROUNDS)))
def test_whatever_a_reader_meets_the_rest_goes_on(world: World, way: Way, shape: str, broken: int) -> None:
    """What was answered in no shape of AWS's or Kubernetes' is unreadable: neither absent, nor foreign, nor changed."""
    with way.broken(SHAPES[shape], ROUNDS[broken] | AT_ONCE):
        plan = world.plan("vision")
    assert plan["count"] == 0
    hit = way.asked & ROUNDS[broken]
    assert hit
    kinds = {kind for kind in KINDS if hit & set(calls_of(kind))}
    if shape == "nothing in it":  # without tags it is podshare's all the same, by the identity that another call tells
        kinds -= {Kind.ACCESS_POINT} if hit & set(calls_of(Kind.ACCESS_POINT)) == {"s3:ListTagsForResource"} else set()
    # what tells of no tags is nobody's for all that podshare knows
    unread = {re.split(" cannot be read: | is not podshare's: ", one["what"])[0] for one in plan["obstacles"]}
    unknown = {
        what for what in unread if what.startswith("cannot check whether cluster main has a foreign team vision")
    }
    assert unread - unknown == {described(key) for key in inventory(world) if key.kind in kinds}
    assert not unknown or "sagemaker:ListComputeQuotas" in hit
    assert plan["verification"]["verified"] is False
    # who else gets in is not known where the doors' answers were broken, and that is told too
    assert {one["rule"] for one in plan["verification"]["violations"]} <= {"all doors are read"}


@pytest.mark.parametrize("shape", ["503 without Content-Type", "403 in HTML", "cut off", "nothing in it"])
@pytest.mark.parametrize("call", sorted(AT_ONCE))
def test_roles_are_read_one_by_one_where_not_all_can_be_read_at_once(
    world: World, way: Way, call: str, shape: str
) -> None:
    """What is answered for a whole account in no shape of AWS's is neither absence nor an obstacle."""
    with way.broken(SHAPES[shape], {call}):
        plan = world.plan("vision")
    assert way.asked >= {call, "iam:GetRole"}
    assert (plan["count"], plan["obstacles"], plan["verification"]["verified"]) == (0, [], True)


def inventory(world: World) -> list[Key]:
    """All that the team has."""
    rows = world.sandbox.client("dynamodb").query(
        TableName="podshare-state",
        KeyConditionExpression="id = :id AND begins_with(part, :part)",
        ExpressionAttributeValues={":id": {"S": "inventory#vision"}, ":part": {"S": "resource#"}},
    )["Items"]
    return [Key.parse(row["part"]["S"].removeprefix("resource#")) for row in rows]


def described(key: Key) -> str:
    return f"{key.kind.replace('_', ' ')} {key.name} in account {key.account}"


@pytest.mark.parametrize("shape", ["503 without Content-Type", "a list", "nothing in it"])
def test_whatever_is_asked_before_adding_access_is_taken_away(world: World, way: Way, shape: str) -> None:
    """Of a member that goes, one that comes and a dataset more, the first loses access whichever call is broken."""
    changed = {**TEAM, "id": "team#vision", "members": [MEMBERS[0], {"account": LANGUAGE}]}
    changed["service_accounts"] = [{"name": "trainer", "datasets": [*SCANS, {"dataset": "imagenet", "access": "read"}]}]
    with way.broken(SHAPES[shape], ()):
        plan = world.plan("vision", changed)
    revoked = [change["key"] for stage in plan["revoke"] for change in stage["changes"]]
    assert any("Researcher" in key for key in revoked)
    assert plan["grant"]
    read = {call for kind in KINDS for call in calls_of(kind)}
    asked = way.asked - read | {"sagemaker:ListComputeQuotas", "eks:DescribeCluster"}
    assert {"sagemaker:DescribeCluster", "iam:GetAccountSummary", "s3:GetBucketLocation"} <= asked
    for call in sorted(call for call in asked if call.partition(":")[0] in SERVICES):
        with way.broken(SHAPES[shape], {call}):
            plan = world.plan("vision", changed)
        assert call in way.asked
        still = [change["key"] for stage in plan["revoke"] for change in stage["changes"]]
        assert still == revoked, (call, plan["obstacles"])


@pytest.mark.parametrize("shape", ["503 without Content-Type", "404 in HTML", "cut off", "nothing in it"])
def test_a_change_that_meets_a_broken_answer_is_made_again(world: World, way: Way, shape: str) -> None:
    """Whoever applies a change reads first, and again afterwards: an answer that is none is waited out."""
    role, eks_client = world.cluster_access_role("vision", VISION), world.sandbox.client("eks", HUB)
    policy, *_ = eks_client.list_associated_access_policies(clusterName="hyperpod-eks", principalArn=role)[
        "associatedAccessPolicies"
    ]
    eks_client.disassociate_access_policy(clusterName="hyperpod-eks", principalArn=role, policyArn=policy["policyArn"])
    with way.broken(SHAPES[shape], {"eks:DescribeAccessEntry"}, by="podshare-cluster", times=4):
        run = world.reconcile("vision")
    assert way.times == 0
    assert (run["state"], run["summary"]) == ("READY", "READY: 1 update")


def test_a_cluster_that_was_replaced_is_asked_at_once(world: World, way: Way) -> None:
    """A warm function that knew another endpoint and CA under the cluster's name reads the new one, in the same plan."""
    del way
    assert world.plan("vision")["obstacles"] == []
    (cluster,) = (one for one in eks.clusters() if one.arn == EKS_ARN)
    extension = ClusterExtension.of(cluster)
    extension.host = f"{'0' * 32}.gr7.{REGION}.eks.amazonaws.com"
    extension.certificate_authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    cluster.endpoint = f"https://{extension.host}"
    pem = extension.certificate_authority.cert_pem.bytes()
    cluster.certificate_authority = {"data": base64.b64encode(pem).decode()}
    plan = world.plan("vision")
    assert plan["obstacles"] == []
    assert plan["verification"]["verified"]
