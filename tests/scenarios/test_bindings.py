"""Whom others bound in a team's namespace: members of other teams are taken out, anybody else is told."""

from typing import Any

import pytest

from podshare_sandbox.services import kubernetes
from tests.builders import a_team_item
from tests.scenarios.world import EKS_ARN, HUB, LANGUAGE, VISION, Item, World, awaited

NAMESPACE = "hyperpod-ns-vision"
RBAC = "rbac.authorization.k8s.io"
FRIENDS = {"apiGroup": RBAC, "kind": "Group", "name": "friends"}
BOTH, REMOVED = [{"account": VISION}, {"account": LANGUAGE}], [{"account": VISION}]
GROUP = "podshare:language:ops"


@pytest.fixture(scope="module", autouse=True)
def teams(world: World) -> None:
    """Two teams, with an account that is in both."""
    rules = [{"api_groups": [""], "resources": ["configmaps"], "verbs": ["get"]}]
    world.put(
        a_team_item("vision", members=BOTH, access="admin"),
        a_team_item(
            "language",
            members=[{"account": LANGUAGE}],
            kubernetes_groups=[GROUP],
            rbac=[{"group": GROUP, "rules": rules}],
        ),
    )
    for team in ("vision", "language"):
        assert world.status(team)["state"] == "READY", world.status(team)


def bind(name: str, *subjects: Item) -> None:
    """A binding as a member with `access: admin` made it, before there was an admission policy that refuses it."""
    kubernetes.api_of(EKS_ARN).apply(
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": "theirs"}},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "edit"},
            "subjects": [*subjects],
        }
    )


def by_session(world: World) -> Item:
    """The user name that EKS gives to a session of the role by which the account works for the other team."""
    role = world.cluster_access_role("language", LANGUAGE).rpartition("/")[2]
    name = f"arn:aws:sts::{HUB}:assumed-role/{role}/ada"
    return {"apiGroup": RBAC, "kind": "User", "name": name}


def by_group(_: World) -> Item:
    """A group that the other team's record gives to its members."""
    return {"apiGroup": RBAC, "kind": "Group", "name": GROUP}


@pytest.mark.parametrize("subject", [by_session, by_group])
def test_a_removed_member_does_not_return_through_another_team(world: World, announced: Any, subject: Any) -> None:
    """A subject that names another team's people is taken out of the binding, and nobody else; it is announced."""
    session = world.cluster_access("language", LANGUAGE)
    bind("theirs", subject(world), FRIENDS)
    assert world.may(session, "create", "", "pods", NAMESPACE)
    announced()
    world.put(a_team_item("vision", members=REMOVED, access="admin"))
    assert not world.may(session, "create", "", "pods", NAMESPACE)
    assert world.may_submit(session, "language")
    binding = kubernetes.api_of(EKS_ARN).get("RoleBinding", NAMESPACE, "theirs")
    assert binding and binding["subjects"] == [FRIENDS]
    assert binding["metadata"]["labels"] == {"app": "theirs"}
    assert any(subject(world)["name"] in line for event in announced() for line in event["found"])
    told = [one["what"] for one in world.status("vision")["problems"]]
    assert [True for one in told if ": friends has ClusterRole edit" in one] == [True], told
    kubernetes.api_of(EKS_ARN).delete("RoleBinding", NAMESPACE, "theirs")
    world.put(a_team_item("vision", members=BOTH, access="admin"))
    assert world.status("vision")["state"] == "READY"


def test_a_pod_of_another_team_is_taken_out_when_the_team_is_deleted(world: World) -> None:
    """Service accounts of other teams' namespaces are people of theirs as well; a deleted team's bindings let none in."""
    pods = {"kind": "ServiceAccount", "name": "default", "namespace": "hyperpod-ns-language"}
    bind("pods", pods)
    bind("everyone", {"apiGroup": RBAC, "kind": "Group", "name": "system:serviceaccounts:hyperpod-ns-language"})
    bind("session", by_session(world))
    session = world.cluster_access("language", LANGUAGE)
    world.delete("team#vision", settle=False)
    api = kubernetes.api_of(EKS_ARN)
    awaited(lambda: not world.may(session, "create", "", "pods", NAMESPACE))
    for name in ("pods", "everyone", "session"):
        assert not (api.get("RoleBinding", NAMESPACE, name) or {}).get("subjects"), name
        api.delete("RoleBinding", NAMESPACE, name)  # what is left in it keeps the team's name from being free
    world.sandbox.settle()
