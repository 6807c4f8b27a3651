"""Quantities and quotas: what of a cohort's resources a queue may take (Kueue documentation, "Cluster Queue")."""

from dataclasses import replace
from fractions import Fraction

import pytest

from podshare_sandbox.services.kubernetes import quantities, task_governance
from podshare_sandbox.services.kubernetes.controllers import quota
from podshare_sandbox.services.kubernetes.controllers.quota import Assigner, PodSet, Queue, Quota

GPU = ("a10", "gpu")
LABELS: dict[str, dict[str, str]] = {"a10": {"type": "a10"}, "h100": {"type": "h100"}}


def queue(name: str, nominal: int, *, borrowing: int | None = None, lending: int | None = None, used: int = 0) -> Queue:
    """A queue with one resource in one flavor."""
    limits = (None if each is None else Fraction(each) for each in (borrowing, lending))
    return Queue(name, "all", [(["gpu"], ["a10"])], {GPU: Quota(Fraction(nominal), *limits)}, {GPU: Fraction(used)})


def test_a_queue_in_no_cohort_borrows_nothing() -> None:
    """Its usage may exceed a quota that has shrunk (Kueue, Cache.getUsage: no parent, ``borrowed`` 0)."""
    mine = queue("mine", 4, used=6)
    assert (mine.borrowed(GPU), replace(mine, cohort=None).borrowed(GPU)) == (2, 0)


@pytest.mark.parametrize(
    ("mine", "other", "available", "capacity"),
    [
        (queue("mine", 4), queue("other", 4), 8, 8),
        (queue("mine", 4, borrowing=0), queue("other", 4), 4, 4),
        (queue("mine", 4, borrowing=2), queue("other", 4), 6, 6),
        (queue("mine", 4), queue("other", 4, lending=0), 4, 4),
        (queue("mine", 4), queue("other", 4, lending=1), 5, 5),
        (queue("mine", 4, used=3), queue("other", 4, used=2), 3, 8),
        (queue("mine", 4, lending=0), queue("other", 4, used=4), 4, 8),
        (queue("mine", 4), queue("other", 4, used=6), 2, 8),
        (queue("mine", 4, used=8), queue("other", 4, used=4), 0, 8),
    ],
)
def test_what_a_queue_may_take(mine: Queue, other: Queue, available: int, capacity: int) -> None:
    """Its own, and what others lend and do not use, up to what it may borrow."""
    cohort = [mine, other]
    assert (quota.available(mine, cohort, GPU), quota.capacity(mine, cohort, GPU)) == (available, capacity)


def test_a_pod_set_gets_the_first_flavor_with_room_that_its_nodes_have() -> None:
    """Node selectors rule flavors out; earlier pod sets of a workload count."""
    quotas = {(flavor, "gpu"): Quota(Fraction(4)) for flavor in ("a10", "h100")}
    assigner = Assigner(both := Queue("both", None, [(["gpu"], ["a10", "h100"])], quotas), [both], LABELS)
    gpus = {"gpu": Fraction(3)}
    found = assigner.assign([PodSet("first", 1, gpus), PodSet("second", 1, gpus)])
    assert found.flavors == {"first": {"gpu": "a10"}, "second": {"gpu": "h100"}}
    assert assigner.assign([PodSet("main", 1, gpus, {"type": "h100"})]).flavors == {"main": {"gpu": "h100"}}
    assert assigner.assign([PodSet("main", 1, {"fpga": Fraction(1)})]).refusal == (
        "couldn't assign flavors to pod set main: resource fpga unavailable in ClusterQueue"
    )
    refused = assigner.assign([PodSet("main", 1, gpus, {"type": "t4"})])
    assert (refused.could_fit, "flavor a10 doesn't match node affinity" in refused.refusal) == (False, True)
    assert assigner.assign([PodSet("main", 1, {})]).flavors == {"main": {}}


@pytest.mark.parametrize(
    ("text", "amount", "canonical"),
    [("500m", Fraction(1, 2), "500m"), ("1.5Gi", 1536 * 2**20, "1536Mi"), ("1e3", 1000, "1000"), ("2k", 2000, "2000"),
     ("0.1", Fraction(1, 10), "100m"), ("0", 0, "0")],
)  # fmt: skip
def test_quantities_are_read_and_written(text: str, amount: Fraction, canonical: str) -> None:
    """Kubernetes API reference, "Quantity"."""
    assert quantities.parse(text) == amount
    assert quantities.written(quantities.parse(text), "memory") == canonical


@pytest.mark.parametrize("text", ["", "1Gb", "Gi", "1 Gi", "one"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    """So are units of other systems."""
    with pytest.raises(ValueError, match="no quantity"):
        quantities.parse(text)


def test_a_compute_quota_is_a_cluster_queue() -> None:
    """Instances by what they offer, parts by what is named; limits by strategy (SageMaker API, ResourceSharingConfig)."""
    resources = [{"InstanceType": "ml.p5.48xlarge", "Count": 2}]
    config = {"ComputeQuotaResources": resources, "PreemptTeamTasks": "Never"}

    def found(**sharing: object) -> dict[str, dict[str, str]]:
        fields = {"ActivationState": "Enabled", "ComputeQuotaConfig": {**config, "ResourceSharingConfig": sharing}}
        [flavor] = task_governance.cluster_queue(fields)["resourceGroups"][0]["flavors"]
        assert flavor["name"] == "ml.p5.48xlarge"
        return {each["name"]: {key: each[key] for key in each if key != "name"} for each in flavor["resources"]}

    lent = found(Strategy="LendAndBorrow", BorrowLimit=50)
    assert lent["nvidia.com/gpu"] == {"nominalQuota": "16", "borrowingLimit": "8"}
    assert lent["memory"] == {"nominalQuota": "4Ti", "borrowingLimit": "2Ti"}
    assert lent["vpc.amazonaws.com/efa"]["nominalQuota"] == "64"
    assert lent["aws.amazon.com/neurondevice"]["nominalQuota"] == "0"
    assert found(Strategy="Lend")["nvidia.com/gpu"] == {"nominalQuota": "16", "borrowingLimit": "0"}
    kept = {"nominalQuota": "16", "borrowingLimit": "0", "lendingLimit": "0"}
    assert found(Strategy="DontLend")["nvidia.com/gpu"] == kept
    limits = [{"InstanceType": "ml.p5.48xlarge", "Accelerators": 3, "VCpu": 72.0, "MemoryInGiB": 768.0}]
    absolute = found(Strategy="LendAndBorrow", AbsoluteBorrowLimits=limits)
    assert (absolute["nvidia.com/gpu"]["borrowingLimit"], absolute["cpu"]["borrowingLimit"]) == ("3", "72")
