"""Work starts, runs and ends: jobs, cron jobs and training jobs, by their controllers and through Kueue."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any

import httpx2
import lightkube
import pytest
from botocore.credentials import Credentials
from lightkube import ApiError
from lightkube.codecs import from_dict
from lightkube.config.kubeconfig import SingleConfig
from lightkube.config.models import Cluster, Context, User
from lightkube.generic_resource import create_global_resource, create_namespaced_resource
from lightkube.resources.batch_v1 import CronJob, Job
from lightkube.resources.core_v1 import Namespace, Pod
from lightkube.types import CascadeType, PatchType

from podshare_sandbox import Sandbox
from podshare_sandbox.services import containers
from sandbox.tests.eks_accounts import CLUSTER, HUB
from sandbox.tests.runtime import eventually
from sandbox.tests.test_kubernetes import POLICY, make_token

Object = dict[str, Any]
VISION, AUDIO = "hyperpod-ns-vision", "hyperpod-ns-audio"
TYPE = "ml.g5.12xlarge"  # 4 GPUs, 48 vCPUs; each team has one
BUSYBOX = "public.ecr.aws/docker/library/busybox:stable"
_KUEUE = ("kueue.x-k8s.io", "v1beta1")
Workload = create_namespaced_resource(*_KUEUE, "Workload", "workloads")
ClusterQueue = create_global_resource(*_KUEUE, "ClusterQueue", "clusterqueues")
LocalQueue = create_namespaced_resource(*_KUEUE, "LocalQueue", "localqueues")
PyTorchJob = create_namespaced_resource("kubeflow.org", "v1", "PyTorchJob", "pytorchjobs")
HyperPodJob = create_namespaced_resource("sagemaker.amazonaws.com", "v1", "HyperPodPyTorchJob", "hyperpodpytorchjobs")
_KINDS = {"Job": Job, "CronJob": CronJob, "Pod": Pod, "PyTorchJob": PyTorchJob, "HyperPodPyTorchJob": HyperPodJob}
_names = (f"work-{number}" for number in count(1))


@dataclass
class World:
    """A sandbox with two teams' quotas, and its cluster as its administrator and as a scientist of both teams."""

    sandbox: Sandbox
    admin: lightkube.Client
    scientist: lightkube.Client

    def make(self, manifest: Object, by: lightkube.Client | None = None) -> str:
        """Create an object, and return its name."""
        made = (by or self.scientist).create(from_dict(manifest))
        return str(made.metadata.name)

    def get(self, kind: str, name: str, namespace: str = VISION) -> Object:
        """An object as it is now."""
        return dict(self.admin.get(_KINDS[kind], name, namespace=namespace).to_dict())

    def until(self, kind: str, name: str, condition: Callable[[Object], Any], namespace: str = VISION) -> Object:
        """An object once it is as told."""
        return eventually(lambda: self.get(kind, name, namespace), condition)

    def pods(self, owner: str, namespace: str = VISION) -> list[Object]:
        """The pods that a job controls."""
        listed = (pod.to_dict() for pod in self.admin.list(Pod, namespace=namespace))
        return [
            pod for pod in listed if any(ref["name"] == owner for ref in pod["metadata"].get("ownerReferences", ()))
        ]

    def workload(self, job: str, namespace: str = VISION) -> Object | None:
        """The workload of a job."""
        listed = (each.to_dict() for each in self.admin.list(Workload, namespace=namespace))
        return next((each for each in listed if each["metadata"]["ownerReferences"][0]["name"] == job), None)

    def reason(self, job: str, kind: str, namespace: str = VISION) -> Object:
        """A condition of a job's workload, once there is one."""

        def look() -> Object:
            conditions = ((self.workload(job, namespace) or {}).get("status") or {}).get("conditions") or []
            return next((each for each in conditions if each["type"] == kind), {})

        return dict(eventually(look, bool))

    def delete(self, kind: str, name: str, namespace: str = VISION) -> None:
        """Delete as kubectl does."""
        self.scientist.delete(_KINDS[kind], name, namespace=namespace, cascade=CascadeType.BACKGROUND)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Started once: its tests use names of their own, and leave nothing that runs."""
    with Sandbox(time_scale=0.02) as sandbox:
        sagemaker = sandbox.client("sagemaker")
        hyperpod = sagemaker.describe_cluster(ClusterName="hyperpod")["ClusterArn"]
        for team in ("vision", "audio"):
            sagemaker.create_compute_quota(
                Name=team,
                ClusterArn=hyperpod,
                ComputeQuotaConfig={
                    "ComputeQuotaResources": [{"InstanceType": TYPE, "Count": 1}],
                    "ResourceSharingConfig": {"Strategy": "LendAndBorrow", "BorrowLimit": 100},
                },
                ComputeQuotaTarget={"TeamName": team},
            )
        classes = [{"Name": "training", "Weight": 50}, {"Name": "paper", "Weight": 90}]
        sagemaker.create_cluster_scheduler_config(
            Name="policy", ClusterArn=hyperpod, SchedulerConfig={"PriorityClasses": classes}
        )
        everybody, own = {"type": "cluster"}, {"type": "namespace", "namespaces": [VISION, AUDIO]}
        clients = [
            _client(sandbox, name, policies)
            for name, policies in (
                ("admin", {"AmazonEKSClusterAdminPolicy": everybody}),
                ("scientist", {"AmazonSagemakerHyperpodTrainingPolicy": own}),
            )
        ]
        found = World(sandbox, *clients)
        eventually(lambda: [each.metadata.name for each in clients[0].list(Namespace)], lambda names: AUDIO in names)
        yield found


def _client(sandbox: Sandbox, name: str, policies: dict[str, Object]) -> lightkube.Client:
    iam, eks, sts = (sandbox.client(service) for service in ("iam", "eks", "sts"))
    statement = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{HUB}:root"}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    role = iam.create_role(RoleName=f"test-{name}", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    eks.create_access_entry(clusterName=CLUSTER, principalArn=role)
    for policy, scope in policies.items():
        eks.associate_access_policy(
            clusterName=CLUSTER, principalArn=role, policyArn=POLICY + policy, accessScope=scope
        )
    keys = sts.assume_role(RoleArn=role, RoleSessionName="ada")["Credentials"]
    token = make_token(Credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"]))
    cluster = eks.describe_cluster(name=CLUSTER)["cluster"]
    server = Cluster(server=cluster["endpoint"], certificate_auth_data=cluster["certificateAuthority"]["data"])
    config = SingleConfig(
        context_name=CLUSTER, context=Context(cluster=CLUSTER, user=name), cluster=server, user=User(token=token)
    )
    return lightkube.Client(config=config, proxy=sandbox.url, timeout=httpx2.Timeout(20))


# ---- what is made ------------------------------------------------------------------------------------------------


def container(*command: str, gpus: int = 0, name: str = "pytorch") -> Object:
    amounts = {"requests": {"nvidia.com/gpu": str(gpus)}, "limits": {"nvidia.com/gpu": str(gpus)}}
    return {"name": name, "image": BUSYBOX, "command": list(command), **({"resources": amounts} if gpus else {})}


def template(*command: str, gpus: int = 0, policy: str = "Never") -> Object:
    return {"spec": {"containers": [container(*command, gpus=gpus)], "restartPolicy": policy}}


def labels(namespace: str, queued: bool, priority: str) -> Object:
    found = {"kueue.x-k8s.io/queue-name": f"{namespace}-localqueue"} if queued else {"app": "x"}
    return found | ({"kueue.x-k8s.io/priority-class": f"{priority}-priority"} if priority else {})


def job(
    *command: str,
    gpus: int = 0,
    namespace: str = VISION,
    queued: bool = True,
    priority: str = "",
    policy: str = "Never",
    **spec: Any,
) -> Object:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": next(_names), "namespace": namespace, "labels": labels(namespace, queued, priority)},
        "spec": {"template": template(*command, gpus=gpus, policy=policy), **spec},
    }


def condition(kind: str) -> Callable[[Object], bool]:
    """Whether a condition is true."""

    def holds(found: Object) -> bool:
        conditions = (found.get("status") or {}).get("conditions") or []
        return any(each["type"] == kind and each["status"] == "True" for each in conditions)

    return holds


# ---- jobs --------------------------------------------------------------------------------------------------------


def states(world: World) -> list[tuple[str, str, str]]:
    """The condition Active of a team's two queues."""
    queues = (
        world.admin.get(ClusterQueue, f"{AUDIO}-clusterqueue"),
        world.admin.get(LocalQueue, f"{AUDIO}-localqueue", namespace=AUDIO),
    )
    return [
        (each["status"], each["reason"], each["message"])
        for queue in queues
        for each in (queue.to_dict().get("status") or {}).get("conditions") or ()
        if each["type"] == "Active"
    ]


@pytest.mark.parametrize("work", [False, True], ids=["without work", "with work"])
def test_a_queue_that_is_stopped_says_so(world: World, work: bool) -> None:
    """Kueue reports on each queue as it changes, whether there is work or not: this test is the first of all.

    Reasons and messages are those of Kueue's clusterQueue.inactiveReason and LocalQueueReconciler.Reconcile.

    The resources of ``flavorsUsage`` are in the order of their names (Cache.getUsage).
    """
    name = world.make(job("sleep", "infinity")) if work else ""
    sagemaker = world.sandbox.client("sagemaker")
    [quota] = [each for each in sagemaker.list_compute_quotas()["ComputeQuotaSummaries"] if each["Name"] == "audio"]

    def activate(state: str) -> None:
        version = sagemaker.describe_compute_quota(ComputeQuotaId=quota["ComputeQuotaId"])["ComputeQuotaVersion"]
        sagemaker.update_compute_quota(
            ComputeQuotaId=quota["ComputeQuotaId"], TargetVersion=version, ActivationState=state
        )

    ready = [
        ("True", "Ready", "Can admit new workloads"),
        ("True", "Ready", "Can submit new workloads to localQueue"),
    ]
    eventually(lambda: states(world), lambda found: found == ready)
    status = world.admin.get(ClusterQueue, f"{AUDIO}-clusterqueue").to_dict()["status"]
    counted = status["flavorsUsage"][0]["resources"]
    assert [each["name"] for each in counted] == sorted(each["name"] for each in counted)
    assert {(each["total"], each["borrowed"]) for each in counted} == {("0", "0")}
    activate("Disabled")
    stopped = [
        ("False", "Stopped", "Can't admit new workloads: is stopped."),
        ("False", "ClusterQueueIsInactive", "Can't submit new workloads to clusterQueue"),
    ]
    eventually(lambda: states(world), lambda found: found == stopped)
    activate("Enabled")
    eventually(lambda: states(world), lambda found: found == ready)
    if name:
        world.delete("Job", name)


def test_a_job_starts_runs_and_ends(world: World) -> None:
    """Its pod belongs to it, tells what it has printed, and the job is complete (Kubernetes documentation, "Jobs")."""
    name = world.make(job("sh", "-c", "echo hello $WHO", queued=False))
    done = world.until("Job", name, condition("Complete"))
    status = done["status"]
    assert (status["succeeded"], status.get("active"), status.get("failed")) == (1, None, None)
    assert {"startTime", "completionTime"} <= status.keys()
    [pod] = world.pods(name)
    [owner] = pod["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("Job", done["metadata"]["uid"], True)
    assert pod["metadata"]["labels"]["batch.kubernetes.io/job-name"] == name
    assert "finalizers" not in pod["metadata"]
    assert (pod["status"]["phase"], pod["metadata"]["name"].startswith(f"{name}-")) == ("Succeeded", True)
    assert "".join(world.admin.log(pod["metadata"]["name"], namespace=VISION)) == "hello \n"
    assert world.workload(name) is None


def test_a_job_fails_after_its_retries(world: World) -> None:
    """Each failure makes a new pod, up to backoffLimit (Kubernetes documentation, "Pod backoff failure policy")."""
    name = world.make(job("false", queued=False, backoffLimit=2))
    status = world.until("Job", name, condition("Failed"))["status"]
    [failed] = [each for each in status["conditions"] if each["type"] == "Failed"]
    assert (failed["reason"], status["failed"]) == ("BackoffLimitExceeded", 3)
    assert [pod["status"]["phase"] for pod in world.pods(name)] == ["Failed"] * 3


def test_restarts_in_a_pod_count_as_failures(world: World) -> None:
    """With OnFailure the pod stays and its container starts again (Kubernetes documentation, "Jobs")."""
    name = world.make(job("false", queued=False, policy="OnFailure", backoffLimit=1))
    status = world.until("Job", name, condition("Failed"))["status"]
    assert condition("FailureTarget")({"status": status})
    assert world.pods(name) == []


def test_completions_and_parallelism(world: World) -> None:
    """So many pods succeed, so many run at a time, and each has its index (Kubernetes documentation, "Jobs")."""
    command = ("sh", "-c", "sleep 5; echo $JOB_COMPLETION_INDEX")
    name = world.make(job(*command, queued=False, completions=3, parallelism=2, completionMode="Indexed"))
    world.until("Job", name, lambda found: (found.get("status") or {}).get("active") == 2)
    assert len(world.pods(name)) == 2
    status = world.until("Job", name, condition("Complete"))["status"]
    assert (status["succeeded"], status["completedIndexes"]) == (3, "0-2")
    index = "batch.kubernetes.io/job-completion-index"
    assert sorted(pod["metadata"]["annotations"][index] for pod in world.pods(name)) == ["0", "1", "2"]


def test_a_job_ends_at_its_deadline(world: World) -> None:
    """activeDeadlineSeconds ends pods that run (Kubernetes documentation, "Job termination and cleanup")."""
    name = world.make(job("sleep", "infinity", queued=False, activeDeadlineSeconds=10))
    status = world.until("Job", name, condition("Failed"))["status"]
    assert [each["reason"] for each in status["conditions"] if each["type"] == "Failed"] == ["DeadlineExceeded"]
    assert world.pods(name) == []


def test_a_job_is_suspended_and_resumed(world: World) -> None:
    """Suspension deletes the pods that run, and resets the start (Kubernetes documentation, "Suspending a Job")."""
    name = world.make(job("sleep", "infinity", queued=False))
    world.until("Job", name, lambda found: (found.get("status") or {}).get("active"))
    for suspend, active in ((True, None), (False, 1)):
        world.scientist.patch(Job, name, {"spec": {"suspend": suspend}}, namespace=VISION, patch_type=PatchType.MERGE)
        found = world.until("Job", name, lambda one, wanted=active: one["status"].get("active") == wanted)
        assert condition("Suspended")(found) is suspend
        assert ("startTime" in found["status"]) is not suspend
    world.delete("Job", name)


def test_a_finished_job_goes_when_its_time_is_over(world: World) -> None:
    """ttlSecondsAfterFinished takes its pods along ("Automatic Cleanup for Finished Jobs")."""
    name = world.make(job("true", queued=False, ttlSecondsAfterFinished=10))
    eventually(
        lambda: [each.metadata.name for each in world.admin.list(Job, namespace=VISION)],
        lambda names: name not in names,
    )
    assert world.pods(name) == []


def test_a_deleted_job_takes_its_pods_along(world: World) -> None:
    """The garbage collector deletes what a job owns, and their containers end ("Garbage Collection")."""
    name = world.make(job("sleep", "infinity", queued=False, completions=2, parallelism=2))
    eventually(lambda: world.pods(name), lambda found: len(found) == 2)
    world.delete("Job", name)
    eventually(lambda: world.pods(name), lambda found: not found)
    eventually(containers.running, lambda found: not found)


def test_a_pod_that_is_deleted_is_replaced(world: World) -> None:
    """It counts as a failure (Kubernetes documentation, "Pod failure", pod replacement policy TerminatingOrFailed)."""
    name = world.make(job("sleep", "infinity", queued=False))
    [pod] = eventually(lambda: world.pods(name), bool)
    world.delete("Pod", pod["metadata"]["name"])
    found = world.until("Job", name, lambda one: one["status"].get("failed") == 1 and one["status"].get("active") == 1)
    assert found["status"]["active"] == 1
    world.delete("Job", name)


def test_a_program_that_is_not_known_succeeds_after_a_while(world: World) -> None:
    """Its log says that it was not run."""
    name = world.make(job("python", "train.py", queued=False))
    world.until("Job", name, condition("Complete"))
    [pod] = world.pods(name)
    assert "python train.py is not run here" in "".join(world.admin.log(pod["metadata"]["name"], namespace=VISION))


# ---- Kueue -------------------------------------------------------------------------------------------------------


def test_queued_work_waits_for_its_quota(world: World) -> None:
    """The job is held back at its creation, gets a workload, and starts on its flavor (Kueue documentation, "Jobs")."""
    made = world.scientist.create(from_dict(job("sleep", "infinity", gpus=4))).to_dict()
    name, uid = made["metadata"]["name"], made["metadata"]["uid"]
    assert made["spec"]["suspend"] is True
    running = world.until("Job", name, lambda found: (found.get("status") or {}).get("active"))
    assert running["spec"]["suspend"] is False
    where = {"node.kubernetes.io/instance-type": TYPE}
    assert running["spec"]["template"]["spec"]["nodeSelector"] == where
    assert world.pods(name)[0]["spec"]["nodeSelector"] == where
    workload = world.workload(name) or {}
    assert workload["metadata"]["labels"]["kueue.x-k8s.io/job-uid"] == uid
    assert workload["metadata"]["name"].startswith(f"job-{name}-")
    [assigned] = workload["status"]["admission"]["podSetAssignments"]
    assert assigned == {
        "name": "main",
        "count": 1,
        "flavors": {"nvidia.com/gpu": TYPE},
        "resourceUsage": {"nvidia.com/gpu": "4"},
    }
    assert condition("Admitted")(workload)
    assert usage(world, VISION) == ("4", "0")

    waiting = world.make(job("true", gpus=5))
    told = world.reason(waiting, "QuotaReserved")
    assert (told["status"], told["reason"]) == ("False", "Pending")
    assert told["message"] == (
        f"couldn't assign flavors to pod set main: insufficient unused quota for nvidia.com/gpu in flavor {TYPE}, "
        "1 more needed"
    )
    assert world.pods(waiting) == []
    world.delete("Job", name)
    world.until("Job", waiting, condition("Complete"))
    ended = eventually(lambda: world.workload(waiting), lambda found: found and condition("Finished")(found))
    assert "finalizers" not in ended["metadata"]
    eventually(lambda: usage(world, VISION), lambda found: found == ("0", "0"))
    assert world.workload(name) is None


def usage(world: World, namespace: str) -> tuple[str, str]:
    """What of its GPUs a team uses, and what it borrows, as its ClusterQueue tells."""
    status = world.admin.get(ClusterQueue, f"{namespace}-clusterqueue").to_dict()["status"]
    [flavor] = status["flavorsUsage"]
    [found] = [each for each in flavor["resources"] if each["name"] == "nvidia.com/gpu"]
    return found["total"], found["borrowed"]


def test_a_team_borrows_what_others_do_not_use_and_gives_it_back(world: World) -> None:
    """Idle quota is lent, and reclaimed by its owner (SageMaker HyperPod CLI, walkthrough "Task governance")."""
    borrower = world.make(job("sleep", "infinity", gpus=4, completions=2, parallelism=2))
    world.until("Job", borrower, lambda found: (found.get("status") or {}).get("active") == 2)
    assert usage(world, VISION) == ("8", "4")
    owner = world.make(job("sleep", "infinity", gpus=4, namespace=AUDIO))
    world.until("Job", owner, lambda found: (found.get("status") or {}).get("active") == 1, AUDIO)
    found = world.until("Job", borrower, lambda one: one["spec"]["suspend"])
    assert condition("Suspended")(world.until("Job", borrower, lambda one: not one["status"].get("active")))
    assert "nodeSelector" not in found["spec"]["template"]["spec"]
    evicted = world.reason(borrower, "Evicted")
    assert (evicted["reason"], "due to reclamation within the cohort" in evicted["message"]) == ("Preempted", True)
    assert_past_seconds(world.workload(borrower) or {})
    world.delete("Job", owner, AUDIO)
    world.until("Job", borrower, lambda one: one["status"].get("active") == 2)
    world.delete("Job", borrower)


def assert_past_seconds(evicted: Object) -> None:
    """Kueue adds up how long it was admitted before (Kueue API reference v1beta1, WorkloadStatus; spelled so)."""
    [admitted] = [each for each in evicted["status"]["conditions"] if each["type"] == "Admitted"]
    ended, created = admitted["lastTransitionTime"], evicted["metadata"]["creationTimestamp"]
    longest = datetime.fromisoformat(ended) - datetime.fromisoformat(created)
    assert admitted["status"] == "False"
    assert 0 <= evicted["status"]["accumulatedPastExexcutionTimeSeconds"] <= longest.total_seconds()


def test_more_than_the_cluster_may_give_waits_for_ever(world: World) -> None:
    """A borrow limit of 100 % of 4 GPUs allows 8 (SageMaker AI Developer Guide, task governance, "Borrow limit")."""
    name = world.make(job("true", gpus=9))
    assert world.reason(name, "QuotaReserved")["message"].endswith(
        "previously considered podsets requests (0) + current podset request (9) > maximum capacity (8)"
    )
    world.delete("Job", name)


def test_a_higher_priority_preempts_a_lower_one_of_its_team(world: World) -> None:
    """PreemptTeamTasks LowerPriority (SageMaker API Reference, ComputeQuotaConfig); what is lent elsewhere stays."""
    guard = world.make(job("sleep", "infinity", gpus=4, namespace=AUDIO))
    world.until("Job", guard, lambda found: (found.get("status") or {}).get("active"), AUDIO)
    low = world.make(job("sleep", "infinity", gpus=4, priority="training"))
    world.until("Job", low, lambda found: (found.get("status") or {}).get("active"))
    same = world.make(job("true", gpus=4, priority="training"))
    assert world.reason(same, "QuotaReserved")["reason"] == "Pending"
    high = world.make(job("true", gpus=4, priority="paper"))
    world.until("Job", high, condition("Complete"))
    evicted = world.reason(low, "Evicted")
    assert "due to prioritization in the ClusterQueue" in evicted["message"]
    assert condition("Complete")(world.get("Job", high))
    world.until("Job", low, lambda found: found["status"].get("active"))  # it came before the other one
    for name, namespace in ((low, VISION), (guard, AUDIO)):
        world.delete("Job", name, namespace)
    world.until("Job", same, condition("Complete"))


def test_unlabelled_work_is_left_alone(world: World) -> None:
    """HyperPod runs Kueue with manageJobsWithoutQueueName: false ("Setup for SageMaker HyperPod task governance")."""
    name = world.make(job("true", gpus=32, queued=False))
    world.until("Job", name, condition("Complete"))
    assert world.workload(name) is None


def test_work_of_a_queue_that_does_not_exist_waits(world: World) -> None:
    """Its workload says why (Kueue, LocalQueue doesn't exist)."""
    manifest = job("true")
    manifest["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = "nobodys"
    name = world.make(manifest)
    told = world.reason(name, "QuotaReserved")
    assert (told["reason"], told["message"]) == ("Inadmissible", "LocalQueue nobodys doesn't exist")
    world.delete("Job", name)


def test_work_of_a_priority_that_does_not_exist_gets_no_workload(world: World) -> None:
    """It waits until somebody makes the class (Kueue documentation, "Workload Priority Class")."""
    name = world.make(job("true", priority="unknown"))
    world.sandbox.settle()
    assert (world.workload(name), world.get("Job", name)["spec"]["suspend"]) == (None, True)
    world.delete("Job", name)


def test_running_work_keeps_its_queue(world: World) -> None:
    """The label changes only while the job is suspended: else the quota would be dodged (Kueue, ValidateJobOnUpdate)."""
    running, waiting = world.make(job("sleep", "infinity", gpus=4)), world.make(job("true", gpus=8))
    world.until("Job", running, lambda found: (found.get("status") or {}).get("active"))
    assert world.reason(waiting, "QuotaReserved")["reason"] == "Pending"
    unlabelled = {"metadata": {"labels": {"kueue.x-k8s.io/queue-name": None}}}
    with pytest.raises(ApiError, match="field is immutable"):
        world.scientist.patch(Job, running, unlabelled, namespace=VISION, patch_type=PatchType.MERGE)
    world.scientist.patch(Job, waiting, unlabelled, namespace=VISION, patch_type=PatchType.MERGE)
    assert not world.get("Job", waiting)["metadata"].get("labels")
    for name in (running, waiting):
        world.delete("Job", name)


def test_work_that_is_started_past_its_queue_is_held_back(world: World) -> None:
    """Kueue suspends a job that it has not admitted (Kueue, "Not admitted by cluster queue")."""
    name = world.make(job("sleep", "infinity", gpus=9))
    assert world.reason(name, "QuotaReserved")["reason"] == "Pending"
    world.scientist.patch(Job, name, {"spec": {"suspend": False}}, namespace=VISION, patch_type=PatchType.MERGE)
    world.until("Job", name, lambda found: found["spec"]["suspend"])
    eventually(lambda: world.pods(name), lambda found: not found)
    world.delete("Job", name)


def test_without_quota_pending_work_stays_pending_and_running_work_goes_on(world: World) -> None:
    """A deleted compute quota takes its queues along, and nobody ends what runs (docs/assumptions.md)."""
    sagemaker = world.sandbox.client("sagemaker")
    namespace, arn = "hyperpod-ns-short", sagemaker.describe_cluster(ClusterName="hyperpod")["ClusterArn"]
    made = sagemaker.create_compute_quota(
        Name="short",
        ClusterArn=arn,
        ComputeQuotaConfig={
            "ComputeQuotaResources": [{"InstanceType": "ml.p5.48xlarge", "Accelerators": 4}],
            "ResourceSharingConfig": {"Strategy": "DontLend"},
        },
        ComputeQuotaTarget={"TeamName": "short"},
    )
    eventually(lambda: [each.metadata.name for each in world.admin.list(Namespace)], lambda all_: namespace in all_)
    running = world.make(job("sleep", "infinity", gpus=4, namespace=namespace), world.admin)
    world.until("Job", running, lambda found: (found.get("status") or {}).get("active"), namespace)
    waiting = world.make(job("true", gpus=4, namespace=namespace), world.admin)
    assert "4 more needed" in world.reason(waiting, "QuotaReserved", namespace)["message"]
    sagemaker.delete_compute_quota(ComputeQuotaId=made["ComputeQuotaId"])
    told = f"LocalQueue {namespace}-localqueue doesn't exist"
    eventually(lambda: world.reason(waiting, "QuotaReserved", namespace)["message"], lambda found: found == told)
    assert world.get("Job", running, namespace)["status"]["active"] == 1
    assert world.get("Job", waiting, namespace)["spec"]["suspend"] is True
    world.admin.delete(Namespace, namespace)
    eventually(lambda: [each.metadata.name for each in world.admin.list(Namespace)], lambda all_: namespace not in all_)
    eventually(containers.running, lambda found: not found)


def test_a_quota_that_grows_starts_what_waits_for_it(world: World) -> None:
    """Nobody has to look at the cluster meanwhile."""
    name = world.make(job("true", gpus=12))
    assert world.reason(name, "QuotaReserved")["reason"] == "Pending"
    resize_vision(world, 3)
    world.until("Job", name, condition("Complete"))
    resize_vision(world, 1)


def resize_vision(world: World, instances: int) -> None:
    """Give a team another quota, and wait until it has it."""
    sagemaker = world.sandbox.client("sagemaker")
    [quota] = sagemaker.list_compute_quotas(NameContains="vision")["ComputeQuotaSummaries"]
    sagemaker.update_compute_quota(
        ComputeQuotaId=quota["ComputeQuotaId"],
        TargetVersion=quota["ComputeQuotaVersion"],
        ComputeQuotaConfig={
            "ComputeQuotaResources": [{"InstanceType": TYPE, "Count": instances}],
            "ResourceSharingConfig": {"Strategy": "LendAndBorrow", "BorrowLimit": 100},
        },
    )
    quota_id = quota["ComputeQuotaId"]
    eventually(
        lambda: sagemaker.describe_compute_quota(ComputeQuotaId=quota_id), lambda found: found["Status"] == "Updated"
    )


# ---- cron jobs ---------------------------------------------------------------------------------------------------


def cron_job(*command: str, **spec: Any) -> Object:
    inner = job(*command, queued=spec.pop("queued", False))
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": inner["metadata"],
        "spec": {
            "schedule": "* * * * *",
            "jobTemplate": {"metadata": {"labels": inner["metadata"]["labels"]}, "spec": inner["spec"]},
            **spec,
        },
    }


def jobs_of(world: World, cron: str) -> list[Object]:
    """The jobs that a cron job has made, by name."""
    listed = (each.to_dict() for each in world.admin.list(Job, namespace=VISION))
    return [each for each in listed if any(ref["name"] == cron for ref in each["metadata"].get("ownerReferences", ()))]


def test_a_cron_job_makes_jobs_at_its_times(world: World) -> None:
    """Their names tell the minute, old ones are forgotten, and suspension stops it (Kubernetes documentation, "CronJob")."""
    name = world.make(cron_job("true", successfulJobsHistoryLimit=2), world.admin)
    made = eventually(lambda: [each["metadata"]["name"] for each in jobs_of(world, name)], lambda all_: len(all_) == 2)
    assert all(each.startswith(f"{name}-") for each in made)
    first, second = (int(each.rpartition("-")[2]) for each in sorted(made))
    assert second - first == 1
    later = eventually(
        lambda: sorted(each["metadata"]["name"] for each in jobs_of(world, name)), lambda all_: min(all_) > max(made)
    )
    assert len(later) <= 3  # one may have just begun
    assert {"lastScheduleTime", "lastSuccessfulTime"} <= world.get("CronJob", name)["status"].keys()
    patch = {"spec": {"suspend": True}}
    world.admin.patch(CronJob, name, patch, namespace=VISION, patch_type=PatchType.MERGE)
    world.until("CronJob", name, lambda found: found["spec"]["suspend"] and not found["status"].get("active"))
    world.admin.delete(CronJob, name, namespace=VISION, cascade=CascadeType.BACKGROUND)
    eventually(lambda: jobs_of(world, name), lambda found: not found)


def test_a_cron_job_that_forbids_concurrency_waits_for_its_job(world: World) -> None:
    """Replace ends the job that runs instead (Kubernetes documentation, "CronJob", concurrency policy)."""
    name = world.make(cron_job("sleep", "150", concurrencyPolicy="Forbid"), world.admin)
    [one] = eventually(lambda: jobs_of(world, name), bool)
    most = 1
    while not condition("Complete")(world.get("Job", one["metadata"]["name"])):
        most = max(most, sum(not condition("Complete")(each) for each in jobs_of(world, name)))
    assert most == 1
    patch = {"spec": {"concurrencyPolicy": "Replace"}}
    world.admin.patch(CronJob, name, patch, namespace=VISION, patch_type=PatchType.MERGE)
    running = {each["metadata"]["name"] for each in jobs_of(world, name) if not condition("Complete")(each)}
    eventually(
        lambda: {each["metadata"]["name"] for each in jobs_of(world, name)}, lambda all_: not running & all_ and all_
    )
    world.admin.delete(CronJob, name, namespace=VISION, cascade=CascadeType.BACKGROUND)
    eventually(lambda: jobs_of(world, name), lambda found: not found)


def test_a_cron_jobs_jobs_go_through_the_queue(world: World) -> None:
    """The label stands in the job's template (Kueue documentation, "Run A CronJob")."""
    name = world.make(cron_job("true", queued=True), world.admin)
    [made, *_] = eventually(lambda: jobs_of(world, name), bool)
    assert condition("Admitted")(eventually(lambda: world.workload(made["metadata"]["name"]), bool))
    world.admin.delete(CronJob, name, namespace=VISION, cascade=CascadeType.BACKGROUND)


# ---- training ----------------------------------------------------------------------------------------------------


def pytorch_job(*command: str, gpus: int = 0, workers: int = 1, policy: str = "OnFailure", **run_policy: Any) -> Object:
    made = job(*command, gpus=gpus)
    inner = {"spec": {"containers": [container(*command, gpus=gpus)]}}
    specs = {"Master": 1, "Worker": workers}
    made["spec"] = {
        "runPolicy": run_policy,
        "pytorchReplicaSpecs": {
            role: {"replicas": replicas, "restartPolicy": policy, "template": inner} for role, replicas in specs.items()
        },
    }
    return {**made, "apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob"}


def hyperpod_job(*command: str, gpus: int = 0, replicas: int = 2, **run_policy: Any) -> Object:
    made = job(*command, gpus=gpus)
    inner = {"spec": {"containers": [container(*command, gpus=gpus)]}}
    groups = [{"name": "pod", "replicas": replicas, "template": inner}]
    made["spec"] = {"nprocPerNode": "1", "runPolicy": run_policy, "replicaSpecs": groups}
    return {**made, "apiVersion": "sagemaker.amazonaws.com/v1", "kind": "HyperPodPyTorchJob"}


def test_a_pytorch_job_trains_and_succeeds(world: World) -> None:
    """Master and workers know each other, and the master's end is the job's (Kubeflow training operator 1.8)."""
    script = 'echo "$RANK of $WORLD_SIZE at $MASTER_ADDR:$MASTER_PORT"; sleep 20'
    name = world.make(pytorch_job("sh", "-c", script, gpus=1, workers=2))
    running = world.until("PyTorchJob", name, condition("Running"))
    assert running["status"]["replicaStatuses"]["Worker"]["active"] == 2
    assert condition("Created")(running)
    assert not condition("Suspended")(running)
    pods = {pod["metadata"]["name"]: pod for pod in world.pods(name)}
    assert pods.keys() == {f"{name}-master-0", f"{name}-worker-0", f"{name}-worker-1"}
    labels = pods[f"{name}-worker-1"]["metadata"]["labels"]
    assert labels["training.kubeflow.org/job-name"] == name
    assert (labels["training.kubeflow.org/replica-type"], labels["training.kubeflow.org/replica-index"]) == (
        "worker",
        "1",
    )
    workload = world.workload(name) or {}
    assert [(each["name"], each["count"]) for each in workload["spec"]["podSets"]] == [("master", 1), ("worker", 2)]
    done = world.until("PyTorchJob", name, condition("Succeeded"))
    assert not condition("Running")(done)
    assert "completionTime" in done["status"]
    assert "".join(world.admin.log(f"{name}-worker-1", namespace=VISION)) == f"2 of 3 at {name}-master-0:23456\n"
    eventually(lambda: world.workload(name), lambda found: condition("Finished")(found or {}))


@pytest.mark.parametrize(
    ("command", "fields", "message"),
    [
        (("sh", "-c", "exit 1"), {"policy": "Never"}, "is failed because 1 Master replica(s) failed."),
        (("sh", "-c", "exit 1"), {"policy": "ExitCode"}, "is failed because 1 Master replica(s) failed."),
        (("sh", "-c", "exit 1"), {"backoffLimit": 1}, "has reached the specified backoff limit"),
        (("sleep", "infinity"), {"activeDeadlineSeconds": 10}, "was active longer than specified deadline"),
    ],
)
def test_a_pytorch_job_fails(world: World, command: tuple[str, ...], fields: Object, message: str) -> None:
    """By a replica that is not started again, its backoff limit or its deadline (Kubeflow training operator 1.8)."""
    name = world.make(pytorch_job(*command, workers=0, **fields))
    failed = world.until("PyTorchJob", name, condition("Failed"))
    [told] = [each["message"] for each in failed["status"]["conditions"] if each["type"] == "Failed"]
    assert message in told
    world.delete("PyTorchJob", name)
    eventually(lambda: world.pods(name), lambda found: not found)


# what the sandbox sets of the fields that hyp takes; any other makes `hyp list` fail (its model `Conditions`, 3.12.0)
HYPERPOD_CONDITION = {"type", "status", "reason", "message", "lastTransitionTime"}


def test_a_hyperpod_job_waits_runs_and_completes(world: World) -> None:
    """Its pods are named and labelled as the SageMaker HyperPod CLI looks for them; spares count for the quota."""
    manifest = hyperpod_job("sh", "-c", "sleep 20; echo $RANK", gpus=4)
    manifest["spec"]["replicaSpecs"][0]["spares"] = 1
    waiting = world.make(manifest)
    assert "current podset request (12) > maximum capacity (8)" in world.reason(waiting, "QuotaReserved")["message"]
    suspended = world.until("HyperPodPyTorchJob", waiting, condition("Suspended"))
    assert condition("Created")(suspended)
    world.delete("HyperPodPyTorchJob", waiting)
    name = world.make(hyperpod_job("sh", "-c", "sleep 20; echo $RANK", gpus=4))
    running = world.until("HyperPodPyTorchJob", name, condition("Running"))
    assert {pod["name"] for pod in running["status"]["jobPods"]} == {f"{name}-pod-0", f"{name}-pod-1"}
    listed = [pod.metadata.name for pod in world.admin.list(Pod, namespace=VISION, labels={"HPJob": name})]
    assert sorted(str(each) for each in listed) == [f"{name}-pod-0", f"{name}-pod-1"]
    done = world.until("HyperPodPyTorchJob", name, condition("Completed"))
    true = [each["type"] for each in done["status"]["conditions"] if each["status"] == "True"]
    assert {field for each in done["status"]["conditions"] for field in each} == HYPERPOD_CONDITION
    assert true[-1] == "Completed"  # which the CLI shows as the job's status
    eventually(lambda: world.pods(name), lambda found: not found)  # cleanPodPolicy is All unless it is given


def test_a_hyperpod_job_starts_again_as_often_as_it_may(world: World) -> None:
    """jobMaxRetryCount, and then it has failed; with cleanPodPolicy None its pods stay."""
    name = world.make(hyperpod_job("false", replicas=1, jobMaxRetryCount=2, cleanPodPolicy="None"))
    failed = world.until("HyperPodPyTorchJob", name, condition("Failed"))
    assert failed["status"]["restartCount"] == 2
    assert [pod["status"]["phase"] for pod in world.pods(name)] == ["Failed"]
    world.delete("HyperPodPyTorchJob", name)


# ---- admission, and what it costs --------------------------------------------------------------------------------


def test_pod_security_refuses_the_pods_of_a_job(world: World) -> None:
    """The job itself is taken; its controller tries again, until the namespace lets it ("Pod Security Admission")."""
    enforced = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "baseline"}}}
    world.admin.patch(Namespace, VISION, enforced, patch_type=PatchType.MERGE)
    manifest = job("true", queued=False)
    manifest["spec"]["template"]["spec"]["hostNetwork"] = True
    name = world.make(manifest)
    world.until("Job", name, lambda found: (found.get("status") or {}).get("startTime"))
    assert world.pods(name) == []
    gone = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": None}}}
    world.admin.patch(Namespace, VISION, gone, patch_type=PatchType.MERGE)
    world.until("Job", name, condition("Complete"))


def test_admission_policies_see_the_controller_that_makes_a_pod(world: World) -> None:
    """A job's pods are made by kube-system's job-controller (Kubernetes documentation, "Using RBAC Authorization")."""
    group = "admissionregistration.k8s.io"
    policy: Object = {
        "apiVersion": f"{group}/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "no-job-controller"},
        "spec": {
            "matchConstraints": {
                "resourceRules": [
                    {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
                ]
            },
            "validations": [
                {"expression": "request.userInfo.username != 'system:serviceaccount:kube-system:job-controller'"}
            ],
        },
    }
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "no-job-controller"},
        "spec": {"policyName": "no-job-controller", "validationActions": ["Deny"]},
    }
    made = [world.admin.create(from_dict(each)) for each in (policy, binding)]
    refused, let = world.make(job("true", queued=False)), world.make(pytorch_job("true", workers=0))
    world.until("PyTorchJob", let, condition("Succeeded"))
    assert world.pods(refused) == []
    for each in made:
        world.admin.delete(type(each), "no-job-controller")
    world.delete("Job", refused)


def test_controllers_that_have_nothing_to_do_do_not_run(world: World) -> None:
    """Once work has ended, or waits for nothing that time brings, no thread of theirs is left."""
    name = world.make(job("true", gpus=9))
    world.reason(name, "QuotaReserved")
    world.sandbox.settle()
    eventually(
        lambda: [each.name for each in threading.enumerate() if each.name.startswith(("controllers", "pod "))],
        lambda found: not found,
    )
    world.delete("Job", name)


def test_settling_does_not_wait_for_work(world: World) -> None:
    """It waits for the controllers, not for pods."""
    name = world.make(job("sleep", "infinity", queued=False))
    world.sandbox.settle()
    assert world.get("Job", name)["status"]["active"] == 1
    world.delete("Job", name)
