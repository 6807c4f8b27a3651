"""Which operations of AWS are called by podshare, by its users' tools and on the walk through AWS's post: derived.

Permissions of the templates name what podshare's functions call, and whom they let call it; the command's own code and
the documentation's ``aws`` commands name the rest. Only what nothing in this project spells out is listed here.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import botocore.session
from botocore import xform_name
from botocore.exceptions import UnknownServiceError
from botocore.model import OperationModel, ServiceModel

ROOT = Path(__file__).parents[2]
_TEMPLATES = [ROOT / "template.yaml", *sorted((ROOT / "accounts").glob("*.yaml"))]
_DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_COMMAND = sorted((ROOT / "podshare_cli").rglob("*.py"))

_PERMISSION = re.compile(r"\b([a-z0-9]+):([A-Z][A-Za-z]+)\b")
_TYPED = re.compile(r"\baws ([a-z0-9-]+) ([a-z][a-z0-9-]+)")

# IAM's prefix of a service is not always botocore's name of it; some services share one
_SERVICES = {
    "states": ("stepfunctions",),
    "s3": ("s3", "s3control"),
    "s3api": ("s3",),
    "dynamodb": ("dynamodb", "dynamodbstreams"),
}
# permissions that are named unlike the operations that need them (Service Authorization Reference)
_NAMED_OTHERWISE = {
    "lambda:InvokeFunction": "Invoke",
    "s3:ListBucket": "ListObjectsV2",
    "s3:ListMultipartUploadParts": "ListParts",
    "s3:GetEncryptionConfiguration": "GetBucketEncryption",
}
# neither X-Ray nor AWS Health is emulated (docs/sandbox.md, "What is not emulated")
_NOT_EMULATED = {"xray", "health"}

# hyp, the command of sagemaker-hyperpod: `hyp set-cluster-context`, `hyp list-cluster`
_HYP = {
    "sts": ["GetCallerIdentity"],
    "iam": ["GetRole"],
    "eks": ["DescribeCluster", "DescribeAccessEntry", "ListAccessEntries", "ListAssociatedAccessPolicies"],
    "sagemaker": ["ListClusters", "DescribeCluster", "ListClusterNodes"],
}
# the walk by hand through AWS's post "multi-account support for SageMaker HyperPod task governance"
_POST = {
    "sts": ["AssumeRole", "GetCallerIdentity"],
    "iam": ["CreateRole", "CreatePolicy", "AttachRolePolicy", "PutRolePolicy", "UpdateAssumeRolePolicy", "GetRole"],
    "eks": [
        *("DescribeCluster", "UpdateClusterConfig", "CreateAccessEntry", "DescribeAccessEntry", "ListAccessEntries"),
        *("AssociateAccessPolicy", "ListAccessPolicies", "CreatePodIdentityAssociation", "ListPodIdentityAssociations"),
        "DescribePodIdentityAssociation",
    ],
    "s3": ["PutBucketPolicy", "GetBucketPolicy", "GetObject", "PutObject", "ListObjectsV2", "DeleteObject"],
    "s3control": ["CreateAccessPoint", "PutAccessPointPolicy", "GetAccessPoint", "ListAccessPoints"],
    "sagemaker": ["CreateComputeQuota", "DescribeComputeQuota", "ListComputeQuotas", "CreateClusterSchedulerConfig"],
}

_session = botocore.session.get_session()


@cache
def model(service: str) -> ServiceModel:
    """botocore's model of ``service``."""
    return _session.get_service_model(service)


def called() -> dict[str, list[OperationModel]]:
    """All operations that are called, by botocore's name of their service; both sorted."""
    pairs = {*_of_permissions(), *_of_command(), *_of_documents(), *_of(_HYP), *_of(_POST)}
    pairs -= {("s3control", name) for service, name in pairs if service == "s3"}  # those are for S3 on Outposts
    services = sorted({service for service, _ in pairs} - _NOT_EMULATED)
    return {
        service: [model(service).operation_model(name) for name in sorted(_names(pairs, service))]
        for service in services
    }


def _names(pairs: set[tuple[str, str]], service: str) -> set[str]:
    return {name for owner, name in pairs if owner == service}


def _of(listed: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    return ((service, name) for service, names in listed.items() for name in names)


def _of_permissions() -> Iterator[tuple[str, str]]:
    """Of permissions that belong to no operation (iam:PassRole) there is nothing to call."""
    for template in _TEMPLATES:
        for prefix, action in _PERMISSION.findall(template.read_text(encoding="utf-8")):
            name = _NAMED_OTHERWISE.get(f"{prefix}:{action}", action)
            yield from ((service, name) for service in _services(prefix) if name in model(service).operation_names)


def _of_command() -> Iterator[tuple[str, str]]:
    """A method of the name that a client of one of the services that the command asks for has."""
    nodes = [node for path in _COMMAND for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    calls = [node for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    asked = {_text(call) for call in calls if call.func.attr == "client"} - {""}
    methods = {_text(call) if call.func.attr == "get_paginator" else call.func.attr for call in calls}
    for service in sorted(asked):
        for name in model(service).operation_names:
            if xform_name(name) in methods:
                yield service, name


def _text(call: ast.Call) -> str:
    first = call.args[0] if call.args else None
    return str(first.value) if isinstance(first, ast.Constant) else ""


def _of_documents() -> Iterator[tuple[str, str]]:
    for document in _DOCUMENTS:
        for typed, command in _TYPED.findall(document.read_text(encoding="utf-8")):
            for service in _services(typed):
                names = {xform_name(name, "-"): name for name in model(service).operation_names}
                if command in names:
                    yield service, names[command]


def _services(prefix: str) -> list[str]:
    return [service for service in _SERVICES.get(prefix, (prefix,)) if _is_known(service)]


@cache
def _is_known(service: str) -> bool:
    try:
        model(service)
    except UnknownServiceError:
        return False
    return True
