"""What a call must be allowed: its action on each of its resources, and what AWS asks for besides.

Actions, resources and condition keys are AWS's (``catalog``). The tables here hold the exceptions, each for
a reason, and an operation that none of this covers is refused with NotImplementedError.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from podshare_sandbox.authorization import catalog, global_keys, registrations, request_context, tags
from podshare_sandbox.authorization.call import Call, Check, unmapped
from podshare_sandbox.authorization.conditions import Values
from podshare_sandbox.authorization.resources import UNKNOWN, resources_of
from podshare_sandbox.authorization.sessions import transitive_tags

# botocore's name of a service → its prefix in IAM, where they differ
PREFIXES = {
    "dynamodbstreams": "dynamodb",
    "resourcegroupstaggingapi": "tag",
    "s3control": "s3",
    "stepfunctions": "states",
}

# operations whose permission has another name (Service Authorization Reference, per service)
_ACTIONS = {
    "lambda:Invoke": "InvokeFunction",
    "lambda:InvokeWithResponseStream": "InvokeFunction",
    "lambda:GetLayerVersionByArn": "GetLayerVersion",
    "sns:PublishBatch": "Publish",
    "sqs:SendMessageBatch": "SendMessage",
    "sqs:DeleteMessageBatch": "DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
    "s3:GetPublicAccessBlock": "GetAccountPublicAccessBlock",
    "s3:PutPublicAccessBlock": "PutAccountPublicAccessBlock",
    "s3:DeletePublicAccessBlock": "PutAccountPublicAccessBlock",
}

# operations that anybody may call ("No permissions are required to perform this operation", STS API Reference)
FREE = {"sts:GetCallerIdentity"}

# operations that tag what they create also need this action on it
_TAGGING = {
    "cloudwatch": "TagResource",
    "dynamodb": "TagResource",
    "eks": "TagResource",
    "events": "TagResource",
    "fsx": "TagResource",
    "kms": "TagResource",
    "lambda": "TagResource",
    "logs": "TagResource",
    "organizations": "TagResource",
    "s3": "TagResource",
    "sagemaker": "AddTags",
    "scheduler": "TagResource",
    "sns": "TagResource",
    "sqs": "TagQueue",
    "ssm": "AddTagsToResource",
    "states": "TagResource",
}
_IAM_TAGGING = {"CreateRole": "TagRole", "CreatePolicy": "TagPolicy", "CreateUser": "TagUser"}
_IAM_TAGGING["CreateInstanceProfile"] = "TagInstanceProfile"
_MADE_BY_EKS = {
    "CreateAccessEntry": "access-entry",
    "CreateAddon": "addon",
    "CreateCluster": "cluster",
    "CreateNodegroup": "nodegroup",
    "CreatePodIdentityAssociation": "podidentityassociation",
}
_CREATING = ("Create", "Put", "Publish")

# operations that hand a role to a service: the service's principal (each service's guide, "iam:PassRole")
_PASSED_TO = {
    "lambda:CreateFunction": "lambda.amazonaws.com",
    "lambda:UpdateFunctionConfiguration": "lambda.amazonaws.com",
    "states:CreateStateMachine": "states.amazonaws.com",
    "states:UpdateStateMachine": "states.amazonaws.com",
    "eks:CreateCluster": "eks.amazonaws.com",
    "eks:CreateNodegroup": "eks.amazonaws.com",
    "eks:CreateFargateProfile": "eks-fargate-pods.amazonaws.com",
    "eks:CreateAddon": "pods.eks.amazonaws.com",
    "eks:UpdateAddon": "pods.eks.amazonaws.com",
    "eks:CreatePodIdentityAssociation": "pods.eks.amazonaws.com",
    "eks:UpdatePodIdentityAssociation": "pods.eks.amazonaws.com",
    "events:PutRule": "events.amazonaws.com",
    "events:PutTargets": "events.amazonaws.com",
    "scheduler:CreateSchedule": "scheduler.amazonaws.com",
    "scheduler:UpdateSchedule": "scheduler.amazonaws.com",
    "sagemaker:CreateCluster": "sagemaker.amazonaws.com",
    "sagemaker:UpdateCluster": "sagemaker.amazonaws.com",
    "cloudformation:CreateStack": "cloudformation.amazonaws.com",
    "cloudformation:UpdateStack": "cloudformation.amazonaws.com",
    "cloudformation:CreateChangeSet": "cloudformation.amazonaws.com",
    "logs:PutSubscriptionFilter": "logs.amazonaws.com",
}
_ROLE_PARAMETERS = {
    *("role", "rolearn", "noderole", "podexecutionrolearn", "serviceaccountrolearn", "executionrole"),
}

# operations that DynamoDB authorizes as the single operations that they stand for
_TRANSACTION_PARTS = {"TransactGetItems", "TransactWriteItems"}
_PART_ACTIONS = {"Get": "GetItem", "Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem"}
_PART_ACTIONS["ConditionCheck"] = "ConditionCheckItem"


def prefix_of(service: str) -> str:
    """The prefix of the service's actions in IAM."""
    return PREFIXES.get(service, service)


def checks(call: Call) -> list[Check]:
    """Everything that ``call`` must be allowed. Raises NotImplementedError for what cannot be mapped."""
    prefix = prefix_of(call.service)
    if f"{prefix}:{call.operation}" in FREE:
        return []
    if prefix == "dynamodb" and call.operation in _TRANSACTION_PARTS:
        return [check for part in _transaction(call) for check in _single(part, prefix)]
    if f"{prefix}:{call.operation}" == "sts:AssumeRole":
        return [found for name in _session_actions(call) for found in check(call, prefix, name)]
    found = [*_single(call, prefix), *_tag_checks(call, prefix), *_pass_role_checks(call, prefix)]
    return [*found, *registrations.of(prefix).checks(call)]


def check(call: Call, prefix: str, action_name: str, resource: str | None = None) -> list[Check]:
    """``action_name`` on ``resource``, or else on each resource that the call names."""
    action = catalog.action(prefix, action_name)
    if action is None:
        raise unmapped(call, f"AWS has no action {prefix}:{action_name}")
    context = request_context.context_of(call, prefix)
    resources = [resource] if resource else resources_of(call, prefix, action)
    return [Check(action.name, arn, _relevant(action, {**context, **resource_context(call, arn)})) for arn in resources]


def _single(call: Call, prefix: str) -> list[Check]:
    return check(call, prefix, _ACTIONS.get(f"{prefix}:{call.operation}", call.operation))


def _relevant(action: catalog.Action, context: Mapping[str, Values]) -> dict[str, Values]:
    """Without the service's keys that AWS does not set for this action; STS sets them for the whole request."""
    return {
        key: value
        for key, value in context.items()
        if key.startswith(("aws:", "sts:")) or catalog.knows_key(action, key)
    }


def resource_context(call: Call, arn: str) -> dict[str, Values]:
    """The condition keys of the resource with this ARN: its owner and its tags."""
    owner = account_of(arn) or call.account
    return {**global_keys.of_resource(owner), **tags.resource_context(call, arn)}


def account_of(arn: str) -> str:
    """The account in an ARN; empty where it has none (S3 buckets, AWS's own resources, ``*``)."""
    fields = arn.split(":")
    return fields[4] if len(fields) > 4 and fields[4].isdigit() else ""  # the account's field


def _transaction(call: Call) -> Iterator[Call]:
    for item in call.parameters["TransactItems"]:
        for kind, part in item.items():
            parameters = {**part, "EnclosingOperation": call.operation}
            yield replace(call, operation=_PART_ACTIONS[kind], parameters=parameters)


def _session_actions(call: Call) -> Iterator[str]:
    """A session's tags and source identity, given or inherited, need permissions (and trust) of their own."""
    yield "AssumeRole"
    if tags.requested_tags(call.parameters) or transitive_tags(call.caller.session):
        yield "TagSession"
    if request_context.session_source_identity(call):
        yield "SetSourceIdentity"


def _tag_checks(call: Call, prefix: str) -> list[Check]:
    if not call.operation.startswith(_CREATING) or not tags.requested_tags(call.parameters):
        return []
    action_name = _IAM_TAGGING.get(call.operation) if prefix == "iam" else _TAGGING.get(prefix)
    if action_name is None:
        raise unmapped(call, "which permission its tags need")
    return [found for arn in _tagged_resources(call, prefix) for found in check(call, prefix, action_name, arn)]


def _tagged_resources(call: Call, prefix: str) -> list[str]:
    """What the tags are for: the resource of the call, or the one that it will make, whose id is not known yet."""
    if prefix == "eks":
        return _tagged_by_eks(call)
    if prefix == "kms":
        return [f"arn:aws:kms:{call.region}:{call.account}:key/{UNKNOWN}"]
    named = [one.resource for one in _single(call, prefix)]
    if prefix in ("fsx", "sagemaker"):
        return [arn for arn in named if UNKNOWN in arn] or named[-1:]
    return [arn.removesuffix(":log-stream:") for arn in named]


def _tagged_by_eks(call: Call) -> list[str]:
    """EKS does not document against which resource it holds the tags of a creation: any answer has to be allowed.

    It may be what will be made (Service Authorization Reference), the cluster (which AWS's own tests of hybrid nodes
    allow), or the operation's path (as is reported of CreateAddon: ``arn:aws:eks:…:/createaddon``).
    """
    made = _resources_of_type(call, _MADE_BY_EKS.get(call.operation, ""))
    if call.operation == "CreateCluster":
        return made
    path = f"arn:aws:eks:{call.region}:{call.account}:/{call.operation.lower()}"
    return [*made, *_resources_of_type(call, "cluster"), path]


def _resources_of_type(call: Call, kind: str) -> list[str]:
    tagging = catalog.action("eks", "TagResource")
    types = [one for one in tagging.resource_types if one.name == kind] if tagging else []
    if not tagging or not types:
        raise unmapped(call, "which resource its tags are for")
    return resources_of(call, "eks", replace(tagging, resource_types=tuple(types)))


def _pass_role_checks(call: Call, prefix: str) -> Iterator[Check]:
    """Handing a role to a service needs iam:PassRole on the role, whatever the service."""
    service = _PASSED_TO.get(f"{prefix}:{call.operation}")
    roles = dict.fromkeys(_roles(call.parameters)) if service else {}
    for role in roles:
        context: dict[str, Values] = {
            "iam:passedtoservice": str(service),
            "aws:requestedregion": call.region,
            **call.origin,
            **resource_context(call, role),
        }
        yield Check("iam:PassRole", role, context)
    if prefix == "iam" and call.operation == "AddRoleToInstanceProfile":
        yield from _instance_profile_role(call)


def _instance_profile_role(call: Call) -> Iterator[Check]:
    as_role = replace(call, operation="GetRole")
    for found in check(as_role, "iam", "PassRole"):
        yield replace(found, context={**found.context, "iam:passedtoservice": "ec2.amazonaws.com"})


def _roles(value: Any) -> Iterator[str]:
    """Every role's ARN in a parameter that names a role (a pod identity's target role is assumed, not passed)."""
    if isinstance(value, Mapping):
        for name, member in value.items():
            if name.lower() in _ROLE_PARAMETERS and isinstance(member, str):
                yield member
            else:
                yield from _roles(member)
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for member in value:
            yield from _roles(member)
