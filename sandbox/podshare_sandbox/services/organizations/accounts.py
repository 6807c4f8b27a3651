"""The life of an account: created, suspended by AWS, closed, removed, gone.

CreateAccount and CloseAccount are requests that AWS performs in the background; so does the sandbox, at its scale.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from moto.core.exceptions import ServiceException
from moto.organizations.models import FakeAccount, OrganizationsBackend
from moto.organizations.utils import make_random_create_account_status_id

from podshare_sandbox import clock
from podshare_sandbox.authorization.accounts import ACTIVE, set_state, state_of
from podshare_sandbox.delivery import background
from podshare_sandbox.moto_extension import Caller, page
from podshare_sandbox.new_accounts import ACCESS_ROLE, created_account, open_account
from podshare_sandbox.services.organizations import trail
from podshare_sandbox.services.organizations.access import (
    constraint_violation,
    extension,
    managed_by,
    organization_of,
    readable_by,
)

CREATION_SECONDS = 10.0
CLOSURE_SECONDS = 10.0
LARGEST_PAGE = 20

SUSPENDED = "SUSPENDED"
PENDING_CLOSURE = "PENDING_CLOSURE"
CLOSED = "CLOSED"


# --- creation -----------------------------------------------------------------------------------------------


@dataclass
class Creation:
    """A request to create an account; ``account`` is its id to be, empty where it will fail for ``failure``."""

    id: str
    name: str
    email: str
    account: str
    failure: str
    requested_at: datetime
    completed_at: datetime | None = None

    @property
    def state(self) -> str:
        """IN_PROGRESS, SUCCEEDED or FAILED."""
        if self.completed_at is None:
            return "IN_PROGRESS"
        return "FAILED" if self.failure else "SUCCEEDED"

    def described(self) -> dict[str, Any]:
        """The request in the shape of the API: the account's id is told in the end only."""
        done = self.completed_at is not None
        return {
            "Id": self.id,
            "AccountName": self.name,
            "State": self.state,
            "RequestedTimestamp": self.requested_at,
            "CompletedTimestamp": self.completed_at,
            "AccountId": self.account if done and self.account else None,
            "FailureReason": self.failure if done and self.failure else None,
        }


def creations(organization: OrganizationsBackend) -> dict[str, Creation]:
    """All requests to create accounts, by id."""
    found: dict[str, Creation] = organization.__dict__.setdefault("_podshare_creations", {})
    return found


def create_account(
    caller: Caller,
    *,
    Email: str,
    AccountName: str,
    RoleName: str = ACCESS_ROLE,
    Tags: Iterable[Mapping[str, str]] = (),
    **_: Any,
) -> dict[str, Any]:
    """CreateAccount: answers at once, and ends some seconds later; the account stands in the root then.

    It fails, as its status and CreateAccountResult tell, with EMAIL_ALREADY_EXISTS for an address in use.
    """
    organization = managed_by(caller.account)
    taken = Email.lower() in _addresses(organization)
    number = sum(1 for one in creations(organization).values() if one.account) + 1
    creation = Creation(
        id=make_random_create_account_status_id(),
        name=AccountName,
        email=Email,
        account="" if taken else created_account(number),
        failure="EMAIL_ALREADY_EXISTS" if taken else "",
        requested_at=clock.now(),
    )
    creations(organization)[creation.id] = creation
    tags = [dict(tag) for tag in Tags]

    def complete() -> None:
        background.pause(CREATION_SECONDS)
        if not creation.failure:
            opened = open_account(organization, creation.account, AccountName, Email, access_role=RoleName, tags=tags)
            opened.create_account_status_id = creation.id
        creation.completed_at = clock.now()
        trail.tell_creation(organization, creation.described())
        if not creation.failure:
            trail.tell_joining(organization, creation.account, "Created")

    background.run(f"creation of an account ({creation.id})", complete)
    return {"CreateAccountStatus": creation.described()}


def _addresses(organization: OrganizationsBackend) -> set[str]:
    """The e-mail addresses of all accounts there are and that are being created."""
    accounts = [*organization.accounts, *former_accounts(organization).values()]
    created = [one.email for one in creations(organization).values() if one.account]
    return {address.lower() for address in (*(account.email for account in accounts), *created)}


def describe_create_account_status(caller: Caller, *, CreateAccountRequestId: str) -> dict[str, Any]:
    """DescribeCreateAccountStatus. Errors: CreateAccountStatusNotFoundException."""
    found = creations(readable_by(caller.account)).get(CreateAccountRequestId)
    if found is None:
        message = "You specified a create account request that doesn't exist."
        raise extension.error("CreateAccountStatusNotFoundException", message)
    return {"CreateAccountStatus": found.described()}


def list_create_account_status(
    caller: Caller, *, States: Iterable[str] = (), NextToken: str | None = None, MaxResults: int | None = None
) -> dict[str, Any]:
    """ListCreateAccountStatus."""
    wanted = set(States)
    found = [one for one in creations(readable_by(caller.account)).values() if not wanted or one.state in wanted]
    statuses, token = page(found, MaxResults, NextToken, LARGEST_PAGE)
    return {"CreateAccountStatuses": [one.described() for one in statuses], "NextToken": token}


def list_accounts(caller: Caller, *, NextToken: str | None = None, MaxResults: int | None = None) -> dict[str, Any]:
    """ListAccounts, in pages of at most 20: moto's are of 100, and skip accounts that joined in the same moment."""
    members = list(readable_by(caller.account).accounts)
    accounts, token = page(members, MaxResults, NextToken, LARGEST_PAGE)
    return {"Accounts": [account.describe() for account in accounts], "NextToken": token}


# --- suspension and closure ---------------------------------------------------------------------------------


def suspend(account: str) -> None:
    """What AWS does to an account that does not pay: nobody in it can do anything any more.

    No event is documented for that: only a listing of the organization shows it. Raises ValueError unless the
    account is ACTIVE.
    """
    if state_of(account) != ACTIVE:
        raise ValueError(f"account {account} is {state_of(account)}, not {ACTIVE}")
    set_state(account, SUSPENDED)


def reinstate(account: str) -> None:
    """What AWS Support does for an account that was suspended, or closed within 90 days; without event as well."""
    set_state(account, ACTIVE)


def close_account(caller: Caller, *, AccountId: str) -> None:
    """CloseAccount: PENDING_CLOSURE at once, CLOSED some seconds later, which CloseAccountResult tells.

    Errors: AccountNotFoundException; AccountAlreadyClosedException; ConflictException while it is being closed;
    ConstraintViolationException for the management account.
    """
    organization = managed_by(caller.account)
    organization.get_account_by_id(AccountId)
    if AccountId == organization.account_id:
        message = "You can't close the management account."
        raise constraint_violation("CANNOT_CLOSE_MANAGEMENT_ACCOUNT", message)
    if state_of(AccountId) == PENDING_CLOSURE:
        raise extension.error("ConflictException", "The account is being closed already.")
    if state_of(AccountId) != ACTIVE:
        raise extension.error("AccountAlreadyClosedException", "The provided account is already closed.")
    requested = clock.now()
    set_state(AccountId, PENDING_CLOSURE)

    def complete() -> None:
        background.pause(CLOSURE_SECONDS)
        if state_of(AccountId) == PENDING_CLOSURE:
            set_state(AccountId, CLOSED)
            trail.tell_closure(organization, AccountId, requested)

    background.run(f"closure of account {AccountId}", complete)


def clean(account: str) -> None:
    """What AWS does 90 days after an account was closed: it is no member any more, and nobody's for ever.

    Raises ValueError unless the account is CLOSED.
    """
    if state_of(account) != CLOSED:
        raise ValueError(f"account {account} is {state_of(account)}, not {CLOSED}")
    organization = organization_of(account)
    _depart(organization, account)
    trail.tell_departure(organization, account, "CLEANED")


# --- departure ----------------------------------------------------------------------------------------------


def remove_account_from_organization(caller: Caller, *, AccountId: str) -> None:
    """RemoveAccountFromOrganization. Errors as for leaving, and AccountNotFoundException."""
    organization = managed_by(caller.account)
    organization.get_account_by_id(AccountId)
    _check_departure(organization, AccountId)
    _depart(organization, AccountId)
    trail.tell_departure(organization, AccountId, "REMOVED")


def leave_organization(caller: Caller) -> None:
    """LeaveOrganization, by the member itself.

    Errors: MasterCannotLeaveOrganizationException; ConstraintViolationException for a delegated administrator.
    """
    organization = organization_of(caller.account)
    _check_departure(organization, caller.account)
    _depart(organization, caller.account)
    trail.tell_departure(organization, caller.account, "LEFT")


def _check_departure(organization: OrganizationsBackend, account: str) -> None:
    if account == organization.account_id:
        raise _master_cannot_leave()
    if any(administrator.account.id == account for administrator in organization.admins):
        message = "You must first deregister this account as a delegated administrator."
        raise constraint_violation("CANNOT_REMOVE_DELEGATED_ADMINISTRATOR_FROM_ORG", message)


def _master_cannot_leave() -> ServiceException:
    message = "You can't remove a management account from an organization."
    return extension.error("MasterCannotLeaveOrganizationException", message)


def _depart(organization: OrganizationsBackend, account: str) -> None:
    """It takes neither tags nor policies along, but remains an AWS account."""
    former_accounts(organization)[account] = organization.get_account_by_id(account)
    organization.remove_account_from_organization(AccountId=account)


def former_accounts(organization: OrganizationsBackend) -> dict[str, FakeAccount]:
    """The accounts that were members once, by id: the only ones outside that the sandbox has."""
    found: dict[str, FakeAccount] = organization.__dict__.setdefault("_podshare_former_accounts", {})
    return found


def add_operations() -> None:
    """Put these operations in the place of moto's, or beside them."""
    for operation in (
        create_account,
        describe_create_account_status,
        list_create_account_status,
        list_accounts,
        close_account,
        remove_account_from_organization,
        leave_organization,
    ):
        extension.operation(operation)
