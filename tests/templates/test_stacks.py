"""The templates as they are written: valid, each function on its own, nothing unencrypted, unlogged or unbounded."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cfnlint.api import lint, lint_file  # type: ignore[import-untyped]  # cfn-lint has no py.typed
from cfnlint.config import ManualArgs  # type: ignore[import-untyped]

from podshare.kinds.shapes import SHAPES
from podshare_sandbox.cloudformation import template
from tests.checks.expanded_template import ROOT, expanded

MEMBER = ROOT / "accounts" / "member.yaml"
MANAGEMENT = ROOT / "accounts" / "management.yaml"
CLUSTER = ROOT / "accounts" / "cluster.yaml"
DRIFT = ROOT / "accounts" / "drift.yaml"
RBAC = ROOT / "accounts" / "cluster-rbac.yaml"
_REGION = "us-west-2"
# what AWS Organizations tells in the management account that may concern podshare; each is a rule's name in short
EVENTS = {
    *("CreateAccountResult", "AccountJoinedOrganization", "MoveAccount", "TagResource", "UntagResource"),
    *("CloseAccount", "CloseAccountResult", "RemoveAccountFromOrganization", "AccountDepartedOrganization"),
    *("CreateOrganizationalUnit", "UpdateOrganizationalUnit", "DeleteOrganizationalUnit"),
}


@pytest.fixture(scope="module")
def hub() -> dict[str, Any]:
    """The hub's resources in plain CloudFormation."""
    resources: dict[str, Any] = expanded()["Resources"]
    return resources


@pytest.fixture(scope="module")
def management() -> dict[str, Any]:
    """The management account's resources."""
    resources: dict[str, Any] = template.read(MANAGEMENT)["Resources"]
    return resources


@pytest.fixture(scope="module")
def drift() -> dict[str, Any]:
    """The resources of the stack that tells of calls."""
    resources: dict[str, Any] = template.read(DRIFT)["Resources"]
    return resources


def of_type(resources: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {name: resource["Properties"] for name, resource in resources.items() if resource["Type"] == kind}


@pytest.mark.parametrize(
    ("path", "region"),
    [
        *((path, _REGION) for path in (ROOT / "template.yaml", MEMBER, CLUSTER)),
        *((path, "us-east-1") for path in (MANAGEMENT, DRIFT)),
    ],
    ids=["template.yaml", "member.yaml", "cluster.yaml", "management.yaml", "drift.yaml"],
)
def test_templates_are_valid(path: Path, region: str) -> None:
    """cfn-lint has nothing to say about the templates as they are written, warnings included."""
    assert lint_file(path, config=ManualArgs(regions=[region])) == []


def test_expanded_template_is_valid() -> None:
    """cfn-lint has nothing to say about the hub's template without SAM's shorthand either."""
    assert lint(json.dumps(expanded()), config=ManualArgs(regions=[_REGION])) == []


@pytest.mark.parametrize("path", [MEMBER, DRIFT], ids=["member.yaml", "drift.yaml"])
def test_stacks_of_members_suit_stack_sets(path: Path) -> None:
    """They have no transform: service-managed StackSets take none (CloudFormation user guide)."""
    assert "Transform" not in template.read(path)


def test_the_drift_stack_tells_of_the_calls_that_kinds_name(drift: dict[str, Any]) -> None:
    """The rules forward every call that changes what podshare owns, as each kind declares them, and no other."""
    patterns = [rule["EventPattern"] for rule in of_type(drift, "AWS::Events::Rule").values()]
    told = {
        f"{pattern['source'][0].removeprefix('aws.')}:{name}"
        for pattern in patterns
        for part in (pattern["detail"], *pattern["detail"].get("$or", ()))
        for name in part.get("eventName", ())
    }

    assert told == {call for shape in SHAPES.values() for call in shape.reported_by}


def test_member_policies_stay_and_are_in_no_later_stacks_way() -> None:
    """Each managed policy of the member stack is retained, by a name that no other stack of the account gives."""
    resources = template.read(MEMBER)["Resources"]
    policies = of_type(resources, "AWS::IAM::ManagedPolicy")

    assert len(policies) == 2
    for logical_id, policy in policies.items():
        assert resources[logical_id]["DeletionPolicy"] == resources[logical_id]["UpdateReplacePolicy"] == "Retain"
        name, stack = policy["ManagedPolicyName"]["Fn::Sub"]
        assert name.endswith("-${Stack}")
        assert stack == {"Stack": {"Fn::Select": [2, {"Fn::Split": ["/", {"Ref": "AWS::StackId"}]}]}}


def test_each_function_has_its_own_role(hub: dict[str, Any]) -> None:
    """No two functions share a role, and each role bears its function's name."""
    functions = of_type(hub, "AWS::Lambda::Function")
    roles = [function["Role"]["Fn::GetAtt"][0] for function in functions.values()]

    assert len(functions) == len(set(roles)) == 19
    for logical_id, function in functions.items():
        role = hub[function["Role"]["Fn::GetAtt"][0]]["Properties"]
        assert role["RoleName"] == function["FunctionName"], logical_id
        assert role["Path"] == {"Fn::Sub": "/${Prefix}-system/"}, logical_id


def test_function_roles_are_for_lambda_on_behalf_of_this_account(hub: dict[str, Any]) -> None:
    """A function's role trusts Lambda alone, and where Lambda says for whom it asks, for this function alone."""
    for logical_id, function in of_type(hub, "AWS::Lambda::Function").items():
        role = hub[function["Role"]["Fn::GetAtt"][0]]["Properties"]
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        sources = statement["Condition"]["ArnLikeIfExists"]["aws:SourceArn"]
        sources = sources if isinstance(sources, list) else [sources]

        assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}, logical_id
        assert statement["Condition"]["StringEqualsIfExists"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
        assert sources[0]["Fn::Sub"].endswith(f":function:{function['FunctionName']['Fn::Sub']}"), logical_id


@pytest.mark.parametrize(("machine", "functions"), [("ReconcileTeam", 8), ("AccountLifecycle", 1), ("SweepTeams", 5)])
def test_a_machine_calls_exactly_its_functions(hub: dict[str, Any], machine: str, functions: int) -> None:
    """A state machine may call the functions that it is given, no more and no fewer."""
    statements = hub[f"{machine}Role"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    callable_functions = next(s["Resource"] for s in statements if s["Action"] == "lambda:InvokeFunction")

    given = [arn for arn in hub[machine]["Properties"]["DefinitionSubstitutions"].values() if "Fn::GetAtt" in arn]
    assert callable_functions == given
    assert len(given) == functions


def test_who_starts_executions(hub: dict[str, Any]) -> None:
    """account-lifecycle starts reconciliations, a sweep the executions of its own items, and reconcile-team none."""
    startable = {
        machine: [
            json.dumps(statement["Resource"])
            for statement in hub[f"{machine}Role"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
            if statement["Action"] == "states:StartExecution"
        ]
        for machine in of_type(hub, "AWS::StepFunctions::StateMachine")
    }

    assert startable["ReconcileTeam"] == []
    assert startable["AccountLifecycle"] == ['{"Ref": "ReconcileTeam"}']
    assert len(startable["SweepTeams"]) == 1
    assert ":stateMachine:${Prefix}-sweep-teams" in startable["SweepTeams"][0]


def test_tables_outlive_mistakes(hub: dict[str, Any]) -> None:
    """Both tables are encrypted, restorable to any second, protected from deletion, and stay when the stack goes."""
    tables = of_type(hub, "AWS::DynamoDB::Table")

    assert len(tables) == 2
    for logical_id, table in tables.items():
        assert table["SSESpecification"] == {"SSEEnabled": True}
        assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert table["DeletionProtectionEnabled"] is True
        assert hub[logical_id]["DeletionPolicy"] == hub[logical_id]["UpdateReplacePolicy"] == "Retain"


def test_logs_end(hub: dict[str, Any]) -> None:
    """Every function and every machine writes to a log group of the stack's, which is not kept for ever."""
    groups = of_type(hub, "AWS::Logs::LogGroup")
    functions = of_type(hub, "AWS::Lambda::Function")

    assert {function["LoggingConfig"]["LogGroup"]["Ref"] for function in functions.values()} < groups.keys()
    machines = of_type(hub, "AWS::StepFunctions::StateMachine")
    assert len(groups) == len(functions) + len(machines)
    assert all(group["RetentionInDays"] == {"Ref": "LogRetentionDays"} for group in groups.values())


def test_every_invocation_is_traced(hub: dict[str, Any]) -> None:
    """Every function and every machine sends its traces to X-Ray."""
    functions, machines = of_type(hub, "AWS::Lambda::Function"), of_type(hub, "AWS::StepFunctions::StateMachine")
    assert all(function["TracingConfig"] == {"Mode": "Active"} for function in functions.values())
    assert all(machine["TracingConfiguration"] == {"Enabled": True} for machine in machines.values())


def ways_in(resources: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Where each of the ways in sends what it gives up."""
    for kind in ("AWS::Lambda::EventSourceMapping", "AWS::Lambda::EventInvokeConfig"):
        for one in of_type(resources, kind).values():
            yield one["DestinationConfig"]["OnFailure"]["Destination"]
    for rule in of_type(resources, "AWS::Events::Rule").values():
        yield from (target["DeadLetterConfig"]["Arn"] for target in rule["Targets"])
    for schedule in of_type(resources, "AWS::Scheduler::Schedule").values():
        yield schedule["Target"]["DeadLetterConfig"]["Arn"]


@pytest.mark.parametrize(("stack", "ways"), [("hub", 10), ("management", len(EVENTS)), ("drift", 6)])
def test_nothing_is_lost_silently(request: pytest.FixtureRequest, stack: str, ways: int) -> None:
    """Every queue is encrypted and has an alarm, and every way into podshare ends in one when all retries fail."""
    resources: dict[str, Any] = request.getfixturevalue(stack)
    queues = of_type(resources, "AWS::SQS::Queue")
    alarms = of_type(resources, "AWS::CloudWatch::Alarm").values()
    watched = [json.dumps(alarm.get("Dimensions", [])) for alarm in alarms]
    ends = [end["Fn::GetAtt"][0] for end in ways_in(resources)]

    assert all(queue["SqsManagedSseEnabled"] is True for queue in queues.values())
    assert all(any(f'"{name}"' in dimensions for dimensions in watched) for name in queues)
    assert set(ends) == queues.keys()
    assert len(ends) == ways


def counted(alarms: dict[str, dict[str, Any]]) -> list[str]:
    """The logical ids of what the alarms' metrics are about."""
    several = [metric for alarm in alarms.values() for metric in alarm.get("Metrics", []) if "MetricStat" in metric]
    metrics = [*(metric["MetricStat"]["Metric"] for metric in several), *alarms.values()]
    return [
        one["Dimensions"][0]["Value"]["Ref"] for one in metrics if one.get("Namespace") in ("AWS/Lambda", "AWS/States")
    ]


def test_alarms_watch_every_function_and_every_machine(hub: dict[str, Any]) -> None:
    """The alarms count failed invocations of all functions, and executions of all machines that ended badly."""
    alarms = of_type(hub, "AWS::CloudWatch::Alarm")
    machines = of_type(hub, "AWS::StepFunctions::StateMachine")
    functions = {name: alarm for name, alarm in alarms.items() if name.endswith("FunctionsAlarm")}

    assert sorted(counted(functions)) == sorted(of_type(hub, "AWS::Lambda::Function"))
    assert sorted(counted({"executions": alarms["ExecutionsAlarm"]})) == sorted([*machines] * 3)
    # CloudWatch user guide, "Create a CloudWatch alarm based on a metric math expression"
    assert all(len(counted({"one": alarm})) <= 10 for alarm in alarms.values())


def test_each_event_has_a_rule_by_its_name(management: dict[str, Any]) -> None:
    """A rule matches the source and one event name, never the detail type, and bears that name."""
    rules = of_type(management, "AWS::Events::Rule")

    assert rules.keys() == EVENTS
    for event, rule in rules.items():
        assert rule["EventPattern"] == {"source": ["aws.organizations"], "detail": {"eventName": [event]}}
        assert rule["Name"]["Fn::Sub"] == "${Prefix}" + re.sub("[A-Z]", lambda letter: f"-{letter[0].lower()}", event)
        (target,) = rule["Targets"]
        assert target["Arn"]["Fn::Sub"].endswith(":${HubRegion}:${HubAccountId}:event-bus/${Prefix}-organization")
        assert target["RoleArn"] == {"Fn::GetAtt": ["ForwardEventsRole", "Arn"]}


def test_calls_of_six_services_are_told_to_the_hub(hub: dict[str, Any], drift: dict[str, Any]) -> None:
    """A rule for each service, to the hub's bus for them, by names that change something; IAM's where it tells."""
    rules = of_type(drift, "AWS::Events::Rule")
    sources = [rule["EventPattern"]["source"][0] for rule in rules.values()]

    assert sources == ["aws.iam", "aws.eks", "aws.sagemaker", "aws.s3", "aws.kms", "aws.ssm"]
    assert drift["IamCalls"]["Condition"] == "HasCallsOfIam"
    for rule in rules.values():
        pattern = rule["EventPattern"]
        assert rule["Name"] == {"Fn::Sub": f"${{Prefix}}-drift-{pattern['source'][0].removeprefix('aws.')}"}
        assert pattern["detail"]["errorCode"] == [{"exists": False}]
        named = re.findall(r'"eventName": \[([^]]*)\]', json.dumps(pattern))
        assert named
        assert not re.findall('"(?:Get|List|Describe)', " ".join(named))
        (target,) = rule["Targets"]
        assert target["Arn"]["Fn::Sub"].endswith(":${HubRegion}:${HubAccountId}:event-bus/${Prefix}-drift")
        assert target["RoleArn"]["Fn::Sub"].endswith(":role/${Prefix}-system/${Prefix}-forward-drift")
    policy = hub["DriftBusPolicy"]["Properties"]["Statement"]
    assert policy["Condition"]["ForAllValues:StringEquals"]["events:source"] == sources
    role = policy["Condition"]["ArnLike"]["aws:PrincipalArn"]["Fn::Sub"]
    assert role.endswith(":iam::*:role/${Prefix}-system/${Prefix}-forward-drift")
    assert of_type(hub, "AWS::Events::Rule")["ResourceChangedCall"]["EventPattern"]["source"] == sources


def test_forwarding_of_calls_is_bound(drift: dict[str, Any]) -> None:
    """The role that forwards stands in the member stack, for rules of these names, and puts on that bus alone."""
    role = template.read(MEMBER)["Resources"]["ForwardDriftRole"]["Properties"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    (allowed,) = role["Policies"][0]["PolicyDocument"]["Statement"]

    assert trust["Principal"] == {"Service": "events.amazonaws.com"}
    assert trust["Condition"]["ArnLikeIfExists"]["aws:SourceArn"]["Fn::Sub"].endswith(":rule/${Prefix}-drift-*")
    assert trust["Condition"]["StringEqualsIfExists"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    assert allowed["Action"] == "events:PutEvents"
    assert allowed["Resource"]["Fn::Sub"].endswith(":events:*:${HubAccountId}:event-bus/${Prefix}-drift")
    assert not of_type(drift, "AWS::IAM::Role")  # a stack in each Region would meet its name


def test_both_ways_of_reading_the_organization_allow_the_same(hub: dict[str, Any], management: dict[str, Any]) -> None:
    """What the management account's role may do, the functions may do themselves as a delegated administrator."""
    role = management["OrganizationRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    branches = [one["Fn::If"] for one in hub["OrganizationPolicy"]["Properties"]["PolicyDocument"]["Statement"]]
    themselves = json.dumps([otherwise for _, _, otherwise in branches])

    assert {condition for condition, _, _ in branches} == {"ReadsByManagementRole"}
    assert branches[0][1]["Action"] == "sts:AssumeRole"
    assert json.loads(themselves.replace("ManagementAccountId", "AWS::AccountId")) == role


def rules_of_cluster() -> Iterator[dict[str, Any]]:
    for manifest in yaml.safe_load_all(RBAC.read_text(encoding="utf-8")):
        yield from manifest.get("rules", [])


def test_cluster_rules_are_bound_to_the_groups_of_the_access_entries() -> None:
    """The manifests bind exactly the groups that the cluster stack's access entries give, by the default prefix."""
    manifests = list(yaml.safe_load_all(RBAC.read_text(encoding="utf-8")))
    bound = {subject["name"] for manifest in manifests for subject in manifest.get("subjects", [])}
    entries = of_type(template.read(CLUSTER)["Resources"], "AWS::EKS::AccessEntry").values()
    given = {
        group["Fn::Sub"].replace("${Prefix}", "podshare") for entry in entries for group in entry["KubernetesGroups"]
    }

    assert bound == given == {"podshare:kubernetes", "podshare:read"}


def test_cluster_rules_name_what_they_allow() -> None:
    """No wildcard in the cluster, no secrets, no impersonation; rights over rights are those that policies hold."""
    writes = {"serviceaccounts", "roles", "rolebindings", "networkpolicies", "namespaces"}
    writes |= {"persistentvolumes", "persistentvolumeclaims", "resourcequotas"}
    for rule in rules_of_cluster():
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
        assert not {"secrets", "pods/exec"} & set(rule["resources"])
        if "clusterroles" in rule["resources"]:  # whoever takes a subject out of a binding must be allowed to bind
            assert (rule["resources"], rule["verbs"]) == (["clusterroles"], ["bind"])
            continue
        if "clusterrolebindings" in rule["resources"]:  # who is bound in the whole cluster is read, and no more
            assert rule["verbs"] == ["list"]
        assert "impersonate" not in rule["verbs"]
        # collections of work alone, which tests/templates/test_cluster_rbac.py holds to what can run
        assert "deletecollection" not in rule["verbs"] or rule["verbs"] == ["deletecollection"]
        if "configmaps" in rule["resources"]:  # the one that Kubernetes makes in each namespace
            assert rule["verbs"] == ["get"]
            assert rule["resourceNames"] in (["kube-root-ca.crt"], ["aws-auth"])
        assert rule["resources"] == ["roles"] or not {"bind", "escalate"} & set(rule["verbs"])
        assert set(rule["verbs"]) <= {"get", "list", "deletecollection"} or set(rule["resources"]) <= writes


def test_whatever_podshare_writes_in_the_cluster_is_held_by_a_policy() -> None:
    """Each resource that podshare's cluster role may change is among those that a policy denies elsewhere."""
    manifests = list(yaml.safe_load_all(RBAC.read_text(encoding="utf-8")))
    own = [
        one["spec"]
        for one in manifests
        if one["metadata"]["name"] in ("podshare-own-objects", "podshare-volumes") and "matchConstraints" in one["spec"]
    ]
    rules = [rule for spec in own for rule in spec["matchConstraints"]["resourceRules"]]
    held = {resource for rule in rules for resource in rule["resources"]}
    written = {
        name for rule in rules_of_cluster() if {"create", "delete"} & {*rule["verbs"]} for name in rule["resources"]
    }
    assert written <= held
    bindings = [one["spec"] for one in manifests if "policyName" in one.get("spec", {})]
    denying = {spec["policyName"] for spec in bindings if spec["validationActions"] == ["Deny"]}
    assert {"podshare-own-objects", "podshare-volumes", "podshare-roles", "podshare-role-bindings"} <= denying
