"""Control policies as AWS takes them: only well-formed ones, only where enabled, and never the last away."""

import json
from typing import Any

from moto.organizations.models import FakePolicy, OrganizationsBackend

from podshare_sandbox.authorization import grammar
from podshare_sandbox.authorization.accounts import CONTROL_POLICY, RESOURCE_CONTROL_POLICY, root_of
from podshare_sandbox.moto_extension import Caller
from podshare_sandbox.services.organizations.access import (
    constraint_violation,
    extension,
    managed_by,
)

# "Quotas for AWS Organizations"
LONGEST_CONTROL_POLICY = 5120  # characters
MOST_ATTACHED_POLICIES = 5  # of one type to one target

_GRAMMARS = {
    CONTROL_POLICY: grammar.check_identity_policy,
    RESOURCE_CONTROL_POLICY: grammar.check_resource_control_policy,
}


def create_policy(caller: Caller, *, Content: str, Type: str, **request: Any) -> dict[str, Any]:
    """CreatePolicy. Errors: MalformedPolicyDocumentException, where moto takes any text."""
    organization = managed_by(caller.account)
    _check(Type, Content)
    created: dict[str, Any] = organization.create_policy(Content=Content, Type=Type, **request)
    return created


def update_policy(caller: Caller, *, PolicyId: str, **changes: str) -> dict[str, Any]:
    """UpdatePolicy. Errors as for creation, and InvalidInputException for AWS's own policies."""
    organization = managed_by(caller.account)
    policy = organization.get_policy_by_id(PolicyId)
    if policy.aws_managed:
        message = "You can't modify an AWS managed policy."
        raise extension.error("InvalidInputException", message, Reason="IMMUTABLE_POLICY")
    _check(policy.type, changes.get("Content") or str(policy.content))
    updated: dict[str, Any] = organization.update_policy(PolicyId=PolicyId, **changes)
    return updated


def _check(kind: str, content: str) -> None:
    """A service control policy is written like an identity policy ("SCP syntax")."""
    try:
        _GRAMMARS.get(kind, json.loads)(content)
    except ValueError as error:
        message = "The provided policy document does not meet the requirements of the specified policy type."
        raise extension.error("MalformedPolicyDocumentException", message) from error
    if kind in _GRAMMARS and len(content) > LONGEST_CONTROL_POLICY:
        message = "You have exceeded the maximum length of a policy document."
        raise constraint_violation("POLICY_CONTENT_LIMIT_EXCEEDED", message)


def attach_policy(caller: Caller, *, PolicyId: str, TargetId: str) -> None:
    """AttachPolicy.

    Errors that moto lets pass: TargetNotFoundException, PolicyTypeNotEnabledException,
    DuplicatePolicyAttachmentException, ConstraintViolationException for more than five of a type.
    """
    organization = managed_by(caller.account)
    policy, target = organization.get_policy_by_id(PolicyId), _target(organization, TargetId)
    if all(kind["Type"] != policy.type for kind in root_of(organization).policy_types):
        message = "This operation can be performed only for enabled policy types."
        raise extension.error("PolicyTypeNotEnabledException", message)
    if policy in target.attached_policies:
        message = "A policy with the specified name and type already exists."
        raise extension.error("DuplicatePolicyAttachmentException", message)
    if len(_of_kind(target, policy)) >= MOST_ATTACHED_POLICIES:
        message = "You have attached the maximum number of policies of a specified type to the target."
        raise constraint_violation("MAX_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED", message)
    organization.attach_policy(PolicyId=PolicyId, TargetId=TargetId)


def detach_policy(caller: Caller, *, PolicyId: str, TargetId: str) -> None:
    """DetachPolicy.

    Errors that moto lets pass: TargetNotFoundException, PolicyNotAttachedException, ConstraintViolationException
    for the last one ("every root, OU, and account must have at least one SCP attached") and for RCPFullAWSAccess,
    which "can't be detached".
    """
    organization = managed_by(caller.account)
    policy, target = organization.get_policy_by_id(PolicyId), _target(organization, TargetId)
    if policy not in target.attached_policies:
        raise extension.error("PolicyNotAttachedException", "The policy isn't attached to the specified target.")
    stays = policy.type == RESOURCE_CONTROL_POLICY and policy.aws_managed
    if stays or (policy.type == CONTROL_POLICY and len(_of_kind(target, policy)) == 1):
        message = "You cannot remove the last policy attached to the specified target."
        raise constraint_violation("MIN_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED", message)
    organization.detach_policy(PolicyId=PolicyId, TargetId=TargetId)


def disable_policy_type(caller: Caller, *, RootId: str, PolicyType: str) -> dict[str, Any]:
    """DisablePolicyType: everything of the type is detached; enabled again, all have AWS's own policy alone."""
    organization = managed_by(caller.account)
    described: dict[str, Any] = organization.disable_policy_type(RootId=RootId, PolicyType=PolicyType)
    targets: list[Any] = [*organization.accounts, *organization.ou]
    for policy in [one for one in organization.policies if one.type == PolicyType]:
        for target in targets if policy.aws_managed else list(policy.attachments):
            change = organization.attach_policy if policy.aws_managed else organization.detach_policy
            change(PolicyId=policy.id, TargetId=target.id)
    return described


def _target(organization: OrganizationsBackend, target_id: str) -> Any:
    """The account, unit or root with this id."""
    targets: list[Any] = [*organization.accounts, *organization.ou]
    found = next((one for one in targets if one.id == target_id), None)
    if found is None:
        raise extension.error("TargetNotFoundException", "You specified a target that doesn't exist.")
    return found


def _of_kind(target: Any, policy: FakePolicy) -> list[FakePolicy]:
    return [one for one in target.attached_policies if one.type == policy.type]


def add_operations() -> None:
    """Put these operations in the place of moto's."""
    for operation in (create_policy, update_policy, attach_policy, detach_policy, disable_policy_type):
        extension.operation(operation)
