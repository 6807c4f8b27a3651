"""RedriveExecution: an execution that ended badly goes on from the state that it did not finish, under the same ARN.

A Map or Parallel state is redriven as a whole: on AWS its iterations and branches that were done stay done, so that
here more is repeated than there. Sources: the API reference, RedriveExecution and DescribeExecution; "Restarting state
machine executions with redrive" in the Step Functions Developer Guide.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from moto.core.exceptions import AWSError
from moto.core.responses import ActionResult
from moto.stepfunctions.parser.api import ExecutionStatus, HistoryEventType, StateMachineType
from moto.stepfunctions.parser.asl.component.common.flow.start_at import StartAt
from moto.stepfunctions.parser.asl.component.state.state import CommonStateField
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker
from moto.stepfunctions.responses import StepFunctionResponse

from podshare_sandbox import clock
from podshare_sandbox.json_copy import json_copy
from podshare_sandbox.moto_repair import repair

_MOST_REDRIVES = 1000
_PERIOD_SECONDS = 14 * 24 * 3600
_UNSUCCESSFUL = (ExecutionStatus.FAILED, ExecutionStatus.ABORTED, ExecutionStatus.TIMED_OUT)


class ExecutionNotRedrivable(AWSError):  # noqa: N818  # the name on the wire
    """An execution that cannot go on."""

    TYPE = "ExecutionNotRedrivable"


@dataclass
class _Attempts:
    """The attempts of an execution before the present one: how many, since when the present one runs, their events."""

    count: int = 0
    redriven: datetime | None = None
    events: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class _Entered:
    """Where a program is: its state, with what that was given."""

    state: str
    given: Any
    variables: dict[str, Any]


def install(emit: Callable[[Any, str], None]) -> None:
    """Add the operation; ``emit`` tells EventBridge of an execution's status."""
    repair(CommonStateField, "_eval_body", _remembering)

    def redrive_execution(self: StepFunctionResponse) -> ActionResult:
        execution: Any = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
        if reason := why_not(execution):
            raise ExecutionNotRedrivable(reason)
        _redrive(execution)
        emit(execution, execution.status)
        return ActionResult({"redriveDate": attempts_of(execution).redriven})

    StepFunctionResponse.redrive_execution = redrive_execution  # type: ignore[attr-defined]  # moto has none


def _remembering(original: Any) -> Any:
    """Keep where the program is; not where its Maps and Parallels are within themselves."""

    def eval_body(self: CommonStateField, env: Any) -> None:
        if not env.is_frame():
            variables = json_copy(env.variable_store._inner_scope)
            env._podshare_entered = _Entered(self.name, env.states.get_input(), variables)
        original(self, env)

    return eval_body


def attempts_of(execution: Any) -> _Attempts:
    """What came before the execution's present attempt."""
    found: _Attempts = execution.__dict__.setdefault("_podshare_attempts", _Attempts())
    return found


def why_not(execution: Any) -> str:
    """Why an execution cannot be redriven; empty if it can."""
    if execution.sm_type != StateMachineType.STANDARD:
        return "Redrive is not supported for EXPRESS state machines"
    if execution.exec_status not in _UNSUCCESSFUL:
        return f"Execution is {execution.status} and cannot be redriven"
    if clock.passed(execution.stop_date, _PERIOD_SECONDS):
        return "Execution has exceeded the redrivable period of 14 days"
    if attempts_of(execution).count >= _MOST_REDRIVES:
        return f"Execution has been redriven {_MOST_REDRIVES} times"
    return ""


def _redrive(execution: Any) -> None:
    earlier = attempts_of(execution)
    entered: _Entered | None = getattr(execution.exec_worker.env, "_podshare_entered", None)
    events = history_of(execution)
    now = clock.now()
    redriven = {
        "id": len(events) + 1,
        "previousEventId": 0,
        "type": HistoryEventType.ExecutionRedriven,
        "timestamp": f"{now:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
        "executionRedrivenEventDetails": {"redriveCount": earlier.count + 1},
    }
    execution.__dict__["_podshare_attempts"] = _Attempts(earlier.count + 1, now, (*events, redriven))
    execution.__dict__.pop("_podshare_history", None)
    execution.stop_date = execution.error = execution.cause = None
    worker = execution._get_start_execution_worker()
    worker.__class__ = _Redriven
    worker.env = _environment(worker, entered)  # before it runs, so that it can be stopped at once
    worker.first_state = entered.state if entered else None
    execution.exec_worker = worker
    execution.exec_status = ExecutionStatus.RUNNING
    worker.start()


class _Redriven(ExecutionWorker):
    """Runs the program from a state in its middle."""

    first_state: str | None  # None: the execution was stopped before it came to any

    def _execution_logic(self) -> None:
        program: Any = copy.copy(self._get_evaluation_entrypoint())  # a definition is parsed once for all executions
        program.start_at = StartAt(self.first_state) if self.first_state else program.start_at
        program.eval(self.env)
        self._execution_communication.terminated()


def _environment(worker: ExecutionWorker, entered: _Entered | None) -> Any:
    env: Any = worker._get_evaluation_environment()
    if entered is None:
        return env
    env.states.reset(input_value=entered.given)  # which it copies
    env.variable_store._inner_scope.update(json_copy(entered.variables))
    return env


def history_of(execution: Any) -> list[dict[str, Any]]:
    """All events of all attempts, numbered through."""
    earlier = attempts_of(execution).events
    present = execution.__dict__.get("_podshare_history")
    if present is None:
        present = execution.to_history_output()["events"]
    return [*earlier, *(_renumbered(event, len(earlier)) for event in present)]


def _renumbered(event: dict[str, Any], offset: int) -> dict[str, Any]:
    return {**event, "id": event["id"] + offset, "previousEventId": event["previousEventId"] + offset}
