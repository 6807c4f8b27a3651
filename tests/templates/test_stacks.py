"""The templates as they are written: valid, each function on its own, nothing unencrypted, unlogged or unbounded."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cfnlint.api import lint, lint_file  # type: ignore[import-untyped]  # cfn-lint has no py.typed
from cfnlint.config import ManualArgs  # type: ignore[import-untyped]

from podshare_sandbox.cloudformation import template
from tests.checks.expanded_template import ROOT, expanded

MEMBER = ROOT / "accounts" / "member.yaml"
RBAC = ROOT / "accounts" / "cluster-rbac.yaml"
_REGION = "us-west-2"


@pytest.fixture(scope="module")
def hub() -> dict[str, Any]:
    """The hub's resources in plain CloudFormation."""
    resources: dict[str, Any] = expanded()["Resources"]
    return resources


def of_type(resources: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {name: resource["Properties"] for name, resource in resources.items() if resource["Type"] == kind}


@pytest.mark.parametrize("path", [ROOT / "template.yaml", MEMBER], ids=lambda path: path.name)
def test_templates_are_valid(path: Path) -> None:
    """cfn-lint has nothing to say about the templates as they are written, warnings included."""
    assert lint_file(path, config=ManualArgs(regions=[_REGION])) == []


def test_expanded_template_is_valid() -> None:
    """cfn-lint has nothing to say about the hub's template without SAM's shorthand either."""
    assert lint(json.dumps(expanded()), config=ManualArgs(regions=[_REGION])) == []


def test_member_template_suits_stack_sets() -> None:
    """The member stack has no transform: service-managed StackSets take none (CloudFormation user guide)."""
    assert "Transform" not in template.read(MEMBER)


def test_each_function_has_its_own_role(hub: dict[str, Any]) -> None:
    """No two functions share a role, and each role bears its function's name."""
    functions = of_type(hub, "AWS::Lambda::Function")
    roles = [function["Role"]["Fn::GetAtt"][0] for function in functions.values()]

    assert len(functions) == len(set(roles)) == 10
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


def test_machine_calls_exactly_its_functions(hub: dict[str, Any]) -> None:
    """The state machine may call the functions that it is given, no more and no fewer."""
    (machine,) = of_type(hub, "AWS::StepFunctions::StateMachine").values()
    statements = hub["ReconcileTeamRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    callable_functions = next(s["Resource"] for s in statements if s["Action"] == "lambda:InvokeFunction")

    given = list(machine["DefinitionSubstitutions"].values())
    assert callable_functions == given
    assert len(given) == 8


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
    """Every function and the machine write to a log group of the stack's, which is not kept for ever."""
    groups = of_type(hub, "AWS::Logs::LogGroup")
    functions = of_type(hub, "AWS::Lambda::Function")

    assert {function["LoggingConfig"]["LogGroup"]["Ref"] for function in functions.values()} < groups.keys()
    assert len(groups) == len(functions) + 1
    assert all(group["RetentionInDays"] == {"Ref": "LogRetentionDays"} for group in groups.values())


def test_nothing_is_lost_silently(hub: dict[str, Any]) -> None:
    """Every queue is encrypted and has an alarm, and both ways into podshare end in a queue when all retries fail."""
    queues = of_type(hub, "AWS::SQS::Queue")
    watched = [json.dumps(alarm.get("Dimensions", [])) for alarm in of_type(hub, "AWS::CloudWatch::Alarm").values()]
    (mapping,) = of_type(hub, "AWS::Lambda::EventSourceMapping").values()
    (rule,) = of_type(hub, "AWS::Events::Rule").values()
    (asynchronous,) = of_type(hub, "AWS::Lambda::EventInvokeConfig").values()

    assert all(queue["SqsManagedSseEnabled"] is True for queue in queues.values())
    assert all(any(name in dimensions for dimensions in watched) for name in queues)
    assert mapping["DestinationConfig"]["OnFailure"]["Destination"]["Fn::GetAtt"][0] in queues
    assert rule["Targets"][0]["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0] in queues
    assert asynchronous["DestinationConfig"]["OnFailure"]["Destination"]["Fn::GetAtt"][0] in queues


def test_alarms_watch_every_function(hub: dict[str, Any]) -> None:
    """The alarm on failing functions counts all of them."""
    metrics = hub["FunctionsAlarm"]["Properties"]["Metrics"]
    watched = {m["MetricStat"]["Metric"]["Dimensions"][0]["Value"]["Ref"] for m in metrics if "MetricStat" in m}

    assert watched == of_type(hub, "AWS::Lambda::Function").keys()


def rules_of_cluster() -> Iterator[dict[str, Any]]:
    for manifest in yaml.safe_load_all(RBAC.read_text(encoding="utf-8")):
        yield from manifest.get("rules", [])


def test_cluster_rules_are_bound_to_the_groups_of_the_access_entries() -> None:
    """The manifests bind exactly the groups that the member stack's access entries give, by the default prefix."""
    manifests = list(yaml.safe_load_all(RBAC.read_text(encoding="utf-8")))
    bound = {subject["name"] for manifest in manifests for subject in manifest.get("subjects", [])}
    entries = of_type(template.read(MEMBER)["Resources"], "AWS::EKS::AccessEntry").values()
    given = {
        group["Fn::Sub"].replace("${Prefix}", "podshare") for entry in entries for group in entry["KubernetesGroups"]
    }

    assert bound == given == {"podshare:kubernetes", "podshare:read"}


def test_cluster_rules_name_what_they_allow() -> None:
    """No wildcard in the cluster, no secrets, no impersonation, and pods are only looked at."""
    for rule in rules_of_cluster():
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
        assert not {"secrets", "pods/exec", "roles", "rolebindings"} & set(rule["resources"])
        assert not {"impersonate", "bind", "escalate", "deletecollection"} & set(rule["verbs"])
        assert rule["resources"] == ["serviceaccounts"] or set(rule["verbs"]) <= {"get", "list"}
