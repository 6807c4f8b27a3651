"""What a ValidatingAdmissionPolicy and its binding may look like: known fields, and CEL that compiles.

Source: Kubernetes documentation, "Validating Admission Policy".
"""

from functools import cache
from typing import TYPE_CHECKING, Any

from podshare_sandbox.services.kubernetes import errors
from podshare_sandbox.services.kubernetes.resources import BY_KIND, Resource

if TYPE_CHECKING:
    from cel import Program

Object = dict[str, Any]

POLICY, BINDING = BY_KIND["ValidatingAdmissionPolicy"], BY_KIND["ValidatingAdmissionPolicyBinding"]
CODES = {"Unauthorized": 401, "Forbidden": 403, "Invalid": 422, "RequestEntityTooLarge": 413}
_SPEC = {"failurePolicy", "matchConstraints", "matchConditions", "validations", "variables"}
_CONSTRAINTS = {"resourceRules", "namespaceSelector"}
_RULE = {"apiGroups", "apiVersions", "operations", "resources", "scope"}
_VALIDATION = {"expression", "message", "reason"}
_BINDING = {"policyName", "validationActions", "matchResources"}
_ACTIONS = ({"Deny"}, {"Warn"}, {"Audit"}, {"Deny", "Audit"}, {"Warn", "Audit"})


@cache
def program(expression: str) -> "Program":
    """A compiled expression. Raises ValueError or KeyError for what is no CEL."""
    import cel  # noqa: PLC0415  # it takes half a second, and a cluster without policies needs none

    return cel.compile(expression)


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
        if validation.get("reason", "Invalid") not in CODES:
            raise errors.invalid(POLICY, name, "spec.validations.reason", f"{validation['reason']}")
    for field in ("matchConditions", "variables", "validations"):
        for one in spec.get(field) or []:
            try:
                program(one["expression"])
            except (ValueError, KeyError) as error:
                raise errors.invalid(POLICY, name, f"spec.{field}", f"compilation failed: {error}") from None


def _require_known(resource: Resource, name: str, field: str, given: Object, known: set[str]) -> None:
    if unknown := sorted(given.keys() - known):
        raise errors.invalid(resource, name, f"{field}.{unknown[0]}", "unknown here: not emulated, or misspelled")
