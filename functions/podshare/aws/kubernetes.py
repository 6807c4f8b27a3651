"""A cluster's Kubernetes API, with a short-lived EKS token of a member role.

Importing lightkube takes half a second: nothing imports this module before it talks to a cluster.
"""

import base64
import threading
import time
from collections.abc import Mapping
from typing import Any

import httpx2
import lightkube
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from lightkube.codecs import from_dict
from lightkube.config.kubeconfig import SingleConfig
from lightkube.config.models import Cluster, Context, User
from lightkube.core.exceptions import ApiError
from lightkube.resources.core_v1 import Namespace, PersistentVolume, PersistentVolumeClaim, Pod, ServiceAccount
from lightkube.resources.networking_v1 import NetworkPolicy
from lightkube.resources.rbac_authorization_v1 import Role, RoleBinding
from lightkube.types import PatchType

from podshare.aws.errors import Pending, Retryable, Terminal
from podshare.aws.sessions import Accounts, ask_guard

TOKEN_SECONDS = 60  # how long the presigned URL in the token is good for; EKS honours the token for 15 minutes
_RENEW_AFTER = 600
_OVER = frozenset({"Succeeded", "Failed"})
_NOT_FOUND, _CONFLICT, _TOO_MANY, _SERVER_FAULT = 404, 409, 429, 500

_SERVED = (ServiceAccount, Role, RoleBinding, NetworkPolicy, PersistentVolume, PersistentVolumeClaim)
_KINDS: Mapping[str, Any] = {kind.__name__: kind for kind in _SERVED}

_connections: dict[tuple[str, str, str, str], tuple[float, "Kubernetes"]] = {}
_lock = threading.Lock()


def token(credentials: dict[str, str], region: str, cluster: str) -> str:
    """An EKS token: a presigned GetCallerIdentity that names the cluster (aws-iam-authenticator's format)."""
    request = AWSRequest(
        method="GET",
        url=f"https://sts.{region}.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15",
        headers={"x-k8s-aws-id": cluster},
    )
    # a user's keys have no session token
    keys = Credentials(credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials.get("SessionToken"))
    SigV4QueryAuth(keys, "sts", region, expires=TOKEN_SECONDS).add_auth(request)
    encoded = base64.urlsafe_b64encode(str(request.url).encode()).decode().rstrip("=")
    return f"k8s-aws-v1.{encoded}"


def connect(accounts: Accounts, work: str, account: str, region: str, cluster: str) -> "Kubernetes":
    """An EKS cluster's API, as the member role for ``work``.

    Raises Terminal if the member role cannot be assumed.
    """
    name = (work, account, region, cluster)
    with _lock:
        made, known = _connections.get(name, (0.0, None))
        if known is None or time.monotonic() - made > _RENEW_AFTER:
            known = Kubernetes(accounts, account, region, cluster)
            _connections[name] = (time.monotonic(), known)
        return known


class Kubernetes:
    """What podshare asks of a cluster. Every method raises Retryable or Terminal where the API refuses."""

    def __init__(self, accounts: Accounts, account: str, region: str, cluster: str) -> None:
        found = accounts.client("eks", account, region).describe_cluster(name=cluster)["cluster"]
        self._cluster = cluster
        self._client = lightkube.Client(
            config=SingleConfig(
                context_name=cluster,
                context=Context(cluster=cluster, user="podshare"),
                cluster=Cluster(server=found["endpoint"], certificate_auth_data=found["certificateAuthority"]["data"]),
                user=User(token=token(accounts.credentials(account), region, cluster)),
            ),
            field_manager="podshare",
            timeout=httpx2.Timeout(15),
        )

    def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        """An object as it is, or None if there is none. ``namespace`` is empty for what lies in none."""
        try:
            found = self._client.get(_KINDS[kind], name, namespace=namespace)
        except httpx2.HTTPError as error:
            if _status(error) == _NOT_FOUND:
                return None
            raise self._classified(error, f"{kind} {namespace}/{name}") from error
        return dict(found.to_dict())

    def apply(self, manifest: Mapping[str, Any]) -> None:
        """Apply an object (server-side apply). Raises Pending if its namespace does not exist yet."""
        ask_guard()
        namespace, name = manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"]
        try:
            self._client.apply(from_dict(dict(manifest)), force=True)
        except httpx2.HTTPError as error:
            if _status(error) == _NOT_FOUND:
                raise Pending(f"namespace {namespace} does not exist yet") from error
            raise self._classified(error, f"{manifest['kind']} {namespace}/{name}") from error

    def delete(self, kind: str, namespace: str, name: str) -> None:
        """Delete an object; Kubernetes removes a service account's tokens with it."""
        ask_guard()
        try:
            self._client.delete(_KINDS[kind], name, namespace=namespace)
        except httpx2.HTTPError as error:
            if _status(error) != _NOT_FOUND:
                raise self._classified(error, f"{kind} {namespace}/{name}") from error

    def names(self, kind: str, namespace: str) -> list[str]:
        """The names of all objects of a kind in a namespace."""
        try:
            found = list(self._client.list(_KINDS[kind], namespace=namespace))
        except httpx2.HTTPError as error:
            raise self._classified(error, f"each {kind} of {namespace}") from error
        return [one.metadata.name or "" for one in found if one.metadata]

    def namespace_labels(self, name: str) -> dict[str, str] | None:
        """The labels of a namespace, or None if there is none."""
        try:
            found = self._client.get(Namespace, name)
        except httpx2.HTTPError as error:
            if _status(error) == _NOT_FOUND:
                return None
            raise self._classified(error, f"namespace {name}") from error
        return dict((found.metadata.labels if found.metadata else None) or {})

    def label_namespace(self, name: str, labels: Mapping[str, str | None]) -> None:
        """Set labels of a namespace, and remove those that are None. Raises Pending if it does not exist yet."""
        ask_guard()
        patch = {"metadata": {"labels": dict(labels)}}
        try:
            self._client.patch(Namespace, name, patch, patch_type=PatchType.MERGE)
        except httpx2.HTTPError as error:
            if _status(error) == _NOT_FOUND:
                raise Pending(f"namespace {name} does not exist yet") from error
            raise self._classified(error, f"namespace {name}") from error

    def running_pods(self, namespace: str) -> list[str]:
        """The names of the pods that have not ended."""
        try:
            pods = list(self._client.list(Pod, namespace=namespace))
        except httpx2.HTTPError as error:
            raise self._classified(error, f"pods of {namespace}") from error
        return [
            pod.metadata.name or "" for pod in pods if pod.metadata and not (pod.status and pod.status.phase in _OVER)
        ]

    def _classified(self, error: httpx2.HTTPError, about: str) -> Exception:
        """An error without a status is one of the connection, or an answer that is not the API server's."""
        said = error.status.message if isinstance(error, ApiError) else None
        text = f"{about} in cluster {self._cluster}: {said or error!r}"
        if _status(error) in (0, _CONFLICT, _TOO_MANY) or _status(error) >= _SERVER_FAULT:
            return Retryable(text)
        return Terminal(f"{text}. Apply accounts/cluster-rbac.yaml to the cluster and deploy accounts/cluster.yaml.")


def _status(error: httpx2.HTTPError) -> int:
    if isinstance(error, ApiError):
        return int(error.status.code or error.response.status_code)
    return error.response.status_code if isinstance(error, httpx2.HTTPStatusError) else 0
