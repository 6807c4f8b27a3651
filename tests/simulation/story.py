"""The life that every schedule lives through: two teams come, one narrows while the other widens, and both go.

Between, an account is closed, which an event tells, and reinstated, which only a sweep finds. Somebody takes the tags
away from all that the teams have, before one loses a member, or gives them to the other team, before both go.
What each chapter should give is written down by hand too, so that the run without faults is held to something.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from podshare_sandbox import Sandbox
from podshare_sandbox.organization import FILE_SYSTEM
from podshare_sandbox.services import organizations
from tests.builders import a_team_item
from tests.scenarios.world import CLUSTER, DATASETS, HUB, LANGUAGE, REGION, VISION, Item, World
from tests.simulation import strangers, trials

TEAMS = ("alpha", "beta")
EXISTING_ROLE = "LabScientist"
# nobody asks whether a run of removals is meant, no work keeps a compute quota, and an account that was suspended, of
# which no event tells, is not waited for
PARAMETERS = {
    "DrainSeconds": "0",
    "FunctionTimeoutSeconds": "12",
    "MemberRoleWaitSeconds": "2",
    "MostTeamsLosingAccess": "10000",
}
TIME_SCALE = 0.005

_READ_IMAGES = {"dataset": "imagenet", "access": "read"}
_READ_CRAWL = {"dataset": "crawl", "access": "read"}
_WRITE_DRAFTS = {"dataset": "drafts", "access": "read_write", "prefix": "drafts/alpha/"}
_READ_DRAFTS = {**_WRITE_DRAFTS, "access": "read"}
_READ_SCANS = {"dataset": "scans", "access": "read"}
_SOON, _LATE = "2032-01-31T18:00:00Z", "2033-01-31T18:00:00Z"  # the moments themselves are no part of the story
_MOUNT_CRAWL = {"file_system": FILE_SYSTEM, "dataset": "crawl", "access": "read_write"}
_TRAINING, _VIEW = "AmazonSagemakerHyperpodTrainingPolicy", "AmazonEKSViewPolicy"


def _rbac(verb: str) -> Item:
    group = "podshare:alpha:operators"
    rules = [{"api_groups": [""], "resources": ["configmaps"], "verbs": ["get", verb]}]
    return {"kubernetes_groups": [group], "rbac": [{"group": group, "rules": rules}]}


def _quota(count: int) -> Item:
    return {"resources": [{"instance_type": "ml.p5.48xlarge", "count": count}]}


@dataclass(frozen=True)
class Chapter:
    """What the admins do at once, what every team should be then, and who may then do what.

    ``people`` are (account, role name, team, access policy); ``pods`` are (team, service account, access, prefix).
    ``rival`` names the chapter whose records a second admin writes where two are at odds. ``marks`` is what becomes of
    the tags of all that the teams have before: ``lost``, or ``changed`` to the other team's.
    """

    name: str
    people: frozenset[tuple[str, str, str, str]]
    pods: frozenset[tuple[str, str, str, str]]
    records: tuple[Item, ...] = ()
    deleted: tuple[str, ...] = ()
    closed: str = ""
    reinstated: str = ""
    rival: str = ""
    marks: str = ""
    state: str = "READY"

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
            service_accounts=[{"name": "trainer", "datasets": [_READ_IMAGES, _WRITE_DRAFTS]}],
            expires=_SOON,
            file_systems=[_MOUNT_CRAWL],
            **_rbac("create"),
        ),
        a_team_item(
            "beta",
            access_role="per_team",
            members=[{"account": LANGUAGE}],
            quota=_quota(1),
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
            ("alpha", "trainer", "read", "imagenet/"),
            ("alpha", "trainer", "read", "drafts/alpha/"),
            ("alpha", "trainer", "write", "drafts/alpha/"),
            ("beta", "trainer", "read", "imagenet/"),
            ("beta", "trainer", "read", "scans/"),
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
            service_accounts=[{"name": "trainer", "datasets": [_READ_CRAWL, _READ_DRAFTS]}],
            expires=_LATE,
            file_systems=[{**_MOUNT_CRAWL, "access": "read"}],
            **_rbac("list"),
        ),
        a_team_item(
            "beta",
            access_role="per_team",
            members=[{"account": LANGUAGE}, {"account": VISION}],
            quota=_quota(1),
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
            ("alpha", "trainer", "read", "crawl/"),
            ("alpha", "trainer", "read", "drafts/alpha/"),
            ("beta", "reader", "read", "imagenet/"),
        }
    ),
)

ABSENCE = Chapter(
    name="absence",
    closed=LANGUAGE,
    people=frozenset(one for one in CHANGE.people if one[0] != LANGUAGE),
    pods=CHANGE.pods,
)

RETURN = Chapter(name="return", marks="changed", reinstated=LANGUAGE, people=CHANGE.people, pods=CHANGE.pods)

REMOVAL = Chapter(
    name="removal",
    marks="changed",
    deleted=tuple(f"team#{team}" for team in TEAMS),
    state="DELETED",
    people=frozenset(),
    pods=frozenset(),
)

CHAPTERS = (ONBOARDING, CHANGE, ABSENCE, RETURN, REMOVAL)


def able(person: tuple[str, str, str, str]) -> tuple[str, str, str, str]:
    """Somebody with what can be tried in place of the access policy."""
    return (*person[:3], trials.WORK if person[3] == _TRAINING else trials.LOOK)


def opened(sandbox: Sandbox) -> World:
    """The world in which the story takes place, before its first chapter."""
    world = World(sandbox)
    world.outputs = sandbox.deploy_podshare(PARAMETERS)
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{LANGUAGE}:root"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    sandbox.client("iam", LANGUAGE).create_role(RoleName=EXISTING_ROLE, AssumeRolePolicyDocument=document)
    scheduler = {"priority_classes": [{"name": "training", "weight": 60}]}
    world.put({**CLUSTER, "namespace_hardening": "enforce", "scheduler": scheduler}, *DATASETS)
    trials.prepare(world)
    return world


def write(world: World, chapter: Chapter, owned: Iterable[str]) -> None:
    """Let the admins do what a chapter is about, without waiting for what comes of it; ``owned`` is podshare's until then."""
    if chapter.reinstated:
        organizations.reinstate(chapter.reinstated)
    if chapter.marks:
        strangers.take_marks(world, owned, chapter.marks)
    world.put(*chapter.records, settle=False)
    world.delete(*chapter.deleted, settle=False)
    if chapter.closed:
        world.organizations.close_account(AccountId=chapter.closed)
    if chapter.reinstated:
        begin_sweep(world)


def begin_sweep(world: World) -> None:
    """Let every account and every team be looked at, as every night."""
    machine = f"arn:aws:states:{REGION}:{HUB}:stateMachine:podshare-sweep-teams"
    world.sandbox.client("stepfunctions").start_execution(stateMachineArn=machine, input='{"by": "simulation"}')
