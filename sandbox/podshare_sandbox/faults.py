"""What a client over HTTP is told when an operation breaks in the sandbox: something that every SDK can read.

AWS validates a request before it acts. Where moto acts first and breaks over a request that does not fit its model, the
answer is the refusal of that request, a client's error; everything else is the sandbox's own fault and stays visible as
one: InternalFailure, with the exception's words, in the protocol of the service.

Sources: botocore's service models (constraints, error shapes, protocols); "Common Errors" of the services' API
references (ValidationError, InternalFailure).
"""

from typing import Any
from xml.parsers.expat import ExpatError

from botocore.awsrequest import AWSPreparedRequest
from botocore.compat import HTTPHeaders
from botocore.model import OperationNotFoundError
from moto import backend_index
from moto.core import errors
from moto.core.exceptions import ServiceException
from moto.core.model import OperationModel, ServiceModel
from moto.core.request import Request, normalize_request
from moto.core.responses import ActionResult, BaseResponse
from moto.core.utils import get_service_model
from moto.s3.exceptions import S3ClientError
from werkzeug.exceptions import NotFound

from podshare_sandbox import request_validation
from podshare_sandbox.authorization.enforcement import s3_operation
from podshare_sandbox.moto_extension import response_class

Answer = tuple[int, dict[str, str], bytes]

_BAD_REQUEST, _FAULT = 400, 500
_FAULTS = ["InternalFailure", "InternalError"]
_S3 = {"s3", "s3control"}

errors.COMMON_ERROR_CODES.extend(_FAULTS)  # moto need not warn of codes that no service models


def answer(method: str, url: str, headers: Any, body: bytes, fault: Exception) -> Answer | None:
    """Status, headers and body for a request over which ``fault`` was raised; None for a host that is no service's."""
    sent = HTTPHeaders()
    for name, value in headers.items():
        sent[name] = value
    request = normalize_request(AWSPreparedRequest(method, url, sent, body, stream_output=False))
    response = _response_of(request, url)
    if response is None:
        return None
    model = get_service_model(response.boto3_service_name)
    operation = _operation(response, request, model)
    problem = _problem(response, operation) if operation else None
    if problem:
        told = _error(response, problem.code, str(problem), _BAD_REQUEST)
    elif isinstance(fault, ExpatError):
        told = _error(response, *_unreadable_xml(body), _BAD_REQUEST)
    else:
        code = "InternalError" if model.service_name in _S3 else "InternalFailure"
        told = _error(response, code, f"{type(fault).__name__}: {fault}", _FAULT)
    status, told_headers, text = response.serialized(ActionResult(told))
    return int(status), told_headers, text.encode() if isinstance(text, str) else text


def _response_of(request: Request, url: str) -> BaseResponse | None:
    """The object in which moto would answer, without the parameters that it may have broken over."""
    address = url.partition("?")[0]
    service = next((name for name, pattern in backend_index.backend_url_patterns if pattern.match(address)), None)
    if service is None:
        return None
    response: BaseResponse = response_class(service)()
    response.automated_parameter_parsing = False
    response.setup_class(request, url, request.headers)
    return response


def _operation(response: BaseResponse, request: Request, model: ServiceModel) -> OperationModel | None:
    try:
        if model.service_name == "s3":
            name, response.uri_match = s3_operation(request)
        else:
            name = response._get_action()
        return model.operation_model(name) if name else None
    except (OperationNotFoundError, NotFound):
        return None


def _problem(response: BaseResponse, operation: OperationModel) -> request_validation.InvalidRequestError | None:
    try:
        request_validation.valid_parameters(response, operation)
    except request_validation.InvalidRequestError as invalid:
        return invalid
    return None


def _unreadable_xml(body: bytes) -> tuple[str, str]:
    """Source: S3 API Reference, "List of error codes"."""
    if not body:
        return "MissingRequestBodyError", "Request Body is empty"
    return (
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
    )


def _error(response: BaseResponse, code: str, message: str, status: int) -> Exception:
    """An exception that moto serializes in the protocol of the service."""
    if response.boto3_service_name in _S3:
        error: Exception = S3ClientError(code, message)
    else:
        module = f"moto.{response.boto3_service_name}.exceptions"  # where moto looks for the service's name
        error = type(code, (ServiceException,), {"__module__": module, "code": code})(message)
    vars(error)["http_status"] = status  # read by moto_extension
    return error
