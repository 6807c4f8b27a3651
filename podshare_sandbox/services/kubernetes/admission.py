"""What the API server checks and fills in before it stores an object."""

import ipaddress
from collections.abc import Iterator
from typing import Any

from podshare_sandbox.services.kubernetes import admission_policies, batch, errors, pod_security, pods, volumes
from podshare_sandbox.services.kubernetes.resources import Resource
from podshare_sandbox.services.kubernetes.validation import metadata, rbac

Object = dict[str, Any]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def validate(resource: Resource, candidate: Object, before: Object | None) -> None:
    """Raise 422 where the object breaks the rules of its kind; ``before`` is what it replaces."""
    name = candidate["metadata"]["name"]
    earlier = before["metadata"] if before else None
    found = list(metadata.problems(resource, candidate["metadata"], earlier))
    if resource.kind in ("Role", "ClusterRole"):
        found += rbac.role_problems(resource, candidate)
    if resource.kind in ("RoleBinding", "ClusterRoleBinding"):
        rbac.fill_in(candidate)
        found += rbac.binding_problems(resource, candidate, before)
    if found:
        raise errors.invalid_fields(resource, name, found)
    if resource.kind == "Pod":
        _validate_pod(resource, candidate, before)
    if resource.kind == "Namespace":
        _validate_pod_security(resource, candidate)
    if resource.kind == "NetworkPolicy":
        _validate_network_policy(resource, candidate)
    if resource in (volumes.VOLUME, volumes.CLAIM):
        volumes.validate(resource, candidate, before)
    batch.validate(resource, candidate, before)
    admission_policies.validate(resource, candidate)


def _validate_pod_security(resource: Resource, namespace: Object) -> None:
    for key, value in (namespace["metadata"].get("labels") or {}).items():
        if key.startswith(pod_security.LABEL) and value not in pod_security.LEVELS:
            field = f"metadata.labels[{key}]"
            why = f'Unsupported value: "{value}": not emulated, or misspelled'
            raise errors.invalid(resource, namespace["metadata"]["name"], field, why)


def _validate_network_policy(resource: Resource, policy: Object) -> None:
    name, spec = policy["metadata"]["name"], policy.get("spec") or {}
    if "podSelector" not in spec:
        raise errors.invalid(resource, name, "spec.podSelector", "Required value")
    for block in _ip_blocks(spec):
        try:
            outer = ipaddress.ip_network(block["cidr"])
            inside = [ipaddress.ip_network(one) for one in block.get("except") or ()]
        except (KeyError, ValueError) as error:
            raise errors.invalid(resource, name, "ipBlock.cidr", f"Invalid value: {error}") from None
        if not all(_lies_in(one, outer) for one in inside):
            raise errors.invalid(resource, name, "ipBlock.except", "must be a strict subset of `cidr`")


def _lies_in(one: Network, outer: Network) -> bool:
    if isinstance(one, ipaddress.IPv4Network):
        return isinstance(outer, ipaddress.IPv4Network) and one != outer and one.subnet_of(outer)
    return isinstance(outer, ipaddress.IPv6Network) and one != outer and one.subnet_of(outer)


def _ip_blocks(spec: Object) -> Iterator[Object]:
    for direction, side in (("ingress", "from"), ("egress", "to")):
        for rule in spec.get(direction) or ():
            yield from (peer["ipBlock"] for peer in rule.get(side) or () if "ipBlock" in peer)


def _validate_pod(resource: Resource, pod: Object, before: Object | None) -> None:
    name = pod["metadata"]["name"]
    containers = pod.get("spec", {}).get("containers")
    if not containers:
        raise errors.invalid(resource, name, "spec.containers", "Required value")
    for index, container in enumerate(containers):
        for key in ("name", "image"):
            if not container.get(key):
                raise errors.invalid(resource, name, f"spec.containers[{index}].{key}", "Required value")
    if before and before["spec"] != pod["spec"]:
        raise errors.invalid(resource, name, "spec", "Forbidden: pod updates may not change fields of the spec")


def fill_in(resource: Resource, candidate: Object) -> None:
    """Set what the API server and its controllers set on a new object. A pod runs until it is deleted."""
    if resource.kind == "Namespace":
        candidate["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = candidate["metadata"]["name"]
        candidate["spec"] = {"finalizers": ["kubernetes"]}
        candidate["status"] = {"phase": "Active"}
    if resource.kind == "Pod":
        spec = candidate["spec"]
        account = spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"
        spec["serviceAccountName"] = spec["serviceAccount"] = account
        spec.setdefault("restartPolicy", "Always")
        candidate["status"] = pods.started(candidate)
