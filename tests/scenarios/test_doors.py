"""Whoever gets into a team's namespace without a record is told, whatever made the door, until the door is closed."""

import json
import re
import shlex
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from podshare.access.access_report import unpacked
from podshare_sandbox.services import kubernetes
from tests.builders import a_team_item
from tests.scenarios.world import EKS_ARN, HUB, LANGUAGE, REGION, VISION, Item, World

NAMESPACE = "hyperpod-ns-vision"
EDIT = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy"
USER, ROLE = f"arn:aws:iam::{HUB}:user/eve", f"arn:aws:iam::{HUB}:role/handmade"
READERS = [{"name": "trainer", "datasets": [{"dataset": "imagenet", "access": "read"}]}]
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{VISION}:root"}, "Action": "sts:AssumeRole"}],
}


@pytest.fixture(scope="module", autouse=True)
def team(world: World) -> None:
    """A team of one account, and what an admin of the cluster's account may use to make doors by hand."""
    iam = world.sandbox.client("iam", HUB)
    iam.create_user(UserName="eve")
    iam.create_role(RoleName="handmade", AssumeRolePolicyDocument=json.dumps(TRUST))
    pods = {"Effect": "Allow", "Principal": {"Service": "pods.eks.amazonaws.com"}}
    trust = {"Version": "2012-10-17", "Statement": [{**pods, "Action": ["sts:AssumeRole", "sts:TagSession"]}]}
    iam.create_role(RoleName="handmade-pods", AssumeRolePolicyDocument=json.dumps(trust))
    world.put(a_team_item("vision", members=[{"account": VISION}], service_accounts=READERS))
    assert world.status("vision")["state"] == "READY"


def let_in(world: World, principal: str, scope: Item | None = None, groups: tuple[str, ...] = ()) -> None:
    """Make an access entry by hand."""
    eks = world.sandbox.client("eks", HUB)
    eks.create_access_entry(clusterName="hyperpod-eks", principalArn=principal, kubernetesGroups=[*groups])
    if scope:
        eks.associate_access_policy(
            clusterName="hyperpod-eks", principalArn=principal, policyArn=EDIT, accessScope=scope
        )


def remove_entries(world: World) -> None:
    """Remove what is left of the entries made by hand: a command closes the door alone."""
    eks = world.sandbox.client("eks", HUB)
    for principal in {USER, ROLE} & {*eks.list_access_entries(clusterName="hyperpod-eks")["accessEntries"]}:
        eks.delete_access_entry(clusterName="hyperpod-eks", principalArn=principal)


def bind(kind: str, name: str, subject: Item) -> None:
    """Make a binding by hand, as the cluster's admin."""
    place = {"namespace": NAMESPACE} if kind == "RoleBinding" else {}
    kubernetes.api_of(EKS_ARN).apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": name, **place},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
            "subjects": [subject],
        }
    )


def entry_of_a_user(world: World) -> str:
    """An IAM user with the team's namespace as scope."""
    let_in(world, USER, {"type": "namespace", "namespaces": [NAMESPACE]})
    return USER


def entry_of_a_role(world: World) -> str:
    """A role without a path, by a pattern that means the namespace too."""
    let_in(world, ROLE, {"type": "namespace", "namespaces": ["hyperpod-ns-*"]})
    return f"{ROLE}, which arn:aws:iam::{VISION}:root may assume,"


def entry_of_the_cluster(world: World) -> str:
    """A user with the whole cluster as scope."""
    let_in(world, USER, {"type": "cluster"})
    return USER


def entry_with_a_group(world: World) -> str:
    """A user in one of the team's own groups."""
    let_in(world, USER, groups=("podshare:vision:member",))
    return USER


def binding_in_the_namespace(_: World) -> str:
    """A group of an entry's, bound in the namespace by hand."""
    bind("RoleBinding", "friends", {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "friends"})
    return "friends"


def binding_of_the_cluster(_: World) -> str:
    """A user, bound in the whole cluster by hand."""
    bind("ClusterRoleBinding", "eve", {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "eve"})
    return "User eve"


def binding_of_an_entrys_group(world: World) -> str:
    """A group that an entry made by hand gives, bound in the namespace: each half by itself lets nobody in."""
    let_in(world, USER, groups=("friends",))
    binding_in_the_namespace(world)
    return f"friends, given by access entries of {USER},"


def binding_of_a_session(world: World) -> str:
    """The user name that an entry gives to a role's sessions by default, bound in the whole cluster."""
    let_in(world, ROLE)
    name = f"arn:aws:sts::{HUB}:assumed-role/handmade/ada"
    bind("ClusterRoleBinding", "ada", {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name})
    return f"User {name}, given by access entries of {ROLE} (arn:aws:iam::{VISION}:root may assume it),"


def association_by_hand(world: World) -> str:
    """A role for pods of a service account in the namespace."""
    world.sandbox.client("eks", HUB).create_pod_identity_association(
        clusterName="hyperpod-eks",
        namespace=NAMESPACE,
        serviceAccount="mine",
        roleArn=f"arn:aws:iam::{HUB}:role/handmade-pods",
    )
    return f"system:serviceaccount:{NAMESPACE}:mine"


def run(world: World, command: str) -> None:
    """Run the command that was told, as an admin of the cluster's account."""
    read, _, rest = command.partition(" | ")
    if rest:
        write_trust(world, read, rest)
        return
    words = shlex.split(command)
    if words[0] == "kubectl":
        kinds = {"rolebinding": "RoleBinding", "clusterrolebinding": "ClusterRoleBinding"}
        _, delete, kind, name, *rest = words
        namespace = rest.pop() if kind == "rolebinding" else ""
        assert (delete, rest) == ("delete", ["--namespace"] if kind == "rolebinding" else [])
        kubernetes.api_of(EKS_ARN).delete(kinds[kind], namespace, name)
        return
    if words[0] == "eksctl":
        unmap(words)
        return
    aws, service, operation, *options = words
    assert aws == "aws"
    given: Item = {}
    for option in options:
        if option.startswith("--"):
            given[option] = []
        else:
            given[[*given][-1]].append(option)
    assert given.pop("--region", [REGION]) == [REGION]
    request: Item = {_camel(name): _value(name, values) for name, values in given.items()}
    if service == "iam":
        request = {name[0].upper() + name[1:]: value for name, value in request.items()}
    getattr(world.sandbox.client(service, HUB), operation.replace("-", "_"))(**request)


def write_trust(world: World, read: str, rest: str) -> None:
    """What the commands do that take principals out of a role's trust: by boto3, and jq's filter in Python."""
    iam, name = world.sandbox.client("iam", HUB), shlex.split(read)[4]
    assert read == f"aws iam get-role --role-name {name} --query Role.AssumeRolePolicyDocument"
    jq, _, write = rest.partition(" > trust.json && ")
    policy = "--policy-document file://trust.json"
    assert write == f"aws iam update-assume-role-policy --role-name {name} {policy}"
    found = re.fullmatch(r"del\((.+)\)", shlex.split(jq)[1])
    assert found
    document = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    statements = dict(enumerate(document["Statement"]))
    for path in found[1].split(", "):
        parts = re.fullmatch(r"\.Statement\[(\d+)\](\.Principal\.(\w+))?", path)
        assert parts
        _ = statements[int(parts[1])]["Principal"].pop(parts[3]) if parts[3] else statements.pop(int(parts[1]))
    left = {**document, "Statement": [*statements.values()]}
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(left))


def unmap(words: list[str]) -> None:
    """What ``eksctl delete iamidentitymapping --all`` does: take out each line of a principal."""
    arn = words[words.index("--arn") + 1]
    place = ["--region", REGION, "--cluster", "hyperpod-eks"]
    assert words == ["eksctl", "delete", "iamidentitymapping", *place, "--arn", arn, "--all"]
    data = kubernetes.api_of(EKS_ARN).get("ConfigMap", "kube-system", "aws-auth")["data"]
    parts = {part: yaml.safe_load(text) for part, text in data.items()}
    map_principals(**{part: [one for one in lines if arn not in one.values()] for part, lines in parts.items()})


def _camel(option: str) -> str:
    first, *rest = option.removeprefix("--").split("-")
    return first + "".join(word.title() for word in rest)


def _value(option: str, values: list[str]) -> Any:
    if option == "--tags":
        return [dict(part.split("=", 1) for part in value.split(",", 1)) for value in values]
    if option == "--identity-provider-config":
        return dict(part.split("=", 1) for part in values[0].split(","))
    if option == "--kubernetes-groups":
        return [] if values == ["[]"] else values
    (value,) = values
    return value


def map_principals(**parts: Any) -> None:
    """Write the ConfigMap aws-auth by hand, as the cluster's admin."""
    data = {part: yaml.safe_dump(lines) for part, lines in parts.items()}
    metadata = {"name": "aws-auth", "namespace": "kube-system"}
    kubernetes.api_of(EKS_ARN).apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


def line_for_an_administrator(_: World) -> str:
    """A role that the ConfigMap aws-auth lets do everything; nodes beside it are nobody's business."""
    nodes = {"rolearn": f"arn:aws:iam::{HUB}:role/nodes", "username": "system:node:{{EC2PrivateDNSName}}"}
    nodes["groups"] = ["system:bootstrappers", "system:nodes"]
    map_principals(mapRoles=[nodes, {"rolearn": ROLE, "username": "root", "groups": ["system:masters"]}])
    return f"{ROLE}, which arn:aws:iam::{VISION}:root may assume,"


def line_for_a_member(_: World) -> str:
    """A user of another account whom the ConfigMap aws-auth gives a group of the team."""
    user = f"arn:aws:iam::{LANGUAGE}:user/eve"
    map_principals(mapUsers=[{"userarn": user, "username": "eve", "groups": ["podshare:vision:member"]}])
    return user


def line_for_a_controller(_: World) -> str:
    """A user who comes under a name that Kubernetes keeps for its own controllers."""
    map_principals(mapUsers=[{"userarn": USER, "username": "system:kube-controller-manager"}])
    return USER


def line_of_a_bound_group(world: World) -> str:
    """A group that the ConfigMap aws-auth gives, bound in the namespace."""
    map_principals(mapUsers=[{"userarn": USER, "username": "eve", "groups": ["friends"]}])
    binding_in_the_namespace(world)
    return f"friends, given by access entries of {USER} (by ConfigMap aws-auth),"


def entry_with_podshares_group(world: World) -> str:
    """A user in podshare's own group, whose cluster role writes in every team's namespace."""
    let_in(world, USER, groups=("podshare:kubernetes",))
    return USER


DOORS: list[Callable[[World], str]] = [
    entry_of_a_user,
    entry_of_a_role,
    entry_of_the_cluster,
    entry_with_a_group,
    binding_in_the_namespace,
    binding_of_the_cluster,
    binding_of_an_entrys_group,
    binding_of_a_session,
    association_by_hand,
    entry_with_podshares_group,
    line_for_an_administrator,
    line_for_a_member,
    line_for_a_controller,
    line_of_a_bound_group,
]


@pytest.mark.parametrize("make", DOORS, ids=lambda make: make.__name__)
def test_a_door_made_by_hand_is_told_until_it_is_closed(
    world: World, announced: Any, audit: Callable[[int], Item], make: Callable[[World], str]
) -> None:
    """The team is not READY within a reconciliation, the event names who and how, and the told command ends it."""
    announced()
    who = make(world)
    assert world.reconcile("vision")["state"] == "DEGRADED"
    problems = [one for one in world.status("vision")["problems"] if one["what"].startswith("unexpected access: ")]
    assert problems, world.status("vision")
    assert f"account {HUB}: {who} has " in problems[0]["what"]
    assert problems[0]["remedy"] in problems[0]["what"]
    document = unpacked(world.state("proof", "team#vision")["document"])
    assert document["holds"] is False
    assert any(not line["granted"] for line in document["access"])
    assert any(who in line for event in announced() for line in event["found"])
    told = audit(1)
    assert any(line["record"] is None and line["closed_by"] == problems[0]["remedy"] for line in told["doors"])
    for command in [one["remedy"] for one in problems]:
        run(world, command)
    assert world.reconcile("vision")["state"] == "READY", world.status("vision")
    closed = audit(0)
    assert all(line["record"] for line in closed["doors"])
    assert closed["not_looked_at"] == []
    remove_entries(world)
    map_principals()


def test_a_config_map_that_cannot_be_understood_is_told(world: World) -> None:
    """Of a line that nobody understands nobody knows whom it lets in: the team is not READY until it is mended."""
    map_principals(mapRoles={"rolearn": ROLE})
    assert world.reconcile("vision")["state"] == "DEGRADED"
    assert "mapRoles of ConfigMap aws-auth is no list" in json.dumps(world.status("vision")["problems"])
    map_principals()
    assert world.reconcile("vision")["state"] == "READY"


def test_a_removed_member_whose_entry_lost_its_tags_is_told(world: World) -> None:
    """Whether an entry has podshare's tags or not: the removed member does not get in, or the team is not READY.

    EKS authorizes by entries, not by their tags (EKS user guide, "Grant IAM users access with EKS access entries").
    """
    arn, eks = world.cluster_access_role("vision", VISION), world.sandbox.client("eks", HUB)
    found = eks.describe_access_entry(clusterName="hyperpod-eks", principalArn=arn)["accessEntry"]
    eks.untag_resource(resourceArn=found["accessEntryArn"], tagKeys=[*found["tags"]])
    world.put(a_team_item("vision", members=[{"account": LANGUAGE}], service_accounts=READERS))
    status = world.status("vision")
    told = [one for one in status["problems"] if one["what"].startswith(f"unexpected access: account {HUB}: {arn}")]
    if arn in eks.list_access_entries(clusterName="hyperpod-eks")["accessEntries"]:
        assert (status["state"], bool(told)) == ("DEGRADED", True)
        for one in told:
            run(world, one["remedy"])
        assert world.reconcile("vision")["state"] == "READY", world.status("vision")
        eks.delete_access_entry(clusterName="hyperpod-eks", principalArn=arn)
    world.put(a_team_item("vision", members=[{"account": VISION}], service_accounts=READERS))
    assert world.status("vision")["state"] == "READY"


def test_a_role_of_the_teams_that_lost_its_tags_lets_nobody_else_in(world: World) -> None:
    """A trust that was widened is told with whom it lets in, or taken back, whatever the role's tags say."""
    iam, name = world.sandbox.client("iam", HUB), world.cluster_access_role("vision", VISION).rpartition("/")[2]
    trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    widened = [{"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{LANGUAGE}:root"}, "Action": "sts:AssumeRole"}]
    document = {**trust, "Statement": [*trust["Statement"], *widened]}
    tags = [tag["Key"] for tag in iam.list_role_tags(RoleName=name)["Tags"]]
    iam.untag_role(RoleName=name, TagKeys=tags)
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(document))
    world.reconcile("vision")
    if f"{LANGUAGE}:root" in json.dumps(iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]):
        (problem,) = [one for one in world.status("vision")["problems"] if one["what"].startswith("unexpected access")]
        assert f"arn:aws:iam::{LANGUAGE}:root has assume in arn:aws:iam::{HUB}:role/podshare/{name}" in problem["what"]
        run(world, problem["remedy"])
        world.reconcile("vision")
    assert world.status("vision")["state"] == "READY", world.status("vision")
    assert f"{LANGUAGE}:root" not in json.dumps(iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"])


def test_whom_a_role_lets_in_that_somebody_made_anew_is_told(world: World) -> None:
    """A role at the name of the team's that is not podshare's is not repaired: whom it lets in is a door, until it is."""
    iam, name = world.sandbox.client("iam", HUB), world.cluster_access_role("vision", VISION).rpartition("/")[2]
    role = iam.get_role(RoleName=name)["Role"]
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    iam.delete_role(RoleName=name)
    others = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{LANGUAGE}:root"}, "Action": "sts:AssumeRole"}
    trust = {**role["AssumeRolePolicyDocument"], "Statement": [*role["AssumeRolePolicyDocument"]["Statement"], others]}
    boundary = role["PermissionsBoundary"]["PermissionsBoundaryArn"]
    iam.create_role(
        RoleName=name,
        Path=role["Path"],
        AssumeRolePolicyDocument=json.dumps(trust),
        PermissionsBoundary=boundary,
    )
    assert world.reconcile("vision")["state"] == "DEGRADED"
    told = [one for one in world.status("vision")["problems"] if one["what"].startswith("unexpected access: ")]
    (problem,) = [one for one in told if f"by role {role['Arn']}" in one["what"]]
    assert f"account {HUB}: arn:aws:iam::{LANGUAGE}:root has assume in {role['Arn']}" in problem["what"]
    run(world, problem["remedy"])
    world.reconcile("vision")
    assert world.status("vision")["state"] == "READY", world.status("vision")
    assert f"{LANGUAGE}:root" not in json.dumps(iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"])


def test_a_cluster_administrator_of_the_record_is_expected(world: World) -> None:
    """A principal that a cluster's record names may span the cluster, and is in the proof as what it is."""
    let_in(world, USER, {"type": "cluster"})
    creator = world.state("proof", f"cluster#{EKS_ARN}")["principals"]
    cluster = world.sandbox.client("dynamodb").get_item(
        TableName="podshare-registry", Key={"id": {"S": "cluster#main"}}
    )["Item"]
    world.sandbox.client("dynamodb").put_item(
        TableName="podshare-registry",
        Item={**cluster, "administrators": {"L": [{"S": one} for one in (*creator, USER)]}},
    )
    world.sandbox.settle()
    assert world.reconcile("vision")["state"] == "READY", world.status("vision")
    document = unpacked(world.state("proof", "team#vision")["document"])
    assert [door["principal"] for door in document["doors"] if door["expected"]] == sorted([*creator, USER])
    remove_entries(world)
