"""Errors of the Kubernetes API: Status objects worded as the API server words them."""

from collections.abc import Sequence
from typing import Any

from podshare_sandbox.services.kubernetes.field_problems import Problem
from podshare_sandbox.services.kubernetes.resources import Resource


class KubernetesError(Exception):
    """An answer other than success; ``status`` is the Status object."""

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            **({"details": details} if details else {}),
            "code": code,
        }


def _about(resource: Resource, name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, **({"group": resource.group} if resource.group else {}), "kind": resource.plural, **more}


def not_found(resource: Resource, name: str) -> KubernetesError:
    """404: no such object."""
    return KubernetesError(404, "NotFound", f'{resource.qualified} "{name}" not found', _about(resource, name))


def unknown_path() -> KubernetesError:
    """404: no such resource."""
    return KubernetesError(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(resource: Resource, name: str) -> KubernetesError:
    """409: an object of this name exists."""
    message = f'{resource.qualified} "{name}" already exists'
    return KubernetesError(409, "AlreadyExists", message, _about(resource, name))


def conflict(resource: Resource, name: str, why: str) -> KubernetesError:
    """409: the object has changed since the caller read it."""
    message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}'
    return KubernetesError(409, "Conflict", message, _about(resource, name))


def apply_conflict(conflicts: Sequence[tuple[str, str]]) -> KubernetesError:
    """409: other managers own fields that an apply would change; ``conflicts`` pairs manager and field."""
    causes = [
        {"reason": "FieldManagerConflict", "message": f'conflict with "{manager}"', "field": field}
        for manager, field in conflicts
    ]
    count = f"{len(causes)} conflict{'s' if len(causes) > 1 else ''}"
    listed = "; ".join(f'conflict with "{manager}": {field}' for manager, field in conflicts)
    return KubernetesError(409, "Conflict", f"Apply failed with {count}: {listed}", {"causes": causes})


def invalid(resource: Resource, name: str, field: str, problem: str) -> KubernetesError:
    """422: a field has a value that validation refuses."""
    return invalid_fields(resource, name, [Problem(field, "FieldValueInvalid", problem)])


def invalid_fields(resource: Resource, name: str, problems: Sequence[Problem]) -> KubernetesError:
    """422: validation refuses some fields, each with a cause of its own."""
    about = _about(resource, name, causes=[problem.cause() for problem in problems])
    about["kind"] = resource.kind
    qualified = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    listed = ", ".join(map(str, problems))
    listed = f"[{listed}]" if len(problems) > 1 else listed
    return KubernetesError(422, "Invalid", f'{qualified} "{name}" is invalid: {listed}', about)


def bad_request(message: str) -> KubernetesError:
    """400: the request makes no sense."""
    return KubernetesError(400, "BadRequest", message)


def internal(message: str) -> KubernetesError:
    """500 without a reason: what the API server does not expect of a client."""
    return KubernetesError(500, "", message)


def forbidden(resource: Resource, name: str, why: str) -> KubernetesError:
    """403: admission or authorization refuses."""
    named = f'{resource.qualified} "{name}"' if name else resource.qualified
    return KubernetesError(403, "Forbidden", f"{named} is forbidden: {why}", _about(resource, name))


def namespace_terminating(resource: Resource, name: str, namespace: str) -> KubernetesError:
    """403: nothing is created in a namespace that is being deleted."""
    message = f"unable to create new content in namespace {namespace} because it is being terminated"
    error = forbidden(resource, name, message)
    cause = {"reason": "NamespaceTerminating", "message": f"namespace {namespace} is being terminated"}
    error.status["details"]["causes"] = [{**cause, "field": "metadata.namespace"}]
    return error


def unauthorized() -> KubernetesError:
    """401: the token does not identify anybody whom the cluster knows."""
    return KubernetesError(401, "Unauthorized", "Unauthorized")


def method_not_allowed() -> KubernetesError:
    """405: the resource does not serve this method here."""
    message = "the server does not allow this method on the requested resource"
    return KubernetesError(405, "MethodNotAllowed", message)


def unsupported_media_type(accepted: Sequence[str]) -> KubernetesError:
    """415: the body is in a format that is not taken here."""
    message = f"the body of the request was in an unknown format - accepted media types include: {', '.join(accepted)}"
    return KubernetesError(415, "UnsupportedMediaType", message)


def expired(revision: int, current: str) -> KubernetesError:
    """410: the history does not reach back that far."""
    return KubernetesError(410, "Expired", f"too old resource version: {revision} ({current})")


def not_acceptable(offered: Sequence[str]) -> KubernetesError:
    """406: the client takes no format that there is."""
    message = f"only the following media types are accepted: {', '.join(offered)}"
    return KubernetesError(406, "NotAcceptable", message)
