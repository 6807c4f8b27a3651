"""CEL expressions of admission policies have a budget, as the API server gives them one."""

from typing import Any

import pytest

from podshare_sandbox.services.kubernetes import cel_cost
from sandbox.tests.kubernetes_servers import ApiServer, sandbox

Object = dict[str, Any]
ADMISSION = "admissionregistration.k8s.io/v1"
CONFIGS = "/api/v1/namespaces/default/configmaps"
TRIPLE = "object.data.all(a, object.data.all(b, object.data.all(c, a != b || b != c || a == c)))"


def install(server: ApiServer, *expressions: str, policy: str = "Fail", conditions: tuple[str, ...] = ()) -> None:
    """Make a policy of these validations that concerns ConfigMaps."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    spec: Object = {
        "failurePolicy": policy,
        "matchConstraints": {"resourceRules": [rule]},
        "matchConditions": [{"name": f"c{index}", "expression": one} for index, one in enumerate(conditions)],
        "validations": [{"expression": expression} for expression in expressions],
    }
    made = {"apiVersion": ADMISSION, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "p"}, "spec": spec}
    answer = server.ask("POST", f"/apis/{ADMISSION}/validatingadmissionpolicies", made)
    assert answer[0] == 201, answer
    bound = {"policyName": "p", "validationActions": ["Deny"]}
    binding = {"apiVersion": ADMISSION, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": "b"}}
    path = f"/apis/{ADMISSION}/validatingadmissionpolicybindings"
    assert server.ask("POST", path, {**binding, "spec": bound})[0] == 201


def create(server: ApiServer, keys: int) -> tuple[int, str]:
    data = {f"k{number}": "" for number in range(keys)}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "c-"}, "data": data}
    status, answer, _ = server.ask("POST", CONFIGS, body)
    return status, answer.get("message", "")


def test_an_expression_has_a_limit() -> None:
    """A million units (``PerCallLimit``): three loops over ten keys are cheap, over two hundred they are not."""
    with sandbox() as server:
        install(server, TRIPLE)
        assert create(server, 10)[0] == 201
        status, message = create(server, 200)
        assert (status, "operation cancelled: actual cost limit exceeded" in message) == (422, True)


def test_the_failure_policy_decides_what_is_too_expensive() -> None:
    """It is an error of evaluation, which `Ignore` lets pass."""
    with sandbox() as server:
        install(server, TRIPLE, policy="Ignore")
        assert create(server, 200)[0] == 201


@pytest.mark.parametrize(
    ("conditions", "validations"), [((), 30), (tuple([TRIPLE] * 10), 1)], ids=["validations", "match conditions"]
)
def test_all_expressions_together_have_a_budget(conditions: tuple[str, ...], validations: int) -> None:
    """Ten million units for a binding, two and a half for its match conditions (``RuntimeCELCostBudget…``)."""
    with sandbox() as server:
        install(server, *([TRIPLE] * validations), conditions=conditions)
        status, message = create(server, 30)
        assert (status, "running out of cost budget" in message) == (422, True)


@pytest.mark.parametrize(
    ("expression", "least"),
    [
        ("object.a.all(x, x > 0)", 1000),
        ("object.a.all(x, object.a.exists(y, x == y))", 1000**2),
        ("object.t.matches('^(a|b)+$')", 500),
        ("object.t == '(((('", 1),
    ],
)
def test_the_bound_is_no_less_than_the_cost(expression: str, least: int) -> None:
    """Loops multiply, text costs a tenth for each character, a pattern more; parentheses in text are text."""
    facts = {"object": {"a": list(range(1000)), "t": "a" * 5000}}
    assert cel_cost.bound(expression, facts) >= least


def test_what_an_expression_does_not_name_costs_nothing() -> None:
    """Other facts, and the managed fields, which every object has."""
    huge = list(range(10_000))
    facts = {"object": {"metadata": {"managedFields": huge}, "a": [1]}, "oldObject": {"a": huge}}
    assert cel_cost.bound("object.a.all(x, x > 0)", facts) < 100
