"""A cluster's API endpoint: HTTP in, objects out, with authentication and authorization in between.

It is a virtual host of the front door.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import SplitResult, parse_qs, parse_qsl, unquote, urlsplit, urlunsplit

import trustme
import yaml
from moto.eks.models import Cluster

from podshare_sandbox import clock, traffic
from podshare_sandbox.front_door import Request, Response
from podshare_sandbox.services import eks, sagemaker
from podshare_sandbox.services.eks import ClusterExtension
from podshare_sandbox.services.kubernetes import (
    admission_policies,
    custom_resources,
    discovery,
    errors,
    escalation,
    exec_streams,
    impersonation,
    lifecycle,
    logs,
    nodes,
    object_quotas,
    openapi,
    options,
    patches,
    pod_security,
    protobuf,
    reviews,
    selectors,
    watching,
)
from podshare_sandbox.services.kubernetes.admission_request import AdmissionRequest
from podshare_sandbox.services.kubernetes.api import Check, KubernetesApi
from podshare_sandbox.services.kubernetes.audit import Answered, AuditLog
from podshare_sandbox.services.kubernetes.authentication import ANONYMOUS_USER, KubernetesUser, authenticate
from podshare_sandbox.services.kubernetes.authorizer import Attributes, authorize
from podshare_sandbox.services.kubernetes.decoding import decode, decode_apply, decode_patch
from podshare_sandbox.services.kubernetes.errors import KubernetesError
from podshare_sandbox.services.kubernetes.patches import APPLY_PATCH
from podshare_sandbox.services.kubernetes.representations import Representation, negotiate
from podshare_sandbox.services.kubernetes.resources import DEFINITION, NAMESPACE, RBAC, Resource, find

Object = dict[str, Any]

_WHOLE = ("application/json", "application/yaml", protobuf.MEDIA_TYPE)  # the formats of whole objects
_OF_NAMESPACES = ("status", "finalize")  # subresources of a namespace, not resources in it
_CREATED, _METHOD_NOT_ALLOWED = 201, 405
_READY_PATHS = ("/healthz", "/livez", "/readyz")


@dataclass(frozen=True)
class _Target:
    """What a path names: a resource's collection or one object of it."""

    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    def attributes(self, verb: str) -> Attributes:
        """A request for one namespace counts as one in that namespace."""
        namespace = self.name if self.plural == NAMESPACE.plural and not self.group else self.namespace
        return Attributes(verb, self.group, self.plural, self.subresource, namespace, self.name)


@dataclass(frozen=True)
class _Call:
    """One authenticated request for objects."""

    user: KubernetesUser
    method: str
    target: _Target
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    representation: Representation
    url: SplitResult
    warnings: list[str] = field(default_factory=list)

    @property
    def manager(self) -> str:
        """The field manager: as named, else the first word of the user agent."""
        return self.query.get("fieldManager") or self.headers.get("User-Agent", "unknown").split("/")[0]

    @property
    def commands(self) -> list[str]:
        """The words of the command to run in a container: the parameter of a query that repeats."""
        return parse_qs(self.url.query, keep_blank_values=True).get("command", [])

    @property
    def path(self) -> str:
        """Path and query."""
        return urlunsplit(("", "", self.url.path, self.url.query, ""))

    @property
    def is_dry_run(self) -> bool:
        """Whether nothing may be stored."""
        return self.query.get("dryRun") == "All"

    def parsed(self) -> Any:
        """The body; JSON is YAML too."""
        if self.content_type == protobuf.MEDIA_TYPE:
            return protobuf.decode(self.body)
        try:
            return yaml.safe_load(self.body) if "yaml" in self.content_type else json.loads(self.body)
        except (ValueError, yaml.YAMLError) as error:
            raise errors.bad_request(f"the object provided is unrecognized: {error}") from None

    def parsed_body(self) -> Object:
        """The body as an object. Raises 415 for a format that objects are not written in."""
        if self.method != "PATCH" and self.content_type not in _WHOLE:
            raise errors.unsupported_media_type(_WHOLE)
        parsed = self.parsed()
        if not isinstance(parsed, dict):
            raise errors.bad_request("the object provided is unrecognized: it is not a mapping")
        return parsed

    @property
    def given_name(self) -> str:
        """The name that the body of a creation gives; the API server makes one where it gives none."""
        return str((self.parsed_body().get("metadata") or {}).get("name") or "") if self.method == "POST" else ""

    @property
    def content_type(self) -> str:
        """The media type of the body, without parameters."""
        return self.headers.get("Content-Type", "application/json").split(";")[0].strip()


class KubernetesEndpoint:
    """The virtual host of one cluster."""

    def __init__(self, cluster: Cluster, api: KubernetesApi) -> None:
        self._cluster = cluster
        self._api = api
        self._audit_log = AuditLog(cluster)

    @property
    def certificate_authority(self) -> trustme.CA:
        """The cluster's own CA, whose certificate DescribeCluster shows."""
        return ClusterExtension.of(self._cluster).certificate_authority

    def serves(self, host: str) -> bool:
        """Whether ``host`` is the endpoint, and the cluster still exists."""
        endpoint = ClusterExtension.of(self._cluster).host.lower()
        return host.lower() == endpoint and any(cluster is self._cluster for cluster in eks.clusters())

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        warnings: list[str] = []
        try:
            response = self._answer(request, warnings)
        except KubernetesError as error:
            told = error.status if request.method != "HEAD" else ""
            response = Representation().response(error.code, told)
        if warnings:
            response.headers["Warning"] = ", ".join(f"299 - {json.dumps(one)}" for one in warnings)
        return response

    def _answer(self, request: Request, warnings: list[str]) -> Response:
        parts = urlsplit(request.url)
        sagemaker.settle_quotas(self._cluster.arn)
        path = parts.path.rstrip("/") or "/"
        if path in _READY_PATHS and "Authorization" not in request.headers:
            user = ANONYMOUS_USER
        else:
            user = authenticate(self._cluster, request.headers.get("Authorization", ""), self._aws_auth)
        person = user
        user = impersonation.impersonated(user, request.headers, self._require)
        target = _target(path)
        traffic.named(f"kubernetes:{request.method} {target.plural if target else path}", user.username)
        if target is None:
            return self._non_resource(user, request, path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        representation = negotiate(request.headers.get("Accept", ""), query.get("includeObject", ""))
        call = _Call(
            user, request.method, target, query, request.headers, request.body, representation, parts, warnings
        )
        received = clock.now()
        try:
            response = self._objects(call)
        except KubernetesError as error:
            self._audit(call, person, error.code, received)
            raise
        self._audit(call, person, response.status, received)
        return response

    def _audit(self, call: _Call, person: KubernetesUser, code: int, received: datetime) -> None:
        """Note an answer in the audit log, if it is on; ``person`` is who may have been somebody else."""
        if code == _METHOD_NOT_ALLOWED or not self._audit_log.is_on or _verb(call) == "watch":
            return
        attributes = call.target.attributes(_verb(call))
        name = call.given_name if code == _CREATED and not attributes.name else attributes.name
        acted_as = None if call.user is person else call.user
        attributes = replace(attributes, name=name)
        self._audit_log.write(Answered(person, acted_as, attributes, call.target.version, call.path, code, received))

    def _objects(self, call: _Call) -> Response:
        target = call.target
        if (target.group, target.plural) in reviews.REVIEWS and target.version == "v1":
            return call.representation.response(*self._review(call))
        return self._resource(call)

    def _aws_auth(self) -> Mapping[str, str]:
        """The ConfigMap that lets principals in beside access entries; none where there is no such."""
        found = self._api.get("ConfigMap", "kube-system", "aws-auth") or {}
        return found.get("data") or {}

    def _require(self, user: KubernetesUser, attributes: Attributes) -> None:
        """Raise 403 unless ``user`` may."""
        if authorize(self._api, user, attributes).allowed:
            return
        if attributes.path:
            why = f'forbidden: User "{user.username}" cannot {attributes.verb} path "{attributes.path}"'
            raise KubernetesError(403, "Forbidden", why)
        resource = Resource(attributes.group, "", attributes.resource, "")
        where = f'in the namespace "{attributes.namespace}"' if attributes.namespace else "at the cluster scope"
        why = (
            f'User "{user.username}" cannot {attributes.verb} resource "{attributes.qualified_resource}" '
            f'in API group "{attributes.group}" {where}'
        )
        raise errors.forbidden(resource, attributes.name, why)

    def _non_resource(self, user: KubernetesUser, request: Request, path: str) -> Response:
        self._require(user, Attributes(request.method.lower(), path=path))
        if request.method != "GET":
            raise errors.method_not_allowed()
        if path in _READY_PATHS:
            return Representation().response(200, "ok")
        accept = request.headers.get("Accept", "")
        documents = openapi if path.startswith("/openapi/") else discovery
        found = documents.response(path, self._cluster.version, accept)
        return found or Representation().response(404, "404 page not found")

    def _review(self, call: _Call) -> tuple[int, Object]:
        target = call.target
        self._require(call.user, target.attributes("create"))
        if call.method != "POST":
            raise errors.method_not_allowed()
        kind = reviews.REVIEWS[target.group, target.plural]
        return 201, reviews.review(self._api, call.user, kind, call.parsed_body(), target.namespace)

    # --- objects ---

    def _resource(self, call: _Call) -> Response:
        target = call.target
        verb = _verb(call)
        attributes = target.attributes(verb)
        if not target.name:  # what is selected by its name counts as named (RequestInfo of the apiserver)
            attributes = replace(attributes, name=selectors.selected_name(call.query.get("fieldSelector", "")))
        self._require(call.user, attributes)
        resource = find(target.group, target.version, target.plural)
        if resource is None or (target.namespace and not resource.namespaced):
            raise errors.unknown_path()
        if resource.namespaced and not target.namespace and target.name:
            raise errors.unknown_path()
        if target.subresource:
            return self._subresource(call, resource, verb)
        if verb not in resource.verbs:
            raise errors.method_not_allowed()
        if resource.namespaced and not target.namespace and verb not in ("list", "watch"):
            raise errors.method_not_allowed()
        options.validate(verb, call.query, is_apply=call.content_type == APPLY_PATCH)
        if resource == DEFINITION and not self._api.objects(DEFINITION.kind):  # large, and seldom asked for
            for manifest in custom_resources.manifests():
                self._api.apply(manifest)
        if verb == "watch":
            return self._watch(call, resource)
        serve = {
            "get": self._get,
            "list": self._list,
            "create": self._create,
            "update": self._update,
            "patch": self._patch,
            "delete": self._delete,
            "deletecollection": self._delete_collection,
        }[verb]
        with self._api.lock:
            if resource.kind == "Node":
                nodes.settle(self._api, self._cluster.arn)
            status, body = serve(call, resource)
        return call.representation.response(status, call.representation.of(resource, body))

    def _watch(self, call: _Call, resource: Resource) -> Response:
        watch = watching.Watch(self._api, resource, call.target.namespace, _matcher(call, resource), call.query)
        return call.representation.stream(watching.pieces(watch.events(), call.representation.watched(resource)))

    def _subresource(self, call: _Call, resource: Resource, verb: str) -> Response:
        serve = _OF_PODS.get((call.target.subresource, verb)) if resource.kind == "Pod" else None
        if serve:
            return serve(self, call, self._api.read(resource, call.target.namespace, call.target.name))
        if (verb, call.target.subresource) == ("get", "status") and resource.has_status:
            return call.representation.response(*self._get(call, resource))
        raise errors.unknown_path()

    def _get(self, call: _Call, resource: Resource) -> tuple[int, Object]:
        return 200, self._api.read(resource, call.target.namespace, call.target.name)

    def _log(self, call: _Call, pod: Object) -> Response:
        """What a container has printed, and with ``follow`` what it will."""
        found = logs.read(self._api, pod, _container_of(call, pod), call.query)
        if isinstance(found, str):
            return call.representation.response(200, found)
        return Response(200, {"Content-Type": "text/plain"}, pieces=found)

    def _exec(self, call: _Call, pod: Object) -> Response:
        """Run a command in a container. From 1.35 on a WebSocket needs the right to create too (KEP-4006)."""
        if call.method == "GET" and _release(self._cluster.version) >= (1, 35):
            self._require(call.user, call.target.attributes("create"))
        container = _container_of(call, pod)
        if not call.commands:
            raise errors.bad_request("you must specify at least one command for the container")
        phase = (pod.get("status") or {}).get("phase")
        if phase != "Running":
            why = f"cannot exec into a container in a completed pod; current phase is {phase}"
            raise errors.bad_request(why)
        execute = self._api.execute
        if execute is None:
            raise errors.internal("no container runtime is running on the node")
        return Response(
            101,
            conversation=exec_streams.conversation(
                call.headers, call.path, lambda streams: execute(pod, container, call.commands, streams)
            ),
        )

    def _refuse_stream(self, call: _Call, _: Object) -> Response:
        raise errors.KubernetesError(501, "NotImplemented", f"{call.target.subresource} is not emulated in the sandbox")

    def _list(self, call: _Call, resource: Resource) -> tuple[int, Object]:
        found = self._selected(call, resource)
        after = _continue_after(call.query.get("continue", ""))
        rest = [each for each in found if _key(each) > after]
        limit = options.limit(call.query) or len(rest)
        metadata: Object = {"resourceVersion": self._api.revision}
        if len(rest) > limit:
            metadata["continue"] = _continue_token(rest[limit - 1])
            if not {"labelSelector", "fieldSelector"} & call.query.keys():
                metadata["remainingItemCount"] = len(rest) - limit
        kind = f"{resource.kind}List"
        return 200, {"kind": kind, "apiVersion": resource.api_version, "metadata": metadata, "items": rest[:limit]}

    def _selected(self, call: _Call, resource: Resource) -> list[Object]:
        return list(filter(_matcher(call, resource), self._api.list(resource, call.target.namespace)))

    def _create(self, call: _Call, resource: Resource) -> tuple[int, Object]:
        body = self._whole_body(call, resource)
        body.pop("status", None)
        check = self._check(call, resource)
        created = self._api.create(
            resource, call.target.namespace, body, call.manager, check=check, dry_run=call.is_dry_run
        )
        return 201, created

    def _update(self, call: _Call, resource: Resource) -> tuple[int, Object]:
        body = self._whole_body(call, resource)
        live = self._api.read(resource, call.target.namespace, call.target.name)
        body.pop("status", None)
        if "status" in live:
            body["status"] = live["status"]
        check = self._check(call, resource)
        return 200, self._api.replace(
            resource, call.target.namespace, body, call.manager, check=check, dry_run=call.is_dry_run
        )

    def _patch(self, call: _Call, resource: Resource) -> tuple[int, Object]:
        if call.content_type == APPLY_PATCH:
            return self._apply(call, resource)
        change = patches.read(resource, self._cluster.version, call.content_type, call.parsed())
        validation = call.query.get("fieldValidation", "")

        def patch(live: Object) -> Object:
            patched = change(live)
            call.warnings.extend(decode_patch(resource, patched, validation))
            if resource.has_status:
                patched.pop("status", None)
                patched |= {name: live[name] for name in ("status",) if name in live}
            return patched

        target, check = call.target, self._check(call, resource)
        return 200, self._api.patch(
            resource, target.namespace, target.name, patch, call.manager, check=check, dry_run=call.is_dry_run
        )

    def _apply(self, call: _Call, resource: Resource) -> tuple[int, Object]:
        body = self._body_for(call, resource)
        if body["metadata"].get("managedFields"):
            raise errors.bad_request("metadata.managedFields must be nil")
        decode_apply(resource, body)
        body.pop("status", None)
        target = call.target
        exists = self._api.get(resource.kind, target.namespace, target.name) is not None
        if not exists:
            self._require(call.user, target.attributes("create"))
        applied = self._api.server_side_apply(
            resource,
            target.namespace,
            target.name,
            body,
            call.manager,
            force=options.is_set(call.query, "force"),
            check=self._check(call, resource),
            dry_run=call.is_dry_run,
        )
        return (200 if exists else 201), applied

    def _delete(self, call: _Call, resource: Resource) -> tuple[int, Object]:
        given = options.deletion(call.query, call.parsed_body() if call.body else {})
        target = call.target
        deleted = self._remove(call, resource, self._api.read(resource, target.namespace, target.name), given)
        is_held = lifecycle.is_held(resource, deleted)
        if is_held or resource.returns_deleted:
            waits = given.get("propagationPolicy") == "Foreground" or given.get("orphanDependents") is False
            return (202 if is_held and waits else 200), deleted
        details = {"name": target.name, "kind": resource.plural, "uid": deleted["metadata"]["uid"]}
        if resource.group:
            details["group"] = resource.group
        return 200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}

    def _delete_collection(self, call: _Call, resource: Resource) -> tuple[int, Object]:
        given = options.deletion(call.query, call.parsed_body() if call.body else {})
        selected = self._selected(call, resource)
        for each in selected:
            if self._api.get(resource.kind, call.target.namespace, each["metadata"]["name"]):
                self._remove(call, resource, each, given)
        kind, metadata = f"{resource.kind}List", {"resourceVersion": self._api.revision}
        return 200, {"kind": kind, "apiVersion": resource.api_version, "metadata": metadata, "items": selected}

    def _remove(self, call: _Call, resource: Resource, live: Object, given: Object) -> Object:
        self._admit(call, resource, live, None)
        return self._api.remove(
            resource,
            call.target.namespace,
            live["metadata"]["name"],
            given.get("preconditions"),
            propagation=options.propagation(given),
            dry_run=bool(given.get("dryRun")),
        )

    def _check(self, call: _Call, resource: Resource) -> Check:
        """What needs the final state of a write: RBAC objects must not give more than their writer has; admission."""

        def check(candidate: Object) -> None:
            name = candidate["metadata"]["name"]
            before = self._api.get(resource.kind, call.target.namespace, name)
            if resource.group == RBAC:
                url_name = call.target.name
                escalation.check(self._api, call.user, resource, candidate, before=before, url_name=url_name)
            self._admit(call, resource, before, candidate)

        return check

    def _admit(self, call: _Call, resource: Resource, before: Object | None, after: Object | None) -> None:
        """Ask the admission policies, and keep what they and Pod Security warn of."""
        operation = "DELETE" if after is None else "UPDATE" if before else "CREATE"
        name = call.target.name or call.given_name
        namespace = call.target.namespace
        request = AdmissionRequest(call.user, operation, resource, namespace, name, after, before)
        call.warnings.extend(admission_policies.admit(self._api, request))
        object_quotas.admit(self._api.view, request)
        if resource.kind == "Pod" and operation == "CREATE" and after:
            labels = (self._api.get("Namespace", None, namespace) or {"metadata": {}})["metadata"].get("labels") or {}
            if would := pod_security.refusal(labels, "warn", after):
                call.warnings.append(would.replace("violates", "would violate", 1))

    def _whole_body(self, call: _Call, resource: Resource) -> Object:
        """The object in the body, without fields that its kind does not declare."""
        body = self._body_for(call, resource)
        call.warnings.extend(decode(resource, body, call.query.get("fieldValidation", "")))
        return body

    def _body_for(self, call: _Call, resource: Resource) -> Object:
        """The object in the body; it must be what the URL says."""
        body = call.parsed_body()
        if (body.get("apiVersion"), body.get("kind")) != (resource.api_version, resource.kind):
            raise errors.bad_request(
                f"{resource.kind} in version {resource.version!r} cannot be handled as the object provided: "
                f"got {body.get('kind')} in {body.get('apiVersion')}"
            )
        metadata = body.setdefault("metadata", {})
        if not isinstance(metadata, dict):
            raise errors.bad_request("metadata must be a mapping")
        namespace, name = call.target.namespace, call.target.name
        if metadata.get("namespace", namespace) != namespace:
            message = "the namespace of the provided object does not match the namespace sent on the request"
            raise errors.bad_request(message)
        if name and metadata.setdefault("name", name) != name:
            message = f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
            raise errors.bad_request(message)
        return body


_OF_PODS = {
    ("log", "get"): KubernetesEndpoint._log,
    ("exec", "get"): KubernetesEndpoint._exec,
    ("exec", "create"): KubernetesEndpoint._exec,
    **{
        (name, verb): KubernetesEndpoint._refuse_stream
        for name in ("attach", "portforward")
        for verb in ("get", "create")
    },
}


def _release(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _container_of(call: _Call, pod: Object) -> str:
    """The container that a request names; of several one must be named, unless the pod says which is meant."""
    names = [container["name"] for container in pod["spec"]["containers"]]
    preferred = (pod["metadata"].get("annotations") or {}).get("kubectl.kubernetes.io/default-container")
    name = call.query.get("container") or (names[0] if len(names) == 1 else preferred)
    if not name:
        why = f"a container name must be specified for pod {call.target.name}, choose one of: [{' '.join(names)}]"
        raise errors.bad_request(why)
    if name not in names:
        raise errors.bad_request(f"container {name} is not valid for pod {call.target.name}")
    return str(name)


def _target(path: str) -> _Target | None:
    """What a path names, None if that is no resource."""
    segments = [unquote(segment) for segment in path.strip("/").split("/")]
    if segments[0] == "api" and len(segments) > 2:
        target, rest = _Target("", segments[1], ""), segments[2:]
    elif segments[0] == "apis" and len(segments) > 3:
        target, rest = _Target(segments[1], segments[2], ""), segments[3:]
    else:
        return None
    if rest[0] == NAMESPACE.plural and len(rest) > 2 and rest[2] not in _OF_NAMESPACES:
        target, rest = replace(target, namespace=rest[1]), rest[2:]
    plural, name, *subresource = (*rest, "") if len(rest) == 1 else rest
    return replace(target, plural=plural, name=name, subresource="/".join(subresource))


def _verb(call: _Call) -> str:
    name = call.target.name
    verbs = {
        "GET": "get" if name else "list",
        "POST": "create",
        "PUT": "update",
        "PATCH": "patch",
        "DELETE": "delete" if name else "deletecollection",
    }
    if call.method == "GET" and not name and options.is_set(call.query, "watch"):
        return "watch"
    names_object = bool(name) and not call.target.subresource
    if call.method not in verbs or (call.method in ("PUT", "PATCH") and not name):
        raise errors.method_not_allowed()
    if call.method == "POST" and names_object:
        raise errors.method_not_allowed()
    return verbs[call.method]


def _matcher(call: _Call, resource: Resource) -> selectors.Matcher:
    """Whether an object fits the selectors of a request."""
    by_label = selectors.label_matcher(call.query.get("labelSelector", ""))
    by_field = selectors.field_matcher(call.query.get("fieldSelector", ""), resource)
    return lambda each: by_label(each) and by_field(each)


def _key(each: Object) -> tuple[str, str]:
    return each["metadata"].get("namespace", ""), each["metadata"]["name"]


def _continue_token(last: Object) -> str:
    return base64.urlsafe_b64encode(json.dumps(_key(last)).encode()).decode().rstrip("=")


def _continue_after(token: str) -> tuple[str, str]:
    """The key behind which a page starts. Raises 400 for a token that no page handed out."""
    if not token:
        return "", ""
    try:
        namespace, name = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (ValueError, TypeError, binascii.Error):
        raise errors.bad_request("continue key is not valid") from None
    return str(namespace), str(name)
