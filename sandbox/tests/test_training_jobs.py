"""What no training job can be is refused, before an operator reads it."""

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.tests.kubernetes_servers import ApiServer, path_of, started

Object = dict[str, Any]
NAMESPACE = "hyperpod-ns-vision"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A cluster with the namespace of a team; a real API server has the kinds only where operators are installed."""
    with started("sandbox", tmp_path_factory.mktemp("cluster")) as found:
        found.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        yield found


def template(**container: Any) -> Object:
    return {"spec": {"containers": [{"name": "pytorch", "image": "train", **container}]}}


def pytorch(spec: Any) -> Object:
    metadata = {"name": "one", "namespace": NAMESPACE}
    return {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "metadata": metadata, "spec": spec}


def master(**replica: Any) -> Object:
    return pytorch({"pytorchReplicaSpecs": {"Master": {"replicas": 1, "template": template(), **replica}}})


def hyperpod(*replicas: Any, **spec: Any) -> Object:
    made = pytorch({"replicaSpecs": list(replicas), **spec})
    return {**made, "apiVersion": "sagemaker.amazonaws.com/v1", "kind": "HyperPodPyTorchJob"}


def create(server: ApiServer, manifest: Object) -> tuple[int, Object]:
    return server.ask("POST", f"{path_of(manifest, collection=True)}?dryRun=All", manifest)[:2]


@pytest.mark.parametrize("manifest", [master(), hyperpod({"name": "pod", "replicas": 2, "template": template()})])
def test_a_training_job_is_taken(server: ApiServer, manifest: Object) -> None:
    """As the operators' samples have it."""
    status, answer = create(server, manifest)
    assert status == 201, answer


@pytest.mark.parametrize(
    ("manifest", "field"),
    [
        (pytorch("yes"), "spec"),
        (pytorch({}), "spec.pytorchReplicaSpecs"),
        (pytorch({"pytorchReplicaSpecs": [1]}), "spec.pytorchReplicaSpecs"),
        (pytorch({"pytorchReplicaSpecs": {"Boss": {"template": template()}}}), "spec.pytorchReplicaSpecs"),
        (pytorch({"pytorchReplicaSpecs": {"Master": 1}}), "spec.pytorchReplicaSpecs[Master]"),
        (master(replicas=2), "spec.pytorchReplicaSpecs[Master].replicas"),
        (master(replicas="1"), "spec.pytorchReplicaSpecs[Master].replicas"),
        (master(restartPolicy="Perhaps"), "spec.pytorchReplicaSpecs[Master].restartPolicy"),
        (master(template={}), "spec.pytorchReplicaSpecs[Master].template.spec.containers"),
        (master(template=template(name="main")), "spec.pytorchReplicaSpecs[Master].template.spec.containers"),
        (
            master(template=template(resources={"limits": {"cpu": "much"}})),
            "spec.pytorchReplicaSpecs[Master].template.spec.containers[0].resources.limits.cpu",
        ),
        (pytorch({**master()["spec"], "runPolicy": 3}), "spec.runPolicy"),
        (pytorch({**master()["spec"], "runPolicy": {"suspend": "yes"}}), "spec.runPolicy.suspend"),
        (pytorch({**master()["spec"], "runPolicy": {"backoffLimit": "3"}}), "spec.runPolicy.backoffLimit"),
        (pytorch({**master()["spec"], "runPolicy": {"cleanPodPolicy": "Some"}}), "spec.runPolicy.cleanPodPolicy"),
        (hyperpod({"replicas": 1, "template": template()}), "spec.replicaSpecs[0].name"),
        (hyperpod({"name": "pod", "replicas": 1}), "spec.replicaSpecs[0].template"),
        (hyperpod({"name": "pod", "replicas": -1, "template": template()}), "spec.replicaSpecs[0].replicas"),
        (hyperpod("pod"), "spec.replicaSpecs[0]"),
        (hyperpod(replicaSpecs={"name": "pod"}), "spec.replicaSpecs"),
        (hyperpod(runPolicy={"jobMaxRetryCount": "3"}), "spec.runPolicy.jobMaxRetryCount"),
    ],
)
def test_what_no_training_job_can_be_is_refused(server: ApiServer, manifest: Object, field: str) -> None:
    """422 names the field (the operators' CustomResourceDefinitions; Kubeflow, pkg/webhooks/pytorch)."""
    status, answer = create(server, manifest)
    assert (status, answer["reason"]) == (422, "Invalid"), answer
    assert f" {field}: " in answer["message"]
