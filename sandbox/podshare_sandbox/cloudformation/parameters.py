"""A stack's parameters, held against the constraints that the template declares.

Types and constraints: CloudFormation user guide, "CloudFormation template Parameters syntax".
"""

import re
from collections.abc import Mapping
from typing import Any

from podshare_sandbox.cloudformation.errors import TemplateError

_LIST_TYPES = {"CommaDelimitedList", "List<Number>", "List<String>"}
_NUMBER_TYPES = {"Number", "List<Number>"}
_TYPES = {"String", "Number"} | _LIST_TYPES


def given_or_default(declared: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, str]:
    """Each declared parameter's value as text. Raises TemplateError for unknown and for missing ones."""
    unknown = sorted(set(given) - set(declared))
    if unknown:
        raise TemplateError(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    missing = sorted(name for name, rule in declared.items() if name not in given and "Default" not in rule)
    if missing:
        raise TemplateError(f"Parameters: [{', '.join(missing)}] must have values")
    return {name: _text(given.get(name, rule.get("Default"))) for name, rule in declared.items()}


def checked(declared: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, str | list[str]]:
    """What ``Ref`` answers for each parameter. Raises TemplateError where a value breaks a constraint."""
    return {name: _checked(name, rule, values[name]) for name, rule in declared.items()}


def _checked(name: str, rule: Mapping[str, Any], value: str) -> str | list[str]:
    kind = rule.get("Type")
    if kind not in _TYPES:
        raise TemplateError(f"parameter {name}: type {kind} is not emulated")
    if kind not in _LIST_TYPES:
        _check(name, rule, value)
        return value
    members = [member.strip() for member in value.split(",")]
    for member in members:
        _check(name, rule, member)
    return members


def _check(name: str, rule: Mapping[str, Any], value: str) -> None:
    problem = _broken_constraint(rule, value)
    if problem:
        explanation = rule.get("ConstraintDescription", problem)
        raise TemplateError(f"Parameter {name} failed to satisfy constraint: {explanation} (value: {value!r})")


def _broken_constraint(rule: Mapping[str, Any], value: str) -> str | None:
    pattern, allowed = rule.get("AllowedPattern"), rule.get("AllowedValues")
    if pattern is not None and not re.fullmatch(pattern, value):
        return f"must match pattern {pattern}"
    if allowed is not None and value not in [_text(one) for one in allowed]:
        return f"must be one of {', '.join(_text(one) for one in allowed)}"
    if len(value) < int(rule.get("MinLength", 0)):
        return f"must contain at least {rule['MinLength']} characters"
    if "MaxLength" in rule and len(value) > int(rule["MaxLength"]):
        return f"must contain at most {rule['MaxLength']} characters"
    if rule["Type"] in _NUMBER_TYPES:
        return _broken_number(rule, value)
    return None


def _broken_number(rule: Mapping[str, Any], value: str) -> str | None:
    try:
        number = float(value)
    except ValueError:
        return "must be a number"
    if "MinValue" in rule and number < float(rule["MinValue"]):
        return f"must be at least {rule['MinValue']}"
    if "MaxValue" in rule and number > float(rule["MaxValue"]):
        return f"must be at most {rule['MaxValue']}"
    return None


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(_text(member) for member in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
