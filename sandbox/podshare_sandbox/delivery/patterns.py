"""Event patterns: which ones EventBridge takes, and which events each of them matches.

moto takes nearly every pattern, and matches ``exists`` on fields that have no value. EventBridge compiles patterns with
Event Ruler, whose rules are kept here. Sources: github.com/aws/event-ruler, README and ``JsonRuleCompiler`` (grammar),
"JSON Array Matching" (lists); EventBridge User Guide, "Content filtering in event patterns" and "Quotas".
"""

# operations take their parameters by AWS's names

import ipaddress
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

from moto.events.exceptions import InvalidEventPatternException
from moto.events.models import EventPattern

from podshare_sandbox.moto_extension import Caller, ServiceExtension
from podshare_sandbox.moto_repair import repair

LONGEST = 2048  # characters (EventBridge quotas, "Event pattern size")
MOST_COMBINATIONS = 1000  # of a pattern's $or branches (EventBridge User Guide, "Or matching")
_LARGEST_NUMBER = 5.0e9  # EventBridge User Guide, "Numeric matching"
_LONGEST_PREFIX = {4: 31, 6: 127}  # bits, by the IP version (Event Ruler, CIDR)
_OR = "$or"
_BRANCHES = 2

# Event Ruler keeps these from being names of fields within $or (README, "And and Or Relationship among fields")
_RESERVED_WITHIN_OR = {
    *("exactly", "equals-ignore-case", "prefix", "suffix", "anything-but", "exists", "wildcard", "numeric", "cidr"),
    *("=", "<", "<=", ">", ">=", "regex", "not-wildcard", "not-equals-ignore-case"),
    *("date-after", "date-on-or-after", "date-before", "date-on-or-before", "in-date-range"),
    *("ip-address-in-range", "ip-address-not-in-range"),
}

_events = ServiceExtension("events")

# where in which lists of the event a value stands: the position by the list's path
Place = Mapping[tuple[str | int, ...], int]
Value = tuple[Any, Place]


def install() -> None:
    """Let moto's rules, and filters of event source mappings, take and match patterns as EventBridge does."""
    repair(EventPattern, "load", _checking)
    repair(EventPattern, "matches_event", _matching)
    _events.operation(test_event_pattern)


def test_event_pattern(_caller: Caller, *, EventPattern: str, Event: str) -> dict[str, Any]:
    """TestEventPattern. Errors: InvalidEventPatternException, ValidationException for an event that is no object."""
    pattern = parsed(EventPattern)
    try:
        event = json.loads(Event)
    except ValueError:
        event = None
    if not isinstance(event, dict):
        raise _events.error("ValidationException", "Parameter Event is not valid.", status=400)
    return {"Result": matches(pattern, event)}


def _checking(_original: Any) -> Any:
    def load(cls: type[EventPattern], raw_pattern: str | None) -> EventPattern:
        return cls(raw_pattern, parsed(raw_pattern) if raw_pattern else {})

    return classmethod(load)


def _matching(_original: Any) -> Any:
    def matches_event(self: EventPattern, event: Any) -> bool:
        return matches(self.get_pattern(), json.loads(json.dumps(event)))

    return matches_event


# --- grammar ----------------------------------------------------------------------------------------------------


def parsed(text: str) -> dict[str, Any]:
    """The pattern in ``text``. Raises moto's InvalidEventPatternException with Event Ruler's reason."""
    if len(text) > LONGEST:
        _refuse(f"Event pattern is longer than {LONGEST} characters")
    try:
        pattern = json.loads(text, parse_constant=_refuse)
    except ValueError:
        _refuse("Invalid JSON")
    if not isinstance(pattern, dict):
        _refuse("Filter is not an object")
    if _check_fields(pattern, within_or=False) > MOST_COMBINATIONS:
        _refuse(f"Event pattern results in more than {MOST_COMBINATIONS} rule combinations")
    return pattern


def _refuse(reason: str) -> NoReturn:
    raise InvalidEventPatternException(reason=reason)


def _check_fields(fields: Mapping[str, Any], *, within_or: bool) -> int:
    """Check an object of a pattern; returns how many combinations its $or branches make."""
    if not fields:
        _refuse("Empty objects are not allowed")
    combinations = 1
    for name, value in fields.items():
        if name == _OR:
            combinations *= _check_branches(value)
            continue
        if within_or and name in _RESERVED_WITHIN_OR:
            _refuse(f"{name} is Ruler reserved fieldName which cannot be used inside {_OR}.")
        match value:
            case dict():
                combinations *= _check_fields(value, within_or=within_or)
            case list():
                _check_values(value)
            case _:
                _refuse(f'"{name}" must be an object or an array')
    return combinations


def _check_branches(branches: Any) -> int:
    if not isinstance(branches, list):
        _refuse(f"It must be an Array followed with {_OR}.")
    if not all(isinstance(branch, dict) for branch in branches):
        _refuse(f"Only JSON object is allowed in array of {_OR} relationship.")
    if len(branches) < _BRANCHES:
        _refuse(f"There must have at least {_BRANCHES} Objects in {_OR} relationship.")
    return sum(_check_fields(branch, within_or=True) for branch in branches)


def _check_values(values: list[Any]) -> None:
    if not values:
        _refuse("Empty arrays are not allowed")
    for value in values:
        match value:
            case dict():
                _check_match(value)
            case list():
                _refuse("Match value must be String, number, true, false, or null")
            case _:
                pass


def _check_match(expression: Mapping[str, Any]) -> None:
    name, operand = _only(expression, "Match expression name not found")
    check = _CHECKS.get(name)
    if check is None:
        _refuse(f"Unrecognized match type {name}")
    check(operand)


def _only(expression: Mapping[str, Any], absent: str) -> tuple[str, Any]:
    """The one key of an expression, and its value."""
    if not expression:
        _refuse(absent)
    if len(expression) > 1:
        _refuse("Only one key allowed in match expression")
    return next(iter(expression.items()))


def _text(kind: str) -> Callable[[Any], None]:
    def check(operand: Any) -> None:
        if not isinstance(operand, str):
            _refuse(f"{kind} match pattern must be a string")

    return check


def _check_affix(kind: str) -> Callable[[Any], None]:
    """A prefix or suffix: text, or text whose case does not count."""

    def check(operand: Any) -> None:
        if not isinstance(operand, dict):
            _text(kind)(operand)
            return
        name, affix = _only(operand, f"{kind.capitalize()} expression name not found")
        if name != "equals-ignore-case":
            _refuse(f"Unsupported {kind} pattern: {name}")
        _text("equals-ignore-case")(affix)

    return check


def _check_wildcard(operand: Any) -> None:
    _text("wildcard")(operand)
    position = 0
    while position < len(operand):
        here, following = operand[position], operand[position + 1 : position + 2]
        if here == "*" == following:
            _refuse(f"Consecutive wildcard characters at pos {position + 1}")
        if here == "\\" and following not in {"*", "\\"}:
            _refuse(f"Invalid escape character at pos {position + 1}")
        position += 2 if here == "\\" else 1


def _check_exists(operand: Any) -> None:
    if not isinstance(operand, bool):
        _refuse("exists match pattern must be either true or false.")


def _check_cidr(operand: Any) -> None:
    if not isinstance(operand, str):
        _refuse("prefix match pattern must be a string")
    address, slash, bits = operand.partition("/")
    if not slash or "/" in bits:
        _refuse("Malformed CIDR, one '/' required")
    if not re.fullmatch(r"[0-9]+", bits):
        _refuse("Malformed CIDR, mask bits must be an integer")
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        _refuse(f"Nonstandard IP address: {address}")
    if int(bits) > _LONGEST_PREFIX[version]:
        _refuse(f"IPv{version} mask bits must be < {_LONGEST_PREFIX[version] + 1}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_number(value: Any, operator: str) -> None:
    if not _is_number(value):
        _refuse(f"Value of {operator} must be numeric")
    if abs(value) > _LARGEST_NUMBER:
        _refuse(f"Value must be between {-_LARGEST_NUMBER} and {_LARGEST_NUMBER}, inclusive")


def _check_numeric(operand: Any) -> None:
    if not isinstance(operand, list):
        _refuse("Value of numeric must be an array.")
    if not operand or not isinstance(operand[0], str):
        _refuse("Invalid member in numeric match: " + (json.dumps(operand[0]) if operand else "]"))
    if operand[0] not in _COMPARISONS:
        _refuse(f"Unrecognized numeric range operator: {operand[0]}")
    _check_number(operand[1] if len(operand) > 1 else None, "equals" if operand[0] == "=" else operand[0])
    match operand[2:]:
        case []:
            return
        case _ if operand[0] not in {">", ">="}:
            _refuse("Too many elements in numeric expression")
        case [str(second), *_] if second not in {"<", "<="}:
            _refuse(f"Bad numeric range operator: {second}")
        case [str(second), *rest]:
            _check_number(rest[0] if rest else None, second)
            if len(rest) > 1:
                _refuse("Too many terms in numeric range expression")
            if operand[1] >= rest[0]:
                _refuse("Bottom must be less than top")
        case [other, *_]:
            _refuse(f"Bad value in numeric range: {json.dumps(other)}")


def _check_anything_but(operand: Any) -> None:
    if isinstance(operand, dict):
        _check_anything_but_kind(operand)
        return
    if not isinstance(operand, list) and not isinstance(operand, str) and not _is_number(operand):
        _refuse("Value of anything-but must be an array or single string/number value.")
    values = operand if isinstance(operand, list) else [operand]
    if not all(isinstance(value, str) or _is_number(value) for value in values):
        _refuse("Inside anything but list, start|null|boolean is not supported.")
    if len({isinstance(value, str) for value in values}) != 1:
        _refuse("Inside anything but list, either all values are number or string, mixed type is not supported")


def _check_anything_but_kind(operand: Mapping[str, Any]) -> None:
    name, excluded = _only(operand, "Anything-But expression name not found")
    if name not in {"equals-ignore-case", "prefix", "suffix", "wildcard"}:
        _refuse(f"Unsupported anything-but pattern: {name}")
    for value in excluded if isinstance(excluded, list) else [excluded]:
        if not isinstance(value, str):
            _refuse(f"Inside anything-but/{name}, the value must be a string")
        if name in {"prefix", "suffix"} and not value:
            _refuse("Null prefix/suffix not allowed")
        if name == "wildcard":
            _check_wildcard(value)
    if excluded == []:
        _refuse("Empty arrays are not allowed")


_CHECKS: dict[str, Callable[[Any], None]] = {
    "exactly": _text("exact"),
    "prefix": _check_affix("prefix"),
    "suffix": _check_affix("suffix"),
    "equals-ignore-case": _text("equals-ignore-case"),
    "wildcard": _check_wildcard,
    "exists": _check_exists,
    "cidr": _check_cidr,
    "numeric": _check_numeric,
    "anything-but": _check_anything_but,
}


# --- matching ---------------------------------------------------------------------------------------------------


def matches(pattern: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Whether ``event`` matches a checked pattern; an empty one matches everything.

    A field is all values at its path, also of objects in lists; those of different fields must stand in the same
    object of a list ("JSON Array Matching"). A field without any value, such as an empty list, does not exist.
    """
    values: dict[tuple[str, ...], list[Value]] = {}
    for path, value in _leaves(event, (), (), {}):
        values.setdefault(path, []).append(value)
    return any(_agree(list(fields.items()), values, {}) for fields in _combinations(pattern, ()))


def _leaves(node: Any, path: tuple[str, ...], at: tuple[str | int, ...], place: Place) -> Iterator[Any]:
    match node:
        case dict():
            for name, value in node.items():
                # a name with a dot is the same path to Event Ruler
                yield from _leaves(value, (*path, *name.split(".")), (*at, name), place)
        case list():
            for position, value in enumerate(node):
                inner = {**place, at: position} if isinstance(value, dict | list) else place
                yield from _leaves(value, path, (*at, position), inner)
        case _:
            yield path, (node, place)


def _combinations(pattern: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[dict[tuple[str, ...], list[Any]]]:
    """The pattern without $or: one set of fields for each combination of its branches."""
    found: list[dict[tuple[str, ...], list[Any]]] = [{}]
    for name, value in pattern.items():
        if name == _OR:
            options = [fields for branch in value for fields in _combinations(branch, path)]
        elif isinstance(value, dict):
            options = list(_combinations(value, (*path, *name.split("."))))
        else:
            options = [{(*path, *name.split(".")): value}]
        found = [{**former, **option} for former in found for option in options]
    yield from found


def _agree(
    fields: list[tuple[tuple[str, ...], list[Any]]], values: Mapping[tuple[str, ...], list[Value]], place: Place
) -> bool:
    """Whether each field has a value that matches, all in the same objects of the event's lists."""
    if not fields:
        return True
    (path, conditions), *others = fields
    found = values.get(path, [])
    if not found and any(condition == {"exists": False} for condition in conditions):
        return _agree(others, values, place)
    return any(
        _fits(where, place) and _agree(others, values, {**place, **where})
        for value, where in found
        if any(_is_met(condition, value) for condition in conditions)
    )


def _fits(one: Place, other: Place) -> bool:
    return all(other.get(at, position) == position for at, position in one.items())


def _is_met(condition: Any, value: Any) -> bool:
    if not isinstance(condition, dict):
        return _equal(condition, value)
    ((kind, operand),) = condition.items()
    match kind:
        case "exists":
            return bool(operand)
        case "anything-but":
            return not _is_excluded(operand, value)
        case "numeric":
            return _is_number(value) and all(
                _COMPARISONS[operator](value, number)
                for operator, number in zip(operand[::2], operand[1::2], strict=True)
            )
        case "cidr":
            return isinstance(value, str) and _is_within(value, operand)
        case _:
            return isinstance(value, str) and _TEXTS[kind](value, operand)


def _equal(one: Any, other: Any) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _is_excluded(operand: Any, value: Any) -> bool:
    if not isinstance(operand, dict):
        return any(_equal(excluded, value) for excluded in (operand if isinstance(operand, list) else [operand]))
    ((kind, excluded),) = operand.items()
    texts = excluded if isinstance(excluded, list) else [excluded]
    return isinstance(value, str) and any(_TEXTS[kind](value, text) for text in texts)


def _is_within(address: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _begins(value: str, prefix: Any) -> bool:
    if isinstance(prefix, dict):
        return value.lower().startswith(prefix["equals-ignore-case"].lower())
    return value.startswith(prefix)


def _ends(value: str, suffix: Any) -> bool:
    if isinstance(suffix, dict):
        return value.lower().endswith(suffix["equals-ignore-case"].lower())
    return value.endswith(suffix)


def _is_like(value: str, wildcard: str) -> bool:
    pieces = re.findall(r"\\[*\\]|\*|[^*\\]+", wildcard)
    expression = "".join(".*" if piece == "*" else re.escape(re.sub(r"\\([*\\])", r"\1", piece)) for piece in pieces)
    return re.fullmatch(expression, value, re.DOTALL) is not None


_TEXTS: dict[str, Callable[[str, Any], bool]] = {
    "exactly": lambda value, text: value == text,
    "prefix": _begins,
    "suffix": _ends,
    "equals-ignore-case": lambda value, text: value.lower() == text.lower(),
    "wildcard": _is_like,
}
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "=": lambda value, number: value == number,
    "<": lambda value, number: value < number,
    "<=": lambda value, number: value <= number,
    ">": lambda value, number: value > number,
    ">=": lambda value, number: value >= number,
}
