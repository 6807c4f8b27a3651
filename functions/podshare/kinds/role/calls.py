"""IAM roles under podshare's path: cluster access, data scientist and data access roles."""

import datetime
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError

from podshare.aws.errors import KNOWN_EVERYWHERE, Pending, Tolerated, code_of, is_absent, is_explicitly_denied
from podshare.kinds.base import Key, Resource, calls_of
from podshare.kinds.context import Context, as_kind, tag_list, tag_map
from podshare.kinds.observation import Foreign
from podshare.kinds.role.shape import Role
from podshare.policy import policies

BOUNDARY_TAG = "podshare:boundary"
READS = calls_of("iam", "GetRole ListRolePolicies GetRolePolicy ListAttachedRolePolicies")
WRITES = calls_of(
    "iam",
    "GetRole CreateRole TagRole UntagRole UpdateRole UpdateAssumeRolePolicy "
    "PutRolePermissionsBoundary PutRolePolicy DeleteRolePolicy DetachRolePolicy DeleteRole",
)


def read(context: Context, key: Key, wanted: Resource | None) -> Role | Foreign | None:
    """The role, its trust and all its policies."""
    iam = context.accounts.client("iam", key.account)
    try:
        role = iam.get_role(RoleName=key.name)["Role"]
        tags = tag_map(role.get("Tags", []))
        if role["Path"] != context.installation.role_path or not context.owns(key, tags, role["RoleId"]):
            return context.foreign(key, tags)
        with _absence_from_get_role(context, key):
            names = _listed(iam.get_paginator("list_role_policies").paginate(RoleName=key.name), "PolicyNames")
            inline = {name: iam.get_role_policy(RoleName=key.name, PolicyName=name)["PolicyDocument"] for name in names}
            pages = iam.get_paginator("list_attached_role_policies").paginate(RoleName=key.name)
            attached = _listed(pages, "AttachedPolicies")
    except ClientError as error:
        if is_absent(error):
            return None
        raise
    boundary = role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", "")
    return Role(
        key=key,
        identity=role["RoleId"],
        tags=context.installation.compared_tags(tags),
        trust=role["AssumeRolePolicyDocument"],  # type: ignore[arg-type]  # boto3 decodes it; the stubs say str
        revoked_trust=policies.trust_nobody(context.installation, key.account),
        policies=inline,  # type: ignore[arg-type]  # as above
        attached=frozenset(policy["PolicyArn"] for policy in attached),
        # of a role that is to go, the boundary is compared with nothing: the member role need not be asked for its own
        boundary=_boundary(context, key.account, boundary) if wanted else boundary,
        max_session_seconds=role["MaxSessionDuration"],
    )


def _listed(pages: Iterable[Mapping[str, Any]], field: str) -> list[Any]:
    return [item for page in pages for item in page[field]]


def create(context: Context, wanted: Resource) -> None:
    """Make the role, trusted as wanted, and give it its policies."""
    role = as_kind(Role, wanted)
    iam = context.accounts.client("iam", role.key.account)
    try:
        iam.create_role(
            Path=context.installation.role_path,
            RoleName=role.key.name,
            AssumeRolePolicyDocument=policies.text(role.trust),
            Description=_description(context, role),
            MaxSessionDuration=role.max_session_seconds,
            PermissionsBoundary=context.member_policy(role.key.account, BOUNDARY_TAG),
            Tags=tag_list(role.tags),
        )
    except ClientError as error:
        if code_of(error) != "EntityAlreadyExists":  # a reply was lost: what is there is read again, and fixed
            raise
        return
    with _absence_from_get_role(context, role.key):
        for name, policy in role.policies.items():
            iam.put_role_policy(RoleName=role.key.name, PolicyName=name, PolicyDocument=policies.text(policy))


def update(context: Context, observed: Resource, wanted: Resource) -> None:
    """Write what differs, the trust first: a revocation is about it."""
    with _absence_from_get_role(context, wanted.key):
        _update(context, as_kind(Role, observed), as_kind(Role, wanted))


def _update(context: Context, old: Role, new: Role) -> None:
    iam, name = context.accounts.client("iam", new.key.account), new.key.name
    if not policies.same(old.trust, new.trust):
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=policies.text(new.trust))
    if old.boundary != new.boundary:
        boundary = context.member_policy(new.key.account, BOUNDARY_TAG)
        iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=boundary)
    for arn in sorted(old.attached - new.attached):
        iam.detach_role_policy(RoleName=name, PolicyArn=arn)
    for policy in sorted(old.policies.keys() - new.policies.keys()):
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    for policy, document in new.policies.items():
        if not policies.same(old.policies.get(policy), document):
            iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=policies.text(document))
    if old.max_session_seconds != new.max_session_seconds:
        iam.update_role(RoleName=name, MaxSessionDuration=new.max_session_seconds)
    if gone := sorted(old.tags.keys() - new.tags.keys()):
        iam.untag_role(RoleName=name, TagKeys=gone)
    if old.tags != new.tags:
        iam.tag_role(RoleName=name, Tags=tag_list(new.tags))


def delete(context: Context, observed: Resource) -> None:
    """Remove the role's permissions, then the role (IAM refuses to delete one that has policies)."""
    role = as_kind(Role, observed)
    iam, name = context.accounts.client("iam", role.key.account), role.key.name
    with Tolerated(), _absence_from_get_role(context, role.key):
        for arn in sorted(role.attached):
            iam.detach_role_policy(RoleName=name, PolicyArn=arn)
        for policy in sorted(role.policies):
            iam.delete_role_policy(RoleName=name, PolicyName=policy)
        iam.delete_role(RoleName=name)


@contextmanager
def _absence_from_get_role(context: Context, key: Key) -> Iterator[None]:
    """Let GetRole alone say that the role is absent: it may be asked for any role, and raises NoSuchEntity.

    Most else is allowed on podshare's path, and what IAM does not know has none: it denies where it could say that
    there is no such role, in the same words. An explicit deny means what it says. Raises Pending for a denial of what
    was created so lately that IAM may not know it everywhere.
    """
    try:
        yield
    except ClientError as error:
        if code_of(error) != "AccessDenied" or is_explicitly_denied(error):
            raise
        role = context.accounts.as_of_now().client("iam", key.account).get_role(RoleName=key.name)["Role"]
        if datetime.datetime.now(datetime.UTC) - role["CreateDate"] < KNOWN_EVERYWHERE:
            raise Pending(f"role {key.name} may not be known everywhere yet: {error}") from error
        raise


def _description(context: Context, role: Role) -> str:
    """Whose and why, in the letters that IAM takes (CreateRole, Description): tags that select have any."""
    return re.sub(r"[^\x20-\x7e]", "?", f"podshare: team {context.team}, {role.why}")[:1000]


def _boundary(context: Context, account: str, present_boundary: str) -> str:
    """The boundary by the name that desired has for it, if it is the present member stack's; any other as it is.

    The stacks of version 1 named theirs as desired does, and name none in a tag.
    """
    desired = context.installation.boundary_arn(account)
    if present_boundary == context.accounts.member_tags(account).get(BOUNDARY_TAG, desired):
        return desired
    return f"{present_boundary} of an earlier stack" if present_boundary == desired else present_boundary
