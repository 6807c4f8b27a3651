"""Who has how much of a cluster: every kind of line counts in shares of an instance, and none is promised twice."""

import gzip
import json
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import botocore.session
import moto
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podshare.reconcile import capacity
from podshare.reconcile.capacity import Allocation, Nodes, Share, commitments, over_commitments, report, share
from podshare.reconcile.instance_types import Instance, instance

P5, P4D, G5, M5 = "ml.p5.48xlarge", "ml.p4d.24xlarge", "ml.g5.12xlarge", "ml.m5.xlarge"
THERE = {P5: Nodes(8, 8), G5: Nodes(4, 4)}
# what DescribeInstanceTypes answers, from moto's copy of it
_PUBLISHED = Path(moto.__file__).parent / "ec2" / "resources" / "instance_types.json.gz"
INSTANCES = {
    f"ml.{name}": instance(each) for name, each in json.loads(gzip.decompress(_PUBLISHED.read_bytes())).items()
}
GB200 = Instance(4, 144, 960, 186)  # of P6e-GB200 UltraServers, which DescribeInstanceTypes leaves out


def line(instance_type: str = P5, **amounts: Any) -> dict[str, Any]:
    return {"InstanceType": instance_type, **amounts}


def partition(profile: str, count: int, instance_type: str = P4D) -> dict[str, Any]:
    return line(instance_type, AcceleratorPartition={"Type": f"mig-{profile}", "Count": count})


def team(name: str, *lines: dict[str, Any], **sharing: Any) -> Allocation:
    return Allocation(name, lines, {"Strategy": "DontLend", **sharing}, INSTANCES)


def taken(*lines: dict[str, Any]) -> float:
    """How many instances the lines take."""
    worth = (share(each, INSTANCES.get(each["InstanceType"], GB200)) for each in lines)
    return sum((part for part in worth if part), Share()).instances


def test_whole_instances_and_their_parts_add_up() -> None:
    """Eight accelerators are an instance of eight, and what SageMaker fills in pro rata takes no more."""
    assert taken(line(Count=2)) == 2
    assert taken(line(Accelerators=8)) == 1
    assert taken(line(G5, Accelerators=2, VCpu=24, MemoryInGiB=96)) == 0.5
    assert taken(line(Count=1), line(Accelerators=4)) == 1.5


def test_whatever_is_scarcest_decides() -> None:
    """Few accelerators with all of an instance's memory take all of the instance."""
    assert taken(line(G5, Accelerators=1, MemoryInGiB=192)) == 1
    assert taken(line(M5, VCpu=2)) == 0.5
    assert taken(line(M5, MemoryInGiB=4), line(M5, VCpu=3)) == 1


@pytest.mark.parametrize(
    ("profile", "instance_type", "fit"),
    [
        ("1g.5gb", P4D, 7),
        ("1g.10gb", P4D, 4),
        ("2g.10gb", P4D, 3),
        ("3g.20gb", P4D, 2),
        ("4g.20gb", P4D, 1),
        ("7g.40gb", P4D, 1),
        ("1g.10gb", P5, 7),
        ("1g.20gb", P5, 4),
        ("3g.40gb", P5, 2),
        ("1g.18gb", "ml.p5en.48xlarge", 7),
        ("1g.35gb", "ml.p5en.48xlarge", 4),
        ("7g.141gb", "ml.p5en.48xlarge", 1),
        ("1g.23gb", "ml.p6-b200.48xlarge", 7),
        ("3g.90gb", "ml.p6-b200.48xlarge", 2),
        ("1g.47gb", "ml.p6e-gb200.36xlarge", 4),
        ("7g.186gb", "ml.p6e-gb200.36xlarge", 1),
    ],
)
def test_as_many_partitions_fit_as_nvidia_says(profile: str, instance_type: str, fit: int) -> None:
    """So many instances of a profile fit on one accelerator (NVIDIA MIG User Guide), and one more does not."""
    known = INSTANCES.get(instance_type, GB200)
    assert taken(partition(profile, fit * known.accelerators, instance_type)) <= 1
    assert taken(partition(profile, (fit + 1) * known.accelerators, instance_type)) > 1


def test_partitions_that_share_an_accelerator_are_not_counted_twice() -> None:
    """A profile of four slices and one of three fill an accelerator, though each alone has no room for its like."""
    assert taken(partition("4g.20gb", 8), partition("3g.20gb", 8)) == 1


def test_what_is_not_known_is_told_and_not_counted() -> None:
    """Parts of a type that podshare does not know count for nothing, whole instances of it do."""
    found = commitments(
        {"ml.x9.large": Nodes(1, 1)},
        [team("a", line("ml.x9.large", VCpu=4)), team("b", line("ml.x9.large", Count=1))],
        INSTANCES,
    )
    (row,) = report(found)
    assert (row["guaranteed"], row["free"], row["uncounted"], row["unit"]) == (1, 0, ["a"], "instances")
    assert share(line(M5, Accelerators=1), INSTANCES[M5]) is None
    assert share(partition("1g.9gb", 1, M5), INSTANCES[M5]) is None


def test_every_type_of_hyperpod_is_known() -> None:
    """What EC2 publishes tells of each type that SageMaker's API takes for a cluster, but for one that it does not publish."""
    types = set(botocore.session.get_session().get_service_model("sagemaker").shape_for("ClusterInstanceType").enum)

    assert types - INSTANCES.keys() == {"ml.p6e-gb200.36xlarge"}
    assert all(INSTANCES[name].vcpu and INSTANCES[name].memory_gib for name in types & INSTANCES.keys())
    assert {name for name in types & INSTANCES.keys() if INSTANCES[name].accelerators} == {
        name for name in types & INSTANCES.keys() if re.match(r"ml\.(p|g|trn)", name)
    }


@pytest.mark.parametrize(
    ("name", "offers"),
    [
        (P5, Instance(8, 192, 2048, 80)),
        ("ml.g7e.12xlarge", Instance(2, 48, 512, 96)),
        ("ml.t3.2xlarge", Instance(0, 8, 32)),
        ("ml.trn1.32xlarge", Instance(16, 128, 512)),
        ("ml.c5n.18xlarge", Instance(0, 72, 192)),
    ],
)
def test_an_instance_offers_what_ec2_publishes(name: str, offers: Instance) -> None:
    """GPUs and Neuron devices count as accelerators (Amazon EC2 instance types guide)."""
    assert INSTANCES[name] == offers


def test_whether_an_unknown_type_is_over_committed_is_told_as_unknown() -> None:
    """Parts of a type that EC2 does not publish make it unknown; asking for more of them is told apart from keeping them."""
    mine, more = team("a", line("ml.x9.large", VCpu=4)), team("a", line("ml.x9.large", VCpu=8))
    others = [team("b", line("ml.x9.large", Count=1))]
    assert capacity.uncounted(others, mine, INSTANCES) == {"ml.x9.large": True}
    assert capacity.uncounted([*others, mine], mine, INSTANCES) == {"ml.x9.large": False}
    assert capacity.uncounted([*others, mine], more, INSTANCES) == {"ml.x9.large": True}
    assert capacity.uncounted([mine], team("b", line("ml.x9.large", Count=1)), INSTANCES) == {"ml.x9.large": True}
    assert capacity.uncounted(others, team("c", line(Accelerators=1)), INSTANCES) == {}


def test_nodes_are_those_that_are_there_and_stay() -> None:
    """Neither a node that is still to come nor one that is about to go can be guaranteed."""
    groups = [
        {"InstanceType": P5, "CurrentCount": 3, "TargetCount": 8},
        {"InstanceType": P5, "CurrentCount": 2, "TargetCount": 0},
        {
            "InstanceRequirements": {"CurrentInstanceTypes": [G5, M5]},
            "InstanceTypeDetails": [{"InstanceType": G5, "CurrentCount": 4}],
            "CurrentCount": 4,
            "TargetCount": 4,
        },
    ]
    assert capacity.nodes(groups) == {P5: Nodes(5, 8), G5: Nodes(4, 4), M5: Nodes()}
    assert (Nodes(5, 8).lasting, Nodes(8, 5).lasting) == (5, 5)


def test_a_quota_that_guarantees_nothing_does_not_count() -> None:
    """Inactive, failed and leaving quotas leave their nodes to others."""
    config = {"ComputeQuotaResources": [line(Count=1)], "ResourceSharingConfig": {"Strategy": "Lend"}}
    told = {"Status": "Created", "ComputeQuotaConfig": config, "ComputeQuotaTarget": {"TeamName": "a"}}
    assert capacity.allocation(told) == team("a", line(Count=1), Strategy="Lend")
    assert capacity.allocation({**told, "Status": "UpdateFailed"})
    for change in ({"Status": "Deleting"}, {"Status": "CreateFailed"}, {"ActivationState": "Disabled"}):
        assert capacity.allocation({**told, **change}) is None


def test_only_what_is_raised_is_held_against_a_team() -> None:
    """In an over-committed cluster a team may lower its quota and keep it, and not have more of what is short."""
    others = [team("a", line(Count=6)), team("b", line(Count=4), line(G5, Count=1))]
    for lines, raised in (
        ((line(Count=4), line(G5, Count=2)), False),
        ((line(Count=3),), False),
        ((line(Accelerators=32),), False),
        ((line(Count=5),), True),
        ((line(Accelerators=33),), True),
    ):
        (found,) = over_commitments(THERE, others, team("b", *lines), INSTANCES)
        assert (found.commitment.instance_type, found.raised) == (P5, raised), lines
    assert over_commitments(THERE, others, team("b", line(Count=2)), INSTANCES) == []
    assert over_commitments(THERE, others, team("c", line(G5, Count=3)), INSTANCES) == []
    assert [one.raised for one in over_commitments(THERE, others[:1], team("c", line(Count=3)), INSTANCES)] == [True]


def test_who_has_what_is_told_in_bounded_words() -> None:
    """The largest first, in the words of the record, and of many teams how many more."""
    few = commitments(THERE, [team("small", line(Accelerators=4)), team("big", line(Count=9))], INSTANCES)[P5]
    assert str(few) == f"{P5}: 76 of 64 accelerators (8 nodes) are guaranteed: big 9 instances, small 4 accelerators"
    many = commitments(
        THERE, [team(f"a-team-with-a-long-name-{one:03}", line(Count=1)) for one in range(500)], INSTANCES
    )[P5]
    assert len(str(many)) < 500
    assert re.search(r", and 4[0-9]{2} more teams$", str(many))


def test_the_report_has_what_is_drawn() -> None:
    """Guaranteed, lent, borrowed and free, in accelerators; partitions with how many more would fit."""
    quotas = [
        team("lender", line(Count=2), Strategy="LendAndBorrow", BorrowLimit=50),
        team("keeper", line(Count=1)),
        team("guest", line(M5, Count=1), Strategy="LendAndBorrow", AbsoluteBorrowLimits=[line(Accelerators=4)]),
        team("sliced", partition("1g.10gb", 14, P5), Strategy="Lend"),
    ]
    found = {row["instance_type"]: row for row in report(commitments(THERE, quotas, INSTANCES))}
    row = found[P5]
    assert (row["capacity"], row["guaranteed"], row["free"], row["over_committed"]) == (64, 26, 38, 0)
    told = {one["team"]: (one["guaranteed"], one["lends"], one["borrow_limit"]) for one in row["teams"]}
    assert told == {"guest": (0, 0, 4), "keeper": (8, 0, 0), "lender": (16, 16, 8), "sliced": (2, 2, 0)}
    assert row["partitions"] == [{"type": "mig-1g.10gb", "teams": {"sliced": 14}, "free": 7 * 38}]
    assert (found[M5]["nodes"], found[M5]["over_committed"]) == ({"current": 0, "target": 0}, 1)


lines = st.lists(
    st.one_of(
        st.integers(0, 9).map(lambda count: line(Count=count)),
        st.integers(0, 70).map(lambda count: line(Accelerators=count)),
        st.sampled_from(["1g.10gb", "2g.20gb", "3g.40gb", "7g.80gb"]).flatmap(
            lambda profile: st.integers(0, 30).map(lambda count: partition(profile, count, P5))
        ),
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=150, derandomize=True)
@given(st.lists(lines, max_size=4), lines, lines)
def test_what_is_let_through_never_over_commits_and_a_lowering_always_passes(
    others: list[list[dict[str, Any]]], before: list[dict[str, Any]], after: list[dict[str, Any]]
) -> None:
    """Whatever the quotas: after a raise that is let through exact sums fit, and the way back is always open."""
    given_quotas = [team(str(number), *each) for number, each in enumerate(others)] + [team("me", *before)]
    raised = [one for one in over_commitments(THERE, given_quotas, team("me", *after), INSTANCES) if one.raised]
    grows = team("me", *after).share(P5).exceeds(team("me", *before).share(P5))
    if grows and not raised:
        assert _exactly([*(one for each in others for one in each), *after]) <= 8
    there = [team(str(number), *each) for number, each in enumerate(others)] + [team("me", *before, *after)]
    assert not [one for one in over_commitments(THERE, there, team("me", *before), INSTANCES) if one.raised]


def _exactly(held: list[dict[str, Any]]) -> Fraction:
    """The instances of eight accelerators that the lines take, in fractions, by slices of compute and of memory."""
    memory = {"1g.10gb": 1, "2g.20gb": 2, "3g.40gb": 4, "7g.80gb": 8}
    sums = [Fraction(0), Fraction(0)]
    for one in held:
        whole = Fraction(one.get("Count", 0)) + Fraction(one.get("Accelerators", 0), 8)
        cut = one.get("AcceleratorPartition", {"Type": "mig-7g.80gb", "Count": 0})
        profile = cut["Type"].removeprefix("mig-")
        sums[0] += whole + Fraction(cut["Count"] * int(profile[0]), 7 * 8)
        sums[1] += whole + Fraction(cut["Count"] * memory[profile], 8 * 8)
    return max(sums)


def test_what_only_lacks_nodes_that_were_asked_for_will_fit() -> None:
    """Six nodes of eight have come: a quota of seven waits for them, one of nine does not fit at all."""
    coming = {P5: Nodes(6, 8)}
    for count, fits in ((7, True), (8, True), (9, False)):
        (found,) = over_commitments(coming, [], team("a", line(Count=count)), INSTANCES)
        assert (found.raised, found.commitment.will_fit) == (True, fits)
    assert "(6 nodes, 8 asked for)" in str(found.commitment)
