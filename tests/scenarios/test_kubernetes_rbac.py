"""A team's own rights in its namespace: given, changed, healed and taken away."""

from typing import Any

from podshare_sandbox.services import kubernetes
from tests.scenarios.world import EKS_ARN, REGION, VISION, World

GROUP = "podshare:vision:operators"
NAMESPACE = "hyperpod-ns-vision"
MEMBERS = [{"account": VISION}]
READER = [{"name": "reader"}]
CONFIG = {"api_groups": [""], "resources": ["configmaps"], "verbs": ["get", "create"]}
LEASES = {"api_groups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "list"]}


def rbac(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"kubernetes_groups": [GROUP], "rbac": [{"group": GROUP, "rules": [*rules]}]}


def put(world: World, **fields: Any) -> Any:
    return world.put_team("vision", members=MEMBERS, service_accounts=READER, **fields)


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
    assert (healed["state"], healed["summary"].startswith("READY: 2 narrow")) == ("READY", True), healed
    assert rights() == {"list leases"}
    assert len((api.get("RoleBinding", NAMESPACE, "podshare-operators") or {})["subjects"]) == 1

    assert put(world)["state"] == "READY"
    assert rights() == set()
    assert api.objects("Role", NAMESPACE) == api.objects("RoleBinding", NAMESPACE) == []
    entry = world.sandbox.client("eks", "111111111111", REGION).describe_access_entry(
        clusterName="hyperpod-eks", principalArn=world.cluster_access_role("vision", VISION)
    )
    assert entry["accessEntry"]["kubernetesGroups"] == []
    world.delete("team#vision")
    assert world.status("vision")["state"] == "DELETED"
    assert world.leftovers() == []
