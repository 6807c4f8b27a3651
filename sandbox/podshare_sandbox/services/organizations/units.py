"""The tree of organizational units, and where accounts stand in it."""

from collections.abc import Iterable, Mapping
from typing import Any

from moto.core.exceptions import ServiceException
from moto.organizations.models import (
    FakeAccount,
    FakeOrganizationalUnit,
    OrganizationsBackend,
    organizations_backends,
)

from podshare_sandbox.authorization.accounts import lineage, state_of
from podshare_sandbox.authorization.sessions import PARTITION
from podshare_sandbox.moto_extension import Caller
from podshare_sandbox.moto_repair import replace
from podshare_sandbox.services.organizations.access import (
    constraint_violation,
    extension,
    managed_by,
    readable_by,
)

DEEPEST = 5  # levels of units below the root ("Quotas for AWS Organizations")
MOST_TAGS = 50

# until it is retired, Status knows fewer states than State ("Account", API Reference)
_STATUS = {"CLOSED": "SUSPENDED"}


def install() -> None:
    """Let accounts tell their State and Paths, and units their Path. Raises RuntimeError where moto has changed."""

    def describe_account(account: FakeAccount) -> dict[str, Any]:
        state = state_of(account.id)
        told = {"State": state, "Status": _STATUS.get(state, state), "Paths": [path_of(account)]}
        return {**describe(account), **told}

    def describe_unit(unit: FakeOrganizationalUnit) -> dict[str, Any]:
        return {"OrganizationalUnit": {**stock(unit)["OrganizationalUnit"], "Path": path_of(unit)}}

    describe = replace(FakeAccount, "describe", describe_account)
    stock = replace(FakeOrganizationalUnit, "describe", describe_unit)


def path_of(entity: Any) -> str:
    """The path of an account or unit, from the organization down to itself: ``o-…/r-…/ou-…/444455556666/``."""
    organization = organizations_backends[entity.master_account_id][PARTITION]
    ids = [one.id for one in reversed(lineage(organization, entity))]
    return "/".join((entity.organization_id, *ids, ""))


def container(organization: OrganizationsBackend, parent_id: str) -> FakeOrganizationalUnit | None:
    """The root or unit with this id."""
    return next((unit for unit in list(organization.ou) if unit.id == parent_id), None)


def list_parents(caller: Caller, *, ChildId: str, **_: Any) -> dict[str, Any]:
    """ListParents: one parent, the root or a unit. Errors: ChildNotFoundException, which moto words otherwise."""
    organization = readable_by(caller.account)
    children: list[Any] = [*organization.accounts, *organization.ou]
    child = next((one for one in children if one.id == ChildId), None)
    if child is None:
        raise extension.error("ChildNotFoundException", "You specified a child that doesn't exist.")
    parent: Any = container(organization, child.parent_id)
    return {"Parents": [{"Id": parent.id, "Type": parent.type}]}


def create_organizational_unit(
    caller: Caller, *, ParentId: str, Name: str, Tags: Iterable[Mapping[str, str]] = ()
) -> dict[str, Any]:
    """CreateOrganizationalUnit.

    Errors, all of which moto lets pass: ParentNotFoundException, DuplicateOrganizationalUnitException for a
    sibling of that name, ConstraintViolationException for a unit too deep.
    """
    organization = managed_by(caller.account)
    parent = container(organization, ParentId)
    if parent is None:
        raise extension.error("ParentNotFoundException", "You specified a parent that doesn't exist.")
    _check_name(organization, ParentId, Name)
    if len(lineage(organization, parent)) > DEEPEST:
        raise constraint_violation("OU_DEPTH_LIMIT_EXCEEDED", f"Units may be nested {DEEPEST} levels deep")
    unit: dict[str, Any] = organization.create_organizational_unit(ParentId=ParentId, Name=Name, Tags=list(Tags))
    return unit


def _check_name(organization: OrganizationsBackend, parent_id: str | None, name: str) -> None:
    if any(unit.parent_id == parent_id and unit.name == name for unit in list(organization.ou)):
        message = "An OU with the same name already exists."
        raise extension.error("DuplicateOrganizationalUnitException", message)


def update_organizational_unit(caller: Caller, *, OrganizationalUnitId: str, Name: str = "") -> dict[str, Any]:
    """UpdateOrganizationalUnit: another name, which no sibling may have (moto: nobody in the organization)."""
    organization = managed_by(caller.account)
    unit = organization.get_organizational_unit_by_id(OrganizationalUnitId)
    if Name and Name != unit.name:
        _check_name(organization, unit.parent_id, Name)
        unit.name = Name
    described: dict[str, Any] = unit.describe()
    return described


def delete_organizational_unit(caller: Caller, *, OrganizationalUnitId: str) -> None:
    """DeleteOrganizationalUnit. Errors: OrganizationalUnitNotEmptyException, where moto orphans what is in it."""
    organization = managed_by(caller.account)
    unit = organization.get_organizational_unit_by_id(OrganizationalUnitId)
    children: list[Any] = [*organization.accounts, *organization.ou]
    if any(child.parent_id == unit.id for child in children):
        raise extension.error(
            "OrganizationalUnitNotEmptyException",
            "The specified OU is not empty. Move all accounts to another root or to other OUs, remove all child OUs, "
            "and try the operation again.",
        )
    for policy in list(unit.attached_policies):
        policy.attachments.remove(unit)
    organization.delete_organizational_unit(OrganizationalUnitId=OrganizationalUnitId)


def move_account(caller: Caller, *, AccountId: str, SourceParentId: str, DestinationParentId: str) -> None:
    """MoveAccount.

    Errors: AccountNotFoundException; SourceParentNotFoundException, also where the account stands elsewhere (which of
    its errors AWS takes for that is not documented); DestinationParentNotFoundException; DuplicateAccountException.
    """
    organization = managed_by(caller.account)
    account = organization.get_account_by_id(AccountId)
    if container(organization, SourceParentId) is None:
        raise _no_source()
    if container(organization, DestinationParentId) is None:
        message = "You specified a destination parent that doesn't exist."
        raise extension.error("DestinationParentNotFoundException", message)
    if account.parent_id == DestinationParentId:
        message = "The account is already present in the specified destination."
        raise extension.error("DuplicateAccountException", message)
    if account.parent_id != SourceParentId:
        raise _no_source()
    organization.move_account(
        AccountId=AccountId, SourceParentId=SourceParentId, DestinationParentId=DestinationParentId
    )


def _no_source() -> ServiceException:
    return extension.error("SourceParentNotFoundException", "You specified a source parent that doesn't exist.")


def tag_resource(caller: Caller, *, ResourceId: str, Tags: list[dict[str, str]]) -> None:
    """TagResource of an account, unit, root or policy.

    Errors, but for the first ones that moto lets pass: TargetNotFoundException; InvalidInputException for keys that
    are AWS's own or come twice; ConstraintViolationException for more than 50 tags.
    """
    organization = managed_by(caller.account)
    present = organization._get_resource_for_tagging(ResourceId).tags
    keys = [tag["Key"] for tag in Tags]
    if any(key.lower().startswith("aws:") for key in keys):
        message = "You can't add, edit, or delete system tags."
        raise extension.error("InvalidInputException", message, Reason="INVALID_SYSTEM_TAGS_PARAMETER")
    if len({*keys}) != len(keys):
        message = "Tag keys must be unique within a request."
        raise extension.error("InvalidInputException", message, Reason="DUPLICATE_TAG_KEY")
    if len({*present, *keys}) > MOST_TAGS:
        message = "You have exceeded the number of tags allowed on this resource."
        raise constraint_violation("MAX_TAG_LIMIT_EXCEEDED", message)
    organization.tag_resource(ResourceId=ResourceId, Tags=Tags)


def add_operations() -> None:
    """Put these operations in the place of moto's."""
    for operation in (
        list_parents,
        create_organizational_unit,
        update_organizational_unit,
        delete_organizational_unit,
        move_account,
        tag_resource,
    ):
        extension.operation(operation)
