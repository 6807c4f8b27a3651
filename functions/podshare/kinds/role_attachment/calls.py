"""The member stack's fixed policy on a role that somebody else made.

Several teams may name the same role, so that the attachment is shared: the state table says for whom it is there, and
it goes with the last of them. What an earlier member stack of the account left attached goes too.
"""

from botocore.exceptions import ClientError

from podshare.aws.errors import Terminal, Tolerated, is_absent
from podshare.aws.lease import document_lease
from podshare.kinds.base import Key, Resource
from podshare.kinds.context import Context, as_kind
from podshare.kinds.role_attachment.shape import RoleAttachment

POLICY_TAG = "podshare:assume-policy"
READS = frozenset({"iam:GetRole", "iam:ListAttachedRolePolicies"})
WRITES = frozenset({"iam:GetRole", "iam:ListAttachedRolePolicies", "iam:AttachRolePolicy", "iam:DetachRolePolicy"})


def read(context: Context, key: Key, wanted: Resource | None) -> RoleAttachment | None:
    """The team's share in the attachment.

    Its ``policy_arn`` is empty where the policy is not attached, or an earlier stack's is. Raises NoMemberRole without
    a member role, share or not: so a new account's is waited for.
    """
    desired = context.installation.assume_policy_arn(key.account)
    # the stacks of version 1 named theirs as desired does, and name none in a tag
    present = context.accounts.member_tags(key.account).get(POLICY_TAG, desired)
    if context.state.get(_document(key), _grant(context)) is None:
        return None
    return RoleAttachment(key=key, policy_arn=desired if _attached(context, key) == {present} else "")


def create(context: Context, wanted: Resource) -> None:
    """Attach the policy, for this team too.

    Raises Terminal if there is no such role.
    """
    key = as_kind(RoleAttachment, wanted).key
    iam, role = context.accounts.client("iam", key.account), _role_name(key)
    policy = context.member_policy(key.account, POLICY_TAG)
    with document_lease(context.state, _document(key), context.function_timeout) as check:
        context.state.put_once(_document(key), _grant(context))
        try:
            arn = iam.get_role(RoleName=role)["Role"]["Arn"]
            check()
            for earlier in sorted(_attached(context, key) - {policy}):
                iam.detach_role_policy(RoleName=role, PolicyArn=earlier)
            iam.attach_role_policy(RoleName=role, PolicyArn=policy)
        except ClientError as error:
            if not is_absent(error):
                raise
            arn = ""
    if not arn.endswith(f":role/{key.container}"):
        raise Terminal(
            f"account {key.account} has no role {key.container}: create it, "
            "or correct existing_role (with its path) in the team's record."
        )


def update(context: Context, observed: Resource, wanted: Resource) -> None:
    """Attach it again."""
    create(context, wanted)


def path_and_name(context: Context, key: Key) -> str:
    """Path and name of the role of this name, wherever it is; empty if the account has none."""
    with Tolerated():
        role = context.accounts.client("iam", key.account).get_role(RoleName=_role_name(key))
        return str(role["Role"]["Arn"]).partition(":role/")[2]
    return ""


def delete(context: Context, observed: Resource) -> None:
    """Give up the team's share; detach the policy if nobody else has one."""
    key = observed.key
    iam = context.accounts.client("iam", key.account)
    with document_lease(context.state, _document(key), context.function_timeout) as check:
        shares = context.state.query(_document(key), "grant#")
        if all(share["part"] == _grant(context) for share in shares):
            check()
            with Tolerated():
                for arn in sorted(_attached(context, key)):
                    iam.detach_role_policy(RoleName=_role_name(key), PolicyArn=arn)
        context.state.delete(_document(key), _grant(context))


def _attached(context: Context, key: Key) -> set[str]:
    """The policies of the account's member stacks, present and earlier, that the role has."""
    ours = context.installation.assume_policy_arn(key.account)
    iam = context.accounts.client("iam", key.account)
    with Tolerated():
        pages = iam.get_paginator("list_attached_role_policies").paginate(RoleName=_role_name(key))
        attached = [policy["PolicyArn"] for page in pages for policy in page["AttachedPolicies"]]
        return {arn for arn in attached if arn.startswith(ours)}
    return set()


def _role_name(key: Key) -> str:
    """IAM names a role without its path."""
    return key.container.rpartition("/")[2]


def _document(key: Key) -> str:
    return f"role#{key.account}/{key.container}"


def _grant(context: Context) -> str:
    return f"grant#{context.team}/"
