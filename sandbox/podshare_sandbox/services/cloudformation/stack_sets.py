"""The operations of the StackSets API: sets with service-managed permissions, their instances and operations.

An operation without preferences goes one account at a time and stops at the first that fails; an update gives each
parameter that it does not name the template's default. Source: CloudFormation API Reference. Refused as not emulated:
self-managed permissions, several Regions of one set, overrides of parameters.
"""

# operations take their parameters by AWS's names

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from podshare_sandbox.cloudformation import template
from podshare_sandbox.cloudformation.stack_set_operations import Operation, Preferences
from podshare_sandbox.cloudformation.stack_sets import StackInstance, StackSet, StackSets
from podshare_sandbox.moto_extension import Caller, page
from podshare_sandbox.services.cloudformation.organization_access import check_administrator
from podshare_sandbox.services.cloudformation.request import (
    body_of,
    check_capabilities,
    extension,
    invalid,
    parsed,
    values,
)

_NO_PREFERENCES: Mapping[str, Any] = {}

_sets: StackSets


def serve(sets: StackSets) -> None:
    """Answer for these sets from now on."""
    global _sets  # noqa: PLW0603  # moto is one per process
    _sets = sets


def create_stack_set(
    caller: Caller,
    *,
    StackSetName: str,
    TemplateBody: str | None = None,
    TemplateURL: str | None = None,
    Parameters: list[dict[str, Any]] | None = None,
    Capabilities: list[str] | None = None,
    PermissionModel: str = "SELF_MANAGED",
    AutoDeployment: Mapping[str, bool] | None = None,
    ManagedExecution: Mapping[str, bool] | None = None,
    Description: str | None = None,
    CallAs: str | None = None,
    Tags: list[dict[str, str]] | None = None,  # noqa: ARG001  # nothing here reads them
    ClientRequestToken: str | None = None,  # noqa: ARG001
) -> dict[str, Any]:
    """CreateStackSet: no stack yet. Errors: NameAlreadyExistsException, InsufficientCapabilitiesException."""
    if PermissionModel != "SERVICE_MANAGED":
        raise invalid("PermissionModel SELF_MANAGED is not emulated by the sandbox.")
    if AutoDeployment is None:
        raise invalid("AutoDeployment is required with PermissionModel SERVICE_MANAGED")
    check_administrator(caller, CallAs)
    if StackSetName in _sets:
        raise extension.error("NameAlreadyExistsException", f"StackSet {StackSetName} already exists", status=409)
    body = body_of(TemplateBody, TemplateURL)
    source = parsed(body)
    check_capabilities(source, Capabilities)
    stack_set = StackSet(
        StackSetName,
        body,
        Path(),
        values(source, Parameters),
        managed_execution=bool((ManagedExecution or {}).get("Active")),
        description=Description,
        capabilities=list(Capabilities or ()),
    )
    _set_auto_deployment(stack_set, AutoDeployment)
    _sets.add(stack_set)
    return {"StackSetId": stack_set.id}


def update_stack_set(
    caller: Caller,
    *,
    StackSetName: str,
    TemplateBody: str | None = None,
    TemplateURL: str | None = None,
    UsePreviousTemplate: bool = False,
    Parameters: list[dict[str, Any]] | None = None,
    Capabilities: list[str] | None = None,
    OperationPreferences: Mapping[str, Any] = _NO_PREFERENCES,
    DeploymentTargets: Mapping[str, Any] | None = None,
    Regions: list[str] | None = None,
    PermissionModel: str = "SERVICE_MANAGED",
    AutoDeployment: Mapping[str, bool] | None = None,
    ManagedExecution: Mapping[str, bool] | None = None,
    OperationId: str | None = None,
    Description: str | None = None,
    CallAs: str | None = None,
    Tags: list[dict[str, str]] | None = None,  # noqa: ARG001  # nothing here reads them
) -> dict[str, Any]:
    """UpdateStackSet: the set changes at once, whatever becomes of its stacks; those go by an operation.

    Errors: StackSetNotFoundException, OperationInProgressException, InsufficientCapabilitiesException.
    """
    check_administrator(caller, CallAs)
    stack_set = _stack_set(StackSetName)
    if PermissionModel != "SERVICE_MANAGED":
        raise invalid("PermissionModel SELF_MANAGED is not emulated by the sandbox.")
    if AutoDeployment is not None and (DeploymentTargets or Regions):
        raise invalid("AutoDeployment cannot be specified together with DeploymentTargets or Regions")
    operation = _operation(stack_set, "UPDATE", OperationPreferences, OperationId)
    body = body_of(TemplateBody, TemplateURL, stack_set.body if UsePreviousTemplate else None)
    source = parsed(body)
    check_capabilities(source, Capabilities)
    stack_set.parameters = values(source, Parameters, stack_set.parameters)
    stack_set.body, stack_set.capabilities = body, list(Capabilities or ())
    if AutoDeployment is not None:
        _set_auto_deployment(stack_set, AutoDeployment)
    if ManagedExecution is not None:
        stack_set.managed_execution = bool(ManagedExecution.get("Active"))
    stack_set.description = Description or stack_set.description
    reached = _targets(DeploymentTargets) if DeploymentTargets else list(stack_set.instances)
    _sets.update_instances(stack_set, operation, [account for account in reached if account in stack_set.instances])
    return {"OperationId": operation.id}


def delete_stack_set(caller: Caller, *, StackSetName: str, CallAs: str | None = None) -> None:
    """DeleteStackSet. Errors: StackSetNotEmptyException, OperationInProgressException."""
    check_administrator(caller, CallAs)
    if StackSetName not in _sets:
        return
    stack_set = _stack_set(StackSetName)
    _check_quiet(stack_set)
    if stack_set.instances:
        raise extension.error("StackSetNotEmptyException", f"StackSet {StackSetName} is not empty", status=409)
    _sets.remove(StackSetName)


def describe_stack_set(caller: Caller, *, StackSetName: str, CallAs: str | None = None) -> dict[str, Any]:
    """DescribeStackSet. Errors: StackSetNotFoundException."""
    check_administrator(caller, CallAs)
    stack_set = _stack_set(StackSetName)
    details = {
        **_summary(stack_set),
        "StackSetARN": f"arn:aws:cloudformation:us-east-1:{_sets.management}:stackset/{stack_set.id}",
        "TemplateBody": stack_set.body,
        "Parameters": [{"ParameterKey": key, "ParameterValue": text} for key, text in stack_set.parameters.items()],
        "Capabilities": stack_set.capabilities,
        "Tags": [],
        "OrganizationalUnitIds": sorted(stack_set.organizational_units),
        "Regions": [stack_set.region] if stack_set.region else [],
    }
    return {"StackSet": details}


def list_stack_sets(
    caller: Caller,
    *,
    Status: str | None = None,
    NextToken: str | None = None,
    MaxResults: int | None = None,
    CallAs: str | None = None,
) -> dict[str, Any]:
    """ListStackSets; what was deleted is forgotten."""
    check_administrator(caller, CallAs)
    shown = [_summary(stack_set) for stack_set in _sets if Status in (None, "ACTIVE")]
    return _page(shown, MaxResults, NextToken)


def create_stack_instances(
    caller: Caller,
    *,
    StackSetName: str,
    Regions: list[str],
    DeploymentTargets: Mapping[str, Any] | None = None,
    Accounts: list[str] | None = None,
    ParameterOverrides: list[dict[str, Any]] | None = None,
    OperationPreferences: Mapping[str, Any] = _NO_PREFERENCES,
    OperationId: str | None = None,
    CallAs: str | None = None,
) -> dict[str, Any]:
    """CreateStackInstances in the accounts that units hold; the units count for automatic deployment from then on.

    Errors: StackSetNotFoundException, OperationInProgressException, OperationIdAlreadyExistsException.
    """
    check_administrator(caller, CallAs)
    stack_set = _stack_set(StackSetName)
    if ParameterOverrides:
        raise invalid("ParameterOverrides are not emulated by the sandbox.")
    targets = _required(DeploymentTargets, Accounts)
    members = _targets(targets)
    operation = _operation(stack_set, "CREATE", OperationPreferences, OperationId)
    if len(Regions) != 1 or stack_set.region not in (None, Regions[0]):
        raise invalid("Stacks of one set in several Regions are not emulated by the sandbox.")
    stack_set.region = Regions[0]
    stack_set.organizational_units |= frozenset(targets["OrganizationalUnitIds"])
    _sets.create_instances(stack_set, operation, members)
    return {"OperationId": operation.id}


def delete_stack_instances(
    caller: Caller,
    *,
    StackSetName: str,
    Regions: list[str],
    RetainStacks: bool,
    DeploymentTargets: Mapping[str, Any] | None = None,
    Accounts: list[str] | None = None,
    OperationPreferences: Mapping[str, Any] = _NO_PREFERENCES,
    OperationId: str | None = None,
    CallAs: str | None = None,
) -> dict[str, Any]:
    """DeleteStackInstances of the accounts that units hold. Errors: as CreateStackInstances."""
    check_administrator(caller, CallAs)
    stack_set = _stack_set(StackSetName)
    targets = _required(DeploymentTargets, Accounts)
    members = [account for account in _targets(targets) if account in stack_set.instances]
    operation = _operation(stack_set, "DELETE", OperationPreferences, OperationId)
    operation.retain_stacks = RetainStacks
    if targets.get("AccountFilterType", "NONE") == "NONE":
        stack_set.organizational_units -= frozenset(targets["OrganizationalUnitIds"])
    if stack_set.region in Regions:
        _sets.delete_instances(stack_set, operation, members)
    return {"OperationId": operation.id}


def list_stack_instances(
    caller: Caller,
    *,
    StackSetName: str,
    StackInstanceAccount: str | None = None,
    StackInstanceRegion: str | None = None,
    Filters: list[dict[str, str]] | None = None,
    NextToken: str | None = None,
    MaxResults: int | None = None,
    CallAs: str | None = None,
) -> dict[str, Any]:
    """ListStackInstances. Errors: StackSetNotFoundException."""
    check_administrator(caller, CallAs)
    stack_set = _stack_set(StackSetName)
    if any(condition["Name"] != "DETAILED_STATUS" for condition in Filters or ()):
        raise invalid("Filters other than DETAILED_STATUS are not emulated by the sandbox.")
    details = {condition["Values"] for condition in Filters or ()}
    shown = [
        _instance(stack_set, account, instance)
        for account, instance in sorted(stack_set.instances.items())
        if StackInstanceAccount in (None, account) and StackInstanceRegion in (None, stack_set.region)
        if not details or instance.detail in details
    ]
    return _page(shown, MaxResults, NextToken)


def describe_stack_instance(
    caller: Caller,
    *,
    StackSetName: str,
    StackInstanceAccount: str,
    StackInstanceRegion: str,
    CallAs: str | None = None,
) -> dict[str, Any]:
    """DescribeStackInstance. Errors: StackSetNotFoundException, StackInstanceNotFoundException."""
    check_administrator(caller, CallAs)
    stack_set = _stack_set(StackSetName)
    instance = stack_set.instances.get(StackInstanceAccount)
    if instance is None or StackInstanceRegion != stack_set.region:
        where = f"{StackInstanceAccount}, {StackInstanceRegion}"
        raise extension.error("StackInstanceNotFoundException", f"Stack instance in {where} not found", status=404)
    return {"StackInstance": {**_instance(stack_set, StackInstanceAccount, instance), "ParameterOverrides": []}}


def describe_stack_set_operation(
    caller: Caller, *, StackSetName: str, OperationId: str, CallAs: str | None = None
) -> dict[str, Any]:
    """DescribeStackSetOperation. Errors: StackSetNotFoundException, OperationNotFoundException."""
    check_administrator(caller, CallAs)
    stack_set = _stack_set(StackSetName)
    operation = _find(stack_set, OperationId)
    described = {**_operation_summary(operation), "StackSetId": stack_set.id, "RetainStacks": operation.retain_stacks}
    return {"StackSetOperation": described}


def list_stack_set_operations(
    caller: Caller,
    *,
    StackSetName: str,
    NextToken: str | None = None,
    MaxResults: int | None = None,
    CallAs: str | None = None,
) -> dict[str, Any]:
    """ListStackSetOperations, the latest first. Errors: StackSetNotFoundException."""
    check_administrator(caller, CallAs)
    operations = reversed(_stack_set(StackSetName).operations)
    return _page([_operation_summary(operation) for operation in operations], MaxResults, NextToken)


def list_stack_set_operation_results(
    caller: Caller,
    *,
    StackSetName: str,
    OperationId: str,
    NextToken: str | None = None,
    MaxResults: int | None = None,
    CallAs: str | None = None,
) -> dict[str, Any]:
    """ListStackSetOperationResults by account. Errors: StackSetNotFoundException, OperationNotFoundException."""
    check_administrator(caller, CallAs)
    stack_set = _stack_set(StackSetName)
    results = [
        {
            "Account": account,
            "Region": stack_set.region,
            "Status": result.status,
            "StatusReason": result.reason or None,
        }
        for account, result in _find(stack_set, OperationId).results.items()
    ]
    return _page(results, MaxResults, NextToken)


def stop_stack_set_operation(caller: Caller, *, StackSetName: str, OperationId: str, CallAs: str | None = None) -> None:
    """StopStackSetOperation: accounts that it has not reached are cancelled. Errors: InvalidOperationException."""
    check_administrator(caller, CallAs)
    operation = _find(_stack_set(StackSetName), OperationId)
    if operation.status != "RUNNING":
        raise extension.error(
            "InvalidOperationException", f"Operation {OperationId} is {operation.status}.", status=400
        )
    operation.status = "STOPPING"


def _stack_set(name: str) -> StackSet:
    if name not in _sets:
        raise extension.error("StackSetNotFoundException", f"StackSet {name} not found", status=404)
    return _sets[name]


def _set_auto_deployment(stack_set: StackSet, given: Mapping[str, bool]) -> None:
    stack_set.auto_deployment = bool(given.get("Enabled"))
    stack_set.retain_on_removal = bool(given.get("RetainStacksOnAccountRemoval"))


def _required(targets: Mapping[str, Any] | None, accounts: list[str] | None) -> Mapping[str, Any]:
    if accounts or targets is None or not targets.get("OrganizationalUnitIds"):
        raise invalid("StackSets with SERVICE_MANAGED permission model can only have OrganizationalUnit as target")
    return targets


def _targets(targets: Mapping[str, Any]) -> list[str]:
    """The accounts that units hold, as the filter says; the management account is never one of them."""
    members, named = _sets.members(targets["OrganizationalUnitIds"]), targets.get("Accounts") or []
    kind = targets.get("AccountFilterType", "NONE")
    if (kind == "NONE") == bool(named):
        raise invalid("Accounts and AccountFilterType must be specified together")
    if kind == "UNION":
        raise invalid("AccountFilterType UNION is not emulated by the sandbox.")
    chosen = {"NONE": members, "INTERSECTION": named, "DIFFERENCE": sorted(set(members) - set(named))}[kind]
    return [account for account in members if account in chosen]


def _operation(stack_set: StackSet, action: str, given: Mapping[str, Any], operation_id: str | None) -> Operation:
    if not stack_set.managed_execution:
        _check_quiet(stack_set)
    operation = Operation(action, _preferences(given))
    if operation_id is not None:
        if any(former.id == operation_id for former in stack_set.operations):
            raise extension.error("OperationIdAlreadyExistsException", f"{operation_id} already exists", status=409)
        operation.id = operation_id
    if any(former.ended is None for former in stack_set.operations):
        operation.status = "QUEUED"
    return operation


def _check_quiet(stack_set: StackSet) -> None:
    under_way = [operation.id for operation in stack_set.operations if operation.ended is None]
    if under_way:
        raise extension.error(
            "OperationInProgressException",
            f"Another Operation on StackSet {stack_set.name} is in progress: {under_way[0]}",
            status=409,
        )


def _preferences(given: Mapping[str, Any]) -> Preferences:
    for pair in (
        ("FailureToleranceCount", "FailureTolerancePercentage"),
        ("MaxConcurrentCount", "MaxConcurrentPercentage"),
    ):
        if set(pair) <= given.keys():
            raise invalid(f"{' and '.join(pair)} cannot both be specified")
    soft = given.get("ConcurrencyMode") == "SOFT_FAILURE_TOLERANCE"
    count, tolerance = given.get("MaxConcurrentCount"), given.get("FailureToleranceCount", 0)
    if not soft and count and "FailureTolerancePercentage" not in given and count > tolerance + 1:
        raise invalid("MaxConcurrentCount is at most one more than the FailureToleranceCount")
    return Preferences(
        count,
        given.get("MaxConcurrentPercentage"),
        given.get("FailureToleranceCount"),
        given.get("FailureTolerancePercentage"),
        soft,
    )


def _find(stack_set: StackSet, operation_id: str) -> Operation:
    for operation in stack_set.operations:
        if operation.id == operation_id:
            return operation
    raise extension.error("OperationNotFoundException", f"Operation {operation_id} not found", status=404)


def _summary(stack_set: StackSet) -> dict[str, Any]:
    automatic = {"Enabled": stack_set.auto_deployment}
    if stack_set.auto_deployment:
        automatic["RetainStacksOnAccountRemoval"] = stack_set.retain_on_removal
    return {
        "StackSetName": stack_set.name,
        "StackSetId": stack_set.id,
        "Description": stack_set.description or template.parse(stack_set.body).get("Description"),
        "Status": "ACTIVE",
        "AutoDeployment": automatic,
        "PermissionModel": "SERVICE_MANAGED",
        "ManagedExecution": {"Active": stack_set.managed_execution},
    }


def _instance(stack_set: StackSet, account: str, instance: StackInstance) -> dict[str, Any]:
    return {
        "StackSetId": stack_set.id,
        "Region": stack_set.region,
        "Account": account,
        "StackId": instance.stack.stack_id,
        "Status": instance.status,
        "StatusReason": instance.reason or None,
        "StackInstanceStatus": {"DetailedStatus": instance.detail},
        "DriftStatus": "NOT_CHECKED",
        "LastOperationId": instance.operation,
    }


def _operation_summary(operation: Operation) -> dict[str, Any]:
    wanted = operation.preferences
    return {
        "OperationId": operation.id,
        "Action": operation.action,
        "Status": operation.status,
        "CreationTimestamp": operation.started,
        "EndTimestamp": operation.ended,
        "OperationPreferences": {
            "MaxConcurrentCount": wanted.concurrent_count,
            "MaxConcurrentPercentage": wanted.concurrent_percentage,
            "FailureToleranceCount": wanted.tolerance_count,
            "FailureTolerancePercentage": wanted.tolerance_percentage,
            "ConcurrencyMode": "SOFT_FAILURE_TOLERANCE" if wanted.soft else "STRICT_FAILURE_TOLERANCE",
        },
    }


def _page(entries: Sequence[dict[str, Any]], most: int | None, token: str | None) -> dict[str, Any]:
    try:
        shown, following = page(entries, most, token)
    except ValueError:
        raise invalid(f"Invalid NextToken: {token}") from None
    return {"Summaries": shown, "NextToken": following}


OPERATIONS = (
    create_stack_set,
    update_stack_set,
    delete_stack_set,
    describe_stack_set,
    list_stack_sets,
    create_stack_instances,
    delete_stack_instances,
    list_stack_instances,
    describe_stack_instance,
    describe_stack_set_operation,
    list_stack_set_operations,
    list_stack_set_operation_results,
    stop_stack_set_operation,
)
