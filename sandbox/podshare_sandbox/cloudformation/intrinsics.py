"""Evaluates a template's conditions, pseudo parameters and intrinsic functions.

Conditions are decided once, from the parameters alone. Everything else is evaluated when the resource
that uses it is deployed, in an order in which what it refers to is there.
"""

import graphlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from podshare_sandbox.cloudformation.errors import TemplateError
from podshare_sandbox.cloudformation.template import Template

_NO_VALUE = object()
_PLACEHOLDER = re.compile(r"\$\{([^{}]*)\}")


class Evaluator:
    """Turns expressions of one stack's template into values.

    ``refs`` answers ``Ref`` (parameters, pseudo parameters and, as they are deployed, resources),
    ``attributes`` answers ``Fn::GetAtt``, ``exports`` ``Fn::ImportValue``.
    """

    def __init__(self, template: Template, refs: Mapping[str, Any], exports: Mapping[str, str]) -> None:
        self.refs: dict[str, Any] = {**refs, "AWS::NoValue": _NO_VALUE}
        self.attributes: dict[str, Mapping[str, Any]] = {}
        self._exports = exports
        self._mappings: Mapping[str, Any] = template.get("Mappings", {})
        self._functions: dict[str, Callable[[Any], Any]] = {
            "Ref": self._ref,
            "Fn::FindInMap": self._find_in_map,
            "Fn::GetAtt": self._get_att,
            "Fn::If": lambda arguments: self.evaluate(self._branch(arguments)),
            "Fn::ImportValue": self._import_value,
            "Fn::Join": self._join,
            "Fn::Select": self._select,
            "Fn::Split": self._split,
            "Fn::Sub": self._sub,
        }
        self._conditions: dict[str, bool] = {}
        self._decide(template.get("Conditions", {}))

    def evaluate(self, expression: Any) -> Any:
        """The value of ``expression``, with what is ``AWS::NoValue`` left out of its list or object."""
        if isinstance(expression, list):
            return [value for item in expression if (value := self.evaluate(item)) is not _NO_VALUE]
        if not isinstance(expression, dict):
            return expression
        name = _function_name(expression)
        if name is None:
            values = {key: self.evaluate(item) for key, item in expression.items()}
            return {key: value for key, value in values.items() if value is not _NO_VALUE}
        if name not in self._functions:
            raise TemplateError(f"intrinsic function {name} is not emulated")
        return self._functions[name](expression[name])

    def condition(self, name: str) -> bool:
        """Whether the named condition holds. Raises TemplateError for a name that nothing declares."""
        if name not in self._conditions:
            raise TemplateError(f"Template format error: Unresolved condition {name}")
        return self._conditions[name]

    def applies(self, declaration: Mapping[str, Any]) -> bool:
        """Whether a resource or output exists in this stack, as far as its ``Condition`` goes."""
        return "Condition" not in declaration or self.condition(declaration["Condition"])

    def references(self, expression: Any) -> set[str]:
        """The names that ``expression`` refers to in the branches that the conditions choose."""
        match expression:
            case {"Ref": str(name)}:
                return {name}
            case {"Fn::GetAtt": arguments}:
                return {_attribute_path(arguments)[0]}
            case {"Fn::Sub": arguments}:
                return self._references_of_sub(arguments)
            case {"Fn::If": arguments}:
                return self.references(self._branch(arguments))
            case dict() | list():
                items = expression.values() if isinstance(expression, dict) else expression
                return set().union(*(self.references(item) for item in items))
        return set()

    def _decide(self, conditions: Mapping[str, Any]) -> None:
        pending = {name: _conditions_in(expression) for name, expression in conditions.items()}
        for name in in_order(pending, "conditions"):
            if name not in conditions:
                raise TemplateError(f"Template format error: Unresolved condition {name}")
            self._conditions[name] = self._holds(conditions[name])

    def _holds(self, expression: Any) -> bool:
        match expression:
            case {"Condition": str(name)}:
                return self.condition(name)
            case {"Fn::Equals": [left, right]}:
                return bool(self._comparable(left) == self._comparable(right))
            case {"Fn::Not": [operand]}:
                return not self._holds(operand)
            case {"Fn::And": [_, _, *_] as operands}:
                return all(self._holds(operand) for operand in operands)
            case {"Fn::Or": [_, _, *_] as operands}:
                return any(self._holds(operand) for operand in operands)
        raise TemplateError(f"Template error: not a condition: {expression}")

    def _comparable(self, expression: Any) -> Any:
        value = self.evaluate(expression)
        return value if isinstance(value, list | dict) else text(value)

    def _branch(self, arguments: Any) -> Any:
        match arguments:
            case [str(name), then, otherwise]:
                return then if self.condition(name) else otherwise
        raise TemplateError("Template error: Fn::If requires a condition's name and two values")

    def _ref(self, name: str) -> Any:
        if name not in self.refs:
            raise TemplateError(f"Unresolved resource dependencies [{name}] in the template")
        return self.refs[name]

    def _get_att(self, arguments: Any) -> Any:
        name, attribute = _attribute_path(arguments)
        if name not in self.attributes:
            raise TemplateError(f"Unresolved resource dependencies [{name}] in the template")
        if attribute not in self.attributes[name]:
            raise TemplateError(f"attribute {attribute} of {name} does not exist or is not emulated")
        return self.attributes[name][attribute]

    def _sub(self, arguments: Any) -> str:
        template, variables = _sub_arguments(arguments)
        values = {name: self.evaluate(expression) for name, expression in variables.items()}

        def replacement(found: re.Match[str]) -> str:
            name = found[1]
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            if name in values:
                return text(values[name])
            return text(self._get_att(name) if "." in name else self._ref(name))

        return _PLACEHOLDER.sub(replacement, template)

    def _references_of_sub(self, arguments: Any) -> set[str]:
        template, variables = _sub_arguments(arguments)
        names = {name for name in _PLACEHOLDER.findall(template) if not name.startswith("!")}
        return {name.split(".")[0] for name in names - set(variables)} | self.references(list(variables.values()))

    def _join(self, arguments: Any) -> str:
        match arguments:
            case [str(delimiter), parts]:
                values = self.evaluate(parts)
                if isinstance(values, list):
                    return delimiter.join(text(value) for value in values)
        raise TemplateError("Template error: every Fn::Join object requires a delimiter and a list of strings")

    def _select(self, arguments: Any) -> Any:
        match self.evaluate(arguments):
            case [index, [*values]] if text(index).isdecimal() and int(index) < len(values):
                return values[int(index)]
        raise TemplateError(f"Template error: Fn::Select cannot select {arguments}")

    def _split(self, arguments: Any) -> list[str]:
        match self.evaluate(arguments):
            case [str(delimiter), str(source)] if delimiter:
                return source.split(delimiter)
        raise TemplateError("Template error: every Fn::Split object requires a delimiter and a string")

    def _find_in_map(self, arguments: Any) -> Any:
        match self.evaluate(arguments):
            case [str(name), top, second]:
                try:
                    return self._mappings[name][text(top)][text(second)]
                except KeyError:
                    path = f"{name}::{top}::{second}"
                    raise TemplateError(f"Template error: Unable to get mapping for {path}") from None
        raise TemplateError("Template error: Fn::FindInMap requires a map's name and two keys")

    def _import_value(self, argument: Any) -> str:
        name = text(self.evaluate(argument))
        if name not in self._exports:
            raise TemplateError(f"No export named {name} found.")
        return self._exports[name]


def in_order(dependencies: Mapping[str, set[str]], what: str) -> list[str]:
    """The names so that each follows what it depends on. Raises TemplateError naming the members of a cycle."""
    try:
        return list(graphlib.TopologicalSorter(dependencies).static_order())
    except graphlib.CycleError as error:
        members = ", ".join(sorted(set(error.args[1])))
        raise TemplateError(f"Circular dependency between {what}: [{members}]") from None


def text(value: Any) -> str:
    """A scalar as CloudFormation writes it into a string. Raises TemplateError for anything else."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise TemplateError(f"Template error: expected a string, not {value!r}")


def _function_name(expression: Mapping[str, Any]) -> str | None:
    names = [key for key in expression if key == "Ref" or str(key).startswith("Fn::")]
    if not names:
        return None
    if len(expression) > 1:
        raise TemplateError(f"Template error: {names[0]} must stand alone, beside it are {sorted(expression)}")
    return names[0]


def _attribute_path(arguments: Any) -> tuple[str, str]:
    match arguments:
        case str() if "." in arguments:
            name, _, attribute = arguments.partition(".")
            return name, attribute
        case [str(name), str(attribute)]:
            return name, attribute
    raise TemplateError(f"Template error: Fn::GetAtt requires a resource and an attribute, not {arguments}")


def _sub_arguments(arguments: Any) -> tuple[str, Mapping[str, Any]]:
    match arguments:
        case str():
            return arguments, {}
        case [str(template), dict() as variables]:
            return template, variables
    raise TemplateError("Template error: Fn::Sub requires a string, or a string and a map")


def _conditions_in(expression: Any) -> set[str]:
    match expression:
        case {"Condition": str(name)}:
            return {name}
        case dict():
            return set().union(*(_conditions_in(item) for item in expression.values()))
        case list():
            return set().union(*(_conditions_in(item) for item in expression))
    return set()
