"""The grammar of identity, session, trust and control policies, as AWS checks it when a document is handed in.

Source: IAM User Guide, "Grammar of the IAM JSON policy language"; the sentences are the services' own.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from podshare_sandbox.authorization import catalog
from podshare_sandbox.authorization.conditions import is_operator

Document = dict[str, Any]

_TOP = {"Version", "Id", "Statement"}
_VERSIONS = {"2008-10-17", "2012-10-17"}
_STATEMENT = {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal"}
_STATEMENT.add("Condition")
_EXCLUSIVE = (("Action", "NotAction"), ("Resource", "NotResource"), ("Principal", "NotPrincipal"))
_PRINCIPAL_KINDS = {"AWS", "Service", "Federated", "CanonicalUser"}
_SID = re.compile(r"[A-Za-z0-9]*")
_SID_OF_KEY = re.compile(r"[A-Za-z0-9 ]*")  # as the policy that KMS gives to a new key has it
_ACTION = re.compile(r"\*|[A-Za-z0-9\-*?]+:[A-Za-z0-9*?]+")
_PARTITIONS = {"aws", "*"}  # an account of the commercial Regions knows no other
_ARN_PARTS = 6
_TRUST_ACTION = re.compile(r"sts:(\*|[A-Za-z*?]+)", re.IGNORECASE)
_SYNTAX = "Syntax errors in policy."


class Malformed(ValueError):  # noqa: N818  # AWS: MalformedPolicyDocument
    """The document breaks the grammar; the text is the service's sentence."""


def check_identity_policy(text: str) -> Document:
    """The document of an identity or session policy. Raises Malformed."""
    document = _parsed(text)
    for statement in statements(document):
        if "Principal" in statement or "NotPrincipal" in statement:
            raise Malformed("Policy document should not specify a principal.")
        if "Resource" not in statement and "NotResource" not in statement:
            raise Malformed("Policy statement must contain resources.")
    return document


def check_resource_control_policy(text: str) -> Document:
    """The document of a customer's resource control policy. Raises Malformed.

    Source: AWS Organizations User Guide, "RCP syntax": it denies, to everybody, actions of services that it names.
    """
    document = _parsed(text)
    for statement in statements(document):
        if statement["Effect"] != "Deny" or statement.get("Principal") != "*" or "NotAction" in statement:
            raise Malformed(_SYNTAX)
        if "*" in listed(statement["Action"]) or not {"Resource", "NotResource"} & statement.keys():
            raise Malformed(_SYNTAX)
    return document


def check_key_policy(text: str) -> Document:
    """The document of a KMS key's policy; whether its principals exist is not grammar. Raises Malformed.

    Source: KMS Developer Guide, "Creating a key policy": Principal, Action and Resource are required, and a Sid may
    have spaces.
    """
    document = _parsed(text, _SID_OF_KEY)
    for statement in statements(document):
        if "Principal" not in statement and "NotPrincipal" not in statement:
            raise Malformed("Policy contains a statement with no principal.")
        if "Resource" not in statement and "NotResource" not in statement:
            raise Malformed("Policy statement must contain resources.")
    return document


def check_trust_policy(text: str) -> Document:
    """The document of a role's trust policy; whether its principals exist is not grammar. Raises Malformed."""
    document = _parsed(text)
    for statement in statements(document):
        for field in ("Resource", "NotResource"):
            if field in statement:
                raise Malformed(f"Has prohibited field {field}")
        if "Principal" not in statement and "NotPrincipal" not in statement:
            raise Malformed("Missing required field Principal")
        if not all(_TRUST_ACTION.fullmatch(action) for action in listed(statement.get("Action", "sts:*"))):
            raise Malformed("AssumeRole policy may only specify STS AssumeRole actions.")
    return document


def statements(document: Document) -> list[Document]:
    """The statements; a single one may stand without a list."""
    found: list[Document] = listed(document["Statement"])
    return found


def listed(value: Any) -> list[Any]:
    """A policy's list, of which a single element may stand without brackets."""
    return value if isinstance(value, list) else [value]


def principals(document: Document, kind: str) -> Iterator[str]:
    """Every principal of ``kind`` (AWS, Service …) that the document names."""
    for statement in statements(document):
        for element in ("Principal", "NotPrincipal"):
            named = statement.get(element, {})
            if isinstance(named, dict):
                yield from listed(named.get(kind, []))


def _parsed(text: str, sids_are: re.Pattern[str] = _SID) -> Document:
    try:
        document = json.loads(text, object_pairs_hook=_without_duplicates)
    except ValueError as error:
        raise Malformed("This policy contains invalid Json") from error
    if not isinstance(document, dict) or not document.keys() <= _TOP or "Statement" not in document:
        raise Malformed(_SYNTAX)
    if document.get("Version", "2008-10-17") not in _VERSIONS:
        raise Malformed("Policy document must be version 2012-10-17 or greater.")
    if not statements(document):
        raise Malformed(_SYNTAX)
    for statement in statements(document):
        _check_statement(statement, sids_are)
    sids = [statement["Sid"] for statement in statements(document) if statement.get("Sid")]
    if len(sids) != len(set(sids)):
        raise Malformed("Statement IDs (SID) in a single policy must be unique.")
    return document


def _without_duplicates(pairs: list[tuple[str, Any]]) -> Document:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("duplicate key")
    return dict(pairs)


def _check_statement(statement: Any, sids_are: re.Pattern[str]) -> None:
    if not isinstance(statement, dict) or not statement.keys() <= _STATEMENT:
        raise Malformed(_SYNTAX)
    if statement.get("Effect") not in ("Allow", "Deny"):
        raise Malformed(_SYNTAX)
    if any(one in statement and other in statement for one, other in _EXCLUSIVE):
        raise Malformed(_SYNTAX)
    sid = statement.get("Sid", "")
    if not isinstance(sid, str) or not sids_are.fullmatch(sid):
        raise Malformed("Statement IDs (SID) must be alpha-numeric. Check that your input satisfies [0-9A-Za-z]*.")
    _check_actions(statement)
    _check_resources(statement)
    _check_principals(statement)
    _check_condition(statement.get("Condition", {}))


def _texts(statement: Document, *elements: str) -> list[str]:
    found = [value for element in elements if element in statement for value in listed(statement[element])]
    if not all(isinstance(value, str) for value in found):
        raise Malformed(_SYNTAX)
    return found


def _check_actions(statement: Document) -> None:
    actions = _texts(statement, "Action", "NotAction")
    if not actions:
        raise Malformed("Policy statement must contain actions.")
    for action in actions:
        if action != "*" and ":" not in action:
            raise Malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
        if action.count(":") > 1:
            raise Malformed("Actions/Condition can contain only one colon.")
        if not _ACTION.fullmatch(action):
            raise Malformed(f"Vendor {action.split(':')[0]} is not valid")


def _check_resources(statement: Document) -> None:
    resources = _texts(statement, "Resource", "NotResource")
    if not resources and statement.keys() & {"Resource", "NotResource"}:
        raise Malformed("Policy statement must contain resources.")
    for resource in resources:
        if resource != "*":
            _check_arn(resource)


def _check_arn(resource: str) -> None:
    """Source: IAM User Guide, "Amazon Resource Names (ARNs)"; the sentences are IAM's, as moto has collected them."""
    if not resource.startswith("arn:"):
        raise Malformed(f'Resource {resource} must be in ARN format or "*".')
    _, partition, service, region, account, path = (resource.split(":", _ARN_PARTS - 1) + [""] * _ARN_PARTS)[
        :_ARN_PARTS
    ]
    if partition not in _PARTITIONS:
        arn = resource if path else f"arn:{partition}:" + ":".join(p or "*" for p in (service, region, account, path))
        raise Malformed(f'Partition "{partition}" is not valid for resource "{arn}".')
    if not service or re.search(r"[*?]", service):
        raise Malformed("Resource vendor must be fully qualified and cannot contain regexes.")
    if service == "iam" and region:
        raise Malformed(f"IAM resource {resource} cannot contain region information.")
    if service == "s3" and region and not path.startswith(catalog.resource_paths("s3", in_region=True)):
        raise Malformed(f"Resource {resource} can not contain region information.")
    if (
        service == "iam"
        and path not in {"", "*"}
        and not path.startswith(catalog.resource_paths("iam", in_region=False))
    ):
        starts = ", ".join(catalog.resource_paths("iam", in_region=False))
        raise Malformed(f'IAM resource path must either be "*" or start with {starts}.')
    if "::" in resource and resource.count(":") < _ARN_PARTS - 1:
        raise Malformed("The policy failed legacy parsing")


def _check_principals(statement: Document) -> None:
    for element in ("Principal", "NotPrincipal"):
        named = statement.get(element)
        if named is None or named == "*":
            continue
        if not isinstance(named, dict) or not named or not named.keys() <= _PRINCIPAL_KINDS:
            raise Malformed(_SYNTAX)
        if not all(isinstance(one, str) and one for names in named.values() for one in listed(names)):
            raise Malformed(_SYNTAX)
        if [] in named.values():
            raise Malformed(f"Missing required field {element} cannot be empty!")


def _check_condition(condition: Any) -> None:
    if not isinstance(condition, dict):
        raise Malformed(_SYNTAX)
    for operator, tests in condition.items():
        if not is_operator(operator):
            raise Malformed(f"Invalid Condition type : {operator}.")
        if not isinstance(tests, dict) or not tests:
            raise Malformed(_SYNTAX)
        for key, values in tests.items():
            if ":" not in key:
                raise Malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
            if not all(isinstance(value, str | bool | int | float) for value in listed(values)):
                raise Malformed(_SYNTAX)
