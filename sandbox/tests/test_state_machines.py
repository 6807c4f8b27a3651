"""State machines do in the sandbox what their definitions do on AWS; stock moto fails every test here."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.stepfunctions.parser.backend.execution import Execution

from podshare_sandbox import delivery, state_machines
from podshare_sandbox.state_machines import expressions
from podshare_sandbox.state_machines.tasks import java_name
from sandbox.tests.runtime import HUB, REGION, Runtime, document, eventually, running_runtime

INVOKE = "arn:aws:states:::lambda:invoke"
SOURCE = """
import os, time
class Retryable(Exception): pass
class Terminal(Exception): pass
def handler(event, context):
    if event.get("raise"):
        raise {"Retryable": Retryable, "Terminal": Terminal}[event["raise"]]("as told")
    if event.get("exit"):
        os._exit(1)
    time.sleep(event.get("sleep", 0))
    return event
"""


@pytest.fixture(scope="module")
def aws() -> Iterator[Runtime]:
    """One runtime with a function ``echo``, and a role ``machine`` that may invoke it and start executions."""
    with running_runtime() as runtime:
        worker = runtime.role("worker", "lambda.amazonaws.com")
        runtime.function("echo", SOURCE, worker)
        executions = ["states:StartExecution", "states:DescribeExecution", "states:StopExecution"]
        runtime.role("machine", "states.amazonaws.com", ["lambda:InvokeFunction", "iam:GetRole", *executions])
        runtime.role("starts-nothing", "states.amazonaws.com", ["lambda:InvokeFunction"])
        yield runtime


class Run:
    """A machine that was made and executed, and how that ended."""

    def __init__(self, aws: Runtime, definition: dict[str, Any], data: Any = None, **more: Any) -> None:
        self._client = aws.client("stepfunctions")
        self.machine = create(aws, definition, **more)
        self.arn = self._client.start_execution(
            stateMachineArn=self.machine, input=json.dumps({} if data is None else data)
        )["executionArn"]
        self.told = eventually(self._ended)

    def _ended(self) -> Any:
        told = self._client.describe_execution(executionArn=self.arn)
        return told if told["status"] != "RUNNING" else None

    @property
    def status(self) -> str:
        """The execution's status."""
        return str(self.told["status"])

    @property
    def output(self) -> Any:
        """The output, read as JSON."""
        return json.loads(self.told["output"])

    def history(self, **more: Any) -> list[dict[str, Any]]:
        """The execution's events."""
        return list(self._client.get_execution_history(executionArn=self.arn, **more)["events"])


_names = (f"machine-{number}" for number in range(1000))


def create(aws: Runtime, definition: dict[str, Any], role: str = "machine") -> str:
    """Make a JSONata machine; returns its ARN."""
    answer = aws.client("stepfunctions").create_state_machine(
        name=next(_names),
        definition=json.dumps({"QueryLanguage": "JSONata", **definition}),
        roleArn=f"arn:aws:iam::{HUB}:role/{role}",
    )
    return str(answer["stateMachineArn"])


def one(**state: Any) -> dict[str, Any]:
    """A machine of one state."""
    return {"StartAt": "Only", "States": {"Only": {"End": True, **state}}}


def echo(payload: Any, **more: Any) -> dict[str, Any]:
    """A task that invokes ``echo``."""
    arguments = {"FunctionName": "echo", "Payload": payload}
    return {
        "Type": "Task",
        "Resource": INVOKE,
        "Arguments": arguments,
        "Output": "{% $states.result.Payload %}",
        **more,
    }


# --- JSONata ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("$x + 1", 3),
        ("6 / 2", 3),
        ("$s & '!'", 'say "hi" \\ {% $x %}!'),
        ("$partition([1..5], 2)", [[1, 2], [3, 4], [5]]),
        ("$range(1, 7, 2)", [1, 3, 5, 7]),
        ("$range(3, 1, -1)", [3, 2, 1]),
        ("$hash('a', 'SHA-256')", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
        ("$hash('a', 'MD5')", "0cc175b9c0f1b6a831c399e269772661"),
        ("$length($uuid())", 36),
        ("$random(7) = $random(7) and $random() < 1", True),
        ("$parse('{\"a\": [1, null]}')", {"a": [1, None]}),
        ("$states.input.none", None),
        ("$map([1, 2], function($v) { $v * $x })", [2, 4]),
        ("($y := 5; $y * $x)", 10),
        ("$states.input.list[n > 1].n", 2),
        ("[]", []),
    ],
)
def test_expressions_have_step_functions_values(expression: str, expected: Any) -> None:
    """JSONata with Step Functions' own functions, and values that are never pasted into the source."""
    given = {"x": 2, "s": 'say "hi" \\ {% $x %}', "states": {"input": {"none": None, "list": [{"n": 1}, {"n": 2}]}}}
    assert expressions.evaluate(expression, given) == expected


@pytest.mark.parametrize(
    ("expression", "cause"),
    [
        ("$states.input.absent", "returned nothing"),
        ("$unknown", r"\$unknown, which is not defined"),
        ("'a' + 1", "T2001"),
        ("1 +", "S0207"),
        ("$eval('1')", r"\$eval, which is not defined"),
        ("$sum", "unsupported result type"),
        ("$hash('a', 'CRC')", "SHA-512"),
        ("$partition([1], 0)", "above 0"),
    ],
)
def test_expressions_without_a_value_are_errors(expression: str, cause: str) -> None:
    """An undefined result, an unknown variable and a failing expression are each an error that says why."""
    with pytest.raises(expressions.QueryEvaluationError, match=cause):
        expressions.evaluate(expression, {"states": {"input": {}}})


def test_an_undefined_result_fails_the_state_with_its_own_error(aws: Runtime) -> None:
    """``States.QueryEvaluationError`` can be caught, and is one event in the history."""
    run = Run(aws, one(**echo("{% $states.input.absent %}")))
    assert (run.status, run.told["error"]) == ("FAILED", "States.QueryEvaluationError")
    assert [event["type"] for event in run.history()].count("EvaluationFailed") == 1
    caught = echo(
        "{% $states.input.absent %}", Catch=[{"ErrorEquals": ["States.QueryEvaluationError"], "Next": "Done"}]
    )
    run = Run(aws, {"StartAt": "A", "States": {"A": {**caught, "End": True}, "Done": {"Type": "Succeed"}}})
    assert run.status == "SUCCEEDED"


# --- variables -------------------------------------------------------------------------------------------------------


def test_variables_are_assigned_from_what_was_before(aws: Runtime) -> None:
    """All of an Assign is evaluated before any of it takes effect, and strings keep their quotes."""
    text = 'say "hi" \\ $a'
    states = {
        "First": {"Type": "Pass", "Assign": {"a": 1, "b": 2, "text": "{% $states.input.text %}"}, "Next": "Swap"},
        "Swap": {"Type": "Pass", "Assign": {"a": "{% $b %}", "b": "{% $a %}"}, "Next": "Tell"},
        "Tell": {"Type": "Pass", "Output": {"a": "{% $a %}", "b": "{% $b %}", "text": "{% $text %}"}, "End": True},
    }
    run = Run(aws, {"StartAt": "First", "States": states}, {"text": text})
    assert run.output == {"a": 2, "b": 1, "text": text}
    exited = next(event for event in run.history() if event["type"] == "PassStateExited")
    assert json.loads(exited["stateExitedEventDetails"]["assignedVariables"]["text"]) == text


def test_inner_machines_read_outer_variables_and_keep_their_own(aws: Runtime) -> None:
    """Map items see the outer scope; what they assign is theirs alone."""
    inner = {
        "StartAt": "Assign",
        "States": {
            "Assign": {"Type": "Pass", "Assign": {"mine": "{% $states.input * $factor %}"}, "Next": "Return"},
            "Return": {"Type": "Pass", "Output": "{% $mine %}", "End": True},
        },
    }
    states = {
        "Set": {"Type": "Pass", "Assign": {"factor": 10}, "Next": "Each"},
        "Each": {"Type": "Map", "Items": "{% $states.input.n %}", "ItemProcessor": inner, "End": True},
    }
    assert Run(aws, {"StartAt": "Set", "States": states}, {"n": [1, 2, 3]}).output == [10, 20, 30]


# --- tasks -----------------------------------------------------------------------------------------------------------


def test_a_lambda_is_invoked_in_the_machines_role(aws: Runtime) -> None:
    """The function's name may come from JSONata, and the decision is the machine role's."""
    state = echo("{% $states.input %}")
    state["Arguments"]["FunctionName"] = "{% 'ec' & 'ho' %}"
    assert Run(aws, one(**state), {"text": 'a "b"'}).output == {"text": 'a "b"'}
    aws.role("powerless", "states.amazonaws.com")
    refused = Run(aws, one(**echo({})), role="powerless")
    assert (refused.status, refused.told["error"]) == ("FAILED", "Lambda.AWSLambdaException")
    assert "is not authorized to perform: lambda:InvokeFunction" in refused.told["cause"]


def test_an_exceptions_class_is_the_errors_name(aws: Runtime) -> None:
    """Retry and Catch go by it."""
    retry = [{"ErrorEquals": ["Retryable"], "IntervalSeconds": 5, "MaxAttempts": 2}]
    catch = [{"ErrorEquals": ["Retryable"], "Output": "{% $states.errorOutput %}", "Next": "Done"}]
    states = {"A": {**echo({"raise": "Retryable"}, Retry=retry, Catch=catch), "End": True}, "Done": {"Type": "Succeed"}}
    started = time.monotonic()
    run = Run(aws, {"StartAt": "A", "States": states})
    assert time.monotonic() - started < 15  # seconds of pauses, scaled
    assert run.output["Error"] == "Retryable"
    assert json.loads(run.output["Cause"])["errorMessage"] == "as told"
    assert [event["type"] for event in run.history()].count("TaskFailed") == 3


@pytest.mark.parametrize(
    ("state", "error"),
    [
        (echo({"exit": True}), "Runtime.ExitError"),
        (echo({"sleep": 5}, TimeoutSeconds=1), "States.Timeout"),
        ({**echo({}), "Arguments": {"FunctionName": "absent"}}, "Lambda.ResourceNotFoundException"),
        (
            {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:iam:getRole", "Arguments": {"RoleName": "absent"}},
            "Iam.NoSuchEntityException",
        ),
    ],
)
def test_errors_are_named_as_on_aws(aws: Runtime, state: dict[str, Any], error: str) -> None:
    """Of the runtime, of a task's timeout, of the Lambda service, of an SDK call."""
    run = Run(aws, one(**state))
    assert (run.status, run.told["error"]) == ("FAILED", error)


def test_sdk_results_are_plain_json(aws: Runtime) -> None:
    """Dates are text, and member names are spelled as Step Functions spells them."""
    output = {"name": "{% $states.result.Role.RoleName %}", "made": "{% $states.result.Role.CreateDate %}"}
    state = {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:iam:getRole", "Arguments": {"RoleName": "worker"}}
    told = Run(aws, one(**state, Output=output)).output
    assert told["name"] == "worker"
    assert told["made"].endswith("Z")


def test_java_spelling_of_services() -> None:
    """The prefix of SDK errors is the name in the AWS SDK for Java."""
    services = ("iam", "eks", "s3", "s3control", "sagemaker", "dynamodb", "organizations", "sfn", "sts")
    assert [java_name(name) for name in services] == [
        "Iam", "Eks", "S3", "S3Control", "SageMaker", "DynamoDb", "Organizations", "Sfn", "Sts"
    ]  # fmt: skip


def test_a_tasks_credentials_are_assumed_by_the_machines_role(aws: Runtime) -> None:
    """Both the machine's policy and the other role's trust must allow it."""
    state = echo({}, Credentials={"RoleArn": f"arn:aws:iam::{HUB}:role/other"})
    assert "is not authorized to perform: sts:AssumeRole" in Run(aws, one(**state)).told["cause"]
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{HUB}:role/machine"},
        "Action": "sts:AssumeRole",
    }
    iam = aws.client("iam")
    iam.create_role(RoleName="other", AssumeRolePolicyDocument=json.dumps(document(trust)))
    allowed = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "*"}
    iam.put_role_policy(RoleName="other", PolicyName="allowed", PolicyDocument=json.dumps(document(allowed)))
    assert Run(aws, one(**state)).status == "SUCCEEDED"


def test_states_all_does_not_catch_a_payload_that_is_too_large(aws: Runtime) -> None:
    """256 KiB between states; ``States.DataLimitExceeded`` must be named to be caught."""
    big = "{% $join($map([1..30000], function($v) { '0123456789' })) %}"
    run = Run(aws, one(Type="Pass", Output=big))
    assert (run.status, run.told["error"]) == ("FAILED", "States.DataLimitExceeded")


# --- Map and Parallel ------------------------------------------------------------------------------------------------


def test_nested_failures_are_caught_where_they_say(aws: Runtime) -> None:
    """A Parallel within a Map catches its branch's error, item by item."""
    branch = {"StartAt": "Fail", "States": {"Fail": {"Type": "Fail", "Error": "Oops", "Cause": "a branch"}}}
    catch = [{"ErrorEquals": ["Oops"], "Output": "{% $states.errorOutput.Cause %}", "Next": "Caught"}]
    inner = {
        "StartAt": "Both",
        "States": {
            "Both": {"Type": "Parallel", "Branches": [branch], "Catch": catch, "End": True},
            "Caught": {"Type": "Succeed"},
        },
    }
    run = Run(aws, one(Type="Map", Items=[1, 2, 3], MaxConcurrency=2, ItemProcessor=inner))
    assert run.output == ["a branch"] * 3


@pytest.mark.parametrize(
    ("tolerance", "status"),
    [({}, "FAILED"), ({"ToleratedFailurePercentage": 25}, "SUCCEEDED"), ({"ToleratedFailurePercentage": 20}, "FAILED"),
     ({"ToleratedFailureCount": 1}, "SUCCEEDED")],
)  # fmt: skip
def test_a_distributed_map_fails_beyond_its_tolerance(aws: Runtime, tolerance: dict[str, int], status: str) -> None:
    """One item in four fails; the tolerance may be a whole number."""
    run = Run(aws, _distributed("{% $states.input = 2 %}", **tolerance))
    assert run.status == status
    if status == "FAILED":
        assert run.told["error"] == "States.ExceedToleratedFailureThreshold"


def test_a_distributed_map_does_not_see_outer_variables(aws: Runtime) -> None:
    """Its items are executions of their own."""
    definition = _distributed("{% $outer = 1 %}")
    definition["States"]["Set"] = {"Type": "Pass", "Assign": {"outer": 1}, "Next": "Only"}
    with pytest.raises(ClientError, match=r"Variable \$outer is not assigned by any state of its scope"):
        create(aws, {**definition, "StartAt": "Set"})


def _distributed(condition: str, **more: Any) -> dict[str, Any]:
    inner = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "Choose",
        "States": {
            "Choose": {"Type": "Choice", "Choices": [{"Condition": condition, "Next": "Fail"}], "Default": "Good"},
            "Fail": {"Type": "Fail", "Error": "Bad"},
            "Good": {"Type": "Pass", "End": True},
        },
    }
    return one(Type="Map", Items=[1, 2, 3, 4], ItemProcessor=inner, **more)


def test_an_item_of_a_distributed_map_is_an_execution_of_its_own(aws: Runtime) -> None:
    """``Execution`` in its context is the item's: its input is what ItemSelector chose, its ARN has the Map's label."""
    told = {"input": "{% $states.context.Execution.Input %}", "arn": "{% $states.context.Execution.Id %}"}
    inner = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "Tell",
        "States": {"Tell": {"Type": "Pass", "Output": told, "End": True}},
    }
    selector = {"item": "{% $states.context.Map.Item.Value %}", "outer": "{% $outer %}"}
    state = {"Type": "Map", "Label": "each", "Items": [1, 2], "MaxConcurrency": 1, "ItemSelector": selector}
    states = {
        "Set": {"Type": "Pass", "Assign": {"outer": "known"}, "Next": "Each"},
        "Each": {**state, "ItemProcessor": inner, "End": True},
    }
    run = Run(aws, {"StartAt": "Set", "States": states})
    assert [item["input"] for item in run.output] == [{"item": number, "outer": "known"} for number in (1, 2)]
    prefix = run.machine.replace(":stateMachine:", ":execution:") + "/each:"
    assert len({item["arn"] for item in run.output if item["arn"].startswith(prefix)}) == 2


def test_a_distributed_map_may_have_no_items(aws: Runtime) -> None:
    """An empty list is an empty result."""
    state = _distributed("{% false %}")["States"]["Only"]
    assert Run(aws, one(**{**state, "Items": []})).output == []


@pytest.mark.parametrize("lacking", ["states:StartExecution", "states:DescribeExecution", "states:StopExecution"])
def test_a_distributed_map_needs_permissions_on_its_own_machine(aws: Runtime, lacking: str) -> None:
    """The role starts, follows and stops the items' executions ("IAM policies for using Distributed Map states")."""
    actions = {"states:StartExecution", "states:DescribeExecution", "states:StopExecution"} - {lacking}
    name = f"without-{lacking.partition(':')[2]}"
    aws.role(name, "states.amazonaws.com", sorted(actions))
    run = Run(aws, _distributed("{% false %}"), role=name)
    assert run.told["error"] == "States.Permissions"
    assert f"is not authorized to perform: {lacking}" in run.told["cause"]


# --- executions that start executions --------------------------------------------------------------------------------


def test_a_task_starts_an_execution_and_does_not_wait(aws: Runtime) -> None:
    """Input may be an object; a second start under the name of one that ended is an error of its own name."""
    inner = create(aws, one(Type="Pass", Output="{% $states.input %}"))
    run = Run(aws, _starting(inner, "once"))
    assert run.output["ExecutionArn"] == inner.replace(":stateMachine:", ":execution:") + ":once"
    delivery.settle()
    told = aws.client("stepfunctions").describe_execution(executionArn=run.output["ExecutionArn"])
    assert json.loads(told["output"]) == {"n": 1}
    assert Run(aws, _starting(inner, "once", n=2)).told["error"] == "StepFunctions.ExecutionAlreadyExistsException"


def test_a_refused_start_of_an_execution_has_step_functions_own_error_name(aws: Runtime) -> None:
    """IAM's refusal is no error of the API's model; a machine that does not exist is."""
    existing = create(aws, one(Type="Pass"))
    refused = Run(aws, _starting(existing, "refused"), role="starts-nothing")
    assert refused.told["error"] == "StepFunctions.AWSStepFunctionsException"
    assert "is not authorized to perform: states:StartExecution" in refused.told["cause"]
    unknown = Run(aws, _starting(existing + "-gone", "unknown"))
    assert unknown.told["error"] == "StepFunctions.StateMachineDoesNotExistException"


def _starting(machine: str, name: str, n: int = 1) -> dict[str, Any]:
    arguments = {"StateMachineArn": machine, "Name": name, "Input": {"n": n}}
    return one(Type="Task", Resource="arn:aws:states:::states:startExecution", Arguments=arguments)


# --- definitions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("states", "problem"),
    [
        ({"A": {"Type": "Pass", "Next": "Nowhere"}}, "Missing 'Next' target: Nowhere at /States/A/Next"),
        ({"B": {"Type": "Succeed"}}, "Missing 'StartAt' target: A at /StartAt"),
        ({"A": {"Type": "Succeed"}, "B": {"Type": "Succeed"}}, 'State "B" is not reachable'),
        (
            {"A": {"Type": "Choice", "Choices": [{"Condition": "{% true %}", "Next": "A"}], "Default": "Nowhere"}},
            "/States/A/Default",
        ),
        (
            {"A": {**echo({}), "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Nowhere"}], "End": True}},
            "Catch[0]/Next",
        ),
        ({"A": {"Type": "Pass", "Output": "{% 1 + %}", "End": True}}, "INVALID_JSONATA_EXPRESSION"),
        ({"A": {"Type": "Pass", "Output": "{% $never %}", "End": True}}, "Variable $never is not assigned"),
        (
            {
                "A": {
                    "Type": "Parallel",
                    "Branches": [{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}],
                    "End": True,
                }
            },
            "Duplicate State name: A",
        ),
    ],
)
def test_a_definition_with_a_mistake_is_refused(aws: Runtime, states: dict[str, Any], problem: str) -> None:
    """CreateStateMachine names the mistake and its place."""
    with pytest.raises(ClientError) as refusal:
        create(aws, {"StartAt": "A", "States": states})
    assert refusal.value.response["Error"]["Code"] == "InvalidDefinition"
    assert problem in refusal.value.response["Error"]["Message"]


def test_a_map_and_a_task_take_their_bounds_from_expressions(aws: Runtime) -> None:
    """MaxConcurrency and TimeoutSeconds may be JSONata ("Map workflow state", "Task workflow state")."""
    task = echo({"sleep": 30}, End=True, TimeoutSeconds="{% $states.input + 0 %}")
    task["Catch"] = [{"ErrorEquals": ["States.Timeout"], "Output": "late", "Next": "Over"}]
    inner = {
        "ProcessorConfig": {"Mode": "INLINE"},
        "StartAt": "Late",
        "States": {"Late": task, "Over": {"Type": "Succeed"}},
    }
    run = Run(aws, one(Type="Map", Items=[1], MaxConcurrency="{% $min([1, 2]) %}", ItemProcessor=inner))
    assert run.output == ["late"]


def test_a_role_that_does_not_trust_step_functions_is_refused(aws: Runtime) -> None:
    """Already when the machine is made."""
    with pytest.raises(ClientError, match="Neither the global service principal") as refusal:
        create(aws, one(Type="Pass"), role="worker")
    assert refusal.value.response["Error"]["Code"] == "AccessDeniedException"


# --- executions ------------------------------------------------------------------------------------------------------


def test_starting_twice_is_one_execution_while_it_runs(aws: Runtime) -> None:
    """Same name and input: same answer, with the same date. Another input, or after the end: refused."""
    client, machine = aws.client("stepfunctions"), create(aws, one(Type="Wait", Seconds=200))
    first = client.start_execution(stateMachineArn=machine, name="once", input="{}")
    again = client.start_execution(stateMachineArn=machine, name="once", input="{}")
    assert (first["executionArn"], first["startDate"]) == (again["executionArn"], again["startDate"])
    assert _refusal(client.start_execution, stateMachineArn=machine, name="once", input='{"a": 1}') == (
        "ExecutionAlreadyExists"
    )
    delivery.settle()
    assert _refusal(client.start_execution, stateMachineArn=machine, name="once", input="{}") == (
        "ExecutionAlreadyExists"
    )


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"name": "a b"}, "InvalidName"),
        ({"name": "a#b"}, "InvalidName"),
        ({"name": "x" * 81}, "ValidationException"),
        ({"input": "{no"}, "InvalidExecutionInput"),
        ({"input": json.dumps("x" * 262144)}, "ValidationException"),
    ],
)
def test_bad_names_and_inputs_are_refused(aws: Runtime, parameters: dict[str, str], code: str) -> None:
    """As StartExecution documents."""
    machine = create(aws, one(Type="Pass"))
    assert _refusal(aws.client("stepfunctions").start_execution, stateMachineArn=machine, **parameters) == code


def _refusal(call: Any, **parameters: Any) -> str:
    with pytest.raises(ClientError) as refusal:
        call(**parameters)
    return str(refusal.value.response["Error"]["Code"])


def test_an_execution_without_a_name_gets_one(aws: Runtime) -> None:
    """moto names it ``None``, so that the second start fails."""
    client, machine = aws.client("stepfunctions"), create(aws, one(Type="Pass"))
    arns = {client.start_execution(stateMachineArn=machine)["executionArn"] for _ in range(2)}
    assert len(arns) == 2


def test_stopping_ends_an_execution_at_once(aws: Runtime) -> None:
    """Although its task still runs; what the task returns later changes nothing."""
    client, machine = aws.client("stepfunctions"), create(aws, one(**echo({"sleep": 1})))
    arn = client.start_execution(stateMachineArn=machine)["executionArn"]
    time.sleep(0.3)
    stopped = client.stop_execution(executionArn=arn, error="Halt", cause="because")["stopDate"]
    told = client.describe_execution(executionArn=arn)
    assert (told["status"], told["error"], told["cause"], told["stopDate"]) == ("ABORTED", "Halt", "because", stopped)
    delivery.settle()
    assert client.describe_execution(executionArn=arn)["status"] == "ABORTED"
    assert client.get_execution_history(executionArn=arn)["events"][-1]["type"] == "ExecutionAborted"


def test_a_failed_execution_is_redriven_from_the_state_that_failed(aws: Runtime) -> None:
    """It goes on under its ARN, with its variables, and what was done is not done again (API reference)."""
    first = echo({"n": 1}, Assign={"n": "{% $states.result.Payload.n %}"}, Next="Second")
    find = {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:iam:getRole", "Arguments": {"RoleName": "late"}}
    second = {**find, "Output": "{% $n + 1 %}", "End": True}
    run = Run(aws, {"StartAt": "First", "States": {"First": first, "Second": second}})
    assert (run.status, run.told["redriveStatus"]) == ("FAILED", "REDRIVABLE")
    aws.role("late", "lambda.amazonaws.com")
    states = aws.client("stepfunctions")
    assert "redriveDate" in states.redrive_execution(executionArn=run.arn)
    told = eventually(run._ended)
    assert (told["status"], told["output"], told["redriveCount"]) == ("SUCCEEDED", "2", 1)
    history = run.history()
    assert [event["id"] for event in history] == [*range(1, len(history) + 1)]
    entered = [event["stateEnteredEventDetails"]["name"] for event in history if "stateEnteredEventDetails" in event]
    assert entered == ["First", "Second", "Second"]
    assert "ExecutionRedriven" in {event["type"] for event in history}
    assert _refusal(states.redrive_execution, executionArn=run.arn) == "ExecutionNotRedrivable"


def test_a_stopped_execution_is_redriven_whatever_its_task_still_does(aws: Runtime) -> None:
    """The function of the first attempt runs on; its return neither ends nor feeds the second."""
    states = aws.client("stepfunctions")
    machine = create(aws, one(**echo({"sleep": 1})))
    arn = states.start_execution(stateMachineArn=machine, input="{}")["executionArn"]
    time.sleep(0.5)
    states.stop_execution(executionArn=arn)
    states.redrive_execution(executionArn=arn)
    time.sleep(0.8)
    assert states.describe_execution(executionArn=arn)["status"] == "RUNNING"
    told = eventually(lambda: _ended(states, arn))
    assert (told["status"], told["redriveCount"]) == ("SUCCEEDED", 1)


def _ended(states: Any, arn: str) -> Any:
    told = states.describe_execution(executionArn=arn)
    return told if told["status"] != "RUNNING" else None


def test_a_machines_timeout_ends_it(aws: Runtime) -> None:
    """It is in real time, and tells its stop date (moto does not)."""
    run = Run(aws, {**one(Type="Wait", Seconds=10_000), "TimeoutSeconds": 1})
    # the service's own answer to DescribeExecution has neither error nor cause then
    assert (run.status, run.told.keys() & {"error", "cause"}) == ("TIMED_OUT", set())
    assert run.told["stopDate"] > run.told["startDate"]


def test_executions_are_listed_by_status_in_pages(aws: Runtime) -> None:
    """Newest first."""
    client, machine = aws.client("stepfunctions"), create(aws, one(Type="Pass"))
    for number in range(3):
        client.start_execution(stateMachineArn=machine, name=f"run-{number}")
        delivery.settle()
    pages = client.get_paginator("list_executions").paginate(
        stateMachineArn=machine, statusFilter="SUCCEEDED", PaginationConfig={"PageSize": 2}
    )
    listed = [[execution["name"] for execution in page["executions"]] for page in pages]
    assert listed == [["run-2", "run-1"], ["run-0"]]
    assert client.list_executions(stateMachineArn=machine, statusFilter="FAILED")["executions"] == []


def test_an_execution_that_is_listed_has_a_status(aws: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever lists executions while another one is being started sees it RUNNING (ListExecutions)."""
    client, stock = aws.client("stepfunctions"), Execution.start
    seen: list[str] = []

    def start(self: Execution) -> None:
        seen.append(self.status)
        stock(self)

    monkeypatch.setattr(Execution, "start", start)
    machine = create(aws, {"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
    client.start_execution(stateMachineArn=machine)
    assert seen == ["RUNNING"]


def test_the_history_can_be_paged_reversed_and_stripped(aws: Runtime) -> None:
    """What an audit needs: every event once, in order, with or without data."""
    run = Run(aws, one(**echo({"secret": 1})))
    whole = run.history()
    assert [event["type"] for event in whole] == [
        "ExecutionStarted", "TaskStateEntered", "TaskScheduled", "TaskStarted", "TaskSucceeded", "TaskStateExited",
        "ExecutionSucceeded",
    ]  # fmt: skip
    assert [event["id"] for event in run.history(reverseOrder=True)] == [event["id"] for event in whole][::-1]
    pages = (
        aws.client("stepfunctions")
        .get_paginator("get_execution_history")
        .paginate(executionArn=run.arn, PaginationConfig={"PageSize": 3})
    )
    assert [event["id"] for page in pages for event in page["events"]] == [event["id"] for event in whole]
    assert "secret" in json.dumps(whole, default=str)
    assert "secret" not in json.dumps(run.history(includeExecutionData=False), default=str)


def test_status_changes_are_events_on_the_default_bus(aws: Runtime) -> None:
    """With the documented detail, for the start and for the end."""
    url, queue = aws.queue("status")
    events = aws.client("events")
    pattern = {"source": ["aws.states"], "detail": {"name": ["watched"]}}
    aws.open_queue(url, queue, events.put_rule(Name="status", EventPattern=json.dumps(pattern))["RuleArn"])
    events.put_targets(Rule="status", Targets=[{"Id": "one", "Arn": queue}])
    machine = create(aws, {"StartAt": "Only", "States": {"Only": {"Type": "Fail", "Error": "Oops", "Cause": "told"}}})
    arn = aws.client("stepfunctions").start_execution(stateMachineArn=machine, name="watched", input='{"a": 1}')
    delivery.settle()
    told = [json.loads(message["Body"]) for message in aws.messages(url)]
    by_status = {event["detail"]["status"]: event for event in told}
    assert by_status.keys() == {"RUNNING", "FAILED"}
    assert by_status["RUNNING"]["detail"]["stopDate"] is None
    failed = by_status["FAILED"]
    assert (failed["detail-type"], failed["account"], failed["region"]) == (
        "Step Functions Execution Status Change", HUB, REGION
    )  # fmt: skip
    assert failed["resources"] == [arn["executionArn"]]
    detail = failed["detail"]
    assert (detail["error"], detail["cause"], json.loads(detail["input"])) == ("Oops", "told", {"a": 1})
    assert detail["stopDate"] >= detail["startDate"] > 1_000_000_000_000


def test_what_has_ended_is_looked_at_no_more(aws: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """An execution runs until it ends, and again once it is redriven; who asks what runs looks through no other."""
    states = aws.client("stepfunctions")
    machine = create(aws, one(Type="Wait", Seconds=3600))
    arn = states.start_execution(stateMachineArn=machine)["executionArn"]
    assert arn in state_machines.running()
    states.stop_execution(executionArn=arn)
    assert arn not in state_machines.running()
    states.redrive_execution(executionArn=arn)
    assert arn in state_machines.running()
    states.stop_execution(executionArn=arn)
    assert arn not in state_machines.running()
    looked_at: list[str] = []
    monkeypatch.setattr(
        Execution, "exec_status", property(lambda execution: looked_at.append(execution.name)), raising=False
    )
    state_machines.running()
    assert looked_at == []
