"""Label and field selectors of list requests."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from podshare_sandbox.services.kubernetes import errors
from podshare_sandbox.services.kubernetes.resources import Resource
from podshare_sandbox.services.kubernetes.validation import metadata

Matcher = Callable[[dict[str, Any]], bool]

_SET = re.compile(r"(?P<key>\S+)\s+(?P<operator>in|notin)\s*\((?P<values>[^)]*)\)")
_EQUALITY = re.compile(r"(?P<key>[^=!\s]+)\s*(?P<operator>==|=|!=)\s*(?P<value>[^=!\s]*)")
_EXISTS = re.compile(r"(?P<absent>!?)\s*(?P<key>[A-Za-z0-9][\w./-]*)")
_FIELDS = ("metadata.name", "metadata.namespace")
_POD_FIELDS = ("spec.nodeName", "spec.serviceAccountName", "status.phase")


def selected(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether labels fit a LabelSelector (meta/v1); an empty one fits all. Raises KeyError for an unknown operator."""
    operators: dict[str, Callable[[str, list[str]], bool]] = {
        "In": lambda key, values: labels.get(key) in values,
        "NotIn": lambda key, values: labels.get(key) not in values,
        "Exists": lambda key, _: key in labels,
        "DoesNotExist": lambda key, _: key not in labels,
    }
    return all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items()) and all(
        operators[one["operator"]](one["key"], one.get("values") or [])
        for one in selector.get("matchExpressions") or []
    )


def label_matcher(selector: str) -> Matcher:
    """Whether an object's labels fit ``selector``. Raises 400 for a selector that cannot be read."""
    requirements = [_requirement(part.strip()) for part in _split(selector)]

    def matches(each: dict[str, Any]) -> bool:
        labels = each["metadata"].get("labels") or {}
        return all(requirement(labels) for requirement in requirements)

    return matches


def _split(selector: str) -> list[str]:
    """The requirements, at the commas that are not in parentheses. Raises 400 for a comma that nothing follows."""
    parts = re.split(r",(?![^(]*\))", selector)
    if len(parts) > 1 and not all(part.strip() for part in parts):
        raise errors.bad_request("unable to parse requirement: found '', expected: identifier after ','")
    return [part for part in parts if part.strip()]


def _requirement(text: str) -> Callable[[dict[str, str]], bool]:
    if match := _SET.fullmatch(text) or _EQUALITY.fullmatch(text) or _EXISTS.fullmatch(text):
        _check(match.groupdict())
    if match := _SET.fullmatch(text):
        key, values = match["key"], {value.strip() for value in match["values"].split(",")}
        if match["operator"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if match := _EQUALITY.fullmatch(text):
        key, value = match["key"], match["value"]
        if match["operator"] == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if match := _EXISTS.fullmatch(text):
        key, wanted = match["key"], not match["absent"]
        return lambda labels: (key in labels) == wanted
    raise errors.bad_request(f"unable to parse requirement: {text}")


def _check(requirement: Mapping[str, str]) -> None:
    """Raise 400 for what is no key, or no value, of a label."""
    values = [*requirement.get("values", "").split(","), requirement.get("value", "")]
    for why in metadata.key_violations(requirement["key"]):
        raise errors.bad_request(f'unable to parse requirement: key: Invalid value: "{requirement["key"]}": {why}')
    for value in values:
        for why in metadata.value_violations(value.strip()):
            raise errors.bad_request(f'unable to parse requirement: values: Invalid value: "{value.strip()}": {why}')


def field_matcher(selector: str, resource: Resource) -> Matcher:
    """Whether an object's fields fit ``selector``. Raises 400 for a field that the resource cannot be selected by."""
    known = (*_FIELDS, *(_POD_FIELDS if resource.kind == "Pod" else ()))
    requirements = []
    for part in _split(selector):
        match = _EQUALITY.fullmatch(part.strip())
        if match is None or match["key"] not in known:
            raise errors.bad_request(f"field label not supported: {match['key'] if match else part}")
        requirements.append((match["key"].split("."), match["value"], match["operator"] != "!="))
    return lambda each: all((_field(each, path) == value) == equal for path, value, equal in requirements)


def selected_name(selector: str) -> str:
    """The one name that a field selector lets through, empty if it does not say."""
    found = (_EQUALITY.fullmatch(part.strip()) for part in _split(selector))
    named = [each["value"] for each in found if each and each["key"] == "metadata.name" and each["operator"] != "!="]
    return named[0] if named else ""


def _field(each: dict[str, Any], path: list[str]) -> str:
    value: Any = each
    for key in path:
        value = value.get(key, {}) if isinstance(value, dict) else {}
    return value if isinstance(value, str) else ""
