"""Where a workflow's variables live: the scopes of a definition, and what AWS refuses in them.

The states of one ``States`` field share a scope. A branch of a Parallel state and the iterations of a Map state have a
scope of their own, which reads the outer ones; that of a Distributed Map does not. Source: Step Functions developer
guide, "Passing data between states with variables".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Definition = dict[str, Any]


@dataclass(frozen=True)
class Scope:
    """The states of one ``States`` field, with their place, their query language and the scope around them."""

    path: str
    machine: Definition
    language: str
    outer: "Scope | None" = None

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
