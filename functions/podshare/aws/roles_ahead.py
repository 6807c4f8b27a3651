"""Read the roles of an account at once, so that each need not be asked for by itself.

GetAccountAuthorizationDetails returns of every role all that the calls for one role return, but for its session
duration, which ListRoles returns. What they return is kept as the answers to those calls: whoever reads a role asks as
ever, and gets the same answer. What they do not return whole is asked for role by role, and so is a role that they do
not return at all: only GetRole says that one is absent. See decision record 0065.
"""

import contextlib
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from podshare.aws.answers import PAGES_OF
from podshare.aws.errors import code_of
from podshare.aws.sessions import Accounts

if TYPE_CHECKING:
    from types_boto3_iam import IAMClient

READS = frozenset({"iam:GetAccountAuthorizationDetails", "iam:ListRoles"})
PAGE = 100  # roles, each with all of its policies: about half a megabyte, and the default of both calls
MOST_PAGES = 50  # of an account that is read whole: IAM's quota of roles can be raised to as many
_ALL = ("Path", "RoleName", "RoleId", "Arn", "CreateDate", "AssumeRolePolicyDocument", "Tags")
_POLICIES = ("RolePolicyList", "AttachedManagedPolicies")
_role_by_role: set[str] = set()  # accounts in which reading ahead was of no use, for as long as the function is warm


def read_roles_ahead(accounts: Accounts, account: str, path: str, names: Collection[str]) -> None:
    """Read ahead ``names``, roles of podshare's ``path`` that are probably there, and the account's member roles.

    A role needs four calls by itself, so a page is read for each at most: an account with thousands of other roles is
    not read whole, and is not tried again where its first pages have none of them. Where answers serve many teams, all
    roles are read, once. Whatever fails is left out.
    """
    if accounts.answers is None or account in _role_by_role or not names:
        return
    with contextlib.suppress(Exception):  # whoever reads a role asks for it, and reports what it meets
        if accounts.answers.as_of:
            accounts.answers.once(("iam", account, "all roles"), lambda: _read_ahead(accounts, account, path, None))
        else:
            _read_ahead(accounts, account, path, names)


def _read_ahead(accounts: Accounts, account: str, path: str, names: Collection[str] | None) -> None:
    """Read roles of these names, or all."""
    iam = accounts.as_of_now().client("iam", account)
    try:
        details = {role["RoleName"]: role for role in _pages_of_roles(iam, account, path, names)}
    except ClientError as error:
        if code_of(error) == "AccessDenied":  # a member stack of an earlier version
            _role_by_role.add(account)
        raise
    count = sum(role["Path"] == path for role in details.values())
    durations = _session_durations(iam, path, count) if count > 1 else {}
    for role in details.values():
        _keep(accounts, account, role, durations, is_own=role["Path"] == path)


def _pages_of_roles(
    iam: "IAMClient", account: str, path: str, names: Collection[str] | None
) -> Iterator[Mapping[str, Any]]:
    """Those of ``names``, and member roles, that are in the pages: as many pages as names, or fewer if these have all.

    What a page has of others is not kept: a team may have hundreds of accounts. Without names all of podshare's are.
    """
    missing, page = {*(names or ())}, dict[str, Any]()
    begin = path.removesuffix("/")  # the path of member roles begins so, too
    for _ in range(MOST_PAGES) if names is None else names:
        marker = {"Marker": page["Marker"]} if page else {}
        page = dict(iam.get_account_authorization_details(Filter=["Role"], **marker))
        missing -= {role["RoleName"] for role in page["RoleDetailList"]}
        for role in page["RoleDetailList"]:
            is_named = names is None or role["RoleName"] in names
            is_wanted = is_named if role["Path"] == path else role["Path"].startswith(begin)
            if is_wanted and all(field in role for field in (*_ALL, *_POLICIES)):
                yield role
        if not page["IsTruncated"] or (names is not None and not missing):
            return
    if names is not None and len(missing) == len(names):
        _role_by_role.add(account)


def _session_durations(iam: "IAMClient", path: str, most_pages: int) -> dict[str, int]:
    """The session durations of the roles under ``path``, by their ids; of some, where more pages are needed."""
    durations, page = dict[str, int](), dict[str, Any]()
    for _ in range(most_pages):
        marker = {"Marker": page["Marker"]} if page else {}
        page = dict(iam.list_roles(PathPrefix=path, **marker))
        durations |= {role["RoleId"]: role["MaxSessionDuration"] for role in page["Roles"]}
        if not page["IsTruncated"]:
            break
    return durations


def _keep(
    accounts: Accounts, account: str, role: Mapping[str, Any], durations: Mapping[str, int], *, is_own: bool
) -> None:
    """Keep what was read of a role as what IAM answers to the calls for it.

    Nobody compares how long sessions of other roles than podshare's last.
    """
    name = role["RoleName"]
    inline = {policy["PolicyName"]: policy["PolicyDocument"] for policy in role["RolePolicyList"]}
    attached = {"AttachedPolicies": role["AttachedManagedPolicies"], "IsTruncated": False}
    described = {field: role[field] for field in (*_ALL, "PermissionsBoundary") if field in role}
    if role["RoleId"] in durations:
        described["MaxSessionDuration"] = durations[role["RoleId"]]

    def keep(call: str, answer: Any, **asked: str) -> None:
        accounts.keep_answer("iam", account, "", call, answer, RoleName=name, **asked)

    if not is_own or "MaxSessionDuration" in described:
        keep("get_role", {"Role": described})
    keep(PAGES_OF + "list_role_policies", [{"PolicyNames": [*inline], "IsTruncated": False}])
    keep(PAGES_OF + "list_attached_role_policies", [attached])
    for policy, document in inline.items():
        answer = {"RoleName": name, "PolicyName": policy, "PolicyDocument": document}
        keep("get_role_policy", answer, PolicyName=policy)
