"""A team's work on its cluster: submitted by a scientist, admitted to the team's quota, run in its role, and drained."""

import json
from typing import Any

import lightkube
import pytest
from lightkube.generic_resource import create_namespaced_resource
from lightkube.resources.batch_v1 import Job
from lightkube.resources.core_v1 import Pod

from podshare_sandbox.services import kubernetes
from podshare_sandbox.services.containers import IMAGE
from podshare_sandbox.services.kubernetes.resources import BY_KIND
from tests.builders import a_team_item
from tests.scenarios.world import CLUSTER, EKS_ARN, VISION, World, awaited

Object = dict[str, Any]
TEAM, NAMESPACE = "vision", "hyperpod-ns-vision"
MEMBERS = [{"account": VISION}]
PyTorchJob = create_namespaced_resource("kubeflow.org", "v1", "PyTorchJob", "pytorchjobs")


@pytest.fixture(scope="module")
def deployment() -> dict[str, str]:
    """Work is waited for."""
    return {"DrainSeconds": "300"}


@pytest.fixture(scope="module")
def scientist(world: World) -> lightkube.Client:
    """A scientist of a team, on a cluster whose namespaces are hardened."""
    world.put({**CLUSTER, "namespace_hardening": "enforce"}, a_team_item(TEAM, members=MEMBERS))
    assert world.status(TEAM)["state"] == "READY"
    return world.kubernetes(world.cluster_access(TEAM, VISION))


def ends(found: Object) -> list[str]:
    """The conditions of a job that hold."""
    conditions = (found.get("status") or {}).get("conditions") or []
    return [each["type"] for each in conditions if each["status"] == "True"]


def has_succeeded(pod: Object) -> bool:
    return bool((pod.get("status") or {}).get("phase") == "Succeeded")


def pod_spec(image: str, *words: str, gpus: int = 8) -> Object:
    resources = {"limits": {"nvidia.com/gpu": gpus}, "requests": {"nvidia.com/gpu": gpus}}
    container = {"name": "pytorch", "image": image, "args": list(words), "resources": resources}
    return {"serviceAccountName": "trainer", "containers": [container]}


def phases(client: lightkube.Client, job: str) -> list[str | None]:
    """The phases of a job's pods."""
    pods = client.list(Pod, namespace=NAMESPACE, labels={"job-name": job})
    return [pod.status.phase if pod.status else None for pod in pods]


def test_training_reads_the_teams_data_in_the_teams_role(world: World, scientist: lightkube.Client) -> None:
    """A PyTorchJob passes the hardening, waits for no more than its quota, and its pods read through their role."""
    words = ("s3api", "list-objects-v2", "--bucket", world.access_point(TEAM, "imagenet"), "--prefix", "imagenet/")
    replica = {"replicas": 1, "template": {"spec": pod_spec(IMAGE, *words, "--region", "us-west-2")}}
    metadata = {"name": "train", "labels": {"kueue.x-k8s.io/queue-name": f"{NAMESPACE}-localqueue"}}
    spec = {"pytorchReplicaSpecs": {"Master": replica, "Worker": replica}}
    scientist.create(PyTorchJob(metadata=metadata, spec=spec), namespace=NAMESPACE)
    awaited(
        lambda: scientist.get(PyTorchJob, "train", namespace=NAMESPACE).to_dict(), lambda job: "Succeeded" in ends(job)
    )
    for pod in ("train-master-0", "train-worker-0"):  # the job has succeeded with its master (Kubeflow, PyTorchJob)
        awaited(lambda name=pod: scientist.get(Pod, name, namespace=NAMESPACE).to_dict(), has_succeeded)
        printed = json.loads("".join(scientist.log(pod, namespace=NAMESPACE)))
        assert any(each["Key"].startswith("imagenet/") for each in printed["Contents"])
    assert world.denied() == []


def test_running_work_is_waited_for_when_its_team_goes(world: World, scientist: lightkube.Client) -> None:
    """Nobody gets in any more, the work comes to its end, the quota goes, and then what is left of the work."""
    template: Object = {"spec": {**pod_spec("busybox", "sleep", "600"), "restartPolicy": "Never"}}
    template["metadata"] = {"labels": {"kueue.x-k8s.io/queue-name": f"{NAMESPACE}-localqueue"}}
    metadata = {"name": "long", "finalizers": ["example.com/seen"]}
    manifest = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": template}}
    scientist.create(Job.from_dict(manifest), namespace=NAMESPACE)  # the API server copies the labels of its template
    awaited(lambda: phases(scientist, "long"), lambda found: found == ["Running"])
    client = world.sandbox.client("dynamodb")
    client.delete_item(TableName="podshare-registry", Key={"id": {"S": f"team#{TEAM}"}})
    told = awaited(lambda: world.status(TEAM), lambda status: status.get("state") in ("WAITING", "DELETED"))
    assert (told["state"], "1 pod still running" in json.dumps(told["problems"])) == ("WAITING", True)
    awaited(lambda: str(world.status(TEAM).get("problems")), lambda problems: "not empty: 1 jobs.batch" in problems)
    api = kubernetes.api_of(EKS_ARN)
    job = api.get("Job", NAMESPACE, "long") or {}
    assert ("Complete" in ends(job), "deletionTimestamp" in job["metadata"]) == (True, True)
    api.merge_patch(BY_KIND["Job"], NAMESPACE, "long", {"metadata": {"finalizers": None}}, "controller")
    world.sandbox.settle()
    assert world.status(TEAM)["state"] == "DELETED"
    assert world.leftovers() == []
