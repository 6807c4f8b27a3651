"""The sandbox's API server refuses what it does not know of admission policies, and fails closed like the real one."""

from typing import Any

import pytest

from podshare_sandbox.services.kubernetes import pod_security
from podshare_sandbox.services.kubernetes.api import KubernetesApi
from podshare_sandbox.services.kubernetes.errors import KubernetesError

Object = dict[str, Any]
RULE = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
ADMISSION = "admissionregistration.k8s.io/v1"


def policy(**fields: Any) -> Object:
    spec = {"matchConstraints": {"resourceRules": [RULE]}, "validations": [{"expression": "true"}], **fields}
    return {"apiVersion": ADMISSION, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "p"}, "spec": spec}


def policy_binding(**fields: Any) -> Object:
    spec = {"policyName": "p", "validationActions": ["Deny"], **fields}
    kind = "ValidatingAdmissionPolicyBinding"
    return {"apiVersion": ADMISSION, "kind": kind, "metadata": {"name": "b"}, "spec": spec}


@pytest.mark.parametrize(
    ("manifest", "field"),
    [
        (policy(validations=[]), "spec.validations"),
        (policy(validations=[{"expression": "object.spec. =="}]), "spec.validations"),
        (policy(validations=[{"expression": "true", "messageExpression": "'x'"}]), "spec.validations.messageExpression"),
        (policy(validations=[{"expression": "true", "reason": "Teapot"}]), "spec.validations.reason"),
        (policy(paramKind={"apiVersion": "v1", "kind": "ConfigMap"}), "spec.paramKind"),
        (policy(matchConditions=[{"name": "x", "expression": "1 +"}]), "spec.matchConditions"),
        (policy(matchConstraints={"resourceRules": [{"resources": ["pods"]}]}), "spec.matchConstraints.resourceRules"),
        (policy(matchConstraints={}), "spec.matchConstraints.resourceRules"),
        (policy_binding(policyName=""), "spec.policyName"),
        (policy_binding(validationActions=["Deny", "Warn"]), "spec.validationActions"),
        (policy_binding(matchResources={"objectSelector": {}}), "spec.matchResources.objectSelector"),
    ],
)  # fmt: skip
def test_a_policy_that_is_wrong_or_not_emulated_is_refused(manifest: Object, field: str) -> None:
    """422 with the field: neither a typo nor something that the sandbox leaves out is taken in silence."""
    with pytest.raises(KubernetesError) as refused:
        KubernetesApi().apply(manifest)
    assert refused.value.code == 422
    assert field in str(refused.value)


@pytest.mark.parametrize(
    "spec",
    [
        {"podSelector": {}, "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/33"}}]}]},
        {"podSelector": {}, "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.1/32"]}}]}]},
        {"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "::/0", "except": ["10.0.0.1/32"]}}]}]},
    ],
)
def test_a_network_policy_is_well_formed(spec: Object) -> None:
    """It selects pods, and what it leaves out lies within its ranges (networking.k8s.io/v1, IPBlock)."""
    manifest = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": spec}
    manifest["metadata"] = {"name": "p", "namespace": "default"}
    with pytest.raises(KubernetesError) as refused:
        KubernetesApi().apply(manifest)
    assert refused.value.code == 422


@pytest.mark.parametrize(("label", "value"), [("enforce", "strict"), ("enforce-version", "v1.30")])
def test_a_level_of_pod_security_exists(label: str, value: str) -> None:
    """One of the three of the Pod Security Standards; a version other than the latest is not emulated."""
    labels = {f"{pod_security.LABEL}{label}": value}
    with pytest.raises(KubernetesError) as refused:
        KubernetesApi().apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x", "labels": labels}})
    assert (refused.value.code, value in str(refused.value)) == (422, True)


def test_a_restricted_namespace_asks_pods_to_renounce() -> None:
    """Each control of "Pod Security Standards", level restricted, beside those of baseline."""
    labels, harmless = {f"{pod_security.LABEL}enforce": "restricted"}, {"name": "main", "image": "x"}
    refused = pod_security.refusal(labels, "enforce", {"spec": {"containers": [harmless]}})
    assert refused
    for control in ("allowPrivilegeEscalation", "unrestricted capabilities", "runAsNonRoot", "seccompProfile"):
        assert control in refused
    context: Object = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True}
    context["seccompProfile"] = {"type": "RuntimeDefault"}
    careful = {**harmless, "securityContext": context}
    pod = {"spec": {"containers": [careful], "volumes": [{"name": "v", "emptyDir": {}}]}}
    assert pod_security.refusal(labels, "enforce", pod) is None
    for spoilt in (
        {"spec": {"containers": [careful], "volumes": [{"name": "v", "nfs": {"server": "s", "path": "/"}}]}},
        {"spec": {"containers": [{**careful, "securityContext": {**context, "runAsUser": 0}}]}},
        {"spec": {"containers": [careful], "hostNetwork": True}},
    ):
        assert pod_security.refusal(labels, "enforce", spoilt)


def test_the_default_service_account_is_made_anew() -> None:
    """Its controller makes another one, by another uid (Kubernetes documentation, "Managing Service Accounts")."""
    api = KubernetesApi()
    before = api.get("ServiceAccount", "default", "default")
    assert api.delete("ServiceAccount", "default", "default")
    after = api.get("ServiceAccount", "default", "default")
    assert before
    assert after
    assert before["metadata"]["uid"] != after["metadata"]["uid"]
