"""Events late, twice, out of order or never: the end is the same, after at most one sweep.

The organization is the sandbox's and the events are those that it sends. What is held is what podshare decides: what
each account is, which teams are to be reconciled, and what each of them should then have. That the machines carry it
out is the other scenarios' matter.
"""

import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from podshare.aws.settings import Settings
from podshare.aws.tables import State
from podshare.kinds.base import Key
from podshare.reconcile.lifecycle import account_changed, account_read
from podshare.reconcile.organization_accounts import keep_uses
from podshare.reconcile.sweeping import page
from podshare.reconcile.team_records import desired_resources, read_records
from podshare_sandbox import Sandbox, delivery
from podshare_sandbox.organization import ORGANIZATION_ID
from podshare_sandbox.services import organizations
from tests.builders import CLUSTER as FACTS
from tests.builders import a_team_item, an_enrollment_item
from tests.scenarios.world import CLUSTER, DATASETS, HUB, LANGUAGE, MANAGEMENT, REGION, SCIENCE, VISION, Item, World

TEMPLATE = Path(__file__).resolve().parents[2] / "template.yaml"
STACK_SETS = "member.org.stacksets.cloudformation.amazonaws.com"
TAGS = [{"Key": key, "Value": value} for key, value in {"owner": "ada@example.com", "gpus": "1"}.items()]
SETTINGS = Settings(
    prefix="podshare",
    account=HUB,
    organization=ORGANIZATION_ID,
    management_account=MANAGEMENT,
    organization_access="delegated-administrator",
    identity_center_region=REGION,
    registry="podshare-registry",
    state="podshare-state",
    history_bucket="",
    machine="",
    lifecycle="",
    member_role_wait=3600,
    most_teams_losing=10,
    most_percent_losing=10,
    drain_seconds=0,
    function_timeout=60,
    region=REGION,
)


class History:
    """An account's life as it happens, the events of it that are under way, and what podshare made of those."""

    def __init__(self, world: World, sent: list[Item]) -> None:
        self._world = world
        self.under_way = sent
        self.applied: dict[str, frozenset[Key]] = {}
        self.account = ""

    def join(self) -> None:
        (self.account,) = self._world.create_accounts(f"lab-{os.urandom(4).hex()}")
        self._world.sandbox.settle()

    def move(self) -> None:
        self._world.move(self.account, SCIENCE, settle=False)

    def tag(self) -> None:
        pool = {"Key": "pool", "Value": "shared"}
        self._world.organizations.tag_resource(ResourceId=self.account, Tags=[*TAGS, pool])

    def suspend(self) -> None:
        organizations.suspend(self.account)

    def close(self) -> None:
        self._world.organizations.close_account(AccountId=self.account)
        self._world.sandbox.settle()

    def stay(self) -> None:
        """Nothing further happens to the account."""

    def deliver(self, event: Item) -> None:
        for team in account_changed(SETTINGS, event)["teams"]:
            self._apply(team["team"])

    def sweep(self) -> None:
        for account in page(SETTINGS, "accounts", "")["items"]:
            account_read(SETTINGS, account)
        for team in {*itertools.chain(*page(SETTINGS, "teams", "")["items"]), *self.applied}:
            self._apply(team)

    def _apply(self, team: str) -> None:
        """What a plan does: it writes down for which accounts the team has something."""
        former = {key.account for key in self.applied.get(team, ())}
        self.applied[team] = self.wanted(team)
        keep_uses(State(SETTINGS.state), team, former, {key.account for key in self.applied[team]})

    def wanted(self, team: str) -> frozenset[Key]:
        """What the team should have by what podshare knows now."""
        return frozenset(
            desired_resources(
                read_records(SETTINGS, State(SETTINGS.state), team), {"main": FACTS}, SETTINGS.installation
            )
        )

    def brings_in(self, team: str) -> bool:
        """Whether podshare gives the account's people anything by this team."""
        return any(key.account == self.account for key in self.applied.get(team, ()))


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """The hub's tables, an enrollment, and a team of whichever account has a tag; the hub may read the organization."""
    with Sandbox(time_scale=0.001) as sandbox, pytest.MonkeyPatch.context() as environment:
        found = World(sandbox)
        stack = {"OrganizationId": ORGANIZATION_ID, "ManagementAccountId": MANAGEMENT}
        sandbox.deploy(TEMPLATE, stack_name="podshare", parameters=stack)
        for name, value in sandbox.environment(HUB, REGION).items():
            if name.startswith("AWS_") and not name.endswith("BUNDLE"):
                environment.setenv(name, value)
        found.organizations.enable_aws_service_access(ServicePrincipal=STACK_SETS)
        found.organizations.register_delegated_administrator(AccountId=HUB, ServicePrincipal=STACK_SETS)
        pool = a_team_item("pool", members=[{"account_tag": {"key": "pool", "value": "shared"}}])
        for item in (CLUSTER, *DATASETS, pool, an_enrollment_item(exclude_accounts=[VISION, LANGUAGE])):
            found.put(item, settle=False)
        yield found


@pytest.mark.usefixtures("world")
def test_any_number_of_teams_of_an_account_is_reconciled() -> None:
    """What one answer names fits into a state's 256 KiB, however many teams use the account; pages name each once."""
    state, account = State(SETTINGS.state), "888888888888"
    teams = [f"{'used-by-a-team-with-a-long-name':-<36}{number:04}" for number in range(1000)]
    for team in teams:
        keep_uses(state, team, (), [account])
    caller = f"arn:aws:iam::{MANAGEMENT}:user/{'division/' * 50}{'x' * 64}"
    detail = {"eventName": "CloseAccount", "requestParameters": {"accountId": account}, "eventID": "0" * 36}
    event = {"account": MANAGEMENT, "detail": {**detail, "userIdentity": {"arn": caller}}}

    named, after = list[str](), ""
    while True:
        answer = account_changed(SETTINGS, event, after)
        assert len(json.dumps(answer).encode()) < 256 * 1024
        named += [reconciliation["team"] for reconciliation in answer["teams"]]
        if not (after := answer["after"]):
            break
    assert named == teams
    for team in teams:
        keep_uses(state, team, [account], ())


STEPS = st.permutations(["move", "tag"]).flatmap(
    lambda steps: st.tuples(st.sampled_from(["suspend", "close", "stay"]), st.integers(0, 2)).map(
        lambda ending: [*steps[: ending[1]], ending[0], *steps[ending[1] :]]
    )
)
# what comes next: a step, or one of the events that are under way, once or with a copy that stays under way
TURNS = st.lists(st.tuples(st.sampled_from(["step", "event", "copy"]), st.integers(0, 9)), max_size=20)


@settings(max_examples=8, suppress_health_check=list(HealthCheck), derandomize=True)
@given(steps=STEPS, turns=TURNS, lost=st.none() | st.integers(0, 6))
def test_every_ordering_ends_in_the_same_state(
    world: World, steps: list[str], turns: list[tuple[str, int]], lost: int | None
) -> None:
    """Whatever order changes and events come in, twice or one of them never, all is right after at most one sweep."""
    with pytest.MonkeyPatch.context() as captured:
        sent: list[Item] = []
        captured.setattr(delivery.events, "_offer", lambda event, *_: sent.append(event))
        history = History(world, sent)
        history.join()
        live(history, steps, turns, lost)
        if lost is not None or "suspend" in steps:  # a suspension by AWS has no event
            history.sweep()

    stays = "stay" in steps
    assert history.brings_in("pool") is stays
    assert history.brings_in(f"science-{history.account}") is stays
    for team, applied in history.applied.items():
        assert applied == history.wanted(team), team


def live(history: History, steps: list[str], turns: list[tuple[str, int]], lost: int | None) -> None:
    """Take the steps in their order, and deliver what is under way as the turns say; the rest comes at the end."""
    steps, turns = list(steps), list(turns)
    while steps or history.under_way:
        turn, place = turns.pop(0) if turns else ("event", 0)
        if steps and (turn == "step" or not history.under_way):
            getattr(history, steps.pop(0))()
        elif history.under_way:
            event = history.under_way[place % len(history.under_way)]
            if turn != "copy":
                history.under_way.remove(event)
            if lost == 0:
                history.under_way[:] = [one for one in history.under_way if one is not event]
            else:
                history.deliver(event)
            lost = None if lost is None else lost - 1
