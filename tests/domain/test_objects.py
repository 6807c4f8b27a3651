"""Objects of Kubernetes: written as its API takes them, and read back as the same resources."""

from dataclasses import replace
from typing import Any

import pytest

from podshare.installation import MANAGED_BY_LABEL, TEAM_LABEL
from podshare.kinds.base import Key, Kind
from podshare.kinds.compute_quota.shape import ComputeQuota
from podshare.kinds.desired import desired
from podshare.kinds.kubernetes_role.shape import KubernetesRole
from podshare.kinds.kubernetes_role_binding.shape import KubernetesRoleBinding
from podshare.kinds.namespace.shape import Namespace
from podshare.kinds.persistent_volume.shape import PersistentVolume
from podshare.kinds.persistent_volume_claim.shape import PersistentVolumeClaim
from podshare.kinds.service_account.shape import ServiceAccount
from podshare.policy.rbac import KubernetesRule
from tests.builders import CLUSTER, INSTALLATION, a_dataset, a_team

LABELS = {TEAM_LABEL: "vision", MANAGED_BY_LABEL: "podshare"}
SHOWN = dict(sorted({**LABELS, "app.kubernetes.io/managed-by": "podshare"}.items()))
RBAC = "rbac.authorization.k8s.io"


def own(kind: Kind, name: str) -> dict[str, Any]:
    """Key and labels of an object in the team's cluster."""
    return {"key": Key(kind, "111111111111", "us-west-2", "hyperpod-eks", name), "tags": LABELS}


IN_NAMESPACE = "hyperpod-ns-vision/podshare-x"
METADATA = {"namespace": "hyperpod-ns-vision", "name": "podshare-x", "labels": SHOWN}
ROLE = KubernetesRole(
    **own(Kind.KUBERNETES_ROLE, IN_NAMESPACE),
    rules=(
        KubernetesRule((), (), ("get",), (), ("/healthz",)),
        KubernetesRule(("",), ("configmaps", "pods"), ("get", "list"), ("one", "two")),
        KubernetesRule(("batch",), ("jobs",), ("create",)),
    ),
)
BINDING = KubernetesRoleBinding(
    **own(Kind.KUBERNETES_ROLE_BINDING, IN_NAMESPACE),
    role="Role podshare-x",
    subjects=frozenset({"Group podshare:vision:b", "Group podshare:vision:a"}),
)
SPEC = {
    "accessModes": ["ReadWriteMany"], "claimRef": {"namespace": "hyperpod-ns-vision", "name": "imagenet"},
    "csi": {"driver": "fsx.csi.aws.com"}, "mountOptions": ["ro"], "persistentVolumeReclaimPolicy": "Retain",
    "volumeMode": "Filesystem",
}  # fmt: skip
VOLUME = PersistentVolume(**own(Kind.PERSISTENT_VOLUME, "podshare-vision-imagenet"), spec=SPEC, capacity_gib=1200)
CLAIM = PersistentVolumeClaim(
    **own(Kind.PERSISTENT_VOLUME_CLAIM, "hyperpod-ns-vision/imagenet"),
    spec={"accessModes": ["ReadOnlyMany"], "storageClassName": "", "volumeMode": "Filesystem", "volumeName": "v"},
    capacity_gib=1200,
)
READ = [ROLE, BINDING, VOLUME, CLAIM]


def read(resource: Any, **manifest: Any) -> Any:
    """What is read of the object that it is, with other parts at its top."""
    found = {**resource.manifest(), **manifest}
    return type(resource).of_object(found, key=resource.key, tags=resource.tags)


@pytest.mark.parametrize("resource", READ, ids=lambda one: str(one.key.kind))
def test_what_is_written_is_read_as_the_same(resource: Any) -> None:
    """An object that nobody has changed needs no change."""
    assert read(resource) == resource


def test_a_role_is_written_as_kubernetes_takes_it() -> None:
    """Lists that are empty are left out: a rule is for resources or for URLs (rbac/v1, PolicyRule)."""
    assert ROLE.manifest() == {
        "apiVersion": f"{RBAC}/v1",
        "kind": "Role",
        "metadata": METADATA,
        "rules": [
            {"verbs": ["get"], "nonResourceURLs": ["/healthz"]},
            {"apiGroups": [""], "resources": ["configmaps", "pods"], "verbs": ["get", "list"], "resourceNames": ["one", "two"]},
            {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create"]},
        ],
    }  # fmt: skip


def test_a_binding_is_written_as_kubernetes_takes_it() -> None:
    """It names its role and its groups with the API group that both belong to (rbac/v1, RoleBinding)."""
    assert BINDING.manifest() == {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": METADATA,
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "podshare-x"},
        "subjects": [
            {"apiGroup": RBAC, "kind": "Group", "name": "podshare:vision:a"},
            {"apiGroup": RBAC, "kind": "Group", "name": "podshare:vision:b"},
        ],
    }


def test_names_of_several_words_stay_whole() -> None:
    """The first word is the kind, whatever the name has."""
    manifest = replace(BINDING, role="ClusterRole two words", subjects=frozenset({"Group ops team"})).manifest()
    assert (manifest["roleRef"]["kind"], manifest["roleRef"]["name"]) == ("ClusterRole", "two words")
    assert [(one["kind"], one["name"]) for one in manifest["subjects"]] == [("Group", "ops team")]


def test_a_groups_role_and_binding_wait_for_the_namespace() -> None:
    """Both need the quota that makes it, the binding its role too; both say for which group they are."""
    group = "podshare:vision:ops"
    rules = [{"group": group, "rules": [{"api_groups": [""], "resources": ["pods"], "verbs": ["get"]}]}]
    team = a_team(kubernetes_groups=[group], rbac=rules)
    want = desired(team, [CLUSTER], {"imagenet": a_dataset()}, {}, INSTALLATION).values()
    (role,) = (one for one in want if isinstance(one, KubernetesRole))
    (binding,) = (one for one in want if isinstance(one, KubernetesRoleBinding))
    (quota,) = (one for one in want if isinstance(one, ComputeQuota))
    assert (role.why, binding.why) == (f"Kubernetes group {group}", f"Kubernetes group {group}")
    assert (role.needs, binding.needs) == ({quota.key}, {quota.key, role.key})


def test_a_service_account_is_written_as_kubernetes_takes_it() -> None:
    """It is its name, its namespace and its labels."""
    account = ServiceAccount(**own(Kind.SERVICE_ACCOUNT, IN_NAMESPACE))
    assert account.manifest() == {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": METADATA}


def test_a_namespace_and_its_network_policy_are_written_as_kubernetes_takes_them() -> None:
    """The namespace has the labels that podshare gives it, its policy is in it and podshare's by its labels."""
    namespace = Namespace(**own(Kind.NAMESPACE, "hyperpod-ns-vision"), network_policy={"podSelector": {}})
    metadata = {"name": "hyperpod-ns-vision", "labels": dict(sorted(LABELS.items()))}
    assert namespace.manifest() == {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    policy = namespace.network_policy_in(INSTALLATION)
    labels = policy["metadata"].pop("labels")
    assert policy == {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"namespace": "hyperpod-ns-vision", "name": "podshare-no-instance-metadata"},
        "spec": {"podSelector": {}},
    }
    assert {TEAM_LABEL: "vision"}.items() <= labels.items()
    assert MANAGED_BY_LABEL in labels
    assert "app.kubernetes.io/managed-by" in labels
    assert replace(namespace, network_policy=None).network_policy_in(INSTALLATION)["spec"] == {}


def test_the_order_of_a_roles_rules_means_nothing() -> None:
    """Rules are a set of sets: another order, or a repetition, needs no change; without rules nothing is given."""
    rules = ROLE.manifest()["rules"]
    turned = [{name: [*reversed(values), values[0]] for name, values in rule.items()} for rule in reversed(rules)]
    assert set(read(ROLE, rules=[*turned, *rules]).rules) == set(ROLE.rules)
    assert len(read(ROLE, rules=[*turned, *rules]).rules) == len(ROLE.rules)
    assert [read(ROLE, rules=nothing).rules for nothing in (None, [])] == [(), ()]
    assert read(ROLE, rules=[{"verbs": None}]).rules == (KubernetesRule((), (), ()),)


def test_whoever_is_bound_is_read() -> None:
    """Users and service accounts that somebody else has bound are seen, and so is a role of the cluster."""
    subjects = [{"kind": "User", "name": "ada"}, {"kind": "ServiceAccount", "name": "pod", "namespace": "other"}]
    bound = read(BINDING, subjects=subjects, roleRef={"kind": "ClusterRole", "name": "edit"})
    assert (bound.role, bound.subjects) == ("ClusterRole edit", {"User ada", "ServiceAccount other/pod"})
    assert [read(BINDING, subjects=nobody).subjects for nobody in (None, [])] == [frozenset()] * 2


def test_what_kubernetes_adds_to_a_volume_is_not_compared() -> None:
    """Binding writes into the claim's reference, and defaults come to the spec: neither is a difference."""
    spec = VOLUME.manifest()["spec"]
    reference = {**SPEC["claimRef"], "uid": "1", "resourceVersion": "2"}  # type: ignore[dict-item]  # it is a mapping
    assert read(VOLUME, spec={**spec, "claimRef": reference, "nodeAffinity": {}}) == VOLUME
    unbound = {name: value for name, value in spec.items() if name != "claimRef"}
    assert "claimRef" not in read(VOLUME, spec=unbound).spec
    assert read(CLAIM, spec={**CLAIM.manifest()["spec"], "dataSource": {}}) == CLAIM


@pytest.mark.parametrize(
    ("resource", "phase", "usable"),
    [
        (VOLUME, "Available", True), (VOLUME, "Bound", True), (VOLUME, "Released", False), (VOLUME, "Failed", False),
        (CLAIM, "Pending", True), (CLAIM, "Bound", True), (CLAIM, "Lost", False),
    ],
)  # fmt: skip
def test_a_volume_that_no_pod_can_mount_any_more_is_not_usable(resource: Any, phase: str, usable: bool) -> None:
    """Of a claim that was deleted a volume is left over, of a volume a claim (Kubernetes, "Persistent Volumes")."""
    assert read(resource, status={"phase": phase}).usable is usable
    assert read(resource, status=None).usable


@pytest.mark.parametrize("resource", [VOLUME, CLAIM], ids=lambda one: str(one.key.kind))
def test_what_somebody_has_deleted_is_not_usable(resource: Any) -> None:
    """It is still there while pods use it, and goes with the last one."""
    metadata = {**resource.manifest()["metadata"], "deletionTimestamp": "2026-11-29T12:00:00Z"}
    assert not read(resource, metadata=metadata).usable


def test_storage_as_others_name_it_is_none_of_ours() -> None:
    """podshare writes GiB; any other text, or none, is no size of its own."""
    spec, claim = VOLUME.manifest()["spec"], CLAIM.manifest()["spec"]
    assert read(VOLUME, spec={**spec, "capacity": {"storage": "1Ti"}}).capacity_gib == 0
    assert read(VOLUME, spec={name: value for name, value in spec.items() if name != "capacity"}).capacity_gib == 0
    assert read(VOLUME, spec={**spec, "capacity": {"storage": "7Gi"}}).capacity_gib == 7
    assert read(CLAIM, spec={**claim, "resources": {"requests": {"storage": "7Gi"}}}).capacity_gib == 7
    for resources in ({}, {"requests": {}}):
        assert read(CLAIM, spec={**claim, "resources": resources}).capacity_gib == 0
    assert read(CLAIM, spec={name: value for name, value in claim.items() if name != "resources"}).capacity_gib == 0
