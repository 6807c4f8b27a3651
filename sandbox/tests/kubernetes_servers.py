"""API servers that the same tests ask: the sandbox's, and a real one where ``KUBEBUILDER_ASSETS`` names its folder.

The folder holds ``etcd`` and ``kube-apiserver``, as ``setup-envtest use -p path`` prints it (1.30 or newer).
"""

import json
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
from requests.structures import CaseInsensitiveDict

from podshare_sandbox.front_door import Request
from podshare_sandbox.services import eks, kubernetes, sagemaker, sts
from sandbox.tests.eks_accounts import (
    CLUSTER,
    CLUSTER_ARN,
    client,
    make_role,
    running_cluster,
)
from sandbox.tests.test_kubernetes import ADMIN, POLICY, make_token, session_of

ASSETS = "KUBEBUILDER_ASSETS"
Answer = tuple[int, dict[str, Any], str]


class ApiServer:
    """An API server as anybody: whoever asks is impersonated by its administrator."""

    def __init__(self, send: Callable[[str, str, bytes, dict[str, str]], Answer]) -> None:
        self._send = send

    def ask(
        self, method: str, path: str, body: Any = None, *, user: str = "", group: str = "", kind: str = ""
    ) -> Answer:
        """Status, body and warnings of a request by ``user`` in ``group``; by the administrator without a user."""
        headers = {"Content-Type": kind or "application/json"}
        if user:
            headers |= {"Impersonate-User": user} | ({"Impersonate-Group": group} if group else {})
        return self._send(method, path, b"" if body is None else json.dumps(body).encode(), headers)

    def apply(self, manifest: dict[str, Any]) -> None:
        """Apply an object as the administrator, as ``kubectl apply --server-side`` does."""
        kind = "application/apply-patch+yaml"
        status, answer, _ = self.ask("PATCH", f"{path_of(manifest)}?fieldManager=test&force=true", manifest, kind=kind)
        assert status in (200, 201), answer


def path_of(manifest: dict[str, Any], collection: bool = False) -> str:
    """The path of an object, or of all of its kind."""
    version, kind, metadata = manifest["apiVersion"], manifest["kind"].lower(), manifest["metadata"]
    plural = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    inside = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    return f"{root}{inside}/{plural}" + ("" if collection else f"/{metadata['name']}")


@contextmanager
def sandbox() -> Iterator[ApiServer]:
    """The sandbox's, of a cluster of its own."""
    with running_cluster(sts, eks, kubernetes, sagemaker):
        role = make_role("platform", path="/podshare/")
        client("eks").create_access_entry(clusterName=CLUSTER, principalArn=role)
        for policy, scope in ADMIN.items():
            client("eks").associate_access_policy(
                clusterName=CLUSTER, principalArn=role, policyArn=POLICY + policy, accessScope=scope
            )
        endpoint = kubernetes.endpoint_of(CLUSTER_ARN)
        url = client("eks").describe_cluster(name=CLUSTER)["cluster"]["endpoint"]
        token = make_token(session_of(role))

        def send(method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
            given = CaseInsensitiveDict({"Authorization": f"Bearer {token}", "User-Agent": "test/1.0", **headers})
            answer = endpoint.handle(Request(method, url + path, given, body))
            return answer.status, json.loads(answer.body), answer.headers.get("Warning", "")

        yield ApiServer(send)


@contextmanager
def real(folder: Path) -> Iterator[ApiServer]:
    """A kube-apiserver with an etcd of its own, as the ``envtest`` of Kubernetes' controller-runtime starts them."""
    assets = Path(os.environ.get(ASSETS, "/nonexistent"))
    if not (assets / "kube-apiserver").exists():
        pytest.skip(
            f"{ASSETS} names no folder with etcd and kube-apiserver: setup-envtest use -p path 1.33.x prints one"
        )
    token, ports = secrets.token_hex(16), [_free_port() for _ in range(3)]
    (folder / "tokens.csv").write_text(f'{token},admin,admin,"system:masters"\n')
    authority, key, certificate = trustme.CA(), folder / "server.key", folder / "server.pem"
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(str(key))
    issued.cert_chain_pems[0].write_to_path(str(certificate))
    etcd = f"http://127.0.0.1:{ports[0]}"
    commands = [
        [str(assets / "etcd"), f"--data-dir={folder / 'etcd'}", f"--listen-client-urls={etcd}",
         f"--advertise-client-urls={etcd}", f"--listen-peer-urls=http://127.0.0.1:{ports[1]}"],
        [str(assets / "kube-apiserver"), f"--etcd-servers={etcd}", f"--secure-port={ports[2]}",
         "--bind-address=127.0.0.1", f"--tls-cert-file={certificate}", f"--tls-private-key-file={key}", "--authorization-mode=RBAC",
         f"--token-auth-file={folder / 'tokens.csv'}", "--service-cluster-ip-range=10.0.0.0/24",
         "--service-account-issuer=https://localhost", f"--service-account-key-file={key}",
         f"--service-account-signing-key-file={key}", "--disable-admission-plugins=ServiceAccount"],
    ]  # fmt: skip

    def send(method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        given = {"Authorization": f"Bearer {token}", **headers}
        url = f"https://127.0.0.1:{ports[2]}{path}"
        answer = requests.request(method, url, data=body, headers=given, verify=str(folder / "ca.pem"), timeout=30)
        return answer.status_code, answer.json(), answer.headers.get("Warning", "")

    with ExitStack() as stack:
        log = stack.enter_context((folder / "log").open("w"))
        for command in commands:
            process = stack.enter_context(subprocess.Popen(command, stdout=log, stderr=log))  # noqa: S603  # the tester's
            stack.callback(process.terminate)
        server = ApiServer(send)
        _await(lambda: server.ask("GET", "/api/v1/namespaces/kube-system")[0] == 200, folder / "log")
        yield server


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _await(condition: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise TimeoutError(log.read_text()[-2000:])


@contextmanager
def started(name: str, folder: Path) -> Iterator[ApiServer]:
    """The server of this name: ``sandbox`` or ``kube-apiserver``."""
    with sandbox() if name == "sandbox" else real(folder) as server:
        yield server
