"""Where a workflow's variables live: the scopes of a definition, and what AWS refuses in them.

The states of one ``States`` field share a scope. A branch of a Parallel state and the iterations of a Map state have a
scope of their own, which reads the outer ones; that of a Distributed Map does not. ``$states.result`` is there in
Assign and Output of Task, Map and Parallel states, ``$states.errorOutput`` in those of a catcher. Source: Step
Functions developer guide, "Passing data between states with variables".

AWS takes a reference to a variable that no scope around it assigns, and the execution fails at run time. The sandbox
refuses it when the machine is made: nobody means it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from podshare_sandbox.state_machines import expressions

Definition = dict[str, Any]

_LONGEST_NAME = 80
_WITH_RESULT = {"Task", "Map", "Parallel"}
_MACHINES_WITHIN = {"ItemProcessor", "Iterator", "Branches"}
_STATES_FIELD = re.compile(r"\$states\s*\.\s*`?([A-Za-z_][A-Za-z0-9_]*)")
_FIELDS = {"input", "context", "result", "errorOutput"}


@dataclass(frozen=True)
class Scope:
    """The states of one ``States`` field, with their place, their query language and the scope around them."""

    path: str
    machine: Definition
    language: str
    outer: "Scope | None" = None

    @property
    def is_distributed(self) -> bool:
        """Whether the scope is of a Distributed Map's items, which are executions of their own."""
        return bool(self.machine.get("ProcessorConfig", {}).get("Mode") == "DISTRIBUTED")

    def visible(self) -> set[str]:
        """The variables that its states can read."""
        names = {name for name, _ in self.assigned()}
        return names if self.outer is None or self.is_distributed else names | self.outer.visible()

    @property
    def states(self) -> dict[str, Definition]:
        """The states by name."""
        return dict(self.machine.get("States", {}))

    @property
    def enclosing(self) -> Iterator["Scope"]:
        """The scopes around this one, the nearest first."""
        scope = self.outer
        while scope is not None:
            yield scope
            scope = scope.outer

    def assigned(self) -> Iterator[tuple[str, str]]:
        """The variables that the scope's states assign, each with its place."""
        for state_name, state in self.states.items():
            here = f"{self.path}/States/{state_name}"
            yield from _assigned(state, here)
            for field in ("Catch", "Choices"):
                for index, rule in enumerate(state.get(field, [])):
                    yield from _assigned(rule, f"{here}/{field}[{index}]")


def scopes_of(machine: Definition) -> Iterator[Scope]:
    """Every scope of a definition, outer ones before inner ones."""
    yield from _within(Scope("", machine, machine.get("QueryLanguage", "JSONPath")))


def problems_of(machine: Definition) -> Iterator[str]:
    """What AWS would refuse in the variables of a definition, each with its place."""
    for scope in scopes_of(machine):
        yield from _shadowed(scope)
        yield from _ill_named(scope)
        for name, state in scope.states.items():
            if state.get("QueryLanguage", scope.language) == "JSONata":
                for place, expression, fields in _expressions(state, f"{scope.path}/States/{name}"):
                    yield from _problems_in(expression, place, scope.visible(), fields)


def _within(scope: Scope) -> Iterator[Scope]:
    yield scope
    for name, state in scope.states.items():
        here, language = f"{scope.path}/States/{name}", state.get("QueryLanguage", scope.language)
        for field in ("ItemProcessor", "Iterator"):
            if field in state:
                yield from _within(Scope(f"{here}/{field}", state[field], language, scope))
        for index, branch in enumerate(state.get("Branches", [])):
            yield from _within(Scope(f"{here}/Branches[{index}]", branch, language, scope))


def _assigned(holder: Definition, place: str) -> Iterator[tuple[str, str]]:
    for name in holder.get("Assign", {}):
        yield name.removesuffix(".$"), f"{place}/Assign/{name}"


def _shadowed(scope: Scope) -> Iterator[str]:
    """Also for a Distributed Map, which does not see what is outside: the guide makes no exception for it."""
    outside = {name for outer in scope.enclosing for name, _ in outer.assigned()}
    for name, place in scope.assigned():
        if name in outside:
            yield (
                f"DUPLICATE_VARIABLE_NAME: Variable ${name} is assigned in an outer scope, "
                f"and cannot be assigned in an inner one at {place}"
            )


def _ill_named(scope: Scope) -> Iterator[str]:
    """Names are identifiers as in Unicode Standard Annex #31, where an underscore does not begin one."""
    for name, place in scope.assigned():
        if name == "states":
            yield f"INVALID_VARIABLE_NAME: $states is reserved at {place}"
        elif not name.isidentifier() or name.startswith("_"):
            yield f"INVALID_VARIABLE_NAME: '{name}' is not an identifier at {place}"
        elif len(name) > _LONGEST_NAME:
            yield f"INVALID_VARIABLE_NAME: '{name}' is longer than {_LONGEST_NAME} characters at {place}"


def _expressions(state: Definition, place: str) -> Iterator[tuple[str, str, set[str]]]:
    """The JSONata of a state's own fields, each with its place and the fields that ``$states`` has there."""
    for key, value in state.items():
        if key in _MACHINES_WITHIN:
            continue
        if key in {"Assign", "Output"} and state.get("Type") in _WITH_RESULT:
            yield from _within_field(value, f"{place}/{key}", _FIELDS - {"errorOutput"})
        elif key == "Catch":
            yield from _within_field(value, f"{place}/{key}", _FIELDS - {"result"})
        else:
            yield from _within_field(value, f"{place}/{key}", _FIELDS - {"result", "errorOutput"})


def _within_field(value: Any, place: str, fields: set[str]) -> Iterator[tuple[str, str, set[str]]]:
    if isinstance(value, str) and value.startswith("{%") and value.endswith("%}"):
        yield place, value[2:-2].strip(), fields
    elif isinstance(value, dict):
        for key, member in value.items():
            yield from _within_field(member, f"{place}/{key}", fields)
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from _within_field(member, f"{place}[{index}]", fields)


def _problems_in(expression: str, place: str, visible: set[str], fields: set[str]) -> Iterator[str]:
    try:
        expressions.compile_expression(expression)
    except expressions.QueryEvaluationError as error:
        yield f"INVALID_JSONATA_EXPRESSION: {error} at {place}"
        return
    for name in expressions.unsupported_references(expression):
        yield f"UNSUPPORTED_JSONATA_EXPRESSION: Reference to '{name}' at the top level is not supported. at {place}"
    for name in sorted(expressions.references(expression) - visible - {"states"} - expressions.built_in_functions()):
        yield f"INVALID_JSONATA_EXPRESSION: Variable ${name} is not assigned by any state of its scope at {place}"
    for field in sorted(set(_STATES_FIELD.findall(expressions.without_literals(expression))) - fields):
        yield f"INVALID_JSONATA_EXPRESSION: $states.{field} is not available here at {place}"
