"""Distributed Map: item failures count, and outer variables are out of reach.

moto lets a distributed Map succeed whatever becomes of its items. Source: "Using Map state in Distributed mode".
"""

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

from podshare_sandbox.moto_repair import repair


def install() -> None:
    """Make distributed Maps fail when too many of their items do."""
    repair(distributed_iteration_component.DistributedIterationComponent, "_map_run", _failing_beyond_the_threshold)
    repair(distributed_item_processor_worker.DistributedItemProcessorWorker, "_eval_input", _closing_the_outer_scope)


def _failing_beyond_the_threshold(original: Any) -> Any:
    def map_run(self: Any, env: Any, eval_input: Any) -> None:
        original(self, env=env, eval_input=eval_input)
        counter = eval_input.map_run_record.item_counter.describe()
        failed = counter["failed"] + counter["timedOut"] + counter["aborted"]
        if _is_exceeded(failed, counter["total"], eval_input):
            raise FailureEventException(failure_event=_failure(env))

    return map_run


def _is_exceeded(failed: int, total: int, eval_input: Any) -> bool:
    """Either declared threshold is enough; 0 is both the default and what nobody declares beside the other."""
    count, percentage = eval_input.tolerated_failure_count, eval_input.tolerated_failure_percentage
    if not failed:
        return False
    if not count and not percentage:
        return True
    return bool((count and failed > count) or (percentage and failed / total * 100 > percentage))


def _failure(env: Any) -> FailureEvent:
    name = StatesErrorName(typ=StatesErrorNameType.StatesExceedToleratedFailureThreshold)
    cause = "The specified tolerated failure threshold was exceeded"
    told = ExecutionFailedEventDetails(error=name.error_name, cause=cause)
    details = cast(EventDetails, {"executionFailedEventDetails": told})
    return FailureEvent(env=env, error_name=name, event_type=HistoryEventType.MapStateFailed, event_details=details)


def _closing_the_outer_scope(original: Any) -> Any:
    """The child executions of a distributed Map see their input, but not the variables of the machine."""

    def eval_input(self: Any, env_frame: Any) -> None:
        original(self, env_frame=env_frame)
        store = env_frame.variable_store
        store._outer_scope.clear()
        store._outer_variable_declaration_cache = store._variable_declarations_cache = None

    return eval_input
