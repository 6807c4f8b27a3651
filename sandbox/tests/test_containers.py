"""Containers run as their pod: the AWS CLI, and commands that are known; all others go on until it is deleted."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from podshare_sandbox import authorization, clock
from podshare_sandbox.services import containers, eks, kubernetes, pod_identity, sts
from podshare_sandbox.services.containers import IMAGE, NO_CREDENTIALS, REFUSED, USAGE
from sandbox.tests.eks_accounts import (
    CLUSTER,
    CLUSTER_ARN,
    HUB,
    REGION,
    client,
    make_role,
    running_cluster,
)
from sandbox.tests.runtime import eventually

NAMESPACE, ACCOUNT = "hyperpod-ns-vision", "trainer"
BUSYBOX = "public.ecr.aws/docker/library/busybox:stable"
UNKNOWN = authorization.Credentials("ASIAUNKNOWN", "unknown", "unknown", datetime.now(UTC))
WHO = ["sts", "get-caller-identity", "--region", REGION]


@pytest.fixture(autouse=True)
def cluster() -> Iterator[None]:
    """A cluster with the agent and a service account; IAM decides every call."""
    with running_cluster(sts, eks, pod_identity, kubernetes, containers, authorization):
        client("eks").create_addon(clusterName=CLUSTER, addonName=pod_identity.AGENT_ADDON)
        clock.advance(eks.ADDON_SECONDS)
        api = kubernetes.api_of(CLUSTER_ARN)
        api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        api.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT, "namespace": NAMESPACE}})
        yield
        containers.close()
    authorization.uninstall()


def run(image: str, *commands: list[str]) -> dict[str, Any]:
    """A pod's status after a client has made it."""
    api = kubernetes.api_of(CLUSTER_ARN)
    made = [{"name": f"c{number}", "image": image, "args": words} for number, words in enumerate(commands)]
    manifest: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "probe", "namespace": NAMESPACE},
        "spec": {"serviceAccountName": ACCOUNT, "containers": made, "restartPolicy": "Never"},
    }
    api.create(kubernetes.api.BY_KIND["Pod"], NAMESPACE, manifest, "kubectl")
    return until(lambda status: status["phase"] != "Running")


def until(condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The pod's status once it is as told."""
    found = eventually(
        lambda: kubernetes.api_of(CLUSTER_ARN).get("Pod", NAMESPACE, "probe"),
        lambda pod: pod and condition(pod["status"]),
    )
    return dict((found or {})["status"])


def codes(status: dict[str, Any]) -> list[int]:
    return [one["state"]["terminated"]["exitCode"] for one in status["containerStatuses"]]


def test_a_command_of_the_aws_cli_ends_as_the_service_answers() -> None:
    """It acts in the role of its pod's service account, prints JSON, and tells a refusal by its exit code and words."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    }
    role = make_role("reader", trust=statement)
    client("eks").create_pod_identity_association(
        clusterName=CLUSTER, namespace=NAMESPACE, serviceAccount=ACCOUNT, roleArn=role
    )
    status = run(f"{IMAGE}:latest", WHO, ["iam", "list-users"], ["s3api", "list-objects-v2", "--buckets", "b"])
    assert (status["phase"], codes(status)) == ("Failed", [0, REFUSED, USAGE])
    logs = kubernetes.api_of(CLUSTER_ARN).logs
    assert json.loads(logs[NAMESPACE, "probe", "c0"])["Arn"].startswith(f"arn:aws:sts::{HUB}:assumed-role/reader/")
    assert "An error occurred (AccessDenied)" in logs[NAMESPACE, "probe", "c1"]


@pytest.mark.parametrize(
    "words",
    [
        ["s3api", "get-object", "--bucket", "b", "--key", "k", "--region", REGION],
        ["s3api", "get-object", "--bucket", "b", "--key", "k", "one", "two", "--region", REGION],
        ["iam", "list-users", "out", "--region", REGION],
        ["iam", "list-users", "--path-prefix"],
    ],
)
def test_the_aws_cli_takes_a_file_for_a_body_and_for_nothing_else(words: list[str]) -> None:
    """`<outfile>` stands anywhere, once, where the answer has a body (AWS CLI reference, s3api get-object)."""
    assert containers.aws(words, UNKNOWN)[0] == USAGE


def test_the_file_of_a_body_stands_anywhere() -> None:
    """Before or after the options (AWS CLI reference, s3api get-object)."""
    options = ["--bucket", "b", "--key", "k", "--region", REGION]
    for words in (["out", *options], [*options, "out"], [*options[:2], "out", *options[2:]]):
        assert containers.aws(["s3api", "get-object", *words], UNKNOWN)[0] == REFUSED


def test_without_an_association_there_are_no_credentials() -> None:
    """The AWS CLI says so, with its own exit code."""
    assert codes(run(IMAGE, WHO)) == [NO_CREDENTIALS]


def make(policy: str, *containers: dict[str, Any], **more: Any) -> None:
    """Make a pod as a client does."""
    named = [{"name": f"c{number}", "image": BUSYBOX, **each} for number, each in enumerate(containers)]
    manifest: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "probe", "namespace": NAMESPACE},
        "spec": {"containers": named, "restartPolicy": policy, **more},
    }
    kubernetes.api_of(CLUSTER_ARN).create(kubernetes.api.BY_KIND["Pod"], NAMESPACE, manifest, "kubectl")


@pytest.mark.parametrize("container", [{}, {"args": ["python", "train.py"]}])
def test_what_is_not_known_goes_on(container: dict[str, Any]) -> None:
    """Nobody knows what an image's own command, or a program, would do: the pod is Running and ready."""
    make("Never", container)
    status = until(lambda status: status["phase"] == "Running")
    assert {one["type"]: one["status"] for one in status["conditions"]}["Ready"] == "True"
    assert [one["ready"] for one in status["containerStatuses"]] == [True]
    assert not containers.running()


def test_commands_that_are_known_end_their_containers() -> None:
    """The pod fails if one of its containers does (Kubernetes documentation, "Pod phase"); logs tell each one's words."""
    make("Never", {"command": ["sh", "-c", "echo hello $WHO; exit 3"], "env": [{"name": "WHO", "value": "world"}]},
         {"command": ["sleep", "1"]})  # fmt: skip
    status = until(lambda status: status["phase"] == "Failed")
    assert codes(status) == [3, 0]
    assert kubernetes.api_of(CLUSTER_ARN).logs[NAMESPACE, "probe", "c0"] == "hello world\n"


def test_a_container_starts_again_as_its_pod_says() -> None:
    """OnFailure restarts failures, Always everything (Kubernetes documentation, "Container restart policy")."""
    make("OnFailure", {"command": ["false"]})
    status = until(lambda status: status["containerStatuses"][0]["restartCount"] >= 2)
    assert status["phase"] == "Running"
    assert kubernetes.api_of(CLUSTER_ARN).delete("Pod", NAMESPACE, "probe")
    make("Always", {"command": ["true"]})
    until(lambda status: status["containerStatuses"][0]["restartCount"] >= 2)


def test_init_containers_come_first() -> None:
    """Where one fails for good, no other container starts (Kubernetes documentation, "Init Containers")."""
    make("Never", {"command": ["true"]}, initContainers=[{"name": "first", "image": BUSYBOX, "command": ["false"]}])
    until(lambda status: status["phase"] == "Failed")


def test_a_deleted_pods_containers_end() -> None:
    """Nothing goes on for a pod that is gone."""
    make("Never", {"command": ["sleep", "infinity"]})
    assert len(containers.running()) == 1
    kubernetes.api_of(CLUSTER_ARN).delete("Pod", NAMESPACE, "probe")
    assert not containers.running()
