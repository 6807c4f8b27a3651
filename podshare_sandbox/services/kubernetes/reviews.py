"""Access reviews: objects that are never stored, whose answer is in their status."""

from typing import Any

from podshare_sandbox.services.kubernetes import errors
from podshare_sandbox.services.kubernetes.api import KubernetesApi
from podshare_sandbox.services.kubernetes.authentication import KubernetesUser
from podshare_sandbox.services.kubernetes.authorizer import Attributes, authorize, rule_object, rules_for

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
    group = AUTHENTICATION if kind == "SelfSubjectReview" else AUTHORIZATION
    spec = body.get("spec") or {}
    if kind == "SelfSubjectReview":
        status = {"userInfo": user.info()}
    elif kind == "SelfSubjectRulesReview":
        status = _rules_status(api, user, spec)
    elif kind == "SelfSubjectAccessReview":
        status = _access_status(api, user, spec)
    else:
        asked = (spec.get("resourceAttributes") or {}).get("namespace", "")
        if kind == "LocalSubjectAccessReview" and asked != namespace:
            raise errors.bad_request(f"spec.resourceAttributes.namespace must be {namespace}")
        status = _access_status(api, _subject(spec), spec)
    metadata = {"creationTimestamp": None, **body.get("metadata", {})}
    answer = {"kind": kind, "apiVersion": f"{group}/v1", "metadata": metadata, "spec": spec, "status": status}
    return {name: value for name, value in answer.items() if name != "spec" or kind != "SelfSubjectReview"}


def _subject(spec: Object) -> KubernetesUser:
    if not spec.get("user") and not spec.get("groups"):
        raise errors.bad_request("spec.user: Invalid value: at least one of user or group must be specified")
    return KubernetesUser(username=spec.get("user", ""), groups=tuple(spec.get("groups") or ()))


def _access_status(api: KubernetesApi, user: KubernetesUser, spec: Object) -> Object:
    resource: Object | None = spec.get("resourceAttributes")
    path: Any = spec.get("nonResourceAttributes")
    if (resource is None) == (path is None):
        message = "exactly one of spec.nonResourceAttributes or spec.resourceAttributes must be specified"
        raise errors.bad_request(message)
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
