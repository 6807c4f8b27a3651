"""The plan: what has to change, in the order that cuts access soonest, and never more than is needed."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from podshare.domain.desired import desired
from podshare.domain.kinds import AccessEntry, AccessPoint, ComputeQuota, Key, Kind, Resource, Role, Stage, same
from podshare.domain.plan import Action, Foreign, LeftBehind, Obstacle, Unreadable, goal, plan
from podshare.domain.records import Team
from tests.builders import CLUSTER, INSTALLATION, a_dataset, a_team

Resources = dict[Key, Resource]


def wanted(team: Team | None, **datasets: Any) -> Resources:
    known = {"imagenet": a_dataset(), **datasets}
    return desired(team, [CLUSTER], known, {}, INSTALLATION) if team else {}


def kinds_by_stage(there: Resources, want: Resources) -> dict[str, set[str]]:
    found = plan(want, there).revoke
    return {stage.name: {f"{change.action} {change.key.kind}" for change in found[stage]} for stage in found}


def test_golden_onboarding(golden: Callable[[str, Any], None]) -> None:
    """A new team is provided in lanes: the quota with what needs its namespace, beside everything else."""
    golden("plan_onboarding", plan(wanted(a_team()), {}).as_dict())


def test_golden_change(golden: Callable[[str, Any], None]) -> None:
    """A member less, a quota more, a narrower prefix: cuts first, then the rest, with the fields that differ."""
    accounts = [
        {"name": "trainer", "datasets": [{"dataset": "imagenet", "access": "read", "prefix": "imagenet/train/"}]}
    ]
    changed = a_team(
        members=[{"account": "222222222222"}],
        quota={"resources": [{"instance_type": "ml.p5.48xlarge", "count": 4}]},
        service_accounts=accounts,
    )
    golden("plan_change", plan(wanted(changed), wanted(a_team())).as_dict())


def test_golden_removal(golden: Callable[[str, Any], None]) -> None:
    """A deleted team is cut in the design's order: entry, access point, trust, association, remains, quota."""
    golden("plan_removal", plan({}, wanted(a_team())).as_dict())


def test_what_is_as_desired_plans_nothing() -> None:
    """Reality that equals the record needs no change."""
    assert plan(wanted(a_team()), wanted(a_team())).changes == ()


def test_removal_cuts_access_before_it_tidies_up() -> None:
    """Entries go before access points are cut, these before trusts, these before associations; the quota is last."""
    assert kinds_by_stage(wanted(a_team()), {}) == {
        "CLUSTER_ACCESS": {"delete access_entry"},
        "DATA_ACCESS": {"cut access_point"},
        "TRUST": {"cut role"},
        "POD_IDENTITY": {"delete pod_identity_association"},
        "REMAINS": {"delete role", "delete access_point", "delete service_account", "delete bucket_delegation"},
        "RUNNING_WORK": {"drain compute_quota"},
        "COMPUTE": {"delete compute_quota"},
        "NAMESPACE": {"delete namespace"},
    }


def test_fewer_kinds_of_access_are_cut_before_anything_is_added() -> None:
    """From a list to another, what only the old one gives goes in the first stage; what both give stays throughout."""
    old, new = wanted(a_team(access=["training", "space"])), wanted(a_team(access=["training", "inference"]))
    found = plan(new, old)
    assert {change.action for change in found.revoke[Stage.CLUSTER_ACCESS]} == {Action.NARROW}
    for change in found.revoke[Stage.CLUSTER_ACCESS]:
        narrowed = goal(change.action, new[change.key], old[change.key])
        assert isinstance(narrowed, AccessEntry)
        names = {arn.rpartition("/")[2] for arn in narrowed.policies}
        assert names == {"AmazonSagemakerHyperpodTrainingPolicy", "AmazonSagemakerHyperpodUserClusterPolicy"}


def test_a_removed_member_touches_nobody_else() -> None:
    """Removing one member's account changes only what is named for that account."""
    found = plan(wanted(a_team(members=[{"account": "222222222222"}])), wanted(a_team()))
    assert found.changes
    assert {change.why for change in found.changes} == {"no longer desired"}
    gone = {change.key for change in found.changes}
    assert gone == {key for key, one in wanted(a_team()).items() if one.why == "member 444444444444"}


def test_swapped_prefixes_are_closed_before_they_are_opened() -> None:
    """Where old and new have nothing in common, access goes first and comes back after."""
    old = [{"name": "t", "datasets": [{"dataset": "imagenet", "access": "read", "prefix": "imagenet/a/"}]}]
    new = [{"name": "t", "datasets": [{"dataset": "imagenet", "access": "read", "prefix": "imagenet/b/"}]}]
    there, want = wanted(a_team(service_accounts=old)), wanted(a_team(service_accounts=new))
    found = plan(want, there)
    key = next(key for key in there if key.kind is Kind.ACCESS_POINT)
    assert [c.action for c in found.changes if c.key == key] == [Action.NARROW, Action.UPDATE]
    narrowed = goal(Action.NARROW, want[key], there[key])
    assert isinstance(narrowed, AccessPoint)
    assert narrowed.policy is None


def test_a_dataset_that_moves_gets_a_new_access_point() -> None:
    """A bucket cannot be changed in place: the access point is removed first and made anew."""
    there = wanted(a_team())
    want = wanted(a_team(), imagenet=a_dataset(bucket="other-bucket-333333333333"))
    found = plan(want, there)
    changes = [(change.action, change.key.kind) for change in found.changes]
    assert changes.index((Action.DELETE, Kind.ACCESS_POINT)) < changes.index((Action.CREATE, Kind.ACCESS_POINT))
    assert (Action.DELETE, Kind.BUCKET_DELEGATION) in changes


def test_a_dead_entry_is_made_anew() -> None:
    """An entry that is older than its role looks healthy and is replaced."""
    there = wanted(a_team())
    key = next(key for key in there if key.kind is Kind.ACCESS_ENTRY)
    entry = there[key]
    assert isinstance(entry, AccessEntry)
    found = plan(wanted(a_team()), {**there, key: replace(entry, alive=False)})
    assert [change.action for change in found.changes if change.key == key] == [Action.DELETE, Action.CREATE]


def test_only_what_needs_the_namespace_waits_for_the_quota() -> None:
    """The quota's lane holds the namespace with its service accounts and nothing else; roles and entries have lanes of their own."""
    found = plan(wanted(a_team()), {})
    allocated = {change.key.kind for lane in found.allocate for wave in lane for change in wave}
    granted = {change.key.kind for lane in found.grant for wave in lane for change in wave}
    assert allocated == {Kind.COMPUTE_QUOTA, Kind.NAMESPACE, Kind.SERVICE_ACCOUNT}
    assert not allocated & granted
    entry_lanes = [lane for lane in found.grant if any(c.key.kind is Kind.ACCESS_ENTRY for wave in lane for c in wave)]
    assert len(entry_lanes) == 2
    assert all(
        [[c.key.kind for c in wave] for wave in lane] == [[Kind.ROLE], [Kind.ACCESS_ENTRY]] for lane in entry_lanes
    )


def test_what_is_not_ours_is_reported_and_left_alone() -> None:
    """A foreign role with our name is an obstacle; what needs it is not made, the rest is."""
    want = wanted(a_team())
    key = next(key for key, one in want.items() if key.kind is Kind.ROLE and one.why == "service account trainer")
    found = plan(want, {key: Foreign(key, "it does not carry podshare's tags")})
    touched = {change.key for change in found.changes}
    assert key not in touched
    assert not any(k.kind in (Kind.POD_IDENTITY_ASSOCIATION, Kind.ACCESS_POINT) for k in touched)
    assert any(k.kind is Kind.ACCESS_ENTRY for k in touched)
    assert "is not podshare's" in found.obstacles[0].what


def test_an_obstacle_withholds_what_it_covers_and_no_revocation() -> None:
    """An account that cannot be reached stops additions there, additions elsewhere go on, and cuts always do."""
    there = wanted(a_team(members=[{"account": "222222222222"}, {"account": "555555555555"}]))
    there = {key: one for key, one in there.items() if "222222222222" not in (key.account, one.why[-12:])}
    found = plan(wanted(a_team()), there, [Obstacle("no member role", "deploy it", account="222222222222")])
    accounts = {change.key.account for change in found.changes if change.action is Action.CREATE}
    assert "222222222222" not in accounts
    assert "444444444444" in accounts
    assert {change.key.account for change in found.changes if change.action is Action.DELETE} >= {"555555555555"}


def test_an_obstacle_of_one_thing_withholds_it_and_what_needs_it_to_be_there() -> None:
    """A quota that is refused keeps its namespace's service accounts waiting; one that is not raised, nothing."""
    want = wanted(a_team())
    (quota,) = (key for key in want if key.kind is Kind.COMPUTE_QUOTA)
    refused = Obstacle("the quota does not fit", "lower it", only=str(quota))
    there: Resources = {}
    waits = want.keys() - {change.key for change in plan(want, there, [refused]).changes}
    assert {key.kind for key in waits} == {Kind.COMPUTE_QUOTA, Kind.NAMESPACE, Kind.SERVICE_ACCOUNT}
    there = wanted(a_team(service_accounts=[], quota={"resources": [{"instance_type": "ml.p5.48xlarge", "count": 1}]}))
    waits = want.keys() - there.keys() - {change.key for change in plan(want, there, [refused]).changes}
    assert waits == set()


def test_what_cannot_be_read_is_neither_added_nor_removed() -> None:
    """Unreadable is not absent: nothing is done to it, and it is said."""
    want = wanted(a_team())
    unreadable = {key: Unreadable(key, "access denied") for key in want}
    found = plan(want, unreadable)
    assert found.changes == ()
    assert len(found.obstacles) == len(want)


def test_what_is_left_behind_is_told_and_stops_nothing() -> None:
    """Things in an account that has gone are listed; everything else is planned as if they were not there."""
    there, gone = wanted(a_team()), wanted(a_team(members=[{"account": "222222222222"}]))
    lost = {key: LeftBehind(key, "the account is DEPARTED") for key in there if key.account == "444444444444"}
    found = plan(gone, {**there, **lost})
    assert {thing.key for thing in found.left_behind} == lost.keys()
    assert not found.obstacles
    assert not [change for change in found.changes if change.key.account == "444444444444"]
    assert (
        "role podshare-vision-scientist in account 444444444444 is left behind"
        in found.as_dict()["left_behind"][0]["what"]
    )


def test_an_account_without_its_member_role_is_told_once() -> None:
    """What waits for a member role is withheld without an obstacle for each thing; what needs no such role is not."""
    want = wanted(a_team())
    late = {key: Unreadable(key, "no role", no_role=True) for key in want if key.account == "444444444444"}
    waits = Obstacle("account 444444444444 waits", "nothing", account="444444444444", waits=True)
    found = plan(want, late, [waits])
    assert found.obstacles == (waits,)
    assert {change.key for change in found.changes} == want.keys() - late.keys()


def test_capacity_is_raised_and_lowered_in_place() -> None:
    """A changed quota is updated, never removed."""
    there = wanted(a_team())
    want = wanted(a_team(quota={"resources": [{"instance_type": "ml.p5.48xlarge", "count": 1}]}))
    found = plan(want, there)
    assert [(change.action, change.key.kind) for change in found.changes] == [(Action.UPDATE, Kind.COMPUTE_QUOTA)]


def test_a_failed_quota_is_made_anew() -> None:
    """A quota that SageMaker failed to create differs from a settled one."""
    there = wanted(a_team())
    key = next(key for key in there if key.kind is Kind.COMPUTE_QUOTA)
    quota = there[key]
    assert isinstance(quota, ComputeQuota)
    found = plan(there, {**there, key: replace(quota, status="failed")})
    assert [change.action for change in found.changes] == [Action.UPDATE]


def test_a_huge_plan_is_cut_off_and_cuts_come_first() -> None:
    """A run does at most so many changes, revocations before additions; the next run goes on."""
    old = wanted(a_team(members=[{"account": f"{number:012}"} for number in range(1, 150)]))
    new = wanted(a_team(members=[{"account": f"{number:012}"} for number in range(200, 300)]))
    found = plan(new, old)
    assert found.left > 0
    assert all(change.action in (Action.CUT, Action.DELETE) for change in found.changes)
    assert min(found.revoke) is Stage.CLUSTER_ACCESS


def test_a_plan_fits_into_a_state() -> None:
    """However long its differences are, a plan stays under the 256 KiB of a state's input, and says what is left."""
    old = wanted(a_team(members=[{"account": f"{number:012}"} for number in range(1, 300)], access="admin"))
    new = wanted(a_team(members=[{"account": f"{number:012}"} for number in range(1, 300)], owner="x" * 200))
    found = plan(new, old)
    assert found.left > 0
    assert len(json.dumps(found.as_dict())) < 200_000


def test_a_tampered_role_is_narrowed_at_once() -> None:
    """A trust that was widened and a policy that was attached are taken away in the revoking stage."""
    there = wanted(a_team())
    key = next(key for key, one in there.items() if key.kind is Kind.ROLE and one.why == "member 222222222222")
    role = there[key]
    assert isinstance(role, Role)
    open_trust = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
    tampered = replace(role, trust=open_trust, attached=frozenset({"arn:aws:iam::aws:policy/AdministratorAccess"}))
    found = plan(there, {**there, key: tampered})
    assert [change.action for change in found.changes] == [Action.NARROW, Action.UPDATE]
    narrowed = goal(Action.NARROW, role, tampered)
    assert isinstance(narrowed, Role)
    assert not narrowed.attached
    assert same(narrowed, replace(narrowed, trust=role.closed_trust))


members = st.lists(st.sampled_from(["222222222222", "444444444444", "555555555555"]), unique=True)
grants = st.lists(st.sampled_from(["imagenet/", "imagenet/a/", "imagenet/a/b/"]), max_size=2)
teams = st.none() | st.builds(
    lambda accounts, prefixes, access, count: a_team(
        members=[{"account": account} for account in accounts],
        access=access,
        quota={"resources": [{"instance_type": "ml.p5.48xlarge", "count": count}]},
        service_accounts=[
            {"name": f"sa{row}", "datasets": [{"dataset": "imagenet", "access": "read", "prefix": prefix}]}
            for row, prefix in enumerate(prefixes)
        ],
    ),
    members,
    grants,
    st.sampled_from(["training", "view", "admin", "none"]),
    st.integers(0, 3),
)


@settings(max_examples=150, deadline=None)
@given(teams, teams)
def test_doing_the_plan_reaches_what_is_desired(old: Team | None, new: Team | None) -> None:
    """Whatever a team was and becomes: its plan, done change by change, leaves nothing to plan."""
    there: Resources = wanted(old)
    want = wanted(new)
    for change in plan(want, there).changes:
        after = (
            goal(change.action, want.get(change.key), there.get(change.key))
            if change.action is not Action.DRAIN
            else there[change.key]
        )
        if after is None:
            there.pop(change.key, None)
        else:
            there[change.key] = after
    assert plan(want, there).changes == ()
    assert there.keys() == want.keys()


@settings(max_examples=100, deadline=None)
@given(teams, teams, teams)
def test_a_change_that_was_overtaken_never_adds_what_is_not_desired(
    old: Team | None, planned: Team | None, now: Team | None
) -> None:
    """A step of an older plan, applied late, grants nothing that the newest record does not grant."""
    there, want_now = wanted(old), wanted(now)
    for change in plan(wanted(planned), there).changes:
        if change.action in (Action.CREATE, Action.UPDATE):
            after = goal(change.action, want_now.get(change.key), there.get(change.key))
            assert after is None or same(after, there.get(change.key)) or same(after, want_now.get(change.key))
