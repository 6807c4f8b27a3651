"""EventBridge takes, refuses and matches patterns and schedule expressions as AWS documents.

Sources: github.com/aws/event-ruler (README, ``JsonRuleCompiler``, ``CIDR``, "JSON Array Matching"); EventBridge User
Guide, "Content filtering in event patterns", "Cron expressions reference", "Rate expressions"; EventBridge quotas.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.tests.runtime import Runtime, running_runtime


@pytest.fixture(scope="module")
def aws() -> Iterator[Runtime]:
    """One runtime; no rule here has a target."""
    with running_runtime() as runtime:
        yield runtime


def _on(*conditions: Any) -> str:
    """A pattern with these conditions for one field."""
    return json.dumps({"detail": {"field": [*conditions]}})


def _or(*branches: Any) -> str:
    return json.dumps({"$or": [*branches]})


# each with a part of Event Ruler's reason
STRUCTURE = [
    ("[]", "Filter is not an object"),
    ('"text"', "Filter is not an object"),
    ("{", "Invalid JSON"),
    ("{}", "Empty objects are not allowed"),
    ('{"detail": {}}', "Empty objects are not allowed"),
    ('{"source": "aws.s3"}', '"source" must be an object or an array'),
    ('{"source": null}', '"source" must be an object or an array'),
    ('{"detail": {"size": 5}}', '"size" must be an object or an array'),
    ('{"source": []}', "Empty arrays are not allowed"),
    ('{"source": [["aws.s3"]]}', "Match value must be String, number, true, false, or null"),
    ('{"detail": {"field": [NaN]}}', "NaN"),
    (json.dumps({"source": ["x" * 2048]}), "longer than 2048 characters"),
]
OR = [
    (json.dumps({"$or": {"source": ["a"]}}), "It must be an Array"),
    (_or({"source": ["a"]}), "at least 2 Objects"),
    (_or(), "at least 2 Objects"),
    (_or("a", "b"), "Only JSON object is allowed"),
    (_or({}, {"source": ["a"]}), "Empty objects are not allowed"),
    (_or({"prefix": ["a"]}, {"source": ["a"]}), "reserved fieldName"),
    (_or({"detail": {"numeric": ["a"]}}, {"source": ["a"]}), "reserved fieldName"),
    (
        json.dumps({name: {"$or": [{f"{number}": [1]} for number in range(11)]} for name in "abc"}),
        "more than 1000 rule combinations",
    ),
]
EXPRESSIONS = [
    (_on({}), "Match expression name not found"),
    (_on({"contains": "a"}), "Unrecognized match type contains"),
    (_on({"regex": "a.*"}), "Unrecognized match type regex"),
    (_on({"prefix": "a", "suffix": "b"}), "Only one key allowed"),
    (_on({"prefix": 5}), "prefix match pattern must be a string"),
    (_on({"prefix": ["a", "b"]}), "prefix match pattern must be a string"),
    (_on({"prefix": {"wildcard": "a"}}), "Unsupported prefix pattern: wildcard"),
    (_on({"prefix": {"equals-ignore-case": 5}}), "equals-ignore-case match pattern must be a string"),
    (_on({"suffix": None}), "suffix match pattern must be a string"),
    (_on({"suffix": {"prefix": "a"}}), "Unsupported suffix pattern: prefix"),
    (_on({"equals-ignore-case": ["a"]}), "equals-ignore-case match pattern must be a string"),
    (_on({"wildcard": 5}), "wildcard match pattern must be a string"),
    (_on({"wildcard": ["a*"]}), "wildcard match pattern must be a string"),
    (_on({"wildcard": "a**b"}), "Consecutive wildcard characters"),
    (_on({"wildcard": "a\\b"}), "Invalid escape character"),
    (_on({"exists": "true"}), "exists match pattern must be either true or false"),
    (_on({"exists": 1}), "exists match pattern must be either true or false"),
]
NUMBERS = [
    (_on({"numeric": 5}), "Value of numeric must be an array"),
    (_on({"numeric": []}), "Invalid member in numeric match"),
    (_on({"numeric": [5]}), "Invalid member in numeric match"),
    (_on({"numeric": ["!=", 5]}), "Unrecognized numeric range operator: !="),
    (_on({"numeric": [">"]}), "Value of > must be numeric"),
    (_on({"numeric": [">", "5"]}), "Value of > must be numeric"),
    (_on({"numeric": ["=", True]}), "Value of equals must be numeric"),
    (_on({"numeric": ["=", 5, "<", 6]}), "Too many elements"),
    (_on({"numeric": ["<", 5, ">", 1]}), "Too many elements"),
    (_on({"numeric": [">", 1, ">", 5]}), "Bad numeric range operator: >"),
    (_on({"numeric": [">", 1, 5]}), "Bad value in numeric range"),
    (_on({"numeric": [">", 1, "<", 5, "<", 6]}), "Too many terms"),
    (_on({"numeric": [">", 5, "<", 1]}), "Bottom must be less than top"),
    (_on({"numeric": [">=", 5, "<=", 5]}), "Bottom must be less than top"),
    (_on({"numeric": ["=", 5.1e9]}), "Value must be between"),
]
ANYTHING_BUT = [
    (_on({"anything-but": None}), "must be an array or single string/number value"),
    (_on({"anything-but": True}), "must be an array or single string/number value"),
    (_on({"anything-but": []}), "mixed type is not supported"),
    (_on({"anything-but": ["a", 1]}), "mixed type is not supported"),
    (_on({"anything-but": ["a", None]}), "start|null|boolean is not supported"),
    (_on({"anything-but": [["a"]]}), "start|null|boolean is not supported"),
    (_on({"anything-but": {}}), "Anything-But expression name not found"),
    (_on({"anything-but": {"numeric": ["=", 1]}}), "Unsupported anything-but pattern: numeric"),
    (_on({"anything-but": {"prefix": ""}}), "Null prefix/suffix not allowed"),
    (_on({"anything-but": {"suffix": ["a", ""]}}), "Null prefix/suffix not allowed"),
    (_on({"anything-but": {"prefix": 5}}), "must be a string"),
    (_on({"anything-but": {"equals-ignore-case": ["a", 5]}}), "must be a string"),
    (_on({"anything-but": {"wildcard": "a**"}}), "Consecutive wildcard characters"),
    (_on({"anything-but": {"prefix": "a", "suffix": "b"}}), "Only one key allowed"),
]
ADDRESSES = [
    (_on({"cidr": 5}), "must be a string"),
    (_on({"cidr": "10.0.0.0"}), "one '/' required"),
    (_on({"cidr": "10.0.0.0/8/8"}), "one '/' required"),
    (_on({"cidr": "10.0.0.0/x"}), "mask bits must be an integer"),
    (_on({"cidr": "10.0.0.0/32"}), "IPv4 mask bits must be < 32"),
    (_on({"cidr": "2001:db8::/128"}), "IPv6 mask bits must be < 128"),
    (_on({"cidr": "example.com/8"}), "Nonstandard IP address"),
    (_on({"cidr": "256.0.0.1/8"}), "Nonstandard IP address"),
]


@pytest.mark.parametrize(("pattern", "reason"), [*STRUCTURE, *OR, *EXPRESSIONS, *NUMBERS, *ANYTHING_BUT, *ADDRESSES])
def test_a_pattern_that_event_ruler_refuses_makes_no_rule(aws: Runtime, pattern: str, reason: str) -> None:
    """PutRule answers InvalidEventPatternException with the reason (Event Ruler, JsonRuleCompiler)."""
    events = aws.client("events")
    with pytest.raises(ClientError) as refused:
        events.put_rule(Name="refused", EventPattern=pattern)
    assert refused.value.response["Error"]["Code"] == "InvalidEventPatternException"
    assert refused.value.response["Error"]["Message"].startswith("Event pattern is not valid. Reason: ")
    assert reason in refused.value.response["Error"]["Message"]
    assert events.list_rules(NamePrefix="refused")["Rules"] == []


MATCHES = [
    # "Exists matching": on leaf nodes alone
    ({"a": [{"exists": True}]}, {"a": 1}, True),
    ({"a": [{"exists": True}]}, {"a": None}, True),
    ({"a": [{"exists": True}]}, {"a": []}, False),
    ({"a": [{"exists": False}]}, {"a": []}, True),
    ({"a": [{"exists": True}]}, {"a": {"b": 1}}, False),
    ({"a": [{"exists": False}]}, {"a": {"b": 1}}, True),
    ({"a": [{"exists": True}]}, {"a": [{"b": 1}]}, False),
    ({"a": {"b": [{"exists": True}]}}, {"a": [{"b": 1}, {"c": 2}]}, True),
    ({"a": {"b": [{"exists": False}]}}, {"a": [{"b": 1}, {"c": 2}]}, False),
    ({"a": {"b": [{"exists": False}]}}, {"a": [{"c": 2}]}, True),
    ({"a": ["x", {"exists": False}]}, {}, True),
    # "JSON Array Matching": all fields in one object of a list
    ({"a": {"b": [1], "c": [2]}}, {"a": [{"b": 1, "c": 3}, {"b": 9, "c": 2}]}, False),
    ({"a": {"b": [1], "c": [2]}}, {"a": [{"b": 9, "c": 3}, {"b": 1, "c": 2}]}, True),
    ({"a": {"b": [1]}, "z": [0]}, {"a": [{"b": 1}], "z": [5, 0]}, True),
    ({"a": ["x"]}, {"a": [["y"], ["x"]]}, True),
    # values keep their type
    ({"a": [1]}, {"a": True}, False),
    ({"a": [True]}, {"a": 1}, False),
    ({"a": ["1"]}, {"a": 1}, False),
    ({"a": [None]}, {"a": None}, True),
    ({"a": [None]}, {}, False),
    ({"a": [5]}, {"a": 5.0}, True),
    # content filters
    ({"a": [{"prefix": "x"}]}, {"a": ["y", "xy"]}, True),
    ({"a": [{"prefix": {"equals-ignore-case": "X"}}]}, {"a": "xy"}, True),
    ({"a": [{"suffix": {"equals-ignore-case": ".PNG"}}]}, {"a": "b.png"}, True),
    ({"a": [{"equals-ignore-case": "AbC"}]}, {"a": "aBc"}, True),
    ({"a": [{"wildcard": "a*c\\*"}]}, {"a": "abbc*"}, True),
    ({"a": [{"wildcard": "a*c\\*"}]}, {"a": "abbcx"}, False),
    ({"a": [{"anything-but": ["x", "y"]}]}, {"a": "x"}, False),
    ({"a": [{"anything-but": ["x", "y"]}]}, {"a": ["x", "z"]}, True),
    ({"a": [{"anything-but": "x"}]}, {}, False),
    ({"a": [{"anything-but": {"prefix": "x"}}]}, {"a": "xy"}, False),
    ({"a": [{"anything-but": {"wildcard": ["*/x", "*/y"]}}]}, {"a": "b/z"}, True),
    ({"a": [{"numeric": [">", 0, "<=", 5]}]}, {"a": 5}, True),
    ({"a": [{"numeric": [">", 0, "<=", 5]}]}, {"a": "5"}, False),
    ({"a": [{"cidr": "10.0.0.5/24"}]}, {"a": "10.0.0.9"}, True),
    ({"a": [{"cidr": "10.0.0.0/24"}]}, {"a": "10.0.1.9"}, False),
    ({"$or": [{"a": [1]}, {"b": {"c": [2]}}], "d": [3]}, {"b": {"c": 2}, "d": 3}, True),
    ({"$or": [{"a": [1]}, {"b": {"c": [2]}}], "d": [3]}, {"a": 1, "d": 4}, False),
]


@pytest.mark.parametrize(("pattern", "event", "expected"), MATCHES)
def test_a_pattern_matches_what_event_ruler_matches(
    aws: Runtime, pattern: dict[str, Any], event: dict[str, Any], expected: bool
) -> None:
    """TestEventPattern tells what a rule matches (Event Ruler, README: "Ruler by Example", "JSON Array Matching")."""
    answer = aws.client("events").test_event_pattern(EventPattern=json.dumps(pattern), Event=json.dumps(event))
    assert answer["Result"] is expected


RULE_EXPRESSIONS = {
    "rate(1 minute)": True,
    "rate(5 minutes)": True,
    "rate(1 day)": True,
    "cron(0 3 * * ? *)": True,
    "cron(0/15 8-17 ? * MON-FRI *)": True,
    "cron(0 10 L * ? 2026-2030)": True,
    "cron(0 9 ? JAN,JUL 2#1 *)": True,
    "rate(0 minutes)": False,
    "rate(1 minutes)": False,
    "rate(5 minute)": False,
    "rate(-5 minutes)": False,
    "rate(1.5 hours)": False,
    "rate(5 weeks)": False,
    "rate(5minutes)": False,
    "cron(0 3 * * *)": False,
    "cron(0 3 * * ?)": False,
    "cron(0 3 * * * *)": False,
    "cron(0 3 ? * ? *)": False,
    "cron(60 3 * * ? *)": False,
    "cron(0 24 * * ? *)": False,
    "cron(0 3 32 * ? *)": False,
    "cron(0 3 * 13 ? *)": False,
    "cron(0 3 ? * 0 *)": False,
    "cron(0 3 * * ? 1969)": False,
    "cron(0/0 3 * * ? *)": False,
    "cron(0 3 * FOO ? *)": False,
    "cron(0 3 1-2-3 * ? *)": False,
    "cron()": False,
    "at(2030-01-01T00:00:00)": False,
    "daily": False,
}


@pytest.mark.parametrize(("expression", "accepted"), RULE_EXPRESSIONS.items())
def test_a_rule_has_an_expression_that_aws_takes(aws: Runtime, expression: str, accepted: bool) -> None:
    """Rates are positive and their unit agrees; cron has six fields, one of the days a question mark (User Guide)."""
    events = aws.client("events")
    if accepted:
        rule = events.put_rule(Name="scheduled", ScheduleExpression=expression)
        assert rule["RuleArn"].endswith(":rule/scheduled")
        return
    with pytest.raises(ClientError, match="Parameter ScheduleExpression is not valid") as refused:
        events.put_rule(Name="scheduled", ScheduleExpression=expression)
    assert refused.value.response["Error"]["Code"] == "ValidationException"


@pytest.mark.parametrize(
    "wrong",
    [
        {"ScheduleExpression": "rate(0 minutes)"},
        {"ScheduleExpression": "cron(0 3 * * *)"},
        {"ScheduleExpression": "at(2030-13-01T00:00:00)"},
        {"ScheduleExpression": "at(2030-01-01)"},
        {"ScheduleExpression": "rate(1 day)", "ScheduleExpressionTimezone": "Mars/Olympus"},
    ],
)
def test_a_schedule_has_an_expression_that_aws_takes(aws: Runtime, wrong: dict[str, str]) -> None:
    """CreateSchedule answers ValidationException (EventBridge Scheduler User Guide, "Schedule types")."""
    target = {
        "Arn": "arn:aws:lambda:us-west-2:111111111111:function:x",
        "RoleArn": "arn:aws:iam::111111111111:role/fires",
    }
    with pytest.raises(ClientError) as refused:
        aws.client("scheduler").create_schedule(
            Name="wrong", FlexibleTimeWindow={"Mode": "OFF"}, Target=target, **wrong
        )
    assert refused.value.response["Error"]["Code"] == "ValidationException"
