"""The objects of one cluster, as its API server keeps them.

Methods that take a :class:`Resource` raise :class:`KubernetesError`. A pod is Running from its creation until it is
deleted, or until somebody writes another status.
"""

import random
import string
import threading
import uuid
from collections.abc import Callable
from typing import Any

from podshare_sandbox import clock
from podshare_sandbox.json_copy import json_copy
from podshare_sandbox.services.kubernetes import (
    admission,
    aggregation,
    batch,
    default_roles,
    errors,
    field_management,
    lifecycle,
    object_quotas,
    pod_security,
    volumes,
)
from podshare_sandbox.services.kubernetes.exec_streams import Streams
from podshare_sandbox.services.kubernetes.journal import Journal
from podshare_sandbox.services.kubernetes.lifecycle import Propagation
from podshare_sandbox.services.kubernetes.patches import Patch, merging
from podshare_sandbox.services.kubernetes.resources import BY_KIND, NAMESPACE, Resource
from podshare_sandbox.services.kubernetes.store import Store

Object = dict[str, Any]
Check = Callable[[Object], None]
Execute = Callable[[Object, str, list[str], Streams], int]  # pod, container, command and its streams: the exit code

SYSTEM_MANAGER = "sandbox"
_SERVICE_ACCOUNT = BY_KIND["ServiceAccount"]
_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
_SYSTEM_METADATA = ("generation", "deletionTimestamp", "deletionGracePeriodSeconds")
_PRECONDITIONS = ("uid", "resourceVersion")  # what an apply may say of the object that it means


def _accept(_: Object) -> None:
    """No further check."""


class KubernetesApi:
    """The API of one cluster. ``apply``, ``get``, ``delete``, ``objects`` and ``run_pod`` act as the system itself."""

    def __init__(self) -> None:
        self._store = Store()
        self.logs: dict[tuple[str, str, str], str] = {}  # of containers, by namespace, pod and container
        self.execute: Execute | None = None  # what runs commands in containers, once there is a runtime
        self.mutating_webhooks: list[Callable[[Resource, Object], None]] = []  # they change what is about to be made
        # they may refuse a change, from the state before it
        self.validating_webhooks: list[Callable[[Resource, Object, Object], None]] = []
        self.lock = threading.RLock()
        for name in _NAMESPACES:
            self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        for manifest in default_roles.manifests():
            self.apply(manifest)

    @property
    def revision(self) -> str:
        """The ``resourceVersion`` of the whole store."""
        return str(self.journal.revision)

    @property
    def journal(self) -> Journal:
        """The changes of all objects, for watches and controllers."""
        return self._store.journal

    # --- as the system ---

    def apply(self, manifest: Object) -> Object:
        """Create the object or make its fields those of ``manifest``, status included, whoever owned them.

        Raises KubernetesError for a kind that is not served.
        """
        resource = _resource_of(manifest)
        metadata = {name: value for name, value in manifest["metadata"].items() if name not in _PRECONDITIONS}
        manifest = {**manifest, "metadata": metadata}
        return self.server_side_apply(
            resource, metadata.get("namespace", ""), metadata["name"], manifest, SYSTEM_MANAGER, force=True
        )

    def get(self, kind: str, namespace: str | None, name: str) -> Object | None:
        """A copy of the object, None if there is none. ``namespace`` is None for cluster-scoped kinds."""
        with self.lock:
            return json_copy(self._store.find(BY_KIND[kind], namespace or "", name))

    def view(self, kind: str, namespace: str | None = None) -> list[Object]:
        """All objects of a kind as they are kept, in one namespace or in all: to be read, never to be changed."""
        with self.lock:
            return self._store.of(BY_KIND[kind], namespace or "")

    def find(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """The object as it is kept, None if there is none: to be read, never to be changed."""
        return self._store.find(resource, namespace, name)

    def delete(self, kind: str, namespace: str | None, name: str) -> bool:
        """Delete the object and its dependents, as ``kubectl delete`` does; whether there was one."""
        try:
            self.remove(BY_KIND[kind], namespace or "", name, propagation="Background")
        except errors.KubernetesError as error:
            if error.reason == "NotFound":
                return False
            raise
        return True

    def objects(self, kind: str, namespace: str | None = None) -> list[Object]:
        """Copies of all objects of a kind, in one namespace or in all, by namespace and name."""
        return self.list(BY_KIND[kind], namespace or "")

    def run_pod(self, namespace: str, name: str, service_account: str = "default") -> Object:
        """Start a pod. Raises KubernetesError if the service account or the namespace does not exist."""
        container = {"name": "main", "image": "public.ecr.aws/docker/library/busybox:stable"}
        spec = {"serviceAccountName": service_account, "containers": [container]}
        metadata = {"name": name, "namespace": namespace}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        return self.create(BY_KIND["Pod"], namespace, pod, SYSTEM_MANAGER)

    # --- as the API server ---

    def read(self, resource: Resource, namespace: str, name: str) -> Object:
        """A copy of the object. Raises 404."""
        with self.lock:
            return json_copy(self._live(resource, namespace, name))

    def list(self, resource: Resource, namespace: str) -> list[Object]:
        """Copies of the resource's objects by namespace and name; an empty ``namespace`` means all of them."""
        with self.lock:
            return [json_copy(each) for each in self._store.of(resource, namespace)]

    def create(
        self,
        resource: Resource,
        namespace: str,
        candidate: Object,
        manager: str,
        *,
        check: Check = _accept,
        dry_run: bool = False,
    ) -> Object:
        """Store a new object; ``check`` may refuse it in its final form."""
        with self.lock:
            created = json_copy(candidate)
            metadata = created.setdefault("metadata", {})
            for name in ("managedFields", "deletionTimestamp", "deletionGracePeriodSeconds"):
                metadata.pop(name, None)
            if metadata.get("resourceVersion"):
                raise errors.internal("resourceVersion should not be set on objects to be created")
            metadata["name"] = metadata.get("name") or _generated_name(resource, metadata)
            if self._store.find(resource, namespace, metadata["name"]):
                raise errors.already_exists(resource, metadata["name"])
            self._admit_new(resource, namespace, created)
            field_management.record_update(None, created, manager)
            check(created)
            return self._keep(resource, created, dry_run=dry_run)

    def replace(
        self,
        resource: Resource,
        namespace: str,
        candidate: Object,
        manager: str,
        *,
        check: Check = _accept,
        dry_run: bool = False,
    ) -> Object:
        """Replace the object; a ``resourceVersion`` in the candidate must be the stored one."""
        with self.lock:
            name, uid = candidate["metadata"]["name"], candidate["metadata"].get("uid")
            live = self._live(resource, namespace, name)
            if uid and uid != live["metadata"]["uid"]:
                found = live["metadata"]["uid"]
                why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {found}"
                raise errors.conflict(resource, name, why)
            return self._update(resource, live, candidate, manager, check, dry_run=dry_run)

    def _update(
        self,
        resource: Resource,
        live: Object,
        candidate: Object,
        manager: str,
        check: Check,
        *,
        dry_run: bool,
    ) -> Object:
        after = json_copy(candidate)
        after["metadata"]["managedFields"] = live["metadata"].get("managedFields", [])
        _keep_system_fields(resource, live, after)
        field_management.record_update(live, after, manager)
        return self._change(resource, live, after, check, dry_run=dry_run)

    def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        patch: Patch,
        manager: str,
        *,
        check: Check = _accept,
        dry_run: bool = False,
    ) -> Object:
        """Replace the object by what ``patch`` makes of it, which may refuse it."""
        with self.lock:
            live = self._live(resource, namespace, name)
            patched = patch(json_copy(live))
            _require_same(resource, live, patched)
            return self._update(resource, live, patched, manager, check, dry_run=dry_run)

    def merge_patch(self, resource: Resource, namespace: str, name: str, body: Object, manager: str) -> Object:
        """As :meth:`patch`, of a JSON merge patch."""
        return self.patch(resource, namespace, name, merging(body), manager)

    def server_side_apply(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        manifest: Object,
        manager: str,
        *,
        force: bool = False,
        check: Check = _accept,
        dry_run: bool = False,
    ) -> Object:
        """Make the fields of ``manifest`` the manager's own, and drop those that it no longer names."""
        with self.lock:
            live = self._store.find(resource, namespace, name)
            result = field_management.applied(live, manifest, manager, force=force)
            if live is not None:
                given = {key: manifest["metadata"][key] for key in _PRECONDITIONS if manifest["metadata"].get(key)}
                result["metadata"] |= given
                _keep_system_fields(resource, live, result)
                return self._change(resource, live, result, check, dry_run=dry_run)
            if uid := manifest["metadata"].get("uid"):
                why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                raise errors.conflict(resource, name, why)
            result["metadata"]["name"] = name
            self._admit_new(resource, namespace, result)
            check(result)
            return self._keep(resource, result, dry_run=dry_run)

    def remove(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        preconditions: Object | None = None,
        *,
        propagation: Propagation | None = None,
        dry_run: bool = False,
    ) -> Object:
        """Delete the object, or mark it as deleted if something holds it. The last state is returned."""
        with self.lock:
            live = self._live(resource, namespace, name)
            for field, wanted in (preconditions or {}).items():
                if live["metadata"].get(field) != wanted:
                    found = live["metadata"].get(field)
                    why = f"Precondition failed: {field} in precondition: {wanted}, {field} in object meta: {found}"
                    raise errors.conflict(resource, name, why)
            if resource == NAMESPACE and name in _NAMESPACES[:1] + _NAMESPACES[2:]:
                raise errors.forbidden(resource, name, "this namespace may not be deleted")
            if not dry_run:
                lifecycle.delete(self._store, resource, live, propagation)
                deleted = json_copy(live)
                self._settle()
                return deleted
            return json_copy(live)

    def _settle(self) -> None:
        """Do what the controllers of what was touched do."""
        lifecycle.settle(self._store)
        touched = self._store.take_touched()
        if aggregation.CLUSTER_ROLE in touched:
            aggregation.settle(self._store)
        object_quotas.settle(self._store)
        if {NAMESPACE, _SERVICE_ACCOUNT} & touched:
            self._create_default_service_accounts()

    def _create_default_service_accounts(self) -> None:
        for namespace in self._store.of(NAMESPACE):
            name = namespace["metadata"]["name"]
            if not (lifecycle.is_terminating(namespace) or self._store.find(_SERVICE_ACCOUNT, name, "default")):
                metadata = {"name": "default", "namespace": name}
                self.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})

    def _live(self, resource: Resource, namespace: str, name: str) -> Object:
        live = self._store.find(resource, namespace, name)
        if live is None:
            raise errors.not_found(resource, name)
        return live

    def _admit_new(self, resource: Resource, namespace: str, created: Object) -> None:
        metadata = created["metadata"]
        if resource.namespaced:
            if lifecycle.is_terminating(self._live(NAMESPACE, "", namespace)):
                raise errors.namespace_terminating(resource, metadata["name"], namespace)
            metadata["namespace"] = namespace
        created["apiVersion"], created["kind"] = resource.api_version, resource.kind
        batch.fill_in(resource, created)
        for webhook in self.mutating_webhooks:
            webhook(resource, created)
        admission.validate(resource, created, None)
        admission.fill_in(resource, created)
        if resource in volumes.PROTECTION:
            volumes.protect(resource, created)
        if resource.kind == "Pod":
            self._require_service_account(resource, namespace, created)
            labels = self._live(NAMESPACE, "", namespace)["metadata"].get("labels") or {}
            if why := pod_security.refusal(labels, "enforce", created):
                raise errors.forbidden(resource, metadata["name"], why)
        metadata["uid"] = str(uuid.uuid4())
        if resource == batch.JOB:
            batch.select_pods(created)
        metadata["creationTimestamp"] = clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        if "spec" in created:
            metadata["generation"] = 1

    def _require_service_account(self, resource: Resource, namespace: str, pod: Object) -> None:
        account = pod["spec"]["serviceAccountName"]
        if self._store.find(_SERVICE_ACCOUNT, namespace, account) is None:
            why = f'error looking up service account {namespace}/{account}: serviceaccount "{account}" not found'
            raise errors.forbidden(resource, pod["metadata"]["name"], why)

    def _change(self, resource: Resource, live: Object, after: Object, check: Check, *, dry_run: bool) -> Object:
        """Store a new state; one that equals the old is not written, and keeps its resourceVersion."""
        name = live["metadata"]["name"]
        version = after["metadata"].get("resourceVersion")
        if version and not version.isdecimal():
            raise errors.internal(f'strconv.ParseUint: parsing "{version}": invalid syntax')
        if version and version != live["metadata"]["resourceVersion"]:
            why = "the object has been modified; please apply your changes to the latest version and try again"
            raise errors.conflict(resource, name, why)
        admission.validate(resource, after, live)
        for webhook in self.validating_webhooks:
            webhook(resource, after, live)
        check(after)
        if after.get("spec") != live.get("spec"):
            after["metadata"]["generation"] = live["metadata"].get("generation", 0) + 1
        after["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"]
        if after == live:
            return json_copy(live)
        return self._keep(resource, after, dry_run=dry_run)

    def _keep(self, resource: Resource, state: Object, *, dry_run: bool) -> Object:
        if resource in (volumes.VOLUME, volumes.CLAIM):
            volumes.fill_in(resource, state)
        if not dry_run:
            lifecycle.keep(self._store, resource, state)
            kept = json_copy(state)
            self._settle()
            return kept
        return json_copy(state)


def _resource_of(manifest: Object) -> Resource:
    resource = BY_KIND.get(manifest["kind"])
    if resource is None or resource.api_version != manifest["apiVersion"]:
        message = f'no matches for kind "{manifest["kind"]}" in version "{manifest["apiVersion"]}"'
        raise errors.bad_request(message)
    return resource


def _generated_name(resource: Resource, metadata: Object) -> str:
    prefix = metadata.get("generateName")
    if not prefix:
        raise errors.invalid(resource, "", "metadata.name", "Required value: name or generateName is required")
    return str(prefix) + "".join(random.choices(string.ascii_lowercase + string.digits, k=5))  # noqa: S311  # no secret


def _keep_system_fields(resource: Resource, live: Object, after: Object) -> None:
    """Set what nobody changes by writing it; what identifies the object is taken over where it is not given."""
    after["apiVersion"], after["kind"] = resource.api_version, resource.kind
    if resource == NAMESPACE:  # its finalizers are changed by deletion alone
        after["spec"] = json_copy(live["spec"])
    metadata, before = after["metadata"], live["metadata"]
    for name in _SYSTEM_METADATA:
        metadata.pop(name, None)
        if name in before:
            metadata[name] = before[name]
    for name in ("name", "namespace", "uid", "creationTimestamp"):
        if name in before:
            metadata[name] = metadata.get(name) or before[name]


def _require_same(resource: Resource, live: Object, patched: Object) -> None:
    """Raise where a patch makes an object one of another namespace (400), name or kind (422)."""
    before, after = live["metadata"], patched["metadata"]
    if after.get("namespace") != before.get("namespace"):
        message = "the namespace of the provided object does not match the namespace sent on the request"
        raise errors.bad_request(message)
    for name in ("apiVersion", "kind"):
        if patched.get(name) != live[name]:
            problem = f'Invalid value: "{patched.get(name)}": the patched object is a {resource.kind}'
            raise errors.invalid(resource, before["name"], "patch", problem)
