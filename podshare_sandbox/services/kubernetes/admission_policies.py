"""ValidatingAdmissionPolicies and their bindings: whom they concern, and what they refuse.

Kubernetes documentation, "Validating Admission Policy"; expressions are CEL. Not emulated, and refused where a policy
uses them: parameters, object selectors, match policies and excluded rules, message expressions, audit annotations,
Kubernetes' own CEL functions, and the type check against an object's schema.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from podshare_sandbox.services.kubernetes import errors, selectors
from podshare_sandbox.services.kubernetes.cel_cost import FOR_MATCH_CONDITIONS, PER_BINDING, Budget
from podshare_sandbox.services.kubernetes.resources import BY_KIND, NAMESPACE, Resource

if TYPE_CHECKING:
    from cel import Program

    from podshare_sandbox.services.kubernetes.api import KubernetesApi
    from podshare_sandbox.services.kubernetes.authentication import KubernetesUser

Object = dict[str, Any]

POLICY, BINDING = BY_KIND["ValidatingAdmissionPolicy"], BY_KIND["ValidatingAdmissionPolicyBinding"]
_SPEC = {"failurePolicy", "matchConstraints", "matchConditions", "validations", "variables"}
_CONSTRAINTS = {"resourceRules", "namespaceSelector"}
_RULE = {"apiGroups", "apiVersions", "operations", "resources", "scope"}
_VALIDATION = {"expression", "message", "reason"}
_BINDING = {"policyName", "validationActions", "matchResources"}
_ACTIONS = ({"Deny"}, {"Warn"}, {"Audit"}, {"Deny", "Audit"}, {"Warn", "Audit"})
_CODES = {"Unauthorized": 401, "Forbidden": 403, "Invalid": 422, "RequestEntityTooLarge": 413}


@dataclass(frozen=True)
class AdmissionRequest:
    """A write that is about to happen; ``candidate`` is None for a deletion, ``before`` for a creation.

    ``name`` is the request's own: empty where a collection is deleted, or the API server makes the name.
    """

    user: "KubernetesUser"
    operation: str
    resource: Resource
    namespace: str
    name: str
    candidate: Object | None
    before: Object | None


def admit(api: "KubernetesApi", request: AdmissionRequest) -> list[str]:
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
    return errors.KubernetesError(_CODES[reason], reason, str(told), details)


def _concerns(api: "KubernetesApi", policy: Object, binding: Object, request: AdmissionRequest) -> bool:
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


def _selects(api: "KubernetesApi", selector: Mapping[str, Any], request: AdmissionRequest) -> bool:
    """A selector of namespaces looks at a namespace's own labels, and lets other cluster-scoped objects through."""
    if request.resource == NAMESPACE:
        namespace = request.candidate or request.before
    else:
        namespace = api.get(NAMESPACE.kind, None, request.namespace) if request.namespace else None
    return namespace is None or selectors.selected(selector, namespace["metadata"].get("labels") or {})


def _failures(api: "KubernetesApi", policy: Object, request: AdmissionRequest) -> Iterator[tuple[str, str]]:
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


def _facts(api: "KubernetesApi", request: AdmissionRequest) -> dict[str, Any]:
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
        return _program(expression).execute(dict(facts))
    except (KeyError, TypeError, ValueError, RuntimeError, IndexError, OverflowError) as error:
        return error


@cache
def _program(expression: str) -> "Program":
    import cel  # noqa: PLC0415  # it takes half a second, and a cluster without policies needs none

    return cel.compile(expression)


# ---- what a policy may look like ------------------------------------------------------------------------------


def validate(resource: Resource, candidate: Object) -> None:
    """Raise 422 for a policy or a binding that the API server would refuse, or the sandbox does not know."""
    spec = candidate.get("spec") or {}
    name = candidate["metadata"]["name"]
    if resource == POLICY:
        _validate_policy(name, spec)
    elif resource == BINDING:
        _require_known(BINDING, name, "spec", spec, _BINDING)
        _require_known(BINDING, name, "spec.matchResources", spec.get("matchResources") or {}, {"namespaceSelector"})
        if not spec.get("policyName"):
            raise errors.invalid(BINDING, name, "spec.policyName", "Required value")
        if {*(spec.get("validationActions") or ())} not in _ACTIONS:
            raise errors.invalid(BINDING, name, "spec.validationActions", f"{spec.get('validationActions')}")


def _validate_policy(name: str, spec: Object) -> None:
    _require_known(POLICY, name, "spec", spec, _SPEC)
    constraints = spec.get("matchConstraints") or {}
    _require_known(POLICY, name, "spec.matchConstraints", constraints, _CONSTRAINTS)
    for rule in constraints.get("resourceRules") or [{}]:
        _require_known(POLICY, name, "spec.matchConstraints.resourceRules", rule, _RULE)
        if missing := _RULE - {"scope"} - rule.keys():
            field = f"spec.matchConstraints.resourceRules.{min(missing)}"
            raise errors.invalid(POLICY, name, field, "Required value")
    if not spec.get("validations"):
        raise errors.invalid(POLICY, name, "spec.validations", "Required value")
    for validation in spec["validations"]:
        _require_known(POLICY, name, "spec.validations", validation, _VALIDATION)
        if validation.get("reason", "Invalid") not in _CODES:
            raise errors.invalid(POLICY, name, "spec.validations.reason", f"{validation['reason']}")
    for field in ("matchConditions", "variables", "validations"):
        for one in spec.get(field) or []:
            try:
                _program(one["expression"])
            except (ValueError, KeyError) as error:
                raise errors.invalid(POLICY, name, f"spec.{field}", f"compilation failed: {error}") from None


def _require_known(resource: Resource, name: str, field: str, given: Object, known: set[str]) -> None:
    if unknown := sorted(given.keys() - known):
        raise errors.invalid(resource, name, f"{field}.{unknown[0]}", "unknown here: not emulated, or misspelled")
