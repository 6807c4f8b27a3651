"""What the scopes of a state machine's variables forbid.

Sources: Step Functions developer guide, "Passing data between states with variables" (Variable scope) and
"Transforming data with JSONata".
"""

from typing import Any

import pytest
import yaml

from podshare_sandbox.state_machines.definitions import problems_of
from tests.checks.expanded_template import ROOT

DONE = {"Type": "Succeed"}


def a_pass(**assigned: Any) -> dict[str, Any]:
    """A Pass state that assigns variables and ends."""
    return {"Type": "Pass", "Assign": assigned, "End": True}


def a_machine(*states: dict[str, Any]) -> dict[str, Any]:
    """The states one after the other, named A, B, … by their place."""
    names = [chr(ord("A") + index) for index in range(len(states))]
    following = [*names[1:], None]
    linked = {
        name: {key: value for key, value in state.items() if key != "End"} | {"Next": after} if after else state
        for name, state, after in zip(names, states, following, strict=True)
    }
    return {"QueryLanguage": "JSONata", "StartAt": "A", "States": linked}


def inner(**states: dict[str, Any]) -> dict[str, Any]:
    """The states of a branch or an iteration, of which the first begins."""
    return {"StartAt": next(iter(states)), "States": states}


def a_map(processor: dict[str, Any], mode: str = "INLINE", **more: Any) -> dict[str, Any]:
    """A Map state over two items."""
    config = {"Mode": mode, **({"ExecutionType": "STANDARD"} if mode == "DISTRIBUTED" else {})}
    return {
        "Type": "Map",
        "Items": [1, 2],
        "ItemProcessor": {"ProcessorConfig": config, **processor},
        "End": True,
    } | more


def a_parallel(*branches: dict[str, Any]) -> dict[str, Any]:
    """A Parallel state."""
    return {"Type": "Parallel", "Branches": list(branches), "End": True}


def caught(**assigned: Any) -> dict[str, Any]:
    """A Map state whose catcher assigns variables."""
    return a_map(inner(I=DONE), Catch=[{"ErrorEquals": ["States.ALL"], "Assign": assigned, "Next": "B"}])


SHADOWING = {
    "a Map's iteration": a_machine(a_pass(x=1), a_map(inner(I=a_pass(x=2)))),
    "a Distributed Map's item": a_machine(a_pass(x=1), a_map(inner(I=a_pass(x=2)), "DISTRIBUTED")),
    "a branch": a_machine(a_pass(x=1), a_parallel(inner(I=a_pass(x=2)))),
    "two scopes further in": a_machine(a_pass(x=1), a_map(inner(I=a_parallel(inner(J=a_pass(x=2)))))),
    "a scope before the outer assignment": a_machine(a_map(inner(I=a_pass(x=2))), a_pass(x=1)),
    "an outer catcher": a_machine(caught(x=1), a_map(inner(J=a_pass(x=2)))),
}


@pytest.mark.parametrize("machine", SHADOWING.values(), ids=SHADOWING)
def test_an_inner_scope_does_not_assign_an_outer_variable(machine: dict[str, Any]) -> None:
    """A variable assigned in an inner scope cannot have the name of one that an outer scope assigns."""
    (problem,) = problems_of(machine)
    assert "Variable $x is assigned in an outer scope" in problem


def test_an_inner_catcher_or_choice_does_not_assign_an_outer_variable() -> None:
    """A catcher and a Choice rule assign in the scope of their state, like the state itself."""
    catch = [{"ErrorEquals": ["States.ALL"], "Assign": {"x": 2}, "Next": "K"}]
    choices = [{"Condition": "{% true %}", "Assign": {"x": 3}, "Next": "K"}]
    task = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": {"FunctionName": "f"}}
    states = inner(I={**task, "Catch": catch, "Next": "J"}, J={"Type": "Choice", "Choices": choices}, K=DONE)
    assert [problem.rpartition(" at ")[2] for problem in problems_of(a_machine(a_pass(x=1), a_map(states)))] == [
        "/States/B/ItemProcessor/States/I/Catch[0]/Assign/x",
        "/States/B/ItemProcessor/States/J/Choices[0]/Assign/x",
    ]


def test_scopes_beside_each_other_may_assign_the_same_names() -> None:
    """Branches and Maps that do not enclose each other have variables of their own."""
    branches = a_parallel(inner(I=a_pass(x=1)), inner(J=a_pass(x=2)))
    assert problems_of(a_machine(branches, a_map(inner(K=a_pass(x=3))))) == []


@pytest.mark.parametrize("path", sorted((ROOT / "statemachines").iterdir()), ids=lambda path: path.stem)
def test_podshares_machines_keep_the_scopes(path: Any) -> None:
    """AWS would refuse the deployment otherwise."""
    assert problems_of(yaml.safe_load(path.read_text(encoding="utf-8"))) == []
