"""Opening accounts: their ids, the administrator of each, and the role by which the organization gets in."""

import base64
import hashlib
import hmac
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from moto.iam.models import iam_backends
from moto.organizations import utils as organizations_utils
from moto.organizations.models import FakeAccount, OrganizationsBackend

from podshare_sandbox import managed_policies

ADMINISTRATOR_ACCESS = "arn:aws:iam::aws:policy/AdministratorAccess"
ACCESS_ROLE = "OrganizationAccountAccessRole"

_CREATED = ("555555555555", "666666666666", "777777777777", "888888888888")
_generators = threading.Lock()


@dataclass(frozen=True)
class Credentials:
    """A long-term access key."""

    access_key: str
    secret_key: str


_secret = secrets.token_bytes(32)  # of this process: whoever does not know it can sign nothing


def admin_credentials(account: str) -> Credentials:
    """The access key of the user ``admin`` of ``account``: another one in every process that runs a sandbox."""
    digest = hmac.digest(_secret, account.encode(), "sha512")
    return Credentials("AKIA" + base64.b32encode(digest)[:16].decode(), base64.b64encode(digest[24:])[:40].decode())


def created_account(number: int) -> str:
    """The id of the ``number``-th account (from 1) that is created in a sandbox, the same in every sandbox."""
    if number <= len(_CREATED):
        return _CREATED[number - 1]
    digest = hashlib.sha256(f"podshare-sandbox account {number}".encode()).digest()
    return f"{int.from_bytes(digest[:8]) % 10**12:012d}"


def open_account(
    backend: OrganizationsBackend,
    account: str,
    name: str,
    email: str,
    *,
    access_role: str = ACCESS_ROLE,
    tags: Sequence[dict[str, str]] = (),
) -> FakeAccount:
    """Open an account in the root of an organization, with its administrators."""
    with _generators, fixed_id("make_random_account_id", account):
        backend.create_account(AccountName=name, Email=email, RoleName=access_role, Tags=tags)
    iam = iam_backends[account]["aws"]
    # moto leaves out the path, and that the role is an administrator's
    iam.get_role(access_role).path = "/"
    managed_policies.make_available(account, ADMINISTRATOR_ACCESS)
    iam.attach_role_policy(ADMINISTRATOR_ACCESS, access_role)
    add_administrator(account)
    return backend.get_account_by_id(account)


@contextmanager
def fixed_id(generator: str, value: str) -> Iterator[None]:
    """Let one of moto's generators of random ids answer ``value``. Only one thread at a time may do that."""
    original = getattr(organizations_utils, generator, None)
    if original is None:
        raise RuntimeError(f"moto's organizations.utils.{generator} is gone: the organization needs another look")
    setattr(organizations_utils, generator, lambda *_: value)
    try:
        yield
    finally:
        setattr(organizations_utils, generator, original)


def add_administrator(account: str) -> None:
    """Make the IAM user ``admin`` of ``account``, with AdministratorAccess and its access key."""
    # through moto's backend: there is nobody yet who could call IAM
    iam = iam_backends[account]["aws"]
    iam.create_user("us-east-1", "admin")
    managed_policies.make_available(account, ADMINISTRATOR_ACCESS)
    iam.attach_user_policy(ADMINISTRATOR_ACCESS, "admin")
    key, fixed = iam.create_access_key("admin"), admin_credentials(account)
    del iam.access_keys[key.access_key_id]
    key.access_key_id, key.secret_access_key = fixed.access_key, fixed.secret_key
    iam.access_keys[key.access_key_id] = key
