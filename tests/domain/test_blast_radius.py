"""What of a plan takes access away for good."""

import hashlib
import re
from dataclasses import replace

from podshare.kinds.access_entry.shape import AccessEntry
from podshare.kinds.base import Key, Kind, Resource
from podshare.kinds.desired import desired
from podshare.kinds.observation import Unreadable
from podshare.reconcile.blast_radius import (
    accounts_of,
    cause,
    departed,
    digest,
    fingerprints,
    loss_text,
    losses,
    without_losses,
)
from podshare.reconcile.plan import Action, Change, Plan, carried, plan
from podshare.registry.parsing import parse_team
from podshare.registry.records import Team
from tests.builders import CLUSTER, EAST, INSTALLATION, a_dataset, a_team, a_team_item, a_team_item_on, an_account


def wanted(team: Team | None) -> dict[Key, Resource]:
    return desired(team, [CLUSTER], {"imagenet": a_dataset()}, {}, INSTALLATION) if team else {}


def test_a_deleted_team_loses_its_entries_its_data_and_its_associations() -> None:
    """What gives access counts: access entries, access points and associations; what only serves them does not."""
    there = wanted(a_team())
    found = losses("vision", {}, there, {})
    assert {key.kind for key in found} == {
        Kind.ACCESS_ENTRY,
        Kind.ACCESS_POINT,
        Kind.POD_IDENTITY_ASSOCIATION,
    }


def test_a_member_or_a_grant_that_goes_is_a_loss() -> None:
    """A record that asks for less takes access away, from whom it names no more."""
    there, want = wanted(a_team()), wanted(a_team(members=[{"account": "222222222222"}]))
    (loss,) = losses("vision", want, there, {})
    assert loss.kind is Kind.ACCESS_ENTRY


def test_a_target_role_that_goes_is_a_loss() -> None:
    """It stands for the access points that it spares: a deleted dataset takes access away in either case."""
    target = {"imagenet": a_dataset(data_role="target")}
    there, want = (desired(a_team(members=[]), [CLUSTER], known, {}, INSTALLATION) for known in (target, {}))
    (loss,) = losses("vision", want, there, {})
    assert (loss.kind, loss.account) == (Kind.ROLE, "333333333333")


def test_what_is_repaired_or_narrowed_is_no_loss() -> None:
    """Tampering is mended at once, however many teams it concerns."""
    there, want = wanted(a_team(access="admin")), wanted(a_team(access="view"))
    assert plan(want, there).changes
    assert losses("vision", want, there, {}) == ()


def test_a_departure_that_the_organization_confirms_is_no_mistake() -> None:
    """What goes because its account has gone counts for nothing: a member's, and all of an enrolled team's."""
    there = wanted(a_team(members=[{"account": "222222222222"}], service_accounts=[]))
    assert {"222222222222"} <= accounts_of("vision", there)
    assert "555555555555" in accounts_of("science-555555555555", {})
    gone = {"222222222222": an_account("222222222222", state="DEPARTED")}
    assert losses("vision", {}, there, gone) == ()
    item = a_team_item("science-222222222222", members=[{"account": "222222222222"}])
    own = wanted(parse_team(item, made_by_enrollment=True))
    assert losses("science-222222222222", {}, own, gone) == ()


def test_what_is_held_back_keeps_its_share_in_what_serves_it() -> None:
    """A dataset or a cluster that stays, stays in use: its part of roles and access points is not narrowed away."""
    member, two = [{"account": "222222222222"}], parse_team(a_team_item_on("main", "east"))
    places, known = [CLUSTER, EAST], {"imagenet": a_dataset()}
    there = desired(two, places, known, {}, INSTALLATION)
    want = desired(a_team(members=member), places, {}, {}, INSTALLATION)
    found = plan(want, there)
    changed = {change.key.kind for change in found.changes if change.action in (Action.RESTRICT, Action.UPDATE)}
    assert Kind.ROLE in changed
    assert without_losses(found, want).changes == ()


def test_what_is_held_back_leaves_the_rest_of_the_plan() -> None:
    """Additions and repairs go on; nothing of what goes for good is cut, drained or deleted."""
    there, want = wanted(a_team()), wanted(a_team("other"))
    kept = without_losses(plan(want, there), want)
    assert {change.action for change in kept.changes} == {Action.CREATE}
    assert len(kept.changes) == len(want)


def test_what_is_made_again_is_not_held_back() -> None:
    """A resource that cannot be changed in place is deleted and created again: a repair, of what stays desired."""
    want = wanted(a_team())
    key = next(key for key in want if key.kind is Kind.ACCESS_ENTRY)
    entry = want[key]
    assert isinstance(entry, AccessEntry)
    repaired = plan(want, {**want, key: replace(entry, alive=False)})
    assert [change.action for change in repaired.changes] == [Action.DELETE, Action.CREATE]
    assert without_losses(repaired, want) == repaired


def test_what_is_absent_or_cannot_be_read_belongs_to_its_account() -> None:
    """It has no tags that say more, is no loss, and goes with its account and not with a cluster."""
    key = Key(Kind.ACCESS_ENTRY, "222222222222", "us-west-2", "hyperpod-eks", "arn")
    for observation in (None, Unreadable(key, "throttled")):
        assert accounts_of("vision", {key: observation}) == {"222222222222"}
        assert losses("vision", {}, {key: observation}, {}, gone_clusters={"main"}) == ()
        assert departed("vision", {key: observation}, {}, gone_clusters={"main"}) == frozenset()


def test_an_approval_is_for_one_plan_of_one_time() -> None:
    """The same losses, held back another time, or other losses, have another hash."""
    there = wanted(a_team())
    found = losses("vision", {}, there, {})
    assert digest(found, "2026-11-22T10:00:00") != digest(found, "2026-11-22T11:00:00")
    assert digest(found, "2026-11-22T10:00:00") != digest(found[1:], "2026-11-22T10:00:00")
    assert digest(reversed(found), "2026-11-22T10:00:00") == digest(found, "2026-11-22T10:00:00")


def test_a_blocked_account_is_no_mistake_and_nothing_of_it_is_held_back() -> None:
    """What goes with an account that somebody has blocked is no loss, and goes while another's of the team waits."""
    there = wanted(a_team(members=[{"account": "222222222222"}, {"account": "444444444444"}], service_accounts=[]))
    blocked = {"444444444444": an_account("444444444444", blocked="keys were stolen, by ada")}
    (lost,) = losses("vision", {}, there, blocked)
    assert there[lost].tags["podshare:member"].startswith("222222222222")
    gone = departed("vision", there, blocked)
    assert {there[key].tags["podshare:member"][:12] for key in gone if key.kind is Kind.ACCESS_ENTRY} == {
        "444444444444"
    }
    kept = {change.key for change in without_losses(plan({}, there), {}, gone).changes}
    assert kept == gone
    assert losses("vision", {}, there, blocked, gone_clusters={"main"}) == ()


def test_what_is_held_back_takes_no_place_of_what_is_not() -> None:
    """Of a plan that one run cannot carry, what goes with a blocked account goes at once, and nothing else is left."""
    there = wanted(a_team(members=[{"account": f"{number:012}"} for number in range(1, 300)], service_accounts=[]))
    entries = [key for key in there if key.kind is Kind.ACCESS_ENTRY]
    for last in (min(entries), max(entries)):
        account = there[last].tags["podshare:member"][:12]
        gone = departed("vision", there, {account: an_account(account, blocked="keys were stolen, by ada")})
        run = carried(without_losses(plan({}, there), {}, gone))
        assert ({change.key for change in run.changes}, run.left) == (gone, 0)


def test_all_losses_are_named_however_few_changes_a_run_can_carry() -> None:
    """A run that cannot carry all changes is cut off: what a person agrees to is the whole."""
    members = [{"account": f"{number:012d}"} for number in range(1, 201)]
    there = wanted(a_team(members=members, service_accounts=[]))
    assert carried(plan({}, there)).left
    assert len(losses("vision", {}, there, {})) == 200


def test_a_loss_is_told_in_the_words_of_the_record() -> None:
    """Who loses what: a member the cluster, a service account its data, pods a dataset; else what the key tells."""
    there = wanted(a_team(members=[{"account": "222222222222"}]))
    lost = losses("vision", {}, there, {})
    assert [loss_text(key, there[key]) for key in lost] == [
        "member 222222222222: access on cluster main",
        "dataset imagenet: every pod on cluster main",
        "service account trainer: its data on cluster main",
    ]
    bare = replace(there[lost[0]], tags={})
    for unknown in (bare, None):
        assert loss_text(lost[0], unknown) == f"access entry {lost[0].name} in account 111111111111"
    anywhere = replace(there[lost[0]], tags={"podshare:member": "222222222222"})
    assert loss_text(lost[0], anywhere) == "member 222222222222: access"


def test_an_account_that_is_selected_brings_its_own_losses() -> None:
    """What is one account's alone, selected and not named, may be its tags' doing; anything else is a record's."""
    two = [{"account": "222222222222"}, {"account": "444444444444"}]
    there = wanted(a_team(members=two))
    entries = [key for key in there if key.kind is Kind.ACCESS_ENTRY]
    (one,) = (key for key in entries if there[key].tags["podshare:member"].startswith("222222222222"))
    selector = {"organizational_unit": "ou-pods-science1"}
    by_unit, named = (a_team(members=lines).members for lines in ([selector], [selector, two[0]]))
    assert cause("vision", [one], there, by_unit) == "222222222222"
    assert cause("vision", [one], there, named) is None
    assert cause("vision", [one], there, a_team(members=two[1:]).members) is None
    assert cause("vision", [one], there, ()) is None
    assert cause("vision", entries, there, by_unit) is None
    lost = losses("vision", {}, there, {})
    assert cause("vision", [one, *(key for key in lost if key.kind is Kind.ACCESS_POINT)], there, by_unit) is None
    point = [key for key in lost if key.kind is Kind.ACCESS_POINT]
    assert cause("vision", point, there, by_unit) is None
    assert cause("science-222222222222", lost, there, by_unit) == "222222222222"


def test_what_is_left_of_confirmed_losses_is_among_them() -> None:
    """Each loss has a hash of its own, the same at any time: a part is told from the whole, and from anything else."""
    there = wanted(a_team())
    lost = losses("vision", {}, there, {})
    assert len(fingerprints(lost)) == len(lost)
    assert fingerprints(lost[1:]) < fingerprints(lost)
    assert all(re.fullmatch("[0-9a-f]{12}", one) for one in fingerprints(lost))


def test_what_was_for_a_cluster_that_has_gone_is_no_loss() -> None:
    """What a resource's tag says of its cluster counts; what is for the other cluster, or for none, is lost all the same."""
    team = parse_team(a_team_item_on("main", "east"))
    there = desired(team, [CLUSTER, EAST], {"imagenet": a_dataset()}, {}, INSTALLATION)
    found = losses("vision", {}, there, {})
    (east,) = {there[key].tags["podshare:cluster"] for key in found if key.account == EAST.account}
    kept = losses("vision", {}, there, {}, gone_clusters=[east])
    assert {*found} - {*kept} == {key for key in found if there[key].tags.get("podshare:cluster") == east}
    assert kept


def test_a_loss_is_a_members_or_an_accounts() -> None:
    """What says which member it is for is that account's loss, by whatever role; anything else that of where it is."""
    members = [{"account": "222222222222", "existing_role": "Researcher"}, {"account": "444444444444"}]
    there = wanted(a_team(members=members))
    assert accounts_of("vision", there) == {"111111111111", "222222222222", "333333333333", "444444444444"}
    entry = next(one for one in there.values() if isinstance(one, AccessEntry))
    assert accounts_of("vision", {entry.key: replace(entry, tags={})}) == {"111111111111"}


def test_what_is_held_back_changes_what_it_shares_in_no_lane() -> None:
    """Access points, shares of buckets and roles for data wait with it; a role that lets one member in does not."""
    there = wanted(a_team())
    updates = [Change(key, Action.UPDATE, one.execution_role, "") for key, one in there.items()]
    lanes = tuple(((one,),) for one in updates)
    rest = without_losses(Plan(allocate=lanes, grant=lanes), there)
    waiting = {one.key for one in updates} - {one.key for one in rest.changes}
    assert {(key.kind, getattr(there[key], "purpose", "")) for key in waiting} == {
        (Kind.ROLE, "data-access"),
        (Kind.ROLE, "data-scientist"),
        (Kind.ACCESS_POINT, ""),
        (Kind.BUCKET_DELEGATION, ""),
        (Kind.SSM_PARAMETER, ""),
    }
    assert rest.allocate == rest.grant


def test_an_approval_names_each_loss_and_its_time() -> None:
    """The digest is of the time and of every loss in a fixed order, short enough to be typed."""
    keys = [Key(Kind.ROLE, "1", "", "", name) for name in "ba"]
    text = "2026-11-21\nrole|1|||a\nrole|1|||b"
    assert digest(keys, "2026-11-21") == hashlib.sha256(text.encode()).hexdigest()[:12]
