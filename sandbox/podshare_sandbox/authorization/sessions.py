"""Temporary credentials of assumed roles: made here, kept with the role's account, ended with the role."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from moto.iam.models import Role, iam_backends
from moto.sts.models import sts_backends
from moto.sts.utils import random_session_token

from podshare_sandbox import clock

PARTITION = "aws"


@dataclass(frozen=True)
class SessionRequest:
    """What a caller of AssumeRole asks of the session. ``policies`` are documents of session policies."""

    name: str
    duration: timedelta = timedelta(hours=1)
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    transitive_tags: frozenset[str] = frozenset()
    source_identity: str | None = None
    policies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Session:
    """A live or past session of a role; it belongs to the role with ``role_id``, not to a later one of that name."""

    account: str
    role_id: str
    role_arn: str
    request: SessionRequest
    access_key: str
    secret_key: str
    token: str
    issued_at: datetime
    expiration: datetime

    @property
    def arn(self) -> str:
        """As GetCallerIdentity shows it: the role's name without its path."""
        role_name = self.role_arn.rsplit("/", 1)[-1]
        return f"arn:{PARTITION}:sts::{self.account}:assumed-role/{role_name}/{self.request.name}"

    @property
    def user_id(self) -> str:
        """The role's unique id and the session's name."""
        return f"{self.role_id}:{self.request.name}"


def open_session(role: Role, request: SessionRequest) -> Session:
    """Issue credentials for ``role``; whoever calls has decided that they may be issued."""
    key = iam_backends[role.account_id][PARTITION].create_temp_access_key()
    key.role_arn = role.arn  # moto notes a role's last use through its key
    now = clock.now()
    session = Session(
        account=role.account_id,
        role_id=role.id,
        role_arn=role.arn,
        request=request,
        access_key=key.access_key_id,
        secret_key=key.secret_access_key,
        token=random_session_token(),
        issued_at=now,
        expiration=now + request.duration,
    )
    _sessions(role.account_id)[session.access_key] = session
    return session


def transitive_tags(session: Session | None) -> dict[str, str]:
    """The tags that pass from ``session`` to the roles that it assumes."""
    if session is None:
        return {}
    return {key: value for key, value in session.request.tags.items() if key in session.request.transitive_tags}


def session_of(account: str, access_key: str) -> Session | None:
    """The session that ``access_key`` of ``account`` belongs to, expired or not."""
    return _sessions(account).get(access_key)


def live_role(session: Session) -> Role | None:
    """The session's role, None once it was deleted, though a role of its name exist again."""
    return iam_backends[session.account][PARTITION].roles.get(session.role_id)


def tags_of(entries: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """AWS's list of Key and Value as a mapping."""
    return {entry["Key"]: entry["Value"] for entry in entries}


def _sessions(account: str) -> dict[str, Session]:
    backend: Any = sts_backends[account][PARTITION]
    sessions: dict[str, Session] = backend.__dict__.setdefault("_podshare_sessions", {})
    return sessions
