"""Who calls: the user or role session behind an access key, the policies that speak for it, and its context keys."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from moto.iam.models import ManagedPolicy, Role, User, iam_backends

from podshare_sandbox import clock, consistency
from podshare_sandbox.authorization import accounts, policy
from podshare_sandbox.authorization.conditions import Values
from podshare_sandbox.authorization.policy import Authority, Policy, PrincipalNames
from podshare_sandbox.authorization.sessions import PARTITION, Session, live_role, session_of, tags_of


class UnknownAccessKey(Exception):  # noqa: N818  # named like AWS's own errors
    """No live principal has this access key: AWS answers InvalidClientTokenId, or its service's word for it."""


class ExpiredToken(Exception):  # noqa: N818
    """The session's credentials have expired."""


class UnusableAccount(UnknownAccessKey):
    """The access key is live, but AWS has suspended or closed its account, or is closing it.

    What services answer then is not documented, but for S3 ("Error responses") and for roles in such an account.
    """


@dataclass(frozen=True)
class Principal:
    """A caller. ``arn`` is the user's or session's, ``kind`` is ``user`` or ``role``, ``tags`` include session tags."""

    arn: str
    account: str
    kind: str
    role_arn: str | None
    session_name: str | None
    tags: Mapping[str, str]
    user_id: str
    session: Session | None = None

    @property
    def identity_arn(self) -> str:
        """The role's ARN for a session, else the user's: what aws:PrincipalArn holds."""
        return self.role_arn or self.arn

    @property
    def names(self) -> PrincipalNames:
        """The names by which policies may mean this principal."""
        unique_id = self.user_id.split(":")[0]
        return PrincipalNames(self.account, self.arn, self.role_arn, unique_id)


def identify(access_key: str) -> Principal:
    """The principal behind ``access_key``. Raises UnknownAccessKey (or UnusableAccount) or ExpiredToken."""
    account = account_of_key(access_key)
    if not accounts.is_usable(account):
        raise UnusableAccount(f"The account {account} is {accounts.state_of(account)}")
    session = session_of(account, access_key)
    if session:
        return _session_principal(session)
    return _user_principal(_user_of(account, access_key))


def account_of_key(access_key: str) -> str:
    """The account that issued ``access_key``. Raises UnknownAccessKey."""
    for account, backends in list(iam_backends.items()):  # other threads may add an account meanwhile
        if access_key in backends[PARTITION].access_keys:
            return str(account)
    raise UnknownAccessKey(access_key)


def _session_principal(session: Session) -> Principal:
    role = live_role(session)
    if role is None:
        raise UnknownAccessKey(session.access_key)
    if session.expiration <= clock.now():
        raise ExpiredToken(session.access_key)
    return Principal(
        arn=session.arn,
        account=session.account,
        kind="role",
        role_arn=role.arn,
        session_name=session.request.name,
        tags={**tags_of(role.tags or []), **session.request.tags},
        user_id=session.user_id,
        session=session,
    )


def _user_of(account: str, access_key: str) -> User:
    backend = iam_backends[account][PARTITION]
    user: User | None = backend.users.get(backend.access_keys[access_key].user_name or "")
    keys = user.access_keys if user else []
    if user and any(key.access_key_id == access_key and key.status == "Active" for key in keys):
        return user
    raise UnknownAccessKey(access_key)


def _user_principal(user: User) -> Principal:
    return Principal(
        arn=user.arn,
        account=user.account_id,
        kind="user",
        role_arn=None,
        session_name=None,
        tags=tags_of(user.tags or []),
        user_id=user.id,
    )


def authority_of(principal: Principal) -> Authority:
    """The policies that speak for the principal now. Raises UnknownAccessKey if it has gone."""
    backend = iam_backends[principal.account][PARTITION]
    if principal.session is None:
        return _user_authority(backend, principal)
    live = live_role(principal.session)
    if live is None:
        raise UnknownAccessKey(principal.arn)
    role = role_as_known(live, "authorization") or live
    return Authority(
        identity=_attached(role),
        boundary=_boundary(backend, role.permissions_boundary_arn),
        session=tuple(policy.parse(text) for text in principal.session.request.policies) or None,
        control=None if is_service_linked(role) else accounts.control_policies(principal.account),
    )


def is_service_linked(role: Role) -> bool:
    """Whether no control policy limits what ``role`` does: "SCPs do not affect any service-linked role", nor RCPs."""
    return str(role.path).startswith("/aws-service-role/")


def _user_authority(backend: Any, principal: Principal) -> Authority:
    user = next((user for user in list(backend.users.values()) if user.id == principal.user_id), None)
    if user is None:
        raise UnknownAccessKey(principal.arn)
    groups = backend.get_groups_for_user(user.name)
    return Authority(
        identity=tuple(one for holder in (user, *groups) for one in _attached(holder)),
        control=accounts.control_policies(principal.account),
    )


def _attached(holder: Any) -> tuple[Policy, ...]:
    """Inline and managed policies of a role, user or group."""
    inline = [policy.parse(_text(document)) for document in list(holder.policies.values())]
    return (*inline, *(policy.parse(default_document(managed)) for managed in list(holder.managed_policies.values())))


def _text(document: Any) -> str | dict[str, Any]:
    """moto keeps a user's and a role's inline policy as text, a policy from a template as a mapping."""
    text: str | dict[str, Any] = document
    return text


def _boundary(backend: Any, arn: str | None) -> Policy | None:
    """The boundary's statements; a boundary whose policy was deleted allows nothing."""
    if not arn:
        return None
    managed = backend.managed_policies.get(arn)
    return policy.parse(default_document(managed)) if managed else ()


def default_document(managed: ManagedPolicy) -> str:
    """The text of a managed policy's default version."""
    return next(str(version.document) for version in managed.versions if version.is_default)


def context_of(principal: Principal) -> dict[str, Values]:
    """The context keys that tell of the principal (keys in lower case)."""
    context: dict[str, Values] = {
        "aws:principalarn": principal.identity_arn,
        "aws:principalaccount": principal.account,
        "aws:userid": principal.user_id,
        "aws:principaltype": "AssumedRole" if principal.session else "User",
        "aws:principalisawsservice": "false",
        **{f"aws:principaltag/{key.lower()}": value for key, value in principal.tags.items()},
    }
    path = accounts.path_of(principal.account)
    if path:
        context["aws:principalorgid"] = path.partition("/")[0]
        context["aws:principalorgpaths"] = (path,)
    if principal.session is None:
        context["aws:username"] = principal.arn.rsplit("/", 1)[-1]
        return context
    context["aws:tokenissuetime"] = _date(principal.session.issued_at)
    # "… only when the principal uses temporary credentials", of which those of roles never tell of MFA
    context["aws:multifactorauthpresent"] = "false"
    if principal.session.request.source_identity:
        context["aws:sourceidentity"] = principal.session.request.source_identity
    return context


def _date(moment: datetime) -> str:
    return f"{moment.isoformat(timespec='seconds').removesuffix('+00:00')}Z"


def now_context() -> dict[str, Values]:
    """The context keys of the moment."""
    now = clock.now()
    return {"aws:currenttime": _date(now), "aws:epochtime": str(int(now.timestamp()))}


def role_by_arn(arn: str) -> Role | None:
    """The role with this ARN in any account, None if there is none."""
    account = arn.partition(":iam::")[2].partition(":")[0]
    if account not in iam_backends:
        return None
    return next((role for role in list(iam_backends[account][PARTITION].roles.values()) if role.arn == arn), None)


def role_as_known(role: Role, reader: str) -> Role | None:
    """``role`` as ``reader`` knows it by now, None while it does not: a former role of its name is another one."""
    found = consistency.Known[Role]("role", role.account_id).to(reader, role.name.lower(), role)
    return found if found is not None and found.id == role.id else None
