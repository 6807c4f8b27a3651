"""The simulator itself: what it plays can be played again, it leaves out no call, and it sees what it is there to see."""

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.scenarios.world import HUB, TEXT
from tests.simulation import reality
from tests.simulation.faults import BUS, DELIVERIES, EVENTS, PLAIN, Call, Fault
from tests.simulation.life import Played, Violation, before_return, copied, stage, told_by
from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.reality import Reality, differences, people
from tests.simulation.schedules import Coverage, dealt, every_fault, promised, schedules
from tests.simulation.simulator import Agenda, Report

CALLS = {
    Call(chapter, "podshare-identity", f"iam:{action}", f"arn:aws:iam::{HUB}:role/podshare/podshare-alpha-{number}"): 2
    for chapter in ("onboarding", "change", "removal")
    for action in ("GetRole", "CreateRole", "UpdateAssumeRolePolicy")
    for number in range(20)
}
ONE = Call("change", "podshare-read", "eks:DescribeAddon", f"arn:aws:eks:us-west-2:{HUB}:addon/hyperpod-eks/agent/*")
ROLE = "arn:aws:iam::222222222222:role/Researcher"
POINT = "access_point|333333333333|us-west-2||podshare-alpha-0"


def a_point(*resources: str) -> Reality:
    """An access point that admits a role to some resources."""
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:role"},
        "Action": "s3:GetObject",
        "Resource": [*resources],
    }
    return Reality({POINT: {"policy": {"Statement": statement}}}, {})


def test_a_seed_tells_all() -> None:
    """The same seed gives the same schedules, another seed gives others."""
    first, same, other = (next(schedules(CALLS, seed)) for seed in (7, 7, 8))
    assert first == same
    assert first != other


def test_one_call_more_leaves_the_others_as_they_are() -> None:
    """What strikes a call hangs on the seed and that call alone: a recording that has one more changes no other."""
    added = set(every_fault({**CALLS, ONE: 1}, 7)) - set(every_fault(CALLS, 7))
    assert {fault.call.resource for fault in added} == {ONE.resource}


def test_every_call_meets_every_fault_in_the_end() -> None:
    """Who plays on leaves out nothing."""
    faults = every_fault(CALLS, 7)
    assert {(fault.call.first, fault.kind) for fault in faults} == {(call, kind) for call in CALLS for kind in PLAIN}


def test_what_is_promised_is_met() -> None:
    """Every call meets a fault, and every class of calls every fault, also where it has a single call."""
    calls = {**CALLS, ONE: 1}
    faults = promised(calls, 7)
    coverage = Coverage(frozenset(calls))
    assert {fault.call.first for fault in coverage.missing(faults)} == set(calls)
    coverage.add(CALLS, [(fault.call, fault) for fault in faults])
    assert coverage.missing(faults) == []
    assert coverage.of_calls == set(calls)
    assert coverage.of_classes == coverage.classes
    assert Counter(fault.call.first for fault in faults)[ONE] == len(PLAIN)


def test_what_did_not_strike_is_missing() -> None:
    """A fault at a call that was not made this time is owed."""
    faults = promised(CALLS, 7)
    coverage = Coverage(frozenset(CALLS))
    coverage.add(CALLS, [(fault.call, fault) for fault in faults[1:]])
    assert faults[0].call.first in {fault.call for fault in coverage.missing(faults)}


def test_calls_by_chance_are_promised_nothing_and_are_few() -> None:
    """A call that few schedules make is left out; where many are, none is, so that what has gone is told as missing."""
    calls = {**CALLS, ONE: 1}
    faults = promised(calls, 7)
    coverage = Coverage(frozenset(calls))
    for made in (calls, CALLS, CALLS):
        coverage.add(made, [])
    assert coverage.leave_out_chance(faults) == {ONE}
    assert coverage.calls == frozenset(CALLS)
    coverage = Coverage(frozenset(CALLS))
    coverage.add([*CALLS][10:], [])
    assert coverage.leave_out_chance(promised(CALLS, 7)) == frozenset()
    assert coverage.calls == frozenset(CALLS)


def test_whether_a_call_is_by_chance_is_asked_of_the_latest_schedules() -> None:
    """A call that many schedules made, and none of those that were to meet its fault, is not owed for ever."""
    calls = {**CALLS, ONE: 1}
    faults = promised(calls, 7)
    coverage = Coverage(frozenset(calls))
    coverage.add(calls, [(fault.call, fault) for fault in faults if fault.call.first != ONE])
    assert coverage.leave_out_chance(faults) == frozenset()
    coverage.add(CALLS, [])
    assert coverage.leave_out_chance(faults) == {ONE}
    assert coverage.missing(faults) == []


def test_what_a_class_of_calls_lacks_is_owed_by_a_call_that_is_made() -> None:
    """A fault that was promised at a call by chance is met at another call of the same class."""
    same = Call("removal", ONE.principal, ONE.action, ONE.resource)
    calls, made = {**CALLS, ONE: 1, same: 1}, {**CALLS, same: 1}
    faults = promised(calls, 7)
    coverage = Coverage(frozenset(calls))
    coverage.add(made, [(fault.call, fault) for fault in faults if fault.call.first != ONE])
    assert coverage.leave_out_chance(faults) == {ONE}
    owed = coverage.missing(faults)
    assert {fault.call for fault in owed} == {same}
    coverage.add(made, [(fault.call, fault) for fault in owed])
    assert coverage.missing(faults) == []


def test_what_a_class_of_calls_lacks_is_owed_by_many_of_its_calls() -> None:
    """Faults that a class lacks are met at different calls, so that one schedule has them all."""
    faults = promised(CALLS, 7)
    coverage = Coverage(frozenset(CALLS))
    coverage.add(CALLS, [(fault.call, fault) for fault in faults if fault.kind not in ("denied", "throttled")])
    coverage.add(CALLS, [(call, Fault(call, "failed")) for call in CALLS])
    owed = coverage.missing(faults)
    assert {fault.kind for fault in owed} == {"denied", "throttled"}
    assert len([*dealt(owed, (), 7)]) == 1


def test_what_did_not_strike_is_played_as_soon_as_a_stage_is_free() -> None:
    """A follow-up has what is owed without what is under way, which may yet strike; it waits for no other schedule."""
    faults, report = promised(CALLS, 7), Report(Coverage(frozenset(CALLS)))
    agenda = Agenda([*dealt(faults, (), 7, size=40)], faults, 7, report, lambda _: None)
    first, second = (agenda.next() for _ in range(2))
    assert first
    assert second
    while agenda.waiting:
        played = agenda.waiting.pop()
        report.coverage.add(CALLS, [(fault.call, fault) for fault in played.faults])
    assert agenda.next() is None
    agenda.add(Played(first, frozenset(CALLS), (), most_reconciliations=0, seconds=0))
    owed = agenda.next()
    assert owed
    assert {fault.call.first for fault in owed.faults} <= {fault.call.first for fault in first.faults}
    agenda.add(Played(second, frozenset(CALLS), tuple((one.call, one) for one in second.faults), 0, 0))
    agenda.add(Played(owed, frozenset(CALLS), tuple((one.call, one) for one in owed.faults), 0, 0))
    assert agenda.next() is None
    assert report.coverage.missing(faults) == []


def test_what_did_not_strike_strikes_in_a_schedule_that_waits() -> None:
    """A schedule takes along what those before it owe, at calls at which it has no fault of its own."""
    faults, report = promised(CALLS, 7), Report(Coverage(frozenset(CALLS)))
    agenda = Agenda([*dealt(faults, (), 7, size=40)], faults, 7, report, lambda _: None)
    first = agenda.next()
    assert first
    missed = {fault.call.first for fault in first.faults}
    agenda.add(Played(first, frozenset(CALLS), (), most_reconciliations=0, seconds=0))
    own, second = {*agenda.waiting[0].faults}, agenda.next()
    assert second
    assert own < {*second.faults}
    assert {fault.call.first for fault in {*second.faults} - own} <= missed
    assert len({fault.call.first for fault in second.faults}) == len(second.faults)


def test_what_is_published_in_an_account_that_counts_as_closed_is_as_it_was_left() -> None:
    """While podshare has not heard that an account is back, nothing lets its people in, and nothing changes in it."""
    access, own = f"role|{HUB}|||podshare-beta-1", "role|444444444444|||podshare-beta-scientist"
    entry = f"access_entry|{HUB}|us-west-2|main|arn:aws:iam::{HUB}:role/podshare/podshare-beta-1"
    published, point = (
        "ssm_parameter|444444444444|us-west-2||/podshare/teams/beta",
        f"access_point|{HUB}|us-west-2||beta",
    )
    trusted: dict[str, dict[str, str]] = {
        access: {"trust": "arn:aws:iam::444444444444:root"},
        entry: {},
        own: {},
        point: {},
    }
    left = {own: {}, published: {"alias": "of a point that has gone since"}}
    heard = before_return("444444444444", {**trusted, published: {"alias": "of the point"}}, left)
    assert heard == {own: {}, point: {}, published: {"alias": "of a point that has gone since"}}


def test_a_rule_that_cannot_be_asked_is_broken() -> None:
    """An error while a rule is asked is told as a broken rule, and not answered to whoever called AWS."""

    def rule() -> Iterator[str]:
        yield "an orphan"
        raise KeyError("removal")

    assert told_by(lambda: ["an orphan"]) == ["an orphan"]
    assert told_by(rule) == ["a rule cannot be asked: KeyError: 'removal'"]


def test_what_goes_while_somebody_looks_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that meets what has just gone is repeated; one that fails each time is an error."""
    failing = iter([True, True, False])

    def parameters() -> Iterator[tuple[str, dict[str, str]]]:
        if next(failing, True):
            raise KeyError("gone")
        yield "ssm_parameter|222222222222|us-west-2||/podshare/teams/beta", {}

    for name in ("_roles", "_clusters", "_quotas", "_scheduler", "_schedules", "_data", "_links"):
        monkeypatch.setattr(reality, name, lambda: ())
    monkeypatch.setattr(reality, "_parameters", parameters)
    assert [*reality.look(()).owned] == ["ssm_parameter|222222222222|us-west-2||/podshare/teams/beta"]
    with pytest.raises(KeyError):
        reality.look()


def test_events_get_lost_and_calls_do_not() -> None:
    """What is brought to podshare comes twice, late or never; what podshare asks for is refused or not answered."""
    event = Call("absence", BUS, "deliver", "podshare-organization CloseAccountResult")
    assert {fault.kind for fault in promised({event: 1}, 7)} == set(DELIVERIES)


def test_whatever_else_may_happen_happens() -> None:
    """The schedules of one seed have each event once at least."""
    placed = {
        "dynamodb:Query": "inventory#alpha resource#",
        "s3:CreateAccessPoint": "point",
        "s3:GetBucketPolicyStatus": TEXT,
    }
    calls = {
        Call("change", "podshare-verify-team", action, f"{number} {resource}"): 1
        for action, resource in placed.items()
        for number in range(20)
    }
    happened = {fault.kind for schedule in dealt(promised(calls, 7), calls, 7, size=10) for fault in schedule.faults}
    assert happened >= set(EVENTS)


def test_a_schedule_has_one_fault_at_each_call() -> None:
    """Faults at the same call would hide each other; none is left out."""
    faults = promised({**CALLS, ONE: 1}, 7)
    hands = [schedule.faults for schedule in dealt(faults, CALLS, 7, size=30)]
    assert all(len({fault.call.first for fault in hand}) == len(hand) for hand in hands)
    assert {fault for hand in hands for fault in hand} >= set(faults)


@pytest.mark.parametrize(
    ("resource", "kind"),
    [
        (f"arn:aws:iam::{HUB}:role/podshare/podshare-alpha-6479e989", "role"),
        (f"arn:aws:dynamodb:us-west-2:{HUB}:table/podshare-state lease team#alpha", "lease team#"),
        (
            f"arn:aws:dynamodb:us-west-2:{HUB}:table/podshare-state inventory#alpha resource#role|{HUB}|||x",
            "inventory# resource#role",
        ),
        (f"arn:aws:dynamodb:us-west-2:{HUB}:table/podshare-state bucket#images grant#alpha/imagenet", "bucket# grant#"),
        ("/api/v1/namespaces/hyperpod-ns-alpha/serviceaccounts/trainer", "serviceaccounts"),
        ("/api/v1/namespaces/hyperpod-ns-alpha", "namespaces"),
        ("/apis/rbac.authorization.k8s.io/v1/namespaces/hyperpod-ns-alpha/roles/podshare-operators", "roles"),
        ("arn:aws:s3:::curated-images", ""),
    ],
)
def test_calls_are_of_one_class_by_the_kind_of_thing(resource: str, kind: str) -> None:
    """Which team's or bucket's a thing is makes no class of its own."""
    assert Call("change", "podshare-read", "read", resource).kind == ("podshare-read", "read", kind)


def test_what_is_given_in_addition_is_seen() -> None:
    """One resource more in a policy is a grant more; one that is taken away is none."""
    narrow, wide = a_point("imagenet/*"), a_point("imagenet/*", "private/*")
    (added,) = wide.grants() - narrow.grants()
    assert "private/*" in added
    assert not narrow.grants() - wide.grants()


def test_whose_a_thing_is_does_not_hang_on_its_tags() -> None:
    """A door of a team's is a grant and belongs to the team with its tags lost, and also if somebody else made it."""
    made, foreign = a_point("imagenet/*"), Reality({}, a_point("imagenet/*").owned)
    assert made.of("alpha").keys() == {POINT}
    assert not made.of("beta")
    assert foreign.grants() == made.grants() != frozenset()
    assert not foreign.of("alpha")


def test_an_entry_lets_in_whoever_its_role_admits() -> None:
    """Who gets in is read from the trust of the role behind an entry, whoever made the entry and whatever its tags."""
    role = {"trust": {"Statement": {"Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": "sts:AssumeRole"}}}
    entry = {"policies": {"arn:aws:eks::aws:cluster-access-policy/View": {"namespaces": ["hyperpod-ns-alpha"]}}}
    place = f"access_entry|{HUB}|us-west-2|hyperpod-eks|arn:aws:iam::{HUB}:role/way-in"
    there = Reality({}, {place: {**entry, "groups": []}, f"role|{HUB}|||way-in": role})
    assert people(there) == {("222222222222", "Researcher", "alpha", "View")}


def test_a_role_that_is_gone_is_nobody() -> None:
    """AWS shows a deleted role in a policy by its unique id, which admits nobody."""
    dead = {"Effect": "Allow", "Principal": {"AWS": "AROA0123456789"}, "Action": "s3:GetObject", "Resource": "*"}
    assert not Reality({POINT: {"policy": {"Statement": dead}}}, {}).grants()


def test_what_differs_is_told_by_its_field() -> None:
    """A thing that is missing, one too many, and one that differs are told apart."""
    told = differences({"a": {"x": 1}, "b": {}}, {"a": {"x": 2}, "c": {}})
    assert told == ["a: x: 1 instead of 2", "b is there", "c is missing"]


def test_a_fault_is_told_in_one_line() -> None:
    """Somebody who reads the shortest schedule knows what happened where, and how often."""
    fault = Fault(Call("change", "podshare-data", "s3:PutBucketPolicy", "arn:aws:s3:::images", 1), "lost_after", 5)
    assert str(fault) == "lost_after x5 at change: podshare-data s3:PutBucketPolicy arn:aws:s3:::images (2)"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_changes_what_is_there(mutant: Mutant) -> None:
    """Each mutant finds the place that it changes, exactly once: what has moved since would prove nothing."""
    with copied() as folder:
        before = (folder / mutant.path).read_text(encoding="utf-8")
        mutant.change(folder)
        assert (folder / mutant.path).read_text(encoding="utf-8") != before


def test_a_mutant_is_seen() -> None:
    """Of a thing that was made without being written down the simulator tells at once; `make mutants` plays them all."""
    mutant = next(one for one in MUTANTS if one.name == "what is made is not written down first")
    with copied() as folder:
        mutant.change(folder)
        with stage(folder, 7) as mutated, pytest.raises(Violation, match=mutant.rule):
            mutated.record()
