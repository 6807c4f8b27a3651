"""The life that every schedule lives through: two teams come, one narrows while the other widens, and both go.

A third has the name of a HyperPod team that somebody made by hand, and lets nobody in. Between, a night passes in which
a sweep finds all as it should be; an account with members and one with a cluster of beta's are closed, which events
tell, and reinstated, which only a sweep finds, while an admin blocks another. Somebody takes the tags away from all
that the teams have, before one loses a member, or gives them to the other team, before both go.
What each chapter should give is written down by hand too, so that the run without faults is held to something.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from podshare_cli import sandbox_deployment
from podshare_cli.sandbox_deployment import add_cluster, deploy_podshare
from podshare_sandbox import Sandbox
from podshare_sandbox.organization import FILE_SYSTEM
from podshare_sandbox.services import organizations
from tests.builders import a_team_item
from tests.scenarios.world import CLUSTER, DATA, DATASETS, HUB, LANGUAGE, REGION, SCIENCE, VISION, Item, World
from tests.simulation import strangers, trials
from tests.simulation.reality import CLUSTERS, COMPUTE

TEAMS = ("alpha", "beta", "gamma")
FOREIGN_TEAM, FOREIGN_STATE = "gamma", "DEGRADED"
"""Somebody else made a HyperPod team of that name by hand: its record lets nobody in."""
EXISTING_ROLE = "LabScientist"
# nobody asks whether a run of removals is meant, no work keeps a compute quota, and an account that was suspended, of
# which no event tells, is not waited for
PARAMETERS = {
    "DrainSeconds": "0",
    "FunctionTimeoutSeconds": "12",
    "MemberRoleWaitSeconds": "2",
    "MostTeamsLosingAccess": "10000",
}
TIME_SCALE = 0.002

_READ_IMAGES = {"dataset": "imagenet", "access": "read"}
_READ_CRAWL = {"dataset": "crawl", "access": "read"}
_WRITE_DRAFTS = {"dataset": "drafts", "access": "read_write", "prefix": "drafts/alpha/"}
_READ_DRAFTS = {**_WRITE_DRAFTS, "access": "read"}
_READ_SCANS = {"dataset": "scans", "access": "read"}
_REPORTS = {**DATASETS[3], "id": "dataset#reports", "prefix": "reports/", "data_role": "target"}
_READ_REPORTS = {"dataset": "reports", "access": "read"}
_WRITE_REPORTS = {"dataset": "reports", "access": "read_write"}
_TRAINER = {"name": "trainer", "datasets": [_READ_IMAGES]}
_SOON, _LATE = "2032-01-31T18:00:00Z", "2033-01-31T18:00:00Z"  # the moments themselves are no part of the story
_MOUNT_CRAWL = {"file_system": FILE_SYSTEM, "dataset": "crawl", "access": "read_write"}
_MAIN, _SECOND = (arn.rpartition("/")[2] for arn in CLUSTERS)
_TRAINING, _VIEW = "AmazonSagemakerHyperpodTrainingPolicy", "AmazonEKSViewPolicy"


def _rbac(verb: str) -> Item:
    group = "podshare:alpha:operators"
    rules = [{"api_groups": [""], "resources": ["configmaps"], "verbs": ["get", verb]}]
    return {"kubernetes_groups": [group], "rbac": [{"group": group, "rules": rules}]}


def _on_both() -> Item:
    """A quota on each cluster."""
    places = {"main": "ml.p5.48xlarge", "second": "ml.g5.12xlarge"}
    quotas = {name: {"resources": [{"instance_type": kind, "count": 1}]} for name, kind in places.items()}
    return {"cluster": [{"cluster": name, "quota": quota} for name, quota in quotas.items()]}


def _beta(**fields: Any) -> Item:
    record = a_team_item("beta", access_role="per_team", kubernetes_groups=["podshare:beta:friends"], **fields)
    return {**{name: value for name, value in record.items() if name != "quota"}, **_on_both()}


def _quota(count: int) -> Item:
    return {"resources": [{"instance_type": "ml.p5.48xlarge", "count": count}]}


@dataclass(frozen=True)
class Chapter:
    """What the admins do at once, what every team should be then, and who may then do what.

    ``people`` are (account, role name, team, access policy); ``pods`` are (cluster, team, service account, access, prefix).
    ``rival`` names the chapter whose records a second admin writes where two are at odds. ``marks`` is what becomes of
    the tags of all that the teams have before: ``lost``, or ``changed`` to the other team's; ``leaving_work`` that their
    members leave some in the namespaces. ``is_night``: nobody does anything, and the sweep finds all as it should be.
    """

    name: str
    people: frozenset[tuple[str, str, str, str]]
    pods: frozenset[tuple[str, str, str, str, str]]
    records: tuple[Item, ...] = ()
    deleted: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()
    reinstated: tuple[str, ...] = ()
    rival: str = ""
    marks: str = ""
    leaving_work: bool = False
    is_night: bool = False
    state: str = "READY"
    states: Mapping[str, str] = field(default_factory=dict)

    def state_of(self, team: str) -> str:
        """What a team is then; ``states`` are of those that are not as the others are."""
        foreign = {FOREIGN_TEAM: FOREIGN_STATE} if self.state == "READY" else {}
        return {**foreign, **self.states}.get(team, self.state)

    @property
    def is_of_accounts(self) -> bool:
        """Whether the organization changes, and not the registry."""
        return bool(self.closed or self.reinstated)


ONBOARDING = Chapter(
    name="onboarding",
    rival="change",
    records=(
        a_team_item(
            "alpha",
            members=[{"account": VISION}, {"account": LANGUAGE, "existing_role": EXISTING_ROLE}],
            service_accounts=[
                {"name": "trainer", "datasets": [_READ_IMAGES, _WRITE_DRAFTS]},
                {"name": "analyst", "datasets": [_WRITE_REPORTS]},
            ],
            expires=_SOON,
            file_systems=[_MOUNT_CRAWL],
            **_rbac("create"),
        ),
        a_team_item(FOREIGN_TEAM, members=[{"account": VISION}], service_accounts=[_TRAINER]),
        _beta(
            members=[{"account": LANGUAGE}],
            service_accounts=[{"name": "trainer", "datasets": [_READ_IMAGES, _READ_SCANS]}],
        ),
    ),
    people=frozenset(
        {
            (VISION, "podshare/podshare-alpha-scientist", "alpha", _TRAINING),
            (LANGUAGE, EXISTING_ROLE, "alpha", _TRAINING),
            (LANGUAGE, "podshare/podshare-beta-scientist", "beta", _TRAINING),
        }
    ),
    pods=frozenset(
        {
            (_MAIN, "alpha", "trainer", "read", "imagenet/"),
            (_MAIN, "alpha", "trainer", "read", "drafts/alpha/"),
            (_MAIN, "alpha", "trainer", "write", "drafts/alpha/"),
            (_MAIN, "alpha", "analyst", "read", "reports/"),
            (_MAIN, "alpha", "analyst", "write", "reports/"),
            (_MAIN, "beta", "trainer", "read", "imagenet/"),
            (_MAIN, "beta", "trainer", "read", "scans/"),
            (_SECOND, "beta", "trainer", "read", "imagenet/"),
            (_SECOND, "beta", "trainer", "read", "scans/"),
        }
    ),
)

CHANGE = Chapter(
    name="change",
    marks="lost",
    rival="onboarding",
    records=(
        a_team_item(
            "alpha",
            access="view",
            members=[{"account": VISION}],
            quota=_quota(3),
            service_accounts=[
                {"name": "trainer", "datasets": [_READ_CRAWL, _READ_DRAFTS]},
                {"name": "analyst", "datasets": [_READ_REPORTS]},
            ],
            expires=_LATE,
            file_systems=[{**_MOUNT_CRAWL, "access": "read"}],
            **_rbac("list"),
        ),
        _beta(
            members=[{"account": LANGUAGE}, {"account": VISION}],
            service_accounts=[{"name": "reader", "datasets": [_READ_IMAGES]}],
        ),
    ),
    people=frozenset(
        {
            (VISION, "podshare/podshare-alpha-scientist", "alpha", _VIEW),
            (LANGUAGE, "podshare/podshare-beta-scientist", "beta", _TRAINING),
            (VISION, "podshare/podshare-beta-scientist", "beta", _TRAINING),
        }
    ),
    pods=frozenset(
        {
            (_MAIN, "alpha", "trainer", "read", "crawl/"),
            (_MAIN, "alpha", "trainer", "read", "drafts/alpha/"),
            (_MAIN, "alpha", "analyst", "read", "reports/"),
            (_MAIN, "beta", "reader", "read", "imagenet/"),
            (_SECOND, "beta", "reader", "read", "imagenet/"),
        }
    ),
)

NIGHT = Chapter(name="night", is_night=True, people=CHANGE.people, pods=CHANGE.pods)

ABSENCE = Chapter(
    name="absence",
    closed=(LANGUAGE, COMPUTE),
    states={"beta": "DEGRADED"},  # one of its clusters is closed
    people=frozenset(one for one in CHANGE.people if one[0] != LANGUAGE),
    pods=frozenset(one for one in CHANGE.pods if one[0] != _SECOND),
)

_BLOCK = {"id": f"block#{VISION}", "schema": 1, "reason": "keys were stolen", "owner": "priya@example.com"}

RETURN = Chapter(
    name="return",
    marks="changed",
    records=(_BLOCK,),
    reinstated=(LANGUAGE, COMPUTE),
    people=frozenset(one for one in CHANGE.people if one[0] != VISION),
    pods=CHANGE.pods,
)

REMOVAL = Chapter(
    name="removal",
    marks="changed",
    deleted=(*(f"team#{team}" for team in TEAMS), _BLOCK["id"]),  # unblocked last: no team is left to let it in
    leaving_work=True,
    state="DELETED",
    people=frozenset(),
    pods=frozenset(),
)

CHAPTERS = (ONBOARDING, CHANGE, NIGHT, ABSENCE, RETURN, REMOVAL)


def able(person: tuple[str, str, str, str]) -> tuple[str, str, str, str]:
    """Somebody with what can be tried in place of the access policy."""
    return (*person[:3], trials.WORK if person[3] == _TRAINING else trials.LOOK)


def opened(sandbox: Sandbox) -> World:
    """The world in which the story takes place, before its first chapter."""
    world = World(sandbox)
    world.outputs = deploy_podshare(sandbox, PARAMETERS)
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{LANGUAGE}:root"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    sandbox.client("iam", LANGUAGE).create_role(RoleName=EXISTING_ROLE, AssumeRolePolicyDocument=document)
    scheduler = {"priority_classes": [{"name": "training", "weight": 60}]}
    world.put({**CLUSTER, "namespace_hardening": "enforce", "scheduler": scheduler}, *DATASETS, _REPORTS)
    strangers.make_team(world, FOREIGN_TEAM)
    _open_second_cluster(world)
    trials.prepare(world)
    return world


def _open_second_cluster(world: World) -> None:
    """An account of its own has a cluster too, which the accounts of scientists and of data may use."""
    assert world.create_accounts("compute") == [COMPUTE]
    add_cluster(world.sandbox, COMPUTE, REGION, _SECOND, "compute")
    template = sandbox_deployment.PROJECT / "accounts" / "member.yaml"  # of the copy that is simulated
    shared = {"ClusterAccountIds": f"{HUB},{COMPUTE}"}
    parameters = {"HubAccountId": HUB, "OrganizationId": "o-podshare01", **shared}
    world.sandbox.deploy_stack_set("podshare-member", template, parameters, [SCIENCE])
    world.sandbox.deploy(template, DATA, REGION, "podshare-member", shared)
    place = {"account": COMPUTE, "eks_cluster": _SECOND, "hyperpod_cluster": "compute"}
    world.put({**CLUSTER, **place, "id": "cluster#second"})


def write(world: World, chapter: Chapter, owned: Iterable[str]) -> None:
    """Let the admins do what a chapter is about, without waiting for what comes of it; ``owned`` is podshare's until then."""
    for account in chapter.reinstated:
        organizations.reinstate(account)
    if chapter.marks:
        strangers.take_marks(world, owned, chapter.marks)
    if chapter.leaving_work:
        strangers.leave_work(team for team in TEAMS if team != FOREIGN_TEAM)
    world.put(*chapter.records, settle=False)
    world.delete(*chapter.deleted, settle=False)
    for account in chapter.closed:
        world.organizations.close_account(AccountId=account)
    if chapter.reinstated or chapter.is_night:
        begin_sweep(world)


def begin_sweep(world: World) -> None:
    """Let every account and every team be looked at, as every night."""
    machine = f"arn:aws:states:{REGION}:{HUB}:stateMachine:podshare-sweep-teams"
    world.sandbox.client("stepfunctions").start_execution(stateMachineArn=machine, input='{"by": "simulation"}')
