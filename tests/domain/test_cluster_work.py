"""What work held of a cluster, from objects as the API reference of Kueue and Kubernetes shows them."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest

from podshare_cli.history.cluster_work import Objects, Reading, accelerators, held, measure, oldest
from podshare_cli.history.creations import Origin, creations, creator
from podshare_cli.history.quota_hours import INSTANCES, MEMBER, TEAM, Line, Span, hours
from podshare_cli.history.used_hours import ACCELERATORS, Use, Used
from podshare_cli.views.usage import csv_text, report, table

Item = dict[str, Any]
BEGIN, NAMESPACE = datetime(2026, 11, 1, tzinfo=UTC), "hyperpod-ns-vision"
P5, TRN = "ml.p5.48xlarge", "ml.trn1.32xlarge"
GPU = "nvidia.com/gpu"


def at(minute: int) -> str:
    return (BEGIN + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(minute: int) -> datetime:
    return BEGIN + timedelta(minutes=minute)


def metadata(name: str, owner: str = "", **more: Any) -> Item:
    reference = {"kind": "Job", "name": owner, "uid": f"uid-{owner}", "controller": True}
    return {
        **{"name": name, "namespace": NAMESPACE, "uid": f"uid-{name}", "creationTimestamp": at(0)},
        **({"ownerReferences": [reference]} if owner else {}),
        **more,
    }


def pod_spec(gpus: int, **more: Any) -> Item:
    return {"containers": [{"name": "main", "resources": {"limits": {GPU: str(gpus)}}}], **more}


def workload(
    *conditions: tuple[str, str, int], gpus: int = 16, flavor: str = P5, resource: str = GPU, **status: Any
) -> Item:
    """A workload of two pods; one that is admitted has its flavor (Kueue API reference, PodSetAssignment)."""
    told = [{"type": kind, "status": value, "lastTransitionTime": at(minute)} for kind, value, minute in conditions]
    assignment = {"name": "main", "flavors": {resource: flavor}, "resourceUsage": {resource: str(gpus)}, "count": 2}
    is_admitted = ("Admitted", "True") in {(kind, value) for kind, value, _ in conditions}
    admission = {"clusterQueue": f"{NAMESPACE}-clusterqueue", "podSetAssignments": [assignment]}
    return {
        "metadata": metadata("job-train-1a2b3", owner="train"),
        "spec": {"podSets": [{"name": "main", "count": 2, "template": {"spec": pod_spec(gpus // 2)}}]},
        "status": {"conditions": told, **({"admission": admission} if is_admitted else {}), **status},
    }


def pod(name: str = "alone", owner: str = "", gpus: int = 8, labels: Any = None, **status: Any) -> Item:
    return {
        "metadata": metadata(name, owner, labels=labels or {}),
        "spec": pod_spec(gpus, nodeName="node-1"),
        "status": {"phase": "Running", "startTime": at(10), **status},
    }


def node(kind: str = P5, **capacity: str) -> Item:
    named = {name.replace("__", "/").replace("_", "."): amount for name, amount in capacity.items()}
    return {
        "metadata": {"name": "node-1", "labels": {"node.kubernetes.io/instance-type": kind}},
        "status": {"capacity": named or {GPU: "8"}},
    }


def uses(**objects: Any) -> list[Use]:
    """What vision held until an hour has passed."""
    return [each.use for each in held(Objects(**objects), "main", ["vision"], moment(60))]


def spent(found: list[Use]) -> list[tuple[Fraction, datetime, datetime]]:
    return [(use.amount, use.since, use.until) for use in found]


def test_a_workload_holds_its_admission_until_it_finishes() -> None:
    """Until now, if it has not; one that only waits holds nothing."""
    admitted, finished = ("Admitted", "True", 5), ("Finished", "True", 35)
    (use,) = uses(workloads=[workload(("QuotaReserved", "True", 5), admitted, finished)])
    assert (use.team, use.cluster, use.instance_type, use.unit) == ("vision", "main", P5, "accelerators")
    assert spent([use]) == [(16, moment(5), moment(35))]
    assert spent(uses(workloads=[workload(admitted)])) == [(16, moment(5), moment(60))]
    assert uses(workloads=[workload(("QuotaReserved", "False", 5))]) == []


@pytest.mark.parametrize("spelled", ["accumulatedPastExexcutionTimeSeconds", "accumulatedPastExecutionTimeSeconds"])
def test_an_evicted_workload_has_held_what_it_asks_for(spelled: str) -> None:
    """For as long as Kueue says, up to its eviction; of which type is known no more (v1beta1 and v1beta2)."""
    (use,) = uses(workloads=[workload(("Admitted", "False", 30), ("Evicted", "True", 29), **{spelled: 600})])
    assert (use.instance_type, *spent([use])[0]) == ("", 16, moment(20), moment(30))


def test_a_workload_that_was_admitted_again_has_held_both_times() -> None:
    """What it held before counts as if it had ended with the last admission, and began after its creation."""
    again = workload(("Admitted", "True", 30), ("Evicted", "False", 30), accumulatedPastExexcutionTimeSeconds=1200)
    assert spent(uses(workloads=[again])) == [(16, moment(10), moment(30)), (16, moment(30), moment(60))]
    longer = workload(("Admitted", "True", 30), accumulatedPastExexcutionTimeSeconds=7200)
    assert spent(uses(workloads=[longer]))[0] == (16, moment(0), moment(30))


def test_an_assignment_without_usage_has_what_its_pods_ask_for() -> None:
    """As Kueue did before the field was added (Kueue API reference, PodSetAssignment)."""
    old = workload(("Admitted", "True", 5))
    (assignment,) = old["status"]["admission"]["podSetAssignments"]
    assignment |= {"resourceUsage": {}, "count": 1}
    old["status"]["admission"]["podSetAssignments"][0]["flavors"] = {GPU: P5}
    assert spent(uses(workloads=[old])) == [(8, moment(5), moment(60))]


def test_a_flavor_is_of_the_type_that_its_nodes_have() -> None:
    """By its node labels; without it its name counts, as task governance names flavors by their types."""
    flavor = {"metadata": {"name": "fast"}, "spec": {"nodeLabels": {"node.kubernetes.io/instance-type": P5}}}
    made = workload(("Admitted", "True", 5), flavor="fast")
    assert [use.instance_type for use in uses(workloads=[made], flavors=[flavor])] == [P5]
    assert [use.instance_type for use in uses(workloads=[made])] == [""]


def test_a_pod_that_does_not_queue_counts_from_its_start_to_its_end() -> None:
    """On the type of its node; its containers' ends count, and its conditions' where they have none."""
    (use,) = uses(pods=[pod()], nodes=[node()])
    assert (use.instance_type, *spent([use])[0]) == (P5, 8, moment(10), moment(60))
    ended = [{"state": {"terminated": {"finishedAt": at(40)}}}, {"state": {"terminated": {"finishedAt": at(30)}}}]
    assert spent(uses(pods=[pod(phase="Failed", containerStatuses=ended)]))[0][2] == moment(40)
    evicted = pod(phase="Failed", conditions=[{"type": "DisruptionTarget", "lastTransitionTime": at(20)}])
    assert spent(uses(pods=[evicted]))[0][2] == moment(20)
    assert uses(pods=[pod(phase="Pending", startTime=None)]) == []


def test_a_pod_for_which_a_workload_stands_does_not_count_twice() -> None:
    """Its job's workload, its own, or by Kueue's mark one of what owns its job."""
    running = workload(("Admitted", "True", 5))
    marked = pod("marked", owner="of-a-jobset", labels={"kueue.x-k8s.io/podset": "main"})
    assert len(uses(workloads=[running], pods=[pod(owner="train"), marked])) == 1
    own = {**running, "metadata": metadata("pod-alone", owner="alone")}
    assert len(uses(workloads=[own], pods=[pod("alone")])) == 1
    assert len(uses(workloads=[running], pods=[pod(owner="other")])) == 2


def test_only_teams_of_podshare_count() -> None:
    """Neither namespaces of others, nor those of teams that podshare has never had."""
    for namespace in ("kube-system", "hyperpod-ns-others"):
        other = pod()
        other["metadata"]["namespace"] = namespace
        assert uses(pods=[other]) == []


def test_accelerators_count_in_their_units() -> None:
    """Devices as accelerators, Neuron cores as parts of their devices, MIG partitions on their own; no CPUs."""
    trn = node(TRN, aws_amazon_com__neurondevice="16", aws_amazon_com__neuroncore="32")
    devices = workload(("Admitted", "True", 5), flavor=TRN, resource="aws.amazon.com/neurondevice", gpus=4)
    cores = workload(("Admitted", "True", 5), flavor=TRN, resource="aws.amazon.com/neuroncore", gpus=4)
    found = uses(workloads=[devices, cores], nodes=[trn])
    assert [(use.unit, use.amount) for use in found] == [("accelerators", 4), ("accelerators", 2)]
    unknown = uses(workloads=[cores])
    assert [(use.unit, use.amount) for use in unknown] == [("Neuron cores", 4)]
    parts = workload(("Admitted", "True", 5), resource="nvidia.com/mig-1g.10gb")
    assert [use.unit for use in uses(workloads=[parts])] == ["mig-1g.10gb"]
    assert uses(workloads=[workload(("Admitted", "True", 5), resource="cpu")]) == []
    beside = workload(("Admitted", "True", 5))
    beside["status"]["admission"]["podSetAssignments"][0]["resourceUsage"] |= {"memory": "1e3Pi", "cpu": "1u"}
    assert [use.amount for use in uses(workloads=[beside])] == [16]


def test_an_init_container_asks_for_what_the_others_do_not() -> None:
    """A pod holds its containers' sum, or what its largest init container asks for (Kubernetes, "Init Containers")."""
    both = pod(gpus=2)
    both["spec"]["containers"].append({"name": "second", "resources": {"requests": {GPU: "1"}}})
    both["spec"]["initContainers"] = [{"name": "first", "resources": {"limits": {GPU: "4"}}}]
    assert [use.amount for use in uses(pods=[both])] == [4]


def test_nodes_tell_how_many_accelerators_a_type_has() -> None:
    """A node that is partitioned does not, and one without any has none."""
    assert accelerators([node(), node(TRN, aws_amazon_com__neuron="16")]) == {P5: 8, TRN: 16}
    assert accelerators([node(P5, **{"nvidia_com__mig-1g.10gb": "56", "nvidia_com__gpu": "0"})]) == {}
    assert accelerators([node("ml.m5.xlarge", cpu="4")]) == {"ml.m5.xlarge": 0}


def test_what_was_used_of_a_cluster_that_was_not_read_is_unknown() -> None:
    """It is not zero, costs nothing that is known, is no part of the totals, and a remark names the cluster."""
    lines = (Line(P5, ACCELERATORS, Fraction(8)),)
    spans = [
        Span("vision", name, moment(0), moment(60), lines, "ada", frozenset()) for name in ("main", "east", "west")
    ]
    readings = [
        Reading("main", Objects(workloads=[workload(("Admitted", "True", 0))], nodes=[node()])),
        Reading("west", problem="it cannot be reached: no route"),
    ]
    period = (moment(0), moment(60))
    measured = measure(readings, ["vision"], spans, period, TEAM, reports={})
    made = report(hours(measured.spans, TEAM), measured.spans, TEAM, period, {P5: 80}, measured=measured)
    used = {
        row["cluster"]: (row["used"], row["borrowed"], row["undetermined"], row["used_cost"]) for row in made["rows"]
    }
    assert used["east"] == used["west"] == (None, None, None, None)
    assert used["main"] == (16, 8, 0, 160)
    assert "Used hours of cluster east are unknown: it was not read." in made["remarks"]
    assert [text for text in made["remarks"] if "west" in text] == [
        "Cluster west was not read: it cannot be reached: no route."
    ]
    assert "Totals of used hours are of the clusters that were read." in made["remarks"]
    assert [(row["hours"], row["used"]) for row in made["totals"]] == [(24, 16)]
    assert ",east,ml.p5.48xlarge,accelerators,8.0,80.0,false,,,,," in csv_text(made)
    assert table(made)
    of_unread = measure([], ["vision"], spans, period, TEAM, reports={})
    made = report(hours(spans, TEAM), spans, TEAM, period, {}, measured=of_unread)
    assert [row["used"] for row in made["totals"]] == [None]


def test_the_report_has_what_was_used_beside_what_was_guaranteed() -> None:
    """In accelerators, with the price's share of each, and it says that used hours are estimated."""
    span = Span("vision", "main", moment(0), moment(60), (Line(P5, INSTANCES, Fraction(1)),), "ada", frozenset())
    reading = Reading("main", Objects([workload(("Admitted", "True", 0))], (), [pod()], [node()]))
    unread = Reading("east", problem="it cannot be reached: no route")
    period = (moment(0), moment(60))
    measured = measure([reading, unread], ["vision"], [span], period, TEAM, reports={})
    sums = {("vision", "main", P5, "accelerators"): Fraction(8)}
    assert measured.hours == {("vision", "main", P5, "accelerators"): Used(Fraction(8), Fraction(8 * 60 + 8 * 50, 60))}
    made = report(sums, measured.spans, TEAM, period, {P5: 80}, measured=measured)
    (row,) = made["rows"]
    assert (row["hours"], row["used"], row["borrowed"]) == (
        8,
        pytest.approx(22.67, abs=0.01),
        pytest.approx(14.67, abs=0.01),
    )
    assert (row["cost"], row["used_cost"], row["used_estimated"], row["estimated"]) == (80, 226.67, True, False)
    assert [remark.split()[0] for remark in made["remarks"]] == ["Used", "Cluster", "6.67"]
    head, line = csv_text(made).splitlines()
    assert head.endswith(",hours,cost,estimated,used,borrowed,undetermined,used_cost,used_estimated")
    assert line.endswith(",0.0,226.67,true")


# ---- who has created it ------------------------------------------------------------------------------------------


def event(minute: float, user: str, name: str = "train", **more: Any) -> Item:
    """A creation as the API server notes it (Kubernetes documentation, "kube-apiserver Audit Configuration (v1)")."""
    moment_text = (BEGIN + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {
        **{"kind": "Event", "verb": "create", "user": {"username": user}, "requestURI": "/apis/batch/v1/namespaces"},
        "objectRef": {"resource": "jobs", "namespace": NAMESPACE, **({"name": name} if name else {})},
        **{"responseStatus": {"code": 201}, "requestReceivedTimestamp": moment_text},
        **more,
    }


def member_of(*events: Item, created: int = 10) -> str:
    return creator(Origin("jobs", NAMESPACE, "train", moment(created)), creations(events))


def test_whoever_created_an_object_last_is_its_member() -> None:
    """Before it was there: an object of the name that came later is another one."""
    assert member_of(event(1, "ada"), event(9, "ben"), event(20, "eve")) == "ben"
    assert member_of(event(10.01, "ada")) == "ada"  # within the second that the object has
    assert member_of(event(20, "eve")) == ""


@pytest.mark.parametrize(
    "passing",
    [
        {"requestURI": "/apis/batch/v1/namespaces?dryRun=All"},
        {"responseStatus": {"code": 409}},
        {"verb": "update"},
        {"objectRef": {"resource": "jobs", "namespace": NAMESPACE, "name": "train", "subresource": "status"}},
        {"objectRef": {"resource": "pods", "namespace": NAMESPACE, "name": "train"}},
        {"objectRef": {"resource": "jobs", "namespace": "hyperpod-ns-other", "name": "train"}},
    ],
)
def test_what_created_nothing_does_not_count(passing: Item) -> None:
    """A dry run, a refusal, a change, a subresource, and objects of another kind or namespace."""
    assert member_of(event(1, "ada"), event(5, "eve", **passing)) == "ada"


def test_an_apply_creates_and_a_generated_name_is_in_the_answer() -> None:
    """A server-side apply is a patch, and answers 201 if the object was not there."""
    assert member_of(event(1, "ada", verb="patch")) == "ada"
    assert member_of(event(1, "ada", name="", responseObject={"metadata": {"name": "train"}})) == "ada"


def test_a_member_has_used_what_their_job_held() -> None:
    """A job's hours are of whoever created the job, a pod's of whoever created the pod; others' are unknown."""
    pods = {"objectRef": {"resource": "pods", "namespace": NAMESPACE, "name": "alone"}}
    known = creations([event(0, "ada"), event(0, "ben", **pods)])
    objects = Objects([workload(("Admitted", "True", 0))], (), [pod(), pod("unknown")], [node()])
    reading = Reading("main", objects, creations=known, without_log="")
    measured = measure([reading], ["vision"], [], (moment(0), moment(60)), MEMBER, reports={})
    assert {key[0]: used.hours for key, used in measured.hours.items()} == {
        **{"ada": 16, "ben": Fraction(8 * 50, 60)},
        "": Fraction(8 * 50, 60),
    }
    made = report({}, [], MEMBER, (moment(0), moment(60)), {}, measured=measured)
    assert {(row["member"], row["hours"], row["cost"]) for row in made["rows"]} == {
        (name, None, None) for name in ("", "ada", "ben")
    }


def test_the_oldest_work_says_from_when_the_log_is_needed() -> None:
    """Of what held anything in the time alone."""
    old, running = workload(("Admitted", "True", 5), ("Finished", "True", 10)), workload(("Admitted", "True", 20))
    running["metadata"]["creationTimestamp"] = at(15)
    reading = Reading("main", Objects([old, running]))
    assert oldest(reading, (moment(30), moment(60))) == moment(15)
    assert oldest(reading, (moment(0), moment(60))) == moment(0)
    assert oldest(Reading("main"), (moment(0), moment(60))) is None
