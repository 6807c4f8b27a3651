"""What IAM's documents say is evaluated as AWS does, and every call is decided by it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from podshare_sandbox import authorization
from podshare_sandbox.authorization import actions, conditions
from podshare_sandbox.authorization import policy as policies
from podshare_sandbox.authorization.call import Call
from podshare_sandbox.authorization.policy import Authority, PrincipalNames, Request, Verdict
from podshare_sandbox.cloudformation import Stack
from podshare_sandbox.services import access_points, buckets, eks, iam, kms, sts
from sandbox.tests.iam_accounts import (
    DATA,
    HUB,
    REGION,
    SCIENTIST,
    add_administrators,
    allow,
    assume,
    chain,
    client,
    make_role,
    policy,
    refused,
    session_client,
    trusting,
)

# --- conditions: pure ---------------------------------------------------------------------------------------

CONTEXT: conditions.Context = {
    "aws:principalarn": "arn:aws:iam::222222222222:role/team/vision",
    "aws:principaltag/team": "vision",
    "aws:principaltag/star": "*",
    "aws:username": "ann",
    "aws:tagkeys": ("team", "cost"),
    "aws:sourceip": "10.1.2.3",
    "aws:currenttime": "2026-03-01T12:00:00Z",
    "aws:securetransport": "true",
    "s3:max-keys": "10",
    "s3:prefix": "imagenet/train/",
    "x:empty": (),
    "x:blank": "",
    "x:blanks": ("",),
    "x:one": ("cost",),
}


@pytest.mark.parametrize(
    ("operator", "key", "expected", "holds"),
    [
        ("StringEquals", "aws:PrincipalTag/team", ["vision"], True),
        ("StringEquals", "AWS:principaltag/TEAM", ["vision"], True),
        ("StringEquals", "aws:PrincipalTag/team", ["Vision"], False),
        ("StringEquals", "aws:PrincipalTag/team", ["other", "vision"], True),
        ("StringEquals", "aws:PrincipalTag/team", ["vis*"], False),
        ("StringEqualsIgnoreCase", "aws:PrincipalTag/team", ["VISION"], True),
        ("StringNotEqualsIgnoreCase", "aws:PrincipalTag/team", ["VISION"], False),
        ("StringNotEquals", "aws:PrincipalTag/team", ["other"], True),
        ("StringNotEquals", "aws:PrincipalTag/team", ["other", "vision"], False),
        ("StringLike", "s3:prefix", ["imagenet/*"], True),
        ("StringLike", "s3:prefix", ["imagenet/?????/"], True),
        ("StringLike", "s3:prefix", ["imagenet/????/"], False),
        ("StringLike", "s3:prefix", ["image.et/*"], False),
        ("StringNotLike", "s3:prefix", ["private/*"], True),
        ("StringLike", "s3:prefix", ["${aws:username}/*"], False),
        ("StringEquals", "aws:PrincipalTag/team", ["${aws:PrincipalTag/team}"], True),
        ("StringEquals", "aws:PrincipalTag/team", ["${aws:PrincipalTag/absent}"], False),
        ("StringEquals", "aws:PrincipalTag/team", ["${aws:PrincipalTag/absent, 'vision'}"], True),
        ("StringLike", "aws:PrincipalTag/team", ["${aws:PrincipalTag/star}"], False),
        ("StringLike", "aws:PrincipalTag/star", ["${*}"], True),
        ("StringLike", "aws:PrincipalTag/team", ["${*}"], False),
        ("ArnEquals", "aws:PrincipalArn", ["arn:aws:iam::222222222222:role/team/*"], True),
        ("ArnLike", "aws:PrincipalArn", ["arn:aws:iam::*:role/team/vision"], True),
        ("ArnLike", "aws:PrincipalArn", ["arn:aws:iam:*:role/team/vision"], False),
        ("ArnNotLike", "aws:PrincipalArn", ["arn:aws:iam::2*:role/*"], False),
        ("ArnNotEquals", "aws:PrincipalArn", ["arn:aws:iam::333333333333:role/*"], True),
        ("ArnLike", "aws:PrincipalTag/team", ["*"], True),
        ("ArnLike", "aws:PrincipalTag/team", ["arn:aws:iam::*:*"], False),
        ("NumericLessThanEquals", "s3:max-keys", ["10"], True),
        ("NumericLessThan", "s3:max-keys", ["10"], False),
        ("NumericGreaterThan", "s3:max-keys", ["9.5"], True),
        ("NumericNotEquals", "s3:max-keys", ["10"], False),
        ("NumericEquals", "aws:username", ["10"], False),
        ("DateLessThan", "aws:CurrentTime", ["2026-03-01T12:00:01Z"], True),
        ("DateGreaterThan", "aws:CurrentTime", ["2026-03-01"], True),
        ("DateEquals", "aws:CurrentTime", ["1772366400"], True),
        ("Bool", "aws:SecureTransport", ["True"], True),
        ("Bool", "aws:SecureTransport", ["false"], False),
        ("IpAddress", "aws:SourceIp", ["10.1.0.0/16"], True),
        ("IpAddress", "aws:SourceIp", ["10.2.0.0/16", "10.1.2.3"], True),
        ("NotIpAddress", "aws:SourceIp", ["10.1.0.0/16"], False),
        ("BinaryEquals", "aws:username", ["ann"], True),
        ("Null", "aws:PrincipalTag/team", ["false"], True),
        ("Null", "aws:MultiFactorAuthPresent", ["true"], True),
        ("Null", "x:empty", ["true"], True),
        # a key that is not there
        ("StringEquals", "aws:PrincipalOrgID", ["o-1"], False),
        ("StringEqualsIfExists", "aws:PrincipalOrgID", ["o-1"], True),
        ("StringEqualsIfExists", "aws:PrincipalTag/team", ["other"], False),
        ("StringNotEquals", "aws:PrincipalOrgID", ["o-1"], True),
        ("ArnNotLike", "aws:SourceArn", ["arn:aws:s3:::b"], True),
        ("Bool", "aws:MultiFactorAuthPresent", ["false"], False),
        ("BoolIfExists", "aws:MultiFactorAuthPresent", ["false"], True),
        ("NumericGreaterThanIfExists", "aws:MultiFactorAuthAge", ["1"], True),
        # sets
        ("ForAllValues:StringEquals", "aws:TagKeys", ["team", "cost", "x"], True),
        ("ForAllValues:StringEquals", "aws:TagKeys", ["team"], False),
        ("ForAllValues:StringEquals", "x:absent", ["team"], True),
        ("ForAllValues:StringEquals", "x:empty", ["team"], True),
        ("ForAllValues:StringNotEquals", "aws:TagKeys", ["x"], True),
        ("ForAllValues:StringNotEquals", "aws:TagKeys", ["cost"], False),
        ("ForAnyValue:StringEquals", "aws:TagKeys", ["cost"], True),
        ("ForAnyValue:StringLike", "aws:TagKeys", ["x*"], False),
        ("ForAnyValue:StringEquals", "x:absent", ["team"], False),
        ("ForAnyValue:StringNotEquals", "aws:TagKeys", ["cost"], True),
        ("ForAnyValue:StringNotEquals", "x:absent", ["cost"], False),
        ("ForAnyValue:StringEqualsIfExists", "x:absent", ["cost"], True),
        ("ForAllValues:ArnLike", "aws:PrincipalArn", ["arn:aws:iam::222222222222:*"], True),
        # "… if the context key value resolves to a null dataset, such as an empty string"
        ("ForAllValues:StringLike", "x:blank", ["a/*"], True),
        ("ForAllValues:StringEquals", "x:blanks", ["a"], True),
        ("ForAnyValue:StringNotLike", "x:blank", ["a/*"], False),
        ("ForAnyValue:StringNotEqualsIfExists", "x:blank", ["a"], False),
        ("StringLike", "x:blank", ["*"], True),
        ("StringNotLike", "x:blank", ["a/*"], True),
        ("Null", "x:blank", ["true"], True),
        # several values need a set operator ("Using IAM policy conditions in Amazon EventBridge")
        ("StringEquals", "aws:TagKeys", ["team", "cost"], False),
        ("StringNotEquals", "aws:TagKeys", ["other"], False),
        ("StringEquals", "x:one", ["team", "cost"], True),
    ],
)
def test_a_condition_holds_as_its_operator_says(operator: str, key: str, expected: list[str], holds: bool) -> None:
    """Each operator, IfExists, the set operators and policy variables follow the IAM User Guide."""
    assert conditions.holds(operator, key, tuple(expected), CONTEXT, variables=True) is holds


def test_an_operator_that_iam_does_not_have_is_refused() -> None:
    """A misspelt operator raises instead of allowing or denying in silence."""
    with pytest.raises(NotImplementedError, match="StringMatches"):
        conditions.holds("StringMatches", "aws:username", ("ann",), CONTEXT, variables=True)


@pytest.mark.parametrize(
    ("pattern", "arn", "matches"),
    [
        ("*", "arn:aws:s3:::b/k", True),
        ("*", "*", True),
        ("arn:aws:s3:::b/*", "arn:aws:s3:::b/k/deep", True),
        ("arn:aws:s3:::b", "arn:aws:s3:::b/k", False),
        ("arn:aws:s3:::b*", "arn:aws:s3:::b/k", True),
        ("arn:aws:s3:::*", "arn:aws:s3:us-west-2:333333333333:accesspoint/a", False),
        ("arn:aws:lambda:*:111111111111:function:f-*", "arn:aws:lambda:us-west-2:111111111111:function:f-1:live", True),
        ("arn:aws:lambda:*:function:f", "arn:aws:lambda:us-west-2:111111111111:function:f", False),
        ("arn:aws:iam::*", "arn:aws:iam::111111111111:role/r", True),
        ("arn:aws:eks:*", "*", False),
        ("arn:aws:iam::111111111111:role/${aws:username}", "arn:aws:iam::111111111111:role/ann", True),
        ("arn:aws:iam::111111111111:role/${aws:PrincipalTag/none}", "arn:aws:iam::111111111111:role/", False),
        ("arn:aws:iam::111111111111:role/${aws:PrincipalTag/star}", "arn:aws:iam::111111111111:role/ann", False),
        ("arn:aws:iam::111111111111:role/[a-z]nn", "arn:aws:iam::111111111111:role/ann", False),
    ],
)
def test_an_arn_pattern_matches_field_by_field(pattern: str, arn: str, matches: bool) -> None:
    """Wildcards stay within their field of the ARN, and a tag's value is never a wildcard."""
    assert conditions.arn_like(pattern, arn, CONTEXT) is matches


# --- policies: pure -----------------------------------------------------------------------------------------

ROLE = "arn:aws:iam::111111111111:role/r"
SESSION = "arn:aws:sts::111111111111:assumed-role/r/s"
NAMES = PrincipalNames("111111111111", SESSION, ROLE, "AROA1")
USER = PrincipalNames("111111111111", "arn:aws:iam::111111111111:user/ann", None, "AIDA1")
OBJECT = Request("s3:GetObject", "arn:aws:s3:::b/k", {"aws:username": "ann", "aws:tagkeys": ("team", "cost")})


def parsed(*statements: dict[str, Any], version: str = "2012-10-17") -> policies.Policy:
    """The statements as one policy."""
    return policies.parse({"Version": version, "Statement": list(statements)})


def deny(action: Any, resource: Any = "*", **elements: Any) -> dict[str, Any]:
    """A statement that denies."""
    return {"Effect": "Deny", "Action": action, "Resource": resource, **elements}


@pytest.mark.parametrize(
    ("statements", "verdict"),
    [
        ([], Verdict.NOTHING),
        ([allow("s3:GetObject")], Verdict.ALLOW),
        ([allow("S3:getobject")], Verdict.ALLOW),
        ([allow("s3:Get*", "arn:aws:s3:::b/*")], Verdict.ALLOW),
        ([allow("s3:GetObject", "arn:aws:s3:::b")], Verdict.NOTHING),
        ([allow("s3:GetObject", "arn:aws:s3:::B/*")], Verdict.NOTHING),
        ([allow("s3:?etObject")], Verdict.ALLOW),
        ([allow("*")], Verdict.ALLOW),
        ([allow("ec2:*")], Verdict.NOTHING),
        ([allow("*"), deny("s3:GetObject", "arn:aws:s3:::b/k")], Verdict.DENY),
        ([deny("s3:GetObject"), allow("*")], Verdict.DENY),
        ([allow("*"), deny("s3:GetObject", Condition={"StringEquals": {"aws:username": "bob"}})], Verdict.ALLOW),
        ([{"Effect": "Allow", "NotAction": ["s3:PutObject"], "Resource": "*"}], Verdict.ALLOW),
        ([{"Effect": "Allow", "NotAction": ["s3:getobject"], "Resource": "*"}], Verdict.NOTHING),
        ([{"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::b/*"}], Verdict.NOTHING),
        ([{"Effect": "Deny", "Action": "*", "NotResource": "arn:aws:s3:::c/*"}], Verdict.DENY),
        ([allow("*", Condition={"StringEquals": {"aws:username": "ann"}, "Null": {"x:y": "false"}})], Verdict.NOTHING),
        ([allow("*", Condition={"StringEquals": {"aws:username": ["bob", "ann"]}})], Verdict.ALLOW),
        # several values without a set operator: whatever AWS does, nothing is allowed by it, and everything denied
        ([allow("*", Condition={"StringEquals": {"aws:TagKeys": ["team", "cost"]}})], Verdict.NOTHING),
        ([allow("*"), deny("*", Condition={"StringEquals": {"aws:TagKeys": "team"}})], Verdict.DENY),
        ([allow("*"), deny("*", Condition={"StringNotEquals": {"aws:TagKeys": "team"}})], Verdict.DENY),
    ],
)
def test_identity_policies_allow_deny_or_say_nothing(statements: list[dict[str, Any]], verdict: Verdict) -> None:
    """Actions ignore case, resources do not, conditions are all needed, and an explicit deny wins in any order."""
    assert policies.evaluate([parsed(*statements)], OBJECT) is verdict


def test_variables_exist_since_version_2012_only() -> None:
    """In a document of an older version a variable is plain text."""
    statement = allow("s3:GetObject", "arn:aws:s3:::b/${aws:username}")
    request = Request("s3:GetObject", "arn:aws:s3:::b/ann", {"aws:username": "ann"})
    assert policies.evaluate([parsed(statement)], request) is Verdict.ALLOW
    assert policies.evaluate([parsed(statement, version="2008-10-17")], request) is Verdict.NOTHING


@pytest.mark.parametrize(
    ("principal", "names", "verdict"),
    [
        ("*", NAMES, Verdict.DIRECT),
        ({"AWS": "*"}, NAMES, Verdict.DIRECT),
        ({"AWS": ROLE}, NAMES, Verdict.ALLOW),
        ({"AWS": "AROA1"}, NAMES, Verdict.ALLOW),
        ({"AWS": "AROA2"}, NAMES, Verdict.NOTHING),
        ({"AWS": SESSION}, NAMES, Verdict.DIRECT),
        ({"AWS": "arn:aws:sts::111111111111:assumed-role/r/other"}, NAMES, Verdict.NOTHING),
        ({"AWS": "111111111111"}, NAMES, Verdict.ACCOUNT),
        ({"AWS": ["arn:aws:iam::222222222222:root", "arn:aws:iam::111111111111:root"]}, NAMES, Verdict.ACCOUNT),
        ({"AWS": "arn:aws:iam::222222222222:root"}, NAMES, Verdict.NOTHING),
        ({"AWS": "arn:aws:iam::111111111111:role/*"}, NAMES, Verdict.NOTHING),
        ({"Service": "lambda.amazonaws.com"}, NAMES, Verdict.NOTHING),
        ({"Service": "lambda.amazonaws.com"}, PrincipalNames(service="lambda.amazonaws.com"), Verdict.ALLOW),
        ({"Service": "events.amazonaws.com"}, PrincipalNames(service="lambda.amazonaws.com"), Verdict.NOTHING),
        ({"AWS": "*"}, PrincipalNames(service="lambda.amazonaws.com"), Verdict.NOTHING),
        ({"AWS": USER.arn}, USER, Verdict.DIRECT),
    ],
)
def test_a_principal_is_meant_by_its_names(principal: Any, names: PrincipalNames, verdict: Verdict) -> None:
    """A session is meant by its own ARN, its role's ARN or id, its account, and by everybody."""
    document = parsed({"Effect": "Allow", "Principal": principal, "Action": "*", "Resource": "*"})
    assert policies.evaluate_for([document], OBJECT, names) is verdict


@pytest.mark.parametrize(
    ("listed", "verdict"),
    [
        ([ROLE], Verdict.DENY),
        ([ROLE, SESSION], Verdict.DENY),
        ([ROLE, SESSION, "arn:aws:iam::111111111111:root"], Verdict.NOTHING),
    ],
)
def test_not_principal_spares_only_who_is_listed_in_all_forms(listed: list[str], verdict: Verdict) -> None:
    """A denial with NotPrincipal hits a session unless account, role and session are all listed."""
    document = parsed({"Effect": "Deny", "NotPrincipal": {"AWS": listed}, "Action": "*", "Resource": "*"})
    assert policies.evaluate_for([document], OBJECT, NAMES) is verdict


@pytest.mark.parametrize(
    ("principal", "verdict"),
    [
        ({"Principal": "*"}, Verdict.DENY),
        ({"Principal": {"AWS": "*"}}, Verdict.DENY),
        ({"Principal": {"AWS": "111111111111"}}, Verdict.NOTHING),
        ({"NotPrincipal": {"AWS": "*"}}, Verdict.DENY),
        ({"NotPrincipal": {"Service": "events.amazonaws.com"}}, Verdict.NOTHING),
    ],
)
def test_a_denial_to_everybody_denies_services_too(principal: dict[str, Any], verdict: Verdict) -> None:
    """ "*" in a denial means AWS services as well, and only a denial ("AWS JSON policy elements: Principal")."""
    service = PrincipalNames(service="events.amazonaws.com")
    denial = parsed({"Effect": "Deny", "Action": "*", "Resource": "*", **principal})
    assert policies.evaluate_for([denial], OBJECT, service) is verdict


ALLOWS, DENIES, SILENT = parsed(allow("*")), parsed(deny("*")), parsed(allow("ec2:*"))


def speaking(effect: str, principal: str) -> policies.Policy:
    """A resource policy about one principal."""
    return parsed({"Effect": effect, "Principal": {"AWS": principal}, "Action": "*", "Resource": "*"})


ACCOUNT, OTHERS = "arn:aws:iam::111111111111:root", "arn:aws:iam::999999999999:root"
SPARING = parsed({"Effect": "Deny", "NotPrincipal": {"AWS": [SESSION, ROLE, ACCOUNT]}, "Action": "*", "Resource": "*"})


@pytest.mark.parametrize(
    ("authority", "resource", "same_account", "decides", "allowed", "reason"),
    [
        (Authority((ALLOWS,)), None, True, False, True, ""),
        (Authority(), None, True, False, False, "because no identity-based policy allows the s3:GetObject action"),
        (Authority((ALLOWS, DENIES)), None, True, False, False, "with an explicit deny in an identity-based policy"),
        (Authority((ALLOWS,), SILENT), None, True, False, False, "because no permissions boundary allows"),
        (Authority((ALLOWS,), DENIES), None, True, False, False, "with an explicit deny in a permissions boundary"),
        (Authority((ALLOWS,), ()), None, True, False, False, "because no permissions boundary allows"),
        (Authority((ALLOWS,), session=(SILENT,)), None, True, False, False, "because no session policy allows"),
        (Authority((ALLOWS,), ALLOWS, (SILENT, ALLOWS)), None, True, False, True, ""),
        # the resource's policy, within one account
        (Authority(), speaking("Allow", ROLE), True, False, True, ""),
        (Authority((), SILENT), speaking("Allow", ROLE), True, False, False, "because no permissions boundary"),
        (Authority((), None, (SILENT,)), speaking("Allow", ROLE), True, False, False, "because no session policy"),
        (Authority((), SILENT, (SILENT,)), speaking("Allow", SESSION), True, False, True, ""),
        # IAM User Guide, "Policy evaluation for requests within a single account": a wildcard is limited by neither
        (Authority((), SILENT, (SILENT,)), speaking("Allow", "*"), True, False, True, ""),
        (Authority((), DENIES), speaking("Allow", "*"), True, False, False, "with an explicit deny in a permissions"),
        (Authority((ALLOWS,), SILENT), speaking("Allow", "*"), False, False, False, "because no permissions boundary"),
        # IAM User Guide, "NotPrincipal": a denial spares nobody who has a permissions boundary
        (Authority((ALLOWS,)), SPARING, True, False, True, ""),
        (Authority((ALLOWS,), ALLOWS), SPARING, True, False, False, "with an explicit deny in a resource-based policy"),
        (Authority(), speaking("Allow", ACCOUNT), True, False, False, "because no identity-based policy"),
        (Authority((ALLOWS,)), speaking("Deny", ACCOUNT), True, False, False, "with an explicit deny in a resource-"),
        (Authority((ALLOWS,)), speaking("Allow", OTHERS), True, False, True, ""),
        # across accounts both sides are needed
        (Authority((ALLOWS,)), speaking("Allow", ROLE), False, False, True, ""),
        (Authority((ALLOWS,)), speaking("Allow", ACCOUNT), False, False, True, ""),
        (Authority((ALLOWS,)), None, False, False, False, "because no resource-based policy"),
        (Authority(), speaking("Allow", SESSION), False, False, False, "because no identity-based policy"),
        (Authority((ALLOWS,), SILENT), speaking("Allow", ROLE), False, False, False, "because no permissions boundary"),
        # trust and key policies decide even within the account
        (Authority((ALLOWS,)), None, True, True, False, "because no resource-based policy"),
        (Authority((ALLOWS,)), speaking("Allow", ACCOUNT), True, True, True, ""),
        (Authority(), speaking("Allow", ACCOUNT), True, True, False, "because no identity-based policy"),
        (Authority(), speaking("Allow", ROLE), True, True, True, ""),
    ],
)
def test_all_policies_together_decide(
    *,
    authority: Authority,
    resource: policies.Policy | None,
    same_account: bool,
    decides: bool,
    allowed: bool,
    reason: str,
) -> None:
    """Explicit denies win; limits limit; the resource's policy grants within an account, and is needed across two."""
    findings = policies.find(authority, NAMES, OBJECT, (resource,) if resource else ())
    outcome = policies.decide(findings, OBJECT.action, same_account=same_account, resource_policy_decides=decides)
    assert outcome.allowed is allowed
    assert allowed or outcome.reason.startswith(reason)


# --- enforcement: every call ---------------------------------------------------------------------------------


@pytest.fixture
def accounts() -> Iterator[None]:
    """Three accounts with administrators, and authorization in force."""
    with mock_aws():
        authorization.install()
        for module in (iam, sts, eks, access_points, buckets):
            module.install()
        add_administrators()
        authorization.clear_decisions()
        yield
        authorization.uninstall()


def session_of(*statements: dict[str, Any], name: str = "worker", service: str = "iam", **request: Any) -> Any:
    """A client of a new role's session in the hub."""
    return session_client(service, assume(make_role(name, *statements, **request)))


pytestmark = pytest.mark.filterwarnings("error::UserWarning")


@pytest.mark.parametrize(
    ("service", "call", "request_", "code", "status", "asked"),
    [
        ("iam", "list_roles", {}, "AccessDenied", 403, ("iam:ListRoles", "*")),
        (
            "dynamodb",
            "get_item",
            {"TableName": "t", "Key": {"id": {"S": "1"}}},
            "AccessDeniedException",
            400,
            ("dynamodb:GetItem", f"arn:aws:dynamodb:{REGION}:{HUB}:table/t"),
        ),
        (
            "dynamodb",
            "query",
            {"TableName": "t", "IndexName": "by-team", "KeyConditionExpression": "id = :a"},
            "AccessDeniedException",
            400,
            ("dynamodb:Query", f"arn:aws:dynamodb:{REGION}:{HUB}:table/t/index/by-team"),
        ),
        (
            "lambda",
            "invoke",
            {"FunctionName": "f", "Qualifier": "live"},
            "AccessDeniedException",
            403,
            ("lambda:InvokeFunction", f"arn:aws:lambda:{REGION}:{HUB}:function:f:live"),
        ),
        (
            "lambda",
            "get_function",
            {"FunctionName": f"{HUB}:function:f"},
            "AccessDeniedException",
            403,
            ("lambda:GetFunction", f"arn:aws:lambda:{REGION}:{HUB}:function:f"),
        ),
        (
            "stepfunctions",
            "start_execution",
            {"stateMachineArn": f"arn:aws:states:{REGION}:{HUB}:stateMachine:m"},
            "AccessDeniedException",
            400,
            ("states:StartExecution", f"arn:aws:states:{REGION}:{HUB}:stateMachine:m"),
        ),
        (
            "sqs",
            "send_message_batch",
            {"QueueUrl": f"https://sqs.{REGION}.amazonaws.com/{HUB}/q", "Entries": [{"Id": "1", "MessageBody": "m"}]},
            "AccessDenied",
            403,
            ("sqs:SendMessage", f"arn:aws:sqs:{REGION}:{HUB}:q"),
        ),
        (
            "sns",
            "publish",
            {"TopicArn": f"arn:aws:sns:{REGION}:{HUB}:t", "Message": "m"},
            "AuthorizationError",
            403,
            ("sns:Publish", f"arn:aws:sns:{REGION}:{HUB}:t"),
        ),
        (
            "events",
            "put_targets",
            {"Rule": "r", "EventBusName": "b", "Targets": [{"Id": "1", "Arn": "arn:aws:sqs:us-west-2:1:q"}]},
            "AccessDeniedException",
            400,
            ("events:PutTargets", f"arn:aws:events:{REGION}:{HUB}:rule/b/r"),
        ),
        (
            "events",
            "put_events",
            {"Entries": [{"Source": "s"}]},
            "AccessDeniedException",
            400,
            ("events:PutEvents", f"arn:aws:events:{REGION}:{HUB}:event-bus/default"),
        ),
        (
            "scheduler",
            "get_schedule",
            {"Name": "n"},
            "AccessDeniedException",
            403,
            ("scheduler:GetSchedule", f"arn:aws:scheduler:{REGION}:{HUB}:schedule/default/n"),
        ),
        (
            "logs",
            "put_log_events",
            {"logGroupName": "/g", "logStreamName": "s", "logEvents": [{"timestamp": 1, "message": "m"}]},
            "AccessDeniedException",
            400,
            ("logs:PutLogEvents", f"arn:aws:logs:{REGION}:{HUB}:log-group:/g:log-stream:s"),
        ),
        (
            "logs",
            "create_log_group",
            {"logGroupName": "/g"},
            "AccessDeniedException",
            400,
            ("logs:CreateLogGroup", f"arn:aws:logs:{REGION}:{HUB}:log-group:/g:log-stream:"),
        ),
        ("cloudwatch", "put_metric_data", {"Namespace": "n", "MetricData": []}, "AccessDenied", 403, None),
        (
            "eks",
            "describe_access_entry",
            {"clusterName": "c", "principalArn": "arn:aws:iam::222222222222:role/team/vision"},
            "AccessDeniedException",
            403,
            ("eks:DescribeAccessEntry", f"arn:aws:eks:{REGION}:{HUB}:access-entry/c/role/222222222222/vision/*"),
        ),
        (
            "eks",
            "delete_pod_identity_association",
            {"clusterName": "c", "associationId": "a-1"},
            "AccessDeniedException",
            403,
            ("eks:DeletePodIdentityAssociation", f"arn:aws:eks:{REGION}:{HUB}:podidentityassociation/c/a-1"),
        ),
        (
            "sagemaker",
            "describe_cluster",
            {"ClusterName": "c0ffee"},
            "AccessDeniedException",
            400,
            ("sagemaker:DescribeCluster", f"arn:aws:sagemaker:{REGION}:{HUB}:cluster/c0ffee"),
        ),
        (
            "kms",
            "encrypt",
            {"KeyId": "1234", "Plaintext": b"p"},
            "AccessDeniedException",
            400,
            ("kms:Encrypt", f"arn:aws:kms:{REGION}:{HUB}:key/1234"),
        ),
        (
            "ssm",
            "get_parameters",
            {"Names": ["/a/b", "c"]},
            "AccessDeniedException",
            400,
            ("ssm:GetParameters", f"arn:aws:ssm:{REGION}:{HUB}:parameter/a/b"),
        ),
        ("organizations", "list_accounts", {}, "AccessDeniedException", 400, ("organizations:ListAccounts", "*")),
        ("ec2", "describe_vpcs", {}, "UnauthorizedOperation", 403, ("ec2:DescribeVpcs", "*")),
        ("resourcegroupstaggingapi", "get_resources", {}, "AccessDeniedException", None, ("tag:GetResources", "*")),
        (
            "cloudformation",
            "describe_stacks",
            {"StackName": "s"},
            "AccessDenied",
            403,
            ("cloudformation:DescribeStacks", f"arn:aws:cloudformation:{REGION}:{HUB}:stack/s/*"),
        ),
        (
            "s3control",
            "get_access_point_policy",
            {"AccountId": HUB, "Name": "data"},
            "AccessDenied",
            403,
            ("s3:GetAccessPointPolicy", f"arn:aws:s3:{REGION}:{HUB}:accesspoint/data"),
        ),
        ("s3", "get_object", {"Bucket": "b", "Key": "k"}, "AccessDenied", 403, ("s3:GetObject", "arn:aws:s3:::b/k")),
        ("s3", "list_buckets", {}, "AccessDenied", 403, ("s3:ListAllMyBuckets", "*")),
    ],
)
@pytest.mark.usefixtures("accounts")
def test_a_role_without_permissions_is_refused_in_the_services_own_words(
    *, service: str, call: str, request_: dict[str, Any], code: str, status: int | None, asked: tuple[str, str] | None
) -> None:
    """The refusal names session, action and resource, with the code and status of the service's protocol."""
    client_ = session_client(service, assume(make_role("nobody")))
    message = refused(getattr(client_, call), code, status, **request_)
    decision = authorization.decisions()[-1]
    assert asked in (None, (decision.action, decision.resource))
    assert message.startswith(f"User: arn:aws:sts::{HUB}:assumed-role/nobody/test is not authorized to perform:")
    assert message.endswith(f"because no identity-based policy allows the {decision.action} action")
    assert (decision.principal, decision.allowed) == (f"arn:aws:iam::{HUB}:role/nobody", False)


@pytest.mark.usefixtures("accounts")
def test_what_a_policy_allows_is_done_and_recorded() -> None:
    """An allowed call runs, and the log says who used which permission on what."""
    worker = session_of(allow("iam:ListRoles"))
    assert {role["RoleName"] for role in worker.list_roles()["Roles"]} == {"worker"}
    decision = authorization.decisions()[-1]
    assert (decision.principal, decision.action, decision.resource, decision.allowed) == (
        f"arn:aws:iam::{HUB}:role/worker",
        "iam:ListRoles",
        "*",
        True,
    )


@pytest.mark.usefixtures("accounts")
def test_an_unknown_access_key_is_refused() -> None:
    """Each protocol has its own code for a key that nobody has."""
    stranger = {"AccessKeyId": "AKIAQQQQQQQQQQQQQQQQ", "SecretAccessKey": "x"}
    refused(session_client("iam", stranger).list_roles, "InvalidClientTokenId", 403)
    refused(session_client("dynamodb", stranger).list_tables, "UnrecognizedClientException", 400)
    refused(session_client("s3", stranger).list_buckets, "InvalidAccessKeyId", 403)


@pytest.mark.usefixtures("accounts")
def test_a_session_needs_its_own_token() -> None:
    """The access key of a session without its token, or with another one, proves nothing."""
    credentials = assume(make_role("worker", allow("*")))
    forged = {**credentials, "SessionToken": "forged"}
    refused(session_client("iam", forged).list_roles, "InvalidClientTokenId", 403)
    refused(session_client("s3", forged).list_buckets, "InvalidToken", 400)


@pytest.mark.usefixtures("accounts")
def test_an_inactive_key_is_no_key() -> None:
    """UpdateAccessKey takes effect at once."""
    admin = client("iam")
    admin.create_user(UserName="ann")
    key = admin.create_access_key(UserName="ann")["AccessKey"]
    refused(session_client("iam", key).list_roles, "AccessDenied")
    admin.update_access_key(UserName="ann", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    refused(session_client("iam", key).list_roles, "InvalidClientTokenId")


@pytest.mark.usefixtures("accounts")
def test_a_user_has_what_its_groups_have() -> None:
    """Policies of a user's groups count as the user's own, ${aws:username} as its name."""
    admin = client("iam")
    admin.create_user(UserName="ann")
    admin.create_group(GroupName="people")
    own = allow("iam:GetUser", f"arn:aws:iam::{HUB}:user/${{aws:username}}")
    admin.put_group_policy(GroupName="people", PolicyName="p", PolicyDocument=policy(own))
    ann = session_client("iam", admin.create_access_key(UserName="ann")["AccessKey"])
    refused(ann.get_user, "AccessDenied", UserName="ann")
    admin.add_user_to_group(GroupName="people", UserName="ann")
    assert ann.get_user()["User"]["UserName"] == "ann"
    refused(ann.get_user, "AccessDenied", UserName="admin")


@pytest.mark.usefixtures("accounts")
def test_a_permissions_boundary_limits_a_role() -> None:
    """What the boundary does not allow is refused, whatever the role's policies say."""
    boundary = client("iam").create_policy(PolicyName="b", PolicyDocument=policy(allow("iam:GetRole")))
    worker = session_of(allow("iam:*"), PermissionsBoundary=boundary["Policy"]["Arn"])
    assert worker.get_role(RoleName="worker")["Role"]["RoleName"] == "worker"
    refused(worker.list_roles, "AccessDenied", match="because no permissions boundary allows the iam:ListRoles action")


@pytest.mark.usefixtures("accounts")
def test_an_administrator_is_limited_by_an_explicit_deny() -> None:
    """The message of an explicit deny names the kind of policy that denies."""
    worker = session_of(allow("*"), {"Effect": "Deny", "Action": "iam:List*", "Resource": "*"})
    refused(worker.list_roles, "AccessDenied", match="with an explicit deny in an identity-based policy")


@pytest.mark.parametrize("present", [True, False])
@pytest.mark.usefixtures("accounts")
def test_iam_refuses_a_role_by_its_name_whatever_its_path(*, present: bool) -> None:
    """A refusal says ``role NAME``, with or without such a role, so that nothing follows from it; creation has an ARN.

    As seen on AWS, of roles with a path: org-formation/aws-resource-providers#66, fivexl/terraform-aws-sso-elevator#21;
    with an explicit deny: terraform-aws-modules/terraform-aws-eks#2517.
    """
    if present:
        make_role("r", Path="/podshare/")
    denied = {"Effect": "Deny", "Action": "iam:DeleteRole", "Resource": "*"}
    worker = session_of(allow("iam:*", f"arn:aws:iam::{HUB}:role/other/*"), denied)
    message = refused(worker.list_role_policies, "AccessDenied", 403, RoleName="r")
    assert message.endswith(
        "iam:ListRolePolicies on resource: role r "
        "because no identity-based policy allows the iam:ListRolePolicies action"
    )
    message = refused(worker.delete_role, "AccessDenied", 403, RoleName="r")
    assert message.endswith("on resource: role r with an explicit deny in an identity-based policy")
    request: dict[str, Any] = {"RoleName": "made", "AssumeRolePolicyDocument": trusting({"AWS": HUB})}
    refused(
        worker.create_role, "AccessDenied", 403, f"arn:aws:iam::{HUB}:role/podshare/made", Path="/podshare/", **request
    )


@pytest.mark.usefixtures("accounts")
def test_creating_roles_can_be_bound_to_path_and_boundary() -> None:
    """iam:PermissionsBoundary is the requested boundary on creation and the present one afterwards."""
    admin = client("iam")
    boundary = admin.create_policy(PolicyName="b", PolicyDocument=policy(allow("*")))["Policy"]["Arn"]
    bound = {"StringEquals": {"iam:PermissionsBoundary": boundary}}
    worker = session_of(
        allow(["iam:CreateRole", "iam:PutRolePolicy"], f"arn:aws:iam::{HUB}:role/podshare/*", Condition=bound)
    )
    request: dict[str, Any] = {"RoleName": "r", "AssumeRolePolicyDocument": trusting({"AWS": HUB})}
    refused(worker.create_role, "AccessDenied", Path="/podshare/", **request)
    refused(worker.create_role, "AccessDenied", PermissionsBoundary=boundary, **request)
    worker.create_role(Path="/podshare/", PermissionsBoundary=boundary, **request)
    document = policy(allow("s3:*"))
    worker.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=document)
    admin.delete_role_permissions_boundary(RoleName="r")
    refused(worker.put_role_policy, "AccessDenied", RoleName="r", PolicyName="p", PolicyDocument=document)


@pytest.mark.usefixtures("accounts")
def test_tags_on_creation_need_leave_to_tag() -> None:
    """CreateRole with tags needs iam:TagRole too, and aws:RequestTag and aws:TagKeys see the tags."""
    worker = session_of(
        allow("iam:CreateRole", Condition={"StringEquals": {"aws:RequestTag/team": "vision"}}),
        allow("iam:TagRole", Condition={"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}),
    )
    request: dict[str, Any] = {"RoleName": "r", "AssumeRolePolicyDocument": trusting({"AWS": HUB})}
    refused(worker.create_role, "AccessDenied", match="iam:CreateRole", **request)
    two = [{"Key": "team", "Value": "vision"}, {"Key": "other", "Value": "x"}]
    refused(worker.create_role, "AccessDenied", match="iam:TagRole", Tags=two, **request)
    assert worker.create_role(Tags=two[:1], **request)["Role"]["Tags"] == two[:1]


@pytest.mark.usefixtures("accounts")
def test_resource_tags_are_seen() -> None:
    """aws:ResourceTag and iam:ResourceTag hold the tags of the role in question."""
    worker = session_of(
        allow("iam:GetRole", Condition={"StringEquals": {"aws:ResourceTag/podshare:team": "vision"}}),
        allow("iam:ListRolePolicies", Condition={"StringEquals": {"iam:ResourceTag/podshare:team": "vision"}}),
    )
    make_role("tagged", Tags=[{"Key": "podshare:team", "Value": "vision"}])
    make_role("untagged")
    assert worker.get_role(RoleName="tagged")["Role"]["RoleName"] == "tagged"
    assert worker.list_role_policies(RoleName="tagged")["PolicyNames"] == []
    refused(worker.get_role, "AccessDenied", RoleName="untagged")


@pytest.mark.parametrize("passed", [True, False])
@pytest.mark.usefixtures("accounts")
def test_handing_a_role_to_a_service_needs_pass_role(passed: bool) -> None:
    """Whoever gives a service a role needs iam:PassRole on it for that service."""
    service = "states.amazonaws.com" if passed else "lambda.amazonaws.com"
    target = make_role("machine", trust=trusting({"Service": "states.amazonaws.com"}))
    pass_role = allow("iam:PassRole", target, Condition={"StringEquals": {"iam:PassedToService": service}})
    worker = session_of(allow("states:*"), pass_role, service="stepfunctions")
    definition = json.dumps({"StartAt": "S", "States": {"S": {"Type": "Succeed"}}})
    request: dict[str, Any] = {"name": "m", "definition": definition, "roleArn": target}
    if passed:
        assert worker.create_state_machine(**request)["stateMachineArn"].endswith(":m")
    else:
        message = f"iam:PassRole on resource: {target}"
        refused(worker.create_state_machine, "AccessDeniedException", match=message, **request)


@pytest.mark.usefixtures("accounts")
def test_leading_keys_confine_a_role_to_its_items() -> None:
    """dynamodb:LeadingKeys are the partition keys of the items in question, in single calls and in transactions."""
    client("dynamodb").create_table(
        TableName="t",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    own = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["team#*"]}}
    worker = session_of(
        allow(["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"], Condition=own), service="dynamodb"
    )
    worker.put_item(TableName="t", Item={"id": {"S": "team#a"}})
    refused(worker.put_item, "AccessDeniedException", TableName="t", Item={"id": {"S": "dataset#a"}})
    query: dict[str, Any] = {"TableName": "t", "KeyConditionExpression": "id = :id"}
    assert worker.query(**query, ExpressionAttributeValues={":id": {"S": "team#a"}})["Count"] == 1
    refused(worker.query, "AccessDeniedException", **query, ExpressionAttributeValues={":id": {"S": "cluster#a"}})
    items = [{"Put": {"TableName": "t", "Item": {"id": {"S": one}}}} for one in ("team#b", "cluster#b")]
    worker.transact_write_items(TransactItems=items[:1])
    refused(worker.transact_write_items, "AccessDeniedException", match="dynamodb:PutItem", TransactItems=items)


POD_ROLE = f"arn:aws:iam::{HUB}:role/podshare/pod"
TAG = {"podshare:team": "vision"}
TAGS = [{"Key": "podshare:team", "Value": "vision"}]
HYPERPOD = f"arn:aws:sagemaker:{REGION}:{HUB}:cluster/abcdefghijkl"


@pytest.mark.usefixtures("accounts")
@pytest.mark.parametrize(
    ("service", "operation", "parameters", "asked"),
    [
        (
            "sagemaker",
            "CreateComputeQuota",
            {"ClusterArn": HYPERPOD, "Name": "vision", "Tags": TAGS},
            [
                ("sagemaker:CreateComputeQuota", HYPERPOD),
                ("sagemaker:CreateComputeQuota", f"arn:aws:sagemaker:{REGION}:{HUB}:compute-quota/*"),
                ("sagemaker:AddTags", f"arn:aws:sagemaker:{REGION}:{HUB}:compute-quota/*"),
            ],
        ),
        (
            "sagemaker",
            "UpdateComputeQuota",
            {"ComputeQuotaId": "q1", "TargetVersion": 1},
            [("sagemaker:UpdateComputeQuota", f"arn:aws:sagemaker:{REGION}:{HUB}:compute-quota/q1")],
        ),
        ("sagemaker", "ListComputeQuotas", {}, [("sagemaker:ListComputeQuotas", "*")]),
        (
            "eks",
            "CreateAccessEntry",
            {"clusterName": "c", "principalArn": POD_ROLE, "tags": TAG},
            [
                ("eks:CreateAccessEntry", f"arn:aws:eks:{REGION}:{HUB}:cluster/c"),
                ("eks:TagResource", f"arn:aws:eks:{REGION}:{HUB}:access-entry/c/role/{HUB}/pod/*"),
                ("eks:TagResource", f"arn:aws:eks:{REGION}:{HUB}:cluster/c"),
                ("eks:TagResource", f"arn:aws:eks:{REGION}:{HUB}:/createaccessentry"),
            ],
        ),
        (
            "eks",
            "CreatePodIdentityAssociation",
            {
                "clusterName": "c",
                "namespace": "n",
                "serviceAccount": "s",
                "roleArn": POD_ROLE,
                "targetRoleArn": f"arn:aws:iam::{DATA}:role/target",
                "tags": TAG,
            },
            [
                ("eks:CreatePodIdentityAssociation", f"arn:aws:eks:{REGION}:{HUB}:cluster/c"),
                ("eks:TagResource", f"arn:aws:eks:{REGION}:{HUB}:podidentityassociation/c/*"),
                ("eks:TagResource", f"arn:aws:eks:{REGION}:{HUB}:cluster/c"),
                ("eks:TagResource", f"arn:aws:eks:{REGION}:{HUB}:/createpodidentityassociation"),
                ("iam:PassRole", POD_ROLE),
            ],
        ),
        (
            "eks-auth",
            "AssumeRoleForPodIdentity",
            {"clusterName": "c", "token": "t"},
            [("eks-auth:AssumeRoleForPodIdentity", f"arn:aws:eks:{REGION}:{HUB}:cluster/c")],
        ),
        (
            "s3control",
            "CreateAccessPoint",
            {"AccountId": HUB, "Name": "ap", "Bucket": "b", "Tags": TAGS},
            [
                ("s3:CreateAccessPoint", f"arn:aws:s3:{REGION}:{HUB}:accesspoint/ap"),
                ("s3:TagResource", f"arn:aws:s3:{REGION}:{HUB}:accesspoint/ap"),
            ],
        ),
        ("s3control", "GetAccessPoint", {"AccountId": HUB, "Name": "ap"}, [("s3:GetAccessPoint", "*")]),
        (
            "s3control",
            "PutPublicAccessBlock",
            {"AccountId": HUB},
            [("s3:PutAccountPublicAccessBlock", "*")],
        ),
        (
            "dynamodb",
            "BatchGetItem",
            {"RequestItems": {"a": {"Keys": []}, "b": {"Keys": []}}},
            [("dynamodb:BatchGetItem", f"arn:aws:dynamodb:{REGION}:{HUB}:table/{name}") for name in "ab"],
        ),
        (
            "dynamodbstreams",
            "GetRecords",
            {"ShardIterator": f"arn:aws:dynamodb:{REGION}:{HUB}:table/t/stream/2026|1|x"},
            [("dynamodb:GetRecords", f"arn:aws:dynamodb:{REGION}:{HUB}:table/t/stream/2026")],
        ),
        (
            "iam",
            "CreatePolicy",
            {"PolicyName": "p", "Path": "/podshare/", "Tags": TAGS},
            [
                ("iam:CreatePolicy", f"arn:aws:iam::{HUB}:policy/podshare/p"),
                ("iam:TagPolicy", f"arn:aws:iam::{HUB}:policy/podshare/p"),
            ],
        ),
        (
            "iam",
            "AttachRolePolicy",
            {"RoleName": "r", "PolicyArn": "arn:aws:iam::aws:policy/IAMReadOnlyAccess"},
            [("iam:AttachRolePolicy", f"arn:aws:iam::{HUB}:role/r")],
        ),
        (
            "iam",
            "GetPolicy",
            {"PolicyArn": "arn:aws:iam::aws:policy/IAMReadOnlyAccess"},
            [("iam:GetPolicy", "arn:aws:iam::aws:policy/IAMReadOnlyAccess")],
        ),
        (
            "sqs",
            "CreateQueue",
            {"QueueName": "q", "tags": TAG},
            [("sqs:CreateQueue", f"arn:aws:sqs:{REGION}:{HUB}:q"), ("sqs:TagQueue", f"arn:aws:sqs:{REGION}:{HUB}:q")],
        ),
        (
            "lambda",
            "CreateFunction",
            {"FunctionName": "f", "Role": POD_ROLE, "Tags": TAG},
            [
                ("lambda:CreateFunction", f"arn:aws:lambda:{REGION}:{HUB}:function:f"),
                ("lambda:TagResource", f"arn:aws:lambda:{REGION}:{HUB}:function:f"),
                ("iam:PassRole", POD_ROLE),
            ],
        ),
        (
            "events",
            "PutTargets",
            {"Rule": "r", "Targets": [{"Id": "1", "Arn": "arn:aws:sqs:::q", "RoleArn": POD_ROLE}]},
            [("events:PutTargets", f"arn:aws:events:{REGION}:{HUB}:rule/r"), ("iam:PassRole", POD_ROLE)],
        ),
        (
            "scheduler",
            "CreateSchedule",
            {"Name": "s", "GroupName": "g", "Target": {"Arn": "arn:aws:lambda:::f", "RoleArn": POD_ROLE}},
            [
                ("scheduler:CreateSchedule", f"arn:aws:scheduler:{REGION}:{HUB}:schedule/g/s"),
                ("iam:PassRole", POD_ROLE),
            ],
        ),
        (
            "stepfunctions",
            "StopExecution",
            {"executionArn": f"arn:aws:states:{REGION}:{HUB}:execution:m:e"},
            [("states:StopExecution", f"arn:aws:states:{REGION}:{HUB}:execution:m:e")],
        ),
        ("stepfunctions", "SendTaskSuccess", {"taskToken": "t", "output": "{}"}, [("states:SendTaskSuccess", "*")]),
        (
            "ssm",
            "StartSession",
            {"Target": "i-1"},
            [
                ("ssm:StartSession", f"arn:aws:ssm:{REGION}:{HUB}:document/SSM-SessionManagerRunShell"),
                ("ssm:StartSession", f"arn:aws:ec2:{REGION}:{HUB}:instance/i-1"),
                ("ssm:StartSession", f"arn:aws:ssm:{REGION}:{HUB}:managed-instance/i-1"),
            ],
        ),
        (
            "cloudwatch",
            "PutMetricAlarm",
            {"AlarmName": "a", "Tags": TAGS},
            [
                ("cloudwatch:PutMetricAlarm", f"arn:aws:cloudwatch:{REGION}:{HUB}:alarm:a"),
                ("cloudwatch:TagResource", f"arn:aws:cloudwatch:{REGION}:{HUB}:alarm:a"),
            ],
        ),
        (
            "logs",
            "CreateLogGroup",
            {"logGroupName": "/g", "tags": TAG},
            [
                ("logs:CreateLogGroup", f"arn:aws:logs:{REGION}:{HUB}:log-group:/g:log-stream:"),
                ("logs:TagResource", f"arn:aws:logs:{REGION}:{HUB}:log-group:/g"),
            ],
        ),
        ("sts", "GetCallerIdentity", {}, []),
        (
            "sts",
            "AssumeRole",
            {"RoleArn": POD_ROLE, "RoleSessionName": "s", "Tags": TAGS, "SourceIdentity": "ann"},
            [("sts:AssumeRole", POD_ROLE), ("sts:TagSession", POD_ROLE), ("sts:SetSourceIdentity", POD_ROLE)],
        ),
    ],
)
def test_a_call_needs_every_action_on_every_resource(
    service: str, operation: str, parameters: dict[str, Any], asked: list[tuple[str, str]]
) -> None:
    """Tags, passed roles, several tables or resources: each is a permission of its own."""
    caller = authorization.identify(assume(make_role("worker"))["AccessKeyId"])
    checks = actions.checks(Call(service, operation, parameters, REGION, caller))
    assert [(check.action, check.resource) for check in checks] == asked


@pytest.mark.usefixtures("accounts")
def test_a_call_without_a_required_parameter_is_invalid() -> None:
    """Where the resource is not even named, AWS's validation speaks first."""
    refused(client("dynamodb").get_item, "ValidationException", 400, "'TableName'", Key={"id": {"S": "1"}})


@pytest.mark.usefixtures("accounts")
def test_an_operation_without_a_known_permission_is_refused_loudly() -> None:
    """What cannot be mapped to an action and its resources raises instead of passing."""
    with pytest.raises(NotImplementedError, match="dynamodb:ExecuteStatement"):
        client("dynamodb").execute_statement(Statement="SELECT * FROM t")


@pytest.mark.usefixtures("accounts")
def test_no_header_names_the_account() -> None:
    """A request works in the account of its access key, whatever moto's own header says."""
    caller = client("iam", SCIENTIST)
    caller.meta.events.register(
        "before-sign", lambda request, **_: request.headers.add_header("x-moto-account-id", HUB)
    )
    assert caller.create_user(UserName="visitor")["User"]["Arn"] == f"arn:aws:iam::{SCIENTIST}:user/visitor"


@pytest.mark.usefixtures("accounts")
def test_the_organization_of_the_principal_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """aws:PrincipalOrgID is the organization of the caller's account, absent outside of any."""
    arn = make_role(
        "guarded",
        trust=trusting({"AWS": SCIENTIST}, Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}}),
    )
    refused(client("sts", SCIENTIST).assume_role, "AccessDenied", RoleArn=arn, RoleSessionName="s2")
    monkeypatch.setattr("podshare_sandbox.authorization.accounts.path_of", {SCIENTIST: "o-1/r-1/"}.get)
    assert chain(client("sts", SCIENTIST), arn)["AccessKeyId"]


# --- global condition keys (IAM User Guide, "AWS global condition context keys") ------------------------------


@pytest.mark.parametrize(
    ("condition", "allowed"),
    [
        ({"Bool": {"aws:ViaAWSService": "false"}}, True),
        ({"Null": {"aws:ViaAWSService": "true"}}, False),
        ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, True),
        ({"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}, False),
        ({"StringLike": {"aws:UserAgent": "Boto3/*"}}, True),
        ({"StringLike": {"aws:UserAgent": "curl/*"}}, False),
        ({"Bool": {"aws:MultiFactorAuthPresent": "false"}}, True),
        ({"BoolIfExists": {"aws:MultiFactorAuthPresent": "true"}}, False),
        ({"Null": {"aws:MultiFactorAuthAge": "true"}}, True),
        ({"StringEquals": {"aws:RequestedRegion": "us-east-1"}}, True),  # "IAM calls are always made to us-east-1"
    ],
)
@pytest.mark.usefixtures("accounts")
def test_a_sessions_request_tells_where_it_comes_from(condition: dict[str, Any], allowed: bool) -> None:
    """A client's own request: not by a service, from its address, with its user agent, without MFA."""
    worker = session_of(allow("iam:ListRoles", Condition=condition))
    if allowed:
        assert worker.list_roles()["Roles"]
    else:
        refused(worker.list_roles, "AccessDenied")


@pytest.mark.usefixtures("accounts")
def test_long_term_credentials_say_nothing_of_mfa() -> None:
    """ "The key is not present in … requests that are made using long-term credentials"."""
    admin = client("iam")
    admin.create_user(UserName="ann")
    without = allow("iam:ListRoles", Condition={"Null": {"aws:MultiFactorAuthPresent": "true"}})
    admin.put_user_policy(UserName="ann", PolicyName="own", PolicyDocument=policy(without))
    ann = session_client("iam", admin.create_access_key(UserName="ann")["AccessKey"])
    assert "Roles" in ann.list_roles()


@pytest.mark.parametrize(("via", "allowed"), [("true", True), ("false", False)])
@pytest.mark.usefixtures("accounts")
def test_s3_asks_kms_in_the_callers_name(*, via: str, allowed: bool) -> None:
    """A forward access session: aws:ViaAWSService is true, and neither address nor user agent is the caller's."""
    s3, kms = client("s3"), client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    s3.create_bucket(Bucket="encrypted", CreateBucketConfiguration={"LocationConstraint": REGION})
    condition = {
        "Bool": {"aws:ViaAWSService": via},
        "NotIpAddress": {"aws:SourceIp": "127.0.0.1/32"},
        "StringNotLike": {"aws:UserAgent": "Boto3/*"},
    }
    worker = session_of(allow("s3:PutObject"), allow("kms:GenerateDataKey", Condition=condition), service="s3")
    put = {"Bucket": "encrypted", "Key": "k", "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    if allowed:
        assert worker.put_object(**put)["ETag"]
    else:
        refused(worker.put_object, "AccessDenied", match="kms:GenerateDataKey", **put)


def locked_object() -> tuple[Any, dict[str, str]]:
    """An administrator's S3, and the version of an object that governance mode retains for a day."""
    s3 = client("s3")
    where = {"CreateBucketConfiguration": {"LocationConstraint": REGION}}
    s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True, **where)
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    lock = {"ObjectLockEnabled": "Enabled", "Rule": rule}
    s3.put_object_lock_configuration(Bucket="locked", ObjectLockConfiguration=lock)
    version = s3.put_object(Bucket="locked", Key="k", Body=b"kept")["VersionId"]
    return s3, {"Bucket": "locked", "Key": "k", "VersionId": version}


@pytest.mark.usefixtures("accounts")
def test_a_retained_version_is_not_deleted() -> None:
    """ "S3 Object Lock prevents … deletion": AccessDenied for whoever may delete; a delete marker hides it, no more.

    S3 User Guide, "Locking objects with Object Lock" and "Managing delete markers".
    """
    s3, version = locked_object()
    refused(s3.delete_object, "AccessDenied", **version)
    assert s3.delete_objects(Bucket="locked", Delete={"Objects": [{"Key": "k", "VersionId": version["VersionId"]}]})[
        "Errors"
    ]
    s3.delete_object(Bucket="locked", Key="k")
    assert s3.get_object(**version)["Body"].read() == b"kept"
    suspended = {"VersioningConfiguration": {"Status": "Suspended"}}
    refused(s3.put_bucket_versioning, "InvalidBucketState", Bucket="locked", **suspended)


@pytest.mark.usefixtures("accounts")
def test_the_default_retention_changes_and_goes_while_there_are_objects() -> None:
    """It is for new objects; those that are there stay retained (S3 User Guide, "Locking objects with Object Lock")."""
    s3, version = locked_object()
    for days in (7, None):
        rule = {"Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": days}}} if days else {}
        lock: dict[str, Any] = {"ObjectLockEnabled": "Enabled", **rule}
        s3.put_object_lock_configuration(Bucket="locked", ObjectLockConfiguration=lock)
        kept = s3.get_object_lock_configuration(Bucket="locked")["ObjectLockConfiguration"]
        assert kept.get("Rule", {}).get("DefaultRetention", {}).get("Days") == days
    refused(s3.delete_object, "AccessDenied", **version)


@pytest.mark.usefixtures("accounts")
def test_governance_is_bypassed_by_header_and_permission_together() -> None:
    """ "To use this header, you must have the s3:BypassGovernanceRetention permission" (API reference, DeleteObject)."""
    s3, version = locked_object()
    may = allow("s3:DeleteObjectVersion", "arn:aws:s3:::locked/*")
    without = session_of(may, service="s3")
    refused(without.delete_object, "AccessDenied", match="BypassGovernance", **version, BypassGovernanceRetention=True)
    refused(s3.delete_object, "AccessDenied", **version, BypassGovernanceRetention=False)
    s3.delete_object(**version, BypassGovernanceRetention=True)
    refused(s3.get_object, "NoSuchVersion", **version)


@pytest.mark.usefixtures("accounts")
def test_tables_and_workgroups_are_decided_by_their_arns() -> None:
    """A table needs leave for itself, its database and the catalog; a workgroup for itself."""
    catalog = [f"arn:aws:glue:{REGION}:{HUB}:{one}" for one in ("catalog", "database/a", "table/a/b")]
    worker = session_of(allow("glue:*", catalog), service="glue")
    worker.create_database(DatabaseInput={"Name": "a"})
    worker.create_table(DatabaseName="a", TableInput={"Name": "b"})
    assert worker.get_table(DatabaseName="a", Name="b")["Table"]["Name"] == "b"
    refused(worker.create_table, "AccessDeniedException", DatabaseName="a", TableInput={"Name": "c"})
    refused(worker.create_database, "AccessDeniedException", DatabaseInput={"Name": "c"})
    arn = f"arn:aws:athena:{REGION}:{HUB}:workgroup/a"
    athena = session_of(allow("athena:*", arn), name="asker", service="athena")
    athena.create_work_group(Name="a")
    refused(athena.create_work_group, "AccessDeniedException", Name="b")


@pytest.mark.usefixtures("accounts")
def test_cloudformation_acts_on_the_callers_behalf(tmp_path: Path) -> None:
    """aws:ViaAWSService and aws:CalledVia tell a stack's requests from its caller's own ("Forward access sessions")."""
    via = {
        "Bool": {"aws:ViaAWSService": "true"},
        "ForAnyValue:StringEquals": {"aws:CalledVia": "cloudformation.amazonaws.com"},
        "StringEquals": {"aws:CalledViaLast": "cloudformation.amazonaws.com"},
    }
    keys = assume(make_role("deployer", allow("sqs:*", Condition=via)))

    def client_of(service: str) -> Any:
        return session_client(service, keys)

    path = tmp_path / "template.yaml"
    path.write_text("Resources: {Queue: {Type: AWS::SQS::Queue, Properties: {QueueName: q}}}")
    refused(client_of("sqs").create_queue, "AccessDenied", QueueName="q")
    stack = Stack("demo", HUB, REGION, client=client_of, register_code={}.__setitem__)
    stack.deploy(path)
    assert client("sqs").list_queues()["QueueUrls"]
    stack.delete()
    refused(client_of("sqs").create_queue, "AccessDenied", QueueName="q")


@pytest.mark.usefixtures("accounts")
def test_a_request_from_a_vpc_shows_no_public_address() -> None:
    """ "aws:SourceIp … except when the requester uses a VPC endpoint"; then aws:SourceVpc is there."""
    worker = session_of(
        allow("s3:ListAllMyBuckets", Condition={"Null": {"aws:SourceIp": "true", "aws:SourceVpc": "false"}}),
        service="s3",
    )
    refused(worker.list_buckets, "AccessDenied")
    with access_points.from_vpc("vpc-0a1b2c3d"):
        assert worker.list_buckets()["Buckets"] == []


@pytest.mark.parametrize(
    ("condition", "admitted"),
    [
        ({"StringEquals": {"aws:RequestedRegion": REGION}}, True),
        ({"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}, False),
        ({"StringEquals": {"aws:ResourceAccount": HUB}}, True),
        ({"StringEquals": {"aws:ResourceOrgID": "o-1"}}, True),
        ({"StringEquals": {"aws:SourceOrgID": "o-1"}}, True),
        ({"Bool": {"aws:ViaAWSService": "false"}}, True),
        ({"Bool": {"aws:PrincipalIsAWSService": "true"}}, True),
        ({"StringEquals": {"aws:UserAgent": "events.amazonaws.com"}}, True),
        ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, False),
        ({"Null": {"aws:PrincipalOrgID": "true", "aws:MultiFactorAuthPresent": "true"}}, True),
    ],
)
@pytest.mark.usefixtures("accounts")
def test_a_services_request_tells_of_its_resource(
    condition: dict[str, Any], admitted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Region and organization of the resource are told with a service's own request, and for a role's trust."""
    monkeypatch.setattr("podshare_sandbox.authorization.accounts.path_of", {HUB: "o-1/r-1/"}.get)
    queue = f"arn:aws:sqs:{REGION}:{HUB}:q"
    statement = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Condition": condition}
    opened = policy({**statement, "Action": "sqs:SendMessage", "Resource": queue})
    role = make_role("target", trust=policy({**statement, "Action": "sts:AssumeRole"}))

    def ask() -> None:
        source = {"source_arn": RULE, "source_account": HUB}
        authorization.check_service_call("events.amazonaws.com", "sqs:SendMessage", queue, opened, **source)
        authorization.assume_as_service(role, "events.amazonaws.com", session_name="rule", **source)

    if admitted:
        ask()
    else:
        with pytest.raises(authorization.AccessDenied):
            ask()


@pytest.mark.parametrize(
    ("pattern", "allowed"),
    [
        ({"source": ["aws.ec2"]}, True),
        ({"source": ["aws.ec2", "aws.ecs"]}, False),
        ({"source": ["aws.s3"]}, False),
        ({"detail-type": ["T"]}, False),
        ({"source": [{"prefix": "aws."}]}, False),
    ],
)
@pytest.mark.usefixtures("accounts")
def test_rules_are_confined_by_the_sources_of_their_pattern(*, pattern: dict[str, Any], allowed: bool) -> None:
    """events:source of PutRule holds what the pattern asks for ("Using IAM policy conditions in Amazon EventBridge")."""
    either = {"StringEquals": {"events:source": ["aws.ec2", "aws.ecs"]}}
    worker = session_of(allow("events:PutRule", Condition=either), service="events")
    if allowed:
        assert worker.put_rule(Name="r", EventPattern=json.dumps(pattern))["RuleArn"]
    else:
        refused(worker.put_rule, "AccessDeniedException", Name="r", EventPattern=json.dumps(pattern))


@pytest.mark.parametrize(
    ("operator", "sources", "allowed"),
    [
        ("ForAllValues:StringEquals", ["mine", "mine"], True),
        ("ForAllValues:StringEquals", ["mine", "yours"], False),
        ("StringEquals", ["mine"], True),
        ("StringEquals", ["mine", "mine"], False),
    ],
)
@pytest.mark.usefixtures("accounts")
def test_put_events_tells_a_source_for_each_entry(operator: str, sources: list[str], allowed: bool) -> None:
    """events:source is an ArrayOfString (Service Authorization Reference), which needs a set operator."""
    own = {operator: {"events:source": "mine"}, "Null": {"events:source": "false"}}
    worker = session_of(allow("events:PutEvents", Condition=own), service="events")
    entries = [{"Source": source, "DetailType": "T", "Detail": "{}"} for source in sources]
    if allowed:
        assert worker.put_events(Entries=entries)["FailedEntryCount"] == 0
    else:
        refused(worker.put_events, "AccessDeniedException", Entries=entries)


# --- EKS ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("accounts")
def test_access_policies_can_be_confined_to_namespaces() -> None:
    """eks:policyArn, eks:accessScope and eks:namespaces see what AssociateAccessPolicy asks for."""
    role = make_role("control-plane", trust=trusting({"Service": "eks.amazonaws.com"}))
    client("eks").create_cluster(
        name="c",
        roleArn=role,
        resourcesVpcConfig={"subnetIds": ["subnet-0a1b2c3d4e5f60001", "subnet-0a1b2c3d4e5f60002"]},
        accessConfig={"authenticationMode": "API"},
    )
    scoped = {
        "StringEquals": {"eks:accessScope": "namespace"},
        "ForAllValues:StringLike": {"eks:namespaces": ["hyperpod-ns-*"]},
    }
    entries = f"arn:aws:eks:{REGION}:{HUB}:access-entry/c/role/{HUB}/*"
    worker = session_of(
        allow("eks:CreateAccessEntry", Condition={"ArnLike": {"eks:principalArn": f"arn:aws:iam::{HUB}:role/*"}}),
        allow("eks:AssociateAccessPolicy", entries, Condition=scoped),
        service="eks",
    )
    worker.create_access_entry(clusterName="c", principalArn=role)
    refused(
        worker.create_access_entry,
        "AccessDeniedException",
        clusterName="c",
        principalArn=f"arn:aws:iam::{SCIENTIST}:role/x",
    )
    request: dict[str, Any] = {
        "clusterName": "c",
        "principalArn": role,
        "policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy",
    }
    own = {"type": "namespace", "namespaces": ["hyperpod-ns-vision"]}
    assert worker.associate_access_policy(**request, accessScope=own)["associatedAccessPolicy"]["accessScope"] == own
    for scope in ({"type": "cluster"}, {"type": "namespace", "namespaces": ["hyperpod-ns-vision", "kube-system"]}):
        refused(worker.associate_access_policy, "AccessDeniedException", **request, accessScope=scope)


# --- S3 -------------------------------------------------------------------------------------------------------

BUCKET = "images-333333333333"


@pytest.fixture
def bucket(accounts: None) -> Any:  # noqa: ARG001  # a fixture gets what it stands on as an argument
    """The data account's client of S3, with a bucket of three objects."""
    s3 = client("s3", DATA)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    for key in ("train/1", "train/2", "private/1"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    return s3


@pytest.mark.usefixtures("bucket")
def test_reading_needs_the_objects_and_the_prefix() -> None:
    """GetObject and HeadObject need s3:GetObject on the object; a listing s3:ListBucket with its s3:prefix."""
    reader = session_client(
        "s3",
        assume(
            make_role(
                "reader",
                allow("s3:GetObject", f"arn:aws:s3:::{BUCKET}/train/*"),
                allow("s3:ListBucket", f"arn:aws:s3:::{BUCKET}", Condition={"StringLike": {"s3:prefix": "train/*"}}),
                account=DATA,
            ),
            DATA,
        ),
    )
    assert reader.get_object(Bucket=BUCKET, Key="train/1")["Body"].read() == b"x"
    assert reader.head_object(Bucket=BUCKET, Key="train/1")["ContentLength"] == 1
    listed = reader.list_objects_v2(Bucket=BUCKET, Prefix="train/")["Contents"]
    assert [entry["Key"] for entry in listed] == ["train/1", "train/2"]
    refused(reader.list_objects_v2, "AccessDenied", 403, Bucket=BUCKET)
    refused(reader.list_objects_v2, "AccessDenied", 403, Bucket=BUCKET, Prefix="private/")
    refused(reader.get_object, "AccessDenied", 403, Bucket=BUCKET, Key="private/1")
    refused(reader.head_object, "403", 403, Bucket=BUCKET, Key="private/1")
    refused(reader.put_object, "AccessDenied", 403, Bucket=BUCKET, Key="train/3", Body=b"")
    refused(reader.create_multipart_upload, "AccessDenied", 403, Bucket=BUCKET, Key="train/3")


@pytest.mark.usefixtures("bucket")
def test_copying_needs_both_ends() -> None:
    """CopyObject needs s3:GetObject on the source and s3:PutObject on the target."""
    writer = session_client(
        "s3",
        assume(
            make_role(
                "writer",
                allow("s3:PutObject", f"arn:aws:s3:::{BUCKET}/train/*"),
                allow("s3:GetObject", f"arn:aws:s3:::{BUCKET}/train/*"),
                account=DATA,
            ),
            DATA,
        ),
    )
    writer.copy_object(Bucket=BUCKET, Key="train/3", CopySource=f"{BUCKET}/train/1")
    refused(writer.copy_object, "AccessDenied", Bucket=BUCKET, Key="train/4", CopySource=f"{BUCKET}/private/1")
    refused(writer.copy_object, "AccessDenied", Bucket=BUCKET, Key="other", CopySource=f"{BUCKET}/train/1")


def test_deleting_many_is_decided_key_by_key(bucket: Any) -> None:
    """DeleteObjects deletes what it may and reports the rest as errors of a successful answer."""
    arn = make_role("cleaner", allow("s3:DeleteObject", f"arn:aws:s3:::{BUCKET}/train/*"), account=DATA)
    cleaner = session_client("s3", assume(arn, DATA))
    objects = [{"Key": key} for key in ("train/1", "private/1")]
    answer = cleaner.delete_objects(Bucket=BUCKET, Delete={"Objects": objects})
    assert [entry["Key"] for entry in answer["Deleted"]] == ["train/1"]
    assert [(entry["Key"], entry["Code"]) for entry in answer["Errors"]] == [("private/1", "AccessDenied")]
    answer = cleaner.delete_objects(Bucket=BUCKET, Delete={"Objects": objects[1:]})
    assert "Deleted" not in answer
    assert [entry["Key"] for entry in bucket.list_objects_v2(Bucket=BUCKET)["Contents"]] == ["private/1", "train/2"]


def test_across_accounts_the_bucket_must_allow_too(bucket: Any) -> None:
    """Another account's role needs its own policy and the bucket's."""
    arn = make_role("reader", allow("s3:GetObject"))
    reader = session_client("s3", assume(arn))
    refused(reader.get_object, "AccessDenied", match="no resource-based policy", Bucket=BUCKET, Key="train/1")
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": arn},
        "Action": "s3:*",
        "Resource": f"arn:aws:s3:::{BUCKET}/train/*",
    }
    bucket.put_bucket_policy(Bucket=BUCKET, Policy=policy(statement))
    assert reader.get_object(Bucket=BUCKET, Key="train/1")["ETag"]
    refused(reader.get_object, "AccessDenied", Bucket=BUCKET, Key="private/1")
    refused(reader.put_object, "AccessDenied", match="no identity-based policy", Bucket=BUCKET, Key="train/9")
    client("iam").delete_role_policy(RoleName="reader", PolicyName="own")
    client("iam").delete_role(RoleName="reader")
    make_role("reader", allow("s3:GetObject"))
    again = session_client("s3", assume(arn))
    refused(again.get_object, "AccessDenied", match="no resource-based policy", Bucket=BUCKET, Key="train/1")


@pytest.fixture
def point(bucket: Any) -> str:  # noqa: ARG001  # a fixture gets what it stands on as an argument
    """The ARN of an access point on the bucket, to whose objects under ``train/`` a role of the hub has a grant."""
    control = client("s3control", DATA)
    made = control.create_access_point(
        AccountId=DATA,
        Name="podshare-vision",
        Bucket=BUCKET,
        PublicAccessBlockConfiguration=dict.fromkeys(
            ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
        ),
    )
    arn: str = made["AccessPointArn"]
    role = make_role("pod", allow("s3:GetObject", f"{arn}/object/*"), allow("s3:ListBucket", arn))
    grants: list[dict[str, Any]] = [
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"{arn}/object/train/*"},
        {
            "Effect": "Allow",
            "Action": "s3:ListBucket",
            "Resource": arn,
            "Condition": {"StringLike": {"s3:prefix": "train/*"}},
        },
    ]
    document = policy(*({**grant, "Principal": {"AWS": role}} for grant in grants))
    control.put_access_point_policy(AccountId=DATA, Name="podshare-vision", Policy=document)
    return arn


def delegate(s3: Any, account: str = DATA, name: str = "podshare-*") -> None:
    """The bucket leaves its objects to the access points of an account."""
    condition = {
        "StringEquals": {"s3:DataAccessPointAccount": account},
        "ArnLike": {"s3:DataAccessPointArn": f"arn:aws:s3:{REGION}:{DATA}:accesspoint/{name}"},
    }
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"],
        "Condition": condition,
    }
    s3.put_bucket_policy(Bucket=BUCKET, Policy=policy(statement))


def test_an_access_point_gives_what_it_and_the_bucket_allow(bucket: Any, point: str) -> None:
    """Caller, access point and bucket must all allow; then the granted prefix is open, and nothing else."""
    pod = session_client("s3", assume(f"arn:aws:iam::{HUB}:role/pod"))
    refused(pod.get_object, "AccessDenied", match="no resource-based policy", Bucket=point, Key="train/1")
    delegate(bucket)
    assert pod.get_object(Bucket=point, Key="train/1")["Body"].read() == b"x"
    assert len(pod.list_objects_v2(Bucket=point, Prefix="train/")["Contents"]) == 2
    refused(pod.get_object, "AccessDenied", match=f'"{point}/object/private/1"', Bucket=point, Key="private/1")
    refused(pod.list_objects_v2, "AccessDenied", Bucket=point)
    refused(pod.get_object, "AccessDenied", Bucket=BUCKET, Key="train/1")
    refused(pod.put_object, "AccessDenied", Bucket=point, Key="train/1", Body=b"")
    delegate(bucket, name="other-*")
    refused(pod.get_object, "AccessDenied", Bucket=point, Key="train/1")


def test_an_access_point_needs_the_callers_own_policy(bucket: Any, point: str) -> None:
    """Across accounts the role's policies must name the access point; a bucket's ARN does not do."""
    delegate(bucket)
    client("iam").put_role_policy(
        RoleName="pod", PolicyName="own", PolicyDocument=policy(allow("s3:*", f"arn:aws:s3:::{BUCKET}/*"))
    )
    pod = session_client("s3", assume(f"arn:aws:iam::{HUB}:role/pod"))
    refused(pod.get_object, "AccessDenied", match="no identity-based policy", Bucket=point, Key="train/1")


# --- resource policies of other services -----------------------------------------------------------------------


@pytest.mark.usefixtures("accounts")
def test_a_queue_admits_another_account() -> None:
    """SQS: both the sender's policy and the queue's are needed."""
    sqs = client("sqs")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{HUB}:q"
    sender = session_client("sqs", assume(make_role("s", allow("sqs:*"), account=SCIENTIST), SCIENTIST))
    refused(sender.send_message, "AccessDenied", match="no resource-based policy", QueueUrl=url, MessageBody="m")
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": SCIENTIST},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy(statement)})
    try:  # whether moto finds another account's queue is not what is tested
        sender.send_message(QueueUrl=url, MessageBody="m")
    except ClientError as error:
        assert error.response["Error"]["Code"] != "AccessDenied"
    assert authorization.decisions()[-1].allowed


@pytest.mark.usefixtures("accounts")
def test_a_key_policy_decides_within_its_own_account() -> None:
    """KMS: without leave from the key's policy not even the account's administrators get in."""
    administrator = client("kms")
    key = administrator.create_key(
        Policy=policy({**allow("kms:*"), "Principal": {"AWS": f"arn:aws:iam::{SCIENTIST}:root"}}),
        BypassPolicyLockoutSafetyCheck=True,
    )["KeyMetadata"]["KeyId"]
    assert kms.find(HUB, REGION, key)
    refused(administrator.describe_key, "AccessDeniedException", KeyId=key)


# --- AWS services as callers -------------------------------------------------------------------------------------

RULE = f"arn:aws:events:{REGION}:{HUB}:rule/r"


@pytest.mark.parametrize(
    ("condition", "admitted"),
    [
        ({}, True),
        ({"ArnEquals": {"aws:SourceArn": RULE}}, True),
        ({"StringEquals": {"aws:SourceAccount": HUB}}, True),
        ({"ArnLike": {"aws:SourceArn": f"arn:aws:events:*:{SCIENTIST}:*"}}, False),
        ({"StringEquals": {"aws:SourceAccount": SCIENTIST}}, False),
        ({"StringEquals": {"aws:PrincipalAccount": HUB}}, False),
    ],
)
@pytest.mark.usefixtures("accounts")
def test_a_service_assumes_a_role_that_trusts_it(condition: dict[str, Any], admitted: bool) -> None:
    """The trust policy alone decides, with the source that the service acts for."""
    arn = make_role("target", trust=trusting({"Service": "events.amazonaws.com"}, Condition=condition))

    def credentials() -> authorization.Credentials:
        return authorization.assume_as_service(
            arn, "events.amazonaws.com", source_arn=RULE, source_account=HUB, session_name="s"
        )

    if not admitted:
        with pytest.raises(authorization.AccessDenied, match="sts:AssumeRole"):
            credentials()
        return
    principal = authorization.identify(credentials().access_key)
    assert (principal.arn, principal.role_arn) == (f"arn:aws:sts::{HUB}:assumed-role/target/s", arn)
    assert authorization.decisions()[-1].principal == "events.amazonaws.com"


@pytest.mark.usefixtures("accounts")
def test_a_service_is_refused_by_roles_that_trust_others() -> None:
    """Another service's trust, an account's trust, and an absent role all mean no."""
    other = make_role("other", trust=trusting({"Service": "lambda.amazonaws.com"}))
    for arn in (other, make_role("own"), f"arn:aws:iam::{HUB}:role/absent"):
        with pytest.raises(authorization.AccessDenied):
            authorization.assume_as_service(arn, "events.amazonaws.com", session_name="s")


@pytest.mark.usefixtures("accounts")
def test_pod_identity_tags_are_request_tags_and_then_principal_tags() -> None:
    """Session tags need sts:TagSession, are seen by the trust as aws:RequestTag, and mark the session."""
    tags = {"kubernetes-namespace": "hyperpod-ns-vision"}
    own = {"StringEquals": {"aws:RequestTag/kubernetes-namespace": "hyperpod-ns-vision"}}
    service = "pods.eks.amazonaws.com"
    untagged = make_role("untagged", trust=trusting({"Service": service}, Condition=own))
    arn = make_role("pod", trust=trusting({"Service": service}, "sts:AssumeRole", "sts:TagSession", Condition=own))
    with pytest.raises(authorization.AccessDenied, match="sts:TagSession"):
        authorization.assume_as_service(untagged, service, session_name="s", request_tags=tags)
    with pytest.raises(authorization.AccessDenied, match="sts:AssumeRole"):
        authorization.assume_as_service(
            arn, service, session_name="s", request_tags={"kubernetes-namespace": "hyperpod-ns-other"}
        )
    found = authorization.assume_as_service(arn, service, session_name="s", request_tags=tags)
    assert authorization.identify(found.access_key).tags == tags


@pytest.mark.usefixtures("accounts")
def test_a_service_reaches_a_queue_by_its_policy() -> None:
    """check_service_call asks the policy that it is given, or else the one that the resource has."""
    url = client("sqs").create_queue(QueueName="dlq")["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{HUB}:dlq"
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": RULE}},
    }

    def send(document: str | None, source: str) -> None:
        authorization.check_service_call(
            "events.amazonaws.com", "sqs:SendMessage", arn, document, source_arn=source, source_account=HUB
        )

    with pytest.raises(authorization.AccessDenied, match="no resource-based policy"):
        send(None, RULE)
    client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy(statement)})
    send(None, RULE)
    send(policy(statement), RULE)
    with pytest.raises(authorization.AccessDenied):
        send(None, f"{RULE}-other")
    assert [decision.allowed for decision in authorization.decisions()[-2:]] == [True, False]


@pytest.mark.usefixtures("accounts")
def test_a_service_invokes_a_function_by_its_permission() -> None:
    """AddPermission is a statement of the function's policy, read with its SourceArn."""
    role = make_role("f", trust=trusting({"Service": "lambda.amazonaws.com"}))
    s3 = client("s3")
    s3.create_bucket(Bucket="code", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="code", Key="f.zip", Body=b"code")
    lambda_ = client("lambda")
    arn = lambda_.create_function(
        FunctionName="f",
        Runtime="python3.13",
        Role=role,
        Handler="h.h",
        Code={"S3Bucket": "code", "S3Key": "f.zip"},
    )["FunctionArn"]
    lambda_.add_permission(
        FunctionName="f",
        StatementId="s",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=RULE,
    )
    authorization.check_service_call(
        "events.amazonaws.com", "lambda:InvokeFunction", arn, None, source_arn=RULE, source_account=HUB
    )
    with pytest.raises(authorization.AccessDenied):
        authorization.check_service_call(
            "events.amazonaws.com", "lambda:InvokeFunction", arn, None, source_arn=f"{RULE}2", source_account=HUB
        )
