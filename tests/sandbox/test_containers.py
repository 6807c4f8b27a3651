"""Containers of the AWS CLI's image run as their pod; all others go on until their pod is deleted."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from podshare_sandbox import authorization, clock
from podshare_sandbox.services import containers, eks, kubernetes, pod_identity, sts
from podshare_sandbox.services.containers import IMAGE, NO_CREDENTIALS, REFUSED, USAGE
from podshare_sandbox.services.kubernetes import endpoint
from tests.sandbox.eks_accounts import (
    CLUSTER,
    CLUSTER_ARN,
    HUB,
    REGION,
    add_administrators,
    client,
    make_cluster,
    make_role,
)

NAMESPACE, ACCOUNT = "hyperpod-ns-vision", "trainer"
WHO = ["sts", "get-caller-identity", "--region", REGION]


@pytest.fixture(autouse=True)
def cluster() -> Iterator[None]:
    """A cluster with the agent and a service account; IAM decides every call."""
    clock.set_scale(0.001)
    with mock_aws():
        for module in (sts, eks, pod_identity, kubernetes, containers):
            module.install()
        authorization.install()
        add_administrators()
        make_cluster()
        client("eks").create_addon(clusterName=CLUSTER, addonName=pod_identity.AGENT_ADDON)
        time.sleep(clock.scaled(eks.ADDON_SECONDS))
        api = kubernetes.api_of(CLUSTER_ARN)
        api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        api.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT, "namespace": NAMESPACE}})
        yield
        endpoint.pod_listeners.clear()
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
    pod = api.create(kubernetes.api.BY_KIND["Pod"], NAMESPACE, manifest, "kubectl")
    for listener in endpoint.pod_listeners:
        listener(CLUSTER_ARN, api, pod)
    deadline = time.monotonic() + 10
    while image.startswith(IMAGE) and time.monotonic() < deadline:
        found = api.get("Pod", NAMESPACE, "probe")
        if found and found["status"]["phase"] != "Running":
            return dict(found["status"])
        time.sleep(0.01)
    return dict(pod["status"])


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


def test_without_an_association_there_are_no_credentials() -> None:
    """The AWS CLI says so, with its own exit code."""
    assert codes(run(IMAGE, WHO)) == [NO_CREDENTIALS]


def test_any_other_image_goes_on() -> None:
    """Nobody knows what it would do."""
    assert run("public.ecr.aws/docker/library/busybox:stable", ["sleep", "1"])["phase"] == "Running"
