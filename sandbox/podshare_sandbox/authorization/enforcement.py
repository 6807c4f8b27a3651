"""The hooks into moto: no request reaches a service before it is authenticated and authorized."""

import copy
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlparse
from xml.sax.saxutils import escape

import xmltodict  # type: ignore[import-untyped]  # it has no annotations
from botocore.model import OperationNotFoundError
from moto.core import errors
from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.exceptions import ServiceException
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.responses import ActionResult, BaseResponse
from moto.core.routing import ServiceOperationRouter
from moto.core.utils import get_service_model
from moto.s3.exceptions import S3ClientError
from moto.s3.responses import S3Response
from werkzeug.exceptions import NotFound

from podshare_sandbox import request_validation, throttling, traffic
from podshare_sandbox.authorization import (
    actions,
    authorize,
    global_keys,
    registrations,
    s3_data,
    s3_encryption,
    signatures,
)
from podshare_sandbox.authorization.authorize import AccessDenied
from podshare_sandbox.authorization.call import Call
from podshare_sandbox.authorization.principals import (
    ExpiredToken,
    Principal,
    UnknownAccessKey,
    UnusableAccount,
    account_of_key,
    identify,
)
from podshare_sandbox.authorization.s3_data import DataRequest
from podshare_sandbox.moto_repair import replace

# a copy: botocore's client of S3 cuts the bucket out of the paths of the model that the whole process shares
_S3_OPERATIONS = ServiceOperationRouter(copy.deepcopy(get_service_model("s3")))

_FORBIDDEN = 403
_BAD_REQUEST = 400

# common to all services, so that moto need not warn of codes that no service models
_REFUSALS = [
    *("AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"),
    *("InvalidClientTokenId", "UnrecognizedClientException", "ExpiredToken", "ExpiredTokenException"),
    *("MissingAuthenticationToken", "MissingAuthenticationTokenException"),
    *("SignatureDoesNotMatch", "InvalidSignatureException"),
    *sorted({refusal.code for refusal in throttling.REFUSALS.values()}),
]
_ATTEMPT = re.compile(r"attempt=(\d+)")

_enforced = False
_hooked = False


def install() -> None:
    """From now on decide every call to moto; idempotent. Raises RuntimeError where moto has lost a hook."""
    global _enforced, _hooked  # noqa: PLW0603  # moto's dispatch is one for the process
    if not _hooked:
        _hook_dispatch()
        _hook_s3()
        _hooked = True
    _enforced = True


def uninstall() -> None:
    """Decide nothing any more, as stock moto does."""
    global _enforced  # noqa: PLW0603  # moto's dispatch is one for the process
    _enforced = False


def _hook_dispatch() -> None:
    def call_action(response: BaseResponse) -> Any:
        if _enforced and response.service_name != "s3":
            try:
                _authorize_call(response)
            except ServiceException as refusal:
                return _refusal(response, refusal)
        return stock(response)

    def get_access_key(response: BaseResponse) -> str:
        """Presigned URLs of signature version 4 carry the key in the query, which moto overlooks."""
        credential = response.querystring.get("X-Amz-Credential")
        return str(credential[0]).split("/")[0] if credential else str(stock_key(response))

    def get_current_account(response: BaseResponse) -> str:
        """The access key's; moto also lets a header name it, and looks for the key in each of AWS's partitions."""
        try:
            return account_of_key(response.get_access_key())
        except UnknownAccessKey:
            return DEFAULT_ACCOUNT_ID

    def trust_the_decision(_response: BaseResponse, _resource: str = "*") -> None:
        """moto's own IAM is never asked."""

    stock = replace(BaseResponse, "call_action", call_action)
    stock_key = replace(BaseResponse, "get_access_key", get_access_key)
    replace(BaseResponse, "get_current_account", get_current_account)
    replace(ActionAuthenticatorMixin, "_authenticate_and_authorize_normal_action", trust_the_decision)
    errors.COMMON_ERROR_CODES.extend(_REFUSALS)


def _refusal(response: BaseResponse, refusal: ServiceException) -> Any:
    status, headers, body = response.serialized(ActionResult(refusal))
    headers, body = response._enrich_response(headers, body)
    return status, headers, body


# --- services other than S3 ---------------------------------------------------------------------------------


def _authorize_call(response: BaseResponse) -> None:
    service = response.boto3_service_name
    words = _Errors(service)
    caller = _authenticate(response, words)
    operation = response._get_action()
    if not operation:
        if incomplete := request_validation.incomplete_operation(response):
            raise _error(incomplete.code, str(incomplete), _BAD_REQUEST)
        return  # no operation of the service: moto answers 404
    if not _is_admitted(response, f"{service}:{operation}", caller):
        raise words.throttled()
    origin = global_keys.of_client(response.headers.get("User-Agent", ""))
    call = Call(service, operation, _parameters(response, operation), response.region, caller, origin)
    try:
        authorize.authorize(caller, actions.checks(call))
    except AccessDenied as denied:
        raise words.denied(str(denied)) from denied
    except UnknownAccessKey as unknown:
        raise words.unknown_key() from unknown


def _parameters(response: BaseResponse, operation: str) -> Mapping[str, Any]:
    """The call's parameters by botocore's model, held against it; an operation that it lacks has none."""
    try:
        model = get_service_model(response.boto3_service_name).operation_model(operation)
    except OperationNotFoundError:
        return {}
    try:
        return request_validation.valid_parameters(response, model)
    except request_validation.InvalidRequestError as invalid:
        raise _error(invalid.code, str(invalid), _BAD_REQUEST) from invalid


def _authenticate(response: BaseResponse, words: "_Errors") -> Principal:
    """Who signed the request; a session's request must carry the session's token too."""
    if not _is_signed(response):
        raise words.unsigned()
    try:
        principal = identify(response.get_access_key())
    except UnusableAccount as unusable:
        raise words.denied(str(unusable)) from unusable
    except UnknownAccessKey as unknown:
        raise words.unknown_key() from unknown
    except ExpiredToken as expired:
        raise words.expired() from expired
    if principal.session and _token(response) != principal.session.token:
        raise words.unknown_key()
    if wrong := signatures.what_is_wrong():
        raise words.wrongly_signed(wrong)
    return principal


def _is_admitted(response: BaseResponse, name: str, caller: Principal) -> bool:
    """Whether the rates let a request in; SDKs say which attempt it is (AWS SDKs Reference, "Retry behavior")."""
    attempt = _ATTEMPT.search(response.headers.get("amz-sdk-request", ""))
    return traffic.admitted(
        name, caller.identity_arn, caller.account, response.region, int(attempt[1]) if attempt else 1
    )


def _is_signed(response: BaseResponse) -> bool:
    return "Authorization" in response.headers or "X-Amz-Credential" in response.querystring


def _token(response: BaseResponse) -> str | None:
    header: str | None = response.headers.get("X-Amz-Security-Token")
    query: list[str] = response.querystring.get("X-Amz-Security-Token", [])
    return header or next(iter(query), None)


# what these services answer instead of AccessDenied (their API references, "Common errors")
_OWN_CODES = {"ec2": "UnauthorizedOperation", "sns": "AuthorizationError"}


class _Errors:
    """The refusals in the words of one service: its protocol decides codes and statuses."""

    def __init__(self, service: str) -> None:
        model = get_service_model(service)
        protocol = model.metadata.get("protocol", "")
        self._own_code = _OWN_CODES.get(service)
        self._service = service
        self._is_xml = protocol in ("query", "ec2", "rest-xml")
        # services that spoke the query protocol before kept its codes
        self._keeps_query_codes = "awsQueryCompatible" in model.metadata or service == "cloudwatch"
        # "AccessDeniedException … HTTP Status Code: 400" (Common errors of services on AWS JSON)
        self._status = _BAD_REQUEST if protocol == "json" and not self._keeps_query_codes else _FORBIDDEN

    def denied(self, message: str) -> ServiceException:
        """The principal is known, and may not."""
        code = "AccessDenied" if self._is_xml or self._keeps_query_codes else "AccessDeniedException"
        return _error(self._own_code or code, message, self._status)

    def unknown_key(self) -> ServiceException:
        """No such access key, or a token that is not its own."""
        code = "InvalidClientTokenId" if self._is_xml or self._keeps_query_codes else "UnrecognizedClientException"
        return _error(code, "The security token included in the request is invalid.", self._status)

    def wrongly_signed(self, message: str) -> ServiceException:
        """The key's secret was another one, or the Region is none of AWS's."""
        code = "SignatureDoesNotMatch" if self._is_xml or self._keeps_query_codes else "InvalidSignatureException"
        return _error(code, message, self._status)

    def expired(self) -> ServiceException:
        """The session is over."""
        code = "ExpiredToken" if self._is_xml or self._keeps_query_codes else "ExpiredTokenException"
        return _error(code, "The security token included in the request is expired", self._status)

    def throttled(self) -> ServiceException:
        """The account has asked too often."""
        refusal = throttling.REFUSALS[self._service]
        return _error(refusal.code, refusal.message, refusal.status)

    def unsigned(self) -> ServiceException:
        """Nobody signed the request."""
        code = "MissingAuthenticationToken"
        code = code if self._is_xml or self._keeps_query_codes else f"{code}Exception"
        return _error(code, "Missing Authentication Token", self._status)


class _Refusal(ServiceException):  # moto looks for an error's shape by its class's module
    """A refusal of any service; no service models it."""


def _error(code: str, message: str, status: int) -> ServiceException:
    error = _Refusal(code, message)
    error.http_status = status  # type: ignore[attr-defined]  # read by moto_extension
    return error


# --- S3 -----------------------------------------------------------------------------------------------------


def _hook_s3() -> None:
    def authorize_s3(response: S3Response, bucket_name: str | None = None, key_name: str | None = None) -> None:
        if _enforced and response.normalized_request.method != "OPTIONS":  # CORS asks without credentials
            _authorize_s3(response, bucket_name or "", key_name or "")

    def delete_keys(response: S3Response, bucket_name: str, authenticated: bool = True) -> Any:
        refused: dict[str, str] = response.__dict__.pop("_podshare_refused_keys", {})
        if not refused:
            return stock(response, bucket_name, authenticated)
        return _delete_allowed_keys(response, refused, lambda: stock(response, bucket_name, True))

    def serialized(response: S3Response, result: ActionResult) -> Any:
        """An answer to HEAD has no body, hence neither code nor message."""
        status, headers, body = stock_serialized(response, result)
        failed = isinstance(result.result, Exception) and response.normalized_request.method == "HEAD"
        return status, headers, "" if failed else body

    replace(ActionAuthenticatorMixin, "_authenticate_and_authorize_s3_action", authorize_s3)
    stock_serialized = replace(S3Response, "serialized", serialized)
    stock = replace(S3Response, "_bucket_response_delete_keys", delete_keys)


def _authorize_s3(response: S3Response, bucket: str, key: str) -> None:
    caller = _authenticate_s3(response)
    request = _data_request(response, bucket, key)
    if not _is_admitted(response, f"s3:{request.operation}", caller):
        refusal = throttling.REFUSALS["s3"]
        raise _s3_error(refusal.code, refusal.message, refusal.status)
    try:
        request_validation.valid_parameters(response, get_service_model("s3").operation_model(request.operation))
    except request_validation.InvalidRequestError as invalid:
        raise _s3_error(invalid.code, str(invalid), _BAD_REQUEST) from invalid
    if request.operation == "DeleteObjects":
        response.__dict__["_podshare_refused_keys"] = _refused_keys(response, caller, request)
        return
    try:
        for check in s3_data.checks(request):
            s3_data.authorize(caller, check, response.region)
        for use in s3_encryption.checks(caller, request):
            authorize.authorize(caller, [use])
            _check_key(use.resource)
    except AccessDenied as denied:
        raise _s3_error("AccessDenied", str(denied), _FORBIDDEN) from denied


def _check_key(arn: str) -> None:
    """KMS refuses S3's call with a key that is not there or cannot be used now; S3 passes its words on."""
    if refusal := registrations.of("kms").refusal(arn):
        code, message = refusal
        raise _s3_error(f"KMS.{code}", message, _BAD_REQUEST)


def _authenticate_s3(response: S3Response) -> Principal:
    if not _is_signed(response):
        raise _s3_error("AccessDenied", "Access Denied", _FORBIDDEN)
    try:
        principal = identify(response.get_access_key())
    except UnusableAccount as unusable:
        message = "There is a problem with your AWS account that prevents the operation from completing successfully."
        raise _s3_error("AccountProblem", message, _FORBIDDEN) from unusable
    except UnknownAccessKey as unknown:
        message = "The AWS Access Key Id you provided does not exist in our records."
        raise _s3_error("InvalidAccessKeyId", message, _FORBIDDEN) from unknown
    except ExpiredToken as expired:
        raise _s3_error("ExpiredToken", "The provided token has expired.", _BAD_REQUEST) from expired
    if principal.session and _token(response) != principal.session.token:
        raise _s3_error("InvalidToken", "The provided token is malformed or otherwise invalid.", _BAD_REQUEST)
    if wrong := signatures.what_is_wrong():
        raise _s3_error("SignatureDoesNotMatch", wrong, _FORBIDDEN)
    return principal


def s3_operation(request: Any) -> tuple[str, dict[str, Any]]:
    """The operation of S3 that a request asks for, and what its URL says. Raises werkzeug's NotFound."""
    operation, uri = _S3_OPERATIONS.match(request)
    return str(operation.name), dict(uri)


def _data_request(response: S3Response, bucket: str, key: str) -> DataRequest:
    request = response.normalized_request
    try:
        operation, uri = s3_operation(request)
    except NotFound as error:
        raise NotImplementedError(f"authorization of {request.method} {request.url}: no operation of S3") from error
    response.uri_match = uri
    access_point = registrations.s3.access_point
    point = access_point(request.headers.get("host", "")) or access_point(str(uri.get("Bucket", "")))
    query = parse_qs(urlparse(request.url).query, keep_blank_values=True)
    return DataRequest(
        operation=operation,
        bucket=point.bucket if point else bucket,
        key=key,
        query={name: values[0] for name, values in query.items()},
        headers={name.lower(): value for name, value in request.headers.items()},
        access_point=point,
    )


def _refused_keys(response: S3Response, caller: Principal, request: DataRequest) -> dict[str, str]:
    """DeleteObjects is decided key by key: those that may not be deleted, with the reason."""
    refused = {}
    for entry in _objects(xmltodict.parse(response.body)):
        versioned = {"versionId": entry["VersionId"]} if entry.get("VersionId") else {}
        one = DataRequest(
            request.operation,
            request.bucket,
            entry["Key"],
            {**request.query, **versioned},
            request.headers,
            request.access_point,
        )
        try:
            for check in s3_data.checks(one):
                s3_data.authorize(caller, check, response.region)
        except AccessDenied as denied:
            refused[entry["Key"]] = str(denied)
    return refused


def _objects(document: Mapping[str, Any]) -> list[dict[str, str]]:
    objects = document["Delete"].get("Object", [])
    return objects if isinstance(objects, list) else [objects]


def _delete_allowed_keys(response: S3Response, refused: Mapping[str, str], delete: Any) -> Any:
    """Let moto delete the rest, and report the refused keys as S3 does, within a successful answer."""
    document = xmltodict.parse(response.body, strip_whitespace=False)
    allowed = [entry for entry in _objects(document) if entry["Key"] not in refused]
    errors = "".join(
        f"<Error><Key>{escape(key)}</Key><Code>AccessDenied</Code><Message>{escape(reason)}</Message></Error>"
        for key, reason in refused.items()
    )
    if not allowed:
        return 200, {}, f'<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{errors}</DeleteResult>'
    document["Delete"]["Object"] = allowed
    response.body = xmltodict.unparse(document).encode()
    status, headers, body = delete()
    return status, headers, body.replace("</DeleteResult>", f"{errors}</DeleteResult>")


def _s3_error(code: str, message: str, status: int) -> S3ClientError:
    error = S3ClientError(code, message)
    error.http_status = status  # type: ignore[attr-defined]  # read by moto_extension
    return error
