"""The plan: what has to change, in the order that cuts access soonest, and never more than is needed."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podshare.kinds.access_entry.shape import AccessEntry
from podshare.kinds.access_point.shape import AccessPoint
from podshare.kinds.base import Key, Kind, Resource, Stage, same
from podshare.kinds.bucket_delegation.shape import BucketDelegation
from podshare.kinds.compute_quota.shape import ComputeQuota
from podshare.kinds.desired import desired
from podshare.kinds.kms_grant.shape import KmsGrant
from podshare.kinds.namespace.shape import Namespace
from podshare.kinds.observation import LONGEST_TEXT, Blocker, Foreign, Orphaned, Unreadable
from podshare.kinds.pod_identity_association.shape import PodIdentityAssociation
from podshare.kinds.role.shape import Role
from podshare.kinds.service_account.shape import ServiceAccount
from podshare.reconcile.plan import Action, Change, carried, plan, target_state
from podshare.registry.records import Team
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
        "TRUST": {"cut role", "delete ssm_parameter"},
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
    assert {change.action for change in found.revoke[Stage.CLUSTER_ACCESS]} == {Action.RESTRICT}
    for change in found.revoke[Stage.CLUSTER_ACCESS]:
        narrowed = target_state(change.action, new[change.key], old[change.key])
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
    assert [c.action for c in found.changes if c.key == key] == [Action.RESTRICT, Action.UPDATE]
    narrowed = target_state(Action.RESTRICT, want[key], there[key])
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
    assert "is not podshare's" in found.blockers[0].what


def test_an_obstacle_withholds_what_it_covers_and_no_revocation() -> None:
    """An account that cannot be reached stops additions there, additions elsewhere go on, and cuts always do."""
    there = wanted(a_team(members=[{"account": "222222222222"}, {"account": "555555555555"}]))
    there = {key: one for key, one in there.items() if "222222222222" not in (key.account, one.why[-12:])}
    found = plan(wanted(a_team()), there, [Blocker("no member role", "deploy it", account="222222222222")])
    accounts = {change.key.account for change in found.changes if change.action is Action.CREATE}
    assert "222222222222" not in accounts
    assert "444444444444" in accounts
    assert {change.key.account for change in found.changes if change.action is Action.DELETE} >= {"555555555555"}


def test_an_obstacle_of_one_thing_withholds_it_and_what_needs_it_to_be_there() -> None:
    """A quota that is refused keeps its namespace's service accounts waiting; one that is not raised, nothing."""
    want = wanted(a_team())
    (quota,) = (key for key in want if key.kind is Kind.COMPUTE_QUOTA)
    refused = Blocker("the quota does not fit", "lower it", only=str(quota))
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
    assert len(found.blockers) == len(want)


def test_what_is_left_behind_is_told_and_stops_nothing() -> None:
    """Things in an account that has gone are listed; everything else is planned as if they were not there."""
    there, gone = wanted(a_team()), wanted(a_team(members=[{"account": "222222222222"}]))
    lost = {key: Orphaned(key, "the account is DEPARTED") for key in there if key.account == "444444444444"}
    found = plan(gone, {**there, **lost})
    assert {thing.key for thing in found.orphaned} == lost.keys()
    assert not found.blockers
    assert not [change for change in found.changes if change.key.account == "444444444444"]
    assert (
        "role podshare-vision-scientist in account 444444444444 is orphaned"
        in found.as_dict()["left_behind"][0]["what"]
    )


def test_an_account_without_its_member_role_is_told_once() -> None:
    """What waits for a member role is withheld without an obstacle for each thing; what needs no such role is not."""
    want = wanted(a_team())
    late = {key: Unreadable(key, "no role", no_role=True) for key in want if key.account == "444444444444"}
    waits = Blocker("account 444444444444 waits", "nothing", account="444444444444", waits=True)
    found = plan(want, late, [waits])
    assert found.blockers == (waits,)
    assert {change.key for change in found.changes} == want.keys() - late.keys()


def test_capacity_is_raised_and_lowered_in_place() -> None:
    """A changed quota is updated, never removed."""
    there = wanted(a_team())
    want = wanted(a_team(quota={"resources": [{"instance_type": "ml.p5.48xlarge", "count": 1}]}))
    found = plan(want, there)
    changes = [
        (change.action, change.key.kind) for change in found.changes if change.key.kind is not Kind.SSM_PARAMETER
    ]
    assert changes == [(Action.UPDATE, Kind.COMPUTE_QUOTA)]


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
    found = carried(plan(new, old))
    assert found.left > 0
    assert all(change.action in (Action.REVOKE, Action.DELETE) for change in found.changes)
    assert min(found.revoke) is Stage.CLUSTER_ACCESS


def test_a_cut_off_plan_has_the_stages_that_end_access_soonest() -> None:
    """What a run leaves for the next is of later stages than all that it does, whatever its resources are called."""
    names = [f"d{number:02}" for number in range(50)]
    grants = [{"dataset": name, "access": "read"} for name in names]
    team = a_team(
        members=[{"account": f"{number:012}"} for number in range(1, 90)],
        service_accounts=[{"name": "reader", "datasets": grants}],
    )
    there = wanted(team, **{name: a_dataset(name) for name in names})
    cut_off = carried(plan({}, there))
    assert cut_off.left > 0
    begun = {change.key for change in cut_off.changes}
    for key, resource in there.items():
        first = resource.revoke_stage if resource.revoked() else resource.remove_stage
        assert key in begun or first >= max(cut_off.revoke)


def test_what_has_failed_in_a_run_keeps_nothing_else_waiting() -> None:
    """Whoever refuses the changes of one pass leaves those of the next to others: after a few, all were tried."""
    there = wanted(a_team(members=[{"account": f"{number:012}"} for number in range(1, 300)]))
    failed, passes = set[str](), list[set[Change]]()
    while not passes or passes[-1] - set().union(*passes[:-1]):
        passes.append({*carried(plan({}, there), failed).changes})
        failed |= {change.fingerprint for change in passes[-1]}
    assert set().union(*passes) == {*plan({}, there).changes}
    assert len(passes) > 2
    done = carried(plan({}, there), {change.fingerprint for change in plan({}, there).changes})
    assert done == carried(plan({}, there))  # with nothing else to try, those of the first stages are tried again


def test_what_failed_to_go_holds_up_nobody_who_comes() -> None:
    """Additions come before revocations that were refused in this run, whole and in their order."""
    old = wanted(a_team(members=[{"account": f"{number:012}"} for number in range(1, 300)]))
    new = wanted(a_team(members=[{"account": "222222222222"}]))
    first = carried(plan(new, old))
    assert not (first.grant or first.allocate)
    second = carried(plan(new, old), {change.fingerprint for change in plan(new, old).changes})
    assert (second.grant, second.allocate) == (plan(new, old).grant, plan(new, old).allocate)


def test_a_plan_fits_into_a_state() -> None:
    """However long its differences are, a plan stays under the 256 KiB of a state's input, and says what is left."""
    old = wanted(a_team(members=[{"account": f"{number:012}"} for number in range(1, 300)], access="admin"))
    new = wanted(a_team(members=[{"account": f"{number:012}"} for number in range(1, 300)], owner="x" * 200))
    found = carried(plan(new, old))
    assert found.left > 0
    assert len(json.dumps(found.as_dict())) < 200_000


def test_a_plan_fits_into_a_state_although_nothing_can_be_read() -> None:
    """Of very many blockers the first are listed, and how many more there are; a revocation waits for none of them."""
    there = wanted(a_team(members=[{"account": f"{number:012}"} for number in range(1, 400)]))
    entries = {key: resource for key, resource in there.items() if key.kind is Kind.ACCESS_ENTRY}
    silent = {key: Unreadable(key, "x" * LONGEST_TEXT) for key in there if key not in entries}
    blocked = carried(plan({}, {**entries, **silent}))
    assert len(json.dumps(blocked.as_dict())) < 200_000
    assert blocked.as_dict()["obstacles"][-1]["what"] == f"{len(silent) - 49} more resources are blocked"
    assert {change.key for change in blocked.changes} <= entries.keys()
    assert blocked.changes


def test_a_tampered_role_is_narrowed_at_once() -> None:
    """A trust that was widened and a policy that was attached are taken away in the revoking stage."""
    there = wanted(a_team())
    key = next(key for key, one in there.items() if key.kind is Kind.ROLE and one.why == "member 222222222222")
    role = there[key]
    assert isinstance(role, Role)
    open_trust = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
    tampered = replace(role, trust=open_trust, attached=frozenset({"arn:aws:iam::aws:policy/AdministratorAccess"}))
    found = plan(there, {**there, key: tampered})
    assert [change.action for change in found.changes] == [Action.RESTRICT, Action.UPDATE]
    narrowed = target_state(Action.RESTRICT, role, tampered)
    assert isinstance(narrowed, Role)
    assert not narrowed.attached
    assert same(narrowed, replace(narrowed, trust=role.revoked_trust))


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


@settings(max_examples=150)
@given(teams, teams)
def test_doing_the_plan_reaches_what_is_desired(old: Team | None, new: Team | None) -> None:
    """Whatever a team was and becomes: its plan, done change by change, leaves nothing to plan."""
    there: Resources = wanted(old)
    want = wanted(new)
    for change in plan(want, there).changes:
        after = (
            target_state(change.action, want.get(change.key), there.get(change.key))
            if change.action is not Action.DRAIN
            else there[change.key]
        )
        if after is None:
            there.pop(change.key, None)
        else:
            there[change.key] = after
    assert plan(want, there).changes == ()
    assert there.keys() == want.keys()


@settings(max_examples=100)
@given(teams, teams, teams)
def test_a_change_that_was_overtaken_never_adds_what_is_not_desired(
    old: Team | None, planned: Team | None, now: Team | None
) -> None:
    """A step of an older plan, applied late, grants nothing that the newest record does not grant."""
    there, want_now = wanted(old), wanted(now)
    for change in plan(wanted(planned), there).changes:
        if change.action in (Action.CREATE, Action.UPDATE):
            after = target_state(change.action, want_now.get(change.key), there.get(change.key))
            assert after is None or same(after, there.get(change.key)) or same(after, want_now.get(change.key))


# ---- single steps and obstacles, of small things ------------------------------------------------------------------

NAMESPACE = Key(Kind.NAMESPACE, "111111111111", "us-west-2", "hp", "hyperpod-ns-vision")


def an_account(name: str, why: str = "", **fields: Any) -> ServiceAccount:
    key = replace(NAMESPACE, kind=Kind.SERVICE_ACCOUNT, name=f"hyperpod-ns-vision/{name}")
    return ServiceAccount(key=key, why=why, **fields)


def a_point(name: str = "images", bucket: str = "images", **fields: Any) -> AccessPoint:
    policy = {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}]}
    key = Key(Kind.ACCESS_POINT, "333333333333", "us-west-2", "", name)
    return AccessPoint(key=key, bucket=bucket, **{"policy": policy, **fields})


def a_grant(container: str = "1234") -> KmsGrant:
    key = Key(Kind.KMS_GRANT, "333333333333", "us-west-2", container, "g")
    return KmsGrant(key=key, grantees=frozenset(), operations=frozenset())


def a_delegation(bucket: str = "images") -> BucketDelegation:
    return BucketDelegation(key=Key(Kind.BUCKET_DELEGATION, "333333333333", "us-west-2", bucket, "team"), write=False)


def by_key(*resources: Resource) -> Resources:
    return {one.key: one for one in resources}


@pytest.mark.parametrize(
    ("obstacle", "resource", "covered"),
    [
        ({}, an_account("a"), True),
        ({"account": "111111111111"}, an_account("a"), True),
        ({"account": "222222222222"}, an_account("a"), False),
        ({"only": str(an_account("a").key)}, an_account("a"), True),
        ({"only": str(an_account("a").key)}, an_account("b"), False),
        ({"namespace": str(NAMESPACE)}, an_account("a"), True),
        ({"namespace": str(NAMESPACE)}, Namespace(key=NAMESPACE), True),
        ({"namespace": str(replace(NAMESPACE, name="hyperpod-ns-language"))}, an_account("a"), False),
        ({"namespace": str(replace(NAMESPACE, container="other"))}, an_account("a"), False),
        ({"namespace": str(replace(NAMESPACE, region="us-east-2"))}, an_account("a"), False),
        ({"namespace": str(replace(NAMESPACE, account="555555555555"))}, an_account("a"), False),
        ({"namespace": str(NAMESPACE)}, PodIdentityAssociation(key=replace(NAMESPACE, kind=Kind.POD_IDENTITY_ASSOCIATION, name="hyperpod-ns-vision/a"), role_arn=""), False),
        ({"bucket": "images"}, a_point(), True),
        ({"bucket": "images"}, a_point(bucket="texts"), False),
        ({"bucket": "images"}, a_delegation(), True),
        ({"bucket": "images"}, a_delegation("texts"), False),
        ({"bucket": "images"}, a_grant("images"), False),
        ({"bucket": "images"}, an_account("a"), False),
        ({"cluster": "main"}, an_account("a", cluster="main"), True),
        ({"cluster": "main"}, an_account("a", cluster="east"), False),
        ({"cluster": "main"}, an_account("a"), False),
        ({"kms_key": "arn:aws:kms:us-west-2:333333333333:key/1234"}, a_grant(), True),
        ({"kms_key": "arn:aws:kms:us-west-2:333333333333:key/01234"}, a_grant(), False),
        ({"kms_key": "arn:aws:kms:us-west-2:333333333333:key/images"}, a_delegation(), False),
    ],
)  # fmt: skip
def test_an_obstacle_covers_what_it_is_about(obstacle: dict[str, str], resource: Resource, covered: bool) -> None:
    """Everything, an account, one resource, what is in a namespace, of a bucket, on a cluster, or the grants of a key."""
    assert Blocker("what", "remedy", **obstacle).covers(resource) is covered  # type: ignore[arg-type]


def test_an_obstacle_is_told_with_all_that_it_covers() -> None:
    """The machine and the command read an obstacle's fields by their names."""
    assert Blocker("what", "remedy", bucket="images", waits=True).as_dict() == {
        "what": "what",
        "remedy": "remedy",
        "account": "",
        "bucket": "images",
        "waits": True,
        "only": "",
        "cluster": "",
        "kms_key": "",
        "namespace": "",
    }


def test_what_is_left_behind_is_told_by_kind_name_and_account() -> None:
    """What stays in an account that has gone has a remedy for whoever has the account, and fits into a status."""
    key = replace(a_point().key, account="444444444444")
    assert Orphaned(key, "the account is DEPARTED").as_dict() == {
        "what": "access point images in account 444444444444 is orphaned: the account is DEPARTED",
        "remedy": "Whoever has the account may delete it; podshare does so if the account comes back.",
        "account": "444444444444",
    }
    assert len(Orphaned(key, "x" * 1000).as_dict()["what"]) == LONGEST_TEXT


@pytest.mark.parametrize(
    ("removed", "added", "deletes", "creates", "left"),
    [(200, 50, 200, 50, 0), (200, 100, 200, 50, 50), (250, 0, 250, 0, 0), (300, 100, 250, 0, 150), (0, 251, 0, 250, 1)],
)
def test_a_run_does_so_many_changes(removed: int, added: int, deletes: int, creates: int, left: int) -> None:
    """250 changes of a plan are done by one run, what takes away before what adds, and the rest is counted."""
    there = by_key(*(an_account(f"old{number}") for number in range(removed)))
    want = by_key(*(an_account(f"new{number}") for number in range(added)))
    found = carried(plan(want, there))
    actions = [change.action for change in found.changes]
    assert (actions.count(Action.DELETE), actions.count(Action.CREATE), found.left) == (deletes, creates, left)
    assert found.as_dict()["left"] == left


@pytest.mark.parametrize(("more", "left"), [(0, 2), (1, 3)])
def test_a_run_carries_so_many_characters(more: int, left: int) -> None:
    """120,000 characters of changes are done by one run, to the last one; one character more is the next run's."""
    short = plan(by_key(an_account("a100")), {}).changes[0]
    text = "y" * (1000 - len(json.dumps(short.as_dict())))
    want = by_key(*(an_account(f"a{100 + number}", text + "z" * more * (number == 0)) for number in range(122)))
    found = carried(plan(want, {}))
    assert (len(found.changes), found.left) == (122 - left, left)


@pytest.mark.parametrize(
    ("action", "want", "there", "after"),
    [
        (Action.CREATE, a_point(), None, a_point()),
        (Action.CREATE, None, None, None),
        (Action.CREATE, None, a_point(), a_point()),
        (Action.UPDATE, a_point(vpc="vpc-1"), a_point(), a_point(vpc="vpc-1")),
        (Action.DELETE, None, None, None),
        (Action.DELETE, None, a_point(), None),
        (Action.DELETE, a_point(), a_point(), a_point()),
        (Action.DELETE, a_point(bucket="texts"), a_point(), None),
        (Action.REVOKE, None, a_point(), a_point(policy=None)),
        (Action.REVOKE, None, an_account("a"), an_account("a")),
        (Action.REVOKE, a_point(), a_point(), a_point()),
        (Action.REVOKE, a_point(), None, None),
        (Action.RESTRICT, a_point(policy=None), a_point(), a_point(policy=None)),
    ],
)
def test_a_change_leaves_what_is_desired_now(
    action: Action, want: Resource | None, there: Resource | None, after: Resource | None
) -> None:
    """What adds never adds what is no longer desired, what takes away never removes what is desired again."""
    assert same(target_state(action, want, there), after)


@pytest.mark.parametrize(
    ("there", "steps"),
    [
        (a_point(), [("cut", "data", "no longer desired", ["policy"]), ("delete", "data", "no longer desired", [])]),
        (a_point(policy=None), [("delete", "data", "no longer desired", [])]),
        (an_account("a"), [("delete", "kubernetes", "no longer desired", [])]),
    ],
)
def test_what_nobody_asks_for_is_cut_once_and_deleted(there: Resource, steps: list[tuple[Any, ...]]) -> None:
    """What gives access is closed before it is deleted; what gives none, or is closed already, is only deleted."""
    found = plan({}, by_key(there)).changes
    assert [(one.action, one.execution_role, one.why, [each.field for each in one.differs]) for one in found] == steps


def test_what_cannot_be_changed_in_place_says_by_what() -> None:
    """The deletion before the new one tells each field that differs, with what it was and what it shall be."""
    there, want = a_point(), a_point(bucket="texts", vpc="vpc-1", why="dataset images")
    delete, create = plan(by_key(want), by_key(there)).changes
    assert (delete.action, delete.execution_role, delete.why) == (
        Action.DELETE,
        "data",
        "cannot be changed in place: bucket, vpc",
    )
    assert [(each.field, each.old, each.new) for each in delete.differs] == [
        ("bucket", '"images"', '"texts"'),
        ("vpc", "absent", '"vpc-1"'),
    ]
    assert (create.action, create.execution_role, create.why) == (Action.CREATE, "data", "dataset images")


@pytest.mark.parametrize(
    ("length", "told"),
    [
        (238, f'"{"x" * 238}"'),
        (239, '"' + "x" * 215 + "… sha256:" + hashlib.sha256(b'"' + b"x" * 239 + b'"').hexdigest()[:12]),
    ],
)
def test_a_long_value_is_told_by_its_beginning_and_its_hash(length: int, told: str) -> None:
    """A value of 240 characters is told in full; of a longer one the hash tells it from others of the same beginning."""
    change = plan(by_key(a_point(bucket="b")), by_key(a_point(bucket="x" * length))).changes[0]
    assert [(differs.field, differs.old, differs.new) for differs in change.differs] == [("bucket", told, '"b"')]


NOT_OURS = "podshare changes nothing that it does not own: remove it, or rename the team."
DELETE_IT = (
    "Check who uses it. If nobody needs it, delete it: "
    "aws s3control delete-access-point --region us-west-2 --account-id 333333333333 --name images"
)
POINT = "access point images in account 333333333333"


@pytest.mark.parametrize(
    ("found", "wanted", "obstacles"),
    [
        (Foreign(a_point().key, "no tags"), True, [Blocker(f"{POINT} is not podshare's: no tags", NOT_OURS)]),
        (
            Foreign(a_point().key, "no tags"),
            False,
            [Blocker(f"{POINT} is no longer wanted, but podshare may not delete it: no tags", DELETE_IT, account="333333333333")],
        ),
        *(
            (
                Unreadable(a_point().key, "denied"),
                wanted,
                [Blocker(f"{POINT} cannot be read: denied", "podshare leaves it unchanged; the next reconciliation tries again.")],
            )
            for wanted in (True, False)
        ),
        (
            Unreadable(a_point().key, "denied", no_role=True),
            False,
            [Blocker(f"{POINT} cannot be read: denied", "podshare leaves it unchanged; the next reconciliation tries again.")],
        ),
        (Unreadable(a_point().key, "denied", no_role=True), True, []),
        (Orphaned(a_point().key, "gone"), True, []),
        (a_point(), True, []),
        (None, True, []),
    ],
)  # fmt: skip
def test_whatever_stands_in_the_way_is_told_with_its_remedy(found: Any, wanted: bool, obstacles: list[Blocker]) -> None:
    """What is not podshare's, and what cannot be read, wanted or not; only what waits for a member role is told elsewhere."""
    told = plan(by_key(a_point()) if wanted else {}, {a_point().key: found})
    assert [*told.blockers] == obstacles
    assert not [
        change for change in told.changes if found and change.key == found.key and not isinstance(found, Orphaned)
    ]


def test_texts_of_others_are_bounded() -> None:
    """What AWS says of something in the way is cut off where a status has no room for it."""
    for found in (Foreign(a_point().key, "x" * 1000), Unreadable(a_point().key, "x" * 1000)):
        for want in ({}, by_key(a_point())):
            (obstacle,) = plan(want, {found.key: found}).blockers
            assert len(obstacle.what) == LONGEST_TEXT
    long = replace(a_point().key, name="x" * 1000)
    (obstacle,) = plan({}, {long: Foreign(long, "")}).blockers
    assert len(obstacle.remedy) == LONGEST_TEXT
    blocker = Blocker("x" * 5000, "y" * 5000).as_dict()
    assert (blocker["what"], blocker["remedy"]) == ("x" * LONGEST_TEXT, "y" * LONGEST_TEXT)


def test_lanes_keep_together_what_needs_each_other() -> None:
    """What needs the same thing shares its lane, in waves after it, and what needs nothing has a lane of its own."""
    base, alone = an_account("base", "why base"), an_account("alone")
    left, right = (an_account(name, needs=frozenset({base.key})) for name in ("left", "right"))
    last = an_account("last", needs=frozenset({left.key, right.key, a_point().key}))
    found = plan(by_key(left, last, alone, right, base), {})
    lanes = [[{change.key.name.rpartition("/")[2] for change in wave} for wave in lane] for lane in found.allocate]
    assert sorted(lanes, key=len) == [[{"alone"}], [{"base"}, {"left", "right"}, {"last"}]]
    assert [one["about"] for one in found.as_dict()["allocate"] if len(one["waves"]) > 1] == ["why base"]
    assert not found.grant


def test_chains_that_meet_are_one_lane() -> None:
    """What needs two things that others need as well joins their lanes, and each change is made once."""
    one, other = an_account("one"), an_account("other")
    beside_one, beside_other = (
        an_account(f"beside-{each.key.name[-5:]}", needs=frozenset({each.key})) for each in (one, other)
    )
    both = an_account("both", needs=frozenset({one.key, other.key}))
    found = plan(by_key(beside_one, one, beside_other, other, both), {})
    (lane,) = found.allocate
    assert [{change.key for change in wave} for wave in lane] == [
        {one.key, other.key},
        {beside_one.key, beside_other.key, both.key},
    ]
    assert len(found.changes) == 5


def test_what_is_withheld_withholds_what_needs_it_until_it_is_there() -> None:
    """However long the chain of needs is, and in whatever order; one that stands already holds nothing up."""
    first = an_account("first")
    second = an_account("second", needs=frozenset({first.key}))
    third = an_account("third", needs=frozenset({second.key}))
    want, obstacle = by_key(third, second, first), Blocker("what", "remedy", only=str(first.key))
    assert plan(want, {}, [obstacle]).changes == ()
    there = by_key(replace(first, tags={"t": "other"}))
    assert {change.key for change in plan(want, there, [obstacle]).changes} == {second.key, third.key}
