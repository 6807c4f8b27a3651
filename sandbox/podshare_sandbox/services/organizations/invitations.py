"""Invitations of accounts that exist already, which moto lacks: a handshake is offered and accepted."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from moto.organizations.models import OrganizationsBackend, organizations_backends
from moto.organizations.utils import DEFAULT_RCP_POLICY_ID, DEFAULT_SCP_POLICY_ID

from podshare_sandbox import clock
from podshare_sandbox.authorization.accounts import organization_with, root_of
from podshare_sandbox.authorization.sessions import PARTITION, tags_of
from podshare_sandbox.moto_extension import Caller
from podshare_sandbox.services.organizations import trail
from podshare_sandbox.services.organizations.access import extension, managed_by
from podshare_sandbox.services.organizations.accounts import former_accounts

LIFETIME = timedelta(days=15)


@dataclass
class Invitation:
    """A handshake of action INVITE; ``state`` is OPEN or ACCEPTED."""

    id: str
    organization: OrganizationsBackend
    account: str
    tags: dict[str, str]
    requested_at: datetime
    state: str = "OPEN"

    def described(self) -> dict[str, Any]:
        """The handshake in the shape of the API."""
        organization = root_of(self.organization).organization_id
        return {
            "Id": self.id,
            "Arn": f"arn:{PARTITION}:organizations::{self.organization.account_id}:"
            f"handshake/{organization}/invite/{self.id}",
            "Parties": [
                {"Id": organization, "Type": "ORGANIZATION"},
                {"Id": self.account, "Type": "ACCOUNT"},
            ],
            "State": self.state,
            "RequestedTimestamp": self.requested_at,
            "ExpirationTimestamp": self.requested_at + LIFETIME,
            "Action": "INVITE",
            "Resources": [
                {"Type": "ORGANIZATION", "Value": organization},
                {"Type": "ACCOUNT", "Value": self.account},
            ],
        }


def _invitations(organization: OrganizationsBackend) -> dict[str, Invitation]:
    found: dict[str, Invitation] = organization.__dict__.setdefault("_podshare_invitations", {})
    return found


def invite_account_to_organization(
    caller: Caller, *, Target: Mapping[str, str], Tags: Iterable[Mapping[str, str]] = (), **_: Any
) -> dict[str, Any]:
    """InviteAccountToOrganization, by account id or e-mail address, of an account that was a member once.

    Errors: HandshakeConstraintViolationException for a member, and for an account that the sandbox does not have;
    DuplicateHandshakeException.
    """
    organization = managed_by(caller.account)
    account = _invited(organization, Target)
    invitations = _invitations(organization)
    if any(one.account == account and one.state == "OPEN" for one in invitations.values()):
        message = "A handshake with the same action and target already exists."
        raise extension.error("DuplicateHandshakeException", message)
    identity = f"h-{len(invitations) + 1:08d}"
    invitation = Invitation(identity, organization, account, tags_of(Tags), clock.now())
    invitations[identity] = invitation
    return {"Handshake": invitation.described()}


def _invited(organization: OrganizationsBackend, target: Mapping[str, str]) -> str:
    known = [*organization.accounts, *former_accounts(organization).values()]
    account = next((one.id for one in known if target["Id"] in (one.id, one.email)), None)
    if account is None:
        message, reason = "The target account cannot be invited.", "TARGET_ACCOUNT_VALIDATION_FAILURE"
        raise extension.error("HandshakeConstraintViolationException", message, Reason=reason)
    if organization_with(account):
        message, reason = "The account is already a member of an organization.", "ALREADY_IN_AN_ORGANIZATION"
        raise extension.error("HandshakeConstraintViolationException", message, Reason=reason)
    return str(account)


def accept_handshake(caller: Caller, *, HandshakeId: str) -> dict[str, Any]:
    """AcceptHandshake, by the invited account: it joins in the root, with the invitation's tags.

    Errors: HandshakeNotFoundException for anybody else; HandshakeAlreadyInStateException the second time.
    """
    invitation = _invitation(caller, HandshakeId)
    if invitation.state != "OPEN":
        message = "The specified handshake is already in the requested state."
        raise extension.error("HandshakeAlreadyInStateException", message)
    invitation.state = "ACCEPTED"
    _join(invitation)
    trail.tell_joining(invitation.organization, invitation.account, "INVITED")
    return {"Handshake": invitation.described()}


def _join(invitation: Invitation) -> None:
    organization = invitation.organization
    account = former_accounts(organization).pop(invitation.account)
    account.joined_method, account.create_time = "INVITED", clock.now().replace(tzinfo=None)
    account.parent_id, account.tags, account.attached_policies = root_of(organization).id, invitation.tags, []
    organization.accounts.append(account)
    organizations_backends.master_accounts[account.id] = (organization.account_id, PARTITION)
    for policy in (DEFAULT_SCP_POLICY_ID, DEFAULT_RCP_POLICY_ID):
        organization.attach_policy(PolicyId=policy, TargetId=account.id)


def describe_handshake(caller: Caller, *, HandshakeId: str) -> dict[str, Any]:
    """DescribeHandshake, by the invited account. Errors: HandshakeNotFoundException."""
    return {"Handshake": _invitation(caller, HandshakeId).described()}


def _invitation(caller: Caller, handshake: str) -> Invitation:
    """The invitation, for the account that it invites."""
    for partitions in list(organizations_backends.values()):
        found = _invitations(partitions[PARTITION]).get(handshake)
        if found and caller.account == found.account:
            return found
    raise extension.error("HandshakeNotFoundException", "You specified a handshake that doesn't exist.")


def add_operations() -> None:
    """Add these operations, which moto lacks."""
    for operation in (invite_account_to_organization, accept_handshake, describe_handshake):
        extension.operation(operation)
