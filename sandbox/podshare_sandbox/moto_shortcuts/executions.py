"""Step Functions: an execution's data, which are JSON, and its events."""

from types import SimpleNamespace
from typing import Any

from moto.stepfunctions.parser.api import HistoryEventList
from moto.stepfunctions.parser.asl.component.common.path import result_path
from moto.stepfunctions.parser.asl.component.common.string import string_expression
from moto.stepfunctions.parser.asl.component.component import Component
from moto.stepfunctions.parser.asl.component.state.exec import execute_state
from moto.stepfunctions.parser.asl.component.state.exec.state_map import state_map
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service
from moto.stepfunctions.parser.asl.eval import states
from moto.stepfunctions.parser.asl.eval.event import event_manager
from moto.stepfunctions.parser.asl.eval.event.event_manager import EventManager

from podshare_sandbox.json_copy import json_copy
from podshare_sandbox.moto_repair import repair


def install() -> None:
    """Take the shortcuts. Raises RuntimeError where a symbol of moto is gone."""
    for module in (states, result_path, string_expression, execute_state, state_map, state_task_service, event_manager):
        repair(module, "copy", _copying_json)
    repair(EventManager, "get_event_history", _copying_no_event)
    repair(Component, "__str__", _naming_the_class)


def _copying_json(_stock: Any) -> Any:
    """moto copies all that an execution knows for each look at it, as if it could be anything: a third of its time."""
    return SimpleNamespace(deepcopy=json_copy)


def _naming_the_class(_stock: Any) -> Any:
    """moto names each thread of a Parallel by its whole program, and logs that for each error that a state catches."""

    def name(self: Component) -> str:
        return type(self).__name__

    return name


def _copying_no_event(_stock: Any) -> Any:
    """An execution's events never change once they are there; moto copies all of them, deeply, for each look."""

    def get_event_history(self: EventManager) -> HistoryEventList:
        with self._mutex:
            return list(self._history_event_list)

    return get_event_history
