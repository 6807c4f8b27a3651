"""What the scopes of a state machine's variables forbid.

Sources: Step Functions developer guide, "Passing data between states with variables" (Variable scope) and
"Transforming data with JSONata".
"""

from typing import Any

import pytest

from podshare_sandbox.state_machines.definitions import problems_of

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


def reads(expression: str) -> dict[str, Any]:
    """A Pass state that reads what an expression refers to."""
    return {"Type": "Pass", "Output": f"{{% {expression} %}}", "End": True}


OUT_OF_SCOPE = {
    "an inner variable outside": a_machine(a_map(inner(I=a_pass(x=1))), reads("$x")),
    "a variable of another branch": a_machine(a_parallel(inner(I=a_pass(x=1)), inner(J=reads("$x")))),
    "an outer variable in a Distributed Map": a_machine(a_pass(x=1), a_map(inner(I=reads("$x")), "DISTRIBUTED")),
    "one further in": a_machine(a_pass(x=1), a_map(inner(I=a_parallel(inner(J=reads("$x")))), "DISTRIBUTED")),
    "a variable of nobody": a_machine(reads("$x")),
}


@pytest.mark.parametrize("machine", OUT_OF_SCOPE.values(), ids=OUT_OF_SCOPE)
def test_a_variable_is_read_within_its_scope(machine: dict[str, Any]) -> None:
    """Scopes read their own and outer variables, a Distributed Map's items only their own; AWS fails at run time."""
    (problem,) = problems_of(machine)
    assert "Variable $x is not assigned by any state of its scope" in problem


IN_SCOPE = {
    "an outer variable in a Map": a_machine(a_pass(x=1), a_map(inner(I=reads("$x")))),
    "in a branch of an iteration": a_machine(a_pass(x=1), a_map(inner(I=a_parallel(inner(J=reads("$x")))))),
    "in what a Distributed Map gives its items": a_machine(
        a_pass(x=1), a_map(inner(I=DONE), "DISTRIBUTED", ItemSelector={"x": "{% $x %}"})
    ),
    "a Distributed Map's own": a_machine(a_map(inner(I={**a_pass(x=1), "End": False, "Next": "J"}, J=reads("$x")))),
    "an outer catcher's": a_machine(caught(x=1), reads("$x")),
    "an expression's own": a_machine(reads("($y := 2; $map([1], function($v) { $v + $y }))")),
}


@pytest.mark.parametrize("machine", IN_SCOPE.values(), ids=IN_SCOPE)
def test_what_is_in_scope_may_be_read(machine: dict[str, Any]) -> None:
    """Parallel branches and Map iterations can access variables of outer scopes."""
    assert problems_of(machine) == []


TASK = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": {"FunctionName": "f"}, "End": True}
CATCH = {"ErrorEquals": ["States.ALL"], "Next": "B"}
RESULT, ERROR = "{% $states.result %}", "{% $states.errorOutput.Error %}"
ELSEWHERE = {
    "result in Arguments": {**TASK, "Arguments": {"FunctionName": RESULT}},
    "result in a catcher": {**TASK, "Catch": [{**CATCH, "Output": RESULT}]},
    "result in a Pass state": {"Type": "Pass", "Output": RESULT, "End": True},
    "result in Items": a_map(inner(I=DONE), Items=RESULT),
    "result in a Choice": {"Type": "Choice", "Choices": [{"Condition": RESULT, "Next": "B"}], "Default": "B"},
    "error in Output": {**TASK, "Output": ERROR},
    "error in Assign": {**TASK, "Assign": {"x": ERROR}},
    "error in a Fail state": {"Type": "Fail", "Cause": ERROR},
    "a field that $states has not": {"Type": "Pass", "Output": "{% $states.output %}", "End": True},
}


@pytest.mark.parametrize("state", ELSEWHERE.values(), ids=ELSEWHERE)
def test_states_fields_are_read_where_they_are(state: dict[str, Any]) -> None:
    """Reading ``$states.result`` or ``errorOutput`` elsewhere "will be caught at creation" (Reserved variable)."""
    machine = {"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": state, "B": DONE}}
    assert next(problem for problem in problems_of(machine) if "not reachable" not in problem).startswith(
        "INVALID_JSONATA_EXPRESSION: $states."
    )


def test_states_fields_are_there_after_a_task_and_in_its_catcher() -> None:
    """Assign and Output of a Task have the result, those of its catcher the error; a text that names them is text."""
    catch = {**CATCH, "Assign": {"e": ERROR}, "Output": ERROR}
    task = {**TASK, "Assign": {"x": RESULT}, "Output": "{% $states.result & '$states.errorOutput' %}", "Catch": [catch]}
    machine = {"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": task, "B": DONE}}
    assert problems_of(machine) == []


@pytest.mark.parametrize("name", ["states", "_x", "1x", "a-b", "a b", "", "x" * 81])
def test_variable_names_are_identifiers(name: str) -> None:
    """At most 80 characters, as Unicode Standard Annex #31 has identifiers; ``states`` is reserved."""
    (problem,) = problems_of(a_machine(a_pass(**{name: 1})))
    assert problem.startswith("INVALID_VARIABLE_NAME")


@pytest.mark.parametrize("name", ["x", "x_1", "größe", "x" * 80])
def test_identifiers_are_variable_names(name: str) -> None:
    """Letters of any script, digits and underscores behind the first."""
    assert problems_of(a_machine(a_pass(**{name: 1}))) == []


@pytest.mark.parametrize("name", ["partition", "range", "hash", "random", "uuid", "parse", "sum"])
def test_functions_of_step_functions_are_known(name: str) -> None:
    """JSONata's own, and those that Step Functions adds ("Transforming data with JSONata")."""
    assert problems_of(a_machine(reads(f"${name}"))) == []


def test_eval_is_not_there() -> None:
    """``$eval`` is the one function of JSONata that Step Functions has not."""
    assert len(problems_of(a_machine(reads("$eval('1')")))) == 1
