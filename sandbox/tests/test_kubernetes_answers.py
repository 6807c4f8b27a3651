"""The sandbox's API server answers as a kube-apiserver 1.36.2 did, call by call."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from requests.structures import CaseInsensitiveDict

from podshare_sandbox.front_door import Request
from podshare_sandbox.services import eks, kubernetes, sagemaker, sts
from podshare_sandbox.services.kubernetes import KubernetesApi
from podshare_sandbox.services.kubernetes.resources import BY_KIND
from sandbox.tests.eks_accounts import (
    CLUSTER,
    CLUSTER_ARN,
    client,
    make_role,
    running_cluster,
)
from sandbox.tests.test_kubernetes import ADMIN, POLICY, make_token, session_of

Object = dict[str, Any]
TEAM = "hyperpod-ns-vision"
CALLS = json.loads((Path(__file__).parent / "fixtures" / "kubernetes_answers.json").read_text())["calls"]
# EKS from 1.32 on lets anonymous requests reach /healthz, /livez and /readyz only (EKS user guide, release notes of 1.32)
NOT_AS_EKS = {"no token": "401 Unauthorized", "basic": "401 Unauthorized"}


@pytest.fixture
def cluster() -> Iterator[str]:
    """The token of an administrator of a cluster with everything that the calls ask for."""
    with running_cluster(sts, eks, kubernetes, sagemaker):
        role = make_role("platform", path="/podshare/")
        client("eks").create_access_entry(clusterName=CLUSTER, principalArn=role, kubernetesGroups=["administrators"])
        for policy, scope in ADMIN.items():
            client("eks").associate_access_policy(
                clusterName=CLUSTER, principalArn=role, policyArn=POLICY + policy, accessScope=scope
            )
        prepare(kubernetes.api_of(CLUSTER_ARN))
        yield make_token(session_of(role))


def prepare(api: KubernetesApi) -> None:
    """Make what the calls take for granted; ``fin``, ``web2`` and ``ns-t`` have been deleted."""
    for name in (TEAM, "hyperpod-ns-audio", "ns-b", "ns-t"):
        api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    hold = {"finalizers": ["example.com/hold"]}
    configs = [("own", {}, TEAM), ("imm", {}, TEAM), ("fin", hold, TEAM), ("hold", hold, "ns-t")]
    for name, metadata, namespace in [*configs, *((f"l{number}", {}, "ns-b") for number in range(4))]:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace, **metadata}}
        api.apply({**body, "data": {"a": "1"}, **({"immutable": True} if name == "imm" else {})})
    labels = {"app.kubernetes.io/managed-by": "podshare", "podshare/team": "vision"}
    account = {"name": "web", "namespace": TEAM, "labels": labels}
    api.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
    for call in CALLS:
        if call["name"] in ("pv mode change", "pvc shrink"):
            body = json.loads(json.dumps(call["body"]))
            body["spec"]["volumeMode"] = "Filesystem"
            if "resources" in body["spec"]:
                body["spec"]["resources"]["requests"]["storage"] = "1200Gi"
            api.apply(body)
    claim = json.loads(json.dumps(next(call["body"] for call in CALLS if call["name"] == "pvc shrink")))
    claim["metadata"]["name"], claim["spec"]["volumeName"] = "web2", "absent"
    api.apply(claim)
    used = {"name": "data", "persistentVolumeClaim": {"claimName": "web2"}}
    spec = {"containers": [{"name": "main", "image": "busybox"}], "volumes": [used]}
    waiting = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "waiting", "namespace": TEAM}, "spec": spec}
    api.apply(waiting)
    api.apply({**waiting, "status": {"phase": "Pending"}})  # as there was no scheduler where the answers come from
    api.delete("ConfigMap", TEAM, "fin")
    api.delete("PersistentVolumeClaim", TEAM, "web2")
    api.delete("Namespace", None, "ns-t")


@pytest.mark.parametrize("call", CALLS, ids=[call["name"] for call in CALLS])
def test_a_call_is_answered_as_by_a_real_server(cluster: str, call: Object) -> None:
    """Status and reason are those of the real server, or those that docs/sandbox.md gives the reason for."""
    method, path = call["call"].split(" ", 1)
    headers = {
        "Authorization": f"Bearer {cluster}",
        "Content-Type": call.get("content_type", "application/json"),
        "User-Agent": "test/1.0",
        **call.get("headers", {}),
    }
    body = json.dumps(call["body"]).encode() if "body" in call else b""
    url = client("eks").describe_cluster(name=CLUSTER)["cluster"]["endpoint"]
    request = Request(method, url + path, CaseInsensitiveDict(headers), body)
    answer = kubernetes.endpoint_of(CLUSTER_ARN).handle(request)
    is_json = answer.headers["Content-Type"] == "application/json" and answer.status >= 400 and answer.body
    status: Object = json.loads(answer.body) if is_json else {}
    expected = NOT_AS_EKS.get(call["name"], call["real"])
    assert f"{answer.status} {status.get('reason', '')}".strip() == expected, status
    if status.get("reason") == "Invalid":
        assert all(cause["field"] for cause in status["details"]["causes"])


@pytest.mark.parametrize("stage", ["Some", "", "all"])
def test_only_all_is_a_dry_run(cluster: str, stage: str) -> None:
    """Another value of ``dryRun`` is 422, and nothing is stored, updated or deleted ("API Concepts", dry run)."""
    api, url = kubernetes.api_of(CLUSTER_ARN), client("eks").describe_cluster(name=CLUSTER)["cluster"]["endpoint"]
    before = api.revision
    path = f"/api/v1/namespaces/{TEAM}/configmaps"
    new = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new"}}
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "dryRun": [stage]}
    for method, target, body in (
        ("POST", f"{path}?dryRun={stage}", new),
        ("PUT", f"{path}/own?dryRun={stage}", {**new, "metadata": {"name": "own"}}),
        ("DELETE", f"{path}/own?dryRun={stage}", None),
        ("DELETE", f"{path}/own", options),
        ("DELETE", f"{path}?dryRun={stage}", None),
    ):
        sent = {"Authorization": f"Bearer {cluster}", "Content-Type": "application/json"}
        content = b"" if body is None else json.dumps(body).encode()
        request = Request(method, url + target, CaseInsensitiveDict(sent), content)
        assert kubernetes.endpoint_of(CLUSTER_ARN).handle(request).status == 422, (method, target)
    assert api.revision == before
    assert api.find(BY_KIND["ConfigMap"], TEAM, "own")
