"""What each field of a definition may hold: the rules that Step Functions checks before it runs anything.

Sources: Amazon States Language specification; Step Functions developer guide, pages of the states, "Handling errors",
"Transforming data with JSONata" and "Passing data between states with variables". Where answers of the service were
published, the messages are those; the others are the sandbox's.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import botocore.session
from botocore.exceptions import UnknownServiceError

from podshare_sandbox.state_machines.scopes import Definition, Scope

_MOST_SECONDS = 99_999_999
_MOST_DELAY = 31_622_400
_EXPRESSION = re.compile(r"\{%.*%\}", re.DOTALL)
_SDK = re.compile(r"arn:aws:states:::aws-sdk:(?P<service>[a-z0-9]+):(?P<action>[A-Za-z0-9]+)(\.waitForTaskToken)?")
_SDK_SERVICES = {"sfn": "stepfunctions", "eventbridge": "events"}  # where the SDK for Java has another name

_PATHS = {"InputPath", "OutputPath", "Parameters", "ResultPath", "ResultSelector"}
_JSONPATH_ONLY = _PATHS | {
    *("Result", "ItemsPath", "SecondsPath", "TimestampPath", "TimeoutSecondsPath", "HeartbeatSecondsPath"),
    *("ErrorPath", "CausePath", "MaxConcurrencyPath", "ToleratedFailurePercentagePath", "ToleratedFailureCountPath"),
}
_JSONATA_ONLY = {"Arguments", "Output", "Items"}
_EVERYWHERE = {"Type", "Comment", "QueryLanguage"}
_GOES_ON = {"Next", "End", "Assign", "Output", "InputPath", "OutputPath"}
_CALLS = _GOES_ON | _PATHS | {"Arguments", "Retry", "Catch"}
_TIMES = {"TimeoutSeconds", "TimeoutSecondsPath", "HeartbeatSeconds", "HeartbeatSecondsPath"}
_FIELDS = {
    "Task": _CALLS | _TIMES | {"Resource", "Credentials"},
    "Parallel": _CALLS | {"Branches"},
    "Map": _CALLS
    | {
        *("Items", "ItemsPath", "ItemSelector", "ItemProcessor", "Iterator", "MaxConcurrency", "MaxConcurrencyPath"),
        *("ItemReader", "ItemBatcher", "ResultWriter", "Label", "ToleratedFailureCount", "ToleratedFailureCountPath"),
        *("ToleratedFailurePercentage", "ToleratedFailurePercentagePath"),
    },
    "Pass": _GOES_ON | {"Result", "Parameters", "ResultPath"},
    "Wait": _GOES_ON | {"Seconds", "Timestamp", "SecondsPath", "TimestampPath"},
    "Choice": {"Choices", "Default", "Assign", "Output", "InputPath", "OutputPath"},
    "Succeed": {"Output", "InputPath", "OutputPath"},
    "Fail": {"Error", "Cause", "ErrorPath", "CausePath"},
}
_ENDS = {"Choice", "Succeed", "Fail"}
_WAITS = ("Seconds", "Timestamp", "SecondsPath", "TimestampPath")
_RETRIES = {
    *("ErrorEquals", "IntervalSeconds", "MaxAttempts", "BackoffRate", "MaxDelaySeconds", "JitterStrategy", "Comment"),
}
_CATCHES = {"ErrorEquals", "Next", "ResultPath", "Assign", "Output", "Comment"}
_MACHINE = {"Comment", "StartAt", "States", "Version", "TimeoutSeconds", "QueryLanguage"}
_PROCESSOR = {"Comment", "StartAt", "States", "ProcessorConfig"}
_BRANCH = {"Comment", "StartAt", "States"}

Problems = Iterator[str]


def problems_of(scopes: list[Scope]) -> Problems:
    """What is wrong with the fields of a definition's machines and states, each with its place."""
    top = scopes[0].machine.get("QueryLanguage", "JSONPath")
    for scope in scopes:
        yield from _machine_problems(scope, top)
        for name, state in scope.states.items():
            place = f"{scope.path}/States/{name}"
            yield from _state_problems(state, place, state.get("QueryLanguage", scope.language), top)


def _failed(message: str, place: str) -> str:
    return f"SCHEMA_VALIDATION_FAILED: {message} at {place}"


def _machine_problems(scope: Scope, top: str) -> Problems:
    is_processor = scope.path.endswith(("ItemProcessor", "Iterator"))
    known = _PROCESSOR if is_processor else _BRANCH if scope.path else _MACHINE
    for field in scope.machine.keys() - known:
        yield _failed(f"Field '{field}' is not supported", scope.path)
    for field in ("StartAt", "States"):
        if not scope.machine.get(field):
            yield _failed(f"The field '{field}' is required but was missing or empty", scope.path)
    if top not in ("JSONPath", "JSONata"):
        yield _failed("'QueryLanguage' must be one of JSONPath, JSONata", "/QueryLanguage")
    if "TimeoutSeconds" in scope.machine:
        yield from _integer(scope.machine, "TimeoutSeconds", (1, _MOST_SECONDS), scope.path, "")


def _state_problems(state: Definition, place: str, language: str, top: str) -> Problems:
    kind = state.get("Type")
    if kind not in _FIELDS:
        yield _failed(f"The field 'Type' must be one of {', '.join(sorted(_FIELDS))}", f"{place}/Type")
        return
    for field in sorted(state.keys() - _FIELDS[kind] - _EVERYWHERE):
        yield _failed(f"Field '{field}' is not supported", place)
    yield from _language_problems(state, place, language, top)
    if kind not in _ENDS:
        yield from _continuation(state, place)
    yield from _CHECKS[kind](state, place, language)
    yield from _retriers(state.get("Retry", []), f"{place}/Retry")
    yield from _catchers(state.get("Catch", []), f"{place}/Catch")


def _language_problems(state: Definition, place: str, language: str, top: str) -> Problems:
    if top == "JSONata" and language == "JSONPath":
        yield _failed("'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine", place)
    wrong, other = (_JSONPATH_ONLY, "JSONPath") if language == "JSONata" else (_JSONATA_ONLY, "JSONata")
    for field in sorted(state.keys() & wrong & _FIELDS[state["Type"]]):
        told = f"The QueryLanguage is set to '{language}', but field '{field}' is only supported for the '{other}' "
        yield _failed(f"{told}QueryLanguage", place)


def _continuation(state: Definition, place: str) -> Problems:
    if state.get("End") not in (None, True, False):
        yield _failed("The field 'End' must be a boolean", f"{place}/End")
    elif ("Next" in state) == bool(state.get("End")):
        yield _failed("State must have exactly one of 'Next' and 'End'", place)


def _task(state: Definition, place: str, language: str) -> Problems:
    resource = state.get("Resource")
    if not isinstance(resource, str):
        yield _failed("The field 'Resource' is required but was missing", place)
        return
    if resource.startswith("arn:aws:states:::aws-sdk:") and not _is_sdk_action(resource):
        yield _failed(
            f"The resource provided {resource} is not recognized. The value is not a valid resource ARN, or the "
            "resource is not available in this region.",
            f"{place}/Resource",
        )
    field = "Arguments" if language == "JSONata" else "Parameters"
    given = state.get(field, {})
    invokes = resource.startswith("arn:aws:states:::lambda:invoke") and isinstance(given, dict)
    if invokes and not {"FunctionName", "FunctionName.$"} & given.keys():
        yield _failed("The field 'FunctionName' is required but was missing", f"{place}/{field}")
    for times in ("TimeoutSeconds", "HeartbeatSeconds"):
        if times in state:
            yield from _integer(state, times, (1, _MOST_SECONDS), place, language)


@cache
def _is_sdk_action(resource: str) -> bool:
    parts = _SDK.fullmatch(resource)
    if parts is None:
        return False
    try:
        model = botocore.session.get_session().get_service_model(_SDK_SERVICES.get(parts["service"], parts["service"]))
    except UnknownServiceError:
        return False
    return parts["action"] in {name[0].lower() + name[1:] for name in model.operation_names}


def _wait(state: Definition, place: str, language: str) -> Problems:
    given = [field for field in _WAITS if field in state]
    if len(given) != 1:
        yield _failed(f"Wait state must have exactly one of {', '.join(_WAITS)}", place)
    if "Seconds" in state:
        yield from _integer(state, "Seconds", (0, _MOST_SECONDS), place, language)
    if "Timestamp" in state and not isinstance(state["Timestamp"], str):
        yield _failed("The field 'Timestamp' must be a string", f"{place}/Timestamp")


def _fail(state: Definition, place: str, _language: str) -> Problems:
    for field in ("Error", "Cause"):
        if field in state and not isinstance(state[field], str):
            yield _failed(f"The field '{field}' must be a string", f"{place}/{field}")


def _choice(state: Definition, place: str, language: str) -> Problems:
    rules = state.get("Choices")
    if not isinstance(rules, list) or not rules:
        yield _failed("The field 'Choices' must be an array with at least one item", f"{place}/Choices")
        return
    for index, rule in enumerate(rules):
        here = f"{place}/Choices[{index}]"
        if "Next" not in rule:
            yield _failed("The field 'Next' is required but was missing", here)
        if language == "JSONata":
            condition = rule.get("Condition")
            if not isinstance(condition, bool) and not _is_expression(condition):
                yield _failed("The field 'Condition' must be a JSONata expression or a boolean", here)


def _parallel(state: Definition, place: str, _language: str) -> Problems:
    if not isinstance(state.get("Branches"), list) or not state["Branches"]:
        yield _failed("The field 'Branches' must be an array with at least one item", f"{place}/Branches")


def _map(state: Definition, place: str, language: str) -> Problems:
    if ("ItemProcessor" in state) == ("Iterator" in state):
        yield _failed("The field 'ItemProcessor' is required but was missing", place)
    if "MaxConcurrency" in state:
        yield from _integer(state, "MaxConcurrency", (0, _MOST_SECONDS), place, language)
    for field, most in (("ToleratedFailurePercentage", 100), ("ToleratedFailureCount", _MOST_SECONDS)):
        value = state.get(field, 0)
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most
        if not is_number and not (language == "JSONata" and _is_expression(value)):
            yield _failed(f"The field '{field}' must be a number between 0 and {most}", f"{place}/{field}")


def _nothing_more(_state: Definition, _place: str, _language: str) -> Problems:
    yield from ()


_CHECKS: Mapping[str, Callable[[Definition, str, str], Problems]] = {
    "Task": _task,
    "Wait": _wait,
    "Fail": _fail,
    "Choice": _choice,
    "Parallel": _parallel,
    "Map": _map,
    "Pass": _nothing_more,
    "Succeed": _nothing_more,
}


def _retriers(retriers: Any, place: str) -> Problems:
    yield from _handlers(retriers, place, _RETRIES)
    for index, retrier in enumerate(retriers if isinstance(retriers, list) else []):
        here = f"{place}[{index}]"
        for field, least, most in (
            ("IntervalSeconds", 1, _MOST_SECONDS),
            ("MaxAttempts", 0, _MOST_SECONDS),
            ("MaxDelaySeconds", 1, _MOST_DELAY),
        ):
            if field in retrier:
                yield from _integer(retrier, field, (least, most), here, "")
        rate = retrier.get("BackoffRate", 1.0)
        if isinstance(rate, bool) or not isinstance(rate, int | float) or rate < 1:
            yield _failed("The field 'BackoffRate' must be a number of at least 1.0", f"{here}/BackoffRate")
        if retrier.get("JitterStrategy", "NONE") not in ("FULL", "NONE"):
            yield _failed("The field 'JitterStrategy' must be one of FULL, NONE", f"{here}/JitterStrategy")


def _catchers(catchers: Any, place: str) -> Problems:
    yield from _handlers(catchers, place, _CATCHES)
    for index, catcher in enumerate(catchers if isinstance(catchers, list) else []):
        if "Next" not in catcher:
            yield _failed("The field 'Next' is required but was missing", f"{place}[{index}]")


def _handlers(handlers: Any, place: str, known: set[str]) -> Problems:
    """States.ALL stands alone, and in the last of the handlers, since none after it would ever be asked."""
    if not isinstance(handlers, list):
        yield _failed("The field must be an array", place)
        return
    for index, handler in enumerate(handlers):
        here = f"{place}[{index}]"
        for field in sorted(handler.keys() - known):
            yield _failed(f"Field '{field}' is not supported", here)
        errors = handler.get("ErrorEquals")
        if not isinstance(errors, list) or not errors or not all(isinstance(name, str) for name in errors):
            yield _failed("The field 'ErrorEquals' must be an array of at least one string", here)
        elif "States.ALL" in errors and (len(errors) > 1 or index < len(handlers) - 1):
            yield _failed("States.ALL must appear alone, and only in the last item", f"{here}/ErrorEquals")


def _integer(holder: Definition, field: str, bounds: tuple[int, int], place: str, language: str) -> Problems:
    value, (least, most) = holder[field], bounds
    if language == "JSONata" and _is_expression(value):
        return
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        yield _failed(f"The field '{field}' must be an integer between {least} and {most}", f"{place}/{field}")


def _is_expression(value: Any) -> bool:
    return isinstance(value, str) and _EXPRESSION.fullmatch(value.strip()) is not None
