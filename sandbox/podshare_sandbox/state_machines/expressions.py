"""JSONata in state machines: moto parses it but has no runtime for it.

Expressions are evaluated by ``jsonata-python`` with the variables and ``$states`` bound as values, so that no string
is ever pasted into the source. What the JSONata of Step Functions adds ($partition, $range, $hash, $random, $uuid,
$parse) and forbids ($eval, undefined results) follows "Transforming data with JSONata in Step Functions".
"""

import hashlib
import json
import random
import re
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, cast

import jsonata
from jsonata.utils import Utils
from moto.stepfunctions.parser.api import EvaluationFailedEventDetails, HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from moto.stepfunctions.parser.asl.component.common.string.string_expression import (
    StringJSONata,
    StringVariableSample,
)
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.eval.event.event_manager import EventManager
from moto.stepfunctions.parser.asl.eval.variable_store import VariableStore
from moto.stepfunctions.parser.asl.utils.encoding import to_json_str

from podshare_sandbox.moto_repair import repair

_HASHES = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}
_LITERALS = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|/\*.*?\*/', re.DOTALL)
_REFERENCES = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_ASSIGNED = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)\s*:=")
_BOUND_BY_OPERATOR = re.compile(r"[@#]\s*\$([A-Za-z_][A-Za-z0-9_]*)")
_PARAMETERS = re.compile(r"(?:function|λ)\s*\(([^)]*)\)")

# jsonata-python keeps the expression under evaluation in the expression itself
_evaluating = threading.Lock()


class QueryEvaluationError(Exception):
    """An expression cannot be parsed or evaluated, or has no result."""


def install() -> None:
    """Evaluate JSONata expressions and JSONPath variables."""
    repair(StringJSONata, "_eval_body", _evaluating_jsonata)
    repair(StringVariableSample, "_eval_body", _sampling_variables)
    repair(VariableStore, "get_assigned_variables", _telling_assigned_variables)
    repair(EventManager, "add_event", _adding_an_event_once)


def evaluate(expression: str, variables: Mapping[str, Any]) -> Any:
    """The JSON value of ``expression``. Raises QueryEvaluationError, with a cause as Step Functions words it."""
    for name in sorted(references(expression) - variables.keys() - built_in_functions()):
        raise QueryEvaluationError(f"The JSONata expression '{expression}' refers to ${name}, which is not defined.")
    try:
        compiled = compile_expression(expression)
        with _evaluating:
            result = compiled.evaluate(None, _bound(variables, references(expression)))
    except QueryEvaluationError:
        raise
    except Exception as error:
        raise QueryEvaluationError(
            f"The JSONata expression '{expression}' threw an error during evaluation. {_described(error)}"
        ) from error
    if result is None:
        raise QueryEvaluationError(f"The JSONata expression '{expression}' returned nothing (undefined).")
    return _as_json(expression, result)


def _bound(variables: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The variables that an expression names; jsonata-python takes None for undefined, and has a null of its own."""
    return {name: _with_nulls(variables[name]) for name in names if name in variables}


def _with_nulls(value: Any) -> Any:
    if value is None:
        return Utils.NULL_VALUE
    if isinstance(value, dict):
        return {key: _with_nulls(member) for key, member in value.items()}
    return [_with_nulls(member) for member in value] if isinstance(value, list) else value


@lru_cache(maxsize=2048)
def compile_expression(expression: str) -> jsonata.Jsonata:
    """Parse once. Raises QueryEvaluationError for a syntax error."""
    try:
        compiled = jsonata.Jsonata(expression)
    except Exception as error:
        raise QueryEvaluationError(f"The JSONata expression '{expression}' is invalid. {_described(error)}") from error
    compiled.output_convert_nulls = False  # tells null from undefined
    for name, function in _FUNCTIONS.items():
        compiled.register_lambda(name, function)
    return compiled


@lru_cache(maxsize=2048)
def references(expression: str) -> frozenset[str]:
    """The names, without ``$``, of variables and functions that ``expression`` takes from its surroundings."""
    code = without_literals(expression)
    own = set(_ASSIGNED.findall(code)) | set(_BOUND_BY_OPERATOR.findall(code))
    for parameters in _PARAMETERS.findall(code):
        own |= set(_REFERENCES.findall(parameters))
    return frozenset(set(_REFERENCES.findall(code)) - own)


def without_literals(expression: str) -> str:
    """The expression with empty strings in the places of its strings and comments."""
    return _LITERALS.sub("''", expression)


# where a node looks at the items of what another one gives, rather than at the expression's own input
_OF_ITEMS = frozenset({"predicate", "stages", "group", "terms", "update"})


@lru_cache(maxsize=2048)
def unsupported_references(expression: str) -> tuple[str, ...]:
    """What ``expression`` reads of its own input, which it does not have in Step Functions: names, and ``$$``.

    Raises QueryEvaluationError for a syntax error.
    """
    return tuple(_of_the_input(compile_expression(expression).ast, of_items=False))


def _of_the_input(node: Any, *, of_items: bool) -> Iterator[str]:
    if isinstance(node, list | tuple):
        for part in node:
            yield from _of_the_input(part, of_items=of_items)
        return
    if not hasattr(node, "type"):
        return
    if node.type == "name" and not of_items:
        yield str(node.value)
    if node.type == "variable" and node.value == "$":
        yield "$$"
    for attribute, part in vars(node).items():
        if attribute == "steps":
            for number, step in enumerate(part or ()):
                yield from _of_the_input(step, of_items=of_items or number > 0)
        elif attribute != "_outer_instance":
            yield from _of_the_input(part, of_items=of_items or attribute in _OF_ITEMS)


@lru_cache(maxsize=1)
def built_in_functions() -> frozenset[str]:
    """What an expression may call without defining it."""
    standard = jsonata.Jsonata("1").environment
    names: set[str] = set(_FUNCTIONS)
    while standard is not None:
        names |= set(standard.bindings)
        standard = standard.parent
    return frozenset(names - {"eval"})


def _partition(items: list[Any], size: Any) -> list[list[Any]]:
    if not isinstance(size, int) or size < 1:
        raise ValueError("$partition takes a size above 0")
    return [items[start : start + size] for start in range(0, len(items), size)]


def _range(first: int, last: int, step: int) -> Any:
    """Like every sequence of JSONata, one of a single value is that value."""
    if step == 0:
        raise ValueError("$range takes a step other than 0")
    numbers = list(range(first, last + (1 if step > 0 else -1), step))
    return numbers[0] if len(numbers) == 1 else numbers


def _hash(value: Any, algorithm: str) -> str:
    if algorithm not in _HASHES:
        raise ValueError(f"$hash takes one of {', '.join(_HASHES)}, not {algorithm}")
    text = value if isinstance(value, str) else json.dumps(Utils.convert_nulls(value), separators=(",", ":"))
    return hashlib.new(_HASHES[algorithm], text.encode()).hexdigest()


def _random(seed: Any = None) -> float:
    return (random.Random(seed) if seed is not None else random).random()  # noqa: S311  # JSONata's is no better


def _parse(text: str) -> Any:
    return json.loads(text)


def _no_eval(*_arguments: Any) -> None:
    raise ValueError("$eval is not supported; use $parse")


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "partition": _partition,
    "range": _range,
    "hash": _hash,
    "random": _random,
    "uuid": lambda: str(uuid.uuid4()),
    "parse": _parse,
    "eval": _no_eval,
}


def _described(error: Exception) -> str:
    code = getattr(error, "error", None)
    return f"{code}: {error}" if code else str(error)


def _as_json(expression: str, result: Any) -> Any:
    """Plain JSON: without jsonata-python's own list types, and without functions."""
    try:
        return json.loads(json.dumps(Utils.convert_nulls(result), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise QueryEvaluationError(
            f"The JSONata expression '{expression}' returned an unsupported result type."
        ) from error


def _variables(env: Any, expression: str) -> dict[str, Any]:
    store: VariableStore = env.variable_store
    assigned = {**store._outer_scope, **store._inner_scope}
    if "states" not in references(expression):
        return assigned
    # JSON through and through: the context object holds dates
    return {**assigned, "states": json.loads(to_json_str(env.states._states_data))}


def _evaluating_jsonata(_original: Any) -> Any:
    def evaluate_in(self: StringJSONata, env: Any) -> None:
        try:
            env.stack.append(evaluate(self.expression, _variables(env, self.expression)))
        except QueryEvaluationError as error:
            raise _failure(env, str(error)) from error

    return evaluate_in


def _sampling_variables(_original: Any) -> Any:
    def sample(self: StringVariableSample, env: Any) -> None:
        try:
            env.stack.append(evaluate(self.expression, _variables(env, self.expression)))
        except QueryEvaluationError as error:
            raise _failure(env, str(error)) from error

    return sample


def _failure(env: Any, cause: str) -> FailureEventException:
    name = StatesErrorName(typ=StatesErrorNameType.StatesQueryEvaluationError)
    told = EvaluationFailedEventDetails(cause=cause, error=name.error_name, state=env.next_state_name)
    details = cast(EventDetails, {"evaluationFailedEventDetails": told})
    event = FailureEvent(env=env, error_name=name, event_type=HistoryEventType.EvaluationFailed, event_details=details)
    env.event_manager.add_event(
        context=env.event_history_context,
        event_type=HistoryEventType.EvaluationFailed,
        event_details=details,
    )
    return FailureEventException(failure_event=event)


def _adding_an_event_once(original: Any) -> Any:
    """Task, Map and Parallel states add the event of a failure themselves, other states leave it to who raises it."""

    def add_event(self: EventManager, *args: Any, **more: Any) -> Any:
        details = more.get("event_details")
        if details is not None and "evaluationFailedEventDetails" in details:
            if self.__dict__.get("_podshare_last_failure") is details:
                return more["context"].last_published_event_id
            self.__dict__["_podshare_last_failure"] = details
        return original(self, *args, **more)

    return add_event


def _telling_assigned_variables(_original: Any) -> Any:
    """moto pastes strings between quotes unescaped."""

    def get_assigned_variables(self: VariableStore) -> dict[str, str]:
        traced: Iterable[str] = self._declaration_tracing
        return {name: to_json_str(self.get(name), separators=(",", ":")) for name in traced}

    return get_assigned_variables
