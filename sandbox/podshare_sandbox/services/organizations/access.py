"""Who may call what: members see little, delegated administrators read, the management account does the rest."""

from moto.core.exceptions import ServiceException
from moto.organizations.models import FakeDelegatedAdministrator, OrganizationsBackend, organizations_backends
from moto.organizations.responses import OrganizationsResponse

from podshare_sandbox.authorization.accounts import organization_with
from podshare_sandbox.authorization.sessions import PARTITION
from podshare_sandbox.moto_extension import ServiceExtension
from podshare_sandbox.moto_repair import replace

extension = ServiceExtension("organizations", invalid_parameters="InvalidInputException")

_READS = ("Describe", "List")
# delegated administration that members may have, and moto lacks ("AWS services that you can use with
# AWS Organizations")
_STACK_SETS = "member.org.stacksets.cloudformation.amazonaws.com"


def organization_of(account: str) -> OrganizationsBackend:
    """The organization of any member. Errors: AWSOrganizationsNotInUseException."""
    organization = organization_with(account)
    if organization is None:
        raise extension.error("AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")
    return organization


def readable_by(account: str) -> OrganizationsBackend:
    """The organization for its management account and its delegated administrators.

    Errors: AccessDeniedException for other members, whatever their policies allow.
    """
    organization = organization_of(account)
    delegated = {administrator.account.id for administrator in list(organization.admins)}
    if account not in {organization.account_id, *delegated}:
        raise _denied()
    return organization


def managed_by(account: str) -> OrganizationsBackend:
    """The organization for its management account. Errors: AccessDeniedException for members."""
    organization = organization_of(account)
    if account != organization.account_id:
        raise _denied()
    return organization


def constraint_violation(reason: str, message: str) -> ServiceException:
    """ConstraintViolationException with its reason."""
    return extension.error("ConstraintViolationException", message, Reason=reason)


def _denied() -> ServiceException:
    return extension.error("AccessDeniedException", "You don't have permissions to access this resource.")


def install() -> None:
    """Let moto's own operations work on the organization of the caller, if the caller may."""

    def backend(response: OrganizationsResponse) -> OrganizationsBackend:
        account, operation = response.current_account, response._get_action()
        if operation == "CreateOrganization":
            return organizations_backends[account][PARTITION]
        if operation == "DescribeOrganization":
            return organization_of(account)
        return readable_by(account) if operation.startswith(_READS) else managed_by(account)

    replace(OrganizationsResponse, "organizations_backend", property(backend))
    FakeDelegatedAdministrator.SUPPORTED_SERVICES.append(_STACK_SETS)
