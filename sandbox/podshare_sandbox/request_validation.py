"""Each request is held against botocore's model of its operation, as AWS does before it authorizes and acts.

Two kinds of mistakes are told apart, as AWS does: a value of another JSON or XML type cannot be read at all
(SerializationException and its siblings); a value that is missing, or breaks a length, range, pattern or enumeration,
is invalid (ValidationException and its siblings). Services that model an error of their own for it use that.

Sources: botocore's service models; Smithy's protocol tests of malformed requests (SerializationException,
ValidationException, both 400); "Common Errors" of the services' API references (ValidationError, MalformedInput).
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlparse

from botocore.model import ListShape, MapShape, Shape, StructureShape
from moto.core import errors
from moto.core.model import OperationModel
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import determine_request_protocol
from moto.core.responses import BaseResponse
from moto.core.utils import get_service_model

from podshare_sandbox.moto_extension import broken_constraints

# what services call a request that breaks its model, the most specific first
_INVALID = (
    *("ValidationException", "InvalidInputException", "InvalidParameterException", "InvalidParameterValueException"),
    *("InvalidRequestException", "InvalidArgumentException"),
)
_OWN_INVALID = {"ec2": "InvalidParameterValue", "fsx": "BadRequest", "s3": "InvalidArgument"}
_QUERY_INVALID = "ValidationError"  # IAM, STS, CloudFormation, CloudWatch, SNS: "Common Errors"
_UNREADABLE = {"query": "MalformedInput", "ec2": "InvalidParameterValue", "rest-xml": "MalformedXML"}
_JSON_UNREADABLE = "SerializationException"
_JSON_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "character": (str,),
    "blob": (str,),
    "timestamp": (int, float, str),
    "boolean": (bool,),
    "integer": (int, float),
    "long": (int, float),
    "float": (int, float, str),  # NaN and Infinity are text
    "double": (int, float, str),
    "list": (list,),
    "map": (dict,),
    "structure": (dict,),
}

# of these the model requires none, and AWS one (API references of the operations)
_ONE_OF = {
    ("stepfunctions", "ListExecutions"): ("stateMachineArn", "mapRunArn"),
    ("kms", "CreateGrant"): ("GranteePrincipal", "GranteeServicePrincipal"),
    ("kms", "Decrypt"): ("CiphertextBlob",),
    ("dynamodb", "RestoreTableToPointInTime"): ("SourceTableArn", "SourceTableName"),
}

errors.COMMON_ERROR_CODES.extend({_JSON_UNREADABLE, *_UNREADABLE.values(), *_OWN_INVALID.values()})


_TOPIC_ARN = re.compile(r"arn:[a-z-]+:sns:[a-z0-9-]+:\d{12}:[\w-]{1,256}(\.fifo)?(:[0-9a-f-]+)?")


class InvalidRequestError(Exception):
    """A request does not fit its model: the service's error ``code``, and why in AWS's words."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def valid_parameters(response: BaseResponse, operation: OperationModel) -> dict[str, Any]:
    """The request's parameters, read by their model; absent ones are left out. Raises Invalid.

    They are noted at ``response``, for the operations that the sandbox adds to moto.
    """
    try:
        read = _parameters(response, operation)
    except _UnreadableError as unreadable:
        protocol = operation.service_model.metadata["protocol"]
        raise InvalidRequestError(_UNREADABLE.get(protocol, _JSON_UNREADABLE), str(unreadable)) from unreadable
    broken = list(broken_constraints(read, operation.input_shape)) if operation.input_shape else []
    if broken:
        count = f"{len(broken)} validation error{'s' if len(broken) > 1 else ''} detected"
        raise InvalidRequestError(_invalid_code(operation), f"{count}: {'; '.join(broken)}")
    one_of = _ONE_OF.get((operation.service_model.service_name, operation.name), ())
    if one_of and not any(name in read for name in one_of):
        raise InvalidRequestError(_invalid_code(operation), f"The request must name {' or '.join(one_of)}")
    if operation.service_model.service_name == "sns" and (wrong := _no_topic(operation, read)):
        raise InvalidRequestError("InvalidParameter", f"Invalid parameter: {wrong}")
    response.__dict__["_podshare_valid_parameters"] = read
    return read


def _no_topic(operation: OperationModel, read: Mapping[str, Any]) -> str:
    """What does not name a topic though it has to (SNS API reference, InvalidParameter); empty if nothing is wrong.

    Messages to phones and to endpoints of mobile applications are not emulated.
    """
    topic = read.get("TopicArn", read.get("TargetArn"))
    if topic is not None and not _TOPIC_ARN.fullmatch(str(topic)):
        return "TopicArn"
    return "TopicArn or TargetArn" if topic is None and operation.name == "Publish" else ""


def incomplete_operation(response: BaseResponse) -> InvalidRequestError | None:
    """What is wrong with a request that moto finds no operation for, because a part of its query is missing."""
    model = get_service_model(response.boto3_service_name)
    request = response.normalized_request
    for name in model.operation_names:
        operation = model.operation_model(name)
        path = "/".join("[^/]+" if part.startswith("{") else re.escape(part) for part in _path(operation).split("/"))
        if operation.http.get("method") == request.method and re.fullmatch(path, urlparse(request.url).path):
            return InvalidRequestError(_invalid_code(operation), f"the request lacks a parameter of {name}")
    return None


def _path(operation: OperationModel) -> str:
    return str(operation.http["requestUri"]).partition("?")[0]


class _UnreadableError(Exception):
    """Something in a request is of another type than its model says."""


def _parameters(response: BaseResponse, operation: OperationModel) -> dict[str, Any]:
    request = response.normalized_request
    protocol = determine_request_protocol(operation.service_model, request.content_type)
    if "json" in protocol and operation.input_shape:
        _hold_types(request.data, operation.input_shape)
    try:
        read = PROTOCOL_PARSERS[protocol](operation, map_type=dict).parse(
            {
                "method": request.method,
                "values": request.values,
                "headers": request.headers,
                "body": request.data,
                "url_path": request.path,
                "url_params": response.uri_match,
            }
        )
    except Exception as malformed:  # the parser raises whatever its conversions do
        raise _UnreadableError(str(malformed)) from malformed
    return {name: value for name, value in read.items() if value is not None}


def _invalid_code(operation: OperationModel) -> str:
    """The error of a request whose values break their constraints."""
    model = operation.service_model
    if model.service_name in _OWN_INVALID:
        return _OWN_INVALID[model.service_name]
    if model.metadata["protocol"] == "query":
        return _QUERY_INVALID
    modelled = {shape.name for shape in operation.error_shapes}
    return next((code for code in _INVALID if code in modelled or code in model.shape_names), _INVALID[0])


def _hold_types(body: bytes, shape: StructureShape) -> None:
    payload = shape.serialization.get("payload")
    told: Shape = shape.members[payload] if payload else shape
    if not body or not isinstance(told, StructureShape):
        return  # a stream, or nothing
    try:
        value = json.loads(body)
    except ValueError as malformed:
        raise _UnreadableError(str(malformed)) from malformed
    wrong = next(_wrong_types(value, told, ""), None)
    if wrong is not None:
        raise _UnreadableError(wrong)


def _wrong_types(value: Any, shape: Shape, path: str) -> Iterator[str]:
    if value is None or getattr(shape, "is_document_type", False):
        return
    if not _is_of_type(value, shape.type_name):
        yield f"{type(value).__name__} cannot be converted to {shape.type_name} at '{path}'"
        return
    match shape:
        case StructureShape():
            known = _members_in_body(shape)
            for wire_name, inner in value.items():
                if wire_name in known:
                    name, member = known[wire_name]
                    yield from _wrong_types(inner, member, f"{path}.{name}" if path else name)
        case ListShape():
            for index, one in enumerate(value, start=1):
                yield from _wrong_types(one, shape.member, f"{path}.{index}.member")
        case MapShape():
            for key, one in value.items():
                yield from _wrong_types(one, shape.value, f"{path}.{key}.value")


def _members_in_body(shape: StructureShape) -> dict[str, tuple[str, Shape]]:
    """By their names in the body; noted at the shape, since a value has few of the members that it may have."""
    known: dict[str, tuple[str, Shape]] | None = shape.__dict__.get("_podshare_members")
    if known is None:
        known = shape.__dict__["_podshare_members"] = {
            member.serialization.get("name", name): (name, member)
            for name, member in shape.members.items()
            if "location" not in member.serialization
        }
    return known


def _is_of_type(value: Any, type_name: str) -> bool:
    known = _JSON_TYPES.get(type_name, (object,))
    return isinstance(value, known) and (bool in known or not isinstance(value, bool))
