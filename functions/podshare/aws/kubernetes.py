"""A cluster's Kubernetes API, with a short-lived EKS token of a member role.

Importing lightkube takes half a second: nothing imports this module before it talks to a cluster.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

import httpx2
import lightkube
from lightkube.codecs import from_dict
from lightkube.config.client_adapter import Client as PlainClient
from lightkube.config.client_adapter import ConnectionParams
from lightkube.config.kubeconfig import SingleConfig
from lightkube.config.models import Cluster, Context, User
from lightkube.core.decoders import decode_list, decode_status
from lightkube.core.exceptions import ApiError
from lightkube.generic_resource import create_namespaced_resource
from lightkube.resources.core_v1 import (
    ConfigMap,
    Namespace,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    ResourceQuota,
    ServiceAccount,
)
from lightkube.resources.networking_v1 import NetworkPolicy
from lightkube.resources.rbac_authorization_v1 import ClusterRoleBinding, Role, RoleBinding
from lightkube.types import CascadeType, PatchType

from podshare.aws.answers import Remembering
from podshare.aws.clusters_ahead import read_objects_ahead
from podshare.aws.eks_token import token
from podshare.aws.errors import Pending, Retryable, Terminal
from podshare.aws.served_kinds import ServedKind, served_kinds
from podshare.aws.sessions import Accounts, ask_guard

_RENEW_AFTER = 600
_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_READS = frozenset({"everywhere", "get", "names", "namespace", "objects"})  # of the methods below
_OVER = frozenset({"Succeeded", "Failed"})
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _CONFLICT, _TOO_MANY, _SERVER_FAULT = 401, 403, 404, 409, 429, 500
_TERMINATING = "NamespaceTerminating"  # a cause, of the API server's admission plugin NamespaceLifecycle
_SILENT_SECONDS = 15  # of the timeout below: a cluster that does not answer is not asked for each object again

_SERVED = (
    ClusterRoleBinding,
    ConfigMap,
    NetworkPolicy,
    PersistentVolume,
    PersistentVolumeClaim,
    ResourceQuota,
    Role,
    RoleBinding,
    ServiceAccount,
)
_KINDS: Mapping[str, Any] = {kind.__name__: kind for kind in _SERVED}
_decoding = threading.Lock()

_Answer = TypeVar("_Answer")
_connections: dict[tuple[str, str, str, str], tuple[float, "Kubernetes"]] = {}
_lock = threading.Lock()


def decodable(kind: Any) -> Any:
    """A kind of lightkube's whose answers several threads may decode.

    msgspec (0.22.0, StructInfo_Convert) prepares a type as it decodes the first answer of it: a thread that decodes
    another one meanwhile reads memory that is not written yet, and the process ends by a segmentation fault.
    """
    with _decoding:
        decode_list(b'{"items": []}', kind)
    return kind


def resource_of(kind: ServedKind) -> Any:
    """lightkube's class for a kind that discovery lists."""
    return decodable(create_namespaced_resource(kind.group, kind.version, kind.kind, kind.plural))


for _kind in (*_SERVED, Namespace, Pod):
    decodable(_kind)
decode_status(b"{}")  # of what is refused


def connect(accounts: Accounts, execution_role: str, account: str, region: str, cluster: str) -> "Kubernetes":
    """An EKS cluster's API, as the member role for ``execution_role``.

    It asks once what ``accounts`` ask once. Raises Terminal if the member role cannot be assumed.
    """
    name = (execution_role, account, region, cluster)
    with _lock:
        made, known = _connections.get(name, (0.0, None))
        if known is None or time.monotonic() - made > _RENEW_AFTER:
            known = Kubernetes(accounts.as_of_now(), account, region, cluster)  # which other invocations use, too
            _connections[name] = (time.monotonic(), known)
    if accounts.answers is None:
        return known
    place = ("kubernetes", *name)
    if accounts.answers.as_of:
        read_objects_ahead(accounts.answers, known, place)
    return cast(Kubernetes, Remembering(known, accounts.answers, place, _READS))


class Kubernetes:
    """What podshare asks of a cluster.

    Every method raises Retryable or Terminal where the API refuses, and Retryable for what is no answer of an API
    server: from something on the way, or not what was asked for. Where it then turns out that another cluster has the
    name by now, that one is asked.
    """

    _silent_until = 0.0  # a monotonic moment: one that did not answer in time is left alone until then

    def __init__(self, accounts: Accounts, account: str, region: str, cluster: str) -> None:
        self._accounts, self._account, self._region, self._cluster = accounts, account, region, cluster
        self._lock = threading.Lock()
        self._target = self._described()
        self._client = self._connected(self._target)

    def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        """An object as it is, or None if there is none. ``namespace`` is empty for what lies in none."""
        return self._get(_KINDS[kind], f"{kind} {namespace}/{name}", namespace, name)

    def apply(self, manifest: Mapping[str, Any]) -> None:
        """Apply an object (server-side apply). Raises Pending if its namespace does not exist yet, or any more."""
        ask_guard()
        namespace, name = manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"]
        try:
            self._ask(
                f"{manifest['kind']} {namespace}/{name}",
                lambda client: client.apply(from_dict(dict(manifest)), force=True),
            )
        except _Absent as absent:
            raise Pending(f"namespace {namespace} does not exist yet") from absent
        except _Terminating as terminating:
            live = self.namespace(namespace) or {}
            held = held_by(live) or "nothing by now"
            raise Pending(f"namespace {namespace} is being deleted. It is held by {held}") from terminating

    def delete(self, kind: str, namespace: str, name: str) -> None:
        """Delete an object; Kubernetes removes a service account's tokens with it."""
        ask_guard()
        with contextlib.suppress(_Absent):
            self._ask(
                f"{kind} {namespace}/{name}", lambda client: client.delete(_KINDS[kind], name, namespace=namespace)
            )

    def names(self, kind: str, namespace: str) -> list[str]:
        """The names of all objects of a kind in a namespace."""
        return self._ask(
            f"each {kind} of {namespace}",
            lambda client: [_name(manifest) for manifest in client.list(_KINDS[kind], namespace=namespace)],
        )

    def objects(self, kind: str, namespace: str = "") -> list[dict[str, Any]]:
        """All objects of a kind in a namespace, or of one that lies in none; none where there is no such namespace."""
        about = f"each {kind}{f' of {namespace}' if namespace else ''}"
        try:
            return self._list(about, _KINDS[kind], namespace or None)
        except _Absent:
            return []

    def namespace(self, name: str) -> dict[str, Any] | None:
        """A namespace as it is, or None if there is none."""
        return self._get(Namespace, f"namespace {name}", "", name)

    def namespaces(self) -> list[dict[str, Any]]:
        """All namespaces."""
        return self._list("each namespace", Namespace)

    def everywhere(self, kind: str) -> list[dict[str, Any]]:
        """All objects of a kind, in whichever namespace."""
        return self._list(f"each {kind}", _KINDS[kind], "*")

    def label_namespace(self, name: str, labels: Mapping[str, str | None]) -> None:
        """Set labels of a namespace, and remove those that are None. Raises Pending if it does not exist yet."""
        ask_guard()
        patch = {"metadata": {"labels": dict(labels)}}
        try:
            self._ask(
                f"namespace {name}",
                lambda client: client.patch(Namespace, name, patch, patch_type=PatchType.MERGE),
            )
        except _Absent as absent:
            raise Pending(f"namespace {name} does not exist yet") from absent

    def restrict_binding(
        self, namespace: str, metadata: Mapping[str, Any], subjects: Iterable[Mapping[str, Any]]
    ) -> None:
        """Leave a RoleBinding these subjects. Raises Retryable if it was changed since its ``metadata`` was read."""
        ask_guard()
        name = metadata["name"]
        patch = {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "subjects": [*subjects]}
        with contextlib.suppress(_Absent):
            self._ask(
                f"RoleBinding {namespace}/{name}",
                lambda client: client.patch(RoleBinding, name, patch, namespace=namespace, patch_type=PatchType.MERGE),
            )

    def running_pods(self, namespace: str) -> list[str]:
        """The names of the pods that have not ended."""
        return self._ask(
            f"pods of {namespace}",
            lambda client: [
                _name(pod)
                for pod in client.list(Pod, namespace=namespace)
                if not (pod.status and pod.status.phase in _OVER)
            ],
        )

    def served(self) -> list[ServedKind]:
        """Every kind that a namespace may hold an object of, as the API server discovers it, custom resources too.

        Kubernetes documentation, "The Kubernetes API" (Aggregated discovery).
        """

        def discover(client: lightkube.Client) -> list[ServedKind]:
            config = client.config
            with PlainClient(config, ConnectionParams(timeout=httpx2.Timeout(_SILENT_SECONDS))) as plain:
                answers = [plain.get(path, headers={"Accept": _DISCOVERY}) for path in ("/api", "/apis")]
            for answer in answers:
                answer.raise_for_status()
            return [kind for answer in answers for kind in served_kinds(answer.json())]

        return self._ask("the kinds that are served", discover)

    def names_of(self, kind: ServedKind, namespace: str) -> list[str]:
        """The names of all objects of a kind that discovery lists."""
        resource = resource_of(kind)
        return self._ask(
            f"each {kind.kind} of {namespace}",
            lambda client: [_name(manifest) for manifest in client.list(resource, namespace=namespace)],
        )

    def delete_all(self, kind: ServedKind, namespace: str) -> None:
        """Delete all objects of a kind in a namespace, with what they own."""
        ask_guard()
        resource = resource_of(kind)
        with contextlib.suppress(_Absent):
            self._ask(
                f"each {kind.kind} of {namespace}",
                lambda client: client.deletecollection(resource, namespace=namespace, cascade=CascadeType.BACKGROUND),
            )

    def _get(self, kind: Any, about: str, namespace: str, name: str) -> dict[str, Any] | None:
        def read(client: lightkube.Client) -> dict[str, Any]:
            manifest = client.get(kind, name, namespace=namespace)
            if _name(manifest) != name:
                raise ValueError(f"it is of {_name(manifest)}")
            return dict(manifest.to_dict())

        try:
            return self._ask(about, read)
        except _Absent:
            return None

    def _list(self, about: str, kind: Any, namespace: str | None = None) -> list[dict[str, Any]]:
        return self._ask(
            about, lambda client: [dict(manifest.to_dict()) for manifest in client.list(kind, namespace=namespace)]
        )

    def _ask(self, about: str, ask: Callable[[lightkube.Client], _Answer]) -> _Answer:
        """The answer; of the cluster that has the name by now, where another one was asked. Raises _Absent on a 404."""
        if time.monotonic() < self._silent_until:
            raise Retryable(f"{about} in cluster {self._cluster}: it did not answer within {_SILENT_SECONDS} s")
        client = self._client
        try:
            return ask(client)
        except Exception as error:  # whatever comes is no answer: proxies send anything
            status = _status(error)
            if status in (0, _UNAUTHORIZED) and self._is_replaced(client):
                return self._ask(about, ask)
            if isinstance(error, httpx2.TimeoutException):
                self._silent_until = time.monotonic() + _SILENT_SECONDS
            raise self._classified(error, status, about) from error

    def _is_replaced(self, client: lightkube.Client) -> bool:
        """Whether the cluster's name, or the member role's, leads elsewhere than ``client``; then so does the next."""
        with contextlib.suppress(Exception), self._lock:  # without an answer nothing is known of it
            if self._client is client and (target := self._described()) != self._target:
                self._client, self._target = self._connected(target), target
        return self._client is not client

    def _described(self) -> tuple[str, str, str]:
        """Endpoint and CA of the cluster, and the access key that the token is signed by."""
        eks = self._accounts.client("eks", self._account, self._region)
        cluster = eks.describe_cluster(name=self._cluster)["cluster"]
        key = self._accounts.credentials(self._account)["AccessKeyId"]
        return cluster["endpoint"], cluster["certificateAuthority"]["data"], key

    def _connected(self, target: tuple[str, str, str]) -> lightkube.Client:
        endpoint, authority, _ = target
        return lightkube.Client(
            config=SingleConfig(
                context_name=self._cluster,
                context=Context(cluster=self._cluster, user="podshare"),
                cluster=Cluster(server=endpoint, certificate_auth_data=authority),
                user=User(token=token(self._accounts.credentials(self._account), self._region, self._cluster)),
            ),
            field_manager="podshare",
            timeout=httpx2.Timeout(_SILENT_SECONDS),
        )

    def _classified(self, error: Exception, status: int, about: str) -> Exception:
        if status == _NOT_FOUND:
            return _Absent(about)
        if status == _FORBIDDEN and _TERMINATING in _causes(error):
            return _Terminating(about)
        said = error.status.message if isinstance(error, ApiError) and status else None
        text = f"{about} in cluster {self._cluster}: {said or repr(error)}"
        if status in (0, _CONFLICT, _TOO_MANY) or status >= _SERVER_FAULT:
            return Retryable(text)
        return Terminal(f"{text}. Apply accounts/cluster-rbac.yaml to the cluster and deploy accounts/cluster.yaml.")


class _Absent(Exception):  # noqa: N818  # it is an answer
    """The API server has no such object, or no such namespace."""


class _Terminating(Exception):  # noqa: N818  # it is no refusal of podshare
    """The API server creates nothing in a namespace that is being deleted."""


def held_by(namespace: Mapping[str, Any]) -> str:
    """What a namespace that is being deleted waits for, as it says itself; empty for any other.

    Kubernetes documentation, "Finalizers", and the conditions of the namespace's status.
    """
    if not namespace["metadata"].get("deletionTimestamp"):
        return ""
    named = [*(namespace["metadata"].get("finalizers") or ())]
    named += [
        finalizer for finalizer in (namespace.get("spec") or {}).get("finalizers") or () if finalizer != "kubernetes"
    ]
    conditions = (namespace.get("status") or {}).get("conditions") or ()
    messages = [str(condition.get("message", "")) for condition in conditions if condition.get("status") == "True"]
    return "; ".join([*(f"finalizer {name}" for name in named), *messages]) or "its controller, which has not begun"


def _causes(error: Exception) -> set[str]:
    details = error.status.details if isinstance(error, ApiError) else None
    return {cause.reason or "" for cause in (details.causes if details else None) or ()}


def _status(error: Exception) -> int:
    """The status that an API server answered; 0 for an error of the connection, and for any other answer.

    A proxy's 404 says nothing about an object: an API server's carries a Status of the same code (Kubernetes API
    conventions, "Response Status Kind").
    """
    if not isinstance(error, ApiError) or error.status.code != error.response.status_code:
        return 0
    return int(error.status.code)


def _name(manifest: Any) -> str:
    """The name of an object. Raises ValueError for what is none."""
    name = manifest.metadata.name if manifest.metadata else None
    if not name:
        raise ValueError("the answer is no object")
    return str(name)
