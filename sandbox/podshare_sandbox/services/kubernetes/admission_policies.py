"""ValidatingAdmissionPolicies and their bindings: whom they concern, and what they refuse.

Kubernetes documentation, "Validating Admission Policy"; expressions are CEL. Not emulated, and refused where a policy
uses them: parameters, object selectors, match policies and excluded rules, message expressions, audit annotations,
Kubernetes' own CEL functions, and the type check against an object's schema.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from podshare_sandbox.services.kubernetes import errors, selectors
from podshare_sandbox.services.kubernetes.admission_request import AdmissionRequest
from podshare_sandbox.services.kubernetes.api import KubernetesApi
from podshare_sandbox.services.kubernetes.cel_cost import FOR_MATCH_CONDITIONS, PER_BINDING, Budget
from podshare_sandbox.services.kubernetes.resources import NAMESPACE
from podshare_sandbox.services.kubernetes.validation.admission_policies import BINDING, CODES, POLICY, program

Object = dict[str, Any]


def admit(api: KubernetesApi, request: AdmissionRequest) -> list[str]:
    """The warnings for a write. Raises the error of the first binding that denies it."""
    warnings: list[str] = []
    for binding in api.objects(BINDING.kind):
        policy = api.get(POLICY.kind, None, binding["spec"]["policyName"])
        if policy is None or not _concerns(api, policy, binding, request):
            continue
        names = f"ValidatingAdmissionPolicy '{policy['metadata']['name']}' with binding '{binding['metadata']['name']}'"
        for message, reason in _failures(api, policy, request):
            if "Deny" in binding["spec"]["validationActions"]:
                raise _denied(request, f"{names} denied request: {message}", reason)
            if "Warn" in binding["spec"]["validationActions"]:
                warnings.append(f"Validation failed for {names}: {message}")
    return warnings


def _denied(request: AdmissionRequest, why: str, reason: str) -> errors.KubernetesError:
    told = errors.forbidden(request.resource, request.name, why)
    details = {"name": request.name, "kind": request.resource.plural}
    return errors.KubernetesError(CODES[reason], reason, str(told), details)


def _concerns(api: KubernetesApi, policy: Object, binding: Object, request: AdmissionRequest) -> bool:
    constraints = policy["spec"]["matchConstraints"]
    if not any(_matches(rule, request) for rule in constraints["resourceRules"]):
        return False
    both = (constraints, binding["spec"].get("matchResources") or {})
    return all(_selects(api, one.get("namespaceSelector") or {}, request) for one in both)


def _matches(rule: Mapping[str, Any], request: AdmissionRequest) -> bool:
    asked = {
        "apiGroups": request.resource.group,
        "apiVersions": request.resource.version,
        "operations": request.operation,
        "resources": request.resource.plural,
    }
    return all("*" in rule[name] or value in rule[name] for name, value in asked.items())


def _selects(api: KubernetesApi, selector: Mapping[str, Any], request: AdmissionRequest) -> bool:
    """A selector of namespaces looks at a namespace's own labels, and lets other cluster-scoped objects through."""
    if request.resource == NAMESPACE:
        namespace = request.candidate or request.before
    else:
        namespace = api.get(NAMESPACE.kind, None, request.namespace) if request.namespace else None
    return namespace is None or selectors.selected(selector, namespace["metadata"].get("labels") or {})


def _failures(api: KubernetesApi, policy: Object, request: AdmissionRequest) -> Iterator[tuple[str, str]]:
    """Message and reason of each validation that does not hold; one that cannot be evaluated does not (`Fail`)."""
    spec, facts = policy["spec"], _facts(api, request)
    ignores = spec.get("failurePolicy") == "Ignore"
    budget = Budget(FOR_MATCH_CONDITIONS)
    for condition in spec.get("matchConditions") or []:
        held = _evaluated(condition["expression"], facts, budget)
        if isinstance(held, Exception) and not ignores:
            yield f"expression '{condition['expression']}' resulted in error: {held}", "Invalid"
        if held is not True:
            return
    budget = Budget(PER_BINDING)
    facts["variables"] = _variables(spec.get("variables") or [], facts, budget)
    for validation in spec["validations"]:
        held = _evaluated(validation["expression"], facts, budget)
        if isinstance(held, Exception):
            if not ignores:
                yield f"expression '{validation['expression']}' resulted in error: {held}", "Invalid"
        elif held is not True:
            told = validation.get("message") or f"failed expression: {validation['expression']}"
            yield told, validation.get("reason", "Invalid")


def _facts(api: KubernetesApi, request: AdmissionRequest) -> dict[str, Any]:
    """The variables of an expression; of the request what is empty is absent (admission/v1, AdmissionRequest)."""
    resource = request.resource
    names = {"namespace": request.namespace, "name": request.name}
    return {
        "object": request.candidate,
        "oldObject": request.before,
        "namespaceObject": api.get(NAMESPACE.kind, None, request.namespace) if request.namespace else None,
        "request": {
            "kind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
            "resource": {"group": resource.group, "version": resource.version, "resource": resource.plural},
            "operation": request.operation,
            **{key: value for key, value in names.items() if value},
            "userInfo": request.user.info(),
        },
    }


def _variables(variables: Iterable[Mapping[str, str]], facts: Mapping[str, Any], budget: Budget) -> dict[str, Any]:
    """Each may use those before it. One that fails is absent, so that only an expression that needs it fails."""
    values: dict[str, Any] = {}
    for variable in variables:
        value = _evaluated(variable["expression"], {**facts, "variables": values}, budget)
        if not isinstance(value, Exception):
            values[variable["name"]] = value
    return values


def _evaluated(expression: str, facts: Mapping[str, Any], budget: Budget) -> Any:
    try:
        budget.spend(expression, facts)
        return program(expression).execute(dict(facts))
    except (KeyError, TypeError, ValueError, RuntimeError, IndexError, OverflowError) as error:
        return error
