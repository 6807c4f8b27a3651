"""The API of CloudFormation: StackSets' operations and single stacks, as AWS's clients call them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from podshare_sandbox.organization import DATA, HUB, MANAGEMENT, SCIENTISTS, UNITS
from podshare_sandbox.sandbox import Sandbox

PLATFORM, SCIENCE, LAKE = (unit.id for unit in UNITS)
REGION = "us-west-2"
TEMPLATE = """
Parameters:
  Role: {Type: String, Default: member}
  Hub: {Type: String}
Resources:
  Member:
    Type: AWS::IAM::Role
    Properties:
      RoleName: !Ref Role
      Description: !Ref Hub
      AssumeRolePolicyDocument:
        Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: "sts:AssumeRole"}]
Outputs: {Name: {Value: !Ref Member}}
"""
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)
NAMED_IAM = ["CAPABILITY_NAMED_IAM"]
SET: dict[str, Any] = {
    "StackSetName": "member",
    "TemplateBody": TEMPLATE,
    "Capabilities": NAMED_IAM,
    "PermissionModel": "SERVICE_MANAGED",
    "AutoDeployment": {"Enabled": True, "RetainStacksOnAccountRemoval": False},
    "Parameters": [
        {"ParameterKey": "Hub", "ParameterValue": "111111111111"},
        {"ParameterKey": "Role", "ParameterValue": "chosen"},
    ],
}
ALL = {"MaxConcurrentPercentage": 100, "FailureTolerancePercentage": 100, "ConcurrencyMode": "SOFT_FAILURE_TOLERANCE"}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A fresh organization, a thousand times as fast, in which AWS Organizations trusts StackSets."""
    with Sandbox(time_scale=0.001) as running:
        running.client("cloudformation", MANAGEMENT).activate_organizations_access()
        yield running


def instances(sandbox: Sandbox) -> dict[str, str]:
    """The detailed status of each instance of the set, by account."""
    summaries = sandbox.client("cloudformation", MANAGEMENT).list_stack_instances(StackSetName="member")["Summaries"]
    return {one["Account"]: one["StackInstanceStatus"]["DetailedStatus"] for one in summaries}


def create(sandbox: Sandbox, units: list[str], **how: Any) -> dict[str, Any]:
    """Create the set's instances in units, wait for the operation, and describe it."""
    api = sandbox.client("cloudformation", MANAGEMENT)
    if not api.list_stack_sets()["Summaries"]:
        api.create_stack_set(**SET)
    targets = {"OrganizationalUnitIds": units}
    operation = api.create_stack_instances(StackSetName="member", Regions=[REGION], DeploymentTargets=targets, **how)
    sandbox.settle()
    described: dict[str, Any] = api.describe_stack_set_operation(
        StackSetName="member", OperationId=operation["OperationId"]
    )["StackSetOperation"]
    return described


def take_name(sandbox: Sandbox, account: str, name: str = "chosen") -> None:
    """Let the name of the set's role be taken in an account, so that its stack fails there."""
    sandbox.client("iam", account).create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)


def test_without_preferences_an_operation_stops_at_the_first_failure(sandbox: Sandbox) -> None:
    """By default no account may fail and one is operated on at a time: the rest is cancelled (API Reference, StackSetOperationPreferences)."""
    take_name(sandbox, SCIENTISTS[0])

    operation = create(sandbox, [SCIENCE])

    assert operation["Status"] == "FAILED"
    assert instances(sandbox) == {SCIENTISTS[0]: "FAILED", SCIENTISTS[1]: "CANCELLED"}
    with pytest.raises(ClientError, match="NoSuchEntity"):
        sandbox.client("iam", SCIENTISTS[1]).get_role(RoleName="chosen")


def test_an_operation_that_tolerates_failures_reaches_all_others(sandbox: Sandbox) -> None:
    """With percentages and soft tolerance every account is tried, and the operation succeeds (user guide, "StackSets concepts")."""
    take_name(sandbox, SCIENTISTS[0])

    operation = create(sandbox, [SCIENCE, LAKE], OperationPreferences=ALL)

    assert operation["Status"] == "SUCCEEDED"
    assert instances(sandbox) == {SCIENTISTS[0]: "FAILED", SCIENTISTS[1]: "SUCCEEDED", DATA: "SUCCEEDED"}


def test_an_update_resets_what_it_does_not_name(sandbox: Sandbox) -> None:
    """A parameter without a value and without UsePreviousValue gets the template's default (API Reference, Parameter)."""
    create(sandbox, [SCIENCE])
    api = sandbox.client("cloudformation", MANAGEMENT)

    keeps_hub = [{"ParameterKey": "Hub", "UsePreviousValue": True}]
    api.update_stack_set(StackSetName="member", UsePreviousTemplate=True, Capabilities=NAMED_IAM, Parameters=keeps_hub)
    sandbox.settle()

    told = {one["ParameterKey"]: one["ParameterValue"] for one in _described(sandbox)["Parameters"]}
    assert told == {"Hub": "111111111111", "Role": "member"}
    assert sandbox.client("iam", SCIENTISTS[0]).get_role(RoleName="member")
    with pytest.raises(ClientError, match=r"\[Hub\] must have values"):
        api.update_stack_set(StackSetName="member", UsePreviousTemplate=True, Capabilities=NAMED_IAM)


def _described(sandbox: Sandbox) -> dict[str, Any]:
    described: dict[str, Any] = sandbox.client("cloudformation", MANAGEMENT).describe_stack_set(StackSetName="member")
    return dict(described["StackSet"])


def test_one_operation_at_a_time(sandbox: Sandbox) -> None:
    """Without managed execution a second operation is refused, with it it waits its turn (API Reference, ManagedExecution)."""
    api = sandbox.client("cloudformation", MANAGEMENT)
    targets = {"OrganizationalUnitIds": [SCIENCE]}
    api.create_stack_set(**SET)
    api.create_stack_instances(StackSetName="member", Regions=[REGION], DeploymentTargets=targets)
    update = {"StackSetName": "member", "UsePreviousTemplate": True, "Capabilities": NAMED_IAM}
    update["Parameters"] = SET["Parameters"]
    with pytest.raises(ClientError, match="OperationInProgressException"):
        api.update_stack_set(**update)
    sandbox.settle()

    api.update_stack_set(**update, ManagedExecution={"Active": True})
    queued = api.update_stack_set(**update)["OperationId"]
    sandbox.settle()

    operations = {one["OperationId"]: one for one in api.list_stack_set_operations(StackSetName="member")["Summaries"]}
    assert operations[queued]["Status"] == "SUCCEEDED"
    assert {one["Status"] for one in operations.values()} == {"SUCCEEDED"}


def test_a_set_with_stacks_is_not_deleted(sandbox: Sandbox) -> None:
    """First its instances go, by units, then the set itself (API Reference, DeleteStackSet)."""
    create(sandbox, [SCIENCE])
    api = sandbox.client("cloudformation", MANAGEMENT)
    with pytest.raises(ClientError, match="StackSetNotEmptyException"):
        api.delete_stack_set(StackSetName="member")

    api.delete_stack_instances(
        StackSetName="member",
        Regions=[REGION],
        RetainStacks=False,
        DeploymentTargets={"OrganizationalUnitIds": [SCIENCE]},
        OperationPreferences=ALL,
    )
    sandbox.settle()
    api.delete_stack_set(StackSetName="member")

    assert api.list_stack_sets()["Summaries"] == []
    with pytest.raises(ClientError, match="NoSuchEntity"):
        sandbox.client("iam", SCIENTISTS[0]).get_role(RoleName="chosen")


def test_new_accounts_follow_a_set_that_was_made_by_the_api(sandbox: Sandbox) -> None:
    """Automatic deployment reaches an account that comes into one of the units later (user guide, automatic deployment)."""
    create(sandbox, [SCIENCE])
    organizations = sandbox.client("organizations", MANAGEMENT)

    organizations.move_account(AccountId=DATA, SourceParentId=LAKE, DestinationParentId=SCIENCE)
    sandbox.settle()

    assert instances(sandbox)[DATA] == "SUCCEEDED"
    assert sandbox.client("iam", DATA).get_role(RoleName="chosen")["Role"]["Description"] == "111111111111"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"Capabilities": []}, "InsufficientCapabilitiesException"),
        ({"AutoDeployment": None}, "ValidationError"),
        ({"PermissionModel": "SELF_MANAGED"}, "ValidationError"),
        ({"Parameters": []}, "ValidationError"),
        ({"TemplateBody": TEMPLATE + "#" * 51_200}, "ValidationError"),
        ({"TemplateBody": "Resources: {}"}, "ValidationError"),
        ({"Parameters": [{"ParameterKey": "Unknown", "ParameterValue": "x"}]}, "ValidationError"),
        ({"CallAs": "DELEGATED_ADMIN"}, "ValidationError"),
    ],
    ids=str,
)
def test_a_set_that_aws_refuses(sandbox: Sandbox, change: dict[str, Any], code: str) -> None:
    """Capabilities, parameters, sizes and permissions are checked before a set exists (API Reference, CreateStackSet)."""
    api = sandbox.client("cloudformation", MANAGEMENT)
    request = {name: value for name, value in {**SET, **change}.items() if value is not None}

    with pytest.raises(ClientError) as refused:
        api.create_stack_set(**request)

    assert refused.value.response["Error"]["Code"] == code
    assert api.list_stack_sets()["Summaries"] == []


@pytest.mark.parametrize(
    ("targets", "preferences"),
    [
        ({"Accounts": [SCIENTISTS[0]]}, {}),
        ({"OrganizationalUnitIds": [SCIENCE], "Accounts": [SCIENTISTS[0]]}, {}),
        ({"OrganizationalUnitIds": [SCIENCE]}, {"MaxConcurrentCount": 3}),
        ({"OrganizationalUnitIds": [SCIENCE]}, {"MaxConcurrentCount": 1, "MaxConcurrentPercentage": 10}),
    ],
    ids=str,
)
def test_an_operation_that_aws_refuses(sandbox: Sandbox, targets: Any, preferences: Any) -> None:
    """Targets are units, filters are told, and strict concurrency is at most one more than the tolerance (API Reference)."""
    api = sandbox.client("cloudformation", MANAGEMENT)
    api.create_stack_set(**SET)

    with pytest.raises(ClientError, match="ValidationError"):
        api.create_stack_instances(
            StackSetName="member", Regions=[REGION], DeploymentTargets=targets, OperationPreferences=preferences
        )


def test_only_the_management_account_and_only_with_trusted_access(sandbox: Sandbox) -> None:
    """A member is refused, and so is everybody without trusted access (user guide, "Activate trusted access")."""
    with pytest.raises(ClientError, match="management account"):
        sandbox.client("cloudformation", HUB).create_stack_set(**SET)

    management = sandbox.client("cloudformation", MANAGEMENT)
    management.deactivate_organizations_access()
    with pytest.raises(ClientError, match="enable organizations access"):
        management.create_stack_set(**SET)


def test_a_stack_by_change_sets(sandbox: Sandbox) -> None:
    """A change set makes the stack, an equal one has no changes, and an update resets what it does not name (API Reference, CreateChangeSet)."""
    api = sandbox.client("cloudformation", DATA)
    request: dict[str, Any] = {
        "StackName": "member",
        "TemplateBody": TEMPLATE,
        "Capabilities": NAMED_IAM,
        "Parameters": SET["Parameters"],
    }

    api.create_change_set(**request, ChangeSetName="first", ChangeSetType="CREATE")
    api.execute_change_set(StackName="member", ChangeSetName="first")
    sandbox.settle()
    stack = api.describe_stacks(StackName="member")["Stacks"][0]
    assert (stack["StackStatus"], stack["Outputs"][0]["OutputValue"]) == ("CREATE_COMPLETE", "chosen")

    api.create_change_set(**request, ChangeSetName="equal")
    equal = api.describe_change_set(StackName="member", ChangeSetName="equal")
    assert (equal["Status"], equal["ExecutionStatus"]) == ("FAILED", "UNAVAILABLE")
    assert "didn't contain changes" in equal["StatusReason"]

    api.update_stack(**{**request, "Parameters": [{"ParameterKey": "Hub", "UsePreviousValue": True}]})
    sandbox.settle()
    assert api.describe_stacks(StackName="member")["Stacks"][0]["Outputs"][0]["OutputValue"] == "member"


def test_a_creation_that_fails_is_rolled_back(sandbox: Sandbox) -> None:
    """Its stack is ROLLBACK_COMPLETE, cannot be updated, and may be deleted (user guide, "Stack status codes")."""
    take_name(sandbox, DATA)
    api = sandbox.client("cloudformation", DATA)
    request = {"StackName": "member", "TemplateBody": TEMPLATE, "Capabilities": NAMED_IAM}
    request["Parameters"] = SET["Parameters"]

    api.create_stack(**request)
    sandbox.settle()
    assert api.describe_stacks(StackName="member")["Stacks"][0]["StackStatus"] == "ROLLBACK_COMPLETE"
    with pytest.raises(ClientError, match="can not be updated"):
        api.update_stack(**request)

    api.delete_stack(StackName="member")
    sandbox.settle()
    with pytest.raises(ClientError, match="does not exist"):
        api.describe_stacks(StackName="member")
    sandbox.client("iam", DATA).delete_role(RoleName="chosen")
    first = api.list_stacks()["StackSummaries"][0]["StackId"]
    assert api.create_stack(**request)["StackId"] != first


def test_an_update_that_fails_goes_back(sandbox: Sandbox) -> None:
    """What was there is there again, and the status says so (user guide, "Stack status codes")."""
    take_name(sandbox, DATA, "taken")
    api = sandbox.client("cloudformation", DATA)
    request = {"StackName": "member", "TemplateBody": TEMPLATE, "Capabilities": NAMED_IAM}
    api.create_stack(**request, Parameters=SET["Parameters"])
    sandbox.settle()

    hub = {"ParameterKey": "Hub", "UsePreviousValue": True}
    api.update_stack(**request, Parameters=[hub, {"ParameterKey": "Role", "ParameterValue": "taken"}])
    sandbox.settle()

    stack = api.describe_stacks(StackName="member")["Stacks"][0]
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert "already exists" in stack["StackStatusReason"]
    assert sandbox.client("iam", DATA).get_role(RoleName="chosen")


def test_what_is_not_emulated_is_refused(sandbox: Sandbox) -> None:
    """An operation of moto's that the sandbox did not take over answers with an error, rather than doing half of it."""
    with pytest.raises(ClientError, match="not emulated"):
        sandbox.client("cloudformation").set_stack_policy(StackName="x", StackPolicyBody="{}")
