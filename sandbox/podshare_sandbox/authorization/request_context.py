"""Condition keys that a call's own parameters give: one function per service that has such keys."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from moto.dynamodb.models import dynamodb_backends
from moto.iam.models import iam_backends

from podshare_sandbox.authorization import registrations, tags
from podshare_sandbox.authorization.call import Call
from podshare_sandbox.authorization.conditions import Values
from podshare_sandbox.authorization.sessions import PARTITION, transitive_tags


def context_of(call: Call, prefix: str) -> dict[str, Values]:
    """The keys (lower case) that ``call`` sets, those without a value left out."""
    keys = {**(_KEYS[prefix](call) if prefix in _KEYS else {}), **registrations.of(prefix).keys(call)}
    inherited = transitive_tags(call.caller.session) if call.operation == "AssumeRole" else {}
    return {
        "aws:requestedregion": call.region,
        **{key: value for key, value in call.origin.items() if (prefix, key) not in _UNSUPPORTED},
        **tags.request_context(call.parameters, inherited),
        **{key: value for key, value in keys.items() if value},
    }


# "The following services do not currently support aws:ViaAWSService"
_UNSUPPORTED = {(prefix, "aws:viaawsservice") for prefix in ("ec2", "glue", "lakeformation", "opsworks")}

Keys = Mapping[str, Values]


def _iam(call: Call) -> Keys:
    return {
        "iam:permissionsboundary": call.first("PermissionsBoundary") or _present_boundary(call),
        "iam:policyarn": call.first("PolicyArn"),
        "iam:awsservicename": call.first("AWSServiceName"),
    }


def _present_boundary(call: Call) -> str:
    """The boundary that the role in question has already."""
    name = call.first("RoleName")
    if not name or call.operation == "CreateRole":
        return ""
    roles = list(iam_backends[call.account][PARTITION].roles.values())
    return next((role.permissions_boundary_arn or "" for role in roles if role.name == name), "")


def _sts(call: Call) -> Keys:
    return {
        "sts:externalid": call.first("ExternalId"),
        "sts:rolesessionname": call.first("RoleSessionName"),
        "sts:sourceidentity": session_source_identity(call),
        "sts:transitivetagkeys": tuple(call.parameters.get("TransitiveTagKeys") or ()),
    }


def session_source_identity(call: Call) -> str:
    """The source identity of the session to be: once set, it stays through all further roles."""
    inherited = call.caller.session.request.source_identity if call.caller.session else None
    return call.first("SourceIdentity") or inherited or ""


def _eks(call: Call) -> Keys:
    scope = call.parameters.get("accessScope") or {}
    return {
        "eks:clustername": call.first("clusterName"),
        "eks:principalarn": call.first("principalArn"),
        "eks:policyarn": call.first("policyArn"),
        "eks:accessscope": scope.get("type", ""),
        "eks:namespaces": tuple(scope.get("namespaces") or ()),
        "eks:kubernetesgroups": tuple(call.parameters.get("kubernetesGroups") or ()),
        "eks:username": call.first("username"),
        "eks:accessentrytype": call.first("type") or ("STANDARD" if call.operation == "CreateAccessEntry" else ""),
    }


def _s3_control(call: Call) -> Keys:
    name, account = call.first("Name"), call.first("AccountId")
    vpc = call.parameters.get("VpcConfiguration")
    return {
        "s3:dataaccesspointaccount": account if name else "",
        "s3:dataaccesspointarn": f"arn:aws:s3:{call.region}:{account}:accesspoint/{name}" if name else "",
        "s3:accesspointnetworkorigin": ("VPC" if vpc else "Internet") if call.operation == "CreateAccessPoint" else "",
    }


def _kms(call: Call) -> Keys:
    constraints = tuple(call.parameters.get("Constraints") or ())
    return {
        "kms:calleraccount": call.account,
        "kms:granteeprincipal": call.first("GranteePrincipal"),
        "kms:grantoperations": tuple(call.parameters.get("Operations") or ()),
        "kms:grantconstrainttype": constraints[0] if constraints else "",
        "kms:retiringprincipal": call.first("RetiringPrincipal"),
        "kms:grantisforawsresource": "false" if call.operation in ("CreateGrant", "ListGrants", "RevokeGrant") else "",
    }


def _lambda(call: Call) -> Keys:
    function = call.first("FunctionName")
    if call.operation in ("CreateEventSourceMapping", "UpdateEventSourceMapping") and not function.startswith("arn:"):
        function = f"arn:aws:lambda:{call.region}:{call.account}:function:{function}"
    return {"lambda:functionarn": function, "lambda:principal": call.first("Principal")}


def _events(call: Call) -> Keys:
    """Of events that are put, or that the rule's pattern asks for ("Using IAM policy conditions in EventBridge")."""
    targets = tuple(target["Arn"] for target in call.parameters.get("Targets") or ())
    entries = call.parameters.get("Entries") or ()
    pattern = _pattern(call.first("EventPattern"))
    return {
        "events:targetarn": targets,
        "events:source": tuple(entry.get("Source", "") for entry in entries) or _texts(pattern, "source"),
        "events:detail-type": tuple(entry.get("DetailType", "") for entry in entries) or _texts(pattern, "detail-type"),
    }


def _pattern(text: str) -> Mapping[str, Any]:
    """What is no pattern EventBridge itself refuses."""
    try:
        pattern = json.loads(text or "{}")
    except ValueError:
        return {}
    return pattern if isinstance(pattern, Mapping) else {}


def _texts(pattern: Mapping[str, Any], member: str) -> tuple[str, ...]:
    return tuple(value for value in pattern.get(member) or () if isinstance(value, str))


def _sns(call: Call) -> Keys:
    return {"sns:protocol": call.first("Protocol"), "sns:endpoint": call.first("Endpoint")}


# --- DynamoDB: the keys and attributes of the items in question ---------------------------------------------

_EQUALITY = re.compile(r"([#\w.-]+)\s*=\s*(:\w+)")


def _dynamodb(call: Call) -> Keys:
    return {
        "dynamodb:leadingkeys": tuple(dict.fromkeys(_leading_keys(call))),
        "dynamodb:attributes": tuple(dict.fromkeys(_attributes(call))),
        "dynamodb:select": call.first("Select"),
        "dynamodb:returnvalues": call.first("ReturnValues"),
        "dynamodb:enclosingoperation": call.first("EnclosingOperation"),
    }


def _leading_keys(call: Call) -> Iterator[str]:
    for table, item in _items(call):
        key = _hash_key(call, table)
        if key and key in item:
            yield str(next(iter(item[key].values())))
    expression = call.first("KeyConditionExpression")
    names = call.parameters.get("ExpressionAttributeNames") or {}
    values = call.parameters.get("ExpressionAttributeValues") or {}
    hash_key = _hash_key(call, call.first("TableName")) if expression else None
    for name, value in _EQUALITY.findall(expression):
        if names.get(name, name) == hash_key and value in values:
            yield str(next(iter(values[value].values())))


def _items(call: Call) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each key or item of the call with the name of its table."""
    for parameter in ("Key", "Item"):
        if parameter in call.parameters:
            yield call.first("TableName"), call.parameters[parameter]
    for table, requests in (call.parameters.get("RequestItems") or {}).items():
        if isinstance(requests, Mapping):
            yield from ((table, key) for key in requests.get("Keys", ()))
        else:
            for request in requests:
                for body in request.values():
                    yield table, body.get("Item") or body.get("Key") or {}


def _hash_key(call: Call, table: str) -> str | None:
    known: Any = dynamodb_backends[call.account][call.region].tables.get(table.rpartition("/")[2])
    return known.hash_key_attr if known else None


def _attributes(call: Call) -> Iterator[str]:
    """Attributes named outright: those of items, keys and projections (not of other expressions)."""
    for _, item in _items(call):
        yield from item
    names = call.parameters.get("ExpressionAttributeNames") or {}
    yield from names.values()
    yield from call.parameters.get("AttributesToGet") or ()
    for attribute in filter(None, call.first("ProjectionExpression").replace(" ", "").split(",")):
        yield names.get(attribute, attribute.split(".")[0].split("[")[0])


_KEYS: dict[str, Callable[[Call], Keys]] = {
    "iam": _iam,
    "sts": _sts,
    "eks": _eks,
    "s3": _s3_control,
    "kms": _kms,
    "lambda": _lambda,
    "events": _events,
    "sns": _sns,
    "dynamodb": _dynamodb,
}
