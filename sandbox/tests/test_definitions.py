"""Definitions that Step Functions refuses, in its words, and what becomes of constants, nulls and counts.

Sources: Amazon States Language specification; Step Functions developer guide and API reference; answers of the service
to ValidateStateMachineDefinition and CreateStateMachine that were published in issues of emulators.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.tests.runtime import HUB, Runtime, running_runtime
from sandbox.tests.test_state_machines import INVOKE, SOURCE, Run, echo, one

TASK = {"Type": "Task", "Resource": INVOKE, "Arguments": {"FunctionName": "echo"}}
# every escape that JSON has, and what only looks like one
TEXT = 'line1\nline2\ttab \\ é "q" \\n / \\u0041 \u2028'


@pytest.fixture(scope="module")
def aws() -> Iterator[Runtime]:
    """A function ``echo``, and a role ``machine`` that may invoke it and start executions."""
    with running_runtime() as runtime:
        worker = runtime.role("worker", "lambda.amazonaws.com")
        runtime.function("echo", SOURCE, worker)
        starts = ["states:StartExecution", "states:DescribeExecution", "states:StopExecution"]
        runtime.role("machine", "states.amazonaws.com", ["lambda:InvokeFunction", *starts])
        yield runtime


def two(first: dict[str, Any]) -> dict[str, Any]:
    """A machine whose first state leads to its end."""
    return {"StartAt": "Only", "States": {"Only": {"Next": "Last", **first}, "Last": {"Type": "Succeed"}}}


def choosing(**choice: Any) -> dict[str, Any]:
    """A machine that begins with a choice."""
    return {"StartAt": "Only", "States": {"Only": {"Type": "Choice", **choice}, "Last": {"Type": "Succeed"}}}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "Seconds is text": (one(Type="Wait", Seconds="5"), "/States/Only/Seconds"),
    "Seconds is negative": (one(Type="Wait", Seconds=-1), "/States/Only/Seconds"),
    "Seconds is a fraction": (one(Type="Wait", Seconds=1.5), "/States/Only/Seconds"),
    "Seconds is a boolean": (one(Type="Wait", Seconds=True), "/States/Only/Seconds"),
    "two waits": (one(Type="Wait", Seconds=1, Timestamp="2026-01-01T00:00:00Z"), "/States/Only"),
    "no wait": (one(Type="Wait"), "/States/Only"),
    "Cause is a number": ({"StartAt": "Only", "States": {"Only": {"Type": "Fail", "Cause": 5}}}, "/States/Only/Cause"),
    "Error is a number": ({"StartAt": "Only", "States": {"Only": {"Type": "Fail", "Error": 5}}}, "/States/Only/Error"),
    "neither Next nor End": ({"StartAt": "Only", "States": {"Only": {"Type": "Pass"}}}, "/States/Only"),
    "both Next and End": (two({"Type": "Pass", "End": True}), "/States/Only"),
    "End on a Choice": (choosing(Choices=[{"Condition": "{% true %}", "Next": "Last"}], End=True), "/States/Only"),
    "no Choices": (choosing(Choices=[], Default="Last"), "/States/Only/Choices"),
    "no Condition": (choosing(Choices=[{"Next": "Last"}]), "/States/Only/Choices[0]"),
    "a choice without Next": (choosing(Choices=[{"Condition": True}], Default="Last"), "/States/Only/Choices[0]"),
    "a retrier after States.ALL": (
        one(**TASK, Retry=[{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["X"]}]),
        "/States/Only/Retry[0]/ErrorEquals",
    ),
    "States.ALL among others": (
        one(**TASK, Retry=[{"ErrorEquals": ["X", "States.ALL"]}]),
        "/States/Only/Retry[0]/ErrorEquals",
    ),
    "a catcher after States.ALL": (
        two(
            {**TASK, "Catch": [{"ErrorEquals": [name], "Next": "Last"} for name in ("States.ALL", "X")]},
        ),
        "/States/Only/Catch[0]/ErrorEquals",
    ),
    "no errors": (one(**TASK, Retry=[{"ErrorEquals": []}]), "/States/Only/Retry[0]"),
    "MaxAttempts below zero": (
        one(**TASK, Retry=[{"ErrorEquals": ["X"], "MaxAttempts": -1}]),
        "/States/Only/Retry[0]/MaxAttempts",
    ),
    "BackoffRate below one": (
        one(**TASK, Retry=[{"ErrorEquals": ["X"], "BackoffRate": 0.5}]),
        "/States/Only/Retry[0]/BackoffRate",
    ),
    "IntervalSeconds of zero": (
        one(**TASK, Retry=[{"ErrorEquals": ["X"], "IntervalSeconds": 0}]),
        "/States/Only/Retry[0]/IntervalSeconds",
    ),
    "TimeoutSeconds of zero": (one(**TASK, TimeoutSeconds=0), "/States/Only/TimeoutSeconds"),
    "an action that the SDK lacks": (
        one(Type="Task", Resource="arn:aws:states:::aws-sdk:iam:makeRole", Arguments={}),
        "/States/Only/Resource",
    ),
    "a service that the SDK lacks": (
        one(Type="Task", Resource="arn:aws:states:::aws-sdk:nosuch:getThing", Arguments={}),
        "/States/Only/Resource",
    ),
    "lambda:invoke without a function": (
        one(Type="Task", Resource=INVOKE, Arguments={"Payload": {}}),
        "/States/Only/Arguments",
    ),
    "an unknown type": (one(Type="Sleep"), "/States/Only/Type"),
    "an unknown field": (one(Type="Pass", Colour="red"), "/States/Only"),
    "a Map without a processor": (one(Type="Map", Items=[1]), "/States/Only"),
    "a Parallel without branches": (one(Type="Parallel", Branches=[]), "/States/Only/Branches"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_field_that_breaks_its_rule_is_refused(aws: Runtime, case: str) -> None:
    """CreateStateMachine answers InvalidDefinition with code, message and place of each problem; nothing is made."""
    definition, place = REFUSED[case]

    refusal = refused(aws, definition)

    assert refusal.startswith("Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: ")
    assert refusal.endswith(f" at {place}'")
    assert aws.client("stepfunctions").list_state_machines()["stateMachines"] == []


def refused(aws: Runtime, definition: dict[str, Any] | str, language: str = "JSONata") -> str:
    """The message with which a definition is refused as InvalidDefinition."""
    text = definition if isinstance(definition, str) else json.dumps({"QueryLanguage": language, **definition})
    with pytest.raises(ClientError) as refusal:
        aws.client("stepfunctions").create_state_machine(
            name="refused", definition=text, roleArn=f"arn:aws:iam::{HUB}:role/machine"
        )
    assert refusal.value.response["Error"]["Code"] == "InvalidDefinition"
    return str(refusal.value.response["Error"]["Message"])


UNSUPPORTED = [
    *(
        (field, kind)
        for field in ("TimeoutSeconds",)
        for kind in ("Pass", "Wait", "Choice", "Succeed", "Fail", "Map", "Parallel")
    ),
    *((field, kind) for field in ("Catch", "Retry") for kind in ("Pass", "Wait", "Choice", "Succeed", "Fail")),
]


@pytest.mark.parametrize(("field", "kind"), UNSUPPORTED)
def test_a_field_that_a_state_does_not_have_is_refused(aws: Runtime, field: str, kind: str) -> None:
    """`Field '<name>' is not supported`, at the state: 17 combinations that the service was seen to refuse."""
    value: Any = 5 if field == "TimeoutSeconds" else []
    definition = {"StartAt": "Only", "States": {"Only": {"Type": kind, field: value}}}

    assert f"SCHEMA_VALIDATION_FAILED: Field '{field}' is not supported at /States/Only" in refused(aws, definition)


@pytest.mark.parametrize(
    ("definition", "language", "message"),
    [
        (
            one(Type="Pass", Parameters={"a": 1}),
            "JSONata",
            "The QueryLanguage is set to 'JSONata', but field 'Parameters' is only supported for the 'JSONPath' QueryLanguage",
        ),
        (
            one(Type="Pass", Output={"a": 1}),
            "JSONPath",
            "The QueryLanguage is set to 'JSONPath', but field 'Output' is only supported for the 'JSONata' QueryLanguage",
        ),
        (
            one(Type="Pass", QueryLanguage="JSONPath"),
            "JSONata",
            "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine",
        ),
    ],
)
def test_a_field_of_the_other_language_is_refused(aws: Runtime, definition: Any, language: str, message: str) -> None:
    """Each query language has its own fields, and a JSONata machine has no JSONPath state, in the service's words."""
    assert message in refused(aws, definition, language)


def test_transitions_are_refused_in_the_services_words(aws: Runtime) -> None:
    """A missing target, a state that nothing leads to, and a workflow without an end, as the service words them."""
    lost = {"pass1": {"Type": "Pass", "Next": "pass3"}, "pass2": {"Type": "Pass", "End": True}}
    assert refused(aws, {"StartAt": "pass1", "States": lost}) == (
        "Invalid State Machine Definition: 'MISSING_TRANSITION_TARGET: Missing 'Next' target: pass3 at "
        '/States/pass1/Next, MISSING_TRANSITION_TARGET: State "pass2" is not reachable. at /States/pass2\''
    )
    loop = {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Pass", "Next": "A"}}
    assert refused(aws, {"StartAt": "A", "States": loop}) == (
        "Invalid State Machine Definition: 'MISSING_END_STATE: Workflow has no terminal state'"
    )


@pytest.mark.parametrize(
    ("expression", "name"), [("phone", "phone"), ("$string(phone)", "phone"), ("1 + a.b[c]", "a"), ("$$.a", "$$")]
)
def test_an_expression_has_no_input_of_its_own(aws: Runtime, expression: str, name: str) -> None:
    """What is read neither from $states nor from a variable is refused, with the service's code and words."""
    message = f"UNSUPPORTED_JSONATA_EXPRESSION: Reference to '{name}' at the top level is not supported. at "
    assert f"{message}/States/Only/Output" in refused(aws, one(Type="Pass", Output=f"{{% {expression} %}}"))


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("$states.input.rows[state = 'ok'].name", "a"),
        ("$map($states.input.rows, function($row) { $row.name })", ["a", "b"]),
        ("$states.input.rows{name: state}", {"a": "ok", "b": "bad"}),
        ("$states.input.rows^(>name).name", ["b", "a"]),
        ("($rows := $states.input.rows; $count($rows[state != 'ok']))", 1),
    ],
)
def test_items_are_read_by_their_names(aws: Runtime, expression: str, value: Any) -> None:
    """Within predicates, groups, orders and steps a name is a field of the item that is looked at."""
    rows = {"rows": [{"name": "a", "state": "ok"}, {"name": "b", "state": "bad"}]}
    assert Run(aws, one(Type="Pass", Output=f"{{% {expression} %}}"), rows).output == value


def test_definitions_are_validated_without_being_made(aws: Runtime) -> None:
    """ValidateStateMachineDefinition tells the same problems as diagnostics, without a place where there is none."""
    validate = aws.client("stepfunctions").validate_state_machine_definition
    good = json.dumps({"QueryLanguage": "JSONata", **one(Type="Pass")})
    answer = validate(definition=good)
    assert (answer["result"], answer["diagnostics"], answer["truncated"]) == ("OK", [], False)

    wrong = validate(definition=json.dumps(one(Type="Wait", Seconds=-1)))
    assert wrong["result"] == "FAIL"
    assert wrong["diagnostics"] == [
        {
            "severity": "ERROR",
            "code": "SCHEMA_VALIDATION_FAILED",
            "message": "The field 'Seconds' must be an integer between 0 and 99999999",
            "location": "/States/Only/Seconds",
        }
    ]
    loop = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "A"}}}
    (endless,) = validate(definition=json.dumps(loop))["diagnostics"]
    assert endless == {"severity": "ERROR", "code": "MISSING_END_STATE", "message": "Workflow has no terminal state"}
    assert validate(definition="{nope")["diagnostics"][0]["code"] == "INVALID_JSON_DESCRIPTION"
    several = json.dumps(one(Type="Wait", Seconds=-1, Colour=1))
    truncated = validate(definition=several, maxResults=1)
    assert (len(truncated["diagnostics"]), truncated["truncated"]) == (1, True)


def test_a_machine_is_made_once(aws: Runtime) -> None:
    """The same request is the same machine, whatever its role; another definition is refused (API Reference, CreateStateMachine)."""
    api = aws.client("stepfunctions")
    request = {"name": "once", "roleArn": f"arn:aws:iam::{HUB}:role/machine"}
    first = api.create_state_machine(
        **request, definition=json.dumps(one(Type="Succeed") | {"States": {"Only": {"Type": "Succeed"}}})
    )
    same = json.dumps(one(Type="Succeed") | {"States": {"Only": {"Type": "Succeed"}}})
    assert api.create_state_machine(**request, definition=same)["stateMachineArn"] == first["stateMachineArn"]

    with pytest.raises(ClientError) as refusal:
        api.create_state_machine(**request, definition=json.dumps(one(Type="Pass")))
    assert refusal.value.response["Error"]["Code"] == "StateMachineAlreadyExists"
    api.delete_state_machine(stateMachineArn=first["stateMachineArn"])


CONSTANTS: dict[str, dict[str, Any]] = {
    "Output": one(Type="Pass", Output={"it": TEXT}),
    "a key": one(Type="Pass", Output={"it": "{% $keys($states.input)[0] %}"}),
    "Assign": {
        "StartAt": "A",
        "States": {
            "A": {"Type": "Pass", "Assign": {"kept": TEXT}, "Next": "B"},
            "B": {"Type": "Pass", "Output": {"it": "{% $kept %}"}, "End": True},
        },
    },
    "Arguments": one(**echo({"it": TEXT})),
    "ItemSelector": one(
        Type="Map",
        Items=[1],
        ItemSelector={"it": TEXT},
        ItemProcessor={"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}},
        Output="{% $states.result[0] %}",
    ),
    "a state's name": {
        "StartAt": TEXT,
        "States": {TEXT: {"Type": "Pass", "Output": {"it": "{% $states.context.State.Name %}"}, "End": True}},
    },
}


@pytest.mark.parametrize("place", CONSTANTS)
def test_a_constant_is_the_text_that_json_says(aws: Runtime, place: str) -> None:
    """Escapes of JSON in names and constants are read once, wherever they stand (RFC 8259)."""
    assert Run(aws, CONSTANTS[place], {TEXT: 1}).output == {"it": TEXT}


def test_a_variable_that_is_null_stays_null(aws: Runtime) -> None:
    """Null is a value, other than nothing: it can be compared, returned, and found in what it is part of."""
    output = "{% {'none': $none, 'same': $none = null, 'type': $type($none), 'inner': $part.inner, 'list': $list} %}"
    variables = {"none": None, "part": {"inner": None}, "list": [1, None]}
    run = Run(
        aws,
        {
            "StartAt": "A",
            "States": {
                "A": {"Type": "Pass", "Assign": variables, "Next": "B"},
                "B": {"Type": "Pass", "Output": output, "End": True},
            },
        },
    )
    assert run.output == {"none": None, "same": True, "type": "null", "inner": None, "list": [1, None]}


@pytest.mark.parametrize(("arguments", "value"), [("1, 1, 1", 1), ("1, 3, 1", [1, 2, 3]), ("3, 1, -2", [3, 1])])
def test_a_range_of_one_value_is_that_value(aws: Runtime, arguments: str, value: Any) -> None:
    """JSONata gives a sequence of one value as the value (JSONata documentation, "Sequences")."""
    assert Run(aws, one(Type="Pass", Output=f"{{% $range({arguments}) %}}")).output == value


def test_a_map_run_counts_its_executions(aws: Runtime) -> None:
    """Once it has ended each item has ended one way, none runs, and without a writer no result was written (API Reference, DescribeMapRun)."""
    fails = {"Condition": "{% $states.input = 2 %}", "Next": "Fails"}
    states = {"Choose": {"Type": "Choice", "Choices": [fails], "Default": "Ends"}, "Fails": {"Type": "Fail"}}
    processor = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "Choose",
        "States": {**states, "Ends": {"Type": "Succeed"}},
    }
    run = Run(aws, one(Type="Map", Items=[1, 2, 3], ItemProcessor=processor, ToleratedFailurePercentage=50))
    api = aws.client("stepfunctions")
    (listed,) = api.list_map_runs(executionArn=run.arn)["mapRuns"]
    described = api.describe_map_run(mapRunArn=listed["mapRunArn"])

    ended = {"succeeded": 2, "failed": 1, "total": 3}
    none = dict.fromkeys(("pending", "running", "timedOut", "aborted", "resultsWritten"), 0)
    assert described["itemCounts"] == {**ended, **none}
    assert described["executionCounts"] == {**ended, **none}
