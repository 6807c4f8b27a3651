"""Wait states, the pauses between retries and transitions follow the sandbox's clock; timeouts stay as declared.

Pauses are scaled; a Timestamp is a moment, and is not.
"""

from datetime import datetime
from types import SimpleNamespace
from typing import Any

from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service_callback
from moto.stepfunctions.parser.asl.component.state.state import CommonStateField
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.timestamp import Timestamp
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import WaitFunction

from podshare_sandbox import clock, traffic
from podshare_sandbox.moto_repair import repair

_POLL_SECONDS = 0.02  # between looks at a ``.sync`` task; 0.5 in moto


def install() -> None:
    """Scale the pauses."""
    repair(WaitFunction, "_wait_interval", _scaled_wait)
    repair(Timestamp, "_get_wait_seconds", _by_utc)
    repair(retrier_decl, "time", _scaled_time)
    repair(CommonStateField, "_eval_body", _entering)
    repair(state_task_service_callback, "_DELAY_SECONDS_SYNC_CONDITION_CHECK", lambda _original: _POLL_SECONDS)


def _scaled_wait(_original: Any) -> Any:
    def wait(self: WaitFunction, env: Any, wait_seconds: float) -> None:
        seconds = wait_seconds if isinstance(self, Timestamp) else clock.scaled(wait_seconds)
        clock.wait(env.program_state_event, seconds)  # set when the execution is stopped or times out

    return wait


def _by_utc(original: Any) -> Any:
    """moto takes local time for UTC, in which a Timestamp is, and drops fractions: no wait ends sooner."""

    def get_wait_seconds(self: Timestamp, env: Any) -> float:
        zone = datetime.now().astimezone().utcoffset()
        return float(original(self, env) + (zone.total_seconds() if zone else 0) + 1)

    return get_wait_seconds


def _scaled_time(_original: Any) -> Any:
    return SimpleNamespace(sleep=clock.sleep)


def _entering(original: Any) -> Any:
    def eval_body(self: CommonStateField, env: Any) -> None:
        machine = env.states.context_object.context_object_data["StateMachine"]["Id"]
        traffic.passed(traffic.ENTER_STATE, f"{machine} {self.name}")
        original(self, env)

    return eval_body
