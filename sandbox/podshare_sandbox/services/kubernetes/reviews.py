"""Access reviews: objects that are never stored, whose answer is in their status."""

from collections.abc import Iterator
from typing import Any

from podshare_sandbox.services.kubernetes import errors
from podshare_sandbox.services.kubernetes.api import KubernetesApi
from podshare_sandbox.services.kubernetes.authentication import KubernetesUser
from podshare_sandbox.services.kubernetes.authorizer import Attributes, authorize, rule_object, rules_for
from podshare_sandbox.services.kubernetes.field_problems import Problem, invalid
from podshare_sandbox.services.kubernetes.resources import Resource

Object = dict[str, Any]

AUTHORIZATION = "authorization.k8s.io"
AUTHENTICATION = "authentication.k8s.io"
REVIEWS = {
    (AUTHORIZATION, "selfsubjectaccessreviews"): "SelfSubjectAccessReview",
    (AUTHORIZATION, "selfsubjectrulesreviews"): "SelfSubjectRulesReview",
    (AUTHORIZATION, "subjectaccessreviews"): "SubjectAccessReview",
    (AUTHORIZATION, "localsubjectaccessreviews"): "LocalSubjectAccessReview",
    (AUTHENTICATION, "selfsubjectreviews"): "SelfSubjectReview",
}


def review(api: KubernetesApi, user: KubernetesUser, kind: str, body: Object, namespace: str) -> Object:
    """The review with its status. A SubjectAccessReview knows RBAC only: access policies belong to IAM principals."""
    _check(kind, body, namespace)
    group = AUTHENTICATION if kind == "SelfSubjectReview" else AUTHORIZATION
    spec = body.get("spec") or {}
    if kind == "SelfSubjectReview":
        status = {"userInfo": user.info()}
    elif kind == "SelfSubjectRulesReview":
        status = _rules_status(api, user, spec)
    elif kind == "SelfSubjectAccessReview":
        status = _access_status(api, user, spec)
    else:
        user = KubernetesUser(username=spec.get("user") or "", groups=tuple(spec.get("groups") or ()))
        status = _access_status(api, user, spec)
    metadata = {"creationTimestamp": None, **body.get("metadata", {})}
    answer = {"kind": kind, "apiVersion": f"{group}/v1", "metadata": metadata, "spec": spec, "status": status}
    return {name: value for name, value in answer.items() if name != "spec" or kind != "SelfSubjectReview"}


def _check(kind: str, body: Object, namespace: str) -> None:
    """Raise 400 for a review that cannot be read, and 422 for one that asks for nothing that can be answered."""
    spec = body.get("spec") or {}
    strange = not isinstance(spec, dict) or any(
        not isinstance(value, str)
        for name in ("resourceAttributes", "nonResourceAttributes")
        for value in _texts(spec.get(name))
    )
    if strange:
        raise errors.bad_request(f"{kind} cannot be handled as a {kind}: its attributes are texts in an object")
    if kind.endswith("AccessReview") and (found := list(_problems(kind, spec, namespace))):
        group = Resource(AUTHORIZATION, "v1", f"{kind.lower()}s", kind)
        raise errors.invalid_fields(group, (body.get("metadata") or {}).get("name", ""), found)


def _texts(attributes: Any) -> Iterator[Any]:
    """The values of attributes that have to be text; the whole if it is no object."""
    if isinstance(attributes, dict):
        yield from (value for name, value in attributes.items() if not name.endswith("Selector") and value is not None)
    elif attributes is not None:
        yield None


def _problems(kind: str, spec: Object, namespace: str) -> Iterator[Problem]:
    """What is wrong with a review (``pkg/apis/authorization/validation`` of Kubernetes)."""
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and path is not None:
        detail = "cannot be specified in combination with resourceAttributes"
        yield invalid("spec.nonResourceAttributes", path, detail)
    if resource is None and path is None:
        detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        yield invalid("spec.resourceAttributes", resource, detail)
    if not kind.startswith("Self") and not spec.get("user") and not spec.get("groups"):
        yield invalid("spec.user", spec.get("user", ""), "at least one of user or group must be specified")
    if kind != "LocalSubjectAccessReview":
        return
    if path is not None:
        yield invalid("spec.nonResourceAttributes", path, "disallowed on this kind of request")
    asked = (resource or {}).get("namespace", "")
    if resource is not None and asked != namespace:
        yield invalid("spec.resourceAttributes.namespace", asked, "must match metadata.namespace")


def _access_status(api: KubernetesApi, user: KubernetesUser, spec: Object) -> Object:
    resource: Object | None = spec.get("resourceAttributes")
    path: Any = spec.get("nonResourceAttributes")
    if resource is not None:
        names = ("verb", "group", "resource", "subresource", "namespace", "name")
        attributes = Attributes(**{name: resource.get(name) or "" for name in names})
    else:
        attributes = Attributes(path.get("verb", ""), path=path.get("path", ""))
    verdict = authorize(api, user, attributes)
    return {"allowed": verdict.allowed, **({"reason": verdict.reason} if verdict.reason else {})}


def _rules_status(api: KubernetesApi, user: KubernetesUser, spec: Object) -> Object:
    namespace = spec.get("namespace")
    if not namespace:
        raise errors.bad_request("no namespace on request")
    rules = [rule_object(rule) for rule in rules_for(api, user, namespace)]
    return {
        "resourceRules": [rule for rule in rules if "resources" in rule],
        "nonResourceRules": [rule for rule in rules if "nonResourceURLs" in rule],
        "incomplete": True,
        "evaluationError": "webhook authorizer does not support user rule resolution",
    }
