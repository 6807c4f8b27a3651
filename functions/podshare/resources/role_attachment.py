"""The member stack's fixed policy on a role that somebody else made.

Several teams may name the same role, so that the attachment is shared: the state table says for whom it is there, and
it goes with the last of them.
"""

from botocore.exceptions import ClientError

from podshare.aws.errors import Terminal, is_absent
from podshare.aws.lease import document_lease
from podshare.domain.kinds import Key, Resource, RoleAttachment
from podshare.resources.context import Context, as_kind

READS = frozenset({"iam:ListAttachedRolePolicies"})
WRITES = frozenset({"iam:GetRole", "iam:AttachRolePolicy", "iam:DetachRolePolicy"})


def read(context: Context, key: Key, wanted: Resource | None) -> RoleAttachment | None:
    """The team's share in the attachment; its ``policy_arn`` is empty where the policy is not attached."""
    if context.state.get(_document(key), _grant(context)) is None:
        return None
    arn = context.installation.assume_policy_arn(key.account)
    return RoleAttachment(key=key, policy_arn=arn if arn in _attached(context, key) else "")


def create(context: Context, wanted: Resource) -> None:
    """Attach the policy, for this team too.

    Raises Terminal if there is no such role.
    """
    attachment = as_kind(RoleAttachment, wanted)
    iam, role = context.accounts.client("iam", attachment.key.account), _role_name(attachment.key)
    with document_lease(context.state, _document(attachment.key), context.function_timeout) as check:
        context.state.put_once(_document(attachment.key), _grant(context))
        try:
            arn = iam.get_role(RoleName=role)["Role"]["Arn"]
            check()
            iam.attach_role_policy(RoleName=role, PolicyArn=attachment.policy_arn)
        except ClientError as error:
            if not is_absent(error):
                raise
            arn = ""
    if not arn.endswith(f":role/{attachment.key.container}"):
        raise Terminal(
            f"account {attachment.key.account} has no role {attachment.key.container}: create it, "
            "or correct existing_role (with its path) in the team's record."
        )


def update(context: Context, observed: Resource, wanted: Resource) -> None:
    """Attach it again."""
    create(context, wanted)


def delete(context: Context, observed: Resource) -> None:
    """Give up the team's share; detach the policy if nobody else has one."""
    key = observed.key
    iam = context.accounts.client("iam", key.account)
    with document_lease(context.state, _document(key), context.function_timeout) as check:
        shares = context.state.query(_document(key), "grant#")
        if all(share["part"] == _grant(context) for share in shares):
            check()
            try:
                arn = context.installation.assume_policy_arn(key.account)
                iam.detach_role_policy(RoleName=_role_name(key), PolicyArn=arn)
            except ClientError as error:
                if not is_absent(error):
                    raise
        context.state.delete(_document(key), _grant(context))


def _attached(context: Context, key: Key) -> set[str]:
    iam = context.accounts.client("iam", key.account)
    try:
        pages = iam.get_paginator("list_attached_role_policies").paginate(RoleName=_role_name(key))
        return {policy["PolicyArn"] for page in pages for policy in page["AttachedPolicies"]}
    except ClientError as error:
        if is_absent(error):
            return set()
        raise


def _role_name(key: Key) -> str:
    """IAM names a role without its path."""
    return key.container.rpartition("/")[2]


def _document(key: Key) -> str:
    return f"role#{key.account}/{key.container}"


def _grant(context: Context) -> str:
    return f"grant#{context.team}/"
