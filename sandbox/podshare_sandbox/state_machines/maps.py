"""Distributed Map: item failures count, each item is an execution of its own, and the machine's role must allow that.

moto lets a distributed Map succeed whatever becomes of its items, asks nobody, and runs the items as parts of the
parent execution; here too they have no history of their own, and their parent runs as long as they do. Sources: "Using
Map state in Distributed mode", "IAM policies for using Distributed Map states" and "Accessing execution data from the
Context object" in the Step Functions Developer Guide.
"""

import uuid
from typing import Any, cast

from moto.stepfunctions.parser.api import ExecutionFailedEventDetails, HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration import (
    distributed_iteration_component,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.itemprocessor import (
    distributed_item_processor_worker,
)
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails

from podshare_sandbox import authorization, clock
from podshare_sandbox.authorization import global_keys
from podshare_sandbox.authorization.authorize import authorize
from podshare_sandbox.authorization.call import Check
from podshare_sandbox.moto_repair import repair


def install() -> None:
    """Make distributed Maps fail when too many of their items do, or when their role does not suffice."""
    repair(distributed_iteration_component.DistributedIterationComponent, "_map_run", _failing_beyond_the_threshold)
    repair(distributed_item_processor_worker.DistributedItemProcessorWorker, "_eval_input", _being_an_execution)


def _failing_beyond_the_threshold(original: Any) -> Any:
    def map_run(self: Any, env: Any, eval_input: Any) -> None:
        _authorise(env, eval_input.map_run_record)
        try:
            original(self, env=env, eval_input=eval_input)
        finally:
            _settle_counts(eval_input.map_run_record)
        counter = eval_input.map_run_record.item_counter.describe()
        failed = counter["failed"] + counter["timedOut"] + counter["aborted"]
        if _is_exceeded(failed, counter["total"], eval_input):
            cause = "The specified tolerated failure threshold was exceeded"
            raise _failure(env, StatesErrorNameType.StatesExceedToleratedFailureThreshold, cause)

    return map_run


def _settle_counts(run: Any) -> None:
    """Nothing runs any more once a Map Run has ended, and without a ResultWriter no result was written.

    moto leaves an execution whose item failed among the running ones (API Reference, MapRunExecutionCounts).
    """
    for counter in (run.item_counter, run.execution_counter):
        counter.running.offset(-counter.running.get())
        counter.results_written.offset(-counter.results_written.get())


def _authorise(env: Any, run: Any) -> None:
    """The machine's role starts the items' executions, and follows and stops them."""
    machine = str(run.map_state_machine_arn).rpartition("/")[0]
    item = _execution_arn(run)
    try:
        credentials = authorization.assume_as_service(
            env.aws_execution_details.role_arn,
            "states.amazonaws.com",
            session_name=machine.rpartition(":")[2][:64],
            source_arn=machine,
            source_account=machine.split(":")[4],
        )
        role = authorization.identify(credentials.access_key)
        asked = (("states:StartExecution", machine), ("states:DescribeExecution", item), ("states:StopExecution", item))
        context = {
            **global_keys.in_role("states.amazonaws.com"),
            **global_keys.of_resource(role.account),
            "aws:requestedregion": global_keys.region_of(machine),
        }
        authorize(role, [Check(action, resource, context) for action, resource in asked])
    except authorization.AccessDenied as refusal:
        raise _failure(env, StatesErrorNameType.StatesPermissions, str(refusal)) from refusal


def _execution_arn(run: Any) -> str:
    """An ARN for one item's execution: the machine's name, the Map's label, and an id."""
    return f"{run.map_state_machine_arn}:{uuid.uuid4()}".replace(":stateMachine:", ":execution:")


def _is_exceeded(failed: int, total: int, eval_input: Any) -> bool:
    """Either declared threshold is enough; 0 is both the default and what nobody declares beside the other."""
    count, percentage = eval_input.tolerated_failure_count, eval_input.tolerated_failure_percentage
    if not failed:
        return False
    if not count and not percentage:
        return True
    return bool((count and failed > count) or (percentage and failed / total * 100 > percentage))


def _failure(env: Any, error: StatesErrorNameType, cause: str) -> FailureEventException:
    name = StatesErrorName(typ=error)
    told = ExecutionFailedEventDetails(error=name.error_name, cause=cause)
    details = cast(EventDetails, {"executionFailedEventDetails": told})
    event = FailureEvent(env=env, error_name=name, event_type=HistoryEventType.MapStateFailed, event_details=details)
    return FailureEventException(failure_event=event)


def _being_an_execution(original: Any) -> Any:
    """An item sees its own input, name and ARN as its execution's, and no variables of the machine."""

    def eval_input(self: Any, env_frame: Any) -> None:
        original(self, env_frame=env_frame)
        context = env_frame.states.context_object.context_object_data
        arn = _execution_arn(self._map_run_record)
        context["Execution"] = {
            **context["Execution"],
            "Id": arn,
            "Name": arn.rpartition(":")[2],
            "Input": env_frame.states.get_input(),
            "StartTime": f"{clock.now():%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
        }
        store = env_frame.variable_store
        store._outer_scope.clear()
        store._outer_variable_declaration_cache = store._variable_declarations_cache = None

    return eval_input
