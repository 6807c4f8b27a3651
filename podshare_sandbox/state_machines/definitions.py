"""What CreateStateMachine and UpdateStateMachine refuse, beside what moto's grammar refuses.

Transitions to nowhere, states that nothing leads to, names that occur twice, JSONata that does not parse or refers
to variables that nothing assigns, and a role that Step Functions may not assume. Also: each definition is parsed
once, since moto's parser takes a quarter of a second for an ordinary one.
"""

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from moto.core.exceptions import AWSError
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.models import StepFunctionsParserBackend

from podshare_sandbox.moto_repair import repair
from podshare_sandbox.service_clients import ServiceRole
from podshare_sandbox.state_machines import scopes
from podshare_sandbox.state_machines.scopes import Definition, Scope

_LONGEST_NAME = 80
_LARGEST_DEFINITION = 1024 * 1024  # bytes
_NOT_A_ROLE = (
    "Neither the global service principal states.amazonaws.com, nor the regional one is authorized to assume "
    "the provided role."
)


class InvalidDefinition(AWSError):  # noqa: N818  # the name on the wire
    """The definition breaks a rule; the message lists each problem with its place."""

    TYPE = "InvalidDefinition"

    def __init__(self, problems: list[str]) -> None:
        listed = ", ".join(f"SCHEMA_VALIDATION_FAILED: {problem}" for problem in problems)
        super().__init__(f"Invalid State Machine Definition: '{listed}'")


class RoleNotAssumable(AWSError):  # noqa: N818
    """Step Functions may not assume the machine's role."""

    TYPE = "AccessDeniedException"

    def __init__(self) -> None:
        super().__init__(_NOT_A_ROLE)


def install() -> None:
    """Check definitions and roles; parse once."""
    repair(AmazonStateLanguageParser, "parse", _parsing_once)
    repair(StepFunctionsParserBackend, "create_state_machine", _checking_new_machines)
    repair(StepFunctionsParserBackend, "update_state_machine", _checking_changed_machines)


def problems_of(definition: Definition) -> list[str]:
    """Everything that AWS would refuse in a definition that moto's grammar accepts."""
    found = list(scopes.scopes_of(definition))
    return [
        problem
        for scope in found
        for problem in (*_transition_problems(scope.path, scope.machine), *_name_problems(scope.path, scope.machine))
    ] + [*_duplicates(found), *scopes.problems_of(definition)]


def _targets(state: Definition) -> Iterator[tuple[str, str]]:
    """Where a state may lead, each with the field that says so."""
    for field in ("Next", "Default"):
        if field in state:
            yield field, state[field]
    for field in ("Choices", "Catch"):
        for index, rule in enumerate(state.get(field, [])):
            if "Next" in rule:
                yield f"{field}[{index}]/Next", rule["Next"]


def _transition_problems(path: str, machine: Definition) -> Iterator[str]:
    states = machine.get("States", {})
    start = machine.get("StartAt")
    if start not in states:
        yield f"MISSING_TRANSITION_TARGET: Missing 'StartAt' target: {start} at {path}/StartAt"
    for name, state in states.items():
        for field, target in _targets(state):
            if target not in states:
                yield f"MISSING_TRANSITION_TARGET: Missing 'Next' target: {target} at {path}/States/{name}/{field}"
    for name in states.keys() - _reachable(states, start):
        yield f'MISSING_TRANSITION_TARGET: State "{name}" is not reachable. at {path}/States/{name}'


def _reachable(states: Definition, start: Any) -> set[str]:
    found, ahead = set(), [start]
    while ahead:
        name = ahead.pop()
        if name in states and name not in found:
            found.add(name)
            ahead.extend(target for _, target in _targets(states[name]))
    return found


def _name_problems(path: str, machine: Definition) -> Iterator[str]:
    for name in machine.get("States", {}):
        if len(name) > _LONGEST_NAME:
            yield f"STATE_NAME_TOO_LONG: State name exceeds {_LONGEST_NAME} characters: {name} at {path}/States"


def _duplicates(found: list[Scope]) -> Iterator[str]:
    names = [name for scope in found for name in scope.states]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"DUPLICATE_STATE_NAME: Duplicate State name: {name}"


def _parsing_once(original: Any) -> Any:
    @lru_cache(maxsize=64)
    def parse(definition: str) -> Any:
        return original(_with_decimal_percentages(definition))

    return staticmethod(parse)


def _with_decimal_percentages(definition: str) -> str:
    """moto's grammar takes ``ToleratedFailurePercentage`` as a decimal only."""
    if '"ToleratedFailurePercentage"' not in definition:
        return definition

    def spell(members: dict[str, Any]) -> dict[str, Any]:
        percentage = members.get("ToleratedFailurePercentage")
        if isinstance(percentage, int):
            members["ToleratedFailurePercentage"] = float(percentage)
        return members

    return json.dumps(json.loads(definition, object_hook=spell))


def _checking_new_machines(original: Any) -> Any:
    def create(self: Any, name: str, definition: str, roleArn: str, **more: Any) -> Any:  # moto's
        arn = f"arn:aws:states:{self.region_name}:{self.account_id}:stateMachine:{name}"
        self._validate_definition(definition=definition)
        _check(definition, roleArn, arn)
        return original(self, name, definition, roleArn, **more)

    return create


def _checking_changed_machines(original: Any) -> Any:
    def update(self: Any, arn: str, definition: Any = None, role_arn: Any = None, **more: Any) -> Any:
        if definition is not None:
            self._validate_definition(definition=definition)
        _check(definition, role_arn, arn)
        return original(self, arn, definition, role_arn, **more)

    return update


def _check(definition: str | None, role: str | None, machine_arn: str) -> None:
    if definition is not None:
        problems = problems_of(json.loads(definition))
        if len(definition.encode()) > _LARGEST_DEFINITION:
            problems.append(f"DEFINITION_TOO_LARGE: exceeds {_LARGEST_DEFINITION} bytes")
        if problems:
            raise InvalidDefinition(problems)
    if role is not None:
        try:
            ServiceRole(role, "states.amazonaws.com", "validation", machine_arn).check()
        except Exception as error:
            raise RoleNotAssumable from error
