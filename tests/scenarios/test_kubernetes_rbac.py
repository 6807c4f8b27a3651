"""A team's namespace: its own rights in it, and what keeps its pods inside, given, changed, healed and taken away."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import yaml
from lightkube.core.exceptions import ApiError
from lightkube.resources.core_v1 import Pod

from podshare.access.access_report import unpacked
from podshare_sandbox.services import kubernetes
from tests.builders import a_team_item
from tests.scenarios.world import CLUSTER, EKS_ARN, REGION, VISION, World

GROUP = "podshare:vision:operators"
NAMESPACE = "hyperpod-ns-vision"
MEMBERS = [{"account": VISION}]
READER = [{"name": "reader"}]
DATA_READER = [{"name": "reader", "datasets": [{"dataset": "imagenet", "access": "read"}]}]
CONFIG = {"api_groups": [""], "resources": ["configmaps"], "verbs": ["get", "create"]}
LEASES = {"api_groups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "list"]}


def rbac(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"kubernetes_groups": [GROUP], "rbac": [{"group": GROUP, "rules": [*rules]}]}


def private_rbac() -> dict[str, Any]:
    group = "podshare:private:operators"
    return {"kubernetes_groups": [group], "rbac": [{"group": group, "rules": [CONFIG]}]}


@contextmanager
def unreachable() -> Iterator[None]:
    """Let the cluster's endpoint answer nobody, as a private one does outside of its VPC."""
    with patch.object(kubernetes.KubernetesEndpoint, "serves", return_value=False):
        yield


def put(world: World, **fields: Any) -> Any:
    return world.put_team("vision", members=MEMBERS, service_accounts=READER, **fields)


def test_kinds_of_access_come_and_go_side_by_side(world: World) -> None:
    """A list gives every kind's rights; of fewer only those stay that are still named, templates of spaces among it."""
    asked = {
        ("kubeflow.org", "pytorchjobs", "create", NAMESPACE),
        ("ray.io", "rayservices", "create", NAMESPACE),
        ("workspace.jupyter.org", "workspaces", "create", NAMESPACE),
        ("workspace.jupyter.org", "workspacetemplates", "list", "jupyter-k8s-shared"),
        ("workspace.jupyter.org", "workspaces", "list", "jupyter-k8s-shared"),
        ("", "pods/exec", "create", NAMESPACE),
        ("", "pods/portforward", "get", NAMESPACE),
        ("", "configmaps", "create", NAMESPACE),
        ("", "configmaps", "create", "default"),
        ("", "secrets", "list", NAMESPACE),
    }
    assert put(world, access=["training", "inference", "space"], rbac="debug")["state"] == "READY"
    session = world.cluster_access("vision", VISION)

    def rights() -> set[str]:
        return {kind for group, kind, verb, namespace in asked if world.may(session, verb, group, kind, namespace)}

    debugging = {"pods/exec", "pods/portforward", "configmaps"}
    assert rights() == {"pytorchjobs", "rayservices", "workspaces", "workspacetemplates"} | debugging
    assert world.reconcile("vision")["summary"] == "READY: nothing to change"

    with world.calls() as made:
        assert put(world, access=["training", "view"])["state"] == "READY"
    assert rights() == {"pytorchjobs"}
    actions = [call.rpartition(":")[2] for call in made]
    assert "DisassociateAccessPolicy" in actions, made
    assert "DisassociateAccessPolicy" not in actions[actions.index("AssociateAccessPolicy") :]


def test_a_teams_own_rights_come_change_heal_and_go(world: World) -> None:
    """Rules of a record are a member's rights in the team's namespace alone; what others change is undone."""
    api = kubernetes.api_of(EKS_ARN)
    assert put(world, **rbac(CONFIG))["state"] == "READY"
    session = world.cluster_access("vision", VISION)

    def rights(namespace: str = NAMESPACE) -> set[str]:
        asked = {("", "configmaps", "create"), ("", "secrets", "list"), ("coordination.k8s.io", "leases", "list")}
        return {f"{verb} {kind}" for group, kind, verb in asked if world.may(session, verb, group, kind, namespace)}

    assert rights() == {"create configmaps"}
    assert rights("default") == set()
    with world.calls() as made:
        assert world.reconcile("vision")["summary"] == "READY: nothing to change"
    assert made == []

    assert put(world, **rbac(LEASES))["state"] == "READY"
    assert rights() == {"list leases"}

    role = api.get("Role", NAMESPACE, "podshare-operators")
    binding = api.get("RoleBinding", NAMESPACE, "podshare-operators")
    assert role
    assert binding
    everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    api.apply({**role, "rules": [*role["rules"], everything]})
    outsider = {"kind": "Group", "name": "system:authenticated", "apiGroup": "rbac.authorization.k8s.io"}
    api.apply({**binding, "subjects": [*binding["subjects"], outsider]})
    assert rights() == {"create configmaps", "list secrets", "list leases"}
    healed = world.reconcile("vision")
    assert (healed["state"], healed["summary"].startswith("READY: 2 restrict")) == ("READY", True), healed
    assert rights() == {"list leases"}
    assert len((api.get("RoleBinding", NAMESPACE, "podshare-operators") or {})["subjects"]) == 1

    assert put(world)["state"] == "READY"
    assert rights() == set()
    assert api.objects("Role", NAMESPACE) == api.objects("RoleBinding", NAMESPACE) == []
    assert any("isolation is not verified" in note for note in world.status("vision")["notes"])
    entry = world.sandbox.client("eks", "111111111111", REGION).describe_access_entry(
        clusterName="hyperpod-eks", principalArn=world.cluster_access_role("vision", VISION)
    )
    assert entry["accessEntry"]["kubernetesGroups"] == []
    world.delete("team#vision")
    assert world.status("vision")["state"] == "DELETED"
    assert world.leftovers() == []


def test_a_binding_gives_a_group_no_more_than_its_rules(world: World) -> None:
    """What a group with rules gets by a binding of others is told; without rules an administrator may bind it."""
    api, group = kubernetes.api_of(EKS_ARN), "rbac.authorization.k8s.io"
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "more", "namespace": NAMESPACE},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"apiGroup": group, "kind": "Group", "name": GROUP}],
    }
    assert put(world, access="view", kubernetes_groups=[GROUP], rbac=[])["state"] == "READY"
    api.apply(binding)
    assert world.reconcile("vision")["state"] == "READY", world.status("vision")
    assert put(world, access="view", **rbac(CONFIG))["state"] == "DEGRADED"
    (problem,) = world.status("vision")["problems"]
    assert f"{GROUP}, given by access entries of" in problem["what"]
    assert problem["remedy"] == f"kubectl delete rolebinding more --namespace {NAMESPACE}"
    assert put(world, access="admin", **rbac(CONFIG))["state"] == "READY"
    api.delete("RoleBinding", NAMESPACE, "more")


def test_a_namespace_is_reported_on_then_enforced_then_let_go(world: World) -> None:
    """The cluster's record decides; what others change is healed, and with the record's field podshare's things go."""
    api = kubernetes.api_of(EKS_ARN)

    def labels() -> dict[str, str]:
        found = (api.get("Namespace", None, NAMESPACE) or {})["metadata"]["labels"]
        own = ("podshare/", "pod-security.kubernetes.io/")
        return {name.rpartition("/")[2]: value for name, value in found.items() if name.startswith(own)}

    def put_level(**level: Any) -> list[str]:
        world.put({**CLUSTER, **level})
        assert world.status("vision")["state"] == "READY", world.status("vision")
        return list(world.status("vision")["notes"])

    assert put(world)["state"] == "READY"
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "stray"}}
    pod["spec"] = {"containers": [{"name": "main", "image": "busybox"}]}  # type: ignore[assignment]

    def submits() -> bool:
        client = world.kubernetes(world.cluster_access("vision", VISION))
        try:
            client.create(Pod.from_dict(pod), namespace=NAMESPACE)
        except ApiError as error:
            assert "work carries the team's queue" in (error.status.message or "")
            return False
        api.delete("Pod", NAMESPACE, "stray")
        return True

    assert "is report" in put_level(namespace_hardening="report")[0]
    assert labels() == {"team": "vision", "hardening": "report", "audit": "baseline", "warn": "baseline"}
    assert submits()
    assert put_level(namespace_hardening="enforce") == []
    assert labels()["enforce"] == "baseline"
    assert not submits()
    (policy,) = api.objects("NetworkPolicy", NAMESPACE)
    blocks = [peer["ipBlock"]["except"] for peer in policy["spec"]["egress"][0]["to"] if "ipBlock" in peer]
    assert blocks == [["169.254.169.254/32"], ["fd00:ec2::254/128"]]

    api.apply({**policy, "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]}})
    namespace = api.get("Namespace", None, NAMESPACE) or {}
    lifted = {**namespace["metadata"]["labels"], "podshare/hardening": "off"}
    api.apply({**namespace, "metadata": {**namespace["metadata"], "labels": lifted}})
    assert world.reconcile("vision")["summary"] == "READY: 1 restrict"
    assert not submits()
    assert api.objects("NetworkPolicy", NAMESPACE)[0]["spec"] == policy["spec"]

    assert "is off" in put_level()[0]
    assert labels() == {"team": "vision"}
    assert api.objects("NetworkPolicy", NAMESPACE) == []
    assert submits()


def test_what_holds_pods_is_put_back_whatever_withholds_additions(world: World) -> None:
    """A removed network policy or hardening label returns at once, also while an add-on of the cluster is missing."""
    api = kubernetes.api_of(EKS_ARN)
    world.put({**CLUSTER, "namespace_hardening": "enforce"})
    assert put(world)["state"] == "READY"
    (policy,) = api.objects("NetworkPolicy", NAMESPACE)
    labels = (api.get("Namespace", None, NAMESPACE) or {})["metadata"]["labels"]
    with world.without_an_add_on():
        api.delete("NetworkPolicy", NAMESPACE, policy["metadata"]["name"])
        namespace = api.get("Namespace", None, NAMESPACE) or {}
        lifted = {**namespace["metadata"]["labels"], "podshare/hardening": "off"}
        api.apply({**namespace, "metadata": {**namespace["metadata"], "labels": lifted}})
        assert world.reconcile("vision")["state"] == "DEGRADED"
        assert api.objects("NetworkPolicy", NAMESPACE)[0]["spec"] == policy["spec"]
        assert (api.get("Namespace", None, NAMESPACE) or {})["metadata"]["labels"] == labels
        assert "add-on" in world.status("vision")["problems"][0]["what"]
    assert world.reconcile("vision")["state"] == "READY"


def test_a_cluster_whose_api_is_out_of_reach_is_a_persons_to_look_after(world: World) -> None:
    """podshare asks the cluster nothing, says what is to be applied by hand, and waits the whole time for work it cannot see."""
    private = {**CLUSTER, "kubernetes_api": False, "namespace_hardening": "enforce"}
    plan = world.plan("private", private, a_team_item("private", service_accounts=DATA_READER, **private_rbac()))
    kinds = [one["kind"] for one in plan["manifests"]["main"]]
    assert kinds == ["Namespace", "NetworkPolicy", "Role", "RoleBinding", "ServiceAccount"]
    assert any("a person has to apply 5 objects" in note for note in plan["notes"])
    api = kubernetes.api_of(EKS_ARN)
    world.delete("team#vision")
    with unreachable():
        world.put(private)
        assert (
            world.put_team("private", members=MEMBERS, service_accounts=DATA_READER, **private_rbac())["state"]
            == "READY"
        )
        assert any("isolation is not verified" in note for note in world.status("private")["notes"])
        document = unpacked(world.state("proof", "team#private")["document"])
        for unread in (
            "RoleBindings of cluster main (kubernetes_api: false)",
            "the ConfigMap aws-auth of cluster main",
        ):
            assert any(unread in one for one in document["not_looked_at"])
        command = [sys.executable, "-m", "podshare_cli", "team", "manifests", "private"]
        environment = {**os.environ, **world.sandbox.environment()}
        printed = subprocess.run(  # noqa: S603  # our own
            command, env=environment, check=True, capture_output=True, text=True, timeout=60
        )
        assert [*yaml.safe_load_all(printed.stdout)] == plan["manifests"]["main"]
        assert re.search(
            r"^# \w+ on main: s3://podshare-private-\S+-s3alias/ arn:aws:s3:", printed.stdout, re.MULTILINE
        )
        assert world.reconcile("private")["summary"] == "READY: nothing to change"
        for manifest in plan["manifests"]["main"]:
            api.apply(manifest)
        world.delete("team#private")
    assert world.status("private")["state"] == "DELETED"
    assert world.leftovers() == []
    world.put(CLUSTER)
