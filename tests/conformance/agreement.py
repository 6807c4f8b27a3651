"""Whether the sandbox answers generated requests as their models say: accepts valid ones, refuses each violation.

A valid request may fail for what it names (a role that does not exist), with an error of its operation, but not for its
shape. A violation has to be refused for itself, with an error that services have for it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import botocore.httpsession
from botocore.model import ListShape, OperationModel, Shape

from podshare_sandbox import Sandbox
from podshare_sandbox.organization import HUB, HUB_REGION, MANAGEMENT
from tests.conformance.bad_requests import Answer, Violation, answer, minimal, unchecked_client, violations

VALID = "valid"
# "Common errors" of the services' API references, and what SDKs' protocols define (Smithy, "malformed requests")
_INVALID = {
    *("ValidationException", "ValidationError", "InvalidInputException", "InvalidParameterException"),
    *("InvalidParameterValueException", "InvalidRequestException", "InvalidArgumentException", "InvalidArgument"),
    *("InvalidParameterValue", "MissingParameter", "BadRequest", "SerializationException", "MalformedInput"),
    *("MalformedXML", "InvalidRequest"),
}
_COMMON = {*_INVALID, "AccessDenied", "AccessDeniedException", "InvalidAction", "UnsupportedOperation"}
_SHAPE_WORDS = ("validation error detected", "validation errors detected", "cannot be converted to")
_IN_URL = ("uri", "header", "headers", "querystring")
_NUMBERS = {"integer", "long", "float", "double"}


@dataclass(frozen=True)
class Checked:
    """One request that was sent, and whether the answer was as the model says."""

    service: str
    operation: str
    request: Violation
    answer: Answer
    agrees: bool

    def __str__(self) -> str:
        return f"{self.service} {self.operation} {self.request.kind} {self.request.path}: {self.answer}"


def requests(operation: OperationModel) -> Iterator[Violation]:
    """The valid request of ``operation``, and all that break one rule each and can be sent."""
    shape = operation.input_shape
    yield Violation(VALID, "", minimal(shape) if shape else {})
    sent = (one for one in violations(operation) if _can_be_sent(operation, one))
    yield from (one for one in sent if not _says_something_else(operation, one))


def _can_be_sent(operation: OperationModel, violation: Violation) -> bool:
    """Whether the violation survives the protocol: an empty label names another path, XML and queries have no types."""
    if not violation.path:
        return False  # the whole input is no structure
    top, *rest = violation.path.replace("[]", ".[]").replace("{}", ".{}").split(".")
    shape: Any = operation.input_shape
    located = top in shape.members and shape.members[top].serialization.get("location") in _IN_URL
    is_json = "json" in operation.service_model.metadata["protocol"] and not located
    if violation.kind == "type" and not is_json:
        return _at(shape, [top, *rest]).type_name in _NUMBERS
    if located and violation.kind in ("required", "min"):
        return shape.members[top].serialization["location"] != "uri" or bool(violation.parameters.get(top))
    if located and violation.kind == "pattern":
        return shape.members[top].serialization["location"] not in ("header", "headers")
    if violation.kind in ("required", "max") and rest and not is_json:
        return False  # an empty structure is no parameter at all
    return is_json or violation.kind != "max" or not _is_list_of_nothing(shape.members[top])


def _says_something_else(operation: OperationModel, violation: Violation) -> bool:
    """Whether it is a valid request after all: clients count a body's length, a query's part may name the operation."""
    place = (
        operation.input_shape.members[violation.path].serialization
        if violation.path in operation.input_shape.members
        else {}
    )
    if place.get("name") == "Content-Length":
        return True
    return place.get("location") == "querystring" and violation.kind == "required" and _is_another_without(operation)


def _is_another_without(operation: OperationModel) -> bool:
    """Whether a request without a part of its query is one of another operation, as S3's ListParts is GetObject."""
    model = operation.service_model
    others = (model.operation_model(name) for name in model.operation_names if name != operation.name)
    return any(_route(other) == _route(operation) for other in others)


def _route(operation: OperationModel) -> tuple[str, str]:
    return operation.http["method"], operation.http["requestUri"].partition("?")[0]


def _is_list_of_nothing(shape: Shape) -> bool:
    return isinstance(shape, ListShape) and minimal(shape.member) == {}


def _at(shape: Shape, path: list[str]) -> Any:
    found: Any = shape
    for name in path:
        found = found.member if name == "[]" else found.value if name == "{}" else found.members[name]
    return found


def check(client: Any, operation: OperationModel, request: Violation) -> Checked | None:
    """Send it; None where botocore cannot put it into a request."""
    told = answer(client, operation.name, request.parameters)
    if told is None:
        return None
    agrees = _is_accepted(operation, told) if request.kind == VALID else _is_refused(told)
    return Checked(operation.service_model.service_name, operation.name, request, told, agrees)


def _is_accepted(operation: OperationModel, told: Answer) -> bool:
    if told.status is None or told.status >= 500 or any(words in told.message for words in _SHAPE_WORDS):
        return False
    return told.status < 400 or told.code in _COMMON | _modelled(operation) | {"NoBody"}


def _is_refused(told: Answer) -> bool:
    return told.is_refusal and told.code in _INVALID


def _modelled(operation: OperationModel) -> set[str]:
    model = operation.service_model
    shapes = [*operation.error_shapes, *(shape for shape in model.error_shapes)]
    return {shape.metadata.get("error", {}).get("code", shape.name) for shape in shapes} | {s.name for s in shapes}


def over_http(sandbox: Sandbox, service: str) -> Any:
    """The administrator's client, whose requests leave through the proxy: moto's hook in this process is taken off."""
    environment = sandbox.environment(MANAGEMENT if service == "organizations" else HUB)
    session = boto3.Session(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"], None, HUB_REGION)
    client = unchecked_client(session, service)
    client.meta.events.unregister("before-send", handler=_moto())
    door = {"https": environment["HTTPS_PROXY"]}
    client._endpoint.http_session = botocore.httpsession.URLLib3Session(environment["AWS_CA_BUNDLE"], door)
    return client


def _moto() -> Any:
    from moto.core.models import botocore_stubber  # noqa: PLC0415  # the hook that this process has while it mocks AWS

    return botocore_stubber
