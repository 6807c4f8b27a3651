"""IAM as strict as AWS: documents, principals, boundaries, names and quotas that moto lets pass.

Trust policies keep the roles and users that they name by unique id: what is deleted shows as AROA… or AIDA…,
and a role made anew under the same ARN is another principal.

Sources: IAM API Reference; IAM User Guide, "IAM and AWS STS quotas" and "AWS JSON policy elements: Principal".
"""

import copy
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

from botocore import xform_name
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse
from moto.core.utils import get_service_model
from moto.iam.exceptions import (
    DeleteConflictException,
    EntityAlreadyExists,
    InvalidInput,
    LimitExceededException,
    MalformedPolicyDocument,
    NotFoundException,
    ValidationError,
)
from moto.iam.models import Group, IAMBackend, ManagedPolicy, Policy, Role, User, iam_backends
from moto.iam.policy_validation import IAMPolicyDocumentValidator, IAMTrustPolicyDocumentValidator
from moto.iam.responses import IamResponse
from moto.iam.utils import generate_access_key_id_from_account_id

from podshare_sandbox import consistency, managed_policies
from podshare_sandbox.authorization import grammar
from podshare_sandbox.authorization.principals import role_as_known
from podshare_sandbox.authorization.sessions import PARTITION
from podshare_sandbox.moto_extension import broken_constraints, operation_model
from podshare_sandbox.moto_repair import replace
from podshare_sandbox.services import service_principals

# quotas, by their default values; AWS raises the first to 8,192 on request, and that of roles (``allow_roles``)
LONGEST_TRUST_POLICY = 2048  # characters, white space included
LONGEST_INLINE_POLICIES = {Role: 10240, User: 2048, Group: 5120}  # characters of all together, no white space
LONGEST_MANAGED_POLICY = 6144  # characters, no white space
MOST_ATTACHED_POLICIES = 20
MOST_POLICY_VERSIONS = 5
MOST_TAGS = 50

_FAILED = 400
_PRINCIPAL_ARN = re.compile(r"arn:aws:iam::(?P<account>\d{12}):(?P<kind>role|user)/.+")
_SESSION_ARN = re.compile(r"arn:aws:sts::(?P<account>\d{12}):assumed-role/(?P<role>[^/]+)/[\w+=,.@-]+")
_ACCOUNT = re.compile(r"\d{12}|arn:aws:iam::\d{12}:root")
_UNIQUE_ID = re.compile(r"A(RO|ID)A[A-Z0-9]+")

Entity = Role | User | Group


# --- trust policies -----------------------------------------------------------------------------------------


class _TrustPolicy:
    """A role's trust policy, as text; the roles and users that it names are kept by unique id."""

    def __get__(self, role: Role | None, kind: type | None = None) -> Any:
        if role is None:
            return self
        text, ids = role.__dict__["_podshare_trust"]
        gone = {arn: unique_id for arn, unique_id in ids.items() if not _is_alive(arn, unique_id)}
        return _renamed(text, gone) if gone else text

    def __set__(self, role: Role, text: str) -> None:
        role.__dict__["_podshare_trust"] = (text, dict(_unique_ids(text)))


def _unique_ids(text: str) -> Iterator[tuple[str, str]]:
    """The ARNs of roles and users in a trust policy with their ids; moto makes service-linked roles without one."""
    for name in grammar.principals(json.loads(text), "AWS") if text else ():
        entity = _entity(name)
        if entity:
            yield name, str(entity.id)


def _entity(arn: str) -> Role | User | None:
    match = _PRINCIPAL_ARN.fullmatch(arn)
    if match is None or match["account"] not in iam_backends:
        return None
    backend = iam_backends[match["account"]][PARTITION]
    entities: Iterable[Role | User] = backend.roles.values() if match["kind"] == "role" else backend.users.values()
    return next((entity for entity in list(entities) if entity.arn == arn), None)


def _is_alive(arn: str, unique_id: str) -> bool:
    entity = _entity(arn)
    return entity is not None and entity.id == unique_id


def _renamed(text: str, names: Mapping[str, str]) -> str:
    document = json.loads(text)
    for statement in grammar.statements(document):
        for element in ("Principal", "NotPrincipal"):
            named = statement.get(element)
            if isinstance(named, dict) and "AWS" in named:
                renamed = [names.get(name, name) for name in grammar.listed(named["AWS"])]
                named["AWS"] = renamed if isinstance(named["AWS"], list) else renamed[0]
    return json.dumps(document)


def _check_trust(text: str) -> None:
    document = _checked(grammar.check_trust_policy, text)
    for name in grammar.principals(document, "AWS"):
        if not _is_known(name):
            raise MalformedPolicyDocument(f'Invalid principal in policy: "AWS":"{name}"')
    for name in grammar.principals(document, "Service"):
        if not service_principals.exists(name):
            raise MalformedPolicyDocument(f'Invalid principal in policy: "SERVICE":"{name}"')
    if len(text) > LONGEST_TRUST_POLICY:
        raise LimitExceededException(f"Cannot exceed quota for ACLSizePerRole: {LONGEST_TRUST_POLICY}")


def _is_known(principal: str) -> bool:
    """Whether the AWS principal exists; wildcards are allowed only for everybody."""
    if principal == "*" or _ACCOUNT.fullmatch(principal):
        return True
    if _UNIQUE_ID.fullmatch(principal):
        return any(unique_id == principal for unique_id in _all_ids())
    session = _SESSION_ARN.fullmatch(principal)
    if session:
        account = session["account"]
        roles = list(iam_backends[account][PARTITION].roles.values()) if account in iam_backends else []
        return any(role.name == session["role"] for role in roles)
    entity = _entity(principal)
    return role_as_known(entity, "iam") is not None if isinstance(entity, Role) else entity is not None


def _all_ids() -> Iterator[str]:
    for backends in list(iam_backends.values()):
        backend = backends[PARTITION]
        yield from list(backend.roles)
        yield from (user.id for user in list(backend.users.values()))


def _checked(check: Callable[[str], grammar.Document], text: str) -> grammar.Document:
    try:
        return check(text)
    except grammar.Malformed as error:
        raise MalformedPolicyDocument(str(error)) from error


# --- roles --------------------------------------------------------------------------------------------------


def allow_roles(account: str, roles: int) -> None:
    """Let an account have so many roles, as AWS does on request, instead of 1,000: a sandbox control."""
    iam_backends[account][PARTITION].account_summary._roles_quota = roles


def _check_number_of_roles(backend: IAMBackend) -> None:
    quota = backend.account_summary._roles_quota
    if len(backend.roles) >= quota:
        raise LimitExceededException(f"Cannot exceed quota for RolesPerAccount: {quota}")


def _roles(backend: IAMBackend) -> list[Role]:
    """moto gives its dictionary's own view away, and whoever walks it may meet a role that is just being made."""
    return list(backend.roles.values())


def _repair_linked_roles() -> None:
    def create(backend: IAMBackend, service_name: str, description: str, suffix: str) -> Role:
        if not service_principals.exists(service_name):
            raise InvalidInput(f"{service_name} is no service principal")
        role: Role = stock(backend, service_name, description, suffix)
        return role

    stock = replace(IAMBackend, "create_service_linked_role", create)


def _repair_roles() -> None:
    replace(IAMBackend, "get_roles", _roles)

    def create_role(  # noqa: PLR0917  # the signature is moto's
        backend: IAMBackend,
        role_name: str,
        assume_role_policy_document: str,
        path: str,
        permissions_boundary: str | None,
        description: str,
        tags: list[dict[str, str]],
        max_session_duration: str | None,
        linked_service: str | None = None,
    ) -> Role:
        if any(role.name.lower() == role_name.lower() for role in backend.get_roles()):
            raise EntityAlreadyExists(f"Role with name {role_name} already exists.")
        _check_boundary(backend, permissions_boundary)
        if not linked_service:  # AWS writes the trust of its own roles, which may go beyond the quota
            _check_trust(assume_role_policy_document)
            _check_number_of_roles(backend)
        role: Role = stock_create(
            backend,
            role_name,
            assume_role_policy_document,
            path,
            permissions_boundary,
            description,
            tags,
            max_session_duration,
            linked_service,
        )
        return role

    def get_role(backend: IAMBackend, role_name: str) -> Role:
        """Reads answer what is known by now; what changes a role needs it to be there, and to be known."""
        role, action = _role_named(backend, role_name), _action.get()
        known = _known_roles(backend).to("iam", role_name.lower(), role) if action else role
        found = known if known is None or action.startswith(_READS) else role
        if found is None:
            raise NotFoundException(f"The role with name {role_name} cannot be found.")
        return found

    def update_role(backend: IAMBackend, role_name: str, description: str | None, duration: str | None) -> Role:
        """What the call leaves out stays as it is."""
        role = get_role(backend, role_name)
        role.description = role.description if description is None else description
        role.max_session_duration = duration or role.max_session_duration
        return role

    def update_role_operation(response: IamResponse) -> ActionResult:
        update_role(
            response.backend,
            response._get_param("RoleName"),
            response._get_param("Description"),
            response._get_param("MaxSessionDuration"),
        )
        return ActionResult({})

    def update_assume_role_policy(backend: IAMBackend, role_name: str, policy_document: str) -> None:
        role = get_role(backend, role_name)
        _check_trust(policy_document)
        role.assume_role_policy_document = policy_document

    def put_boundary(backend: IAMBackend, role_name: str, permissions_boundary: str) -> None:
        role = get_role(backend, role_name)
        _check_boundary(backend, permissions_boundary)
        role.permissions_boundary_arn = permissions_boundary

    def tag_role(backend: IAMBackend, role_name: str, tags: list[dict[str, str]]) -> None:
        """Keys are unique without regard to case; the newest spelling stays."""
        backend._tag_verification(tags)
        role = get_role(backend, role_name)
        merged = {tag["Key"].lower(): tag for tag in [*role.tags, *tags]}
        if len(merged) > MOST_TAGS:
            raise LimitExceededException(f"Cannot exceed quota for TagsPerRole: {MOST_TAGS}")
        role.tags = list(merged.values())

    if "assume_role_policy_document" not in Role.__init__.__code__.co_names:  # set on instances: nothing to replace
        raise RuntimeError("moto has no Role.assume_role_policy_document any more: mend this repair")
    setattr(Role, "assume_role_policy_document", _TrustPolicy())  # noqa: B010  # an attribute of instances in moto
    stock_create = replace(IAMBackend, "create_role", create_role)
    replace(IamResponse, "update_role", update_role_operation)
    replace(IAMBackend, "get_role", get_role)
    replace(IAMBackend, "update_role", update_role)
    replace(IAMBackend, "update_assume_role_policy", update_assume_role_policy)
    replace(IAMBackend, "put_role_permissions_boundary", put_boundary)
    replace(IAMBackend, "tag_role", tag_role)


def _role_named(backend: IAMBackend, name: str) -> Role | None:
    return next((role for role in list(backend.get_roles()) if role.name.lower() == name.lower()), None)


def _check_boundary(backend: IAMBackend, arn: str | None) -> None:
    if arn and _find_policy(backend, arn) is None:
        raise NotFoundException(f"Scope ARN: {arn} does not exist or is not attachable.")


# --- policies -----------------------------------------------------------------------------------------------


def _find_policy(backend: IAMBackend, arn: str) -> ManagedPolicy | None:
    """The managed policy; AWS's own ones become known to an account when they are first asked for."""
    managed_policies.make_available(backend.account_id, arn)
    return backend.managed_policies.get(arn)


def _get_policy(backend: IAMBackend, policy_arn: str) -> ManagedPolicy:
    policy = _find_policy(backend, policy_arn)
    if policy is None:
        raise NotFoundException(f"Policy {policy_arn} was not found.")
    return policy


def _size(text: str) -> int:
    """IAM does not count white space when it sizes inline and managed policies (quotas page)."""
    return len(re.sub(r"\s", "", text))


def _repair_documents() -> None:
    def check_document(validator: IAMPolicyDocumentValidator) -> None:
        _checked(grammar.check_identity_policy, validator._policy_document)

    def check_trust_document(validator: IAMTrustPolicyDocumentValidator) -> None:
        _check_trust(validator._policy_document)

    replace(IAMPolicyDocumentValidator, "validate", check_document)
    replace(IAMTrustPolicyDocumentValidator, "validate", check_trust_document)
    for kind, name in ((Role, "role"), (User, "user"), (Group, "group")):
        _limit_inline_policies(kind, name)


def _limit_inline_policies(kind: type[Entity], name: str) -> None:
    def put_policy(backend: IAMBackend, entity_name: str, policy_name: str, policy_json: str) -> None:
        entity = getattr(backend, f"get_{name}")(entity_name)
        _checked(grammar.check_identity_policy, policy_json)
        others = sum(_size(str(text)) for other, text in entity.policies.items() if other != policy_name)
        limit = LONGEST_INLINE_POLICIES[kind]
        if others + _size(policy_json) > limit:
            raise LimitExceededException(f"Maximum policy size of {limit} bytes exceeded for {name} {entity_name}")
        stock(backend, entity_name, policy_name, policy_json)

    stock = replace(IAMBackend, f"put_{name}_policy", put_policy)


def _repair_managed_policies() -> None:
    def create_policy(  # noqa: PLR0917  # the signature is moto's
        backend: IAMBackend, description: str, path: str, policy_document: str, policy_name: str, tags: Any
    ) -> ManagedPolicy:
        _check_managed(policy_document)
        if any(policy.name.lower() == policy_name.lower() for policy in _own_policies(backend)):
            message = f"A policy called {policy_name} already exists. Duplicate names are not allowed."
            raise EntityAlreadyExists(message)
        policy: ManagedPolicy = stock_create(backend, description, path, policy_document, policy_name, tags)
        return policy

    def create_policy_version(backend: IAMBackend, policy_arn: str, policy_document: str, set_as_default: bool) -> Any:
        _get_policy(backend, policy_arn)
        _check_managed(policy_document)
        return stock_version(backend, policy_arn, policy_document, set_as_default)

    def delete_policy(backend: IAMBackend, policy_arn: str) -> None:
        policy = _get_policy(backend, policy_arn)
        if any(policy_arn in holder.managed_policies for holder in _holders(backend)):
            raise DeleteConflictException("Cannot delete a policy attached to entities.")
        if any(role.permissions_boundary_arn == policy_arn for role in backend.get_roles()):
            raise DeleteConflictException("Cannot delete a policy that is used as a permissions boundary.")
        if len(policy.versions) > 1:
            raise DeleteConflictException(
                "This policy has more than one version. Before you delete a policy, you must delete the policy's "
                "versions. The default version is deleted with the policy."
            )
        stock_delete(backend, policy_arn)

    stock_create = replace(IAMBackend, "create_policy", create_policy)
    stock_version = replace(IAMBackend, "create_policy_version", create_policy_version)
    stock_delete = replace(IAMBackend, "delete_policy", delete_policy)
    replace(IAMBackend, "get_policy", _get_policy)
    for name in ("role", "user", "group"):
        _repair_attachment(name)


def _check_managed(text: str) -> None:
    _checked(grammar.check_identity_policy, text)
    if _size(text) > LONGEST_MANAGED_POLICY:
        raise LimitExceededException(f"Cannot exceed quota for PolicySize: {LONGEST_MANAGED_POLICY}")


def _own_policies(backend: IAMBackend) -> list[Policy]:
    return [policy for arn, policy in backend.managed_policies.items() if not arn.startswith("arn:aws:iam::aws:")]


def _holders(backend: IAMBackend) -> list[Entity]:
    return [*backend.roles.values(), *backend.users.values(), *backend.groups.values()]


def _repair_attachment(name: str) -> None:
    """Attaching twice is attaching once, which moto counts twice."""

    def attach(backend: IAMBackend, policy_arn: str, entity_name: str) -> None:
        entity = getattr(backend, f"get_{name}")(entity_name)
        policy = _find_policy(backend, policy_arn)
        if policy is None:
            raise NotFoundException(f"Policy {policy_arn} does not exist or is not attachable.")
        if policy_arn in entity.managed_policies:
            return
        if len(entity.managed_policies) >= MOST_ATTACHED_POLICIES:
            quota = f"PoliciesPer{name.capitalize()}"
            raise LimitExceededException(f"Cannot exceed quota for {quota}: {MOST_ATTACHED_POLICIES}")
        policy.attach_to(entity)

    replace(IAMBackend, f"attach_{name}_policy", attach)


# --- users --------------------------------------------------------------------------------------------------


def _repair_users() -> None:
    def create_user_operation(response: IamResponse) -> Any:
        if response._get_param("PermissionsBoundary"):
            raise NotImplementedError("the sandbox's users have no permissions boundary")
        return stock_operation(response)

    def create_user(backend: IAMBackend, *arguments: Any, **named: Any) -> Any:
        """A user's unique id begins with AIDA (IAM User Guide, "IAM identifiers")."""
        made = stock_create(backend, *arguments, **named)
        user = made[0] if isinstance(made, tuple) else made
        user.id = generate_access_key_id_from_account_id(backend.account_id, prefix="AIDA", total_length=21)
        return made

    def delete_user(backend: IAMBackend, user_name: str) -> None:
        user = backend.get_user(user_name)
        if user.access_keys:
            raise DeleteConflictException("Cannot delete entity, must delete access keys first.")
        if backend.get_groups_for_user(user_name):
            raise DeleteConflictException("Cannot delete entity, must remove users from group first.")
        stock_delete(backend, user_name)

    stock_operation = replace(IamResponse, "create_user", create_user_operation)
    stock_create = replace(IAMBackend, "create_user", create_user)
    stock_delete = replace(IAMBackend, "delete_user", delete_user)


# --- what is known of roles ---------------------------------------------------------------------------------

_READS = ("Get", "List")
# the operation that is being called, where changes become known late
_action: ContextVar[str] = ContextVar("action", default="")


def _known_roles(backend: IAMBackend) -> consistency.Known[Role]:
    return consistency.Known("role", backend.account_id)


def _make_changes_of_roles_known() -> None:
    def list_roles(backend: IAMBackend, *arguments: Any) -> Any:
        return stock_list(_as_known(backend), *arguments)

    def get_account_authorization_details(backend: IAMBackend, *arguments: Any) -> Any:
        return stock_details(_as_known(backend), *arguments)

    def call_action(response: IamResponse) -> Any:
        if not consistency.is_on():
            return stock(response)
        action, name = response._get_action(), response.querystring.get("RoleName", [""])[0]
        before = _role_named(response.backend, name)
        former = _copied(before) if before else None
        token = _action.set(action)
        try:
            answer = stock(response)
        finally:
            _action.reset(token)
        if name and not action.startswith(_READS) and answer[0] < _FAILED:
            _known_roles(response.backend).changed(name.lower(), former)
        return answer

    stock_list = replace(IAMBackend, "list_roles", list_roles)
    stock_details = replace(IAMBackend, "get_account_authorization_details", get_account_authorization_details)
    stock = replace(IamResponse, "call_action", call_action)


def _as_known(backend: IAMBackend) -> IAMBackend:
    """The account with the roles that IAM's readers know of."""
    now = {role.name.lower(): role for role in list(backend.get_roles())}
    view = copy.copy(backend)
    view.roles = {role.id: role for role in _known_roles(backend).all_to("iam", now).values()}
    return view


def _copied(role: Role) -> Role:
    former = copy.copy(role)
    former.policies, former.managed_policies = dict(role.policies), dict(role.managed_policies)
    return former


# --- pages --------------------------------------------------------------------------------------------------

PAGE = 100  # items, unless MaxItems says otherwise
_WHOLE = 10_000_000  # more than an account has of anything
_shortened = [_WHOLE]


@contextmanager
def short_pages(most: int) -> Iterator[None]:
    """Meanwhile no page has more than ``most`` items, whatever is asked for: a sandbox control.

    "IAM might return fewer results, even when there are more results available. In that case, the IsTruncated response
    element returns true" (IAM API Reference, ListRolePolicies, MaxItems). With a ``lag_seed`` some pages are short.
    """
    before, _shortened[0] = _shortened[0], most
    try:
        yield
    finally:
        _shortened[0] = before


def _page_lists() -> None:
    """All that IAM pages, in moto's order; what moto pages by itself is read whole and paged like everything else."""
    model = get_service_model("iam")
    for operation in model.operation_names:
        asked, answer = (getattr(model.operation_model(operation), f"{side}_shape") for side in ("input", "output"))
        method = xform_name(operation)
        if asked and "Marker" in asked.members and hasattr(IamResponse, method):
            kinds = [name for name, member in answer.members.items() if member.type_name == "list"]
            _page_list(operation, method, kinds)


def _page_list(operation: str, method: str, kinds: list[str]) -> None:
    def paged(response: IamResponse) -> ActionResult:
        every = _whole(response)
        items = [(kind, item) for kind in kinds for item in every.get(kind) or ()]
        start = _start(response._get_param("Marker"))
        size = min(int(response._get_param("MaxItems") or PAGE), _shortened[0])
        end = start + consistency.shortened(size, operation, start, len(items))
        shown = items[start:end]
        page = {**every, **{kind: [item for of, item in shown if of == kind] for kind in kinds}}
        page |= {"IsTruncated": end < len(items), "Marker": str(end) if end < len(items) else None}
        return ActionResult({name: value for name, value in page.items() if value is not None})

    def _whole(response: IamResponse) -> dict[str, Any]:
        def parameter(name: str, if_none: Any = None) -> Any:
            whole = {"Marker": if_none, "MaxItems": _WHOLE}
            return whole[name] if name in whole else asked(name, if_none)

        asked = response._get_param
        response._get_param = parameter  # type: ignore[assignment, method-assign]  # for moto, which pages some lists
        try:
            result: dict[str, Any] = stock(response).result
        finally:
            del response._get_param
        return result

    stock = replace(IamResponse, method, paged)


def _start(marker: str | None) -> int:
    if marker and not marker.isdigit():
        raise ValidationError("Invalid Marker.")
    return int(marker or 0)


# --- parameters ---------------------------------------------------------------------------------------------


def _hold_parameters_against_the_model() -> None:
    """Lengths, patterns and ranges are botocore's; IAM checks them before it asks who calls."""

    def call_action(response: IamResponse) -> Any:
        try:
            _check_parameters(response)
        except ServiceException as error:
            status, headers, body = response.serialized(ActionResult(error))
            headers, body = response._enrich_response(headers, body)
            return status, headers, body
        return BaseResponse.call_action(response)

    replace(IamResponse, "call_action", call_action)


def _check_parameters(response: IamResponse) -> None:
    shape = operation_model("iam", response._get_action()).input_shape
    broken = list(broken_constraints(dict(response.params or {}), shape)) if shape else []
    if broken:
        count = f"{len(broken)} validation error{'s' if len(broken) > 1 else ''} detected"
        raise ValidationError(f"{count}: {'; '.join(broken)}")


@cache
def install() -> None:
    """Repair moto's IAM. Raises RuntimeError where moto has lost a symbol that is replaced here."""
    _repair_documents()
    _repair_roles()
    _repair_linked_roles()
    _repair_managed_policies()
    _repair_users()
    _page_lists()
    _hold_parameters_against_the_model()
    _make_changes_of_roles_known()
