"""CloudTrail: what is told on EventBridge of the calls that change something.

Organizations is told always (:mod:`podshare_sandbox.services.organizations.trail`); IAM, EKS, SageMaker, S3, KMS and
Systems Manager once a trail is started, on the default bus of the caller's account, in the call's Region, IAM's in
us-east-1. AWS takes some minutes for that.

Sources: "CloudTrail record contents", "CloudTrail userIdentity element", "Events from AWS services via CloudTrail" in
the EventBridge User Guide. That EKS' parameters are told by their names in the URL, encoded as they stood there, is
seen in published events of AssociateAccessPolicy; S3's ``bucketName`` and ``bucketPolicy`` in those of
PutBucketPolicy. KMS tells the key among ``resources`` (KMS Developer Guide, "RevokeGrant"). The parameters of all
others are the API's own with small letters at the beginning, which is how CloudTrail writes what is published of them.
"""

import copy
import json
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import quote

from botocore.model import ListShape, OperationModel, Shape, StructureShape
from botocore.parsers import create_parser
from moto.core.common_types import TYPE_RESPONSE
from moto.core.responses import BaseResponse
from moto.core.routing import ServiceOperationRouter
from moto.core.utils import get_service_model
from moto.s3.responses import S3Response
from werkzeug.exceptions import NotFound

from podshare_sandbox import authorization, clock, delivery
from podshare_sandbox.authorization import Principal, UnknownAccessKey
from podshare_sandbox.moto_repair import repair

REGION_OF_IAM = "us-east-1"

_READS = ("Describe", "Get", "List", "Head", "Simulate", "Generate", "Encrypt", "Decrypt", "ReEncrypt")
_SERVICES = ("iam", "eks", "sagemaker", "s3control", "kms", "ssm")
_BUCKET_CALLS = {
    "PutBucketPolicy": "PutBucketPolicy",
    "DeleteBucketPolicy": "DeleteBucketPolicy",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeletePublicAccessBlock": "DeleteBucketPublicAccessBlock",
}
_FAILED = 300

_started = False


def install() -> None:
    """Be ready to tell of calls; idempotent. Raises RuntimeError where moto has lost a hook."""
    repair(BaseResponse, "call_action", _telling_calls)
    repair(S3Response, "bucket_response", _telling_bucket_calls)


def start() -> None:
    """Tell of calls from now on, until :func:`stop`."""
    global _started  # noqa: PLW0603  # one process has one organization
    _started = True


def stop() -> None:
    """Tell of no call any more."""
    global _started  # noqa: PLW0603  # as above
    _started = False


# ---- what a record holds ------------------------------------------------------------------------------------


def record(name: str, account: str, source: str, region: str) -> dict[str, Any]:
    """What every record has; ``source`` is a service's host such as ``iam.amazonaws.com``."""
    return {
        "eventVersion": "1.08",
        "eventTime": f"{clock.now():%Y-%m-%dT%H:%M:%SZ}",
        "eventSource": source,
        "eventName": name,
        "awsRegion": region,
        "eventID": str(uuid.uuid4()),
        "readOnly": False,
        "managementEvent": True,
        "recipientAccountId": account,
        "eventCategory": "Management",
    }


def call_record(
    name: str,
    source: str,
    region: str,
    caller: Principal,
    response: BaseResponse,
    *,
    asked: Mapping[str, Any],
    answered: Mapping[str, Any],
    error: Mapping[str, Any],
) -> dict[str, Any]:
    """The record of a call; ``error`` has ``Code`` and ``Message``, and is empty where the call succeeded."""
    failed = {"errorCode": _error_code(error), "errorMessage": str(error.get("Message") or "")} if error else {}
    return {
        **record(name, caller.account, source, region),
        "userIdentity": identity(caller, response.get_access_key()),
        "sourceIPAddress": "127.0.0.1",
        "userAgent": response.headers.get("User-Agent", ""),
        **failed,
        "requestParameters": dict(asked) or None,
        "responseElements": None if failed else dict(answered) or None,
        "requestID": str(uuid.uuid4()),
        "eventType": "AwsApiCall",
    }


def caller_of(response: BaseResponse) -> Principal | None:
    """Who calls; None where CloudTrail has no account to tell."""
    try:
        return authorization.identify(response.get_access_key())
    except (UnknownAccessKey, authorization.ExpiredToken):
        return None


def identity(caller: Principal, access_key: str) -> dict[str, Any]:
    """ "CloudTrail userIdentity element": of a user or of an assumed role."""
    told = {
        "type": "AssumedRole" if caller.session else "IAMUser",
        "principalId": caller.user_id,
        "arn": caller.arn,
        "accountId": caller.account,
        "accessKeyId": access_key,
    }
    if caller.session is None:
        return {**told, "userName": caller.arn.rpartition("/")[2]}
    issuer = {
        "type": "Role",
        "principalId": caller.session.role_id,
        "arn": caller.role_arn,
        "accountId": caller.account,
        "userName": str(caller.role_arn).rpartition("/")[2],
    }
    began = {"creationDate": f"{caller.session.issued_at:%Y-%m-%dT%H:%M:%SZ}", "mfaAuthenticated": "false"}
    return {**told, "sessionContext": {"sessionIssuer": issuer, "attributes": began}}


def small(name: str) -> str:
    """A name as CloudTrail begins it."""
    return name[:1].lower() + name[1:]


def moment(when: datetime) -> str:
    """``Sep 16, 2020 9:20:50 PM``."""
    hour = when.hour % 12 or 12
    return f"{when:%b} {when.day}, {when.year} {hour}:{when:%M:%S %p}"


def _error_code(error: Mapping[str, Any]) -> str:
    """CloudTrail shortens the code of a refusal."""
    code = str(error.get("Code", ""))
    return "AccessDenied" if code == "AccessDeniedException" else code


# ---- calls --------------------------------------------------------------------------------------------------


def _telling_calls(original: Callable[[BaseResponse], TYPE_RESPONSE]) -> Callable[[BaseResponse], TYPE_RESPONSE]:
    def call_action(response: BaseResponse) -> TYPE_RESPONSE:
        operation = response._get_action() if _started and response.service_name in _SERVICES else ""
        if not operation or operation.startswith(_READS):
            return original(response)
        caller = caller_of(response)  # before the call, which may take the caller's own role away
        answer = original(response)
        if caller:
            _tell(response, operation, caller, answer)
        return answer

    return call_action


def _tell(response: BaseResponse, operation: str, caller: Principal, answer: TYPE_RESPONSE) -> None:
    service = str(response.service_name)
    model = get_service_model(service).operation_model(operation)
    response.parse_parameters(response.normalized_request)
    asked = _parameters(model, dict(response.params), encoded=service == "eks")
    result = _parsed(model, answer)
    error = result.pop("Error", {})
    answered = {} if service == "s3control" else _elements(result)
    told = {"asked": asked, "answered": answered, "error": error}
    region = REGION_OF_IAM if service == "iam" else response.region
    name = "s3" if service == "s3control" else service
    record_of_call = call_record(operation, f"{name}.amazonaws.com", region, caller, response, **told)
    _put(name, {**record_of_call, **(_about_a_key(record_of_call) if service == "kms" else {})})


def _about_a_key(told: Mapping[str, Any]) -> dict[str, Any]:
    """The key among ``resources``; of RetireGrant nothing that was asked is told ("RetireGrant", as above)."""
    asked, account = told["requestParameters"] or {}, told["recipientAccountId"]
    if "keyId" not in asked:
        return {}
    key = f"arn:aws:kms:{told['awsRegion']}:{account}:key/{asked['keyId'].rpartition('/')[2]}"
    resources = [{"accountId": account, "type": "AWS::KMS::Key", "ARN": key}]
    if told["eventName"] != "RetireGrant":
        return {"resources": resources}
    return {
        "resources": resources,
        "requestParameters": None,
        "additionalEventData": {"grantId": asked.get("grantId")},
    }


def _telling_bucket_calls(original: Callable[..., TYPE_RESPONSE]) -> Callable[..., TYPE_RESPONSE]:
    def bucket_response(response: S3Response, request: Any, full_url: str, headers: Any) -> TYPE_RESPONSE:
        answer = original(response, request, full_url, headers)
        if _started:
            _tell_bucket_call(response, answer)
        return answer

    return bucket_response


def _tell_bucket_call(response: S3Response, answer: TYPE_RESPONSE) -> None:
    try:
        model, uri = _s3_operations().match(response.normalized_request)
    except NotFound:
        return
    caller = caller_of(response)
    if model.name not in _BUCKET_CALLS or caller is None:
        return
    bucket = str(uri.get("Bucket", ""))
    asked: dict[str, Any] = {"bucketName": bucket, "Host": response.normalized_request.host}
    if model.name == "PutBucketPolicy":
        asked["bucketPolicy"] = json.loads(response.body or "{}")
    error = _parsed(model, answer).get("Error", {})
    region = response.region if error else response.backend.head_bucket(bucket).region_name
    told = {"asked": asked, "answered": {}, "error": error}
    _put("s3", call_record(_BUCKET_CALLS[model.name], "s3.amazonaws.com", region, caller, response, **told))


@cache
def _s3_operations() -> ServiceOperationRouter:
    """By a copy: botocore's client of S3 cuts the bucket out of the paths of the model that all share."""
    return ServiceOperationRouter(copy.deepcopy(get_service_model("s3")))


def _put(service: str, detail: dict[str, Any]) -> None:
    event = {"source": f"aws.{service}", "detail-type": "AWS API Call via CloudTrail", "detail": detail}
    delivery.put_event(detail["recipientAccountId"], detail["awsRegion"], event)


# ---- an API's parameters in the words of CloudTrail ---------------------------------------------------------


def _parameters(model: OperationModel, given: Mapping[str, Any], *, encoded: bool) -> dict[str, Any]:
    """What was asked; a parameter that stands in the URL has the URL's name for it."""
    told: dict[str, Any] = {}
    if model.input_shape is None:
        return told
    for name, value in given.items():
        shape = model.input_shape.members[name]
        in_url = shape.serialization.get("location") == "uri"
        key = shape.serialization["name"].rstrip("+") if in_url else name
        told[small(key)] = quote(str(value), safe="") if in_url and encoded else _worded(value, shape)
    return told


def _worded(value: Any, shape: Shape) -> Any:
    if isinstance(shape, StructureShape):
        return {small(name): _worded(member, shape.members[name]) for name, member in value.items()}
    if isinstance(shape, ListShape):
        return [_worded(member, shape.member) for member in value]
    return moment(value.astimezone(UTC)) if isinstance(value, datetime) else value


def _elements(value: Any) -> Any:
    """What was answered."""
    if isinstance(value, dict):
        return {small(name): _elements(member) for name, member in value.items() if name != "ResponseMetadata"}
    if isinstance(value, list):
        return [_elements(member) for member in value]
    return moment(value.astimezone(UTC)) if isinstance(value, datetime) else value


def _parsed(model: OperationModel, answer: TYPE_RESPONSE) -> dict[str, Any]:
    status, headers, body = answer
    raw = body if isinstance(body, bytes) else str(body or "").encode()
    response = {"status_code": status, "headers": {**headers}, "body": raw}
    parser: Any = create_parser(model.service_model.metadata["protocol"])  # an operation without output has no shape
    found: dict[str, Any] = parser.parse(response, model.output_shape)
    return found if status >= _FAILED else {name: part for name, part in found.items() if name != "Error"}
