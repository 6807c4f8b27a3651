"""Executions: starting, stopping, describing and auditing them as the API reference says, and their events.

moto's answers lack fields, its StopExecution waits for the running task, and it emits no events. Sources: the Step
Functions API reference, and "Automating Step Functions event delivery with EventBridge".
"""

import json
import re
import threading
import time
import uuid
from datetime import datetime
from typing import Any

from moto.core.exceptions import AWSError
from moto.core.responses import ActionResult
from moto.stepfunctions.exceptions import InvalidExecutionInput, NameTooLongException, ValidationException
from moto.stepfunctions.parser.api import ExecutionStatus, HistoryEventType
from moto.stepfunctions.parser.backend.execution import BaseExecutionWorkerCommunication, Execution
from moto.stepfunctions.parser.models import StepFunctionsParserBackend
from moto.stepfunctions.responses import StepFunctionResponse

from podshare_sandbox import clock, delivery
from podshare_sandbox.delivery import background
from podshare_sandbox.moto_extension import page
from podshare_sandbox.moto_repair import repair
from podshare_sandbox.state_machines import redriving

_LONGEST_NAME = 80
_ILLEGAL_IN_NAMES = re.compile(r"[\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]")
_LARGEST_INPUT = 256 * 1024  # bytes, as UTF-8
_LARGEST_EVENT_DATA = 248 * 1024
_LARGEST_PAGE = 1000
_EXECUTION_DATA = {"input", "output", "parameters", "result", "assignedVariables"}

_starting = threading.Lock()
_looking = threading.Lock()
_under_way: dict[str, Execution] = {}
"""By their ARNs, those that were started or redriven and had not ended when somebody looked last."""


class InvalidName(AWSError):  # noqa: N818  # the name on the wire
    """An execution's name holds a character that it may not."""

    TYPE = "InvalidName"

    def __init__(self, name: str) -> None:
        super().__init__(f"Invalid Name: '{name}'")


def install() -> None:
    """Repair the operations on executions and emit their events."""
    with _looking:
        _under_way.clear()
    repair(StepFunctionsParserBackend, "start_execution", _starting_once)
    repair(Execution, "status", _status)
    repair(BaseExecutionWorkerCommunication, "terminated", _ending_once)
    repair(StepFunctionResponse, "describe_execution", _describing)
    repair(StepFunctionResponse, "list_executions", _listing)
    repair(StepFunctionResponse, "stop_execution", _stopping)
    repair(StepFunctionResponse, "get_execution_history", _telling_history)
    redriving.install(_emit)
    background.watch(running)


def running() -> list[str]:
    """The ARNs of all executions that have not ended; those that had when somebody looked are looked at no more."""
    with _looking:
        for arn, execution in list(_under_way.items()):
            if execution.exec_status != ExecutionStatus.RUNNING:
                del _under_way[arn]
        return list(_under_way)


def _starting_once(original: Any) -> Any:
    def start_execution(
        self: Any, state_machine_arn: str, name: Any = None, execution_input: Any = None, trace_header: Any = None
    ) -> Execution:
        name = name or str(uuid.uuid4())
        _check_name(name)
        if len((execution_input or "").encode()) > _LARGEST_INPUT:
            raise ValidationException(
                "1 validation error detected: Value at 'input' failed to satisfy constraint: "
                f"Member must have length less than or equal to {_LARGEST_INPUT}"
            )
        _check_json(execution_input)
        with _starting:  # two starts of one name are one execution
            before = len(self.describe_state_machine(state_machine_arn).executions)
            execution: Execution = original(self, state_machine_arn, name, execution_input, trace_header)
            is_new = len(self.describe_state_machine(state_machine_arn).executions) > before
        if is_new:
            _emit(execution, "RUNNING")
        return execution

    return start_execution


def _check_json(text: str | None) -> None:
    try:
        json.loads(text or "{}")
    except ValueError as error:
        raise InvalidExecutionInput(f"Invalid State Machine Execution Input: '{error}'") from error


def _check_name(name: str) -> None:
    if len(name) > _LONGEST_NAME:
        raise NameTooLongException(name)
    if _ILLEGAL_IN_NAMES.search(name):
        raise InvalidName(name)


def _status(_original: Any) -> Any:
    """An execution runs from its beginning: moto lists it a moment before it says so."""
    return property(lambda self: str((self.exec_status or ExecutionStatus.RUNNING).value))


def _ending_once(original: Any) -> Any:
    """An execution that was stopped stays stopped when the task that it was running comes back.

    So does one that has been redriven since: it runs in another worker.
    """

    def terminated(self: BaseExecutionWorkerCommunication) -> None:
        execution: Any = self.execution
        is_present = execution.exec_worker._execution_communication is self
        if execution.exec_status != ExecutionStatus.RUNNING or not is_present:
            return
        original(self)
        _emit(execution, execution.status)

    return terminated


def _stopping(_original: Any) -> Any:
    def stop_execution(self: StepFunctionResponse) -> ActionResult:
        execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
        if execution.status == ExecutionStatus.RUNNING:
            _abort(execution, self._get_param("error"), self._get_param("cause"))
        return ActionResult({"stopDate": execution.stop_date})

    return stop_execution


def _abort(execution: Any, error: str | None, cause: str | None) -> None:
    """End the execution at once; a Lambda function that one of its tasks called runs on."""
    while execution.exec_worker.env is None:  # its thread has not begun
        time.sleep(0.001)
    history = execution.to_history_output()["events"]
    execution.stop_date = clock.now()
    execution.error, execution.cause = error, cause
    execution.exec_status = ExecutionStatus.ABORTED
    told = {key: value for key, value in (("error", error), ("cause", cause)) if value is not None}
    execution.__dict__["_podshare_history"] = [
        *history,
        {
            "id": len(history) + 1,
            "previousEventId": len(history),
            "type": HistoryEventType.ExecutionAborted,
            "timestamp": f"{execution.stop_date:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
            "executionAbortedEventDetails": told,
        },
    ]
    execution.stop(stop_date=execution.stop_date, error=error, cause=cause)
    _emit(execution, execution.status)


def _describing(_original: Any) -> Any:
    def describe_execution(self: StepFunctionResponse) -> ActionResult:
        execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
        answer = {
            "executionArn": execution.execution_arn,
            "stateMachineArn": execution.state_machine_arn,
            "name": execution.name,
            "status": execution.status,
            "startDate": execution.start_date,
            "stopDate": execution.stop_date,
            "input": execution.execution_input,
            "inputDetails": {"included": True},
            "output": _output(execution),
            "outputDetails": {"included": True} if _output(execution) is not None else None,
            "error": execution.error,
            "cause": execution.cause,
            **_redrives(execution),
        }
        return ActionResult({key: value for key, value in answer.items() if value is not None})

    return describe_execution


def _redrives(execution: Any) -> dict[str, Any]:
    attempts, reason = redriving.attempts_of(execution), redriving.why_not(execution)
    return {
        "redriveCount": attempts.count,
        "redriveDate": attempts.redriven,
        "redriveStatus": "NOT_REDRIVABLE" if reason else "REDRIVABLE",
        "redriveStatusReason": reason or None,
    }


def _output(execution: Any) -> str | None:
    """The output as JSON text, of an execution that succeeded."""
    if execution.status != ExecutionStatus.SUCCEEDED:
        return None
    return json.dumps(execution.output, separators=(",", ":"))


def _listing(_original: Any) -> Any:
    def list_executions(self: StepFunctionResponse) -> ActionResult:
        machine_arn = self._get_param("stateMachineArn")
        executions, token = self.stepfunction_backend.list_executions(
            machine_arn,
            status_filter=self._get_param("statusFilter"),
            max_results=self._get_int_param("maxResults"),
            next_token=self._get_param("nextToken"),
        )
        items = [
            {
                "executionArn": execution.execution_arn,
                "stateMachineArn": execution.state_machine_arn,
                "name": execution.name,
                "status": execution.status,
                "startDate": execution.start_date,
                **({"stopDate": execution.stop_date} if execution.stop_date else {}),
                "redriveCount": redriving.attempts_of(execution).count,
                **({"redriveDate": date} if (date := redriving.attempts_of(execution).redriven) else {}),
            }
            for execution in executions
        ]
        return ActionResult({"executions": items, **({"nextToken": token} if token else {})})

    return list_executions


def _telling_history(_original: Any) -> Any:
    def get_execution_history(self: StepFunctionResponse) -> ActionResult:
        execution: Any = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
        events = redriving.history_of(execution)
        if self._get_bool_param("reverseOrder"):
            events = events[::-1]
        if self._get_bool_param("includeExecutionData") is False:
            events = [_without_data(event) for event in events]
        limit = self._get_int_param("maxResults") or _LARGEST_PAGE
        shown, token = page(events, limit, self._get_param("nextToken"), _LARGEST_PAGE)
        return ActionResult({"events": shown, **({"nextToken": token} if token else {})})

    return get_execution_history


def _without_data(event: dict[str, Any]) -> dict[str, Any]:
    return {
        key: {name: member for name, member in value.items() if name not in _EXECUTION_DATA}
        if isinstance(value, dict)
        else value
        for key, value in event.items()
    }


def _emit(execution: Any, status: str) -> None:
    """Put a ``Step Functions Execution Status Change`` event on the account's default bus."""
    if status == ExecutionStatus.RUNNING:
        with _looking:
            _under_way[execution.execution_arn] = execution
    output = _output(execution) if status == ExecutionStatus.SUCCEEDED else None
    attempts = redriving.attempts_of(execution)
    is_small = len(execution.execution_input.encode()) + len((output or "").encode()) <= _LARGEST_EVENT_DATA
    detail = {
        "executionArn": execution.execution_arn,
        "stateMachineArn": execution.state_machine_arn,
        "name": execution.name,
        "status": str(status),
        "startDate": _milliseconds(execution.start_date),
        "stopDate": _milliseconds(execution.stop_date) if status != ExecutionStatus.RUNNING else None,
        "input": execution.execution_input if is_small else None,
        "output": output if is_small else None,
        "stateMachineVersionArn": None,
        "stateMachineAliasArn": None,
        "redriveCount": attempts.count,
        "redriveDate": _milliseconds(attempts.redriven) if attempts.redriven else None,
        "redriveStatus": "NOT_REDRIVABLE" if redriving.why_not(execution) else "REDRIVABLE",
        "inputDetails": {"included": is_small},
        "outputDetails": {"included": is_small} if output is not None else None,
        "error": execution.error,
        "cause": execution.cause,
    }
    event = {
        "detail-type": "Step Functions Execution Status Change",
        "source": "aws.states",
        "resources": [execution.execution_arn],
        "detail": detail,
    }
    delivery.put_event(execution.account_id, execution.region_name, event)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
