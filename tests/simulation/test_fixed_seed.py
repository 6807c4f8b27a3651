"""The simulator itself: what it plays can be played again, it leaves out no call, and it sees what it is there to see."""

from tests.scenarios.world import HUB
from tests.simulation.faults import PLAIN, Call, Fault
from tests.simulation.reality import Reality, differences
from tests.simulation.simulator import FAULTS_AT_ONCE, Recording, every_fault, is_slow, schedules

CALLS = {
    Call(chapter, "podshare-identity", f"iam:{action}", f"arn:aws:iam::{HUB}:role/podshare/podshare-alpha-{number}"): 2
    for chapter in ("onboarding", "change", "removal")
    for action in ("GetRole", "CreateRole", "UpdateAssumeRolePolicy")
    for number in range(20)
}
RECORDING = Recording(CALLS, Reality({}, {}), {})
POINT = "access_point|333333333333|us-west-2||podshare-alpha-0"


def a_point(*resources: str) -> Reality:
    """An access point that admits a role to some resources."""
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:role"},
        "Action": "s3:GetObject",
        "Resource": [*resources],
    }
    return Reality({POINT: {"team": "alpha", "policy": {"Statement": statement}}}, {})


def test_a_seed_tells_all() -> None:
    """The same seed gives the same schedules, another seed gives others."""
    first, same, other = (next(schedules(RECORDING, seed)) for seed in (7, 7, 8))
    assert first == same
    assert first != other


def test_one_call_more_leaves_the_others_as_they_are() -> None:
    """What strikes a call hangs on the seed and that call alone: a recording that has one more changes no other."""
    more = Recording({**CALLS, Call("change", "podshare-read", "iam:GetRole", "another"): 1}, RECORDING.before, {})
    added = set(every_fault(more, 7)) - set(every_fault(RECORDING, 7))
    assert {fault.call.resource for fault in added} == {"another"}


def test_every_call_meets_every_fault() -> None:
    """First every call meets one fault, in the end all of them; what has to be waited for comes last."""
    faults = every_fault(RECORDING, 7)
    assert {fault.call.first for fault in faults[: len(CALLS)]} == set(CALLS)
    assert {(fault.call.first, fault.kind) for fault in faults} >= {(call, kind) for call in CALLS for kind in PLAIN}
    slow = [is_slow(fault) for fault in faults]
    assert slow == sorted(slow)


def test_a_schedule_has_one_fault_at_each_call() -> None:
    """Faults at the same call would hide each other."""
    schedule = next(schedules(RECORDING, 7))
    assert len({fault.call.first for fault in schedule.faults}) == len(schedule.faults) == FAULTS_AT_ONCE + 1


def test_what_is_given_in_addition_is_seen() -> None:
    """One resource more in a policy is a grant more; one that is taken away is none."""
    narrow, wide = a_point("imagenet/*"), a_point("imagenet/*", "private/*")
    (added,) = wide.grants() - narrow.grants()
    assert "private/*" in added
    assert not narrow.grants() - wide.grants()


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
