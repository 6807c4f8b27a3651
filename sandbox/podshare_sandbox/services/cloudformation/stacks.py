"""The operations on single stacks and their change sets, as ``aws cloudformation deploy`` and consoles call them.

A creation that fails is rolled back, and its stack can then only be deleted; an update that fails goes back to what
was there. Sources: CloudFormation API Reference; "Stack status codes" and "Stack failure options" in the user guide.
Not emulated: stack policies, service roles, notifications, drift detection, imports, each resource's own event.
"""

# operations take their parameters by AWS's names

import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from moto.core.exceptions import ServiceException

from podshare_sandbox import clock
from podshare_sandbox.cloudformation.errors import StackError, TemplateError
from podshare_sandbox.cloudformation.stack import Stack
from podshare_sandbox.cloudformation.template import Template
from podshare_sandbox.delivery import background
from podshare_sandbox.moto_extension import Caller
from podshare_sandbox.services.cloudformation.request import (
    body_of,
    check_capabilities,
    extension,
    invalid,
    parsed,
    values,
)

# how long a stack's operation takes; AWS gives no figure, a stack of roles takes half a minute
OPERATION_SECONDS = 30
# how long, in real seconds, a request waits for what it began: clients' waiters sleep for half a minute of real time
# where the first look is too early, which no scale shortens
_PATIENCE = 10.0

_NO_CHANGES = "The submitted information didn't contain changes. Submit different information to create a change set."


@dataclass
class ChangeSet:
    """What a stack is to become: CREATE_COMPLETE, or FAILED where it would change nothing."""

    name: str
    body: str
    parameters: dict[str, str]
    capabilities: list[str]
    status: str = "CREATE_COMPLETE"
    reason: str | None = None
    execution: str = "AVAILABLE"
    created: datetime = field(default_factory=clock.now)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass
class Life:
    """The state of one stack that was made through the API; ``body`` is the template that it has now."""

    stack: Stack
    status: str = "REVIEW_IN_PROGRESS"
    reason: str | None = None
    body: str | None = None
    capabilities: list[str] = field(default_factory=list)
    created: datetime = field(default_factory=clock.now)
    updated: datetime | None = None
    change_sets: dict[str, ChangeSet] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)

    def becomes(self, status: str, reason: str | None = None) -> None:
        """Enter a status, and note it among the events."""
        self.status, self.reason = status, reason
        event = {
            "StackId": self.stack.stack_id,
            "EventId": str(uuid.uuid4()),
            "StackName": self.stack.name,
            "LogicalResourceId": self.stack.name,
            "PhysicalResourceId": self.stack.stack_id,
            "ResourceType": "AWS::CloudFormation::Stack",
            "Timestamp": clock.now(),
            "ResourceStatus": status,
            "ResourceStatusReason": reason,
        }
        self.events.insert(0, event)


_Key = tuple[str, str, str]  # account, Region, name

_lives: dict[_Key, Life] = {}
_stack: Callable[[str, str, str], Stack]
_deployed: Callable[[], list[Stack]]


def serve(stack: Callable[[str, str, str], Stack], deployed: Callable[[], list[Stack]]) -> None:
    """Answer for these stacks from now on; see :func:`podshare_sandbox.services.cloudformation.serve`."""
    global _stack, _deployed  # moto is one per process
    _stack, _deployed = stack, deployed
    _lives.clear()


def create_change_set(
    caller: Caller,
    *,
    StackName: str,
    ChangeSetName: str,
    ChangeSetType: str = "UPDATE",
    TemplateBody: str | None = None,
    TemplateURL: str | None = None,
    UsePreviousTemplate: bool = False,
    Parameters: list[dict[str, Any]] | None = None,
    Capabilities: list[str] | None = None,
    Description: str | None = None,  # noqa: ARG001  # shown nowhere
    **ignored: Any,
) -> dict[str, Any]:
    """CreateChangeSet of type CREATE or UPDATE. Errors: AlreadyExistsException, InsufficientCapabilitiesException."""
    _check_ignored(ignored)
    if ChangeSetType not in {"CREATE", "UPDATE"}:
        raise invalid(f"ChangeSetType {ChangeSetType} is not emulated by the sandbox.")
    life = _find(caller, StackName)
    if ChangeSetType == "CREATE":
        if life is not None and life.status != "REVIEW_IN_PROGRESS":
            raise invalid(f"Stack [{StackName}] already exists and cannot be created again with the changeSet.")
        life = life or _begin(caller, StackName)
    elif life is None or life.status == "REVIEW_IN_PROGRESS":
        raise invalid(f"Stack [{StackName}] does not exist")
    else:
        _check_updatable(life)
    body = body_of(TemplateBody, TemplateURL, life.body if UsePreviousTemplate else None)
    source = parsed(body)
    check_capabilities(source, Capabilities)
    if ChangeSetName in life.change_sets:
        raise extension.error("AlreadyExistsException", f"ChangeSet {ChangeSetName} already exists", status=400)
    change_set = ChangeSet(
        ChangeSetName, body, values(source, Parameters, life.stack.parameters), list(Capabilities or ())
    )
    if _changes_nothing(life, source, change_set.parameters):
        change_set.status, change_set.reason, change_set.execution = "FAILED", _NO_CHANGES, "UNAVAILABLE"
    change_set.id = f"{_prefix(life)}:changeSet/{ChangeSetName}/{change_set.id}"
    life.change_sets[ChangeSetName] = change_set
    return {"Id": change_set.id, "StackId": life.stack.stack_id}


def describe_change_set(
    caller: Caller, *, ChangeSetName: str, StackName: str | None = None, **ignored: Any
) -> dict[str, Any]:
    """DescribeChangeSet, without the changes of single resources. Errors: ChangeSetNotFoundException."""
    _check_ignored(ignored)
    life, change_set = _change_set(caller, ChangeSetName, StackName)
    return {
        "ChangeSetName": change_set.name,
        "ChangeSetId": change_set.id,
        "StackId": life.stack.stack_id,
        "StackName": life.stack.name,
        "Parameters": _parameters(change_set.parameters),
        "CreationTime": change_set.created,
        "ExecutionStatus": change_set.execution,
        "Status": change_set.status,
        "StatusReason": change_set.reason,
        "Capabilities": change_set.capabilities,
        "Changes": [],
    }


def execute_change_set(
    caller: Caller, *, ChangeSetName: str, StackName: str | None = None, DisableRollback: bool = False, **ignored: Any
) -> None:
    """ExecuteChangeSet, in the background. Errors: ChangeSetNotFoundException, InvalidChangeSetStatusException."""
    _check_ignored(ignored)
    life, change_set = _change_set(caller, ChangeSetName, StackName)
    if change_set.execution != "AVAILABLE":
        raise extension.error(
            "InvalidChangeSetStatusException",
            f"ChangeSet [{change_set.id}] cannot be executed in its current status of [{change_set.status}]",
            status=400,
        )
    change_set.execution = "EXECUTE_COMPLETE"
    _deploy(life, change_set.body, change_set.parameters, change_set.capabilities, rolls_back=not DisableRollback)


def delete_change_set(caller: Caller, *, ChangeSetName: str, StackName: str | None = None) -> None:
    """DeleteChangeSet; one that is not there is deleted already."""
    try:
        life, change_set = _change_set(caller, ChangeSetName, StackName)
    except ServiceException:
        return
    del life.change_sets[change_set.name]


def create_stack(
    caller: Caller,
    *,
    StackName: str,
    TemplateBody: str | None = None,
    TemplateURL: str | None = None,
    Parameters: list[dict[str, Any]] | None = None,
    Capabilities: list[str] | None = None,
    DisableRollback: bool = False,
    OnFailure: str | None = None,
    **ignored: Any,
) -> dict[str, Any]:
    """CreateStack, in the background. Errors: AlreadyExistsException, InsufficientCapabilitiesException."""
    _check_ignored(ignored)
    if OnFailure == "DELETE":
        raise invalid("OnFailure DELETE is not emulated by the sandbox.")
    life = _find(caller, StackName)
    if life is not None:
        raise extension.error("AlreadyExistsException", f"Stack [{StackName}] already exists", status=400)
    body = body_of(TemplateBody, TemplateURL)
    source = parsed(body)
    check_capabilities(source, Capabilities)
    given = values(source, Parameters)
    life = _begin(caller, StackName)
    _deploy(life, body, given, list(Capabilities or ()), not DisableRollback and OnFailure != "DO_NOTHING")
    return {"StackId": life.stack.stack_id}


def update_stack(
    caller: Caller,
    *,
    StackName: str,
    TemplateBody: str | None = None,
    TemplateURL: str | None = None,
    UsePreviousTemplate: bool = False,
    Parameters: list[dict[str, Any]] | None = None,
    Capabilities: list[str] | None = None,
    DisableRollback: bool = False,
    **ignored: Any,
) -> dict[str, Any]:
    """UpdateStack, in the background. Errors: ValidationError, InsufficientCapabilitiesException."""
    _check_ignored(ignored)
    life = _existing(caller, StackName)
    _check_updatable(life)
    body = body_of(TemplateBody, TemplateURL, life.body if UsePreviousTemplate else None)
    source = parsed(body)
    check_capabilities(source, Capabilities)
    given = values(source, Parameters, life.stack.parameters)
    if _changes_nothing(life, source, given):
        raise invalid("No updates are to be performed.")
    _deploy(life, body, given, list(Capabilities or ()), rolls_back=not DisableRollback)
    return {"StackId": life.stack.stack_id}


def delete_stack(caller: Caller, *, StackName: str, **ignored: Any) -> None:
    """DeleteStack, in the background; a stack that is not there is deleted already."""
    _check_ignored(ignored)
    life = _find(caller, StackName)
    if life is None or life.status == "DELETE_IN_PROGRESS":
        return
    life.becomes("DELETE_IN_PROGRESS", "User Initiated")

    def work() -> None:
        background.pause(OPERATION_SECONDS)
        try:
            life.stack.delete()
        except StackError as error:
            life.becomes("DELETE_FAILED", str(error))
            return
        life.becomes("DELETE_COMPLETE")

    _run(f"stack {StackName}: deletion", work)


def describe_stacks(caller: Caller, *, StackName: str | None = None, NextToken: str | None = None) -> dict[str, Any]:
    """DescribeStacks; one that was deleted is found by its id only. Errors: ValidationError for an unknown one."""
    if NextToken:
        raise invalid(f"Invalid NextToken: {NextToken}")
    if StackName is None:
        return {"Stacks": [_described(life) for life in _all(caller) if life.status != "DELETE_COMPLETE"]}
    return {"Stacks": [_described(_existing(caller, StackName))]}


def list_stacks(
    caller: Caller, *, StackStatusFilter: list[str] | None = None, NextToken: str | None = None
) -> dict[str, Any]:
    """ListStacks, those that were deleted too."""
    if NextToken:
        raise invalid(f"Invalid NextToken: {NextToken}")
    summaries = [
        {
            "StackId": life.stack.stack_id,
            "StackName": life.stack.name,
            "CreationTime": life.created,
            "LastUpdatedTime": life.updated,
            "StackStatus": life.status,
            "StackStatusReason": life.reason,
        }
        for life in _all(caller)
        if not StackStatusFilter or life.status in StackStatusFilter
    ]
    return {"StackSummaries": summaries}


def describe_stack_events(caller: Caller, *, StackName: str, NextToken: str | None = None) -> dict[str, Any]:
    """DescribeStackEvents, the stack's own, the latest first. Errors: ValidationError."""
    if NextToken:
        raise invalid(f"Invalid NextToken: {NextToken}")
    return {"StackEvents": list(_existing(caller, StackName).events)}


def list_stack_resources(caller: Caller, *, StackName: str, NextToken: str | None = None) -> dict[str, Any]:
    """ListStackResources. Errors: ValidationError for an unknown stack."""
    if NextToken:
        raise invalid(f"Invalid NextToken: {NextToken}")
    life = _existing(caller, StackName)
    summaries = [
        {
            "LogicalResourceId": logical_id,
            "PhysicalResourceId": deployed.physical.ref,
            "ResourceType": deployed.type,
            "LastUpdatedTimestamp": life.updated or life.created,
            "ResourceStatus": "CREATE_COMPLETE",
        }
        for logical_id, deployed in life.stack.resources.items()
    ]
    return {"StackResourceSummaries": summaries}


def get_template_summary(
    caller: Caller,
    *,
    StackName: str | None = None,
    TemplateBody: str | None = None,
    TemplateURL: str | None = None,
    **ignored: Any,
) -> dict[str, Any]:
    """GetTemplateSummary: the parameters that a stack or a template declares. Errors: ValidationError."""
    _check_ignored(ignored)
    if StackName is not None:
        life = _existing(caller, StackName)
        if life.body is None:  # deployed from Python
            return {"Parameters": [{"ParameterKey": name} for name in life.stack.parameters]}
        source = parsed(life.body)
    else:
        source = parsed(body_of(TemplateBody, TemplateURL))
    declared = [
        {
            "ParameterKey": name,
            "ParameterType": rule.get("Type"),
            "DefaultValue": None if "Default" not in rule else str(rule["Default"]),
            "Description": rule.get("Description"),
        }
        for name, rule in source.get("Parameters", {}).items()
    ]
    types = sorted({resource["Type"] for resource in source["Resources"].values()})
    return {"Parameters": declared, "Description": source.get("Description"), "ResourceTypes": types}


# what changes nothing here: who is told, what is tagged, tokens of clients that try again
_WITHOUT_EFFECT = {
    *("ClientRequestToken", "ClientToken", "IncludeNestedStacks", "IncludePropertyValues", "NotificationARNs"),
    *("Tags", "TimeoutInMinutes", "EnableTerminationProtection"),
}


def _check_ignored(parameters: Mapping[str, Any]) -> None:
    unknown = sorted(name for name in parameters.keys() - _WITHOUT_EFFECT if parameters[name] not in ([], False))
    if unknown:
        raise invalid(f"{', '.join(unknown)}: not emulated by the sandbox.")


def _deploy(life: Life, body: str, given: dict[str, str], capabilities: list[str], rolls_back: bool) -> None:
    is_new = life.body is None
    life.becomes("CREATE_IN_PROGRESS" if is_new else "UPDATE_IN_PROGRESS", "User Initiated")
    life.capabilities = capabilities
    _run(f"stack {life.stack.name}: deployment", lambda: _work(life, body, given, rolls_back))


def _work(life: Life, body: str, given: dict[str, str], rolls_back: bool) -> None:
    former_body, former_values = life.body, dict(life.stack.parameters)
    background.pause(OPERATION_SECONDS)
    try:
        life.stack.deploy_template(parsed(body), Path(), given)
    except (StackError, TemplateError) as error:
        if not rolls_back:
            life.becomes("CREATE_FAILED" if former_body is None else "UPDATE_FAILED", str(error))
        elif former_body is None:
            _roll_back_creation(life, str(error))
        else:
            _roll_back_update(life, former_body, former_values, str(error))
        return
    life.body = body
    life.updated = clock.now() if former_body is not None else None
    life.becomes("CREATE_COMPLETE" if former_body is None else "UPDATE_COMPLETE")


def _run(what: str, work: Callable[[], None]) -> None:
    done = threading.Event()

    def noted() -> None:
        try:
            work()
        finally:
            done.set()

    background.run(what, noted)
    done.wait(_PATIENCE)


def _roll_back_creation(life: Life, reason: str) -> None:
    life.becomes("ROLLBACK_IN_PROGRESS", reason)
    try:
        life.stack.delete()
    except StackError as error:
        life.becomes("ROLLBACK_FAILED", str(error))
        return
    life.becomes("ROLLBACK_COMPLETE", reason)


def _roll_back_update(life: Life, body: str, given: Mapping[str, str], reason: str) -> None:
    life.becomes("UPDATE_ROLLBACK_IN_PROGRESS", reason)
    try:
        life.stack.deploy_template(parsed(body), Path(), given)
    except (StackError, TemplateError) as error:
        life.becomes("UPDATE_ROLLBACK_FAILED", str(error))
        return
    life.becomes("UPDATE_ROLLBACK_COMPLETE", reason)


def _check_updatable(life: Life) -> None:
    if not life.status.endswith(("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "UPDATE_FAILED")):
        raise invalid(f"Stack:{life.stack.stack_id} is in {life.status} state and can not be updated.")
    if life.body is None:
        raise invalid(f"Stack {life.stack.name} was deployed from Python: the sandbox has no template to update.")


def _changes_nothing(life: Life, source: Template, given: Mapping[str, str]) -> bool:
    return life.body is not None and source == parsed(life.body) and given == life.stack.parameters


def _begin(caller: Caller, name: str) -> Life:
    """A stack of a name that is free; one that had it and was deleted is found by its id from now on."""
    here = (caller.account, caller.region)
    if former := _lives.pop((*here, name), None):
        _lives[(*here, former.stack.stack_id)] = former
    life = _lives[(*here, name)] = Life(_stack(name, *here))
    return life


def _all(caller: Caller) -> list[Life]:
    """The stacks of the caller's account and Region; those that were deployed from Python are complete."""
    for stack in _deployed():
        key = (stack.account, stack.region, stack.name)
        if key not in _lives and stack.resources:
            _lives[key] = Life(stack, "CREATE_COMPLETE")
    return [life for key, life in _lives.items() if key[:2] == (caller.account, caller.region)]


def _find(caller: Caller, name: str) -> Life | None:
    """The stack of this name that was not deleted, or of this id."""
    for life in _all(caller):
        if name == life.stack.stack_id or (name == life.stack.name and life.status != "DELETE_COMPLETE"):
            return life
    return None


def _existing(caller: Caller, name: str) -> Life:
    life = _find(caller, name)
    if life is None:
        raise invalid(f"Stack with id {name} does not exist")
    return life


def _change_set(caller: Caller, name: str, stack_name: str | None) -> tuple[Life, ChangeSet]:
    lives = _all(caller) if stack_name is None else [_existing(caller, stack_name)]
    for life in lives:
        for change_set in life.change_sets.values():
            if name == change_set.id or (stack_name is not None and name == change_set.name):
                return life, change_set
    raise extension.error("ChangeSetNotFoundException", f"ChangeSet [{name}] does not exist", status=404)


def _prefix(life: Life) -> str:
    return f"arn:aws:cloudformation:{life.stack.region}:{life.stack.account}"


def _parameters(given: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()]


def _described(life: Life) -> dict[str, Any]:
    return {
        "StackId": life.stack.stack_id,
        "StackName": life.stack.name,
        "Parameters": _parameters(life.stack.parameters),
        "CreationTime": life.created,
        "LastUpdatedTime": life.updated,
        "StackStatus": life.status,
        "StackStatusReason": life.reason,
        "DisableRollback": False,
        "NotificationARNs": [],
        "Capabilities": life.capabilities,
        "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in life.stack.outputs.items()],
        "Tags": [],
        "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
    }


OPERATIONS = (
    create_change_set,
    describe_change_set,
    execute_change_set,
    delete_change_set,
    create_stack,
    update_stack,
    delete_stack,
    describe_stacks,
    list_stacks,
    describe_stack_events,
    list_stack_resources,
    get_template_summary,
)
