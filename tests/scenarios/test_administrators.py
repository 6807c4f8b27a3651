"""Whoever spans a cluster without being its administrator is told, also where it looks like the cluster's own."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from lightkube.core.exceptions import ApiError
from lightkube.resources.authentication_v1 import SelfSubjectReview
from lightkube.resources.core_v1 import Pod

from podshare.access.access_report import unpacked
from podshare.aws.rows import to_item
from podshare_sandbox.services import kubernetes
from tests.builders import a_team_item
from tests.scenarios.test_doors import map_principals, run
from tests.scenarios.world import EKS_ARN, HUB, LANGUAGE, REGION, VISION, Item, World

NAMESPACE = "hyperpod-ns-vision"
RBAC = "rbac.authorization.k8s.io"
EVE, WATCHER, ADMIN = (f"arn:aws:iam::{HUB}:{name}" for name in ("role/eve", "role/watcher", "user/admin"))
CONTROLLER = "system:serviceaccount:kube-system:job-controller"  # bound by Kubernetes itself in the whole cluster
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{HUB}:root"}, "Action": "sts:AssumeRole"}],
}
Audit = Callable[[int], Item]


def subject(kind: str, name: str) -> Item:
    """A user or a group, as a binding names it."""
    return {"apiGroup": RBAC, "kind": kind, "name": name}


def bind(kind: str, name: str, role: str, *subjects: Item, namespace: str = "", of: str = "ClusterRole") -> None:
    """Make a binding by hand, as the cluster's admin."""
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    reference = {"apiGroup": RBAC, "kind": of, "name": role}
    manifest = {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": metadata, "roleRef": reference}
    kubernetes.api_of(EKS_ARN).apply({**manifest, "subjects": [*subjects]})


def give(world: World, policy: str) -> None:
    """Give an access policy on the whole cluster to a role that was there first."""
    world.sandbox.client("eks", HUB).associate_access_policy(
        clusterName="hyperpod-eks",
        principalArn=WATCHER,
        policyArn=f"arn:aws:eks::aws:cluster-access-policy/{policy}",
        accessScope={"type": "cluster"},
    )


@pytest.fixture(scope="module", autouse=True)
def at_first(world: World) -> Item:
    """Two teams on a cluster whose administrators come by a group, and a role that may look at nodes alone.

    The first team's status while everybody, and the other team's pods, were bound in the whole cluster; that ends.
    """
    for name in ("eve", "watcher"):
        world.sandbox.client("iam", HUB).create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
    world.sandbox.client("eks", HUB).create_access_entry(clusterName="hyperpod-eks", principalArn=WATCHER)
    give(world, "AmazonSagemakerHyperpodUserClusterPolicy")
    bind("ClusterRoleBinding", "scrape", "system:discovery", subject("User", "scraper"))
    bind("ClusterRoleBinding", "platform", "cluster-admin", subject("Group", "platform-admins"))
    bind("ClusterRoleBinding", "reserved", "cluster-admin", subject("Group", "aws:ops"))
    bind("ClusterRoleBinding", "on-call", "cluster-admin", subject("User", "on-call"))
    bind("ClusterRoleBinding", "everybody", "edit", subject("Group", "system:authenticated"))
    bind("ClusterRoleBinding", "pods", "edit", subject("Group", "system:serviceaccounts:hyperpod-ns-language"))
    world.put(
        a_team_item("vision", members=[{"account": VISION}]),
        a_team_item("language", members=[{"account": LANGUAGE}], access="edit"),
    )
    status = world.status("vision")
    for name in ("everybody", "pods"):
        kubernetes.api_of(EKS_ARN).delete("ClusterRoleBinding", "", name)
    for team in ("vision", "language"):
        assert world.reconcile(team)["state"] == "READY", world.status(team)
    return status


@pytest.fixture(autouse=True)
def closed(world: World) -> Iterator[None]:
    """Each test ends without what it made by hand."""
    yield
    eks, api = world.sandbox.client("eks", HUB), kubernetes.api_of(EKS_ARN)
    if EVE in eks.list_access_entries(clusterName="hyperpod-eks")["accessEntries"]:
        eks.delete_access_entry(clusterName="hyperpod-eks", principalArn=EVE)
    map_principals(mapRoles=[])
    if api.get("ClusterRoleBinding", "", "helpers"):
        api.delete("ClusterRoleBinding", "", "helpers")
    assert world.reconcile("vision")["state"] == "READY", world.status("vision")


def let_in(world: World, **entry: Any) -> None:
    """Make an access entry by hand."""
    world.sandbox.client("eks", HUB).create_access_entry(clusterName="hyperpod-eks", principalArn=EVE, **entry)


def let_edit(world: World, namespace: str) -> None:
    """Make an access entry by hand that lets its role edit in a namespace."""
    let_in(world)
    world.sandbox.client("eks", HUB).associate_access_policy(
        clusterName="hyperpod-eks",
        principalArn=EVE,
        policyArn="arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy",
        accessScope={"type": "namespace", "namespaces": [namespace]},
    )


def eve(world: World) -> Any:
    """The kubectl of whoever is in the role that no record names."""
    return world.kubernetes(world.session(EVE, world.sandbox.session(HUB, REGION), "on-call"))


def lists_pods(kubectl: Any, acting_as: str = "") -> bool:
    """Whether the pods of the team's namespace are listed, acting as another user where one is named."""
    kubectl._client._client.headers["Impersonate-User"] = acting_as  # lightkube has no way to act as somebody else
    if not acting_as:
        del kubectl._client._client.headers["Impersonate-User"]
    try:
        [*kubectl.list(Pod, namespace=NAMESPACE)]
    except ApiError:
        return False
    return True


def is_told(world: World, audit: Audit) -> None:
    """The team is not READY, the audit fails, and the told commands end it."""
    assert world.reconcile("vision")["state"] == "DEGRADED"
    assert any(line["record"] is None for line in audit(1)["doors"])
    for problem in world.status("vision")["problems"]:
        assert problem["what"].startswith("unexpected access: ")
        run(world, problem["remedy"])
    assert world.reconcile("vision")["state"] == "READY", world.status("vision")


def test_a_new_member_of_an_administrators_group_is_told(world: World, audit: Audit) -> None:
    """Cluster-wide access that is added later is unexpected, also where it comes by a group that was there first."""
    let_in(world, kubernetesGroups=["platform-admins"])
    assert lists_pods(eve(world))
    is_told(world, audit)
    assert kubernetes.api_of(EKS_ARN).get("ClusterRoleBinding", "", "platform")


def test_whoever_gets_an_administrators_user_name_is_told(world: World, audit: Audit) -> None:
    """The same for a user name that an access entry gives."""
    let_in(world, username="on-call")
    assert lists_pods(eve(world))
    is_told(world, audit)


def test_a_line_that_gives_an_administrators_group_is_told(world: World, audit: Audit) -> None:
    """The same for a line of the ConfigMap aws-auth."""
    map_principals(mapRoles=[{"rolearn": EVE, "username": "eve", "groups": ["platform-admins"]}])
    assert lists_pods(eve(world))
    is_told(world, audit)


def test_a_group_with_an_administrators_name_is_told(world: World, audit: Audit) -> None:
    """A group is nobody's ARN, whatever it is called."""
    bind("ClusterRoleBinding", "helpers", "cluster-admin", subject("Group", ADMIN))
    let_in(world, kubernetesGroups=[ADMIN])
    assert lists_pods(eve(world))
    is_told(world, audit)


def test_whoever_was_there_first_has_no_more_than_then(world: World, audit: Audit) -> None:
    """Who could look at nodes when podshare first looked is expected to do that, and not to be an administrator."""
    kubectl = world.kubernetes(world.session(WATCHER, world.sandbox.session(HUB, REGION)))
    assert not lists_pods(kubectl)
    give(world, "AmazonEKSClusterAdminPolicy")
    assert lists_pods(kubectl)
    is_told(world, audit)


def test_a_user_that_was_bound_first_has_no_more_than_then(world: World, audit: Audit) -> None:
    """The same for whom a binding named."""
    bind("ClusterRoleBinding", "helpers", "cluster-admin", subject("User", "scraper"))
    let_in(world, username="scraper")
    assert lists_pods(eve(world))
    is_told(world, audit)


def test_everybody_is_no_administrator(at_first: Item) -> None:
    """What lets all members, or all pods, of another team in is unexpected, also if it was there before podshare."""
    assert at_first["state"] == "DEGRADED"
    told = " ".join(problem["what"] for problem in at_first["problems"])
    assert "unexpected access: account" in told
    assert all(f"{who} has ClusterRole edit" in told for who in ("system:authenticated", "hyperpod-ns-language"))


def test_a_service_account_bound_by_its_user_name_is_told(world: World, audit: Audit) -> None:
    """Pods of another team get in by a service account, by whichever of its names a binding knows it."""
    pods = "system:serviceaccount:hyperpod-ns-language:default"
    kubectl = world.kubernetes(world.cluster_access("language", LANGUAGE))
    assert not lists_pods(kubectl, pods)
    bind("ClusterRoleBinding", "helpers", "edit", subject("User", pods))
    assert lists_pods(kubectl, pods)
    is_told(world, audit)


@pytest.mark.parametrize("group", ["aws:ops", "iam:ops"])
def test_a_line_that_gives_a_reserved_group_is_told(world: World, audit: Audit, group: str) -> None:
    """The ConfigMap aws-auth gives groups such as no access entry can give."""
    if group == "iam:ops":
        bind("ClusterRoleBinding", "helpers", "cluster-admin", subject("Group", group))
    map_principals(mapRoles=[{"rolearn": EVE, "username": "eve", "Groups": [group]}])
    assert lists_pods(eve(world))
    is_told(world, audit)


@pytest.mark.parametrize("kind", ["user", "role"])
def test_a_path_like_a_services_hides_nobody(world: World, audit: Audit, kind: str) -> None:
    """A path may have colons (IAM API reference, CreateUser, "Path"), and so look like that of a service-linked role."""
    iam, path = world.sandbox.client("iam", HUB), "/of:role/aws-service-role/"
    if kind == "user":
        iam.create_user(UserName="mallory", Path=path)
    else:
        iam.create_role(RoleName="mallory", Path=path, AssumeRolePolicyDocument=json.dumps(TRUST))
    arn, eks = f"arn:aws:iam::{HUB}:{kind}{path}mallory", world.sandbox.client("eks", HUB)
    eks.create_access_entry(clusterName="hyperpod-eks", principalArn=arn, kubernetesGroups=["platform-admins"])
    is_told(world, audit)
    eks.create_access_entry(clusterName="hyperpod-eks", principalArn=arn)
    eks.associate_access_policy(
        clusterName="hyperpod-eks",
        principalArn=arn,
        policyArn="arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy",
        accessScope={"type": "cluster"},
    )
    is_told(world, audit)
    eks.delete_access_entry(clusterName="hyperpod-eks", principalArn=arn)


def make_role_of_nodes(world: World, name: str, *more: Item) -> str:
    """A role that instances have, with whoever else may assume it by ``more`` statements."""
    trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust, *more]})
    return str(
        world.sandbox.client("iam", HUB).create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    )


def comes_as(kubectl: Any) -> str:
    """As whom the cluster knows whoever uses ``kubectl``."""
    return str(kubectl.create(SelfSubjectReview()).status.userInfo.username)


def test_whoever_comes_as_a_node_is_told(world: World, audit: Audit) -> None:
    """A role of nodes that people may assume lets them be any node, which gets tokens of the pods there.

    Kubernetes documentation, "Using Node Authorization"; the session's name is theirs to choose.
    """
    let_in(world, type="HYPERPOD_LINUX")
    assert comes_as(eve(world)) == "system:node:on-call"
    is_told(world, audit)
    people = [{"Effect": "Allow", "Principal": {"AWS": HUB}, "Action": "sts:AssumeRole"}]
    nodes = make_role_of_nodes(world, "nodes", *people)
    entry = {"clusterName": "hyperpod-eks", "principalArn": nodes}
    world.sandbox.client("eks", HUB).create_access_entry(**entry, type="EC2_LINUX")
    is_told(world, audit)
    world.sandbox.client("eks", HUB).delete_access_entry(**entry)


@pytest.mark.parametrize(
    ("part", "arn", "principal"),
    [
        ("mapUsers", "userarn", f"arn:aws:iam::{HUB}:user/guest"),
        ("mapRoles", "rolearn", EVE),
        ("mapRoles", "rolearn", f"arn:aws:iam::{LANGUAGE}:role/nodes"),
    ],
)
def test_a_line_by_which_others_come_as_nodes_is_told(
    world: World, audit: Audit, part: str, arn: str, principal: str
) -> None:
    """The same for a line of the ConfigMap aws-auth: no node is a user, or of another account."""
    groups = ["system:bootstrappers", "system:nodes"]
    nodes = {"rolearn": f"arn:aws:iam::{HUB}:role/auto-nodes", "username": "system:node:{{EC2PrivateDNSName}}"}
    name = "system:node:ip-10-0-0-1" if part == "mapUsers" else "system:node:{{SessionName}}"
    lines = {"mapRoles": [{**nodes, "groups": groups}]}
    lines[part] = [*lines.get(part, []), {arn: principal, "username": name, "groups": groups}]
    map_principals(**lines)
    if principal == EVE:
        assert comes_as(eve(world)) == "system:node:on-call"
    is_told(world, audit)
    data = kubernetes.api_of(EKS_ARN).get("ConfigMap", "kube-system", "aws-auth")["data"]
    assert yaml.safe_load(data["mapRoles"]) == [{**nodes, "groups": groups}]


def test_a_node_of_auto_mode_has_its_own_policy_alone(world: World, audit: Audit) -> None:
    """An entry for nodes may have access policies too (type EC2): but for the nodes' own each is told."""
    eks, nodes = world.sandbox.client("eks", HUB), make_role_of_nodes(world, "auto-nodes")
    entry = {"clusterName": "hyperpod-eks", "principalArn": nodes}
    eks.create_access_entry(**entry, type="EC2")
    for name, scope in (
        ("AmazonEKSAutoNodePolicy", {"type": "cluster"}),
        ("AmazonEKSClusterAdminPolicy", {"type": "cluster"}),
        ("AmazonEKSEditPolicy", {"type": "namespace", "namespaces": ["kube-system"]}),
        ("AmazonEKSViewPolicy", {"type": "namespace", "namespaces": [NAMESPACE]}),
    ):
        policy = f"arn:aws:eks::aws:cluster-access-policy/{name}"
        eks.associate_access_policy(**entry, policyArn=policy, accessScope=scope)
    is_told(world, audit)
    (left,) = eks.list_associated_access_policies(**entry)["associatedAccessPolicies"]
    assert left["policyArn"].endswith("AmazonEKSAutoNodePolicy")
    eks.delete_access_entry(**entry)


def test_who_may_be_a_controller_is_told(world: World, audit: Audit) -> None:
    """A scope with a service account of a controller leads wherever that controller is bound."""
    let_edit(world, "kube-system")
    assert lists_pods(eve(world), CONTROLLER)
    is_told(world, audit)


def test_a_binding_beside_a_controller_is_told(world: World, audit: Audit) -> None:
    """The same for a binding by which another team's people may be a controller, but for one that lets them read."""
    bind("RoleBinding", "readers", "view", subject("Group", "developers"), namespace="kube-system")
    assert world.reconcile("vision")["state"] == "READY", world.status("vision")
    bind("RoleBinding", "helpers", "edit", subject("Group", "system:authenticated"), namespace="kube-system")
    assert lists_pods(world.kubernetes(world.cluster_access("language", LANGUAGE)), CONTROLLER)
    is_told(world, audit)
    kubernetes.api_of(EKS_ARN).delete("RoleBinding", "kube-system", "readers")


@pytest.mark.parametrize("role", ["kubernetes", "read"])
def test_whoever_else_may_act_as_podshare_is_told(world: World, audit: Audit, role: str) -> None:
    """A member role that has an entry lets in the hub's functions; by any other statement of its trust somebody gets in."""
    iam, name = world.sandbox.client("iam", HUB), f"podshare-{role}"
    deployed = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    organization = {"StringEquals": {"aws:PrincipalOrgID": "o-podshare01"}}
    for more in ({"Principal": {"AWS": f"arn:aws:iam::{LANGUAGE}:root"}}, {"Condition": organization}):
        document = {**deployed, "Statement": [*deployed["Statement"], {**deployed["Statement"][0], **more}]}
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(document))
        is_told(world, audit)
        assert iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"] == deployed


def test_an_identity_provider_is_told(world: World, audit: Audit) -> None:
    """An OpenID Connect provider gives any group, the team's too: it is an administrator, or told.

    EKS user guide, "Grant users access to Kubernetes with an external OIDC provider". The sandbox takes no such token.
    """
    oidc = {"identityProviderConfigName": "corp", "issuerUrl": "https://id.example.com", "clientId": "kubernetes"}
    eks = world.sandbox.client("eks", HUB)
    eks.associate_identity_provider_config(clusterName="hyperpod-eks", oidc={**oidc, "groupsClaim": "groups"})
    is_told(world, audit)
    assert eks.list_identity_provider_configs(clusterName="hyperpod-eks")["identityProviderConfigs"] == []


def test_who_may_act_in_a_controllers_pods_is_told(world: World, audit: Audit) -> None:
    """Who may get pods/exec beside a controller runs commands in its pods, before Kubernetes 1.35: that is no reading."""
    for name, resource in (("logs", "pods/log"), ("exec", "pods/exec")):
        rules = [{"apiGroups": [""], "resources": [resource], "verbs": ["get"]}]
        role = {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": {"name": name, "namespace": "kube-system"}}
        kubernetes.api_of(EKS_ARN).apply({**role, "rules": rules})
    bind("RoleBinding", "logs", "logs", subject("User", "friend"), namespace="kube-system", of="Role")
    assert world.reconcile("vision")["state"] == "READY", world.status("vision")
    bind("RoleBinding", "exec", "exec", subject("User", "friend"), namespace="kube-system", of="Role")
    is_told(world, audit)
    assert kubernetes.api_of(EKS_ARN).get("RoleBinding", "kube-system", "logs")


def test_who_may_be_what_may_be_a_controller_is_told(world: World, audit: Audit) -> None:
    """The same for a scope with a service account that a binding beside a controller names."""
    kubernetes.api_of(EKS_ARN).apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "dev"}})
    helper = {"kind": "ServiceAccount", "name": "helper", "namespace": "dev"}
    bind("RoleBinding", "helpers", "edit", helper, namespace="kube-system")
    assert world.reconcile("vision")["state"] == "READY", world.status("vision")
    let_edit(world, "dev")
    is_told(world, audit)
    bind("RoleBinding", "friends", "edit", subject("User", "friend"), namespace="dev")
    is_told(world, audit)
    kubernetes.api_of(EKS_ARN).delete("RoleBinding", "kube-system", "helpers")


def test_names_that_an_earlier_version_kept_count_for_what_they_have_by_now(world: World) -> None:
    """The first reading of this version keeps what those have whom an earlier version kept by name, and nobody else."""
    part = f"cluster#{EKS_ARN}"
    principals = [one for one in world.state("proof", part)["principals"] if one != "User on-call"]
    earlier = to_item({"id": "proof", "part": part, "principals": principals})
    world.sandbox.client("dynamodb").put_item(TableName="podshare-state", Item=earlier)
    let_in(world, kubernetesGroups=["platform-admins"])
    assert world.reconcile("vision")["state"] == "DEGRADED"
    (problem,) = world.status("vision")["problems"]
    assert "User on-call has ClusterRole cluster-admin" in problem["what"]
    kept = unpacked(world.state("proof", part)["doors"])
    assert {row["who"] for row in kept} == {*principals}
    assert [row["through"] for row in kept if row["who"] == "platform-admins"] == [[EVE]]
    run(world, problem["remedy"])
