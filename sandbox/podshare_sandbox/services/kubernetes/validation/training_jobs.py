"""What the definitions of PyTorchJobs and HyperPodPyTorchJobs, and Kubeflow's webhook, refuse.

Sources: the CustomResourceDefinitions of the Kubeflow training operator and the models of the SageMaker HyperPod CLI,
as far as the sandbox's operators read them; ``pkg/webhooks/pytorch`` of Kubeflow.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from podshare_sandbox.services.kubernetes import batch, errors, schemas
from podshare_sandbox.services.kubernetes.resources import BY_KIND, Resource

Object = dict[str, Any]
Problem = tuple[str, str]

_POD = BY_KIND["Pod"]
_ROLES = ("Master", "Worker")
_POLICIES = ("Always", "OnFailure", "Never", "ExitCode")
_NUMBERS = ("activeDeadlineSeconds", "backoffLimit", "jobMaxRetryCount", "ttlSecondsAfterFinished")


def validate(resource: Resource, candidate: Object) -> None:
    """Raise 422 for a training job that cannot be one; one without a spec is let be, as its definition lets it."""
    problems = {"PyTorchJob": _pytorch_problems, "HyperPodPyTorchJob": _hyperpod_problems}.get(resource.kind)
    spec = candidate.get("spec")
    if problems is None or spec is None:
        return
    name = candidate["metadata"]["name"]
    if not isinstance(spec, dict):
        raise errors.invalid(resource, name, "spec", f'Invalid value: "{_type(spec)}": spec must be of type object')
    first = next(chain(_policy_problems(spec), problems(spec)), None)
    if first:
        raise errors.invalid(resource, name, *first)


def _policy_problems(spec: Object) -> Iterator[Problem]:
    policy = spec.get("runPolicy", {})
    if not isinstance(policy, dict):
        yield _mistyped("spec.runPolicy", policy, "object")
        return
    for field in _NUMBERS:
        if not _is_number(policy.get(field, 0)):
            yield _mistyped(f"spec.runPolicy.{field}", policy[field], "integer")
    if not isinstance(policy.get("suspend", False), bool):
        yield _mistyped("spec.runPolicy.suspend", policy["suspend"], "boolean")
    clean = policy.get("cleanPodPolicy")
    if clean not in (None, "All", "Running", "None"):
        yield "spec.runPolicy.cleanPodPolicy", f'Unsupported value: "{clean}"'


def _pytorch_problems(spec: Object) -> Iterator[Problem]:
    path, specs = "spec.pytorchReplicaSpecs", spec.get("pytorchReplicaSpecs")
    if not specs:
        yield path, "Required value: must be specified"
        return
    if not isinstance(specs, dict):
        yield _mistyped(path, specs, "object")
        return
    for role, replica in specs.items():
        here = f"{path}[{role}]"
        if role not in _ROLES:
            yield path, f'Unsupported value: "{role}": supported values: "Master", "Worker"'
        yield from _replica_problems(here, replica)
        if role == "Master" and replica.get("replicas", 1) > 1:
            yield f"{here}.replicas", "Forbidden: must be 1"
        policy = replica.get("restartPolicy", "OnFailure")
        if policy not in _POLICIES:
            yield f"{here}.restartPolicy", f'Unsupported value: "{policy}"'
        if all(each.get("name") != "pytorch" for each in replica["template"]["spec"]["containers"]):
            yield (
                f"{here}.template.spec.containers",
                "Required value: must have at least one container with name pytorch",
            )


def _hyperpod_problems(spec: Object) -> Iterator[Problem]:
    path, specs = "spec.replicaSpecs", spec.get("replicaSpecs") or []
    if not isinstance(specs, list):
        yield _mistyped(path, specs, "array")
        return
    for index, replica in enumerate(specs):
        yield from _replica_problems(f"{path}[{index}]", replica)
        if not replica.get("name"):
            yield f"{path}[{index}].name", "Required value"


def _replica_problems(path: str, replica: Any) -> Iterator[Problem]:
    if not isinstance(replica, dict):
        yield _mistyped(path, replica, "object")
        return
    for field in ("replicas", "spares"):
        count = replica.get(field, 0)
        if not _is_number(count) or count < 0:
            yield f"{path}.{field}", f"Invalid value: {count}: must be a whole number of at least 0"
    template = replica.get("template")
    if not isinstance(template, dict):
        yield f"{path}.template", "Required value"
        return
    inside = {name: template[name] for name in ("metadata", "spec") if template.get(name) is not None}
    for misfit in schemas.misfits(_POD, inside):
        if not misfit.is_unknown:
            yield f"{path}.template{misfit.path}", f"Invalid value: {misfit.problem}"
    yield from batch.container_problems(template, f"{path}.template.spec")


def _mistyped(path: str, value: Any, wanted: str) -> Problem:
    return path, f'Invalid value: "{_type(value)}": {path} in body must be of type {wanted}: "{_type(value)}"'


def _type(value: Any) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
    return names.get(type(value), "null")


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
