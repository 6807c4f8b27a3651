"""AWS Organizations: what it says of its accounts, read by a role of the management account or as its delegate."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from podshare.aws.errors import Retryable, Terminal, code_of
from podshare.aws.sessions import Accounts, hub_client
from podshare.aws.settings import OrganizationAccess, Settings
from podshare.registry.accounts import DEPARTED, Account

if TYPE_CHECKING:  # stubs are no dependency of the functions
    from types_boto3_organizations import OrganizationsClient
    from types_boto3_organizations.type_defs import AccountTypeDef

_MOST_LEVELS = 6  # root, five levels of OUs (AWS Organizations quotas)


def describe(settings: Settings, account: str) -> Account:
    """The account as the organization describes it now; DEPARTED if it has none of this id.

    Raises NoMemberRole if the organization may not be read, ClientError if Organizations could not answer, Retryable
    if its answer lacks the account's state. Source: Organizations API reference, DescribeAccount and
    ListTagsForResource.
    """
    organizations = _client(settings)
    try:
        described = organizations.describe_account(AccountId=account)["Account"]
        pages = organizations.get_paginator("list_tags_for_resource").paginate(ResourceId=account)
        tags = {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}
        path = _path(described) or tuple(_parents(organizations, account))
    except ClientError as error:
        # it may depart between these calls
        if code_of(error) in ("AccountNotFoundException", "TargetNotFoundException", "ChildNotFoundException"):
            return Account(account, state=DEPARTED)
        raise
    # Status is what there was before State, and was retired on 2026-09-09 (Organizations API reference, Account)
    state = described.get("State") or described.get("Status")
    if not state:  # without one the account would count as gone, and lose all access
        raise Retryable(f"account {account}: Organizations answered without its state")
    return Account(
        id=account,
        name=described.get("Name", ""),
        state=str(state),
        path=path,
        tags=tags,
        management=_management(described) == account,
    )


def list_accounts(settings: Settings) -> list[str]:
    """The ids of all accounts of the organization. Errors as ``describe``."""
    pages = _client(settings).get_paginator("list_accounts").paginate()
    return sorted(account["Id"] for page in pages for account in page["Accounts"])


def _client(settings: Settings) -> "OrganizationsClient":
    if settings.organization_access is OrganizationAccess.DELEGATED_ADMINISTRATOR:
        return hub_client("organizations")
    accounts = Accounts(settings.installation, "organization")
    return accounts.client("organizations", settings.management_account)


def _path(described: "AccountTypeDef") -> tuple[str, ...]:
    """The root and the OUs above an account; ``Paths`` holds ``o-…/r-…/ou-…/<account>/`` (its pattern in the API)."""
    for path in described.get("Paths", []):
        units = re.findall(r"(?:^|/)(r-[0-9a-z]+|ou-[0-9a-z]+-[0-9a-z]+)(?=/|$)", path)
        if units:
            return tuple(units)
    return ()


def _parents(organizations: Any, account: str) -> Iterator[str]:
    """The same, asked for level by level: for answers without ``Paths``. Raises Terminal without a root."""
    child, path = account, list[str]()
    for _ in range(_MOST_LEVELS):
        pages = organizations.get_paginator("list_parents").paginate(ChildId=child)
        parents = [parent for page in pages for parent in page["Parents"]]  # an empty page need not be the last
        parent = parents[0]
        path.insert(0, parent["Id"])
        if parent["Type"] == "ROOT":
            return iter(path)
        child = parent["Id"]
    raise Terminal(f"account {account}: its parents {', '.join(path)} lead to no root")


def _management(described: "AccountTypeDef") -> str:
    """An account's ARN names the management account: ``arn:aws:organizations::<management>:account/o-…/<id>``."""
    return described["Arn"].split(":")[4]
