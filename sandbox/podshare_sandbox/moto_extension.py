"""How an operation that moto lacks is added from outside.

Routing, parsing, response and error serialisation all come from botocore's own service model: an added
operation is a function of the request's parameters, nothing more. Parameters are validated against the
model before the function runs, lengths, patterns and enumerations included (botocore's clients check only
types, required members and minima), and what it returns is held against the output shape.
"""

import importlib
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import botocore.session
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StringShape, StructureShape
from botocore.validate import ParamValidator
from moto.core.common_types import TYPE_RESPONSE
from moto.core.exceptions import ServiceException
from moto.core.parse import UNDEFINED
from moto.core.responses import ActionContext, ActionResult, BaseResponse

from podshare_sandbox.moto_repair import replace

Operation = Callable[..., "dict[str, Any] | None"]
Item = TypeVar("Item")

_session = botocore.session.get_session()


class Caller:
    """Who calls and where: what an operation may know besides its parameters."""

    def __init__(self, response: BaseResponse) -> None:
        self.account: str = response.current_account
        self.region: str = response.region
        self.access_key: str = response.access_key


def service_model(service: str) -> ServiceModel:
    """botocore's model of ``service`` (botocore's name)."""
    return _session.get_service_model(service)


def operation_model(service: str, name: str) -> OperationModel:
    """botocore's model of ``name`` (CamelCase) in ``service`` (botocore's name)."""
    return service_model(service).operation_model(name)


def response_class(moto_service: str) -> type[BaseResponse]:
    """The class in which moto dispatches the operations of a service."""
    urls = importlib.import_module(f"moto.{moto_service}.urls")
    handler: type[BaseResponse] = next(iter(urls.url_paths.values())).__self__
    return handler


class ServiceExtension:
    """Opens one moto service for added operations.

    ``moto_service`` is moto's module, ``boto_service`` botocore's name of it, ``paths`` the URL patterns that
    moto lacks, ``invalid_parameters`` the service's error code for parameters that break its model.
    """

    def __init__(
        self,
        moto_service: str,
        boto_service: str | None = None,
        paths: Iterable[str] = (),
        invalid_parameters: str = "ValidationException",
    ) -> None:
        self.moto_service = moto_service
        self.boto_service = boto_service or moto_service
        self._invalid_parameters = invalid_parameters
        self._responses = response_class(moto_service)
        urls = importlib.import_module(f"moto.{moto_service}.urls")
        for path in paths:
            urls.url_paths.setdefault(path, self._responses.dispatch)

    def operation(self, function: Operation) -> Operation:
        """Add (or replace) the operation named like the function in snake case: ``f(caller, **parameters)``.

        Members of the result that are None are left out of the response. Raises RuntimeError when the rest
        does not fit the output shape: that is a mistake in the sandbox.
        """

        # moto calls the method with the response object; parameters arrive parsed by botocore's model
        def method(response: BaseResponse) -> ActionResult:
            model = operation_model(self.boto_service, response._get_action())
            parameters = response.__dict__.get("_podshare_valid_parameters")
            if parameters is None:  # authorization, which reads and validates them, is not installed
                response.parse_parameters(response.normalized_request)
                parameters = dict(response.params)
                self._validate(model, parameters)
            _check_emulated(function, parameters)
            result = _without_none(function(Caller(response), **parameters) or {})
            _check_result(model, result)
            return ActionResult(result)

        method.__name__ = function.__name__
        setattr(self._responses, function.__name__, method)
        return function

    def error(self, code: str, message: str, status: int | None = None, **members: Any) -> ServiceException:
        """An exception that moto serialises as the service's error ``code`` with further ``members``.

        ``status`` is needed only where botocore's model of the service has no shape for the code.
        """
        exception_type = type(
            code, (ServiceException,), {"__module__": f"moto.{self.moto_service}.exceptions", "code": code}
        )
        error: ServiceException = exception_type(message)
        if status:
            error.http_status = status  # type: ignore[attr-defined]  # read by execute_result below
        for name, value in members.items():
            setattr(error, name, value)
        return error

    def _validate(self, model: OperationModel, parameters: dict[str, Any]) -> None:
        if model.input_shape is None:
            return
        report = ParamValidator().validate(parameters, model.input_shape)
        if report.has_errors():
            raise self.error(self._invalid_parameters, report.generate_report())
        broken = list(broken_constraints(parameters, model.input_shape))
        if broken:
            count = f"{len(broken)} validation error{'s' if len(broken) > 1 else ''} detected: "
            raise self.error(self._invalid_parameters, count + "; ".join(broken))


def broken_constraints(value: Any, shape: Shape, path: str = "") -> Iterator[str]:
    """What in ``value`` breaks its shape's lengths, ranges, patterns and enumerations, in AWS's words."""
    limits = _limits(shape)
    if value is None or value is UNDEFINED or not limits.any:  # UNDEFINED: moto's, a structure without any member
        return
    for name in limits.required:
        if value.get(name) is None:
            absent = f"{path}.{name}" if path else name
            yield f"Value null at '{absent}' failed to satisfy constraint: Member must not be null"
    if limits.own:
        yield from _own_constraints(value, shape, f"at '{path}' failed to satisfy constraint: Member must")
    for name, member, member_shape in _members(value, shape):
        if _limits(member_shape).any:
            yield from broken_constraints(member, member_shape, f"{path}.{name}" if path else name)


def _own_constraints(value: Any, shape: Shape, where: str) -> Iterator[str]:
    limits = shape.metadata
    measure, size = ("length ", len(value)) if hasattr(value, "__len__") else ("value ", value)
    if "min" in limits and size < limits["min"]:
        yield f"Value '{value}' {where} have {measure}greater than or equal to {limits['min']}"
    if "max" in limits and size > limits["max"]:
        yield f"Value '{value}' {where} have {measure}less than or equal to {limits['max']}"
    if isinstance(shape, StringShape):
        if "pattern" in limits and not python_pattern(limits["pattern"]).fullmatch(value):
            yield f"Value '{value}' {where} satisfy regular expression pattern: {limits['pattern']}"
        if shape.enum and value not in shape.enum:
            yield f"Value '{value}' {where} satisfy enum value set: [{', '.join(shape.enum)}]"


@dataclass(frozen=True)
class _Limits:
    """What a shape asks of its values: its ``required`` members, whether any of its ``own``, or of ``any`` below it."""

    required: tuple[str, ...]
    own: bool
    any: bool


def _limits(shape: Shape) -> _Limits:
    """Noted at the shape, since most of most requests has no limits, and need not be looked at."""
    known: _Limits | None = shape.__dict__.get("_podshare_limits")
    if known is None:
        known = shape.__dict__["_podshare_limits"] = _limits_below(shape, frozenset())
    return known


def _limits_below(shape: Shape, above: frozenset[str]) -> _Limits:
    """``above`` are the names of the shapes that this one lies in: a shape may hold itself."""
    required: tuple[str, ...] = ()
    own = False
    if not isinstance(shape, StructureShape):
        own = bool({"min", "max", "pattern", "enum"} & shape.metadata.keys())
    elif not shape.is_document_type:
        required = tuple(shape.required_members)
    below = () if shape.name in above else _shapes_below(shape)
    inner = above | {shape.name}
    return _Limits(required, own, bool(required) or own or any(_limits_below(one, inner).any for one in below))


def _shapes_below(shape: Shape) -> Iterable[Shape]:
    match shape:
        case StructureShape():
            return () if shape.is_document_type else shape.members.values()
        case ListShape():
            return (shape.member,)
        case MapShape():
            return (shape.key, shape.value)
    return ()


def _members(value: Any, shape: Shape) -> Iterator[tuple[str, Any, Shape]]:
    if isinstance(shape, StructureShape) and not shape.is_document_type:
        yield from ((name, member, shape.members[name]) for name, member in value.items())
    elif isinstance(shape, ListShape):
        yield from ((f"{index}.member", member, shape.member) for index, member in enumerate(value, start=1))
    elif isinstance(shape, MapShape):
        for key, member in value.items():
            yield f"{key}.key", key, shape.key
            yield f"{key}.value", member, shape.value


# AWS writes patterns for Java, which names classes of characters (java.util.regex.Pattern)
_SIGNS = r"!-/:-@\[-`{-~\u00A1-\u00BF\u00D7\u00F7\u2010-\u2BFF"
_CLASSES = {
    **{"L": r"\w", "N": r"\d", "Z": r"\s", "Zs": " ", "M": r"\u0300-\u036F", "S": _SIGNS, "P": _SIGNS},
    **{"ASCII": r"\x00-\x7F", "Print": r"\x20-\x7E", "Alnum": "a-zA-Z0-9"},
}
_SURROGATES = {r"\uD800\uDC00": r"\U00010000", r"\uDBFF\uDFFF": r"\U0010FFFF"}
_TOKEN = re.compile(r"\\p\{(?P<name>\w+)\}|\\[wds]-(?=[^\]])|\\.|\[|\]|\(\?i\)", re.DOTALL)


@cache
def python_pattern(pattern: str) -> re.Pattern[str]:
    """A pattern of a service's model, in Python's syntax.

    What is no pattern in Java either (SageMaker's ``$`` before a count) holds nothing.
    """
    for java, python in _SURROGATES.items():
        pattern = pattern.replace(java, python)
    depth = 0
    ignores_case = False

    def translated(token: re.Match[str]) -> str:
        nonlocal depth, ignores_case
        text = token[0]
        if name := token["name"]:
            known = _CLASSES.get(name, token[0])
            return known if depth else f"[{known}]"
        if text == "(?i)":
            ignores_case = True
            return ""
        if depth and len(text) == 3:  # \w- before another character: Java reads a hyphen
            return text[:-1] + r"\-"
        depth += {"[": 1 - depth, "]": -depth}.get(text, 0)
        return text

    python = _TOKEN.sub(translated, pattern)
    try:
        return re.compile(python, re.IGNORECASE if ignores_case else 0)
    except re.error:
        return re.compile(r".*", re.DOTALL)


def _check_emulated(function: Operation, parameters: dict[str, Any]) -> None:
    try:
        inspect.signature(function).bind(None, **parameters)
    except TypeError as unknown:
        raise NotImplementedError(f"{function.__name__}: {unknown}") from unknown


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_none(member) for name, member in value.items() if member is not None}
    return [_without_none(member) for member in value] if isinstance(value, list | tuple) else value


def _check_result(model: OperationModel, result: dict[str, Any]) -> None:
    if model.output_shape is None:
        return
    report = ParamValidator().validate(result, model.output_shape)
    if report.has_errors():
        raise RuntimeError(f"the sandbox's answer to {model.name} does not fit its model: {report.generate_report()}")


def page(
    items: Sequence[Item], max_results: int | None, token: str | None, largest: int = 100
) -> tuple[list[Item], str | None]:
    """One page of ``items`` and the token of the next, None behind the last.

    Raises ValueError for a token that no page handed out.
    """
    start = int(token or 0)
    end = start + min(max_results or largest, largest)
    return list(items[start:end]), str(end) if end < len(items) else None


def _honour_http_status() -> None:
    """Let an exception's ``http_status`` decide where moto would answer 400 for want of an error shape."""

    def execute_result(self: ActionResult, context: ActionContext) -> TYPE_RESPONSE:
        status, headers, body = stock(self, context)
        return getattr(self.result, "http_status", status), headers, body

    stock = replace(ActionResult, "execute_result", execute_result)


_honour_http_status()
