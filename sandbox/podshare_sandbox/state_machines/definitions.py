"""What CreateStateMachine, UpdateStateMachine and ValidateStateMachineDefinition refuse, in AWS's words.

Fields (:mod:`.schema`), variables' scopes (:mod:`.scopes`), transitions to nowhere, workflows without an end, states
that nothing leads to, names that occur twice, JSONata that does not parse or reads an input that it does not have, and
a role that Step Functions may not assume. A JSONata variable that nothing assigns is refused too, which AWS lets fail
at run time: a check of the sandbox's own. What is left is moto's grammar's to refuse. Also: each definition is parsed
once, since moto's parser takes a quarter of a second for an ordinary one.

Sources: API Reference, ValidateStateMachineDefinition; answers of the service as published in issues and pull requests
of emulators.
"""

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from moto.core.exceptions import AWSError
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.parse.preprocessor import Preprocessor
from moto.stepfunctions.parser.models import StepFunctionsParserBackend

from podshare_sandbox.moto_extension import Caller, ServiceExtension
from podshare_sandbox.moto_repair import repair
from podshare_sandbox.service_clients import ServiceRole
from podshare_sandbox.state_machines import schema, scopes
from podshare_sandbox.state_machines.scopes import Definition, Scope

_states = ServiceExtension("stepfunctions", "stepfunctions")

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
        super().__init__(f"Invalid State Machine Definition: '{', '.join(problems)}'")


class StateMachineAlreadyExists(AWSError):  # noqa: N818
    """There is a machine of this name, and the request describes another one."""

    TYPE = "StateMachineAlreadyExists"

    def __init__(self, arn: str) -> None:
        super().__init__(f"State Machine Already Exists: '{arn}'")


class RoleNotAssumable(AWSError):  # noqa: N818
    """Step Functions may not assume the machine's role."""

    TYPE = "AccessDeniedException"

    def __init__(self) -> None:
        super().__init__(_NOT_A_ROLE)


def install() -> None:
    """Check definitions and roles; parse once."""
    repair(AmazonStateLanguageParser, "parse", _parsing_once)
    repair(Preprocessor, "_inner_string_of", _reading_strings_as_json)
    repair(StepFunctionsParserBackend, "create_state_machine", _checking_new_machines)
    repair(StepFunctionsParserBackend, "update_state_machine", _checking_changed_machines)
    _states.operation(validate_state_machine_definition)


def validate_state_machine_definition(
    caller: Caller,  # noqa: ARG001  # anybody who may call it gets the same answer
    *,
    definition: str,
    type: str = "STANDARD",  # noqa: A002, ARG001  # AWS's name; both types have these rules
    severity: str = "ERROR",  # noqa: ARG001  # there are no warnings here
    maxResults: int | None = None,
) -> dict[str, Any]:
    """ValidateStateMachineDefinition: OK, or FAIL with the problems that CreateStateMachine would list."""
    problems = refusals(definition)
    shown = problems[: maxResults or len(problems)]
    return {
        "result": "FAIL" if problems else "OK",
        "diagnostics": [_diagnostic(problem) for problem in shown],
        "truncated": len(shown) < len(problems),
    }


def _diagnostic(problem: str) -> dict[str, Any]:
    """A problem as the API gives it: code, message, and where it is, if it is at one place."""
    code, _, rest = problem.partition(": ")
    message, at, location = rest.rpartition(" at ")
    placed = bool(at) and location.startswith("/")
    told = {"severity": "ERROR", "code": code, "message": message if placed else rest}
    return {**told, "location": location} if placed else told


def refusals(definition: str) -> list[str]:
    """Everything for which AWS would refuse a definition, each as ``CODE: message at /place``."""
    if len(definition.encode()) > _LARGEST_DEFINITION:
        return [f"DEFINITION_TOO_LARGE: The definition exceeds {_LARGEST_DEFINITION} bytes"]
    try:
        parsed = json.loads(definition)
    except ValueError as error:
        return [f"INVALID_JSON_DESCRIPTION: {error}"]
    if not isinstance(parsed, dict):
        return ["INVALID_JSON_DESCRIPTION: The definition must be an object"]
    return problems_of(parsed) or _grammar_problems(definition)


def _grammar_problems(definition: str) -> list[str]:
    """What moto's grammar refuses; what AWS accepts and moto does not is refused too, for nothing could run it."""
    try:
        AmazonStateLanguageParser.parse(definition)
    except Exception as error:
        return [f"SCHEMA_VALIDATION_FAILED: {error}"]
    return []


def problems_of(definition: Definition) -> list[str]:
    """What is wrong with the fields of a definition, else with how its states belong together."""
    found = list(scopes.scopes_of(definition))
    if fields := list(schema.problems_of(found)):
        return fields
    return [
        *(problem for scope in found for problem in _transition_problems(scope.path, scope.machine)),
        *(problem for scope in found for problem in _name_problems(scope.path, scope.machine)),
        *_duplicates(found),
        *scopes.problems_of(definition),
    ]


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
    if not any(_is_terminal(state) for state in states.values()):
        yield "MISSING_END_STATE: Workflow has no terminal state"
        return
    for name in states.keys() - _reachable(states, start):
        yield f'MISSING_TRANSITION_TARGET: State "{name}" is not reachable. at {path}/States/{name}'


def _is_terminal(state: Definition) -> bool:
    return bool(state.get("End")) or state.get("Type") in ("Succeed", "Fail")


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


def _reading_strings_as_json(original: Any) -> Any:
    """moto takes names and constants between their quotes, with JSON's escapes."""

    def inner_string_of(parser_rule_context: Any) -> Any:
        text = parser_rule_context.getText() if parser_rule_context is not None else ""
        return json.loads(text) if text.startswith('"') else original(parser_rule_context)

    return staticmethod(inner_string_of)


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
        _check(definition, roleArn, arn)
        there = next((machine for machine in self.state_machines if machine.arn == arn), None)
        # a request that repeats all but role and tags is the same one (API Reference, CreateStateMachine)
        if there and (there.definition, there.sm_type) != (definition, more.get("sm_type") or "STANDARD"):
            raise StateMachineAlreadyExists(arn)
        return original(self, name, definition, roleArn, **more)

    return create


def _checking_changed_machines(original: Any) -> Any:
    def update(self: Any, arn: str, definition: Any = None, role_arn: Any = None, **more: Any) -> Any:
        _check(definition, role_arn, arn)
        return original(self, arn, definition, role_arn, **more)

    return update


def _check(definition: str | None, role: str | None, machine_arn: str) -> None:
    if definition is not None and (problems := refusals(definition)):
        raise InvalidDefinition(problems)
    if role is not None:
        try:
            ServiceRole(role, "states.amazonaws.com", "validation", machine_arn).check()
        except Exception as error:
            raise RoleNotAssumable from error
