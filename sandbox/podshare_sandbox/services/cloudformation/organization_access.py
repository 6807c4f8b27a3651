"""Whether AWS Organizations trusts StackSets, and who may manage service-managed sets.

Source: "Activate trusted access for StackSets with AWS Organizations" in the CloudFormation user guide.
"""

from typing import Any

from podshare_sandbox.authorization import accounts
from podshare_sandbox.cloudformation.stack_sets import StackSets
from podshare_sandbox.moto_extension import Caller
from podshare_sandbox.services.cloudformation.request import extension, invalid

# the service principal that a delegated administrator of StackSets is registered for
_SERVICE = "member.org.stacksets.cloudformation.amazonaws.com"

_sets: StackSets


def serve(sets: StackSets) -> None:
    """Answer for the organization whose StackSets these are."""
    global _sets  # noqa: PLW0603  # moto is one per process
    _sets = sets


def activate_organizations_access(caller: Caller) -> None:
    """ActivateOrganizationsAccess, by the management account. Errors: InvalidOperationException."""
    _check_management(caller)
    _sets.trusted_access = True


def deactivate_organizations_access(caller: Caller) -> None:
    """DeactivateOrganizationsAccess; the sets stay. Errors: InvalidOperationException."""
    _check_management(caller)
    _sets.trusted_access = False


def describe_organizations_access(caller: Caller, *, CallAs: str | None = None) -> dict[str, Any]:  # noqa: ARG001
    """DescribeOrganizationsAccess: ENABLED or DISABLED."""
    return {"Status": "ENABLED" if _sets.trusted_access else "DISABLED"}


def check_administrator(caller: Caller, call_as: str | None) -> None:
    """Errors: ValidationError unless the caller may manage service-managed sets in the way that it says."""
    organization = accounts.organization_with(caller.account)
    if call_as == "DELEGATED_ADMIN":
        admins = [] if organization is None else list(organization.admins)
        if not any(admin.account.id == caller.account and _SERVICE in admin.services for admin in admins):
            raise invalid("Account used is not a delegated administrator")
    elif caller.account != _sets.management:
        raise invalid("You must be the management account or delegated admin account of an organization")
    if not _sets.trusted_access:
        raise invalid("You must enable organizations access to operate a service managed stack set")


def _check_management(caller: Caller) -> None:
    if caller.account != _sets.management:
        raise extension.error(
            "InvalidOperationException", "Only the management account can change organizations access.", status=400
        )


OPERATIONS = (activate_organizations_access, deactivate_organizations_access, describe_organizations_access)
