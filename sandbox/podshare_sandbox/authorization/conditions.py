"""Patterns, policy variables and condition operators of IAM policies: pure functions of a request's context.

Source: IAM User Guide, "IAM JSON policy elements: Condition operators", "… Variables and tags" and
"Set operators for multi-valued context keys".
"""

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache

Values = str | tuple[str, ...]
"""The value of a context key: a string where the key holds one value, a tuple where it holds a set."""

Context = Mapping[str, Values]
"""Context keys in lower case (IAM compares their names without regard to case) and their values."""

_ARN_FIELDS = 6
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_VARIABLE_PARTS = re.compile(r"^\s*([^,]+?)\s*(?:,\s*'([^']*)'\s*)?$")
_LITERALS = {"*": "*", "?": "?", "$": "$"}


def resolve(template: str, context: Context | None, escape: Callable[[str], str] = str) -> str | None:
    """``template`` with its policy variables replaced; None where one has neither value nor default.

    ``context`` None leaves the text as it is: policies older than version 2012-10-17 have no variables.
    ``escape`` is applied to what variables bring in, so that a tag's value never acts as a wildcard.
    """
    if context is None or "${" not in template:
        return template
    resolved, end = [], 0
    for variable in _VARIABLE.finditer(template):
        value = _variable_value(variable.group(1), context)
        if value is None:
            return None
        resolved += [template[end : variable.start()], escape(value)]
        end = variable.end()
    return "".join([*resolved, template[end:]])


def _variable_value(variable: str, context: Context) -> str | None:
    if variable in _LITERALS:
        return _LITERALS[variable]
    parts = _VARIABLE_PARTS.match(variable)
    if not parts:
        return None
    value = context.get(parts.group(1).lower())
    return value if isinstance(value, str) else parts.group(2)


_ESCAPED = {"*": "\ue000", "?": "\ue001"}
_UNESCAPED = {code: character for character, code in _ESCAPED.items()}


def _escape_wildcards(value: str) -> str:
    """Stand-ins from Unicode's private use area, which no ARN, tag or key of AWS carries."""
    return "".join(_ESCAPED.get(character, character) for character in value)


@lru_cache(maxsize=8192)
def _expression(pattern: str, any_character: str, flags: int) -> re.Pattern[str]:
    wildcards = {"*": f"{any_character}*", "?": any_character}
    text = "".join(wildcards.get(c) or re.escape(_UNESCAPED.get(c, c)) for c in pattern)
    return re.compile(text, flags | re.DOTALL)


@lru_cache(maxsize=8192)
def _arn_expressions(pattern: str) -> tuple[re.Pattern[str], ...]:
    fields = pattern.split(":", _ARN_FIELDS - 1)
    return tuple(_expression(field, ".", 0) for field in fields)


def like(pattern: str, value: str, context: Context | None = None, *, ignore_case: bool = False) -> bool:
    """Whether ``value`` matches ``pattern`` with ``*`` (any characters) and ``?`` (one character)."""
    resolved = resolve(pattern, context, _escape_wildcards)
    if resolved is None:
        return False
    return bool(_expression(resolved, ".", re.IGNORECASE if ignore_case else 0).fullmatch(value))


def arn_like(pattern: str, arn: str, context: Context | None = None) -> bool:
    """Whether ``arn`` matches ``pattern`` field by field: a wildcard never spans a colon before the last field.

    A pattern with fewer than six fields is completed with wildcards, as IAM does for ``Resource``.
    """
    resolved = resolve(pattern, context, _escape_wildcards)
    if resolved is None:
        return False
    if resolved == "*":
        return True
    fields = arn.split(":", _ARN_FIELDS - 1)
    expressions = _arn_expressions(resolved)
    if len(fields) < _ARN_FIELDS or expressions[0].pattern != "arn":
        return False
    return all(expression.fullmatch(field) for expression, field in zip(expressions, fields, strict=False))


def _equals(expected: str, actual: str, context: Context | None) -> bool:
    return resolve(expected, context) == actual


def _equals_ignoring_case(expected: str, actual: str, context: Context | None) -> bool:
    resolved = resolve(expected, context)
    return resolved is not None and resolved.lower() == actual.lower()


def _string_like(expected: str, actual: str, context: Context | None) -> bool:
    return like(expected, actual, context)


def _literally_equals(expected: str, actual: str, _: Context | None) -> bool:
    return expected == actual


def _bool(expected: str, actual: str, context: Context | None) -> bool:
    return _equals_ignoring_case(expected, actual, context)


def _ip_address(expected: str, actual: str, _: Context | None) -> bool:
    try:
        return ipaddress.ip_address(actual) in ipaddress.ip_network(expected, strict=False)
    except ValueError:
        return False


def _timestamp(text: str) -> float:
    """A date in ISO 8601 or in seconds since 1970."""
    try:
        return float(text)
    except ValueError:
        parsed = datetime.fromisoformat(text)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


Test = Callable[[str, str, Context | None], bool]


def _ordered(number: Callable[[str], float], holds: Callable[[float, float], bool]) -> Test:
    def test(expected: str, actual: str, _: Context | None) -> bool:
        try:
            return holds(number(actual), number(expected))
        except ValueError:
            return False

    return test


def _ordering(prefix: str, number: Callable[[str], float]) -> Iterator[tuple[str, Test]]:
    yield f"{prefix}Equals", _ordered(number, lambda actual, expected: actual == expected)
    yield f"{prefix}LessThan", _ordered(number, lambda actual, expected: actual < expected)
    yield f"{prefix}LessThanEquals", _ordered(number, lambda actual, expected: actual <= expected)
    yield f"{prefix}GreaterThan", _ordered(number, lambda actual, expected: actual > expected)
    yield f"{prefix}GreaterThanEquals", _ordered(number, lambda actual, expected: actual >= expected)


_TESTS: dict[str, Test] = {
    "StringEquals": _equals,
    "StringEqualsIgnoreCase": _equals_ignoring_case,
    "StringLike": _string_like,
    "ArnEquals": arn_like,  # "ArnEquals and ArnLike behave identically"
    "ArnLike": arn_like,
    "Bool": _bool,
    "BinaryEquals": _literally_equals,
    "IpAddress": _ip_address,
    **dict(_ordering("Numeric", float)),
    **dict(_ordering("Date", _timestamp)),
}
_NEGATIONS = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
}
_ALL, _ANY = "ForAllValues", "ForAnyValue"


def is_operator(name: str) -> bool:
    """Whether IAM knows the condition operator ``name``, with its set prefix and ``IfExists``."""
    quantifier, _, rest = name.rpartition(":")
    base = rest.removesuffix("IfExists")
    if base == "Null":
        return name == "Null"
    return quantifier in ("", _ALL, _ANY) and (base in _TESTS or base in _NEGATIONS)


def holds(
    operator: str, key: str, expected: tuple[str, ...], context: Context, *, variables: bool, denies: bool = False
) -> bool:
    """Whether one condition holds. Raises NotImplementedError for an operator that IAM does not have.

    Several values need a set operator. Without one ``StringEquals`` allows nothing ("Using IAM policy conditions in
    Amazon EventBridge": a pattern with two sources); what else AWS does is not documented: the condition of a statement
    that ``denies`` holds, that of another does not.
    """
    if not is_operator(operator):
        raise NotImplementedError(f"condition operator {operator}")
    actual = context.get(key.lower())
    if operator == "Null":
        return (not actual) == (expected[0].lower() == "true")
    quantifier, _, rest = operator.rpartition(":")
    base = rest.removesuffix("IfExists")
    negated = base in _NEGATIONS
    if actual is None or actual == ():
        return rest.endswith("IfExists") or quantifier == _ALL or (negated and quantifier != _ANY)
    values = (actual,) if isinstance(actual, str) else actual
    if quantifier and not any(values):  # "a null dataset, such as an empty string"
        return quantifier == _ALL
    test = _TESTS[_NEGATIONS.get(base, base)]
    scope = context if variables else None

    def matches(value: str) -> bool:
        return any(test(one, value, scope) for one in expected)

    if quantifier == _ALL:
        return all(matches(value) != negated for value in values)
    if quantifier == _ANY:
        return any(matches(value) != negated for value in values)
    return denies if len(values) > 1 else matches(values[0]) != negated
