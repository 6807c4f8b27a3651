"""Work starts, runs and ends: jobs, cron jobs and training jobs, by their controllers and through Kueue."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx2
import lightkube
import pytest
from botocore.credentials import Credentials
from lightkube.codecs import from_dict
from lightkube.config.kubeconfig import SingleConfig
from lightkube.config.models import Cluster, Context, User
from lightkube.generic_resource import create_global_resource, create_namespaced_resource
from lightkube.resources.batch_v1 import CronJob, Job
from lightkube.resources.core_v1 import Namespace, Pod
from lightkube.types import CascadeType, PatchType

from podshare_sandbox import Sandbox
from podshare_sandbox.services import containers
from tests.sandbox.eks_accounts import CLUSTER, HUB
from tests.sandbox.test_kubernetes import POLICY, make_token

Object = dict[str, Any]
VISION, AUDIO = "hyperpod-ns-vision", "hyperpod-ns-audio"
TYPE = "ml.g5.12xlarge"  # 4 GPUs, 48 vCPUs; each team has one
BUSYBOX = "public.ecr.aws/docker/library/busybox:stable"
_KUEUE = ("kueue.x-k8s.io", "v1beta1")
Workload = create_namespaced_resource(*_KUEUE, "Workload", "workloads")
ClusterQueue = create_global_resource(*_KUEUE, "ClusterQueue", "clusterqueues")
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
        return self.await_(lambda: self.get(kind, name, namespace), condition)

    def await_(self, look: Callable[[], Any], condition: Callable[[Any], Any]) -> Any:
        """What there is to see once it is as told; nothing here takes twenty seconds."""
        deadline = time.monotonic() + 20
        while not condition(found := look()):
            assert time.monotonic() < deadline, found
            time.sleep(0.01)
        return found

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

        return dict(self.await_(look, bool))

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
        found.await_(lambda: [each.metadata.name for each in clients[0].list(Namespace)], lambda names: AUDIO in names)
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
    world.await_(
        lambda: [each.metadata.name for each in world.admin.list(Job, namespace=VISION)],
        lambda names: name not in names,
    )
    assert world.pods(name) == []


def test_a_deleted_job_takes_its_pods_along(world: World) -> None:
    """The garbage collector deletes what a job owns, and their containers end ("Garbage Collection")."""
    name = world.make(job("sleep", "infinity", queued=False, completions=2, parallelism=2))
    world.await_(lambda: world.pods(name), lambda found: len(found) == 2)
    world.delete("Job", name)
    world.await_(lambda: world.pods(name), lambda found: not found)
    world.await_(containers.running, lambda found: not found)


def test_a_pod_that_is_deleted_is_replaced(world: World) -> None:
    """It counts as a failure (Kubernetes documentation, "Pod failure", pod replacement policy TerminatingOrFailed)."""
    name = world.make(job("sleep", "infinity", queued=False))
    [pod] = world.await_(lambda: world.pods(name), bool)
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
    ended = world.await_(lambda: world.workload(waiting), lambda found: found and condition("Finished")(found))
    assert "finalizers" not in ended["metadata"]
    world.await_(lambda: usage(world, VISION), lambda found: found == ("0", "0"))
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
    world.delete("Job", owner, AUDIO)
    world.until("Job", borrower, lambda one: one["status"].get("active") == 2)
    world.delete("Job", borrower)


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


def test_work_that_is_started_past_its_queue_is_held_back(world: World) -> None:
    """Kueue suspends a job that it has not admitted (Kueue, "Not admitted by cluster queue")."""
    name = world.make(job("sleep", "infinity", gpus=9))
    assert world.reason(name, "QuotaReserved")["reason"] == "Pending"
    world.scientist.patch(Job, name, {"spec": {"suspend": False}}, namespace=VISION, patch_type=PatchType.MERGE)
    world.until("Job", name, lambda found: found["spec"]["suspend"])
    world.await_(lambda: world.pods(name), lambda found: not found)
    world.delete("Job", name)
